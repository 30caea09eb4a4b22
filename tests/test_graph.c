/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Graphs: errors that stay and say what is wrong, equal nodes built once,
 * algebra, who shares a value, gradients summed over a batch, printing, and
 * memory that runs out at every place it can.
 */
#include "reference.h"
#include "support.h"
#include <math.h>

static basin_context *context;
static basin_graph *graph;

static int set_up(void **state) {
    (void)state;
    basin_context_options options;
    basin_context_options_init(&options);
    options.thread_count = 1;
    if (basin_context_create(&options, &context) != BASIN_OK)
        return -1;
    return basin_graph_create(context, &graph) == BASIN_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    basin_graph_destroy(graph);
    basin_context_destroy(context);
    return 0;
}

static const basin_shape scalar = {1, 1, 1, 1};

static basin_value image_of(const char *name, int height, int width, int channels) {
    return basin_graph_input(graph, name, basin_shape_image(height, width, channels));
}

static basin_value parameter(const char *name, int channels) {
    return basin_graph_parameter(graph, name, basin_shape_vector(channels));
}

static void assert_good(void) {
    if (basin_graph_status(graph) != BASIN_OK)
        fail_msg("%s", basin_context_error(context));
}

/** The first error has this status and names all of these. */
static void assert_failed(basin_status status, const char *op, const char *a, const char *b) {
    const char *text = basin_context_error(context);
    assert_int_equal(basin_graph_status(graph), status);
    if (strncmp(text, op, strlen(op)) != 0 || text[strlen(op)] != ':' || !strstr(text, a) ||
        !strstr(text, b))
        fail_msg("\"%s\" should begin with \"%s:\" and name \"%s\" and \"%s\"", text, op, a, b);
}

static void assert_shape(basin_value value, int outer, int height, int width, int channels) {
    basin_shape shape = basin_graph_shape(graph, value);
    assert_true(basin_shape_equal(shape, (basin_shape){outer, height, width, channels}));
}

static basin__scope scope_of(basin_value value) { return basin__graph_node(graph, value)->scope; }
static basin__op op_of(basin_value value) { return basin__graph_node(graph, value)->op; }

static bool is_constant(basin_value value, double number, basin_shape shape) {
    const basin__node *node = basin__graph_node(graph, value);
    return node->op == BASIN__OP_constant && node->attributes.a >= number &&
           node->attributes.a <= number && basin_shape_equal(node->shape, shape);
}

/* ---- errors ---- */

static void first_error_stays(void **state) {
    (void)state;
    basin_value x = image_of("x", 4, 4, 3);
    basin_value w = basin_graph_parameter(graph, "w", (basin_shape){8, 3, 3, 2});
    assert_int_equal(basin_graph_conv(graph, x, w, (basin_conv){1, 1}), BASIN_NO_VALUE);
    assert_failed(BASIN_ERROR_SHAPE, "conv", "[1, 4, 4, 3]", "[8, 3, 3, 2]");
    int count = graph->count;
    assert_int_equal(basin_graph_silu(graph, x), BASIN_NO_VALUE);
    assert_int_equal(basin_graph_add(graph, x, w), BASIN_NO_VALUE);
    assert_int_equal(image_of("y", 1, 1, 1), BASIN_NO_VALUE);
    assert_int_equal(basin_graph_mean(graph, BASIN_NO_VALUE, BASIN_AXES_ALL), BASIN_NO_VALUE);
    basin_value g = 0;
    basin_graph_gradient(graph, x, &x, 1, &g);
    assert_int_equal(g, BASIN_NO_VALUE);
    assert_int_equal(graph->count, count);
    assert_failed(BASIN_ERROR_SHAPE, "conv", "channels differ", "stride 1 and pad 1");
}

#define FAILS(name, status, op, a, b, ...)                                                         \
    static void name(void **state) {                                                               \
        (void)state;                                                                               \
        basin_value x = image_of("x", 4, 6, 3);                                                    \
        basin_value w = basin_graph_parameter(graph, "w", (basin_shape){2, 7, 3, 3});              \
        (void)x, (void)w;                                                                          \
        assert_good();                                                                             \
        __VA_ARGS__;                                                                               \
        assert_failed(status, op, a, b);                                                           \
    }

