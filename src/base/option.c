/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options as data: defaults, lookup, and reading from and writing to JSON.
 *
 * What is written can be read back to the same values: a run's config.json is
 * a configuration file. An unset text or list is null there, and null unsets.
 */
#include "base/option.h"
#include "base/number.h"
#include "base/option_field.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

#define NUMBER_BYTES 32

static basin__option_field field_of(basin_context *context, const basin__option_group *group,
                                    size_t index, basin__option_source source) {
    return (basin__option_field){.context = context,
                                 .option = &group->options[index],
                                 .values = group->values,
                                 .source = source};
}

/** Zero a field without freeing what it held. */
static void field_zero(const basin__option_field *field) {
    static const size_t bytes[] = {
        [BASIN__OPTION_FLAG] = sizeof(bool),
        [BASIN__OPTION_INT] = sizeof(int64_t),
        [BASIN__OPTION_FLOAT] = sizeof(double),
        [BASIN__OPTION_TEXT] = sizeof(char *),
        [BASIN__OPTION_CHOICE] = sizeof(int64_t),
        [BASIN__OPTION_INT_LIST] = sizeof(basin__int_list),
        [BASIN__OPTION_TEXT_LIST] = sizeof(basin__text_list),
    };
    memset(basin__field_at(field), 0, bytes[field->option->type]);
}

basin_status basin__options_default(basin_context *context, basin__option_group *group) {
    assert(group->count <= 64);
    group->is_set = 0;
    for (size_t i = 0; i < group->count; i++) {
        basin__option_field field = field_of(context, group, i, BASIN__SOURCE_FLAG);
        field_zero(&field);
    }
    for (size_t i = 0; i < group->count; i++) {
        basin__option_field field = field_of(context, group, i, BASIN__SOURCE_FLAG);
        const char *fallback = field.option->fallback;
        basin_status status = fallback ? basin__field_set(&field, fallback, false) : BASIN_OK;
        assert(status == BASIN_OK || status == BASIN_ERROR_MEMORY); /* a table's own mistake */
        if (status != BASIN_OK) {
            basin__options_reset(context, group);
            return status;
        }
    }
    return BASIN_OK;
}

void basin__options_reset(basin_context *context, basin__option_group *group) {
    group->is_set = 0;
    for (size_t i = 0; i < group->count; i++) {
        basin__option_field field = field_of(context, group, i, BASIN__SOURCE_FLAG);
        basin__field_clear(&field);
    }
}

static bool same_name(const char *a, const char *b) {
    for (; *a && *b; a++, b++)
        if ((*a == '_' ? '-' : *a) != (*b == '_' ? '-' : *b))
            return false;
    return *a == *b;
}

const basin__option *basin__option_find(const basin__option_group *groups, size_t group_count,
                                        const char *name, size_t *group_index) {
    for (size_t g = 0; g < group_count; g++) {
        for (size_t i = 0; i < groups[g].count; i++) {
            if (same_name(groups[g].options[i].name, name)) {
                if (group_index)
                    *group_index = g;
                return &groups[g].options[i];
            }
        }
    }
    return NULL;
}

basin_status basin__option_set(basin_context *context, basin__option_group *groups,
                               size_t group_count, const char *name, const char *text) {
    size_t g;
    const basin__option *option = basin__option_find(groups, group_count, name, &g);
    if (!option)
        return basin__option_unknown(context, groups, group_count, name, BASIN__SOURCE_FLAG);
    size_t index = (size_t)(option - groups[g].options);
    uint64_t bit = UINT64_C(1) << index;
    basin__option_field field = field_of(context, &groups[g], index, BASIN__SOURCE_FLAG);
    BASIN_TRY(basin__field_set(&field, text, (groups[g].is_set & bit) != 0));
    groups[g].is_set |= bit;
    return BASIN_OK;
}

/* ---- JSON to options ---- */

