/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What basin restore is made of: what is seen, what it was made to, and what is written.
 */
#ifndef BASIN_CLI_RESTORE_H
#define BASIN_CLI_RESTORE_H

#include "eval/similarity.h"
#include "model.h"
#include <basin/restore.h>

typedef struct basin__restore_options {
    basin__model_options model;
    char *data, *task, *method, *labels_out, *degraded_out, *samples_out, *deviation_out;
    basin__data_choice choice;
    basin__text_list out;
    bool degraded, json;
    double noise_std, temperature;
    int64_t samples, shown, zoom;
} basin__restore_options;

/** Images are on the scale of the data, [0, 1]. */
typedef struct basin__restore {
    basin_context *context;
    const basin__restore_options *options;
    basin_energy *energy;
    basin_degradation *degradation;
    basin_data *data;
    basin_shape shape, seen; /* of an image, and of what is seen of it */
    int64_t n;
    float *truth; /* [n, shape]; NULL: not known */
    float *y;     /* [n, seen] */
    float *restored, *deviation;
    float *draws; /* [n, samples, shape]; NULL for one sample */
    basin__likeness degraded_likeness, restored_likeness, draw_likeness;
    double evaluations, acceptance, seconds;
} basin__restore;

/** What is seen where noise-std is 0 is still rounded to bytes: the standard deviation of that. */
#define BASIN__ROUNDING_STD (1 / (255 * 3.46410161513775458705))

/** See that all that is asked for can be written, before the work. */
basin_status basin__restore_check_outputs(const basin__command *command, const basin__restore *all);
/** Write it. */
basin_status basin__restore_write(const basin__restore *all);
/** What is seen on the grid of the image: y itself, or each number of it in all pixels that it is
 * the mean of. [n, shape] */
void basin__restore_spread(const basin__restore *all, int64_t n, float *x);

#endif
