/* SPDX-License-Identifier: Apache-2.0 */
/*
 * safetensors files: round trips, headers that lie in every way the format
 * forbids, element types and their conversion.
 */
#include "io/safetensors.h"
#include "io_support.h"
#include <math.h>

typedef struct model_file {
    unsigned char data[2048];
    size_t bytes;
} model_file;

static model_file make(const char *header, const void *data, size_t bytes) {
    model_file p = {.bytes = 0};
    size_t length = strlen(header);
    assert_true(8 + length + bytes <= sizeof(p.data));
    p.data[0] = (unsigned char)length;
    p.data[1] = (unsigned char)(length >> 8);
    memcpy(p.data + 8, header, length);
    if (bytes > 0)
        memcpy(p.data + 8 + length, data, bytes);
    p.bytes = 8 + length + bytes;
    return p;
}

static int setup(void **state) { return io_setup(state, "model.safetensors"); }

static basin_status read_model(basin_context *context, const char *path) {
    basin__safetensors tensors;
    basin_status status = basin__safetensors_read(context, path, &tensors);
    assert_true((status == BASIN_OK) == (tensors.metadata != NULL));
    basin__safetensors_reset(context, &tensors);
    return status;
}

static basin__safetensors read_good(const io_fixture *f, const model_file *p) {
    basin__safetensors tensors;
    io_put(f->path, p->data, p->bytes);
    if (basin__safetensors_read(f->context, f->path, &tensors) != BASIN_OK)
        fail_msg("%s", basin_context_error(f->context));
    return tensors;
}

static void test_reading(void **state) {
    const io_fixture *f = *state;
    model_file p = make("{\"b\":{\"dtype\":\"U8\",\"shape\":[2,1],\"data_offsets\":[4,6]},"
                        "\"none\":{\"dtype\":\"F32\",\"shape\":[3,0],\"data_offsets\":[4,4]},"
                        "\"__metadata__\":{\"k\":\"v\"},"
                        "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}   ",
                        "\0\0\x80\x3fxy", 6);
    basin__safetensors tensors = read_good(f, &p);
    assert_int_equal(tensors.count, 3);
    assert_string_equal(tensors.entries[0].name, "a"); /* in the order of the data */
    assert_string_equal(tensors.entries[1].name, "none");
    assert_string_equal(json_string_value(json_object_get(tensors.metadata, "k")), "v");
    const basin__tensor_entry *a = basin__safetensors_find(&tensors, "a");
    const basin__tensor_entry *b = basin__safetensors_find(&tensors, "b");
    float value;
    assert_int_equal(a->rank, 0);
    assert_int_equal(basin__tensor_to_f32(f->context, a, &value), BASIN_OK);
    assert_true(value >= 1.0f && value <= 1.0f);
    assert_int_equal(b->dtype, BASIN__DTYPE_U8);
    assert_int_equal(b->rank, 2);
    assert_int_equal(b->dim[0], 2);
    assert_memory_equal(b->data, "xy", 2);
    assert_int_equal(basin__tensor_to_f32(f->context, b, &value), BASIN_ERROR_UNSUPPORTED);
    io_assert_message(f, "'b' has the element type U8");
    assert_null(basin__safetensors_find(&tensors, "c"));
    basin__safetensors_reset(f->context, &tensors);
}

