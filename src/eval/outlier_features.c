/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What outlier scores are made of: the numbers that a model gives an example.
 *
 * A likely example of many dimensions may have the energy of an unlikely one: a plain image lies on
 * top of a density that lives in a shell (Nalisnick et al. 2019). ‖∇E‖ ("approximate mass",
 * Grathwohl et al. 2020) is small where the density is flat, as it is where samples lie. How far E
 * falls in a few steps says how far an example is from where the model would have it. Energies and
 * norms of scores at many levels together see structure of every size (Mahmood et al. 2021), and
 * means of scores over parts of the image see where it is: −σ²∇E is what a denoiser would change,
 * so a whole arm that is to be made longer adds up, where noise cancels.
 */
#include "eval/classify.h"
#include "eval/metrics.h"
#include "eval/outlier.h"
#include <float.h>
#include <math.h>
#include <string.h>

#define BLOCK BASIN__DETECTOR_BLOCK

const basin__outlier_def basin__outliers[] = {
    {"energy", "E(x), at one noise level", BASIN__PART_ENERGY, false, 1, BASIN__STANDARD_NONE,
     BASIN__COMBINE_MEAN},
    {"typicality", "|E(x) - mean inside|, in standard deviations", BASIN__PART_ENERGY, false, 1,
     BASIN__STANDARD_SCALE, BASIN__COMBINE_DISTANCE},
    {"gradient-norm", "|dE/dx|, at one noise level (approximate mass)", BASIN__PART_NORM, false, 1,
     BASIN__STANDARD_NONE, BASIN__COMBINE_MEAN},
    {"descent", "how far the energy falls in a few steps downhill", BASIN__PART_FALL, false, 1,
     BASIN__STANDARD_NONE, BASIN__COMBINE_MEAN},
    {"levels",
     "energies, gradient norms, and gradients averaged over 4 x 4 cells at many noise levels: "
     "Mahalanobis distance from inside examples",
     BASIN__PART_CURVE | BASIN__PART_CELLS, true, 1, BASIN__STANDARD_WHITEN,
     BASIN__COMBINE_DISTANCE},
    {"combined",
     "levels, and with them what needs no model: mean, non-zero count, total variation, compressed "
     "size",
     BASIN__PART_CURVE | BASIN__PART_CELLS | BASIN__PART_PLAIN, true, 1, BASIN__STANDARD_WHITEN,
     BASIN__COMBINE_DISTANCE},
    {"confidence", "a classifier's largest probability, negated", BASIN__PART_CONFIDENCE, false, 1,
     BASIN__STANDARD_NONE, BASIN__COMBINE_MEAN},
    {"disagreement", "standard deviation of several models' energies, each standardised",
     BASIN__PART_ENERGY, false, 2, BASIN__STANDARD_SCALE, BASIN__COMBINE_SPREAD},
};
const int basin__outlier_count = (int)BASIN_COUNT(basin__outliers);

const basin__outlier_def *basin__outlier_find(const char *name) {
    for (int i = 0; i < basin__outlier_count; i++)
        if (strcmp(basin__outliers[i].name, name) == 0)
            return &basin__outliers[i];
    return NULL;
}

const char *basin__outlier_obstacle(const basin__outlier_def *def, basin_energy *const *energies,
                                    int count) {
    if (count < def->model_count_min)
        return "it needs several models";
    for (int i = 0; i < count; i++) {
        if (def->is_over_levels && !energies[i]->condition.noise_level)
            return "it needs a model that takes a noise level";
        if ((def->parts & BASIN__PART_PLAIN) && !basin__energy_is_image(energies[i]))
            return "it needs a model of images";
        if ((def->parts & BASIN__PART_CONFIDENCE) && basin_energy_logit_count(energies[i]) == 0)
            return "it needs a classifier";
    }
    return NULL;
}

