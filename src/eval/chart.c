/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The charts: histograms of scores, lines over steps, captioned image grids.
 *
 * Score sets are compared on common bins. Their range is the union of each
 * set's 0.5 to 99.5 percentile range, so that a few wild energies do not press
 * everything else into one bin; what lies beyond is counted in the outermost
 * bins, and the chart says so. Each set is normalised to unit area, so sets of
 * different sizes compare.
 */
#include "eval/chart.h"
#include "base/number.h"
#include "eval/canvas.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CHART_WIDTH 900
#define CHART_HEIGHT 560
#define BIN_MIN 10
#define BIN_MAX 80
#define TAIL 0.005
#define NOTE_SIZE 11.0
#define CAPTION_SIZE 14.0
#define CAPTION_ROOM 34
#define PICTURE_MARGIN 16
/* cairo's own limit. */
#define PICTURE_SIDE_MAX 32767

static basin_status check_series(basin_context *context, const char *path,
                                 const basin__series *series, int count, bool needs_x) {
    if (count < 0)
        return basin__fail(context, BASIN_ERROR_ARGUMENT, "chart %s: %d series", path, count);
    for (int s = 0; s < count; s++)
        if (!series[s].label || series[s].count < 0 ||
            (series[s].count > 0 && (!series[s].y || (needs_x && !series[s].x))))
            return basin__fail(context, BASIN_ERROR_ARGUMENT,
                               "chart %s: series %d lacks a label or values", path, s);
    return BASIN_OK;
}

static void note_empty(basin__canvas *canvas) {
    cairo_set_source_rgb(canvas->cairo, 0.36, 0.36, 0.38);
    basin__canvas_text(canvas, 0.5 * (canvas->left + canvas->right),
                       0.5 * (canvas->top + canvas->bottom), BASIN__ALIGN_CENTRE, CAPTION_SIZE,
                       false, 0.0, "no finite values");
}

/* ---- histogram ----------------------------------------------------------------------------- */

typedef struct bins {
    double low, width;
    int count;
    bool has_overflow;
    double *density; /* [series, count] */
} bins;

/* Finite values of a series, sorted into `values`; their number. */
static int64_t sorted_values(const basin__series *series, double *values) {
    int64_t count = 0;
    for (int64_t i = 0; i < series->count; i++)
        if (basin__canvas_drawable(series->y[i]))
            values[count++] = series->y[i];
    qsort(values, (size_t)count, sizeof *values, basin__compare_doubles);
    return count;
}

/* Range and number of bins; false where there is nothing to show. */
static bool choose_bins(bins *b, const basin__series *series, int count, double *values) {
    double low = HUGE_VAL, high = -HUGE_VAL;
    int64_t fewest = INT64_MAX;
    for (int s = 0; s < count; s++) {
        int64_t n = sorted_values(&series[s], values);
        if (n == 0)
            continue;
        low = fmin(low, values[(int64_t)floor(TAIL * (double)(n - 1))]);
        high = fmax(high, values[(int64_t)ceil((1.0 - TAIL) * (double)(n - 1))]);
        fewest = n < fewest ? n : fewest;
    }
    if (low > high)
        return false;
    if (high - low <= 1e-9 * fmax(fabs(low), fabs(high)) || high - low < 1e-290) {
        double pad = fmax(0.05 * fabs(low), 1e-280);
        pad = fabs(low) > 0.0 ? pad : 0.5;
        low -= pad;
        high += pad;
    }
    double wanted = ceil(sqrt((double)fewest));
    b->count = (int)fmin(fmax(wanted, BIN_MIN), BIN_MAX);
    b->low = low;
    b->width = (high - low) / b->count;
    return true;
}

static void fill_bins(bins *b, const basin__series *series, double *density) {
    int64_t total = 0;
    for (int64_t i = 0; i < series->count; i++) {
        double value = series->y[i];
        if (!basin__canvas_drawable(value))
            continue;
        double at = (value - b->low) / b->width;
        /* The uppermost edge belongs to the last bin; rounding may put it a hair beyond. */
        b->has_overflow |= at < 0.0 || at > b->count + 1e-9;
        density[(int)fmin(fmax(at, 0.0), b->count - 1.0)] += 1.0;
        total++;
    }
    for (int k = 0; k < b->count && total > 0; k++)
        density[k] /= (double)total * b->width;
}

