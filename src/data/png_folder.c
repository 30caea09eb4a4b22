/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PNG images: one file, a folder of them, or a tree whose sub-folders are
 * classes (files deeper in belong to the sub-folder at the top). A folder with
 * "train" and "test" in it is a set with test images of its own.
 *
 * Names are sorted, then classes are dealt out in their proportions: image k of
 * n of a class goes to place (k + 1/2) / n. So any stretch of the set, the
 * held-out tail above all, has every class.
 */
#include "base/file.h"
#include "data/set.h"
#include "io/image.h"
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 16

typedef struct entry {
    char *path;
    int label;
    double place;
} entry;

typedef struct listing {
    basin_context *context;
    entry *entries;
    size_t count, room;
    char **classes; /* sub-folders' names */
    size_t class_count;
} listing;

static void free_names(basin_context *context, char **names, size_t count) {
    for (size_t i = 0; i < count; i++)
        basin__free(context, names[i]);
    basin__free(context, names);
}

static void release(listing *l) {
    for (size_t i = 0; i < l->count; i++)
        basin__free(l->context, l->entries[i].path);
    basin__free(l->context, l->entries);
    free_names(l->context, l->classes, l->class_count);
}

/** Take over `path`. */
static basin_status add(listing *l, char *path, int label) {
    if (l->count == l->room) {
        size_t room = l->room ? 2 * l->room : 256;
        entry *grown =
            basin__grow(l->context, l->entries, l->room * sizeof(entry), room * sizeof(entry));
        if (!grown) {
            basin__free(l->context, path);
            return BASIN_ERROR_MEMORY;
        }
        l->entries = grown;
        l->room = room;
    }
    l->entries[l->count++] = (entry){path, label, 0};
    return BASIN_OK;
}

/* ---- finding the files ---- */

static basin_status list_folder(listing *l, const char *folder, int label, int depth);

/** A folder's entry: a PNG is added, a sub-folder listed where `label` is known. */
static basin_status list_entry(listing *l, const char *folder, const char *name, int label,
                               int depth) {
    if (name[0] == '.')
        return BASIN_OK;
    char *path = basin__format(l->context, "%s/%s", folder, name);
    if (!path)
        return BASIN_ERROR_MEMORY;
    bool is_folder = basin__path_is_folder(path);
    if (!is_folder && basin__ends_in(name, ".png"))
        return add(l, path, label);
    basin_status status = BASIN_OK;
    if (is_folder && label >= 0)
        status = list_folder(l, path, label, depth + 1);
    basin__free(l->context, path);
    return status;
}

static basin_status list_folder(listing *l, const char *folder, int label, int depth) {
    char **names;
    size_t count;
    if (depth > DEPTH_MAX)
        return basin__fail(l->context, BASIN_ERROR_FORMAT,
                           "'%s' is more than %d folders deep: a link to a folder above?", folder,
                           DEPTH_MAX);
    BASIN_TRY(basin__folder_list(l->context, folder, &names, &count));
    basin_status status = BASIN_OK;
    for (size_t i = 0; i < count && status == BASIN_OK; i++)
        status = list_entry(l, folder, names[i], label, depth);
    free_names(l->context, names, count);
    return status;
}

/** Sub-folders with PNGs in them are classes, in the order of their names. */
static basin_status list_classes(listing *l, const char *root) {
    char **names;
    size_t count, kept = 0;
    BASIN_TRY(basin__folder_list(l->context, root, &names, &count));
    basin_status status = BASIN_OK;
    for (size_t i = 0; i < count && status == BASIN_OK; i++) {
        char *path = basin__format(l->context, "%s/%s", root, names[i]);
        size_t before = l->count;
        status = path ? BASIN_OK : BASIN_ERROR_MEMORY;
        if (status == BASIN_OK && names[i][0] != '.' && basin__path_is_folder(path))
            status = list_folder(l, path, (int)kept, 1);
        basin__free(l->context, path);
        if (l->count > before) {
            char *name = names[i];
            names[i] = names[kept];
            names[kept++] = name;
        }
    }
    for (size_t i = kept; i < count; i++)
        basin__free(l->context, names[i]);
    l->classes = names;
    l->class_count = kept;
    return status;
}

static int compare_places(const void *a, const void *b) {
    const entry *x = a, *y = b;
    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    return x->label - y->label;
}

