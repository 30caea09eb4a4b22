/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AVX-512.
 */
#include "backend/cpu/kernels_isa.h"

#ifdef __AVX512F__
#include "backend/cpu/avx512.inc.h"

#define KERNEL_TABLE basin__cpu_kernels_avx512
#include "backend/cpu/kernels.inc.h"
#else
const basin__cpu_kernels basin__cpu_kernels_avx512 = {.conv = NULL};
#endif
