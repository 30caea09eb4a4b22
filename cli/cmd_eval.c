/* SPDX-License-Identifier: Apache-2.0 */
/*
 * basin eval: how good samples are, by several measures at once, each beside what real images get;
 * and how far a classifier's probabilities are to be believed.
 */
#include "base/file.h"
#include "eval/classify.h"
#include "eval/features.h"
#include "eval/frechet.h"
#include "eval/neighbours.h"
#include "eval/prdc.h"
#include "eval/unit.h"
#include "model.h"
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 24

typedef struct eval_options {
    char *samples, *data, *train, *features, *classifier, *picture, *reliability;
    int64_t most;
    double percentile;
    basin__data_choice choice;
    double black, white;
    bool json;
} eval_options;

#define AT(field) offsetof(eval_options, field)

static const basin__option options_table[] = {
    BASIN__TEXT_ROW("samples", AT(samples),
                    "Samples: an .npy file as `basin sample` writes it, or any data set"),
    BASIN__TEXT_ROW("data", AT(data),
                    "Real examples, NAME[:SPLIT], file or folder; without a split, test"),
    BASIN__TEXT_ROW("train", AT(train),
                    "What the model was trained on: real images to measure in place of samples, "
                    "and to look for copies in"),
    {"features", BASIN__OPTION_TEXT, AT(features), "pixels", 0, 0, NULL, NULL,
     "What distances compare: pixels, random (fixed random convolutions) or a model with features, "
     ".safetensors or run folder"},
    {"most", BASIN__OPTION_INT, AT(most), "10000", 6, 1e6, NULL, "examples",
     "Distances take the first so many of the samples and of the data"},
    {"percentile", BASIN__OPTION_FLOAT, AT(percentile), "1", 0, 100, NULL, NULL,
     "A sample is near the training set if nearer than so many percent of the data are"},
    BASIN__TEXT_ROW("classifier", AT(classifier),
                    "A classifier, .safetensors or run folder; if it has one output more than the "
                    "data have classes, the last one means none of these"),
    BASIN__TEXT_ROW("picture", AT(picture),
                    "Write samples beside their nearest training images as a PNG here"),
    BASIN__TEXT_ROW("reliability", AT(reliability),
                    "Write the classifier's reliability diagram on the data as a PNG here"),
    {"black", BASIN__OPTION_FLOAT, AT(black), "0", -1e6, 1e6, NULL, NULL,
     "Value of the samples that means black, with --white [told from the samples]"},
    {"white", BASIN__OPTION_FLOAT, AT(white), "1", -1e6, 1e6, NULL, NULL,
     "Value of the samples that means white"},
    BASIN__DATA_DIR_ROW(offsetof(eval_options, choice.data_dir)),
    BASIN__COUNT_ROW(offsetof(eval_options, choice.count)),
    BASIN__SEED_ROW(offsetof(eval_options, choice.seed)),
    {"json", BASIN__OPTION_FLAG, AT(json), NULL, 0, 0, NULL, NULL, "Print one JSON object"},
};

/** Examples on the scale [0, 1], and what the classifier gives for them. */
typedef struct set {
    basin_data *data; /* NULL: not asked for */
    const basin_data_info *info;
    basin__unit unit;
    float *logits; /* [count, outputs]; NULL: no classifier */
} set;

/** A line of the table: a measure of the samples and of real images. NaN: there is none. */
typedef struct row {
    const char *key, *name;
    double samples, samples_error, real, real_error;
} row;

typedef struct evaluation {
    const basin__command *command;
    const eval_options *options;
    basin_context *context;
    basin_energy *classifier;
    int outputs, classes;
    basin_energy *network; /* of the features; NULL: pixels */
    int64_t feature_count; /* 0: no distances */
    set samples, real, train;
    row rows[ROWS_MAX];
    int row_count;
    basin__calibration calibration;
} evaluation;

/* ---- data ---- */

