/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run folder: config.json, metrics.jsonl, log.txt, the event file, samples/, checkpoints/.
 *
 * Lines are appended with one write each, so that a reader never sees half a line for long. A run
 * that goes on from a checkpoint first drops what was written after it: files are cut to the
 * lengths the checkpoint remembers, and later pictures removed.
 */
#include "base/file.h"
#include "base/number.h"
#include "io/config.h"
#include "train/trainer.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EVENTS_NAME "events.out.tfevents.basin"

basin_status basin__rundir_path(const basin__trainer *trainer, char **out, const char *format,
                                ...) {
    char name[256];
    va_list arguments;
    va_start(arguments, format);
    basin__vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    *out = basin__format(trainer->context, "%s/%s", trainer->folder.path, name);
    return *out != NULL ? BASIN_OK : BASIN_ERROR_MEMORY;
}

static basin_status append(basin__trainer *trainer, int file, const char *name, int64_t *length,
                           const char *line) {
    char *text = basin__format(trainer->context, "%s\n", line);
    if (text == NULL)
        return BASIN_ERROR_MEMORY;
    size_t bytes = strlen(text);
    basin_status status = BASIN_OK;
    for (size_t done = 0; done < bytes && status == BASIN_OK;) {
        ssize_t wrote = write(file, text + done, bytes - done);
        if (wrote > 0)
            done += (size_t)wrote;
        else if (errno != EINTR)
            status = basin__fail(trainer->context, BASIN_ERROR_IO, "%s/%s: cannot write: %s",
                                 trainer->folder.path, name, strerror(errno));
    }
    if (status == BASIN_OK)
        *length += (int64_t)bytes;
    basin__free(trainer->context, text);
    return status;
}

basin_status basin__rundir_metrics(basin__trainer *trainer, const json_t *line) {
    if (trainer->folder.metrics < 0)
        return BASIN_OK;
    char *text = basin__json_text(trainer->context, line);
    if (text == NULL)
        return BASIN_ERROR_MEMORY;
    basin_status status = append(trainer, trainer->folder.metrics, "metrics.jsonl",
                                 &trainer->folder.metrics_bytes, text);
    basin__free(trainer->context, text);
    return status;
}

basin_status basin__rundir_log(basin__trainer *trainer, const char *format, ...) {
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    basin__vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    basin__log(trainer->context, BASIN_LOG_INFO, "%s", line);
    if (trainer->folder.log < 0)
        return BASIN_OK;
    return append(trainer, trainer->folder.log, "log.txt", &trainer->folder.log_bytes, line);
}

/* Open for appending after the first `keep` bytes; what follows is cut off. */
static basin_status open_at(basin__trainer *trainer, const char *name, int64_t keep, int *file) {
    char *path;
    BASIN_TRY(basin__rundir_path(trainer, &path, "%s", name));
    basin_status status = BASIN_OK;
    *file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (*file < 0 || lseek(*file, 0, SEEK_END) < keep || ftruncate(*file, keep) != 0 ||
        lseek(*file, keep, SEEK_SET) < 0)
        status = basin__fail(
            trainer->context, BASIN_ERROR_IO, "%s: cannot open for writing after byte %lld: %s",
            path, (long long)keep, errno != 0 ? strerror(errno) : "it is shorter than that");
    basin__free(trainer->context, path);
    return status;
}

static basin_status open_files(basin__trainer *trainer) {
    basin__run_folder *folder = &trainer->folder;
    char *path;
    BASIN_TRY(open_at(trainer, "metrics.jsonl", folder->metrics_bytes, &folder->metrics));
    BASIN_TRY(open_at(trainer, "log.txt", folder->log_bytes, &folder->log));
    BASIN_TRY(basin__rundir_path(trainer, &path, EVENTS_NAME));
    basin_status status = basin__events_open(trainer->context, path, folder->events_bytes,
                                             trainer->clock.wall_s(), &folder->events);
    basin__free(trainer->context, path);
    return status;
}

static basin_status write_config(basin__trainer *trainer) {
    char *path;
    json_t *config;
    BASIN_TRY(basin__train_config_json(&trainer->config, &config));
    basin_status status = basin__rundir_path(trainer, &path, "config.json");
    if (status == BASIN_OK) {
        status = basin__json_write(trainer->context, path, config);
        basin__free(trainer->context, path);
    }
    json_decref(config);
    return status;
}

static basin_status check_empty(basin_context *context, const char *path) {
    char **names;
    size_t count;
    BASIN_TRY(basin__folder_list(context, path, &names, &count));
    for (size_t i = 0; i < count; i++)
        basin__free(context, names[i]);
    basin__free(context, names);
    if (count == 0)
        return BASIN_OK;
    return basin__fail(context, BASIN_ERROR_CONFIG,
                       "%s is not empty: choose another folder, --force to replace the run in it, "
                       "or --resume to go on with it",
                       path);
}

