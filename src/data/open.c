/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a specification "name[:split]" to an open data set.
 *
 * A name on the list comes first, so that a stray folder called "strokes" in
 * the working folder changes nothing ("./strokes" is that folder). Any other
 * text is a path, read by the first format that accepts it. A split is what
 * follows the last colon, so paths may have colons of their own. A set that is
 * made from another has its name and a colon in front of the other's.
 */
#include "base/file.h"
#include "base/number.h"
#include "data/random.h"
#include "data/set.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BASIN__DATA(name) extern const basin__data_def basin__data_##name;
#include "data/data.def"
#undef BASIN__DATA

const basin__data_def *const basin__datas[] = {
#define BASIN__DATA(name) &basin__data_##name,
#include "data/data.def"
#undef BASIN__DATA
};

const int basin__data_count = (int)BASIN_COUNT(basin__datas);

bool basin__data_is_points(const char *specification) {
    const size_t length = strcspn(specification, ":");
    for (int i = 0; i < basin__data_count; i++)
        if (strlen(basin__datas[i]->name) == length &&
            strncmp(basin__datas[i]->name, specification, length) == 0)
            return basin__datas[i]->log_density != NULL;
    return false;
}

const char *const basin__split_names[] = {"train", "valid", "test", "all-train"};

#define TRAIN_COUNT 60000
#define HELD_OUT_COUNT 10000

/** The parts of a specification. */
typedef struct wanted {
    char *name; /* owned */
    basin__split split;
    bool is_split_given;
    const basin__data_def *def;
} wanted;

void basin_data_options_init(basin_data_options *options) {
    memset(options, 0, sizeof(*options));
    options->size = sizeof(*options);
    options->class_without = options->class_only = -1;
}

static basin__split find_split(const char *name) {
    for (int i = 0; i < BASIN__SPLIT_COUNT; i++)
        if (strcmp(basin__split_names[i], name) == 0)
            return (basin__split)i;
    return BASIN__SPLIT_NONE;
}

/* ---- what kinds of sets use ---- */

basin_status basin__split_range(basin_data *data, const basin__data_request *request,
                                bool is_test_body, int64_t total, int64_t *first, int64_t *count) {
    int64_t held_out = total > 2 * HELD_OUT_COUNT ? HELD_OUT_COUNT : total / 10;
    if (held_out == 0 && total > 1)
        held_out = 1;
    if (request->split == BASIN__SPLIT_TEST && !is_test_body) {
        if (request->is_split_given)
            return basin__fail(data->context, BASIN_ERROR_CONFIG,
                               "'%s' has no test examples of its own; use '%s:valid' (those held "
                               "out), ':train' or ':all-train'",
                               request->name, request->name);
        data->split = BASIN__SPLIT_ALL_TRAIN;
    }
    *first = data->split == BASIN__SPLIT_VALID ? total - held_out : 0;
    *count = total;
    if (data->split == BASIN__SPLIT_TRAIN)
        *count = total - held_out;
    if (data->split == BASIN__SPLIT_VALID)
        *count = held_out;
    if (*count == 0)
        return basin__fail(data->context, BASIN_ERROR_CONFIG,
                           "'%s:%s' is empty: of %lld examples the last tenth is held out; use "
                           "'%s:all-train'",
                           request->name, basin__split_names[data->split], (long long)total,
                           request->name);
    if (request->count_max > 0 && *count > request->count_max)
        *count = request->count_max;
    return BASIN_OK;
}

bool basin__ends_in(const char *text, const char *end) {
    size_t a = strlen(text), b = strlen(end);
    return a >= b && strcasecmp(text + a - b, end) == 0;
}

basin_status basin__data_find(basin_context *context, const char *folder, const char *stem,
                              char **path) {
    for (int is_packed = 0; is_packed < 2; is_packed++) {
        *path = basin__format(context, "%s/%s%s", folder, stem, is_packed ? ".gz" : "");
        if (!*path)
            return BASIN_ERROR_MEMORY;
        if (basin__path_is_file(*path))
            return BASIN_OK;
        basin__free(context, *path);
        *path = NULL;
    }
    return BASIN_OK;
}

basin_status basin__data_missing(basin_context *context, const basin__data_request *request,
                                 const char *looked_for) {
    if (request->path)
        return basin__fail(context, BASIN_ERROR_IO, "'%s' lacks files of a data set: looked for %s",
                           request->path, looked_for);
    if (!request->folder)
        return basin__fail(context, BASIN_ERROR_IO,
                           "data set '%s' is read from files and no data folder is known: set "
                           "BASIN_DATA or --data-dir to the folder that holds %s",
                           request->name, looked_for);
    return basin__fail(context, BASIN_ERROR_IO,
                       "data set '%s' was not found in the data folder '%s': looked for %s; set "
                       "BASIN_DATA or --data-dir to the folder that holds them",
                       request->name, request->folder, looked_for);
}

/* ---- names ---- */

