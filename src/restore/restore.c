/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restoring images: a method's chains are run as a sampler's are, all images' samples at once, and
 * what they come to is put together.
 */
#include "restore/restoration.h"
#include <math.h>
#include <string.h>

void basin_restore_options_init(basin_restore_options *options) {
    *options = (basin_restore_options){.size = sizeof *options, .samples = 1};
}

static basin_status find_method(const basin_energy *energy, const char *name,
                                const basin__method_def **out) {
    if (name == NULL)
        name = energy->condition.noise_level ? "anneal" : "langevin";
    *out = basin__method_find(name);
    return *out != NULL ? BASIN_OK
                        : basin__fail(energy->context, BASIN_ERROR_CONFIG,
                                      "there is no method \"%s\"; see `basin help method`", name);
}

static basin_status read_options(basin_context *context, const basin__method_def *method,
                                 const char *text, basin__option_group *group) {
    json_error_t error;
    *group = (basin__option_group){
        .title = method->name, .options = method->options, .count = method->option_count};
    group->values = basin__alloc(context, method->options_bytes + 1);
    if (group->values == NULL)
        return BASIN_ERROR_MEMORY;
    BASIN_TRY(basin__options_default(context, group));
    json_t *values = json_loads(text != NULL ? text : "{}", JSON_REJECT_DUPLICATES, &error);
    if (values == NULL)
        return basin__fail(context, BASIN_ERROR_CONFIG,
                           "options of method %s are not JSON: %s at column %d", method->name,
                           error.text, error.column);
    basin_status status = basin__options_from_json(context, group, 1, values);
    json_decref(values);
    return status;
}

static basin_status check(const basin_energy *energy, const basin_degradation *degradation,
                          const basin_restore_options *options, double temperature) {
    const basin_shape a = energy->shape, b = degradation->shape;
    if (a.height != b.height || a.width != b.width || a.channels != b.channels)
        return basin__fail(energy->context, BASIN_ERROR_SHAPE,
                           "the energy takes examples of %d x %d x %d, and task %s is of %d x %d "
                           "x %d",
                           a.height, a.width, a.channels, degradation->task->name, b.height,
                           b.width, b.channels);
    if (!(options->noise_std > 0 && isfinite(options->noise_std)))
        return basin__fail(energy->context, BASIN_ERROR_ARGUMENT,
                           "noise of standard deviation %g: expected above 0 and finite",
                           options->noise_std);
    if (options->samples < 1)
        return basin__fail(energy->context, BASIN_ERROR_ARGUMENT, "%d samples: expected 1 or more",
                           options->samples);
    if (!(temperature > 0 && isfinite(temperature)))
        return basin__fail(energy->context, BASIN_ERROR_ARGUMENT,
                           "temperature %g: expected above 0 and finite", temperature);
    return BASIN_OK;
}

static basin_status make_scratch(basin_context *context, basin__restoration *of) {
    const size_t workers = (size_t)basin_context_thread_count(context);
    const size_t size = (size_t)basin_shape_count(of->degradation->shape);
    of->work = basin__alloc_array(context, workers * BASIN__SOLVE_WORK * size, sizeof(double));
    of->scratch =
        basin__alloc_array(context, workers * BASIN__RESTORATION_SCRATCH * size, sizeof(float));
    return of->work != NULL && of->scratch != NULL ? BASIN_OK : BASIN_ERROR_MEMORY;
}

/** Mean of each value over an image's samples, and their standard deviation where it is wanted. */
static void put_together(int64_t n, int64_t draws, int64_t size, const float *samples, float *x,
                         float *deviation) {
    for (int64_t at = 0; at < n * size; at++) {
        const float *first = samples + at / size * draws * size + at % size;
        double sum = 0, square = 0;
        for (int64_t k = 0; k < draws; k++)
            sum += (double)first[k * size];
        const double mean = sum / (double)draws;
        for (int64_t k = 0; k < draws; k++)
            square += pow((double)first[k * size] - mean, 2);
        x[at] = (float)mean;
        if (deviation != NULL)
            deviation[at] = (float)(draws > 1 ? sqrt(square / (double)(draws - 1)) : 0);
    }
}

