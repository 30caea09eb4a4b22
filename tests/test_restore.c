/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Methods of restoration on Gaussian priors, whose posteriors are known: with x ~ N(m, T C) and
 * y = A x + σ n, x | y ~ N(P⁻¹ (C⁻¹m/T + Aᵀy/σ²), P⁻¹), P = C⁻¹/T + AᵀA/σ². C = Q diag(λ) Qᵀ by a
 * rotation Q, so that the energy at a noise level s, ½ (x − m)ᵀ(C + s²)⁻¹(x − m), is known too.
 * Statistics of n chains are allowed 5 standard errors, which is a false alarm for one in 1.7
 * million seeds a bound; the seed is fixed.
 */
#include "energy/energy.h"
#include "support.h"
#include <basin/restore.h>
#include <math.h>

enum { SIZE_MAX_HERE = 16, CHAINS = 1000 };

typedef struct prior {
    int size;
    double rotation[SIZE_MAX_HERE][SIZE_MAX_HERE]; /* rows are directions */
    double variance[SIZE_MAX_HERE], mean[SIZE_MAX_HERE];
} prior;

/* Directions by Gram and Schmidt of fixed numbers; standard deviations from 1 down to 0.1. */
static prior make_prior(int size) {
    prior of = {.size = size};
    for (int k = 0; k < size; k++) {
        double *q = of.rotation[k], norm = 0;
        for (int i = 0; i < size; i++)
            q[i] = test_number((uint64_t)(k * size + i));
        for (int l = 0; l < k; l++) {
            double along = 0;
            for (int i = 0; i < size; i++)
                along += q[i] * of.rotation[l][i];
            for (int i = 0; i < size; i++)
                q[i] -= along * of.rotation[l][i];
        }
        for (int i = 0; i < size; i++)
            norm += q[i] * q[i];
        for (int i = 0; i < size; i++)
            q[i] /= sqrt(norm);
        of.variance[k] = pow(0.01, (double)k / (size - 1));
        of.mean[k] = 0.5 + 0.3 * test_number(1000 + (uint64_t)k);
    }
    return of;
}

static void prior_energies(void *user, int64_t n, const basin__points *points, double *energies,
                           float *gradient) {
    const prior *of = user;
    for (int64_t i = 0; i < n; i++) {
        const float *x = points->x + i * of->size;
        const double s = points->noise_level != NULL ? (double)points->noise_level[i] : 0;
        double slope[SIZE_MAX_HERE] = {0};
        energies[i] = 0;
        for (int k = 0; k < of->size; k++) {
            double along = 0;
            for (int j = 0; j < of->size; j++)
                along += of->rotation[k][j] * ((double)x[j] - of->mean[j]);
            const double share = along / (of->variance[k] + s * s);
            energies[i] += 0.5 * along * share;
            for (int j = 0; j < of->size; j++)
                slope[j] += share * of->rotation[k][j];
        }
        for (int j = 0; gradient != NULL && j < of->size; j++)
            gradient[i * of->size + j] = (float)slope[j];
    }
}

/* Inverse of a symmetric positive matrix, in place (Gauss and Jordan). */
static void invert(int size, double a[SIZE_MAX_HERE][SIZE_MAX_HERE]) {
    for (int k = 0; k < size; k++) {
        const double pivot = 1 / a[k][k];
        a[k][k] = 1;
        for (int j = 0; j < size; j++)
            a[k][j] *= pivot;
        for (int i = 0; i < size; i++) {
            const double factor = a[i][k];
            if (i == k)
                continue;
            a[i][k] = 0;
            for (int j = 0; j < size; j++)
                a[i][j] -= factor * a[k][j];
        }
    }
}

typedef struct posterior {
    double mean[SIZE_MAX_HERE], covariance[SIZE_MAX_HERE][SIZE_MAX_HERE];
} posterior;

static posterior solve(const prior *of, const basin_degradation *a, const float *y, double std,
                       double temperature) {
    posterior found = {.mean = {0}};
    double right[SIZE_MAX_HERE];
    float unit[SIZE_MAX_HERE] = {0}, seen[SIZE_MAX_HERE], back[SIZE_MAX_HERE];
    basin_degradation_adjoint(a, 1, y, back);
    for (int i = 0; i < of->size; i++)
        right[i] = (double)back[i] / (std * std);
    for (int j = 0; j < of->size; j++) {
        unit[j] = 1;
        basin_degradation_apply(a, 1, unit, seen);
        basin_degradation_adjoint(a, 1, seen, back);
        unit[j] = 0;
        for (int i = 0; i < of->size; i++) {
            double precision = 0;
            for (int k = 0; k < of->size; k++)
                precision += of->rotation[k][i] * of->rotation[k][j] / of->variance[k];
            right[i] += precision / temperature * of->mean[j];
            found.covariance[i][j] = precision / temperature + (double)back[i] / (std * std);
        }
    }
    invert(of->size, found.covariance);
    for (int i = 0; i < of->size; i++)
        for (int j = 0; j < of->size; j++)
            found.mean[i] += found.covariance[i][j] * right[j];
    return found;
}

