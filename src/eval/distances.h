/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All inner products of two sets of feature vectors, and what is found by them: nearest neighbours.
 */
#ifndef BASIN_EVAL_DISTANCES_H
#define BASIN_EVAL_DISTANCES_H

#include "base/context.h"

/** Vectors [count, dimension], dense, borrowed; `name` says which in messages. */
typedef struct basin__features {
    const char *name;
    int64_t count, dimension;
    const float *x;
} basin__features;

/**
 * BASIN_ERROR_ARGUMENT where a value is not finite, vectors are too large for products of floats,
 * or there are fewer than `count_min`.
 */
basin_status basin__features_check(basin_context *context, const char *measure,
                                   const basin__features *features, int64_t count_min);
/** Both, and that they have one dimension. */
basin_status basin__features_check_both(basin_context *context, const char *measure,
                                        const basin__features *a, const basin__features *b,
                                        int64_t count_min);

/** |x − y|², summed in double. */
double basin__distance_square(const float *x, const float *y, int64_t dimension);

/** One vector x of the first set with all y of the second. */
typedef struct basin__products {
    int64_t index;          /* of x */
    const float *dot;       /* [count of y] x·y, summed in floats */
    double square;          /* |x|² */
    const double *y_square; /* |y|² */
    double margin; /* |x|² + |y|² − 2 x·y is at most so far from the square distance, for all y */
} basin__products;

typedef void basin__products_visit(void *user, int worker, const basin__products *row);

/**
 * Visit each vector of `a`, in any order and on all threads, with its products with those of `b`.
 * Both sets are checked. Products have the same bits for any number of threads.
 */
basin_status basin__products_run(basin_context *context, const basin__features *a,
                                 const basin__features *b, basin__products_visit *visit,
                                 void *user);

#define BASIN__NEAREST_MAX 64

/**
 * The k vectors of `b` nearest to each of `a`, the nearest first and of equally near ones the first
 * first: index [a, k] and distance [a, k] (not squared), either may be NULL. Exact: floats only
 * choose candidates, whose distances are then summed in double. `is_same`: the sets are the same,
 * and none is its own neighbour. BASIN_ERROR_ARGUMENT: there are not k.
 */
basin_status basin__nearest_find(basin_context *context, const basin__features *a,
                                 const basin__features *b, int k, bool is_same, int64_t *index,
                                 double *distance);

#endif
