/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The networks resnet and wide-resnet: energies, gradients and logits against PyTorch's numbers
 * (tests/data, made by tools/make_networks_fixture.py), starts, state_dicts, mistakes.
 */
#include "base/cpu.h"
#include "fixture.h"
#include "support.h"

#define EXAMPLES 3
#define PARAMETERS_MAX 64

typedef struct net {
    const char *name, *network, *options;
    basin_shape shape;
} net;

static const net nets[] = {
    {"plain",
     "resnet",
     "{\"channels\": [4, 6], \"spectral_norm\": false, \"pool\": \"mean\"}",
     {1, 8, 8, 1}},
    {"normed", "resnet", "{\"channels\": [4, 6], \"activation\": \"silu\"}", {1, 8, 12, 3}},
    {"narrow", "resnet", "{\"channels\": [6, 6], \"blocks\": 1}", {1, 4, 4, 1}},
    {"classes", "resnet", "{\"channels\": [4, 5], \"blocks\": 1, \"classes\": 3}", {1, 8, 8, 1}},
    {"logits",
     "resnet",
     "{\"channels\": [4, 5], \"blocks\": 1, \"spectral_norm\": false,"
     " \"activation\": \"softplus\", \"logits\": 4}",
     {1, 8, 4, 2}},
    {"wide", "wide-resnet", "{\"depth\": 10, \"widen\": 2, \"width\": 2}", {1, 7, 9, 1}},
    {"deep",
     "wide-resnet",
     "{\"depth\": 16, \"widen\": 1, \"width\": 2, \"activation\": \"silu\", \"logits\": 3}",
     {1, 8, 8, 3}},
};

static basin_energy *energy_of(basin_context *context, const net *of) {
    basin_energy *energy;
    if (basin_energy_create(context, of->network, of->options, of->shape.height, of->shape.width,
                            of->shape.channels, 1, &energy) != BASIN_OK)
        fail_msg("%s: %s", of->name, basin_context_error(context));
    return energy;
}

/* ---- against PyTorch ---- */

/** Floats as the plan's numbers, new memory of test_malloc. */
static void *as_numbers(const float *from, int64_t count, bool is_f64) {
    void *to = test_malloc((size_t)count * (is_f64 ? sizeof(double) : sizeof(float)));
    for (int64_t i = 0; i < count; i++) {
        if (is_f64)
            ((double *)to)[i] = (double)from[i];
        else
            ((float *)to)[i] = from[i];
    }
    return to;
}

/** A plan of E, dE/dx and the gradients of ΣE to the parameters that are trained. */
typedef struct trial {
    const net *of;
    const basin__safetensors *file;
    basin_energy *energy;
    basin_graph *graph;
    basin__plan *plan;
    bool is_f64;
    int count;                     /* of outputs */
    int parameter[PARAMETERS_MAX]; /* of output i, from 2 on */
    void *outputs[PARAMETERS_MAX], *bound[PARAMETERS_MAX];
} trial;

static void compile(trial *t) {
    const basin__parameters *all = &t->energy->parameters;
    basin_value wanted[PARAMETERS_MAX], outputs[PARAMETERS_MAX];
    assert_true(all->count + 2 <= PARAMETERS_MAX);
    assert_int_equal(basin_graph_create(t->energy->context, &t->graph), BASIN_OK);
    basin__energy_inputs inputs = basin__energy_graph_inputs(t->energy, t->graph);
    wanted[0] = inputs.x;
    t->count = 2;
    for (int i = 0; i < all->count; i++)
        if (!all->items[i].is_state) {
            t->parameter[t->count] = i;
            wanted[t->count++ - 1] =
                basin_graph_parameter(t->graph, all->items[i].name, all->items[i].shape);
        }
    outputs[0] = basin__energy_build(t->energy, t->graph, &inputs).energy;
    basin_graph_gradient(t->graph, outputs[0], wanted, t->count - 1, outputs + 1);
    const basin__plan_options options = {.is_f64 = t->is_f64, .is_poisoned = true};
    if (basin__plan_create(t->energy->context, t->graph, outputs, t->count, &options, &t->plan) !=
        BASIN_OK)
        fail_msg("%s: %s", t->of->name, basin_context_error(t->energy->context));
    for (int i = 0; i < all->count; i++) {
        t->bound[i] =
            as_numbers(all->items[i].data, basin_shape_count(all->items[i].shape), t->is_f64);
        basin__plan_bind(t->plan, all->items[i].name, t->bound[i]);
    }
    assert_int_equal(basin__plan_prepare(t->plan), BASIN_OK);
}