/* What is restored, by what. */
typedef struct job {
    const char *task, *settings;
    int shape[3];
    const char *method, *options;
    bool is_plain; /* an energy that takes no noise level */
    double std, temperature;
    int samples, threads;
} job;

typedef struct bench {
    basin_context *context;
    prior of;
    basin_energy *energy;
    basin_degradation *a;
    float y[SIZE_MAX_HERE];
} bench;

/* The energy lives as long as `at`, whose address it holds. */
static void open_bench(bench *at, const job *what) {
    float x[SIZE_MAX_HERE];
    const basin__condition condition = {.noise_level = !what->is_plain};
    *at = (bench){.of = make_prior(what->shape[0] * what->shape[1] * what->shape[2])};
    at->context = test_context_on(NULL, what->threads > 0 ? what->threads : 2);
    assert_non_null(at->context);
    assert_int_equal(basin__energy_from_points_callback(
                         at->context,
                         basin_shape_image(what->shape[0], what->shape[1], what->shape[2]),
                         condition, prior_energies, &at->of, &at->energy),
                     BASIN_OK);
    assert_int_equal(basin__energy_note(at->energy, "noise_level_low", "0.005"), BASIN_OK);
    assert_int_equal(basin__energy_note(at->energy, "noise_level_high", "20"), BASIN_OK);
    assert_int_equal(basin_degradation_create(at->context, what->task, what->settings,
                                              what->shape[0], what->shape[1], what->shape[2],
                                              &at->a),
                     BASIN_OK);
    for (int i = 0; i < at->of.size; i++)
        x[i] = (float)(at->of.mean[i] + test_number(2000 + (uint64_t)i));
    assert_int_equal(basin_degradation_observe(at->a, 1, x, what->std, 7, at->y), BASIN_OK);
}

static void close_bench(bench *at) {
    basin_degradation_destroy(at->a);
    basin_energy_destroy(at->energy);
    basin_context_destroy(at->context);
}

static basin_restore_options options_of(const job *what) {
    basin_restore_options options;
    basin_restore_options_init(&options);
    options.method = what->method;
    options.settings = what->options;
    options.noise_std = what->std;
    options.samples = what->samples;
    if (fabs(what->temperature - 1) > 0) /* the energy's own */
        options.temperature = what->temperature;
    options.seed = 5;
    return options;
}

/* ---- samples ---- */

/* Mean and covariance of draws [n, size], in standard errors. */
static void check_moments(const posterior *wanted, int size, int n, const float *x) {
    double mean[SIZE_MAX_HERE] = {0}, worst_mean = 0, worst_covariance = 0;
    for (int c = 0; c < n; c++)
        for (int i = 0; i < size; i++)
            mean[i] += (double)x[c * size + i] / n;
    for (int i = 0; i < size; i++) {
        const double a = wanted->covariance[i][i];
        worst_mean = fmax(worst_mean, fabs(mean[i] - wanted->mean[i]) / sqrt(a / n));
        for (int j = 0; j <= i; j++) {
            const double b = wanted->covariance[j][j], c = wanted->covariance[i][j];
            double found = 0;
            for (int k = 0; k < n; k++)
                found += ((double)x[k * size + i] - mean[i]) * ((double)x[k * size + j] - mean[j]) /
                         (n - 1);
            worst_covariance = fmax(worst_covariance, fabs(found - c) / sqrt((a * b + c * c) / n));
        }
    }
    print_message("    mean %.1f, covariance %.1f standard errors off at most\n", worst_mean,
                  worst_covariance);
    assert_true(worst_mean < 5);
    assert_true(worst_covariance < 5);
}

#define SLOW "{\"levels\": 300, \"steps\": 24, \"rho_max\": 1, \"spacing\": \"geometric\"}"
#define WALK "{\"steps\": 600}"

