/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CIFAR-10 and CIFAR-100, binary version.
 *
 * A file is records and nothing else: one label byte (CIFAR-100: two, coarse
 * and fine; the fine one is used), then 1024 red, 1024 green, 1024 blue bytes.
 * Sets that lack some batches are taken as they are: data->info.source lists
 * what was found. Since no header says how many records there are, packed files
 * are unpacked twice: to be counted, and to be read.
 * Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
 */
#include "base/file.h"
#include "data/set.h"
#include "data/stream.h"
#include <dirent.h>
#include <string.h>

#define SIDE 32
#define AREA (SIDE * SIDE)
#define FILES_MAX 64

typedef struct kind {
    const char *name;
    const char *prefix[2]; /* of training and test files' names */
    const char *folders[3];
    int label_bytes;
    int class_count;
    const char *const *classes;
    const char *looked_for[2];
} kind;

static const char *const classes_10[] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                         "dog",      "frog",       "horse", "ship", "truck"};

/* clang-format off */
static const char *const classes_100[] = {
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle",
    "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle",
    "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup",
    "dinosaur", "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house",
    "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man",
    "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid",
    "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy",
    "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal",
    "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar",
    "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor",
    "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman",
    "worm"};
/* clang-format on */

static const kind kinds[] = {
    {"cifar10",
     {"data_batch_", "test_batch"},
     {"cifar-10-batches-bin", "cifar10", "cifar10/cifar-10-batches-bin"},
     1,
     10,
     classes_10,
     {"data_batch_1.bin to data_batch_5.bin", "test_batch.bin"}},
    {"cifar100",
     {"train.bin", "test.bin"},
     {"cifar-100-binary", "cifar100", "cifar100/cifar-100-binary"},
     2,
     100,
     classes_100,
     {"train.bin", "test.bin"}},
};

/** Files of a set, in order. */
typedef struct batches {
    char *paths[FILES_MAX];
    int64_t counts[FILES_MAX];
    int count;
} batches;

static bool is_batch(const char *name, const char *prefix) {
    return strncmp(name, prefix, strlen(prefix)) == 0 &&
           (basin__ends_in(name, ".bin") || basin__ends_in(name, ".bin.gz"));
}

/** Whether `name` is `before` with .gz added: the same batch, packed. */
static bool is_packed_copy(const char *before, const char *name) {
    size_t n = strlen(before);
    return strncmp(before, name, n) == 0 && strcmp(name + n, ".gz") == 0;
}

static basin_status list_batches(basin_context *context, const char *folder, const char *prefix,
                                 batches *b) {
    char **names;
    size_t count;
    const char *before = "";
    if (!basin__path_is_folder(folder))
        return BASIN_OK;
    BASIN_TRY(basin__folder_list(context, folder, &names, &count));
    basin_status status = BASIN_OK;
    for (size_t i = 0; i < count && status == BASIN_OK; i++) {
        if (!is_batch(names[i], prefix) || is_packed_copy(before, names[i]) ||
            b->count == FILES_MAX)
            continue;
        before = names[i];
        b->paths[b->count] = basin__format(context, "%s/%s", folder, names[i]);
        if (b->paths[b->count])
            b->count++;
        else
            status = BASIN_ERROR_MEMORY;
    }
    for (size_t i = 0; i < count; i++)
        basin__free(context, names[i]);
    basin__free(context, names);
    return status;
}

static void release(basin_context *context, batches *b) {
    for (int i = 0; i < b->count; i++)
        basin__free(context, b->paths[i]);
}

/* ---- reading ---- */

