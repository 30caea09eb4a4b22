/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Training with classes: chains that each have one, in the walk, in the buffer, after a roll-back
 * and when a run goes on; what classifiers, joint and class-conditional energies learn.
 */
#include "eval/classify.h"
#include "io/config.h"
#include "objective/objective.h"
#include "train_support.h"
#include <math.h>

/* ---- chains with classes ---- */

enum { POINTS = 240, POINT_CLASSES = 3 };

/* Three spots of the plane, a class each, the first twice as often as the others. */
static basin_data *make_points(basin_context *context, bool has_gaps) {
    static float x[2 * POINTS];
    static int labels[POINTS];
    static const float places[4][2] = {{2, 0}, {2, 0}, {-1, 1.7f}, {-1, -1.7f}};
    static const int classes[4] = {0, 0, 1, 2};
    for (int i = 0; i < POINTS; i++) {
        labels[i] = has_gaps && i % 7 == 0 ? -1 : classes[i % 4];
        for (int j = 0; j < 2; j++)
            x[2 * i + j] = places[i % 4][j] + 0.2f * (float)test_number((uint64_t)(2 * i + j));
    }
    basin_data *data;
    assert_int_equal(
        basin_data_from_memory(context, "spots", POINTS, 1, 1, 2, false, x, labels, &data),
        BASIN_OK);
    return data;
}

static basin__trainer *make_trainer(basin_context *context, const basin_data *data,
                                    const char *text) {
    json_t *settings = json_loads(text, 0, NULL);
    basin__trainer *trainer;
    assert_non_null(settings);
    if (basin__trainer_create(context, settings, data, NULL, &trainer) != BASIN_OK)
        fail_msg("%s", basin_context_error(context));
    json_decref(settings);
    return trainer;
}

static const char *const conditional =
    "{\"network\": \"mlp\", \"hidden\": [16], \"classes\": 3, \"embedding\": 8,"
    " \"class_conditional\": true, \"class_dropout\": 0.25, \"batch\": 40, \"buffer_size\": 100,"
    " \"n_steps\": 2, \"restart_probability\": 0.3, \"updates\": 8, \"log_every\": 2,"
    " \"checkpoint_every\": 4, \"sample_every\": 4, \"sample_count\": 6, \"sample_steps\": 2%s}";

static void conditional_settings(char text[1024], const char *more) {
    snprintf(text, 1024, conditional, more);
}

/* A slot keeps its class until its chain restarts; that one takes its example's, or none. */
static void test_chains_keep_their_classes(void **state) {
    (void)state;
    char settings[1024];
    basin_context *context = test_context_on(NULL, 1);
    basin_data *data = make_points(context, false);
    conditional_settings(settings, "");
    basin__trainer *trainer = make_trainer(context, data, settings);
    int restarted = 0, hidden = 0, kept = 0;
    for (int update = 0; update < 30; update++) {
        int32_t before[100];
        memcpy(before, trainer->buffer.labels, sizeof before);
        assert_int_equal(basin__trainer_update(trainer), BASIN_OK);
        bool is_touched[100] = {false};
        for (int i = 0; i < 40; i++) {
            int slot = trainer->chosen[i], label = trainer->buffer.labels[slot];
            is_touched[slot] = true;
            assert_int_equal(label, (int)trainer->chain_labels[i]);
            if (trainer->ages[i] > 1) {
                assert_int_equal(label, before[slot]);
                kept++;
                continue;
            }
            restarted += trainer->buffer.ages[slot] == 1;
            hidden += label == POINT_CLASSES;
        }
        for (int slot = 0; slot < 100; slot++)
            if (!is_touched[slot])
                assert_int_equal(trainer->buffer.labels[slot], before[slot]);
    }
    assert_true(kept > 300 && restarted > 300);
    /* of some 400 a quarter: six deviations are 0.13 */
    assert_true(fabs((double)hidden / restarted - 0.25) < 0.13);
    basin__trainer_destroy(trainer);
    basin_data_close(data);
    basin_context_destroy(context);
}

