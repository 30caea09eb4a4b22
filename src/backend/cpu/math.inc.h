/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Elementary functions of one float, written so that a loop over them becomes vector code: no
 * branches, no tables, no library calls, every choice a select. NaN comes out as NaN.
 *
 * Polynomials are those of Cephes (S. Moshier), good to about 1 ulp on their intervals. The
 * including file defines MULTIPLY_ADD(a, b, c): fused where the instruction set has it. What random
 * numbers use (log_positive, cos_sin_turn) is written in plain products and sums in a fixed order,
 * so that noise has the same bits on every instruction set.
 */
#include <float.h>
#include <math.h>

/* In this order a NaN stays: comparisons with it are false. */
BASIN_INLINE float at_most(float x, float high) { return x > high ? high : x; }
BASIN_INLINE float at_least(float x, float low) { return x < low ? low : x; }

/*
 * Bounds of exp's argument live in kernels.c, where the compiler cannot see them: gcc 12 makes of a
 * clamp between constants a heap of comparisons and selects, of one between variables a minimum and
 * a maximum, which takes a fifth off SiLU.
 */

/** Adding 1.5 · 2^23 rounds to the nearest whole number and leaves it in the low bits. */
#define ROUNDER 12582912.0f
#define ROUNDER_BITS 0x4B400000u

/**
 * exp(sign · x) = mantissa · 2^n, for a sign of ±1: returns the mantissa, in [√½, √2]. The sign
 * goes into the constants: gcc would make of the negative of a clamp two selects.
 */
BASIN_INLINE float exp_split(const float sign, float x, uint32_t *n) {
    const float shifted = MULTIPLY_ADD(x, sign * 1.44269504088896341f, ROUNDER);
    const float whole = shifted - ROUNDER;
    float r = MULTIPLY_ADD(whole, sign * -0.693359375f, x); /* ln 2 in two parts, the first exact */
    r = MULTIPLY_ADD(whole, sign * 2.12194440e-4f, r);
    /* In pairs (Estrin), a shorter chain: what waits for it is all that limits a loop over this. */
    const float square = r * r;
    const float p0 = MULTIPLY_ADD(r, sign * 1.6666665459e-1f, 5.0000001201e-1f);
    const float p2 = MULTIPLY_ADD(r, sign * 8.3334519073e-3f, 4.1665795894e-2f);
    const float p4 = MULTIPLY_ADD(r, sign * 1.9875691500e-4f, 1.3981999507e-3f);
    const float p = MULTIPLY_ADD(MULTIPLY_ADD(p4, square, p2), square, p0);
    *n = basin__bits_of(shifted) - ROUNDER_BITS;
    return MULTIPLY_ADD(p, square, sign * r) + 1.0f;
}

/** exp(sign · x) where |x| ≤ 87: the result is a normal number. */
BASIN_INLINE float exp_near(const float sign, float x) {
    uint32_t n;
    const float mantissa = exp_split(sign, x, &n);
    return mantissa * basin__float_of((n + 127u) << 23);
}

/** exp(x) for any x: 0 and infinity at the ends, denormal numbers rounded once. */
BASIN_INLINE float exp_any(float x) {
    uint32_t n;
    const float mantissa =
        exp_split(1.0f, at_most(at_least(x, basin__exp_low), basin__exp_high), &n);
    /* 2^n as two factors that are both normal numbers. */
    const uint32_t half = (uint32_t)((int32_t)n >> 1), rest = n - half;
    return mantissa * basin__float_of((half + 127u) << 23) * basin__float_of((rest + 127u) << 23);
}

/** log(x) for a finite x ≥ FLT_MIN: x = 2^e (1 + f) with 1 + f in [√½, √2). */
BASIN_INLINE float log_positive(float x) {
    const uint32_t root_half = 0x3F3504F3u, above = basin__bits_of(x) - root_half;
    const float e = (float)((int32_t)above >> 23);
    const float f = basin__float_of((above & 0x7FFFFFu) + root_half) - 1.0f;
    const float square = f * f;
    float p = 7.0376836292e-2f;
    p = p * f - 1.1514610310e-1f;
    p = p * f + 1.1676998740e-1f;
    p = p * f - 1.2420140846e-1f;
    p = p * f + 1.4249322787e-1f;
    p = p * f - 1.6668057665e-1f;
    p = p * f + 2.0000714765e-1f;
    p = p * f - 2.4999993993e-1f;
    p = p * f + 3.3333331174e-1f;
    float tail = p * f * square;
    tail = tail - 2.12194440e-4f * e;
    tail = tail - 0.5f * square;
    return (f + tail) + 0.693359375f * e;
}

