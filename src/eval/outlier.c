/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Detectors: numbers of an example (outlier_features.c) standardised on inside data and combined
 * into a score, and a threshold on it.
 *
 * A denoising loss leaves the energy's constant at each noise level free, and models of an ensemble
 * have constants and scales of their own. Numbers of several levels or models therefore compare
 * only after each has been standardised, or all of them whitened, on examples that the models were
 * not trained on.
 */
#include "eval/outlier.h"
#include "base/number.h"
#include "eval/score.h"
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK BASIN__DETECTOR_BLOCK
#define FLOOR 1e-2 /* added to the standardised variances: numbers that say nearly the same */

void basin_detector_options_init(basin_detector_options *options) {
    *options = (basin_detector_options){
        .size = sizeof *options, .score = "energy", .level_count = 10, .descent_steps = 10};
}

/* ---- making one ---- */

/** "energy, typicality, …" */
static void list_scores(char *text, size_t bytes) {
    size_t used = 0;
    for (int i = 0; i < basin__outlier_count && used < bytes; i++)
        used += (size_t)basin__snprintf(text + used, bytes - used, "%s%s", i > 0 ? ", " : "",
                                        basin__outliers[i].name);
}

static basin_status find_score(basin_detector *detector, const char *name) {
    basin_context *context = detector->context;
    char all[256];
    detector->def = basin__outlier_find(name);
    if (!detector->def) {
        list_scores(all, sizeof all);
        return basin__fail(context, BASIN_ERROR_CONFIG, "unknown score '%s'; there are %s", name,
                           all);
    }
    detector->options.score = detector->def->name;
    const char *obstacle =
        basin__outlier_obstacle(detector->def, detector->energies, detector->model_count);
    if (obstacle)
        return basin__fail(context, BASIN_ERROR_CONFIG, "score %s: %s", name, obstacle);
    return BASIN_OK;
}

static basin_status check_options(const basin_detector *detector) {
    const basin_detector_options *options = &detector->options;
    const basin_energy *first = detector->energies[0];
    if (options->noise_level > 0.0 && !first->condition.noise_level)
        return basin__fail(detector->context, BASIN_ERROR_CONFIG,
                           "noise level %g: the model takes none", options->noise_level);
    if (!(options->noise_level >= 0.0 && options->noise_level < 1e30) || options->level_count < 1 ||
        options->level_count > 1000 || options->descent_steps < 1 || !(options->level_low >= 0.0) ||
        !(options->level_high >= 0.0 && options->level_high < 1e30))
        return basin__fail(detector->context, BASIN_ERROR_ARGUMENT,
                           "a detector takes noise levels above 0, 1 to 1000 of them, and at least "
                           "one step of descent");
    for (int i = 1; i < detector->model_count; i++)
        if (!basin_shape_equal(detector->energies[i]->shape, first->shape) ||
            detector->energies[i]->condition.noise_level != first->condition.noise_level)
            return basin__fail(detector->context, BASIN_ERROR_CONFIG,
                               "model %d of the ensemble takes other examples than the first one",
                               i + 1);
    return BASIN_OK;
}

/** Evenly apart in log σ. */
static basin_status set_levels(basin_detector *detector) {
    basin_detector_options *options = &detector->options;
    const basin_energy *energy = detector->energies[0];
    const basin__range range = basin__energy_range(energy);
    const double width = basin__energy_is_image(energy) ? (double)(range.high - range.low)
                                                        : 2.0 * basin__energy_data_std(energy);
    if (options->level_low == 0.0)
        options->level_low =
            fmax(2.0 * basin__energy_noted_number(energy, "noise_level_low", 0.0), 0.02 * width);
    if (options->level_high == 0.0)
        options->level_high = 0.5 * width;
    const int last = detector->level_count - 1;
    if (last > 0 && !(options->level_high > options->level_low))
        return basin__fail(detector->context, BASIN_ERROR_CONFIG,
                           "levels from %g to %g: the highest is not above the lowest",
                           options->level_low, options->level_high);
    for (int i = 0; i <= last; i++)
        detector->level_values[i] =
            options->level_low * pow(options->level_high / options->level_low,
                                     last > 0 ? (double)i / (double)last : 0.0);
    return BASIN_OK;
}

