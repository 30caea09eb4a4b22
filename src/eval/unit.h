/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Image sets on one scale. Models see images in ranges of their own, and write samples in them; a
 * measure must not mistake a difference of scale for one of images.
 */
#ifndef BASIN_EVAL_UNIT_H
#define BASIN_EVAL_UNIT_H

#include "base/context.h"
#include <basin/data.h>

/** What was done to a set's values. */
typedef struct basin__unit {
    float low, high; /* what became 0 and 1 */
    double clamped;  /* share of the values that lay outside and were moved to the nearer end */
} basin__unit;

/**
 * The same images with values in [0, 1], black to white, as a new set; labels are kept. `range`,
 * [low, high], or NULL: told from the values, which must be those of [0, 1] or of [−1, 1] but for a
 * tenth of it beyond, and reach down to −0.5 if of [−1, 1]; all else is BASIN_ERROR_CONFIG, and the
 * message asks for `option`, if there is one. Points are copied as they are.
 */
basin_status basin__unit_images(basin_context *context, const basin_data *data, const float *range,
                                const char *option, basin__unit *unit, basin_data **out);

#endif
