/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of objectives, and the compiled loss: one plan whose outputs are the energies of both
 * sides, the gradient of each parameter (of the mean over the batch), and states' next values.
 */
#include "objective/objective.h"
#include <string.h>

#define BASIN__OBJECTIVE(name) extern const basin__objective_def basin__objective_##name;
#include "objective/objectives.def"
#undef BASIN__OBJECTIVE

const basin__objective_def *const basin__objectives[] = {
#define BASIN__OBJECTIVE(name) &basin__objective_##name,
#include "objective/objectives.def"
#undef BASIN__OBJECTIVE
};

const int basin__objective_count = (int)BASIN_COUNT(basin__objectives);

const basin__objective_def *basin__objective_find(const char *name) {
    for (int i = 0; i < basin__objective_count; i++)
        if (strcmp(basin__objectives[i]->name, name) == 0)
            return basin__objectives[i];
    return NULL;
}

/* What one compilation works with: values in the order of the plan's outputs. */
typedef struct build {
    basin_value *outputs, *parameters, *gradients;
    int output_count, parameter_count;
} build;

static basin_status build_graph(basin__loss *loss, const basin__objective_def *objective,
                                const void *options, build *b) {
    basin_graph *graph = loss->graph;
    const basin__parameters *all = &loss->energy->parameters;
    basin_value data = basin_graph_input(graph, "data", loss->energy->shape);
    basin_value negative = basin_graph_input(graph, "negative", loss->energy->shape);
    basin__objective_values values = objective->build(options, loss->energy, graph, data, negative);
    BASIN_TRY(basin_graph_status(graph));
    b->outputs[b->output_count++] = values.energy_data;
    b->outputs[b->output_count++] = values.energy_negative;
    for (int i = 0; i < all->count; i++)
        if (!all->items[i].is_state)
            b->parameters[b->parameter_count++] =
                basin_graph_parameter(graph, all->items[i].name, all->items[i].shape);
    basin_value mean = basin_graph_scale(graph, values.loss, 1.0 / (double)loss->batch);
    basin_graph_gradient(graph, mean, b->parameters, b->parameter_count, b->gradients);
    BASIN_TRY(basin_graph_status(graph));
    for (int i = 0, next = 0; i < all->count; i++) {
        const basin__parameter *parameter = &all->items[i];
        loss->shared_outputs[i] = -1;
        if (!parameter->is_state) {
            if (basin__graph_node(graph, b->gradients[next])->scope == BASIN__SCOPE_SHARED)
                loss->shared_outputs[i] = b->output_count;
            loss->outputs[b->output_count] = loss->gradients[i];
            b->outputs[b->output_count++] = b->gradients[next++];
            continue;
        }
        basin_value state = basin__graph_find(graph, BASIN__OP_state, parameter->name);
        basin_value value = state == BASIN_NO_VALUE ? state : basin__graph_node(graph, state)->next;
        if (value != BASIN_NO_VALUE) {
            loss->shared_outputs[i] = b->output_count;
            b->outputs[b->output_count++] = value;
        }
    }
    return BASIN_OK;
}

static basin_status alloc_results(basin__loss *loss, basin_context *context) {
    const basin__parameters *all = &loss->energy->parameters;
    size_t count = (size_t)all->count;
    loss->energy_data = basin__alloc_array(context, (size_t)loss->batch, sizeof(float));
    loss->energy_negative = basin__alloc_array(context, (size_t)loss->batch, sizeof(float));
    loss->gradients = basin__alloc_array(context, count, sizeof(float *));
    loss->shared_outputs = basin__alloc_array(context, count, sizeof(int));
    loss->outputs = basin__alloc_array(context, count + 2, sizeof(void *));
    if (loss->energy_data == NULL || loss->energy_negative == NULL || loss->gradients == NULL ||
        loss->shared_outputs == NULL || loss->outputs == NULL)
        return BASIN_ERROR_MEMORY;
    loss->outputs[0] = loss->energy_data;
    loss->outputs[1] = loss->energy_negative;
    for (int i = 0; i < all->count; i++) {
        if (all->items[i].is_state)
            continue;
        size_t elements = (size_t)basin_shape_count(all->items[i].shape);
        loss->gradients[i] = basin__alloc_array(context, elements, sizeof(float));
        if (loss->gradients[i] == NULL)
            return BASIN_ERROR_MEMORY;
    }
    return BASIN_OK;
}

