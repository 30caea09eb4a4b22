/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths from one example to another that stay where the energy is low.
 */
#ifndef BASIN_PATH_H
#define BASIN_PATH_H

#include <basin/energy.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct basin_path_options {
    size_t size;        /**< sizeof(basin_path_options), set by init */
    int step_count;     /**< of relaxation, at most; init sets 500 */
    double tolerance;   /**< in (0, 1): of both marks of basin_path_report; init sets 0.01 */
    double noise_level; /**< of energies that take one, the level at which they are taken; 0, which
                             init sets: the energy's own */
} basin_path_options;

BASIN_API void basin_path_options_init(basin_path_options *options);

/** How a relaxation ended. */
typedef struct basin_path_report {
    size_t size; /**< sizeof(basin_path_report), set by the caller */
    int steps;   /**< that were taken */
    double force; /**< largest |∇E − (∇E · τ) τ| of an image, as a share of what it was in x */
    double unevenness; /**< largest difference of an image's distances to its neighbours, as a share
                            of their mean */
    bool is_converged; /**< both are within the tolerance */
} basin_path_report;

/**
 * Set the images between the first and the last evenly on the straight line between those two.
 *
 * @param x  [count, height, width, channels] f32; the first and the last in, all others out;
 *           count at least 2
 */
BASIN_API void basin_path_line(const basin_energy *energy, int64_t count, float *x);

/**
 * Relax a chain of images by the nudged elastic band: each but the two ends moves by
 *
 *     h · [−∇E + (∇E · τ) τ]  +  ⅓ (|x[i+1] − x[i]| − |x[i] − x[i−1]|) τ
 *
 * τ being the chain's tangent there. The energy's force acts across the chain and the springs along
 * it, so that at rest the images lie evenly on a path of least energy: whoever leaves it sideways
 * climbs. Each image has a step size h of its own, that grows while its force keeps its direction
 * and is halved where it turns; no image moves by more than a fifth of the straight line's spacing
 * in a step, nor to where energy or gradient are not finite. So the chain stays finite whatever the
 * energy; whether it came to rest the report says.
 *
 * The highest energy of the images bounds that of the best path neither from above (the path is
 * not looked at between images) nor from below (there may be lower ones elsewhere).
 *
 * @param options   borrowed; NULL: the defaults
 * @param count     of images with both ends, at least 3
 * @param x         [count, height, width, channels] f32: a chain in, the relaxed one out; ends are
 *                  not touched
 * @param energies  [count], of the images of x, out
 * @param report    out; may be NULL
 * @return BASIN_OK; BASIN_ERROR_ARGUMENT (fewer than 3 images, equal ends, an option out of range,
 * a noise level for an energy that takes none); BASIN_ERROR_DIVERGED (energy or gradient of an
 *         image of the chain given is not finite); BASIN_ERROR_MEMORY. After an error x is as it
 * was.
 *
 * One call at a time per energy; the same bits for any number of threads. Henkelman & Jónsson
 * (2000), eq. 3-4 and 8-12; the step control is not theirs.
 */
BASIN_API BASIN_MUST_CHECK basin_status basin_path_relax(basin_energy *energy,
                                                         const basin_path_options *options,
                                                         int64_t count, float *x, double *energies,
                                                         basin_path_report *report);

/** The highest of `count` energies over the higher of the two ends: 0 where an end is the highest.
 */
BASIN_API double basin_path_barrier(int64_t count, const double *energies);

#ifdef __cplusplus
}
#endif
#endif
