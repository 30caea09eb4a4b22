/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compositions of models: what they compute of their parts, conditions handed down, gradients, and
 * chains on them against quadrature. Statistics of n independent chains are allowed 5 standard
 * errors, which is a false alarm for one in 1.7 million seeds a bound; the seeds are fixed.
 */
#include "base/number.h"
#include "energy/energy.h"
#include "eval/score.h"
#include "mixture.h"
#include <basin/sample.h>

/* ---- models, in a folder ---- */

typedef struct shelf {
    char folder[64];
    basin_context *context;
} shelf;

static shelf shelf_open(int threads) {
    shelf on = {.context = make_context(threads)};
    test_folder_make(on.folder);
    return on;
}

static void shelf_close(shelf *on) {
    basin_context_destroy(on->context);
    test_folder_remove(on->folder);
}

/** A network with parameters from a seed (0: all zero), saved under a name. */
static void put(const shelf *on, const char *name, const char *network, const char *options,
                int side, int channels, uint64_t seed, const char *key, const char *value) {
    basin_energy *energy;
    char path[128];
    if (basin_energy_create(on->context, network, options, side, side, channels, seed, &energy) !=
        BASIN_OK)
        fail_msg("%s", basin_context_error(on->context));
    for (int i = 0; seed == 0 && i < energy->parameters.count; i++)
        memset(energy->parameters.items[i].data, 0,
               (size_t)basin_shape_count(energy->parameters.items[i].shape) * sizeof(float));
    if (energy->condition.noise_level) {
        assert_int_equal(basin__energy_note(energy, "noise_level_low", "0.05"), BASIN_OK);
        assert_int_equal(basin__energy_note(energy, "noise_level_high", "10"), BASIN_OK);
    }
    if (key)
        assert_int_equal(basin__energy_note(energy, key, "%s", value), BASIN_OK);
    snprintf(path, sizeof path, "%s/%s", on->folder, name);
    assert_int_equal(basin_energy_save(energy, path), BASIN_OK);
    basin_energy_destroy(energy);
}

static basin_energy *load(const shelf *on, const char *name) {
    basin_energy *energy;
    char path[128];
    snprintf(path, sizeof path, "%s/%s", on->folder, name);
    assert_int_equal(basin_energy_load(on->context, path, NULL, 0, 0, &energy), BASIN_OK);
    return energy;
}

/** Compose, with the folder in place of each "$". */
static basin_status try_compose(const shelf *on, const char *format, basin_energy **out) {
    char text[512] = "";
    for (; *format; format++) {
        const size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, *format == '$' ? "%s/" : "%.1s",
                 *format == '$' ? on->folder : format);
    }
    return basin_energy_compose(on->context, text, 0, 0, 0, out);
}

static basin_energy *composed(const shelf *on, const char *format) {
    basin_energy *energy;
    if (try_compose(on, format, &energy) != BASIN_OK)
        fail_msg("%s: %s", format, basin_context_error(on->context));
    return energy;
}

enum { N = 9, SIZE_MAX_HERE = 64 };

static void fill(float *x, int count) {
    for (int i = 0; i < count; i++)
        x[i] = (float)test_number((uint64_t)i);
}

typedef struct values {
    double energies[N];
    float gradient[N * SIZE_MAX_HERE];
} values;

static values evaluate(basin_energy *energy, const float *noise_levels, const float *labels) {
    static float x[N * SIZE_MAX_HERE];
    values of = {0};
    fill(x, N * SIZE_MAX_HERE);
    const basin__points points = {.x = x, .noise_level = noise_levels, .label = labels};
    assert_int_equal(basin__energy_evaluate_points(energy, N, &points, of.energies, of.gradient),
                     BASIN_OK);
    return of;
}

/** |a − b| ≤ tolerance (1 + |b|), energies and gradients. */
static void compare(const char *what, const values *a, const values *b, double tolerance) {
    for (int i = 0; i < N; i++)
        if (!(fabs(a->energies[i] - b->energies[i]) <= tolerance * (1 + fabs(b->energies[i]))))
            fail_msg("%s: energy %d is %.9g, not %.9g", what, i, a->energies[i], b->energies[i]);
    for (int i = 0; i < N * SIZE_MAX_HERE; i++) {
        const double found = (double)a->gradient[i], right = (double)b->gradient[i];
        if (!(fabs(found - right) <= tolerance * (1 + fabs(right))))
            fail_msg("%s: gradient %d is %.9g, not %.9g", what, i, found, right);
    }
}

