/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recovery likelihood: losses and gradients against PyTorch in float64 (numbers made by
 * tools/make_objective_fixture.py), chains bound to anchors against the conditional in closed form,
 * what training binds them to, runs that stop and go on, mistakes. (Walks down the levels are in
 * tests/test_samplers.c.)
 */
#include "base/cpu.h"
#include "fixture.h"
#include "mixture.h"
#include "objective/objective.h"
#include "train/trainer.h"
#include "train_support.h"

/** Options of a table from JSON over the defaults. */
static basin__option_group options_of(basin_context *context, const basin__option *table,
                                      size_t count, size_t bytes, const char *text) {
    basin__option_group group = {
        .options = table, .count = count, .values = basin__alloc(context, bytes)};
    json_t *settings = json_loads(text, 0, NULL);
    assert_non_null(settings);
    assert_int_equal(basin__options_default(context, &group), BASIN_OK);
    assert_int_equal(basin__options_from_json(context, &group, 1, settings), BASIN_OK);
    json_decref(settings);
    return group;
}

static void let_go(basin_context *context, basin__option_group *group) {
    basin__options_reset(context, group);
    basin__free(context, group->values);
}

static basin__option_group sampler_options(basin_context *context, const char *text) {
    const basin__sampler_def *sampler = basin__sampler_find("recovery-langevin");
    assert_non_null(sampler);
    basin__option_group group =
        options_of(context, sampler->options, sampler->option_count, sampler->options_bytes, text);
    assert_int_equal(basin__sampler_check(context, sampler, &group), BASIN_OK);
    return group;
}

/* ---- the loss against PyTorch ---- */

#define BATCH 5

/** A case of tools/make_objective_fixture.py. */
typedef struct fixture_case {
    const char *name, *network, *sampler, *objective;
    int size;
} fixture_case;

#define MLP "{\"hidden\": [12, 8], \"embedding\": 8, \"noise_conditional\": true"

static const fixture_case cases[] = {
    {"recovery", MLP ", \"energy_form\": \"residual\"}",
     "{\"sigma_min\": 0.05, \"sigma_max\": 10, \"levels\": 10}", "{}", 2},
    {"recovery_weighted",
     MLP ", \"energy_form\": \"scalar\", \"activation\": \"softplus\", \"classes\": 2}",
     "{\"sigma_min\": 0.2, \"sigma_max\": 4, \"levels\": 4, \"schedule\": \"karras\"}",
     "{\"noise_low\": 0.2, \"noise_high\": 4, \"square_weight\": 1.8, \"weight_power\": 1.5}", 3},
};

/** Fill the loss's sources; what the objective makes of others must come out as in PyTorch. */
static void fill_sources(const fixture_case *at, const basin__safetensors *file,
                         basin__loss *loss) {
    for (int made = 0; made < 2; made++) {
        for (int i = 0; i < loss->source_count; i++) {
            const basin__loss_input *source = &loss->sources[i];
            const int64_t count = BATCH * source->size;
            const bool is_made = source->kind == BASIN__SOURCE_ANCHOR ||
                                 source->kind == BASIN__SOURCE_ANCHOR_LEVEL ||
                                 source->kind == BASIN__SOURCE_ANCHOR_STD;
            const float *given =
                fixture_data(file, at->name, "source.", source->name, BASIN__DTYPE_F32, count);
            if (!is_made && !made)
                memcpy(source->data, given, (size_t)count * sizeof(float));
            for (int64_t j = 0; is_made && made && j < count; j++)
                if (!(fabsf(source->data[j] - given[j]) <= 1e-5f * (1 + fabsf(given[j]))))
                    fail_msg("%s: %s is made as %g, and %g is right", at->name, source->name,
                             (double)source->data[j], (double)given[j]);
        }
        for (int64_t i = 0; i < BATCH && !made; i++)
            loss->objective->make(loss, i);
    }
}

