/* SPDX-License-Identifier: Apache-2.0 */
/*
 * basin ood: how well a model's scores tell examples outside of a data set from
 * those inside, beside scores that need no model at all. A score that does not
 * beat those has learned nothing that the sets needed.
 */
#include "base/file.h"
#include "eval/outside.h"
#include "eval/score.h"
#include "ood.h"
#include <math.h>
#include <stddef.h>
#include <string.h>

#define PCA_COMPONENTS 50
#define PCA_EXAMPLES 10000
#define STANDARD_EXAMPLES 4000

#define AT(field) offsetof(basin__ood_options, field)

static const basin__option options_table[] = {
    BASIN__MODEL_ROW,
    BASIN__ENERGY_ROW,
    {"in", BASIN__OPTION_TEXT, AT(in), NULL, 0, 0, NULL, NULL,
     "Inside set, NAME[:SPLIT], file or folder; without a split, test"},
    {"out-data", BASIN__OPTION_TEXT_LIST, AT(out_data), NULL, 0, 0, NULL, NULL,
     "Outside set, likewise, or one made from the inside set: uniform-noise, gaussian-noise, "
     "constant, inverted, rotated, shuffled-patches, interpolated; may be given several times"},
    {"score", BASIN__OPTION_TEXT_LIST, AT(score), NULL, 0, 0, NULL, NULL,
     "Scores beside the energy, or all that the model has, see `basin help score` [a classifier's "
     "confidence]"},
    {"standardise", BASIN__OPTION_TEXT, AT(standardise), NULL, 0, 0, NULL, NULL,
     "What gives means and scales to scores made of several numbers: inside examples that the "
     "model was not trained on, the first 4000 [the inside set's valid split]"},
    {"hold-out-class", BASIN__OPTION_INT, AT(hold_out_class), "-1", -1, 1e6, NULL, NULL,
     "Take this class of the inside set for one more outside set; -1: none"},
    {"fit", BASIN__OPTION_TEXT, AT(fit), NULL, 0, 0, NULL, NULL,
     "What the PCA Gaussian is fitted on [the inside set's train split]"},
    {"histogram", BASIN__OPTION_TEXT, AT(histogram), NULL, 0, 0, NULL, NULL,
     "Write the sets' energy histograms as a PNG here"},
    {"resamples", BASIN__OPTION_INT, AT(resamples), "1000", 0, 1e6, NULL, "draws",
     "Bootstrap resamples of the 95 % intervals; 0: no intervals"},
    BASIN__DETECTOR_ROWS(AT(detector)),
    BASIN__NETWORK_ROW,
    BASIN__SHAPE_ROW,
    BASIN__NOISE_LEVEL_ROW,
    BASIN__DATA_DIR_ROW(AT(choice.data_dir)),
    BASIN__COUNT_ROW(AT(choice.count)),
    BASIN__SEED_ROW(AT(choice.seed)),
    {"json", BASIN__OPTION_FLAG, AT(json), NULL, 0, 0, NULL, NULL, "Print one JSON object"},
};

/* ---- data ---- */

static const char *outside_name(const void *user, size_t index) {
    (void)user;
    return basin__outside_name((int)index);
}

/** A part of the inside set, without the class that is held out, or that class alone. */
static basin_status open_inside(const basin__ood *all, const char *specification, int64_t count,
                                bool is_held_out, basin_data **out) {
    basin_data_options how = basin__data_options_of(&all->options->choice, all->energy);
    how.count_max = how.built_in_count = count;
    *(is_held_out ? &how.class_only : &how.class_without) = (int)all->options->hold_out_class;
    return basin_data_open(all->context, specification, &how, out);
}

/** As `specification` says, or else another split of the inside set. */
static basin_status open_split(const basin__ood *all, const char *specification, const char *split,
                               int64_t count, basin_data **out) {
    const char *name = all->sets[0].info->name, *colon = strrchr(name, ':');
    const int length = colon ? (int)(colon - name) : (int)strlen(name);
    char *wanted = specification ? basin__strdup(all->context, specification)
                                 : basin__format(all->context, "%.*s:%s", length, name, split);
    if (!wanted)
        return BASIN_ERROR_MEMORY;
    basin_status status = open_inside(all, wanted, count, false, out);
    basin__free(all->context, wanted);
    return status == BASIN_OK ? basin__energy_takes(all->energy, basin_data_describe(*out))
                              : status;
}