/** Room for a block. Zeroed memory, so what a score does not use stays NULL. */
static basin_status make_room(basin_detector *detector) {
    basin_context *context = detector->context;
    const unsigned parts = detector->def->parts;
    const size_t size = (size_t)basin_shape_count(detector->energies[0]->shape);
    const size_t features = (size_t)detector->feature_count;
    size_t classes = 0;
    for (int i = 0; i < detector->model_count; i++)
        if ((size_t)basin_energy_logit_count(detector->energies[i]) > classes)
            classes = (size_t)basin_energy_logit_count(detector->energies[i]);
    const bool is_sloped = (parts & BASIN__PARTS_OF_SLOPE) != 0;
    const bool is_walked = (parts & BASIN__PART_FALL) != 0;
    detector->levels = basin__alloc_array(context, BLOCK, sizeof(float));
    detector->gradient = basin__alloc_array(context, is_sloped ? BLOCK * size : 0, sizeof(float));
    detector->walk = basin__alloc_array(context, is_walked ? 3 * BLOCK * size : 0, sizeof(float));
    detector->energy = basin__alloc_array(context, BLOCK, sizeof(double));
    detector->next = basin__alloc_array(context, BLOCK, sizeof(double));
    detector->logits = basin__alloc_array(context, BLOCK * classes, sizeof(float));
    detector->features = basin__alloc_array(context, BLOCK * features, sizeof(double));
    detector->standardised = basin__alloc_array(context, features, sizeof(double));
    detector->mean = basin__alloc_array(context, features, sizeof(double));
    detector->whiten = basin__alloc_array(context, features * features, sizeof(double));
    return detector->levels && detector->gradient && detector->walk && detector->energy &&
                   detector->next && detector->logits && detector->features &&
                   detector->standardised && detector->mean && detector->whiten
               ? BASIN_OK
               : BASIN_ERROR_MEMORY;
}

static basin_status make(basin_detector *detector, basin_energy *const *energies, int count) {
    basin_context *context = detector->context;
    detector->energies = basin__alloc_array(context, (size_t)count, sizeof(basin_energy *));
    if (!detector->energies)
        return BASIN_ERROR_MEMORY;
    memcpy(detector->energies, energies, (size_t)count * sizeof(basin_energy *));
    detector->model_count = count;
    detector->threshold = detector->false_alarm_rate = NAN;
    BASIN_TRY(find_score(detector, detector->options.score));
    BASIN_TRY(check_options(detector));
    const basin__outlier_def *def = detector->def;
    detector->standard =
        def->standard == BASIN__STANDARD_NONE && count > 1 ? BASIN__STANDARD_SCALE : def->standard;
    detector->level_count = def->is_over_levels ? detector->options.level_count : 1;
    detector->number_count = basin__outlier_number_count(def->parts, energies[0]->shape);
    detector->cell_count = basin__outlier_cell_count(def->parts, energies[0]->shape);
    detector->feature_count = count * detector->level_count * detector->number_count +
                              basin__outlier_plain_count(def->parts);
    detector->level_values =
        basin__alloc_array(context, (size_t)detector->level_count, sizeof(double));
    if (!detector->level_values)
        return BASIN_ERROR_MEMORY;
    detector->level_values[0] = detector->options.noise_level;
    if (def->is_over_levels)
        BASIN_TRY(set_levels(detector));
    return make_room(detector);
}

basin_status basin_detector_create(basin_context *context, basin_energy *const *energies, int count,
                                   const basin_detector_options *options, basin_detector **out) {
    *out = NULL;
    basin_detector_options chosen;
    basin_detector_options_init(&chosen);
    if (options)
        chosen = *options;
    if (chosen.size != sizeof chosen || !chosen.score || count < 1 || !energies)
        return basin__fail(context, BASIN_ERROR_ARGUMENT,
                           "a detector: no energy, or options not set by "
                           "basin_detector_options_init");
    basin_detector *detector = basin__alloc(context, sizeof *detector);
    if (!detector)
        return BASIN_ERROR_MEMORY;
    detector->context = context;
    detector->options = chosen;
    basin_status status = make(detector, energies, count);
    if (status == BASIN_OK)
        *out = detector;
    else
        basin_detector_destroy(detector);
    return status;
}

