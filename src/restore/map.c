/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The likeliest image: descent of U(x) = E(x)/T + ‖y − A x‖² / (2σ²), each image for itself. With
 * f = E/T, a step is the proximal gradient's,
 *
 *     x' = argmin ‖y − A x'‖² / (2σ²) + ‖x' − (x − η ∇f(x))‖² / (2η),
 *
 * exact in the misfit however small σ is, and taken if f(x') ≤ f(x) + ⟨∇f(x), x' − x⟩ +
 * ‖x' − x‖² / (2η), which lets U fall; else η is halved and the step tried again (Beck & Teboulle,
 * 2009). After a step that is taken η grows by a quarter. A step costs one evaluation. Energies
 * that take no noise level say nothing of values outside of their range, and x' is clamped to it:
 * still the least in the box where AᵀA is diagonal (denoise, inpaint), else near it.
 *
 * Of an energy at every noise level the levels s are annealed down, η starting at s² at each: the
 * step of η = s² is the denoiser D(x, s) met by y (Zhang et al., 2021), and the last level's U is
 * what is made small. Between levels U changes, so that this is a path into a deep valley, with no
 * promise that it is the deepest.
 */
#include "restore/restoration.h"
#include <math.h>
#include <stddef.h>
#include <string.h>

enum { BOX_NONE, BOX_CLAMP, BOX_AUTO };

#define ROUNDING 1e-6 /* of |f|, in which falls are not told */

typedef struct map_options {
    int64_t steps, levels, box;
    double sigma_max, sigma_min;
} map_options;

#define AT(field) offsetof(map_options, field)

static const basin__option map_table[] = {
    {"steps", BASIN__OPTION_INT, AT(steps), "100", 1, 1e9, NULL, "steps",
     "Steps, over all levels, those that are taken back among them"},
    {"levels", BASIN__OPTION_INT, AT(levels), "20", 1, 1e6, NULL, "levels",
     "Number of noise levels, of energies that take one"},
    {"sigma-max", BASIN__OPTION_FLOAT, AT(sigma_max), "0", 0, 1e6, NULL, NULL,
     "Highest level; 0: half the model's range"},
    {"sigma-min", BASIN__OPTION_FLOAT, AT(sigma_min), "0", 0, 1e6, NULL, NULL,
     "Lowest level; 0: twice the lowest that the model was trained at"},
    {"box", BASIN__OPTION_CHOICE, AT(box), "auto", 0, 0, "none|clamp|auto", NULL,
     "Keep images in the model's range; auto: of energies that take no noise level"},
};

static basin_status map_fit(const basin__restoration *of, const basin_energy *energy,
                            void *values) {
    map_options *options = values;
    const double low = basin__restoration_levels(energy).low;
    if (options->box == BOX_AUTO)
        options->box = energy->condition.noise_level ? BOX_NONE : BOX_CLAMP;
    return basin__restoration_fit_levels(energy, &options->levels, &options->sigma_max,
                                         &options->sigma_min, 0.5 * of->span,
                                         low > 0 ? 2 * low : 0.01 * of->span);
}

/** Where chains are: x, ∇f there, and of each f and η. tile->x is where a step leads. */
typedef struct place {
    float *x, *gradient;  /* [n, size] */
    double *value, *step; /* [n] */
} place;

static place place_of(const basin__chain_tile *tile) {
    return (place){.x = tile->scratch,
                   .gradient = tile->scratch + tile->n * tile->size,
                   .value = tile->numbers,
                   .step = tile->numbers + tile->n};
}

static void settle(const basin__chain_tile *tile, const place *at, double temperature, int chain) {
    const int64_t from = chain * tile->size;
    memcpy(at->x + from, tile->x + from, (size_t)tile->size * sizeof(float));
    for (int64_t i = from; i < from + tile->size; i++)
        at->gradient[i] = (float)((double)tile->gradient[i] / temperature);
    at->value[chain] = tile->energies[chain] / temperature;
}

/** f(x') against what the step's η promised. */
static bool is_fallen(const basin__chain_tile *tile, const place *at, double temperature,
                      int chain) {
    const int64_t from = chain * tile->size;
    double slope = 0, square = 0;
    for (int64_t i = from; i < from + tile->size; i++) {
        const double way = (double)tile->x[i] - (double)at->x[i];
        slope += (double)at->gradient[i] * way;
        square += way * way;
    }
    const double bound = at->value[chain] + slope + 0.5 * square / at->step[chain];
    return tile->energies[chain] / temperature <= bound + ROUNDING * fabs(at->value[chain]);
}

