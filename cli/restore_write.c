/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What basin restore writes: arrays, and a picture with a row each for true images, what is seen of
 * them, what they were restored to, samples, and how far those differ.
 */
#include "base/file.h"
#include "eval/chart.h"
#include "io/npy.h"
#include "restore.h"
#include <string.h>

#define SHOWN 16        /* images in a picture */
#define SAMPLES_SHOWN 6 /* rows of samples */
#define DEVIATION_HIGH 0.5f
#define ROWS_MAX (4 + SAMPLES_SHOWN)

static bool ends_with(const char *text, const char *end) {
    const size_t length = strlen(text), end_length = strlen(end);
    return length > end_length && strcmp(text + length - end_length, end) == 0;
}

/* ---- before the work ---- */

static basin_status check_array(const basin__restore *all, const char *option, const char *path) {
    if (path == NULL)
        return BASIN_OK;
    if (!ends_with(path, ".npy"))
        return basin__fail(all->context, BASIN_ERROR_CONFIG, "--%s %s is no X.npy", option, path);
    return basin__file_check_writable(all->context, path);
}

static basin_status check_out(const basin__restore *all, const char *path) {
    const bool is_picture = ends_with(path, ".png");
    if (!is_picture && !ends_with(path, ".npy"))
        return basin__fail(all->context, BASIN_ERROR_CONFIG, "--out %s is neither X.png nor X.npy",
                           path);
    if (is_picture && all->shape.channels != 1 && all->shape.channels != 3)
        return basin__fail(all->context, BASIN_ERROR_CONFIG,
                           "images of %d channels are no pictures: write them with --out X.npy",
                           all->shape.channels);
    return basin__file_check_writable(all->context, path);
}

basin_status basin__restore_check_outputs(const basin__command *command,
                                          const basin__restore *all) {
    const basin__restore_options *options = all->options;
    bool has_picture = false;
    for (size_t i = 0; i < options->out.count; i++) {
        BASIN_TRY(check_out(all, options->out.items[i]));
        has_picture |= ends_with(options->out.items[i], ".png");
    }
    if (!has_picture &&
        (basin__command_is_given(command, "shown") || basin__command_is_given(command, "zoom")))
        return basin__fail(all->context, BASIN_ERROR_CONFIG,
                           "--shown and --zoom are of a picture: give --out X.png");
    BASIN_TRY(check_array(all, "samples-out", options->samples_out));
    BASIN_TRY(check_array(all, "deviation-out", options->deviation_out));
    BASIN_TRY(check_array(all, "degraded-out", options->degraded_out));
    BASIN_TRY(check_array(all, "labels-out", options->labels_out));
    if (options->labels_out && basin_data_describe(all->data)->class_count == 0)
        return basin__fail(all->context, BASIN_ERROR_CONFIG, "--labels-out %s: %s has no labels",
                           options->labels_out, basin_data_describe(all->data)->name);
    return BASIN_OK;
}

/* ---- arrays ---- */

static basin_status write_array(const basin__restore *all, const char *path, const float *x,
                                int64_t n, basin_shape shape) {
    const int64_t dim[] = {n, shape.height, shape.width, shape.channels};
    return path ? basin__npy_write(all->context, path, x, 4, dim) : BASIN_OK;
}

static basin_status write_labels(const basin__restore *all, const char *path) {
    if (path == NULL)
        return BASIN_OK;
    int32_t *labels = basin__alloc_array(all->context, (size_t)all->n, sizeof *labels);
    if (labels == NULL)
        return BASIN_ERROR_MEMORY;
    for (int64_t i = 0; i < all->n; i++)
        labels[i] = basin_data_label(all->data, i);
    basin_status status = basin__npy_write_ints(all->context, path, labels, 1, &all->n);
    basin__free(all->context, labels);
    return status;
}

void basin__restore_spread(const basin__restore *all, int64_t n, float *x) {
    const int64_t size = basin_shape_count(all->shape), seen = basin_shape_count(all->seen);
    if (size == seen) {
        memcpy(x, all->y, (size_t)(n * size) * sizeof *x);
        return;
    }
    basin_degradation_adjoint(all->degradation, n, all->y, x);
    for (int64_t i = 0; i < n * size; i++)
        x[i] *= (float)size / (float)seen;
}

/* ---- the picture ---- */

