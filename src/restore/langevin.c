/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Posterior samples by Metropolis-adjusted Langevin dynamics on
 *
 *     E(x)/T + ‖y − A x‖² / (2σ²),
 *
 * exact but for how far chains get. Each chain has a step of its own, which adapts in the first
 * half of the moves (Robbins & Monro, 1951) and then stays.
 *
 * An energy at every noise level s is walked at levels from high to low. Where A Aᵀ = g I and g s²
 * < σ², a part of y's own noise can be that of x_s = x + s n: y = A x_s + √(σ² − g s²) n', so that
 *
 *     E(x_s, s) + ‖y − A x_s‖² / (2 (σ² − g s²))
 *
 * is the energy of x_s given y, exactly. Of x, y then tells no more than x_s does: the last step is
 * a draw by denoising from the lowest level, the reverse-time walk that `anneal` takes. So chains
 * need not go where levels are low, steps small and an energy the least like its denoiser; by
 * default they end at s = σ / (2√g), and at the lowest level if T is not 1, of which a denoiser
 * knows nothing. Above g s² = σ²/2, and of deblur, whose A Aᵀ is no multiple of I, levels are met
 * by σ² + s² (Jalal et al., 2021), a path and not p(x_s | y), so that chains have the right density
 * only as s becomes small beside σ.
 *
 * Steps begin at ratio √v, 1/v = 1/s² + 1/τ² with τ² the variance of y around A x_s: the largest
 * curvature that A leaves possible. They adapt in the first half of a level's moves.
 */
#include "restore/restoration.h"
#include <math.h>
#include <stddef.h>

#define ADAPTATION 0.1
#define PLAIN_START 0.01 /* of the range: the first step where there is no level to tell it */

typedef struct langevin_options {
    int64_t steps, levels;
    double sigma_max, sigma_min, ratio;
} langevin_options;

#define AT(field) offsetof(langevin_options, field)

static const basin__option langevin_table[] = {
    {"steps", BASIN__OPTION_INT, AT(steps), "300", 1, 1e9, NULL, "steps",
     "Moves of a chain, over all levels"},
    {"levels", BASIN__OPTION_INT, AT(levels), "20", 1, 1e6, NULL, "levels",
     "Number of noise levels, of energies that take one"},
    {"sigma-max", BASIN__OPTION_FLOAT, AT(sigma_max), "0", 0, 1e6, NULL, NULL,
     "Highest level; 0: of denoising sigma / sqrt(2), else sigma or, if more, half the range"},
    {"sigma-min", BASIN__OPTION_FLOAT, AT(sigma_min), "0", 0, 1e6, NULL, NULL,
     "Lowest level of chains; 0: sigma / (2 sqrt(g)), of deblur or at T not 1 the lowest trained "
     "at"},
    {"ratio", BASIN__OPTION_FLOAT, AT(ratio), "0.5", 1e-6, 1e3, NULL, NULL,
     "First step of a level, of the least standard deviation there"},
};

static basin_status langevin_fit(const basin__restoration *of, const basin_energy *energy,
                                 void *values) {
    langevin_options *options = values;
    const double gain = of->degradation->gain, floor = basin__restoration_lowest(of, energy);
    const double high = of->degradation->task->is_identity ? sqrt(0.5) * of->noise_std
                                                           : fmax(of->noise_std, 0.5 * of->span);
    const bool is_exact = gain > 0 && of->temperature == 1;
    const double low = is_exact ? fmax(0.5 * of->noise_std / sqrt(gain), floor) : floor;
    return basin__restoration_fit_levels(energy, &options->levels, &options->sigma_max,
                                         &options->sigma_min, high, low);
}

/** τ: of y around A x_s. */
static double seen_std(const basin__restoration *of, double s) {
    const double noise = of->noise_std * of->noise_std, part = of->degradation->gain * s * s;
    return sqrt(part > 0 && part <= noise / 2 ? noise - part : noise + s * s);
}

