/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a trainer: configuration, data, two energies (the one trained and the average of its
 * parameters), the loss's plan, the optimiser's slots and the replay buffer.
 */
#include "train/trainer.h"
#include "data/set.h"
#include "eval/classify.h"
#include "train/random.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool has_split(const char *specification) {
    static const char *const splits[] = {":train", ":valid", ":test", ":all-train"};
    for (size_t i = 0; i < BASIN_COUNT(splits); i++) {
        size_t length = strlen(specification), tail = strlen(splits[i]);
        if (length > tail && strcmp(specification + length - tail, splits[i]) == 0)
            return true;
    }
    return false;
}

static basin_status open_data(basin__trainer *trainer) {
    const basin__train_values *train = &trainer->config.train;
    basin_data_options options;
    basin_data_options_init(&options);
    options.folder = train->data_dir;
    options.class_without = (int)train->hold_out_class;
    options.seed = (uint64_t)train->seed;
    options.image_size = (int)train->image_size;
    const bool is_classifying =
        (basin__objective_needs(trainer->config.objective,
                                trainer->config.groups[BASIN__GROUP_OBJECTIVE].values) &
         BASIN__NEED_LOGITS) != 0;
    const int64_t watched = is_classifying ? BASIN__CLASSIFIED_MAX : BASIN__WATCHED_MAX;
    if (trainer->data == NULL) {
        options.split = "train";
        options.count_max = train->data_count;
        BASIN_TRY(basin_data_open(trainer->context, train->data, &options, &trainer->owned_data));
        trainer->data = trainer->owned_data;
        if (trainer->held_out == NULL && train->held_out == NULL && !has_split(train->data)) {
            options.split = "valid";
            options.count_max = options.built_in_count = watched;
            BASIN_TRY(
                basin_data_open(trainer->context, train->data, &options, &trainer->owned_held_out));
        }
    }
    if (trainer->held_out == NULL && train->held_out != NULL) {
        options.split = "valid";
        options.count_max = options.built_in_count = watched;
        BASIN_TRY(
            basin_data_open(trainer->context, train->held_out, &options, &trainer->owned_held_out));
    }
    if (trainer->held_out == NULL)
        trainer->held_out = trainer->owned_held_out;
    return BASIN_OK;
}

/* Pictures walk the noise levels that the objective trains. */
static void set_noise_levels(basin__train_config *config) {
    double low, high;
    if (config->objective->noise_levels == NULL || config->sampler->set_noise_levels == NULL)
        return;
    config->objective->noise_levels(config->groups[BASIN__GROUP_OBJECTIVE].values, &low, &high);
    config->sampler->set_noise_levels(&config->groups[BASIN__GROUP_SAMPLER], low, high);
}

/* Images of another scale are taken as they are, or not at all. */
static basin_status check_range(const basin__trainer *trainer, const basin_data_info *info) {
    if (!info->is_image || trainer->config.train.range == BASIN__RANGE_DATA ||
        basin__range_is_usual((basin__range){info->low, info->high}))
        return BASIN_OK;
    return basin__fail(trainer->context, BASIN_ERROR_CONFIG,
                       "%s has values from %g to %g, which is neither [0, 1] nor [-1, 1]: scale it "
                       "to one, or take range data",
                       info->name, (double)info->low, (double)info->high);
}

/* Of images the range that the network sees; of points the box that holds them. */
static basin_status choose_range(basin__trainer *trainer, const basin_data_info *info) {
    const int64_t range = trainer->config.train.range;
    const bool is_kept = !info->is_image || range == BASIN__RANGE_DATA;
    trainer->is_image = info->is_image;
    trainer->low = is_kept ? info->low : range == BASIN__RANGE_SYMMETRIC ? -1.0f : 0.0f;
    trainer->high = is_kept ? info->high : 1.0f;
    return check_range(trainer, info);
}

