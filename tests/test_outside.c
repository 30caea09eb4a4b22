/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outside sets made from an inside set: what each kind keeps and what it
 * changes, and that one seed gives one set.
 */
#include "eval/outside.h"
#include "eval/score.h"
#include "support.h"
#include <math.h>

enum { COUNT = 60, SIDE = 14, SIZE = SIDE * SIDE };

typedef struct bench {
    basin_context *context;
    basin_data *inside;
    float x[COUNT * SIZE];
} bench;

/** Images whose values are all different, so that every pixel can be followed. */
static int set_up(void **state) {
    bench *at = test_calloc(1, sizeof(*at));
    if (basin_context_create(NULL, &at->context) != BASIN_OK)
        return -1;
    int labels[COUNT];
    for (int i = 0; i < COUNT; i++)
        labels[i] = i % 3;
    for (int i = 0; i < COUNT * SIZE; i++)
        at->x[i] = (float)(i % SIZE) / (float)SIZE + (float)(i / SIZE) / (float)(2 * SIZE * COUNT);
    *state = at;
    return basin_data_from_memory(at->context, "steps", COUNT, SIDE, SIDE, 1, true, at->x, labels,
                                  &at->inside) == BASIN_OK
               ? 0
               : -1;
}

static int tear_down(void **state) {
    bench *at = *state;
    basin_data_close(at->inside);
    basin_context_destroy(at->context);
    test_free(at);
    return 0;
}

/** Make a kind and copy its examples out. */
static void make(bench *at, const char *name, const basin_data *inside, uint64_t seed, float *out) {
    basin_data *data;
    int kind = basin__outside_find(name);
    assert_true(kind >= 0);
    if (basin__outside_make(at->context, kind, inside, 0, seed, &data) != BASIN_OK)
        fail_msg("%s", basin_context_error(at->context));
    assert_int_equal(basin_data_describe(data)->count, COUNT);
    assert_string_equal(basin_data_describe(data)->name, name);
    for (int i = 0; i < COUNT; i++)
        basin_data_get(data, i, out + i * SIZE);
    basin_data_close(data);
}

static float expected_get(const bench *at, int64_t index, int i) {
    float x[SIZE];
    basin_data_get(at->inside, index, x);
    return x[i];
}

/** One seed, one set; another seed, another, for those with chance in them. */
static void test_seed(void **state) {
    static float a[COUNT * SIZE], b[COUNT * SIZE], c[COUNT * SIZE];
    bench *at = *state;
    for (int kind = 0; kind < basin__outside_count(); kind++) {
        const char *name = basin__outside_name(kind);
        if (strcmp(name, "flips") == 0) /* is known of digits and garments */
            continue;
        bool is_fixed = strcmp(name, "inverted") == 0 || strcmp(name, "rotated") == 0;
        make(at, name, at->inside, 1, a);
        make(at, name, at->inside, 1, b);
        make(at, name, at->inside, 2, c);
        assert_memory_equal(a, b, sizeof(a));
        assert_int_equal(memcmp(a, c, sizeof(a)) == 0, is_fixed);
        assert_true(strlen(basin__outside_help(kind)) > 10);
    }
    assert_int_equal(basin__outside_find("nothing"), -1);
}

/** The four patches move as wholes; none of 60 images keeps its order. */
static void test_shuffled(void **state) {
    static float out[COUNT * SIZE];
    bench *at = *state;
    make(at, "shuffled-patches", at->inside, 3, out);
    int orders_seen[4] = {0};
    for (int n = 0; n < COUNT; n++) {
        bool is_used[4] = {false}, is_moved = false;
        for (int p = 0; p < 4; p++) {
            int corner = p / 2 * 7 * SIDE + p % 2 * 7, from = -1;
            for (int q = 0; q < 4; q++)
                if (out[n * SIZE + corner] == expected_get(at, n, q / 2 * 7 * SIDE + q % 2 * 7))
                    from = q;
            assert_true(from >= 0 && !is_used[from]);
            is_used[from] = true;
            is_moved = is_moved || from != p;
            if (p == 0)
                orders_seen[from]++;
            int from_corner = from / 2 * 7 * SIDE + from % 2 * 7;
            for (int i = 0; i < 49; i++) {
                int offset = i / 7 * SIDE + i % 7;
                assert_true(out[n * SIZE + corner + offset] ==
                            expected_get(at, n, from_corner + offset));
            }
        }
        assert_true(is_moved);
    }
    for (int i = 0; i < 4; i++) /* 60 draws miss one of four with 1e-7 */
        assert_true(orders_seen[i] > 0);
}

