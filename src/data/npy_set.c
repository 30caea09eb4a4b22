/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A .npy array as a data set: [N, D] are points, [N, H, W] grey images and
 * [N, H, W, C] images of one or three channels.
 *
 * Images of bytes are given out in [0, 1] like any others; all other numbers
 * as they are. The range is that of the whole array, so that it is the same
 * for every split of it.
 */
#include "data/set.h"
#include "io/npy.h"
#include <stdio.h>
#include <string.h>

static basin_status wrong_shape(basin_data *data, const char *path, const basin__npy *array) {
    char shape[128] = "";
    size_t at = 0;
    for (int i = 0; i < array->rank; i++)
        at += (size_t)snprintf(shape + at, sizeof(shape) - at, "%s%lld", i ? ", " : "",
                               (long long)array->dim[i]);
    bool is_planar = array->rank == 4 && (array->dim[1] == 1 || array->dim[1] == 3);
    return basin__fail(data->context, BASIN_ERROR_FORMAT,
                       "'%s' has shape [%s]: expected [N, D], [N, H, W] or [N, H, W, C] with C 1 "
                       "or 3%s",
                       path, shape, is_planar ? "; transpose it from [N, C, H, W]" : "");
}

static basin_status set_shape(basin_data *data, const char *path, const basin__npy *array,
                              int64_t count) {
    const int64_t *dim = array->dim;
    bool is_fitting = array->rank >= 2 && array->rank <= 4;
    if (array->rank == 4)
        is_fitting = dim[3] == 1 || dim[3] == 3;
    if (!is_fitting)
        return wrong_shape(data, path, array);
    data->info.is_image = array->rank > 2;
    basin_status status = array->rank == 2 ? basin__data_set_shape(data, count, 1, 1, dim[1])
                                           : basin__data_set_shape(data, count, dim[1], dim[2],
                                                                   array->rank == 4 ? dim[3] : 1);
    return status == BASIN_OK ? status : basin__fail_in(data->context, status, path);
}

/** Points of bytes are numbers like any others. */
static basin_status widen(basin_context *context, basin__npy *array, int64_t n) {
    array->values = basin__alloc_array(context, (size_t)n, sizeof(float));
    if (!array->values)
        return BASIN_ERROR_MEMORY;
    for (int64_t i = 0; i < n; i++)
        array->values[i] = (float)array->bytes[i];
    array->is_byte = false;
    return BASIN_OK;
}

/** Move numbers to the front of their memory, or, where they are less than half of it, to their
 * own. */
static basin_status shrink(basin_context *context, void **memory, size_t whole, size_t from,
                           size_t bytes) {
    unsigned char *all = *memory;
    if (bytes >= whole / 2) {
        memmove(all, all + from, bytes);
        return BASIN_OK;
    }
    *memory = basin__alloc(context, bytes);
    if (*memory)
        memcpy(*memory, all + from, bytes);
    basin__free(context, all);
    return *memory ? BASIN_OK : BASIN_ERROR_MEMORY;
}

/** Keep the examples from `first` on; the array's memory is the data set's then. */
static basin_status take(basin_data *data, basin__npy *array, int64_t first, int64_t total) {
    size_t example = (size_t)data->value_count * (array->is_byte ? 1 : sizeof(float));
    void *memory = array->is_byte ? (void *)array->bytes : array->values;
    array->bytes = NULL;
    array->values = NULL;
    BASIN_TRY(shrink(data->context, &memory, (size_t)total * example, (size_t)first * example,
                     (size_t)data->info.count * example));
    if (array->is_byte)
        data->bytes = memory;
    else
        data->values = memory;
    return BASIN_OK;
}

static basin_status fill(basin_data *data, const basin__data_request *request, basin__npy *array) {
    int64_t first, count, total = array->rank > 0 ? array->dim[0] : 0;
    BASIN_TRY(set_shape(data, request->path, array, total));
    if (array->is_byte && !data->info.is_image)
        BASIN_TRY(widen(data->context, array, total * data->value_count));
    data->info.low = 0;
    data->info.high = 1;
    if (!array->is_byte)
        BASIN_TRY(
            basin__data_set_range(data, request->path, array->values, total * data->value_count));
    BASIN_TRY(basin__split_range(data, request, false, total, &first, &count));
    data->info.count = count;
    BASIN_TRY(take(data, array, first, total));
    return basin__data_add_source(data, request->path);
}

static basin_status open_npy(basin_data *data, const basin__data_request *request) {
    basin__npy array;
    BASIN_TRY(basin__npy_read(data->context, request->path, &array));
    basin_status status = fill(data, request, &array);
    basin__npy_reset(data->context, &array);
    return status;
}

static bool accepts(const char *path, bool is_folder) {
    return !is_folder && (basin__ends_in(path, ".npy") || basin__ends_in(path, ".npy.gz"));
}

const basin__data_def basin__data_npy = {
    .name = "npy",
    .help = "a .npy array, plain or .gz: [N, D] points, [N, H, W] or [N, H, W, C] images",
    .accepts = accepts,
    .open = open_npy,
};
