/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures of samples against closed forms, hand-worked cases and their definitions written out in
 * double. All chance is seeded: the same bits in every run.
 */
#include "eval/classify.h"
#include "eval/features.h"
#include "eval/frechet.h"
#include "eval/neighbours.h"
#include "eval/prdc.h"
#include "eval/unit.h"
#include "io/image.h"
#include "support.h"
#include <math.h>

/* Read by the leak checker: fontconfig keeps the fonts that charts were drawn with. */
BASIN_API const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:libfontconfig"; }

/* A macro, so that a failure names the caller's line. */
#define assert_near(value, expected, tolerance)                                                    \
    assert_true(fabs((value) - (expected)) <= (tolerance))

static int setup(void **state) {
    *state = test_context_on(NULL, 2);
    return 0;
}

static int teardown(void **state) {
    basin_context_destroy(*state);
    return 0;
}

static basin__features features(int64_t count, int64_t dimension, const float *x) {
    return (basin__features){"the set", count, dimension, x};
}

static void fill(float *x, int64_t count, uint64_t first, double scale, double shift) {
    for (int64_t i = 0; i < count; i++)
        x[i] = (float)(scale * test_number(first + (uint64_t)i) + shift);
}

static void expect_error(basin_context *context, basin_status got, basin_status wanted,
                         const char *text) {
    assert_int_equal(got, wanted);
    assert_non_null(strstr(basin_context_error(context), text));
    assert_null(strchr(basin_context_error(context), '\n'));
}

/* ---- Fréchet ------------------------------------------------------------------------------- */

static double frechet(basin_context *context, const float *a, int64_t n, const float *b, int64_t m,
                      int64_t d) {
    const basin__features x = features(n, d, a), y = features(m, d, b);
    double out = -1;
    assert_int_equal(basin__frechet_distance(context, &x, &y, &out), BASIN_OK);
    return out;
}

static void frechet_of_known_moments(void **state) {
    /* Means 0 and (3, 4), diagonal covariances (4, 4) / 3 and (16, 0) / 3: 25 and for each axis the
       square difference of the deviations. */
    const float a[] = {1, 1, -1, 1, 1, -1, -1, -1};
    const float b[] = {5, 4, 1, 4, 5, 4, 1, 4};
    const double va = 4.0 / 3.0, vb = 16.0 / 3.0;
    assert_near(frechet(*state, a, 4, b, 4, 2),
                25 + (sqrt(va) - sqrt(vb)) * (sqrt(va) - sqrt(vb)) + va, 1e-12);
    /* In one dimension: (μ₁ − μ₂)² + (σ₁ − σ₂)², of any number of examples. */
    const float c[] = {1, 2, 3}, d[] = {10, 14};
    assert_near(frechet(*state, c, 3, d, 2, 1), 100 + (sqrt(8.0) - 1) * (sqrt(8.0) - 1), 1e-12);
    /* [8 4; 4 4] / 3 and [2 0; 0 18] / 3 do not commute. In two dimensions
       tr (C₁ C₂)^½ = √(tr C₁C₂ + 2 √(det C₁C₂)). */
    const float e[] = {2, 1, -2, -1, 0, 1, 0, -1};
    const float f[] = {1, 0, -1, 0, 0, 3, 0, -3};
    const double trace = (8.0 * 2 + 4.0 * 18) / 9, det = (8.0 * 4 - 16) * (2.0 * 18) / 81;
    assert_near(frechet(*state, e, 4, f, 4, 2),
                (8.0 + 4 + 2 + 18) / 3 - 2 * sqrt(trace + 2 * sqrt(det)), 1e-12);
}