/** log(x) for any x: −infinity at 0, NaN below. */
BASIN_INLINE float log_any(float x) {
    const bool is_small = x < FLT_MIN;
    const float y = log_positive(is_small ? x * 8388608.0f : x);
    const float shift = is_small ? -15.942385152878742f : 0.0f; /* −23 ln 2 */
    const float edge = x == 0.0f ? -INFINITY : x < 0.0f ? NAN : x;
    return x > 0.0f && x < INFINITY ? y + shift : edge;
}

/** cos and sin of 2π · turn / 2^32. */
BASIN_INLINE void cos_sin_turn(uint32_t turn, float *cos_out, float *sin_out) {
    const uint32_t quarter = (turn + 0x20000000u) >> 30;
    const float angle = (float)(int32_t)(turn - (quarter << 30)) * 1.46291807926715968e-9f;
    const float z = angle * angle; /* |angle| ≤ π/4 */
    float s = -1.9515295891e-4f;
    s = s * z + 8.3321608736e-3f;
    s = s * z - 1.6666654611e-1f;
    s = s * z * angle + angle;
    float c = 2.443315711809948e-5f;
    c = c * z - 1.388731625493765e-3f;
    c = c * z + 4.166664568298827e-2f;
    c = c * z * z - 0.5f * z + 1.0f;
    /* Each quarter turn swaps the two; the signs follow. */
    const bool is_swapped = (quarter & 1u) != 0;
    const uint32_t cos_bits = basin__bits_of(is_swapped ? s : c),
                   sin_bits = basin__bits_of(is_swapped ? c : s);
    *cos_out = basin__float_of(cos_bits ^ (((quarter + 1u) & 2u) << 30));
    *sin_out = basin__float_of(sin_bits ^ ((quarter & 2u) << 30));
}

/** σ = 1 / (1 + e) with e = e^−x, which is given too, where |x| ≤ 87. */
BASIN_INLINE float sigmoid_near(float x, float *e) {
    *e = exp_near(-1.0f, x);
    return 1.0f / (1.0f + *e);
}

/** σ(x); beyond ±87 as at ±87, where it differs from 0 or 1 by less than 2e-38. */
BASIN_INLINE float sigmoid_of(float x) {
    float e;
    return sigmoid_near(at_most(at_least(x, -basin__exp_near), basin__exp_near), &e);
}

/**
 * x σ, and its slope σ + x σ (1 − σ), where 1 − σ = e σ loses no digits. At ±infinity the limits:
 * infinity, 0 and 1, 0.
 */
BASIN_INLINE float silu_with_slope(float x, float *slope) {
    float e;
    const float low = at_least(x, -basin__exp_near), near = at_most(low, basin__exp_near);
    const float s = sigmoid_near(near, &e);
    *slope = MULTIPLY_ADD(near * s, e * s, s);
    return low * s;
}

BASIN_INLINE float silu_of(float x) {
    float slope;
    return silu_with_slope(x, &slope);
}

BASIN_INLINE float silu_slope_of(float x) {
    float slope;
    silu_with_slope(x, &slope);
    return slope;
}

/** log(1 + e^x) = max(x, 0) + log(1 + z) with z = e^−|x|, what 1 + z lost in rounding added back.
 */
BASIN_INLINE float softplus_of(float x) {
    const float z = exp_any(x > 0.0f ? -x : x);
    const float u = 1.0f + z;
    const float lost = (z - (u - 1.0f)) / u;
    return at_least(x, 0.0f) + (log_positive(u) + lost);
}

BASIN_INLINE float tanh_of(float x) {
    const float size = fabsf(x), z = x * x;
    float p = -5.70498872745e-3f;
    p = MULTIPLY_ADD(p, z, 2.06390887954e-2f);
    p = MULTIPLY_ADD(p, z, -5.37397155531e-2f);
    p = MULTIPLY_ADD(p, z, 1.33314422036e-1f);
    p = MULTIPLY_ADD(p, z, -3.33332819422e-1f);
    const float near = MULTIPLY_ADD(p * z, x, x);
    const float far = 1.0f - 2.0f / (exp_near(1.0f, at_most(2.0f * size, basin__exp_near)) + 1.0f);
    return size < 0.625f ? near : copysignf(far, x);
}
