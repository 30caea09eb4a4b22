/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tests of training share: a clock that stands still, and run folders compared byte for byte.
 */
#ifndef BASIN_TESTS_TRAIN_SUPPORT_H
#define BASIN_TESTS_TRAIN_SUPPORT_H

#include "support.h"
#include "train/loop.h"

static inline double stopped(void) { return 0; }
static const basin__clock stopped_clock = {.monotonic_s = stopped, .wall_s = stopped};

static inline void assert_same_file(basin_context *context, const char *a, const char *b) {
    unsigned char *left, *right;
    size_t left_bytes, right_bytes;
    assert_int_equal(basin__file_read(context, a, SIZE_MAX, &left, &left_bytes), BASIN_OK);
    assert_int_equal(basin__file_read(context, b, SIZE_MAX, &right, &right_bytes), BASIN_OK);
    if (left_bytes != right_bytes || memcmp(left, right, left_bytes) != 0)
        fail_msg("%s and %s differ", a, b);
    basin__free(context, left);
    basin__free(context, right);
}

/* Every file of one tree is in the other with the same bytes. */
static inline void assert_same_tree(basin_context *context, const char *a, const char *b) {
    char **left, **right;
    size_t left_count, right_count;
    assert_int_equal(basin__folder_list(context, a, &left, &left_count), BASIN_OK);
    assert_int_equal(basin__folder_list(context, b, &right, &right_count), BASIN_OK);
    for (size_t i = 0; i < left_count && i < right_count; i++)
        assert_string_equal(left[i], right[i]);
    assert_int_equal(left_count, right_count);
    for (size_t i = 0; i < left_count; i++) {
        char *path_a = basin__format(context, "%s/%s", a, left[i]);
        char *path_b = basin__format(context, "%s/%s", b, right[i]);
        assert_true(path_a != NULL && path_b != NULL);
        if (basin__path_is_folder(path_a))
            assert_same_tree(context, path_a, path_b);
        else
            assert_same_file(context, path_a, path_b);
        basin__free(context, path_a);
        basin__free(context, path_b);
        basin__free(context, left[i]);
        basin__free(context, right[i]);
    }
    basin__free(context, left);
    basin__free(context, right);
}

#endif