/** Each is halfway to an example of another class: the double less the one is an example. */
static void test_interpolated(void **state) {
    static float out[COUNT * SIZE];
    bench *at = *state;
    make(at, "interpolated", at->inside, 3, out);
    for (int n = 0; n < COUNT; n++) {
        int partner = -1;
        for (int k = 0; k < COUNT; k++) {
            float farthest = 0.0F;
            for (int i = 0; i < SIZE; i++) {
                const float other = 2.0F * out[n * SIZE + i] - expected_get(at, n, i);
                farthest = fmaxf(farthest, fabsf(other - expected_get(at, k, i)));
            }
            if (farthest < 1e-6F)
                partner = k;
        }
        assert_true(partner >= 0);
        assert_true(basin_data_label(at->inside, partner) != basin_data_label(at->inside, n));
    }
    basin_data *one, *outside;
    assert_int_equal(
        basin_data_from_memory(at->context, "one", 1, SIDE, SIDE, 1, true, at->x, NULL, &one),
        BASIN_OK);
    assert_int_equal(
        basin__outside_make(at->context, basin__outside_find("interpolated"), one, 0, 1, &outside),
        BASIN_ERROR_UNSUPPORTED);
    basin_data_close(one);
}

static void test_rotated(void **state) {
    static float out[COUNT * SIZE], again[COUNT * SIZE];
    bench *at = *state;
    make(at, "rotated", at->inside, 0, out);
    /* a quarter turn to the left brings the right column up */
    for (int x = 0; x < SIDE; x++)
        assert_true(out[x] == expected_get(at, 0, x * SIDE + SIDE - 1));
    for (int turn = 0; turn < 3; turn++) {
        basin_data *turned;
        assert_int_equal(basin_data_from_memory(at->context, "turned", COUNT, SIDE, SIDE, 1, true,
                                                out, NULL, &turned),
                         BASIN_OK);
        make(at, "rotated", turned, 0, again);
        memcpy(out, again, sizeof(out));
        basin_data_close(turned);
    }
    for (int i = 0; i < SIZE; i++)
        assert_true(out[SIZE + i] == expected_get(at, 1, i));
}

/** Moments of the noises: standard errors are below 0.003; 6 of them never happen. */
static void test_noise(void **state) {
    static float out[COUNT * SIZE];
    bench *at = *state;
    double mean[2] = {0}, square[2] = {0}, total = COUNT * SIZE, inside_mean = 0.0;
    const char *names[] = {"uniform-noise", "gaussian-noise"};
    for (int k = 0; k < 2; k++) {
        make(at, names[k], at->inside, 5, out);
        for (int i = 0; i < COUNT * SIZE; i++) {
            assert_true(out[i] >= 0.0f && out[i] <= 1.0f);
            mean[k] += (double)out[i] / total;
            square[k] += (double)out[i] * (double)out[i] / total;
            inside_mean += k == 0 ? (double)at->x[i] / total : 0.0;
        }
    }
    assert_true(fabs(mean[0] - 0.5) < 0.018);
    assert_true(fabs(square[0] - mean[0] * mean[0] - 1.0 / 12.0) < 0.018);
    assert_true(fabs(mean[1] - inside_mean) < 0.018);
    make(at, "inverted", at->inside, 0, out);
    assert_true(fabsf(out[7] - (1.0f - expected_get(at, 0, 7))) < 1e-6f);
    make(at, "constant", at->inside, 0, out);
    for (int i = 1; i < SIZE; i++)
        assert_true(out[i] == out[0]);
    assert_true(out[SIZE] != out[0]);
}

static void test_points(void **state) {
    bench *at = *state;
    basin_data *points, *out;
    assert_int_equal(
        basin_data_from_memory(at->context, "points", 50, 1, 1, 2, false, at->x, NULL, &points),
        BASIN_OK);
    for (int kind = 0; kind < basin__outside_count(); kind++) {
        const char *name = basin__outside_name(kind);
        basin_status status = basin__outside_make(at->context, kind, points, 20, 0, &out);
        bool is_noise = strcmp(name, "uniform-noise") == 0 || strcmp(name, "gaussian-noise") == 0;
        assert_int_equal(status, is_noise ? BASIN_OK : BASIN_ERROR_UNSUPPORTED);
        if (is_noise)
            assert_int_equal(basin_data_describe(out)->count, 20);
        basin_data_close(out);
    }
    basin_data_close(points);
    assert_int_equal(
        basin_data_from_memory(at->context, "odd", 5, 9, 10, 1, true, at->x, NULL, &points),
        BASIN_OK);
    assert_int_equal(basin__outside_make(at->context, basin__outside_find("shuffled-patches"),
                                         points, 0, 0, &out),
                     BASIN_ERROR_UNSUPPORTED);
    basin_data_close(points);
}

/* ---- scores of a data set ---- */

static void mean_energy(void *user, int64_t n, const float *x, double *energies, float *gradient) {
    (void)user;
    (void)gradient;
    for (int64_t i = 0; i < n; i++) {
        energies[i] = 0.0;
        for (int j = 0; j < SIZE; j++)
            energies[i] += (double)x[i * SIZE + j] / SIZE;
    }
}

