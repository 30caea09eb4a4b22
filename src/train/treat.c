/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image is looked at through the inverse of its movement: pixel p of the new one is the old one
 * at c + R (p − c − shift) / scale. Between four pixels it is their mean, weighted by nearness; so
 * every treated image is a little soft, and no edge tells where it came from.
 */
#include "train/treat.h"
#include "train/random.h"
#include <math.h>
#include <string.h>

#define TURN_MAX 0.17453292519943295 /* 10° */
#define SCALE_MAX 0.1
#define SHIFT_MAX 1.5
#define NOISE_MAX 0.05
#define NOISE_CHAIN (UINT32_C(1) << 31) /* no batch is so long */

enum { WORD_TURN = 8, WORD_SCALE, WORD_SHIFT_Y, WORD_SHIFT_X, WORD_NOISE };

static double pixel(basin_shape shape, float low, const float *in, int y, int x, int c) {
    if (y < 0 || y >= shape.height || x < 0 || x >= shape.width)
        return (double)low;
    return (double)in[((int64_t)y * shape.width + x) * shape.channels + c];
}

/** The image at a place between its pixels. */
static float look(basin_shape shape, float low, const float *in, double y, double x, int c) {
    const double top = floor(y), left = floor(x), v = y - top, u = x - left;
    const int row = (int)top, column = (int)left;
    double above = (1 - u) * pixel(shape, low, in, row, column, c) +
                   u * pixel(shape, low, in, row, column + 1, c);
    double below = (1 - u) * pixel(shape, low, in, row + 1, column, c) +
                   u * pixel(shape, low, in, row + 1, column + 1, c);
    return (float)((1 - v) * above + v * below);
}

void basin__move(const basin__movement *movement, basin_shape shape, float low, const float *in,
                 float *out) {
    const double centre_y = 0.5 * (shape.height - 1), centre_x = 0.5 * (shape.width - 1);
    const double along = cos(movement->turn) / movement->scale;
    const double across = sin(movement->turn) / movement->scale;
    for (int y = 0; y < shape.height; y++)
        for (int x = 0; x < shape.width; x++) {
            double dy = y - centre_y - movement->shift_y;
            double dx = (movement->is_mirrored ? centre_x - x : x - centre_x) - movement->shift_x;
            double from_y = centre_y + along * dy - across * dx;
            double from_x = centre_x + across * dy + along * dx;
            for (int c = 0; c < shape.channels; c++)
                out[((int64_t)y * shape.width + x) * shape.channels + c] =
                    look(shape, low, in, from_y, from_x, c);
        }
}

void basin__treat(const basin__cpu_kernels *kernels, const basin__draw *draw, basin_shape shape,
                  float low, float high, float *x, float *scratch) {
    const int64_t size = basin_shape_count(shape);
    const double std = NOISE_MAX * (double)(high - low) * basin__random_unit(draw, WORD_NOISE);
    const basin__movement movement = {
        .turn = basin__random_spread(draw, WORD_TURN, TURN_MAX),
        .scale = exp(basin__random_spread(draw, WORD_SCALE, SCALE_MAX)),
        .shift_y = basin__random_spread(draw, WORD_SHIFT_Y, SHIFT_MAX),
        .shift_x = basin__random_spread(draw, WORD_SHIFT_X, SHIFT_MAX)};
    basin__draw noise = *draw;
    noise.chain |= NOISE_CHAIN;
    memcpy(scratch, x, (size_t)size * sizeof(float));
    basin__move(&movement, shape, low, scratch, x);
    kernels->normal(scratch, 1, size, &noise);
    kernels->axpy(x, (float)std, scratch, size);
    kernels->clamp(x, low, high, size);
}
