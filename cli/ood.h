/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What basin ood compares: sets by scores.
 */
#ifndef BASIN_CLI_OOD_H
#define BASIN_CLI_OOD_H

#include "detector.h"
#include "eval/metrics.h"

typedef struct basin__ood_options {
    basin__model_options model;
    basin__detector_choice detector;
    char *in, *fit, *standardise, *histogram;
    basin__text_list out_data, score;
    basin__data_choice choice;
    int64_t resamples, hold_out_class;
    bool json;
} basin__ood_options;

/** A score: a detector's, or a trivial one. The first is the energy. */
typedef struct basin__ood_score {
    const char *name;
    basin_detector *detector; /* owned; NULL: trivial */
    basin__trivial trivial;
} basin__ood_score;

/** A data set with all its scores; arrays over scores. */
typedef struct basin__ood_set {
    basin_data *data;
    const basin_data_info *info;
    double **scores;  /* NULL: not of use for such data */
    double mean, std; /* of the energy */
    basin__detection *found;
    bool *is_reversed; /* a trivial score that is lower outside */
} basin__ood_set;

typedef struct basin__ood {
    const basin__command *command;
    const basin__ood_options *options;
    basin_context *context;
    basin_energy *energy;
    basin__ensemble models;
    basin__pca *pca;
    basin__ood_score *scores;
    int score_count;
    basin__ood_set *sets; /* the inside one first */
    int count;
} basin__ood;

/** Tables to stdout, or one JSON object where that is wanted; and the histogram, where it is. */
basin_status basin__ood_print(const basin__ood *all);

#endif
