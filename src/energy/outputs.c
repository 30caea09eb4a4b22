/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a network gives beside its energy: logits, and the vector before its last layer, by which
 * examples are compared. One plan gives both; it is made when it is first asked for.
 */
#include "energy/energy.h"

static int count_of(const basin_energy *energy, basin_value value) {
    if (value == BASIN_NO_VALUE)
        return 0;
    return (int)basin_shape_count(basin_graph_shape(energy->graph, value));
}

int basin_energy_logit_count(const basin_energy *energy) {
    return count_of(energy, energy->logits);
}

int basin_energy_feature_count(const basin_energy *energy) {
    return count_of(energy, energy->features);
}

static basin_status make_plan(basin_energy *energy) {
    basin_value outputs[2];
    int count = 0;
    if (energy->logits != BASIN_NO_VALUE)
        outputs[count++] = energy->logits;
    if (energy->features != BASIN_NO_VALUE)
        outputs[count++] = energy->features;
    const basin__plan_options options = {.beside = energy->gradient_plan};
    basin__plan *plan;
    BASIN_TRY(basin__plan_create(energy->context, energy->graph, outputs, count, &options, &plan));
    basin__energy_bind(energy, plan);
    basin_status status = basin__plan_prepare(plan);
    if (status == BASIN_OK)
        energy->output_plan = plan;
    else
        basin__plan_destroy(plan);
    return status;
}

typedef struct evaluation {
    basin_energy *energy;
    int64_t n, tile;
    const basin__points *points;
    float *logits, *features;
} evaluation;

static void evaluate_tile(void *user, int64_t index, int worker) {
    const evaluation *task = user;
    const basin_energy *energy = task->energy;
    const basin__points *all = task->points;
    const int64_t first = index * task->tile, left = task->n - first;
    const basin__points points = {
        .x = all->x + first * basin_shape_count(energy->shape),
        .noise_level = all->noise_level ? all->noise_level + first : NULL,
        .label = all->label ? all->label + first : NULL,
    };
    const void *inputs[BASIN__ENERGY_INPUTS_MAX] = {NULL};
    void *outputs[2] = {NULL, NULL};
    const int at = energy->logits != BASIN_NO_VALUE; /* of the features */
    if (task->logits)
        outputs[0] = task->logits + first * basin_energy_logit_count(energy);
    if (task->features)
        outputs[at] = task->features + first * basin_energy_feature_count(energy);
    basin__energy_give(energy, energy->output_plan, &points, inputs);
    basin__plan_run(energy->output_plan, worker, (int)(left < task->tile ? left : task->tile),
                    inputs, outputs);
}

/** Whether all that is asked for is there. */
static basin_status check(const basin_energy *energy, int64_t n, const basin__points *points,
                          const float *logits, const float *features) {
    const char *network = energy->network ? energy->network->name : "of a callback";
    if (n < 0 || (n > 0 && !points->x) || (!logits && !features))
        return basin__fail(energy->context, BASIN_ERROR_ARGUMENT,
                           "logits and features need n >= 0 examples and room for one of them");
    if (logits && energy->logits == BASIN_NO_VALUE)
        return basin__fail(energy->context, BASIN_ERROR_UNSUPPORTED,
                           "network %s gives no logits: it was not made with its option logits",
                           network);
    if (features && energy->features == BASIN_NO_VALUE)
        return basin__fail(energy->context, BASIN_ERROR_UNSUPPORTED,
                           "network %s has no vector before a last layer", network);
    return BASIN_OK;
}

basin_status basin__energy_outputs(basin_energy *energy, int64_t n, const basin__points *points,
                                   float *logits, float *features) {
    BASIN_TRY(check(energy, n, points, logits, features));
    BASIN_TRY(basin__energy_ready(energy));
    if (!energy->output_plan)
        BASIN_TRY(make_plan(energy));
    const int most = basin__plan_tile(energy->output_plan);
    evaluation task = {.energy = energy,
                       .n = n,
                       .tile = most < energy->tile ? most : energy->tile,
                       .points = points,
                       .logits = logits,
                       .features = features};
    basin__parallel(energy->context, (n + task.tile - 1) / task.tile, evaluate_tile, &task);
    return BASIN_OK;
}

basin_status basin_energy_logits(basin_energy *energy, int64_t n, const float *x, float *logits) {
    return basin__energy_outputs(energy, n, &(basin__points){.x = x}, logits, NULL);
}

basin_status basin_energy_features(basin_energy *energy, int64_t n, const float *x,
                                   float *features) {
    return basin__energy_outputs(energy, n, &(basin__points){.x = x}, NULL, features);
}
