/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures against their definitions and hand-worked cases, the PCA Gaussian
 * against a density written out in three dimensions, charts by reading back
 * where their ink is. All chance is seeded: the same bits in every run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/context.h"
#include "base/file.h"
#include "eval/chart.h"
#include "eval/metrics.h"
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Read by the leak checker: fontconfig keeps the fonts that charts were drawn with. */
BASIN_API const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:libfontconfig"; }

/* A macro, so that a failure names the caller's line. */
#define assert_near(value, expected, tolerance)                                                    \
    assert_true(fabs((value) - (expected)) <= (tolerance))

static basin_context *make_context(int thread_count) {
    basin_context_options options;
    basin_context_options_init(&options);
    options.thread_count = thread_count;
    basin_context *context = NULL;
    assert_int_equal(basin_context_create(&options, &context), BASIN_OK);
    return context;
}

static int setup(void **state) {
    *state = make_context(2);
    return 0;
}

static int teardown(void **state) {
    basin_context_destroy(*state);
    return 0;
}

static double uniform(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(*state >> 11) * 0x1p-53;
}

static double normal(uint64_t *state) {
    double radius = sqrt(-2.0 * log(1.0 - uniform(state)));
    return radius * cos(6.28318530717958648 * uniform(state));
}

/* ---- detection ----------------------------------------------------------------------------- */

static basin__detection measure(basin_context *context, const double *inside, int64_t n,
                                const double *outside, int64_t m, int resamples) {
    basin__detection d;
    assert_int_equal(basin__detection_measure(context, inside, n, outside, m, resamples, 7, &d),
                     BASIN_OK);
    return d;
}

static double auroc_by_definition(const double *inside, int n, const double *outside, int m) {
    double wins = 0.0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < m; j++)
            wins += outside[j] > inside[i] ? 1.0 : outside[j] < inside[i] ? 0.0 : 0.5;
    return wins / (n * m);
}

/** The least over thresholds that flag what is above them; below all values, everything. */
static double error_by_definition(const double *inside, int n, const double *outside, int m) {
    double least = 0.5;
    for (int k = 0; k < n + m; k++) {
        const double threshold = k < n ? inside[k] : outside[k - n];
        int wrong_in = 0, wrong_out = 0;
        for (int i = 0; i < n; i++)
            wrong_in += inside[i] > threshold;
        for (int j = 0; j < m; j++)
            wrong_out += outside[j] <= threshold;
        least = fmin(least, 0.5 * ((double)wrong_in / n + (double)wrong_out / m));
    }
    return least;
}

static void auroc_and_error_are_their_definitions(void **state) {
    uint64_t seed = 1;
    for (int round = 0; round < 200; round++) {
        double inside[40], outside[40];
        int n = 1 + (int)(uniform(&seed) * 40), m = 1 + (int)(uniform(&seed) * 40);
        int levels = 1 + (int)(uniform(&seed) * 12); /* few levels: many ties */
        for (int i = 0; i < n; i++)
            inside[i] = floor(uniform(&seed) * levels) - 3.0;
        for (int j = 0; j < m; j++)
            outside[j] = floor(uniform(&seed) * levels) - 2.0;
        basin__detection d = measure(*state, inside, n, outside, m, 0);
        assert_near(d.auroc.value, auroc_by_definition(inside, n, outside, m), 1e-12);
        assert_near(d.error.value, error_by_definition(inside, n, outside, m), 1e-12);
        assert_true(d.auroc.low == d.auroc.value && d.auroc.high == d.auroc.value);
    }
}

