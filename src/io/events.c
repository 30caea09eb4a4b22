/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TensorBoard event files.
 *
 * A file is a row of records, each an Event message in a frame:
 *
 *     | length n, u64 | masked CRC of those 8 bytes, u32 | n bytes | masked CRC of them, u32 |
 *
 * The CRC is CRC-32C; "masked" turns it and adds a constant, so that a CRC over
 * data that holds CRCs stays useful. A record goes out in one write, and a
 * write that fails half-way is taken back: the file ends with a whole record,
 * or with what a crash left, which opening with `keep_bytes` cuts off.
 * Source: tensorflow/core/lib/io/record_writer.cc; RFC 3720, appendix B.4 (CRC).
 */
#include "io/events.h"
#include "base/file.h"
#include "event.pb-c.h"
#include "io/bytes.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define FRAME_BEFORE 12
#define FRAME_AFTER 4

struct basin__events {
    basin_context *context;
    char *path;
    int file;
    uint64_t length;
};

/* ---- frames ---- */

/** CRC-32C, half a byte at a time: 0x82f63b78 is the polynomial, reflected. */
static uint32_t crc32c(const unsigned char *data, size_t bytes) {
    static const uint32_t table[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
                                       0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
                                       0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                       0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= data[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

static uint32_t masked_crc(const unsigned char *data, size_t bytes) {
    uint32_t crc = crc32c(data, bytes);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static basin_status write_all(basin__events *events, const unsigned char *data, size_t bytes) {
    while (bytes > 0) {
        ssize_t done = write(events->file, data, bytes);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return basin__fail_errno(events->context, "write", events->path, errno);
        data += done;
        bytes -= (size_t)done;
    }
    return BASIN_OK;
}

/** Cut the file to `length` and go to its end. */
static basin_status set_length(basin__events *events, uint64_t length) {
    if (ftruncate(events->file, (off_t)length) != 0 ||
        lseek(events->file, (off_t)length, SEEK_SET) < 0)
        return basin__fail_errno(events->context, "cut", events->path, errno);
    events->length = length;
    return BASIN_OK;
}

static basin_status append(basin__events *events, const Basin__Event *event) {
    size_t bytes = basin__event__get_packed_size(event);
    size_t whole = FRAME_BEFORE + bytes + FRAME_AFTER;
    unsigned char *frame = basin__alloc(events->context, whole);
    if (!frame)
        return BASIN_ERROR_MEMORY;
    basin__put_u64(frame, bytes);
    basin__put_u32(frame + 8, masked_crc(frame, 8));
    basin__event__pack(event, frame + FRAME_BEFORE);
    basin__put_u32(frame + FRAME_BEFORE + bytes, masked_crc(frame + FRAME_BEFORE, bytes));
    basin_status status = write_all(events, frame, whole);
    basin__free(events->context, frame);
    if (status == BASIN_OK)
        events->length += whole;
    else if (ftruncate(events->file, (off_t)events->length) == 0)
        (void)lseek(events->file, (off_t)events->length, SEEK_SET);
    return status;
}

/* ---- opening ---- */

static basin_status keep_refused(const basin__events *events, uint64_t keep_bytes, uint64_t at,
                                 const char *what) {
    return basin__fail(events->context, BASIN_ERROR_FORMAT,
                       "'%s' is not the event file of this run: its first %llu bytes were to be "
                       "kept, but the record at byte %llu %s",
                       events->path, (unsigned long long)keep_bytes, (unsigned long long)at, what);
}

/** See that the first `keep_bytes` are whole records: walk from frame to frame. */
static basin_status check_kept(const basin__events *events, uint64_t keep_bytes) {
    struct stat info;
    uint64_t at = 0;
    if (fstat(events->file, &info) != 0)
        return basin__fail_errno(events->context, "read", events->path, errno);
    if ((uint64_t)info.st_size < keep_bytes)
        return basin__fail(events->context, BASIN_ERROR_FORMAT,
                           "'%s' is not the event file of this run: its first %llu bytes were to "
                           "be kept, but it has %lld",
                           events->path, (unsigned long long)keep_bytes, (long long)info.st_size);
    while (at < keep_bytes) {
        unsigned char head[FRAME_BEFORE];
        uint64_t left = keep_bytes - at;
        if (left < FRAME_BEFORE + FRAME_AFTER ||
            pread(events->file, head, sizeof(head), (off_t)at) != (ssize_t)sizeof(head))
            return keep_refused(events, keep_bytes, at, "goes on past them");
        if (basin__get_u32(head + 8) != masked_crc(head, 8))
            return keep_refused(events, keep_bytes, at, "has a length with a wrong checksum");
        if (basin__get_u64(head) > left - FRAME_BEFORE - FRAME_AFTER)
            return keep_refused(events, keep_bytes, at, "goes on past them");
        at += FRAME_BEFORE + basin__get_u64(head) + FRAME_AFTER;
    }
    return BASIN_OK;
}

static basin_status open_file(basin__events *events, uint64_t keep_bytes, double wall_time_s) {
    Basin__Event event = BASIN__EVENT__INIT;
    char version[] = "brain.Event:2";
    int flags = O_RDWR | O_CLOEXEC | (keep_bytes > 0 ? 0 : O_CREAT);
    events->file = open(events->path, flags, 0666);
    if (events->file < 0)
        return basin__fail_errno(events->context, "open", events->path, errno);
    if (keep_bytes > 0)
        BASIN_TRY(check_kept(events, keep_bytes));
    BASIN_TRY(set_length(events, keep_bytes));
    if (keep_bytes > 0)
        return BASIN_OK;
    event.wall_time = wall_time_s;
    event.what_case = BASIN__EVENT__WHAT_FILE_VERSION;
    event.file_version = version;
    return append(events, &event);
}

basin_status basin__events_open(basin_context *context, const char *path, uint64_t keep_bytes,
                                double wall_time_s, basin__events **out) {
    *out = NULL;
    basin__events *events = basin__alloc(context, sizeof(*events));
    if (!events)
        return BASIN_ERROR_MEMORY;
    events->context = context;
    events->file = -1;
    events->path = basin__strdup(context, path);
    basin_status status =
        events->path ? open_file(events, keep_bytes, wall_time_s) : BASIN_ERROR_MEMORY;
    if (status != BASIN_OK) {
        basin__events_close(events);
        return status;
    }
    *out = events;
    return BASIN_OK;
}

/* ---- events ---- */

static basin_status append_value(basin__events *events, double wall_time_s, int64_t step,
                                 Basin__SummaryValue *value) {
    Basin__Summary summary = BASIN__SUMMARY__INIT;
    Basin__Event event = BASIN__EVENT__INIT;
    summary.n_value = 1;
    summary.value = &value;
    event.wall_time = wall_time_s;
    event.step = step;
    event.what_case = BASIN__EVENT__WHAT_SUMMARY;
    event.summary = &summary;
    return append(events, &event);
}

basin_status basin__events_scalar(basin__events *events, double wall_time_s, int64_t step,
                                  const char *tag, float value) {
    Basin__SummaryValue message = BASIN__SUMMARY_VALUE__INIT;
    char *name = basin__strdup(events->context, tag); /* protobuf-c wants it writable */
    if (!name)
        return BASIN_ERROR_MEMORY;
    message.tag = name;
    message.value_case = BASIN__SUMMARY_VALUE__VALUE_SIMPLE_VALUE;
    message.simple_value = value;
    basin_status status = append_value(events, wall_time_s, step, &message);
    basin__free(events->context, name);
    return status;
}

basin_status basin__events_image(basin__events *events, double wall_time_s, int64_t step,
                                 const char *tag, const basin__image *image) {
    Basin__SummaryValue message = BASIN__SUMMARY_VALUE__INIT;
    Basin__Picture picture = BASIN__PICTURE__INIT;
    BASIN_TRY(basin__png_encode(events->context, image, &picture.encoded_image.data,
                                &picture.encoded_image.len));
    basin_status status = BASIN_ERROR_MEMORY;
    char *name = basin__strdup(events->context, tag);
    if (name) {
        picture.height = image->height;
        picture.width = image->width;
        picture.colorspace = image->channels;
        message.tag = name;
        message.value_case = BASIN__SUMMARY_VALUE__VALUE_IMAGE;
        message.image = &picture;
        status = append_value(events, wall_time_s, step, &message);
    }
    basin__free(events->context, name);
    basin__free(events->context, picture.encoded_image.data);
    return status;
}

basin_status basin__events_flush(basin__events *events, uint64_t *bytes) {
    *bytes = events->length;
    if (fsync(events->file) != 0 && errno != EINVAL) /* EINVAL: nothing to sync there */
        return basin__fail_errno(events->context, "sync", events->path, errno);
    return BASIN_OK;
}

void basin__events_close(basin__events *events) {
    if (!events)
        return;
    if (events->file >= 0)
        close(events->file);
    basin__free(events->context, events->path);
    basin__free(events->context, events);
}
