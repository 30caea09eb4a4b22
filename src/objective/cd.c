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

static basin__objective_values cd_build(const void *values, basin_energy *energy,
                                        basin_graph *graph, basin_value data,
                                        basin_value negative) {
    const cd_options *options = values;
    basin_value low = basin__energy_build(energy, graph, data);
    basin_value high = basin__energy_build(energy, graph, negative);
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
    .build = cd_build,
};
