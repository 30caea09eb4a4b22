/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Status codes: what every call that can fail returns.
 *
 * One table gives the enum, the names and the texts. The message with the
 * details (which file, which shapes, what to do) is kept by the context:
 * see basin_context_error().
 */
#ifndef BASIN_STATUS_H
#define BASIN_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define BASIN_API __attribute__((visibility("default")))
#define BASIN_MUST_CHECK __attribute__((warn_unused_result))
#else
#define BASIN_API
#define BASIN_MUST_CHECK
#endif

/* X(identifier, text) */
#define BASIN_STATUS_TABLE(X)                                                                      \
    X(OK, "success")                                                                               \
    X(ERROR_ARGUMENT, "an argument is out of its range")                                           \
    X(ERROR_CONFIG, "a configuration is wrong or contradicts itself")                              \
    X(ERROR_SHAPE, "shapes do not fit together")                                                   \
    X(ERROR_MEMORY, "memory could not be had")                                                     \
    X(ERROR_IO, "a file could not be read or written")                                             \
    X(ERROR_FORMAT, "a file's content breaks its format")                                          \
    X(ERROR_DIVERGED, "a value became non-finite or training ran away")                            \
    X(ERROR_CANCELLED, "the caller's callback asked to stop")                                      \
    X(ERROR_UNSUPPORTED, "not there in this build or for this input")

typedef enum basin_status {
#define BASIN_STATUS_ENUM(identifier, text) BASIN_##identifier,
    BASIN_STATUS_TABLE(BASIN_STATUS_ENUM)
#undef BASIN_STATUS_ENUM
} basin_status;

/** "BASIN_ERROR_SHAPE" and the like; "unknown" for a number that is none of them. Never NULL. */
BASIN_API const char *basin_status_name(basin_status status);

/** One line of text for a status. Never NULL. */
BASIN_API const char *basin_status_text(basin_status status);

#ifdef __cplusplus
}
#endif
#endif
