/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Noise, written once and compiled for each instruction set, with the same bits on all: sixteen
 * Philox blocks side by side give a group of 64 elements (see rng/philox.h).
 */
#include "rng/philox.h"

#define GROUP_BLOCKS 16
#define GROUP 64

static void philox_group(const basin__draw *draw, int64_t group,
                         uint32_t word[restrict 4][GROUP_BLOCKS]) {
    const uint32_t key[2] = {(uint32_t)draw->seed, (uint32_t)(draw->seed >> 32)};
    const uint32_t first = (uint32_t)group * GROUP_BLOCKS, chain = draw->chain;
    const uint32_t low = (uint32_t)draw->draw;
    const uint32_t high = (uint32_t)(draw->draw >> 32 & 0xFFFFu) | (uint32_t)draw->purpose << 16;
    for (uint32_t i = 0; i < GROUP_BLOCKS; i++) {
        const uint32_t counter[4] = {first + i, chain, low, high};
        uint32_t out[4];
        basin__philox(key, counter, out);
        word[0][i] = out[0];
        word[1][i] = out[1];
        word[2][i] = out[2];
        word[3][i] = out[3];
    }
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

static void normal_f32(float *out, int64_t count, const basin__draw *draw) {
    fill_groups(out, count, draw, normal_group);
}

static void uniform_f32(float *out, int64_t count, const basin__draw *draw) {
    fill_groups(out, count, draw, uniform_group);
}