static void first_energy(void *user, int64_t batch, const float *x, double *energies,
                         float *gradient) {
    (void)user;
    (void)gradient;
    for (int64_t i = 0; i < batch; i++)
        energies[i] = (double)x[i * SIZE];
}

/** Data in [0, 1] reach an energy in its own range, [-1, 1] here. */
static void test_score_range(void **state) {
    bench *at = *state;
    basin_energy *energy;
    double energies[COUNT], part[7];
    assert_int_equal(
        basin_energy_from_callback(at->context, SIDE, SIDE, 1, mean_energy, NULL, &energy),
        BASIN_OK);
    assert_int_equal(basin__energy_note(energy, "range_low", "-1"), BASIN_OK);
    assert_int_equal(basin__energy_note(energy, "range_high", "1"), BASIN_OK);
    assert_int_equal(basin__score_data(energy, at->inside, 0, COUNT, energies), BASIN_OK);
    assert_int_equal(basin__score_data(energy, at->inside, 40, 7, part), BASIN_OK);
    assert_memory_equal(part, energies + 40, sizeof(part));
    for (int n = 0; n < COUNT; n++) {
        double mean = 0.0;
        for (int i = 0; i < SIZE; i++)
            mean += (double)expected_get(at, n, i) / SIZE;
        assert_true(fabs(energies[n] - (2.0 * mean - 1.0)) < 1e-6);
    }
    basin_energy_destroy(energy);
    assert_int_equal(
        basin_energy_from_callback(at->context, SIDE, SIDE, 3, mean_energy, NULL, &energy),
        BASIN_OK);
    assert_int_equal(basin__score_data(energy, at->inside, 0, 1, energies), BASIN_ERROR_SHAPE);
    basin_energy_destroy(energy);
}

/** The energy, x's first value, that two pixels x reach a model of a range with; NaN: refused. */
static double first_of(bench *at, const float own[2], float low, float high) {
    const float x[SIZE] = {low, high};
    char text[2][32];
    double energies[1] = {NAN};
    basin_data *data;
    basin_energy *energy;
    for (int i = 0; i < 2; i++)
        snprintf(text[i], sizeof text[i], "%g", (double)own[i]);
    assert_int_equal(
        basin_data_from_memory(at->context, "floats", 1, SIDE, SIDE, 1, true, x, NULL, &data),
        BASIN_OK);
    assert_int_equal(
        basin_energy_from_callback(at->context, SIDE, SIDE, 1, first_energy, NULL, &energy),
        BASIN_OK);
    assert_int_equal(basin__energy_note(energy, "range_low", "%s", text[0]), BASIN_OK);
    assert_int_equal(basin__energy_note(energy, "range_high", "%s", text[1]), BASIN_OK);
    basin_status status = basin__score_data(energy, data, 0, 1, energies);
    assert_true(status == BASIN_OK || status == BASIN_ERROR_FORMAT);
    if (status != BASIN_OK)
        assert_non_null(strstr(basin_context_error(at->context), "neither [0, 1] nor [-1, 1]"));
    basin_energy_destroy(energy);
    basin_data_close(data);
    return status == BASIN_OK ? energies[0] : NAN;
}

/** Floats are of [0, 1], of [−1, 1] or the model's own, with a little beyond: samples overshoot. */
static void test_range_of_floats(void **state) {
    static const float unit[] = {0, 1}, both[] = {-1, 1}, bytes[] = {0, 255};
    const struct {
        const float *own;
        float low, high;
        double wanted; /* NaN: refused */
    } cases[] = {
        {unit, -0.03f, 0.98f, -0.03}, {unit, 0.25f, 1.05f, 0.25}, {unit, -0.6f, 1, 0.2},
        {unit, -1.1f, 1.1f, -0.05},   {both, -1.02f, 1, -1.02},   {both, 0.25f, 1, -0.5},
        {both, -0.3f, 0.9f, -0.3},    {unit, -0.3f, 0.9f, NAN},   {bytes, 3, 250, 3},
        {bytes, -7, 258, -7},         {bytes, 0.25f, 1, 63.75},   {bytes, -90, 250, NAN},
        {unit, 0, 255, NAN},          {both, -1.5f, 1, NAN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const double got = first_of(*state, cases[i].own, cases[i].low, cases[i].high);
        if (isnan(cases[i].wanted))
            assert_true(isnan(got));
        else
            assert_true(fabs(got - cases[i].wanted) < 1e-4);
    }
}

int main(void) {
#define OUTSIDE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        OUTSIDE_TEST(test_seed),         OUTSIDE_TEST(test_shuffled),
        OUTSIDE_TEST(test_interpolated), OUTSIDE_TEST(test_rotated),
        OUTSIDE_TEST(test_noise),        OUTSIDE_TEST(test_points),
        OUTSIDE_TEST(test_score_range),  OUTSIDE_TEST(test_range_of_floats),
    };
    return cmocka_run_group_tests_name("outside", tests, NULL, NULL);
}
