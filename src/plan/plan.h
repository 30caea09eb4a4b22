/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans: a graph compiled for one purpose, to be run many times without
 * allocating.
 *
 * A plan has three parts, told apart by the scopes of the graph's values:
 *   before   what depends on shared values alone, and the packing of weights:
 *            once per parameter change, by basin__plan_prepare();
 *   body     what is done for each example, a tile of examples at a time;
 *   after    what follows the sum over the batch: once per batch.
 *
 * Values are dense outside of a plan: [n, height, width, channels] per example,
 * [outer, height, width, channels] shared.
 */
#ifndef BASIN_PLAN_PLAN_H
#define BASIN_PLAN_PLAN_H

#include "graph/graph.h"

typedef struct basin__plan basin__plan;

typedef struct basin__plan_options {
    bool is_f64;      /* double throughout, by reference kernels */
    bool is_poisoned; /* tests: fill every workspace with NaN before a tile is run */
    /**
     * What programs store for convolutions and other programs are halves (bf16), and so are the
     * weights of such convolutions; sums, inputs, outputs and all else stay floats.
     */
    bool is_half;
    /**
     * A plan whose packed weights this one uses where they are of the same parameter and packed
     * alike, and whose workspaces, where they are large enough; NULL: none. It must be prepared
     * with the same parameters before this one is run, not run beside it, and outlive it.
     */
    basin__plan *beside;
    int tile; /* examples a tile; 0: chosen from the shapes */
} basin__plan_options;

/**
 * Compile. `outputs` are the values wanted; they may be per example, shared or reduced. Reports the
 * graph's first builder error if there was one. The graph must outlive the plan.
 */
basin_status basin__plan_create(basin_context *context, const basin_graph *graph,
                                const basin_value *outputs, int output_count,
                                const basin__plan_options *options, basin__plan **out);
void basin__plan_destroy(basin__plan *plan);

/**
 * Give the data of a parameter, state or setting: f32 (f64 in an f64 plan), dense, borrowed until
 * the plan goes. Unknown names are ignored: a plan needs not use every parameter.
 */
void basin__plan_bind(basin__plan *plan, const char *name, const void *data);
/** Run the part before: after binding, and after bound data changed. All names must be bound. */
basin_status basin__plan_prepare(basin__plan *plan);

/** The order in which run() takes per-example inputs; -1 if the plan does not use that input. */
int basin__plan_input(const basin__plan *plan, const char *name);
int basin__plan_input_count(const basin__plan *plan);
/** The most examples that one run() takes. */
int basin__plan_tile(const basin__plan *plan);

/**
 * Run the body on one tile of n ≤ tile examples in `worker`'s workspace. For plans without
 * reduced outputs. Allocates nothing; different workers may run at once.
 *
 * @param inputs   by basin__plan_input(): dense [n, …]
 * @param outputs  in the order of creation: dense [n, …], NULL where not wanted; shared outputs are
 *                 left alone (see basin__plan_shared)
 */
void basin__plan_run(basin__plan *plan, int worker, int n, const void *const *inputs,
                     void *const *outputs);

/**
 * Run the body on all n examples, in parallel, then the part after. Sums over the batch are made in
 * fixed shards merged in a fixed tree: the same bits for any number of threads. Reduced outputs
 * are given too.
 */
basin_status basin__plan_run_batch(basin__plan *plan, int64_t n, const void *const *inputs,
                                   void *const *outputs);

/** The data of a shared output after prepare(), dense; owned by the plan. */
const void *basin__plan_shared(const basin__plan *plan, int output);

/** Facts for --dry-run and info. */
typedef struct basin__plan_facts {
    int tile, step_count;
    int fast_count;         /* steps that convolve with fewer multiplications */
    size_t workspace_bytes; /* of one worker */
    size_t shared_bytes;    /* parameters' copies and packed weights */
    double flops;           /* 2 × multiply-adds of the convolutions, an example */
} basin__plan_facts;
basin__plan_facts basin__plan_describe(const basin__plan *plan);

#endif
