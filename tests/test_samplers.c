/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samplers that walk down noise levels, and those that accept or reject, against exact facts on
 * Gaussians and mixtures of them. Statistics of n independent chains are allowed 5 standard errors,
 * which is a false alarm for one in 1.7 million seeds a bound; the seeds are fixed.
 */
#include "mixture.h"
#include "sampler/levels.h"
#include <basin/sample.h>

static basin_context *make_context(int threads) {
    basin_context_options options;
    basin_context_options_init(&options);
    options.thread_count = threads;
    basin_context *context;
    assert_int_equal(basin_context_create(&options, &context), BASIN_OK);
    return context;
}

typedef struct job {
    const char *sampler, *settings;
    int threads; /* 0: 2 */
    bool is_started;
    int label; /* −1: none */
} job;

static basin_status sample(mixture *of, const job *what, int64_t n, float *x) {
    basin_context *context = make_context(what->threads > 0 ? what->threads : 2);
    basin_energy *energy = mixture_make(context, of);
    if (!of->is_plain)
        assert_int_equal(basin__energy_set_condition(energy, 1, what->label), BASIN_OK);
    basin_sample_options options;
    basin_sample_options_init(&options);
    options.sampler = what->sampler;
    options.settings = what->settings;
    options.seed = 5;
    options.is_started = what->is_started;
    basin_status status = basin_sample(energy, &options, n, x, NULL);
    basin_energy_destroy(energy);
    basin_context_destroy(context);
    return status;
}

/* ---- schedules ---- */

/* The ends are as given, levels go down, and the last is 0. Karras: the cube roots of 8 and 1/8 lie
   evenly. Cosine: angles lie evenly, here 60, 45 and 30 degrees. Linear: σ = √(exp(B) − 1). */
static void test_schedules(void **state) {
    (void)state;
    for (int schedule = 0; schedule < 4; schedule++) {
        basin__levels levels = {
            .schedule = schedule, .count = 40, .sigma_max = 50, .sigma_min = 0.01, .rho = 7};
        assert_true(fabs(basin__level(&levels, 0) - 50) < 1e-12);
        assert_true(fabs(basin__level(&levels, 39) - 0.01) < 1e-15);
        for (int i = 0; i < 40; i++)
            assert_true(basin__level(&levels, i) > basin__level(&levels, i + 1));
        assert_true(basin__level(&levels, 40) <= 0);
        levels.count = 1;
        assert_true(fabs(basin__level(&levels, 0) - 50) < 1e-12);
        assert_true(basin__level(&levels, 1) <= 0);
    }
    basin__levels three = {.schedule = 0, .count = 3, .sigma_max = 8, .sigma_min = 0.125, .rho = 3};
    assert_true(fabs(basin__level(&three, 1) - 1.25 * 1.25 * 1.25) < 1e-12);
    three.schedule = 1;
    assert_true(fabs(basin__level(&three, 1) - 1) < 1e-12);
    three.schedule = 3;
    three.sigma_max = sqrt(3.0);
    three.sigma_min = 1 / sqrt(3.0);
    assert_true(fabs(basin__level(&three, 1) - 1) < 1e-12);
    three.schedule = 2;
    three.sigma_max = sqrt(expm1(0.1 + 0.5 * 19.9));
    three.sigma_min = sqrt(expm1(0.1 * 0.2 + 0.5 * 19.9 * 0.04));
    assert_true(fabs(basin__level(&three, 1) - sqrt(expm1(0.1 * 0.6 + 0.5 * 19.9 * 0.36))) < 1e-9);
}

/* ---- the probability-flow ODE ---- */

enum { FLOW_CHAINS = 40, FLOW_SIZE = 3 };

static mixture gaussian(int size) {
    return (mixture){.size = size, .count = 1, .weight = {1}, .mean = {0.5}, .std = {0.7}};
}

/*
 * On a Gaussian N(m, s²) the flow is x_σ = m + √((s² + σ²) / (s² + σ_0²)) (x_0 − m), and the last
 * step denoises exactly: x = m + s² / (s² + σ²) (x_σ − m). Returns the largest error in units of
 * the largest |x_0 − m| on that scale.
 */
static double flow_error(const char *settings) {
    mixture of = gaussian(FLOW_SIZE);
    const double high = 5, low = 0.05, variance = 0.49;
    float starts[FLOW_CHAINS * FLOW_SIZE], x[FLOW_CHAINS * FLOW_SIZE];
    for (int i = 0; i < FLOW_CHAINS * FLOW_SIZE; i++)
        starts[i] = x[i] = (float)(8 * sin(i * 1.7));
    char text[256];
    snprintf(text, sizeof text, "{\"sigma_max\": 5, \"sigma_min\": 0.05, %s}", settings);
    const job what = {.sampler = "ode", .settings = text, .is_started = true, .label = -1};
    assert_int_equal(sample(&of, &what, FLOW_CHAINS, x), BASIN_OK);
    const double shrink =
        sqrt((variance + low * low) / (variance + high * high)) * variance / (variance + low * low);
    double worst = 0;
    for (int i = 0; i < FLOW_CHAINS * FLOW_SIZE; i++)
        worst = fmax(worst, fabs((double)x[i] - (0.5 + shrink * ((double)starts[i] - 0.5))));
    return worst / (shrink * 8.5);
}

/* Twice the steps: half the error by Euler, a quarter by Heun. */
static void test_flow_orders(void **state) {
    (void)state;
    double euler = flow_error("\"method\": \"euler\", \"levels\": 160") /
                   flow_error("\"method\": \"euler\", \"levels\": 319");
    double heun = flow_error("\"levels\": 40") / flow_error("\"levels\": 79");
    assert_true(fabs(euler - 2) < 0.1);
    assert_true(fabs(heun - 4) < 0.4);
    assert_true(flow_error("\"levels\": 79") < 2e-3);
    assert_true(flow_error("\"levels\": 79, \"schedule\": \"geometric\"") < 2e-3);
    assert_true(flow_error("\"levels\": 79, \"schedule\": \"cosine\"") < 2e-2);
    assert_true(flow_error("\"levels\": 200, \"schedule\": \"linear\"") < 2e-2);
}

/* The error of the whole follows the tolerance of a step, as far as floats go. */
static void test_flow_adaptive(void **state) {
    (void)state;
    const char *format = "\"method\": \"rk45\", \"tolerance_absolute\": %g, "
                         "\"tolerance_relative\": %g, \"evaluations_max\": %d";
    char settings[160];
    double before = 1;
    for (double tolerance = 1e-3; tolerance > 5e-6; tolerance *= 0.1) {
        snprintf(settings, sizeof settings, format, tolerance, tolerance, 2000);
        double error = flow_error(settings);
        assert_true(error < 4 * tolerance);
        assert_true(error < before);
        before = error;
    }
    mixture of = gaussian(1);
    float x = 1;
    const job few = {.sampler = "ode",
                     .settings = "{\"method\": \"rk45\", \"evaluations_max\": 16}",
                     .is_started = true};
    assert_int_equal(sample(&of, &few, 1, &x), BASIN_ERROR_DIVERGED);
    const job churned = {.sampler = "ode", .settings = "{\"method\": \"rk45\", \"churn\": 1}"};
    assert_int_equal(sample(&of, &churned, 1, &x), BASIN_ERROR_CONFIG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schedules),
        cmocka_unit_test(test_flow_orders),
        cmocka_unit_test(test_flow_adaptive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
