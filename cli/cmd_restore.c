/* SPDX-License-Identifier: Apache-2.0 */
/*
 * basin restore: images from what is left of them, with a model as prior.
 */
#include "progress.h"
#include "restore.h"
#include "restore/restoration.h"
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define AT(field) offsetof(basin__restore_options, field)

static const basin__option options_table[] = {
    BASIN__MODEL_ROW,
    BASIN__ENERGY_ROW,
    {"data", BASIN__OPTION_TEXT, AT(data), NULL, 0, 0, NULL, NULL,
     "Images NAME[:SPLIT], file or folder, which are degraded first; without a split, test"},
    {"degraded", BASIN__OPTION_FLAG, AT(degraded), NULL, 0, 0, NULL, NULL,
     "The data are degraded already, on a scale where images are in [0, 1]"},
    {"task", BASIN__OPTION_TEXT, AT(task), "denoise", 0, 0, NULL, NULL,
     "What was done to the images; its options are below"},
    {"noise-std", BASIN__OPTION_FLOAT, AT(noise_std), "0.1", 0, 1e3, NULL, NULL,
     "Standard deviation of the noise, where images are in [0, 1]; 0: none but rounding to bytes"},
    {"method", BASIN__OPTION_TEXT, AT(method), "anneal", 0, 0, NULL, NULL,
     "How images are restored; its options are below"},
    {"samples", BASIN__OPTION_INT, AT(samples), "1", 1, 1e6, NULL, "samples",
     "Posterior samples an image, of methods that draw; what is restored is their mean"},
    {"temperature", BASIN__OPTION_FLOAT, AT(temperature), "0", 0, 1e12, NULL, NULL,
     "Read the energy at this temperature; 0: the model's own"},
    {"out", BASIN__OPTION_TEXT_LIST, AT(out), NULL, 0, 0, NULL, NULL,
     "A picture X.png of true, seen and restored images, or the restored X.npy [n, height, width, "
     "channels] in [0, 1]; may be given for both"},
    BASIN__TEXT_ROW("samples-out", AT(samples_out),
                    "Write all samples, [n * samples, height, width, channels], to this .npy file"),
    BASIN__TEXT_ROW("deviation-out", AT(deviation_out),
                    "Write the samples' standard deviation, shaped like X.npy, to this .npy file"),
    BASIN__TEXT_ROW("degraded-out", AT(degraded_out), "Write what is seen to this .npy file"),
    BASIN__TEXT_ROW("labels-out", AT(labels_out),
                    "Write the images' classes, for basin eval --asked, to this .npy file"),
    BASIN__INT_ROW("shown", AT(shown), 1000, "Images in the picture; 0: the first 16"),
    {"zoom", BASIN__OPTION_INT, AT(zoom), "2", 1, 64, NULL, "pixels",
     "Size of a pixel in the picture"},
    BASIN__DATA_DIR_ROW(AT(choice.data_dir)),
    BASIN__COUNT_ROW(AT(choice.count)),
    BASIN__SEED_ROW(AT(choice.seed)),
    BASIN__NETWORK_ROW,
    BASIN__SHAPE_ROW,
    {"json", BASIN__OPTION_FLAG, AT(json), NULL, 0, 0, NULL, NULL, "Print one JSON object"},
};

/* ---- what is seen ---- */

static basin_status read_images(basin__restore *all, float *x, int64_t size) {
    const basin_data_info *info = basin_data_describe(all->data);
    const basin__range unit = {.low = 0, .high = 1};
    for (int64_t i = 0; i < all->n; i++)
        basin_data_get(all->data, i, x + i * size);
    if (!all->options->degraded)
        basin__range_apply(basin__energy_range_of(all->energy, info), unit, x, all->n * size);
    return BASIN_OK;
}

static basin_status check_seen(const basin__restore *all) {
    const basin_data_info *info = basin_data_describe(all->data);
    if (info->height == all->seen.height && info->width == all->seen.width &&
        info->channels == all->seen.channels)
        return BASIN_OK;
    return basin__fail(all->context, BASIN_ERROR_SHAPE,
                       "%s has images of %d x %d x %d; of the model's, task %s leaves %d x %d x %d",
                       info->name, info->height, info->width, info->channels, all->options->task,
                       all->seen.height, all->seen.width, all->seen.channels);
}

