/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flow's likelihood. Along a solution of dx/dσ = f(x, σ) the density changes by
 *
 *     d log p_σ(x(σ)) / dσ = −tr ∂f/∂x                   (Chen et al., 2018, theorem 1)
 *
 * whatever f is; so with f = σ ∇ₓE(x, σ), whose trace is σ tr ∇ₓ²E, the density of what the flow
 * makes at σ_min from normals at σ_max is
 *
 *     log p(x) = log N(x(σ_max); m, (σ_max² + s²) I) + ∫ σ tr ∇ₓ²E dσ   from σ_min to σ_max.
 *
 * The trace is a mean over random signs of vᵀ ∇ₓ²E v (Hutchinson, 1990), v the same along a
 * solution (Grathwohl et al., 2019), or exactly the sum over unit vectors. The integral is one
 * coordinate more of the ODE, under the same error control.
 *
 * Of a value that was quantised to bins of width b, p(bin) = b^D ∫ p(x + u) du, u uniform in the
 * bin, whose logarithm is at least D log b + the mean of log p(x + u) (Theis et al., 2016).
 */
#include "eval/curvature.h"
#include "sampler/adaptive.h"
#include "sampler/sampler.h"
#include <basin/likelihood.h>
#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846

void basin_likelihood_options_init(basin_likelihood_options *options) {
    *options = (basin_likelihood_options){.size = sizeof *options,
                                          .prior_mean = (double)NAN,
                                          .repeats = 1,
                                          .tolerance_absolute = 1e-5,
                                          .tolerance_relative = 1e-5,
                                          .evaluations_max = 2000};
}

typedef struct likelihood {
    basin_energy *energy;
    basin__curvature *curvature;
    const basin__cpu_kernels *kernels;
    basin_likelihood_options options; /* defaults filled in */
    const float *x;
    int64_t n, size;
    int tile;
    double *mean, *squares, *evaluations; /* [n]: of log p over the repeats so far */
    basin__adaptive_end *ends;            /* [tiles] */
    /* [workers, tile, …] each: size but for levels and labels */
    float *point, *direction, *gradient, *scratch;
    float *levels, *labels, *curvatures;
    double *numbers, *integral;
} likelihood;

/** A worker's tile in one run. */
typedef struct tile_run {
    const likelihood *all;
    int worker, n;
    int64_t first;
    float *point, *direction, *gradient, *levels, *labels, *curvatures;
} tile_run;

/* ---- the ODE ---- */

/** traces [n] = tr ∇ₓ²E, or an estimate, and the gradient. */
static void differentiate(const tile_run *run, const basin__points *points, double *traces) {
    const likelihood *all = run->all;
    const int64_t count = all->options.is_exact ? all->size : 1;
    for (int i = 0; i < run->n; i++)
        traces[i] = 0;
    for (int64_t k = 0; k < count; k++) {
        if (all->options.is_exact)
            for (int64_t at = 0; at < run->n * all->size; at++)
                run->direction[at] = at % all->size == k ? 1.0f : 0.0f;
        basin__curvature_run(all->curvature, run->worker, run->n, points, run->direction,
                             k == 0 ? run->gradient : NULL, run->curvatures);
        for (int i = 0; i < run->n; i++)
            traces[i] += (double)run->curvatures[i];
    }
}

static void derive(void *user, const float *x, const double *sigma, float *slope,
                   double *extra_slope) {
    const tile_run *run = user;
    const int64_t size = run->all->size;
    const basin__points points = {.x = x, .noise_level = run->levels, .label = run->labels};
    for (int i = 0; i < run->n; i++)
        run->levels[i] = (float)sigma[i];
    differentiate(run, &points, extra_slope);
    memset(slope, 0, (size_t)(run->n * size) * sizeof *slope);
    for (int i = 0; i < run->n; i++) {
        run->all->kernels->axpy(slope + i * size, (float)sigma[i], run->gradient + i * size, size);
        extra_slope[i] *= sigma[i];
    }
}

/* ---- one run of a tile ---- */

