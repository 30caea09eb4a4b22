/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pictures: PNG files of every colour type built byte by byte, so that the
 * reader is not tested by the library it uses; lies, cuts and changed bytes;
 * grids pixel by pixel.
 */
#include "io/image.h"
#include "io_support.h"
#include <math.h>
#include <zlib.h>

#define FILE_ROOM 4096

/* ---- a PNG builder ---- */

typedef struct png_file {
    unsigned char data[FILE_ROOM];
    size_t bytes;
} png_file;

static void add_u32(png_file *p, uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8)
        p->data[p->bytes++] = (unsigned char)(value >> shift);
}

static void add_chunk(png_file *p, const char *type, const void *data, size_t bytes) {
    add_u32(p, (uint32_t)bytes);
    size_t start = p->bytes;
    memcpy(p->data + p->bytes, type, 4);
    if (bytes > 0)
        memcpy(p->data + p->bytes + 4, data, bytes);
    p->bytes += 4 + bytes;
    add_u32(p, (uint32_t)crc32(0, p->data + start, (uInt)(4 + bytes)));
}

static void add_start(png_file *p, uint32_t width, uint32_t height, int depth, int colour,
                      int interlace) {
    png_file header = {.bytes = 0};
    add_u32(&header, width);
    add_u32(&header, height);
    const unsigned char rest[] = {(unsigned char)depth, (unsigned char)colour, 0, 0,
                                  (unsigned char)interlace};
    memcpy(header.data + 8, rest, sizeof(rest));
    memcpy(p->data, "\x89PNG\r\n\x1a\n", 8);
    p->bytes = 8;
    add_chunk(p, "IHDR", header.data, 13);
}

/** The rows, each behind its filter byte, and the end. */
static void add_rows(png_file *p, const unsigned char *rows, size_t bytes) {
    unsigned char packed[1024];
    uLongf packed_bytes = sizeof(packed);
    assert_int_equal(compress(packed, &packed_bytes, rows, (uLong)bytes), Z_OK);
    add_chunk(p, "IDAT", packed, packed_bytes);
    add_chunk(p, "IEND", NULL, 0);
}

static int setup(void **state) { return io_setup(state, "picture.png"); }

static basin_status read_image(basin_context *context, const char *path) {
    basin__image image;
    basin_status status = basin__png_read(context, path, &image);
    assert_true((status == BASIN_OK) == (image.pixels != NULL));
    basin__image_reset(context, &image);
    return status;
}

static void assert_pixels(const io_fixture *f, const png_file *p, int height, int width,
                          int channels, const unsigned char *wanted) {
    basin__image image;
    io_put(f->path, p->data, p->bytes);
    basin_status status = basin__png_read(f->context, f->path, &image);
    if (status != BASIN_OK)
        fail_msg("%s", basin_context_error(f->context));
    assert_int_equal(image.height, height);
    assert_int_equal(image.width, width);
    assert_int_equal(image.channels, channels);
    assert_memory_equal(image.pixels, wanted, (size_t)(height * width * channels));
    basin__image_reset(f->context, &image);
}

/* ---- reading ---- */

static void test_grey_depths(void **state) {
    const io_fixture *f = *state;
    png_file bits = {.bytes = 0}, wide = {.bytes = 0}, hidden = {.bytes = 0};
    add_start(&bits, 3, 2, 1, 0, 0);
    add_rows(&bits, (const unsigned char[]){0, 0xa0, 0, 0x40}, 4);
    assert_pixels(f, &bits, 2, 3, 1, (const unsigned char[]){255, 0, 255, 0, 255, 0});
    add_start(&wide, 3, 1, 16, 0, 0);
    add_rows(&wide, (const unsigned char[]){0, 0x80, 0x80, 0xff, 0xff, 0x00, 0x90}, 7);
    assert_pixels(f, &wide, 1, 3, 1, (const unsigned char[]){128, 255, 1}); /* rounded, not cut */
    add_start(&hidden, 2, 1, 8, 0, 0);
    add_chunk(&hidden, "tRNS", "\0\x07", 2);
    add_rows(&hidden, (const unsigned char[]){0, 7, 8}, 3);
    assert_pixels(f, &hidden, 1, 2, 1, (const unsigned char[]){0, 8});
}

