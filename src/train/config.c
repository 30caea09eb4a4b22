/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resolving a run's configuration. Later sources win: the tables' defaults, the preset, the given
 * settings. What was resolved can be written as JSON and read back, so a run folder's config.json
 * is both a record and a recipe.
 */
#include "train/config.h"
#include "base/number.h"
#include <stddef.h>
#include <string.h>

const basin__preset basin__presets[] = {
#define BASIN__PRESET(name, help, settings) {name, help, settings},
#include "train/presets.def"
#undef BASIN__PRESET
};
const int basin__preset_count = (int)BASIN_COUNT(basin__presets);

#define AT(field) offsetof(basin__train_values, field)

const basin__option basin__train_table[] = {
#include "train/options.def"
};

const size_t basin__train_table_count = BASIN_COUNT(basin__train_table);

static basin_status unknown(basin_context *context, const char *kind, const char *name) {
    return basin__fail(context, BASIN_ERROR_CONFIG, "there is no %s \"%s\"; see `basin help %s`",
                       kind, name, kind);
}

static basin_status find_preset(basin_context *context, const char *name, bool is_points,
                                const basin__preset **out) {
    if (strcmp(name, "auto") == 0)
        name = is_points ? "points" : "default";
    for (int i = 0; i < basin__preset_count; i++)
        if (strcmp(basin__presets[i].name, name) == 0) {
            *out = &basin__presets[i];
            return BASIN_OK;
        }
    return basin__fail(context, BASIN_ERROR_CONFIG,
                       "there is no preset \"%s\"; take auto, default, textbook, uva, points or "
                       "classify",
                       name);
}

/* A key of the settings with '-' or '_' between words. */
static const json_t *get_key(const json_t *object, const char *dashed, const char *plain) {
    const json_t *value = json_object_get(object, dashed);
    return value != NULL ? value : json_object_get(object, plain);
}

/* The text of one of the keys that decide which tables there are. */
static const char *choose(const json_t *settings, const json_t *preset, const char *key) {
    const json_t *value = get_key(settings, key, key);
    if (!json_is_string(value))
        value = json_object_get(preset, key);
    if (json_is_string(value))
        return json_string_value(value);
    for (size_t i = 0; i < basin__train_table_count; i++)
        if (strcmp(basin__train_table[i].name, key) == 0)
            return basin__train_table[i].fallback;
    return "";
}

static basin_status add_group(basin__train_config *config, int at, const char *title,
                              const basin__option *options, size_t count, void *values,
                              size_t bytes) {
    if (values == NULL)
        values = basin__alloc(config->context, bytes);
    if (values == NULL)
        return BASIN_ERROR_MEMORY;
    config->groups[at] =
        (basin__option_group){.title = title, .options = options, .count = count, .values = values};
    return basin__options_default(config->context, &config->groups[at]);
}

static basin_status add_groups(basin__train_config *config) {
    BASIN_TRY(add_group(config, BASIN__GROUP_TRAIN, "Training", basin__train_table,
                        basin__train_table_count, &config->train, 0));
    BASIN_TRY(add_group(config, BASIN__GROUP_NETWORK, config->network->name,
                        config->network->options, config->network->option_count, NULL,
                        config->network->options_bytes));
    BASIN_TRY(add_group(config, BASIN__GROUP_SAMPLER, config->sampler->name,
                        config->sampler->options, config->sampler->option_count, NULL,
                        config->sampler->options_bytes));
    BASIN_TRY(add_group(config, BASIN__GROUP_OBJECTIVE, config->objective->name,
                        config->objective->options, config->objective->option_count, NULL,
                        config->objective->options_bytes));
    return add_group(config, BASIN__GROUP_OPTIMISER, config->optimiser->name,
                     config->optimiser->options, config->optimiser->option_count, NULL,
                     config->optimiser->options_bytes);
}

/* Set the preset's options where the chosen tables have them. They do not count as set. */
static basin_status apply_preset(basin__train_config *config, const json_t *preset) {
    json_t *known = json_object();
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)preset, key, value) {
        if (basin__option_find(config->groups, BASIN__GROUP_COUNT, key, NULL) != NULL)
            json_object_set(known, key, value);
    }
    basin_status status =
        basin__options_from_json(config->context, config->groups, BASIN__GROUP_COUNT, known);
    json_decref(known);
    for (int i = 0; i < BASIN__GROUP_COUNT; i++)
        config->groups[i].is_set = 0;
    return status;
}

