/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ordinary differential equations of a tile of chains by Dormand & Prince's method, each chain with
 * steps of its own: see adaptive.c.
 */
#ifndef BASIN_SAMPLER_ADAPTIVE_H
#define BASIN_SAMPLER_ADAPTIVE_H

#include "backend/cpu/kernels.h"

/** Room that the caller gives: float arrays [n, size], double arrays [n]. */
enum { BASIN__ADAPTIVE_SCRATCH = 8, BASIN__ADAPTIVE_NUMBERS = 12 };

typedef struct basin__adaptive basin__adaptive;
struct basin__adaptive {
    const basin__cpu_kernels *kernels;
    int n;
    int64_t size;
    float *x;      /* [n, size], in and out */
    double *extra; /* [n]: one coordinate more of each chain, in double; NULL: none */
    double from, to;
    double absolute, relative; /* error of a step allowed: absolute + relative |x| */
    int64_t evaluations_max;
    float *scratch;  /* [BASIN__ADAPTIVE_SCRATCH, n, size] */
    double *numbers; /* [BASIN__ADAPTIVE_NUMBERS, n] */
    /**
     * slope = dx/dt at points x, chain i at time t[i], and where there is an extra coordinate its
     * slope. Where one is not finite, the step that asked for it is tried again, shorter.
     */
    void (*derive)(void *user, const float *x, const double *t, float *slope, double *extra_slope);
    /** Told when a chain comes to its end, after so many evaluations; NULL: not wanted. */
    void (*arrive)(void *user, int chain, int64_t evaluations);
    void *user;
    int64_t evaluations; /* out: of the chain that needed most */
    bool is_undefined;   /* out: a last step led to where the slope is not finite */
};

typedef enum basin__adaptive_end {
    BASIN__ADAPTIVE_DONE,
    BASIN__ADAPTIVE_STOPPED,   /* a chain begins, or still was, where a slope is not finite */
    BASIN__ADAPTIVE_UNFINISHED /* a chain needs more than evaluations_max */
} basin__adaptive_end;

/** Walk all chains from `from` to `to`, up or down. Allocates nothing. */
basin__adaptive_end basin__adaptive_walk(basin__adaptive *walk);

#endif
