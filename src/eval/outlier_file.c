/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fitted detector as a JSON file:
 *
 *   format "basin-detector", version 2
 *   score, noise_level, level_count, level_low, level_high, descent_steps   the options
 *   models [SHA-256 of each energy's parameters]
 *   fitted_on, fitted_count, false_alarm_rate, threshold
 *   mean [F], whiten [F][1 … F]                             of scores that are standardised
 */
#include "eval/outlier.h"
#include "io/config.h"
#include <math.h>
#include <sha2.h>
#include <string.h>

#define FORMAT "basin-detector"
#define VERSION 2

/* ---- which energies ---- */

static void add(const basin_energy *energy, SHA2_CTX *hash) {
    SHA256Update(hash, (const uint8_t *)&energy->shape, sizeof energy->shape);
    for (int i = 0; i < energy->parameters.count; i++) {
        const basin__parameter *parameter = &energy->parameters.items[i];
        SHA256Update(hash, (const uint8_t *)parameter->data,
                     (size_t)basin_shape_count(parameter->shape) * sizeof(float));
    }
    for (int i = 0; i < energy->part_count; i++)
        add(energy->parts[i].energy, hash);
}

/**
 * SHA-256 of the network's options (a composition's expression), of all parameters in their order,
 * also of parts, and of the shape; of a callback, of the shape alone.
 */
static basin_status digest(const basin_energy *energy, char text[65]) {
    SHA2_CTX hash;
    SHA256Init(&hash);
    json_t *options = json_object();
    basin_status status = energy->network
                              ? basin__options_to_json(energy->context, &energy->options, options)
                              : BASIN_OK;
    char *written = status == BASIN_OK ? basin__json_text(energy->context, options) : NULL;
    json_decref(options);
    if (!written)
        return status == BASIN_OK ? BASIN_ERROR_MEMORY : status;
    SHA256Update(&hash, (const uint8_t *)written, strlen(written));
    basin__free(energy->context, written);
    add(energy, &hash);
    SHA256End(&hash, text);
    return BASIN_OK;
}

/* ---- saving ---- */

static json_t *numbers(const double *from, int count) {
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, json_real(from[i]));
    return list;
}

static json_t *describe(const basin_detector *detector) {
    const basin_detector_options *options = &detector->options;
    const int count = detector->feature_count;
    json_t *models = json_array(), *rows = json_array();
    bool is_whole = true;
    for (int i = 0; i < detector->model_count; i++) {
        char text[65] = "";
        if (digest(detector->energies[i], text) != BASIN_OK)
            is_whole = false;
        json_array_append_new(models, json_string(text));
    }
    json_t *file = json_pack(
        "{s:s, s:i, s:s, s:f, s:i, s:f, s:f, s:i, s:o, s:s, s:I, s:f, s:f}", "format", FORMAT,
        "version", VERSION, "score", options->score, "noise_level", options->noise_level,
        "level_count", options->level_count, "level_low", options->level_low, "level_high",
        options->level_high, "descent_steps", options->descent_steps, "models", models, "fitted_on",
        detector->fitted_on, "fitted_count", (json_int_t)detector->fitted_count, "false_alarm_rate",
        detector->false_alarm_rate, "threshold", detector->threshold);
    for (int i = 0; i < count; i++)
        json_array_append_new(rows, numbers(detector->whiten + (size_t)i * (size_t)count, i + 1));
    if (detector->standard != BASIN__STANDARD_NONE) {
        json_object_set_new(file, "mean", numbers(detector->mean, count));
        json_object_set(file, "whiten", rows);
    }
    json_decref(rows);
    if (is_whole)
        return file;
    json_decref(file);
    return NULL;
}

basin_status basin_detector_save(const basin_detector *detector, const char *path) {
    if (!detector->has_threshold)
        return basin__fail(detector->context, BASIN_ERROR_ARGUMENT,
                           "a detector that was not fitted cannot be saved");
    json_t *file = describe(detector);
    basin_status status =
        file ? basin__json_write(detector->context, path, file)
             : basin__fail(detector->context, BASIN_ERROR_MEMORY, "no memory for a detector");
    json_decref(file);
    return status;
}

/* ---- loading ---- */

static basin_status broken(basin_context *context, const char *path, const char *key,
                           const char *expected) {
    return basin__fail(context, BASIN_ERROR_FORMAT, "%s: '%s' is not %s", path, key, expected);
}

/** The finite numbers of a list of that length. */
static bool read_numbers(const json_t *list, int count, double *out) {
    if (!json_is_array(list) || (int)json_array_size(list) != count)
        return false;
    for (int i = 0; i < count; i++) {
        const json_t *value = json_array_get(list, (size_t)i);
        out[i] = json_number_value(value);
        if (!json_is_number(value) || !isfinite(out[i]))
            return false;
    }
    return true;
}

