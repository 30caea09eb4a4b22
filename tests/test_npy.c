/* SPDX-License-Identifier: Apache-2.0 */
/*
 * .npy arrays: every element type and version, headers that lie, values that
 * float32 cannot hold, round trips.
 */
#include "io/npy.h"
#include "io_support.h"
#include <math.h>

typedef struct npy_file {
    unsigned char data[512];
    size_t bytes;
} npy_file;

/** A file of version `major` with the given header text and data. */
static npy_file make(int major, const char *header, const void *data, size_t bytes) {
    npy_file p = {.bytes = 0};
    size_t length = strlen(header), width = major == 1 ? 2 : 4;
    memcpy(p.data, "\x93NUMPY", 6);
    p.data[6] = (unsigned char)major;
    p.data[8] = (unsigned char)length;
    p.data[9] = (unsigned char)(length >> 8);
    memcpy(p.data + 8 + width, header, length);
    if (bytes > 0)
        memcpy(p.data + 8 + width + length, data, bytes);
    p.bytes = 8 + width + length + bytes;
    return p;
}

static int setup(void **state) { return io_setup(state, "array.npy"); }

static basin_status read_array(basin_context *context, const char *path) {
    basin__npy array;
    basin_status status = basin__npy_read(context, path, &array);
    assert_true((status == BASIN_OK) == (array.values || array.bytes));
    basin__npy_reset(context, &array);
    return status;
}

static basin__npy read_good(const io_fixture *f, const npy_file *p) {
    basin__npy array;
    io_put(f->path, p->data, p->bytes);
    if (basin__npy_read(f->context, f->path, &array) != BASIN_OK)
        fail_msg("%s", basin_context_error(f->context));
    return array;
}

static void test_element_types(void **state) {
    const io_fixture *f = *state;
    static const float f4[] = {1.5f, -2.0f, 16777216.0f};
    static const double f8[] = {1.5, -2.0, 16777216.0};
    static const int32_t i4[] = {3, -2, 16777216};
    static const int64_t i8[] = {3, -2, 16777216};
    const struct {
        const char *header;
        const void *data;
        size_t bytes;
        float first;
    } cases[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }   \n", f4, 12, 1.5f},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }", f8, 24, 1.5f},
        {"{\"shape\":(3,),\"descr\":\"<i4\",\"fortran_order\":False}", i4, 12, 3.0f},
        {"{'fortran_order': False, 'descr': '<i8', 'shape': (3,)}", i8, 24, 3.0f},
    };
    for (int major = 1; major <= 3; major++) {
        for (size_t i = 0; i < BASIN_COUNT(cases); i++) {
            npy_file p = make(major, cases[i].header, cases[i].data, cases[i].bytes);
            basin__npy array = read_good(f, &p);
            assert_int_equal(array.rank, 1);
            assert_int_equal(array.dim[0], 3);
            assert_false(array.is_byte);
            assert_null(array.bytes);
            const float wanted[] = {cases[i].first, -2.0f, 16777216.0f};
            assert_memory_equal(array.values, wanted, sizeof(wanted));
            basin__npy_reset(f->context, &array);
        }
    }
}

static void test_bytes_and_shapes(void **state) {
    const io_fixture *f = *state;
    npy_file u1 = make(1, "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3)}", "abcdef", 6);
    basin__npy array = read_good(f, &u1);
    assert_true(array.is_byte);
    assert_null(array.values);
    assert_int_equal(array.rank, 2);
    assert_int_equal(array.dim[0], 2);
    assert_int_equal(array.dim[1], 3);
    assert_memory_equal(array.bytes, "abcdef", 6);
    basin__npy_reset(f->context, &array);

    npy_file one = make(1, "{'descr': '|u1', 'fortran_order': False, 'shape': ()}", "a", 1);
    array = read_good(f, &one);
    assert_int_equal(array.rank, 0);
    assert_int_equal(array.bytes[0], 'a');
    basin__npy_reset(f->context, &array);

    npy_file none = make(
        1, "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 9, 0)}", "", 0);
    array = read_good(f, &none);
    assert_int_equal(array.rank, 3);
    assert_non_null(array.values);
    basin__npy_reset(f->context, &array);
}

#define HEAD "{'descr': '<f4', 'fortran_order': False, 'shape': "

