/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NumPy's .npy format, versions 1 to 3: little-endian f4, f8, u1, i4, i8, C order in; f4 out.
 */
#ifndef BASIN_IO_NPY_H
#define BASIN_IO_NPY_H

#include "base/context.h"

typedef struct basin__npy {
    int rank;
    int64_t dim[8];
    bool is_byte;          /* dtype u1: `bytes` is set, else `values` */
    unsigned char *bytes;  /* owned */
    float *values;         /* owned */
} basin__npy;

/** Refuses NaN and infinity, naming the index. */
basin_status basin__npy_read(basin_context *context, const char *path, basin__npy *array);
void basin__npy_reset(basin_context *context, basin__npy *array);
/** Write f32, C order, atomically. */
basin_status basin__npy_write(basin_context *context, const char *path, const float *values,
                              int rank, const int64_t *dim);

#endif
