/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `basin demo` does with a trained energy.
 *
 * Restoration: an image x was seen as y = x + noise_std · N(0, I). Its posterior is
 * p(x | y) ∝ exp(-w E(x) - |x - y|² / (2 noise_std²)), whose mode basin_restore's "map"
 * looks for. The weight w stands for 1/T: chains that were clipped and kept in a box have no exact
 * temperature, so w is chosen from a short list by the PSNR on strokes of the valid split, which
 * are neither trained on nor shown.
 */
#include "demo.h"
#include "backend/cpu/kernels.h"
#include "eval/metrics.h"
#include "eval/outside.h"
#include "eval/score.h"
#include "rng/philox.h"
#include <basin/restore.h>
#include <basin/sample.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define NOISE_STD 0.3

const int basin__demo_steps[BASIN__DEMO_STAGES] = {0,  1,  2,  4,  6,   8,   12,  16,
                                                   24, 32, 48, 64, 128, 192, 320, 512};
const char *const basin__demo_outsides[] = {"uniform noise", "shapes", "inverted strokes"};
const char *const basin__demo_scores[] = {"energy", "mean intensity", "non-zero count"};

void basin__demo_reset(basin__demo *demo) {
    float *all[] = {demo->walk, demo->clean, demo->noisy, demo->restored};
    for (size_t i = 0; i < BASIN_COUNT(all); i++)
        basin__free(demo->context, all[i]);
    basin_energy_destroy(demo->energy);
    memset(demo, 0, sizeof(*demo));
}

/* ---- chains ---- */

