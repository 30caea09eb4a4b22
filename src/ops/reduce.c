/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums: over axes, of a product over axes, over the batch, and the two that
 * belong together, log Σ exp over channels and its derivative, softmax.
 *
 *     d dot / da = u b                 (a product that is summed is never stored)
 *     d lse / dx = softmax(x)          d softmax: s ⊙ (u − Σ_c u s)
 *
 * The last two subtract the largest channel first, so that exp never overflows.
 */
#include "ops/common.h"
#include <math.h>

/* ---- sum over axes: those that are 1 in attributes.shape ---- */

static bool fits(int32_t in, int32_t out) { return out == in || out == 1; }

static bool infer_sum(basin_graph *graph, const basin_value *inputs,
                      const basin__attributes *attributes, basin_shape *shape) {
    basin_shape x = basin_graph_shape(graph, inputs[0]), to = attributes->shape;
    *shape = to;
    if (fits(x.outer, to.outer) && fits(x.height, to.height) && fits(x.width, to.width) &&
        fits(x.channels, to.channels))
        return true;
    basin__graph_fail(graph, BASIN_ERROR_SHAPE,
                      "%s cannot be summed to %s: an axis must stay or become 1",
                      basin__shape_print(x).text, basin__shape_print(to).text);
    return false;
}

static void gradient_sum(basin_graph *graph, basin_value node, basin_value upstream,
                         const bool *wanted, basin_value *input_gradients) {
    (void)wanted;
    basin_shape shape = basin_graph_shape(graph, graph->nodes[node].input[0]);
    input_gradients[0] = basin_graph_broadcast(graph, upstream, shape);
}

/** How many elements of x along an axis belong to one of the output. */
static int32_t span(int32_t in, int32_t out) { return in == out ? 1 : in; }

static basin_shape part_of(basin_shape in, basin_shape out) {
    return (basin_shape){span(in.outer, out.outer), span(in.height, out.height),
                         span(in.width, out.width), span(in.channels, out.channels)};
}

static void run_sum(const basin__op_call *call) {
    const basin__view *in = &call->in[0], *out = &call->out;
    basin_shape part = part_of(in->shape, out->shape);
    for (basin__pixel p = {0}; p.n < call->n; basin__pixel_step(&p, out->shape))
        for (int c = 0; c < out->shape.channels; c++) {
            ptrdiff_t first = basin__pixel_at(in, p) + c * in->stride[4];
            double sum = 0;
            for (basin__pixel q = {0}; q.n < 1; basin__pixel_step(&q, part))
                for (int k = 0; k < part.channels; k++)
                    sum += basin__view_get(in, first + basin__pixel_at(in, q) + k * in->stride[4]);
            basin__view_set(out, basin__pixel_at(out, p) + c * out->stride[4], sum);
        }
}

/* ---- sum of a product ---- */

static bool infer_dot(basin_graph *graph, const basin_value *inputs,
                      const basin__attributes *attributes, basin_shape *shape) {
    basin_shape a = basin_graph_shape(graph, inputs[0]), b = basin_graph_shape(graph, inputs[1]);
    if (basin_shape_equal(a, b))
        return infer_sum(graph, inputs, attributes, shape);
    basin__graph_fail(graph, BASIN_ERROR_SHAPE, "%s and %s must have the same shape",
                      basin__shape_print(a).text, basin__shape_print(b).text);
    return false;
}

/** Where both are one value, its gradient is 2 u a. */
static void gradient_dot(basin_graph *graph, basin_value node, basin_value upstream,
                         const bool *wanted, basin_value *input_gradients) {
    basin__node at = basin__node_copy(graph, node);
    bool is_square = at.input[0] == at.input[1];
    if (is_square)
        upstream = basin_graph_scale(graph, upstream, 2.0);
    for (int i = 0; i < (is_square ? 1 : 2); i++)
        if (wanted[i])
            input_gradients[i] = basin_graph_mul(graph, upstream, at.input[1 - i]);
}

