/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Score matching: the model's score s = −∇ₓE is to be that of the data, ∇ log p_data. Partial
 * integration turns E‖s − ∇ log p_data‖², whose second score nobody knows, into a mean over the
 * data of
 *
 *     loss = tr ∇s + ½ ‖s‖² = −ΔE + ½ ‖∇E‖²                       (Hyvärinen, 2005, theorem 1)
 *
 * plus a constant. No chains and no normalising constant: both terms are derivatives to x. The
 * Laplacian ΔE = Σᵢ ∂²E/∂xᵢ² takes one way back through ∇E for each dimension, which suits points;
 * of larger examples sliced-score-matching takes it along random directions.
 *
 * The derivation asks that the data's density be smooth and vanish at its border. Data on a curve
 * or at a few values has none: some noise (data-noise) gives it one.
 */
#include "objective/parts.h"
#include <stddef.h>

#define DIMENSIONS_MAX 64

typedef struct score_matching_options {
    double class_dropout;
} score_matching_options;

static const basin__option score_matching_table[] = {
    BASIN__CLASS_DROPOUT_ROW(offsetof(score_matching_options, class_dropout), "0.1"),
};

/** ΔE of a gradient ∇E to x. */
static basin_value laplacian(basin_graph *graph, basin_value gradient, basin_value x, int size) {
    const basin_shape vector = basin_shape_vector(size);
    basin_value flat = basin_graph_reshape(graph, gradient, vector), sum = BASIN_NO_VALUE;
    for (int i = 0; i < size; i++) {
        basin_value row;
        basin_graph_gradient(graph, basin_graph_slice(graph, flat, i, 1), &x, 1, &row);
        basin_value curvature =
            basin_graph_slice(graph, basin_graph_reshape(graph, row, vector), i, 1);
        sum = i == 0 ? curvature : basin_graph_add(graph, sum, curvature);
    }
    return sum;
}

static basin__objective_values score_matching_build(const void *values, basin__loss *loss,
                                                    basin_graph *graph) {
    const score_matching_options *options = values;
    basin__objective_values out = {BASIN_NO_VALUE, BASIN_NO_VALUE, BASIN_NO_VALUE};
    const int64_t size = basin_shape_count(loss->energy->shape);
    if (size > DIMENSIONS_MAX) {
        basin__graph_fail(graph, BASIN_ERROR_CONFIG,
                          "objective score-matching takes a second derivative to each of at most "
                          "%d dimensions, and an example has %lld: take sliced-score-matching",
                          DIMENSIONS_MAX, (long long)size);
        return out;
    }
    basin_value x = basin__loss_data(loss);
    basin_value label = basin__loss_label(loss, options->class_dropout);
    out.energy_data = basin__loss_energy_of(loss, x, label);
    basin_value gradient = basin__loss_gradient(loss, x, BASIN_NO_VALUE, label);
    basin_value half = basin_graph_scale(graph, basin__graph_norm2(graph, gradient), 0.5);
    out.loss = basin_graph_sub(graph, half, laplacian(graph, gradient, x, (int)size));
    return out;
}

const basin__objective_def basin__objective_score_matching = {
    .name = "score-matching",
    .help = "score matching: |grad E|^2 / 2 - laplacian E, at most 64 dimensions",
    .options = score_matching_table,
    .option_count = BASIN_COUNT(score_matching_table),
    .options_bytes = sizeof(score_matching_options),
    .needs = BASIN__NEED_PLAIN | BASIN__NEED_CURVATURE,
    .build = score_matching_build,
};
