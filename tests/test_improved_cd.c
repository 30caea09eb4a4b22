/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Improved contrastive divergence: losses and gradients against PyTorch (numbers made by
 * tools/make_networks_fixture.py), a sampler's steps as graph against the steps it takes, what is
 * kept of a run, nearest neighbours, augmented chains.
 */
#include "base/cpu.h"
#include "fixture.h"
#include "objective/objective.h"
#include "support.h"
#include "train/augment.h"
#include "train/neighbours.h"

#define BATCH 4

/** Options of a table from JSON over the defaults. */
static basin_status options_of(basin_context *context, const basin__option *table, size_t count,
                               size_t bytes, const char *text, basin__option_group *group) {
    *group = (basin__option_group){
        .options = table, .count = count, .values = basin__alloc(context, bytes)};
    if (!group->values)
        return BASIN_ERROR_MEMORY;
    json_t *settings = json_loads(text, 0, NULL);
    assert_non_null(settings);
    basin_status status = basin__options_default(context, group);
    if (status == BASIN_OK)
        status = basin__options_from_json(context, group, 1, settings);
    json_decref(settings);
    return status;
}

static void let_go(basin_context *context, basin__option_group *group) {
    if (group->values)
        basin__options_reset(context, group);
    basin__free(context, group->values);
}

/** The objective, a sampler, an energy and their loss. */
typedef struct parts {
    const basin__objective_def *objective;
    const basin__sampler_def *sampler;
    basin__option_group options, sampler_options;
    basin_energy *energy;
    basin__loss *loss;
} parts;

/** What parts are made of. */
typedef struct recipe {
    const char *name, *network, *network_options, *sampler, *sampler_options, *options;
    basin_shape shape;
} recipe;

static basin_status make(basin_context *context, const recipe *of, parts *p) {
    *p = (parts){.objective = basin__objective_find("improved-cd"),
                 .sampler = basin__sampler_find(of->sampler)};
    assert_non_null(p->objective);
    assert_non_null(p->sampler);
    BASIN_TRY(options_of(context, p->objective->options, p->objective->option_count,
                         p->objective->options_bytes, of->options, &p->options));
    BASIN_TRY(options_of(context, p->sampler->options, p->sampler->option_count,
                         p->sampler->options_bytes, of->sampler_options, &p->sampler_options));
    BASIN_TRY(basin__sampler_check(context, p->sampler, &p->sampler_options));
    BASIN_TRY(basin_energy_create(context, of->network, of->network_options, of->shape.height,
                                  of->shape.width, of->shape.channels, 1, &p->energy));
    return basin__loss_create_along(p->objective, p->options.values, p->energy, BATCH, p->sampler,
                                    p->sampler_options.values, &p->loss);
}

static void unmake(basin_context *context, parts *p) {
    basin__loss_destroy(p->loss);
    basin_energy_destroy(p->energy);
    let_go(context, &p->sampler_options);
    let_go(context, &p->options);
}

/* ---- against PyTorch ---- */

#define FREE                                                                                       \
    "\"gradient_clip\": \"none\", \"box\": \"none\", \"noise_std\": 0.1, \"step_size\": 0.05"

static const recipe cases[] = {
    {"points", "mlp", "{\"hidden\": [8, 6]}", "langevin", "{" FREE "}", "{}", {1, 1, 1, 2}},
    {"before",
     "mlp",
     "{\"hidden\": [8, 6], \"activation\": \"softplus\"}",
     "langevin",
     "{" FREE ", \"noise_before\": true}",
     "{\"kl_steps\": 2}",
     {1, 1, 1, 3}},
    {"image",
     "resnet",
     "{\"channels\": 4, \"blocks\": 1}",
     "langevin",
     "{}",
     "{\"entropy_weight\": 0.5}",
     {1, 4, 4, 1}},
    {"element",
     "resnet",
     "{\"channels\": 4, \"blocks\": 1, \"activation\": \"silu\"}",
     "langevin",
     "{\"step_size\": 2, \"gradient_clip_value\": 0.04, \"noise_std\": 0.1}",
     "{\"kl_steps\": 2, \"kl_weight\": 0.7}",
     {1, 4, 4, 2}},
    {"norm",
     "resnet",
     "{\"channels\": 4, \"blocks\": 1, \"classes\": 3}",
     "langevin",
     "{\"step_size\": 0.4, \"gradient_clip\": \"norm\", \"gradient_clip_value\": 0.3,"
     " \"box\": \"reflect\", \"noise_std\": 0.1}",
     "{\"kl_steps\": 3, \"alpha\": 0, \"class_conditional\": true, \"class_dropout\": 0}",
     {1, 4, 4, 1}},
};