static void check_case(basin_context *context, const fixture_case *at,
                       const basin__safetensors *file) {
    const basin__objective_def *def = basin__objective_find("recovery-likelihood");
    basin__option_group walking = sampler_options(context, at->sampler);
    basin__option_group options =
        options_of(context, def->options, def->option_count, def->options_bytes, at->objective);
    basin_energy *energy;
    basin__loss *loss;
    assert_int_equal(basin_energy_create(context, "mlp", at->network, 1, 1, at->size, 1, &energy),
                     BASIN_OK);
    if (basin__loss_create_along(def, options.values, energy, BATCH,
                                 basin__sampler_find("recovery-langevin"), walking.values,
                                 &loss) != BASIN_OK)
        fail_msg("%s: %s", at->name, basin_context_error(context));
    fixture_fill(file, at->name, energy);
    fill_sources(at, file, loss);
    assert_int_equal(basin__loss_run(loss), BASIN_OK);
    fixture_compare_loss(file, at->name, loss);
    basin__loss_destroy(loss);
    basin_energy_destroy(energy);
    let_go(context, &options);
    let_go(context, &walking);
}

static void check_cases(basin_context *context, const basin__safetensors *file) {
    for (size_t i = 0; i < BASIN_COUNT(cases); i++)
        check_case(context, &cases[i], file);
}

static void test_pytorch(void **state) {
    (void)state;
    fixture_check(OBJECTIVE_FIXTURE, check_cases);
}

/* ---- the conditional in closed form ---- */

/** Walk n chains from their anchors. */
static basin__chain_run walk(basin_energy *energy, const char *text,
                             const basin__chain_anchors *anchors, int64_t n, float *x) {
    basin_context *context = energy->context;
    basin__option_group group = sampler_options(context, text);
    basin__chain_run run = {.sampler = basin__sampler_find("recovery-langevin"),
                            .options = group.values,
                            .energy = energy,
                            .seed = 3,
                            .first_draw = 70,
                            .anchors = *anchors};
    memcpy(x, anchors->x, (size_t)(n * basin_shape_count(energy->shape)) * sizeof *x);
    assert_int_equal(basin__chains_run(&run, n, x), BASIN_OK);
    let_go(context, &group);
    return run;
}

enum { SIZE = 16, KINDS = 3, CHAINS = 1500 * KINDS, NUMBERS = CHAINS / KINDS * SIZE };

/** Chain i is of kind i mod 3: its level, its anchor's deviation, its anchor. */
static const double levels[KINDS] = {0.2, 1, 3}, stds[KINDS] = {0.5, 0.3, 4},
                    places[KINDS] = {1.5, -0.75, 2};

/*
 * E of N(0.5, 0.7²) with noise: p(x | x̄) has the precision C = 1/V + 1/s², V = 0.49 + σ², and the
 * mean (0.5/V + x̄/s²) / C. From x̄ a step leads there by the factor a = 1 − εC/2, with noise of
 * variance ε.
 */
static void check_conditional(const float *x, int kind, double scale, int steps) {
    const double sigma = levels[kind], s = stds[kind];
    const double precision = 1 / (0.49 + sigma * sigma) + 1 / (s * s);
    const double centre = (0.5 / (0.49 + sigma * sigma) + places[kind] / (s * s)) / precision;
    const double step = scale * s * s * sigma * sigma / (sigma * sigma + s * s);
    const double a = 1 - 0.5 * step * precision, reached = pow(a, steps);
    const double wanted_mean = centre + reached * (places[kind] - centre);
    const double wanted = step * (1 - reached * reached) / (1 - a * a);
    double mean = 0, variance = 0;
    for (int i = kind; i < CHAINS; i += KINDS)
        for (int j = 0; j < SIZE; j++)
            mean += (double)x[i * SIZE + j] / NUMBERS;
    for (int i = kind; i < CHAINS; i += KINDS)
        for (int j = 0; j < SIZE; j++)
            variance += pow((double)x[i * SIZE + j] - mean, 2) / NUMBERS;
    /* 5 standard errors: a false alarm for one in 1.7 million seeds; the seed is fixed */
    if (!(fabs(mean - wanted_mean) < 5 * sqrt(wanted / NUMBERS)))
        fail_msg("kind %d, %d steps: the mean is %g, and %g is right", kind, steps, mean,
                 wanted_mean);
    if (!(fabs(variance / wanted - 1) < 5 * sqrt(2.0 / NUMBERS)))
        fail_msg("kind %d, %d steps: the variance is %g, and %g is right", kind, steps, variance,
                 wanted);
    if (steps < 100)
        return;
    /* the conditional itself, as near as steps of this size come */
    assert_true(fabs(mean - centre) < 6 * sqrt(wanted / NUMBERS));
    assert_true(fabs(variance * precision - 1) < 0.03 + 5 * sqrt(2.0 / NUMBERS));
}

