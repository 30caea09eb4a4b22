/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans against themselves in double: the fused, laid-out, tiled fp32 plan of
 * every instruction set gives what the reference kernels give in f64, with
 * workspaces poisoned.
 */
#include "plan_support.h"

/** Outputs on one instruction set, off by more than `least` and less than `most` of the largest. */
static void check_near(const net *n, basin__isa isa, numbers kind, double least, double most,
                       const answer *exact) {
    basin_context *context = test_context_on(basin__isa_name(isa), 2);
    if (!context)
        return; /* this processor lacks it */
    answer got;
    solve(context, n, 9, kind, 0, &got);
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
            check_near(&nets[k], (basin__isa)isa, F32, -1, 1e-5, &exact);
        for (int isa = BASIN__ISA_GENERIC; isa < BASIN__ISA_COUNT; isa++)
            check_near(&nets[k], (basin__isa)isa, HALVES, 1e-6, 2e-2, &exact);
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
        cmocka_unit_test(test_exact_convolution),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
