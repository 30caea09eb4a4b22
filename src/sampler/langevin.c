/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unadjusted Langevin dynamics, with step and noise given apart:
 *
 *     x <- x - step_size · dE/dx + noise_std · N(0, I)
 *
 * Its temperature is T = noise_std² / (2 · step_size); the textbook's ε/2 and √ε are
 * step_size = ε/2, noise_std = √ε, that is T = 1, and `noise=auto` sets noise_std from a wanted T.
 * Recipes that work on images clip the gradient, keep pixels in a box, and may add the noise before
 * the gradient is taken; the temperature is then nominal.
 *
 * Welling & Teh (2011), eq. 4; Du & Mordatch (2019), eq. 2 with the step and noise of their code.
 */
#include "sampler/sampler.h"
#include <math.h>
#include <stddef.h>
#include <string.h>

enum { NOISE_GIVEN, NOISE_AUTO };
enum { CLIP_NONE, CLIP_ELEMENT, CLIP_NORM };
enum { BOX_NONE, BOX_CLAMP, BOX_REFLECT };

typedef struct langevin_options {
    int64_t n_steps;
    double step_size;
    int64_t noise;
    double noise_std, temperature;
    bool noise_before;
    int64_t gradient_clip;
    double gradient_clip_value;
    int64_t box;
    double box_low, box_high;
} langevin_options;

#define AT(field) offsetof(langevin_options, field)

static const basin__option langevin_table[] = {
    {"n-steps", BASIN__OPTION_INT, AT(n_steps), "60", 0, 1e9, NULL, "steps",
     "Langevin steps a chain"},
    {"step-size", BASIN__OPTION_FLOAT, AT(step_size), "10", 1e-12, 1e12, NULL, NULL,
     "Factor of the energy's gradient"},
    {"noise", BASIN__OPTION_CHOICE, AT(noise), "given", 0, 0, "given|auto", NULL,
     "Take noise-std as given, or as sqrt(2 step-size temperature)"},
    {"noise-std", BASIN__OPTION_FLOAT, AT(noise_std), "0.005", 0, 1e6, NULL, NULL,
     "Standard deviation of a step's noise"},
    {"temperature", BASIN__OPTION_FLOAT, AT(temperature), "1", 0, 1e12, NULL, NULL,
     "Temperature of the chain where noise is auto; else it follows from noise-std"},
    {"noise-before", BASIN__OPTION_FLAG, AT(noise_before), NULL, 0, 0, NULL, NULL,
     "Add the noise before the gradient is taken"},
    {"gradient-clip", BASIN__OPTION_CHOICE, AT(gradient_clip), "element", 0, 0, "none|element|norm",
     NULL, "Bound dE/dx: each element, or each chain's norm"},
    {"gradient-clip-value", BASIN__OPTION_FLOAT, AT(gradient_clip_value), "0.03", 1e-12, 1e12, NULL,
     NULL, "The bound"},
    {"box", BASIN__OPTION_CHOICE, AT(box), "clamp", 0, 0, "none|clamp|reflect", NULL,
     "Keep values between box-low and box-high"},
    {"box-low", BASIN__OPTION_FLOAT, AT(box_low), "0", -1e6, 1e6, NULL, NULL,
     "Lower end of the box; by default the data's"},
    {"box-high", BASIN__OPTION_FLOAT, AT(box_high), "1", -1e6, 1e6, NULL, NULL,
     "Upper end of the box; by default the data's"},
};

static basin_status langevin_check(basin_context *context, void *values) {
    langevin_options *options = values;
    if (options->box != BOX_NONE && !(options->box_low < options->box_high))
        return basin__fail(context, BASIN_ERROR_CONFIG,
                           "box-low %g is not below box-high %g: swap them, or take box none",
                           options->box_low, options->box_high);
    if (options->noise == NOISE_AUTO)
        options->noise_std = sqrt(2 * options->step_size * options->temperature);
    return BASIN_OK;
}

