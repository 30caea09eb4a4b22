/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objectives: losses and parameter gradients against PyTorch in float64 (numbers made by
 * tools/make_objective_fixture.py), what they learn of a Gaussian, their fitted noise, their needs.
 */
#include "fixture.h"

#include "backend/cpu/kernels.h"
#include "base/cpu.h"
#include "io/safetensors.h"
#include "objective/mixture.h"
#include "objective/objective.h"
#include "rng/philox.h"
#include <basin/train.h>
#include <math.h>

#define BATCH 5

static basin_energy *energy_of(basin_context *context, const char *network, const char *options,
                               basin_shape shape) {
    basin_energy *energy;
    if (basin_energy_create(context, network, options, shape.height, shape.width, shape.channels, 1,
                            &energy) != BASIN_OK)
        fail_msg("%s", basin_context_error(context));
    return energy;
}

/** An objective with its options, from JSON over the defaults. */
typedef struct chosen {
    const basin__objective_def *def;
    basin__option_group options;
} chosen;

static basin_status choose(basin_context *context, const char *name, const char *text,
                           chosen *out) {
    out->def = basin__objective_find(name);
    assert_non_null(out->def);
    out->options = (basin__option_group){.options = out->def->options,
                                         .count = out->def->option_count,
                                         .values = basin__alloc(context, out->def->options_bytes)};
    if (out->options.values == NULL)
        return BASIN_ERROR_MEMORY;
    json_t *settings = json_loads(text, 0, NULL);
    basin_status status = basin__options_default(context, &out->options);
    if (status == BASIN_OK)
        status = basin__options_from_json(context, &out->options, 1, settings);
    json_decref(settings);
    return status;
}

static void let_go(basin_context *context, chosen *objective) {
    if (objective->options.values != NULL)
        basin__options_reset(context, &objective->options);
    basin__free(context, objective->options.values);
}

/* ---- PyTorch ---- */

/** A case of the generator's, in Basin's words. */
typedef struct fixture_case {
    const char *name, *network, *network_options, *objective, *options;
    basin_shape shape;
} fixture_case;

#define MLP(more) "mlp", "{\"hidden\": [12, 8], \"embedding\": 8" more "}"
#define CONV "conv", "{\"base_channels\": 2}"
#define AT_LEVELS(form, more)                                                                      \
    MLP(", \"noise_conditional\": true, \"energy_form\": \"" form "\"" more)

#define UNET(more) "unet", "{\"channels\": [6, 8], \"embedding\": 8, \"heads\": 2" more "}"

