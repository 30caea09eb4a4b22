/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configurations: what each YAML scalar means, errors with their line and
 * column, JSON in and out.
 */
#include "io/config.h"
#include "io_support.h"
#include <locale.h>

static int setup(void **state) { return io_setup(state, "run.yaml"); }

static basin_status read_config(basin_context *context, const char *path) {
    json_t *value;
    basin_status status = basin__config_read(context, path, &value);
    assert_true((status == BASIN_OK) == (value != NULL));
    json_decref(value);
    return status;
}

/** What YAML text reads as, as one line of JSON. */
static void assert_reads(const io_fixture *f, const char *yaml, const char *wanted) {
    json_t *value;
    io_put(f->path, yaml, strlen(yaml));
    if (basin__config_read(f->context, f->path, &value) != BASIN_OK)
        fail_msg("%s", basin_context_error(f->context));
    char *text = basin__json_text(f->context, value);
    assert_non_null(text);
    assert_string_equal(text, wanted);
    basin__free(f->context, text);
    json_decref(value);
}

static void test_scalars(void **state) {
    const io_fixture *f = *state;
    static const char *const cases[][2] = {
        {"12", "12"},
        {"-0", "0"},
        {"+7", "7"},
        {"9223372036854775807", "9223372036854775807"},
        {"-9223372036854775808", "-9223372036854775808"},
        {"1e-4", "0.0001"},
        {"0.1", "0.1"},
        {"1e20", "1e+20"},
        {"5.", "5.0"},
        {".5", "0.5"},
        {"-1.5E+3", "-1500.0"},
        {"007", "\"007\""},
        {"1_000", "\"1_000\""},
        {"0x10", "\"0x10\""},
        {"1e", "\"1e\""},
        {"1.2.3", "\"1.2.3\""},
        {".", "\".\""},
        {"nan", "\"nan\""},
        {"true", "true"},
        {"False", "false"},
        {"no", "\"no\""},
        {"on", "\"on\""},
        {"~", "null"},
        {"", "null"},
        {"null", "null"},
        {"\"12\"", "\"12\""},
        {"'true'", "\"true\""},
        {"\"\"", "\"\""},
        {"\"\\u00fc\\n\"", "\"\xc3\xbc\\n\""},
        {"a b # comment", "\"a b\""},
        {"[1, [2, x], {y: 3}]", "[1, [2, \"x\"], {\"y\": 3}]"},
        {"{}", "{}"},
        {"\n- 1\n- 2", "[1, 2]"},
        {"|\n  two\n  lines", "\"two\\nlines\\n\""},
    };
    for (size_t i = 0; i < BASIN_COUNT(cases); i++) {
        char yaml[128], wanted[128];
        snprintf(yaml, sizeof(yaml), "k: %s\n", cases[i][0]);
        snprintf(wanted, sizeof(wanted), "{\"k\": %s}", cases[i][1]);
        assert_reads(f, yaml, wanted);
    }
}

static void test_order_is_kept(void **state) {
    assert_reads(*state, "# first\nz: 1\na:\n  y: 2\n  b: 3\n1: 4\n",
                 "{\"z\": 1, \"a\": {\"y\": 2, \"b\": 3}, \"1\": 4}");
}