/* The configuration decides on the data, and the data (points or images) on the preset "auto". */
static basin_status configure(basin__trainer *trainer, const json_t *settings) {
    const char *named = json_string_value(json_object_get(settings, "data"));
    const bool is_points = trainer->data != NULL ? !basin_data_describe(trainer->data)->is_image
                                                 : named != NULL && basin__data_is_points(named);
    BASIN_TRY(basin__train_config_init(trainer->context, settings, is_points, &trainer->config));
    BASIN_TRY(open_data(trainer));
    const basin_data_info *info = basin_data_describe(trainer->data);
    if (!info->is_image && !is_points) {
        basin__train_config_reset(&trainer->config);
        BASIN_TRY(basin__train_config_init(trainer->context, settings, true, &trainer->config));
    }
    BASIN_TRY(choose_range(trainer, info));
    trainer->shape = basin_shape_image(info->height, info->width, info->channels);
    trainer->size = basin_shape_count(trainer->shape);
    trainer->batch = trainer->config.train.batch;
    trainer->has_chains = (trainer->config.objective->needs & BASIN__NEED_CHAINS) != 0;
    const basin__train_config *config = &trainer->config;
    if (config->objective->check != NULL) /* before a sampler's levels come of it */
        BASIN_TRY(config->objective->check(trainer->context,
                                           config->groups[BASIN__GROUP_OBJECTIVE].values));
    set_noise_levels(&trainer->config);
    basin__sampler_range(&trainer->config.groups[BASIN__GROUP_SAMPLER], (double)trainer->low,
                         (double)trainer->high);
    BASIN_TRY(basin__train_config_check(&trainer->config, !info->is_image));
    if (trainer->held_out != NULL) {
        const basin_data_info *other = basin_data_describe(trainer->held_out);
        if (other->height != info->height || other->width != info->width ||
            other->channels != info->channels)
            return basin__fail(trainer->context, BASIN_ERROR_SHAPE,
                               "held-out examples are %d x %d x %d, those of %s %d x %d x %d",
                               other->height, other->width, other->channels, info->name,
                               info->height, info->width, info->channels);
        BASIN_TRY(check_range(trainer, other));
    }
    return BASIN_OK;
}

/* An energy with its own copy of the network's options. */
static basin_status make_energy(basin__trainer *trainer, basin_energy **out) {
    const basin__option_group *source = &trainer->config.groups[BASIN__GROUP_NETWORK];
    basin_context *context = trainer->context;
    basin__option_group group = *source;
    group.values = basin__alloc(context, trainer->config.network->options_bytes);
    json_t *options = json_object();
    basin_status status = group.values == NULL || options == NULL ? BASIN_ERROR_MEMORY : BASIN_OK;
    if (status == BASIN_OK)
        status = basin__options_default(context, &group);
    if (status == BASIN_OK)
        status = basin__options_to_json(context, source, options);
    if (status == BASIN_OK)
        status = basin__options_from_json(context, &group, 1, options);
    json_decref(options);
    if (status == BASIN_OK)
        status = basin__energy_create(context, trainer->config.network, group, trainer->shape, out);
    if (status == BASIN_OK)
        return basin__parameters_start(context, &(*out)->parameters,
                                       (uint64_t)trainer->config.train.seed);
    if (group.values != NULL)
        basin__options_reset(context, &group);
    basin__free(context, group.values);
    return status;
}

static basin_status add_trained(basin__trainer *trainer, const char *kind, const char *name,
                                float *data, int64_t count) {
    basin__trained *tensor = &trainer->trained[trainer->trained_count];
    tensor->name = basin__format(trainer->context, "%s.%s", kind, name);
    if (tensor->name == NULL)
        return BASIN_ERROR_MEMORY;
    tensor->data = data;
    tensor->count = count;
    trainer->trained_count++;
    trainer->trained_elements += count;
    return BASIN_OK;
}