static void run_dot(const basin__op_call *call) {
    const basin__view *a = &call->in[0], *b = &call->in[1], *out = &call->out;
    basin_shape part = part_of(a->shape, out->shape);
    for (basin__pixel p = {0}; p.n < call->n; basin__pixel_step(&p, out->shape))
        for (int c = 0; c < out->shape.channels; c++) {
            ptrdiff_t first_a = basin__pixel_at(a, p) + c * a->stride[4];
            ptrdiff_t first_b = basin__pixel_at(b, p) + c * b->stride[4];
            double sum = 0;
            for (basin__pixel q = {0}; q.n < 1; basin__pixel_step(&q, part)) {
                ptrdiff_t at_a = first_a + basin__pixel_at(a, q);
                ptrdiff_t at_b = first_b + basin__pixel_at(b, q);
                for (int k = 0; k < part.channels; k++)
                    sum += basin__view_get(a, at_a + k * a->stride[4]) *
                           basin__view_get(b, at_b + k * b->stride[4]);
            }
            basin__view_set(out, basin__pixel_at(out, p) + c * out->stride[4], sum);
        }
}

/* ---- sum over the batch ---- */

static void gradient_batch_sum(basin_graph *graph, basin_value node, basin_value upstream,
                               const bool *wanted, basin_value *input_gradients) {
    (void)graph;
    (void)node;
    (void)wanted;
    input_gradients[0] = upstream;
}

static void run_batch_sum(const basin__op_call *call) {
    const basin__view *in = &call->in[0], *out = &call->out;
    for (basin__pixel p = {0}; p.n < 1; basin__pixel_step(&p, out->shape))
        for (int c = 0; c < out->shape.channels; c++) {
            ptrdiff_t from = basin__pixel_at(in, p) + c * in->stride[4];
            double sum = 0;
            for (int64_t n = 0; n < call->n; n++)
                sum += basin__view_get(in, from + (ptrdiff_t)n * in->stride[0]);
            basin__view_add(out, basin__pixel_at(out, p) + c * out->stride[4], sum);
        }
}

/* ---- log Σ exp and softmax, over channels ---- */

static bool infer_log_sum_exp(basin_graph *graph, const basin_value *inputs,
                              const basin__attributes *attributes, basin_shape *shape) {
    (void)attributes;
    *shape = basin_graph_shape(graph, inputs[0]);
    shape->channels = 1;
    return true;
}

static void gradient_log_sum_exp(basin_graph *graph, basin_value node, basin_value upstream,
                                 const bool *wanted, basin_value *input_gradients) {
    (void)wanted;
    basin_value x = graph->nodes[node].input[0];
    input_gradients[0] = basin_graph_mul(graph, upstream, basin_graph_softmax(graph, x));
}

static void gradient_softmax(basin_graph *graph, basin_value node, basin_value upstream,
                             const bool *wanted, basin_value *input_gradients) {
    (void)wanted;
    basin_value mean = basin_graph_dot(graph, upstream, node, BASIN_AXIS_CHANNELS);
    input_gradients[0] = basin_graph_mul(graph, node, basin_graph_sub(graph, upstream, mean));
}

/** The largest channel and Σ exp(x − largest). */
static double sum_of_exp(const basin__view *in, ptrdiff_t at, double *largest) {
    *largest = basin__view_get(in, at);
    for (int c = 1; c < in->shape.channels; c++) {
        const double x = basin__view_get(in, at + c * in->stride[4]);
        if (x > *largest) /* on fmax here, gcc 12 for AArch64 fails in its vectoriser */
            *largest = x;
    }
    double sum = 0;
    for (int c = 0; c < in->shape.channels; c++)
        sum += exp(basin__view_get(in, at + c * in->stride[4]) - *largest);
    return sum;
}

static void run_log_sum_exp(const basin__op_call *call) {
    const basin__view *in = &call->in[0], *out = &call->out;
    for (basin__pixel p = {0}; p.n < call->n; basin__pixel_step(&p, out->shape)) {
        double largest, sum = sum_of_exp(in, basin__pixel_at(in, p), &largest);
        basin__view_set(out, basin__pixel_at(out, p), largest + log(sum));
    }
}

