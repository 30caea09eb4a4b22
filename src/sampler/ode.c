/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The probability-flow ODE, whose solutions have the density p_σ at each level σ:
 *
 *     dx/dσ = −σ ∇ log p_σ(x) = σ ∇ₓE(x, σ) = (x − D(x, σ)) / σ
 *
 * from N(0, σ_0²) down to σ = 0 (Song et al., 2021, eq. 13; Karras et al., 2022, eq. 1 with their
 * σ(t) = t). The last step, from σ_{N−1} to 0, is Euler's, which is x = D.
 *
 *   heun   x' = x + (σ_{i+1} − σ_i) d_i,  x <- x + ½ (σ_{i+1} − σ_i) (d_i + d'_{i+1})   order 2
 *   euler  x <- x + (σ_{i+1} − σ_i) d_i                                                 order 1
 *   rk45   Dormand & Prince's pair, each chain with steps of its own from σ_0 to σ_{N−1}, which are
 *          all it takes of the schedule; their errors are held below tolerance-absolute +
 *          tolerance-relative |x| in root mean square
 *
 * Before each step of the first two, churn may add noise, to the level σ̂ = σ (1 + γ), γ =
 * min(churn / N, √2 − 1) within [churn-low, churn-high]: Karras et al. (2022), algorithm 2;
 * without it, algorithm 1.
 */
#include "sampler/adaptive.h"
#include "sampler/levels.h"
#include <math.h>
#include <stddef.h>
#include <string.h>

enum { HEUN, EULER, RK45 };

typedef struct ode_options {
    basin__levels levels;
    int64_t method, evaluations_max;
    double churn, churn_low, churn_high, churn_noise;
    double absolute, relative;
} ode_options;

#define AT(field) offsetof(ode_options, field)

static const basin__option ode_table[] = {
    BASIN__LEVEL_ROWS("karras", "18"),
    {"method", BASIN__OPTION_CHOICE, AT(method), "heun", 0, 0, "heun|euler|rk45", NULL,
     "Order 2 or 1 from level to level, or 5 with steps of each chain's own between the ends"},
    {"churn", BASIN__OPTION_FLOAT, AT(churn), "0", 0, 1e6, NULL, NULL,
     "heun, euler: noise added before steps, in all; 0: none"},
    {"churn-low", BASIN__OPTION_FLOAT, AT(churn_low), "0", 0, 1e6, NULL, NULL,
     "Lowest level at which noise is added"},
    {"churn-high", BASIN__OPTION_FLOAT, AT(churn_high), "1e6", 0, 1e6, NULL, NULL,
     "Highest level at which noise is added"},
    {"churn-noise", BASIN__OPTION_FLOAT, AT(churn_noise), "1", 0, 10, NULL, NULL,
     "Factor of the standard deviation of that noise"},
    {"tolerance-absolute", BASIN__OPTION_FLOAT, AT(absolute), "1e-5", 1e-12, 1, NULL, NULL,
     "rk45: error of a step that is allowed"},
    {"tolerance-relative", BASIN__OPTION_FLOAT, AT(relative), "1e-5", 1e-6, 1, NULL, NULL,
     "rk45: the same, in proportion to |x|"},
    {"evaluations-max", BASIN__OPTION_INT, AT(evaluations_max), "2000", 16, 1e9, NULL,
     "evaluations", "rk45: a chain that needs more is an error"},
};

static basin_status ode_check(basin_context *context, void *values) {
    const ode_options *options = values;
    if (options->method == RK45 && options->churn > 0)
        return basin__fail(context, BASIN_ERROR_CONFIG,
                           "churn %g is for the methods heun and euler, not for rk45",
                           options->churn);
    if (!(options->churn_low <= options->churn_high))
        return basin__fail(context, BASIN_ERROR_CONFIG,
                           "churn-low %g is above churn-high %g: no level is between them",
                           options->churn_low, options->churn_high);
    return basin__levels_check(context, values);
}

