/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files: whole-file reading with a size limit, gzip or plain, and writing that
 * is atomic: to a temporary name in the same folder, synced, renamed.
 */
#ifndef BASIN_BASE_FILE_H
#define BASIN_BASE_FILE_H

#include "base/context.h"

/** Record "cannot <action> '<path>': <text of errno value>" as BASIN_ERROR_IO. */
basin_status basin__fail_errno(basin_context *context, const char *action, const char *path,
                               int error);

/**
 * Read a whole file, unpacking it where it is a gzip stream (told by its first two bytes).
 *
 * @param bytes_max  the most that is read (unpacked); more is BASIN_ERROR_FORMAT
 * @param data       new memory, the caller's to basin__free; one zero byte follows the content
 * Errors name the path: BASIN_ERROR_IO (missing, unreadable, a folder), BASIN_ERROR_FORMAT (gzip
 * stream broken or cut short, with the offset).
 */
basin_status basin__file_read(basin_context *context, const char *path, size_t bytes_max,
                              unsigned char **data, size_t *bytes);

typedef struct basin__writer basin__writer;

/**
 * Open a temporary file beside `path`. Nothing at `path` changes before commit. A link is followed;
 * a device or pipe, which cannot be replaced, is written directly.
 */
basin_status basin__writer_open(basin_context *context, const char *path, basin__writer **out);
/** Append. A failure (full disk) is remembered and returned by every later call. */
basin_status basin__writer_put(basin__writer *writer, const void *data, size_t bytes);
basin_status basin__writer_printf(basin__writer *writer, const char *format, ...)
    BASIN_PRINTF(2, 3);
/** Sync, rename over `path`, free the writer. On failure the temporary file is removed. */
basin_status basin__writer_commit(basin__writer *writer);
/** Remove the temporary file and free the writer. NULL is fine. */
void basin__writer_abort(basin__writer *writer);

/** Write a whole file atomically. */
basin_status basin__file_write(basin_context *context, const char *path, const void *data,
                               size_t bytes);

/**
 * See that `path` can be written, before the work whose result goes there. Nothing changes; what
 * fills up or is taken away later is told when it is written.
 */
basin_status basin__file_check_writable(basin_context *context, const char *path);

/** Make a folder and its parents; fine if it is there. */
basin_status basin__folder_create(basin_context *context, const char *path);
/** Sorted names in a folder without "." and ".."; free each and the array with basin__free. */
basin_status basin__folder_list(basin_context *context, const char *path, char ***names,
                                size_t *count);
/** Remove a folder with all it holds; fine if it is not there. */
basin_status basin__folder_remove(basin_context *context, const char *path);
/** Rename a file or folder, syncing the parent folder. */
basin_status basin__file_rename(basin_context *context, const char *from, const char *to);
bool basin__path_is_file(const char *path);
bool basin__path_is_folder(const char *path);

#endif