static void frechet_of_equal_and_moved_sets(void **state) {
    enum { N = 300, D = 37 };
    static float a[N * D], b[N * D], c[N * D];
    fill(a, N * D, 0, 1, 0);
    for (int i = 0; i < N * D; i++) {
        b[i] =
            a[(i / D + 7) % N * D + i % D] + 0.25f; /* another order, moved by 1/4 on each axis */
        c[i] = 3 * a[i];
    }
    assert_near(frechet(*state, a, N, a, N, D), 0, 1e-10);
    assert_near(frechet(*state, a, N, b, N, D), D / 16.0,
                1e-4); /* floats hold 1e-7 of each value */
    /* Scaled by 3 the trace of the covariances' difference is (3 − 1)² of the variance, and the
       means move by 2 |m|. */
    double variance = 0, mean_square = 0;
    for (int j = 0; j < D; j++) {
        double mean = 0, square = 0;
        for (int i = 0; i < N; i++)
            mean += (double)a[i * D + j] / N;
        for (int i = 0; i < N; i++)
            square += ((double)a[i * D + j] - mean) * ((double)a[i * D + j] - mean);
        variance += square / (N - 1);
        mean_square += mean * mean;
    }
    assert_near(frechet(*state, a, N, c, N, D), 4 * variance + 4 * mean_square, 1e-4);
    /* Fewer examples than features: singular covariances are no error. */
    assert_near(frechet(*state, a, 5, a, 5, D), 0, 1e-6);
}

/* ---- kernel distance ----------------------------------------------------------------------- */

static double kernel(const float *x, const float *y, int d) {
    double dot = 0;
    for (int i = 0; i < d; i++)
        dot += (double)x[i] * (double)y[i];
    return pow(dot / d + 1, 3);
}

static void kernel_distance_of_constants(void **state) {
    /* All vectors of a set equal: every subset gives k(x, x) + k(y, y) − 2 k(x, y), error 0. */
    float a[20], b[24];
    for (int i = 0; i < 20; i++)
        a[i] = i % 2 ? 2.0f : 1.0f;
    for (int i = 0; i < 24; i++)
        b[i] = i % 2 ? -1.0f : 3.0f;
    const basin__features x = features(10, 2, a), y = features(12, 2, b);
    basin__kernel_distance got;
    assert_int_equal(basin__kernel_distance_measure(*state, &x, &y, 3, &got), BASIN_OK);
    assert_int_equal(got.subset, 5);
    assert_near(got.value, kernel(a, a, 2) + kernel(b, b, 2) - 2 * kernel(a, b, 2), 1e-12);
    assert_near(got.error, 0, 1e-12);
}

static void kernel_distance_is_unbiased(void **state) {
    enum { N = 400, D = 5 };
    static float a[N * D], b[N * D];
    fill(a, N * D, 0, 1, 0);
    fill(b, N * D, 100000, 1, 0);
    basin__kernel_distance same, apart, again;
    basin__features x = features(N, D, a), y = features(N, D, b);
    assert_int_equal(basin__kernel_distance_measure(*state, &x, &y, 1, &same), BASIN_OK);
    /* The full sets' unbiased estimate, by its definition: what the subsets' mean scatters about.
     */
    double inner = 0, outer = 0, between = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            inner += i == j ? 0 : kernel(a + i * D, a + j * D, D);
            outer += i == j ? 0 : kernel(b + i * D, b + j * D, D);
            between += kernel(a + i * D, b + j * D, D);
        }
    const double full = (inner + outer) / (N * (N - 1.0)) - 2 * between / (N * (double)N);
    assert_true(same.error > 0);
    assert_near(same.value, full, 5 * same.error);
    fill(b, N * D, 100000, 1, 0.5);
    assert_int_equal(basin__kernel_distance_measure(*state, &x, &y, 1, &apart), BASIN_OK);
    assert_true(apart.value > 20 * apart.error);
    basin_context *other = test_context_on(NULL, 5);
    assert_int_equal(basin__kernel_distance_measure(other, &x, &y, 1, &again), BASIN_OK);
    assert_memory_equal(&again, &apart, sizeof again);
    basin_context_destroy(other);
}

/* ---- neighbours ---------------------------------------------------------------------------- */

