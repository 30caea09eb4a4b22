/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading safetensors files.
 *
 *     | header length N, u64 | N bytes of JSON | data of all tensors |
 *
 * The whole file is one allocation, and tensors point into it. The format's
 * promise is that a file can be checked before it is used, so everything is:
 * after sorting the tensors by their offsets each must begin where the one
 * before it ended, the first at 0, the last ending with the file. That rules
 * out overlaps, gaps and hidden bytes at once. The file is read as it is, never
 * unpacked: a header length may happen to look like gzip's first two bytes.
 * Source: github.com/huggingface/safetensors, README, "Format".
 */
#include "io/safetensors.h"
#include "base/file.h"
#include "io/bytes.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define HEADER_BYTES_MAX 100000000u
#define RANK_MAX 8
#define NAME_SHOWN "%.200s" /* names come from the file, and a message is one line */

/** A file being read. `data` is where the tensors begin. */
typedef struct reader {
    basin_context *context;
    const char *path;
    basin__safetensors *out;
    size_t bytes, data;
} reader;

/* ---- element types ---- */

static const struct {
    const char *name;
    size_t bytes;
} dtypes[] = {
    [BASIN__DTYPE_F32] = {"F32", 4}, [BASIN__DTYPE_F64] = {"F64", 8},
    [BASIN__DTYPE_F16] = {"F16", 2}, [BASIN__DTYPE_BF16] = {"BF16", 2},
    [BASIN__DTYPE_U8] = {"U8", 1},   [BASIN__DTYPE_I32] = {"I32", 4},
    [BASIN__DTYPE_I64] = {"I64", 8},
};

const char *basin__dtype_name(basin__dtype dtype) { return dtypes[dtype].name; }

size_t basin__dtype_bytes(basin__dtype dtype) { return dtypes[dtype].bytes; }

bool basin__tensor_size(basin__dtype dtype, int rank, const int64_t *dim, size_t *bytes) {
    size_t size = dtypes[dtype].bytes;
    bool empty = false, good = true;
    for (int i = 0; i < rank; i++) {
        if (dim[i] < 0)
            return false;
        empty = empty || dim[i] == 0;
        if (dim[i] > 0 && size > (size_t)INT64_MAX / (uint64_t)dim[i])
            good = false;
        else
            size *= (size_t)dim[i];
    }
    *bytes = empty ? 0 : size;
    return good || empty;
}

/* ---- the header ---- */

static basin_status tensor_broken(const reader *r, const char *name, const char *what) {
    return basin__fail(r->context, BASIN_ERROR_FORMAT,
                       "'%s' is not a valid safetensors file: tensor '" NAME_SHOWN "' %s", r->path,
                       name, what);
}

static basin_status parse_dtype(const reader *r, const json_t *value, basin__tensor_entry *entry) {
    const char *text = json_string_value(value);
    if (!text)
        return tensor_broken(r, entry->name, "has no dtype");
    for (size_t i = 0; i < BASIN_COUNT(dtypes); i++) {
        if (strcmp(text, dtypes[i].name) == 0) {
            entry->dtype = (basin__dtype)i;
            return BASIN_OK;
        }
    }
    return basin__fail(r->context, BASIN_ERROR_UNSUPPORTED,
                       "'%s': tensor '" NAME_SHOWN "' has the element type '%.20s'; F32, F64, F16, "
                       "BF16, U8, I32 and I64 are read",
                       r->path, entry->name, text);
}

static basin_status parse_shape(const reader *r, const json_t *value, basin__tensor_entry *entry) {
    if (!json_is_array(value))
        return tensor_broken(r, entry->name, "has no shape");
    if (json_array_size(value) > RANK_MAX)
        return tensor_broken(r, entry->name, "has more than 8 dimensions");
    entry->rank = (int)json_array_size(value);
    for (int i = 0; i < entry->rank; i++) {
        const json_t *dim = json_array_get(value, (size_t)i);
        if (!json_is_integer(dim) || json_integer_value(dim) < 0)
            return tensor_broken(r, entry->name, "has a dimension that is no whole number");
        entry->dim[i] = json_integer_value(dim);
    }
    if (!basin__tensor_size(entry->dtype, entry->rank, entry->dim, &entry->bytes))
        return tensor_broken(r, entry->name, "has a size past what can be addressed");
    return BASIN_OK;
}

