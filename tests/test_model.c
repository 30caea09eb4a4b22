/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model files: saved and loaded to the same bits, read as PyTorch's
 * state_dicts, found in run folders, and refused with a clear line when wrong.
 */
#include "energy/energy.h"
#include "io/safetensors.h"
#include "support.h"
#include <math.h>

typedef struct bench {
    basin_context *context;
    char folder[64], path[128];
} bench;

static int set_up(void **state) {
    bench *at = test_calloc(1, sizeof(*at));
    basin_context_options options;
    basin_context_options_init(&options);
    options.thread_count = 2;
    if (basin_context_create(&options, &at->context) != BASIN_OK)
        return -1;
    test_folder_make(at->folder);
    snprintf(at->path, sizeof(at->path), "%s/m.safetensors", at->folder);
    *state = at;
    return 0;
}

static int tear_down(void **state) {
    bench *at = *state;
    test_folder_remove(at->folder);
    basin_context_destroy(at->context);
    test_free(at);
    return 0;
}

static basin_energy *energy_of(bench *at, const char *network, const char *options, int side,
                               int channels) {
    basin_energy *energy = NULL;
    if (basin_energy_create(at->context, network, options, side, side, channels, 3, &energy) !=
        BASIN_OK)
        fail_msg("%s", basin_context_error(at->context));
    return energy;
}

static basin_energy *load(bench *at, const char *path, const char *network, int side) {
    basin_energy *energy = NULL;
    if (basin_energy_load(at->context, path, network, side, side, &energy) != BASIN_OK)
        fail_msg("%s", basin_context_error(at->context));
    return energy;
}

/** Energies of a few fixed examples. */
static void evaluate(basin_energy *energy, double energies[3]) {
    static float x[3 * 1024];
    int64_t size = basin_shape_count(energy->shape);
    assert_true(size <= 1024);
    for (int64_t i = 0; i < 3 * size; i++)
        x[i] = (float)sin(0.37 * (double)(i * i % 1013));
    assert_int_equal(basin_energy_evaluate(energy, 3, x, energies, NULL), BASIN_OK);
}

static void expect_same(basin_energy *a, basin_energy *b) {
    double left[3], right[3];
    evaluate(a, left);
    evaluate(b, right);
    assert_memory_equal(left, right, sizeof(left));
    assert_true(left[0] != left[1]);
}

/* ---- round trips ---- */

static void test_round_trip(void **state) {
    static const struct {
        const char *network, *options;
        int side, channels;
    } cases[] = {
        {"conv", "{\"base_channels\": 5}", 9, 3},
        {"conv",
         "{\"channels\": [4, 6], \"kernels\": [5, 3], \"strides\": 2, \"pool\": \"flatten\", "
         "\"head_widths\": [7], \"activation\": \"leaky-relu\"}",
         9, 2},
        {"mlp", "{\"hidden\": [8, 4], \"activation\": \"tanh\"}", 4, 2},
        {"mlp", NULL, 1, 2},
        {"sequential",
         "{\"layers\": [\"conv 4 3 1 1\", \"silu\", \"average-pool 2\", \"flatten\", \"linear "
         "1\"]}",
         8, 2},
    };
    bench *at = *state;
    for (size_t i = 0; i < BASIN_COUNT(cases); i++) {
        basin_energy *energy =
            energy_of(at, cases[i].network, cases[i].options, cases[i].side, cases[i].channels);
        assert_int_equal(basin__energy_note(energy, "temperature", "%.17g", 0.1), BASIN_OK);
        assert_int_equal(basin__energy_note(energy, "temperature_exact", "true"), BASIN_OK);
        assert_int_equal(basin__energy_note(energy, "range_low", "%g", -1.0), BASIN_OK);
        assert_int_equal(basin__energy_note(energy, "of_mine", "%s", "\"kept\""), BASIN_OK);
        assert_int_equal(basin_energy_save(energy, at->path), BASIN_OK);
        basin_energy *loaded = load(at, at->path, NULL, 0);
        expect_same(energy, loaded);
        int shape[3];
        basin_energy_shape(loaded, shape);
        assert_int_equal(shape[0], cases[i].side);
        assert_int_equal(shape[2], cases[i].channels);
        assert_true(basin_energy_temperature(loaded).is_exact);
        assert_true(fabs(basin_energy_temperature(loaded).value - 0.1) < 1e-16);
        assert_true(fabs((double)basin__energy_range(loaded).low + 1.0) < 1e-9);
        assert_string_equal(basin__energy_noted(loaded, "of_mine"), "\"kept\"");
        basin_energy_destroy(energy);
        basin_energy_destroy(loaded);
    }
}

