/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks on a Gaussian are linear, so that mean and variance of chains are known exactly, step by
 * step: those of samplers over noise levels, and that no noise is drawn twice.
 */
#include "sampler_support.h"

/* ---- moments of linear walks ---- */

/** x − m = offset + √variance n, and a step x − m <- a (x − m) + b z of it. */
typedef struct moments {
    double offset, variance;
} moments;

static void advance(moments *at, double a, double b) {
    at->offset *= a;
    at->variance = a * a * at->variance + b * b;
}

enum { LINEAR_CHAINS = 3000, LINEAR_SIZE = 16, LINEAR_COUNT = LINEAR_CHAINS * LINEAR_SIZE };

/* Walk on N(0.5, 0.7²) from N(0, σ_0²) and compare with the moments, which are known exactly. */
static void check_moments(const char *sampler, const char *settings, const moments *wanted) {
    static float x[LINEAR_COUNT];
    mixture of = gaussian(LINEAR_SIZE);
    const job what = {.sampler = sampler, .settings = settings, .label = -1};
    assert_int_equal(sample(&of, &what, LINEAR_CHAINS, x), BASIN_OK);
    double mean = 0, variance = 0;
    for (int i = 0; i < LINEAR_COUNT; i++)
        mean += (double)x[i] / LINEAR_COUNT;
    for (int i = 0; i < LINEAR_COUNT; i++)
        variance += ((double)x[i] - mean) * ((double)x[i] - mean) / LINEAR_COUNT;
    assert_true(fabs(mean - 0.5 - wanted->offset) < 5 * sqrt(wanted->variance / LINEAR_COUNT));
    assert_true(fabs(variance / wanted->variance - 1) < 5 * sqrt(2.0 / LINEAR_COUNT));
}

/* dE/dx = (x − m) / V with V = s² + σ², so a step of length `step` has the factor 1 − step / V. */
static double shrunk(double step, double sigma) { return 1 - step / (0.49 + sigma * sigma); }

static basin__levels four_levels(int schedule) {
    return (basin__levels){
        .schedule = schedule, .count = 4, .sigma_max = 3, .sigma_min = 0.3, .rho = 7};
}
#define FOUR_LEVELS "\"levels\": 4, \"sigma_max\": 3, \"sigma_min\": 0.3"

static void test_predictor_moments(void **state) {
    (void)state;
    for (int is_ancestral = 0; is_ancestral < 2; is_ancestral++) {
        const basin__levels levels = four_levels(1);
        moments at = {-0.5, 9};
        for (int i = 0; i < 3; i++) {
            double from = basin__level(&levels, i), to = basin__level(&levels, i + 1);
            double fall = from * from - to * to;
            advance(&at, shrunk(fall, from), sqrt(fall) * (is_ancestral ? to / from : 1));
        }
        advance(&at, shrunk(0.09, 0.3), 0);
        check_moments("predictor-corrector",
                      is_ancestral ? "{" FOUR_LEVELS ", \"corrector_steps\": 0,"
                                     " \"predictor\": \"ancestral\"}"
                                   : "{" FOUR_LEVELS ", \"corrector_steps\": 0}",
                      &at);
    }
}

/* The textbook's variance-preserving step, x_s of eq. 12, in its own coordinates. */
static void test_ddim_moments(void **state) {
    (void)state;
    static const double etas[] = {0, 0.5, 1};
    for (int k = 0; k < 3; k++) {
        const basin__levels levels = four_levels(2);
        moments at = {-0.5, 9};
        for (int i = 0; i < 3; i++) {
            double from = basin__level(&levels, i), to = basin__level(&levels, i + 1);
            double kept_from = 1 / (1 + from * from), kept_to = 1 / (1 + to * to); /* ᾱ */
            double tau =
                etas[k] * sqrt((1 - kept_to) / (1 - kept_from)) * sqrt(1 - kept_from / kept_to);
            double denoised = 0.49 / (0.49 + from * from); /* D − m of x − m = 1 */
            double noise = (sqrt(kept_from) - sqrt(kept_from) * denoised) / sqrt(1 - kept_from);
            double mean = sqrt(kept_to) * denoised + sqrt(1 - kept_to - tau * tau) * noise;
            advance(&at, mean / sqrt(kept_to), tau / sqrt(kept_to));
        }
        advance(&at, shrunk(0.09, 0.3), 0);
        char settings[128];
        snprintf(settings, sizeof settings, "{" FOUR_LEVELS ", \"eta\": %g}", etas[k]);
        check_moments("ddim", settings, &at);
    }
}