static void run_and_compare(trial *t, double tolerance) {
    const basin__parameters *all = &t->energy->parameters;
    const int64_t size = EXAMPLES * basin_shape_count(t->of->shape);
    const char *name = t->of->name;
    const void *inputs[BASIN__ENERGY_INPUTS_MAX] = {NULL};
    void *x =
        as_numbers(fixture_data(t->file, name, "", "x", BASIN__DTYPE_F32, size), size, t->is_f64);
    float labels[EXAMPLES] = {0, 0, 0};
    if (t->energy->condition.class_count > 0 && t->energy->logits == BASIN_NO_VALUE)
        memcpy(labels, fixture_data(t->file, name, "", "label", BASIN__DTYPE_F32, EXAMPLES),
               sizeof labels);
    else
        for (int i = 0; i < EXAMPLES; i++)
            labels[i] = (float)t->energy->condition.class_count;
    void *label = as_numbers(labels, EXAMPLES, t->is_f64);
    inputs[basin__plan_input(t->plan, "x")] = x;
    if (basin__plan_input(t->plan, "label") >= 0)
        inputs[basin__plan_input(t->plan, "label")] = label;
    for (int i = 0; i < t->count; i++) {
        int64_t count = i == 0   ? EXAMPLES
                        : i == 1 ? size
                                 : basin_shape_count(all->items[t->parameter[i]].shape);
        t->outputs[i] = test_calloc((size_t)count, sizeof(double));
    }
    assert_int_equal(basin__plan_run_batch(t->plan, EXAMPLES, inputs, t->outputs), BASIN_OK);
    fixture_compare(name, "the energy", t->outputs[0], t->is_f64,
                    fixture_data(t->file, name, "", "energy", BASIN__DTYPE_F64, EXAMPLES), NULL,
                    EXAMPLES, tolerance);
    fixture_compare(name, "the input gradient", t->outputs[1], t->is_f64,
                    fixture_data(t->file, name, "", "input_grad", BASIN__DTYPE_F64, size), NULL,
                    size, tolerance);
    for (int i = 2; i < t->count; i++) {
        const basin__parameter *of = &all->items[t->parameter[i]];
        const int64_t count = basin_shape_count(of->shape);
        fixture_compare(name, of->name, t->outputs[i], t->is_f64,
                        fixture_data(t->file, name, "grad.", of->name, BASIN__DTYPE_F64, count), of,
                        count, tolerance);
    }
    test_free(x);
    test_free(label);
}

/** Logits by the energy's own plan. */
static void compare_logits(const trial *t, double tolerance) {
    const int64_t size = EXAMPLES * basin_shape_count(t->of->shape);
    const int classes = basin_energy_logit_count(t->energy);
    float *logits = test_malloc((size_t)(EXAMPLES * classes) * sizeof(float));
    assert_int_equal(
        basin_energy_logits(t->energy, EXAMPLES,
                            fixture_data(t->file, t->of->name, "", "x", BASIN__DTYPE_F32, size),
                            logits),
        BASIN_OK);
    fixture_compare(
        t->of->name, "the logits", logits, false,
        fixture_data(t->file, t->of->name, "", "logits", BASIN__DTYPE_F64, EXAMPLES * classes),
        NULL, EXAMPLES * classes, tolerance);
    test_free(logits);
}

static void check_net(basin_context *context, const basin__safetensors *file, const net *of,
                      bool is_f64, double tolerance) {
    trial t = {.of = of, .file = file, .is_f64 = is_f64, .energy = energy_of(context, of)};
    fixture_fill(file, of->name, t.energy);
    compile(&t);
    run_and_compare(&t, tolerance);
    if (!is_f64 && basin_energy_logit_count(t.energy) > 0)
        compare_logits(&t, tolerance);
    for (int i = 0; i < t.count; i++)
        test_free(t.outputs[i]);
    for (int i = 0; i < t.energy->parameters.count; i++)
        test_free(t.bound[i]);
    basin__plan_destroy(t.plan);
    basin_graph_destroy(t.graph);
    basin_energy_destroy(t.energy);
}

