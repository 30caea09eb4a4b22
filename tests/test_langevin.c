/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Langevin dynamics against exact facts: unadjusted Langevin on a Gaussian has a known, wrong
 * variance, and must have that one; clips and boxes are held to arithmetic done by hand; neither
 * tiles nor threads may change a bit.
 */
#include "sampler/sampler.h"
#include <basin/sample.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { DIMENSIONS = 64, CHAINS = 2000 };

typedef struct field {
    int dimensions;
    double slope; /* constant gradient; 0: E = x²/2 */
} field;

static void field_energy(void *user, int64_t n, const float *x, double *energies, float *gradient) {
    const field *f = user;
    for (int64_t i = 0; i < n; i++) {
        double energy = 0;
        for (int j = 0; j < f->dimensions; j++) {
            double value = (double)x[i * f->dimensions + j];
            bool is_flat = f->slope != 0; /* NaN counts as a slope */
            energy += is_flat ? f->slope * value : 0.5 * value * value;
            if (gradient != NULL)
                gradient[i * f->dimensions + j] = (float)(is_flat ? f->slope : value);
        }
        if (energies != NULL)
            energies[i] = energy;
    }
}

static basin_context *make_context(int threads) {
    basin_context_options options;
    basin_context_options_init(&options);
    options.thread_count = threads;
    basin_context *context;
    assert_int_equal(basin_context_create(&options, &context), BASIN_OK);
    return context;
}

/* Sample from a field with these settings; x holds the starts. */
static basin_status sample_field(int threads, field *f, const char *settings, int64_t n, float *x,
                                 basin_temperature *temperature) {
    basin_context *context = make_context(threads);
    basin_energy *energy;
    assert_int_equal(
        basin_energy_from_callback(context, 1, 1, f->dimensions, field_energy, f, &energy),
        BASIN_OK);
    basin_sample_options options;
    basin_sample_options_init(&options);
    options.sampler = "langevin";
    options.settings = settings;
    options.seed = 7;
    options.is_started = true;
    basin_status status = basin_sample(energy, &options, n, x, temperature);
    basin_energy_destroy(energy);
    basin_context_destroy(context);
    return status;
}

static double variance_of(const float *x, int64_t n, double *mean) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)x[i];
        squares += (double)x[i] * (double)x[i];
    }
    *mean = sum / (double)n;
    return squares / (double)n - *mean * *mean;
}

/*
 * x <- x - (ε/2) x + √(ε T) n has stationary variance T / (1 - ε/4). The estimate's relative
 * standard deviation over 128,000 independent values is √(2/128000) = 0.004; 5 of them are allowed:
 * a false alarm once in 1.7 million. The mean is allowed 5 standard deviations likewise.
 */
static void check_variance(const char *settings, double epsilon, double temperature) {
    const int64_t n = (int64_t)CHAINS * DIMENSIONS;
    field f = {.dimensions = DIMENSIONS};
    float *x = calloc((size_t)n, sizeof(float));
    basin_temperature got;
    assert_int_equal(sample_field(2, &f, settings, CHAINS, x, &got), BASIN_OK);
    double mean, variance = variance_of(x, n, &mean), exact = temperature / (1 - epsilon / 4);
    assert_true(fabs(variance / exact - 1) < 5 * sqrt(2.0 / (double)n));
    assert_true(fabs(mean) < 5 * sqrt(exact / (double)n));
    assert_true(fabs(got.value - temperature) < 1e-12 * temperature);
    assert_true(got.is_exact);
    free(x);
}

static void test_stationary_variance(void **state) {
    (void)state;
    check_variance("{\"n_steps\": 60, \"step_size\": 0.5, \"noise_std\": 1,"
                   " \"gradient_clip\": \"none\", \"box\": \"none\"}",
                   1.0, 1.0);
}

static void test_auto_noise(void **state) {
    (void)state;
    check_variance("{\"n_steps\": 60, \"step_size\": 0.25, \"noise\": \"auto\", \"temperature\": 2,"
                   " \"gradient_clip\": \"none\", \"box\": \"none\"}",
                   0.5, 2.0);
}

static void check_point(field *f, const char *settings, float start, double wanted,
                        bool wanted_exact) {
    float x[64];
    basin_temperature temperature;
    for (int i = 0; i < f->dimensions; i++)
        x[i] = start;
    assert_int_equal(sample_field(1, f, settings, 1, x, &temperature), BASIN_OK);
    for (int i = 0; i < f->dimensions; i++)
        assert_true(fabs((double)x[i] - wanted) < 1e-5);
    assert_int_equal(temperature.is_exact, wanted_exact);
}

