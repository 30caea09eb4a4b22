/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The replay buffer on disk: a safetensors file with the chains as they are kept, their ages, and
 * their classes where they have any.
 * The metadata give the range of bytes and the queue's place.
 */
#include "base/number.h"
#include "io/safetensors.h"
#include "train/buffer.h"
#include <string.h>

static basin_status note(basin_context *context, json_t *metadata, const char *key, double number) {
    char text[32];
    basin__print_double(text, number);
    if (json_object_set_new(metadata, key, json_string(text)) != 0)
        return basin__fail(context, BASIN_ERROR_MEMORY, "no memory for the buffer's metadata");
    return BASIN_OK;
}

static double noted(const json_t *metadata, const char *key, double otherwise) {
    const char *text = json_string_value(json_object_get(metadata, key));
    double number;
    return text != NULL && basin__parse_double(text, &number) ? number : otherwise;
}

basin_status basin__buffer_save(const basin__buffer *buffer, basin_shape shape, const char *path) {
    json_t *metadata = json_object();
    if (metadata == NULL)
        return basin__fail(buffer->context, BASIN_ERROR_MEMORY, "no memory for metadata");
    basin_status status = note(buffer->context, metadata, "range_low", (double)buffer->low);
    if (status == BASIN_OK)
        status = note(buffer->context, metadata, "range_high", (double)buffer->high);
    if (status == BASIN_OK)
        status = note(buffer->context, metadata, "next", (double)buffer->next);
    size_t elements = (size_t)buffer->count * (size_t)buffer->size;
    char chains_name[] = "chains", age_name[] = "age", label_name[] = "label";
    basin__tensor_entry entries[3] = {
        {.name = chains_name,
         .dtype = buffer->is_byte ? BASIN__DTYPE_U8 : BASIN__DTYPE_F32,
         .rank = 4,
         .dim = {buffer->count, shape.height, shape.width, shape.channels},
         .data = buffer->is_byte ? (const void *)buffer->bytes : (const void *)buffer->values,
         .bytes = elements * (buffer->is_byte ? 1 : sizeof(float))},
        {.name = age_name,
         .dtype = BASIN__DTYPE_I32,
         .rank = 1,
         .dim = {buffer->count},
         .data = buffer->ages,
         .bytes = (size_t)buffer->count * sizeof(int32_t)},
    };
    entries[2] = entries[1];
    entries[2].name = label_name;
    entries[2].data = buffer->labels;
    const size_t count = buffer->labels != NULL ? 3 : 2;
    if (status == BASIN_OK)
        status = basin__safetensors_write(buffer->context, path, entries, count, metadata);
    json_decref(metadata);
    return status;
}

/* The entry "chains" if it holds examples of this shape. */
static const basin__tensor_entry *find_chains(const basin__safetensors *file, basin_shape shape) {
    const basin__tensor_entry *chains = basin__safetensors_find(file, "chains");
    if (chains == NULL || chains->rank != 4 || chains->dim[1] != shape.height ||
        chains->dim[2] != shape.width || chains->dim[3] != shape.channels ||
        (chains->dtype != BASIN__DTYPE_U8 && chains->dtype != BASIN__DTYPE_F32))
        return NULL;
    return chains;
}

/* Whether an entry is one number for each chain. */
static bool is_list(const basin__tensor_entry *entry, const basin__tensor_entry *chains) {
    return entry != NULL && entry->rank == 1 && entry->dtype == BASIN__DTYPE_I32 &&
           entry->dim[0] == chains->dim[0];
}

basin_status basin__buffer_load(basin__buffer *buffer, basin_shape shape, const char *path) {
    basin__safetensors file;
    BASIN_TRY(basin__safetensors_read(buffer->context, path, &file));
    const basin__tensor_entry *chains = find_chains(&file, shape);
    const basin__tensor_entry *ages = basin__safetensors_find(&file, "age");
    const basin__tensor_entry *labels = basin__safetensors_find(&file, "label");
    double next = noted(file.metadata, "next", 0);
    basin_status status = BASIN_OK;
    if (chains == NULL || chains->dim[0] > buffer->capacity ||
        (chains->dtype == BASIN__DTYPE_U8) != buffer->is_byte || !is_list(ages, chains) ||
        (buffer->labels != NULL && !is_list(labels, chains)) || !(next >= 0) ||
        next >= (double)buffer->capacity ||
        (!buffer->is_queue && chains->dim[0] != buffer->capacity)) {
        status = basin__fail(buffer->context, BASIN_ERROR_FORMAT,
                             "%s: not the replay buffer of this run (its size, shape or storage "
                             "differs from config.json)",
                             path);
    } else {
        buffer->count = chains->dim[0];
        buffer->next = (int64_t)next;
        memcpy(buffer->is_byte ? (void *)buffer->bytes : (void *)buffer->values, chains->data,
               chains->bytes);
        memcpy(buffer->ages, ages->data, ages->bytes);
        if (buffer->labels != NULL)
            memcpy(buffer->labels, labels->data, labels->bytes);
    }
    basin__safetensors_reset(buffer->context, &file);
    return status;
}

/* Chains as floats, whatever they are kept as. */
static void widen(const basin__safetensors *file, const basin__tensor_entry *chains,
                  int64_t elements, float *x) {
    const float low = (float)noted(file->metadata, "range_low", 0);
    const float step = ((float)noted(file->metadata, "range_high", 1) - low) / 255.0f;
    if (chains->dtype == BASIN__DTYPE_F32)
        memcpy(x, chains->data, chains->bytes);
    else
        for (int64_t i = 0; i < elements; i++)
            x[i] = low + step * (float)((const unsigned char *)chains->data)[i];
}

basin_status basin__buffer_read(basin_context *context, const char *path, basin_shape shape,
                                int64_t *count, float **x, int32_t **labels) {
    *x = NULL;
    *labels = NULL;
    basin__safetensors file;
    BASIN_TRY(basin__safetensors_read(context, path, &file));
    const basin__tensor_entry *chains = find_chains(&file, shape);
    const basin__tensor_entry *kept = basin__safetensors_find(&file, "label");
    basin_status status = BASIN_OK;
    if (chains == NULL || chains->dim[0] < 1 || (kept != NULL && !is_list(kept, chains))) {
        status = basin__fail(context, BASIN_ERROR_FORMAT,
                             "%s: holds no chains of %d x %d x %d; is it a replay buffer?", path,
                             shape.height, shape.width, shape.channels);
    } else {
        *count = chains->dim[0];
        int64_t elements = *count * basin_shape_count(shape);
        *x = basin__alloc_array(context, (size_t)elements, sizeof(float));
        if (kept != NULL)
            *labels = basin__alloc_array(context, (size_t)*count, sizeof(int32_t));
        if (*x == NULL || (kept != NULL && *labels == NULL))
            status = BASIN_ERROR_MEMORY;
        else
            widen(&file, chains, elements, *x);
        if (status == BASIN_OK && kept != NULL)
            memcpy(*labels, kept->data, kept->bytes);
    }
    basin__safetensors_reset(context, &file);
    return status;
}
