/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths of low energy, on a landscape whose pass is known:
 *
 *     E = (x² − 1)² + 2 (y − ½ (1 − x²))²
 *
 * has its valleys at (±1, 0) and between them the pass (0, ½) of energy 1, which is left along x.
 * The path of least energy runs as steepest descent does from there.
 */
#include "support.h"

#include <basin/path.h>
#include <math.h>

static void double_well(void *user, int64_t n, const float *x, double *energies, float *gradient) {
    (void)user;
    for (int64_t i = 0; i < n; i++) {
        const double u = (double)x[2 * i], well = u * u - 1;
        const double off = (double)x[2 * i + 1] + 0.5 * well;
        energies[i] = well * well + 2 * off * off;
        if (gradient) {
            gradient[2 * i] = (float)(4 * u * well + 4 * off * u);
            gradient[2 * i + 1] = (float)(4 * off);
        }
    }
}

/** The same, but nothing can be above the line `user` points to. */
static void walled_well(void *user, int64_t n, const float *x, double *energies, float *gradient) {
    double_well(NULL, n, x, energies, gradient);
    for (int64_t i = 0; i < n; i++)
        if ((double)x[2 * i + 1] > *(const double *)user)
            energies[i] = (double)NAN;
}

/** It falls without end, ever faster, to both sides of the line. */
static void bottomless(void *user, int64_t n, const float *x, double *energies, float *gradient) {
    (void)user;
    for (int64_t i = 0; i < n; i++) {
        const double y = (double)x[2 * i + 1] + 0.01;
        energies[i] = -y * y * y * y;
        if (gradient) {
            gradient[2 * i] = 0;
            gradient[2 * i + 1] = (float)(-4 * y * y * y);
        }
    }
}

static basin_energy *make(basin_context *context, basin_energy_function *function, void *user) {
    basin_energy *energy;
    assert_int_equal(basin_energy_from_callback(context, 1, 1, 2, function, user, &energy),
                     BASIN_OK);
    return energy;
}

/** A line from one valley to the other. */
static void set_line(const basin_energy *energy, int64_t count, float *x) {
    const float ends[4] = {-1, 0, 1, 0};
    memcpy(x, ends, 2 * sizeof(float));
    memcpy(x + 2 * (count - 1), ends + 2, 2 * sizeof(float));
    basin_path_line(energy, count, x);
}

/** How far (u, v) is from steepest descent from the pass, by Euler's steps of length 0.001. */
static double off_the_path(double u, double v) {
    float x[2] = {u < 0 ? -1e-3f : 1e-3f, 0.5f}, gradient[2];
    double nearest = hypot(u, v - 0.5), energy;
    for (int step = 0; step < 2000; step++) {
        double_well(NULL, 1, x, &energy, gradient);
        const float norm = hypotf(gradient[0], gradient[1]);
        if (!(norm > 0))
            break;
        x[0] -= 1e-3f * gradient[0] / norm;
        x[1] -= 1e-3f * gradient[1] / norm;
        nearest = fmin(nearest, hypot(u - (double)x[0], v - (double)x[1]));
    }
    assert_true(fabsf(fabsf(x[0]) - 1) < 0.01f && fabsf(x[1]) < 0.01f); /* it came to the valley */
    return nearest;
}

#define COUNT_MAX 21

