/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Score matching along random directions: with s = −∇ₓE and v of mean 0 and covariance 1, the trace
 * in −ΔE + ½ ‖∇E‖² is a mean of vᵀ∇s v, so that
 *
 *     loss = vᵀ∇s v + ½ (vᵀs)² = −vᵀ∇²E v + ½ (vᵀ∇E)²          (Song et al., 2019, section 3)
 *
 * and, as E (vᵀs)² = ‖s‖² is known, with less variance
 *
 *     loss = −vᵀ∇²E v + ½ ‖∇E‖²
 *
 * averaged over `directions` v. ∇²E v is the gradient of ⟨∇E, v⟩: one more way back, whatever the
 * dimension. Along signs vᵀ∇²E v misses the trace by the Hessian's entries off the diagonal alone
 * (Hutchinson, 1990), and by less than along normals.
 */
#include "objective/parts.h"
#include <math.h>
#include <stddef.h>

enum { GAUSSIAN, SIGN, SPHERE };

typedef struct sliced_options {
    int64_t directions, distribution;
    bool is_reduced;
    double class_dropout;
} sliced_options;

#define AT(field) offsetof(sliced_options, field)

static const basin__option sliced_table[] = {
    {"directions", BASIN__OPTION_INT, AT(directions), "1", 1, 64, NULL, "directions",
     "Random directions an example"},
    {"direction-distribution", BASIN__OPTION_CHOICE, AT(distribution), "sign", 0, 0,
     "gaussian|sign|sphere", NULL, "How a direction is drawn; sphere: of length sqrt(dimensions)"},
    {"variance-reduced", BASIN__OPTION_FLAG, AT(is_reduced), NULL, 0, 0, NULL, NULL,
     "Take |grad E|^2 itself in place of its mean over directions"},
    BASIN__CLASS_DROPOUT_ROW(AT(class_dropout), "0.1"),
};

/** Direction number `index`, shaped like x. */
static basin_value direction(basin_graph *graph, basin__loss *loss, const sliced_options *options,
                             int64_t index) {
    const bool is_sign = options->distribution == SIGN;
    basin_value v = basin__loss_copy(loss, is_sign ? BASIN__SOURCE_SIGN : BASIN__SOURCE_NORMAL,
                                     "direction", options->directions, index);
    if (options->distribution != SPHERE)
        return v;
    basin_value length = basin_graph_sqrt(graph, basin__graph_norm2(graph, v));
    const double radius = sqrt((double)basin_shape_count(loss->energy->shape));
    return basin_graph_mul(graph, v,
                           basin_graph_scale(graph, basin_graph_reciprocal(graph, length), radius));
}

static basin__objective_values sliced_build(const void *values, basin__loss *loss,
                                            basin_graph *graph) {
    const sliced_options *options = values;
    basin_value x = basin__loss_data(loss), sum = BASIN_NO_VALUE;
    basin_value label = basin__loss_label(loss, options->class_dropout);
    basin_value energy = basin__loss_energy_of(loss, x, label);
    basin_value gradient = basin__loss_gradient(loss, x, BASIN_NO_VALUE, label);
    for (int64_t i = 0; i < options->directions; i++) {
        basin_value v = direction(graph, loss, options, i), product;
        basin_value slope = basin_graph_dot(graph, gradient, v, BASIN_AXES_ALL);
        basin_graph_gradient(graph, slope, &x, 1, &product);
        basin_value term =
            basin_graph_scale(graph, basin_graph_dot(graph, product, v, BASIN_AXES_ALL), -1);
        if (!options->is_reduced)
            term = basin_graph_add(graph, term,
                                   basin_graph_scale(graph, basin_graph_square(graph, slope), 0.5));
        sum = i == 0 ? term : basin_graph_add(graph, sum, term);
    }
    basin_value mean = basin_graph_scale(graph, sum, 1 / (double)options->directions);
    if (options->is_reduced)
        mean = basin_graph_add(graph, mean,
                               basin_graph_scale(graph, basin__graph_norm2(graph, gradient), 0.5));
    return (basin__objective_values){
        .loss = mean, .energy_data = energy, .energy_negative = BASIN_NO_VALUE};
}

const basin__objective_def basin__objective_sliced_score_matching = {
    .name = "sliced-score-matching",
    .help = "score matching along random directions v: (v' grad E)^2 / 2 - v' hess E v",
    .options = sliced_table,
    .option_count = BASIN_COUNT(sliced_table),
    .options_bytes = sizeof(sliced_options),
    .needs = BASIN__NEED_PLAIN | BASIN__NEED_CURVATURE,
    .build = sliced_build,
};