void basin_detector_destroy(basin_detector *detector) {
    if (!detector)
        return;
    void *const owned[] = {detector->energies,    detector->level_values, detector->levels,
                           detector->gradient,    detector->walk,         detector->energy,
                           detector->next,        detector->logits,       detector->features,
                           detector->mean,        detector->whiten,       detector->fitted_on,
                           detector->standardised};
    for (size_t i = 0; i < BASIN_COUNT(owned); i++)
        basin__free(detector->context, owned[i]);
    basin__free(detector->context, detector);
}

/* ---- scoring ---- */

/** whiten (features − mean) */
static void transform(const basin_detector *detector, const double *features, double *out) {
    const int count = detector->feature_count;
    for (int i = 0; i < count; i++) {
        const double *row = detector->whiten + (size_t)i * (size_t)count;
        out[i] = 0.0;
        for (int j = detector->standard == BASIN__STANDARD_WHITEN ? 0 : i; j <= i; j++)
            out[i] += row[j] * (features[j] - detector->mean[j]);
    }
}

/** Whether number i is a cell's: the last ones of each model and level. */
static bool is_cell(const basin_detector *detector, int i) {
    const int numbers = detector->number_count;
    return i < detector->model_count * detector->level_count * numbers &&
           i % numbers >= numbers - detector->cell_count;
}

/** Cells and all else have half a say each, however many numbers they are. */
static double distance_in_two(const basin_detector *detector, const double *z) {
    const int cells = detector->model_count * detector->level_count * detector->cell_count;
    double square[2] = {0.0, 0.0};
    for (int i = 0; i < detector->feature_count; i++)
        square[is_cell(detector, i)] += z[i] * z[i];
    return sqrt(0.5 * (square[false] / (detector->feature_count - cells) + square[true] / cells));
}

/** The score of one example from its numbers: standardised, then combined. */
static double combine(const basin_detector *detector, const double *features) {
    const int count = detector->feature_count;
    double *z = detector->standardised, sum = 0.0, square = 0.0;
    if (detector->standard == BASIN__STANDARD_NONE)
        return features[0];
    transform(detector, features, z);
    for (int i = 0; i < count; i++) {
        sum += z[i];
        square += z[i] * z[i];
    }
    const double mean = sum / count;
    switch (detector->def->combination) {
    case BASIN__COMBINE_MEAN:
        return mean;
    case BASIN__COMBINE_DISTANCE:
        return detector->cell_count > 0 ? distance_in_two(detector, z) : sqrt(square / count);
    case BASIN__COMBINE_SPREAD:
        return sqrt(fmax(square / count - mean * mean, 0.0));
    }
    return NAN;
}

/** Scores without asking whether the detector was fitted. */
static basin_status score_all(basin_detector *detector, int64_t n, const float *x, double *scores) {
    const int64_t size = basin_shape_count(detector->energies[0]->shape);
    for (int64_t done = 0; done < n; done += BLOCK) {
        const int64_t count = n - done < BLOCK ? n - done : BLOCK;
        BASIN_TRY(basin__outlier_features(detector, count, x + done * size, detector->features));
        for (int64_t i = 0; i < count; i++)
            scores[done + i] = combine(detector, detector->features + i * detector->feature_count);
    }
    return BASIN_OK;
}

basin_status basin_detector_score(basin_detector *detector, int64_t n, const float *x,
                                  double *scores) {
    if (n < 0 || (n > 0 && (!x || !scores)))
        return basin__fail(detector->context, BASIN_ERROR_ARGUMENT,
                           "scoring needs n >= 0 examples and room for their scores");
    if (detector->standard != BASIN__STANDARD_NONE && !detector->is_standardised)
        return basin__fail(detector->context, BASIN_ERROR_ARGUMENT,
                           "score %s is standardised: fit the detector first", detector->def->name);
    return score_all(detector, n, x, scores);
}

double basin_detector_threshold(const basin_detector *detector) {
    return detector->has_threshold ? detector->threshold : NAN;
}

/* ---- fitting ---- */

/** Examples first, first + step, … of a set; x [BLOCK, size] holds a block of them. */
typedef struct stride {
    const basin_data *data;
    int64_t first, step;
    float *x;
} stride;