/* Each chain at its own level with its own anchor, neither near convergence nor far from it. The
   guidance of the options and their box are not for bound chains. */
static void test_bound_chains_draw_the_conditional(void **state) {
    (void)state;
    static float anchors[CHAINS * SIZE], x[CHAINS * SIZE], chain_levels[CHAINS], chain_stds[CHAINS];
    const struct {
        double scale;
        int steps;
    } walks[] = {{0.5, 1}, {0.5, 3}, {0.1, 400}};
    mixture of = {.size = SIZE, .count = 1, .weight = {1}, .mean = {0.5}, .std = {0.7}};
    for (int i = 0; i < CHAINS; i++) {
        chain_levels[i] = (float)levels[i % KINDS];
        chain_stds[i] = (float)stds[i % KINDS];
        for (int j = 0; j < SIZE; j++)
            anchors[i * SIZE + j] = (float)places[i % KINDS];
    }
    const basin__chain_anchors bound = {anchors, chain_levels, chain_stds};
    basin_context *context = make_context(2);
    basin_energy *energy = mixture_make(context, &of);
    for (size_t w = 0; w < BASIN_COUNT(walks); w++) {
        char text[160];
        snprintf(text, sizeof text,
                 "{\"step_scale\": %g, \"level_steps\": %d, \"guidance\": 2, \"box\": \"clamp\"}",
                 walks[w].scale, walks[w].steps);
        const basin__chain_run run = walk(energy, text, &bound, CHAINS, x);
        for (int kind = 0; kind < KINDS; kind++)
            check_conditional(x, kind, walks[w].scale, walks[w].steps);
        double norm = 0; /* of ∇E alone, at the anchors */
        for (int kind = 0; kind < KINDS; kind++)
            norm += 4 * fabs(places[kind] - 0.5) / (0.49 + levels[kind] * levels[kind]) / KINDS;
        assert_true(walks[w].steps > 1 || fabs(run.gradient_norm - norm) < 1e-5 * norm);
    }
    basin_energy_destroy(energy);
    basin_context_destroy(context);
}

/* Of a network, several tiles and a partial one: the same bits for any number of threads, and
   without the chains behind. The mean gradient's norm counts the steps that were taken. */
static void test_threads_change_nothing(void **state) {
    (void)state;
    enum { WIDTH = 3 };
    float *first = NULL;
    for (int threads = 1; threads <= 3; threads += 2) {
        basin_context *context = make_context(threads);
        basin_energy *energy;
        assert_int_equal(basin_energy_create(context, "mlp",
                                             "{\"hidden\": [8], \"noise_conditional\": true}", 1, 1,
                                             WIDTH, 3, &energy),
                         BASIN_OK);
        assert_int_equal(basin__energy_ready(energy), BASIN_OK);
        const int n = 3 * basin__energy_tile(energy) + 5;
        float *numbers = calloc((size_t)n, (2 * WIDTH + 2) * sizeof *numbers);
        float *x = numbers, *anchors = x + n * WIDTH, *sigma = anchors + n * WIDTH, *s = sigma + n;
        for (int i = 0; i < n; i++) {
            sigma[i] = (float)(0.6 + 0.5 * test_number((uint64_t)i));
            s[i] = (float)(1 + 0.9 * test_number((uint64_t)(n + i)));
            for (int j = 0; j < WIDTH; j++)
                anchors[i * WIDTH + j] =
                    (float)(3 * test_number((uint64_t)(3 * n + i * WIDTH + j)));
        }
        const basin__chain_anchors bound = {anchors, sigma, s};
        walk(energy, "{\"level_steps\": 4}", &bound, n, x);
        if (first == NULL) {
            first = numbers;
        } else {
            assert_memory_equal(first, x, (size_t)(n * WIDTH) * sizeof *x);
            walk(energy, "{\"level_steps\": 4}", &bound, 7, x);
            assert_memory_equal(first, x, 7 * WIDTH * sizeof *x);
            free(numbers);
        }
        basin_energy_destroy(energy);
        basin_context_destroy(context);
    }
    free(first);
}