static void keep_in_box(const basin__restoration *of, const basin__cpu_kernels *kernels,
                        const basin__chain_tile *tile) {
    if (((const map_options *)of->options)->box == BOX_CLAMP)
        kernels->clamp(tile->x, (float)(of->centre - 0.5 * of->span),
                       (float)(of->centre + 0.5 * of->span), tile->n * tile->size);
}

static bool step_all(const basin__restoration *of, const basin__levels *levels,
                     const basin__cpu_kernels *kernels, basin_energy *energy,
                     basin__chain_tile *tile, const place *at, double sigma) {
    const int64_t size = tile->size;
    memcpy(tile->x, at->x, (size_t)(tile->n * size) * sizeof(float));
    for (int i = 0; i < tile->n; i++) {
        kernels->axpy(tile->x + i * size, (float)-at->step[i], at->gradient + i * size, size);
        basin__restoration_pull(of, kernels, tile->worker, basin__restoration_seen(of, tile, i),
                                of->noise_std, sqrt(at->step[i]), tile->x + i * size);
    }
    keep_in_box(of, kernels, tile);
    if (!basin__level_gradient(levels, kernels, energy, tile, tile->x, sigma))
        return false;
    for (int i = 0; i < tile->n; i++) {
        const bool is_taken = is_fallen(tile, at, of->temperature, i);
        tile->proposed++;
        tile->accepted += is_taken;
        at->step[i] *= is_taken ? 1.25 : 0.5;
        if (is_taken)
            settle(tile, at, of->temperature, i);
    }
    return true;
}

/** η at a plain energy's start: a step as long as a hundredth of the range in each value. */
static double first_step(const basin__restoration *of, const basin__cpu_kernels *kernels,
                         const basin__chain_tile *tile, const place *at, int chain) {
    const float *gradient = at->gradient + chain * tile->size;
    const double norm = sqrt(kernels->dot(gradient, gradient, tile->size) / (double)tile->size);
    return 0.01 * of->span / fmax(norm, 1e-12);
}

static void map_run(const void *values, const basin__cpu_kernels *kernels, basin_energy *energy,
                    basin__chain_tile *tile) {
    const basin__restoration *of = values;
    const map_options *options = of->options;
    const bool has_levels = energy->condition.noise_level;
    const basin__levels all =
        basin__levels_geometric(options->levels, options->sigma_max, options->sigma_min);
    const basin__levels *levels = has_levels ? &all : NULL;
    const place at = place_of(tile);
    for (int i = 0; i < tile->n; i++) {
        for (int64_t j = i * tile->size; j < (i + 1) * tile->size; j++)
            tile->x[j] = (float)of->centre;
        basin__restoration_pull(of, kernels, tile->worker, basin__restoration_seen(of, tile, i),
                                of->noise_std, 0.5 * of->span, tile->x + i * tile->size);
    }
    keep_in_box(of, kernels, tile);
    for (int64_t k = 0; k < options->levels; k++) {
        const double sigma = has_levels ? basin__level(&all, k) : 0;
        const int64_t first = k * options->steps / options->levels;
        const int64_t end = (k + 1) * options->steps / options->levels;
        if (!basin__level_gradient(levels, kernels, energy, tile, tile->x, sigma))
            return;
        for (int i = 0; i < tile->n; i++) {
            settle(tile, &at, of->temperature, i);
            at.step[i] = has_levels ? sigma * sigma : first_step(of, kernels, tile, &at, i);
        }
        for (int64_t step = first; step < end; step++)
            if (!step_all(of, levels, kernels, energy, tile, &at, sigma))
                return;
        memcpy(tile->x, at.x, (size_t)(tile->n * tile->size) * sizeof(float));
    }
}

static int64_t map_steps(const void *values) {
    const basin__restoration *of = values;
    const map_options *options = of->options;
    return options->steps + options->levels;
}

const basin__method_def basin__method_map = {
    .name = "map",
    .help = "the likeliest image: descent of E/T and the misfit, with backtracking",
    .options = map_table,
    .option_count = BASIN_COUNT(map_table),
    .options_bytes = sizeof(map_options),
    .takes_temperature = true,
    .fit = map_fit,
    .walk =
        {.name = "map", .run = map_run, .steps = map_steps, .scratch_count = 2, .number_count = 2},
};
