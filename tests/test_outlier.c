/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Detectors: scores against what they are by definition, on energies known in closed form; the rate
 * of false alarms; files.
 */
#include "support.h"

#include "base/file.h"
#include "energy/energy.h"
#include "eval/heat_map.h"
#include "eval/outlier.h"
#include <lapacke.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A macro, so that a failure names the caller's line. */
#define assert_near(value, expected, tolerance)                                                    \
    assert_true(fabs((value) - (expected)) <= (tolerance))

#define DIMENSION 3
#define COUNT 2000

/** N(0, s² + σ²) in each element: E = ½ scale ‖x‖² / (s² + σ²) + offset. */
typedef struct normal {
    double std, scale, offset;
} normal;

static void normal_energy(void *user, int64_t n, const basin__points *points, double *energies,
                          float *gradient) {
    const normal *of = user;
    for (int64_t i = 0; i < n; i++) {
        const double sigma = points->noise_level ? (double)points->noise_level[i] : 0.0;
        const double variance = of->std * of->std + sigma * sigma;
        energies[i] = of->offset;
        for (int64_t j = i * DIMENSION; j < (i + 1) * DIMENSION; j++) {
            const double x = (double)points->x[j];
            energies[i] += 0.5 * of->scale * x * x / variance;
            if (gradient)
                gradient[j] = (float)(of->scale * x / variance);
        }
    }
}

typedef struct bench {
    basin_context *context;
    normal normals[2];
    basin_energy *energies[2];
    float x[COUNT * DIMENSION];
    basin_data *data;
} bench;

/** Sums of twelve uniforms are near enough normal, and the same everywhere. */
static float draw(uint64_t *state) {
    double sum = -6.0;
    for (int i = 0; i < 12; i++) {
        *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        sum += (double)(*state >> 11) * 0x1p-53;
    }
    return (float)sum;
}

static basin_energy *make_energy(bench *at, int i, bool has_levels) {
    basin_energy *energy;
    const basin__condition condition = {.noise_level = has_levels};
    assert_int_equal(basin__energy_from_points_callback(at->context, basin_shape_vector(DIMENSION),
                                                        condition, normal_energy, &at->normals[i],
                                                        &energy),
                     BASIN_OK);
    return energy;
}

static int set_up(void **state) {
    bench *at = calloc(1, sizeof *at);
    uint64_t random = 7;
    assert_int_equal(basin_context_create(NULL, &at->context), BASIN_OK);
    at->normals[0] = (normal){1.0, 1.0, 0.0};
    at->normals[1] = (normal){1.0, 3.0, 50.0};
    for (int i = 0; i < COUNT * DIMENSION; i++)
        at->x[i] = draw(&random);
    assert_int_equal(basin_data_from_memory(at->context, "normals", COUNT, 1, 1, DIMENSION, false,
                                            at->x, NULL, &at->data),
                     BASIN_OK);
    for (int i = 0; i < 2; i++)
        at->energies[i] = make_energy(at, i, false);
    *state = at;
    return 0;
}

static int tear_down(void **state) {
    bench *at = *state;
    for (int i = 0; i < 2; i++)
        basin_energy_destroy(at->energies[i]);
    basin_data_close(at->data);
    basin_context_destroy(at->context);
    free(at);
    return 0;
}

static basin_detector *make(bench *at, const char *score, basin_energy *const *energies,
                            int count) {
    basin_detector_options options;
    basin_detector *detector;
    basin_detector_options_init(&options);
    options.score = score;
    assert_int_equal(basin_detector_create(at->context, energies, count, &options, &detector),
                     BASIN_OK);
    return detector;
}

static const float POINTS[] = {0.0F, 0.0F, 0.0F, 1.0F, 2.0F, 2.0F, 3.0F, 0.0F, -4.0F};

static void test_plain(void **state) {
    bench *at = *state;
    double scores[3];
    basin_detector *detector = make(at, "energy", at->energies, 1);
    assert_int_equal(basin_detector_score(detector, 3, POINTS, scores), BASIN_OK);
    assert_near(scores[0], 0.0, 0.0);
    assert_near(scores[1], 4.5, 1e-12);
    assert_near(scores[2], 12.5, 1e-12);
    assert_true(isnan(basin_detector_threshold(detector)));
    basin_detector_destroy(detector);
    detector = make(at, "gradient-norm", at->energies, 1);
    assert_int_equal(basin_detector_score(detector, 3, POINTS, scores), BASIN_OK);
    assert_near(scores[1], 3.0, 1e-6);
    assert_near(scores[2], 5.0, 1e-6);
    basin_detector_destroy(detector);
}

