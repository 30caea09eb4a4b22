/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `basin sample --walks`: chains of the plane, as they walk.
 */
#ifndef BASIN_CLI_WALKS_H
#define BASIN_CLI_WALKS_H

#include "energy/energy.h"

/** Zeroed at the start. */
typedef struct basin__walk_log {
    basin_context *context;
    float *x; /* [places, n, 2], owned */
    int64_t places, n;
} basin__walk_log;

/** Whether walks can be drawn, to `path`: the model is one of the plane. */
basin_status basin__walks_check(const basin_energy *energy, const char *path);
/** Keep where chains are; basin_sample_options.visit of a basin__walk_log. */
basin_status basin__walks_visit(void *user, int64_t step, int64_t n, const float *x);
/** Draw them over the density at their temperature; where it is 0, at the model's, else at 1. */
basin_status basin__walks_write(const basin__walk_log *log, basin_energy *energy,
                                double temperature, const char *path);
void basin__walks_reset(basin__walk_log *log);

#endif
