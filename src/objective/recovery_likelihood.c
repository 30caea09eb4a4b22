/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Diffusion recovery likelihood (Gao, Song, Poole, Wu & Kingma, 2021): contrastive divergence at
 * many noise levels, each chain told a noisier copy of its example. For levels σ_0 > … > σ_{N−1},
 * one of i = 1 … N−1 drawn for each example y,
 *
 *     x = y + σ_i n,   x̄ = x + s n',   s² = σ_{i−1}² − σ_i²
 *     loss = w_i (E(x, σ_i) − E(x⁻, σ_i) + square-weight (E(x, σ_i)² + E(x⁻, σ_i)²) / d²)
 *
 * x⁻ is where a chain ends that draws from p(x | x̄) ∝ exp(−E(x, σ_i) − ‖x − x̄‖² / (2 s²)). Where it
 * does, the loss's gradient is that of −log p(x | x̄), the term of x̄ being the same in both; and the
 * maximum over all x̄ has exp(−E(·, σ_i)) ∝ the data with noise σ_i, as maximum likelihood has. What
 * is won is that p(x | x̄) is nearly a Gaussian about x̄, so that a short chain from x̄ is enough, and
 * that negatives lie as near to data as noise moves them: there is no far away that chains must be
 * sent to.
 *
 * The authors weigh a level by 1/s of the network's output f, which is −ε E there. A network's
 * output F stands in E as (s_data/σ) F (energy/denoiser.h), so that w = 1 already has that slope in
 * F where levels are geometric; w_i = (s_i / s_{N−1})^weight-power otherwise.
 *
 * Levels are those of the sampler's schedule. The highest has no energy of its own: chains only
 * start there. Where the network takes a class, x and its chain have the same one, or both none.
 */
#include "objective/parts.h"
#include "sampler/levels.h"
#include <math.h>
#include <stddef.h>

typedef struct recovery_options {
    double low, high, square_weight, power, class_dropout;
} recovery_options;

#define AT(field) offsetof(recovery_options, field)

static const basin__option recovery_table[] = {
    {"noise-low", BASIN__OPTION_FLOAT, AT(low), "0.05", 1e-6, 1e6, NULL, NULL,
     "Lowest noise level; the others are the sampler's schedule and levels"},
    {"noise-high", BASIN__OPTION_FLOAT, AT(high), "10", 1e-6, 1e6, NULL, NULL,
     "Highest noise level, which drowns the data"},
    {"square-weight", BASIN__OPTION_FLOAT, AT(square_weight), "0.04", 0, 1e6, NULL, NULL,
     "Weight of the squares of energies a value, E/d, which holds the constants of levels"},
    {"weight-power", BASIN__OPTION_FLOAT, AT(power), "0", -4, 4, NULL, NULL,
     "A level's weight is the noise to the level above to this power; 0: all weigh the same"},
    BASIN__CLASS_DROPOUT_ROW(AT(class_dropout), "0.1"),
};

static basin_status recovery_check(basin_context *context, const void *values) {
    const recovery_options *options = values;
    if (options->low < options->high)
        return BASIN_OK;
    return basin__fail(context, BASIN_ERROR_CONFIG, "noise-low %g is not below noise-high %g",
                       options->low, options->high);
}

static bool differs(double a, double b) { return a < b || a > b; }

/* Chains must be bound, and walk the levels that are noted as the model's. */
static bool fits_sampler(const recovery_options *options, const basin__loss *of) {
    const basin__sampler_def *sampler = of->sampler;
    const basin__levels *levels = of->sampler_options;
    if (sampler == NULL || sampler->anchored_steps == NULL) {
        basin__graph_fail(of->graph, BASIN_ERROR_CONFIG,
                          "objective recovery-likelihood learns from chains that are bound to "
                          "noisier copies, and sampler %s binds none: take sampler "
                          "recovery-langevin",
                          sampler == NULL ? "none" : sampler->name);
        return false;
    }
    if (differs(levels->sigma_min, options->low) || differs(levels->sigma_max, options->high)) {
        basin__graph_fail(of->graph, BASIN_ERROR_CONFIG,
                          "the sampler's levels go from sigma-max %g to sigma-min %g, and the "
                          "objective's from noise-high %g to noise-low %g: give the latter alone",
                          levels->sigma_max, levels->sigma_min, options->high, options->low);
        return false;
    }
    return true;
}

