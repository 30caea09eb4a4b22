/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one file with compiler-specific syntax.
 */
#ifndef BASIN_BASE_COMPILER_H
#define BASIN_BASE_COMPILER_H

#define BASIN_PRINTF(format_at, first_at) __attribute__((format(printf, format_at, first_at)))
#define BASIN_INLINE static inline __attribute__((always_inline, unused))
#define BASIN_LIKELY(x) __builtin_expect(!!(x), 1)
#define BASIN_UNLIKELY(x) __builtin_expect(!!(x), 0)
/**
 * Before a loop: INDEPENDENT, whose rounds do not use each other's results, though its pointers may
 * be equal; UNROLL, whose few rounds are written out, so that an array they index can live in
 * registers.
 */
#ifdef __clang__
#define BASIN_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#define BASIN_UNROLL _Pragma("clang loop unroll(full)")
#else
#define BASIN_INDEPENDENT _Pragma("GCC ivdep")
#define BASIN_UNROLL _Pragma("GCC unroll 32")
#endif
/** Declare a vector of `count` elements, with operators element by element, on any target. */
#define BASIN_VECTOR(name, element, count)                                                         \
    typedef element name __attribute__((vector_size(sizeof(element) * (count))))
#define BASIN_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/** Bring a line of memory, soon to be read and written, into the cache. */
#define BASIN_PREFETCH(address) __builtin_prefetch(address)

/** Whether the processor has a feature, "avx2" for example: a literal. */
#if defined(__x86_64__) || defined(__i386__)
#define BASIN_CPU_HAS(feature) (__builtin_cpu_supports(feature) != 0)
#else
#define BASIN_CPU_HAS(feature) 0
#endif
/** Whether it has NEON with fused multiply-adds: all of AArch64 do, so the target says it. */
#if defined(__aarch64__) && defined(__ARM_NEON)
#define BASIN_HAS_NEON 1
#else
#define BASIN_HAS_NEON 0
#endif

/** Return the status of `call` from the calling function unless it is BASIN_OK. */
#define BASIN_TRY(call)                                                                            \
    do {                                                                                           \
        basin_status try_status = (call);                                                          \
        if (try_status != BASIN_OK)                                                                \
            return try_status;                                                                     \
    } while (0)

#endif