/** Half the bytes; parameters are those of the energy to 11 bits. */
static void test_half(void **state) {
    bench *at = *state;
    basin_energy *energy = energy_of(at, "conv", "{\"channels\": [4]}", 6, 1);
    assert_int_equal(basin_energy_save_half(energy, at->path), BASIN_OK);
    basin_energy *loaded = load(at, at->path, NULL, 0);
    for (int i = 0; i < energy->parameters.count; i++) {
        const basin__parameter *a = &energy->parameters.items[i];
        const basin__parameter *b = &loaded->parameters.items[i];
        for (int64_t j = 0; j < basin_shape_count(a->shape); j++) {
            double exact = (double)a->data[j];
            assert_true(fabs((double)b->data[j] - exact) <= fabs(exact) * 0x1p-11 + 0x1p-25);
        }
    }
    energy->parameters.items[0].data[0] = 1e6f;
    assert_int_equal(basin_energy_save_half(energy, at->path), BASIN_ERROR_UNSUPPORTED);
    basin_energy_destroy(loaded);
    loaded = load(at, at->path, NULL, 0); /* what was there is there still */
    basin_energy_destroy(energy);
    basin_energy_destroy(loaded);
}

/** What PyTorch sees: names, shapes, order of numbers. */
static void test_file_order(void **state) {
    bench *at = *state;
    basin_energy *energy = energy_of(
        at, "conv", "{\"channels\": [2], \"kernels\": 2, \"paddings\": 0, \"pool\": \"flatten\"}",
        3, 3);
    basin__parameter *conv = basin__parameters_find(&energy->parameters, "conv.0.weight");
    basin__parameter *linear = basin__parameters_find(&energy->parameters, "fc.2.weight");
    for (int i = 0; i < 24; i++)
        conv->data[i] = (float)i; /* [o][y][x][c] */
    for (int i = 0; i < 8; i++)
        linear->data[i] = (float)i; /* (y, x, c) */
    assert_int_equal(basin_energy_save(energy, at->path), BASIN_OK);
    basin__safetensors file;
    assert_int_equal(basin__safetensors_read(at->context, at->path, &file), BASIN_OK);
    assert_int_equal(file.count, 4);
    const basin__tensor_entry *entry = basin__safetensors_find(&file, "conv.0.weight");
    const int64_t dims[] = {2, 3, 2, 2};
    assert_int_equal(entry->rank, 4);
    assert_memory_equal(entry->dim, dims, sizeof(dims));
    const float *numbers = entry->data;
    assert_true(numbers[0] == 0.0f && numbers[1] == 3.0f && numbers[2] == 6.0f);
    assert_true(numbers[4] == 1.0f && numbers[12] == 12.0f);
    entry = basin__safetensors_find(&file, "fc.2.weight");
    assert_int_equal(entry->rank, 2);
    assert_int_equal(entry->dim[1], 8);
    numbers = entry->data; /* (c, y, x) */
    assert_true(numbers[0] == 0.0f && numbers[1] == 2.0f && numbers[4] == 1.0f);
    assert_int_equal(basin__safetensors_find(&file, "fc.2.bias")->rank, 1);
    basin__safetensors_reset(at->context, &file);
    basin_energy_destroy(energy);
}

/* ---- state_dicts ---- */

/** Save the energy's tensors without metadata, as safetensors.torch does. */
static void save_bare(bench *at, basin_energy *energy) {
    basin__safetensors file;
    assert_int_equal(basin_energy_save(energy, at->path), BASIN_OK);
    assert_int_equal(basin__safetensors_read(at->context, at->path, &file), BASIN_OK);
    assert_int_equal(
        basin__safetensors_write(at->context, at->path, file.entries, file.count, NULL), BASIN_OK);
    basin__safetensors_reset(at->context, &file);
}

