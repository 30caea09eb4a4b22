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
#include "sampler/dormand_prince.h"
#include "sampler/levels.h"
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
    return basin__levels_check(context, values);
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
    for (int64_t i = 0; i < last; i++) {
        const double from = churn(options, kernels, tile, i);
        if (!step(options, kernels, energy, tile, from, basin__level(&options->levels, i + 1)))
            return;
    }
    const double sigma = churn(options, kernels, tile, last);
    basin__level_denoise(&options->levels, kernels, energy, tile, sigma);
}

/* ---- rk45 ---- */

/** What rk45 keeps of a chain; an array each in the tile's numbers. */
typedef struct progress {
    double *sigma, *step; /* where x is; |h| of the next step, 0 once at the end */
    double *factor_max;   /* 1 right after a rejected step, else 5 */
    double *norms;        /* mean of the gradients' up to the end */
    int64_t evaluations;
    float *k[BASIN__RK_STAGES], *point;
} progress;

enum { PROGRESS_NUMBERS = 4, RK45_SCRATCH = BASIN__RK_STAGES + 1 };

static progress progress_of(const ode_options *options, const basin__chain_tile *tile) {
    progress all = {.sigma = tile->numbers,
                    .step = tile->numbers + tile->n,
                    .factor_max = tile->numbers + 2 * tile->n,
                    .norms = tile->numbers + 3 * tile->n,
                    .evaluations = 1,
                    .point = tile->scratch};
    for (int s = 0; s < BASIN__RK_STAGES; s++)
        all.k[s] = tile->scratch + (s + 1) * tile->n * tile->size;
    for (int i = 0; i < tile->n; i++) {
        /* Hairer's first guess, 0.01 |x| / |f|, at starts of the size of σ_0 */
        all.sigma[i] = options->levels.sigma_max;
        all.step[i] =
            fmin(0.01 * all.sigma[i], options->levels.sigma_max - options->levels.sigma_min);
        all.factor_max[i] = 5;
    }
    return all;
}

/** k_s = dx/dσ at stage s of each chain's step; the point stays in all->point. */
static bool stage(const ode_options *options, const basin__cpu_kernels *kernels,
                  basin_energy *energy, basin__chain_tile *tile, const progress *all, int s) {
    const int64_t size = tile->size;
    memcpy(all->point, tile->x, (size_t)(tile->n * size) * sizeof(float));
    for (int i = 0; i < tile->n; i++) {
        for (int j = 0; j < s && all->step[i] > 0; j++)
            kernels->axpy(all->point + i * size, (float)(-all->step[i] * basin__rk_a[s][j]),
                          all->k[j] + i * size, size);
        tile->noise_levels[i] = (float)(all->sigma[i] - basin__rk_c[s] * all->step[i]);
    }
    if (!basin__level_gradient(&options->levels, kernels, energy, tile, all->point, 0))
        return false;
    memset(all->k[s], 0, (size_t)(tile->n * size) * sizeof(float));
    for (int i = 0; i < tile->n; i++)
        kernels->axpy(all->k[s] + i * size, tile->noise_levels[i], tile->gradient + i * size, size);
    return true;
}

/** The step's error, in units of what is allowed; the point is x after the step. */
static double error_of(const ode_options *options, const basin__chain_tile *tile,
                       const progress *all, int chain) {
    const int64_t first = chain * tile->size;
    double sum = 0;
    for (int64_t at = first; at < first + tile->size; at++) {
        double error = 0;
        for (int s = 0; s < BASIN__RK_STAGES; s++)
            error += basin__rk_error[s] * (double)all->k[s][at];
        const double size = fmax(fabs((double)tile->x[at]), fabs((double)all->point[at]));
        const double part =
            all->step[chain] * error / (options->absolute + options->relative * size);
        sum += part * part;
    }
    return sqrt(sum / (double)tile->size);
}

/** Accept or reject a chain's step and choose the next; false: it is at the end. */
static bool conclude(const ode_options *options, basin__chain_tile *tile, progress *all,
                     int chain) {
    if (!(all->step[chain] > 0))
        return false;
    const double error = error_of(options, tile, all, chain);
    const int64_t first = chain * tile->size;
    const size_t bytes = (size_t)tile->size * sizeof(float);
    double left = all->sigma[chain] - options->levels.sigma_min;
    double next = all->step[chain] * fmin(all->factor_max[chain], basin__rk_factor(error));
    all->factor_max[chain] = error <= 1 ? 5 : 1;
    if (error <= 1) {
        memcpy(tile->x + first, all->point + first, bytes);
        memcpy(all->k[0] + first, all->k[BASIN__RK_STAGES - 1] + first, bytes);
        left = fmax(0, left - all->step[chain]);
        all->sigma[chain] = options->levels.sigma_min + left;
    }
    /* no crumb for the last step */
    all->step[chain] = next < 0.9 * left ? next : left;
    if (all->step[chain] > 0)
        return true;
    all->norms[chain] = tile->gradient_norms[chain] / (double)all->evaluations;
    return false;
}

static void walk_adaptively(const ode_options *options, const basin__cpu_kernels *kernels,
                            basin_energy *energy, basin__chain_tile *tile) {
    progress all = progress_of(options, tile);
    bool is_walking = true;
    if (!stage(options, kernels, energy, tile, &all, 0))
        return;
    while (is_walking) {
        if (all.evaluations + BASIN__RK_STAGES > options->evaluations_max) {
            tile->is_unfinished = true;
            return;
        }
        for (int s = 1; s < BASIN__RK_STAGES; s++, all.evaluations++)
            if (!stage(options, kernels, energy, tile, &all, s))
                return;
        is_walking = false;
        for (int i = 0; i < tile->n; i++)
            is_walking |= conclude(options, tile, &all, i);
    }
    basin__level_denoise(&options->levels, kernels, energy, tile, options->levels.sigma_min);
    for (int i = 0; i < tile->n; i++) /* as if it had taken all steps */
        tile->gradient_norms[i] = all.norms[i] * (double)options->evaluations_max;
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

const basin__sampler_def basin__sampler_ode = {
    .name = "ode",
    .help = "the probability-flow ODE dx/dsigma = sigma dE/dx, by Euler, Heun (EDM) or rk45",
    .options = ode_table,
    .option_count = BASIN_COUNT(ode_table),
    .options_bytes = sizeof(ode_options),
    .needs_noise_level = true,
    .scratch_count = RK45_SCRATCH,
    .number_count = PROGRESS_NUMBERS,
    .check = ode_check,
    .run = ode_run,
    .temperature = basin__levels_temperature,
    .steps = ode_steps,
    .start = basin__levels_start,
    .fit = basin__levels_fit,
    .set_noise_levels = basin__levels_set,
};
