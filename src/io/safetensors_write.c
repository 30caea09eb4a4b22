/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing safetensors files.
 *
 * The header is padded with spaces so that the data begins at a multiple of 64
 * bytes of the file. Within the data no gap is allowed, so tensors whose sizes
 * are multiples of 64, as most are, stay aligned one after the other.
 */
#include "base/file.h"
#include "io/bytes.h"
#include "io/safetensors.h"
#include <assert.h>
#include <math.h>

#define RANK_MAX 8
#define HEADER_STEP 64

static basin_status refuse(basin_context *context, const char *path, const char *name,
                           const char *what) {
    return basin__fail(context, BASIN_ERROR_ARGUMENT, "'%s' cannot be written: tensor '%.200s' %s",
                       path, name, what);
}

static basin_status check_entry(basin_context *context, const char *path,
                                const basin__tensor_entry *entry) {
    size_t bytes;
    if (strcmp(entry->name, BASIN__METADATA_KEY) == 0)
        return refuse(context, path, entry->name, "has the name that is kept for metadata");
    if (entry->rank < 0 || entry->rank > RANK_MAX)
        return refuse(context, path, entry->name, "has a rank outside 0 to 8");
    if (!basin__tensor_size(entry->dtype, entry->rank, entry->dim, &bytes) || bytes != entry->bytes)
        return refuse(context, path, entry->name, "has another size than its shape");
    return BASIN_OK;
}

/** {"dtype": …, "shape": […], "data_offsets": [begin, end]}, or NULL without memory. */
static json_t *describe(const basin__tensor_entry *entry, size_t begin) {
    json_t *shape = json_array();
    for (int i = 0; i < entry->rank; i++)
        if (json_array_append_new(shape, json_integer(entry->dim[i])) != 0) {
            json_decref(shape);
            return NULL;
        }
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", basin__dtype_name(entry->dtype), "shape",
                     shape, "data_offsets", (json_int_t)begin, (json_int_t)(begin + entry->bytes));
}

static basin_status set_metadata(basin_context *context, const char *path, json_t *header,
                                 const json_t *metadata) {
    const char *key;
    assert(json_is_object(metadata));
    json_t *value, *copy = json_deep_copy(metadata);
    if (json_object_set_new(header, BASIN__METADATA_KEY, copy) != 0)
        return basin__fail(context, BASIN_ERROR_MEMORY, "out of memory");
    json_object_foreach(copy, key, value) {
        if (!json_is_string(value))
            return basin__fail(context, BASIN_ERROR_ARGUMENT,
                               "'%s' cannot be written: metadata key '%.200s' is not a string",
                               path, key);
    }
    return BASIN_OK;
}

static basin_status fill_header(basin_context *context, const char *path, json_t *header,
                                const basin__tensor_entry *entries, size_t count,
                                const json_t *metadata) {
    size_t begin = 0;
    if (metadata)
        BASIN_TRY(set_metadata(context, path, header, metadata));
    for (size_t i = 0; i < count; i++) {
        BASIN_TRY(check_entry(context, path, &entries[i]));
        if (json_object_get(header, entries[i].name))
            return refuse(context, path, entries[i].name, "is there twice");
        json_t *description = describe(&entries[i], begin);
        if (!description)
            return basin__fail(context, BASIN_ERROR_MEMORY, "out of memory");
        if (json_object_set_new(header, entries[i].name, description) != 0)
            return refuse(context, path, entries[i].name, "has a name that is not UTF-8");
        begin += entries[i].bytes;
    }
    return BASIN_OK;
}

/** Length, JSON and padding. */
static basin_status write_header(basin_context *context, basin__writer *writer,
                                 const json_t *header) {
    size_t length = json_dumpb(header, NULL, 0, JSON_COMPACT);
    size_t whole = (8 + length + HEADER_STEP - 1) / HEADER_STEP * HEADER_STEP;
    unsigned char *bytes = basin__alloc(context, whole);
    if (!bytes)
        return BASIN_ERROR_MEMORY;
    memset(bytes, ' ', whole);
    basin__put_u64(bytes, whole - 8);
    basin_status status = json_dumpb(header, (char *)bytes + 8, length, JSON_COMPACT) == length
                              ? basin__writer_put(writer, bytes, whole)
                              : basin__fail(context, BASIN_ERROR_MEMORY, "out of memory");
    basin__free(context, bytes);
    return status;
}

static basin_status write_file(basin_context *context, const char *path, const json_t *header,
                               const basin__tensor_entry *entries, size_t count) {
    basin__writer *writer;
    BASIN_TRY(basin__writer_open(context, path, &writer));
    basin_status status = write_header(context, writer, header);
    for (size_t i = 0; i < count && status == BASIN_OK; i++)
        status = basin__writer_put(writer, entries[i].data, entries[i].bytes);
    if (status == BASIN_OK)
        return basin__writer_commit(writer);
    basin__writer_abort(writer);
    return status;
}

basin_status basin__safetensors_write(basin_context *context, const char *path,
                                      const basin__tensor_entry *entries, size_t count,
                                      const json_t *metadata) {
    json_t *header = json_object();
    if (!header)
        return basin__fail(context, BASIN_ERROR_MEMORY, "out of memory");
    basin_status status = fill_header(context, path, header, entries, count, metadata);
    if (status == BASIN_OK)
        status = write_file(context, path, header, entries, count);
    json_decref(header);
    return status;
}

/* ---- halves ---- */

/** binary32 to binary16, to the nearest, ties to even; beyond 65504 an infinity. */
static uint16_t half_of(float x) {
    const float size = fabsf(x);
    const unsigned sign = signbit(x) ? 0x8000u : 0;
    int exponent;
    frexpf(size, &exponent); /* size = m 2^exponent, 1/2 <= m < 1 */
    if (!(size < 65520.0f))
        return (uint16_t)(sign | (isnan(x) ? 0x7E00u : 0x7C00u));
    if (size < 0x1p-14f) /* multiples of 2^-24 */
        return (uint16_t)(sign | (unsigned)nearbyintf(ldexpf(size, 24)));
    /* 1024 … 2048: a carry goes on into the exponent, as it should */
    const unsigned fraction = (unsigned)nearbyintf(ldexpf(size, 11 - exponent));
    return (uint16_t)(sign | ((unsigned)(exponent + 13) * 1024u + fraction));
}

basin_status basin__tensor_halve(basin_context *context, basin__tensor_entry *entry, float *data) {
    const size_t count = entry->bytes / sizeof *data;
    for (size_t i = 0; i < count; i++) {
        const float number = data[i];
        if (!(fabsf(number) < 65520.0f))
            return basin__fail(context, BASIN_ERROR_UNSUPPORTED,
                               "tensor '%.200s' holds %g at element %zu, and a 16-bit float goes "
                               "to 65504: save it with 32 bits",
                               entry->name, (double)number, i);
        basin__put_u16((unsigned char *)data + 2 * i, half_of(number));
    }
    entry->dtype = BASIN__DTYPE_F16;
    entry->bytes = 2 * count;
    entry->data = data;
    return BASIN_OK;
}
