/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log densities of the built-in points at x [2], with Gaussian noise of a standard deviation (0:
 * none) added to both coordinates; −∞ where there is none. To 1e-6 where noise is 0 or at least
 * 0.01.
 */
#ifndef BASIN_DATA_DENSITY_H
#define BASIN_DATA_DENSITY_H

double basin__density_two_moons(const float *x, double noise_std);
double basin__density_eight_gaussians(const float *x, double noise_std);
double basin__density_rings(const float *x, double noise_std);
double basin__density_checkerboard(const float *x, double noise_std);
double basin__density_spirals(const float *x, double noise_std);
double basin__density_pinwheel(const float *x, double noise_std);

#endif
