/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event files, byte for byte: the messages are written out here by hand, and
 * the checksum is a second one, bit by bit.
 */
#include "io/events.h"
#include "io_support.h"
#include <signal.h>
#include <sys/resource.h>

#define FILE_ROOM 8192

static int setup(void **state) { return io_setup(state, "run.tfevents.1"); }

static uint32_t plain_crc(const void *data, size_t bytes) {
    const unsigned char *at = data;
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

static uint32_t masked(const void *data, size_t bytes) {
    uint32_t crc = plain_crc(data, bytes);
    return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

/** Check the frame at `at`; its message is `wanted`. Returns where the next frame begins. */
static size_t assert_record(const unsigned char *file, size_t bytes, size_t at, const void *wanted,
                            size_t wanted_bytes) {
    uint64_t length;
    uint32_t crc;
    assert_true(bytes - at >= 16);
    memcpy(&length, file + at, 8);
    assert_int_equal(length, wanted_bytes);
    memcpy(&crc, file + at + 8, 4);
    assert_int_equal(crc, masked(file + at, 8));
    assert_true(bytes - at - 16 >= length);
    assert_memory_equal(file + at + 12, wanted, wanted_bytes);
    memcpy(&crc, file + at + 12 + length, 4);
    assert_int_equal(crc, masked(file + at + 12, wanted_bytes));
    return at + 16 + wanted_bytes;
}

/* Field numbers and wire types: 09 wall_time f64, 10 step, 1a file_version, 2a summary; in the
 * summary 0a value; in the value 0a tag, 15 simple_value f32, 22 image. 2.0 is 40 00 …. */
static const unsigned char version_event[] = "\x09\0\0\0\0\0\0\0\x40\x1a\x0d"
                                             "brain.Event:2";
static const unsigned char scalar_event[] = "\x09\0\0\0\0\0\0\0\x40\x10\x05\x2a\x0a\x0a\x08\x0a\x01"
                                            "a\x15\0\0\x80\x3f";
static const unsigned char zero_event[] = "\x09\0\0\0\0\0\0\0\x40\x2a\x0a\x0a\x08\x0a\x01"
                                          "b\x15\0\0\0\0";

static basin__events *open_good(const io_fixture *f, uint64_t keep_bytes) {
    basin__events *events;
    if (basin__events_open(f->context, f->path, keep_bytes, 2.0, &events) != BASIN_OK)
        fail_msg("%s", basin_context_error(f->context));
    return events;
}

static void test_the_checksum_is_crc32c(void **state) {
    (void)state;
    assert_int_equal(plain_crc("123456789", 9), 0xe3069283u); /* the published check value */
}

static void test_scalars(void **state) {
    const io_fixture *f = *state;
    unsigned char raw[FILE_ROOM];
    uint64_t length;
    io_put(f->path, "left from before", 16);
    basin__events *events = open_good(f, 0);
    assert_int_equal(basin__events_scalar(events, 2.0, 5, "a", 1.0f), BASIN_OK);
    assert_int_equal(basin__events_scalar(events, 2.0, 0, "b", 0.0f), BASIN_OK); /* zero is there */
    assert_int_equal(basin__events_flush(events, &length), BASIN_OK);
    size_t bytes = io_get(f->path, raw, sizeof(raw));
    assert_int_equal(bytes, length);
    size_t at = assert_record(raw, bytes, 0, version_event, sizeof(version_event) - 1);
    at = assert_record(raw, bytes, at, scalar_event, sizeof(scalar_event) - 1);
    at = assert_record(raw, bytes, at, zero_event, sizeof(zero_event) - 1);
    assert_int_equal(at, bytes);
    basin__events_close(events);
}

static void test_image(void **state) {
    const io_fixture *f = *state;
    unsigned char raw[FILE_ROOM], wanted[512], *png;
    basin__image image;
    size_t png_bytes, used = 0;
    assert_int_equal(basin__image_init(f->context, &image, 2, 3, 1), BASIN_OK);
    assert_int_equal(basin__png_encode(f->context, &image, &png, &png_bytes), BASIN_OK);
    assert_in_range(png_bytes, 40, 110); /* so that each length below is one byte */
    basin__events *events = open_good(f, 0);
    assert_int_equal(basin__events_image(events, 2.0, 5, "a", &image), BASIN_OK);
    basin__events_close(events);
    size_t bytes = io_get(f->path, raw, sizeof(raw));
    const unsigned char picture = (unsigned char)(8 + png_bytes),
                        value = (unsigned char)(picture + 5);
    const unsigned char start[] = {0x09,
                                   0,
                                   0,
                                   0,
                                   0,
                                   0,
                                   0,
                                   0,
                                   0x40,
                                   0x10,
                                   0x05,
                                   0x2a,
                                   (unsigned char)(value + 2),
                                   0x0a,
                                   value,
                                   0x0a,
                                   0x01,
                                   'a',
                                   0x22,
                                   picture,
                                   0x08,
                                   2,
                                   0x10,
                                   3,
                                   0x18,
                                   1,
                                   0x22,
                                   (unsigned char)png_bytes};
    memcpy(wanted, start, sizeof(start));
    used = sizeof(start);
    memcpy(wanted + used, png, png_bytes);
    used += png_bytes;
    size_t at = assert_record(raw, bytes, 0, version_event, sizeof(version_event) - 1);
    assert_int_equal(assert_record(raw, bytes, at, wanted, used), bytes);
    basin__free(f->context, png);
    basin__image_reset(f->context, &image);
}

static void test_resume_cuts_back(void **state) {
    const io_fixture *f = *state;
    unsigned char raw[FILE_ROOM];
    uint64_t length, more;
    basin__events *events = open_good(f, 0);
    assert_int_equal(basin__events_flush(events, &length), BASIN_OK);
    assert_int_equal(basin__events_scalar(events, 2.0, 9, "lost", 9.0f), BASIN_OK);
    basin__events_close(events);
    events = open_good(f, length);
    assert_int_equal(basin__events_flush(events, &more), BASIN_OK);
    assert_int_equal(more, length);
    assert_int_equal(basin__events_scalar(events, 2.0, 5, "a", 1.0f), BASIN_OK);
    basin__events_close(events);
    size_t bytes = io_get(f->path, raw, sizeof(raw));
    size_t at = assert_record(raw, bytes, 0, version_event, sizeof(version_event) - 1);
    assert_int_equal(assert_record(raw, bytes, at, scalar_event, sizeof(scalar_event) - 1), bytes);
}

/** Only the ends of records can be kept; refusing leaves the file as it was. */
static void test_every_other_length_is_refused(void **state) {
    const io_fixture *f = *state;
    unsigned char raw[FILE_ROOM], after[FILE_ROOM];
    basin__events *events = open_good(f, 0);
    assert_int_equal(basin__events_scalar(events, 2.0, 5, "a", 1.0f), BASIN_OK);
    basin__events_close(events);
    size_t bytes = io_get(f->path, raw, sizeof(raw));
    for (size_t keep = 1; keep <= bytes + 3; keep++) {
        if (keep == bytes || keep == 16 + sizeof(version_event) - 1)
            continue;
        assert_int_equal(basin__events_open(f->context, f->path, keep, 2.0, &events),
                         BASIN_ERROR_FORMAT);
        assert_null(events);
        io_assert_message(f, f->path);
        assert_int_equal(io_get(f->path, after, sizeof(after)), bytes);
    }
    for (size_t i = 0; i < 12; i++) { /* the first frame's length and its checksum */
        raw[i] ^= 0x40;
        io_put(f->path, raw, bytes);
        assert_int_equal(basin__events_open(f->context, f->path, bytes, 2.0, &events),
                         BASIN_ERROR_FORMAT);
        io_assert_message(f, "checksum");
        raw[i] ^= 0x40;
    }
}

static void test_paths_that_fail(void **state) {
    const io_fixture *f = *state;
    basin__events *events;
    assert_int_equal(basin__events_open(f->context, f->folder, 0, 2.0, &events), BASIN_ERROR_IO);
    io_assert_message(f, f->folder);
    assert_int_equal(basin__events_open(f->context, f->path, 40, 2.0, &events), BASIN_ERROR_IO);
    io_assert_message(f, f->path);
    assert_false(basin__path_is_file(f->path)); /* nothing to resume is not a fresh start */
    basin__events_close(NULL);
}

/** A disk that is full half-way through a record: the file still ends with a whole one. */
static void test_full_disk(void **state) {
    const io_fixture *f = *state;
    unsigned char raw[FILE_ROOM];
    struct rlimit before, small;
    basin__events *events = open_good(f, 0);
    const size_t first = 16 + sizeof(version_event) - 1;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = first + 20;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    basin_status status = basin__events_scalar(events, 2.0, 7, "lost", 7.0f);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(status, BASIN_ERROR_IO);
    io_assert_message(f, f->path);
    assert_int_equal(io_get(f->path, raw, sizeof(raw)), first);
    assert_int_equal(basin__events_scalar(events, 2.0, 5, "a", 1.0f), BASIN_OK);
    basin__events_close(events);
    size_t bytes = io_get(f->path, raw, sizeof(raw));
    size_t at = assert_record(raw, bytes, 0, version_event, sizeof(version_event) - 1);
    assert_int_equal(assert_record(raw, bytes, at, scalar_event, sizeof(scalar_event) - 1), bytes);
}

static basin_status write_events(basin_context *context, const char *path) {
    basin__events *events;
    basin__image image = {0};
    BASIN_TRY(basin__events_open(context, path, 0, 2.0, &events));
    basin_status status = basin__events_scalar(events, 2.0, 5, "a", 1.0f);
    if (status == BASIN_OK)
        status = basin__image_init(context, &image, 2, 3, 3);
    if (status == BASIN_OK)
        status = basin__events_image(events, 2.0, 5, "b", &image);
    basin__image_reset(context, &image);
    basin__events_close(events);
    return status;
}

static void test_failing_allocations(void **state) {
    const io_fixture *f = *state;
    io_check_allocations(f->path, write_events);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, io_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_checksum_is_crc32c),
        TEST(test_scalars),
        TEST(test_image),
        TEST(test_resume_cuts_back),
        TEST(test_every_other_length_is_refused),
        TEST(test_paths_that_fail),
        TEST(test_full_disk),
        TEST(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
