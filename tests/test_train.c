/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Training: a run that stops and goes on ends with the files of one in one piece, byte for byte;
 * threads change nothing; the guard brings a broken run back; a disk that fills leaves the last
 * checkpoint whole.
 */
#include "io/config.h"
#include "train/random.h"
#include "train_support.h"
#include <math.h>
#include <signal.h>
#include <sys/resource.h>

enum { EXAMPLES = 150, SIDE = 8, SIZE = SIDE * SIDE };

static basin_context *make_context(int threads) {
    basin_context_options options;
    basin_context_options_init(&options);
    options.thread_count = threads;
    basin_context *context;
    assert_int_equal(basin_context_create(&options, &context), BASIN_OK);
    return context;
}

/* Bright bars on black, with a little noise: a pure function of the index. */
static basin_data *make_images(basin_context *context) {
    float *x = malloc(sizeof(float) * EXAMPLES * SIZE);
    for (int i = 0; i < EXAMPLES; i++)
        for (int j = 0; j < SIZE; j++)
            x[i * SIZE + j] =
                (float)(((j / SIDE == i % SIDE) ? 230 : 0) + (i * 31 + j * 17) % 13) / 255.0f;
    basin_data *data;
    assert_int_equal(
        basin_data_from_memory(context, "bars", EXAMPLES, SIDE, SIDE, 1, true, x, NULL, &data),
        BASIN_OK);
    free(x);
    return data;
}

static const char *const small = "{\"base_channels\": 4, \"spectral_norm\": true, \"batch\": 16,"
                                 " \"n_steps\": 3, \"buffer_size\": 40, \"updates\": %d,"
                                 " \"log_every\": 4, \"sample_every\": 6, \"sample_count\": 4,"
                                 " \"sample_steps\": 3, \"checkpoint_every\": 6, \"shift\": 1,"
                                 " \"restart_probability\": 0.2}";

/* Back to their defaults, for runs whose chains do not come from a buffer. */
#define NO_BUFFER "\"buffer_size\": 10000, \"restart_probability\": 0.05"

/* The settings above with others over them; the caller's to free. */
static char *merge_settings(int updates, const char *more) {
    char text[1024];
    snprintf(text, sizeof text, small, updates);
    json_t *settings = json_loads(text, 0, NULL), *others = json_loads(more, 0, NULL);
    assert_non_null(settings);
    assert_non_null(others);
    json_object_update(settings, others);
    char *merged = json_dumps(settings, 0);
    json_decref(settings);
    json_decref(others);
    return merged;
}

typedef struct stop {
    int64_t at;
} stop;

static bool stop_at(void *user, const basin_train_progress *progress) {
    return progress->update != ((const stop *)user)->at;
}

/* One run, or a part of one, into a folder. */
static basin_status run_part(int threads, const char *folder, basin_train_folder use, int updates,
                             int64_t stop_after, const char *more) {
    char resumed[64], *settings = resumed;
    snprintf(resumed, sizeof resumed, "{\"updates\": %d}", updates);
    if (use != BASIN_TRAIN_RESUME)
        settings = merge_settings(updates, more);
    basin_context *context = make_context(threads);
    basin_data *data = make_images(context);
    stop at = {.at = stop_after};
    basin_train_options options;
    basin_train_options_init(&options);
    options.settings = settings;
    options.data = data;
    options.held_out = data;
    options.folder = folder;
    options.folder_use = use;
    options.progress = stop_at;
    options.user = &at;
    basin_status status = basin__train_with(context, &options, &stopped_clock, NULL);
    if (status != BASIN_OK && status != BASIN_ERROR_CANCELLED)
        print_message("%s\n", basin_context_error(context));
    if (use != BASIN_TRAIN_RESUME)
        free(settings);
    basin_data_close(data);
    basin_context_destroy(context);
    return status;
}

static void folder_in(char path[96], const char *root, const char *name) {
    snprintf(path, 96, "%s/%s", root, name);
}