/* An update's chains are those that walk from its starts at its classes (the parameters stay). */
static void test_chains_walk_at_their_classes(void **state) {
    (void)state;
    char settings[1024];
    basin_context *context = test_context_on(NULL, 1);
    basin_data *data = make_points(context, false);
    conditional_settings(settings, ", \"learning_rate\": 0");
    basin__trainer *trainer = make_trainer(context, data, settings);
    const void *options = trainer->config.groups[BASIN__GROUP_SAMPLER].values;
    assert_int_equal(basin__trainer_update(trainer), BASIN_OK);
    assert_memory_equal(basin__loss_find(trainer->loss, "negative"), trainer->chains,
                        80 * sizeof(float));
    for (int is_labelled = 0; is_labelled < 2; is_labelled++) {
        float x[80];
        basin__chain_run run = {.sampler = trainer->config.sampler,
                                .options = options,
                                .energy = trainer->energy,
                                .labels = is_labelled ? trainer->chain_labels : NULL,
                                .seed = 1};
        memcpy(x, trainer->starts, sizeof x);
        assert_int_equal(basin__chains_run(&run, 40, x), BASIN_OK);
        assert_int_equal(memcmp(x, trainer->chains, sizeof x) == 0, is_labelled);
    }
    basin__trainer_destroy(trainer);
    basin_data_close(data);
    basin_context_destroy(context);
}

/* Each example comes with its own label, also in a batch that ends one epoch and begins the next.
 */
static void test_labels_belong_to_their_examples(void **state) {
    (void)state;
    enum { COUNT = 50, BATCH = 35 };
    basin_context *context = test_context_on(NULL, 1);
    float x[COUNT], batch[BATCH], labels[BATCH];
    int given[COUNT];
    for (int i = 0; i < COUNT; i++)
        x[i] = (float)(given[i] = i);
    basin_data *data;
    basin__batches batches;
    assert_int_equal(
        basin_data_from_memory(context, "line", COUNT, 1, 1, 1, false, x, given, &data), BASIN_OK);
    assert_int_equal(basin__batches_init(context, &batches, data, 9), BASIN_OK);
    for (uint64_t update = 0; update < 10; update++) { /* 350 = 7 epochs */
        const basin__moment moment = {.seed = 9, .update = update};
        basin__batches_get(&batches, &moment, BATCH, batch, labels);
        assert_memory_equal(batch, labels, sizeof batch);
    }
    basin__batches_reset(&batches);
    basin_data_close(data);
    basin_context_destroy(context);
}

/* 2000 chains: shares ¾ · (½, ¼, ¼) and ¼, each within six deviations of at most 0.011. */
static void test_first_chains_have_the_classes_of_data(void **state) {
    (void)state;
    char settings[1024];
    basin_context *context = test_context_on(NULL, 1);
    basin_data *data = make_points(context, false);
    conditional_settings(settings, ", \"buffer_size\": 2000");
    basin__trainer *trainer = make_trainer(context, data, settings);
    const double wanted[4] = {0.375, 0.1875, 0.1875, 0.25};
    double shares[4] = {0};
    for (int i = 0; i < 2000; i++)
        shares[trainer->buffer.labels[i]] += 1 / 2000.0;
    for (int y = 0; y < 4; y++)
        assert_true(fabs(shares[y] - wanted[y]) < 0.066);
    basin__trainer_destroy(trainer);
    basin_data_close(data);
    basin_context_destroy(context);
}

/* Where chains are not kept, or start from data, each still runs at its example's class. */
static void test_chains_from_data_take_its_classes(void **state) {
    (void)state;
    char settings[1024];
    basin_context *context = test_context_on(NULL, 1);
    basin_data *data = make_points(context, true);
    conditional_settings(settings, ", \"chain_start\": \"data\", \"buffer_size\": 8192,"
                                   " \"restart_probability\": 0.05, \"class_dropout\": 0");
    basin__trainer *trainer = make_trainer(context, data, settings);
    int unlabelled = 0;
    for (int update = 0; update < 4; update++) {
        assert_int_equal(basin__trainer_update(trainer), BASIN_OK);
        assert_memory_equal(trainer->chain_labels, trainer->labels, 40 * sizeof(float));
        for (int i = 0; i < 40; i++)
            unlabelled += (int)trainer->labels[i] == POINT_CLASSES;
    }
    assert_in_range(unlabelled, 1, 80); /* they are at "none", not at −1 */
    basin__trainer_destroy(trainer);
    basin_data_close(data);
    basin_context_destroy(context);
}

