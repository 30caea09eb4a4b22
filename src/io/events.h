/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TensorBoard event files: TFRecord frames (masked CRC-32C) of Event protocol buffers.
 */
#ifndef BASIN_IO_EVENTS_H
#define BASIN_IO_EVENTS_H

#include "io/image.h"

typedef struct basin__events basin__events;

/**
 * Open an event file for appending. `keep_bytes`: the file is first cut to that length (a resumed run
 * drops what was written after its checkpoint); 0 starts afresh. `wall_time_s` of every event is
 * given by the caller.
 */
basin_status basin__events_open(basin_context *context, const char *path, uint64_t keep_bytes,
                                double wall_time_s, basin__events **out);
basin_status basin__events_scalar(basin__events *events, double wall_time_s, int64_t step,
                                  const char *tag, float value);
basin_status basin__events_image(basin__events *events, double wall_time_s, int64_t step,
                                 const char *tag, const basin__image *image);
/** Flush; the length of the file so far. */
basin_status basin__events_flush(basin__events *events, uint64_t *bytes);
void basin__events_close(basin__events *events);

#endif
