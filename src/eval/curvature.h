/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The curvature of an energy along a direction: vᵀ ∇ₓ²E v beside the gradient.
 */
#ifndef BASIN_EVAL_CURVATURE_H
#define BASIN_EVAL_CURVATURE_H

#include "energy/energy.h"

typedef struct basin__curvature basin__curvature;

/** Compile for an energy of a network, which outlives it. BASIN_ERROR_UNSUPPORTED: a callback. */
basin_status basin__curvature_create(basin_energy *energy, basin__curvature **out);
void basin__curvature_destroy(basin__curvature *curvature);
/** Take the energy's parameters as they are now; after create, and after they changed. */
basin_status basin__curvature_prepare(basin__curvature *curvature);
/** The most examples of one run. */
int basin__curvature_tile(const basin__curvature *curvature);

/**
 * For n points, of which all have the noise level and label that the energy takes: gradient
 * [n, size] = ∇ₓE, or NULL, and curvatures [n] = vᵀ ∇ₓ²E v for directions v [n, size]. Several
 * workers may run at once.
 */
void basin__curvature_run(const basin__curvature *curvature, int worker, int n,
                          const basin__points *points, const float *direction, float *gradient,
                          float *curvatures);

#endif