/** The k nearest by their definition: repeated passes over all of b. */
static void nearest_by_definition(const float *x, const float *b, int m, int d, int own, int k,
                                  int64_t *index) {
    bool is_taken[512] = {false};
    for (int r = 0; r < k; r++) {
        double best = HUGE_VAL;
        for (int j = 0; j < m; j++) {
            const double square = basin__distance_square(x, b + j * d, d);
            if (j != own && !is_taken[j] && square < best) {
                best = square;
                index[r] = j;
            }
        }
        is_taken[index[r]] = true;
    }
}

static void check_nearest(const char *isa, int n, int m, int d, double shift) {
    enum { K = 5, MOST = 512 * 70 };
    static float a[MOST], b[MOST];
    static int64_t index[512 * K];
    static double distance[512 * K];
    basin_context *context = test_context_on(isa, 3);
    if (!context)
        return;
    fill(a, n * d, 7, 1, shift);
    fill(b, m * d, 77777, 1, shift);
    for (int i = 0; i < d; i++) /* three at one place */
        b[2 * d + i] = b[i] = b[d + i];
    for (int is_same = 0; is_same < 2; is_same++) {
        const basin__features x = features(is_same ? m : n, d, is_same ? b : a);
        const basin__features y = features(m, d, b);
        assert_int_equal(basin__nearest_find(context, &x, &y, K, is_same, index, distance),
                         BASIN_OK);
        for (int i = 0; i < x.count; i++) {
            int64_t wanted[K];
            nearest_by_definition(x.x + i * d, b, m, d, is_same ? i : -1, K, wanted);
            assert_memory_equal(wanted, index + i * K, sizeof wanted);
            for (int r = 0; r < K; r++)
                assert_near(distance[i * K + r],
                            sqrt(basin__distance_square(x.x + i * d, b + wanted[r] * d, d)), 0.0);
        }
    }
    basin_context_destroy(context);
}

static void nearest_are_exact(void **state) {
    (void)state;
    static const char *const isas[] = {"reference", "generic", NULL};
    for (int i = 0; i < 3; i++) {
        check_nearest(isas[i], 1, 6, 1, 0);
        check_nearest(isas[i], 97, 65, 3, 0);
        check_nearest(isas[i], 33, 130, 70, 0);
        /* Far from the origin floats cannot tell any two distances apart. */
        check_nearest(isas[i], 20, 64, 17, 3000);
    }
    check_nearest(NULL, 300, 500, 70, 0);
}

static void share_below_by_hand(void **state) {
    const double reference[] = {5, 1, 4, 2, 3}, distances[] = {0.5, 2, 2.5, 9};
    double share;
    /* 40 % of five: the second, 2; one of four lies below. */
    assert_int_equal(basin__share_below(*state, 4, distances, 5, reference, 40, &share), BASIN_OK);
    assert_near(share, 0.25, 0);
    assert_int_equal(basin__share_below(*state, 4, distances, 5, reference, 100, &share), BASIN_OK);
    assert_near(share, 0.75, 0);
    assert_int_equal(basin__share_below(*state, 4, distances, 5, reference, 0, &share), BASIN_OK);
    assert_near(share, 0.25, 0);
    expect_error(*state, basin__share_below(*state, 4, distances, 0, reference, 1, &share),
                 BASIN_ERROR_ARGUMENT, "expected one or more");
}

/* ---- precision, recall, density, coverage -------------------------------------------------- */

static void prdc_by_hand(void **state) {
    /* On a line, k = 1. Real 0 1 3 7: radii 1 1 2 4. Samples 0.5 2 20 21: radii 1.5 1.5 1 1.
       0.5 lies in the balls of 0 and 1; 2 in those of 1 (its edge) and 3; 20 and 21 in none.
       0 1 and 3 lie in a sample's ball: 0 and 1 in that of 0.5, 3 in that of 2. */
    const float real[] = {0, 1, 3, 7}, samples[] = {0.5f, 2, 20, 21};
    const basin__features x = features(4, 1, real), y = features(4, 1, samples);
    basin__prdc got;
    assert_int_equal(basin__prdc_measure(*state, &x, &y, 1, &got), BASIN_OK);
    assert_near(got.precision, 0.5, 0);
    assert_near(got.recall, 0.75, 0);
    assert_near(got.density, 4 / 4.0, 0);
    assert_near(got.coverage, 0.75, 0);
    /* The set itself: all is found, and each ball holds its own example and its k neighbours. */
    assert_int_equal(basin__prdc_measure(*state, &x, &x, 1, &got), BASIN_OK);
    assert_near(got.precision, 1, 0);
    assert_near(got.recall, 1, 0);
    assert_near(got.coverage, 1, 0);
    assert_near(got.density, 8 / 4.0, 0); /* 0 holds 0 1; 1 holds 0 1; 3 holds 1 3; 7 holds 3 7 */
}

