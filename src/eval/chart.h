/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Charts as PNG (cairo): histograms of several score sets, lines over steps,
 * captioned rows of image grids.
 */
#ifndef BASIN_EVAL_CHART_H
#define BASIN_EVAL_CHART_H

#include "io/image.h"

typedef struct basin__series {
    const char *label;
    const double *x; /* lines: abscissa; histograms: NULL */
    const double *y; /* lines: ordinate; histograms: the values. Non-finite ones are left out */
    int64_t count;
} basin__series;

/** Overlaid, translucent, density-normalised histograms with a legend and common bins. */
basin_status basin__chart_histogram(basin_context *context, const char *path, const char *title,
                                    const char *x_label, const basin__series *series, int count);
/** Lines with axes, ticks, legend. */
basin_status basin__chart_lines(basin_context *context, const char *path, const char *title,
                                const char *x_label, const char *y_label,
                                const basin__series *series, int count);
/** Grids under each other, each with a caption above it. */
basin_status basin__chart_captioned(basin_context *context, const char *path,
                                    const basin__image *images, const char *const *captions,
                                    int count);

#endif
