/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the machine offers: how many threads, which instruction sets.
 */
#ifndef BASIN_BASE_CPU_H
#define BASIN_BASE_CPU_H

#include "base/context.h"

/** Processors this process may use: its affinity mask, bounded by its cgroup's quota; at least 1.
 */
int basin__cpu_thread_count(void);

/** The name of a level: "reference", "generic", "neon", "avx2", "avx512", "avx512-bf16". */
const char *basin__isa_name(basin__isa isa);

/** Whether this processor can run a level. */
bool basin__isa_supported(basin__isa isa);

/**
 * Choose a level: by `name`, else by the environment's BASIN_CPU, else the best there is.
 * BASIN_ERROR_ARGUMENT for one that is unknown or that the processor lacks.
 */
basin_status basin__isa_choose(const char *name, basin__isa *out);

#endif
