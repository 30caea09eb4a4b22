/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vᵀ ∇ₓ²E v as graph: the derivative of ⟨v, ∇ₓE⟩, v held, is ∇ₓ²E v (Pearlmutter, 1994), and a
 * gradient is more graph, so this is the gradient of a gradient, and a product with v once more.
 */
#include "eval/curvature.h"
#include <string.h>

struct basin__curvature {
    basin_energy *energy;
    basin_graph *graph;
    basin__plan *plan;
    bool is_linear; /* E has one gradient everywhere, which the plan then gives as shared */
};

enum { INPUTS_MAX = 4 };

static basin_status build(basin__curvature *curvature) {
    basin_energy *energy = curvature->energy;
    BASIN_TRY(basin_graph_create(energy->context, &curvature->graph));
    basin_graph *graph = curvature->graph;
    const basin__energy_inputs inputs = basin__energy_graph_inputs(energy, graph);
    const basin_value direction = basin_graph_input(graph, "direction", energy->shape);
    basin_value gradient, product;
    basin_value value = basin__energy_build(energy, graph, &inputs).energy;
    basin_graph_gradient(graph, value, &inputs.x, 1, &gradient);
    basin_value along =
        basin_graph_sum(graph, basin_graph_mul(graph, direction, gradient), BASIN_AXES_ALL);
    basin_graph_gradient(graph, along, &inputs.x, 1, &product);
    const basin_value outputs[] = {
        gradient,
        basin_graph_sum(graph, basin_graph_mul(graph, direction, product), BASIN_AXES_ALL)};
    BASIN_TRY(basin__plan_create(energy->context, graph, outputs, BASIN_COUNT(outputs),
                                 &(basin__plan_options){0}, &curvature->plan));
    basin__energy_bind(energy, curvature->plan);
    curvature->is_linear = basin_graph_is_shared(graph, gradient);
    return BASIN_OK;
}

basin_status basin__curvature_create(basin_energy *energy, basin__curvature **out) {
    *out = NULL;
    if (!energy->network)
        return basin__fail(energy->context, BASIN_ERROR_UNSUPPORTED,
                           "an energy computed by a callback has no second derivative");
    basin__curvature *curvature = basin__alloc(energy->context, sizeof *curvature);
    if (!curvature)
        return BASIN_ERROR_MEMORY;
    curvature->energy = energy;
    basin_status status = build(curvature);
    if (status == BASIN_OK)
        *out = curvature;
    else
        basin__curvature_destroy(curvature);
    return status;
}

void basin__curvature_destroy(basin__curvature *curvature) {
    if (!curvature)
        return;
    basin__plan_destroy(curvature->plan);
    basin_graph_destroy(curvature->graph);
    basin__free(curvature->energy->context, curvature);
}

basin_status basin__curvature_prepare(basin__curvature *curvature) {
    return basin__plan_prepare(curvature->plan);
}

int basin__curvature_tile(const basin__curvature *curvature) {
    return basin__plan_tile(curvature->plan);
}

void basin__curvature_run(const basin__curvature *curvature, int worker, int n,
                          const basin__points *points, const float *direction, float *gradient,
                          float *curvatures) {
    static const char *const names[INPUTS_MAX] = {"x", "noise_level", "label", "direction"};
    const float *const data[INPUTS_MAX] = {points->x, points->noise_level, points->label,
                                           direction};
    const void *inputs[INPUTS_MAX] = {NULL};
    void *const outputs[] = {gradient, curvatures};
    for (int i = 0; i < INPUTS_MAX; i++) {
        const int at = basin__plan_input(curvature->plan, names[i]); /* a plan need not use all */
        if (at >= 0)
            inputs[at] = data[i];
    }
    /* A curvature that is 0 everywhere is shared, too: outputs that are shared are left alone. */
    memset(curvatures, 0, (size_t)n * sizeof *curvatures);
    basin__plan_run(curvature->plan, worker, n, inputs, outputs);
    const size_t bytes = (size_t)basin_shape_count(curvature->energy->shape) * sizeof(float);
    for (int i = 0; gradient && curvature->is_linear && i < n; i++)
        memcpy((char *)gradient + (size_t)i * bytes, basin__plan_shared(curvature->plan, 0), bytes);
}