static void test_buffers_keep_classes(void **state) {
    (void)state;
    char root[64], path[96];
    test_folder_make(root);
    snprintf(path, sizeof path, "%s/buffer.safetensors", root);
    basin_context *context = test_context_on(NULL, 1);
    basin__buffer buffers[3];
    const basin_shape shape = basin_shape_vector(1);
    const basin__moment moment = {.seed = 1};
    float x[5] = {0, 1, 2, 3, 4}, labels[5] = {3, 1, 2, 0, 1}, dither;
    int32_t ages[5] = {1, 1, 1, 1, 1};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(basin__buffer_init(context, &buffers[i], 4, 1, true, false, 0, 1, 1),
                         BASIN_OK);
        if (i < 2)
            assert_int_equal(basin__buffer_add_labels(&buffers[i]), BASIN_OK);
    }
    basin__buffer_put(&buffers[0], &moment, 5, NULL, ages, labels, x, &dither);
    const int32_t wanted[4] = {1, 1, 2, 0}; /* the queue went round once */
    assert_memory_equal(buffers[0].labels, wanted, sizeof wanted);
    assert_int_equal(basin__buffer_save(&buffers[0], shape, path), BASIN_OK);
    assert_int_equal(basin__buffer_load(&buffers[1], shape, path), BASIN_OK);
    assert_memory_equal(buffers[1].labels, wanted, sizeof wanted);
    int64_t count;
    int32_t *kept;
    float *chains;
    assert_int_equal(basin__buffer_read(context, path, shape, &count, &chains, &kept), BASIN_OK);
    assert_int_equal(count, 4);
    assert_memory_equal(kept, wanted, sizeof wanted);
    basin__free(context, chains);
    basin__free(context, kept);
    basin__buffer_put(&buffers[2], &moment, 5, NULL, ages, NULL, x, &dither);
    assert_int_equal(basin__buffer_save(&buffers[2], shape, path), BASIN_OK);
    assert_int_equal(basin__buffer_load(&buffers[1], shape, path), BASIN_ERROR_FORMAT);
    for (int i = 0; i < 3; i++)
        basin__buffer_reset(&buffers[i]);
    basin_context_destroy(context);
    test_folder_remove(root);
}

/* ---- configurations ---- */

static void expect_refused(const char *settings, bool has_labels, const char *part) {
    basin_context *context = test_context_on(NULL, 1);
    basin_data *data;
    const float x[4] = {0, 1, 2, 3};
    json_t *object = json_loads(settings, 0, NULL);
    basin__trainer *trainer;
    if (has_labels)
        data = make_points(context, false);
    else
        assert_int_equal(basin_data_from_memory(context, "bare", 2, 1, 1, 2, false, x, NULL, &data),
                         BASIN_OK);
    assert_int_equal(basin__trainer_create(context, object, data, NULL, &trainer),
                     BASIN_ERROR_CONFIG);
    if (!strstr(basin_context_error(context), part))
        fail_msg("%s: \"%s\", expected \"%s\"", settings, basin_context_error(context), part);
    json_decref(object);
    basin_data_close(data);
    basin_context_destroy(context);
}

static void test_what_does_not_fit_is_refused(void **state) {
    (void)state;
    expect_refused("{\"objective\": \"classify\"}", true, "--logits 3");
    expect_refused("{\"objective\": \"classify\", \"logits\": 4}", true, "--logits 3");
    expect_refused("{\"objective\": \"classify\", \"classes\": 3}", true, "gives no logits");
    expect_refused("{\"objective\": \"jem\", \"logits\": 3}", false, "data has none");
    expect_refused("{\"class_conditional\": true}", true, "--classes 3");
    expect_refused("{\"class_conditional\": true, \"classes\": 3}", false, "data has none");
    expect_refused("{\"classes\": 3}", true, "give --class-conditional");
    expect_refused("{\"classes\": 3, \"objective\": \"improved-cd\"}", true, "tells it none");
    expect_refused("{\"logits\": 3, \"classes\": 3}", true, "leave classes away");
    expect_refused("{\"logits\": 3, \"noise_conditional\": true}", true,
                   "leave noise-conditional away");
}

/* ---- training ---- */

typedef struct watcher {
    int64_t stop_at;
    basin_train_progress last;
} watcher;

static bool watch(void *user, const basin_train_progress *progress) {
    watcher *at = user;
    if (progress->is_report)
        at->last = *progress;
    return progress->update != at->stop_at;
}

