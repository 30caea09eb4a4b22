/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every kernel of every table this processor has but the convolutions (test_convolution.c), against
 * plain loops in double, on edge shapes. What must not be read is NaN; what must not be written is
 * guarded.
 *
 *     test_kernels --bench    times them instead, as shares of the measured peak
 */
#include "bench_kernels.h"
#include "kernel_support.h"
#include <float.h>
#include <math.h>
#include <sys/utsname.h>

/* ---- maps ---- */

typedef struct map_case {
    basin__op op;
    double (*wanted)(double x, double y, double p, double q);
    float p, q;
    double ulps;     /* of the result */
    double relative; /* of the largest number on the way (x itself counts) */
    double absolute;
} map_case;

#define WANTED(name, formula)                                                                      \
    static double wanted_##name(double x, double y, double p, double q) {                          \
        (void)x, (void)y, (void)p, (void)q;                                                        \
        return formula;                                                                            \
    }

static double exact_sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }
static double exact_silu(double x) { return x == -INFINITY ? 0.0 : x * exact_sigmoid(x); }
static double exact_slope(double x) {
    return isinf(x) ? (x > 0 ? 1.0 : 0.0)
                    : exact_sigmoid(x) + x * exact_sigmoid(x) * exact_sigmoid(-x);
}

WANTED(add, x + y)
WANTED(sub, x - y)
WANTED(mul, x *y)
WANTED(scale, x *p)
WANTED(offset, x + p)
WANTED(copy, x)
WANTED(square, x *x)
WANTED(exp, exp(x))
WANTED(log, log(x))
WANTED(sqrt, sqrt(x))
WANTED(reciprocal, 1.0 / x)
WANTED(sigmoid, exact_sigmoid(x))
WANTED(silu, exact_silu(x))
WANTED(silu_slope, exact_slope(x))
WANTED(softplus, (x > 0 ? x : 0) + log1p(exp(-fabs(x))) + (isnan(x) ? x : 0))
WANTED(tanh, tanh(x))
WANTED(relu, isnan(x) ? x : x > 0 ? x : 0)
WANTED(leaky_relu, x > 0 ? x : x * p)
WANTED(leaky_slope, x > 0 ? 1 : p)
WANTED(clamp, x<p ? p : x> q ? q : x)
WANTED(clamp_inside, x >= p && x <= q ? 1 : 0)

static const map_case map_cases[] = {
    {BASIN__OP_add, wanted_add, 0, 0, 0.5, 0, 0},
    {BASIN__OP_sub, wanted_sub, 0, 0, 0.5, 0, 0},
    {BASIN__OP_mul, wanted_mul, 0, 0, 0.5, 0, 0},
    {BASIN__OP_scale, wanted_scale, 0.3f, 0, 0.5, 0, 0},
    {BASIN__OP_offset, wanted_offset, -1.7f, 0, 0.5, 0, 0},
    {BASIN__OP_broadcast, wanted_copy, 0, 0, 0, 0, 0},
    {BASIN__OP_stop, wanted_copy, 0, 0, 0, 0, 0},
    {BASIN__OP_square, wanted_square, 0, 0, 0.5, 0, 0},
    {BASIN__OP_exp, wanted_exp, 0, 0, 2, 0, 0},
    {BASIN__OP_log, wanted_log, 0, 0, 2, 0, 0},
    {BASIN__OP_sqrt, wanted_sqrt, 0, 0, 0.5, 0, 0},
    {BASIN__OP_reciprocal, wanted_reciprocal, 0, 0, 0.5, 0, 0},
    {BASIN__OP_sigmoid, wanted_sigmoid, 0, 0, 3, 0, 2e-38},
    {BASIN__OP_silu, wanted_silu, 0, 0, 4, 0, 2e-36},
    {BASIN__OP_silu_slope, wanted_silu_slope, 0, 0, 4, 2e-7, 2e-36},
    {BASIN__OP_softplus, wanted_softplus, 0, 0, 3, 0, 0},
    {BASIN__OP_tanh, wanted_tanh, 0, 0, 3, 0, 0},
    {BASIN__OP_relu, wanted_relu, 0, 0, 0, 0, 0},
    {BASIN__OP_leaky_relu, wanted_leaky_relu, 0.2f, 0, 0.5, 0, 0},
    {BASIN__OP_leaky_slope, wanted_leaky_slope, 0.2f, 0, 0, 0, 0},
    {BASIN__OP_clamp, wanted_clamp, -0.5f, 2.0f, 0, 0, 0},
    {BASIN__OP_clamp_inside, wanted_clamp_inside, -0.5f, 2.0f, 0, 0, 0},
};

