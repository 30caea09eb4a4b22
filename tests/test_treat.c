/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Treatment of images: movements are as large as is said and as often, values stay in their range,
 * and all is a pure function of where it is drawn.
 */
#include "support.h"
#include "train/batches.h"
#include "train/treat.h"
#include <math.h>

enum { SIDE = 19, SIZE = SIDE * SIDE, DRAWS = 1000 };

/* Two spots of 3 × 3 on one row, at columns 4 and 14: the centre lies midway. */
static void draw_spots(float x[SIZE]) {
    for (int i = 0; i < SIZE; i++) {
        int row = i / SIDE, column = i % SIDE;
        bool is_spot = abs(row - 9) <= 1 && (abs(column - 4) <= 1 || abs(column - 14) <= 1);
        x[i] = is_spot ? 1.0f : -1.0f;
    }
}

/* The middle of what is bright in columns [first, end): noise, at most a twentieth, is not. */
static void find_spot(const float x[SIZE], int first, int end, double place[2]) {
    double sum = 0;
    place[0] = place[1] = 0;
    for (int i = 0; i < SIZE; i++) {
        double weight = (double)x[i] + 1;
        if (i % SIDE < first || i % SIDE >= end || weight < 0.6)
            continue;
        sum += weight;
        place[0] += weight * (i / SIDE);
        place[1] += weight * (i % SIDE);
    }
    place[0] /= sum;
    place[1] /= sum;
}

/* Sum, squares and the largest size of a number drawn again and again. */
typedef struct statistic {
    double sum, squares, most;
} statistic;

static void note(statistic *at, double value) {
    at->sum += value;
    at->squares += value * value;
    at->most = fmax(at->most, fabs(value));
}

/*
 * Uniform in ±most: the mean is 0 and the deviation most/√3. Of 1000 draws the mean varies by
 * most · 0.018 and the deviation by 2 % of itself: six of these are allowed, and `slack` for how a
 * spot is found.
 */
static void expect_uniform(const char *what, const statistic *at, double most, double slack) {
    double mean = at->sum / DRAWS, deviation = sqrt(at->squares / DRAWS - mean * mean);
    if (!(at->most <= most + slack && at->most > 0.9 * most - slack &&
          fabs(mean) < 0.11 * most + 0.1 * slack &&
          fabs(deviation - most / sqrt(3.0)) < 0.12 * most / sqrt(3.0) + 0.1 * slack))
        fail_msg("%s: mean %g, deviation %g, largest %g; expected uniform in ±%g", what, mean,
                 deviation, at->most, most);
}

static void test_movements(void **state) {
    (void)state;
    static float start[SIZE], x[SIZE], scratch[SIZE];
    const basin__cpu_kernels *kernels = basin__cpu_kernels_for(BASIN__ISA_GENERIC);
    statistic turn = {0}, scale = {0}, shift_y = {0}, shift_x = {0}, noise = {0};
    draw_spots(start);
    for (uint32_t i = 0; i < DRAWS; i++) {
        const basin__draw draw = {.seed = 4, .draw = 7, .chain = i, .purpose = 1};
        double left[2], right[2], square = 0;
        memcpy(x, start, sizeof x);
        basin__treat(kernels, &draw, basin_shape_image(SIDE, SIDE, 1), -1, 1, x, scratch);
        find_spot(x, 0, SIDE / 2, left);
        find_spot(x, SIDE / 2 + 1, SIDE, right);
        const double dy = right[0] - left[0], dx = right[1] - left[1];
        note(&turn, atan2(dy, dx) * 57.29577951308232);
        note(&scale, log(hypot(dy, dx) / 10));
        note(&shift_y, 0.5 * (left[0] + right[0]) - 9);
        note(&shift_x, 0.5 * (left[1] + right[1]) - 9);
        for (int j = 0; j < SIZE; j++)
            assert_true(x[j] >= -1 && x[j] <= 1);
        for (int j = 0; j < 2 * SIDE; j++) /* two dark rows; clamping keeps one half of the noise */
            square += ((double)x[j] + 1) * ((double)x[j] + 1) / SIDE;
        note(&noise, sqrt(square));
    }
    expect_uniform("turn", &turn, 10, 1.5);
    expect_uniform("scale", &scale, 0.1, 0.05);
    expect_uniform("shift down", &shift_y, 1.5, 0.2);
    expect_uniform("shift right", &shift_x, 1.5, 0.2);
    assert_true(noise.most > 0.08 && noise.most < 0.16); /* 0.05 of a range of 2 is 0.1 */
    assert_true(fabs(noise.sum / DRAWS - 0.05) < 0.005);
}

/* Colours move together; nothing is read outside of the image. */
static void test_channels(void **state) {
    (void)state;
    float x[5 * 7 * 3], grey[5 * 7], scratch[5 * 7 * 3];
    const basin__cpu_kernels *kernels = basin__cpu_kernels_for(BASIN__ISA_GENERIC);
    for (uint32_t i = 0; i < 50; i++) {
        const basin__draw draw = {.seed = 2, .chain = i, .purpose = 1};
        for (int j = 0; j < 35; j++) {
            grey[j] = (float)(0.5 + 0.3 * test_number((uint64_t)j));
            for (int c = 0; c < 3; c++)
                x[3 * j + c] = grey[j];
        }
        basin__treat(kernels, &draw, basin_shape_image(5, 7, 3), 0, 1, x, scratch);
        basin__treat(kernels, &draw, basin_shape_image(5, 7, 1), 0, 1, grey, scratch);
        for (int j = 0; j < 35; j++) /* up to the noise, which differs: at most six deviations */
            for (int c = 0; c < 3; c++)
                assert_true(fabsf(x[3 * j + c] - grey[j]) < 0.05f * 8.5f);
    }
}

static void test_batches(void **state) {
    (void)state;
    basin_context *context = test_context_on(NULL, 1);
    static float images[4 * SIZE], plain[4 * SIZE], treated[4 * SIZE], again[4 * SIZE];
    for (int i = 0; i < 4; i++)
        draw_spots(images + i * SIZE);
    basin_data *data;
    basin__batches batches;
    assert_int_equal(
        basin_data_from_memory(context, "spots", 4, SIDE, SIDE, 1, true, images, NULL, &data),
        BASIN_OK);
    assert_int_equal(basin__batches_init(context, &batches, data, 9), BASIN_OK);
    const basin__moment moment = {.seed = 9, .update = 1}, other = {.seed = 9, .update = 2};
    basin__batches_get(&batches, &moment, 4, plain, NULL);
    assert_memory_equal(plain, images, sizeof plain);
    batches.treat = true;
    basin__batches_get(&batches, &moment, 4, treated, NULL);
    assert_memory_not_equal(treated, plain, sizeof plain);
    assert_memory_not_equal(treated, treated + SIZE, sizeof plain / 4);
    basin__batches_get(&batches, &other, 4, again, NULL);
    assert_memory_not_equal(again, treated, sizeof plain);
    basin__batches_get(&batches, &moment, 4, again, NULL);
    assert_memory_equal(again, treated, sizeof plain);
    basin__batches_reset(&batches);
    basin_data_close(data);
    basin_context_destroy(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_movements),
        cmocka_unit_test(test_channels),
        cmocka_unit_test(test_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
