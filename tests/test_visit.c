/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chains that are watched: every sampler gives the same bits whether and however often it is looked
 * at, and on a Gaussian N(m, s²) estimates are m + s² / (s² + σ²) (x − m), which is exact.
 */
#include "mixture.h"
#include "sampler/levels.h"
#include <basin/sample.h>

enum { CHAINS = 5, SIZE = 3, COUNT = CHAINS * SIZE, STEPS_MAX = 20 };

#define LEVELS "\"sigma_max\": 3, \"sigma_min\": 0.3, \"schedule\": \"geometric\""

typedef struct watched {
    const char *sampler, *settings;
    int steps;
    bool has_levels, is_restarted; /* moves are accepted: an evaluation where one piece begins */
} watched;

static const watched cases[] = {
    {"langevin", "{\"n_steps\": 7, \"step_size\": 0.3, \"noise\": \"auto\", \"box\": \"none\"}", 7,
     false, false},
    {"mala", "{\"n_steps\": 6, \"step_size\": 1.5}", 6, false, true},
    {"hmc", "{\"n_steps\": 6, \"leapfrog_steps\": 3, \"step_size\": 0.9}", 6, false, true},
    {"ode", "{" LEVELS ", \"levels\": 6, \"churn\": 2}", 6, true, false},
    {"ode", "{" LEVELS ", \"levels\": 1}", 1, true, false},
    {"ode", "{" LEVELS ", \"levels\": 6, \"method\": \"euler\"}", 6, true, false},
    {"ddim", "{" LEVELS ", \"levels\": 6, \"eta\": 1}", 6, true, false},
    {"annealed-langevin", "{" LEVELS ", \"levels\": 3, \"level_steps\": 4}", 13, true, false},
    {"annealed-langevin", "{" LEVELS ", \"levels\": 3, \"level_steps\": 4, \"keep_noise\": true}",
     13, true, false},
    {"predictor-corrector", "{" LEVELS ", \"levels\": 6, \"corrector_steps\": 2}", 6, true, false},
    {"predictor-corrector",
     "{" LEVELS ", \"levels\": 6, \"corrector_steps\": 2, \"corrector\": \"mala\", \"ratio\": 0.8}",
     6, true, false},
    {"recovery-langevin", "{" LEVELS ", \"levels\": 5, \"level_steps\": 3}", 5, true, false},
};

typedef struct seen {
    int calls;
    int64_t steps[STEPS_MAX];
    float x[STEPS_MAX][COUNT];
} seen;

static basin_status look(void *user, int64_t step, int64_t n, const float *x) {
    seen *of = user;
    assert_true(n == CHAINS && of->calls < STEPS_MAX);
    of->steps[of->calls] = step;
    memcpy(of->x[of->calls++], x, COUNT * sizeof *x);
    return BASIN_OK;
}

typedef struct outcome {
    float x[COUNT];
    double evaluations, acceptance;
} outcome;

/** Run with visits to `of`; NULL: none. */
static basin_status run(const watched *what, seen *of, int64_t visits, bool estimates,
                        outcome *out) {
    basin_context *context = make_context(2);
    mixture gaussian = {.size = SIZE, .count = 1, .weight = {1}, .mean = {0.5}, .std = {0.7}};
    basin_energy *energy = mixture_make(context, &gaussian);
    assert_int_equal(basin__energy_set_condition(energy, 1, -1), BASIN_OK);
    basin_sample_options options;
    basin_sample_options_init(&options);
    options.sampler = what->sampler;
    options.settings = what->settings;
    options.seed = 5;
    options.is_started = true;
    options.evaluations = &out->evaluations;
    options.acceptance = &out->acceptance;
    options.visit = of != NULL ? look : NULL;
    options.visit_user = of;
    options.visit_count = visits;
    options.visit_estimates = estimates;
    if (of != NULL)
        of->calls = 0;
    for (int i = 0; i < COUNT; i++)
        out->x[i] = (float)(3 * sin(i * 1.7));
    basin_status status = basin_sample(energy, &options, CHAINS, out->x, NULL);
    basin_energy_destroy(energy);
    basin_context_destroy(context);
    return status;
}