FAILS(kernel_too_large, BASIN_ERROR_SHAPE, "conv", "[2, 7, 3, 3]", "larger",
      basin_graph_conv(graph, x, w, (basin_conv){1, 1}))
FAILS(stride_zero, BASIN_ERROR_ARGUMENT, "conv", "stride 0", "pad 1",
      basin_graph_conv(graph, x, w, (basin_conv){0, 1}))
FAILS(pad_negative, BASIN_ERROR_ARGUMENT, "conv", "stride 1", "pad -1",
      basin_graph_conv(graph, x, w, (basin_conv){1, -1}))
FAILS(weight_per_example, BASIN_ERROR_UNSUPPORTED, "conv", "weight", "shared",
      basin_graph_conv(graph, x, x, (basin_conv){1, 1}))
FAILS(adjoint_of_other_shape, BASIN_ERROR_SHAPE, "conv_input", "[1, 4, 6, 3]", "[1, 2, 8, 2]",
      basin_graph_conv_input(graph, x, w, basin_shape_image(4, 6, 3), (basin_conv){1, 2}))
FAILS(weight_of_other_shape, BASIN_ERROR_SHAPE, "conv_weight", "[1, 4, 6, 3]", "[1, 4, 6, 2]",
      basin_graph_conv_weight(graph, x, x, (basin_shape){2, 1, 1, 3}, (basin_conv){1, 0}))
FAILS(linear_of_an_image, BASIN_ERROR_SHAPE, "conv", "channels differ", "[5, 1, 1, 72]",
      basin_graph_linear(graph, x, basin_graph_parameter(graph, "v", (basin_shape){5, 1, 1, 72})))
FAILS(add_of_other_shape, BASIN_ERROR_SHAPE, "add", "[1, 4, 6, 3]", "[1, 1, 1, 2]",
      basin_graph_add(graph, x, parameter("b", 2)))
FAILS(broadcast_of_long_axis, BASIN_ERROR_SHAPE, "broadcast", "[1, 4, 6, 3]", "[1, 4, 6, 6]",
      basin_graph_broadcast(graph, x, basin_shape_image(4, 6, 6)))
FAILS(reshape_of_other_count, BASIN_ERROR_SHAPE, "reshape", "[1, 4, 6, 3]", "[1, 1, 1, 71]",
      basin_graph_reshape(graph, x, basin_shape_vector(71)))
FAILS(slice_past_the_end, BASIN_ERROR_SHAPE, "slice", "2 channels from 2", "[1, 4, 6, 3]",
      basin_graph_slice(graph, x, 2, 2))
FAILS(slice_of_nothing, BASIN_ERROR_SHAPE, "slice", "0 channels from 0", "[1, 4, 6, 3]",
      basin_graph_slice(graph, x, 0, 0))
FAILS(pool_does_not_divide, BASIN_ERROR_SHAPE, "average_pool", "[1, 4, 6, 3]", "4",
      basin_graph_average_pool(graph, x, 4))
FAILS(upsample_by_zero, BASIN_ERROR_ARGUMENT, "upsample", "size 0", "at least 1",
      basin_graph_upsample(graph, x, 0))
FAILS(concatenate_of_other_shape, BASIN_ERROR_SHAPE, "concatenate", "[1, 4, 6, 3]", "[1, 1, 1, 3]",
      basin_graph_concatenate(graph, x, parameter("b", 3)))
FAILS(clamp_upside_down, BASIN_ERROR_ARGUMENT, "clamp", "low end 1", "high end 0",
      basin_graph_clamp(graph, x, 1, 0))
FAILS(lookup_by_a_vector, BASIN_ERROR_SHAPE, "lookup", "one number", "[1, 4, 6, 3]",
      basin_graph_lookup(graph, parameter("t", 3), x))
FAILS(lookup_in_an_image, BASIN_ERROR_SHAPE, "lookup", "[rows, 1, 1, channels]", "[2, 7, 3, 3]",
      basin_graph_lookup(graph, w, image_of("i", 1, 1, 1)))
FAILS(dot_over_unknown_axes, BASIN_ERROR_ARGUMENT, "dot", "8", "axes",
      basin_graph_dot(graph, x, x, 8))
