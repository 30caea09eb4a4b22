/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classifiers and joint energies: their identities, the losses of labelled examples against
 * PyTorch's numbers (tests/data, made by tools/make_classify_fixture.py), chains with classes,
 * training.
 */
#include "base/cpu.h"
#include "eval/classify.h"
#include "io/config.h"
#include "io/safetensors.h"
#include "objective/objective.h"
#include "support.h"
#include "train/loop.h"
#include <math.h>

static basin_energy *energy_of(basin_context *context, const char *network, const char *options,
                               int height, int width, int channels) {
    basin_energy *energy = NULL;
    basin_status status =
        basin_energy_create(context, network, options, height, width, channels, 3, &energy);
    if (status != BASIN_OK)
        fail_msg("%s", basin_context_error(context));
    for (int i = 0; i < energy->parameters.count; i++) { /* so that classes differ */
        basin__parameter *parameter = &energy->parameters.items[i];
        for (int64_t j = 0; j < basin_shape_count(parameter->shape); j++)
            parameter->data[j] *= 3;
    }
    return energy;
}

static double log_sum_exp(const float *row, int count) {
    double largest = (double)row[0], sum = 0;
    for (int i = 1; i < count; i++)
        largest = fmax(largest, (double)row[i]);
    for (int i = 0; i < count; i++)
        sum += exp((double)row[i] - largest);
    return largest + log(sum);
}

/* ---- identities ---- */

enum { SIDE = 8, SIZE = SIDE * SIDE, CLASSES = 5, MANY = 75 };

typedef struct classifier {
    const char *network, *options;
    int feature_count;
} classifier;

static const classifier classifiers[] = {
    {"conv", "{\"channels\": [4, 6], \"strides\": 2, \"logits\": 5}", 6},
    {"conv",
     "{\"channels\": [4, 6], \"strides\": 2, \"pool\": \"flatten\", \"head_widths\": 7,"
     " \"logits\": 5, \"spectral_norm\": true}",
     7},
    {"mlp", "{\"hidden\": [9, 8], \"logits\": 5}", 8},
    {"mlp", "{\"hidden\": [], \"logits\": 5}", SIZE},
    {"sequential",
     "{\"layers\": [\"conv 3 3 2 1\", \"silu\", \"flatten\", \"linear 5\"], \"logits\": 5}", 48},
};

static void fill_numbers(float *x, int64_t count, uint64_t from) {
    for (int64_t i = 0; i < count; i++)
        x[i] = (float)test_number(from + (uint64_t)i);
}

static void energies_at(basin_energy *energy, const float *x, float label, double *energies,
                        float *gradient) {
    float labels[MANY];
    for (int i = 0; i < MANY; i++)
        labels[i] = label;
    const basin__points points = {.x = x, .label = labels};
    assert_int_equal(basin__energy_evaluate_points(energy, MANY, &points, energies, gradient),
                     BASIN_OK);
}

/*
 * E(x) = −lse f and E(x, y) = −f[y], the latter to the bit; so exp(E(x) − E(x, y)) is the softmax;
 * and ∇E(x) = Σ p(y | x) ∇E(x, y).
 */