static double radius_of(const float *x, int n, int d, int i, int k) {
    int64_t index[8];
    nearest_by_definition(x + i * d, x, n, d, i, k, index);
    return basin__distance_square(x + i * d, x + index[k - 1] * d, d);
}

static void prdc_is_its_definition(void **state) {
    enum { N = 120, M = 97, D = 9, K = 5 };
    static float a[N * D], b[M * D];
    fill(a, N * D, 0, 1, 10);
    fill(b, M * D, 5000, 0.8, 10.3);
    int precise = 0, recalled = 0, held = 0, covered = 0;
    bool is_held[M] = {false};
    for (int i = 0; i < N; i++) {
        const double radius = radius_of(a, N, D, i, K);
        bool is_recalled = false, is_covered = false;
        for (int j = 0; j < M; j++) {
            const double square = basin__distance_square(a + i * D, b + j * D, D);
            is_recalled |= square <= radius_of(b, M, D, j, K);
            is_covered |= square <= radius;
            is_held[j] |= square <= radius;
            held += square <= radius;
        }
        recalled += is_recalled;
        covered += is_covered;
    }
    for (int j = 0; j < M; j++)
        precise += is_held[j];
    const basin__features x = features(N, D, a), y = features(M, D, b);
    basin__prdc got;
    assert_int_equal(basin__prdc_measure(*state, &x, &y, K, &got), BASIN_OK);
    assert_near(got.precision, precise / (double)M, 1e-15);
    assert_near(got.recall, recalled / (double)N, 1e-15);
    assert_near(got.density, held / (double)(K * M), 1e-15);
    assert_near(got.coverage, covered / (double)N, 1e-15);
    assert_true(precise > 0 && precise < M && recalled > 0 && recalled < N && covered < N);
}

/* ---- classifiers --------------------------------------------------------------------------- */

static void calibration_by_hand(void **state) {
    (void)state;
    /* Two classes, p(0) = 0.9, 0.9, 0.6 and one without a label. */
    const double odds[] = {log(9.0), log(9.0), log(1.5), 5};
    const int labels[] = {0, 1, 0, -1};
    float logits[8] = {0};
    for (int i = 0; i < 4; i++)
        logits[2 * i] = (float)odds[i];
    const basin__calibration got = basin__calibration_of(4, 2, labels, logits);
    assert_int_equal(got.count, 3);
    assert_near(got.accuracy, 2.0 / 3.0, 1e-12);
    assert_near(got.nll, -(log(0.9) + log(0.1) + log(0.6)) / 3, 1e-6);
    assert_near(got.brier, (2 * 0.01 + 2 * 0.81 + 2 * 0.16) / 3, 1e-6);
    /* Bins (12/15, 13/15] … : 0.9 is in bin 13, accuracy 1/2; 0.6 in bin 8 or, rounded up, 9. */
    assert_int_equal(got.bins[13].count, 2);
    assert_near(got.bins[13].accuracy, 0.5, 1e-12);
    assert_near(got.ece, (2 * 0.4 + 0.4) / 3, 1e-6);
    assert_true(isnan(basin__calibration_of(1, 2, labels + 3, logits).ece));
}

