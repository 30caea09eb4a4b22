/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file read from front to back, plain or gzip.
 *
 * Raw bytes pass through a window of 64 KB; zlib unpacks from it into the
 * caller's memory, its own memory coming from the context. A gzip file may be
 * several members one after the other (RFC 1952, section 2.2).
 */
#include "data/stream.h"
#include "base/file.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WINDOW_BYTES 65536
/* Deflate's best: a match of 258 bytes in 2 bits. */
#define DEFLATE_RATIO_MAX 1032

static basin_status next_window(basin__stream *s) {
    s->raw_before += s->raw_bytes;
    s->raw_bytes = 0;
    while (s->raw_bytes < WINDOW_BYTES) {
        ssize_t got = read(s->file, s->raw + s->raw_bytes, WINDOW_BYTES - s->raw_bytes);
        if (got == 0)
            break;
        if (got > 0)
            s->raw_bytes += (size_t)got;
        else if (errno != EINTR)
            return basin__fail_errno(s->context, "read", s->path, errno);
    }
    s->zlib.next_in = s->raw;
    s->zlib.avail_in = (uInt)s->raw_bytes;
    return BASIN_OK;
}

static basin_status refill(basin__stream *s) {
    return s->zlib.avail_in > 0 ? BASIN_OK : next_window(s);
}

static void *zlib_allocate(void *user, unsigned count, unsigned size) {
    return basin__alloc_array(user, count, size);
}

static void zlib_release(void *user, void *memory) { basin__free(user, memory); }

static basin_status start(basin__stream *s) {
    struct stat info;
    if (fstat(s->file, &info) != 0)
        return basin__fail_errno(s->context, "read", s->path, errno);
    if (S_ISDIR(info.st_mode))
        return basin__fail_errno(s->context, "read", s->path, EISDIR);
    s->file_bytes = S_ISREG(info.st_mode) ? (uint64_t)info.st_size : UINT64_MAX;
    s->raw = basin__alloc(s->context, WINDOW_BYTES);
    if (!s->raw)
        return BASIN_ERROR_MEMORY;
    BASIN_TRY(next_window(s));
    if (s->raw_bytes < 2 || s->raw[0] != 0x1f || s->raw[1] != 0x8b)
        return BASIN_OK;
    s->zlib.zalloc = zlib_allocate;
    s->zlib.zfree = zlib_release;
    s->zlib.opaque = s->context;
    if (inflateInit2(&s->zlib, 15 + 16) != Z_OK) /* largest window, gzip header */
        return BASIN_ERROR_MEMORY;
    s->is_gzip = true;
    return BASIN_OK;
}

basin_status basin__stream_open(basin_context *context, const char *path, basin__stream *stream) {
    memset(stream, 0, sizeof(*stream));
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return basin__fail_errno(context, "open", path, errno);
    stream->context = context;
    stream->path = path;
    stream->file = file;
    return start(stream);
}

void basin__stream_close(basin__stream *stream) {
    if (!stream->context)
        return;
    if (stream->is_gzip)
        inflateEnd(&stream->zlib);
    basin__free(stream->context, stream->raw);
    close(stream->file);
    memset(stream, 0, sizeof(*stream));
}

static basin_status read_plain(basin__stream *s, unsigned char *to, size_t bytes, size_t *got) {
    while (*got < bytes) {
        BASIN_TRY(refill(s));
        if (s->zlib.avail_in == 0) {
            s->is_at_end = true;
            return BASIN_OK;
        }
        size_t left = bytes - *got, part = s->zlib.avail_in < left ? s->zlib.avail_in : left;
        memcpy(to + *got, s->zlib.next_in, part);
        s->zlib.next_in += part;
        s->zlib.avail_in -= (uInt)part;
        *got += part;
    }
    return BASIN_OK;
}

static basin_status gzip_broken(const basin__stream *s, const char *what) {
    uint64_t at = s->raw_before + s->raw_bytes - s->zlib.avail_in;
    return basin__fail(s->context, BASIN_ERROR_FORMAT,
                       "'%s' %s at byte %llu (byte %llu of its content); fetch it again", s->path,
                       what, (unsigned long long)at,
                       (unsigned long long)(s->offset + s->zlib.total_out));
}

