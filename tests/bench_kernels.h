/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times the kernels of a table. Rates are shares of the multiply-add peak
 * measured between its rounds, both the best of all rounds: what else runs on
 * the machine only ever slows them.
 */
#ifndef BASIN_TESTS_BENCH_KERNELS_H
#define BASIN_TESTS_BENCH_KERNELS_H

#include "backend/cpu/kernels.h"
#include "base/cpu.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BENCH_ROUNDS 100

static double bench_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double bench_best(const double *numbers) {
    double best = 0;
    for (int i = 0; i < BENCH_ROUNDS; i++)
        best = numbers[i] > best ? numbers[i] : best;
    return best;
}

static float *bench_floats(size_t n) {
    float *made = aligned_alloc(64, (n + 31) / 16 * 16 * sizeof *made);
    for (size_t i = 0; made && i < n; i++)
        made[i] = (float)(i * 2654435761u % 1000) / 1000.0f - 0.5f;
    return made;
}

/** Floating-point operations a second of `work`, which returns how many it did. */
static double bench_rate(double (*work)(const basin__cpu_kernels *kernels, void *with),
                         const basin__cpu_kernels *kernels, void *with, double *peak) {
    double rates[BENCH_ROUNDS], peaks[BENCH_ROUNDS];
    for (int round = 0; round < BENCH_ROUNDS; round++) {
        double start = bench_now(), done = kernels->peak(40000);
        peaks[round] = done / (bench_now() - start);
        start = bench_now();
        done = 0;
        do
            done += work(kernels, with);
        while (bench_now() - start < 4e-4);
        rates[round] = done / (bench_now() - start);
    }
    *peak = bench_best(peaks);
    return bench_best(rates);
}

static double bench_conv_work(const basin__cpu_kernels *kernels, void *with) {
    const basin__conv_block *block = with;
    basin__conv_block at = *block;
    int calls = 0;
    for (; calls < 16; calls++) { /* an image's blocks one after another */
        kernels->conv(&at);
        at.in = (const float *)at.in + (ptrdiff_t)block->rows * block->run / block->taps;
    }
    return 2.0 * calls * block->rows * block->taps * block->run * block->width;
}

static double bench_weight_work(const basin__cpu_kernels *kernels, void *with) {
    const basin__conv_weight_block *block = with;
    kernels->conv_weight(block);
    return 2.0 * (double)block->rows * block->taps * block->run * block->width;
}

/** taps × run × width over rows that overlap as an image's do. */
static void bench_conv(const basin__cpu_kernels *kernels, int taps, int run, int width, int rows) {
    const int32_t step = run / taps > 0 ? run / taps : 1, line = 16 * step;
    float *in = bench_floats((size_t)(17 * rows * run + taps * line + run));
    float *weight = bench_floats((size_t)taps * (size_t)run * (size_t)width);
    float *out = bench_floats((size_t)(rows * width));
    int32_t row[BASIN__CONV_ROWS], tap[32];
    for (int r = 0; r < rows; r++)
        row[r] = r * step;
    for (int t = 0; t < taps; t++)
        tap[t] = t * line;
    basin__conv_block block = {in, row, rows, tap, taps, run, weight, false, NULL, width, out};
    double peak, rate = bench_rate(bench_conv_work, kernels, &block, &peak);
    printf("  conv        %2d x %3d x %3d, %3d rows  %6.1f GFLOP/s  %.3f of peak\n", taps, run,
           width, rows, rate * 1e-9, rate / peak);
    free(in);
    free(weight);
    free(out);
}

static void bench_weight(const basin__cpu_kernels *kernels, int taps, int run, int width,
                         int rows) {
    const int32_t step = run / taps > 0 ? run / taps : 1, line = 16 * step;
    float *in = bench_floats((size_t)(rows * step + taps * line + run));
    float *gradient = bench_floats((size_t)(rows * width));
    float *out = bench_floats((size_t)taps * (size_t)run * (size_t)width);
    int32_t row[1024], gradient_row[1024], tap[32];
    for (int r = 0; r < rows; r++) {
        row[r] = r * step;
        gradient_row[r] = r * width;
    }
    for (int t = 0; t < taps; t++)
        tap[t] = t * line;
    basin__conv_weight_block block = {.in = in,
                                      .row = row,
                                      .gradient = gradient,
                                      .gradient_row = gradient_row,
                                      .rows = rows,
                                      .tap = tap,
                                      .taps = taps,
                                      .run = run,
                                      .width = width,
                                      .out = out};
    double peak, rate = bench_rate(bench_weight_work, kernels, &block, &peak);
    printf("  conv_weight %2d x %3d x %3d, %3d rows  %6.1f GFLOP/s  %.3f of peak\n", taps, run,
           width, rows, rate * 1e-9, rate / peak);
    free(in);
    free(gradient);
    free(out);
}