/** The images and what is seen of them, or the latter alone. */
static basin_status see(basin__restore *all) {
    const int64_t size = basin_shape_count(all->shape), seen = basin_shape_count(all->seen);
    const basin_data_info *info = basin_data_describe(all->data);
    all->n = info->count;
    if (!info->is_image)
        return basin__fail(all->context, BASIN_ERROR_CONFIG, "%s has points: expected images",
                           info->name);
    all->y = basin__alloc_array(all->context, (size_t)(all->n * seen), sizeof(float));
    if (all->y == NULL)
        return BASIN_ERROR_MEMORY;
    if (all->options->degraded) {
        BASIN_TRY(check_seen(all));
        return read_images(all, all->y, seen);
    }
    BASIN_TRY(basin__energy_takes(all->energy, info));
    all->truth = basin__alloc_array(all->context, (size_t)(all->n * size), sizeof(float));
    if (all->truth == NULL)
        return BASIN_ERROR_MEMORY;
    BASIN_TRY(read_images(all, all->truth, size));
    return basin_degradation_observe(all->degradation, all->n, all->truth, all->options->noise_std,
                                     (uint64_t)all->options->choice.seed, all->y);
}

/* ---- restoring, on the model's scale ---- */

/** y of images u in [0, 1] to y of images low + width u: low A(1) + width y. */
static basin_status to_range(const basin__restore *all, float low, float width, float *y) {
    const int64_t size = basin_shape_count(all->shape), seen = basin_shape_count(all->seen);
    float *ones = basin__alloc_array(all->context, (size_t)(size + seen), sizeof(float));
    if (ones == NULL)
        return BASIN_ERROR_MEMORY;
    float *base = ones + size;
    for (int64_t i = 0; i < size; i++)
        ones[i] = 1;
    basin_degradation_apply(all->degradation, 1, ones, base);
    for (int64_t i = 0; i < all->n * seen; i++)
        y[i] = low * base[i % seen] + width * all->y[i];
    basin__free(all->context, ones);
    return BASIN_OK;
}

static void to_unit(float low, float width, int64_t count, float *x) {
    for (int64_t i = 0; x != NULL && i < count; i++)
        x[i] = fminf(fmaxf((x[i] - low) / width, 0.0f), 1.0f);
}

static basin_status run_method(basin__command *command, basin__restore *all, const float *y) {
    const basin__range range = basin__energy_range(all->energy);
    const float width = range.high - range.low;
    const int64_t count = all->n * basin_shape_count(all->shape);
    const double noise = all->options->noise_std;
    char *settings = basin__command_settings(command, "method");
    basin_restore_options options;
    basin_restore_options_init(&options);
    options.method = all->options->method;
    options.settings = settings;
    options.noise_std = (double)width * (noise > 0 ? noise : BASIN__ROUNDING_STD);
    options.samples = (int)all->options->samples;
    options.temperature = all->options->temperature;
    options.seed = (uint64_t)all->options->choice.seed;
    options.draws = all->draws;
    options.deviation = all->deviation;
    options.evaluations = &all->evaluations;
    options.acceptance = &all->acceptance;
    basin_status status = settings ? basin__energy_ready(all->energy) : BASIN_ERROR_MEMORY;
    const double start = basin__seconds();
    if (status == BASIN_OK)
        status = basin_restore(all->energy, all->degradation, &options, all->n, y, all->restored);
    all->seconds = basin__seconds() - start;
    free(settings);
    to_unit(range.low, width, count, all->restored);
    to_unit(range.low, width, count * all->options->samples, all->draws);
    to_unit(0, width, count, all->deviation);
    return status;
}

static basin_status restore(basin__command *command, basin__restore *all) {
    const size_t size = (size_t)basin_shape_count(all->shape), n = (size_t)all->n;
    const basin__range range = basin__energy_range(all->energy);
    const int64_t samples = all->options->samples;
    float *y =
        basin__alloc_array(all->context, n * (size_t)basin_shape_count(all->seen), sizeof(float));
    all->restored = basin__alloc_array(all->context, n * size, sizeof(float));
    all->deviation = basin__alloc_array(all->context, n * size, sizeof(float));
    const bool has_draws = samples > 1 || all->options->samples_out;
    if (has_draws)
        all->draws = basin__alloc_array(all->context, n * (size_t)samples, size * sizeof(float));
    basin_status status = y && all->restored && all->deviation ? BASIN_OK : BASIN_ERROR_MEMORY;
    if (has_draws && !all->draws)
        status = BASIN_ERROR_MEMORY;
    if (status == BASIN_OK)
        status = to_range(all, range.low, range.high - range.low, y);
    if (status == BASIN_OK)
        status = run_method(command, all, y);
    basin__free(all->context, y);
    return status;
}

/* ---- how near ---- */