static bool ode_ignores(const void *values, const char *name) {
    static const char *const of_levels[] = {"schedule", "levels", "rho", NULL};
    static const char *const of_churn[] = {"churn-low", "churn-high", "churn-noise", NULL};
    static const char *const of_rk45[] = {"tolerance-absolute", "tolerance-relative",
                                          "evaluations-max", NULL};
    const ode_options *options = values;
    return basin__levels_ignores(values, name) ||
           basin__option_is_among(name, options->method == RK45 ? of_levels : of_rk45) ||
           (!(options->churn > 0) && basin__option_is_among(name, of_churn));
}

/* ---- steps between levels ---- */

/** Add noise that takes the chains from level i up to the one returned. */
static double churn(const ode_options *options, const basin__cpu_kernels *kernels,
                    const basin__chain_tile *tile, int64_t i) {
    const double sigma = basin__level(&options->levels, i);
    if (!(options->churn > 0) || sigma < options->churn_low || sigma > options->churn_high)
        return sigma;
    const double gamma = fmin(options->churn / (double)options->levels.count, sqrt(2.0) - 1);
    const double raised = sigma * (1 + gamma);
    basin__tile_normal(kernels, tile, BASIN__PURPOSE_LANGEVIN, i, tile->noise);
    kernels->axpy(tile->x, (float)(options->churn_noise * sqrt(raised * raised - sigma * sigma)),
                  tile->noise, tile->n * tile->size);
    return raised;
}

static bool step(const ode_options *options, const basin__cpu_kernels *kernels,
                 basin_energy *energy, basin__chain_tile *tile, double from, double to) {
    const int64_t count = tile->n * tile->size;
    const double h = to - from;
    float *halfway = tile->scratch; /* x + ½ h d, what Heun's second half is added to */
    if (!basin__level_gradient(&options->levels, kernels, energy, tile, tile->x, from))
        return false;
    if (options->method == EULER) {
        kernels->axpy(tile->x, (float)(h * from), tile->gradient, count);
        return true;
    }
    memcpy(halfway, tile->x, (size_t)count * sizeof(float));
    kernels->axpy(halfway, (float)(0.5 * h * from), tile->gradient, count);
    kernels->axpy(tile->x, (float)(h * from), tile->gradient, count);
    if (!basin__level_gradient(&options->levels, kernels, energy, tile, tile->x, to))
        return false;
    memcpy(tile->x, halfway, (size_t)count * sizeof(float));
    kernels->axpy(tile->x, (float)(0.5 * h * to), tile->gradient, count);
    return true;
}

static void walk_levels(const ode_options *options, const basin__cpu_kernels *kernels,
                        basin_energy *energy, basin__chain_tile *tile) {
    const int64_t last = options->levels.count - 1;
    const int64_t end = basin__stage_end(tile, options->levels.count);
    for (int64_t i = tile->stages.first; i < end && i < last; i++) {
        const double from = churn(options, kernels, tile, i);
        if (!step(options, kernels, energy, tile, from, basin__level(&options->levels, i + 1)))
            return;
    }
    if (end <= last)
        return;
    const double sigma = churn(options, kernels, tile, last);
    basin__level_denoise(&options->levels, kernels, energy, tile, sigma);
}

/* ---- rk45 ---- */

/** What a walk of the adaptive method is told by. */
typedef struct flow {
    const ode_options *options;
    const basin__cpu_kernels *kernels;
    basin_energy *energy;
    basin__chain_tile *tile;
    double *norms;       /* mean over a chain's evaluations of |dE/dx| */
    int64_t evaluations; /* sum over the chains of those up to their ends */
} flow;

