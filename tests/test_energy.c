/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Energies: the networks against PyTorch's numbers (tests/data, made by
 * tools/make_seed_fixture.py), starts, evaluation, callbacks, spectral norm.
 */
#include "base/cpu.h"
#include "energy/energy.h"
#include "io/safetensors.h"
#include "support.h"
#include <math.h>

static basin_energy *energy_of(basin_context *context, const char *network, const char *options,
                               int height, int width, int channels, uint64_t seed) {
    basin_energy *energy = NULL;
    basin_status status =
        basin_energy_create(context, network, options, height, width, channels, seed, &energy);
    if (status != BASIN_OK)
        fail_msg("%s", basin_context_error(context));
    return energy;
}

/* ---- against PyTorch ---- */

#define PARAMETERS_MAX 12

/** A network of the fixture; `renamed` pairs our names with the fixture's. */
typedef struct fixture_net {
    const char *name, *options;
    int height, width, channels;
    const char *renamed[6][2];
} fixture_net;

static const fixture_net fixture_nets[] = {
    {"grey", "{\"base_channels\": 8}", 12, 12, 1, {{0}}},
    {"rgb", "{\"base_channels\": 6}", 10, 14, 3, {{0}}},
    {"uva",
     "{\"channels\": [4, 8, 8, 8], \"kernels\": [5, 3, 3, 3], \"strides\": 2, \"paddings\": [4, 1, "
     "1, 1], \"head_widths\": 8, \"pool\": \"flatten\"}",
     28,
     28,
     1,
     {{"conv.0", "cnn_layers.0"},
      {"conv.2", "cnn_layers.2"},
      {"conv.4", "cnn_layers.4"},
      {"conv.6", "cnn_layers.6"},
      {"fc.2", "cnn_layers.9"},
      {"fc.4", "cnn_layers.11"}}},
};

/** The fixture's tensor for a parameter of ours (or "x", "energy"), f64. */
static const basin__tensor_entry *fixture_entry(const basin__safetensors *file,
                                                const fixture_net *net, const char *prefix,
                                                const char *name) {
    char full[128];
    size_t stem = strrchr(name, '.') ? (size_t)(strrchr(name, '.') - name) : strlen(name);
    snprintf(full, sizeof(full), "%s.%s%s", net->name, prefix, name);
    for (int i = 0; i < 6 && net->renamed[i][0]; i++)
        if (strlen(net->renamed[i][0]) == stem && strncmp(net->renamed[i][0], name, stem) == 0)
            snprintf(full, sizeof(full), "%s.%s%s%s", net->name, prefix, net->renamed[i][1],
                     name + stem);
    const basin__tensor_entry *entry = basin__safetensors_find(file, full);
    if (!entry)
        fail_msg("the fixture has no %s", full);
    assert_int_equal(entry->dtype, BASIN__DTYPE_F64);
    return entry;
}

/** From PyTorch's [O, I, kh, kw] to [O, kh, kw, I], written out for its own sake. */
static void to_memory_order(const basin__parameter *parameter, const double *file, double *memory) {
    int kh = parameter->inner.height, kw = parameter->inner.width, c = parameter->inner.channels;
    int64_t outer = basin_shape_count(parameter->shape) / basin_shape_count(parameter->inner);
    for (int64_t o = 0; o < outer; o++)
        for (int i = 0; i < c; i++)
            for (int y = 0; y < kh; y++)
                for (int x = 0; x < kw; x++)
                    memory[((o * kh + y) * kw + x) * c + i] = file[((o * c + i) * kh + y) * kw + x];
}

static double number_at(const void *data, bool is_f64, int64_t i) {
    return is_f64 ? ((const double *)data)[i] : (double)((const float *)data)[i];
}

/** max|a - b| / max|b| */
static double distance(const void *a, bool is_f64, const double *b, int64_t count) {
    double worst = 0.0, largest = 0.0;
    for (int64_t i = 0; i < count; i++) {
        double difference = fabs(number_at(a, is_f64, i) - b[i]);
        worst = difference <= worst ? worst : difference; /* a NaN stays */
        largest = fmax(largest, fabs(b[i]));
    }
    return worst / largest;
}

