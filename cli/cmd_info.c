/* SPDX-License-Identifier: Apache-2.0 */
/*
 * basin info: what a model file holds and how it was trained.
 */
#include "model.h"
#include "objective/objective.h"
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define COLUMN 12 /* where values begin */
#define LIST_BYTES 2048

typedef struct info_options {
    basin__model_options model; /* the path is positional: its member stays NULL */
    bool json;
} info_options;

static const basin__option options_table[] = {
    BASIN__NETWORK_ROW,
    BASIN__SHAPE_ROW,
    {"json", BASIN__OPTION_FLAG, offsetof(info_options, json), NULL, 0, 0, NULL, NULL,
     "Print one JSON object"},
};

/* Metadata shown in their own way, or of the format alone. */
static const char *const shown_keys[] = {
    "format",      "version",           "sign",    "network",         "options",   "shape",
    "temperature", "temperature_exact", "sampler", "sampler_options", "range_low", "range_high",
};

static bool is_shown(const char *key) {
    for (size_t i = 0; i < BASIN_COUNT(shown_keys); i++)
        if (strcmp(shown_keys[i], key) == 0)
            return true;
    return false;
}

typedef struct extent {
    double low, high, rms;
} extent;

static extent extent_of(const basin__parameter *parameter) {
    int64_t count = basin_shape_count(parameter->shape);
    extent of = {.low = INFINITY, .high = -INFINITY};
    for (int64_t i = 0; i < count; i++) {
        double value = (double)parameter->data[i];
        of.low = fmin(of.low, value);
        of.high = fmax(of.high, value);
        of.rms += value * value;
    }
    of.rms = sqrt(of.rms / (double)count);
    return of;
}

static json_t *json_parameters(const basin__parameters *parameters) {
    json_t *list = json_array();
    for (int i = 0; i < parameters->count; i++) {
        const basin__parameter *parameter = &parameters->items[i];
        extent of = extent_of(parameter);
        json_t *shape = json_array();
        for (int d = 0; d < parameter->file_rank; d++)
            json_array_append_new(shape, json_integer(parameter->file_dim[d]));
        json_array_append_new(list, json_pack("{s:s, s:o, s:f, s:f, s:f}", "name", parameter->name,
                                              "shape", shape, "min", of.low, "max", of.high, "rms",
                                              of.rms));
    }
    return list;
}

/** A metadata text that holds JSON, or null. */
static json_t *json_noted(const basin_energy *energy, const char *key) {
    const char *text = basin__energy_noted(energy, key);
    json_t *value = text ? json_loads(text, 0, NULL) : NULL;
    return value ? value : json_null();
}