static const fixture_case cases[] = {
    {"cd", MLP(""), "cd", "{}", {1, 1, 1, 2}},
    {"score", MLP(""), "score-matching", "{}", {1, 1, 1, 2}},
    {"score_softplus", MLP(", \"activation\": \"softplus\""), "score-matching", "{}", {1, 1, 1, 3}},
    {"score_conv", CONV, "score-matching", "{}", {1, 4, 4, 2}},
    {"sliced", MLP(""), "sliced-score-matching", "{}", {1, 1, 1, 2}},
    {"sliced_gaussian",
     MLP(", \"activation\": \"tanh\", \"classes\": 3"),
     "sliced-score-matching",
     "{\"directions\": 2, \"direction_distribution\": \"gaussian\", \"class_dropout\": 0}",
     {1, 1, 1, 3}},
    {"sliced_reduced",
     MLP(", \"activation\": \"softplus\""),
     "sliced-score-matching",
     "{\"directions\": 3, \"variance_reduced\": true}",
     {1, 1, 1, 3}},
    {"sliced_sphere",
     MLP(""),
     "sliced-score-matching",
     "{\"direction_distribution\": \"sphere\", \"variance_reduced\": true}",
     {1, 1, 1, 4}},
    {"sliced_conv",
     CONV,
     "sliced-score-matching",
     "{\"directions\": 2, \"direction_distribution\": \"gaussian\"}",
     {1, 6, 8, 2}},
    {"denoising",
     MLP(", \"classes\": 2"),
     "denoising-score-matching",
     "{\"class_dropout\": 0}",
     {1, 1, 1, 2}},
    {"denoising_softplus",
     MLP(", \"activation\": \"softplus\""),
     "denoising-score-matching",
     "{\"noise_level\": 0.5}",
     {1, 1, 1, 3}},
    {"denoising_conv", CONV, "denoising-score-matching", "{\"noise_level\": 0.5}", {1, 6, 8, 2}},
    {"discrepancy", MLP(""), "energy-discrepancy", "{}", {1, 1, 1, 2}},
    {"discrepancy_bare",
     MLP(", \"activation\": \"softplus\""),
     "energy-discrepancy",
     "{\"perturbation_std\": 1, \"perturbations\": 3, \"stabiliser\": 0}",
     {1, 1, 1, 3}},
    {"discrepancy_conv",
     CONV,
     "energy-discrepancy",
     "{\"perturbations\": 2, \"stabiliser\": 2}",
     {1, 4, 4, 2}},
    {"nce", MLP(""), "nce", "{}", {1, 1, 1, 2}},
    {"nce_mixture",
     MLP(", \"activation\": \"softplus\""),
     "nce",
     "{\"noise_ratio\": 3, \"noise_components\": 4}",
     {1, 1, 1, 3}},
    {"nce_diagonal",
     MLP(", \"classes\": 2"),
     "nce",
     "{\"noise_ratio\": 2, \"noise_components\": 3, \"noise_covariance\": \"diagonal\", "
     "\"class_dropout\": 0}",
     {1, 1, 1, 2}},
    {"nce_conv", CONV, "nce", "{\"noise_ratio\": 1}", {1, 4, 4, 2}},
    {"conditional", MLP(""), "conditional-nce", "{}", {1, 1, 1, 2}},
    {"conditional_absolute",
     CONV,
     "conditional-nce",
     "{\"contrast_std\": 0.5, \"contrast_copies\": 2, \"contrast_unit\": \"absolute\"}",
     {1, 4, 4, 2}},
    {"diffusion_residual",
     AT_LEVELS("residual", ", \"data_std\": 0.7"),
     "diffusion",
     "{}",
     {1, 1, 1, 2}},
    {"diffusion_inner",
     AT_LEVELS("inner", ", \"activation\": \"softplus\""),
     "diffusion",
     "{}",
     {1, 1, 1, 2}},
    {"diffusion_norm", AT_LEVELS("norm", ", \"data_std\": 1.5"), "diffusion", "{}", {1, 1, 1, 2}},
    {"diffusion_scalar",
     AT_LEVELS("scalar", ", \"activation\": \"tanh\""),
     "diffusion",
     "{}",
     {1, 1, 1, 3}},
    {"flow_residual",
     AT_LEVELS("residual", ", \"classes\": 2"),
     "flow-matching",
     "{\"class_dropout\": 0}",
     {1, 1, 1, 2}},
    {"flow_inner",
     AT_LEVELS("inner", ", \"activation\": \"softplus\""),
     "flow-matching",
     "{\"time_distribution\": \"logit-normal\", \"time_mean\": -0.5, \"time_std\": 0.8}",
     {1, 1, 1, 3}},
    {"flow_norm",
     AT_LEVELS("norm", ""),
     "flow-matching",
     "{\"time_low\": 0.1, \"time_high\": 0.9}",
     {1, 1, 1, 2}},
    {"flow_scalar",
     AT_LEVELS("scalar", ", \"data_std\": 0.6"),
     "flow-matching",
     "{}",
     {1, 1, 1, 2}},
    {"unet", UNET(""), "diffusion", "{}", {1, 8, 8, 1}},
    {"unet_norm", UNET(", \"norm_groups\": 2"), "diffusion", "{}", {1, 8, 4, 2}},
    {"unet_attention",
     UNET(", \"norm_groups\": 2, \"attention\": [1], \"stem_stride\": 1"),
     "diffusion",
     "{}",
     {1, 4, 4, 1}},
    {"unet_inner",
     UNET(", \"energy_form\": \"inner\", \"classes\": 3"),
     "flow-matching",
     "{\"class_dropout\": 0}",
     {1, 4, 8, 1}},
    {"unet_norm2",
     UNET(", \"energy_form\": \"norm\", \"activation\": \"softplus\""),
     "diffusion",
     "{}",
     {1, 4, 4, 3}},
    {"unet_scalar",
     UNET(", \"energy_form\": \"scalar\", \"norm_groups\": 2"),
     "diffusion",
     "{}",
     {1, 8, 8, 1}},
    {"unet_logits",
     UNET(", \"norm_groups\": 2, \"logits\": 3"),
     "diffusion",
     "{\"class_weight\": 0.5, \"class_dropout\": 0.4}",
     {1, 4, 8, 1}},
};

