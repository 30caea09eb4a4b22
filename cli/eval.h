/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of `basin eval` share: its options, its sets and the table that it prints.
 */
#ifndef BASIN_CLI_EVAL_H
#define BASIN_CLI_EVAL_H

#include "eval/classify.h"
#include "eval/unit.h"
#include "model.h"

#define BASIN__EVAL_ROWS_MAX 24

typedef struct basin__eval_options {
    char *samples, *data, *train, *features, *classifier, *picture, *reliability;
    int64_t most;
    double percentile;
    basin__data_choice choice;
    double black, white;
    bool json;
} basin__eval_options;

/** Examples on the scale [0, 1], and what the classifier gives for them. */
typedef struct basin__eval_set {
    basin_data *data; /* NULL: not asked for */
    const basin_data_info *info;
    basin__unit unit;
    float *logits; /* [count, outputs]; NULL: no classifier */
} basin__eval_set;

/** A line of the table: a measure of the samples and of real images. NaN: there is none. */
typedef struct basin__eval_row {
    const char *key, *name;
    double samples, samples_error, real, real_error;
} basin__eval_row;

typedef struct basin__evaluation {
    const basin__command *command;
    const basin__eval_options *options;
    basin_context *context;
    basin_energy *classifier;
    int outputs, classes;
    basin_energy *network; /* of the features; NULL: pixels */
    int64_t feature_count; /* 0: no distances */
    basin__eval_set samples, real, train;
    basin__eval_row rows[BASIN__EVAL_ROWS_MAX];
    int row_count;
    basin__calibration calibration;
} basin__evaluation;

/** Add a line to the table, without errors. */
basin__eval_row *basin__eval_add(basin__evaluation *all, const char *key, const char *name,
                                 double samples, double real);

/** Lines of distances: samples against the data, and as many training images against them. */
basin_status basin__eval_distances(basin__evaluation *all);
/** Lines and picture of samples that are near the training set. */
basin_status basin__eval_copies(basin__evaluation *all);

void basin__eval_print_text(const basin__evaluation *all);
basin_status basin__eval_print_json(const basin__evaluation *all);

#endif
