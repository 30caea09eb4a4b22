/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classifying a data set, a block of examples at a time.
 */
#include "eval/classify.h"
#include "eval/score.h"
#include <math.h>

static basin_status visit_logits(void *user, basin_energy *energy, int64_t done, int64_t n,
                                 const float *x) {
    return basin_energy_logits(energy, n, x,
                               (float *)user + done * basin_energy_logit_count(energy));
}

basin_status basin__classify_data(basin_energy *energy, const basin_data *data, int64_t first,
                                  int64_t count, float *logits) {
    return basin__score_blocks(energy, data, first, count, visit_logits, logits);
}

int basin__largest_of(int count, const float *row) {
    int best = 0;
    for (int c = 1; c < count; c++)
        best = row[c] > row[best] ? c : best;
    return best;
}

double basin__level_of(int count, const float *row) {
    double largest = (double)row[basin__largest_of(count, row)], sum = 0;
    for (int c = 0; c < count; c++)
        sum += exp((double)row[c] - largest);
    return largest + log(sum);
}

void basin__probabilities(int64_t count, int classes, float *logits) {
    for (int64_t i = 0; i < count; i++, logits += classes) {
        double level = basin__level_of(classes, logits);
        for (int c = 0; c < classes; c++)
            logits[c] = (float)exp((double)logits[c] - level);
    }
}

bool basin__classification_applies(const basin_energy *energy, const basin_data *data) {
    const int labels = basin_data_describe(data)->class_count;
    return labels > 0 && labels <= basin_energy_logit_count(energy);
}

/** Add one example. */
static void add(basin__classification *sums, int classes, int label, const float *row) {
    if (label < 0 || label >= classes)
        return;
    const int best = basin__largest_of(classes, row);
    sums->count++;
    sums->accuracy += best == label;
    sums->cross_entropy += basin__level_of(classes, row) - (double)row[label];
}

basin__classification basin__classification_of(const basin_data *data, int64_t first, int64_t count,
                                               int classes, const float *logits) {
    basin__classification sums = {0};
    for (int64_t i = 0; i < count; i++)
        add(&sums, classes, basin_data_label(data, first + i), logits + i * classes);
    sums.accuracy /= (double)sums.count; /* NaN: 0 of 0 */
    sums.cross_entropy /= (double)sums.count;
    return sums;
}

basin_status basin__classification_measure(basin_energy *energy, const basin_data *data,
                                           int64_t count_max, basin__classification *out) {
    const int classes = basin_energy_logit_count(energy);
    int64_t count = basin_data_describe(data)->count;
    count = count_max > 0 && count_max < count ? count_max : count;
    float *logits = basin__alloc_array(energy->context, (size_t)(count * classes), sizeof(float));
    if (!logits)
        return BASIN_ERROR_MEMORY;
    basin_status status = basin__classify_data(energy, data, 0, count, logits);
    if (status == BASIN_OK)
        *out = basin__classification_of(data, 0, count, classes, logits);
    basin__free(energy->context, logits);
    return status;
}
