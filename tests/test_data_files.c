/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data sets from files: each format and layout read back value for value, and
 * each way a file can be broken met with one clear line.
 */
#include "support.h"

#include "data/set.h"
#include "io/image.h"
#include "io/npy.h"
#include <math.h>
#include <zlib.h>

typedef struct fixture {
    test_heap heap;
    basin_context *context;
    char folder[64];
} fixture;

static int setup(void **state) {
    fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    f->heap.fail_at = -1;
    f->context = test_context(&f->heap, 1);
    test_folder_make(f->folder);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    basin_context_destroy(f->context);
    assert_int_equal(f->heap.alive, 0);
    test_folder_remove(f->folder);
    free(f);
    return 0;
}

/** The path of `name` in the folder, its parent folders made; the last four paths stay. */
static const char *path_of(fixture *f, const char *name) {
    static char paths[4][256];
    static int next;
    char *path = paths[next++ % 4], parent[256];
    snprintf(path, 256, "%s/%s", f->folder, name);
    snprintf(parent, sizeof(parent), "%s", path);
    *strrchr(parent, '/') = 0;
    assert_int_equal(basin__folder_create(f->context, parent), BASIN_OK);
    return path;
}

/** Write plain, or packed where the name ends in .gz. */
static void put_file(fixture *f, const char *name, const void *data, size_t bytes) {
    gzFile file = gzopen(path_of(f, name), basin__ends_in(name, ".gz") ? "wb" : "wbT");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, data, (unsigned)bytes), bytes);
    assert_int_equal(gzclose(file), Z_OK);
}

static void open_with(fixture *f, const char *name, int64_t count_max, basin_data **data) {
    basin_data_options options;
    basin_data_options_init(&options);
    options.folder = f->folder;
    options.count_max = count_max;
    *data = NULL;
    if (basin_data_open(f->context, name, &options, data) != BASIN_OK)
        fail_msg("%s: %s", name, basin_context_error(f->context));
}

static basin_data *open_set(fixture *f, const char *name) {
    basin_data *data;
    open_with(f, name, 0, &data);
    return data;
}

static basin_data *open_path(fixture *f, const char *name) { return open_set(f, path_of(f, name)); }

static void assert_fails(fixture *f, const char *name, basin_status wanted, const char *part) {
    basin_data_options options;
    basin_data *data = NULL;
    basin_data_options_init(&options);
    options.folder = f->folder;
    basin_status status = basin_data_open(f->context, name, &options, &data);
    if (status != wanted || !strstr(basin_context_error(f->context), part))
        fail_msg("%s: %s, '%s'; expected %s, '…%s…'", name, basin_status_name(status),
                 basin_context_error(f->context), basin_status_name(wanted), part);
    assert_null(data);
}

static void assert_path_fails(fixture *f, const char *name, basin_status wanted, const char *part) {
    assert_fails(f, path_of(f, name), wanted, part);
}

/* ---- IDX ---- */

enum { ROWS = 3, COLUMNS = 4, AREA = ROWS * COLUMNS };

static unsigned char pixel(int example, int at) { return (unsigned char)(example * 37 + at * 5); }

static void put_u32_big(unsigned char *to, uint32_t value) {
    for (int i = 0; i < 4; i++)
        to[i] = (unsigned char)(value >> (24 - 8 * i));
}

static size_t make_images(unsigned char *file, uint32_t count) {
    put_u32_big(file, 0x803);
    put_u32_big(file + 4, count);
    put_u32_big(file + 8, ROWS);
    put_u32_big(file + 12, COLUMNS);
    for (uint32_t i = 0; i < count * AREA; i++)
        file[16 + i] = pixel((int)i / AREA, (int)i % AREA);
    return 16 + count * AREA;
}

static size_t make_labels(unsigned char *file, uint32_t count) {
    put_u32_big(file, 0x801);
    put_u32_big(file + 4, count);
    for (uint32_t i = 0; i < count; i++)
        file[8 + i] = (unsigned char)(i % 7);
    return 8 + count;
}