static void test_state_dict(void **state) {
    static const struct {
        const char *network, *options, *expected;
        int side, channels;
    } cases[] = {
        {"conv", "{\"base_channels\": 5}", "\"base_channels\":5,\"channels\":[]", 12, 3},
        {"conv",
         "{\"channels\": [4, 8, 6], \"strides\": [1, 1, 2], \"kernels\": [3, 3, 4], "
         "\"head_widths\": [7, 3]}",
         "\"head_widths\":[7,3]", 10, 1},
        {"conv", "{\"base_channels\": 3, \"pool\": \"flatten\"}", "\"pool\":\"flatten\"", 8, 1},
        {"mlp", "{\"hidden\": [9, 4]}", "\"hidden\":[9,4]", 5, 2},
    };
    bench *at = *state;
    for (size_t i = 0; i < BASIN_COUNT(cases); i++) {
        basin_energy *energy =
            energy_of(at, cases[i].network, cases[i].options, cases[i].side, cases[i].channels);
        save_bare(at, energy);
        basin_energy *loaded = load(at, at->path, cases[i].network, cases[i].side);
        expect_same(energy, loaded);
        assert_int_equal(basin_energy_save(loaded, at->path), BASIN_OK);
        if (!strstr(basin__energy_noted(loaded, "options"), cases[i].expected))
            fail_msg("%s has no %s", basin__energy_noted(loaded, "options"), cases[i].expected);
        basin_energy_destroy(energy);
        basin_energy_destroy(loaded);
    }
}

static void expect_failure(bench *at, const char *network, int side, basin_status status,
                           const char *message) {
    basin_energy *energy;
    basin_status found = basin_energy_load(at->context, at->path, network, side, side, &energy);
    const char *text = basin_context_error(at->context);
    if (found != status || !strstr(text, message))
        fail_msg("status %s, message \"%s\"; expected %s, \"%s\"", basin_status_name(found), text,
                 basin_status_name(status), message);
    assert_null(energy);
}

static void test_state_dict_mistakes(void **state) {
    bench *at = *state;
    basin_energy *energy = energy_of(at, "conv", "{\"base_channels\": 5}", 12, 1);
    save_bare(at, energy);
    expect_failure(at, NULL, 0, BASIN_ERROR_CONFIG, "--network");
    expect_failure(at, "conv", 0, BASIN_ERROR_CONFIG, "--shape");
    expect_failure(at, "mlp", 0, BASIN_ERROR_FORMAT, "layers.0.weight");
    expect_failure(at, "sequential", 12, BASIN_ERROR_CONFIG, "metadata");
    expect_failure(at, "cnv", 12, BASIN_ERROR_CONFIG, "did you mean conv?");
    basin_energy_destroy(energy);
    energy = energy_of(at, "conv", "{\"channels\": [4], \"kernels\": 5}", 12, 1);
    save_bare(at, energy);
    expect_failure(at, "conv", 12, BASIN_ERROR_FORMAT, "stride and padding cannot be told");
    basin_energy_destroy(energy);
    energy = energy_of(at, "mlp", NULL, 4, 2);
    save_bare(at, energy);
    expect_failure(at, "mlp", 5, BASIN_ERROR_SHAPE, "no whole number of channels");
    basin_energy_destroy(energy);
}

/* ---- broken files ---- */

/** How a sound file is spoiled. */
typedef struct spoil {
    const char *metadata_key, *metadata_value; /* set, or removed where the value is NULL */
    const char *drop, *add, *reshape, *poison; /* names of tensors */
    basin_status status;
    const char *message;
} spoil;

