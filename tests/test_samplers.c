/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samplers that walk down noise levels against exact facts on Gaussians and mixtures of them: see
 * test_sampler_moments.c for their moments.
 */
#include "sampler/adaptive.h"
#include "sampler_support.h"

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
    assert_int_equal(sample(&of, &few, -1, &x), BASIN_ERROR_ARGUMENT);
    const job churned = {.sampler = "ode", .settings = "{\"method\": \"rk45\", \"churn\": 1}"};
    assert_int_equal(sample(&of, &churned, 1, &x), BASIN_ERROR_CONFIG);
}

/* dx/dt = −√x, which is no number below 0: x(t) = (√x₀ − t/2)². */
typedef struct root {
    int n, undefined; /* slopes that were no numbers */
    double to;
} root;

static void derive_root(void *user, const float *x, const double *t, float *slope,
                        double *extra_slope) {
    root *of = user;
    (void)t;
    (void)extra_slope;
    for (int i = 0; i < of->n; i++) {
        slope[i] = -sqrtf(x[i]);
        of->undefined += isnan(slope[i]);
    }
}

static basin__adaptive_end walk_roots(root *of, float *x) {
    float scratch[BASIN__ADAPTIVE_SCRATCH * 2];
    double numbers[BASIN__ADAPTIVE_NUMBERS * 2];
    basin_context *context = make_context(1);
    basin__adaptive walk = {.kernels = basin__cpu_kernels_for(basin__context_isa(context)),
                            .n = of->n,
                            .size = 1,
                            .x = x,
                            .to = of->to,
                            .absolute = 1e-6,
                            .relative = 1e-6,
                            .evaluations_max = 2000,
                            .scratch = scratch,
                            .numbers = numbers,
                            .derive = derive_root,
                            .user = of};
    const basin__adaptive_end end = basin__adaptive_walk(&walk);
    basin_context_destroy(context);
    return end;
}

/* A step that leads to where there is no slope is tried again, shorter, by that chain alone. */
static void test_flow_beside_a_hole(void **state) {
    (void)state;
    root of = {.n = 2, .to = 1.99};
    float x[2] = {1, 9}, alone = 9, broken = -1;
    assert_int_equal(walk_roots(&of, x), BASIN__ADAPTIVE_DONE);
    assert_true(of.undefined > 0);
    assert_true(fabs((double)x[0] - 0.005 * 0.005) < 1e-5);
    assert_true(fabs((double)x[1] - 2.005 * 2.005) < 1e-4);
    of = (root){.n = 1, .to = 1.99};
    assert_int_equal(walk_roots(&of, &alone), BASIN__ADAPTIVE_DONE);
    assert_true(of.undefined == 0 && x[1] <= alone && x[1] >= alone);
    assert_int_equal(walk_roots(&of, &broken), BASIN__ADAPTIVE_STOPPED);
    of.to = 3; /* past the root's end */
    alone = 1;
    assert_int_equal(walk_roots(&of, &alone), BASIN__ADAPTIVE_STOPPED);
}

/* ---- densities ---- */

/* Two parts of very different size: mean and variance, and the share of the right part, whose
   points lie right of 0 but for 1e-6 of them, and the left one's left of it. */
static const mixture two_parts = {
    .size = 1, .count = 2, .weight = {0.3, 0.7}, .mean = {-2, 1.5}, .std = {0.4, 0.3}};

static void check_two_parts(const float *x, int n, double bias) {
    const double mean = 0.3 * -2 + 0.7 * 1.5;
    const double second = 0.3 * (4 + 0.16) + 0.7 * (2.25 + 0.09), variance = second - mean * mean;
    double sum = 0, squares = 0, right = 0;
    for (int i = 0; i < n; i++) {
        sum += (double)x[i] / n;
        squares += ((double)x[i] - mean) * ((double)x[i] - mean) / n;
        right += (double)(x[i] > 0) / n;
    }
    assert_true(fabs(sum - mean) < 5 * sqrt(variance / n) + bias);
    /* a square's standard deviation is below 1.5 times the variance: the density is bounded so */
    assert_true(fabs(squares - variance) < 5 * 1.5 * variance / sqrt(n) + bias);
    assert_true(fabs(right - 0.7) < 5 * sqrt(0.21 / n) + bias);
}

