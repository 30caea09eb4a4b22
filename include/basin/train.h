/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Training: from a data set to an energy.
 */
#ifndef BASIN_TRAIN_H
#define BASIN_TRAIN_H

#include <basin/data.h>
#include <basin/energy.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a run folder may hold before training starts. */
typedef enum basin_train_folder {
    BASIN_TRAIN_NEW,     /**< it must be empty or not there */
    BASIN_TRAIN_REPLACE, /**< what an earlier run left in it is removed */
    BASIN_TRAIN_RESUME   /**< it holds a run, which goes on from its latest checkpoint */
} basin_train_folder;

/** How a run stands; energies are means since the last report. */
typedef struct basin_train_progress {
    int64_t update, update_count;
    bool is_report; /**< an interval has just ended: the numbers below are new */
    double loss;
    double energy_data, energy_negative; /**< NaN where the objective has none */
    /** Of held-out examples, NaN where there are none, and of uniform noise; both NaN where data
       and negatives are at noise levels of their own, with which they could not be compared. */
    double energy_held_out, energy_noise;
    double accuracy_held_out;      /**< share of held-out examples put into their class, by the
                                        averaged parameters; NaN where the network gives no logits */
    double cross_entropy_held_out; /**< -log p(class | x), nats, likewise */
    double gradient_norm;          /**< of the parameters' gradient, before clipping */
    double updates_per_second, time_left_s;
    int roll_backs; /**< times the divergence guard has stepped in */
} basin_train_progress;

typedef struct basin_train_options {
    size_t size; /**< sizeof(basin_train_options), set by init */
    /**
     * A JSON object with the keys of a run's config.json (see `basin train --help`): what differs
     * from the default recipe. NULL: nothing.
     */
    const char *settings;
    const basin_data *data;     /**< borrowed; NULL: opened as the settings' "data" says */
    const basin_data *held_out; /**< borrowed; NULL: opened likewise, or none where data is given */
    const char *folder;         /**< run folder; NULL: nothing is written */
    basin_train_folder folder_use;
    /** Called after each update; false stops the run at this point. NULL: never stopped. */
    bool (*progress)(void *user, const basin_train_progress *progress);
    void *user;
} basin_train_options;

BASIN_API void basin_train_options_init(basin_train_options *options);

/**
 * Train an energy. One seed gives one result, bit for bit, for any number of threads, and a run
 * that was stopped and resumed ends with the files of one that was not.
 *
 * @param out  the trained energy with averaged parameters, the caller's to destroy; NULL on
 * failure. `out` may be NULL.
 * @return BASIN_OK;
 *         BASIN_ERROR_CONFIG     a setting is unknown, out of range or contradicts another
 *         BASIN_ERROR_SHAPE      the network does not take such examples
 *         BASIN_ERROR_DIVERGED   training ran away more often than roll-backs-max allows; the last
 *                                checkpoint is from before
 *         BASIN_ERROR_CANCELLED  progress returned false; a checkpoint of this point was written
 *         BASIN_ERROR_IO         a file could not be written; the last checkpoint is whole
 *         BASIN_ERROR_FORMAT, BASIN_ERROR_MEMORY
 */
BASIN_API BASIN_MUST_CHECK basin_status basin_train(basin_context *context,
                                                    const basin_train_options *options,
                                                    basin_energy **out);

#ifdef __cplusplus
}
#endif
#endif
