/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pen on paper: lines of varying width on a small grey image.
 *
 * Ink at a pixel is how far it lies inside the nearest piece of the line, cut
 * to [0, 1] over one pixel's width: the distance to a tapered segment, which
 * for short segments is the distance to its axis less the width there.
 */
#ifndef BASIN_DATA_PEN_H
#define BASIN_DATA_PEN_H

#include "base/compiler.h"
#include <stdbool.h>

/** A point of the pen's path, in pixels; pixel (0, 0) covers [0, 1) × [0, 1). */
typedef struct basin__pen_point {
    double x, y, radius;
    bool is_last; /* the pen is lifted after it */
} basin__pen_point;

/** Draw over x [side, side] (the larger ink wins); `softness`: the edge's width in pixels. */
void basin__pen_draw(float *x, int side, const basin__pen_point *points, int count,
                     double softness);

/** Round to the 256 levels that an image file holds. */
void basin__pen_quantise(float *x, int side);

#endif
