/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Posterior samples by an energy at every noise level. The score of x_t = x + t n given y is
 * −∇E(x_t, t) + ∇ log p(y | x_t), and the last is the Gaussian of A x_t for no t but 0. So y is
 * not brought to the levels; a second variable z, near x, meets it instead. For ρ from high to low
 * a split Gibbs sampler goes once to and fro:
 *
 *     z ~ p(z | x, y) ∝ exp(−‖y − A z‖² / (2σ²) − ‖z − x‖² / (2ρ²))       a Gaussian, drawn exactly
 *     x ~ p(x | z)    ∝ p(x) exp(−‖z − x‖² / (2ρ²))                       denoising of z at level ρ
 *
 * (Vono, Dobigeon & Chainais, 2019; Xu & Chi, 2024; Wu et al., 2024), with q(y | z), Gaussian too,
 * in the place of p(y | z): restoration.c says which. Held at ρ, x has the posterior's density
 * itself for ρ ≤ σ/√g where A Aᵀ = g I, and else that of a likelihood with more noise, N(y; A x, ρ²
 * A Aᵀ), or of deblur N(y; A x, σ² + ρ² A Aᵀ). A sweep moves x by about ρ. So ρ goes down slowly,
 * by default to σ/√g, where the last sweeps are exact, or where σ is small to a twentieth of the
 * range: that rest of noise on y, and that chains follow the density from level to level in few
 * sweeps, are the approximation.
 *
 * The second draw walks the reverse-time SDE from ρ down to the lowest level and denoises there:
 * see restoration.c.
 *
 * In few steps such a walk gives less than all of p(x | z), something between a draw and the mean;
 * it is sweeps rather than steps that bring two far modes to their shares, and the defaults spend
 * on those.
 *
 * Denoising needs no z: x | y is that walk from y at the level σ.
 */
#include "restore/restoration.h"
#include <math.h>
#include <stddef.h>
#include <string.h>

enum { SPACING_LINEAR, SPACING_GEOMETRIC };

typedef struct anneal_options {
    int64_t levels, steps, spacing;
    double rho_max, rho_min;
} anneal_options;

#define AT(field) offsetof(anneal_options, field)

static const basin__option anneal_table[] = {
    {"levels", BASIN__OPTION_INT, AT(levels), "80", 1, 1e6, NULL, "levels",
     "Number of levels rho; of denoising, steps down from sigma"},
    {"steps", BASIN__OPTION_INT, AT(steps), "3", 1, 1e6, NULL, "evaluations",
     "Steps of a draw of x given z where rho is the width of the range; lower ones take a share"},
    {"spacing", BASIN__OPTION_CHOICE, AT(spacing), "linear", 0, 0, "linear|geometric", NULL,
     "Levels rho lie evenly in rho, or in log rho"},
    {"rho-max", BASIN__OPTION_FLOAT, AT(rho_max), "0", 0, 1e6, NULL, NULL,
     "Highest rho, in the model's range; 0: 0.7 of its width, or rho-min if that is more"},
    {"rho-min", BASIN__OPTION_FLOAT, AT(rho_min), "0", 0, 1e6, NULL, NULL,
     "Lowest rho; 0: the highest that is exact, sigma / sqrt(g), or a twentieth of the range"},
};

/** The highest ρ that costs nothing; of deblur, one that adds a tenth to the noise's variance. */
static double exact_rho(const basin__restoration *of) {
    const double gain = of->degradation->gain;
    return of->noise_std / sqrt(gain > 0 ? gain : 10);
}

static basin_status anneal_fit(const basin__restoration *of, const basin_energy *energy,
                               void *values) {
    anneal_options *options = values;
    BASIN_TRY(basin__restoration_needs_levels(energy, "anneal"));
    if (of->degradation->task->is_identity)
        return basin__restoration_at_noise(of, energy);
    return basin__restoration_fit_levels(energy, &options->levels, &options->rho_max,
                                         &options->rho_min, 0.7 * of->span,
                                         fmax(exact_rho(of), 0.05 * of->span));
}

static basin__levels outer_levels(const anneal_options *options) {
    basin__levels levels =
        basin__levels_geometric(options->levels, options->rho_max, options->rho_min);
    if (options->spacing == SPACING_LINEAR) { /* evenly in ρ¹ */
        levels.schedule = BASIN__SCHEDULE_KARRAS;
        levels.rho = 1;
    }
    return levels;
}

/** The levels of a draw of x given z at ρ: their number follows log ρ. */
static basin__levels inner_levels(const basin__restoration *of, double rho, double low) {
    const anneal_options *options = of->options;
    const double share = log(rho / low) / log(of->span / low);
    const int64_t steps = (int64_t)ceil((double)options->steps * share - 1e-9);
    if (steps < 2 || rho <= low)
        return basin__levels_geometric(1, rho, rho);
    return basin__levels_geometric(steps, rho, low);
}

/** More than a draw takes at any ρ. */
static int64_t steps_max(const basin__restoration *of, double low) {
    const anneal_options *options = of->options;
    const basin__levels most = inner_levels(of, fmax(options->rho_max, of->span), low);
    return most.count + options->steps;
}

static void anneal_run(const void *values, const basin__cpu_kernels *kernels, basin_energy *energy,
                       basin__chain_tile *tile) {
    const basin__restoration *of = values;
    const anneal_options *options = of->options;
    const double low = basin__restoration_lowest(of, energy);
    const basin__levels outer = outer_levels(options);
    if (of->degradation->task->is_identity) {
        const basin__levels levels =
            basin__levels_geometric(of->noise_std > low ? options->levels : 1, of->noise_std, low);
        for (int i = 0; i < tile->n; i++)
            memcpy(tile->x + i * tile->size, basin__restoration_seen(of, tile, i),
                   (size_t)tile->size * sizeof(float));
        basin__restoration_walk_down(&levels, kernels, energy, tile, 0);
        return;
    }
    for (int64_t i = 0; i < outer.count; i++) {
        const double rho = basin__level(&outer, i);
        const basin__levels inner = inner_levels(of, rho, low);
        if (i == 0)
            basin__restoration_start(of, kernels, tile, rho, i);
        else
            basin__restoration_draw(of, kernels, tile, rho, i);
        if (!basin__restoration_walk_down(&inner, kernels, energy, tile, i * steps_max(of, low)))
            return;
    }
}

/** Denoising walks down from σ, and knows no ρ. */
static bool anneal_ignores(const void *user, const char *name) {
    static const char *const of_split[] = {"steps", "spacing", "rho-max", "rho-min", NULL};
    const basin__restoration *of = user;
    return of->degradation->task->is_identity && basin__option_is_among(name, of_split);
}

/* About: the mean norm of gradients is divided by it. */
static int64_t anneal_steps(const void *values) {
    const basin__restoration *of = values;
    const anneal_options *options = of->options;
    return of->degradation->task->is_identity ? options->levels : options->levels * options->steps;
}

const basin__method_def basin__method_anneal = {
    .name = "anneal",
    .help = "samples by an energy at every noise level: split Gibbs, each half a known draw",
    .options = anneal_table,
    .option_count = BASIN_COUNT(anneal_table),
    .options_bytes = sizeof(anneal_options),
    .draws = true,
    .fit = anneal_fit,
    .ignores = anneal_ignores,
    .walk = {.name = "anneal", .run = anneal_run, .steps = anneal_steps, .scratch_count = 1},
};