static void legibility_by_hand(void **state) {
    /* Two classes and none of these. */
    const float p[] = {
        0.95f, 0.03f, 0.02f, /* class 0, confident */
        0.6f,  0.1f,  0.3f,  /* class 0, legible */
        0.4f,  0.3f,  0.3f,  /* class 0, not legible */
        0.1f,  0.85f, 0.05f, /* class 1, legible */
        0.05f, 0.0f,  0.95f, /* none */
    };
    const double reference[] = {10, 30};
    basin__legibility got;
    assert_int_equal(basin__legibility_of(*state, 5, 3, 2, p, reference, &got), BASIN_OK);
    assert_near(got.legible, 0.6, 1e-15);
    assert_near(got.confident, 0.2, 1e-15);
    /* Shares 3/4 and 1/4 of four, of which 1/4 and 3/4 were wanted. */
    assert_near(got.balance, (0.75 * log(4 / 3.0) + 0.25 * log(4.0)) / log(2.0), 1e-12);
    assert_near(got.smallest_share, 1 / 3.0, 1e-12);
    assert_int_equal(got.smallest_class, 1);
    assert_int_equal(basin__legibility_of(*state, 1, 3, 2, p + 12, NULL, &got), BASIN_OK);
    assert_true(isnan(got.balance) && got.legible <= 0);
    expect_error(*state, basin__legibility_of(*state, 5, 3, 1, p, NULL, &got), BASIN_ERROR_ARGUMENT,
                 "at most one output beside the classes");
}

static void agreement_by_hand(void **state) {
    (void)state;
    const float p[] = {
        0.8f, 0.1f, 0.1f, /* asked for 0: legible */
        0.4f, 0.3f, 0.3f, /* for 0: likeliest, not legible */
        0.3f, 0.1f, 0.6f, /* for 0: none of these is likelier */
        0.9f, 0.1f, 0.0f, /* for 1: not at all */
        0.1f, 0.5f, 0.4f, /* for 1: 0.5 is not above 0.5 */
        0.9f, 0.1f, 0.0f, /* for none */
        0.0f, 0.0f, 1.0f, /* for what is no class */
    };
    const int asked[] = {0, 0, 0, 1, 1, -1, 2};
    basin__agreement by_class[2] = {{7, 7, 7}, {7, 7, 7}};
    const basin__agreement all = basin__agreement_of(7, 3, 2, p, asked, by_class);
    const basin__agreement wanted[] = {{3, 2, 1}, {2, 1, 0}, {5, 3, 1}};
    assert_memory_equal(by_class, wanted, sizeof by_class);
    assert_memory_equal(&all, &wanted[2], sizeof all);
    const basin__agreement none = basin__agreement_of(0, 3, 2, p, asked, by_class);
    assert_true(none.count == 0 && by_class[0].count == 0);
}

/* ---- scales and features ------------------------------------------------------------------- */

static basin_data *wrap(basin_context *context, int64_t count, int side, const float *x) {
    basin_data *data = NULL;
    assert_int_equal(
        basin_data_from_memory(context, "wrapped", count, side, side, 1, true, x, NULL, &data),
        BASIN_OK);
    return data;
}

static void check_unit(basin_context *context, const float x[4], const float *range,
                       const float wanted[4], double clamped) {
    basin_data *data = wrap(context, 1, 2, x), *scaled = NULL;
    basin__unit unit;
    float got[4];
    assert_int_equal(basin__unit_images(context, data, range, "--range", &unit, &scaled), BASIN_OK);
    basin_data_get(scaled, 0, got);
    for (int i = 0; i < 4; i++)
        assert_near((double)got[i], (double)wanted[i], 1e-6);
    assert_near(unit.clamped, clamped, 0);
    basin_data_close(scaled);
    basin_data_close(data);
}

