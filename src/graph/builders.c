/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The public builders: each names an op, its inputs and its attributes. Checks
 * and shapes are the op's own business (src/ops/).
 */
#include "graph/op.h"

static basin_value unary(basin_graph *graph, basin__op op, basin_value x,
                         basin__attributes attributes) {
    return basin__graph_add(graph, op, 1, &x, &attributes);
}

static basin_value binary(basin_graph *graph, basin__op op, basin_value a, basin_value b,
                          basin__attributes attributes) {
    return basin__graph_add(graph, op, 2, (const basin_value[]){a, b}, &attributes);
}

/* ---- sources ---- */

basin_value basin_graph_input(basin_graph *graph, const char *name, basin_shape shape) {
    return basin__graph_source(graph, BASIN__OP_input, name, shape);
}

basin_value basin_graph_parameter(basin_graph *graph, const char *name, basin_shape shape) {
    return basin__graph_source(graph, BASIN__OP_parameter, name, shape);
}

basin_value basin_graph_state(basin_graph *graph, const char *name, basin_shape shape) {
    return basin__graph_source(graph, BASIN__OP_state, name, shape);
}

basin_value basin_graph_setting(basin_graph *graph, const char *name, basin_shape shape) {
    return basin__graph_source(graph, BASIN__OP_setting, name, shape);
}

basin_value basin_graph_constant(basin_graph *graph, double number, basin_shape shape) {
    return basin__graph_add(graph, BASIN__OP_constant, 0, NULL,
                            &(basin__attributes){.shape = shape, .a = number});
}

/* ---- convolutions ---- */

basin_value basin_graph_conv(basin_graph *graph, basin_value x, basin_value weight,
                             basin_conv conv) {
    return binary(graph, BASIN__OP_conv, x, weight, (basin__attributes){.conv = conv});
}

basin_value basin_graph_conv_input(basin_graph *graph, basin_value gradient, basin_value weight,
                                   basin_shape shape, basin_conv conv) {
    return binary(graph, BASIN__OP_conv_input, gradient, weight,
                  (basin__attributes){.conv = conv, .shape = shape});
}

basin_value basin_graph_conv_weight(basin_graph *graph, basin_value x, basin_value gradient,
                                    basin_shape shape, basin_conv conv) {
    return binary(graph, BASIN__OP_conv_weight, x, gradient,
                  (basin__attributes){.conv = conv, .shape = shape});
}

basin_value basin_graph_linear(basin_graph *graph, basin_value x, basin_value weight) {
    return basin_graph_conv(graph, x, weight, (basin_conv){.stride = 1});
}

/* ---- element by element ---- */

basin_value basin_graph_add(basin_graph *graph, basin_value a, basin_value b) {
    return basin__graph_binary(graph, BASIN__OP_add, a, b);
}

basin_value basin_graph_sub(basin_graph *graph, basin_value a, basin_value b) {
    return basin__graph_binary(graph, BASIN__OP_sub, a, b);
}

basin_value basin_graph_mul(basin_graph *graph, basin_value a, basin_value b) {
    return basin__graph_binary(graph, BASIN__OP_mul, a, b);
}

basin_value basin_graph_scale(basin_graph *graph, basin_value x, double factor) {
    return unary(graph, BASIN__OP_scale, x, (basin__attributes){.a = factor});
}

basin_value basin_graph_offset(basin_graph *graph, basin_value x, double term) {
    return unary(graph, BASIN__OP_offset, x, (basin__attributes){.a = term});
}

basin_value basin_graph_square(basin_graph *graph, basin_value x) {
    return basin__graph_unary(graph, BASIN__OP_square, x);
}

basin_value basin_graph_exp(basin_graph *graph, basin_value x) {
    return basin__graph_unary(graph, BASIN__OP_exp, x);
}

basin_value basin_graph_log(basin_graph *graph, basin_value x) {
    return basin__graph_unary(graph, BASIN__OP_log, x);
}

basin_value basin_graph_sqrt(basin_graph *graph, basin_value x) {
    return basin__graph_unary(graph, BASIN__OP_sqrt, x);
}

basin_value basin_graph_reciprocal(basin_graph *graph, basin_value x) {
    return basin__graph_unary(graph, BASIN__OP_reciprocal, x);
}

basin_value basin_graph_sigmoid(basin_graph *graph, basin_value x) {
    return basin__graph_unary(graph, BASIN__OP_sigmoid, x);
}

basin_value basin_graph_silu(basin_graph *graph, basin_value x) {
    return basin__graph_unary(graph, BASIN__OP_silu, x);
}

basin_value basin_graph_softplus(basin_graph *graph, basin_value x) {
    return basin__graph_unary(graph, BASIN__OP_softplus, x);
}

basin_value basin_graph_tanh(basin_graph *graph, basin_value x) {
    return basin__graph_unary(graph, BASIN__OP_tanh, x);
}

basin_value basin_graph_relu(basin_graph *graph, basin_value x) {
    return basin__graph_unary(graph, BASIN__OP_relu, x);
}

