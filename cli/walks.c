/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chains of the plane, kept step by step and drawn.
 */
#include "walks.h"
#include "base/file.h"
#include "eval/walk_picture.h"
#include <string.h>

#define PLACES_MAX 10000000 /* of all chains together: more is no picture */

basin_status basin__walks_check(const basin_energy *energy, const char *path) {
    const basin_shape shape = energy->shape;
    if (basin_shape_count(shape) != 2 || shape.channels != 2)
        return basin__fail(
            energy->context, BASIN_ERROR_CONFIG,
            "--walks %s: walks are drawn in the plane, and the model takes %d x %d x "
            "%d",
            path, shape.height, shape.width, shape.channels);
    const size_t length = strlen(path);
    if (length < 5 || strcmp(path + length - 4, ".png") != 0)
        return basin__fail(energy->context, BASIN_ERROR_CONFIG, "--walks %s is no X.png", path);
    return basin__file_check_writable(energy->context, path);
}

basin_status basin__walks_visit(void *user, int64_t step, int64_t n, const float *x) {
    basin__walk_log *log = user;
    const size_t bytes = 2 * (size_t)n * sizeof(float);
    if ((step + 1) * n > PLACES_MAX)
        return basin__fail(log->context, BASIN_ERROR_CONFIG,
                           "--walks: more than %d steps of all chains together; take fewer",
                           PLACES_MAX);
    if ((step & (step - 1)) == 0) { /* 0, 1, 2, 4, …: room for as many more */
        const size_t old = (size_t)step * bytes, all = 2 * (size_t)(step > 0 ? step : 1) * bytes;
        float *more = basin__grow(log->context, log->x, old, all);
        if (!more)
            return BASIN_ERROR_MEMORY;
        log->x = more;
    }
    memcpy(log->x + 2 * step * n, x, bytes);
    log->places = step + 1;
    log->n = n;
    return BASIN_OK;
}

basin_status basin__walks_write(const basin__walk_log *log, basin_energy *energy,
                                double temperature, const char *path) {
    const double own = basin_energy_temperature(energy).value;
    const basin__walks walks = {.x = log->x, .places = log->places, .n = log->n};
    return basin__walk_picture(energy->context, path, &walks, basin__plane_energy_of, energy,
                               temperature > 0 ? temperature
                               : own > 0       ? own
                                               : 1,
                               basin__energy_noted_number(energy, "range_low", 0) - 1,
                               basin__energy_noted_number(energy, "range_high", 1) + 1);
}

void basin__walks_reset(basin__walk_log *log) { basin__free(log->context, log->x); }
