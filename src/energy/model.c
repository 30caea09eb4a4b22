/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model files: an energy as one safetensors file.
 *
 * Tensors are what PyTorch's state_dict of the same network holds. A network
 * with spectral norm is saved with its effective weights W / σ, as a plain
 * network: what is in the file is what is computed.
 *
 * A file is read in three steps: which network and options (from the metadata,
 * or off the tensors of a bare state_dict), an energy of those, its tensors one
 * by one; names and shapes must match exactly.
 */
#include "base/file.h"
#include "base/number.h"
#include "energy/energy.h"
#include "io/safetensors.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT_VERSION 1
#define SIGN "low-is-likely"
#define NAMES_SHOWN 4
#define LIST_BYTES 512
#define DIM_MAX ((int64_t)1 << 28)

/* ---- saving ---- */

/** Texts of what the file holds; spectral norm is in the weights already. */
static basin_status note_network(basin_energy *energy) {
    json_t *options = json_object();
    basin_status status = options
                              ? basin__options_to_json(energy->context, &energy->options, options)
                              : BASIN_ERROR_MEMORY;
    if (status == BASIN_OK && json_object_get(options, "spectral_norm"))
        json_object_set_new(options, "spectral_norm", json_false());
    char *text = status == BASIN_OK ? json_dumps(options, JSON_COMPACT) : NULL;
    json_decref(options);
    if (!text)
        return status != BASIN_OK && status != BASIN_ERROR_MEMORY
                   ? status
                   : basin__fail(energy->context, BASIN_ERROR_MEMORY,
                                 "no memory for a model's options");
    status = basin__energy_note(energy, "options", "%s", text);
    free(text);
    BASIN_TRY(status);
    BASIN_TRY(basin__energy_note(energy, "format", "basin"));
    BASIN_TRY(basin__energy_note(energy, "version", "%d", FORMAT_VERSION));
    BASIN_TRY(basin__energy_note(energy, "network", "%s", energy->network->name));
    BASIN_TRY(basin__energy_note(energy, "sign", SIGN));
    return basin__energy_note(energy, "shape", "%d,%d,%d", energy->shape.height,
                              energy->shape.width, energy->shape.channels);
}

static bool has_states(const basin_energy *energy) {
    for (int i = 0; i < energy->parameters.count; i++)
        if (energy->parameters.items[i].is_state)
            return true;
    return false;
}

/** A plan whose output i is parameter i as the network uses it. */
static basin_status plan_effective(basin_energy *energy, basin__plan **plan) {
    basin__parameters *list = &energy->parameters;
    basin_value *values =
        basin__alloc_array(energy->context, (size_t)list->count, sizeof(basin_value));
    if (!values)
        return BASIN_ERROR_MEMORY;
    /* Build again: `effective` may be of another graph; equal nodes are found, not added. */
    basin__energy_inputs inputs = basin__energy_graph_inputs(energy, energy->graph);
    basin__energy_build(energy, energy->graph, &inputs);
    for (int i = 0; i < list->count; i++)
        values[i] = list->items[i].effective;
    const basin__plan_options options = {0};
    basin_status status =
        basin__plan_create(energy->context, energy->graph, values, list->count, &options, plan);
    basin__free(energy->context, values);
    BASIN_TRY(status);
    basin__energy_bind(energy, *plan);
    return basin__plan_prepare(*plan);
}

