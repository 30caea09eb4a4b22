/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IDX, the format of MNIST and of sets made like it.
 *
 * A file is big-endian: 0, 0, the element type (8: unsigned byte), the number
 * of dimensions; one 32-bit size for each; the bytes, last index fastest.
 * Images are magic 0x00000803 with sizes N, height, width; labels 0x00000801
 * with size N. Only the examples that a split takes are kept, but every file is
 * read to its end, so that one cut short never passes for a whole one.
 * Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database".
 */
#include "base/file.h"
#include "data/set.h"
#include "data/stream.h"
#include <stdio.h>
#include <string.h>

#define MAGIC_IMAGES 0x00000803u
#define MAGIC_LABELS 0x00000801u
#define SIDE_MAX 65535

typedef struct header {
    uint32_t magic;
    uint32_t size[3]; /* N, height, width; of labels the first alone */
} header;

static uint32_t get_u32_big(const unsigned char *from) {
    return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

static basin_status wrong_magic(basin__stream *s, uint32_t wanted, uint32_t found) {
    if (wanted == MAGIC_IMAGES && found == MAGIC_LABELS)
        return basin__fail(s->context, BASIN_ERROR_FORMAT,
                           "'%s' byte 0: holds labels (magic 0x%08x), expected images (0x%08x); "
                           "give the images file, labels beside it are found",
                           s->path, found, wanted);
    return basin__fail(s->context, BASIN_ERROR_FORMAT,
                       "'%s' byte 0: not an IDX file of %s: expected magic 0x%08x, found 0x%08x "
                       "(other formats are told by their names: .npy, .bin, .png)",
                       s->path, wanted == MAGIC_IMAGES ? "images" : "labels", wanted, found);
}

/** Read the header and hold what it promises against the file. */
static basin_status read_header(basin__stream *s, uint32_t magic, header *h) {
    unsigned char raw[12];
    size_t rank = magic & 255;
    BASIN_TRY(basin__stream_exact(s, raw, 4));
    h->magic = get_u32_big(raw);
    if (h->magic != magic)
        return wrong_magic(s, magic, h->magic);
    BASIN_TRY(basin__stream_exact(s, raw, 4 * rank));
    for (size_t i = 0; i < 3; i++)
        h->size[i] = i < rank ? get_u32_big(raw + 4 * i) : 1;
    for (size_t i = 0; i < rank; i++)
        if (h->size[i] == 0 || (i > 0 && h->size[i] > SIDE_MAX))
            return basin__fail(s->context, BASIN_ERROR_FORMAT,
                               "'%s' byte %zu: expected a size from 1 to %u, found %u", s->path,
                               4 + 4 * i, i > 0 ? SIDE_MAX : UINT32_MAX, h->size[i]);
    /* Fits: sides are below 2^16 and N below 2^32. */
    uint64_t area = (uint64_t)h->size[1] * h->size[2], start = 4 + 4 * rank;
    uint64_t most = basin__stream_bytes_max(s);
    if (area > (most - start) / h->size[0])
        return basin__fail(s->context, BASIN_ERROR_FORMAT,
                           "'%s' byte 4: the header promises %u × %u × %u bytes, more than the "
                           "file of %llu bytes can hold",
                           s->path, h->size[0], h->size[1], h->size[2],
                           (unsigned long long)s->file_bytes);
    return BASIN_OK;
}

static basin_status read_images(basin_data *data, basin__stream *s,
                                const basin__data_request *request, bool is_test_body,
                                int64_t *first, int64_t *total) {
    header h;
    int64_t count;
    BASIN_TRY(read_header(s, MAGIC_IMAGES, &h));
    *total = h.size[0];
    BASIN_TRY(basin__split_range(data, request, is_test_body, *total, first, &count));
    BASIN_TRY(basin__data_allocate(data, count, (int)h.size[1], (int)h.size[2], 1));
    uint64_t area = (uint64_t)data->value_count;
    BASIN_TRY(basin__stream_skip(s, (uint64_t)*first * area));
    BASIN_TRY(basin__stream_exact(s, data->bytes, (size_t)count * area));
    BASIN_TRY(basin__stream_skip(s, (uint64_t)(*total - *first - count) * area));
    return basin__stream_end(s);
}

/** Read all labels, so that the number of classes does not depend on the split. */
static basin_status read_labels(basin_data *data, basin__stream *s, const char *images_path,
                                int64_t first, int64_t total) {
    header h;
    unsigned char chunk[4096];
    int label_max = 0, class_count = data->info.class_count;
    BASIN_TRY(read_header(s, MAGIC_LABELS, &h));
    if (h.size[0] != total)
        return basin__fail(data->context, BASIN_ERROR_FORMAT,
                           "'%s' byte 4: expected %lld labels, as many as images in '%s', found %u",
                           s->path, (long long)total, images_path, h.size[0]);
    data->labels =
        basin__alloc_array(data->context, (size_t)data->info.count, sizeof(*data->labels));
    if (!data->labels)
        return BASIN_ERROR_MEMORY;
    for (int64_t at = 0; at < total;) {
        int64_t part = total - at < 4096 ? total - at : 4096;
        BASIN_TRY(basin__stream_exact(s, chunk, (size_t)part));
        for (int64_t i = 0; i < part; i++) {
            if (class_count > 0 && chunk[i] >= class_count)
                return basin__fail(data->context, BASIN_ERROR_FORMAT,
                                   "'%s' byte %lld: expected a label from 0 to %d, found %d",
                                   s->path, (long long)(8 + at + i), class_count - 1, chunk[i]);
            label_max = chunk[i] > label_max ? chunk[i] : label_max;
            int64_t kept = at + i - first;
            if (kept >= 0 && kept < data->info.count)
                data->labels[kept] = chunk[i];
        }
        at += part;
    }
    if (class_count == 0)
        data->info.class_count = label_max + 1;
    return basin__stream_end(s);
}

/** Read an images file and, where `labels` is not NULL, its labels. */
static basin_status read_pair(basin_data *data, const basin__data_request *request,
                              bool is_test_body, const char *images, const char *labels) {
    basin__stream s;
    int64_t first = 0, total = 0;
    basin_status status = basin__stream_open(data->context, images, &s);
    if (status == BASIN_OK)
        status = read_images(data, &s, request, is_test_body, &first, &total);
    basin__stream_close(&s);
    BASIN_TRY(status);
    BASIN_TRY(basin__data_add_source(data, images));
    if (!labels)
        return BASIN_OK;
    status = basin__stream_open(data->context, labels, &s);
    if (status == BASIN_OK)
        status = read_labels(data, &s, images, first, total);
    basin__stream_close(&s);
    BASIN_TRY(status);
    return basin__data_add_source(data, labels);
}

/* ---- folders: train-images-idx3-ubyte and its three companions ---- */

/** Fail unless `found`; says what it belongs to. */
static basin_status need_beside(basin_context *context, const char *found, const char *folder,
                                const char *what, const char *stem, const char *other) {
    if (found)
        return BASIN_OK;
    return basin__fail(context, BASIN_ERROR_FORMAT,
                       "'%s' holds %s but not %s: expected '%s' or '%s.gz' beside it", folder,
                       other, what, stem, stem);
}

/** Read the pair in a folder; *is_there says whether either file is. */
static basin_status open_folder(basin_data *data, const basin__data_request *request,
                                const char *folder, bool *is_there) {
    basin_context *context = data->context;
    bool is_test = request->split == BASIN__SPLIT_TEST;
    const char *images_stem = is_test ? "t10k-images-idx3-ubyte" : "train-images-idx3-ubyte";
    const char *labels_stem = is_test ? "t10k-labels-idx1-ubyte" : "train-labels-idx1-ubyte";
    char *images = NULL, *labels = NULL;
    basin_status status = basin__data_find(context, folder, images_stem, &images);
    if (status == BASIN_OK)
        status = basin__data_find(context, folder, labels_stem, &labels);
    *is_there = images || labels;
    if (status == BASIN_OK && *is_there)
        status = need_beside(context, images, folder, "its images", images_stem, "labels");
    if (status == BASIN_OK && *is_there)
        status = need_beside(context, labels, folder, "its labels", labels_stem, "images");
    if (status == BASIN_OK && *is_there)
        status = read_pair(data, request, is_test, images, labels);
    basin__free(context, images);
    basin__free(context, labels);
    return status;
}

/**
 * A named set: look in `folders` under the data folder, and in that folder itself, unless its name
 * says that its files (of the same names) are those of the other set.
 */
static basin_status open_named(basin_data *data, const basin__data_request *request,
                               const char *const folders[3], bool is_fashion,
                               const char *const *classes) {
    BASIN_TRY(basin__data_set_classes(data, classes, 10));
    bool is_there = false;
    for (int i = 0; request->folder && i < 4; i++) {
        bool says_fashion = strstr(request->folder, "ashion") != NULL;
        if (i == 3 && says_fashion != is_fashion)
            break;
        char *folder = i < 3 ? basin__format(data->context, "%s/%s", request->folder, folders[i])
                             : basin__strdup(data->context, request->folder);
        basin_status status =
            folder ? open_folder(data, request, folder, &is_there) : BASIN_ERROR_MEMORY;
        basin__free(data->context, folder);
        if (status != BASIN_OK || is_there)
            return status;
    }
    char looked_for[512];
    snprintf(looked_for, sizeof(looked_for),
             "%s-images-idx3-ubyte and its labels (plain or .gz) in %s/, %s/, %s/",
             request->split == BASIN__SPLIT_TEST ? "t10k" : "train", folders[0], folders[1],
             folders[2]);
    return basin__data_missing(data->context, request, looked_for);
}

static basin_status open_mnist(basin_data *data, const basin__data_request *request) {
    static const char *const folders[] = {"mnist", "MNIST/raw", "mnist/MNIST/raw"};
    static const char *const classes[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    return open_named(data, request, folders, false, classes);
}

static basin_status open_fashion_mnist(basin_data *data, const basin__data_request *request) {
    static const char *const folders[] = {"fashion-mnist", "FashionMNIST/raw",
                                          "fashion-mnist/FashionMNIST/raw"};
    static const char *const classes[] = {"T-shirt/top", "Trouser",   "Pullover", "Dress",
                                          "Coat",        "Sandal",    "Shirt",    "Sneaker",
                                          "Bag",         "Ankle boot"};
    return open_named(data, request, folders, true, classes);
}

/* ---- paths ---- */

static bool accepts_idx(const char *path, bool is_folder) {
    static const char *const stems[] = {"train-images", "train-labels", "t10k-images",
                                        "t10k-labels"};
    if (!is_folder)
        return !basin__ends_in(path, ".png");
    for (size_t i = 0; i < 2 * BASIN_COUNT(stems); i++) {
        char file[4096];
        const char *stem = stems[i / 2];
        snprintf(file, sizeof(file), "%s/%s-idx%d-ubyte%s", path, stem, strstr(stem, "im") ? 3 : 1,
                 i % 2 ? ".gz" : "");
        if (basin__path_is_file(file))
            return true;
    }
    return false;
}

/** "…/x-images-idx3-ubyte.gz" to "x-labels-idx1-ubyte" in new memory; NULL: not so named. */
static basin_status labels_stem_of(basin_context *context, const char *images, char **stem) {
    const char *slash = strrchr(images, '/');
    const char *file = slash ? slash + 1 : images, *word = strstr(file, "images");
    *stem = NULL;
    if (!word)
        return BASIN_OK;
    *stem = basin__format(context, "%.*slabels%s", (int)(word - file), file, word + 6);
    if (!*stem)
        return BASIN_ERROR_MEMORY;
    char *rank = strstr(*stem, "labels-idx3"), *end = *stem + strlen(*stem);
    if (rank)
        rank[10] = '1';
    if (basin__ends_in(*stem, ".gz"))
        end[-3] = 0;
    return BASIN_OK;
}

/** An images file, with the labels beside it where there are any. */
static basin_status open_file(basin_data *data, const basin__data_request *request) {
    basin_context *context = data->context;
    const char *slash = strrchr(request->path, '/');
    char *stem, *labels = NULL;
    int folder_length = slash > request->path ? (int)(slash - request->path) : 1;
    char *folder = slash ? basin__format(context, "%.*s", folder_length, request->path)
                         : basin__strdup(context, ".");
    basin_status status =
        folder ? labels_stem_of(context, request->path, &stem) : BASIN_ERROR_MEMORY;
    if (status == BASIN_OK && stem)
        status = basin__data_find(context, folder, stem, &labels);
    if (status == BASIN_OK)
        status = read_pair(data, request, false, request->path, labels);
    if (folder)
        basin__free(context, stem);
    basin__free(context, labels);
    basin__free(context, folder);
    return status;
}

static basin_status open_idx(basin_data *data, const basin__data_request *request) {
    bool is_there = false;
    if (!basin__path_is_folder(request->path))
        return open_file(data, request);
    BASIN_TRY(open_folder(data, request, request->path, &is_there));
    if (is_there)
        return BASIN_OK;
    return basin__data_missing(data->context, request,
                               request->split == BASIN__SPLIT_TEST
                                   ? "t10k-images-idx3-ubyte (plain or .gz)"
                                   : "train-images-idx3-ubyte (plain or .gz)");
}

const basin__data_def basin__data_mnist = {
    .name = "mnist",
    .help = "handwritten digits, 28x28 grey, 60000 and 10000; IDX files in the data folder",
    .open = open_mnist,
};

const basin__data_def basin__data_fashion_mnist = {
    .name = "fashion-mnist",
    .help = "garments, 28x28 grey, 60000 and 10000; IDX files in the data folder",
    .open = open_fashion_mnist,
};

const basin__data_def basin__data_idx = {
    .name = "idx",
    .help = "an IDX images file, plain or .gz, or a folder of MNIST's four files",
    .accepts = accepts_idx,
    .open = open_idx,
};
