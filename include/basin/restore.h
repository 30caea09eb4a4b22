/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restoration: what an image x was, of which y = A x + noise was seen. The energy is the prior and
 * A, which is linear, the degradation; images come from, or are the likeliest of, the posterior
 *
 *     p(x | y) ∝ exp(−E(x)/T − ‖y − A x‖² / (2 σ²)).
 *
 * All values are in the energy's range (see basin_energy_range()), σ too: noise of standard
 * deviation s on data in [0, 1] is σ = (high − low) s. As A is linear and the change of range is
 * not, y = A(low + (high − low) u) of data u is low A(1) + (high − low) A(u).
 */
#ifndef BASIN_RESTORE_H
#define BASIN_RESTORE_H

#include <basin/energy.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A linear degradation A of images of one shape. */
typedef struct basin_degradation basin_degradation;

/**
 * @param task      "denoise" (A = 1), "inpaint", "super-resolve", "deblur", "colourise": see
 *                  `basin help task`
 * @param settings  JSON object of the task's options ("{\"factor\": 2}"); NULL: defaults
 * @param height, width, channels  of x
 * @return BASIN_OK; BASIN_ERROR_CONFIG (an unknown task or option; one that says nothing, or what
 *         does not fit the shape); BASIN_ERROR_SHAPE (the task does not take such images, or a mask
 *         or factor does not fit); BASIN_ERROR_IO, BASIN_ERROR_FORMAT (of a mask or kernel);
 *         BASIN_ERROR_MEMORY
 */
BASIN_API BASIN_MUST_CHECK basin_status basin_degradation_create(basin_context *context,
                                                                 const char *task,
                                                                 const char *settings, int height,
                                                                 int width, int channels,
                                                                 basin_degradation **out);
BASIN_API void basin_degradation_destroy(basin_degradation *degradation);
/** [height, width, channels] of y. */
BASIN_API void basin_degradation_shape(const basin_degradation *degradation, int shape[3]);

/** y = A x of n images: x [n, shape of x], y [n, shape of y] f32, the caller's, not overlapping. */
BASIN_API void basin_degradation_apply(const basin_degradation *degradation, int64_t n,
                                       const float *x, float *y);
/** x = Aᵀ y, likewise. */
BASIN_API void basin_degradation_adjoint(const basin_degradation *degradation, int64_t n,
                                         const float *y, float *x);
/**
 * y = A x + noise_std · N(0, I), 0 where nothing is seen (hidden pixels): the noise of image i is a
 * function of seed and i alone. BASIN_ERROR_MEMORY: y is unchanged.
 */
BASIN_API BASIN_MUST_CHECK basin_status
basin_degradation_observe(const basin_degradation *degradation, int64_t n, const float *x,
                          double noise_std, uint64_t seed, float *y);
/**
 * x = (AᵀA / σ² + I / ρ²)⁻¹ b of n images, for σ = noise_std > 0 and ρ = prior_std > 0: in closed
 * form, but for deblur, by conjugate gradients until the residual is 1e-6 of b.
 *
 * @param b, x  [n, shape of x]; may be the same memory
 * @return BASIN_OK; BASIN_ERROR_ARGUMENT (σ or ρ); BASIN_ERROR_MEMORY; x is then unchanged
 */
BASIN_API BASIN_MUST_CHECK basin_status
basin_degradation_solve(const basin_degradation *degradation, double noise_std, double prior_std,
                        int64_t n, const float *b, float *x);

typedef struct basin_restore_options {
    size_t size; /**< sizeof(basin_restore_options), set by init */
    /** "map", "mean", "langevin", "anneal": see `basin help method`. NULL: anneal for energies
        that take a noise level, langevin for others. */
    const char *method;
    const char *settings; /**< JSON object of the method's options; NULL: defaults */
    double noise_std;     /**< σ of y, in the energy's range, above 0 */
    /** Posterior samples an image, of methods that draw; init sets 1. Others give one answer. */
    int samples;
    double temperature; /**< T, of methods langevin and map; 0: the energy's own */
    uint64_t seed;
    float *draws;        /**< out, where not NULL: [n, samples, shape of x] */
    float *deviation;    /**< out, where not NULL: [n, shape of x], the standard deviation of each
                              value over the samples; 0 where there is one */
    double *evaluations; /**< out, where not NULL: of ∇ₓE, a sample, in the mean */
    double *acceptance;  /**< out, where not NULL: share of moves accepted, else NaN */
} basin_restore_options;
BASIN_API void basin_restore_options_init(basin_restore_options *options);

/**
 * Restore n images: x is the mean of the posterior samples, or the method's one answer. The same
 * seed gives the same bits for any number of threads.
 *
 * @param y  [n, shape of y], borrowed
 * @param x  [n, shape of x], out
 * @return BASIN_OK; BASIN_ERROR_CONFIG (an unknown method or option; a method that does not suit
 *         the energy, the task or σ; an option or a temperature without effect);
 *         BASIN_ERROR_ARGUMENT (σ, samples, temperature);
 *         BASIN_ERROR_SHAPE (A is of another shape than the energy); BASIN_ERROR_DIVERGED (a
 *         gradient became non-finite); BASIN_ERROR_MEMORY. What is out is then undefined.
 */
BASIN_API BASIN_MUST_CHECK basin_status basin_restore(basin_energy *energy,
                                                      const basin_degradation *degradation,
                                                      const basin_restore_options *options,
                                                      int64_t n, const float *y, float *x);

#ifdef __cplusplus
}
#endif

#endif