/** Ten evaluations take a quadratic nearly to its bottom, and never up. */
static void test_descent(void **state) {
    bench *at = *state;
    double scores[3];
    basin_detector *detector = make(at, "descent", at->energies, 1);
    assert_int_equal(basin_detector_score(detector, 3, POINTS, scores), BASIN_OK);
    assert_near(scores[0], 0.0, 0.0);
    assert_true(scores[1] > 0.9 * 4.5 && scores[1] <= 4.5);
    assert_true(scores[2] > 0.9 * 12.5 && scores[2] <= 12.5);
    basin_detector_destroy(detector);
}

/** ½χ² of three degrees of freedom: mean 1.5, variance 1.5. */
static void test_typicality(void **state) {
    bench *at = *state;
    double scores[3];
    basin_detector *detector = make(at, "typicality", at->energies, 1);
    assert_int_equal(basin_detector_score(detector, 3, POINTS, scores), BASIN_ERROR_ARGUMENT);
    assert_int_equal(basin_detector_fit(detector, at->data, 0.1), BASIN_OK);
    assert_int_equal(basin_detector_score(detector, 3, POINTS, scores), BASIN_OK);
    assert_near(scores[0], 1.5 / sqrt(1.5), 0.15);
    assert_near(scores[1], 3.0 / sqrt(1.5), 0.3);
    basin_detector_destroy(detector);
}

/** An ensemble does not see scales and constants: here both models say the same. */
static void test_ensemble(void **state) {
    bench *at = *state;
    double alone[3], both[3], spread[3];
    basin_detector *one = make(at, "typicality", at->energies, 1);
    basin_detector *two = make(at, "typicality", at->energies, 2);
    basin_detector *apart = make(at, "disagreement", at->energies, 2);
    assert_int_equal(basin_detector_fit(one, at->data, 0.1), BASIN_OK);
    assert_int_equal(basin_detector_fit(two, at->data, 0.1), BASIN_OK);
    assert_int_equal(basin_detector_fit(apart, at->data, 0.1), BASIN_OK);
    assert_int_equal(basin_detector_score(one, 3, POINTS, alone), BASIN_OK);
    assert_int_equal(basin_detector_score(two, 3, POINTS, both), BASIN_OK);
    assert_int_equal(basin_detector_score(apart, 3, POINTS, spread), BASIN_OK);
    for (int i = 0; i < 3; i++) {
        assert_near(both[i], alone[i], 1e-6 * (1.0 + alone[i]));
        assert_near(spread[i], 0.0, 1e-6);
    }
    at->normals[1].std = 1.5; /* a plan of a callback is its function */
    at->normals[1].scale = 1.0;
    assert_int_equal(basin_detector_score(apart, 3, POINTS, spread), BASIN_OK);
    assert_true(spread[2] > 0.1);
    at->normals[1] = (normal){1.0, 3.0, 50.0};
    basin_detector_destroy(apart);
    basin_detector_destroy(two);
    basin_detector_destroy(one);
}

/**
 * The last of the points by definition: √(½ Σ_b d_bᵀ (C_b + 0.01 diag C_b)⁻¹ d_b / F_b), d = f −
 * mean, b the two numbers of the curve at each level, or the three of cells.
 */