static void write_spoiled(bench *at, const basin__safetensors *file, const spoil *how) {
    basin__tensor_entry entries[16];
    float *bad = NULL;
    size_t count = 0;
    json_t *metadata = json_deep_copy(file->metadata);
    if (how->metadata_key && how->metadata_value)
        json_object_set_new(metadata, how->metadata_key, json_string(how->metadata_value));
    else if (how->metadata_key)
        json_object_del(metadata, how->metadata_key);
    for (size_t i = 0; i < file->count; i++) {
        basin__tensor_entry entry = file->entries[i];
        if (how->drop && strcmp(how->drop, entry.name) == 0)
            continue;
        if (how->reshape && strcmp(how->reshape, entry.name) == 0) {
            int64_t kept = entry.dim[0];
            entry.dim[0] = entry.dim[1];
            entry.dim[1] = kept;
        }
        if (how->poison && strcmp(how->poison, entry.name) == 0) {
            bad = test_malloc(entry.bytes);
            memcpy(bad, entry.data, entry.bytes);
            bad[1] = NAN;
            entry.data = bad;
        }
        entries[count++] = entry;
    }
    if (how->add) {
        entries[count] = file->entries[0];
        entries[count++].name = (char *)(uintptr_t)how->add;
    }
    assert_int_equal(basin__safetensors_write(at->context, at->path, entries, count, metadata),
                     BASIN_OK);
    json_decref(metadata);
    test_free(bad);
}

static void test_broken(void **state) {
    static const spoil cases[] = {
        {.drop = "conv.2.bias", .status = BASIN_ERROR_FORMAT, .message = "missing: conv.2.bias"},
        {.add = "fc.3.bias", .status = BASIN_ERROR_FORMAT, .message = "unknown: fc.3.bias"},
        {.reshape = "conv.0.weight",
         .status = BASIN_ERROR_SHAPE,
         .message = "tensor conv.0.weight has shape [1, 4, 3, 3]"},
        {.reshape = "conv.0.weight", .status = BASIN_ERROR_SHAPE, .message = "needs [4, 1, 3, 3]"},
        {.poison = "conv.0.bias",
         .status = BASIN_ERROR_FORMAT,
         .message = "conv.0.bias holds a non-finite number at element 1"},
        {"version", "2", .status = BASIN_ERROR_UNSUPPORTED, .message = "newer"},
        {"version", "one", .status = BASIN_ERROR_FORMAT, .message = "version"},
        {"version", NULL, .status = BASIN_ERROR_FORMAT, .message = "version is missing"},
        {"network", "cnv", .status = BASIN_ERROR_CONFIG, .message = "did you mean conv?"},
        {"network", NULL, .status = BASIN_ERROR_FORMAT, .message = "network is missing"},
        {"options", "{", .status = BASIN_ERROR_FORMAT, .message = "not JSON"},
        {"options", "{\"widht\": 3}", .status = BASIN_ERROR_CONFIG, .message = "unknown key"},
        {"shape", "12,12", .status = BASIN_ERROR_FORMAT, .message = "height,width,channels"},
        {"shape", "12,12,1,1", .status = BASIN_ERROR_FORMAT, .message = "height,width,channels"},
        {"shape", "99999999999,12,1", .status = BASIN_ERROR_FORMAT, .message = "height,width"},
        {"shape", "12,12,2", .status = BASIN_ERROR_SHAPE, .message = "needs [4, 2, 3, 3]"},
        {"sign", "high-is-likely", .status = BASIN_ERROR_UNSUPPORTED, .message = "sign"},
    };
    bench *at = *state;
    basin__safetensors file;
    basin_energy *energy = energy_of(at, "conv", "{\"base_channels\": 4}", 12, 1);
    assert_int_equal(basin_energy_save(energy, at->path), BASIN_OK);
    expect_failure(at, "mlp", 0, BASIN_ERROR_CONFIG, "holds a network conv, not mlp");
    assert_int_equal(basin__safetensors_read(at->context, at->path, &file), BASIN_OK);
    for (size_t i = 0; i < BASIN_COUNT(cases); i++) {
        write_spoiled(at, &file, &cases[i]);
        expect_failure(at, NULL, 0, cases[i].status, cases[i].message);
        assert_non_null(strstr(basin_context_error(at->context), at->path));
    }
    basin__safetensors_reset(at->context, &file);
    basin_energy_destroy(energy);
}

/* ---- where models lie ---- */

static void save_in(bench *at, basin_energy *energy, const char *name) {
    char path[192];
    snprintf(path, sizeof(path), "%s/%s", at->folder, name);
    assert_int_equal(basin_energy_save(energy, path), BASIN_OK);
}

