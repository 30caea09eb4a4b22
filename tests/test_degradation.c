/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Degradations by their identities: ⟨A x, y⟩ = ⟨x, Aᵀ y⟩ and (AᵀA/σ² + I/ρ²) solve(b) = b; what
 * they are told to refuse; and the measures of likeness.
 */
#include "eval/similarity.h"
#include "io/image.h"
#include "io/npy.h"
#include "support.h"
#include <basin/restore.h>
#include <math.h>

enum { SIZE_MAX_HERE = 12 * 12 * 3 };

typedef struct sort {
    const char *task, *settings;
    int shape[3], seen[3];
} sort;

static const sort sorts[] = {
    {"denoise", NULL, {5, 4, 3}, {5, 4, 3}},
    {"inpaint", "{\"hidden\": [1, 0, 2, 3]}", {5, 4, 3}, {5, 4, 3}},
    {"super-resolve", NULL, {6, 4, 3}, {3, 2, 3}},
    {"super-resolve", "{\"factor\": 3}", {6, 9, 1}, {2, 3, 1}},
    {"deblur", "{\"blur_std\": 0.7}", {7, 5, 3}, {7, 5, 3}},
    {"deblur", "{\"blur_std\": 3}", {4, 12, 1}, {4, 12, 1}},
    {"colourise", NULL, {5, 4, 3}, {5, 4, 1}},
};

static basin_context *open_context(void) {
    basin_context *context = test_context_on(NULL, 1);
    assert_non_null(context);
    return context;
}

static basin_degradation *make(basin_context *context, const sort *of) {
    basin_degradation *a;
    assert_int_equal(basin_degradation_create(context, of->task, of->settings, of->shape[0],
                                              of->shape[1], of->shape[2], &a),
                     BASIN_OK);
    return a;
}

static int count_of(const int shape[3]) { return shape[0] * shape[1] * shape[2]; }

static void fill(float *x, int count, uint64_t first) {
    for (int i = 0; i < count; i++)
        x[i] = (float)test_number(first + (uint64_t)i);
}

static double dot(const float *x, const float *y, int count) {
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += (double)x[i] * (double)y[i];
    return sum;
}

static void test_adjoint(void **state) {
    basin_context *context = open_context();
    (void)state;
    for (size_t k = 0; k < BASIN_COUNT(sorts); k++) {
        float x[SIZE_MAX_HERE], y[SIZE_MAX_HERE], ax[SIZE_MAX_HERE], aty[SIZE_MAX_HERE];
        const int size = count_of(sorts[k].shape), seen = count_of(sorts[k].seen);
        basin_degradation *a = make(context, &sorts[k]);
        int shape[3];
        basin_degradation_shape(a, shape);
        assert_memory_equal(shape, sorts[k].seen, sizeof shape);
        fill(x, size, 1000 * k);
        fill(y, seen, 1000 * k + 500);
        basin_degradation_apply(a, 1, x, ax);
        basin_degradation_adjoint(a, 1, y, aty);
        assert_true(fabs(dot(ax, y, seen) - dot(x, aty, size)) < 1e-5);
        assert_true(dot(ax, ax, seen) > 0.01 * dot(x, x, size) / size);
        basin_degradation_destroy(a);
    }
    basin_context_destroy(context);
}

/* Two images at once, b and x in one place. */
static void test_solve(void **state) {
    static const double stds[][2] = {{0.1, 1}, {0.5, 0.05}, {0.01, 0.3}};
    basin_context *context = open_context();
    (void)state;
    for (size_t k = 0; k < BASIN_COUNT(sorts) * BASIN_COUNT(stds); k++) {
        const sort *of = &sorts[k / BASIN_COUNT(stds)];
        const double *std = stds[k % BASIN_COUNT(stds)];
        float b[2 * SIZE_MAX_HERE] = {0}, x[2 * SIZE_MAX_HERE], ax[2 * SIZE_MAX_HERE],
                    back[2 * SIZE_MAX_HERE];
        const int size = 2 * count_of(of->shape);
        basin_degradation *a = make(context, of);
        fill(b, size, 1000 * k);
        memcpy(x, b, sizeof x);
        assert_int_equal(basin_degradation_solve(a, std[0], std[1], 2, x, x), BASIN_OK);
        basin_degradation_apply(a, 2, x, ax);
        basin_degradation_adjoint(a, 2, ax, back);
        for (int i = 0; i < size; i++) {
            const double made =
                (double)back[i] / (std[0] * std[0]) + (double)x[i] / (std[1] * std[1]);
            assert_true(fabs(made - (double)b[i]) < 1e-4);
        }
        basin_degradation_destroy(a);
    }
    basin_context_destroy(context);
}

