/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints: checkpoints/step-NNNNNN/ with
 *
 *   model.safetensors, average.safetensors   models, ready for use (effective weights)
 *   optimiser.safetensors                    all that is trained, as it is: parameters, states,
 *                                            averages, the optimiser's slots
 *   buffer.safetensors                       the replay buffer
 *   state.json                               the numbers of the run's state, and file lengths
 *
 * They are written to a temporary name, each file synced, and renamed; then checkpoints/latest is
 * replaced. Whenever the power fails, latest names a whole checkpoint.
 */
#include "base/file.h"
#include "io/config.h"
#include "io/safetensors.h"
#include "train/trainer.h"
#include <stdlib.h>
#include <string.h>

#define STATE_VERSION 1

/* Where a real number of the state is kept; "meter." and the rest are keys of state.json. */
typedef struct state_field {
    const char *key;
    double *value;
} state_field;

enum { STATE_FIELDS = 9 };

static void state_fields(basin__trainer *trainer, state_field fields[STATE_FIELDS]) {
    basin__meter *meter = &trainer->progress.meter;
    const state_field list[STATE_FIELDS] = {
        {"rate_factor", &trainer->progress.rate_factor},
        {"sum_loss", &meter->loss},
        {"sum_energy_data", &meter->energy_data},
        {"sum_energy_negative", &meter->energy_negative},
        {"sum_gradient_norm_input", &meter->gradient_norm_input},
        {"sum_gradient_norm_parameter", &meter->gradient_norm_parameter},
        {"sum_displacement", &meter->displacement},
        {"sum_saturated", &meter->saturated},
        {"time_s", &trainer->seconds_before},
    };
    memcpy(fields, list, sizeof list);
}

/** How convolutions are computed: it decides how results are rounded. */
static const char *convolution_of(const basin__trainer *trainer) {
    return basin_context_exact_convolution(trainer->context) ? "direct" : "fast";
}

static basin_status save_state(basin__trainer *trainer, const char *path) {
    state_field fields[STATE_FIELDS];
    state_fields(trainer, fields);
    const basin__run_folder *folder = &trainer->folder;
    double before = trainer->seconds_before;
    json_t *state = json_pack(
        "{s:i, s:s, s:s, s:s, s:s, s:I, s:i, s:I, s:I, s:I, s:I}", "version", STATE_VERSION,
        "basin", basin_version(), "instruction_set", basin_context_isa(trainer->context),
        "chain_precision", basin_context_precision(trainer->context), "convolution",
        convolution_of(trainer), "update", (json_int_t)trainer->progress.update, "roll_backs",
        trainer->progress.roll_backs, "sum_updates", (json_int_t)trainer->progress.meter.updates,
        "metrics_bytes", (json_int_t)folder->metrics_bytes, "log_bytes",
        (json_int_t)folder->log_bytes, "events_bytes", (json_int_t)folder->events_bytes);
    if (state == NULL)
        return basin__fail(trainer->context, BASIN_ERROR_MEMORY, "no memory for the state");
    trainer->seconds_before += trainer->clock.monotonic_s() - trainer->started_s;
    for (int i = 0; i < STATE_FIELDS; i++)
        json_object_set_new(state, fields[i].key, json_real(*fields[i].value));
    trainer->seconds_before = before;
    basin_status status = basin__json_write(trainer->context, path, state);
    json_decref(state);
    return status;
}

/** A run may go on with other arithmetic, but then it is another run. */
static void warn_of_change(const basin__trainer *trainer, const json_t *state, const char *key,
                           const char *now) {
    const char *before = json_string_value(json_object_get(state, key));
    if (before != NULL && strcmp(before, now) != 0)
        basin__log(trainer->context, BASIN_LOG_WARNING,
                   "this run had %s %s and goes on with %s: results differ by rounding", key,
                   before, now);
}