/** Open a set and put it on the scale; `like` gives built-in images their size, or NULL. */
static basin_status open_set(const evaluation *all, const char *specification,
                             const basin_data_info *like, bool is_samples, set *out) {
    const basin__data_choice *choice = &all->options->choice;
    const bool is_given = is_samples && (basin__command_is_given(all->command, "black") ||
                                         basin__command_is_given(all->command, "white"));
    const float range[] = {(float)all->options->black, (float)all->options->white};
    basin_data_options options;
    basin_data *data, *scaled = NULL;
    basin_data_options_init(&options);
    options.folder = choice->data_dir;
    options.count_max = choice->count;
    options.built_in_count = choice->count;
    options.seed = (uint64_t)choice->seed;
    const int height = like ? like->height : all->classifier ? all->classifier->shape.height : 0;
    options.image_size = height > 1 ? height : 0;
    BASIN_TRY(basin_data_open(all->context, specification, &options, &data));
    const basin_data_info *info = basin_data_describe(data);
    const bool is_unit = info->low >= 0.0f && info->low <= 0.0f && info->high >= 1.0f &&
                         info->high <= 1.0f; /* said by the set, or seen: no need for a copy */
    out->unit = (basin__unit){.low = info->low, .high = info->high};
    if (info->is_image && (is_given || !is_unit)) {
        basin_status status = basin__unit_images(all->context, data, is_given ? range : NULL,
                                                 "--black and --white", &out->unit, &scaled);
        basin_data_close(data);
        BASIN_TRY(status);
        data = scaled;
    }
    out->data = data;
    out->info = basin_data_describe(data);
    return BASIN_OK;
}

static basin_status check_same_shape(const evaluation *all, const set *a, const set *b) {
    const basin_data_info *x = a->info, *y = b->info;
    if (x->height == y->height && x->width == y->width && x->channels == y->channels)
        return BASIN_OK;
    return basin__fail(all->context, BASIN_ERROR_SHAPE,
                       "%s has examples of %d x %d x %d (height, width, channels), %s of "
                       "%d x %d x %d; they must be the same",
                       x->name, x->height, x->width, x->channels, y->name, y->height, y->width,
                       y->channels);
}

static basin_status open_sets(evaluation *all) {
    const eval_options *options = all->options;
    const basin_data_info *like = NULL;
    if (options->samples) {
        BASIN_TRY(open_set(all, options->samples, NULL, true, &all->samples));
        like = all->samples.info;
    }
    BASIN_TRY(open_set(all, options->data, like, false, &all->real));
    if (options->train) {
        BASIN_TRY(open_set(all, options->train, all->real.info, false, &all->train));
        BASIN_TRY(check_same_shape(all, &all->train, &all->real));
    }
    return options->samples ? check_same_shape(all, &all->samples, &all->real) : BASIN_OK;
}

/* ---- measures ---- */

static row *add_row(evaluation *all, const char *key, const char *name, double samples,
                    double real) {
    row *line = &all->rows[all->row_count++];
    *line = (row){key, name, samples, NAN, real, NAN};
    return line;
}

/** Logits, which may be wanted; a non-finite one would count as some class. */
static basin_status classify(const evaluation *all, set *of) {
    const int64_t count = of->info->count;
    of->logits = basin__alloc_array(all->context, (size_t)(count * all->outputs), sizeof(float));
    if (!of->logits)
        return BASIN_ERROR_MEMORY;
    BASIN_TRY(basin__classify_data(all->classifier, of->data, 0, count, of->logits));
    for (int64_t i = 0; i < count * all->outputs; i++)
        if (!isfinite(of->logits[i]))
            return basin__fail(all->context, BASIN_ERROR_DIVERGED,
                               "the classifier's outputs for example %lld of %s are not finite",
                               (long long)(i / all->outputs), of->info->name);
    return BASIN_OK;
}

static basin_status load_classifier(evaluation *all) {
    const basin__model_options none = {0};
    BASIN_TRY(
        basin__model_load(all->command, all->options->classifier, &none, NULL, &all->classifier));
    all->outputs = basin_energy_logit_count(all->classifier);
    if (all->outputs > 0)
        return BASIN_OK;
    return basin__fail(all->context, BASIN_ERROR_CONFIG,
                       "--classifier %s gives no logits: it is not a classifier",
                       all->options->classifier);
}

/** How many of the classifier's outputs are classes of the data. */
static basin_status count_classes(evaluation *all) {
    const int labels = all->real.info->class_count;
    all->classes = labels > 0 ? labels : all->outputs;
    if (all->classes == all->outputs || all->classes + 1 == all->outputs)
        return BASIN_OK;
    return basin__fail(all->context, BASIN_ERROR_CONFIG,
                       "%s has %d classes and the classifier %d outputs: expected as many, or one "
                       "more for none of these",
                       all->real.info->name, labels, all->outputs);
}