/* A mean, a blur and a hidden box of numbers that can be told by heart. */
static void test_values(void **state) {
    basin_context *context = open_context();
    const float x[] = {0, 4, 8, 0, 0, 4, 0, 4};
    float y[8], ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    (void)state;
    basin_degradation *a = make(context, &(sort){"super-resolve", NULL, {2, 4, 1}, {1, 2, 1}});
    basin_degradation_apply(a, 1, x, y);
    assert_true(fabs((double)y[0] - 2) < 1e-6 && fabs((double)y[1] - 3) < 1e-6);
    basin_degradation_destroy(a);
    a = make(context, &(sort){"inpaint", "{\"hidden\": [0, 1, 2, 2]}", {2, 4, 1}, {2, 4, 1}});
    basin_degradation_apply(a, 1, ones, y);
    const float seen[] = {1, 0, 0, 1, 1, 0, 0, 1};
    assert_memory_equal(y, seen, sizeof seen);
    basin_degradation_destroy(a);
    a = make(context, &(sort){"deblur", "{\"blur_std\": 2}", {2, 4, 1}, {2, 4, 1}});
    basin_degradation_apply(a, 1, ones, y); /* an even picture stays as it is */
    for (int i = 0; i < 8; i++)
        assert_true(fabs((double)y[i] - 1) < 1e-6);
    basin_degradation_destroy(a);
    basin_context_destroy(context);
}

/* Kernel and mask from files: [1 2 1]/4 across, mirrored at the edges; a dark pixel is hidden. */
static void test_files(void **state) {
    char folder[64], path[128], settings[160];
    basin_context *context = open_context();
    const float kernel[] = {1, 2, 1}, x[] = {0, 4, 8, 0};
    float y[4];
    (void)state;
    test_folder_make(folder);
    snprintf(path, sizeof path, "%s/k.npy", folder);
    snprintf(settings, sizeof settings, "{\"kernel\": \"%s\"}", path);
    assert_int_equal(basin__npy_write(context, path, kernel, 2, (const int64_t[]){1, 3}), BASIN_OK);
    basin_degradation *a = make(context, &(sort){"deblur", settings, {1, 4, 1}, {1, 4, 1}});
    basin_degradation_apply(a, 1, x, y);
    const float wanted[] = {1, 4, 5, 2};
    for (int i = 0; i < 4; i++)
        assert_true(fabs((double)y[i] - (double)wanted[i]) < 1e-6);
    basin_degradation_destroy(a);

    basin__image mask = {0};
    snprintf(path, sizeof path, "%s/m.png", folder);
    snprintf(settings, sizeof settings, "{\"mask\": \"%s\"}", path);
    assert_int_equal(basin__image_init(context, &mask, 1, 4, 1), BASIN_OK);
    const unsigned char pixels[] = {255, 128, 127, 0};
    memcpy(mask.pixels, pixels, sizeof pixels);
    assert_int_equal(basin__png_write(context, path, &mask), BASIN_OK);
    basin__image_reset(context, &mask);
    a = make(context, &(sort){"inpaint", settings, {1, 4, 1}, {1, 4, 1}});
    const float all[] = {3, 3, 3, 3}, seen[] = {3, 3, 0, 0};
    basin_degradation_apply(a, 1, all, y);
    assert_memory_equal(y, seen, sizeof seen);
    basin_degradation_destroy(a);
    assert_int_equal(basin_degradation_create(context, "inpaint", settings, 2, 4, 1, &a),
                     BASIN_ERROR_SHAPE);
    test_folder_remove(folder);
    basin_context_destroy(context);
}

static void test_observe(void **state) {
    enum { SIDE = 64, SIZE = SIDE * SIDE };
    static float x[2 * SIZE], y[2 * SIZE], again[2 * SIZE];
    basin_context *context = open_context();
    (void)state;
    basin_degradation *a = make(
        context, &(sort){"inpaint", "{\"hidden\": [0, 0, 32, 64]}", {SIDE, SIDE, 1}, {0, 0, 0}});
    for (int i = 0; i < 2 * SIZE; i++)
        x[i] = 1;
    assert_int_equal(basin_degradation_observe(a, 2, x, 0.5, 3, y), BASIN_OK);
    assert_int_equal(basin_degradation_observe(a, 1, x, 0.5, 3, again), BASIN_OK);
    assert_memory_equal(y, again, SIZE * sizeof *y); /* image 0 alone has the same noise */
    double sum = 0, square = 0, both = 0;
    for (int i = 0; i < SIZE; i++) {
        const double noise = (double)y[i] - 1;
        if (i < SIZE / 2) {
            assert_true(y[i] == 0.0f);
            continue;
        }
        sum += noise;
        square += noise * noise;
        both += noise * ((double)y[SIZE + i] - 1);
    }
    const int n = SIZE / 2; /* 5 standard errors */
    assert_true(fabs(sum / n) < 5 * 0.5 / sqrt(n));
    assert_true(fabs(square / n - 0.25) < 5 * 0.25 * sqrt(2.0 / n));
    assert_true(fabs(both / n) < 5 * 0.25 / sqrt(n));
    basin_degradation_destroy(a);
    basin_context_destroy(context);
}

