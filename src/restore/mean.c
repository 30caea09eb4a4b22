/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The posterior mean of denoising. E(x, σ) is the energy of data with noise σ n, and y is that:
 *
 *     E[x | y] = y − σ² ∇E(y, σ)
 *
 * without any approximation but the model's, at y as it is, not clipped (Robbins, 1956; Miyasawa,
 * 1961; Efron, 2011). No image has a smaller mean squared error.
 */
#include "restore/restoration.h"
#include <string.h>

static basin_status mean_fit(const basin__restoration *of, const basin_energy *energy,
                             void *options) {
    (void)options;
    BASIN_TRY(basin__restoration_needs_levels(energy, "mean"));
    if (of->degradation->task->is_identity)
        return basin__restoration_at_noise(of, energy);
    return basin__fail(energy->context, BASIN_ERROR_CONFIG,
                       "method mean is of task denoise alone: for %s take the mean of samples, "
                       "method anneal",
                       of->degradation->task->name);
}

static void mean_run(const void *values, const basin__cpu_kernels *kernels, basin_energy *energy,
                     basin__chain_tile *tile) {
    const basin__restoration *of = values;
    const basin__levels levels = {0};
    for (int i = 0; i < tile->n; i++)
        memcpy(tile->x + i * tile->size, basin__restoration_seen(of, tile, i),
               (size_t)tile->size * sizeof(float));
    basin__level_denoise(&levels, kernels, energy, tile, of->noise_std);
}

static int64_t mean_steps(const void *values) {
    (void)values;
    return 1;
}

const basin__method_def basin__method_mean = {
    .name = "mean",
    .help = "denoising's exact posterior mean, y - sigma^2 dE/dx at the noise's own level",
    .fit = mean_fit,
    .walk = {.name = "mean", .run = mean_run, .steps = mean_steps},
};
