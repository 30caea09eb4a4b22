/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GIF out, by giflib.
 *
 * A frame is encoded when the next one comes, since the last is shown for longer. Where colours are
 * drawn, a pixel that is as in the frame before is left out by the transparent colour: a few lines
 * moving on a still ground cost a few hundred bytes a frame. Grey needs all 256 entries for its
 * levels, and has none to spare for that.
 *
 * GIF89a; what makes it play for ever is the application extension NETSCAPE2.0.
 */
#include "io/gif.h"
#include "base/file.h"
#include <gif_lib.h>
#include <string.h>

#define DELAY 8  /* of a frame, 1/100 s */
#define HOLD 200 /* of the last */
#define ENTRIES 256
#define LEVELS 6     /* of red, of green, of blue */
#define LEVEL_GAP 51 /* between those */
#define GREYS 41     /* levels of grey, evenly: every 8th is in the cube of colours */
#define GREY_SHARE 8 /* steps of grey in a step of the cube */
#define CUBE (LEVELS * LEVELS * LEVELS)
#define TRANSPARENT 255

struct basin__gif {
    basin_context *context;
    GifFileType *file;
    int height, width, channels;
    int64_t frames;              /* that were added */
    unsigned char *now, *before; /* [height, width] entries: the last frame, and the one before */
    unsigned char *row;          /* [width] */
    unsigned char *data;         /* what is encoded */
    size_t bytes, room;
    bool out_of_memory;
};

/* ---- the palette ---- */

/** A level of grey from 0 to GREYS − 1. */
static int grey_value(int level) { return (255 * level + (GREYS - 1) / 2) / (GREYS - 1); }

static int grey_entry(int level) {
    const int cube_level = level / GREY_SHARE;
    return level % GREY_SHARE == 0 ? cube_level * (LEVELS * LEVELS + LEVELS + 1)
                                   : CUBE + level - cube_level - 1;
}

static void fill_palette(int channels, GifColorType palette[ENTRIES]) {
    memset(palette, 0, ENTRIES * sizeof *palette);
    for (int i = 0; channels == 1 && i < ENTRIES; i++)
        palette[i] = (GifColorType){(GifByteType)i, (GifByteType)i, (GifByteType)i};
    for (int i = 0; channels == 3 && i < CUBE; i++)
        palette[i] = (GifColorType){(GifByteType)(i / (LEVELS * LEVELS) * LEVEL_GAP),
                                    (GifByteType)(i / LEVELS % LEVELS * LEVEL_GAP),
                                    (GifByteType)(i % LEVELS * LEVEL_GAP)};
    for (int i = 0; channels == 3 && i < GREYS; i++) {
        const GifByteType value = (GifByteType)grey_value(i);
        palette[grey_entry(i)] = (GifColorType){value, value, value};
    }
}

static int square(int x) { return x * x; }

/** The nearest entry: of the cube, or a grey. */
static unsigned char colour_entry(const unsigned char rgb[3]) {
    int entry = 0, cube_error = 0, grey_error = 0;
    const int sum = rgb[0] + rgb[1] + rgb[2]; /* 3 × the nearest grey */
    const int level = (2 * sum * (GREYS - 1) + 765) / (2 * 765), grey = grey_value(level);
    for (int c = 0; c < 3; c++) {
        const int nearest = (rgb[c] + LEVEL_GAP / 2) / LEVEL_GAP;
        entry = entry * LEVELS + nearest;
        cube_error += square(rgb[c] - nearest * LEVEL_GAP);
        grey_error += square(rgb[c] - grey);
    }
    return (unsigned char)(grey_error < cube_error ? grey_entry(level) : entry);
}

/* ---- what giflib calls, and says ---- */

static int on_write(GifFileType *file, const GifByteType *from, int count) {
    basin__gif *gif = file->UserData;
    const size_t bytes = (size_t)count;
    if (bytes > gif->room - gif->bytes) {
        const size_t room = 2 * gif->room + bytes + 4096;
        unsigned char *data = basin__grow(gif->context, gif->data, gif->bytes, room);
        if (!data) {
            gif->out_of_memory = true;
            return 0;
        }
        gif->data = data;
        gif->room = room;
    }
    memcpy(gif->data + gif->bytes, from, bytes);
    gif->bytes += bytes;
    return count;
}

/** giflib takes nothing but memory, so what it cannot do is for want of that. */
static basin_status judge(const basin__gif *gif, int result, int error) {
    if (gif->out_of_memory)
        return BASIN_ERROR_MEMORY;
    if (result == GIF_OK)
        return BASIN_OK;
    const char *text = GifErrorString(error);
    return basin__fail(gif->context, BASIN_ERROR_MEMORY, "an animation of %d by %d pixels: %s",
                       gif->width, gif->height, text ? text : "giflib failed");
}

/* ---- encoding ---- */