static void expect_near(const char *what, const char *name, const void *a, bool is_f64,
                        const double *b, int64_t count, double tolerance) {
    double far = distance(a, is_f64, b, count);
    if (!(far <= tolerance))
        fail_msg("%s of %s is %.3g from PyTorch's; at most %.3g is right", what, name, far,
                 tolerance);
}

/** Doubles as the plan's numbers, new memory of test_malloc. */
static void *as_numbers(const double *from, int64_t count, bool is_f64) {
    void *to = test_malloc((size_t)count * (is_f64 ? sizeof(double) : sizeof(float)));
    for (int64_t i = 0; i < count; i++) {
        if (is_f64)
            ((double *)to)[i] = from[i];
        else
            ((float *)to)[i] = (float)from[i];
    }
    return to;
}

/** A plan of energy, input gradient and all parameter gradients, on the fixture's numbers. */
typedef struct fixture_run {
    const fixture_net *net;
    const basin__safetensors *file;
    basin_energy *energy;
    bool is_f64;
    double tolerance;
    void *bound[PARAMETERS_MAX], *outputs[PARAMETERS_MAX + 2];
} fixture_run;

static void bind_fixture(fixture_run *run, basin__plan *plan) {
    basin__parameters *list = &run->energy->parameters;
    for (int i = 0; i < list->count; i++) {
        basin__parameter *parameter = &list->items[i];
        int64_t count = basin_shape_count(parameter->shape);
        const basin__tensor_entry *entry = fixture_entry(run->file, run->net, "", parameter->name);
        assert_int_equal(entry->bytes, (size_t)count * sizeof(double));
        double *memory = test_malloc((size_t)count * sizeof(double));
        to_memory_order(parameter, entry->data, memory);
        for (int64_t j = 0; j < count; j++)
            parameter->data[j] = (float)memory[j];
        run->bound[i] = as_numbers(memory, count, run->is_f64);
        basin__plan_bind(plan, parameter->name, run->bound[i]);
        test_free(memory);
    }
}

static void compare_fixture(fixture_run *run, int64_t n) {
    basin__parameters *list = &run->energy->parameters;
    int64_t size = n * basin_shape_count(run->energy->shape);
    const char *name = run->net->name;
    expect_near("the energy", name, run->outputs[0], run->is_f64,
                fixture_entry(run->file, run->net, "", "energy")->data, n, run->tolerance);
    expect_near("the input gradient", name, run->outputs[1], run->is_f64,
                fixture_entry(run->file, run->net, "", "input_grad")->data, size, run->tolerance);
    for (int i = 0; i < list->count; i++) {
        int64_t count = basin_shape_count(list->items[i].shape);
        double *memory = test_malloc((size_t)count * sizeof(double));
        to_memory_order(&list->items[i],
                        fixture_entry(run->file, run->net, "grad.", list->items[i].name)->data,
                        memory);
        expect_near(list->items[i].name, name, run->outputs[2 + i], run->is_f64, memory, count,
                    run->tolerance);
        test_free(memory);
    }
}

/** The same by the energy's own plans. */
static void compare_evaluate(fixture_run *run, int64_t n) {
    int64_t size = n * basin_shape_count(run->energy->shape);
    const double *x = fixture_entry(run->file, run->net, "", "x")->data;
    float *inputs = as_numbers(x, size, false);
    double *energies = test_malloc((size_t)n * sizeof(double));
    float *gradient = test_malloc((size_t)size * sizeof(float));
    basin__energy_changed(run->energy);
    assert_int_equal(basin_energy_evaluate(run->energy, n, inputs, energies, gradient), BASIN_OK);
    expect_near("the evaluated energy", run->net->name, energies, true,
                fixture_entry(run->file, run->net, "", "energy")->data, n, run->tolerance);
    expect_near("the evaluated gradient", run->net->name, gradient, false,
                fixture_entry(run->file, run->net, "", "input_grad")->data, size, run->tolerance);
    test_free(inputs);
    test_free(energies);
    test_free(gradient);
}