#define F32(name, shape, offsets)                                                                  \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void test_headers_that_lie(void **state) {
    const io_fixture *f = *state;
    static const struct {
        const char *header, *fragment;
        basin_status status;
    } cases[] = {
        {"", "byte 8", BASIN_ERROR_FORMAT},
        {"[]", "'{'", BASIN_ERROR_FORMAT},
        {" {}", "'{'", BASIN_ERROR_FORMAT},
        {"{}", "end at data offset 0, but 8 bytes", BASIN_ERROR_FORMAT},
        {"{} x", "end of file expected", BASIN_ERROR_FORMAT},
        {"{\"a\":1}", "'a' has no dtype", BASIN_ERROR_FORMAT},
        {"{\"a\":{\"dtype\":\"F32\"}}", "'a' has no shape", BASIN_ERROR_FORMAT},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", "no pair of data_offsets",
         BASIN_ERROR_FORMAT},
        {"{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[8],\"data_offsets\":[0,8]}}", "'F8_E4M3'",
         BASIN_ERROR_UNSUPPORTED},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"x\":1}}", "keys besides",
         BASIN_ERROR_FORMAT},
        {"{" F32("a", "[2]", "[0,8]") "," F32("a", "[2]", "[0,8]") "}", "duplicate",
         BASIN_ERROR_FORMAT},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"shape\":[2],\"data_offsets\":[0,8]}}",
         "duplicate", BASIN_ERROR_FORMAT},
        {"{" F32("\xff", "[2]", "[0,8]") "}", "unable to decode", BASIN_ERROR_FORMAT},
        {"{" F32("a\\u0000b", "[2]", "[0,8]") "}", "byte ", BASIN_ERROR_FORMAT},
        {"{" F32("a", "[-2]", "[0,8]") "}", "no whole number", BASIN_ERROR_FORMAT},
        {"{" F32("a", "[2.0]", "[0,8]") "}", "no whole number", BASIN_ERROR_FORMAT},
        {"{" F32("a", "[1,1,1,1,1,1,1,1,2]", "[0,8]") "}", "8 dimensions", BASIN_ERROR_FORMAT},
        {"{" F32("a", "[4294967296,4294967296]", "[0,8]") "}", "addressed", BASIN_ERROR_FORMAT},
        {"{" F32("a", "[99999999999999999999]", "[0,8]") "}", "integer", BASIN_ERROR_FORMAT},
        {"{" F32("a", "[3]", "[0,8]") "}", "needs 12 bytes", BASIN_ERROR_FORMAT},
        {"{" F32("a", "[2]", "[0,4]") "}", "needs 8 bytes", BASIN_ERROR_FORMAT},
        {"{" F32("a", "[3]", "[0,12]") "}", "0 to 12 in 8 bytes", BASIN_ERROR_FORMAT},
        {"{" F32("a", "[2]", "[8,0]") "}", "8 to 0", BASIN_ERROR_FORMAT},
        {"{" F32("a", "[2]", "[-8,0]") "}", "-8 to 0", BASIN_ERROR_FORMAT},
        {"{" F32("a", "[2]", "[0,8,8]") "}", "no pair", BASIN_ERROR_FORMAT},
        {"{" F32("a", "[2]", "[0,9223372036854775807]") "}", "in 8 bytes", BASIN_ERROR_FORMAT},
        {"{" F32("a", "[1]", "[0,4]") "}", "end at data offset 4, but 8 bytes", BASIN_ERROR_FORMAT},
        {"{" F32("a", "[1]", "[4,8]") "}", "'a' begins at data offset 4, leaving a gap",
         BASIN_ERROR_FORMAT},
        {"{" F32("a", "[2]", "[0,8]") "," F32("b", "[1]", "[4,8]") "}",
         "'b' begins at data offset 4, before the end", BASIN_ERROR_FORMAT},
        {"{" F32("a", "[2]", "[0,8]") "," F32("b", "[2]", "[0,8]") "}", "'b' begins",
         BASIN_ERROR_FORMAT},
        {"{" F32("a", "[2]", "[0,8]") "," F32("b", "[0]", "[4,4]") "}", "begins",
         BASIN_ERROR_FORMAT},
        {"{\"__metadata__\":[]," F32("a", "[2]", "[0,8]") "}", "not an object", BASIN_ERROR_FORMAT},
        {"{\"__metadata__\":{\"k\":1}," F32("a", "[2]", "[0,8]") "}", "'k' is not a string",
         BASIN_ERROR_FORMAT},
    };
    for (size_t i = 0; i < BASIN_COUNT(cases); i++) {
        model_file p = make(cases[i].header, "\0\0\0\0\0\0\0\0", 8);
        io_assert_refused(f, read_model, p.data, p.bytes, cases[i].status, cases[i].fragment);
    }
}

