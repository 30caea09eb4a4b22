/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NumPy's .npy format.
 *
 * A file is the bytes "\x93NUMPY", a major and a minor version, the header's
 * length (2 bytes in version 1, 4 in versions 2 and 3), the header, the data.
 * The header is a Python dictionary as text, with exactly three keys:
 *
 *     {'descr': '<f4', 'fortran_order': False, 'shape': (60000, 28, 28), }
 *
 * padded with spaces so that the data starts at a multiple of 64. Only that
 * much of Python is understood, in any order and with either quote.
 * Source: numpy.lib.format (NEP 1).
 */
#include "io/npy.h"
#include "base/file.h"
#include "io/bytes.h"
#include <math.h>
#include <stdio.h>

#define NPY_BYTES_MAX ((size_t)1 << 34)
#define NPY_RANK_MAX 8
#define MAGIC "\x93NUMPY"
#define MAGIC_BYTES 6
#define HEADER_STEP 64

enum { KEY_DESCR = 1, KEY_ORDER = 2, KEY_SHAPE = 4, KEY_ALL = 7 };

/** The header being read. Positions are offsets into the file. */
typedef struct parser {
    basin_context *context;
    const char *path;
    unsigned char *file; /* NULL once the array holds it */
    size_t bytes;        /* of the file */
    size_t at, end;
    int keys; /* KEY_… bits seen */
    char descr[8];
    basin__npy *array;
} parser;

static basin_status broken(const parser *p, const char *what) {
    return basin__fail(p->context, BASIN_ERROR_FORMAT,
                       "'%s' is not a valid .npy file: byte %zu: %s", p->path, p->at, what);
}

/* ---- the header's text ---- */

static void skip_space(parser *p) {
    while (p->at < p->end && (p->file[p->at] == ' ' || p->file[p->at] == '\n'))
        p->at++;
}

static bool accept(parser *p, char wanted) {
    skip_space(p);
    if (p->at >= p->end || p->file[p->at] != (unsigned char)wanted)
        return false;
    p->at++;
    return true;
}

static bool accept_word(parser *p, const char *word) {
    size_t length = strlen(word);
    skip_space(p);
    if (p->end - p->at < length || memcmp(p->file + p->at, word, length) != 0)
        return false;
    p->at += length;
    return true;
}

/** A quoted text of at most `room` - 1 characters, without escapes. */
static bool parse_text(parser *p, char *text, size_t room) {
    size_t length = 0;
    char quote = accept(p, '\'') ? '\'' : '"';
    if (quote == '"' && !accept(p, '"'))
        return false;
    while (p->at < p->end && p->file[p->at] != (unsigned char)quote) {
        if (length + 1 >= room || p->file[p->at] == '\\')
            return false;
        text[length++] = (char)p->file[p->at++];
    }
    text[length] = '\0';
    return accept(p, quote);
}

