/* SPDX-License-Identifier: Apache-2.0 */
/*
 * basin interpolate: from one example to another, straight and where the energy is low.
 */
#include "base/file.h"
#include "eval/chart.h"
#include "eval/walk_picture.h"
#include "model.h"
#include <basin/path.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

typedef struct interpolate_options {
    basin__model_options model;
    char *data, *picture, *chart;
    int64_t from, to, images, step_count, zoom;
    double tolerance;
    basin__data_choice choice;
    bool json;
} interpolate_options;

#define AT(field) offsetof(interpolate_options, field)
#define IMAGES_MAX 1000

static const basin__option options_table[] = {
    BASIN__MODEL_ROW,
    {"data", BASIN__OPTION_TEXT, AT(data), NULL, 0, 0, NULL, NULL,
     "What the ends are taken from, NAME[:SPLIT], file or folder; without a split, test"},
    {"from", BASIN__OPTION_INT, AT(from), "-1", -1, 1e12, NULL, NULL,
     "The example at the start, counted from 0"},
    {"to", BASIN__OPTION_INT, AT(to), "-1", -1, 1e12, NULL, NULL, "The example at the end"},
    {"images", BASIN__OPTION_INT, AT(images), "11", 3, IMAGES_MAX, NULL, "images",
     "Length of the chain, with both ends"},
    {"n-steps", BASIN__OPTION_INT, AT(step_count), "500", 0, 1e6, NULL, "steps",
     "Steps of relaxation, at most"},
    {"tolerance", BASIN__OPTION_FLOAT, AT(tolerance), "0.01", 1e-9, 0.999, NULL, NULL,
     "Relaxed is a path whose force across it is at most this share of the straight line's, and "
     "whose images are even to this share of their distance"},
    BASIN__TEXT_ROW("picture", AT(picture),
                    "Write the images of the line and of the path under it to this PNG; of points "
                    "of the plane, both over the density"),
    BASIN__TEXT_ROW("chart", AT(chart), "Write the energies along both to this PNG"),
    {"zoom", BASIN__OPTION_INT, AT(zoom), "2", 1, 64, NULL, "pixels",
     "Size of a pixel in the picture"},
    BASIN__NOISE_LEVEL_ROW,
    BASIN__NETWORK_ROW,
    BASIN__SHAPE_ROW,
    BASIN__DATA_DIR_ROW(AT(choice.data_dir)),
    BASIN__SEED_ROW(AT(choice.seed)),
    {"json", BASIN__OPTION_FLAG, AT(json), NULL, 0, 0, NULL, NULL, "Print one JSON object"},
};

/** The line, or the path. */
typedef struct way {
    float *x;         /* [images, size] */
    double *energies; /* [images] */
    double halfway;   /* highest energy halfway between neighbours, over the higher end */
} way;

enum { LINE, PATH, WAYS };
static const char *const way_names[WAYS] = {"line", "path"};

typedef struct interpolation {
    const interpolate_options *options;
    basin_energy *energy;
    basin_data *data;
    int64_t n, size; /* images, elements of one */
    way ways[WAYS];
    basin_path_report report;
} interpolation;

/* ---- the ends ---- */

static basin_status take_end(const interpolation *of, const char *option, int64_t index, float *x) {
    const basin_data_info *info = basin_data_describe(of->data);
    if (index >= info->count)
        return basin__fail(of->energy->context, BASIN_ERROR_CONFIG,
                           "--%s %lld: %s holds %lld examples, counted from 0", option,
                           (long long)index, info->name, (long long)info->count);
    basin_data_get(of->data, index, x);
    basin__energy_adapt(of->energy, info, x, of->size);
    return BASIN_OK;
}

static bool is_image(const interpolation *of) {
    const basin_shape shape = of->energy->shape;
    return basin__energy_is_image(of->energy) && (shape.channels == 1 || shape.channels == 3);
}

static bool is_plane(const interpolation *of) {
    return !basin__energy_is_image(of->energy) && of->size == 2;
}