static void check_resume(const char *more) {
    char root[64], whole[96], halves[96], stopped_run[96];
    test_folder_make(root);
    folder_in(whole, root, "whole");
    folder_in(halves, root, "halves");
    folder_in(stopped_run, root, "stopped");
    assert_int_equal(run_part(1, whole, BASIN_TRAIN_NEW, 24, -1, more), BASIN_OK);
    /* N, resume, N; on and off the intervals */
    assert_int_equal(run_part(1, halves, BASIN_TRAIN_NEW, 12, -1, more), BASIN_OK);
    assert_int_equal(run_part(1, halves, BASIN_TRAIN_RESUME, 17, -1, more), BASIN_OK);
    assert_int_equal(run_part(1, halves, BASIN_TRAIN_RESUME, 24, -1, more), BASIN_OK);
    /* stopped by the user twice, once where a picture is due */
    assert_int_equal(run_part(1, stopped_run, BASIN_TRAIN_NEW, 24, 7, more), BASIN_ERROR_CANCELLED);
    assert_int_equal(run_part(2, stopped_run, BASIN_TRAIN_RESUME, 24, 18, more),
                     BASIN_ERROR_CANCELLED);
    assert_int_equal(run_part(1, stopped_run, BASIN_TRAIN_RESUME, 24, -1, more), BASIN_OK);
    basin_context *context = make_context(1);
    assert_same_tree(context, whole, halves);
    assert_same_tree(context, whole, stopped_run);
    basin_context_destroy(context);
    test_folder_remove(root);
}

static void test_resume_is_exact(void **state) {
    (void)state;
    check_resume("{}");
}

static void test_resume_is_exact_with_a_queue(void **state) {
    (void)state;
    check_resume("{\"buffer_policy\": \"newest\", \"buffer_storage\": \"float\","
                 " \"optimiser\": \"sgd\", \"momentum\": 0.9, \"restart\": \"batch\","
                 " \"restart_from\": \"faint\", \"flip\": true}");
}

static void test_resume_is_exact_without_a_buffer(void **state) {
    (void)state;
    check_resume("{" NO_BUFFER ", \"chain_start\": \"data\", \"average\": 0, \"range\": \"-1,1\"}");
}

static void test_resume_is_exact_without_chains(void **state) {
    (void)state;
    check_resume("{" NO_BUFFER ", \"objective\": \"nce\", \"noise_components\": 2,"
                 " \"noise_covariance\": \"diagonal\"}");
    check_resume("{" NO_BUFFER
                 ", \"objective\": \"denoising-score-matching\"}"); /* watches no energies */
}

static void test_resume_is_exact_with_neighbours(void **state) {
    (void)state;
    check_resume("{\"objective\": \"improved-cd\", \"neighbours\": 9, \"kl_steps\": 2,"
                 " \"augment_probability\": 0.5, \"augment_scale\": 0.1,"
                 " \"augment_colour\": 0.2}");
    check_resume("{" NO_BUFFER ", \"objective\": \"improved-cd\", \"chain_start\": \"noise\","
                 " \"noise_before\": true}");
}

static void check_threads(const char *settings) {
    char root[64], one[96], two[96], five[96];
    test_folder_make(root);
    folder_in(one, root, "one");
    folder_in(two, root, "two");
    folder_in(five, root, "five");
    assert_int_equal(run_part(1, one, BASIN_TRAIN_NEW, 6, -1, settings), BASIN_OK);
    assert_int_equal(run_part(2, two, BASIN_TRAIN_NEW, 6, -1, settings), BASIN_OK);
    assert_int_equal(run_part(5, five, BASIN_TRAIN_NEW, 6, -1, settings), BASIN_OK);
    basin_context *context = make_context(1);
    assert_same_tree(context, one, two);
    assert_same_tree(context, one, five);
    basin_context_destroy(context);
    test_folder_remove(root);
}

/* 131 chains: several tiles and shards, the last ones partial. */
static void test_threads_change_nothing(void **state) {
    (void)state;
    check_threads("{\"batch\": 131, \"buffer_size\": 200}");
    check_threads("{\"batch\": 131, \"buffer_size\": 200, \"objective\": \"improved-cd\","
                  " \"augment_probability\": 0.5}");
}

/* ---- the parts ---- */

static void test_slots_are_distinct(void **state) {
    (void)state;
    enum { CAPACITY = 50, BATCH = 50 };
    basin_context *context = make_context(1);
    basin__buffer buffer;
    assert_int_equal(basin__buffer_init(context, &buffer, CAPACITY, 4, false, false, 0, 1, 5),
                     BASIN_OK);
    int32_t slots[BATCH], again[BATCH], other[BATCH];
    basin__moment moment = {.seed = 5, .update = 3};
    basin__buffer_draw(&buffer, &moment, 20, slots);
    basin__buffer_draw(&buffer, &(basin__moment){.seed = 5, .update = 4}, 20, other);
    basin__buffer_draw(&buffer, &moment, 20, again);
    assert_memory_equal(slots, again,
                        20 * sizeof(int32_t)); /* a draw depends on its update alone */
    assert_memory_not_equal(slots, other, 20 * sizeof(int32_t));
    basin__buffer_draw(&buffer, &moment, BATCH, slots);
    bool is_seen[CAPACITY] = {false};
    for (int i = 0; i < BATCH; i++) {
        assert_in_range(slots[i], 0, CAPACITY - 1);
        assert_false(is_seen[slots[i]]);
        is_seen[slots[i]] = true;
    }
    basin__buffer_reset(&buffer);
    basin_context_destroy(context);
}

