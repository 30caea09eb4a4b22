/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What objectives of labelled examples share.
 */
#ifndef BASIN_OBJECTIVE_LABELS_H
#define BASIN_OBJECTIVE_LABELS_H

#include "objective/objective.h"

/** A row of an objective's table: the probability of basin__loss_label. */
#define BASIN__CLASS_DROPOUT_ROW(at, fallback)                                                     \
    {                                                                                              \
        "class-dropout", BASIN__OPTION_FLOAT, at, fallback, 0, 1, NULL, NULL,                      \
            "Share of examples whose class is hidden from a network that takes one, for guidance"  \
    }

/**
 * The example's class; for a share `dropout` of examples, drawn anew each time, "none".
 * BASIN_NO_VALUE where the network takes no class.
 */
basin_value basin__loss_label(basin__loss *loss, double dropout);

/**
 * The classes of data and of chains; BASIN_NO_VALUE where the loss is not conditional. A share
 * `dropout` of the data's is hidden, as of the chains' where they begin.
 */
void basin__loss_chain_labels(basin__loss *loss, bool is_conditional, double dropout,
                              basin_value *data, basin_value *negative);

#endif