static double mahalanobis(bench *at, basin_detector *detector) {
    enum { F = 50, SEEN = COUNT / 2 };
    static double f[SEEN + 3][F], covariance[F][F];
    static float odd[SEEN * DIMENSION];
    double mean[F] = {0.0}, distance[F], solved[F], square = 0.0;
    assert_int_equal(detector->feature_count, F);
    for (size_t i = 0; i < SEEN; i++)
        memcpy(odd + i * DIMENSION, at->x + (2 * i + 1) * DIMENSION, DIMENSION * sizeof(float));
    for (int64_t i = 0; i < SEEN; i += 500)
        assert_int_equal(basin__outlier_features(detector, 500, odd + i * DIMENSION, f[i]),
                         BASIN_OK);
    assert_int_equal(basin__outlier_features(detector, 3, POINTS, f[SEEN]), BASIN_OK);
    for (int i = 0; i < SEEN; i++)
        for (int j = 0; j < F; j++)
            mean[j] += f[i][j] / SEEN;
    memset(covariance, 0, sizeof covariance);
    for (int i = 0; i < SEEN; i++)
        for (int j = 0; j < F; j++)
            for (int k = 0; k < F; k++)
                covariance[j][k] += (f[i][j] - mean[j]) * (f[i][k] - mean[k]) / (SEEN - 1);
    for (int j = 0; j < F; j++) {
        covariance[j][j] *= 1.01;
        distance[j] = solved[j] = f[SEEN + 2][j] - mean[j];
        for (int k = 0; k < F; k++)
            if ((j % 5 < 2) != (k % 5 < 2))
                covariance[j][k] = 0.0; /* what they have in common does not count */
    }
    assert_int_equal(LAPACKE_dposv(LAPACK_ROW_MAJOR, 'L', F, 1, (double *)covariance, F, solved, 1),
                     0);
    for (int j = 0; j < F; j++)
        square += distance[j] * solved[j] / (j % 5 < 2 ? 20 : 30);
    return sqrt(0.5 * square);
}

/** Mahalanobis' distance by definition; what is far out stands out; saved and loaded alike. */
static void test_levels(void **state) {
    bench *at = *state;
    double scores[3];
    basin_energy *energy = make_energy(at, 0, true);
    basin_detector *detector = make(at, "levels", &energy, 1);
    assert_int_equal(basin_detector_fit(detector, at->data, 0.05), BASIN_OK);
    assert_int_equal(basin_detector_score(detector, 3, POINTS, scores), BASIN_OK);
    assert_true(scores[2] > basin_detector_threshold(detector));
    assert_true(scores[1] < scores[2]);
    assert_near(scores[2], mahalanobis(at, detector), 1e-6 * scores[2]);
    assert_int_equal(basin_detector_save(detector, "levels.json"), BASIN_OK);
    basin_detector *again;
    double after[3];
    assert_int_equal(basin_detector_load(at->context, "levels.json", &energy, 1, &again), BASIN_OK);
    assert_int_equal(basin_detector_score(again, 3, POINTS, after), BASIN_OK);
    assert_memory_equal(scores, after, sizeof scores);
    unlink("levels.json");
    basin_detector_destroy(again);
    basin_detector_destroy(detector);
    basin_energy_destroy(energy);
}

#define ROWS 6
#define COLUMNS 9
#define PIXELS (ROWS * COLUMNS)

/** ∂E/∂x is 10 × the column in the first channel, −the row in the second. */
static void slope_energy(void *user, int64_t n, const basin__points *points, double *energies,
                         float *gradient) {
    (void)user, (void)points;
    for (int64_t i = 0; i < n; i++) {
        energies[i] = 7.0;
        for (int64_t j = 0; j < PIXELS; j++) {
            gradient[2 * (i * PIXELS + j)] = (float)(10 * (j % COLUMNS));
            gradient[2 * (i * PIXELS + j) + 1] = (float)-(j / COLUMNS);
        }
    }
}

/** Numbers of cells, and those of the image alone. Six rows make cells of one, two, one and two;
 * nine columns of two, two, two and three. */
static void test_cells(void **state) {
    bench *at = *state;
    static const double rows[] = {0.0, 1.5, 3.0, 4.5}, columns[] = {0.5, 2.5, 4.5, 7.0};
    const basin__condition condition = {.noise_level = true};
    basin_energy *energy;
    static float x[2 * 2 * PIXELS];
    static double f[2 * 344];
    assert_int_equal(basin__energy_from_points_callback(at->context,
                                                        basin_shape_image(ROWS, COLUMNS, 2),
                                                        condition, slope_energy, NULL, &energy),
                     BASIN_OK);
    basin_detector *detector = make(at, "combined", &energy, 1);
    assert_int_equal(detector->feature_count, 344);
    for (int i = 0; i < PIXELS; i++)
        x[2 * (PIXELS + i)] = 0.5F; /* half of the second image's values */
    assert_int_equal(basin__outlier_features(detector, 2, x, f), BASIN_OK);
    const double *of = f + 344 + 9 * 34; /* the second image at the last level */
    assert_near(of[0], asinh(7.0), 1e-12);
    for (int cell = 0; cell < 16; cell++) {
        assert_near(of[2 + 2 * cell], 10.0 * columns[cell % 4], 1e-12);
        assert_near(of[2 + 2 * cell + 1], -rows[cell / 4], 1e-12);
    }
    assert_near(of[34], 0.25, 1e-7); /* mean, non-zero, total variation, log compressed size */
    assert_near(of[35], PIXELS, 0.0);
    assert_near(of[36], 0.0, 0.0);
    assert_true(of[37] > log(10.0) && of[37] < log(2.0 * PIXELS));
    assert_near(f[344 - 4], 0.0, 0.0);
    basin_detector_destroy(detector);
    basin_energy_destroy(energy);
}