static void add_misfit(const void *user, const basin__cpu_kernels *kernels, basin__chain_tile *tile,
                       const float *x, double sigma) {
    const basin__restoration *of = user;
    const double std = seen_std(of, sigma);
    for (int i = 0; i < tile->n; i++)
        tile->energies[i] +=
            of->temperature * basin__restoration_misfit(of, kernels, tile, i, x + i * tile->size,
                                                        std, of->temperature,
                                                        tile->gradient + i * tile->size);
}

/** The moves `first` to `end` − 1, the first half of which adapt the steps. */
static bool walk_level(basin__metropolis *walk, const basin__cpu_kernels *kernels,
                       basin_energy *energy, basin__chain_tile *tile, int64_t first, int64_t end) {
    if (first == end)
        return true;
    if (!basin__metropolis_begin(walk, kernels, energy, tile))
        return false;
    for (int64_t i = first; i < end; i++) {
        walk->adaptation = i < first + (end - first) / 2 ? ADAPTATION : 0;
        basin__metropolis_move(walk, kernels, energy, tile, i);
    }
    return true;
}

static void walk_levels(const basin__restoration *of, basin__metropolis *walk,
                        const basin__cpu_kernels *kernels, basin_energy *energy,
                        basin__chain_tile *tile) {
    const langevin_options *options = of->options;
    const basin__levels levels =
        basin__levels_geometric(options->levels, options->sigma_max, options->sigma_min);
    double before = 0;
    walk->levels = &levels;
    basin__restoration_start(of, kernels, tile, options->sigma_max, options->steps);
    for (int64_t i = 0; i < levels.count; i++) {
        const double s = basin__level(&levels, i), seen = seen_std(of, s);
        const double std = 1 / sqrt(1 / (s * s) + 1 / (seen * seen));
        for (int chain = 0; chain < tile->n; chain++)
            walk->steps[chain] = i == 0 ? options->ratio * std : walk->steps[chain] * std / before;
        walk->sigma = s;
        before = std;
        if (!walk_level(walk, kernels, energy, tile, i * options->steps / levels.count,
                        (i + 1) * options->steps / levels.count))
            return;
    }
    tile->term = NULL; /* x given x_s */
    const double low = basin__restoration_lowest(of, energy);
    const basin__levels down = basin__levels_geometric(options->sigma_min > low ? levels.count : 1,
                                                       options->sigma_min, low);
    basin__restoration_walk_down(&down, kernels, energy, tile, 0);
}

static void langevin_run(const void *values, const basin__cpu_kernels *kernels,
                         basin_energy *energy, basin__chain_tile *tile) {
    const basin__restoration *of = values;
    const langevin_options *options = of->options;
    const basin__chain_term term = {.add = add_misfit, .user = of};
    basin__metropolis walk = {.temperature = of->temperature,
                              .leapfrog_steps = 1,
                              .steps = tile->numbers + BASIN__METROPOLIS_NUMBERS * tile->n};
    tile->term = &term;
    if (energy->condition.noise_level) {
        walk_levels(of, &walk, kernels, energy, tile);
        return;
    }
    for (int chain = 0; chain < tile->n; chain++)
        walk.steps[chain] = PLAIN_START * of->span;
    basin__restoration_start(of, kernels, tile, 0.25 * of->span, options->steps);
    walk_level(&walk, kernels, energy, tile, 0, options->steps);
}

static int64_t langevin_steps(const void *values) {
    const basin__restoration *of = values;
    const langevin_options *options = of->options;
    return options->steps + 2 * options->levels;
}

const basin__method_def basin__method_langevin = {
    .name = "langevin",
    .help = "samples by Metropolis-adjusted Langevin on E/T and the misfit, of any energy",
    .options = langevin_table,
    .option_count = BASIN_COUNT(langevin_table),
    .options_bytes = sizeof(langevin_options),
    .takes_temperature = true,
    .draws = true,
    .fit = langevin_fit,
    .walk = {.name = "langevin",
             .run = langevin_run,
             .steps = langevin_steps,
             .scratch_count = BASIN__METROPOLIS_SCRATCH,
             .number_count = BASIN__METROPOLIS_NUMBERS + 1},
};