static const char *json_kind(const json_t *value) {
    static const char *const names[] = {
        [JSON_OBJECT] = "an object", [JSON_ARRAY] = "a list",  [JSON_STRING] = "text",
        [JSON_INTEGER] = "a number", [JSON_REAL] = "a number", [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",      [JSON_NULL] = "null",
    };
    return names[json_typeof(value)];
}

/** A scalar's text: a string's own, or printed to `space`; NULL where it is no scalar. */
static const char *scalar_text(const json_t *value, char space[NUMBER_BYTES]) {
    if (json_is_string(value))
        return json_string_value(value);
    if (json_is_integer(value))
        snprintf(space, NUMBER_BYTES, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value) && json_real_value(value) >= -1e15 &&
             json_real_value(value) <= 1e15 &&
             (double)(int64_t)json_real_value(value) >= json_real_value(value) &&
             (double)(int64_t)json_real_value(value) <= json_real_value(value))
        snprintf(space, NUMBER_BYTES, "%lld", (long long)json_real_value(value)); /* 1e6 */
    else if (json_is_real(value))
        basin__print_double(space, json_real_value(value));
    else if (json_is_boolean(value))
        strcpy(space, json_is_true(value) ? "true" : "false");
    else
        return NULL;
    return space;
}

static basin_status set_from_array(const basin__option_field *field, const json_t *array) {
    char space[NUMBER_BYTES], *joined = basin__strdup(field->context, "");
    basin_status status = joined ? BASIN_OK : BASIN_ERROR_MEMORY;
    for (size_t i = 0; i < json_array_size(array) && status == BASIN_OK; i++) {
        const json_t *item = json_array_get(array, i);
        const char *text = scalar_text(item, space);
        if (!text) {
            status = basin__field_fail(field, json_kind(item), "no item of a list");
            break;
        }
        char *longer = basin__format(field->context, "%s%s%s", joined, i > 0 ? "," : "", text);
        if (!longer)
            status = BASIN_ERROR_MEMORY;
        basin__free(field->context, joined);
        joined = longer;
    }
    if (status == BASIN_OK)
        status = basin__field_set(field, joined, false);
    basin__free(field->context, joined);
    return status;
}

static basin_status set_from_value(const basin__option_field *field, const json_t *value) {
    char space[NUMBER_BYTES];
    basin__option_type type = field->option->type;
    bool is_list = type == BASIN__OPTION_INT_LIST || type == BASIN__OPTION_TEXT_LIST;
    if (json_is_null(value) && (is_list || type == BASIN__OPTION_TEXT)) {
        basin__field_clear(field);
        return BASIN_OK;
    }
    if (json_is_array(value) && is_list)
        return set_from_array(field, value);
    const char *text = scalar_text(value, space);
    if (!text)
        return basin__field_fail(field, json_kind(value), is_list ? "no list" : "no single value");
    return basin__field_set(field, text, false);
}

/** Whether an earlier key says the same in another spelling: step_size and step-size. */
static bool is_said_before(const json_t *object, const char *key) {
    const char *other;
    json_t *value;
    json_object_foreach((json_t *)object, other, value) {
        if (strcmp(other, key) == 0)
            return false;
        if (same_name(other, key))
            return true;
    }
    return false;
}

basin_status basin__options_from_json(basin_context *context, basin__option_group *groups,
                                      size_t group_count, const json_t *object) {
    const char *key;
    json_t *value;
    if (!json_is_object(object))
        return basin__fail(context, BASIN_ERROR_CONFIG,
                           "a configuration is %s; it must be an "
                           "object of keys and values",
                           json_kind(object));
    json_object_foreach((json_t *)object, key, value) {
        size_t g;
        const basin__option *option = basin__option_find(groups, group_count, key, &g);
        if (!option)
            return basin__option_unknown(context, groups, group_count, key, BASIN__SOURCE_KEY);
        if (is_said_before(object, key))
            return basin__fail(context, BASIN_ERROR_CONFIG,
                               "%s is there twice: with - and with _; keep one", key);
        size_t index = (size_t)(option - groups[g].options);
        basin__option_field field = field_of(context, &groups[g], index, BASIN__SOURCE_KEY);
        BASIN_TRY(set_from_value(&field, value));
        groups[g].is_set |= UINT64_C(1) << index;
    }
    return BASIN_OK;
}

