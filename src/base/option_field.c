/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One field of an option table: text to value, with messages that say what was
 * given, what is wanted and, for a misspelt word, what was probably meant.
 */
#include "base/option_field.h"
#include "base/number.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define LABEL_BYTES 80
#define WORD_BYTES 64
#define GIVEN_BYTES 200 /* of a value in a message */

void *basin__field_at(const basin__option_field *field) {
    return (char *)field->values + field->option->offset;
}

static void free_text_list(basin_context *context, basin__text_list *list) {
    for (size_t i = 0; i < list->count; i++)
        basin__free(context, list->items[i]);
    basin__free(context, list->items);
    *list = (basin__text_list){0};
}

void basin__field_clear(const basin__option_field *field) {
    void *at = basin__field_at(field);
    switch (field->option->type) {
    case BASIN__OPTION_FLAG:
        *(bool *)at = false;
        break;
    case BASIN__OPTION_INT:
    case BASIN__OPTION_CHOICE:
        *(int64_t *)at = 0;
        break;
    case BASIN__OPTION_FLOAT:
        *(double *)at = 0.0;
        break;
    case BASIN__OPTION_TEXT:
        basin__free(field->context, *(char **)at);
        *(char **)at = NULL;
        break;
    case BASIN__OPTION_INT_LIST:
        basin__free(field->context, ((basin__int_list *)at)->items);
        *(basin__int_list *)at = (basin__int_list){0};
        break;
    case BASIN__OPTION_TEXT_LIST:
        free_text_list(field->context, at);
        break;
    }
}

/* ---- messages ---- */

static void write_label(char label[LABEL_BYTES], const char *name, basin__option_source source) {
    snprintf(label, LABEL_BYTES, "%s%s", source == BASIN__SOURCE_FLAG ? "--" : "", name);
    for (char *at = label; source == BASIN__SOURCE_KEY && *at; at++)
        if (*at == '-')
            *at = '_';
}

basin_status basin__field_fail(const basin__option_field *field, const char *given,
                               const char *wanted) {
    char label[LABEL_BYTES];
    write_label(label, field->option->name, field->source);
    return basin__fail(field->context, BASIN_ERROR_CONFIG, "%s %.*s%s is %s", label, GIVEN_BYTES,
                       given[0] ? given : "''", strlen(given) > GIVEN_BYTES ? "…" : "", wanted);
}

static basin_status check_range(const basin__option_field *field, double value, const char *given) {
    const basin__option *option = field->option;
    bool is_limited =
        option->min < 0.0 || option->min > 0.0 || option->max < 0.0 || option->max > 0.0;
    if (!is_limited || (value >= option->min && value <= option->max))
        return BASIN_OK;
    char low[32], high[32], wanted[128];
    basin__print_number(low, option->min);
    basin__print_number(high, option->max);
    if (isinf(option->max))
        snprintf(wanted, sizeof(wanted), "out of range: %s or more", low);
    else if (isinf(option->min))
        snprintf(wanted, sizeof(wanted), "out of range: %s or less", high);
    else
        snprintf(wanted, sizeof(wanted), "out of range: %s to %s", low, high);
    return basin__field_fail(field, given, wanted);
}

/* ---- scalars ---- */

static basin_status parse_flag(const basin__option_field *field, const char *text, bool *out) {
    static const char *const words[] = {"true", "false", "yes", "no", "on", "off", "1", "0"};
    for (size_t i = 0; i < BASIN_COUNT(words); i++) {
        if (strcmp(text, words[i]) == 0) {
            *out = i % 2 == 0;
            return BASIN_OK;
        }
    }
    return basin__field_fail(field, text, "neither true nor false");
}

/** "1000000" or "1e6"; past 2^53 a double skips integers, so that those need all their digits. */
static basin_status parse_int(const basin__option_field *field, const char *text, int64_t *out) {
    int64_t value;
    double real;
    if (!basin__parse_int(text, &value)) {
        if (!basin__parse_double(text, &real) || trunc(real) < real || trunc(real) > real)
            return basin__field_fail(field, text, "not an integer");
        BASIN_TRY(check_range(field, real, text));
        if (fabs(real) > 0x1p53)
            return basin__field_fail(field, text, "past 2^53: write all its digits");
        value = (int64_t)real;
    }
    BASIN_TRY(check_range(field, (double)value, text));
    *out = value;
    return BASIN_OK;
}

static basin_status parse_float(const basin__option_field *field, const char *text, double *out) {
    double value;
    if (!basin__parse_double(text, &value))
        return basin__field_fail(field, text, "not a finite number");
    BASIN_TRY(check_range(field, value, text));
    *out = value;
    return BASIN_OK;
}

/** Copy the word at *list up to `separator` and step past it; false at the end. */
static bool next_word(const char **list, char separator, char word[WORD_BYTES]) {
    if (!*list)
        return false;
    const char *end = strchr(*list, separator);
    size_t length = end ? (size_t)(end - *list) : strlen(*list);
    snprintf(word, WORD_BYTES, "%.*s", (int)(length < WORD_BYTES ? length : WORD_BYTES - 1), *list);
    *list = end ? end + 1 : NULL;
    return true;
}