#define LEVELS_AND_CLASSES "{\"hidden\": [16], \"noise_conditional\": true, \"classes\": 3}"

/* ---- of one model ---- */

static void test_one_is_its_part_to_the_bit(void **state) {
    (void)state;
    shelf on = shelf_open(2);
    put(&on, "points", "mlp", LEVELS_AND_CLASSES, 1, 2, 3, NULL, NULL);
    put(&on, "images", "conv", "{\"base_channels\": 4}", 8, 1, 4, NULL, NULL);
    put(&on, "joint", "mlp", "{\"hidden\": [16], \"logits\": 3}", 1, 2, 5, NULL, NULL);
    const float levels[N] = {0.1f, 0.2f, 0.5f, 1, 2, 3, 5, 7, 9};
    const float labels[N] = {0, 1, 2, 3, 0, 1, 2, 3, 0};
    static const char *const names[][2] = {
        {"points", "$points"}, {"images", "$images"}, {"joint", "($joint)"}};
    for (int i = 0; i < 3; i++) {
        basin_energy *part = load(&on, names[i][0]), *whole = composed(&on, names[i][1]);
        assert_int_equal(whole->condition.noise_level, part->condition.noise_level);
        assert_int_equal(whole->condition.class_count, part->condition.class_count);
        assert_int_equal(basin_energy_parameter_count(whole), basin_energy_parameter_count(part));
        values a = evaluate(whole, levels, labels), b = evaluate(part, levels, labels);
        assert_memory_equal(&a, &b, sizeof a);
        a = evaluate(whole, NULL, NULL); /* the lowest level, no class */
        b = evaluate(part, NULL, NULL);
        assert_memory_equal(&a, &b, sizeof a);
        basin_energy_destroy(part);
        basin_energy_destroy(whole);
    }
    shelf_close(&on);
}

/* ---- conditions ---- */

/** a + factor b */
static values combine(const values *a, double factor, const values *b) {
    values of;
    for (int i = 0; i < N; i++)
        of.energies[i] = a->energies[i] + factor * b->energies[i];
    for (int i = 0; i < N * SIZE_MAX_HERE; i++)
        of.gradient[i] = (float)((double)a->gradient[i] + factor * (double)b->gradient[i]);
    return of;
}

static values at(basin_energy *energy, double level, int label) {
    assert_int_equal(basin__energy_set_condition(energy, level, label), BASIN_OK);
    return evaluate(energy, NULL, NULL);
}

