/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an op's number to its definition, and the shape rules ops share.
 */
#include "ops/common.h"

static const basin__op_def *const definitions[BASIN__OP_COUNT] = {
#define BASIN__OP(name) &basin__op_##name,
#include "ops/ops.def"
#undef BASIN__OP
};

const basin__op_def *basin__op_definition(basin__op op) { return definitions[op]; }

bool basin__infer_same(basin_graph *graph, const basin_value *inputs,
                       const basin__attributes *attributes, basin_shape *shape) {
    (void)attributes;
    *shape = basin_graph_shape(graph, inputs[0]);
    return true;
}

bool basin__infer_told(basin_graph *graph, const basin_value *inputs,
                       const basin__attributes *attributes, basin_shape *shape) {
    (void)graph;
    (void)inputs;
    *shape = attributes->shape;
    return true;
}
