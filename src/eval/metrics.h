/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures of a score that should be low inside and high outside, with
 * bootstrap confidence intervals; and trivial scores to stand beside it.
 */
#ifndef BASIN_EVAL_METRICS_H
#define BASIN_EVAL_METRICS_H

#include "base/context.h"
#include <basin/data.h>

typedef struct basin__interval {
    double value, low, high; /* point estimate and 95 % bootstrap percentile interval */
} basin__interval;

typedef struct basin__detection {
    basin__interval auroc; /* P(outside > inside) + P(equal)/2 */
    basin__interval aupr;  /* average precision, outside positive */
    basin__interval fpr95; /* share of inside above the threshold that flags 95 % of outside */
    basin__interval error; /* detection error: least mean of both shares of errors, 0 to 0.5 */
} basin__detection;

/**
 * Detection measures. Ties count half; `resamples` stratified bootstrap draws from `seed`
 * (0: no interval, low = high = value). Scores must be finite: else BASIN_ERROR_ARGUMENT.
 */
basin_status basin__detection_measure(basin_context *context, const double *inside,
                                      int64_t inside_count, const double *outside,
                                      int64_t outside_count, int resamples, uint64_t seed,
                                      basin__detection *out);

/** Trivial scores of images; each is made two-sided by the caller (max of auroc, 1 - auroc). */
typedef enum basin__trivial {
    BASIN__TRIVIAL_MEAN,
    BASIN__TRIVIAL_NON_ZERO,
    BASIN__TRIVIAL_TOTAL_VARIATION,
    BASIN__TRIVIAL_COMPRESSED_SIZE, /* zlib level 9 of the 8-bit image */
    BASIN__TRIVIAL_PCA_GAUSSIAN,    /* negative log density on principal components */
    BASIN__TRIVIAL_COUNT
} basin__trivial;

const char *basin__trivial_name(basin__trivial kind);

typedef struct basin__pca basin__pca;
/**
 * Gaussian on the leading principal components of (up to `count_max`) examples, isotropic residual
 * variance besides (probabilistic PCA, Tipping & Bishop 1999). `count_max` 0: all examples.
 * Variances have a floor of 1e-6 of their mean.
 */
basin_status basin__pca_fit(basin_context *context, const basin_data *data, int64_t count_max,
                            int components, basin__pca **out);
void basin__pca_destroy(basin__pca *pca);
/** Negative log density of x [dimension]; `centred` is scratch of as many doubles. Thread-safe. */
double basin__pca_energy(const basin__pca *pca, const float *x, double *centred);
int64_t basin__pca_dimension(const basin__pca *pca);

/** One score an example of a data set; `pca` is used by PCA_GAUSSIAN alone. */
basin_status basin__trivial_score(basin_context *context, basin__trivial kind,
                                  const basin__pca *pca, const basin_data *data, double *scores);

#endif