#define BENCH_FLOATS 3072 /* what the executor maps at once: 48 rows of 64 channels */

typedef struct bench_buffers {
    float *out, *a, *b;
    basin__op op;
} bench_buffers;

static double bench_map_work(const basin__cpu_kernels *kernels, void *with) {
    const bench_buffers *use = with;
    for (int i = 0; i < 50; i++)
        kernels->map[use->op](use->out, use->a, use->b, BENCH_FLOATS, 0.5f, 1.0f);
    return 50.0 * BENCH_FLOATS;
}

static double bench_silu_work(const basin__cpu_kernels *kernels, void *with) {
    const bench_buffers *use = with;
    for (int i = 0; i < 50; i++)
        kernels->silu_both(use->out, use->b, use->a, BENCH_FLOATS);
    return 50.0 * BENCH_FLOATS;
}

static double bench_normal_work(const basin__cpu_kernels *kernels, void *with) {
    const bench_buffers *use = with;
    basin__draw draw = {.seed = 1};
    for (; draw.draw < 10; draw.draw++)
        kernels->normal(use->out, 1, BENCH_FLOATS, &draw);
    return 10.0 * BENCH_FLOATS;
}

static double bench_uniform_work(const basin__cpu_kernels *kernels, void *with) {
    const bench_buffers *use = with;
    basin__draw draw = {.seed = 1};
    for (; draw.draw < 10; draw.draw++)
        kernels->uniform(use->out, BENCH_FLOATS, &draw);
    return 10.0 * BENCH_FLOATS;
}

static void bench_floatwise(const basin__cpu_kernels *kernels, const char *name,
                            double (*work)(const basin__cpu_kernels *, void *),
                            bench_buffers *use) {
    double peak, rate = bench_rate(work, kernels, use, &peak);
    printf("  %-11s %6.3f ns a float, the time of %5.0f operations at the peak\n", name, 1e9 / rate,
           peak / rate);
}

static void bench_table(const basin__cpu_kernels *kernels) {
    static const int conv[][3] = {{3, 3, 64},   {4, 256, 64}, {3, 192, 64}, {2, 256, 64},
                                  {2, 128, 64}, {1, 64, 16},  {3, 3, 16},   {4, 64, 16},
                                  {3, 48, 16},  {2, 32, 16},  {3, 3, 32},   {4, 128, 32},
                                  {3, 96, 32},  {4, 192, 48}};
    static const int weight[][4] = {{3, 3, 64, 784},   {4, 256, 64, 196},  {3, 192, 128, 196},
                                    {4, 512, 128, 49}, {4, 512, 128, 784}, {3, 3, 16, 784},
                                    {4, 64, 16, 196},  {3, 48, 32, 196},   {4, 128, 32, 49}};
    static const char *const names[] = {"add", "mul", "exp", "log", "sigmoid", "silu", "tanh"};
    static const basin__op ops[] = {BASIN__OP_add,     BASIN__OP_mul,  BASIN__OP_exp, BASIN__OP_log,
                                    BASIN__OP_sigmoid, BASIN__OP_silu, BASIN__OP_tanh};
    for (int isa = 0; isa < BASIN__ISA_COUNT; isa++)
        if (basin__cpu_kernels_for((basin__isa)isa) == kernels)
            printf("%s\n", basin__isa_name((basin__isa)isa));
    for (size_t i = 0; i < BASIN_COUNT(conv); i++)
        bench_conv(kernels, conv[i][0], conv[i][1], conv[i][2], BASIN__CONV_ROWS);
    for (size_t i = 0; i < BASIN_COUNT(weight); i++)
        bench_weight(kernels, weight[i][0], weight[i][1], weight[i][2], weight[i][3]);
    bench_buffers use = {bench_floats(BENCH_FLOATS), bench_floats(BENCH_FLOATS),
                         bench_floats(BENCH_FLOATS), BASIN__OP_add};
    for (size_t i = 0; i < BASIN_COUNT(ops); i++) {
        use.op = ops[i];
        if (kernels->map[use.op])
            bench_floatwise(kernels, names[i], bench_map_work, &use);
    }
    bench_floatwise(kernels, "silu_both", bench_silu_work, &use);
    bench_floatwise(kernels, "normal", bench_normal_work, &use);
    bench_floatwise(kernels, "uniform", bench_uniform_work, &use);
    free(use.out);
    free(use.a);
    free(use.b);
}

#endif
