/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group norm and attention: values, gradients and second gradients against
 * PyTorch's (tests/data, made by tools/make_blocks_fixture.py), the same bits
 * for any tile and threads, starts, mistakes, allocations that fail.
 */
#include "base/cpu.h"
#include "energy/network.h"
#include "io/safetensors.h"
#include "plan/plan.h"
#include "support.h"
#include <math.h>

#define EXAMPLES 3
#define PARAMETERS_MAX 8
#define OUTPUTS_MAX (3 + 2 * PARAMETERS_MAX)

/* ---- the fixture's blocks ---- */

typedef struct block {
    const char *name;
    int height, width, channels;
    basin_value (*build)(basin__build *build, basin_value x);
} block;

static basin_value build_norm(basin__build *build, basin_value x) {
    return basin__layer_group_norm(build, "norm", x, 4);
}

static basin_value build_residual(basin__build *build, basin_value x) {
    basin_value normed = basin__layer_group_norm(build, "norm", x, 3);
    return basin_graph_add(build->graph, x, basin__layer_attention(build, "attention", normed, 2));
}

static const block blocks[] = {
    {"norm", 5, 3, 20, build_norm},
    {"attention", 3, 4, 12, build_residual},
};

/** Outputs: E, dE/dx, the Hessian times v, then both gradients of each parameter. */
typedef struct problem {
    basin_graph *graph;
    basin__parameters parameters;
    basin_value outputs[OUTPUTS_MAX];
    int output_count;
} problem;

static basin_status pose(basin_context *context, const block *of, problem *p) {
    *p = (problem){0};
    BASIN_TRY(basin_graph_create(context, &p->graph));
    basin_graph *g = p->graph;
    basin__build build = {.context = context, .graph = g, .parameters = &p->parameters};
    basin_shape shape = basin_shape_image(of->height, of->width, of->channels);
    basin_value x = basin_graph_input(g, "x", shape), v = basin_graph_input(g, "v", shape);
    basin_value y = basin_graph_silu(g, of->build(&build, x));
    basin_value e = basin_graph_sum(g, basin_graph_mul(g, basin_graph_setting(g, "r", shape), y),
                                    BASIN_AXES_ALL);
    basin_value from[PARAMETERS_MAX + 1] = {x}, one[PARAMETERS_MAX + 1], two[PARAMETERS_MAX + 1];
    int count = 1 + p->parameters.count;
    for (int i = 1; i < count; i++)
        from[i] = p->parameters.items[i - 1].effective;
    basin_graph_gradient(g, e, from, count, one);
    basin_value along = basin_graph_dot(g, v, one[0], BASIN_AXES_ALL);
    basin_graph_gradient(g, along, from, count, two);
    p->outputs[p->output_count++] = e;
    for (int i = 0; i < count; i++) {
        p->outputs[p->output_count++] = one[i];
        p->outputs[p->output_count++] = two[i];
    }
    return basin_graph_status(g);
}

static void forget(basin_context *context, problem *p) {
    basin__parameters_reset(context, &p->parameters);
    basin_graph_destroy(p->graph);
}

static const basin__tensor_entry *entry_of(const basin__safetensors *file, const block *of,
                                           const char *prefix, const char *name) {
    char full[128];
    snprintf(full, sizeof(full), "%s.%s%s", of->name, prefix, name);
    const basin__tensor_entry *entry = basin__safetensors_find(file, full);
    if (!entry)
        fail_msg("the fixture has no %s", full);
    assert_int_equal(entry->dtype, BASIN__DTYPE_F64);
    return entry;
}

/** A tensor of the fixture as a plan's numbers, in new memory. */
static void *numbers_of(const basin__tensor_entry *entry, bool is_f64) {
    size_t count = entry->bytes / sizeof(double);
    void *to = test_malloc(entry->bytes);
    memcpy(to, entry->data, entry->bytes);
    for (size_t i = 0; !is_f64 && i < count; i++) {
        double number;
        memcpy(&number, (const unsigned char *)entry->data + i * sizeof(number), sizeof(number));
        ((float *)to)[i] = (float)number;
    }
    return to;
}