/** The data's labels, and how often each class is among them. */
static basin_status read_labels(const evaluation *all, int **labels, double **histogram) {
    const int64_t count = all->real.info->count;
    *labels = basin__alloc_array(all->context, (size_t)count, sizeof(int));
    *histogram = basin__alloc_array(all->context, (size_t)all->classes, sizeof(double));
    if (!*labels || !*histogram)
        return BASIN_ERROR_MEMORY;
    for (int64_t i = 0; i < count; i++) {
        (*labels)[i] = basin_data_label(all->real.data, i);
        if ((*labels)[i] >= 0 && (*labels)[i] < all->classes)
            (*histogram)[(*labels)[i]] += 1;
    }
    return BASIN_OK;
}

static basin_status measure_legibility(evaluation *all, const double *histogram) {
    basin__legibility of[2] = {{0}, {0}};
    set *sets[] = {&all->samples, &all->real};
    double seen = 0;
    for (int c = 0; c < all->classes; c++)
        seen += histogram[c];
    for (int i = 0; i < 2; i++) {
        if (!sets[i]->data) {
            of[i] = (basin__legibility){
                .legible = NAN, .confident = NAN, .balance = NAN, .smallest_share = NAN};
            continue;
        }
        basin__probabilities(sets[i]->info->count, all->outputs, sets[i]->logits);
        BASIN_TRY(basin__legibility_of(all->context, sets[i]->info->count, all->outputs,
                                       all->classes, sets[i]->logits, seen > 0 ? histogram : NULL,
                                       &of[i]));
    }
    add_row(all, "legible", "legible: one class above 0.5", of[0].legible, of[1].legible);
    add_row(all, "confident", "confident: one class 0.9 or more", of[0].confident, of[1].confident);
    add_row(all, "class_balance", "class balance: entropy / log K", of[0].balance, of[1].balance);
    add_row(all, "smallest_class", "least class share / the data's", of[0].smallest_share,
            of[1].smallest_share);
    return BASIN_OK;
}

static void measure_calibration(evaluation *all, const int *labels) {
    const basin__calibration *found = &all->calibration;
    all->calibration =
        basin__calibration_of(all->real.info->count, all->outputs, labels, all->real.logits);
    if (found->count == 0)
        return;
    add_row(all, "accuracy", "the classifier's accuracy", NAN, found->accuracy);
    add_row(all, "ece", "its expected calibration error", NAN, found->ece);
    add_row(all, "nll", "its negative log likelihood, nats", NAN, found->nll);
    add_row(all, "brier", "its Brier score", NAN, found->brier);
}

static basin_status measure_classes(evaluation *all) {
    int *labels = NULL;
    double *histogram = NULL;
    BASIN_TRY(count_classes(all));
    if (all->samples.data)
        BASIN_TRY(classify(all, &all->samples));
    BASIN_TRY(classify(all, &all->real));
    basin_status status = read_labels(all, &labels, &histogram);
    if (status == BASIN_OK) {
        measure_calibration(all, labels);
        status = measure_legibility(all, histogram);
    }
    basin__free(all->context, labels);
    basin__free(all->context, histogram);
    if (status != BASIN_OK || !all->options->reliability)
        return status;
    if (all->calibration.count == 0)
        return basin__fail(all->context, BASIN_ERROR_CONFIG,
                           "--reliability: %s has no labels of the classifier's classes",
                           all->real.info->name);
    return basin__calibration_chart(all->context, all->options->reliability, &all->calibration);
}

/* ---- measures of distances ---- */

static basin_status load_features(evaluation *all) {
    const basin__model_options none = {0};
    const char *name = all->options->features;
    const basin_data_info *info = all->real.info;
    const basin_shape shape = {1, info->height, info->width, info->channels};
    if (strcmp(name, "pixels") == 0)
        return BASIN_OK;
    if (strcmp(name, "random") == 0)
        return basin__features_random(all->context, shape, &all->network);
    return basin__model_load(all->command, name, &none, NULL, &all->network);
}

/** The first `count` of a set; without the set, none. */
static basin_status read_features(const evaluation *all, const set *of, int64_t count,
                                  basin__features *features, float **x) {
    *features = (basin__features){0};
    *x = NULL;
    if (!of->data)
        return BASIN_OK;
    count = count < of->info->count ? count : of->info->count;
    return all->network ? basin__features_of_network(all->network, of->data, count, features, x)
                        : basin__features_of_values(all->context, of->data, count, features, x);
}

