/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The base layer: context, worker pool and numbers.
 */
#include "support.h"

#include "base/cpu.h"
#include "base/number.h"
#include <locale.h>
#include <stdatomic.h>
#include <unistd.h>

/* ---- context ---- */

static void test_status_texts(void **state) {
    (void)state;
    assert_string_equal(basin_status_name(BASIN_ERROR_SHAPE), "BASIN_ERROR_SHAPE");
    assert_string_equal(basin_status_name((basin_status)999), "unknown");
    assert_string_equal(basin_status_text(BASIN_OK), "success");
    assert_string_equal(basin_version(), BASIN_VERSION);
}

static basin_status create_with_isa(const char *isa, basin_context **context) {
    basin_context_options options;
    basin_context_options_init(&options);
    options.thread_count = 1;
    options.isa = isa;
    return basin_context_create(&options, context);
}

static void test_isa_by_option(void **state) {
    (void)state;
    for (int isa = 0; isa < BASIN__ISA_COUNT; isa++) {
        basin_context *context;
        const char *name = basin__isa_name((basin__isa)isa);
        basin_status status = create_with_isa(name, &context);
        if (!basin__isa_supported((basin__isa)isa)) {
            assert_int_equal(status, BASIN_ERROR_ARGUMENT);
            assert_null(context);
            continue;
        }
        assert_int_equal(status, BASIN_OK);
        assert_string_equal(basin_context_isa(context), name);
        assert_int_equal(basin__context_isa(context), isa);
        basin_context_destroy(context);
    }
}

static void test_isa_by_environment(void **state) {
    (void)state;
    basin__isa isa;
    const char *before = getenv("BASIN_CPU");
    char *kept = before ? strdup(before) : NULL;
    setenv("BASIN_CPU", "generic", 1);
    assert_int_equal(basin__isa_choose(NULL, &isa), BASIN_OK);
    assert_int_equal(isa, BASIN__ISA_GENERIC);
    assert_int_equal(basin__isa_choose("reference", &isa), BASIN_OK);
    assert_int_equal(isa, BASIN__ISA_REFERENCE);
    setenv("BASIN_CPU", "pentium", 1);
    assert_int_equal(basin__isa_choose(NULL, &isa), BASIN_ERROR_ARGUMENT);
    unsetenv("BASIN_CPU");
    assert_int_equal(basin__isa_choose(NULL, &isa), BASIN_OK);
    assert_true(isa >= BASIN__ISA_GENERIC && basin__isa_supported(isa));
    for (int above = (int)isa + 1; above < BASIN__ISA_COUNT; above++)
        assert_false(basin__isa_supported((basin__isa)above));
    if (kept)
        setenv("BASIN_CPU", kept, 1);
    free(kept);
}

static void test_context_out_of_memory(void **state) {
    (void)state;
    for (long k = 0;; k++) {
        test_heap heap = {.fail_at = k, .is_armed = true};
        basin_context_options options;
        basin_context *context;
        basin_context_options_init(&options);
        options.thread_count = 3;
        options.allocate = test_heap_allocate;
        options.release = test_heap_release;
        options.allocator_user = &heap;
        basin_status status = basin_context_create(&options, &context);
        if (!heap.has_failed) {
            assert_int_equal(status, BASIN_OK);
            basin_context_destroy(context);
            assert_int_equal(heap.alive, 0);
            assert_true(k > 0);
            return;
        }
        assert_int_equal(status, BASIN_ERROR_MEMORY);
        assert_null(context);
        assert_int_equal(heap.alive, 0);
    }
}

static void test_error_messages(void **state) {
    (void)state;
    test_heap heap = {.fail_at = -1};
    basin_context *context = test_context(&heap, 1);
    assert_string_equal(basin_context_error(context), "");
    assert_int_equal(basin__fail(context, BASIN_ERROR_SHAPE, "a\nb %d", 7), BASIN_ERROR_SHAPE);
    assert_string_equal(basin_context_error(context), "a b 7");
    assert_int_equal(basin__fail_in(context, BASIN_ERROR_IO, "there"), BASIN_ERROR_IO);
    assert_string_equal(basin_context_error(context), "there: a b 7");
    static char longest[5000];
    memset(longest, 'x', sizeof(longest) - 1);
    (void)basin__fail(context, BASIN_ERROR_IO, "%s", longest);
    (void)basin__fail_in(context, BASIN_ERROR_IO, longest);
    size_t length = strlen(basin_context_error(context));
    assert_true(length > 500 && length < sizeof(longest) - 1);
    basin_context_destroy(context);
}

