/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open data sets: their examples, labels and fingerprint.
 *
 * Images from files stay the bytes that they were (MNIST is 47 MB) and become
 * floats one example at a time; built-in sets store nothing.
 */
#include "data/set.h"
#include "io/bytes.h"
#include <math.h>
#include <sha2.h>
#include <string.h>

#define DATA_VALUES_MAX ((int64_t)1 << 40)
#define BEYOND 0.1f /* of a range's length: what samplers overshoot by */
#define DARK -0.5f  /* images of [−1, 1] have pixels below; those of [0, 1] have none near */

void basin_data_close(basin_data *data) {
    if (!data)
        return;
    basin_context *context = data->context;
    for (int i = 0; data->class_names && i < data->info.class_count; i++)
        basin__free(context, data->class_names[i]);
    basin__free(context, data->class_names);
    basin__free(context, data->name);
    basin__free(context, data->source);
    basin__free(context, data->bytes);
    basin__free(context, data->values);
    basin__free(context, data->labels);
    basin__free(context, data->kept);
    basin__free(context, data);
}

const basin_data_info *basin_data_describe(const basin_data *data) { return &data->info; }

/** Where an example lies among all that were read or can be drawn. */
static int64_t place(const basin_data *data, int64_t index) {
    return data->kept ? data->kept[index] : index;
}

/** Number and stream of an example of a built-in set, by its place. */
static int64_t locate(const basin_data *data, int64_t index, uint64_t *stream) {
    bool is_second = index >= data->first_count;
    *stream = data->stream[is_second];
    return is_second ? index - data->first_count : index;
}

void basin_data_get(const basin_data *data, int64_t index, float *x) {
    int64_t n = data->value_count;
    index = place(data, index);
    if (data->bytes) {
        const unsigned char *from = data->bytes + index * n;
        for (int64_t i = 0; i < n; i++)
            x[i] = (float)from[i] / 255.0f;
    } else if (data->values) {
        memcpy(x, data->values + index * n, (size_t)n * sizeof(float));
    } else {
        uint64_t stream;
        int64_t number = locate(data, index, &stream);
        data->def->draw(data, stream, number, x);
    }
}

int basin_data_label(const basin_data *data, int64_t index) {
    index = place(data, index);
    if (data->labels)
        return data->labels[index];
    if (!data->def || !data->def->label)
        return -1;
    uint64_t stream;
    int64_t number = locate(data, index, &stream);
    return data->def->label(stream, number);
}

/** Examples one after the other, then labels as 32-bit numbers. */
void basin_data_sha256(const basin_data *data, char text[65]) {
    SHA2_CTX sha;
    size_t n = (size_t)data->value_count;
    SHA256Init(&sha);
    for (int64_t i = 0; i < data->info.count; i++) {
        size_t at = (size_t)place(data, i) * n;
        if (data->bytes) {
            SHA256Update(&sha, data->bytes + at, n);
        } else if (data->values) {
            SHA256Update(&sha, (const uint8_t *)(data->values + at), n * sizeof(float));
        } else {
            float x[BASIN__BUILT_IN_VALUES_MAX];
            basin_data_get(data, i, x);
            SHA256Update(&sha, (const uint8_t *)x, n * sizeof(float));
        }
    }
    for (int64_t i = 0; data->info.class_count > 0 && i < data->info.count; i++) {
        unsigned char label[4];
        basin__put_u32(label, (uint32_t)basin_data_label(data, i));
        SHA256Update(&sha, label, sizeof(label));
    }
    SHA256End(&sha, text);
}

static basin_status check_class(const basin_data *data, int label) {
    if (label < data->info.class_count)
        return BASIN_OK;
    return basin__fail(data->context, BASIN_ERROR_CONFIG,
                       data->info.class_count > 0 ? "there is no class %d in %s: it has %d, from 0"
                                                  : "class %d is asked for, and %s has no labels",
                       label, data->info.name, data->info.class_count);
}

