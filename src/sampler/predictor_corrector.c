/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reverse-time SDE of the variance-exploding process, dx = −∇log p_σ d(σ²) + √(d(σ²)) n, with
 * corrections at each level. For i = 0 … N−2:
 *
 *   predictor  x <- x − (σ_i² − σ_{i+1}²) ∇E(x, σ_i) + s z,   z ~ N(0, I)
 *                reverse-diffusion  s² = σ_i² − σ_{i+1}²                       (Euler–Maruyama)
 *                ancestral          s² = σ_{i+1}² (σ_i² − σ_{i+1}²) / σ_i²     (the posterior's)
 *                none               x stays
 *   corrector  steps of an MCMC method on exp(−E(x, σ_{i+1})), r the signal-to-noise ratio:
 *                langevin           x <- x − ε ∇E + √(2ε) z,  ε = min(2 (r ‖z‖ / ‖∇E‖)², σ_{i+1}²)
 *                mala               ε = 2 (r σ_{i+1})², accepted or rejected
 *                hmc                as many leapfrog steps of the size √(2ε), accepted or rejected
 *
 * and x <- D(x, σ_{N−1}) at last. mala and hmc need a step size that does not depend on x: where
 * ‖z‖ / ‖∇E‖ is σ, as it is of data that are narrow beside σ, it is langevin's. Without steps of
 * the corrector this is the SDE alone; without a predictor, annealed MCMC.
 *
 * Song et al. (2021), algorithms 2 and 4 and appendices E and F, with norms of a chain where they
 * take means over a batch, and hence the bound on ε: near a mode ∇E is nearly 0, and as no density
 * with noise σ is narrower than σ, a step of more than σ² overshoots. Du et al. (2023) for MCMC
 * that an energy can accept or reject.
 */
#include "sampler/metropolis.h"
#include <stddef.h>

enum { REVERSE_DIFFUSION, ANCESTRAL, NONE };
enum { LANGEVIN, MALA, HMC };

typedef struct pc_options {
    basin__levels levels;
    int64_t predictor, corrector, corrector_steps, leapfrog_steps;
    double ratio;
} pc_options;

#define AT(field) offsetof(pc_options, field)

static const basin__option pc_table[] = {
    BASIN__LEVEL_ROWS("geometric", "200"),
    {"predictor", BASIN__OPTION_CHOICE, AT(predictor), "reverse-diffusion", 0, 0,
     "reverse-diffusion|ancestral|none", NULL, "Step from level to level"},
    {"corrector", BASIN__OPTION_CHOICE, AT(corrector), "langevin", 0, 0, "langevin|mala|hmc", NULL,
     "Steps at a level"},
    {"corrector-steps", BASIN__OPTION_INT, AT(corrector_steps), "1", 0, 1e6, NULL, "steps",
     "Number of steps at a level; 0: none"},
    {"leapfrog-steps", BASIN__OPTION_INT, AT(leapfrog_steps), "5", 1, 1e6, NULL, "steps",
     "Corrector hmc: leapfrog steps of each of its steps"},
    {"ratio", BASIN__OPTION_FLOAT, AT(ratio), "0.16", 1e-6, 1e3, NULL, NULL,
     "Corrector's signal-to-noise ratio: its step is 2 (ratio sigma)^2 or like that"},
};

static bool predict(const pc_options *options, const basin__cpu_kernels *kernels,
                    basin_energy *energy, basin__chain_tile *tile, int64_t i) {
    const double from = basin__level(&options->levels, i);
    const double to = basin__level(&options->levels, i + 1), fall = from * from - to * to;
    const double noise = sqrt(fall) * (options->predictor == ANCESTRAL ? to / from : 1);
    if (options->predictor == NONE)
        return true;
    if (!basin__level_gradient(&options->levels, kernels, energy, tile, tile->x, from))
        return false;
    kernels->axpy(tile->x, -(float)fall, tile->gradient, tile->n * tile->size);
    basin__tile_normal(kernels, tile, BASIN__PURPOSE_LANGEVIN, i, tile->noise);
    kernels->axpy(tile->x, (float)noise, tile->noise, tile->n * tile->size);
    return true;
}

/** A Langevin step, the run's `index`-th of the corrector. */
static bool correct(const pc_options *options, const basin__cpu_kernels *kernels,
                    basin_energy *energy, basin__chain_tile *tile, double sigma, int64_t index) {
    if (!basin__level_gradient(&options->levels, kernels, energy, tile, tile->x, sigma))
        return false;
    basin__tile_normal(kernels, tile, BASIN__PURPOSE_MOMENTUM, index, tile->noise);
    for (int64_t at = 0; at < tile->n * tile->size; at += tile->size) {
        const float *gradient = tile->gradient + at, *noise = tile->noise + at;
        const double slope = kernels->dot(gradient, gradient, tile->size);
        const double size = kernels->dot(noise, noise, tile->size);
        const double wanted = 2 * options->ratio * options->ratio * size;
        const double bound = sigma * sigma;
        const double step = wanted < bound * slope ? wanted / slope : bound;
        kernels->axpy(tile->x + at, -(float)step, gradient, tile->size);
        kernels->axpy(tile->x + at, (float)sqrt(2 * step), noise, tile->size);
    }
    return true;
}

static bool correct_all(const pc_options *options, const basin__cpu_kernels *kernels,
                        basin_energy *energy, basin__chain_tile *tile, int64_t i) {
    const double sigma = basin__level(&options->levels, i + 1);
    const int64_t first = i * options->corrector_steps;
    const basin__metropolis walk = {.step = 2 * options->ratio * sigma,
                                    .temperature = 1,
                                    .leapfrog_steps =
                                        options->corrector == HMC ? options->leapfrog_steps : 1,
                                    .levels = &options->levels,
                                    .sigma = sigma};
    if (options->corrector != LANGEVIN)
        return basin__metropolis_walk(&walk, kernels, energy, tile, first,
                                      options->corrector_steps);
    for (int64_t step = first; step < first + options->corrector_steps; step++)
        if (!correct(options, kernels, energy, tile, sigma, step))
            return false;
    return true;
}

static void pc_run(const void *values, const basin__cpu_kernels *kernels, basin_energy *energy,
                   basin__chain_tile *tile) {
    const pc_options *options = values;
    const int64_t last = options->levels.count - 1;
    const int64_t end = basin__stage_end(tile, options->levels.count);
    for (int64_t i = tile->stages.first; i < end && i < last; i++)
        if (!predict(options, kernels, energy, tile, i) ||
            !correct_all(options, kernels, energy, tile, i))
            return;
    if (end > last)
        basin__level_denoise(&options->levels, kernels, energy, tile,
                             basin__level(&options->levels, last));
}

/** Of a level: the predictor's evaluation, the corrector's, and one where that begins. */
static int64_t pc_steps(const void *values) {
    const pc_options *options = values;
    int64_t corrections = options->corrector_steps;
    if (options->corrector == HMC)
        corrections *= options->leapfrog_steps;
    if (options->corrector != LANGEVIN && corrections > 0)
        corrections++;
    return (options->levels.count - 1) * ((options->predictor != NONE) + corrections) + 1;
}

static basin_status pc_check(basin_context *context, void *values) {
    const pc_options *options = values;
    if (options->predictor == NONE && options->corrector_steps == 0)
        return basin__fail(context, BASIN_ERROR_CONFIG,
                           "predictor none with corrector-steps 0 moves no chain: give either");
    return basin__levels_check(context, values);
}

static bool pc_ignores(const void *values, const char *name) {
    static const char *const of_corrector[] = {"corrector", "leapfrog-steps", "ratio", NULL};
    const pc_options *options = values;
    return basin__levels_ignores(values, name) ||
           (options->corrector != HMC && strcmp(name, "leapfrog-steps") == 0) ||
           (options->corrector_steps == 0 && basin__option_is_among(name, of_corrector));
}

const basin__sampler_def basin__sampler_predictor_corrector = {
    .name = "predictor-corrector",
    .help = "the reverse-time SDE, with MCMC steps at each noise level",
    .options = pc_table,
    .option_count = BASIN_COUNT(pc_table),
    .options_bytes = sizeof(pc_options),
    .needs_noise_level = true,
    .scratch_count = BASIN__METROPOLIS_SCRATCH,
    .number_count = BASIN__METROPOLIS_NUMBERS,
    .check = pc_check,
    .ignores = pc_ignores,
    .run = pc_run,
    .temperature = basin__levels_temperature,
    .steps = pc_steps,
    .stage_count = basin__levels_stage_count,
    .stage_level = basin__levels_stage_level,
    .start = basin__levels_start,
    .fit = basin__levels_fit,
    .set_noise_levels = basin__levels_set,
};
