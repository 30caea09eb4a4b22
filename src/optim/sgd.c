/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stochastic gradient descent with momentum, as PyTorch has it:
 *
 *     g = gradient + weight_decay · w,  b <- momentum · b + g,  w <- w - rate · b
 */
#include "optim/optim.h"
#include <stddef.h>

typedef struct sgd_options {
    double momentum, weight_decay;
} sgd_options;

static const basin__option sgd_table[] = {
    {"momentum", BASIN__OPTION_FLOAT, offsetof(sgd_options, momentum), "0", 0, 0.999999, NULL, NULL,
     "Share of the last step kept"},
    {"weight-decay", BASIN__OPTION_FLOAT, offsetof(sgd_options, weight_decay), "0", 0, 1e3, NULL,
     NULL, "This times the parameter is added to its gradient"},
};

static void sgd_step(const void *values, const basin__optim_step *step, int64_t n, float *parameter,
                     const float *gradient, float *const *slots) {
    const sgd_options *options = values;
    const float momentum = (float)options->momentum, decay = (float)options->weight_decay;
    const float scale = (float)step->gradient_scale, rate = (float)step->learning_rate;
    float *velocity = slots[0];
    for (int64_t i = 0; i < n; i++) {
        velocity[i] = momentum * velocity[i] + (scale * gradient[i] + decay * parameter[i]);
        parameter[i] -= rate * velocity[i];
    }
}

const basin__optim_def basin__optim_sgd = {
    .name = "sgd",
    .help = "stochastic gradient descent with momentum",
    .options = sgd_table,
    .option_count = BASIN_COUNT(sgd_table),
    .options_bytes = sizeof(sgd_options),
    .slot_count = 1,
    .slot_names = {"Momentum_buffer"},
    .step = sgd_step,
};
