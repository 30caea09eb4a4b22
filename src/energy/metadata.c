/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a model file says about its energy beside the tensors: texts by key, and
 * what is read from them, the temperature and the range of values.
 */
#include "base/number.h"
#include "energy/energy.h"
#include <math.h>
#include <stdarg.h>
#include <string.h>

#define OVERSHOOT 0.1f /* of a range's length: what samplers leave values beyond it */

basin_status basin__energy_note(basin_energy *energy, const char *key, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = basin__vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = length < 0 ? NULL : basin__alloc(energy->context, (size_t)length + 1);
    if (!text)
        return BASIN_ERROR_MEMORY;
    va_start(arguments, format);
    basin__vsnprintf(text, (size_t)length + 1, format, arguments);
    va_end(arguments);
    int failed = json_object_set_new(energy->metadata, key, json_string(text));
    basin__free(energy->context, text);
    if (failed != 0)
        return basin__fail(energy->context, BASIN_ERROR_FORMAT,
                           "metadata %s is not valid UTF-8, or memory ran out", key);
    return BASIN_OK;
}

const char *basin__energy_noted(const basin_energy *energy, const char *key) {
    return json_string_value(json_object_get(energy->metadata, key));
}

double basin__energy_noted_number(const basin_energy *energy, const char *key, double otherwise) {
    const char *text = basin__energy_noted(energy, key);
    double number;
    return text && basin__parse_double(text, &number) ? number : otherwise;
}

basin_temperature basin_energy_temperature(const basin_energy *energy) {
    const char *exact = basin__energy_noted(energy, "temperature_exact");
    return (basin_temperature){.value = basin__energy_noted_number(energy, "temperature", 1.0),
                               .is_exact =
                                   exact ? strcmp(exact, "true") == 0 : energy->network == NULL};
}

basin__range basin__energy_range(const basin_energy *energy) {
    return (basin__range){(float)basin__energy_noted_number(energy, "range_low", 0.0),
                          (float)basin__energy_noted_number(energy, "range_high", 1.0)};
}

void basin_energy_range(const basin_energy *energy, float *low, float *high) {
    basin__range range = basin__energy_range(energy);
    *low = range.low;
    *high = range.high;
}

bool basin__range_is_equal(basin__range a, basin__range b) {
    return !(a.low < b.low || a.low > b.low || a.high < b.high || a.high > b.high);
}

bool basin__range_is_usual(basin__range range) {
    return basin__range_is_equal(range, (basin__range){0, 1}) ||
           basin__range_is_equal(range, (basin__range){-1, 1});
}

basin__range basin__energy_range_of(const basin_energy *energy, const basin_data_info *info) {
    const basin__range of_data = {info->low, info->high};
    return info->is_image && basin__range_is_usual(of_data) ? of_data : basin__energy_range(energy);
}

void basin__range_apply(basin__range from, basin__range to, float *x, int64_t count) {
    const float span = from.high - from.low, scale = (to.high - to.low) / span;
    if (basin__range_is_equal(from, to) || !(span > 0.0f))
        return;
    for (int64_t i = 0; i < count; i++)
        x[i] = to.low + (x[i] - from.low) * scale;
}

void basin__energy_adapt(const basin_energy *energy, const basin_data_info *info, float *x,
                         int64_t count) {
    basin__range_apply(basin__energy_range_of(energy, info), basin__energy_range(energy), x, count);
}

/** Values that are neither of [0, 1] nor of [−1, 1] must be of the model's own range. */
static basin_status check_values(const basin_energy *energy, const basin_data_info *info) {
    const basin__range own = basin__energy_range_of(energy, info);
    const float room = OVERSHOOT * (own.high - own.low);
    if (!info->is_image || (info->low >= own.low - room && info->high <= own.high + room))
        return BASIN_OK;
    return basin__fail(energy->context, BASIN_ERROR_FORMAT,
                       "%s has values from %g to %g, which is neither [0, 1] nor [-1, 1] nor the "
                       "model's [%g, %g]: scale it to one",
                       info->name, (double)info->low, (double)info->high, (double)own.low,
                       (double)own.high);
}

basin_status basin__energy_takes(const basin_energy *energy, const basin_data_info *info) {
    basin_shape shape = energy->shape;
    if (info->height == shape.height && info->width == shape.width &&
        info->channels == shape.channels)
        return check_values(energy, info);
    return basin__fail(energy->context, BASIN_ERROR_SHAPE,
                       "%s has examples of %d x %d x %d (height, width, channels); the model takes "
                       "%d x %d x %d",
                       info->name, info->height, info->width, info->channels, shape.height,
                       shape.width, shape.channels);
}
