/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sampling: chains that walk an energy.
 */
#ifndef BASIN_SAMPLE_H
#define BASIN_SAMPLE_H

#include <basin/energy.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct basin_sample_options {
    size_t size;         /**< sizeof(basin_sample_options), set by init */
    const char *sampler; /**< NULL: the one the energy was trained with, else "langevin" */
    /** JSON object of sampler options (see `basin help sampler langevin`): what differs from those
        the energy was trained with, or from the defaults; one that others switch off
       (leapfrog-steps without HMC, the ends of no box) is an error. NULL: nothing. */
    const char *settings;
    uint64_t seed;
    bool is_started; /**< x holds the chains' start points; else they are drawn uniformly from the
                          range of the data the energy was trained with, [0, 1] where unknown; or
                          normal, by samplers that start so */
    /** [n] a class for each chain, from 0, -1: none; borrowed. NULL: class_label is all chains'. */
    const int *labels;
    int class_label;    /**< -1: none, which is what init sets */
    double noise_level; /**< of energies that take one, for samplers that walk at one level; 0: the
                             lowest that the energy was trained at */
    /** Out, where not NULL: the share of proposed moves that were accepted, by samplers that may
        reject; else NaN. */
    double *acceptance;
    /** Out, where not NULL: how often ∇ₓE was evaluated for a chain, in the mean over chains. Under
        guidance each counts twice; a chain with steps of its own counts up to its end. */
    double *evaluations;
    /** Called at the start (step 0) and after each step with where the chains are, x [n, height,
        width, channels], borrowed; a status other than BASIN_OK ends the run and is its own. A
        step is one of n-steps or level-steps, else all that is done at a noise level; the last is
        the end of a walk down the levels. Of all samplers but ode's rk45; NULL: not called. The
        samples are the same bits. */
    basin_status (*visit)(void *user, int64_t step, int64_t n, const float *x);
    void *visit_user;
    int64_t visit_count; /**< so many visits, evenly over the steps, first and last included; 0, or
                              more than there are steps: one a step */
    /** Visits see what chains are thought to be without their noise, D(x, σ) = x − σ² ∇ₓE(x, σ),
        for one evaluation each that is not counted; of samplers over noise levels. The last visit
        sees the samples. */
    bool visit_estimates;
} basin_sample_options;

BASIN_API void basin_sample_options_init(basin_sample_options *options);

/**
 * Run n independent chains on all threads. The same seed gives the same bits for any number of
 * threads.
 *
 * @param options      borrowed; NULL: the defaults
 * @param x            [n, height, width, channels] f32: start points in, samples out; the caller's
 * @param temperature  the chains' temperature, out; may be NULL
 * @return BASIN_OK; BASIN_ERROR_CONFIG (an option is unknown or out of range, or the sampler
 * cannot be watched so; x unchanged); BASIN_ERROR_ARGUMENT (the energy takes no
 * class or noise level, or has no such class; x unchanged); BASIN_ERROR_DIVERGED (a gradient became
 * non-finite; x holds what was reached); BASIN_ERROR_MEMORY
 */
BASIN_API BASIN_MUST_CHECK basin_status basin_sample(basin_energy *energy,
                                                     const basin_sample_options *options, int64_t n,
                                                     float *x, basin_temperature *temperature);

#ifdef __cplusplus
}
#endif
#endif