FAILS(dot_of_other_shape, BASIN_ERROR_SHAPE, "dot", "[1, 4, 6, 3]", "same shape",
      basin_graph_dot(graph, x, basin_graph_slice(graph, x, 0, 2), 0))
FAILS(one_hot_of_an_image, BASIN_ERROR_SHAPE, "one_hot", "one number", "[1, 4, 6, 3]",
      basin_graph_one_hot(graph, x, 10))
FAILS(one_hot_of_nothing, BASIN_ERROR_SHAPE, "one_hot", "[1, 1, 1, 0]", "below 1",
      basin_graph_one_hot(graph, basin_graph_sum(graph, x, BASIN_AXES_ALL), 0))
FAILS(product_of_other_inner_size, BASIN_ERROR_SHAPE, "matmul", "24 x 3 by 24 x 3", "inner sizes",
      basin_graph_matmul(graph, x, x, 0, basin_shape_image(4, 4, 3)))
FAILS(product_of_other_shape, BASIN_ERROR_SHAPE, "matmul", "24 x 3 by 3 x 24", "[1, 4, 3, 16]",
      basin_graph_matmul(graph, x, x, BASIN_TRANSPOSE_B, basin_shape_image(4, 3, 16)))
FAILS(product_by_unknown_operands, BASIN_ERROR_ARGUMENT, "matmul", "4", "operands",
      basin_graph_matmul(graph, x, x, 4, basin_shape_image(4, 4, 16)))
FAILS(sum_over_unknown_axes, BASIN_ERROR_ARGUMENT, "sum", "8", "axes", basin_graph_sum(graph, x, 8))
FAILS(value_from_elsewhere, BASIN_ERROR_ARGUMENT, "mul", "input 1", "graph",
      basin_graph_mul(graph, x, 99))
FAILS(name_of_other_shape, BASIN_ERROR_SHAPE, "input", "[1, 4, 6, 3]", "[1, 4, 6, 1]",
      image_of("x", 4, 6, 1))
FAILS(name_of_other_kind, BASIN_ERROR_ARGUMENT, "parameter", "\"x\"", "input",
      basin_graph_parameter(graph, "x", basin_shape_image(4, 6, 3)))
FAILS(source_without_elements, BASIN_ERROR_SHAPE, "input", "[1, 4, 0, 1]", "empty",
      image_of("empty", 4, 0, 1))
FAILS(source_too_large, BASIN_ERROR_SHAPE, "parameter", "2^31", "huge",
      basin_graph_parameter(graph, "huge", (basin_shape){65536, 65536, 65536, 65536}))
FAILS(outer_per_example, BASIN_ERROR_SHAPE, "add", "[2, 7, 3, 3]", "outer axis of 1",
      basin_graph_add(graph, image_of("s", 1, 1, 1), w))
FAILS(next_of_other_shape, BASIN_ERROR_SHAPE, "set_next", "\"u\"", "[1, 1, 1, 2]",
      basin_graph_set_next(graph, basin_graph_state(graph, "u", basin_shape_vector(2)), w))
FAILS(next_of_a_parameter, BASIN_ERROR_ARGUMENT, "set_next", "state", "next",
      basin_graph_set_next(graph, w, w))

/* ---- sources and equal nodes ---- */

static void sources_are_found_by_name(void **state) {
    (void)state;
    basin_value x = image_of("x", 4, 4, 1), w = parameter("w", 3);
    assert_int_equal(image_of("x", 4, 4, 1), x);
    assert_int_equal(parameter("w", 3), w);
    assert_int_equal(basin__graph_find(graph, BASIN__OP_input, "x"), x);
    assert_int_equal(basin__graph_find(graph, BASIN__OP_parameter, "x"), BASIN_NO_VALUE);
    assert_int_not_equal(parameter("v", 3), w);
    basin_value u = basin_graph_state(graph, "u", basin_shape_vector(3));
    basin_graph_set_next(graph, u, w);
    assert_int_equal(basin__graph_node(graph, u)->next, w);
    assert_good();
}

