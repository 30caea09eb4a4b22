/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Optimisers, and what goes with a parameter step: the learning rate's
 * schedule, clipping of the gradient, the running average of parameters.
 *
 * An optimiser is a pure function of a parameter, its gradient and a few
 * arrays of the same size (slots), so that its state is saved as tensors.
 */
#ifndef BASIN_OPTIM_OPTIM_H
#define BASIN_OPTIM_OPTIM_H

#include "base/option.h"

#define BASIN__OPTIM_SLOTS_MAX 2

typedef struct basin__optim_step {
    int64_t update;        /* 1 for the first */
    double learning_rate;  /* scheduled */
    double gradient_scale; /* the gradient is multiplied by this first: clipping by norm */
} basin__optim_step;

typedef struct basin__optim_def {
    const char *name;
    const char *help;
    const basin__option *options;
    size_t option_count, options_bytes;
    int slot_count;
    const char *slot_names[BASIN__OPTIM_SLOTS_MAX]; /* as PyTorch names them */
    void (*step)(const void *options, const basin__optim_step *step, int64_t n, float *parameter,
                 const float *gradient, float *const *slots);
} basin__optim_def;

extern const basin__optim_def *const basin__optims[];
extern const int basin__optim_count;
const basin__optim_def *basin__optim_find(const char *name);

/** Options of the step that are the same for every optimiser; their table is part of the run's. */
typedef struct basin__schedule_options {
    double learning_rate;
    int64_t warm_up; /* updates */
    int64_t decay;   /* BASIN__DECAY_… */
    double decay_factor;
    int64_t decay_every;    /* updates */
    int64_t parameter_clip; /* BASIN__CLIP_… */
    double parameter_clip_value;
    double average; /* decay of the parameters' running average */
} basin__schedule_options;

enum { BASIN__DECAY_NONE, BASIN__DECAY_EXPONENTIAL, BASIN__DECAY_COSINE, BASIN__DECAY_LINEAR };
enum { BASIN__CLIP_NONE, BASIN__CLIP_NORM, BASIN__CLIP_ELEMENT };

/** The learning rate of update `update` (1 for the first) of `updates`. */
double basin__learning_rate(const basin__schedule_options *options, int64_t update,
                            int64_t updates);
/** The average's decay at an update: min(average, (1 + update) / (10 + update)). */
double basin__average_decay(const basin__schedule_options *options, int64_t update);

#endif