static void test_selection_is_a_condition(void **state) {
    (void)state;
    shelf on = shelf_open(2);
    put(&on, "a", "mlp", LEVELS_AND_CLASSES, 1, 2, 3, NULL, NULL);
    put(&on, "b", "mlp", "{\"hidden\": [8], \"logits\": 3}", 1, 2, 5, "temperature", "0.5");
    basin_energy *a = load(&on, "a"), *b = load(&on, "b");
    const values zero = {0}, a1 = at(a, 0.3, 1), a_none = at(a, 0.3, -1), a2 = at(a, 0.7, 2);
    const values b2 = at(b, 1, 2), b_none = at(b, 1, -1);
    const struct {
        const char *expression;
        double level;
        int label;
        values right;
    } cases[] = {
        {"$a[class = 1, noise-level = 0.3]", 5, 0, a1},
        {"$a[class = 1, noise-level = 0.3]", 5, -1, a1},
        {"$a[class = none]", 0.3, 1, a_none},
        {"$a[class = 1]", 0.3, 0, a1},
        {"$a", 0.3, 1, a1},
        {"(2 * $a)[noise-level = 0.7, class = 2]", 0.3, 1, combine(&zero, 2, &a2)},
        {"($a[class = 2] + $a[class = 2])[noise-level = 0.7]", 0.3, 1, combine(&zero, 2, &a2)},
        {"$a - $b", 0.7, 2, combine(&a2, -2, &b2)}, /* b counts at its temperature, 0.5 */
        {"$a + $b[temperature = 4]", 0.3, -1, combine(&a_none, 0.25, &b_none)},
        {"0 * $a + ($b)[temperature = 1] / 2", 0.3, 2, combine(&zero, 0.5, &b2)},
    };
    for (size_t i = 0; i < BASIN_COUNT(cases); i++) {
        basin_energy *whole = composed(&on, cases[i].expression);
        const int label = whole->condition.class_count > 0 ? cases[i].label : -1;
        values found = at(whole, cases[i].level, label);
        compare(cases[i].expression, &found, &cases[i].right, 1e-5);
        basin_energy_destroy(whole);
    }
    /* (1 + w) E(x | y) − w E(x), whether y is selected or handed down */
    values guided = combine(&a1, 1.5, &a1);
    guided = combine(&guided, -1.5, &a_none);
    basin_energy *selected = composed(&on, "$a[class = 1, guidance = 1.5]");
    basin_energy *handed = composed(&on, "$a[guidance = 1.5]");
    basin_energy *written = composed(&on, "2.5 * $a[class = 1] - 1.5 * $a[class = none]");
    values found = at(selected, 0.3, -1);
    compare("guidance", &found, &guided, 1e-5);
    found = at(handed, 0.3, 1);
    compare("guidance of a class handed down", &found, &guided, 1e-5);
    found = at(written, 0.3, -1);
    compare("guidance as it is defined", &found, &guided, 1e-5);
    basin_energy_destroy(selected);
    basin_energy_destroy(handed);
    basin_energy_destroy(written);
    basin_energy_destroy(a);
    basin_energy_destroy(b);
    shelf_close(&on);
}

/* ---- gradients ---- */

/* Against central differences; the parts' graphs are joined by every op that builders use. */
static void test_gradients(void **state) {
    (void)state;
    static const char *const expressions[] = {
        "$a + 0.5 * $b - 0.3 * gaussian([0.2, -0.1], [0.5, 1])",
        "mixture($a[class = 1], $b, ring(1, 0.5); weights = 1, 2, 3; log-z = 0.5, 1, -1)",
        "negate($a, $b; weight = 0.7; at = 0.2) + box(-0.5, 0.5; std = 0.4)",
        "pixel(0, 0, 1, 0.5) + brightness(0.3, 0.4) + $b / 2",
        ("mixture(2 * gaussian(0, 1), negate(ring(1, 0.3), gaussian(1, 0.5); at = 1); "
         "log-z = 0, 1)[noise-level = 0.6]"),
    };
    enum { POINTS = 40 };
    const double h = 4e-3;
    shelf on = shelf_open(1);
    put(&on, "a", "mlp", LEVELS_AND_CLASSES, 1, 2, 3, NULL, NULL);
    put(&on, "b", "mlp", "{\"hidden\": [8], \"logits\": 3}", 1, 2, 5, NULL, NULL);
    float x[2 * POINTS], moved[2 * POINTS], gradient[2 * POINTS];
    double energies[POINTS], above[POINTS], below[POINTS];
    fill(x, 2 * POINTS);
    for (size_t e = 0; e < BASIN_COUNT(expressions); e++) {
        char with_shape[400];
        snprintf(with_shape, sizeof with_shape, "%s + 0 * gaussian([0, 0], 1)", expressions[e]);
        basin_energy *energy = composed(&on, with_shape);
        if (energy->condition.noise_level)
            assert_int_equal(basin__energy_set_condition(energy, 0.8, -1), BASIN_OK);
        assert_int_equal(basin_energy_evaluate(energy, POINTS, x, energies, gradient), BASIN_OK);
        for (int axis = 0; axis < 2; axis++) {
            for (int sign = -1; sign < 2; sign += 2) {
                memcpy(moved, x, sizeof x);
                for (int i = 0; i < POINTS; i++)
                    moved[2 * i + axis] = x[2 * i + axis] + (float)(sign * h);
                assert_int_equal(
                    basin_energy_evaluate(energy, POINTS, moved, sign > 0 ? above : below, NULL),
                    BASIN_OK);
            }
            for (int i = 0; i < POINTS; i++) {
                const double slope = (above[i] - below[i]) / (2 * h);
                const double found = (double)gradient[2 * i + axis];
                if (!(fabs(slope - found) < 3e-3 * (1 + fabs(slope))))
                    fail_msg("%s: the gradient is %.6g, by differences %.6g", expressions[e], found,
                             slope);
            }
        }
        basin_energy_destroy(energy);
    }
    shelf_close(&on);
}

