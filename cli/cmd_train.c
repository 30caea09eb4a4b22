/* SPDX-License-Identifier: Apache-2.0 */
/*
 * basin train: from a data set to a run folder with a model.
 *
 * Only what the user gave is handed on; presets and defaults are the library's to fill in, since a
 * preset stands between the two.
 */
#include "cli.h"
#include "progress.h"
#include "train/describe.h"
#include "train/loop.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

typedef struct train_options {
    basin__train_values train; /* first: options.def's offsets are in it */
    char *out, *resume;
    bool force, dry_run;
} train_options;

static const basin__option table[] = {
    {"out", BASIN__OPTION_TEXT, offsetof(train_options, out), "run", 0, 0, NULL, NULL,
     "Run folder to write; it must be empty or not there"},
    {"resume", BASIN__OPTION_TEXT, offsetof(train_options, resume), NULL, 0, 0, NULL, NULL,
     "Run folder to go on with, from its latest checkpoint"},
    {"force", BASIN__OPTION_FLAG, offsetof(train_options, force), NULL, 0, 0, NULL, NULL,
     "Replace the run that is in the folder"},
    {"dry-run", BASIN__OPTION_FLAG, offsetof(train_options, dry_run), NULL, 0, 0, NULL, NULL,
     "Print shapes, memory, arithmetic, one timed update and the total; write nothing"},
#define AT(field) offsetof(basin__train_values, field)
#include "train/options.def"
#undef AT
};

/* ---- settings ---- */

/* What was given, as JSON; the verb's own options, and the common ones, stay here. */
static basin_status make_settings(const basin__command *command, char **text) {
    static const char *const own[] = {"out", "resume", "force", "dry_run"};
    json_t *settings = json_object();
    basin_status status = BASIN_OK;
    for (size_t i = 0; i + 1 < command->group_count && status == BASIN_OK; i++)
        status = basin__options_given_to_json(command->context, &command->groups[i], settings);
    for (size_t i = 0; i < BASIN_COUNT(own); i++)
        json_object_del(settings, own[i]);
    *text = status == BASIN_OK ? json_dumps(settings, JSON_COMPACT) : NULL;
    json_decref(settings);
    if (status == BASIN_OK && *text == NULL)
        status = basin__fail(command->context, BASIN_ERROR_MEMORY, "no memory for the settings");
    return status;
}

/* ---- progress ---- */

typedef struct display {
    basin__bar bar;
    basin_train_progress last; /* the last report */
} display;

static bool show(void *user, const basin_train_progress *progress) {
    display *shown = user;
    if (progress->is_report)
        shown->last = *progress;
    basin__bar_show(&shown->bar, progress);
    return basin__signals_caught() == 0;
}

/* ---- dry run ---- */

static void print_parameters(const basin__trainer *trainer) {
    const basin__parameters *all = &trainer->energy->parameters;
    for (int i = 0; i < all->count; i++) {
        const basin__parameter *parameter = &all->items[i];
        printf("  %-24s", parameter->name);
        for (int d = 0; d < parameter->file_rank; d++)
            printf("%s%lld", d > 0 ? " x " : " ", (long long)parameter->file_dim[d]);
        printf("%s\n", parameter->is_state ? "  (state)" : "");
    }
}

static double mebibytes(size_t bytes) { return (double)bytes / (1024.0 * 1024.0); }

static void print_facts(const basin__trainer *trainer, const basin__run_facts *facts) {
    const basin_data_info *info = basin_data_describe(trainer->data);
    const double update = facts->step_flops * (double)facts->chain_steps + facts->loss_flops;
    basin_temperature temperature = basin__trainer_temperature(trainer);
    printf("data         %s: %lld examples of %d x %d x %d in [%g, %g]\n", info->name,
           (long long)info->count, info->height, info->width, info->channels, (double)trainer->low,
           (double)trainer->high);
    printf("network      %s: %lld parameters\n", trainer->config.network->name,
           (long long)facts->parameter_count);
    print_parameters(trainer);
    if (trainer->has_chains)
        printf("chains       %lld of %lld steps an update, temperature %.6g (%s)\n",
               (long long)trainer->batch, (long long)facts->chain_steps, temperature.value,
               temperature.is_exact ? "exact" : "nominal");
    printf("arithmetic   %.4g GFLOP a step, %.4g GFLOP an update\n", facts->step_flops / 1e9,
           update / 1e9);
    size_t total = facts->data_bytes + facts->buffer_bytes + facts->parameter_bytes +
                   facts->plan_bytes + facts->batch_bytes;
    printf("memory       %.1f MiB: data %.1f, buffer %.1f, parameters %.1f, plans %.1f, "
           "batch %.1f\n",
           mebibytes(total), mebibytes(facts->data_bytes), mebibytes(facts->buffer_bytes),
           mebibytes(facts->parameter_bytes), mebibytes(facts->plan_bytes),
           mebibytes(facts->batch_bytes));
}

