/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data sets made from a seed, specifications, splits, sets from memory and, where
 * BASIN_DATA names a folder that has it, MNIST's known counts.
 */
#include "support.h"

#include "data/set.h"
#include <math.h>

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

static basin_data *open_data(fixture *f, const char *name, uint64_t seed, int image_size) {
    basin_data_options options;
    basin_data *data = NULL;
    basin_data_options_init(&options);
    options.seed = seed;
    options.image_size = image_size;
    if (basin_data_open(f->context, name, &options, &data) != BASIN_OK)
        fail_msg("%s: %s", name, basin_context_error(f->context));
    return data;
}

static void assert_fails(fixture *f, const char *name, const basin_data_options *options,
                         basin_status wanted, const char *part) {
    basin_data *data = NULL;
    basin_status status = basin_data_open(f->context, name, options, &data);
    if (status != wanted || !strstr(basin_context_error(f->context), part))
        fail_msg("%s: %s, '%s'; expected %s, '…%s…'", name, basin_status_name(status),
                 basin_context_error(f->context), basin_status_name(wanted), part);
    assert_null(data);
}

/* ---- built-in sets ---- */

static void each_built_in(void **state, void (*check)(fixture *f, const char *name)) {
    int count = 0;
    for (int i = 0; i < basin__data_count; i++)
        if (basin__datas[i]->draw) {
            check(*state, basin__datas[i]->name);
            count++;
        }
    assert_true(count >= 8);
}

static void check_pure(fixture *f, const char *name) {
    float a[28 * 28], b[28 * 28], other[28 * 28];
    basin_data *one = open_data(f, name, 7, 0), *two = open_data(f, name, 7, 0);
    basin_data *reseeded = open_data(f, name, 8, 0);
    size_t bytes = (size_t)one->value_count * sizeof(float);
    int differing = 0;
    for (int64_t i = 0; i < 50; i++) {
        memset(a, 0xff, sizeof(a)); /* not-a-number wherever it is not written */
        basin_data_get(one, i, a);
        basin_data_get(two, 49 - i, b); /* in another order */
        basin_data_get(two, i, b);
        assert_memory_equal(a, b, bytes);
        assert_int_equal(basin_data_label(one, i), basin_data_label(two, i));
        basin_data_get(reseeded, i, other);
        differing += memcmp(a, other, bytes) != 0;
    }
    assert_int_equal(differing, 50);
    basin_data_close(one);
    basin_data_close(two);
    basin_data_close(reseeded);
}

static void test_built_in_is_pure(void **state) { each_built_in(state, check_pure); }

/* Also: the label given with a drawing is the label, every class comes, the values fit. */
static void check_values(fixture *f, const char *name) {
    basin_data *data = open_data(f, name, 1, 0);
    const basin_data_info *info = basin_data_describe(data);
    int64_t seen[64] = {0}, n = data->value_count, outside = 0;
    float x[28 * 28];
    assert_in_range(info->class_count, 1, 64);
    for (int64_t i = 0; i < 2000; i++) {
        memset(x, 0xff, sizeof(x));
        basin_data_get(data, i, x);
        for (int64_t k = 0; k < n; k++)
            outside += !(x[k] >= info->low && x[k] <= info->high);
        int label = basin_data_label(data, i);
        assert_in_range(label, 0, info->class_count - 1);
        seen[label]++;
        assert_int_equal(data->def->draw(data, data->stream[0], i, x), label);
    }
    if (outside != 0)
        fail_msg("%s: %lld values outside the range", name, (long long)outside);
    /* Binomial counts: five deviations, one false alarm in 10^5 for a seed, which is fixed. */
    double p = 1.0 / info->class_count, spread = 5 * sqrt(2000 * p * (1 - p));
    for (int c = 0; c < info->class_count; c++)
        assert_true(fabs((double)seen[c] - 2000 * p) < spread);
    basin_data_close(data);
}

static void test_built_in_values(void **state) { each_built_in(state, check_values); }