/** A finite number under `key` within [low, high]. */
static basin_status read_number(basin_context *context, const char *path, const json_t *file,
                                const char *key, double low, double high, double *out) {
    const json_t *value = json_object_get(file, key);
    *out = json_number_value(value);
    if (json_is_number(value) && *out >= low && *out <= high)
        return BASIN_OK;
    return broken(context, path, key, "there as a number in its range");
}

static basin_status read_options(basin_context *context, const char *path, const json_t *file,
                                 basin_detector_options *options) {
    double level_count, descent_steps, version;
    const char *format = json_string_value(json_object_get(file, "format"));
    basin_detector_options_init(options);
    if (!format || strcmp(format, FORMAT) != 0)
        return broken(context, path, "format",
                      "\"" FORMAT "\"; `basin calibrate` writes detectors");
    BASIN_TRY(read_number(context, path, file, "version", VERSION, VERSION, &version));
    options->score = json_string_value(json_object_get(file, "score"));
    if (!options->score || !basin__outlier_find(options->score))
        return broken(context, path, "score", "the name of a score");
    BASIN_TRY(read_number(context, path, file, "noise_level", 0, 1e30, &options->noise_level));
    BASIN_TRY(read_number(context, path, file, "level_count", 1, 1000, &level_count));
    BASIN_TRY(read_number(context, path, file, "level_low", 0, 1e30, &options->level_low));
    BASIN_TRY(read_number(context, path, file, "level_high", 0, 1e30, &options->level_high));
    BASIN_TRY(read_number(context, path, file, "descent_steps", 1, 1e6, &descent_steps));
    options->level_count = (int)level_count;
    options->descent_steps = (int)descent_steps;
    return BASIN_OK;
}

static basin_status check_models(const basin_detector *detector, const char *path,
                                 const json_t *file) {
    const json_t *models = json_object_get(file, "models");
    if (!json_is_array(models))
        return broken(detector->context, path, "models", "a list");
    if ((int)json_array_size(models) != detector->model_count)
        return basin__fail(detector->context, BASIN_ERROR_CONFIG,
                           "%s was fitted with %d models, and %d are given", path,
                           (int)json_array_size(models), detector->model_count);
    for (int i = 0; i < detector->model_count; i++) {
        const char *saved = json_string_value(json_array_get(models, (size_t)i));
        char text[65];
        BASIN_TRY(digest(detector->energies[i], text));
        if (!saved || strcmp(saved, text) != 0)
            return basin__fail(detector->context, BASIN_ERROR_CONFIG,
                               "%s was fitted with another model%s; fit it again with `basin "
                               "calibrate`",
                               path, detector->model_count > 1 ? ", or in another order" : "");
    }
    return BASIN_OK;
}

static basin_status read_fit(basin_detector *detector, const char *path, const json_t *file) {
    basin_context *context = detector->context;
    const int count = detector->feature_count;
    const char *name = json_string_value(json_object_get(file, "fitted_on"));
    double fitted_count;
    BASIN_TRY(
        read_number(context, path, file, "false_alarm_rate", 0, 1, &detector->false_alarm_rate));
    BASIN_TRY(
        read_number(context, path, file, "threshold", -HUGE_VAL, HUGE_VAL, &detector->threshold));
    BASIN_TRY(read_number(context, path, file, "fitted_count", 1, 1e15, &fitted_count));
    detector->fitted_count = (int64_t)fitted_count;
    detector->fitted_on = basin__strdup(context, name ? name : "");
    if (!detector->fitted_on)
        return BASIN_ERROR_MEMORY;
    detector->is_standardised = detector->has_threshold = true;
    if (detector->standard == BASIN__STANDARD_NONE)
        return BASIN_OK;
    const json_t *rows = json_object_get(file, "whiten");
    bool is_whole = read_numbers(json_object_get(file, "mean"), count, detector->mean) &&
                    json_is_array(rows) && (int)json_array_size(rows) == count;
    for (int i = 0; i < count && is_whole; i++)
        is_whole = read_numbers(json_array_get(rows, (size_t)i), i + 1,
                                detector->whiten + (size_t)i * (size_t)count);
    return is_whole ? BASIN_OK
                    : broken(context, path, "mean' or 'whiten",
                             "as long as the score's numbers, all of them finite");
}

static basin_status load(basin_context *context, const char *path, const json_t *file,
                         basin_energy *const *energies, int count, basin_detector **out) {
    basin_detector_options options;
    BASIN_TRY(read_options(context, path, file, &options));
    BASIN_TRY(basin_detector_create(context, energies, count, &options, out));
    BASIN_TRY(check_models(*out, path, file));
    return read_fit(*out, path, file);
}

basin_status basin_detector_load(basin_context *context, const char *path,
                                 basin_energy *const *energies, int count, basin_detector **out) {
    json_t *file;
    *out = NULL;
    BASIN_TRY(basin__config_read(context, path, &file));
    basin_status status = load(context, path, file, energies, count, out);
    json_decref(file);
    if (status == BASIN_OK)
        return BASIN_OK;
    basin_detector_destroy(*out);
    *out = NULL;
    return status;
}
