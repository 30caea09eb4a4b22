/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files and folders: limits, broken gzip streams, what an interrupted or
 * failing write leaves behind (the old file, and nothing else), and each
 * allocation failing in turn.
 */
#include "support.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

typedef struct fixture {
    test_heap heap;
    basin_context *context;
    char folder[64];
    char path[128]; /* a name inside the folder */
} fixture;

static int setup(void **state) {
    fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    f->heap.fail_at = -1;
    f->context = test_context(&f->heap, 1);
    test_folder_make(f->folder);
    snprintf(f->path, sizeof(f->path), "%s/file", f->folder);
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

static void write_raw(const char *path, const void *data, size_t bytes) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

static void assert_content(fixture *f, const char *path, const char *wanted) {
    unsigned char *data;
    size_t bytes;
    assert_int_equal(basin__file_read(f->context, path, 1 << 20, &data, &bytes), BASIN_OK);
    assert_int_equal(bytes, strlen(wanted));
    assert_string_equal((const char *)data, wanted);
    basin__free(f->context, data);
}

static void free_names(basin_context *context, char **names, size_t count) {
    for (size_t i = 0; i < count; i++)
        basin__free(context, names[i]);
    basin__free(context, names);
}

static size_t entry_count(fixture *f) {
    char **names;
    size_t count;
    assert_int_equal(basin__folder_list(f->context, f->folder, &names, &count), BASIN_OK);
    free_names(f->context, names, count);
    return count;
}

static void assert_message_has(const fixture *f, const char *part) {
    assert_non_null(strstr(basin_context_error(f->context), part));
}

/* ---- reading ---- */

static void test_read_plain(void **state) {
    fixture *f = *state;
    write_raw(f->path, "hello", 5);
    assert_content(f, f->path, "hello");
    write_raw(f->path, "", 0);
    assert_content(f, f->path, "");
}

static void test_read_limit(void **state) {
    fixture *f = *state;
    unsigned char *data;
    size_t bytes;
    static char content[200000];
    memset(content, 'z', sizeof(content));
    write_raw(f->path, content, sizeof(content));
    assert_int_equal(basin__file_read(f->context, f->path, sizeof(content), &data, &bytes),
                     BASIN_OK);
    assert_int_equal(bytes, sizeof(content));
    assert_memory_equal(data, content, bytes);
    assert_int_equal(data[bytes], 0);
    basin__free(f->context, data);
    assert_int_equal(basin__file_read(f->context, f->path, sizeof(content) - 1, &data, &bytes),
                     BASIN_ERROR_FORMAT);
    assert_null(data);
    assert_int_equal(basin__file_read(f->context, f->path, 0, &data, &bytes), BASIN_ERROR_FORMAT);
}

static void test_read_errors_name_the_path(void **state) {
    fixture *f = *state;
    unsigned char *data;
    size_t bytes;
    assert_int_equal(basin__file_read(f->context, f->path, 100, &data, &bytes), BASIN_ERROR_IO);
    assert_message_has(f, f->path);
    assert_int_equal(basin__file_read(f->context, f->folder, 100, &data, &bytes), BASIN_ERROR_IO);
    assert_message_has(f, f->folder);
}

#define GZIP_CONTENT 300000

static unsigned char gzip_byte(size_t i) { return (unsigned char)(i * i >> 7); }

/** Write `copies` gzip streams of GZIP_CONTENT bytes each; the packed size. */
static size_t write_gzip(const char *path, int copies) {
    static unsigned char content[GZIP_CONTENT];
    for (size_t i = 0; i < sizeof(content); i++)
        content[i] = gzip_byte(i);
    remove(path);
    for (int i = 0; i < copies; i++) {
        gzFile file = gzopen(path, "ab");
        assert_non_null(file);
        assert_int_equal(gzwrite(file, content, sizeof(content)), (int)sizeof(content));
        assert_int_equal(gzclose(file), Z_OK);
    }
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    return (size_t)info.st_size;
}

static void test_read_gzip(void **state) {
    fixture *f = *state;
    for (size_t copies = 1; copies <= 2; copies++) {
        unsigned char *data;
        size_t bytes, wrong = 0;
        write_gzip(f->path, (int)copies);
        assert_int_equal(basin__file_read(f->context, f->path, 1 << 20, &data, &bytes), BASIN_OK);
        assert_int_equal(bytes, GZIP_CONTENT * copies);
        for (size_t i = 0; i < bytes; i++)
            wrong += data[i] != gzip_byte(i % GZIP_CONTENT);
        assert_int_equal(wrong, 0);
        basin__free(f->context, data);
        assert_int_equal(
            basin__file_read(f->context, f->path, GZIP_CONTENT * copies - 1, &data, &bytes),
            BASIN_ERROR_FORMAT);
        assert_message_has(f, "too large");
    }
}

static void test_read_broken_gzip(void **state) {
    fixture *f = *state;
    unsigned char *data;
    size_t bytes, packed_bytes = write_gzip(f->path, 1);
    unsigned char *packed = malloc(packed_bytes);
    FILE *file = fopen(f->path, "rb");
    assert_true(packed && file);
    assert_int_equal(fread(packed, 1, packed_bytes, file), packed_bytes);
    fclose(file);
    for (size_t cut = 2; cut < packed_bytes; cut += packed_bytes / 50 + 1) {
        write_raw(f->path, packed, cut);
        assert_int_equal(basin__file_read(f->context, f->path, 1 << 20, &data, &bytes),
                         BASIN_ERROR_FORMAT);
        assert_message_has(f, "cut short");
    }
    packed[packed_bytes - 6] ^= 1; /* in the checksum */
    write_raw(f->path, packed, packed_bytes);
    assert_int_equal(basin__file_read(f->context, f->path, 1 << 20, &data, &bytes),
                     BASIN_ERROR_FORMAT);
    assert_message_has(f, "at byte");
    free(packed);
}

/* ---- writing ---- */

static void test_write_replaces_at_commit(void **state) {
    fixture *f = *state;
    basin__writer *writer;
    struct stat info;
    write_raw(f->path, "old", 3);
    assert_int_equal(chmod(f->path, 0640), 0);
    assert_int_equal(basin__writer_open(f->context, f->path, &writer), BASIN_OK);
    assert_int_equal(basin__writer_put(writer, "new ", 4), BASIN_OK);
    assert_int_equal(basin__writer_printf(writer, "%.1f", 0.5), BASIN_OK);
    assert_content(f, f->path, "old");
    assert_int_equal(basin__writer_commit(writer), BASIN_OK);
    assert_content(f, f->path, "new 0.5");
    assert_int_equal(stat(f->path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0640);
    assert_int_equal(entry_count(f), 1);
}

static void test_write_abort_leaves_old(void **state) {
    fixture *f = *state;
    basin__writer *writer;
    write_raw(f->path, "old", 3);
    assert_int_equal(basin__writer_open(f->context, f->path, &writer), BASIN_OK);
    assert_int_equal(basin__writer_put(writer, "new", 3), BASIN_OK);
    basin__writer_abort(writer);
    basin__writer_abort(NULL);
    assert_content(f, f->path, "old");
    assert_int_equal(entry_count(f), 1);
}

static void test_write_long_pieces(void **state) {
    fixture *f = *state;
    basin__writer *writer;
    static char piece[100001], wanted[300000];
    size_t total = 0;
    assert_int_equal(basin__writer_open(f->context, f->path, &writer), BASIN_OK);
    for (size_t length = 1; length <= 100000; length = length * 6 + 3) {
        memset(piece, 'a' + (int)(length % 26), length);
        piece[length] = '\0';
        assert_int_equal(basin__writer_printf(writer, "%s", piece), BASIN_OK);
        assert_int_equal(basin__writer_put(writer, piece, length), BASIN_OK);
        for (int i = 0; i < 2; i++, total += length)
            memcpy(wanted + total, piece, length);
    }
    assert_true(total > 100000);
    assert_int_equal(basin__writer_commit(writer), BASIN_OK);
    assert_content(f, f->path, wanted);
}

/** A process-wide limit on file sizes stands for a disk that is full after 100,000 bytes. */
static void test_write_to_full_disk(void **state) {
    fixture *f = *state;
    basin__writer *writer;
    struct rlimit before, tight;
    static const char block[50000] = "x";
    write_raw(f->path, "old", 3);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight = before;
    tight.rlim_cur = 100000;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    basin_status status = basin__writer_open(f->context, f->path, &writer);
    for (int i = 0; i < 5 && status == BASIN_OK; i++)
        status = basin__writer_put(writer, block, sizeof(block));
    basin_status later = basin__writer_put(writer, "", 0);
    basin_status commit = basin__writer_commit(writer);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(status, BASIN_ERROR_IO);
    assert_int_equal(later, BASIN_ERROR_IO);
    assert_int_equal(commit, BASIN_ERROR_IO);
    assert_message_has(f, f->path);
    assert_content(f, f->path, "old");
    assert_int_equal(entry_count(f), 1);
}

static void test_write_to_device(void **state) {
    fixture *f = *state;
    struct stat info;
    assert_int_equal(basin__file_write(f->context, "/dev/null", "x", 1), BASIN_OK);
    assert_int_equal(stat("/dev/null", &info), 0);
    assert_true(S_ISCHR(info.st_mode)); /* not replaced by a file */
    assert_int_equal(basin__file_write(f->context, "/dev/full", "x", 1), BASIN_ERROR_IO);
    assert_message_has(f, "No space left");
}

static void test_write_follows_link(void **state) {
    fixture *f = *state;
    char link_path[160];
    struct stat info;
    snprintf(link_path, sizeof(link_path), "%s-link", f->path);
    write_raw(f->path, "old", 3);
    assert_int_equal(symlink(f->path, link_path), 0);
    assert_int_equal(basin__file_write(f->context, link_path, "new", 3), BASIN_OK);
    assert_int_equal(lstat(link_path, &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_content(f, f->path, "new");
}

static void test_write_errors_name_the_path(void **state) {
    fixture *f = *state;
    char missing[160];
    snprintf(missing, sizeof(missing), "%s/no/such", f->folder);
    assert_int_equal(basin__file_write(f->context, missing, "x", 1), BASIN_ERROR_IO);
    assert_message_has(f, missing);
    assert_int_equal(basin__file_write(f->context, f->folder, "x", 1), BASIN_ERROR_IO);
    assert_message_has(f, f->folder);
}

/* ---- folders ---- */

static void test_folders(void **state) {
    fixture *f = *state;
    char deep[200], name[260], **names;
    size_t count;
    snprintf(deep, sizeof(deep), "%s/a/b/c", f->folder);
    assert_int_equal(basin__folder_create(f->context, deep), BASIN_OK);
    assert_int_equal(basin__folder_create(f->context, deep), BASIN_OK);
    for (int i = 19; i >= 0; i--) {
        snprintf(name, sizeof(name), "%s/%02d", deep, i);
        write_raw(name, "x", 1);
    }
    assert_int_equal(basin__folder_list(f->context, deep, &names, &count), BASIN_OK);
    assert_int_equal(count, 20);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(strtol(names[i], NULL, 10), (long)i);
    free_names(f->context, names, count);
    assert_true(basin__path_is_folder(deep) && !basin__path_is_file(deep));
    assert_true(basin__path_is_file(name) && !basin__path_is_folder(name));
    assert_int_equal(basin__folder_create(f->context, name), BASIN_ERROR_IO);
    snprintf(deep, sizeof(deep), "%s/a", f->folder);
    assert_int_equal(basin__folder_remove(f->context, deep), BASIN_OK);
    assert_int_equal(basin__folder_remove(f->context, deep), BASIN_OK);
    assert_int_equal(entry_count(f), 0);
}

static void test_folder_remove_keeps_what_links_point_to(void **state) {
    fixture *f = *state;
    char inside[200], link_path[200];
    snprintf(inside, sizeof(inside), "%s/victim", f->folder);
    snprintf(link_path, sizeof(link_path), "%s/victim/link", f->folder);
    write_raw(f->path, "kept", 4);
    assert_int_equal(basin__folder_create(f->context, inside), BASIN_OK);
    assert_int_equal(symlink(f->folder, link_path), 0);
    assert_int_equal(basin__folder_remove(f->context, inside), BASIN_OK);
    assert_content(f, f->path, "kept");
}

static void test_rename(void **state) {
    fixture *f = *state;
    char to[160];
    snprintf(to, sizeof(to), "%s-2", f->path);
    write_raw(f->path, "x", 1);
    assert_int_equal(basin__file_rename(f->context, f->path, to), BASIN_OK);
    assert_content(f, to, "x");
    assert_int_equal(basin__file_rename(f->context, f->path, to), BASIN_ERROR_IO);
}

/* ---- failing allocations ---- */

static basin_status read_and_free(basin_context *context, const char *path) {
    unsigned char *data;
    size_t bytes;
    basin_status status = basin__file_read(context, path, 1 << 20, &data, &bytes);
    basin__free(context, data);
    return status;
}

/** Write, read packed and plain, list and remove: all the file code's allocations. */
static basin_status file_work(basin_context *context, const char *folder, const char *packed) {
    char deep[160], path[200], **names;
    size_t count;
    basin__writer *writer;
    snprintf(deep, sizeof(deep), "%s/x/y", folder);
    snprintf(path, sizeof(path), "%s/x/y/z", folder);
    BASIN_TRY(read_and_free(context, packed));
    BASIN_TRY(basin__folder_create(context, deep));
    BASIN_TRY(basin__writer_open(context, path, &writer));
    basin_status status = basin__writer_printf(writer, "%600d", 1);
    if (status != BASIN_OK) {
        basin__writer_abort(writer);
        return status;
    }
    BASIN_TRY(basin__writer_commit(writer));
    BASIN_TRY(read_and_free(context, path));
    BASIN_TRY(basin__folder_list(context, deep, &names, &count));
    free_names(context, names, count);
    snprintf(deep, sizeof(deep), "%s/x", folder);
    return basin__folder_remove(context, deep);
}

static void test_out_of_memory(void **state) {
    fixture *f = *state;
    char packed[160];
    snprintf(packed, sizeof(packed), "%s/packed", f->folder);
    write_gzip(packed, 1);
    for (long k = 0;; k++) {
        test_heap heap = {.fail_at = k};
        basin_context *context = test_context(&heap, 1);
        basin_status status = file_work(context, f->folder, packed);
        assert_int_equal(heap.alive, heap.alive_at_start);
        basin_context_destroy(context);
        if (!heap.has_failed) {
            assert_int_equal(status, BASIN_OK);
            assert_true(k > 10);
            return;
        }
        assert_int_equal(status, BASIN_ERROR_MEMORY);
    }
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_read_plain),
        IN_FOLDER(test_read_limit),
        IN_FOLDER(test_read_errors_name_the_path),
        IN_FOLDER(test_read_gzip),
        IN_FOLDER(test_read_broken_gzip),
        IN_FOLDER(test_write_replaces_at_commit),
        IN_FOLDER(test_write_abort_leaves_old),
        IN_FOLDER(test_write_long_pieces),
        IN_FOLDER(test_write_to_full_disk),
        IN_FOLDER(test_write_to_device),
        IN_FOLDER(test_write_follows_link),
        IN_FOLDER(test_write_errors_name_the_path),
        IN_FOLDER(test_folders),
        IN_FOLDER(test_folder_remove_keeps_what_links_point_to),
        IN_FOLDER(test_rename),
        IN_FOLDER(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
