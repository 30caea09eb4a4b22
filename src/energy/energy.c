/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Energies: made from a network or a callback, and evaluated.
 *
 * A network's graph is built once; two plans are compiled from it on first use,
 * E alone and E with dE/dx, and prepared anew when parameters change. Examples
 * are cut into tiles that workers take; an example's energy does not depend on
 * the examples beside it.
 */
#include "energy/energy.h"
#include "base/number.h"
#include <string.h>

#define SIDE_MAX 65536
#define COUNT_MAX ((int64_t)1 << 28)
#define CALLBACK_TILE 64
#define NAME_BYTES 192 /* of a parameter behind a prefix */

static basin_status check_shape(basin_context *context, basin_shape shape) {
    const int32_t side[] = {shape.height, shape.width, shape.channels};
    for (size_t i = 0; i < BASIN_COUNT(side); i++)
        if (side[i] < 1 || side[i] > SIDE_MAX)
            return basin__fail(context, BASIN_ERROR_SHAPE,
                               "an example of %d x %d x %d (height, width, channels) is out of "
                               "range: each must be 1 to %d",
                               shape.height, shape.width, shape.channels, SIDE_MAX);
    if (basin_shape_count(shape) > COUNT_MAX)
        return basin__fail(context, BASIN_ERROR_SHAPE,
                           "an example of %d x %d x %d has more than %lld values", shape.height,
                           shape.width, shape.channels, (long long)COUNT_MAX);
    return BASIN_OK;
}

/** What networks and callbacks share; NULL with the error recorded. */
static basin_energy *new_energy(basin_context *context, basin_shape shape) {
    basin_energy *energy = basin__alloc(context, sizeof(*energy));
    if (!energy)
        return NULL;
    energy->context = context;
    energy->shape = shape;
    energy->is_stale = true;
    energy->logits = energy->features = BASIN_NO_VALUE;
    energy->metadata = json_object();
    if (!energy->metadata) {
        basin__fail(context, BASIN_ERROR_MEMORY, "no memory for an energy's metadata");
        basin__free(context, energy);
        return NULL;
    }
    return energy;
}

/** Level 1 and no class until something else is said. */
static void set_condition(basin_energy *energy, basin__condition condition) {
    energy->condition = condition;
    energy->noise_level = 1.0;
    energy->label = condition.class_count;
}

basin__energy_inputs basin__energy_graph_inputs(const basin_energy *energy, basin_graph *graph) {
    const basin_shape scalar = basin_shape_vector(1);
    basin__energy_inputs inputs = {basin_graph_input(graph, "x", energy->shape), BASIN_NO_VALUE,
                                   BASIN_NO_VALUE};
    if (energy->condition.noise_level)
        inputs.noise_level = basin_graph_input(graph, "noise_level", scalar);
    if (energy->condition.class_count > 0)
        inputs.label = basin_graph_input(graph, "label", scalar);
    return inputs;
}

basin__energy_values basin__energy_build(basin_energy *energy, basin_graph *graph,
                                         const basin__energy_inputs *inputs) {
    const basin__condition *condition = &energy->condition;
    basin__build build = {.context = energy->context,
                          .graph = graph,
                          .parameters = &energy->parameters,
                          .noise_level = BASIN_NO_VALUE,
                          .label = BASIN_NO_VALUE,
                          .logits = BASIN_NO_VALUE,
                          .features = BASIN_NO_VALUE};
    basin__energy_values values = {BASIN_NO_VALUE, BASIN_NO_VALUE, BASIN_NO_VALUE};
    if (condition->noise_level)
        build.noise_level = inputs->noise_level;
    if (condition->class_count > 0)
        build.label =
            inputs->label != BASIN_NO_VALUE
                ? inputs->label
                : basin_graph_constant(graph, condition->class_count, basin_shape_vector(1));
    if (condition->noise_level && build.noise_level == BASIN_NO_VALUE) {
        basin__graph_fail(graph, BASIN_ERROR_ARGUMENT,
                          "network %s takes a noise level, and none is given",
                          energy->network->name);
        return values;
    }
    values.energy = energy->network->build(&build, energy->options.values, inputs->x);
    values.logits = build.logits;
    values.features = build.features;
    return values;
}

