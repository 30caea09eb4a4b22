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
extern const basin__cpu_kernels basin__cpu_kernels_avx2;
extern const basin__cpu_kernels basin__cpu_kernels_avx512;

/* Plain loops, summed in double. */
void basin__conv_reference(const basin__conv_block *block);
void basin__conv_weight_reference(const basin__conv_weight_block *block);

#endif
