/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One update:
 *
 *   1. a batch of data, augmented and noisy, and the loss's random numbers;
 *   2. for contrastive objectives as many chains, from the replay buffer, the data, noise or the
 *      loss's anchors, walked by the sampler;
 *   3. the loss's energies and gradients;
 *   4. a step of the optimiser, the states, and the running average;
 *   5. the chains go back to the buffer.
 *
 * Update u (from 0) draws its noise at index u, and the sampler's steps at u · steps + step.
 */
#include "train/random.h"
#include "train/trainer.h"
#include <math.h>
#include <string.h>

static basin__moment moment_of(const basin__trainer *trainer) {
    return (basin__moment){.seed = (uint64_t)trainer->config.train.seed,
                           .update = (uint64_t)trainer->progress.update,
                           .attempt = (uint16_t)trainer->progress.roll_backs};
}

/** What is decided of chains at this update: words i, batch + i and 2 batch + i are chain i's. */
static basin__draw restart_draw(const basin__moment *moment) {
    return (basin__draw){.seed = moment->seed,
                         .draw = moment->update,
                         .purpose = (uint16_t)(BASIN__PURPOSE_RESTART | moment->attempt << 8)};
}

/** A fresh chain takes the class of the example beside it, or none for a share of them. */
static void label_fresh(basin__trainer *trainer, const basin__moment *moment, int64_t i) {
    basin__draw draw = restart_draw(moment);
    if (trainer->chain_labels == NULL)
        return;
    bool is_hidden = basin__random_unit(&draw, (uint32_t)(2 * trainer->batch + i)) <
                     basin__trainer_class_dropout(trainer);
    trainer->chain_labels[i] =
        is_hidden ? (float)trainer->energy->condition.class_count : trainer->labels[i];
}

/**
 * A fresh chain. Chains that all start from full noise come to the data from one side, by taking
 * ink away, and the energy of emptier images stays what it happened to be. Of faint starts half are
 * full noise, too, and the others lie evenly between it and an empty image.
 */
static void start_fresh(basin__trainer *trainer, const basin__moment *moment, int64_t i,
                        int64_t from) {
    float *start = trainer->starts + i * trainer->size;
    double high = (double)trainer->high, low = (double)trainer->low;
    trainer->ages[i] = 0;
    label_fresh(trainer, moment, i);
    if (from == BASIN__RESTART_FROM_DATA) {
        memcpy(start, trainer->x + i * trainer->size, (size_t)trainer->size * sizeof(float));
        return;
    }
    if (from == BASIN__RESTART_FROM_FAINT) {
        basin__draw draw = restart_draw(moment);
        high = low + (high - low) *
                         fmin(1, 2 * basin__random_unit(&draw, (uint32_t)(trainer->batch + i)));
    }
    basin__chains_start(trainer->context, moment->seed, moment->update, (uint32_t)i,
                        moment->attempt, low, high, 1, trainer->size, start);
}

static void augment_chain(basin__trainer *trainer, const basin__moment *moment, int64_t i) {
    const basin__draw draw = {.seed = moment->seed,
                              .draw = moment->update,
                              .chain = (uint32_t)i,
                              .purpose =
                                  (uint16_t)(BASIN__PURPOSE_AUGMENT_CHAIN | moment->attempt << 8)};
    basin__augment(&trainer->config.train.augment, &draw, trainer->shape, trainer->low,
                   trainer->high, trainer->starts + i * trainer->size, trainer->one);
}

/* Fill `starts` and `ages`: chains drawn from the buffer, some of them begun anew. */
static void start_from_buffer(basin__trainer *trainer, const basin__moment *moment) {
    const basin__train_values *train = &trainer->config.train;
    basin__draw draw = restart_draw(moment);
    bool is_empty = trainer->buffer.count == 0;
    if (!is_empty)
        basin__buffer_draw(&trainer->buffer, moment, trainer->batch, trainer->chosen);
    for (int64_t i = 0; i < trainer->batch; i++) {
        uint32_t decision = train->restart == BASIN__RESTART_BATCH ? 0 : (uint32_t)i;
        if (is_empty || basin__random_unit(&draw, decision) < train->restart_probability) {
            start_fresh(trainer, moment, i, train->restart_from);
            continue;
        }
        basin__buffer_get(&trainer->buffer, trainer->chosen[i],
                          trainer->starts + i * trainer->size);
        augment_chain(trainer, moment, i);
        trainer->ages[i] = trainer->buffer.ages[trainer->chosen[i]];
        if (trainer->chain_labels != NULL)
            trainer->chain_labels[i] = (float)trainer->buffer.labels[trainer->chosen[i]];
    }
}

