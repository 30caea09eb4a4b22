/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tweedie's formula: the best denoiser is a step along the score (Robbins, 1956; Miyasawa, 1961;
 * Efron, 2011, eq. 1.4).
 */
#include "objective/denoise.h"

basin_value basin__loss_denoiser(basin__loss *loss, basin_value x, basin_value noise_level,
                                 basin_value label) {
    basin_graph *graph = loss->graph;
    basin_value energy = basin__loss_energy(loss, x, noise_level, label).energy, gradient;
    basin_graph_gradient(graph, energy, &x, 1, &gradient);
    basin_value variance = basin_graph_square(graph, noise_level);
    return basin_graph_sub(graph, x, basin_graph_mul(graph, gradient, variance));
}
