/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Noise, written once and compiled for each instruction set, with the same bits on all: sixteen
 * Philox blocks side by side give a group of 64 elements (see rng/philox.h).
 *
 * A block's four words are carried in 64-bit lanes, of which the upper halves may hold anything:
 * only the products look at them, and take the lower ones. The including file defines
 *   wide, a vector of WIDE_LANES lanes, and
 *   wide_multiply(a, b), the 64-bit products of their lower halves.
 */
#include "rng/philox.h"

#define GROUP_BLOCKS 16
#define GROUP 64

/** Vectors that go through the rounds together: a product's latency hides behind the others. */
#define WIDE_VECTORS 2

/** Ten rounds on WIDE_VECTORS · WIDE_LANES counters: basin__philox(), lane by lane. */
BASIN_INLINE void philox_wide(uint64_t key, wide c[4][WIDE_VECTORS]) {
    const wide zero = {0}, first = zero + 0xD2511F53u, second = zero + 0xCD9E8D57u;
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    BASIN_UNROLL for (int round = 0; round < 10; round++) {
        BASIN_UNROLL for (int v = 0; v < WIDE_VECTORS; v++) {
            const wide a = wide_multiply(first, c[0][v]), b = wide_multiply(second, c[2][v]);
            c[0][v] = b >> 32 ^ c[1][v] ^ (zero + k0);
            c[2][v] = a >> 32 ^ c[3][v] ^ (zero + k1);
            c[1][v] = b;
            c[3][v] = a;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

/** The words of sixteen blocks, each of its own chain. */
static void philox_blocks(const basin__draw *draw, const uint64_t block[GROUP_BLOCKS],
                          const uint64_t chain[GROUP_BLOCKS],
                          uint32_t word[restrict 4][GROUP_BLOCKS]) {
    const uint32_t high = (uint32_t)(draw->draw >> 32 & 0xFFFFu) | (uint32_t)draw->purpose << 16;
    const wide zero = {0};
    uint64_t lane[4][GROUP_BLOCKS];
    for (int i = 0; i < GROUP_BLOCKS; i += WIDE_VECTORS * WIDE_LANES) {
        wide c[4][WIDE_VECTORS];
        memcpy(c[0], block + i, sizeof c[0]);
        memcpy(c[1], chain + i, sizeof c[1]);
        BASIN_UNROLL for (int v = 0; v < WIDE_VECTORS; v++) {
            c[2][v] = zero + (uint32_t)draw->draw;
            c[3][v] = zero + high;
        }
        philox_wide(draw->seed, c);
        BASIN_UNROLL for (int w = 0; w < 4; w++) memcpy(&lane[w][i], c[w], sizeof c[w]);
    }
    for (int w = 0; w < 4; w++)
        for (int i = 0; i < GROUP_BLOCKS; i++)
            word[w][i] = (uint32_t)lane[w][i];
}

/** The words of a group of 64 elements. */
static void philox_group(const basin__draw *draw, int64_t group,
                         uint32_t word[restrict 4][GROUP_BLOCKS]) {
    uint64_t block[GROUP_BLOCKS], chain[GROUP_BLOCKS];
    for (int i = 0; i < GROUP_BLOCKS; i++) {
        block[i] = (uint32_t)(group * GROUP_BLOCKS + i);
        chain[i] = draw->chain;
    }
    philox_blocks(draw, block, chain, word);
}

/** √(−2 ln u) for u = (w + ½) / 2^32 in (0, 1], rounded to a float on the way. */
BASIN_INLINE float radius_of(uint32_t w) {
    const float high = (float)(int32_t)(w >> 16) * 65536.0f, low = (float)(int32_t)(w & 0xFFFFu);
    const float u = (high + low + 0.5f) * 2.3283064365386963e-10f;
    return sqrtf(-2.0f * log_positive(u));
}

static void normal_group(const basin__draw *draw, int64_t group, float *restrict out) {
    uint32_t word[4][GROUP_BLOCKS];
    philox_group(draw, group, word);
    for (int pair = 0; pair < 2; pair++) {
        float *restrict cosines = out + pair * 2 * GROUP_BLOCKS;
        float *restrict sines = cosines + GROUP_BLOCKS;
        for (int i = 0; i < GROUP_BLOCKS; i++) {
            const float radius = radius_of(word[2 * pair][i]);
            float c, s;
            cos_sin_turn(word[2 * pair + 1][i], &c, &s);
            cosines[i] = radius * c;
            sines[i] = radius * s;
        }
    }
}

static void uniform_group(const basin__draw *draw, int64_t group, float *restrict out) {
    uint32_t word[4][GROUP_BLOCKS];
    philox_group(draw, group, word);
    for (int w = 0; w < 4; w++)
        for (int i = 0; i < GROUP_BLOCKS; i++)
            out[w * GROUP_BLOCKS + i] = (float)(int32_t)(word[w][i] >> 8) * 5.9604644775390625e-8f;
}

/** Whole groups into out, the last through a buffer. */
BASIN_INLINE void fill_groups(float *out, int64_t count, const basin__draw *draw,
                              void (*fill)(const basin__draw *draw, int64_t group, float *out)) {
    for (int64_t at = 0; at < count; at += GROUP) {
        if (count - at >= GROUP) {
            fill(draw, at / GROUP, out + at);
        } else {
            float last[GROUP];
            fill(draw, at / GROUP, last);
            memcpy(out + at, last, (size_t)(count - at) * sizeof *out);
        }
    }
}

/** Fewer elements than a group has blocks: each is word 0 of a block, so chains lie side by side.
 */
static void normal_few(float *out, int64_t chains, int64_t count, const basin__draw *draw) {
    int64_t element = 0;
    uint32_t at_chain = draw->chain;
    for (int64_t left = chains * count; left > 0; left -= GROUP_BLOCKS, out += GROUP_BLOCKS) {
        uint64_t block[GROUP_BLOCKS], chain[GROUP_BLOCKS];
        uint32_t word[4][GROUP_BLOCKS];
        float made[GROUP_BLOCKS];
        for (int i = 0; i < GROUP_BLOCKS; i++) {
            block[i] = (uint64_t)element;
            chain[i] = at_chain;
            if (++element == count) {
                element = 0;
                at_chain++;
            }
        }
        philox_blocks(draw, block, chain, word);
        for (int i = 0; i < GROUP_BLOCKS; i++) {
            float c, s;
            cos_sin_turn(word[1][i], &c, &s);
            made[i] = radius_of(word[0][i]) * c;
        }
        memcpy(out, made, (size_t)(left < GROUP_BLOCKS ? left : GROUP_BLOCKS) * sizeof *out);
    }
}

static void normal_f32(float *out, int64_t chains, int64_t count, const basin__draw *draw) {
    if (count <= GROUP_BLOCKS) {
        normal_few(out, chains, count, draw);
        return;
    }
    basin__draw at = *draw;
    for (int64_t i = 0; i < chains; i++, at.chain++, out += count)
        fill_groups(out, count, &at, normal_group);
}

static void uniform_f32(float *out, int64_t count, const basin__draw *draw) {
    fill_groups(out, count, draw, uniform_group);
}
