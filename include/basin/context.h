/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The context: what all objects of one caller share. It holds the allocator,
 * the worker threads, the chosen instruction set and the last error's text.
 */
#ifndef BASIN_CONTEXT_H
#define BASIN_CONTEXT_H

#include <basin/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct basin_context basin_context;

/** Log levels, quietest last. */
typedef enum basin_log_level { BASIN_LOG_DEBUG, BASIN_LOG_INFO, BASIN_LOG_WARNING } basin_log_level;

/** What chains multiply and keep; sums, their positions and all of training stay fp32. */
typedef enum basin_precision { BASIN_PRECISION_FP32, BASIN_PRECISION_BF16 } basin_precision;

typedef struct basin_context_options {
    size_t size;      /**< sizeof(basin_context_options), set by init */
    int thread_count; /**< 0: affinity and cgroup quota decide */
    /** See basin_context_isa(). NULL: BASIN_CPU, else the best. */
    const char *isa;
    /** Allocate `bytes` aligned to 64, or NULL. NULL pointer here: the C library's. */
    void *(*allocate)(void *user, size_t bytes);
    void (*release)(void *user, void *memory);
    void *allocator_user;
    /** Called with one line, without a newline. NULL: nothing is logged. */
    void (*log)(void *user, basin_log_level level, const char *line);
    void *log_user;
    /**
     * Convolve as written, tap by tap. Otherwise convolutions that fewer multiplications make
     * faster take them (Winograd): results differ by rounding, at most 1e-4 of the largest value.
     */
    bool exact_convolution;
    /** Of chains: bf16 pays where the processor multiplies it ("avx512-bf16"). */
    basin_precision precision;
} basin_context_options;

BASIN_API void basin_context_options_init(basin_context_options *options);

/**
 * Create a context and start its worker threads.
 *
 * @param options  borrowed; NULL for the defaults
 * @param out      the new context, the caller's to destroy; NULL on failure
 * @return BASIN_OK; BASIN_ERROR_MEMORY; BASIN_ERROR_ARGUMENT for an instruction set that is unknown
 *         or that this processor lacks, or bf16 on "reference"
 */
BASIN_API BASIN_MUST_CHECK basin_status basin_context_create(const basin_context_options *options,
                                                             basin_context **out);

/** Stop the workers and free the context; every object made with it must be gone. NULL is fine. */
BASIN_API void basin_context_destroy(basin_context *context);

/** The last error's one-line message, "" if there was none. Owned by the context. */
BASIN_API const char *basin_context_error(const basin_context *context);

BASIN_API int basin_context_thread_count(const basin_context *context);

/** The instruction set in use: "reference", "generic", "neon", "avx2", "avx512", "avx512-bf16". */
BASIN_API const char *basin_context_isa(const basin_context *context);

/** Whether convolutions take no fewer multiplications than they are written with. */
BASIN_API bool basin_context_exact_convolution(const basin_context *context);

/** "fp32" or "bf16": what chains multiply and keep. */
BASIN_API const char *basin_context_precision(const basin_context *context);

/** The library's version, "0.1.0" for example. */
BASIN_API const char *basin_version(void);

#ifdef __cplusplus
}
#endif
#endif