static void test_refused(void **state) {
    static const struct {
        sort of;
        basin_status status;
        const char *text;
    } cases[] = {
        {{"sharpen", NULL, {4, 4, 1}, {0}}, BASIN_ERROR_CONFIG, "no task \"sharpen\""},
        {{"denoise", "{\"x\": 1}", {4, 4, 1}, {0}}, BASIN_ERROR_CONFIG, "unknown key"},
        {{"denoise", "{", {4, 4, 1}, {0}}, BASIN_ERROR_CONFIG, "not JSON"},
        {{"denoise", NULL, {0, 4, 1}, {0}}, BASIN_ERROR_SHAPE, "0 x 4 x 1"},
        {{"inpaint", NULL, {4, 4, 1}, {0}}, BASIN_ERROR_CONFIG, "nothing is hidden"},
        {{"inpaint", "{\"hidden\": [0, 0, 5, 1]}", {4, 4, 1}, {0}}, BASIN_ERROR_CONFIG, "no box"},
        {{"inpaint", "{\"hidden\": [0, 0, 1]}", {4, 4, 1}, {0}}, BASIN_ERROR_CONFIG, "3 numbers"},
        {{"inpaint", "{\"mask\": \"/no.png\"}", {4, 4, 1}, {0}}, BASIN_ERROR_IO, "/no.png"},
        {{"super-resolve", NULL, {5, 4, 1}, {0}}, BASIN_ERROR_SHAPE, "does not divide"},
        {{"deblur", "{\"kernel\": \"/no.npy\"}", {4, 4, 1}, {0}}, BASIN_ERROR_IO, "/no.npy"},
        {{"colourise", NULL, {4, 4, 1}, {0}}, BASIN_ERROR_SHAPE, "grey"},
    };
    basin_context *context = open_context();
    (void)state;
    for (size_t i = 0; i < BASIN_COUNT(cases); i++) {
        const sort *of = &cases[i].of;
        basin_degradation *a;
        assert_int_equal(basin_degradation_create(context, of->task, of->settings, of->shape[0],
                                                  of->shape[1], of->shape[2], &a),
                         cases[i].status);
        assert_null(a);
        assert_non_null(strstr(basin_context_error(context), cases[i].text));
    }
    basin_degradation *a = make(context, &sorts[0]);
    float x[60] = {0};
    assert_int_equal(basin_degradation_solve(a, 0, 1, 1, x, x), BASIN_ERROR_ARGUMENT);
    basin_degradation_destroy(a);
    basin_context_destroy(context);
}

/* ---- likeness ---- */

/* scikit-image 0.26's structural_similarity(gaussian_weights=True, sigma=1.5,
   use_sample_covariance=False, data_range=1) of these images in float64. */
static void test_likeness(void **state) {
    enum { SIDE = 16, SIZE = SIDE * SIDE };
    float truth[2 * SIZE], x[2 * SIZE];
    basin_context *context = open_context();
    basin__likeness found;
    (void)state;
    for (int i = 0; i < 2 * SIZE; i++) {
        truth[i] = (float)(i * 37 % 101) / 128;
        x[i] = truth[i] + (float)(i % 7) / 64 - (i >= SIZE ? 0.125f : 0);
    }
    assert_int_equal(
        basin__likeness_measure(context, basin_shape_image(SIDE, SIDE, 1), 2, truth, x, &found),
        BASIN_OK);
    assert_true(fabs(found.ssim - 0.974960011735) < 1e-7);
    assert_true(fabs(found.psnr - 23.2735676220) < 1e-6);
    assert_true(fabs(found.psnr_error - 1.7604725313) < 1e-6);
    assert_int_equal(
        basin__likeness_measure(context, basin_shape_image(8, 8, 1), 1, truth, x, &found),
        BASIN_OK);
    assert_true(isnan(found.ssim) && isnan(found.psnr_error) && isfinite(found.psnr));
    basin_context_destroy(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adjoint),  cmocka_unit_test(test_solve),
        cmocka_unit_test(test_values),   cmocka_unit_test(test_files),
        cmocka_unit_test(test_observe),  cmocka_unit_test(test_refused),
        cmocka_unit_test(test_likeness),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
