/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The convolution kernels of every table this processor has, against plain loops in double, on
 * edge shapes: tap lists in floats and halves, few outputs, fast convolutions' changes of basis,
 * weight gradients. What must not be read is NaN; what must not be written is guarded.
 */
#include "kernel_support.h"
#include <float.h>
#include <math.h>

/* ---- convolution ---- */

typedef struct conv_problem {
    int rows, taps, run, width;
    int32_t row[BASIN__CONV_ROWS], tap[32];
    guarded in, weight, start;
    bool has_start;
} conv_problem;

/** Rows and taps anywhere (rows may overlap), NaN wherever no product reaches. */
static conv_problem conv_problem_make(int rows, int taps, int run, int width) {
    conv_problem made = {.rows = rows, .taps = taps, .run = run, .width = width};
    int span = 4 * run + 200;
    made.in = guarded_make(2 * span, NAN);
    made.weight = guarded_make((int64_t)taps * run * width, 0.0f);
    for (int64_t i = 0; i < made.weight.n; i++)
        made.weight.data[i] = any_number();
    made.start = guarded_make(width, 0.0f);
    made.has_start = rows % 2 == 0;
    for (int o = 0; o < width; o++)
        made.start.data[o] = any_number();
    for (int r = 0; r < rows; r++)
        made.row[r] = any_below(span - run);
    for (int t = 0; t < taps; t++)
        made.tap[t] = any_below(span);
    made.row[0] = 100; /* with a tap that reaches back */
    made.tap[taps - 1] = rows == 1 ? -100 : made.tap[taps - 1];
    for (int r = 0; r < rows; r++)
        for (int t = 0; t < taps; t++)
            for (int k = 0; k < run; k++)
                made.in.data[made.row[r] + made.tap[t] + k] = any_number();
    return made;
}

static void conv_problem_free(conv_problem *problem) {
    guarded_free(&problem->in);
    guarded_free(&problem->weight);
    guarded_free(&problem->start);
}

static basin__conv_block conv_problem_block(const conv_problem *p, int first, int rows,
                                            float *out) {
    return (basin__conv_block){.in = p->in.data,
                               .row = p->row + first,
                               .rows = rows,
                               .tap = p->tap,
                               .taps = p->taps,
                               .run = p->run,
                               .weight = p->weight.data,
                               .start = p->has_start ? p->start.data : NULL,
                               .width = p->width,
                               .out = out};
}

/** Weight of input k and output o, counted in panels. */
static double conv_weight_at(const conv_problem *p, int panel, int k, int o) {
    int first = o / panel * panel, width = p->width - first < panel ? p->width - first : panel;
    return (double)p->weight.data[first * p->taps * p->run + k * width + o - first];
}

static void check_conv_row(const conv_problem *p, int panel, int r, const float *out) {
    for (int o = 0; o < p->width; o++) {
        double sum = p->has_start ? (double)p->start.data[o] : 0, size = fabs(sum);
        for (int t = 0; t < p->taps; t++)
            for (int k = 0; k < p->run; k++) {
                double product = (double)p->in.data[p->row[r] + p->tap[t] + k] *
                                 conv_weight_at(p, panel, t * p->run + k, o);
                sum += product;
                size += fabs(product);
            }
        double bound = size * FLT_EPSILON * (p->taps * p->run + 1);
        assert_true(fabs((double)out[o] - sum) <= bound);
    }
}

/** A whole call, then the same rows in two calls: the same bits. */
static void check_conv(const basin__cpu_kernels *kernels, int rows, int taps, int run, int width) {
    conv_problem problem = conv_problem_make(rows, taps, run, width);
    guarded out = guarded_make((int64_t)rows * width, NAN);
    basin__conv_block block = conv_problem_block(&problem, 0, rows, out.data);
    kernels->conv(&block);
    for (int r = 0; r<rows; r += rows> 8 ? 5 : 1)
        check_conv_row(&problem, kernels->panel, r, out.data + r * width);
    int cut = rows / 3;
    guarded part = guarded_make((int64_t)(rows - cut) * width, NAN);
    block = conv_problem_block(&problem, cut, rows - cut, part.data);
    kernels->conv(&block);
    assert_true(same_bits(part.data, out.data + cut * width, part.n));
    guarded_free(&part);
    guarded_free(&out);
    conv_problem_free(&problem);
}

