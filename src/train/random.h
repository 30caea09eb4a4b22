/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole numbers from Philox, for decisions: which slots, which order, which
 * shift. Each is a pure function of where it is drawn.
 */
#ifndef BASIN_TRAIN_RANDOM_H
#define BASIN_TRAIN_RANDOM_H

#include "backend/cpu/kernels.h"
#include "rng/philox.h"

/** Word `index` of a draw. */
BASIN_INLINE uint32_t basin__random_word(const basin__draw *draw, uint32_t index) {
    uint32_t key[2] = {(uint32_t)draw->seed, (uint32_t)(draw->seed >> 32)};
    uint32_t counter[4] = {index / 4, draw->chain, (uint32_t)draw->draw,
                           (uint32_t)(draw->draw >> 32 & 0xFFFF) | (uint32_t)draw->purpose << 16};
    uint32_t words[4];
    basin__philox(key, counter, words);
    return words[index % 4];
}

/** A whole number in [0, count), count < 2³¹: off uniform by less than count / 2³². */
BASIN_INLINE int64_t basin__random_below(const basin__draw *draw, uint32_t index, int64_t count) {
    return (int64_t)((uint64_t)basin__random_word(draw, index) * (uint64_t)count >> 32);
}

/** Uniform in [0, 1). */
BASIN_INLINE double basin__random_unit(const basin__draw *draw, uint32_t index) {
    return (double)basin__random_word(draw, index) / 4294967296.0;
}

/** Uniform in ±most. */
BASIN_INLINE double basin__random_spread(const basin__draw *draw, uint32_t index, double most) {
    return most * (2 * basin__random_unit(draw, index) - 1);
}

#endif
