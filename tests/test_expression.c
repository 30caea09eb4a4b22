/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions of energies as texts: what they compute against the formulas in double, the place
 * that each mistake is reported at, random texts, and a failure of every allocation.
 */
#include "compose/expression.h"
#include "support.h"
#include <basin/energy.h>
#include <math.h>

#define LOG_2PI 1.83787706640934548356

/** E at a point, of an expression of points with so many coordinates. */
static double energy_at(basin_context *context, const char *expression, int size, const float *x) {
    basin_energy *energy;
    double value;
    if (basin_energy_compose(context, expression, 1, 1, size, &energy) != BASIN_OK)
        fail_msg("%s: %s", expression, basin_context_error(context));
    assert_int_equal(basin_energy_evaluate(energy, 1, x, &value, NULL), BASIN_OK);
    basin_energy_destroy(energy);
    return value;
}

/* ---- what they compute ---- */

static double gaussian(double x, double mean, double std) {
    return 0.5 * (x - mean) * (x - mean) / (std * std) + log(std) + 0.5 * LOG_2PI;
}

static void test_values(void **state) {
    (void)state;
    const double x = 0.7, g = gaussian(0.7, 0, 1), h = gaussian(0.7, 2, 0.5);
    const double mixed = -log(0.25 * exp(-g) + 0.75 * exp(-h));
    const struct {
        const char *expression;
        double value;
    } cases[] = {
        {"gaussian(0, 1)", g},
        {"gaussian(2, 0.5)", h},
        {"gaussian(; std = 0.5; mean = 2)", h},
        {"gaussian([2], [0.5])", h},
        {"gaussian(0, 1) + gaussian(2, 0.5)", g + h},
        {"gaussian(0, 1) - gaussian(2, 0.5)", g - h},
        {"-gaussian(0, 1)", -g},
        {"+gaussian(0, 1)", g},
        {"2 * gaussian(0, 1)", 2 * g},
        {"gaussian(0, 1) * 2", 2 * g},
        {"gaussian(0, 1) / 0.5", 2 * g},
        {"gaussian(0, 1)/0.5", 2 * g},
        {"gaussian(0, 1) /.5", 2 * g},
        {"gaussian(0, 1)[temperature = 0.5]", 2 * g},
        {"2 * (gaussian(0, 1) - 0.5 * gaussian(2, 0.5)) / (1 + 3)", 0.5 * g - 0.25 * h},
        {"gaussian(0, 1) - gaussian(2, 0.5) - gaussian(0, 1)", -h},
        {"gaussian(0, 1) - (gaussian(2, 0.5) - gaussian(0, 1))", 2 * g - h},
        {"1e-1*gaussian(0,1)+.5*gaussian(2,0.5)", 0.1 * g + 0.5 * h},
        {"gaussian(1 - 1, 2 * 0.5)", g},
        {"mixture(gaussian(0, 1), gaussian(2, 0.5); weights = 1, 3)", mixed},
        {"mixture(gaussian(0, 1), gaussian(2, 0.5); weights 0.25, 0.75)", mixed},
        {"mixture(gaussian(0, 1), gaussian(2, 0.5); [1, 3]; log-z = 0, 0)", mixed},
        {"mixture(2 * gaussian(0, 1), gaussian(2, 0.5); log-z = 1.5, 0)",
         -log(0.5 * exp(-2 * g - 1.5) + 0.5 * exp(-h))},
        {"negate(gaussian(0, 1), gaussian(2, 0.5); weight = 0.5; at = 3)",
         g - 0.5 * -log(exp(-h) + exp(-3.0))},
        {"negate(gaussian(0, 1), gaussian(2, 0.5); 1, 3)", g + log(exp(-h) + exp(-3.0))},
        {"box(-1, 1)", log(2 + 0.05 * sqrt(exp(LOG_2PI)))},
        {"box(0, 0.2; std = 0.1)", 12.5 + log(0.2 + 0.1 * sqrt(exp(LOG_2PI)))},
        {"box(0.8, 1, 0.1)", 0.5 + log(0.2 + 0.1 * sqrt(exp(LOG_2PI)))},
        {"brightness(1, 0.1)", 4.5},
        {"pixel(0, 0, 1, 0.1)", 4.5},
        {"gaussian(0, 0.6)[noise-level = 0.8]", g},
    };
    basin_context *context = test_context_on(NULL, 1);
    const float point = (float)x;
    for (size_t i = 0; i < BASIN_COUNT(cases); i++) {
        const double found = energy_at(context, cases[i].expression, 1, &point);
        if (!(fabs(found - cases[i].value) < 2e-6 * (1 + fabs(cases[i].value))))
            fail_msg("%s is %.9g, not %.9g", cases[i].expression, found, cases[i].value);
    }
    basin_context_destroy(context);
}