/** The distance of floats at |x|. */
static double ulp_of(double x) {
    int exponent;
    frexp(x, &exponent);
    return ldexp(1.0, exponent < -125 ? -149 : exponent - 24);
}

static bool is_close(float got, double want, const map_case *with) {
    if (isnan(want))
        return isnan(got);
    if (fabs(want) > (double)FLT_MAX) /* the last half ulp rounds to infinity, or stays below */
        return isinf(got) ? (got > 0) == (want > 0) : fabs(want) < (double)FLT_MAX * (1 + 1e-6);
    double bound = with->ulps * ulp_of(want) + with->absolute;
    if (with->relative > 0 && fabs(want) < 1)
        bound += with->relative;
    if (isinf(got))
        return fabs(want) + bound > (double)FLT_MAX;
    return fabs((double)got - want) <= bound;
}

#define MAP_COUNT (1 << 16)

/** All sizes and signs: bit patterns evenly spaced, the edges, and a dense middle. */
static void map_inputs(float *x, float *y) {
    static const float edges[] = {0.0f,    -0.0f,    INFINITY, -INFINITY, NAN,     1.0f,     -1.0f,
                                  FLT_MIN, -FLT_MIN, 1e-45f,   -1e-45f,   FLT_MAX, -FLT_MAX, 88.7f,
                                  88.73f,  -87.3f,   -103.9f,  -104.1f,   0.5f,    2.0f,     0.625f,
                                  -0.625f, 1e-20f,   -1e-20f,  9.0f,      -1.278f};
    for (uint32_t i = 0; i < MAP_COUNT; i++) {
        uint32_t bits = i << 17 | i >> 2;
        memcpy(&x[i], &bits, sizeof bits);
        if (i % 2)
            x[i] = any_number() * (i % 4 == 1 ? 100.0f : 3.0f);
        if (i < BASIN_COUNT(edges))
            x[i] = edges[i];
        y[i] = any_number() * 3.0f;
    }
}

static void check_map(const basin__cpu_kernels *kernels, const map_case *with) {
    guarded x = guarded_make(MAP_COUNT, 0.0f), y = guarded_make(MAP_COUNT, 0.0f);
    guarded out = guarded_make(MAP_COUNT, NAN);
    map_inputs(x.data, y.data);
    basin__map *map = kernels->map[with->op];
    map(out.data, x.data, y.data, MAP_COUNT, with->p, with->q);
    for (int i = 0; i < MAP_COUNT; i++) {
        double want =
            with->wanted((double)x.data[i], (double)y.data[i], (double)with->p, (double)with->q);
        if (!is_close(out.data[i], want, with))
            fail_msg("op %d at %.9g (%a): got %.9g, expected %.9g", with->op, (double)x.data[i],
                     (double)x.data[i], (double)out.data[i], want);
    }
    /* Sixteen at a time, and in place: the same bits. */
    for (int i = 0; i < 64; i += 16) {
        float part[16];
        map(part, x.data + i, y.data + i, 16, with->p, with->q);
        assert_true(same_bits(part, out.data + i, 16));
    }
    map(x.data, x.data, y.data, MAP_COUNT, with->p, with->q);
    assert_true(same_bits(x.data, out.data, MAP_COUNT));
    guarded_free(&x);
    guarded_free(&y);
    guarded_free(&out);
}

static void check_maps(const basin__cpu_kernels *kernels) {
    for (size_t i = 0; i < BASIN_COUNT(map_cases); i++)
        if (kernels->map[map_cases[i].op])
            check_map(kernels, &map_cases[i]);
        else
            assert_ptr_equal(kernels, basin__cpu_kernels_for(BASIN__ISA_REFERENCE));
}

static void test_maps(void **unused) {
    (void)unused;
    for_each_table(check_maps);
}