static void run_softmax(const basin__op_call *call) {
    const basin__view *in = &call->in[0], *out = &call->out;
    for (basin__pixel p = {0}; p.n < call->n; basin__pixel_step(&p, out->shape)) {
        ptrdiff_t from = basin__pixel_at(in, p), to = basin__pixel_at(out, p);
        double largest, sum = sum_of_exp(in, from, &largest);
        for (int c = 0; c < out->shape.channels; c++)
            basin__view_set(out, to + c * out->stride[4],
                            exp(basin__view_get(in, from + c * in->stride[4]) - largest) / sum);
    }
}

/* ---- definitions ---- */

static const basin__op_case sum_cases[] = {
    {{{1, 3, 2, 2}}, {.shape = {1, 1, 1, 2}}, -1, 1},
    {{{1, 3, 2, 2}}, {.shape = {1, 3, 2, 1}}, -1, 1},
    {{{1, 3, 2, 2}}, {.shape = {1, 1, 1, 1}}, -1, 1},
    {{{3, 2, 2, 2}}, {.shape = {1, 2, 1, 2}}, -1, 1},
};

const basin__op_def basin__op_sum = {
    .name = "sum",
    .help = "sum over the axes that the output has 1 of",
    .input_count = 1,
    .is_smooth = true,
    .infer = infer_sum,
    .gradient = gradient_sum,
    .run = run_sum,
    .cases = sum_cases,
    .case_count = BASIN_COUNT(sum_cases),
};

static const basin__op_case dot_cases[] = {
    {{{1, 3, 2, 2}, {1, 3, 2, 2}}, {.shape = {1, 1, 1, 2}}, -1, 1},
    {{{1, 3, 2, 2}, {1, 3, 2, 2}}, {.shape = {1, 3, 2, 1}}, -1, 1},
    {{{1, 3, 2, 2}, {1, 3, 2, 2}}, {.shape = {1, 1, 1, 1}}, -1, 1},
    {{{3, 2, 2, 2}, {3, 2, 2, 2}}, {.shape = {1, 2, 1, 2}}, -1, 1},
};

const basin__op_def basin__op_dot = {
    .name = "dot",
    .help = "sum of a b over the axes that the output has 1 of",
    .input_count = 2,
    .is_smooth = true,
    .infer = infer_dot,
    .gradient = gradient_dot,
    .run = run_dot,
    .cases = dot_cases,
    .case_count = BASIN_COUNT(dot_cases),
};

static const basin__op_case same_cases[] = {
    {{{1, 2, 2, 3}}, {.a = 0}, -1, 1},
    {{{1, 1, 1, 1}}, {.a = 0}, -1, 1},
};

const basin__op_def basin__op_batch_sum = {
    .name = "batch_sum",
    .help = "sum over the batch",
    .input_count = 1,
    .sums_batch = true,
    .is_smooth = true,
    .infer = basin__infer_same,
    .gradient = gradient_batch_sum,
    .run = run_batch_sum,
    .cases = same_cases,
    .case_count = BASIN_COUNT(same_cases),
};

const basin__op_def basin__op_log_sum_exp = {
    .name = "log_sum_exp",
    .help = "log of the sum of exp(x) over channels",
    .input_count = 1,
    .is_smooth = true,
    .infer = infer_log_sum_exp,
    .gradient = gradient_log_sum_exp,
    .run = run_log_sum_exp,
    .cases = same_cases,
    .case_count = BASIN_COUNT(same_cases),
};

const basin__op_def basin__op_softmax = {
    .name = "softmax",
    .help = "exp(x) divided by its sum over channels",
    .input_count = 1,
    .is_smooth = true,
    .infer = basin__infer_same,
    .gradient = gradient_softmax,
    .run = run_softmax,
    .cases = same_cases,
    .case_count = BASIN_COUNT(same_cases),
};