/** Dequantised examples, and random signs. */
static void draw_start(const tile_run *run, int repeat) {
    const likelihood *all = run->all;
    const int64_t size = all->size;
    const float width = (float)all->options.bin_width;
    memcpy(run->point, all->x + run->first * size, (size_t)(run->n * size) * sizeof(float));
    for (int i = 0; i < run->n; i++) {
        basin__draw draw = {.seed = all->options.seed,
                            .draw = 2 * (uint64_t)repeat,
                            .chain = (uint32_t)(run->first + i),
                            .purpose = BASIN__PURPOSE_EVALUATE};
        float *point = run->point + i * size, *direction = run->direction + i * size;
        all->kernels->uniform(direction, size, &draw);
        for (int64_t j = 0; width > 0 && j < size; j++)
            point[j] += width * (direction[j] - 0.5f);
        draw.draw++;
        all->kernels->uniform(direction, size, &draw);
        for (int64_t j = 0; j < size; j++)
            direction[j] = direction[j] < 0.5f ? -1.0f : 1.0f;
    }
}

static double log_prior(const likelihood *all, const float *x) {
    const basin_likelihood_options *options = &all->options;
    const double variance =
        options->sigma_max * options->sigma_max + options->prior_std * options->prior_std;
    double sum = 0;
    for (int64_t j = 0; j < all->size; j++)
        sum += ((double)x[j] - options->prior_mean) * ((double)x[j] - options->prior_mean);
    return -0.5 * (sum / variance + (double)all->size * log(2 * PI * variance));
}

static void arrive(void *user, int chain, int64_t evaluations) {
    const tile_run *run = user;
    run->all->evaluations[run->first + chain] += (double)evaluations;
}

static basin__adaptive_end run_once(tile_run *run, int repeat) {
    const likelihood *all = run->all;
    const int64_t room = (int64_t)run->worker * all->tile;
    basin__adaptive walk = {.kernels = all->kernels,
                            .n = run->n,
                            .size = all->size,
                            .x = run->point,
                            .extra = all->integral + room,
                            .from = all->options.sigma_min,
                            .to = all->options.sigma_max,
                            .absolute = all->options.tolerance_absolute,
                            .relative = all->options.tolerance_relative,
                            .evaluations_max = all->options.evaluations_max,
                            .scratch = all->scratch + room * BASIN__ADAPTIVE_SCRATCH * all->size,
                            .numbers = all->numbers + room * BASIN__ADAPTIVE_NUMBERS,
                            .derive = derive,
                            .arrive = arrive,
                            .user = run};
    draw_start(run, repeat);
    memset(walk.extra, 0, (size_t)run->n * sizeof(double));
    const basin__adaptive_end end = basin__adaptive_walk(&walk);
    for (int i = 0; end == BASIN__ADAPTIVE_DONE && i < run->n; i++) {
        double value = log_prior(all, run->point + i * all->size) + walk.extra[i];
        if (all->options.bin_width > 0)
            value += (double)all->size * log(all->options.bin_width);
        double *mean = &all->mean[run->first + i]; /* Welford's running mean and squares */
        const double off = value - *mean;
        *mean += off / (repeat + 1);
        all->squares[run->first + i] += off * (value - *mean);
    }
    return end;
}

static void run_tile(void *user, int64_t index, int worker) {
    likelihood *all = user;
    const int64_t first = index * all->tile, left = all->n - first;
    const int64_t room = (int64_t)worker * all->tile;
    tile_run run = {.all = all,
                    .worker = worker,
                    .n = left < all->tile ? (int)left : all->tile,
                    .first = first,
                    .point = all->point + room * all->size,
                    .direction = all->direction + room * all->size,
                    .gradient = all->gradient + room * all->size,
                    .levels = all->levels + room,
                    .labels = all->labels + room,
                    .curvatures = all->curvatures + room};
    const int *labels = all->options.labels;
    for (int i = 0; i < run.n; i++)
        run.labels[i] =
            (float)(labels != NULL && labels[first + i] >= 0 ? labels[first + i]
                                                             : all->energy->condition.class_count);
    for (int i = 0; i < all->options.repeats && all->ends[index] == BASIN__ADAPTIVE_DONE; i++)
        all->ends[index] = run_once(&run, i);
}