/* ---- training ---- */

#define SMALL                                                                                      \
    "\"objective\": \"recovery-likelihood\", \"network\": \"mlp\", \"noise_conditional\": true,"   \
    " \"hidden\": [8], \"embedding\": 4, \"level_steps\": 3, \"levels\": 5, \"noise_low\": 0.2,"   \
    " \"batch\": 33, \"log_every\": 4, \"sample_every\": 6, \"sample_count\": 4,"                  \
    " \"checkpoint_every\": 6, \"seed\": 7"

static basin_data *make_moons(basin_context *context) {
    basin_data_options options;
    basin_data_options_init(&options);
    options.built_in_count = 100;
    basin_data *data;
    assert_int_equal(basin_data_open(context, "two-moons", &options, &data), BASIN_OK);
    return data;
}

/** Points with classes 0 and 1. */
static basin_data *make_labelled(basin_context *context) {
    enum { COUNT = 40 };
    float x[2 * COUNT];
    int labels[COUNT];
    for (int i = 0; i < COUNT; i++) {
        labels[i] = i % 2;
        x[2 * i] = (float)(labels[i] + 0.1 * test_number((uint64_t)i));
        x[2 * i + 1] = (float)test_number((uint64_t)(COUNT + i));
    }
    basin_data *data;
    assert_int_equal(
        basin_data_from_memory(context, "pair", COUNT, 1, 1, 2, false, x, labels, &data), BASIN_OK);
    return data;
}

static basin_status make_trainer(basin_context *context, const basin_data *data, const char *text,
                                 basin__trainer **out) {
    json_t *settings = json_loads(text, 0, NULL);
    assert_non_null(settings);
    basin_status status = basin__trainer_create(context, settings, data, NULL, out);
    json_decref(settings);
    return status;
}

/* What chains are bound to and start from is x + s n' of the very x that the loss sees: y + σ n of
   the same sources. All levels but the highest are met, as often as a batch goes; s is of σ's step.
 */
static void check_anchors(const basin__trainer *trainer) {
    const basin__loss *loss = trainer->loss;
    const float *y = basin__loss_find(loss, "data"), *n = basin__loss_find(loss, "noise");
    const float *step = basin__loss_find(loss, "step");
    const double ratio = pow(50, 0.25); /* between levels, from 10 to 0.2 in five */
    int met[4] = {0};
    for (int64_t i = 0; i < trainer->batch; i++) {
        const double sigma = (double)trainer->anchors.noise_levels[i];
        const double s = (double)trainer->anchors.stds[i];
        const int level = (int)lround(log(sigma / 0.2) / log(ratio));
        assert_true(level >= 0 && level < 4);
        assert_true(fabs(sigma - 0.2 * pow(ratio, level)) < 1e-5 * sigma);
        assert_true(fabs(s - sigma * sqrt(ratio * ratio - 1)) < 1e-5 * s);
        met[level]++;
        for (int j = 0; j < 2; j++) {
            const int64_t at = 2 * i + j;
            const double right = (double)y[at] + sigma * (double)n[at] + s * (double)step[at];
            assert_true(fabs((double)trainer->anchors.x[at] - right) < 1e-5 * (1 + fabs(right)));
        }
    }
    for (int level = 0; level < 4; level++)
        assert_true(met[level] == trainer->batch / 4 || met[level] == trainer->batch / 4 + 1);
    assert_memory_equal(trainer->starts, trainer->anchors.x,
                        (size_t)(2 * trainer->batch) * sizeof(float));
}

