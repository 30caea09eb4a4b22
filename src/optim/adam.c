/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adam: a step along the mean gradient, each element divided by its root mean square,
 *
 *     m <- β₁ m + (1 - β₁) g,  v <- β₂ v + (1 - β₂) g²
 *     w <- w - rate · (m / (1 - β₁ᵗ)) / (√(v / (1 - β₂ᵗ)) + ε)
 *
 * with g = gradient + weight_decay · w, as PyTorch's Adam has it. Kingma & Ba (2015), algorithm 1.
 */
#include "optim/optim.h"
#include <math.h>
#include <stddef.h>

typedef struct adam_options {
    double beta1, beta2, epsilon, weight_decay;
} adam_options;

#define AT(field) offsetof(adam_options, field)

static const basin__option adam_table[] = {
    {"beta1", BASIN__OPTION_FLOAT, AT(beta1), "0", 0, 0.999999, NULL, NULL,
     "Decay of the gradient's mean"},
    {"beta2", BASIN__OPTION_FLOAT, AT(beta2), "0.999", 0, 0.999999, NULL, NULL,
     "Decay of the squared gradient's mean"},
    {"epsilon", BASIN__OPTION_FLOAT, AT(epsilon), "1e-8", 0, 1, NULL, NULL,
     "Added to the root mean square"},
    {"weight-decay", BASIN__OPTION_FLOAT, AT(weight_decay), "0", 0, 1e3, NULL, NULL,
     "This times the parameter is added to its gradient"},
};

static void adam_step(const void *values, const basin__optim_step *step, int64_t n,
                      float *parameter, const float *gradient, float *const *slots) {
    const adam_options *options = values;
    const float beta1 = (float)options->beta1, beta2 = (float)options->beta2;
    const float rest1 = (float)(1 - options->beta1), rest2 = (float)(1 - options->beta2);
    const float epsilon = (float)options->epsilon, decay = (float)options->weight_decay;
    const float scale = (float)step->gradient_scale;
    const double t = (double)step->update;
    const float rate = (float)(step->learning_rate / (1 - pow(options->beta1, t)));
    const float root = (float)(1 / sqrt(1 - pow(options->beta2, t)));
    float *mean = slots[0], *square = slots[1];
    for (int64_t i = 0; i < n; i++) {
        float g = scale * gradient[i] + decay * parameter[i];
        mean[i] = beta1 * mean[i] + rest1 * g;
        square[i] = beta2 * square[i] + rest2 * g * g;
        parameter[i] -= rate * mean[i] / (sqrtf(square[i]) * root + epsilon);
    }
}

const basin__optim_def basin__optim_adam = {
    .name = "adam",
    .help = "Adam, by default without momentum (beta1 0), as energies are trained best",
    .options = adam_table,
    .option_count = BASIN_COUNT(adam_table),
    .options_bytes = sizeof(adam_options),
    .slot_count = 2,
    .slot_names = {"exp_avg", "Exp_avg_sq"},
    .step = adam_step,
};
