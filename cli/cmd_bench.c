/* SPDX-License-Identifier: Apache-2.0 */
/*
 * basin bench: times beside the processor's limit.
 *
 *   chain    a Langevin step: energy, gradient and update for all chains, fresh noise included
 *   update   a training update, all its chain steps and the parameter step, beside the time of one
 *            chain step measured in turn with it; without chains the parameter step alone
 *   small    steps of small networks on points, where a step takes microseconds
 *   scaling  a chain step on 1, 2, … threads beside the limit's own growth
 *
 * Operations are counted as 2 × multiply-adds of the direct convolutions, forward and backward to
 * the input (and to the weights in an update), whatever algorithm runs. The limit is measured
 * before and after, on all threads at once, by fused multiply-adds in independent chains; the
 * larger figure counts.
 */
#include "cli.h"
#include "energy/energy.h"
#include "progress.h"
#include "sampler/sampler.h"
#include "train/describe.h"
#include <stdlib.h>
#include <string.h>

typedef struct bench_options {
    char *network, *sampler, *objective, *shape;
    int64_t chains, rounds, seed;
    bool json;
} bench_options;

static const basin__option bench_table[] = {
    {"network", BASIN__OPTION_TEXT, offsetof(bench_options, network), "conv", 0, 0, NULL, NULL,
     "network whose chains are timed"},
    {"sampler", BASIN__OPTION_TEXT, offsetof(bench_options, sampler), "langevin", 0, 0, NULL, NULL,
     "sampler that advances them"},
    {"objective", BASIN__OPTION_TEXT, offsetof(bench_options, objective), "cd", 0, 0, NULL, NULL,
     "update: the training objective whose updates are timed"},
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

static const char *const kinds[] = {"network", "sampler", "objective", NULL};
static const char *const examples[] = {
    "basin bench chain --network conv --base-channels 64 --shape 28x28x1 --chains 128 --n-steps 8",
    "the seed network's step",
    "basin bench update --base-channels 64",
    "a training update of 60 steps beside the time of a step",
    "basin bench update --objective diffusion --network unet --norm-groups 8 --chains 64",
    "a training update of denoising at many noise levels",
    "basin bench small --json",
    "steps of small networks on points",
    "basin bench scaling --base-channels 64 --n-steps 8",
    "one thread and all of them",
    NULL};

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
        double start = basin__seconds(), sum = 0;
        basin__parallel(context, threads, run_peak, &run);
        double seconds = basin__seconds() - start;
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

/** Median, least and most of some times. */
typedef struct spread {
    double median, least, most;
} spread;

static spread spread_of(double *times, int64_t count) {
    qsort(times, (size_t)count, sizeof *times, compare);
    return (spread){times[count / 2], times[0], times[count - 1]};
}

/** What all benchmarks need: made by start(), freed by finish(). */
typedef struct bench {
    basin_context *context;
    const bench_options *options;
    const basin__cpu_kernels *kernels;
    double *step_s, *update_s; /* [rounds] */
    float *x;                  /* chains */
    double peak;               /* GFLOP/s */
    bool is_fast;              /* some convolutions take fewer multiplications */
} bench;

static void finish(bench *b) {
    basin__free(b->context, b->step_s);
    basin__free(b->context, b->update_s);
    basin__free(b->context, b->x);
}

static basin_status start(basin_context *context, const bench_options *options, int64_t chains,
                          int64_t size, bench *b) {
    *b = (bench){.context = context,
                 .options = options,
                 .kernels = basin__cpu_kernels_for(basin__context_isa(context))};
    size_t rounds = (size_t)options->rounds;
    b->step_s = basin__alloc_array(context, rounds, sizeof(double));
    b->update_s = basin__alloc_array(context, rounds, sizeof(double));
    b->x = basin__alloc_array(context, (size_t)(chains * size), sizeof(float));
    if (b->step_s && b->update_s && b->x) {
        b->peak = measure_peak(context, b->kernels);
        return BASIN_OK;
    }
    finish(b);
    return BASIN_ERROR_MEMORY;
}

static void measure_peak_again(bench *b) {
    const double after = measure_peak(b->context, b->kernels);
    b->peak = after > b->peak ? after : b->peak;
}

/** Seconds a step of one run of chains. */
static basin_status time_steps(bench *b, basin__chain_run *run, int64_t chains, double *step_s) {
    const int64_t steps = run->sampler->steps(run->options);
    const double begin = basin__seconds();
    BASIN_TRY(basin__chains_run(run, chains, b->x));
    *step_s = (basin__seconds() - begin) / (double)steps;
    run->first_draw += (uint64_t)steps;
    return BASIN_OK;
}

/** The end of a line, or of a JSON object: the rate beside the limit, and on what. */
static void print_rate(const bench *b, double gflops) {
    const char *isa = basin_context_isa(b->context);
    const int threads = basin_context_thread_count(b->context);
    const char *precision = basin_context_precision(b->context);
    const char *algorithm = b->is_fast ? "fast" : "direct";
    if (b->options->json)
        printf("\"gflops\": %.2f, \"peak_gflops\": %.2f, \"share_of_peak\": %.4f, "
               "\"algorithm\": \"%s\", \"threads\": %d, \"precision\": \"%s\", "
               "\"isa\": \"%s\"}\n",
               gflops, b->peak, gflops / b->peak, algorithm, threads, precision, isa);
    else
        printf("%.1f GFLOP/s, %.1f %% of a measured peak of %.1f (%s, %s, %s, %d thread%s)\n",
               gflops, 100 * gflops / b->peak, b->peak, algorithm, precision, isa, threads,
               threads == 1 ? "" : "s");
}

/** One line about a chain step, or one JSON object; `text` or `keys` come first. */
static void print_steps(const bench *b, const char *text, const char *keys, spread s,
                        double flops) {
    if (b->options->json)
        printf("{%s\"time_ms_per_step\": %.5f, \"time_ms_min\": %.5f, \"time_ms_max\": %.5f, "
               "\"flops_per_step\": %.0f, ",
               keys, 1e3 * s.median, 1e3 * s.least, 1e3 * s.most, flops);
    else
        printf("%s%.4g ms a step (%.4g to %.4g), ", text, 1e3 * s.median, 1e3 * s.least,
               1e3 * s.most);
    print_rate(b, flops / s.median / 1e9);
}

/** Time chains of an energy and print them. The first run warms up and is not counted. */
static basin_status time_chains(basin_context *context, const bench_options *options,
                                basin__chain_run run, int64_t chains, const char *text,
                                const char *keys) {
    bench b;
    BASIN_TRY(start(context, options, chains, basin_shape_count(run.energy->shape), &b));
    basin_status status = time_steps(&b, &run, chains, &b.step_s[0]);
    for (int64_t i = 0; status == BASIN_OK && i < options->rounds; i++)
        status = time_steps(&b, &run, chains, &b.step_s[i]);
    if (status == BASIN_OK) {
        const basin__plan_facts facts = basin__plan_describe(basin__energy_chain_plan(run.energy));
        b.is_fast = facts.fast_count > 0;
        measure_peak_again(&b);
        print_steps(&b, text, keys, spread_of(b.step_s, options->rounds),
                    facts.flops * (double)chains);
    }
    finish(&b);
    return status;
}

/* ---- what the options say ---- */

static basin_status make_energy(basin__command *command, basin_context *context, basin_shape shape,
                                basin_energy **out) {
    const bench_options *options = command->options;
    json_t *settings = json_object();
    basin_status status =
        settings
            ? basin__options_to_json(context, basin__command_group(command, "network"), settings)
            : BASIN_ERROR_MEMORY;
    char *text = status == BASIN_OK ? json_dumps(settings, JSON_COMPACT) : NULL;
    json_decref(settings);
    if (status == BASIN_OK)
        status = basin_energy_create(context, options->network, text, shape.height, shape.width,
                                     shape.channels, (uint64_t)options->seed, out);
    free(text);
    return status;
}

/** The sampler that was chosen, with its options; checked. */
static basin_status make_run(basin__command *command, basin_context *context,
                             basin__chain_run *run) {
    const bench_options *options = command->options;
    const basin__option_group *group = basin__command_group(command, "sampler");
    *run = (basin__chain_run){
        .sampler = basin__sampler_find(basin__command_choice(command, "sampler").name),
        .options = group->values,
        .seed = (uint64_t)options->seed};
    BASIN_TRY(basin__sampler_check(context, run->sampler, group));
    if (run->sampler->steps(run->options) > 0)
        return BASIN_OK;
    return basin__fail(context, BASIN_ERROR_CONFIG, "n-steps 0: there is no step to time");
}

static basin_status bench_chain(basin__command *command, basin_context *context,
                                basin_shape shape) {
    const bench_options *options = command->options;
    basin__chain_run run;
    BASIN_TRY(make_run(command, context, &run));
    BASIN_TRY(make_energy(command, context, shape, &run.energy));
    basin_status status = time_chains(context, options, run, options->chains, "", "");
    basin_energy_destroy(run.energy);
    return status;
}

/* ---- scaling ---- */

static basin_status bench_scaling(basin__command *command, basin_shape shape) {
    const int most = basin_context_thread_count(command->context);
    basin_status status = BASIN_OK;
    for (int threads = 1; status == BASIN_OK && threads <= most;
         threads = threads == most || 2 * threads < most ? 2 * threads : most) {
        basin_context_options options;
        basin_context_options_init(&options);
        options.thread_count = threads;
        options.exact_convolution = command->exact_convolution;
        options.precision = (basin_precision)command->precision;
        options.isa = basin_context_isa(command->context);
        basin_context *context;
        status = basin_context_create(&options, &context);
        if (status != BASIN_OK)
            return basin__fail(command->context, status, "no context of %d threads", threads);
        status = bench_chain(command, context, shape);
        if (status != BASIN_OK)
            basin__fail(command->context, status, "%s", basin_context_error(context));
        basin_context_destroy(context);
    }
    return status;
}

/* ---- small problems ---- */

static basin_status bench_small(basin__command *command) {
    static const struct {
        const char *network, *text, *keys;
        int64_t chains;
    } cases[] = {
        {"{\"hidden\": [128, 128]}",
         "2-128-128-1, 256 chains: ", "\"hidden\": [128, 128], \"chains\": 256, ", 256},
        {"{\"hidden\": [64, 64]}",
         "2-64-64-1, 64 chains: ", "\"hidden\": [64, 64], \"chains\": 64, ", 64},
        {"{\"hidden\": [64, 64]}",
         "2-64-64-1, 16 chains: ", "\"hidden\": [64, 64], \"chains\": 16, ", 16},
    };
    const bench_options *options = command->options;
    basin_context *context = command->context;
    basin_status status = BASIN_OK;
    for (size_t i = 0; status == BASIN_OK && i < BASIN_COUNT(cases); i++) {
        basin__chain_run run;
        BASIN_TRY(make_run(command, context, &run));
        BASIN_TRY(basin_energy_create(context, "mlp", cases[i].network, 1, 1, 2,
                                      (uint64_t)options->seed, &run.energy));
        status = time_chains(context, options, run, cases[i].chains, cases[i].text, cases[i].keys);
        basin_energy_destroy(run.energy);
    }
    return status;
}

/* ---- updates ---- */

/** Chain steps beside the update that holds them. */
static void print_update_steps(const bench *b, double update_s, const basin__run_facts *facts) {
    const double step_s = spread_of(b->step_s, b->options->rounds).median;
    if (b->options->json)
        printf("\"time_ms_per_step\": %.5f, \"chain_steps\": %lld, \"update_in_steps\": %.2f, ",
               1e3 * step_s, (long long)facts->chain_steps, update_s / step_s);
    else
        printf("%.1f times a chain step of %.4g ms\n", update_s / step_s, 1e3 * step_s);
}

static void print_updates(const bench *b, bool has_chains, const basin__run_facts *facts) {
    const double flops = facts->step_flops * (double)facts->chain_steps + facts->loss_flops;
    const spread update = spread_of(b->update_s, b->options->rounds);
    if (b->options->json)
        printf("{\"time_s_per_update\": %.5f, \"time_s_min\": %.5f, \"time_s_max\": %.5f, ",
               update.median, update.least, update.most);
    else if (has_chains)
        printf("%.4g s an update of %lld chain steps and the parameter step (%.4g to %.4g), ",
               update.median, (long long)facts->chain_steps, update.least, update.most);
    else
        printf("%.4g s an update without chains (%.4g to %.4g), ", update.median, update.least,
               update.most);
    if (has_chains)
        print_update_steps(b, update.median, facts);
    print_rate(b, flops / update.median / 1e9);
}

/** Updates and, where they have chains, runs of these in turn: both see the same machine. */
static basin_status time_updates(bench *b, basin__trainer *trainer, basin__chain_run *run) {
    basin__run_facts facts;
    BASIN_TRY(basin__trainer_describe(trainer, &facts));
    BASIN_TRY(basin__trainer_update(trainer)); /* warms up */
    for (int64_t i = 0; i < b->options->rounds; i++) {
        if (trainer->has_chains)
            BASIN_TRY(time_steps(b, run, trainer->batch, &b->step_s[i]));
        const double begin = basin__seconds();
        BASIN_TRY(basin__trainer_update(trainer));
        b->update_s[i] = basin__seconds() - begin;
    }
    const basin__plan *plan =
        trainer->has_chains ? basin__energy_chain_plan(trainer->energy) : trainer->loss->plan;
    b->is_fast = basin__plan_describe(plan).fast_count > 0;
    measure_peak_again(b);
    print_updates(b, trainer->has_chains, &facts);
    return BASIN_OK;
}

/** Classes in turn for a network that knows classes; NULL where it knows none. */
static basin_status make_labels(basin_context *context, const json_t *settings, int64_t count,
                                int **labels) {
    const json_int_t classes = json_integer_value(json_object_get(settings, "classes")) +
                               json_integer_value(json_object_get(settings, "logits"));
    *labels = NULL;
    if (classes <= 0)
        return BASIN_OK;
    *labels = basin__alloc_array(context, (size_t)count, sizeof **labels);
    if (*labels == NULL)
        return BASIN_ERROR_MEMORY;
    for (int64_t i = 0; i < count; i++)
        (*labels)[i] = (int)(i % classes);
    return BASIN_OK;
}

/** A trainer of what was chosen, on noise; other settings are the defaults. */
static basin_status make_trainer(basin__command *command, basin_shape shape, float *noise,
                                 basin_data **data, basin__trainer **out) {
    const bench_options *options = command->options;
    basin_context *context = command->context;
    basin__chains_start(context, (uint64_t)options->seed, 0, 0, 0, 0, 1, options->chains,
                        basin_shape_count(shape), noise);
    json_t *settings = json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:I}", "preset", "default", "network", options->network,
        "sampler", basin__command_choice(command, "sampler").name, "objective", options->objective,
        "batch", (json_int_t)options->chains, "seed", (json_int_t)options->seed);
    basin_status status = settings ? BASIN_OK : BASIN_ERROR_MEMORY;
    for (size_t i = 0; status == BASIN_OK && kinds[i] != NULL; i++)
        status = basin__options_given_to_json(context, basin__command_group(command, kinds[i]),
                                              settings);
    const bool is_image = shape.height > 1 || shape.width > 1;
    int *labels = NULL;
    if (status == BASIN_OK)
        status = make_labels(context, settings, options->chains, &labels);
    if (status == BASIN_OK)
        status = basin_data_from_memory(context, "noise", options->chains, shape.height,
                                        shape.width, shape.channels, is_image, noise, labels, data);
    basin__free(context, labels);
    if (status == BASIN_OK)
        status = basin__trainer_create(context, settings, *data, *data, out);
    json_decref(settings);
    return status;
}