/* Closed forms are normalised: exp(−E) of a fine grid over the plane adds up to 1. */
static void test_integrals(void **state) {
    (void)state;
    static const char *const expressions[] = {
        "gaussian([1, -0.5], [0.5, 1])",
        "ring(1.5, 0.3)",
        "ring(0.2, 0.4)",
        "box(-1, 2; std = 0.3)",
        "mixture(ring(1, 0.3), gaussian([0, 1], 0.4), box(-1, 1; 0.2); weights = 1, 2, 3)",
        "gaussian([1, -0.5], 0.3)[noise-level = 0.4]",
        "box(-1, 2; std = 0.1)[noise-level = 0.4]"};
    enum { SIDE = 400 };
    static float x[2 * SIDE * SIDE];
    static double energies[SIDE * SIDE];
    basin_context *context = test_context_on(NULL, 2);
    for (int i = 0; i < SIDE * SIDE; i++) {
        x[2 * i] = (float)((i % SIDE + 0.5) * 12.0 / SIDE - 6);
        x[2 * i + 1] = (float)((i / SIDE + 0.5) * 12.0 / SIDE - 6);
    }
    for (size_t e = 0; e < BASIN_COUNT(expressions); e++) {
        basin_energy *energy;
        double sum = 0;
        assert_int_equal(basin_energy_compose(context, expressions[e], 0, 0, 0, &energy) == BASIN_OK
                             ? BASIN_OK
                             : basin_energy_compose(context, expressions[e], 1, 1, 2, &energy),
                         BASIN_OK);
        assert_int_equal(basin_energy_evaluate(energy, SIDE * SIDE, x, energies, NULL), BASIN_OK);
        for (int i = 0; i < SIDE * SIDE; i++)
            sum += exp(-energies[i]) * (12.0 / SIDE) * (12.0 / SIDE);
        if (!(fabs(sum - 1) < 1e-4))
            fail_msg("%s adds up to %.6f", expressions[e], sum);
        basin_energy_destroy(energy);
    }
    basin_context_destroy(context);
}

/* ---- mistakes ---- */