static void check_identities(basin_context *context, const classifier *of) {
    static float x[MANY * SIZE], logits[MANY * CLASSES], gradient[MANY * SIZE];
    static float gradients[CLASSES][MANY * SIZE], probabilities[MANY * CLASSES];
    static double joint[CLASSES][MANY], none[MANY], plain[MANY];
    basin_energy *energy = energy_of(context, of->network, of->options, SIDE, SIDE, 1);
    fill_numbers(x, MANY * SIZE, 1);
    assert_int_equal(energy->condition.class_count, CLASSES);
    assert_int_equal(basin_energy_logit_count(energy), CLASSES);
    assert_int_equal(basin_energy_logits(energy, MANY, x, logits), BASIN_OK);
    memcpy(probabilities, logits, sizeof logits);
    basin__probabilities(MANY, CLASSES, probabilities);
    assert_int_equal(basin_energy_evaluate(energy, MANY, x, plain, NULL), BASIN_OK);
    energies_at(energy, x, CLASSES, none, gradient);
    assert_memory_equal(none, plain, sizeof none);
    for (int y = 0; y < CLASSES; y++)
        energies_at(energy, x, (float)y, joint[y], gradients[y]);
    for (int i = 0; i < MANY; i++) {
        double sum = 0, level = log_sum_exp(logits + i * CLASSES, CLASSES);
        assert_true(fabs(none[i] + level) < 1e-6 * (1 + fabs(level)));
        for (int y = 0; y < CLASSES; y++) {
            double p = exp(none[i] - joint[y][i]);
            assert_true(joint[y][i] + (double)logits[i * CLASSES + y] == 0);
            assert_true(fabs(p - (double)probabilities[i * CLASSES + y]) < 1e-5 * p + 1e-9);
            sum += (double)probabilities[i * CLASSES + y];
        }
        assert_true(fabs(sum - 1) < 1e-6);
    }
    double largest = 0, worst = 0;
    for (int i = 0; i < MANY * SIZE; i++) {
        double mean = 0;
        for (int y = 0; y < CLASSES; y++)
            mean += (double)probabilities[i / SIZE * CLASSES + y] * (double)gradients[y][i];
        worst = fmax(worst, fabs(mean - (double)gradient[i]));
        largest = fmax(largest, fabs((double)gradient[i]));
    }
    assert_true(worst <= 1e-5 * largest);
    assert_int_equal(basin__energy_set_condition(energy, 1, 2), BASIN_OK);
    assert_int_equal(basin_energy_evaluate(energy, MANY, x, plain, NULL), BASIN_OK);
    assert_memory_equal(joint[2], plain, sizeof plain);
    basin_energy_destroy(energy);
}

static void test_identities(void **state) {
    (void)state;
    for (int isa = 0; isa < BASIN__ISA_COUNT; isa++) {
        basin_context *context = test_context_on(basin__isa_name((basin__isa)isa), 2);
        for (size_t i = 0; context && i < BASIN_COUNT(classifiers); i++)
            check_identities(context, &classifiers[i]);
        if (context)
            basin_context_destroy(context);
    }
}

/* Logits are the last layer of the features, for any threads, and follow the parameters. */
static void check_features(basin_context *context, const classifier *of) {
    static float x[MANY * SIZE], logits[2][MANY * CLASSES], features[MANY * SIZE];
    basin_energy *energy = energy_of(context, of->network, of->options, SIDE, SIDE, 1);
    const basin__points points = {.x = x};
    fill_numbers(x, MANY * SIZE, 1);
    assert_int_equal(basin_energy_feature_count(energy), of->feature_count);
    assert_int_equal(basin__energy_outputs(energy, MANY, &points, logits[0], features), BASIN_OK);
    assert_int_equal(basin_energy_logits(energy, MANY, x, logits[1]), BASIN_OK);
    assert_memory_equal(logits[0], logits[1], sizeof logits[0]);
    basin__parameter *bias = &energy->parameters.items[energy->parameters.count - 1];
    if (bias->is_state)
        bias = basin__parameters_find(&energy->parameters, "fc.4.bias");
    assert_non_null(strstr(bias->name, ".bias"));
    assert_int_equal(basin_shape_count(bias->shape), CLASSES);
    bias->data[1] += 1;
    basin__energy_changed(energy);
    assert_int_equal(basin_energy_logits(energy, MANY, x, logits[1]), BASIN_OK);
    for (int i = 0; i < MANY * CLASSES; i++)
        assert_true(fabsf(logits[1][i] - logits[0][i] - (float)(i % CLASSES == 1)) < 1e-5f);
    bias->data[1] -= 1;
    basin__parameter *weight = bias - 1;
    while (!strstr(weight->name, ".weight"))
        weight--;
    for (int i = 0; i < MANY && !strstr(of->options, "spectral_norm"); i++)
        for (int y = 0; y < CLASSES; y++) {
            double sum = (double)bias->data[y];
            for (int j = 0; j < of->feature_count; j++)
                sum += (double)weight->data[y * of->feature_count + j] *
                       (double)features[i * of->feature_count + j];
            assert_true(fabs(sum - (double)logits[0][i * CLASSES + y]) < 1e-5 * (1 + fabs(sum)));
        }
    basin_energy_destroy(energy);
}

