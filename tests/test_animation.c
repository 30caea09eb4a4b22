/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Animations, decoded again by giflib and put together as a viewer does: a frame's pixels over
 * those of the frame before, but for the transparent ones.
 */
#include "eval/walk_picture.h"
#include "io_support.h"
#include <gif_lib.h>
#include <math.h>

enum { HEIGHT = 37, WIDTH = 53, FRAMES = 4, PIXELS_MAX = 600 * 600 };

static int setup(void **state) { return io_setup(state, "frames.gif"); }

/* ---- decoding ---- */

static GifFileType *open_gif(const char *path) {
    int error = 0;
    GifFileType *file = DGifOpenFileName(path, &error);
    assert_non_null(file);
    assert_int_equal(DGifSlurp(file), GIF_OK);
    return file;
}

static void close_gif(GifFileType *file) {
    int error = 0;
    assert_int_equal(DGifCloseFile(file, &error), GIF_OK);
}

/** Lay frame k over rgb [height, width, 3]. */
static void lay_frame(GifFileType *file, int k, unsigned char *rgb) {
    GraphicsControlBlock control;
    const SavedImage *frame = &file->SavedImages[k];
    assert_int_equal(DGifSavedExtensionToGCB(file, k, &control), GIF_OK);
    assert_int_equal(control.DelayTime, k == file->ImageCount - 1 ? 200 : 8);
    assert_int_equal(control.DisposalMode, DISPOSE_DO_NOT);
    assert_int_equal(frame->ImageDesc.Width, file->SWidth);
    assert_int_equal(frame->ImageDesc.Height, file->SHeight);
    for (int i = 0; i < file->SWidth * file->SHeight; i++) {
        if (frame->RasterBits[i] == control.TransparentColor)
            continue;
        const GifColorType colour = file->SColorMap->Colors[frame->RasterBits[i]];
        rgb[3 * i] = colour.Red;
        rgb[3 * i + 1] = colour.Green;
        rgb[3 * i + 2] = colour.Blue;
    }
}

static void assert_plays_for_ever(const GifFileType *file) {
    const SavedImage *first = &file->SavedImages[0];
    assert_true(first->ExtensionBlockCount >= 2);
    assert_memory_equal(first->ExtensionBlocks[0].Bytes, "NETSCAPE2.0", 11);
    assert_int_equal(first->ExtensionBlocks[1].ByteCount, 3);
    assert_memory_equal(first->ExtensionBlocks[1].Bytes, "\1\0\0", 3);
}

/* ---- images ---- */

/** Frame k: a pixel in three is that of the frame before. */
static unsigned char value_of(int k, int i) {
    const int frame = i % 3 == 0 ? 0 : k;
    return (unsigned char)(i * i * 31 + i / 7 + 97 * frame);
}

static basin_status write_frames(basin_context *context, const char *path, int channels) {
    basin__gif *gif = NULL;
    basin__image image = {0};
    basin_status status = basin__image_init(context, &image, HEIGHT, WIDTH, channels);
    if (status == BASIN_OK)
        status = basin__gif_open(context, HEIGHT, WIDTH, channels, &gif);
    for (int k = 0; k < FRAMES && status == BASIN_OK; k++) {
        for (int i = 0; i < HEIGHT * WIDTH * channels; i++)
            image.pixels[i] = value_of(k, i);
        status = basin__gif_add(gif, &image);
    }
    if (status == BASIN_OK)
        status = basin__gif_write(gif, path);
    basin__gif_close(gif);
    basin__image_reset(context, &image);
    return status;
}

/** All 256 levels come back. */
static void test_grey(void **state) {
    const io_fixture *f = *state;
    unsigned char rgb[3 * HEIGHT * WIDTH] = {0};
    bool is_met[256] = {false};
    assert_int_equal(write_frames(f->context, f->path, 1), BASIN_OK);
    GifFileType *file = open_gif(f->path);
    assert_int_equal(file->ImageCount, FRAMES);
    assert_true(file->SWidth == WIDTH && file->SHeight == HEIGHT);
    assert_plays_for_ever(file);
    for (int k = 0; k < FRAMES; k++) {
        lay_frame(file, k, rgb);
        for (int i = 0; i < HEIGHT * WIDTH; i++) {
            const unsigned char wanted = value_of(k, i);
            is_met[wanted] = true;
            assert_true(rgb[3 * i] == wanted && rgb[3 * i + 1] == wanted &&
                        rgb[3 * i + 2] == wanted);
        }
    }
    for (int level = 0; level < 256; level++)
        assert_true(is_met[level]);
    close_gif(file);
}

