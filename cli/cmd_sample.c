/* SPDX-License-Identifier: Apache-2.0 */
/*
 * basin sample: run chains with the sampler that a model was trained with, and
 * write where they end as a picture, an array or a folder of pictures; and say what that cost.
 */
#include "base/file.h"
#include "io/image.h"
#include "io/npy.h"
#include "model.h"
#include "progress.h"
#include "train/buffer.h"
#include "watch.h"
#include <basin/sample.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct sample_options {
    basin__model_options model;
    int64_t n, seed, columns, zoom, class_label;
    bool classes;
    char *from, *out, *labels_out, *sampler, *data_dir;
    basin__watch_options watch;
    bool force, json;
} sample_options;

#define AT(field) offsetof(sample_options, field)

static const basin__option options_table[] = {
    BASIN__MODEL_ROW,
    BASIN__ENERGY_ROW,
    {"n", BASIN__OPTION_INT, AT(n), "64", 1, 1e7, NULL, "chains", "Number of samples"},
    {"from", BASIN__OPTION_TEXT, AT(from), "noise", 0, 0, NULL, NULL,
     "Start: noise, buffer (the run's replay buffer), or a data set NAME[:SPLIT], file or folder"},
    {"out", BASIN__OPTION_TEXT, AT(out), "samples.png", 0, 0, NULL, NULL,
     "A grid X.png, an array X.npy [n, height, width, channels], or a folder X/ of PNGs"},
    {"force", BASIN__OPTION_FLAG, AT(force), NULL, 0, 0, NULL, NULL,
     "Write into a folder that is not empty"},
    {"seed", BASIN__OPTION_INT, AT(seed), "0", 0, BASIN__SEED_MAX, NULL, NULL,
     "One seed gives the same samples for any number of threads"},
    {"columns", BASIN__OPTION_INT, AT(columns), "0", 0, 10000, NULL, "cells",
     "Columns of the grid; 0: the square root of n"},
    {"zoom", BASIN__OPTION_INT, AT(zoom), "2", 1, 64, NULL, "pixels",
     "Size of a pixel in the grid"},
    {"class", BASIN__OPTION_INT, AT(class_label), "-1", -1, 1e6, NULL, NULL,
     "Class of all samples, of models that take one; -1: none"},
    {"classes", BASIN__OPTION_FLAG, AT(classes), NULL, 0, 0, NULL, NULL,
     "Class i mod the number of classes for sample i"},
    BASIN__TEXT_ROW("labels-out", AT(labels_out),
                    "Write the class that each sample was asked for, -1: none, to this .npy file"),
    BASIN__WATCH_ROWS,
    BASIN__NOISE_LEVEL_ROW,
    BASIN__DATA_DIR_ROW(AT(data_dir)),
    BASIN__NETWORK_ROW,
    BASIN__SHAPE_ROW,
    {"sampler", BASIN__OPTION_TEXT, AT(sampler), "langevin", 0, 0, NULL, NULL,
     "Sampler; its options below are by default those the model was trained with"},
    {"json", BASIN__OPTION_FLAG, AT(json), NULL, 0, 0, NULL, NULL,
     "Print one JSON object: energy, temperature and cost of the samples"},
};

typedef enum form { FORM_PNG, FORM_NPY, FORM_FOLDER, FORM_UNKNOWN } form;

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), end_length = strlen(end);
    return length > end_length && strcmp(text + length - end_length, end) == 0;
}

static form form_of(const char *out) {
    if (ends_with(out, "/") || basin__path_is_folder(out))
        return FORM_FOLDER;
    if (ends_with(out, ".png"))
        return FORM_PNG;
    return ends_with(out, ".npy") ? FORM_NPY : FORM_UNKNOWN;
}

/* ---- starts ---- */

/** Classes of the buffer's chains: what is no class of the model becomes none. */
static basin_status take_classes(const sample_options *options, const basin_energy *energy,
                                 const int32_t *classes, int **labels) {
    *labels = basin__alloc_array(energy->context, (size_t)options->n, sizeof(int));
    if (!*labels)
        return BASIN_ERROR_MEMORY;
    for (int64_t i = 0; i < options->n; i++)
        (*labels)[i] = classes[i] < energy->condition.class_count ? classes[i] : -1;
    return BASIN_OK;
}

