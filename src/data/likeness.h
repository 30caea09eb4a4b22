/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ink, and how near an image is to the examples of a set.
 *
 * Ink is 0 for paper and 1 for the darkest line, whatever the set's range. With x an image's ink as
 * about 14 × 14 means, brought to length 1, its nearness is the largest x·y over up to 2048
 * examples y. It is strange where that is below what all but 4 % of the examples have among the
 * others.
 */
#ifndef BASIN_DATA_LIKENESS_H
#define BASIN_DATA_LIKENESS_H

#include "base/context.h"
#include <basin/data.h>

/** Ink of example `index`, [height, width, channels]. */
void basin__ink_get(const basin_data *data, int64_t index, float *x);
double basin__ink_sum(const float *x, int64_t size);

/** What the examples of a set look like; constant once made. */
typedef struct basin__likeness {
    int height, width, channels;
    double ink;        /* mean of all values */
    int pool, columns; /* side of a mean's square; means in a row */
    int pooled_count;
    int64_t reference_count;
    float *references; /* [pooled_count, reference_count] */
    double nearest;    /* how near most examples have another */
} basin__likeness;

/** Learn a set of images; on failure nothing is left that a reset would not free. */
basin_status basin__likeness_init(basin_context *context, basin__likeness *of,
                                  const basin_data *inside);
void basin__likeness_reset(basin_context *context, basin__likeness *of);
/** Floats that basin__likeness_strangeness works in. */
int64_t basin__likeness_scratch(const basin__likeness *of);
/** Of an image's ink: 1 where no example is as near as most examples have one, less the nearer. */
double basin__likeness_strangeness(const basin__likeness *of, const float *x, float *scratch);

#endif
