/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As much of cmocka's interface as the tests of the core use, for processors that no cmocka is
 * installed for. It prints what cmocka prints, so tests are counted alike. A test that fails is
 * left by longjmp and the next one runs; a crash ends the program.
 */
#ifndef BASIN_TESTS_CORE_CMOCKA_H
#define BASIN_TESTS_CORE_CMOCKA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
    int (*set_up)(void **state);
    int (*tear_down)(void **state);
};

static jmp_buf cmocka_failure;

/** Say what is wrong and leave the test. */
_Noreturn static inline void cmocka_fail(const char *file, int line, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n[   LINE   ] --- %s:%d: error: Failure!\n", file, line);
    longjmp(cmocka_failure, 1);
}

#define fail_msg(...) cmocka_fail(__FILE__, __LINE__, __VA_ARGS__)
#define assert_true(condition)                                                                     \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg("%s", #condition);                                                            \
    } while (0)
#define assert_false(condition) assert_true(!(condition))
#define assert_null(pointer) assert_true((pointer) == NULL)
#define assert_non_null(pointer) assert_true((pointer) != NULL)
#define assert_ptr_equal(a, b) assert_true((const void *)(a) == (const void *)(b))
#define assert_int_equal(a, b) assert_true((intmax_t)(a) == (intmax_t)(b))
#define assert_int_not_equal(a, b) assert_true((intmax_t)(a) != (intmax_t)(b))
#define assert_string_equal(a, b) assert_true(strcmp(a, b) == 0)
#define assert_memory_equal(a, b, size) assert_true(memcmp(a, b, size) == 0)

static inline int cmocka_run(const struct CMUnitTest *test) {
    void *state = NULL;
    printf("[ RUN      ] %s\n", test->name);
    fflush(stdout);
    if (setjmp(cmocka_failure) != 0) {
        printf("[  FAILED  ] %s\n", test->name);
        return 1;
    }
    if (test->set_up && test->set_up(&state) != 0)
        fail_msg("set-up failed");
    test->run(&state);
    if (test->tear_down && test->tear_down(&state) != 0)
        fail_msg("tear-down failed");
    printf("[       OK ] %s\n", test->name);
    return 0;
}

static inline int cmocka_run_group(const struct CMUnitTest *tests, size_t count,
                                   int (*set_up)(void **state), int (*tear_down)(void **state)) {
    void *state = NULL;
    int failures = 0;
    printf("[==========] Running %zu test(s).\n", count);
    if (set_up && set_up(&state) != 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        failures += cmocka_run(&tests[i]);
    if (tear_down && tear_down(&state) != 0)
        return -1;
    printf("[==========] %zu test(s) run.\n", count);
    return failures;
}

#define cmocka_unit_test_setup_teardown(run, set_up, tear_down)                                    \
    { #run, run, set_up, tear_down }
#define cmocka_unit_test(run) cmocka_unit_test_setup_teardown(run, NULL, NULL)
#define cmocka_run_group_tests(tests, set_up, tear_down)                                           \
    cmocka_run_group(tests, sizeof(tests) / sizeof *(tests), set_up, tear_down)
#define cmocka_run_group_tests_name(name, tests, set_up, tear_down)                                \
    cmocka_run_group_tests(tests, set_up, tear_down)

#endif
