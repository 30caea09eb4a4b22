/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walking down noise levels. All levels are told as σ = noise / signal, and all states as
 * x = data + σ n (variance exploding): a variance-preserving state x_t = α_t data + s_t n is
 * x = x_t / α_t at the level σ = s_t / α_t. Schedules go from σ_max to σ_min in N levels, evenly in
 *
 *   karras     σ^(1/ρ)                                                  Karras et al. (2022), eq. 5
 *   geometric  log σ                                                    Song & Ermon (2019)
 *   linear     t of 1 + σ² = exp(∫β), β(t) = 0.1 + 19.9 t               Ho et al. (2020)
 *   cosine     t of σ = tan(π t / 2), α = cos(π t / 2)                  Nichol & Dhariwal (2021)
 *
 * and end at σ_N = 0. (The offset of Nichol & Dhariwal only bounds the lowest level, which σ_min
 * does here.)
 *
 * The score at a level is −∇ₓE(x, σ). Classifier-free guidance of weight w walks
 *
 *   (1 + w) E(x, σ | class) − w E(x, σ)                                 Ho & Salimans (2022), eq. 6
 */
#include "sampler/levels.h"
#include <math.h>
#include <string.h>

#define HALF_PI 1.57079632679489661923
#define BETA_LOW 0.1
#define BETA_RISE 19.9

enum { BOX_NONE, BOX_CLAMP };

basin_status basin__levels_check(basin_context *context, void *options) {
    const basin__levels *levels = options;
    if (!(levels->sigma_min < levels->sigma_max))
        return basin__fail(context, BASIN_ERROR_CONFIG,
                           "sigma-min %g is not below sigma-max %g: levels go down",
                           levels->sigma_min, levels->sigma_max);
    if (levels->box != BOX_NONE && !(levels->box_low < levels->box_high))
        return basin__fail(context, BASIN_ERROR_CONFIG,
                           "box-low %g is not below box-high %g: swap them, or take box none",
                           levels->box_low, levels->box_high);
    return BASIN_OK;
}

bool basin__levels_ignores(const void *options, const char *name) {
    static const char *const of_box[] = {"box-low", "box-high", NULL};
    const basin__levels *levels = options;
    return (levels->schedule != BASIN__SCHEDULE_KARRAS && strcmp(name, "rho") == 0) ||
           (levels->box == BOX_NONE && basin__option_is_among(name, of_box));
}

/** The number in which levels are evenly apart. */
static double time_of(const basin__levels *levels, double sigma) {
    switch (levels->schedule) {
    case BASIN__SCHEDULE_KARRAS:
        return pow(sigma, 1 / levels->rho);
    case BASIN__SCHEDULE_GEOMETRIC:
        return log(sigma);
    case BASIN__SCHEDULE_LINEAR: { /* ½ rise t² + low t = log(1 + σ²), the larger root, without
                                      cancellation */
        const double integral = log1p(sigma * sigma);
        return 2 * integral / (BETA_LOW + sqrt(BETA_LOW * BETA_LOW + 2 * BETA_RISE * integral));
    }
    default:
        return atan(sigma) / HALF_PI;
    }
}

static double level_at(const basin__levels *levels, double time) {
    switch (levels->schedule) {
    case BASIN__SCHEDULE_KARRAS:
        return pow(time, levels->rho);
    case BASIN__SCHEDULE_GEOMETRIC:
        return exp(time);
    case BASIN__SCHEDULE_LINEAR:
        return sqrt(expm1(time * (BETA_LOW + 0.5 * BETA_RISE * time)));
    default:
        return tan(HALF_PI * time);
    }
}

basin__levels basin__levels_geometric(int64_t count, double high, double low) {
    return (basin__levels){
        .schedule = BASIN__SCHEDULE_GEOMETRIC, .count = count, .sigma_max = high, .sigma_min = low};
}

double basin__level(const basin__levels *levels, int64_t i) {
    if (i <= 0)
        return levels->sigma_max;
    if (i >= levels->count)
        return 0;
    if (i == levels->count - 1)
        return levels->sigma_min;
    const double from = time_of(levels, levels->sigma_max), to = time_of(levels, levels->sigma_min);
    return level_at(levels, from + (to - from) * ((double)i / (double)(levels->count - 1)));
}

double basin__level_gap(const basin__levels *levels, int64_t i) {
    const double from = basin__level(levels, i - 1), to = basin__level(levels, i);
    return sqrt((from - to) * (from + to));
}

static bool is_guided(const basin__levels *levels) {
    return levels->guidance < 0 || levels->guidance > 0;
}

int basin__level_cost(const basin__levels *levels) { return is_guided(levels) ? 2 : 1; }

basin__chain_start basin__levels_start(const void *options) {
    const basin__levels *levels = options;
    return (basin__chain_start){.is_normal = true, .std = levels->sigma_max};
}