static void test_features(void **state) {
    (void)state;
    for (int threads = 1; threads <= 5; threads += 2) {
        basin_context *context = test_context_on(NULL, threads);
        for (size_t i = 0; i < BASIN_COUNT(classifiers); i++)
            check_features(context, &classifiers[i]);
        basin_context_destroy(context);
    }
}

static void test_outputs_for_any_threads(void **state) {
    (void)state;
    static float x[MANY * SIZE], logits[2][MANY * CLASSES], features[2][MANY * 7];
    fill_numbers(x, MANY * SIZE, 1);
    for (int i = 0; i < 2; i++) {
        basin_context *context = test_context_on(NULL, i == 0 ? 1 : 5);
        basin_energy *energy = energy_of(context, "conv", classifiers[1].options, SIDE, SIDE, 1);
        const basin__points points = {.x = x};
        assert_int_equal(basin__energy_outputs(energy, MANY, &points, logits[i], features[i]),
                         BASIN_OK);
        basin_energy_destroy(energy);
        basin_context_destroy(context);
    }
    assert_memory_equal(logits[0], logits[1], sizeof logits[0]);
    assert_memory_equal(features[0], features[1], sizeof features[0]);
}

static void no_energy(void *user, int64_t n, const float *x, double *energies, float *gradient) {
    (void)user, (void)n, (void)x, (void)energies, (void)gradient;
}

static void test_outputs_that_are_not_there(void **state) {
    (void)state;
    basin_context *context = test_context_on(NULL, 1);
    basin_energy *plain = energy_of(context, "conv", "{\"base_channels\": 4}", SIDE, SIDE, 1);
    basin_energy *callback;
    float x[SIZE] = {0}, room[8];
    assert_int_equal(basin_energy_from_callback(context, SIDE, SIDE, 1, no_energy, NULL, &callback),
                     BASIN_OK);
    assert_int_equal(basin_energy_logit_count(plain), 0);
    assert_int_equal(basin_energy_feature_count(plain), 8);
    assert_int_equal(basin_energy_feature_count(callback), 0);
    assert_int_equal(basin_energy_logits(plain, 1, x, room), BASIN_ERROR_UNSUPPORTED);
    assert_non_null(strstr(basin_context_error(context), "gives no logits"));
    assert_int_equal(basin_energy_features(callback, 1, x, room), BASIN_ERROR_UNSUPPORTED);
    assert_int_equal(basin_energy_features(plain, 1, x, NULL), BASIN_ERROR_ARGUMENT);
    assert_int_equal(basin_energy_features(plain, 1, x, room), BASIN_OK);
    basin_energy_destroy(plain);
    basin_energy_destroy(callback);
    basin_context_destroy(context);
}

/* A PyTorch classifier's state_dict, which says nothing but its tensors, is read as one. */
static void test_state_dicts_of_classifiers(void **state) {
    (void)state;
    static float x[MANY * SIZE], logits[2][MANY * CLASSES];
    char root[64], path[96];
    test_folder_make(root);
    snprintf(path, sizeof path, "%s/model.safetensors", root);
    fill_numbers(x, MANY * SIZE, 1);
    static const classifier bare[] = {
        {"conv", "{\"base_channels\": 2, \"head_widths\": 3, \"logits\": 5}", 3},
        {"mlp", "{\"hidden\": [9, 8], \"logits\": 5}", 8}};
    for (size_t i = 0; i < BASIN_COUNT(bare); i++) {
        basin_context *context = test_context_on(NULL, 1);
        basin_energy *energy = energy_of(context, bare[i].network, bare[i].options, SIDE, SIDE, 1);
        basin_energy *loaded;
        basin__safetensors file;
        assert_int_equal(basin_energy_save(energy, path), BASIN_OK);
        assert_int_equal(basin__safetensors_read(context, path, &file), BASIN_OK);
        assert_int_equal(basin__safetensors_write(context, path, file.entries, file.count, NULL),
                         BASIN_OK);
        basin__safetensors_reset(context, &file);
        if (basin_energy_load(context, path, bare[i].network, SIDE, SIDE, &loaded) != BASIN_OK)
            fail_msg("%s", basin_context_error(context));
        assert_int_equal(basin_energy_logits(energy, MANY, x, logits[0]), BASIN_OK);
        assert_int_equal(basin_energy_logits(loaded, MANY, x, logits[1]), BASIN_OK);
        assert_memory_equal(logits[0], logits[1], sizeof logits[0]);
        basin_energy_destroy(energy);
        basin_energy_destroy(loaded);
        basin_context_destroy(context);
    }
    test_folder_remove(root);
}