static void check_silu_both(const basin__cpu_kernels *kernels) {
    const map_case value = {.ulps = 4, .absolute = 2e-36};
    const map_case slope = {.ulps = 4, .relative = 2e-7, .absolute = 2e-36};
    guarded x = guarded_make(MAP_COUNT, 0), y = guarded_make(MAP_COUNT, 0);
    guarded d = guarded_make(MAP_COUNT, NAN), copy = guarded_make(MAP_COUNT, 0);
    map_inputs(x.data, y.data);
    kernels->silu_both(y.data, d.data, x.data, MAP_COUNT);
    for (int i = 0; i < MAP_COUNT; i++) {
        assert_true(is_close(y.data[i], exact_silu((double)x.data[i]), &value));
        assert_true(is_close(d.data[i], exact_slope((double)x.data[i]), &slope));
    }
    /* Apart, and in place of x: the same bits. */
    if (kernels->map[BASIN__OP_silu]) {
        kernels->map[BASIN__OP_silu](copy.data, x.data, x.data, MAP_COUNT, 0, 0);
        assert_true(same_bits(copy.data, y.data, MAP_COUNT));
        kernels->map[BASIN__OP_silu_slope](copy.data, x.data, x.data, MAP_COUNT, 0, 0);
        assert_true(same_bits(copy.data, d.data, MAP_COUNT));
    }
    memcpy(copy.data, x.data, MAP_COUNT * sizeof *x.data);
    kernels->silu_both(copy.data, d.data, copy.data, MAP_COUNT);
    assert_true(same_bits(copy.data, y.data, MAP_COUNT));
    kernels->silu_both(y.data, x.data, x.data, MAP_COUNT);
    assert_true(same_bits(d.data, x.data, MAP_COUNT));
    guarded_free(&x);
    guarded_free(&y);
    guarded_free(&d);
    guarded_free(&copy);
}

static void test_silu_both(void **unused) {
    (void)unused;
    for_each_table(check_silu_both);
}

/* ---- whole ops on strided views ---- */

/** f32, several examples, pixels and lines apart, channels dense; NaN in between. */
static basin__view strided_view(guarded *data, basin_shape shape, int64_t n) {
    basin__view view = {.shape = shape};
    view.stride[4] = 1;
    view.stride[3] = shape.channels + 3;
    view.stride[2] = view.stride[3] * (shape.width + 1);
    view.stride[1] = view.stride[2] * shape.height + 5;
    view.stride[0] = view.stride[1] * shape.outer + 7;
    *data = guarded_make(view.stride[0] * n, NAN);
    view.data = data->data;
    return view;
}

static void view_fill(const basin__view *view, int64_t count) {
    const basin_shape shape = view->shape;
    for (int64_t n = 0; n < count; n++)
        for (int o = 0; o < shape.outer; o++)
            for (int y = 0; y < shape.height; y++)
                for (int x = 0; x < shape.width; x++)
                    for (int c = 0; c < shape.channels; c++)
                        basin__view_set(view, basin__view_at(view, n, o, y, x, c),
                                        (double)any_number());
}

typedef struct run_case {
    basin__op op;
    basin_shape in, out;
    int size, first;
    basin_shape second; /* of the second input, if there is one */
    float slack;        /* beside the rounding of the result */
} run_case;

/** The first example alone has the bits that it has beside others. */
static void check_alone(const basin__cpu_kernels *kernels, basin__op_call *call,
                        const float *together) {
    guarded alone;
    basin__view out = strided_view(&alone, call->out.shape, 1);
    call->n = 1;
    call->out = out;
    kernels->run[call->node->op](call);
    assert_true(same_bits(alone.data, together, out.stride[0]));
    guarded_free(&alone);
}

/** The op's own kernel is the judge, here and in tests of ops. */
static void check_run(const basin__cpu_kernels *kernels, const run_case *with, int n) {
    const bool is_summed = with->op == BASIN__OP_batch_sum, is_binary = with->second.outer > 0;
    basin__node node = {
        .op = with->op,
        .attributes = {.size = with->size, .first = with->first, .shape = with->out}};
    guarded in, second = {0}, got, want;
    basin__op_call call = {.node = &node, .n = n};
    call.in[0] = strided_view(&in, with->in, n);
    view_fill(&call.in[0], n);
    if (is_binary) {
        call.in[1] = strided_view(&second, with->second, n);
        view_fill(&call.in[1], n);
    }
    call.out = strided_view(&want, with->out, n);
    if (is_summed)
        view_fill(&call.out, 1);
    basin__view out = strided_view(&got, with->out, n);
    memcpy(got.data, want.data, (size_t)got.n * sizeof *got.data);
    basin__op_definition(with->op)->run(&call);
    call.out = out;
    kernels->run[with->op](&call);
    for (int64_t i = 0; i < got.n; i++)
        assert_true(isnan(want.data[i]) ? isnan(got.data[i])
                                        : fabsf(got.data[i] - want.data[i]) <=
                                              fabsf(want.data[i]) * FLT_EPSILON + with->slack);
    if (!is_summed)
        check_alone(kernels, &call, got.data);
    if (is_binary)
        guarded_free(&second);
    guarded_free(&in);
    guarded_free(&got);
    guarded_free(&want);
}

