/* SPDX-License-Identifier: Apache-2.0 */
/*
 * basin calibrate: fit a detector to inside data at a rate of false alarms, for basin score --flag.
 */
#include "base/file.h"
#include "base/number.h"
#include "detector.h"
#include <stddef.h>

typedef struct calibrate_options {
    basin__model_options model;
    basin__detector_choice detector;
    char *data, *score, *out;
    double false_alarm_rate;
    int64_t hold_out_class;
    basin__data_choice choice;
} calibrate_options;

#define AT(field) offsetof(calibrate_options, field)

static const basin__option options_table[] = {
    BASIN__MODEL_ROW,
    BASIN__ENERGY_ROW,
    {"data", BASIN__OPTION_TEXT, AT(data), NULL, 0, 0, NULL, NULL,
     "What is not to be flagged and the model was not trained on, NAME[:SPLIT], file or folder; "
     "without a split, valid"},
    {"score", BASIN__OPTION_TEXT, AT(score), "energy", 0, 0, NULL, NULL,
     "How examples are scored, see `basin help score`"},
    {"false-alarm-rate", BASIN__OPTION_FLOAT, AT(false_alarm_rate), "0.01", 1e-9, 0.999, NULL, NULL,
     "The share of such examples that may be flagged"},
    BASIN__TEXT_ROW("out", AT(out), "Write the detector here [beside the model]"),
    BASIN__DETECTOR_ROWS(AT(detector)),
    BASIN__HOLD_OUT_CLASS_ROW(AT(hold_out_class)),
    BASIN__NETWORK_ROW,
    BASIN__SHAPE_ROW,
    BASIN__NOISE_LEVEL_ROW,
    BASIN__DATA_DIR_ROW(AT(choice.data_dir)),
    BASIN__COUNT_ROW(AT(choice.count)),
    BASIN__SEED_ROW(AT(choice.seed)),
};

static basin_status calibrate(const basin__command *command, basin__ensemble *models,
                              basin_energy **energy, basin_data **data, basin_detector **detector) {
    const calibrate_options *options = command->options;
    BASIN_TRY(basin__model_open(command, &options->model, NULL, energy));
    BASIN_TRY(basin__ensemble_load(command, &options->model, &options->detector.ensemble, *energy,
                                   models));
    basin_data_options how = basin__data_options_of(&options->choice, *energy);
    how.split = "valid";
    how.class_without = (int)options->hold_out_class;
    BASIN_TRY(basin_data_open(command->context, options->data, &how, data));
    const basin_detector_options choice =
        basin__detector_options_of(&options->model, &options->detector, options->score);
    BASIN_TRY(basin_detector_create(command->context, models->energies, models->count, &choice,
                                    detector));
    return basin_detector_fit(*detector, *data, options->false_alarm_rate);
}

static basin_status save(const basin_detector *detector, const char *path) {
    char threshold[32], rate[32];
    BASIN_TRY(basin_detector_save(detector, path));
    basin__print_double(threshold, basin_detector_threshold(detector));
    basin__print_double(rate, detector->false_alarm_rate);
    printf("score      %s\nthreshold  %s\nfitted on  %lld examples of %s, false-alarm rate %s\n"
           "written    %s\n",
           detector->options.score, threshold, (long long)detector->fitted_count,
           detector->fitted_on, rate, path);
    return BASIN_OK;
}

static int run(basin__command *command) {
    const calibrate_options *options = command->options;
    const bool has_model = !basin__model_is_missing(&options->model);
    if (!has_model || !options->data)
        return basin__command_usage(command, "--%s is missing", has_model ? "data" : "model");
    if (options->model.energy && !options->out)
        return basin__command_usage(command, "--energy needs --out: an expression has no place "
                                             "beside it");
    basin__ensemble models = {0};
    basin_energy *energy = NULL;
    basin_data *data = NULL;
    basin_detector *detector = NULL;
    char *path = options->out ? basin__strdup(command->context, options->out)
                              : basin__detector_path(command->context, options->model.model);
    basin_status status =
        path ? basin__file_check_writable(command->context, path) : BASIN_ERROR_MEMORY;
    if (status == BASIN_OK)
        status = calibrate(command, &models, &energy, &data, &detector);
    if (status == BASIN_OK)
        status = save(detector, path);
    basin__free(command->context, path);
    basin_detector_destroy(detector);
    basin_data_close(data);
    basin__ensemble_destroy(command->context, &models);
    basin_energy_destroy(energy);
    return status == BASIN_OK ? BASIN__EXIT_OK : basin__command_fail(command, status);
}

static const char *const outputs[] = {"out", NULL};

static const char *const examples[] = {
    "basin calibrate --model runs/mnist --data mnist --false-alarm-rate 0.001",
    "of a thousand digits at most one is flagged, in the mean",
    "basin calibrate --model models/mnist-unet.safetensors --data mnist --score levels",
    "by energies and gradients at ten noise levels",
    NULL,
};

const basin__verb basin__verb_calibrate = {
    .name = "calibrate",
    .help = "fit a threshold for outliers at a rate of false alarms",
    .about =
        "Scores examples that the model was not trained on, and keeps beside the model what "
        "`basin score --flag` takes: the threshold that at most the given share of such examples "
        "exceeds, and the means and scales of what the score is made of. The examples at odd "
        "places give the scales and those at even places the threshold (split conformal "
        "prediction), so that the share holds for fresh examples.",
    .options = options_table,
    .option_count = BASIN_COUNT(options_table),
    .options_bytes = sizeof(calibrate_options),
    .examples = examples,
    .outputs = outputs,
    .run = run,
};
