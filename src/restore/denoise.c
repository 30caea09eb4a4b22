/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Denoising: A = 1, y = x + noise.
 */
#include "restore/degradation.h"
#include <string.h>

static basin_status prepare(basin_degradation *of, const void *options) {
    (void)options;
    of->gain = 1;
    return BASIN_OK;
}

static void copy(const basin_degradation *of, const float *from, float *to) {
    memcpy(to, from, (size_t)basin_shape_count(of->shape) * sizeof *to);
}

static void solve(const basin_degradation *of, double weight, double ridge, const float *b,
                  float *x, double *work) {
    (void)work;
    for (int64_t i = 0; i < basin_shape_count(of->shape); i++)
        x[i] = (float)((double)b[i] / (weight + ridge));
}

const basin__task_def basin__task_denoise = {
    .name = "denoise",
    .help = "y = x + noise",
    .is_identity = true,
    .prepare = prepare,
    .apply = copy,
    .adjoint = copy,
    .solve = solve,
};
