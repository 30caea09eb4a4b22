/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON as text.
 *
 * jansson prints 0.1 as 0.10000000000000001. A configuration is read by
 * people, so here a real number has the fewest digits that read back as the
 * same double, whole ones are written out with ".0", and a list of plain values
 * stays on its line.
 */
#include "base/file.h"
#include "base/number.h"
#include "io/config.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define INDENT 2
#define WHOLE_MAX 1e15

/** Text that grows. After a failure to get memory, appending does nothing. */
typedef struct text {
    basin_context *context;
    char *data; /* zero-terminated: memory is zeroed and one byte is kept */
    size_t bytes, room;
    bool pretty, failed;
} text;

static void append(text *t, const char *from, size_t bytes) {
    if (bytes >= t->room - t->bytes && !t->failed) {
        size_t room = 2 * t->room + bytes + 256;
        char *data = basin__grow(t->context, t->data, t->bytes, room);
        t->failed = !data;
        if (data) {
            t->data = data;
            t->room = room;
        }
    }
    if (t->failed)
        return;
    memcpy(t->data + t->bytes, from, bytes);
    t->bytes += bytes;
}

static void append_word(text *t, const char *word) { append(t, word, strlen(word)); }

static void append_string(text *t, const char *string, size_t bytes) {
    static const char *const shorts[32] = {
        [8] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n", ['\f'] = "\\f", ['\r'] = "\\r"};
    append_word(t, "\"");
    for (size_t i = 0; i < bytes; i++) {
        unsigned char letter = (unsigned char)string[i];
        char escape[8];
        if (letter >= 32 && letter != '"' && letter != '\\') {
            append(t, &string[i], 1);
        } else if (letter >= 32) {
            append_word(t, letter == '"' ? "\\\"" : "\\\\");
        } else if (shorts[letter]) {
            append_word(t, shorts[letter]);
        } else {
            snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)letter);
            append_word(t, escape);
        }
    }
    append_word(t, "\"");
}

static void append_number(text *t, const json_t *value) {
    char digits[40];
    if (json_is_integer(value)) {
        snprintf(digits, sizeof(digits), "%lld", (long long)json_integer_value(value));
    } else {
        double real = json_real_value(value);
        bool is_whole = fabs(real) < WHOLE_MAX && fabs(real - trunc(real)) <= 0.0;
        if (is_whole)
            basin__snprintf(digits, sizeof(digits), "%.1f", real); /* 1500.0, not 1.5e+03 */
        else
            basin__print_double(digits, real);
    }
    append_word(t, digits);
}

static void append_break(text *t, int depth) {
    append_word(t, "\n");
    for (int i = 0; i < depth * INDENT; i++)
        append_word(t, " ");
}

static void append_value(text *t, const json_t *value, int depth);

static bool is_flat(const json_t *array) {
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *item = json_array_get(array, i);
        if (json_is_array(item) || json_is_object(item))
            return false;
    }
    return true;
}

static void append_array(text *t, const json_t *array, int depth) {
    bool broken = t->pretty && !is_flat(array);
    append_word(t, "[");
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i > 0)
            append_word(t, broken ? "," : ", ");
        if (broken)
            append_break(t, depth + 1);
        append_value(t, json_array_get(array, i), depth + 1);
    }
    if (broken)
        append_break(t, depth);
    append_word(t, "]");
}

/** jansson's iterators take a non-const object, though they do not change it. */
static void append_object(text *t, json_t *object, int depth) {
    bool broken = t->pretty && json_object_size(object) > 0, first = true;
    const char *key;
    json_t *value;
    append_word(t, "{");
    json_object_foreach(object, key, value) {
        if (!first)
            append_word(t, broken ? "," : ", ");
        first = false;
        if (broken)
            append_break(t, depth + 1);
        append_string(t, key, strlen(key));
        append_word(t, ": ");
        append_value(t, value, depth + 1);
    }
    if (broken)
        append_break(t, depth);
    append_word(t, "}");
}

static void append_value(text *t, const json_t *value, int depth) {
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        append_object(t, (json_t *)(uintptr_t)value, depth);
        break;
    case JSON_ARRAY:
        append_array(t, value, depth);
        break;
    case JSON_STRING:
        append_string(t, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
    case JSON_REAL:
        append_number(t, value);
        break;
    case JSON_TRUE:
        append_word(t, "true");
        break;
    case JSON_FALSE:
        append_word(t, "false");
        break;
    case JSON_NULL:
        append_word(t, "null");
        break;
    }
}

static basin_status print(text *t, const json_t *value) {
    append_value(t, value, 0);
    if (t->pretty)
        append_word(t, "\n");
    if (!t->failed)
        return BASIN_OK;
    basin__free(t->context, t->data);
    return BASIN_ERROR_MEMORY;
}

char *basin__json_text(basin_context *context, const json_t *value) {
    text t = {.context = context};
    return print(&t, value) == BASIN_OK ? t.data : NULL;
}

basin_status basin__json_write(basin_context *context, const char *path, const json_t *value) {
    text t = {.context = context, .pretty = true};
    BASIN_TRY(print(&t, value));
    basin_status status = basin__file_write(context, path, t.data, t.bytes);
    basin__free(context, t.data);
    return status;
}