static basin_status list_trained(basin__trainer *trainer) {
    const basin__parameters *all = &trainer->energy->parameters;
    const basin__optim_def *optimiser = trainer->config.optimiser;
    size_t slots = (size_t)all->count * (size_t)optimiser->slot_count;
    trainer->slots = basin__alloc_array(trainer->context, slots, sizeof(float *));
    trainer->trained = basin__alloc_array(trainer->context, 2 * (size_t)all->count + slots,
                                          sizeof(basin__trained));
    if (trainer->slots == NULL || trainer->trained == NULL)
        return BASIN_ERROR_MEMORY;
    for (int i = 0; i < all->count; i++) {
        const basin__parameter *parameter = &all->items[i];
        int64_t count = basin_shape_count(parameter->shape);
        BASIN_TRY(add_trained(trainer, "parameter", parameter->name, parameter->data, count));
        BASIN_TRY(add_trained(trainer, "average", parameter->name,
                              trainer->average->parameters.items[i].data, count));
        for (int s = 0; s < optimiser->slot_count && !parameter->is_state; s++) {
            float *slot = basin__alloc_array(trainer->context, (size_t)count, sizeof(float));
            if (slot == NULL)
                return BASIN_ERROR_MEMORY;
            trainer->slots[i * optimiser->slot_count + s] = slot;
            BASIN_TRY(add_trained(trainer, optimiser->slot_names[s], parameter->name, slot, count));
        }
    }
    return BASIN_OK;
}

double basin__trainer_class_dropout(const basin__trainer *trainer) {
    const basin__train_config *config = &trainer->config;
    if (config->objective->class_dropout == NULL)
        return 0;
    return config->objective->class_dropout(config->groups[BASIN__GROUP_OBJECTIVE].values);
}

/* The classes of the buffer's first chains: of data, as often as there, and some hidden. */
static basin_status label_buffer(basin__trainer *trainer) {
    const double dropout = basin__trainer_class_dropout(trainer);
    BASIN_TRY(basin__buffer_add_labels(&trainer->buffer));
    for (int64_t slot = 0; slot < trainer->buffer.capacity; slot++) {
        /* Chain 0 is that of updates' own restarts. */
        basin__draw draw = {.seed = (uint64_t)trainer->config.train.seed,
                            .chain = (uint32_t)slot + 1,
                            .purpose = BASIN__PURPOSE_RESTART};
        int64_t example = basin__random_below(&draw, 0, basin_data_describe(trainer->data)->count);
        int label = basin_data_label(trainer->data, example);
        if (label < 0 || basin__random_unit(&draw, 1) < dropout)
            label = trainer->energy->condition.class_count;
        trainer->buffer.labels[slot] = label;
    }
    return BASIN_OK;
}

int64_t basin__trainer_chain_steps(const basin__trainer *trainer) {
    const basin__train_config *config = &trainer->config;
    const basin__chain_run run = {.sampler = config->sampler,
                                  .options = config->groups[BASIN__GROUP_SAMPLER].values,
                                  .anchors = trainer->anchors};
    return trainer->has_chains ? basin__chain_run_steps(&run) : 0;
}

/* The loss's anchors, where it makes them. */
static void find_anchors(basin__trainer *trainer) {
    const basin__loss *loss = trainer->loss;
    const basin__loss_input *x = basin__loss_find_kind(loss, BASIN__SOURCE_ANCHOR);
    const basin__loss_input *level = basin__loss_find_kind(loss, BASIN__SOURCE_ANCHOR_LEVEL);
    const basin__loss_input *std = basin__loss_find_kind(loss, BASIN__SOURCE_ANCHOR_STD);
    if (x != NULL && level != NULL && std != NULL)
        trainer->anchors = (basin__chain_anchors){x->data, level->data, std->data};
}

