/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `basin demo` does with a trained energy E(x, σ) at every noise level: chains walk down the
 * levels, numbers of several levels tell strokes from other pictures, noise is taken off by one
 * gradient, x = y − σ² ∇E(y, σ), and what is hidden is drawn given what is seen.
 */
#include "demo.h"
#include "backend/cpu/kernels.h"
#include "eval/metrics.h"
#include "eval/outlier.h"
#include "eval/outside.h"
#include "eval/score.h"
#include "eval/similarity.h"
#include <basin/restore.h>
#include <basin/sample.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define NOISE_STD 0.3
#define LEVELS 5 /* at which energies and gradients tell strokes from other pictures */

const char *const basin__demo_outsides[] = {"shapes", "inverted strokes"};
const char *const basin__demo_scores[] = {"levels", "mean intensity", "non-zero count"};

void basin__demo_reset(basin__demo *demo) {
    float *all[] = {demo->walk,     demo->clean,  demo->noisy,
                    demo->denoised, demo->hidden, demo->filled};
    for (size_t i = 0; i < BASIN_COUNT(all); i++)
        basin__free(demo->context, all[i]);
    basin_energy_destroy(demo->energy);
    memset(demo, 0, sizeof(*demo));
}

/* ---- chains ---- */

/** Where the next look goes. */
typedef struct looks {
    float *next;
    int64_t size; /* of all chains */
} looks;

static basin_status look(void *user, int64_t step, int64_t n, const float *x) {
    looks *at = user;
    (void)step;
    (void)n;
    memcpy(at->next, x, (size_t)at->size * sizeof *x);
    at->next += at->size;
    return BASIN_OK;
}

basin_status basin__demo_sample(basin__demo *demo) {
    const int64_t all = BASIN__DEMO_CHAINS * demo->size;
    demo->walk = basin__alloc_array(demo->context, BASIN__DEMO_STAGES * (size_t)all, sizeof(float));
    float *x = basin__alloc_array(demo->context, (size_t)all, sizeof(float));
    looks at = {.next = demo->walk, .size = all};
    basin_sample_options options;
    basin_sample_options_init(&options);
    options.seed = demo->seed + 1;
    options.evaluations = &demo->evaluations;
    options.visit = look;
    options.visit_user = &at;
    options.visit_count = BASIN__DEMO_STAGES;
    basin_status status = demo->walk && x
                              ? basin_sample(demo->energy, &options, BASIN__DEMO_CHAINS, x, NULL)
                              : BASIN_ERROR_MEMORY;
    basin__free(demo->context, x);
    return status;
}

/* ---- data ---- */

static basin_status open_data(const basin__demo *demo, const char *specification, int64_t count,
                              basin_data **out) {
    basin_data_options options;
    basin_data_options_init(&options);
    options.built_in_count = count;
    options.seed = demo->seed;
    options.image_size = demo->energy->shape.width;
    return basin_data_open(demo->context, specification, &options, out);
}

/* ---- detection ---- */

static basin_status make_detector(const basin__demo *demo, int64_t count, basin_detector **out) {
    basin_detector_options options;
    basin_data *valid;
    basin_detector_options_init(&options);
    options.score = basin__demo_scores[0];
    options.level_count = LEVELS;
    basin_energy *energies[] = {demo->energy};
    BASIN_TRY(basin_detector_create(demo->context, energies, 1, &options, out));
    basin_status status = open_data(demo, "strokes:valid", count, &valid);
    if (status == BASIN_OK)
        status = basin__detector_standardise(*out, valid);
    basin_data_close(valid);
    return status;
}

static basin_status by_levels(void *user, basin_energy *energy, int64_t done, int64_t n,
                              const float *x) {
    (void)energy;
    void **both = user;
    return basin_detector_score(both[0], n, x, (double *)both[1] + done);
}