static void test_mistakes(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int character;
        const char *message;
    } cases[] = {
        {"", 1, "the end: expected a model"},
        {"   ", 4, "the end: expected a model"},
        {")", 1, "expected a model"},
        {"gaussian(0, 1) +", 17, "expected a model"},
        {"gaussian(0, 1) gaussian(0, 1)", 16, "expected an operator or the end"},
        {"(gaussian(0, 1)", 16, "expected an operator or ')'"},
        {"gaussian(0, 1))", 15, "expected an operator or the end"},
        {"gaussian(0, 1", 14, "expected ',', ';' or ')'"},
        {"gaussian(0)", 1, "std is missing: gaussian(mean, std)"},
        {"gaussian()", 1, "mean is missing"},
        {"gaussian(0, 1, 2)", 16, "takes no more numbers"},
        {"gaussian(0, -1)", 13, "std is -1; expected 1e-06"},
        {"gaussian(0, 0)", 13, "std is 0"},
        {"gaussian(0, wide)", 13, "expected a number"},
        {"gaussian(0, gaussian(0, 1))", 13, "expected a number"},
        {"gaussian(0, 1; scale = 2)", 16, "no such parameter"},
        {"gaussian(0, 1; std = 2)", 16, "std is given twice"},
        {"gaussian([0, 1, 2], 1)", 1, "3 numbers for mean, and examples have 2 channels"},
        {"gaussian([0, 1, 1)", 18, "',' or ']'"},
        {"ring([1, 2], 1)", 10, "radius takes at most 1 number"},
        {"gausian(0, 1)", 1, "did you mean gaussian?"},
        {"frobnicate(0, 1)", 1, "see basin help energy"},
        {"3", 1, "this is a number"},
        {"2 * 3 + 1", 1, "this is a number"},
        {"2 + gaussian(0, 1)", 3, "a factor is written with '*'"},
        {"gaussian(0, 1) * gaussian(0, 1)", 16, "two energies cannot be multiplied"},
        {"2 / gaussian(0, 1)", 3, "expected a number behind '/'"},
        {"gaussian(0, 1) / 0", 18, "a division by 0"},
        {"gaussian(0, 1) / (1 - 1)", 19, "a division by 0"},
        {"1e999 * gaussian(0, 1)", 1, "is no number"},
        {"1.2.3 * gaussian(0, 1)", 1, "is no number"},
        {"1e200 * 1e200 * gaussian(0, 1)", 1, "not finite"},
        {"2gaussian(0, 1)", 2, "expected an operator behind a number"},
        {"gaussian(0, 1) & ring(1, 1)", 16, "expected an operator"},
        {"'a.safetensors", 1, "this quote is not closed"},
        {"'' + gaussian(0, 1)", 1, "a name in quotes is empty"},
        {"gaussian(0, 1)[class = 2]", 1, "no model here takes a class"},
        {"gaussian(0, 1)[guidance = 2]", 1, "no model here takes one"},
        {"gaussian(0, 1)[class = -2]", 24, "a class is a whole number"},
        {"gaussian(0, 1)[class = 1.5]", 24, "a class is a whole number"},
        {"gaussian(0, 1)[noise-level = 0]", 30, "noise-level is above 0"},
        {"gaussian(0, 1)[temperature = -1]", 30, "temperature is above 0"},
        {"gaussian(0, 1)[temperature = 1, temperature = 2]", 33, "temperature is given twice"},
        {"gaussian(0, 1)[]", 16, "expected class, noise-level"},
        {"gaussian(0, 1)[label = 2]", 16, "expected class, noise-level"},
        {"gaussian(0, 1)[temperature 2]", 28, "expected '='"},
        {"gaussian(0, 1)[temperature = 2", 31, "expected ',' or ']'"},
        {"gaussian(0, 1)[temperature = 2][temperature = 2]", 32, "expected an operator"},
        {"3[temperature = 2] * gaussian(0, 1)", 2, "behind an energy, not a number"},
        {"mixture(gaussian(0, 1))", 1, "at least 2 energies"},
        {"mixture()", 1, "at least 2 energies"},
        {"mixture(gaussian(0, 1), 2)", 25, "expected an energy, not a number"},
        {"mixture(gaussian(0, 1), ring(1, 1); weights = 1)", 47, "1 weights for 2 energies"},
        {"mixture(gaussian(0, 1), ring(1, 1); weights = 1, -1)", 50, "weights is -1"},
        {"mixture(gaussian(0, 1), ring(1, 1); log-z = guess)", 45, "or estimate"},
        {"mixture(gaussian(0, 1), 2 * ring(1, 1))", 25, "a mixture needs log Z of this energy"},
        {"negate(gaussian(0, 1), ring(1, 1))", 1, "at is missing"},
        {"negate(gaussian(0, 1), ring(1, 1), ring(2, 1); at = 1)", 36, "at most 2 energies"},
        {"negate(gaussian(0, 1), ring(1, 1); at = no-such-data)", 41, "99th percentile"},
        {"box(1, 0)", 1, "low 1 is not below high 0"},
        {"pixel(1, 0, 0, 1)", 1, "there is no pixel of row 1"},
        {"missing.safetensors + gaussian(0, 1)", 1, "missing.safetensors"},
        {"gaussian(0, 1) + a-missing", 18, "'-' and '/' are operators with blanks"},
        {"\xc3\xa9 + )", 5, "expected a model"},
    };
    basin_context *context = test_context_on(NULL, 1);
    for (size_t i = 0; i < BASIN_COUNT(cases); i++) {
        basin_energy *energy;
        char begin[32];
        snprintf(begin, sizeof begin, "character %d,", cases[i].character);
        basin_status status = basin_energy_compose(context, cases[i].text, 1, 1, 2, &energy);
        const char *message = basin_context_error(context);
        if (status == BASIN_OK || energy != NULL || strncmp(message, begin, strlen(begin)) != 0 ||
            !strstr(message, cases[i].message))
            fail_msg("'%s': '%s', not 'character %d … %s'", cases[i].text,
                     status == BASIN_OK ? "no error" : message, cases[i].character,
                     cases[i].message);
    }
    basin_energy *energy;
    assert_int_equal(basin_energy_compose(context, "brightness(0, 1)", 0, 0, 0, &energy),
                     BASIN_ERROR_CONFIG);
    assert_non_null(strstr(basin_context_error(context), "of what shape"));
    assert_int_equal(basin_energy_compose(context, "gaussian(0, 1)", 1, 1, 2, &energy), BASIN_OK);
    assert_int_equal(basin_energy_save(energy, "/tmp/never.safetensors"), BASIN_ERROR_UNSUPPORTED);
    basin_energy_destroy(energy);
    basin_context_destroy(context);
}

