/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolution. With z an output gradient,
 *
 *     T(x, w, z) = Σ x[y·s + i − p, x·s + j − p, c] · w[o, i, j, c] · z[y, x, o]
 *
 * is linear in each of its three arguments, and the three ops are its three
 * partial derivatives:
 *
 *     conv        (x, w) → dT/dz        conv_input (z, w) → dT/dx
 *     conv_weight (x, z) → dT/dw
 *
 * So each one's gradients are the other two, and differentiating any number of
 * times needs nothing else. Where the stride leaves rows of x untouched, dT/dx
 * is zero there.
 */
#include "ops/common.h"

#define STEP_MAX 65535 /* of stride and pad */

/** Output length along one axis; 0 where the kernel does not fit. */
static int64_t output_length(int64_t length, int64_t kernel, basin_conv conv) {
    int64_t room = length + 2 * (int64_t)conv.pad - kernel;
    return room < 0 ? 0 : room / conv.stride + 1;
}

/** The shape of z for x and w, or a failure. */
static bool infer_output(basin_graph *graph, basin_shape x, basin_shape w, basin_conv conv,
                         basin_shape *z) {
    if (conv.stride < 1 || conv.pad < 0 || conv.stride > STEP_MAX || conv.pad > STEP_MAX) {
        basin__graph_fail(graph, BASIN_ERROR_ARGUMENT,
                          "stride %d must be in [1, %d] and pad %d in [0, %d]", conv.stride,
                          STEP_MAX, conv.pad, STEP_MAX);
        return false;
    }
    int64_t height = output_length(x.height, w.height, conv);
    int64_t width = output_length(x.width, w.width, conv);
    if (x.outer != 1 || x.channels != w.channels || height < 1 || width < 1 || height > INT32_MAX ||
        width > INT32_MAX) {
        basin__graph_fail(graph, BASIN_ERROR_SHAPE,
                          "an input %s does not fit a weight %s with stride %d and pad %d: %s",
                          basin__shape_print(x).text, basin__shape_print(w).text, conv.stride,
                          conv.pad,
                          x.outer != 1               ? "the input's outer axis must be 1"
                          : x.channels != w.channels ? "channels differ"
                                                     : "the kernel is larger than the input");
        return false;
    }
    *z = (basin_shape){1, (int32_t)height, (int32_t)width, w.outer};
    return true;
}

/** Check the shape of a given z against the one that x and w give. */
static bool check_output(basin_graph *graph, basin_shape x, basin_shape w, basin_conv conv,
                         basin_shape z) {
    basin_shape wanted;
    if (!infer_output(graph, x, w, conv, &wanted))
        return false;
    if (basin_shape_equal(z, wanted))
        return true;
    basin__graph_fail(graph, BASIN_ERROR_SHAPE,
                      "the output gradient is %s; an input %s and a weight %s make it %s",
                      basin__shape_print(z).text, basin__shape_print(x).text,
                      basin__shape_print(w).text, basin__shape_print(wanted).text);
    return false;
}

static bool check_weight_shared(basin_graph *graph, basin_value weight) {
    if (basin_graph_is_shared(graph, weight))
        return true;
    basin__graph_fail(graph, BASIN_ERROR_UNSUPPORTED, "a weight must be shared by all examples");
    return false;
}

static bool infer_conv(basin_graph *graph, const basin_value *inputs,
                       const basin__attributes *attributes, basin_shape *shape) {
    return check_weight_shared(graph, inputs[1]) &&
           infer_output(graph, basin_graph_shape(graph, inputs[0]),
                        basin_graph_shape(graph, inputs[1]), attributes->conv, shape);
}

static bool infer_conv_input(basin_graph *graph, const basin_value *inputs,
                             const basin__attributes *attributes, basin_shape *shape) {
    *shape = attributes->shape;
    return check_weight_shared(graph, inputs[1]) &&
           check_output(graph, *shape, basin_graph_shape(graph, inputs[1]), attributes->conv,
                        basin_graph_shape(graph, inputs[0]));
}

static bool infer_conv_weight(basin_graph *graph, const basin_value *inputs,
                              const basin__attributes *attributes, basin_shape *shape) {
    *shape = attributes->shape;
    return check_output(graph, basin_graph_shape(graph, inputs[0]), *shape, attributes->conv,
                        basin_graph_shape(graph, inputs[1]));
}

/* ---- gradients ---- */

static void gradient_conv(basin_graph *graph, basin_value node, basin_value upstream,
                          const bool *wanted, basin_value *input_gradients) {
    basin__node at = basin__node_copy(graph, node);
    basin_value x = at.input[0], w = at.input[1];
    if (wanted[0])
        input_gradients[0] = basin_graph_conv_input(graph, upstream, w, basin_graph_shape(graph, x),
                                                    at.attributes.conv);
    if (wanted[1])
        input_gradients[1] = basin_graph_conv_weight(
            graph, x, upstream, basin_graph_shape(graph, w), at.attributes.conv);
}