static basin_status build_graph(basin_energy *energy) {
    BASIN_TRY(basin_graph_create(energy->context, &energy->graph));
    basin_graph *graph = energy->graph;
    basin__energy_inputs inputs = basin__energy_graph_inputs(energy, graph);
    basin__energy_values values = basin__energy_build(energy, graph, &inputs);
    energy->value = values.energy;
    energy->logits = values.logits;
    energy->features = values.features;
    BASIN_TRY(basin_graph_status(graph));
    basin_shape shape = basin_graph_shape(graph, energy->value);
    if (basin_shape_count(shape) != 1)
        return basin__fail(energy->context, BASIN_ERROR_SHAPE,
                           "the last layer gives %d x %d x %d values; an energy is one (end with "
                           "flatten or mean and linear 1)",
                           shape.height, shape.width, shape.channels);
    basin_graph_gradient(graph, energy->value, &inputs.x, 1, &energy->gradient);
    return basin_graph_status(graph);
}

basin_status basin__energy_create(basin_context *context, const basin__network_def *network,
                                  basin__option_group options, basin_shape shape,
                                  basin_energy **out) {
    *out = NULL;
    BASIN_TRY(check_shape(context, shape));
    basin_energy *energy = new_energy(context, shape);
    if (!energy)
        return BASIN_ERROR_MEMORY;
    energy->network = network;
    energy->options = options;
    if (network->condition)
        set_condition(energy, network->condition(options.values));
    basin_status status = build_graph(energy);
    if (status != BASIN_OK) {
        char prefix[64];
        basin__snprintf(prefix, sizeof(prefix), "network %s", network->name);
        basin__fail_in(context, status, prefix);
        energy->options = (basin__option_group){0}; /* stay the caller's */
        basin_energy_destroy(energy);
        return status;
    }
    *out = energy;
    return BASIN_OK;
}

basin_status basin_energy_create(basin_context *context, const char *network, const char *options,
                                 int height, int width, int channels, uint64_t seed,
                                 basin_energy **out) {
    *out = NULL;
    json_error_t error;
    json_t *values = json_loads(options ? options : "{}", JSON_REJECT_DUPLICATES, &error);
    if (!values)
        return basin__fail(context, BASIN_ERROR_CONFIG,
                           "options of network %s are not JSON: %s at column %d", network,
                           error.text, error.column);
    const basin__network_def *definition;
    basin__option_group group;
    basin_status status = basin__network_options(context, network, values, &definition, &group);
    json_decref(values);
    BASIN_TRY(status);
    status = basin__energy_create(context, definition, group,
                                  (basin_shape){1, height, width, channels}, out);
    if (status != BASIN_OK) {
        basin__network_options_reset(context, &group);
        return status;
    }
    status = basin__parameters_start(context, &(*out)->parameters, seed);
    if (status != BASIN_OK) {
        basin_energy_destroy(*out);
        *out = NULL;
    }
    return status;
}

basin_status basin_energy_from_callback(basin_context *context, int height, int width, int channels,
                                        basin_energy_function *function, void *user,
                                        basin_energy **out) {
    *out = NULL;
    basin_shape shape = {1, height, width, channels};
    if (!function)
        return basin__fail(context, BASIN_ERROR_ARGUMENT, "an energy's callback is NULL");
    BASIN_TRY(check_shape(context, shape));
    basin_energy *energy = new_energy(context, shape);
    if (!energy)
        return BASIN_ERROR_MEMORY;
    energy->function = function;
    energy->user = user;
    *out = energy;
    return BASIN_OK;
}