typedef struct sheet {
    const basin__restore *all;
    basin__image grids[ROWS_MAX];
    char *captions[ROWS_MAX];
    int count, shown;
} sheet;

/** Takes the caption over. `step` numbers lie between one image and the next. */
static basin_status add_row(sheet *page, char *caption, const float *x, int64_t step, float high) {
    const basin__restore *all = page->all;
    const basin_shape shape = all->shape;
    const int64_t size = basin_shape_count(shape);
    float *row = basin__alloc_array(all->context, (size_t)(page->shown * size), sizeof *row);
    page->captions[page->count] = caption;
    basin__image *grid = &page->grids[page->count++];
    basin_status status = row && caption ? BASIN_OK : BASIN_ERROR_MEMORY;
    for (int i = 0; status == BASIN_OK && i < page->shown; i++)
        memcpy(row + i * size, x + i * step, (size_t)size * sizeof *row);
    if (status == BASIN_OK)
        status = basin__image_grid(all->context, grid, row, page->shown, shape.height, shape.width,
                                   shape.channels, 0, high, page->shown, (int)all->options->zoom);
    basin__free(all->context, row);
    return status;
}

/* What is seen, on the grid of the images. */
static basin_status add_seen(sheet *page) {
    const basin__restore *all = page->all;
    const int64_t size = basin_shape_count(all->shape);
    float *x = basin__alloc_array(all->context, (size_t)(page->shown * size), sizeof *x);
    if (x == NULL)
        return BASIN_ERROR_MEMORY;
    basin__restore_spread(all, page->shown, x);
    basin_status status = add_row(page,
                                  basin__format(all->context, "Seen: %s, noise %g",
                                                all->options->task, all->options->noise_std),
                                  x, size, 1);
    basin__free(all->context, x);
    return status;
}

static basin_status add_restored(sheet *page) {
    const basin__restore *all = page->all;
    const int64_t size = basin_shape_count(all->shape), samples = all->options->samples;
    BASIN_TRY(add_row(page,
                      samples > 1 ? basin__format(all->context, "Restored: mean of %lld samples",
                                                  (long long)samples)
                                  : basin__strdup(all->context, "Restored"),
                      all->restored, size, 1));
    if (samples == 1)
        return BASIN_OK;
    for (int k = 0; k < samples && k < SAMPLES_SHOWN; k++)
        BASIN_TRY(add_row(page, basin__format(all->context, "Sample %d", k + 1),
                          all->draws + k * size, samples * size, 1));
    return add_row(page,
                   basin__format(all->context,
                                 "Standard deviation of the samples, 0 (black) to %g (white)",
                                 (double)DEVIATION_HIGH),
                   all->deviation, size, DEVIATION_HIGH);
}

static basin_status draw_sheet(const basin__restore *all, const char *path) {
    const int64_t wanted = all->options->shown > 0 ? all->options->shown : SHOWN;
    sheet page = {.all = all, .shown = (int)(wanted < all->n ? wanted : all->n)};
    basin_status status = BASIN_OK;
    if (all->truth)
        status = add_row(&page, basin__strdup(all->context, "True images"), all->truth,
                         basin_shape_count(all->shape), 1);
    if (status == BASIN_OK)
        status = add_seen(&page);
    if (status == BASIN_OK)
        status = add_restored(&page);
    if (status == BASIN_OK)
        status = basin__chart_captioned(all->context, path, page.grids,
                                        (const char *const *)page.captions, page.count);
    for (int i = 0; i < page.count; i++) {
        basin__image_reset(all->context, &page.grids[i]);
        basin__free(all->context, page.captions[i]);
    }
    return status;
}

basin_status basin__restore_write(const basin__restore *all) {
    const basin__restore_options *options = all->options;
    for (size_t i = 0; i < options->out.count; i++) {
        const char *path = options->out.items[i];
        BASIN_TRY(ends_with(path, ".png")
                      ? draw_sheet(all, path)
                      : write_array(all, path, all->restored, all->n, all->shape));
    }
    BASIN_TRY(
        write_array(all, options->samples_out, all->draws, all->n * options->samples, all->shape));
    BASIN_TRY(write_array(all, options->deviation_out, all->deviation, all->n, all->shape));
    BASIN_TRY(write_array(all, options->degraded_out, all->y, all->n, all->seen));
    return write_labels(all, options->labels_out);
}