static void run_fixture(fixture_run *run) {
    basin_context *context = run->energy->context;
    basin__parameters *list = &run->energy->parameters;
    const basin__tensor_entry *x = fixture_entry(run->file, run->net, "", "x");
    int64_t n = x->dim[0], size = basin_shape_count(run->energy->shape);
    basin_value sources[PARAMETERS_MAX + 1], outputs[PARAMETERS_MAX + 2];
    basin_graph *graph;
    basin__plan *plan;
    assert_int_equal(basin_graph_create(context, &graph), BASIN_OK);
    sources[0] = basin_graph_input(graph, "x", run->energy->shape);
    const basin__energy_inputs at = {sources[0], BASIN_NO_VALUE, BASIN_NO_VALUE};
    outputs[0] = basin__energy_build(run->energy, graph, &at).energy;
    for (int i = 0; i < list->count; i++)
        sources[1 + i] = basin_graph_parameter(graph, list->items[i].name, list->items[i].shape);
    basin_graph_gradient(graph, outputs[0], sources, list->count + 1, outputs + 1);
    for (int i = 0; i < list->count; i++) /* the fixture's are of the mean over the batch */
        outputs[2 + i] = basin_graph_scale(graph, outputs[2 + i], 1.0 / (double)n);
    basin__plan_options options = {.is_f64 = run->is_f64, .is_poisoned = true};
    if (basin__plan_create(context, graph, outputs, list->count + 2, &options, &plan) != BASIN_OK)
        fail_msg("%s", basin_context_error(context));
    bind_fixture(run, plan);
    assert_int_equal(basin__plan_prepare(plan), BASIN_OK);
    void *inputs = as_numbers(x->data, n * size, run->is_f64);
    for (int i = 0; i < list->count + 2; i++) {
        int64_t count = i == 0   ? n
                        : i == 1 ? n * size
                                 : basin_shape_count(list->items[i - 2].shape);
        run->outputs[i] = test_calloc((size_t)count, sizeof(double));
    }
    const void *const all_inputs[] = {inputs};
    assert_int_equal(basin__plan_run_batch(plan, n, all_inputs, run->outputs), BASIN_OK);
    compare_fixture(run, n);
    if (!run->is_f64)
        compare_evaluate(run, n);
    basin__plan_destroy(plan);
    basin_graph_destroy(graph);
    test_free(inputs);
    for (int i = 0; i < list->count; i++)
        test_free(run->bound[i]);
    for (int i = 0; i < list->count + 2; i++)
        test_free(run->outputs[i]);
}

static void check_fixture(const char *isa, bool is_f64, double tolerance) {
    basin_context *context = test_context_on(isa, 2);
    basin__safetensors file;
    if (!context) {
        print_message("this processor lacks %s\n", isa);
        return;
    }
    if (basin__safetensors_read(context, "tests/data/seed_fixture.safetensors", &file) != BASIN_OK)
        fail_msg("%s", basin_context_error(context));
    for (size_t i = 0; i < BASIN_COUNT(fixture_nets); i++) {
        const fixture_net *net = &fixture_nets[i];
        fixture_run run = {.net = net, .file = &file, .is_f64 = is_f64, .tolerance = tolerance};
        run.energy =
            energy_of(context, "conv", net->options, net->height, net->width, net->channels, 1);
        run_fixture(&run);
        basin_energy_destroy(run.energy);
    }
    basin__safetensors_reset(context, &file);
    basin_context_destroy(context);
}

static void test_pytorch_f32(void **state) {
    (void)state;
    for (int isa = 0; isa < BASIN__ISA_COUNT; isa++)
        check_fixture(basin__isa_name((basin__isa)isa), false, 1e-5);
}

static void test_pytorch_f64(void **state) {
    (void)state;
    check_fixture(NULL, true, 1e-10);
}

/* ---- starts ---- */