basin_temperature basin__levels_temperature(const void *options) {
    const basin__levels *levels = options;
    return (basin_temperature){.value = 1,
                               .is_exact = !is_guided(levels) && levels->box == BOX_NONE};
}

int64_t basin__levels_stage_count(const void *options) {
    return ((const basin__levels *)options)->count;
}

double basin__levels_stage_level(const void *options, int64_t i) {
    return basin__level(options, i);
}

void basin__levels_set(basin__option_group *group, double low, double high) {
    basin__sampler_set_unless_given(group, "sigma-min", low);
    basin__sampler_set_unless_given(group, "sigma-max", high);
}

basin_status basin__levels_fit(const void *options, const basin_energy *energy, bool has_class) {
    const basin__levels *levels = options;
    if (!is_guided(levels))
        return BASIN_OK;
    if (energy->condition.class_count == 0)
        return basin__fail(energy->context, BASIN_ERROR_CONFIG,
                           "guidance %g is towards a class, and the model takes none",
                           levels->guidance);
    if (!has_class)
        return basin__fail(energy->context, BASIN_ERROR_CONFIG,
                           "guidance %g is towards a class, and no class is given",
                           levels->guidance);
    return BASIN_OK;
}

/** tile->gradient and energies <- (1 + w) those with the class − w those without. */
static void guide(const basin__levels *levels, const basin__cpu_kernels *kernels,
                  basin_energy *energy, basin__chain_tile *tile, basin__points points) {
    const double weight = levels->guidance;
    points.label = tile->no_labels;
    basin__energy_step_tile(energy, tile->worker, tile->n, &points, tile->spare_energies,
                            tile->noise);
    tile->evaluations += tile->n;
    /* g + w (g − none): g <- g − w/(1 + w) none would divide by zero at w = −1 */
    kernels->axpy(tile->noise, -1, tile->gradient, tile->n * tile->size);
    kernels->axpy(tile->gradient, -(float)weight, tile->noise, tile->n * tile->size);
    for (int i = 0; i < tile->n; i++)
        tile->energies[i] += weight * (tile->energies[i] - tile->spare_energies[i]);
}

static double norm_of(const basin__cpu_kernels *kernels, const basin__chain_tile *tile, int chain) {
    const float *gradient = tile->gradient + chain * tile->size;
    return sqrt(kernels->dot(gradient, gradient, tile->size));
}

void basin__level_evaluate(const basin__levels *levels, const basin__cpu_kernels *kernels,
                           basin_energy *energy, basin__chain_tile *tile, const float *x,
                           double sigma) {
    const basin__points points = {
        .x = x, .noise_level = levels != NULL ? tile->noise_levels : NULL, .label = tile->labels};
    for (int i = 0; sigma > 0 && i < tile->n; i++)
        tile->noise_levels[i] = (float)sigma;
    basin__energy_step_tile(energy, tile->worker, tile->n, &points, tile->energies, tile->gradient);
    tile->evaluations += tile->n;
    if (levels != NULL && is_guided(levels))
        guide(levels, kernels, energy, tile, points);
    if (tile->term != NULL)
        tile->term->add(tile->term->user, kernels, tile, x, sigma);
    for (int i = 0; i < tile->n; i++) {
        const double norm = norm_of(kernels, tile, i);
        tile->gradient_norms[i] += isfinite(norm) ? norm : 0;
    }
}

bool basin__level_gradient(const basin__levels *levels, const basin__cpu_kernels *kernels,
                           basin_energy *energy, basin__chain_tile *tile, const float *x,
                           double sigma) {
    basin__level_evaluate(levels, kernels, energy, tile, x, sigma);
    if (!kernels->all_finite(tile->gradient, tile->n * tile->size))
        tile->is_diverged = true;
    return !tile->is_diverged;
}

bool basin__level_denoise(const basin__levels *levels, const basin__cpu_kernels *kernels,
                          basin_energy *energy, basin__chain_tile *tile, double sigma) {
    if (!basin__level_gradient(levels, kernels, energy, tile, tile->x, sigma))
        return false;
    kernels->axpy(tile->x, -(float)(sigma * sigma), tile->gradient, tile->n * tile->size);
    basin__level_box(levels, kernels, tile);
    return true;
}

void basin__level_end(const basin__levels *levels, const basin__cpu_kernels *kernels,
                      basin_energy *energy, basin__chain_tile *tile, bool is_noisy) {
    if (is_noisy)
        basin__level_box(levels, kernels, tile);
    else
        basin__level_denoise(levels, kernels, energy, tile,
                             basin__level(levels, levels->count - 1));
}

void basin__level_box(const basin__levels *levels, const basin__cpu_kernels *kernels,
                      basin__chain_tile *tile) {
    if (levels->box == BOX_CLAMP)
        kernels->clamp(tile->x, (float)levels->box_low, (float)levels->box_high,
                       tile->n * tile->size);
}