static void test_memory(void **state) {
    (void)state;
    test_heap heap = {.fail_at = -1};
    basin_context *context = test_context(&heap, 1);
    unsigned char *memory = basin__alloc(context, 100);
    assert_non_null(memory);
    for (int i = 0; i < 100; i++)
        assert_int_equal(memory[i], 0);
    memset(memory, 7, 100);
    memory = basin__grow(context, memory, 100, 200);
    assert_int_equal(memory[99], 7);
    assert_int_equal(memory[100], 0);
    assert_int_equal(memory[199], 0);
    basin__free(context, memory);
    basin__free(context, NULL);
    assert_null(basin__alloc_array(context, SIZE_MAX / 2, 3));
    assert_non_null(strstr(basin_context_error(context), "out of memory"));
    assert_int_equal(heap.alive, heap.alive_at_start);
    basin_context_destroy(context);
}

static void test_default_allocator(void **state) {
    (void)state;
    basin_context *context;
    assert_int_equal(basin_context_create(NULL, &context), BASIN_OK);
    assert_true(basin_context_thread_count(context) >= 1);
    void *memory = basin__alloc(context, 1);
    assert_non_null(memory);
    assert_int_equal((uintptr_t)memory % 64, 0);
    basin__free(context, memory);
    assert_null(basin__alloc(context, SIZE_MAX - 3));
    basin_context_destroy(context);
    basin_context_destroy(NULL);
}

static void keep_line(void *user, basin_log_level level, const char *line) {
    snprintf(user, 64, "%d:%s", (int)level, line);
}

static void test_log(void **state) {
    (void)state;
    basin_context_options options;
    basin_context *context;
    char line[64] = "";
    basin_context_options_init(&options);
    options.thread_count = 1;
    options.log = keep_line;
    options.log_user = line;
    assert_int_equal(basin_context_create(&options, &context), BASIN_OK);
    basin__log(context, BASIN_LOG_WARNING, "step %d", 3);
    assert_string_equal(line, "2:step 3");
    basin_context_destroy(context);
}

/* ---- worker pool ---- */

#define INDICES 1000

typedef struct tally {
    _Atomic int seen[INDICES];
    _Atomic bool is_worker_wrong;
    int thread_count;
} tally;

static void count_index(void *user, int64_t index, int worker) {
    tally *t = user;
    atomic_fetch_add(&t->seen[index], 1);
    if (worker < 0 || worker >= t->thread_count)
        atomic_store(&t->is_worker_wrong, true);
}

static basin_context *pool_context(int thread_count) {
    basin_context_options options;
    basin_context *context;
    basin_context_options_init(&options);
    options.thread_count = thread_count;
    assert_int_equal(basin_context_create(&options, &context), BASIN_OK);
    assert_int_equal(basin_context_thread_count(context), thread_count);
    return context;
}

static void check_pool(int thread_count) {
    static const int64_t counts[] = {0, 1, 2, 7, INDICES};
    static tally t;
    basin_context *context = pool_context(thread_count);
    for (int repeat = 0; repeat < 20; repeat++) {
        for (size_t c = 0; c < BASIN_COUNT(counts); c++) {
            int wrong = 0;
            memset(&t, 0, sizeof(t));
            t.thread_count = thread_count;
            basin__parallel(context, counts[c], count_index, &t);
            for (int64_t i = 0; i < INDICES; i++)
                wrong += t.seen[i] != (i < counts[c] ? 1 : 0);
            assert_int_equal(wrong, 0);
            assert_false(t.is_worker_wrong);
        }
    }
    basin_context_destroy(context);
}

static void test_pool_visits_each_index_once(void **state) {
    (void)state;
    check_pool(1);
    check_pool(2);
    check_pool(5);
}

/** Waits until three are inside one: returns only if three workers run at the same time. */
static void meet(void *user, int64_t index, int worker) {
    _Atomic int *arrived = user;
    (void)index;
    (void)worker;
    atomic_fetch_add(arrived, 1);
    while (atomic_load(arrived) < 3)
        usleep(100);
}

static void test_pool_runs_at_once(void **state) {
    (void)state;
    _Atomic int arrived = 0;
    basin_context *context = pool_context(3);
    basin__parallel(context, 3, meet, &arrived);
    assert_int_equal(arrived, 3);
    basin_context_destroy(context);
}

static void test_thread_count_is_checked(void **state) {
    (void)state;
    basin_context_options options;
    basin_context *context;
    basin_context_options_init(&options);
    options.thread_count = -1;
    assert_int_equal(basin_context_create(&options, &context), BASIN_ERROR_ARGUMENT);
    options.thread_count = 1 << 20;
    assert_int_equal(basin_context_create(&options, &context), BASIN_ERROR_ARGUMENT);
}