static void test_slots_are_written_back(void **state) {
    (void)state;
    basin_context *context = make_context(1);
    basin__buffer buffer;
    float before[4], x[8] = {1, 2, 3, 4, 5, 6, 7, 8}, got[4], scratch[4];
    assert_int_equal(basin__buffer_init(context, &buffer, 3, 4, false, false, 0, 1, 5), BASIN_OK);
    basin__buffer_get(&buffer, 1, before);
    const int32_t slots[2] = {2, 0}, ages[2] = {4, 8};
    basin__buffer_put(&buffer, &(basin__moment){.seed = 5}, 2, slots, ages, NULL, x, scratch);
    basin__buffer_get(&buffer, 2, got);
    assert_memory_equal(got, x, sizeof got);
    basin__buffer_get(&buffer, 0, got);
    assert_memory_equal(got, x + 4, sizeof got);
    basin__buffer_get(&buffer, 1, got);
    assert_memory_equal(got, before, sizeof got);
    assert_true(fabs(basin__buffer_age(&buffer) - 4) < 1e-12);
    basin__buffer_reset(&buffer);
    basin_context_destroy(context);
}

static void test_queue_keeps_the_newest(void **state) {
    (void)state;
    basin_context *context = make_context(1);
    basin__buffer buffer;
    float scratch[1];
    assert_int_equal(basin__buffer_init(context, &buffer, 3, 1, true, false, 0, 1, 5), BASIN_OK);
    assert_int_equal(buffer.count, 0);
    for (int i = 0; i < 5; i++) {
        const float x[1] = {(float)i};
        const int32_t slots[1] = {0}, ages[1] = {1};
        basin__buffer_put(&buffer, &(basin__moment){.seed = 5}, 1, slots, ages, NULL, x, scratch);
    }
    assert_int_equal(buffer.count, 3);
    float sum = 0, got[1];
    for (int32_t i = 0; i < 3; i++) {
        basin__buffer_get(&buffer, i, got);
        sum += got[0];
    }
    assert_true(fabsf(sum - 9) < 1e-6f); /* 2 + 3 + 4 */
    basin__buffer_reset(&buffer);
    basin_context_destroy(context);
}

/*
 * A value a third of the way between two levels is kept as either, on average as itself: 4096 draws
 * of a step of 1/255 have a mean with standard deviation 1/255 · √(2/9 / 4096) = 2.9e-5; 5 of them
 * are allowed, a false alarm once in 1.7 million. A level stays what it is.
 */
static void test_bytes_are_right_on_average(void **state) {
    (void)state;
    enum { COUNT = 4096 };
    basin_context *context = make_context(1);
    basin__buffer buffer;
    static float x[COUNT], got[COUNT], scratch[COUNT];
    assert_int_equal(basin__buffer_init(context, &buffer, 1, COUNT, false, true, -1, 1, 5),
                     BASIN_OK);
    const int32_t slots[1] = {0}, ages[1] = {1};
    const double between = -1 + 2 * (100 + 1.0 / 3) / 255;
    for (int i = 0; i < COUNT; i++)
        x[i] = (float)between;
    basin__buffer_put(&buffer, &(basin__moment){.seed = 5, .update = 1}, 1, slots, ages, NULL, x,
                      scratch);
    basin__buffer_get(&buffer, 0, got);
    double mean = 0;
    for (int i = 0; i < COUNT; i++)
        mean += (double)got[i] / COUNT;
    assert_true(fabs(mean - between) < 2 * 5 * 2.9e-5);
    for (uint64_t update = 2; update < 10; update++) {
        memcpy(x, got, sizeof x);
        basin__buffer_put(&buffer, &(basin__moment){.seed = 5, .update = update}, 1, slots, ages,
                          NULL, x, scratch);
        basin__buffer_get(&buffer, 0, got);
        assert_memory_equal(got, x, sizeof x);
    }
    basin__buffer_reset(&buffer);
    basin_context_destroy(context);
}