/* ---- against PyTorch ---- */

typedef struct fixture_loss {
    const char *network, *name, *objective, *settings;
} fixture_loss;

static const fixture_loss fixture_losses[] = {
    {"conv", "classify", "classify", "{}"},
    {"conv", "smooth", "classify", "{\"label_smoothing\": 0.1}"},
    {"conv", "jem", "jem",
     "{\"likelihood_weight\": 0.7, \"alpha\": 0.3, \"label_smoothing\": 0.1}"},
    {"conv", "cd", "cd", "{\"alpha\": 0.2, \"class_conditional\": true, \"class_dropout\": 0.3}"},
    {"mlp", "cd", "cd", "{\"alpha\": 0.2, \"class_conditional\": true, \"class_dropout\": 0.3}"},
};

typedef struct fixture {
    basin_context *context;
    basin__safetensors file;
    const char *network;
} fixture;

static const double *fixture_find(const fixture *f, int64_t count, const char *format, ...)
    BASIN_PRINTF(3, 4);
static const double *fixture_find(const fixture *f, int64_t count, const char *format, ...) {
    char name[96], full[128];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    snprintf(full, sizeof full, "%s.%s", f->network, name);
    const basin__tensor_entry *entry = basin__safetensors_find(&f->file, full);
    if (!entry || entry->dtype != BASIN__DTYPE_F64 || entry->bytes != (size_t)count * 8)
        fail_msg("the fixture has no %s of %lld numbers", full, (long long)count);
    return entry->data;
}

static basin_energy *fixture_energy(const fixture *f) {
    bool is_conv = strcmp(f->network, "conv") == 0;
    basin_energy *energy =
        is_conv ? energy_of(f->context, "conv",
                            "{\"channels\": [4, 5], \"kernels\": [3, 4], \"strides\": [1, 2],"
                            " \"pool\": \"flatten\", \"head_widths\": 6, \"logits\": 3}",
                            6, 6, 1)
                : energy_of(f->context, "mlp", "{\"hidden\": 7, \"classes\": 3, \"embedding\": 5}",
                            1, 1, 2);
    for (int i = 0; i < energy->parameters.count; i++) {
        basin__parameter *parameter = &energy->parameters.items[i];
        int64_t count = basin_shape_count(parameter->shape);
        const double *numbers = fixture_find(f, count, "%s", parameter->name);
        float *file = test_malloc((size_t)count * sizeof(float));
        for (int64_t j = 0; j < count; j++)
            file[j] = (float)numbers[j];
        basin__parameter_from_file(parameter, file, parameter->data);
        test_free(file);
    }
    return energy;
}

/* max|a − b| ≤ 2e-5 max|b|; `what` names the tensor. */
static void expect_near(const char *what, const float *a, const double *b, int64_t count) {
    double worst = 0, largest = 0;
    for (int64_t i = 0; i < count; i++) {
        double difference = fabs((double)a[i] - b[i]);
        worst = difference <= worst ? worst : difference; /* a NaN stays */
        largest = fmax(largest, fabs(b[i]));
    }
    if (!(worst <= 2e-5 * largest))
        fail_msg("%s is %.3g of %.3g from PyTorch's", what, worst, largest);
}