/** The set that a specification names: made from the inside one, or opened. */
static basin_status open_outside(const basin__ood *all, const char *specification,
                                 basin_data **out) {
    const basin__data_choice *choice = &all->options->choice;
    int kind = basin__outside_find(specification);
    if (kind >= 0)
        return basin__outside_make(all->context, kind, all->sets[0].data, choice->count,
                                   (uint64_t)choice->seed, out);
    basin_status status = basin__data_choose(all->command, choice, specification, all->energy, out);
    const char *near =
        status == BASIN_ERROR_CONFIG
            ? basin__suggest(specification, (size_t)basin__outside_count(), outside_name, NULL)
            : NULL;
    return near ? basin__fail(all->context, status, "unknown outside set '%s'; did you mean '%s'?",
                              specification, near)
                : status;
}

static basin_status open_sets(basin__ood *all) {
    const basin__ood_options *options = all->options;
    const bool has_held_out = options->hold_out_class >= 0;
    basin_data *sized = NULL; /* says height and width */
    if (basin__model_needs_size(&options->model))
        BASIN_TRY(basin__data_choose(all->command, &options->choice, options->in, NULL, &sized));
    basin_status status = basin__model_open(
        all->command, &options->model, sized ? basin_data_describe(sized) : NULL, &all->energy);
    basin_data_close(sized);
    BASIN_TRY(status);
    for (int i = 0; i < all->count; i++) {
        basin__ood_set *set = &all->sets[i];
        const int named = i - 1 - has_held_out; /* place in --out-data */
        if (named < 0)
            BASIN_TRY(open_inside(all, options->in, options->choice.count, i == 1, &set->data));
        else
            BASIN_TRY(open_outside(all, options->out_data.items[named], &set->data));
        set->info = basin_data_describe(set->data);
        BASIN_TRY(basin__energy_takes(all->energy, set->info));
    }
    return BASIN_OK;
}

static basin_status fit_pca(basin__ood *all) {
    basin_data *data = NULL;
    const int64_t size = basin_shape_count(all->energy->shape);
    basin_status status = open_split(all, all->options->fit, "train", PCA_EXAMPLES, &data);
    if (status == BASIN_OK)
        status = basin__pca_fit(all->context, data, PCA_EXAMPLES,
                                size < PCA_COMPONENTS ? (int)size : PCA_COMPONENTS, &all->pca);
    basin_data_close(data);
    return status;
}

/* ---- scores ---- */

static bool is_asked(const basin__ood *all, const char *name) {
    const basin__text_list *asked = &all->options->score;
    for (size_t i = 0; i < asked->count; i++)
        if (strcmp(asked->items[i], name) == 0)
            return true;
    return false;
}

static basin_status add_detector(basin__ood *all, const char *name) {
    const basin_detector_options options =
        basin__detector_options_of(&all->options->model, &all->options->detector, name);
    basin__ood_score *score = &all->scores[all->score_count];
    score->name = name;
    BASIN_TRY(basin_detector_create(all->context, all->models.energies, all->models.count, &options,
                                    &score->detector));
    all->score_count++;
    return BASIN_OK;
}

/** The energy, what else is asked for, and the trivial scores. */
static basin_status choose_scores(basin__ood *all) {
    const bool is_all = is_asked(all, "all"), is_plain = all->options->score.count == 0;
    const size_t room = (size_t)basin__outlier_count + BASIN__TRIVIAL_COUNT;
    all->scores = basin__alloc_array(all->context, room, sizeof(basin__ood_score));
    if (!all->scores)
        return BASIN_ERROR_MEMORY;
    for (size_t i = 0; i < all->options->score.count; i++) /* an unknown name says so */
        if (strcmp(all->options->score.items[i], "all") != 0 &&
            !basin__outlier_find(all->options->score.items[i]))
            return add_detector(all, all->options->score.items[i]);
    for (int i = 0; i < basin__outlier_count; i++) {
        const basin__outlier_def *def = &basin__outliers[i];
        const bool has_it = !basin__outlier_obstacle(def, all->models.energies, all->models.count);
        if (strcmp(def->name, "energy") == 0 || is_asked(all, def->name) || (is_all && has_it) ||
            (is_plain && has_it && def->parts == BASIN__PART_CONFIDENCE))
            BASIN_TRY(add_detector(all, def->name));
    }
    for (int i = 0; i < BASIN__TRIVIAL_COUNT; i++)
        all->scores[all->score_count++] = (basin__ood_score){
            .name = basin__trivial_name((basin__trivial)i), .trivial = (basin__trivial)i};
    return BASIN_OK;
}