static void images_come_to_one_scale(void **state) {
    const float unit[] = {0, 0.25f, 1, 0.5f}, under[] = {-0.05f, 0.25f, 1.08f, 0.5f};
    const float signs[] = {-1, -0.5f, 1, 0}, over[] = {-1.1f, -0.5f, 1.2f, 0};
    const float wild[] = {-1, 0, 2, 1}, range[] = {-1, 1}, reversed[] = {1, 0};
    const float dark[] = {0.5f, 0.625f, 1, 0.75f};
    check_unit(*state, unit, NULL, unit, 0);
    check_unit(*state, under, NULL, unit, 0.5);
    check_unit(*state, signs, NULL, unit, 0);
    check_unit(*state, over, NULL, unit, 0.5);
    check_unit(*state, unit, range, dark, 0);
    basin_data *data = wrap(*state, 1, 2, wild), *scaled;
    basin__unit seen;
    expect_error(*state, basin__unit_images(*state, data, NULL, "--range", &seen, &scaled),
                 BASIN_ERROR_CONFIG, "values from -1 to 2, which is neither");
    expect_error(*state, basin__unit_images(*state, data, reversed, "--range", &seen, &scaled),
                 BASIN_ERROR_CONFIG, "must be the smaller one");
    basin_data_close(data);
}

/** Samples written from −1 to 1 reach a classifier of any range as its own images do. */
static void scaled_samples_reach_a_classifier(void **state) {
    enum { N = 5, SIDE = 8, K = 3 };
    static const float lows[] = {-1, 0, -2};
    static float samples[N * SIDE * SIDE], images[N * SIDE * SIDE];
    fill(samples, N * SIDE * SIDE, 0, 1, 0);
    basin_data *data = wrap(*state, N, SIDE, samples), *scaled;
    basin__unit unit;
    assert_int_equal(basin__unit_images(*state, data, NULL, NULL, &unit, &scaled), BASIN_OK);
    for (int r = 0; r < 3; r++) {
        basin_energy *energy;
        float got[N * K], wanted[N * K];
        assert_int_equal(basin_energy_create(*state, "conv",
                                             "{\"base_channels\": 4, \"logits\": 3}", SIDE, SIDE, 1,
                                             1, &energy),
                         BASIN_OK);
        assert_int_equal(basin__energy_note(energy, "range_low", "%g", (double)lows[r]), BASIN_OK);
        assert_int_equal(basin__energy_note(energy, "range_high", "1"), BASIN_OK);
        for (int i = 0; i < N * SIDE * SIDE; i++)
            images[i] = lows[r] + (samples[i] + 1) / 2 * (1 - lows[r]);
        assert_int_equal(basin__classify_data(energy, scaled, 0, N, got), BASIN_OK);
        assert_int_equal(basin_energy_logits(energy, N, images, wanted), BASIN_OK);
        for (int i = 0; i < N * K; i++)
            assert_near((double)got[i], (double)wanted[i], 1e-5);
        basin_energy_destroy(energy);
    }
    basin_data_close(scaled);
    basin_data_close(data);
}

static void features_of_random_convolutions(void **state) {
    enum { N = 3, SIDE = 28 };
    static float images[N * SIDE * SIDE];
    fill(images, N * SIDE * SIDE, 0, 0.5, 0.5);
    basin_data *data = wrap(*state, N, SIDE, images);
    basin_energy *energy;
    basin__features got;
    float *x, *again;
    assert_int_equal(basin__features_random(*state, (basin_shape){1, SIDE, SIDE, 1}, &energy),
                     BASIN_OK);
    assert_int_equal(basin__features_of_network(energy, data, N, &got, &x), BASIN_OK);
    assert_int_equal(got.dimension, 7 * 7 * 8);
    assert_int_equal(basin__features_of_network(energy, data, N, &got, &again), BASIN_OK);
    assert_memory_equal(x, again, (size_t)(N * got.dimension) * sizeof *x);
    double *mean = basin__alloc_array(*state, (size_t)got.dimension, sizeof *mean), deviation;
    basin__features_scale(&got, mean, &deviation);
    assert_true(deviation > 0);
    basin__features_rescale(&got, again, mean, deviation);
    basin__features_scale(&got, mean, &deviation);
    assert_near(deviation, 1, 1e-5);
    assert_near(mean[0], 0, 1e-5);
    basin__free(*state, mean);
    basin__free(*state, again);
    basin__free(*state, x);
    basin_energy_destroy(energy);
    basin_data_close(data);
}