static void test_chains_are_bound_to_their_examples(void **state) {
    (void)state;
    basin_context *context = make_context(2);
    basin_data *data = make_moons(context);
    basin__trainer *trainer;
    if (make_trainer(context, data, "{" SMALL "}", &trainer) != BASIN_OK)
        fail_msg("%s", basin_context_error(context));
    assert_int_equal(trainer->buffer.capacity, 0);
    assert_int_equal(basin__trainer_chain_steps(trainer), 3);
    assert_string_equal(trainer->config.sampler->name, "recovery-langevin");
    float before = 0;
    for (int update = 0; update < 3; update++) {
        assert_int_equal(basin__trainer_update(trainer), BASIN_OK);
        check_anchors(trainer);
        assert_true(fabsf(trainer->anchors.x[0] - before) > 0);
        before = trainer->anchors.x[0];
    }
    basin__trainer_destroy(trainer);
    basin_data_close(data);
    basin_context_destroy(context);
}

/* An example and its chain have the same class, or both none; the share of these is as asked for.
 */
static void test_classes(void **state) {
    (void)state;
    basin_context *context = make_context(1);
    basin_data *data = make_labelled(context);
    basin__trainer *trainer;
    int hidden = 0;
    if (make_trainer(context, data,
                     "{" SMALL ", \"classes\": 2, \"class_dropout\": 0.25, \"batch\": 40}",
                     &trainer) != BASIN_OK)
        fail_msg("%s", basin_context_error(context));
    for (int update = 0; update < 10; update++) {
        assert_int_equal(basin__trainer_update(trainer), BASIN_OK);
        for (int64_t i = 0; i < trainer->batch; i++) {
            const int label = (int)trainer->labels[i], chain = (int)trainer->chain_labels[i];
            assert_true(chain == label || chain == 2);
            hidden += chain == 2;
        }
    }
    /* 100 of 400 expected, deviation 8.7; the seed is fixed */
    assert_true(hidden > 56 && hidden < 144);
    basin__trainer_destroy(trainer);
    basin_data_close(data);
    basin_context_destroy(context);
}

/* A rolled-back update is drawn anew: levels, copies and steps. */
static void test_roll_backs(void **state) {
    (void)state;
    basin_context *context = make_context(1);
    basin_data *data = make_moons(context);
    basin__trainer *trainer;
    float anchors[2][66], ends[2][66];
    assert_int_equal(make_trainer(context, data, "{" SMALL "}", &trainer), BASIN_OK);
    assert_int_equal(basin__trainer_update(trainer), BASIN_OK);
    basin__guard_keep(trainer);
    for (int attempt = 0; attempt < 2; attempt++) {
        assert_int_equal(basin__trainer_update(trainer), BASIN_OK);
        memcpy(anchors[attempt], trainer->anchors.x, sizeof anchors[0]);
        memcpy(ends[attempt], trainer->chains, sizeof ends[0]);
        trainer->energy->parameters.items[0].data[0] = NAN;
        basin__energy_changed(trainer->energy);
        assert_int_equal(basin__trainer_update(trainer), BASIN_ERROR_DIVERGED);
        assert_int_equal(basin__guard_roll_back(trainer), BASIN_OK);
        assert_int_equal(trainer->progress.update, 1);
    }
    for (int i = 0; i < 66; i++) {
        assert_true(fabsf(anchors[0][i] - anchors[1][i]) > 0);
        assert_true(fabsf(ends[0][i] - ends[1][i]) > 0);
    }
    basin__trainer_destroy(trainer);
    basin_data_close(data);
    basin_context_destroy(context);
}

/*
 * A Gaussian of deviations 1 and 0.5 is learnt at the lowest level, 0.3: one deviation away to both
 * sides E is ½ (d/s)² higher on the mean, where noise has made d to s. (The short chains and the
 * weight of squares leave errors of 0.02 to 0.1; a fresh network is 0.35 or more off.)
 */