/** Write a pair into a folder, packed or not. */
static void put_pair(fixture *f, const char *folder, const char *stem, uint32_t count,
                     const char *ending) {
    unsigned char file[4096];
    char name[128];
    snprintf(name, sizeof(name), "%s/%s-images-idx3-ubyte%s", folder, stem, ending);
    put_file(f, name, file, make_images(file, count));
    snprintf(name, sizeof(name), "%s/%s-labels-idx1-ubyte%s", folder, stem, ending);
    put_file(f, name, file, make_labels(file, count));
}

/** A set holds examples first … first + count - 1 of those that make_images makes. */
static void assert_examples(basin_data *data, int first, int64_t count) {
    float x[AREA];
    const basin_data_info *info = basin_data_describe(data);
    assert_int_equal(info->count, count);
    assert_int_equal(info->height, ROWS);
    assert_int_equal(info->width, COLUMNS);
    assert_int_equal(info->channels, 1);
    assert_true(info->is_image && info->low == 0.0f && info->high == 1.0f);
    for (int i = 0; i < count; i++) {
        basin_data_get(data, i, x);
        for (int k = 0; k < AREA; k++)
            assert_true(x[k] == (float)pixel(first + i, k) / 255.0f);
        if (info->class_count > 0)
            assert_int_equal(basin_data_label(data, i), (first + i) % 7);
        else
            assert_int_equal(basin_data_label(data, i), -1);
    }
    basin_data_close(data);
}

static void test_idx_layouts(void **state) {
    static const char *const layouts[][2] = {{"mnist", "mnist"},
                                             {"mnist", "MNIST/raw"},
                                             {"mnist", "mnist/MNIST/raw"},
                                             {"mnist", "."},
                                             {"fashion-mnist", "fashion-mnist"},
                                             {"fashion-mnist", "FashionMNIST/raw"}};
    fixture *f = *state;
    char name[128];
    for (size_t i = 0; i < 2 * BASIN_COUNT(layouts); i++) {
        const char *set = layouts[i / 2][0], *folder = layouts[i / 2][1];
        put_pair(f, folder, "train", 45, i % 2 ? ".gz" : "");
        put_pair(f, folder, "t10k", 7, i % 2 ? ".gz" : "");
        snprintf(name, sizeof(name), "%s:train", set);
        assert_examples(open_set(f, name), 0, 41); /* a tenth, rounded down, is held out */
        snprintf(name, sizeof(name), "%s:valid", set);
        assert_examples(open_set(f, name), 41, 4);
        snprintf(name, sizeof(name), "%s:all-train", set);
        assert_examples(open_set(f, name), 0, 45);
        assert_examples(open_set(f, set), 0, 7);
        test_folder_remove(f->folder);
    }
}

static void test_idx_paths(void **state) {
    fixture *f = *state;
    basin_data *data;
    put_pair(f, "a:b", "train", 45, ".gz");
    assert_examples(open_path(f, "a:b/train-images-idx3-ubyte.gz"), 0, 45);
    assert_examples(open_path(f, "a:b/train-images-idx3-ubyte.gz:valid"), 41, 4);
    assert_examples(open_path(f, "a:b:train"), 0, 41);
    assert_examples(open_path(f, "a:b/:all-train"), 0, 45);
    assert_path_fails(f, "a:b", BASIN_ERROR_IO, "t10k-images-idx3-ubyte");
    assert_path_fails(f, "a:b/train-images-idx3-ubyte.gz:test", BASIN_ERROR_CONFIG,
                      "no test examples of its own");
    assert_path_fails(f, "a:b/train-labels-idx1-ubyte.gz", BASIN_ERROR_FORMAT, "holds labels");
    open_with(f, path_of(f, "a:b:train"), 5, &data);
    assert_examples(data, 0, 5);
    /* Images that say nothing of labels are a set without them. */
    unsigned char file[4096];
    put_file(f, "pictures.idx", file, make_images(file, 9));
    data = open_path(f, "pictures.idx");
    assert_int_equal(basin_data_describe(data)->class_count, 0);
    assert_examples(data, 0, 9);
}

/* A folder named after the other set is not that one's flat layout. */
static void test_idx_flat_names(void **state) {
    fixture *f = *state;
    basin_data_options options;
    basin_data *data;
    put_pair(f, "my-fashion", "t10k", 7, "");
    basin_data_options_init(&options);
    options.folder = path_of(f, "my-fashion");
    assert_int_equal(basin_data_open(f->context, "mnist", &options, &data), BASIN_ERROR_IO);
    assert_int_equal(basin_data_open(f->context, "fashion-mnist", &options, &data), BASIN_OK);
    assert_examples(data, 0, 7);
}