/* ---- where chains are ---- */

static void check_visits(const watched *what, int64_t visits, const outcome *plain) {
    static seen of;
    outcome out;
    assert_int_equal(run(what, &of, visits, false, &out), BASIN_OK);
    assert_memory_equal(out.x, plain->x, sizeof out.x);
    const int last = visits > 0 && visits - 1 < what->steps ? (int)visits - 1 : what->steps;
    assert_int_equal(of.calls, last + 1);
    for (int k = 0; k <= last; k++)
        assert_int_equal(of.steps[k], what->steps * k / last);
    for (int i = 0; i < COUNT; i++)
        assert_true(of.x[0][i] == (float)(3 * sin(i * 1.7)));
    assert_memory_equal(of.x[last], plain->x, sizeof out.x);
    assert_memory_not_equal(of.x[0], plain->x, sizeof out.x);
    assert_true(what->is_restarted || fabs(out.evaluations - plain->evaluations) < 1e-9);
    assert_true(isnan(plain->acceptance) ? isnan(out.acceptance)
                                         : fabs(out.acceptance - plain->acceptance) < 1e-12);
}

static void test_visits_change_nothing(void **state) {
    (void)state;
    for (size_t i = 0; i < BASIN_COUNT(cases); i++) {
        outcome plain;
        assert_int_equal(run(&cases[i], NULL, 0, false, &plain), BASIN_OK);
        static const int64_t visits[] = {0, 2, 3, 4, 100};
        for (size_t k = 0; k < BASIN_COUNT(visits); k++)
            check_visits(&cases[i], visits[k], &plain);
    }
}

/* ---- estimates ---- */

/** σ of the chains before a step; 0: they are samples. */
static double level_of(const watched *what, int64_t step) {
    basin__levels levels = basin__levels_geometric(what->steps, 3, 0.3);
    if (strcmp(what->sampler, "annealed-langevin") != 0)
        return basin__level(&levels, step);
    levels.count = 3;
    return step == what->steps ? 0 : basin__level(&levels, step > 0 ? (step - 1) / 4 : 0);
}

static void test_estimates(void **state) {
    (void)state;
    static seen chains, estimates;
    for (size_t i = 0; i < BASIN_COUNT(cases); i++) {
        const watched *what = &cases[i];
        outcome plain, out;
        if (!what->has_levels)
            continue;
        assert_int_equal(run(what, &chains, 0, false, &plain), BASIN_OK);
        assert_int_equal(run(what, &estimates, 0, true, &out), BASIN_OK);
        assert_memory_equal(out.x, plain.x, sizeof out.x);
        assert_true(fabs(out.evaluations - plain.evaluations) < 1e-9);
        assert_int_equal(estimates.calls, chains.calls);
        for (int k = 0; k < chains.calls; k++) {
            const double sigma = level_of(what, chains.steps[k]);
            const double share = 0.49 / (0.49 + sigma * sigma);
            for (int j = 0; j < COUNT; j++)
                assert_true(fabs((double)estimates.x[k][j] - 0.5 -
                                 share * ((double)chains.x[k][j] - 0.5)) < 1e-5);
        }
    }
}

/* ---- what cannot be watched ---- */

static void test_refusals(void **state) {
    (void)state;
    static seen of;
    outcome out;
    const watched adaptive = {.sampler = "ode", .settings = "{\"method\": \"rk45\"}"};
    assert_int_equal(run(&adaptive, NULL, 0, false, &out), BASIN_OK);
    assert_int_equal(run(&adaptive, &of, 0, false, &out), BASIN_ERROR_CONFIG);
    assert_int_equal(run(&cases[0], &of, 0, true, &out), BASIN_ERROR_CONFIG);
    assert_int_equal(run(&cases[0], &of, 1, false, &out), BASIN_ERROR_CONFIG);
    assert_int_equal(run(&cases[0], &of, -1, false, &out), BASIN_ERROR_CONFIG);
    assert_int_equal(of.calls, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_visits_change_nothing),
        cmocka_unit_test(test_estimates),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
