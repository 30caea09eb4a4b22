/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop: update, report, picture, checkpoint, until the updates are done, the time is up, or the
 * caller stops it.
 *
 * What is due at an update is written before its checkpoint, so that the checkpoint's file lengths
 * cover it. At a run's end the checkpoint comes first and then a last report and picture, if they
 * were not due: a run that goes on from there drops them, as a run in one piece has none.
 */
#include "train/loop.h"
#include <string.h>
#include <time.h>

static double seconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double monotonic_s(void) { return seconds(CLOCK_MONOTONIC); }
static double wall_s(void) { return seconds(CLOCK_REALTIME); }

void basin_train_options_init(basin_train_options *options) {
    *options = (basin_train_options){.size = sizeof *options};
}

static bool is_due(int64_t update, int64_t every) { return every > 0 && update % every == 0; }

static basin_status write_due(basin__trainer *trainer, basin_train_progress *progress) {
    const basin__train_values *train = &trainer->config.train;
    const int64_t update = trainer->progress.update;
    if (is_due(update, train->log_every)) {
        BASIN_TRY(basin__report_interval(trainer, progress));
        basin__guard_keep(trainer);
    }
    if (is_due(update, train->sample_every))
        BASIN_TRY(basin__report_samples(trainer));
    if (is_due(update, train->checkpoint_every)) {
        BASIN_TRY(basin__checkpoint_save(trainer));
        basin__guard_keep(trainer);
    }
    return BASIN_OK;
}

/* The pace over this part of the run, for the time left. */
static void tell_pace(const basin__trainer *trainer, basin_train_progress *progress) {
    double elapsed = trainer->clock.monotonic_s() - trainer->started_s;
    int64_t done = trainer->progress.update - trainer->started_update;
    double pace = elapsed > 0 && done > 0 ? (double)done / elapsed : 0;
    progress->update = trainer->progress.update;
    progress->update_count = trainer->config.train.updates;
    progress->roll_backs = trainer->progress.roll_backs;
    progress->updates_per_second = pace;
    progress->time_left_s =
        pace > 0 ? (double)(progress->update_count - progress->update) / pace : 0;
}

static basin_status end_run(basin__trainer *trainer, basin_train_progress *progress) {
    const basin__train_values *train = &trainer->config.train;
    BASIN_TRY(basin__checkpoint_save(trainer));
    BASIN_TRY(basin__report_interval(trainer, progress));
    if (train->sample_every > 0 && !is_due(trainer->progress.update, train->sample_every))
        BASIN_TRY(basin__report_samples(trainer));
    if (trainer->folder.events != NULL)
        BASIN_TRY(basin__events_flush(trainer->folder.events, &trainer->folder.events_bytes));
    return BASIN_OK;
}

static basin_status stop_run(basin__trainer *trainer) {
    BASIN_TRY(basin__checkpoint_save(trainer));
    return basin__fail(trainer->context, BASIN_ERROR_CANCELLED,
                       trainer->folder.path != NULL
                           ? "stopped at update %lld, saved; --resume goes on from there"
                           : "stopped at update %lld",
                       (long long)trainer->progress.update);
}

static void tell_start(const basin__trainer *trainer) {
    const basin__train_config *config = &trainer->config;
    basin_temperature temperature = basin__trainer_temperature(trainer);
    basin__log(trainer->context, BASIN_LOG_INFO,
               "%s on %s: %lld parameters, updates %lld to %lld, temperature %.4g (%s)",
               config->network->name, basin_data_describe(trainer->data)->name,
               (long long)basin_energy_parameter_count(trainer->energy),
               (long long)trainer->progress.update + 1, (long long)config->train.updates,
               temperature.value, temperature.is_exact ? "exact" : "nominal");
}

basin_status basin__train_loop(basin__trainer *trainer, const basin_train_options *options) {
    const basin__train_values *train = &trainer->config.train;
    const double limit_s = 60 * train->time_limit_minutes;
    basin_train_progress progress = {0};
    trainer->started_s = trainer->interval_started_s = trainer->clock.monotonic_s();
    trainer->started_update = trainer->interval_started_update = trainer->progress.update;
    tell_start(trainer);
    while (trainer->progress.update < train->updates) {
        progress.is_report = false;
        basin_status status = basin__trainer_update(trainer);
        if (status == BASIN_ERROR_DIVERGED) {
            BASIN_TRY(basin__guard_roll_back(trainer));
            continue;
        }
        BASIN_TRY(status);
        BASIN_TRY(write_due(trainer, &progress));
        tell_pace(trainer, &progress);
        if (options->progress != NULL && !options->progress(options->user, &progress))
            return stop_run(trainer);
        if (limit_s > 0 && trainer->clock.monotonic_s() - trainer->started_s >= limit_s)
            break;
    }
    progress.is_report = false;
    BASIN_TRY(end_run(trainer, &progress));
    if (progress.is_report && options->progress != NULL) {
        tell_pace(trainer, &progress);
        (void)options->progress(options->user, &progress);
    }
    return BASIN_OK;
}

