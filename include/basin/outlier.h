/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outlier detection: a detector gives each example a number, high for strange ones, and flags those
 * above a threshold that was fitted to a share of false alarms.
 */
#ifndef BASIN_OUTLIER_H
#define BASIN_OUTLIER_H

#include <basin/energy.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct basin_detector basin_detector;

typedef struct basin_detector_options {
    size_t size;       /**< sizeof(basin_detector_options), set by init */
    const char *score; /**< a name of `basin help score`; init sets "energy" */
    /** Of energies that take one, the level at which they are taken; 0, which init sets: the
        energy's own, after loading the lowest that it was trained at. */
    double noise_level;
    /** Of scores over noise levels: as many levels, evenly apart in log σ between the ends; init
        sets 10, and for the ends 0, which stands for the default of basin_detector_create. */
    int level_count;
    double level_low, level_high;
    int descent_steps; /**< of the score "descent": evaluations of its walk; init sets 10 */
} basin_detector_options;

BASIN_API void basin_detector_options_init(basin_detector_options *options);

/**
 * A detector that scores by an energy, or by several that were trained alike (an ensemble).
 *
 * Scores over noise levels take by default the levels from twice the lowest that the energies were
 * trained at, or 0.02 of the range's width where that is more, to half the range's width.
 *
 * @param energies  [count], all of one shape; borrowed, and not to be changed while the detector
 *                  lives
 * @return BASIN_OK; BASIN_ERROR_CONFIG (unknown score, or one that these energies do not have: no
 *         noise levels, no classes, a single energy); BASIN_ERROR_ARGUMENT; BASIN_ERROR_MEMORY
 */
BASIN_API BASIN_MUST_CHECK basin_status basin_detector_create(basin_context *context,
                                                              basin_energy *const *energies,
                                                              int count,
                                                              const basin_detector_options *options,
                                                              basin_detector **out);
BASIN_API void basin_detector_destroy(basin_detector *detector);

/**
 * Fit to examples of what is not to be flagged, which the energies were not trained on: of the odd
 * ones means and covariances of what the score is made of, of the n even ones the threshold, the
 * ⌈(n + 1)(1 − false_alarm_rate)⌉-th smallest score. A fresh example of the same kind is then
 * flagged with a probability of at most false_alarm_rate (split conformal prediction: Vovk et al.
 * 2005; Lei et al. 2018).
 *
 * @param false_alarm_rate  in (0, 1), and at least 1 / (n + 1)
 * @return BASIN_OK; BASIN_ERROR_ARGUMENT; BASIN_ERROR_SHAPE; BASIN_ERROR_DIVERGED (a score is not
 *         finite); BASIN_ERROR_MEMORY. After a failure the detector is not fitted.
 */
BASIN_API BASIN_MUST_CHECK basin_status basin_detector_fit(basin_detector *detector,
                                                           const basin_data *inside,
                                                           double false_alarm_rate);

/**
 * Scores of n examples, high for strange ones. Scores made of more than one number need a fitted
 * detector.
 *
 * @param x       [n, height, width, channels] f32, in the energies' range; borrowed
 * @param scores  [n], out
 * @return BASIN_OK; BASIN_ERROR_ARGUMENT (not fitted); BASIN_ERROR_MEMORY
 */
BASIN_API BASIN_MUST_CHECK basin_status basin_detector_score(basin_detector *detector, int64_t n,
                                                             const float *x, double *scores);
/** Above it an example is flagged; NaN before basin_detector_fit(). */
BASIN_API double basin_detector_threshold(const basin_detector *detector);

/** Save what was fitted, and the options, as JSON, atomically; the energies are not in it. */
BASIN_API BASIN_MUST_CHECK basin_status basin_detector_save(const basin_detector *detector,
                                                            const char *path);
/**
 * A detector as it was saved, for the energies that it was fitted with.
 *
 * @return BASIN_OK; BASIN_ERROR_IO; BASIN_ERROR_FORMAT (what, where); BASIN_ERROR_CONFIG (other
 *         energies: their number, shape or parameters differ); BASIN_ERROR_MEMORY
 */
BASIN_API BASIN_MUST_CHECK basin_status basin_detector_load(basin_context *context,
                                                            const char *path,
                                                            basin_energy *const *energies,
                                                            int count, basin_detector **out);

#ifdef __cplusplus
}
#endif
#endif
