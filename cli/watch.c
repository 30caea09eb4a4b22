/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chains of the plane are kept step by step and drawn at the end; of images each frame is drawn and
 * encoded when it comes.
 */
#include "watch.h"
#include "base/file.h"
#include "eval/walk_picture.h"
#include <string.h>

#define PLACES_MAX 10000000 /* of all chains together: more is no picture */

static bool is_plane(const basin_energy *energy) {
    return basin_shape_count(energy->shape) == 2 && energy->shape.channels == 2;
}

static bool is_picture(const basin_energy *energy) {
    const basin_shape shape = energy->shape;
    return shape.height * shape.width > 1 && (shape.channels == 1 || shape.channels == 3);
}

/* ---- what is asked for ---- */

static basin_status check_file(const basin_energy *energy, const char *option, const char *path,
                               const char *ending) {
    const size_t length = strlen(path), end = strlen(ending);
    if (length <= end || strcmp(path + length - end, ending) != 0)
        return basin__fail(energy->context, BASIN_ERROR_CONFIG, "--%s %s is no X%s", option, path,
                           ending);
    return basin__file_check_writable(energy->context, path);
}

static basin_status check_walks(const basin_energy *energy, const char *path) {
    const basin_shape shape = energy->shape;
    if (!is_plane(energy))
        return basin__fail(energy->context, BASIN_ERROR_CONFIG,
                           "--walks %s: walks are drawn in the plane, and the model takes %d x %d "
                           "x %d",
                           path, shape.height, shape.width, shape.channels);
    return check_file(energy, "walks", path, ".png");
}

static basin_status check_animation(const basin_energy *energy, const char *path) {
    const basin_shape shape = energy->shape;
    if (!is_plane(energy) && !is_picture(energy))
        return basin__fail(energy->context, BASIN_ERROR_CONFIG,
                           "--animation %s: images and points of the plane can be shown, and the "
                           "model takes %d x %d x %d",
                           path, shape.height, shape.width, shape.channels);
    return check_file(energy, "animation", path, ".gif");
}

basin_status basin__watch_check(const basin__watch_options *asked, const basin_energy *energy) {
    if (asked->walks)
        BASIN_TRY(check_walks(energy, asked->walks));
    return asked->animation ? check_animation(energy, asked->animation) : BASIN_OK;
}

/* ---- while chains walk ---- */

static basin_status keep_places(void *user, int64_t step, int64_t n, const float *x) {
    basin__watch *watch = user;
    basin_context *context = watch->energy->context;
    const int64_t place = watch->places;
    const size_t bytes = 2 * (size_t)n * sizeof(float);
    if ((place + 1) * n > PLACES_MAX)
        return basin__fail(context, BASIN_ERROR_CONFIG,
                           "--%s: more than %d steps of all chains together; take fewer",
                           watch->asked->walks ? "walks" : "animation", PLACES_MAX);
    (void)step;
    if ((place & (place - 1)) == 0) { /* 0, 1, 2, 4, …: room for as many more */
        const size_t old = (size_t)place * bytes, all = 2 * (size_t)(place > 0 ? place : 1) * bytes;
        float *more = basin__grow(context, watch->x, old, all);
        if (!more)
            return BASIN_ERROR_MEMORY;
        watch->x = more;
    }
    memcpy(watch->x + 2 * place * n, x, bytes);
    watch->places = place + 1;
    watch->n = n;
    return BASIN_OK;
}

basin_status basin__sample_grid(const basin_energy *energy, const float *x, int64_t n, int columns,
                                int zoom, basin__image *grid) {
    const basin_shape shape = energy->shape;
    const basin__range range = basin__energy_range(energy);
    return basin__image_grid(energy->context, grid, x, n, shape.height, shape.width, shape.channels,
                             range.low, range.high, columns, zoom);
}

static basin_status add_frame(void *user, int64_t step, int64_t n, const float *x) {
    basin__watch *watch = user;
    basin_context *context = watch->energy->context;
    basin__image grid = {0};
    (void)step;
    BASIN_TRY(basin__sample_grid(watch->energy, x, n, watch->columns, watch->zoom, &grid));
    basin_status status = BASIN_OK;
    if (!watch->gif)
        status = basin__gif_open(context, grid.height, grid.width, grid.channels, &watch->gif);
    if (status == BASIN_OK)
        status = basin__gif_add(watch->gif, &grid);
    basin__image_reset(context, &grid);
    return status;
}

void basin__watch_begin(basin__watch *watch, basin_sample_options *sampling) {
    const basin__watch_options *asked = watch->asked;
    if (!asked->walks && !asked->animation)
        return;
    const bool in_plane = is_plane(watch->energy);
    sampling->visit = in_plane ? keep_places : add_frame;
    sampling->visit_user = watch;
    sampling->visit_count = in_plane ? 0 : asked->frames;
    sampling->visit_estimates = asked->frames_of == 1;
}

/* ---- what comes of it ---- */

basin_status basin__watch_write(basin__watch *watch, double temperature) {
    const basin__watch_options *asked = watch->asked;
    basin_energy *energy = watch->energy;
    if (watch->gif)
        return basin__gif_write(watch->gif, asked->animation);
    const double own = basin_energy_temperature(energy).value;
    const double shown = temperature > 0 ? temperature : own > 0 ? own : 1;
    const double low = basin__energy_noted_number(energy, "range_low", 0) - 1;
    const double high = basin__energy_noted_number(energy, "range_high", 1) + 1;
    const basin__walks walks = {.x = watch->x, .places = watch->places, .n = watch->n};
    if (asked->walks)
        BASIN_TRY(basin__walk_picture(energy->context, asked->walks, &walks, basin__plane_energy_of,
                                      energy, shown, low, high));
    if (asked->animation)
        BASIN_TRY(basin__walk_animation(energy->context, asked->animation, &walks, asked->frames,
                                        basin__plane_energy_of, energy, shown, low, high));
    return BASIN_OK;
}

void basin__watch_reset(basin__watch *watch) {
    basin__gif_close(watch->gif);
    if (watch->x)
        basin__free(watch->energy->context, watch->x);
}