/* Each sampler with fine steps brings all of a density, where the bias of its steps is small beside
   what is allowed. (The density at level 20 is no exact normal, but nearly: 1 % of its width.) */
static void test_two_parts(void **state) {
    (void)state;
    enum { N = 4000 };
    static float x[N];
    static const char *const samplers[][2] = {
        {"ode", "\"method\": \"rk45\", \"tolerance_relative\": 1e-4, \"tolerance_absolute\": 1e-4"},
        {"ode", "\"levels\": 60"},
        {"ode", "\"levels\": 60, \"churn\": 10"},
        {"predictor-corrector", "\"levels\": 300, \"corrector_steps\": 0"},
        {"predictor-corrector", "\"levels\": 100, \"corrector\": \"mala\", \"ratio\": 0.3"},
        {"predictor-corrector",
         "\"levels\": 60, \"corrector\": \"hmc\", \"ratio\": 0.3, \"corrector_steps\": 2"},
        {"predictor-corrector", "\"levels\": 40, \"corrector\": \"hmc\", \"ratio\": 0.3, "
                                "\"predictor\": \"none\", \"corrector_steps\": 20"},
        {"annealed-langevin", "\"levels\": 40, \"level_steps\": 50"},
        {"recovery-langevin", "\"levels\": 40, \"level_steps\": 50, \"step_scale\": 0.2"},
        {"ddim", "\"levels\": 200"},
        {"ddim", "\"levels\": 300, \"eta\": 1"},
    };
    mixture of = two_parts;
    for (size_t i = 0; i < BASIN_COUNT(samplers); i++) {
        char settings[256];
        snprintf(settings, sizeof settings, "{\"sigma_max\": 20, \"sigma_min\": 0.02, %s}",
                 samplers[i][1]);
        const job what = {.sampler = samplers[i][0], .settings = settings, .label = -1};
        assert_int_equal(sample(&of, &what, N, x), BASIN_OK);
        check_two_parts(x, N, 0.02);
    }
}

/* ---- guidance, classes, levels ---- */

/* One level: samples are x − σ² ∇[(1 + w) E(x | class) − w E(x)], each chain with its class. */
static void test_guidance(void **state) {
    (void)state;
    mixture of = {.size = 2,
                  .count = 3,
                  .weight = {0.2, 0.3, 0.5},
                  .mean = {-1, 0.5, 2},
                  .std = {0.5, 1, 0.7}};
    static const double weights[] = {0, 1.5, -0.5, -1, 7};
    static const int labels[] = {2, 0, 1, -1, 1};
    basin_context *context = make_context(2);
    basin_energy *energy = mixture_make(context, &of);
    for (size_t k = 0; k < BASIN_COUNT(weights); k++) {
        float x[10], starts[10], with[2], without[2];
        char settings[128];
        snprintf(settings, sizeof settings, "{\"levels\": 1, \"sigma_max\": 1.5, \"guidance\": %g}",
                 weights[k]);
        for (int i = 0; i < 10; i++)
            starts[i] = x[i] = (float)sin(2 * i);
        basin_sample_options options;
        basin_sample_options_init(&options);
        options.sampler = "ode";
        options.settings = settings;
        options.is_started = true;
        options.labels = labels;
        assert_int_equal(basin_sample(energy, &options, 5, x, NULL), BASIN_OK);
        for (int i = 0; i < 10; i++) {
            mixture_energy(&of, starts + i / 2 * 2, 1.5, labels[i / 2], with);
            mixture_energy(&of, starts + i / 2 * 2, 1.5, -1, without);
            double slope =
                (1 + weights[k]) * (double)with[i % 2] - weights[k] * (double)without[i % 2];
            assert_true(fabs((double)x[i] - ((double)starts[i] - 2.25 * slope)) < 2e-5);
        }
        /* one class for all chains is the same as that class for each */
        float all[10];
        memcpy(all, starts, sizeof all);
        options.labels = NULL;
        options.class_label = 1;
        assert_int_equal(basin_sample(energy, &options, 5, all, NULL), BASIN_OK);
        assert_memory_equal(all + 4, x + 4, 2 * sizeof(float));
        assert_memory_equal(all + 8, x + 8, 2 * sizeof(float));
    }
    basin_energy_destroy(energy);
    basin_context_destroy(context);
}