static void test_idx_broken_headers(void **state) {
    fixture *f = *state;
    unsigned char file[4096];
    size_t bytes = make_images(file, 20);
    put_file(f, "empty", file, 0);
    assert_path_fails(f, "empty", BASIN_ERROR_FORMAT, "cut short");
    put_file(f, "short-header", file, 10);
    assert_path_fails(f, "short-header", BASIN_ERROR_FORMAT, "expected at least 16");
    put_file(f, "short.gz", file, bytes - 1);
    assert_path_fails(f, "short.gz", BASIN_ERROR_FORMAT, "expected at least 256");
    put_file(f, "short", file, bytes - 1);
    assert_path_fails(f, "short", BASIN_ERROR_FORMAT, "the file of 255 bytes");
    put_file(f, "long", file, bytes + 1);
    assert_path_fails(f, "long", BASIN_ERROR_FORMAT, "found more at byte 256");
    put_file(f, "long.gz", file, bytes + 1);
    assert_path_fails(f, "long.gz", BASIN_ERROR_FORMAT, "found more at byte 256");
    file[3] = 4;
    put_file(f, "magic", file, bytes);
    assert_path_fails(f, "magic", BASIN_ERROR_FORMAT, "found 0x00000804");
    file[3] = 3;
    put_u32_big(file + 4, 0);
    put_file(f, "none", file, 16);
    assert_path_fails(f, "none", BASIN_ERROR_FORMAT, "byte 4: expected a size");
    put_u32_big(file + 4, 20);
    put_u32_big(file + 12, 1 << 16);
    put_file(f, "wide", file, bytes);
    assert_path_fails(f, "wide", BASIN_ERROR_FORMAT, "byte 12: expected a size");
}

/* Sizes whose product passes 2^32, 2^63 or what any such file could unpack to. */
static void test_idx_lying_counts(void **state) {
    fixture *f = *state;
    unsigned char file[4096];
    size_t bytes = make_images(file, 20);
    static const uint32_t sizes[][3] = {
        {UINT32_MAX, 65535, 65535}, {0x80000000u, 2, 1}, {0x10000000u, 4, 4}, {100000, 28, 28}};
    for (size_t i = 0; i < BASIN_COUNT(sizes); i++) {
        for (size_t k = 0; k < 3; k++)
            put_u32_big(file + 4 + 4 * k, sizes[i][k]);
        put_file(f, "lying", file, bytes);
        assert_path_fails(f, "lying", BASIN_ERROR_FORMAT, "the header promises");
        put_file(f, "lying.gz", file, bytes);
        assert_path_fails(f, "lying.gz", BASIN_ERROR_FORMAT, "the header promises");
    }
}

static void test_idx_pairs(void **state) {
    fixture *f = *state;
    unsigned char file[4096];
    put_pair(f, "mnist", "t10k", 7, "");
    put_file(f, "mnist/t10k-labels-idx1-ubyte", file, make_labels(file, 6));
    assert_fails(f, "mnist", BASIN_ERROR_FORMAT, "expected 7 labels");
    make_labels(file, 7);
    file[8 + 3] = 10;
    put_file(f, "mnist/t10k-labels-idx1-ubyte", file, 15);
    assert_fails(f, "mnist", BASIN_ERROR_FORMAT, "byte 11: expected a label from 0 to 9, found 10");
    put_file(f, "mnist/t10k-labels-idx1-ubyte", file, make_labels(file, 7) - 1);
    assert_fails(f, "mnist", BASIN_ERROR_FORMAT, "the header promises");
    put_file(f, "mnist/t10k-labels-idx1-ubyte", file, make_labels(file, 7) + 1);
    assert_fails(f, "mnist", BASIN_ERROR_FORMAT, "found more at byte 15");
    assert_int_equal(remove(path_of(f, "mnist/t10k-labels-idx1-ubyte")), 0);
    assert_fails(f, "mnist", BASIN_ERROR_FORMAT, "not its labels");
    put_file(f, "mnist/t10k-labels-idx1-ubyte", file, make_labels(file, 7));
    assert_int_equal(remove(path_of(f, "mnist/t10k-images-idx3-ubyte")), 0);
    assert_fails(f, "mnist", BASIN_ERROR_FORMAT, "not its images");
}

