/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The public way to sample: the sampler an energy was trained with, from its metadata, changed by
 * the caller's settings.
 */
#include "sampler/sampler.h"
#include <basin/sample.h>
#include <string.h>

void basin_sample_options_init(basin_sample_options *options) {
    *options = (basin_sample_options){.size = sizeof *options};
}

/** The options that the model was trained with. */
static basin_status read_noted(basin_context *context, const char *text,
                               basin__option_group *group) {
    json_t *settings = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    if (settings == NULL)
        return basin__fail(context, BASIN_ERROR_FORMAT,
                           "the model's metadata \"sampler_options\" is not JSON");
    basin_status status = basin__options_from_json(context, group, 1, settings);
    json_decref(settings);
    return status;
}

/** Defaults that depend on the model: the box of its range, the noise levels it was trained at. */
static void fit_to_model(const basin_energy *energy, const basin__sampler_def *def,
                         basin__option_group *group) {
    basin__sampler_range(group, basin__energy_noted_number(energy, "range_low", 0),
                         basin__energy_noted_number(energy, "range_high", 1));
    if (def->set_noise_levels != NULL && basin__energy_noted(energy, "noise_level_high") != NULL)
        def->set_noise_levels(group, basin__energy_noted_number(energy, "noise_level_low", 0),
                              basin__energy_noted_number(energy, "noise_level_high", 0));
}

basin_status basin__sampler_from_energy(const basin_energy *energy, const char *name,
                                        const basin__sampler_def **def,
                                        basin__option_group *group) {
    basin_context *context = energy->context;
    const char *noted = basin__energy_noted(energy, "sampler");
    const char *wanted = name != NULL ? name : noted != NULL ? noted : "langevin";
    *def = basin__sampler_find(wanted);
    if (*def == NULL)
        return basin__fail(context, BASIN_ERROR_CONFIG,
                           "there is no sampler \"%s\"; see `basin help sampler`", wanted);
    *group = (basin__option_group){
        .title = (*def)->name, .options = (*def)->options, .count = (*def)->option_count};
    group->values = basin__alloc(context, (*def)->options_bytes);
    if (group->values == NULL)
        return BASIN_ERROR_MEMORY;
    const char *noted_options = basin__energy_noted(energy, "sampler_options");
    bool is_noted = noted_options != NULL && noted != NULL && strcmp(noted, wanted) == 0;
    basin_status status = basin__options_default(context, group);
    if (status == BASIN_OK && is_noted)
        status = read_noted(context, noted_options, group);
    else if (status == BASIN_OK)
        fit_to_model(energy, *def, group);
    group->is_set = 0;
    if (status != BASIN_OK) {
        basin__options_reset(context, group);
        basin__free(context, group->values);
        group->values = NULL;
    }
    return status;
}

static basin_status read_settings(basin_context *context, const char *text,
                                  basin__option_group *group) {
    if (text == NULL)
        return BASIN_OK;
    json_error_t error;
    json_t *settings = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (settings == NULL)
        return basin__fail(context, BASIN_ERROR_CONFIG, "settings: line %d, column %d: %s",
                           error.line, error.column, error.text);
    basin_status status = basin__options_from_json(context, group, 1, settings);
    json_decref(settings);
    return status;
}

void basin__chains_start(basin_context *context, uint64_t seed, uint64_t draw, uint32_t first_chain,
                         uint16_t attempt, double low, double high, int64_t n, int64_t size,
                         float *x) {
    const basin__cpu_kernels *kernels = basin__cpu_kernels_for(basin__context_isa(context));
    for (int64_t i = 0; i < n; i++) {
        basin__draw at = {.seed = seed,
                          .draw = draw,
                          .chain = first_chain + (uint32_t)i,
                          .purpose = (uint16_t)(BASIN__PURPOSE_START | attempt << 8)};
        float *chain = x + i * size;
        kernels->uniform(chain, size, &at);
        for (int64_t j = 0; j < size; j++)
            chain[j] = (float)low + (float)(high - low) * chain[j];
    }
}

void basin__chains_begin(const basin__chain_run *run, double low, double high, bool is_image,
                         int64_t n, float *x) {
    basin_context *context = run->energy->context;
    const int64_t size = basin_shape_count(run->energy->shape);
    basin__chain_start start = {0};
    if (run->sampler->start != NULL)
        start = run->sampler->start(run->options);
    if (!start.is_normal) {
        basin__chains_start(context, run->seed, 0, run->first_chain, run->attempt, low, high, n,
                            size, x);
        return;
    }
    const float centre = is_image ? (float)(0.5 * (low + high)) : 0.0f;
    basin__draw at = {.seed = run->seed,
                      .chain = run->first_chain,
                      .purpose = (uint16_t)(BASIN__PURPOSE_START | run->attempt << 8)};
    basin__cpu_kernels_for(basin__context_isa(context))->normal(x, n, size, &at);
    for (int64_t i = 0; i < n * size; i++)
        x[i] = centre + (float)start.std * x[i];
}

basin_status basin__sampler_takes(const basin__sampler_def *sampler, const basin_energy *energy) {
    if (!sampler->needs_noise_level || energy->condition.noise_level)
        return BASIN_OK;
    return basin__fail(energy->context, BASIN_ERROR_CONFIG,
                       "sampler %s walks down noise levels, and the model takes none: take sampler "
                       "langevin, or a noise-conditional model",
                       sampler->name);
}

basin_status basin_sample(basin_energy *energy, const basin_sample_options *given, int64_t n,
                          float *x, basin_temperature *temperature) {
    basin_sample_options options;
    basin_sample_options_init(&options);
    if (given != NULL)
        memcpy(&options, given, given->size < sizeof options ? given->size : sizeof options);
    const basin__sampler_def *sampler;
    basin__option_group group;
    BASIN_TRY(basin__sampler_from_energy(energy, options.sampler, &sampler, &group));
    basin_status status = read_settings(energy->context, options.settings, &group);
    if (status == BASIN_OK)
        status = basin__sampler_check(energy->context, sampler, &group);
    if (status == BASIN_OK)
        status = basin__sampler_takes(sampler, energy);
    if (status == BASIN_OK) {
        if (temperature != NULL)
            *temperature = sampler->temperature(group.values);
        basin__chain_run run = {
            .sampler = sampler, .options = group.values, .energy = energy, .seed = options.seed};
        if (!options.is_started)
            basin__chains_begin(&run, basin__energy_noted_number(energy, "range_low", 0),
                                basin__energy_noted_number(energy, "range_high", 1),
                                basin__energy_is_image(energy), n, x);
        status = basin__chains_run(&run, n, x);
    }
    basin__options_reset(energy->context, &group);
    basin__free(energy->context, group.values);
    return status;
}
