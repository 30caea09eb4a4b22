/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where in an image its energy comes from.
 */
#ifndef BASIN_EVAL_HEAT_MAP_H
#define BASIN_EVAL_HEAT_MAP_H

#include "energy/energy.h"

/** |∂E/∂x| of each pixel, summed over channels → heat [n, height, width]. */
basin_status basin__heat_gradient(basin_energy *energy, int64_t n, const float *x, float *heat);

/**
 * Occlusion (Zeiler & Fergus 2014): E(x) − E(x without a square), the mean over all squares of
 * `side` pixels that hold the pixel → heat [n, height, width]. What is there raises the energy
 * where heat is above 0. A square is taken away by filling it with the mean of the pixels around
 * it. BASIN_ERROR_ARGUMENT where it is not smaller than the image.
 */
basin_status basin__heat_occlusion(basin_energy *energy, int64_t n, const float *x, int side,
                                   float *heat);

/**
 * A PNG with a column for each image: itself, its gradient (black, red, yellow, white) and its
 * occlusion (red raises the energy, blue lowers it), each scaled to its own largest value.
 */
basin_status basin__heat_map_write(basin_energy *energy, int64_t n, const float *x, int side,
                                   int zoom, const char *path);

#endif