/** The block after `done` examples, mapped to the energies' range; how many there were. */
static int64_t read_block(const basin_detector *detector, const stride *of, int64_t done) {
    const basin_data_info *info = basin_data_describe(of->data);
    const basin_energy *energy = detector->energies[0];
    const int64_t size = basin_shape_count(energy->shape);
    int64_t n = 0;
    for (int64_t at; n < BLOCK && (at = of->first + of->step * (done + n)) < info->count; n++)
        basin_data_get(of->data, at, of->x + n * size);
    basin__energy_adapt(energy, info, of->x, n * size);
    return n;
}

/** Means and covariance [F, F] (lower triangle) of the numbers of examples. */
static basin_status measure(basin_detector *detector, const stride *of, double *covariance) {
    const int count = detector->feature_count;
    double *mean = detector->mean;
    int64_t n, seen = 0;
    memset(mean, 0, (size_t)count * sizeof(double));
    for (int64_t done = 0; (n = read_block(detector, of, done)) > 0; done += n) {
        BASIN_TRY(basin__outlier_features(detector, n, of->x, detector->features));
        for (int64_t i = 0; i < n; i++) {
            double *features = detector->features + i * count;
            seen++;
            for (int j = 0; j < count; j++) { /* Welford (1962): features become deviations */
                features[j] -= mean[j];
                mean[j] += features[j] / (double)seen;
            }
            const double weight = (double)(seen - 1) / (double)seen;
            for (int j = 0; j < count; j++)
                for (int k = 0; k <= j; k++)
                    covariance[(size_t)j * (size_t)count + (size_t)k] +=
                        weight * features[j] * features[k];
        }
    }
    for (int j = 0; j < count * count; j++)
        covariance[j] /= (double)(seen - 1);
    return BASIN_OK;
}

/** whiten = L⁻¹ of the covariance of numbers that have been standardised, times 1/std. */
static basin_status whiten(basin_detector *detector, const double *covariance) {
    const int count = detector->feature_count;
    double *matrix = detector->whiten;
    double *std = detector->features; /* as scratch */
    for (int j = 0; j < count; j++) {
        std[j] = sqrt(covariance[(size_t)j * (size_t)count + (size_t)j]);
        if (!isfinite(std[j]) || !isfinite(detector->mean[j]))
            return basin__fail(detector->context, BASIN_ERROR_DIVERGED,
                               "score %s of an inside example is not finite", detector->def->name);
        if (std[j] == 0.0) /* a number that never changes says nothing */
            std[j] = 1.0;
    }
    for (int j = 0; j < count; j++)
        for (int k = 0; k <= j; k++) {
            const size_t at = (size_t)j * (size_t)count + (size_t)k;
            matrix[at] = covariance[at] / (std[j] * std[k]);
            if (detector->standard != BASIN__STANDARD_WHITEN)
                matrix[at] = j == k ? 1.0 : 0.0;
            else if (j == k)
                matrix[at] += FLOOR;
            else if (is_cell(detector, j) != is_cell(detector, k))
                matrix[at] = 0.0; /* two distances, one of each kind */
        }
    int info = LAPACKE_dpotrf_work(LAPACK_ROW_MAJOR, 'L', count, matrix, count);
    if (info == 0)
        info = LAPACKE_dtrtri_work(LAPACK_ROW_MAJOR, 'L', 'N', count, matrix, count);
    if (info != 0)
        return basin__fail(detector->context, BASIN_ERROR_DIVERGED,
                           "score %s: the covariance of %d numbers on inside data is singular",
                           detector->def->name, count);
    for (int j = 0; j < count; j++)
        for (int k = 0; k <= j; k++)
            matrix[(size_t)j * (size_t)count + (size_t)k] /= std[k];
    return BASIN_OK;
}

