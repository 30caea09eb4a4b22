/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flow's likelihood: the density of what the probability-flow ODE of a noise-conditional energy
 * makes from normal starts. It is known, and it is not exp(−E)/Z: of a perfect energy they agree.
 */
#ifndef BASIN_LIKELIHOOD_H
#define BASIN_LIKELIHOOD_H

#include <basin/energy.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct basin_likelihood_options {
    size_t size; /**< sizeof(basin_likelihood_options), set by init */
    /** Where the flow starts from normals and where it ends; 0: the highest and the lowest level
        that the energy was trained at. */
    double sigma_max, sigma_min;
    /** The starts are N(prior_mean, sigma_max² + prior_std²) in each element. Samplers draw them
        with prior_std 0, which init sets, around the middle of an image's range and 0 for points,
        which is what a NaN stands for, which init sets as the mean. */
    double prior_mean, prior_std;
    bool is_exact; /**< the trace of the Hessian element by element, for few dimensions; else it is
                        estimated: see repeats */
    int repeats;   /**< runs an example, each with directions and dequantisation of its own; init
                        sets 1 */
    double bin_width; /**< of quantised values: each run adds uniform noise within half of it, and
                           the probability is that of a bin; 0: a density. Images in bytes over a
                           range of [low, high]: (high − low) / 255 */
    double tolerance_absolute, tolerance_relative; /**< error of a step; init sets 1e-5 */
    int64_t evaluations_max;                       /**< of a run; init sets 2000 */
    uint64_t seed;
    const int *labels; /**< [n] a class for each example, -1: none; borrowed; NULL: none */
} basin_likelihood_options;

/** Means over examples, with standard errors: over examples, and NaN where there is but one. */
typedef struct basin_likelihood_summary {
    double log_likelihood, log_likelihood_error; /**< in nats */
    double bits, bits_error; /**< bits per dimension: −log₂ of it / elements */
    double evaluations;      /**< of the energy, a run */
} basin_likelihood_summary;

BASIN_API void basin_likelihood_options_init(basin_likelihood_options *options);

/**
 * The flow's log-likelihood of n examples:
 *
 *     log p(x) = log N(x(σ_max); m, σ_max² + s²) + ∫ tr ∂f/∂x dσ,   f = dx/dσ = σ ∇ₓE(x, σ)
 *
 * along the ODE's solution from x at σ_min up to σ_max, by an adaptive method of order 5. The trace
 * σ tr ∇²E is σ vᵀ(∇²E)v in the mean over v of random signs, which the ODE keeps. Of quantised
 * values it is a lower bound of the log-probability, in the mean.
 *
 * @param x               [n, height, width, channels] f32, in the energy's range; borrowed
 * @param log_likelihood  [n], out: mean over repeats, in nats
 * @param error           [n], out: its standard error over repeats, NaN for one; may be NULL
 * @param summary         out; may be NULL
 * @return BASIN_OK; BASIN_ERROR_CONFIG (the energy takes no noise level); BASIN_ERROR_UNSUPPORTED
 *         (a callback has no Hessian); BASIN_ERROR_ARGUMENT; BASIN_ERROR_DIVERGED (a value became
 *         non-finite, or evaluations_max was reached: what is out is undefined);
 *         BASIN_ERROR_MEMORY. The energy is unchanged.
 *
 * Chen et al. (2018); Grathwohl et al. (2019); Song et al. (2021), eq. 39 and appendix D.2;
 * dequantisation: Theis et al. (2016).
 */
BASIN_API BASIN_MUST_CHECK basin_status basin_likelihood(basin_energy *energy,
                                                         const basin_likelihood_options *options,
                                                         int64_t n, const float *x,
                                                         double *log_likelihood, double *error,
                                                         basin_likelihood_summary *summary);

#ifdef __cplusplus
}
#endif
#endif
