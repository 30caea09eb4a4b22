/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Annealed Langevin dynamics: T steps at each noise level, from the highest down,
 *
 *     x <- x − (α_i / 2) ∇E(x, σ_i) + √α_i z,   α_i = step_size σ_i²,   z ~ N(0, I)
 *
 * whose signal-to-noise ratio is the same at all levels (Song & Ermon, 2019, algorithm 1; their ε
 * is step_size times the lowest level's square: 2e-5 at 0.01² is 0.2 here). At a Gaussian level of
 * variance V a chain comes to V / (1 − α/(4V)), since no step is rejected. At last x <- D(x, σ),
 * which takes the lowest level's noise away (Song & Ermon, 2020; Jolicoeur-Martineau et al., 2021).
 */
#include "sampler/levels.h"
#include <stddef.h>

typedef struct annealed_options {
    basin__levels levels;
    int64_t level_steps;
    double step_size;
    bool is_noisy;
} annealed_options;

#define AT(field) offsetof(annealed_options, field)

static const basin__option annealed_table[] = {
    BASIN__LEVEL_ROWS("geometric", "10"),
    {"level-steps", BASIN__OPTION_INT, AT(level_steps), "100", 1, 1e9, NULL, "steps",
     "Steps at each level"},
    {"step-size", BASIN__OPTION_FLOAT, AT(step_size), "0.2", 1e-9, 4, NULL, NULL,
     "Of a step, in units of sigma^2"},
    {"keep-noise", BASIN__OPTION_FLAG, AT(is_noisy), NULL, 0, 0, NULL, NULL,
     "Leave out the last step, which removes the lowest level's noise"},
};

static void annealed_run(const void *values, const basin__cpu_kernels *kernels,
                         basin_energy *energy, basin__chain_tile *tile) {
    const annealed_options *options = values;
    const basin__levels *levels = &options->levels;
    const int64_t steps = levels->count * options->level_steps;
    const int64_t end = basin__stage_end(tile, steps + 1);
    for (int64_t step = tile->stages.first; step < end && step < steps; step++) {
        const double sigma = basin__level(levels, step / options->level_steps);
        const double alpha = options->step_size * sigma * sigma;
        if (!basin__level_gradient(levels, kernels, energy, tile, tile->x, sigma))
            return;
        kernels->axpy(tile->x, (float)(-0.5 * alpha), tile->gradient, tile->n * tile->size);
        basin__tile_normal(kernels, tile, BASIN__PURPOSE_LANGEVIN, step, tile->noise);
        kernels->axpy(tile->x, (float)sqrt(alpha), tile->noise, tile->n * tile->size);
    }
    if (end > steps)
        basin__level_end(levels, kernels, energy, tile, options->is_noisy);
}

static int64_t annealed_steps(const void *values) {
    const annealed_options *options = values;
    return options->levels.count * options->level_steps + !options->is_noisy;
}

/** Steps, and the end. */
static int64_t annealed_stage_count(const void *values) {
    const annealed_options *options = values;
    return options->levels.count * options->level_steps + 1;
}

/** Chains are at the level of the step before; at last they are samples. */
static double annealed_stage_level(const void *values, int64_t i) {
    const annealed_options *options = values;
    if (i >= annealed_stage_count(values))
        return 0;
    return basin__level(&options->levels, i > 0 ? (i - 1) / options->level_steps : 0);
}

const basin__sampler_def basin__sampler_annealed_langevin = {
    .name = "annealed-langevin",
    .help = "Langevin dynamics at one noise level after the other",
    .options = annealed_table,
    .option_count = BASIN_COUNT(annealed_table),
    .options_bytes = sizeof(annealed_options),
    .needs_noise_level = true,
    .check = basin__levels_check,
    .ignores = basin__levels_ignores,
    .run = annealed_run,
    .temperature = basin__levels_temperature,
    .steps = annealed_steps,
    .stage_count = annealed_stage_count,
    .stage_level = annealed_stage_level,
    .start = basin__levels_start,
    .fit = basin__levels_fit,
    .set_noise_levels = basin__levels_set,
};
