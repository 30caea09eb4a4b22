/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Atomic writing: a reader, or a machine that lost power, sees the old file or
 * the whole new one, never a part.
 *
 * The content goes to a new name in the same folder, is synced, renamed over
 * the target, and the folder is synced, since a rename is only an entry in it.
 * Pillai et al., "All file systems are not created equal", OSDI 2014.
 */
#include "base/file.h"
#include "base/number.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_BYTES 65536
#define NAME_TRIES 1000

struct basin__writer {
    basin_context *context;
    char *path;      /* the target, links resolved */
    char *temporary; /* NULL: `path` is a device or pipe, written directly */
    int file;
    int error; /* the first failure's errno; 0 while all is well */
    size_t used;
    unsigned char buffer[BUFFER_BYTES];
};

/** The folder of `path`, "." for a bare name; new memory. */
static char *parent_folder(basin_context *context, const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash)
        return basin__strdup(context, ".");
    return basin__format(context, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

static basin_status sync_parent(basin_context *context, const char *path) {
    char *folder = parent_folder(context, path);
    if (!folder)
        return BASIN_ERROR_MEMORY;
    basin_status status = BASIN_OK;
    int file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0 || (fsync(file) != 0 && errno != EINVAL)) /* EINVAL: nothing to sync there */
        status = basin__fail_errno(context, "sync the folder", folder, errno);
    if (file >= 0)
        close(file);
    basin__free(context, folder);
    return status;
}

basin_status basin__file_rename(basin_context *context, const char *from, const char *to) {
    if (rename(from, to) != 0)
        return basin__fail_errno(context, "rename to", to, errno);
    return sync_parent(context, to);
}

