/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What charts are drawn on: a cairo picture with a plotting area, two axes with
 * ticks at 1-2-5 steps, a title and a legend.
 */
#ifndef BASIN_EVAL_CANVAS_H
#define BASIN_EVAL_CANVAS_H

#include "eval/chart.h"
#include <cairo.h>

typedef struct basin__axis {
    double low, high;
    int64_t digit; /* 1, 2 or 5: a tick is at every whole multiple of digit × 10^exponent */
    int exponent;
} basin__axis;

typedef struct basin__canvas {
    basin_context *context;
    cairo_surface_t *surface;
    cairo_t *cairo;
    int width, height;
    double left, top, right, bottom; /* plotting area, pixels */
    basin__axis x, y;
} basin__canvas;

typedef enum basin__align {
    BASIN__ALIGN_LEFT,
    BASIN__ALIGN_CENTRE,
    BASIN__ALIGN_RIGHT
} basin__align;
typedef enum basin__swatch { BASIN__SWATCH_AREA, BASIN__SWATCH_LINE } basin__swatch;

/** Values that can be drawn; the limit keeps differences of two finite. */
bool basin__canvas_drawable(double value);
/** Cover [low, high] with about `tick_count` ticks; `extend` moves both ends out to ticks. */
basin__axis basin__axis_make(double low, double high, int tick_count, bool extend);

/** A white picture. Every canvas is ended by basin__canvas_close or basin__canvas_write. */
basin_status basin__canvas_open(basin_context *context, basin__canvas *canvas, int width,
                                int height);
void basin__canvas_close(basin__canvas *canvas);
/** The pixels as an RGB image, the caller's to reset; fails if any drawing call did. */
basin_status basin__canvas_image(const basin__canvas *canvas, basin__image *image);
/** Write as PNG and close. */
basin_status basin__canvas_write(basin__canvas *canvas, const char *path);

/** A line of text on the baseline y. Shrunk to `width_max` where that is above 0. */
void basin__canvas_text(basin__canvas *canvas, double x, double y, basin__align align, double size,
                        bool bold, double width_max, const char *text);
double basin__canvas_text_width(basin__canvas *canvas, double size, bool bold, const char *text);
/** Colour of a series, by number; they repeat after eight. */
void basin__canvas_colour(basin__canvas *canvas, int index, double alpha);
/** Line width, and the dash pattern that tells a repeated colour from the first. */
void basin__canvas_pen(basin__canvas *canvas, int index, double width);

/** Title, legend, axes, ticks and their labels; sets the plotting area. x and y axes must be set.
 */
void basin__canvas_frame(basin__canvas *canvas, const char *title, const char *x_label,
                         const char *y_label, const basin__series *series, int count,
                         basin__swatch swatch);
double basin__canvas_x(const basin__canvas *canvas, double value);
double basin__canvas_y(const basin__canvas *canvas, double value);

#endif