/** Records in a file, by its size. */
static basin_status count_records(basin_context *context, const char *path, int record_bytes,
                                  int64_t *count) {
    basin__stream s;
    uint64_t bytes = 0;
    basin_status status = basin__stream_open(context, path, &s);
    if (status == BASIN_OK)
        status = basin__stream_size(&s, &bytes);
    basin__stream_close(&s);
    BASIN_TRY(status);
    *count = (int64_t)(bytes / (uint64_t)record_bytes);
    if (bytes == 0)
        return basin__fail(context, BASIN_ERROR_FORMAT,
                           "'%s' is empty: expected CIFAR records of %d bytes", path, record_bytes);
    if (bytes % (uint64_t)record_bytes != 0)
        return basin__fail(
            context, BASIN_ERROR_FORMAT,
            "'%s' ends at byte %llu of its content: expected a multiple of %d (CIFAR "
            "records), found %llu over; the file is cut short, too long, or not "
            "CIFAR",
            path, (unsigned long long)bytes, record_bytes,
            (unsigned long long)(bytes % (uint64_t)record_bytes));
    return BASIN_OK;
}

/** One record to place `at` of the set: planes become pixels. */
static void keep(basin_data *data, const kind *k, const unsigned char *record, int64_t at) {
    const unsigned char *planes = record + k->label_bytes;
    unsigned char *to = data->bytes + at * data->value_count;
    data->labels[at] = planes[-1];
    for (int i = 0; i < AREA; i++)
        for (int channel = 0; channel < 3; channel++)
            to[3 * i + channel] = planes[channel * AREA + i];
}

/** Read a file whose first record is number -`skip` of the kept ones. */
static basin_status read_records(basin_data *data, const kind *k, basin__stream *s, int64_t count,
                                 int64_t skip) {
    unsigned char record[3 * AREA + 2];
    size_t bytes = (size_t)(3 * AREA + k->label_bytes);
    for (int64_t i = 0; i < count; i++) {
        uint64_t offset = s->offset;
        BASIN_TRY(basin__stream_exact(s, record, bytes));
        int label = record[k->label_bytes - 1];
        if (label >= k->class_count)
            return basin__fail(data->context, BASIN_ERROR_FORMAT,
                               "'%s' byte %llu: expected a label from 0 to %d, found %d", s->path,
                               (unsigned long long)offset, k->class_count - 1, label);
        int64_t at = i - skip;
        if (at >= 0 && at < data->info.count)
            keep(data, k, record, at);
    }
    return basin__stream_end(s);
}

static basin_status read_file(basin_data *data, const kind *k, const char *path, int64_t count,
                              int64_t skip) {
    basin__stream s;
    if (skip >= count || skip + data->info.count <= 0)
        return BASIN_OK; /* nothing of it is kept */
    basin_status status = basin__stream_open(data->context, path, &s);
    if (status == BASIN_OK)
        status = read_records(data, k, &s, count, skip);
    basin__stream_close(&s);
    BASIN_TRY(status);
    return basin__data_add_source(data, path);
}

static basin_status read_batches(basin_data *data, const kind *k,
                                 const basin__data_request *request, bool is_test_body,
                                 batches *b) {
    int64_t total = 0, first, count;
    for (int i = 0; i < b->count; i++) {
        BASIN_TRY(
            count_records(data->context, b->paths[i], 3 * AREA + k->label_bytes, &b->counts[i]));
        total += b->counts[i];
    }
    BASIN_TRY(basin__split_range(data, request, is_test_body, total, &first, &count));
    BASIN_TRY(basin__data_allocate(data, count, SIDE, SIDE, 3));
    BASIN_TRY(basin__data_set_classes(data, k->classes, k->class_count));
    data->labels = basin__alloc_array(data->context, (size_t)count, sizeof(*data->labels));
    if (!data->labels)
        return BASIN_ERROR_MEMORY;
    for (int i = 0; i < b->count; i++) {
        BASIN_TRY(read_file(data, k, b->paths[i], b->counts[i], first));
        first -= b->counts[i];
    }
    return BASIN_OK;
}

/* ---- named sets ---- */

/** Read a set from a folder; *is_there says whether it has any of its files. */
static basin_status open_folder(basin_data *data, const kind *k, const basin__data_request *request,
                                const char *folder, bool *is_there) {
    batches b = {.count = 0};
    bool is_test = request->split == BASIN__SPLIT_TEST;
    basin_status status = list_batches(data->context, folder, k->prefix[is_test], &b);
    *is_there = b.count > 0;
    if (status == BASIN_OK && *is_there)
        status = read_batches(data, k, request, is_test, &b);
    release(data->context, &b);
    return status;
}