/* Accepting moves with guidance needs guided energies, too: chains of hmc at one level have the
   density exp(−(1 + w) E(x | 0) + w E(x)), which for a single part is that part's. */
static void test_guided_moves(void **state) {
    (void)state;
    enum { N = 4000 };
    static float x[N];
    mixture of = gaussian(1);
    const job what = {.sampler = "predictor-corrector",
                      .settings = "{\"levels\": 2, \"sigma_max\": 2, \"sigma_min\": 1,"
                                  " \"predictor\": \"none\", \"corrector\": \"hmc\","
                                  " \"corrector_steps\": 40, \"guidance\": 2}",
                      .label = 0};
    assert_int_equal(sample(&of, &what, N, x), BASIN_OK);
    const double shrink = 0.49 / 1.49, variance = 1.49 * shrink * shrink;
    double mean = 0, squares = 0;
    for (int i = 0; i < N; i++) {
        mean += ((double)x[i] - 0.5) / N;
        squares += ((double)x[i] - 0.5) * ((double)x[i] - 0.5) / N;
    }
    assert_true(fabs(mean) < 5 * sqrt(variance / N));
    assert_true(fabs(squares / variance - 1) < 5 * sqrt(2.0 / N));
}

/* langevin walks at the level it is told, with a class; afterwards the energy is as before. */
static void test_one_level(void **state) {
    (void)state;
    mixture of = two_parts;
    basin_context *context = make_context(1);
    basin_energy *energy = mixture_make(context, &of);
    assert_int_equal(basin__energy_set_condition(energy, 3, -1), BASIN_OK);
    basin_sample_options options;
    basin_sample_options_init(&options);
    options.sampler = "langevin";
    options.settings = "{\"n_steps\": 1, \"step_size\": 0.1, \"noise_std\": 0,"
                       " \"gradient_clip\": \"none\", \"box\": \"none\"}";
    options.is_started = true;
    options.class_label = 1;
    options.noise_level = 0.5;
    float x = 1, slope;
    assert_int_equal(basin_sample(energy, &options, 1, &x, NULL), BASIN_OK);
    assert_true(fabs((double)x - (1 - 0.1 * (1 - 1.5) / (0.09 + 0.25))) < 1e-6);
    basin_sample_options_init(&options);
    options.sampler = "langevin";
    options.settings = "{\"n_steps\": 1, \"step_size\": 0.1, \"noise_std\": 0,"
                       " \"gradient_clip\": \"none\", \"box\": \"none\"}";
    options.is_started = true;
    x = 1;
    assert_int_equal(basin_sample(energy, &options, 1, &x, NULL), BASIN_OK);
    const float start = 1;
    mixture_energy(&of, &start, 3, -1, &slope);
    assert_true(fabs((double)x - (1 - 0.1 * (double)slope)) < 1e-6);
    basin_energy_destroy(energy);
    basin_context_destroy(context);
}

static void check_refused(mixture *of, const char *sampler, const char *settings, int label,
                          double noise_level, basin_status wanted) {
    basin_context *context = make_context(1);
    basin_energy *energy = mixture_make(context, of);
    basin_sample_options options;
    basin_sample_options_init(&options);
    options.sampler = sampler;
    options.settings = settings;
    options.is_started = true;
    options.class_label = label;
    options.noise_level = noise_level;
    float x = 0.25f;
    assert_int_equal(basin_sample(energy, &options, 1, &x, NULL), wanted);
    assert_true(fabsf(x - 0.25f) <= 0);
    basin_energy_destroy(energy);
    basin_context_destroy(context);
}