/** Entries in file order, each with data of its own; states are left out. */
static basin_status fill_entries(basin_energy *energy, const basin__plan *plan, basin__dtype dtype,
                                 basin__tensor_entry *entries, size_t *count) {
    for (int i = 0; i < energy->parameters.count; i++) {
        const basin__parameter *parameter = &energy->parameters.items[i];
        if (parameter->is_state)
            continue;
        size_t bytes = (size_t)basin_shape_count(parameter->shape) * sizeof(float);
        float *data = basin__alloc(energy->context, bytes);
        if (!data)
            return BASIN_ERROR_MEMORY;
        basin__parameter_to_file(parameter, plan ? basin__plan_shared(plan, i) : parameter->data,
                                 data);
        basin__tensor_entry *entry = &entries[(*count)++];
        *entry = (basin__tensor_entry){.name = parameter->name,
                                       .dtype = BASIN__DTYPE_F32,
                                       .rank = parameter->file_rank,
                                       .data = data,
                                       .bytes = bytes};
        memcpy(entry->dim, parameter->file_dim, sizeof(parameter->file_dim));
        if (dtype == BASIN__DTYPE_F16)
            BASIN_TRY(basin__tensor_halve(energy->context, entry, data));
    }
    return BASIN_OK;
}

static basin_status save(basin_energy *energy, const char *path, basin__dtype dtype) {
    basin_context *context = energy->context;
    if (!energy->network)
        return basin__fail(context, BASIN_ERROR_UNSUPPORTED,
                           "%s: an energy computed by a callback cannot be saved", path);
    if (!basin__network_find(energy->network->name))
        return basin__fail(context, BASIN_ERROR_UNSUPPORTED,
                           "%s: an energy composed of others is not saved: keep its expression, "
                           "and their files",
                           path);
    BASIN_TRY(note_network(energy));
    basin__plan *plan = NULL;
    size_t count = 0;
    basin__tensor_entry *entries =
        basin__alloc_array(context, (size_t)energy->parameters.count, sizeof(*entries));
    basin_status status = entries ? BASIN_OK : BASIN_ERROR_MEMORY;
    if (status == BASIN_OK && has_states(energy))
        status = plan_effective(energy, &plan);
    if (status == BASIN_OK)
        status = fill_entries(energy, plan, dtype, entries, &count);
    if (status == BASIN_OK)
        status = basin__safetensors_write(context, path, entries, count, energy->metadata);
    for (size_t i = 0; i < count; i++)
        basin__free(context, (void *)entries[i].data);
    basin__free(context, entries);
    basin__plan_destroy(plan);
    return status;
}

basin_status basin_energy_save(basin_energy *energy, const char *path) {
    return save(energy, path, BASIN__DTYPE_F32);
}

basin_status basin_energy_save_half(basin_energy *energy, const char *path) {
    return save(energy, path, BASIN__DTYPE_F16);
}

/* ---- which network ---- */

/** A file being read. */
typedef struct reading {
    basin_context *context;
    const char *path;
    basin__safetensors file;
    const basin__network_def *network;
    basin__option_group options;
    basin_shape shape;
} reading;

static const char *meta(const reading *from, const char *key) {
    return json_string_value(json_object_get(from->file.metadata, key));
}

static basin_status check_version(const reading *from) {
    const char *text = meta(from, "version"), *sign = meta(from, "sign");
    int64_t version;
    if (!text || !basin__parse_int(text, &version) || version < 1)
        return basin__fail(from->context, BASIN_ERROR_FORMAT,
                           "%s: metadata version is %s; expected a whole number from 1", from->path,
                           text ? text : "missing");
    if (version > FORMAT_VERSION)
        return basin__fail(from->context, BASIN_ERROR_UNSUPPORTED,
                           "%s: model format version %lld is newer than this Basin reads (%d); use "
                           "a newer Basin",
                           from->path, (long long)version, FORMAT_VERSION);
    if (sign && strcmp(sign, SIGN) != 0)
        return basin__fail(from->context, BASIN_ERROR_UNSUPPORTED,
                           "%s: metadata sign is '%s'; only '%s' is known", from->path, sign, SIGN);
    return BASIN_OK;
}