static void check_conv_shapes(const basin__cpu_kernels *kernels) {
    static const int shape[][2] = {{1, 1},   {3, 3},   {9, 1},  {9, 7},  {25, 2},
                                   {16, 16}, {5, 80},  {2, 65}, {4, 64}, {3, 192},
                                   {1, 600}, {25, 33}, {1, 3}};
    for (int width = 16; width <= BASIN__CONV_WIDTH; width += 16) {
        for (int rows = 1; rows <= BASIN__CONV_ROWS; rows++)
            check_conv(kernels, rows, 2, 3, width);
        for (size_t i = 0; i < BASIN_COUNT(shape); i++)
            for (int rows = 1; rows <= BASIN__CONV_ROWS; rows += 47 - (int)i)
                check_conv(kernels, rows, shape[i][0], shape[i][1], width);
    }
}

static void test_conv(void **unused) {
    (void)unused;
    for_each_table(check_conv_shapes);
}

/* ---- convolution of halves ---- */

/** Weights that are halves already, packed in pairs, give what the same floats give in double. */
static void check_half_shape(const basin__cpu_kernels *kernels, int rows, int taps, int run,
                             int width) {
    conv_problem p = conv_problem_make(rows, taps, run, width);
    basin__half *in = calloc((size_t)p.in.n + 2 * GUARD, sizeof *in), *weight = NULL;
    assert_int_equal(posix_memalign((void **)&weight, 64, (size_t)p.weight.n * sizeof *weight), 0);
    for (int64_t i = -GUARD; i < p.in.n + GUARD; i++) {
        in[i + GUARD] = basin__half_of(p.in.data[i]);
        p.in.data[i] = i < 0 || i >= p.in.n ? p.in.data[i] : basin__float_of_half(in[i + GUARD]);
    }
    for (int64_t i = 0; i < p.weight.n; i++)
        p.weight.data[i] = basin__float_of_half(basin__half_of(p.weight.data[i]));
    for (int first = 0; first < width; first += kernels->panel) {
        int panel = width - first < kernels->panel ? width - first : kernels->panel;
        for (int k = 0; k < taps * run; k++)
            for (int o = 0; o < panel; o++)
                weight[first * taps * run + (k / 2 * panel + o) * 2 + k % 2] =
                    basin__half_of(p.weight.data[first * taps * run + k * panel + o]);
    }
    guarded out = guarded_make((int64_t)rows * width, NAN);
    basin__conv_block block = conv_problem_block(&p, 0, rows, out.data);
    block.in = in + GUARD;
    block.weight = weight;
    block.is_half = true;
    kernels->conv(&block);
    for (int r = 0; r < rows; r++)
        check_conv_row(&p, kernels->panel, r, out.data + r * width);
    free(in);
    free(weight);
    guarded_free(&out);
    conv_problem_free(&p);
}

static void check_halves(const basin__cpu_kernels *kernels) {
    for (int width = 16; width <= BASIN__CONV_WIDTH; width += 16)
        for (int rows = 1; rows <= 13; rows++) {
            check_half_shape(kernels, rows, 2, 6, width);
            check_half_shape(kernels, rows, 3, 64, width);
        }
    assert_int_equal(basin__half_of(1.0f), 0x3F80);
    assert_int_equal(basin__half_of(1.00390625f), 0x3F80); /* half-way: to even */
    assert_int_equal(basin__half_of(1.01171875f), 0x3F82);
    assert_int_equal(basin__half_of(-INFINITY), 0xFF80);
    assert_true(isnan(basin__float_of_half(basin__half_of(NAN))));
    assert_true(isnan(basin__float_of_half(basin__half_of(basin__float_of(0x7FFFFFFFu)))));
}

static void test_halves(void **unused) {
    (void)unused;
    for_each_table(check_halves);
}

/* ---- convolution with few outputs ---- */

/** Rows and taps at whole cache lines, as the kernel for few outputs wants them. */
static void align_problem(conv_problem *p) {
    for (int r = 0; r < p->rows; r++)
        p->row[r] = p->row[r] / BASIN__CHANNEL_UNIT * BASIN__CHANNEL_UNIT;
    for (int t = 0; t < p->taps; t++)
        p->tap[t] = p->tap[t] / BASIN__CHANNEL_UNIT * BASIN__CHANNEL_UNIT;
    for (int r = 0; r < p->rows; r++)
        for (int i = 0; i < p->taps * p->run; i++)
            p->in.data[p->row[r] + p->tap[i / p->run] + i % p->run] = any_number();
}