/* ---- what must agree ---- */

static void test_disagreements(void **state) {
    (void)state;
    static const char *const cases[][3] = {
        {"$a + $image", "/a takes examples of 1 x 1 x 2, and ", "/image of 8 x 8 x 1"},
        {"$image + $signed", "/image takes values from 0 to 1, and ", "/signed from -1 to 1"},
        {"$a + $other", "noise levels from 0.05 to 10, and ", "/other from 0.05 to 3"},
        {"$a + $four", "/four has 4 classes, and ", "/a 3"},
        {"$a[class = 3]", "there is no class 3", "/a has 3"},
        {"$plain[noise-level = 1]", "noise level 1 is selected", "no model here takes one"},
        {"$cold", "the temperature of ", "/cold is 0"},
        {"$a[class = none, guidance = 1]", "guidance is towards a class", "none is selected"},
        {"ring(1, 1) + gaussian([0, 0, 0], 1)", "3 numbers for mean", "2 channels"},
        {"$image + ring(1, 1)", "ring is of points", "8 x 8 x 1"},
    };
    shelf on = shelf_open(1);
    put(&on, "a", "mlp", LEVELS_AND_CLASSES, 1, 2, 3, NULL, NULL);
    put(&on, "plain", "mlp", "{\"hidden\": [4]}", 1, 2, 3, NULL, NULL);
    put(&on, "cold", "mlp", "{\"hidden\": [4]}", 1, 2, 3, "temperature", "0");
    put(&on, "other", "mlp", LEVELS_AND_CLASSES, 1, 2, 3, "noise_level_high", "3");
    put(&on, "four", "mlp", "{\"hidden\": [4], \"classes\": 4}", 1, 2, 3, NULL, NULL);
    put(&on, "image", "conv", "{\"base_channels\": 4}", 8, 1, 3, NULL, NULL);
    put(&on, "signed", "conv", "{\"base_channels\": 4}", 8, 1, 3, "range_low", "-1");
    for (size_t i = 0; i < BASIN_COUNT(cases); i++) {
        basin_energy *energy;
        if (try_compose(&on, cases[i][0], &energy) == BASIN_OK)
            fail_msg("%s is composed", cases[i][0]);
        const char *message = basin_context_error(on.context);
        if (!strstr(message, cases[i][1]) || !strstr(message, cases[i][2]))
            fail_msg("%s: '%s' lacks '%s' or '%s'", cases[i][0], message, cases[i][1], cases[i][2]);
    }
    basin_energy *energy =
        composed(&on, "$a[class = 1] + $four[class = 3] + $cold[temperature = 1]");
    assert_int_equal(energy->condition.class_count, 0);
    basin_energy_destroy(energy);
    assert_int_equal(basin_energy_compose(on.context, "gaussian([0, 1], 1)", 1, 1, 3, &energy),
                     BASIN_ERROR_SHAPE);
    shelf_close(&on);
}

/* ---- what is estimated ---- */

/* ∫ N(x; 0, 1) N(x; m, s²) dx = N(0; m, 1 + s²), a factor for each coordinate. */
static double log_product(double mean, double std) {
    const double variance = 1 + std * std;
    return -0.5 * (mean * mean / variance + log(2 * 3.14159265358979323846 * variance));
}

static void check_log_z(const shelf *on, const char *left, const char *right, int size,
                        double log_z, double tolerance) {
    char text[512];
    double found[2];
    const float x[5] = {0.3f, -0.2f, 0.1f, 0.5f, 0.2f};
    for (int i = 0; i < 2; i++) {
        basin_energy *energy;
        char given[64];
        snprintf(given, sizeof given, "%.9g, 0", log_z);
        snprintf(text, sizeof text, "mixture(%s, %s; log-z = %s)", left, right,
                 i == 0 ? "estimate" : given);
        if (basin_energy_compose(on->context, text, 1, 1, size, &energy) != BASIN_OK)
            fail_msg("%s: %s", text, basin_context_error(on->context));
        assert_int_equal(basin_energy_evaluate(energy, 1, x, &found[i], NULL), BASIN_OK);
        basin_energy_destroy(energy);
    }
    if (!(fabs(found[0] - found[1]) < tolerance))
        fail_msg("%s: %.6f by estimate, %.6f exactly", left, found[0], found[1]);
}

