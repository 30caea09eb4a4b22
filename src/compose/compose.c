/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an expression to an energy, and what is noted of it: the range and levels of its models, and
 * by which sampler chains walk it unless another is asked for.
 *
 * Where there are noise levels, energies are added level by level, and Σ E_k(x, σ) is not the
 * energy of the noisy product: noise does not distribute over products. So the reverse process of
 * the sum does not lead to the product (Du et al., 2023); MCMC at each level does, whatever the
 * levels above were, as the last is the one that is wanted. Hence by default Metropolis-adjusted
 * steps at every level; without levels, Hamiltonian Monte Carlo.
 */
#include "compose/compose.h"
#include "base/number.h"
#include <math.h>

#define LEVELS 60
#define LEVEL_STEPS 10
#define LEVEL_RATIO 0.3
#define MOVES 200
#define LEAPFROG_STEPS 5
#define LEAPFROG_STEP 0.25 /* of the least width */

/* ---- notes ---- */

static basin_status note_levels(const basin__composition *of, basin_energy *energy) {
    BASIN_TRY(basin__energy_note(energy, "noise_level_low", "%.17g", of->level_low));
    BASIN_TRY(basin__energy_note(energy, "noise_level_high", "%.17g", of->level_high));
    BASIN_TRY(basin__energy_note(energy, "sampler", "predictor-corrector"));
    return basin__energy_note(energy, "sampler_options",
                              "{\"sigma_max\": %.17g, \"sigma_min\": %.17g, \"levels\": %d, "
                              "\"corrector\": \"mala\", \"corrector_steps\": %d, \"ratio\": %g}",
                              of->level_high, of->level_low, LEVELS, LEVEL_STEPS, LEVEL_RATIO);
}

/** The least width of the functions in a node, where there are some. */
static double least_width(const basin__expression_node *node) {
    double width = INFINITY;
    if (node->kind == BASIN__NODE_FUNCTION && node->operand_count == 0)
        for (int i = 0; i < node->arguments[node->function->width].count; i++)
            width = fmin(width, node->arguments[node->function->width].items[i]);
    for (int i = 0; i < node->operand_count; i++)
        width = fmin(width, least_width(node->operands[i]));
    return width;
}

/**
 * A move goes as far as a tenth of the period (2π std) to a fifth: at a half, which of some wider
 * direction a longer move would be, a chain jumps to and fro between two places. In many dimensions
 * steps are smaller, as their error grows.
 */
static basin_status note_moves(const basin__composition *of, basin_energy *energy) {
    const double width = least_width(of->expression.root);
    const double dimension = (double)basin_shape_count(of->shape);
    const double step = isfinite(width) ? LEAPFROG_STEP * width * pow(dimension, -0.25) : 0.1;
    BASIN_TRY(basin__energy_note(energy, "sampler", "hmc"));
    return basin__energy_note(energy, "sampler_options",
                              "{\"n_steps\": %d, \"leapfrog_steps\": %d, \"step_size\": %.9g}",
                              MOVES, LEAPFROG_STEPS, step);
}

static void widen(const basin__expression_node *node, double *low, double *high) {
    if (node->kind == BASIN__NODE_FUNCTION && node->function->extent)
        node->function->extent(node->arguments, low, high);
    for (int i = 0; i < node->operand_count; i++)
        widen(node->operands[i], low, high);
}

void basin__composition_range(const basin__composition *of, const basin__expression_node *node,
                              double *low, double *high) {
    const bool is_image = of->shape.height > 1 || of->shape.width > 1;
    *low = of->has_range ? of->range_low : INFINITY;
    *high = of->has_range ? of->range_high : -INFINITY;
    if (!is_image)
        widen(node, low, high);
    if (*low < *high)
        return;
    *low = 0;
    *high = 1;
}

basin_status basin__composition_note_range(const basin__composition *of, basin_energy *energy) {
    double low, high;
    basin__composition_range(of, of->expression.root, &low, &high);
    BASIN_TRY(basin__energy_note(energy, "range_low", "%.9g", low));
    return basin__energy_note(energy, "range_high", "%.9g", high);
}

static basin_status note(const basin__composition *of, basin_energy *energy) {
    bool is_exact = true;
    for (int i = 0; i < of->part_count; i++)
        is_exact &= basin_energy_temperature(of->parts[i].energy).is_exact;
    BASIN_TRY(basin__energy_note(energy, "temperature", "1"));
    BASIN_TRY(basin__energy_note(energy, "temperature_exact", is_exact ? "true" : "false"));
    return energy->condition.noise_level ? note_levels(of, energy) : note_moves(of, energy);
}

/* ---- the whole ---- */

static basin_status compose(basin__composition *of, const char *expression, basin_shape shape,
                            basin_energy **out) {
    BASIN_TRY(basin__expression_parse(of->context, expression, &of->expression));
    BASIN_TRY(basin__composition_load(of, shape));
    BASIN_TRY(basin__composition_estimate(of));
    return basin__composition_take(of, out);
}

basin_status basin_energy_compose(basin_context *context, const char *expression, int height,
                                  int width, int channels, basin_energy **out) {
    *out = NULL;
    basin__composition *of = basin__alloc(context, sizeof(*of));
    if (!of)
        return BASIN_ERROR_MEMORY;
    of->context = context;
    of->expression.context = context;
    basin_status status = compose(of, expression, (basin_shape){1, height, width, channels}, out);
    if (status != BASIN_OK) {
        basin__composition_reset(of);
        basin__free(context, of);
        return status;
    }
    status = note(of, *out);
    if (status != BASIN_OK) {
        basin_energy_destroy(*out);
        *out = NULL;
    }
    return status;
}
