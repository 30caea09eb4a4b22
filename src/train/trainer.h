/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trainer: everything that a run is made of, and what its files share.
 *
 *   trainer.c     making one from a configuration and data
 *   update.c      one update: data, chains, loss, parameter step
 *   guard.c       snapshots and roll-backs
 *   report.c      what is logged, and sample pictures
 *   checkpoint.c  saving and loading
 *   rundir.c      the run folder
 *   loop.c        basin_train()
 *
 * A run's state is: the update's number, the tensors listed by `tensors`, the
 * replay buffer, and a few numbers (attempt, rate factor, the interval's sums).
 * Whatever changes from update to update must be in one of these, or a resumed
 * run goes another way.
 */
#ifndef BASIN_TRAIN_TRAINER_H
#define BASIN_TRAIN_TRAINER_H

#include "io/events.h"
#include "train/batches.h"
#include "train/config.h"
#include "train/neighbours.h"
#include <basin/train.h>

/** Sums over the updates since the last report. */
typedef struct basin__meter {
    int64_t updates;
    double loss, energy_data, energy_negative;
    double gradient_norm_input, gradient_norm_parameter;
    double displacement, saturated;
} basin__meter;

/** A parameter, its average, or an optimiser's slot: all that is trained. */
typedef struct basin__trained {
    char *name; /* "parameter.conv.0.weight", "average.…", "exp_avg.…"; owned */
    float *data;
    int64_t count;
} basin__trained;

/** The numbers of a run's state. */
typedef struct basin__progress {
    int64_t update; /* done */
    int roll_backs; /* the attempt: part of every draw */
    double rate_factor;
    basin__meter meter;
} basin__progress;

/** A copy of the state to go back to. */
typedef struct basin__snapshot {
    basin__progress progress;
    float *trained; /* all tensors, one after another */
    basin__buffer buffer;
} basin__snapshot;

typedef struct basin__run_folder {
    char *path;
    int metrics, log; /* file descriptors, -1: closed */
    int64_t metrics_bytes, log_bytes;
    basin__events *events;
    uint64_t events_bytes;
} basin__run_folder;

/** Where time comes from; tests stop it. */
typedef struct basin__clock {
    double (*monotonic_s)(void);
    double (*wall_s)(void); /* since 1970 */
} basin__clock;

/** Held-out examples whose energy is told in each report. */
#define BASIN__WATCHED_MAX 256

typedef struct basin__trainer {
    basin_context *context;
    basin__train_config config;
    const basin_data *data, *held_out; /* held_out may be NULL */
    basin_data *owned_data, *owned_held_out;
    bool is_image;
    bool has_chains; /* the objective learns from negatives */
    float low, high; /* the range the model sees; points: the data's */
    basin_shape shape;
    int64_t size, batch;
    basin_energy *energy, *average;
    basin__loss *loss;
    float **slots; /* [parameters × slot count] of the optimiser; NULL for states */
    basin__trained *trained;
    int trained_count;
    int64_t trained_elements;
    basin__batches batches;
    basin__buffer buffer;
    basin__neighbours neighbours; /* capacity 0: the loss asks for none */
    basin__progress progress;
    basin__snapshot snapshot;
    basin__run_folder folder;
    basin__clock clock;
    double started_s, interval_started_s;
    int64_t started_update, interval_started_update;
    double updates_per_second, seconds_before; /* of earlier parts of a resumed run */
    int64_t saved_update;                      /* of the newest checkpoint; -1: none */
    /* scratch of an update */
    float *x, *starts, *chains, *one; /* [batch, size] each, but one: [size]; x: the loss's */
    float *labels;                    /* [batch], the loss's; NULL: it takes none */
    float *chain_labels;    /* [batch], the loss's: classes that chains run at; NULL: at none */
    basin__chain_tail tail; /* of chains, into the loss's sources; step_count 0: none */
    basin__chain_anchors anchors; /* of chains, the loss's; x NULL: none */
    int32_t *chosen, *ages;       /* [batch] */
} basin__trainer;

/** Make a trainer: opens data as configured where none is given, makes energies, plans, buffer. */
basin_status basin__trainer_create(basin_context *context, const json_t *settings,
                                   const basin_data *data, const basin_data *held_out,
                                   basin__trainer **out);
void basin__trainer_destroy(basin__trainer *trainer);
/** Of the chains whose negatives are learned from; 1 where an objective fits exp(−E) itself. */
basin_temperature basin__trainer_temperature(const basin__trainer *trainer);
/** Evaluations of the gradient by the chains of an update, at most; 0: there are no chains. */
int64_t basin__trainer_chain_steps(const basin__trainer *trainer);
/** The share of chains that run at no class, where others do. */
double basin__trainer_class_dropout(const basin__trainer *trainer);
/** Write what a model file says about its training into both energies' metadata. */
basin_status basin__trainer_note(basin__trainer *trainer);

/**
 * One update. BASIN_ERROR_DIVERGED: a number became non-finite or the gap passed its limit; the
 * parameters are then unchanged or not finite, and the guard has to step in.
 */
basin_status basin__trainer_update(basin__trainer *trainer);

basin_status basin__guard_init(basin__trainer *trainer);
/** Remember the state as good. */
void basin__guard_keep(basin__trainer *trainer);
/** Go back to it with new noise and half the learning rate; fails after too many. */
basin_status basin__guard_roll_back(basin__trainer *trainer);

/** Means of the interval and fresh energies, to the run folder; resets the sums. */
basin_status basin__report_interval(basin__trainer *trainer, basin_train_progress *progress);
/** Sample from noise with the averaged parameters; write samples/step-….png (or .npy). */
basin_status basin__report_samples(basin__trainer *trainer);

basin_status basin__checkpoint_save(basin__trainer *trainer);
/** Load the latest checkpoint of the run folder. */
basin_status basin__checkpoint_load(basin__trainer *trainer);

/** Make a new run folder (or clear an old run from it) and write config.json. */
basin_status basin__rundir_begin(basin__trainer *trainer, const char *path, bool is_replacing);
/** Open the run folder's files for going on, cut to the lengths of the checkpoint. */
basin_status basin__rundir_resume(basin__trainer *trainer);
/** Read a run folder's config.json. */
basin_status basin__rundir_config(basin_context *context, const char *path, json_t **out);
/** Append a line (a newline is added) to metrics.jsonl or log.txt; nothing without a run folder. */
basin_status basin__rundir_metrics(basin__trainer *trainer, const json_t *line);
basin_status basin__rundir_log(basin__trainer *trainer, const char *format, ...) BASIN_PRINTF(2, 3);
basin_status basin__rundir_path(const basin__trainer *trainer, char **out, const char *format, ...)
    BASIN_PRINTF(3, 4);
void basin__rundir_close(basin__trainer *trainer);

#endif
