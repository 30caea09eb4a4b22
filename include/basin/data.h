/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data sets: images or points with optional labels, read from files or made
 * from a seed.
 *
 * A data set is named by a specification "name[:split]":
 *   mnist, fashion-mnist, cifar10, cifar100   files found under the data folder
 *   a path to an IDX, CIFAR binary, .npy file (plain or .gz), or to a folder (tree) of PNGs
 *   strokes, shapes                           built-in images, made from a seed
 *   two-moons, eight-gaussians, …             built-in points
 *   with-wrecks:<set>[:split]                 an image set's examples and, after every three of
 *                                             them, an image of none of its classes, labelled as
 *                                             one class more, "none of these"
 *   wreck-<kind>:<set>[:split]                such images of one kind alone, as many as examples
 * Splits: "train" (all training examples but the last 10,000, where a set has more than 20,000;
 * else all but the last tenth), "valid" (those held out), "test", "all-train" (train and valid).
 * Without a split, training verbs take "train" and the others "test". A path has no test examples
 * of its own (but for a folder with "train" and "test" in it): there "test" by default is all of
 * it, and asked for by name is an error. PNGs of several classes are ordered so that every stretch
 * of the set holds the classes in their proportions.
 */
#ifndef BASIN_DATA_H
#define BASIN_DATA_H

#include <basin/context.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct basin_data basin_data;

typedef struct basin_data_info {
    const char *name;            /**< the specification as resolved, "mnist:train" */
    int64_t count;               /**< examples; built-in sets: what was asked for */
    int height, width, channels; /**< points of D dimensions: 1, 1, D */
    bool is_image;
    float low, high; /**< range of the values given out, which floats may overshoot by a tenth;
                          points: a box that holds them */
    int class_count; /**< 0: no labels */
    const char *const *class_names; /**< class_count names, or NULL */
    const char *source;             /**< the files read, or how the examples are made */
} basin_data_info;

typedef struct basin_data_options {
    size_t size;        /**< set by init */
    const char *folder; /**< data folder; NULL: BASIN_DATA */
    const char *split;  /**< used where the specification names none; NULL: "test" */
    int64_t count_max;  /**< at most so many examples (the first); 0: all */
    /** Examples in a split of a built-in set; 0: 60000 train, 10000 valid, test. All-train has
     * train's and valid's. */
    int64_t built_in_count;
    uint64_t seed;  /**< of built-in sets and wrecks; splits use disjoint streams */
    int image_size; /**< side of built-in images, 8 to 64; 0: 28 */
    /** A class to leave out, and the only one to take; -1, which init sets: none, all. The count of
     * examples then is of those that are left, and labels stay what they are. */
    int class_without, class_only;
} basin_data_options;

BASIN_API void basin_data_options_init(basin_data_options *options);

/**
 * Open a data set. Images are kept as bytes and given out in [0, 1] (byte / 255).
 *
 * @return BASIN_OK; BASIN_ERROR_IO (missing); BASIN_ERROR_FORMAT (broken file: what, where);
 *         BASIN_ERROR_CONFIG (unknown name: with a suggestion); BASIN_ERROR_MEMORY
 */
BASIN_API BASIN_MUST_CHECK basin_status basin_data_open(basin_context *context,
                                                        const char *specification,
                                                        const basin_data_options *options,
                                                        basin_data **out);
BASIN_API void basin_data_close(basin_data *data);
BASIN_API const basin_data_info *basin_data_describe(const basin_data *data);

/** Copy example `index` to x [height, width, channels]. Thread-safe; index in [0, count). */
BASIN_API void basin_data_get(const basin_data *data, int64_t index, float *x);
/** Label of an example, -1 where there are none. */
BASIN_API int basin_data_label(const basin_data *data, int64_t index);
/**
 * Exact log densities at x [n, dimension] of the examples of a built-in set of points, with
 * Gaussian noise of standard deviation noise_std (0: none) added to each coordinate; −∞ where
 * nothing is. BASIN_ERROR_UNSUPPORTED for other sets, whose density nobody knows;
 * BASIN_ERROR_ARGUMENT for noise below 0, not finite, or above 0 and below 0.01, where the
 * integrals would not be exact.
 */
BASIN_API BASIN_MUST_CHECK basin_status basin_data_log_density(const basin_data *data,
                                                               double noise_std, int64_t n,
                                                               const float *x, double *log_density);
/** SHA-256 of the examples' bytes (or floats) and labels, 64 hexadecimal digits and a zero. */
BASIN_API void basin_data_sha256(const basin_data *data, char text[65]);

/** Wrap the caller's examples, copied: x [count, height, width, channels] f32, labels or NULL. */
BASIN_API BASIN_MUST_CHECK basin_status basin_data_from_memory(basin_context *context,
                                                               const char *name, int64_t count,
                                                               int height, int width, int channels,
                                                               bool is_image, const float *x,
                                                               const int *labels, basin_data **out);

#ifdef __cplusplus
}
#endif
#endif
