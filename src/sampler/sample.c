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
    basin_status status = basin__options_default(context, group);
    const char *text = basin__energy_noted(energy, "sampler_options");
    if (status == BASIN_OK && text != NULL && noted != NULL && strcmp(noted, wanted) == 0) {
        json_t *settings = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        if (settings == NULL)
            status = basin__fail(context, BASIN_ERROR_FORMAT,
                                 "the model's metadata \"sampler_options\" is not JSON");
        else
            status = basin__options_from_json(context, group, 1, settings);
        json_decref(settings);
    }
    if (status == BASIN_OK && text == NULL)
        basin__sampler_range(group, basin__energy_noted_number(energy, "range_low", 0),
                             basin__energy_noted_number(energy, "range_high", 1));
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
    if (status == BASIN_OK) {
        if (temperature != NULL)
            *temperature = sampler->temperature(group.values);
        if (!options.is_started)
            basin__chains_start(energy->context, options.seed, 0, 0, 0,
                                basin__energy_noted_number(energy, "range_low", 0),
                                basin__energy_noted_number(energy, "range_high", 1), n,
                                basin_shape_count(energy->shape), x);
        basin__chain_run run = {
            .sampler = sampler, .options = group.values, .energy = energy, .seed = options.seed};
        status = basin__chains_run(&run, n, x);
    }
    basin__options_reset(energy->context, &group);
    basin__free(energy->context, group.values);
    return status;
}