static void check_runs(const basin__cpu_kernels *kernels) {
    static const run_case cases[] = {
        {.op = BASIN__OP_sum, .in = {1, 7, 5, 130}, .out = {1, 1, 1, 130}},
        {.op = BASIN__OP_sum, .in = {2, 3, 5, 7}, .out = {2, 3, 1, 7}},
        {.op = BASIN__OP_sum, .in = {2, 3, 5, 64}, .out = {1, 1, 1, 64}},
        {.op = BASIN__OP_sum, .in = {1, 4, 3, 1}, .out = {1, 1, 1, 1}},
        {.op = BASIN__OP_sum, .in = {2, 4, 3, 37}, .out = {1, 4, 1, 1}},
        {.op = BASIN__OP_sum, .in = {1, 4, 3, 16}, .out = {1, 1, 1, 1}},
        {.op = BASIN__OP_batch_sum, .in = {2, 3, 2, 70}, .out = {2, 3, 2, 70}},
        {.op = BASIN__OP_average_pool, .in = {1, 6, 9, 5}, .out = {1, 2, 3, 5}, .size = 3},
        {.op = BASIN__OP_average_pool_input, .in = {1, 2, 3, 70}, .out = {1, 6, 9, 70}, .size = 3},
        {.op = BASIN__OP_upsample, .in = {2, 2, 3, 5}, .out = {2, 4, 6, 5}, .size = 2},
        {.op = BASIN__OP_upsample_input, .in = {2, 4, 6, 70}, .out = {2, 2, 3, 70}, .size = 2},
        {.op = BASIN__OP_reshape, .in = {2, 3, 4, 5}, .out = {2, 1, 1, 60}},
        {.op = BASIN__OP_reshape, .in = {2, 1, 1, 60}, .out = {2, 3, 4, 5}},
        {.op = BASIN__OP_reshape, .in = {1, 3, 4, 6}, .out = {2, 9, 1, 4}},
        {.op = BASIN__OP_flatten, .in = {2, 3, 4, 5}, .out = {2, 1, 1, 60}},
        {.op = BASIN__OP_unflatten, .in = {2, 1, 1, 60}, .out = {2, 3, 4, 5}},
        {.op = BASIN__OP_square, .in = {1, 3, 2, 5}, .out = {1, 3, 2, 5}},
        {.op = BASIN__OP_concatenate,
         .in = {1, 3, 2, 5},
         .second = {1, 3, 2, 70},
         .out = {1, 3, 2, 75}},
        {.op = BASIN__OP_slice, .in = {1, 3, 2, 70}, .out = {1, 3, 2, 37}, .first = 30, .size = 37},
        {.op = BASIN__OP_slice_input, .in = {1, 3, 2, 37}, .out = {1, 3, 2, 70}, .first = 30},
        {.op = BASIN__OP_softmax, .in = {1, 3, 2, 70}, .out = {1, 3, 2, 70}, .slack = 1e-7f},
        {.op = BASIN__OP_softmax, .in = {2, 3, 2, 16}, .out = {2, 3, 2, 16}, .slack = 1e-7f},
        {.op = BASIN__OP_softmax, .in = {1, 1, 1, 1}, .out = {1, 1, 1, 1}},
        {.op = BASIN__OP_log_sum_exp, .in = {1, 3, 2, 70}, .out = {1, 3, 2, 1}, .slack = 1e-7f},
        {.op = BASIN__OP_log_sum_exp, .in = {2, 1, 1, 7}, .out = {2, 1, 1, 1}, .slack = 1e-7f},
    };
    for (size_t i = 0; i < BASIN_COUNT(cases); i++)
        for (int n = 1; n <= 3; n++)
            check_run(kernels, &cases[i], n);
}