basin_status basin__energy_from_points_callback(basin_context *context, basin_shape shape,
                                                basin__condition condition,
                                                basin__points_function *function, void *user,
                                                basin_energy **out) {
    *out = NULL;
    BASIN_TRY(check_shape(context, shape));
    basin_energy *energy = new_energy(context, shape);
    if (!energy)
        return BASIN_ERROR_MEMORY;
    energy->points_function = function;
    energy->user = user;
    set_condition(energy, condition);
    *out = energy;
    return BASIN_OK;
}

void basin_energy_destroy(basin_energy *energy) {
    if (!energy)
        return;
    basin_context *context = energy->context;
    basin__plan_destroy(energy->output_plan);
    basin__plan_destroy(energy->value_plan);
    basin__plan_destroy(energy->gradient_plan);
    basin__plan_destroy(energy->chain_plan);
    basin_graph_destroy(energy->graph);
    basin__parameters_reset(context, &energy->parameters);
    if (energy->network && energy->network->reset && energy->options.values)
        energy->network->reset(context, energy->options.values);
    basin__network_options_reset(context, &energy->options);
    basin__free(context, energy->plan_energies);
    basin__free(context, energy->spare_energies);
    basin__free(context, energy->noise_levels);
    basin__free(context, energy->labels);
    json_decref(energy->metadata);
    basin__free(context, energy);
}

void basin_energy_shape(const basin_energy *energy, int shape[3]) {
    shape[0] = energy->shape.height;
    shape[1] = energy->shape.width;
    shape[2] = energy->shape.channels;
}

int64_t basin_energy_parameter_count(const basin_energy *energy) {
    int64_t count = 0;
    for (int i = 0; i < energy->parameters.count; i++)
        if (!energy->parameters.items[i].is_state)
            count += basin_shape_count(energy->parameters.items[i].shape);
    for (int i = 0; i < energy->part_count; i++)
        count += basin_energy_parameter_count(energy->parts[i].energy);
    return count;
}

double basin__energy_data_std(const basin_energy *energy) {
    double std = 1.0;
    const basin__option *option = basin__option_find(&energy->options, 1, "data-std", NULL);
    if (option)
        memcpy(&std, (const char *)energy->options.values + option->offset, sizeof std);
    return std;
}

/* ---- evaluation ---- */

static void bind(const basin__parameters *list, const char *prefix, basin__plan *plan) {
    char name[NAME_BYTES];
    for (int i = 0; i < list->count; i++) {
        basin__snprintf(name, sizeof(name), "%s%s", prefix, list->items[i].name);
        basin__plan_bind(plan, name, list->items[i].data);
    }
}

void basin__energy_bind(const basin_energy *energy, basin__plan *plan) {
    bind(&energy->parameters, "", plan);
    for (int i = 0; i < energy->part_count; i++)
        bind(&energy->parts[i].energy->parameters, energy->parts[i].prefix, plan);
}

void basin__energy_changed(basin_energy *energy) { energy->is_stale = true; }

/** Compile a plan for E, or for E and dE/dx; the energy's tile is what all its plans can take. */
static basin_status make_plan(basin_energy *energy, int output_count, basin__plan_options options,
                              basin__plan **out) {
    const basin_value outputs[] = {energy->value, energy->gradient};
    BASIN_TRY(
        basin__plan_create(energy->context, energy->graph, outputs, output_count, &options, out));
    basin__energy_bind(energy, *out);
    int tile = basin__plan_tile(*out);
    if (energy->tile == 0 || tile < energy->tile)
        energy->tile = tile;
    return BASIN_OK;
}

static basin_status make_plans(basin_energy *energy) {
    basin__plan_options options = {0};
    BASIN_TRY(make_plan(energy, 2, options, &energy->gradient_plan));
    options.beside = energy->gradient_plan;
    BASIN_TRY(make_plan(energy, 1, options, &energy->value_plan));
    options.is_half = true;
    if (basin__context_is_half(energy->context))
        BASIN_TRY(make_plan(energy, 2, options, &energy->chain_plan));
    return BASIN_OK;
}

static void fill_condition(basin_energy *energy) {
    for (int i = 0; energy->noise_levels && energy->labels && i < energy->tile; i++) {
        energy->noise_levels[i] = (float)energy->noise_level;
        energy->labels[i] = (float)energy->label;
    }
}