static void test_a_gaussian_is_learnt(void **state) {
    (void)state;
    enum { COUNT = 4096 };
    static float x[2 * COUNT];
    basin_context *context = make_context(2);
    const basin__draw draw = {.seed = 3, .purpose = BASIN__PURPOSE_EVALUATE};
    basin__cpu_kernels_for(basin__context_isa(context))->normal(x, COUNT, 2, &draw);
    for (int i = 0; i < COUNT; i++)
        x[2 * i + 1] *= 0.5f;
    basin_data *data;
    assert_int_equal(
        basin_data_from_memory(context, "gaussian", COUNT, 1, 1, 2, false, x, NULL, &data),
        BASIN_OK);
    basin_train_options options;
    basin_train_options_init(&options);
    options.settings =
        "{\"objective\": \"recovery-likelihood\", \"noise_conditional\": true,"
        " \"hidden\": [24, 24], \"noise_low\": 0.3, \"noise_high\": 4, \"levels\": 5,"
        " \"square_weight\": 0.004, \"updates\": 600, \"batch\": 256,"
        " \"learning_rate\": 5e-3, \"decay\": \"cosine\", \"average\": 0.98, \"box\": \"clamp\"}";
    options.data = options.held_out = data;
    basin_energy *energy;
    if (basin_train(context, &options, &energy) != BASIN_OK)
        fail_msg("%s", basin_context_error(context));
    const float points[10] = {0, 0, 1, 0, -1, 0, 0, 0.5f, 0, -0.5f};
    double energies[5];
    assert_int_equal(basin_energy_evaluate(energy, 5, points, energies, NULL), BASIN_OK);
    const double rises[2] = {0.5 * (energies[1] + energies[2]) - energies[0],
                             0.5 * (energies[3] + energies[4]) - energies[0]};
    const double right[2] = {0.5 / 1.09, 0.5 * 0.25 / 0.34};
    for (int i = 0; i < 2; i++)
        if (!(fabs(rises[i] - right[i]) < 0.15))
            fail_msg("E rises by %.3f along axis %d, and %.3f is right", rises[i], i, right[i]);
    assert_true(basin_energy_temperature(energy).is_exact); /* the box is of samples alone */
    assert_true(fabs(basin_energy_temperature(energy).value - 1) < 1e-12);
    basin_energy_destroy(energy);
    basin_data_close(data);
    basin_context_destroy(context);
}

typedef struct watcher {
    int64_t stop_at; /* −1: never */
    int reports;
} watcher;

static bool watch(void *user, const basin_train_progress *progress) {
    watcher *of = user;
    if (progress->is_report) {
        of->reports++;
        assert_true(isfinite(progress->loss) && isfinite(progress->energy_negative));
        assert_true(isnan(progress->energy_held_out) && isnan(progress->energy_noise));
    }
    return progress->update != of->stop_at;
}

static void run_part(int threads, const char *folder, basin_train_folder use, int64_t stop_at) {
    basin_context *context = make_context(threads);
    basin_data *data = make_moons(context);
    watcher of = {.stop_at = stop_at};
    basin_train_options options;
    basin_train_options_init(&options);
    options.settings = use == BASIN_TRAIN_RESUME ? "{}" : "{" SMALL ", \"updates\": 18}";
    options.data = options.held_out = data;
    options.folder = folder;
    options.folder_use = use;
    options.progress = watch;
    options.user = &of;
    const basin_status status = basin__train_with(context, &options, &stopped_clock, NULL);
    if (status != (stop_at < 0 ? BASIN_OK : BASIN_ERROR_CANCELLED))
        fail_msg("%s", basin_context_error(context));
    assert_true(of.reports > 0);
    basin_data_close(data);
    basin_context_destroy(context);
}

