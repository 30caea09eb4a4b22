/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels in a loss's graph: hiding some, so that one network learns E(x | class) and E(x) and
 * guidance can weigh one against the other (Ho & Salimans, 2022).
 */
#include "objective/labels.h"

basin_value basin__loss_label(basin__loss *loss, double dropout) {
    const basin_shape scalar = basin_shape_vector(1);
    const double none = loss->energy->condition.class_count;
    basin_graph *graph = loss->graph;
    if (loss->energy->condition.class_count == 0)
        return BASIN_NO_VALUE;
    basin_value label = basin__loss_source(loss, BASIN__SOURCE_LABEL, "label", scalar);
    if (dropout <= 0)
        return label;
    basin_value u = basin__loss_source(loss, BASIN__SOURCE_UNIFORM, "dropout", scalar);
    const basin__attributes hidden = {.a = -1, .b = dropout};
    basin_value is_hidden = basin__graph_add(graph, BASIN__OP_clamp_inside, 1, &u, &hidden);
    basin_value missing =
        basin_graph_offset(graph, basin_graph_scale(graph, label, -1), none); /* none - label */
    return basin_graph_add(graph, label, basin_graph_mul(graph, is_hidden, missing));
}

void basin__loss_chain_labels(basin__loss *loss, bool is_conditional, double dropout,
                              basin_value *data, basin_value *negative) {
    *data = *negative = BASIN_NO_VALUE;
    if (!is_conditional)
        return;
    *data = basin__loss_label(loss, dropout);
    *negative = basin__loss_source(loss, BASIN__SOURCE_NEGATIVE_LABEL, "negative_label",
                                   basin_shape_vector(1));
}
