/* SPDX-License-Identifier: Apache-2.0 */
/*
 * basin ood: how well energy tells examples outside of a data set from those
 * inside, beside scores that need no model at all. An energy that does not beat
 * those has learned nothing that the sets needed.
 */
#include "base/file.h"
#include "eval/chart.h"
#include "eval/classify.h"
#include "eval/metrics.h"
#include "eval/outside.h"
#include "eval/score.h"
#include "model.h"
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define PCA_COMPONENTS 50
#define PCA_EXAMPLES 10000

/** What the model says, high outside; then the trivial scores, in their order. */
enum { ENERGY, CONFIDENCE, MODEL_SCORES, SCORES = MODEL_SCORES + BASIN__TRIVIAL_COUNT };

typedef struct ood_options {
    basin__model_options model;
    char *in, *fit, *histogram;
    basin__text_list out_data;
    basin__data_choice choice;
    int64_t resamples;
    bool json;
} ood_options;

#define AT(field) offsetof(ood_options, field)

static const basin__option options_table[] = {
    BASIN__MODEL_ROW,
    {"in", BASIN__OPTION_TEXT, AT(in), NULL, 0, 0, NULL, NULL,
     "Inside set, NAME[:SPLIT], file or folder; without a split, test"},
    {"out-data", BASIN__OPTION_TEXT_LIST, AT(out_data), NULL, 0, 0, NULL, NULL,
     "Outside set, likewise, or one made from the inside set: uniform-noise, gaussian-noise, "
     "constant, inverted, rotated, shuffled-patches; may be given several times"},
    {"fit", BASIN__OPTION_TEXT, AT(fit), NULL, 0, 0, NULL, NULL,
     "What the PCA Gaussian is fitted on [the inside set's train split]"},
    {"histogram", BASIN__OPTION_TEXT, AT(histogram), NULL, 0, 0, NULL, NULL,
     "Write the sets' energy histograms as a PNG here"},
    {"resamples", BASIN__OPTION_INT, AT(resamples), "1000", 0, 1e6, NULL, "draws",
     "Bootstrap resamples of the 95 % intervals; 0: no intervals"},
    BASIN__NETWORK_ROW,
    BASIN__SHAPE_ROW,
    BASIN__NOISE_LEVEL_ROW,
    BASIN__DATA_DIR_ROW(offsetof(ood_options, choice.data_dir)),
    BASIN__COUNT_ROW(offsetof(ood_options, choice.count)),
    BASIN__SEED_ROW(offsetof(ood_options, choice.seed)),
    {"json", BASIN__OPTION_FLAG, AT(json), NULL, 0, 0, NULL, NULL, "Print one JSON object"},
};

/** A data set with all its scores. */
typedef struct set {
    basin_data *data;
    const basin_data_info *info;
    double *scores[SCORES]; /* NULL: not of use for such data */
    double mean, std;       /* of the energy */
    basin__detection found[SCORES];
    bool is_reversed[SCORES]; /* a trivial score that is lower outside */
} set;

typedef struct comparison {
    const basin__command *command;
    const ood_options *options;
    basin_context *context;
    basin_energy *energy;
    basin__pca *pca;
    set *sets; /* the inside one first */
    int count;
} comparison;

static const char *score_name(int score) {
    return score == ENERGY       ? "energy"
           : score == CONFIDENCE ? "confidence"
                                 : basin__trivial_name((basin__trivial)(score - MODEL_SCORES));
}

/* ---- data ---- */

static const char *outside_name(const void *user, size_t index) {
    (void)user;
    return basin__outside_name((int)index);
}