/* What the loss asks for beside where chains end: their last steps, their nearest neighbours. */
static basin_status make_tail(basin__trainer *trainer) {
    const basin__train_config *config = &trainer->config;
    const basin__loss *loss = trainer->loss;
    const basin__loss_input *before = basin__loss_find_kind(loss, BASIN__SOURCE_CHAIN);
    const basin__loss_input *noise = basin__loss_find_kind(loss, BASIN__SOURCE_CHAIN_NOISE);
    if (before != NULL && noise != NULL)
        trainer->tail = (basin__chain_tail){noise->size / before->size, before->data, noise->data};
    if (basin__loss_find_kind(loss, BASIN__SOURCE_NEIGHBOUR) == NULL)
        return BASIN_OK;
    const void *options = config->groups[BASIN__GROUP_OBJECTIVE].values;
    return basin__neighbours_init(trainer->context, &trainer->neighbours,
                                  config->objective->neighbours(options), trainer->batch,
                                  trainer->size);
}

static basin_status make_chains(basin__trainer *trainer) {
    const basin__train_values *train = &trainer->config.train;
    size_t elements = (size_t)trainer->batch * (size_t)trainer->size;
    trainer->x = basin__loss_find(trainer->loss, "data");
    trainer->labels = basin__loss_find(trainer->loss, "label");
    trainer->chain_labels = basin__loss_find(trainer->loss, "negative_label");
    if (!trainer->has_chains)
        elements = 0;
    trainer->starts = basin__alloc_array(trainer->context, elements, sizeof(float));
    trainer->chains = basin__alloc_array(trainer->context, elements, sizeof(float));
    trainer->one = basin__alloc_array(trainer->context, (size_t)trainer->size, sizeof(float));
    trainer->chosen = basin__alloc_array(trainer->context, (size_t)trainer->batch, sizeof(int32_t));
    trainer->ages = basin__alloc_array(trainer->context, (size_t)trainer->batch, sizeof(int32_t));
    if (trainer->starts == NULL || trainer->chains == NULL || trainer->one == NULL ||
        trainer->chosen == NULL || trainer->ages == NULL)
        return BASIN_ERROR_MEMORY;
    find_anchors(trainer);
    BASIN_TRY(make_tail(trainer));
    if (!trainer->has_chains || train->chain_start != BASIN__START_BUFFER)
        return BASIN_OK;
    bool is_byte = train->buffer_storage == BASIN__STORAGE_BYTE ||
                   (train->buffer_storage == BASIN__STORAGE_AUTO && trainer->is_image);
    BASIN_TRY(basin__buffer_init(trainer->context, &trainer->buffer, train->buffer_size,
                                 trainer->size, train->buffer_policy == BASIN__BUFFER_NEWEST,
                                 is_byte, trainer->low, trainer->high, (uint64_t)train->seed));
    return trainer->chain_labels != NULL ? label_buffer(trainer) : BASIN_OK;
}

/* Network, objective, sampler and data must fit each other. */
static basin_status check_parts(basin__trainer *trainer) {
    const basin__train_config *config = &trainer->config;
    BASIN_TRY(basin__objective_check(config->objective,
                                     config->groups[BASIN__GROUP_OBJECTIVE].values, trainer->energy,
                                     basin_data_describe(trainer->data)->class_count));
    return basin__sampler_takes(config->sampler, config->groups[BASIN__GROUP_SAMPLER].values,
                                trainer->energy, trainer->energy->condition.class_count > 0);
}

static void get_example(const void *user, int64_t index, float *x) {
    const basin__trainer *trainer = user;
    basin__example_get(trainer->data, index, trainer->low, trainer->high, x);
}

static basin_status fit_loss(basin__trainer *trainer) {
    const basin__train_config *config = &trainer->config;
    const basin__examples examples = {.count = basin_data_describe(trainer->data)->count,
                                      .size = trainer->size,
                                      .noise_std = config->train.data_noise,
                                      .get = get_example,
                                      .user = trainer};
    if (config->objective->fit == NULL)
        return BASIN_OK;
    return config->objective->fit(config->groups[BASIN__GROUP_OBJECTIVE].values, trainer->loss,
                                  &examples);
}

/* A network that takes a class must be told one, or chains at a class would walk what was never
   trained. (One that gives logits has learnt E(x) without.) */
