/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chains of `basin sample` as they walk: --walks draws those of the plane as one picture,
 * --animation shows them, or images, as they come.
 */
#ifndef BASIN_CLI_WATCH_H
#define BASIN_CLI_WATCH_H

#include "cli.h"
#include "energy/energy.h"
#include "io/gif.h"
#include <basin/sample.h>

/** Member `watch` of the options of a verb. */
typedef struct basin__watch_options {
    char *walks, *animation;
    int64_t frames, frames_of;
} basin__watch_options;

/* clang-format off */
#define BASIN__WATCH_ROWS                                                                          \
    {"walks", BASIN__OPTION_TEXT, AT(watch.walks), NULL, 0, 0, NULL, NULL,                         \
     "Draw the chains' walks over the density at their temperature to this PNG, of models of the " \
     "plane"},                                                                                     \
    {"animation", BASIN__OPTION_TEXT, AT(watch.animation), NULL, 0, 0, NULL, NULL,                 \
     "Show the chains as they walk in this GIF: those of the plane over the density, images as a " \
     "grid; grey keeps its levels, colours become the nearest of six of each primary"},            \
    {"frames", BASIN__OPTION_INT, AT(watch.frames), "60", 2, 1000, NULL, "frames",                 \
     "Frames of the animation at most, evenly over the steps, first and last included"},           \
    {"frames-of", BASIN__OPTION_CHOICE, AT(watch.frames_of), "chains", 0, 0, "chains|estimates",   \
     NULL,                                                                                         \
     "What the animation shows: where chains are, or, of samplers over noise levels, what that "   \
     "is thought to be without its noise, for one evaluation more a frame"}
/* clang-format on */

/** Zeroed at the start. */
typedef struct basin__watch {
    const basin__watch_options *asked;
    basin_energy *energy;
    int columns, zoom; /* of the grid */
    /* the plane: places [places, n, 2], owned */
    float *x;
    int64_t places, n;
    basin__gif *gif; /* images */
} basin__watch;

/** Whether what is asked for can be shown of the energy and written. */
basin_status basin__watch_check(const basin__watch_options *asked, const basin_energy *energy);
/** Let a run be watched, where that is asked for; the watch is borrowed. */
void basin__watch_begin(basin__watch *watch, basin_sample_options *sampling);
/**
 * Write what was asked for. The density is drawn at the chains' temperature; where that is 0, at
 * the model's, else at 1.
 */
basin_status basin__watch_write(basin__watch *watch, double temperature);
void basin__watch_reset(basin__watch *watch);

/** Samples as a grid, in the range of the model's data; the caller's to reset. */
basin_status basin__sample_grid(const basin_energy *energy, const float *x, int64_t n, int columns,
                                int zoom, basin__image *grid);

#endif
