/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flow's likelihood against exact facts: of a Gaussian it is known, of any network it is a
 * density, whose integral is 1; directions and dequantisation are right in the mean. Means over
 * independent runs are allowed 5 standard errors, which is a false alarm for one in 1.7 million
 * seeds a bound; the seeds are fixed.
 */
#include "eval/curvature.h"
#include "mixture.h"
#include <basin/likelihood.h>

#define PI 3.14159265358979323846

static basin_energy *make_network(basin_context *context, const char *network, const char *options,
                                  int side, int size) {
    basin_energy *energy;
    assert_int_equal(basin_energy_create(context, network, options, side, side, size, 4, &energy),
                     BASIN_OK);
    return energy;
}

/** E = ½ ‖x‖² / (σ² + s²), s = 0.7: the density of N(0, s²) with noise. */
static basin_energy *make_gaussian(basin_context *context, int size) {
    basin_energy *energy = make_network(context, "mlp",
                                        "{\"hidden\": [4], \"noise_conditional\": true,"
                                        " \"energy_form\": \"scalar\", \"data_std\": 0.7}",
                                        1, size);
    basin__parameter *last = basin__parameters_find(&energy->parameters, "layers.2.weight");
    assert_non_null(last);
    memset(last->data, 0, (size_t)basin_shape_count(last->shape) * sizeof(float));
    basin__energy_changed(energy);
    return energy;
}

static basin_likelihood_options make_options(double high, double low) {
    basin_likelihood_options options;
    basin_likelihood_options_init(&options);
    options.sigma_max = high;
    options.sigma_min = low;
    return options;
}

static double log_normal(double square, double variance, int size) {
    return -0.5 * (square / variance + size * log(2 * PI * variance));
}

/* With the data's own width in the starts the flow makes N(0, s² + σ_min²). With the sampler's
   starts, N(0, σ_max²), x grows by √((s² + σ_max²) / (s² + σ_min²)), and the density with it. */
static void test_gaussian(void **state) {
    (void)state;
    enum { N = 9, SIZE = 5 };
    basin_context *context = make_context(2);
    basin_energy *energy = make_gaussian(context, SIZE);
    float x[N * SIZE];
    double got[N];
    for (int i = 0; i < N * SIZE; i++)
        x[i] = (float)(1.5 * sin(i * i));
    const double low = 0.49 + 0.01, high = 0.49 + 25;
    for (int is_exact = 0; is_exact < 2; is_exact++) {
        basin_likelihood_options options = make_options(5, 0.1);
        options.is_exact = is_exact;
        for (int is_own = 0; is_own < 2; is_own++) {
            options.prior_std = is_own ? 0.7 : 0;
            basin_likelihood_summary summary;
            assert_int_equal(basin_likelihood(energy, &options, N, x, got, NULL, &summary),
                             BASIN_OK);
            double mean = 0;
            for (int i = 0; i < N; i++) {
                double square = 0;
                for (int j = 0; j < SIZE; j++)
                    square += (double)x[i * SIZE + j] * (double)x[i * SIZE + j];
                double wanted = is_own ? log_normal(square, low, SIZE)
                                       : log_normal(square * high / low, 25, SIZE) +
                                             0.5 * SIZE * log(high / low);
                assert_true(fabs(got[i] - wanted) < 2e-3);
                mean += got[i] / N;
            }
            assert_true(fabs(summary.log_likelihood - mean) < 1e-9);
            assert_true(fabs(summary.bits + mean / (SIZE * log(2.0))) < 1e-9);
            double squares = 0;
            for (int i = 0; i < N; i++)
                squares += (got[i] - mean) * (got[i] - mean);
            assert_true(fabs(summary.log_likelihood_error - sqrt(squares / (N * (N - 1)))) < 1e-9);
            assert_true(
                fabs(summary.bits_error - summary.log_likelihood_error / (SIZE * log(2.0))) < 1e-9);
            assert_true(summary.evaluations > 7 && summary.evaluations < 2000);
        }
    }
    basin_energy_destroy(energy);
    basin_context_destroy(context);
}

/* Whatever the network, the flow makes a density: on a fine grid of the line, and of the plane, its
   sum is 1. */
