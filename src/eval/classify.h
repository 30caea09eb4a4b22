/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A classifier on a data set: logits, probabilities, accuracy and cross-entropy, calibration; and
 * what it says of examples that have no labels.
 */
#ifndef BASIN_EVAL_CLASSIFY_H
#define BASIN_EVAL_CLASSIFY_H

#include "energy/energy.h"

/** Held-out examples that training's reports classify. */
#define BASIN__CLASSIFIED_MAX 2048

/** Logits [count, logit_count] of examples [first, first + count), mapped to the energy's range. */
basin_status basin__classify_data(basin_energy *energy, const basin_data *data, int64_t first,
                                  int64_t count, float *logits);
/** Index of the largest of a row, the first of equal ones; log Σ exp of a row. */
int basin__largest_of(int count, const float *row);
double basin__level_of(int count, const float *row);
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

/* ---- of examples without labels ---- */

/** What a classifier says of a set of examples, samples of a model for instance. */
typedef struct basin__legibility {
    int64_t count;
    double legible;   /* share of which one class has a probability above 0.5 */
    double confident; /* share of which one class has at least 0.9 */
    /* Of the examples' likeliest classes, those left out of which "none" is likeliest: */
    double balance; /* −Σ s log s / log K of the shares s: 1, all equal; 0, a single one */
    /* The least of share / share in the reference, over the classes that the reference has: 1 where
       it is matched, 0 where a class is missing; and that class. */
    double smallest_share;
    int smallest_class;
} basin__legibility;

/**
 * Of probabilities [count, outputs], of which the first `classes` are classes and the last one,
 * where there is one more, is "none of these". reference [classes]: weights of any sum; NULL: all
 * equal. Balance and smallest share are NaN where no example has a class.
 */
basin_status basin__legibility_of(basin_context *context, int64_t count, int outputs, int classes,
                                  const float *probabilities, const double *reference,
                                  basin__legibility *out);

/** Of examples that a class was asked for. */
typedef struct basin__agreement {
    int64_t count;
    int64_t likeliest; /* of which the asked class is the likeliest output */
    int64_t legible;   /* of which it has a probability above 0.5 */
} basin__agreement;

/**
 * Of probabilities [count, outputs] and asked [count], each of the classes [0, classes): by_class
 * [classes], and the sum of all. Examples asked for none of these classes count nowhere.
 */
basin__agreement basin__agreement_of(int64_t count, int outputs, int classes,
                                     const float *probabilities, const int *asked,
                                     basin__agreement *by_class);

/* ---- calibration ---- */

#define BASIN__CALIBRATION_BINS 15

typedef struct basin__calibration_bin {
    int64_t count;
    double confidence, accuracy; /* means; 0 of an empty bin */
} basin__calibration_bin;

/** How far a classifier's probabilities are to be believed, over the examples with a label. */
typedef struct basin__calibration {
    int64_t count;
    double accuracy;
    double nll;   /* mean of −log p(label | x), nats */
    double brier; /* mean of Σ_c (p(c | x) − [c is the label])², 0 to 2 */
    double ece;   /* Σ_b count_b / count · |accuracy_b − confidence_b| */
    basin__calibration_bin bins[BASIN__CALIBRATION_BINS]; /* by the largest probability, (0, 1] */
} basin__calibration;

/** Of logits [count, classes]; labels that are no class count as none. All NaN without any. */
basin__calibration basin__calibration_of(int64_t count, int classes, const int *labels,
                                         const float *logits);
/** Reliability diagram: each bin's accuracy over its confidence, beside the diagonal, as a PNG. */
basin_status basin__calibration_chart(basin_context *context, const char *path,
                                      const basin__calibration *calibration);

#endif