/** The n first chains of the buffer beside the model, and their classes (NULL: they have none). */
static basin_status start_from_buffer(const sample_options *options, basin_energy *energy, float *x,
                                      int **labels) {
    basin_context *context = energy->context;
    char *file = NULL, *path = NULL;
    float *chains = NULL;
    int32_t *classes = NULL;
    int64_t count = 0, size = basin_shape_count(energy->shape);
    if (options->model.energy)
        return basin__fail(context, BASIN_ERROR_CONFIG,
                           "--from buffer is of a model's run, and an expression has none");
    BASIN_TRY(basin__model_find(context, options->model.model, &file));
    char *slash = strrchr(file, '/');
    if (slash)
        *slash = '\0';
    path = basin__format(context, "%s/buffer.safetensors", slash ? file : ".");
    basin_status status = path ? BASIN_OK : BASIN_ERROR_MEMORY;
    if (status == BASIN_OK)
        status = basin__buffer_read(context, path, energy->shape, &count, &chains, &classes);
    if (status == BASIN_OK && count < options->n)
        status =
            basin__fail(context, BASIN_ERROR_CONFIG, "%s holds %lld chains; --n %lld asks for more",
                        path, (long long)count, (long long)options->n);
    if (status == BASIN_OK)
        memcpy(x, chains, (size_t)(options->n * size) * sizeof(float));
    if (status == BASIN_OK && classes && energy->condition.class_count > 0)
        status = take_classes(options, energy, classes, labels);
    basin__free(context, chains);
    basin__free(context, classes);
    basin__free(context, path);
    basin__free(context, file);
    return status;
}

static basin_status start_from_data(const basin__command *command, const sample_options *options,
                                    basin_energy *energy, float *x) {
    basin__data_choice choice = {
        .data_dir = options->data_dir, .count = options->n, .seed = options->seed};
    int64_t size = basin_shape_count(energy->shape);
    basin_data *data;
    BASIN_TRY(basin__data_choose(command, &choice, options->from, energy, &data));
    const basin_data_info *info = basin_data_describe(data);
    basin_status status = basin__energy_takes(energy, info);
    if (status == BASIN_OK && info->count < options->n)
        status = basin__fail(command->context, BASIN_ERROR_CONFIG,
                             "%s holds %lld examples; --n %lld asks for more", info->name,
                             (long long)info->count, (long long)options->n);
    if (status == BASIN_OK) {
        for (int64_t i = 0; i < options->n; i++)
            basin_data_get(data, i, x + i * size);
        basin__energy_adapt(energy, info, x, options->n * size);
    }
    basin_data_close(data);
    return status;
}

static basin_status start(const basin__command *command, basin_energy *energy, float *x,
                          int **labels) {
    const sample_options *options = command->options;
    if (strcmp(options->from, "noise") == 0)
        return BASIN_OK;
    return strcmp(options->from, "buffer") == 0 ? start_from_buffer(options, energy, x, labels)
                                                : start_from_data(command, options, energy, x);
}

/* ---- chains ---- */

/**
 * A class for each sample, NULL: they have one in common, or none. Asked for, they replace those
 * that came with the starts.
 */
static basin_status make_labels(const sample_options *options, const basin_energy *energy,
                                int **out) {
    if (options->classes || options->class_label >= 0) {
        basin__free(energy->context, *out);
        *out = NULL;
    }
    if (!options->classes)
        return BASIN_OK;
    if (options->class_label >= 0)
        return basin__fail(energy->context, BASIN_ERROR_CONFIG,
                           "--class %lld and --classes contradict each other",
                           (long long)options->class_label);
    if (energy->condition.class_count == 0)
        return basin__fail(energy->context, BASIN_ERROR_CONFIG,
                           "--classes: the model takes no class");
    *out = basin__alloc_array(energy->context, (size_t)options->n, sizeof(int));
    for (int64_t i = 0; *out && i < options->n; i++)
        (*out)[i] = (int)(i % energy->condition.class_count);
    return *out ? BASIN_OK : BASIN_ERROR_MEMORY;
}

/** What is told of the samples. */
typedef struct summary {
    double energy; /* mean */
    basin_temperature temperature;
    double evaluations; /* of the gradient, a sample */
    double flops;       /* of them: 2 x multiply-adds of the direct convolutions and products */
    double seconds;     /* on all threads, a sample */
    basin__watch watch;
} summary;