/* Langevin's bias: after many steps at a level the variance is V / (1 − α / (4 V)), not V. */
static void test_annealed_moments(void **state) {
    (void)state;
    const basin__levels levels = four_levels(1);
    moments at = {-0.5, 9};
    for (int step = 0; step < 4 * 25; step++) {
        double sigma = basin__level(&levels, step / 25), alpha = 0.6 * sigma * sigma;
        advance(&at, shrunk(0.5 * alpha, sigma), sqrt(alpha));
    }
    check_moments("annealed-langevin",
                  "{" FOUR_LEVELS ", \"level_steps\": 25, \"step_size\": 0.6,"
                  " \"keep_noise\": true}",
                  &at);
    advance(&at, shrunk(0.09, 0.3), 0);
    check_moments("annealed-langevin", "{" FOUR_LEVELS ", \"level_steps\": 25, \"step_size\": 0.6}",
                  &at);
    const double variance = 0.49 + 4, alpha = 2.0 * 4;
    const moments stationary = {0, variance / (1 - alpha / (4 * variance))};
    check_moments("annealed-langevin",
                  "{\"levels\": 1, \"sigma_max\": 2, \"sigma_min\": 1, \"level_steps\": 200,"
                  " \"step_size\": 2, \"keep_noise\": true}",
                  &stationary);
}

/*
 * From a chain's place x̄ at the level above, K steps at a level of variance V lead towards the mean
 * of the conditional, m + g (x̄ − m) with g = V / (V + s²), by the factor a = 1 − (ε/2)(1/V + 1/s²)
 * each. With them go all moments down the levels, in both units of ε.
 */
static void check_recovery(bool is_process, double scale, int steps) {
    const basin__levels levels = four_levels(1);
    moments at = {-0.5, 9};
    for (int level = 1; level < 4; level++) {
        const double above = basin__level(&levels, level - 1), sigma = basin__level(&levels, level);
        const double gap = above * above - sigma * sigma, variance = 0.49 + sigma * sigma;
        const double unit = is_process
                                ? gap * (sigma / sqrt(1 + sigma * sigma)) / (0.3 / sqrt(1.09))
                                : gap * sigma * sigma / (above * above);
        const double a = 1 - 0.5 * scale * unit * (1 / variance + 1 / gap);
        const double kept = variance / (variance + gap), reached = pow(a, steps);
        advance(&at, kept + reached * (1 - kept),
                sqrt(scale * unit * (1 - reached * reached) / (1 - a * a)));
    }
    char settings[200];
    for (int keeps = 1; keeps >= 0; keeps--) {
        if (!keeps)
            advance(&at, shrunk(0.09, 0.3), 0);
        snprintf(settings, sizeof settings,
                 "{" FOUR_LEVELS ", \"level_steps\": %d, \"step_scale\": %g, \"step_unit\": \"%s\","
                 " \"keep_noise\": %s}",
                 steps, scale, is_process ? "process" : "posterior", keeps ? "true" : "false");
        check_moments("recovery-langevin", settings, &at);
    }
}

static void test_recovery_moments(void **state) {
    (void)state;
    check_recovery(false, 0.5, 4);
    check_recovery(false, 2, 30);
    check_recovery(true, 0.1, 10);
}

/* Euler's method with noise added before each step within [0.5, 2]. */
static void test_churn_moments(void **state) {
    (void)state;
    const basin__levels levels = four_levels(0);
    moments at = {-0.5, 9};
    int churned = 0;
    for (int i = 0; i < 4; i++) {
        double from = basin__level(&levels, i), to = basin__level(&levels, i + 1);
        if (from >= 0.5 && from <= 2) {
            advance(&at, 1, 1.5 * from * sqrt(1.3 * 1.3 - 1));
            from *= 1.3;
            churned++;
        }
        advance(&at, shrunk((from - to) * from, from), 0);
    }
    assert_true(churned > 0 && churned < 4);
    check_moments("ode",
                  "{" FOUR_LEVELS ", \"method\": \"euler\", \"churn\": 1.2, \"churn_low\": 0.5,"
                  " \"churn_high\": 2, \"churn_noise\": 1.5}",
                  &at);
}

/* Correctors that may reject come to the exact density of the lowest level, at any step; then
   denoising is linear. */
static void test_corrector_moments(void **state) {
    (void)state;
    const double shrink = 0.49 / 0.58;
    const moments exact = {0, 0.58 * shrink * shrink};
    check_moments("predictor-corrector",
                  "{" FOUR_LEVELS ", \"predictor\": \"none\", \"corrector\": \"mala\","
                  " \"corrector_steps\": 80, \"ratio\": 0.6}",
                  &exact);
    check_moments("predictor-corrector",
                  "{" FOUR_LEVELS ", \"predictor\": \"none\", \"corrector\": \"hmc\","
                  " \"corrector_steps\": 40, \"leapfrog_steps\": 3, \"ratio\": 0.3}",
                  &exact);
}

