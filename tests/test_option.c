/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Option tables: every type from text and from JSON, the exact words of the
 * messages a user meets, the round trip to JSON, and failing allocations.
 */
#include "support.h"

#include "base/option.h"
#include <math.h>

typedef struct settings {
    bool is_fast;
    int64_t steps;
    double step_size, scale;
    char *name;
    int64_t pool;
    basin__int_list widths;
    basin__text_list paths;
} settings;

#define AT(field) offsetof(settings, field)

static const basin__option table[] = {
    {"fast", BASIN__OPTION_FLAG, AT(is_fast), NULL, 0, 0, NULL, NULL, "Hurry"},
    {"steps", BASIN__OPTION_INT, AT(steps), "60", 1, 1000000, NULL, "steps", "How many"},
    {"step-size", BASIN__OPTION_FLOAT, AT(step_size), "0.1", 0, 10, NULL, NULL, "How far"},
    {"scale", BASIN__OPTION_FLOAT, AT(scale), "1", 0.5, (double)INFINITY, NULL, NULL, "How large"},
    {"name", BASIN__OPTION_TEXT, AT(name), "run", 0, 0, NULL, NULL, "What it is called"},
    {"pool", BASIN__OPTION_CHOICE, AT(pool), "flatten", 0, 0, "mean|flatten|sum", NULL, "How"},
    {"widths", BASIN__OPTION_INT_LIST, AT(widths), "16,32", 1, 4096, NULL, NULL, "How wide"},
    {"path", BASIN__OPTION_TEXT_LIST, AT(paths), NULL, 0, 0, NULL, NULL, "Where"},
};

typedef struct fixture {
    test_heap heap;
    basin_context *context;
    settings values;
    basin__option_group group;
} fixture;

static int setup(void **state) {
    fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    f->heap.fail_at = -1;
    f->context = test_context(&f->heap, 1);
    f->group = (basin__option_group){"Settings", table, BASIN_COUNT(table), &f->values, 0};
    memset(&f->values, 0xee, sizeof(f->values)); /* defaults overwrite garbage */
    assert_int_equal(basin__options_default(f->context, &f->group), BASIN_OK);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    basin__options_reset(f->context, &f->group);
    assert_int_equal(f->heap.alive, f->heap.alive_at_start);
    basin_context_destroy(f->context);
    free(f);
    return 0;
}

static basin_status set(fixture *f, const char *name, const char *text) {
    return basin__option_set(f->context, &f->group, 1, name, text);
}

static void assert_refused(fixture *f, const char *name, const char *text, const char *message) {
    assert_int_equal(set(f, name, text), BASIN_ERROR_CONFIG);
    assert_string_equal(basin_context_error(f->context), message);
}

static void test_defaults(void **state) {
    fixture *f = *state;
    const settings *v = &f->values;
    assert_false(v->is_fast);
    assert_int_equal(v->steps, 60);
    assert_true(v->step_size >= 0.1 && v->step_size <= 0.1);
    assert_string_equal(v->name, "run");
    assert_int_equal(v->pool, 1);
    assert_int_equal(v->widths.count, 2);
    assert_int_equal(v->widths.items[1], 32);
    assert_int_equal(v->paths.count, 0);
    assert_true(f->group.is_set == 0);
}

static void test_set_from_text(void **state) {
    fixture *f = *state;
    const settings *v = &f->values;
    assert_int_equal(set(f, "fast", "yes"), BASIN_OK);
    assert_int_equal(set(f, "steps", "7"), BASIN_OK);
    assert_int_equal(set(f, "step_size", "2.5e-2"), BASIN_OK);
    assert_int_equal(set(f, "name", ""), BASIN_OK);
    assert_int_equal(set(f, "pool", "sum"), BASIN_OK);
    assert_int_equal(set(f, "widths", "8"), BASIN_OK);
    assert_int_equal(set(f, "path", "a,b"), BASIN_OK);
    assert_int_equal(set(f, "path", "c"), BASIN_OK);
    assert_true(v->is_fast);
    assert_int_equal(v->steps, 7);
    assert_true(v->step_size >= 0.025 && v->step_size <= 0.025);
    assert_string_equal(v->name, "");
    assert_int_equal(v->pool, 2);
    assert_int_equal(v->widths.count, 1);
    assert_int_equal(v->widths.items[0], 8);
    assert_int_equal(v->paths.count, 3);
    assert_string_equal(v->paths.items[0], "a");
    assert_string_equal(v->paths.items[2], "c");
    assert_true(f->group.is_set == 0xf7); /* all but scale */
}

