/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `basin demo` does with a trained energy: samples from noise, detection, restoration.
 */
#ifndef BASIN_CLI_DEMO_H
#define BASIN_CLI_DEMO_H

#include "energy/energy.h"

enum {
    BASIN__DEMO_CHAINS = 64,
    BASIN__DEMO_STAGES = 16, /* moments at which chains are looked at; the last is the sample */
    BASIN__DEMO_DENOISED = 64,
    BASIN__DEMO_FILLED = 16,
    BASIN__DEMO_DRAWS = 2, /* of each that is filled in */
    BASIN__DEMO_OUTSIDES = 2,
    BASIN__DEMO_SCORES = 3 /* the model's, then trivial ones */
};

/** Names of what strokes are told from, and of the scores. */
extern const char *const basin__demo_outsides[BASIN__DEMO_OUTSIDES];
extern const char *const basin__demo_scores[BASIN__DEMO_SCORES];

typedef struct basin__demo {
    basin_context *context;
    basin_energy *energy;
    int64_t size; /* pixels of an example */
    uint64_t seed;
    basin__range range;
    /* chains: [stages, chains, size], in the energy's range as all pixels here */
    float *walk;
    double evaluations; /* of the gradient, a sample */
    /* P(outside above strokes) + P(equal)/2; trivial scores are taken in their better direction */
    double auroc[BASIN__DEMO_OUTSIDES][BASIN__DEMO_SCORES];
    /* restoration, [denoised, size], and of the first ones [filled, size], [draws, filled, size] */
    float *clean, *noisy, *denoised, *hidden, *filled;
    double noise_std;                               /* where pixels are in [0, 1] */
    double psnr_noisy, psnr_clamped, psnr_denoised; /* dB, means over examples */
} basin__demo;

/** Walk chains down from noise, and keep every look. Their seed is not training's. */
basin_status basin__demo_sample(basin__demo *demo);
/** AUROC of `count` held-out strokes against as many of each outside set. */
basin_status basin__demo_detect(basin__demo *demo, int64_t count);
/** Add noise to held-out strokes and take it off again; hide their lower halves and fill them in.
 */
basin_status basin__demo_restore(basin__demo *demo);
void basin__demo_reset(basin__demo *demo);

#endif
