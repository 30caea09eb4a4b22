/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the verbs share that look for outliers: the options of scores, several models, and where a
 * model's detector is kept.
 */
#ifndef BASIN_CLI_DETECTOR_H
#define BASIN_CLI_DETECTOR_H

#include "eval/outlier.h"
#include "model.h"

/** Member of the structs of verbs that make detectors, which name it in the rows below. */
typedef struct basin__detector_choice {
    basin__text_list ensemble;
    int64_t levels, descent_steps;
    double level_low, level_high;
} basin__detector_choice;

/* clang-format off */
#define BASIN__ENSEMBLE_ROW(at)                                                                   \
    {"ensemble", BASIN__OPTION_TEXT_LIST, (at) + offsetof(basin__detector_choice, ensemble), NULL,\
     0, 0, NULL, NULL,                                                                            \
     "More models that were trained alike: a score is the mean of them all, each standardised"}
#define BASIN__DESCENT_ROW(at)                                                                    \
    {"descent-steps", BASIN__OPTION_INT, (at) + offsetof(basin__detector_choice, descent_steps),  \
     "10", 1, 100000, NULL, "steps", "Of score descent: evaluations on its way down"}
#define BASIN__DETECTOR_ROWS(at)                                                                  \
    BASIN__ENSEMBLE_ROW(at),                                                                      \
    {"levels", BASIN__OPTION_INT, (at) + offsetof(basin__detector_choice, levels), "10", 2, 1000, \
     NULL, "levels", "Of score levels: noise levels, evenly apart in their logarithm"},           \
    {"level-low", BASIN__OPTION_FLOAT, (at) + offsetof(basin__detector_choice, level_low), "0", 0,\
     1e6, NULL, NULL,                                                                             \
     "The lowest of them; 0: twice the lowest that the model was trained at, and no less than "   \
     "0.02 of the range's width"},                                                                \
    {"level-high", BASIN__OPTION_FLOAT, (at) + offsetof(basin__detector_choice, level_high), "0", \
     0, 1e6, NULL, NULL, "The highest of them; 0: half the range's width"},                       \
    BASIN__DESCENT_ROW(at)
/* clang-format on */

/** A model and the rest of its ensemble. */
typedef struct basin__ensemble {
    basin_energy **energies;
    int count;
} basin__ensemble;

/** Load the models after `first`, which becomes energies[0] and stays the caller's. */
basin_status basin__ensemble_load(const basin__command *command,
                                  const basin__model_options *options,
                                  const basin__text_list *others, basin_energy *first,
                                  basin__ensemble *out);
/** All but the first energy. */
void basin__ensemble_destroy(basin_context *context, basin__ensemble *ensemble);

basin_detector_options basin__detector_options_of(const basin__model_options *model,
                                                  const basin__detector_choice *choice,
                                                  const char *score);

/** "<run>/detector.json", or beside model.safetensors "model.detector.json"; to be freed. */
char *basin__detector_path(basin_context *context, const char *model);

#endif