static void check_few_shape(const basin__cpu_kernels *kernels, int outputs, int taps, int run) {
    conv_problem problem = conv_problem_make(13, taps, run, BASIN__CHANNEL_UNIT);
    align_problem(&problem);
    problem.has_start = outputs % 2 == 0;
    guarded out = guarded_make(13 * BASIN__CHANNEL_UNIT, NAN);
    basin__conv_block block = conv_problem_block(&problem, 0, 13, out.data);
    kernels->conv_few(&block, outputs);
    for (int r = 0; r < 13; r++)
        for (int o = 0; o < BASIN__CHANNEL_UNIT; o++) {
            double sum = problem.has_start ? (double)problem.start.data[o] : 0, size = fabs(sum);
            for (int i = 0; i < taps * run; i++) {
                int at = problem.row[r] + problem.tap[i / run] + i % run;
                double product = (double)problem.in.data[at] *
                                 (double)problem.weight.data[o < outputs ? o * taps * run + i : 0];
                sum += product;
                size += fabs(product);
            }
            double got = (double)out.data[r * BASIN__CHANNEL_UNIT + o];
            if (o < outputs)
                assert_true(fabs(got - sum) <= size * FLT_EPSILON * (taps * run + 1));
            else
                assert_true(got == 0);
        }
    guarded part = guarded_make(5 * BASIN__CHANNEL_UNIT, NAN); /* fewer rows: the same bits */
    block = conv_problem_block(&problem, 6, 5, part.data);
    kernels->conv_few(&block, outputs);
    assert_true(same_bits(part.data, out.data + 6 * BASIN__CHANNEL_UNIT, part.n));
    guarded_free(&part);
    guarded_free(&out);
    conv_problem_free(&problem);
}

static void check_few(const basin__cpu_kernels *kernels) {
    for (int outputs = 1; outputs <= BASIN__CONV_FEW; outputs++) {
        check_few_shape(kernels, outputs, 1, 128);
        check_few_shape(kernels, outputs, 9, 16);
        check_few_shape(kernels, outputs, 2, 48);
    }
}

static void test_conv_few(void **unused) {
    (void)unused;
    for_each_table(check_few);
}

/* ---- fast convolution ---- */

/** Numbers at points × points or outputs × outputs, each with channels and a gap behind it. */
enum { CHANNELS = 80, STRIDE = CHANNELS + 16, SIDE = BASIN__WINOGRAD_POINTS };

static basin__winograd_tile tile_of(const int *points, const int *taps, const float *in,
                                    float *out) {
    basin__winograd_tile tile = {
        .points = {points[0], points[1]},
        .outputs = {points[0] - taps[0] + 1, points[1] - taps[1] + 1},
        .channels = CHANNELS,
        .in = in,
        .in_stride = {SIDE * STRIDE, STRIDE},
        .out = out,
        .out_stride = {SIDE * STRIDE, STRIDE},
    };
    return tile;
}

static double power_of(int point, int k, int count) {
    return point ? pow(basin__winograd_point[point], k) : k == count - 1;
}

/** Multiply values at points by those of the taps g[down][across], the same for all channels. */
static void multiply_points(const int *points, const int *taps, const double *g, float *values) {
    for (int i = 0; i < points[0]; i++)
        for (int j = 0; j < points[1]; j++) {
            double u = 0;
            for (int a = 0; a < taps[0]; a++)
                for (int b = 0; b < taps[1]; b++) {
                    u += power_of(i, a, taps[0]) * power_of(j, b, taps[1]) * g[a * taps[1] + b];
                }
            for (int c = 0; c < CHANNELS; c++)
                values[(i * SIDE + j) * STRIDE + c] *= (float)u;
        }
}