static void check_case(basin_context *context, const fixture_case *at,
                       const basin__safetensors *file) {
    basin_energy *energy = energy_of(context, at->network, at->network_options, at->shape);
    chosen objective;
    basin__loss *loss;
    assert_int_equal(choose(context, at->objective, at->options, &objective), BASIN_OK);
    if (basin__loss_create(objective.def, objective.options.values, energy, BATCH, &loss) !=
        BASIN_OK)
        fail_msg("%s: %s", at->name, basin_context_error(context));
    fixture_fill(file, at->name, energy);
    fixture_fill_sources(file, at->name, loss);
    assert_int_equal(basin__loss_run(loss), BASIN_OK);
    fixture_compare_loss(file, at->name, loss);
    basin__loss_destroy(loss);
    let_go(context, &objective);
    basin_energy_destroy(energy);
}

static void check_cases(basin_context *context, const basin__safetensors *file) {
    for (size_t i = 0; i < BASIN_COUNT(cases); i++)
        check_case(context, &cases[i], file);
}

static void test_pytorch(void **state) {
    (void)state;
    fixture_check(OBJECTIVE_FIXTURE, check_cases);
}

/** Compared in tests/test_classify.c, test_improved_cd.c, test_recovery.c: they need more than an
 * energy. */
static const char *const compared_elsewhere[] = {"classify", "jem", "improved-cd",
                                                 "recovery-likelihood"};

/** No objective is without a case above. */
static void test_all_are_compared(void **state) {
    (void)state;
    for (int i = 0; i < basin__objective_count; i++) {
        bool is_there = false;
        for (size_t e = 0; e < BASIN_COUNT(compared_elsewhere); e++)
            is_there |= strcmp(compared_elsewhere[e], basin__objectives[i]->name) == 0;
        for (size_t c = 0; c < BASIN_COUNT(cases); c++)
            is_there |= strcmp(cases[c].objective, basin__objectives[i]->name) == 0;
        if (!is_there)
            fail_msg("objective %s has no case here and in tools/make_objective_fixture.py",
                     basin__objectives[i]->name);
    }
}

/* ---- learning ---- */

#define GAUSSIAN_COUNT 4096
#define STD_X 1.0
#define STD_Y 0.5

/** Points of a Gaussian around (0.5, -0.25), of deviations 1 and 0.5, from a fixed stream. */
static basin_data *make_gaussian(basin_context *context) {
    static float x[2 * GAUSSIAN_COUNT];
    const basin__cpu_kernels *kernels = basin__cpu_kernels_for(basin__context_isa(context));
    const basin__draw draw = {.seed = 3, .purpose = BASIN__PURPOSE_EVALUATE};
    kernels->normal(x, GAUSSIAN_COUNT, 2, &draw);
    for (int i = 0; i < GAUSSIAN_COUNT; i++) {
        x[2 * i] = 0.5f + (float)STD_X * x[2 * i];
        x[2 * i + 1] = -0.25f + (float)STD_Y * x[2 * i + 1];
    }
    basin_data *data;
    assert_int_equal(
        basin_data_from_memory(context, "gaussian", GAUSSIAN_COUNT, 1, 1, 2, false, x, NULL, &data),
        BASIN_OK);
    return data;
}

static basin_energy *train_on(basin_context *context, const basin_data *data, const char *more) {
    char settings[512];
    snprintf(settings, sizeof settings,
             "{\"network\": \"mlp\", \"hidden\": [24, 24], \"updates\": 600, \"batch\": 256,"
             " \"learning_rate\": 1e-2, \"decay\": \"cosine\", \"sample_every\": 0, %s}",
             more);
    basin_train_options options;
    basin_train_options_init(&options);
    options.settings = settings;
    options.data = options.held_out = data;
    basin_energy *energy;
    if (basin_train(context, &options, &energy) != BASIN_OK)
        fail_msg("%s: %s", more, basin_context_error(context));
    return energy;
}

