/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AVX-512 with BF16: one instruction multiplies a pair of halves and adds both products. It takes
 * denormal numbers for zeros.
 */
#include "backend/cpu/kernels_isa.h"

#ifdef __AVX512BF16__
#include "backend/cpu/avx512.inc.h"

#define PAIR_TURNS 1
typedef __m512bh pair_vec;
#define pair_load(address, turn) (pair_vec) _mm512_load_si512(address)

BASIN_INLINE pair_vec pair_broadcast(const basin__half *address, const int turn) {
    (void)turn;
    int pair;
    __builtin_memcpy(&pair, address, sizeof pair);
    return (pair_vec)_mm512_set1_epi32(pair);
}

#define pair_multiply_add(a, b, sum) _mm512_dpbf16_ps(sum, a, b)

#define KERNEL_TABLE basin__cpu_kernels_avx512_bf16
#include "backend/cpu/kernels.inc.h"
#else
const basin__cpu_kernels basin__cpu_kernels_avx512_bf16 = {.conv = NULL};
#endif
