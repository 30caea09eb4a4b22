/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The portable table: a vector is four floats, which the compiler maps to the target's registers.
 * Without fused multiply-adds: results depend on no compiler and no processor.
 *
 * The reference table is here too: it shares rows, noise and the chains' primitives, while
 * convolutions and maps are the plain loops of kernels_reference.c and of the ops.
 */
#include "backend/cpu/kernels_isa.h"
#include <string.h>

BASIN_VECTOR(vec, float, 4);
#define LANES 4
BASIN_VECTOR(wide, uint64_t, 2);
#define WIDE_LANES 2

BASIN_INLINE vec vec_broadcast(const float *address) {
    return (vec){*address, *address, *address, *address};
}

BASIN_INLINE vec vec_load(const float *address) {
    vec out;
    memcpy(&out, address, sizeof out);
    return out;
}

BASIN_INLINE void vec_store(float *address, vec x) { memcpy(address, &x, sizeof x); }

BASIN_INLINE vec vec_multiply_add(vec a, vec b, vec sum) { return sum + a * b; }

#define wide_multiply(a, b) (((a)&0xFFFFFFFFu) * ((b)&0xFFFFFFFFu))
#define vec_store_any(address, x) vec_store(address, x)
#define prefetch(address) (void)(address)
#define MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))
#define PEAK_SUMS 12

#define TILE_VECTORS 2
#define TILE_ROWS_MAX 4
#define TILE_ROWS                                                                                  \
    { 0, 4, 4 }
#define FOR_EACH_TILE(X) X(1, 2) X(2, 2) X(3, 2) X(4, 2)
#define KERNEL_TABLE basin__cpu_kernels_generic
#include "backend/cpu/kernels.inc.h"

const basin__cpu_kernels basin__cpu_kernels_reference = {
    .panel = BASIN__CONV_WIDTH,
    .conv = basin__conv_reference,
    .conv_few = conv_few_f32,
    .conv_weight = basin__conv_weight_reference,
    .winograd_in = winograd_in_f32,
    .winograd_out = winograd_out_f32,
    .winograd_spread = winograd_spread_f32,
    .silu_both = basin__silu_both_reference,
    .silu_rows = silu_rows_f32,
    .mul_rows = mul_rows_f32,
    .silu_rows_half = silu_rows_half,
    .mul_rows_half = mul_rows_half,
    .load_rows_half = load_rows_half,
    .store_rows_half = store_rows_half,
    .load_rows = load_rows_f32,
    .store_rows = store_rows_f32,
    .scatter_rows = scatter_rows_f32,
    .run =
        {
#define BASIN__OP(name) [BASIN__OP_##name] = basin__run_##name,
#include "ops/ops.def"
#undef BASIN__OP
        },
    .normal = normal_f32,
    .uniform = uniform_f32,
    .axpy = axpy_f32,
    .clamp = clamp_f32,
    .reflect = reflect_f32,
    .dot = dot_f32,
    .all_finite = all_finite_f32,
    .peak = peak_f32,
};