static void expect_near(const char *what, const block *of, const void *got, bool is_f64,
                        const basin__tensor_entry *entry, double tolerance) {
    size_t count = entry->bytes / sizeof(double);
    double worst = 0, largest = 1e-3; /* a gradient that is zero is held to that */
    for (size_t i = 0; i < count; i++) {
        double want = ((const double *)entry->data)[i];
        double number = is_f64 ? ((const double *)got)[i] : (double)((const float *)got)[i];
        double far = fabs(number - want);
        worst = far <= worst ? worst : far; /* a NaN stays */
        largest = fmax(largest, fabs(want));
    }
    if (!(worst <= tolerance * largest))
        fail_msg("%s of %s is %.3g of the largest from PyTorch's; at most %.3g is right", what,
                 of->name, worst / largest, tolerance);
}

/** Run a block on the fixture's numbers; outputs in new memory. */
static void solve(basin_context *context, const basin__safetensors *file, const block *of,
                  problem *p, bool is_f64, int tile, void **outputs) {
    basin__plan *plan;
    basin__plan_options options = {.is_f64 = is_f64, .is_poisoned = true, .tile = tile};
    if (basin__plan_create(context, p->graph, p->outputs, p->output_count, &options, &plan) !=
        BASIN_OK)
        fail_msg("%s", basin_context_error(context));
    void *bound[PARAMETERS_MAX + 1] = {numbers_of(entry_of(file, of, "", "r"), is_f64)};
    basin__plan_bind(plan, "r", bound[0]);
    for (int i = 0; i < p->parameters.count; i++) { /* kernels are 1 × 1: one order */
        const char *name = p->parameters.items[i].name;
        bound[1 + i] = numbers_of(entry_of(file, of, "", name), is_f64);
        basin__plan_bind(plan, name, bound[1 + i]);
    }
    assert_int_equal(basin__plan_prepare(plan), BASIN_OK);
    void *x = numbers_of(entry_of(file, of, "", "x"), is_f64);
    void *v = numbers_of(entry_of(file, of, "", "v"), is_f64);
    const void *inputs[2];
    inputs[basin__plan_input(plan, "x")] = x;
    inputs[basin__plan_input(plan, "v")] = v;
    for (int i = 0; i < p->output_count; i++) {
        int64_t count = basin_shape_count(basin_graph_shape(p->graph, p->outputs[i]));
        outputs[i] = test_calloc((size_t)count * EXAMPLES, sizeof(double));
    }
    assert_int_equal(basin__plan_run_batch(plan, EXAMPLES, inputs, outputs), BASIN_OK);
    basin__plan_destroy(plan);
    for (int i = 0; i < p->parameters.count + 1; i++)
        test_free(bound[i]);
    test_free(x);
    test_free(v);
}

static void check_block(basin_context *context, const basin__safetensors *file, const block *of,
                        bool is_f64, double tolerance) {
    problem p;
    void *outputs[OUTPUTS_MAX];
    if (pose(context, of, &p) != BASIN_OK)
        fail_msg("%s", basin_context_error(context));
    solve(context, file, of, &p, is_f64, 0, outputs);
    expect_near("energy", of, outputs[0], is_f64, entry_of(file, of, "", "energy"), tolerance);
    expect_near("input gradient", of, outputs[1], is_f64, entry_of(file, of, "", "input_grad"),
                tolerance);
    expect_near("second input gradient", of, outputs[2], is_f64,
                entry_of(file, of, "", "input_grad2"), tolerance);
    for (int i = 0; i < p.parameters.count; i++) {
        const char *name = p.parameters.items[i].name;
        expect_near(name, of, outputs[3 + 2 * i], is_f64, entry_of(file, of, "grad.", name),
                    tolerance);
        expect_near(name, of, outputs[4 + 2 * i], is_f64, entry_of(file, of, "grad2.", name),
                    tolerance);
    }
    for (int i = 0; i < p.output_count; i++)
        test_free(outputs[i]);
    forget(context, &p);
}