static void fill_source(const fixture *f, const basin__loss *loss, const char *source,
                        const char *name, int64_t count) {
    float *room = basin__loss_find(loss, source);
    if (!room)
        return;
    const double *numbers = fixture_find(f, count, "%s", name);
    for (int64_t i = 0; i < count; i++)
        room[i] = (float)numbers[i];
}

enum { EXAMPLES = 6 };

static void check_loss(const fixture *f, const fixture_loss *of) {
    const basin__objective_def *objective = basin__objective_find(of->objective);
    basin__option_group group = {.options = objective->options, .count = objective->option_count};
    json_t *settings = json_loads(of->settings, 0, NULL);
    basin_energy *energy = fixture_energy(f);
    const int64_t size = basin_shape_count(energy->shape);
    basin__loss *loss;
    group.values = test_calloc(1, objective->options_bytes);
    assert_int_equal(basin__options_default(f->context, &group), BASIN_OK);
    assert_int_equal(basin__options_from_json(f->context, &group, 1, settings), BASIN_OK);
    assert_int_equal(basin__objective_check(objective, group.values, energy, true, 3), BASIN_OK);
    if (basin__loss_create(objective, group.values, energy, EXAMPLES, &loss) != BASIN_OK)
        fail_msg("%s", basin_context_error(f->context));
    fill_source(f, loss, "data", "x", EXAMPLES * size);
    fill_source(f, loss, "negative", "negative", EXAMPLES * size);
    fill_source(f, loss, "label", "label", EXAMPLES);
    fill_source(f, loss, "negative_label", "negative_label", EXAMPLES);
    fill_source(f, loss, "dropout", "dropout", EXAMPLES);
    assert_int_equal(basin__loss_run(loss), BASIN_OK);
    expect_near(of->name, loss->losses, fixture_find(f, EXAMPLES, "%s.value", of->name), EXAMPLES);
    for (int i = 0; i < energy->parameters.count; i++) {
        const basin__parameter *parameter = &energy->parameters.items[i];
        int64_t count = basin_shape_count(parameter->shape);
        float *file = test_malloc((size_t)count * sizeof(float));
        basin__parameter_to_file(parameter, loss->gradients[i], file);
        expect_near(parameter->name, file,
                    fixture_find(f, count, "%s.grad.%s", of->name, parameter->name), count);
        test_free(file);
    }
    basin__loss_destroy(loss);
    basin_energy_destroy(energy);
    test_free(group.values);
    json_decref(settings);
}

static void check_energies(const fixture *f) {
    basin_energy *energy = fixture_energy(f);
    const int64_t size = basin_shape_count(energy->shape);
    const double *x = fixture_find(f, EXAMPLES * size, "x");
    const double *wanted = fixture_find(f, EXAMPLES * 4, "energies");
    float *points = test_malloc((size_t)(4 * EXAMPLES * size) * sizeof(float));
    float labels[4 * EXAMPLES], got[4 * EXAMPLES];
    double energies[4 * EXAMPLES];
    for (int i = 0; i < 4 * EXAMPLES; i++) {
        labels[i] = (float)(i % 4);
        for (int64_t j = 0; j < size; j++)
            points[i * size + j] = (float)x[i / 4 * size + j];
    }
    const basin__points at = {.x = points, .label = labels};
    assert_int_equal(basin__energy_evaluate_points(energy, 4 * EXAMPLES, &at, energies, NULL),
                     BASIN_OK);
    for (int i = 0; i < 4 * EXAMPLES; i++)
        got[i] = (float)energies[i];
    expect_near("E(x, y)", got, wanted, 4 * EXAMPLES);
    if (basin_energy_logit_count(energy) > 0) {
        float logits[4 * EXAMPLES * 3], features[4 * EXAMPLES * 6];
        assert_int_equal(basin__energy_outputs(energy, 4 * EXAMPLES, &at, logits, features),
                         BASIN_OK);
        for (int i = 0; i < EXAMPLES; i++) {
            expect_near("logits", logits + i * 12, fixture_find(f, EXAMPLES * 3, "logits") + i * 3,
                        3);
            expect_near("features", features + i * 24,
                        fixture_find(f, EXAMPLES * 6, "features") + i * 6, 6);
        }
    }
    test_free(points);
    basin_energy_destroy(energy);
}