/* Train on `data`, which also is held out; the energy is the caller's. */
static basin_train_progress train(basin_context *context, const basin_data *data,
                                  const char *settings, basin_energy **out) {
    watcher at = {.stop_at = -1};
    basin_train_options options;
    basin_train_options_init(&options);
    options.settings = settings;
    options.data = options.held_out = data;
    options.progress = watch;
    options.user = &at;
    if (basin_train(context, &options, out) != BASIN_OK)
        fail_msg("%s", basin_context_error(context));
    return at.last;
}

/* A classifier of built-in pictures, on others than it was trained on: chance is a tenth. */
static void test_pictures_are_told_apart(void **state) {
    (void)state;
    const char *name = "strokes";
    const double accuracy = 0.9;
    basin_context *context = test_context_on(NULL, 2);
    basin_data_options built_in;
    basin_data_options_init(&built_in);
    built_in.image_size = 16;
    built_in.split = "train";
    built_in.built_in_count = 2000;
    basin_data *data, *other;
    char settings[512];
    assert_int_equal(basin_data_open(context, name, &built_in, &data), BASIN_OK);
    built_in.split = "test";
    built_in.built_in_count = 500;
    assert_int_equal(basin_data_open(context, name, &built_in, &other), BASIN_OK);
    snprintf(settings, sizeof settings,
             "{\"preset\": \"classify\", \"logits\": %d, \"channels\": [8, 16, 16], \"kernels\": 3,"
             " \"strides\": [2, 2, 1], \"updates\": 300, \"batch\": 64, \"log_every\": 300,"
             " \"warm_up\": 10, \"learning_rate\": 4e-3, \"average\": 0.95, \"shift\": 1}",
             basin_data_describe(data)->class_count);
    basin_energy *energy;
    basin__classification found;
    basin_train_progress last = train(context, data, settings, &energy);
    assert_true(last.accuracy_held_out > accuracy);
    assert_int_equal(basin__classification_measure(energy, other, 0, &found), BASIN_OK);
    if (!(found.accuracy > accuracy))
        fail_msg("%s: accuracy %g", name, found.accuracy);
    assert_int_equal(found.count, 500);
    assert_int_equal(basin__classification_measure(energy, data, 0, &found), BASIN_OK);
    assert_true(found.accuracy == last.accuracy_held_out); /* reports are of the average */
    assert_true(found.cross_entropy == last.cross_entropy_held_out);
    basin_energy_destroy(energy);
    basin_data_close(data);
    basin_data_close(other);
    basin_context_destroy(context);
}

/* A fifth of the labels are gone; the spots are told apart, and lie below the plane around them. */
static void test_joint_energies_are_learnt(void **state) {
    (void)state;
    basin_context *context = test_context_on(NULL, 2);
    basin_data *data = make_points(context, true);
    basin_energy *energy;
    basin_train_progress last =
        train(context, data,
              "{\"objective\": \"jem\", \"hidden\": [32, 32], \"logits\": 3, \"updates\": 200,"
              " \"log_every\": 50, \"batch\": 64, \"n_steps\": 20, \"buffer_size\": 1000,"
              " \"learning_rate\": 3e-3, \"average\": 0.95}",
              &energy);
    assert_true(last.accuracy_held_out > 0.99);
    assert_true(last.energy_held_out < last.energy_noise - 2);
    const float places[4] = {2, 0, 2.6f, 2.2f}; /* on a spot; in a corner */
    double energies[2];
    assert_int_equal(basin_energy_evaluate(energy, 2, places, energies, NULL), BASIN_OK);
    assert_true(energies[0] < energies[1] - 2);
    basin_energy_destroy(energy);
    basin_data_close(data);
    basin_context_destroy(context);
}

