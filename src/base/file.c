/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading whole files, packed or not.
 *
 * The limit holds for what comes out, so a small gzip file that unpacks to
 * terabytes costs no more memory than an honest one. A gzip file may be several
 * streams one after the other (RFC 1952, section 2.2); zlib's own memory comes
 * from the context's allocator too.
 */
#include "base/file.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define CHUNK_BYTES 65536

/** A file being read: a window of raw bytes, and the content so far. */
typedef struct reader {
    basin_context *context;
    const char *path;
    int file;
    size_t bytes_max;
    unsigned char *raw; /* [CHUNK_BYTES] */
    size_t raw_bytes;
    uint64_t raw_before; /* bytes of the file before the window */
    unsigned char *data;
    size_t bytes, room; /* room leaves one byte for the closing zero */
    size_t expected;    /* the file's size on disk, where it has one */
} reader;

basin_status basin__fail_errno(basin_context *context, const char *action, const char *path,
                               int error) {
    char text[128];
    if (strerror_r(error, text, sizeof(text)) != 0)
        strcpy(text, "unknown error");
    return basin__fail(context, BASIN_ERROR_IO, "cannot %s '%s': %s", action, path, text);
}

/** Read the next window; 0 bytes at the end of the file. */
static basin_status next_window(reader *r) {
    r->raw_before += r->raw_bytes;
    r->raw_bytes = 0;
    while (r->raw_bytes < CHUNK_BYTES) {
        ssize_t got = read(r->file, r->raw + r->raw_bytes, CHUNK_BYTES - r->raw_bytes);
        if (got == 0)
            break;
        if (got > 0)
            r->raw_bytes += (size_t)got;
        else if (errno != EINTR)
            return basin__fail_errno(r->context, "read", r->path, errno);
    }
    return BASIN_OK;
}

static basin_status too_large(const reader *r) {
    return basin__fail(r->context, BASIN_ERROR_FORMAT,
                       "'%s' is too large: its content exceeds the limit of %zu bytes", r->path,
                       r->bytes_max);
}

/** Room for at least one byte more, up to one past the limit so that passing it is seen. */
static basin_status make_room(reader *r) {
    if (r->bytes < r->room)
        return BASIN_OK;
    if (r->bytes > r->bytes_max)
        return too_large(r);
    size_t most = r->bytes_max < SIZE_MAX - 2 ? r->bytes_max + 1 : SIZE_MAX - 2;
    size_t room = r->room > 0 ? r->room : r->expected / 2 + 1;
    room = room < most / 2 ? room * 2 : most;
    unsigned char *data = basin__grow(r->context, r->data, r->bytes, room + 1);
    if (!data)
        return BASIN_ERROR_MEMORY;
    r->data = data;
    r->room = room;
    return BASIN_OK;
}

static basin_status read_plain(reader *r) {
    while (r->raw_bytes > 0) {
        size_t used = 0;
        while (used < r->raw_bytes) {
            BASIN_TRY(make_room(r));
            size_t left = r->raw_bytes - used, room = r->room - r->bytes;
            size_t part = left < room ? left : room;
            memcpy(r->data + r->bytes, r->raw + used, part);
            r->bytes += part;
            used += part;
        }
        BASIN_TRY(next_window(r));
    }
    return BASIN_OK;
}

static void *zlib_allocate(void *user, unsigned count, unsigned size) {
    return basin__alloc_array(user, count, size);
}

static void zlib_release(void *user, void *memory) { basin__free(user, memory); }

static basin_status gzip_broken(const reader *r, const z_stream *stream, const char *what) {
    return basin__fail(r->context, BASIN_ERROR_FORMAT, "'%s' %s at byte %llu; fetch it again",
                       r->path, what,
                       (unsigned long long)(r->raw_before + r->raw_bytes - stream->avail_in));
}

