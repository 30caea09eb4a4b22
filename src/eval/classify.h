/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A classifier on a data set: logits, probabilities, accuracy and cross-entropy.
 */
#ifndef BASIN_EVAL_CLASSIFY_H
#define BASIN_EVAL_CLASSIFY_H

#include "energy/energy.h"

/** Held-out examples that training's reports classify. */
#define BASIN__CLASSIFIED_MAX 2048

/** Logits [count, logit_count] of examples [first, first + count), mapped to the energy's range. */
basin_status basin__classify_data(basin_energy *energy, const basin_data *data, int64_t first,
                                  int64_t count, float *logits);
/** Logits to probabilities, in place, a row of `classes` an example. */
void basin__probabilities(int64_t count, int classes, float *logits);

/** Over the examples that have a label. */
typedef struct basin__classification {
    int64_t count;
    double accuracy;      /* share whose label has the largest probability */
    double cross_entropy; /* mean of −log p(label | x), nats */
} basin__classification;

/** Of the logits of examples [first, first + count); labels that are no class count as none. */
basin__classification basin__classification_of(const basin_data *data, int64_t first, int64_t count,
                                               int classes, const float *logits);
/** Whether the energy gives logits, and the data's labels are among their classes. */
bool basin__classification_applies(const basin_energy *energy, const basin_data *data);
/** Of the first `count_max` examples (0: all); NaN where none has a label. */
basin_status basin__classification_measure(basin_energy *energy, const basin_data *data,
                                           int64_t count_max, basin__classification *out);

#endif
