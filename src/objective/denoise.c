/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scores and denoisers in a loss's graph: of x = data + σ n, n standard normal, the mean of the
 * data given x is
 *
 *     D(x, σ) = x + σ² ∇ log p_σ(x) = x − σ² ∇ₓE(x, σ)          (Tweedie; Miyasawa, 1961)
 *
 * where exp(−E(x, σ)) ∝ p_σ(x). A gradient is more graph, so a loss of D is trained like any other.
 */
#include "objective/denoise.h"

/*
 * What E is differentiated by. A builder may look through a value: scale(scale(x, a), b) is built
 * as scale(x, a b), and E of scale(x, a) does then not depend on that node. Through stop none
 * looks.
 */
static basin_value point(basin_graph *graph, basin_value x) {
    if (x == BASIN_NO_VALUE || basin__graph_node(graph, x)->op == BASIN__OP_input)
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

basin_value basin__loss_denoiser(basin__loss *loss, basin_value x, basin_value noise_level,
                                 basin_value label) {
    basin_value gradient = basin__loss_gradient(loss, x, noise_level, label);
    basin_value variance = basin_graph_square(loss->graph, noise_level);
    return basin_graph_sub(loss->graph, x, basin_graph_mul(loss->graph, variance, gradient));
}

basin_value basin__loss_norm2(basin_graph *graph, basin_value x) {
    return basin_graph_sum(graph, basin_graph_square(graph, x), BASIN_AXES_ALL);
}

basin_value basin__loss_dot(basin_graph *graph, basin_value a, basin_value b) {
    return basin_graph_sum(graph, basin_graph_mul(graph, a, b), BASIN_AXES_ALL);
}