/* Scores of all examples, one a row: [BASIN__DEMO_SCORES, count]. */
static basin_status score(const basin__demo *demo, basin_detector *detector, const basin_data *data,
                          double *scores) {
    static const basin__trivial trivial[] = {BASIN__TRIVIAL_MEAN, BASIN__TRIVIAL_NON_ZERO};
    const int64_t count = basin_data_describe(data)->count;
    BASIN_TRY(
        basin__score_blocks(demo->energy, data, 0, count, by_levels, (void *[]){detector, scores}));
    for (int64_t i = 0; i < (int64_t)BASIN_COUNT(trivial); i++)
        BASIN_TRY(
            basin__trivial_score(demo->context, trivial[i], NULL, data, scores + (i + 1) * count));
    return BASIN_OK;
}

static basin_status open_outside(const basin__demo *demo, int which, const basin_data *inside,
                                 basin_data **out) {
    const int64_t count = basin_data_describe(inside)->count;
    if (which == 0)
        return open_data(demo, "shapes:test", count, out);
    return basin__outside_make(demo->context, basin__outside_find("inverted"), inside, count,
                               demo->seed, out);
}

static basin_status compare(basin__demo *demo, basin_detector *detector, int which,
                            const basin_data *inside, const double *inside_scores, double *scores) {
    const int64_t count = basin_data_describe(inside)->count;
    basin_data *outside;
    BASIN_TRY(open_outside(demo, which, inside, &outside));
    basin_status status = score(demo, detector, outside, scores);
    for (int i = 0; i < BASIN__DEMO_SCORES && status == BASIN_OK; i++) {
        basin__detection detection;
        status = basin__detection_measure(demo->context, inside_scores + i * count, count,
                                          scores + i * count, count, 0, demo->seed, &detection);
        double value = detection.auroc.value;
        demo->auroc[which][i] = i == 0 ? value : fmax(value, 1 - value);
    }
    basin_data_close(outside);
    return status;
}

basin_status basin__demo_detect(basin__demo *demo, int64_t count) {
    basin_data *inside = NULL;
    basin_detector *detector = NULL;
    const size_t numbers = BASIN__DEMO_SCORES * (size_t)count;
    double *scores = basin__alloc_array(demo->context, 2 * numbers, sizeof(double));
    basin_status status = scores ? make_detector(demo, count, &detector) : BASIN_ERROR_MEMORY;
    if (status == BASIN_OK)
        status = open_data(demo, "strokes:test", count, &inside);
    if (status == BASIN_OK)
        status = score(demo, detector, inside, scores);
    for (int i = 0; i < BASIN__DEMO_OUTSIDES && status == BASIN_OK; i++)
        status = compare(demo, detector, i, inside, scores, scores + numbers);
    basin__free(demo->context, scores);
    basin_data_close(inside);
    basin_detector_destroy(detector);
    return status;
}

/* ---- restoration ---- */

/** The first held-out strokes. */
static basin_status read_clean(const basin__demo *demo) {
    basin_data *data;
    BASIN_TRY(open_data(demo, "strokes:test", BASIN__DEMO_DENOISED, &data));
    for (int64_t i = 0; i < BASIN__DEMO_DENOISED; i++)
        basin_data_get(data, i, demo->clean + i * demo->size);
    basin__energy_adapt(demo->energy, basin_data_describe(data), demo->clean,
                        BASIN__DEMO_DENOISED * demo->size);
    basin_data_close(data);
    return BASIN_OK;
}

/* y of n clean strokes, and what is restored of them; samples [n, options->samples, size]. */
static basin_status degrade_and_restore(const basin__demo *demo, const char *task,
                                        const char *settings, basin_restore_options *options,
                                        int64_t n, float *y, float *x) {
    const basin_shape shape = demo->energy->shape;
    basin_degradation *degradation;
    BASIN_TRY(basin_degradation_create(demo->context, task, settings, shape.height, shape.width,
                                       shape.channels, &degradation));
    options->seed = demo->seed;
    basin_status status =
        basin_degradation_observe(degradation, n, demo->clean, options->noise_std, demo->seed, y);
    if (status == BASIN_OK)
        status = basin_restore(demo->energy, degradation, options, n, y, x);
    basin_degradation_destroy(degradation);
    return status;
}

/* Mean peak signal-to-noise ratio to the clean strokes; the peak is the width of the range. */
static basin_status measure_psnr(const basin__demo *demo, const float *x, double *psnr) {
    basin__likeness likeness; /* with the peak 1 */
    BASIN_TRY(basin__likeness_measure(demo->context, demo->energy->shape, BASIN__DEMO_DENOISED,
                                      demo->clean, x, &likeness));
    *psnr = likeness.psnr + 20 * log10((double)(demo->range.high - demo->range.low));
    return BASIN_OK;
}