static void check_path(basin_context *context, int64_t count) {
    basin_energy *energy = make(context, double_well, NULL);
    float x[2 * COUNT_MAX];
    double line[COUNT_MAX], energies[COUNT_MAX];
    basin_path_report report = {.size = sizeof report};
    set_line(energy, count, x);
    for (int64_t i = 0; i < count; i++)
        assert_true(fabs((double)x[2 * i] - (-1 + 2.0 * (double)i / (double)(count - 1))) < 1e-6);
    assert_int_equal(basin_energy_evaluate(energy, count, x, line, NULL), BASIN_OK);
    assert_int_equal(basin_path_relax(energy, NULL, count, x, energies, &report), BASIN_OK);
    if (!report.is_converged || report.steps == 0)
        fail_msg("%d images: %d steps, force %g, unevenness %g", (int)count, report.steps,
                 report.force, report.unevenness);
    /* an odd count has an image on the pass by symmetry; an even one has two beside it, which at a
       distance of 1/(count − 1) or more to each side are lower by about 2 u² */
    const double barrier = basin_path_barrier(count, energies);
    if (fabs(barrier - 1) > (count % 2 ? 0.01 : 0.03))
        fail_msg("%d images: a barrier of %g", (int)count, barrier);
    if (count % 2)
        assert_true(fabs(basin_path_barrier(count, line) - 1.5) < 1e-6);
    for (int64_t i = 0; i < count; i++) {
        const double u = (double)x[2 * i], v = (double)x[2 * i + 1];
        if (off_the_path(u, v) > 0.03)
            fail_msg("%d images: image %d is at (%g, %g), %g off the path", (int)count, (int)i, u,
                     v, off_the_path(u, v));
    }
    assert_true(x[0] == -1 && x[1] == 0 && x[2 * (count - 1)] == 1 && x[2 * count - 1] == 0);
    basin_energy_destroy(energy);
}

static void test_double_well(void **state) {
    (void)state;
    basin_context *context = test_context_on("generic", 1);
    check_path(context, 3);
    check_path(context, 11);
    check_path(context, 20);
    check_path(context, 21);
    basin_context_destroy(context);
}

/** A chain that starts far off and uneven comes to the same path. */
static void test_start_is_free(void **state) {
    (void)state;
    enum { N = 9 };
    basin_context *context = test_context_on("generic", 1);
    basin_energy *energy = make(context, double_well, NULL);
    basin_path_report report = {.size = sizeof report};
    float x[2 * N];
    double energies[N];
    set_line(energy, N, x);
    for (int i = 1; i < N - 1; i++) {
        x[2 * i] = -1 + 2 * (float)(i * i) / (float)((N - 1) * (N - 1));
        x[2 * i + 1] = -0.5f;
    }
    assert_int_equal(basin_path_relax(energy, NULL, N, x, energies, &report), BASIN_OK);
    assert_true(report.is_converged && report.unevenness <= 0.01);
    assert_true(fabs(basin_path_barrier(N, energies) - 1) < 0.01);
    assert_true(fabsf(x[N - 1]) < 0.05f); /* the middle one, which had been at −½ */
    basin_energy_destroy(energy);
    basin_context_destroy(context);
}

static void test_any_threads(void **state) {
    (void)state;
    enum { N = 21 };
    float x[2][2 * N];
    double energies[2][N];
    basin_path_report reports[2];
    memset(reports, 0, sizeof reports);
    for (int i = 0; i < 2; i++) {
        basin_context *context = test_context_on(NULL, i == 0 ? 1 : 3);
        basin_energy *energy;
        assert_int_equal(
            basin_energy_create(context, "mlp", "{\"hidden\": \"16\"}", 1, 1, 2, 5, &energy),
            BASIN_OK);
        reports[i].size = sizeof reports[i];
        set_line(energy, N, x[i]);
        if (basin_path_relax(energy, NULL, N, x[i], energies[i], &reports[i]) != BASIN_OK)
            fail_msg("%s", basin_context_error(context));
        basin_energy_destroy(energy);
        basin_context_destroy(context);
    }
    assert_true(reports[0].steps > 0);
    assert_memory_equal(x[0], x[1], sizeof x[0]);
    assert_memory_equal(energies[0], energies[1], sizeof energies[0]);
    assert_int_equal(reports[0].steps, reports[1].steps);
}

/** Images stop where there is no energy, and where it has no bottom they go no farther than steps
 * of a fifth of the spacing take them. */