static void test_yaml_errors(void **state) {
    const io_fixture *f = *state;
    static const struct {
        const char *yaml, *place, *fragment;
    } cases[] = {
        {"", "", "no values"},
        {"# nothing\n", "", "no values"},
        {"12\n", "line 1, column 1", "mapping"},
        {"- 1\n", "line 1, column 1", "mapping"},
        {"a: 1\nb: 2\na: 3\n", "line 3, column 1", "twice"},
        {"a: {b: 1, 'b': 2}\n", "line 1, column 11", "twice"},
        {"a: &x 1\n", "line 1, column 4", "anchor"},
        {"a: &x [1]\n", "line 1, column 4", "anchor"},
        {"a: &x {b: 1}\n", "line 1, column 4", "anchor"},
        {"a: 1\nb: *x\n", "line 2, column 4", "alias"},
        {"*x : 1\n", "line 1, column 1", "alias"},
        {"&x a: 1\n", "line 1, column 1", "anchor"},
        {"a: !!int 1\n", "line 1, column 4", "tag"},
        {"a: !mine [1]\n", "line 1, column 4", "tag"},
        {"a: ! x\n", "line 1, column 4", "tag"},
        {"!!map {a: 1}\n", "line 1, column 1", "tag"},
        {"? [a]\n: 1\n", "line 1, column 3", "key"},
        {"'': 1\n", "line 1, column 1", "key that is empty"},
        {"a: \"x\\0y\"\n", "line 1, column 4", "zero byte"},
        {"\"x\\0y\": 1\n", "line 1, column 1", "zero byte"},
        {"a: 9223372036854775808\n", "line 1, column 4", "64 bits"},
        {"a: 1\nb: 1e999\n", "line 2, column 4", "double precision"},
        {"a: [1\nb: 2\n", "line 2, column 2", "','"},
        {"a: 1\n\tb: 2\n", "line 2, column 1", "tab"},
        {"a: \"x\n", "line 2, column 1", "end of stream"},
        {"a: 1\n---\nb: 2\n", "line 2, column 1", "second document"},
        {"a: 1\nb: \xff\n", "line 2, column 4", "UTF-8"},
        {"a: 1\nb: \x01\n", "line 2, column 4", "control"},
        {"%YAML 3.0\n---\na: 1\n", "line 1, column 1", "incompatible"},
    };
    for (size_t i = 0; i < BASIN_COUNT(cases); i++) {
        io_assert_refused(f, read_config, cases[i].yaml, strlen(cases[i].yaml), BASIN_ERROR_FORMAT,
                          cases[i].fragment);
        io_assert_message(f, cases[i].place);
    }
}

static void test_depth(void **state) {
    const io_fixture *f = *state;
    char deep[512];
    for (int levels = 63; levels <= 200; levels += 137) {
        size_t bytes = (size_t)snprintf(deep, sizeof(deep), "a: ");
        memset(deep + bytes, '[', (size_t)levels);
        memset(deep + bytes + levels, ']', (size_t)levels);
        bytes += 2 * (size_t)levels;
        if (levels == 200) {
            io_assert_refused(f, read_config, deep, bytes, BASIN_ERROR_FORMAT, "64 levels");
            continue;
        }
        io_put(f->path, deep, bytes);
        assert_int_equal(read_config(f->context, f->path), BASIN_OK);
    }
}

static void test_names(void **state) {
    const io_fixture *f = *state;
    char path[160];
    static const char *const endings[] = {".txt", "", ".yaml.bak"};
    for (size_t i = 0; i < BASIN_COUNT(endings); i++) {
        snprintf(path, sizeof(path), "%s/run%s", f->folder, endings[i]);
        assert_int_equal(read_config(f->context, path), BASIN_ERROR_ARGUMENT);
        io_assert_message(f, path);
    }
    snprintf(path, sizeof(path), "%s/none.yml", f->folder);
    assert_int_equal(read_config(f->context, path), BASIN_ERROR_IO);
    io_assert_message(f, path);
}

/** A YAML file cut short may still be YAML: it must only never be read as something broken. */
static void test_yaml_cuts_and_changed_bytes(void **state) {
    const io_fixture *f = *state;
    static const char yaml[] =
        "a: [1, \"x\\u00fc\", {b: 2.5}]\nc:\n  - |\n    t\xc3\xbct\n  - 'q'\n";
    for (size_t cut = 0; cut < sizeof(yaml); cut++) {
        io_put(f->path, yaml, cut);
        (void)read_config(f->context, f->path);
        assert_int_equal(f->heap.alive, f->heap.alive_at_start);
    }
    assert_true(io_check_flips(f, read_config, yaml, sizeof(yaml) - 1) < 3 * sizeof(yaml));
    io_put(f->path, yaml, sizeof(yaml) - 1);
    assert_int_equal(read_config(f->context, f->path), BASIN_OK);
}

/* ---- JSON ---- */

static void json_path(const io_fixture *f, io_fixture *g) {
    *g = *f;
    snprintf(g->path, sizeof(g->path), "%s/run.json", f->folder);
}