static void check_integral(const char *options_text, int size, double side, double step) {
    basin_context *context = make_context(2);
    basin_energy *energy = make_network(context, "mlp", options_text, 1, size);
    basin__parameter *last = basin__parameters_find(&energy->parameters, "layers.2.weight");
    for (int i = 0; i < basin_shape_count(last->shape); i++)
        last->data[i] *= 3; /* so that the density is no Gaussian */
    basin__energy_changed(energy);
    const int across = (int)(2 * side / step) + 1;
    const int n = size == 1 ? across : across * across;
    float *x = malloc((size_t)(n * size) * sizeof *x);
    double *got = malloc((size_t)n * sizeof *got), sum = 0, first = 0, second = 0;
    for (int i = 0; i < n; i++) {
        x[i * size] = (float)(step * (i % across) - side);
        if (size == 2)
            x[i * size + 1] = (float)(step * (i / across) - side);
    }
    basin_likelihood_options options = make_options(1.5, 0.4);
    options.is_exact = true;
    assert_int_equal(basin_likelihood(energy, &options, n, x, got, NULL, NULL), BASIN_OK);
    for (int i = 0; i < n; i++) {
        double p = exp(got[i]) * pow(step, size);
        sum += p;
        first += p * (double)x[i * size];
        second += p * (double)x[i * size] * (double)x[i * size];
    }
    assert_true(fabs(sum - 1) < 1e-3);
    assert_true(fabs(second - first * first - (0.25 + 0.16)) > 0.02);
    free(x);
    free(got);
    basin_energy_destroy(energy);
    basin_context_destroy(context);
}

static void test_integrals(void **state) {
    (void)state;
    check_integral("{\"hidden\": [16], \"noise_conditional\": true, \"data_std\": 0.5}", 1, 8,
                   0.01);
    check_integral("{\"hidden\": [16], \"noise_conditional\": true, \"data_std\": 0.5,"
                   " \"energy_form\": \"norm\"}",
                   1, 8, 0.01);
    check_integral("{\"hidden\": [16], \"noise_conditional\": true, \"data_std\": 0.5}", 2, 6,
                   0.15);
}

/* vᵀ ∇²E v is the gradient's change along v, by central differences. */
static void check_curvature(const char *network, const char *text, int side, int size) {
    enum { N = 3 };
    basin_context *context = make_context(1);
    basin_energy *energy = make_network(context, network, text, side, size);
    basin__curvature *curvature;
    assert_int_equal(basin__curvature_create(energy, &curvature), BASIN_OK);
    assert_int_equal(basin__curvature_prepare(curvature), BASIN_OK);
    const int count = side * side * size;
    float *all = calloc((size_t)(6 * N * count), sizeof *all);
    float *x = all, *v = x + N * count, *moved = v + N * count, *gradient = moved + N * count;
    float *above = gradient + N * count, *below = above + N * count;
    const float levels[N] = {0.3f, 1, 4}, labels[N] = {2, 0, 1};
    float got[N];
    basin__points points = {.x = x, .noise_level = levels, .label = labels};
    for (int i = 0; i < N * count; i++) {
        x[i] = (float)sin(3 * i);
        v[i] = (float)cos(5 * i);
    }
    assert_true(basin__curvature_tile(curvature) >= N);
    basin__curvature_run(curvature, 0, N, &points, v, gradient, got);
    basin__curvature_run(curvature, 0, N, &points, v, NULL, got);
    for (int sign = -1; sign <= 1; sign++) {
        points.x = moved;
        for (int i = 0; i < N * count; i++)
            moved[i] = x[i] + (float)sign * 5e-3f * v[i];
        assert_int_equal(basin__energy_evaluate_points(energy, N, &points, NULL,
                                                       sign < 0    ? below
                                                       : sign == 0 ? x
                                                                   : above),
                         BASIN_OK);
        if (sign == 0) { /* x held the gradient for a moment */
            for (int i = 0; i < N * count; i++) {
                assert_true(fabs((double)(x[i] - gradient[i])) < 1e-4 * (1 + fabs((double)x[i])));
                x[i] = (float)sin(3 * i);
            }
        }
    }
    for (int k = 0; k < N; k++) {
        double wanted = 0, size_of = 0;
        for (int i = k * count; i < (k + 1) * count; i++) {
            wanted += ((double)above[i] - (double)below[i]) / 1e-2 * (double)v[i];
            size_of += fabs((double)gradient[i] * (double)v[i]);
        }
        assert_true(fabs((double)got[k] - wanted) < 1e-3 * (fabs(wanted) + size_of));
    }
    free(all);
    basin__curvature_destroy(curvature);
    basin_energy_destroy(energy);
    basin_context_destroy(context);
}

static void test_curvature(void **state) {
    (void)state;
    check_curvature("mlp",
                    "{\"hidden\": [16, 16], \"noise_conditional\": true, \"classes\": 3,"
                    " \"embedding\": 8}",
                    1, 4);
    check_curvature("mlp",
                    "{\"hidden\": [16], \"noise_conditional\": true, \"classes\": 3,"
                    " \"embedding\": 8, \"energy_form\": \"inner\"}",
                    1, 4);
    check_curvature("conv", "{\"base_channels\": 4}", 8, 1);
    check_curvature("unet", "{\"channels\": [4, 8], \"classes\": 3, \"embedding\": 8}", 8, 1);
}