static void check_nets(const char *isa, bool is_f64, double tolerance) {
    basin_context *context = test_context_on(isa, 2);
    basin__safetensors file;
    if (!context) {
        print_message("this processor lacks %s\n", isa ? isa : "all");
        return;
    }
    if (basin__safetensors_read(context, NETWORKS_FIXTURE, &file) != BASIN_OK)
        fail_msg("%s", basin_context_error(context));
    for (size_t i = 0; i < BASIN_COUNT(nets); i++)
        check_net(context, &file, &nets[i], is_f64, tolerance);
    basin__safetensors_reset(context, &file);
    basin_context_destroy(context);
}

static void test_pytorch_f32(void **state) {
    (void)state;
    for (int isa = 0; isa < BASIN__ISA_COUNT; isa++)
        check_nets(basin__isa_name((basin__isa)isa), false, 1e-5);
}

static void test_pytorch_f64(void **state) {
    (void)state;
    check_nets(NULL, true, 1e-11);
}

/* ---- starts, sizes ---- */

/** A fresh class-conditional network does not know classes apart: gains are 1, biases 0. */
static void test_classes_start_alike(void **state) {
    (void)state;
    basin_context *context = test_context_on(NULL, 1);
    basin_energy *energy = energy_of(context, &nets[3]);
    float x[4 * 64], labels[4] = {0, 1, 2, 3};
    double energies[4];
    for (int i = 0; i < 4 * 64; i++)
        x[i] = (float)test_number((uint64_t)(i % 64));
    const basin__points points = {.x = x, .label = labels};
    assert_int_equal(basin__energy_evaluate_points(energy, 4, &points, energies, NULL), BASIN_OK);
    for (int i = 1; i < 4; i++)
        assert_memory_equal(&energies[i], &energies[0], sizeof(double));
    basin__parameter *gain =
        basin__parameters_find(&energy->parameters, "blocks.1.class_gain.weight");
    assert_non_null(gain);
    gain->data[2 * 5 + 1] += 1; /* the second class's */
    basin__energy_changed(energy);
    assert_int_equal(basin__energy_evaluate_points(energy, 4, &points, energies, NULL), BASIN_OK);
    assert_true(energies[1] != energies[0] && energies[2] == energies[0]);
    basin_energy_destroy(energy);
    basin_context_destroy(context);
}

static void test_sizes(void **state) {
    (void)state;
    static const struct {
        const char *network, *options;
        int side, channels;
        int64_t count; /* of parameters */
    } cases[] = {
        /* conv1, blocks without and with a skip, linear */
        {"resnet", "{\"channels\": [8, 16]}", 28, 1,
         80 + 2 * (584 + 584) + 1168 + 2320 + 144 + 2 * 2320 + 17},
        {"resnet", "{\"channels\": [8, 16]}", 32, 3,
         224 + 2 * (584 + 584) + 1168 + 2320 + 144 + 2 * 2320 + 17},
        {"wide-resnet", "{}", 28, 1,
         160 + (4640 + 9248 + 544) + (18496 + 36928 + 2112) + (73856 + 147584 + 8320) + 129},
        {"wide-resnet", "{\"logits\": 10}", 32, 3,
         448 + (4640 + 9248 + 544) + (18496 + 36928 + 2112) + (73856 + 147584 + 8320) + 1290},
    };
    basin_context *context = test_context_on(NULL, 1);
    for (size_t i = 0; i < BASIN_COUNT(cases); i++) {
        const net of = {cases[i].network,
                        cases[i].network,
                        cases[i].options,
                        {1, cases[i].side, cases[i].side, cases[i].channels}};
        basin_energy *energy = energy_of(context, &of);
        assert_int_equal(basin_energy_parameter_count(energy), cases[i].count);
        basin_energy_destroy(energy);
    }
    basin_context_destroy(context);
}

/* ---- files ---- */