static void check_dots(const basin__cpu_kernels *kernels) {
    static const basin_shape shapes[][2] = {
        {{1, 7, 5, 130}, {1, 1, 1, 130}}, {{2, 3, 5, 7}, {2, 3, 1, 7}},
        {{1, 4, 3, 1}, {1, 1, 1, 1}},     {{2, 4, 3, 37}, {1, 4, 1, 1}},
        {{1, 4, 3, 16}, {1, 1, 1, 1}},    {{1, 4, 3, 64}, {1, 4, 3, 1}},
    };
    for (size_t i = 0; i < BASIN_COUNT(shapes); i++)
        for (int n = 1; n <= 3; n++) {
            const run_case with = {.op = BASIN__OP_dot,
                                   .in = shapes[i][0],
                                   .second = shapes[i][0],
                                   .out = shapes[i][1]};
            check_run(kernels, &with, n);
        }
}

/** Each of the four products of an m × k and a k × n matrix, as pixels of images two wide. */
static void check_product(const basin__cpu_kernels *kernels, int m, int k, int n) {
    for (int transpose = 0; transpose < 4; transpose++) {
        const bool is_a = transpose & BASIN_TRANSPOSE_A, is_b = transpose & BASIN_TRANSPOSE_B;
        const int rows = is_a ? k : m, columns = is_a ? m : k;
        const run_case with = {
            .op = BASIN__OP_matmul,
            .first = transpose,
            .in = rows % 2 ? (basin_shape){1, 1, rows, columns}
                           : (basin_shape){1, rows / 2, 2, columns},
            .second = is_b ? (basin_shape){1, n, 1, k} : (basin_shape){1, 1, k, n},
            .out = m % 2 ? (basin_shape){1, m, 1, n} : (basin_shape){1, m / 2, 2, n},
            .slack = (float)k * 2e-7f,
        };
        check_run(kernels, &with, 2);
    }
}

static void check_products(const basin__cpu_kernels *kernels) {
    static const int sizes[][3] = {{1, 1, 1},    {2, 3, 5},      {16, 16, 16}, {7, 33, 65},
                                   {49, 128, 2}, {100, 129, 70}, {48, 64, 64}, {50, 300, 17}};
    for (size_t i = 0; i < BASIN_COUNT(sizes); i++)
        check_product(kernels, sizes[i][0], sizes[i][1], sizes[i][2]);
}

/** A number that is none, or infinite, comes out of softmax as of its own kernel. */
static void check_softmax_edges(const basin__cpu_kernels *kernels) {
    enum { N = 21 };
    basin__node node = {.op = BASIN__OP_softmax};
    for (int at = 0; at < N; at++) {
        float x[N], y[N];
        for (int kind = 0; kind < 3; kind++) {
            for (int i = 0; i < N; i++)
                x[i] = any_number() * 200.0f;
            x[at] = kind == 0 ? NAN : kind == 1 ? INFINITY : -INFINITY;
            basin__view view = {x, false, basin_shape_vector(N), {N, N, N, N, 1}};
            basin__op_call call = {.node = &node, .n = 1, .in = {view}, .out = view};
            call.out.data = y;
            kernels->run[BASIN__OP_softmax](&call);
            double sum = 0;
            for (int i = 0; i < N; i++)
                sum += (double)y[i];
            assert_true(kind == 2 ? y[at] == 0.0f && fabs(sum - 1) < 1e-6 : isnan(sum));
        }
    }
}

static void test_runs(void **unused) {
    (void)unused;
    for_each_table(check_runs);
    for_each_table(check_dots);
    for_each_table(check_products);
    for_each_table(check_softmax_edges);
}

/* ---- rows between memory and a block ---- */

#define ROWS 7

static void check_rows(const basin__cpu_kernels *kernels, int width, int valid) {
    const int count = valid < width ? valid : width;
    int32_t row[ROWS];
    guarded base = guarded_make(ROWS * 70, NAN), block = guarded_make(ROWS * width, NAN);
    for (int r = 0; r < ROWS; r++) {
        row[r] = (ROWS - 1 - r) * 70 + r % 3;
        for (int c = 0; c < count; c++)
            base.data[row[r] + c] = any_number();
    }
    guarded copy = guarded_make(base.n, NAN);
    kernels->load_rows(block.data, base.data, row, ROWS, width, valid);
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < width; c++)
            assert_true(block.data[r * width + c] == (c < valid ? base.data[row[r] + c] : 0.0f));
    kernels->store_rows(copy.data, row, block.data, ROWS, width, valid);
    assert_true(same_bits(copy.data, base.data, base.n));
    guarded_free(&base);
    guarded_free(&block);
    guarded_free(&copy);
}

