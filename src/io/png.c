/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PNG in and out, by libpng.
 *
 * libpng reports an error by jumping out of the call. So each direction is one
 * function that sets the jump and calls libpng, with all it must remember in a
 * struct of its caller's: no local variable is alive across the jump. libpng's
 * and zlib's memory comes from the context, so that it is counted and can fail
 * on purpose.
 *
 * Reading is strict: a broken checksum, in whatever chunk, surplus or missing
 * pixel data and a missing end are errors. A header may promise at most what
 * the file's size can unpack to, so a lie costs no memory. Colour profiles and
 * gamma are not applied: pixels are numbers here. Bytes after the end chunk are
 * ignored, as the specification asks (ISO/IEC 15948, section 5.3).
 */
#include "base/file.h"
#include "io/image.h"
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#define PNG_BYTES_MAX ((size_t)1 << 29)
#define DEFLATE_RATIO_MAX 1032 /* most bytes out for a byte in: zlib.net/zlib_tech.html */

typedef struct codec {
    basin_context *context;
    png_structp png;
    png_infop info;
    bool out_of_memory;
    char message[240], warning[80];
    basin__image image;     /* decoding: the result; encoding: borrowed */
    unsigned char *data;    /* decoding: borrowed; encoding: the result */
    size_t bytes, room, at; /* of data: its length, its space, how far it is read */
} codec;

/* ---- what libpng calls ---- */

static void *png_allocate(png_structp png, png_alloc_size_t bytes) {
    codec *c = png_get_mem_ptr(png);
    void *memory = basin__alloc(c->context, bytes);
    c->out_of_memory = c->out_of_memory || !memory;
    return memory;
}

static void png_release(png_structp png, void *memory) {
    codec *c = png_get_mem_ptr(png);
    basin__free(c->context, memory);
}

static void on_error(png_structp png, const char *message) {
    codec *c = png_get_error_ptr(png);
    snprintf(c->message, sizeof(c->message), "%s%s%s", message, c->warning[0] ? ": " : "",
             c->warning);
    png_longjmp(png, 1);
}

/** "Invalid IHDR data" is an error; what is invalid, libpng says in the warning before it. */
static void on_warning(png_structp png, const char *message) {
    codec *c = png_get_error_ptr(png);
    snprintf(c->warning, sizeof(c->warning), "%s", message);
}

static void on_read(png_structp png, png_bytep to, size_t bytes) {
    codec *c = png_get_io_ptr(png);
    if (bytes > c->bytes - c->at)
        png_error(png, "the file is cut short");
    memcpy(to, c->data + c->at, bytes);
    c->at += bytes;
}

static void on_write(png_structp png, png_bytep from, size_t bytes) {
    codec *c = png_get_io_ptr(png);
    if (bytes > c->room - c->bytes) {
        size_t room = 2 * c->room + bytes + 4096;
        unsigned char *data = basin__grow(c->context, c->data, c->bytes, room);
        if (!data) {
            c->out_of_memory = true;
            png_error(png, "out of memory");
        }
        c->data = data;
        c->room = room;
    }
    memcpy(c->data + c->bytes, from, bytes);
    c->bytes += bytes;
}

static void on_flush(png_structp png) { (void)png; }

/* ---- reading ---- */

/** Refuse sizes that are past use, or that the file cannot hold, before they cost memory. */
static void check_size(codec *c) {
    uint64_t width = png_get_image_width(c->png, c->info);
    uint64_t height = png_get_image_height(c->png, c->info);
    uint64_t packed = png_get_rowbytes(c->png, c->info) * height;
    char text[sizeof(c->message)];
    if (width > BASIN__IMAGE_SIDE_MAX || height > BASIN__IMAGE_SIDE_MAX ||
        width * height > BASIN__IMAGE_PIXELS_MAX)
        snprintf(text, sizeof(text), "its header promises %llu by %llu pixels, which is too large",
                 (unsigned long long)width, (unsigned long long)height);
    else if (packed / DEFLATE_RATIO_MAX > c->bytes)
        snprintf(text, sizeof(text),
                 "its header promises %llu by %llu pixels, more than %zu bytes can hold",
                 (unsigned long long)width, (unsigned long long)height, c->bytes);
    else
        return;
    png_error(c->png, text);
}

/** Ask for 8-bit grey or RGB, alpha laid over black. */
static void set_transforms(codec *c) {
    png_color_16 black;
    memset(&black, 0, sizeof(black));
    png_set_expand(c->png);
    png_set_scale_16(c->png);
    png_set_background(c->png, &black, PNG_BACKGROUND_GAMMA_SCREEN, 0, 1.0);
}

