/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bar of a long run: how far, how fast, how long still. It is drawn on
 * stderr where that is a terminal, and nothing is drawn elsewhere.
 */
#ifndef BASIN_CLI_PROGRESS_H
#define BASIN_CLI_PROGRESS_H

#include <basin/train.h>

typedef struct basin__bar {
    bool is_on;
    double drawn_s; /* when it was last drawn */
} basin__bar;

/** A bar that draws if `is_wanted` and stderr is a terminal. */
basin__bar basin__bar_make(bool is_wanted);
/** Draw, at most ten times a second. */
void basin__bar_show(basin__bar *bar, const basin_train_progress *progress);
/** Clear the bar's line. */
void basin__bar_end(const basin__bar *bar);
/** Seconds of a clock that only goes forward. */
double basin__seconds(void);

#endif