static void outline(basin__canvas *canvas, const bins *b, const double *density) {
    cairo_t *cairo = canvas->cairo;
    cairo_move_to(cairo, basin__canvas_x(canvas, b->low), canvas->bottom);
    for (int k = 0; k < b->count; k++) {
        double y = basin__canvas_y(canvas, density[k]);
        cairo_line_to(cairo, basin__canvas_x(canvas, b->low + k * b->width), y);
        cairo_line_to(cairo, basin__canvas_x(canvas, b->low + (k + 1) * b->width), y);
    }
    cairo_line_to(cairo, basin__canvas_x(canvas, b->low + b->count * b->width), canvas->bottom);
}

static void draw_bins(basin__canvas *canvas, const bins *b, int count) {
    for (int s = 0; s < count; s++) {
        outline(canvas, b, b->density + (size_t)s * BIN_MAX);
        basin__canvas_colour(canvas, s, 0.30);
        cairo_fill(canvas->cairo);
    }
    for (int s = 0; s < count; s++) {
        outline(canvas, b, b->density + (size_t)s * BIN_MAX);
        basin__canvas_pen(canvas, s, 1.6);
        basin__canvas_colour(canvas, s, 0.95);
        cairo_stroke(canvas->cairo);
    }
    if (b->has_overflow) {
        cairo_set_source_rgb(canvas->cairo, 0.36, 0.36, 0.38);
        basin__canvas_text(canvas, canvas->right, canvas->bottom + 37.0, BASIN__ALIGN_RIGHT,
                           NOTE_SIZE, false, 0.0, "the outermost bins count all values beyond");
    }
}

basin_status basin__chart_histogram(basin_context *context, const char *path, const char *title,
                                    const char *x_label, const basin__series *series, int count) {
    BASIN_TRY(check_series(context, path, series, count, false));
    size_t longest = 0;
    for (int s = 0; s < count; s++)
        longest = (size_t)series[s].count > longest ? (size_t)series[s].count : longest;
    basin__canvas canvas;
    BASIN_TRY(basin__canvas_open(context, &canvas, CHART_WIDTH, CHART_HEIGHT));
    bins b = {0};
    double *values = basin__alloc_array(context, longest, sizeof *values);
    b.density = basin__alloc_array(context, (size_t)count * BIN_MAX, sizeof *b.density);
    basin_status status = BASIN_ERROR_MEMORY;
    if (values && b.density) {
        bool any = choose_bins(&b, series, count, values);
        double peak = any ? 0.0 : 1.0;
        for (int s = 0; s < count && any; s++) {
            double *density = b.density + (size_t)s * BIN_MAX;
            fill_bins(&b, &series[s], density);
            for (int k = 0; k < b.count; k++)
                peak = fmax(peak, density[k]);
        }
        canvas.x = basin__axis_make(b.low, any ? b.low + b.count * b.width : 1.0, 8, false);
        canvas.y = basin__axis_make(0.0, peak, 5, true);
        basin__canvas_frame(&canvas, title, x_label, "density", series, count, BASIN__SWATCH_AREA);
        if (any)
            draw_bins(&canvas, &b, count);
        else
            note_empty(&canvas);
        status = BASIN_OK;
    }
    basin__free(context, b.density);
    basin__free(context, values);
    if (status == BASIN_OK)
        return basin__canvas_write(&canvas, path);
    basin__canvas_close(&canvas);
    return status;
}

/* ---- lines --------------------------------------------------------------------------------- */

static bool is_point(const basin__series *series, int64_t i) {
    return basin__canvas_drawable(series->x[i]) && basin__canvas_drawable(series->y[i]);
}

/* A line breaks where a point is missing; a point without neighbours is a dot. */
static void draw_line(basin__canvas *canvas, const basin__series *series, int index) {
    cairo_t *cairo = canvas->cairo;
    basin__canvas_pen(canvas, index, 2.0);
    basin__canvas_colour(canvas, index, 0.95);
    for (int64_t i = 0; i < series->count; i++) {
        if (!is_point(series, i))
            continue;
        double x = basin__canvas_x(canvas, series->x[i]);
        double y = basin__canvas_y(canvas, series->y[i]);
        bool starts = i == 0 || !is_point(series, i - 1);
        bool ends = i + 1 == series->count || !is_point(series, i + 1);
        if (!starts)
            cairo_line_to(cairo, x, y);
        if (starts && !ends)
            cairo_move_to(cairo, x, y);
        if (ends && !starts)
            cairo_stroke(cairo);
        if (starts && ends) {
            cairo_arc(cairo, x, y, 3.0, 0.0, 6.28318530717958648);
            cairo_fill(cairo);
        }
    }
}

