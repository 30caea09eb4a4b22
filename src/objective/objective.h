/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objectives: each builds the loss of one example as a graph of energies. The
 * gradient of the parameters is more graph, and one plan gives it all: the
 * energies, the reduced gradients, and the next values of states.
 */
#ifndef BASIN_OBJECTIVE_OBJECTIVE_H
#define BASIN_OBJECTIVE_OBJECTIVE_H

#include "base/option.h"
#include "energy/energy.h"

/** Per-example scalars of a loss graph. */
typedef struct basin__objective_values {
    basin_value loss;
    basin_value energy_data, energy_negative;
} basin__objective_values;

typedef struct basin__objective_def {
    const char *name;
    const char *help;
    const basin__option *options;
    size_t option_count, options_bytes;
    /** Build the loss of an example from the inputs "data" and "negative", shaped like x. */
    basin__objective_values (*build)(const void *options, basin_energy *energy, basin_graph *graph,
                                     basin_value data, basin_value negative);
} basin__objective_def;

extern const basin__objective_def *const basin__objectives[];
extern const int basin__objective_count;
const basin__objective_def *basin__objective_find(const char *name);

/** A loss compiled for batches of a fixed size. */
typedef struct basin__loss {
    basin_energy *energy;
    basin_graph *graph;
    basin__plan *plan;
    int64_t batch;
    float *energy_data, *energy_negative; /* [batch], after a run */
    float **gradients; /* for each parameter of the energy: its gradient; NULL for states */
    /* for each parameter: the plan's output that is shared (a state's next value, or a gradient
       that depends on no example), or -1 */
    int *shared_outputs;
    void **outputs; /* of the plan */
} basin__loss;

/** Compile the mean loss over a batch. The energy must be a network's, and outlive the loss. */
basin_status basin__loss_create(const basin__objective_def *objective, const void *options,
                                basin_energy *energy, int64_t batch, basin__loss **out);
void basin__loss_destroy(basin__loss *loss);
/**
 * Run on a batch: data and negatives [batch, size]. Prepares the plan first, since parameters have
 * changed since the last run.
 */
basin_status basin__loss_run(basin__loss *loss, const float *data, const float *negatives);
/** Let states take the values computed by the last run. Once per parameter step. */
void basin__loss_advance_states(basin__loss *loss);

#endif
