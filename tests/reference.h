/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The smallest interpreter of a graph: every value in its own dense array of
 * doubles, every node by its op's reference kernel, in the order of building.
 * Slow and plainly right: what plans and gradients are held against.
 */
#ifndef BASIN_TESTS_REFERENCE_H
#define BASIN_TESTS_REFERENCE_H

#include "graph/op.h"

typedef struct reference {
    const basin_graph *graph;
    int64_t n;       /* examples */
    double **values; /* by node: [n, …] per example, […] else */
} reference;

/** For a graph that is finished: values of later nodes have no room. */
reference *reference_create(const basin_graph *graph, int64_t n);
void reference_destroy(reference *r);

/** Elements of a value, all examples together. */
int64_t reference_count(const reference *r, basin_value value);

/** Fill a source with numbers uniform in [low, high], the same for the same seed. */
void reference_fill(reference *r, basin_value source, uint64_t seed, double low, double high);

/** Compute all values up to this one, each poisoned with NaN before; returns its data. */
const double *reference_run(reference *r, basin_value value);

/** A dense view of `count` examples; stride 0 along n where is_shared. */
basin__view reference_view(double *data, basin_shape shape, bool is_shared);

/** Number `index` of a fixed sequence of uniform numbers in [0, 1). */
double reference_uniform(uint64_t seed, uint64_t index);

#endif
