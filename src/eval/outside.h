/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outside sets made from an inside set: what a detector should find strange.
 */
#ifndef BASIN_EVAL_OUTSIDE_H
#define BASIN_EVAL_OUTSIDE_H

#include "base/context.h"
#include <basin/data.h>

/** Kinds are numbered from 0; each has a name and one line of help. */
int basin__outside_count(void);
const char *basin__outside_name(int kind);
const char *basin__outside_help(int kind);
/** The kind of that name, or -1. */
int basin__outside_find(const char *name);

/**
 * Make one outside example for each inside one, at most `count_max` (0: all). Example i is a pure
 * function of the inside example i and the seed. BASIN_ERROR_UNSUPPORTED where a kind makes no
 * sense for the set (points have no patches).
 */
basin_status basin__outside_make(basin_context *context, int kind, const basin_data *inside,
                                 int64_t count_max, uint64_t seed, basin_data **out);

#endif
