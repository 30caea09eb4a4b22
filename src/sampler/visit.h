/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chains that are looked at while they walk: basin_sample_options.visit.
 */
#ifndef BASIN_SAMPLER_VISIT_H
#define BASIN_SAMPLER_VISIT_H

#include "sampler/sampler.h"
#include <basin/sample.h>

/** Whether the run can be watched as asked: BASIN_ERROR_CONFIG. */
basin_status basin__visit_check(const basin_sample_options *options, const basin__chain_run *run);

/**
 * As basin__chains_run, stopping for each visit; evaluations and acceptance are the whole run's.
 * A status of a visit ends it.
 */
basin_status basin__visit_run(const basin_sample_options *options, basin__chain_run *run, int64_t n,
                              float *x);

#endif