static basin_status keep_preset(basin__train_config *config) {
    config->preset = json_object();
    return basin__options_to_json(config->context, &config->groups[BASIN__GROUP_TRAIN],
                                  config->preset);
}

static bool has_anchors(const basin__objective_def *objective) {
    return (objective->needs & BASIN__NEED_ANCHORS) != 0;
}

/* Energies at many noise levels are walked down them. */
const char *basin__objective_sampler(const basin__objective_def *objective) {
    if (objective->sampler != NULL)
        return objective->sampler;
    return objective->noise_levels != NULL ? "ode" : NULL;
}

char *basin__preset_choice(basin_context *context, const char *name, bool is_points,
                           const char *kind) {
    const basin__preset *preset = NULL;
    json_t *settings = find_preset(context, name, is_points, &preset) == BASIN_OK
                           ? json_loads(preset->settings, 0, NULL)
                           : NULL;
    const char *chosen = json_string_value(json_object_get(settings, kind));
    char *copy = chosen != NULL ? basin__strdup(context, chosen) : NULL;
    json_decref(settings);
    return copy;
}

static basin_status choose_parts(basin__train_config *config, const json_t *settings,
                                 json_t *preset) {
    basin_context *context = config->context;
    const char *name = choose(settings, preset, "network");
    if ((config->network = basin__network_find(name)) == NULL)
        return unknown(context, "network", name);
    name = choose(settings, preset, "objective");
    if ((config->objective = basin__objective_find(name)) == NULL)
        return unknown(context, "objective", name);
    const char *sampler = basin__objective_sampler(config->objective);
    if (get_key(settings, "sampler", "sampler") == NULL && sampler != NULL)
        json_object_set_new(preset, "sampler", json_string(sampler));
    if (has_anchors(config->objective))
        json_object_set_new(preset, "chain_start", json_string("anchor"));
    name = choose(settings, preset, "sampler");
    if ((config->sampler = basin__sampler_find(name)) == NULL)
        return unknown(context, "sampler", name);
    name = choose(settings, preset, "optimiser");
    if ((config->optimiser = basin__optim_find(name)) == NULL)
        return unknown(context, "optimiser", name);
    return BASIN_OK;
}

basin_status basin__train_config_init(basin_context *context, const json_t *settings,
                                      bool is_points, basin__train_config *config) {
    *config = (basin__train_config){.context = context};
    const basin__preset *preset = NULL;
    BASIN_TRY(find_preset(context, choose(settings, NULL, "preset"), is_points, &preset));
    json_t *preset_settings = json_loads(preset->settings, 0, NULL);
    if (preset_settings == NULL)
        return basin__fail(context, BASIN_ERROR_MEMORY, "no memory for the preset %s",
                           preset->name);
    basin_status status = choose_parts(config, settings, preset_settings);
    if (status == BASIN_OK)
        status = add_groups(config);
    if (status == BASIN_OK)
        status = apply_preset(config, preset_settings);
    if (status == BASIN_OK)
        status = keep_preset(config);
    if (status == BASIN_OK && settings != NULL)
        status = basin__options_from_json(context, config->groups, BASIN__GROUP_COUNT, settings);
    json_decref(preset_settings);
    if (status != BASIN_OK)
        basin__train_config_reset(config);
    return status;
}

void basin__train_config_reset(basin__train_config *config) {
    json_decref(config->preset);
    config->preset = NULL;
    for (int i = 0; i < BASIN__GROUP_COUNT; i++) {
        basin__option_group *group = &config->groups[i];
        if (group->values == NULL)
            continue;
        basin__options_reset(config->context, group);
        if (i >= BASIN__GROUP_NETWORK)
            basin__free(config->context, group->values);
        group->values = NULL;
    }
}

/* ---- options without effect ---- */