static void check_splits(fixture *f, const char *name) {
    char text[64];
    float a[28 * 28], b[28 * 28];
    basin_data *all, *split[3];
    for (int i = 0; i < 3; i++) {
        snprintf(text, sizeof(text), "%s:%s", name, basin__split_names[i]);
        split[i] = open_data(f, text, 3, 0);
        assert_string_equal(basin_data_describe(split[i])->name, text);
    }
    snprintf(text, sizeof(text), "%s:all-train", name);
    all = open_data(f, text, 3, 0);
    size_t bytes = (size_t)all->value_count * sizeof(float);
    assert_int_equal(split[0]->info.count, 60000);
    assert_int_equal(split[1]->info.count, 10000);
    assert_int_equal(split[2]->info.count, 10000);
    assert_int_equal(all->info.count, 70000);
    for (int64_t i = 0; i < 20; i++) {
        for (int s = 0; s < 3; s++) {
            basin_data_get(split[s], i, a);
            basin_data_get(split[(s + 1) % 3], i, b);
            assert_memory_not_equal(a, b, bytes);
        }
        basin_data_get(split[0], 59980 + i, a);
        basin_data_get(all, 59980 + i, b);
        assert_memory_equal(a, b, bytes);
        basin_data_get(split[1], i, a);
        basin_data_get(all, 60000 + i, b);
        assert_memory_equal(a, b, bytes);
        assert_int_equal(basin_data_label(split[1], i), basin_data_label(all, 60000 + i));
    }
    for (int s = 0; s < 3; s++)
        basin_data_close(split[s]);
    basin_data_close(all);
}

static void test_built_in_splits(void **state) { each_built_in(state, check_splits); }

/* As MNIST's: black border, white core, mass in the middle, a third of the box inked. */
static void check_look(fixture *f, int side) {
    basin_data *data = open_data(f, "strokes", 5, side);
    float x[64 * 64];
    double mean = 0, off_x = 0, off_y = 0;
    for (int64_t i = 0; i < 300; i++) {
        double mass = 0, mass_x = 0, mass_y = 0, brightest = 0;
        basin_data_get(data, i, x);
        for (int row = 0; row < side; row++)
            for (int column = 0; column < side; column++) {
                double ink = (double)x[row * side + column];
                bool is_border = row == 0 || column == 0 || row == side - 1 || column == side - 1;
                assert_true(!is_border || ink == 0);
                mass += ink;
                mass_x += ink * (column + 0.5);
                mass_y += ink * (row + 0.5);
                brightest = fmax(brightest, ink);
            }
        assert_true(brightest > 0.7);
        off_x += fabs(mass_x / mass - 0.5 * side) / 300;
        off_y += fabs(mass_y / mass - 0.5 * side) / 300;
        mean += mass / (side * side) / 300;
    }
    assert_true(mean > 0.09 && mean < 0.18); /* MNIST's is 0.131 */
    assert_true(off_x < 0.6 && off_y < 0.6); /* whole pixels: a quarter at best */
    basin_data_close(data);
}

static void test_strokes_look(void **state) {
    check_look(*state, 16);
    check_look(*state, 20);
    check_look(*state, 28);
    check_look(*state, 64);
}

/* A digit is nearer to the mean of its class than to others', most of the time. */
static void test_strokes_are_told_apart(void **state) {
    enum { N = 28 * 28 };
    static double means[10][N];
    int counts[10] = {0}, right = 0;
    float x[N];
    basin_data *train = open_data(*state, "strokes:train", 2, 0);
    basin_data *test = open_data(*state, "strokes:test", 2, 0);
    memset(means, 0, sizeof(means));
    for (int64_t i = 0; i < 3000; i++) {
        int label = basin_data_label(train, i);
        basin_data_get(train, i, x);
        counts[label]++;
        for (int k = 0; k < N; k++)
            means[label][k] += (double)x[k];
    }
    for (int64_t i = 0; i < 500; i++) {
        int best = -1;
        double nearest = INFINITY;
        basin_data_get(test, i, x);
        for (int c = 0; c < 10; c++) {
            double sum = 0;
            for (int k = 0; k < N; k++) {
                double d = (double)x[k] - means[c][k] / counts[c];
                sum += d * d;
            }
            if (sum < nearest) {
                nearest = sum;
                best = c;
            }
        }
        right += best == basin_data_label(test, i);
    }
    assert_true(right > 350); /* on MNIST this classifier has 82 % */
    basin_data_close(train);
    basin_data_close(test);
}

static void draw_one(void *user, int64_t index, int worker) {
    const basin_data *data = user;
    float x[28 * 28], alone[28 * 28];
    (void)worker;
    basin_data_get(data, index, x);
    basin_data_get(data, index, alone);
    if (memcmp(x, alone, sizeof(x)) != 0)
        abort();
}

static void test_get_from_several_threads(void **state) {
    fixture *f = *state;
    basin_data *data = open_data(f, "strokes", 4, 0);
    basin__parallel(f->context, 500, draw_one, data);
    basin_data_close(data);
}