/* The right part is so weak that the mixture's energy is the left one's and its log Z. */
static void test_log_z(void **state) {
    (void)state;
    shelf on = shelf_open(2);
    check_log_z(&on, "gaussian(0, 1) + gaussian(1, 0.5)", "gaussian(30, 1)", 2,
                2 * log_product(1, 0.5), 1e-4);
    check_log_z(&on, "2 * ring(1, 0.5)[temperature = 2] + gaussian(0, 1)", "gaussian(30, 1)", 2, 0,
                INFINITY);
    /* 512 chains of weights within a factor of e or so: a standard error of about 0.03 */
    check_log_z(&on, "gaussian(0, 1) + gaussian(1, 0.5)", "gaussian(30, 1)", 5,
                5 * log_product(1, 0.5), 0.15);
    check_log_z(&on, "gaussian(0, 1) + gaussian(0.5, 0.1)", "gaussian(30, 1)", 3,
                3 * log_product(0.5, 0.1), 0.15);
    basin_energy *energy;
    assert_int_equal(basin_energy_compose(
                         on.context, "mixture(gaussian(0, 1), -gaussian(0, 1); log-z = estimate)",
                         1, 1, 3, &energy),
                     BASIN_ERROR_DIVERGED);
    shelf_close(&on);
}

static void test_end_on_data(void **state) {
    (void)state;
    basin_context *context = make_context(2);
    basin_data_options options;
    basin_data *data;
    basin_energy *b, *by_data, *by_number;
    char text[256];
    static double energies[5000];
    basin_data_options_init(&options);
    options.built_in_count = 5000;
    assert_int_equal(basin_data_open(context, "two-moons:train", &options, &data), BASIN_OK);
    assert_int_equal(basin_energy_compose(context, "ring(1, 0.3)", 0, 0, 0, &b), BASIN_OK);
    assert_int_equal(basin__score_data(b, data, 0, 5000, energies), BASIN_OK);
    qsort(energies, 5000, sizeof(double), basin__compare_doubles);
    assert_int_equal(basin_energy_compose(context,
                                          "negate(gaussian(0, 1), ring(1, 0.3); at = two-moons)", 0,
                                          0, 0, &by_data),
                     BASIN_OK);
    snprintf(text, sizeof text, "negate(gaussian(0, 1), ring(1, 0.3); at = %.17g)", energies[4949]);
    assert_int_equal(basin_energy_compose(context, text, 0, 0, 0, &by_number), BASIN_OK);
    const float x[6] = {0, 0, 1, 0, -2, 3};
    double found[3], right[3];
    assert_int_equal(basin_energy_evaluate(by_data, 3, x, found, NULL), BASIN_OK);
    assert_int_equal(basin_energy_evaluate(by_number, 3, x, right, NULL), BASIN_OK);
    assert_memory_equal(found, right, sizeof found);
    basin_energy_destroy(b);
    basin_energy_destroy(by_data);
    basin_energy_destroy(by_number);
    basin_data_close(data);
    basin_context_destroy(context);
}

/* ---- chains in the plane against quadrature ---- */

enum { CHAINS = 2000, SIDE = 300, MOMENTS = 6 };

/** x, y, x², y², xy, |x| > ¾ */
static void moments_of(const float *x, double moments[MOMENTS]) {
    const double a = (double)x[0], b = (double)x[1];
    const double all[MOMENTS] = {a, b, a * a, b * b, a * b, a * a + b * b > 0.5625};
    memcpy(moments, all, sizeof all);
}

