/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classifiers and joint energies: their identities, and the losses of labelled examples against
 * PyTorch's numbers (tests/data, made by tools/make_classify_fixture.py). Training with classes is
 * in test_classes.c.
 */
#include "base/cpu.h"
#include "eval/classify.h"
#include "io/config.h"
#include "io/safetensors.h"
#include "objective/objective.h"
#include "support.h"
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
    assert_int_equal(basin__objective_check(objective, group.values, energy, 3), BASIN_OK);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identities),
        cmocka_unit_test(test_features),
        cmocka_unit_test(test_outputs_for_any_threads),
        cmocka_unit_test(test_outputs_that_are_not_there),
        cmocka_unit_test(test_state_dicts_of_classifiers),
        cmocka_unit_test(test_pytorch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