static void test_headers_that_lie(void **state) {
    const io_fixture *f = *state;
    static const struct {
        const char *header, *fragment;
        basin_status status;
    } cases[] = {
        {"", "dictionary", BASIN_ERROR_FORMAT},
        {"[]", "dictionary", BASIN_ERROR_FORMAT},
        {"{}", "lacks", BASIN_ERROR_FORMAT},
        {HEAD "(2,)", "expected ','", BASIN_ERROR_FORMAT},
        {HEAD "(2)}", "not a tuple", BASIN_ERROR_FORMAT},
        {HEAD "[2]}", "not a tuple", BASIN_ERROR_FORMAT},
        {HEAD "(,)}", "whole number", BASIN_ERROR_FORMAT},
        {HEAD "(2 2)}", "expected ','", BASIN_ERROR_FORMAT},
        {HEAD "(-2,)}", "whole number", BASIN_ERROR_FORMAT},
        {HEAD "(2.0,)}", "expected ','", BASIN_ERROR_FORMAT},
        {HEAD "(9223372036854775808,)}", "whole number", BASIN_ERROR_FORMAT},
        {HEAD "(99999999999999999999999999,)}", "whole number", BASIN_ERROR_FORMAT},
        {HEAD "(4294967296, 4294967296)}", "addressed", BASIN_ERROR_FORMAT},
        {HEAD "(9223372036854775807,)}", "addressed", BASIN_ERROR_FORMAT},
        {HEAD "(1, 1, 1, 1, 1, 1, 1, 1, 2)}", "8 dimensions", BASIN_ERROR_FORMAT},
        {HEAD "(3,)}", "promises 12 bytes of data, but 8", BASIN_ERROR_FORMAT},
        {HEAD "(1,)}", "promises 4 bytes of data, but 8", BASIN_ERROR_FORMAT},
        {HEAD "(0,)}", "promises 0 bytes of data, but 8", BASIN_ERROR_FORMAT},
        {HEAD "(2,)} x", "text after", BASIN_ERROR_FORMAT},
        {HEAD "(2,), 'shape': (2,)}", "twice", BASIN_ERROR_FORMAT},
        {HEAD "(2,), 'x': 1}", "none of", BASIN_ERROR_FORMAT},
        {HEAD "(2,), 'averyveryverylongkey': 1}", "expected 'descr'", BASIN_ERROR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False}", "lacks", BASIN_ERROR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}", "neither", BASIN_ERROR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (2,)}", "Fortran",
         BASIN_ERROR_UNSUPPORTED},
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (2,)}", "'>f4'",
         BASIN_ERROR_UNSUPPORTED},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", "'<c8'",
         BASIN_ERROR_UNSUPPORTED},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", "'|O'", BASIN_ERROR_UNSUPPORTED},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}", "plain numbers",
         BASIN_ERROR_UNSUPPORTED},
    };
    for (size_t i = 0; i < BASIN_COUNT(cases); i++) {
        npy_file p = make(1, cases[i].header, "\0\0\0\0\0\0\0\0", 8);
        io_assert_refused(f, read_array, p.data, p.bytes, cases[i].status, cases[i].fragment);
    }
}

static void test_broken_starts(void **state) {
    const io_fixture *f = *state;
    npy_file p = make(1, HEAD "(2,)}", "\0\0\0\0\0\0\0\0", 8), changed = p;
    io_assert_refused(f, read_array, "", 0, BASIN_ERROR_FORMAT, "NUMPY");
    io_assert_refused(f, read_array, "PK\3\4....", 8, BASIN_ERROR_FORMAT, "NUMPY"); /* an .npz */
    changed.data[6] = 4;
    io_assert_refused(f, read_array, changed.data, p.bytes, BASIN_ERROR_UNSUPPORTED, "version 4.0");
    changed = p;
    changed.data[9] = 0xff;
    io_assert_refused(f, read_array, changed.data, p.bytes, BASIN_ERROR_FORMAT, "past the end");
    changed = make(2, HEAD "(2,)}", "\0\0\0\0\0\0\0\0", 8);
    memset(changed.data + 8, 0xff, 4);
    io_assert_refused(f, read_array, changed.data, changed.bytes, BASIN_ERROR_FORMAT,
                      "past the end");
    assert_int_equal(read_array(f->context, "/nowhere/array.npy"), BASIN_ERROR_IO);
    io_assert_message(f, "/nowhere/array.npy");
}

static void test_values_that_float_cannot_hold(void **state) {
    const io_fixture *f = *state;
    const float f4[4] = {0, 0, 0, NAN};
    const double inf[4] = {0, 0, -INFINITY, 0}, large[4] = {0, 1e39, 0, 0};
    const int32_t i4[4] = {0, 0, 0, -16777217};
    const int64_t i8[4] = {0, INT64_MAX, 0, 0}, most[4] = {INT64_MIN, 0, 0, 0};
    npy_file p = make(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)}", f4, 16);
    io_assert_refused(f, read_array, p.data, p.bytes, BASIN_ERROR_FORMAT, "[1, 1] is not finite");
    p = make(1, "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1, 2)}", inf, 32);
    io_assert_refused(f, read_array, p.data, p.bytes, BASIN_ERROR_FORMAT, "[1, 0, 0] is not fin");
    p = make(1, "{'descr': '<f8', 'fortran_order': False, 'shape': (4,)}", large, 32);
    io_assert_refused(f, read_array, p.data, p.bytes, BASIN_ERROR_FORMAT, "[1] is too large");
    p = make(1, "{'descr': '<i4', 'fortran_order': False, 'shape': (4,)}", i4, 16);
    io_assert_refused(f, read_array, p.data, p.bytes, BASIN_ERROR_FORMAT, "[3] is an integer");
    p = make(1, "{'descr': '<i8', 'fortran_order': False, 'shape': (4,)}", i8, 32);
    io_assert_refused(f, read_array, p.data, p.bytes, BASIN_ERROR_FORMAT, "[1] is an integer");
    p = make(1, "{'descr': '<i8', 'fortran_order': False, 'shape': (4,)}", most, 32);
    basin__npy array = read_good(f, &p); /* a power of two, so it is exact */
    assert_true(array.values[0] <= -9.2e18f);
    basin__npy_reset(f->context, &array);
}

