/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run's configuration: the training's own options, and those of the network,
 * sampler, objective and optimiser chosen. It is
 * made from one JSON object over a preset over the tables' defaults.
 */
#ifndef BASIN_TRAIN_CONFIG_H
#define BASIN_TRAIN_CONFIG_H

#include "objective/objective.h"
#include "optim/optim.h"
#include "sampler/sampler.h"
#include "train/augment.h"

enum { BASIN__START_BUFFER, BASIN__START_DATA, BASIN__START_NOISE, BASIN__START_ANCHOR };
enum { BASIN__RESTART_EXAMPLE, BASIN__RESTART_BATCH };
enum { BASIN__RESTART_FROM_NOISE, BASIN__RESTART_FROM_FAINT, BASIN__RESTART_FROM_DATA };
enum { BASIN__BUFFER_SLOTS, BASIN__BUFFER_NEWEST };
enum { BASIN__STORAGE_AUTO, BASIN__STORAGE_FLOAT, BASIN__STORAGE_BYTE };
enum { BASIN__RANGE_UNIT, BASIN__RANGE_SYMMETRIC, BASIN__RANGE_DATA };

typedef struct basin__train_values {
    char *preset;
    char *data, *held_out, *data_dir;
    int64_t data_count, hold_out_class, image_size;
    char *network, *sampler, *objective, *optimiser;
    int64_t seed, updates, batch;
    double time_limit_minutes;
    int64_t chain_start, restart, restart_from;
    double restart_probability;
    int64_t buffer_size, buffer_policy, buffer_storage;
    basin__augmentation augment; /* of chains from the buffer */
    int64_t range;
    double data_noise;
    int64_t shift;
    bool flip, treat;
    int64_t log_every, sample_every, sample_count, sample_steps;
    int64_t checkpoint_every, keep_checkpoints;
    double gap_limit;
    int64_t roll_backs_max;
    basin__schedule_options schedule;
} basin__train_values;

extern const basin__option basin__train_table[];
extern const size_t basin__train_table_count;

enum {
    BASIN__GROUP_TRAIN,
    BASIN__GROUP_NETWORK,
    BASIN__GROUP_SAMPLER,
    BASIN__GROUP_OBJECTIVE,
    BASIN__GROUP_OPTIMISER,
    BASIN__GROUP_COUNT
};

typedef struct basin__train_config {
    basin_context *context;
    basin__train_values train;
    const basin__network_def *network;
    const basin__sampler_def *sampler;
    const basin__objective_def *objective;
    const basin__optim_def *optimiser;
    basin__option_group groups[BASIN__GROUP_COUNT];
    json_t *preset; /* the training's own options as the preset has them */
} basin__train_config;

/**
 * Resolve settings (a JSON object, or NULL). `is_points` decides what the preset "auto" means.
 * Fails with BASIN_ERROR_CONFIG for unknown keys, names and ranges; nothing is then left to free.
 */
basin_status basin__train_config_init(basin_context *context, const json_t *settings,
                                      bool is_points, basin__train_config *config);
void basin__train_config_reset(basin__train_config *config);
/**
 * All options but those without effect as one JSON object, a new reference: init() of it gives the
 * same again.
 */
basin_status basin__train_config_json(const basin__train_config *config, json_t **out);
/**
 * What a preset, "auto" among them, takes of a kind ("network") where nothing else is asked for:
 * its name, for basin__free. NULL: nothing, or there is no such preset.
 */
char *basin__preset_choice(basin_context *context, const char *preset, bool is_points,
                           const char *kind);
/** The sampler that goes with an objective where no other is asked for; NULL: any. */
const char *basin__objective_sampler(const basin__objective_def *objective);
/** Contradictions between options, and such without effect, after the data is known. */
basin_status basin__train_config_check(const basin__train_config *config, bool is_points);

/** A recipe: what differs from the defaults of the tables, as JSON. */
typedef struct basin__preset {
    const char *name, *help, *settings;
} basin__preset;
extern const basin__preset basin__presets[];
extern const int basin__preset_count;

#endif
