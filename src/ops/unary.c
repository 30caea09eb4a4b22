/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions of one number, applied to each element: f, its derivative as graph,
 * and a line in the table at the end.
 *
 * All are written so that no finite x gives an infinite intermediate where f is
 * finite: a sigmoid takes exp of negative numbers only.
 */
#include "ops/common.h"
#include <math.h>

/* ---- f(x) ---- */

typedef double function(double x, const basin__attributes *with);

#define FUNCTION(name, formula)                                                                    \
    static double f_##name(double x, const basin__attributes *with) {                              \
        (void)with;                                                                                \
        return formula;                                                                            \
    }

static double sigmoid_of(double x) {
    double e = exp(-fabs(x));
    return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}

/* clang-format off */
FUNCTION(square, x * x)
FUNCTION(exp, exp(x))
FUNCTION(log, log(x))
FUNCTION(sqrt, sqrt(x))
FUNCTION(reciprocal, 1 / x)
FUNCTION(sigmoid, sigmoid_of(x))
FUNCTION(silu, x * sigmoid_of(x))
FUNCTION(silu_slope, sigmoid_of(x) * (1 + x * sigmoid_of(-x)))
FUNCTION(softplus, (x > 0 ? x : 0) + log1p(exp(-fabs(x))))
FUNCTION(tanh, tanh(x))
FUNCTION(relu, x <= 0 ? 0 : x)
FUNCTION(leaky_relu, x <= 0 ? with->a * x : x)
FUNCTION(leaky_slope, x > 0 ? 1 : with->a)
FUNCTION(clamp, x < with->a ? with->a : x > with->b ? with->b : x)
FUNCTION(clamp_inside, x >= with->a && x <= with->b ? 1 : 0)
/* clang-format on */

/* ---- f'(x) as graph, given x and y = f(x) ---- */

typedef basin_value derivative(basin_graph *graph, basin_value x, basin_value y,
                               const basin__attributes *with);

#define DERIVATIVE(name, value)                                                                    \
    static basin_value d_##name(basin_graph *graph, basin_value x, basin_value y,                  \
                                const basin__attributes *with) {                                   \
        (void)graph, (void)x, (void)y, (void)with;                                                 \
        return value;                                                                              \
    }

/** 1 − x. */
static basin_value one_minus(basin_graph *graph, basin_value x) {
    return basin_graph_offset(graph, basin_graph_scale(graph, x, -1.0), 1.0);
}

/** SiLU″ = s (1 − s) (2 + x (1 − 2 s)). */
static basin_value silu_second(basin_graph *graph, basin_value x) {
    basin_value s = basin_graph_sigmoid(graph, x);
    basin_value bell = basin_graph_mul(graph, s, one_minus(graph, s));
    basin_value tilt = one_minus(graph, basin_graph_scale(graph, s, 2.0));
    return basin_graph_mul(graph, bell,
                           basin_graph_offset(graph, basin_graph_mul(graph, x, tilt), 2.0));
}

static basin_value leaky_slope(basin_graph *graph, basin_value x, double slope) {
    return basin__graph_add(graph, BASIN__OP_leaky_slope, 1, &x, &(basin__attributes){.a = slope});
}

static basin_value clamp_inside(basin_graph *graph, basin_value x, const basin__attributes *with) {
    return basin__graph_add(graph, BASIN__OP_clamp_inside, 1, &x, with);
}

DERIVATIVE(square, basin_graph_scale(graph, x, 2.0))
DERIVATIVE(exp, y)
DERIVATIVE(log, basin_graph_reciprocal(graph, x))
DERIVATIVE(sqrt, basin_graph_scale(graph, basin_graph_reciprocal(graph, y), 0.5))
DERIVATIVE(reciprocal, basin_graph_scale(graph, basin_graph_square(graph, y), -1.0))
DERIVATIVE(sigmoid, basin_graph_mul(graph, y, one_minus(graph, y)))
DERIVATIVE(silu, basin__graph_unary(graph, BASIN__OP_silu_slope, x))
DERIVATIVE(silu_slope, silu_second(graph, x))
DERIVATIVE(softplus, basin_graph_sigmoid(graph, x))
DERIVATIVE(tanh, one_minus(graph, basin_graph_square(graph, y)))
DERIVATIVE(relu, leaky_slope(graph, x, 0.0))
DERIVATIVE(leaky_relu, leaky_slope(graph, x, with->a))
DERIVATIVE(clamp, clamp_inside(graph, x, with))

/* ---- shape rules, kernel, gradient ---- */

static bool infer_clamp(basin_graph *graph, const basin_value *inputs,
                        const basin__attributes *attributes, basin_shape *shape) {
    if (attributes->a <= attributes->b)
        return basin__infer_same(graph, inputs, attributes, shape);
    basin__graph_fail(graph, BASIN_ERROR_ARGUMENT, "the low end %g is above the high end %g",
                      attributes->a, attributes->b);
    return false;
}

