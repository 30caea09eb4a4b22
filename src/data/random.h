/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The randomness of built-in sets: a SplitMix64 generator (Steele, Lea and
 * Flood, OOPSLA 2014) that is started anew for every example.
 *
 * Its start is a hash of (seed, split, index), so that an example does not
 * depend on which others were drawn, nor in which order. This is apart from
 * the Philox noise of chains, which stays free to change its layout.
 */
#ifndef BASIN_DATA_RANDOM_H
#define BASIN_DATA_RANDOM_H

#include "base/compiler.h"
#include <math.h>
#include <stdint.h>

typedef struct basin__random {
    uint64_t state;
} basin__random;

/** A bijection of 64 bits in which every bit of the result depends on every bit of `x`. */
BASIN_INLINE uint64_t basin__random_mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/** A number that stands for a seed's split. */
BASIN_INLINE uint64_t basin__random_stream(uint64_t seed, int split) {
    return basin__random_mix(basin__random_mix(seed + 0x9e3779b97f4a7c15u) + (uint64_t)split + 1);
}

/** The generator of an example. `use` keeps a label apart from what is drawn for it. */
BASIN_INLINE basin__random basin__random_start(uint64_t stream, int64_t index, uint64_t use) {
    basin__random random = {basin__random_mix(stream + 0xd1342543de82ef95u * (uint64_t)index) +
                            use};
    return random;
}

BASIN_INLINE uint64_t basin__random_bits(basin__random *random) {
    random->state += 0x9e3779b97f4a7c15u;
    return basin__random_mix(random->state);
}

/** Uniform in [low, high). */
BASIN_INLINE double basin__uniform(basin__random *random, double low, double high) {
    return low + (high - low) * ((double)(basin__random_bits(random) >> 11) * 0x1p-53);
}

/** Uniform in 0 … count - 1. */
BASIN_INLINE int basin__random_below(basin__random *random, int count) {
    return (int)(((basin__random_bits(random) >> 32) * (uint64_t)count) >> 32);
}

/** Gaussian with mean 0 (Box–Muller; one of the pair). */
BASIN_INLINE double basin__normal(basin__random *random, double std) {
    double u = basin__uniform(random, 0x1p-53, 1), v = basin__uniform(random, 0, 1);
    return std * sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

#endif
