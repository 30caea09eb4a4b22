/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the verbs that use a model share: its options, loading it, and opening
 * data that it is to be used on.
 */
#ifndef BASIN_CLI_MODEL_H
#define BASIN_CLI_MODEL_H

#include "cli.h"
#include "energy/energy.h"

/** The values of the three rows below. */
typedef struct basin__model_options {
    char *model, *network, *shape;
} basin__model_options;

/* Rows of an option table whose struct begins with a basin__model_options. */
#define BASIN__MODEL_ROW                                                                           \
    {                                                                                              \
        "model", BASIN__OPTION_TEXT, offsetof(basin__model_options, model), NULL, 0, 0, NULL,      \
            NULL, "a .safetensors file, or a run folder: its latest checkpoint"                    \
    }
#define BASIN__STATE_DICT_ROWS                                                                     \
    {"network",                                                                                    \
     BASIN__OPTION_TEXT,                                                                           \
     offsetof(basin__model_options, network),                                                      \
     NULL,                                                                                         \
     0,                                                                                            \
     0,                                                                                            \
     NULL,                                                                                         \
     NULL,                                                                                         \
     "the network of a file without Basin's metadata (a PyTorch state_dict)"},                     \
    {                                                                                              \
        "shape", BASIN__OPTION_TEXT, offsetof(basin__model_options, shape), NULL, 0, 0, NULL,      \
            "pixels", "HEIGHTxWIDTH[xCHANNELS] of an example, where the model does not say"        \
    }

/** The values of the rows below. */
typedef struct basin__data_choice {
    char *data_dir;
    int64_t n, seed;
} basin__data_choice;

/* Rows for a struct with a member `choice` of that type. */
#define BASIN__DATA_ROWS(type)                                                                     \
    {"data-dir",                                                                                   \
     BASIN__OPTION_TEXT,                                                                           \
     offsetof(type, choice.data_dir),                                                              \
     NULL,                                                                                         \
     0,                                                                                            \
     0,                                                                                            \
     NULL,                                                                                         \
     NULL,                                                                                         \
     "folder of data sets [the environment's BASIN_DATA]"},                                        \
        {"n",                                                                                      \
         BASIN__OPTION_INT,                                                                        \
         offsetof(type, choice.n),                                                                 \
         "0",                                                                                      \
         0,                                                                                        \
         1e9,                                                                                      \
         NULL,                                                                                     \
         "examples",                                                                               \
         "at most so many of each data set, the first; 0: all"},                                   \
    {                                                                                              \
        "seed", BASIN__OPTION_INT, offsetof(type, choice.seed), "0", 0, 9007199254740992.0, NULL,  \
            NULL, "seed of built-in data and of what is drawn at random"                           \
    }

/**
 * Load the model of a path. `data`, where not NULL, gives height and width to a bare state_dict
 * that comes without --shape.
 */
basin_status basin__model_load(const basin__command *command, const char *path,
                               const basin__model_options *options, const basin_data_info *data,
                               basin_energy **out);

/** Open a data set, by default its test split. */
basin_status basin__data_choose(const basin__command *command, const basin__data_choice *choice,
                                const char *specification, basin_data **out);

/** Print a number to stdout as JSON: null where it is not finite. */
void basin__print_json_number(double number);
/** Print a text to stdout as JSON, quoted. */
void basin__print_json_text(const char *text);

#endif