static void test_messages(void **state) {
    fixture *f = *state;
    assert_refused(f, "steps", "0", "--steps 0 is out of range: 1 to 1000000");
    assert_refused(f, "steps", "ten", "--steps ten is not an integer");
    assert_refused(f, "steps", "1.5", "--steps 1.5 is not an integer");
    assert_refused(f, "steps", "", "--steps '' is not an integer");
    assert_refused(f, "steps", "1e30", "--steps 1e30 is out of range: 1 to 1000000");
    assert_refused(f, "step-size", "-0.5", "--step-size -0.5 is out of range: 0 to 10");
    assert_refused(f, "step-size", "nan", "--step-size nan is not a finite number");
    assert_refused(f, "scale", "0.25", "--scale 0.25 is out of range: 0.5 or more");
    assert_refused(f, "fast", "perhaps", "--fast perhaps is neither true nor false");
    assert_refused(f, "pool", "flaten",
                   "--pool flaten is none of mean|flatten|sum; did you mean flatten?");
    assert_refused(f, "pool", "x", "--pool x is none of mean|flatten|sum");
    assert_refused(f, "widths", "8,0", "--widths 0 is out of range: 1 to 4096");
    assert_refused(f, "step-sise", "1", "unknown option --step-sise; did you mean --step-size?");
    assert_refused(f, "zebra", "1", "unknown option --zebra");
    assert_int_equal(f->values.steps, 60); /* a refused value changes nothing */
    assert_int_equal(f->values.widths.count, 2);
    assert_true(f->group.is_set == 0);
}

static void test_json_messages(void **state) {
    static const char *const cases[][2] = {
        {"{\"step_sise\": 1}", "unknown key step_sise; did you mean step_size?"},
        {"{\"step_size\": 11}", "step_size 11 is out of range: 0 to 10"},
        {"{\"steps\": 1.5}", "steps 1.5 is not an integer"},
        {"{\"steps\": [1]}", "steps a list is no single value"},
        {"{\"steps\": null}", "steps null is no single value"},
        {"{\"widths\": {}}", "widths an object is no list"},
        {"{\"widths\": [[1]]}", "widths a list is no item of a list"},
        {"{\"step_size\": 1, \"step-size\": 1}",
         "step-size is there twice: with - and with _; keep one"},
        {"[]", "a configuration is a list; it must be an object of keys and values"},
    };
    fixture *f = *state;
    for (size_t i = 0; i < BASIN_COUNT(cases); i++) {
        json_t *object = json_loads(cases[i][0], 0, NULL);
        assert_non_null(object);
        assert_int_equal(basin__options_from_json(f->context, &f->group, 1, object),
                         BASIN_ERROR_CONFIG);
        assert_string_equal(basin_context_error(f->context), cases[i][1]);
        json_decref(object);
    }
}

static void test_set_from_json(void **state) {
    fixture *f = *state;
    json_t *object = json_loads("{\"fast\": true, \"step-size\": 1, \"steps\": 1e3, \"name\": null,"
                                " \"pool\": \"mean\", \"widths\": [1, 2, 3], \"path\": \"a\"}",
                                0, NULL);
    assert_int_equal(basin__options_from_json(f->context, &f->group, 1, object), BASIN_OK);
    json_decref(object);
    const settings *v = &f->values;
    assert_true(v->is_fast);
    assert_int_equal(v->steps, 1000);
    assert_null(v->name);
    assert_int_equal(v->pool, 0);
    assert_int_equal(v->widths.count, 3);
    assert_int_equal(v->paths.count, 1);
}

