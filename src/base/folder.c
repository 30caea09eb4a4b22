/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folders: made with their parents, listed in sorted order, removed with all
 * they hold. A link inside a folder is removed, never followed.
 */
#include "base/file.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/** mkdir that is content with a folder already there. */
static basin_status make_one(basin_context *context, const char *path) {
    if (mkdir(path, 0777) == 0 || (errno == EEXIST && basin__path_is_folder(path)))
        return BASIN_OK;
    int error = errno;
    return basin__path_is_folder(path) ? BASIN_OK
                                       : basin__fail_errno(context, "make the folder", path,
                                                           error == EEXIST ? ENOTDIR : error);
}

basin_status basin__folder_create(basin_context *context, const char *path) {
    char *part = basin__strdup(context, path);
    if (!part)
        return BASIN_ERROR_MEMORY;
    basin_status status = BASIN_OK;
    for (char *at = part; *at && status == BASIN_OK; at++) {
        if (*at != '/' || at == part)
            continue;
        *at = '\0';
        status = make_one(context, part);
        *at = '/';
    }
    if (status == BASIN_OK)
        status = make_one(context, part);
    basin__free(context, part);
    return status;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void free_names(basin_context *context, char **names, size_t count) {
    for (size_t i = 0; i < count; i++)
        basin__free(context, names[i]);
    basin__free(context, names);
}

static basin_status append_name(basin_context *context, char ***names, size_t *count,
                                const char *name) {
    bool is_full = (*count & (*count - 1)) == 0 && *count >= 8; /* full at 8, 16, 32, … */
    if (*count == 0 || is_full) {
        size_t room = *count == 0 ? 8 : *count * 2;
        char **grown = basin__grow(context, *names, *count * sizeof(char *), room * sizeof(char *));
        if (!grown)
            return BASIN_ERROR_MEMORY;
        *names = grown;
    }
    (*names)[*count] = basin__strdup(context, name);
    if (!(*names)[*count])
        return BASIN_ERROR_MEMORY;
    ++*count;
    return BASIN_OK;
}

static basin_status list_open_folder(basin_context *context, const char *path, DIR *folder,
                                     char ***names, size_t *count) {
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (!entry)
            return errno == 0 ? BASIN_OK : basin__fail_errno(context, "list", path, errno);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            BASIN_TRY(append_name(context, names, count, entry->d_name));
    }
}

basin_status basin__folder_list(basin_context *context, const char *path, char ***names,
                                size_t *count) {
    *names = NULL;
    *count = 0;
    DIR *folder = opendir(path);
    if (!folder)
        return basin__fail_errno(context, "list", path, errno);
    basin_status status = list_open_folder(context, path, folder, names, count);
    closedir(folder);
    if (status != BASIN_OK) {
        free_names(context, *names, *count);
        *names = NULL;
        *count = 0;
        return status;
    }
    if (*count > 1)
        qsort(*names, *count, sizeof(char *), compare_names);
    return BASIN_OK;
}

static basin_status remove_content(basin_context *context, const char *path) {
    char **names;
    size_t count;
    BASIN_TRY(basin__folder_list(context, path, &names, &count));
    basin_status status = BASIN_OK;
    for (size_t i = 0; i < count && status == BASIN_OK; i++) {
        char *inside = basin__format(context, "%s/%s", path, names[i]);
        status = inside ? basin__folder_remove(context, inside) : BASIN_ERROR_MEMORY;
        basin__free(context, inside);
    }
    free_names(context, names, count);
    return status;
}

basin_status basin__folder_remove(basin_context *context, const char *path) {
    struct stat info;
    if (lstat(path, &info) != 0)
        return errno == ENOENT ? BASIN_OK : basin__fail_errno(context, "remove", path, errno);
    if (!S_ISDIR(info.st_mode))
        return unlink(path) == 0 ? BASIN_OK : basin__fail_errno(context, "remove", path, errno);
    BASIN_TRY(remove_content(context, path));
    return rmdir(path) == 0 ? BASIN_OK : basin__fail_errno(context, "remove", path, errno);
}