static void test_header_lengths_that_lie(void **state) {
    const io_fixture *f = *state;
    model_file p = make("{" F32("a", "[2]", "[0,8]") "}", "\0\0\0\0\0\0\0\0", 8);
    io_assert_refused(f, read_model, "", 0, BASIN_ERROR_FORMAT, "0 bytes");
    memset(p.data, 0xff, 8);
    io_assert_refused(f, read_model, p.data, p.bytes, BASIN_ERROR_FORMAT, "18446744073709551615");
    memset(p.data, 0, 8);
    io_assert_refused(f, read_model, p.data, p.bytes, BASIN_ERROR_FORMAT, "byte 8");
    p.data[0] = (unsigned char)(p.bytes - 7);
    io_assert_refused(f, read_model, p.data, p.bytes, BASIN_ERROR_FORMAT, "is promised");
    assert_int_equal(read_model(f->context, f->folder), BASIN_ERROR_IO);
    io_assert_message(f, f->folder);
    assert_int_equal(read_model(f->context, "/nowhere/model"), BASIN_ERROR_IO);
    io_assert_message(f, "/nowhere/model");
}

/** A header of more than 100 MB is refused though the file holds it: sparse, so it costs no disk.
 */
static void test_header_past_the_limit(void **state) {
    const io_fixture *f = *state;
    const unsigned char length[8] = {0x01, 0xe1, 0xf5, 0x05}; /* 100 000 001 */
    FILE *file = fopen(f->path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(length, 1, 8, file), 8);
    assert_int_equal(fseek(file, 100000100, SEEK_SET), 0);
    assert_int_equal(fputc(0, file), 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(read_model(f->context, f->path), BASIN_ERROR_FORMAT);
    io_assert_message(f, "at most 100000000");
}

/** A length whose first bytes are gzip's magic is a length. */
static void test_length_that_looks_like_gzip(void **state) {
    const io_fixture *f = *state;
    const size_t length = 0x8b1f;
    unsigned char *data = calloc(1, 8 + length);
    assert_non_null(data);
    data[0] = 0x1f;
    data[1] = 0x8b;
    memset(data + 8, ' ', length);
    memcpy(data + 8, "{}", 2);
    io_put(f->path, data, 8 + length);
    free(data);
    assert_int_equal(read_model(f->context, f->path), BASIN_OK);
}

static void test_cuts_and_changed_bytes(void **state) {
    const io_fixture *f = *state;
    model_file p = make("{\"__metadata__\":{\"k\":\"v\"}," F32("a", "[1]", "[0,4]") "," F32(
                            "b", "[1]", "[4,8]") "}",
                        "\0\0\0\0\0\0\0\0", 8);
    assert_int_equal(read_model(f->context, f->path), BASIN_ERROR_IO);
    io_check_truncation(f, read_model, p.data, p.bytes);
    /* Changes in the data and within names pass unseen, others must not. */
    size_t accepted = io_check_flips(f, read_model, p.data, p.bytes);
    assert_in_range(accepted, 3 * 8, 3 * 8 + 3 * 4 + 12);
}

static void test_conversions(void **state) {
    const io_fixture *f = *state;
    static const uint16_t half[] = {0x3c00, 0xc000, 0x7bff, 0x0001, 0x8000, 0x7c00, 0x03ff, 0x3555};
    static const float half_wanted[] = {1.0f,  -2.0f,    65504.0f,     0x1p-24f,
                                        -0.0f, INFINITY, 0x1.ff8p-15f, 0x1.554p-2f};
    static const uint16_t bfloat[] = {0x3f80, 0xc000, 0x7f7f, 0xff80};
    static const float bfloat_wanted[] = {1.0f, -2.0f, 0x1.fep127f, -INFINITY};
    static const double wide[] = {0.1, -INFINITY};
    static const float wide_wanted[] = {0.1f, -INFINITY};
    static const double large[] = {1.0, -1e39};
    float out[8];
    basin__tensor_entry e = {.name = "t", .rank = 1, .dim = {8}};
    e.dtype = BASIN__DTYPE_F16, e.data = half, e.bytes = sizeof(half);
    assert_int_equal(basin__tensor_to_f32(f->context, &e, out), BASIN_OK);
    assert_memory_equal(out, half_wanted, sizeof(half_wanted));
    e.dtype = BASIN__DTYPE_BF16, e.data = bfloat, e.bytes = sizeof(bfloat);
    assert_int_equal(basin__tensor_to_f32(f->context, &e, out), BASIN_OK);
    assert_memory_equal(out, bfloat_wanted, sizeof(bfloat_wanted));
    e.dtype = BASIN__DTYPE_F64, e.data = wide, e.bytes = sizeof(wide);
    assert_int_equal(basin__tensor_to_f32(f->context, &e, out), BASIN_OK);
    assert_memory_equal(out, wide_wanted, sizeof(wide_wanted));
    e.data = large;
    assert_int_equal(basin__tensor_to_f32(f->context, &e, out), BASIN_ERROR_FORMAT);
    io_assert_message(f, "'t' holds -1e+39 at element 1");
    static const uint16_t nan_half = 0x7e01;
    e.dtype = BASIN__DTYPE_F16, e.data = &nan_half, e.bytes = 2;
    assert_int_equal(basin__tensor_to_f32(f->context, &e, out), BASIN_OK);
    assert_true(isnan(out[0]));
}

/** Every finite half comes back as it was; what lies between goes to the nearest, ties to even. */
static void test_halving(void **state) {
    const io_fixture *f = *state;
    static const struct {
        float number, rounded;
    } between[] = {
        {0x1.002p0f, 1.0f},       {0x1.006p0f, 0x1.008p0f}, {0x1.00201p0f, 0x1.004p0f},
        {-0x1.fffp0f, -2.0f},     {0x1p-25f, 0.0f},         {0x1.8p-24f, 0x1p-23f},
        {0x1.ffep-15f, 0x1p-14f}, {0x1p-30f, 0.0f},         {65519.0f, 65504.0f},
    };
    for (unsigned bits = 0; bits < 0x10000; bits++) {
        uint16_t half = (uint16_t)bits;
        float number[1];
        basin__tensor_entry e = {"t", BASIN__DTYPE_F16, 1, {1}, &half, 2};
        assert_int_equal(basin__tensor_to_f32(f->context, &e, number), BASIN_OK);
        if (!isfinite(number[0]))
            continue;
        e = (basin__tensor_entry){"t", BASIN__DTYPE_F32, 1, {1}, number, 4};
        assert_int_equal(basin__tensor_halve(f->context, &e, number), BASIN_OK);
        assert_int_equal(e.bytes, 2);
        assert_memory_equal(number, &half, 2);
    }
    for (size_t i = 0; i < BASIN_COUNT(between); i++) {
        float number[1] = {between[i].number}, rounded;
        basin__tensor_entry e = {"t", BASIN__DTYPE_F32, 1, {1}, number, 4};
        assert_int_equal(basin__tensor_halve(f->context, &e, number), BASIN_OK);
        assert_int_equal(basin__tensor_to_f32(f->context, &e, &rounded), BASIN_OK);
        assert_memory_equal(&rounded, &between[i].rounded, sizeof rounded);
    }
    float large[2] = {1.0f, -65520.0f};
    basin__tensor_entry e = {"t", BASIN__DTYPE_F32, 1, {2}, large, 8};
    assert_int_equal(basin__tensor_halve(f->context, &e, large), BASIN_ERROR_UNSUPPORTED);
    io_assert_message(f, "'t' holds -65520 at element 1");
}

/* ---- writing ---- */

static const float weights[6] = {1, 2, 3, 4, 5, 6};
static const int64_t steps[1] = {-7};
static const unsigned char marks[3] = {1, 2, 3};

static const basin__tensor_entry some[] = {
    {"conv.0.weight", BASIN__DTYPE_F32, 2, {2, 3}, weights, sizeof(weights)},
    {"mark", BASIN__DTYPE_U8, 1, {3}, marks, sizeof(marks)},
    {"none", BASIN__DTYPE_F64, 2, {0, 4}, NULL, 0},
    {"step", BASIN__DTYPE_I64, 0, {0}, steps, sizeof(steps)},
};

static basin_status write_model(basin_context *context, const char *path) {
    json_t *metadata = json_pack("{s:s, s:s}", "network", "conv", "quote", "\"\xc3\xbc\n");
    assert_non_null(metadata);
    basin_status status =
        basin__safetensors_write(context, path, some, BASIN_COUNT(some), metadata);
    json_decref(metadata);
    return status;
}

static void test_round_trip(void **state) {
    const io_fixture *f = *state;
    basin__safetensors back;
    unsigned char raw[1024];
    assert_int_equal(write_model(f->context, f->path), BASIN_OK);
    size_t bytes = io_get(f->path, raw, sizeof(raw));
    assert_int_equal((bytes - sizeof(weights) - sizeof(marks) - sizeof(steps)) % 64, 0);
    assert_int_equal(basin__safetensors_read(f->context, f->path, &back), BASIN_OK);
    assert_int_equal(back.count, BASIN_COUNT(some));
    for (size_t i = 0; i < back.count; i++) {
        const basin__tensor_entry *e = &back.entries[i];
        assert_string_equal(e->name, some[i].name);
        assert_int_equal(e->dtype, some[i].dtype);
        assert_int_equal(e->rank, some[i].rank);
        assert_memory_equal(e->dim, some[i].dim, sizeof(e->dim));
        assert_int_equal(e->bytes, some[i].bytes);
        if (e->bytes > 0)
            assert_memory_equal(e->data, some[i].data, e->bytes);
    }
    assert_int_equal(json_object_size(back.metadata), 2);
    assert_string_equal(json_string_value(json_object_get(back.metadata, "quote")), "\"\xc3\xbc\n");
    basin__safetensors_reset(f->context, &back);
}

static void test_no_tensors_no_metadata(void **state) {
    const io_fixture *f = *state;
    basin__safetensors back;
    assert_int_equal(basin__safetensors_write(f->context, f->path, NULL, 0, NULL), BASIN_OK);
    assert_int_equal(basin__safetensors_read(f->context, f->path, &back), BASIN_OK);
    assert_int_equal(back.count, 0);
    assert_int_equal(json_object_size(back.metadata), 0);
    basin__safetensors_reset(f->context, &back);
}

static void test_writing_refuses(void **state) {
    const io_fixture *f = *state;
    static const struct {
        basin__tensor_entry entry;
        const char *fragment;
    } cases[] = {
        {{"mark", BASIN__DTYPE_U8, 1, {3}, marks, 3}, "twice"},
        {{"__metadata__", BASIN__DTYPE_U8, 1, {3}, marks, 3}, "kept for metadata"},
        {{"\xff", BASIN__DTYPE_U8, 1, {3}, marks, 3}, "UTF-8"},
        {{"x", BASIN__DTYPE_F32, 1, {3}, marks, 3}, "another size"},
        {{"x", BASIN__DTYPE_U8, 1, {-3}, marks, 3}, "another size"},
        {{"x", BASIN__DTYPE_U8, 2, {INT64_MAX, INT64_MAX}, marks, 3}, "another size"},
        {{"x", BASIN__DTYPE_U8, 9, {3}, marks, 3}, "rank"},
    };
    for (size_t i = 0; i < BASIN_COUNT(cases); i++) {
        const basin__tensor_entry two[] = {some[1], cases[i].entry};
        assert_int_equal(basin__safetensors_write(f->context, f->path, two, 2, NULL),
                         BASIN_ERROR_ARGUMENT);
        io_assert_message(f, f->path);
        io_assert_message(f, cases[i].fragment);
        assert_false(basin__path_is_file(f->path));
    }
    json_t *numbers = json_pack("{s:i}", "k", 1);
    assert_int_equal(basin__safetensors_write(f->context, f->path, some, 1, numbers),
                     BASIN_ERROR_ARGUMENT);
    io_assert_message(f, "'k' is not a string");
    json_decref(numbers);
}

static void test_failing_allocations(void **state) {
    const io_fixture *f = *state;
    io_check_allocations(f->path, write_model);
    io_check_allocations(f->path, read_model);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, io_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_reading),
        TEST(test_headers_that_lie),
        TEST(test_header_lengths_that_lie),
        TEST(test_header_past_the_limit),
        TEST(test_length_that_looks_like_gzip),
        TEST(test_cuts_and_changed_bytes),
        TEST(test_conversions),
        TEST(test_halving),
        TEST(test_round_trip),
        TEST(test_no_tensors_no_metadata),
        TEST(test_writing_refuses),
        TEST(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
