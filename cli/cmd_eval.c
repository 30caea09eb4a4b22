/* SPDX-License-Identifier: Apache-2.0 */
/*
 * basin eval: how good samples are, by several measures at once, each beside what real images get;
 * how far a classifier's probabilities are to be believed; and how likely the data are.
 */
#include "base/file.h"
#include "data/set.h"
#include "eval.h"
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define AT(field) offsetof(basin__eval_options, field)

static const basin__option options_table[] = {
    BASIN__TEXT_ROW("samples", AT(samples),
                    "Samples: an .npy file as `basin sample` writes it, or any data set"),
    BASIN__TEXT_ROW("data", AT(data),
                    "Real examples, NAME[:SPLIT], file or folder; without a split, test"),
    BASIN__TEXT_ROW("train", AT(train),
                    "What the model was trained on: real images to measure in place of samples, "
                    "and to look for copies in"),
    {"features", BASIN__OPTION_TEXT, AT(features), "pixels", 0, 0, NULL, NULL,
     "What distances compare: pixels, random (fixed random convolutions), a model with features, "
     ".safetensors or run folder, or none: these measures are left out"},
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
    BASIN__TEXT_ROW(
        "asked", AT(asked),
        "Class that each sample was asked for, an .npy file as `basin sample "
        "--labels-out` writes it, or one class of all: how often the classifier agrees"),
    {"likelihood", BASIN__OPTION_FLAG, AT(flow.is_wanted), NULL, 0, 0, NULL, NULL,
     "How likely the data are to the probability-flow ODE of --model"},
    BASIN__MODEL_ROW,
    BASIN__ENERGY_ROW,
    {"bits", BASIN__OPTION_INT, AT(flow.bits), "8", 0, 16, NULL, "bits",
     "Likelihood of images: of levels of so many bits, dequantised by uniform noise; 0, and of "
     "points: a density"},
    {"given-class", BASIN__OPTION_FLAG, AT(flow.given_class), NULL, 0, 0, NULL, NULL,
     "Likelihood of each example given its label, of models that take a class"},
    {"exact-trace", BASIN__OPTION_FLAG, AT(flow.is_exact), NULL, 0, 0, NULL, NULL,
     "Add up the trace element by element, for few dimensions; else random directions estimate it"},
    {"repeats", BASIN__OPTION_INT, AT(flow.repeats), "0", 0, 1e6, NULL, "runs",
     "Runs an example, each with a random direction and noise of its own; 0: two, or one where "
     "nothing is drawn"},
    {"sigma-max", BASIN__OPTION_FLOAT, AT(flow.sigma_max), "0", 0, 1e6, NULL, NULL,
     "Noise level where the flow starts; 0: the highest that the model was trained at"},
    {"sigma-min", BASIN__OPTION_FLOAT, AT(flow.sigma_min), "0", 0, 1e6, NULL, NULL,
     "Noise level where it ends; 0: the lowest"},
    {"tolerance-absolute", BASIN__OPTION_FLOAT, AT(flow.absolute), "1e-5", 1e-12, 1, NULL, NULL,
     "Error that a step of the flow may have"},
    {"tolerance-relative", BASIN__OPTION_FLOAT, AT(flow.relative), "1e-5", 1e-6, 1, NULL, NULL,
     "The same, in proportion to the value"},
    {"evaluations-max", BASIN__OPTION_INT, AT(flow.evaluations_max), "2000", 16, 1e9, NULL,
     "evaluations", "A run of the flow that needs more is an error"},
    {"error-wanted", BASIN__OPTION_FLOAT, AT(flow.error_wanted), "0.01", 1e-9, 1e9, NULL, NULL,
     "Standard error of the likelihood, in bits per dimension or, of densities, nats: if it is "
     "larger, how many examples would do is said"},
    {"black", BASIN__OPTION_FLOAT, AT(black), "0", -1e6, 1e6, NULL, NULL,
     "Value of the samples that means black, with --white [told from the samples]"},
    {"white", BASIN__OPTION_FLOAT, AT(white), "1", -1e6, 1e6, NULL, NULL,
     "Value of the samples that means white"},
    BASIN__DATA_DIR_ROW(offsetof(basin__eval_options, choice.data_dir)),
    BASIN__COUNT_ROW(offsetof(basin__eval_options, choice.count)),
    BASIN__SEED_ROW(offsetof(basin__eval_options, choice.seed)),
    {"json", BASIN__OPTION_FLAG, AT(json), NULL, 0, 0, NULL, NULL, "Print one JSON object"},
};