basin_status basin__demo_sample(basin__demo *demo) {
    const size_t look = BASIN__DEMO_CHAINS * (size_t)demo->size;
    double energies[BASIN__DEMO_CHAINS];
    demo->walk = basin__alloc_array(demo->context, BASIN__DEMO_STAGES * look, sizeof(float));
    if (demo->walk == NULL)
        return BASIN_ERROR_MEMORY;
    for (int stage = 0; stage < BASIN__DEMO_STAGES; stage++) {
        float *x = demo->walk + (size_t)stage * look;
        char settings[64];
        int before = stage > 0 ? basin__demo_steps[stage - 1] : 0;
        basin_sample_options options;
        basin_sample_options_init(&options);
        snprintf(settings, sizeof(settings), "{\"n_steps\": %d}",
                 basin__demo_steps[stage] - before);
        options.settings = settings;
        options.seed = demo->seed + 1 + (uint64_t)stage;
        options.is_started = stage > 0;
        if (stage > 0)
            memcpy(x, x - look, look * sizeof(float));
        BASIN_TRY(basin_sample(demo->energy, &options, BASIN__DEMO_CHAINS, x, NULL));
    }
    const float *samples = demo->walk + (BASIN__DEMO_STAGES - 1) * look;
    BASIN_TRY(basin_energy_evaluate(demo->energy, BASIN__DEMO_CHAINS, samples, energies, NULL));
    demo->sample_energy = 0;
    for (int i = 0; i < BASIN__DEMO_CHAINS; i++)
        demo->sample_energy += energies[i] / BASIN__DEMO_CHAINS;
    return BASIN_OK;
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

/* Scores of all examples, one a row: [BASIN__DEMO_SCORES, count]. */
static basin_status score(const basin__demo *demo, const basin_data *data, double *scores) {
    static const basin__trivial trivial[] = {BASIN__TRIVIAL_MEAN, BASIN__TRIVIAL_NON_ZERO};
    const int64_t count = basin_data_describe(data)->count;
    BASIN_TRY(basin__score_data(demo->energy, data, 0, count, scores));
    for (int64_t i = 0; i < (int64_t)BASIN_COUNT(trivial); i++)
        BASIN_TRY(
            basin__trivial_score(demo->context, trivial[i], NULL, data, scores + (i + 1) * count));
    return BASIN_OK;
}

static basin_status open_outside(const basin__demo *demo, int which, const basin_data *inside,
                                 basin_data **out) {
    static const char *const made[] = {"uniform-noise", NULL, "inverted"};
    const int64_t count = basin_data_describe(inside)->count;
    if (made[which] == NULL)
        return open_data(demo, "shapes:test", count, out);
    return basin__outside_make(demo->context, basin__outside_find(made[which]), inside, count,
                               demo->seed, out);
}

static basin_status compare(basin__demo *demo, int which, const basin_data *inside,
                            const double *inside_scores, double *scores) {
    const int64_t count = basin_data_describe(inside)->count;
    basin_data *outside;
    BASIN_TRY(open_outside(demo, which, inside, &outside));
    basin_status status = score(demo, outside, scores);
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
    basin_data *inside;
    BASIN_TRY(open_data(demo, "strokes:test", count, &inside));
    const size_t numbers = BASIN__DEMO_SCORES * (size_t)count;
    double *scores = basin__alloc_array(demo->context, 2 * numbers, sizeof(double));
    basin_status status = scores ? score(demo, inside, scores) : BASIN_ERROR_MEMORY;
    for (int i = 0; i < BASIN__DEMO_OUTSIDES && status == BASIN_OK; i++)
        status = compare(demo, i, inside, scores, scores + numbers);
    basin__free(demo->context, scores);
    basin_data_close(inside);
    return status;
}

/* ---- restoration ---- */

/* Draw indices of the noise; the attempt is one that training never gets to. */
typedef enum noise_use { FOR_CHOOSING, FOR_SHOWING } noise_use;
#define LOOKING 0xFF

/* The first strokes of a split and the same with noise. */
static basin_status make_noisy(const basin__demo *demo, noise_use use, float *clean, float *noisy) {
    const basin__cpu_kernels *kernels = basin__cpu_kernels_for(basin__context_isa(demo->context));
    const float std = (float)demo->noise_std * (demo->range.high - demo->range.low);
    basin_data *data;
    BASIN_TRY(open_data(demo, use == FOR_CHOOSING ? "strokes:valid" : "strokes:test",
                        BASIN__DEMO_RESTORED, &data));
    for (int64_t i = 0; i < BASIN__DEMO_RESTORED; i++) {
        float *x = clean + i * demo->size, *y = noisy + i * demo->size;
        basin__draw draw = {.seed = demo->seed,
                            .draw = use,
                            .chain = (uint32_t)i,
                            .purpose = BASIN__PURPOSE_DATA_NOISE | LOOKING << 8};
        basin_data_get(data, i, x);
        basin__range_apply(demo->range, basin_data_describe(data), x, demo->size);
        kernels->normal(y, 1, demo->size, &draw);
        for (int64_t j = 0; j < demo->size; j++)
            y[j] = x[j] + std * y[j];
    }
    basin_data_close(data);
    return BASIN_OK;
}

/* Mean peak signal-to-noise ratio; the peak is the width of the range. */
static double measure_psnr(const basin__demo *demo, const float *clean, const float *x) {
    const double peak = (double)demo->range.high - (double)demo->range.low;
    double sum = 0;
    for (int64_t i = 0; i < BASIN__DEMO_RESTORED; i++) {
        double squares = 0;
        for (int64_t j = i * demo->size; j < (i + 1) * demo->size; j++)
            squares += pow((double)x[j] - (double)clean[j], 2);
        sum += 10 * log10(peak * peak * (double)demo->size / squares);
    }
    return sum / BASIN__DEMO_RESTORED;
}

/* The likeliest x of T = 1 / weight, in the box of the range. */
static basin_status descend(const basin__demo *demo, double weight, const float *noisy, float *x) {
    const basin__cpu_kernels *kernels = basin__cpu_kernels_for(basin__context_isa(demo->context));
    const basin_shape shape = demo->energy->shape;
    basin_degradation *denoise;
    basin_restore_options options;
    BASIN_TRY(basin_degradation_create(demo->context, "denoise", NULL, shape.height, shape.width,
                                       shape.channels, &denoise));
    basin_restore_options_init(&options);
    options.method = "map";
    options.temperature = 1 / weight;
    options.noise_std = demo->noise_std * (double)(demo->range.high - demo->range.low);
    basin_status status =
        basin_restore(demo->energy, denoise, &options, BASIN__DEMO_RESTORED, noisy, x);
    kernels->clamp(x, demo->range.low, demo->range.high, BASIN__DEMO_RESTORED * demo->size);
    basin_degradation_destroy(denoise);
    return status;
}

/* The weight that restores the valid split best. clean, noisy, x: [restored, size]. */
static basin_status choose_weight(basin__demo *demo, float *const scratch[3]) {
    static const double weights[] = {400, 800, 1600, 3200, 6400, 12800};
    double best = -INFINITY;
    BASIN_TRY(make_noisy(demo, FOR_CHOOSING, scratch[0], scratch[1]));
    for (size_t i = 0; i < BASIN_COUNT(weights); i++) {
        BASIN_TRY(descend(demo, weights[i], scratch[1], scratch[2]));
        double psnr = measure_psnr(demo, scratch[0], scratch[2]);
        if (psnr > best) {
            best = psnr;
            demo->weight = weights[i];
        }
    }
    return BASIN_OK;
}

static basin_status restore(basin__demo *demo, float *const scratch[3]) {
    BASIN_TRY(choose_weight(demo, scratch));
    BASIN_TRY(make_noisy(demo, FOR_SHOWING, demo->clean, demo->noisy));
    demo->psnr_noisy = measure_psnr(demo, demo->clean, demo->noisy);
    BASIN_TRY(descend(demo, demo->weight, demo->noisy, demo->restored));
    demo->psnr_restored = measure_psnr(demo, demo->clean, demo->restored);
    const int64_t all = BASIN__DEMO_RESTORED * demo->size;
    memcpy(scratch[2], demo->noisy, (size_t)all * sizeof(float));
    basin__cpu_kernels_for(basin__context_isa(demo->context))
        ->clamp(scratch[2], demo->range.low, demo->range.high, all);
    demo->psnr_clamped = measure_psnr(demo, demo->clean, scratch[2]);
    return BASIN_OK;
}

basin_status basin__demo_restore(basin__demo *demo) {
    const size_t all = BASIN__DEMO_RESTORED * (size_t)demo->size;
    float **kept[] = {&demo->clean, &demo->noisy, &demo->restored}, *scratch[3] = {0};
    basin_status status = BASIN_OK;
    demo->noise_std = NOISE_STD;
    for (size_t i = 0; i < BASIN_COUNT(kept) && status == BASIN_OK; i++)
        if ((*kept[i] = basin__alloc_array(demo->context, all, sizeof(float))) == NULL)
            status = BASIN_ERROR_MEMORY;
    for (size_t i = 0; i < BASIN_COUNT(scratch) && status == BASIN_OK; i++)
        if ((scratch[i] = basin__alloc_array(demo->context, all, sizeof(float))) == NULL)
            status = BASIN_ERROR_MEMORY;
    if (status == BASIN_OK)
        status = restore(demo, scratch);
    for (size_t i = 0; i < BASIN_COUNT(scratch); i++)
        basin__free(demo->context, scratch[i]);
    return status;
}