static void check_case(basin_context *context, const basin__safetensors *file, const recipe *of) {
    parts p;
    if (make(context, of, &p) != BASIN_OK)
        fail_msg("%s: %s", of->name, basin_context_error(context));
    fixture_fill(file, of->name, p.energy);
    fixture_fill_sources(file, of->name, p.loss);
    assert_int_equal(basin__loss_run(p.loss), BASIN_OK);
    fixture_compare_loss(file, of->name, p.loss);
    unmake(context, &p);
}

static void check_cases(basin_context *context, const basin__safetensors *file) {
    for (size_t i = 0; i < BASIN_COUNT(cases); i++)
        check_case(context, file, &cases[i]);
}

static void test_pytorch(void **state) {
    (void)state;
    fixture_check(NETWORKS_FIXTURE, check_cases);
}

/* ---- a sampler's steps as graph ---- */

enum { CHAINS = 37, SIZE = 5, STEPS = 6, KEPT = 3 };

typedef struct walk {
    basin_energy *energy;
    basin_graph *graph;
} walk;

static basin_value gradient_at(void *user, basin_value x) {
    const walk *of = user;
    const basin__energy_inputs at = {x, BASIN_NO_VALUE, BASIN_NO_VALUE};
    basin_value energy = basin__energy_build(of->energy, of->graph, &at).energy, gradient;
    basin_graph_gradient(of->graph, energy, &x, 1, &gradient);
    return gradient;
}

/** Take the kept steps from x [n, SIZE] with their normals, by a plan. */
static void step_by_graph(basin_energy *energy, const basin__sampler_def *sampler,
                          const void *options, const basin__chain_tail *tail, float *end) {
    basin_graph *graph;
    basin__plan *plan;
    assert_int_equal(basin_graph_create(energy->context, &graph), BASIN_OK);
    walk user = {energy, graph};
    const basin__step_graph of = {.graph = graph, .gradient = gradient_at, .user = &user};
    basin_value x = basin_graph_input(graph, "x", basin_shape_vector(SIZE));
    basin_value noise = basin_graph_input(graph, "noise", basin_shape_vector(KEPT * SIZE));
    for (int i = 0; i < KEPT; i++)
        x = sampler->step(options, &of, x, basin_graph_slice(graph, noise, i * SIZE, SIZE));
    if (basin__plan_create(energy->context, graph, &x, 1, NULL, &plan) != BASIN_OK)
        fail_msg("%s", basin_context_error(energy->context));
    basin__energy_bind(energy, plan);
    assert_int_equal(basin__plan_prepare(plan), BASIN_OK);
    const void *inputs[2] = {NULL, NULL};
    void *const outputs[1] = {end};
    inputs[basin__plan_input(plan, "x")] = tail->x;
    if (basin__plan_input(plan, "noise") >= 0)
        inputs[basin__plan_input(plan, "noise")] = tail->noise;
    assert_int_equal(basin__plan_run_batch(plan, CHAINS, inputs, outputs), BASIN_OK);
    basin__plan_destroy(plan);
    basin_graph_destroy(graph);
}

static void walk_chains(basin_energy *energy, const basin__sampler_def *sampler,
                        const char *settings, int steps, basin__chain_tail tail, float *x) {
    basin_context *context = energy->context;
    char text[256];
    basin__option_group group;
    snprintf(text, sizeof text, "{\"n_steps\": %d%s}", steps, settings);
    assert_int_equal(options_of(context, sampler->options, sampler->option_count,
                                sampler->options_bytes, text, &group),
                     BASIN_OK);
    for (int i = 0; i < CHAINS * SIZE; i++)
        x[i] = (float)(0.5 + 0.5 * test_number((uint64_t)i));
    basin__chain_run run = {.sampler = sampler,
                            .options = group.values,
                            .energy = energy,
                            .seed = 3,
                            .first_draw = 11,
                            .tail = tail};
    assert_int_equal(basin__chains_run(&run, CHAINS, x), BASIN_OK);
    if (tail.step_count > 0) {
        static float end[CHAINS * SIZE];
        step_by_graph(energy, sampler, group.values, &tail, end);
        for (int i = 0; i < CHAINS * SIZE; i++)
            if (!(fabsf(end[i] - x[i]) <= 2e-6f))
                fail_msg("with %s chain %d goes to %g, and by the graph to %g", text, i / SIZE,
                         (double)x[i], (double)end[i]);
    }
    let_go(context, &group);
}