/** E one deviation to each side, less E in the middle, is ½ (σ/s)² where noise has made σ to s. */
static void check_gaussian(const char *settings, double noise) {
    basin_context *context = test_context_on(NULL, 2);
    basin_data *data = make_gaussian(context);
    basin_energy *energy = train_on(context, data, settings);
    const float places[10] = {0.5f, -0.25f, 1.5f, -0.25f, -0.5f, -0.25f, 0.5f, 0.25f, 0.5f, -0.75f};
    double energies[5];
    assert_int_equal(basin_energy_evaluate(energy, 5, places, energies, NULL), BASIN_OK);
    const double x = 0.5 * STD_X * STD_X / (STD_X * STD_X + noise * noise);
    const double y = 0.5 * STD_Y * STD_Y / (STD_Y * STD_Y + noise * noise);
    for (int i = 1; i < 5; i++) {
        const double right = i < 3 ? x : y, found = energies[i] - energies[0];
        if (!(fabs(found - right) < 0.15))
            fail_msg("%s: E rises by %.3f to place %d, and %.3f is right", settings, found, i,
                     right);
    }
    basin_energy_destroy(energy);
    basin_data_close(data);
    basin_context_destroy(context);
}

static void test_a_gaussian_is_learnt(void **state) {
    (void)state;
    check_gaussian("\"objective\": \"score-matching\"", 0);
    check_gaussian("\"objective\": \"sliced-score-matching\", \"variance_reduced\": true", 0);
    check_gaussian("\"objective\": \"denoising-score-matching\", \"noise_level\": 0.3", 0.3);
    check_gaussian("\"objective\": \"energy-discrepancy\", \"perturbation_std\": 0.5", 0);
    check_gaussian("\"objective\": \"nce\", \"noise_components\": 2", 0);
    check_gaussian("\"objective\": \"conditional-nce\", \"contrast_std\": 0.6", 0);
    check_gaussian("\"objective\": \"flow-matching\", \"noise_conditional\": true,"
                   " \"time_low\": 0.2",
                   0.25); /* points are evaluated at the lowest level, 0.2 / 0.8 */
}

/** The constant of E learns log Z: exp(−E) has the integral 1. */
static void test_nce_is_normalised(void **state) {
    (void)state;
    enum { SIDE = 80 };
    static float places[2 * SIDE * SIDE];
    static double energies[SIDE * SIDE];
    basin_context *context = test_context_on(NULL, 2);
    basin_data *data = make_gaussian(context);
    basin_energy *energy = train_on(context, data, "\"objective\": \"nce\"");
    const double step = 8.0 / SIDE;
    for (int i = 0; i < SIDE * SIDE; i++) {
        places[2 * i] = (float)(-3.5 + step * (i % SIDE + 0.5));
        places[2 * i + 1] = (float)(-4 + step * (i / SIDE + 0.5));
    }
    assert_int_equal(basin_energy_evaluate(energy, SIDE * SIDE, places, energies, NULL), BASIN_OK);
    double sum = 0;
    for (int i = 0; i < SIDE * SIDE; i++)
        sum += exp(-energies[i]) * step * step;
    if (!(fabs(log(sum)) < 0.1))
        fail_msg("the integral of exp(-E) is %.3f, not 1", sum);
    basin_energy_destroy(energy);
    basin_data_close(data);
    basin_context_destroy(context);
}

/* ---- fitted noise ---- */

#define CLUSTER_COUNT 1000

/** A long cluster of 300 about (-4, 1) and a round one of 700 about (3, 0): exact moments. */
static void cluster_point(const void *user, int64_t index, float *x) {
    (void)user;
    const bool is_first = index % 10 < 3;
    const double angle = 2.399963 * (double)index;
    const double u = 1.5 * cos(angle), v = 0.5 * sin(angle);
    x[0] = (float)(is_first ? -4 + u + v : 3 + v);
    x[1] = (float)(is_first ? 1 + u - v : 0.5 * cos(angle));
}

static const basin__examples clusters = {.count = CLUSTER_COUNT, .size = 2, .get = cluster_point};

/** Mean and covariance of the points of one cluster, or of all (−1). */
static double moments(int cluster, double mean[2], double covariance[3]) {
    double count = 0, sum[5] = {0};
    for (int64_t i = 0; i < CLUSTER_COUNT; i++) {
        float x[2];
        if (cluster >= 0 && (i % 10 < 3) != (cluster == 0))
            continue;
        cluster_point(NULL, i, x);
        count++;
        for (int j = 0; j < 2; j++)
            sum[j] += (double)x[j];
        sum[2] += (double)x[0] * (double)x[0];
        sum[3] += (double)x[0] * (double)x[1];
        sum[4] += (double)x[1] * (double)x[1];
    }
    for (int j = 0; j < 2; j++)
        mean[j] = sum[j] / count;
    covariance[0] = sum[2] / count - mean[0] * mean[0];
    covariance[1] = sum[3] / count - mean[0] * mean[1];
    covariance[2] = sum[4] / count - mean[1] * mean[1];
    return count / CLUSTER_COUNT;
}