basin_status basin__energy_set_condition(basin_energy *energy, double noise_level, int label) {
    const basin__condition *condition = &energy->condition;
    if (condition->noise_level && !(noise_level > 0 && noise_level < 1e30))
        return basin__fail(energy->context, BASIN_ERROR_ARGUMENT,
                           "a noise level is above 0 and finite, not %g", noise_level);
    if (label >= 0 && label >= condition->class_count)
        return basin__fail(energy->context, BASIN_ERROR_ARGUMENT,
                           condition->class_count > 0
                               ? "there is no class %d: the model has %d, from 0"
                               : "class %d is asked for, and the model takes no class",
                           label, condition->class_count);
    energy->noise_level = noise_level;
    energy->label = label < 0 ? condition->class_count : label;
    fill_condition(energy);
    return BASIN_OK;
}

static basin_status make_ready(basin_energy *energy) {
    if (energy->network)
        BASIN_TRY(make_plans(energy));
    else
        energy->tile = CALLBACK_TILE;
    size_t rows = (size_t)basin_context_thread_count(energy->context) * (size_t)energy->tile;
    energy->plan_energies = basin__alloc_array(energy->context, rows, sizeof(float));
    energy->spare_energies = basin__alloc_array(energy->context, rows, sizeof(double));
    energy->noise_levels = basin__alloc_array(energy->context, (size_t)energy->tile, sizeof(float));
    energy->labels = basin__alloc_array(energy->context, (size_t)energy->tile, sizeof(float));
    if (!energy->plan_energies || !energy->spare_energies || !energy->noise_levels ||
        !energy->labels)
        return BASIN_ERROR_MEMORY;
    fill_condition(energy);
    return BASIN_OK;
}

/** Undo a make_ready that failed half-way, so that it can be tried again. */
static void drop_plans(basin_energy *energy) {
    basin__plan_destroy(energy->value_plan);
    basin__plan_destroy(energy->gradient_plan);
    basin__plan_destroy(energy->chain_plan);
    energy->value_plan = NULL;
    energy->gradient_plan = NULL;
    energy->chain_plan = NULL;
    basin__free(energy->context, energy->plan_energies);
    basin__free(energy->context, energy->spare_energies);
    basin__free(energy->context, energy->noise_levels);
    basin__free(energy->context, energy->labels);
    energy->plan_energies = NULL;
    energy->spare_energies = NULL;
    energy->noise_levels = energy->labels = NULL;
    energy->tile = 0;
}

basin_status basin__energy_ready(basin_energy *energy) {
    if (energy->tile == 0) {
        basin_status status = make_ready(energy);
        if (status != BASIN_OK) {
            drop_plans(energy);
            return status;
        }
    }
    if (energy->network && energy->is_stale) {
        BASIN_TRY(basin__plan_prepare(energy->gradient_plan)); /* the others use its weights */
        BASIN_TRY(basin__plan_prepare(energy->value_plan));
        if (energy->chain_plan)
            BASIN_TRY(basin__plan_prepare(energy->chain_plan));
        if (energy->output_plan)
            BASIN_TRY(basin__plan_prepare(energy->output_plan));
    }
    energy->is_stale = false;
    return BASIN_OK;
}

int basin__energy_tile(const basin_energy *energy) { return energy->tile; }

/** A plan need not use every input: a constant energy uses none. */
static void give(const basin__plan *plan, const char *name, const float *data,
                 const void **inputs) {
    int at = basin__plan_input(plan, name);
    if (at >= 0)
        inputs[at] = data;
}

static void run_callback(const basin_energy *energy, int worker, int n, const basin__points *points,
                         double *energies, float *gradient) {
    if (!energies)
        energies = energy->spare_energies + (int64_t)worker * energy->tile;
    if (energy->function) {
        energy->function(energy->user, n, points->x, energies, gradient);
        return;
    }
    basin__points all = {.x = points->x};
    if (energy->condition.noise_level)
        all.noise_level = points->noise_level ? points->noise_level : energy->noise_levels;
    if (energy->condition.class_count > 0)
        all.label = points->label ? points->label : energy->labels;
    energy->points_function(energy->user, n, &all, energies, gradient);
}