static void gradient_conv_input(basin_graph *graph, basin_value node, basin_value upstream,
                                const bool *wanted, basin_value *input_gradients) {
    basin__node at = basin__node_copy(graph, node);
    basin_value z = at.input[0], w = at.input[1];
    if (wanted[0])
        input_gradients[0] = basin_graph_conv(graph, upstream, w, at.attributes.conv);
    if (wanted[1])
        input_gradients[1] = basin_graph_conv_weight(
            graph, upstream, z, basin_graph_shape(graph, w), at.attributes.conv);
}

static void gradient_conv_weight(basin_graph *graph, basin_value node, basin_value upstream,
                                 const bool *wanted, basin_value *input_gradients) {
    basin__node at = basin__node_copy(graph, node);
    basin_value x = at.input[0], z = at.input[1];
    if (wanted[0])
        input_gradients[0] = basin_graph_conv_input(graph, z, upstream, basin_graph_shape(graph, x),
                                                    at.attributes.conv);
    if (wanted[1])
        input_gradients[1] = basin_graph_conv(graph, x, upstream, at.attributes.conv);
}

/* ---- reference kernels ---- */

/** Σ over `count` elements of two runs with their own strides. */
static double dot(const basin__view *a, ptrdiff_t at_a, ptrdiff_t step_a, const basin__view *b,
                  ptrdiff_t at_b, ptrdiff_t step_b, int count) {
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += basin__view_get(a, at_a + i * step_a) * basin__view_get(b, at_b + i * step_b);
    return sum;
}

static void run_conv(const basin__op_call *call) {
    const basin__view *x = &call->in[0], *w = &call->in[1], *out = &call->out;
    basin_conv conv = call->node->attributes.conv;
    for (basin__pixel p = {0}; p.n < call->n; basin__pixel_step(&p, out->shape))
        for (int o = 0; o < out->shape.channels; o++) {
            double sum = 0;
            for (int i = 0; i < w->shape.height; i++)
                for (int j = 0; j < w->shape.width; j++) {
                    int row = p.y * conv.stride + i - conv.pad;
                    int column = p.x * conv.stride + j - conv.pad;
                    if (row < 0 || row >= x->shape.height || column < 0 || column >= x->shape.width)
                        continue;
                    sum += dot(x, basin__view_at(x, p.n, 0, row, column, 0), x->stride[4], w,
                               basin__view_at(w, p.n, o, i, j, 0), w->stride[4], x->shape.channels);
                }
            basin__view_set(out, basin__pixel_at(out, p) + o * out->stride[4], sum);
        }
}

/** The output row that kernel row i reads input row `row` for, or -1. */
static int output_row(int row, int i, basin_conv conv, int length) {
    int at = row + conv.pad - i;
    return at < 0 || at % conv.stride != 0 || at / conv.stride >= length ? -1 : at / conv.stride;
}

static void run_conv_input(const basin__op_call *call) {
    const basin__view *z = &call->in[0], *w = &call->in[1], *out = &call->out;
    basin_conv conv = call->node->attributes.conv;
    for (basin__pixel p = {0}; p.n < call->n; basin__pixel_step(&p, out->shape))
        for (int c = 0; c < out->shape.channels; c++) {
            double sum = 0;
            for (int i = 0; i < w->shape.height; i++)
                for (int j = 0; j < w->shape.width; j++) {
                    int row = output_row(p.y, i, conv, z->shape.height);
                    int column = output_row(p.x, j, conv, z->shape.width);
                    if (row >= 0 && column >= 0)
                        sum += dot(z, basin__view_at(z, p.n, 0, row, column, 0), z->stride[4], w,
                                   basin__view_at(w, p.n, 0, i, j, c), w->stride[1],
                                   z->shape.channels);
                }
            basin__view_set(out, basin__pixel_at(out, p) + c * out->stride[4], sum);
        }
}

/** Σ over one row of z: the part of one weight's gradient. */
static double weight_row(const basin__op_call *call, int64_t n, int y, int row, int o, int j,
                         int c) {
    const basin__view *x = &call->in[0], *z = &call->in[1];
    basin_conv conv = call->node->attributes.conv;
    double sum = 0;
    for (int k = 0; k < z->shape.width; k++) {
        int column = k * conv.stride + j - conv.pad;
        if (column >= 0 && column < x->shape.width)
            sum += basin__view_get(x, basin__view_at(x, n, 0, row, column, c)) *
                   basin__view_get(z, basin__view_at(z, n, 0, y, k, o));
    }
    return sum;
}