static basin_status unknown_name(basin_context *context, const char *name) {
    const char *nearest = NULL;
    size_t best = SIZE_MAX;
    if (strpbrk(name, "/.") != NULL)
        return basin__fail(context, BASIN_ERROR_IO, "cannot open data '%s': no such file or folder",
                           name);
    for (int i = 0; i < basin__data_count; i++) {
        size_t distance = basin__edit_distance(name, basin__datas[i]->name);
        if (!basin__datas[i]->accepts && distance < best) {
            best = distance;
            nearest = basin__datas[i]->name;
        }
    }
    if (basin__is_near(name, best))
        return basin__fail(context, BASIN_ERROR_CONFIG, "unknown data set '%s'; did you mean '%s'?",
                           name, nearest);
    return basin__fail(context, BASIN_ERROR_CONFIG,
                       "unknown data set '%s', and no file or folder of that name; `basin help "
                       "data` lists the sets",
                       name);
}

static basin_status find_def(basin_context *context, wanted *w) {
    for (int i = 0; i < basin__data_count; i++)
        if (!basin__datas[i]->accepts && strcmp(basin__datas[i]->name, w->name) == 0)
            w->def = basin__datas[i];
    if (w->def && w->def->make)
        return basin__fail(context, BASIN_ERROR_CONFIG,
                           "'%s' is made from another set; name it, as in '%s:mnist'", w->name,
                           w->name);
    if (w->def)
        return BASIN_OK;
    bool is_folder = basin__path_is_folder(w->name);
    if (!is_folder && !basin__path_is_file(w->name))
        return unknown_name(context, w->name);
    for (int i = 0; i < basin__data_count && !w->def; i++)
        if (basin__datas[i]->accepts && basin__datas[i]->accepts(w->name, is_folder))
            w->def = basin__datas[i];
    if (!w->def)
        return basin__fail(context, BASIN_ERROR_FORMAT,
                           "'%s' is of no known kind: expected an IDX file, CIFAR batches "
                           "(.bin), .npy, a PNG, or a folder of one of these",
                           w->name);
    return BASIN_OK;
}

static basin_status unknown_split(basin_context *context, const char *split) {
    return basin__fail(context, BASIN_ERROR_CONFIG,
                       "unknown split '%s'; expected train, valid, test or all-train", split);
}

/** Cut ":split" off the name. */
static basin_status take_split(basin_context *context, const basin_data_options *options,
                               wanted *w) {
    char *colon = strrchr(w->name, ':');
    w->split = find_split(options->split ? options->split : "test");
    if (w->split == BASIN__SPLIT_NONE)
        return unknown_split(context, options->split);
    if (!colon || strchr(colon, '/'))
        return BASIN_OK;
    basin__split split = find_split(colon + 1);
    if (split == BASIN__SPLIT_NONE) {
        bool is_path = basin__path_is_file(w->name) || basin__path_is_folder(w->name);
        return is_path ? BASIN_OK : unknown_split(context, colon + 1);
    }
    *colon = 0;
    w->split = split;
    w->is_split_given = true;
    return BASIN_OK;
}

/* ---- opening ---- */

static basin_status open_built_in(basin_data *data, const basin_data_options *options,
                                  basin__split split) {
    static const int64_t counts[] = {TRAIN_COUNT, HELD_OUT_COUNT, HELD_OUT_COUNT, TRAIN_COUNT};
    int64_t n = options->built_in_count;
    if (options->image_size != 0 && (options->image_size < BASIN__BUILT_IN_SIDE_MIN ||
                                     options->image_size > BASIN__BUILT_IN_SIDE_MAX))
        return basin__fail(data->context, BASIN_ERROR_CONFIG,
                           "image size %d is out of range; expected %d to %d", options->image_size,
                           BASIN__BUILT_IN_SIDE_MIN, BASIN__BUILT_IN_SIDE_MAX);
    data->side = options->image_size ? options->image_size : 28;
    data->first_count = n ? n : counts[split];
    data->stream[0] = basin__random_stream(
        options->seed, split == BASIN__SPLIT_ALL_TRAIN ? BASIN__SPLIT_TRAIN : split);
    data->stream[1] = basin__random_stream(options->seed, BASIN__SPLIT_VALID);
    data->info.count = data->first_count;
    if (split == BASIN__SPLIT_ALL_TRAIN)
        data->info.count += n ? n : HELD_OUT_COUNT;
    if (options->count_max > 0 && data->info.count > options->count_max)
        data->info.count = options->count_max;
    data->source =
        basin__format(data->context, "drawn, seed %llu", (unsigned long long)options->seed);
    data->info.source = data->source;
    return data->source ? data->def->describe(data) : BASIN_ERROR_MEMORY;
}

static basin_status open_files(basin_data *data, const basin_data_options *options,
                               const wanted *w) {
    basin__data_request request = {.name = w->name,
                                   .path = data->def->accepts ? w->name : NULL,
                                   .split = w->split,
                                   .is_split_given = w->is_split_given,
                                   .folder = options->folder,
                                   .count_max = options->count_max};
    if (!request.folder)
        request.folder = getenv("BASIN_DATA");
    return data->def->open(data, &request);
}

