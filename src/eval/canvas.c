/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame of a chart: title, legend, axes. Quiet on purpose: light grid lines,
 * no box, text in dark grey, so that the data are what is seen first.
 *
 * Ticks are at whole multiples of 1, 2 or 5 times a power of ten (Heckbert,
 * "Nice numbers for graph labels", Graphics Gems 1990), kept as integers so that
 * labels are exact. Colours are those of Okabe & Ito (2008), which also people
 * who see fewer colours tell apart.
 */
#include "eval/canvas.h"
#include "base/number.h"
#include <math.h>
#include <string.h>

#define TITLE_SIZE 17.0
#define LABEL_SIZE 13.0
#define TICK_SIZE 12.0
#define MARGIN 24.0
#define LEGEND_ROW 22.0
#define SWATCH_WIDTH 22.0
#define SWATCH_GAP 7.0
#define LEGEND_GAP 22.0
#define COLOUR_COUNT 8
#define DRAWABLE_MAX 1e300

enum { INK_TEXT, INK_SOFT, INK_GRID, INK_AXIS };

static void ink(basin__canvas *canvas, int which) {
    static const double grey[] = {
        [INK_TEXT] = 0.13, [INK_SOFT] = 0.36, [INK_GRID] = 0.91, [INK_AXIS] = 0.55};
    double g = grey[which];
    cairo_set_source_rgb(canvas->cairo, g, g, g + 0.02);
}

void basin__canvas_colour(basin__canvas *canvas, int index, double alpha) {
    static const unsigned char colours[COLOUR_COUNT][3] = {
        {0, 114, 178}, {213, 94, 0},   {0, 158, 115},  {204, 121, 167},
        {230, 159, 0}, {86, 180, 233}, {106, 76, 147}, {90, 90, 90},
    };
    const unsigned char *c = colours[index % COLOUR_COUNT];
    cairo_set_source_rgba(canvas->cairo, c[0] / 255.0, c[1] / 255.0, c[2] / 255.0, alpha);
}

void basin__canvas_pen(basin__canvas *canvas, int index, double width) {
    static const double dashes[] = {7.0, 4.0};
    cairo_set_line_width(canvas->cairo, width);
    cairo_set_line_join(canvas->cairo, CAIRO_LINE_JOIN_ROUND);
    cairo_set_line_cap(canvas->cairo, CAIRO_LINE_CAP_ROUND);
    cairo_set_dash(canvas->cairo, dashes, index < COLOUR_COUNT ? 0 : 2, 0.0);
}

/* ---- the picture --------------------------------------------------------------------------- */

static basin_status check_drawing(const basin__canvas *canvas) {
    cairo_status_t status = cairo_surface_status(canvas->surface);
    if (status == CAIRO_STATUS_SUCCESS)
        status = cairo_status(canvas->cairo);
    if (status == CAIRO_STATUS_SUCCESS)
        return BASIN_OK;
    return basin__fail(canvas->context,
                       status == CAIRO_STATUS_NO_MEMORY ? BASIN_ERROR_MEMORY : BASIN_ERROR_ARGUMENT,
                       "chart of %d x %d pixels: cairo: %s", canvas->width, canvas->height,
                       cairo_status_to_string(status));
}

basin_status basin__canvas_open(basin_context *context, basin__canvas *canvas, int width,
                                int height) {
    memset(canvas, 0, sizeof *canvas);
    canvas->context = context;
    canvas->width = width;
    canvas->height = height;
    canvas->surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
    canvas->cairo = cairo_create(canvas->surface);
    cairo_set_source_rgb(canvas->cairo, 1.0, 1.0, 1.0);
    cairo_paint(canvas->cairo);
    basin_status status = check_drawing(canvas);
    if (status != BASIN_OK)
        basin__canvas_close(canvas);
    return status;
}

void basin__canvas_close(basin__canvas *canvas) {
    cairo_destroy(canvas->cairo);
    cairo_surface_destroy(canvas->surface);
    memset(canvas, 0, sizeof *canvas);
}