/** Gradients of outputs to points, and there added to what is. */
static void check_spread_shape(const basin__cpu_kernels *kernels, const int *points,
                               const int *taps) {
    const int64_t n = SIDE * SIDE * STRIDE;
    guarded in = guarded_make(n, NAN), out = guarded_make(n, guard_number);
    guarded sums = guarded_make(n, guard_number);
    basin__winograd_tile tile = tile_of(points, taps, in.data, out.data);
    for (int i = 0; i < SIDE * SIDE; i++)
        for (int c = 0; c < CHANNELS; c++)
            if (i / SIDE < tile.outputs[0] && i % SIDE < tile.outputs[1])
                in.data[i * STRIDE + c] = sums.data[i * STRIDE + c] = any_number();
    kernels->winograd_spread(&tile);
    for (int i = 0; i < SIDE * SIDE; i++)
        for (int c = 0; c < STRIDE; c++) {
            double sum = 0;
            bool is_asked = i / SIDE < points[0] && i % SIDE < points[1] && c < CHANNELS;
            for (int y = 0; is_asked && y < tile.outputs[0]; y++)
                for (int x = 0; x < tile.outputs[1]; x++)
                    sum += power_of(i / SIDE, y, tile.outputs[0]) *
                           power_of(i % SIDE, x, tile.outputs[1]) *
                           (double)in.data[(y * SIDE + x) * STRIDE + c];
            if (is_asked)
                assert_true(fabs((double)out.data[i * STRIDE + c] - sum) < 2e-4);
            else
                assert_true(out.data[i * STRIDE + c] == guard_number);
        }
    tile = tile_of(points, taps, out.data, sums.data);
    tile.start = sums.data;
    tile.start_stride[0] = tile.out_stride[0];
    tile.start_stride[1] = tile.out_stride[1];
    kernels->winograd_out(&tile);
    for (int i = 0; i < SIDE * SIDE; i++)
        for (int c = 0; c < CHANNELS; c++) {
            double sum = (double)in.data[i * STRIDE + c];
            if (i / SIDE >= tile.outputs[0] || i % SIDE >= tile.outputs[1])
                continue;
            for (int p = 0; p < points[0] * points[1]; p++)
                sum += power_of(p / points[1], i / SIDE, tile.outputs[0]) *
                       power_of(p % points[1], i % SIDE, tile.outputs[1]) *
                       (double)out.data[(p / points[1] * SIDE + p % points[1]) * STRIDE + c];
            assert_true(fabs((double)sums.data[i * STRIDE + c] - sum) < 1e-5 * (100 + fabs(sum)));
        }
    guarded_free(&in);
    guarded_free(&out);
    guarded_free(&sums);
}

/** There and back gives the convolution; nothing but the numbers asked for is written. */
static void check_winograd_shape(const basin__cpu_kernels *kernels, const int *points,
                                 const int *taps) {
    const int64_t n = SIDE * SIDE * STRIDE;
    guarded in = guarded_make(n, NAN), values = guarded_make(n, guard_number);
    guarded out = guarded_make(n, guard_number), start = guarded_make(CHANNELS, 0);
    double g[SIDE * SIDE];
    for (int i = 0; i < taps[0] * taps[1]; i++)
        g[i] = (double)any_number();
    for (int i = 0; i < SIDE * SIDE; i++)
        for (int c = 0; c < CHANNELS; c++)
            if (i / SIDE < points[0] && i % SIDE < points[1])
                in.data[i * STRIDE + c] = any_number();
    for (int c = 0; c < CHANNELS; c++)
        start.data[c] = any_number();
    basin__winograd_tile tile = tile_of(points, taps, in.data, values.data);
    kernels->winograd_in(&tile);
    multiply_points(points, taps, g, values.data);
    tile = tile_of(points, taps, values.data, out.data);
    tile.start = taps[0] == 2 ? start.data : NULL;
    kernels->winograd_out(&tile);
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            for (int c = 0; c < STRIDE; c++) {
                double sum = tile.start && c < CHANNELS ? (double)start.data[c] : 0;
                float got = out.data[(y * SIDE + x) * STRIDE + c];
                bool is_asked = y < tile.outputs[0] && x < tile.outputs[1] && c < CHANNELS;
                for (int t = 0; is_asked && t < taps[0] * taps[1]; t++)
                    sum +=
                        g[t] *
                        (double)in.data[((y + t / taps[1]) * SIDE + x + t % taps[1]) * STRIDE + c];
                if (is_asked)
                    assert_true(fabs((double)got - sum) < 2e-4);
                else
                    assert_true(got == guard_number);
            }
    guarded_free(&in);
    guarded_free(&values);
    guarded_free(&out);
    guarded_free(&start);
}

static void check_winograd(const basin__cpu_kernels *kernels) {
    int points[2], taps[2];
    for (points[0] = 3; points[0] <= SIDE; points[0]++)
        for (points[1] = 3; points[1] <= SIDE; points[1]++)
            for (taps[0] = 2; taps[0] < points[0]; taps[0]++)
                for (taps[1] = 2; taps[1] < points[1]; taps[1]++) {
                    check_winograd_shape(kernels, points, taps);
                    check_spread_shape(kernels, points, taps);
                }
}

static void test_winograd(void **unused) {
    (void)unused;
    for_each_table(check_winograd);
}

/* ---- weight gradient ---- */

typedef struct weight_problem {
    int rows, taps, run, width;
    int32_t row[300], gradient_row[300], tap[32];
    guarded in, gradient;
} weight_problem;

