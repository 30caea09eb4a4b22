/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a run would cost, before it is run: parameters, arithmetic, memory, time.
 *
 * The loss's gradient goes through the network twice forward, twice back to activations and twice
 * to weights (data and negatives); the plan counts its own convolutions.
 */
#include "train/describe.h"

static size_t parameter_bytes(const basin__trainer *trainer) {
    size_t elements = 0;
    for (int i = 0; i < trainer->energy->parameters.count; i++)
        elements += (size_t)basin_shape_count(trainer->energy->parameters.items[i].shape);
    return elements * sizeof(float);
}

static size_t buffer_bytes(const basin__buffer *buffer) {
    size_t chain = (size_t)buffer->size * (buffer->is_byte ? 1 : sizeof(float));
    const size_t numbers = buffer->labels != NULL ? 3 : 2;
    return (size_t)buffer->capacity * (chain + numbers * sizeof(int32_t));
}

static size_t neighbour_bytes(const basin__neighbours *all) {
    return (size_t)all->capacity *
           ((size_t)all->size * sizeof(float) + sizeof(double) + sizeof(int32_t));
}

/** Of one example: what the loss is given, and a chain's start and end. */
static size_t batch_floats(const basin__trainer *trainer) {
    size_t count = trainer->has_chains ? 2 * (size_t)trainer->size : 0;
    for (int i = 0; i < trainer->loss->source_count; i++)
        count += (size_t)trainer->loss->sources[i].size;
    return count;
}

basin_status basin__trainer_describe(basin__trainer *trainer, basin__run_facts *facts) {
    BASIN_TRY(basin__energy_ready(trainer->energy));
    const basin__plan_facts gradient = basin__plan_describe(trainer->energy->gradient_plan);
    const basin__plan_facts value = basin__plan_describe(trainer->energy->value_plan);
    const basin__plan_facts loss = basin__plan_describe(trainer->loss->plan);
    const size_t workers = (size_t)basin_context_thread_count(trainer->context);
    const basin_data_info *info = basin_data_describe(trainer->data);
    const size_t element = info->is_image ? 1 : sizeof(float);
    const double batch = (double)trainer->batch;
    *facts = (basin__run_facts){
        .parameter_count = basin_energy_parameter_count(trainer->energy),
        .chain_steps = basin__trainer_chain_steps(trainer),
        .step_flops = gradient.flops * batch,
        .loss_flops = loss.flops * batch,
        .data_bytes = (size_t)info->count * (size_t)trainer->size * element,
        .buffer_bytes = 2 * buffer_bytes(&trainer->buffer) + neighbour_bytes(&trainer->neighbours),
        .parameter_bytes =
            2 * (size_t)trainer->trained_elements * sizeof(float) + parameter_bytes(trainer),
        .plan_bytes =
            gradient.shared_bytes + value.shared_bytes + loss.shared_bytes +
            workers * (gradient.workspace_bytes + value.workspace_bytes + loss.workspace_bytes),
        .batch_bytes = (size_t)trainer->batch * batch_floats(trainer) * sizeof(float),
    };
    return BASIN_OK;
}