basin_status basin__canvas_image(const basin__canvas *canvas, basin__image *image) {
    BASIN_TRY(check_drawing(canvas));
    BASIN_TRY(basin__image_init(canvas->context, image, canvas->height, canvas->width, 3));
    cairo_surface_flush(canvas->surface);
    const unsigned char *source = cairo_image_surface_get_data(canvas->surface);
    int stride = cairo_image_surface_get_stride(canvas->surface);
    unsigned char *pixel = image->pixels;
    for (int row = 0; row < canvas->height; row++) {
        for (int column = 0; column < canvas->width; column++, pixel += 3) {
            uint32_t word; /* 0x00RRGGBB in the machine's byte order */
            memcpy(&word, source + (size_t)row * (size_t)stride + 4 * (size_t)column, sizeof word);
            pixel[0] = (unsigned char)(word >> 16);
            pixel[1] = (unsigned char)(word >> 8);
            pixel[2] = (unsigned char)word;
        }
    }
    return BASIN_OK;
}

basin_status basin__canvas_write(basin__canvas *canvas, const char *path) {
    basin_context *context = canvas->context;
    basin__image image = {0};
    basin_status status = basin__canvas_image(canvas, &image);
    basin__canvas_close(canvas);
    if (status == BASIN_OK)
        status = basin__png_write(context, path, &image);
    basin__image_reset(context, &image);
    return status;
}

/* ---- text ---------------------------------------------------------------------------------- */