static void equal_nodes_are_built_once(void **state) {
    (void)state;
    basin_value x = image_of("x", 4, 4, 1), y = image_of("y", 4, 4, 1);
    assert_int_equal(basin_graph_silu(graph, x), basin_graph_silu(graph, x));
    assert_int_not_equal(basin_graph_silu(graph, x), basin_graph_silu(graph, y));
    assert_int_equal(basin_graph_add(graph, x, y), basin_graph_add(graph, y, x));
    assert_int_equal(basin_graph_mul(graph, x, y), basin_graph_mul(graph, y, x));
    assert_int_not_equal(basin_graph_sub(graph, x, y), basin_graph_sub(graph, y, x));
    assert_int_equal(basin_graph_scale(graph, x, 2), basin_graph_scale(graph, x, 2));
    assert_int_not_equal(basin_graph_scale(graph, x, 2), basin_graph_scale(graph, x, 3));
    basin_value first = basin_graph_offset(graph, x, 0.5);
    for (int i = 1; i < 1000; i++) /* through several growths of the table */
        basin_graph_offset(graph, x, 0.5 + i);
    int count = graph->count;
    assert_int_equal(basin_graph_offset(graph, x, 0.5), first);
    basin_graph_offset(graph, x, 999.5);
    assert_int_equal(graph->count, count);
    assert_good();
}

/* ---- algebra ---- */

static void neutral_elements_vanish(void **state) {
    (void)state;
    basin_value x = image_of("x", 2, 3, 4);
    basin_shape shape = basin_graph_shape(graph, x);
    basin_value one = basin_graph_constant(graph, 1, shape);
    basin_value zero = basin_graph_constant(graph, 0, scalar);
    assert_int_equal(basin_graph_scale(graph, x, 1), x);
    assert_int_equal(basin_graph_offset(graph, x, 0), x);
    assert_int_equal(basin_graph_mul(graph, x, one), x);
    assert_int_equal(basin_graph_mul(graph, one, x), x);
    assert_int_equal(basin_graph_add(graph, x, zero), x);
    assert_int_equal(basin_graph_add(graph, zero, x), x);
    assert_int_equal(basin_graph_sub(graph, x, zero), x);
    assert_int_equal(basin_graph_broadcast(graph, x, shape), x);
    assert_int_equal(basin_graph_reshape(graph, x, shape), x);
    assert_int_equal(basin_graph_sum(graph, x, 0), x);
    assert_int_equal(basin_graph_slice(graph, x, 0, 4), x);
    assert_int_equal(basin_graph_average_pool(graph, x, 1), x);
    assert_int_equal(basin_graph_upsample(graph, x, 1), x);
    basin_value v = parameter("v", 5);
    assert_int_equal(basin_graph_flatten(graph, v), v);
    assert_int_equal(basin_graph_sum(graph, v, BASIN_AXES_SPACE), v);
    assert_true(is_constant(basin_graph_scale(graph, x, 0), 0, shape));
    assert_good();
}

static void numbers_are_gathered(void **state) {
    (void)state;
    basin_value x = image_of("x", 2, 3, 4);
    basin_value two = basin_graph_constant(graph, 2, scalar);
    assert_int_equal(basin_graph_scale(graph, basin_graph_scale(graph, x, 2), 3),
                     basin_graph_scale(graph, x, 6));
    assert_int_equal(basin_graph_scale(graph, basin_graph_scale(graph, x, 2), 0.5), x);
    assert_int_equal(basin_graph_offset(graph, basin_graph_offset(graph, x, 2), 3),
                     basin_graph_offset(graph, x, 5));
    assert_int_equal(basin_graph_mul(graph, x, two), basin_graph_scale(graph, x, 2));
    assert_int_equal(basin_graph_add(graph, two, x), basin_graph_offset(graph, x, 2));
    assert_int_equal(basin_graph_sub(graph, x, two), basin_graph_offset(graph, x, -2));
    assert_int_equal(basin_graph_sub(graph, two, x),
                     basin_graph_offset(graph, basin_graph_scale(graph, x, -1), 2));
    assert_int_equal(basin_graph_reshape(graph,
                                         basin_graph_reshape(graph, x, basin_shape_vector(24)),
                                         basin_shape_image(4, 3, 2)),
                     basin_graph_reshape(graph, x, basin_shape_image(4, 3, 2)));
    /* A constant that is larger than x still repeats it. */
    basin_value s = image_of("s", 1, 1, 1);
    basin_value wide =
        basin_graph_mul(graph, s, basin_graph_constant(graph, 1, basin_shape_image(2, 3, 4)));
    assert_int_equal(op_of(wide), BASIN__OP_broadcast);
    assert_shape(wide, 1, 2, 3, 4);
    assert_good();
}