/** Weight and bias in ±1/√fan_in, filling it; another seed gives other numbers. */
static void test_start(void **state) {
    (void)state;
    basin_context *context = test_context_on(NULL, 1);
    const char *options = "{\"base_channels\": 16}";
    basin_energy *energy = energy_of(context, "conv", options, 12, 12, 3, 7);
    basin_energy *same = energy_of(context, "conv", options, 12, 12, 3, 7);
    basin_energy *other = energy_of(context, "conv", options, 12, 12, 3, 8);
    const double fan_in[] = {27, 27, 256, 256, 144, 144, 512, 512, 32, 32};
    assert_int_equal(energy->parameters.count, 10);
    assert_int_equal(basin_energy_parameter_count(energy),
                     16 * 27 + 16 + 16 * 256 + 16 + 32 * 144 + 32 + 32 * 512 + 32 + 32 + 1);
    for (int i = 0; i < energy->parameters.count; i++) {
        const basin__parameter *parameter = &energy->parameters.items[i];
        int64_t count = basin_shape_count(parameter->shape), differing = 0;
        double bound = 1.0 / sqrt(fan_in[i]), largest = 0.0, sum = 0.0;
        for (int64_t j = 0; j < count; j++) {
            largest = fmax(largest, fabs((double)parameter->data[j]));
            sum += (double)parameter->data[j];
            differing += parameter->data[j] != other->parameters.items[i].data[j];
        }
        assert_true(largest <= bound * (1 + 1e-6));
        assert_true(count < 400 || largest > 0.98 * bound);
        /* a uniform's mean has deviation bound/√(3 count): 6 of them, 1e-8 a false alarm */
        assert_true(fabs(sum / (double)count) < 6 * bound / sqrt(3.0 * (double)count));
        assert_true(differing > count / 2);
        assert_memory_equal(parameter->data, same->parameters.items[i].data,
                            (size_t)count * sizeof(float));
    }
    basin_energy_destroy(energy);
    basin_energy_destroy(same);
    basin_energy_destroy(other);
    basin_context_destroy(context);
}

/* ---- networks ---- */

/** The seed network written as a list of layers computes the same. */
static void test_sequential(void **state) {
    (void)state;
    basin_context *context = test_context_on(NULL, 1);
    basin_energy *conv = energy_of(context, "conv", "{\"base_channels\": 4}", 8, 8, 2, 3);
    basin_energy *listed = energy_of(
        context, "sequential",
        "{\"layers\": [\"conv 4 3 1 1\", \"silu\", \"conv 4 4 2 1\", \"silu\", \"conv 8 3 1 1\","
        "\"silu\", \" conv  8 4 2 1\", \"silu\", \"mean\", \"linear 1\"]}",
        8, 8, 2, 3);
    float x[3 * 128], gradient[2][3 * 128];
    double energies[2][3];
    for (int i = 0; i < 3 * 128; i++)
        x[i] = (float)test_number((uint64_t)i);
    assert_int_equal(basin_energy_evaluate(conv, 3, x, energies[0], gradient[0]), BASIN_OK);
    assert_int_equal(basin_energy_evaluate(listed, 3, x, energies[1], gradient[1]), BASIN_OK);
    assert_memory_equal(energies[0], energies[1], sizeof(energies[0]));
    assert_memory_equal(gradient[0], gradient[1], sizeof(gradient[0]));
    assert_true(energies[0][0] != energies[0][1]);
    assert_non_null(basin__parameters_find(&listed->parameters, "layers.9.weight"));
    basin_energy_destroy(conv);
    basin_energy_destroy(listed);
    basin_context_destroy(context);
}

