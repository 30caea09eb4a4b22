/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The density is a picture of grey cells under coloured lines, so that lines of any colour stand
 * out, whatever is below them.
 */
#include "eval/walk_picture.h"
#include "eval/canvas.h"
#include <math.h>

#define CELLS 300 /* along an axis */
#define CELL 2    /* pixels of one */
#define DARK 0.55 /* how much white the densest cell loses */
#define LINE 1.3
#define OPAQUE 0.8
#define TRAIL 10 /* frames that a line is seen for */
#define MARK 3.5 /* radius of the marks at the ends */

static const double whole_turn = 6.283185307179586;

/** Energies of the cells, rows downwards, and the lowest. */
static basin_status find_energies(basin_context *context, basin__plane_energy *energy, void *user,
                                  double low, double high, double *energies, double *lowest) {
    float line[2 * CELLS];
    const double cell = (high - low) / CELLS;
    *lowest = HUGE_VAL;
    for (int row = 0; row < CELLS; row++) {
        double *here = energies + row * CELLS;
        for (int column = 0; column < CELLS; column++) {
            line[2 * column] = (float)(low + (column + 0.5) * cell);
            line[2 * column + 1] = (float)(high - (row + 0.5) * cell);
        }
        BASIN_TRY(energy(user, CELLS, line, here));
        for (int column = 0; column < CELLS; column++) {
            if (!isfinite(here[column]))
                return basin__fail(
                    context, BASIN_ERROR_DIVERGED,
                    "the energy at (%g, %g) is not finite: no landscape can be drawn",
                    (double)line[2 * column], (double)line[2 * column + 1]);
            *lowest = fmin(*lowest, here[column]);
        }
    }
    return BASIN_OK;
}

static void draw_density(basin__canvas *canvas, const double *energies, double lowest,
                         double temperature) {
    for (int row = 0; row < CELLS; row++)
        for (int column = 0; column < CELLS; column++) {
            const double share = exp((lowest - energies[row * CELLS + column]) / temperature);
            const double white = 1 - DARK * share;
            cairo_set_source_rgb(canvas->cairo, white, white, white);
            cairo_rectangle(canvas->cairo, CELL * column, CELL * row, CELL, CELL);
            cairo_fill(canvas->cairo);
        }
}

/* ---- walks ---- */

static void place_of(const basin__canvas *canvas, const basin__walks *walks, int64_t chain,
                     int64_t place, double *x, double *y) {
    const float *at = walks->x + 2 * (place * walks->n + chain);
    *x = basin__canvas_x(canvas, (double)at[0]);
    *y = basin__canvas_y(canvas, (double)at[1]);
}

/** A ring where the chain is first, or a dot where it is last. */
static void draw_mark(basin__canvas *canvas, const basin__walks *walks, int64_t chain,
                      int64_t place, bool is_filled) {
    double x, y;
    place_of(canvas, walks, chain, place, &x, &y);
    basin__canvas_pen(canvas, 0, LINE);
    basin__canvas_colour(canvas, (int)(chain % 1000), 1);
    cairo_arc(canvas->cairo, x, y, MARK, 0, whole_turn);
    if (is_filled)
        cairo_fill(canvas->cairo);
    else
        cairo_stroke(canvas->cairo);
}

static void draw_line(basin__canvas *canvas, const basin__walks *walks, int64_t chain,
                      int64_t first, int64_t last, double alpha) {
    double x, y;
    basin__canvas_pen(canvas, 0, LINE);
    basin__canvas_colour(canvas, (int)(chain % 1000), alpha);
    place_of(canvas, walks, chain, first, &x, &y);
    cairo_move_to(canvas->cairo, x, y);
    for (int64_t place = first + 1; place <= last; place++) {
        place_of(canvas, walks, chain, place, &x, &y);
        cairo_line_to(canvas->cairo, x, y);
    }
    cairo_stroke(canvas->cairo);
}