/* Remove what a run leaves, and nothing else that may be there. */
static basin_status clear_run(basin__trainer *trainer) {
    static const char *const files[] = {"config.json", "metrics.jsonl", "log.txt", EVENTS_NAME};
    static const char *const folders[] = {"samples", "checkpoints"};
    char *path;
    for (size_t i = 0; i < BASIN_COUNT(files); i++) {
        BASIN_TRY(basin__rundir_path(trainer, &path, "%s", files[i]));
        bool is_stuck = unlink(path) != 0 && errno != ENOENT;
        basin_status status = is_stuck ? basin__fail(trainer->context, BASIN_ERROR_IO,
                                                     "%s: cannot remove: %s", path, strerror(errno))
                                       : BASIN_OK;
        basin__free(trainer->context, path);
        BASIN_TRY(status);
    }
    for (size_t i = 0; i < BASIN_COUNT(folders); i++) {
        BASIN_TRY(basin__rundir_path(trainer, &path, "%s", folders[i]));
        basin_status status = basin__folder_remove(trainer->context, path);
        basin__free(trainer->context, path);
        BASIN_TRY(status);
    }
    return BASIN_OK;
}

static basin_status make_folder(basin__trainer *trainer, const char *name) {
    char *path;
    BASIN_TRY(basin__rundir_path(trainer, &path, "%s", name));
    basin_status status = basin__folder_create(trainer->context, path);
    basin__free(trainer->context, path);
    return status;
}

basin_status basin__rundir_begin(basin__trainer *trainer, const char *path, bool is_replacing) {
    basin_context *context = trainer->context;
    if (basin__path_is_folder(path) && !is_replacing)
        BASIN_TRY(check_empty(context, path));
    trainer->folder.path = basin__strdup(context, path);
    if (trainer->folder.path == NULL)
        return BASIN_ERROR_MEMORY;
    BASIN_TRY(basin__folder_create(context, path));
    if (is_replacing)
        BASIN_TRY(clear_run(trainer));
    BASIN_TRY(make_folder(trainer, "samples"));
    BASIN_TRY(make_folder(trainer, "checkpoints"));
    BASIN_TRY(write_config(trainer));
    return open_files(trainer);
}

/* Pictures of later updates, and one of this update that only the end of a run asked for. */
static basin_status drop_later_samples(basin__trainer *trainer) {
    char *folder, **names = NULL;
    size_t count = 0;
    BASIN_TRY(basin__rundir_path(trainer, &folder, "samples"));
    basin_status status = basin__folder_list(trainer->context, folder, &names, &count);
    const int64_t every = trainer->config.train.sample_every, now = trainer->progress.update;
    for (size_t i = 0; i < count; i++) {
        long long step = strncmp(names[i], "step-", 5) == 0 ? atoll(names[i] + 5) : 0;
        bool is_due = every > 0 && step % every == 0;
        if (step > now || (step > 0 && step == now && !is_due)) {
            char *path = basin__format(trainer->context, "%s/%s", folder, names[i]);
            if (path == NULL)
                status = BASIN_ERROR_MEMORY;
            else if (unlink(path) != 0)
                status = basin__fail(trainer->context, BASIN_ERROR_IO, "%s: cannot remove: %s",
                                     path, strerror(errno));
            basin__free(trainer->context, path);
        }
        basin__free(trainer->context, names[i]);
    }
    basin__free(trainer->context, names);
    basin__free(trainer->context, folder);
    return status;
}

basin_status basin__rundir_resume(basin__trainer *trainer) {
    BASIN_TRY(drop_later_samples(trainer));
    BASIN_TRY(write_config(trainer));
    return open_files(trainer);
}

basin_status basin__rundir_config(basin_context *context, const char *path, json_t **out) {
    char *file = basin__format(context, "%s/config.json", path);
    if (file == NULL)
        return BASIN_ERROR_MEMORY;
    basin_status status = basin__path_is_file(file)
                              ? basin__config_read(context, file, out)
                              : basin__fail(context, BASIN_ERROR_IO,
                                            "%s: not there; is %s a run folder?", file, path);
    basin__free(context, file);
    return status;
}

void basin__rundir_close(basin__trainer *trainer) {
    basin__run_folder *folder = &trainer->folder;
    if (folder->metrics >= 0)
        close(folder->metrics);
    if (folder->log >= 0)
        close(folder->log);
    basin__events_close(folder->events);
    basin__free(trainer->context, folder->path);
    *folder = (basin__run_folder){.metrics = -1, .log = -1};
}
