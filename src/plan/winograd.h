/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tiles of fast convolutions, shared by winograd.c, which has the mathematics, and
 * winograd_weight.c.
 */
#ifndef BASIN_PLAN_WINOGRAD_H
#define BASIN_PLAN_WINOGRAD_H

#include "inside.h"

/** Tiles in a batch: a multiple of all micro-kernels' heights, at most so many. */
#define BASIN__TILES_UNIT 12
#define BASIN__TILES_MAX 144

/** Kinds of tiles, in such an order that those which take a point are neighbours. */
enum { WIDE, TALL_AND_WIDE, TALL, SHORT, KINDS };

/** A tile of a batch. */
typedef struct basin__winograd_member {
    const basin__winograd_place *place;
    int example;
    int slot; /* in the scratch memory: tiles are ordered by kind */
} basin__winograd_member;

/** A batch of tiles. */
typedef struct basin__tiles {
    int count;
    basin__winograd_member members[BASIN__TILES_MAX];
    int start[KINDS + 1];          /* first slot of each kind */
    int32_t row[BASIN__TILES_MAX]; /* of each slot: offset of its numbers at a point */
    float *values, *products;
} basin__tiles;

/** Tiles of an example. */
BASIN_INLINE int basin__winograd_tiles(const basin__winograd *fast) {
    return fast->segments[0] * fast->segments[1];
}

/** Numbers of a tile at a point. */
BASIN_INLINE int basin__winograd_inputs(const basin__winograd *fast) {
    return fast->parts * fast->channels;
}

/** The slots [from, to) of the tiles that take point (i, j). */
BASIN_INLINE void basin__winograd_takers(const basin__winograd *fast, const basin__tiles *tiles,
                                         int i, int j, int *from, int *to) {
    bool is_tall = i == fast->points[0] - 1, is_wide = j == fast->points[1] - 1;
    *from = tiles->start[is_tall ? TALL_AND_WIDE : WIDE];
    *to = tiles->start[is_wide ? TALL : is_tall ? SHORT : KINDS];
}

/** The form with its tiles; NULL without memory. Freed by basin__winograd_free. */
basin__winograd *basin__winograd_new(const basin__plan *plan, const basin__winograd *form);
/** Tiles [first, first + count) of the examples, counted through. */
void basin__winograd_fill(const basin__winograd *fast, int first, int count, basin__tiles *tiles);
/** What all tiles of each kind have in common: [KINDS]. */
void basin__winograd_forms(const basin__winograd *fast, int channels, basin__winograd_tile *forms);
/** The tiles' values at all points. */
void basin__winograd_change_inputs(const basin__plan *plan, const basin__winograd *fast,
                                   const float *in, ptrdiff_t example, const basin__tiles *tiles);

#endif
