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

void basin__range_apply(basin__range range, const basin_data_info *info, float *x, int64_t count) {
    float span = info->high - info->low, scale = (range.high - range.low) / span;
    bool is_same = fabsf(info->low - range.low) <= 0.0f && fabsf(info->high - range.high) <= 0.0f;
    if (!info->is_image || is_same || !(span > 0.0f))
        return;
    for (int64_t i = 0; i < count; i++)
        x[i] = range.low + (x[i] - info->low) * scale;
}

basin_status basin__energy_takes(const basin_energy *energy, const basin_data_info *info) {
    basin_shape shape = energy->shape;
    if (info->height == shape.height && info->width == shape.width &&
        info->channels == shape.channels)
        return BASIN_OK;
    return basin__fail(energy->context, BASIN_ERROR_SHAPE,
                       "%s has examples of %d x %d x %d (height, width, channels); the model takes "
                       "%d x %d x %d",
                       info->name, info->height, info->width, info->channels, shape.height,
                       shape.width, shape.channels);
}
