/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The replay buffer in memory: drawing, reading and writing back. Files are in buffer_file.c.
 */
#include "train/buffer.h"
#include "sampler/sampler.h"
#include "train/random.h"
#include <math.h>
#include <string.h>

/* The draw index of the first fill: no update reaches it. */
#define FILL_DRAW (UINT64_C(0xFFFFFFFFFFFF))

static void store(basin__buffer *buffer, int64_t slot, const float *x, const basin__draw *draw,
                  float *dither) {
    if (!buffer->is_byte) {
        memcpy(buffer->values + slot * buffer->size, x, (size_t)buffer->size * sizeof(float));
        return;
    }
    unsigned char *bytes = buffer->bytes + slot * buffer->size;
    const basin__cpu_kernels *kernels = basin__cpu_kernels_for(basin__context_isa(buffer->context));
    kernels->uniform(dither, buffer->size, draw);
    double scale = 255.0 / ((double)buffer->high - (double)buffer->low);
    for (int64_t i = 0; i < buffer->size; i++) {
        double level = ((double)x[i] - (double)buffer->low) * scale;
        double nearest = floor(level + 0.5);
        /* a value that was a level stays it, though it came back through a float */
        level = fabs(level - nearest) < 1e-4 ? nearest : floor(level + (double)dither[i]);
        bytes[i] = (unsigned char)(level < 0 ? 0 : level > 255 ? 255 : level);
    }
}

static basin_status fill(basin__buffer *buffer, uint64_t seed) {
    float *x = basin__alloc_array(buffer->context, 2 * (size_t)buffer->size, sizeof(float));
    if (x == NULL)
        return BASIN_ERROR_MEMORY;
    for (int64_t slot = 0; slot < buffer->capacity; slot++) {
        basin__chains_start(buffer->context, seed, FILL_DRAW, (uint32_t)slot, 0,
                            (double)buffer->low, (double)buffer->high, 1, buffer->size, x);
        basin__draw draw = {.seed = seed,
                            .draw = FILL_DRAW,
                            .chain = (uint32_t)slot,
                            .purpose = BASIN__PURPOSE_DITHER};
        store(buffer, slot, x, &draw, x + buffer->size);
    }
    basin__free(buffer->context, x);
    buffer->count = buffer->capacity;
    return BASIN_OK;
}

basin_status basin__buffer_init(basin_context *context, basin__buffer *buffer, int64_t capacity,
                                int64_t size, bool is_queue, bool is_byte, float low, float high,
                                uint64_t seed) {
    *buffer = (basin__buffer){.context = context,
                              .capacity = capacity,
                              .size = size,
                              .is_queue = is_queue,
                              .is_byte = is_byte,
                              .low = low,
                              .high = high};
    size_t elements = (size_t)capacity * (size_t)size;
    if (is_byte)
        buffer->bytes = basin__alloc_array(context, elements, 1);
    else
        buffer->values = basin__alloc_array(context, elements, sizeof(float));
    buffer->ages = basin__alloc_array(context, (size_t)capacity, sizeof(int32_t));
    buffer->order = basin__alloc_array(context, (size_t)capacity, sizeof(int32_t));
    basin_status status = BASIN_OK;
    if ((buffer->bytes == NULL && buffer->values == NULL) || buffer->ages == NULL ||
        buffer->order == NULL)
        status = BASIN_ERROR_MEMORY;
    else if (!is_queue)
        status = fill(buffer, seed);
    if (status != BASIN_OK) {
        basin__buffer_reset(buffer);
        return status;
    }
    for (int64_t i = 0; i < capacity; i++)
        buffer->order[i] = (int32_t)i;
    return BASIN_OK;
}

basin_status basin__buffer_add_labels(basin__buffer *buffer) {
    buffer->labels = basin__alloc_array(buffer->context, (size_t)buffer->capacity, sizeof(int32_t));
    return buffer->labels != NULL ? BASIN_OK : BASIN_ERROR_MEMORY;
}