static void test_refusals(void **state) {
    (void)state;
    mixture conditional = two_parts, plain = two_parts, flat = {.size = 1};
    plain.is_plain = true;
    static const char *const walkers[] = {"ode", "predictor-corrector", "annealed-langevin", "ddim",
                                          "recovery-langevin"};
    for (size_t i = 0; i < BASIN_COUNT(walkers); i++) {
        check_refused(&plain, walkers[i], NULL, -1, 0, BASIN_ERROR_CONFIG);
        check_refused(&conditional, walkers[i], "{\"sigma_max\": 1, \"sigma_min\": 1}", -1, 0,
                      BASIN_ERROR_CONFIG);
        check_refused(&conditional, walkers[i],
                      "{\"box\": \"clamp\", \"box_low\": 1, \"box_high\": 0}", -1, 0,
                      BASIN_ERROR_CONFIG);
        check_refused(&conditional, walkers[i], "{\"guidance\": 1}", -1, 0, BASIN_ERROR_CONFIG);
        check_refused(&flat, walkers[i], "{\"guidance\": 1}", -1, 0, BASIN_ERROR_CONFIG);
        check_refused(&conditional, walkers[i], NULL, -1, 1, BASIN_ERROR_ARGUMENT);
    }
    check_refused(&conditional, "recovery-langevin", "{\"levels\": 1}", -1, 0, BASIN_ERROR_CONFIG);
    check_refused(&conditional, "predictor-corrector",
                  "{\"predictor\": \"none\", \"corrector_steps\": 0}", -1, 0, BASIN_ERROR_CONFIG);
    check_refused(&conditional, "ode", "{\"churn_low\": 2, \"churn_high\": 1}", -1, 0,
                  BASIN_ERROR_CONFIG);
    check_refused(&conditional, "langevin", NULL, 2, 0, BASIN_ERROR_ARGUMENT);
    check_refused(&conditional, "langevin", NULL, -1, (double)NAN, BASIN_ERROR_ARGUMENT);
    check_refused(&conditional, "langevin", NULL, -1, -1, BASIN_ERROR_ARGUMENT);
    check_refused(&plain, "langevin", NULL, -1, 1, BASIN_ERROR_ARGUMENT);
    check_refused(&plain, "mala", NULL, 0, 0, BASIN_ERROR_ARGUMENT);
}

/* Levels of the model's training are the defaults, and what is given stays. The box, too. */
static void test_trained_levels(void **state) {
    (void)state;
    basin_context *context = make_context(1);
    mixture of = two_parts;
    basin_energy *energy = mixture_make(context, &of);
    assert_int_equal(basin__energy_note(energy, "noise_level_low", "0.05"), BASIN_OK);
    assert_int_equal(basin__energy_note(energy, "noise_level_high", "7"), BASIN_OK);
    assert_int_equal(basin__energy_note(energy, "range_low", "-0.5"), BASIN_OK);
    assert_int_equal(basin__energy_note(energy, "range_high", "0.5"), BASIN_OK);
    const basin__sampler_def *def;
    basin__option_group group;
    assert_int_equal(basin__sampler_from_energy(energy, "ddim", &def, &group), BASIN_OK);
    const basin__levels *levels = group.values;
    assert_true(fabs(levels->sigma_min - 0.05) < 1e-12 && fabs(levels->sigma_max - 7) < 1e-12);
    assert_true(fabs(levels->box_low + 0.5) < 1e-12 && fabs(levels->box_high - 0.5) < 1e-12);
    assert_int_equal(basin__option_set(context, &group, 1, "sigma-max", "3"), BASIN_OK);
    def->set_noise_levels(&group, 0.1, 9);
    assert_true(fabs(levels->sigma_min - 0.1) < 1e-12 && fabs(levels->sigma_max - 3) < 1e-12);
    basin__options_reset(context, &group);
    basin__free(context, group.values);
    float x[64];
    basin_sample_options options;
    basin_sample_options_init(&options);
    options.sampler = "ode";
    options.settings = "{\"box\": \"clamp\"}";
    basin_temperature temperature;
    assert_int_equal(basin_sample(energy, &options, 64, x, &temperature), BASIN_OK);
    assert_false(temperature.is_exact);
    for (int i = 0; i < 64; i++)
        assert_true(fabs(fabs((double)x[i]) - 0.5) < 1e-6); /* the data are left and right of it */
    basin_energy_destroy(energy);
    basin_context_destroy(context);
}

/* ---- bits and memory ---- */