/** Means and variances under exp(−E) on [−6, 6]². */
static void integrate(basin_energy *energy, double mean[MOMENTS], double variance[MOMENTS]) {
    static float x[2 * SIDE * SIDE];
    static double energies[SIDE * SIDE];
    double sum = 0, least = INFINITY, moments[MOMENTS];
    for (int i = 0; i < SIDE * SIDE; i++) {
        x[2 * i] = (float)((i % SIDE + 0.5) * 12.0 / SIDE - 6);
        x[2 * i + 1] = (float)((i / SIDE + 0.5) * 12.0 / SIDE - 6);
    }
    assert_int_equal(basin_energy_evaluate(energy, SIDE * SIDE, x, energies, NULL), BASIN_OK);
    memset(mean, 0, MOMENTS * sizeof *mean);
    memset(variance, 0, MOMENTS * sizeof *variance);
    for (int i = 0; i < SIDE * SIDE; i++)
        least = fmin(least, energies[i]);
    for (int i = 0; i < SIDE * SIDE; i++) {
        const double weight = exp(least - energies[i]);
        moments_of(x + 2 * i, moments);
        sum += weight;
        for (int m = 0; m < MOMENTS; m++) {
            mean[m] += weight * moments[m];
            variance[m] += weight * moments[m] * moments[m];
        }
    }
    for (int m = 0; m < MOMENTS; m++) {
        mean[m] /= sum;
        variance[m] = variance[m] / sum - mean[m] * mean[m];
    }
}

static void check_chains(basin_energy *energy, const char *what, const char *sampler,
                         const char *settings) {
    static float x[2 * CHAINS];
    double mean[MOMENTS], variance[MOMENTS], moments[MOMENTS], found[MOMENTS] = {0}, acceptance;
    basin_sample_options options;
    basin_sample_options_init(&options);
    options.sampler = sampler;
    options.settings = settings;
    options.seed = 3;
    options.acceptance = &acceptance;
    integrate(energy, mean, variance);
    if (basin_sample(energy, &options, CHAINS, x, NULL) != BASIN_OK)
        fail_msg("%s: %s", what, basin_context_error(energy->context));
    for (int i = 0; i < CHAINS; i++) {
        moments_of(x + 2 * i, moments);
        for (int m = 0; m < MOMENTS; m++)
            found[m] += moments[m] / CHAINS;
    }
    for (int m = 0; m < MOMENTS; m++)
        if (!(fabs(found[m] - mean[m]) < 5 * sqrt(variance[m] / CHAINS) + 1e-3))
            fail_msg("%s by %s: moment %d is %.4f, by quadrature %.4f ± %.4f (accepted %.2f)", what,
                     sampler ? sampler : "default", m, found[m], mean[m],
                     sqrt(variance[m] / CHAINS), acceptance);
}

static void test_chains(void **state) {
    (void)state;
    static const char *const expressions[] = {
        "gaussian([1, 0], 0.7) + gaussian([0, 0.5], [1, 0.6])",
        "0.5 * gaussian(0, 0.6) + gaussian([0, 1], 1) / 2",
        "ring(1, 0.3) + gaussian([1, 0], 0.8)",
        "mixture(gaussian([0.8, 0], 0.5), gaussian([-0.8, 0], 0.6); weights = 0.3, 0.7)",
        "mixture(ring(1, 0.3), gaussian([0, 0.5], 0.4) + gaussian(0, 0.8); log-z = estimate)",
        "negate(gaussian(0, 0.8), gaussian([0.5, 0], 0.4); weight = 0.9; at = 2)",
        "gaussian(0, 1) - 0.4 * gaussian([0.5, 0], 1)",
        "box(-1, 1; std = 0.2) + gaussian([1, 0], 1)",
    };
    shelf on = shelf_open(2);
    for (size_t i = 0; i < BASIN_COUNT(expressions); i++) {
        basin_energy *energy = composed(&on, expressions[i]);
        check_chains(energy, expressions[i], NULL, NULL);
        check_chains(energy, expressions[i], "mala", "{\"n_steps\": 300, \"step_size\": 0.08}");
        basin_energy_destroy(energy);
    }
    shelf_close(&on);
}

/*
 * With all parameters zero a network of the form "inner" is E(x, σ) = ½ |x|² / (s² + σ²), s its
 * data-std: N(0, s²) with noise. Its product with N(m, t²) at the lowest level is a Gaussian of
 * precision 1/(s² + σ²) + 1/(t² + σ²), and the default sampler comes to it from level 10; the
 * reverse process of the sum alone does not: at level 10 it starts at the variance 10² where the
 * sum has half of that, and keeps every such error.
 */