static void test_clips_and_boxes(void **state) {
    (void)state;
    field steep = {.dimensions = 4, .slope = 100};
    check_point(&steep,
                "{\"n_steps\": 2, \"step_size\": 0.001, \"noise_std\": 0,"
                " \"gradient_clip\": \"none\", \"box\": \"none\"}",
                1, 0.8, true);
    check_point(
        &steep,
        "{\"n_steps\": 2, \"step_size\": 10, \"noise_std\": 0,"
        " \"gradient_clip\": \"element\", \"gradient_clip_value\": 0.03, \"box\": \"none\"}",
        1, 0.4, false);
    /* the norm is 200: each element is cut to 100 / 200 of the bound */
    check_point(&steep,
                "{\"n_steps\": 1, \"step_size\": 1, \"noise_std\": 0, \"gradient_clip\": \"norm\","
                " \"gradient_clip_value\": 0.2, \"box\": \"none\"}",
                1, 0.9, false);
    check_point(&steep,
                "{\"n_steps\": 1, \"step_size\": 0.01, \"noise_std\": 0,"
                " \"gradient_clip\": \"none\", \"box\": \"clamp\"}",
                0.5f, 0, false);
    check_point(&steep,
                "{\"n_steps\": 1, \"step_size\": 0.003, \"noise_std\": 0,"
                " \"gradient_clip\": \"none\", \"box\": \"reflect\"}",
                0.1f, 0.2, false);
    check_point(&steep,
                "{\"n_steps\": 1, \"step_size\": 0.003, \"noise_std\": 0,"
                " \"gradient_clip\": \"none\", \"box\": \"clamp\", \"box_low\": -0.1}",
                0.1f, -0.1, false);
}

/* Noise before the gradient is clamped before the step, so a step from the box's edge is whole. */
static void test_noise_before(void **state) {
    (void)state;
    field up = {.dimensions = 64, .slope = -1};
    float before[64] = {0}, after[64] = {0};
    const char *format = "{\"n_steps\": 1, \"step_size\": 0.25, \"noise_std\": 0.1,"
                         " \"gradient_clip\": \"none\", \"box\": \"clamp\"%s}";
    char settings[256];
    snprintf(settings, sizeof settings, format, ", \"noise_before\": true");
    assert_int_equal(sample_field(1, &up, settings, 1, before, NULL), BASIN_OK);
    snprintf(settings, sizeof settings, format, "");
    assert_int_equal(sample_field(1, &up, settings, 1, after, NULL), BASIN_OK);
    int lower = 0;
    for (int i = 0; i < 64; i++) {
        assert_true(before[i] >= 0.25f);
        lower += after[i] < 0.25f;
    }
    assert_true(lower > 10);
}

static void test_contradictions(void **state) {
    (void)state;
    field f = {.dimensions = 4};
    float x[4] = {0};
    assert_int_equal(sample_field(1, &f, "{\"box_low\": 2}", 1, x, NULL), BASIN_ERROR_CONFIG);
    assert_int_equal(sample_field(1, &f, "{\"noise\": \"auto\", \"noise_std\": 1}", 1, x, NULL),
                     BASIN_ERROR_CONFIG);
    assert_int_equal(sample_field(1, &f, "{\"noise_std\": 1, \"temperature\": 0.5}", 1, x, NULL),
                     BASIN_ERROR_CONFIG);
    assert_int_equal(sample_field(1, &f, "{\"step_size\": -1}", 1, x, NULL), BASIN_ERROR_CONFIG);
    assert_int_equal(sample_field(1, &f, "{\"stepsize\": 1}", 1, x, NULL), BASIN_ERROR_CONFIG);
    assert_int_equal(sample_field(1, &f, "[", 1, x, NULL), BASIN_ERROR_CONFIG);
}

static void test_divergence_is_told(void **state) {
    (void)state;
    field broken = {.dimensions = 4, .slope = (double)NAN};
    float x[4] = {0.5f, 0.5f, 0.5f, 0.5f};
    assert_int_equal(sample_field(1, &broken, NULL, 1, x, NULL), BASIN_ERROR_DIVERGED);
    assert_true(fabsf(x[0] - 0.5f) <= 0.0f);
}

/* Seven tiles and a partial one, by a network's energy; the noise of a chain is its index's alone.
 */