/** Give zlib the next window where the last is used up. */
static basin_status refill(reader *r, z_stream *stream) {
    if (stream->avail_in > 0)
        return BASIN_OK;
    BASIN_TRY(next_window(r));
    stream->next_in = r->raw;
    stream->avail_in = (uInt)r->raw_bytes;
    return BASIN_OK;
}

static basin_status inflate_all(reader *r, z_stream *stream) {
    for (;;) {
        BASIN_TRY(refill(r, stream));
        if (stream->avail_in == 0)
            return gzip_broken(r, stream, "is a gzip file that is cut short");
        BASIN_TRY(make_room(r));
        size_t room = r->room - r->bytes;
        stream->next_out = r->data + r->bytes;
        stream->avail_out = room < UINT_MAX ? (uInt)room : UINT_MAX;
        int result = inflate(stream, Z_NO_FLUSH);
        r->bytes = (size_t)(stream->next_out - r->data);
        if (result == Z_MEM_ERROR)
            return BASIN_ERROR_MEMORY;
        if (result == Z_STREAM_END) {
            BASIN_TRY(refill(r, stream));
            if (stream->avail_in == 0)
                return BASIN_OK;
            inflateReset(stream);
        } else if (result != Z_OK && result != Z_BUF_ERROR) {
            return gzip_broken(r, stream, "is a broken gzip file");
        }
    }
}

static basin_status read_gzip(reader *r) {
    z_stream stream;
    memset(&stream, 0, sizeof(stream));
    stream.zalloc = zlib_allocate;
    stream.zfree = zlib_release;
    stream.opaque = r->context;
    stream.next_in = r->raw;
    stream.avail_in = (uInt)r->raw_bytes;
    if (inflateInit2(&stream, 15 + 16) != Z_OK) /* largest window, gzip header */
        return BASIN_ERROR_MEMORY;
    basin_status status = inflate_all(r, &stream);
    inflateEnd(&stream);
    return status;
}

static basin_status read_content(reader *r) {
    r->raw = basin__alloc(r->context, CHUNK_BYTES);
    if (!r->raw)
        return BASIN_ERROR_MEMORY;
    basin_status status = next_window(r);
    bool is_gzip = r->raw_bytes >= 2 && r->raw[0] == 0x1f && r->raw[1] == 0x8b;
    if (status == BASIN_OK)
        status = is_gzip ? read_gzip(r) : read_plain(r);
    if (status == BASIN_OK)
        status = make_room(r);
    if (status == BASIN_OK && r->bytes > r->bytes_max)
        status = too_large(r);
    if (status == BASIN_OK)
        r->data[r->bytes] = 0;
    basin__free(r->context, r->raw);
    return status;
}

basin_status basin__file_read(basin_context *context, const char *path, size_t bytes_max,
                              unsigned char **data, size_t *bytes) {
    reader r = {.context = context, .path = path, .bytes_max = bytes_max};
    struct stat info;
    *data = NULL;
    *bytes = 0;
    r.file = open(path, O_RDONLY | O_CLOEXEC);
    if (r.file < 0)
        return basin__fail_errno(context, "open", path, errno);
    basin_status status = BASIN_OK;
    if (fstat(r.file, &info) != 0)
        status = basin__fail_errno(context, "read", path, errno);
    else if (S_ISDIR(info.st_mode))
        status = basin__fail_errno(context, "read", path, EISDIR);
    /* A plain file of known size then fits into the first block. */
    if (status == BASIN_OK && info.st_size > 0 && (uint64_t)info.st_size < SIZE_MAX / 2)
        r.expected = (size_t)info.st_size;
    if (status == BASIN_OK)
        status = read_content(&r);
    close(r.file);
    if (status != BASIN_OK) {
        basin__free(context, r.data);
        return status;
    }
    *data = r.data;
    *bytes = r.bytes;
    return BASIN_OK;
}

bool basin__path_is_file(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

bool basin__path_is_folder(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}
