/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration files: YAML or JSON, into one jansson value.
 *
 * libyaml gives events (a mapping begins, a scalar, …); one recursive function
 * per kind of node turns them into JSON values. What JSON cannot say is
 * refused, with line and column, rather than guessed at: in particular `no`
 * and `on` are strings, as in YAML 1.2, and not truth values.
 * Source: yaml.org/spec/1.2.2, sections 3.2 and 10.2 (the JSON schema).
 */
#include "io/config.h"
#include "base/file.h"
#include "base/number.h"
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define CONFIG_BYTES_MAX ((size_t)4 << 20)
#define DEPTH_MAX 64

typedef struct yaml_reader {
    basin_context *context;
    const char *path;
    const unsigned char *data;
    size_t bytes;
    yaml_parser_t parser;
    yaml_event_t event; /* the current one; deleted when the next is taken */
} yaml_reader;

/* ---- errors ---- */

static basin_status fail_at(const yaml_reader *r, size_t line, size_t column, const char *what) {
    return basin__fail(r->context, BASIN_ERROR_FORMAT, "'%s', line %zu, column %zu: %s", r->path,
                       line, column, what);
}

/** An error at the start of the current event. */
static basin_status fail_here(const yaml_reader *r, const char *what) {
    return fail_at(r, r->event.start_mark.line + 1, r->event.start_mark.column + 1, what);
}

/** What libyaml found. Its reader (encodings) gives an offset, the rest line and column. */
static basin_status fail_parser(const yaml_reader *r) {
    const yaml_parser_t *parser = &r->parser;
    const char *problem = parser->problem ? parser->problem : "not valid YAML";
    if (parser->error == YAML_MEMORY_ERROR)
        return basin__fail(r->context, BASIN_ERROR_MEMORY, "out of memory");
    if (parser->error != YAML_READER_ERROR)
        return fail_at(r, parser->problem_mark.line + 1, parser->problem_mark.column + 1, problem);
    size_t line = 1, column = 1;
    for (size_t i = 0; i < parser->problem_offset && i < r->bytes; i++) {
        bool ends = r->data[i] == '\n';
        line += ends;
        column = ends ? 1 : column + 1;
    }
    return fail_at(r, line, column, problem);
}

static basin_status next(yaml_reader *r) {
    yaml_event_delete(&r->event);
    return yaml_parser_parse(&r->parser, &r->event) ? BASIN_OK : fail_parser(r);
}

/* ---- scalars ---- */

static bool is_word(const char *text, const char *lower, const char *title, const char *upper) {
    return strcmp(text, lower) == 0 || strcmp(text, title) == 0 || strcmp(text, upper) == 0;
}

static const char *skip_digits(const char *text) { return text + strspn(text, "0123456789"); }

/** [-+]? (digits (. digits?)? | . digits) ([eE] [-+]? digits)?, without leading zeros. */
static bool is_number(const char *text, bool *is_integer) {
    text += *text == '-' || *text == '+';
    const char *digits = text;
    text = skip_digits(text);
    size_t before = (size_t)(text - digits), after = 0;
    if (before > 1 && digits[0] == '0')
        return false;
    *is_integer = *text == '\0';
    if (*text == '.') {
        digits = text + 1;
        text = skip_digits(digits);
        after = (size_t)(text - digits);
    }
    if (before + after == 0)
        return false;
    if (*text == 'e' || *text == 'E') {
        text++;
        text += *text == '-' || *text == '+';
        digits = text;
        text = skip_digits(text);
        if (text == digits)
            return false;
    }
    return *text == '\0';
}

static basin_status parse_number(yaml_reader *r, const char *text, bool is_integer, json_t **out) {
    int64_t integer;
    double real;
    if (is_integer) {
        if (!basin__parse_int(text, &integer))
            return fail_here(r, "an integer past 64 bits; quote it if it is meant as text");
        *out = json_integer(integer);
        return BASIN_OK;
    }
    if (!basin__parse_double(text, &real))
        return fail_here(r, "a number past double precision; quote it if it is meant as text");
    *out = json_real(real);
    return BASIN_OK;
}