/** A column of the table. */
typedef struct distances {
    double frechet;
    basin__kernel_distance kernel;
    basin__prdc balls;
} distances;

static basin_status measure_pair(const evaluation *all, const basin__features *real,
                                 const basin__features *of, distances *out) {
    *out = (distances){NAN, {NAN, NAN, 0}, {NAN, NAN, NAN, NAN}};
    if (of->count == 0)
        return BASIN_OK;
    if (real->dimension <= BASIN__FRECHET_DIMENSION_MAX)
        BASIN_TRY(basin__frechet_distance(all->context, real, of, &out->frechet));
    BASIN_TRY(basin__kernel_distance_measure(all->context, real, of,
                                             (uint64_t)all->options->choice.seed, &out->kernel));
    return basin__prdc_measure(all->context, real, of, BASIN__PRDC_NEIGHBOURS, &out->balls);
}

static void add_distances(evaluation *all, const distances *samples, const distances *real) {
    add_row(all, "frechet", "Fréchet distance", samples->frechet, real->frechet);
    row *line = add_row(all, "kernel_distance", "kernel distance", samples->kernel.value,
                        real->kernel.value);
    line->samples_error = samples->kernel.error;
    line->real_error = real->kernel.error;
    const basin__prdc *a = &samples->balls, *b = &real->balls;
    add_row(all, "precision", "precision", a->precision, b->precision);
    add_row(all, "recall", "recall", a->recall, b->recall);
    add_row(all, "density", "density", a->density, b->density);
    add_row(all, "coverage", "coverage", a->coverage, b->coverage);
}

/** Samples against the data, and as many training images against them. */
static basin_status measure_distances(evaluation *all) {
    basin__features real, samples, train;
    float *real_x = NULL, *samples_x = NULL, *train_x = NULL;
    distances found[2];
    const int64_t most = all->options->most;
    BASIN_TRY(load_features(all));
    basin_status status = read_features(all, &all->real, most, &real, &real_x);
    if (status == BASIN_OK)
        status = read_features(all, &all->samples, most, &samples, &samples_x);
    if (status == BASIN_OK)
        status = read_features(all, &all->train, samples.count, &train, &train_x);
    double *mean = status == BASIN_OK && all->network
                       ? basin__alloc_array(all->context, (size_t)real.dimension, sizeof(double))
                       : NULL;
    if (status == BASIN_OK && all->network && !mean)
        status = BASIN_ERROR_MEMORY;
    if (status == BASIN_OK && mean) { /* a network's scale means nothing */
        double deviation;
        basin__features_scale(&real, mean, &deviation);
        basin__features_rescale(&real, real_x, mean, deviation);
        basin__features_rescale(&samples, samples_x, mean, deviation);
        basin__features_rescale(&train, train_x, mean, deviation);
    }
    if (status == BASIN_OK)
        status = measure_pair(all, &real, &samples, &found[0]);
    if (status == BASIN_OK)
        status = measure_pair(all, &real, &train, &found[1]);
    if (status == BASIN_OK) {
        all->feature_count = real.dimension;
        add_distances(all, &found[0], &found[1]);
    }
    basin__free(all->context, mean);
    basin__free(all->context, train_x);
    basin__free(all->context, samples_x);
    basin__free(all->context, real_x);
    return status;
}

/** Distances of the first `most` of a set to their nearest training images, new. */
static basin_status find_nearest(const evaluation *all, const set *of, const basin__features *train,
                                 int64_t *count, int64_t **index, double **distance) {
    basin__features features;
    float *x = NULL;
    *count = of->info->count < all->options->most ? of->info->count : all->options->most;
    *index = basin__alloc_array(all->context, (size_t)*count, sizeof(int64_t));
    *distance = basin__alloc_array(all->context, (size_t)*count, sizeof(double));
    basin_status status = *index && *distance ? BASIN_OK : BASIN_ERROR_MEMORY;
    if (status == BASIN_OK)
        status = basin__features_of_values(all->context, of->data, *count, &features, &x);
    if (status == BASIN_OK)
        status = basin__nearest_find(all->context, &features, train, 1, false, *index, *distance);
    basin__free(all->context, x);
    return status;
}

