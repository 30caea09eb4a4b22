/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How people write digits: the pen's path for several ways to write each.
 *
 * A path is a list of points that a smooth curve passes, in hundredths of the
 * digit's height: x to the right, y down. S is a point passed smoothly, C one
 * where the pen turns sharply, E the last before the pen is lifted. Weights are
 * how often a way of writing is taken, of its digit's total.
 */
#ifndef BASIN_DATA_GLYPHS_H
#define BASIN_DATA_GLYPHS_H

#include <stddef.h>

#define BASIN__GLYPH_POINTS_MAX 18

typedef enum basin__glyph_turn {
    BASIN__GLYPH_END_OF_LIST,
    BASIN__GLYPH_SMOOTH,
    BASIN__GLYPH_CORNER,
    BASIN__GLYPH_LIFT
} basin__glyph_turn;

typedef struct basin__glyph_point {
    signed char x, y;
    unsigned char turn;
} basin__glyph_point;

typedef struct basin__glyph {
    int digit, weight;
    basin__glyph_point points[BASIN__GLYPH_POINTS_MAX + 1];
} basin__glyph;

extern const basin__glyph basin__glyphs[];
extern const size_t basin__glyph_count;

#endif
