/* SPDX-License-Identifier: Apache-2.0 */
/* Image sets on one scale. */
#include "eval/unit.h"
#include "energy/energy.h"
#include <math.h>
#include <string.h>

/** All of a set's values, [count, size]; NULL without memory. */
static float *read_all(basin_context *context, const basin_data *data, int64_t size) {
    const int64_t count = basin_data_describe(data)->count;
    float *x = basin__alloc_array(context, (size_t)count, (size_t)size * sizeof *x);
    for (int64_t i = 0; x && i < count; i++)
        basin_data_get(data, i, x + i * size);
    return x;
}

static basin_status find_range(basin_context *context, const basin_data_info *info,
                               const char *option, basin__unit *unit) {
    unit->low = info->low;
    unit->high = info->high;
    if (basin__range_is_usual((basin__range){info->low, info->high}))
        return BASIN_OK;
    return basin__fail(context, BASIN_ERROR_CONFIG,
                       "%s has values from %g to %g, which is neither [0, 1] nor [-1, 1]: %s%s",
                       info->name, (double)info->low, (double)info->high,
                       option ? "say what is black and what is white with " : "scale it to one",
                       option ? option : "");
}

static void apply(basin__unit *unit, float *x, int64_t n) {
    const float span = unit->high - unit->low;
    int64_t outside = 0;
    for (int64_t i = 0; i < n; i++) {
        outside += x[i] < unit->low || x[i] > unit->high;
        x[i] = fminf(fmaxf((x[i] - unit->low) / span, 0.0f), 1.0f);
    }
    unit->clamped = n > 0 ? (double)outside / (double)n : 0.0;
}

static int *read_labels(basin_context *context, const basin_data *data) {
    const int64_t count = basin_data_describe(data)->count;
    int *labels = basin__alloc_array(context, (size_t)count, sizeof *labels);
    for (int64_t i = 0; labels && i < count; i++)
        labels[i] = basin_data_label(data, i);
    return labels;
}

basin_status basin__unit_images(basin_context *context, const basin_data *data, const float *range,
                                const char *option, basin__unit *unit, basin_data **out) {
    const basin_data_info *info = basin_data_describe(data);
    const int64_t size = (int64_t)info->height * info->width * info->channels;
    *out = NULL;
    *unit = (basin__unit){.low = info->low, .high = info->high};
    if (range && !(range[0] < range[1]))
        return basin__fail(context, BASIN_ERROR_CONFIG,
                           "range %g to %g of %s: the first number, black, must be the smaller one",
                           (double)range[0], (double)range[1], info->name);
    float *x = read_all(context, data, size);
    int *labels = info->class_count > 0 ? read_labels(context, data) : NULL;
    basin_status status = x && (labels || info->class_count == 0) ? BASIN_OK : BASIN_ERROR_MEMORY;
    if (status == BASIN_OK && info->is_image) {
        if (range) {
            unit->low = range[0];
            unit->high = range[1];
        } else {
            status = find_range(context, info, option, unit);
        }
        if (status == BASIN_OK)
            apply(unit, x, info->count * size);
    }
    if (status == BASIN_OK)
        status = basin_data_from_memory(context, info->name, info->count, info->height, info->width,
                                        info->channels, info->is_image, x, labels, out);
    basin__free(context, labels);
    basin__free(context, x);
    return status;
}
