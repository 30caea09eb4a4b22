/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches of data: which examples an update sees, and what is done to them.
 *
 * Examples are numbered through the epochs: update u (from 0) takes numbers
 * u·batch … (u+1)·batch - 1, number k is place k mod count of epoch k / count, and
 * an epoch's order is a permutation that depends on the seed and the epoch alone.
 */
#ifndef BASIN_TRAIN_BATCHES_H
#define BASIN_TRAIN_BATCHES_H

#include "train/buffer.h"
#include <basin/data.h>

typedef struct basin__batches {
    basin_context *context;
    const basin_data *data;
    int64_t count;
    basin_shape shape;
    bool is_image;
    float low, high; /* the model's range of images */
    double noise_std;
    int64_t shift;
    bool flip, treat;
    uint64_t seed;
    int64_t epoch;  /* whose order is held; -1: none */
    int32_t *order; /* [count] */
    float *example; /* scratch of one example */
} basin__batches;

/** Make ready for a data set; options in the struct (range, noise, shift, flip) are set after. */
basin_status basin__batches_init(basin_context *context, basin__batches *batches,
                                 const basin_data *data, uint64_t seed);
void basin__batches_reset(basin__batches *batches);
/**
 * Fill x [n, size] for an update and, where labels is not NULL, the examples' classes [n]: one
 * without a label has class_count.
 */
void basin__batches_get(basin__batches *batches, const basin__moment *moment, int64_t n, float *x,
                        float *labels);
/**
 * An example as the model sees it, neither augmented nor noisy: of images [low, high] is where
 * [0, 1] or [-1, 1] come to; others, and points, are as they are.
 */
void basin__example_get(const basin_data *data, int64_t index, float low, float high, float *x);

#endif
