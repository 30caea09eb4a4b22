/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fp32 kernels of one instruction set.
 *
 * A table starts as the portable one and is overwritten by what an instruction
 * set does better. All kernels of a table give the same bits for a row (or an
 * element) whatever the number of rows around it, so results do not depend on
 * tiles or threads.
 *
 * The convolution kernel knows no images. A row is any output pixel of any
 * example, reached by its own offset; a tap is a further offset, the same for
 * all rows, from which `run` consecutive floats are multiplied with `run` rows
 * of packed weights:
 *
 *     out[r, o] = start[o] + Σ_t Σ_k in[row[r] + tap[t] + k] · weight[t, k, o]
 *
 * This one form serves every kernel size and stride forward, and backward to
 * the input (a stride-s input gradient is s×s phases, each a stride-1
 * convolution with its own taps). Halos of zeros make bounds checks needless.
 */
#ifndef BASIN_BACKEND_CPU_KERNELS_H
#define BASIN_BACKEND_CPU_KERNELS_H

#include "backend/cpu/bits.h"
#include "graph/op.h"
#include <math.h>

/** Output channels a convolution call covers at most; blocks are this wide but for the last. */
#define BASIN__CONV_WIDTH 64
/** Rows a convolution call covers at most: a multiple of all micro-kernels' heights. */
#define BASIN__CONV_ROWS 48
/** Output channels that are few: they are summed over lanes, not side by side in them. */
#define BASIN__CONV_FEW 4
/** Channels are padded to this many floats (64 bytes), whatever the instruction set. */
#define BASIN__CHANNEL_UNIT 16

/** Either all floats, or inputs and weights halves, whose products are still summed as floats. */
typedef struct basin__conv_block {
    const void *in;
    const int32_t *row; /* [rows] offsets in numbers */
    int rows;           /* 1 … BASIN__CONV_ROWS */
    const int32_t *tap; /* [taps] offsets in numbers */
    int taps, run;      /* the run of halves is even, offsets are too */
    const void *weight; /* panels side by side: see `panel`; aligned to 64 bytes */
    bool is_half;
    const float *start; /* [width], aligned to 64 bytes: a bias; NULL: zeros */
    int width;          /* a multiple of BASIN__CHANNEL_UNIT, at most BASIN__CONV_WIDTH */
    float *out;         /* [rows, width], dense, aligned to 64 bytes; overwritten */
} basin__conv_block;

/**
 * The weight gradient of one tap list: for every tap t, k < run, o < width,
 *     out[t, k, o] += Σ_r in[row[r] + tap[t] + k] · gradient[gradient_row[r] + o]
 * summed in the order of r, starting from what out holds (so cutting the rows into several calls
 * changes no bit).
 */
typedef struct basin__conv_weight_block {
    const float *in;
    const int32_t *row; /* [rows] */
    const float *gradient;
    const int32_t *gradient_row; /* [rows] */
    int64_t rows;
    const int32_t *tap; /* [taps] */
    int taps, run;
    int width;   /* a multiple of BASIN__CHANNEL_UNIT, any size: channels of the gradient, padded */
    bool is_new; /* out holds nothing yet: as if it were zero */
    float *out;  /* [taps, run, width], aligned to 64 bytes */
} basin__conv_weight_block;

/** Points of a fast convolution along one axis (winograd.inc.h): the first n of these. */
#define BASIN__WINOGRAD_POINTS 6
static const double basin__winograd_point[BASIN__WINOGRAD_POINTS] = {HUGE_VAL, 0, 1, -1, 0.5, -2};

/**
 * A change of basis of one tile of a fast convolution, with the matrices of winograd.inc.h:
 *     in   out[i, j] = Σ_yx B[i, y] B[j, x] in[y, x]        points × points from as many numbers
 *     out  out[y, x] = start + Σ_ij ξ_i^y ξ_j^x in[i, j]    outputs from points × points
 *     spread  out[i, j] = Σ_yx ξ_i^y ξ_j^x in[y, x]         points × points from outputs
 * each for `channels` side by side; numbers lie at strides [between lines, between columns].
 */
typedef struct basin__winograd_tile {
    int points[2];  /* down, across: 3 … BASIN__WINOGRAD_POINTS */
    int outputs[2]; /* of out and spread: 2 … points − 1 */
    int channels;   /* a multiple of BASIN__CHANNEL_UNIT */
    const float *in;
    ptrdiff_t in_stride[2];
    float *out; /* disjoint from in; all aligned to 64 bytes, as all strides are */
    ptrdiff_t out_stride[2];
    const float *start;        /* out alone: [channels] of each output, may be `out`; NULL: zeros */
    ptrdiff_t start_stride[2]; /* 0: one for all outputs */
} basin__winograd_tile;

/** out[i] = f(a[i], b[i]; p, q); pointers equal or disjoint, aligned to 64, n a multiple of 16. */
typedef void basin__map(float *out, const float *a, const float *b, int64_t n, float p, float q);