/* E(x | y) is low at the spot of y and high at the others'; E(x | none) is low at all three. */
static void check_conditional(const char *objective) {
    char settings[512];
    snprintf(settings, sizeof settings,
             "{%s, \"class_dropout\": 0.3, \"hidden\": [32, 32], \"classes\": 3,"
             " \"updates\": 300, \"log_every\": 50, \"batch\": 128, \"learning_rate\": 3e-3,"
             " \"average\": 0.95}",
             objective);
    basin_context *context = test_context_on(NULL, 2);
    basin_data *data = make_points(context, false);
    basin_energy *energy;
    train(context, data, settings, &energy);
    const float spots[4][2] = {{2, 0}, {-1, 1.7f}, {-1, -1.7f}, {2.6f, 2.2f}};
    float x[32], labels[16];
    double energies[16];
    for (int i = 0; i < 16; i++) {
        memcpy(x + 2 * i, spots[i / 4], sizeof spots[0]);
        labels[i] = (float)(i % 4);
    }
    const basin__points points = {.x = x, .label = labels};
    assert_int_equal(basin__energy_evaluate_points(energy, 16, &points, energies, NULL), BASIN_OK);
    for (int spot = 0; spot < 3; spot++) {
        for (int other = 0; other < 3; other++)
            if (other != spot)
                assert_true(energies[4 * spot + spot] < energies[4 * other + spot] - 1.5);
        assert_true(energies[4 * spot + 3] < energies[4 * 3 + 3] - 1);
    }
    basin_energy_destroy(energy);
    basin_data_close(data);
    basin_context_destroy(context);
}

static void test_conditional_energies_are_learnt(void **state) {
    (void)state;
    check_conditional("\"class_conditional\": true, \"n_steps\": 20, \"buffer_size\": 1000");
    check_conditional("\"objective\": \"nce\"");
    check_conditional("\"objective\": \"energy-discrepancy\"");
    check_conditional("\"objective\": \"conditional-nce\", \"contrast_std\": 1");
    check_conditional("\"objective\": \"denoising-score-matching\", \"noise_level\": 0.5");
}

/* ---- going on ---- */

static basin_status run_part(int threads, const char *folder, basin_train_folder use, int updates,
                             int64_t stop_at, const char *settings) {
    char resumed[64];
    snprintf(resumed, sizeof resumed, "{\"updates\": %d}", updates);
    basin_context *context = test_context_on(NULL, threads);
    basin_data *data = make_points(context, true);
    watcher at = {.stop_at = stop_at};
    basin_train_options options;
    basin_train_options_init(&options);
    options.settings = use == BASIN_TRAIN_RESUME ? resumed : settings;
    options.data = options.held_out = data;
    options.folder = folder;
    options.folder_use = use;
    options.progress = watch;
    options.user = &at;
    basin_status status = basin__train_with(context, &options, &stopped_clock, NULL);
    if (status != BASIN_OK && status != BASIN_ERROR_CANCELLED)
        fail_msg("%s", basin_context_error(context));
    basin_data_close(data);
    basin_context_destroy(context);
    return status;
}

static void check_resume(const char *settings) {
    char root[64], whole[96], halves[96], threaded[96];
    test_folder_make(root);
    snprintf(whole, sizeof whole, "%s/whole", root);
    snprintf(halves, sizeof halves, "%s/halves", root);
    snprintf(threaded, sizeof threaded, "%s/threaded", root);
    run_part(1, whole, BASIN_TRAIN_NEW, 8, -1, settings);
    assert_int_equal(run_part(1, halves, BASIN_TRAIN_NEW, 8, 3, settings), BASIN_ERROR_CANCELLED);
    assert_int_equal(run_part(2, halves, BASIN_TRAIN_RESUME, 8, 5, settings),
                     BASIN_ERROR_CANCELLED);
    run_part(1, halves, BASIN_TRAIN_RESUME, 8, -1, settings);
    run_part(5, threaded, BASIN_TRAIN_NEW, 8, -1, settings);
    basin_context *context = test_context_on(NULL, 1);
    assert_same_tree(context, whole, halves);
    assert_same_tree(context, whole, threaded);
    basin_context_destroy(context);
    test_folder_remove(root);
}

static void test_resume_is_exact(void **state) {
    (void)state;
    char settings[1024];
    conditional_settings(settings, "");
    check_resume(settings);
    conditional_settings(settings, ", \"buffer_policy\": \"newest\", \"restart_from\": \"data\"");
    check_resume(settings);
}

static void test_resume_of_joint_energies_is_exact(void **state) {
    (void)state;
    check_resume("{\"objective\": \"jem\", \"network\": \"mlp\", \"hidden\": [6], \"logits\": 3,"
                 " \"batch\": 40, \"buffer_size\": 100, \"n_steps\": 2, \"updates\": 8,"
                 " \"log_every\": 2, \"checkpoint_every\": 4, \"sample_every\": 4,"
                 " \"sample_count\": 6, \"sample_steps\": 2}");
}

