/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AVX-512's vectors: tiles of 12 rows × 32 channels, 24 sums in the 32 registers.
 */
#include <immintrin.h>

typedef __m512 vec;
#define LANES 16
#define vec_load(address) _mm512_load_ps(address)
#define vec_store(address, x) _mm512_store_ps(address, x)
#define vec_store_any(address, x) _mm512_storeu_ps(address, x)
#define vec_broadcast(address) _mm512_set1_ps(*(address))
#define vec_multiply_add(a, b, sum) _mm512_fmadd_ps(a, b, sum)
BASIN_VECTOR(wide, uint64_t, 8);
#define WIDE_LANES 8
#define wide_multiply(a, b) (wide) _mm512_mul_epu32((__m512i)(a), (__m512i)(b))
#define prefetch(address) _mm_prefetch((const char *)(address), _MM_HINT_T0)

#define MULTIPLY_ADD(a, b, c) fmaf(a, b, c)
#define PEAK_SUMS 24

#define TILE_VECTORS 2
#define TILE_ROWS_MAX 12
#define TILE_ROWS                                                                                  \
    { 0, 12, 12 }
/* The formatter does not settle on this list. */
/* clang-format off */
#define FOR_EACH_TILE(X) \
    X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(5, 1) X(6, 1) X(7, 1) X(8, 1) X(9, 1) X(10, 1) X(11, 1) \
    X(12, 1) X(1, 2) X(2, 2) X(3, 2) X(4, 2) X(5, 2) X(6, 2) X(7, 2) X(8, 2) X(9, 2) X(10, 2) \
    X(11, 2) X(12, 2)
/* clang-format on */
