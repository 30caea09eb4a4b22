/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the library's own files use of a context: memory, errors, log, workers.
 */
#ifndef BASIN_BASE_CONTEXT_H
#define BASIN_BASE_CONTEXT_H

#include "base/compiler.h"
#include <basin/context.h>

/** Instruction sets, the better ones later: NEON is AArch64's, those after it are x86's. */
typedef enum basin__isa {
    BASIN__ISA_REFERENCE,
    BASIN__ISA_GENERIC,
    BASIN__ISA_NEON,
    BASIN__ISA_AVX2,
    BASIN__ISA_AVX512,
    BASIN__ISA_AVX512_BF16,
    BASIN__ISA_COUNT
} basin__isa;

bool basin__context_is_half(const basin_context *context);
basin__isa basin__context_isa(const basin_context *context);

/** Record a printf-style one-line message and return `status`, so that `return basin__fail(…)`. */
basin_status basin__fail(basin_context *context, basin_status status, const char *format, ...)
    BASIN_PRINTF(3, 4);

/** Put "prefix: " in front of the recorded message (a path, a verb) and return `status`. */
basin_status basin__fail_in(basin_context *context, basin_status status, const char *prefix);

void basin__log(const basin_context *context, basin_log_level level, const char *format, ...)
    BASIN_PRINTF(3, 4);

/** Zeroed memory aligned to 64 bytes, or NULL with the error recorded. Size 0 gives one byte. */
void *basin__alloc(basin_context *context, size_t bytes);
/** count × size, checked for overflow. */
void *basin__alloc_array(basin_context *context, size_t count, size_t size);
/** Grow to `new_bytes`, keeping the first `old_bytes` and zeroing the rest; NULL leaves `old`
 * alone. */
void *basin__grow(basin_context *context, void *old, size_t old_bytes, size_t new_bytes);
void basin__free(basin_context *context, void *memory);
/** A copy of a string, or NULL with the error recorded. */
char *basin__strdup(basin_context *context, const char *text);
/** printf into new memory, or NULL with the error recorded. */
char *basin__format(basin_context *context, const char *format, ...) BASIN_PRINTF(2, 3);

/**
 * Run `task(user, index, worker)` for each index in [0, count). Indices are handed out by an atomic
 * counter; worker is in [0, thread_count). The caller works too, and returns when all are done.
 * Not to be called from inside a task.
 */
void basin__parallel(basin_context *context, int64_t count,
                     void (*task)(void *user, int64_t index, int worker), void *user);

#endif