static void the_picture_shows_pairs(void **state) {
    enum { N = 40, SIDE = 8 };
    static float images[N * SIDE * SIDE];
    int64_t index[N];
    double distance[N];
    char folder[64], path[96];
    fill(images, N * SIDE * SIDE, 0, 0.5, 0.5);
    for (int i = 0; i < N; i++) {
        index[i] = N - 1 - i;
        distance[i] = i % 7;
    }
    basin_data *data = wrap(*state, N, SIDE, images);
    test_folder_make(folder);
    snprintf(path, sizeof(path), "%s/pairs.png", folder);
    assert_int_equal(basin__neighbours_picture(*state, path, data, data, N, index, distance),
                     BASIN_OK);
    basin__image image;
    assert_int_equal(basin__png_read(*state, path, &image), BASIN_OK);
    /* Sixteen cells of twice the size across, four lines each under two captions. */
    assert_true(image.width >= 16 * SIDE * 2 && image.height >= 2 * 4 * SIDE * 2);
    basin__image_reset(*state, &image);
    test_folder_remove(folder);
    basin_data_close(data);
}

/* ---- what is refused ----------------------------------------------------------------------- */

static void bad_features_are_refused(void **state) {
    float good[24], bad[24], large[24];
    fill(good, 24, 0, 1, 0);
    memcpy(bad, good, sizeof bad);
    memcpy(large, good, sizeof large);
    bad[5] = NAN;
    large[7] = 1e30f;
    const basin__features x = features(12, 2, good), y = features(12, 2, bad);
    const basin__features z = features(12, 2, large), wide = features(8, 3, good);
    const basin__features few = features(3, 2, good), one = features(1, 2, good);
    double out;
    basin__kernel_distance of;
    basin__prdc balls;
    basin_context *c = *state;
    const basin_status no = BASIN_ERROR_ARGUMENT;
    expect_error(c, basin__frechet_distance(c, &x, &y, &out), no, "example 2 of the set are not");
    expect_error(c, basin__kernel_distance_measure(c, &y, &x, 0, &of), no, "not finite");
    expect_error(c, basin__prdc_measure(c, &x, &y, 5, &balls), no, "not finite");
    expect_error(c, basin__prdc_measure(c, &x, &z, 5, &balls), no, "example 3 of the set are too");
    expect_error(c, basin__nearest_find(c, &y, &x, 1, false, NULL, &out), no, "not finite");
    expect_error(c, basin__frechet_distance(c, &x, &one, &out), no, "at least 2 are needed");
    expect_error(c, basin__kernel_distance_measure(c, &x, &few, 0, &of), no, "at least 4");
    expect_error(c, basin__prdc_measure(c, &few, &x, 5, &balls), no, "3 examples, at least 6");
    expect_error(c, basin__nearest_find(c, &x, &one, 1, true, NULL, &out), no, "at least 2");
    expect_error(c, basin__frechet_distance(c, &x, &wide, &out), BASIN_ERROR_SHAPE,
                 "2 features and the set has 3");
}

/** Every measure once, on small sets. */
static basin_status measure_all(basin_context *context) {
    float x[40], y[40], p[6] = {0.5f, 0.2f, 0.3f, 0.1f, 0.2f, 0.7f};
    double out, distance[20], share;
    int64_t index[20];
    basin__kernel_distance kernel_distance;
    basin__prdc balls;
    basin__legibility legibility;
    fill(x, 40, 0, 1, 0);
    fill(y, 40, 100, 1, 0);
    const basin__features a = features(20, 2, x), b = features(20, 2, y);
    BASIN_TRY(basin__frechet_distance(context, &a, &b, &out));
    BASIN_TRY(basin__kernel_distance_measure(context, &a, &b, 0, &kernel_distance));
    BASIN_TRY(basin__prdc_measure(context, &a, &b, 5, &balls));
    BASIN_TRY(basin__nearest_find(context, &a, &b, 1, false, index, distance));
    BASIN_TRY(basin__share_below(context, 20, distance, 20, distance, 10, &share));
    return basin__legibility_of(context, 2, 3, 2, p, NULL, &legibility);
}