static basin_status check_classes(const basin__trainer *trainer) {
    const basin_data_info *info = basin_data_describe(trainer->data);
    const int class_count = trainer->energy->condition.class_count;
    const bool has_labels = basin__loss_find(trainer->loss, "label") != NULL;
    if (has_labels && info->class_count != class_count)
        return basin__fail(trainer->context, BASIN_ERROR_CONFIG,
                           "the network has %d classes and %s %d: set --classes, or --logits "
                           "where they are outputs",
                           class_count, info->name, info->class_count);
    if (!has_labels && class_count > 0 && trainer->energy->logits == BASIN_NO_VALUE)
        return basin__fail(trainer->context, BASIN_ERROR_CONFIG,
                           "the network takes one of %d classes, and objective %s tells it none: "
                           "give --class-conditional, or leave --classes away",
                           class_count, trainer->config.objective->name);
    return BASIN_OK;
}

static basin_status fill_trainer(basin__trainer *trainer, const json_t *settings) {
    BASIN_TRY(configure(trainer, settings));
    const basin__train_values *train = &trainer->config.train;
    BASIN_TRY(make_energy(trainer, &trainer->energy));
    BASIN_TRY(make_energy(trainer, &trainer->average));
    BASIN_TRY(check_parts(trainer));
    BASIN_TRY(basin__loss_create_along(
        trainer->config.objective, trainer->config.groups[BASIN__GROUP_OBJECTIVE].values,
        trainer->energy, trainer->batch, trainer->config.sampler,
        trainer->config.groups[BASIN__GROUP_SAMPLER].values, &trainer->loss));
    BASIN_TRY(check_classes(trainer));
    BASIN_TRY(fit_loss(trainer));
    BASIN_TRY(list_trained(trainer));
    BASIN_TRY(basin__batches_init(trainer->context, &trainer->batches, trainer->data,
                                  (uint64_t)train->seed));
    trainer->batches.low = trainer->low;
    trainer->batches.high = trainer->high;
    trainer->batches.noise_std = train->data_noise;
    trainer->batches.shift = train->shift;
    trainer->batches.flip = train->flip;
    trainer->batches.treat = train->treat;
    BASIN_TRY(make_chains(trainer));
    BASIN_TRY(basin__guard_init(trainer));
    return basin__trainer_note(trainer);
}

basin_status basin__trainer_create(basin_context *context, const json_t *settings,
                                   const basin_data *data, const basin_data *held_out,
                                   basin__trainer **out) {
    *out = NULL;
    basin__trainer *trainer = basin__alloc(context, sizeof *trainer);
    if (trainer == NULL)
        return BASIN_ERROR_MEMORY;
    trainer->context = context;
    trainer->config.context = context;
    trainer->data = data;
    trainer->held_out = held_out;
    trainer->progress.rate_factor = 1;
    trainer->saved_update = -1;
    trainer->folder.metrics = trainer->folder.log = -1;
    basin_status status = fill_trainer(trainer, settings);
    if (status != BASIN_OK) {
        basin__trainer_destroy(trainer);
        return status;
    }
    *out = trainer;
    return BASIN_OK;
}

void basin__trainer_destroy(basin__trainer *trainer) {
    if (trainer == NULL)
        return;
    basin_context *context = trainer->context;
    basin__rundir_close(trainer);
    basin__buffer_reset(&trainer->buffer);
    basin__neighbours_reset(&trainer->neighbours);
    basin__buffer_reset(&trainer->snapshot.buffer);
    basin__free(context, trainer->snapshot.trained);
    basin__batches_reset(&trainer->batches);
    for (int i = 0; trainer->trained != NULL && i < trainer->trained_count; i++)
        basin__free(context, trainer->trained[i].name);
    basin__free(context, trainer->trained);
    if (trainer->slots != NULL)
        for (int i = 0;
             i < trainer->energy->parameters.count * trainer->config.optimiser->slot_count; i++)
            basin__free(context, trainer->slots[i]);
    basin__free(context, trainer->slots);
    basin__loss_destroy(trainer->loss);
    basin_energy_destroy(trainer->energy);
    basin_energy_destroy(trainer->average);
    basin_data_close(trainer->owned_data);
    basin_data_close(trainer->owned_held_out);
    basin__free(context, trainer->starts);
    basin__free(context, trainer->chains);
    basin__free(context, trainer->one);
    basin__free(context, trainer->chosen);
    basin__free(context, trainer->ages);
    basin__train_config_reset(&trainer->config);
    basin__free(context, trainer);
}