basin_value basin_graph_leaky_relu(basin_graph *graph, basin_value x, double slope) {
    return unary(graph, BASIN__OP_leaky_relu, x, (basin__attributes){.a = slope});
}

basin_value basin_graph_clamp(basin_graph *graph, basin_value x, double low, double high) {
    return unary(graph, BASIN__OP_clamp, x, (basin__attributes){.a = low, .b = high});
}

basin_value basin_graph_stop(basin_graph *graph, basin_value x) {
    return basin__graph_unary(graph, BASIN__OP_stop, x);
}

/* ---- sums ---- */

basin_value basin__graph_sum_to(basin_graph *graph, basin_value x, basin_shape shape) {
    return unary(graph, BASIN__OP_sum, x, (basin__attributes){.shape = shape});
}

static basin_shape without_axes(basin_shape shape, unsigned axes) {
    if (axes & BASIN_AXIS_HEIGHT)
        shape.height = 1;
    if (axes & BASIN_AXIS_WIDTH)
        shape.width = 1;
    if (axes & BASIN_AXIS_CHANNELS)
        shape.channels = 1;
    return shape;
}

basin_value basin_graph_sum(basin_graph *graph, basin_value x, unsigned axes) {
    if (axes & ~(unsigned)BASIN_AXES_ALL)
        return basin__graph_fail(graph, BASIN_ERROR_ARGUMENT, "sum: %u is not a set of axes", axes);
    return basin__graph_sum_to(graph, x, without_axes(basin_graph_shape(graph, x), axes));
}

basin_value basin_graph_dot(basin_graph *graph, basin_value a, basin_value b, unsigned axes) {
    if (axes & ~(unsigned)BASIN_AXES_ALL)
        return basin__graph_fail(graph, BASIN_ERROR_ARGUMENT, "dot: %u is not a set of axes", axes);
    return binary(graph, BASIN__OP_dot, a, b,
                  (basin__attributes){.shape = without_axes(basin_graph_shape(graph, a), axes)});
}

basin_value basin_graph_mean(basin_graph *graph, basin_value x, unsigned axes) {
    basin_value sum = basin_graph_sum(graph, x, axes);
    if (sum == BASIN_NO_VALUE)
        return BASIN_NO_VALUE;
    double count = (double)basin_shape_count(basin_graph_shape(graph, x)) /
                   (double)basin_shape_count(basin_graph_shape(graph, sum));
    return basin_graph_scale(graph, sum, 1.0 / count);
}

basin_value basin_graph_batch_sum(basin_graph *graph, basin_value x) {
    return basin__graph_unary(graph, BASIN__OP_batch_sum, x);
}

basin_value basin_graph_log_sum_exp(basin_graph *graph, basin_value x) {
    return basin__graph_unary(graph, BASIN__OP_log_sum_exp, x);
}

basin_value basin_graph_softmax(basin_graph *graph, basin_value x) {
    return basin__graph_unary(graph, BASIN__OP_softmax, x);
}

basin_value basin_graph_matmul(basin_graph *graph, basin_value a, basin_value b, unsigned transpose,
                               basin_shape shape) {
    return binary(graph, BASIN__OP_matmul, a, b,
                  (basin__attributes){.shape = shape, .first = (int)transpose});
}

/* ---- shapes, pictures, tables ---- */

basin_value basin_graph_broadcast(basin_graph *graph, basin_value x, basin_shape shape) {
    return unary(graph, BASIN__OP_broadcast, x, (basin__attributes){.shape = shape});
}

basin_value basin_graph_reshape(basin_graph *graph, basin_value x, basin_shape shape) {
    return unary(graph, BASIN__OP_reshape, x, (basin__attributes){.shape = shape});
}

basin_value basin_graph_flatten(basin_graph *graph, basin_value x) {
    return basin__graph_unary(graph, BASIN__OP_flatten, x);
}

basin_value basin_graph_concatenate(basin_graph *graph, basin_value a, basin_value b) {
    return basin__graph_binary(graph, BASIN__OP_concatenate, a, b);
}

basin_value basin_graph_slice(basin_graph *graph, basin_value x, int first, int count) {
    return unary(graph, BASIN__OP_slice, x, (basin__attributes){.first = first, .size = count});
}

basin_value basin_graph_average_pool(basin_graph *graph, basin_value x, int size) {
    return unary(graph, BASIN__OP_average_pool, x, (basin__attributes){.size = size});
}

basin_value basin_graph_upsample(basin_graph *graph, basin_value x, int factor) {
    return unary(graph, BASIN__OP_upsample, x, (basin__attributes){.size = factor});
}

basin_value basin_graph_lookup(basin_graph *graph, basin_value table, basin_value index) {
    return basin__graph_binary(graph, BASIN__OP_lookup, table, index);
}

basin_value basin_graph_one_hot(basin_graph *graph, basin_value index, int count) {
    return unary(graph, BASIN__OP_one_hot, index, (basin__attributes){.size = count});
}