/** "28,28,1", each a whole number. */
static bool parse_shape(const char *text, basin_shape *shape) {
    int64_t side[3];
    char word[16];
    for (int i = 0; i < 3; i++) {
        size_t length = strcspn(text, ",");
        if (length >= sizeof(word) || (text[length] == ',') != (i < 2))
            return false;
        snprintf(word, sizeof(word), "%.*s", (int)length, text);
        if (!basin__parse_int(word, &side[i]) || side[i] < 1 || side[i] > DIM_MAX)
            return false;
        text += length + (i < 2);
    }
    *shape = (basin_shape){1, (int32_t)side[0], (int32_t)side[1], (int32_t)side[2]};
    return true;
}

/** Read a number where the metadata has one; *value stays where it has not. */
static basin_status read_number(const reading *from, const char *key, double *value) {
    const char *text = meta(from, key);
    if (!text || basin__parse_double(text, value))
        return BASIN_OK;
    return basin__fail(from->context, BASIN_ERROR_FORMAT,
                       "%s: metadata %s is '%s'; expected a finite number", from->path, key, text);
}

static basin_status check_levels(const reading *from) {
    double low = 1.0, high = 1.0, noise = 0.0;
    BASIN_TRY(read_number(from, "noise_level_low", &low));
    high = low;
    BASIN_TRY(read_number(from, "noise_level_high", &high));
    BASIN_TRY(read_number(from, "data_noise_level", &noise));
    if (!((float)low > 0.0f && low <= high && isfinite((float)high)))
        return basin__fail(from->context, BASIN_ERROR_FORMAT,
                           "%s: metadata noise_level_low is %g and noise_level_high %g; expected "
                           "numbers above 0 that 32 bits hold, the first not the higher",
                           from->path, low, high);
    if (noise < 0.0)
        return basin__fail(from->context, BASIN_ERROR_FORMAT,
                           "%s: metadata data_noise_level is %g; expected 0 or more", from->path,
                           noise);
    return BASIN_OK;
}

static basin_status check_numbers(const reading *from) {
    double low = 0.0, high = 1.0, temperature = 1.0;
    BASIN_TRY(read_number(from, "range_low", &low));
    BASIN_TRY(read_number(from, "range_high", &high));
    BASIN_TRY(read_number(from, "temperature", &temperature));
    if (!((float)low < (float)high))
        return basin__fail(from->context, BASIN_ERROR_FORMAT,
                           "%s: metadata range_low is %g and range_high %g; the first must be the "
                           "lower",
                           from->path, low, high);
    if (!isfinite((float)low) || !isfinite((float)high))
        return basin__fail(from->context, BASIN_ERROR_FORMAT,
                           "%s: metadata range_low is %g and range_high %g; expected numbers that "
                           "32 bits hold",
                           from->path, low, high);
    if (temperature < 0.0)
        return basin__fail(from->context, BASIN_ERROR_FORMAT,
                           "%s: metadata temperature is %g; expected 0 or more", from->path,
                           temperature);
    const char *exact = meta(from, "temperature_exact");
    if (exact && strcmp(exact, "true") != 0 && strcmp(exact, "false") != 0)
        return basin__fail(from->context, BASIN_ERROR_FORMAT,
                           "%s: metadata temperature_exact is '%s'; expected true or false",
                           from->path, exact);
    return check_levels(from);
}

/** Network, options and shape as the metadata gives them. */
static basin_status read_metadata(reading *from, const char *network) {
    const char *named = meta(from, "network"), *options = meta(from, "options");
    const char *shape = meta(from, "shape");
    BASIN_TRY(check_version(from));
    BASIN_TRY(check_numbers(from));
    if (!named || !options || !shape)
        return basin__fail(from->context, BASIN_ERROR_FORMAT, "%s: metadata %s is missing",
                           from->path,
                           !named     ? "network"
                           : !options ? "options"
                                      : "shape");
    if (network && strcmp(network, named) != 0)
        return basin__fail(from->context, BASIN_ERROR_CONFIG,
                           "%s holds a network %s, not %s: leave the network out", from->path,
                           named, network);
    if (!parse_shape(shape, &from->shape))
        return basin__fail(from->context, BASIN_ERROR_FORMAT,
                           "%s: metadata shape is '%s'; expected height,width,channels", from->path,
                           shape);
    json_error_t error;
    json_t *values = json_loads(options, JSON_REJECT_DUPLICATES, &error);
    if (!values)
        return basin__fail(from->context, BASIN_ERROR_FORMAT,
                           "%s: metadata options are not JSON: %s at column %d", from->path,
                           error.text, error.column);
    basin_status status =
        basin__network_options(from->context, named, values, &from->network, &from->options);
    json_decref(values);
    return status == BASIN_OK ? status : basin__fail_in(from->context, status, from->path);
}

