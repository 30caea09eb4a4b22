/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Algebra at building time. Gradients begin with a constant 1 and multiply by
 * it; without these rules every network's gradient would drag it along.
 *
 *     x · 1 = x          x · c = scale(x, c)      scale(scale(x, a), b) = scale(x, a b)
 *     x + 0 = x          x + c = offset(x, c)     scale(x, 0) = 0
 *     f(c) is a constant                          sum, broadcast, … to the own shape = x
 *
 * Of values per example, which are images in the main, what a sum needs is not stored:
 *
 *     Σ a b = dot(a, b)      Σ scale(x, c) = scale(Σ x, c)      Σ v x = v Σ x, v alike where summed
 *
 * x · 0 counts as 0, also where x could be infinite.
 */
#include "graph/op.h"

static const basin__node *input_of(const basin_graph *graph, const basin__node *node, int i) {
    return &graph->nodes[node->input[i]];
}

static bool is_constant(const basin_graph *graph, const basin__node *node, int i) {
    return input_of(graph, node, i)->op == BASIN__OP_constant;
}

/** An element-wise op of constants, by its own reference kernel on one element. */
static basin_value fold(basin_graph *graph, const basin__node *node) {
    double number[BASIN__INPUTS_MAX], result = 0;
    basin_shape one = basin_shape_vector(1);
    basin__op_call call = {.node = node, .n = 1, .out = {&result, true, one, {1, 1, 1, 1, 1}}};
    for (int i = 0; i < node->input_count; i++) {
        if (!is_constant(graph, node, i))
            return BASIN_NO_VALUE;
        number[i] = input_of(graph, node, i)->attributes.a;
        call.in[i] = (basin__view){&number[i], true, one, {1, 1, 1, 1, 1}};
    }
    basin__op_definition(node->op)->run(&call);
    return basin_graph_constant(graph, result, node->shape);
}

/** The other operand of an add, sub or mul with a constant c. */
static basin_value with_constant(basin_graph *graph, const basin__node *node) {
    for (int i = 0; i < 2; i++) {
        if (!is_constant(graph, node, i))
            continue;
        double c = input_of(graph, node, i)->attributes.a;
        basin_value x = basin_graph_broadcast(graph, node->input[1 - i], node->shape);
        if (node->op == BASIN__OP_mul)
            return basin_graph_scale(graph, x, c);
        if (node->op == BASIN__OP_sub && i == 0)
            x = basin_graph_scale(graph, x, -1.0);
        return basin_graph_offset(graph, x, node->op == BASIN__OP_sub && i == 1 ? -c : c);
    }
    return BASIN_NO_VALUE;
}

static basin_value scaled(basin_graph *graph, const basin__node *node) {
    const basin__node *x = input_of(graph, node, 0);
    double factor = node->attributes.a;
    if (factor == 1.0)
        return node->input[0];
    if (factor == 0.0)
        return basin_graph_constant(graph, 0.0, node->shape);
    if (x->op == BASIN__OP_scale)
        return basin_graph_scale(graph, x->input[0], x->attributes.a * factor);
    return BASIN_NO_VALUE;
}

static basin_value offset(basin_graph *graph, const basin__node *node) {
    const basin__node *x = input_of(graph, node, 0);
    double term = node->attributes.a;
    if (term == 0.0)
        return node->input[0];
    if (x->op == BASIN__OP_offset)
        return basin_graph_offset(graph, x->input[0], x->attributes.a + term);
    return BASIN_NO_VALUE;
}

/** Ops that only move, repeat, sum or average elements: of a constant and of the own shape. */
static basin_value moved(basin_graph *graph, const basin__node *node) {
    const basin__node *x = input_of(graph, node, 0);
    if (basin_shape_equal(x->shape, node->shape))
        return node->input[0];
    if (is_constant(graph, node, 0)) {
        double summed = node->op == BASIN__OP_sum ? (double)basin_shape_count(x->shape) /
                                                        (double)basin_shape_count(node->shape)
                                                  : 1.0;
        return basin_graph_constant(graph, x->attributes.a * summed, node->shape);
    }
    if (node->op == BASIN__OP_reshape && x->op == BASIN__OP_reshape)
        return basin_graph_reshape(graph, x->input[0], node->shape);
    return BASIN_NO_VALUE;
}

/** What a value repeats, or the value itself. */
static basin_value repeated(const basin_graph *graph, basin_value value) {
    const basin__node *node = &graph->nodes[value];
    return node->op == BASIN__OP_broadcast ? node->input[0] : value;
}

