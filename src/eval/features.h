/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vectors that measures of samples compare: an image's pixels, or what a network makes of them.
 */
#ifndef BASIN_EVAL_FEATURES_H
#define BASIN_EVAL_FEATURES_H

#include "energy/energy.h"
#include "eval/distances.h"

/** A set's values as they are, of examples [0, count); *x is the caller's to basin__free. */
basin_status basin__features_of_values(basin_context *context, const basin_data *data,
                                       int64_t count, basin__features *out, float **x);
/** A network's features, of images mapped to its range. BASIN_ERROR_UNSUPPORTED: it has none. */
basin_status basin__features_of_network(basin_energy *energy, const basin_data *data, int64_t count,
                                        basin__features *out, float **x);
/**
 * Convolutions with weights drawn from a fixed seed, never trained, that keep position: strides of
 * two until at most 8 pixels a side are left, 8 numbers each.
 */
basin_status basin__features_random(basin_context *context, basin_shape shape, basin_energy **out);
/** Of vectors [count, dimension] the mean of each number, [dimension], and the root of the mean of
 * their variances (1 where that is 0). */
void basin__features_scale(const basin__features *features, double *mean, double *deviation);
/** (x − mean) / deviation, in place: x is features->x. */
void basin__features_rescale(const basin__features *features, float *x, const double *mean,
                             double deviation);

#endif
