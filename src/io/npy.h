/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NumPy's .npy format, versions 1 to 3: little-endian f4, f8, u1, i4, i8, C order in; f4, i4 out.
 */
#ifndef BASIN_IO_NPY_H
#define BASIN_IO_NPY_H

#include "base/context.h"

typedef struct basin__npy {
    int rank;
    int64_t dim[8];
    bool is_byte;         /* dtype u1: `bytes` is set, else `values` */
    unsigned char *bytes; /* owned */
    float *values;        /* owned */
} basin__npy;

/**
 * Read an array, gzip-packed or plain.
 *
 * @return BASIN_OK;
 *         BASIN_ERROR_FORMAT       not a .npy file, cut short, bytes too many, a header that lies
 *                                  (with the offset); NaN, infinity or a value that f32 cannot
 * hold: too large, or an integer past 2^24 (with the index) BASIN_ERROR_UNSUPPORTED  another
 * element type, Fortran order, another version BASIN_ERROR_IO, BASIN_ERROR_MEMORY After an error
 * `array` is empty.
 */
basin_status basin__npy_read(basin_context *context, const char *path, basin__npy *array);
void basin__npy_reset(basin_context *context, basin__npy *array);
/** Write f32, C order, version 1.0, atomically. BASIN_ERROR_ARGUMENT: rank past 8, a negative
 * dimension. */
basin_status basin__npy_write(basin_context *context, const char *path, const float *values,
                              int rank, const int64_t *dim);
/** The same of i4. */
basin_status basin__npy_write_ints(basin_context *context, const char *path, const int32_t *values,
                                   int rank, const int64_t *dim);

#endif
