/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wrecks: images that have the data's ink and pen but belong to none of its classes.
 *
 * A kind makes one from examples of an inside set. Sets of wrecks (wrecks.c) and the outside sets
 * that detectors are tried on (eval/outside.c) are made by the same kinds.
 */
#ifndef BASIN_DATA_WRECK_H
#define BASIN_DATA_WRECK_H

#include "base/context.h"
#include <basin/data.h>

/** Kinds are numbered from 0; each has a name and one line of help. */
int basin__wreck_count(void);
const char *basin__wreck_name(int kind);
const char *basin__wreck_help(int kind);
/** Whether sets for training hold this kind; the others are kept for judging. */
bool basin__wreck_is_trained(int kind);
/** Whether wrecks of this kind are examples of another set. */
bool basin__wreck_needs_other(int kind);
/** The kind of that name, or -1. */
int basin__wreck_find(const char *name);

/** What makes wrecks of one inside set. */
typedef struct basin__wrecker basin__wrecker;

/**
 * `inside` and `other` are borrowed. `other` (NULL: none) has the inside set's shape and none of
 * its classes, but for class `other_alike` (-1: no such), which is passed over. `stream` stands for
 * the seed.
 */
basin_status basin__wrecker_create(basin_context *context, const basin_data *inside,
                                   const basin_data *other, int other_alike, uint64_t stream,
                                   basin__wrecker **out);
void basin__wrecker_destroy(basin__wrecker *wrecker);

/** NULL where the kind can be made from this inside set; else why it cannot. */
const char *basin__wreck_obstacle(const basin__wrecker *wrecker, int kind);

/** Floats that basin__wreck_draw works in. */
int64_t basin__wreck_scratch(const basin__wrecker *wrecker);

/**
 * Draw wreck `number` of a kind, in the inside set's range: a pure function of the inside set, the
 * stream, kind and number. Where a kind starts from an example, it is that of the same number (from
 * 0 again where the examples end), unless it cannot be wrecked well enough. Thread-safe, each
 * thread with scratch of its own.
 */
void basin__wreck_draw(const basin__wrecker *wrecker, int kind, int64_t number, float *x,
                       float *scratch);

#define BASIN__PATCHES_MAX 4096

/** A whole number in [0, bound). */
typedef uint32_t (*basin__below)(void *user, uint32_t bound);

/**
 * Cut an image [height, width, channels] into squares of `side` pixels, which divides its sides,
 * and put them in a random order, never the one they have. There are 2 to BASIN__PATCHES_MAX;
 * `order` holds as many.
 */
void basin__patches_shuffle(const basin_data_info *info, int side, basin__below below, void *user,
                            int *order, const float *inside, float *out);

#endif