/** Run the method's chains into samples [n, draws, size], and put them together. */
static basin_status run_chains(basin_energy *energy, const basin__method_def *method,
                               basin__restoration *of, const basin_restore_options *options,
                               int64_t n, float *samples, float *x) {
    basin__chain_run run = {.sampler = &method->walk,
                            .options = of,
                            .energy = energy,
                            .seed = options->seed,
                            .acceptance = (double)NAN};
    BASIN_TRY(make_scratch(energy->context, of));
    BASIN_TRY(basin__chains_run(&run, n * of->draws, samples));
    if (options->evaluations != NULL)
        *options->evaluations = run.evaluations;
    if (options->acceptance != NULL)
        *options->acceptance = run.acceptance;
    const int64_t size = basin_shape_count(energy->shape);
    put_together(n, of->draws, size, samples, x, options->deviation);
    for (int64_t i = 0; of->draws == 1 && options->draws != NULL && i < n; i++)
        for (int k = 0; k < options->samples; k++) /* one answer stands for all */
            memcpy(options->draws + (i * options->samples + k) * size, x + i * size,
                   (size_t)size * sizeof(float));
    return BASIN_OK;
}

static basin_status restore(basin_energy *energy, const basin__method_def *method,
                            basin__restoration *of, const basin_restore_options *options, int64_t n,
                            float *x) {
    const size_t size = (size_t)basin_shape_count(energy->shape);
    float *own = NULL, *samples = options->draws;
    if (of->draws == 1)
        samples = x;
    else if (samples == NULL)
        samples = own =
            basin__alloc_array(energy->context, (size_t)(n * of->draws), size * sizeof(float));
    basin_status status = samples != NULL ? run_chains(energy, method, of, options, n, samples, x)
                                          : BASIN_ERROR_MEMORY;
    basin__free(energy->context, of->work);
    basin__free(energy->context, of->scratch);
    basin__free(energy->context, own);
    return status;
}

basin_status basin_restore(basin_energy *energy, const basin_degradation *degradation,
                           const basin_restore_options *given, int64_t n, const float *y,
                           float *x) {
    basin_restore_options options;
    basin_restore_options_init(&options);
    memcpy(&options, given, given->size < sizeof options ? given->size : sizeof options);
    const double temperature =
        options.temperature > 0 ? options.temperature : basin_energy_temperature(energy).value;
    const basin__range range = basin__energy_range(energy);
    const basin__method_def *method;
    basin__option_group group;
    BASIN_TRY(check(energy, degradation, &options, temperature));
    BASIN_TRY(find_method(energy, options.method, &method));
    if (options.temperature > 0 && !method->takes_temperature)
        return basin__fail(energy->context, BASIN_ERROR_CONFIG,
                           "temperature %g is for methods langevin and map; %s takes the energy as "
                           "it was trained",
                           options.temperature, method->name);
    basin_status status = read_options(energy->context, method, options.settings, &group);
    basin__restoration of = {.degradation = degradation,
                             .options = group.values,
                             .y = y,
                             .draws = method->draws ? options.samples : 1,
                             .noise_std = options.noise_std,
                             .temperature = temperature,
                             .centre = 0.5 * ((double)range.low + (double)range.high),
                             .span = (double)range.high - (double)range.low};
    if (status == BASIN_OK && method->ignores != NULL)
        status = basin__options_check_given(energy->context, &group, method->ignores, &of);
    if (status == BASIN_OK)
        status = method->fit(&of, energy, group.values);
    if (status == BASIN_OK && n > 0)
        status = restore(energy, method, &of, &options, n, x);
    if (group.values != NULL)
        basin__options_reset(energy->context, &group);
    basin__free(energy->context, group.values);
    return status;
}
