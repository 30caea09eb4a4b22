/* SPDX-License-Identifier: Apache-2.0 */
/*
 * basin eval: distances of samples to real examples, and whether they are copies.
 */
#include "eval.h"
#include "eval/features.h"
#include "eval/frechet.h"
#include "eval/neighbours.h"
#include "eval/prdc.h"
#include <math.h>
#include <string.h>

static basin_status load_features(basin__evaluation *all) {
    const basin__model_options none = {0};
    const char *name = all->options->features;
    const basin_data_info *info = all->real.info;
    const basin_shape shape = {1, info->height, info->width, info->channels};
    if (strcmp(name, "pixels") == 0)
        return BASIN_OK;
    if (strcmp(name, "random") == 0)
        return basin__features_random(all->context, shape, &all->network);
    return basin__model_load(all->command, name, &none, NULL, &all->network);
}

/** The first `count` of a set; without the set, none. */
static basin_status read_features(const basin__evaluation *all, const basin__eval_set *of,
                                  int64_t count, basin__features *features, float **x) {
    *features = (basin__features){0};
    *x = NULL;
    if (!of->data)
        return BASIN_OK;
    count = count < of->info->count ? count : of->info->count;
    return all->network ? basin__features_of_network(all->network, of->data, count, features, x)
                        : basin__features_of_values(all->context, of->data, count, features, x);
}

/** A column of the table. */
typedef struct distances {
    double frechet;
    basin__kernel_distance kernel;
    basin__prdc balls;
} distances;

static basin_status measure_pair(const basin__evaluation *all, const basin__features *real,
                                 const basin__features *of, distances *out) {
    *out = (distances){NAN, {NAN, NAN, 0}, {NAN, NAN, NAN, NAN}};
    if (of->count == 0)
        return BASIN_OK;
    if (real->dimension <= BASIN__FRECHET_DIMENSION_MAX)
        BASIN_TRY(basin__frechet_distance(all->context, real, of, &out->frechet));
    BASIN_TRY(basin__kernel_distance_measure(all->context, real, of,
                                             (uint64_t)all->options->choice.seed, &out->kernel));
    return basin__prdc_measure(all->context, real, of, BASIN__PRDC_NEIGHBOURS, &out->balls);
}

static void add_distances(basin__evaluation *all, const distances *samples, const distances *real) {
    basin__eval_add(all, "frechet", "Fréchet distance", samples->frechet, real->frechet);
    basin__eval_row *line = basin__eval_add(all, "kernel_distance", "kernel distance",
                                            samples->kernel.value, real->kernel.value);
    line->samples_error = samples->kernel.error;
    line->real_error = real->kernel.error;
    const basin__prdc *a = &samples->balls, *b = &real->balls;
    basin__eval_add(all, "precision", "precision", a->precision, b->precision);
    basin__eval_add(all, "recall", "recall", a->recall, b->recall);
    basin__eval_add(all, "density", "density", a->density, b->density);
    basin__eval_add(all, "coverage", "coverage", a->coverage, b->coverage);
}

/** Samples against the data, and as many training images against them. */
basin_status basin__eval_distances(basin__evaluation *all) {
    basin__features real, samples, train;
    float *real_x = NULL, *samples_x = NULL, *train_x = NULL;
    distances found[2];
    const int64_t most = all->options->most;
    BASIN_TRY(load_features(all));
    basin_status status = read_features(all, &all->real, most, &real, &real_x);
    if (status == BASIN_OK)
        status = read_features(all, &all->samples, most, &samples, &samples_x);
    if (status == BASIN_OK)
        status = read_features(all, &all->train, samples.count, &train, &train_x);
    double *mean = status == BASIN_OK && all->network
                       ? basin__alloc_array(all->context, (size_t)real.dimension, sizeof(double))
                       : NULL;
    if (status == BASIN_OK && all->network && !mean)
        status = BASIN_ERROR_MEMORY;
    if (status == BASIN_OK && mean) { /* a network's scale means nothing */
        double deviation;
        basin__features_scale(&real, mean, &deviation);
        basin__features_rescale(&real, real_x, mean, deviation);
        basin__features_rescale(&samples, samples_x, mean, deviation);
        basin__features_rescale(&train, train_x, mean, deviation);
    }
    if (status == BASIN_OK)
        status = measure_pair(all, &real, &samples, &found[0]);
    if (status == BASIN_OK)
        status = measure_pair(all, &real, &train, &found[1]);
    if (status == BASIN_OK) {
        all->feature_count = real.dimension;
        add_distances(all, &found[0], &found[1]);
    }
    basin__free(all->context, mean);
    basin__free(all->context, train_x);
    basin__free(all->context, samples_x);
    basin__free(all->context, real_x);
    return status;
}

/** Distances of the first `most` of a set to their nearest training images, new. */
static basin_status find_nearest(const basin__evaluation *all, const basin__eval_set *of,
                                 const basin__features *train, int64_t *count, int64_t **index,
                                 double **distance) {
    basin__features features;
    float *x = NULL;
    *count = of->info->count < all->options->most ? of->info->count : all->options->most;
    *index = basin__alloc_array(all->context, (size_t)*count, sizeof(int64_t));
    *distance = basin__alloc_array(all->context, (size_t)*count, sizeof(double));
    basin_status status = *index && *distance ? BASIN_OK : BASIN_ERROR_MEMORY;
    if (status == BASIN_OK)
        status = basin__features_of_values(all->context, of->data, *count, &features, &x);
    if (status == BASIN_OK)
        status = basin__nearest_find(all->context, &features, train, 1, false, *index, *distance);
    basin__free(all->context, x);
    return status;
}

basin_status basin__eval_copies(basin__evaluation *all) {
    basin__features train;
    float *train_x = NULL;
    int64_t count[2], *index[2] = {NULL, NULL};
    double *distance[2] = {NULL, NULL}, share[2] = {NAN, NAN};
    const basin__eval_set *sets[] = {&all->samples, &all->real};
    basin_status status = basin__features_of_values(all->context, all->train.data,
                                                    all->train.info->count, &train, &train_x);
    for (int i = 0; i < 2 && status == BASIN_OK; i++)
        status = find_nearest(all, sets[i], &train, &count[i], &index[i], &distance[i]);
    for (int i = 0; i < 2 && status == BASIN_OK; i++)
        status = basin__share_below(all->context, count[i], distance[i], count[1], distance[1],
                                    all->options->percentile, &share[i]);
    if (status == BASIN_OK)
        basin__eval_add(all, "near_train", "nearer to train than most data", share[0], share[1]);
    if (status == BASIN_OK && all->options->picture)
        status = basin__neighbours_picture(all->context, all->options->picture, all->samples.data,
                                           all->train.data, count[0], index[0], distance[0]);
    for (int i = 0; i < 2; i++) {
        basin__free(all->context, index[i]);
        basin__free(all->context, distance[i]);
    }
    basin__free(all->context, train_x);
    return status;
}
