/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an objective needs of network and data, checked before anything is trained: a mistake that
 * would show after hours, or never, is told at once.
 */
#include "objective/objective.h"

/* Whether dE/dx depends on x by more than steps: E of ReLUs is linear between its kinks. */
static basin_status check_curvature(const char *name, const basin_energy *energy) {
    basin_graph *graph = energy->graph;
    basin_value x = basin_graph_input(graph, "x", energy->shape), curvature;
    basin_graph_gradient(graph, energy->gradient, &x, 1, &curvature);
    BASIN_TRY(basin_graph_status(graph));
    const basin__node *node = basin__graph_node(graph, curvature);
    if (node->op != BASIN__OP_constant || node->attributes.a < 0 || node->attributes.a > 0)
        return BASIN_OK;
    return basin__fail(energy->context, BASIN_ERROR_CONFIG,
                       "objective %s needs an energy with second derivatives, and those of network "
                       "%s are zero with this activation: take --activation silu, softplus or tanh",
                       name, energy->network->name);
}

static basin_status check_labels(const char *name, const basin_energy *energy, int class_count,
                                 const char *option) {
    if (class_count == 0)
        return basin__fail(energy->context, BASIN_ERROR_CONFIG,
                           "objective %s needs labels, and the data has none", name);
    if (energy->condition.class_count == class_count)
        return BASIN_OK;
    return basin__fail(energy->context, BASIN_ERROR_CONFIG,
                       "objective %s needs a network of the data's %d classes, and network %s has "
                       "%d: give --%s %d to a network that takes it (see `basin help network`)",
                       name, class_count, energy->network->name, energy->condition.class_count,
                       option, class_count);
}

static basin_status check_logits(const char *name, const basin_energy *energy) {
    if (energy->logits != BASIN_NO_VALUE)
        return BASIN_OK;
    return basin__fail(energy->context, BASIN_ERROR_CONFIG,
                       "objective %s needs a network that classifies, and network %s gives no "
                       "logits: take --logits in place of --classes (see `basin help network`)",
                       name, energy->network->name);
}

unsigned basin__objective_needs(const basin__objective_def *objective, const void *options) {
    const unsigned brought =
        objective->needs_by_options != NULL ? objective->needs_by_options(options) : 0;
    return objective->needs | brought;
}

basin_status basin__objective_check(const basin__objective_def *objective, const void *options,
                                    basin_energy *energy, int class_count) {
    basin_context *context = energy->context;
    const char *name = objective->name, *network = energy->network->name;
    const unsigned needs = basin__objective_needs(objective, options);
    if ((needs & BASIN__NEED_NOISE_LEVEL) && !energy->condition.noise_level)
        return basin__fail(context, BASIN_ERROR_CONFIG,
                           "objective %s needs a network that takes a noise level, and network %s "
                           "does not: take unet, or mlp with --noise-conditional",
                           name, network);
    if ((needs & BASIN__NEED_PLAIN) && energy->condition.noise_level)
        return basin__fail(context, BASIN_ERROR_CONFIG,
                           "objective %s trains an energy at no noise level, and network %s takes "
                           "one: leave --noise-conditional away, or take another network",
                           name, network);
    if (needs & BASIN__NEED_LABELS)
        BASIN_TRY(check_labels(name, energy, class_count,
                               needs & BASIN__NEED_LOGITS ? "logits" : "classes"));
    if (needs & BASIN__NEED_LOGITS)
        BASIN_TRY(check_logits(name, energy));
    if (needs & BASIN__NEED_CURVATURE)
        BASIN_TRY(check_curvature(name, energy));
    return BASIN_OK;
}
