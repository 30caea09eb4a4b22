/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The public way to sample: the sampler an energy was trained with, from its metadata, changed by
 * the caller's settings.
 */
#include "sampler/sampler.h"
#include "sampler/visit.h"
#include <basin/sample.h>
#include <math.h>
#include <string.h>

void basin_sample_options_init(basin_sample_options *options) {
    *options = (basin_sample_options){.size = sizeof *options, .class_label = -1};
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
    if (status == BASIN_ERROR_CONFIG) /* it is the file's mistake, and nobody's choice */
        status =
            basin__fail_in(context, BASIN_ERROR_FORMAT, "the model's metadata sampler_options");
    return status;
}

/** Defaults that depend on the model: the box of its range, the noise levels it was trained at. */
static void fit_to_model(const basin_energy *energy, const basin__sampler_def *def,
                         basin__option_group *group) {
    basin__sampler_range(group, basin__energy_noted_number(energy, "range_low", 0),
                         basin__energy_noted_number(energy, "range_high", 1));
    const double low = basin__energy_noted_number(energy, "noise_level_low", 0);
    const double high = basin__energy_noted_number(energy, "noise_level_high", 0);
    if (def->set_noise_levels != NULL && low > 0 && high >= low)
        def->set_noise_levels(group, low, high);
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

basin_status basin__sampler_takes(const basin__sampler_def *sampler, const void *options,
                                  const basin_energy *energy, bool has_class) {
    if (!sampler->needs_noise_level || energy->condition.noise_level)
        return sampler->fit != NULL ? sampler->fit(options, energy, has_class) : BASIN_OK;
    return basin__fail(energy->context, BASIN_ERROR_CONFIG,
                       "sampler %s walks down noise levels, and the model takes none: take sampler "
                       "langevin, or a noise-conditional model",
                       sampler->name);
}

/** The classes of n chains as the energy takes them, new; NULL: none is given. */
static basin_status make_labels(const basin_energy *energy, const basin_sample_options *options,
                                int64_t n, float **out) {
    *out = NULL;
    const int class_count = energy->condition.class_count;
    if (options->labels == NULL && options->class_label < 0)
        return BASIN_OK;
    if (class_count == 0)
        return basin__fail(energy->context, BASIN_ERROR_ARGUMENT,
                           "samples of a class are asked for, and the model takes no class");
    float *labels = basin__alloc_array(energy->context, (size_t)n + 1, sizeof(float));
    if (labels == NULL)
        return BASIN_ERROR_MEMORY;
    for (int64_t i = 0; i < n; i++) {
        const int label = options->labels != NULL ? options->labels[i] : options->class_label;
        labels[i] = (float)(label < 0 ? class_count : label);
        if (label < class_count)
            continue;
        basin__free(energy->context, labels);
        return basin__fail(energy->context, BASIN_ERROR_ARGUMENT,
                           "there is no class %d: the model has %d, from 0", label, class_count);
    }
    *out = labels;
    return BASIN_OK;
}

static bool has_class(const basin_energy *energy) {
    return energy->label < energy->condition.class_count;
}

static basin_status walk_at(basin_energy *energy, double noise_level) {
    return basin__energy_set_condition(energy, noise_level, has_class(energy) ? energy->label : -1);
}

/** Let chains walk at the level asked for, if that is what the sampler does. */
static basin_status set_noise_level(basin_energy *energy, const basin__sampler_def *sampler,
                                    double noise_level) {
    if (noise_level >= 0 && noise_level <= 0)
        return BASIN_OK;
    if (!(noise_level > 0 && isfinite(noise_level)))
        return basin__fail(energy->context, BASIN_ERROR_ARGUMENT,
                           "noise level %g: expected a finite number above 0, or 0 for the model's",
                           noise_level);
    if (!energy->condition.noise_level)
        return basin__fail(energy->context, BASIN_ERROR_ARGUMENT,
                           "noise level %g is asked for, and the model takes none", noise_level);
    if (sampler->needs_noise_level)
        return basin__fail(energy->context, BASIN_ERROR_ARGUMENT,
                           "noise level %g is for samplers that walk at one level; %s walks down "
                           "from sigma-max to sigma-min",
                           noise_level, sampler->name);
    return walk_at(energy, noise_level);
}

static basin_status run_chains(basin_energy *energy, const basin_sample_options *options,
                               basin__chain_run *run, int64_t n, float *x) {
    const double noise_level = energy->noise_level;
    float *labels;
    BASIN_TRY(make_labels(energy, options, n, &labels));
    run->labels = labels;
    basin_status status = basin__sampler_takes(run->sampler, run->options, energy,
                                               labels != NULL || has_class(energy));
    if (status == BASIN_OK && options->visit != NULL) /* before x is touched */
        status = basin__visit_check(options, run);
    if (status == BASIN_OK)
        status = set_noise_level(energy, run->sampler, options->noise_level);
    if (status == BASIN_OK) {
        if (!options->is_started)
            basin__chains_begin(run, basin__energy_noted_number(energy, "range_low", 0),
                                basin__energy_noted_number(energy, "range_high", 1),
                                basin__energy_is_image(energy), n, x);
        status = options->visit != NULL ? basin__visit_run(options, run, n, x)
                                        : basin__chains_run(run, n, x);
        basin_status restored = walk_at(energy, noise_level);
        status = status == BASIN_OK ? restored : status;
    }
    basin__free(energy->context, labels);
    return status;
}

basin_status basin_sample(basin_energy *energy, const basin_sample_options *given, int64_t n,
                          float *x, basin_temperature *temperature) {
    basin_sample_options options;
    basin_sample_options_init(&options);
    if (given != NULL)
        memcpy(&options, given, given->size < sizeof options ? given->size : sizeof options);
    if (n < 0)
        return basin__fail(energy->context, BASIN_ERROR_ARGUMENT, "there cannot be %lld chains",
                           (long long)n);
    const basin__sampler_def *sampler;
    basin__option_group group;
    BASIN_TRY(basin__sampler_from_energy(energy, options.sampler, &sampler, &group));
    basin_status status = read_settings(energy->context, options.settings, &group);
    if (status == BASIN_OK)
        status = basin__sampler_check(energy->context, sampler, &group);
    if (status == BASIN_OK && sampler->ignores != NULL) /* `group` has but the caller's as given */
        status =
            basin__options_check_given(energy->context, &group, sampler->ignores, group.values);
    if (status == BASIN_OK) {
        basin__chain_run run = {.sampler = sampler,
                                .options = group.values,
                                .energy = energy,
                                .seed = options.seed,
                                .acceptance = (double)NAN};
        status = run_chains(energy, &options, &run, n, x);
        if (options.acceptance != NULL)
            *options.acceptance = run.acceptance;
        if (options.evaluations != NULL)
            *options.evaluations = run.evaluations;
        if (temperature != NULL)
            *temperature = sampler->temperature(group.values);
    }
    basin__options_reset(energy->context, &group);
    basin__free(energy->context, group.values);
    return status;
}
