/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the verbs that use a model share: its options, loading it, and opening
 * data that it is to be used on.
 */
#ifndef BASIN_CLI_MODEL_H
#define BASIN_CLI_MODEL_H

#include "cli.h"
#include "energy/energy.h"

/** Rows of option tables: text or an integer without units, NULL or 0 by default. */
#define BASIN__TEXT_ROW(name, at, help)                                                            \
    { name, BASIN__OPTION_TEXT, at, NULL, 0, 0, NULL, NULL, help }
#define BASIN__INT_ROW(name, at, most, help)                                                       \
    { name, BASIN__OPTION_INT, at, "0", 0, most, NULL, NULL, help }

/** First member of the structs of verbs that load a model. */
typedef struct basin__model_options {
    char *model, *energy, *network, *shape;
    double noise_level; /* 0: the model's own */
} basin__model_options;

#define BASIN__MODEL_ROW                                                                           \
    BASIN__TEXT_ROW("model", offsetof(basin__model_options, model),                                \
                    "A .safetensors file, or a run folder: its latest checkpoint")
#define BASIN__ENERGY_ROW                                                                          \
    BASIN__TEXT_ROW("energy", offsetof(basin__model_options, energy),                              \
                    "In place of a model an expression of several, \"0.5 * a.safetensors + "       \
                    "gaussian(0, 1)\": see basin help energy")
#define BASIN__NETWORK_ROW                                                                         \
    BASIN__TEXT_ROW("network", offsetof(basin__model_options, network),                            \
                    "Network of a file without Basin's metadata (a PyTorch state_dict)")
#define BASIN__SHAPE_ROW                                                                           \
    BASIN__TEXT_ROW("shape", offsetof(basin__model_options, shape),                                \
                    "HEIGHTxWIDTH[xCHANNELS] of an example, where the model does not say, or "     \
                    "others that its network takes as well")
/** Where the energy is evaluated at one level. */
#define BASIN__NOISE_LEVEL_ROW                                                                     \
    {                                                                                              \
        "noise-level", BASIN__OPTION_FLOAT, offsetof(basin__model_options, noise_level), "0", 0,   \
            1e6, NULL, NULL,                                                                       \
            "Of models that take one, the level at which the energy is taken; 0: the lowest "      \
            "that the model was trained at"                                                        \
    }

/** Member `choice` of the structs of verbs that read data sets. */
typedef struct basin__data_choice {
    char *data_dir;
    int64_t count, seed;
} basin__data_choice;

#define BASIN__SEED_MAX 9007199254740992.0
#define BASIN__DATA_DIR_ROW(at)                                                                    \
    BASIN__TEXT_ROW("data-dir", at,                                                                \
                    "Folder that holds the named data sets; else BASIN_DATA in the environment")
#define BASIN__COUNT_ROW(at)                                                                       \
    BASIN__INT_ROW("count", at, 1e9, "Take only so many examples of each set; 0 takes all")
#define BASIN__HOLD_OUT_CLASS_ROW(at)                                                              \
    {                                                                                              \
        "hold-out-class", BASIN__OPTION_INT, at, "-1", -1, 1e6, NULL, NULL,                        \
            "Leave this class out of the inside data; -1: none"                                    \
    }
#define BASIN__SEED_ROW(at)                                                                        \
    BASIN__INT_ROW("seed", at, BASIN__SEED_MAX, "Seed of built-in data and of what is drawn")

/** Whether the options name neither a model nor an expression. */
bool basin__model_is_missing(const basin__model_options *options);
/** What they name: a path or an expression. */
const char *basin__model_name(const basin__model_options *options);
/** Whether the data's examples are to say height and width: of a bare state_dict, or formulas. */
bool basin__model_needs_size(const basin__model_options *options);
/** Load the model that the options name, or compose their expression; otherwise as below. */
basin_status basin__model_open(const basin__command *command, const basin__model_options *options,
                               const basin_data_info *data, basin_energy **out);

/**
 * Load the model of a path, at the level of `options` where they say one. `data`, where not NULL,
 * gives height and width to a bare state_dict that comes without --shape.
 */
basin_status basin__model_load(const basin__command *command, const char *path,
                               const basin__model_options *options, const basin_data_info *data,
                               basin_energy **out);

/** How a choice is opened: with built-in images of the size that `energy` takes (NULL: 28). */
basin_data_options basin__data_options_of(const basin__data_choice *choice,
                                          const basin_energy *energy);

/**
 * Open a data set, by default its test split; built-in images get the size that `energy` takes
 * (NULL: 28 pixels).
 */
basin_status basin__data_choose(const basin__command *command, const basin__data_choice *choice,
                                const char *specification, const basin_energy *energy,
                                basin_data **out);

/** That of the options, and data; on failure what was opened is still the caller's to close. */
basin_status basin__model_and_data(const basin__command *command,
                                   const basin__model_options *options,
                                   const basin__data_choice *choice, const char *specification,
                                   basin_energy **energy, basin_data **data);

/** Print a number to stdout as JSON: null where it is not finite. */
void basin__print_json_number(double number);
/** Print a text to stdout as JSON, quoted. */
void basin__print_json_text(const char *text);

#endif