/** Overlapping rows, so that their order counts. */
static void check_scatter(const basin__cpu_kernels *kernels, int run, int lines) {
    enum { WIDTH = 64, LINE = 30 };
    const int count = run * lines;
    int32_t row[ROWS];
    guarded in = guarded_make(ROWS * WIDTH, NAN), got = guarded_make(LINE * 12, 0.0f);
    guarded want = guarded_make(LINE * 12, 0.0f);
    for (int r = 0; r < ROWS; r++) {
        row[r] = r;
        for (int i = 0; i < count; i++) {
            in.data[r * WIDTH + i] = any_number();
            want.data[row[r] + i / run * LINE + i % run] += in.data[r * WIDTH + i];
        }
    }
    kernels->scatter_rows(got.data, row, in.data, ROWS, WIDTH, count, run, LINE);
    assert_true(same_bits(got.data, want.data, got.n));
    guarded_free(&in);
    guarded_free(&got);
    guarded_free(&want);
}

static void check_row_shapes(const basin__cpu_kernels *kernels) {
    static const int valid[] = {1, 5, 16, 31, 48, 64, 100};
    for (int width = 16; width <= 64; width += 16)
        for (size_t i = 0; i < BASIN_COUNT(valid); i++)
            check_rows(kernels, width, valid[i]);
    for (int run = 1; run <= 12; run++)
        for (int lines = 1; lines <= 5; lines++)
            check_scatter(kernels, run, lines);
}

/** What stores in one go gives what its parts give, bit for bit, as floats and as halves. */
static void check_joined_rows(const basin__cpu_kernels *kernels) {
    enum { WIDTH = 48, STEP = 64, N = ROWS * WIDTH, ALL = ROWS * STEP };
    if (kernels == basin__cpu_kernels_for(BASIN__ISA_REFERENCE))
        return; /* its SiLU is in double, its plans join nothing */
    int32_t row[ROWS];
    guarded x = guarded_make(N, 0), y = guarded_make(N, 0), slope = guarded_make(N, 0);
    guarded to = guarded_make(ALL, guard_number), to_slope = guarded_make(ALL, guard_number);
    basin__half half[ALL] = {0}, half_slope[ALL] = {0}, product[ALL] = {0};
    for (int r = 0; r < ROWS; r++)
        row[r] = (ROWS - 1 - r) * STEP;
    for (int i = 0; i < N; i++)
        x.data[i] = 9 * any_number();
    const basin__rows rows = {to.data, row}, slopes = {to_slope.data, row};
    const basin__rows halves = {half, row}, half_slopes = {half_slope, row};
    const basin__rows products = {product, row};
    kernels->silu_both(y.data, slope.data, x.data, N);
    kernels->silu_rows(&rows, &slopes, x.data, ROWS, WIDTH);
    kernels->silu_rows_half(&halves, &half_slopes, x.data, ROWS, WIDTH);
    kernels->mul_rows_half(&products, x.data, &half_slopes, ROWS, WIDTH);
    for (int i = 0; i < ALL; i++) {
        int r = ROWS - 1 - i / STEP, c = i % STEP, at = r * WIDTH + c;
        bool is_in = c < WIDTH;
        float d = is_in ? slope.data[at] : guard_number;
        assert_true(to.data[i] == (is_in ? y.data[at] : guard_number));
        assert_true(to_slope.data[i] == d);
        assert_true(half[i] == (is_in ? basin__half_of(y.data[at]) : 0));
        assert_true(half_slope[i] == (is_in ? basin__half_of(d) : 0));
        float wanted = is_in ? x.data[at] * basin__float_of_half(half_slope[i]) : 0;
        assert_true(product[i] == basin__half_of(wanted));
    }
    kernels->mul_rows(&rows, x.data, &slopes, ROWS, WIDTH);
    kernels->load_rows_half(y.data, &halves, ROWS, WIDTH);
    kernels->store_rows_half(&products, y.data, ROWS, WIDTH);
    for (int i = 0; i < N; i++) {
        int at = row[i / WIDTH] + i % WIDTH;
        assert_true(to.data[at] == x.data[i] * to_slope.data[at]);
        assert_true(y.data[i] == basin__float_of_half(half[at]) && product[at] == half[at]);
    }
    guarded_free(&x);
    guarded_free(&y);
    guarded_free(&slope);
    guarded_free(&to);
    guarded_free(&to_slope);
}