/** What was asked for can be made, and written. */
static basin_status check(const interpolation *of) {
    const interpolate_options *options = of->options;
    basin_context *context = of->energy->context;
    const basin_shape shape = of->energy->shape;
    BASIN_TRY(basin__energy_takes(of->energy, basin_data_describe(of->data)));
    if (options->picture && !is_image(of) && !is_plane(of))
        return basin__fail(
            context, BASIN_ERROR_CONFIG,
            "--picture %s: examples of %d x %d x %d are neither pictures nor points of "
            "the plane; --chart shows their energies",
            options->picture, shape.height, shape.width, shape.channels);
    if (options->from == options->to)
        return basin__fail(context, BASIN_ERROR_CONFIG,
                           "--from and --to are both %lld: there is no way between them",
                           (long long)options->to);
    if (options->picture)
        BASIN_TRY(basin__file_check_writable(context, options->picture));
    return options->chart ? basin__file_check_writable(context, options->chart) : BASIN_OK;
}

static basin_status make_room(interpolation *of) {
    for (int i = 0; i < WAYS; i++) {
        of->ways[i].x =
            basin__alloc_array(of->energy->context, (size_t)(of->n * of->size), sizeof(float));
        of->ways[i].energies =
            basin__alloc_array(of->energy->context, (size_t)of->n, sizeof(double));
        if (!of->ways[i].x || !of->ways[i].energies)
            return BASIN_ERROR_MEMORY;
    }
    return BASIN_OK;
}

/** Whether neighbours are near enough to tell of what is between them. */
static basin_status look_halfway(const interpolation *of, way *on) {
    basin_context *context = of->energy->context;
    const int64_t count = of->n - 1, elements = count * of->size;
    float *x = basin__alloc_array(context, (size_t)elements, sizeof(float));
    double *energies = basin__alloc_array(context, (size_t)count, sizeof(double));
    basin_status status = x && energies ? BASIN_OK : BASIN_ERROR_MEMORY;
    for (int64_t i = 0; status == BASIN_OK && i < elements; i++)
        x[i] = (float)(0.5 * (double)on->x[i] + 0.5 * (double)on->x[i + of->size]);
    if (status == BASIN_OK)
        status = basin_energy_evaluate(of->energy, count, x, energies, NULL);
    on->halfway = (double)-INFINITY;
    for (int64_t i = 0; status == BASIN_OK && i < count; i++)
        on->halfway =
            fmax(on->halfway, energies[i] - fmax(on->energies[0], on->energies[of->n - 1]));
    basin__free(context, x);
    basin__free(context, energies);
    return status;
}

static basin_status interpolate(interpolation *of) {
    const interpolate_options *options = of->options;
    of->n = options->images;
    of->size = basin_shape_count(of->energy->shape);
    BASIN_TRY(check(of));
    BASIN_TRY(make_room(of));
    way *line = &of->ways[LINE], *path = &of->ways[PATH];
    BASIN_TRY(take_end(of, "from", options->from, line->x));
    BASIN_TRY(take_end(of, "to", options->to, line->x + (of->n - 1) * of->size));
    basin_path_line(of->energy, of->n, line->x);
    memcpy(path->x, line->x, (size_t)(of->n * of->size) * sizeof(float));
    basin_path_options how;
    basin_path_options_init(&how);
    how.step_count = (int)options->step_count;
    how.tolerance = options->tolerance;
    of->report.size = sizeof of->report;
    BASIN_TRY(basin_path_relax(of->energy, &how, of->n, path->x, path->energies, &of->report));
    BASIN_TRY(basin_energy_evaluate(of->energy, of->n, line->x, line->energies, NULL));
    for (int i = 0; i < WAYS; i++)
        BASIN_TRY(look_halfway(of, &of->ways[i]));
    return BASIN_OK;
}

/* ---- pictures ---- */