static bool parse_size(parser *p, int64_t *size) {
    int64_t value = 0;
    skip_space(p);
    size_t start = p->at;
    for (; p->at < p->end && p->file[p->at] >= '0' && p->file[p->at] <= '9'; p->at++) {
        int digit = p->file[p->at] - '0';
        if (value > (INT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *size = value;
    return p->at > start;
}

static basin_status parse_shape(parser *p) {
    basin__npy *array = p->array;
    bool comma = true;
    if (!accept(p, '('))
        return broken(p, "the shape is not a tuple");
    while (!accept(p, ')')) {
        if (!comma)
            return broken(p, "expected ',' or ')' in the shape");
        if (array->rank == NPY_RANK_MAX)
            return broken(p, "the shape has more than 8 dimensions");
        if (!parse_size(p, &array->dim[array->rank]))
            return broken(p, "a dimension is not a whole number from 0 to 2^63 - 1");
        array->rank++;
        comma = accept(p, ',');
    }
    if (array->rank == 1 && !comma) /* (3) is a number in Python, (3,) a tuple */
        return broken(p, "the shape is not a tuple");
    return BASIN_OK;
}

static basin_status parse_order(parser *p) {
    if (accept_word(p, "False"))
        return BASIN_OK;
    if (!accept_word(p, "True"))
        return broken(p, "fortran_order is neither True nor False");
    return basin__fail(p->context, BASIN_ERROR_UNSUPPORTED,
                       "'%s' is in Fortran order; save numpy.ascontiguousarray(x) instead",
                       p->path);
}

static basin_status parse_key(parser *p) {
    char key[16];
    int bit = 0;
    if (!parse_text(p, key, sizeof(key)) || !accept(p, ':'))
        return broken(p, "expected 'descr', 'fortran_order' or 'shape' and a colon");
    bit = strcmp(key, "descr") == 0           ? KEY_DESCR
          : strcmp(key, "fortran_order") == 0 ? KEY_ORDER
          : strcmp(key, "shape") == 0         ? KEY_SHAPE
                                              : 0;
    if (bit == 0)
        return broken(p, "a key is none of 'descr', 'fortran_order', 'shape'");
    if (p->keys & bit)
        return broken(p, "a key is there twice");
    p->keys |= bit;
    if (bit == KEY_ORDER)
        return parse_order(p);
    if (bit == KEY_SHAPE)
        return parse_shape(p);
    return parse_text(p, p->descr, sizeof(p->descr))
               ? BASIN_OK
               : basin__fail(p->context, BASIN_ERROR_UNSUPPORTED,
                             "'%s' holds no plain numbers; save x.astype('float32') instead",
                             p->path);
}

static basin_status parse_header(parser *p) {
    bool comma = true;
    if (!accept(p, '{'))
        return broken(p, "the header is not a dictionary");
    while (!accept(p, '}')) {
        if (!comma)
            return broken(p, "expected ',' or '}' in the header");
        BASIN_TRY(parse_key(p));
        comma = accept(p, ',');
    }
    skip_space(p);
    if (p->at != p->end)
        return broken(p, "text after the header's dictionary");
    if (p->keys != KEY_ALL)
        return broken(p, "the header lacks one of 'descr', 'fortran_order', 'shape'");
    return BASIN_OK;
}

/** Check magic and version; set the header's place. */
static basin_status parse_start(parser *p) {
    if (p->bytes < MAGIC_BYTES || memcmp(p->file, MAGIC, MAGIC_BYTES) != 0)
        return broken(p, "it does not begin with \\x93NUMPY");
    p->at = MAGIC_BYTES;
    if (p->bytes < MAGIC_BYTES + 2)
        return broken(p, "cut short in the version");
    int major = p->file[p->at], minor = p->file[p->at + 1];
    if (major < 1 || major > 3 || minor != 0)
        return basin__fail(p->context, BASIN_ERROR_UNSUPPORTED,
                           "'%s' is a .npy file of version %d.%d; versions 1.0 to 3.0 are read",
                           p->path, major, minor);
    p->at += 2;
    size_t width = major == 1 ? 2 : 4;
    if (p->bytes - p->at < width)
        return broken(p, "cut short in the header's length");
    size_t length = major == 1 ? basin__get_u16(p->file + p->at) : basin__get_u32(p->file + p->at);
    if (length > p->bytes - p->at - width)
        return broken(p, "the header's length is past the end of the file");
    p->at += width;
    p->end = p->at + length;
    return BASIN_OK;
}

/* ---- the data ---- */

static basin_status bad_value(const parser *p, size_t index, const char *what) {
    char text[NPY_RANK_MAX * 24];
    int64_t part[NPY_RANK_MAX];
    const basin__npy *array = p->array;
    size_t used = 0;
    int64_t rest = (int64_t)index;
    for (int i = array->rank - 1; i >= 0; i--) {
        part[i] = rest % array->dim[i];
        rest /= array->dim[i];
    }
    text[0] = '\0';
    for (int i = 0; i < array->rank; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%lld", i > 0 ? ", " : "",
                                 (long long)part[i]);
    return basin__fail(p->context, BASIN_ERROR_FORMAT, "'%s': the value at index [%s] %s", p->path,
                       text, what);
}

#define NOT_FINITE "is not finite; remove or replace NaN and infinity first"
#define NOT_EXACT "is an integer that float32 cannot hold exactly"

static basin_status copy_f4(const parser *p, const unsigned char *from, size_t count) {
    for (size_t i = 0; i < count; i++) {
        float value = basin__get_f32(from + 4 * i);
        if (!isfinite(value))
            return bad_value(p, i, NOT_FINITE);
        p->array->values[i] = value;
    }
    return BASIN_OK;
}

static basin_status copy_f8(const parser *p, const unsigned char *from, size_t count) {
    for (size_t i = 0; i < count; i++) {
        double wide = basin__get_f64(from + 8 * i);
        float value = (float)wide;
        if (!isfinite(value))
            return bad_value(p, i, isfinite(wide) ? "is too large for float32" : NOT_FINITE);
        p->array->values[i] = value;
    }
    return BASIN_OK;
}

static basin_status copy_i4(const parser *p, const unsigned char *from, size_t count) {
    for (size_t i = 0; i < count; i++) {
        int32_t wide = basin__get_i32(from + 4 * i);
        float value = (float)wide;
        if ((double)value > (double)wide || (double)value < (double)wide)
            return bad_value(p, i, NOT_EXACT);
        p->array->values[i] = value;
    }
    return BASIN_OK;
}

static basin_status copy_i8(const parser *p, const unsigned char *from, size_t count) {
    for (size_t i = 0; i < count; i++) {
        int64_t wide = basin__get_i64(from + 8 * i);
        float value = (float)wide;
        /* 2^63 as a float is past int64_t, so it is caught before the way back. */
        if (value >= 9223372036854775808.0f || (int64_t)value != wide)
            return bad_value(p, i, NOT_EXACT);
        p->array->values[i] = value;
    }
    return BASIN_OK;
}

typedef struct element_type {
    const char *descr;
    size_t bytes;
    basin_status (*copy)(const parser *p, const unsigned char *from, size_t count);
} element_type;

static const element_type element_types[] = {
    {"<f4", 4, copy_f4}, {"<f8", 8, copy_f8}, {"<i4", 4, copy_i4},
    {"<i8", 8, copy_i8}, {"|u1", 1, NULL},    {"<u1", 1, NULL}}; /* kept as they are */

static const element_type *find_type(const char *descr) {
    for (size_t i = 0; i < BASIN_COUNT(element_types); i++)
        if (strcmp(descr, element_types[i].descr) == 0)
            return &element_types[i];
    return NULL;
}

/** The product of the dimensions; false where its size in bytes overflows. */
static bool count_elements(const basin__npy *array, size_t element_bytes, size_t *count) {
    bool empty = false, good = true;
    size_t product = 1;
    for (int i = 0; i < array->rank; i++) {
        uint64_t dim = (uint64_t)array->dim[i];
        empty = empty || dim == 0;
        if (dim > 0 && product > (size_t)INT64_MAX / element_bytes / dim)
            good = false;
        else
            product *= (size_t)dim;
    }
    *count = empty ? 0 : product;
    return good || empty;
}

static basin_status read_data(parser *p) {
    basin__npy *array = p->array;
    const element_type *type = find_type(p->descr);
    size_t count, room = p->bytes - p->end;
    p->at = p->end;
    if (!type)
        return basin__fail(p->context, BASIN_ERROR_UNSUPPORTED,
                           "'%s' has the element type '%s'; '<f4', '<f8', '|u1', '<i4' and '<i8' "
                           "are read: save x.astype('float32') instead",
                           p->path, p->descr);
    if (!count_elements(array, type->bytes, &count))
        return broken(p, "the shape's size is past what can be addressed");
    if (count * type->bytes != room)
        return basin__fail(p->context, BASIN_ERROR_FORMAT,
                           "'%s' is not a valid .npy file: its header promises %zu bytes of data, "
                           "but %zu follow it",
                           p->path, count * type->bytes, room);
    array->is_byte = type->copy == NULL;
    if (array->is_byte) { /* in the file's own memory: sets of images are large */
        array->bytes = p->file;
        memmove(array->bytes, p->file + p->end, count);
        p->file = NULL;
        return BASIN_OK;
    }
    array->values = basin__alloc_array(p->context, count, sizeof(float));
    return array->values ? type->copy(p, p->file + p->end, count) : BASIN_ERROR_MEMORY;
}

basin_status basin__npy_read(basin_context *context, const char *path, basin__npy *array) {
    parser p = {.context = context, .path = path, .array = array};
    memset(array, 0, sizeof(*array));
    BASIN_TRY(basin__file_read(context, path, NPY_BYTES_MAX, &p.file, &p.bytes));
    basin_status status = parse_start(&p);
    if (status == BASIN_OK)
        status = parse_header(&p);
    if (status == BASIN_OK)
        status = read_data(&p);
    basin__free(context, p.file);
    if (status != BASIN_OK)
        basin__npy_reset(context, array);
    return status;
}

void basin__npy_reset(basin_context *context, basin__npy *array) {
    basin__free(context, array->bytes);
    basin__free(context, array->values);
    memset(array, 0, sizeof(*array));
}

/* ---- writing ---- */

/** Magic, version 1.0, header, padding: a multiple of 64 bytes in all. */
static size_t print_header(unsigned char header[6 * HEADER_STEP], const char *descr, int rank,
                           const int64_t *dim) {
    char text[6 * HEADER_STEP];
    const size_t before = MAGIC_BYTES + 4; /* version, length */
    size_t used = (size_t)snprintf(text, sizeof(text),
                                   "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
    for (int i = 0; i < rank; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%lld%s", (long long)dim[i],
                                 i + 1 < rank ? ", " : (rank == 1 ? "," : ""));
    used += (size_t)snprintf(text + used, sizeof(text) - used, "), }");
    size_t whole = (before + used + 1 + HEADER_STEP - 1) / HEADER_STEP * HEADER_STEP;
    memset(header, ' ', whole);
    memcpy(header, MAGIC "\x01\x00", MAGIC_BYTES + 2);
    basin__put_u16(header + MAGIC_BYTES + 2, (uint16_t)(whole - before));
    memcpy(header + before, text, used);
    header[whole - 1] = '\n';
    return whole;
}

/** Elements of four bytes. */
static basin_status write_array(basin_context *context, const char *path, const char *descr,
                                const void *values, int rank, const int64_t *dim) {
    unsigned char header[6 * HEADER_STEP];
    basin__npy array = {.rank = rank};
    basin__writer *writer;
    size_t count;
    if (rank < 0 || rank > NPY_RANK_MAX)
        return basin__fail(context, BASIN_ERROR_ARGUMENT,
                           "'%s' cannot be written: rank %d is outside 0 to 8", path, rank);
    for (int i = 0; i < rank; i++) {
        if (dim[i] < 0)
            return basin__fail(context, BASIN_ERROR_ARGUMENT,
                               "'%s' cannot be written: dimension %d is %lld", path, i,
                               (long long)dim[i]);
        array.dim[i] = dim[i];
    }
    if (!count_elements(&array, 4, &count))
        return basin__fail(context, BASIN_ERROR_ARGUMENT,
                           "'%s' cannot be written: its size is past what can be addressed", path);
    BASIN_TRY(basin__writer_open(context, path, &writer));
    basin_status status = basin__writer_put(writer, header, print_header(header, descr, rank, dim));
    if (status == BASIN_OK)
        status = basin__writer_put(writer, values, 4 * count);
    if (status == BASIN_OK)
        return basin__writer_commit(writer);
    basin__writer_abort(writer);
    return status;
}

basin_status basin__npy_write(basin_context *context, const char *path, const float *values,
                              int rank, const int64_t *dim) {
    return write_array(context, path, "<f4", values, rank, dim);
}

basin_status basin__npy_write_ints(basin_context *context, const char *path, const int32_t *values,
                                   int rank, const int64_t *dim) {
    return write_array(context, path, "<i4", values, rank, dim);
}