static weight_problem weight_problem_make(int rows, int taps, int run, int width) {
    weight_problem made = {.rows = rows, .taps = taps, .run = run, .width = width};
    int span = 3 * run + 100;
    made.in = guarded_make(2 * span, NAN);
    made.gradient = guarded_make((int64_t)rows * (width + 16), NAN);
    for (int t = 0; t < taps; t++)
        made.tap[t] = any_below(span);
    for (int r = 0; r < rows; r++) {
        made.row[r] = any_below(span - run);
        made.gradient_row[r] = (rows - 1 - r) * (width + 16);
        for (int o = 0; o < width; o++)
            made.gradient.data[made.gradient_row[r] + o] = any_number();
        for (int t = 0; t < taps; t++)
            for (int k = 0; k < run; k++)
                made.in.data[made.row[r] + made.tap[t] + k] = any_number();
    }
    return made;
}

static void weight_problem_run(const basin__cpu_kernels *kernels, const weight_problem *p,
                               int first, int rows, bool is_new, float *out) {
    basin__conv_weight_block block = {.in = p->in.data,
                                      .row = p->row + first,
                                      .gradient = p->gradient.data,
                                      .gradient_row = p->gradient_row + first,
                                      .rows = rows,
                                      .tap = p->tap,
                                      .taps = p->taps,
                                      .run = p->run,
                                      .width = p->width,
                                      .is_new = is_new,
                                      .out = out};
    kernels->conv_weight(&block);
}

static void check_weight_entry(const weight_problem *p, int t, int k, const float *before,
                               const float *after) {
    for (int o = 0; o < p->width; o += 7) {
        int at = (t * p->run + k) * p->width + o;
        double sum = before ? (double)before[at] : 0, size = fabs(sum);
        for (int r = 0; r < p->rows; r++) {
            double product = (double)p->in.data[p->row[r] + p->tap[t] + k] *
                             (double)p->gradient.data[p->gradient_row[r] + o];
            sum += product;
            size += fabs(product);
        }
        assert_true(fabs((double)after[at] - sum) <= size * FLT_EPSILON * (p->rows + 1));
    }
}

static void check_weight(const basin__cpu_kernels *kernels, bool is_exact, int rows, int taps,
                         int run, int width) {
    weight_problem problem = weight_problem_make(rows, taps, run, width);
    int64_t n = (int64_t)taps * run * width;
    guarded before = guarded_make(n, 0.0f), whole = guarded_make(n, 0.0f);
    guarded cut = guarded_make(n, 0.0f), fresh = guarded_make(n, NAN);
    for (int64_t i = 0; i < n; i++)
        before.data[i] = whole.data[i] = cut.data[i] = any_number();
    weight_problem_run(kernels, &problem, 0, rows, false, whole.data);
    weight_problem_run(kernels, &problem, 0, rows, true, fresh.data);
    for (int t = 0; t < taps; t++)
        for (int k = 0; k < run; k++) {
            check_weight_entry(&problem, t, k, before.data, whole.data);
            check_weight_entry(&problem, t, k, NULL, fresh.data);
        }
    weight_problem_run(kernels, &problem, 0, rows / 3, false, cut.data);
    weight_problem_run(kernels, &problem, rows / 3, rows - rows / 3, false, cut.data);
    assert_true(!is_exact || same_bits(whole.data, cut.data, n));
    guarded_free(&before);
    guarded_free(&whole);
    guarded_free(&cut);
    guarded_free(&fresh);
    guarded_free(&problem.in);
    guarded_free(&problem.gradient);
}

static void check_weight_shapes(const basin__cpu_kernels *kernels) {
    /* The reference sums in double and rounds once a call: cutting may change its last bit. */
    bool is_exact = kernels != basin__cpu_kernels_for(BASIN__ISA_REFERENCE);
    static const int shape[][3] = {{1, 1, 1},   {2, 9, 1},    {17, 3, 3},   {64, 4, 16},
                                   {65, 1, 80}, {130, 2, 37}, {196, 25, 1}, {300, 1, 7}};
    for (size_t i = 0; i < BASIN_COUNT(shape); i++)
        for (int width = 16; width <= 144; width += 16)
            check_weight(kernels, is_exact, shape[i][0], shape[i][1], shape[i][2], width);
    for (int run = 1; run <= 33; run++)
        check_weight(kernels, is_exact, 5, 1, run, 64 - run % 4 * 16);
}

static void test_conv_weight(void **unused) {
    (void)unused;
    for_each_table(check_weight_shapes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv),        cmocka_unit_test(test_halves),
        cmocka_unit_test(test_conv_few),    cmocka_unit_test(test_winograd),
        cmocka_unit_test(test_conv_weight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