static void test_cuts_and_changed_bytes(void **state) {
    const io_fixture *f = *state;
    npy_file p = make(1, HEAD "(2,)}", "\0\0\x80\x3f\0\0\0\x40", 8);
    io_check_truncation(f, read_array, p.data, p.bytes);
    size_t accepted = io_check_flips(f, read_array, p.data, p.bytes);
    assert_true(accepted < 3 * 8 + 8); /* in the data, and a few letters that change no meaning */
}

static void test_round_trip(void **state) {
    const io_fixture *f = *state;
    float values[24];
    unsigned char raw[1024];
    for (int i = 0; i < 24; i++)
        values[i] = (float)i / 7.0f - 1.0f;
    static const int64_t shapes[][8] = {{0},       {24},   {4, 6},
                                        {2, 3, 4}, {0, 5}, {1, 1, 2, 1, 3, 1, 4, 1}};
    static const int ranks[] = {0, 1, 2, 3, 2, 8};
    for (size_t i = 0; i < BASIN_COUNT(ranks); i++) {
        basin__npy back;
        assert_int_equal(basin__npy_write(f->context, f->path, values, ranks[i], shapes[i]),
                         BASIN_OK);
        size_t count = ranks[i] == 0 ? 1 : (shapes[i][0] == 0 ? 0 : 24);
        size_t bytes = io_get(f->path, raw, sizeof(raw));
        assert_int_equal((bytes - count * sizeof(float)) % 64, 0);
        assert_int_equal(basin__npy_read(f->context, f->path, &back), BASIN_OK);
        assert_int_equal(back.rank, ranks[i]);
        assert_memory_equal(back.dim, shapes[i], (size_t)ranks[i] * sizeof(int64_t));
        assert_memory_equal(back.values, values, count * sizeof(float));
        basin__npy_reset(f->context, &back);
    }
}

static void test_the_header_is_numpys(void **state) {
    const io_fixture *f = *state;
    const float values[3] = {1, 2, 3};
    unsigned char raw[256];
    char wanted[129];
    snprintf(wanted, sizeof(wanted), "%-117s\n",
             "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }");
    assert_int_equal(basin__npy_write(f->context, f->path, values, 1, (const int64_t[]){3}),
                     BASIN_OK);
    assert_int_equal(io_get(f->path, raw, sizeof(raw)), 128 + 12);
    assert_memory_equal(raw, "\x93NUMPY\x01\x00\x76\x00", 10);
    assert_memory_equal(raw + 10, wanted, 118);
}

static void test_whole_numbers(void **state) {
    const io_fixture *f = *state;
    const int32_t values[3] = {-1, 0, 70000};
    unsigned char raw[256];
    basin__npy back;
    assert_int_equal(basin__npy_write_ints(f->context, f->path, values, 1, (const int64_t[]){3}),
                     BASIN_OK);
    assert_int_equal(io_get(f->path, raw, sizeof(raw)), 128 + 12);
    assert_memory_equal(raw + 10, "{'descr': '<i4', ", 17);
    assert_memory_equal(raw + 128, values, 12);
    assert_int_equal(basin__npy_read(f->context, f->path, &back), BASIN_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal((int)back.values[i], values[i]);
    basin__npy_reset(f->context, &back);
}

static void test_writing_refuses(void **state) {
    const io_fixture *f = *state;
    static const int64_t large[9] = {INT64_MAX, INT64_MAX, 1, 1, 1, 1, 1, 1, 1}, less[1] = {-1};
    const float value = 0;
    assert_int_equal(basin__npy_write(f->context, f->path, &value, 9, large), BASIN_ERROR_ARGUMENT);
    assert_int_equal(basin__npy_write(f->context, f->path, &value, 2, large), BASIN_ERROR_ARGUMENT);
    assert_int_equal(basin__npy_write(f->context, f->path, &value, 1, less), BASIN_ERROR_ARGUMENT);
    io_assert_message(f, f->path);
    assert_false(basin__path_is_file(f->path));
}

static basin_status write_array(basin_context *context, const char *path) {
    static const float values[6] = {1, 2, 3, 4, 5, 6};
    return basin__npy_write(context, path, values, 2, (const int64_t[]){2, 3});
}

static void test_failing_allocations(void **state) {
    const io_fixture *f = *state;
    io_check_allocations(f->path, write_array);
    io_check_allocations(f->path, read_array);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, io_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_element_types),
        TEST(test_bytes_and_shapes),
        TEST(test_headers_that_lie),
        TEST(test_broken_starts),
        TEST(test_values_that_float_cannot_hold),
        TEST(test_cuts_and_changed_bytes),
        TEST(test_round_trip),
        TEST(test_the_header_is_numpys),
        TEST(test_whole_numbers),
        TEST(test_writing_refuses),
        TEST(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
