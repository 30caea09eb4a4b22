/* SPDX-License-Identifier: Apache-2.0 */
/*
 * basin bench chain: the time of a Langevin step beside the processor's limit.
 *
 * A step is energy, gradient and update for all chains, fresh noise and clamp
 * included. Operations are counted as 2 × multiply-adds of the direct
 * convolutions, forward and backward to the input, whatever algorithm runs. The
 * limit is measured before and after, on all threads at once, by fused
 * multiply-adds in independent chains; the larger figure counts.
 */
#include "cli.h"
#include "energy/energy.h"
#include "sampler/sampler.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct bench_options {
    char *network, *sampler, *shape;
    int64_t chains, rounds, seed;
    bool json;
} bench_options;

static const basin__option bench_table[] = {
    {"network", BASIN__OPTION_TEXT, offsetof(bench_options, network), "conv", 0, 0, NULL, NULL,
     "network whose chains are timed"},
    {"sampler", BASIN__OPTION_TEXT, offsetof(bench_options, sampler), "langevin", 0, 0, NULL, NULL,
     "sampler that advances them"},
    {"shape", BASIN__OPTION_TEXT, offsetof(bench_options, shape), "28x28x1", 0, 0, NULL, NULL,
     "height x width x channels of an example; one number: points of that dimension"},
    {"chains", BASIN__OPTION_INT, offsetof(bench_options, chains), "128", 1, 1e7, NULL, "chains",
     "chains that run side by side"},
    {"rounds", BASIN__OPTION_INT, offsetof(bench_options, rounds), "5", 1, 1000, NULL, "rounds",
     "repetitions; the median counts"},
    {"seed", BASIN__OPTION_INT, offsetof(bench_options, seed), "0", 0, 9e15, NULL, NULL,
     "seed of parameters and noise"},
    {"json", BASIN__OPTION_FLAG, offsetof(bench_options, json), NULL, 0, 0, NULL, NULL,
     "print one JSON object"},
};

static const char *const kinds[] = {"network", "sampler", NULL};
static const char *const examples[] = {
    "basin bench chain --network conv --base-channels 64 --shape 28x28x1 --chains 128 --n-steps 8",
    "the seed network's step", NULL};

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct peak_run {
    const basin__cpu_kernels *kernels;
    double flops[256];
} peak_run;

static void run_peak(void *user, int64_t index, int worker) {
    peak_run *run = user;
    (void)worker;
    run->flops[index] = run->kernels->peak(3000000);
}

/** Fused multiply-adds of all threads together, in GFLOP/s; the best of three. */
static double measure_peak(basin_context *context, const basin__cpu_kernels *kernels) {
    int threads = basin_context_thread_count(context);
    if (threads > 256)
        threads = 256;
    double best = 0;
    for (int repeat = 0; repeat < 3; repeat++) {
        peak_run run = {.kernels = kernels};
        double start = now_s(), sum = 0;
        basin__parallel(context, threads, run_peak, &run);
        double seconds = now_s() - start;
        for (int i = 0; i < threads; i++)
            sum += run.flops[i];
        if (sum / seconds / 1e9 > best)
            best = sum / seconds / 1e9;
    }
    return best;
}

