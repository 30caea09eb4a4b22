/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Treatment: small random movements and noise that leave an image what it is.
 */
#ifndef BASIN_TRAIN_TREAT_H
#define BASIN_TRAIN_TREAT_H

#include "backend/cpu/kernels.h"
#include "graph/graph.h"
#include "rng/philox.h"

/** A movement of an image about its centre. */
typedef struct basin__movement {
    double turn; /* radians */
    double scale, shift_y, shift_x;
    bool is_mirrored; /* afterwards, left to right */
} basin__movement;

/** The moved image `in`; between pixels bilinear, what comes from outside is `low`. */
void basin__move(const basin__movement *movement, basin_shape shape, float low, const float *in,
                 float *out);

/**
 * Turn an image by up to 10°, scale it by up to a tenth, shift it by up to 1.5 pixels each way (all
 * uniform, about its centre; between pixels, bilinear) and give it noise of a standard deviation
 * that is uniform up to a twentieth of the range, to which it is clamped. What comes from outside
 * is `low`. A pure function of `x` and the draw; `scratch` is of one image.
 */
void basin__treat(const basin__cpu_kernels *kernels, const basin__draw *draw, basin_shape shape,
                  float low, float high, float *x, float *scratch);

#endif