/* ---- data ---- */

/** Open a set and put it on the scale; `like` gives built-in images their size, or NULL. */
static basin_status open_set(const basin__evaluation *all, const char *specification,
                             const basin_data_info *like, bool is_samples, basin__eval_set *out) {
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
    const basin_energy *model = all->classifier ? all->classifier : all->flow.model;
    const int height = like ? like->height : model ? model->shape.height : 0;
    options.image_size = height > 1 ? height : 0;
    BASIN_TRY(basin_data_open(all->context, specification, &options, &data));
    const basin_data_info *info = basin_data_describe(data);
    const bool is_unit = info->low >= 0.0f && info->low <= 0.0f && info->high >= 1.0f &&
                         info->high <= 1.0f && !basin__data_range_is_guessed(data);
    out->unit = (basin__unit){.low = info->low, .high = info->high};
    if (!info->is_image && is_given) {
        basin_data_close(data);
        return basin__fail(all->context, BASIN_ERROR_CONFIG,
                           "--black and --white are for images, and %s holds points: leave them "
                           "away",
                           specification);
    }
    if (info->is_image && (is_given || !is_unit)) { /* else there is no need for a copy */
        basin_status status =
            basin__unit_images(all->context, data, is_given ? range : NULL,
                               is_samples ? "--black and --white" : NULL, &out->unit, &scaled);
        basin_data_close(data);
        BASIN_TRY(status);
        data = scaled;
    }
    out->data = data;
    out->info = basin_data_describe(data);
    return BASIN_OK;
}

static basin_status check_same_shape(const basin__evaluation *all, const basin__eval_set *a,
                                     const basin__eval_set *b) {
    const basin_data_info *x = a->info, *y = b->info;
    if (x->height == y->height && x->width == y->width && x->channels == y->channels)
        return BASIN_OK;
    return basin__fail(all->context, BASIN_ERROR_SHAPE,
                       "%s has examples of %d x %d x %d (height, width, channels), %s of "
                       "%d x %d x %d; they must be the same",
                       x->name, x->height, x->width, x->channels, y->name, y->height, y->width,
                       y->channels);
}