static void test_levels(void **state) {
    (void)state;
    static float x[2 * CHAINS];
    const double low = 0.05, one = 1 / (0.64 + low * low), two = 1 / (0.25 + low * low);
    const double precision = one + two, mean = two * 1 / precision;
    const double kept = 1 - low * low * precision; /* by the last step, which removes noise */
    shelf on = shelf_open(2);
    put(&on, "g", "mlp",
        "{\"hidden\": [4], \"noise_conditional\": true, \"energy_form\": \"inner\", "
        "\"data_std\": 0.8}",
        1, 2, 0, NULL, NULL);
    basin_energy *energy = composed(&on, "$g + gaussian(1, 0.5)");
    double variances[2] = {0};
    for (int is_flow = 0; is_flow < 2; is_flow++) {
        basin_sample_options options;
        basin_sample_options_init(&options);
        options.sampler = is_flow ? "ode" : NULL;
        options.settings = is_flow ? "{\"levels\": 200}" : NULL;
        options.seed = 2;
        double found = 0;
        assert_int_equal(basin_sample(energy, &options, CHAINS, x, NULL), BASIN_OK);
        for (int i = 0; i < 2 * CHAINS; i++)
            found += (double)x[i] / (2 * CHAINS);
        for (int i = 0; i < 2 * CHAINS; i++)
            variances[is_flow] += ((double)x[i] - found) * ((double)x[i] - found) / (2 * CHAINS);
        if (!is_flow && !(fabs(found - mean) < 5 * sqrt(1 / precision / (2 * CHAINS))))
            fail_msg("the mean is %.4f, not %.4f", found, mean);
    }
    if (!(fabs(variances[0] / (kept * kept / precision) - 1) < 5 * sqrt(2.0 / (2 * CHAINS))))
        fail_msg("the variance is %.4f, not %.4f", variances[0], kept * kept / precision);
    assert_true(variances[1] < 0.1 * variances[0]); /* s² t² / 10² */
    basin_energy_destroy(energy);
    shelf_close(&on);
}

static void test_threads(void **state) {
    (void)state;
    static float x[2][2 * 70];
    for (int i = 0; i < 2; i++) {
        shelf on = shelf_open(i == 0 ? 1 : 3);
        put(&on, "a", "mlp", LEVELS_AND_CLASSES, 1, 2, 3, NULL, NULL);
        basin_energy *energy =
            composed(&on, "$a[class = 1] + 0.5 * $a[class = 2, noise-level = 1] + "
                          "mixture(2 * gaussian(0, 1), ring(1, 1); log-z = estimate)"
                          "[noise-level = 0.1]");
        basin_sample_options options;
        basin_sample_options_init(&options);
        options.settings = "{\"levels\": 10}";
        assert_int_equal(basin_sample(energy, &options, 70, x[i], NULL), BASIN_OK);
        basin_energy_destroy(energy);
        shelf_close(&on);
    }
    assert_memory_equal(x[0], x[1], sizeof x[0]);
}

/* A failure of every allocation leaves nothing behind. */
static void test_failing_memory(void **state) {
    (void)state;
    char text[256];
    shelf on = shelf_open(1);
    put(&on, "b", "mlp", "{\"hidden\": [4], \"logits\": 3}", 1, 2, 5, NULL, NULL);
    snprintf(text, sizeof text, "%s/b[class = 1] + negate(gaussian(0, 1), %s/b; at = two-moons)",
             on.folder, on.folder);
    for (long k = 0;; k++) {
        test_heap heap = {.fail_at = k};
        basin_context *context = test_context(&heap, 1);
        basin_energy *energy;
        basin_status status = basin_energy_compose(context, text, 0, 0, 0, &energy);
        basin_energy_destroy(energy);
        assert_int_equal(heap.alive, heap.alive_at_start);
        basin_context_destroy(context);
        if (!heap.has_failed)
            break;
        assert_int_equal(status, BASIN_ERROR_MEMORY);
    }
    shelf_close(&on);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_is_its_part_to_the_bit),
        cmocka_unit_test(test_selection_is_a_condition),
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_disagreements),
        cmocka_unit_test(test_log_z),
        cmocka_unit_test(test_end_on_data),
        cmocka_unit_test(test_chains),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