basin_status basin__data_keep(basin_data *data, int without, int only, int64_t count_max) {
    basin_context *context = data->context;
    int64_t count = 0;
    BASIN_TRY(check_class(data, without));
    BASIN_TRY(check_class(data, only));
    int64_t *kept = basin__alloc_array(context, (size_t)data->info.count, sizeof(int64_t));
    char *name = only >= 0 ? basin__format(context, "%s of class %d", data->name, only)
                           : basin__format(context, "%s without class %d", data->name, without);
    if (!kept || !name) {
        basin__free(context, kept);
        basin__free(context, name);
        return BASIN_ERROR_MEMORY;
    }
    for (int64_t i = 0; i < data->info.count && (count_max == 0 || count < count_max); i++) {
        const int label = basin_data_label(data, i);
        if (label != without && (only < 0 || label == only))
            kept[count++] = i;
    }
    basin__free(context, data->name);
    data->name = name;
    data->kept = kept;
    data->info.name = name;
    data->info.count = count;
    return count > 0 ? BASIN_OK
                     : basin__fail(context, BASIN_ERROR_CONFIG, "%s has no examples", name);
}

basin_status basin__data_set_shape(basin_data *data, int64_t count, int64_t height, int64_t width,
                                   int64_t channels) {
    const int64_t side_max = 1 << 24;
    bool fits = count >= 1 && height >= 1 && width >= 1 && channels >= 1 && height <= side_max &&
                width <= side_max && channels <= side_max &&
                height * width <= DATA_VALUES_MAX / channels &&
                count <= DATA_VALUES_MAX / (height * width * channels);
    if (!fits)
        return basin__fail(
            data->context, BASIN_ERROR_FORMAT,
            "%lld examples of %lld x %lld x %lld (height, width, channels): expected at "
            "least one value, and at most %lld in all",
            (long long)count, (long long)height, (long long)width, (long long)channels,
            (long long)DATA_VALUES_MAX);
    data->info.count = count;
    data->info.height = (int)height;
    data->info.width = (int)width;
    data->info.channels = (int)channels;
    data->value_count = height * width * channels;
    return BASIN_OK;
}

basin_status basin__data_allocate(basin_data *data, int64_t count, int height, int width,
                                  int channels) {
    BASIN_TRY(basin__data_set_shape(data, count, height, width, channels));
    data->info.is_image = true;
    data->info.low = 0;
    data->info.high = 1;
    data->bytes = basin__alloc_array(data->context, (size_t)count, (size_t)data->value_count);
    return data->bytes ? BASIN_OK : BASIN_ERROR_MEMORY;
}

basin_status basin__data_add_source(basin_data *data, const char *path) {
    char *all = data->source ? basin__format(data->context, "%s, %s", data->source, path)
                             : basin__strdup(data->context, path);
    if (!all)
        return BASIN_ERROR_MEMORY;
    basin__free(data->context, data->source);
    data->source = all;
    data->info.source = all;
    return BASIN_OK;
}

basin_status basin__data_set_classes(basin_data *data, const char *const *names, int count) {
    data->class_names = basin__alloc_array(data->context, (size_t)count, sizeof(char *));
    if (!data->class_names)
        return BASIN_ERROR_MEMORY;
    data->info.class_count = count;
    data->info.class_names = (const char *const *)data->class_names;
    for (int i = 0; i < count; i++) {
        data->class_names[i] = basin__strdup(data->context, names[i]);
        if (!data->class_names[i])
            return BASIN_ERROR_MEMORY;
    }
    return BASIN_OK;
}

/**
 * Samplers leave values a little outside of a model's range, so an array's own extremes are no
 * scale: [−0.03, 1] is [0, 1] and not [−1, 1]. Only ranges that cannot be confused are guessed.
 */
static void guess_scale(float *low, float *high) {
    const float dark = *low < DARK ? -1.0f : 0.0f, room = BEYOND * (1 - dark);
    if (*low < dark - room || *high > 1 + room)
        return;
    *low = dark;
    *high = 1;
}