/** The file's tensors as a list of names and shapes; names are borrowed. */
static basin_status list_tensors(const reading *from, basin__parameters *list) {
    list->items = basin__alloc_array(from->context, from->file.count + 1, sizeof(basin__parameter));
    if (!list->items)
        return BASIN_ERROR_MEMORY;
    for (size_t i = 0; i < from->file.count; i++) {
        const basin__tensor_entry *entry = &from->file.entries[i];
        basin__parameter *item = &list->items[list->count++];
        item->name = entry->name;
        item->file_rank = entry->rank;
        for (int d = 0; d < entry->rank && d < 4; d++) {
            item->file_dim[d] = entry->dim[d];
            if (entry->dim[d] < 1 || entry->dim[d] > DIM_MAX)
                return basin__fail(from->context, BASIN_ERROR_FORMAT,
                                   "%s: tensor %s has a dimension of %lld; expected 1 to %lld",
                                   from->path, entry->name, (long long)entry->dim[d],
                                   (long long)DIM_MAX);
        }
    }
    return BASIN_OK;
}

/** Network and options off the tensors of a bare state_dict. */
static basin_status recognise(reading *from, const char *network) {
    if (!network)
        return basin__fail(from->context, BASIN_ERROR_CONFIG,
                           "%s has no Basin metadata (a PyTorch state_dict?): say which network it "
                           "is, --network conv for example",
                           from->path);
    BASIN_TRY(basin__network_options(from->context, network, NULL, &from->network, &from->options));
    if (!from->network->recognise)
        return basin__fail(from->context, BASIN_ERROR_CONFIG,
                           "%s has no Basin metadata, and the options of network %s cannot be told "
                           "from tensors: save it with the metadata keys format, version, network, "
                           "options and shape",
                           from->path, network);
    basin__parameters tensors = {0};
    basin_status status = list_tensors(from, &tensors);
    if (status == BASIN_OK) {
        status =
            from->network->recognise(from->context, &tensors, from->options.values, &from->shape);
        if (status != BASIN_OK)
            basin__fail_in(from->context, status, from->path);
    }
    basin__free(from->context, tensors.items);
    BASIN_TRY(status);
    if (from->shape.height < 1 || from->shape.width < 1)
        return basin__fail(from->context, BASIN_ERROR_CONFIG,
                           "%s has no Basin metadata and network %s takes any height and width: "
                           "give them, --shape 28x28x%d for example",
                           from->path, network, from->shape.channels);
    return BASIN_OK;
}

/* ---- tensors into parameters ---- */

/** Append a name to a list that is cut short with "…" after a few. */
static void append_name(char list[LIST_BYTES], int index, const char *name) {
    size_t used = strlen(list);
    if (index < NAMES_SHOWN)
        snprintf(list + used, LIST_BYTES - used, "%s%.100s", index > 0 ? ", " : "", name);
    else if (index == NAMES_SHOWN)
        snprintf(list + used, LIST_BYTES - used, ", …");
}

