/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a tree to one graph. A selection changes what is handed down: a class or a level becomes a
 * constant of the graph, and guidance w builds its operand twice,
 *
 *     (1 + w) E(x | class) − w E(x).
 *
 * Equal nodes of a graph are one, so a model that stands twice under one condition costs once.
 * A model's energy is taken at its own temperature, E/T, unless another is selected.
 */
#include "compose/compose.h"
#include <math.h>
#include <stddef.h>

static basin_value build(const basin__composition *of, basin_graph *graph,
                         const basin__expression_node *node, const basin__energy_inputs *inputs);

static basin_value build_model(const basin__composition *of, basin_graph *graph,
                               const basin__expression_node *node,
                               const basin__energy_inputs *inputs, double temperature) {
    const basin__energy_part *part = &of->parts[node->part];
    if (isnan(temperature))
        temperature = basin_energy_temperature(part->energy).value;
    graph->prefix = part->prefix;
    basin__energy_values values = basin__energy_build(part->energy, graph, inputs);
    graph->prefix = NULL;
    return basin_graph_scale(graph, values.energy, 1 / temperature);
}

static basin_value build_selection(const basin__composition *of, basin_graph *graph,
                                   const basin__expression_node *node,
                                   const basin__energy_inputs *outer) {
    const basin__selection *selection = &node->selection;
    const basin__expression_node *operand = node->operands[0];
    const basin_shape scalar = basin_shape_vector(1);
    basin__energy_inputs inputs = *outer;
    if (!isnan(selection->noise_level))
        inputs.noise_level = basin_graph_constant(graph, selection->noise_level, scalar);
    if (selection->label != BASIN__CLASS_FREE)
        inputs.label = selection->label == BASIN__CLASS_NONE
                           ? BASIN_NO_VALUE
                           : basin_graph_constant(graph, selection->label, scalar);
    const bool is_model = operand->kind == BASIN__NODE_MODEL;
    basin_value parts[2] = {BASIN_NO_VALUE, BASIN_NO_VALUE};
    for (int i = 0; i < (isnan(selection->guidance) ? 1 : 2); i++) {
        parts[i] = is_model ? build_model(of, graph, operand, &inputs, selection->temperature)
                            : build(of, graph, operand, &inputs);
        if (!is_model && !isnan(selection->temperature))
            parts[i] = basin_graph_scale(graph, parts[i], 1 / selection->temperature);
        inputs.label = BASIN_NO_VALUE;
    }
    if (isnan(selection->guidance))
        return parts[0];
    return basin_graph_sub(graph, basin_graph_scale(graph, parts[0], 1 + selection->guidance),
                           basin_graph_scale(graph, parts[1], selection->guidance));
}

static basin_value build_function(const basin__composition *of, basin_graph *graph,
                                  const basin__expression_node *node,
                                  const basin__energy_inputs *inputs) {
    basin_value operands[BASIN__LIST_MAX];
    for (int i = 0; i < node->operand_count; i++)
        operands[i] = build(of, graph, node->operands[i], inputs);
    return node->function->build(graph, node->arguments, inputs->x, inputs->noise_level, operands,
                                 node->operand_count);
}

static basin_value build(const basin__composition *of, basin_graph *graph,
                         const basin__expression_node *node, const basin__energy_inputs *inputs) {
    switch (node->kind) {
    case BASIN__NODE_MODEL:
        return build_model(of, graph, node, inputs, (double)NAN);
    case BASIN__NODE_FUNCTION:
        return build_function(of, graph, node, inputs);
    case BASIN__NODE_SELECT:
        return build_selection(of, graph, node, inputs);
    case BASIN__NODE_SCALE:
        return basin_graph_scale(graph, build(of, graph, node->operands[0], inputs), node->number);
    default: /* a sum */
        assert(node->kind == BASIN__NODE_SUM);
        basin_value left = build(of, graph, node->operands[0], inputs);
        return basin_graph_add(graph, left, build(of, graph, node->operands[1], inputs));
    }
}

basin_value basin__composition_build(const basin__composition *of, basin_graph *graph,
                                     const basin__expression_node *node,
                                     const basin__energy_inputs *inputs) {
    return build(of, graph, node, inputs);
}

/* ---- as a network ---- */

/** The options of the network that a composition is: the first is shown, the others are its tree.
 */
typedef struct composed {
    char *expression;
    basin__composition *owned; /* NULL: `of` is another's */
    const basin__composition *of;
    const basin__expression_node *node;
} composed;

static const basin__option options_table[] = {
    {"expression", BASIN__OPTION_TEXT, offsetof(composed, expression), NULL, 0, 0, NULL, NULL,
     "what the energy is composed of"},
};

static basin__condition condition_composed(const void *options) {
    const composed *all = options;
    return basin__composition_condition(all->of, all->node,
                                        (basin__selected){BASIN__CLASS_FREE, (double)NAN});
}

static basin_value build_composed(basin__build *at, const void *options, basin_value x) {
    const composed *all = options;
    const int class_count = condition_composed(options).class_count;
    const basin__energy_inputs inputs = {x, at->noise_level,
                                         class_count > 0 ? at->label : BASIN_NO_VALUE};
    return build(all->of, at->graph, all->node, &inputs);
}

static void reset_composed(basin_context *context, void *options) {
    composed *all = options;
    if (!all->owned)
        return;
    basin__composition_reset(all->owned);
    basin__free(context, all->owned);
}

static const basin__network_def network_composition = {
    .name = "composition",
    .help = "an expression of other energies",
    .options = options_table,
    .option_count = BASIN_COUNT(options_table),
    .options_bytes = sizeof(composed),
    .condition = condition_composed,
    .build = build_composed,
    .reset = reset_composed,
};

static basin_status make(const basin__composition *of, const basin__expression_node *node,
                         composed *all, basin_energy **out) {
    const basin__option_group group = {.title = network_composition.name,
                                       .options = options_table,
                                       .count = BASIN_COUNT(options_table),
                                       .values = all};
    all->of = of;
    all->node = node;
    BASIN_TRY(basin__energy_create(of->context, &network_composition, group, of->shape, out));
    (*out)->parts = of->parts;
    (*out)->part_count = of->part_count;
    return BASIN_OK;
}

basin_status basin__composition_energy(const basin__composition *of,
                                       const basin__expression_node *node, basin__selected scope,
                                       basin_energy **out) {
    *out = NULL;
    composed *all = basin__alloc(of->context, sizeof(*all));
    if (!all)
        return BASIN_ERROR_MEMORY;
    basin_status status = make(of, node, all, out);
    if (status != BASIN_OK) {
        basin__free(of->context, all);
        return status;
    }
    const double level = basin__selected_level(of, scope);
    const bool has_class = (*out)->condition.class_count > 0 && scope.label >= 0;
    status = basin__energy_set_condition(*out, level > 0 ? level : 1, has_class ? scope.label : -1);
    if (status == BASIN_OK)
        status = basin__composition_note_range(of, *out);
    if (status != BASIN_OK) {
        basin_energy_destroy(*out);
        *out = NULL;
    }
    return status;
}

basin_status basin__composition_take(basin__composition *of, basin_energy **out) {
    const basin__selected free_scope = {BASIN__CLASS_FREE, (double)NAN};
    char *text = basin__strdup(of->context, of->expression.text);
    if (!text)
        return BASIN_ERROR_MEMORY;
    basin_status status = basin__composition_energy(of, of->expression.root, free_scope, out);
    if (status != BASIN_OK) {
        basin__free(of->context, text);
        return status;
    }
    composed *all = (*out)->options.values;
    all->owned = of;
    all->expression = text;
    return BASIN_OK;
}