static const job samplers[] = {
    {"denoise", NULL, {2, 4, 1}, "anneal", "{\"levels\": 100}", false, 0.5, 1, CHAINS, 0},
    {"denoise", NULL, {2, 4, 1}, NULL, "{\"levels\": 100}", false, 0.1, 1, CHAINS, 0},
    {"inpaint", "{\"hidden\": [0, 0, 2, 2]}", {2, 4, 1}, "anneal", SLOW, false, 0.2, 1, CHAINS, 0},
    {"super-resolve", NULL, {2, 4, 1}, "anneal", SLOW, false, 0.1, 1, CHAINS, 0},
    {"deblur", "{\"blur_std\": 1}", {2, 4, 1}, "anneal", SLOW, false, 0.1, 1, CHAINS, 0},
    {"colourise", NULL, {2, 2, 3}, "anneal", SLOW, false, 0.1, 1, CHAINS, 0},
    {"denoise", NULL, {2, 4, 1}, "langevin", WALK, true, 0.5, 1, CHAINS, 0},
    {"inpaint", "{\"hidden\": [0, 0, 2, 2]}", {2, 4, 1}, NULL, WALK, true, 0.2, 0.5, CHAINS, 0},
    {"super-resolve", NULL, {2, 4, 1}, "langevin", WALK, true, 0.1, 2, CHAINS, 0},
    {"deblur", "{\"blur_std\": 1}", {2, 4, 1}, "langevin", WALK, true, 0.2, 1, CHAINS, 0},
    {"colourise", NULL, {2, 2, 3}, "langevin", WALK, true, 0.2, 1, CHAINS, 0},
    {"denoise", NULL, {2, 4, 1}, "langevin", "{\"steps\": 800}", false, 0.5, 1, CHAINS, 0},
    {"denoise", NULL, {2, 4, 1}, "langevin", "{\"steps\": 800}", false, 0.5, 2, CHAINS, 0},
    {"super-resolve", NULL, {2, 4, 1}, "langevin", "{\"steps\": 800}", false, 0.5, 1, CHAINS, 0},
    {"deblur",
     "{\"blur_std\": 1}",
     {2, 4, 1},
     "langevin",
     "{\"steps\": 800}",
     false,
     0.5,
     1,
     CHAINS,
     0},
};

static void test_posteriors(void **state) {
    static float draws[CHAINS * SIZE_MAX_HERE];
    (void)state;
    for (size_t k = 0; k < BASIN_COUNT(samplers); k++) {
        const job *what = &samplers[k];
        float x[SIZE_MAX_HERE], deviation[SIZE_MAX_HERE];
        bench at;
        open_bench(&at, what);
        basin_restore_options options = options_of(what);
        options.draws = draws;
        options.deviation = deviation;
        print_message("%s by %s\n", what->task, what->method ? what->method : "the default");
        assert_int_equal(basin_restore(at.energy, at.a, &options, 1, at.y, x), BASIN_OK);
        const posterior wanted = solve(&at.of, at.a, at.y, what->std, what->temperature);
        check_moments(&wanted, at.of.size, CHAINS, draws);
        for (int i = 0; i < at.of.size; i++) { /* what is put together is of these draws */
            const double variance = wanted.covariance[i][i];
            assert_true(fabs((double)x[i] - wanted.mean[i]) < 5 * sqrt(variance / CHAINS));
            assert_true(fabs(pow((double)deviation[i], 2) - variance) <
                        5 * variance * sqrt(2.0 / CHAINS));
        }
        close_bench(&at);
    }
}

/* ---- one answer ---- */

/* Of a Gaussian, mean and mode are one. An energy at noise levels ends at a level s: the mode is
   that of C + s². */