/** The set that a specification names: made from the inside one, or opened. */
static basin_status open_outside(const comparison *all, const char *specification,
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

static basin_status fit_pca(comparison *all) {
    const ood_options *options = all->options;
    const char *name = all->sets[0].info->name, *split = strrchr(name, ':');
    int length = split ? (int)(split - name) : (int)strlen(name);
    basin__data_choice choice = {
        .data_dir = options->choice.data_dir, .count = PCA_EXAMPLES, .seed = options->choice.seed};
    char *specification = options->fit ? basin__strdup(all->context, options->fit)
                                       : basin__format(all->context, "%.*s:train", length, name);
    basin_data *data = NULL;
    if (!specification)
        return BASIN_ERROR_MEMORY;
    basin_status status =
        basin__data_choose(all->command, &choice, specification, all->energy, &data);
    if (status == BASIN_OK)
        status = basin__energy_takes(all->energy, basin_data_describe(data));
    int64_t size = basin_shape_count(all->energy->shape);
    if (status == BASIN_OK)
        status = basin__pca_fit(all->context, data, PCA_EXAMPLES,
                                size < PCA_COMPONENTS ? (int)size : PCA_COMPONENTS, &all->pca);
    basin_data_close(data);
    basin__free(all->context, specification);
    return status;
}

/* ---- scores ---- */

static basin_status check_finite(const comparison *all, set *of) {
    double square = 0.0;
    for (int64_t i = 0; i < of->info->count; i++) {
        double energy = of->scores[ENERGY][i], delta = energy - of->mean;
        if (!isfinite(energy))
            return basin__fail(all->context, BASIN_ERROR_DIVERGED,
                               "the energy of example %lld of %s is not finite", (long long)i,
                               of->info->name);
        of->mean += delta / (double)(i + 1);
        square += delta * (energy - of->mean);
    }
    of->std = of->info->count > 1 ? sqrt(square / (double)(of->info->count - 1)) : 0.0;
    return BASIN_OK;
}

/** −max_y p(y | x) of a block of examples (Hendrycks & Gimpel, 2017). */
static basin_status visit_confidence(void *user, basin_energy *energy, int64_t done, int64_t n,
                                     const float *x) {
    const int classes = basin_energy_logit_count(energy);
    float *logits = basin__alloc_array(energy->context, (size_t)(n * classes), sizeof(float));
    if (!logits)
        return BASIN_ERROR_MEMORY;
    basin_status status = basin_energy_logits(energy, n, x, logits);
    for (int64_t i = 0; i < n && status == BASIN_OK; i++) {
        const float *row = logits + i * classes;
        ((double *)user)[done + i] =
            -exp((double)row[basin__largest_of(classes, row)] - basin__level_of(classes, row));
    }
    basin__free(energy->context, logits);
    return status;
}

/** Confidence is a classifier's; of points only the energy and the Gaussian say anything. */
static bool applies(const comparison *all, const set *of, int score) {
    if (score < MODEL_SCORES)
        return score != CONFIDENCE || basin_energy_logit_count(all->energy) > 0;
    return of->info->is_image || score == MODEL_SCORES + BASIN__TRIVIAL_PCA_GAUSSIAN;
}

/** All scores of a set. */
static basin_status score_set(const comparison *all, set *of) {
    of->info = basin_data_describe(of->data);
    for (int score = 0; score < SCORES; score++) {
        if (!applies(all, of, score))
            continue;
        of->scores[score] =
            basin__alloc_array(all->context, (size_t)of->info->count, sizeof(double));
        if (!of->scores[score])
            return BASIN_ERROR_MEMORY;
        double *scores = of->scores[score];
        if (score == ENERGY)
            BASIN_TRY(basin__score_data(all->energy, of->data, 0, of->info->count, scores));
        else if (score == CONFIDENCE)
            BASIN_TRY(basin__score_blocks(all->energy, of->data, 0, of->info->count,
                                          visit_confidence, scores));
        else
            BASIN_TRY(basin__trivial_score(all->context, (basin__trivial)(score - MODEL_SCORES),
                                           all->pca, of->data, scores));
    }
    return check_finite(all, of);
}

static void negate(double *scores, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        scores[i] = -scores[i];
}

/** Measure one score; a trivial one in the direction that serves it best. */
static basin_status measure(const comparison *all, set *outside, int score) {
    const set *inside = &all->sets[0];
    double *in = inside->scores[score], *out = outside->scores[score];
    int64_t in_count = inside->info->count, out_count = outside->info->count;
    uint64_t seed = (uint64_t)all->options->choice.seed;
    int resamples = (int)all->options->resamples;
    BASIN_TRY(basin__detection_measure(all->context, in, in_count, out, out_count, resamples, seed,
                                       &outside->found[score]));
    if (score < MODEL_SCORES || outside->found[score].auroc.value >= 0.5)
        return BASIN_OK;
    outside->is_reversed[score] = true;
    negate(in, in_count);
    negate(out, out_count);
    basin_status status = basin__detection_measure(all->context, in, in_count, out, out_count,
                                                   resamples, seed, &outside->found[score]);
    negate(in, in_count);
    return status;
}

/* ---- what is printed ---- */

static void print_interval(const basin__interval *of, bool has_interval) {
    if (has_interval)
        printf("  %.4f [%.4f, %.4f]", of->value, of->low, of->high);
    else
        printf("  %.4f", of->value);
}

static void print_text(const comparison *all) {
    bool has_interval = all->options->resamples > 0;
    int width = has_interval ? 23 : 6;
    const set *in = &all->sets[0];
    printf("inside   %s, %lld examples, energy %.6g ± %.4g\n", in->info->name,
           (long long)in->info->count, in->mean, in->std);
    for (int i = 1; i < all->count; i++) {
        const set *of = &all->sets[i];
        printf("\noutside  %s, %lld examples, energy %.6g ± %.4g\n", of->info->name,
               (long long)of->info->count, of->mean, of->std);
        printf("  %-16s  %-*s  %-*s  %s\n", "score", width, "AUROC", width, "AUPR", "FPR95");
        for (int score = 0; score < SCORES; score++) {
            if (!of->scores[score])
                continue;
            printf("  %-16s", score_name(score));
            print_interval(&of->found[score].auroc, has_interval);
            print_interval(&of->found[score].aupr, has_interval);
            print_interval(&of->found[score].fpr95, has_interval);
            putchar('\n');
        }
    }
}

static json_t *json_interval(const basin__interval *of) {
    return json_pack("{s:f, s:f, s:f}", "value", of->value, "low", of->low, "high", of->high);
}

static json_t *json_set(const set *of) {
    return json_pack("{s:o, s:I, s:f, s:f}", "data", basin__json_name(of->info->name), "count",
                     (json_int_t)of->info->count, "energy_mean", of->mean, "energy_std", of->std);
}

static json_t *json_outside(const set *of) {
    json_t *object = json_set(of), *scores = json_object();
    for (int score = 0; score < SCORES; score++)
        if (of->scores[score])
            json_object_set_new(scores, score_name(score),
                                json_pack("{s:o, s:o, s:o, s:b}", "auroc",
                                          json_interval(&of->found[score].auroc), "aupr",
                                          json_interval(&of->found[score].aupr), "fpr95",
                                          json_interval(&of->found[score].fpr95), "is_reversed",
                                          of->is_reversed[score]));
    json_object_set_new(object, "scores", scores);
    return object;
}

static basin_status print_json(const comparison *all) {
    json_t *list = json_array();
    for (int i = 1; i < all->count; i++)
        json_array_append_new(list, json_outside(&all->sets[i]));
    json_t *object =
        json_pack("{s:o, s:o, s:o}", "model", basin__json_name(all->options->model.model), "inside",
                  json_set(&all->sets[0]), "outside", list);
    char *text = object ? json_dumps(object, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(object);
    if (!text)
        return basin__fail(all->context, BASIN_ERROR_FORMAT,
                           "the result cannot be written as JSON");
    puts(text);
    free(text);
    return BASIN_OK;
}

static basin_status draw_histogram(const comparison *all) {
    const char *path = all->options->histogram;
    if (!path)
        return BASIN_OK;
    basin__series *series =
        basin__alloc_array(all->context, (size_t)all->count, sizeof(basin__series));
    if (!series)
        return BASIN_ERROR_MEMORY;
    for (int i = 0; i < all->count; i++)
        series[i] = (basin__series){.label = all->sets[i].info->name,
                                    .y = all->sets[i].scores[ENERGY],
                                    .count = all->sets[i].info->count};
    basin_status status =
        basin__chart_histogram(all->context, path, "Energies", "energy", series, all->count);
    basin__free(all->context, series);
    if (status == BASIN_OK && !all->command->is_quiet)
        fprintf(stderr, "energy histograms: %s\n", path);
    return status;
}

/* ---- the verb ---- */

static basin_status compare(comparison *all) {
    const ood_options *options = all->options;
    if (options->histogram)
        BASIN_TRY(basin__file_check_writable(all->context, options->histogram));
    BASIN_TRY(basin__model_and_data(all->command, &options->model, &options->choice, options->in,
                                    &all->energy, &all->sets[0].data));
    all->sets[0].info = basin_data_describe(all->sets[0].data);
    BASIN_TRY(basin__energy_takes(all->energy, all->sets[0].info));
    for (int i = 1; i < all->count; i++) {
        BASIN_TRY(open_outside(all, options->out_data.items[i - 1], &all->sets[i].data));
        BASIN_TRY(basin__energy_takes(all->energy, basin_data_describe(all->sets[i].data)));
    }
    BASIN_TRY(fit_pca(all));
    for (int i = 0; i < all->count; i++)
        BASIN_TRY(score_set(all, &all->sets[i]));
    for (int i = 1; i < all->count; i++)
        for (int score = 0; score < SCORES; score++)
            if (all->sets[i].scores[score] && all->sets[0].scores[score])
                BASIN_TRY(measure(all, &all->sets[i], score));
    BASIN_TRY(draw_histogram(all));
    if (options->json)
        return print_json(all);
    print_text(all);
    return BASIN_OK;
}

static int run(basin__command *command) {
    const ood_options *options = command->options;
    const char *missing = !options->model.model          ? "model"
                          : !options->in                 ? "in"
                          : options->out_data.count == 0 ? "out-data"
                                                         : NULL;
    if (missing)
        return basin__command_usage(command, "--%s is missing", missing);
    comparison all = {.command = command,
                      .options = options,
                      .context = command->context,
                      .count = 1 + (int)options->out_data.count};
    all.sets = basin__alloc_array(command->context, (size_t)all.count, sizeof(set));
    basin_status status = all.sets ? compare(&all) : BASIN_ERROR_MEMORY;
    for (int i = 0; all.sets && i < all.count; i++) {
        for (int score = 0; score < SCORES; score++)
            basin__free(command->context, all.sets[i].scores[score]);
        basin_data_close(all.sets[i].data);
    }
    basin__free(command->context, all.sets);
    basin__pca_destroy(all.pca);
    basin_energy_destroy(all.energy);
    return status == BASIN_OK ? BASIN__EXIT_OK : basin__command_fail(command, status);
}

static const char *const examples[] = {
    "basin ood --model runs/mnist --in mnist --out-data fashion-mnist --out-data uniform-noise",
    "tell digits from garments and from noise",
    "basin ood --model runs/mnist --in mnist --out-data shuffled-patches,rotated --json",
    "tell digits from the same pixels in another place",
    NULL,
};

const basin__verb basin__verb_ood = {
    .name = "ood",
    .help = "measure how well energy tells outside examples from inside ones",
    .about = "Prints AUROC, AUPR (average precision, outside positive) and FPR95 (share of inside "
             "examples flagged where 95 % of the outside ones are) of the energy with 95 % "
             "bootstrap intervals, of a classifier's confidence (its largest probability, negated) "
             "where the model is one, and the same of scores that need no model: mean, number of "
             "non-zero values, total variation, size when compressed, and a Gaussian on principal "
             "components; each of those in the direction that serves it best.",
    .options = options_table,
    .option_count = BASIN_COUNT(options_table),
    .options_bytes = sizeof(ood_options),
    .examples = examples,
    .run = run,
};