/* A roll-back brings classes back with their chains. */
static void test_roll_backs_restore_classes(void **state) {
    (void)state;
    char settings[1024];
    test_heap heap = {.fail_at = -1};
    basin_context *context = test_context(&heap, 1);
    basin_data *data = make_points(context, false);
    conditional_settings(settings, "");
    basin__trainer *trainer = make_trainer(context, data, settings);
    int32_t before[100];
    memcpy(before, trainer->buffer.labels, sizeof before);
    basin__guard_keep(trainer);
    for (int i = 0; i < 3; i++)
        assert_int_equal(basin__trainer_update(trainer), BASIN_OK);
    assert_memory_not_equal(trainer->buffer.labels, before, sizeof before);
    assert_int_equal(basin__guard_roll_back(trainer), BASIN_OK);
    assert_memory_equal(trainer->buffer.labels, before, sizeof before);
    basin__trainer_destroy(trainer);
    basin_data_close(data);
    basin_context_destroy(context);
}

/* ---- memory ---- */

static basin_status train_once(basin_context *context, const char *settings, const char *folder) {
    static const float x[8] = {0, 1, 1, 0, -1, 1, 1, -1};
    static const int labels[4] = {0, 1, 2, 1};
    basin_data *data;
    BASIN_TRY(basin_data_from_memory(context, "x", 4, 1, 1, 2, false, x, labels, &data));
    basin_train_options options;
    basin_train_options_init(&options);
    options.settings = settings;
    options.data = options.held_out = data;
    options.folder = folder;
    options.folder_use = BASIN_TRAIN_REPLACE;
    basin_energy *energy = NULL;
    basin_status status = basin__train_with(context, &options, &stopped_clock, &energy);
    float features[4 * 3], logits[4 * 3];
    if (status == BASIN_OK && basin_energy_logit_count(energy) > 0)
        status = basin__energy_outputs(energy, 4, &(basin__points){.x = x}, logits, features);
    basin_energy_destroy(energy);
    basin_data_close(data);
    return status;
}

static void check_memory(const char *settings) {
    char root[64], run[96];
    test_folder_make(root);
    snprintf(run, sizeof run, "%s/run", root);
    for (long k = 0;; k++) {
        test_heap heap = {.fail_at = k};
        basin_context *context = test_context(&heap, 1);
        basin_status status = train_once(context, settings, run);
        if (heap.alive != heap.alive_at_start)
            fail_msg("allocation %ld failed, and %ld were lost", k,
                     heap.alive - heap.alive_at_start);
        basin_context_destroy(context);
        if (!heap.has_failed) {
            assert_int_equal(status, BASIN_OK);
            assert_true(k > 100);
            break;
        }
        if (status != BASIN_ERROR_MEMORY)
            fail_msg("allocation %ld failed, and the status is %s", k, basin_status_name(status));
    }
    test_folder_remove(root);
}

#define TINY                                                                                       \
    "\"network\": \"mlp\", \"hidden\": [3], \"updates\": 1, \"batch\": 2, \"buffer_size\": 4,"     \
    " \"sample_count\": 1, \"sample_every\": 1, \"log_every\": 1, \"n_steps\": 1,"                 \
    " \"sample_steps\": 1"

static void test_every_allocation_may_fail(void **state) {
    (void)state;
    check_memory("{\"objective\": \"jem\", \"logits\": 3, " TINY "}");
    check_memory("{\"class_conditional\": true, \"classes\": 3, \"embedding\": 2, " TINY "}");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chains_keep_their_classes),
        cmocka_unit_test(test_chains_walk_at_their_classes),
        cmocka_unit_test(test_labels_belong_to_their_examples),
        cmocka_unit_test(test_first_chains_have_the_classes_of_data),
        cmocka_unit_test(test_chains_from_data_take_its_classes),
        cmocka_unit_test(test_buffers_keep_classes),
        cmocka_unit_test(test_what_does_not_fit_is_refused),
        cmocka_unit_test(test_pictures_are_told_apart),
        cmocka_unit_test(test_joint_energies_are_learnt),
        cmocka_unit_test(test_conditional_energies_are_learnt),
        cmocka_unit_test(test_resume_is_exact),
        cmocka_unit_test(test_resume_of_joint_energies_is_exact),
        cmocka_unit_test(test_roll_backs_restore_classes),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