/** Means and scales of what the score is made of. */
static basin_status standardise(basin_detector *detector, const stride *of) {
    if (detector->standard == BASIN__STANDARD_NONE)
        return BASIN_OK;
    const size_t count = (size_t)detector->feature_count;
    const int64_t seen = (basin_data_describe(of->data)->count - of->first) / of->step;
    if (seen < 2 * (int64_t)count)
        return basin__fail(detector->context, BASIN_ERROR_ARGUMENT,
                           "score %s is made of %d numbers, and %lld examples of %s are too few to "
                           "standardise them: it takes at least %d",
                           detector->def->name, detector->feature_count, (long long)seen,
                           basin_data_describe(of->data)->name, 2 * detector->feature_count);
    double *covariance = basin__alloc_array(detector->context, count * count, sizeof(double));
    basin_status status = covariance ? measure(detector, of, covariance) : BASIN_ERROR_MEMORY;
    if (status == BASIN_OK)
        status = whiten(detector, covariance);
    basin__free(detector->context, covariance);
    return status;
}

static basin_status set_threshold(basin_detector *detector, const stride *of, double *scores) {
    int64_t n, total = 0;
    for (int64_t done = 0; (n = read_block(detector, of, done)) > 0; done += n) {
        BASIN_TRY(score_all(detector, n, of->x, scores + total));
        total += n;
    }
    for (int64_t i = 0; i < total; i++)
        if (!isfinite(scores[i]))
            return basin__fail(detector->context, BASIN_ERROR_DIVERGED,
                               "score %s of example %lld of %s is not finite", detector->def->name,
                               (long long)(of->first + of->step * i),
                               basin_data_describe(of->data)->name);
    qsort(scores, (size_t)total, sizeof(double), basin__compare_doubles);
    const double place = ceil((double)(total + 1) * (1.0 - detector->false_alarm_rate) - 1e-9);
    detector->threshold = scores[(int64_t)fmax(place, 1.0) - 1];
    return BASIN_OK;
}

static basin_status make_block(const basin_detector *detector, float **x) {
    const size_t size = (size_t)basin_shape_count(detector->energies[0]->shape);
    *x = basin__alloc_array(detector->context, BLOCK * size, sizeof(float));
    return *x ? BASIN_OK : BASIN_ERROR_MEMORY;
}

basin_status basin__detector_standardise(basin_detector *detector, const basin_data *inside) {
    stride all = {inside, 0, 1, NULL};
    BASIN_TRY(basin__energy_takes(detector->energies[0], basin_data_describe(inside)));
    BASIN_TRY(make_block(detector, &all.x));
    basin_status status = standardise(detector, &all);
    basin__free(detector->context, all.x);
    detector->is_standardised = status == BASIN_OK;
    return status;
}

static basin_status fit(basin_detector *detector, const basin_data *inside, float *x,
                        double *scores) {
    basin_context *context = detector->context;
    char *name = basin__strdup(context, basin_data_describe(inside)->name);
    if (!name)
        return BASIN_ERROR_MEMORY;
    basin__free(context, detector->fitted_on);
    detector->fitted_on = name;
    detector->fitted_count = basin_data_describe(inside)->count;
    BASIN_TRY(standardise(detector, &(stride){inside, 1, 2, x}));
    BASIN_TRY(set_threshold(detector, &(stride){inside, 0, 2, x}, scores));
    detector->is_standardised = detector->has_threshold = true;
    return BASIN_OK;
}

basin_status basin_detector_fit(basin_detector *detector, const basin_data *inside,
                                double false_alarm_rate) {
    basin_context *context = detector->context;
    const basin_data_info *info = basin_data_describe(inside);
    const int64_t even = (info->count + 1) / 2;
    detector->is_standardised = detector->has_threshold = false;
    BASIN_TRY(basin__energy_takes(detector->energies[0], info));
    if (!(false_alarm_rate > 0.0 && false_alarm_rate < 1.0) ||
        (double)(even + 1) * false_alarm_rate < 1.0)
        return basin__fail(context, BASIN_ERROR_ARGUMENT,
                           "a false-alarm rate of %g cannot be had from %lld examples: it is above "
                           "0 and below 1, and half of them are at least 1 / rate - 1",
                           false_alarm_rate, (long long)info->count);
    detector->false_alarm_rate = false_alarm_rate;
    float *x = NULL;
    double *scores = basin__alloc_array(context, (size_t)even, sizeof(double));
    basin_status status = scores ? make_block(detector, &x) : BASIN_ERROR_MEMORY;
    if (status == BASIN_OK)
        status = fit(detector, inside, x, scores);
    basin__free(context, scores);
    basin__free(context, x);
    return status;
}