static void constants_fold(void **state) {
    (void)state;
    basin_shape shape = basin_shape_image(2, 3, 4);
    basin_value three = basin_graph_constant(graph, 3, shape);
    basin_value two = basin_graph_constant(graph, 2, scalar);
    assert_true(is_constant(basin_graph_square(graph, three), 9, shape));
    assert_true(is_constant(basin_graph_mul(graph, two, three), 6, shape));
    assert_true(is_constant(basin_graph_sub(graph, two, three), -1, shape));
    assert_true(is_constant(basin_graph_clamp(graph, three, 0, 1), 1, shape));
    assert_true(is_constant(basin_graph_broadcast(graph, two, shape), 2, shape));
    assert_true(
        is_constant(basin_graph_sum(graph, three, BASIN_AXES_SPACE), 18, basin_shape_vector(4)));
    assert_true(is_constant(basin_graph_mean(graph, three, BASIN_AXES_ALL), 3, scalar));
    assert_true(is_constant(basin_graph_flatten(graph, three), 3, basin_shape_vector(24)));
    assert_good();
}

/** What is summed over an image per example is not stored; shared values stay as they are. */
static void summed_products_are_not_stored(void **state) {
    (void)state;
    basin_shape v_shape = basin_shape_vector(4);
    basin_value x = image_of("x", 2, 3, 4), y = image_of("y", 2, 3, 4);
    basin_value v = basin_graph_input(graph, "v", v_shape);
    basin_value wide = basin_graph_broadcast(graph, v, basin_shape_image(2, 3, 4));
    basin_value dot = basin_graph_dot(graph, x, y, BASIN_AXES_SPACE);
    basin_value vx = basin_graph_mul(graph, v, basin_graph_sum(graph, x, BASIN_AXES_SPACE));
    assert_int_equal(op_of(dot), BASIN__OP_dot);
    assert_shape(dot, 1, 1, 1, 4);
    assert_int_equal(basin_graph_dot(graph, y, x, BASIN_AXES_SPACE), dot);
    assert_int_equal(basin_graph_sum(graph, basin_graph_mul(graph, x, y), BASIN_AXES_SPACE), dot);
    assert_int_equal(basin_graph_sum(graph, basin_graph_square(graph, x), BASIN_AXES_SPACE),
                     basin_graph_dot(graph, x, x, BASIN_AXES_SPACE));
    assert_int_equal(basin_graph_sum(graph, basin_graph_scale(graph, x, 3), BASIN_AXES_SPACE),
                     basin_graph_scale(graph, basin_graph_sum(graph, x, BASIN_AXES_SPACE), 3));
    assert_int_equal(basin_graph_sum(graph, basin_graph_mul(graph, x, v), BASIN_AXES_SPACE), vx);
    assert_int_equal(basin_graph_sum(graph, basin_graph_mul(graph, wide, x), BASIN_AXES_SPACE), vx);
    assert_int_equal(basin_graph_dot(graph, wide, x, BASIN_AXES_SPACE), vx);
    /* Over channels v does not stand still, and shapes differ. */
    basin_value over = basin_graph_sum(graph, basin_graph_mul(graph, x, v), BASIN_AXES_ALL);
    assert_int_equal(op_of(over), BASIN__OP_sum);
    assert_int_equal(basin_graph_dot(graph, x, wide, BASIN_AXES_ALL), over);
    /* Constants, and nothing to sum. */
    basin_value two = basin_graph_constant(graph, 2, basin_shape_image(2, 3, 4));
    assert_int_equal(basin_graph_dot(graph, two, x, BASIN_AXIS_CHANNELS),
                     basin_graph_scale(graph, basin_graph_sum(graph, x, BASIN_AXIS_CHANNELS), 2));
    assert_int_equal(basin_graph_dot(graph, v, v, BASIN_AXES_SPACE), basin_graph_mul(graph, v, v));
    basin_value w = parameter("w", 4);
    assert_int_equal(op_of(basin_graph_sum(graph, basin_graph_square(graph, w), BASIN_AXES_ALL)),
                     BASIN__OP_sum);
    assert_good();
}