static void test_pytorch(void **state) {
    (void)state;
    for (int isa = 0; isa < BASIN__ISA_COUNT; isa++) {
        fixture f = {.context = test_context_on(basin__isa_name((basin__isa)isa), 2)};
        if (!f.context)
            continue;
        if (basin__safetensors_read(f.context, "tests/data/classify_fixture.safetensors",
                                    &f.file) != BASIN_OK)
            fail_msg("%s", basin_context_error(f.context));
        for (size_t i = 0; i < BASIN_COUNT(fixture_losses); i++) {
            f.network = fixture_losses[i].network;
            check_loss(&f, &fixture_losses[i]);
        }
        f.network = "conv";
        check_energies(&f);
        f.network = "mlp";
        check_energies(&f);
        basin__safetensors_reset(f.context, &f.file);
        basin_context_destroy(f.context);
    }
}

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
        basin__batches_get(&batches, &moment, BATCH, batch);
        basin__batches_labels(&batches, &moment, BATCH, labels);
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
    conditional_settings(settings, ", \"chain_start\": \"data\", \"class_dropout\": 0");
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
    expect_refused("{\"logits\": 3, \"classes\": 3}", true, "leave classes away");
    expect_refused("{\"logits\": 3, \"noise_conditional\": true}", true,
                   "leave noise-conditional away");
}

/* ---- training ---- */

static double stopped(void) { return 0; }
static const basin__clock stopped_clock = {.monotonic_s = stopped, .wall_s = stopped};

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
static void test_conditional_energies_are_learnt(void **state) {
    (void)state;
    basin_context *context = test_context_on(NULL, 2);
    basin_data *data = make_points(context, false);
    basin_energy *energy;
    train(context, data,
          "{\"class_conditional\": true, \"class_dropout\": 0.3, \"hidden\": [32, 32],"
          " \"classes\": 3, \"updates\": 300, \"log_every\": 50, \"batch\": 128, \"n_steps\": 20,"
          " \"buffer_size\": 1000, \"learning_rate\": 3e-3, \"average\": 0.95}",
          &energy);
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

static void assert_same_files(const char *a, const char *b) {
    static const char *const names[] = {"metrics.jsonl",
                                        "log.txt",
                                        "events.out.tfevents.basin",
                                        "samples/step-000008.png",
                                        "checkpoints/step-000008/model.safetensors",
                                        "checkpoints/step-000008/average.safetensors",
                                        "checkpoints/step-000008/optimiser.safetensors",
                                        "checkpoints/step-000008/buffer.safetensors",
                                        "checkpoints/step-000008/state.json"};
    basin_context *context = test_context_on(NULL, 1);
    for (size_t i = 0; i < BASIN_COUNT(names); i++) {
        char paths[2][160];
        unsigned char *bytes[2];
        size_t counts[2];
        for (int side = 0; side < 2; side++) {
            snprintf(paths[side], sizeof paths[side], "%s/%s", side == 0 ? a : b, names[i]);
            assert_int_equal(
                basin__file_read(context, paths[side], SIZE_MAX, &bytes[side], &counts[side]),
                BASIN_OK);
        }
        if (counts[0] != counts[1] || memcmp(bytes[0], bytes[1], counts[0]) != 0)
            fail_msg("%s and %s differ", paths[0], paths[1]);
        basin__free(context, bytes[0]);
        basin__free(context, bytes[1]);
    }
    basin_context_destroy(context);
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
    assert_same_files(whole, halves);
    assert_same_files(whole, threaded);
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
        cmocka_unit_test(test_identities),
        cmocka_unit_test(test_features),
        cmocka_unit_test(test_outputs_for_any_threads),
        cmocka_unit_test(test_outputs_that_are_not_there),
        cmocka_unit_test(test_state_dicts_of_classifiers),
        cmocka_unit_test(test_pytorch),
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
