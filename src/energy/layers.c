/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers: a weight, a bias and the op between them.
 *
 * Weights and biases start uniform in ±1/√fan_in, which is what PyTorch's
 * Conv2d and Linear do by default (Kaiming uniform with a = √5), or at zero where
 * the network says so: the last layer of a residual branch, which is then the
 * identity at first.
 *
 * Spectral norm divides a weight by its largest singular value σ, found by the
 * power method, one iteration a parameter step (Miyato et al., 2018, alg. 1):
 *
 *     v = Wᵀu / |Wᵀu|,   σ = uᵀ W v,   next u = W v / |W v|
 *
 * u and v are constants to the gradient, as in PyTorch, so dσ/dW = u vᵀ.
 */
#include "energy/network.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define NAME_BYTES 128
#define COUNT_MAX ((int64_t)1 << 31)

/** A new parameter at the list's end, or NULL with the error recorded. */
static basin__parameter *append(basin__build *build, const char *name, basin_shape shape) {
    basin__parameters *list = build->parameters;
    size_t bytes = (size_t)list->count * sizeof(basin__parameter);
    basin__parameter *items =
        basin__grow(build->context, list->items, bytes, bytes + sizeof(basin__parameter));
    if (!items)
        return NULL;
    list->items = items;
    basin__parameter *parameter = &items[list->count];
    parameter->name = basin__strdup(build->context, name);
    parameter->data = NULL;
    if (!parameter->name)
        return NULL;
    parameter->shape = shape;
    list->count++;
    return parameter;
}

basin__parameter *basin__layer_parameter(basin__build *build, const char *name, basin_shape shape,
                                         basin_shape inner, int file_rank) {
    if (basin_graph_status(build->graph) != BASIN_OK)
        return NULL;
    basin__parameter *parameter = basin__parameters_find(build->parameters, name);
    if (basin_shape_count(shape) > COUNT_MAX) {
        basin__graph_fail(build->graph, BASIN_ERROR_SHAPE,
                          "parameter %s would have %lld elements; at most %lld are possible", name,
                          (long long)basin_shape_count(shape), (long long)COUNT_MAX);
        return NULL;
    }
    if (!parameter) {
        parameter = append(build, name, shape);
        if (!parameter) {
            basin__graph_fail(build->graph, BASIN_ERROR_MEMORY, "no memory for parameter %s", name);
            return NULL;
        }
        parameter->inner = inner;
        parameter->file_rank = file_rank;
        int64_t count = basin_shape_count(inner);
        int64_t dim[4] = {file_rank == 1 ? count : shape.outer, count, 0, 0};
        if (file_rank == 4) {
            dim[1] = inner.channels;
            dim[2] = inner.height;
            dim[3] = inner.width;
        }
        memcpy(parameter->file_dim, dim, sizeof(dim));
    }
    if (!basin_shape_equal(parameter->shape, shape)) {
        basin__graph_fail(build->graph, BASIN_ERROR_SHAPE,
                          "parameter %s is used with two shapes: two layers have one name", name);
        return NULL;
    }
    return parameter;
}

/** x / |x| for a shared vector; |x| is kept from 0 as in PyTorch. */
static basin_value normalised(basin_graph *graph, basin_value x) {
    basin_value sum = basin_graph_sum(graph, basin_graph_square(graph, x), BASIN_AXES_ALL);
    basin_value norm = basin_graph_sqrt(graph, basin_graph_offset(graph, sum, 1e-24));
    return basin_graph_mul(graph, x, basin_graph_reciprocal(graph, norm));
}

basin_value basin__layer_spectral_norm(basin__build *build, const char *name, basin_value weight) {
    const basin_conv one = {.stride = 1, .pad = 0};
    basin_graph *graph = build->graph;
    if (weight == BASIN_NO_VALUE)
        return weight;
    basin_shape shape = basin_graph_shape(graph, weight);
    int outputs = shape.outer, inputs = shape.height * shape.width * shape.channels;
    basin_shape vector = basin_shape_vector(outputs);
    char state_name[NAME_BYTES];
    snprintf(state_name, sizeof(state_name), "%s.u", name);
    basin__parameter *state = basin__layer_parameter(build, state_name, vector, vector, 1);
    if (!state)
        return BASIN_NO_VALUE;
    state->is_state = true;
    basin_value u = basin_graph_state(graph, state_name, vector);
    state->effective = u;

    basin_value matrix = basin_graph_reshape(graph, weight, (basin_shape){outputs, 1, 1, inputs});
    basin_value back = basin_graph_conv_input(graph, u, matrix, basin_shape_vector(inputs), one);
    basin_value v = basin_graph_stop(graph, normalised(graph, back));
    basin_value forth = basin_graph_linear(graph, v, matrix);
    basin_value sigma = basin_graph_sum(graph, basin_graph_mul(graph, u, forth), BASIN_AXES_ALL);
    basin_graph_set_next(graph, u, basin_graph_stop(graph, normalised(graph, forth)));
    return basin_graph_mul(graph, weight, basin_graph_reciprocal(graph, sigma));
}

