/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Likelihoods of energies of the plane, by adding up exp(−E/T) on a grid.
 */
#ifndef BASIN_EVAL_QUADRATURE_H
#define BASIN_EVAL_QUADRATURE_H

#include "energy/energy.h"

/** Energies at n points x [n, 2]. */
typedef basin_status basin__plane_energy(void *user, int64_t n, const float *x, double *energies);

typedef struct basin__quadrature {
    double log_z;     /* log ∫ exp(−E/T) */
    double change;    /* of log Z, when the last grid was made twice as fine */
    double low, high; /* of both axes: the square that was added up */
    int side;         /* points along an axis of the finest grid */
    double outside;   /* share of Z in the square's outermost tenth, on each side a twentieth */
} basin__quadrature;

/**
 * log Z of exp(−E/T). The square begins as [low, high]² and grows until its frame holds less than
 * 1e-4 of Z; then the grid of midpoints is made twice as fine until log Z moves by less than
 * `tolerance`. BASIN_ERROR_DIVERGED: the energy confines nothing, or is not finite, or the grid
 * would pass 4096² points.
 */
basin_status basin__quadrature_run(basin_context *context, basin__plane_energy *energy, void *user,
                                   double temperature, double low, double high, double tolerance,
                                   basin__quadrature *out);

/** basin__plane_energy of a basin_energy (user) on 1 × 1 × 2, under its own condition. */
basin_status basin__plane_energy_of(void *user, int64_t n, const float *x, double *energies);

typedef struct basin__plane_fit {
    basin__quadrature quadrature;
    double log_likelihood; /* mean over points of −E/T − log Z */
    double kl, kl_error;   /* mean of log p + E/T + log Z, and its standard error */
} basin__plane_fit;

/** KL(p ‖ model) on points x [n, 2] of p, whose log densities are given, or NULL: KL is NaN. */
basin_status basin__plane_fit_run(basin_context *context, basin__plane_energy *energy, void *user,
                                  double temperature, double low, double high, int64_t n,
                                  const float *x, const double *log_density, basin__plane_fit *out);

#endif
