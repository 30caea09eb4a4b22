/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Colours are changed as torchvision's ColorJitter does it, in the order brightness, contrast,
 * saturation: on values v in [0, 1],
 *
 *     v ← f v,      v ← m + f (v − m), m the image's mean,      v ← g + f (v − g), g the pixel's
 *
 * each clamped to [0, 1]; means are over channels, unweighted. One channel has no saturation.
 */
#include "train/augment.h"
#include "train/treat.h"
#include <math.h>
#include <string.h>

enum {
    WORD_CHANCE,
    WORD_SHIFT_Y,
    WORD_SHIFT_X,
    WORD_SCALE,
    WORD_FLIP,
    WORD_BRIGHTNESS,
    WORD_CONTRAST,
    WORD_SATURATION
};

static void move(const basin__augmentation *with, const basin__draw *draw, basin_shape shape,
                 float low, float *x, float *scratch) {
    const int64_t side = 2 * with->shift + 1;
    const basin__movement movement = {
        .scale = exp(basin__random_spread(draw, WORD_SCALE, with->scale)),
        .shift_y = (double)(basin__random_below(draw, WORD_SHIFT_Y, side) - with->shift),
        .shift_x = (double)(basin__random_below(draw, WORD_SHIFT_X, side) - with->shift),
        .is_mirrored = with->flip && basin__random_below(draw, WORD_FLIP, 2) == 1};
    memcpy(scratch, x, (size_t)basin_shape_count(shape) * sizeof(float));
    basin__move(&movement, shape, low, scratch, x);
}

static double mean_of(const float *x, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += (double)x[i];
    return sum / (double)count;
}

/** x ← centre + factor (x − centre), kept in [low, high]. */
static void stretch(float *x, int64_t count, double centre, double factor, float low, float high) {
    for (int64_t i = 0; i < count; i++) {
        const float value = (float)(centre + factor * ((double)x[i] - centre));
        x[i] = value < low ? low : value > high ? high : value;
    }
}

static void change_colours(const basin__augmentation *with, const basin__draw *draw,
                           basin_shape shape, float low, float high, float *x) {
    const int64_t size = basin_shape_count(shape), channels = shape.channels;
    const double saturation = 1 + basin__random_spread(draw, WORD_SATURATION, with->colour);
    stretch(x, size, (double)low, 1 + basin__random_spread(draw, WORD_BRIGHTNESS, with->colour),
            low, high);
    stretch(x, size, mean_of(x, size), 1 + basin__random_spread(draw, WORD_CONTRAST, with->colour),
            low, high);
    for (int64_t i = 0; channels > 1 && i < size; i += channels)
        stretch(x + i, channels, mean_of(x + i, channels), saturation, low, high);
}

void basin__augment(const basin__augmentation *with, const basin__draw *draw, basin_shape shape,
                    float low, float high, float *x, float *scratch) {
    if (basin__random_unit(draw, WORD_CHANCE) >= with->probability)
        return;
    if (with->shift > 0 || with->scale > 0 || with->flip)
        move(with, draw, shape, low, x, scratch);
    if (with->colour > 0)
        change_colours(with, draw, shape, low, high, x);
}
