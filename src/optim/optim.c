/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of optimisers, the learning rate's schedule and the average's decay.
 *
 * The rate rises linearly over warm_up updates and then decays: exponentially (times decay_factor
 * every decay_every updates, in steps), or along half a cosine or a line to zero at the run's end.
 */
#include "optim/optim.h"
#include <math.h>
#include <string.h>

#define BASIN__OPTIM(name) extern const basin__optim_def basin__optim_##name;
#include "optim/optims.def"
#undef BASIN__OPTIM

const basin__optim_def *const basin__optims[] = {
#define BASIN__OPTIM(name) &basin__optim_##name,
#include "optim/optims.def"
#undef BASIN__OPTIM
};

const int basin__optim_count = (int)BASIN_COUNT(basin__optims);

const basin__optim_def *basin__optim_find(const char *name) {
    for (int i = 0; i < basin__optim_count; i++)
        if (strcmp(basin__optims[i]->name, name) == 0)
            return basin__optims[i];
    return NULL;
}

double basin__learning_rate(const basin__schedule_options *options, int64_t update,
                            int64_t updates) {
    if (update <= options->warm_up)
        return options->learning_rate * (double)update / (double)options->warm_up;
    double progress = updates > options->warm_up ? (double)(update - 1 - options->warm_up) /
                                                       (double)(updates - options->warm_up)
                                                 : 0;
    switch (options->decay) {
    case BASIN__DECAY_EXPONENTIAL:
        return options->learning_rate *
               pow(options->decay_factor,
                   (double)((update - 1 - options->warm_up) / options->decay_every));
    case BASIN__DECAY_COSINE:
        return options->learning_rate * 0.5 * (1 + cos(3.14159265358979323846 * progress));
    case BASIN__DECAY_LINEAR:
        return options->learning_rate * (1 - progress);
    default:
        return options->learning_rate;
    }
}

double basin__average_decay(const basin__schedule_options *options, int64_t update) {
    double young = (1.0 + (double)update) / (10.0 + (double)update);
    return young < options->average ? young : options->average;
}