static void test_alpha_is_laid_over_black(void **state) {
    const io_fixture *f = *state;
    png_file rgba = {.bytes = 0}, grey = {.bytes = 0};
    add_start(&rgba, 3, 1, 8, 6, 0);
    add_rows(&rgba, (const unsigned char[]){0, 200, 100, 50, 128, 10, 20, 30, 0, 1, 2, 3, 255}, 13);
    assert_pixels(f, &rgba, 1, 3, 3, (const unsigned char[]){100, 50, 25, 0, 0, 0, 1, 2, 3});
    add_start(&grey, 2, 1, 8, 4, 0);
    add_rows(&grey, (const unsigned char[]){0, 255, 51, 90, 255}, 5);
    assert_pixels(f, &grey, 1, 2, 1, (const unsigned char[]){51, 90});
}

static void test_palette(void **state) {
    const io_fixture *f = *state;
    png_file p = {.bytes = 0}, outside = {.bytes = 0};
    const unsigned char palette[] = {10, 20, 30, 40, 50, 60, 200, 100, 0};
    add_start(&p, 3, 1, 4, 3, 0);
    add_chunk(&p, "PLTE", palette, sizeof(palette));
    add_chunk(&p, "tRNS", "\xff\x00", 2);
    add_rows(&p, (const unsigned char[]){0, 0x21, 0x00}, 3);
    assert_pixels(f, &p, 1, 3, 3, (const unsigned char[]){200, 100, 0, 0, 0, 0, 10, 20, 30});
    add_start(&outside, 1, 1, 8, 3, 0); /* a palette picture without its palette */
    add_rows(&outside, (const unsigned char[]){0, 0}, 2);
    io_assert_refused(f, read_image, outside.data, outside.bytes, BASIN_ERROR_FORMAT, "PLTE");
}

static void test_interlaced(void **state) {
    const io_fixture *f = *state;
    png_file p = {.bytes = 0};
    add_start(&p, 2, 2, 8, 0, 1); /* of Adam7's passes only 1, 6 and 7 have pixels */
    add_rows(&p, (const unsigned char[]){0, 11, 0, 22, 0, 33, 44}, 7);
    assert_pixels(f, &p, 2, 2, 1, (const unsigned char[]){11, 22, 33, 44});
}

static void test_gamma_is_not_applied(void **state) {
    const io_fixture *f = *state;
    png_file p = {.bytes = 0};
    add_start(&p, 2, 1, 8, 4, 0);
    add_chunk(&p, "gAMA", "\x00\x00\xb1\x8f", 4);
    add_chunk(&p, "sRGB", "\x00", 1);
    add_rows(&p, (const unsigned char[]){0, 200, 128, 7, 255}, 5);
    assert_pixels(f, &p, 1, 2, 1, (const unsigned char[]){100, 7});
}

/* ---- hostile files ---- */

static void small_file(png_file *p) {
    p->bytes = 0;
    add_start(p, 2, 2, 8, 2, 0);
    add_chunk(p, "tEXt", "Title\0x", 7);
    add_rows(p, (const unsigned char[]){0, 1, 2, 3, 4, 5, 6, 0, 7, 8, 9, 10, 11, 12}, 14);
}

static void test_every_cut_and_changed_byte_is_seen(void **state) {
    const io_fixture *f = *state;
    png_file p;
    small_file(&p);
    io_put(f->path, p.data, p.bytes);
    assert_int_equal(read_image(f->context, f->path), BASIN_OK);
    io_check_truncation(f, read_image, p.data, p.bytes);
    assert_int_equal(io_check_flips(f, read_image, p.data, p.bytes), 0);
}

static void test_bytes_after_the_end_are_ignored(void **state) {
    const io_fixture *f = *state;
    png_file p;
    small_file(&p);
    memset(p.data + p.bytes, 'x', 5);
    p.bytes += 5;
    io_put(f->path, p.data, p.bytes);
    assert_int_equal(read_image(f->context, f->path), BASIN_OK);
}