/** And what draws. */
static basin_status draw_all(basin_context *context) {
    static float images[9 * 64];
    const int64_t index[9] = {3, 1, 4, 1, 5, 8, 2, 6, 5};
    const double distance[9] = {3, 1, 4, 1, 5, 8, 2, 6, 5};
    const int label = 0;
    const float logits[2] = {1, 0};
    char folder[64], path[96];
    basin_data *data = NULL;
    test_folder_make(folder);
    snprintf(path, sizeof(path), "%s/picture.png", folder);
    fill(images, 9 * 64, 0, 0.5, 0.5);
    basin_status status =
        basin_data_from_memory(context, "wrapped", 9, 8, 8, 1, true, images, NULL, &data);
    if (status == BASIN_OK)
        status = basin__neighbours_picture(context, path, data, data, 9, index, distance);
    if (status == BASIN_OK) {
        const basin__calibration calibration = basin__calibration_of(1, 2, &label, logits);
        status = basin__calibration_chart(context, path, &calibration);
    }
    basin_data_close(data);
    test_folder_remove(folder);
    return status;
}

/** And what reads data sets and networks. */
static basin_status read_all(basin_context *context) {
    static float images[4 * 64];
    basin_data *data = NULL, *scaled = NULL;
    basin_energy *energy = NULL;
    basin__unit unit;
    basin__features of;
    float *values = NULL, *features_x = NULL;
    fill(images, 4 * 64, 0, 1, 0);
    basin_status status =
        basin_data_from_memory(context, "wrapped", 4, 8, 8, 1, true, images, NULL, &data);
    if (status == BASIN_OK)
        status = basin__unit_images(context, data, NULL, "--range", &unit, &scaled);
    if (status == BASIN_OK)
        status = basin__features_of_values(context, scaled, 4, &of, &values);
    if (status == BASIN_OK)
        status = basin__features_random(context, (basin_shape){1, 8, 8, 1}, &energy);
    if (status == BASIN_OK)
        status = basin__features_of_network(energy, scaled, 4, &of, &features_x);
    basin__free(context, features_x);
    basin__free(context, values);
    basin_energy_destroy(energy);
    basin_data_close(scaled);
    basin_data_close(data);
    return status;
}

static void fail_each_allocation(basin_status (*work)(basin_context *)) {
    for (long k = 0;; k++) {
        test_heap heap = {.fail_at = k};
        basin_context *context = test_context(&heap, 1);
        const basin_status status = work(context);
        assert_int_equal(heap.alive, heap.alive_at_start);
        basin_context_destroy(context);
        if (!heap.has_failed) {
            assert_int_equal(status, BASIN_OK);
            assert_true(k > 5);
            break;
        }
        assert_int_equal(status, BASIN_ERROR_MEMORY);
    }
}

static void failed_allocations_leave_nothing(void **state) {
    (void)state;
    fail_each_allocation(measure_all);
    fail_each_allocation(read_all);
    fail_each_allocation(draw_all);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frechet_of_known_moments),
        cmocka_unit_test(frechet_of_equal_and_moved_sets),
        cmocka_unit_test(kernel_distance_of_constants),
        cmocka_unit_test(kernel_distance_is_unbiased),
        cmocka_unit_test(nearest_are_exact),
        cmocka_unit_test(share_below_by_hand),
        cmocka_unit_test(prdc_by_hand),
        cmocka_unit_test(prdc_is_its_definition),
        cmocka_unit_test(calibration_by_hand),
        cmocka_unit_test(legibility_by_hand),
        cmocka_unit_test(agreement_by_hand),
        cmocka_unit_test(images_come_to_one_scale),
        cmocka_unit_test(scaled_samples_reach_a_classifier),
        cmocka_unit_test(features_of_random_convolutions),
        cmocka_unit_test(the_picture_shows_pairs),
        cmocka_unit_test(bad_features_are_refused),
        cmocka_unit_test(failed_allocations_leave_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