static void read_fixture(basin_context *context, basin__safetensors *file) {
    if (basin__safetensors_read(context, "tests/data/blocks_fixture.safetensors", file) != BASIN_OK)
        fail_msg("%s", basin_context_error(context));
}

static void check_fixture(const char *isa, bool is_f64, double tolerance) {
    basin_context *context = test_context_on(isa, 2);
    basin__safetensors file;
    if (!context) {
        print_message("this processor lacks %s\n", isa);
        return;
    }
    read_fixture(context, &file);
    for (size_t i = 0; i < BASIN_COUNT(blocks); i++)
        check_block(context, &file, &blocks[i], is_f64, tolerance);
    basin__safetensors_reset(context, &file);
    basin_context_destroy(context);
}

static void test_pytorch_f32(void **state) {
    (void)state;
    for (int isa = 0; isa < BASIN__ISA_COUNT; isa++)
        check_fixture(basin__isa_name((basin__isa)isa), false, 1e-5);
}

static void test_pytorch_f64(void **state) {
    (void)state;
    check_fixture("reference", true, 1e-12);
}

/** What is per example has the same bits in any tile, by any number of threads. */
static void test_same_bits(void **state) {
    (void)state;
    static const int ways[][2] = {{1, 0}, {2, 1}, {1, 2}}; /* threads, tile */
    for (size_t b = 0; b < BASIN_COUNT(blocks); b++) {
        void *first[OUTPUTS_MAX] = {NULL};
        for (size_t w = 0; w < BASIN_COUNT(ways); w++) {
            basin_context *context = test_context_on(NULL, ways[w][0]);
            basin__safetensors file;
            problem p;
            void *outputs[OUTPUTS_MAX];
            read_fixture(context, &file);
            assert_int_equal(pose(context, &blocks[b], &p), BASIN_OK);
            solve(context, &file, &blocks[b], &p, false, ways[w][1], outputs);
            for (int i = 0; i < p.output_count; i++) {
                int64_t count = basin_shape_count(basin_graph_shape(p.graph, p.outputs[i]));
                if (w > 0 && i < 3)
                    assert_memory_equal(outputs[i], first[i],
                                        (size_t)count * EXAMPLES * sizeof(float));
                if (w > 0)
                    test_free(outputs[i]);
                else
                    first[i] = outputs[i];
            }
            forget(context, &p);
            basin__safetensors_reset(context, &file);
            basin_context_destroy(context);
        }
        for (int i = 0; i < OUTPUTS_MAX; i++)
            if (first[i])
                test_free(first[i]);
    }
}

/* ---- group norm by itself ---- */

/** Where all pixels are equal, whatever is rounded, the output is the shift and nothing is NaN. */
static void test_norm_of_a_constant(void **state) {
    (void)state;
    basin_context *context = test_context_on(NULL, 1);
    basin_graph *g;
    assert_int_equal(basin_graph_create(context, &g), BASIN_OK);
    basin_shape shape = basin_shape_image(7, 9, 6);
    basin_value x = basin_graph_input(g, "x", shape);
    basin_value shift = basin_graph_input(g, "shift", basin_shape_vector(6));
    basin_value outputs[2] = {basin__graph_group_norm(g, x, 2, BASIN_NO_VALUE, shift),
                              BASIN_NO_VALUE};
    basin_graph_gradient(g, outputs[0], &x, 1, &outputs[1]);
    basin__plan *plan;
    assert_int_equal(basin__plan_create(context, g, outputs, 2, NULL, &plan), BASIN_OK);
    assert_int_equal(basin__plan_prepare(plan), BASIN_OK);
    for (int k = 0; k < 20; k++) {
        float image[378], added[6], y[378], gradient[378];
        float level = (float)(30 * test_number((uint64_t)k));
        for (int i = 0; i < 378; i++)
            image[i] = level;
        for (int i = 0; i < 6; i++)
            added[i] = (float)test_number((uint64_t)(100 + k * 6 + i));
        const void *inputs[2];
        void *const to[2] = {y, gradient};
        inputs[basin__plan_input(plan, "x")] = image;
        inputs[basin__plan_input(plan, "shift")] = added;
        basin__plan_run(plan, 0, 1, inputs, to);
        for (int i = 0; i < 378; i++) {
            /* x a - mean a: a is at most 1/sqrt(1e-5), a rounding of 30 is 2e-6 */
            assert_true(fabsf(y[i] - added[i % 6]) < 3e-3f);
            assert_true(isfinite(gradient[i]));
        }
    }
    basin__plan_destroy(plan);
    basin_graph_destroy(g);
    basin_context_destroy(context);
}