static const char *const every_sampler[][2] = {
    {"ode", "{\"levels\": 4, \"churn\": 1, \"guidance\": 0.5}"},
    {"ode", "{\"method\": \"rk45\", \"tolerance_relative\": 1e-2, \"tolerance_absolute\": 1e-2,"
            " \"evaluations_max\": 100000, \"guidance\": 0.5}"},
    {"predictor-corrector", "{\"levels\": 3, \"corrector\": \"langevin\", \"guidance\": 0.5}"},
    {"predictor-corrector", "{\"levels\": 3, \"corrector\": \"mala\", \"guidance\": 0.5}"},
    {"predictor-corrector", "{\"levels\": 3, \"corrector\": \"hmc\", \"guidance\": 0.5}"},
    {"annealed-langevin", "{\"levels\": 3, \"level_steps\": 2, \"guidance\": 0.5}"},
    {"ddim", "{\"levels\": 4, \"eta\": 0.5, \"guidance\": 0.5}"},
    {"recovery-langevin", "{\"levels\": 3, \"level_steps\": 2, \"guidance\": 0.5}"},
    {"mala", "{\"n_steps\": 4}"},
    {"hmc", "{\"n_steps\": 2, \"leapfrog_steps\": 2}"},
};

static basin_energy *make_network(basin_context *context) {
    basin_energy *energy;
    assert_int_equal(basin_energy_create(context, "mlp",
                                         "{\"hidden\": [8], \"noise_conditional\": true,"
                                         " \"classes\": 3, \"embedding\": 4}",
                                         1, 1, 3, 3, &energy),
                     BASIN_OK);
    return energy;
}

/* Every sampler, several tiles and a partial one, classes by chain: the same bits for any number of
   threads, and for fewer chains. */
static void test_threads_change_nothing(void **state) {
    (void)state;
    for (size_t k = 0; k < BASIN_COUNT(every_sampler); k++) {
        float *first = NULL;
        double evaluations = 0, first_evaluations = 0;
        for (int threads = 1; threads <= 3; threads += 2) {
            basin_context *context = make_context(threads);
            basin_energy *energy = make_network(context);
            assert_int_equal(basin__energy_ready(energy), BASIN_OK);
            const int n = 3 * basin__energy_tile(energy) + 5;
            float *x = calloc((size_t)n, 3 * sizeof *x);
            int *labels = calloc((size_t)n, sizeof *labels);
            for (int i = 0; i < n; i++)
                labels[i] = i % 4 - 1;
            basin_sample_options options;
            basin_sample_options_init(&options);
            options.sampler = every_sampler[k][0];
            options.settings = every_sampler[k][1];
            options.seed = 11;
            options.labels = labels;
            options.evaluations = &evaluations;
            assert_int_equal(basin_sample(energy, &options, n, x, NULL), BASIN_OK);
            if (first == NULL) {
                first = x;
                first_evaluations = evaluations;
                assert_true(evaluations > 1);
            } else {
                assert_true(fabs(evaluations - first_evaluations) <= 0);
                assert_memory_equal(first, x, (size_t)n * 3 * sizeof *x);
                assert_int_equal(basin_sample(energy, &options, 7, x, NULL), BASIN_OK);
                assert_memory_equal(first, x, 7 * 3 * sizeof *x);
                free(x);
            }
            free(labels);
            basin_energy_destroy(energy);
            basin_context_destroy(context);
        }
        free(first);
    }
}

/* ---- cost ---- */

typedef struct counted {
    mixture of;
    int64_t points; /* whose gradient was asked for; one thread counts */
} counted;

static void count_energies(void *user, int64_t n, const basin__points *points, double *energies,
                           float *gradient) {
    counted *all = user;
    all->points += gradient != NULL ? n : 0;
    mixture_energies(&all->of, n, points, energies, gradient);
}

/** Evaluations a chain, and in `points` those that were made in all. */
static double cost_of(const char *sampler, const char *settings, int64_t n, float *x,
                      int64_t *points) {
    counted all = {.of = two_parts};
    basin_context *context = make_context(1);
    basin_energy *energy;
    assert_int_equal(basin__energy_from_points_callback(
                         context, basin_shape_vector(all.of.size),
                         (basin__condition){.noise_level = true, .class_count = all.of.count},
                         count_energies, &all, &energy),
                     BASIN_OK);
    double evaluations = -1;
    basin_sample_options options;
    basin_sample_options_init(&options);
    options.sampler = sampler;
    options.settings = settings;
    options.is_started = true;
    options.class_label = 1;
    options.evaluations = &evaluations;
    assert_int_equal(basin_sample(energy, &options, n, x, NULL), BASIN_OK);
    *points = all.points;
    basin_energy_destroy(energy);
    basin_context_destroy(context);
    return evaluations;
}