/** Whether a kind's choice, or an option of what is chosen, was given. */
static bool is_given(basin__command *command, const char *kind) {
    return basin__command_is_given(command, kind) ||
           basin__command_group(command, kind)->is_set != 0;
}

/** The chains of a trainer's updates, where it has them. */
static basin_status make_update_run(basin__command *command, const basin__trainer *trainer,
                                    basin__chain_run *run) {
    if (!trainer->has_chains && is_given(command, "sampler"))
        return basin__fail(command->context, BASIN_ERROR_CONFIG,
                           "objective %s has no chains: leave --sampler and its options away",
                           trainer->config.objective->name);
    if (!trainer->has_chains && command->precision != BASIN_PRECISION_FP32)
        return basin__fail(command->context, BASIN_ERROR_CONFIG,
                           "--precision is that of chains, and objective %s runs none: leave it "
                           "away",
                           trainer->config.objective->name);
    if (!trainer->has_chains)
        return BASIN_OK;
    BASIN_TRY(make_run(command, command->context, run));
    run->energy = trainer->energy;
    return BASIN_OK;
}

static basin_status bench_update(basin__command *command, basin_shape shape) {
    const bench_options *options = command->options;
    basin__chain_run run = {0};
    basin_data *data = NULL;
    basin__trainer *trainer = NULL;
    bench b;
    BASIN_TRY(start(command->context, options, options->chains, basin_shape_count(shape), &b));
    basin_status status = make_trainer(command, shape, b.x, &data, &trainer);
    if (status == BASIN_OK)
        status = make_update_run(command, trainer, &run);
    if (status == BASIN_OK)
        status = time_updates(&b, trainer, &run);
    basin__trainer_destroy(trainer);
    basin_data_close(data);
    finish(&b);
    return status;
}