static void test_built_in_options(void **state) {
    fixture *f = *state;
    basin_data_options options;
    basin_data *data;
    basin_data_options_init(&options);
    options.built_in_count = 30;
    assert_int_equal(basin_data_open(f->context, "strokes:all-train", &options, &data), BASIN_OK);
    assert_int_equal(basin_data_describe(data)->count, 60);
    basin_data_close(data);
    options.count_max = 40;
    options.image_size = 16;
    assert_int_equal(basin_data_open(f->context, "shapes:all-train", &options, &data), BASIN_OK);
    assert_int_equal(basin_data_describe(data)->count, 40);
    assert_int_equal(basin_data_describe(data)->width, 16);
    basin_data_close(data);
    options.image_size = 65;
    assert_fails(f, "shapes", &options, BASIN_ERROR_CONFIG, "8 to 64");
    options.image_size = 7;
    assert_fails(f, "shapes", &options, BASIN_ERROR_CONFIG, "8 to 64");
    basin_data_options_init(&options);
    options.count_max = -1;
    assert_fails(f, "shapes", &options, BASIN_ERROR_ARGUMENT, "negative");
}

/* ---- specifications ---- */

static void test_names(void **state) {
    fixture *f = *state;
    basin_data_options options;
    basin_data_options_init(&options);
    options.folder = "/nonexistent-data-folder";
    assert_fails(f, "strocks", &options, BASIN_ERROR_CONFIG, "did you mean 'strokes'?");
    assert_fails(f, "fashon_mnist", &options, BASIN_ERROR_CONFIG, "did you mean 'fashion-mnist'?");
    assert_fails(f, "zebra", &options, BASIN_ERROR_CONFIG, "unknown data set 'zebra'");
    assert_fails(f, "", &options, BASIN_ERROR_CONFIG, "unknown data set ''");
    assert_fails(f, "strokes:trian", &options, BASIN_ERROR_CONFIG, "unknown split 'trian'");
    assert_fails(f, "strokes:", &options, BASIN_ERROR_CONFIG, "unknown split ''");
    assert_fails(f, "./none.npy", &options, BASIN_ERROR_IO, "no such file");
    assert_fails(f, "idx", &options, BASIN_ERROR_CONFIG, "unknown data set 'idx'");
    options.split = "tset";
    assert_fails(f, "strokes", &options, BASIN_ERROR_CONFIG, "unknown split 'tset'");
}

static void test_missing_folder(void **state) {
    fixture *f = *state;
    basin_data_options options;
    basin_data_options_init(&options);
    options.folder = "/nonexistent-data-folder";
    static const char *const names[] = {"mnist", "fashion-mnist", "cifar10", "cifar100"};
    for (size_t i = 0; i < BASIN_COUNT(names); i++) {
        assert_fails(f, names[i], &options, BASIN_ERROR_IO, "/nonexistent-data-folder");
        assert_non_null(strstr(basin_context_error(f->context), "set BASIN_DATA or --data-dir"));
    }
    assert_fails(f, "mnist:train", &options, BASIN_ERROR_IO, "train-images-idx3-ubyte");
    assert_fails(f, "mnist:test", &options, BASIN_ERROR_IO, "t10k-images-idx3-ubyte");
    assert_fails(f, "cifar10:valid", &options, BASIN_ERROR_IO, "data_batch_1.bin");
    const char *kept = getenv("BASIN_DATA");
    char *copy = kept ? strdup(kept) : NULL;
    options.folder = NULL;
    unsetenv("BASIN_DATA");
    assert_fails(f, "mnist", &options, BASIN_ERROR_IO, "no data folder is known: set BASIN_DATA");
    if (copy)
        setenv("BASIN_DATA", copy, 1);
    free(copy);
}

/* ---- from memory, fingerprints ---- */