static void start_from_anchors(basin__trainer *trainer, const basin__moment *moment) {
    for (int64_t i = 0; i < trainer->batch; i++) {
        trainer->ages[i] = 0;
        label_fresh(trainer, moment, i);
    }
    memcpy(trainer->starts, trainer->anchors.x,
           (size_t)trainer->batch * (size_t)trainer->size * sizeof(float));
}

static void start_chains(basin__trainer *trainer, const basin__moment *moment) {
    int64_t from = trainer->config.train.chain_start;
    if (from == BASIN__START_BUFFER)
        start_from_buffer(trainer, moment);
    else if (from == BASIN__START_ANCHOR)
        start_from_anchors(trainer, moment);
    else
        for (int64_t i = 0; i < trainer->batch; i++)
            start_fresh(trainer, moment, i,
                        from == BASIN__START_DATA ? BASIN__RESTART_FROM_DATA
                                                  : BASIN__RESTART_FROM_NOISE);
    memcpy(trainer->chains, trainer->starts,
           (size_t)trainer->batch * (size_t)trainer->size * sizeof(float));
}

static basin_status walk_chains(basin__trainer *trainer, const basin__moment *moment) {
    const basin__train_config *config = &trainer->config;
    const void *options = config->groups[BASIN__GROUP_SAMPLER].values;
    basin__chain_run run = {.sampler = config->sampler,
                            .options = options,
                            .energy = trainer->energy,
                            .labels = trainer->chain_labels,
                            .seed = moment->seed,
                            .first_draw =
                                moment->update * (uint64_t)basin__trainer_chain_steps(trainer),
                            .attempt = moment->attempt,
                            .tail = trainer->tail,
                            .anchors = trainer->anchors};
    BASIN_TRY(basin__chains_run(&run, trainer->batch, trainer->chains));
    trainer->progress.meter.gradient_norm_input += run.gradient_norm;
    return BASIN_OK;
}

/* How far chains went, and how much of them lies at the ends of the range. */
static void measure_chains(basin__trainer *trainer) {
    double moved = 0;
    int64_t saturated = 0;
    for (int64_t i = 0; i < trainer->batch; i++) {
        const float *from = trainer->starts + i * trainer->size;
        const float *to = trainer->chains + i * trainer->size;
        double sum = 0;
        for (int64_t j = 0; j < trainer->size; j++) {
            double step = (double)to[j] - (double)from[j];
            sum += step * step;
            saturated += to[j] <= trainer->low || to[j] >= trainer->high;
        }
        moved += sqrt(sum);
    }
    basin__meter *meter = &trainer->progress.meter;
    meter->displacement += moved / (double)trainer->batch;
    meter->saturated += (double)saturated / ((double)trainer->batch * (double)trainer->size);
}

/* NaN where there is none. */
static double mean_of(const float *values, int64_t n) {
    double sum = values != NULL ? 0 : (double)NAN;
    for (int64_t i = 0; values != NULL && i < n; i++)
        sum += (double)values[i];
    return sum / (double)n;
}

static double norm_of_gradient(const basin__trainer *trainer) {
    const basin__cpu_kernels *kernels =
        basin__cpu_kernels_for(basin__context_isa(trainer->context));
    double squares = 0;
    for (int i = 0; i < trainer->energy->parameters.count; i++) {
        const float *gradient = trainer->loss->gradients[i];
        if (gradient != NULL)
            squares += kernels->dot(gradient, gradient,
                                    basin_shape_count(trainer->energy->parameters.items[i].shape));
    }
    return sqrt(squares);
}

/* Mean loss and energies and the gradient's norm; whether all is as it should be. */
static basin_status measure_loss(basin__trainer *trainer, double *gradient_norm) {
    const basin__loss *of = trainer->loss;
    double loss = mean_of(of->losses, trainer->batch);
    double data = mean_of(of->energy_data, trainer->batch);
    double negative = mean_of(of->energy_negative, trainer->batch);
    *gradient_norm = norm_of_gradient(trainer);
    basin__meter *meter = &trainer->progress.meter;
    meter->loss += loss;
    /* Only what is there: a state file holds no NaN. */
    meter->energy_data += of->energy_data != NULL ? data : 0;
    meter->energy_negative += of->energy_negative != NULL ? negative : 0;
    meter->gradient_norm_parameter += *gradient_norm;
    double gap = negative - data, limit = trainer->config.train.gap_limit;
    bool has_gap = of->energy_data != NULL && of->energy_negative != NULL;
    if (!isfinite(loss) || (has_gap && !isfinite(gap)) || !isfinite(*gradient_norm))
        return basin__fail(trainer->context, BASIN_ERROR_DIVERGED,
                           "the loss, an energy or a gradient became non-finite at update %lld",
                           (long long)trainer->progress.update + 1);
    if (has_gap && fabs(gap) > limit)
        return basin__fail(trainer->context, BASIN_ERROR_DIVERGED,
                           "the energy gap %.4g passed gap-limit %g at update %lld", gap, limit,
                           (long long)trainer->progress.update + 1);
    return BASIN_OK;
}

