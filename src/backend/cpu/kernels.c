/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which table an instruction set has. A context chooses its level once, by what the processor
 * offers (base/cpu.h).
 */
#include "backend/cpu/kernels_isa.h"

const float basin__exp_near = 87.0f, basin__exp_low = -104.0f, basin__exp_high = 89.0f;

const basin__cpu_kernels *basin__cpu_kernels_for(basin__isa isa) {
    switch (isa) {
    case BASIN__ISA_REFERENCE:
        return &basin__cpu_kernels_reference;
    case BASIN__ISA_NEON:
        return &basin__cpu_kernels_neon;
    case BASIN__ISA_AVX2:
        return &basin__cpu_kernels_avx2;
    case BASIN__ISA_AVX512:
        return &basin__cpu_kernels_avx512;
    case BASIN__ISA_AVX512_BF16:
        return &basin__cpu_kernels_avx512_bf16;
    case BASIN__ISA_GENERIC:
    case BASIN__ISA_COUNT:
        break;
    }
    return &basin__cpu_kernels_generic;
}