static basin_status measure_copies(evaluation *all) {
    basin__features train;
    float *train_x = NULL;
    int64_t count[2], *index[2] = {NULL, NULL};
    double *distance[2] = {NULL, NULL}, share[2] = {NAN, NAN};
    const set *sets[] = {&all->samples, &all->real};
    basin_status status = basin__features_of_values(all->context, all->train.data,
                                                    all->train.info->count, &train, &train_x);
    for (int i = 0; i < 2 && status == BASIN_OK; i++)
        status = find_nearest(all, sets[i], &train, &count[i], &index[i], &distance[i]);
    for (int i = 0; i < 2 && status == BASIN_OK; i++)
        status = basin__share_below(all->context, count[i], distance[i], count[1], distance[1],
                                    all->options->percentile, &share[i]);
    if (status == BASIN_OK)
        add_row(all, "near_train", "nearer to train than most data", share[0], share[1]);
    if (status == BASIN_OK && all->options->picture)
        status = basin__neighbours_picture(all->context, all->options->picture, all->samples.data,
                                           all->train.data, count[0], index[0], distance[0]);
    for (int i = 0; i < 2; i++) {
        basin__free(all->context, index[i]);
        basin__free(all->context, distance[i]);
    }
    basin__free(all->context, train_x);
    return status;
}

/* ---- what is printed ---- */

static void print_value(double value, double error) {
    char text[64] = "-";
    if (isfinite(value) && isfinite(error))
        snprintf(text, sizeof(text), "%.5g ± %.2g", value, error);
    else if (isfinite(value))
        snprintf(text, sizeof(text), "%.5g", value);
    /* The sign ± takes two bytes and one column. */
    printf("  %*s", isfinite(value) && isfinite(error) ? 21 : 20, text);
}

static void print_set(const char *role, const set *of) {
    if (!of->data)
        return;
    printf("%-9s %s, %lld examples", role, of->info->name, (long long)of->info->count);
    if (of->unit.clamped > 0)
        printf(", values %g to %g, of which %.2g %% lay outside and were clamped",
               (double)of->unit.low, (double)of->unit.high, 100 * of->unit.clamped);
    else if (of->info->is_image)
        printf(", values %g to %g", (double)of->unit.low, (double)of->unit.high);
    putchar('\n');
}

static void print_text(const evaluation *all) {
    print_set("samples", &all->samples);
    print_set("data", &all->real);
    print_set("train", &all->train);
    printf("\n%-36s  %20s  %20s\n", "", "samples", "real");
    for (int i = 0; i < all->row_count; i++) {
        const row *line = &all->rows[i];
        printf("%-36s", line->name);
        print_value(line->samples, line->samples_error);
        print_value(line->real, line->real_error);
        putchar('\n');
    }
    if (all->feature_count > 0)
        printf("\nDistances are of %lld features (%s): the Fréchet distance is not FID, which is "
               "defined by\nanother network. Compare it between equally many samples only.\n",
               (long long)all->feature_count, all->options->features);
}

