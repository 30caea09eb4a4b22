/* SPDX-License-Identifier: Apache-2.0 */
/*
 * safetensors files: an 8-byte little-endian header length, a JSON header
 * {name: {dtype, shape, data_offsets}, "__metadata__": {text: text}}, the data.
 */
#ifndef BASIN_IO_SAFETENSORS_H
#define BASIN_IO_SAFETENSORS_H

#include "base/context.h"
#include <jansson.h>

typedef enum basin__dtype {
    BASIN__DTYPE_F32,
    BASIN__DTYPE_F64,
    BASIN__DTYPE_F16,
    BASIN__DTYPE_BF16,
    BASIN__DTYPE_U8,
    BASIN__DTYPE_I32,
    BASIN__DTYPE_I64
} basin__dtype;

#define BASIN__METADATA_KEY "__metadata__"

typedef struct basin__tensor_entry {
    char *name;
    basin__dtype dtype;
    int rank;
    int64_t dim[8];
    const void *data; /* into the file's memory (reading), borrowed (writing) */
    size_t bytes;
} basin__tensor_entry;

typedef struct basin__safetensors {
    basin__tensor_entry *entries; /* in the order of their data */
    size_t count;
    json_t *metadata; /* object of strings, never NULL after reading */
    unsigned char *file;
} basin__safetensors;

/** "F32" and so on. */
const char *basin__dtype_name(basin__dtype dtype);
size_t basin__dtype_bytes(basin__dtype dtype);
/** The size of a shape; false where it overflows or a dimension is negative. */
bool basin__tensor_size(basin__dtype dtype, int rank, const int64_t *dim, size_t *bytes);

/**
 * Read and check a file: header length within the file and at most 100 MB, valid UTF-8 JSON without
 * duplicate keys, known dtypes, at most 8 dimensions, shapes whose size (checked for overflow)
 * equals the offsets' span, offsets that cover the data without gap or overlap.
 *
 * Tensors of a file from elsewhere may lie at any address: read them through
 * basin__tensor_to_f32 or memcpy.
 *
 * @return BASIN_OK;
 *         BASIN_ERROR_FORMAT       a rule above is broken: the message names path, tensor and
 * offset BASIN_ERROR_UNSUPPORTED  a valid file with an element type other than those above
 *         BASIN_ERROR_IO, BASIN_ERROR_MEMORY
 * After an error `out` is empty.
 */
basin_status basin__safetensors_read(basin_context *context, const char *path,
                                     basin__safetensors *out);
void basin__safetensors_reset(basin_context *context, basin__safetensors *tensors);
/** The entry of that name, or NULL. */
const basin__tensor_entry *basin__safetensors_find(const basin__safetensors *tensors,
                                                   const char *name);
/**
 * Copy an entry of any float type as f32; `out` holds bytes/size elements. Infinity and NaN are
 * kept. BASIN_ERROR_UNSUPPORTED: an integer type, `out` unchanged; BASIN_ERROR_FORMAT: an f64 value
 * past f32's range, `out` holds those before it. Messages name the tensor; put the path before
 * them.
 */
basin_status basin__tensor_to_f32(basin_context *context, const basin__tensor_entry *entry,
                                  float *out);
/**
 * Round an F32 entry to F16, to the nearest, ties to even, in its own memory `data`.
 * BASIN_ERROR_UNSUPPORTED: a number is not finite as F16; the entry is useless then.
 */
basin_status basin__tensor_halve(basin_context *context, basin__tensor_entry *entry, float *data);
/**
 * Write entries (in the order given, data aligned to 64 bytes by header padding) atomically.
 * `metadata`: an object of strings, borrowed, or NULL. BASIN_ERROR_ARGUMENT: a name that is there
 * twice, reserved or not UTF-8, a size that is not the shape's; nothing is written then.
 */
basin_status basin__safetensors_write(basin_context *context, const char *path,
                                      const basin__tensor_entry *entries, size_t count,
                                      const json_t *metadata);

#endif