/* ---- who shares a value ---- */

static void scopes_follow_the_inputs(void **state) {
    (void)state;
    basin_value x = image_of("x", 1, 1, 4);
    basin_value w = basin_graph_parameter(graph, "w", (basin_shape){2, 1, 1, 4});
    basin_value t = basin_graph_setting(graph, "t", scalar);
    basin_value z = basin_graph_linear(graph, x, w);
    assert_int_equal(scope_of(x), BASIN__SCOPE_PER_EXAMPLE);
    assert_int_equal(scope_of(w), BASIN__SCOPE_SHARED);
    assert_int_equal(scope_of(basin_graph_mul(graph, w, t)), BASIN__SCOPE_SHARED);
    assert_int_equal(scope_of(z), BASIN__SCOPE_PER_EXAMPLE);
    assert_false(basin_graph_is_shared(graph, z));
    basin_value sum = basin_graph_batch_sum(graph, z);
    assert_int_equal(scope_of(sum), BASIN__SCOPE_REDUCED);
    assert_true(basin_graph_is_shared(graph, sum));
    assert_int_equal(scope_of(basin_graph_mul(graph, sum, t)), BASIN__SCOPE_REDUCED);
    basin_value dw =
        basin_graph_conv_weight(graph, x, z, (basin_shape){2, 1, 1, 4}, (basin_conv){1, 0});
    assert_int_equal(scope_of(dw), BASIN__SCOPE_REDUCED);
    assert_true(basin__graph_is_batch_sum(graph, dw));
    assert_int_equal(scope_of(basin_graph_batch_sum(graph, t)), BASIN__SCOPE_REDUCED);
    assert_good();
    assert_int_equal(basin_graph_mul(graph, sum, z), BASIN_NO_VALUE);
    assert_failed(BASIN_ERROR_UNSUPPORTED, "mul", "needs a second pass over the batch", "");
}

static void a_sum_is_not_summed_again(void **state) {
    (void)state;
    basin_value sum = basin_graph_batch_sum(graph, image_of("x", 1, 1, 1));
    assert_int_equal(basin_graph_batch_sum(graph, sum), BASIN_NO_VALUE);
    assert_failed(BASIN_ERROR_UNSUPPORTED, "batch_sum", "second pass", "");
}

static void gradient_through_a_batch_sum_to_examples_fails(void **state) {
    (void)state;
    basin_value x = image_of("x", 1, 1, 1), g;
    basin_value y = basin_graph_square(graph, basin_graph_batch_sum(graph, x));
    basin_graph_gradient(graph, y, &x, 1, &g);
    assert_int_equal(g, BASIN_NO_VALUE);
    assert_failed(BASIN_ERROR_UNSUPPORTED, "gradient", "batch_sum", "second pass");
}

/* ---- gradients ---- */

static void gradient_is_lean(void **state) {
    (void)state;
    basin_value x = image_of("x", 1, 1, 3), w = parameter("w", 3), other = parameter("v", 2);
    basin_value y = basin_graph_sum(graph, basin_graph_mul(graph, x, w), BASIN_AXES_ALL);
    basin_value g[3];
    int count = graph->count;
    basin_graph_gradient(graph, y, (const basin_value[]){x, y, other}, 3, g);
    assert_good();
    assert_int_equal(g[0], basin_graph_broadcast(graph, w, basin_graph_shape(graph, w)));
    assert_true(is_constant(g[1], 1, scalar));
    assert_true(is_constant(g[2], 0, basin_shape_vector(2)));
    assert_true(graph->count <= count + 3); /* 1, 1 repeated, 0: nothing towards w was built */
}

typedef struct batch_net {
    basin_value x, y, parameters[5], gradients[5];
    basin_value label;
} batch_net;

