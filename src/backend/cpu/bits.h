/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A float's bits, and halves (bf16): a float's upper 16 bits, 8 of exponent and 7 of mantissa.
 */
#ifndef BASIN_BACKEND_CPU_BITS_H
#define BASIN_BACKEND_CPU_BITS_H

#include "base/compiler.h"
#include <stdint.h>
#include <string.h>

typedef uint16_t basin__half;

BASIN_INLINE uint32_t basin__bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

BASIN_INLINE float basin__float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

BASIN_INLINE float basin__float_of_half(basin__half x) {
    return basin__float_of((uint32_t)x << 16);
}

/** The nearest half, ties to even; a NaN stays one. */
BASIN_INLINE basin__half basin__half_of(float x) {
    const uint32_t bits = basin__bits_of(x), rounded = bits + 0x7FFFu + (bits >> 16 & 1u);
    return (basin__half)((x != x ? 0x7FC00000u : rounded) >> 16);
}

#endif