/** Every parameter must be in the file, and nothing else. */
static basin_status check_names(const reading *from, const basin_energy *energy) {
    char missing[LIST_BYTES] = "", extra[LIST_BYTES] = "";
    int missing_count = 0, extra_count = 0;
    for (int i = 0; i < energy->parameters.count; i++)
        if (!basin__safetensors_find(&from->file, energy->parameters.items[i].name))
            append_name(missing, missing_count++, energy->parameters.items[i].name);
    for (size_t i = 0; i < from->file.count; i++)
        if (!basin__parameters_find(&energy->parameters, from->file.entries[i].name))
            append_name(extra, extra_count++, from->file.entries[i].name);
    if (missing_count == 0 && extra_count == 0)
        return BASIN_OK;
    return basin__fail(from->context, BASIN_ERROR_FORMAT,
                       "%s: its tensors are not those of network %s: missing: %s; unknown: %s",
                       from->path, energy->network->name, missing_count ? missing : "none",
                       extra_count ? extra : "none");
}

/** "[32, 1, 3, 3]" */
static void print_dims(char text[LIST_BYTES], int rank, const int64_t *dim) {
    size_t used = (size_t)snprintf(text, LIST_BYTES, "[");
    for (int i = 0; i < rank; i++)
        used += (size_t)snprintf(text + used, LIST_BYTES - used, "%s%lld", i > 0 ? ", " : "",
                                 (long long)dim[i]);
    snprintf(text + used, LIST_BYTES - used, "]");
}

static basin_status check_dims(const reading *from, const basin__parameter *parameter) {
    const basin__tensor_entry *entry = basin__safetensors_find(&from->file, parameter->name);
    bool is_same = entry->rank == parameter->file_rank;
    for (int d = 0; is_same && d < entry->rank; d++)
        is_same = entry->dim[d] == parameter->file_dim[d];
    if (is_same)
        return BASIN_OK;
    char found[LIST_BYTES], expected[LIST_BYTES];
    print_dims(found, entry->rank, entry->dim);
    print_dims(expected, parameter->file_rank, parameter->file_dim);
    return basin__fail(
        from->context, BASIN_ERROR_SHAPE,
        "%s: tensor %s has shape %s; network %s on examples of %d x %d x %d needs %s", from->path,
        entry->name, found, from->network->name, from->shape.height, from->shape.width,
        from->shape.channels, expected);
}

static basin_status fill_parameter(const reading *from, basin__parameter *parameter) {
    const basin__tensor_entry *entry = basin__safetensors_find(&from->file, parameter->name);
    BASIN_TRY(basin__parameter_room(from->context, parameter));
    size_t count = (size_t)basin_shape_count(parameter->shape);
    float *values = basin__alloc_array(from->context, count, sizeof(float));
    if (!values)
        return BASIN_ERROR_MEMORY;
    basin_status status = basin__tensor_to_f32(from->context, entry, values);
    if (status != BASIN_OK)
        basin__fail_in(from->context, status, from->path);
    for (size_t i = 0; i < count && status == BASIN_OK; i++)
        if (!isfinite(values[i]))
            status = basin__fail(from->context, BASIN_ERROR_FORMAT,
                                 "%s: tensor %s holds a non-finite number at element %zu",
                                 from->path, entry->name, i);
    if (status == BASIN_OK)
        basin__parameter_from_file(parameter, values, parameter->data);
    basin__free(from->context, values);
    return status;
}

static basin_status fill_energy(reading *from, basin_energy *energy) {
    BASIN_TRY(check_names(from, energy));
    for (int i = 0; i < energy->parameters.count; i++) /* before any room is taken */
        BASIN_TRY(check_dims(from, &energy->parameters.items[i]));
    for (int i = 0; i < energy->parameters.count; i++)
        BASIN_TRY(fill_parameter(from, &energy->parameters.items[i]));
    json_decref(energy->metadata);
    energy->metadata = json_incref(from->file.metadata);
    if (!energy->condition.noise_level)
        return BASIN_OK;
    double level = basin__energy_noted_number(energy, "noise_level_low", energy->noise_level);
    basin_status status = basin__energy_set_condition(energy, level, -1);
    return status == BASIN_OK ? status : basin__fail_in(from->context, status, from->path);
}

/* ---- loading ---- */