/* Settings that may differ when a run goes on: they change nothing that was computed so far. */
static basin_status check_resume_key(basin_context *context, const char *key) {
    static const char *const free_keys[] = {"updates",      "time_limit",       "log_every",
                                            "sample_every", "sample_count",     "sample_steps",
                                            "data_dir",     "keep_checkpoints", "checkpoint_every"};
    char plain[BASIN__OPTION_KEY_BYTES];
    basin__option_key(key, plain);
    for (size_t i = 0; i < BASIN_COUNT(free_keys); i++)
        if (strcmp(plain, free_keys[i]) == 0)
            return BASIN_OK;
    return basin__fail(context, BASIN_ERROR_CONFIG,
                       "%s cannot change when a run is resumed; start a new run", key);
}

/* What the caller gives, over a resumed run's config.json. */
basin_status basin__train_settings(basin_context *context, const basin_train_options *options,
                                   json_t **out) {
    json_error_t error;
    json_t *given = options->settings != NULL
                        ? json_loads(options->settings, JSON_REJECT_DUPLICATES, &error)
                        : json_object();
    if (!json_is_object(given)) {
        json_decref(given);
        return basin__fail(context, BASIN_ERROR_CONFIG,
                           "settings: a JSON object is needed (line %d, column %d: %s)", error.line,
                           error.column, error.text);
    }
    *out = given;
    if (options->folder_use != BASIN_TRAIN_RESUME)
        return BASIN_OK;
    json_t *config = NULL;
    basin_status status = basin__rundir_config(context, options->folder, &config);
    const char *key;
    json_t *value;
    json_object_foreach(given, key, value) {
        if (status == BASIN_OK)
            status = check_resume_key(context, key);
        if (status == BASIN_OK) {
            json_object_del(config, key);
            json_object_set(config, key, value);
        }
    }
    json_decref(given);
    *out = config;
    if (status != BASIN_OK)
        json_decref(config);
    return status;
}

static basin_status open_folder(basin__trainer *trainer, const basin_train_options *options) {
    if (options->folder == NULL)
        return BASIN_OK;
    if (options->folder_use != BASIN_TRAIN_RESUME)
        return basin__rundir_begin(trainer, options->folder,
                                   options->folder_use == BASIN_TRAIN_REPLACE);
    trainer->folder.path = basin__strdup(trainer->context, options->folder);
    if (trainer->folder.path == NULL)
        return BASIN_ERROR_MEMORY;
    BASIN_TRY(basin__checkpoint_load(trainer));
    if (trainer->progress.update >= trainer->config.train.updates)
        return basin__fail(trainer->context, BASIN_ERROR_CONFIG,
                           "%s has done %lld updates and %lld are asked for; give more with "
                           "--updates",
                           options->folder, (long long)trainer->progress.update,
                           (long long)trainer->config.train.updates);
    return basin__rundir_resume(trainer);
}

basin_status basin__train_with(basin_context *context, const basin_train_options *options,
                               const basin__clock *clock, basin_energy **out) {
    if (options->folder_use == BASIN_TRAIN_RESUME && options->folder == NULL)
        return basin__fail(context, BASIN_ERROR_ARGUMENT, "resuming needs a run folder");
    json_t *settings;
    BASIN_TRY(basin__train_settings(context, options, &settings));
    basin__trainer *trainer;
    basin_status status =
        basin__trainer_create(context, settings, options->data, options->held_out, &trainer);
    json_decref(settings);
    if (status != BASIN_OK)
        return status;
    trainer->clock = *clock;
    status = open_folder(trainer, options);
    if (status == BASIN_OK)
        status = basin__train_loop(trainer, options);
    if (status == BASIN_OK && out != NULL) {
        status = basin__trainer_note(trainer);
        *out = trainer->average;
        trainer->average = NULL;
    }
    basin__trainer_destroy(trainer);
    return status;
}

basin_status basin_train(basin_context *context, const basin_train_options *given,
                         basin_energy **out) {
    const basin__clock clock = {.monotonic_s = monotonic_s, .wall_s = wall_s};
    basin_train_options options;
    basin_train_options_init(&options);
    if (given != NULL)
        memcpy(&options, given, given->size < sizeof options ? given->size : sizeof options);
    if (out != NULL)
        *out = NULL;
    return basin__train_with(context, &options, &clock, out);
}