static void hand_worked_cases(void **state) {
    const double apart[] = {1, 2, 3}, mixed[] = {2.5, 4};
    basin__detection d = measure(*state, apart, 3, mixed, 2, 0);
    assert_near(d.auroc.value, 5.0 / 6.0, 1e-15);
    assert_near(d.aupr.value, (1.0 + 2.0 / 3.0) / 2.0, 1e-15);
    assert_near(d.fpr95.value, 1.0 / 3.0, 1e-15);

    /* Tied scores are one threshold: recall 1/2 at precision 1, then recall 1 at 2/4. */
    const double tied_in[] = {1, 2, 2}, tied_out[] = {2, 3};
    d = measure(*state, tied_in, 3, tied_out, 2, 0);
    assert_near(d.auroc.value, 5.0 / 6.0, 1e-15);
    assert_near(d.aupr.value, 0.75, 1e-15);
    assert_near(d.fpr95.value, 2.0 / 3.0, 1e-15);

    /* 19 of the 20 values 1…20 are 95 %: the threshold is 2. Of 19 values, all are needed. */
    double twenty[20];
    for (int i = 0; i < 20; i++)
        twenty[i] = i + 1;
    const double around[] = {0, 1.5, 2, 2.5};
    assert_near(measure(*state, around, 4, twenty, 20, 0).fpr95.value, 0.5, 1e-15);
    assert_near(measure(*state, around, 4, twenty, 19, 0).fpr95.value, 0.75, 1e-15);

    const double low[] = {0, 0}, high[] = {1}, minus[] = {-0.0};
    d = measure(*state, low, 2, high, 1, 0);
    assert_true(d.auroc.value >= 1.0 && d.aupr.value >= 1.0 && d.fpr95.value <= 0.0);
    d = measure(*state, high, 1, low, 2, 0);
    assert_true(d.auroc.value <= 0.0 && d.fpr95.value >= 1.0);
    assert_near(d.aupr.value, 2.0 / 3.0, 1e-15);
    /* One value for all says nothing; -0.0 ties with 0.0. */
    assert_near(measure(*state, low, 2, minus, 1, 0).auroc.value, 0.5, 1e-15);
}

static void check_cover(const basin__interval *interval) {
    assert_true(interval->low <= interval->value && interval->value <= interval->high);
    assert_true(interval->low < interval->high);
}

static void intervals_cover_and_shrink(void **state) {
    enum { SMALL = 60, LARGE = 6000 };
    static double inside[LARGE], outside[LARGE];
    uint64_t seed = 3;
    for (int i = 0; i < LARGE; i++) {
        inside[i] = normal(&seed);
        outside[i] = 1.0 + normal(&seed);
    }
    basin__detection few = measure(*state, inside, SMALL, outside, SMALL, 400);
    basin__detection many = measure(*state, inside, LARGE, outside, LARGE, 400);
    const basin__interval of_few[] = {few.auroc, few.aupr, few.fpr95};
    const basin__interval of_many[] = {many.auroc, many.aupr, many.fpr95};
    for (int k = 0; k < 3; k++) {
        check_cover(&of_few[k]);
        check_cover(&of_many[k]);
        assert_true(of_many[k].high - of_many[k].low < 0.3 * (of_few[k].high - of_few[k].low));
    }
    /* The true area is Phi(1/sqrt 2). Standard error: Hanley & McNeil (1982), a little rough for
       normal scores; a width of 400 percentile draws is itself good to about 8 %. */
    double a = 0.76024993890652327, q1 = a / (2 - a), q2 = 2 * a * a / (1 + a);
    double error = sqrt((a * (1 - a) + (LARGE - 1) * (q1 + q2 - 2 * a * a))) / LARGE;
    assert_near(many.auroc.value, a, 4 * error);
    assert_near((many.auroc.high - many.auroc.low) / (3.92 * error), 1.0, 0.2);
    basin__detection again = measure(*state, inside, LARGE, outside, LARGE, 400);
    assert_memory_equal(&again, &many, sizeof many);
}

static void bad_scores_are_refused(void **state) {
    const double good[] = {1, 2}, bad[] = {1, NAN}, infinite[] = {INFINITY};
    basin__detection d;
    assert_int_equal(basin__detection_measure(*state, good, 2, bad, 2, 10, 1, &d),
                     BASIN_ERROR_ARGUMENT);
    assert_non_null(strstr(basin_context_error(*state), "outside score 1 is not finite"));
    assert_int_equal(basin__detection_measure(*state, infinite, 1, good, 2, 10, 1, &d),
                     BASIN_ERROR_ARGUMENT);
    assert_int_equal(basin__detection_measure(*state, good, 0, good, 2, 10, 1, &d),
                     BASIN_ERROR_ARGUMENT);
    assert_int_equal(basin__detection_measure(*state, good, 2, good, 2, -1, 1, &d),
                     BASIN_ERROR_ARGUMENT);
}

/* ---- trivial scores ------------------------------------------------------------------------ */

