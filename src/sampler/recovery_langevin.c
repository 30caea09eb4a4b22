/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Langevin dynamics of recovery (Gao, Song, Poole, Wu & Kingma, 2021). Of levels σ_0 > … > σ_{N−1}
 * a chain that stands at x̄, data with noise σ_{i−1}, draws what it was at the level below, x̄ = x +
 * s n with s² = σ_{i−1}² − σ_i². Bayes' rule:
 *
 *     p(x | x̄) ∝ exp(−E(x, σ_i) − ‖x − x̄‖² / (2 s²))
 *     x <- x − (ε/2) (∇E(x, σ_i) + (x − x̄) / s²) + √ε z,   z ~ N(0, I),   K steps from x̄
 *
 * However many modes E has, where s is small the second term leaves one of them, and a short chain
 * finds it; and with x̄ a sample of its level, x is one of the level below. At last x <- D(x, σ).
 *
 * E curves by at most 1/σ_i², since exp(−E) is something blurred by σ_i. So p(x | x̄) is nowhere
 * narrower than v = 1 / (1/σ_i² + 1/s²) = (σ_i s / σ_{i−1})², its variance given the example, and
 * steps are told in it: ε = step-scale · v is stable below 4. At a Gaussian of variance V a chain
 * comes to V / (1 − ε/(4V)), since no step is rejected.
 *
 * The authors take ε = b² s² σ̄_i/σ̄_{N−1} (their appendix; σ̄ = σ/√(1+σ²) is a level's noise where
 * the variance is preserved; b² = 2e-4) and a network that gives ε E: their chains move by its
 * gradient, hardly by noise, and do not come to rest. Here E is E, and the noise is always that of
 * T = 1.
 *
 * The training walks each chain at a level of its own, bound to its own anchor x̄, without guidance
 * and box: see objective/recovery_likelihood.c.
 */
#include "sampler/levels.h"
#include <stddef.h>
#include <string.h>

enum { UNIT_POSTERIOR, UNIT_PROCESS };

typedef struct recovery_options {
    basin__levels levels;
    int64_t level_steps, unit;
    double scale;
    bool is_noisy;
} recovery_options;

#define AT(field) offsetof(recovery_options, field)

static const basin__option recovery_table[] = {
    BASIN__LEVEL_ROWS("geometric", "6"),
    {"level-steps", BASIN__OPTION_INT, AT(level_steps), "30", 1, 1e9, NULL, "steps",
     "Steps at each level, and of a chain in training"},
    {"step-unit", BASIN__OPTION_CHOICE, AT(unit), "posterior", 0, 0, "posterior|process", NULL,
     "What step-scale is a share of: the least variance that is drawn from, or that of the process "
     "between levels, as Gao et al. with 2e-4"},
    {"step-scale", BASIN__OPTION_FLOAT, AT(scale), "0.5", 1e-9, 4, NULL, NULL,
     "Variance of a step's noise, in step-unit"},
    {"keep-noise", BASIN__OPTION_FLAG, AT(is_noisy), NULL, 0, 0, NULL, NULL,
     "Leave out the last step, which removes the lowest level's noise"},
};

static basin_status recovery_check(basin_context *context, void *values) {
    const recovery_options *options = values;
    BASIN_TRY(basin__levels_check(context, values));
    if (options->levels.count >= 2)
        return BASIN_OK;
    return basin__fail(context, BASIN_ERROR_CONFIG,
                       "sampler recovery-langevin goes from level to level, and levels is %lld: "
                       "take 2 or more",
                       (long long)options->levels.count);
}

/** Noise at a level where the variance is preserved. */
static double preserved(double sigma) { return sigma / sqrt(1 + sigma * sigma); }

/** ε at a level σ that is s below the one above. */
static double step_variance(const recovery_options *options, double sigma, double s) {
    const double square = sigma * sigma / (sigma * sigma + s * s);
    return options->scale * s * s *
           (options->unit == UNIT_POSTERIOR
                ? square
                : preserved(sigma) / preserved(options->levels.sigma_min));
}