/* What is told is what was evaluated, and what each sampler's formula says. */
static void test_cost(void **state) {
    (void)state;
    static const struct {
        const char *sampler, *settings;
        int wanted;
    } cases[] = {
        {"langevin", "{\"n_steps\": 7}", 7},
        {"langevin", "{\"n_steps\": 0}", 0},
        {"mala", "{\"n_steps\": 4}", 5},
        {"hmc", "{\"n_steps\": 3, \"leapfrog_steps\": 2}", 7},
        {"ode", "{\"levels\": 5}", 9},
        {"ode", "{\"levels\": 5, \"guidance\": 1}", 18},
        {"ode", "{\"levels\": 5, \"method\": \"euler\"}", 5},
        {"ddim", "{\"levels\": 4}", 4},
        {"annealed-langevin", "{\"levels\": 2, \"level_steps\": 3}", 7},
        {"predictor-corrector",
         "{\"levels\": 3, \"corrector\": \"hmc\", \"corrector_steps\": 2, \"leapfrog_steps\": 2}",
         2 * (1 + 2 * 2 + 1) + 1},
    };
    enum { N = 5 };
    int64_t points;
    for (size_t k = 0; k < BASIN_COUNT(cases); k++) {
        float x[N] = {0.1f, 0.2f, 0.3f, 0.4f, 0.5f};
        const double got = cost_of(cases[k].sampler, cases[k].settings, N, x, &points);
        assert_true(fabs(got - cases[k].wanted) < 1e-12);
        assert_int_equal(points, N * cases[k].wanted);
    }
}

/* A chain with steps of its own costs what it costs alone, whatever is beside it. */
static void test_adaptive_cost(void **state) {
    (void)state;
    enum { N = 3 };
    for (int is_guided = 0; is_guided < 2; is_guided++) {
        const char *settings =
            is_guided ? "{\"method\": \"rk45\", \"guidance\": 1}" : "{\"method\": \"rk45\"}";
        const float starts[N] = {-90, 0.01f, 30};
        float x[N];
        double alone = 0;
        int64_t points;
        for (int i = 0; i < N; i++) {
            x[0] = starts[i];
            const double got = cost_of("ode", settings, 1, x, &points);
            assert_true(fabs(got - (double)points) < 1e-12);
            alone += got;
        }
        memcpy(x, starts, sizeof x);
        const double together = cost_of("ode", settings, N, x, &points);
        assert_true(fabs(N * together - alone) < 1e-9);
        assert_true((double)points > alone); /* they are not equally long */
    }
}

static void test_memory(void **state) {
    (void)state;
    mixture of = two_parts;
    static const int labels[3] = {0, 1, -1};
    for (size_t which = 0; which < BASIN_COUNT(every_sampler); which++) {
        for (long k = 0;; k++) {
            test_heap heap = {.fail_at = -1};
            basin_context *context = test_context(&heap, 1);
            basin_energy *energy = mixture_make(context, &of);
            long alive = heap.alive;
            heap.fail_at = heap.calls + k;
            float x[3];
            basin_sample_options options;
            basin_sample_options_init(&options);
            options.sampler = every_sampler[which][0];
            options.settings = every_sampler[which][1];
            options.labels = labels;
            basin_status status = basin_sample(energy, &options, 3, x, NULL);
            assert_true(!heap.has_failed || status == BASIN_ERROR_MEMORY);
            assert_true(status != BASIN_ERROR_MEMORY || heap.alive >= alive);
            basin_energy_destroy(energy);
            assert_int_equal(heap.alive, heap.alive_at_start);
            basin_context_destroy(context);
            if (!heap.has_failed) {
                assert_int_equal(status, BASIN_OK);
                break;
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schedules),
        cmocka_unit_test(test_flow_orders),
        cmocka_unit_test(test_flow_adaptive),
        cmocka_unit_test(test_flow_beside_a_hole),
        cmocka_unit_test(test_two_parts),
        cmocka_unit_test(test_guidance),
        cmocka_unit_test(test_guided_moves),
        cmocka_unit_test(test_one_level),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_trained_levels),
        cmocka_unit_test(test_threads_change_nothing),
        cmocka_unit_test(test_cost),
        cmocka_unit_test(test_adaptive_cost),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