static void test_sizes_that_lie(void **state) {
    const io_fixture *f = *state;
    static const struct {
        uint32_t width, height;
        const char *fragment;
    } cases[] = {{0, 1, "width is zero"},
                 {0x7fffffff, 0x7fffffff, "too large"},
                 {0xffffffff, 1, "PNG unsigned integer"},
                 {65536, 1, "too large"},
                 {65535, 65535, "too large"},
                 {16000, 16000, "more than"},
                 {3, 2, "byte"},
                 {2, 3, "byte"}};
    for (size_t i = 0; i < BASIN_COUNT(cases); i++) {
        png_file p = {.bytes = 0};
        add_start(&p, cases[i].width, cases[i].height, 8, 0, 0);
        add_rows(&p, (const unsigned char[]){0, 1, 2, 0, 3, 4}, 6);
        io_assert_refused(f, read_image, p.data, p.bytes, BASIN_ERROR_FORMAT, cases[i].fragment);
    }
}

static void test_broken_content(void **state) {
    const io_fixture *f = *state;
    png_file surplus = {.bytes = 0}, filter = {.bytes = 0}, none = {.bytes = 0},
             unknown = {.bytes = 0};
    add_start(&surplus, 2, 1, 8, 0, 0);
    add_rows(&surplus, (const unsigned char[]){0, 1, 2, 0, 3, 4}, 6);
    io_assert_refused(f, read_image, surplus.data, surplus.bytes, BASIN_ERROR_FORMAT, "IDAT");
    add_start(&filter, 2, 1, 8, 0, 0);
    add_rows(&filter, (const unsigned char[]){9, 1, 2}, 3);
    io_assert_refused(f, read_image, filter.data, filter.bytes, BASIN_ERROR_FORMAT, "filter");
    add_start(&none, 2, 1, 8, 0, 0);
    add_chunk(&none, "IEND", NULL, 0);
    io_assert_refused(f, read_image, none.data, none.bytes, BASIN_ERROR_FORMAT, "IEND");
    add_start(&unknown, 2, 1, 8, 0, 0);
    add_chunk(&unknown, "QQQQ", "abc", 3); /* critical, by its capital */
    add_rows(&unknown, (const unsigned char[]){0, 1, 2}, 3);
    io_assert_refused(f, read_image, unknown.data, unknown.bytes, BASIN_ERROR_FORMAT, "QQQQ");
    io_assert_refused(f, read_image, "GIF89a..", 8, BASIN_ERROR_FORMAT, "not a PNG");
    assert_int_equal(basin__png_read(f->context, f->folder, &(basin__image){0}), BASIN_ERROR_IO);
    io_assert_message(f, f->folder);
}

/* ---- writing ---- */

static void test_round_trip(void **state) {
    const io_fixture *f = *state;
    for (int channels = 1; channels <= 3; channels += 2) {
        basin__image image, back;
        assert_int_equal(basin__image_init(f->context, &image, 37, 53, channels), BASIN_OK);
        size_t bytes = (size_t)(37 * 53 * channels);
        for (size_t i = 0; i < bytes; i++)
            image.pixels[i] = (unsigned char)(i * i * 31 + i / 7);
        assert_int_equal(basin__png_write(f->context, f->path, &image), BASIN_OK);
        assert_int_equal(basin__png_read(f->context, f->path, &back), BASIN_OK);
        assert_int_equal(back.height, 37);
        assert_int_equal(back.width, 53);
        assert_int_equal(back.channels, channels);
        assert_memory_equal(back.pixels, image.pixels, bytes);
        basin__image_reset(f->context, &image);
        basin__image_reset(f->context, &back);
    }
}

static basin_status make_and_write(basin_context *context, const char *path) {
    basin__image image;
    const float x[12] = {0};
    basin_status status = basin__image_grid(context, &image, x, 4, 1, 1, 3, 0.0f, 1.0f, 0, 40);
    if (status == BASIN_OK)
        status = basin__png_write(context, path, &image);
    basin__image_reset(context, &image);
    return status;
}

static void test_failing_allocations(void **state) {
    const io_fixture *f = *state;
    io_check_allocations(f->path, make_and_write);
    io_check_allocations(f->path, read_image);
}

static void test_refused_sizes(void **state) {
    const io_fixture *f = *state;
    static const int sizes[][3] = {
        {0, 1, 1}, {1, -1, 1}, {1, 1, 2}, {65536, 1, 1}, {65535, 65535, 1}};
    for (size_t i = 0; i < BASIN_COUNT(sizes); i++) {
        basin__image image;
        assert_int_equal(
            basin__image_init(f->context, &image, sizes[i][0], sizes[i][1], sizes[i][2]),
            BASIN_ERROR_ARGUMENT);
        assert_null(image.pixels);
    }
}

