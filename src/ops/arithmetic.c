/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arithmetic, element by element. An axis of length 1 is broadcast; the way
 * back of a broadcast is a sum.
 */
#include "ops/common.h"

/* ---- shape rules ---- */

/** The longer of two lengths where they agree or one is 1; else 0. */
static int32_t joined(int32_t a, int32_t b) { return a == b || b == 1 ? a : a == 1 ? b : 0; }

static basin_shape join(basin_shape a, basin_shape b) {
    return (basin_shape){joined(a.outer, b.outer), joined(a.height, b.height),
                         joined(a.width, b.width), joined(a.channels, b.channels)};
}

static bool infer_binary(basin_graph *graph, const basin_value *inputs,
                         const basin__attributes *attributes, basin_shape *shape) {
    (void)attributes;
    basin_shape a = basin_graph_shape(graph, inputs[0]), b = basin_graph_shape(graph, inputs[1]);
    *shape = join(a, b);
    if (basin_shape_count(*shape) > 0)
        return true;
    basin__graph_fail(graph, BASIN_ERROR_SHAPE,
                      "%s and %s do not fit: axes must be equal or one of them 1",
                      basin__shape_print(a).text, basin__shape_print(b).text);
    return false;
}

static bool infer_broadcast(basin_graph *graph, const basin_value *inputs,
                            const basin__attributes *attributes, basin_shape *shape) {
    basin_shape x = basin_graph_shape(graph, inputs[0]);
    *shape = attributes->shape;
    if (basin_shape_equal(join(x, *shape), *shape))
        return true;
    basin__graph_fail(graph, BASIN_ERROR_SHAPE,
                      "%s cannot be repeated to %s: only axes of length 1 can",
                      basin__shape_print(x).text, basin__shape_print(*shape).text);
    return false;
}

/* ---- gradients ---- */

static basin_value sum_to_input(basin_graph *graph, basin_value node, int input, basin_value x) {
    return basin__graph_sum_to(graph, x, basin_graph_shape(graph, graph->nodes[node].input[input]));
}

static void gradient_add(basin_graph *graph, basin_value node, basin_value upstream,
                         const bool *wanted, basin_value *input_gradients) {
    for (int i = 0; i < 2; i++)
        if (wanted[i])
            input_gradients[i] = sum_to_input(graph, node, i, upstream);
}

static void gradient_sub(basin_graph *graph, basin_value node, basin_value upstream,
                         const bool *wanted, basin_value *input_gradients) {
    gradient_add(graph, node, upstream, wanted, input_gradients);
    if (wanted[1])
        input_gradients[1] = basin_graph_scale(graph, input_gradients[1], -1.0);
}

static void gradient_mul(basin_graph *graph, basin_value node, basin_value upstream,
                         const bool *wanted, basin_value *input_gradients) {
    basin__node at = basin__node_copy(graph, node);
    for (int i = 0; i < 2; i++)
        if (wanted[i])
            input_gradients[i] = basin__graph_sum_product(graph, upstream, at.input[1 - i],
                                                          basin_graph_shape(graph, at.input[i]));
}

static void gradient_scale(basin_graph *graph, basin_value node, basin_value upstream,
                           const bool *wanted, basin_value *input_gradients) {
    (void)wanted;
    double factor = graph->nodes[node].attributes.a;
    input_gradients[0] = basin_graph_scale(graph, upstream, factor);
}

static void gradient_offset(basin_graph *graph, basin_value node, basin_value upstream,
                            const bool *wanted, basin_value *input_gradients) {
    (void)graph;
    (void)node;
    (void)wanted;
    input_gradients[0] = upstream;
}

static void gradient_broadcast(basin_graph *graph, basin_value node, basin_value upstream,
                               const bool *wanted, basin_value *input_gradients) {
    (void)wanted;
    input_gradients[0] = sum_to_input(graph, node, 0, upstream);
}

/* ---- reference kernel: one for all, by what is done to an element ---- */

typedef double element_function(double a, double b, double number);

static double add(double a, double b, double number) { return (void)number, a + b; }
static double sub(double a, double b, double number) { return (void)number, a - b; }
static double mul(double a, double b, double number) { return (void)number, a * b; }
static double scale(double a, double b, double number) { return (void)b, a * number; }
static double offset(double a, double b, double number) { return (void)b, a + number; }
static double same(double a, double b, double number) { return (void)b, (void)number, a; }