static void expect_component(const basin__mixture *mixture, int k, int cluster) {
    double mean[2], covariance[3], whole_mean[2], whole[3];
    const double weight = moments(cluster, mean, covariance);
    moments(-1, whole_mean, whole);
    const double floor = 0.5e-3 * (whole[0] + whole[2]); /* a thousandth of the mean variance */
    const double *l = mixture->factors + 4 * k;
    assert_true(fabs(mixture->weights[k] - weight) < 2e-3);
    assert_true(fabs(mixture->means[2 * k] - mean[0]) < 1e-3);
    assert_true(fabs(mixture->means[2 * k + 1] - mean[1]) < 1e-3);
    assert_true(fabs(l[0] * l[0] - covariance[0] - floor) < 2e-3);
    assert_true(fabs(l[0] * l[2] - covariance[1]) < 2e-3);
    assert_true(fabs(l[2] * l[2] + l[3] * l[3] - covariance[2] - floor) < 2e-3);
    assert_true(fabs(basin__mixture_log_det(mixture, k) - log(l[0] * l[3])) < 1e-12);
}

static void test_mixtures(void **state) {
    (void)state;
    basin_context *context = test_context_on(NULL, 1);
    basin__mixture one = {.context = context, .count = 1, .is_full = true};
    basin__mixture two = {.context = context, .count = 2, .is_full = true};
    basin__mixture again = two;
    assert_int_equal(basin__mixture_fit(&one, &clusters), BASIN_OK);
    expect_component(&one, 0, -1);
    assert_int_equal(basin__mixture_fit(&two, &clusters), BASIN_OK);
    const int first = two.means[0] < 0 ? 0 : 1;
    expect_component(&two, first, 0);
    expect_component(&two, 1 - first, 1);
    assert_int_equal(basin__mixture_fit(&again, &clusters), BASIN_OK);
    assert_memory_equal(two.factors, again.factors, 8 * sizeof(double));
    basin__mixture many = {.context = context, .count = (int)clusters.count, .is_full = true};
    assert_int_equal(basin__mixture_fit(&many, &clusters), BASIN_ERROR_CONFIG);
    basin__mixture_reset(&many);
    basin__mixture_reset(&one);
    basin__mixture_reset(&two);
    basin__mixture_reset(&again);
    basin_context_destroy(context);
}

/** −∫ p log p of a mixture whose components hardly meet. */
static double entropy_of(const basin__mixture *mixture) {
    double sum = 0;
    for (int k = 0; k < mixture->count; k++)
        sum +=
            mixture->weights[k] * (1 + log(2 * 3.14159265358979) +
                                   basin__mixture_log_det(mixture, k) - log(mixture->weights[k]));
    return sum;
}

/*
 * With E = 0, one noise example and an x far away the loss is softplus(−log p(y)): it tells the
 * density at a draw. The mean of −log p over draws is the entropy: 4096 draws miss it by 1/64 (one
 * deviation), and 0.08 is passed with a chance below 1e-6.
 */