static void test_rows(void **unused) {
    (void)unused;
    for_each_table(check_row_shapes);
    for_each_table(check_joined_rows);
}

/* ---- a chain's primitives ---- */

static void check_reflect(const basin__cpu_kernels *kernels) {
    float x[] = {0.25f, 0.0f, 1.0f, -0.25f, 1.25f, -1.75f, 5.5f, 1e30f, -1e30f, INFINITY, NAN};
    const float want[] = {0.25f, 0.0f, 1.0f, 0.25f, 0.75f, 0.25f, 0.5f};
    kernels->reflect(x, 0.0f, 1.0f, (int64_t)BASIN_COUNT(x));
    assert_true(same_bits(x, want, (int64_t)BASIN_COUNT(want)));
    for (size_t i = BASIN_COUNT(want); i < 10; i++)
        assert_true(x[i] >= 0.0f && x[i] <= 1.0f);
    assert_true(isnan(x[10]));
    float point[] = {-3.0f, 0.5f, 9.0f};
    kernels->reflect(point, 0.5f, 0.5f, 3);
    assert_true(point[0] == 0.5f && point[1] == 0.5f && point[2] == 0.5f);
}

static void check_chain_length(const basin__cpu_kernels *kernels, int n) {
    const basin__cpu_kernels *generic = basin__cpu_kernels_for(BASIN__ISA_GENERIC);
    guarded a = guarded_make(n + 1, 0), b = guarded_make(n + 1, 0), c = guarded_make(n + 1, 0);
    float *x = a.data + 1, *y = b.data + 1, *z = c.data + 1; /* on no boundary */
    double dot = 0, size = 0;
    for (int i = 0; i < n; i++) {
        x[i] = any_number() * 2;
        y[i] = z[i] = any_number();
        dot += (double)x[i] * (double)y[i];
        size += fabs((double)x[i] * (double)y[i]);
    }
    assert_true(fabs(kernels->dot(x, y, n) - dot) <= size * 1e-14);
    assert_true(kernels->dot(x, y, n) == generic->dot(x, y, n));
    kernels->axpy(y, -0.3f, x, n);
    for (int i = 0; i < n; i++)
        assert_true(y[i] == z[i] + -0.3f * x[i]);
    kernels->clamp(x, -0.5f, 1.0f, n);
    for (int i = 0; i < n; i++)
        assert_true(x[i] >= -0.5f && x[i] <= 1.0f);
    assert_true(kernels->all_finite(x, n));
    for (int i = 0; i < n; i += 1 + n / 9) {
        float kept = x[i];
        x[i] = i % 2 ? NAN : -INFINITY;
        assert_false(kernels->all_finite(x, n));
        x[i] = kept;
    }
    guarded_free(&a);
    guarded_free(&b);
    guarded_free(&c);
}

static void check_chain(const basin__cpu_kernels *kernels) {
    for (int n = 0; n <= 70; n++)
        check_chain_length(kernels, n);
    check_chain_length(kernels, 1000);
    check_reflect(kernels);
    float broken = NAN;
    kernels->clamp(&broken, 0.0f, 1.0f, 1);
    assert_true(isnan(broken));
}

static void test_chain(void **unused) {
    (void)unused;
    for_each_table(check_chain);
}

/* ---- tables ---- */

/** The tests above go over the tables that are said to be supported; NEON must be just there. */
static void test_tables(void **unused) {
    (void)unused;
    struct utsname machine;
    assert_true(uname(&machine) >= 0);
    assert_true(basin__isa_supported(BASIN__ISA_NEON) == (strcmp(machine.machine, "aarch64") == 0));
    for (int isa = 0; isa < BASIN__ISA_COUNT; isa++)
        if (basin__isa_supported((basin__isa)isa))
            assert_non_null(basin__cpu_kernels_for((basin__isa)isa)->conv);
}

int main(int argument_count, char **arguments) {
    if (argument_count > 1 && strcmp(arguments[1], "--bench") == 0) {
        for_each_table(bench_table);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_maps),  cmocka_unit_test(test_silu_both),
        cmocka_unit_test(test_rows),  cmocka_unit_test(test_runs),
        cmocka_unit_test(test_chain), cmocka_unit_test(test_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
