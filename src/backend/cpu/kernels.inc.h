/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole table of kernels: the templates of this folder, compiled for the instruction set whose
 * file includes this after defining KERNEL_TABLE, its vectors (see conv.inc.h) and MULTIPLY_ADD.
 */
#include "backend/cpu/math.inc.h"

#include "backend/cpu/chain.inc.h"
#include "backend/cpu/conv.inc.h"
#include "backend/cpu/map.inc.h"
#include "backend/cpu/random.inc.h"
#include "backend/cpu/rows.inc.h"
#include "backend/cpu/run.inc.h"
#include "backend/cpu/winograd.inc.h"

#include "backend/cpu/matrix.inc.h" /* uses conv and run */

/*
 * RUN_OF(op) is run_<op> where OWN_<op> is defined as below, and else the op's own kernel: the
 * comma in OWN_<op> moves run_<op> to the second place, which is the one that is taken.
 */
#define OWN_sum ~, run_sum
#define OWN_dot ~, run_dot
#define OWN_batch_sum ~, run_batch_sum
#define OWN_average_pool ~, run_average_pool
#define OWN_average_pool_input ~, run_average_pool_input
#define OWN_upsample ~, run_upsample
#define OWN_upsample_input ~, run_upsample_input
#define OWN_reshape ~, run_reshape
#define OWN_flatten ~, run_flatten
#define OWN_unflatten ~, run_unflatten
#define OWN_concatenate ~, run_concatenate
#define OWN_slice ~, run_slice
#define OWN_slice_input ~, run_slice_input
#define OWN_matmul ~, run_matmul
#define OWN_softmax ~, run_softmax
#define OWN_log_sum_exp ~, run_log_sum_exp
#define SECOND(first, second, ...) second
#define SECOND_OF(...) SECOND(__VA_ARGS__)
#define RUN_OF(name) SECOND_OF(OWN_##name, basin__run_##name, ~)

const basin__cpu_kernels KERNEL_TABLE = {
    .panel = PANEL,
    .conv = conv_f32,
    .conv_few = conv_few_f32,
    .conv_weight = conv_weight_f32,
    .winograd_in = winograd_in_f32,
    .winograd_out = winograd_out_f32,
    .winograd_spread = winograd_spread_f32,
    .map =
        {
            [BASIN__OP_add] = map_add,
            [BASIN__OP_sub] = map_sub,
            [BASIN__OP_mul] = map_mul,
            [BASIN__OP_scale] = map_scale,
            [BASIN__OP_offset] = map_offset,
            [BASIN__OP_broadcast] = map_broadcast,
            [BASIN__OP_stop] = map_stop,
            [BASIN__OP_square] = map_square,
            [BASIN__OP_exp] = map_exp,
            [BASIN__OP_log] = map_log,
            [BASIN__OP_sqrt] = map_sqrt,
            [BASIN__OP_reciprocal] = map_reciprocal,
            [BASIN__OP_sigmoid] = map_sigmoid,
            [BASIN__OP_silu] = map_silu,
            [BASIN__OP_silu_slope] = map_silu_slope,
            [BASIN__OP_softplus] = map_softplus,
            [BASIN__OP_tanh] = map_tanh,
            [BASIN__OP_relu] = map_relu,
            [BASIN__OP_leaky_relu] = map_leaky_relu,
            [BASIN__OP_leaky_slope] = map_leaky_slope,
            [BASIN__OP_clamp] = map_clamp,
            [BASIN__OP_clamp_inside] = map_clamp_inside,
        },
    .silu_both = silu_both_f32,
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
#define BASIN__OP(name) [BASIN__OP_##name] = RUN_OF(name),
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