static void test_mistakes(void **state) {
    static const struct {
        const char *network, *options;
        int side;
        basin_status status;
        const char *message;
    } cases[] = {
        {"cnv", NULL, 8, BASIN_ERROR_CONFIG, "did you mean conv?"},
        {"conv", "{\"base_chanels\": 4}", 8, BASIN_ERROR_CONFIG, "did you mean base_channels?"},
        {"conv", "{\"base_channels\": 0}", 8, BASIN_ERROR_CONFIG, "out of range"},
        {"conv", "{\"channels\": [4, 4], \"kernels\": [3, 3, 3]}", 8, BASIN_ERROR_CONFIG,
         "2 convolutions but kernels lists 3"},
        {"conv", "{\"base_channels\": ", 8, BASIN_ERROR_CONFIG, "not JSON"},
        {"conv", "{\"base_channels\": 4, \"kernels\": 31}", 8, BASIN_ERROR_SHAPE, "network conv"},
        {"conv", NULL, 0, BASIN_ERROR_SHAPE, "out of range"},
        {"conv", "{\"channels\": [60000, 60000]}", 8, BASIN_ERROR_SHAPE, "at most 2147483648"},
        {"mlp", "{\"hidden\": \"12,0\"}", 8, BASIN_ERROR_CONFIG, "out of range"},
        {"sequential", NULL, 8, BASIN_ERROR_CONFIG, "needs the list layers"},
        {"sequential", "{\"layers\": [\"flaten\"]}", 8, BASIN_ERROR_CONFIG, "unknown layer"},
        {"sequential", "{\"layers\": [\"conv 3\"]}", 8, BASIN_ERROR_CONFIG, "entry 0"},
        {"sequential", "{\"layers\": [\"conv 3 x\"]}", 8, BASIN_ERROR_CONFIG, "a number is wanted"},
        {"sequential", "{\"layers\": [\"mean\", \"linear 2\"]}", 8, BASIN_ERROR_SHAPE,
         "an energy is one"},
        {"sequential", "{\"layers\": [\"linear 1\"]}", 8, BASIN_ERROR_SHAPE, "flatten"},
        {"sequential", "{\"layers\": [\"average-pool 3\"]}", 8, BASIN_ERROR_SHAPE, ""},
    };
    (void)state;
    basin_context *context = test_context_on(NULL, 1);
    for (size_t i = 0; i < BASIN_COUNT(cases); i++) {
        basin_energy *energy;
        basin_status status = basin_energy_create(context, cases[i].network, cases[i].options,
                                                  cases[i].side, 8, 1, 0, &energy);
        const char *message = basin_context_error(context);
        if (status != cases[i].status || !strstr(message, cases[i].message))
            fail_msg("%s %s: status %s, message \"%s\", expected \"%s\"", cases[i].network,
                     cases[i].options ? cases[i].options : "", basin_status_name(status), message,
                     cases[i].message);
        assert_null(energy);
    }
    basin_context_destroy(context);
}

/** Flatten keeps position, the mean does not: a shifted image has the same mean energy. */
static void test_pool(void **state) {
    (void)state;
    basin_context *context = test_context_on(NULL, 1);
    float x[2][16] = {{0}};
    double energies[2];
    x[0][5] = 1.0f;
    x[1][10] = 1.0f; /* the pixel at (1, 1) moved to (2, 2) */
    const char *options[] = {"{\"channels\": 3, \"kernels\": 3}",
                             "{\"channels\": 3, \"kernels\": 3, \"pool\": \"flatten\"}"};
    for (int i = 0; i < 2; i++) {
        basin_energy *energy = energy_of(context, "conv", options[i], 4, 4, 1, 5);
        assert_int_equal(basin_energy_evaluate(energy, 2, x[0], energies, NULL), BASIN_OK);
        double difference = fabs(energies[0] - energies[1]);
        assert_true(i == 0 ? difference < 1e-6 : difference > 1e-4);
        basin_energy_destroy(energy);
    }
    basin_context_destroy(context);
}

/* ---- evaluation ---- */

static void square_energy(void *user, int64_t n, const float *x, double *energies,
                          float *gradient) {
    double stiffness = *(const double *)user;
    for (int64_t i = 0; i < n; i++) {
        energies[i] = 0.0;
        for (int64_t j = 0; j < 6; j++) {
            double value = (double)x[6 * i + j];
            energies[i] += 0.5 * stiffness * value * value;
            if (gradient)
                gradient[6 * i + j] = (float)(stiffness * value);
        }
    }
}

static void test_callback(void **state) {
    enum { N = 1000 };
    (void)state;
    basin_context *context = test_context_on(NULL, 3);
    basin_energy *energy;
    double stiffness = 3.0;
    static float x[6 * N], gradient[6 * N];
    static double energies[N];
    for (int i = 0; i < 6 * N; i++)
        x[i] = (float)test_number((uint64_t)i);
    assert_int_equal(
        basin_energy_from_callback(context, 1, 2, 3, square_energy, &stiffness, &energy), BASIN_OK);
    assert_int_equal(basin_energy_evaluate(energy, N, x, energies, gradient), BASIN_OK);
    for (int i = 0; i < N; i++) {
        double expected = 0.0;
        for (int j = 6 * i; j < 6 * i + 6; j++) {
            expected += 1.5 * (double)x[j] * (double)x[j];
            assert_true(fabs((double)gradient[j] - 3.0 * (double)x[j]) < 1e-6);
        }
        assert_true(fabs(energies[i] - expected) < 1e-12);
    }
    memset(gradient, 0, sizeof(gradient));
    assert_int_equal(basin_energy_evaluate(energy, N, x, NULL, gradient), BASIN_OK);
    assert_true(fabs((double)gradient[6 * N - 1] - 3.0 * (double)x[6 * N - 1]) < 1e-6);
    assert_int_equal(basin_energy_evaluate(energy, N, x, NULL, NULL), BASIN_ERROR_ARGUMENT);
    assert_int_equal(basin_energy_save(energy, "/nonexistent/x.safetensors"),
                     BASIN_ERROR_UNSUPPORTED);
    assert_true(basin_energy_temperature(energy).is_exact);
    basin_energy_destroy(energy);
    basin_context_destroy(context);
}