/** w_i of the noise s between two levels. */
static basin_value weigh(const recovery_options *options, const basin__loss *of, basin_value s,
                         basin_value loss) {
    const basin__levels *levels = of->sampler_options;
    if (!differs(options->power, 0))
        return loss;
    const double lowest = basin__level_gap(levels, levels->count - 1);
    basin_value ratio = basin_graph_offset(of->graph, basin_graph_log(of->graph, s), -log(lowest));
    return basin_graph_mul(
        of->graph, loss,
        basin_graph_exp(of->graph, basin_graph_scale(of->graph, ratio, options->power)));
}

/** The class of an example and its chain, which the training hides from both or from none. */
static basin_value shared_label(basin__loss *of) {
    if (basin__loss_label(of, 0) == BASIN_NO_VALUE)
        return BASIN_NO_VALUE;
    return basin__loss_source(of, BASIN__SOURCE_NEGATIVE_LABEL, "negative_label",
                              basin_shape_vector(1));
}

static basin__objective_values recovery_build(const void *values, basin__loss *of,
                                              basin_graph *graph) {
    const recovery_options *options = values;
    const basin_shape shape = of->energy->shape, scalar = basin_shape_vector(1);
    if (!fits_sampler(options, of))
        return (basin__objective_values){BASIN_NO_VALUE, BASIN_NO_VALUE, BASIN_NO_VALUE};
    basin__loss_source(of, BASIN__SOURCE_SPREAD, "level", scalar);
    basin__loss_source(of, BASIN__SOURCE_NORMAL, "step", shape);
    basin__loss_source(of, BASIN__SOURCE_ANCHOR, "anchor", shape);
    basin_value noise = basin__loss_source(of, BASIN__SOURCE_NORMAL, "noise", shape);
    basin_value sigma = basin__loss_source(of, BASIN__SOURCE_ANCHOR_LEVEL, "sigma", scalar);
    basin_value s = basin__loss_source(of, BASIN__SOURCE_ANCHOR_STD, "anchor_std", scalar);
    basin_value negative = basin__loss_source(of, BASIN__SOURCE_NEGATIVE, "negative", shape);
    basin_value label = shared_label(of);
    basin_value x =
        basin_graph_add(graph, basin__loss_data(of), basin_graph_mul(graph, noise, sigma));
    basin_value low = basin__loss_energy(of, x, sigma, label).energy;
    basin_value high = basin__loss_energy(of, negative, sigma, label).energy;
    const double d = (double)basin_shape_count(shape);
    basin_value loss = basin__loss_hold(graph, basin_graph_sub(graph, low, high), low, high,
                                        options->square_weight / (d * d));
    return (basin__objective_values){
        .loss = weigh(options, of, s, loss), .energy_data = low, .energy_negative = high};
}

/** Level, noisy copy and noisier copy of example i: the same n as in the graph. */
static void recovery_make(basin__loss *of, int64_t i) {
    const basin__levels *levels = of->sampler_options;
    const int64_t size = basin_shape_count(of->energy->shape), count = levels->count - 1;
    const int64_t drawn = (int64_t)((double)basin__loss_find(of, "level")[i] * (double)count);
    const int64_t level = 1 + (drawn < count ? drawn : count - 1);
    const float sigma = (float)basin__level(levels, level);
    const float s = (float)basin__level_gap(levels, level);
    const float *data = basin__loss_find(of, "data") + i * size;
    const float *noise = basin__loss_find(of, "noise") + i * size;
    const float *step = basin__loss_find(of, "step") + i * size;
    float *anchor = basin__loss_find(of, "anchor") + i * size;
    basin__loss_find(of, "sigma")[i] = sigma;
    basin__loss_find(of, "anchor_std")[i] = s;
    for (int64_t j = 0; j < size; j++)
        anchor[j] = data[j] + sigma * noise[j] + s * step[j];
}

static void recovery_levels(const void *values, double *low, double *high) {
    const recovery_options *options = values;
    *low = options->low;
    *high = options->high;
}

static double recovery_class_dropout(const void *values) {
    return ((const recovery_options *)values)->class_dropout;
}

const basin__objective_def basin__objective_recovery_likelihood = {
    .name = "recovery-likelihood",
    .help = "at many noise levels: E(x) - E(negative), chains bound to a noisier copy of x",
    .options = recovery_table,
    .option_count = BASIN_COUNT(recovery_table),
    .options_bytes = sizeof(recovery_options),
    .needs = BASIN__NEED_CHAINS | BASIN__NEED_ANCHORS | BASIN__NEED_NOISE_LEVEL,
    .sampler = "recovery-langevin",
    .check = recovery_check,
    .build = recovery_build,
    .noise_levels = recovery_levels,
    .make = recovery_make,
    .class_dropout = recovery_class_dropout,
};
