/* SPDX-License-Identifier: Apache-2.0 */
/*
 * basin score --data -: paths of PNGs, a line each, scored as they come.
 *
 * One read takes what has come, at least a line; the images of those lines are read and scored
 * together. So a slow writer gets each answer at once, and a fast one whole blocks.
 */
#include "base/file.h"
#include "eval/score.h"
#include "io/image.h"
#include "score.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define INPUT_BYTES 65536 /* the longest path */
#define BLOCK BASIN__SCORE_BLOCK

typedef struct stream {
    basin__scoring *of;
    float *x;                 /* [BLOCK, size] */
    const char *paths[BLOCK]; /* in `input` */
    double scores[BLOCK];
    int64_t count;
    char input[INPUT_BYTES + 1];
    size_t used;
} stream;

/** An image as the energy takes it. Wrong channels and sizes are failures. */
static basin_status read_image(basin_context *context, const basin_energy *energy, const char *path,
                               float *x) {
    const basin_shape shape = energy->shape;
    const basin__range range = basin__energy_range(energy);
    basin__image image;
    BASIN_TRY(basin__png_read(context, path, &image));
    basin_status status = BASIN_OK;
    if (image.height != shape.height || image.width != shape.width ||
        image.channels != shape.channels)
        status = basin__fail(context, BASIN_ERROR_SHAPE,
                             "%s is of %d x %d x %d (height, width, channels); the model takes %d "
                             "x %d x %d",
                             path, image.height, image.width, image.channels, shape.height,
                             shape.width, shape.channels);
    for (int64_t i = 0; status == BASIN_OK && i < basin_shape_count(shape); i++)
        x[i] = range.low + (range.high - range.low) * ((float)image.pixels[i] / 255.0F);
    basin__image_reset(context, &image);
    return status;
}

static basin_status score_block(stream *in) {
    basin__scoring *of = in->of;
    BASIN_TRY(basin_detector_score(of->detector, in->count, in->x, in->scores));
    for (int64_t i = 0; i < in->count; i++)
        basin__score_row_print(of, &(basin__score_row){.path = in->paths[i]}, in->scores[i]);
    in->count = 0;
    return BASIN_OK;
}

/** An image that cannot be read is told, and the others go on. */
static basin_status take(stream *in, const char *path) {
    basin__scoring *of = in->of;
    basin_context *context = of->command->context;
    const int64_t size = basin_shape_count(of->energy->shape);
    if (!path[0])
        return BASIN_OK;
    basin_status status = read_image(context, of->energy, path, in->x + in->count * size);
    if (status == BASIN_ERROR_MEMORY)
        return status;
    if (status != BASIN_OK) {
        fprintf(stderr, "basin score: %s\n", basin_context_error(context));
        of->unread++;
        return BASIN_OK;
    }
    in->paths[in->count++] = path;
    return in->count == BLOCK ? score_block(in) : BASIN_OK;
}

/** Score the lines that are whole (at the end of input, what is left too) and keep the rest. */
static basin_status take_lines(stream *in, bool is_end) {
    char *line = in->input, *stop = in->input + in->used, *end;
    while ((end = memchr(line, '\n', (size_t)(stop - line))) || (is_end && line < stop)) {
        end = end ? end : stop;
        *end = '\0';
        BASIN_TRY(take(in, line));
        line = end < stop ? end + 1 : stop;
    }
    if (in->count > 0)
        BASIN_TRY(score_block(in));
    fflush(stdout);
    in->used = (size_t)(stop - line);
    memmove(in->input, line, in->used);
    return BASIN_OK;
}

static basin_status read_all(stream *in) {
    basin_context *context = in->of->command->context;
    for (;;) {
        if (in->used == INPUT_BYTES)
            return basin__fail(context, BASIN_ERROR_FORMAT,
                               "a line on stdin has more than %d bytes; expected a path a line",
                               INPUT_BYTES);
        ssize_t got = read(STDIN_FILENO, in->input + in->used, INPUT_BYTES - in->used);
        if (got < 0 && errno == EINTR && basin__signals_caught() == 0)
            continue;
        if (got < 0)
            return basin__fail_errno(context, "read", "stdin", errno);
        in->used += (size_t)got;
        BASIN_TRY(take_lines(in, got == 0));
        if (got == 0)
            return BASIN_OK;
    }
}

basin_status basin__score_stream(basin__scoring *of) {
    basin_context *context = of->command->context;
    const size_t size = (size_t)basin_shape_count(of->energy->shape);
    if (!basin__energy_is_image(of->energy))
        return basin__fail(context, BASIN_ERROR_CONFIG,
                           "--data - takes images, and the model takes points");
    stream *in = basin__alloc(context, sizeof *in);
    if (!in)
        return BASIN_ERROR_MEMORY;
    in->of = of;
    in->x = basin__alloc_array(context, BLOCK * size, sizeof(float));
    basin_status status = in->x ? read_all(in) : BASIN_ERROR_MEMORY;
    basin__free(context, in->x);
    basin__free(context, in);
    return status;
}