static int run(basin__command *command) {
    const bench_options *options = command->options;
    const char *name = command->arguments[0];
    basin_shape shape;
    if (!parse_shape(options->shape, &shape))
        return basin__command_usage(command,
                                    "--shape %.200s: expected HEIGHTxWIDTHxCHANNELS or one number",
                                    options->shape);
    if (strcmp(name, "update") != 0 && is_given(command, "objective"))
        return basin__command_usage(command,
                                    "only update trains: leave --objective and its options away");
    basin_status status;
    if (strcmp(name, "chain") == 0)
        status = bench_chain(command, command->context, shape);
    else if (strcmp(name, "update") == 0)
        status = bench_update(command, shape);
    else if (strcmp(name, "small") == 0)
        status = bench_small(command);
    else if (strcmp(name, "scaling") == 0)
        status = bench_scaling(command, shape);
    else
        return basin__command_usage(
            command, "unknown benchmark \"%s\": there are chain, update, small and scaling", name);
    return status == BASIN_OK ? BASIN__EXIT_OK : basin__command_fail(command, status);
}

const basin__verb basin__verb_bench = {
    .name = "bench",
    .help = "time chains and updates beside the processor's limit",
    .about = "chain: a step is energy, gradient and update for all chains, with fresh noise. "
             "update: all chain steps of a training update and its parameter step, beside a chain "
             "step; the parameter step alone where the objective has no chains. small: steps of "
             "small networks on points; network, shape and chains are given. "
             "scaling: chain on 1, 2, 4 ... threads. Operations are counted for direct "
             "convolutions, forward and backward.",
    .positional = "chain|update|small|scaling",
    .positional_min = 1,
    .positional_max = 1,
    .options = bench_table,
    .option_count = BASIN_COUNT(bench_table),
    .options_bytes = sizeof(bench_options),
    .kinds = kinds,
    .examples = examples,
    .runs_chains = true,
    .run = run,
};
