/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of kernels share: memory between guard zones, numbers without
 * end, and a walk over the tables that this processor can run.
 */
#ifndef BASIN_TESTS_KERNEL_SUPPORT_H
#define BASIN_TESTS_KERNEL_SUPPORT_H

#include "backend/cpu/kernels.h"
#include "base/cpu.h"
#include "support.h"
#include <math.h>

#define GUARD 64
static const float guard_number = -1234.5f;

/** n floats between two guard zones. */
typedef struct guarded {
    float *all, *data;
    int64_t n;
} guarded;

static inline guarded guarded_make(int64_t n, float fill) {
    guarded made = {.n = n};
    size_t count = (size_t)(n + 2 * GUARD + 15) / 16 * 16;
    made.all = aligned_alloc(64, count * sizeof *made.all);
    assert_non_null(made.all);
    for (size_t i = 0; i < count; i++)
        made.all[i] = guard_number;
    made.data = made.all + GUARD;
    for (int64_t i = 0; i < n; i++)
        made.data[i] = fill;
    return made;
}

static inline void guarded_free(guarded *made) {
    for (int i = 0; i < GUARD; i++) {
        assert_true(made->all[i] == guard_number);
        assert_true(made->data[made->n + i] == guard_number);
    }
    free(made->all);
}

static uint32_t any_state = 1;

/** Uniform in [−1, 1). */
static inline float any_number(void) {
    any_state = any_state * 1664525u + 1013904223u;
    return (float)(any_state >> 8) / 8388608.0f - 1.0f;
}

static inline int any_below(int count) {
    any_state = any_state * 1664525u + 1013904223u;
    return (int)((uint64_t)(any_state >> 8) * (uint64_t)count >> 24);
}

/** Not-a-number has no sign that means anything: compilers may swap factors. */
static inline bool same_bits(const float *a, const float *b, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (memcmp(&a[i], &b[i], sizeof *a) != 0 && !(isnan(a[i]) && isnan(b[i])))
            return false;
    return true;
}

/** Call `check` with each table that this processor can run. */
static inline void for_each_table(void (*check)(const basin__cpu_kernels *kernels)) {
    for (int isa = 0; isa < BASIN__ISA_COUNT; isa++)
        if (basin__isa_supported((basin__isa)isa))
            check(basin__cpu_kernels_for((basin__isa)isa));
}

#endif