/** Means and scales of those scores that take them. */
static basin_status standardise(const basin__ood *all) {
    basin_data *data = NULL;
    basin_status status = BASIN_OK;
    for (int i = 0; i < all->score_count && status == BASIN_OK; i++) {
        basin_detector *detector = all->scores[i].detector;
        if (!detector || detector->standard == BASIN__STANDARD_NONE)
            continue;
        if (!data)
            status = open_split(all, all->options->standardise, "valid", STANDARD_EXAMPLES, &data);
        if (status == BASIN_OK)
            status = basin__detector_standardise(detector, data);
    }
    basin_data_close(data);
    return status;
}

static basin_status visit(void *user, basin_energy *energy, int64_t done, int64_t n,
                          const float *x) {
    (void)energy;
    void **both = user;
    return basin_detector_score(both[0], n, x, (double *)both[1] + done);
}

static basin_status check_finite(const basin__ood *all, const basin__ood_set *of, int score) {
    for (int64_t i = 0; i < of->info->count; i++)
        if (!isfinite(of->scores[score][i]))
            return basin__fail(all->context, BASIN_ERROR_DIVERGED,
                               "the %s of example %lld of %s is not finite",
                               all->scores[score].name, (long long)i, of->info->name);
    return BASIN_OK;
}

static void summarise(basin__ood_set *of) {
    double square = 0.0;
    for (int64_t i = 0; i < of->info->count; i++) {
        double delta = of->scores[0][i] - of->mean;
        of->mean += delta / (double)(i + 1);
        square += delta * (of->scores[0][i] - of->mean);
    }
    of->std = of->info->count > 1 ? sqrt(square / (double)(of->info->count - 1)) : 0.0;
}

static basin_status score_set(const basin__ood *all, basin__ood_set *of) {
    const size_t count = (size_t)all->score_count;
    of->scores = basin__alloc_array(all->context, count, sizeof(double *));
    of->found = basin__alloc_array(all->context, count, sizeof(basin__detection));
    of->is_reversed = basin__alloc_array(all->context, count, sizeof(bool));
    if (!of->scores || !of->found || !of->is_reversed)
        return BASIN_ERROR_MEMORY;
    for (int i = 0; i < all->score_count; i++) {
        const basin__ood_score *score = &all->scores[i];
        /* Of points only the model and the Gaussian say anything. */
        if (!score->detector && !of->info->is_image &&
            score->trivial != BASIN__TRIVIAL_PCA_GAUSSIAN)
            continue;
        of->scores[i] = basin__alloc_array(all->context, (size_t)of->info->count, sizeof(double));
        if (!of->scores[i])
            return BASIN_ERROR_MEMORY;
        if (score->detector)
            BASIN_TRY(basin__score_blocks(all->energy, of->data, 0, of->info->count, visit,
                                          (void *[]){score->detector, of->scores[i]}));
        else
            BASIN_TRY(basin__trivial_score(all->context, score->trivial, all->pca, of->data,
                                           of->scores[i]));
        BASIN_TRY(check_finite(all, of, i));
    }
    summarise(of);
    return BASIN_OK;
}

static void negate(double *scores, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        scores[i] = -scores[i];
}

/** Measure one score; a trivial one in the direction that serves it best. */
static basin_status measure(const basin__ood *all, basin__ood_set *outside, int score) {
    const basin__ood_set *inside = &all->sets[0];
    double *in = inside->scores[score], *out = outside->scores[score];
    int64_t in_count = inside->info->count, out_count = outside->info->count;
    uint64_t seed = (uint64_t)all->options->choice.seed;
    int resamples = (int)all->options->resamples;
    BASIN_TRY(basin__detection_measure(all->context, in, in_count, out, out_count, resamples, seed,
                                       &outside->found[score]));
    if (all->scores[score].detector || outside->found[score].auroc.value >= 0.5)
        return BASIN_OK;
    outside->is_reversed[score] = true;
    negate(in, in_count);
    negate(out, out_count);
    basin_status status = basin__detection_measure(all->context, in, in_count, out, out_count,
                                                   resamples, seed, &outside->found[score]);
    negate(in, in_count);
    return status;
}