static int put_loop(GifFileType *file) {
    static const GifByteType for_ever[] = {1, 0, 0};
    return EGifPutExtensionLeader(file, APPLICATION_EXT_FUNC_CODE) == GIF_OK &&
                   EGifPutExtensionBlock(file, 11, "NETSCAPE2.0") == GIF_OK &&
                   EGifPutExtensionBlock(file, 3, for_ever) == GIF_OK &&
                   EGifPutExtensionTrailer(file) == GIF_OK
               ? GIF_OK
               : GIF_ERROR;
}

static basin_status begin(basin__gif *gif) {
    GifColorType palette[ENTRIES];
    int error = 0;
    gif->file = EGifOpen(gif, on_write, &error);
    if (!gif->file)
        return judge(gif, GIF_ERROR, error);
    fill_palette(gif->channels, palette);
    ColorMapObject *map = GifMakeMapObject(ENTRIES, palette);
    if (!map)
        return judge(gif, GIF_ERROR, E_GIF_ERR_NOT_ENOUGH_MEM);
    EGifSetGifVersion(gif->file, true);
    int result = EGifPutScreenDesc(gif->file, gif->width, gif->height, 8, 0, map);
    GifFreeMapObject(map);
    if (result == GIF_OK)
        result = put_loop(gif->file);
    return judge(gif, result, gif->file->Error);
}

/** Encode the frame `now`. */
static basin_status put_frame(basin__gif *gif, int delay) {
    const bool is_sparse = gif->channels == 3 && gif->frames > 1;
    const GraphicsControlBlock control = {.DisposalMode = DISPOSE_DO_NOT,
                                          .DelayTime = delay,
                                          .TransparentColor =
                                              is_sparse ? TRANSPARENT : NO_TRANSPARENT_COLOR};
    const size_t width = (size_t)gif->width;
    GifByteType block[4];
    EGifGCBToExtension(&control, block);
    int result = EGifPutExtension(gif->file, GRAPHICS_EXT_FUNC_CODE, sizeof block, block);
    if (result == GIF_OK)
        result = EGifPutImageDesc(gif->file, 0, 0, gif->width, gif->height, false, NULL);
    for (size_t at = 0; result == GIF_OK && at < width * (size_t)gif->height; at += width) {
        memcpy(gif->row, gif->now + at, width);
        for (size_t i = 0; is_sparse && i < width; i++)
            if (gif->now[at + i] == gif->before[at + i])
                gif->row[i] = TRANSPARENT;
        result = EGifPutLine(gif->file, gif->row, gif->width);
    }
    return judge(gif, result, gif->file->Error);
}

basin_status basin__gif_open(basin_context *context, int height, int width, int channels,
                             basin__gif **out) {
    const size_t pixels = (size_t)height * (size_t)width;
    *out = NULL;
    basin__gif *gif = basin__alloc(context, sizeof *gif);
    if (!gif)
        return BASIN_ERROR_MEMORY;
    *gif = (basin__gif){.context = context, .height = height, .width = width, .channels = channels};
    gif->now = basin__alloc(context, pixels);
    gif->before = basin__alloc(context, pixels);
    gif->row = basin__alloc(context, (size_t)width);
    basin_status status = gif->now && gif->before && gif->row ? begin(gif) : BASIN_ERROR_MEMORY;
    if (status == BASIN_OK)
        *out = gif;
    else
        basin__gif_close(gif);
    return status;
}

basin_status basin__gif_add(basin__gif *gif, const basin__image *frame) {
    const size_t pixels = (size_t)gif->height * (size_t)gif->width;
    if (frame->height != gif->height || frame->width != gif->width ||
        frame->channels != gif->channels)
        return basin__fail(gif->context, BASIN_ERROR_ARGUMENT,
                           "a frame of %d by %d pixels and %d channels in an animation of %d by %d "
                           "and %d",
                           frame->width, frame->height, frame->channels, gif->width, gif->height,
                           gif->channels);
    if (gif->frames > 0)
        BASIN_TRY(put_frame(gif, DELAY));
    unsigned char *spare = gif->before;
    gif->before = gif->now;
    gif->now = spare;
    for (size_t i = 0; i < pixels; i++)
        gif->now[i] = gif->channels == 1 ? frame->pixels[i] : colour_entry(frame->pixels + 3 * i);
    gif->frames++;
    return BASIN_OK;
}

basin_status basin__gif_write(basin__gif *gif, const char *path) {
    int error = 0;
    BASIN_TRY(put_frame(gif, HOLD));
    const int result = EGifCloseFile(gif->file, &error);
    gif->file = NULL;
    BASIN_TRY(judge(gif, result, error));
    return basin__file_write(gif->context, path, gif->data, gif->bytes);
}

void basin__gif_close(basin__gif *gif) {
    if (!gif)
        return;
    int error;
    if (gif->file)
        EGifCloseFile(gif->file, &error);
    basin__free(gif->context, gif->now);
    basin__free(gif->context, gif->before);
    basin__free(gif->context, gif->row);
    basin__free(gif->context, gif->data);
    basin__free(gif->context, gif);
}
