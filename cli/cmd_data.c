/* SPDX-License-Identifier: Apache-2.0 */
/*
 * basin data: what a data set holds, before anything is trained on it.
 */
#include "base/file.h"
#include "cli.h"
#include "io/config.h"
#include "io/image.h"
#include <basin/data.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

typedef struct data_options {
    char *data_dir, *out;
    int64_t sheet, columns, zoom, count, seed, image_size;
    bool json;
} data_options;

#define AT(field) offsetof(data_options, field)

static const basin__option table[] = {
    {"data-dir", BASIN__OPTION_TEXT, AT(data_dir), NULL, 0, 0, NULL, NULL,
     "Folder that holds the named data sets; else BASIN_DATA in the environment"},
    {"out", BASIN__OPTION_TEXT, AT(out), NULL, 0, 0, NULL, NULL,
     "Write a contact sheet of the first images, or the density of points, as a PNG here"},
    {"sheet", BASIN__OPTION_INT, AT(sheet), "100", 1, 10000, NULL, "images",
     "How many images the contact sheet shows"},
    {"columns", BASIN__OPTION_INT, AT(columns), "0", 0, 1000, NULL, NULL,
     "Columns of the contact sheet; 0 makes it square"},
    {"zoom", BASIN__OPTION_INT, AT(zoom), "2", 1, 16, NULL, NULL,
     "Size of an image's pixel on the contact sheet"},
    {"count", BASIN__OPTION_INT, AT(count), "0", 0, 1e9, NULL, "examples",
     "Take only so many; 0 takes all"},
    {"seed", BASIN__OPTION_INT, AT(seed), "0", 0, 9e18, NULL, NULL, "Seed of the built-in sets"},
    {"image-size", BASIN__OPTION_INT, AT(image_size), "28", 8, 64, NULL, "pixels",
     "Side of built-in images"},
    {"json", BASIN__OPTION_FLAG, AT(json), NULL, 0, 0, NULL, NULL, "Print JSON"},
};

/** What one walk over the examples finds. */
typedef struct survey {
    double low, high, sum, sum_of_squares;
    int64_t *class_counts; /* [class_count] */
    int64_t unlabelled;
    char sha256[65];
} survey;

static int64_t example_size(const basin_data_info *info) {
    return (int64_t)info->height * info->width * info->channels;
}

static basin_status take_survey(basin_context *context, const basin_data *data, survey *found) {
    const basin_data_info *info = basin_data_describe(data);
    int64_t size = example_size(info);
    float *x = basin__alloc_array(context, (size_t)size, sizeof(float));
    found->class_counts =
        basin__alloc_array(context, (size_t)info->class_count, sizeof(*found->class_counts));
    found->low = (double)INFINITY;
    found->high = -(double)INFINITY;
    for (int64_t i = 0; i < info->count && x && found->class_counts; i++) {
        basin_data_get(data, i, x);
        for (int64_t k = 0; k < size; k++) {
            double value = (double)x[k];
            found->low = value < found->low ? value : found->low;
            found->high = value > found->high ? value : found->high;
            found->sum += value;
            found->sum_of_squares += value * value;
        }
        int label = basin_data_label(data, i);
        if (label >= 0 && label < info->class_count)
            found->class_counts[label]++;
        else
            found->unlabelled++;
    }
    basin_data_sha256(data, found->sha256);
    basin__free(context, x);
    return x && found->class_counts ? BASIN_OK : BASIN_ERROR_MEMORY;
}

static double mean_of(const survey *found, const basin_data_info *info) {
    return found->sum / ((double)info->count * (double)example_size(info));
}

static double deviation_of(const survey *found, const basin_data_info *info) {
    double mean = mean_of(found, info);
    double values = (double)info->count * (double)example_size(info);
    return sqrt(fmax(found->sum_of_squares / values - mean * mean, 0.0));
}

static void class_name(const basin_data_info *info, int index, char *text, size_t bytes) {
    if (info->class_names)
        snprintf(text, bytes, "%s", info->class_names[index]);
    else
        snprintf(text, bytes, "%d", index);
}

static void print_text(const basin_data_info *info, const survey *found) {
    char name[128];
    printf("name      %s\nexamples  %" PRId64 "\n", info->name, info->count);
    if (info->is_image)
        printf("shape     %dx%dx%d (height, width, channels)\n", info->height, info->width,
               info->channels);
    else
        printf("shape     %d numbers\n", info->channels);
    printf("range     %.6g to %.6g (given out in %.6g to %.6g)\n", found->low, found->high,
           (double)info->low, (double)info->high);
    printf("mean      %.6g, standard deviation %.6g\n", mean_of(found, info),
           deviation_of(found, info));
    printf("sha-256   %s\nclasses   %d\n", found->sha256, info->class_count);
    for (int i = 0; i < info->class_count; i++) {
        class_name(info, i, name, sizeof(name));
        printf("  %-20s %" PRId64 "\n", name, found->class_counts[i]);
    }
    if (info->class_count > 0 && found->unlabelled > 0)
        printf("  %-20s %" PRId64 "\n", "(no label)", found->unlabelled);
}

