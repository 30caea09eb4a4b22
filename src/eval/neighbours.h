/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether samples are copies: how near they are to training images.
 */
#ifndef BASIN_EVAL_NEIGHBOURS_H
#define BASIN_EVAL_NEIGHBOURS_H

#include "base/context.h"
#include <basin/data.h>

/**
 * Share of `distances` below the percentile (0 to 100) of `reference`, the value that ⌈q n / 100⌉
 * of the reference are at or below. Chance alone gives about q / 100.
 */
basin_status basin__share_below(basin_context *context, int64_t count, const double *distances,
                                int64_t reference_count, const double *reference, double percentile,
                                double *share);

#define BASIN__NEIGHBOUR_PAIRS 32

/**
 * A PNG of pairs, sample | its nearest training image: the BASIN__NEIGHBOUR_PAIRS nearest pairs and
 * the first ones, of samples [0, count). index and distance [count]: of their nearest in `train`.
 */
basin_status basin__neighbours_picture(basin_context *context, const char *path,
                                       const basin_data *samples, const basin_data *train,
                                       int64_t count, const int64_t *index, const double *distance);

#endif