static void test_answers(void **state) {
    static const struct {
        job what;
        double level, tolerance;
    } cases[] = {
        {{"denoise", NULL, {2, 4, 1}, "mean", NULL, false, 0.5, 1, 1, 0}, 0, 1e-5},
        {{"denoise",
          NULL,
          {2, 4, 1},
          "map",
          "{\"steps\": 1000, \"box\": \"none\"}",
          true,
          0.5,
          1,
          1,
          0},
         0,
         1e-3},
        {{"inpaint",
          "{\"hidden\": [0, 1, 1, 2]}",
          {2, 4, 1},
          "map",
          "{\"steps\": 2000, \"box\": \"none\"}",
          true,
          0.1,
          0.5,
          1,
          0},
         0,
         1e-3},
        {{"super-resolve",
          NULL,
          {2, 4, 1},
          "map",
          "{\"steps\": 2000, \"box\": \"none\"}",
          true,
          0.1,
          1,
          1,
          0},
         0,
         1e-3},
        {{"deblur",
          "{\"blur_std\": 1}",
          {2, 4, 1},
          "map",
          "{\"steps\": 2000, \"box\": \"none\"}",
          true,
          0.1,
          1,
          1,
          0},
         0,
         1e-3},
        {{"colourise",
          NULL,
          {2, 2, 3},
          "map",
          "{\"steps\": 2000, \"box\": \"none\"}",
          true,
          0.1,
          1,
          1,
          0},
         0,
         1e-3},
        {{"inpaint",
          "{\"hidden\": [0, 1, 1, 2]}",
          {2, 4, 1},
          "map",
          "{\"steps\": 3000, \"sigma_min\": 0.1}",
          false,
          0.1,
          1,
          1,
          0},
         0.1,
         1e-3},
    };
    (void)state;
    for (size_t k = 0; k < BASIN_COUNT(cases); k++) {
        const job *what = &cases[k].what;
        float x[SIZE_MAX_HERE], same[2 * SIZE_MAX_HERE];
        bench at;
        open_bench(&at, what);
        basin_restore_options options = options_of(what);
        options.samples = 2;
        options.draws = same;
        assert_int_equal(basin_restore(at.energy, at.a, &options, 1, at.y, x), BASIN_OK);
        assert_memory_equal(same + at.of.size, x, (size_t)at.of.size * sizeof *x);
        for (int i = 0; i < at.of.size; i++)
            at.of.variance[i] += cases[k].level * cases[k].level;
        const posterior wanted = solve(&at.of, at.a, at.y, what->std, what->temperature);
        for (int i = 0; i < at.of.size; i++)
            assert_true(fabs((double)x[i] - wanted.mean[i]) < cases[k].tolerance);
        close_bench(&at);
    }
}

/* ---- threads, images, mistakes, memory ---- */

/* Any number of threads gives the same bits. */
static void test_threads(void **state) {
    static const char *const methods[] = {"anneal", "langevin", "map"};
    enum { IMAGES = 5, SAMPLES = 3 };
    (void)state;
    for (size_t m = 0; m < BASIN_COUNT(methods); m++) {
        static float x[2][IMAGES * SIZE_MAX_HERE], deviation[2][IMAGES * SIZE_MAX_HERE];
        for (int run = 0; run < 2; run++) {
            job what = {"deblur", NULL, {2, 4, 1}, methods[m], "{\"steps\": 20, \"levels\": 4}",
                        false,    0.1,  1,         SAMPLES,    run == 0 ? 1 : 3};
            float y[IMAGES * SIZE_MAX_HERE];
            bench at;
            open_bench(&at, &what);
            for (int i = 0; i < IMAGES * at.of.size; i++)
                y[i] = (float)test_number((uint64_t)i);
            basin_restore_options options = options_of(&what);
            options.deviation = deviation[run];
            assert_int_equal(basin_restore(at.energy, at.a, &options, IMAGES, y, x[run]), BASIN_OK);
            close_bench(&at);
        }
        assert_memory_equal(x[0], x[1], sizeof x[0]);
        assert_memory_equal(deviation[0], deviation[1], sizeof deviation[0]);
    }
}

