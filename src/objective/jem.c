/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A classifier and a density in one (JEM): log p(x, y) = log p(y | x) + log p(x) of the joint
 * energy E(x, y) = −f(x)[y], the first by cross-entropy, the second by negatives x⁻ that chains
 * draw at E(x) = −log Σ exp f(x):
 *
 *     loss = CE(f(x⁺), y) + w (E(x⁺) − E(x⁻)) + alpha (E(x⁺)² + E(x⁻)²)
 *
 * The squares hold the level of E, which nothing else does; the paper has none (alpha 0). Examples
 * without a label teach p(x) alone. Grathwohl et al. (2020), eq. 10 and algorithm 1.
 */
#include "objective/parts.h"
#include <stddef.h>

typedef struct jem_options {
    double weight, alpha, smoothing;
} jem_options;

#define AT(field) offsetof(jem_options, field)

static const basin__option jem_table[] = {
    {"likelihood-weight", BASIN__OPTION_FLOAT, AT(weight), "1", 0, 1e6, NULL, NULL,
     "Weight w of the likelihood of examples beside that of their classes"},
    {"alpha", BASIN__OPTION_FLOAT, AT(alpha), "0.1", 0, 1e6, NULL, NULL,
     "Weight of the energies' squares"},
    {"label-smoothing", BASIN__OPTION_FLOAT, AT(smoothing), "0", 0, 1, NULL, NULL,
     "Share of a label that is spread over all classes"},
};

static basin__objective_values jem_build(const void *values, basin__loss *of, basin_graph *graph) {
    const jem_options *options = values;
    basin_value negative =
        basin__loss_source(of, BASIN__SOURCE_NEGATIVE, "negative", of->energy->shape);
    basin__energy_values data =
        basin__loss_energy(of, basin__loss_data(of), BASIN_NO_VALUE, BASIN_NO_VALUE);
    basin_value low = data.energy;
    basin_value high = basin__loss_energy(of, negative, BASIN_NO_VALUE, BASIN_NO_VALUE).energy;
    basin_value label = basin__loss_label(of, 0);
    basin_value loss = basin__cross_entropy(graph, data.logits, label, options->smoothing);
    basin_value gap = basin_graph_sub(graph, low, high);
    loss = basin_graph_add(graph, loss, basin_graph_scale(graph, gap, options->weight));
    loss = basin__loss_hold(graph, loss, low, high, options->alpha);
    return (basin__objective_values){.loss = loss, .energy_data = low, .energy_negative = high};
}

const basin__objective_def basin__objective_jem = {
    .name = "jem",
    .help = "cross-entropy + w (E(data) - E(negative)) + alpha (squares): classifier and density",
    .options = jem_table,
    .option_count = BASIN_COUNT(jem_table),
    .options_bytes = sizeof(jem_options),
    .needs = BASIN__NEED_CHAINS | BASIN__NEED_LABELS | BASIN__NEED_LOGITS | BASIN__NEED_PLAIN,
    .build = jem_build,
};