static void test_threads_change_nothing(void **state) {
    (void)state;
    static const int threads[] = {1, 2, 5};
    float *first = NULL;
    size_t bytes = 0;
    for (size_t t = 0; t < BASIN_COUNT(threads); t++) {
        basin_context *context = make_context(threads[t]);
        basin_energy *energy;
        assert_int_equal(
            basin_energy_create(context, "conv", "{\"base_channels\": 4}", 8, 8, 1, 3, &energy),
            BASIN_OK);
        assert_int_equal(basin__energy_ready(energy), BASIN_OK);
        int64_t n = 7 * basin__energy_tile(energy) + 3;
        bytes = (size_t)n * 64 * sizeof(float);
        float *x = malloc(bytes);
        basin_sample_options options;
        basin_sample_options_init(&options);
        options.settings = "{\"n_steps\": 5}";
        options.seed = 11;
        assert_int_equal(basin_sample(energy, &options, n, x, NULL), BASIN_OK);
        if (first == NULL) {
            first = x;
        } else {
            assert_memory_equal(first, x, bytes);
            /* fewer chains, in other tiles: the same chains */
            assert_int_equal(basin_sample(energy, &options, 5, x, NULL), BASIN_OK);
            assert_memory_equal(first, x, 5 * 64 * sizeof(float));
            free(x);
        }
        basin_energy_destroy(energy);
        basin_context_destroy(context);
    }
    free(first);
}

/* Noise of other chains, steps, attempts and seeds is other noise. */
static void test_noise_never_repeats(void **state) {
    (void)state;
    basin_context *context = make_context(1);
    basin_energy *energy;
    field f = {.dimensions = 64, .slope = 1e-30};
    assert_int_equal(basin_energy_from_callback(context, 1, 1, 64, field_energy, &f, &energy),
                     BASIN_OK);
    const basin__sampler_def *sampler;
    basin__option_group group;
    assert_int_equal(basin__sampler_from_energy(energy, NULL, &sampler, &group), BASIN_OK);
    assert_int_equal(basin__option_set(context, &group, 1, "n-steps", "1"), BASIN_OK);
    assert_int_equal(basin__option_set(context, &group, 1, "box", "none"), BASIN_OK);
    float seen[6][64] = {{0}};
    const basin__chain_run runs[6] = {{.seed = 1},
                                      {.seed = 2},
                                      {.seed = 1, .first_draw = 1},
                                      {.seed = 1, .first_chain = 1},
                                      {.seed = 1, .attempt = 1},
                                      {.seed = 1, .first_draw = UINT64_C(1) << 32}};
    for (int i = 0; i < 6; i++) {
        basin__chain_run run = runs[i];
        run.sampler = sampler;
        run.options = group.values;
        run.energy = energy;
        assert_int_equal(basin__chains_run(&run, 1, seen[i]), BASIN_OK);
        for (int j = 0; j < i; j++)
            for (int k = 0; k < 64; k++)
                assert_true(fabsf(seen[i][k] - seen[j][k]) > 0.0f);
    }
    basin__options_reset(context, &group);
    basin__free(context, group.values);
    basin_energy_destroy(energy);
    basin_context_destroy(context);
}

/* ---- chains in bf16 ---- */

enum { HIDDEN = 16 };

static double hidden_slope(int i) { return (i % 2 ? -1.0 : 1.0) * (1.1 + 0.13 * i); }
static double hidden_offset(int i) { return -0.3 - 0.21 * i; }
static double hidden_height(int i) { return 0.35 + 0.07 * (i % 5); }

/** E(x) = Σ_i height_i softplus(slope_i x + offset_i): a well, steeper on one side. */
static double well(double x) {
    double energy = 0;
    for (int i = 0; i < HIDDEN; i++)
        energy += hidden_height(i) * log1p(exp(hidden_slope(i) * x + hidden_offset(i)));
    return energy;
}

static void set_parameter(basin_energy *energy, const char *name, double (*value)(int)) {
    const basin__parameter *parameter = basin__parameters_find(&energy->parameters, name);
    assert_non_null(parameter);
    for (int i = 0; i < basin_shape_count(parameter->shape); i++)
        parameter->data[i] = value ? (float)value(i) : 0.0f;
}

/* Mean and variance of 4096 chains of that energy after 1500 steps, with the same noise. */
static void sample_well(basin_precision precision, double *mean, double *variance) {
    enum { WELLS = 4096 };
    basin_context_options context_options;
    basin_context_options_init(&context_options);
    context_options.precision = precision;
    basin_context *context;
    assert_int_equal(basin_context_create(&context_options, &context), BASIN_OK);
    basin_energy *energy;
    assert_int_equal(basin_energy_create(context, "mlp",
                                         "{\"hidden\": [16], \"activation\": \"softplus\"}", 1, 1,
                                         1, 0, &energy),
                     BASIN_OK);
    set_parameter(energy, "layers.0.weight", hidden_slope);
    set_parameter(energy, "layers.0.bias", hidden_offset);
    set_parameter(energy, "layers.2.weight", hidden_height);
    set_parameter(energy, "layers.2.bias", NULL);
    basin__energy_changed(energy);
    basin_sample_options options;
    basin_sample_options_init(&options);
    options.sampler = "langevin";
    options.settings = "{\"n_steps\": 1500, \"step_size\": 0.01, \"noise\": \"auto\","
                       " \"gradient_clip\": \"none\", \"box\": \"none\"}";
    options.seed = 5;
    options.is_started = true;
    float *x = calloc(WELLS, sizeof *x);
    assert_int_equal(basin_sample(energy, &options, WELLS, x, NULL), BASIN_OK);
    *variance = variance_of(x, WELLS, mean);
    free(x);
    basin_energy_destroy(energy);
    basin_context_destroy(context);
}