/** One member has ended: another one follows, or the file ends here. */
static basin_status next_member(basin__stream *s) {
    BASIN_TRY(refill(s));
    if (s->zlib.avail_in == 0)
        s->is_at_end = true;
    else
        inflateReset(&s->zlib);
    return BASIN_OK;
}

static basin_status read_gzip(basin__stream *s, unsigned char *to, size_t bytes, size_t *got) {
    while (*got < bytes && !s->is_at_end) {
        BASIN_TRY(refill(s));
        if (s->zlib.avail_in == 0)
            return gzip_broken(s, "is a gzip file that is cut short");
        size_t room = bytes - *got;
        s->zlib.next_out = to + *got;
        s->zlib.avail_out = room < UINT_MAX ? (uInt)room : UINT_MAX;
        s->zlib.total_out = 0;
        int result = inflate(&s->zlib, Z_NO_FLUSH);
        *got = (size_t)(s->zlib.next_out - to);
        if (result == Z_MEM_ERROR)
            return BASIN_ERROR_MEMORY;
        if (result == Z_STREAM_END)
            BASIN_TRY(next_member(s));
        else if (result != Z_OK && result != Z_BUF_ERROR)
            return gzip_broken(s, "is a broken gzip file");
    }
    return BASIN_OK;
}

basin_status basin__stream_read(basin__stream *stream, void *to, size_t bytes, size_t *got) {
    *got = 0;
    BASIN_TRY(stream->is_gzip ? read_gzip(stream, to, bytes, got)
                              : read_plain(stream, to, bytes, got));
    stream->offset += *got;
    return BASIN_OK;
}

basin_status basin__stream_exact(basin__stream *stream, void *to, size_t bytes) {
    size_t got;
    uint64_t from = stream->offset;
    BASIN_TRY(basin__stream_read(stream, to, bytes, &got));
    if (got < bytes)
        return basin__fail(stream->context, BASIN_ERROR_FORMAT,
                           "'%s' is cut short: expected at least %llu bytes of content, found %llu",
                           stream->path, (unsigned long long)(from + bytes),
                           (unsigned long long)(from + got));
    return BASIN_OK;
}

basin_status basin__stream_skip(basin__stream *stream, uint64_t bytes) {
    unsigned char drain[4096];
    while (bytes > 0) {
        size_t part = bytes < sizeof(drain) ? (size_t)bytes : sizeof(drain);
        BASIN_TRY(basin__stream_exact(stream, drain, part));
        bytes -= part;
    }
    return BASIN_OK;
}

basin_status basin__stream_end(basin__stream *stream) {
    unsigned char extra;
    size_t got;
    uint64_t wanted = stream->offset;
    BASIN_TRY(basin__stream_read(stream, &extra, 1, &got));
    if (got == 0)
        return BASIN_OK;
    return basin__fail(stream->context, BASIN_ERROR_FORMAT,
                       "'%s' is too long: expected %llu bytes of content, found more at byte %llu",
                       stream->path, (unsigned long long)wanted, (unsigned long long)wanted);
}

uint64_t basin__stream_bytes_max(const basin__stream *stream) {
    if (!stream->is_gzip)
        return stream->file_bytes;
    return stream->file_bytes < UINT64_MAX / DEFLATE_RATIO_MAX
               ? stream->file_bytes * DEFLATE_RATIO_MAX
               : UINT64_MAX;
}

basin_status basin__stream_size(basin__stream *stream, uint64_t *bytes) {
    unsigned char drain[4096];
    size_t got = stream->is_gzip ? sizeof(drain) : 0;
    while (got == sizeof(drain))
        BASIN_TRY(basin__stream_read(stream, drain, sizeof(drain), &got));
    *bytes = stream->is_gzip ? stream->offset : stream->file_bytes;
    return BASIN_OK;
}