/** All that can be shared: kernel, biases, a table, a scalar of a penalty, a last bias. */
static batch_net build_net(basin_graph *g) {
    batch_net net;
    basin_conv conv = {2, 1};
    net.x = basin_graph_input(g, "x", basin_shape_image(4, 4, 2));
    net.label = basin_graph_input(g, "label", scalar);
    net.parameters[0] = basin_graph_parameter(g, "w", (basin_shape){3, 3, 3, 2});
    net.parameters[1] = basin_graph_parameter(g, "b", basin_shape_vector(3));
    net.parameters[2] = basin_graph_parameter(g, "table", (basin_shape){4, 1, 1, 3});
    net.parameters[3] = basin_graph_parameter(g, "v", (basin_shape){1, 1, 1, 3});
    net.parameters[4] = basin_graph_parameter(g, "c", scalar);
    basin_value h = basin_graph_conv(g, net.x, net.parameters[0], conv);
    h = basin_graph_add(g, h, net.parameters[1]);
    h = basin_graph_mul(g, h, basin_graph_lookup(g, net.parameters[2], net.label));
    h = basin_graph_mean(g, basin_graph_silu(g, h), BASIN_AXES_SPACE);
    net.y = basin_graph_add(g, basin_graph_linear(g, h, net.parameters[3]), net.parameters[4]);
    basin_value penalty =
        basin_graph_sum(g, basin_graph_square(g, net.parameters[3]), BASIN_AXES_ALL);
    net.y = basin_graph_add(g, net.y, penalty);
    basin_graph_gradient(g, net.y, net.parameters, 5, net.gradients);
    return net;
}

static double batch_total(reference *r, basin_value y) {
    const double *values = reference_run(r, y);
    double sum = 0;
    for (int64_t i = 0; i < reference_count(r, y); i++)
        sum += values[i];
    return sum;
}

static void gradients_are_summed_over_the_batch(void **state) {
    (void)state;
    batch_net net = build_net(graph);
    assert_good();
    reference *r = reference_create(graph, 3);
    reference_fill(r, net.x, 1, -1, 1);
    for (int i = 0; i < 3; i++)
        r->values[net.label][i] = i == 2 ? 0 : 3 * i; /* rows 0, 3, 0 */
    for (int i = 0; i < 5; i++)
        reference_fill(r, net.parameters[i], (uint64_t)(10 + i), -1, 1);
    for (int i = 0; i < 5; i++) {
        basin_value p = net.parameters[i], g = net.gradients[i];
        assert_int_equal(scope_of(g), BASIN__SCOPE_REDUCED);
        for (int64_t e = 0; e < reference_count(r, p); e++) {
            double got = reference_run(r, g)[e], kept = r->values[p][e];
            r->values[p][e] = kept + 1e-5;
            double up = batch_total(r, net.y);
            r->values[p][e] = kept - 1e-5;
            double down = batch_total(r, net.y), wanted = (up - down) / 2e-5;
            r->values[p][e] = kept;
            if (!(fabs(got - wanted) <= 1e-7 * (1 + fabs(wanted))))
                fail_msg("parameter %d, element %d: %.10g, by differences %.10g", i, (int)e, got,
                         wanted);
        }
    }
    assert_true(reference_run(r, net.gradients[4])[0] == 3.0); /* once for each example */
    reference_destroy(r);
}

/* ---- printing ---- */

static void print_is_stable(void **state) {
    (void)state;
    basin_value x = image_of("x", 4, 4, 1);
    basin_value w = basin_graph_parameter(graph, "w", (basin_shape){2, 3, 3, 1});
    basin_value z = basin_graph_conv(graph, x, w, (basin_conv){2, 1});
    basin_graph_batch_sum(graph, basin_graph_scale(graph, z, 0.1));
    basin_value u = basin_graph_state(graph, "u", basin_shape_vector(2));
    basin_graph_set_next(graph, u, basin_graph_clamp(graph, u, -1, 1));
    char *text, *again, *dot;
    assert_int_equal(basin_graph_print(graph, &text), BASIN_OK);
    assert_int_equal(basin_graph_print(graph, &again), BASIN_OK);
    assert_int_equal(basin_graph_print_dot(graph, &dot), BASIN_OK);
    assert_string_equal(text, again);
    assert_string_equal(text, "# 7 values\n"
                              "%0 = input \"x\" : [1, 4, 4, 1] per example\n"
                              "%1 = parameter \"w\" : [2, 3, 3, 1] shared\n"
                              "%2 = conv(%0, %1) stride 2 pad 1 : [1, 2, 2, 2] per example\n"
                              "%3 = scale(%2) 0.1 : [1, 2, 2, 2] per example\n"
                              "%4 = batch_sum(%3) : [1, 2, 2, 2] summed over the batch\n"
                              "%5 = state \"u\" : [1, 1, 1, 2] shared, next %6\n"
                              "%6 = clamp(%5) from -1 to 1 : [1, 1, 1, 2] shared\n");
    assert_true(strncmp(dot, "digraph basin {\n", 16) == 0);
    assert_non_null(strstr(dot, "n0 -> n2;"));
    assert_non_null(strstr(dot, "n6 -> n5 [style=dotted];"));
    assert_non_null(strstr(dot, "label=\"conv stride 2 pad 1\\n[1, 2, 2, 2]\""));
    basin_graph_free_text(graph, text);
    basin_graph_free_text(graph, again);
    basin_graph_free_text(graph, dot);
}

