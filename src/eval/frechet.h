/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Distances of two sets of feature vectors: Fréchet's and the kernel distance.
 */
#ifndef BASIN_EVAL_FRECHET_H
#define BASIN_EVAL_FRECHET_H

#include "eval/distances.h"

#define BASIN__FRECHET_DIMENSION_MAX 4096

/**
 * |m₁ − m₂|² + tr(C₁ + C₂ − 2 (C₁^½ C₂ C₁^½)^½), of the means and unbiased covariances; 0 for equal
 * sets up to rounding. Only on the features of the network that FID is defined by is it FID. Biased
 * upwards by few examples; compare what has the same number of them. Needs two of each.
 */
basin_status basin__frechet_distance(basin_context *context, const basin__features *a,
                                     const basin__features *b, double *out);

#define BASIN__KERNEL_SUBSETS 50
#define BASIN__KERNEL_SUBSET_MAX 1000

typedef struct basin__kernel_distance {
    double value; /* may be negative: it is unbiased */
    double error; /* standard error of the mean over subsets */
    int64_t subset;
} basin__kernel_distance;

/**
 * Unbiased square maximum mean discrepancy with the kernel (x·y / d + 1)³, the mean over subsets of
 * half the smaller set, at most BASIN__KERNEL_SUBSET_MAX, drawn from the seed. Subsets overlap, so
 * the error is too small where they are not much smaller than the sets. Needs four of each.
 */
basin_status basin__kernel_distance_measure(basin_context *context, const basin__features *a,
                                            const basin__features *b, uint64_t seed,
                                            basin__kernel_distance *out);

#endif
