/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AVX2: tiles of 6 rows × 16 channels, 12 sums in the 16 registers.
 */
#include "backend/cpu/kernels_isa.h"

#ifdef __AVX2__
#include <immintrin.h>

typedef __m256 vec;
#define LANES 8
#define vec_load(address) _mm256_load_ps(address)
#define vec_store(address, x) _mm256_store_ps(address, x)
#define vec_store_any(address, x) _mm256_storeu_ps(address, x)
#define vec_broadcast(address) _mm256_set1_ps(*(address))
#define vec_multiply_add(a, b, sum) _mm256_fmadd_ps(a, b, sum)
BASIN_VECTOR(wide, uint64_t, 4);
#define WIDE_LANES 4
#define wide_multiply(a, b) (wide) _mm256_mul_epu32((__m256i)(a), (__m256i)(b))
#define prefetch(address) _mm_prefetch((const char *)(address), _MM_HINT_T0)

#define MULTIPLY_ADD(a, b, c) fmaf(a, b, c)
#define PEAK_SUMS 12

#define TILE_VECTORS 2
#define TILE_ROWS_MAX 6
#define TILE_ROWS                                                                                  \
    { 0, 6, 6 }
#define FOR_EACH_TILE(X) X(1, 2) X(2, 2) X(3, 2) X(4, 2) X(5, 2) X(6, 2)
#define KERNEL_TABLE basin__cpu_kernels_avx2
#include "backend/cpu/kernels.inc.h"
#else
const basin__cpu_kernels basin__cpu_kernels_avx2 = {.conv = NULL};
#endif
