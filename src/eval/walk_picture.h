/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chains on a landscape of the plane as a picture.
 */
#ifndef BASIN_EVAL_WALK_PICTURE_H
#define BASIN_EVAL_WALK_PICTURE_H

#include "eval/quadrature.h"
#include "io/gif.h"

/** Where n chains of the plane were: x [places, n, 2], borrowed. */
typedef struct basin__walks {
    const float *x;
    int64_t places, n;
} basin__walks;

/**
 * Write a PNG: each chain as a line from a ring at its start to a dot at its end, over the density
 * exp(−E/T), twice as dark where it is twice as dense, on the square [low, high]², upwards. What
 * is outside of the square is cut off. BASIN_ERROR_DIVERGED: an energy on the square is not finite.
 */
basin_status basin__walk_picture(basin_context *context, const char *path,
                                 const basin__walks *walks, basin__plane_energy *energy, void *user,
                                 double temperature, double low, double high);

/**
 * Write a GIF over the same density: `frames` of them at most, evenly over the places, the first
 * and the last included. A ring is where a chain started, a dot where it is, and the line behind it
 * fades in ten frames.
 */
basin_status basin__walk_animation(basin_context *context, const char *path,
                                   const basin__walks *walks, int64_t frames,
                                   basin__plane_energy *energy, void *user, double temperature,
                                   double low, double high);

#endif