/* Every length of a packed file but the whole one is refused. */
static void test_gzip_cut_short(void **state) {
    fixture *f = *state;
    unsigned char file[4096], packed[4096];
    put_file(f, "whole.gz", file, make_images(file, 20));
    FILE *in = fopen(path_of(f, "whole.gz"), "rb");
    assert_non_null(in);
    size_t bytes = fread(packed, 1, sizeof(packed), in);
    fclose(in);
    for (size_t length = 0; length < bytes; length++) {
        FILE *out = fopen(path_of(f, "cut.gz"), "wb");
        assert_non_null(out);
        assert_int_equal(fwrite(packed, 1, length, out), length);
        fclose(out);
        assert_path_fails(f, "cut.gz", BASIN_ERROR_FORMAT, "cut.gz");
    }
    packed[bytes / 2] ^= 0x55;
    FILE *out = fopen(path_of(f, "cut.gz"), "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(packed, 1, bytes, out), bytes);
    fclose(out);
    assert_path_fails(f, "cut.gz", BASIN_ERROR_FORMAT, "cut.gz");
}

/* ---- CIFAR ---- */

static unsigned char colour(int example, int channel, int at) {
    return (unsigned char)(example * 11 + channel * 71 + at * 3);
}

/** `count` records from number `first` on. */
static void put_batch(fixture *f, const char *name, int first, int count, int label_bytes,
                      int excess) {
    size_t record = (size_t)(3072 + label_bytes);
    unsigned char *file = calloc((size_t)count + 1, record);
    assert_non_null(file);
    for (int i = 0; i < count; i++) {
        unsigned char *at = file + (size_t)i * record;
        at[0] = 3;
        at[label_bytes - 1] = (unsigned char)((first + i) % 10);
        for (int k = 0; k < 3072; k++)
            at[label_bytes + k] = colour(first + i, k / 1024, k % 1024);
    }
    put_file(f, name, file, (size_t)((long)((size_t)count * record) + excess));
    free(file);
}

static void assert_records(basin_data *data, int first, int64_t count, int class_count) {
    static float x[3072];
    const basin_data_info *info = basin_data_describe(data);
    assert_int_equal(info->count, count);
    assert_int_equal(info->height, 32);
    assert_int_equal(info->channels, 3);
    assert_int_equal(info->class_count, class_count);
    for (int i = 0; i < count; i++) {
        basin_data_get(data, i, x);
        for (int k = 0; k < 3072; k++)
            assert_true(x[k] == (float)colour(first + i, k % 3, k / 3) / 255.0f);
        assert_int_equal(basin_data_label(data, i), (first + i) % 10);
    }
    basin_data_close(data);
}

static void test_cifar_layouts(void **state) {
    static const char *const folders[] = {"cifar-10-batches-bin", "cifar10",
                                          "cifar10/cifar-10-batches-bin", "."};
    fixture *f = *state;
    char name[128];
    for (size_t i = 0; i < BASIN_COUNT(folders); i++) {
        snprintf(name, sizeof(name), "%s/data_batch_1.bin", folders[i]);
        put_batch(f, name, 0, 12, 1, 0);
        snprintf(name, sizeof(name), "%s/data_batch_1.bin.gz", folders[i]); /* not read twice */
        put_batch(f, name, 0, 12, 1, 0);
        snprintf(name, sizeof(name), "%s/data_batch_5.bin.gz", folders[i]);
        put_batch(f, name, 12, 8, 1, 0);
        snprintf(name, sizeof(name), "%s/test_batch_first3.bin.gz", folders[i]);
        put_batch(f, name, 40, 3, 1, 0);
        assert_records(open_set(f, "cifar10:all-train"), 0, 20, 10);
        assert_records(open_set(f, "cifar10:train"), 0, 18, 10);
        assert_records(open_set(f, "cifar10:valid"), 18, 2, 10);
        assert_records(open_set(f, "cifar10"), 40, 3, 10);
        assert_records(open_path(f, folders[i]), 40, 3, 10);
        snprintf(name, sizeof(name), "%s/data_batch_5.bin.gz", folders[i]);
        assert_records(open_path(f, name), 12, 8, 10);
        basin_data *data = open_set(f, "cifar10:all-train");
        assert_non_null(strstr(basin_data_describe(data)->source, "data_batch_1.bin, "));
        assert_non_null(strstr(basin_data_describe(data)->source, "data_batch_5.bin.gz"));
        assert_string_equal(basin_data_describe(data)->class_names[9], "truck");
        basin_data_close(data);
        test_folder_remove(f->folder);
    }
}

static void test_cifar100(void **state) {
    fixture *f = *state;
    put_batch(f, "cifar-100-binary/train.bin", 0, 20, 2, 0);
    put_batch(f, "cifar-100-binary/test.bin.gz", 30, 5, 2, 0);
    assert_records(open_set(f, "cifar100:train"), 0, 18, 100);
    assert_records(open_set(f, "cifar100"), 30, 5, 100);
    assert_records(open_path(f, "cifar-100-binary/test.bin.gz"), 30, 5, 100);
    basin_data *data = open_set(f, "cifar100");
    assert_string_equal(basin_data_describe(data)->class_names[0], "apple");
    assert_string_equal(basin_data_describe(data)->class_names[99], "worm");
    basin_data_close(data);
}

static void test_cifar_broken(void **state) {
    static const char *const names[] = {"x.bin", "x.bin.gz"};
    fixture *f = *state;
    for (int i = 0; i < 2; i++) {
        put_batch(f, names[i], 0, 3, 1, -1);
        assert_path_fails(f, names[i], BASIN_ERROR_FORMAT, "expected a multiple of 3073");
        put_batch(f, names[i], 0, 3, 1, 1);
        assert_path_fails(f, names[i], BASIN_ERROR_FORMAT, "found 1 over");
    }
    put_batch(f, "empty.bin", 0, 0, 1, 0);
    assert_path_fails(f, "empty.bin", BASIN_ERROR_FORMAT, "is empty: expected CIFAR records");
    unsigned char record[3073] = {77};
    put_file(f, "label.bin", record, sizeof(record));
    assert_path_fails(f, "label.bin", BASIN_ERROR_FORMAT, "byte 0: expected a label from 0 to 9");
    put_batch(f, "cut.bin.gz", 0, 30, 1, 0);
    unsigned char packed[1 << 16];
    FILE *file = fopen(path_of(f, "cut.bin.gz"), "rb");
    assert_non_null(file);
    size_t bytes = fread(packed, 1, sizeof(packed), file);
    fclose(file);
    /* The trailer still says the right size. */
    memmove(packed + bytes - 40, packed + bytes - 8, 8);
    file = fopen(path_of(f, "cut.bin.gz"), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(packed, 1, bytes - 32, file), bytes - 32);
    fclose(file);
    assert_path_fails(f, "cut.bin.gz", BASIN_ERROR_FORMAT, "cut.bin.gz' is a");
}

/* ---- .npy ---- */

static void test_npy_shapes(void **state) {
    fixture *f = *state;
    float x[24], out[12];
    for (int i = 0; i < 24; i++)
        x[i] = (float)i / 24.0f;
    const int64_t points[] = {12, 2}, grey[] = {2, 3, 4}, colours[] = {2, 2, 2, 3};
    const int64_t planar[] = {2, 3, 2, 2}, flat[] = {24};
    assert_int_equal(basin__npy_write(f->context, path_of(f, "p.npy"), x, 2, points), BASIN_OK);
    basin_data *data = open_path(f, "p.npy:valid");
    const basin_data_info *info = basin_data_describe(data);
    assert_int_equal(info->count, 1);
    assert_int_equal(info->channels, 2);
    assert_false(info->is_image);
    assert_true(info->low < 0 && info->high > 23.0f / 24); /* of the whole file */
    basin_data_get(data, 0, out);
    assert_memory_equal(out, x + 22, 2 * sizeof(float));
    basin_data_close(data);
    assert_int_equal(basin__npy_write(f->context, path_of(f, "g.npy"), x, 3, grey), BASIN_OK);
    data = open_path(f, "g.npy");
    info = basin_data_describe(data);
    assert_true(info->is_image && info->height == 3 && info->width == 4 && info->channels == 1);
    assert_true(info->low == 0.0f && info->high == 1.0f && info->class_count == 0);
    basin_data_get(data, 1, out);
    assert_memory_equal(out, x + 12, sizeof(out));
    basin_data_close(data);
    assert_int_equal(basin__npy_write(f->context, path_of(f, "c.npy"), x, 4, colours), BASIN_OK);
    data = open_path(f, "c.npy");
    assert_int_equal(basin_data_describe(data)->channels, 3);
    basin_data_close(data);
    assert_int_equal(basin__npy_write(f->context, path_of(f, "t.npy"), x, 4, planar), BASIN_OK);
    assert_path_fails(f, "t.npy", BASIN_ERROR_FORMAT, "transpose it from [N, C, H, W]");
    assert_int_equal(basin__npy_write(f->context, path_of(f, "f.npy"), x, 1, flat), BASIN_OK);
    assert_path_fails(f, "f.npy", BASIN_ERROR_FORMAT, "has shape [24]");
    x[5] = NAN;
    assert_int_equal(basin__npy_write(f->context, path_of(f, "n.npy"), x, 3, grey), BASIN_OK);
    assert_path_fails(f, "n.npy", BASIN_ERROR_FORMAT, "n.npy");
    put_file(f, "e.npy", x, 0);
    assert_path_fails(f, "e.npy", BASIN_ERROR_FORMAT, "e.npy");
}

static void test_npy_bytes(void **state) {
    fixture *f = *state;
    unsigned char file[128 + 12];
    memset(file, ' ', sizeof(file));
    memcpy(file, "\x93NUMPY\x01\x00\x76\x00", 10);
    const char *header = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3, 2), }";
    memcpy(file + 10, header, strlen(header));
    file[127] = '\n';
    for (int i = 0; i < 12; i++)
        file[128 + i] = (unsigned char)(20 * i);
    put_file(f, "bytes.npy.gz", file, sizeof(file));
    basin_data *data = open_path(f, "bytes.npy.gz:valid");
    float out[6];
    basin_data_get(data, 0, out);
    for (int i = 0; i < 6; i++)
        assert_true(out[i] == (float)(120 + 20 * i) / 255.0f);
    basin_data_close(data);
}