basin_status basin__data_set_range(basin_data *data, const char *what, const float *values,
                                   int64_t count) {
    float low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(values[i]))
            return basin__fail(data->context, BASIN_ERROR_FORMAT,
                               "'%s': value %lld is not finite; expected finite numbers", what,
                               (long long)i);
        low = fminf(low, values[i]);
        high = fmaxf(high, values[i]);
    }
    if (data->info.is_image) {
        guess_scale(&low, &high);
    } else {
        float margin = high > low ? 0.1f * (high - low) : 1.0f;
        low -= margin;
        high += margin;
    }
    data->info.low = low;
    data->info.high = high;
    return BASIN_OK;
}

bool basin__data_range_is_guessed(const basin_data *data) {
    return data->info.is_image && data->values;
}

static basin_status fill(basin_data *data, const float *x, const int *labels) {
    basin_data_info *info = &data->info;
    int64_t n = info->count * data->value_count;
    BASIN_TRY(basin__data_set_range(data, data->name, x, n));
    data->values = basin__alloc_array(data->context, (size_t)n, sizeof(float));
    if (!data->values)
        return BASIN_ERROR_MEMORY;
    memcpy(data->values, x, (size_t)n * sizeof(float));
    if (!labels)
        return BASIN_OK;
    data->labels = basin__alloc_array(data->context, (size_t)info->count, sizeof(int32_t));
    if (!data->labels)
        return BASIN_ERROR_MEMORY;
    for (int64_t i = 0; i < info->count; i++) {
        if (labels[i] < -1 || labels[i] >= 1 << 24)
            return basin__fail(data->context, BASIN_ERROR_ARGUMENT,
                               "'%s': label %d of example %lld; expected -1 (none) to %d",
                               data->name, labels[i], (long long)i, (1 << 24) - 1);
        data->labels[i] = labels[i];
        if (labels[i] >= info->class_count)
            info->class_count = labels[i] + 1;
    }
    return BASIN_OK;
}

typedef struct density_task {
    const basin_data *data;
    double noise_std;
    const float *x;
    double *log_density;
} density_task;

static void find_density(void *user, int64_t index, int worker) {
    const density_task *task = user;
    (void)worker;
    task->log_density[index] =
        task->data->def->log_density(task->x + index * task->data->value_count, task->noise_std);
}

basin_status basin_data_log_density(const basin_data *data, double noise_std, int64_t n,
                                    const float *x, double *log_density) {
    density_task task = {data, noise_std, x, log_density};
    if (!data->def || !data->def->log_density)
        return basin__fail(data->context, BASIN_ERROR_UNSUPPORTED,
                           "the density of '%s' is not known: only the built-in points have one",
                           data->name);
    if (!(noise_std >= 0 && noise_std < 1e6) || (noise_std > 0 && noise_std < 0.01))
        return basin__fail(data->context, BASIN_ERROR_ARGUMENT,
                           "noise of %g on '%s': expected 0, or 0.01 and more", noise_std,
                           data->name);
    basin__parallel(data->context, n, find_density, &task);
    return BASIN_OK;
}

basin_status basin_data_from_memory(basin_context *context, const char *name, int64_t count,
                                    int height, int width, int channels, bool is_image,
                                    const float *x, const int *labels, basin_data **out) {
    *out = NULL;
    basin_data *data = basin__alloc(context, sizeof(*data));
    if (!data)
        return BASIN_ERROR_MEMORY;
    data->context = context;
    data->name = basin__strdup(context, name);
    data->info.name = data->name;
    data->info.is_image = is_image;
    basin_status status = data->name ? BASIN_OK : BASIN_ERROR_MEMORY;
    if (status == BASIN_OK)
        status = basin__data_add_source(data, "memory");
    if (status == BASIN_OK &&
        basin__data_set_shape(data, count, height, width, channels) != BASIN_OK)
        status = BASIN_ERROR_ARGUMENT;
    if (status == BASIN_OK)
        status = fill(data, x, labels);
    if (status == BASIN_ERROR_FORMAT)
        status = BASIN_ERROR_ARGUMENT;
    if (status != BASIN_OK) {
        basin_data_close(data);
        return status;
    }
    *out = data;
    return BASIN_OK;
}
