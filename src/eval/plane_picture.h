/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A density of the plane as a picture.
 */
#ifndef BASIN_EVAL_PLANE_PICTURE_H
#define BASIN_EVAL_PLANE_PICTURE_H

#include "eval/quadrature.h"

/**
 * Write a PNG: points x [n, 2] as a histogram, beside the density exp(−E/T − log Z) in the same
 * colours and scale, over the square [low, high]², upwards.
 */
basin_status basin__plane_picture(basin_context *context, const char *path, int64_t n,
                                  const float *x, basin__plane_energy *energy, void *user,
                                  double temperature, double log_z, double low, double high);

#endif