static double norm_of(const float *x, int64_t size) {
    double sum = 0.0;
    for (int64_t i = 0; i < size; i++)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

/* ---- descent ---- */

/** The first step along −∇E: a tenth of the range in each element, in the mean. */
static double first_step(const basin_energy *energy, const float *gradient, int64_t size) {
    const basin__range range = basin__energy_range(energy);
    const double span = basin__energy_is_image(energy) ? (double)(range.high - range.low) : 1.0;
    const double norm = norm_of(gradient, size);
    return norm > 0.0 ? 0.1 * span * sqrt((double)size) / norm : 0.0;
}

/** next = x − step ∇E, of images kept in the range. */
static void look(const basin_energy *energy, const float *x, const float *gradient, double step,
                 float *next, int64_t size) {
    const basin__range range = basin__energy_range(energy);
    const bool is_image = basin__energy_is_image(energy);
    for (int64_t j = 0; j < size; j++) {
        double value = (double)x[j] - step * (double)gradient[j];
        if (is_image)
            value = fmin(fmax(value, (double)range.low), (double)range.high);
        next[j] = (float)value;
    }
}

/**
 * Walk downhill from `points`, whose energies and gradients are in the detector, and leave there
 * the energies of the ends: gradient descent, whose step is doubled after each evaluation that went
 * down, and halved, from the same place, after each that did not.
 */
static basin_status descend(basin_detector *detector, basin_energy *energy, int64_t n,
                            const basin__points *points) {
    const int64_t size = basin_shape_count(energy->shape), block = BLOCK * size;
    float *x = detector->walk, *next = x + block, *next_gradient = next + block;
    double step[BLOCK];
    memcpy(x, points->x, (size_t)(n * size) * sizeof(float));
    for (int64_t i = 0; i < n; i++)
        step[i] = first_step(energy, detector->gradient + i * size, size);
    for (int k = 0; k < detector->options.descent_steps; k++) {
        for (int64_t i = 0; i < n; i++)
            look(energy, x + i * size, detector->gradient + i * size, step[i], next + i * size,
                 size);
        BASIN_TRY(basin__energy_evaluate_points(
            energy, n, &(basin__points){.x = next, .noise_level = points->noise_level},
            detector->next, next_gradient));
        for (int64_t i = 0; i < n; i++) {
            const bool is_lower = detector->next[i] < detector->energy[i];
            step[i] *= is_lower ? 2.0 : 0.5;
            if (!is_lower)
                continue;
            const size_t bytes = (size_t)size * sizeof(float);
            detector->energy[i] = detector->next[i];
            memcpy(x + i * size, next + i * size, bytes);
            memcpy(detector->gradient + i * size, next_gradient + i * size, bytes);
        }
    }
    return BASIN_OK;
}

/* ---- the parts of one model at one level, each to every `stride`th of `out` ---- */

/** An image cut into cells; a vector is a row of as many. */
typedef struct grid {
    int height, width, channels, rows, columns;
} grid;

static int at_most(int count, int limit) { return count < limit ? count : limit; }

static grid cut(basin_shape shape) {
    const int side = BASIN__OUTLIER_GRID;
    if (shape.height == 1 && shape.width == 1)
        return (grid){1, shape.channels, 1, 1, at_most(shape.channels, side * side)};
    return (grid){shape.height, shape.width, shape.channels, at_most(shape.height, side),
                  at_most(shape.width, side)};
}

int basin__outlier_cell_count(unsigned parts, basin_shape shape) {
    const grid of = cut(shape);
    return (parts & BASIN__PART_CELLS) ? of.rows * of.columns * of.channels : 0;
}

int basin__outlier_number_count(unsigned parts, basin_shape shape) {
    static const unsigned single[] = {BASIN__PART_ENERGY, BASIN__PART_NORM, BASIN__PART_FALL,
                                      BASIN__PART_CONFIDENCE};
    int count = basin__outlier_cell_count(parts, shape) + ((parts & BASIN__PART_CURVE) ? 2 : 0);
    for (size_t i = 0; i < BASIN_COUNT(single); i++)
        count += (parts & single[i]) ? 1 : 0;
    return count;
}

static const basin__trivial plain[] = {BASIN__TRIVIAL_MEAN, BASIN__TRIVIAL_NON_ZERO,
                                       BASIN__TRIVIAL_TOTAL_VARIATION,
                                       BASIN__TRIVIAL_COMPRESSED_SIZE};

int basin__outlier_plain_count(unsigned parts) {
    return (parts & BASIN__PART_PLAIN) ? (int)BASIN_COUNT(plain) : 0;
}

/** Means of a gradient [height, width, channels] over the pixels of each cell. */
static void average_cells(grid of, const float *gradient, double *out) {
    for (int cell = 0; cell < of.rows * of.columns; cell++, out += of.channels) {
        const int row = cell / of.columns, column = cell % of.columns;
        const int top = row * of.height / of.rows, bottom = (row + 1) * of.height / of.rows;
        const int left = column * of.width / of.columns;
        const int right = (column + 1) * of.width / of.columns;
        for (int c = 0; c < of.channels; c++) {
            double sum = 0.0;
            for (int i = top; i < bottom; i++)
                for (int j = left; j < right; j++)
                    sum += (double)gradient[(i * of.width + j) * of.channels + c];
            out[c] = sum / (double)((bottom - top) * (right - left));
        }
    }
}

static basin_status add_slopes(basin_detector *detector, basin_energy *energy, int64_t n,
                               const basin__points *points, double *out) {
    const unsigned parts = detector->def->parts;
    const int64_t size = basin_shape_count(energy->shape), stride = detector->feature_count;
    const bool is_sloped = (parts & BASIN__PARTS_OF_SLOPE) != 0;
    BASIN_TRY(basin__energy_evaluate_points(energy, n, points, detector->energy,
                                            is_sloped ? detector->gradient : NULL));
    if (parts & BASIN__PART_ENERGY) {
        for (int64_t i = 0; i < n; i++)
            out[i * stride] = detector->energy[i];
        out++;
    }
    if (parts & BASIN__PART_NORM) {
        for (int64_t i = 0; i < n; i++)
            out[i * stride] = norm_of(detector->gradient + i * size, size);
        out++;
    }
    if (parts & BASIN__PART_CURVE) {
        for (int64_t i = 0; i < n; i++) {
            out[i * stride] = asinh(detector->energy[i]);
            out[i * stride + 1] = log(norm_of(detector->gradient + i * size, size) + DBL_MIN);
        }
        out += 2;
    }
    if (parts & BASIN__PART_CELLS)
        for (int64_t i = 0; i < n; i++)
            average_cells(cut(energy->shape), detector->gradient + i * size, out + i * stride);
    if (!(parts & BASIN__PART_FALL))
        return BASIN_OK;
    for (int64_t i = 0; i < n; i++)
        out[i * stride] = detector->energy[i];
    BASIN_TRY(descend(detector, energy, n, points));
    for (int64_t i = 0; i < n; i++)
        out[i * stride] -= detector->energy[i];
    return BASIN_OK;
}

/** −max_y p(y | x) (Hendrycks & Gimpel 2017). */
static basin_status add_confidence(basin_detector *detector, basin_energy *energy, int64_t n,
                                   const basin__points *points, double *out) {
    const int classes = basin_energy_logit_count(energy);
    BASIN_TRY(basin__energy_outputs(energy, n, points, detector->logits, NULL));
    for (int64_t i = 0; i < n; i++) {
        const float *row = detector->logits + i * classes;
        out[i * detector->feature_count] =
            -exp((double)row[basin__largest_of(classes, row)] - basin__level_of(classes, row));
    }
    return BASIN_OK;
}

/* ---- what needs no model ---- */

static basin_status score_plain(basin_detector *detector, const basin_data *data, double *out) {
    const int64_t n = basin_data_describe(data)->count;
    for (size_t k = 0; k < BASIN_COUNT(plain); k++) {
        BASIN_TRY(basin__trivial_score(detector->context, plain[k], NULL, data, detector->energy));
        for (int64_t i = 0; i < n; i++)
            out[i * detector->feature_count + (int64_t)k] =
                plain[k] == BASIN__TRIVIAL_COMPRESSED_SIZE ? log(detector->energy[i])
                                                           : detector->energy[i];
    }
    return BASIN_OK;
}

/** Of images on the scale 0 to 1: black counts as zero, whatever range the energy takes. */
static basin_status add_plain(basin_detector *detector, int64_t n, const float *x, double *out) {
    const basin_energy *energy = detector->energies[0];
    const basin_shape shape = energy->shape;
    const basin__range range = basin__energy_range(energy);
    const int64_t count = n * basin_shape_count(shape);
    basin_data *data;
    for (int64_t i = 0; i < count; i++) /* of no more use to the models: room for images */
        detector->gradient[i] = (x[i] - range.low) / (range.high - range.low);
    BASIN_TRY(basin_data_from_memory(detector->context, "examples", n, shape.height, shape.width,
                                     shape.channels, true, detector->gradient, NULL, &data));
    const basin_status status = score_plain(detector, data, out);
    basin_data_close(data);
    return status;
}

basin_status basin__outlier_features(basin_detector *detector, int64_t n, const float *x,
                                     double *features) {
    const int plain_count = basin__outlier_plain_count(detector->def->parts);
    for (int model = 0; model < detector->model_count; model++) {
        basin_energy *energy = detector->energies[model];
        for (int level = 0; level < detector->level_count; level++) {
            const double value = detector->level_values[level];
            basin__points points = {.x = x};
            double *out =
                features + (model * detector->level_count + level) * detector->number_count;
            for (int64_t i = 0; i < n; i++)
                detector->levels[i] = (float)value;
            if (value > 0.0)
                points.noise_level = detector->levels;
            BASIN_TRY(detector->def->parts == BASIN__PART_CONFIDENCE
                          ? add_confidence(detector, energy, n, &points, out)
                          : add_slopes(detector, energy, n, &points, out));
        }
    }
    return plain_count > 0
               ? add_plain(detector, n, x, features + detector->feature_count - plain_count)
               : BASIN_OK;
}