static basin_status run_chains(basin__command *command, basin_energy *energy, float *x,
                               const int *labels, summary *all) {
    const sample_options *options = command->options;
    const basin__option_group *group = basin__command_group(command, "sampler");
    const char *trained = basin__energy_noted(energy, "sampler");
    basin_sample_options sampling;
    basin_sample_options_init(&sampling);
    bool is_trained = !basin__command_is_given(command, "sampler") && trained;
    if (is_trained && group->is_set != 0 && strcmp(trained, options->sampler) != 0)
        return basin__fail(command->context, BASIN_ERROR_CONFIG,
                           "%s sampler %s: give --sampler %s to change its options, or "
                           "--sampler %s",
                           options->model.energy ? "expressions like this one are walked by"
                                                 : "the model was trained with",
                           trained, trained, options->sampler);
    char *settings = basin__command_settings(command, "sampler");
    sampling.sampler = is_trained ? trained : options->sampler;
    sampling.settings = settings;
    sampling.seed = (uint64_t)options->seed;
    sampling.is_started = strcmp(options->from, "noise") != 0;
    sampling.labels = labels;
    sampling.class_label = (int)options->class_label;
    sampling.noise_level = options->model.noise_level;
    sampling.evaluations = &all->evaluations;
    basin__watch_begin(&all->watch, &sampling);
    basin_status status =
        settings ? basin__energy_ready(energy)
                 : basin__fail(command->context, BASIN_ERROR_MEMORY, "no memory for options");
    const double start_s = basin__seconds();
    if (status == BASIN_OK)
        status = basin_sample(energy, &sampling, options->n, x, &all->temperature);
    all->seconds = (basin__seconds() - start_s) / (double)options->n;
    if (status == BASIN_OK)
        all->flops =
            all->evaluations * basin__plan_describe(basin__energy_chain_plan(energy)).flops;
    free(settings);
    return status;
}

/* ---- what is written ---- */

static basin_status check_out(const basin__command *command, const sample_options *options,
                              const basin_energy *energy) {
    basin_shape shape = energy->shape;
    form as = form_of(options->out);
    bool is_picture =
        shape.height * shape.width > 1 && (shape.channels == 1 || shape.channels == 3);
    const bool is_grid =
        basin__command_is_given(command, "columns") || basin__command_is_given(command, "zoom");
    if (is_grid && as != FORM_PNG && !options->watch.animation)
        return basin__fail(energy->context, BASIN_ERROR_CONFIG,
                           "--columns and --zoom are of a grid: give --out X.png or --animation");
    if (as == FORM_UNKNOWN)
        return basin__fail(energy->context, BASIN_ERROR_CONFIG,
                           "--out %s is neither X.png, X.npy nor a folder X/", options->out);
    if (as != FORM_NPY && !is_picture)
        return basin__fail(energy->context, BASIN_ERROR_CONFIG,
                           "samples of %d x %d x %d are no pictures: write them with --out X.npy",
                           shape.height, shape.width, shape.channels);
    if (as != FORM_FOLDER)
        return basin__file_check_writable(energy->context, options->out);
    if (basin__path_is_folder(options->out) && !options->force) {
        char **names;
        size_t count;
        BASIN_TRY(basin__folder_list(energy->context, options->out, &names, &count));
        for (size_t i = 0; i < count; i++)
            basin__free(energy->context, names[i]);
        basin__free(energy->context, names);
        if (count > 0)
            return basin__fail(energy->context, BASIN_ERROR_CONFIG,
                               "folder %s is not empty; --force writes into it", options->out);
    }
    return BASIN_OK;
}

/** The class of each sample, which --class may have given to all. */
static basin_status write_labels(const sample_options *options, const basin_energy *energy,
                                 const int *labels) {
    int32_t *values = basin__alloc_array(energy->context, (size_t)options->n, sizeof *values);
    if (!values)
        return BASIN_ERROR_MEMORY;
    for (int64_t i = 0; i < options->n; i++)
        values[i] = (int32_t)(labels ? labels[i] : options->class_label);
    basin_status status =
        basin__npy_write_ints(energy->context, options->labels_out, values, 1, &options->n);
    basin__free(energy->context, values);
    return status;
}

static basin_status check_labels(const sample_options *options, const basin_energy *energy,
                                 const int *labels) {
    if (!options->labels_out)
        return BASIN_OK;
    if (!labels && options->class_label < 0)
        return basin__fail(energy->context, BASIN_ERROR_CONFIG,
                           "--labels-out %s: no class is asked for: give --class or --classes",
                           options->labels_out);
    if (!ends_with(options->labels_out, ".npy"))
        return basin__fail(energy->context, BASIN_ERROR_CONFIG, "--labels-out %s is no X.npy",
                           options->labels_out);
    return basin__file_check_writable(energy->context, options->labels_out);
}