/** Offsets within the data, in order, and as far apart as the shape is large. */
static basin_status parse_offsets(const reader *r, const json_t *value,
                                  basin__tensor_entry *entry) {
    const json_t *first = json_array_get(value, 0), *second = json_array_get(value, 1);
    if (json_array_size(value) != 2 || !json_is_integer(first) || !json_is_integer(second))
        return tensor_broken(r, entry->name, "has no pair of data_offsets");
    json_int_t begin = json_integer_value(first), end = json_integer_value(second);
    size_t room = r->bytes - r->data;
    if (begin < 0 || end < begin || (uint64_t)end > room)
        return basin__fail(r->context, BASIN_ERROR_FORMAT,
                           "'%s' is not a valid safetensors file: tensor '" NAME_SHOWN
                           "' has the data_offsets %lld to %lld in %zu bytes of data",
                           r->path, entry->name, (long long)begin, (long long)end, room);
    if ((size_t)(end - begin) != entry->bytes)
        return basin__fail(r->context, BASIN_ERROR_FORMAT,
                           "'%s' is not a valid safetensors file: tensor '" NAME_SHOWN
                           "' needs %zu bytes for its shape, but its data_offsets %lld to %lld "
                           "hold %lld",
                           r->path, entry->name, entry->bytes, (long long)begin, (long long)end,
                           (long long)(end - begin));
    entry->data = r->out->file + r->data + begin;
    return BASIN_OK;
}

static basin_status parse_entry(const reader *r, const char *name, const json_t *value,
                                basin__tensor_entry *entry) {
    entry->name = basin__strdup(r->context, name);
    if (!entry->name)
        return BASIN_ERROR_MEMORY;
    BASIN_TRY(parse_dtype(r, json_object_get(value, "dtype"), entry));
    BASIN_TRY(parse_shape(r, json_object_get(value, "shape"), entry));
    BASIN_TRY(parse_offsets(r, json_object_get(value, "data_offsets"), entry));
    if (json_object_size(value) != 3)
        return tensor_broken(r, name, "has keys besides dtype, shape and data_offsets");
    return BASIN_OK;
}

static basin_status parse_metadata(const reader *r, json_t *value) {
    const char *key;
    json_t *text;
    if (!json_is_object(value))
        return basin__fail(r->context, BASIN_ERROR_FORMAT,
                           "'%s' is not a valid safetensors file: __metadata__ is not an object",
                           r->path);
    json_object_foreach(value, key, text) {
        if (!json_is_string(text))
            return basin__fail(r->context, BASIN_ERROR_FORMAT,
                               "'%s' is not a valid safetensors file: __metadata__ key '" NAME_SHOWN
                               "' is not a string",
                               r->path, key);
    }
    r->out->metadata = json_incref(value);
    return BASIN_OK;
}

static basin_status parse_header(const reader *r, json_t *header) {
    const char *name;
    json_t *value;
    basin__safetensors *out = r->out;
    out->entries =
        basin__alloc_array(r->context, json_object_size(header), sizeof(basin__tensor_entry));
    if (!out->entries)
        return BASIN_ERROR_MEMORY;
    json_object_foreach(header, name, value) {
        if (strcmp(name, BASIN__METADATA_KEY) == 0)
            BASIN_TRY(parse_metadata(r, value));
        else
            BASIN_TRY(parse_entry(r, name, value, &out->entries[out->count++]));
    }
    if (!out->metadata)
        out->metadata = json_object();
    return out->metadata ? BASIN_OK : basin__fail(r->context, BASIN_ERROR_MEMORY, "out of memory");
}