basin_status basin__chart_lines(basin_context *context, const char *path, const char *title,
                                const char *x_label, const char *y_label,
                                const basin__series *series, int count) {
    BASIN_TRY(check_series(context, path, series, count, true));
    double x_low = HUGE_VAL, x_high = -HUGE_VAL, y_low = HUGE_VAL, y_high = -HUGE_VAL;
    for (int s = 0; s < count; s++) {
        for (int64_t i = 0; i < series[s].count; i++) {
            if (!is_point(&series[s], i))
                continue;
            x_low = fmin(x_low, series[s].x[i]);
            x_high = fmax(x_high, series[s].x[i]);
            y_low = fmin(y_low, series[s].y[i]);
            y_high = fmax(y_high, series[s].y[i]);
        }
    }
    bool any = x_low <= x_high;
    basin__canvas canvas;
    BASIN_TRY(basin__canvas_open(context, &canvas, CHART_WIDTH, CHART_HEIGHT));
    canvas.x = basin__axis_make(any ? x_low : 0.0, any ? x_high : 1.0, 8, false);
    canvas.y = basin__axis_make(any ? y_low : 0.0, any ? y_high : 1.0, 6, true);
    basin__canvas_frame(&canvas, title, x_label, y_label, series, count, BASIN__SWATCH_LINE);
    for (int s = 0; s < count; s++)
        draw_line(&canvas, &series[s], s);
    if (!any)
        note_empty(&canvas);
    return basin__canvas_write(&canvas, path);
}

/* ---- captioned images ---------------------------------------------------------------------- */

/* Size of the whole picture, from a canvas of one pixel that measures the captions. */
static basin_status picture_size(basin_context *context, const char *path,
                                 const basin__image *images, const char *const *captions, int count,
                                 int *width, int *height) {
    basin__canvas ruler;
    BASIN_TRY(basin__canvas_open(context, &ruler, 1, 1));
    double widest = 0.0;
    int64_t tall = PICTURE_MARGIN;
    for (int i = 0; i < count; i++) {
        double caption = basin__canvas_text_width(&ruler, CAPTION_SIZE, false, captions[i]);
        widest = fmax(widest, fmax(ceil(caption), images[i].width));
        tall += CAPTION_ROOM + (int64_t)images[i].height;
    }
    tall += PICTURE_MARGIN;
    widest += 2.0 * PICTURE_MARGIN;
    basin__canvas_close(&ruler);
    if (count < 1 || widest > PICTURE_SIDE_MAX || tall > PICTURE_SIDE_MAX)
        return basin__fail(context, BASIN_ERROR_ARGUMENT,
                           "picture %s: %d grids make %.0f x %lld pixels, expected 1 to %d a side; "
                           "show fewer examples or zoom less",
                           path, count, widest, (long long)tall, PICTURE_SIDE_MAX);
    *width = (int)widest;
    *height = (int)tall;
    return BASIN_OK;
}

/* Copy an image, grey or RGB, into an RGB picture that holds it. */
static void paste(basin__image *picture, const basin__image *image, int left, int top) {
    for (int row = 0; row < image->height; row++) {
        const unsigned char *from =
            image->pixels + (size_t)row * (size_t)image->width * (size_t)image->channels;
        unsigned char *to =
            picture->pixels + 3 * ((size_t)(top + row) * (size_t)picture->width + (size_t)left);
        for (int column = 0; column < image->width; column++, from += image->channels, to += 3) {
            to[0] = from[0];
            to[1] = from[image->channels == 3 ? 1 : 0];
            to[2] = from[image->channels == 3 ? 2 : 0];
        }
    }
}

basin_status basin__chart_captioned(basin_context *context, const char *path,
                                    const basin__image *images, const char *const *captions,
                                    int count) {
    int width = 0, height = 0;
    BASIN_TRY(picture_size(context, path, images, captions, count, &width, &height));
    basin__canvas canvas;
    BASIN_TRY(basin__canvas_open(context, &canvas, width, height));
    cairo_set_source_rgb(canvas.cairo, 0.13, 0.13, 0.15);
    int top = PICTURE_MARGIN;
    for (int i = 0; i < count; i++) {
        basin__canvas_text(&canvas, PICTURE_MARGIN, top + CAPTION_ROOM - 12.0, BASIN__ALIGN_LEFT,
                           CAPTION_SIZE, false, 0.0, captions[i]);
        top += CAPTION_ROOM + images[i].height;
    }
    basin__image picture = {0};
    basin_status status = basin__canvas_image(&canvas, &picture);
    basin__canvas_close(&canvas);
    top = PICTURE_MARGIN;
    for (int i = 0; i < count && status == BASIN_OK; i++) {
        paste(&picture, &images[i], PICTURE_MARGIN, top + CAPTION_ROOM);
        top += CAPTION_ROOM + images[i].height;
    }
    if (status == BASIN_OK)
        status = basin__png_write(context, path, &picture);
    basin__image_reset(context, &picture);
    return status;
}