static basin_status note_sampler(basin__trainer *trainer, basin_energy *energy) {
    json_t *options = json_object();
    basin_status status = basin__options_to_json(
        trainer->context, &trainer->config.groups[BASIN__GROUP_SAMPLER], options);
    char *text = status == BASIN_OK ? json_dumps(options, JSON_COMPACT) : NULL;
    json_decref(options);
    if (status != BASIN_OK)
        return status;
    if (text == NULL)
        return basin__fail(trainer->context, BASIN_ERROR_MEMORY, "no memory for metadata");
    status = basin__energy_note(energy, "sampler_options", "%s", text);
    free(text);
    if (status == BASIN_OK)
        status = basin__energy_note(energy, "sampler", "%s", trainer->config.sampler->name);
    return status;
}

basin_temperature basin__trainer_temperature(const basin__trainer *trainer) {
    const basin__train_config *config = &trainer->config;
    /* chains that are bound walk E(x) + |x − x̄|²/(2s²) as it is: the box is of samples */
    if (!trainer->has_chains || (config->objective->needs & BASIN__NEED_ANCHORS))
        return (basin_temperature){.value = 1, .is_exact = !config->objective->learns_no_density};
    return config->sampler->temperature(config->groups[BASIN__GROUP_SAMPLER].values);
}

static basin_status note_energy(basin__trainer *trainer, basin_energy *energy) {
    const basin__train_config *config = &trainer->config;
    basin_temperature temperature = basin__trainer_temperature(trainer);
    if (config->objective->noise_levels != NULL) {
        double low, high;
        config->objective->noise_levels(config->groups[BASIN__GROUP_OBJECTIVE].values, &low, &high);
        BASIN_TRY(basin__energy_note(energy, "noise_level_low", "%.17g", low));
        BASIN_TRY(basin__energy_note(energy, "noise_level_high", "%.17g", high));
        BASIN_TRY(basin__energy_set_condition(energy, low, -1));
    }
    double data_noise = config->train.data_noise;
    if (config->objective->data_noise != NULL)
        data_noise =
            hypot(data_noise,
                  config->objective->data_noise(config->groups[BASIN__GROUP_OBJECTIVE].values));
    if (data_noise > 0)
        BASIN_TRY(basin__energy_note(energy, "data_noise_level", "%.17g", data_noise));
    BASIN_TRY(basin__energy_note(energy, "range_low", "%.9g", (double)trainer->low));
    BASIN_TRY(basin__energy_note(energy, "range_high", "%.9g", (double)trainer->high));
    BASIN_TRY(basin__energy_note(energy, "temperature", "%.17g", temperature.value));
    BASIN_TRY(basin__energy_note(energy, "temperature_exact", "%s",
                                 temperature.is_exact ? "true" : "false"));
    BASIN_TRY(basin__energy_note(energy, "data", "%s", basin_data_describe(trainer->data)->name));
    BASIN_TRY(basin__energy_note(energy, "objective", "%s", config->objective->name));
    BASIN_TRY(basin__energy_note(energy, "seed", "%lld", (long long)config->train.seed));
    BASIN_TRY(basin__energy_note(energy, "update", "%lld", (long long)trainer->progress.update));
    return note_sampler(trainer, energy);
}

basin_status basin__trainer_note(basin__trainer *trainer) {
    BASIN_TRY(note_energy(trainer, trainer->energy));
    return note_energy(trainer, trainer->average);
}