/* One step of the Langevin corrector by hand. */
static void test_langevin_corrector(void **state) {
    (void)state;
    mixture of = gaussian(8);
    float x[24], z[24];
    for (int i = 0; i < 24; i++)
        x[i] = (float)sin(i);
    basin__chain_tile tile = {.n = 3, .size = 8, .seed = 5};
    basin__tile_normal(basin__cpu_kernels_for(BASIN__ISA_GENERIC), &tile, BASIN__PURPOSE_MOMENTUM,
                       0, z);
    double wanted[24], ratio = 0.33;
    int bounded = 0;
    for (int chain = 0; chain < 3; chain++) {
        double slope = 0, size = 0;
        for (int i = 8 * chain; i < 8 * chain + 8; i++) {
            slope += pow(((double)x[i] - 0.5) / 1.49, 2);
            size += (double)z[i] * (double)z[i];
        }
        double step = fmin(2 * ratio * ratio * size / slope, 1);
        bounded += step >= 1;
        for (int i = 8 * chain; i < 8 * chain + 8; i++) {
            double moved =
                (double)x[i] - step * ((double)x[i] - 0.5) / 1.49 + sqrt(2 * step) * (double)z[i];
            wanted[i] = 0.5 + (moved - 0.5) * 0.49 / 1.49;
        }
    }
    assert_true(bounded > 0 && bounded < 3);
    const job what = {.sampler = "predictor-corrector",
                      .settings = "{\"levels\": 2, \"sigma_max\": 2, \"sigma_min\": 1,"
                                  " \"predictor\": \"none\", \"ratio\": 0.33}",
                      .is_started = true,
                      .label = -1};
    assert_int_equal(sample(&of, &what, 3, x), BASIN_OK);
    for (int i = 0; i < 24; i++)
        assert_true(fabs((double)x[i] - wanted[i]) < 1e-5);
}

/* ---- no noise is drawn twice ---- */

/*
 * Where E is flat x only sums up noise, and its variance is the sum of the steps' if all of them
 * are independent, and above by the cross terms if any two are one; within a run and between a run
 * and the next.
 */
static void check_flat(const char *sampler, const char *settings, double wanted) {
    enum { N = 40000 };
    static float x[N];
    basin_context *context = make_context(2);
    mixture flat = {.size = 1};
    basin_energy *energy = mixture_make(context, &flat);
    const basin__sampler_def *def;
    basin__option_group group;
    json_t *json = json_loads(settings, 0, NULL);
    assert_int_equal(basin__sampler_from_energy(energy, sampler, &def, &group), BASIN_OK);
    assert_int_equal(basin__options_from_json(context, &group, 1, json), BASIN_OK);
    memset(x, 0, sizeof x);
    for (int i = 0; i < 2; i++) {
        basin__chain_run run = {.sampler = def,
                                .options = group.values,
                                .energy = energy,
                                .seed = 3,
                                .first_draw = (uint64_t)(i * def->steps(group.values))};
        assert_int_equal(basin__chains_run(&run, N, x), BASIN_OK);
    }
    double variance = 0;
    for (int i = 0; i < N; i++)
        variance += (double)x[i] * (double)x[i] / N;
    assert_true(fabs(variance / (2 * wanted) - 1) < 5 * sqrt(2.0 / N));
    json_decref(json);
    basin__options_reset(context, &group);
    basin__free(context, group.values);
    basin_energy_destroy(energy);
    basin_context_destroy(context);
}

static void test_noise_is_drawn_once(void **state) {
    (void)state;
    const basin__levels levels = four_levels(1);
    double squares = 0;
    for (int i = 0; i < 4; i++)
        squares += basin__level(&levels, i) * basin__level(&levels, i);
    const double below = squares - 9; /* of levels 1 to 3, where correctors walk */
    check_flat("mala", "{\"n_steps\": 5, \"step_size\": 2}", 5 * 4);
    check_flat("hmc", "{\"n_steps\": 4, \"leapfrog_steps\": 3, \"step_size\": 0.5}", 4 * 2.25);
    check_flat("annealed-langevin",
               "{" FOUR_LEVELS ", \"level_steps\": 3, \"step_size\": 0.5, "
               "\"schedule\": \"geometric\"}",
               3 * 0.5 * squares);
    check_flat("ddim", "{" FOUR_LEVELS ", \"schedule\": \"geometric\", \"eta\": 1}",
               below * (1 - pow(0.01, 1.0 / 3)));
    check_flat("ode", "{" FOUR_LEVELS ", \"schedule\": \"geometric\", \"churn\": 2}",
               squares * (2 - 1));
    check_flat("predictor-corrector", "{" FOUR_LEVELS ", \"corrector_steps\": 0}", 9 - 0.09);
    check_flat("predictor-corrector",
               "{" FOUR_LEVELS ", \"corrector\": \"mala\", \"corrector_steps\": 2,"
               " \"ratio\": 0.5}",
               9 - 0.09 + 2 * below);
    check_flat("predictor-corrector",
               "{" FOUR_LEVELS ", \"corrector\": \"hmc\", \"corrector_steps\": 2,"
               " \"leapfrog_steps\": 3, \"ratio\": 0.5}",
               9 - 0.09 + 2 * 9 * below);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_predictor_moments),  cmocka_unit_test(test_ddim_moments),
        cmocka_unit_test(test_annealed_moments),   cmocka_unit_test(test_recovery_moments),
        cmocka_unit_test(test_churn_moments),      cmocka_unit_test(test_corrector_moments),
        cmocka_unit_test(test_langevin_corrector), cmocka_unit_test(test_noise_is_drawn_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