/*
 * The graph of a step goes where the sampler goes, whatever is clipped and kept in a box; what is
 * kept of a run is where a shorter one ends; and for any number of threads.
 */
static void test_steps(void **state) {
    (void)state;
    static const char *const clips[] = {"none", "element", "norm"};
    static const char *const boxes[] = {"none", "clamp", "reflect"};
    static float x[2][CHAINS * SIZE], before[2][CHAINS * SIZE], noise[2][CHAINS * KEPT * SIZE];
    static float plain[CHAINS * SIZE];
    const basin__sampler_def *sampler = basin__sampler_find("langevin");
    for (int i = 0; i < 18 + 1; i++) {
        char settings[200];
        for (int t = 0; t < 2; t++) {
            basin_context *context = test_context_on(NULL, t == 0 ? 1 : 3);
            basin_energy *energy;
            assert_int_equal(basin_energy_create(context, "mlp", "{\"hidden\": [24, 16]}", 1, 1,
                                                 SIZE, 3, &energy),
                             BASIN_OK);
            for (int j = 0; j < energy->parameters.count; j++)
                for (int64_t e = 0; e < basin_shape_count(energy->parameters.items[j].shape); e++)
                    energy->parameters.items[j].data[e] *= 3;
            /* the last one: no noise */
            snprintf(settings, sizeof settings,
                     ", \"gradient_clip\": \"%s\", \"gradient_clip_value\": 0.3, \"box\": \"%s\","
                     " \"noise_before\": %s, \"noise_std\": %s, \"step_size\": 0.3",
                     clips[i % 3], boxes[i / 3 % 3], i / 9 % 2 ? "true" : "false",
                     i == 18 ? "0" : "0.2");
            memset(noise[t], 0, sizeof noise[t]);
            const basin__chain_tail tail = {KEPT, before[t], noise[t]}, none = {0};
            walk_chains(energy, sampler, settings, STEPS, tail, x[t]);
            walk_chains(energy, sampler, settings, STEPS, none, plain);
            assert_memory_equal(plain, x[t], sizeof plain);
            walk_chains(energy, sampler, settings, STEPS - KEPT, none, plain);
            assert_memory_equal(plain, before[t], sizeof plain);
            basin_energy_destroy(energy);
            basin_context_destroy(context);
        }
        assert_memory_equal(x[0], x[1], sizeof x[0]);
        assert_memory_equal(before[0], before[1], sizeof before[0]);
        assert_memory_equal(noise[0], noise[1], sizeof noise[0]);
    }
}

/* ---- mistakes, memory ---- */

static void test_mistakes(void **state) {
    (void)state;
    static const struct {
        recipe of;
        const char *text;
    } wrong[] = {
        {{"", "mlp", "{}", "hmc", "{}", "{}", {1, 1, 1, 2}}, "those of hmc cannot be"},
        {{"", "mlp", "{}", "langevin", "{\"n_steps\": 2}", "{\"kl_steps\": 3}", {1, 1, 1, 2}},
         "kl-steps 3 is more than the 2 steps of a chain"},
    };
    basin_context *context = test_context_on(NULL, 1);
    for (size_t i = 0; i < BASIN_COUNT(wrong); i++) {
        parts p;
        assert_int_equal(make(context, &wrong[i].of, &p), BASIN_ERROR_CONFIG);
        if (!strstr(basin_context_error(context), wrong[i].text))
            fail_msg("\"%s\" should say \"%s\"", basin_context_error(context), wrong[i].text);
        unmake(context, &p);
    }
    basin_context_destroy(context);
}

static void test_every_allocation_may_fail(void **state) {
    (void)state;
    const recipe of = {"",          "mlp", "{\"hidden\": [2]}",
                       "langevin",  "{}",  "{\"class_conditional\": true}",
                       {1, 1, 1, 2}};
    long k = 0;
    for (bool is_past = false; !is_past; k++) {
        test_heap heap = {.fail_at = k};
        basin_context *context = test_context(&heap, 1);
        parts p;
        basin_status status = make(context, &of, &p);
        basin__neighbours all = {0};
        if (status == BASIN_OK)
            status = basin__neighbours_init(context, &all, 3, 2, 2);
        basin__neighbours_reset(&all);
        unmake(context, &p);
        is_past = !heap.has_failed;
        assert_int_equal(status, is_past ? BASIN_OK : BASIN_ERROR_MEMORY);
        assert_int_equal(heap.alive, heap.alive_at_start);
        basin_context_destroy(context);
    }
    assert_true(k > 50);
}