/* ---- chains that are watched ---- */

#define WATCHED 3
#define WATCHED_STEPS 4

typedef struct watch {
    int64_t calls, stop_at; /* the step at which the visit says no; -1: none */
    float first[WATCHED], last[WATCHED];
} watch;

static basin_status look(void *user, int64_t step, int64_t n, const float *x) {
    watch *of = user;
    assert_true(step == of->calls && n == WATCHED);
    of->calls++;
    memcpy(step == 0 ? of->first : of->last, x, sizeof of->last);
    return step == of->stop_at ? BASIN_ERROR_CANCELLED : BASIN_OK;
}

/** Whether watched or not, the same bits; all steps are seen, and a visit can end the run. */
static void test_visits_change_nothing(void **state) {
    (void)state;
    basin_context *context = make_context(2);
    field f = {.dimensions = 1, .slope = 0};
    basin_energy *energy;
    assert_int_equal(basin_energy_from_callback(context, 1, 1, 1, field_energy, &f, &energy),
                     BASIN_OK);
    const float starts[WATCHED] = {-1, 0, 2};
    float plain[WATCHED], seen[WATCHED];
    watch of = {.stop_at = -1};
    double evaluations = 0;
    basin_sample_options options;
    basin_sample_options_init(&options);
    options.sampler = "langevin";
    options.settings =
        "{\"n_steps\": 4, \"step_size\": 0.1, \"noise\": \"auto\", \"box\": \"none\"}";
    options.is_started = true;
    options.evaluations = &evaluations;
    memcpy(plain, starts, sizeof plain);
    memcpy(seen, starts, sizeof seen);
    assert_int_equal(basin_sample(energy, &options, WATCHED, plain, NULL), BASIN_OK);
    options.visit = look;
    options.visit_user = &of;
    assert_int_equal(basin_sample(energy, &options, WATCHED, seen, NULL), BASIN_OK);
    assert_memory_equal(seen, plain, sizeof seen);
    assert_memory_equal(of.first, starts, sizeof starts);
    assert_memory_equal(of.last, plain, sizeof plain);
    assert_true(of.calls == WATCHED_STEPS + 1 && fabs(evaluations - WATCHED_STEPS) < 1e-9);
    of = (watch){.stop_at = 2};
    memcpy(seen, starts, sizeof seen);
    assert_int_equal(basin_sample(energy, &options, WATCHED, seen, NULL), BASIN_ERROR_CANCELLED);
    assert_int_equal(of.calls, 3);
    basin_energy_destroy(energy);
    basin_context_destroy(context);
}

/* Against p(x) ∝ exp(−E(x)) by quadrature: fp32 within Monte-Carlo error and the step's own bias
   (some per cent together), bf16 within 1 % of the standard deviation of what fp32 gives with the
   same noise. */
static void test_halves_have_the_same_distribution(void **state) {
    (void)state;
    double weight = 0, first = 0, second = 0;
    for (double x = -12; x < 12; x += 1e-3) {
        double p = exp(-well(x));
        weight += p;
        first += p * x;
        second += p * x * x;
    }
    first /= weight;
    double exact = second / weight - first * first, deviation = sqrt(exact);
    double mean[2], variance[2];
    sample_well(BASIN_PRECISION_FP32, &mean[0], &variance[0]);
    sample_well(BASIN_PRECISION_BF16, &mean[1], &variance[1]);
    assert_true(fabs(mean[0] - first) < 5 * deviation / 64);
    assert_true(fabs(variance[0] / exact - 1) < 5 * sqrt(2.0) / 64 + 0.02);
    assert_true(mean[1] != mean[0]);
    assert_true(fabs(mean[1] - mean[0]) < 0.01 * deviation);
    assert_true(fabs(variance[1] / variance[0] - 1) < 0.01);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stationary_variance),
        cmocka_unit_test(test_auto_noise),
        cmocka_unit_test(test_clips_and_boxes),
        cmocka_unit_test(test_noise_before),
        cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_divergence_is_told),
        cmocka_unit_test(test_threads_change_nothing),
        cmocka_unit_test(test_noise_never_repeats),
        cmocka_unit_test(test_visits_change_nothing),
        cmocka_unit_test(test_halves_have_the_same_distribution),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