/* ---- grids ---- */

static void test_grid_pixels(void **state) {
    const io_fixture *f = *state;
    /* three pictures of 1 by 2 pixels, twice enlarged: 2 columns of 4 pixels, 2 rows of 2 */
    const float x[6] = {-1.0f, 1.0f, 0.0f, 9.0f, NAN, -INFINITY};
    enum { WHITE = 255 };
    static const unsigned char wanted[6][10] = {
        {0, 0, 255, 255, WHITE, WHITE, 128, 128, 255, 255},
        {0, 0, 255, 255, WHITE, WHITE, 128, 128, 255, 255},
        {WHITE, WHITE, WHITE, WHITE, WHITE, WHITE, WHITE, WHITE, WHITE, WHITE},
        {WHITE, WHITE, WHITE, WHITE, WHITE, WHITE, WHITE, WHITE, WHITE, WHITE},
        {128, 128, 128, 128, WHITE, WHITE, WHITE, WHITE, WHITE, WHITE},
        {128, 128, 128, 128, WHITE, WHITE, WHITE, WHITE, WHITE, WHITE}};
    basin__image grid;
    assert_int_equal(basin__image_grid(f->context, &grid, x, 3, 1, 2, 1, -1.0f, 1.0f, 0, 2),
                     BASIN_OK);
    assert_int_equal(grid.height, 6);
    assert_int_equal(grid.width, 10);
    assert_memory_equal(grid.pixels, wanted, sizeof(wanted));
    basin__image_reset(f->context, &grid);
}

static void test_grid_colours_and_columns(void **state) {
    const io_fixture *f = *state;
    const float x[6] = {0.0f, 0.2f, 0.4f, 0.6f, 0.8f, 1.0f};
    basin__image grid;
    assert_int_equal(basin__image_grid(f->context, &grid, x, 2, 1, 1, 3, 0.0f, 1.0f, 1, 1),
                     BASIN_OK);
    assert_int_equal(grid.height, 4);
    assert_int_equal(grid.width, 1);
    assert_memory_equal(grid.pixels, ((const unsigned char[]){0, 51, 102}), 3);
    assert_memory_equal(grid.pixels + 9, ((const unsigned char[]){153, 204, 255}), 3);
    basin__image_reset(f->context, &grid);
    /* more columns than pictures: as many as there are */
    assert_int_equal(basin__image_grid(f->context, &grid, x, 2, 1, 1, 3, 0.0f, 1.0f, 9, 1),
                     BASIN_OK);
    assert_int_equal(grid.width, 4);
    basin__image_reset(f->context, &grid);
}

static void test_grid_refuses(void **state) {
    const io_fixture *f = *state;
    const float x[1] = {0};
    basin__image grid;
    basin_context *c = f->context;
    assert_int_equal(basin__image_grid(c, &grid, x, 0, 1, 1, 1, 0, 1, 0, 1), BASIN_ERROR_ARGUMENT);
    assert_int_equal(basin__image_grid(c, &grid, x, 1, 1, 1, 1, 1, 1, 0, 1), BASIN_ERROR_ARGUMENT);
    assert_int_equal(basin__image_grid(c, &grid, x, 1, 1, 1, 1, 0, NAN, 0, 1),
                     BASIN_ERROR_ARGUMENT);
    assert_int_equal(basin__image_grid(c, &grid, x, 1, 1, 1, 1, 0, 1, 0, 0), BASIN_ERROR_ARGUMENT);
    assert_int_equal(basin__image_grid(c, &grid, x, INT64_MAX, 9, 9, 1, 0, 1, 0, 1 << 30),
                     BASIN_ERROR_ARGUMENT);
    assert_null(grid.pixels);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, io_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_grey_depths),
        TEST(test_alpha_is_laid_over_black),
        TEST(test_palette),
        TEST(test_interlaced),
        TEST(test_gamma_is_not_applied),
        TEST(test_every_cut_and_changed_byte_is_seen),
        TEST(test_bytes_after_the_end_are_ignored),
        TEST(test_sizes_that_lie),
        TEST(test_broken_content),
        TEST(test_round_trip),
        TEST(test_failing_allocations),
        TEST(test_refused_sizes),
        TEST(test_grid_pixels),
        TEST(test_grid_colours_and_columns),
        TEST(test_grid_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
