/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flow matching on straight paths: the velocity of xₜ = (1 − t) x₀ + t n, which runs from an
 * example to a normal, is learnt by the energy of a noise-conditional network,
 *
 *     loss = ‖v(xₜ, t) − (n − x₀)‖² / size      (Lipman et al., 2023, section 4; Liu et al., 2023)
 *
 * The same state without its shrinking, x = xₜ/(1 − t) = x₀ + σ n with σ = t/(1 − t), is what an
 * energy at a noise level takes, so that D(x, σ) = x − σ² ∇ₓE(x, σ) is its mean of x₀, and
 *
 *     v = (xₜ − D)/t,    v − (n − x₀) = (x₀ − D)/t,    loss = ‖D(x, σ) − x₀‖² / (t² size)
 *
 * Written so, nothing is divided by 1 − t and subtracted again. Beside objective diffusion this is
 * another weight, (1 + σ)²/σ², and another distribution of levels. Times: uniform, or the logistic
 * of a normal (Esser et al., 2024, section 3.1), which sees more of the middle.
 */
#include "objective/denoise.h"
#include "objective/parts.h"
#include <stddef.h>

enum { UNIFORM, LOGIT_NORMAL };

typedef struct flow_options {
    int64_t distribution;
    double low, high, mean, std, class_dropout;
} flow_options;

#define AT(field) offsetof(flow_options, field)

static const basin__option flow_table[] = {
    {"time-distribution", BASIN__OPTION_CHOICE, AT(distribution), "uniform", 0, 0,
     "uniform|logit-normal", NULL, "How times are drawn"},
    {"time-low", BASIN__OPTION_FLOAT, AT(low), "0.01", 1e-6, 1, NULL, NULL,
     "Earliest time; noise level t / (1 - t)"},
    {"time-high", BASIN__OPTION_FLOAT, AT(high), "0.98", 0, 0.999999, NULL, NULL, "Latest time"},
    {"time-mean", BASIN__OPTION_FLOAT, AT(mean), "0", -20, 20, NULL, NULL,
     "logit-normal: mean of log(t / (1 - t))"},
    {"time-std", BASIN__OPTION_FLOAT, AT(std), "1", 1e-3, 20, NULL, NULL,
     "logit-normal: standard deviation of log(t / (1 - t))"},
    BASIN__CLASS_DROPOUT_ROW(AT(class_dropout), "0.1"),
};

static basin_status flow_check(basin_context *context, const void *values) {
    const flow_options *options = values;
    if (options->low < options->high)
        return BASIN_OK;
    return basin__fail(context, BASIN_ERROR_CONFIG, "time-low %g is not below time-high %g",
                       options->low, options->high);
}

static bool flow_ignores(const void *values, const char *name) {
    static const char *const of_logit_normal[] = {"time-mean", "time-std", NULL};
    return ((const flow_options *)values)->distribution == UNIFORM &&
           basin__option_is_among(name, of_logit_normal);
}

static basin_value draw_time(basin_graph *graph, basin__loss *loss, const flow_options *options) {
    const basin_shape scalar = basin_shape_vector(1);
    const double span = options->high - options->low;
    if (options->distribution == UNIFORM) {
        basin_value u = basin__loss_source(loss, BASIN__SOURCE_SPREAD, "time", scalar);
        return basin_graph_offset(graph, basin_graph_scale(graph, u, span), options->low);
    }
    basin_value n = basin__loss_source(loss, BASIN__SOURCE_SPREAD_NORMAL, "time", scalar);
    basin_value logit =
        basin_graph_offset(graph, basin_graph_scale(graph, n, options->std), options->mean);
    return basin_graph_clamp(graph, basin_graph_sigmoid(graph, logit), options->low, options->high);
}

static basin__objective_values flow_build(const void *values, basin__loss *loss,
                                          basin_graph *graph) {
    const flow_options *options = values;
    basin_value example = basin__loss_data(loss);
    basin_value noise =
        basin__loss_source(loss, BASIN__SOURCE_NORMAL, "noise", loss->energy->shape);
    basin_value time = draw_time(graph, loss, options);
    basin_value rest = basin_graph_offset(graph, basin_graph_scale(graph, time, -1), 1);
    basin_value level = basin_graph_mul(graph, time, basin_graph_reciprocal(graph, rest));
    basin_value x = basin_graph_add(graph, example, basin_graph_mul(graph, noise, level));
    basin_value label = basin__loss_label(loss, options->class_dropout);
    basin_value denoised = basin__loss_denoiser(loss, x, level, label);
    basin_value error = basin_graph_mul(graph, basin_graph_sub(graph, denoised, example),
                                        basin_graph_reciprocal(graph, time));
    return (basin__objective_values){
        .loss = basin_graph_mean(graph, basin_graph_square(graph, error), BASIN_AXES_ALL),
        .energy_data = BASIN_NO_VALUE,
        .energy_negative = BASIN_NO_VALUE};
}

static void flow_levels(const void *values, double *low, double *high) {
    const flow_options *options = values;
    *low = options->low / (1 - options->low);
    *high = options->high / (1 - options->high);
}

const basin__objective_def basin__objective_flow_matching = {
    .name = "flow-matching",
    .help = "flow matching on straight paths: |v - (noise - example)|^2 of an energy's velocity v",
    .options = flow_table,
    .option_count = BASIN_COUNT(flow_table),
    .options_bytes = sizeof(flow_options),
    .needs = BASIN__NEED_NOISE_LEVEL,
    .check = flow_check,
    .ignores = flow_ignores,
    .build = flow_build,
    .noise_levels = flow_levels,
};