static bool langevin_ignores(const void *values, const char *name) {
    static const char *const of_box[] = {"box-low", "box-high", NULL};
    const langevin_options *options = values;
    return (options->noise == NOISE_GIVEN && strcmp(name, "temperature") == 0) ||
           (options->gradient_clip == CLIP_NONE && strcmp(name, "gradient-clip-value") == 0) ||
           (options->box == BOX_NONE && basin__option_is_among(name, of_box));
}

static basin_temperature langevin_temperature(const void *values) {
    const langevin_options *options = values;
    basin_temperature temperature = {
        .value = options->noise_std * options->noise_std / (2 * options->step_size),
        .is_exact = options->gradient_clip == CLIP_NONE && options->box == BOX_NONE &&
                    !options->noise_before};
    return temperature;
}

static void keep_in_box(const langevin_options *options, const basin__cpu_kernels *kernels,
                        const basin__chain_tile *tile) {
    const float low = (float)options->box_low, high = (float)options->box_high;
    if (options->box == BOX_CLAMP)
        kernels->clamp(tile->x, low, high, tile->n * tile->size);
    else if (options->box == BOX_REFLECT)
        kernels->reflect(tile->x, low, high, tile->n * tile->size);
}

/* ---- the run's end, kept and as graph ---- */

static int64_t first_of_tail(const langevin_options *options, const basin__chain_tile *tile) {
    return options->n_steps - tile->tail.step_count;
}

static void keep_place(const langevin_options *options, const basin__chain_tile *tile,
                       int64_t step) {
    if (tile->tail.step_count > 0 && step == first_of_tail(options, tile))
        memcpy(tile->tail.x, tile->x, (size_t)(tile->n * tile->size) * sizeof(float));
}

static void keep_noise(const langevin_options *options, const basin__chain_tile *tile,
                       int64_t step) {
    const basin__chain_tail *tail = &tile->tail;
    const int64_t at = step - first_of_tail(options, tile), size = tile->size;
    for (int64_t i = 0; tail->step_count > 0 && at >= 0 && i < tile->n; i++)
        memcpy(tail->noise + (i * tail->step_count + at) * size, tile->noise + i * size,
               (size_t)size * sizeof(float));
}

/* A value past an end by more than the box's width stays at the other end, where the kernel would
   have it turn back; steps are shorter. */
static basin_value box_graph(const langevin_options *options, basin_graph *graph, basin_value x) {
    const double low = options->box_low, high = options->box_high;
    if (options->box == BOX_NONE)
        return x;
    if (options->box == BOX_REFLECT) {
        basin_value below = basin_graph_relu(
            graph, basin_graph_offset(graph, basin_graph_scale(graph, x, -1), low));
        basin_value above = basin_graph_relu(graph, basin_graph_offset(graph, x, -high));
        x = basin_graph_add(graph, x,
                            basin_graph_scale(graph, basin_graph_sub(graph, below, above), 2));
    }
    return basin_graph_clamp(graph, x, low, high);
}

/* A norm above the bound scales the step by bound / norm. What is added under the root keeps its
   slope finite where the gradient is zero, and is lost in rounding where the bound is reached. */
static basin_value clip_graph(const langevin_options *options, basin_graph *graph,
                              basin_value gradient) {
    const double bound = options->gradient_clip_value;
    if (options->gradient_clip == CLIP_ELEMENT)
        return basin_graph_clamp(graph, gradient, -bound, bound);
    if (options->gradient_clip == CLIP_NONE)
        return gradient;
    basin_value squares =
        basin_graph_sum(graph, basin_graph_square(graph, gradient), BASIN_AXES_ALL);
    basin_value norm =
        basin_graph_sqrt(graph, basin_graph_offset(graph, squares, 1e-7 * bound * bound));
    basin_value share = basin_graph_scale(graph, basin_graph_reciprocal(graph, norm), bound);
    return basin_graph_mul(graph, gradient, basin_graph_clamp(graph, share, 0, 1));
}

