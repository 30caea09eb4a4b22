/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run is cut where it is looked at: noise is named by its step, so a run in pieces draws what one
 * in a piece does. An estimate is a run too, of one step to level 0, on a copy.
 */
#include "sampler/visit.h"
#include "sampler/levels.h"
#include <math.h>
#include <string.h>

/* ---- estimates ---- */

typedef struct estimate_options {
    basin__levels levels; /* of the run that is watched: its guidance and box */
    double sigma;
} estimate_options;

static void estimate_run(const void *values, const basin__cpu_kernels *kernels,
                         basin_energy *energy, basin__chain_tile *tile) {
    const estimate_options *options = values;
    basin__level_denoise(&options->levels, kernels, energy, tile, options->sigma);
}

static int64_t estimate_steps(const void *values) {
    (void)values;
    return 1;
}

/** y [n, size] = D(x, σ) of chains of the run. */
static basin_status estimate(const basin__chain_run *run, double sigma, int64_t n, const float *x,
                             float *y) {
    const basin__sampler_def to_zero = {.run = estimate_run, .steps = estimate_steps};
    const estimate_options options = {.levels = *(const basin__levels *)run->options,
                                      .sigma = sigma};
    basin__chain_run of = {
        .sampler = &to_zero, .options = &options, .energy = run->energy, .labels = run->labels};
    memcpy(y, x, (size_t)(n * basin_shape_count(run->energy->shape)) * sizeof(float));
    return basin__chains_run(&of, n, y);
}

/* ---- visits ---- */

static int64_t stage_count(const basin__chain_run *run) {
    return run->sampler->stage_count != NULL ? run->sampler->stage_count(run->options) : -1;
}

basin_status basin__visit_check(const basin_sample_options *options, const basin__chain_run *run) {
    basin_context *context = run->energy->context;
    if (stage_count(run) < 0)
        return basin__fail(context, BASIN_ERROR_CONFIG,
                           "sampler %s cannot be watched: its chains have steps of their own; take "
                           "method heun or euler",
                           run->sampler->name);
    if (options->visit_count < 0 || options->visit_count == 1)
        return basin__fail(context, BASIN_ERROR_CONFIG,
                           "visit_count is %lld: there is one visit at the start and one at the "
                           "end, so it is 0 or at least 2",
                           (long long)options->visit_count);
    if (options->visit_estimates && run->sampler->stage_level == NULL)
        return basin__fail(context, BASIN_ERROR_CONFIG,
                           "sampler %s walks at one noise level, so there are no estimates beside "
                           "its chains: watch the chains, or take a sampler over noise levels",
                           run->sampler->name);
    return BASIN_OK;
}

/** Show the chains before stage i; `spare` [n, size] holds estimates, NULL: none are wanted. */
static basin_status show(const basin_sample_options *options, const basin__chain_run *run,
                         int64_t i, int64_t n, const float *x, float *spare) {
    const double sigma = spare != NULL ? run->sampler->stage_level(run->options, i) : 0;
    if (sigma > 0) {
        BASIN_TRY(estimate(run, sigma, n, x, spare));
        x = spare;
    }
    return options->visit(options->visit_user, i, n, x);
}

/** The stage before which the k-th of `last` + 1 visits is; the remainder apart, lest it overflow.
 */
static int64_t stage_of(int64_t k, int64_t last, int64_t stages) {
    return stages / last * k + stages % last * k / last;
}

basin_status basin__visit_run(const basin_sample_options *options, basin__chain_run *run, int64_t n,
                              float *x) {
    basin_context *context = run->energy->context;
    const int64_t stages = stage_count(run), wanted = options->visit_count - 1;
    const int64_t last = wanted > 0 && wanted < stages ? wanted : stages;
    double evaluations = 0;
    int64_t proposed = 0, accepted = 0;
    float *spare = NULL;
    if (options->visit_estimates) {
        const int64_t size = basin_shape_count(run->energy->shape);
        spare = basin__alloc_array(context, (size_t)(n * size), sizeof(float));
        if (spare == NULL)
            return BASIN_ERROR_MEMORY;
    }
    basin_status status = show(options, run, 0, n, x, spare);
    for (int64_t k = 1; k <= last && status == BASIN_OK; k++) {
        run->stages = (basin__stages){stage_of(k - 1, last, stages), stage_of(k, last, stages)};
        status = basin__chains_run(run, n, x);
        evaluations += run->evaluations;
        proposed += run->proposed;
        accepted += run->accepted;
        if (status == BASIN_OK)
            status = show(options, run, run->stages.end, n, x, spare);
    }
    run->stages = (basin__stages){0};
    run->evaluations = evaluations;
    run->acceptance = proposed > 0 ? (double)accepted / (double)proposed : (double)NAN;
    basin__free(context, spare);
    return status;
}
