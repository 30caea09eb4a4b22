/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contrastive divergence: lower the energy of data, raise that of negatives,
 *
 *     loss = E(x⁺) - E(x⁻) + alpha (E(x⁺)² + E(x⁻)²)
 *
 * Where negatives x⁻ are samples of the model, the first two terms' gradient is the likelihood's.
 * The energy is free up to a constant, and nothing holds its scale; alpha does. No gradient flows
 * through the chains. Hinton (2002); Du & Mordatch (2019), eq. 4 and 5.
 *
 * Class-conditional, E(x⁺ | y⁺) and E(x⁻ | y⁻) take their places, x⁻ from a chain that ran at the
 * class y⁻ all its life (Du & Mordatch, section 4). Chains take the classes of data, as often as
 * data do and with as many hidden, so that no class's level is pushed up or down by its frequency
 * alone.
 */
#include "objective/parts.h"
#include <stddef.h>

typedef struct cd_options {
    double alpha;
    bool class_conditional;
    double class_dropout;
} cd_options;

#define AT(field) offsetof(cd_options, field)

static const basin__option cd_table[] = {
    {"alpha", BASIN__OPTION_FLOAT, AT(alpha), "0.1", 0, 1e6, NULL, NULL,
     "Weight of the energies' squares"},
    {"class-conditional", BASIN__OPTION_FLAG, AT(class_conditional), NULL, 0, 0, NULL, NULL,
     "Learn E(x | class): each chain runs at a class of its own"},
    BASIN__CLASS_DROPOUT_ROW(AT(class_dropout), "0.1"),
};

static basin__objective_values cd_build(const void *values, basin__loss *of, basin_graph *graph) {
    const cd_options *options = values;
    basin_value label, negative_label;
    basin__loss_chain_labels(of, options->class_conditional, options->class_dropout, &label,
                             &negative_label);
    basin_value negative =
        basin__loss_source(of, BASIN__SOURCE_NEGATIVE, "negative", of->energy->shape);
    basin_value low = basin__loss_energy(of, basin__loss_data(of), BASIN_NO_VALUE, label).energy;
    basin_value high = basin__loss_energy(of, negative, BASIN_NO_VALUE, negative_label).energy;
    basin_value loss = basin_graph_sub(graph, low, high);
    loss = basin__loss_hold(graph, loss, low, high, options->alpha);
    return (basin__objective_values){.loss = loss, .energy_data = low, .energy_negative = high};
}

static bool cd_ignores(const void *values, const char *name) {
    const cd_options *options = values;
    return !options->class_conditional && strcmp(name, "class-dropout") == 0;
}

static unsigned cd_needs(const void *values) {
    const cd_options *options = values;
    return options->class_conditional ? BASIN__NEED_LABELS : 0;
}

static double cd_class_dropout(const void *values) {
    return ((const cd_options *)values)->class_dropout;
}

const basin__objective_def basin__objective_cd = {
    .name = "cd",
    .help = "contrastive divergence: E(data) - E(negative) + alpha (E(data)^2 + E(negative)^2)",
    .options = cd_table,
    .option_count = BASIN_COUNT(cd_table),
    .options_bytes = sizeof(cd_options),
    .needs = BASIN__NEED_CHAINS | BASIN__NEED_PLAIN,
    .needs_by_options = cd_needs,
    .ignores = cd_ignores,
    .build = cd_build,
    .class_dropout = cd_class_dropout,
};
