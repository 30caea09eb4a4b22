/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TensorBoard event files: TFRecord frames (masked CRC-32C) of Event protocol buffers.
 */
#ifndef BASIN_IO_EVENTS_H
#define BASIN_IO_EVENTS_H

#include "io/image.h"

typedef struct basin__events basin__events;

/**
 * Open an event file for appending; TensorBoard wants "tfevents" in its name. `keep_bytes`: the
 * file is first cut to that length (a resumed run drops what was written after its checkpoint); 0
 * starts afresh. `wall_time_s`, of this and of every event, is seconds since 1970, given by the
 * caller.
 *
 * @return BASIN_OK;
 *         BASIN_ERROR_FORMAT  the file is shorter than `keep_bytes`, or a record does not end
 * there; the file is unchanged BASIN_ERROR_IO, BASIN_ERROR_MEMORY
 */
basin_status basin__events_open(basin_context *context, const char *path, uint64_t keep_bytes,
                                double wall_time_s, basin__events **out);
/**
 * Append one event, written at once. `tag` is UTF-8, "loss/total" for example; NaN and infinity are
 * kept. After an error the file ends with the event before.
 */
basin_status basin__events_scalar(basin__events *events, double wall_time_s, int64_t step,
                                  const char *tag, float value);
basin_status basin__events_image(basin__events *events, double wall_time_s, int64_t step,
                                 const char *tag, const basin__image *image);
/** Sync to the disk; the length of the file so far, which is what `keep_bytes` takes. */
basin_status basin__events_flush(basin__events *events, uint64_t *bytes);
/** NULL is fine. Does not sync. */
void basin__events_close(basin__events *events);

#endif
