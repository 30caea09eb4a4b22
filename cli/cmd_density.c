/* SPDX-License-Identifier: Apache-2.0 */
/*
 * basin density: how near a model of the plane is to the density that it was trained on.
 */
#include "backend/cpu/kernels.h"
#include "base/file.h"
#include "eval/plane_picture.h"
#include "eval/quadrature.h"
#include "model.h"
#include "rng/philox.h"
#include <math.h>
#include <stddef.h>

typedef struct density_options {
    basin__model_options model;
    char *data, *picture;
    basin__data_choice choice;
    double temperature, noise_std;
    bool json;
} density_options;

#define AT(field) offsetof(density_options, field)

static const basin__option options_table[] = {
    BASIN__MODEL_ROW,
    BASIN__ENERGY_ROW,
    {"data", BASIN__OPTION_TEXT, AT(data), NULL, 0, 0, NULL, NULL,
     "Built-in points NAME[:SPLIT], whose exact density is known (without a split, test), or "
     "samples, "
     "X.npy"},
    BASIN__NETWORK_ROW,
    BASIN__COUNT_ROW(AT(choice.count)),
    BASIN__SEED_ROW(AT(choice.seed)),
    {"temperature", BASIN__OPTION_FLOAT, AT(temperature), "0", 0, 1e12, NULL, NULL,
     "Read the energy at this temperature; 0: the model's own"},
    BASIN__NOISE_LEVEL_ROW,
    {"noise-std", BASIN__OPTION_FLOAT, AT(noise_std), "-1", -1, 1e6, NULL, NULL,
     "Compare with the density of data with so much noise; -1: as much as the model was trained "
     "to see"},
    BASIN__TEXT_ROW("picture", AT(picture), "Write data and model side by side to this PNG"),
    {"json", BASIN__OPTION_FLAG, AT(json), NULL, 0, 0, NULL, NULL, "Print one JSON object"},
};

/** What is compared. */
typedef struct comparison {
    basin_energy *energy;
    basin_data *data;
    double temperature, noise_std;
    int64_t n;
    float *x;            /* [n, 2] of the density compared with */
    double *log_density; /* [n]; NULL: nobody knows it */
    basin__plane_fit fit;
} comparison;

/** Whether the data are built-in points. */
static bool is_known(const comparison *of) {
    return basin_data_log_density(of->data, 0, 0, NULL, NULL) != BASIN_ERROR_UNSUPPORTED;
}

/** The temperature and noise that go with the model, unless the user gave others. */
static basin_status choose(const density_options *options, comparison *of) {
    basin_energy *energy = of->energy;
    of->temperature =
        options->temperature > 0 ? options->temperature : basin_energy_temperature(energy).value;
    of->noise_std = options->noise_std;
    if (options->noise_std < 0 && options->noise_std > -1)
        return basin__fail(energy->context, BASIN_ERROR_CONFIG,
                           "--noise-std %g: expected 0 or more, or -1 for the model's own",
                           options->noise_std);
    if (!is_known(of) && of->noise_std < 0) /* samples are as noisy as they are to be */
        of->noise_std = 0;
    if (of->noise_std < 0)
        of->noise_std = hypot(energy->condition.noise_level ? energy->noise_level : 0,
                              basin__energy_noted_number(energy, "data_noise_level", 0));
    return of->temperature > 0
               ? BASIN_OK
               : basin__fail(
                     energy->context, BASIN_ERROR_CONFIG,
                     "the model's temperature is 0: say at which to read it, --temperature");
}

/** Fresh points of the density, and how dense it is there. */
static basin_status draw_points(comparison *of, uint64_t seed) {
    basin_context *context = of->energy->context;
    const basin_data_info *info = basin_data_describe(of->data);
    of->n = info->count;
    of->x = basin__alloc_array(context, 2 * (size_t)of->n, sizeof(float));
    float *noise = basin__alloc_array(context, 2 * (size_t)of->n, sizeof(float));
    const bool has_density = is_known(of);
    if (has_density)
        of->log_density = basin__alloc_array(context, (size_t)of->n, sizeof(double));
    basin_status status =
        of->x && noise && (of->log_density || !has_density) ? BASIN_OK : BASIN_ERROR_MEMORY;
    if (status == BASIN_OK) {
        const basin__draw draw = {.seed = seed, .purpose = BASIN__PURPOSE_EVALUATE};
        basin__cpu_kernels_for(basin__context_isa(context))->normal(noise, of->n, 2, &draw);
        for (int64_t i = 0; i < of->n; i++)
            basin_data_get(of->data, i, of->x + 2 * i);
        for (int64_t i = 0; i < 2 * of->n; i++)
            of->x[i] += (float)of->noise_std * noise[i];
        if (has_density)
            status = basin_data_log_density(of->data, of->noise_std, of->n, of->x, of->log_density);
    }
    basin__free(context, noise);
    return status;
}