static void test_an_epoch_sees_each_example_once(void **state) {
    (void)state;
    basin_context *context = make_context(1);
    float *x = malloc(sizeof(float) * EXAMPLES * 2);
    for (int i = 0; i < EXAMPLES; i++)
        x[2 * i] = x[2 * i + 1] = (float)i;
    basin_data *data;
    assert_int_equal(
        basin_data_from_memory(context, "line", EXAMPLES, 1, 1, 2, false, x, NULL, &data),
        BASIN_OK);
    basin__batches batches;
    assert_int_equal(basin__batches_init(context, &batches, data, 9), BASIN_OK);
    int seen[EXAMPLES] = {0};
    float batch[2 * 60], first[2 * 60];
    for (uint64_t update = 0; update < 5; update++) { /* 5 × 60 = 2 epochs */
        basin__batches_get(&batches, &(basin__moment){.seed = 9, .update = update}, 60, batch,
                           NULL);
        for (int i = 0; i < 60; i++)
            seen[(int)batch[2 * i]]++;
        if (update == 0)
            memcpy(first, batch, sizeof first);
    }
    for (int i = 0; i < EXAMPLES; i++)
        assert_int_equal(seen[i], 2);
    /* another order in another epoch, the same order again for the same one */
    basin__batches_get(&batches, &(basin__moment){.seed = 9, .update = 0}, 60, batch, NULL);
    assert_memory_equal(batch, first, sizeof first);
    basin__batches_get(&batches, &(basin__moment){.seed = 9, .update = 5}, 60, batch, NULL);
    assert_memory_not_equal(batch, first, sizeof first);
    basin__batches_reset(&batches);
    basin_data_close(data);
    free(x);
    basin_context_destroy(context);
}

/* Values worked out by hand, two steps each. */
static void test_optimisers(void **state) {
    (void)state;
    basin_context *context = make_context(1);
    const float gradients[2] = {0.5f, -1.0f};
    const char *const options[2] = {
        "{\"beta1\": 0.9, \"beta2\": 0.99, \"epsilon\": 0, \"weight_decay\": 0}",
        "{\"momentum\": 0.5, \"weight_decay\": 0.1}"};
    /*
     * adam, rate 0.1: m = 0.05, v = 0.0025: step 0.1 · 0.5 / 0.5; then m = -0.055, v = 0.012475:
     * step 0.1 · (-0.055 / 0.19) / √(0.012475 / 0.0199) = -0.0365601…
     * sgd, rate 0.1: b = 0.5 + 0.1 · 2; then b = 0.35 - 1 + 0.1 · 1.93
     */
    const double wanted[2][2] = {{1.9, 1.9 + 0.0365601}, {1.93, 1.93 + 0.1 * 0.457}};
    for (int i = 0; i < 2; i++) {
        const basin__optim_def *def = basin__optim_find(i == 0 ? "adam" : "sgd");
        basin__option_group group = {.options = def->options, .count = def->option_count};
        group.values = basin__alloc(context, def->options_bytes);
        assert_int_equal(basin__options_default(context, &group), BASIN_OK);
        json_t *settings = json_loads(options[i], 0, NULL);
        assert_int_equal(basin__options_from_json(context, &group, 1, settings), BASIN_OK);
        json_decref(settings);
        float parameter = 2, slot0 = 0, slot1 = 0, *slots[2] = {&slot0, &slot1};
        for (int t = 0; t < 2; t++) {
            basin__optim_step step = {.update = t + 1, .learning_rate = 0.1, .gradient_scale = 0.5};
            float doubled = 2 * gradients[t];
            def->step(group.values, &step, 1, &parameter, &doubled, slots);
            assert_true(fabs((double)parameter - wanted[i][t]) < 1e-6);
        }
        basin__options_reset(context, &group);
        basin__free(context, group.values);
    }
    basin_context_destroy(context);
}

static void test_schedule(void **state) {
    (void)state;
    basin__schedule_options options = {.learning_rate = 2, .warm_up = 10, .average = 0.999};
    assert_true(fabs(basin__learning_rate(&options, 5, 110) - 1) < 1e-12);
    assert_true(fabs(basin__learning_rate(&options, 60, 110) - 2) < 1e-12);
    options.decay = BASIN__DECAY_LINEAR;
    assert_true(fabs(basin__learning_rate(&options, 11, 110) - 2) < 1e-12);
    assert_true(fabs(basin__learning_rate(&options, 61, 110) - 1) < 1e-12);
    options.decay = BASIN__DECAY_COSINE;
    assert_true(fabs(basin__learning_rate(&options, 61, 110) - 1) < 1e-12);
    assert_true(basin__learning_rate(&options, 110, 110) < 1e-3);
    options.decay = BASIN__DECAY_EXPONENTIAL;
    options.decay_factor = 0.5;
    options.decay_every = 20;
    assert_true(fabs(basin__learning_rate(&options, 30, 110) - 2) < 1e-12);
    assert_true(fabs(basin__learning_rate(&options, 31, 110) - 1) < 1e-12);
    assert_true(fabs(basin__average_decay(&options, 8) - 0.5) < 1e-12);
    assert_true(fabs(basin__average_decay(&options, 1000000) - 0.999) < 1e-12);
}