static void test_json_errors(void **state) {
    io_fixture g;
    json_path(*state, &g);
    static const struct {
        const char *json, *place;
    } cases[] = {
        {"", "line 1"},
        {"[1]", "line 1"},
        {"{\"a\": 1,\n \"a\": 2}", "line 2"},
        {"{\"a\": {\"b\": 1, \"b\": 2}}", "line 1"},
        {"{\"a\": 1,\n  2}", "line 2, column 3"},
        {"{\"a\": NaN}", "line 1"},
        {"{\"a\": 99999999999999999999}", "line 1"},
        {"{\"a\": \"\xff\"}", "line 1"},
        {"{\"a\": 1} 2", "line 1"},
    };
    for (size_t i = 0; i < BASIN_COUNT(cases); i++)
        io_assert_refused(&g, read_config, cases[i].json, strlen(cases[i].json), BASIN_ERROR_FORMAT,
                          cases[i].place);
    static const char good[] = "{\"a\": [1, 2.5, \"x\"], \"b\": {\"c\": null}}";
    io_check_truncation(&g, read_config, good, sizeof(good) - 1);
    io_put(g.path, good, sizeof(good) - 1);
    assert_int_equal(read_config(g.context, g.path), BASIN_OK);
}

/** A comma for the decimal point, if this machine has a locale with one, changes nothing. */
static void test_json_round_trip(void **state) {
    io_fixture g;
    json_path(*state, &g);
    static const char wanted[] = "{\n"
                                 "  \"rate\": 0.0001,\n"
                                 "  \"whole\": 3.0,\n"
                                 "  \"tenth\": 0.1,\n"
                                 "  \"large\": 1e+300,\n"
                                 "  \"steps\": [16, 32, -1],\n"
                                 "  \"text\": \"\\\"\\\\ \\n\\u0001 \xc3\xbc\",\n"
                                 "  \"flags\": [true, false, null],\n"
                                 "  \"empty\": {},\n"
                                 "  \"list\": [\n"
                                 "    {\n"
                                 "      \"a\": []\n"
                                 "    },\n"
                                 "    [1]\n"
                                 "  ]\n"
                                 "}\n";
    unsigned char raw[1024];
    json_t *back,
        *value =
            json_pack("{s:f, s:f, s:f, s:f, s:[i,i,i], s:s, s:[b,b,n], s:{}, s:[{s:[]},[i]]}",
                      "rate", 1e-4, "whole", 3.0, "tenth", 0.1, "large", 1e300, "steps", 16, 32, -1,
                      "text", "\"\\ \n\x01 \xc3\xbc", "flags", 1, 0, "empty", "list", "a", 1);
    assert_non_null(value);
    (void)(setlocale(LC_ALL, "de_DE.UTF-8") || setlocale(LC_ALL, "fr_FR.UTF-8"));
    assert_int_equal(basin__json_write(g.context, g.path, value), BASIN_OK);
    assert_int_equal(basin__config_read(g.context, g.path, &back), BASIN_OK);
    setlocale(LC_ALL, "C");
    size_t bytes = io_get(g.path, raw, sizeof(raw));
    assert_int_equal(bytes, sizeof(wanted) - 1);
    assert_memory_equal(raw, wanted, bytes);
    assert_true(json_equal(value, back));
    json_decref(value);
    json_decref(back);
}

/* ---- memory ---- */

static basin_status copy_config(basin_context *context, const char *path) {
    json_t *value;
    char out[160];
    BASIN_TRY(basin__config_read(context, path, &value));
    snprintf(out, sizeof(out), "%s.json", path);
    basin_status status = basin__json_write(context, out, value);
    json_decref(value);
    return status;
}

static void test_failing_allocations(void **state) {
    const io_fixture *f = *state;
    static const char yaml[] = "a: 1\nb: {c: [x, y], d: {e: 2}}\n";
    io_put(f->path, yaml, sizeof(yaml) - 1);
    io_check_allocations(f->path, copy_config);
    io_fixture g;
    json_path(f, &g);
    io_put(g.path, "{\"a\": 1}", 8);
    io_check_allocations(g.path, read_config);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, io_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_scalars),     TEST(test_order_is_kept),   TEST(test_yaml_errors),
        TEST(test_depth),       TEST(test_names),           TEST(test_yaml_cuts_and_changed_bytes),
        TEST(test_json_errors), TEST(test_json_round_trip), TEST(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