/** Of fresh examples at most the rate is flagged, within Monte Carlo error. */
static void test_false_alarms(void **state) {
    bench *at = *state;
    static double scores[COUNT];
    static float fresh[COUNT * DIMENSION];
    uint64_t random = 1234567;
    const char *const names[] = {"energy", "typicality"};
    for (int i = 0; i < COUNT * DIMENSION; i++)
        fresh[i] = draw(&random);
    for (size_t k = 0; k < BASIN_COUNT(names); k++) {
        basin_detector *detector = make(at, names[k], at->energies, 1);
        assert_int_equal(basin_detector_fit(detector, at->data, 0.1), BASIN_OK);
        assert_int_equal(basin_detector_score(detector, COUNT, fresh, scores), BASIN_OK);
        int flagged = 0;
        for (int i = 0; i < COUNT; i++)
            flagged += scores[i] > basin_detector_threshold(detector);
        /* std of the share: 0.0067 of the sample, 0.0095 of the threshold */
        assert_near((double)flagged / COUNT, 0.1, 3.5 * 0.0116);
        /* The threshold is the 901st of 1000 scores: (1001)(0.9) rounded up. */
        assert_int_equal(basin_detector_score(detector, COUNT, at->x, scores), BASIN_OK);
        int above = 0;
        for (int i = 0; i < COUNT; i += 2)
            above += scores[i] > basin_detector_threshold(detector);
        assert_int_equal(above, 99);
        basin_detector_destroy(detector);
    }
}

static void test_file(void **state) {
    bench *at = *state;
    double before[3], after[3];
    basin_detector *detector = make(at, "typicality", at->energies, 2), *again;
    assert_int_equal(basin_detector_save(detector, "detector.json"), BASIN_ERROR_ARGUMENT);
    assert_int_equal(basin_detector_fit(detector, at->data, 0.02), BASIN_OK);
    assert_int_equal(basin_detector_score(detector, 3, POINTS, before), BASIN_OK);
    assert_int_equal(basin_detector_save(detector, "detector.json"), BASIN_OK);
    assert_int_equal(basin_detector_load(at->context, "detector.json", at->energies, 2, &again),
                     BASIN_OK);
    assert_int_equal(basin_detector_score(again, 3, POINTS, after), BASIN_OK);
    assert_memory_equal(before, after, sizeof before);
    assert_true(basin_detector_threshold(again) >= basin_detector_threshold(detector) &&
                basin_detector_threshold(again) <= basin_detector_threshold(detector));
    basin_detector_destroy(again);
    assert_int_equal(basin_detector_load(at->context, "detector.json", at->energies, 1, &again),
                     BASIN_ERROR_CONFIG);
    assert_null(again);
    /* Each begins as a detector's file does, and breaks off at another key. */
    static const char *const broken[] = {
        "\"version\": 9",
        "\"version\": 1, \"score\": \"none\"",
        "\"version\": 1, \"score\": \"energy\", \"noise_level\": -1",
        "\"version\": 1, \"score\": \"energy\", \"noise_level\": 0",
    };
    for (size_t i = 0; i < BASIN_COUNT(broken); i++) {
        char text[200];
        snprintf(text, sizeof text, "{\"format\": \"basin-detector\", %s}", broken[i]);
        assert_int_equal(basin__file_write(at->context, "detector.json", text, strlen(text)),
                         BASIN_OK);
        assert_int_equal(basin_detector_load(at->context, "detector.json", at->energies, 1, &again),
                         BASIN_ERROR_FORMAT);
        assert_null(again);
        assert_non_null(strstr(basin_context_error(at->context), "detector.json: '"));
    }
    unlink("detector.json");
    basin_detector_destroy(detector);
}