static int distance(const unsigned char *a, const unsigned char *b) {
    int sum = 0;
    for (int c = 0; c < 3; c++)
        sum += (a[c] - b[c]) * (a[c] - b[c]);
    return sum;
}

/** Of all entries the nearest: of grey, whose levels are rounded, within that rounding. */
static void test_colours(void **state) {
    const io_fixture *f = *state;
    unsigned char rgb[3 * HEIGHT * WIDTH] = {0};
    assert_int_equal(write_frames(f->context, f->path, 3), BASIN_OK);
    GifFileType *file = open_gif(f->path);
    assert_int_equal(file->ImageCount, FRAMES);
    assert_plays_for_ever(file);
    for (int k = 0; k < FRAMES; k++) {
        lay_frame(file, k, rgb);
        for (int i = 0; i < HEIGHT * WIDTH; i++) {
            unsigned char wanted[3], entry[3];
            int best = 3 * 255 * 255;
            for (int c = 0; c < 3; c++)
                wanted[c] = value_of(k, 3 * i + c);
            for (int e = 0; e < file->SColorMap->ColorCount; e++) {
                memcpy(entry, &file->SColorMap->Colors[e], 3);
                best = distance(wanted, entry) < best ? distance(wanted, entry) : best;
            }
            assert_true(best <= 3 * 26 * 26);
            assert_true(distance(wanted, rgb + 3 * i) <= best + 9);
        }
    }
    close_gif(file);
}

/** The 256 greys of colour frames are within half a step of 41 levels. */
static void test_greys_among_colours(void **state) {
    const io_fixture *f = *state;
    basin__image image;
    basin__gif *gif;
    unsigned char rgb[3 * 256];
    assert_int_equal(basin__image_init(f->context, &image, 1, 256, 3), BASIN_OK);
    for (int i = 0; i < 3 * 256; i++)
        image.pixels[i] = (unsigned char)(i / 3);
    assert_int_equal(basin__gif_open(f->context, 1, 256, 3, &gif), BASIN_OK);
    assert_int_equal(basin__gif_add(gif, &image), BASIN_OK);
    assert_int_equal(basin__gif_write(gif, f->path), BASIN_OK);
    basin__gif_close(gif);
    GifFileType *file = open_gif(f->path);
    lay_frame(file, 0, rgb);
    for (int i = 0; i < 3 * 256; i++)
        assert_true(abs(rgb[i] - i / 3) <= 4 && rgb[i] == rgb[i / 3 * 3]);
    close_gif(file);
    basin__image_reset(f->context, &image);
}

static void test_other_sizes_are_refused(void **state) {
    const io_fixture *f = *state;
    static const int sizes[][3] = {{3, 5, 1}, {4, 4, 1}, {4, 5, 3}};
    basin__gif *gif;
    assert_int_equal(basin__gif_open(f->context, 4, 5, 1, &gif), BASIN_OK);
    for (size_t i = 0; i < BASIN_COUNT(sizes); i++) {
        basin__image image;
        assert_int_equal(
            basin__image_init(f->context, &image, sizes[i][0], sizes[i][1], sizes[i][2]), BASIN_OK);
        assert_int_equal(basin__gif_add(gif, &image), BASIN_ERROR_ARGUMENT);
        io_assert_message(f, "4");
        basin__image_reset(f->context, &image);
    }
    basin__gif_close(gif);
}

