/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of the instruction sets; basin__cpu_kernels_for() chooses among them.
 */
#ifndef BASIN_BACKEND_CPU_KERNELS_ISA_H
#define BASIN_BACKEND_CPU_KERNELS_ISA_H

#include "backend/cpu/kernels.h"

extern const basin__cpu_kernels basin__cpu_kernels_reference;
extern const basin__cpu_kernels basin__cpu_kernels_generic;
/* Empty where the compiler's target lacks them; the processor then does, too. */
extern const basin__cpu_kernels basin__cpu_kernels_neon;
extern const basin__cpu_kernels basin__cpu_kernels_avx2;
extern const basin__cpu_kernels basin__cpu_kernels_avx512;
extern const basin__cpu_kernels basin__cpu_kernels_avx512_bf16;

/** exp(x) is a normal number for |x| ≤ near; it is 0 below low and infinity above high. */
extern const float basin__exp_near, basin__exp_low, basin__exp_high;

/* What the reference table holds: plain loops, summed in double. */
void basin__conv_reference(const basin__conv_block *block);
void basin__conv_weight_reference(const basin__conv_weight_block *block);
void basin__silu_both_reference(float *y, float *slope, const float *x, int64_t n);

/* The ops' own kernels: basin__run_<op>(call). */
#define BASIN__OP(name) void basin__run_##name(const basin__op_call *call);
#include "ops/ops.def"
#undef BASIN__OP

#endif