static basin_status write_grid(const basin_energy *energy, const char *path, const float *x,
                               int64_t n, int columns, int zoom) {
    basin__image grid = {0};
    BASIN_TRY(basin__sample_grid(energy, x, n, columns, zoom, &grid));
    basin_status status = basin__png_write(energy->context, path, &grid);
    basin__image_reset(energy->context, &grid);
    return status;
}

/** One sample as a PNG of its own size, without the grid's gap. */
static basin_status write_picture(const basin_energy *energy, const char *path, const float *x) {
    basin__image image = {0};
    basin_shape shape = energy->shape;
    basin__range range = basin__energy_range(energy);
    BASIN_TRY(
        basin__image_init(energy->context, &image, shape.height, shape.width, shape.channels));
    for (int64_t i = 0; i < basin_shape_count(shape); i++) {
        float level = (x[i] - range.low) / (range.high - range.low) * 255.0f;
        image.pixels[i] = (unsigned char)(level <= 0.0f     ? 0.0f
                                          : level >= 255.0f ? 255.0f
                                                            : level + 0.5f);
    }
    basin_status status = basin__png_write(energy->context, path, &image);
    basin__image_reset(energy->context, &image);
    return status;
}

static basin_status write_folder(const basin_energy *energy, const char *folder, const float *x,
                                 int64_t n) {
    int64_t size = basin_shape_count(energy->shape);
    for (int64_t i = 0; i < n; i++) {
        char *path = basin__format(energy->context, "%s%s%06lld.png", folder,
                                   ends_with(folder, "/") ? "" : "/", (long long)i);
        basin_status status = path ? write_picture(energy, path, x + i * size) : BASIN_ERROR_MEMORY;
        basin__free(energy->context, path);
        BASIN_TRY(status);
    }
    return BASIN_OK;
}

static basin_status write_samples(const sample_options *options, const basin_energy *energy,
                                  const float *x) {
    basin_shape shape = energy->shape;
    bool is_point = shape.height == 1 && shape.width == 1;
    const int64_t image_dim[] = {options->n, shape.height, shape.width, shape.channels};
    const int64_t point_dim[] = {options->n, shape.channels};
    switch (form_of(options->out)) {
    case FORM_PNG:
        return write_grid(energy, options->out, x, options->n, (int)options->columns,
                          (int)options->zoom);
    case FORM_NPY:
        return basin__npy_write(energy->context, options->out, x, is_point ? 2 : 4,
                                is_point ? point_dim : image_dim);
    default:
        return write_folder(energy, options->out, x, options->n);
    }
}

static void print_json(const basin__command *command, const summary *all) {
    const sample_options *options = command->options;
    printf("{\"out\": ");
    basin__print_json_text(options->out);
    printf(", \"count\": %lld, \"mean_energy\": ", (long long)options->n);
    basin__print_json_number(all->energy);
    printf(", \"temperature\": ");
    basin__print_json_number(all->temperature.value);
    printf(", \"temperature_is_exact\": %s, \"evaluations_per_sample\": ",
           all->temperature.is_exact ? "true" : "false");
    basin__print_json_number(all->evaluations);
    printf(", \"flops_per_sample\": %.0f, \"time_s_per_sample\": %.6g, \"threads\": %d}\n",
           all->flops, all->seconds, basin_context_thread_count(command->context));
}

static void print_text(const basin__command *command, const summary *all) {
    const sample_options *options = command->options;
    const int threads = basin_context_thread_count(command->context);
    const bool is_large = all->flops >= 1e9;
    fprintf(stderr, "%s: %lld samples, mean energy %.6g, temperature %.4g (%s)\n", options->out,
            (long long)options->n, all->energy, all->temperature.value,
            all->temperature.is_exact ? "exact" : "nominal");
    fprintf(stderr, "a sample: %.6g evaluations of the gradient, %.4g %s, %.4g ms on %d thread%s\n",
            all->evaluations, all->flops / (is_large ? 1e9 : 1e6), is_large ? "GFLOP" : "MFLOP",
            1e3 * all->seconds, threads, threads == 1 ? "" : "s");
}