static void test_unwritable(void **state) {
    const io_fixture *f = *state;
    char path[160];
    snprintf(path, sizeof path, "%s/no/x.gif", f->folder);
    assert_int_equal(write_frames(f->context, path, 1), BASIN_ERROR_IO);
    io_assert_message(f, path);
    assert_int_equal(f->heap.alive, f->heap.alive_at_start);
    assert_int_equal(write_frames(f->context, "/dev/full", 1), BASIN_ERROR_IO);
}

static basin_status write_colours(basin_context *context, const char *path) {
    return write_frames(context, path, 3);
}

static void test_failing_allocations(void **state) {
    io_check_allocations(((const io_fixture *)*state)->path, write_colours);
}

/* ---- walks ---- */

enum { PLACES = 21, WALKERS = 2 };

/** A bowl around the middle of [−2, 2]². */
static basin_status bowl(void *user, int64_t n, const float *x, double *energies) {
    (void)user;
    for (int64_t i = 0; i < n; i++)
        energies[i] =
            (double)x[2 * i] * (double)x[2 * i] + (double)x[2 * i + 1] * (double)x[2 * i + 1];
    return BASIN_OK;
}

/** Two chains on level lines from left to right, the first above. */
static void walk(float *x) {
    for (int place = 0; place < PLACES; place++)
        for (int chain = 0; chain < WALKERS; chain++) {
            x[2 * (place * WALKERS + chain)] = -1.5f + 0.15f * (float)place;
            x[2 * (place * WALKERS + chain) + 1] = chain == 0 ? 1.0f : -1.0f;
        }
}

/** The pixel at a point of the plane. */
static const unsigned char *pixel_at(const unsigned char *rgb, double x, double y) {
    const int column = (int)floor((x + 2) / 4 * 600), row = (int)floor((2 - y) / 4 * 600);
    return rgb + 3 * (row * 600 + column);
}

static bool is_coloured(const unsigned char *pixel) { return abs(pixel[0] - pixel[2]) > 60; }

static basin_status write_walks(basin_context *context, const char *path, int64_t frames) {
    float x[2 * PLACES * WALKERS];
    const basin__walks walks = {.x = x, .places = PLACES, .n = WALKERS};
    walk(x);
    return basin__walk_animation(context, path, &walks, frames, bowl, NULL, 1, -2, 2);
}

/** Frame by frame a dot is where each chain is, and nothing is ahead of it. */
static void check_walk(const char *path, int frames) {
    static unsigned char rgb[3 * PIXELS_MAX];
    GifFileType *file = open_gif(path);
    assert_int_equal(file->ImageCount, frames);
    assert_true(file->SWidth == 600 && file->SHeight == 600);
    for (int k = 0; k < frames; k++) {
        const double x = -1.5 + 0.15 * ((PLACES - 1) * k / (frames - 1));
        lay_frame(file, k, rgb);
        for (int chain = 0; chain < WALKERS; chain++) {
            const double y = chain == 0 ? 1 : -1;
            const unsigned char *dot = pixel_at(rgb, x, y), *ahead = pixel_at(rgb, x + 0.1, y);
            assert_true(is_coloured(dot) && !is_coloured(ahead));
            assert_true(chain == 0 ? dot[2] > dot[0] : dot[0] > dot[2]); /* blue, vermilion */
            assert_true(k == 0 || is_coloured(pixel_at(rgb, x - 0.06, y)));
            if (k > 11) /* the line has faded */
                assert_true(!is_coloured(pixel_at(rgb, x - 0.15 * 11.5, y)));
        }
        assert_true(pixel_at(rgb, 0, 0)[0] < 130 && pixel_at(rgb, 1.9, 1.9)[0] > 240);
    }
    close_gif(file);
}

static void test_walks(void **state) {
    const io_fixture *f = *state;
    assert_int_equal(write_walks(f->context, f->path, 6), BASIN_OK);
    check_walk(f->path, 6);
    assert_int_equal(write_walks(f->context, f->path, 100), BASIN_OK);
    check_walk(f->path, PLACES);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, io_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_grey),
        TEST(test_colours),
        TEST(test_greys_among_colours),
        TEST(test_other_sizes_are_refused),
        TEST(test_unwritable),
        TEST(test_failing_allocations),
        TEST(test_walks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