static basin_status parse_scalar(yaml_reader *r, json_t **out) {
    const char *text = (const char *)r->event.data.scalar.value;
    size_t length = r->event.data.scalar.length;
    bool plain = r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE, is_integer;
    if (strlen(text) != length)
        return fail_here(r, "text with a zero byte");
    if (plain && (length == 0 || strcmp(text, "~") == 0 || is_word(text, "null", "Null", "NULL")))
        *out = json_null();
    else if (plain && is_word(text, "true", "True", "TRUE"))
        *out = json_true();
    else if (plain && is_word(text, "false", "False", "FALSE"))
        *out = json_false();
    else if (plain && is_number(text, &is_integer))
        return parse_number(r, text, is_integer, out);
    else
        *out = json_stringn(text, length);
    return BASIN_OK;
}

/* ---- nodes ---- */

/** Refuse a node's anchor and tag. */
static basin_status check_plain(const yaml_reader *r, const yaml_char_t *anchor,
                                const yaml_char_t *tag) {
    if (anchor)
        return fail_here(r, "an anchor (&); write the value out instead");
    if (tag)
        return fail_here(r, "a tag (!); only plain values are read");
    return BASIN_OK;
}

static basin_status parse_node(yaml_reader *r, int depth, json_t **out);

static basin_status parse_sequence(yaml_reader *r, int depth, json_t *array) {
    for (;;) {
        json_t *item = NULL;
        BASIN_TRY(next(r));
        if (r->event.type == YAML_SEQUENCE_END_EVENT)
            return BASIN_OK;
        BASIN_TRY(parse_node(r, depth, &item));
        if (json_array_append_new(array, item) != 0)
            return basin__fail(r->context, BASIN_ERROR_MEMORY, "out of memory");
    }
}

/** Check the key that is the current event; it is copied into new memory. */
static basin_status parse_key(yaml_reader *r, const json_t *object, char **key) {
    if (r->event.type == YAML_ALIAS_EVENT)
        return fail_here(r, "an alias (*); write the value out instead");
    if (r->event.type != YAML_SCALAR_EVENT)
        return fail_here(r, "a key that is not a plain text");
    BASIN_TRY(check_plain(r, r->event.data.scalar.anchor, r->event.data.scalar.tag));
    const char *text = (const char *)r->event.data.scalar.value;
    if (r->event.data.scalar.length == 0 || strlen(text) != r->event.data.scalar.length)
        return fail_here(r, "a key that is empty or holds a zero byte");
    if (json_object_get(object, text))
        return fail_here(r, "a key that is there twice");
    *key = basin__strdup(r->context, text);
    return *key ? BASIN_OK : BASIN_ERROR_MEMORY;
}

static basin_status parse_mapping(yaml_reader *r, int depth, json_t *object) {
    for (;;) {
        json_t *value = NULL;
        char *key = NULL;
        BASIN_TRY(next(r));
        if (r->event.type == YAML_MAPPING_END_EVENT)
            return BASIN_OK;
        BASIN_TRY(parse_key(r, object, &key));
        basin_status status = next(r);
        if (status == BASIN_OK)
            status = parse_node(r, depth, &value);
        if (status == BASIN_OK && json_object_set_new(object, key, value) != 0)
            status = basin__fail(r->context, BASIN_ERROR_MEMORY, "out of memory");
        basin__free(r->context, key);
        BASIN_TRY(status);
    }
}

