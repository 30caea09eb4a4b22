/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See likeness.h.
 */
#include "data/likeness.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define REFERENCES 2048 /* examples that an image is held against */
#define POOLED_SIDE 14  /* about, of what is compared */

void basin__ink_get(const basin_data *data, int64_t index, float *x) {
    const basin_data_info *info = basin_data_describe(data);
    int64_t size = (int64_t)info->height * info->width * info->channels;
    float scale = 1.0f / (info->high - info->low);
    basin_data_get(data, index, x);
    for (int64_t i = 0; i < size; i++)
        x[i] = (x[i] - info->low) * scale;
}

double basin__ink_sum(const float *x, int64_t size) {
    double sum = 0;
    for (int64_t i = 0; i < size; i++)
        sum += (double)x[i];
    return sum;
}

/** Means of squares of ink over all channels, as a vector of length 1. */
static void pool(const basin__likeness *of, const float *x, float *pooled) {
    int64_t row = (int64_t)of->width * of->channels;
    double square = 0;
    memset(pooled, 0, (size_t)of->pooled_count * sizeof(float));
    for (int y = 0; y < of->height; y++)
        for (int64_t i = 0; i < row; i++)
            pooled[y / of->pool * of->columns + i / of->channels / of->pool] += x[y * row + i];
    for (int k = 0; k < of->pooled_count; k++)
        square += (double)pooled[k] * (double)pooled[k];
    float scale = square > 0 ? (float)(1 / sqrt(square)) : 0;
    for (int k = 0; k < of->pooled_count; k++)
        pooled[k] *= scale;
}

/** The cosine to the nearest reference but `left_out`; `sums` [reference_count] is scratch. */
static double nearness(const basin__likeness *of, const float *pooled, int64_t left_out,
                       float *sums) {
    int64_t n = of->reference_count;
    float best = 0;
    memset(sums, 0, (size_t)n * sizeof(float));
    for (int k = 0; k < of->pooled_count; k++) {
        const float *reference = of->references + k * n;
        float mean = pooled[k];
        for (int64_t i = 0; i < n && mean > 0; i++)
            sums[i] += mean * reference[i];
    }
    for (int64_t i = 0; i < n; i++)
        best = i != left_out && sums[i] > best ? sums[i] : best;
    return (double)best;
}

static int by_size(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/** Mean ink, references, and how near 96 % of these have another. */
static void measure(basin__likeness *of, const basin_data *inside, int64_t size, float *x,
                    float *pooled, float *sums, float *nearest) {
    int64_t n = of->reference_count, apart = basin_data_describe(inside)->count / n;
    for (int64_t i = 0; i < n; i++) {
        basin__ink_get(inside, i * apart, x);
        of->ink += basin__ink_sum(x, size) / (double)(size * n);
        pool(of, x, pooled);
        for (int k = 0; k < of->pooled_count; k++)
            of->references[k * n + i] = pooled[k];
    }
    int64_t asked = n < 256 ? n : 256;
    for (int64_t i = 0; i < asked; i++) {
        for (int k = 0; k < of->pooled_count; k++)
            pooled[k] = of->references[k * n + i];
        nearest[i] = (float)nearness(of, pooled, i, sums);
    }
    qsort(nearest, (size_t)asked, sizeof(float), by_size);
    of->nearest = asked < 16 ? 1 : (double)nearest[asked / 25];
}

basin_status basin__likeness_init(basin_context *context, basin__likeness *of,
                                  const basin_data *inside) {
    const basin_data_info *info = basin_data_describe(inside);
    const int longer = info->height > info->width ? info->height : info->width;
    const int64_t size = (int64_t)info->height * info->width * info->channels;
    *of =
        (basin__likeness){.height = info->height, .width = info->width, .channels = info->channels};
    of->pool = (longer + POOLED_SIDE / 2) / POOLED_SIDE;
    of->pool = of->pool < 1 ? 1 : of->pool;
    of->columns = (info->width + of->pool - 1) / of->pool;
    of->pooled_count = (info->height + of->pool - 1) / of->pool * of->columns;
    of->reference_count = info->count < REFERENCES ? info->count : REFERENCES;
    size_t pooled = (size_t)of->pooled_count, n = (size_t)of->reference_count;
    float *x = basin__alloc_array(context, (size_t)size + pooled + 2 * n, sizeof(float));
    of->references = basin__alloc_array(context, pooled * n, sizeof(float));
    bool is_made = x && of->references;
    if (is_made) {
        float *means = x + size;
        measure(of, inside, size, x, means, means + pooled, means + pooled + n);
    }
    basin__free(context, x);
    return is_made ? BASIN_OK : BASIN_ERROR_MEMORY;
}

void basin__likeness_reset(basin_context *context, basin__likeness *of) {
    basin__free(context, of->references);
    of->references = NULL;
}

int64_t basin__likeness_scratch(const basin__likeness *of) {
    return of->pooled_count + of->reference_count;
}

double basin__likeness_strangeness(const basin__likeness *of, const float *x, float *scratch) {
    pool(of, x, scratch);
    double near = nearness(of, scratch, -1, scratch + of->pooled_count);
    return fmin((1 - near) / fmax(1 - of->nearest, 1e-9), 1);
}
