/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A graph's inside: an array of nodes in the order they were built, which is a
 * topological order, since a node can only use values that exist.
 *
 * Equal nodes (same op, inputs and attributes) are built once, so writing
 * sigmoid(x) in three places costs one sigmoid.
 */
#ifndef BASIN_GRAPH_GRAPH_H
#define BASIN_GRAPH_GRAPH_H

#include "base/context.h"
#include <assert.h>
#include <basin/graph.h>

typedef enum basin__op {
#define BASIN__OP(name) BASIN__OP_##name,
#include "ops/ops.def"
#undef BASIN__OP
    BASIN__OP_COUNT
} basin__op;

/** Who shares a value. */
typedef enum basin__scope {
    BASIN__SCOPE_SHARED,      /* from parameters, states, settings, constants alone */
    BASIN__SCOPE_PER_EXAMPLE, /* one for each example */
    BASIN__SCOPE_REDUCED      /* shared, known only after a sum over the batch */
} basin__scope;

/** What an op needs beside its inputs. Fields an op does not use are zero. */
typedef struct basin__attributes {
    basin_conv conv;   /* the convolution family */
    basin_shape shape; /* ops that are told their output's shape */
    double a, b;       /* scale, offset, slope, clamp's ends, a constant's number */
    int first, size;   /* slice, matmul's transposes; pooling, up-sampling, one_hot's count */
} basin__attributes;

static_assert(sizeof(basin__attributes) == 48, "attributes are compared as bytes: no padding");

#define BASIN__INPUTS_MAX 2

typedef struct basin__node {
    basin__op op;
    basin__scope scope;
    int input_count;
    basin_value input[BASIN__INPUTS_MAX];
    basin_shape shape;
    basin__attributes attributes;
    char *name;       /* sources; owned */
    basin_value next; /* states: the value after a parameter step, or BASIN_NO_VALUE */
} basin__node;

struct basin_graph {
    basin_context *context;
    basin__node *nodes;
    int count, capacity;
    basin_value *slots; /* hash table of the nodes that are not named; BASIN_NO_VALUE: free */
    int slot_count;     /* a power of two, at least twice the capacity */
    basin_status status;
    const char *prefix; /* of the names of parameters and states from here on; NULL: none */
};

/**
 * Add a node (or find its equal) after asking the op for its shape; on an error, or where an input
 * is BASIN_NO_VALUE, returns BASIN_NO_VALUE.
 */
basin_value basin__graph_add(basin_graph *graph, basin__op op, int input_count,
                             const basin_value *inputs, const basin__attributes *attributes);
basin_value basin__graph_unary(basin_graph *graph, basin__op op, basin_value x);
basin_value basin__graph_binary(basin_graph *graph, basin__op op, basin_value a, basin_value b);

/** A source by kind and name: the one there is, or a new one. */
basin_value basin__graph_source(basin_graph *graph, basin__op op, const char *name,
                                basin_shape shape);

/**
 * A value equal to `node` (not yet in the graph, shape and scope known) that is cheaper: x for
 * x + 0, a constant for what is made from constants. BASIN_NO_VALUE where there is none.
 */
basin_value basin__graph_simplify(basin_graph *graph, const basin__node *node);

/**
 * Whether a value is where the sum over the batch is made: an op that sums, of something per
 * example, or batch_sum of a shared value (then n times that value).
 */
bool basin__graph_is_batch_sum(const basin_graph *graph, basin_value value);

/** A shape as text, "[1, 28, 28, 3]". */
typedef struct basin__shape_text {
    char text[56];
} basin__shape_text;
basin__shape_text basin__shape_print(basin_shape shape);

/** Record the first error; returns BASIN_NO_VALUE. The message is prefixed by the op's name. */
basin_value basin__graph_fail(basin_graph *graph, basin_status status, const char *format, ...)
    BASIN_PRINTF(3, 4);

BASIN_INLINE const basin__node *basin__graph_node(const basin_graph *graph, basin_value value) {
    return &graph->nodes[value];
}

/** Find a source by kind and name, or BASIN_NO_VALUE. */
basin_value basin__graph_find(const basin_graph *graph, basin__op op, const char *name);

/**
 * The sum of a b down to `shape` for a product that nothing else needs: of values per example, a
 * dot, or v Σ x where a factor stands still along what is summed.
 */
basin_value basin__graph_sum_product(basin_graph *graph, basin_value a, basin_value b,
                                     basin_shape shape);

/** Sum a value down to `shape` (axes of length 1 there), where shapes differ; scope unchanged. */
basin_value basin__graph_sum_to(basin_graph *graph, basin_value x, basin_shape shape);

#endif
