/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mixtures of Gaussians fitted to data: a density that is known and quickly drawn from.
 */
#ifndef BASIN_OBJECTIVE_MIXTURE_H
#define BASIN_OBJECTIVE_MIXTURE_H

#include "objective/objective.h"

typedef struct basin__mixture {
    basin_context *context;
    int count, size; /* of components; of dimensions */
    bool is_full;    /* covariances with all entries, not the diagonal alone */
    double *weights; /* [count], their sum 1 */
    double *means;   /* [count, size] */
    /* full: lower triangular L of the covariance L Lᵀ, [count, size, size]; else the standard
       deviations, [count, size] */
    double *factors;
} basin__mixture;

/**
 * Fit by expectation-maximisation: the same data gives the same bits. `mixture` comes with context,
 * count and is_full, and is the caller's to basin__mixture_reset whatever is returned.
 */
basin_status basin__mixture_fit(basin__mixture *mixture, const basin__examples *examples);
void basin__mixture_reset(basin__mixture *mixture);
/** log det of component k's factor: half that of its covariance. */
double basin__mixture_log_det(const basin__mixture *mixture, int k);

/** Mean over dimensions of the data's variance, with its noise. */
basin_status basin__examples_variance(basin_context *context, const basin__examples *examples,
                                      double *variance);

#endif
