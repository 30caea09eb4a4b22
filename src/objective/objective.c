/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of objectives, and the compiled loss: one plan whose outputs are what is watched, the
 * gradient of each parameter (of the mean over the batch), and states' next values.
 */
#include "objective/objective.h"
#include "backend/cpu/kernels.h"
#include "rng/philox.h"
#include <math.h>
#include <stdio.h>
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

#define WATCHED_MAX 3  /* per-example outputs: the loss and two energies */
#define SOURCE_BITS 26 /* of a chain number; above them stands the source's index */

/* What one compilation works with: values in the order of the plan's outputs. */
typedef struct build {
    basin_value *outputs, *parameters, *gradients;
    int output_count, parameter_count;
} build;

/* Room for a per-example scalar, as the plan's next output. */
static basin_status watch(basin__loss *loss, basin_value value, float **room, build *b) {
    if (value == BASIN_NO_VALUE)
        return BASIN_OK;
    *room = basin__alloc_array(loss->energy->context, (size_t)loss->batch, sizeof(float));
    if (*room == NULL)
        return BASIN_ERROR_MEMORY;
    loss->outputs[b->output_count] = *room;
    b->outputs[b->output_count++] = value;
    return BASIN_OK;
}

static basin_status build_graph(basin__loss *loss, const basin__objective_def *objective,
                                const void *options, build *b) {
    basin_graph *graph = loss->graph;
    const basin__parameters *all = &loss->energy->parameters;
    basin__objective_values values = objective->build(options, loss, graph);
    BASIN_TRY(basin_graph_status(graph));
    BASIN_TRY(watch(loss, values.loss, &loss->losses, b));
    BASIN_TRY(watch(loss, values.energy_data, &loss->energy_data, b));
    BASIN_TRY(watch(loss, values.energy_negative, &loss->energy_negative, b));
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
    loss->gradients = basin__alloc_array(context, count, sizeof(float *));
    loss->shared_outputs = basin__alloc_array(context, count, sizeof(int));
    loss->outputs = basin__alloc_array(context, count + WATCHED_MAX, sizeof(void *));
    if (loss->gradients == NULL || loss->shared_outputs == NULL || loss->outputs == NULL)
        return BASIN_ERROR_MEMORY;
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

static basin_status alloc_sources(basin__loss *loss) {
    for (int i = 0; i < loss->source_count; i++) {
        basin__loss_input *source = &loss->sources[i];
        source->input = basin__plan_input(loss->plan, source->name);
        const bool is_fitted = source->kind == BASIN__SOURCE_FITTED;
        const size_t rows = is_fitted ? 1 : (size_t)loss->batch;
        source->data =
            basin__alloc_array(loss->energy->context, rows * (size_t)source->size, sizeof(float));
        if (source->data == NULL)
            return BASIN_ERROR_MEMORY;
        if (is_fitted)
            basin__plan_bind(loss->plan, source->name, source->data);
    }
    return BASIN_OK;
}

static basin_status compile(basin__loss *loss, const basin__objective_def *objective,
                            const void *options) {
    basin_context *context = loss->energy->context;
    size_t count = (size_t)loss->energy->parameters.count;
    basin_value *values = basin__alloc_array(context, 3 * count + WATCHED_MAX, sizeof(basin_value));
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
    if (status == BASIN_OK) {
        basin__energy_bind(loss->energy, loss->plan);
        status = alloc_sources(loss);
    }
    basin__free(context, values);
    return status;
}

basin_status basin__loss_create(const basin__objective_def *objective, const void *options,
                                basin_energy *energy, int64_t batch, basin__loss **out) {
    return basin__loss_create_along(objective, options, energy, batch, NULL, NULL, out);
}

basin_status basin__loss_create_along(const basin__objective_def *objective, const void *options,
                                      basin_energy *energy, int64_t batch,
                                      const basin__sampler_def *sampler,
                                      const void *sampler_options, basin__loss **out) {
    *out = NULL;
    if (energy->network == NULL)
        return basin__fail(energy->context, BASIN_ERROR_ARGUMENT,
                           "an energy given by a callback has no parameters to train");
    basin__loss *loss = basin__alloc(energy->context, sizeof *loss);
    if (loss == NULL)
        return BASIN_ERROR_MEMORY;
    loss->objective = objective;
    loss->energy = energy;
    loss->batch = batch;
    loss->sampler = sampler;
    loss->sampler_options = sampler_options;
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
    for (int i = 0; i < loss->source_count; i++)
        basin__free(context, loss->sources[i].data);
    basin__free(context, loss->losses);
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

/* ---- values of the graph ---- */

basin_value basin__loss_source(basin__loss *loss, basin__source_kind kind, const char *name,
                               basin_shape shape) {
    int at = 0;
    while (at < loss->source_count && strcmp(loss->sources[at].name, name) != 0)
        at++;
    if (at == BASIN__LOSS_SOURCES_MAX)
        return basin__graph_fail(loss->graph, BASIN_ERROR_ARGUMENT,
                                 "a loss has at most %d sources, and %s is one more",
                                 BASIN__LOSS_SOURCES_MAX, name);
    basin__loss_input *source = &loss->sources[at];
    if (at == loss->source_count) {
        *source = (basin__loss_input){.kind = kind, .size = basin_shape_count(shape), .input = -1};
        snprintf(source->name, sizeof source->name, "%s", name);
        loss->source_count++;
    }
    return kind == BASIN__SOURCE_FITTED ? basin_graph_setting(loss->graph, name, shape)
                                        : basin_graph_input(loss->graph, name, shape);
}

basin_value basin__loss_data(basin__loss *loss) {
    return basin__loss_source(loss, BASIN__SOURCE_DATA, "data", loss->energy->shape);
}

basin__energy_values basin__loss_energy(basin__loss *loss, basin_value x, basin_value noise_level,
                                        basin_value label) {
    const basin__energy_inputs inputs = {x, noise_level, label};
    return basin__energy_build(loss->energy, loss->graph, &inputs);
}

/* ---- running ---- */

float *basin__loss_find(const basin__loss *loss, const char *name) {
    for (int i = 0; i < loss->source_count; i++)
        if (strcmp(loss->sources[i].name, name) == 0)
            return loss->sources[i].data;
    return NULL;
}

const basin__loss_input *basin__loss_find_kind(const basin__loss *loss, basin__source_kind kind) {
    for (int i = 0; i < loss->source_count; i++)
        if (loss->sources[i].kind == kind)
            return &loss->sources[i];
    return NULL;
}

/** The x below which a share p of standard normals lies: bisection of Φ, at rounding's end. */
static double normal_quantile(double p) {
    double low = -9, high = 9;
    for (int i = 0; i < 60; i++) {
        double middle = 0.5 * (low + high);
        if (0.5 * erfc(-middle * 0.7071067811865476) < p)
            low = middle;
        else
            high = middle;
    }
    return 0.5 * (low + high);
}

typedef struct fill {
    basin__loss *loss;
    const basin__cpu_kernels *kernels;
    basin__draw draw;
} fill;

/** Example i takes the quantile (i + u) / batch, all with one u: the order of a batch is random. */
static double quantile_of(const fill *of, const basin__draw *first, int64_t i) {
    float u[1];
    of->kernels->uniform(u, 1, first);
    return ((double)i + (double)u[0]) / (double)of->loss->batch;
}

/** All random numbers of example i. */
static void fill_example(void *user, int64_t i, int worker) {
    const fill *of = user;
    (void)worker;
    for (int s = 0; s < of->loss->source_count; s++) {
        const basin__loss_input *source = &of->loss->sources[s];
        float *numbers = source->data + i * source->size;
        basin__draw at = of->draw;
        at.chain = (uint32_t)s << SOURCE_BITS;
        if (source->kind == BASIN__SOURCE_SPREAD)
            numbers[0] = (float)quantile_of(of, &at, i);
        if (source->kind == BASIN__SOURCE_SPREAD_NORMAL)
            numbers[0] = (float)normal_quantile(quantile_of(of, &at, i));
        at.chain += (uint32_t)i;
        if (source->kind == BASIN__SOURCE_NORMAL)
            of->kernels->normal(numbers, 1, source->size, &at);
        if (source->kind == BASIN__SOURCE_UNIFORM || source->kind == BASIN__SOURCE_SIGN)
            of->kernels->uniform(numbers, source->size, &at);
        for (int64_t k = 0; source->kind == BASIN__SOURCE_SIGN && k < source->size; k++)
            numbers[k] = numbers[k] < 0.5f ? -1.0f : 1.0f;
    }
    if (of->loss->objective->make != NULL)
        of->loss->objective->make(of->loss, i);
}

void basin__loss_fill(basin__loss *loss, uint64_t seed, uint64_t draw, uint16_t attempt) {
    basin_context *context = loss->energy->context;
    fill of = {.loss = loss,
               .kernels = basin__cpu_kernels_for(basin__context_isa(context)),
               .draw = {.seed = seed,
                        .draw = draw,
                        .purpose = (uint16_t)(BASIN__PURPOSE_OBJECTIVE | attempt << 8)}};
    basin__parallel(context, loss->batch, fill_example, &of);
}

basin_status basin__loss_run(basin__loss *loss) {
    BASIN_TRY(basin__energy_ready(loss->energy));
    BASIN_TRY(basin__plan_prepare(loss->plan));
    const void *inputs[BASIN__LOSS_SOURCES_MAX] = {NULL};
    for (int i = 0; i < loss->source_count; i++)
        if (loss->sources[i].input >= 0)
            inputs[loss->sources[i].input] = loss->sources[i].data;
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