/** A state_dict, which says nothing but its tensors, is read as what it came from. */
static void test_state_dict(void **state) {
    (void)state;
    basin_context *context = test_context_on(NULL, 1);
    char root[64], path[96];
    test_folder_make(root);
    snprintf(path, sizeof path, "%s/model.safetensors", root);
    for (size_t i = 5; i < BASIN_COUNT(nets); i++) {
        const net *of = &nets[i];
        basin_energy *energy = energy_of(context, of), *loaded;
        basin__safetensors file;
        float x[192];
        double energies[2];
        for (int j = 0; j < 192; j++)
            x[j] = (float)test_number((uint64_t)j);
        assert_int_equal(basin_energy_save(energy, path), BASIN_OK);
        assert_int_equal(basin__safetensors_read(context, path, &file), BASIN_OK);
        assert_int_equal(basin__safetensors_write(context, path, file.entries, file.count, NULL),
                         BASIN_OK);
        basin__safetensors_reset(context, &file);
        if (basin_energy_load(context, path, of->network, of->shape.height, of->shape.width,
                              &loaded) != BASIN_OK)
            fail_msg("%s", basin_context_error(context));
        assert_int_equal(basin_energy_logit_count(loaded), basin_energy_logit_count(energy));
        assert_int_equal(basin_energy_evaluate(energy, 1, x, &energies[0], NULL), BASIN_OK);
        if (strstr(of->options, "silu") == NULL) { /* which no tensor tells */
            assert_int_equal(basin_energy_evaluate(loaded, 1, x, &energies[1], NULL), BASIN_OK);
            assert_memory_equal(&energies[0], &energies[1], sizeof(double));
        }
        basin_energy_destroy(energy);
        basin_energy_destroy(loaded);
    }
    const net other = {"mlp", "mlp", "{}", {1, 1, 1, 2}};
    basin_energy *mlp = energy_of(context, &other), *none;
    assert_int_equal(basin_energy_save(mlp, path), BASIN_OK);
    basin__safetensors file;
    assert_int_equal(basin__safetensors_read(context, path, &file), BASIN_OK);
    assert_int_equal(basin__safetensors_write(context, path, file.entries, file.count, NULL),
                     BASIN_OK);
    basin__safetensors_reset(context, &file);
    assert_int_equal(basin_energy_load(context, path, "wide-resnet", 8, 8, &none),
                     BASIN_ERROR_FORMAT);
    assert_non_null(strstr(basin_context_error(context), "conv1.weight"));
    basin_energy_destroy(mlp);
    basin_context_destroy(context);
    test_folder_remove(root);
}

/* ---- mistakes, memory ---- */

static void test_mistakes(void **state) {
    (void)state;
    static const struct {
        const char *network, *options;
        int height, width;
        basin_status status;
        const char *text;
    } cases[] = {
        {"resnet", "{}", 30, 28, BASIN_ERROR_SHAPE, "30 x 28 is no multiple of 4"},
        {"resnet", "{\"channels\": [2, 2, 2, 2, 2, 2, 2, 2, 2]}", 512, 512, BASIN_ERROR_CONFIG,
         "at most 8"},
        {"resnet", "{\"classes\": 2, \"logits\": 2}", 8, 8, BASIN_ERROR_CONFIG,
         "leave classes away"},
        {"unet", "{\"classes\": 2, \"logits\": 2}", 8, 8, BASIN_ERROR_CONFIG, "leave classes away"},
        {"wide-resnet", "{\"depth\": 14}", 8, 8, BASIN_ERROR_CONFIG, "take 10 or 16"},
    };
    basin_context *context = test_context_on(NULL, 1);
    for (size_t i = 0; i < BASIN_COUNT(cases); i++) {
        basin_energy *energy;
        assert_int_equal(basin_energy_create(context, cases[i].network, cases[i].options,
                                             cases[i].height, cases[i].width, 1, 1, &energy),
                         cases[i].status);
        if (!strstr(basin_context_error(context), cases[i].text))
            fail_msg("\"%s\" should say \"%s\"", basin_context_error(context), cases[i].text);
    }
    basin_context_destroy(context);
}

static void test_every_allocation_may_fail(void **state) {
    (void)state;
    static const size_t chosen[] = {3, 5};
    for (size_t i = 0; i < BASIN_COUNT(chosen); i++) {
        const net *of = &nets[chosen[i]];
        long k = 0;
        for (bool is_past = false; !is_past; k++) {
            test_heap heap = {.fail_at = k};
            basin_context *context = test_context(&heap, 1);
            basin_energy *energy = NULL;
            basin_status status =
                basin_energy_create(context, of->network, of->options, of->shape.height,
                                    of->shape.width, of->shape.channels, 1, &energy);
            is_past = !heap.has_failed;
            assert_int_equal(status, is_past ? BASIN_OK : BASIN_ERROR_MEMORY);
            basin_energy_destroy(energy);
            assert_int_equal(heap.alive, heap.alive_at_start);
            basin_context_destroy(context);
        }
        assert_true(k > 50);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pytorch_f32),
        cmocka_unit_test(test_pytorch_f64),
        cmocka_unit_test(test_classes_start_alike),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_state_dict),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