/* ---- memory ---- */

static basin_status build_and_print(basin_context *on) {
    basin_graph *g;
    basin_status status = basin_graph_create(on, &g);
    if (status != BASIN_OK)
        return status;
    batch_net net = build_net(g);
    for (int i = 0; i < 100; i++) /* past the first growth */
        net.x = basin_graph_tanh(g, net.x);
    status = basin_graph_status(g);
    char *text = NULL;
    if (status == BASIN_OK)
        status = basin_graph_print(g, &text);
    basin_graph_free_text(g, text);
    text = NULL;
    if (status == BASIN_OK)
        status = basin_graph_print_dot(g, &text);
    basin_graph_free_text(g, text);
    basin_graph_destroy(g);
    return status;
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    long k = 0;
    for (bool is_past = false; !is_past; k++) {
        test_heap heap = {.fail_at = k};
        basin_context *on = test_context(&heap, 1);
        basin_status status = build_and_print(on);
        is_past = !heap.has_failed;
        assert_int_equal(status, is_past ? BASIN_OK : BASIN_ERROR_MEMORY);
        if (!is_past)
            assert_non_null(strstr(basin_context_error(on), "out of memory"));
        assert_int_equal(heap.alive, heap.alive_at_start);
        basin_context_destroy(on);
    }
    assert_true(k > 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(first_error_stays),
        TEST(kernel_too_large),
        TEST(stride_zero),
        TEST(pad_negative),
        TEST(weight_per_example),
        TEST(adjoint_of_other_shape),
        TEST(weight_of_other_shape),
        TEST(linear_of_an_image),
        TEST(add_of_other_shape),
        TEST(broadcast_of_long_axis),
        TEST(reshape_of_other_count),
        TEST(slice_past_the_end),
        TEST(slice_of_nothing),
        TEST(pool_does_not_divide),
        TEST(upsample_by_zero),
        TEST(concatenate_of_other_shape),
        TEST(clamp_upside_down),
        TEST(lookup_by_a_vector),
        TEST(lookup_in_an_image),
        TEST(sum_over_unknown_axes),
        TEST(dot_over_unknown_axes),
        TEST(dot_of_other_shape),
        TEST(one_hot_of_an_image),
        TEST(one_hot_of_nothing),
        TEST(product_of_other_inner_size),
        TEST(product_of_other_shape),
        TEST(product_by_unknown_operands),
        TEST(value_from_elsewhere),
        TEST(name_of_other_shape),
        TEST(name_of_other_kind),
        TEST(source_without_elements),
        TEST(source_too_large),
        TEST(outer_per_example),
        TEST(next_of_other_shape),
        TEST(next_of_a_parameter),
        TEST(sources_are_found_by_name),
        TEST(equal_nodes_are_built_once),
        TEST(neutral_elements_vanish),
        TEST(numbers_are_gathered),
        TEST(constants_fold),
        TEST(summed_products_are_not_stored),
        TEST(scopes_follow_the_inputs),
        TEST(a_sum_is_not_summed_again),
        TEST(gradient_through_a_batch_sum_to_examples_fails),
        TEST(gradient_is_lean),
        TEST(gradients_are_summed_over_the_batch),
        TEST(print_is_stable),
        TEST(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("graph", tests, NULL, NULL);
}
