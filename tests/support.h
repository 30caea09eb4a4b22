/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What several test programs share: a context whose allocator fails at a
 * chosen call and counts what is alive, a context of an instruction set, fixed
 * numbers, and a temporary folder.
 *
 * To fail the k-th allocation for every k:
 *
 *     for (long k = 0;; k++) {
 *         test_heap heap = {.fail_at = k};
 *         basin_context *context = test_context(&heap, 1);
 *         basin_status status = work(context);      (frees all it made when it fails)
 *         assert_int_equal(heap.alive, heap.alive_at_start);
 *         basin_context_destroy(context);
 *         if (!heap.has_failed)
 *             break;                                 (k is past the last allocation)
 *         assert_int_equal(status, BASIN_ERROR_MEMORY);
 *     }
 */
#ifndef BASIN_TESTS_SUPPORT_H
#define BASIN_TESTS_SUPPORT_H

#include "base/context.h"
#include "base/file.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct test_heap {
    long fail_at; /* the allocation that fails, counted from 0 after the context's own; -1: none */
    long calls;
    long alive, alive_at_start;
    bool is_armed, has_failed;
} test_heap;

static inline void *test_heap_allocate(void *user, size_t bytes) {
    test_heap *heap = user;
    if (heap->is_armed && heap->calls++ == heap->fail_at) {
        heap->has_failed = true;
        return NULL;
    }
    void *memory = bytes > SIZE_MAX / 2 ? NULL : aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (memory) {
        memset(memory, 0xa5, bytes); /* basin__alloc must zero what it hands out */
        heap->alive++;
    }
    return memory;
}

static inline void test_heap_release(void *user, void *memory) {
    test_heap *heap = user;
    heap->alive--;
    free(memory);
}

/** A context on `heap`, armed once the context itself stands. */
static inline basin_context *test_context(test_heap *heap, int thread_count) {
    basin_context_options options;
    basin_context *context = NULL;
    basin_context_options_init(&options);
    options.thread_count = thread_count;
    options.allocate = test_heap_allocate;
    options.release = test_heap_release;
    options.allocator_user = heap;
    assert_int_equal(basin_context_create(&options, &context), BASIN_OK);
    heap->alive_at_start = heap->alive;
    heap->is_armed = true;
    return context;
}

/** Number `index` of a fixed sequence, uniform in [-1, 1) (splitmix64). */
static inline double test_number(uint64_t index) {
    uint64_t z = (index + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-52 - 1.0;
}

/** A context of an instruction set (NULL: the best); NULL where the processor lacks it. */
static inline basin_context *test_context_on(const char *isa, int threads) {
    basin_context_options options;
    basin_context_options_init(&options);
    options.isa = isa;
    options.thread_count = threads;
    basin_context *context = NULL;
    return basin_context_create(&options, &context) == BASIN_OK ? context : NULL;
}

/** Make a fresh folder; `path` holds 64 bytes. */
static inline void test_folder_make(char path[64]) {
    const char *root = getenv("TMPDIR");
    if (!root || strlen(root) > 40)
        root = "/tmp";
    snprintf(path, 64, "%s/basin-XXXXXX", root);
    assert_non_null(mkdtemp(path));
}

/** Remove a folder made above with all it holds. */
static inline void test_folder_remove(const char *path) {
    test_heap heap = {.fail_at = -1};
    basin_context *context = test_context(&heap, 1);
    assert_int_equal(basin__folder_remove(context, path), BASIN_OK);
    basin_context_destroy(context);
}

#endif