/** The same bits for 1, 2 and 5 threads, in any company, and after parameters changed. */
static void test_evaluate(void **state) {
    enum { N = 150, SIZE = 144 };
    static float x[N * SIZE], gradient[3][N * SIZE], one_gradient[SIZE];
    static double energies[3][N], one;
    const int threads[] = {1, 2, 5};
    (void)state;
    for (int i = 0; i < N * SIZE; i++)
        x[i] = (float)test_number((uint64_t)i);
    for (int t = 0; t < 3; t++) {
        basin_context *context = test_context_on(NULL, threads[t]);
        basin_energy *energy = energy_of(context, "conv", "{\"base_channels\": 6}", 12, 12, 1, 2);
        assert_int_equal(basin_energy_evaluate(energy, N, x, energies[t], gradient[t]), BASIN_OK);
        assert_memory_equal(energies[t], energies[0], sizeof(energies[0]));
        assert_memory_equal(gradient[t], gradient[0], sizeof(gradient[0]));
        int64_t last = (N - 1) * SIZE;
        assert_int_equal(basin_energy_evaluate(energy, 1, x + last, &one, one_gradient), BASIN_OK);
        assert_true(one == energies[0][N - 1]);
        assert_memory_equal(one_gradient, gradient[0] + last, sizeof(one_gradient));
        assert_int_equal(basin_energy_evaluate(energy, 1, x + last, &one, NULL), BASIN_OK);
        assert_true(one == energies[0][N - 1]);
        basin__parameter *bias = basin__parameters_find(&energy->parameters, "fc.2.bias");
        bias->data[0] += 1.0f;
        basin__energy_changed(energy);
        assert_int_equal(basin_energy_evaluate(energy, 1, x + last, &one, NULL), BASIN_OK);
        assert_true(fabs(one - energies[0][N - 1] - 1.0) < 1e-5);
        basin_energy_destroy(energy);
        basin_context_destroy(context);
    }
}

/* ---- spectral norm ---- */

/** Take each state's next value, `rounds` times. */
static void iterate_states(basin_energy *energy, int rounds) {
    basin__parameter *states[PARAMETERS_MAX];
    basin_value next[PARAMETERS_MAX];
    int count = 0;
    basin__plan_options options = {0};
    basin__plan *plan;
    for (int i = 0; i < energy->parameters.count; i++) {
        basin__parameter *parameter = &energy->parameters.items[i];
        if (!parameter->is_state)
            continue;
        states[count] = parameter;
        basin_value state = basin_graph_state(energy->graph, parameter->name, parameter->shape);
        next[count++] = basin__graph_node(energy->graph, state)->next;
    }
    assert_true(count > 0);
    assert_int_equal(
        basin__plan_create(energy->context, energy->graph, next, count, &options, &plan), BASIN_OK);
    basin__energy_bind(energy, plan);
    for (int round = 0; round < rounds; round++) {
        assert_int_equal(basin__plan_prepare(plan), BASIN_OK);
        for (int i = 0; i < count; i++)
            memcpy(states[i]->data, basin__plan_shared(plan, i),
                   (size_t)basin_shape_count(states[i]->shape) * sizeof(float));
    }
    basin__plan_destroy(plan);
    basin__energy_changed(energy);
}

