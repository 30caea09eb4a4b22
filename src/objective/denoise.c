/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tweedie's formula: the best denoiser is a step along the score (Robbins, 1956; Miyasawa, 1961;
 * Efron, 2011, eq. 1.4).
 */
#include "objective/denoise.h"
#include "objective/parts.h"

basin_value basin__loss_denoiser(basin__loss *loss, basin_value x, basin_value noise_level,
                                 basin_value label) {
    basin_value gradient = basin__loss_gradient(loss, x, noise_level, label);
    basin_value variance = basin_graph_square(loss->graph, noise_level);
    return basin_graph_sub(loss->graph, x, basin_graph_mul(loss->graph, gradient, variance));
}
