/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Densities of the built-in points against their own draws, and likelihoods by quadrature against
 * integrals that are known.
 */
#include "support.h"

#include "eval/quadrature.h"
#include <math.h>

static const char *const sets[] = {"two-moons",    "eight-gaussians", "rings",
                                   "checkerboard", "spirals",         "pinwheel"};

static basin_data *open_set(basin_context *context, const char *name, int64_t count) {
    basin_data_options options;
    basin_data *data;
    basin_data_options_init(&options);
    options.built_in_count = count;
    if (basin_data_open(context, name, &options, &data) != BASIN_OK)
        fail_msg("%s", basin_context_error(context));
    return data;
}

/** A standard normal of a generator that is apart from the library's (Box–Muller on an LCG). */
static double normal(uint64_t *state) {
    double u[2];
    for (int i = 0; i < 2; i++) {
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        u[i] = ((double)(*state >> 11) + 0.5) * 0x1p-53;
    }
    return sqrt(-2 * log(u[0])) * cos(6.283185307179586 * u[1]);
}

/* ---- densities ---- */

#define LOW (-5.0)
#define CELLS 20 /* of width 0.5 along each axis: the checkerboard's edges lie between cells */
#define DRAWS 400000
#define SEEN_LEAST 20 /* expected draws of a cell that counts by itself */

/* Gauss-Legendre on [0, 1]. */
#define NODES 5
static const double node_at[NODES] = {0.046910077030668, 0.230765344947158, 0.5, 0.769234655052842,
                                      0.953089922969332};
static const double node_weight[NODES] = {0.118463442528095, 0.239314335249683, 0.284444444444444,
                                          0.239314335249683, 0.118463442528095};

/** The density's mass in each cell, by one panel of nodes along each axis, or two without noise. */
static void integrate_cells(const basin_data *data, double noise_std, double *mass) {
    static float x[2 * 2 * CELLS * NODES];
    static double log_density[2 * CELLS * NODES];
    const int panels = noise_std > 0 ? 1 : 2, side = CELLS * panels * NODES;
    const double panel = 0.5 / panels;
    memset(mass, 0, CELLS * CELLS * sizeof *mass);
    for (int row = 0; row < side; row++) {
        for (int column = 0; column < side; column++) {
            x[2 * column] = (float)(LOW + (column / NODES + node_at[column % NODES]) * panel);
            x[2 * column + 1] = (float)(LOW + (row / NODES + node_at[row % NODES]) * panel);
        }
        assert_int_equal(basin_data_log_density(data, noise_std, side, x, log_density), BASIN_OK);
        for (int column = 0; column < side; column++)
            mass[row / (panels * NODES) * CELLS + column / (panels * NODES)] +=
                exp(log_density[column]) * node_weight[row % NODES] * node_weight[column % NODES] *
                panel * panel;
    }
}

static void count_draws(const basin_data *data, double noise_std, int64_t *seen) {
    uint64_t state = 7;
    memset(seen, 0, CELLS * CELLS * sizeof *seen);
    for (int64_t i = 0; i < DRAWS; i++) {
        float x[2];
        basin_data_get(data, i, x);
        int place[2];
        for (int axis = 0; axis < 2; axis++)
            place[axis] = (int)floor(((double)x[axis] + noise_std * normal(&state) - LOW) / 0.5);
        assert_true(place[0] >= 0 && place[0] < CELLS && place[1] >= 0 && place[1] < CELLS);
        seen[place[1] * CELLS + place[0]]++;
    }
}

/**
 * Pearson's statistic is about normal with mean k and variance 2k; 5 deviations above is a false
 * alarm rarer than one in 10⁵, for each of twelve fixed draws.
 */
static void check_density(basin_context *context, const char *name, double noise_std) {
    static double mass[CELLS * CELLS];
    static int64_t seen[CELLS * CELLS];
    basin_data *data = open_set(context, name, DRAWS);
    integrate_cells(data, noise_std, mass);
    count_draws(data, noise_std, seen);
    double total = 0, statistic = 0, rest = 0;
    int64_t rest_seen = 0;
    int cells = 0;
    for (int i = 0; i < CELLS * CELLS; i++) {
        const double expected = mass[i] * DRAWS, apart = (double)seen[i] - expected;
        total += mass[i];
        if (expected >= SEEN_LEAST) {
            statistic += apart * apart / expected;
            cells++;
        } else {
            rest += expected;
            rest_seen += seen[i];
        }
    }
    if (fabs(total - 1) > 2e-5)
        fail_msg("%s with noise %g: the density adds up to %.7f", name, noise_std, total);
    if (statistic > cells + 5 * sqrt(2.0 * cells) ||
        fabs((double)rest_seen - rest) > 5 * sqrt(rest + 1))
        fail_msg("%s with noise %g: chi-square %.1f of %d cells; elsewhere %lld for %.1f expected",
                 name, noise_std, statistic, cells, (long long)rest_seen, rest);
    basin_data_close(data);
}

static void test_densities_are_those_of_the_draws(void **state) {
    (void)state;
    basin_context *context = test_context_on("generic", 2);
    for (size_t i = 0; i < BASIN_COUNT(sets); i++) {
        check_density(context, sets[i], 0);
        check_density(context, sets[i], 0.1);
    }
    basin_context_destroy(context);
}

static void test_bad_densities(void **state) {
    (void)state;
    const float x[2] = {0, 0};
    double out;
    basin_context *context = test_context_on("generic", 1);
    basin_data *strokes = open_set(context, "strokes", 1), *moons = open_set(context, sets[0], 1);
    assert_int_equal(basin_data_log_density(strokes, 0, 1, x, &out), BASIN_ERROR_UNSUPPORTED);
    assert_int_equal(basin_data_log_density(moons, -1, 1, x, &out), BASIN_ERROR_ARGUMENT);
    assert_int_equal(basin_data_log_density(moons, (double)NAN, 1, x, &out), BASIN_ERROR_ARGUMENT);
    assert_int_equal(basin_data_log_density(moons, 1e-4, 1, x, &out), BASIN_ERROR_ARGUMENT);
    basin_data_close(strokes);
    basin_data_close(moons);
    basin_context_destroy(context);
}