static void check_draws(int count, bool is_full) {
    enum { DRAWS = 4096 };
    char options[128];
    snprintf(options, sizeof options,
             "{\"noise_ratio\": 1, \"noise_components\": %d, \"noise_covariance\": \"%s\"}", count,
             is_full ? "full" : "diagonal");
    basin_context *context = test_context_on(NULL, 1);
    basin_energy *energy =
        energy_of(context, "mlp", "{\"hidden\": [4]}", (basin_shape){1, 1, 1, 2});
    basin__mixture mixture = {.context = context, .count = count, .is_full = is_full};
    chosen nce;
    basin__loss *loss;
    assert_int_equal(choose(context, "nce", options, &nce), BASIN_OK);
    assert_int_equal(basin__loss_create(nce.def, nce.options.values, energy, DRAWS, &loss),
                     BASIN_OK);
    assert_int_equal(nce.def->fit(nce.options.values, loss, &clusters), BASIN_OK);
    assert_int_equal(basin__mixture_fit(&mixture, &clusters), BASIN_OK);
    for (int i = 0; i < energy->parameters.count; i++)
        memset(energy->parameters.items[i].data, 0,
               (size_t)basin_shape_count(energy->parameters.items[i].shape) * sizeof(float));
    basin__energy_changed(energy);
    basin__loss_fill(loss, 5, 1, 0);
    float *x = basin__loss_find(loss, "data");
    for (int i = 0; i < 2 * DRAWS; i++)
        x[i] = 1e3f;
    assert_int_equal(basin__loss_run(loss), BASIN_OK);
    double mean = 0;
    for (int i = 0; i < DRAWS; i++)
        mean += log(expm1((double)loss->losses[i])) / DRAWS;
    const double right = entropy_of(&mixture);
    if (!(fabs(mean - right) < 0.08))
        fail_msg("%s: the mean of -log p over draws is %.3f, the entropy %.3f", options, mean,
                 right);
    basin__mixture_reset(&mixture);
    basin__loss_destroy(loss);
    let_go(context, &nce);
    basin_energy_destroy(energy);
    basin_context_destroy(context);
}

static void test_noise_has_its_density(void **state) {
    (void)state;
    check_draws(1, true);
    check_draws(1, false);
    check_draws(2, true);
    check_draws(2, false);
}

/** The unit of conditional NCE's noise is the data's deviation, with the noise it gets. */
static void test_contrast_is_of_the_data(void **state) {
    (void)state;
    basin_context *context = test_context_on(NULL, 1);
    basin_energy *energy =
        energy_of(context, "mlp", "{\"hidden\": [4]}", (basin_shape){1, 1, 1, 2});
    basin__examples noisy = clusters;
    noisy.noise_std = 2;
    double mean[2], covariance[3];
    chosen objective;
    basin__loss *loss;
    assert_int_equal(choose(context, "conditional-nce", "{\"contrast_std\": 0.5}", &objective),
                     BASIN_OK);
    assert_int_equal(basin__loss_create(objective.def, objective.options.values, energy, 2, &loss),
                     BASIN_OK);
    assert_int_equal(objective.def->fit(objective.options.values, loss, &noisy), BASIN_OK);
    moments(-1, mean, covariance);
    assert_true(fabs((double)*basin__loss_find(loss, "contrast_std") -
                     0.5 * sqrt((covariance[0] + covariance[2]) / 2 + 4)) < 1e-5);
    basin__loss_destroy(loss);
    let_go(context, &objective);
    basin_energy_destroy(energy);
    basin_context_destroy(context);
}

static void same_point(const void *user, int64_t index, float *x) {
    (void)user, (void)index;
    x[0] = x[1] = 1;
}

static void test_alike_examples_are_refused(void **state) {
    (void)state;
    static const char *const names[] = {"nce", "conditional-nce"};
    const basin__examples alike = {.count = 10, .size = 2, .get = same_point};
    basin_context *context = test_context_on(NULL, 1);
    basin_energy *energy =
        energy_of(context, "mlp", "{\"hidden\": [4]}", (basin_shape){1, 1, 1, 2});
    for (size_t i = 0; i < BASIN_COUNT(names); i++) {
        chosen objective;
        basin__loss *loss;
        assert_int_equal(choose(context, names[i], "{}", &objective), BASIN_OK);
        assert_int_equal(
            basin__loss_create(objective.def, objective.options.values, energy, 2, &loss),
            BASIN_OK);
        assert_int_equal(objective.def->fit(objective.options.values, loss, &alike),
                         BASIN_ERROR_CONFIG);
        assert_non_null(strstr(basin_context_error(context), "all examples are alike"));
        basin__loss_destroy(loss);
        let_go(context, &objective);
    }
    basin_energy_destroy(energy);
    basin_context_destroy(context);
}

