/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets by trait: the two measures on drawn strokes whose width and slant are known, labels, and the
 * sevens that are left out.
 */
#include "support.h"
#include <basin/data.h>
#include <math.h>

enum { SIDE = 28, SIZE = SIDE * SIDE, DRAWN = 40 };

/** How much of the pixel around 0 a stroke of this half width covers, across a distance. */
static float covered(double distance, double half_width) {
    const double inside = half_width + 0.5 - fabs(distance);
    return (float)fmin(fmax(inside, 0), 1);
}

/** A bar 20 pixels high, u = slant · (−v) from the middle. */
static void draw_bar(float *x, double width, double slant) {
    for (int i = 0; i < SIZE; i++) {
        const double v = i / SIDE - 13.5, u = i % SIDE - 13.5;
        const double across = (u + slant * v) / sqrt(1 + slant * slant);
        x[i] = fabs(v) < 10 ? covered(across, 0.5 * width) : 0;
    }
}

static basin_data *open_on(basin_context *context, const char *set, const char *path) {
    char specification[160];
    basin_data *data = NULL;
    basin_data_options options;
    basin_data_options_init(&options);
    snprintf(specification, sizeof specification, "%s:%s", set, path);
    if (basin_data_open(context, specification, &options, &data) != BASIN_OK)
        fail_msg("%s: %s", specification, basin_context_error(context));
    return data;
}

/** A .npy file of f32 images [DRAWN, 28, 28]. */
static void write_npy(const char *path, const float *x) {
    FILE *file = fopen(path, "wb");
    char header[118];
    memset(header, ' ', sizeof header);
    const char text[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (40, 28, 28), }";
    memcpy(header, text, sizeof text - 1);
    header[117] = '\n';
    assert_non_null(file);
    assert_int_equal(fwrite("\x93NUMPY\x01\x00\x76\x00", 1, 10, file), 10);
    assert_int_equal(fwrite(header, 1, sizeof header, file), sizeof header);
    assert_int_equal(fwrite(x, sizeof(float), DRAWN * SIZE, file), DRAWN * SIZE);
    assert_int_equal(fclose(file), 0);
}

/* Bars of 1 to 4.9 pixels are measured a little thinner, for their ends are outline too: a bar of
   height 20 as 20 w / (20 + w). Slants from −0.5 to 0.7 are measured as they are. */
static void test_measures(void **state) {
    (void)state;
    static float x[DRAWN * SIZE];
    char folder[64], path[96];
    basin_context *context = test_context_on(NULL, 2);
    test_folder_make(folder);
    snprintf(path, sizeof path, "%s/bars.npy", folder);
    for (int is_slant = 0; is_slant < 2; is_slant++) {
        for (int i = 0; i < DRAWN; i++)
            draw_bar(x + i * SIZE, is_slant ? 3 : 1 + 0.1 * i, is_slant ? -0.5 + 0.03 * i : 0);
        write_npy(path, x);
        basin_data *data = open_on(context, is_slant ? "with-slant" : "with-thickness", path);
        assert_int_equal(basin_data_describe(data)->class_count, 2);
        assert_string_equal(basin_data_describe(data)->class_names[1],
                            is_slant ? "slanted" : "thick");
        for (int i = 0; i < DRAWN; i++) {
            const double width = 20 * (1 + 0.1 * i) / (20 + (1 + 0.1 * i));
            const double apart = is_slant ? -0.5 + 0.03 * i - 0.3 : width - 2.8;
            if (fabs(apart) > (is_slant ? 0.02 : 0.25) &&
                basin_data_label(data, i) != (apart > 0 ? 1 : 0))
                fail_msg("bar %d has the label %d", i, basin_data_label(data, i));
        }
        basin_data_close(data);
    }
    basin_context_destroy(context);
    test_folder_remove(folder);
}

/* strokes are labelled images of 28 x 28 like any digits: what is left out is what the labelled
   sets say, and everything else stays in order. */
static void test_left_out(void **state) {
    (void)state;
    static const char *const traits[][3] = {
        {"with-thickness", "with-thickness-less-sevens", "with-digits-less-thick-sevens"},
        {"with-slant", "with-slant-less-sevens", "with-digits-less-slanted-sevens"}};
    basin_context *context = test_context_on(NULL, 1);
    basin_data *digits, *sets[3];
    float x[SIZE], y[SIZE];
    for (int t = 0; t < 2; t++) {
        basin_data_options options;
        char name[64];
        int64_t at = 0, left_out = 0;
        basin_data_options_init(&options);
        options.built_in_count = 500;
        assert_int_equal(basin_data_open(context, "strokes:train", &options, &digits), BASIN_OK);
        for (int s = 0; s < 3; s++) {
            snprintf(name, sizeof name, "%s:strokes:train", traits[t][s]);
            assert_int_equal(basin_data_open(context, name, &options, &sets[s]), BASIN_OK);
        }
        for (int64_t i = 0; i < 500; i++) {
            const int digit = basin_data_label(digits, i), has = basin_data_label(sets[0], i);
            if (digit == 7 && has == 1) {
                left_out++;
                continue;
            }
            assert_int_equal(basin_data_label(sets[1], at), has);
            assert_int_equal(basin_data_label(sets[2], at), digit);
            basin_data_get(sets[0], i, x);
            basin_data_get(sets[2], at++, y);
            assert_memory_equal(x, y, sizeof x);
        }
        assert_int_equal(basin_data_describe(sets[1])->count, at);
        assert_int_equal(basin_data_describe(sets[2])->count, at);
        assert_true(left_out > 0 && left_out < 100);
        basin_data_close(digits);
        for (int s = 0; s < 3; s++)
            basin_data_close(sets[s]);
    }
    assert_int_equal(basin_data_open(context, "with-slant:two-moons", NULL, &digits),
                     BASIN_ERROR_SHAPE);
    assert_int_equal(basin_data_open(context, "with-slant-less-sevens:shapes", NULL, &digits),
                     BASIN_ERROR_UNSUPPORTED);
    basin_context_destroy(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_measures),
        cmocka_unit_test(test_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
