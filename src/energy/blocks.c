/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group norm (Wu & He, 2018) and self-attention (Vaswani et al., 2017, over the
 * pixels of an image as in Ho et al., 2020), as networks of diffusion use them.
 *
 * Group norm touches the image three times: Σ x and Σ x² over space of each
 * channel, from which vectors alone tell a and b, and one multiply-add
 *
 *     y = x a + b      a = γ / √(σ² + ε)      b = β − μ a
 *
 * which fuses with what follows. Its gradients are again sums, dots and
 * multiply-adds. σ² = mean(x²) − μ² loses as many digits as μ²/σ² has; rounded
 * below zero it counts as zero.
 */
#include "energy/network.h"
#include <math.h>
#include <stdio.h>

#define NAME_BYTES 128
#define EPSILON 1e-5

/* ---- group norm ---- */

/** From sums of channels to means of groups, [1, 1, groups, 1]. */
static basin_value group_mean(basin_graph *graph, basin_value sum, int groups, double count) {
    int channels = basin_graph_shape(graph, sum).channels;
    basin_shape grouped = {1, 1, groups, channels / groups};
    basin_value members = basin_graph_reshape(graph, sum, grouped);
    basin_value total = basin_graph_sum(graph, members, BASIN_AXIS_CHANNELS);
    return basin_graph_scale(graph, total, 1.0 / count);
}

/** From numbers of groups to a vector of channels. */
static basin_value per_channel(basin_graph *graph, basin_value x, int channels) {
    int groups = basin_graph_shape(graph, x).width;
    basin_shape grouped = {1, 1, groups, channels / groups};
    return basin_graph_reshape(graph, basin_graph_broadcast(graph, x, grouped),
                               basin_shape_vector(channels));
}

basin_value basin__graph_group_norm(basin_graph *graph, basin_value x, int groups,
                                    basin_value scale, basin_value shift) {
    if (basin_graph_status(graph) != BASIN_OK)
        return BASIN_NO_VALUE;
    basin_shape shape = basin_graph_shape(graph, x);
    if (groups < 1 || shape.channels % groups != 0)
        return basin__graph_fail(graph, BASIN_ERROR_SHAPE,
                                 "group norm: %d channels cannot be cut into %d equal groups",
                                 shape.channels, groups);
    double count = (double)basin_shape_count(shape) / groups;
    basin_value sum = basin_graph_sum(graph, x, BASIN_AXES_SPACE);
    basin_value squares = basin_graph_dot(graph, x, x, BASIN_AXES_SPACE);
    basin_value mean = group_mean(graph, sum, groups, count);
    basin_value variance =
        basin_graph_relu(graph, basin_graph_sub(graph, group_mean(graph, squares, groups, count),
                                                basin_graph_square(graph, mean)));
    basin_value deviation = basin_graph_sqrt(graph, basin_graph_offset(graph, variance, EPSILON));
    basin_value a = per_channel(graph, basin_graph_reciprocal(graph, deviation), shape.channels);
    if (scale != BASIN_NO_VALUE)
        a = basin_graph_mul(graph, a, scale);
    basin_value b = basin_graph_scale(
        graph, basin_graph_mul(graph, per_channel(graph, mean, shape.channels), a), -1.0);
    if (shift != BASIN_NO_VALUE)
        b = basin_graph_add(graph, b, shift);
    return basin_graph_add(graph, basin_graph_mul(graph, x, a), b);
}

/** The parameter "<name>.<kind>", a vector that starts at one number. */
static basin_value norm_parameter(basin__build *build, const char *name, const char *kind,
                                  int channels, double start) {
    char full[NAME_BYTES];
    basin_shape shape = basin_shape_vector(channels);
    snprintf(full, sizeof(full), "%s.%s", name, kind);
    basin__parameter *parameter = basin__layer_parameter(build, full, shape, shape, 1);
    if (!parameter)
        return BASIN_NO_VALUE;
    parameter->start = start;
    parameter->effective = basin_graph_parameter(build->graph, full, shape);
    return parameter->effective;
}

basin_value basin__layer_group_norm(basin__build *build, const char *name, basin_value x,
                                    int groups) {
    if (x == BASIN_NO_VALUE)
        return x;
    int channels = basin_graph_shape(build->graph, x).channels;
    basin_value weight = norm_parameter(build, name, "weight", channels, 1.0);
    basin_value bias = norm_parameter(build, name, "bias", channels, 0.0);
    return basin__graph_group_norm(build->graph, x, groups, weight, bias);
}

/* ---- attention ---- */

/** softmax(q kᵀ / √d) v, the head's channels being `first` and on of each of q, k and v. */
static basin_value attend(basin_graph *graph, basin_value qkv, int first, int size) {
    basin_shape shape = basin_graph_shape(graph, qkv);
    int channels = shape.channels / 3, pixels = shape.height * shape.width;
    basin_value q = basin_graph_slice(graph, qkv, first, size);
    basin_value k = basin_graph_slice(graph, qkv, channels + first, size);
    basin_value v = basin_graph_slice(graph, qkv, 2 * channels + first, size);
    basin_shape head = basin_shape_image(shape.height, shape.width, size);
    basin_shape weights = basin_shape_image(shape.height, shape.width, pixels);
    basin_value scaled = basin_graph_scale(graph, q, 1.0 / sqrt((double)size));
    basin_value scores = basin_graph_matmul(graph, scaled, k, BASIN_TRANSPOSE_B, weights);
    return basin_graph_matmul(graph, basin_graph_softmax(graph, scores), v, 0, head);
}

basin_value basin__layer_attention(basin__build *build, const char *name, basin_value x,
                                   int heads) {
    const basin_conv one = {.stride = 1};
    basin_graph *graph = build->graph;
    char layer[NAME_BYTES];
    if (x == BASIN_NO_VALUE)
        return x;
    int channels = basin_graph_shape(graph, x).channels;
    if (heads < 1 || channels % heads != 0)
        return basin__graph_fail(graph, BASIN_ERROR_SHAPE,
                                 "attention %s: %d channels cannot be cut into %d equal heads",
                                 name, channels, heads);
    bool starts_at_zero = build->starts_at_zero;
    build->starts_at_zero = false;
    snprintf(layer, sizeof(layer), "%s.qkv", name);
    basin_value qkv = basin__layer_conv(build, layer, x, 3 * channels, 1, one);
    build->starts_at_zero = starts_at_zero;
    if (qkv == BASIN_NO_VALUE)
        return qkv;
    int size = channels / heads;
    basin_value joined = attend(graph, qkv, 0, size);
    for (int i = 1; i < heads; i++)
        joined = basin_graph_concatenate(graph, joined, attend(graph, qkv, i * size, size));
    snprintf(layer, sizeof(layer), "%s.proj", name);
    return basin__layer_conv(build, layer, joined, channels, 1, one);
}
