/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What basin score scores, from a data set or from stdin.
 */
#ifndef BASIN_CLI_SCORE_H
#define BASIN_CLI_SCORE_H

#include "detector.h"

typedef struct basin__score_options {
    basin__model_options model;
    basin__detector_choice detector;
    char *data, *score, *detector_path, *probabilities, *heat_map;
    int64_t heat_count, heat_side;
    basin__data_choice choice;
    bool flag, json;
} basin__score_options;

/** Of the scores so far (Welford, 1962). Non-finite ones are counted apart. */
typedef struct basin__score_summary {
    int64_t count, bad, flagged;
    double mean, square, low, high;
} basin__score_summary;

typedef struct basin__scoring {
    const basin__command *command;
    const basin__score_options *options;
    basin_energy *energy;
    basin__ensemble models;
    basin_detector *detector;
    bool is_stream, has_labels;
    int64_t unread; /* images of the stream that could not be read; each was told */
    basin__score_summary summary;
} basin__scoring;

/** What names an example: its place in a set, and its label there; or a path. */
typedef struct basin__score_row {
    int64_t index;
    int label;
    const char *path; /* NULL: of a set */
} basin__score_row;

/** Print a row and add it to the summary. */
void basin__score_row_print(basin__scoring *of, const basin__score_row *row, double score);

/** Score the PNGs whose paths come in on stdin, a line each, until it ends. */
basin_status basin__score_stream(basin__scoring *of);

#endif