void basin__energy_give(const basin_energy *energy, const basin__plan *plan,
                        const basin__points *points, const void *inputs[BASIN__ENERGY_INPUTS_MAX]) {
    give(plan, "x", points->x, inputs);
    if (energy->condition.noise_level)
        give(plan, "noise_level", points->noise_level ? points->noise_level : energy->noise_levels,
             inputs);
    if (energy->condition.class_count > 0)
        give(plan, "label", points->label ? points->label : energy->labels, inputs);
}

static void run_tile(basin_energy *energy, basin__plan *plan, int worker, int n,
                     const basin__points *points, double *energies, float *gradient) {
    if (!energy->network) {
        run_callback(energy, worker, n, points, energies, gradient);
        return;
    }
    float *values = energy->plan_energies + (int64_t)worker * energy->tile;
    const void *inputs[BASIN__ENERGY_INPUTS_MAX] = {NULL};
    basin__energy_give(energy, plan, points, inputs);
    void *const outputs[] = {energies ? values : NULL, gradient};
    basin__plan_run(plan, worker, n, inputs, outputs);
    for (int i = 0; energies && i < n; i++)
        energies[i] = (double)values[i];
}

void basin__energy_evaluate_tile(basin_energy *energy, int worker, int n,
                                 const basin__points *points, double *energies, float *gradient) {
    run_tile(energy, gradient ? energy->gradient_plan : energy->value_plan, worker, n, points,
             energies, gradient);
}

basin__plan *basin__energy_chain_plan(const basin_energy *energy) {
    return energy->chain_plan ? energy->chain_plan : energy->gradient_plan;
}

void basin__energy_step_tile(basin_energy *energy, int worker, int n, const basin__points *points,
                             double *energies, float *gradient) {
    run_tile(energy, basin__energy_chain_plan(energy), worker, n, points, energies, gradient);
}

typedef struct evaluation {
    basin_energy *energy;
    int64_t n, size;
    basin__points points;
    double *energies;
    float *gradient;
} evaluation;

static void evaluate_task(void *user, int64_t index, int worker) {
    const evaluation *task = user;
    int tile = task->energy->tile;
    int64_t first = index * tile, left = task->n - first;
    const basin__points *all = &task->points;
    const basin__points points = {
        .x = all->x + first * task->size,
        .noise_level = all->noise_level ? all->noise_level + first : NULL,
        .label = all->label ? all->label + first : NULL,
    };
    basin__energy_evaluate_tile(task->energy, worker, left < tile ? (int)left : tile, &points,
                                task->energies ? task->energies + first : NULL,
                                task->gradient ? task->gradient + first * task->size : NULL);
}

basin_status basin__energy_evaluate_points(basin_energy *energy, int64_t n,
                                           const basin__points *points, double *energies,
                                           float *gradient) {
    if (n < 0 || (n > 0 && !points->x) || (!energies && !gradient))
        return basin__fail(energy->context, BASIN_ERROR_ARGUMENT,
                           "evaluating an energy needs n >= 0 examples and room for energies or "
                           "gradients");
    BASIN_TRY(basin__energy_ready(energy));
    evaluation task = {.energy = energy,
                       .n = n,
                       .size = basin_shape_count(energy->shape),
                       .points = *points,
                       .energies = energies,
                       .gradient = gradient};
    basin__parallel(energy->context, (n + energy->tile - 1) / energy->tile, evaluate_task, &task);
    return BASIN_OK;
}

basin_status basin_energy_evaluate(basin_energy *energy, int64_t n, const float *x,
                                   double *energies, float *gradient) {
    return basin__energy_evaluate_points(energy, n, &(basin__points){.x = x}, energies, gradient);
}