/** Rows in memory, each at its own offset from `base`, in numbers, a multiple of 16. */
typedef struct basin__rows {
    void *base; /* floats or halves */
    const int32_t *row;
} basin__rows;

/** Where a random number is drawn: see rng/philox.h. */
typedef struct basin__draw {
    uint64_t seed;
    uint64_t draw;    /* 48 bits: counts from the run's start, never restarts */
    uint32_t chain;   /* global chain or example index */
    uint16_t purpose; /* basin__purpose in the low byte, attempt in the high byte */
} basin__draw;

typedef struct basin__cpu_kernels {
    /**
     * Output channels of a panel: a convolution's weights are cut into panels of so many, each
     * [taps, run, panel], the last one as narrow as what is left. Divides BASIN__CONV_WIDTH.
     * Halves lie in pairs: [taps, run / 2, panel, 2].
     */
    int panel;
    void (*conv)(const basin__conv_block *block);
    /**
     * The same in floats for 1 … BASIN__CONV_FEW outputs, where offsets and runs are multiples of
     * BASIN__CHANNEL_UNIT and `in` is aligned to 64 bytes: weights lie [outputs, taps, run], and
     * the block's width is BASIN__CHANNEL_UNIT, of which further channels become zeros.
     */
    void (*conv_few)(const basin__conv_block *block, int outputs);
    void (*conv_weight)(const basin__conv_weight_block *block);
    void (*winograd_in)(const basin__winograd_tile *tile);
    void (*winograd_out)(const basin__winograd_tile *tile);
    void (*winograd_spread)(const basin__winograd_tile *tile);
    /** Element by element; NULL for ops that are not (or have no kernel, and run as reference). */
    basin__map *map[BASIN__OP_COUNT];
    /** y = SiLU(x) and slope = SiLU'(x) in one pass; y or slope may be x itself. */
    void (*silu_both)(float *y, float *slope, const float *x, int64_t n);
    /** silu_both from a dense block [rows, width] to rows in memory, width a multiple of 16. */
    void (*silu_rows)(const basin__rows *y, const basin__rows *slope, const float *x, int rows,
                      int width);
    /** Rows of `out` = a dense block a [rows, width] · rows of b, element by element. */
    void (*mul_rows)(const basin__rows *out, const float *a, const basin__rows *b, int rows,
                     int width);
    /** out[r, c] = base[row[r] + c] for c < valid, 0 for valid ≤ c < width; width a multiple of 16.
     */
    void (*load_rows)(float *out, const float *base, const int32_t *row, int rows, int width,
                      int valid);
    /** base[row[r] + c] = in[r, c] for c < min(valid, width). */
    void (*store_rows)(float *base, const int32_t *row, const float *in, int rows, int width,
                       int valid);
    /*
     * The same with rows of halves, in which a stored number is rounded to the nearest, ties to
     * even: all channels are valid.
     */
    void (*silu_rows_half)(const basin__rows *y, const basin__rows *slope, const float *x, int rows,
                           int width);
    void (*mul_rows_half)(const basin__rows *out, const float *a, const basin__rows *b, int rows,
                          int width);
    void (*load_rows_half)(float *out, const basin__rows *from, int rows, int width);
    void (*store_rows_half)(const basin__rows *to, const float *in, int rows, int width);
    /** base[row[r] + i·line + j] += in[r, i·run + j] for i·run + j < count, rows in order. */
    void (*scatter_rows)(float *base, const int32_t *row, const float *in, int rows, int width,
                         int count, int run, ptrdiff_t line);
    /** Whole ops on strided views, f32: the reference kernel unless overwritten. */
    void (*run[BASIN__OP_COUNT])(const basin__op_call *call);
    /**
     * Standard normals [chains, count], for the draw's chain and those that follow it: each a pure
     * function of (draw, chain, element index).
     */
    void (*normal)(float *out, int64_t chains, int64_t count, const basin__draw *draw);
    /** `count` uniforms in [0, 1): a pure function of (draw, element index). */
    void (*uniform)(float *out, int64_t count, const basin__draw *draw);
    /* A chain's primitives on n floats, any n, no alignment asked. */
    void (*axpy)(float *y, float a, const float *x, int64_t n); /* y += a x */
    void (*clamp)(float *x, float low, float high, int64_t n);
    /** Reflect at the ends of [low, high], as often as needed, then clamp. */
    void (*reflect)(float *x, float low, float high, int64_t n);
    double (*dot)(const float *x, const float *y, int64_t n); /* in double, fixed order */
    bool (*all_finite)(const float *x, int64_t n);
    /**
     * Keep the fused multiply-add units busy in at least 12 independent chains for `iterations`
     * rounds; returns the floating-point operations done (2 a multiply-add).
     */
    double (*peak)(int64_t iterations);
} basin__cpu_kernels;

/** The table of an instruction set that this processor has; constant. */
const basin__cpu_kernels *basin__cpu_kernels_for(basin__isa isa);

#endif