static void run_conv_weight(const basin__op_call *call) {
    const basin__view *x = &call->in[0], *z = &call->in[1], *out = &call->out;
    basin_conv conv = call->node->attributes.conv;
    /* p is a weight's [o, i, j]; its n stays 0, for the batch is summed. */
    for (basin__pixel p = {0}; p.n < 1; basin__pixel_step(&p, out->shape))
        for (int c = 0; c < out->shape.channels; c++) {
            double sum = 0;
            for (int64_t n = 0; n < call->n; n++)
                for (int y = 0; y < z->shape.height; y++) {
                    int row = y * conv.stride + p.y - conv.pad;
                    if (row >= 0 && row < x->shape.height)
                        sum += weight_row(call, n, y, row, p.o, p.x, c);
                }
            basin__view_add(out, basin__pixel_at(out, p) + c * out->stride[4], sum);
        }
}

/* ---- cases: common, 1×1, stride beyond the kernel, pad as large as the kernel, not square ---- */

static const basin__op_case conv_cases[] = {
    {{{1, 5, 4, 2}, {3, 3, 3, 2}}, {.conv = {1, 1}}, -1, 1},
    {{{1, 6, 6, 2}, {2, 4, 4, 2}}, {.conv = {2, 1}}, -1, 1},
    {{{1, 1, 1, 5}, {3, 1, 1, 5}}, {.conv = {1, 0}}, -1, 1},
    {{{1, 7, 5, 1}, {2, 2, 2, 1}}, {.conv = {3, 0}}, -1, 1},
    {{{1, 2, 3, 1}, {2, 2, 2, 1}}, {.conv = {1, 2}}, -1, 1},
    {{{1, 4, 5, 2}, {1, 1, 3, 2}}, {.conv = {2, 1}}, -1, 1},
};

static const basin__op_case conv_input_cases[] = {
    {{{1, 5, 4, 3}, {3, 3, 3, 2}}, {.conv = {1, 1}, .shape = {1, 5, 4, 2}}, -1, 1},
    {{{1, 3, 3, 2}, {2, 4, 4, 2}}, {.conv = {2, 1}, .shape = {1, 7, 6, 2}}, -1, 1},
    {{{1, 1, 1, 3}, {3, 1, 1, 5}}, {.conv = {1, 0}, .shape = {1, 1, 1, 5}}, -1, 1},
    {{{1, 2, 2, 2}, {2, 2, 2, 1}}, {.conv = {3, 0}, .shape = {1, 7, 5, 1}}, -1, 1},
    {{{1, 5, 6, 2}, {2, 2, 2, 1}}, {.conv = {1, 2}, .shape = {1, 2, 3, 1}}, -1, 1},
    {{{1, 3, 3, 1}, {1, 1, 3, 2}}, {.conv = {2, 1}, .shape = {1, 4, 5, 2}}, -1, 1},
};

static const basin__op_case conv_weight_cases[] = {
    {{{1, 5, 4, 2}, {1, 5, 4, 3}}, {.conv = {1, 1}, .shape = {3, 3, 3, 2}}, -1, 1},
    {{{1, 7, 6, 2}, {1, 3, 3, 2}}, {.conv = {2, 1}, .shape = {2, 4, 4, 2}}, -1, 1},
    {{{1, 1, 1, 5}, {1, 1, 1, 3}}, {.conv = {1, 0}, .shape = {3, 1, 1, 5}}, -1, 1},
    {{{1, 7, 5, 1}, {1, 2, 2, 2}}, {.conv = {3, 0}, .shape = {2, 2, 2, 1}}, -1, 1},
    {{{1, 2, 3, 1}, {1, 5, 6, 2}}, {.conv = {1, 2}, .shape = {2, 2, 2, 1}}, -1, 1},
    {{{1, 4, 5, 2}, {1, 3, 3, 1}}, {.conv = {2, 1}, .shape = {1, 1, 3, 2}}, -1, 1},
};

const basin__op_def basin__op_conv = {
    .name = "conv",
    .help = "z[y, x, o] = sum x[y s + i - p, x s + j - p, c] w[o, i, j, c]",
    .input_count = 2,
    .is_smooth = true,
    .infer = infer_conv,
    .gradient = gradient_conv,
    .run = run_conv,
    .cases = conv_cases,
    .case_count = BASIN_COUNT(conv_cases),
};

const basin__op_def basin__op_conv_input = {
    .name = "conv_input",
    .help = "adjoint of conv to its input: from (output gradient, weight)",
    .input_count = 2,
    .is_smooth = true,
    .infer = infer_conv_input,
    .gradient = gradient_conv_input,
    .run = run_conv_input,
    .cases = conv_input_cases,
    .case_count = BASIN_COUNT(conv_input_cases),
};

const basin__op_def basin__op_conv_weight = {
    .name = "conv_weight",
    .help = "adjoint of conv to its weight: from (input, output gradient), summed over the batch",
    .input_count = 2,
    .sums_batch = true,
    .is_smooth = true,
    .infer = infer_conv_weight,
    .gradient = gradient_conv_weight,
    .run = run_conv_weight,
    .cases = conv_weight_cases,
    .case_count = BASIN_COUNT(conv_weight_cases),
};
