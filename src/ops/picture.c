/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Smaller and larger pictures. With s the size of a window,
 *
 *     average_pool: mean over s × s       its adjoint: each pixel spread over s × s, divided by s²
 *     upsample: each pixel over s × s     its adjoint: sum over s × s
 *
 * so two kernels, gather and spread, with a factor serve all four.
 */
#include "ops/common.h"

/* ---- shape rules ---- */

static bool check_size(basin_graph *graph, int size) {
    if (size >= 1)
        return true;
    basin__graph_fail(graph, BASIN_ERROR_ARGUMENT, "the size %d must be at least 1", size);
    return false;
}

static bool infer_smaller(basin_graph *graph, const basin_value *inputs,
                          const basin__attributes *attributes, basin_shape *shape) {
    int size = attributes->size;
    *shape = basin_graph_shape(graph, inputs[0]);
    if (!check_size(graph, size))
        return false;
    if (shape->height % size != 0 || shape->width % size != 0) {
        basin__graph_fail(graph, BASIN_ERROR_SHAPE,
                          "height and width of %s are not multiples of %d",
                          basin__shape_print(*shape).text, size);
        return false;
    }
    shape->height /= size;
    shape->width /= size;
    return true;
}

static bool infer_larger(basin_graph *graph, const basin_value *inputs,
                         const basin__attributes *attributes, basin_shape *shape) {
    int size = attributes->size;
    *shape = basin_graph_shape(graph, inputs[0]);
    if (!check_size(graph, size))
        return false;
    if (shape->height > INT32_MAX / size || shape->width > INT32_MAX / size) {
        basin__graph_fail(graph, BASIN_ERROR_SHAPE, "%s times %d is too large",
                          basin__shape_print(*shape).text, size);
        return false;
    }
    shape->height *= size;
    shape->width *= size;
    return true;
}

/* ---- gradients: the adjoint, with the same size ---- */

static void emit(basin_graph *graph, basin__op op, basin_value node, basin_value upstream,
                 basin_value *input_gradients) {
    basin__attributes attributes = {.size = graph->nodes[node].attributes.size};
    input_gradients[0] = basin__graph_add(graph, op, 1, &upstream, &attributes);
}

#define ADJOINT(op_name, adjoint_name)                                                             \
    static void gradient_##op_name(basin_graph *graph, basin_value node, basin_value upstream,     \
                                   const bool *wanted, basin_value *input_gradients) {             \
        (void)wanted;                                                                              \
        emit(graph, BASIN__OP_##adjoint_name, node, upstream, input_gradients);                    \
    }

ADJOINT(average_pool, average_pool_input)
ADJOINT(average_pool_input, average_pool)
ADJOINT(upsample, upsample_input)
ADJOINT(upsample_input, upsample)

/* ---- reference kernels ---- */

/** Σ over the window of one output pixel, times a factor. */
static void gather(const basin__op_call *call, double factor) {
    const basin__view *in = &call->in[0], *out = &call->out;
    int size = call->node->attributes.size;
    for (basin__pixel p = {0}; p.n < call->n; basin__pixel_step(&p, out->shape))
        for (int c = 0; c < out->shape.channels; c++) {
            ptrdiff_t first = basin__view_at(in, p.n, p.o, p.y * size, p.x * size, c);
            double sum = 0;
            for (int i = 0; i < size; i++)
                for (int j = 0; j < size; j++)
                    sum += basin__view_get(in, first + i * in->stride[2] + j * in->stride[3]);
            basin__view_set(out, basin__pixel_at(out, p) + c * out->stride[4], sum * factor);
        }
}

/** Each output pixel is that of the window it lies in, times a factor. */
static void spread(const basin__op_call *call, double factor) {
    const basin__view *in = &call->in[0], *out = &call->out;
    int size = call->node->attributes.size;
    for (basin__pixel p = {0}; p.n < call->n; basin__pixel_step(&p, out->shape)) {
        ptrdiff_t from = basin__view_at(in, p.n, p.o, p.y / size, p.x / size, 0);
        ptrdiff_t to = basin__pixel_at(out, p);
        for (int c = 0; c < out->shape.channels; c++)
            basin__view_set(out, to + c * out->stride[4],
                            basin__view_get(in, from + c * in->stride[4]) * factor);
    }
}

static double share(const basin__op_call *call) {
    double size = call->node->attributes.size;
    return 1 / (size * size);
}

static void run_average_pool(const basin__op_call *call) { gather(call, share(call)); }
static void run_average_pool_input(const basin__op_call *call) { spread(call, share(call)); }
static void run_upsample(const basin__op_call *call) { spread(call, 1); }
static void run_upsample_input(const basin__op_call *call) { gather(call, 1); }

/* ---- definitions ---- */

static const basin__op_case large_cases[] = {
    {{{1, 4, 6, 2}}, {.size = 2}, -1, 1},
    {{{1, 3, 3, 1}}, {.size = 3}, -1, 1},
};
static const basin__op_case small_cases[] = {
    {{{1, 2, 3, 2}}, {.size = 2}, -1, 1},
    {{{1, 1, 1, 1}}, {.size = 3}, -1, 1},
};

#define PICTURE(op_name, what, infer_rule, case_list)                                              \
    const basin__op_def basin__op_##op_name = {.name = #op_name,                                   \
                                               .help = what,                                       \
                                               .input_count = 1,                                   \
                                               .is_smooth = true,                                  \
                                               .infer = infer_rule,                                \
                                               .gradient = gradient_##op_name,                     \
                                               .run = run_##op_name,                               \
                                               .cases = case_list,                                 \
                                               .case_count = BASIN_COUNT(case_list)};

PICTURE(average_pool, "mean over windows", infer_smaller, large_cases)
PICTURE(average_pool_input, "adjoint of average_pool", infer_larger, small_cases)
PICTURE(upsample, "each pixel repeated over a window", infer_larger, small_cases)
PICTURE(upsample_input, "adjoint of upsample: sum over windows", infer_smaller, large_cases)
