/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metropolis-adjusted Langevin: a step of Langevin dynamics at temperature T is a proposal,
 *
 *     x' = x − step_size · dE/dx + √(2 step_size T) · N(0, I),
 *
 * accepted with probability min(1, p(x') q(x | x') / (p(x) q(x' | x))), p ∝ exp(−E/T). Chains have
 * exactly that density, whatever the step; steps of which about 0.57 are accepted go farthest.
 *
 * Roberts & Tweedie (1996); Roberts & Rosenthal (1998). See metropolis.c.
 */
#include "sampler/metropolis.h"
#include <stddef.h>

typedef struct mala_options {
    int64_t n_steps;
    double step_size, temperature;
} mala_options;

#define AT(field) offsetof(mala_options, field)

static const basin__option mala_table[] = {
    {"n-steps", BASIN__OPTION_INT, AT(n_steps), "100", 0, 1e9, NULL, "steps", "Steps a chain"},
    {"step-size", BASIN__OPTION_FLOAT, AT(step_size), "0.01", 1e-12, 1e12, NULL, NULL,
     "Factor of the energy's gradient"},
    {"temperature", BASIN__OPTION_FLOAT, AT(temperature), "1", 1e-12, 1e12, NULL, NULL,
     "T of exp(-E/T)"},
};

static void mala_run(const void *values, const basin__cpu_kernels *kernels, basin_energy *energy,
                     basin__chain_tile *tile) {
    const mala_options *options = values;
    const basin__metropolis walk = {.step = sqrt(2 * options->step_size * options->temperature),
                                    .temperature = options->temperature,
                                    .leapfrog_steps = 1};
    const int64_t first = tile->stages.first;
    basin__metropolis_walk(&walk, kernels, energy, tile, first,
                           basin__stage_end(tile, options->n_steps) - first);
}

static basin_temperature mala_temperature(const void *values) {
    return (basin_temperature){.value = ((const mala_options *)values)->temperature,
                               .is_exact = true};
}

static int64_t mala_stage_count(const void *values) {
    return ((const mala_options *)values)->n_steps;
}

static int64_t mala_steps(const void *values) {
    return ((const mala_options *)values)->n_steps + 1;
}

const basin__sampler_def basin__sampler_mala = {
    .name = "mala",
    .help = "Langevin steps that are accepted or rejected: exact at any step size",
    .options = mala_table,
    .option_count = BASIN_COUNT(mala_table),
    .options_bytes = sizeof(mala_options),
    .scratch_count = BASIN__METROPOLIS_SCRATCH,
    .number_count = BASIN__METROPOLIS_NUMBERS,
    .run = mala_run,
    .temperature = mala_temperature,
    .steps = mala_steps,
    .stage_count = mala_stage_count,
};