static void run_function(const basin__op_call *call, function *f) {
    const basin__view *in = &call->in[0], *out = &call->out;
    const basin__attributes *with = &call->node->attributes;
    for (basin__pixel p = {0}; p.n < call->n; basin__pixel_step(&p, out->shape)) {
        ptrdiff_t from = basin__pixel_at(in, p), to = basin__pixel_at(out, p);
        for (int c = 0; c < out->shape.channels; c++)
            basin__view_set(out, to + c * out->stride[4],
                            f(basin__view_get(in, from + c * in->stride[4]), with));
    }
}

static void chain(basin_graph *graph, basin_value node, basin_value upstream, derivative *d,
                  basin_value *input_gradients) {
    basin__node at = basin__node_copy(graph, node);
    input_gradients[0] =
        basin_graph_mul(graph, upstream, d(graph, at.input[0], node, &at.attributes));
}

/* ---- definitions ---- */

#define CASES(name, ...) static const basin__op_case name[] = {__VA_ARGS__};

CASES(anywhere, {{{1, 2, 3, 2}}, {.a = 0}, -2, 2}, {{{2, 1, 1, 3}}, {.a = 0}, -1, 1})
CASES(positive, {{{1, 2, 3, 2}}, {.a = 0}, 0.5, 2})
CASES(signed_, {{{1, 2, 3, 2}}, {.a = 0}, 0.5, 2}, {{{1, 1, 1, 3}}, {.a = 0}, -2, -0.5})
CASES(leaky, {{{1, 2, 3, 2}}, {.a = 0.2}, 0.5, 2}, {{{1, 1, 1, 3}}, {.a = 0.2}, -2, -0.5})
CASES(clamped, {{{1, 2, 3, 2}}, {.a = -1, .b = 1}, -0.9, 0.9},
      {{{1, 1, 1, 3}}, {.a = -1, .b = 1}, 1.1, 2}, {{{1, 1, 1, 3}}, {.a = -1, .b = 1}, -2, -1.1})

#define KERNEL(op_name)                                                                            \
    static void run_##op_name(const basin__op_call *call) { run_function(call, f_##op_name); }

#define GRADIENT(op_name)                                                                          \
    static void gradient_##op_name(basin_graph *graph, basin_value node, basin_value upstream,     \
                                   const bool *wanted, basin_value *input_gradients) {             \
        (void)wanted;                                                                              \
        chain(graph, node, upstream, d_##op_name, input_gradients);                                \
    }

#define DEFINITION(op_name, formula, smooth, infer_rule, gradient_rule, case_list)                 \
    KERNEL(op_name)                                                                                \
    const basin__op_def basin__op_##op_name = {.name = #op_name,                                   \
                                               .help = formula,                                    \
                                               .input_count = 1,                                   \
                                               .is_elementwise = true,                             \
                                               .is_smooth = smooth,                                \
                                               .infer = infer_rule,                                \
                                               .gradient = gradient_rule,                          \
                                               .run = run_##op_name,                               \
                                               .cases = case_list,                                 \
                                               .case_count = BASIN_COUNT(case_list)};

#define SMOOTH(op_name, formula, case_list)                                                        \
    GRADIENT(op_name)                                                                              \
    DEFINITION(op_name, formula, true, basin__infer_same, gradient_##op_name, case_list)

#define PIECEWISE(op_name, formula, infer_rule, case_list)                                         \
    GRADIENT(op_name)                                                                              \
    DEFINITION(op_name, formula, false, infer_rule, gradient_##op_name, case_list)

SMOOTH(square, "x^2", anywhere)
SMOOTH(exp, "exp(x)", anywhere)
SMOOTH(log, "log(x)", positive)
SMOOTH(sqrt, "sqrt(x)", positive)
SMOOTH(reciprocal, "1 / x", signed_)
SMOOTH(sigmoid, "s(x) = 1 / (1 + exp(-x))", anywhere)
SMOOTH(silu, "x s(x)", anywhere)
SMOOTH(silu_slope, "the derivative of silu: s + x s (1 - s)", anywhere)
SMOOTH(softplus, "log(1 + exp(x))", anywhere)
SMOOTH(tanh, "tanh(x)", anywhere)
PIECEWISE(relu, "max(x, 0)", basin__infer_same, signed_)
PIECEWISE(leaky_relu, "x where x > 0, else slope x", basin__infer_same, leaky)
PIECEWISE(clamp, "min(max(x, low), high)", infer_clamp, clamped)
DEFINITION(leaky_slope, "1 where x > 0, else slope", false, basin__infer_same, NULL, leaky)
DEFINITION(clamp_inside, "1 where low <= x <= high, else 0", false, infer_clamp, NULL, clamped)
