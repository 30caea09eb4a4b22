/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Precision, recall, density and coverage of samples.
 */
#ifndef BASIN_EVAL_PRDC_H
#define BASIN_EVAL_PRDC_H

#include "eval/distances.h"

#define BASIN__PRDC_NEIGHBOURS 5

typedef struct basin__prdc {
    double precision; /* share of samples that lie in the ball of some real example */
    double recall;    /* share of real examples that lie in the ball of some sample */
    double density;   /* mean over samples of the number of real balls they lie in, over k */
    double coverage;  /* share of real examples whose ball holds a sample */
} basin__prdc;

/**
 * The ball of an example is closed and reaches to its k-th nearest of the same set. Exact; needs
 * more than k examples of each. k ≤ BASIN__NEAREST_MAX.
 */
basin_status basin__prdc_measure(basin_context *context, const basin__features *real,
                                 const basin__features *samples, int k, basin__prdc *out);

#endif