/** The whole decoding; false where libpng, or a check, jumped out. */
static bool decode(codec *c) {
    if (setjmp(png_jmpbuf(c->png)))
        return false;
    png_set_read_fn(c->png, c, on_read);
    png_set_user_limits(c->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* ours are in check_size */
    png_set_crc_action(c->png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_keep_unknown_chunks(c->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_benign_errors(c->png, 0);
    png_read_info(c->png, c->info);
    check_size(c);
    set_transforms(c);
    int passes = png_set_interlace_handling(c->png);
    png_read_update_info(c->png, c->info);
    if (basin__image_init(c->context, &c->image, (int)png_get_image_height(c->png, c->info),
                          (int)png_get_image_width(c->png, c->info),
                          png_get_channels(c->png, c->info)) != BASIN_OK) {
        c->out_of_memory = true;
        return false;
    }
    size_t stride = (size_t)c->image.width * (size_t)c->image.channels;
    for (int pass = 0; pass < passes; pass++)
        for (int y = 0; y < c->image.height; y++)
            png_read_row(c->png, c->image.pixels + (size_t)y * stride, NULL);
    png_read_end(c->png, NULL);
    return true;
}

static basin_status decode_failed(const codec *c, const char *path) {
    if (c->out_of_memory)
        return BASIN_ERROR_MEMORY;
    return basin__fail(c->context, BASIN_ERROR_FORMAT,
                       "'%s' is not a whole PNG image: byte %zu: %s", path, c->at, c->message);
}

static basin_status decode_file(codec *c, const char *path) {
    if (c->bytes < 8 || png_sig_cmp(c->data, 0, 8) != 0)
        return basin__fail(c->context, BASIN_ERROR_FORMAT,
                           "'%s' is not a PNG image: it does not begin with the PNG signature",
                           path);
    c->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, c, on_error, on_warning, c,
                                      png_allocate, png_release);
    if (!c->png)
        return decode_failed(c, path);
    c->info = png_create_info_struct(c->png);
    bool good = c->info && decode(c);
    basin_status status = good ? BASIN_OK : decode_failed(c, path);
    png_destroy_read_struct(&c->png, &c->info, NULL);
    return status;
}

basin_status basin__png_read(basin_context *context, const char *path, basin__image *image) {
    codec c = {.context = context};
    memset(image, 0, sizeof(*image));
    BASIN_TRY(basin__file_read(context, path, PNG_BYTES_MAX, &c.data, &c.bytes));
    basin_status status = decode_file(&c, path);
    basin__free(context, c.data);
    if (status == BASIN_OK)
        *image = c.image;
    else
        basin__image_reset(context, &c.image);
    return status;
}

/* ---- writing ---- */

static bool encode(codec *c) {
    if (setjmp(png_jmpbuf(c->png)))
        return false;
    const basin__image *image = &c->image;
    size_t stride = (size_t)image->width * (size_t)image->channels;
    png_set_write_fn(c->png, c, on_write, on_flush);
    png_set_IHDR(c->png, c->info, (png_uint_32)image->width, (png_uint_32)image->height, 8,
                 image->channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(c->png, c->info);
    for (int y = 0; y < image->height; y++)
        png_write_row(c->png, image->pixels + (size_t)y * stride);
    png_write_end(c->png, NULL);
    return true;
}

basin_status basin__png_encode(basin_context *context, const basin__image *image,
                               unsigned char **data, size_t *bytes) {
    codec c = {.context = context, .image = *image};
    bool good = false;
    *data = NULL;
    *bytes = 0;
    c.png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, &c, on_error, on_warning, &c,
                                      png_allocate, png_release);
    if (c.png) {
        c.info = png_create_info_struct(c.png);
        good = c.info && encode(&c);
        png_destroy_write_struct(&c.png, &c.info);
    }
    if (!good) {
        basin__free(context, c.data);
        return c.out_of_memory
                   ? BASIN_ERROR_MEMORY
                   : basin__fail(context, BASIN_ERROR_ARGUMENT,
                                 "an image of %d by %d pixels and %d channels cannot be "
                                 "written as PNG: %s",
                                 image->width, image->height, image->channels, c.message);
    }
    *data = c.data;
    *bytes = c.bytes;
    return BASIN_OK;
}

basin_status basin__png_write(basin_context *context, const char *path, const basin__image *image) {
    unsigned char *data;
    size_t bytes;
    BASIN_TRY(basin__png_encode(context, image, &data, &bytes));
    basin_status status = basin__file_write(context, path, data, bytes);
    basin__free(context, data);
    return status;
}