/* ---- neighbours ---- */

enum { SLOTS = 40, DRAWN = 25, LENGTH = 19 };

static double distance(const float *x, const float *y) {
    double sum = 0;
    for (int i = 0; i < LENGTH; i++)
        sum += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
    return sum;
}

/** No other chain of those drawn is nearer, and none of the own slot is taken. */
static void check_neighbours(const basin__neighbours *all, int n, const int32_t *own,
                             const float *x) {
    float found[SLOTS * LENGTH];
    basin__neighbours_find(all, n, own, x, found);
    for (int i = 0; i < n; i++) {
        double least = INFINITY;
        for (int j = 0; j < all->count; j++)
            if (all->slots[j] != (own ? own[i] : i))
                least = fmin(least, distance(x + i * LENGTH, all->x + j * LENGTH));
        assert_true(least > 0 && least < INFINITY);
        assert_true(fabs(distance(x + i * LENGTH, found + i * LENGTH) - least) < 1e-6 * least);
    }
}

static void test_neighbours(void **state) {
    (void)state;
    basin_context *context = test_context_on(NULL, 1);
    basin__buffer buffer;
    basin__neighbours all;
    float x[SLOTS * LENGTH], slot[LENGTH];
    int32_t own[BATCH] = {3, 0, 17, 39};
    for (int i = 0; i < SLOTS * LENGTH; i++)
        x[i] = (float)(0.5 + 0.5 * test_number((uint64_t)i));
    assert_int_equal(basin__buffer_init(context, &buffer, SLOTS, LENGTH, false, false, 0, 1, 5),
                     BASIN_OK);
    assert_int_equal(basin__neighbours_init(context, &all, DRAWN, BATCH, LENGTH), BASIN_OK);
    int drawn[SLOTS] = {0};
    for (uint64_t update = 0; update < 50; update++) {
        const basin__moment moment = {.seed = 2, .update = update};
        basin__neighbours_draw(&all, &buffer, &moment);
        assert_int_equal(all.count, DRAWN);
        for (int j = 0; j < DRAWN; j++) {
            basin__buffer_get(&buffer, all.slots[j], slot);
            assert_memory_equal(slot, all.x + j * LENGTH, sizeof slot);
            drawn[all.slots[j]]++;
        }
        check_neighbours(&all, BATCH, own, x);
        /* a chain's own former self is not its neighbour */
        basin__buffer_get(&buffer, all.slots[0], x);
        own[0] = all.slots[0];
        check_neighbours(&all, BATCH, own, x);
    }
    /* 1250 draws of 40: 31 each, deviation 5.5; outside of 6 of these once in 1e7 tests */
    for (int i = 0; i < SLOTS; i++)
        assert_true(drawn[i] > 0 && drawn[i] < 65);
    basin__neighbours_take(&all, BATCH, x);
    check_neighbours(&all, BATCH, NULL, x);
    float alone[LENGTH];
    basin__neighbours_take(&all, 1, x);
    basin__neighbours_find(&all, 1, NULL, x, alone);
    assert_memory_equal(alone, x, sizeof alone);
    basin__neighbours_reset(&all);
    basin__buffer_reset(&buffer);
    basin_context_destroy(context);
}

/* ---- augmented chains ---- */

enum { HEIGHT = 6, WIDTH = 5, CHANNELS = 3, PIXELS = HEIGHT * WIDTH, IMAGE = PIXELS * CHANNELS };

static void fill_image(float *x) {
    for (int i = 0; i < IMAGE; i++)
        x[i] = (float)(0.5 + 0.5 * test_number((uint64_t)i));
}

static void augment(const basin__augmentation *with, uint32_t chain, float low, float *x) {
    float scratch[IMAGE];
    const basin__draw draw = {.seed = 1, .draw = 2, .chain = chain, .purpose = 3};
    basin__augment(with, &draw, basin_shape_image(HEIGHT, WIDTH, CHANNELS), low, 1, x, scratch);
}