/** A fresh unet of each form of energy has something to learn from. */
static void test_fresh_unets_learn(void **state) {
    (void)state;
    static const char *const forms[] = {"residual", "inner", "norm", "scalar"};
    basin_context *context = test_context_on(NULL, 1);
    for (size_t f = 0; f < BASIN_COUNT(forms); f++) {
        char options[96];
        snprintf(options, sizeof options, "{\"channels\": [4, 6], \"energy_form\": \"%s\"}",
                 forms[f]);
        basin_energy *energy = energy_of(context, "unet", options, (basin_shape){1, 4, 4, 1});
        chosen objective;
        basin__loss *loss;
        assert_int_equal(choose(context, "diffusion", "{}", &objective), BASIN_OK);
        assert_int_equal(
            basin__loss_create(objective.def, objective.options.values, energy, BATCH, &loss),
            BASIN_OK);
        float *data = basin__loss_find(loss, "data");
        for (int i = 0; i < BATCH * 16; i++)
            data[i] = (float)test_number((uint64_t)i);
        basin__loss_fill(loss, 1, 0, 0);
        assert_int_equal(basin__loss_run(loss), BASIN_OK);
        double square = 0;
        for (int p = 0; p < energy->parameters.count; p++)
            for (int64_t i = 0; i < basin_shape_count(energy->parameters.items[p].shape); i++)
                square += (double)loss->gradients[p][i] * (double)loss->gradients[p][i];
        if (!(square > 1e-6))
            fail_msg("energy form %s: a gradient of norm %g", forms[f], sqrt(square));
        basin__loss_destroy(loss);
        let_go(context, &objective);
        basin_energy_destroy(energy);
    }
    basin_energy *none;
    assert_int_equal(basin_energy_create(context, "unet",
                                         "{\"channels\": [4, 6], \"attention\": [2]}", 4, 4, 1, 1,
                                         &none),
                     BASIN_ERROR_CONFIG);
    assert_non_null(strstr(basin_context_error(context), "at level 2, and unet has 2 levels"));
    basin_context_destroy(context);
}

/* ---- needs ---- */

/** A loss that a network cannot have, and what is said of it. */
static const struct {
    const char *objective, *options, *network, *network_options;
    basin_shape shape;
    const char *message;
} wrong[] = {
    {"score-matching",
     "{}",
     "mlp",
     "{\"activation\": \"relu\"}",
     {1, 1, 1, 2},
     "are zero with this activation: take --activation silu"},
    {"sliced-score-matching",
     "{}",
     "mlp",
     "{\"activation\": \"leaky-relu\"}",
     {1, 1, 1, 2},
     "needs an energy with second derivatives"},
    {"score-matching",
     "{}",
     "mlp",
     "{\"noise_conditional\": true}",
     {1, 1, 1, 2},
     "leave --noise-conditional away"},
    {"score-matching",
     "{}",
     "mlp",
     "{\"hidden\": [4]}",
     {1, 1, 1, 65},
     "at most 64 dimensions, and an example has 65: take sliced-score-matching"},
    {"denoising-score-matching",
     "{}",
     "mlp",
     "{\"noise_conditional\": true}",
     {1, 1, 1, 2},
     "leave --noise-conditional away"},
    {"energy-discrepancy",
     "{}",
     "mlp",
     "{\"noise_conditional\": true}",
     {1, 1, 1, 2},
     "leave --noise-conditional away"},
    {"nce",
     "{}",
     "mlp",
     "{\"noise_conditional\": true}",
     {1, 1, 1, 2},
     "leave --noise-conditional away"},
    {"nce",
     "{}",
     "mlp",
     "{\"hidden\": [2]}",
     {1, 1, 1, 1025},
     "a Gaussian in at most 1024 dimensions, and an example has 1025: take --noise-covariance "
     "diagonal"},
    {"nce",
     "{\"noise_components\": 2}",
     "mlp",
     "{\"hidden\": [2]}",
     {1, 1, 1, 65},
     "a mixture in at most 64 dimensions"},
    {"conditional-nce",
     "{}",
     "mlp",
     "{\"noise_conditional\": true}",
     {1, 1, 1, 2},
     "leave --noise-conditional away"},
    {"flow-matching", "{}", "mlp", "{}", {1, 1, 1, 2}, "needs a network that takes a noise level"},
    {"recovery-likelihood",
     "{}",
     "mlp",
     "{\"noise_conditional\": true}",
     {1, 1, 1, 2},
     "sampler none binds none: take sampler recovery-langevin"},
    {"flow-matching",
     "{\"time_low\": 0.5, \"time_high\": 0.5}",
     "mlp",
     "{\"noise_conditional\": true}",
     {1, 1, 1, 2},
     "time-low 0.5 is not below time-high 0.5"},
    {"diffusion",
     "{\"class_weight\": 1}",
     "mlp",
     "{\"noise_conditional\": true}",
     {1, 1, 1, 2},
     "objective diffusion needs labels"},
};

