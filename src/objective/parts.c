/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See parts.h.
 */
#include "objective/parts.h"

/*
 * What E is differentiated by. A builder may look through a value: scale(scale(x, a), b) is built
 * as scale(x, a b), and E of scale(x, a) does then not depend on that node. Through stop none
 * looks.
 */
static basin_value point(basin_graph *graph, basin_value x) {
    if (x == BASIN_NO_VALUE || basin__graph_node(graph, x)->op == BASIN__OP_input ||
        basin__graph_node(graph, x)->op == BASIN__OP_stop)
        return x;
    return basin_graph_stop(graph, x);
}

basin_value basin__loss_gradient(basin__loss *loss, basin_value x, basin_value noise_level,
                                 basin_value label) {
    basin_value at = point(loss->graph, x), gradient;
    basin_value energy = basin__loss_energy(loss, at, noise_level, label).energy;
    basin_graph_gradient(loss->graph, energy, &at, 1, &gradient);
    return gradient;
}

basin_value basin__loss_energy_of(basin__loss *loss, basin_value x, basin_value label) {
    return basin__loss_energy(loss, x, BASIN_NO_VALUE, label).energy;
}

basin_value basin__loss_hold(basin_graph *graph, basin_value loss, basin_value low,
                             basin_value high, double alpha) {
    if (alpha <= 0)
        return loss;
    basin_value squares =
        basin_graph_add(graph, basin_graph_square(graph, low), basin_graph_square(graph, high));
    return basin_graph_add(graph, loss, basin_graph_scale(graph, squares, alpha));
}

basin_value basin__loss_copy(basin__loss *loss, basin__source_kind kind, const char *name,
                             int64_t count, int64_t index) {
    const int64_t size = basin_shape_count(loss->energy->shape);
    if (count * size > INT32_MAX)
        return basin__graph_fail(loss->graph, BASIN_ERROR_CONFIG,
                                 "%s of %lld numbers an example are too many: take fewer copies",
                                 name, (long long)(count * size));
    basin_value all = basin__loss_source(loss, kind, name, basin_shape_vector((int)(count * size)));
    basin_value one = basin_graph_slice(loss->graph, all, (int)(index * size), (int)size);
    return basin_graph_reshape(loss->graph, one, loss->energy->shape);
}

/* By halves, so that each scalar is copied log(count) times. */
basin_value basin__graph_gather(basin_graph *graph, const basin_value *scalars, int64_t count) {
    if (count == 1)
        return scalars[0];
    const int64_t half = count / 2;
    return basin_graph_concatenate(graph, basin__graph_gather(graph, scalars, half),
                                   basin__graph_gather(graph, scalars + half, count - half));
}

basin_value basin__graph_norm2(basin_graph *graph, basin_value x) {
    return basin_graph_sum(graph, basin_graph_square(graph, x), BASIN_AXES_ALL);
}