/* A linear energy has no curvature, and a gradient that no example decides. */
static void test_linear_energy(void **state) {
    (void)state;
    basin_context *context = make_context(1);
    basin_energy *energy = make_network(context, "mlp", "{\"hidden\": []}", 1, 3);
    basin__curvature *curvature;
    assert_int_equal(basin__curvature_create(energy, &curvature), BASIN_OK);
    assert_int_equal(basin__curvature_prepare(curvature), BASIN_OK);
    const float x[6] = {1, 2, 3, 4, 5, 6}, v[6] = {1, 1, 1, 1, 1, 1};
    const float *weight = basin__parameters_find(&energy->parameters, "layers.0.weight")->data;
    float gradient[6], got[2] = {NAN, NAN};
    basin__curvature_run(curvature, 0, 2, &(basin__points){.x = x}, v, gradient, got);
    for (int i = 0; i < 6; i++)
        assert_true(fabsf(gradient[i] - weight[i % 3]) < 1e-6f);
    assert_true(fabsf(got[0]) <= 0 && fabsf(got[1]) <= 0);
    basin__curvature_destroy(curvature);
    basin_energy_destroy(energy);
    basin_context_destroy(context);
}

/* Random directions have the exact trace as their mean, and say how far off they are. */
static void test_directions(void **state) {
    (void)state;
    enum { N = 3, SIZE = 6 };
    basin_context *context = make_context(2);
    basin_energy *energy =
        make_network(context, "mlp", "{\"hidden\": [32], \"noise_conditional\": true}", 1, SIZE);
    float x[N * SIZE];
    double exact[N], got[N], error[N];
    for (int i = 0; i < N * SIZE; i++)
        x[i] = (float)sin(i);
    basin_likelihood_options options = make_options(3, 0.2);
    options.is_exact = true;
    assert_int_equal(basin_likelihood(energy, &options, N, x, exact, error, NULL), BASIN_OK);
    assert_true(isnan(error[0]));
    options.is_exact = false;
    options.repeats = 300;
    options.seed = 2;
    assert_int_equal(basin_likelihood(energy, &options, N, x, got, error, NULL), BASIN_OK);
    for (int i = 0; i < N; i++) {
        assert_true(error[i] > 1e-5 && error[i] < 0.2);
        assert_true(fabs(got[i] - exact[i]) < 5 * error[i] + 1e-4);
    }
    basin_energy_destroy(energy);
    basin_context_destroy(context);
}

/* Of a Gaussian of variance V the mean over a bin of width b is known: −½ (x² + b²/12) / V − …,
   and D log b is added. */
static void test_dequantisation(void **state) {
    (void)state;
    enum { SIZE = 4 };
    basin_context *context = make_context(1);
    basin_energy *energy = make_gaussian(context, SIZE);
    const float x[SIZE] = {0.5f, -1, 0.25f, 0};
    double got, error;
    basin_likelihood_options options = make_options(5, 0.1);
    options.prior_std = 0.7;
    options.repeats = 500;
    options.bin_width = 0.5;
    options.tolerance_absolute = options.tolerance_relative = 1e-4;
    assert_int_equal(basin_likelihood(energy, &options, 1, x, &got, &error, NULL), BASIN_OK);
    const double square = 0.25 + 1 + 0.0625 + SIZE * 0.25 / 12;
    const double wanted = log_normal(square, 0.5, SIZE) + SIZE * log(0.5);
    assert_true(error > 1e-3 && error < 0.05);
    assert_true(fabs(got - wanted) < 5 * error + 2e-3);
    basin_energy_destroy(energy);
    basin_context_destroy(context);
}

/* ---- classes, bits, memory, refusals ---- */

#define CONDITIONAL "{\"hidden\": [8], \"noise_conditional\": true, \"classes\": 3}"

/* Any number of threads gives the same bits, and so do fewer examples. A class counts. */
static void test_threads_and_classes(void **state) {
    (void)state;
    enum { N = 200 };
    float x[N * 2];
    int labels[N];
    double got[3][N], error[N], few[2];
    for (int i = 0; i < N * 2; i++)
        x[i] = (float)sin(i);
    for (int i = 0; i < N; i++)
        labels[i] = i % 4 - 1;
    for (int threads = 1; threads <= 3; threads++) {
        basin_context *context = make_context(threads);
        basin_energy *energy = make_network(context, "mlp", CONDITIONAL, 1, 2);
        basin_likelihood_options options = make_options(3, 0.2);
        options.labels = labels;
        options.repeats = 2;
        assert_int_equal(basin_likelihood(energy, &options, N, x, got[threads - 1], error, NULL),
                         BASIN_OK);
        assert_memory_equal(got[0], got[threads - 1], sizeof got[0]);
        assert_int_equal(basin_likelihood(energy, &options, 2, x, few, NULL, NULL), BASIN_OK);
        assert_memory_equal(got[0], few, sizeof few);
        options.labels = NULL;
        assert_int_equal(basin_likelihood(energy, &options, 2, x, few, NULL, NULL), BASIN_OK);
        assert_memory_equal(got[0], few, sizeof few[0]); /* the first has none */
        assert_true(fabs(few[1] - got[0][1]) > 1e-4);
        basin_energy_destroy(energy);
        basin_context_destroy(context);
    }
}