static bool network_ignores(const void *user, const char *name) {
    const basin__train_config *config = user;
    return config->network->ignores != NULL &&
           config->network->ignores(config->groups[BASIN__GROUP_NETWORK].values, name);
}

static bool sampler_ignores(const void *user, const char *name) {
    const basin__train_config *config = user;
    return config->sampler->ignores != NULL &&
           config->sampler->ignores(config->groups[BASIN__GROUP_SAMPLER].values, name);
}

static bool takes_classes(const basin__train_config *config) {
    static const char *const names[] = {"classes", "logits"};
    const basin__option_group *network = &config->groups[BASIN__GROUP_NETWORK];
    for (size_t i = 0; i < BASIN_COUNT(names); i++) {
        const basin__option *option = basin__option_find(network, 1, names[i], NULL);
        if (option && *(const int64_t *)((const char *)network->values + option->offset) > 0)
            return true;
    }
    return false;
}

static bool objective_ignores(const void *user, const char *name) {
    const basin__train_config *config = user;
    return (config->objective->ignores != NULL &&
            config->objective->ignores(config->groups[BASIN__GROUP_OBJECTIVE].values, name)) ||
           (strcmp(name, "class-dropout") == 0 && !takes_classes(config));
}

/** Whether the other options leave one of a group's without effect. NULL: they never do. */
static bool (*const ignores[BASIN__GROUP_COUNT])(const void *user, const char *name) = {
    [BASIN__GROUP_NETWORK] = network_ignores,
    [BASIN__GROUP_SAMPLER] = sampler_ignores,
    [BASIN__GROUP_OBJECTIVE] = objective_ignores,
};

/** What has no effect is no part of what was resolved. */
static basin_status add_resolved(const basin__train_config *config, int at, json_t *out) {
    const basin__option_group *group = &config->groups[at];
    BASIN_TRY(basin__options_to_json(config->context, group, out));
    for (size_t i = 0; ignores[at] && i < group->count; i++) {
        char key[BASIN__OPTION_KEY_BYTES];
        basin__option_key(group->options[i].name, key);
        if (ignores[at](config, group->options[i].name))
            json_object_del(out, key);
    }
    return BASIN_OK;
}

basin_status basin__train_config_json(const basin__train_config *config, json_t **out) {
    *out = json_object();
    if (*out == NULL)
        return basin__fail(config->context, BASIN_ERROR_MEMORY, "no memory for the configuration");
    for (int i = 0; i < BASIN__GROUP_COUNT; i++) {
        basin_status status = add_resolved(config, i, *out);
        if (status != BASIN_OK) {
            json_decref(*out);
            *out = NULL;
            return status;
        }
    }
    return BASIN_OK;
}

static basin_status check_start(const basin__train_config *config) {
    const int64_t start = config->train.chain_start;
    const char *objective = config->objective->name;
    if (has_anchors(config->objective) && start != BASIN__START_ANCHOR)
        return basin__fail(config->context, BASIN_ERROR_CONFIG,
                           "objective %s starts each chain at a noisier copy of its example: leave "
                           "chain-start away",
                           objective);
    if (!has_anchors(config->objective) && start == BASIN__START_ANCHOR)
        return basin__fail(config->context, BASIN_ERROR_CONFIG,
                           "chain-start anchor is for objectives that give chains anchors, and %s "
                           "gives none: take buffer, data or noise",
                           objective);
    return BASIN_OK;
}

/** Whether the training's own option of that name has another value than the preset gives it. */
static bool is_chosen(const basin__train_config *config, const json_t *all, const char *name) {
    char key[BASIN__OPTION_KEY_BYTES];
    basin__option_key(name, key);
    return !json_equal(json_object_get(all, key), json_object_get(config->preset, key));
}

/** Options whose thing is not there are an error, and not ignored. */
static basin_status check_not_chosen(const basin__train_config *config, const char *const *names,
                                     const char *are_for, const char *why) {
    json_t *all = json_object();
    basin_status status =
        basin__options_to_json(config->context, &config->groups[BASIN__GROUP_TRAIN], all);
    for (; *names != NULL && status == BASIN_OK; names++)
        if (is_chosen(config, all, *names))
            status = basin__fail(config->context, BASIN_ERROR_CONFIG,
                                 "%s is for %s, and %s: leave it away", *names, are_for, why);
    json_decref(all);
    return status;
}

