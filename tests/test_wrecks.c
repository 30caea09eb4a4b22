/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets with wrecks: what they hold and where, that seed and split alone decide, what each kind
 * keeps and what it breaks, and which specifications are refused.
 */
#include "data/set.h"
#include "data/wreck.h"
#include "support.h"
#include <math.h>

enum { SIDE = 28, SIZE = SIDE * SIDE, COUNT = 120 };

typedef struct fixture {
    test_heap heap;
    basin_context *context;
} fixture;

static int setup(void **state) {
    fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    f->heap.fail_at = -1;
    f->context = test_context(&f->heap, 2);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    basin_context_destroy(f->context);
    assert_int_equal(f->heap.alive, 0);
    free(f);
    return 0;
}

static basin_data_options options_of(uint64_t seed, int64_t count) {
    basin_data_options options;
    basin_data_options_init(&options);
    options.seed = seed;
    options.built_in_count = count;
    options.folder = "/nonexistent-data-folder";
    return options;
}

static basin_data *open_data(fixture *f, const char *name, uint64_t seed) {
    basin_data_options options = options_of(seed, COUNT);
    basin_data *data = NULL;
    if (basin_data_open(f->context, name, &options, &data) != BASIN_OK)
        fail_msg("%s: %s", name, basin_context_error(f->context));
    return data;
}

static basin_data *open_kind(fixture *f, const char *kind, const char *set, uint64_t seed) {
    char name[64];
    snprintf(name, sizeof(name), "wreck-%s:%s", kind, set);
    return open_data(f, name, seed);
}

static double ink_of(const float *x) {
    double sum = 0;
    for (int i = 0; i < SIZE; i++)
        sum += (double)x[i];
    return sum;
}

/* ---- the set ---- */

/* Every fourth is a wreck, the others are the inside set's examples in order. */
static void test_with_wrecks(void **state) {
    fixture *f = *state;
    basin_data *inside = open_data(f, "strokes:train", 3);
    basin_data *data = open_data(f, "with-wrecks:strokes:train", 3);
    const basin_data_info *info = basin_data_describe(data);
    float x[SIZE], y[SIZE];
    assert_string_equal(info->name, "with-wrecks:strokes:train");
    assert_int_equal(info->count, COUNT + COUNT / 3);
    assert_int_equal(info->class_count, 11);
    assert_string_equal(info->class_names[0], "0");
    assert_string_equal(info->class_names[10], "none of these");
    assert_true(info->is_image && info->low == 0.0f && info->high == 1.0f);
    assert_non_null(strstr(info->source, "others from shapes:train"));
    for (int64_t i = 0; i < info->count; i++) {
        memset(x, 0xff, sizeof(x));
        basin_data_get(data, i, x);
        for (int k = 0; k < SIZE; k++)
            assert_true(x[k] >= 0.0f && x[k] <= 1.0f);
        if (i % 4 == 3) {
            assert_int_equal(basin_data_label(data, i), 10);
            assert_true(ink_of(x) > 5);
            continue;
        }
        int64_t from = i / 4 * 3 + i % 4;
        basin_data_get(inside, from, y);
        assert_memory_equal(x, y, sizeof(x));
        assert_int_equal(basin_data_label(data, i), basin_data_label(inside, from));
    }
    basin_data_close(inside);
    basin_data_close(data);
}

/* A wreck of the whole set is the one of that kind's own set with the same number. */
static void test_kinds_in_turn(void **state) {
    fixture *f = *state;
    basin_data *data = open_data(f, "with-wrecks:strokes", 3);
    float x[SIZE], y[SIZE];
    int turn = 0;
    for (int kind = 0; kind < basin__wreck_count(); kind++) {
        if (!basin__wreck_is_trained(kind))
            continue;
        basin_data *alone = open_kind(f, basin__wreck_name(kind), "strokes", 3);
        assert_int_equal(alone->info.count, COUNT);
        assert_int_equal(alone->info.class_count, 11);
        assert_int_equal(basin_data_label(alone, 5), 10);
        for (int round = 0; round < 4; round++) {
            int64_t group = 8 * round + turn;
            basin_data_get(data, 4 * group + 3, x);
            basin_data_get(alone, 3 * group + round % 3, y);
            assert_memory_equal(x, y, sizeof(x));
        }
        basin_data_close(alone);
        turn++;
    }
    assert_int_equal(turn, 8);
    basin_data_close(data);
}