static basin_status parse_choice(const basin__option_field *field, const char *text, int64_t *out) {
    char word[WORD_BYTES], nearest[WORD_BYTES] = "", wanted[512];
    size_t nearest_distance = SIZE_MAX;
    const char *rest = field->option->choices;
    for (int64_t i = 0; next_word(&rest, '|', word); i++) {
        size_t distance = basin__edit_distance(text, word);
        if (distance == 0) {
            *out = i;
            return BASIN_OK;
        }
        if (distance < nearest_distance) {
            nearest_distance = distance;
            memcpy(nearest, word, sizeof(nearest));
        }
    }
    if (basin__is_near(text, nearest_distance))
        snprintf(wanted, sizeof(wanted), "none of %s; did you mean %s?", field->option->choices,
                 nearest);
    else
        snprintf(wanted, sizeof(wanted), "none of %s", field->option->choices);
    return basin__field_fail(field, text, wanted);
}

static basin_status set_text(const basin__option_field *field, const char *text) {
    char **at = basin__field_at(field);
    char *copy = basin__strdup(field->context, text);
    if (!copy)
        return BASIN_ERROR_MEMORY;
    basin__free(field->context, *at);
    *at = copy;
    return BASIN_OK;
}

/* ---- lists ---- */

static size_t count_parts(const char *text) {
    size_t count = text[0] ? 1 : 0;
    for (; *text; text++)
        count += *text == ',';
    return count;
}

static basin_status set_int_list(const basin__option_field *field, const char *text) {
    basin__int_list list = {.count = count_parts(text)};
    char word[WORD_BYTES];
    const char *rest = text;
    if (list.count > 0) {
        list.items = basin__alloc_array(field->context, list.count, sizeof(int64_t));
        if (!list.items)
            return BASIN_ERROR_MEMORY;
    }
    for (size_t i = 0; i < list.count && next_word(&rest, ',', word); i++) {
        basin_status status = parse_int(field, word, &list.items[i]);
        if (status != BASIN_OK) {
            basin__free(field->context, list.items);
            return status;
        }
    }
    basin__field_clear(field);
    *(basin__int_list *)basin__field_at(field) = list;
    return BASIN_OK;
}

/** Copies of the parts of `text` after the items of `kept`, which stay the caller's. */
static basin_status join_texts(basin_context *context, const basin__text_list *kept,
                               const char *text, basin__text_list *out) {
    size_t parts = count_parts(text);
    out->items = basin__alloc_array(context, kept->count + parts, sizeof(char *));
    if (!out->items)
        return BASIN_ERROR_MEMORY;
    for (size_t i = 0; i < kept->count; i++) {
        out->items[out->count] = basin__strdup(context, kept->items[i]);
        if (!out->items[out->count])
            return BASIN_ERROR_MEMORY;
        out->count++;
    }
    for (size_t i = 0; i < parts; i++) {
        size_t length = strcspn(text, ",");
        out->items[out->count] = basin__format(context, "%.*s", (int)length, text);
        if (!out->items[out->count])
            return BASIN_ERROR_MEMORY;
        out->count++;
        text += length + (text[length] ? 1 : 0);
    }
    return BASIN_OK;
}

static basin_status set_text_list(const basin__option_field *field, const char *text, bool append) {
    basin__text_list *at = basin__field_at(field), list = {0}, none = {0};
    basin_status status = join_texts(field->context, append ? at : &none, text, &list);
    if (status != BASIN_OK) {
        free_text_list(field->context, &list);
        return status;
    }
    free_text_list(field->context, at);
    *at = list;
    return BASIN_OK;
}

basin_status basin__field_set(const basin__option_field *field, const char *text, bool append) {
    void *at = basin__field_at(field);
    switch (field->option->type) {
    case BASIN__OPTION_FLAG:
        return parse_flag(field, text, at);
    case BASIN__OPTION_INT:
        return parse_int(field, text, at);
    case BASIN__OPTION_FLOAT:
        return parse_float(field, text, at);
    case BASIN__OPTION_TEXT:
        return set_text(field, text);
    case BASIN__OPTION_CHOICE:
        return parse_choice(field, text, at);
    case BASIN__OPTION_INT_LIST:
        return set_int_list(field, text);
    case BASIN__OPTION_TEXT_LIST:
        return set_text_list(field, text, append);
    }
    return BASIN_ERROR_ARGUMENT;
}

basin_status basin__option_unknown(basin_context *context, const basin__option_group *groups,
                                   size_t group_count, const char *name,
                                   basin__option_source source) {
    const char *nearest = NULL, *kind = source == BASIN__SOURCE_FLAG ? "option" : "key";
    size_t nearest_distance = SIZE_MAX;
    char given[LABEL_BYTES], meant[LABEL_BYTES];
    for (size_t g = 0; g < group_count; g++) {
        for (size_t i = 0; i < groups[g].count; i++) {
            size_t distance = basin__edit_distance(name, groups[g].options[i].name);
            if (distance < nearest_distance) {
                nearest_distance = distance;
                nearest = groups[g].options[i].name;
            }
        }
    }
    write_label(given, name, source);
    if (!nearest || !basin__is_near(name, nearest_distance))
        return basin__fail(context, BASIN_ERROR_CONFIG, "unknown %s %s", kind, given);
    write_label(meant, nearest, source);
    return basin__fail(context, BASIN_ERROR_CONFIG, "unknown %s %s; did you mean %s?", kind, given,
                       meant);
}