/** The first sample of each image. */
static void take_first(const basin__restore *all, float *x) {
    const int64_t size = basin_shape_count(all->shape);
    for (int64_t i = 0; i < all->n; i++)
        memcpy(x + i * size, all->draws + i * all->options->samples * size,
               (size_t)size * sizeof(float));
}

static basin_status judge(basin__restore *all) {
    if (all->truth == NULL)
        return BASIN_OK;
    const size_t count = (size_t)(all->n * basin_shape_count(all->shape));
    float *x = basin__alloc_array(all->context, count, sizeof(float));
    if (x == NULL)
        return BASIN_ERROR_MEMORY;
    basin__restore_spread(all, all->n, x);
    basin_status status = basin__likeness_measure(all->context, all->shape, all->n, all->truth, x,
                                                  &all->degraded_likeness);
    if (status == BASIN_OK)
        status = basin__likeness_measure(all->context, all->shape, all->n, all->truth,
                                         all->restored, &all->restored_likeness);
    if (status == BASIN_OK && all->options->samples > 1) {
        take_first(all, x);
        status = basin__likeness_measure(all->context, all->shape, all->n, all->truth, x,
                                         &all->draw_likeness);
    }
    basin__free(all->context, x);
    return status;
}

/* ---- printing ---- */

typedef struct row {
    const char *name;
    const basin__likeness *likeness;
} row;

static int rows_of(const basin__restore *all, row rows[3]) {
    rows[0] = (row){"degraded", &all->degraded_likeness};
    rows[1] = (row){"restored", &all->restored_likeness};
    rows[2] = (row){"sample", &all->draw_likeness};
    return all->truth == NULL ? 0 : all->options->samples > 1 ? 3 : 2;
}

static void print_text(const basin__restore *all) {
    const basin__restore_options *options = all->options;
    row rows[3];
    printf("data      %s, %lld images\n", basin_data_describe(all->data)->name, (long long)all->n);
    printf("task      %s, noise of standard deviation %g\n", options->task, options->noise_std);
    printf("method    %s, %.6g evaluations of the gradient a sample, %lld sample%s an image",
           options->method, all->evaluations, (long long)options->samples,
           options->samples == 1 ? "" : "s");
    if (isfinite(all->acceptance))
        printf(", %.0f %% of moves accepted", 100 * all->acceptance);
    printf("\ntime      %.4g s on %d threads\n", all->seconds,
           basin_context_thread_count(all->context));
    const int count = rows_of(all, rows);
    if (count > 0)
        printf("          PSNR, dB          SSIM\n");
    for (int i = 0; i < count && all->n == 1; i++)
        printf("%-8s  %6.2f            %.4f\n", rows[i].name, rows[i].likeness->psnr,
               rows[i].likeness->ssim);
    for (int i = 0; i < count && all->n > 1; i++)
        printf("%-8s  %6.2f ± %-7.2f  %.4f ± %.4f\n", rows[i].name, rows[i].likeness->psnr,
               rows[i].likeness->psnr_error, rows[i].likeness->ssim, rows[i].likeness->ssim_error);
}

static void print_number(const char *name, double number) {
    printf(", \"%s\": ", name);
    basin__print_json_number(number);
}

static void print_json(const basin__restore *all) {
    const basin__restore_options *options = all->options;
    row rows[3];
    printf("{\"data\": ");
    basin__print_json_text(basin_data_describe(all->data)->name);
    printf(", \"count\": %lld, \"task\": \"%s\", \"noise_std\": %.9g, \"method\": \"%s\", "
           "\"samples\": %lld",
           (long long)all->n, options->task, options->noise_std, options->method,
           (long long)options->samples);
    print_number("evaluations_per_sample", all->evaluations);
    print_number("acceptance", all->acceptance);
    print_number("time_s", all->seconds);
    const int count = rows_of(all, rows);
    for (int i = 0; i < count; i++) {
        printf(",\n \"%s\": {\"psnr\": ", rows[i].name);
        basin__print_json_number(rows[i].likeness->psnr);
        print_number("psnr_error", rows[i].likeness->psnr_error);
        print_number("ssim", rows[i].likeness->ssim);
        print_number("ssim_error", rows[i].likeness->ssim_error);
        printf("}");
    }
    printf("}\n");
}

/* ---- the verb ---- */

/** A method that gives one answer gives no samples. */
static basin_status check_samples(const basin__restore *all) {
    const basin__method_def *method = basin__method_find(all->options->method);
    if (method == NULL || method->draws || all->options->samples == 1)
        return BASIN_OK;
    return basin__fail(all->context, BASIN_ERROR_CONFIG,
                       "--samples %lld: method %s gives one answer; anneal and langevin draw",
                       (long long)all->options->samples, all->options->method);
}