static void test_pure(void **state) {
    fixture *f = *state;
    char one[65], again[65], other[65];
    for (int kind = 0; kind < basin__wreck_count(); kind++) {
        char *texts[] = {one, again, other};
        for (int i = 0; i < 3; i++) {
            basin_data *data =
                open_kind(f, basin__wreck_name(kind), "strokes:valid", i == 2 ? 8 : 7);
            basin_data_sha256(data, texts[i]);
            basin_data_close(data);
        }
        assert_string_equal(one, again);
        assert_string_not_equal(one, other);
    }
    /* The number of workers does not matter, and fewer are the first of the same. */
    test_heap heap = {.fail_at = -1};
    basin_context *alone = test_context(&heap, 1);
    basin_data_options options = options_of(7, COUNT);
    basin_data *data, *first, *all = open_data(f, "with-wrecks:shapes", 7);
    float x[SIZE], y[SIZE];
    assert_int_equal(basin_data_open(alone, "with-wrecks:shapes", &options, &data), BASIN_OK);
    basin_data_sha256(data, one);
    basin_data_sha256(all, again);
    assert_string_equal(one, again);
    options.count_max = 50;
    assert_int_equal(basin_data_open(f->context, "with-wrecks:shapes", &options, &first), BASIN_OK);
    assert_int_equal(first->info.count, 50);
    for (int64_t i = 0; i < 50; i++) {
        basin_data_get(all, i, x);
        basin_data_get(first, i, y);
        assert_memory_equal(x, y, sizeof(x));
        assert_int_equal(basin_data_label(all, i), basin_data_label(first, i));
    }
    basin_data_close(data);
    basin_context_destroy(alone);
    basin_data_close(first);
    basin_data_close(all);
}

static void test_splits(void **state) {
    fixture *f = *state;
    basin_data *train = open_data(f, "wreck-shuffled-patches:strokes:train", 1);
    basin_data *test = open_data(f, "wreck-shuffled-patches:strokes", 1);
    float x[SIZE], y[SIZE];
    assert_string_equal(train->info.name, "wreck-shuffled-patches:strokes:train");
    assert_string_equal(test->info.name, "wreck-shuffled-patches:strokes:test");
    for (int64_t i = 0; i < COUNT; i++) {
        basin_data_get(train, i, x);
        basin_data_get(test, i, y);
        assert_memory_not_equal(x, y, sizeof(x));
    }
    basin_data_close(train);
    basin_data_close(test);
}

/* ---- kinds ---- */

