/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How near a restored image is to the true one.
 */
#ifndef BASIN_EVAL_SIMILARITY_H
#define BASIN_EVAL_SIMILARITY_H

#include "base/context.h"
#include <basin/graph.h>

/** Mean over images, and its standard error; NaN where there is no, or but one, image. */
typedef struct basin__likeness {
    double psnr, psnr_error; /* dB, of each image with the peak 1, then averaged */
    double ssim, ssim_error; /* NaN for images with a side below the window's 11 pixels */
} basin__likeness;

/** Of images x against the true ones, [n, shape] both, values on the scale of [0, 1]. */
basin_status basin__likeness_measure(basin_context *context, basin_shape shape, int64_t n,
                                     const float *truth, const float *x, basin__likeness *out);

#endif