/** The largest singular value of a matrix [rows, columns], by its own power method in double. */
static double sigma_of(const float *matrix, int64_t rows, int64_t columns) {
    double *u = test_calloc((size_t)rows, sizeof(double));
    double *v = test_calloc((size_t)columns, sizeof(double)), sigma = 0.0;
    for (int64_t i = 0; i < rows; i++)
        u[i] = test_number((uint64_t)i);
    for (int round = 0; round < 2000; round++) {
        double norm = 0.0;
        for (int64_t j = 0; j < columns; j++) {
            v[j] = 0.0;
            for (int64_t i = 0; i < rows; i++)
                v[j] += (double)matrix[i * columns + j] * u[i];
            norm += v[j] * v[j];
        }
        for (int64_t j = 0; j < columns; j++)
            v[j] /= sqrt(norm);
        sigma = 0.0;
        for (int64_t i = 0; i < rows; i++) {
            u[i] = 0.0;
            for (int64_t j = 0; j < columns; j++)
                u[i] += (double)matrix[i * columns + j] * v[j];
            sigma += u[i] * u[i];
        }
        sigma = sqrt(sigma);
        for (int64_t i = 0; i < rows; i++)
            u[i] /= sigma;
    }
    test_free(u);
    test_free(v);
    return sigma;
}

/** After many steps the weights in the saved file have norm 1, and compute the same energy. */
static void test_spectral_norm(void **state) {
    (void)state;
    char folder[64], path[96];
    basin_context *context = test_context_on(NULL, 1);
    basin_energy *loaded,
        *energy = energy_of(context, "conv",
                            "{\"base_channels\": 4, \"spectral_norm\": true, \"head_widths\": 5}",
                            8, 8, 1, 4);
    float x[2 * 64];
    double energies[2][2];
    test_folder_make(folder);
    snprintf(path, sizeof(path), "%s/m.safetensors", folder);
    for (int i = 0; i < 128; i++)
        x[i] = (float)test_number((uint64_t)i);
    iterate_states(energy, 1500);
    assert_int_equal(basin_energy_evaluate(energy, 2, x, energies[0], NULL), BASIN_OK);
    assert_int_equal(basin_energy_save(energy, path), BASIN_OK);
    assert_int_equal(basin_energy_load(context, path, NULL, 0, 0, &loaded), BASIN_OK);
    assert_null(strstr(basin__energy_noted(loaded, "options"), "\"spectral_norm\":true"));
    assert_int_equal(basin_energy_parameter_count(loaded), basin_energy_parameter_count(energy));
    for (int i = 0; i < loaded->parameters.count; i++) {
        const basin__parameter *parameter = &loaded->parameters.items[i];
        assert_false(parameter->is_state);
        int64_t columns = basin_shape_count(parameter->inner);
        if (parameter->file_rank > 1)
            assert_true(fabs(sigma_of(parameter->data, parameter->shape.outer, columns) - 1.0) <
                        1e-3);
    }
    assert_int_equal(basin_energy_evaluate(loaded, 2, x, energies[1], NULL), BASIN_OK);
    for (int i = 0; i < 2; i++)
        assert_true(fabs(energies[0][i] - energies[1][i]) < 1e-6);
    basin_energy_destroy(loaded);
    basin_energy_destroy(energy);
    basin_context_destroy(context);
    test_folder_remove(folder);
}

/** f64 numbers of all parameters and states, and a plan of energy and parameter gradients. */
typedef struct probe {
    basin_energy *energy;
    basin__plan *plan;
    double *data[PARAMETERS_MAX], *gradient[PARAMETERS_MAX];
    double x[2 * 36];
} probe;

/** ΣE over the two examples; gradients are left in the probe. */
static double probe_run(probe *at) {
    double energies[2];
    void *outputs[PARAMETERS_MAX + 1] = {energies};
    const void *const inputs[] = {at->x};
    for (int i = 0; i < at->energy->parameters.count; i++)
        outputs[1 + i] = at->gradient[i];
    assert_int_equal(basin__plan_prepare(at->plan), BASIN_OK);
    assert_int_equal(basin__plan_run_batch(at->plan, 2, inputs, outputs), BASIN_OK);
    return energies[0] + energies[1];
}