/* ---- trouble ---- */

static basin__trainer *make_trainer(basin_context *context, const basin_data *data,
                                    const char *more) {
    char *text = merge_settings(24, more);
    json_t *settings = json_loads(text, 0, NULL);
    free(text);
    basin__trainer *trainer;
    assert_int_equal(basin__trainer_create(context, settings, data, NULL, &trainer), BASIN_OK);
    json_decref(settings);
    trainer->clock = stopped_clock;
    return trainer;
}

/* Where no step is taken, the chains of the first update are their starts: noise fills the range,
   faint noise another part of it in each chain, from the lower end on. */
static void test_starts(void **state) {
    (void)state;
    basin_context *context = make_context(1);
    basin_data *data = make_images(context);
    for (int faint = 0; faint < 2; faint++) {
        basin__trainer *trainer = make_trainer(
            context, data,
            faint ? "{\"n_steps\": 0, \"restart_probability\": 1, \"restart_from\": \"faint\"}"
                  : "{\"n_steps\": 0, \"restart_probability\": 1}");
        assert_int_equal(basin__trainer_update(trainer), BASIN_OK);
        int full = 0, dark = 0;
        for (int64_t i = 0; i < trainer->batch; i++) {
            float most = 0;
            for (int j = 0; j < SIZE; j++) {
                assert_true(trainer->chains[i * SIZE + j] >= 0);
                most = fmaxf(most, trainer->chains[i * SIZE + j]);
            }
            full += most > 0.9f;
            dark += most < 0.5f;
        }
        /* 64 uniform numbers: all below 0.9 once in 850 chains, below 0.5 never. Of 16 faint chains
           8 are full and 4 dark on average; the seed is fixed. */
        assert_true(faint ? full < trainer->batch - 3 : full == trainer->batch);
        assert_true(faint ? dark >= 2 : dark == 0);
        basin__trainer_destroy(trainer);
    }
    basin_data_close(data);
    basin_context_destroy(context);
}