/** E = Σ w_i x_i: the gradient is w, and a square of one pixel is worth w (x − what is around). */
#define SIDE 4
static void sum_energy(void *user, int64_t n, const float *x, double *energies, float *gradient) {
    (void)user;
    for (int64_t i = 0; i < n * SIDE * SIDE; i++) {
        const int pixel = (int)(i % (SIDE * SIDE));
        if (pixel == 0)
            energies[i / (SIDE * SIDE)] = 0.0;
        energies[i / (SIDE * SIDE)] += (pixel - 5) * (double)x[i];
        if (gradient)
            gradient[i] = (float)(pixel - 5);
    }
}

static void test_heat(void **state) {
    bench *at = *state;
    basin_energy *energy;
    float x[2 * SIDE * SIDE] = {0}, heat[2 * SIDE * SIDE];
    assert_int_equal(
        basin_energy_from_callback(at->context, SIDE, SIDE, 1, sum_energy, NULL, &energy),
        BASIN_OK);
    x[SIDE * SIDE + 9] = 1.0F; /* one bright pixel in the second image */
    assert_int_equal(basin__heat_gradient(energy, 2, x, heat), BASIN_OK);
    for (int i = 0; i < 2 * SIDE * SIDE; i++)
        assert_near((double)heat[i], fabs((i % (SIDE * SIDE)) - 5.0), 0.0);
    assert_int_equal(basin__heat_occlusion(energy, 2, x, 1, heat), BASIN_OK);
    for (int i = 0; i < SIDE * SIDE; i++)
        assert_near((double)heat[i], 0.0, 0.0);
    assert_near((double)heat[SIDE * SIDE + 9], 4.0, 1e-6);
    assert_near((double)heat[SIDE * SIDE + 10], -5.0 / 8.0, 1e-6); /* eight pixels around it */
    assert_near((double)heat[SIDE * SIDE + 8], -3.0 / 5.0, 1e-6);  /* on the rim five */
    assert_near((double)heat[SIDE * SIDE + 3], 0.0, 0.0);
    assert_int_equal(basin__heat_occlusion(energy, 2, x, 2, heat), BASIN_OK);
    assert_true(heat[SIDE * SIDE + 9] > 0.0F);
    assert_int_equal(basin__heat_occlusion(energy, 2, x, SIDE, heat), BASIN_ERROR_ARGUMENT);
    basin_energy_destroy(energy);
}

static void test_refused(void **state) {
    bench *at = *state;
    basin_detector *detector;
    basin_detector_options options;
    static const char *const without[] = {"levels", "combined", "confidence", "disagreement",
                                          "nothing"};
    for (size_t i = 0; i < BASIN_COUNT(without); i++) {
        basin_detector_options_init(&options);
        options.score = without[i];
        assert_int_equal(basin_detector_create(at->context, at->energies, 1, &options, &detector),
                         BASIN_ERROR_CONFIG);
        assert_null(detector);
    }
    basin_detector_options_init(&options);
    options.noise_level = 1.0;
    assert_int_equal(basin_detector_create(at->context, at->energies, 1, &options, &detector),
                     BASIN_ERROR_CONFIG);
    detector = make(at, "energy", at->energies, 1);
    assert_int_equal(basin_detector_fit(detector, at->data, 0.0), BASIN_ERROR_ARGUMENT);
    assert_int_equal(basin_detector_fit(detector, at->data, 1e-4), BASIN_ERROR_ARGUMENT);
    at->normals[0].offset = NAN;
    assert_int_equal(basin_detector_fit(detector, at->data, 0.1), BASIN_ERROR_DIVERGED);
    at->normals[0].offset = 0.0;
    assert_true(isnan(basin_detector_threshold(detector)));
    basin_detector_destroy(detector);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),        cmocka_unit_test(test_descent),
        cmocka_unit_test(test_typicality),   cmocka_unit_test(test_ensemble),
        cmocka_unit_test(test_levels),       cmocka_unit_test(test_cells),
        cmocka_unit_test(test_false_alarms), cmocka_unit_test(test_file),
        cmocka_unit_test(test_heat),         cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
