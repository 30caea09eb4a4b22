/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pictures: PNG in and out (libpng), and grids of images.
 */
#ifndef BASIN_IO_IMAGE_H
#define BASIN_IO_IMAGE_H

#include "base/context.h"

/** 8-bit pixels, [height, width, channels], channels 1 (grey) or 3 (RGB). */
typedef struct basin__image {
    int height, width, channels;
    unsigned char *pixels; /* owned: basin__image_reset */
} basin__image;

#define BASIN__IMAGE_SIDE_MAX 65535
#define BASIN__IMAGE_PIXELS_MAX (1 << 28)

/**
 * Allocate a black image. BASIN_ERROR_ARGUMENT where a side is below 1 or past the limits above, or
 * `channels` is neither 1 nor 3; `image` is then empty (reset is fine).
 */
basin_status basin__image_init(basin_context *context, basin__image *image, int height, int width,
                               int channels);
void basin__image_reset(basin_context *context, basin__image *image);
/**
 * Read a PNG; palettes, 16 bits and alpha become 8-bit grey or RGB (alpha over black); colour
 * profiles and gamma are not applied. BASIN_ERROR_FORMAT, with the path and the offset: not a PNG,
 * cut short, a broken checksum in any chunk, a size past the limits or past what the file can
 * unpack to. Bytes after the end chunk are ignored. After an error `image` is empty.
 */
basin_status basin__png_read(basin_context *context, const char *path, basin__image *image);
/** Write a PNG atomically. */
basin_status basin__png_write(basin_context *context, const char *path, const basin__image *image);
/** The same into memory (for event files); *data is the caller's to basin__free. */
basin_status basin__png_encode(basin_context *context, const basin__image *image,
                               unsigned char **data, size_t *bytes);
/**
 * Lay out examples x [count, height, width, channels] f32 as a grid with `columns` columns
 * (0: the square root, rounded up) and a white gap of 2 pixels between cells, each cell enlarged
 * `zoom` times (nearest); values are mapped from [low, high] to 0…255, clamped, rounded; non-finite
 * ones show as mid grey (128). After an error `grid` is empty.
 */
basin_status basin__image_grid(basin_context *context, basin__image *grid, const float *x,
                               int64_t count, int height, int width, int channels, float low,
                               float high, int columns, int zoom);

#endif