static void deal_out(listing *l) {
    for (size_t i = 0; i < l->count;) {
        size_t end = i;
        while (end < l->count && l->entries[end].label == l->entries[i].label)
            end++;
        for (size_t k = i; k < end; k++)
            l->entries[k].place = ((double)(k - i) + 0.5) / (double)(end - i);
        i = end;
    }
    qsort(l->entries, l->count, sizeof(entry), compare_places);
}

static basin_status list_all(listing *l, const char *path) {
    if (!basin__path_is_folder(path)) {
        char *copy = basin__strdup(l->context, path);
        return copy ? add(l, copy, -1) : BASIN_ERROR_MEMORY;
    }
    BASIN_TRY(list_folder(l, path, -1, 0));
    size_t loose = l->count;
    BASIN_TRY(list_classes(l, path));
    if (loose > 0 && l->class_count > 0)
        return basin__fail(l->context, BASIN_ERROR_FORMAT,
                           "'%s' holds both images ('%s') and folders of images ('%s'): expected "
                           "one of them (sub-folders are classes)",
                           path, l->entries[0].path, l->classes[0]);
    if (l->count == 0)
        return basin__fail(l->context, BASIN_ERROR_FORMAT,
                           "'%s' holds no data: expected PNG images, sub-folders of them, MNIST's "
                           "IDX files or CIFAR batches",
                           path);
    if (l->count > 1)
        deal_out(l);
    return BASIN_OK;
}

/* ---- reading them ---- */

static basin_status keep_image(basin_data *data, const entry *first, const entry *e, int64_t at,
                               int64_t count) {
    basin__image image;
    basin_data_info *info = &data->info;
    BASIN_TRY(basin__png_read(data->context, e->path, &image));
    basin_status status = BASIN_OK;
    if (at == 0)
        status = basin__data_allocate(data, count, image.height, image.width, image.channels);
    else if (image.height != info->height || image.width != info->width ||
             image.channels != info->channels)
        status = basin__fail(data->context, BASIN_ERROR_FORMAT,
                             "'%s' is %dx%d with %d channels: expected %dx%d with %d, as '%s' is",
                             e->path, image.width, image.height, image.channels, info->width,
                             info->height, info->channels, first->path);
    if (status == BASIN_OK)
        memcpy(data->bytes + at * data->value_count, image.pixels, (size_t)data->value_count);
    basin__image_reset(data->context, &image);
    return status;
}

static basin_status read_all(basin_data *data, const basin__data_request *request,
                             bool is_test_body, const listing *l) {
    int64_t first, count;
    BASIN_TRY(basin__split_range(data, request, is_test_body, (int64_t)l->count, &first, &count));
    if (l->class_count > 0) {
        BASIN_TRY(
            basin__data_set_classes(data, (const char *const *)l->classes, (int)l->class_count));
        data->labels = basin__alloc_array(data->context, (size_t)count, sizeof(*data->labels));
        if (!data->labels)
            return BASIN_ERROR_MEMORY;
    }
    for (int64_t i = 0; i < count; i++) {
        const entry *e = &l->entries[first + i];
        BASIN_TRY(keep_image(data, &l->entries[first], e, i, count));
        if (data->labels)
            data->labels[i] = e->label;
    }
    return BASIN_OK;
}

static basin_status read_tree(basin_data *data, const basin__data_request *request,
                              bool is_test_body, const char *path) {
    listing l = {.context = data->context};
    basin_status status = list_all(&l, path);
    if (status == BASIN_OK)
        status = read_all(data, request, is_test_body, &l);
    release(&l);
    BASIN_TRY(status);
    return basin__data_add_source(data, path);
}

static basin_status open_png(basin_data *data, const basin__data_request *request) {
    bool is_test = request->split == BASIN__SPLIT_TEST;
    char *train = basin__format(data->context, "%s/train", request->path);
    char *test = basin__format(data->context, "%s/test", request->path);
    basin_status status = BASIN_ERROR_MEMORY;
    if (train && test) {
        bool is_divided = basin__path_is_folder(train) && basin__path_is_folder(test);
        const char *path = !is_divided ? request->path : is_test ? test : train;
        status = read_tree(data, request, is_divided && is_test, path);
    }
    basin__free(data->context, train);
    basin__free(data->context, test);
    return status;
}

static bool accepts(const char *path, bool is_folder) {
    return is_folder || basin__ends_in(path, ".png");
}

const basin__data_def basin__data_png = {
    .name = "png",
    .help = "a PNG image, a folder of them, or a tree: sub-folders are classes",
    .accepts = accepts,
    .open = open_png,
};
