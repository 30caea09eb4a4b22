/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What objectives of scores share: ∇ₓE and the denoiser as values of a loss's graph.
 */
#ifndef BASIN_OBJECTIVE_DENOISE_H
#define BASIN_OBJECTIVE_DENOISE_H

#include "objective/objective.h"

/**
 * ∇ₓE at a point of the graph, which must depend on no parameter; noise_level and label may be
 * BASIN_NO_VALUE. A later gradient to parameters flows through it (a second derivative), one to x
 * does only where x is a source: of a value that was computed it is not asked.
 */
basin_value basin__loss_gradient(basin__loss *loss, basin_value x, basin_value noise_level,
                                 basin_value label);
/** D(x, σ) = x − σ² ∇ₓE(x, σ), the model's mean of the data given x = data + σ n. */
basin_value basin__loss_denoiser(basin__loss *loss, basin_value x, basin_value noise_level,
                                 basin_value label);
/** ‖x‖², ⟨a, b⟩: scalars. */
basin_value basin__loss_norm2(basin_graph *graph, basin_value x);
basin_value basin__loss_dot(basin_graph *graph, basin_value a, basin_value b);

#endif