basin_status basin__options_check_given(basin_context *context, const basin__option_group *group,
                                        bool (*is_ignored)(const void *user, const char *name),
                                        const void *user) {
    for (size_t i = 0; i < group->count; i++)
        if ((group->is_set >> i & 1) && is_ignored(user, group->options[i].name))
            return basin__fail(context, BASIN_ERROR_CONFIG,
                               "%s has no effect here, with the other options of %s: leave it "
                               "away",
                               group->options[i].name, group->title);
    return BASIN_OK;
}

bool basin__option_is_among(const char *name, const char *const *names) {
    for (; *names; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

/* ---- options to JSON ---- */

static json_t *choice_json(const basin__option *option, int64_t index) {
    const char *word = option->choices;
    for (; index > 0 && word; index--) {
        word = strchr(word, '|');
        word = word ? word + 1 : NULL;
    }
    return word ? json_stringn(word, strcspn(word, "|")) : NULL;
}

static json_t *int_list_json(const basin__int_list *list) {
    json_t *array = json_array();
    for (size_t i = 0; i < list->count && array; i++) {
        if (json_array_append_new(array, json_integer(list->items[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *text_list_json(const basin__text_list *list) {
    json_t *array = json_array();
    for (size_t i = 0; i < list->count && array; i++) {
        if (json_array_append_new(array, json_string(list->items[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *field_json(const basin__option_field *field) {
    const void *at = basin__field_at(field);
    switch (field->option->type) {
    case BASIN__OPTION_FLAG:
        return json_boolean(*(const bool *)at);
    case BASIN__OPTION_INT:
        return json_integer(*(const int64_t *)at);
    case BASIN__OPTION_FLOAT:
        return json_real(*(const double *)at);
    case BASIN__OPTION_TEXT:
        return *(char *const *)at ? json_string(*(char *const *)at) : json_null();
    case BASIN__OPTION_CHOICE:
        return choice_json(field->option, *(const int64_t *)at);
    case BASIN__OPTION_INT_LIST:
        return int_list_json(at);
    case BASIN__OPTION_TEXT_LIST:
        return text_list_json(at);
    }
    return NULL;
}

void basin__option_key(const char *name, char key[BASIN__OPTION_KEY_BYTES]) {
    snprintf(key, BASIN__OPTION_KEY_BYTES, "%s", name);
    for (; *key; key++)
        if (*key == '-')
            *key = '_';
}

static basin_status add_json(basin_context *context, const basin__option_group *group,
                             bool are_given_only, json_t *object) {
    for (size_t i = 0; i < group->count; i++) {
        if (are_given_only && !(group->is_set >> i & 1))
            continue;
        basin__option_field field = field_of(context, group, i, BASIN__SOURCE_KEY);
        char key[BASIN__OPTION_KEY_BYTES];
        basin__option_key(field.option->name, key);
        json_t *value = field_json(&field);
        if (!value || json_object_set_new(object, key, value) != 0)
            return basin__fail(context, BASIN_ERROR_FORMAT,
                               "%s cannot be written as JSON: it is not finite, not valid UTF-8 "
                               "or memory ran out",
                               key);
    }
    return BASIN_OK;
}

basin_status basin__options_to_json(basin_context *context, const basin__option_group *group,
                                    json_t *object) {
    return add_json(context, group, false, object);
}

basin_status basin__options_given_to_json(basin_context *context, const basin__option_group *group,
                                          json_t *object) {
    return add_json(context, group, true, object);
}