static basin_status open_sets(basin__evaluation *all) {
    const basin__eval_options *options = all->options;
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

/** Logits, which may be wanted; a non-finite one would count as some class. */
static basin_status classify(const basin__evaluation *all, basin__eval_set *of) {
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

static basin_status load_classifier(basin__evaluation *all) {
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

/** Whether the classifier's last output is "none of these": it was trained on a set with wrecks. */
static bool has_none(const basin_energy *classifier) {
    const char *data = basin__energy_noted(classifier, "data");
    return data && strncmp(data, "with-wrecks:", 12) == 0;
}

/**
 * How many of the classifier's outputs are classes of the data: all, or all but the last, where
 * that is for none of these.
 */
static basin_status count_classes(basin__evaluation *all) {
    const int labels = all->real.info->class_count;
    all->classes = labels > 0 ? labels : all->outputs;
    if (has_none(all->classifier) && all->classes == all->outputs)
        all->classes--;
    if (all->classes == all->outputs || all->classes + 1 == all->outputs)
        return BASIN_OK;
    return basin__fail(all->context, BASIN_ERROR_CONFIG,
                       "%s has %d classes and the classifier %d outputs: expected as many, or one "
                       "more for none of these",
                       all->real.info->name, labels, all->outputs);
}

/** The data's labels, and how often each class is among them. */
static basin_status read_labels(const basin__evaluation *all, int **labels, double **histogram) {
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

static basin_status measure_legibility(basin__evaluation *all, const double *histogram) {
    basin__legibility of[2] = {{0}, {0}};
    basin__eval_set *sets[] = {&all->samples, &all->real};
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
    basin__eval_add(all, "legible", "legible: one class above 0.5", of[0].legible, of[1].legible);
    basin__eval_add(all, "confident", "confident: one class 0.9 or more", of[0].confident,
                    of[1].confident);
    basin__eval_add(all, "class_balance", "class balance: entropy / log K", of[0].balance,
                    of[1].balance);
    basin__eval_add(all, "smallest_class_share", "least class share / the data's",
                    of[0].smallest_share, of[1].smallest_share);
    return BASIN_OK;
}

static void measure_calibration(basin__evaluation *all, const int *labels) {
    const basin__calibration *found = &all->calibration;
    all->calibration =
        basin__calibration_of(all->real.info->count, all->outputs, labels, all->real.logits);
    if (found->count == 0)
        return;
    basin__eval_add(all, "accuracy", "the classifier's accuracy", NAN, found->accuracy);
    basin__eval_add(all, "ece", "its expected calibration error", NAN, found->ece);
    basin__eval_add(all, "nll", "its negative log likelihood, nats", NAN, found->nll);
    basin__eval_add(all, "brier", "its Brier score", NAN, found->brier);
}

static basin_status measure_classes(basin__evaluation *all) {
    int *labels = NULL;
    double *histogram = NULL;
    if (all->samples.data)
        BASIN_TRY(classify(all, &all->samples));
    BASIN_TRY(classify(all, &all->real));
    basin_status status = read_labels(all, &labels, &histogram);
    if (status == BASIN_OK) {
        measure_calibration(all, labels);
        status = measure_legibility(all, histogram);
    }
    if (status == BASIN_OK && all->asked.labels)
        basin__eval_asked_measure(all, labels);
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

/* ---- the verb ---- */

static basin_status evaluate(basin__evaluation *all) {
    const basin__eval_options *options = all->options;
    if (options->reliability)
        BASIN_TRY(basin__file_check_writable(all->context, options->reliability));
    if (options->classifier)
        BASIN_TRY(load_classifier(all));
    if (options->flow.is_wanted)
        BASIN_TRY(basin__eval_flow_load(all));
    if (options->picture)
        BASIN_TRY(basin__file_check_writable(all->context, options->picture));
    BASIN_TRY(open_sets(all));
    if (options->classifier)
        BASIN_TRY(count_classes(all));
    if (options->asked)
        BASIN_TRY(basin__eval_asked_read(all));
    if (options->samples && strcmp(options->features, "none") != 0)
        BASIN_TRY(basin__eval_distances(all));
    if (options->samples && options->train)
        BASIN_TRY(basin__eval_copies(all));
    if (options->classifier)
        BASIN_TRY(measure_classes(all));
    if (options->flow.is_wanted)
        BASIN_TRY(basin__eval_flow_measure(all));
    if (options->json)
        return basin__eval_print_json(all);
    basin__eval_print_text(all);
    return BASIN_OK;
}

static void close_set(basin_context *context, basin__eval_set *of) {
    basin__free(context, of->logits);
    basin_data_close(of->data);
}

/** BASIN__EXIT_USAGE where an option is given that is for another one, which is not. */
static int refuse_orphans(const basin__command *command) {
    static const struct {
        const char *name, *of;
    } orphans[] = {{"train", "samples"},
                   {"picture", "samples"},
                   {"features", "samples"},
                   {"most", "samples"},
                   {"percentile", "samples"},
                   {"black", "samples"},
                   {"white", "samples"},
                   {"asked", "samples"},
                   {"model", "likelihood"},
                   {"bits", "likelihood"},
                   {"given-class", "likelihood"},
                   {"exact-trace", "likelihood"},
                   {"repeats", "likelihood"},
                   {"sigma-max", "likelihood"},
                   {"sigma-min", "likelihood"},
                   {"tolerance-absolute", "likelihood"},
                   {"tolerance-relative", "likelihood"},
                   {"evaluations-max", "likelihood"},
                   {"error-wanted", "likelihood"}};
    const basin__eval_options *options = command->options;
    for (size_t i = 0; i < BASIN_COUNT(orphans); i++) {
        const bool has_parent = strcmp(orphans[i].of, "samples") == 0 ? options->samples != NULL
                                                                      : options->flow.is_wanted;
        if (!has_parent && basin__command_is_given(command, orphans[i].name))
            return basin__command_usage(command, "--%s is for --%s, which is missing",
                                        orphans[i].name, orphans[i].of);
    }
    return BASIN__EXIT_OK;
}

static int run(basin__command *command) {
    const basin__eval_options *options = command->options;
    if (!options->data)
        return basin__command_usage(command, "--data is missing");
    if (!options->samples && !options->classifier && !options->flow.is_wanted)
        return basin__command_usage(command, "--samples, --classifier or --likelihood is missing");
    const int usage = refuse_orphans(command);
    if (usage != BASIN__EXIT_OK)
        return usage;
    if (options->flow.is_wanted && basin__model_is_missing(&options->model))
        return basin__command_usage(command, "--likelihood needs --model");
    if (options->asked && !options->classifier)
        return basin__command_usage(command, "--asked needs --classifier");
    if (options->picture && !options->train)
        return basin__command_usage(command, "--picture needs --train");
    if (options->reliability && !options->classifier)
        return basin__command_usage(command, "--reliability needs --classifier");
    if (!options->features || !*options->features)
        return basin__command_usage(command, "--features is empty");
    basin__evaluation *all = basin__alloc(command->context, sizeof *all);
    if (!all)
        return basin__command_fail(command, BASIN_ERROR_MEMORY);
    all->command = command;
    all->options = options;
    all->context = command->context;
    basin_status status = evaluate(all);
    close_set(command->context, &all->samples);
    close_set(command->context, &all->real);
    close_set(command->context, &all->train);
    basin__eval_asked_reset(all);
    basin_energy_destroy(all->flow.model);
    basin_energy_destroy(all->network);
    basin_energy_destroy(all->classifier);
    basin__free(command->context, all);
    return status == BASIN_OK ? BASIN__EXIT_OK : basin__command_fail(command, status);
}

static const char *const outputs[] = {"picture", "reliability", NULL};

static const char *const examples[] = {
    "basin eval --samples samples.npy --data mnist --train mnist:train --picture nearest.png",
    "distances to the test images, and whether samples are copies of training images",
    "basin eval --samples samples.npy --data mnist --classifier runs/reader --json",
    "besides, how many samples a classifier can read",
    "basin eval --data mnist --classifier runs/reader --reliability reliability.png",
    "accuracy and calibration of a classifier",
    "basin eval --samples s.npy --asked s-labels.npy --data mnist --classifier runs/reader",
    "whether samples show the class that they were asked for",
    "basin eval --likelihood --model runs/flow --data mnist:test --count 1000",
    "bits per dimension of the flow of an energy at every noise level",
    NULL,
};

const basin__verb basin__verb_eval = {
    .name = "eval",
    .help = "measure samples against real examples, a classifier, or the flow's likelihood",
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
        "share among samples to that among the data's labels.\n"
        "Asked: of each class the share of the samples asked for it of which it is the likeliest "
        "output, beside the same of the data and their labels; legible: it has more than 0.5.\n"
        "Likelihood: of what the probability-flow ODE dx/dsigma = sigma dE/dx makes of normal "
        "starts, "
        "which is known without Z, of models that take a noise level. It is not exp(-E)/Z. Images "
        "are put on levels, 0 to 255, which the model sees a width w apart, and given uniform "
        "noise u of one level: -(mean log p(x + w u) + D log w) / (D log 2), in bits for each of "
        "their D values, bounds what the levels take from above. Of built-in points it stands "
        "beside their exact log density, in nats. The standard error is that over examples; the "
        "part of it that random directions and noise make is told too, from two runs an example "
        "on.",
    .options = options_table,
    .option_count = BASIN_COUNT(options_table),
    .options_bytes = sizeof(basin__eval_options),
    .examples = examples,
    .outputs = outputs,
    .run = run,
};