static basin_status open_set(basin_data *data, const basin_data_options *options, wanted *w) {
    basin_context *context = data->context;
    BASIN_TRY(take_split(context, options, w));
    for (size_t n = strlen(w->name); n > 1 && w->name[n - 1] == '/'; n--)
        w->name[n - 1] = 0;
    BASIN_TRY(find_def(context, w));
    data->def = w->def;
    data->split = w->split;
    BASIN_TRY(w->def->draw ? open_built_in(data, options, w->split) : open_files(data, options, w));
    data->name = basin__format(context, "%s:%s", w->name, basin__split_names[data->split]);
    data->info.name = data->name;
    return data->name ? BASIN_OK : BASIN_ERROR_MEMORY;
}

static basin_status open_plain(basin_context *context, const char *specification,
                               const basin_data_options *options, basin_data **out) {
    wanted w = {.name = basin__strdup(context, specification)};
    basin_data *data = basin__alloc(context, sizeof(*data));
    basin_status status = BASIN_ERROR_MEMORY;
    if (data)
        data->context = context;
    if (data && w.name)
        status = open_set(data, options, &w);
    basin__free(context, w.name);
    if (status != BASIN_OK) {
        basin_data_close(data);
        return status;
    }
    *out = data;
    return BASIN_OK;
}

/* ---- sets made from another ---- */

/**
 * Whether `text` is "<a made set's name>:…"; *def is its kind, *rest the other set. What has such a
 * name's first word and is none ("wreck-hole:mnist") fails.
 */
static basin_status find_made(basin_context *context, const char *text, const basin__data_def **def,
                              const char **rest) {
    const char *colon = strchr(text, ':');
    char name[32];
    *def = NULL;
    if (!colon || (strncmp(text, "with-", 5) != 0 && strncmp(text, "wreck-", 6) != 0))
        return BASIN_OK;
    snprintf(name, sizeof(name), "%.*s", (int)(colon - text < 31 ? colon - text : 31), text);
    for (int i = 0; i < basin__data_count; i++)
        if (basin__datas[i]->make && strcmp(basin__datas[i]->name, name) == 0)
            *def = basin__datas[i];
    *rest = colon + 1;
    if (*def || memchr(text, '/', (size_t)(colon - text))) /* a path may begin so, too */
        return BASIN_OK;
    return unknown_name(context, name);
}

static basin_status make_set(basin_context *context, const basin__data_def *def,
                             const basin_data *inside, const basin_data_options *options,
                             basin_data **out) {
    basin_data *data = basin__alloc(context, sizeof(*data));
    if (!data)
        return BASIN_ERROR_MEMORY;
    data->context = context;
    data->def = def;
    data->split = inside->split;
    data->name = basin__format(context, "%s:%s", def->name, inside->info.name);
    data->info.name = data->name;
    basin_status status = data->name ? def->make(data, inside, options) : BASIN_ERROR_MEMORY;
    if (status != BASIN_OK) {
        basin_data_close(data);
        return status;
    }
    *out = data;
    return BASIN_OK;
}

/** With all classes. */
static basin_status open_whole(basin_context *context, const char *specification,
                               basin_data_options *options, basin_data **out) {
    const basin__data_def *def;
    const char *rest;
    basin_data *inside = NULL;
    BASIN_TRY(find_made(context, specification, &def, &rest));
    if (!def)
        return open_plain(context, specification, options, out);
    /* All of the other set, so that fewer examples are the first of the same ones. */
    int64_t count_max = options->count_max;
    options->count_max = 0;
    basin_status status = open_plain(context, rest, options, &inside);
    options->count_max = count_max;
    if (status == BASIN_OK)
        status = make_set(context, def, inside, options, out);
    basin_data_close(inside);
    return status;
}

basin_status basin_data_open(basin_context *context, const char *specification,
                             const basin_data_options *options, basin_data **out) {
    basin_data_options chosen;
    *out = NULL;
    basin_data_options_init(&chosen);
    if (options)
        chosen = *options;
    if (chosen.size != sizeof(chosen) || chosen.count_max < 0 || chosen.built_in_count < 0)
        return basin__fail(context, BASIN_ERROR_ARGUMENT,
                           "data options: not set by basin_data_options_init, or a negative count");
    if (chosen.class_without < 0 && chosen.class_only < 0)
        return open_whole(context, specification, &chosen, out);
    const int64_t count_max = chosen.count_max;
    chosen.count_max = 0;
    BASIN_TRY(open_whole(context, specification, &chosen, out));
    basin_status status =
        basin__data_keep(*out, chosen.class_without, chosen.class_only, count_max);
    if (status == BASIN_OK)
        return BASIN_OK;
    basin_data_close(*out);
    *out = NULL;
    return status;
}
