/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images of 8-bit pixels, and grids of examples.
 */
#include "io/image.h"
#include <math.h>
#include <string.h>

#define GRID_GAP 2
#define GRID_BACKGROUND 255 /* white: seen between dark digits and between photographs */
#define NOT_FINITE 128

basin_status basin__image_init(basin_context *context, basin__image *image, int height, int width,
                               int channels) {
    memset(image, 0, sizeof(*image));
    if (channels != 1 && channels != 3)
        return basin__fail(context, BASIN_ERROR_ARGUMENT,
                           "an image has 1 channel (grey) or 3 (RGB), not %d", channels);
    if (height < 1 || width < 1 || height > BASIN__IMAGE_SIDE_MAX ||
        width > BASIN__IMAGE_SIDE_MAX || (int64_t)height * width > BASIN__IMAGE_PIXELS_MAX)
        return basin__fail(context, BASIN_ERROR_ARGUMENT,
                           "an image of %d by %d pixels is outside 1 by 1 to %d a side and %d in "
                           "all",
                           width, height, BASIN__IMAGE_SIDE_MAX, BASIN__IMAGE_PIXELS_MAX);
    image->pixels = basin__alloc(context, (size_t)height * (size_t)width * (size_t)channels);
    if (!image->pixels)
        return BASIN_ERROR_MEMORY;
    image->height = height;
    image->width = width;
    image->channels = channels;
    return BASIN_OK;
}

void basin__image_reset(basin_context *context, basin__image *image) {
    basin__free(context, image->pixels);
    memset(image, 0, sizeof(*image));
}

static unsigned char to_byte(float value, float low, float high) {
    if (!isfinite(value))
        return NOT_FINITE;
    double scaled = ((double)value - low) / ((double)high - low) * 255.0;
    return (unsigned char)(fmin(fmax(scaled, 0.0), 255.0) + 0.5);
}

/** Draw one example [height, width, channels] with its upper left corner at (top, left). */
static void draw_cell(basin__image *grid, const float *x, int height, int width, float low,
                      float high, int64_t top, int64_t left, int zoom) {
    int channels = grid->channels;
    for (int64_t y = 0; y < (int64_t)height * zoom; y++) {
        unsigned char *row = grid->pixels + ((top + y) * grid->width + left) * channels;
        const float *from = x + y / zoom * width * channels;
        for (int64_t column = 0; column < (int64_t)width * zoom; column++)
            for (int c = 0; c < channels; c++)
                *row++ = to_byte(from[column / zoom * channels + c], low, high);
    }
}

/** The length of `cells` cells with the gaps between them, or one more than any image's side. */
static int grid_side(int64_t cells, int64_t cell) {
    int64_t too_long = BASIN__IMAGE_SIDE_MAX + 1;
    if (cell > BASIN__IMAGE_SIDE_MAX || cells > BASIN__IMAGE_SIDE_MAX)
        return (int)too_long;
    int64_t side = cells * (cell + GRID_GAP) - GRID_GAP;
    return (int)(side < too_long ? side : too_long);
}

basin_status basin__image_grid(basin_context *context, basin__image *grid, const float *x,
                               int64_t count, int height, int width, int channels, float low,
                               float high, int columns, int zoom) {
    memset(grid, 0, sizeof(*grid));
    if (count < 1 || height < 1 || width < 1 || columns < 0 || zoom < 1)
        return basin__fail(context, BASIN_ERROR_ARGUMENT,
                           "no grid of %lld images of %d by %d pixels in %d columns, enlarged %d "
                           "times",
                           (long long)count, width, height, columns, zoom);
    if (!(low < high) || !isfinite(low) || !isfinite(high))
        return basin__fail(context, BASIN_ERROR_ARGUMENT,
                           "pixel range from %g to %g: the first must be the lower, both finite",
                           (double)low, (double)high);
    int64_t across = columns > 0 ? columns : (int64_t)ceil(sqrt((double)count));
    if (across > count)
        across = count;
    int64_t down = (count - 1) / across + 1;
    int64_t cell_height = (int64_t)height * zoom, cell_width = (int64_t)width * zoom;
    BASIN_TRY(basin__image_init(context, grid, grid_side(down, cell_height),
                                grid_side(across, cell_width), channels));
    memset(grid->pixels, GRID_BACKGROUND,
           (size_t)grid->height * (size_t)grid->width * (size_t)channels);
    for (int64_t i = 0; i < count; i++)
        draw_cell(grid, x + i * height * width * channels, height, width, low, high,
                  i / across * (cell_height + GRID_GAP), i % across * (cell_width + GRID_GAP),
                  zoom);
    return BASIN_OK;
}