/** The value that begins with the current event; NULL in *out after an error. */
static basin_status parse_node(yaml_reader *r, int depth, json_t **out) {
    basin_status status;
    *out = NULL;
    if (depth == DEPTH_MAX)
        return fail_here(r, "nested deeper than 64 levels");
    switch (r->event.type) {
    case YAML_SCALAR_EVENT:
        BASIN_TRY(check_plain(r, r->event.data.scalar.anchor, r->event.data.scalar.tag));
        status = parse_scalar(r, out);
        break;
    case YAML_SEQUENCE_START_EVENT:
        BASIN_TRY(
            check_plain(r, r->event.data.sequence_start.anchor, r->event.data.sequence_start.tag));
        *out = json_array();
        status = parse_sequence(r, depth + 1, *out);
        break;
    case YAML_MAPPING_START_EVENT:
        BASIN_TRY(
            check_plain(r, r->event.data.mapping_start.anchor, r->event.data.mapping_start.tag));
        *out = json_object();
        status = parse_mapping(r, depth + 1, *out);
        break;
    case YAML_ALIAS_EVENT:
        return fail_here(r, "an alias (*); write the value out instead");
    default:
        return fail_here(r, "no value");
    }
    if (status == BASIN_OK && !*out)
        status = basin__fail(r->context, BASIN_ERROR_MEMORY, "out of memory");
    if (status != BASIN_OK) {
        json_decref(*out);
        *out = NULL;
    }
    return status;
}

/** Stream, document, mapping, end of document, end of stream. */
static basin_status parse_stream(yaml_reader *r, json_t **out) {
    BASIN_TRY(next(r));
    BASIN_TRY(next(r));
    if (r->event.type != YAML_DOCUMENT_START_EVENT)
        return basin__fail(r->context, BASIN_ERROR_FORMAT, "'%s' holds no values", r->path);
    BASIN_TRY(next(r));
    if (r->event.type != YAML_MAPPING_START_EVENT)
        return fail_here(r, "expected a mapping (key: value)");
    BASIN_TRY(parse_node(r, 0, out));
    BASIN_TRY(next(r));
    BASIN_TRY(next(r));
    if (r->event.type != YAML_STREAM_END_EVENT)
        return fail_here(r, "a second document; a configuration is one");
    return BASIN_OK;
}

static basin_status parse_yaml(yaml_reader *r, json_t **out) {
    if (!yaml_parser_initialize(&r->parser))
        return basin__fail(r->context, BASIN_ERROR_MEMORY, "out of memory");
    yaml_parser_set_input_string(&r->parser, r->data, r->bytes);
    basin_status status = parse_stream(r, out);
    yaml_event_delete(&r->event);
    yaml_parser_delete(&r->parser);
    return status;
}

/* ---- JSON, and both ---- */

static basin_status parse_json(const yaml_reader *r, json_t **out) {
    json_error_t error;
    *out = json_loadb((const char *)r->data, r->bytes, JSON_REJECT_DUPLICATES, &error);
    if (!*out)
        return basin__fail(r->context, BASIN_ERROR_FORMAT, "'%s', line %d, column %d: %s", r->path,
                           error.line, error.column, error.text);
    if (!json_is_object(*out))
        return basin__fail(r->context, BASIN_ERROR_FORMAT,
                           "'%s', line 1, column 1: expected an object ({\"key\": value})",
                           r->path);
    return BASIN_OK;
}

static bool ends_with(const char *path, const char *end) {
    size_t length = strlen(path), part = strlen(end);
    return length > part && strcmp(path + length - part, end) == 0;
}

basin_status basin__config_read(basin_context *context, const char *path, json_t **out) {
    unsigned char *data;
    yaml_reader r = {.context = context, .path = path};
    bool is_json = ends_with(path, ".json");
    *out = NULL;
    if (!is_json && !ends_with(path, ".yaml") && !ends_with(path, ".yml"))
        return basin__fail(context, BASIN_ERROR_ARGUMENT,
                           "'%s' is no configuration file: its name must end with .yaml, .yml or "
                           ".json",
                           path);
    BASIN_TRY(basin__file_read(context, path, CONFIG_BYTES_MAX, &data, &r.bytes));
    r.data = data;
    basin_status status = is_json ? parse_json(&r, out) : parse_yaml(&r, out);
    basin__free(context, data);
    if (status != BASIN_OK) {
        json_decref(*out);
        *out = NULL;
    }
    return status;
}