/** Line and path over the density of the plane, at the model's temperature, 1 where it has none. */
static basin_status write_landscape(const interpolation *of) {
    basin_context *context = of->energy->context;
    const double own = basin_energy_temperature(of->energy).value;
    float *both = basin__alloc_array(context, 2 * WAYS * (size_t)of->n, sizeof(float));
    if (!both)
        return BASIN_ERROR_MEMORY;
    for (int64_t i = 0; i < of->n; i++)
        for (int64_t on = 0; on < WAYS; on++)
            memcpy(both + 2 * (WAYS * i + on), of->ways[on].x + 2 * i, 2 * sizeof(float));
    const basin__walks walks = {.x = both, .places = of->n, .n = WAYS};
    basin_status status = basin__walk_picture(
        context, of->options->picture, &walks, basin__plane_energy_of, of->energy,
        own > 0 ? own : 1, basin__energy_noted_number(of->energy, "range_low", 0) - 1,
        basin__energy_noted_number(of->energy, "range_high", 1) + 1);
    basin__free(context, both);
    return status;
}

static basin_status write_rows(const interpolation *of) {
    basin_context *context = of->energy->context;
    const basin_shape shape = of->energy->shape;
    const basin__range range = basin__energy_range(of->energy);
    static const char *const captions[WAYS] = {"straight line", "path of low energy"};
    basin__image rows[WAYS] = {{0}};
    basin_status status = BASIN_OK;
    for (int i = 0; i < WAYS && status == BASIN_OK; i++)
        status = basin__image_grid(context, &rows[i], of->ways[i].x, of->n, shape.height,
                                   shape.width, shape.channels, range.low, range.high, (int)of->n,
                                   (int)of->options->zoom);
    if (status == BASIN_OK)
        status = basin__chart_captioned(context, of->options->picture, rows, captions, WAYS);
    for (int i = 0; i < WAYS; i++)
        basin__image_reset(context, &rows[i]);
    return status;
}

static basin_status write_chart(const interpolation *of) {
    double *share = basin__alloc_array(of->energy->context, (size_t)of->n, sizeof(double));
    if (!share)
        return BASIN_ERROR_MEMORY;
    for (int64_t i = 0; i < of->n; i++)
        share[i] = (double)i / (double)(of->n - 1);
    const basin__series series[WAYS] = {
        {.label = "straight line", .x = share, .y = of->ways[LINE].energies, .count = of->n},
        {.label = "path of low energy", .x = share, .y = of->ways[PATH].energies, .count = of->n},
    };
    basin_status status =
        basin__chart_lines(of->energy->context, of->options->chart, "Energy from one to the other",
                           "share of the way", "energy", series, WAYS);
    basin__free(of->energy->context, share);
    return status;
}

/* ---- what is printed ---- */

#define SHOWN_MAX 3 /* coordinates in the table */

static void print_place(const interpolation *of, const way *on, int64_t i) {
    for (int64_t j = 0; of->size <= SHOWN_MAX && j < of->size; j++)
        printf(" %10.4g", (double)on->x[i * of->size + j]);
}

static void print_text(const interpolation *of) {
    const bool has_places = of->size <= SHOWN_MAX;
    printf("image   line energy   path energy%s\n",
           has_places ? "   on the line, on the path" : "");
    for (int64_t i = 0; i < of->n; i++) {
        printf("%5lld %13.6g %13.6g", (long long)i, of->ways[LINE].energies[i],
               of->ways[PATH].energies[i]);
        if (has_places)
            printf("  ");
        print_place(of, &of->ways[LINE], i);
        if (has_places)
            printf("  ");
        print_place(of, &of->ways[PATH], i);
        printf("\n");
    }
    printf("barrier over the higher end: line %.6g, path %.6g\n",
           basin_path_barrier(of->n, of->ways[LINE].energies),
           basin_path_barrier(of->n, of->ways[PATH].energies));
    printf("halfway between neighbours, likewise: line %.6g, path %.6g\n", of->ways[LINE].halfway,
           of->ways[PATH].halfway);
    printf("%s after %d steps: force across the path %.2g of the line's, spacing uneven by %.2g\n",
           of->report.is_converged ? "relaxed" : "not relaxed", of->report.steps, of->report.force,
           of->report.unevenness);
}

static void print_numbers(const char *name, const double *numbers, int64_t count) {
    printf("\"%s\": [", name);
    for (int64_t i = 0; i < count; i++) {
        if (i > 0)
            printf(", ");
        basin__print_json_number(numbers[i]);
    }
    printf("]");
}

