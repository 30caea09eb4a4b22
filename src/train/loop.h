/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop's parts, for the command line and for tests with a clock of their own.
 */
#ifndef BASIN_TRAIN_LOOP_H
#define BASIN_TRAIN_LOOP_H

#include "train/trainer.h"

/** basin_train() with a given clock; all fields of the options are set. */
basin_status basin__train_with(basin_context *context, const basin_train_options *options,
                               const basin__clock *clock, basin_energy **out);
/** A run's settings, a new reference: the caller's, over config.json where a run is resumed. */
basin_status basin__train_settings(basin_context *context, const basin_train_options *options,
                                   json_t **out);
/** Run until all updates are done. */
basin_status basin__train_loop(basin__trainer *trainer, const basin_train_options *options);

#endif
