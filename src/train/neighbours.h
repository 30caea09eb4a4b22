/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nearest neighbours among chains, from whose distances entropy is estimated.
 */
#ifndef BASIN_TRAIN_NEIGHBOURS_H
#define BASIN_TRAIN_NEIGHBOURS_H

#include "train/buffer.h"

/** Chains to look among. */
typedef struct basin__neighbours {
    basin_context *context;
    int64_t capacity, wanted, count, size;
    float *x;       /* [capacity, size]: `count` chains */
    double *square; /* [capacity] |x|² */
    int32_t *slots; /* [capacity] where they come from */
} basin__neighbours;

/** `wanted` chains are drawn at a time; a batch of `batch` must fit, too. */
basin_status basin__neighbours_init(basin_context *context, basin__neighbours *all, int64_t wanted,
                                    int64_t batch, int64_t size);
void basin__neighbours_reset(basin__neighbours *all);
/** Draw chains from a buffer that is not empty, with replacement. */
void basin__neighbours_draw(basin__neighbours *all, const basin__buffer *buffer,
                            const basin__moment *moment);
/** Take the chains x [n, size] themselves, slot i being chain i. */
void basin__neighbours_take(basin__neighbours *all, int64_t n, const float *x);
/**
 * For each chain of x [n, size] the nearest of those drawn that do not come from its own slot; the
 * chain itself where there is none.
 *
 * @param own  [n] the chains' slots; NULL: chain i's is i
 * @param out  [n, size]
 */
void basin__neighbours_find(const basin__neighbours *all, int64_t n, const int32_t *own,
                            const float *x, float *out);

#endif
