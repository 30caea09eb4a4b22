/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DDIM and DDPM: from level to level by a Gaussian whose mean is told by the denoised x. The
 * textbook's state is variance preserving, x_t = √ᾱ_t data + √(1 − ᾱ_t) n, its step
 *
 *     x_s = √ᾱ_s D + √(1 − ᾱ_s − τ²) n̂ + τ z,   n̂ = (x_t − √ᾱ_t D) / √(1 − ᾱ_t),
 *     τ = η √((1 − ᾱ_s) / (1 − ᾱ_t)) √(1 − ᾱ_t / ᾱ_s)
 *
 * (Song et al., 2021, eq. 12 and 16).
 *
 * Here x = x_t / √ᾱ_t, at the level σ_t with σ_t² = (1 − ᾱ_t) / ᾱ_t. Divided by √ᾱ_s, and with
 * n̂ = (x − D) / σ_t = σ_t ∇E(x, σ_t),
 *
 *     x <- x − σ_t (σ_t − √(σ_s² − τ²)) ∇E + τ z,   τ = η σ_s √(1 − σ_s² / σ_t²):
 *
 * ᾱ is in it by the levels alone. η = 0 is DDIM, which is Euler's method of the ODE in σ; η = 1 is
 * DDPM's ancestral sampling (Ho et al., 2020, algorithm 2, with the posterior's variance β̃). The
 * last step, to σ = 0, is x = D.
 */
#include "sampler/levels.h"
#include <math.h>
#include <stddef.h>

typedef struct ddim_options {
    basin__levels levels;
    double eta;
} ddim_options;

#define AT(field) offsetof(ddim_options, field)

static const basin__option ddim_table[] = {
    BASIN__LEVEL_ROWS("linear", "50"),
    {"eta", BASIN__OPTION_FLOAT, AT(eta), "0", 0, 1, NULL, NULL,
     "Noise of a step: 0, DDIM, is none; 1, DDPM, the posterior's"},
};

static void ddim_run(const void *values, const basin__cpu_kernels *kernels, basin_energy *energy,
                     basin__chain_tile *tile) {
    const ddim_options *options = values;
    const basin__levels *levels = &options->levels;
    const int64_t last = levels->count - 1, count = tile->n * tile->size;
    const int64_t end = basin__stage_end(tile, levels->count);
    for (int64_t i = tile->stages.first; i < end && i < last; i++) {
        const double from = basin__level(levels, i), to = basin__level(levels, i + 1);
        const double tau = options->eta * to * sqrt(1 - to * to / (from * from));
        if (!basin__level_gradient(levels, kernels, energy, tile, tile->x, from))
            return;
        kernels->axpy(tile->x, -(float)(from * (from - sqrt(to * to - tau * tau))), tile->gradient,
                      count);
        if (!(tau > 0))
            continue;
        basin__tile_normal(kernels, tile, BASIN__PURPOSE_LANGEVIN, i, tile->noise);
        kernels->axpy(tile->x, (float)tau, tile->noise, count);
    }
    if (end > last)
        basin__level_denoise(levels, kernels, energy, tile, basin__level(levels, last));
}

static int64_t ddim_steps(const void *values) {
    return ((const ddim_options *)values)->levels.count;
}

const basin__sampler_def basin__sampler_ddim = {
    .name = "ddim",
    .help = "DDIM, and with eta 1 DDPM: from level to level by the denoised x",
    .options = ddim_table,
    .option_count = BASIN_COUNT(ddim_table),
    .options_bytes = sizeof(ddim_options),
    .needs_noise_level = true,
    .check = basin__levels_check,
    .ignores = basin__levels_ignores,
    .run = ddim_run,
    .temperature = basin__levels_temperature,
    .steps = ddim_steps,
    .stage_count = basin__levels_stage_count,
    .stage_level = basin__levels_stage_level,
    .start = basin__levels_start,
    .fit = basin__levels_fit,
    .set_noise_levels = basin__levels_set,
};