/** A run folder means its latest checkpoint's average, else its model. */
static void test_run_folder(void **state) {
    bench *at = *state;
    char path[192];
    basin_energy *loaded, *model = energy_of(at, "mlp", "{\"hidden\": [4]}", 1, 2);
    basin_energy *average = energy_of(at, "mlp", "{\"hidden\": [5]}", 1, 2);
    assert_int_equal(basin_energy_load(at->context, at->folder, NULL, 0, 0, &loaded),
                     BASIN_ERROR_IO);
    snprintf(path, sizeof(path), "%s/checkpoints/step-7", at->folder);
    assert_int_equal(basin__folder_create(at->context, path), BASIN_OK);
    snprintf(path, sizeof(path), "%s/checkpoints/latest", at->folder);
    assert_int_equal(basin__file_write(at->context, path, "step-7\n", 7), BASIN_OK);
    save_in(at, model, "checkpoints/step-7/model.safetensors");
    loaded = load(at, at->folder, NULL, 0);
    expect_same(model, loaded);
    basin_energy_destroy(loaded);
    save_in(at, average, "checkpoints/step-7/average.safetensors");
    loaded = load(at, at->folder, NULL, 0);
    expect_same(average, loaded);
    basin_energy_destroy(loaded);
    snprintf(path, sizeof(path), "%s/checkpoints/step-7", at->folder);
    loaded = load(at, path, NULL, 0);
    expect_same(average, loaded);
    basin_energy_destroy(loaded);
    snprintf(path, sizeof(path), "%s/checkpoints/latest", at->folder);
    assert_int_equal(basin__file_write(at->context, path, "../..", 5), BASIN_OK);
    assert_int_equal(basin_energy_load(at->context, at->folder, NULL, 0, 0, &loaded),
                     BASIN_ERROR_FORMAT);
    assert_null(loaded);
    basin_energy_destroy(model);
    basin_energy_destroy(average);
}

/** A fully convolutional network takes another size than it was trained on. */
static void test_other_size(void **state) {
    bench *at = *state;
    basin_energy *energy = energy_of(at, "conv", "{\"base_channels\": 3}", 12, 1);
    assert_int_equal(basin_energy_save(energy, at->path), BASIN_OK);
    basin_energy *loaded = load(at, at->path, NULL, 16);
    assert_int_equal(loaded->shape.height, 16);
    basin_energy_destroy(loaded);
    basin_energy_destroy(energy);
}

/* ---- memory ---- */

static basin_status save_and_load(basin_context *context, const char *path) {
    basin_energy *energy, *loaded = NULL;
    BASIN_TRY(basin_energy_create(context, "conv", "{\"channels\": [3], \"spectral_norm\": true}",
                                  6, 6, 1, 1, &energy));
    basin_status status = basin_energy_save(energy, path);
    if (status == BASIN_OK)
        status = basin_energy_load(context, path, NULL, 0, 0, &loaded);
    basin_energy_destroy(energy);
    basin_energy_destroy(loaded);
    return status;
}

static void test_memory(void **state) {
    bench *at = *state;
    for (long k = 0;; k++) {
        test_heap heap = {.fail_at = k};
        basin_context *context = test_context(&heap, 1);
        basin_status status = save_and_load(context, at->path);
        if (heap.alive != heap.alive_at_start)
            fail_msg("allocation %ld failed: %ld blocks are left", k,
                     heap.alive - heap.alive_at_start);
        basin_context_destroy(context);
        if (!heap.has_failed) {
            assert_int_equal(status, BASIN_OK);
            assert_true(k > 50);
            break;
        }
        assert_int_equal(status, BASIN_ERROR_MEMORY);
    }
}

int main(void) {
#define MODEL_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        MODEL_TEST(test_round_trip),
        MODEL_TEST(test_half),
        MODEL_TEST(test_file_order),
        MODEL_TEST(test_state_dict),
        MODEL_TEST(test_state_dict_mistakes),
        MODEL_TEST(test_broken),
        MODEL_TEST(test_run_folder),
        MODEL_TEST(test_other_size),
        MODEL_TEST(test_memory),
    };
    return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