static basin_status make_degradation(basin__command *command, basin__restore *all) {
    char *settings = basin__command_settings(command, "task");
    int side[3];
    if (settings == NULL)
        return BASIN_ERROR_MEMORY;
    all->shape = all->energy->shape;
    basin_status status =
        basin_degradation_create(all->context, all->options->task, settings, all->shape.height,
                                 all->shape.width, all->shape.channels, &all->degradation);
    free(settings);
    BASIN_TRY(status);
    basin_degradation_shape(all->degradation, side);
    all->seen = basin_shape_image(side[0], side[1], side[2]);
    return BASIN_OK;
}

/** With --degraded and a picture's size that the model does not say, the data would say it wrong.
 */
static basin_status open_all(basin__command *command, basin__restore *all) {
    const basin__restore_options *options = all->options;
    BASIN_TRY(basin__model_open(command, &options->model, NULL, &all->energy));
    if (!basin__energy_is_image(all->energy))
        return basin__fail(all->context, BASIN_ERROR_CONFIG,
                           "the model is one of points: expected one of images");
    BASIN_TRY(make_degradation(command, all));
    return basin__data_choose(command, &options->choice, options->data, all->energy, &all->data);
}

static basin_status work(basin__command *command, basin__restore *all) {
    BASIN_TRY(check_samples(all));
    BASIN_TRY(open_all(command, all));
    BASIN_TRY(basin__restore_check_outputs(command, all));
    BASIN_TRY(see(all));
    BASIN_TRY(restore(command, all));
    BASIN_TRY(judge(all));
    return basin__restore_write(all);
}

static int run(basin__command *command) {
    const basin__restore_options *options = command->options;
    basin__restore all = {.context = command->context, .options = options};
    const bool has_model = !basin__model_is_missing(&options->model);
    if (!has_model || !options->data)
        return basin__command_usage(command, "--%s is missing", has_model ? "data" : "model");
    if (options->degraded && options->out.count == 0 && !options->samples_out)
        return basin__command_usage(command,
                                    "--out is missing: of --degraded data nothing is known "
                                    "to compare with");
    basin_status status = work(command, &all);
    if (status == BASIN_OK && options->json)
        print_json(&all);
    else if (status == BASIN_OK && !command->is_quiet)
        print_text(&all);
    float *const arrays[] = {all.truth, all.y, all.restored, all.deviation, all.draws};
    for (size_t i = 0; i < BASIN_COUNT(arrays); i++)
        basin__free(command->context, arrays[i]);
    basin_degradation_destroy(all.degradation);
    basin_energy_destroy(all.energy);
    basin_data_close(all.data);
    return status == BASIN_OK ? BASIN__EXIT_OK : basin__command_fail(command, status);
}

static const char *const kinds[] = {"task", "method", NULL};

static const char *const outputs[] = {"out",          "samples-out", "deviation-out",
                                      "degraded-out", "labels-out",  NULL};

static const char *const examples[] = {
    "basin restore --model models/mnist-unet.safetensors --data mnist --noise-std 0.3 --method "
    "mean",
    "denoise by the exact posterior mean, and say how well",
    "basin restore --model models/mnist-unet.safetensors --data mnist --count 16 --task inpaint "
    "--hidden 14,0,14,28 --noise-std 0 --samples 8 --out picture.png",
    "eight ways how hidden lower halves may go on",
    "basin restore --model runs/photos --data seen.npy --degraded --task deblur --noise-std 0.01 "
    "--out restored.npy",
    "sharpen what was given blurred",
    NULL,
};

const basin__verb basin__verb_restore = {
    .name = "restore",
    .help = "denoise, fill in, enlarge, sharpen or colour images",
    .about =
        "Draws from, or finds the mean or mode of, p(x | y) with the model as prior, for y = A x + "
        "noise. Unless --degraded, the data are degraded first, and PSNR (of each image, then "
        "averaged) and SSIM (Wang et al., 2004) say how near y and the restored images are to "
        "them, with standard errors over images. What is restored is clamped to [0, 1], y is not. "
        "Of tasks that make images smaller or grey, y is judged as its Aᵀ, scaled.\n"
        "Methods' noise levels are in the model's range, twice those of [0, 1] where it is [-1, "
        "1].",
    .options = options_table,
    .option_count = BASIN_COUNT(options_table),
    .options_bytes = sizeof(basin__restore_options),
    .kinds = kinds,
    .examples = examples,
    .outputs = outputs,
    .runs_chains = true,
    .run = run,
};