static int compare_places(const void *left, const void *right) {
    const basin__tensor_entry *a = left, *b = right;
    const unsigned char *at = a->data, *other = b->data;
    if (at != other)
        return at < other ? -1 : 1;
    if (a->bytes != b->bytes) /* an empty tensor before the one it shares its offset with */
        return a->bytes < b->bytes ? -1 : 1;
    return strcmp(a->name, b->name);
}

/** Sort the entries by offset and see that they cover the data, each byte once. */
static basin_status check_cover(const reader *r) {
    const unsigned char *data = r->out->file + r->data;
    size_t covered = 0, room = r->bytes - r->data;
    qsort(r->out->entries, r->out->count, sizeof(basin__tensor_entry), compare_places);
    for (size_t i = 0; i < r->out->count; i++) {
        const basin__tensor_entry *entry = &r->out->entries[i];
        size_t begin = (size_t)((const unsigned char *)entry->data - data);
        if (begin != covered)
            return basin__fail(r->context, BASIN_ERROR_FORMAT,
                               "'%s' is not a valid safetensors file: tensor '" NAME_SHOWN
                               "' begins at data offset %zu, %s the end of the one before it, %zu",
                               r->path, entry->name, begin,
                               begin < covered ? "before" : "leaving a gap after", covered);
        covered += entry->bytes;
    }
    if (covered != room)
        return basin__fail(r->context, BASIN_ERROR_FORMAT,
                           "'%s' is not a valid safetensors file: its tensors end at data offset "
                           "%zu, but %zu bytes of data are there",
                           r->path, covered, room);
    return BASIN_OK;
}

/* ---- the file ---- */

static basin_status load_stream(reader *r, FILE *stream) {
    struct stat info;
    if (fstat(fileno(stream), &info) != 0)
        return basin__fail_errno(r->context, "read", r->path, errno);
    if (!S_ISREG(info.st_mode))
        return basin__fail(r->context, BASIN_ERROR_IO, "cannot read '%s': it is not a plain file",
                           r->path);
    r->bytes = (size_t)info.st_size;
    r->out->file = basin__alloc(r->context, r->bytes);
    if (!r->out->file)
        return BASIN_ERROR_MEMORY;
    size_t got = fread(r->out->file, 1, r->bytes, stream);
    if (got == r->bytes)
        return BASIN_OK;
    return basin__fail(r->context, BASIN_ERROR_IO, "cannot read '%s': %zu of its %zu bytes came",
                       r->path, got, r->bytes);
}

static basin_status load_file(reader *r) {
    FILE *stream = fopen(r->path, "rbe");
    if (!stream)
        return basin__fail_errno(r->context, "open", r->path, errno);
    basin_status status = load_stream(r, stream);
    fclose(stream);
    return status;
}

static basin_status parse_file(reader *r) {
    const unsigned char *file = r->out->file;
    uint64_t length = r->bytes < 8 ? 0 : basin__get_u64(file);
    json_error_t error;
    if (r->bytes < 8)
        return basin__fail(r->context, BASIN_ERROR_FORMAT,
                           "'%s' is not a safetensors file: its %zu bytes do not even hold the "
                           "header's length",
                           r->path, r->bytes);
    if (length > HEADER_BYTES_MAX || length > r->bytes - 8)
        return basin__fail(r->context, BASIN_ERROR_FORMAT,
                           "'%s' is not a valid safetensors file: a header of %llu bytes is "
                           "promised, %zu bytes follow, and at most %u are allowed",
                           r->path, (unsigned long long)length, r->bytes - 8, HEADER_BYTES_MAX);
    r->data = 8 + (size_t)length;
    json_t *header =
        json_loadb((const char *)file + 8, (size_t)length, JSON_REJECT_DUPLICATES, &error);
    if (!header)
        return basin__fail(r->context, BASIN_ERROR_FORMAT,
                           "'%s' is not a valid safetensors file: the header, byte %d: %s", r->path,
                           8 + error.position, error.text);
    basin_status status = BASIN_OK;
    if (!json_is_object(header) || file[8] != '{')
        status = basin__fail(r->context, BASIN_ERROR_FORMAT,
                             "'%s' is not a valid safetensors file: its header does not begin "
                             "with '{'",
                             r->path);
    if (status == BASIN_OK)
        status = parse_header(r, header);
    json_decref(header);
    return status == BASIN_OK ? check_cover(r) : status;
}

