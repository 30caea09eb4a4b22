/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Colourisation: the mean of a pixel's three channels is seen.
 */
#include "restore/degradation.h"

enum { CHANNELS = 3 };

static basin_status prepare(basin_degradation *of, const void *options) {
    (void)options;
    if (of->shape.channels != CHANNELS)
        return basin__fail(of->context, BASIN_ERROR_SHAPE,
                           "images have %d channel%s: expected a model of colour images, with 3",
                           of->shape.channels, of->shape.channels == 1 ? ", and are grey" : "s");
    of->gain = 1.0 / CHANNELS;
    of->degraded = basin_shape_image(of->shape.height, of->shape.width, 1);
    return BASIN_OK;
}

static void apply(const basin_degradation *of, const float *x, float *y) {
    for (int64_t i = 0; i < basin_shape_count(of->degraded); i++)
        y[i] = (x[CHANNELS * i] + x[CHANNELS * i + 1] + x[CHANNELS * i + 2]) / CHANNELS;
}

static void adjoint(const basin_degradation *of, const float *y, float *x) {
    for (int64_t i = 0; i < CHANNELS * basin_shape_count(of->degraded); i++)
        x[i] = y[i / CHANNELS] / CHANNELS;
}

static void solve(const basin_degradation *of, double weight, double ridge, const float *b,
                  float *x, double *work) {
    static const int offset[CHANNELS] = {0, 1, 2};
    (void)work;
    for (int64_t i = 0; i < basin_shape_count(of->degraded); i++)
        basin__solve_group(weight, ridge, CHANNELS, offset, b + CHANNELS * i, x + CHANNELS * i);
}

const basin__task_def basin__task_colourise = {
    .name = "colourise",
    .help = "the mean of a pixel's channels is seen",
    .prepare = prepare,
    .apply = apply,
    .adjoint = adjoint,
    .solve = solve,
};