static basin_status compile(basin__loss *loss, const basin__objective_def *objective,
                            const void *options) {
    basin_context *context = loss->energy->context;
    size_t count = (size_t)loss->energy->parameters.count;
    basin_value *values = basin__alloc_array(context, 3 * count + 2, sizeof(basin_value));
    if (values == NULL)
        return BASIN_ERROR_MEMORY;
    build b = {.parameters = values, .gradients = values + count, .outputs = values + 2 * count};
    basin_status status = basin_graph_create(context, &loss->graph);
    if (status == BASIN_OK)
        status = build_graph(loss, objective, options, &b);
    if (status == BASIN_OK)
        status = basin__energy_ready(loss->energy);
    const basin__plan_options plan_options = {.beside = loss->energy->gradient_plan};
    if (status == BASIN_OK)
        status = basin__plan_create(context, loss->graph, b.outputs, b.output_count, &plan_options,
                                    &loss->plan);
    if (status == BASIN_OK)
        basin__energy_bind(loss->energy, loss->plan);
    basin__free(context, values);
    return status;
}

basin_status basin__loss_create(const basin__objective_def *objective, const void *options,
                                basin_energy *energy, int64_t batch, basin__loss **out) {
    *out = NULL;
    if (energy->network == NULL)
        return basin__fail(energy->context, BASIN_ERROR_ARGUMENT,
                           "an energy given by a callback has no parameters to train");
    basin__loss *loss = basin__alloc(energy->context, sizeof *loss);
    if (loss == NULL)
        return BASIN_ERROR_MEMORY;
    loss->energy = energy;
    loss->batch = batch;
    basin_status status = alloc_results(loss, energy->context);
    if (status == BASIN_OK)
        status = compile(loss, objective, options);
    if (status != BASIN_OK) {
        basin__loss_destroy(loss);
        return status;
    }
    *out = loss;
    return BASIN_OK;
}

void basin__loss_destroy(basin__loss *loss) {
    if (loss == NULL)
        return;
    basin_context *context = loss->energy->context;
    basin__plan_destroy(loss->plan);
    basin_graph_destroy(loss->graph);
    for (int i = 0; loss->gradients != NULL && i < loss->energy->parameters.count; i++)
        basin__free(context, loss->gradients[i]);
    basin__free(context, loss->gradients);
    basin__free(context, loss->shared_outputs);
    basin__free(context, loss->outputs);
    basin__free(context, loss->energy_data);
    basin__free(context, loss->energy_negative);
    basin__free(context, loss);
}

/* Copy parameter i's output from the plan where it depends on shared values alone. */
static void copy_shared(const basin__loss *loss, int i, float *to) {
    int output = loss->shared_outputs[i];
    if (output >= 0)
        memcpy(to, basin__plan_shared(loss->plan, output),
               (size_t)basin_shape_count(loss->energy->parameters.items[i].shape) * sizeof(float));
}

basin_status basin__loss_run(basin__loss *loss, const float *data, const float *negatives) {
    BASIN_TRY(basin__energy_ready(loss->energy));
    BASIN_TRY(basin__plan_prepare(loss->plan));
    const void *inputs[2] = {NULL, NULL};
    int at_data = basin__plan_input(loss->plan, "data");
    int at_negative = basin__plan_input(loss->plan, "negative");
    if (at_data >= 0)
        inputs[at_data] = data;
    if (at_negative >= 0)
        inputs[at_negative] = negatives;
    BASIN_TRY(basin__plan_run_batch(loss->plan, loss->batch, inputs, loss->outputs));
    for (int i = 0; i < loss->energy->parameters.count; i++)
        if (loss->gradients[i] != NULL)
            copy_shared(loss, i, loss->gradients[i]);
    return BASIN_OK;
}

void basin__loss_advance_states(basin__loss *loss) {
    const basin__parameters *all = &loss->energy->parameters;
    for (int i = 0; i < all->count; i++)
        if (all->items[i].is_state)
            copy_shared(loss, i, all->items[i].data);
}
