/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an op is: its meaning, shape rule, gradient, reference kernel and the
 * cases its tests run on. One file in src/ops/ and one line in ops.def add one.
 */
#ifndef BASIN_GRAPH_OP_H
#define BASIN_GRAPH_OP_H

#include "graph/graph.h"

/** A tensor in memory: element (n, o, y, x, c) is at n·stride[0] + … + c·stride[4]. */
typedef struct basin__view {
    void *data;
    bool is_f64;
    basin_shape shape;
    ptrdiff_t stride[5]; /* in elements; 0 along a broadcast axis or for a shared value's n */
} basin__view;

typedef struct basin__op_call {
    const basin__node *node;
    int64_t n; /* examples; 1 where everything is shared */
    basin__view in[BASIN__INPUTS_MAX];
    basin__view out;
} basin__op_call;

BASIN_INLINE ptrdiff_t basin__view_at(const basin__view *view, int64_t n, int o, int y, int x,
                                      int c) {
    return (ptrdiff_t)n * view->stride[0] + o * view->stride[1] + y * view->stride[2] +
           x * view->stride[3] + c * view->stride[4];
}

BASIN_INLINE double basin__view_get(const basin__view *view, ptrdiff_t at) {
    return view->is_f64 ? ((const double *)view->data)[at]
                        : (double)((const float *)view->data)[at];
}

BASIN_INLINE void basin__view_set(const basin__view *view, ptrdiff_t at, double number) {
    if (view->is_f64)
        ((double *)view->data)[at] = number;
    else
        ((float *)view->data)[at] = (float)number;
}

/** One case of an op's tests: inputs are drawn uniformly from [low, high]. */
typedef struct basin__op_case {
    basin_shape input[BASIN__INPUTS_MAX];
    basin__attributes attributes;
    double low, high;
} basin__op_case;

typedef struct basin__op_def {
    const char *name;
    const char *help; /* one line: the formula */
    int input_count;
    bool is_source;
    bool is_elementwise; /* out[i] depends on the inputs' (broadcast) element i alone */
    bool sums_batch;     /* a per-example input makes the output REDUCED; run() then ADDS to out */
    bool is_smooth;      /* derivatives exist everywhere: tested against differences */
    /** Give the shape, or call basin__graph_fail and return false. */
    bool (*infer)(basin_graph *graph, const basin_value *inputs,
                  const basin__attributes *attributes, basin_shape *shape);
    /**
     * Emit the gradient to each input that is wanted, for `upstream`, shaped like the node. Leave
     * BASIN_NO_VALUE where none flows. A per-example gradient for a shared input is summed over the
     * batch by the caller. NULL: no gradient flows through this op.
     */
    void (*gradient)(basin_graph *graph, basin_value node, basin_value upstream, const bool *wanted,
                     basin_value *input_gradients);
    /** The reference kernel: any strides, f32 or f64, sums in double. NULL for sources. */
    void (*run)(const basin__op_call *call);
    const basin__op_case *cases;
    int case_count;
} basin__op_def;

/** The definition of an op. */
const basin__op_def *basin__op_definition(basin__op op);

#define BASIN__OP(name) extern const basin__op_def basin__op_##name;
#include "ops/ops.def"
#undef BASIN__OP

#endif