static basin_status read_state(basin__trainer *trainer, const char *path, const json_t *state) {
    static const char *const keys[] = {"version",       "update",    "roll_backs",  "sum_updates",
                                       "metrics_bytes", "log_bytes", "events_bytes"};
    json_int_t numbers[BASIN_COUNT(keys)];
    for (size_t i = 0; i < BASIN_COUNT(keys); i++) {
        const json_t *value = json_object_get(state, keys[i]);
        if (!json_is_integer(value) || json_integer_value(value) < 0)
            return basin__fail(trainer->context, BASIN_ERROR_FORMAT,
                               "%s: \"%s\" should be a whole number", path, keys[i]);
        numbers[i] = json_integer_value(value);
    }
    if (numbers[0] > STATE_VERSION)
        return basin__fail(trainer->context, BASIN_ERROR_FORMAT,
                           "%s: version %lld is newer than this program's %d", path,
                           (long long)numbers[0], STATE_VERSION);
    trainer->progress.update = numbers[1];
    trainer->progress.roll_backs = (int)(numbers[2] < 255 ? numbers[2] : 255);
    trainer->progress.meter.updates = numbers[3];
    trainer->folder.metrics_bytes = numbers[4];
    trainer->folder.log_bytes = numbers[5];
    trainer->folder.events_bytes = (uint64_t)numbers[6];
    state_field fields[STATE_FIELDS];
    state_fields(trainer, fields);
    for (int i = 0; i < STATE_FIELDS; i++) {
        const json_t *value = json_object_get(state, fields[i].key);
        if (!json_is_number(value))
            return basin__fail(trainer->context, BASIN_ERROR_FORMAT,
                               "%s: \"%s\" should be a number", path, fields[i].key);
        *fields[i].value = json_number_value(value);
    }
    warn_of_change(trainer, state, "instruction_set", basin_context_isa(trainer->context));
    warn_of_change(trainer, state, "chain_precision", basin_context_precision(trainer->context));
    warn_of_change(trainer, state, "convolution", convolution_of(trainer));
    return BASIN_OK;
}

static basin_status load_state(basin__trainer *trainer, const char *path) {
    json_t *state;
    BASIN_TRY(basin__config_read(trainer->context, path, &state));
    basin_status status = read_state(trainer, path, state);
    json_decref(state);
    return status;
}

static basin_status save_trained(basin__trainer *trainer, const char *path) {
    size_t count = (size_t)trainer->trained_count;
    basin__tensor_entry *entries =
        basin__alloc_array(trainer->context, count, sizeof(basin__tensor_entry));
    if (entries == NULL)
        return BASIN_ERROR_MEMORY;
    for (size_t i = 0; i < count; i++) {
        const basin__trained *tensor = &trainer->trained[i];
        entries[i] = (basin__tensor_entry){.name = tensor->name,
                                           .dtype = BASIN__DTYPE_F32,
                                           .rank = 1,
                                           .dim = {tensor->count},
                                           .data = tensor->data,
                                           .bytes = (size_t)tensor->count * sizeof(float)};
    }
    basin_status status = basin__safetensors_write(trainer->context, path, entries, count, NULL);
    basin__free(trainer->context, entries);
    return status;
}

static basin_status load_trained(basin__trainer *trainer, const char *path) {
    basin__safetensors file;
    BASIN_TRY(basin__safetensors_read(trainer->context, path, &file));
    basin_status status = BASIN_OK;
    for (int i = 0; i < trainer->trained_count && status == BASIN_OK; i++) {
        const basin__trained *tensor = &trainer->trained[i];
        const basin__tensor_entry *entry = basin__safetensors_find(&file, tensor->name);
        if (entry == NULL || entry->dtype != BASIN__DTYPE_F32 ||
            entry->bytes != (size_t)tensor->count * sizeof(float))
            status = basin__fail(trainer->context, BASIN_ERROR_FORMAT,
                                 "%s: \"%s\" should hold %lld numbers (F32); does config.json "
                                 "belong to it?",
                                 path, tensor->name, (long long)tensor->count);
        else
            memcpy(tensor->data, entry->data, entry->bytes);
    }
    basin__safetensors_reset(trainer->context, &file);
    basin__energy_changed(trainer->energy);
    basin__energy_changed(trainer->average);
    return status;
}

/* Call save or load on folder/name. */
static basin_status with_file(basin__trainer *trainer, const char *folder, const char *name,
                              basin_status (*act)(basin__trainer *, const char *)) {
    char *path = basin__format(trainer->context, "%s/%s", folder, name);
    if (path == NULL)
        return BASIN_ERROR_MEMORY;
    basin_status status = act(trainer, path);
    basin__free(trainer->context, path);
    return status;
}

