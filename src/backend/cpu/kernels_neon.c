/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NEON, which every AArch64 processor has: tiles of 6 rows × 16 channels, 24 sums in the 32
 * registers, beside 4 vectors of weights and the number being multiplied.
 *
 * A round of k makes 24 multiply-adds of 10 loads; a tile of 8 × 8 makes 16 of as many, and leaves
 * half of the registers empty. 24 sums are also enough for processors with four multiply-add units
 * of four cycles. A panel is 16 channels, to which all rows are padded, so no tile is narrower.
 *
 * NEON multiplies by one element of a register, too. Compilers see that a broadcast number needs no
 * more: a broadcast becomes a load of 4 bytes, where a load to all lanes would also take the time
 * of a multiply-add.
 */
#include "backend/cpu/kernels_isa.h"

#if BASIN_HAS_NEON
#include <arm_neon.h>

typedef float32x4_t vec;
#define LANES 4
#define vec_load(address) vld1q_f32(address)
#define vec_store(address, x) vst1q_f32(address, x)
#define vec_store_any(address, x) vst1q_f32(address, x)
#define vec_broadcast(address) vld1q_dup_f32(address)
#define vec_multiply_add(a, b, sum) vfmaq_f32(sum, a, b)
BASIN_VECTOR(wide, uint64_t, 2);
#define WIDE_LANES 2
#define wide_low(a) vmovn_u64((uint64x2_t)(a))
#define wide_multiply(a, b) (wide) vmull_u32(wide_low(a), wide_low(b))
#define prefetch(address) BASIN_PREFETCH(address)

#define MULTIPLY_ADD(a, b, c) fmaf(a, b, c)
#define PEAK_SUMS 24

#define TILE_VECTORS 4
#define TILE_ROWS_MAX 6
#define TILE_ROWS                                                                                  \
    { 0, 6, 6, 6, 6 }
#define FOR_EACH_TILE(X) X(1, 4) X(2, 4) X(3, 4) X(4, 4) X(5, 4) X(6, 4)
#define KERNEL_TABLE basin__cpu_kernels_neon
#include "backend/cpu/kernels.inc.h"
#else
const basin__cpu_kernels basin__cpu_kernels_neon = {.conv = NULL};
#endif
