/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outlier detection from the inside: scores by name, the numbers that they are made of, and what a
 * detector holds.
 */
#ifndef BASIN_EVAL_OUTLIER_H
#define BASIN_EVAL_OUTLIER_H

#include "energy/energy.h"
#include <basin/outlier.h>

/** The numbers that a model gives an example, bits of a set. */
enum {
    BASIN__PART_ENERGY = 1,     /* E(x) */
    BASIN__PART_NORM = 2,       /* ‖∇E(x)‖ */
    BASIN__PART_FALL = 4,       /* E(x) − E(x'), x' what descent from x reaches */
    BASIN__PART_CONFIDENCE = 8, /* −max_y p(y | x) */
    BASIN__PART_CURVE = 16,     /* asinh E(x) and log ‖∇E(x)‖ */
    BASIN__PART_CELLS = 32,     /* means of ∇E(x) over the cells of a grid, of each channel */
    BASIN__PART_PLAIN = 64,     /* mean, non-zero count, total variation, log compressed size: once
                                   an example, whatever the models */
};

/** The parts that take a gradient. */
#define BASIN__PARTS_OF_SLOPE                                                                      \
    (BASIN__PART_NORM | BASIN__PART_FALL | BASIN__PART_CURVE | BASIN__PART_CELLS)

/** How an example's numbers become its score. */
typedef enum basin__combination {
    BASIN__COMBINE_MEAN,     /* their mean */
    BASIN__COMBINE_DISTANCE, /* root mean square; of cells and of all else, where there are cells */
    BASIN__COMBINE_SPREAD,   /* standard deviation */
} basin__combination;

/** How numbers are made comparable before they are combined, by means of inside examples. */
typedef enum basin__standard {
    BASIN__STANDARD_NONE,   /* as they are, where it is one */
    BASIN__STANDARD_SCALE,  /* (f − mean) / std of each */
    BASIN__STANDARD_WHITEN, /* L⁻¹ (f − mean), L Lᵀ their covariance */
} basin__standard;

typedef struct basin__outlier_def {
    const char *name, *help;
    unsigned parts;      /* of each model, and at each level where it is over levels */
    bool is_over_levels; /* else at one */
    int model_count_min;
    basin__standard standard;
    basin__combination combination;
} basin__outlier_def;

extern const basin__outlier_def basin__outliers[];
extern const int basin__outlier_count;
/** The score of that name, or NULL. */
const basin__outlier_def *basin__outlier_find(const char *name);
/** NULL where such energies have the score; else why they do not. */
const char *basin__outlier_obstacle(const basin__outlier_def *def, basin_energy *const *energies,
                                    int count);

#define BASIN__OUTLIER_GRID 4     /* cells along each side, of an image at least as large */
#define BASIN__DETECTOR_BLOCK 512 /* examples whose numbers are made at once */

struct basin_detector {
    basin_context *context;
    const basin__outlier_def *def;
    basin_detector_options options; /* `score` is def's name; level ends are resolved */
    basin_energy **energies;        /* [model_count], borrowed */
    int model_count, level_count;
    int number_count, cell_count; /* of one model at one level, and how many of these are cells' */
    int feature_count;            /* models × levels × numbers, and what an example has once */
    basin__standard standard;     /* def's; of several models at least SCALE */
    double *level_values;         /* [level_count]; 0: an energy's own */
    /* What it works in, for a block of examples. */
    float *levels;         /* [BLOCK], all equal */
    float *gradient;       /* [BLOCK, size] */
    float *walk;           /* [3][BLOCK, size]: descent's place, next place and gradient there */
    double *energy, *next; /* [BLOCK]: at the place, and at the next */
    float *logits;         /* [BLOCK, classes] */
    double *features;      /* [BLOCK, feature_count] */
    double *standardised;  /* [feature_count] */
    /* What was fitted. */
    bool is_standardised, has_threshold;
    double *mean, *whiten; /* [F], [F, F] lower triangle: L⁻¹, or 1/std on its diagonal */
    double threshold, false_alarm_rate;
    int64_t fitted_count; /* examples of both halves */
    char *fitted_on;      /* name of the data */
};

/** How many numbers the parts of one model at one level are, of examples of that shape. */
int basin__outlier_number_count(unsigned parts, basin_shape shape);
/** How many of these, the last ones, are those of cells. */
int basin__outlier_cell_count(unsigned parts, basin_shape shape);
/** How many more an example has, after those of all models. */
int basin__outlier_plain_count(unsigned parts);
/** The numbers of n ≤ BASIN__DETECTOR_BLOCK examples → features [n, feature_count]. */
basin_status basin__outlier_features(basin_detector *detector, int64_t n, const float *x,
                                     double *features);

/**
 * The means and scales alone, of all examples of a set: for comparing scores, which needs no
 * threshold. Nothing to do where the score is not standardised.
 */
basin_status basin__detector_standardise(basin_detector *detector, const basin_data *inside);

#endif
