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
    BASIN__DTYPE_F16,  /* read only: widened where asked for as f32 */
    BASIN__DTYPE_BF16, /* read only, likewise */
    BASIN__DTYPE_U8,
    BASIN__DTYPE_I32,
    BASIN__DTYPE_I64
} basin__dtype;

typedef struct basin__tensor_entry {
    char *name;
    basin__dtype dtype;
    int rank;
    int64_t dim[8];
    const void *data; /* into the file's memory (reading), borrowed (writing) */
    size_t bytes;
} basin__tensor_entry;

typedef struct basin__safetensors {
    basin__tensor_entry *entries;
    size_t count;
    json_t *metadata; /* object of strings, never NULL after reading */
    unsigned char *file;
} basin__safetensors;

/**
 * Read and check a file: header length within the file, valid UTF-8 JSON without duplicate keys,
 * known dtypes, shapes whose size (checked for overflow) equals the offsets' span, offsets that
 * cover the data without gap or overlap. Errors name the path, the tensor and the offset.
 */
basin_status basin__safetensors_read(basin_context *context, const char *path,
                                     basin__safetensors *out);
void basin__safetensors_reset(basin_context *context, basin__safetensors *tensors);
/** The entry of that name, or NULL. */
const basin__tensor_entry *basin__safetensors_find(const basin__safetensors *tensors,
                                                   const char *name);
/** Copy an entry of any float type as f32; `out` holds bytes/size elements. */
basin_status basin__tensor_to_f32(basin_context *context, const basin__tensor_entry *entry,
                                  float *out);
/** Write entries (in the order given, data aligned to 64 bytes by header padding) atomically. */
basin_status basin__safetensors_write(basin_context *context, const char *path,
                                      const basin__tensor_entry *entries, size_t count,
                                      const json_t *metadata);

#endif