/** ±1/√fan_in, or zero. */
static double start_bound(const basin__build *build, int64_t fan_in) {
    return build->starts_at_zero ? 0.0 : 1.0 / sqrt((double)fan_in);
}

/** The weight as the network uses it. */
static basin_value layer_weight(basin__build *build, const char *name, basin_shape shape,
                                basin_shape inner, int file_rank, int64_t fan_in) {
    char weight_name[NAME_BYTES];
    if (build->spectral_norm && build->starts_at_zero)
        return basin__graph_fail(build->graph, BASIN_ERROR_CONFIG,
                                 "layer %s starts at zero, which has no singular value to divide "
                                 "by: take no spectral norm",
                                 name);
    snprintf(weight_name, sizeof(weight_name), "%s.weight", name);
    basin__parameter *parameter =
        basin__layer_parameter(build, weight_name, shape, inner, file_rank);
    if (!parameter)
        return BASIN_NO_VALUE;
    parameter->bound = start_bound(build, fan_in);
    basin_value value = basin_graph_parameter(build->graph, weight_name, shape);
    parameter->effective = value;
    if (build->spectral_norm) {
        value = basin__layer_spectral_norm(build, name, value);
        /* the state may have moved the list */
        basin__parameters_find(build->parameters, weight_name)->effective = value;
    }
    return value;
}

static basin_value add_bias(basin__build *build, const char *name, basin_value x, int outputs,
                            int64_t fan_in) {
    char bias_name[NAME_BYTES];
    basin_shape shape = basin_shape_vector(outputs);
    snprintf(bias_name, sizeof(bias_name), "%s.bias", name);
    basin__parameter *parameter = basin__layer_parameter(build, bias_name, shape, shape, 1);
    if (!parameter)
        return BASIN_NO_VALUE;
    parameter->bound = start_bound(build, fan_in);
    parameter->effective = basin_graph_parameter(build->graph, bias_name, shape);
    return basin_graph_add(build->graph, x, parameter->effective);
}

basin_value basin__layer_conv(basin__build *build, const char *name, basin_value x, int outputs,
                              int kernel, basin_conv conv) {
    if (x == BASIN_NO_VALUE)
        return x;
    basin_shape inner = basin_graph_shape(build->graph, x);
    inner.height = kernel;
    inner.width = kernel;
    basin_shape shape = inner;
    shape.outer = outputs;
    basin_value weight = layer_weight(build, name, shape, inner, 4, basin_shape_count(inner));
    return add_bias(build, name, basin_graph_conv(build->graph, x, weight, conv), outputs,
                    basin_shape_count(inner));
}

basin_value basin__layer_conv_up(basin__build *build, const char *name, basin_value x,
                                 basin_shape shape, int kernel, basin_conv conv) {
    if (x == BASIN_NO_VALUE)
        return x;
    basin_shape inner = {1, kernel, kernel, shape.channels};
    basin_shape weight_shape = inner;
    weight_shape.outer = basin_graph_shape(build->graph, x).channels;
    /* PyTorch takes the second axis, here the outputs, for the inputs of a start. */
    const int64_t fan_in = basin_shape_count(inner);
    basin_value weight = layer_weight(build, name, weight_shape, inner, 4, fan_in);
    return add_bias(build, name, basin_graph_conv_input(build->graph, x, weight, shape, conv),
                    shape.channels, fan_in);
}

basin_value basin__layer_linear(basin__build *build, const char *name, basin_value x, int outputs,
                                basin_shape inner) {
    if (x == BASIN_NO_VALUE)
        return x;
    basin_shape shape = basin_graph_shape(build->graph, x);
    if (shape.height != 1 || shape.width != 1) {
        return basin__graph_fail(build->graph, BASIN_ERROR_SHAPE,
                                 "linear layer %s is given an image of %d x %d x %d: it takes a "
                                 "vector, so flatten it or take its mean first",
                                 name, shape.height, shape.width, shape.channels);
    }
    shape.outer = outputs;
    basin_value weight = layer_weight(build, name, shape, inner, 2, basin_shape_count(inner));
    return add_bias(build, name, basin_graph_linear(build->graph, x, weight), outputs,
                    basin_shape_count(inner));
}

basin_value basin__layer_lookup(basin__build *build, const char *name, int rows, int width,
                                basin_value index) {
    basin_shape row = basin_shape_vector(width), table = row;
    table.outer = rows;
    char weight_name[NAME_BYTES];
    snprintf(weight_name, sizeof(weight_name), "%s.weight", name);
    basin__parameter *parameter = basin__layer_parameter(build, weight_name, table, row, 2);
    if (!parameter)
        return BASIN_NO_VALUE;
    parameter->bound = 1.0 / sqrt((double)width);
    parameter->effective = basin_graph_parameter(build->graph, weight_name, table);
    return basin_graph_lookup(build->graph, parameter->effective, index);
}