/* Long and deep ones end by a message, not by the stack. */
static void test_limits(void **state) {
    (void)state;
    static char text[70000];
    basin__expression expression;
    basin_context *context = test_context_on(NULL, 1);
    memset(text, '(', sizeof text - 1);
    for (int length = 60; length < 70000; length *= 10) {
        text[length] = '\0';
        assert_int_equal(basin__expression_parse(context, text, &expression), BASIN_ERROR_CONFIG);
        text[length] = '(';
    }
    assert_non_null(strstr(basin_context_error(context), "nested more than"));
    assert_int_equal(basin__expression_parse(context, text, &expression), BASIN_ERROR_CONFIG);
    assert_non_null(strstr(basin_context_error(context), "at most 65536"));
    for (int i = 0; i < 4000; i++)
        memcpy(text + 2 * i, "a+", 3);
    assert_int_equal(basin__expression_parse(context, text, &expression), BASIN_ERROR_CONFIG);
    assert_non_null(strstr(basin_context_error(context), "more than 1000"));
    basin_context_destroy(context);
}

/* ---- random texts ---- */

static uint64_t draw(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

/** Tokens in a row, or bytes; many parse. What parses is a tree that can be let go. */
static void test_random_texts(void **state) {
    (void)state;
    static const char *const tokens[] = {"gaussian",
                                         "mixture",
                                         "negate",
                                         "ring",
                                         "box",
                                         "(",
                                         ")",
                                         "[",
                                         "]",
                                         ",",
                                         ";",
                                         "=",
                                         "+",
                                         "-",
                                         "*",
                                         "/",
                                         "0",
                                         "1.5",
                                         "-2",
                                         "1e",
                                         "class",
                                         "none",
                                         "at",
                                         "weights",
                                         "'",
                                         "\"",
                                         "a.b",
                                         "log-z",
                                         "estimate",
                                         " ",
                                         "guidance",
                                         "noise-level",
                                         "temperature",
                                         "gaussian(0, 1)",
                                         "ring(1, 0.5)",
                                         "\xc3",
                                         "@",
                                         ":"};
    enum { ROUNDS = 60000 };
    char text[512];
    uint64_t seed = 1;
    int parsed = 0;
    test_heap heap = {.fail_at = -1};
    basin_context *context = test_context(&heap, 1);
    for (int round = 0; round < ROUNDS; round++) {
        const int count = 1 + (int)(draw(&seed) % 12);
        size_t used = 0;
        for (int i = 0; i < count; i++) {
            const char *token = tokens[draw(&seed) % BASIN_COUNT(tokens)];
            const char byte[2] = {(char)(1 + draw(&seed) % 255), '\0'};
            const char *next = round % 4 == 3 ? byte : token;
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", next,
                                     draw(&seed) % 2 ? " " : "");
        }
        basin__expression expression;
        const basin_status status = basin__expression_parse(context, text, &expression);
        assert_true(status == BASIN_OK || status == BASIN_ERROR_CONFIG);
        parsed += status == BASIN_OK;
        basin__expression_reset(&expression);
        assert_int_equal(heap.alive, heap.alive_at_start);
    }
    assert_true(parsed > ROUNDS / 100);
    basin_context_destroy(context);
}

/* ---- memory ---- */

static void test_failing_memory(void **state) {
    (void)state;
    static const char *const expression =
        "2 * negate(mixture(gaussian(0, 1), 'ring'; log-z = 1, 2), box(0, 1); at = 3)";
    for (long k = 0;; k++) {
        test_heap heap = {.fail_at = k};
        basin_context *context = test_context(&heap, 1);
        basin__expression parsed;
        basin_status status = basin__expression_parse(context, expression, &parsed);
        basin__expression_reset(&parsed);
        basin_energy *energy = NULL;
        if (status == BASIN_OK)
            status = basin_energy_compose(context, "mixture(gaussian(0, 1), ring(1, 1)) / 2", 1, 1,
                                          2, &energy);
        basin_energy_destroy(energy);
        assert_int_equal(heap.alive, heap.alive_at_start);
        basin_context_destroy(context);
        if (!heap.has_failed)
            break;
        assert_int_equal(status, BASIN_ERROR_MEMORY);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),       cmocka_unit_test(test_integrals),
        cmocka_unit_test(test_mistakes),     cmocka_unit_test(test_limits),
        cmocka_unit_test(test_random_texts), cmocka_unit_test(test_failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
