/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hamiltonian Monte Carlo on exp(−E(x)/T): a chain is given a random momentum and follows
 *
 *     dx/dt = p,   dp/dt = −∇E(x)/T
 *
 * for `leapfrog_steps` steps of `step_size`; the point it comes to is accepted with probability
 * min(1, exp(−ΔH)), H = E/T + ½‖p‖². Steps of which about 0.65 are accepted go farthest.
 *
 * Duane et al. (1987); Neal (2011). See metropolis.c.
 */
#include "sampler/metropolis.h"
#include <stddef.h>

typedef struct hmc_options {
    int64_t n_steps, leapfrog_steps;
    double step_size, temperature;
} hmc_options;

#define AT(field) offsetof(hmc_options, field)

static const basin__option hmc_table[] = {
    {"n-steps", BASIN__OPTION_INT, AT(n_steps), "20", 0, 1e9, NULL, "moves", "Moves a chain"},
    {"leapfrog-steps", BASIN__OPTION_INT, AT(leapfrog_steps), "10", 1, 1e6, NULL, "steps",
     "Leapfrog steps a move"},
    {"step-size", BASIN__OPTION_FLOAT, AT(step_size), "0.1", 1e-12, 1e12, NULL, NULL,
     "Time of a leapfrog step"},
    {"temperature", BASIN__OPTION_FLOAT, AT(temperature), "1", 1e-12, 1e12, NULL, NULL,
     "T of exp(-E/T)"},
};

static void hmc_run(const void *values, const basin__cpu_kernels *kernels, basin_energy *energy,
                    basin__chain_tile *tile) {
    const hmc_options *options = values;
    const basin__metropolis walk = {.step = options->step_size,
                                    .temperature = options->temperature,
                                    .leapfrog_steps = options->leapfrog_steps};
    const int64_t first = tile->stages.first;
    basin__metropolis_walk(&walk, kernels, energy, tile, first,
                           basin__stage_end(tile, options->n_steps) - first);
}

static basin_temperature hmc_temperature(const void *values) {
    return (basin_temperature){.value = ((const hmc_options *)values)->temperature,
                               .is_exact = true};
}

static int64_t hmc_stage_count(const void *values) {
    return ((const hmc_options *)values)->n_steps;
}

static int64_t hmc_steps(const void *values) {
    const hmc_options *options = values;
    return options->n_steps * options->leapfrog_steps + 1;
}

const basin__sampler_def basin__sampler_hmc = {
    .name = "hmc",
    .help = "Hamiltonian Monte Carlo: exact at any step size, with far moves",
    .options = hmc_table,
    .option_count = BASIN_COUNT(hmc_table),
    .options_bytes = sizeof(hmc_options),
    .scratch_count = BASIN__METROPOLIS_SCRATCH,
    .number_count = BASIN__METROPOLIS_NUMBERS,
    .run = hmc_run,
    .temperature = hmc_temperature,
    .steps = hmc_steps,
    .stage_count = hmc_stage_count,
};