static basin_value langevin_step(const void *values, const basin__step_graph *of, basin_value x,
                                 basin_value noise) {
    const langevin_options *options = values;
    basin_graph *graph = of->graph;
    noise = basin_graph_scale(graph, noise, options->noise_std);
    if (options->noise_before)
        x = box_graph(options, graph, basin_graph_add(graph, x, noise));
    basin_value gradient = clip_graph(options, graph, of->gradient(of->user, x));
    x = basin_graph_sub(graph, x, basin_graph_scale(graph, gradient, options->step_size));
    if (!options->noise_before)
        x = basin_graph_add(graph, x, noise);
    return box_graph(options, graph, x);
}

/* ---- walking ---- */

static void add_noise(const langevin_options *options, const basin__cpu_kernels *kernels,
                      const basin__chain_tile *tile, int64_t step) {
    if (options->noise_std == 0)
        return;
    basin__tile_normal(kernels, tile, BASIN__PURPOSE_LANGEVIN, step, tile->noise);
    keep_noise(options, tile, step);
    kernels->axpy(tile->x, (float)options->noise_std, tile->noise, tile->n * tile->size);
}

/* x -= step · gradient for `count` chains from `first` on, elements bounded if that is wanted. */
static void descend(const langevin_options *options, const basin__cpu_kernels *kernels,
                    const basin__chain_tile *tile, int first, int count, double step) {
    float *x = tile->x + first * tile->size, *gradient = tile->gradient + first * tile->size;
    const float bound = (float)options->gradient_clip_value;
    if (options->gradient_clip == CLIP_ELEMENT)
        kernels->clamp(gradient, -bound, bound, count * tile->size);
    kernels->axpy(x, -(float)step, gradient, count * tile->size);
}

/* Chains descend one by one where a bound on the norm scales the step, else as many together as
   have finite gradients. A non-finite one shows in its norm, which is summed in double: the chain
   then stays where it was, and the tile stops at the end of the step. */
static void descend_all(const langevin_options *options, const basin__cpu_kernels *kernels,
                        basin__chain_tile *tile) {
    const double bound = options->gradient_clip_value;
    int first = 0; /* of those that go together */
    for (int chain = 0; chain < tile->n; chain++) {
        const float *gradient = tile->gradient + chain * tile->size;
        double norm = sqrt(kernels->dot(gradient, gradient, tile->size));
        tile->gradient_norms[chain] += norm;
        bool is_clipped = options->gradient_clip == CLIP_NORM && norm > bound;
        if (isfinite(norm) && !is_clipped)
            continue;
        descend(options, kernels, tile, first, chain - first, options->step_size);
        first = chain + 1;
        if (isfinite(norm))
            descend(options, kernels, tile, chain, 1, options->step_size * (bound / norm));
        else
            tile->is_diverged = true;
    }
    descend(options, kernels, tile, first, tile->n - first, options->step_size);
}

static void langevin_run(const void *values, const basin__cpu_kernels *kernels,
                         basin_energy *energy, basin__chain_tile *tile) {
    const langevin_options *options = values;
    const int64_t end = basin__stage_end(tile, options->n_steps);
    for (int64_t step = tile->stages.first; step < end && !tile->is_diverged; step++) {
        keep_place(options, tile, step);
        if (options->noise_before) {
            add_noise(options, kernels, tile, step);
            keep_in_box(options, kernels, tile);
        }
        const basin__points points = {.x = tile->x, .label = tile->labels};
        basin__energy_step_tile(energy, tile->worker, tile->n, &points, tile->energies,
                                tile->gradient);
        tile->evaluations += tile->n;
        descend_all(options, kernels, tile);
        if (!options->noise_before && !tile->is_diverged)
            add_noise(options, kernels, tile, step);
        keep_in_box(options, kernels, tile);
    }
}

static int64_t langevin_steps(const void *values) {
    return ((const langevin_options *)values)->n_steps;
}

const basin__sampler_def basin__sampler_langevin = {
    .name = "langevin",
    .help = "x <- x - step_size dE/dx + noise_std N(0, I)",
    .options = langevin_table,
    .option_count = BASIN_COUNT(langevin_table),
    .options_bytes = sizeof(langevin_options),
    .check = langevin_check,
    .ignores = langevin_ignores,
    .run = langevin_run,
    .step = langevin_step,
    .temperature = langevin_temperature,
    .steps = langevin_steps,
    .stage_count = langevin_steps,
};