/** A step of each chain at its level, tile->noise_levels, and its s, tile->numbers. */
static void take_step(const recovery_options *options, const basin__cpu_kernels *kernels,
                      basin__chain_tile *tile, const float *anchor) {
    const int64_t size = tile->size;
    for (int i = 0; i < tile->n; i++) {
        const double s = tile->numbers[i];
        const double variance = step_variance(options, (double)tile->noise_levels[i], s);
        float *x = tile->x + i * size, *gradient = tile->gradient + i * size;
        const float weight = (float)(1 / (s * s));
        kernels->axpy(gradient, weight, x, size);
        kernels->axpy(gradient, -weight, anchor + i * size, size);
        kernels->axpy(x, (float)(-0.5 * variance), gradient, size);
        kernels->axpy(x, (float)sqrt(variance), tile->noise + i * size, size);
    }
}

/** The steps of a level, from the run's `first` on; false where a gradient is not finite. */
static bool walk_level(const recovery_options *options, const basin__levels *levels,
                       const basin__cpu_kernels *kernels, basin_energy *energy,
                       basin__chain_tile *tile, const float *anchor, int64_t first) {
    for (int64_t step = 0; step < options->level_steps; step++) {
        if (!basin__level_gradient(levels, kernels, energy, tile, tile->x, 0))
            return false;
        basin__tile_normal(kernels, tile, BASIN__PURPOSE_LANGEVIN, first + step, tile->noise);
        take_step(options, kernels, tile, anchor);
    }
    return true;
}

static void walk_bound(const recovery_options *options, const basin__cpu_kernels *kernels,
                       basin_energy *energy, basin__chain_tile *tile) {
    basin__levels plain = options->levels;
    plain.guidance = 0;
    for (int i = 0; i < tile->n; i++) {
        tile->noise_levels[i] = tile->anchors.noise_levels[i];
        tile->numbers[i] = (double)tile->anchors.stds[i];
    }
    walk_level(options, &plain, kernels, energy, tile, tile->anchors.x, 0);
}

static void walk_down(const recovery_options *options, const basin__cpu_kernels *kernels,
                      basin_energy *energy, basin__chain_tile *tile) {
    const basin__levels *levels = &options->levels;
    float *anchor = tile->scratch;
    const int64_t end = basin__stage_end(tile, levels->count);
    for (int64_t level = tile->stages.first + 1; level <= end && level < levels->count; level++) {
        memcpy(anchor, tile->x, (size_t)(tile->n * tile->size) * sizeof(float));
        for (int i = 0; i < tile->n; i++) {
            tile->noise_levels[i] = (float)basin__level(levels, level);
            tile->numbers[i] = basin__level_gap(levels, level);
        }
        if (!walk_level(options, levels, kernels, energy, tile, anchor,
                        (level - 1) * options->level_steps))
            return;
    }
    if (end == levels->count)
        basin__level_end(levels, kernels, energy, tile, options->is_noisy);
}

static void recovery_run(const void *values, const basin__cpu_kernels *kernels,
                         basin_energy *energy, basin__chain_tile *tile) {
    if (tile->anchors.x != NULL)
        walk_bound(values, kernels, energy, tile);
    else
        walk_down(values, kernels, energy, tile);
}

static int64_t recovery_steps(const void *values) {
    const recovery_options *options = values;
    return (options->levels.count - 1) * options->level_steps + !options->is_noisy;
}

static int64_t recovery_anchored_steps(const void *values) {
    return ((const recovery_options *)values)->level_steps;
}

const basin__sampler_def basin__sampler_recovery_langevin = {
    .name = "recovery-langevin",
    .help = "from level to level: x at a level given x at the one above, by Langevin dynamics",
    .options = recovery_table,
    .option_count = BASIN_COUNT(recovery_table),
    .options_bytes = sizeof(recovery_options),
    .needs_noise_level = true,
    .scratch_count = 1,
    .number_count = 1,
    .check = recovery_check,
    .ignores = basin__levels_ignores,
    .run = recovery_run,
    .temperature = basin__levels_temperature,
    .steps = recovery_steps,
    .stage_count = basin__levels_stage_count,
    .stage_level = basin__levels_stage_level,
    .anchored_steps = recovery_anchored_steps,
    .start = basin__levels_start,
    .fit = basin__levels_fit,
    .set_noise_levels = basin__levels_set,
};
