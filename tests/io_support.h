/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of file formats share. Every reader is put through the same
 * three mills: a valid file cut at each byte, a valid file with each byte
 * changed, and a valid file read while the k-th allocation fails, for each k.
 */
#ifndef BASIN_TESTS_IO_SUPPORT_H
#define BASIN_TESTS_IO_SUPPORT_H

#include "support.h"

typedef struct io_fixture {
    test_heap heap;
    basin_context *context;
    char folder[64];
    char path[128]; /* a name inside the folder, with the format's ending */
} io_fixture;

/** Reads `path` and frees what it got. */
typedef basin_status io_reader(basin_context *context, const char *path);

static inline int io_setup(void **state, const char *name) {
    io_fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    f->heap.fail_at = -1;
    f->context = test_context(&f->heap, 1);
    test_folder_make(f->folder);
    snprintf(f->path, sizeof(f->path), "%s/%s", f->folder, name);
    *state = f;
    return 0;
}

static inline int io_teardown(void **state) {
    io_fixture *f = *state;
    basin_context_destroy(f->context);
    assert_int_equal(f->heap.alive, 0);
    test_folder_remove(f->folder);
    free(f);
    return 0;
}

static inline void io_put(const char *path, const void *data, size_t bytes) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

/** The content of a file of at most `room` bytes. */
static inline size_t io_get(const char *path, unsigned char *data, size_t room) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t bytes = fread(data, 1, room, file);
    assert_true(feof(file) || bytes < room);
    assert_int_equal(fclose(file), 0);
    return bytes;
}

static inline void io_assert_message(const io_fixture *f, const char *fragment) {
    const char *message = basin_context_error(f->context);
    if (!strstr(message, fragment))
        fail_msg("'%s' is not in: %s", fragment, message);
}

/** Reading `data` as a file gives `status`; the message has the path and `fragment`. */
static inline void io_assert_refused(const io_fixture *f, io_reader *read, const void *data,
                                     size_t bytes, basin_status status, const char *fragment) {
    io_put(f->path, data, bytes);
    basin_status found = read(f->context, f->path);
    if (found != status)
        fail_msg("%s instead of %s (%s): %s", basin_status_name(found), basin_status_name(status),
                 fragment, basin_context_error(f->context));
    io_assert_message(f, f->path);
    io_assert_message(f, fragment);
    assert_int_equal(f->heap.alive, f->heap.alive_at_start);
}

/** Every proper prefix is refused, with the path in the message. */
static inline void io_check_truncation(const io_fixture *f, io_reader *read, const void *data,
                                       size_t bytes) {
    for (size_t cut = 0; cut < bytes; cut++) {
        io_put(f->path, data, cut);
        basin_status status = read(f->context, f->path);
        if (status != BASIN_ERROR_FORMAT)
            fail_msg("%s for the first %zu of %zu bytes", basin_status_name(status), cut, bytes);
        io_assert_message(f, f->path);
        assert_int_equal(f->heap.alive, f->heap.alive_at_start);
    }
}

/** Change each byte in three ways; returns how many of these files were read without an error. */
static inline size_t io_check_flips(const io_fixture *f, io_reader *read, const void *data,
                                    size_t bytes) {
    static const unsigned char masks[] = {0x01, 0x80, 0xff};
    unsigned char *copy = malloc(bytes);
    size_t accepted = 0;
    assert_non_null(copy);
    memcpy(copy, data, bytes);
    for (size_t i = 0; i < bytes; i++) {
        for (size_t m = 0; m < sizeof(masks); m++) {
            copy[i] ^= masks[m];
            io_put(f->path, copy, bytes);
            accepted += read(f->context, f->path) == BASIN_OK;
            assert_int_equal(f->heap.alive, f->heap.alive_at_start);
            copy[i] ^= masks[m];
        }
    }
    free(copy);
    return accepted;
}

/** Do `work` on `path` while the k-th allocation fails, for every k; nothing may leak. */
static inline void io_check_allocations(const char *path, io_reader *work) {
    for (long k = 0;; k++) {
        test_heap heap = {.fail_at = k};
        basin_context *context = test_context(&heap, 1);
        basin_status status = work(context, path);
        assert_int_equal(heap.alive, heap.alive_at_start);
        basin_context_destroy(context);
        assert_int_equal(status, heap.has_failed ? BASIN_ERROR_MEMORY : BASIN_OK);
        if (!heap.has_failed) {
            assert_true(k > 0);
            return;
        }
    }
}

#endif