static void clamp(const basin__demo *demo, float *x, int64_t count) {
    basin__cpu_kernels_for(basin__context_isa(demo->context))
        ->clamp(x, demo->range.low, demo->range.high, count);
}

static basin_status denoise(basin__demo *demo) {
    const int64_t all = BASIN__DEMO_DENOISED * demo->size;
    basin_restore_options options;
    basin_restore_options_init(&options);
    options.method = "mean";
    options.noise_std = demo->noise_std * (double)(demo->range.high - demo->range.low);
    BASIN_TRY(degrade_and_restore(demo, "denoise", NULL, &options, BASIN__DEMO_DENOISED,
                                  demo->noisy, demo->denoised));
    BASIN_TRY(measure_psnr(demo, demo->noisy, &demo->psnr_noisy));
    BASIN_TRY(measure_psnr(demo, demo->denoised, &demo->psnr_denoised));
    clamp(demo, demo->noisy, all); /* as it is shown */
    clamp(demo, demo->denoised, all);
    return measure_psnr(demo, demo->noisy, &demo->psnr_clamped);
}

static basin_status fill_in(basin__demo *demo, float *draws, float *mean) {
    const int half = demo->energy->shape.height / 2;
    char settings[64];
    basin_restore_options options;
    basin_restore_options_init(&options);
    options.noise_std = (double)(demo->range.high - demo->range.low) / (255 * sqrt(12)); /* bytes */
    options.samples = BASIN__DEMO_DRAWS;
    options.draws = draws;
    snprintf(settings, sizeof settings, "{\"hidden\": [%d, 0, %d, %d]}", half,
             demo->energy->shape.height - half, demo->energy->shape.width);
    BASIN_TRY(degrade_and_restore(demo, "inpaint", settings, &options, BASIN__DEMO_FILLED,
                                  demo->hidden, mean));
    for (int64_t i = 0; i < BASIN__DEMO_FILLED; i++) {
        for (int64_t j = 0; j < BASIN__DEMO_DRAWS; j++)
            memcpy(demo->filled + (j * BASIN__DEMO_FILLED + i) * demo->size,
                   draws + (i * BASIN__DEMO_DRAWS + j) * demo->size,
                   (size_t)demo->size * sizeof(float));
        for (int64_t j = half * demo->energy->shape.width; j < demo->size; j++)
            demo->hidden[i * demo->size + j] = 0.5F * (demo->range.low + demo->range.high);
    }
    return BASIN_OK;
}

static basin_status make_room(basin__demo *demo, float **draws, float **mean) {
    const struct {
        float **at;
        int count;
    } all[] = {{&demo->clean, BASIN__DEMO_DENOISED},
               {&demo->noisy, BASIN__DEMO_DENOISED},
               {&demo->denoised, BASIN__DEMO_DENOISED},
               {&demo->hidden, BASIN__DEMO_FILLED},
               {&demo->filled, BASIN__DEMO_DRAWS * BASIN__DEMO_FILLED},
               {draws, BASIN__DEMO_DRAWS * BASIN__DEMO_FILLED},
               {mean, BASIN__DEMO_FILLED}};
    for (size_t i = 0; i < BASIN_COUNT(all); i++)
        if ((*all[i].at = basin__alloc_array(
                 demo->context, (size_t)all[i].count * (size_t)demo->size, sizeof(float))) == NULL)
            return BASIN_ERROR_MEMORY;
    return BASIN_OK;
}

basin_status basin__demo_restore(basin__demo *demo) {
    float *draws = NULL, *mean = NULL;
    demo->noise_std = NOISE_STD;
    basin_status status = make_room(demo, &draws, &mean);
    if (status == BASIN_OK)
        status = read_clean(demo);
    if (status == BASIN_OK)
        status = denoise(demo);
    if (status == BASIN_OK)
        status = fill_in(demo, draws, mean);
    basin__free(demo->context, draws);
    basin__free(demo->context, mean);
    return status;
}