/* ---- the whole ---- */

static bool is_zero(double number) { return number >= 0 && number <= 0; }

static basin_status check(const basin_energy *energy, basin_likelihood_options *options,
                          int64_t n) {
    basin_context *context = energy->context;
    if (!energy->condition.noise_level)
        return basin__fail(context, BASIN_ERROR_CONFIG,
                           "the flow's likelihood is of energies at all noise levels, and the "
                           "model takes none");
    if (is_zero(options->sigma_max))
        options->sigma_max = basin__energy_noted_number(energy, "noise_level_high", 0);
    if (is_zero(options->sigma_min))
        options->sigma_min = basin__energy_noted_number(energy, "noise_level_low", 0);
    const basin__range range = basin__energy_range(energy);
    if (isnan(options->prior_mean))
        options->prior_mean =
            basin__energy_is_image(energy) ? 0.5 * (double)(range.low + range.high) : 0;
    if (!(options->sigma_min > 0 && options->sigma_min < options->sigma_max &&
          isfinite(options->sigma_max)))
        return basin__fail(context, BASIN_ERROR_ARGUMENT,
                           "the flow goes from sigma_max %g to sigma_min %g, which must be lower "
                           "and above 0",
                           options->sigma_max, options->sigma_min);
    if (n < 0 || options->repeats < 1 || options->evaluations_max < 7 ||
        !(options->bin_width >= 0) || !(options->prior_std >= 0 && isfinite(options->prior_std)) ||
        !(options->tolerance_absolute > 0) || !(options->tolerance_relative >= 0))
        return basin__fail(context, BASIN_ERROR_ARGUMENT,
                           "a likelihood needs n, bin_width, prior_std and tolerance_relative of "
                           "at least 0, tolerance_absolute above it, repeats of at least 1 and "
                           "evaluations_max of at least 7");
    if (options->repeats > 1 && options->is_exact && !(options->bin_width > 0))
        return basin__fail(context, BASIN_ERROR_ARGUMENT,
                           "%d repeats would be the same: nothing is drawn where the trace is "
                           "exact and bin_width is 0",
                           options->repeats);
    for (int64_t i = 0; options->labels != NULL && i < n; i++)
        if (options->labels[i] >= energy->condition.class_count)
            return basin__fail(context, BASIN_ERROR_ARGUMENT,
                               "there is no class %d: the model has %d, from 0", options->labels[i],
                               energy->condition.class_count);
    return BASIN_OK;
}

static basin_status alloc_all(likelihood *all, int64_t tiles) {
    basin_context *context = all->energy->context;
    const size_t rows = (size_t)basin_context_thread_count(context) * (size_t)all->tile;
    const size_t values = rows * (size_t)all->size, n = (size_t)all->n;
    all->mean = basin__alloc_array(context, n, sizeof(double));
    all->squares = basin__alloc_array(context, n, sizeof(double));
    all->evaluations = basin__alloc_array(context, n, sizeof(double));
    all->ends = basin__alloc_array(context, (size_t)tiles, sizeof *all->ends);
    all->point = basin__alloc_array(context, values, sizeof(float));
    all->direction = basin__alloc_array(context, values, sizeof(float));
    all->gradient = basin__alloc_array(context, values, sizeof(float));
    all->scratch = basin__alloc_array(context, values * BASIN__ADAPTIVE_SCRATCH, sizeof(float));
    all->levels = basin__alloc_array(context, rows, sizeof(float));
    all->labels = basin__alloc_array(context, rows, sizeof(float));
    all->curvatures = basin__alloc_array(context, rows, sizeof(float));
    all->numbers = basin__alloc_array(context, rows * BASIN__ADAPTIVE_NUMBERS, sizeof(double));
    all->integral = basin__alloc_array(context, rows, sizeof(double));
    const void *const got[] = {all->mean,    all->squares,   all->evaluations, all->ends,
                               all->point,   all->direction, all->gradient,    all->scratch,
                               all->levels,  all->labels,    all->curvatures,  all->numbers,
                               all->integral};
    for (size_t i = 0; i < BASIN_COUNT(got); i++)
        if (got[i] == NULL)
            return BASIN_ERROR_MEMORY;
    return BASIN_OK;
}