static basin_status save_model(basin__trainer *trainer, const char *path) {
    return basin_energy_save(trainer->energy, path);
}

static basin_status save_average(basin__trainer *trainer, const char *path) {
    return basin_energy_save(trainer->average, path);
}

static basin_status save_buffer(basin__trainer *trainer, const char *path) {
    return trainer->buffer.capacity > 0 ? basin__buffer_save(&trainer->buffer, trainer->shape, path)
                                        : BASIN_OK;
}

static basin_status load_buffer(basin__trainer *trainer, const char *path) {
    return trainer->buffer.capacity > 0 ? basin__buffer_load(&trainer->buffer, trainer->shape, path)
                                        : BASIN_OK;
}

static basin_status fill_folder(basin__trainer *trainer, const char *folder) {
    BASIN_TRY(basin__folder_create(trainer->context, folder));
    BASIN_TRY(with_file(trainer, folder, "model.safetensors", save_model));
    BASIN_TRY(with_file(trainer, folder, "average.safetensors", save_average));
    BASIN_TRY(with_file(trainer, folder, "optimiser.safetensors", save_trained));
    BASIN_TRY(with_file(trainer, folder, "buffer.safetensors", save_buffer));
    return with_file(trainer, folder, "state.json", save_state);
}

/*
 * Keep the newest `keep-checkpoints` of those that were due, and drop older ones; one written
 * because a run ended or was stopped goes when a newer one is there.
 */
static basin_status prune(basin__trainer *trainer, const char *checkpoints) {
    const int64_t keep = trainer->config.train.keep_checkpoints;
    const int64_t every = trainer->config.train.checkpoint_every;
    const int64_t now = trainer->progress.update;
    const int64_t oldest = keep > 0 ? ((now + every - 1) / every - keep + 1) * every : 0;
    char **names;
    size_t count;
    BASIN_TRY(basin__folder_list(trainer->context, checkpoints, &names, &count));
    basin_status status = BASIN_OK;
    for (size_t i = 0; i < count; i++) {
        long long step = strncmp(names[i], "step-", 5) == 0 ? atoll(names[i] + 5) : -1;
        if (step >= 0 && step < now && (step < oldest || step % every != 0) && status == BASIN_OK) {
            char *path = basin__format(trainer->context, "%s/%s", checkpoints, names[i]);
            status =
                path != NULL ? basin__folder_remove(trainer->context, path) : BASIN_ERROR_MEMORY;
            basin__free(trainer->context, path);
        }
        basin__free(trainer->context, names[i]);
    }
    basin__free(trainer->context, names);
    return status;
}

static basin_status publish(basin__trainer *trainer, const char *checkpoints,
                            const char *temporary) {
    basin_context *context = trainer->context;
    long long update = (long long)trainer->progress.update;
    char *final = basin__format(context, "%s/step-%06lld", checkpoints, update);
    char *latest = basin__format(context, "%s/latest", checkpoints);
    char *name = basin__format(context, "step-%06lld\n", update);
    basin_status status =
        final == NULL || latest == NULL || name == NULL ? BASIN_ERROR_MEMORY : BASIN_OK;
    if (status == BASIN_OK)
        status = basin__folder_remove(context, final); /* left by a run stopped before `latest` */
    if (status == BASIN_OK)
        status = basin__file_rename(context, temporary, final);
    if (status == BASIN_OK)
        status = basin__file_write(context, latest, name, strlen(name));
    basin__free(context, final);
    basin__free(context, latest);
    basin__free(context, name);
    return status;
}