static basin_status compare(const density_options *options, comparison *of) {
    const basin_data_info *info = basin_data_describe(of->data);
    BASIN_TRY(basin__energy_takes(of->energy, info));
    BASIN_TRY(choose(options, of));
    if (options->picture) /* now, not after the work */
        BASIN_TRY(basin__file_check_writable(of->energy->context, options->picture));
    BASIN_TRY(draw_points(of, (uint64_t)options->choice.seed));
    BASIN_TRY(basin__plane_fit_run(of->energy->context, basin__plane_energy_of, of->energy,
                                   of->temperature, (double)info->low - 1, (double)info->high + 1,
                                   of->n, of->x, of->log_density, &of->fit));
    if (!options->picture)
        return BASIN_OK;
    return basin__plane_picture(of->energy->context, options->picture, of->n, of->x,
                                basin__plane_energy_of, of->energy, of->temperature,
                                of->fit.quadrature.log_z, (double)info->low, (double)info->high);
}

static void print_text(const comparison *of) {
    const basin__quadrature *grid = &of->fit.quadrature;
    printf("model           log Z %.4f at temperature %.4g, on %d x %d points of [%.4g, %.4g]^2\n",
           grid->log_z, of->temperature, grid->side, grid->side, grid->low, grid->high);
    printf("                a grid half as fine moves it by %.2g; %.2g lies at the square's ends\n",
           fabs(grid->change), grid->outside);
    printf("data            %s, %lld points, noise %.4g\n", basin_data_describe(of->data)->name,
           (long long)of->n, of->noise_std);
    printf("log-likelihood  %.4f nat a point\n", of->fit.log_likelihood);
    if (of->log_density)
        printf("KL(data|model)  %.4f ± %.4f nat\n", of->fit.kl, of->fit.kl_error);
}

static void print_json(const comparison *of) {
    const basin__quadrature *grid = &of->fit.quadrature;
    printf("{\"data\": ");
    basin__print_json_text(basin_data_describe(of->data)->name);
    printf(", \"count\": %lld, \"noise_std\": %.9g, \"temperature\": %.9g, \"log_z\": %.9g, "
           "\"log_z_change\": %.3g, \"outside\": %.3g, \"side\": %d, \"log_likelihood\": %.9g, "
           "\"kl\": ",
           (long long)of->n, of->noise_std, of->temperature, grid->log_z, grid->change,
           grid->outside, grid->side, of->fit.log_likelihood);
    basin__print_json_number(of->fit.kl);
    printf(", \"kl_error\": ");
    basin__print_json_number(of->fit.kl_error);
    puts("}");
}

static int run(basin__command *command) {
    const density_options *options = command->options;
    basin__data_choice choice = options->choice;
    comparison of = {0};
    const bool has_model = !basin__model_is_missing(&options->model);
    if (!has_model || !options->data)
        return basin__command_usage(command, "--%s is missing", has_model ? "data" : "model");
    if (choice.count == 0)
        choice.count = 10000;
    basin_status status = basin__model_and_data(command, &options->model, &choice, options->data,
                                                &of.energy, &of.data);
    if (status == BASIN_OK)
        status = compare(options, &of);
    if (status == BASIN_OK && options->json)
        print_json(&of);
    else if (status == BASIN_OK)
        print_text(&of);
    basin__free(command->context, of.x);
    basin__free(command->context, of.log_density);
    basin_energy_destroy(of.energy);
    basin_data_close(of.data);
    return status == BASIN_OK ? BASIN__EXIT_OK : basin__command_fail(command, status);
}

static const char *const outputs[] = {"picture", NULL};

static const char *const examples[] = {
    "basin density --model runs/moons --data two-moons",
    "how far a model of the plane is from the density it learned",
    "basin density --model runs/moons --data two-moons --picture moons.png",
    "and see it",
    NULL,
};

const basin__verb basin__verb_density = {
    .name = "density",
    .help = "likelihood of a model of the plane, by quadrature",
    .about =
        "Adds up exp(-E/T) on a grid, so that the model's density is known, and compares it with "
        "the exact density of a built-in set of points on fresh ones: KL(p | model) is the mean "
        "of log p + E/T + log Z. By default 10,000 points; a denoising model is compared with "
        "the density of noisy points, which is what it learned.",
    .options = options_table,
    .option_count = BASIN_COUNT(options_table),
    .options_bytes = sizeof(density_options),
    .examples = examples,
    .outputs = outputs,
    .run = run,
};