static basin_status load_file(basin_context *context, const char *path, const char *network,
                              int height, int width, basin_energy **out) {
    reading from = {.context = context, .path = path, .shape = {1, height, width, 0}};
    BASIN_TRY(basin__safetensors_read(context, path, &from.file));
    const char *format = meta(&from, "format");
    bool is_ours = format && strcmp(format, "basin") == 0;
    basin_energy *energy = NULL;
    basin_status status = is_ours ? read_metadata(&from, network) : recognise(&from, network);
    if (height > 0 && width > 0) {
        from.shape.height = height;
        from.shape.width = width;
    }
    if (status == BASIN_OK) {
        status = basin__energy_create(context, from.network, from.options, from.shape, &energy);
        if (status == BASIN_OK)
            from.options.values = NULL; /* the energy's now */
        else
            basin__fail_in(context, status, path);
    }
    if (status == BASIN_OK)
        status = fill_energy(&from, energy);
    if (status != BASIN_OK) {
        basin_energy_destroy(energy);
        energy = NULL;
    }
    basin__network_options_reset(context, &from.options);
    basin__safetensors_reset(context, &from.file);
    *out = energy;
    return status;
}

/** The model file of a checkpoint's folder: the averaged parameters where there are some. */
static basin_status find_in_checkpoint(basin_context *context, const char *folder, char **file) {
    static const char *const names[] = {"average.safetensors", "model.safetensors"};
    for (size_t i = 0; i < BASIN_COUNT(names); i++) {
        *file = basin__format(context, "%s/%s", folder, names[i]);
        if (!*file)
            return BASIN_ERROR_MEMORY;
        if (basin__path_is_file(*file))
            return BASIN_OK;
        basin__free(context, *file);
    }
    *file = NULL;
    return basin__fail(context, BASIN_ERROR_IO,
                       "%s holds no model: neither checkpoints/latest nor average.safetensors nor "
                       "model.safetensors is there",
                       folder);
}

/** The folder that checkpoints/latest of a run names, or NULL without an error where none is. */
static basin_status find_latest(basin_context *context, const char *run, char **folder) {
    unsigned char *name = NULL;
    size_t bytes;
    *folder = NULL;
    char *path = basin__format(context, "%s/checkpoints/latest", run);
    if (!path)
        return BASIN_ERROR_MEMORY;
    basin_status status = BASIN_OK;
    if (basin__path_is_file(path)) {
        status = basin__file_read(context, path, 256, &name, &bytes);
        if (status == BASIN_OK) {
            name[strcspn((char *)name, "\r\n")] = 0;
            if (!name[0] || strchr((char *)name, '/') || name[0] == '.')
                status = basin__fail(context, BASIN_ERROR_FORMAT,
                                     "%s should name a checkpoint's folder; it says '%s'", path,
                                     (char *)name);
            else
                *folder = basin__format(context, "%s/checkpoints/%s", run, (char *)name);
        }
        if (status == BASIN_OK && !*folder)
            status = BASIN_ERROR_MEMORY;
    }
    basin__free(context, name);
    basin__free(context, path);
    return status;
}

basin_status basin__model_find(basin_context *context, const char *path, char **file) {
    char *latest = NULL;
    *file = NULL;
    if (!basin__path_is_folder(path)) {
        *file = basin__strdup(context, path);
        return *file ? BASIN_OK : BASIN_ERROR_MEMORY;
    }
    BASIN_TRY(find_latest(context, path, &latest));
    basin_status status = find_in_checkpoint(context, latest ? latest : path, file);
    basin__free(context, latest);
    return status;
}

basin_status basin_energy_load(basin_context *context, const char *path, const char *network,
                               int height, int width, basin_energy **out) {
    char *file;
    *out = NULL;
    BASIN_TRY(basin__model_find(context, path, &file));
    basin_status status = load_file(context, file, network, height, width, out);
    basin__free(context, file);
    return status;
}