basin_status basin__safetensors_read(basin_context *context, const char *path,
                                     basin__safetensors *out) {
    reader r = {.context = context, .path = path, .out = out};
    memset(out, 0, sizeof(*out));
    basin_status status = load_file(&r);
    if (status == BASIN_OK)
        status = parse_file(&r);
    if (status != BASIN_OK)
        basin__safetensors_reset(context, out);
    return status;
}

void basin__safetensors_reset(basin_context *context, basin__safetensors *tensors) {
    for (size_t i = 0; i < tensors->count; i++)
        basin__free(context, tensors->entries[i].name);
    basin__free(context, tensors->entries);
    basin__free(context, tensors->file);
    json_decref(tensors->metadata);
    memset(tensors, 0, sizeof(*tensors));
}

const basin__tensor_entry *basin__safetensors_find(const basin__safetensors *tensors,
                                                   const char *name) {
    for (size_t i = 0; i < tensors->count; i++)
        if (strcmp(tensors->entries[i].name, name) == 0)
            return &tensors->entries[i];
    return NULL;
}

/* ---- values ---- */

/** binary16 to binary32: exact, subnormals, infinities and NaN included. */
static float half_to_float(uint16_t half) {
    int exponent = half >> 10 & 31, fraction = half & 1023;
    float magnitude;
    if (exponent == 31)
        magnitude = fraction ? NAN : INFINITY;
    else if (exponent == 0)
        magnitude = ldexpf((float)fraction, -24);
    else
        magnitude = ldexpf((float)(fraction + 1024), exponent - 25);
    return half >> 15 ? -magnitude : magnitude;
}

static float bfloat_to_float(uint16_t bfloat) {
    uint32_t bits = (uint32_t)bfloat << 16;
    return basin__get_f32(&bits);
}

static basin_status narrow(basin_context *context, const basin__tensor_entry *entry, float *out) {
    const unsigned char *from = entry->data;
    for (size_t i = 0; i < entry->bytes / 8; i++) {
        double wide = basin__get_f64(from + 8 * i);
        out[i] = (float)wide;
        if (isinf(out[i]) && !isinf(wide))
            return basin__fail(context, BASIN_ERROR_FORMAT,
                               "tensor '" NAME_SHOWN "' holds %g at element %zu, which is too "
                               "large for float32",
                               entry->name, wide, i);
    }
    return BASIN_OK;
}

basin_status basin__tensor_to_f32(basin_context *context, const basin__tensor_entry *entry,
                                  float *out) {
    const unsigned char *from = entry->data;
    switch (entry->dtype) {
    case BASIN__DTYPE_F32:
        if (entry->bytes > 0)
            memcpy(out, from, entry->bytes);
        return BASIN_OK;
    case BASIN__DTYPE_F64:
        return narrow(context, entry, out);
    case BASIN__DTYPE_F16:
        for (size_t i = 0; i < entry->bytes / 2; i++)
            out[i] = half_to_float(basin__get_u16(from + 2 * i));
        return BASIN_OK;
    case BASIN__DTYPE_BF16:
        for (size_t i = 0; i < entry->bytes / 2; i++)
            out[i] = bfloat_to_float(basin__get_u16(from + 2 * i));
        return BASIN_OK;
    case BASIN__DTYPE_U8:
    case BASIN__DTYPE_I32:
    case BASIN__DTYPE_I64:
        break;
    }
    return basin__fail(context, BASIN_ERROR_UNSUPPORTED,
                       "tensor '" NAME_SHOWN "' has the element type %s where floating point is "
                       "needed",
                       entry->name, basin__dtype_name(entry->dtype));
}