/* In one piece, stopped on and off the intervals, by one thread and by three: the same files. */
static void test_resume_is_exact(void **state) {
    (void)state;
    char root[64], whole[96], parts[96];
    test_folder_make(root);
    snprintf(whole, sizeof whole, "%s/whole", root);
    snprintf(parts, sizeof parts, "%s/parts", root);
    run_part(3, whole, BASIN_TRAIN_NEW, -1);
    run_part(1, parts, BASIN_TRAIN_NEW, 5);
    run_part(2, parts, BASIN_TRAIN_RESUME, 12);
    run_part(1, parts, BASIN_TRAIN_RESUME, -1);
    basin_context *context = make_context(1);
    assert_same_tree(context, whole, parts);
    basin_context_destroy(context);
    test_folder_remove(root);
}

/* ---- mistakes, memory ---- */

static void test_mistakes(void **state) {
    (void)state;
    static const struct {
        const char *more, *text;
    } wrong[] = {
        {"\"sampler\": \"ode\"", "sampler ode binds none: take sampler recovery-langevin"},
        {"\"chain_start\": \"buffer\"", "at a noisier copy of its example: leave chain-start away"},
        {"\"chain_start\": \"data\"", "leave chain-start away"},
        {"\"sigma_min\": 0.1", "from sigma-max 10 to sigma-min 0.1, and the objective's from "
                               "noise-high 10 to noise-low 0.05: give the latter alone"},
        {"\"sigma_max\": 20", "give the latter alone"},
        {"\"levels\": 1", "levels is 1: take 2 or more"},
        {"\"noise_low\": 10", "noise-low 10 is not below noise-high 10"},
        {"\"noise_conditional\": false", "needs a network that takes a noise level"},
        {"\"objective\": \"diffusion\", \"chain_start\": \"anchor\"",
         "chain-start anchor is for objectives that give chains anchors, and diffusion gives none"},
    };
    basin_context *context = make_context(1);
    basin_data *data = make_moons(context);
    for (size_t i = 0; i < BASIN_COUNT(wrong); i++) {
        char text[320];
        snprintf(text, sizeof text, "{%s}", wrong[i].more);
        json_t *others = json_loads(text, 0, NULL);
        json_t *settings = json_loads("{\"objective\": \"recovery-likelihood\","
                                      " \"noise_conditional\": true, \"hidden\": [4]}",
                                      0, NULL);
        assert_int_equal(json_object_update(settings, others), 0);
        basin__trainer *trainer;
        basin_status status = basin__trainer_create(context, settings, data, NULL, &trainer);
        if (status != BASIN_ERROR_CONFIG || !strstr(basin_context_error(context), wrong[i].text))
            fail_msg("%s gave %s: \"%s\"; wanted \"%s\"", wrong[i].more, basin_status_name(status),
                     basin_context_error(context), wrong[i].text);
        json_decref(settings);
        json_decref(others);
    }
    basin_data_close(data);
    basin_context_destroy(context);
}

static void test_every_allocation_may_fail(void **state) {
    (void)state;
    const float x[8] = {0, 0.5f, 1, 0, 1, 0, 0, 1};
    long k = 0;
    for (bool is_past = false; !is_past; k++) {
        test_heap heap = {.fail_at = k};
        basin_context *context = test_context(&heap, 1);
        basin_data *data = NULL;
        basin__trainer *trainer = NULL;
        basin_status status =
            basin_data_from_memory(context, "x", 4, 1, 1, 2, false, x, NULL, &data);
        if (status == BASIN_OK)
            status = make_trainer(context, data, "{" SMALL ", \"batch\": 4}", &trainer);
        if (status == BASIN_OK)
            status = basin__trainer_update(trainer);
        basin__trainer_destroy(trainer);
        basin_data_close(data);
        is_past = !heap.has_failed;
        assert_int_equal(status, is_past ? BASIN_OK : BASIN_ERROR_MEMORY);
        assert_int_equal(heap.alive, heap.alive_at_start);
        basin_context_destroy(context);
    }
    assert_true(k > 50);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pytorch),
        cmocka_unit_test(test_bound_chains_draw_the_conditional),
        cmocka_unit_test(test_threads_change_nothing),
        cmocka_unit_test(test_chains_are_bound_to_their_examples),
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_roll_backs),
        cmocka_unit_test(test_a_gaussian_is_learnt),
        cmocka_unit_test(test_resume_is_exact),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
