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

static void draw_walk(basin__canvas *canvas, const basin__walks *walks, int64_t chain) {
    cairo_t *cairo = canvas->cairo;
    double x = 0, y = 0;
    basin__canvas_pen(canvas, 0, LINE);
    for (int64_t place = 0; place < walks->places; place++) {
        const float *at = walks->x + 2 * (place * walks->n + chain);
        x = basin__canvas_x(canvas, (double)at[0]);
        y = basin__canvas_y(canvas, (double)at[1]);
        if (place == 0) {
            basin__canvas_colour(canvas, (int)(chain % 1000), 1);
            cairo_arc(cairo, x, y, MARK, 0, whole_turn);
            cairo_stroke(cairo);
            cairo_move_to(cairo, x, y);
        } else {
            cairo_line_to(cairo, x, y);
        }
    }
    basin__canvas_colour(canvas, (int)(chain % 1000), 0.8);
    cairo_stroke(cairo);
    basin__canvas_colour(canvas, (int)(chain % 1000), 1);
    cairo_arc(cairo, x, y, MARK, 0, whole_turn);
    cairo_fill(cairo);
}

basin_status basin__walk_picture(basin_context *context, const char *path,
                                 const basin__walks *walks, basin__plane_energy *energy, void *user,
                                 double temperature, double low, double high) {
    double lowest;
    double *energies = basin__alloc_array(context, CELLS * CELLS, sizeof(double));
    basin__canvas canvas;
    basin_status status = energies
                              ? find_energies(context, energy, user, low, high, energies, &lowest)
                              : BASIN_ERROR_MEMORY;
    if (status == BASIN_OK)
        status = basin__canvas_open(context, &canvas, CELL * CELLS, CELL * CELLS);
    if (status == BASIN_OK) {
        canvas.x = canvas.y = (basin__axis){.low = low, .high = high};
        canvas.right = canvas.bottom = CELL * CELLS;
        draw_density(&canvas, energies, lowest, temperature);
        for (int64_t chain = 0; chain < walks->n; chain++)
            draw_walk(&canvas, walks, chain);
        status = basin__canvas_write(&canvas, path);
    }
    basin__free(context, energies);
    return status;
}