/* ---- quadrature ---- */

/** ½ xᵀ A x for A = [[a, b], [b, c]] around a place. */
typedef struct quadric {
    double a, b, c, x, y, scale;
} quadric;

static basin_status quadric_energy(void *user, int64_t n, const float *x, double *energies) {
    const quadric *of = user;
    for (int64_t i = 0; i < n; i++) {
        double u = (double)x[2 * i] - of->x, v = (double)x[2 * i + 1] - of->y;
        energies[i] = of->scale * 0.5 * (of->a * u * u + 2 * of->b * u * v + of->c * v * v);
    }
    return BASIN_OK;
}

static void test_log_z(void **state) {
    (void)state;
    /* round; shifted and far wider than the first square; a narrow ridge across the axes */
    const quadric cases[] = {
        {1, 0, 1, 0, 0, 1}, {0.04, 0, 0.01, 2, -1, 1}, {50, 49, 50, 0.5, 0, 1}};
    basin_context *context = test_context_on("generic", 1);
    for (size_t i = 0; i < BASIN_COUNT(cases); i++) {
        quadric of = cases[i];
        for (int t = 1; t <= 2; t++) { /* temperature t of t E is E at 1 */
            basin__quadrature found;
            of.scale = t;
            if (basin__quadrature_run(context, quadric_energy, &of, t, -5, 5, 1e-3, &found) !=
                BASIN_OK)
                fail_msg("%s", basin_context_error(context));
            double exact = log(2 * 3.14159265358979323846) - 0.5 * log(of.a * of.c - of.b * of.b);
            assert_true(fabs(found.log_z - exact) < 1e-3);
            assert_true(fabs(found.change) < 1e-3 && found.outside < 1e-4);
        }
    }
    basin_context_destroy(context);
}

static basin_status flat_energy(void *user, int64_t n, const float *x, double *energies) {
    (void)x;
    for (int64_t i = 0; i < n; i++)
        energies[i] = *(double *)user;
    return BASIN_OK;
}

static void test_no_likelihood(void **state) {
    (void)state;
    basin_context *context = test_context_on("generic", 1);
    basin__quadrature found;
    double flat = 1, broken = (double)NAN;
    assert_int_equal(basin__quadrature_run(context, flat_energy, &flat, 1, -5, 5, 1e-3, &found),
                     BASIN_ERROR_DIVERGED);
    assert_non_null(strstr(basin_context_error(context), "does not confine"));
    assert_int_equal(basin__quadrature_run(context, flat_energy, &broken, 1, -5, 5, 1e-3, &found),
                     BASIN_ERROR_DIVERGED);
    assert_non_null(strstr(basin_context_error(context), "at (-"));
    basin_context_destroy(context);
}

/** −log p of a set as an energy. */
static basin_status exact_energy(void *user, int64_t n, const float *x, double *energies) {
    BASIN_TRY(basin_data_log_density(user, 0.1, n, x, energies));
    for (int64_t i = 0; i < n; i++)
        energies[i] = 3 - energies[i];
    return BASIN_OK;
}

/** A model that is the density has KL 0 and log Z −3; one that is another Gaussian, a known KL. */
static void test_divergence(void **state) {
    (void)state;
    enum { N = 2000 };
    static float x[2 * N];
    static double log_density[N];
    basin_context *context = test_context_on("generic", 2);
    basin__plane_fit fit;
    uint64_t noise = 3;
    basin_data *data = open_set(context, "rings", N);
    for (int i = 0; i < N; i++) {
        basin_data_get(data, i, x + 2 * i);
        x[2 * i] += 0.1f * (float)normal(&noise);
        x[2 * i + 1] += 0.1f * (float)normal(&noise);
    }
    assert_int_equal(basin_data_log_density(data, 0.1, N, x, log_density), BASIN_OK);
    assert_int_equal(
        basin__plane_fit_run(context, exact_energy, data, 1, -5, 5, N, x, log_density, &fit),
        BASIN_OK);
    assert_true(fabs(fit.kl) < 1e-3 && fabs(fit.quadrature.log_z + 3) < 1e-3);
    assert_true(fit.kl_error < 1e-6);
    for (int i = 0; i < 2 * N; i++)
        x[i] = (float)normal(&noise);
    for (int i = 0; i < N; i++)
        log_density[i] = -0.5 * ((double)x[2 * i] * (double)x[2 * i] +
                                 (double)x[2 * i + 1] * (double)x[2 * i + 1]) -
                         log(2 * 3.14159265358979323846);
    quadric wide = {0.25, 0, 0.25, 0, 0, 1}; /* N(0, 4): KL = log 4 + ½ (2/4) − 1 */
    assert_int_equal(
        basin__plane_fit_run(context, quadric_energy, &wide, 1, -5, 5, N, x, log_density, &fit),
        BASIN_OK);
    assert_true(fabs(fit.kl - (log(4.0) + 0.25 - 1)) < 5 * fit.kl_error + 1e-3);
    assert_true(fit.kl_error > 0.005 && fit.kl_error < 0.03);
    basin_data_close(data);
    basin_context_destroy(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_densities_are_those_of_the_draws),
        cmocka_unit_test(test_bad_densities),
        cmocka_unit_test(test_log_z),
        cmocka_unit_test(test_no_likelihood),
        cmocka_unit_test(test_divergence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
