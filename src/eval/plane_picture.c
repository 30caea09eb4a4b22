/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two squares of pixels: what was drawn, and what the model holds likely. Colours go from black
 * over violet and orange to a light yellow, evenly in lightness, so that twice as bright is about
 * twice as dense.
 */
#include "eval/plane_picture.h"
#include "io/image.h"
#include <math.h>
#include <string.h>

#define SIDE 288 /* pixels of a square */
#define GAP 6    /* between them, white */
#define CELL 3   /* pixels of a cell of the histogram, along each axis */

static const double colours[][3] = {{0, 0, 4},     {40, 11, 84},   {101, 21, 110}, {159, 42, 99},
                                    {212, 72, 66}, {245, 125, 21}, {250, 193, 39}, {252, 255, 164}};

/** A share of the brightest as a colour. */
static void paint(double share, unsigned char rgb[3]) {
    const int last = (int)BASIN_COUNT(colours) - 1;
    const double place = fmin(fmax(share, 0), 1) * last;
    const int below = place >= last ? last - 1 : (int)place;
    for (int c = 0; c < 3; c++) {
        const double from = colours[below][c], to = colours[below + 1][c];
        rgb[c] = (unsigned char)lrint(from + (place - below) * (to - from));
    }
}

/** Densities of the cells of a histogram, each over CELL × CELL pixels. */
static void count_points(int64_t n, const float *x, double low, double high, double *density) {
    enum { CELLS = SIDE / CELL };
    const double cell = (high - low) / CELLS, unit = 1 / ((double)n * cell * cell);
    for (int64_t i = 0; i < n; i++) {
        const double column = floor(((double)x[2 * i] - low) / cell);
        const double row = floor((high - (double)x[2 * i + 1]) / cell);
        if (!(column >= 0 && column < CELLS && row >= 0 && row < CELLS))
            continue;
        for (int dy = 0; dy < CELL; dy++)
            for (int dx = 0; dx < CELL; dx++)
                density[((int)row * CELL + dy) * SIDE + (int)column * CELL + dx] += unit;
    }
}

static basin_status find_densities(basin__plane_energy *energy, void *user, double temperature,
                                   double log_z, double low, double high, float *line,
                                   double *density) {
    const double pixel = (high - low) / SIDE;
    for (int row = 0; row < SIDE; row++) {
        double *energies = density + row * SIDE;
        for (int column = 0; column < SIDE; column++) {
            line[2 * column] = (float)(low + (column + 0.5) * pixel);
            line[2 * column + 1] = (float)(high - (row + 0.5) * pixel);
        }
        BASIN_TRY(energy(user, SIDE, line, energies));
        for (int column = 0; column < SIDE; column++)
            energies[column] = exp(-energies[column] / temperature - log_z);
    }
    return BASIN_OK;
}

static void draw(basin__image *image, int left, const double *density, double brightest) {
    for (int row = 0; row < SIDE; row++)
        for (int column = 0; column < SIDE; column++)
            paint(density[row * SIDE + column] / brightest,
                  image->pixels +
                      3 * ((size_t)row * (size_t)image->width + (size_t)(left + column)));
}

basin_status basin__plane_picture(basin_context *context, const char *path, int64_t n,
                                  const float *x, basin__plane_energy *energy, void *user,
                                  double temperature, double log_z, double low, double high) {
    basin__image image = {0};
    float *line = basin__alloc_array(context, 2 * SIDE, sizeof(float));
    double *drawn = basin__alloc_array(context, 2 * SIDE * SIDE, sizeof(double));
    basin_status status = line && drawn ? BASIN_OK : BASIN_ERROR_MEMORY;
    if (status == BASIN_OK)
        status = basin__image_init(context, &image, SIDE, 2 * SIDE + GAP, 3);
    if (status == BASIN_OK) {
        double *model = drawn + SIDE * SIDE, brightest = 0;
        count_points(n, x, low, high, drawn);
        status = find_densities(energy, user, temperature, log_z, low, high, line, model);
        for (int i = 0; i < SIDE * SIDE; i++)
            brightest = fmax(brightest, model[i]);
        memset(image.pixels, 255, (size_t)image.height * (size_t)image.width * 3);
        draw(&image, 0, drawn, brightest);
        draw(&image, SIDE + GAP, model, brightest);
    }
    if (status == BASIN_OK)
        status = basin__png_write(context, path, &image);
    basin__image_reset(context, &image);
    basin__free(context, line);
    basin__free(context, drawn);
    return status;
}
