/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Augmentation of chains: images on their way from the replay buffer to the sampler are moved,
 * scaled, mirrored, their colours changed, so that chains reach modes that they would not walk to
 * (Du et al., 2021, section 3.3).
 */
#ifndef BASIN_TRAIN_AUGMENT_H
#define BASIN_TRAIN_AUGMENT_H

#include "train/random.h"

typedef struct basin__augmentation {
    double probability; /* that a chain is augmented at all */
    int64_t shift;      /* whole pixels, up to this much each way */
    double scale;       /* by a factor of up to exp(±scale), about the centre */
    bool flip;          /* every other one, left to right */
    double colour;      /* brightness, contrast and saturation by factors in 1 ± colour */
} basin__augmentation;

/**
 * Augment one image, or leave it. A pure function of `x` and the draw; values stay in [low, high],
 * what comes from outside is `low`; `scratch` is of one image.
 */
void basin__augment(const basin__augmentation *with, const basin__draw *draw, basin_shape shape,
                    float low, float high, float *x, float *scratch);

#endif