static basin_status print_json(basin_energy *energy, const char *file, json_t *options,
                               double flops) {
    basin_temperature temperature = basin_energy_temperature(energy);
    basin__range range = basin__energy_range(energy);
    json_t *all = json_pack(
        "{s:o, s:s, s:O, s:[i,i,i], s:I, s:f, s:[f,f], s:{s:f, s:b}, s:s?, s:o, s:O, s:o}", "file",
        basin__json_name(file), "network", energy->network->name, "options", options, "shape",
        energy->shape.height, energy->shape.width, energy->shape.channels, "parameter_count",
        (json_int_t)basin_energy_parameter_count(energy), "flops_per_step", flops, "range",
        (double)range.low, (double)range.high, "temperature", "value", temperature.value,
        "is_exact", temperature.is_exact, "sampler", basin__energy_noted(energy, "sampler"),
        "sampler_options", json_noted(energy, "sampler_options"), "metadata", energy->metadata,
        "parameters", json_parameters(&energy->parameters));
    char *text = all ? json_dumps(all, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(all);
    if (!text)
        return basin__fail(energy->context, BASIN_ERROR_FORMAT,
                           "%s: its description cannot be written as JSON", file);
    puts(text);
    free(text);
    return BASIN_OK;
}

/** Append "key value", or the key of a flag, to a list. */
static void append_option(char list[LIST_BYTES], const char *key, const json_t *value) {
    size_t used = strlen(list);
    char *text = json_is_string(value) || json_is_true(value)
                     ? NULL
                     : json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
    snprintf(list + used, LIST_BYTES - used, "%s%s%s%s", used > 0 ? ", " : "", key,
             json_is_true(value) ? "" : " ",
             json_is_string(value) ? json_string_value(value)
             : text                ? text
                                   : "");
    free(text);
}

/** "base_channels 64, pool mean" behind a title: what is set, in the table's order. */
static void print_options(const char *title, const char *name, const json_t *options) {
    char list[LIST_BYTES] = "";
    const char *key;
    json_t *value;
    snprintf(list, sizeof(list), "%s", name);
    json_object_foreach((json_t *)options, key, value) {
        bool is_empty =
            json_is_null(value) || (json_is_array(value) && json_array_size(value) == 0);
        if (!is_empty && !json_is_false(value))
            append_option(list, key, value);
    }
    printf("%-*s", COLUMN, title);
    basin__print_wrapped(stdout, list, COLUMN, COLUMN);
}

static const char *why_nominal(const basin_energy *energy) {
    const char *name = basin__energy_noted(energy, "objective");
    const basin__objective_def *objective = name ? basin__objective_find(name) : NULL;
    return objective && objective->learns_no_density
               ? "nominal: the objective fits no density"
               : "nominal: gradients were clipped, values boxed or noise added before the gradient";
}

static void print_training(const basin_energy *energy) {
    basin_temperature temperature = basin_energy_temperature(energy);
    const char *sampler = basin__energy_noted(energy, "sampler");
    if (basin__energy_noted(energy, "temperature"))
        printf("temperature %.6g, %s\n", temperature.value,
               temperature.is_exact ? "exact" : why_nominal(energy));
    else
        puts("temperature unknown");
    if (sampler) {
        json_t *options = json_noted(energy, "sampler_options");
        print_options("sampler", sampler, options);
        json_decref(options);
    }
    const char *key;
    json_t *value;
    json_object_foreach(energy->metadata, key, value) {
        if (!is_shown(key))
            printf("%-11s %s\n", key, json_string_value(value));
    }
}

static void print_parameters(const basin__parameters *parameters) {
    printf("\n%-20s %-20s %12s %12s %12s\n", "parameter", "shape", "min", "max", "rms");
    for (int i = 0; i < parameters->count; i++) {
        const basin__parameter *parameter = &parameters->items[i];
        extent of = extent_of(parameter);
        char shape[64] = "";
        for (int d = 0; d < parameter->file_rank; d++) {
            size_t used = strlen(shape);
            snprintf(shape + used, sizeof(shape) - used, "%s%lld", d > 0 ? " x " : "",
                     (long long)parameter->file_dim[d]);
        }
        printf("%-20s %-20s %12.5g %12.5g %12.5g\n", parameter->name, shape, of.low, of.high,
               of.rms);
    }
}

static void print_text(basin_energy *energy, const char *file, const json_t *options,
                       double flops) {
    basin__range range = basin__energy_range(energy);
    printf("model       %s\n", file);
    print_options("network", energy->network->name, options);
    printf("examples    %d x %d x %d", energy->shape.height, energy->shape.width,
           energy->shape.channels);
    if (energy->shape.height * energy->shape.width > 1)
        printf(", values %g to %g", (double)range.low, (double)range.high);
    printf("\nparameters  %lld\n", (long long)basin_energy_parameter_count(energy));
    printf("cost        %.4g MFLOP an example for energy and gradient\n", flops / 1e6);
    print_training(energy);
    print_parameters(&energy->parameters);
}

static basin_status show(const info_options *options, const char *file, basin_energy *energy) {
    BASIN_TRY(basin__energy_ready(energy));
    double flops = basin__plan_describe(energy->gradient_plan).flops;
    json_t *values = json_object();
    basin_status status =
        values ? basin__options_to_json(energy->context, &energy->options, values)
               : basin__fail(energy->context, BASIN_ERROR_MEMORY, "no memory for options");
    if (status == BASIN_OK && options->json)
        status = print_json(energy, file, values, flops);
    else if (status == BASIN_OK)
        print_text(energy, file, values, flops);
    json_decref(values);
    return status;
}

static int run(basin__command *command) {
    const info_options *options = command->options;
    char *file = NULL;
    basin_energy *energy = NULL;
    basin_status status = basin__model_find(command->context, command->arguments[0], &file);
    if (status == BASIN_OK)
        status = basin__model_load(command, file, &options->model, NULL, &energy);
    if (status == BASIN_OK)
        status = show(options, file, energy);
    basin_energy_destroy(energy);
    basin__free(command->context, file);
    return status == BASIN_OK ? BASIN__EXIT_OK : basin__command_fail(command, status);
}

static const char *const examples[] = {
    "basin info runs/mnist",
    "describe the latest checkpoint of a run",
    "basin info energy.safetensors --network conv --shape 28x28",
    "describe a PyTorch state_dict",
    NULL,
};

const basin__verb basin__verb_info = {
    .name = "info",
    .help = "describe a model: network, parameters, ranges, temperature, how it was trained",
    .positional = "MODEL",
    .positional_min = 1,
    .positional_max = 1,
    .options = options_table,
    .option_count = BASIN_COUNT(options_table),
    .options_bytes = sizeof(info_options),
    .examples = examples,
    .run = run,
};