static basin_data *wrap(basin_context *context, int64_t count, int height, int width, int channels,
                        bool is_image, const float *x) {
    basin_data *data = NULL;
    assert_int_equal(basin_data_from_memory(context, "wrapped", count, height, width, channels,
                                            is_image, x, NULL, &data),
                     BASIN_OK);
    return data;
}

static void score(basin_context *context, basin__trivial kind, const basin__pca *pca,
                  const basin_data *data, double *scores) {
    assert_int_equal(basin__trivial_score(context, kind, pca, data, scores), BASIN_OK);
}

static void simple_scores_by_hand(void **state) {
    /* Two 2 × 3 pictures of two channels, in 255ths; the second is black.
       Channel 0 has rows 0 102 0 and 255 0 51; channel 1 has 51 0 0 and 0 0 0. */
    const int bytes[12] = {0, 51, 102, 0, 0, 0, 255, 0, 0, 0, 51, 0};
    float x[24] = {0};
    for (int i = 0; i < 12; i++)
        x[i] = (float)bytes[i] / 255.0f;
    basin_data *data = wrap(*state, 2, 2, 3, 2, true, x);
    double scores[2];
    score(*state, BASIN__TRIVIAL_MEAN, NULL, data, scores);
    assert_near(scores[0], 459.0 / 255.0 / 12.0, 1e-7);
    assert_near(scores[1], 0.0, 0.0);
    score(*state, BASIN__TRIVIAL_NON_ZERO, NULL, data, scores);
    assert_near(scores[0], 4.0, 0.0);
    assert_near(scores[1], 0.0, 0.0);
    score(*state, BASIN__TRIVIAL_TOTAL_VARIATION, NULL, data, scores);
    double across = 102 + 102 + 255 + 51 + 51, down = 255 + 102 + 51 + 51;
    assert_near(scores[0], (across + down) / 255.0, 1e-6);
    assert_near(scores[1], 0.0, 0.0);
    basin_data_close(data);
    for (int kind = 0; kind < BASIN__TRIVIAL_COUNT; kind++)
        assert_string_not_equal(basin__trivial_name((basin__trivial)kind), "unknown");
}

static void compressed_size_grows_with_disorder(void **state) {
    enum { SIDE = 28, PIXELS = SIDE * SIDE, COUNT = 4 };
    static float x[COUNT * PIXELS];
    uint64_t seed = 11;
    for (int i = 0; i < PIXELS; i++) { /* flat, a few squares, two noisy levels, noise */
        x[i] = 1.0f;
        x[PIXELS + i] = i % 11 == 0 ? 0.0f : 1.0f;
        x[2 * PIXELS + i] = uniform(&seed) < 0.5 ? 0.0f : 1.0f;
        x[3 * PIXELS + i] = (float)floor(uniform(&seed) * 256.0) / 255.0f;
    }
    basin_data *data = wrap(*state, COUNT, SIDE, SIDE, 1, true, x);
    double scores[COUNT];
    score(*state, BASIN__TRIVIAL_COMPRESSED_SIZE, NULL, data, scores);
    for (int i = 1; i < COUNT; i++)
        assert_true(scores[i] > scores[i - 1]);
    assert_true(scores[0] < 30.0);
    assert_true(scores[2] > PIXELS / 8.0);                             /* a bit a pixel at least */
    assert_true(scores[3] > PIXELS * 0.98 && scores[3] < PIXELS + 32); /* eight, and a header */
    basin_data_close(data);
}

/* -log N(x; mean, c) in three dimensions, by cofactors. */
static double gaussian_energy(double c[3][3], const double *mean, const float *x) {
    double adjugate[3][3], determinant = 0.0, square = 0.0;
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) {
            int a = (i + 1) % 3, b = (i + 2) % 3, e = (j + 1) % 3, f = (j + 2) % 3;
            adjugate[j][i] = c[a][e] * c[b][f] - c[a][f] * c[b][e];
        }
    }
    for (int j = 0; j < 3; j++)
        determinant += c[0][j] * adjugate[j][0];
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            square += ((double)x[i] - mean[i]) * adjugate[i][j] * ((double)x[j] - mean[j]);
    return 0.5 * (3.0 * log(6.28318530717958648) + log(determinant) + square / determinant);
}