static void free_all(likelihood *all) {
    void *const made[] = {all->mean,    all->squares,   all->evaluations, all->ends,
                          all->point,   all->direction, all->gradient,    all->scratch,
                          all->levels,  all->labels,    all->curvatures,  all->numbers,
                          all->integral};
    for (size_t i = 0; i < BASIN_COUNT(made); i++)
        basin__free(all->energy->context, made[i]);
    basin__curvature_destroy(all->curvature);
}

static basin_status judge(const likelihood *all, int64_t tiles) {
    for (int64_t i = 0; i < tiles; i++)
        if (all->ends[i] != BASIN__ADAPTIVE_DONE)
            return basin__fail(
                all->energy->context, BASIN_ERROR_DIVERGED,
                all->ends[i] == BASIN__ADAPTIVE_STOPPED
                    ? "the energy's derivatives became non-finite in examples %lld "
                      "to %lld"
                    : "of examples %lld to %lld some need more than the %lld evaluations "
                      "allowed: allow more, or larger errors",
                (long long)(i * all->tile),
                (long long)((i + 1) * all->tile < all->n ? (i + 1) * all->tile - 1 : all->n - 1),
                (long long)all->options.evaluations_max);
    return BASIN_OK;
}

static void summarise(const likelihood *all, basin_likelihood_summary *summary) {
    double mean = 0, squares = 0, evaluations = 0;
    for (int64_t i = 0; i < all->n; i++) {
        mean += all->mean[i] / (double)all->n;
        evaluations += all->evaluations[i] / ((double)all->n * all->options.repeats);
    }
    for (int64_t i = 0; i < all->n; i++)
        squares += (all->mean[i] - mean) * (all->mean[i] - mean);
    const double error =
        all->n > 1 ? sqrt(squares / ((double)(all->n - 1) * (double)all->n)) : (double)NAN;
    const double bits = 1 / (log(2.0) * (double)all->size);
    *summary = (basin_likelihood_summary){.log_likelihood = mean,
                                          .log_likelihood_error = error,
                                          .bits = -mean * bits,
                                          .bits_error = error * bits,
                                          .evaluations = evaluations};
}

static void hand_out(const likelihood *all, double *log_likelihood, double *error) {
    const double repeats = all->options.repeats;
    for (int64_t i = 0; i < all->n; i++) {
        log_likelihood[i] = all->mean[i];
        if (error != NULL)
            error[i] =
                repeats > 1 ? sqrt(all->squares[i] / ((repeats - 1) * repeats)) : (double)NAN;
    }
}

basin_status basin_likelihood(basin_energy *energy, const basin_likelihood_options *given,
                              int64_t n, const float *x, double *log_likelihood, double *error,
                              basin_likelihood_summary *summary) {
    basin_context *context = energy->context;
    likelihood all = {.energy = energy,
                      .kernels = basin__cpu_kernels_for(basin__context_isa(context)),
                      .x = x,
                      .n = n,
                      .size = basin_shape_count(energy->shape)};
    basin_likelihood_options_init(&all.options);
    if (given != NULL)
        memcpy(&all.options, given,
               given->size < sizeof all.options ? given->size : sizeof all.options);
    BASIN_TRY(check(energy, &all.options, n));
    BASIN_TRY(basin__curvature_create(energy, &all.curvature));
    const int threads = basin_context_thread_count(context);
    const int64_t share = (n + threads - 1) / threads;
    all.tile = basin__curvature_tile(all.curvature);
    if (share < all.tile)
        all.tile = share > 0 ? (int)share : 1;
    const int64_t tiles = (n + all.tile - 1) / all.tile;
    basin_status status = basin__curvature_prepare(all.curvature);
    if (status == BASIN_OK)
        status = alloc_all(&all, tiles);
    if (status == BASIN_OK) {
        basin__parallel(context, tiles, run_tile, &all);
        status = judge(&all, tiles);
    }
    if (status == BASIN_OK) {
        hand_out(&all, log_likelihood, error);
        if (summary != NULL)
            summarise(&all, summary);
    }
    free_all(&all);
    return status;
}
