/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contrastive divergence: lower the energy of data, raise that of negatives,
 *
 *     loss = E(x⁺) - E(x⁻) + alpha (E(x⁺)² + E(x⁻)²)
 *
 * Where negatives x⁻ are samples of the model, the first two terms' gradient is the likelihood's.
 * The energy is free up to a constant, and nothing holds its scale; alpha does. No gradient flows
 * through the chains. Hinton (2002); Du & Mordatch (2019), eq. 4 and 5.
 */
#include "objective/objective.h"
#include <stddef.h>

typedef struct cd_options {
    double alpha;
} cd_options;

static const basin__option cd_table[] = {
    {"alpha", BASIN__OPTION_FLOAT, offsetof(cd_options, alpha), "0.1", 0, 1e6, NULL, NULL,
     "Weight of the energies' squares"},
};

static basin__objective_values cd_build(const void *values, basin__loss *of, basin_graph *graph) {
    const cd_options *options = values;
    basin_value negative =
        basin__loss_source(of, BASIN__SOURCE_NEGATIVE, "negative", of->energy->shape);
    basin_value low =
        basin__loss_energy(of, basin__loss_data(of), BASIN_NO_VALUE, BASIN_NO_VALUE).energy;
    basin_value high = basin__loss_energy(of, negative, BASIN_NO_VALUE, BASIN_NO_VALUE).energy;
    basin_value loss = basin_graph_sub(graph, low, high);
    if (options->alpha > 0) {
        basin_value squares =
            basin_graph_add(graph, basin_graph_square(graph, low), basin_graph_square(graph, high));
        loss = basin_graph_add(graph, loss, basin_graph_scale(graph, squares, options->alpha));
    }
    return (basin__objective_values){.loss = loss, .energy_data = low, .energy_negative = high};
}

const basin__objective_def basin__objective_cd = {
    .name = "cd",
    .help = "contrastive divergence: E(data) - E(negative) + alpha (E(data)^2 + E(negative)^2)",
    .options = cd_table,
    .option_count = BASIN_COUNT(cd_table),
    .options_bytes = sizeof(cd_options),
    .needs = BASIN__NEED_CHAINS | BASIN__NEED_PLAIN,
    .build = cd_build,
};