static void step_average(basin__trainer *trainer) {
    const basin__schedule_options *schedule = &trainer->config.train.schedule;
    const float rest = (float)(1 - basin__average_decay(schedule, trainer->progress.update + 1));
    for (int i = 0; i < trainer->energy->parameters.count; i++) {
        const basin__parameter *source = &trainer->energy->parameters.items[i];
        float *average = trainer->average->parameters.items[i].data;
        int64_t count = basin_shape_count(source->shape);
        if (source->is_state || schedule->average <= 0)
            memcpy(average, source->data, (size_t)count * sizeof(float));
        else
            for (int64_t j = 0; j < count; j++)
                average[j] += rest * (source->data[j] - average[j]);
    }
}

static void step_parameters(basin__trainer *trainer, double gradient_norm) {
    const basin__train_config *config = &trainer->config;
    const basin__schedule_options *schedule = &config->train.schedule;
    const basin__cpu_kernels *kernels =
        basin__cpu_kernels_for(basin__context_isa(trainer->context));
    const double bound = schedule->parameter_clip_value;
    int64_t update = trainer->progress.update + 1;
    basin__optim_step step = {
        .update = update,
        .learning_rate = trainer->progress.rate_factor *
                         basin__learning_rate(schedule, update, config->train.updates),
        .gradient_scale = schedule->parameter_clip == BASIN__CLIP_NORM && gradient_norm > bound
                              ? bound / gradient_norm
                              : 1};
    for (int i = 0; i < trainer->energy->parameters.count; i++) {
        basin__parameter *parameter = &trainer->energy->parameters.items[i];
        float *gradient = trainer->loss->gradients[i];
        if (gradient == NULL)
            continue;
        int64_t count = basin_shape_count(parameter->shape);
        if (schedule->parameter_clip == BASIN__CLIP_ELEMENT)
            kernels->clamp(gradient, -(float)bound, (float)bound, count);
        config->optimiser->step(config->groups[BASIN__GROUP_OPTIMISER].values, &step, count,
                                parameter->data, gradient,
                                trainer->slots + i * config->optimiser->slot_count);
    }
    basin__loss_advance_states(trainer->loss);
    step_average(trainer);
    basin__energy_changed(trainer->energy);
    basin__energy_changed(trainer->average);
}

/* The nearest to each chain's end, where the loss asks for it. */
static void find_neighbours(basin__trainer *trainer, const basin__moment *moment) {
    basin__neighbours *all = &trainer->neighbours;
    const basin__loss_input *room = basin__loss_find_kind(trainer->loss, BASIN__SOURCE_NEIGHBOUR);
    const bool is_kept = trainer->buffer.count > 0;
    if (room == NULL || room->input < 0)
        return;
    if (is_kept)
        basin__neighbours_draw(all, &trainer->buffer, moment);
    else
        basin__neighbours_take(all, trainer->batch, trainer->chains);
    basin__neighbours_find(all, trainer->batch, is_kept ? trainer->chosen : NULL, trainer->chains,
                           room->data);
}

/* Negatives: chains walked from where they start. */
static basin_status make_negatives(basin__trainer *trainer, const basin__moment *moment) {
    start_chains(trainer, moment);
    BASIN_TRY(walk_chains(trainer, moment));
    measure_chains(trainer);
    find_neighbours(trainer, moment);
    float *negatives = basin__loss_find(trainer->loss, "negative");
    if (negatives != NULL)
        memcpy(negatives, trainer->chains,
               (size_t)trainer->batch * (size_t)trainer->size * sizeof(float));
    return BASIN_OK;
}

static void keep_chains(basin__trainer *trainer, const basin__moment *moment) {
    for (int64_t i = 0; i < trainer->batch; i++)
        trainer->ages[i]++;
    basin__buffer_put(&trainer->buffer, moment, trainer->batch, trainer->chosen, trainer->ages,
                      trainer->chain_labels, trainer->chains, trainer->one);
}

basin_status basin__trainer_update(basin__trainer *trainer) {
    basin__moment moment = moment_of(trainer);
    double gradient_norm;
    basin__batches_get(&trainer->batches, &moment, trainer->batch, trainer->x, trainer->labels);
    basin__loss_fill(trainer->loss, moment.seed, moment.update, moment.attempt);
    if (trainer->has_chains)
        BASIN_TRY(make_negatives(trainer, &moment));
    BASIN_TRY(basin__loss_run(trainer->loss));
    BASIN_TRY(measure_loss(trainer, &gradient_norm));
    step_parameters(trainer, gradient_norm);
    if (trainer->buffer.capacity > 0)
        keep_chains(trainer, &moment);
    trainer->progress.meter.updates++;
    trainer->progress.update++;
    return BASIN_OK;
}