static basin_status check_chain_options(const basin__train_config *config) {
    static const char *const of_chains[] = {"chain-start", NULL};
    static const char *const of_buffer[] = {
        "restart-probability", "restart",        "restart-from",        "buffer-size",
        "buffer-policy",       "buffer-storage", "augment-probability", NULL};
    static const char *const of_augmenting[] = {"augment-shift", "augment-scale", "augment-flip",
                                                "augment-colour", NULL};
    const bool has_chains = (config->objective->needs & BASIN__NEED_CHAINS) != 0;
    if (!has_chains)
        BASIN_TRY(check_not_chosen(config, of_chains, "chains", "the objective runs none"));
    if (!has_chains || config->train.chain_start != BASIN__START_BUFFER)
        BASIN_TRY(check_not_chosen(config, of_buffer, "chains from the buffer",
                                   !has_chains ? "the objective runs no chains"
                                               : "chain-start is not buffer"));
    if (!(config->train.augment.probability > 0))
        BASIN_TRY(check_not_chosen(config, of_augmenting, "chains that are augmented",
                                   "augment-probability is 0"));
    return BASIN_OK;
}

/** What the parameter step and the pictures' sampler have no use for. */
static basin_status check_step_options(const basin__train_config *config) {
    static const char *const of_decay[] = {"decay-factor", "decay-every", NULL};
    static const char *const of_clip[] = {"parameter-clip-value", NULL};
    static const char *const of_steps[] = {"sample-steps", NULL};
    if (config->train.schedule.decay != BASIN__DECAY_EXPONENTIAL)
        BASIN_TRY(check_not_chosen(config, of_decay, "exponential decay", "decay is another"));
    if (config->train.schedule.parameter_clip == BASIN__CLIP_NONE)
        BASIN_TRY(check_not_chosen(config, of_clip, "clipping", "parameter-clip is none"));
    if (!basin__option_find(&config->groups[BASIN__GROUP_SAMPLER], 1, "n-steps", NULL))
        BASIN_TRY(check_not_chosen(config, of_steps, "samplers that take steps",
                                   "the sampler walks noise levels"));
    return BASIN_OK;
}

basin_status basin__train_config_check(const basin__train_config *config, bool is_points) {
    const basin__train_values *train = &config->train;
    basin_context *context = config->context;
    static const char *const of_images[] = {"image-size", NULL};
    if (is_points)
        BASIN_TRY(check_not_chosen(config, of_images, "images", "the data are points"));
    if (is_points &&
        (train->shift > 0 || train->flip || train->treat || train->range != BASIN__RANGE_UNIT))
        return basin__fail(context, BASIN_ERROR_CONFIG,
                           "shift, flip, treat and range are for images, and %s holds points",
                           train->data);
    if (is_points && train->buffer_storage == BASIN__STORAGE_BYTE)
        return basin__fail(context, BASIN_ERROR_CONFIG,
                           "buffer-storage byte is for images, and %s holds points", train->data);
    BASIN_TRY(check_start(config));
    BASIN_TRY(check_chain_options(config));
    BASIN_TRY(check_step_options(config));
    const bool has_buffer = (config->objective->needs & BASIN__NEED_CHAINS) != 0 &&
                            train->chain_start == BASIN__START_BUFFER;
    if (train->augment.probability > 0 && is_points)
        return basin__fail(context, BASIN_ERROR_CONFIG,
                           "augment-probability is for images, and %s holds points", train->data);
    if (has_buffer && train->buffer_size < train->batch)
        return basin__fail(context, BASIN_ERROR_CONFIG,
                           "buffer-size %lld is below batch %lld: each chain needs its own slot",
                           (long long)train->buffer_size, (long long)train->batch);
    BASIN_TRY(
        basin__sampler_check(context, config->sampler, &config->groups[BASIN__GROUP_SAMPLER]));
    for (int i = 0; i < BASIN__GROUP_COUNT; i++)
        if (ignores[i])
            BASIN_TRY(basin__options_check_given(context, &config->groups[i], ignores[i], config));
    return BASIN_OK;
}
