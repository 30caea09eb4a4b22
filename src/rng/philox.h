/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Philox4x32-10 (Salmon et al., SC 2011): noise as a function, not a state.
 *
 * The key is the 64-bit seed. The 128-bit counter is, from the low word up:
 *   element block (32), chain (32), draw low (32), draw high (16) | purpose and attempt (16).
 * A block gives four words. Elements are laid out in groups of 64: element e is word
 * (e % 64) / 16 of block (e / 64) · 16 + e % 16, so that sixteen blocks computed side by side write
 * whole vectors. Normals are Box–Muller pairs of words (0, 1) and (2, 3): cosines go to words 0 and
 * 2, sines to words 1 and 3.
 */
#ifndef BASIN_RNG_PHILOX_H
#define BASIN_RNG_PHILOX_H

#include "base/compiler.h"
#include <stdint.h>

/** What a number is drawn for; part of the counter, so that streams never meet. */
typedef enum basin__purpose {
    BASIN__PURPOSE_START = 1,  /* chains' uniform starts */
    BASIN__PURPOSE_LANGEVIN,   /* Langevin noise */
    BASIN__PURPOSE_DATA_NOISE, /* noise added to data */
    BASIN__PURPOSE_RESTART,    /* which chains restart */
    BASIN__PURPOSE_SLOT,       /* replay buffer slots */
    BASIN__PURPOSE_ORDER,      /* order of the data in an epoch */
    BASIN__PURPOSE_AUGMENT,    /* shifts and flips */
    BASIN__PURPOSE_INIT,       /* parameters' start */
    BASIN__PURPOSE_MOMENTUM,
    BASIN__PURPOSE_ACCEPT,
    BASIN__PURPOSE_EVALUATE,     /* sets drawn for evaluation: uniform noise, shuffles */
    BASIN__PURPOSE_DITHER,       /* rounding of chains kept as bytes */
    BASIN__PURPOSE_OBJECTIVE,    /* a loss's own: noise levels, noisy copies, directions */
    BASIN__PURPOSE_NEIGHBOUR,    /* chains among which the nearest is looked for */
    BASIN__PURPOSE_AUGMENT_CHAIN /* of chains on their way from the buffer */
} basin__purpose;

/** Ten rounds on one counter. */
BASIN_INLINE void basin__philox(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]) {
    uint32_t k0 = key[0], k1 = key[1];
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(b >> 32) ^ c1 ^ k0, n2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)b;
        c3 = (uint32_t)a;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

#endif
