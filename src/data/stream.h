/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file read from front to back, plain or gzip, straight into the caller's memory.
 *
 * A data set of 47 MB is unpacked where it will stay: nothing is kept twice.
 * What a header promises can be held against basin__stream_bytes_max before
 * any memory is asked for.
 */
#ifndef BASIN_DATA_STREAM_H
#define BASIN_DATA_STREAM_H

#include "base/context.h"
#include <zlib.h>

typedef struct basin__stream {
    basin_context *context;
    const char *path; /* borrowed */
    int file;
    bool is_gzip, is_at_end;
    uint64_t offset; /* unpacked bytes so far */
    uint64_t file_bytes;
    unsigned char *raw;
    uint64_t raw_before; /* bytes of the file before the window */
    size_t raw_bytes;
    z_stream zlib;
} basin__stream;

/** Open; close it after success and after failure. A zeroed stream may be closed too. */
basin_status basin__stream_open(basin_context *context, const char *path, basin__stream *stream);
void basin__stream_close(basin__stream *stream);

/** Read up to `bytes`; fewer only at the end. BASIN_ERROR_FORMAT: a broken gzip stream. */
basin_status basin__stream_read(basin__stream *stream, void *to, size_t bytes, size_t *got);
/** Read exactly `bytes`, or fail with "'path' is cut short at byte …: expected …". */
basin_status basin__stream_exact(basin__stream *stream, void *to, size_t bytes);
/** Read over `bytes`. */
basin_status basin__stream_skip(basin__stream *stream, uint64_t bytes);
/** Fail where anything follows. */
basin_status basin__stream_end(basin__stream *stream);

/** More than this cannot come out: the file's size, or what deflate can make of it. */
uint64_t basin__stream_bytes_max(const basin__stream *stream);
/**
 * The size of a stream just opened: the file's, or what a gzip file holds. That is unpacked to its
 * end, since its trailer tells the size of one member modulo 2^32, and of one cut short anything.
 */
basin_status basin__stream_size(basin__stream *stream, uint64_t *bytes);

#endif