static void test_unmet_needs(void **state) {
    (void)state;
    basin_context *context = test_context_on(NULL, 1);
    for (size_t i = 0; i < BASIN_COUNT(wrong); i++) {
        basin_energy *energy =
            energy_of(context, wrong[i].network, wrong[i].network_options, wrong[i].shape);
        chosen objective;
        basin__loss *loss = NULL;
        assert_int_equal(choose(context, wrong[i].objective, wrong[i].options, &objective),
                         BASIN_OK);
        const void *options = objective.options.values;
        basin_status status =
            objective.def->check != NULL ? objective.def->check(context, options) : BASIN_OK;
        if (status == BASIN_OK)
            status = basin__objective_check(objective.def, options, energy, 0);
        if (status == BASIN_OK)
            status = basin__loss_create(objective.def, options, energy, 2, &loss);
        if (status != BASIN_ERROR_CONFIG ||
            strstr(basin_context_error(context), wrong[i].message) == NULL)
            fail_msg("%s with %s %s gave %s: \"%s\"; wanted \"%s\"", wrong[i].objective,
                     wrong[i].network, wrong[i].network_options, basin_status_name(status),
                     basin_context_error(context), wrong[i].message);
        assert_null(loss);
        let_go(context, &objective);
        basin_energy_destroy(energy);
    }
    basin_context_destroy(context);
}

/* ---- memory ---- */

static basin_status make_and_fit(basin_context *context, const fixture_case *at) {
    chosen objective = {0};
    basin_energy *energy = NULL;
    basin__loss *loss = NULL;
    basin_status status = choose(context, at->objective, at->options, &objective);
    if (status == BASIN_OK)
        status = basin_energy_create(context, at->network, at->network_options, 1, 1,
                                     at->shape.channels, 1, &energy);
    if (status == BASIN_OK)
        status = basin__objective_check(objective.def, objective.options.values, energy,
                                        energy->condition.class_count);
    if (status == BASIN_OK)
        status = basin__loss_create(objective.def, objective.options.values, energy, 2, &loss);
    if (status == BASIN_OK && objective.def->fit != NULL)
        status = objective.def->fit(objective.options.values, loss, &clusters);
    basin__loss_destroy(loss);
    basin_energy_destroy(energy);
    let_go(context, &objective);
    return status;
}

static void test_every_allocation_may_fail(void **state) {
    (void)state;
    static const fixture_case small[] = {
        {NULL,
         "mlp",
         "{\"hidden\": [2]}",
         "nce",
         "{\"noise_ratio\": 1, \"noise_components\": 2}",
         {1, 1, 1, 2}},
        {NULL,
         "mlp",
         "{\"hidden\": [2]}",
         "conditional-nce",
         "{\"contrast_copies\": 1}",
         {1, 1, 1, 2}},
        {NULL, "mlp", "{\"hidden\": [2]}", "sliced-score-matching", "{}", {1, 1, 1, 2}},
        {NULL,
         "mlp",
         "{\"hidden\": [2], \"noise_conditional\": true}",
         "flow-matching",
         "{}",
         {1, 1, 1, 2}},
    };
    for (size_t i = 0; i < BASIN_COUNT(small); i++)
        for (long k = 0;; k++) {
            test_heap heap = {.fail_at = k};
            basin_context *context = test_context(&heap, 1);
            basin_status status = make_and_fit(context, &small[i]);
            if (heap.alive != heap.alive_at_start)
                fail_msg("%s: allocation %ld failed, and %ld were lost", small[i].objective, k,
                         heap.alive - heap.alive_at_start);
            basin_context_destroy(context);
            if (!heap.has_failed) {
                assert_int_equal(status, BASIN_OK);
                break;
            }
            if (status != BASIN_ERROR_MEMORY)
                fail_msg("%s: allocation %ld failed, and the status is %s", small[i].objective, k,
                         basin_status_name(status));
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pytorch),
        cmocka_unit_test(test_all_are_compared),
        cmocka_unit_test(test_mixtures),
        cmocka_unit_test(test_noise_has_its_density),
        cmocka_unit_test(test_contrast_is_of_the_data),
        cmocka_unit_test(test_alike_examples_are_refused),
        cmocka_unit_test(test_fresh_unets_learn),
        cmocka_unit_test(test_unmet_needs),
        cmocka_unit_test(test_a_gaussian_is_learnt),
        cmocka_unit_test(test_nce_is_normalised),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