static void print_places(const interpolation *of, const way *on) {
    printf("\"x\": [");
    for (int64_t i = 0; i < of->n; i++) {
        printf("%s[", i > 0 ? ", " : "");
        for (int64_t j = 0; j < of->size; j++) {
            if (j > 0)
                printf(", ");
            basin__print_json_number((double)on->x[i * of->size + j]);
        }
        printf("]");
    }
    printf("], ");
}

static void print_json(const interpolation *of) {
    printf("{\"data\": ");
    basin__print_json_text(basin_data_describe(of->data)->name);
    printf(", \"from\": %lld, \"to\": %lld", (long long)of->options->from,
           (long long)of->options->to);
    for (int i = 0; i < WAYS; i++) {
        const way *on = &of->ways[i];
        printf(", \"%s\": {", way_names[i]);
        if (!basin__energy_is_image(of->energy))
            print_places(of, on);
        print_numbers("energies", on->energies, of->n);
        printf(", \"barrier\": ");
        basin__print_json_number(basin_path_barrier(of->n, on->energies));
        printf(", \"halfway\": ");
        basin__print_json_number(on->halfway);
        printf("}");
    }
    printf(", \"is_relaxed\": %s, \"steps\": %d, \"force\": ",
           of->report.is_converged ? "true" : "false", of->report.steps);
    basin__print_json_number(of->report.force);
    printf(", \"unevenness\": ");
    basin__print_json_number(of->report.unevenness);
    printf("}\n");
}

/* ---- the verb ---- */

static const char *missing(const interpolate_options *options) {
    return !options->model.model ? "model is missing"
           : !options->data      ? "data is missing"
           : options->from < 0   ? "from is missing: the number of an example, from 0"
           : options->to < 0     ? "to is missing: the number of an example, from 0"
                                 : NULL;
}

static int run(basin__command *command) {
    const interpolate_options *options = command->options;
    const char *absent = missing(options);
    if (absent)
        return basin__command_usage(command, "--%s", absent);
    interpolation of = {.options = options};
    basin_status status = basin__model_and_data(command, &options->model, &options->choice,
                                                options->data, &of.energy, &of.data);
    if (status == BASIN_OK)
        status = interpolate(&of);
    if (status == BASIN_OK && options->picture)
        status = is_plane(&of) ? write_landscape(&of) : write_rows(&of);
    if (status == BASIN_OK && options->chart)
        status = write_chart(&of);
    if (status == BASIN_OK && options->json)
        print_json(&of);
    else if (status == BASIN_OK)
        print_text(&of);
    for (int i = 0; i < WAYS; i++) {
        basin__free(command->context, of.ways[i].x);
        basin__free(command->context, of.ways[i].energies);
    }
    basin_energy_destroy(of.energy);
    basin_data_close(of.data);
    return status == BASIN_OK ? BASIN__EXIT_OK : basin__command_fail(command, status);
}

static const char *const outputs[] = {"picture", "chart", NULL};

static const char *const companions[][2] = {{"zoom", "picture"}, {NULL}};

static const char *const examples[] = {
    "basin interpolate --model runs/moons --data two-moons --from 0 --to 1 --chart energies.png",
    "from one point to another, around where no data are",
    "basin interpolate --model models/mnist-unet.safetensors --noise-level 1 --data mnist --from 3 "
    "--to 2 --picture path.png",
    "one digit becomes another",
    NULL,
};

const basin__verb basin__verb_interpolate = {
    .name = "interpolate",
    .help = "a path of low energy from one example to another",
    .about =
        "Puts images evenly on the straight line between two examples, and relaxes them as a "
        "nudged "
        "elastic band: each moves down the energy across the path, and springs along it keep them "
        "even. Says the energies on line and path, how far the highest is above the higher end, "
        "and "
        "the same of the points halfway between neighbours, which is far more where the chain is "
        "too short to show what it passes. A path that did not come to rest within --n-steps is "
        "written all the same, and said to be not relaxed.",
    .options = options_table,
    .option_count = BASIN_COUNT(options_table),
    .options_bytes = sizeof(interpolate_options),
    .examples = examples,
    .outputs = outputs,
    .companions = companions,
    .run = run,
};
