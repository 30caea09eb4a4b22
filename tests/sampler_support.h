/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samplers on mixtures of Gaussians. Statistics of n independent chains are allowed 5 standard
 * errors, which is a false alarm for one in 1.7 million seeds a bound; the seeds are fixed.
 */
#ifndef BASIN_TESTS_SAMPLER_SUPPORT_H
#define BASIN_TESTS_SAMPLER_SUPPORT_H

#include "mixture.h"
#include "sampler/levels.h"
#include <basin/sample.h>

typedef struct job {
    const char *sampler, *settings;
    int threads; /* 0: 2 */
    bool is_started;
    int label; /* −1: none */
} job;

static inline basin_status sample(mixture *of, const job *what, int64_t n, float *x) {
    basin_context *context = make_context(what->threads > 0 ? what->threads : 2);
    basin_energy *energy = mixture_make(context, of);
    if (!of->is_plain)
        assert_int_equal(basin__energy_set_condition(energy, 1, what->label), BASIN_OK);
    basin_sample_options options;
    basin_sample_options_init(&options);
    options.sampler = what->sampler;
    options.settings = what->settings;
    options.seed = 5;
    options.is_started = what->is_started;
    basin_status status = basin_sample(energy, &options, n, x, NULL);
    basin_energy_destroy(energy);
    basin_context_destroy(context);
    return status;
}

static inline mixture gaussian(int size) {
    return (mixture){.size = size, .count = 1, .weight = {1}, .mean = {0.5}, .std = {0.7}};
}

#endif
