/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The denoiser of an energy as graph, which losses at noise levels are made of.
 */
#ifndef BASIN_OBJECTIVE_DENOISE_H
#define BASIN_OBJECTIVE_DENOISE_H

#include "objective/objective.h"

/**
 * D(x, σ) = x − σ² ∇ₓE(x, σ), shaped like x: the mean of the data given x = data + σ n, where
 * exp(−E(x, σ)) is the density of such x. `label` may be BASIN_NO_VALUE.
 */
basin_value basin__loss_denoiser(basin__loss *loss, basin_value x, basin_value noise_level,
                                 basin_value label);

#endif