static void test_guard_recovers(void **state) {
    (void)state;
    basin_context *context = make_context(1);
    basin_data *data = make_images(context);
    basin__trainer *trainer = make_trainer(context, data, "{\"roll_backs_max\": 2}");
    for (int i = 0; i < 3; i++)
        assert_int_equal(basin__trainer_update(trainer), BASIN_OK);
    basin__guard_keep(trainer);
    basin__parameter *parameter = &trainer->energy->parameters.items[0];
    const float good = parameter->data[0];
    const int32_t good_age = trainer->buffer.ages[0];
    for (int broken = 1; broken <= 2; broken++) {
        assert_int_equal(basin__trainer_update(trainer), BASIN_OK);
        parameter->data[0] = NAN;
        basin__energy_changed(trainer->energy);
        assert_int_equal(basin__trainer_update(trainer), BASIN_ERROR_DIVERGED);
        assert_int_equal(basin__guard_roll_back(trainer), BASIN_OK);
        assert_int_equal(trainer->progress.update, 3);
        assert_int_equal(trainer->progress.roll_backs, broken);
        assert_true(fabs(trainer->progress.rate_factor - (broken == 1 ? 0.5 : 0.25)) < 1e-12);
        assert_true(fabsf(parameter->data[0] - good) <= 0.0f);
        assert_int_equal(trainer->buffer.ages[0], good_age);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(basin__trainer_update(trainer), BASIN_OK);
    assert_int_equal(basin__guard_roll_back(trainer), BASIN_ERROR_DIVERGED);
    basin__trainer_destroy(trainer);
    basin_data_close(data);
    basin_context_destroy(context);
}

static void test_hopeless_runs_give_up(void **state) {
    (void)state;
    char root[64], run[96];
    test_folder_make(root);
    folder_in(run, root, "run");
    assert_int_equal(run_part(1, run, BASIN_TRAIN_NEW, 24, -1,
                              "{\"optimiser\": \"sgd\", \"learning_rate\": 1000,"
                              " \"parameter_clip\": \"none\", \"spectral_norm\": false,"
                              " \"gap_limit\": 1}"),
                     BASIN_ERROR_DIVERGED);
    test_folder_remove(root);
}

/* Files may not grow past a size, as on a full disk: what is being written fails in the middle. */
static bool fill_disk(void *user, const basin_train_progress *progress) {
    (void)user;
    if (progress->update == 7) {
        const struct rlimit limit = {.rlim_cur = 5000, .rlim_max = RLIM_INFINITY};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    }
    return true;
}

static void test_a_full_disk_leaves_the_last_checkpoint(void **state) {
    (void)state;
    char root[64], run[96], path[192];
    test_folder_make(root);
    folder_in(run, root, "run");
    char *settings = merge_settings(24, "{}");
    basin_context *context = make_context(1);
    basin_data *data = make_images(context);
    basin_train_options options;
    basin_train_options_init(&options);
    options.settings = settings;
    options.data = data;
    options.folder = run;
    options.progress = fill_disk;
    signal(SIGXFSZ, SIG_IGN);
    basin_status status = basin__train_with(context, &options, &stopped_clock, NULL);
    const struct rlimit none = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    assert_int_equal(status, BASIN_ERROR_IO);
    snprintf(path, sizeof path, "%s/checkpoints/unfinished", run);
    assert_false(basin__path_is_folder(path));
    snprintf(path, sizeof path, "%s/checkpoints/step-000006/state.json", run);
    assert_true(basin__path_is_file(path));
    basin_energy *energy;
    assert_int_equal(basin_energy_load(context, run, NULL, 0, 0, &energy), BASIN_OK);
    basin_energy_destroy(energy);
    basin_data_close(data);
    basin_context_destroy(context);
    free(settings);
    assert_int_equal(run_part(1, run, BASIN_TRAIN_RESUME, 12, -1, "{}"), BASIN_OK);
    test_folder_remove(root);
}

static void test_folders_in_the_way(void **state) {
    (void)state;
    char root[64], run[96], file[192];
    test_folder_make(root);
    folder_in(run, root, "run");
    assert_int_equal(run_part(1, run, BASIN_TRAIN_NEW, 2, -1, "{}"), BASIN_OK);
    assert_int_equal(run_part(1, run, BASIN_TRAIN_NEW, 2, -1, "{}"), BASIN_ERROR_CONFIG);
    basin_context *context = make_context(1);
    snprintf(file, sizeof file, "%s/mine.txt", run);
    assert_int_equal(basin__file_write(context, file, "x", 1), BASIN_OK);
    assert_int_equal(run_part(1, run, BASIN_TRAIN_REPLACE, 4, -1, "{}"), BASIN_OK);
    assert_true(basin__path_is_file(file)); /* what is not a run's is left alone */
    snprintf(run, sizeof run, "%s/run/mine.txt/run", root);
    assert_int_equal(run_part(1, run, BASIN_TRAIN_NEW, 2, -1, "{}"), BASIN_ERROR_IO);
    folder_in(run, root, "run");
    assert_int_equal(run_part(1, run, BASIN_TRAIN_RESUME, 4, -1, "{}"), BASIN_ERROR_CONFIG);
    folder_in(run, root, "nothing");
    assert_int_equal(run_part(1, run, BASIN_TRAIN_RESUME, 2, -1, "{}"), BASIN_ERROR_IO);
    basin_context_destroy(context);
    test_folder_remove(root);
}

/* ---- configuration ---- */

static basin_status try_settings(basin_context *context, const char *text, bool is_points) {
    json_t *settings = json_loads(text, 0, NULL);
    assert_non_null(settings);
    basin__train_config config;
    basin_status status = basin__train_config_init(context, settings, is_points, &config);
    json_decref(settings);
    if (status != BASIN_OK)
        return status;
    status = basin__train_config_check(&config, is_points);
    /* what is written reads back as the same */
    json_t *first, *second;
    assert_int_equal(basin__train_config_json(&config, &first), BASIN_OK);
    basin__train_config_reset(&config);
    assert_int_equal(basin__train_config_init(context, first, is_points, &config), BASIN_OK);
    assert_int_equal(basin__train_config_json(&config, &second), BASIN_OK);
    assert_true(json_equal(first, second));
    json_decref(first);
    json_decref(second);
    basin__train_config_reset(&config);
    return status;
}

static void test_configurations(void **state) {
    (void)state;
    basin_context *context = make_context(1);
    assert_int_equal(try_settings(context, "{}", false), BASIN_OK);
    assert_int_equal(try_settings(context, "{}", true), BASIN_OK);
    for (int i = 0; i < basin__preset_count; i++) {
        char text[128];
        snprintf(text, sizeof text, "{\"preset\": \"%s\"}", basin__presets[i].name);
        assert_int_equal(try_settings(context, text, strcmp(basin__presets[i].name, "points") == 0),
                         BASIN_OK);
    }
    /* a preset's settings for a thing that was not chosen are passed over */
    assert_int_equal(try_settings(context,
                                  "{\"preset\": \"textbook\", \"optimiser\": \"sgd\","
                                  " \"network\": \"mlp\"}",
                                  false),
                     BASIN_OK);
    /* without chains there is no buffer that a batch would have to fit into */
    assert_int_equal(try_settings(context, "{\"objective\": \"nce\", \"batch\": 16384}", false),
                     BASIN_OK);
    static const char *const wrong[] = {"{\"preset\": \"tetxbook\"}",
                                        "{\"network\": \"cnov\"}",
                                        "{\"sampler\": \"langevim\"}",
                                        "{\"optimiser\": \"adma\"}",
                                        "{\"objective\": \"ce\"}",
                                        "{\"bacth\": 3}",
                                        "{\"batch\": 0}",
                                        "{\"momentum\": 0.5}",
                                        "{\"batch\": 64, \"buffer_size\": 8}",
                                        "{\"augment_probability\": 0.5, \"chain_start\": \"data\"}",
                                        "{\"augment_probability\": 0.5, \"objective\": \"nce\"}"};
    for (size_t i = 0; i < BASIN_COUNT(wrong); i++)
        assert_int_equal(try_settings(context, wrong[i], false), BASIN_ERROR_CONFIG);
    static const char *const wrong_for_points[] = {
        "{\"shift\": 1}", "{\"flip\": true}", "{\"range\": \"-1,1\"}",
        "{\"buffer_storage\": \"byte\"}", "{\"augment_probability\": 0.5}"};
    for (size_t i = 0; i < BASIN_COUNT(wrong_for_points); i++)
        assert_int_equal(try_settings(context, wrong_for_points[i], true), BASIN_ERROR_CONFIG);
    basin_context_destroy(context);
}

/* Every preset's keys are known to some table: a misspelt one would be passed over in silence. */
static void test_presets_name_real_options(void **state) {
    (void)state;
    basin_context *context = make_context(1);
    for (int i = 0; i < basin__preset_count; i++) {
        json_t *settings = json_loads(basin__presets[i].settings, 0, NULL);
        assert_true(json_is_object(settings));
        basin__train_config config;
        assert_int_equal(basin__train_config_init(context, settings, false, &config), BASIN_OK);
        basin__train_config_reset(&config);
        json_decref(settings);
    }
    basin_context_destroy(context);
}

/* ---- learning ---- */

static bool keep_last(void *user, const basin_train_progress *progress) {
    if (progress->is_report)
        *(basin_train_progress *)user = *progress;
    return true;
}

/* A ring of eight spots in the plane: data must lie lower than the plane around it. */
static void test_points_are_learnt(void **state) {
    (void)state;
    enum { COUNT = 800 };
    basin_context *context = make_context(2);
    float *x = malloc(sizeof(float) * 2 * COUNT);
    for (int i = 0; i < COUNT; i++) {
        double angle = (i % 8) * 0.785398163397, jitter = ((i / 8) % 10 - 4.5) * 0.02;
        x[2 * i] = (float)(2 * cos(angle) + jitter);
        x[2 * i + 1] = (float)(2 * sin(angle) + ((i / 80) - 4.5) * 0.02);
    }
    basin_data *data;
    assert_int_equal(basin_data_from_memory(context, "ring", COUNT, 1, 1, 2, false, x, NULL, &data),
                     BASIN_OK);
    basin_train_progress last = {0};
    basin_train_options options;
    basin_train_options_init(&options);
    options.settings = "{\"hidden\": [32, 32], \"updates\": 300, \"log_every\": 50, \"batch\": 128,"
                       " \"n_steps\": 20, \"buffer_size\": 1000, \"learning_rate\": 3e-3}";
    options.data = options.held_out = data;
    options.progress = keep_last;
    options.user = &last;
    basin_energy *energy;
    assert_int_equal(basin_train(context, &options, &energy), BASIN_OK);
    assert_int_equal(last.update, 300);
    assert_true(last.energy_held_out < last.energy_noise - 2);
    const float places[4] = {2, 0, 2, 2}; /* on a spot; in a corner */
    double energies[2];
    assert_int_equal(basin_energy_evaluate(energy, 2, places, energies, NULL), BASIN_OK);
    assert_true(energies[0] < energies[1] - 2);
    assert_true(basin_energy_temperature(energy).is_exact);
    assert_true(fabs(basin_energy_temperature(energy).value - 1) < 1e-12);
    basin_energy_destroy(energy);
    basin_data_close(data);
    free(x);
    basin_context_destroy(context);
}

/* The loss's gradient is that of the mean of E⁺ - E⁻ + α (E⁺² + E⁻²), by central differences. */
static void test_loss_gradient(void **state) {
    (void)state;
    basin_context *context = make_context(1);
    basin_data *data = make_images(context);
    basin__trainer *trainer = make_trainer(context, data, "{\"alpha\": 0.5}");
    basin__loss *loss = trainer->loss;
    float *x = trainer->x, *negative = basin__loss_find(loss, "negative");
    for (int64_t i = 0; i < 16 * SIZE; i++) {
        x[i] = (float)((i * 7) % 11) / 11.0f;
        negative[i] = (float)((i * 5) % 13) / 13.0f;
    }
    assert_int_equal(basin__loss_run(loss), BASIN_OK);
    for (int p = 0; p < trainer->energy->parameters.count; p++) {
        basin__parameter *parameter = &trainer->energy->parameters.items[p];
        if (parameter->is_state)
            continue;
        float analytic = loss->gradients[p][0], kept = parameter->data[0];
        double sides[2];
        for (int side = 0; side < 2; side++) {
            parameter->data[0] = kept + (side == 0 ? -0.02f : 0.02f);
            basin__energy_changed(trainer->energy);
            double high[16], low[16];
            assert_int_equal(basin_energy_evaluate(trainer->energy, 16, x, low, NULL), BASIN_OK);
            assert_int_equal(basin_energy_evaluate(trainer->energy, 16, negative, high, NULL),
                             BASIN_OK);
            sides[side] = 0;
            for (int i = 0; i < 16; i++)
                sides[side] +=
                    (low[i] - high[i] + 0.5 * (low[i] * low[i] + high[i] * high[i])) / 16;
        }
        parameter->data[0] = kept;
        basin__energy_changed(trainer->energy);
        double numeric = (sides[1] - sides[0]) / 0.04;
        assert_true(fabs(numeric - (double)analytic) < 2e-3 * (fabs(numeric) + 0.01));
        assert_int_equal(basin__loss_run(loss), BASIN_OK);
    }
    basin__trainer_destroy(trainer);
    basin_data_close(data);
    basin_context_destroy(context);
}

/* One update and a folder, with each allocation failing in turn: an error, and nothing lost. */
static void test_every_allocation_may_fail(void **state) {
    (void)state;
    char root[64], run[96];
    test_folder_make(root);
    folder_in(run, root, "run");
    const char *settings =
        "{\"network\": \"mlp\", \"hidden\": [3], \"updates\": 1, \"batch\": 2,"
        " \"buffer_size\": 4, \"sample_count\": 1, \"sample_every\": 1, \"log_every\": 1,"
        " \"n_steps\": 1, \"sample_steps\": 1}";
    const float x[8] = {0, 0.5f, 1, 0, 1, 0, 0, 1};
    for (long k = 0;; k++) {
        test_heap heap = {.fail_at = k};
        basin_context *context = test_context(&heap, 1);
        basin_data *data = NULL;
        basin_status status =
            basin_data_from_memory(context, "x", 2, 2, 2, 1, true, x, NULL, &data);
        if (status == BASIN_OK) {
            basin_train_options options;
            basin_train_options_init(&options);
            options.settings = settings;
            options.data = data;
            options.folder = run;
            options.folder_use = BASIN_TRAIN_REPLACE;
            status = basin__train_with(context, &options, &stopped_clock, NULL);
        }
        basin_data_close(data);
        if (heap.alive != heap.alive_at_start)
            fail_msg("allocation %ld failed, and %ld were lost", k,
                     heap.alive - heap.alive_at_start);
        basin_context_destroy(context);
        if (!heap.has_failed) {
            assert_int_equal(status, BASIN_OK);
            break;
        }
        if (status != BASIN_ERROR_MEMORY)
            fail_msg("allocation %ld failed, and the status is %s", k, basin_status_name(status));
    }
    test_folder_remove(root);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slots_are_distinct),
        cmocka_unit_test(test_slots_are_written_back),
        cmocka_unit_test(test_queue_keeps_the_newest),
        cmocka_unit_test(test_bytes_are_right_on_average),
        cmocka_unit_test(test_an_epoch_sees_each_example_once),
        cmocka_unit_test(test_optimisers),
        cmocka_unit_test(test_schedule),
        cmocka_unit_test(test_configurations),
        cmocka_unit_test(test_presets_name_real_options),
        cmocka_unit_test(test_loss_gradient),
        cmocka_unit_test(test_starts),
        cmocka_unit_test(test_guard_recovers),
        cmocka_unit_test(test_hopeless_runs_give_up),
        cmocka_unit_test(test_points_are_learnt),
        cmocka_unit_test(test_threads_change_nothing),
        cmocka_unit_test(test_resume_is_exact),
        cmocka_unit_test(test_resume_is_exact_with_a_queue),
        cmocka_unit_test(test_resume_is_exact_with_neighbours),
        cmocka_unit_test(test_resume_is_exact_without_a_buffer),
        cmocka_unit_test(test_resume_is_exact_without_chains),
        cmocka_unit_test(test_folders_in_the_way),
        cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_a_full_disk_leaves_the_last_checkpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