/** Scale and shift may be of each example, as an embedding gives them. */
static void test_norm_by_embedding(void **state) {
    (void)state;
    basin_context *context = test_context_on(NULL, 1);
    basin_graph *g;
    assert_int_equal(basin_graph_create(context, &g), BASIN_OK);
    basin_value x = basin_graph_input(g, "x", basin_shape_image(3, 3, 8));
    basin_value scale = basin_graph_input(g, "scale", basin_shape_vector(8));
    basin_value shift = basin_graph_input(g, "shift", basin_shape_vector(8));
    basin_value outputs[2] = {basin__graph_group_norm(g, x, 8, BASIN_NO_VALUE, BASIN_NO_VALUE),
                              basin__graph_group_norm(g, x, 8, scale, shift)};
    basin__plan *plan;
    assert_int_equal(basin__plan_create(context, g, outputs, 2, NULL, &plan), BASIN_OK);
    assert_int_equal(basin__plan_prepare(plan), BASIN_OK);
    float data[3][2 * 72], plain[2 * 72], by[2 * 72];
    for (int i = 0; i < 3 * 2 * 72; i++)
        data[i / 144][i % 144] = (float)test_number((uint64_t)i);
    const void *inputs[3];
    void *const to[2] = {plain, by};
    inputs[basin__plan_input(plan, "x")] = data[0];
    inputs[basin__plan_input(plan, "scale")] = data[1];
    inputs[basin__plan_input(plan, "shift")] = data[2];
    basin__plan_run(plan, 0, 2, inputs, to);
    for (int i = 0; i < 144; i++) {
        int at = i / 72 * 8 + i % 8;
        assert_true(fabsf(by[i] - (plain[i] * data[1][at] + data[2][at])) < 1e-5f);
    }
    assert_true(plain[0] != plain[8] && plain[0] != plain[72]);
    basin__plan_destroy(plan);
    basin_graph_destroy(g);
    basin_context_destroy(context);
}

/* ---- starts, mistakes, memory ---- */

static bool is_all(const basin__parameters *list, const char *name, float number) {
    const basin__parameter *parameter = basin__parameters_find(list, name);
    assert_non_null(parameter);
    for (int64_t i = 0; i < basin_shape_count(parameter->shape); i++)
        if (parameter->data[i] < number || parameter->data[i] > number)
            return false;
    return true;
}

static void test_start(void **state) {
    (void)state;
    basin_context *context = test_context_on(NULL, 1);
    basin__parameters list = {0};
    basin_graph *g;
    assert_int_equal(basin_graph_create(context, &g), BASIN_OK);
    basin__build build = {.context = context, .graph = g, .parameters = &list};
    basin_value x = basin_graph_input(g, "x", basin_shape_image(4, 4, 8));
    x = basin__layer_group_norm(&build, "norm", x, 2);
    build.starts_at_zero = true;
    x = basin__layer_attention(&build, "zero", x, 1);
    assert_true(build.starts_at_zero);
    x = basin__layer_conv(&build, "last", x, 4, 3, (basin_conv){1, 1});
    build.starts_at_zero = false;
    x = basin__layer_attention(&build, "plain", x, 4);
    assert_int_equal(basin_graph_status(g), BASIN_OK);
    assert_true(basin_shape_equal(basin_graph_shape(g, x), basin_shape_image(4, 4, 4)));
    assert_int_equal(basin__parameters_start(context, &list, 5), BASIN_OK);
    assert_true(is_all(&list, "norm.weight", 1) && is_all(&list, "norm.bias", 0));
    assert_true(is_all(&list, "zero.proj.weight", 0) && is_all(&list, "zero.proj.bias", 0));
    assert_true(is_all(&list, "last.weight", 0) && is_all(&list, "last.bias", 0));
    assert_false(is_all(&list, "zero.qkv.weight", 0));
    assert_false(is_all(&list, "plain.proj.weight", 0));
    assert_int_equal(basin__parameters_find(&list, "zero.qkv.weight")->file_rank, 4);
    assert_int_equal(basin__parameters_find(&list, "norm.weight")->file_rank, 1);
    basin__parameters_reset(context, &list);
    basin_graph_destroy(g);
    basin_context_destroy(context);
}