/* ---- the verb ---- */

static basin_status compare(basin__ood *all) {
    const basin__ood_options *options = all->options;
    if (options->histogram)
        BASIN_TRY(basin__file_check_writable(all->context, options->histogram));
    BASIN_TRY(open_sets(all));
    BASIN_TRY(basin__ensemble_load(all->command, &options->model, &options->detector.ensemble,
                                   all->energy, &all->models));
    BASIN_TRY(choose_scores(all));
    BASIN_TRY(fit_pca(all));
    BASIN_TRY(standardise(all));
    for (int i = 0; i < all->count; i++)
        BASIN_TRY(score_set(all, &all->sets[i]));
    for (int i = 1; i < all->count; i++)
        for (int score = 0; score < all->score_count; score++)
            if (all->sets[i].scores[score] && all->sets[0].scores[score])
                BASIN_TRY(measure(all, &all->sets[i], score));
    return basin__ood_print(all);
}

static void release(basin__ood *all) {
    for (int i = 0; all->sets && i < all->count; i++) {
        basin__ood_set *set = &all->sets[i];
        for (int score = 0; set->scores && score < all->score_count; score++)
            basin__free(all->context, set->scores[score]);
        basin__free(all->context, set->scores);
        basin__free(all->context, set->found);
        basin__free(all->context, set->is_reversed);
        basin_data_close(set->data);
    }
    for (int i = 0; i < all->score_count; i++)
        basin_detector_destroy(all->scores[i].detector);
    basin__free(all->context, all->scores);
    basin__free(all->context, all->sets);
    basin__pca_destroy(all->pca);
    basin__ensemble_destroy(all->context, &all->models);
    basin_energy_destroy(all->energy);
}

static int run(basin__command *command) {
    const basin__ood_options *options = command->options;
    const bool has_held_out = options->hold_out_class >= 0;
    const char *missing = basin__model_is_missing(&options->model)        ? "model"
                          : !options->in                                  ? "in"
                          : options->out_data.count == 0 && !has_held_out ? "out-data"
                                                                          : NULL;
    if (missing)
        return basin__command_usage(command, "--%s is missing", missing);
    basin__ood all = {.command = command,
                      .options = options,
                      .context = command->context,
                      .count = 1 + has_held_out + (int)options->out_data.count};
    all.sets = basin__alloc_array(command->context, (size_t)all.count, sizeof(basin__ood_set));
    basin_status status = all.sets ? compare(&all) : BASIN_ERROR_MEMORY;
    release(&all);
    return status == BASIN_OK ? BASIN__EXIT_OK : basin__command_fail(command, status);
}

static const char *const outputs[] = {"histogram", NULL};

static const char *const examples[] = {
    "basin ood --model runs/mnist --in mnist --out-data fashion-mnist --out-data uniform-noise",
    "tell digits from garments and from noise",
    "basin ood --model runs/mnist --in mnist --out-data shuffled-patches,rotated --json",
    "tell digits from the same pixels in another place",
    "basin ood --model models/mnist-unet.safetensors --in mnist --out-data fashion-mnist --score "
    "levels,typicality",
    "by energies and gradients at many noise levels, and by how usual the energy is",
    NULL,
};

const basin__verb basin__verb_ood = {
    .name = "ood",
    .help = "measure how well a model tells outside examples from inside ones",
    .about = "Prints AUROC, AUPR (average precision, outside positive), FPR95 (share of inside "
             "examples flagged where 95 % of the outside ones are) and detection error (the least "
             "mean of both shares of errors) of the energy and other scores, with 95 % bootstrap "
             "intervals, and the same of scores that need no model: mean, number of non-zero "
             "values, total variation, size when compressed, and a Gaussian on principal "
             "components; each of those in the direction that serves it best.",
    .options = options_table,
    .option_count = BASIN_COUNT(options_table),
    .options_bytes = sizeof(basin__ood_options),
    .examples = examples,
    .outputs = outputs,
    .run = run,
};