/** dx/dσ = σ ∇E(x, σ) */
static void derive(void *user, const float *x, const double *sigma, float *slope,
                   double *extra_slope) {
    const flow *of = user;
    basin__chain_tile *tile = of->tile;
    const int64_t size = tile->size;
    (void)extra_slope;
    for (int i = 0; i < tile->n; i++)
        tile->noise_levels[i] = (float)sigma[i];
    basin__level_evaluate(&of->options->levels, of->kernels, of->energy, tile, x, 0);
    memset(slope, 0, (size_t)(tile->n * size) * sizeof(float));
    for (int i = 0; i < tile->n; i++)
        of->kernels->axpy(slope + i * size, (float)sigma[i], tile->gradient + i * size, size);
}

static void arrive(void *user, int chain, int64_t evaluations) {
    flow *of = user;
    of->norms[chain] = of->tile->gradient_norms[chain] / (double)evaluations;
    of->evaluations += evaluations;
}

static void walk_adaptively(const ode_options *options, const basin__cpu_kernels *kernels,
                            basin_energy *energy, basin__chain_tile *tile) {
    flow of = {.options = options,
               .kernels = kernels,
               .energy = energy,
               .tile = tile,
               .norms = tile->numbers + BASIN__ADAPTIVE_NUMBERS * tile->n};
    basin__adaptive walk = {.kernels = kernels,
                            .n = tile->n,
                            .size = tile->size,
                            .x = tile->x,
                            .from = options->levels.sigma_max,
                            .to = options->levels.sigma_min,
                            .absolute = options->absolute,
                            .relative = options->relative,
                            .evaluations_max = options->evaluations_max,
                            .scratch = tile->scratch,
                            .numbers = tile->numbers,
                            .derive = derive,
                            .arrive = arrive,
                            .user = &of};
    const basin__adaptive_end end = basin__adaptive_walk(&walk);
    tile->is_diverged = end == BASIN__ADAPTIVE_STOPPED;
    tile->is_unfinished = end == BASIN__ADAPTIVE_UNFINISHED;
    if (end != BASIN__ADAPTIVE_DONE)
        return;
    /* not those beside chains that take longer, or it would depend on the tile */
    tile->evaluations = basin__level_cost(&options->levels) * of.evaluations;
    basin__level_denoise(&options->levels, kernels, energy, tile, options->levels.sigma_min);
    for (int i = 0; i < tile->n; i++) /* as if it had taken all evaluations */
        tile->gradient_norms[i] = of.norms[i] * (double)options->evaluations_max;
}

static void ode_run(const void *values, const basin__cpu_kernels *kernels, basin_energy *energy,
                    basin__chain_tile *tile) {
    const ode_options *options = values;
    if (options->method == RK45)
        walk_adaptively(options, kernels, energy, tile);
    else
        walk_levels(options, kernels, energy, tile);
}

static int64_t ode_steps(const void *values) {
    const ode_options *options = values;
    const int64_t levels = options->levels.count;
    return options->method == EULER  ? levels
           : options->method == HEUN ? 2 * levels - 1
                                     : options->evaluations_max;
}

/** Chains of rk45 are never all at one level between the ends. */
static int64_t ode_stage_count(const void *values) {
    const ode_options *options = values;
    return options->method == RK45 ? -1 : options->levels.count;
}

const basin__sampler_def basin__sampler_ode = {
    .name = "ode",
    .help = "the probability-flow ODE dx/dsigma = sigma dE/dx, by Euler, Heun (EDM) or rk45",
    .options = ode_table,
    .option_count = BASIN_COUNT(ode_table),
    .options_bytes = sizeof(ode_options),
    .needs_noise_level = true,
    .scratch_count = BASIN__ADAPTIVE_SCRATCH,
    .number_count = BASIN__ADAPTIVE_NUMBERS + 1,
    .check = ode_check,
    .ignores = ode_ignores,
    .run = ode_run,
    .temperature = basin__levels_temperature,
    .steps = ode_steps,
    .stage_count = ode_stage_count,
    .stage_level = basin__levels_stage_level,
    .start = basin__levels_start,
    .fit = basin__levels_fit,
    .set_noise_levels = basin__levels_set,
};
