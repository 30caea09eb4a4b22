/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of `basin eval` share: its options, its sets and the table that it prints.
 */
#ifndef BASIN_CLI_EVAL_H
#define BASIN_CLI_EVAL_H

#include "eval/classify.h"
#include "eval/unit.h"
#include "model.h"
#include <basin/likelihood.h>

#define BASIN__EVAL_ROWS_MAX 24

/** Of the flow's likelihood. */
typedef struct basin__eval_flow_options {
    bool is_wanted, is_exact, given_class;
    int64_t bits, repeats, evaluations_max;
    double sigma_max, sigma_min, absolute, relative, error_wanted;
} basin__eval_flow_options;

typedef struct basin__eval_options {
    basin__model_options model;
    char *samples, *data, *train, *features, *classifier, *picture, *reliability, *asked;
    basin__eval_flow_options flow;
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

/** Which class samples were asked for, and how many the classifier puts there. */
typedef struct basin__eval_asked {
    int *labels;                   /* [samples], -1: none; NULL: not asked for */
    basin__agreement *by_class[2]; /* [classes]: of the samples, and of the data by their labels */
    basin__agreement all[2];
} basin__eval_asked;

/** The flow's likelihood of the data. Errors of means are NaN where they are not known. */
typedef struct basin__eval_flow {
    basin_energy *model; /* NULL: not asked for */
    basin_likelihood_options used;
    basin_likelihood_summary found;
    int64_t count;
    double draws_error;  /* of log_likelihood, by what runs draw alone */
    double median;       /* of the log-likelihoods */
    int64_t least_index; /* the least likely example, and how likely it is */
    double least;
    bool is_rounded;           /* to levels that the data's values are not */
    double exact, exact_error; /* the data's own log density; NaN: it is not known */
    double kl, kl_error;       /* mean of exact - the flow's */
} basin__eval_flow;

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
    basin__eval_asked asked;
    basin__eval_flow flow;
} basin__evaluation;

/** Add a line to the table, without errors. */
basin__eval_row *basin__eval_add(basin__evaluation *all, const char *key, const char *name,
                                 double samples, double real);

/** Lines of distances: samples against the data, and as many training images against them. */
basin_status basin__eval_distances(basin__evaluation *all);
/** Lines and picture of samples that are near the training set. */
basin_status basin__eval_copies(basin__evaluation *all);

/** Read --asked, after the classes are counted; and count, from the probabilities in the sets. */
basin_status basin__eval_asked_read(basin__evaluation *all);
void basin__eval_asked_measure(basin__evaluation *all, const int *labels);
void basin__eval_asked_print(const basin__evaluation *all);
json_t *basin__eval_asked_json(const basin__evaluation *all);
void basin__eval_asked_reset(basin__evaluation *all);

/** Load the model, whose shape built-in data then take; and the flow's likelihood of the data. */
basin_status basin__eval_flow_load(basin__evaluation *all);
basin_status basin__eval_flow_measure(basin__evaluation *all);
void basin__eval_flow_print(const basin__evaluation *all);
json_t *basin__eval_flow_json(const basin__evaluation *all);

/** A number, null where it is not finite. */
json_t *basin__eval_json_number(double value);
void basin__eval_print_text(const basin__evaluation *all);
basin_status basin__eval_print_json(const basin__evaluation *all);

#endif
