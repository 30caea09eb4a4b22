/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classification: cross-entropy of the logits f(x) with the label,
 *
 *     loss = log Σ exp f(x) − f(x)[y] = E(x, y) − E(x)
 *
 * which is −log p(y | x) of the joint energy. It leaves E(x) itself free: any function of x may be
 * added to all logits. So what it gives is a classifier, and no density of examples; objective jem
 * adds that.
 */
#include "objective/labels.h"
#include <stddef.h>

typedef struct classify_options {
    double smoothing;
} classify_options;

static const basin__option classify_table[] = {
    {"label-smoothing", BASIN__OPTION_FLOAT, offsetof(classify_options, smoothing), "0", 0, 1, NULL,
     NULL, "Share of a label that is spread over all classes"},
};

static basin__objective_values classify_build(const void *values, basin__loss *loss,
                                              basin_graph *graph) {
    const classify_options *options = values;
    basin__energy_values data =
        basin__loss_energy(loss, basin__loss_data(loss), BASIN_NO_VALUE, BASIN_NO_VALUE);
    basin_value label = basin__loss_label(loss, 0);
    return (basin__objective_values){
        .loss = basin__cross_entropy(graph, data.logits, label, options->smoothing),
        .energy_data = data.energy,
        .energy_negative = BASIN_NO_VALUE};
}

const basin__objective_def basin__objective_classify = {
    .name = "classify",
    .help = "cross-entropy of logits with labels: a classifier, whose E(x) is no density",
    .options = classify_table,
    .option_count = BASIN_COUNT(classify_table),
    .options_bytes = sizeof(classify_options),
    .learns_no_density = true,
    .needs = BASIN__NEED_LABELS | BASIN__NEED_LOGITS | BASIN__NEED_PLAIN,
    .build = classify_build,
};