static void run_elements(const basin__op_call *call, element_function *function) {
    const basin__view *out = &call->out;
    basin__view a = basin__view_broadcast(call->in[0]);
    basin__view b = call->node->input_count == 2 ? basin__view_broadcast(call->in[1]) : a;
    double number = call->node->attributes.a;
    for (basin__pixel p = {0}; p.n < call->n; basin__pixel_step(&p, out->shape)) {
        ptrdiff_t at = basin__pixel_at(out, p);
        ptrdiff_t at_a = basin__pixel_at(&a, p), at_b = basin__pixel_at(&b, p);
        for (int c = 0; c < out->shape.channels; c++)
            basin__view_set(out, at + c * out->stride[4],
                            function(basin__view_get(&a, at_a + c * a.stride[4]),
                                     basin__view_get(&b, at_b + c * b.stride[4]), number));
    }
}

static void run_add(const basin__op_call *call) { run_elements(call, add); }
static void run_sub(const basin__op_call *call) { run_elements(call, sub); }
static void run_mul(const basin__op_call *call) { run_elements(call, mul); }
static void run_scale(const basin__op_call *call) { run_elements(call, scale); }
static void run_offset(const basin__op_call *call) { run_elements(call, offset); }
static void run_same(const basin__op_call *call) { run_elements(call, same); }

/* ---- definitions ---- */

static const basin__op_case binary_cases[] = {
    {{{1, 2, 3, 4}, {1, 2, 3, 4}}, {.a = 0}, -1, 1},
    {{{1, 2, 3, 4}, {1, 1, 1, 4}}, {.a = 0}, -1, 1},
    {{{1, 1, 1, 1}, {1, 3, 2, 2}}, {.a = 0}, -1, 1},
    {{{1, 3, 1, 2}, {1, 1, 2, 1}}, {.a = 0}, -1, 1},
    {{{3, 2, 2, 1}, {1, 1, 1, 1}}, {.a = 0}, -1, 1},
    {{{1, 1, 1, 1}, {1, 1, 1, 1}}, {.a = 0}, -1, 1},
};

#define BINARY(op_name, formula)                                                                   \
    const basin__op_def basin__op_##op_name = {.name = #op_name,                                   \
                                               .help = formula,                                    \
                                               .input_count = 2,                                   \
                                               .is_elementwise = true,                             \
                                               .is_smooth = true,                                  \
                                               .infer = infer_binary,                              \
                                               .gradient = gradient_##op_name,                     \
                                               .run = run_##op_name,                               \
                                               .cases = binary_cases,                              \
                                               .case_count = BASIN_COUNT(binary_cases)};

BINARY(add, "a + b")
BINARY(sub, "a - b")
BINARY(mul, "a b")

static const basin__op_case number_cases[] = {
    {{{1, 2, 3, 2}}, {.a = -1.5}, -1, 1},
    {{{2, 1, 1, 3}}, {.a = 0.25}, -1, 1},
};

const basin__op_def basin__op_scale = {
    .name = "scale",
    .help = "x times a number",
    .input_count = 1,
    .is_elementwise = true,
    .is_smooth = true,
    .infer = basin__infer_same,
    .gradient = gradient_scale,
    .run = run_scale,
    .cases = number_cases,
    .case_count = BASIN_COUNT(number_cases),
};

const basin__op_def basin__op_offset = {
    .name = "offset",
    .help = "x plus a number",
    .input_count = 1,
    .is_elementwise = true,
    .is_smooth = true,
    .infer = basin__infer_same,
    .gradient = gradient_offset,
    .run = run_offset,
    .cases = number_cases,
    .case_count = BASIN_COUNT(number_cases),
};

static const basin__op_case broadcast_cases[] = {
    {{{1, 1, 1, 1}}, {.shape = {1, 2, 3, 2}}, -1, 1},
    {{{1, 1, 1, 3}}, {.shape = {1, 2, 2, 3}}, -1, 1},
    {{{1, 2, 3, 1}}, {.shape = {1, 2, 3, 4}}, -1, 1},
    {{{1, 1, 2, 1}}, {.shape = {3, 2, 2, 1}}, -1, 1},
};

const basin__op_def basin__op_broadcast = {
    .name = "broadcast",
    .help = "axes of length 1 repeated",
    .input_count = 1,
    .is_elementwise = true,
    .is_smooth = true,
    .infer = infer_broadcast,
    .gradient = gradient_broadcast,
    .run = run_same,
    .cases = broadcast_cases,
    .case_count = BASIN_COUNT(broadcast_cases),
};

static const basin__op_case stop_cases[] = {{{{1, 2, 2, 3}}, {.a = 0}, -1, 1}};

const basin__op_def basin__op_stop = {
    .name = "stop",
    .help = "x, through which no gradient flows",
    .input_count = 1,
    .is_elementwise = true,
    .infer = basin__infer_same,
    .run = run_same,
    .cases = stop_cases,
    .case_count = BASIN_COUNT(stop_cases),
};