/** Whether a value stands still along all axes over which a sum to `to` goes. */
static bool stands_still(const basin_graph *graph, basin_value value, basin_shape to) {
    basin_shape v = graph->nodes[value].shape;
    return (v.outer == 1 || v.outer == to.outer) && (v.height == 1 || v.height == to.height) &&
           (v.width == 1 || v.width == to.width) && (v.channels == 1 || v.channels == to.channels);
}

/** A sum of a product: v Σ x, or a dot of two of one shape neither of which is a repetition. */
static basin_value summed_product(basin_graph *graph, const basin__node *node,
                                  const basin__node *product) {
    basin_shape shape = product->shape;
    basin_value factor[2] = {product->input[0], product->input[1]};
    for (int i = 0; i < 2; i++) {
        basin_value v = repeated(graph, factor[i]), x = factor[1 - i];
        if (stands_still(graph, v, node->shape) &&
            basin_shape_equal(basin_graph_shape(graph, x), shape))
            return basin_graph_mul(graph, v, basin__graph_sum_to(graph, x, node->shape));
    }
    for (int i = 0; i < 2; i++)
        if (repeated(graph, factor[i]) != factor[i] ||
            !basin_shape_equal(basin_graph_shape(graph, factor[i]), shape))
            return BASIN_NO_VALUE;
    return basin__graph_add(graph, BASIN__OP_dot, 2, factor, &node->attributes);
}

static basin_value summed(basin_graph *graph, const basin__node *node) {
    basin_value other = moved(graph, node);
    const basin__node x = *input_of(graph, node, 0); /* a copy: nodes move as others are added */
    if (other != BASIN_NO_VALUE || x.scope != BASIN__SCOPE_PER_EXAMPLE)
        return other;
    if (x.op == BASIN__OP_scale)
        return basin_graph_scale(graph, basin__graph_sum_to(graph, x.input[0], node->shape),
                                 x.attributes.a);
    if (x.op == BASIN__OP_mul)
        return summed_product(graph, node, &x);
    if (x.op != BASIN__OP_square || repeated(graph, x.input[0]) != x.input[0])
        return BASIN_NO_VALUE;
    return basin__graph_add(graph, BASIN__OP_dot, 2, (const basin_value[]){x.input[0], x.input[0]},
                            &node->attributes);
}

/** A dot with a constant is a sum, and one over no axis a product. */
static basin_value dotted(basin_graph *graph, const basin__node *node) {
    basin_value a = node->input[0], b = node->input[1];
    if (basin_shape_equal(input_of(graph, node, 0)->shape, node->shape))
        return basin_graph_mul(graph, a, b);
    for (int i = 0; i < 2; i++)
        if (is_constant(graph, node, i)) {
            double c = input_of(graph, node, i)->attributes.a;
            basin_value sum = basin__graph_sum_to(graph, node->input[1 - i], node->shape);
            return basin_graph_scale(graph, sum, c);
        }
    if (node->scope != BASIN__SCOPE_PER_EXAMPLE ||
        (repeated(graph, a) == a) == (repeated(graph, b) == b))
        return BASIN_NO_VALUE;
    return basin__graph_sum_to(
        graph, basin_graph_mul(graph, repeated(graph, a), repeated(graph, b)), node->shape);
}

basin_value basin__graph_simplify(basin_graph *graph, const basin__node *node) {
    const basin__op_def *def = basin__op_definition(node->op);
    basin_value folded = def->is_elementwise ? fold(graph, node) : BASIN_NO_VALUE;
    if (folded != BASIN_NO_VALUE || graph->status != BASIN_OK)
        return folded;
    switch (node->op) {
    case BASIN__OP_add:
    case BASIN__OP_sub:
    case BASIN__OP_mul:
        return with_constant(graph, node);
    case BASIN__OP_scale:
        return scaled(graph, node);
    case BASIN__OP_offset:
        return offset(graph, node);
    case BASIN__OP_sum:
        return summed(graph, node);
    case BASIN__OP_dot:
        return dotted(graph, node);
    case BASIN__OP_broadcast:
    case BASIN__OP_reshape:
    case BASIN__OP_flatten:
    case BASIN__OP_unflatten:
    case BASIN__OP_slice:
    case BASIN__OP_average_pool:
    case BASIN__OP_upsample:
        return moved(graph, node);
    case BASIN__OP_average_pool_input:
    case BASIN__OP_upsample_input:
    case BASIN__OP_slice_input:
        return basin_shape_equal(input_of(graph, node, 0)->shape, node->shape) ? node->input[0]
                                                                               : BASIN_NO_VALUE;
    default:
        return BASIN_NO_VALUE;
    }
}
