/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classifying a data set, a block of examples at a time.
 */
#include "eval/classify.h"
#include "eval/score.h"
#include <math.h>

basin_status basin__classify_data(basin_energy *energy, const basin_data *data, int64_t first,
                                  int64_t count, float *logits) {
    const basin_data_info *info = basin_data_describe(data);
    const basin__range range = basin__energy_range(energy);
    const int64_t size = basin_shape_count(energy->shape);
    const int classes = basin_energy_logit_count(energy);
    BASIN_TRY(basin__energy_takes(energy, info));
    const int64_t block = count < BASIN__SCORE_BLOCK ? count : BASIN__SCORE_BLOCK;
    float *x = basin__alloc_array(energy->context, (size_t)(block * size), sizeof(float));
    basin_status status = x ? BASIN_OK : BASIN_ERROR_MEMORY;
    for (int64_t done = 0; done < count && status == BASIN_OK; done += block) {
        int64_t n = count - done < block ? count - done : block;
        for (int64_t i = 0; i < n; i++)
            basin_data_get(data, first + done + i, x + i * size);
        basin__range_apply(range, info, x, n * size);
        status = basin_energy_logits(energy, n, x, logits + done * classes);
    }
    basin__free(energy->context, x);
    return status;
}

/** log Σ exp of a row. */
static double level_of(int classes, const float *row) {
    double largest = (double)row[0], sum = 0;
    for (int c = 1; c < classes; c++)
        largest = fmax(largest, (double)row[c]);
    for (int c = 0; c < classes; c++)
        sum += exp((double)row[c] - largest);
    return largest + log(sum);
}

void basin__probabilities(int64_t count, int classes, float *logits) {
    for (int64_t i = 0; i < count; i++, logits += classes) {
        double level = level_of(classes, logits);
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
    int best = 0;
    if (label < 0 || label >= classes)
        return;
    for (int c = 1; c < classes; c++)
        best = row[c] > row[best] ? c : best;
    sums->count++;
    sums->accuracy += best == label;
    sums->cross_entropy += level_of(classes, row) - (double)row[label];
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
