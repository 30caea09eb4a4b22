/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options as data: one table beside a struct gives defaults, ranges, units,
 * help, command-line flags, configuration keys and checkpoint metadata.
 *
 * A struct described by a table holds plain fields of the types below at the
 * given offsets. Text and lists are owned by the struct (basin__free) and let
 * go by basin__options_reset.
 */
#ifndef BASIN_BASE_OPTION_H
#define BASIN_BASE_OPTION_H

#include "base/context.h"
#include <jansson.h>

typedef enum basin__option_type {
    BASIN__OPTION_FLAG,     /* bool */
    BASIN__OPTION_INT,      /* int64_t */
    BASIN__OPTION_FLOAT,    /* double */
    BASIN__OPTION_TEXT,     /* char *, NULL where unset */
    BASIN__OPTION_CHOICE,   /* int64_t: index into `choices` */
    BASIN__OPTION_INT_LIST, /* basin__int_list, "16,32,64" */
    BASIN__OPTION_TEXT_LIST /* basin__text_list: the flag may be given several times, or "a,b" */
} basin__option_type;

typedef struct basin__int_list {
    int64_t *items;
    size_t count;
} basin__int_list;

typedef struct basin__text_list {
    char **items;
    size_t count;
} basin__text_list;

typedef struct basin__option {
    const char *name; /* "base-channels": the flag --base-channels and the key base_channels */
    basin__option_type type;
    size_t offset;
    const char *fallback; /* default as text; NULL: unset text, empty list, false */
    double min, max;      /* inclusive, numbers and list items; both 0: no limit */
    const char *choices;  /* "mean|flatten" for CHOICE */
    const char *unit;     /* shown in help: "steps", "pixels"; NULL if none */
    const char *help;     /* one line */
} basin__option;

/** Tables that are parsed together: a verb's own, a network's, an objective's… */
typedef struct basin__option_group {
    const char *title; /* heading in help: "Network conv" */
    const basin__option *options;
    size_t count;
    void *values;    /* the struct the offsets are in */
    uint64_t is_set; /* bit i: option i was given by the user (at most 64 a table) */
} basin__option_group;

/** Set every field to its default. Overwrites without freeing: for a fresh struct. */
basin_status basin__options_default(basin_context *context, basin__option_group *group);
/** Free text and lists and zero all fields. */
void basin__options_reset(basin_context *context, basin__option_group *group);
/** Find an option by flag or key name ('-' and '_' are the same), or NULL. */
const basin__option *basin__option_find(const basin__option_group *groups, size_t group_count,
                                        const char *name, size_t *group_index);
#define BASIN__OPTION_KEY_BYTES 64
/** The key of a name: "step-size" is "step_size". */
void basin__option_key(const char *name, char key[BASIN__OPTION_KEY_BYTES]);
/** Set one option from text; checks type, range and choices. Unknown names get a suggestion. */
basin_status basin__option_set(basin_context *context, basin__option_group *groups,
                               size_t group_count, const char *name, const char *text);
/** Set options from a JSON object (numbers, booleans, strings, arrays); keys as in flags. */
basin_status basin__options_from_json(basin_context *context, basin__option_group *groups,
                                      size_t group_count, const json_t *object);
/**
 * BASIN_ERROR_CONFIG where an option was given of which `is_ignored` says that the others leave it
 * without effect.
 */
basin_status basin__options_check_given(basin_context *context, const basin__option_group *group,
                                        bool (*is_ignored)(const void *user, const char *name),
                                        const void *user);
/** Whether a name is one of a list that ends with NULL. */
bool basin__option_is_among(const char *name, const char *const *names);
/** Add every option with its value to a JSON object. */
basin_status basin__options_to_json(basin_context *context, const basin__option_group *group,
                                    json_t *object);
/** Add those that the user gave. */
basin_status basin__options_given_to_json(basin_context *context, const basin__option_group *group,
                                          json_t *object);

#endif