static void test_from_memory(void **state) {
    fixture *f = *state;
    const float x[] = {0, 0.25f, 0.5f, 1, -3, 7};
    const int labels[] = {2, -1, 0};
    float out[2];
    basin_data *data;
    assert_int_equal(
        basin_data_from_memory(f->context, "mine", 3, 1, 1, 2, false, x, labels, &data), BASIN_OK);
    const basin_data_info *info = basin_data_describe(data);
    assert_int_equal(info->count, 3);
    assert_int_equal(info->class_count, 3);
    assert_true(info->low < -3 && info->high > 7);
    basin_data_get(data, 2, out);
    assert_memory_equal(out, x + 4, sizeof(out));
    assert_int_equal(basin_data_label(data, 1), -1);
    basin_data_close(data);
    const float broken[] = {0, NAN};
    assert_int_equal(
        basin_data_from_memory(f->context, "mine", 1, 1, 2, 1, true, broken, NULL, &data),
        BASIN_ERROR_ARGUMENT);
    assert_int_equal(basin_data_from_memory(f->context, "mine", 0, 1, 2, 1, true, x, NULL, &data),
                     BASIN_ERROR_ARGUMENT);
    assert_null(data);
}

/* Little-endian floats 0.5, 1.0, then the label 3. */
static void test_sha256(void **state) {
    fixture *f = *state;
    const float x[] = {0.5f, 1};
    const int label = 3;
    char text[65], again[65], other[65];
    basin_data *data;
    assert_int_equal(basin_data_from_memory(f->context, "mine", 1, 1, 2, 1, true, x, &label, &data),
                     BASIN_OK);
    basin_data_sha256(data, text);
    /* printf '\0\0\0\x3f\0\0\x80\x3f\3\0\0\0' | sha256sum */
    assert_string_equal(text, "5788f5b6fb4dc9478ba50b3c3e24b51551393ad691c09957a91902a888591420");
    basin_data_close(data);
    basin_data *one = open_data(f, "two-moons", 1, 0), *two = open_data(f, "two-moons", 2, 0);
    basin_data_sha256(one, text);
    basin_data_sha256(one, again);
    basin_data_sha256(two, other);
    assert_string_equal(text, again);
    assert_string_not_equal(text, other);
    basin_data_close(one);
    basin_data_close(two);
}

/* ---- MNIST ---- */

static void assert_histogram(fixture *f, const char *name, const int64_t wanted[10]) {
    int64_t seen[10] = {0}, total = 0;
    basin_data *data = open_data(f, name, 0, 0);
    const basin_data_info *info = basin_data_describe(data);
    assert_int_equal(info->class_count, 10);
    assert_int_equal(info->height * info->width * info->channels, 784);
    for (int64_t i = 0; i < info->count; i++)
        seen[basin_data_label(data, i)]++;
    for (int c = 0; c < 10; c++)
        total += wanted[c];
    assert_int_equal(info->count, total);
    assert_memory_equal(seen, wanted, sizeof(seen));
    basin_data_close(data);
}

static void test_mnist(void **state) {
    const int64_t train[10] = {5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949};
    const int64_t test[10] = {980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009};
    fixture *f = *state;
    float x[784], y[784];
    double sum = 0, sum2 = 0;
    if (!getenv("BASIN_DATA")) {
        print_message("BASIN_DATA is not set: MNIST is not read\n");
        skip();
    }
    assert_histogram(f, "mnist:all-train", train);
    assert_histogram(f, "mnist:test", test);
    basin_data *all = open_data(f, "mnist:all-train", 0, 0);
    basin_data *part = open_data(f, "mnist:train", 0, 0);
    basin_data *valid = open_data(f, "mnist:valid", 0, 0);
    assert_int_equal(part->info.count, 50000);
    assert_int_equal(valid->info.count, 10000);
    for (int64_t i = 0; i < 60000; i++) {
        const basin_data *from = i < 50000 ? part : valid;
        int64_t at = i < 50000 ? i : i - 50000;
        basin_data_get(all, i, x);
        basin_data_get(from, at, y);
        assert_memory_equal(x, y, sizeof(x));
        assert_int_equal(basin_data_label(all, i), basin_data_label(from, at));
        for (int k = 0; k < 784; k++) {
            sum += 255 * (double)x[k];
            sum2 += 65025 * (double)x[k] * (double)x[k];
        }
    }
    double n = 60000.0 * 784, mean = sum / n;
    assert_true(fabs(mean - 33.318) < 1e-3);
    assert_true(fabs(sqrt(sum2 / n - mean * mean) - 78.567) < 1e-3);
    basin_data_close(all);
    basin_data_close(part);
    basin_data_close(valid);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_built_in_is_pure, setup, teardown),
        cmocka_unit_test_setup_teardown(test_built_in_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_built_in_splits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_strokes_look, setup, teardown),
        cmocka_unit_test_setup_teardown(test_strokes_are_told_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_get_from_several_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_built_in_options, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_missing_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(test_from_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sha256, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mnist, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
