/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans against themselves in double: the fused, laid-out, tiled fp32 plan of
 * every instruction set gives what the reference kernels give in f64, with
 * workspaces poisoned.
 */
#include "plan_support.h"

/** Outputs on one instruction set, off by more than `least` and less than `most` of the largest. */
static void check_near(const net *n, basin__isa isa, numbers kind, int64_t batch, double least,
                       double most, const answer *exact) {
    basin_context *context = test_context_on(basin__isa_name(isa), 2);
    if (!context)
        return; /* this processor lacks it */
    answer got;
    solve(context, n, batch, kind, 0, &got);
    for (int o = 0; o < (kind == HALVES ? 2 : 2 + name_count); o++) {
        const double d = difference(&got, exact, o);
        if (!(d > least && d < most))
            fail_msg("%s, %s%s, output %d (%s): off by %g of the largest", n->name,
                     basin__isa_name(isa), kind == HALVES ? " in halves" : "", o,
                     o < 2 ? "E or dE/dx" : names[o - 2], d);
    }
    forget(&got);
    basin_context_destroy(context);
}

/** Halves keep 8 bits: a step's rounding is 2^-9 of a number, and a few of them add up. */
static void test_near_f64(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof nets / sizeof *nets; k++) {
        answer exact;
        basin_context *context = test_context_on("reference", 1);
        solve(context, &nets[k], 9, F64, 0, &exact);
        basin_context_destroy(context);
        for (int isa = 0; isa < BASIN__ISA_COUNT; isa++)
            check_near(&nets[k], (basin__isa)isa, F32, 9, -1, 1e-5, &exact);
        for (int isa = BASIN__ISA_GENERIC; isa < BASIN__ISA_COUNT; isa++)
            check_near(&nets[k], (basin__isa)isa, HALVES, 9, 1e-6, 2e-2, &exact);
        forget(&exact);
    }
}

static int random_of(uint64_t *index, int low, int high) {
    return low + (int)(0.5 * (test_number((*index)++) + 1) * (high - low + 1));
}

/** Shapes that nobody thought of: each layer's kernel fits into what the one before gives. */
static net random_net(uint64_t *index, char name[static 96]) {
    static const int channels[] = {1, 2, 3, 4, 4, 5, 8, 16, 17, 32};
    const int most = BASIN_COUNT(channels) - 1;
    net n = {.name = name,
             .height = random_of(index, 1, 12),
             .width = random_of(index, 1, 12),
             .channels = channels[random_of(index, 0, most)],
             .is_residual = random_of(index, 0, 3) == 0};
    int height = n.height, width = n.width;
    int length = snprintf(name, 96, "random %d x %d x %d", height, width, n.channels);
    for (int i = 0, count = random_of(index, 1, 4); i < count; i++) {
        layer *l = &n.layers[i];
        l->outputs = channels[random_of(index, 0, most)];
        l->kernel = random_of(index, 1, 5);
        l->pad = random_of(index, 0, l->kernel - 1);
        l->stride = random_of(index, 1, 3);
        const int fits = (height < width ? height : width) + 2 * l->pad;
        l->kernel = l->kernel < fits ? l->kernel : fits;
        l->pad = l->pad < l->kernel ? l->pad : l->kernel - 1;
        height = (height + 2 * l->pad - l->kernel) / l->stride + 1;
        width = (width + 2 * l->pad - l->kernel) / l->stride + 1;
        length += snprintf(name + length, (size_t)(96 - length), ", %d %d %d %d", l->outputs,
                           l->kernel, l->stride, l->pad);
    }
    return n;
}

static void test_random(void **state) {
    (void)state;
    uint64_t index = 1;
    for (int k = 0; k < 300; k++) {
        char name[96];
        const net n = random_net(&index, name);
        answer exact;
        basin_context *context = test_context_on("reference", 1);
        solve(context, &n, 3, F64, 0, &exact);
        basin_context_destroy(context);
        for (int isa = 0; isa < BASIN__ISA_COUNT; isa++)
            check_near(&n, (basin__isa)isa, F32, 3, -1, 1e-4, &exact);
        forget(&exact);
    }
}

/** --exact-convolution: no plan is fast (solve() looks), and the answer is the same but for
 * rounding. */
static void test_exact_convolution(void **state) {
    (void)state;
    basin_context_options options;
    basin_context_options_init(&options);
    options.thread_count = 1;
    for (size_t k = 0; k < sizeof nets / sizeof *nets; k++) {
        answer answers[2];
        for (int is_exact = 0; is_exact < 2; is_exact++) {
            basin_context *context;
            options.exact_convolution = is_exact;
            assert_int_equal(basin_context_create(&options, &context), BASIN_OK);
            assert_int_equal(basin_context_exact_convolution(context), is_exact);
            solve(context, &nets[k], 5, F32, 0, &answers[is_exact]);
            basin_context_destroy(context);
        }
        double most = 0;
        for (int o = 0; o < 2 + name_count; o++)
            most = fmax(most, difference(&answers[0], &answers[1], o));
        assert_true(most < 1e-5);
        assert_true(is_fast(&nets[k]) ? most > 0 : true);
        forget(&answers[0]);
        forget(&answers[1]);
    }
}

static void test_errors(void **state) {
    (void)state;
    basin_context *context = test_context_on(NULL, 1);
    basin_graph *g;
    assert_int_equal(basin_graph_create(context, &g), BASIN_OK);
    basin_value x = basin_graph_input(g, "x", basin_shape_image(4, 4, 3));
    basin_value w = basin_graph_parameter(g, "w", (basin_shape){8, 3, 3, 2});
    basin_value y = basin_graph_silu(g, basin_graph_conv(g, x, w, (basin_conv){1, 1}));
    assert_int_equal(y, BASIN_NO_VALUE);
    basin__plan *plan;
    assert_int_equal(basin__plan_create(context, g, &x, 1, NULL, &plan), BASIN_ERROR_SHAPE);
    assert_null(plan);
    assert_non_null(strstr(basin_context_error(context), "conv"));
    basin_graph_destroy(g);

    assert_int_equal(basin_graph_create(context, &g), BASIN_OK);
    x = basin_graph_input(g, "x", basin_shape_vector(3));
    y = basin_graph_mul(g, x, basin_graph_parameter(g, "scale", basin_shape_vector(3)));
    assert_int_equal(basin__plan_create(context, g, &y, 1, NULL, &plan), BASIN_OK);
    assert_int_equal(basin__plan_prepare(plan), BASIN_ERROR_ARGUMENT);
    assert_non_null(strstr(basin_context_error(context), "scale"));
    assert_int_equal(basin__plan_input(plan, "nothing"), -1);
    basin__plan_destroy(plan);
    basin_graph_destroy(g);
    basin_context_destroy(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_near_f64),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_exact_convolution),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