void basin__buffer_reset(basin__buffer *buffer) {
    if (buffer->context == NULL)
        return;
    basin__free(buffer->context, buffer->values);
    basin__free(buffer->context, buffer->bytes);
    basin__free(buffer->context, buffer->ages);
    basin__free(buffer->context, buffer->labels);
    basin__free(buffer->context, buffer->order);
    *buffer = (basin__buffer){0};
}

/* Without replacement: the first n places of a Fisher–Yates shuffle, undone afterwards so that the
   next draw depends on its own update alone. */
void basin__buffer_draw(basin__buffer *buffer, const basin__moment *moment, int64_t n,
                        int32_t *slots) {
    basin__draw draw = {.seed = moment->seed,
                        .draw = moment->update,
                        .purpose = (uint16_t)(BASIN__PURPOSE_SLOT | moment->attempt << 8)};
    int32_t *order = buffer->order;
    for (int64_t i = 0; i < n; i++) {
        if (buffer->is_queue) {
            slots[i] = (int32_t)basin__random_below(&draw, (uint32_t)i, buffer->count);
            continue;
        }
        int64_t j = i + basin__random_below(&draw, (uint32_t)i, buffer->count - i);
        slots[i] = order[j];
        order[j] = order[i];
        order[i] = slots[i];
    }
    if (buffer->is_queue)
        return;
    for (int64_t i = 0; i < n; i++)
        order[slots[i]] = slots[i];
    for (int64_t i = 0; i < n; i++)
        order[i] = (int32_t)i;
}

void basin__buffer_get(const basin__buffer *buffer, int32_t slot, float *x) {
    if (!buffer->is_byte) {
        memcpy(x, buffer->values + slot * buffer->size, (size_t)buffer->size * sizeof(float));
        return;
    }
    const unsigned char *bytes = buffer->bytes + slot * buffer->size;
    const float step = (buffer->high - buffer->low) / 255.0f;
    for (int64_t i = 0; i < buffer->size; i++)
        x[i] = buffer->low + step * (float)bytes[i];
}

void basin__buffer_put(basin__buffer *buffer, const basin__moment *moment, int64_t n,
                       const int32_t *slots, const int32_t *ages, const float *labels,
                       const float *x, float *dither) {
    for (int64_t i = 0; i < n; i++) {
        int64_t slot = buffer->is_queue ? buffer->next : slots[i];
        basin__draw draw = {.seed = moment->seed,
                            .draw = moment->update,
                            .chain = (uint32_t)i,
                            .purpose = (uint16_t)(BASIN__PURPOSE_DITHER | moment->attempt << 8)};
        store(buffer, slot, x + i * buffer->size, &draw, dither);
        buffer->ages[slot] = ages[i];
        if (buffer->labels != NULL)
            buffer->labels[slot] = (int32_t)labels[i];
        if (buffer->is_queue) {
            buffer->next = (buffer->next + 1) % buffer->capacity;
            if (buffer->count < buffer->capacity)
                buffer->count++;
        }
    }
}

double basin__buffer_age(const basin__buffer *buffer) {
    double sum = 0;
    for (int64_t i = 0; i < buffer->count; i++)
        sum += buffer->ages[i];
    return buffer->count > 0 ? sum / (double)buffer->count : 0;
}

void basin__buffer_copy(basin__buffer *to, const basin__buffer *from) {
    size_t elements = (size_t)from->capacity * (size_t)from->size;
    if (from->is_byte)
        memcpy(to->bytes, from->bytes, elements);
    else
        memcpy(to->values, from->values, elements * sizeof(float));
    memcpy(to->ages, from->ages, (size_t)from->capacity * sizeof(int32_t));
    if (from->labels != NULL)
        memcpy(to->labels, from->labels, (size_t)from->capacity * sizeof(int32_t));
    to->count = from->count;
    to->next = from->next;
}
