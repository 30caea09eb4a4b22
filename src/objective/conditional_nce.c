/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conditional noise-contrastive estimation: which of x and its noisy copy y = x + ε n is the
 * example? Noise that is as likely from x to y as back drops out of the ratio of the two orders,
 * and so does log Z:
 *
 *     loss = mean over M copies of softplus(E(x) − E(yᵢ))       (Ceylan & Gutmann, 2018, section 2)
 *
 * (half of theirs). A small ε is score matching; it is large enough where the two are told apart
 * now and then only.
 */
#include "objective/mixture.h"
#include "objective/parts.h"
#include <math.h>
#include <stddef.h>

#define COPIES_MAX 64
#define STD "contrast_std"

enum { UNIT_DATA, UNIT_ABSOLUTE };

typedef struct conditional_options {
    double std, class_dropout;
    int64_t unit, copies;
} conditional_options;

#define AT(field) offsetof(conditional_options, field)

static const basin__option conditional_table[] = {
    {"contrast-std", BASIN__OPTION_FLOAT, AT(std), "0.3", 1e-6, 1e6, NULL, NULL,
     "Standard deviation of the noise between an example and its copy"},
    {"contrast-unit", BASIN__OPTION_CHOICE, AT(unit), "data", 0, 0, "data|absolute", NULL,
     "What contrast-std is a multiple of: the data's standard deviation, or 1"},
    {"contrast-copies", BASIN__OPTION_INT, AT(copies), "4", 1, COPIES_MAX, NULL, "copies",
     "Noisy copies an example"},
    BASIN__CLASS_DROPOUT_ROW(AT(class_dropout), "0.1"),
};

static basin__objective_values conditional_build(const void *values, basin__loss *loss,
                                                 basin_graph *graph) {
    const conditional_options *options = values;
    const basin_shape scalar = basin_shape_vector(1);
    basin_value std = options->unit == UNIT_ABSOLUTE
                          ? basin_graph_constant(graph, options->std, scalar)
                          : basin__loss_source(loss, BASIN__SOURCE_FITTED, STD, scalar);
    basin_value label = basin__loss_label(loss, options->class_dropout);
    basin_value x = basin__loss_data(loss), energy = basin__loss_energy_of(loss, x, label);
    basin_value sum = BASIN_NO_VALUE;
    for (int64_t i = 0; i < options->copies; i++) {
        basin_value noise =
            basin__loss_copy(loss, BASIN__SOURCE_NORMAL, "noise", options->copies, i);
        basin_value y = basin_graph_add(graph, x, basin_graph_mul(graph, noise, std));
        basin_value difference =
            basin_graph_sub(graph, energy, basin__loss_energy_of(loss, y, label));
        basin_value term = basin_graph_softplus(graph, difference);
        sum = i == 0 ? term : basin_graph_add(graph, sum, term);
    }
    return (basin__objective_values){.loss =
                                         basin_graph_scale(graph, sum, 1 / (double)options->copies),
                                     .energy_data = energy,
                                     .energy_negative = BASIN_NO_VALUE};
}

static basin_status conditional_fit(const void *values, basin__loss *loss,
                                    const basin__examples *examples) {
    const conditional_options *options = values;
    float *std = basin__loss_find(loss, STD);
    double variance;
    if (std == NULL)
        return BASIN_OK;
    BASIN_TRY(basin__examples_variance(loss->energy->context, examples, &variance));
    if (variance <= 0)
        return basin__fail(loss->energy->context, BASIN_ERROR_CONFIG,
                           "all examples are alike: take --contrast-unit absolute");
    *std = (float)(options->std * sqrt(variance));
    return BASIN_OK;
}

const basin__objective_def basin__objective_conditional_nce = {
    .name = "conditional-nce",
    .help = "conditional noise-contrastive estimation: softplus(E(x) - E(x + noise))",
    .options = conditional_table,
    .option_count = BASIN_COUNT(conditional_table),
    .options_bytes = sizeof(conditional_options),
    .needs = BASIN__NEED_PLAIN,
    .build = conditional_build,
    .fit = conditional_fit,
};
