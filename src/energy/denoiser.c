/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Energies at every noise level. With x = data + σ n, the best denoiser is
 *
 *     D*(x, σ) = E[data | x] = x + σ² ∇ log p_σ(x)             (Tweedie; Miyasawa, 1961)
 *
 * so that of an energy with exp(−E(x, σ)) ∝ p_σ it is x − σ² ∇ₓE. Training makes that gradient
 * right, and leaves a constant free at each level.
 *
 * Networks work well on numbers of unit size whatever σ is (Karras et al., 2022, eq. 7), so F is
 * given u = x / √(σ² + s²), s the data's standard deviation, and
 *
 *   residual  E = ½‖x − D‖² / σ²,  D = c x + k F,  c = s² / (σ² + s²),  k = σ s / √(σ² + s²)
 *   inner     E = ½‖u‖² + (s/σ) ⟨u, F⟩
 *   norm      E = ½‖u‖² + (s/σ) ½‖F‖²
 *   scalar    E = ½‖u‖² + (s/σ) F
 *
 * The last three are the energy of a Gaussian with the data's size, changed; there
 * x − σ²∇E = c x − k ∂(⟨u, F⟩, ½‖F‖², F)/∂u, which is Karras' form with a gradient for a network.
 * In the first, (x − D)/σ = (σ u − s F) / √(σ² + s²): no difference of large numbers is taken.
 *
 * Residual: Salimans & Ho (2021), eq. 6; inner and norm: Du et al. (2023), section 5; Cohen et al.
 * (2020).
 */
#include "energy/denoiser.h"
#include <stdio.h>

#define NAME_BYTES 128

/** 1 / √(σ² + s²) */
static basin_value shrink(basin_graph *graph, basin_value noise_level, double data_std) {
    basin_value square = basin_graph_square(graph, noise_level);
    basin_value sum = basin_graph_offset(graph, square, data_std * data_std);
    return basin_graph_reciprocal(graph, basin_graph_sqrt(graph, sum));
}

basin_value basin__denoiser_input(basin_graph *graph, basin_value x, basin_value noise_level,
                                  double data_std) {
    return basin_graph_mul(graph, x, shrink(graph, noise_level, data_std));
}

/** ½ ‖x‖² */
static basin_value half_square(basin_graph *graph, basin_value x) {
    basin_value sum = basin_graph_sum(graph, basin_graph_square(graph, x), BASIN_AXES_ALL);
    return basin_graph_scale(graph, sum, 0.5);
}

static basin_value residual(basin_graph *graph, basin_value u, basin_value noise_level,
                            double data_std, basin_value f) {
    basin_value difference = basin_graph_sub(graph, basin_graph_mul(graph, u, noise_level),
                                             basin_graph_scale(graph, f, data_std));
    return half_square(graph,
                       basin_graph_mul(graph, difference, shrink(graph, noise_level, data_std)));
}

basin_value basin__denoiser_energy(basin_graph *graph, int64_t form, basin_value x,
                                   basin_value noise_level, double data_std, basin_value f) {
    basin_value u = basin__denoiser_input(graph, x, noise_level, data_std);
    if (form == BASIN__FORM_RESIDUAL)
        return residual(graph, u, noise_level, data_std, f);
    basin_value part = f;
    if (form == BASIN__FORM_INNER)
        part = basin_graph_sum(graph, basin_graph_mul(graph, u, f), BASIN_AXES_ALL);
    else if (form == BASIN__FORM_NORM)
        part = half_square(graph, f);
    basin_value ratio =
        basin_graph_scale(graph, basin_graph_reciprocal(graph, noise_level), data_std);
    return basin_graph_add(graph, half_square(graph, u), basin_graph_mul(graph, part, ratio));
}

basin_value basin__condition_embedding(basin__build *build, const char *name, int width,
                                       int class_count, int64_t activation) {
    basin_graph *graph = build->graph;
    const basin_shape scalar = basin_shape_vector(1), vector = basin_shape_vector(width);
    basin_value sum = BASIN_NO_VALUE;
    char layer[NAME_BYTES];
    if (build->noise_level != BASIN_NO_VALUE) {
        /* log σ / 4: levels from 0.002 to 80 become numbers from -1.6 to 1.1 */
        basin_value level =
            basin_graph_scale(graph, basin_graph_log(graph, build->noise_level), 0.25);
        snprintf(layer, sizeof layer, "%s.noise.0", name);
        basin_value hidden = basin__layer_linear(build, layer, level, width, scalar);
        snprintf(layer, sizeof layer, "%s.noise.2", name);
        sum = basin__layer_linear(build, layer, basin__activation(graph, activation, hidden), width,
                                  vector);
    }
    if (class_count > 0 && build->label != BASIN_NO_VALUE) {
        snprintf(layer, sizeof layer, "%s.class", name);
        basin_value row = basin__layer_lookup(build, layer, class_count + 1, width, build->label);
        sum = sum == BASIN_NO_VALUE ? row : basin_graph_add(graph, sum, row);
    }
    return sum == BASIN_NO_VALUE ? sum : basin__activation(graph, activation, sum);
}