basin_status basin__checkpoint_save(basin__trainer *trainer) {
    basin_context *context = trainer->context;
    if (trainer->folder.path == NULL || trainer->saved_update == trainer->progress.update)
        return BASIN_OK;
    char *checkpoints, *temporary;
    BASIN_TRY(basin__events_flush(trainer->folder.events, &trainer->folder.events_bytes));
    BASIN_TRY(basin__trainer_note(trainer));
    BASIN_TRY(basin__rundir_path(trainer, &checkpoints, "checkpoints"));
    basin_status status = BASIN_ERROR_MEMORY;
    temporary = basin__format(context, "%s/unfinished", checkpoints);
    if (temporary != NULL)
        status = basin__folder_remove(context, temporary);
    if (status == BASIN_OK) {
        status = fill_folder(trainer, temporary);
        if (status == BASIN_OK)
            status = publish(trainer, checkpoints, temporary);
        if (status != BASIN_OK) {
            /* the first error is the one to tell: removing must not word another */
            char *message = basin__strdup(context, basin_context_error(context));
            if (basin__folder_remove(context, temporary) != BASIN_OK && message != NULL)
                status = basin__fail(context, status, "%s", message);
            basin__free(context, message);
        }
    }
    if (status == BASIN_OK) {
        trainer->saved_update = trainer->progress.update;
        status = prune(trainer, checkpoints);
    }
    basin__free(context, temporary);
    basin__free(context, checkpoints);
    return status;
}

static basin_status find_latest(basin__trainer *trainer, char **folder) {
    char *path;
    unsigned char *name;
    size_t bytes;
    BASIN_TRY(basin__rundir_path(trainer, &path, "checkpoints/latest"));
    basin_status status = basin__file_read(trainer->context, path, 4096, &name, &bytes);
    if (status == BASIN_OK) {
        name[strcspn((const char *)name, "\r\n")] = 0;
        if (name[0] == 0 || name[0] == '.' || strchr((const char *)name, '/') != NULL)
            status = basin__fail(trainer->context, BASIN_ERROR_FORMAT,
                                 "%s: should hold the name of a folder beside it", path);
        else
            status = basin__rundir_path(trainer, folder, "checkpoints/%s", (const char *)name);
        basin__free(trainer->context, name);
    }
    basin__free(trainer->context, path);
    return status;
}

/** The newest checkpoint but `but`, a folder's name or NULL; *name is NULL where there is none. */
static basin_status find_other(basin__trainer *trainer, const char *but, char **name) {
    char *path, **names;
    size_t count;
    long long newest = -1;
    *name = NULL;
    BASIN_TRY(basin__rundir_path(trainer, &path, "checkpoints"));
    basin_status status = basin__folder_list(trainer->context, path, &names, &count);
    basin__free(trainer->context, path);
    BASIN_TRY(status);
    for (size_t i = 0; i < count; i++) {
        long long step = strncmp(names[i], "step-", 5) == 0 ? atoll(names[i] + 5) : -1;
        bool is_newer = step > newest && (but == NULL || strcmp(names[i], but) != 0);
        if (is_newer) {
            basin__free(trainer->context, *name);
            *name = names[i];
            newest = step;
        } else {
            basin__free(trainer->context, names[i]);
        }
    }
    basin__free(trainer->context, names);
    return BASIN_OK;
}

/** Add to the message of a checkpoint that cannot be read that another one is there. */
static basin_status tell_other(basin__trainer *trainer, basin_status status, const char *folder) {
    const char *slash = folder != NULL ? strrchr(folder, '/') : NULL;
    char *message = basin__strdup(trainer->context, basin_context_error(trainer->context));
    char *other = NULL;
    basin_status listed = find_other(trainer, slash != NULL ? slash + 1 : NULL, &other);
    if (message != NULL && listed == BASIN_OK && other != NULL)
        basin__fail(trainer->context, status,
                    "%s; %s is there too: to go on from it, write that name into "
                    "%s/checkpoints/latest",
                    message, other, trainer->folder.path);
    else if (message != NULL)
        basin__fail(trainer->context, status, "%s", message);
    basin__free(trainer->context, message);
    basin__free(trainer->context, other);
    return status;
}

basin_status basin__checkpoint_load(basin__trainer *trainer) {
    char *folder = NULL;
    basin_status status = find_latest(trainer, &folder);
    if (status == BASIN_OK)
        status = with_file(trainer, folder, "state.json", load_state);
    if (status == BASIN_OK)
        status = with_file(trainer, folder, "optimiser.safetensors", load_trained);
    if (status == BASIN_OK)
        status = with_file(trainer, folder, "buffer.safetensors", load_buffer);
    if (status != BASIN_OK && status != BASIN_ERROR_MEMORY)
        status = tell_other(trainer, status, folder);
    basin__free(trainer->context, folder);
    if (status == BASIN_OK) {
        trainer->saved_update = trainer->progress.update;
        basin__guard_keep(trainer);
    }
    return status;
}