/* ---- PNG ---- */

static void put_png(fixture *f, const char *name, int height, int channels, int value) {
    basin__image image;
    assert_int_equal(basin__image_init(f->context, &image, height, 4, channels), BASIN_OK);
    memset(image.pixels, value, (size_t)(height * 4 * channels));
    assert_int_equal(basin__png_write(f->context, path_of(f, name), &image), BASIN_OK);
    basin__image_reset(f->context, &image);
}

static int value_of(const basin_data *data, int64_t index) {
    float x[64];
    basin_data_get(data, index, x);
    return (int)lrintf(x[0] * 255.0f);
}

static void test_png_folder(void **state) {
    fixture *f = *state;
    put_png(f, "flat/b.png", 3, 1, 20);
    put_png(f, "flat/a.PNG", 3, 1, 10);
    put_png(f, "flat/c.png", 3, 1, 30);
    put_file(f, "flat/notes.txt", "text", 4);
    basin_data *data = open_path(f, "flat/");
    assert_int_equal(basin_data_describe(data)->count, 3);
    assert_int_equal(basin_data_describe(data)->class_count, 0);
    assert_int_equal(basin_data_label(data, 0), -1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(value_of(data, i), 10 * (i + 1));
    basin_data_close(data);
    data = open_path(f, "flat/b.png");
    assert_int_equal(basin_data_describe(data)->count, 1);
    assert_int_equal(value_of(data, 0), 20);
    basin_data_close(data);
    put_png(f, "flat/d.png", 2, 1, 40);
    assert_path_fails(f, "flat", BASIN_ERROR_FORMAT, "d.png' is 4x2 with 1 channels: expected 4x3");
    put_file(f, "flat/d.png", "", 0);
    assert_path_fails(f, "flat", BASIN_ERROR_FORMAT, "d.png");
}

/* Classes of 10 and 20 images: the held-out tail has both, in proportion. */
static void test_png_tree(void **state) {
    fixture *f = *state;
    char name[64];
    for (int i = 0; i < 30; i++) {
        snprintf(name, sizeof(name), "tree/%s/%02d.png", i < 10 ? "cat" : "dog/young", i);
        put_png(f, name, 2, 3, 8 * i);
    }
    put_file(f, "tree/other/readme", "x", 1);
    basin_data *all = open_path(f, "tree"), *train = open_path(f, "tree:train");
    basin_data *valid = open_path(f, "tree:valid");
    const basin_data_info *info = basin_data_describe(all);
    bool seen[30] = {false};
    int cats = 0;
    assert_int_equal(info->count, 30);
    assert_int_equal(info->class_count, 2);
    assert_string_equal(info->class_names[0], "cat");
    assert_string_equal(info->class_names[1], "dog");
    for (int i = 0; i < 30; i++) {
        const basin_data *from = i < 27 ? train : valid;
        int value = value_of(from, i < 27 ? i : i - 27), label = basin_data_label(all, i);
        assert_int_equal(value, value_of(all, i));
        assert_int_equal(label, value / 8 < 10 ? 0 : 1);
        assert_false(seen[value / 8]);
        seen[value / 8] = true;
        cats += i >= 27 && label == 0;
    }
    assert_int_equal(cats, 1);
    basin_data_close(all);
    basin_data_close(train);
    basin_data_close(valid);
    put_png(f, "tree/loose.png", 2, 3, 0);
    assert_path_fails(f, "tree", BASIN_ERROR_FORMAT, "both images");
    put_file(f, "nothing/readme", "x", 1);
    assert_path_fails(f, "nothing", BASIN_ERROR_FORMAT, "holds no data");
}

static void test_png_divided(void **state) {
    fixture *f = *state;
    put_png(f, "set/train/a/1.png", 2, 1, 1);
    put_png(f, "set/train/a/2.png", 2, 1, 2);
    put_png(f, "set/test/a/3.png", 2, 1, 3);
    basin_data *test = open_path(f, "set:test"), *train = open_path(f, "set:all-train");
    assert_int_equal(basin_data_describe(test)->count, 1);
    assert_int_equal(basin_data_describe(train)->count, 2);
    assert_int_equal(value_of(test, 0), 3);
    basin_data_close(test);
    basin_data_close(train);
}

/* ---- memory ---- */

static void fail_each_allocation(const char *folder, const char *name) {
    for (long k = 0;; k++) {
        test_heap heap = {.fail_at = k};
        basin_context *context = test_context(&heap, 1);
        basin_data_options options;
        basin_data *data = NULL;
        basin_data_options_init(&options);
        options.folder = folder;
        basin_status status = basin_data_open(context, name, &options, &data);
        assert_int_equal(status, heap.has_failed ? BASIN_ERROR_MEMORY : BASIN_OK);
        basin_data_close(data);
        assert_int_equal(heap.alive, heap.alive_at_start);
        basin_context_destroy(context);
        if (!heap.has_failed)
            break;
    }
}

static void test_each_allocation_fails(void **state) {
    fixture *f = *state;
    put_pair(f, "mnist", "train", 20, ".gz");
    put_batch(f, "cifar10/data_batch_1.bin.gz", 0, 11, 1, 0);
    put_png(f, "tree/a/1.png", 2, 1, 1);
    put_png(f, "tree/b/2.png", 2, 1, 2);
    fail_each_allocation(f->folder, "mnist:train");
    fail_each_allocation(f->folder, "cifar10:valid");
    fail_each_allocation(f->folder, "strokes");
    fail_each_allocation(f->folder, path_of(f, "tree"));
    fail_each_allocation(f->folder, path_of(f, "mnist/train-images-idx3-ubyte.gz"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_idx_layouts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_idx_paths, setup, teardown),
        cmocka_unit_test_setup_teardown(test_idx_flat_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_idx_broken_headers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_idx_lying_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_idx_pairs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gzip_cut_short, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cifar_layouts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cifar100, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cifar_broken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_npy_shapes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_npy_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_png_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(test_png_tree, setup, teardown),
        cmocka_unit_test_setup_teardown(test_png_divided, setup, teardown),
        cmocka_unit_test_setup_teardown(test_each_allocation_fails, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
