/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One field of an option table: set from text, emptied, checked. Shared by the
 * two readers of options, the command line's and the configuration file's.
 */
#ifndef BASIN_BASE_OPTION_FIELD_H
#define BASIN_BASE_OPTION_FIELD_H

#include "base/option.h"

/** How a message names an option: as the flag "--step-size" or as the key "step_size". */
typedef enum basin__option_source { BASIN__SOURCE_FLAG, BASIN__SOURCE_KEY } basin__option_source;

typedef struct basin__option_field {
    basin_context *context;
    const basin__option *option;
    void *values; /* the struct that holds the field */
    basin__option_source source;
} basin__option_field;

/** The field's address. */
void *basin__field_at(const basin__option_field *field);
/** Let go of text or a list and zero the field. */
void basin__field_clear(const basin__option_field *field);
/** Set from text. `append` adds to a text list instead of replacing it. */
basin_status basin__field_set(const basin__option_field *field, const char *text, bool append);
/** Record and return "--name <what> is …", as BASIN_ERROR_CONFIG. */
basin_status basin__field_fail(const basin__option_field *field, const char *given,
                               const char *wanted);
/** "unknown option --x; did you mean --y?", as BASIN_ERROR_CONFIG. */
basin_status basin__option_unknown(basin_context *context, const basin__option_group *groups,
                                   size_t group_count, const char *name,
                                   basin__option_source source);

#endif