static void moments(const float *x, int count, double mean[3], double c[3][3]) {
    memset(mean, 0, 3 * sizeof *mean);
    memset(c, 0, 3 * sizeof *c);
    for (int n = 0; n < count; n++)
        for (int i = 0; i < 3; i++)
            mean[i] += (double)x[3 * n + i] / count;
    for (int n = 0; n < count; n++) {
        const float *p = x + 3 * n;
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++)
                c[i][j] += ((double)p[i] - mean[i]) * ((double)p[j] - mean[j]) / count;
    }
}

/* Keep the leading direction of a covariance (power iteration) and spread the rest evenly. */
static void keep_one_direction(double c[3][3]) {
    double u[3] = {1.0, 0.4, 0.7}, value = 0.0;
    for (int step = 0; step < 500; step++) {
        double v[3] = {0};
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++)
                v[i] += c[i][j] * u[j];
        value = sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
        for (int i = 0; i < 3; i++)
            u[i] = v[i] / value;
    }
    double rest = (c[0][0] + c[1][1] + c[2][2] - value) / 2.0;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            c[i][j] = (value - rest) * u[i] * u[j] + (i == j ? rest : 0.0);
}

enum { POINT_COUNT = 601 };

static void check_pca(basin_context *context, const basin_data *data, const float *x,
                      int fitted_count, int components) {
    static double scores[POINT_COUNT];
    basin__pca *pca = NULL;
    double mean[3], c[3][3];
    moments(x, fitted_count, mean, c);
    if (components == 1)
        keep_one_direction(c);
    assert_int_equal(basin__pca_fit(context, data, fitted_count, components, &pca), BASIN_OK);
    score(context, BASIN__TRIVIAL_PCA_GAUSSIAN, pca, data, scores);
    for (int n = 0; n < POINT_COUNT; n++)
        assert_near(scores[n], gaussian_energy(c, mean, x + 3 * n), 1e-8);
    basin__pca_destroy(pca);
}

static void pca_is_the_gaussian(void **state) {
    static float x[3 * POINT_COUNT];
    uint64_t seed = 5;
    for (int n = 0; n < POINT_COUNT; n++) {
        double a = normal(&seed), b = normal(&seed), c = normal(&seed);
        x[3 * n] = (float)(2.0 * a + 0.3 * b + 4.0);
        x[3 * n + 1] = (float)(-1.0 * a + 0.5 * b - 1.0);
        x[3 * n + 2] = (float)(0.7 * a - 0.2 * b + 0.4 * c);
    }
    basin_data *data = wrap(*state, POINT_COUNT, 1, 1, 3, false, x);
    check_pca(*state, data, x, POINT_COUNT, 3);
    check_pca(*state, data, x, POINT_COUNT, 1);
    check_pca(*state, data, x, 257, 1); /* one example past a block */
    basin_data_close(data);
}

static void pca_refuses_what_it_cannot_fit(void **state) {
    const float x[9] = {1, 2, 3, 1, 2, 3, 1, 2, 3}, y[4] = {0, 1, 1, 0};
    basin_data *same = wrap(*state, 3, 1, 1, 3, false, x);
    basin_data *two = wrap(*state, 2, 1, 1, 2, false, y);
    basin__pca *pca = NULL;
    double scores[3];
    assert_int_equal(basin__pca_fit(*state, same, 0, 2, &pca), BASIN_ERROR_ARGUMENT);
    assert_non_null(strstr(basin_context_error(*state), "all the same"));
    assert_null(pca);
    assert_int_equal(basin__pca_fit(*state, two, 0, 3, &pca), BASIN_ERROR_ARGUMENT);
    assert_int_equal(basin__pca_fit(*state, two, 1, 1, &pca), BASIN_ERROR_ARGUMENT);
    assert_int_equal(basin__pca_fit(*state, two, 0, 1, &pca), BASIN_OK);
    assert_int_equal(basin__trivial_score(*state, BASIN__TRIVIAL_PCA_GAUSSIAN, pca, same, scores),
                     BASIN_ERROR_SHAPE);
    assert_int_equal(basin__trivial_score(*state, BASIN__TRIVIAL_PCA_GAUSSIAN, NULL, same, scores),
                     BASIN_ERROR_ARGUMENT);
    basin__pca_destroy(pca);
    basin__pca_destroy(NULL);
    basin_data_close(same);
    basin_data_close(two);
}