static void test_refusals(void **state) {
    (void)state;
    basin_context *context = make_context(1);
    basin_energy *energy = make_network(context, "mlp", CONDITIONAL, 1, 2);
    basin_energy *plain = make_network(context, "mlp", NULL, 1, 2);
    mixture of = {.size = 2, .count = 1, .weight = {1}, .std = {1}};
    basin_energy *callback = mixture_make(context, &of);
    const float x[2] = {0.5f, 1};
    const int label = 3;
    double got;
    basin_likelihood_options options = make_options(3, 0.2);
    assert_int_equal(basin_likelihood(plain, &options, 1, x, &got, NULL, NULL), BASIN_ERROR_CONFIG);
    assert_int_equal(basin_likelihood(callback, &options, 1, x, &got, NULL, NULL),
                     BASIN_ERROR_UNSUPPORTED);
    /* no levels are noted */
    assert_int_equal(basin_likelihood(energy, NULL, 1, x, &got, NULL, NULL), BASIN_ERROR_ARGUMENT);
    options.labels = &label;
    assert_int_equal(basin_likelihood(energy, &options, 1, x, &got, NULL, NULL),
                     BASIN_ERROR_ARGUMENT);
    options = make_options(3, 0.2);
    options.is_exact = true;
    options.repeats = 2;
    assert_int_equal(basin_likelihood(energy, &options, 1, x, &got, NULL, NULL),
                     BASIN_ERROR_ARGUMENT);
    options = make_options(3, 0.2);
    options.sigma_min = (double)NAN;
    assert_int_equal(basin_likelihood(energy, &options, 1, x, &got, NULL, NULL),
                     BASIN_ERROR_ARGUMENT);
    options = make_options(INFINITY, 0.2);
    assert_int_equal(basin_likelihood(energy, &options, 1, x, &got, NULL, NULL),
                     BASIN_ERROR_ARGUMENT);
    options = make_options(3, 0.2);
    options.prior_std = INFINITY;
    assert_int_equal(basin_likelihood(energy, &options, 1, x, &got, NULL, NULL),
                     BASIN_ERROR_ARGUMENT);
    options = make_options(3, 0.2);
    options.evaluations_max = 10;
    assert_int_equal(basin_likelihood(energy, &options, 1, x, &got, NULL, NULL),
                     BASIN_ERROR_DIVERGED);
    const float broken[2] = {NAN, 0};
    options = make_options(3, 0.2);
    assert_int_equal(basin_likelihood(energy, &options, 1, broken, &got, NULL, NULL),
                     BASIN_ERROR_DIVERGED);
    assert_int_equal(basin_likelihood(energy, &options, 0, x, &got, NULL, NULL), BASIN_OK);
    basin_energy_destroy(energy);
    basin_energy_destroy(plain);
    basin_energy_destroy(callback);
    basin_context_destroy(context);
}

static void test_memory(void **state) {
    (void)state;
    const float x[4] = {0.5f, 1, -1, 0};
    for (long k = 0;; k++) {
        test_heap heap = {.fail_at = -1};
        basin_context *context = test_context(&heap, 1);
        basin_energy *energy = make_network(context, "mlp", CONDITIONAL, 1, 2);
        const long alive = heap.alive;
        double got[2];
        basin_likelihood_options options = make_options(3, 0.2);
        heap.fail_at = heap.calls + k;
        basin_status status = basin_likelihood(energy, &options, 2, x, got, NULL, NULL);
        assert_int_equal(heap.alive, alive);
        assert_int_equal(status, heap.has_failed ? BASIN_ERROR_MEMORY : BASIN_OK);
        basin_energy_destroy(energy);
        basin_context_destroy(context);
        if (!heap.has_failed)
            break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gaussian),
        cmocka_unit_test(test_integrals),
        cmocka_unit_test(test_curvature),
        cmocka_unit_test(test_linear_energy),
        cmocka_unit_test(test_directions),
        cmocka_unit_test(test_dequantisation),
        cmocka_unit_test(test_threads_and_classes),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