static void set_font(basin__canvas *canvas, double size, bool bold) {
    cairo_select_font_face(canvas->cairo, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(canvas->cairo, size);
}

double basin__canvas_text_width(basin__canvas *canvas, double size, bool bold, const char *text) {
    cairo_text_extents_t extents = {0};
    set_font(canvas, size, bold);
    cairo_text_extents(canvas->cairo, text, &extents);
    return extents.x_advance;
}

void basin__canvas_text(basin__canvas *canvas, double x, double y, basin__align align, double size,
                        bool bold, double width_max, const char *text) {
    double width = basin__canvas_text_width(canvas, size, bold, text);
    if (width_max > 0.0 && width > width_max) {
        set_font(canvas, size * width_max / width, bold);
        width = width_max;
    }
    double shift = align == BASIN__ALIGN_LEFT ? 0.0 : align == BASIN__ALIGN_CENTRE ? 0.5 : 1.0;
    cairo_move_to(canvas->cairo, x - shift * width, y);
    cairo_show_text(canvas->cairo, text);
    cairo_new_path(canvas->cairo);
}

/* ---- axes ---------------------------------------------------------------------------------- */

bool basin__canvas_drawable(double value) { return fabs(value) <= DRAWABLE_MAX; }

static double tick_value(const basin__axis *axis, int64_t index) {
    double whole = (double)(index * axis->digit);
    return axis->exponent >= 0 ? whole * pow(10.0, axis->exponent)
                               : whole / pow(10.0, -axis->exponent);
}

basin__axis basin__axis_make(double low, double high, int tick_count, bool extend) {
    /* A span too small for its place would ask for more digits than a label should have. */
    double size = fmax(fabs(low), fabs(high));
    if (high - low <= 1e-9 * size || high - low < 1e-290) {
        double pad = size > 1e-280 ? 0.05 * size : 1.0;
        low -= pad;
        high += pad;
    }
    double raw = (high - low) / tick_count;
    basin__axis axis = {low, high, 1, (int)floor(log10(raw))};
    double mantissa = raw / pow(10.0, axis.exponent);
    axis.digit = mantissa <= 1.0 ? 1 : mantissa <= 2.0 ? 2 : mantissa <= 5.0 ? 5 : 1;
    axis.exponent += mantissa > 5.0;
    if (extend) {
        double step = tick_value(&axis, 1);
        axis.low = tick_value(&axis, (int64_t)floor(low / step + 1e-9));
        axis.high = tick_value(&axis, (int64_t)ceil(high / step - 1e-9));
    }
    return axis;
}

/* Label of a tick: plain up to 9999, then with k or M; powers of ten beyond those. */
static void tick_text(const basin__axis *axis, int64_t index, char text[48]) {
    double value = tick_value(axis, index), size = fmax(fabs(axis->low), fabs(axis->high));
    int shift = size >= 1e7 ? 6 : size >= 1e4 ? 3 : 0;
    int decimals = shift > axis->exponent ? shift - axis->exponent : 0;
    const char *suffix = shift == 6 ? "M" : shift == 3 ? "k" : "";
    char body[40];
    if (index == 0) {
        basin__snprintf(body, sizeof body, "0");
    } else if (size >= 1e10 || size < 1e-3) {
        int digits = (int)floor(log10(fabs(value)) + 1e-9) - axis->exponent;
        basin__snprintf(body, sizeof body, "%.*e", digits < 0 ? 0 : digits, fabs(value));
    } else {
        basin__snprintf(body, sizeof body, "%.*f%s", decimals, fabs(value) / pow(10.0, shift),
                        suffix);
    }
    /* U+2212, the minus sign proper. */
    basin__snprintf(text, 48, "%s%s", value < 0.0 ? "\xe2\x88\x92" : "", body);
}

static int64_t tick_first(const basin__axis *axis) {
    return (int64_t)ceil(axis->low / tick_value(axis, 1) - 1e-9);
}

static int64_t tick_last(const basin__axis *axis) {
    return (int64_t)floor(axis->high / tick_value(axis, 1) + 1e-9);
}

double basin__canvas_x(const basin__canvas *canvas, double value) {
    double share = (value - canvas->x.low) / (canvas->x.high - canvas->x.low);
    return canvas->left + share * (canvas->right - canvas->left);
}

double basin__canvas_y(const basin__canvas *canvas, double value) {
    double share = (value - canvas->y.low) / (canvas->y.high - canvas->y.low);
    return canvas->bottom - share * (canvas->bottom - canvas->top);
}

static double tick_label_width(basin__canvas *canvas, const basin__axis *axis) {
    double width = 0.0;
    char text[48];
    for (int64_t i = tick_first(axis); i <= tick_last(axis); i++) {
        tick_text(axis, i, text);
        width = fmax(width, basin__canvas_text_width(canvas, TICK_SIZE, false, text));
    }
    return width;
}

/* A hair line on whole pixels, so that it is sharp. */
static void hair_line(basin__canvas *canvas, double x0, double y0, double x1, double y1) {
    cairo_set_dash(canvas->cairo, NULL, 0, 0.0);
    cairo_set_line_width(canvas->cairo, 1.0);
    cairo_move_to(canvas->cairo, floor(x0) + 0.5, floor(y0) + 0.5);
    cairo_line_to(canvas->cairo, floor(x1) + 0.5, floor(y1) + 0.5);
    cairo_stroke(canvas->cairo);
}

static void draw_ticks(basin__canvas *canvas) {
    char text[48];
    for (int64_t i = tick_first(&canvas->y); i <= tick_last(&canvas->y); i++) {
        double y = basin__canvas_y(canvas, tick_value(&canvas->y, i));
        ink(canvas, INK_GRID);
        hair_line(canvas, canvas->left, y, canvas->right, y);
        ink(canvas, INK_SOFT);
        tick_text(&canvas->y, i, text);
        basin__canvas_text(canvas, canvas->left - 10.0, y + 0.36 * TICK_SIZE, BASIN__ALIGN_RIGHT,
                           TICK_SIZE, false, 0.0, text);
    }
    for (int64_t i = tick_first(&canvas->x); i <= tick_last(&canvas->x); i++) {
        double x = basin__canvas_x(canvas, tick_value(&canvas->x, i));
        ink(canvas, INK_AXIS);
        hair_line(canvas, x, canvas->bottom, x, canvas->bottom + 5.0);
        ink(canvas, INK_SOFT);
        tick_text(&canvas->x, i, text);
        basin__canvas_text(canvas, x, canvas->bottom + 20.0, BASIN__ALIGN_CENTRE, TICK_SIZE, false,
                           0.0, text);
    }
    ink(canvas, INK_AXIS);
    hair_line(canvas, canvas->left, canvas->bottom, canvas->right, canvas->bottom);
}

/* ---- legend and frame ---------------------------------------------------------------------- */

static void draw_swatch(basin__canvas *canvas, double x, double y, int index,
                        basin__swatch swatch) {
    basin__canvas_pen(canvas, index, swatch == BASIN__SWATCH_AREA ? 1.5 : 2.5);
    if (swatch == BASIN__SWATCH_AREA) {
        cairo_rectangle(canvas->cairo, x + 0.5, y - 10.5, SWATCH_WIDTH - 1.0, 12.0);
        basin__canvas_colour(canvas, index, 0.35);
        cairo_fill_preserve(canvas->cairo);
    } else {
        cairo_move_to(canvas->cairo, x + 1.5, y - 4.5);
        cairo_line_to(canvas->cairo, x + SWATCH_WIDTH - 1.5, y - 4.5);
    }
    basin__canvas_colour(canvas, index, 1.0);
    cairo_stroke(canvas->cairo);
}

/* Lay entries out in rows from (left, y) to right, drawing them if asked; the number of rows. */
static int legend(basin__canvas *canvas, double y, const basin__series *series, int count,
                  basin__swatch swatch, bool draw) {
    double x = canvas->left, room = canvas->right - canvas->left - SWATCH_WIDTH - SWATCH_GAP;
    int rows = count > 0;
    for (int i = 0; i < count; i++) {
        double text = basin__canvas_text_width(canvas, LABEL_SIZE, false, series[i].label);
        double width = SWATCH_WIDTH + SWATCH_GAP + fmin(text, room);
        if (x > canvas->left && x + width > canvas->right) {
            x = canvas->left;
            y += LEGEND_ROW;
            rows++;
        }
        if (draw) {
            draw_swatch(canvas, x, y, i, swatch);
            ink(canvas, INK_TEXT);
            basin__canvas_text(canvas, x + SWATCH_WIDTH + SWATCH_GAP, y, BASIN__ALIGN_LEFT,
                               LABEL_SIZE, false, room, series[i].label);
        }
        x += width + LEGEND_GAP;
    }
    return rows;
}

void basin__canvas_frame(basin__canvas *canvas, const char *title, const char *x_label,
                         const char *y_label, const basin__series *series, int count,
                         basin__swatch swatch) {
    double legend_top = MARGIN + TITLE_SIZE + 22.0;
    canvas->left = MARGIN + LABEL_SIZE + 20.0 + tick_label_width(canvas, &canvas->y);
    canvas->right = canvas->width - MARGIN - 8.0;
    int rows = legend(canvas, 0.0, series, count, swatch, false);
    canvas->top = legend_top + rows * LEGEND_ROW - 2.0;
    canvas->bottom = canvas->height - MARGIN - LABEL_SIZE - 30.0;
    double middle = 0.5 * (canvas->left + canvas->right);

    ink(canvas, INK_TEXT);
    basin__canvas_text(canvas, canvas->left, MARGIN + TITLE_SIZE - 3.0, BASIN__ALIGN_LEFT,
                       TITLE_SIZE, true, canvas->right - canvas->left, title);
    legend(canvas, legend_top, series, count, swatch, true);
    draw_ticks(canvas);
    ink(canvas, INK_TEXT);
    basin__canvas_text(canvas, middle, canvas->height - MARGIN, BASIN__ALIGN_CENTRE, LABEL_SIZE,
                       false, 0.6 * (canvas->right - canvas->left), x_label);
    cairo_save(canvas->cairo);
    cairo_translate(canvas->cairo, MARGIN + LABEL_SIZE - 4.0, 0.5 * (canvas->top + canvas->bottom));
    cairo_rotate(canvas->cairo, -1.57079632679489662);
    basin__canvas_text(canvas, 0.0, 0.0, BASIN__ALIGN_CENTRE, LABEL_SIZE, false,
                       canvas->bottom - canvas->top, y_label);
    cairo_restore(canvas->cairo);
}
