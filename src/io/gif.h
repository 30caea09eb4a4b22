/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Animations: GIF out (giflib).
 */
#ifndef BASIN_IO_GIF_H
#define BASIN_IO_GIF_H

#include "io/image.h"

typedef struct basin__gif basin__gif;

/**
 * Begin an animation of frames of one size, kept in memory, that plays for ever. Grey frames keep
 * their 256 levels; colours become the nearest of a fixed palette: six levels of red, green and
 * blue, 0, 51, … 255, and between those of grey seven more.
 * A frame is shown for 0.08 s, the last for 2 s.
 */
basin_status basin__gif_open(basin_context *context, int height, int width, int channels,
                             basin__gif **out);
/** Append a copy of a frame. BASIN_ERROR_ARGUMENT: its size is not the animation's. */
basin_status basin__gif_add(basin__gif *gif, const basin__image *frame);
/** End it and write it atomically; at least one frame was added, and none can be any more. */
basin_status basin__gif_write(basin__gif *gif, const char *path);
/** NULL is fine. */
void basin__gif_close(basin__gif *gif);

#endif