/** Whether `moved` is `x` moved by whole pixels and mirrored afterwards. */
static bool is_moved(const float *x, const float *moved, int dy, int dx, bool is_mirrored) {
    for (int row = 0; row < HEIGHT; row++)
        for (int column = 0; column < WIDTH; column++)
            for (int c = 0; c < CHANNELS; c++) {
                const int from_row = row - dy;
                const int from_column = (is_mirrored ? WIDTH - 1 - column : column) - dx;
                bool is_inside =
                    from_row >= 0 && from_row < HEIGHT && from_column >= 0 && from_column < WIDTH;
                float right =
                    is_inside ? x[(from_row * WIDTH + from_column) * CHANNELS + c] : -1.0f;
                if (fabsf(moved[(row * WIDTH + column) * CHANNELS + c] - right) > 1e-6f)
                    return false;
            }
    return true;
}

/* Each of the 18 movements is met: of 600 a given one is missing with a chance of 1e-15. */
static void test_movements(void **state) {
    (void)state;
    const basin__augmentation with = {.probability = 1, .shift = 1, .flip = true};
    float start[IMAGE], x[IMAGE];
    int met[18] = {0};
    fill_image(start);
    for (uint32_t i = 0; i < 600; i++) {
        int found = -1;
        memcpy(x, start, sizeof x);
        augment(&with, i, -1, x);
        for (int m = 0; m < 18; m++)
            if (is_moved(start, x, m % 3 - 1, m / 3 % 3 - 1, m / 9 == 1))
                found = m;
        if (found < 0)
            fail_msg("chain %d is moved in no allowed way", (int)i);
        met[found]++;
    }
    for (int m = 0; m < 18; m++)
        assert_true(met[m] > 0);
}

static void test_chance_and_range(void **state) {
    (void)state;
    const basin__augmentation with = {
        .probability = 0.25, .shift = 2, .scale = 0.3, .flip = true, .colour = 0.8};
    float start[IMAGE], x[IMAGE], again[IMAGE];
    int changed = 0;
    fill_image(start);
    for (uint32_t i = 0; i < 2000; i++) {
        memcpy(x, start, sizeof x);
        memcpy(again, start, sizeof x);
        augment(&with, i, 0, x);
        augment(&with, i, 0, again);
        assert_memory_equal(x, again, sizeof x);
        changed += memcmp(x, start, sizeof x) != 0;
        for (int j = 0; j < IMAGE; j++)
            assert_true(x[j] >= 0 && x[j] <= 1);
    }
    /* 500 expected, deviation 19.4: six of these */
    assert_true(changed > 384 && changed < 616);
}

/*
 * Colours alone, so faint that none is clamped: brightness scales the mean over all, contrast and
 * saturation leave it, and all three keep differences in proportion: x' = a x + b within a pixel.
 */
static void test_colours(void **state) {
    (void)state;
    const basin__augmentation with = {.probability = 1, .colour = 0.1};
    float start[IMAGE], x[IMAGE];
    double least = 2, most = 0;
    for (int i = 0; i < IMAGE; i++)
        start[i] = (float)(0.5 + 0.1 * test_number((uint64_t)i));
    double before = 0;
    for (int i = 0; i < IMAGE; i++)
        before += (double)start[i] / IMAGE;
    for (uint32_t i = 0; i < 200; i++) {
        double mean = 0;
        memcpy(x, start, sizeof x);
        augment(&with, i, 0, x);
        for (int j = 0; j < IMAGE; j++)
            mean += (double)x[j] / IMAGE;
        least = fmin(least, mean / before);
        most = fmax(most, mean / before);
        const double slope = ((double)x[1] - (double)x[0]) / ((double)start[1] - (double)start[0]);
        for (int p = 0; p < PIXELS; p++) {
            const float *to = x + p * CHANNELS, *from = start + p * CHANNELS;
            assert_true(fabs((double)to[1] - (double)to[0] -
                             slope * ((double)from[1] - (double)from[0])) < 1e-5);
        }
    }
    assert_true(least >= 0.9 - 1e-6 && least < 0.92 && most <= 1.1 + 1e-6 && most > 1.08);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pytorch),          cmocka_unit_test(test_steps),
        cmocka_unit_test(test_mistakes),         cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_neighbours),       cmocka_unit_test(test_movements),
        cmocka_unit_test(test_chance_and_range), cmocka_unit_test(test_colours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
