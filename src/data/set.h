/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data sets from the inside: what a kind of data set defines, and what an open
 * one holds.
 *
 * A kind is one file and one line in data.def. There are four sorts of it:
 * named sets that are read from files under the data folder (mnist), formats
 * that read a path the user gives (.npy), built-in sets, whose examples are
 * drawn when they are asked for and are never stored, and sets that are made
 * from another set (with-wrecks:mnist).
 */
#ifndef BASIN_DATA_SET_H
#define BASIN_DATA_SET_H

#include "base/context.h"
#include <basin/data.h>

typedef enum basin__split {
    BASIN__SPLIT_NONE = -1,
    BASIN__SPLIT_TRAIN,
    BASIN__SPLIT_VALID,
    BASIN__SPLIT_TEST,
    BASIN__SPLIT_ALL_TRAIN,
    BASIN__SPLIT_COUNT
} basin__split;

/** "train", "valid", "test", "all-train". */
extern const char *const basin__split_names[BASIN__SPLIT_COUNT];

/** What is asked of a kind's `open`. */
typedef struct basin__data_request {
    const char *path; /* a file or folder without a '/' at its end; NULL for named sets */
    const char *name; /* of the set, for messages */
    basin__split split;
    bool is_split_given; /* in the specification; else it is the default */
    const char *folder;  /* the data folder; NULL: not known */
    int64_t count_max;   /* 0: all */
} basin__data_request;

typedef struct basin__data_def {
    const char *name;
    const char *help; /* one line */
    /** Formats: whether this one reads `path`. NULL: the set is asked for by its name. */
    bool (*accepts)(const char *path, bool is_folder);
    /** Sets from files: fill in data->info's shape, range and classes and the examples. */
    basin_status (*open)(basin_data *data, const basin__data_request *request);
    /**
     * Sets made from another, asked for as "<name>:<that set>[:split]": fill in as `open` does,
     * from all of that set's split. Of the options, the other set's are done but for the count.
     */
    basin_status (*make)(basin_data *data, const basin_data *inside,
                         const basin_data_options *options);
    /** Built-in sets: set the shape by basin__data_set_shape, then range and classes. */
    basin_status (*describe)(basin_data *data);
    /** Built-in sets: example `index` of a stream; a pure function of both. @return its label */
    int (*draw)(const basin_data *data, uint64_t stream, int64_t index, float *x);
    /** The label alone, the same as `draw` gives. NULL: there are none. */
    int (*label)(uint64_t stream, int64_t index);
    /** Log density of examples plus Gaussian noise. NULL: not known. */
    double (*log_density)(const float *x, double noise_std);
} basin__data_def;

#define BASIN__BUILT_IN_SIDE_MIN 8
#define BASIN__BUILT_IN_SIDE_MAX 64
#define BASIN__BUILT_IN_VALUES_MAX (BASIN__BUILT_IN_SIDE_MAX * BASIN__BUILT_IN_SIDE_MAX)

struct basin_data {
    basin_context *context;
    const basin__data_def *def; /* NULL: from memory */
    basin_data_info info;
    basin__split split;
    char *name, *source; /* owned, as in info */
    char **class_names;  /* owned, or NULL where info's are static or missing */
    int64_t value_count; /* of an example: height × width × channels */
    /* One of these holds the examples; neither does for built-in sets. */
    unsigned char *bytes;
    float *values;
    int32_t *labels; /* NULL: none */
    int64_t *kept;   /* [info.count]: places of the examples whose class is taken; NULL: all */
    /* Built-in sets. Example i is number i of the first stream, or i - first_count of the second.
     */
    int side;
    int64_t first_count;
    uint64_t stream[2];
};

/** Whether the range of images was told from their values, which may lie a little outside. */
bool basin__data_range_is_guessed(const basin_data *data);

extern const basin__data_def *const basin__datas[];
extern const int basin__data_count;

/** Whether a specification is of built-in points, which its name says before it is opened. */
bool basin__data_is_points(const char *specification);

/**
 * The examples [first, first + count) that the split takes of `total`, cut to request->count_max.
 * A test body is taken whole. A training body that stands alone (a path) has no split "test": as
 * the default it becomes all of it, asked for by name it is BASIN_ERROR_CONFIG, as is a split that
 * holds nothing.
 */
basin_status basin__split_range(basin_data *data, const basin__data_request *request,
                                bool is_test_body, int64_t total, int64_t *first, int64_t *count);

/** Set shape and count in data->info; BASIN_ERROR_FORMAT where they are none or too many. */
basin_status basin__data_set_shape(basin_data *data, int64_t count, int64_t height, int64_t width,
                                   int64_t channels);

/** Set the shape and allocate bytes for images in [0, 1]. */
basin_status basin__data_allocate(basin_data *data, int64_t count, int height, int width,
                                  int channels);

/**
 * Set the range in data->info from float values: images within [0, 1] or [-1, 1], but for a tenth
 * of it beyond, get that range (the second if a value is below -0.5), others their extremes; points
 * get a box a tenth wider on each side. `what` is named where a value is not finite.
 */
basin_status basin__data_set_range(basin_data *data, const char *what, const float *values,
                                   int64_t count);

/**
 * "<folder>/<stem>" or "<folder>/<stem>.gz", whichever is a file (the plain one first); *path is
 * the caller's to basin__free, NULL where there is neither.
 */
basin_status basin__data_find(basin_context *context, const char *folder, const char *stem,
                              char **path);

/** Fail because a set's files are not there; `wanted` says which were looked for. */
basin_status basin__data_missing(basin_context *context, const basin__data_request *request,
                                 const char *wanted);

/** Whether text ends in `end`, any case of letters. */
bool basin__ends_in(const char *text, const char *end);

/**
 * Keep the examples of class `only` (-1: of all classes) and none of class `without` (-1: none), at
 * most count_max (0: all). BASIN_ERROR_CONFIG: there is no such class, or nothing is left.
 */
basin_status basin__data_keep(basin_data *data, int without, int only, int64_t count_max);

/** Add a file's name to data->source, ", " between. */
basin_status basin__data_add_source(basin_data *data, const char *path);

/** Own copies of class names. */
basin_status basin__data_set_classes(basin_data *data, const char *const *names, int count);

#endif