static bool parse_shape(const char *text, basin_shape *shape) {
    long d[3] = {0, 0, 0};
    int count = 0;
    for (const char *at = text; count < 3;) {
        char *end;
        d[count] = strtol(at, &end, 10);
        if (end == at || d[count] < 1 || d[count] > 65536)
            return false;
        count++;
        if (*end == '\0')
            break;
        if (*end != 'x' || count == 3)
            return false;
        at = end + 1;
    }
    if (count == 1)
        *shape = basin_shape_vector((int)d[0]);
    else if (count == 3)
        *shape = basin_shape_image((int)d[0], (int)d[1], (int)d[2]);
    return count != 2;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct bench_result {
    double time_ms, time_ms_min, time_ms_max, gflops, peak, flops;
} bench_result;

static basin_status time_chains(basin__command *command, basin_energy *energy,
                                bench_result *result) {
    const bench_options *options = command->options;
    basin_context *context = command->context;
    const basin__sampler_def *sampler =
        basin__sampler_find(basin__command_choice(command, "sampler").name);
    const basin__option_group *group = basin__command_group(command, "sampler");
    const void *settings = group->values;
    BASIN_TRY(basin__sampler_check(context, sampler, group));
    int64_t n = options->chains, size = basin_shape_count(energy->shape);
    float *x = basin__alloc_array(context, (size_t)(n * size), sizeof *x);
    double *times = basin__alloc_array(context, (size_t)options->rounds, sizeof *times);
    const basin__cpu_kernels *kernels = basin__cpu_kernels_for(basin__context_isa(context));
    basin_status status = x && times ? BASIN_OK : BASIN_ERROR_MEMORY;
    if (status == BASIN_OK)
        result->peak = measure_peak(context, kernels);
    basin__chain_run run = {
        .sampler = sampler, .options = settings, .energy = energy, .seed = (uint64_t)options->seed};
    /* The first run warms up and is not counted. */
    for (int64_t round = -1; status == BASIN_OK && round < options->rounds; round++) {
        double start = now_s();
        status = basin__chains_run(&run, n, x);
        run.first_draw += (uint64_t)sampler->steps(settings);
        if (round >= 0)
            times[round] = (now_s() - start) * 1e3 / (double)sampler->steps(settings);
    }
    if (status == BASIN_OK) {
        double after = measure_peak(context, kernels);
        result->peak = after > result->peak ? after : result->peak;
        qsort(times, (size_t)options->rounds, sizeof *times, compare);
        result->time_ms = times[options->rounds / 2];
        result->time_ms_min = times[0];
        result->time_ms_max = times[options->rounds - 1];
        result->flops = basin__plan_describe(energy->gradient_plan).flops * (double)n;
        result->gflops = result->flops / result->time_ms / 1e6;
    }
    basin__free(context, x);
    basin__free(context, times);
    return status;
}

static void print_result(const basin__command *command, const bench_result *result) {
    const bench_options *options = command->options;
    const char *isa = basin_context_isa(command->context);
    int threads = basin_context_thread_count(command->context);
    if (options->json)
        printf("{\"time_ms_per_step\": %.4f, \"time_ms_min\": %.4f, \"time_ms_max\": %.4f, "
               "\"gflops\": %.2f, \"peak_gflops\": %.2f, \"share_of_peak\": %.4f, "
               "\"flops_per_step\": %.0f, \"algorithm\": \"direct\", \"threads\": %d, "
               "\"precision\": \"fp32\", \"isa\": \"%s\"}\n",
               result->time_ms, result->time_ms_min, result->time_ms_max, result->gflops,
               result->peak, result->gflops / result->peak, result->flops, threads, isa);
    else
        printf("%.3f ms a step (%.3f to %.3f), %.1f GFLOP/s of a measured peak of %.1f: %.1f %%\n"
               "%lld chains, direct convolutions, fp32, %s, %d thread%s\n",
               result->time_ms, result->time_ms_min, result->time_ms_max, result->gflops,
               result->peak, 100 * result->gflops / result->peak, (long long)options->chains, isa,
               threads, threads == 1 ? "" : "s");
}

static int run(basin__command *command) {
    const bench_options *options = command->options;
    if (strcmp(command->arguments[0], "chain") != 0)
        return basin__command_usage(command, "unknown benchmark \"%s\": there is chain",
                                    command->arguments[0]);
    basin_shape shape;
    if (!parse_shape(options->shape, &shape))
        return basin__command_usage(command,
                                    "--shape %.200s: expected HEIGHTxWIDTHxCHANNELS or one number",
                                    options->shape);
    basin__option_group *group = basin__command_group(command, "network");
    json_t *settings = json_object();
    basin_status status =
        settings ? basin__options_to_json(command->context, group, settings) : BASIN_ERROR_MEMORY;
    char *text = status == BASIN_OK ? json_dumps(settings, JSON_COMPACT) : NULL;
    json_decref(settings);
    basin_energy *energy = NULL;
    if (status == BASIN_OK)
        status = basin_energy_create(command->context, options->network, text, shape.height,
                                     shape.width, shape.channels, (uint64_t)options->seed, &energy);
    free(text);
    bench_result result = {0};
    if (status == BASIN_OK)
        status = time_chains(command, energy, &result);
    if (status == BASIN_OK)
        print_result(command, &result);
    basin_energy_destroy(energy);
    return status == BASIN_OK ? BASIN__EXIT_OK : basin__command_fail(command, status);
}

const basin__verb basin__verb_bench = {
    .name = "bench",
    .help = "time chains beside the processor's limit",
    .about = "A step is energy, gradient and update for all chains, with fresh noise. Operations "
             "are counted for direct convolutions, forward and backward to the input.",
    .positional = "chain",
    .positional_min = 1,
    .positional_max = 1,
    .options = bench_table,
    .option_count = BASIN_COUNT(bench_table),
    .options_bytes = sizeof(bench_options),
    .kinds = kinds,
    .examples = examples,
    .run = run,
};