static void scores_do_not_depend_on_threads(void **state) {
    (void)state;
    enum { COUNT = 97, SIDE = 9, CHANNELS = 3, SIZE = SIDE * SIDE * CHANNELS };
    static float x[COUNT * SIZE];
    static double scores[2][BASIN__TRIVIAL_COUNT][COUNT];
    uint64_t seed = 23;
    for (int i = 0; i < COUNT * SIZE; i++)
        x[i] = (float)floor(uniform(&seed) * (1.0 + i % SIZE)) / 255.0f;
    for (int run = 0; run < 2; run++) {
        basin_context *context = make_context(run == 0 ? 1 : 5);
        basin_data *data = wrap(context, COUNT, SIDE, SIDE, CHANNELS, true, x);
        basin__pca *pca = NULL;
        assert_int_equal(basin__pca_fit(context, data, 0, 20, &pca), BASIN_OK);
        for (int kind = 0; kind < BASIN__TRIVIAL_COUNT; kind++)
            score(context, (basin__trivial)kind, pca, data, scores[run][kind]);
        basin__pca_destroy(pca);
        basin_data_close(data);
        basin_context_destroy(context);
    }
    assert_memory_equal(scores[0], scores[1], sizeof scores[0]);
    assert_true(scores[0][BASIN__TRIVIAL_MEAN][0] > 0.0);
}

/* ---- failing allocations ------------------------------------------------------------------- */

typedef struct fault {
    int64_t countdown; /* the allocation that fails, counted from here; below 0: none */
    int64_t alive;
} fault;

static void *fault_allocate(void *user, size_t bytes) {
    fault *f = user;
    if (f->countdown >= 0 && f->countdown-- == 0)
        return NULL;
    f->alive++;
    return aligned_alloc(64, (bytes + 63) / 64 * 64);
}

static void fault_release(void *user, void *memory) {
    ((fault *)user)->alive -= memory != NULL;
    free(memory);
}

static basin_status evaluate(basin_context *context, const basin_data *data) {
    const double inside[] = {1, 2, 3}, outside[] = {2, 4};
    double scores[3];
    basin__detection d;
    BASIN_TRY(basin__detection_measure(context, inside, 3, outside, 2, 5, 1, &d));
    basin__pca *pca = NULL;
    BASIN_TRY(basin__pca_fit(context, data, 0, 2, &pca));
    basin_status status = BASIN_OK;
    for (int kind = 0; kind < BASIN__TRIVIAL_COUNT && status == BASIN_OK; kind++)
        status = basin__trivial_score(context, (basin__trivial)kind, pca, data, scores);
    basin__pca_destroy(pca);
    return status;
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    fault f = {.countdown = -1};
    basin_context_options options;
    basin_context_options_init(&options);
    options.thread_count = 2;
    options.allocate = fault_allocate;
    options.release = fault_release;
    options.allocator_user = &f;
    basin_context *context = NULL;
    assert_int_equal(basin_context_create(&options, &context), BASIN_OK);
    const float x[12] = {0, 1, 0, 1, 1, 0, 0, 0, 1, 1, 0, 1};
    basin_data *data = wrap(context, 3, 2, 2, 1, true, x);
    int64_t alive = f.alive, k = 0;
    for (;; k++) {
        f.countdown = k;
        basin_status status = evaluate(context, data);
        bool reached = f.countdown < 0;
        f.countdown = -1;
        assert_int_equal(f.alive, alive);
        if (!reached) {
            assert_int_equal(status, BASIN_OK);
            break;
        }
        assert_int_equal(status, BASIN_ERROR_MEMORY);
    }
    assert_true(k > 30);
    basin_data_close(data);
    basin_context_destroy(context);
}

/* ---- charts -------------------------------------------------------------------------------- */

static char folder[] = "/tmp/basin-test-eval-XXXXXX";

static int setup_folder(void **state) {
    assert_non_null(mkdtemp(folder));
    return setup(state);
}

static int teardown_folder(void **state) {
    assert_int_equal(basin__folder_remove(*state, folder), BASIN_OK);
    return teardown(state);
}

static const char *path_in(const char *name, char path[128]) {
    snprintf(path, 128, "%s/%s", folder, name);
    return path;
}

static basin__image read_chart(basin_context *context, const char *name) {
    char path[128];
    basin__image image = {0};
    assert_int_equal(basin__png_read(context, path_in(name, path), &image), BASIN_OK);
    assert_int_equal(image.channels, 3);
    return image;
}

typedef enum hue { BLUE, ORANGE, INK } hue;