static basin_status dry_run(basin__command *command, const basin_train_options *options) {
    json_t *settings;
    basin__trainer *trainer;
    basin__run_facts facts;
    BASIN_TRY(basin__train_settings(command->context, options, &settings));
    basin_status status = basin__trainer_create(command->context, settings, NULL, NULL, &trainer);
    json_decref(settings);
    BASIN_TRY(status);
    status = basin__trainer_describe(trainer, &facts);
    double seconds = 0;
    if (status == BASIN_OK) {
        print_facts(trainer, &facts);
        double start = basin__seconds();
        status = basin__trainer_update(trainer);
        seconds = basin__seconds() - start;
    }
    if (status == BASIN_OK) {
        const double update = facts.step_flops * (double)facts.chain_steps + facts.loss_flops;
        const double total = seconds * (double)trainer->config.train.updates;
        struct rusage usage;
        getrusage(RUSAGE_SELF, &usage);
        printf("one update   %.4g s (%.4g GFLOP/s, %d threads, %s)\n", seconds,
               update / 1e9 / seconds, basin_context_thread_count(command->context),
               basin_context_isa(command->context));
        printf("resident     %.1f MiB at most so far\n", (double)usage.ru_maxrss / 1024.0);
        printf("estimate     %lld updates in %.4g minutes\n",
               (long long)trainer->config.train.updates, total / 60);
    }
    basin__trainer_destroy(trainer);
    return status;
}

/* ---- the verb ---- */

/** Those that are watched. */
static void print_energies(const basin_train_progress *last) {
    const struct {
        const char *name;
        double energy;
    } all[] = {{"data", last->energy_data},
               {"negatives", last->energy_negative},
               {"held-out", last->energy_held_out},
               {"noise", last->energy_noise}};
    const char *between = "energies     ";
    for (size_t i = 0; i < BASIN_COUNT(all); i++) {
        if (isnan(all[i].energy))
            continue;
        printf("%s%s %.6g", between, all[i].name, all[i].energy);
        between = ", ";
    }
    putchar('\n');
}

static void print_summary(const char *folder, const basin_train_progress *last,
                          basin_temperature temperature) {
    printf("run          %s\n", folder);
    printf("updates      %lld, roll-backs %d\n", (long long)last->update, last->roll_backs);
    printf("loss         %.6g\n", last->loss);
    print_energies(last);
    printf("temperature  %.6g (%s)\n", temperature.value,
           temperature.is_exact ? "exact" : "nominal");
}

static basin_status train(basin__command *command, const basin_train_options *given) {
    display shown = {.bar = basin__bar_make(!command->is_quiet)};
    basin_train_options options = *given;
    basin_energy *energy;
    options.progress = show;
    options.user = &shown;
    basin__signals_catch();
    basin_status status = basin_train(command->context, &options, &energy);
    basin__bar_end(&shown.bar);
    BASIN_TRY(status);
    if (!command->is_quiet)
        print_summary(options.folder, &shown.last, basin_energy_temperature(energy));
    basin_energy_destroy(energy);
    return BASIN_OK;
}

static int run_train(basin__command *command) {
    const train_options *values = command->options;
    if (values->resume != NULL && basin__command_is_given(command, "out"))
        return basin__command_usage(command, "--resume names the run folder; leave --out away");
    if (values->resume != NULL && values->force)
        return basin__command_usage(command, "--resume keeps a run, --force replaces it");
    basin_train_options options;
    basin_train_options_init(&options);
    char *settings;
    basin_status status = make_settings(command, &settings);
    if (status != BASIN_OK)
        return basin__command_fail(command, status);
    options.settings = settings;
    options.folder = values->resume != NULL ? values->resume : values->out;
    options.folder_use = values->resume != NULL ? BASIN_TRAIN_RESUME
                         : values->force        ? BASIN_TRAIN_REPLACE
                                                : BASIN_TRAIN_NEW;
    status = values->dry_run ? dry_run(command, &options) : train(command, &options);
    free(settings);
    return status == BASIN_OK ? BASIN__EXIT_OK : basin__command_fail(command, status);
}

static const char *const kinds[] = {"network", "sampler", "objective", "optimiser", NULL};

static const char *const examples[] = {
    "basin train --data strokes --base-channels 16 --updates 2000 --out runs/strokes",
    "a first model, without any files",
    "basin train --data mnist --preset uva --out runs/mnist --dry-run",
    "what it would cost",
    "basin train --resume runs/mnist --updates 40000",
    "go on after a stop, or for longer",
    NULL};

const basin__verb basin__verb_train = {
    .name = "train",
    .help = "train an energy on a data set",
    .about =
        "Trains by contrastive divergence unless another --objective is chosen: the energy of "
        "data is pushed down, that of chains that walk the energy itself is pushed up. The run "
        "folder holds the resolved configuration, metrics, sample pictures and checkpoints.\n\n"
        "Presets change the defaults below: textbook (steps of 0.01, no stabiliser), uva "
        "(images in [-1, 1], a small strided network), points (an MLP and exact Langevin, "
        "taken by itself for points). Options and --config go before the preset.\n\n"
        "Ctrl-C saves a checkpoint and stops; --resume goes on from there and ends with the "
        "same bits as a run in one piece.",
    .options = table,
    .option_count = BASIN_COUNT(table),
    .options_bytes = sizeof(train_options),
    .kinds = kinds,
    .examples = examples,
    .runs_chains = true,
    .run = run_train,
};