/** Create a name beside the target that was not there. The process id keeps writers apart. */
static basin_status open_temporary(basin__writer *writer) {
    basin_context *context = writer->context;
    for (int i = 0; i < NAME_TRIES; i++) {
        writer->temporary =
            basin__format(context, "%s.%ld-%d.tmp", writer->path, (long)getpid(), i);
        if (!writer->temporary)
            return BASIN_ERROR_MEMORY;
        writer->file = open(writer->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (writer->file >= 0)
            return BASIN_OK;
        int error = errno;
        basin__free(context, writer->temporary);
        writer->temporary = NULL;
        if (error != EEXIST)
            return basin__fail_errno(context, "write", writer->path, error);
    }
    return basin__fail(context, BASIN_ERROR_IO,
                       "cannot write '%s': %d temporary files of earlier writers are in the way",
                       writer->path, NAME_TRIES);
}

/** The file that is to be replaced: links followed, so that a link stays one. */
static basin_status resolve_target(basin__writer *writer, const char *path) {
    char *resolved = realpath(path, NULL);
    writer->path = basin__strdup(writer->context, resolved ? resolved : path);
    free(resolved);
    return writer->path ? BASIN_OK : BASIN_ERROR_MEMORY;
}

static basin_status open_target(basin__writer *writer) {
    struct stat info;
    bool exists = stat(writer->path, &info) == 0;
    if (exists && S_ISDIR(info.st_mode))
        return basin__fail_errno(writer->context, "write", writer->path, EISDIR);
    if (exists && !S_ISREG(info.st_mode)) {
        writer->file = open(writer->path, O_WRONLY | O_CLOEXEC);
        return writer->file >= 0 ? BASIN_OK
                                 : basin__fail_errno(writer->context, "write", writer->path, errno);
    }
    BASIN_TRY(open_temporary(writer));
    if (exists && fchmod(writer->file, info.st_mode & 07777) != 0)
        return basin__fail_errno(writer->context, "set the permissions of", writer->temporary,
                                 errno);
    return BASIN_OK;
}

basin_status basin__writer_open(basin_context *context, const char *path, basin__writer **out) {
    *out = NULL;
    basin__writer *writer = basin__alloc(context, sizeof(*writer));
    if (!writer)
        return BASIN_ERROR_MEMORY;
    writer->context = context;
    writer->file = -1;
    basin_status status = resolve_target(writer, path);
    if (status == BASIN_OK)
        status = open_target(writer);
    if (status != BASIN_OK) {
        basin__writer_abort(writer);
        return status;
    }
    *out = writer;
    return BASIN_OK;
}

static basin_status report(const basin__writer *writer) {
    if (writer->error == 0)
        return BASIN_OK;
    return basin__fail_errno(writer->context, "write", writer->path, writer->error);
}

static basin_status write_out(basin__writer *writer, const unsigned char *data, size_t bytes) {
    while (bytes > 0 && writer->error == 0) {
        ssize_t done = write(writer->file, data, bytes);
        if (done < 0) {
            if (errno != EINTR)
                writer->error = errno;
            continue;
        }
        data += done;
        bytes -= (size_t)done;
    }
    return report(writer);
}

static basin_status flush_buffer(basin__writer *writer) {
    size_t bytes = writer->used;
    writer->used = 0;
    return write_out(writer, writer->buffer, bytes);
}

basin_status basin__writer_put(basin__writer *writer, const void *data, size_t bytes) {
    if (writer->error != 0)
        return report(writer);
    if (bytes > BUFFER_BYTES - writer->used)
        BASIN_TRY(flush_buffer(writer));
    if (bytes > BUFFER_BYTES)
        return write_out(writer, data, bytes);
    if (bytes > 0)
        memcpy(writer->buffer + writer->used, data, bytes);
    writer->used += bytes;
    return BASIN_OK;
}

basin_status basin__writer_printf(basin__writer *writer, const char *format, ...) {
    char text[512], *longer = NULL;
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = basin__vsnprintf(text, sizeof(text), format, arguments);
    basin_status status = BASIN_OK;
    if (length < 0) {
        writer->error = EILSEQ;
        status = report(writer);
    } else if ((size_t)length >= sizeof(text)) {
        longer = basin__alloc(writer->context, (size_t)length + 1);
        if (longer)
            basin__vsnprintf(longer, (size_t)length + 1, format, again);
        else
            status = BASIN_ERROR_MEMORY;
        if (!longer)
            writer->error = ENOMEM;
    }
    if (status == BASIN_OK)
        status = basin__writer_put(writer, longer ? longer : text, (size_t)length);
    basin__free(writer->context, longer);
    va_end(again);
    va_end(arguments);
    return status;
}

/** Flush, sync and close; the first failure is kept in `error`. */
static void finish(basin__writer *writer) {
    (void)flush_buffer(writer);
    if (writer->error == 0 && writer->temporary && fsync(writer->file) != 0)
        writer->error = errno;
    if (close(writer->file) != 0 && writer->error == 0)
        writer->error = errno;
    writer->file = -1;
}

basin_status basin__writer_commit(basin__writer *writer) {
    finish(writer);
    if (writer->error == 0 && writer->temporary) {
        if (rename(writer->temporary, writer->path) != 0)
            writer->error = errno;
    }
    basin_status status = report(writer);
    if (status == BASIN_OK && writer->temporary) {
        basin__free(writer->context, writer->temporary); /* renamed: nothing to remove */
        writer->temporary = NULL;
        status = sync_parent(writer->context, writer->path);
    }
    basin__writer_abort(writer);
    return status;
}

void basin__writer_abort(basin__writer *writer) {
    if (!writer)
        return;
    basin_context *context = writer->context;
    if (writer->file >= 0)
        close(writer->file);
    if (writer->temporary)
        unlink(writer->temporary);
    basin__free(context, writer->temporary);
    basin__free(context, writer->path);
    basin__free(context, writer);
}

basin_status basin__file_write(basin_context *context, const char *path, const void *data,
                               size_t bytes) {
    basin__writer *writer;
    BASIN_TRY(basin__writer_open(context, path, &writer));
    basin_status status = basin__writer_put(writer, data, bytes);
    if (status == BASIN_OK)
        return basin__writer_commit(writer);
    basin__writer_abort(writer);
    return status;
}

basin_status basin__file_check_writable(basin_context *context, const char *path) {
    struct stat info;
    basin__writer *writer;
    if (stat(path, &info) == 0 && S_ISFIFO(info.st_mode))
        return BASIN_OK; /* to open it would wait for a reader, and then leave that one alone */
    BASIN_TRY(basin__writer_open(context, path, &writer));
    basin__writer_abort(writer);
    return BASIN_OK;
}