static int by_value(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The share of wrecks for which some example of the inside set `holds`. */
static double share_that(fixture *f, const char *kind,
                         bool (*holds)(const float *x, const float *example)) {
    static float examples[COUNT][SIZE];
    basin_data *inside = open_data(f, "strokes", 5), *data = open_kind(f, kind, "strokes", 5);
    float x[SIZE];
    int count = 0;
    for (int64_t i = 0; i < COUNT; i++)
        basin_data_get(inside, i, examples[i]);
    for (int64_t i = 0; i < COUNT; i++) {
        bool is_found = false;
        basin_data_get(data, i, x);
        for (int j = 0; j < COUNT && !is_found; j++)
            is_found = holds(x, examples[j]);
        count += is_found;
    }
    basin_data_close(inside);
    basin_data_close(data);
    return (double)count / COUNT;
}

static bool has_same_values(const float *x, const float *example) {
    float a[SIZE], b[SIZE];
    memcpy(a, x, sizeof(a));
    memcpy(b, example, sizeof(b));
    bool is_same = memcmp(a, b, sizeof(a)) == 0;
    qsort(a, SIZE, sizeof(float), by_value);
    qsort(b, SIZE, sizeof(float), by_value);
    return !is_same && memcmp(a, b, sizeof(a)) == 0;
}

static bool is_over(const float *x, const float *example) {
    for (int i = 0; i < SIZE; i++)
        if (x[i] < example[i])
            return false;
    return ink_of(x) > 1.2 * ink_of(example);
}

static bool is_under(const float *x, const float *example) {
    double gone = 1 - ink_of(x) / ink_of(example);
    for (int i = 0; i < SIZE; i++)
        if (x[i] > example[i] + 0.003f) /* half a level of 256 and rounding */
            return false;
    return gone > 0.395 && gone < 0.705;
}

/** The first half is the example's, up or left, and the other half is not. */
static bool is_half(const float *x, const float *example) {
    bool is_upper = true, is_left = true;
    for (int i = 0; i < SIZE; i++) {
        is_upper = is_upper && (i / SIDE >= SIDE / 2 || x[i] == example[i]);
        is_left = is_left && (i % SIDE >= SIDE / 2 || x[i] == example[i]);
    }
    return (is_upper || is_left) && memcmp(x, example, SIZE * sizeof(float)) != 0;
}

static bool is_first_third(const float *x, const float *example) {
    const size_t third = SIDE / 3 * SIDE; /* 9 of 28 rows */
    return memcmp(x, example, third * sizeof(float)) == 0 &&
           memcmp(x, example, SIZE * sizeof(float)) != 0;
}

static bool is_same(const float *x, const float *example) {
    return memcmp(x, example, SIZE * sizeof(float)) == 0;
}

static void test_kinds_keep_and_break(void **state) {
    fixture *f = *state;
    assert_true(share_that(f, "shuffled-patches", has_same_values) == 1.0);
    assert_true(share_that(f, "overlaid", is_over) > 0.95);
    assert_true(share_that(f, "holes", is_under) == 1.0);
    assert_true(share_that(f, "joined-halves", is_half) == 1.0);
    assert_true(share_that(f, "thirds", is_first_third) == 1.0);
    for (int kind = 0; kind < basin__wreck_count(); kind++)
        assert_true(share_that(f, basin__wreck_name(kind), is_same) == 0.0);
}

/* Each is a 3, 4, 6, 7 or 9 of the set, turned over. */
static void test_flips(void **state) {
    fixture *f = *state;
    basin_data *inside = open_data(f, "strokes", 5);
    basin_data *data = open_kind(f, "flips", "strokes", 5);
    float x[SIZE], y[SIZE];
    for (int64_t i = 0; i < 60; i++) {
        int label = -1;
        basin_data_get(data, i, x);
        for (int64_t j = 0; j < COUNT && label < 0; j++) {
            bool fits[4] = {true, true, true, true};
            basin_data_get(inside, j, y);
            for (int k = 0; k < SIZE; k++)
                for (int flip = 1; flip < 4; flip++) {
                    int row = flip & 1 ? SIDE - 1 - k / SIDE : k / SIDE;
                    int column = flip & 2 ? SIDE - 1 - k % SIDE : k % SIDE;
                    fits[flip] = fits[flip] && x[k] == y[row * SIDE + column];
                }
            if (fits[1] || fits[2] || fits[3])
                label = basin_data_label(inside, j);
        }
        assert_true(label == 3 || label == 4 || label == 6 || label == 7 || label == 9);
    }
    basin_data_close(inside);
    basin_data_close(data);
}

/* Shapes but circles, whole: of all shapes that there are, however few examples are asked for. */
static void test_other_set(void **state) {
    enum { SEEN = 40 };
    fixture *f = *state;
    basin_data_options options = options_of(5, 0);
    basin_data *shapes, *data = open_kind(f, "other-set", "strokes", 5);
    static float x[SEEN][SIZE];
    float y[SIZE];
    int labels[SEEN];
    assert_int_equal(basin_data_open(f->context, "shapes", &options, &shapes), BASIN_OK);
    for (int i = 0; i < SEEN; i++) {
        labels[i] = -1;
        basin_data_get(data, i, x[i]);
    }
    for (int64_t j = 0; j < basin_data_describe(shapes)->count; j++) {
        basin_data_get(shapes, j, y);
        for (int i = 0; i < SEEN; i++)
            if (memcmp(x[i], y, sizeof(y)) == 0)
                labels[i] = basin_data_label(shapes, j);
    }
    for (int i = 0; i < SEEN; i++)
        assert_true(labels[i] > 0);
    basin_data_close(shapes);
    basin_data_close(data);
}

/* Ink stays about the data's; holes take half of theirs, and two images have more. */
static void test_ink(void **state) {
    fixture *f = *state;
    basin_data *inside = open_data(f, "strokes", 5);
    float x[SIZE];
    double mean = 0;
    for (int64_t i = 0; i < COUNT; i++) {
        basin_data_get(inside, i, x);
        mean += ink_of(x) / COUNT;
    }
    for (int kind = 0; kind < basin__wreck_count(); kind++) {
        basin_data *data = open_kind(f, basin__wreck_name(kind), "strokes", 5);
        double ink = 0;
        for (int64_t i = 0; i < COUNT; i++) {
            basin_data_get(data, i, x);
            ink += ink_of(x) / COUNT;
        }
        if (ink < 0.4 * mean || ink > 1.7 * mean)
            fail_msg("%s: ink %g, the data's %g", basin__wreck_name(kind), ink, mean);
        assert_true(strlen(basin__wreck_help(kind)) > 10);
        basin_data_close(data);
    }
    assert_int_equal(basin__wreck_find("nothing"), -1);
    basin_data_close(inside);
}

/* ---- refused ---- */

static void assert_fails(fixture *f, const char *name, basin_status wanted, const char *part) {
    basin_data_options options = options_of(0, COUNT);
    basin_data *data = NULL;
    basin_status status = basin_data_open(f->context, name, &options, &data);
    if (status != wanted || !strstr(basin_context_error(f->context), part))
        fail_msg("%s: %s, '%s'; expected %s, '…%s…'", name, basin_status_name(status),
                 basin_context_error(f->context), basin_status_name(wanted), part);
    assert_null(data);
}

static void test_refused(void **state) {
    fixture *f = *state;
    assert_fails(f, "with-wrecks", BASIN_ERROR_CONFIG, "is made from another set");
    assert_fails(f, "wreck-holes:train", BASIN_ERROR_CONFIG, "unknown data set 'train'");
    assert_fails(f, "with-wrecks:", BASIN_ERROR_CONFIG, "unknown data set ''");
    assert_fails(f, "with-wrekcs:strokes", BASIN_ERROR_CONFIG, "did you mean 'with-wrecks'?");
    assert_fails(f, "wreck-hole:strokes", BASIN_ERROR_CONFIG, "did you mean 'wreck-holes'?");
    assert_fails(f, "with-wrecks:strocks", BASIN_ERROR_CONFIG, "did you mean 'strokes'?");
    assert_fails(f, "with-wrecks:strokes:trian", BASIN_ERROR_CONFIG, "unknown split 'trian'");
    assert_fails(f, "with-wrecks:with-wrecks:strokes", BASIN_ERROR_CONFIG, "");
    assert_fails(f, "with-wrecks:two-moons", BASIN_ERROR_UNSUPPORTED, "holds points");
    assert_fails(f, "wreck-flips:shapes", BASIN_ERROR_UNSUPPORTED, "digits and garments");
    assert_fails(f, "with-wrecks:mnist", BASIN_ERROR_IO, "/nonexistent-data-folder");
}

/* Sets of another shape have the kinds that can be made from them. */
static void test_obstacles(void **state) {
    enum { H = 12, W = 9, N = 40 };
    fixture *f = *state;
    static float x[N * H * W * 3];
    int labels[N];
    for (int i = 0; i < N * H * W * 3; i++)
        x[i] = (float)(0.5 + 0.5 * test_number((uint64_t)i));
    for (int i = 0; i < N; i++)
        labels[i] = i % 2;
    basin_data *inside;
    basin__wrecker *wrecker;
    assert_int_equal(
        basin_data_from_memory(f->context, "mine", N, H, W, 3, true, x, labels, &inside), BASIN_OK);
    assert_int_equal(basin__wrecker_create(f->context, inside, NULL, -1, 1, &wrecker), BASIN_OK);
    static const char *const able[] = {"joined-halves", "overlaid",         "holes",
                                       "blurred-noise", "shuffled-patches", "warped"};
    float *scratch = test_calloc((size_t)basin__wreck_scratch(wrecker), sizeof(float));
    float out[H * W * 3];
    int count = 0;
    for (int kind = 0; kind < basin__wreck_count(); kind++)
        count += basin__wreck_obstacle(wrecker, kind) == NULL;
    assert_int_equal(count, BASIN_COUNT(able));
    for (size_t i = 0; i < BASIN_COUNT(able); i++) {
        int kind = basin__wreck_find(able[i]);
        assert_null(basin__wreck_obstacle(wrecker, kind));
        memset(out, 0xff, sizeof(out));
        basin__wreck_draw(wrecker, kind, 3, out, scratch);
        for (int k = 0; k < H * W * 3; k++)
            assert_true(out[k] >= 0.0f && out[k] <= 1.0f);
    }
    test_free(scratch);
    basin__wrecker_destroy(wrecker);
    basin_data_close(inside);
}

static void test_each_allocation_fails(void **state) {
    (void)state;
    static const char *const names[] = {"with-wrecks:strokes", "wreck-thirds:shapes"};
    for (size_t i = 0; i < BASIN_COUNT(names); i++)
        for (long k = 0;; k++) {
            test_heap heap = {.fail_at = k};
            basin_context *context = test_context(&heap, 1);
            basin_data_options options = options_of(0, 12);
            basin_data *data = NULL;
            basin_status status = basin_data_open(context, names[i], &options, &data);
            assert_int_equal(status, heap.has_failed ? BASIN_ERROR_MEMORY : BASIN_OK);
            basin_data_close(data);
            assert_int_equal(heap.alive, heap.alive_at_start);
            basin_context_destroy(context);
            if (!heap.has_failed)
                break;
        }
}

int main(void) {
#define WRECK_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        WRECK_TEST(test_with_wrecks),
        WRECK_TEST(test_kinds_in_turn),
        WRECK_TEST(test_pure),
        WRECK_TEST(test_splits),
        WRECK_TEST(test_kinds_keep_and_break),
        WRECK_TEST(test_flips),
        WRECK_TEST(test_other_set),
        WRECK_TEST(test_ink),
        WRECK_TEST(test_refused),
        WRECK_TEST(test_obstacles),
        WRECK_TEST(test_each_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