static void test_round_trip(void **state) {
    fixture *f = *state;
    assert_int_equal(set(f, "step-size", "0.1234567890123456789"), BASIN_OK);
    assert_int_equal(set(f, "path", "x,y"), BASIN_OK);
    assert_int_equal(set(f, "fast", "on"), BASIN_OK);
    json_t *first = json_object(), *second = json_object();
    assert_int_equal(basin__options_to_json(f->context, &f->group, first), BASIN_OK);
    assert_int_equal(json_object_size(first), BASIN_COUNT(table));
    char *text = json_dumps(first, 0);
    json_t *parsed = json_loads(text, 0, NULL);
    settings copy;
    basin__option_group again = {"Again", table, BASIN_COUNT(table), &copy, 0};
    assert_int_equal(basin__options_default(f->context, &again), BASIN_OK);
    assert_int_equal(basin__options_from_json(f->context, &again, 1, parsed), BASIN_OK);
    assert_int_equal(basin__options_to_json(f->context, &again, second), BASIN_OK);
    assert_true(json_equal(first, second));
    assert_memory_equal(&copy.step_size, &f->values.step_size, sizeof(double));
    basin__options_reset(f->context, &again);
    free(text);
    json_decref(first);
    json_decref(second);
    json_decref(parsed);
}

static void test_find_in_groups(void **state) {
    fixture *f = *state;
    static const basin__option other[] = {
        {"depth", BASIN__OPTION_INT, 0, "1", 0, 9, NULL, NULL, "How deep"}};
    int64_t depth;
    basin__option_group groups[] = {f->group, {"Other", other, 1, &depth, 0}};
    size_t index = 9;
    assert_int_equal(basin__options_default(f->context, &groups[1]), BASIN_OK);
    assert_ptr_equal(basin__option_find(groups, 2, "depth", &index), &other[0]);
    assert_int_equal(index, 1);
    assert_ptr_equal(basin__option_find(groups, 2, "step_size", &index), &table[2]);
    assert_int_equal(index, 0);
    assert_null(basin__option_find(groups, 2, "step", NULL));
    assert_int_equal(basin__option_set(f->context, groups, 2, "depth", "3"), BASIN_OK);
    assert_int_equal(depth, 3);
}

static basin_status option_work(basin_context *context, settings *values) {
    basin__option_group group = {"Settings", table, BASIN_COUNT(table), values, 0};
    json_t *object =
        json_loads("{\"name\": \"n\", \"widths\": [1, 2], \"path\": [\"p\"]}", 0, NULL);
    basin_status status = basin__options_default(context, &group);
    if (status == BASIN_OK)
        status = basin__options_from_json(context, &group, 1, object);
    if (status == BASIN_OK)
        status = basin__option_set(context, &group, 1, "path", "q,r");
    if (status == BASIN_OK)
        status = basin__option_set(context, &group, 1, "widths", "5,6,7");
    json_decref(object);
    basin__options_reset(context, &group);
    return status;
}

static void test_out_of_memory(void **state) {
    (void)state;
    for (long k = 0;; k++) {
        test_heap heap = {.fail_at = k};
        basin_context *context = test_context(&heap, 1);
        settings values;
        basin_status status = option_work(context, &values);
        assert_int_equal(heap.alive, heap.alive_at_start);
        basin_context_destroy(context);
        if (!heap.has_failed) {
            assert_int_equal(status, BASIN_OK);
            assert_true(k > 10);
            return;
        }
        assert_int_equal(status, BASIN_ERROR_MEMORY);
    }
}

#define WITH_TABLE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_TABLE(test_defaults),       WITH_TABLE(test_set_from_text),
        WITH_TABLE(test_messages),       WITH_TABLE(test_json_messages),
        WITH_TABLE(test_set_from_json),  WITH_TABLE(test_round_trip),
        WITH_TABLE(test_find_in_groups), cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
