/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Runge–Kutta pair of orders 5 and 4 of Dormand & Prince (1980), and its step size control
 * (Hairer, Nørsett & Wanner, "Solving Ordinary Differential Equations I", II.4).
 *
 * For dx/dt = f(x, t) and a step h
 *     k_s = f(x + h Σ_{j<s} a_sj k_j, t + c_s h),   s = 1 … 7,
 * where the seventh point is the solution at t + h of order 5, so that k_7 is the next step's k_1;
 * h Σ_s e_s k_s is its difference from the solution of order 4.
 */
#ifndef BASIN_SAMPLER_DORMAND_PRINCE_H
#define BASIN_SAMPLER_DORMAND_PRINCE_H

#include <math.h>

#define BASIN__RK_STAGES 7

static const double basin__rk_c[BASIN__RK_STAGES] = {0, 1.0 / 5, 3.0 / 10, 4.0 / 5, 8.0 / 9, 1, 1};

static const double basin__rk_a[BASIN__RK_STAGES][BASIN__RK_STAGES - 1] = {
    {0},
    {1.0 / 5},
    {3.0 / 40, 9.0 / 40},
    {44.0 / 45, -56.0 / 15, 32.0 / 9},
    {19372.0 / 6561, -25360.0 / 2187, 64448.0 / 6561, -212.0 / 729},
    {9017.0 / 3168, -355.0 / 33, 46732.0 / 5247, 49.0 / 176, -5103.0 / 18656},
    {35.0 / 384, 0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784, 11.0 / 84},
};

static const double basin__rk_error[BASIN__RK_STAGES] = {
    71.0 / 57600, 0, -71.0 / 16695, 71.0 / 1920, -17253.0 / 339200, 22.0 / 525, -1.0 / 40};

/** Factor of the step size after a step whose error was so large, in units of what is allowed. */
static inline double basin__rk_factor(double error) {
    return error > 0 ? fmax(0.2, fmin(5.0, 0.9 * pow(error, -0.2))) : 5.0;
}

#endif