static basin_value norm_of_5(basin__build *build, basin_value x) {
    return basin__layer_group_norm(build, "norm", x, 5);
}

static basin_value norm_of_0(basin__build *build, basin_value x) {
    return basin__layer_group_norm(build, "norm", x, 0);
}

static basin_value heads_of_3(basin__build *build, basin_value x) {
    return basin__layer_attention(build, "attention", x, 3);
}

static basin_value spectral_zero(basin__build *build, basin_value x) {
    build->spectral_norm = build->starts_at_zero = true;
    return basin__layer_conv(build, "conv", x, 3, 3, (basin_conv){1, 1});
}

static void test_mistakes(void **state) {
    (void)state;
    static const struct {
        basin_value (*build)(basin__build *build, basin_value x);
        basin_status status;
        const char *text;
    } cases[] = {
        {norm_of_5, BASIN_ERROR_SHAPE, "8 channels cannot be cut into 5 equal groups"},
        {norm_of_0, BASIN_ERROR_SHAPE, "8 channels cannot be cut into 0 equal groups"},
        {heads_of_3, BASIN_ERROR_SHAPE, "attention: 8 channels cannot be cut into 3 equal heads"},
        {spectral_zero, BASIN_ERROR_CONFIG, "conv starts at zero"},
    };
    for (size_t i = 0; i < BASIN_COUNT(cases); i++) {
        basin_context *context = test_context_on(NULL, 1);
        const block of = {"mistake", 4, 4, 8, cases[i].build};
        problem p;
        assert_int_equal(pose(context, &of, &p), cases[i].status);
        if (!strstr(basin_context_error(context), cases[i].text))
            fail_msg("\"%s\" should say \"%s\"", basin_context_error(context), cases[i].text);
        forget(context, &p);
        basin_context_destroy(context);
    }
}

/** Build and compile both blocks; frees all it made. */
static basin_status work(basin_context *context) {
    basin_status status = BASIN_OK;
    for (size_t i = 0; i < BASIN_COUNT(blocks) && status == BASIN_OK; i++) {
        problem p;
        basin__plan *plan = NULL;
        status = pose(context, &blocks[i], &p);
        if (status == BASIN_OK)
            status = basin__plan_create(context, p.graph, p.outputs, p.output_count, NULL, &plan);
        basin__plan_destroy(plan);
        forget(context, &p);
    }
    return status;
}

static void test_every_allocation_may_fail(void **state) {
    (void)state;
    long k = 0;
    for (bool is_past = false; !is_past; k++) {
        test_heap heap = {.fail_at = k};
        basin_context *context = test_context(&heap, 1);
        basin_status status = work(context);
        is_past = !heap.has_failed;
        assert_int_equal(status, is_past ? BASIN_OK : BASIN_ERROR_MEMORY);
        assert_int_equal(heap.alive, heap.alive_at_start);
        basin_context_destroy(context);
    }
    assert_true(k > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pytorch_f32),       cmocka_unit_test(test_pytorch_f64),
        cmocka_unit_test(test_same_bits),         cmocka_unit_test(test_norm_of_a_constant),
        cmocka_unit_test(test_norm_by_embedding), cmocka_unit_test(test_start),
        cmocka_unit_test(test_mistakes),          cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
