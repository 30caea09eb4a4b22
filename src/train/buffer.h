/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replay buffer: the chains that training goes on with from update to update.
 *
 *   slots   a fixed number of chains. A batch is drawn without replacement and
 *           written back to where it came from: persistent contrastive
 *           divergence (Tieleman 2008), as Du & Mordatch (2019) use it.
 *   newest  a queue of the newest chains, drawn with replacement: the textbook's.
 *
 * Chains may be kept as bytes, 1/255 of the range a step. Rounding is dithered,
 * floor(255 v + u) with u uniform, so that it is right on average: else a chain
 * that moves by less than half a step an update would never move.
 */
#ifndef BASIN_TRAIN_BUFFER_H
#define BASIN_TRAIN_BUFFER_H

#include "base/context.h"
#include "graph/graph.h"

typedef struct basin__buffer {
    basin_context *context;
    int64_t capacity, count; /* count < capacity only while a queue fills */
    int64_t next;            /* queue: where the next chain is put */
    int64_t size;            /* elements of a chain */
    bool is_queue, is_byte;
    float low, high;
    float *values;        /* [capacity, size], or */
    unsigned char *bytes; /* the same, where is_byte */
    int32_t *ages;        /* [capacity] updates since a chain's restart */
    int32_t *labels;      /* [capacity] the class each chain runs at; NULL: they have none */
    int32_t *order;       /* [capacity] scratch of draws; identity between them */
} basin__buffer;

/** Where and when numbers are drawn. */
typedef struct basin__moment {
    uint64_t seed, update;
    uint16_t attempt;
} basin__moment;

/** `low`, `high`: the range of uniform starts, and of bytes. Slots are filled with uniform noise.
 */
basin_status basin__buffer_init(basin_context *context, basin__buffer *buffer, int64_t capacity,
                                int64_t size, bool is_queue, bool is_byte, float low, float high,
                                uint64_t seed);
/** Give chains classes, all 0 at first. */
basin_status basin__buffer_add_labels(basin__buffer *buffer);
void basin__buffer_reset(basin__buffer *buffer);

/** Draw n slots for an update: distinct where slots are kept; n ≤ capacity, count > 0. */
void basin__buffer_draw(basin__buffer *buffer, const basin__moment *moment, int64_t n,
                        int32_t *slots);
void basin__buffer_get(const basin__buffer *buffer, int32_t slot, float *x);
/**
 * Put n chains [n, size] back: to their slots, or to the queue's end. `ages` are the chains' ages
 * after this update, `labels` their classes (NULL where the buffer keeps none); `dither` is scratch
 * of one chain.
 */
void basin__buffer_put(basin__buffer *buffer, const basin__moment *moment, int64_t n,
                       const int32_t *slots, const int32_t *ages, const float *labels,
                       const float *x, float *dither);
/** Mean age of the chains held. */
double basin__buffer_age(const basin__buffer *buffer);
/** Copy the contents of one buffer to another of the same make. */
void basin__buffer_copy(basin__buffer *to, const basin__buffer *from);

/**
 * Save as safetensors: "chains" [count, height, width, channels] (F32, or U8), "age", and "label"
 * where chains have classes.
 */
basin_status basin__buffer_save(const basin__buffer *buffer, basin_shape shape, const char *path);
basin_status basin__buffer_load(basin__buffer *buffer, basin_shape shape, const char *path);
/**
 * The chains of a saved buffer as floats x [count, height, width, channels], for sampling, and
 * their labels [count], NULL where they have none. Both are the caller's to basin__free.
 */
basin_status basin__buffer_read(basin_context *context, const char *path, basin_shape shape,
                                int64_t *count, float **x, int32_t **labels);

#endif