static basin_status sample(basin__command *command, basin_energy *energy) {
    const sample_options *options = command->options;
    basin_context *context = command->context;
    BASIN_TRY(check_out(command, options, energy));
    BASIN_TRY(basin__watch_check(&options->watch, energy));
    size_t count = (size_t)options->n, size = (size_t)basin_shape_count(energy->shape);
    float *x = basin__alloc_array(context, count, size * sizeof(float));
    double *energies = basin__alloc_array(context, count, sizeof(double));
    summary all = {.watch = {.asked = &options->watch,
                             .energy = energy,
                             .columns = (int)options->columns,
                             .zoom = (int)options->zoom}};
    int *labels = NULL;
    basin_status status = x && energies ? BASIN_OK : BASIN_ERROR_MEMORY;
    if (status == BASIN_OK)
        status = start(command, energy, x, &labels);
    if (status == BASIN_OK)
        status = make_labels(options, energy, &labels);
    if (status == BASIN_OK)
        status = check_labels(options, energy, labels);
    if (status == BASIN_OK && form_of(options->out) == FORM_FOLDER)
        status = basin__folder_create(context, options->out); /* now, not after hours of chains */
    if (status == BASIN_OK)
        status = run_chains(command, energy, x, labels, &all);
    if (status == BASIN_OK)
        status = basin_energy_evaluate(energy, options->n, x, energies, NULL);
    if (status == BASIN_OK)
        status = write_samples(options, energy, x);
    if (status == BASIN_OK && options->labels_out)
        status = write_labels(options, energy, labels);
    if (status == BASIN_OK)
        status = basin__watch_write(&all.watch, all.temperature.value);
    for (size_t i = 0; status == BASIN_OK && i < count; i++)
        all.energy += energies[i] / (double)count;
    if (status == BASIN_OK && !command->is_quiet)
        print_text(command, &all);
    if (status == BASIN_OK && options->json)
        print_json(command, &all);
    basin__free(context, x);
    basin__free(context, energies);
    basin__free(context, labels);
    basin__watch_reset(&all.watch);
    return status;
}

static int run(basin__command *command) {
    const sample_options *options = command->options;
    basin_energy *energy;
    const bool has_model = !basin__model_is_missing(&options->model);
    if (!has_model || !options->out || !options->from)
        return basin__command_usage(command, "--%s is missing",
                                    !has_model      ? "model"
                                    : !options->out ? "out"
                                                    : "from");
    basin_status status = basin__model_open(command, &options->model, NULL, &energy);
    if (status == BASIN_OK)
        status = sample(command, energy);
    basin_energy_destroy(energy);
    return status == BASIN_OK ? BASIN__EXIT_OK : basin__command_fail(command, status);
}

static const char *const kinds[] = {"sampler", NULL};

static const char *const outputs[] = {"out", "labels-out", "walks", "animation", NULL};

static const char *const companions[][2] = {
    {"frames", "animation"}, {"frames-of", "animation"}, {NULL}};

static const char *const examples[] = {
    "basin sample --model runs/mnist --n 64 --n-steps 256 --out samples.png",
    "a grid of 64 images, each from noise",
    "basin sample --model runs/mnist --from buffer --n 1000 --out samples.npy",
    "go on from the chains of the training",
    "basin sample --model runs/moons --n 6 --n-steps 300 --out s.npy --walks walks.png",
    "six chains in the plane, and how they got there",
    "basin sample --model models/mnist-unet.safetensors --n 25 --animation digits.gif",
    "digits as they come out of noise",
    "basin sample --model runs/mnist --from photos/ --n 10 --out moved/",
    "start from given images",
    "basin sample --model runs/flow --n 1000 --classes --out s.npy --labels-out s-labels.npy",
    "a hundred of each of ten classes, and which is which, for basin eval --asked",
    NULL,
};

const basin__verb basin__verb_sample = {
    .name = "sample",
    .help = "draw samples from a model",
    .about =
        "Runs independent chains with the sampler, steps, noise and clipping that the model "
        "was trained with, but for the options given. Defaults shown for the sampler's options "
        "are used where the model does not say how it was trained.\n"
        "Cost of a sample: evaluations of the gradient, twice as many under guidance, and up to a "
        "chain's own end where steps are its own; their operations, counted as basin bench does; "
        "and the time on all threads over the number of samples.",
    .options = options_table,
    .option_count = BASIN_COUNT(options_table),
    .options_bytes = sizeof(sample_options),
    .kinds = kinds,
    .examples = examples,
    .outputs = outputs,
    .companions = companions,
    .runs_chains = true,
    .run = run,
};