/* Pixels of a hue in a box given in shares of the picture: the first series is blue, the second
   orange, ink is anything but white. */
static int64_t ink_in(const basin__image *image, hue wanted, double x0, double x1, double y0,
                      double y1) {
    int64_t count = 0;
    for (int row = (int)(y0 * image->height); row < (int)(y1 * image->height); row++) {
        for (int column = (int)(x0 * image->width); column < (int)(x1 * image->width); column++) {
            const unsigned char *p =
                image->pixels + 3 * ((size_t)row * (size_t)image->width + (size_t)column);
            bool is_blue = p[2] > p[0] + 40, is_orange = p[0] > p[2] + 40;
            count += wanted == BLUE ? is_blue : wanted == ORANGE ? is_orange : p[1] < 250;
        }
    }
    return count;
}

static void lines_are_where_they_belong(void **state) {
    double x[101], rising[101], falling[101];
    for (int i = 0; i <= 100; i++) {
        x[i] = 250.0 * i;
        rising[i] = 0.1 * i;
        falling[i] = i == 40 ? NAN : i == 60 ? INFINITY : 10.0 - 0.1 * i;
    }
    char path[128];
    const basin__series series[] = {{"rising", x, rising, 101}, {"falling", x, falling, 101}};
    assert_int_equal(basin__chart_lines(*state, path_in("lines.png", path), "Two lines", "update",
                                        "energy", series, 2),
                     BASIN_OK);
    basin__image image = read_chart(*state, "lines.png");
    assert_true(image.width == 900 && image.height == 560);
    /* The legend is above the uppermost fifth. */
    assert_true(ink_in(&image, BLUE, 0.1, 0.45, 0.55, 0.95) > 300);
    assert_int_equal(ink_in(&image, BLUE, 0.1, 0.3, 0.2, 0.5), 0);
    assert_true(ink_in(&image, BLUE, 0.7, 1.0, 0.2, 0.5) > 300);
    assert_int_equal(ink_in(&image, BLUE, 0.7, 1.0, 0.65, 1.0), 0);
    assert_true(ink_in(&image, ORANGE, 0.1, 0.3, 0.2, 0.5) > 300);
    assert_true(ink_in(&image, ORANGE, 0.7, 1.0, 0.55, 1.0) > 300);
    assert_true(ink_in(&image, INK, 0.0, 0.08, 0.2, 0.9) > 200); /* tick and axis labels */
    assert_true(ink_in(&image, INK, 0.3, 0.7, 0.93, 1.0) > 100);
    basin__image_reset(*state, &image);
}

static void histograms_stand_where_the_values_are(void **state) {
    enum { COUNT = 3000 };
    static double inside[COUNT], outside[COUNT];
    uint64_t seed = 17;
    for (int i = 0; i < COUNT; i++) {
        inside[i] = -4.0 + normal(&seed);
        outside[i] = 4.0 + 0.7 * normal(&seed);
    }
    /* Wild values must not squeeze the rest, nor non-finite ones stop it. */
    inside[0] = -1e6;
    outside[0] = 1e300;
    outside[1] = NAN;
    char path[128];
    const basin__series series[] = {{"inside", NULL, inside, COUNT},
                                    {"outside", NULL, outside, COUNT}};
    assert_int_equal(basin__chart_histogram(*state, path_in("histogram.png", path), "Energies",
                                            "energy", series, 2),
                     BASIN_OK);
    basin__image image = read_chart(*state, "histogram.png");
    assert_true(image.width == 900 && image.height == 560);
    assert_true(ink_in(&image, BLUE, 0.1, 0.5, 0.2, 0.9) > 10000);
    assert_true(ink_in(&image, BLUE, 0.55, 1.0, 0.2, 0.8) < 50);
    assert_true(ink_in(&image, ORANGE, 0.55, 1.0, 0.2, 0.9) > 10000);
    assert_true(ink_in(&image, ORANGE, 0.1, 0.5, 0.2, 0.8) < 50);
    basin__image_reset(*state, &image);
}