static json_t *json_number(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *json_set(const set *of) {
    return json_pack("{s:o, s:I, s:f, s:f, s:f}", "data", basin__json_name(of->info->name), "count",
                     (json_int_t)of->info->count, "low", (double)of->unit.low, "high",
                     (double)of->unit.high, "clamped", of->unit.clamped);
}

static json_t *json_row(const row *line) {
    json_t *object = json_pack("{s:o, s:o}", "samples", json_number(line->samples), "real",
                               json_number(line->real));
    if (isfinite(line->samples_error))
        json_object_set_new(object, "samples_error", json_number(line->samples_error));
    if (isfinite(line->real_error))
        json_object_set_new(object, "real_error", json_number(line->real_error));
    return object;
}

static json_t *json_bins(const basin__calibration *found) {
    json_t *list = json_array();
    for (int b = 0; b < BASIN__CALIBRATION_BINS; b++)
        json_array_append_new(list, json_pack("{s:I, s:f, s:f}", "count",
                                              (json_int_t)found->bins[b].count, "confidence",
                                              found->bins[b].confidence, "accuracy",
                                              found->bins[b].accuracy));
    return list;
}

static basin_status print_json(const evaluation *all) {
    json_t *object = json_object(), *measures = json_object();
    const set *sets[] = {&all->samples, &all->real, &all->train};
    static const char *const roles[] = {"samples", "data", "train"};
    for (int i = 0; i < 3; i++)
        if (sets[i]->data)
            json_object_set_new(object, roles[i], json_set(sets[i]));
    for (int i = 0; i < all->row_count; i++)
        json_object_set_new(measures, all->rows[i].key, json_row(&all->rows[i]));
    json_object_set_new(object, "measures", measures);
    if (all->feature_count > 0)
        json_object_set_new(object, "features",
                            json_pack("{s:o, s:I}", "of", basin__json_name(all->options->features),
                                      "count", (json_int_t)all->feature_count));
    if (all->calibration.count > 0)
        json_object_set_new(object, "calibration_bins", json_bins(&all->calibration));
    char *text = object ? json_dumps(object, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(object);
    if (!text)
        return basin__fail(all->context, BASIN_ERROR_FORMAT,
                           "the result cannot be written as JSON");
    puts(text);
    free(text);
    return BASIN_OK;
}

/* ---- the verb ---- */

static basin_status evaluate(evaluation *all) {
    const eval_options *options = all->options;
    if (options->reliability)
        BASIN_TRY(basin__file_check_writable(all->context, options->reliability));
    if (options->classifier)
        BASIN_TRY(load_classifier(all));
    if (options->picture)
        BASIN_TRY(basin__file_check_writable(all->context, options->picture));
    BASIN_TRY(open_sets(all));
    if (options->samples)
        BASIN_TRY(measure_distances(all));
    if (options->samples && options->train)
        BASIN_TRY(measure_copies(all));
    if (options->classifier)
        BASIN_TRY(measure_classes(all));
    if (options->json)
        return print_json(all);
    print_text(all);
    return BASIN_OK;
}

static void close_set(basin_context *context, set *of) {
    basin__free(context, of->logits);
    basin_data_close(of->data);
}

static int run(basin__command *command) {
    const eval_options *options = command->options;
    if (!options->data)
        return basin__command_usage(command, "--data is missing");
    if (!options->samples && !options->classifier)
        return basin__command_usage(command, "--samples or --classifier is missing");
    if (!options->samples && (options->train || options->picture))
        return basin__command_usage(command, "--%s is for --samples, which is missing",
                                    options->train ? "train" : "picture");
    if (options->picture && !options->train)
        return basin__command_usage(command, "--picture needs --train");
    if (options->reliability && !options->classifier)
        return basin__command_usage(command, "--reliability needs --classifier");
    if (!options->features || !*options->features)
        return basin__command_usage(command, "--features is empty");
    evaluation *all = basin__alloc(command->context, sizeof *all);
    if (!all)
        return basin__command_fail(command, BASIN_ERROR_MEMORY);
    all->command = command;
    all->options = options;
    all->context = command->context;
    basin_status status = evaluate(all);
    close_set(command->context, &all->samples);
    close_set(command->context, &all->real);
    close_set(command->context, &all->train);
    basin_energy_destroy(all->network);
    basin_energy_destroy(all->classifier);
    basin__free(command->context, all);
    return status == BASIN_OK ? BASIN__EXIT_OK : basin__command_fail(command, status);
}

static const char *const examples[] = {
    "basin eval --samples samples.npy --data mnist --train mnist:train --picture nearest.png",
    "distances to the test images, and whether samples are copies of training images",
    "basin eval --samples samples.npy --data mnist --classifier runs/reader --json",
    "besides, how many samples a classifier can read",
    "basin eval --data mnist --classifier runs/reader --reliability reliability.png",
    "accuracy and calibration of a classifier",
    NULL,
};

const basin__verb basin__verb_eval = {
    .name = "eval",
    .help = "measure samples against real examples, or a classifier on labelled ones",
    .about =
        "Prints each measure of the samples, column samples, beside what real images get, column "
        "real: for distances to the data, those of as many training images; for what a classifier "
        "says, the data themselves. That is what perfect samples would get, but for chance. All "
        "images are put on "
        "the scale 0 to 1 first, and from there on the scale that each model takes.\n"
        "Fréchet distance: of Gaussians fitted to the features. On these features it is not FID, "
        "which is defined by a network of its own; it compares only between equally many samples, "
        "and with fewer samples than features it is mostly bias. Kernel distance: unbiased, with "
        "the standard error over subsets. Precision, recall, density and coverage: by the balls "
        "around each example that reach to its 5th nearest neighbour. Features of networks are "
        "scaled so that the data have unit variance.\n"
        "Legible: one of the classes has a probability above 0.5. Class balance: entropy of the "
        "likeliest classes over log K. Least class share: of all classes the least ratio of the "
        "share among samples to that among the data's labels.",
    .options = options_table,
    .option_count = BASIN_COUNT(options_table),
    .options_bytes = sizeof(eval_options),
    .examples = examples,
    .run = run,
};
