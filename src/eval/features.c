/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vectors that measures of samples compare.
 *
 * Random convolutions need no training set and favour no model (Naeem et al., "Reliable Fidelity
 * and Diversity Metrics for Generative Models", 2020, use random networks for data unlike photos).
 */
#include "eval/features.h"
#include "eval/score.h"
#include <math.h>
#include <stdio.h>

#define RANDOM_SIDE 8 /* pixels left */
#define RANDOM_SEED 0

basin_status basin__features_of_values(basin_context *context, const basin_data *data,
                                       int64_t count, basin__features *out, float **x) {
    const basin_data_info *info = basin_data_describe(data);
    const int64_t d = (int64_t)info->height * info->width * info->channels;
    *x = basin__alloc_array(context, (size_t)count, (size_t)d * sizeof(float));
    *out = (basin__features){info->name, count, d, *x};
    if (!*x)
        return BASIN_ERROR_MEMORY;
    for (int64_t i = 0; i < count; i++)
        basin_data_get(data, i, *x + i * d);
    return BASIN_OK;
}

static basin_status visit_features(void *user, basin_energy *energy, int64_t done, int64_t n,
                                   const float *x) {
    return basin_energy_features(energy, n, x,
                                 (float *)user + done * basin_energy_feature_count(energy));
}

basin_status basin__features_of_network(basin_energy *energy, const basin_data *data, int64_t count,
                                        basin__features *out, float **x) {
    basin_context *context = energy->context;
    const int64_t d = basin_energy_feature_count(energy);
    *x = NULL;
    if (d == 0)
        return basin__fail(context, BASIN_ERROR_UNSUPPORTED,
                           "the model gives no features: expected a network that ends in a linear "
                           "layer");
    float *features = basin__alloc_array(context, (size_t)count, (size_t)d * sizeof(float));
    basin_status status = features ? BASIN_OK : BASIN_ERROR_MEMORY;
    if (status == BASIN_OK)
        status = basin__score_blocks(energy, data, 0, count, visit_features, features);
    if (status != BASIN_OK) {
        basin__free(context, features);
        return status;
    }
    *x = features;
    *out = (basin__features){basin_data_describe(data)->name, count, d, features};
    return BASIN_OK;
}

basin_status basin__features_random(basin_context *context, basin_shape shape, basin_energy **out) {
    char channels[128] = "32", strides[128] = "1", options[384];
    const int side = shape.height > shape.width ? shape.height : shape.width;
    size_t a = 2, b = 1;
    for (int left = side; left > RANDOM_SIDE && a < sizeof(channels) - 8; left = (left + 1) / 2) {
        a += (size_t)snprintf(channels + a, sizeof(channels) - a, ",64");
        b += (size_t)snprintf(strides + b, sizeof(strides) - b, ",2");
    }
    snprintf(options, sizeof(options),
             "{\"channels\": [%s,8], \"strides\": [%s,1], \"kernels\": [3], \"paddings\": [1], "
             "\"pool\": \"flatten\", \"activation\": \"leaky-relu\"}",
             channels, strides);
    return basin_energy_create(context, "conv", options, shape.height, shape.width, shape.channels,
                               RANDOM_SEED, out);
}

void basin__features_scale(const basin__features *features, double *mean, double *deviation) {
    const int64_t n = features->count, d = features->dimension;
    double variance = 0;
    for (int64_t j = 0; j < d; j++)
        mean[j] = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j++)
            mean[j] += (double)features->x[i * d + j] / (double)n;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j++) {
            const double off = (double)features->x[i * d + j] - mean[j];
            variance += off * off;
        }
    variance /= (double)n * (double)d;
    *deviation = variance > 0 ? sqrt(variance) : 1;
}

void basin__features_rescale(const basin__features *features, float *x, const double *mean,
                             double deviation) {
    const int64_t d = features->dimension;
    for (int64_t i = 0; i < features->count; i++)
        for (int64_t j = 0; j < d; j++)
            x[i * d + j] = (float)(((double)x[i * d + j] - mean[j]) / deviation);
}