/* ---- numbers ---- */

static void test_parse_numbers(void **state) {
    (void)state;
    static const char *const bad[] = {"",    " 1",    "1 ",  "1x", "nan",
                                      "inf", "1e999", "--1", ".",  "1,5"};
    double number;
    int64_t integer;
    for (size_t i = 0; i < BASIN_COUNT(bad); i++) {
        assert_false(basin__parse_double(bad[i], &number));
        assert_false(basin__parse_int(bad[i], &integer));
    }
    assert_true(basin__parse_double("-1.25e-3", &number));
    assert_true(number >= -1.25e-3 && number <= -1.25e-3);
    assert_true(basin__parse_int("-9223372036854775808", &integer));
    assert_true(integer == INT64_MIN);
    assert_false(basin__parse_int("9223372036854775808", &integer));
    assert_false(basin__parse_int("1.5", &integer));
}

static void test_print_numbers(void **state) {
    (void)state;
    static const double values[] = {0.1, 1.0 / 3.0, 1e-300, -2.5e17, 5e-324, 0.0};
    static const char *const shortest[] = {"0.1", NULL, "1e-300", "-2.5e+17", "5e-324", "0"};
    for (size_t i = 0; i < BASIN_COUNT(values); i++) {
        char text[32];
        double back = -1.0;
        basin__print_double(text, values[i]);
        assert_true(basin__parse_double(text, &back));
        assert_memory_equal(&back, &values[i], sizeof(back));
        if (shortest[i])
            assert_string_equal(text, shortest[i]);
    }
}

static void test_print_numbers_for_people(void **state) {
    (void)state;
    static const double values[] = {0.0, 1000000.0, 1e9, -2.5e12, 1e-12, 0.25, 1e100};
    static const char *const texts[] = {"0", "1000000", "1e9", "-2.5e12", "1e-12", "0.25", "1e100"};
    for (size_t i = 0; i < BASIN_COUNT(values); i++) {
        char text[32];
        basin__print_number(text, values[i]);
        assert_string_equal(text, texts[i]);
    }
}

/** Put in place a locale that writes 0,5, made in `folder` by localedef; false without that. */
static bool enter_comma_locale(const char *folder) {
    char command[256];
    snprintf(command, sizeof(command), "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 >/dev/null 2>&1",
             folder);
    bool is_made = system(command) == 0 && setenv("LOCPATH", folder, 1) == 0;
    return is_made && setlocale(LC_NUMERIC, "de_DE.UTF-8") &&
           strcmp(localeconv()->decimal_point, ",") == 0;
}

static void test_numbers_in_a_comma_locale(void **state) {
    (void)state;
    double number = 0.0;
    char folder[64], text[32], host[32];
    test_folder_make(folder);
    bool is_there = enter_comma_locale(folder);
    test_folder_remove(folder);
    if (!is_there) {
        print_message("skipped: localedef cannot make a locale with a decimal comma here\n");
        skip();
    }
    bool is_parsed = basin__parse_double("0.5", &number);
    basin__print_double(text, 0.25);
    snprintf(host, sizeof(host), "%g", 0.5);
    setlocale(LC_NUMERIC, "C");
    assert_true(is_parsed && number >= 0.5 && number <= 0.5);
    assert_string_equal(text, "0.25");
    assert_string_equal(host, "0,5"); /* the host program's locale is as it was */
}

static void test_edit_distance(void **state) {
    (void)state;
    assert_int_equal(basin__edit_distance("", "abc"), 3);
    assert_int_equal(basin__edit_distance("kitten", "sitting"), 3);
    assert_int_equal(basin__edit_distance("step-sise", "step_size"), 1);
    assert_int_equal(basin__edit_distance("tarin", "train"), 1);
    assert_true(basin__is_near("tarin", 1));
    assert_false(basin__is_near("tarin", 4));
    static char huge[200];
    memset(huge, 'a', sizeof(huge) - 1);
    assert_true(basin__edit_distance(huge, "a") == SIZE_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_texts),
        cmocka_unit_test(test_isa_by_option),
        cmocka_unit_test(test_isa_by_environment),
        cmocka_unit_test(test_context_out_of_memory),
        cmocka_unit_test(test_error_messages),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_default_allocator),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_pool_visits_each_index_once),
        cmocka_unit_test(test_pool_runs_at_once),
        cmocka_unit_test(test_thread_count_is_checked),
        cmocka_unit_test(test_parse_numbers),
        cmocka_unit_test(test_print_numbers),
        cmocka_unit_test(test_print_numbers_for_people),
        cmocka_unit_test(test_numbers_in_a_comma_locale),
        cmocka_unit_test(test_edit_distance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