/** A canvas with the density on the square [low, high]², whose coordinates are the energy's. */
static basin_status open_landscape(basin_context *context, basin__plane_energy *energy, void *user,
                                   double temperature, double low, double high,
                                   basin__canvas *canvas) {
    double lowest;
    double *energies = basin__alloc_array(context, CELLS * CELLS, sizeof(double));
    basin_status status = energies
                              ? find_energies(context, energy, user, low, high, energies, &lowest)
                              : BASIN_ERROR_MEMORY;
    if (status == BASIN_OK)
        status = basin__canvas_open(context, canvas, CELL * CELLS, CELL * CELLS);
    if (status == BASIN_OK) {
        canvas->x = canvas->y = (basin__axis){.low = low, .high = high};
        canvas->right = canvas->bottom = CELL * CELLS;
        draw_density(canvas, energies, lowest, temperature);
    }
    basin__free(context, energies);
    return status;
}

basin_status basin__walk_picture(basin_context *context, const char *path,
                                 const basin__walks *walks, basin__plane_energy *energy, void *user,
                                 double temperature, double low, double high) {
    basin__canvas canvas;
    BASIN_TRY(open_landscape(context, energy, user, temperature, low, high, &canvas));
    for (int64_t chain = 0; chain < walks->n; chain++) {
        draw_mark(&canvas, walks, chain, 0, false);
        draw_line(&canvas, walks, chain, 0, walks->places - 1, OPAQUE);
        draw_mark(&canvas, walks, chain, walks->places - 1, true);
    }
    return basin__canvas_write(&canvas, path);
}

/* ---- the animation ---- */

/** The place of the k-th frame, the last being the last of all. */
static int64_t frame_place(const basin__walks *walks, int64_t frames, int64_t k) {
    return frames > 1 ? (walks->places - 1) * k / (frames - 1) : 0;
}

/** Chains at the k-th frame: what they walked since each of the frames before is fainter. */
static void draw_frame(basin__canvas *canvas, const basin__walks *walks, int64_t frames,
                       int64_t k) {
    for (int64_t chain = 0; chain < walks->n; chain++) {
        draw_mark(canvas, walks, chain, 0, false);
        for (int64_t from = k > TRAIL ? k - TRAIL : 0; from < k; from++)
            draw_line(canvas, walks, chain, frame_place(walks, frames, from),
                      frame_place(walks, frames, from + 1),
                      OPAQUE * (double)(from + 1 + TRAIL - k) / TRAIL);
        draw_mark(canvas, walks, chain, frame_place(walks, frames, k), true);
    }
}

static basin_status add_frames(const basin__canvas *landscape, const basin__walks *walks,
                               int64_t frames, basin__gif *gif) {
    basin_context *context = landscape->context;
    basin__canvas page;
    basin_status status = BASIN_OK;
    BASIN_TRY(basin__canvas_open(context, &page, landscape->width, landscape->height));
    page.x = page.y = landscape->x;
    page.right = page.bottom = landscape->right;
    for (int64_t k = 0; k < frames && status == BASIN_OK; k++) {
        basin__image image = {0};
        cairo_set_source_surface(page.cairo, landscape->surface, 0, 0);
        cairo_paint(page.cairo);
        draw_frame(&page, walks, frames, k);
        status = basin__canvas_image(&page, &image);
        if (status == BASIN_OK)
            status = basin__gif_add(gif, &image);
        basin__image_reset(context, &image);
    }
    basin__canvas_close(&page);
    return status;
}

basin_status basin__walk_animation(basin_context *context, const char *path,
                                   const basin__walks *walks, int64_t frames,
                                   basin__plane_energy *energy, void *user, double temperature,
                                   double low, double high) {
    basin__canvas landscape;
    basin__gif *gif = NULL;
    BASIN_TRY(open_landscape(context, energy, user, temperature, low, high, &landscape));
    basin_status status = basin__gif_open(context, landscape.height, landscape.width, 3, &gif);
    if (status == BASIN_OK)
        status =
            add_frames(&landscape, walks, frames < walks->places ? frames : walks->places, gif);
    if (status == BASIN_OK)
        status = basin__gif_write(gif, path);
    basin__gif_close(gif);
    basin__canvas_close(&landscape);
    return status;
}