static void test_never_diverges(void **state) {
    (void)state;
    enum { N = 11, STEPS = 40 };
    basin_context *context = test_context_on("generic", 1);
    double wall = 0.3, energies[N];
    basin_energy *walled = make(context, walled_well, &wall);
    basin_energy *falling = make(context, bottomless, NULL);
    float x[2 * N];
    basin_path_report report = {.size = sizeof report};
    basin_path_options options;
    basin_path_options_init(&options);
    set_line(walled, N, x);
    assert_int_equal(basin_path_relax(walled, NULL, N, x, energies, &report), BASIN_OK);
    assert_false(report.is_converged);
    for (int i = 0; i < N; i++)
        assert_true(x[2 * i + 1] <= 0.3f && isfinite(energies[i]));
    assert_true(basin_path_barrier(N, energies) < 1.5); /* 1 + 2 (0.2)² = 1.08 at the wall */
    options.step_count = STEPS;
    set_line(falling, N, x);
    assert_int_equal(basin_path_relax(falling, &options, N, x, energies, &report), BASIN_OK);
    assert_int_equal(report.steps, STEPS);
    for (int i = 0; i < N; i++)
        assert_true(isfinite(energies[i]) && fabsf(x[2 * i + 1]) <= STEPS * 0.2f * 0.2f + 1e-3f);
    assert_true(x[N] > 0.5f); /* it did go */
    basin_energy_destroy(walled);
    basin_energy_destroy(falling);
    basin_context_destroy(context);
}

static void test_mistakes(void **state) {
    (void)state;
    enum { N = 5 };
    basin_context *context = test_context_on("generic", 1);
    double wall = -0.5, energies[N] = {7};
    basin_energy *well = make(context, double_well, NULL);
    basin_energy *broken = make(context, walled_well, &wall);
    float x[2 * N], before[2 * N];
    basin_path_options options;
    basin_path_options_init(&options);
    set_line(well, N, x);
    memcpy(before, x, sizeof x);
    assert_int_equal(basin_path_relax(well, NULL, 2, x, energies, NULL), BASIN_ERROR_ARGUMENT);
    assert_non_null(strstr(basin_context_error(context), "expected 3 or more"));
    options.noise_level = 0.5;
    assert_int_equal(basin_path_relax(well, &options, N, x, energies, NULL), BASIN_ERROR_ARGUMENT);
    assert_non_null(strstr(basin_context_error(context), "takes none"));
    options.noise_level = 0;
    options.tolerance = 1;
    assert_int_equal(basin_path_relax(well, &options, N, x, energies, NULL), BASIN_ERROR_ARGUMENT);
    assert_int_equal(basin_path_relax(broken, NULL, N, x, energies, NULL), BASIN_ERROR_DIVERGED);
    assert_non_null(strstr(basin_context_error(context), "image 0 of 5"));
    assert_memory_equal(x, before, sizeof x);
    assert_true(energies[0] == 7);
    memcpy(x + 2 * (N - 1), x, 2 * sizeof(float));
    assert_int_equal(basin_path_relax(well, NULL, N, x, energies, NULL), BASIN_ERROR_ARGUMENT);
    assert_non_null(strstr(basin_context_error(context), "the same"));
    basin_energy_destroy(well);
    basin_energy_destroy(broken);
    basin_context_destroy(context);
}

static void test_no_memory(void **state) {
    (void)state;
    for (long k = 0;; k++) {
        test_heap heap = {.fail_at = -1};
        basin_context *context = test_context(&heap, 1);
        basin_energy *energy = make(context, double_well, NULL);
        const long alive = heap.alive;
        float x[2 * 5];
        double energies[5];
        set_line(energy, 5, x);
        heap.calls = 0;
        heap.fail_at = k;
        const basin_status status = basin_path_relax(energy, NULL, 5, x, energies, NULL);
        const bool has_failed = heap.has_failed;
        if (has_failed)
            assert_int_equal(heap.alive, alive);
        basin_energy_destroy(energy);
        assert_int_equal(heap.alive, heap.alive_at_start);
        basin_context_destroy(context);
        assert_int_equal(status, has_failed ? BASIN_ERROR_MEMORY : BASIN_OK);
        if (!has_failed)
            break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_double_well), cmocka_unit_test(test_start_is_free),
        cmocka_unit_test(test_any_threads), cmocka_unit_test(test_never_diverges),
        cmocka_unit_test(test_mistakes),    cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