static basin_status open_named(basin_data *data, const basin__data_request *request,
                               const kind *k) {
    bool is_there = false;
    for (int i = 0; request->folder && i < 4; i++) {
        char *folder = i < 3 ? basin__format(data->context, "%s/%s", request->folder, k->folders[i])
                             : basin__strdup(data->context, request->folder);
        basin_status status =
            folder ? open_folder(data, k, request, folder, &is_there) : BASIN_ERROR_MEMORY;
        basin__free(data->context, folder);
        if (status != BASIN_OK || is_there)
            return status;
    }
    char *looked_for =
        basin__format(data->context, "%s (plain or .gz) in %s/, %s/, %s/ or the folder itself",
                      k->looked_for[request->split == BASIN__SPLIT_TEST], k->folders[0],
                      k->folders[1], k->folders[2]);
    basin_status status =
        looked_for ? basin__data_missing(data->context, request, looked_for) : BASIN_ERROR_MEMORY;
    basin__free(data->context, looked_for);
    return status;
}

static basin_status open_cifar10(basin_data *data, const basin__data_request *request) {
    return open_named(data, request, &kinds[0]);
}

static basin_status open_cifar100(basin_data *data, const basin__data_request *request) {
    return open_named(data, request, &kinds[1]);
}

/* ---- paths ---- */

/** The kind whose files a folder holds, or NULL. */
static const kind *kind_of_folder(const char *path) {
    const kind *found = NULL;
    DIR *folder = opendir(path);
    if (!folder)
        return NULL;
    for (struct dirent *entry = readdir(folder); entry && !found; entry = readdir(folder))
        for (size_t i = 0; i < BASIN_COUNT(kinds); i++)
            if (is_batch(entry->d_name, kinds[i].prefix[0]) ||
                is_batch(entry->d_name, kinds[i].prefix[1]))
                found = &kinds[i];
    closedir(folder);
    return found;
}

static bool accepts(const char *path, bool is_folder) {
    if (is_folder)
        return kind_of_folder(path) != NULL;
    return basin__ends_in(path, ".bin") || basin__ends_in(path, ".bin.gz");
}

/** One file: CIFAR-100 where its size is a multiple of such records and not of CIFAR-10's. */
static basin_status open_file(basin_data *data, const basin__data_request *request) {
    basin__stream s;
    uint64_t bytes = 0;
    basin_status status = basin__stream_open(data->context, request->path, &s);
    if (status == BASIN_OK)
        status = basin__stream_size(&s, &bytes);
    basin__stream_close(&s);
    BASIN_TRY(status);
    bool is_100 = bytes % (3 * AREA + 1) != 0 && bytes % (3 * AREA + 2) == 0;
    batches b = {.count = 1};
    b.paths[0] = basin__strdup(data->context, request->path);
    if (!b.paths[0])
        return BASIN_ERROR_MEMORY;
    status = read_batches(data, &kinds[is_100], request, false, &b);
    release(data->context, &b);
    return status;
}

static basin_status open_path(basin_data *data, const basin__data_request *request) {
    bool is_there = false;
    if (!basin__path_is_folder(request->path))
        return open_file(data, request);
    const kind *k = kind_of_folder(request->path);
    if (k)
        BASIN_TRY(open_folder(data, k, request, request->path, &is_there));
    if (is_there)
        return BASIN_OK;
    return basin__data_missing(
        data->context, request,
        (k ? k : &kinds[0])->looked_for[request->split == BASIN__SPLIT_TEST]);
}

const basin__data_def basin__data_cifar10 = {
    .name = "cifar10",
    .help = "small photographs of 10 kinds, 32x32 colour; binary files in the data folder",
    .open = open_cifar10,
};

const basin__data_def basin__data_cifar100 = {
    .name = "cifar100",
    .help = "small photographs of 100 kinds, 32x32 colour; binary files in the data folder",
    .open = open_cifar100,
};

const basin__data_def basin__data_cifar = {
    .name = "cifar",
    .help = "a CIFAR binary file (.bin, plain or .gz) or a folder of them",
    .accepts = accepts,
    .open = open_path,
};