static void charts_take_odd_input(void **state) {
    const double nothing[] = {NAN, INFINITY}, same[] = {3.0, 3.0}, huge[] = {-1e300, 1e300};
    const double tiny[] = {0.0, 1e-310}, near_one[] = {1.0, 1.0 + 1e-15}, x[] = {0.0, 1.0};
    const double *const values[] = {nothing, same, huge, tiny, near_one};
    char path[128];
    path_in("odd.png", path);
    for (size_t i = 0; i < BASIN_COUNT(values); i++) {
        const basin__series series = {"a set", x, values[i], 2};
        assert_int_equal(basin__chart_lines(*state, path, "odd", "x", "y", &series, 1), BASIN_OK);
        assert_int_equal(basin__chart_histogram(*state, path, "odd", "x", &series, 1), BASIN_OK);
        basin__image image = read_chart(*state, "odd.png");
        assert_true(ink_in(&image, INK, 0.1, 1.0, 0.2, 0.9) > 500);
        basin__image_reset(*state, &image);
    }
    assert_int_equal(basin__chart_lines(*state, path, "empty", "x", "y", NULL, 0), BASIN_OK);
    assert_int_equal(basin__chart_histogram(*state, path, "empty", "x", NULL, 0), BASIN_OK);
    const basin__series no_abscissa = {"none", NULL, x, 2};
    assert_int_equal(basin__chart_lines(*state, path, "t", "x", "y", &no_abscissa, 1),
                     BASIN_ERROR_ARGUMENT);
    assert_int_equal(basin__chart_lines(*state, path, "not UTF-8: \xff", "x", "y", NULL, 0),
                     BASIN_ERROR_ARGUMENT);
    assert_int_equal(basin__chart_lines(*state, "/nowhere/at/all.png", "t", "x", "y", NULL, 0),
                     BASIN_ERROR_IO);
}

static void captioned_pictures_hold_the_pixels(void **state) {
    basin__image images[2] = {{0}, {0}};
    assert_int_equal(basin__image_init(*state, &images[0], 20, 300, 1), BASIN_OK);
    assert_int_equal(basin__image_init(*state, &images[1], 30, 40, 3), BASIN_OK);
    memset(images[0].pixels, 77, 20 * 300);
    for (int i = 0; i < 30 * 40; i++)
        images[1].pixels[3 * i] = 200; /* red */
    const char *const captions[] = {"start", "after 60 steps"};
    char path[128];
    path_in("captioned.png", path);
    assert_int_equal(basin__chart_captioned(*state, path, images, captions, 2), BASIN_OK);
    basin__image picture = read_chart(*state, "captioned.png");
    assert_int_equal(picture.width, 300 + 32);
    int grey = 0, red = 0, dark = 0;
    for (int i = 0; i < picture.width * picture.height; i++) {
        const unsigned char *p = picture.pixels + 3 * i;
        grey += p[0] == 77 && p[1] == 77 && p[2] == 77;
        red += p[0] == 200 && p[1] == 0 && p[2] == 0;
        dark += p[0] < 70 && p[1] < 70;
    }
    assert_int_equal(grey, 20 * 300); /* captions are a bluish grey */
    assert_int_equal(red, 30 * 40);
    assert_true(dark > 60);
    assert_int_equal(basin__chart_captioned(*state, path, images, captions, 0),
                     BASIN_ERROR_ARGUMENT);
    basin__image_reset(*state, &picture);
    basin__image_reset(*state, &images[0]);
    basin__image_reset(*state, &images[1]);
}

int main(void) {
    const struct CMUnitTest measures[] = {
        cmocka_unit_test(auroc_and_error_are_their_definitions),
        cmocka_unit_test(hand_worked_cases),
        cmocka_unit_test(intervals_cover_and_shrink),
        cmocka_unit_test(bad_scores_are_refused),
        cmocka_unit_test(simple_scores_by_hand),
        cmocka_unit_test(compressed_size_grows_with_disorder),
        cmocka_unit_test(pca_is_the_gaussian),
        cmocka_unit_test(pca_refuses_what_it_cannot_fit),
        cmocka_unit_test(scores_do_not_depend_on_threads),
        cmocka_unit_test(every_allocation_may_fail),
    };
    const struct CMUnitTest charts[] = {
        cmocka_unit_test(lines_are_where_they_belong),
        cmocka_unit_test(histograms_stand_where_the_values_are),
        cmocka_unit_test(charts_take_odd_input),
        cmocka_unit_test(captioned_pictures_hold_the_pixels),
    };
    int failed = cmocka_run_group_tests(measures, setup, teardown);
    return failed + cmocka_run_group_tests(charts, setup_folder, teardown_folder);
}