static basin_status print_json(basin_context *context, const basin_data_info *info,
                               const survey *found) {
    json_t *classes = json_object();
    char name[128];
    for (int i = 0; i < info->class_count; i++) {
        class_name(info, i, name, sizeof(name));
        json_t *key = basin__json_name(name);
        json_object_set_new(classes, json_string_value(key), json_integer(found->class_counts[i]));
        json_decref(key);
    }
    json_t *object = json_pack(
        "{s:o, s:I, s:[i,i,i], s:b, s:f, s:f, s:f, s:f, s:s, s:o}", "name",
        basin__json_name(info->name), "examples", (json_int_t)info->count, "shape", info->height,
        info->width, info->channels, "is_image", (int)info->is_image, "low", found->low, "high",
        found->high, "mean", mean_of(found, info), "standard_deviation", deviation_of(found, info),
        "sha256", found->sha256, "classes", classes);
    if (!object)
        return basin__fail(context, BASIN_ERROR_FORMAT,
                           "the description cannot be written as JSON: a value is not finite or a "
                           "class name is not UTF-8");
    json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(object);
    return BASIN_OK;
}

static basin_status image_sheet(basin_context *context, const basin_data *data,
                                const data_options *options, basin__image *sheet) {
    const basin_data_info *info = basin_data_describe(data);
    int64_t count = info->count < options->sheet ? info->count : options->sheet;
    size_t size = (size_t)example_size(info);
    float *x = basin__alloc_array(context, (size_t)count * size, sizeof(float));
    if (!x)
        return BASIN_ERROR_MEMORY;
    for (int64_t i = 0; i < count; i++)
        basin_data_get(data, i, x + (size_t)i * size);
    basin_status status =
        basin__image_grid(context, sheet, x, count, info->height, info->width, info->channels,
                          info->low, info->high, (int)options->columns, (int)options->zoom);
    basin__free(context, x);
    return status;
}

#define DENSITY_SIDE 256

/** The first two coordinates on a raster over the data's box: brighter where points are denser. */
static basin_status density_sheet(basin_context *context, const basin_data *data,
                                  basin__image *sheet) {
    const basin_data_info *info = basin_data_describe(data);
    int64_t most = 1,
            *counts = basin__alloc_array(context, DENSITY_SIDE * DENSITY_SIDE, sizeof(int64_t));
    float *x = basin__alloc_array(context, (size_t)example_size(info), sizeof(float));
    basin_status status = counts && x ? BASIN_OK : BASIN_ERROR_MEMORY;
    float scale = (float)DENSITY_SIDE / (info->high - info->low);
    for (int64_t i = 0; i < info->count && status == BASIN_OK; i++) {
        basin_data_get(data, i, x);
        float across = (x[0] - info->low) * scale;
        float down = (float)DENSITY_SIDE - (x[info->channels > 1 ? 1 : 0] - info->low) * scale;
        if (!(across >= 0 && across < DENSITY_SIDE && down >= 0 && down < DENSITY_SIDE))
            continue;
        int64_t *cell = &counts[(int)down * DENSITY_SIDE + (int)across];
        most = ++*cell > most ? *cell : most;
    }
    if (status == BASIN_OK)
        status = basin__image_init(context, sheet, DENSITY_SIDE, DENSITY_SIDE, 1);
    for (int i = 0; i < DENSITY_SIDE * DENSITY_SIDE && status == BASIN_OK; i++)
        sheet->pixels[i] = (unsigned char)lround(255.0 * sqrt((double)counts[i] / (double)most));
    basin__free(context, counts);
    basin__free(context, x);
    return status;
}

static basin_status write_sheet(basin_context *context, const basin_data *data,
                                const data_options *options) {
    basin__image sheet = {0};
    basin_status status = basin_data_describe(data)->is_image
                              ? image_sheet(context, data, options, &sheet)
                              : density_sheet(context, data, &sheet);
    if (status == BASIN_OK)
        status = basin__png_write(context, options->out, &sheet);
    basin__image_reset(context, &sheet);
    return status;
}

static basin_status describe(basin_context *context, const basin_data *data,
                             const data_options *options) {
    survey found = {0};
    const basin_data_info *info = basin_data_describe(data);
    basin_status status = take_survey(context, data, &found);
    if (status == BASIN_OK && options->out)
        status = write_sheet(context, data, options);
    if (status == BASIN_OK && options->json)
        status = print_json(context, info, &found);
    else if (status == BASIN_OK)
        print_text(info, &found);
    basin__free(context, found.class_counts);
    return status;
}

static int run(basin__command *command) {
    const data_options *options = command->options;
    basin_data_options how;
    basin_data *data;
    basin_data_options_init(&how);
    how.folder = options->data_dir;
    how.count_max = options->count;
    how.seed = (uint64_t)options->seed;
    how.image_size = (int)options->image_size;
    basin_status status = basin_data_open(command->context, command->arguments[0], &how, &data);
    if (status != BASIN_OK)
        return basin__command_fail(command, status);
    status = describe(command->context, data, options);
    basin_data_close(data);
    return status == BASIN_OK ? BASIN__EXIT_OK : basin__command_fail(command, status);
}

static const char *const outputs[] = {"out", NULL};

static const char *const companions[][2] = {
    {"sheet", "out"}, {"columns", "out"}, {"zoom", "out"}, {NULL}};

static const char *const examples[] = {
    "basin data strokes --out strokes.png",
    "the built-in digits, with a contact sheet",
    "basin data mnist:train --data-dir ~/data",
    "counts, classes and checksum of MNIST's training part",
    NULL,
};

const basin__verb basin__verb_data = {
    .name = "data",
    .help = "describe a data set: counts, shape, range, classes, checksum",
    .about = "DATA is a name (basin help data lists them) with an optional part, as in "
             "mnist:train, or the path of a file or folder. Without a part it is the test part.",
    .positional = "DATA",
    .positional_min = 1,
    .positional_max = 1,
    .options = table,
    .option_count = BASIN_COUNT(table),
    .options_bytes = sizeof(data_options),
    .examples = examples,
    .outputs = outputs,
    .companions = companions,
    .run = run,
};