static void test_refused(void **state) {
    static const struct {
        job what;
        basin_status status;
        const char *text;
    } cases[] = {
        {{"denoise", NULL, {2, 4, 1}, "guess", NULL, false, 1, 1, 1, 0},
         BASIN_ERROR_CONFIG,
         "no method \"guess\""},
        {{"denoise", NULL, {2, 4, 1}, "mean", "{\"levels\": 1}", false, 1, 1, 1, 0},
         BASIN_ERROR_CONFIG,
         "unknown key"},
        {{"denoise", NULL, {2, 4, 1}, "mean", "[", false, 1, 1, 1, 0},
         BASIN_ERROR_CONFIG,
         "not JSON"},
        {{"denoise", NULL, {2, 4, 1}, "mean", NULL, true, 1, 1, 1, 0},
         BASIN_ERROR_CONFIG,
         "takes none"},
        {{"denoise", NULL, {2, 4, 1}, "anneal", NULL, true, 1, 1, 1, 0},
         BASIN_ERROR_CONFIG,
         "takes none"},
        {{"super-resolve", NULL, {2, 4, 1}, "mean", NULL, false, 1, 1, 1, 0},
         BASIN_ERROR_CONFIG,
         "of task denoise alone"},
        {{"denoise", NULL, {2, 4, 1}, "mean", NULL, false, 21, 1, 1, 0},
         BASIN_ERROR_CONFIG,
         "not among the levels"},
        {{"denoise", NULL, {2, 4, 1}, "anneal", NULL, false, 0.001, 1, 1, 0},
         BASIN_ERROR_CONFIG,
         "not among the levels"},
        {{"colourise", NULL, {2, 2, 3}, "anneal", "{\"rho_max\": 21}", false, 1, 1, 1, 0},
         BASIN_ERROR_CONFIG,
         "among those that"},
        {{"colourise", NULL, {2, 2, 3}, "langevin", "{\"sigma_min\": 0.001}", false, 1, 1, 1, 0},
         BASIN_ERROR_CONFIG,
         "among those that"},
        {{"colourise",
          NULL,
          {2, 2, 3},
          "map",
          "{\"sigma_min\": 3, \"sigma_max\": 2}",
          false,
          1,
          1,
          1,
          0},
         BASIN_ERROR_CONFIG,
         "among those that"},
        {{"denoise", NULL, {2, 4, 1}, "mean", NULL, false, 1, 2, 1, 0},
         BASIN_ERROR_CONFIG,
         "temperature 2 is for methods langevin and map"},
        {{"denoise", NULL, {2, 4, 1}, "anneal", "{\"rho_min\": 1}", false, 1, 1, 1, 0},
         BASIN_ERROR_CONFIG,
         "rho-min has no effect"},
        {{"denoise", NULL, {2, 4, 1}, "map", NULL, false, 0, 1, 1, 0},
         BASIN_ERROR_ARGUMENT,
         "noise of standard deviation 0"},
        {{"denoise", NULL, {2, 4, 1}, "map", NULL, false, 1, 1, 0, 0},
         BASIN_ERROR_ARGUMENT,
         "0 samples"},
    };
    (void)state;
    for (size_t i = 0; i < BASIN_COUNT(cases); i++) {
        float x[SIZE_MAX_HERE];
        bench at;
        open_bench(&at, &cases[i].what);
        const basin_restore_options options = options_of(&cases[i].what);
        assert_int_equal(basin_restore(at.energy, at.a, &options, 1, at.y, x), cases[i].status);
        assert_non_null(strstr(basin_context_error(at.context), cases[i].text));
        close_bench(&at);
    }
    bench at;
    float x[SIZE_MAX_HERE];
    basin_degradation *other;
    open_bench(&at, &samplers[0]);
    const basin_restore_options options = options_of(&samplers[0]);
    assert_int_equal(basin_degradation_create(at.context, "denoise", NULL, 4, 2, 1, &other),
                     BASIN_OK);
    assert_int_equal(basin_restore(at.energy, other, &options, 1, at.y, x), BASIN_ERROR_SHAPE);
    basin_degradation_destroy(other);
    close_bench(&at);
}

static basin_status restore_once(basin_context *context, prior *of) {
    const basin__condition condition = {.noise_level = true};
    basin_energy *energy = NULL;
    basin_degradation *a = NULL;
    float x[SIZE_MAX_HERE], y[SIZE_MAX_HERE] = {0};
    basin_restore_options options;
    basin_restore_options_init(&options);
    options.noise_std = 0.1;
    options.samples = 2;
    options.settings = "{\"levels\": 2}";
    basin_status status =
        basin_degradation_create(context, "deblur", "{\"blur_std\": 0.5}", 4, 4, 1, &a);
    if (status == BASIN_OK)
        status = basin__energy_from_points_callback(context, basin_shape_image(4, 4, 1), condition,
                                                    prior_energies, of, &energy);
    if (status == BASIN_OK)
        status = basin_degradation_observe(a, 1, y, 0.1, 1, x);
    if (status == BASIN_OK)
        status = basin_restore(energy, a, &options, 1, y, x);
    if (status == BASIN_OK)
        status = basin_degradation_solve(a, 1, 1, 1, y, x);
    basin_degradation_destroy(a);
    basin_energy_destroy(energy);
    return status;
}

static void test_memory(void **state) {
    prior of = make_prior(16);
    (void)state;
    for (long k = 0;; k++) {
        test_heap heap = {.fail_at = k};
        basin_context *context = test_context(&heap, 1);
        basin_status status = restore_once(context, &of);
        assert_int_equal(heap.alive, heap.alive_at_start);
        basin_context_destroy(context);
        if (!heap.has_failed) {
            assert_int_equal(status, BASIN_OK);
            break;
        }
        assert_int_equal(status, BASIN_ERROR_MEMORY);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_posteriors), cmocka_unit_test(test_answers),
        cmocka_unit_test(test_threads),    cmocka_unit_test(test_refused),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
