/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether samples are copies. A distance to the training set says little alone; test images, which
 * no model has seen, say how near a new image is expected to be (Meehan et al., "A Non-Parametric
 * Test to Detect Data-Copying in Generative Models", 2020, use the same comparison).
 */
#include "eval/neighbours.h"
#include "base/number.h"
#include "eval/chart.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PAIRS_ACROSS 8
#define ZOOM 2

basin_status basin__share_below(basin_context *context, int64_t count, const double *distances,
                                int64_t reference_count, const double *reference, double percentile,
                                double *share) {
    *share = NAN;
    if (count < 1 || reference_count < 1 || !(percentile >= 0 && percentile <= 100))
        return basin__fail(context, BASIN_ERROR_ARGUMENT,
                           "%lld distances below percentile %g of %lld: expected one or more of "
                           "each, and a percentile of 0 to 100",
                           (long long)count, percentile, (long long)reference_count);
    double *sorted = basin__alloc_array(context, (size_t)reference_count, sizeof *sorted);
    if (!sorted)
        return BASIN_ERROR_MEMORY;
    memcpy(sorted, reference, (size_t)reference_count * sizeof *sorted);
    qsort(sorted, (size_t)reference_count, sizeof *sorted, basin__compare_doubles);
    const double rank = ceil(percentile / 100 * (double)reference_count);
    const double limit = sorted[rank < 1 ? 0 : (int64_t)rank - 1];
    int64_t below = 0;
    for (int64_t i = 0; i < count; i++)
        below += distances[i] < limit;
    *share = (double)below / (double)count;
    basin__free(context, sorted);
    return BASIN_OK;
}

/* ---- the picture ---- */

typedef struct pair {
    double distance;
    int64_t sample, nearest;
} pair;

static int compare_pair(const void *left, const void *right) {
    const pair *a = left, *b = right;
    const int by_distance = (a->distance > b->distance) - (a->distance < b->distance);
    return by_distance ? by_distance : (a->sample > b->sample) - (a->sample < b->sample);
}

/** Sample and nearest side by side, PAIRS_ACROSS pairs a line. */
static basin_status draw_pairs(basin_context *context, const basin_data *samples,
                               const basin_data *train, const pair *pairs, int count,
                               basin__image *grid) {
    const basin_data_info *info = basin_data_describe(samples);
    const basin_data_info *other = basin_data_describe(train);
    const int64_t size = (int64_t)info->height * info->width * info->channels;
    float *x = basin__alloc_array(context, (size_t)(2 * count), (size_t)size * sizeof *x);
    if (!x)
        return BASIN_ERROR_MEMORY;
    for (int i = 0; i < count; i++) {
        float *a = x + 2 * i * size, *b = a + size;
        basin_data_get(samples, pairs[i].sample, a);
        basin_data_get(train, pairs[i].nearest, b);
        for (int64_t k = 0; k < size; k++) { /* each on its own scale */
            a[k] = (a[k] - info->low) / (info->high - info->low);
            b[k] = (b[k] - other->low) / (other->high - other->low);
        }
    }
    basin_status status =
        basin__image_grid(context, grid, x, 2 * count, info->height, info->width, info->channels,
                          0.0f, 1.0f, 2 * (count < PAIRS_ACROSS ? count : PAIRS_ACROSS), ZOOM);
    basin__free(context, x);
    return status;
}

basin_status basin__neighbours_picture(basin_context *context, const char *path,
                                       const basin_data *samples, const basin_data *train,
                                       int64_t count, const int64_t *index,
                                       const double *distance) {
    static const char *const captions[] = {"the nearest pairs: sample | nearest training image",
                                           "the first samples: sample | nearest training image"};
    const basin_data_info *info = basin_data_describe(samples);
    if (!info->is_image)
        return basin__fail(context, BASIN_ERROR_UNSUPPORTED, "%s holds points, no pictures",
                           info->name);
    const int shown = count < BASIN__NEIGHBOUR_PAIRS ? (int)count : BASIN__NEIGHBOUR_PAIRS;
    pair *pairs = basin__alloc_array(context, (size_t)count, sizeof *pairs);
    if (!pairs)
        return BASIN_ERROR_MEMORY;
    for (int64_t i = 0; i < count; i++)
        pairs[i] = (pair){distance[i], i, index[i]};
    basin__image grids[2] = {{0}, {0}};
    basin_status status = draw_pairs(context, samples, train, pairs, shown, &grids[1]);
    qsort(pairs, (size_t)count, sizeof *pairs, compare_pair);
    if (status == BASIN_OK)
        status = draw_pairs(context, samples, train, pairs, shown, &grids[0]);
    if (status == BASIN_OK)
        status = basin__chart_captioned(context, path, grids, captions, 2);
    basin__image_reset(context, &grids[0]);
    basin__image_reset(context, &grids[1]);
    basin__free(context, pairs);
    return status;
}