static void probe_check(probe *at, int i) {
    int64_t count = basin_shape_count(at->energy->parameters.items[i].shape);
    double *analytic = test_malloc((size_t)count * sizeof(double));
    probe_run(at);
    memcpy(analytic, at->gradient[i], (size_t)count * sizeof(double));
    for (int64_t j = 0; j < count; j += 1 + count / 7) {
        const double h = 1e-5, kept = at->data[i][j];
        at->data[i][j] = kept + h;
        double above = probe_run(at);
        at->data[i][j] = kept - h;
        double below = probe_run(at);
        at->data[i][j] = kept;
        double difference = (above - below) / (2 * h);
        if (!(fabs(difference - analytic[j]) < 1e-8 + 1e-6 * fabs(difference)))
            fail_msg("d/d%s[%d] is %.12g, by differences %.12g",
                     at->energy->parameters.items[i].name, (int)j, analytic[j], difference);
    }
    test_free(analytic);
}

/** With v = Wᵀu/|Wᵀu|, σ = |Wᵀu|, whose gradient is u vᵀ: what stopping v gives. */
static void test_spectral_gradient(void **state) {
    (void)state;
    basin_context *context = test_context_on(NULL, 1);
    probe at = {.energy = energy_of(context, "conv",
                                    "{\"channels\": [3, 4], \"spectral_norm\": true, "
                                    "\"pool\": \"flatten\"}",
                                    6, 6, 1, 9)};
    basin__parameters *list = &at.energy->parameters;
    basin_graph *graph = at.energy->graph;
    basin_value sources[PARAMETERS_MAX], outputs[PARAMETERS_MAX + 1] = {at.energy->value};
    for (int i = 0; i < list->count; i++) {
        const basin__parameter *parameter = &list->items[i];
        sources[i] = parameter->is_state
                         ? basin_graph_state(graph, parameter->name, parameter->shape)
                         : basin_graph_parameter(graph, parameter->name, parameter->shape);
    }
    basin_graph_gradient(graph, at.energy->value, sources, list->count, outputs + 1);
    basin__plan_options options = {.is_f64 = true};
    if (basin__plan_create(context, graph, outputs, list->count + 1, &options, &at.plan) !=
        BASIN_OK)
        fail_msg("%s", basin_context_error(context));
    for (int i = 0; i < list->count; i++) {
        size_t count = (size_t)basin_shape_count(list->items[i].shape);
        at.data[i] = test_calloc(count, sizeof(double));
        at.gradient[i] = test_calloc(count, sizeof(double));
        for (size_t j = 0; j < count; j++)
            at.data[i][j] = (double)list->items[i].data[j];
        basin__plan_bind(at.plan, list->items[i].name, at.data[i]);
    }
    for (int i = 0; i < 72; i++)
        at.x[i] = test_number((uint64_t)i);
    for (int i = 0; i < list->count; i++)
        if (!list->items[i].is_state)
            probe_check(&at, i);
    basin__plan_destroy(at.plan);
    for (int i = 0; i < list->count; i++) {
        test_free(at.data[i]);
        test_free(at.gradient[i]);
    }
    basin_energy_destroy(at.energy);
    basin_context_destroy(context);
}

/* ---- memory ---- */

static basin_status make_and_evaluate(basin_context *context) {
    basin_energy *energy;
    float x[64] = {0}, gradient[64];
    double value;
    BASIN_TRY(basin_energy_create(
        context, "conv", "{\"channels\": [3, 4], \"spectral_norm\": true}", 8, 8, 1, 1, &energy));
    basin_status status = basin_energy_evaluate(energy, 1, x, &value, gradient);
    basin_energy_destroy(energy);
    return status;
}

static void test_memory(void **state) {
    (void)state;
    for (long k = 0;; k++) {
        test_heap heap = {.fail_at = k};
        basin_context *context = test_context(&heap, 1);
        basin_status status = make_and_evaluate(context);
        assert_int_equal(heap.alive, heap.alive_at_start);
        basin_context_destroy(context);
        if (!heap.has_failed) {
            assert_int_equal(status, BASIN_OK);
            assert_true(k > 20);
            break;
        }
        assert_int_equal(status, BASIN_ERROR_MEMORY);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pytorch_f32),   cmocka_unit_test(test_pytorch_f64),
        cmocka_unit_test(test_start),         cmocka_unit_test(test_sequential),
        cmocka_unit_test(test_mistakes),      cmocka_unit_test(test_pool),
        cmocka_unit_test(test_callback),      cmocka_unit_test(test_evaluate),
        cmocka_unit_test(test_spectral_norm), cmocka_unit_test(test_spectral_gradient),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests_name("energy", tests, NULL, NULL);
}
