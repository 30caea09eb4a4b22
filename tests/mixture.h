/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mixtures of Gaussians with noise, whose energies are known at every level: data from
 * Σ_k w_k N(m_k, diag(s_k²)) have with noise σ n
 *
 *     E(x, σ) = −log Σ_k w_k N(x; m_k, diag(s_k² + σ²)),    E(x, σ | k) = −log N(x; m_k, …)
 *
 * so that exp(−E) is a density, and one component gives Gaussians in closed form.
 */
#ifndef BASIN_TESTS_MIXTURE_H
#define BASIN_TESTS_MIXTURE_H

#include "energy/energy.h"
#include "support.h"
#include <math.h>

enum { MIXTURE_SIZE_MAX = 64, MIXTURE_PARTS_MAX = 3 };

typedef struct mixture {
    int size, count; /* no parts: E = 0 */
    double weight[MIXTURE_PARTS_MAX];
    double mean[MIXTURE_PARTS_MAX]; /* of every coordinate */
    double std[MIXTURE_PARTS_MAX];
    bool is_plain; /* no noise level and no class are taken */
} mixture;

/** −log of part k's density, and where wanted its gradient's factor: dE/dx = factor (x − mean). */
static inline double mixture_part(const mixture *of, const float *x, int k, double sigma,
                                  double *factor) {
    const double variance = of->std[k] * of->std[k] + sigma * sigma;
    double square = 0;
    for (int j = 0; j < of->size; j++)
        square += ((double)x[j] - of->mean[k]) * ((double)x[j] - of->mean[k]);
    *factor = 1 / variance;
    return 0.5 * square / variance + 0.5 * of->size * log(2 * 3.14159265358979323846 * variance);
}

static inline double mixture_energy(const mixture *of, const float *x, double sigma, int label,
                                    float *gradient) {
    if (of->count == 0) {
        for (int j = 0; gradient != NULL && j < of->size; j++)
            gradient[j] = 0;
        return 0;
    }
    double parts[MIXTURE_PARTS_MAX], factor[MIXTURE_PARTS_MAX], least = INFINITY, sum = 0;
    for (int k = 0; k < of->count; k++) {
        parts[k] = mixture_part(of, x, k, sigma, &factor[k]) - log(of->weight[k]);
        if (label == k)
            parts[k] += log(of->weight[k]);
        if (label >= 0 && label < of->count && label != k)
            parts[k] = INFINITY;
        least = fmin(least, parts[k]);
    }
    for (int k = 0; k < of->count; k++)
        sum += exp(least - parts[k]);
    for (int j = 0; gradient != NULL && j < of->size; j++) {
        double slope = 0;
        for (int k = 0; k < of->count; k++)
            slope += exp(least - parts[k]) / sum * factor[k] * ((double)x[j] - of->mean[k]);
        gradient[j] = (float)slope;
    }
    return least - log(sum);
}

static inline void mixture_energies(void *user, int64_t n, const basin__points *points,
                                    double *energies, float *gradient) {
    const mixture *of = user;
    for (int64_t i = 0; i < n; i++)
        energies[i] =
            mixture_energy(of, points->x + i * of->size,
                           points->noise_level != NULL ? (double)points->noise_level[i] : 0.0,
                           points->label != NULL ? (int)points->label[i] : -1,
                           gradient != NULL ? gradient + i * of->size : NULL);
}

static inline basin_context *make_context(int threads) {
    basin_context_options options;
    basin_context_options_init(&options);
    options.thread_count = threads;
    basin_context *context;
    assert_int_equal(basin_context_create(&options, &context), BASIN_OK);
    return context;
}

static inline basin_energy *mixture_make(basin_context *context, mixture *of) {
    basin_energy *energy;
    const basin__condition condition = {.noise_level = !of->is_plain,
                                        .class_count = of->is_plain ? 0 : of->count};
    assert_int_equal(basin__energy_from_points_callback(context, basin_shape_vector(of->size),
                                                        condition, mixture_energies, of, &energy),
                     BASIN_OK);
    return energy;
}

#endif
