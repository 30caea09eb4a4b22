/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the verbs that use a model share.
 */
#include "model.h"
#include "base/number.h"
#include "data/set.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/** "28x28" or "28x28x1"; channels are 0 where not given. */
static basin_status parse_shape(const basin__command *command, const char *text, int side[3]) {
    const char *rest = text;
    char word[16];
    int count = 0;
    side[2] = 0;
    for (; count < 3 && *rest; count++) {
        size_t length = strcspn(rest, "x");
        int64_t number = 0;
        snprintf(word, sizeof(word), "%.*s", (int)(length < 15 ? length : 15), rest);
        if (!basin__parse_int(word, &number) || number < 1 || number > 65536)
            break;
        side[count] = (int)number;
        rest += length + (rest[length] == 'x' && rest[length + 1] != '\0');
    }
    if (count >= 2 && *rest == '\0')
        return BASIN_OK;
    return basin__fail(
        command->context, BASIN_ERROR_CONFIG,
        "--shape %.200s is not HEIGHTxWIDTH or HEIGHTxWIDTHxCHANNELS, 28x28 for example", text);
}

/** Check a model against what --shape says, and set the level of --noise-level. */
static basin_status suit(const basin__command *command, const char *path,
                         const basin__model_options *options, int channels, basin_energy *energy) {
    if (channels > 0 && channels != energy->shape.channels)
        return basin__fail(command->context, BASIN_ERROR_SHAPE,
                           "%s takes %d channels; --shape says %d", path, energy->shape.channels,
                           channels);
    if (options->noise_level == 0.0)
        return BASIN_OK;
    if (!energy->condition.noise_level)
        return basin__fail(command->context, BASIN_ERROR_CONFIG,
                           "--noise-level %g: %s takes no noise level", options->noise_level, path);
    return basin__energy_set_condition(energy, options->noise_level, -1);
}

basin_status basin__model_load(const basin__command *command, const char *path,
                               const basin__model_options *options, const basin_data_info *data,
                               basin_energy **out) {
    int side[3] = {0, 0, 0};
    *out = NULL;
    if (options->shape)
        BASIN_TRY(parse_shape(command, options->shape, side));
    else if (options->network && data && data->is_image) {
        side[0] = data->height;
        side[1] = data->width;
    }
    BASIN_TRY(basin_energy_load(command->context, path, options->network, side[0], side[1], out));
    basin_status status = suit(command, path, options, side[2], *out);
    if (status == BASIN_OK)
        return BASIN_OK;
    basin_energy_destroy(*out);
    *out = NULL;
    return status;
}

bool basin__model_is_missing(const basin__model_options *options) {
    return !options->model && !options->energy;
}

const char *basin__model_name(const basin__model_options *options) {
    return options->energy ? options->energy : options->model;
}

bool basin__model_needs_size(const basin__model_options *options) {
    return (options->network || options->energy) && !options->shape;
}

static basin_status compose(const basin__command *command, const basin__model_options *options,
                            const basin_data_info *data, basin_energy **out) {
    int side[3] = {0, 0, 0};
    if (options->model)
        return basin__fail(command->context, BASIN_ERROR_CONFIG,
                           "--model and --energy contradict each other: give one of them");
    if (options->network)
        return basin__fail(command->context, BASIN_ERROR_CONFIG,
                           "--network is of one model's file; the files of --energy say it");
    if (options->shape)
        BASIN_TRY(parse_shape(command, options->shape, side));
    else if (data) {
        side[0] = data->height;
        side[1] = data->width;
        side[2] = data->channels;
    }
    if (side[2] == 0 && side[0] > 0)
        side[2] = 1;
    BASIN_TRY(
        basin_energy_compose(command->context, options->energy, side[0], side[1], side[2], out));
    basin_status status = suit(command, "the expression", options, 0, *out);
    if (status == BASIN_OK)
        return BASIN_OK;
    basin_energy_destroy(*out);
    *out = NULL;
    return status;
}

basin_status basin__model_open(const basin__command *command, const basin__model_options *options,
                               const basin_data_info *data, basin_energy **out) {
    *out = NULL;
    if (!options->energy)
        return basin__model_load(command, options->model, options, data, out);
    basin_status status = compose(command, options, data, out);
    return status == BASIN_OK ? status : basin__fail_in(command->context, status, "--energy");
}

basin_data_options basin__data_options_of(const basin__data_choice *choice,
                                          const basin_energy *energy) {
    basin_data_options options;
    basin_data_options_init(&options);
    options.folder = choice->data_dir;
    options.count_max = choice->count;
    options.built_in_count = choice->count;
    options.seed = (uint64_t)choice->seed;
    if (energy && energy->shape.height > 1 && energy->shape.height == energy->shape.width)
        options.image_size = energy->shape.height;
    return options;
}

/** Floats do not say what is black and what is white. */
static void tell_range(const basin_energy *energy, const basin_data *data) {
    const basin_data_info *info = basin_data_describe(data);
    const basin__range from = basin__energy_range_of(energy, info);
    const basin__range to = basin__energy_range(energy);
    if (basin__data_range_is_guessed(data) && !basin__range_is_equal(from, to))
        basin__log(energy->context, BASIN_LOG_INFO,
                   "%s: values taken as of [%g, %g] and brought to the model's [%g, %g]",
                   info->name, (double)from.low, (double)from.high, (double)to.low,
                   (double)to.high);
}

basin_status basin__data_choose(const basin__command *command, const basin__data_choice *choice,
                                const char *specification, const basin_energy *energy,
                                basin_data **out) {
    const basin_data_options options = basin__data_options_of(choice, energy);
    BASIN_TRY(basin_data_open(command->context, specification, &options, out));
    if (energy)
        tell_range(energy, *out);
    return BASIN_OK;
}

basin_status basin__model_and_data(const basin__command *command,
                                   const basin__model_options *options,
                                   const basin__data_choice *choice, const char *specification,
                                   basin_energy **energy, basin_data **data) {
    *energy = NULL;
    *data = NULL;
    if (basin__model_needs_size(options))
        BASIN_TRY(basin__data_choose(command, choice, specification, NULL, data));
    BASIN_TRY(
        basin__model_open(command, options, *data ? basin_data_describe(*data) : NULL, energy));
    if (!*data)
        BASIN_TRY(basin__data_choose(command, choice, specification, *energy, data));
    return BASIN_OK;
}

void basin__print_json_number(double number) {
    char text[32] = "null";
    if (isfinite(number))
        basin__print_double(text, number);
    fputs(text, stdout);
}

void basin__print_json_text(const char *text) {
    json_t *value = basin__json_name(text);
    char *quoted = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
    fputs(quoted ? quoted : "null", stdout);
    free(quoted);
    json_decref(value);
}
