/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Super-resolution: each pixel of y is the mean of factor × factor of x, channel by channel. AᵀA is
 * a block of equal numbers for each pixel of y, and is solved in closed form.
 */
#include "restore/degradation.h"
#include <stddef.h>

#define FACTOR_MAX 16

typedef struct super_options {
    int64_t factor;
} super_options;

static const basin__option super_table[] = {
    {"factor", BASIN__OPTION_INT, offsetof(super_options, factor), "2", 2, FACTOR_MAX, NULL,
     "pixels", "Side of the boxes whose means are seen"},
};

static basin_status prepare(basin_degradation *of, const void *values) {
    const int factor = (int)((const super_options *)values)->factor;
    if (of->shape.height % factor != 0 || of->shape.width % factor != 0)
        return basin__fail(of->context, BASIN_ERROR_SHAPE,
                           "factor %d does not divide images of %d x %d", factor, of->shape.height,
                           of->shape.width);
    of->factor = factor;
    of->gain = 1.0 / (factor * factor);
    of->degraded =
        basin_shape_image(of->shape.height / factor, of->shape.width / factor, of->shape.channels);
    return BASIN_OK;
}

/* Where the pixels of box `index` of y lie in x; their number. */
static int box_of(const basin_degradation *of, int64_t index, int offset[]) {
    const int channels = of->shape.channels, channel = (int)(index % channels);
    const int pixel = (int)(index / channels), factor = of->factor;
    const int top = pixel / of->degraded.width * factor, left = pixel % of->degraded.width * factor;
    int count = 0;
    for (int i = 0; i < factor; i++)
        for (int j = 0; j < factor; j++)
            offset[count++] = ((top + i) * of->shape.width + left + j) * channels + channel;
    return count;
}

static void apply(const basin_degradation *of, const float *x, float *y) {
    int offset[FACTOR_MAX * FACTOR_MAX];
    for (int64_t index = 0; index < basin_shape_count(of->degraded); index++) {
        const int count = box_of(of, index, offset);
        double sum = 0;
        for (int i = 0; i < count; i++)
            sum += (double)x[offset[i]];
        y[index] = (float)(sum / count);
    }
}

static void adjoint(const basin_degradation *of, const float *y, float *x) {
    int offset[FACTOR_MAX * FACTOR_MAX];
    for (int64_t index = 0; index < basin_shape_count(of->degraded); index++) {
        const int count = box_of(of, index, offset);
        for (int i = 0; i < count; i++)
            x[offset[i]] = y[index] / (float)count;
    }
}

static void solve(const basin_degradation *of, double weight, double ridge, const float *b,
                  float *x, double *work) {
    int offset[FACTOR_MAX * FACTOR_MAX];
    (void)work;
    for (int64_t index = 0; index < basin_shape_count(of->degraded); index++) {
        const int count = box_of(of, index, offset);
        basin__solve_group(weight, ridge, count, offset, b, x);
    }
}

const basin__task_def basin__task_super_resolve = {
    .name = "super-resolve",
    .help = "means over boxes of pixels are seen",
    .options = super_table,
    .option_count = BASIN_COUNT(super_table),
    .options_bytes = sizeof(super_options),
    .prepare = prepare,
    .apply = apply,
    .adjoint = adjoint,
    .solve = solve,
};
