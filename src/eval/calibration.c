/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far a classifier's probabilities are to be believed: the expected calibration error over 15
 * bins of equal width (Guo et al., "On Calibration of Modern Neural Networks", 2017), negative log
 * likelihood and the score of Brier (1950).
 *
 * And what a classifier says of examples that nobody labelled. Legibility is a statement about this
 * classifier: it is worth as much as its rate on real held-out examples, which belongs beside it.
 */
#include "eval/chart.h"
#include "eval/classify.h"
#include <math.h>
#include <string.h>

#define LEGIBLE_MIN 0.5   /* above */
#define CONFIDENT_MIN 0.9 /* at least */

/* ---- calibration ---- */

/** Bins are open below and closed above: (b / B, (b + 1) / B]. */
static int bin_of(double confidence) {
    int bin = (int)ceil(confidence * BASIN__CALIBRATION_BINS) - 1;
    return bin < 0 ? 0 : bin >= BASIN__CALIBRATION_BINS ? BASIN__CALIBRATION_BINS - 1 : bin;
}

/** Add one example to the sums. */
static void add(basin__calibration *sums, int classes, int label, const float *row) {
    const int best = basin__largest_of(classes, row);
    const double level = basin__level_of(classes, row);
    for (int c = 0; c < classes; c++) {
        double off = exp((double)row[c] - level) - (c == label ? 1.0 : 0.0);
        sums->brier += off * off;
    }
    const double confidence = exp((double)row[best] - level);
    basin__calibration_bin *bin = &sums->bins[bin_of(confidence)];
    bin->count++;
    bin->confidence += confidence;
    bin->accuracy += best == label;
    sums->count++;
    sums->accuracy += best == label;
    sums->nll += level - (double)row[label];
}

basin__calibration basin__calibration_of(int64_t count, int classes, const int *labels,
                                         const float *logits) {
    basin__calibration sums = {0};
    for (int64_t i = 0; i < count; i++)
        if (labels[i] >= 0 && labels[i] < classes)
            add(&sums, classes, labels[i], logits + i * classes);
    for (int b = 0; b < BASIN__CALIBRATION_BINS; b++) {
        basin__calibration_bin *bin = &sums.bins[b];
        if (bin->count == 0)
            continue;
        sums.ece += fabs(bin->accuracy - bin->confidence);
        bin->accuracy /= (double)bin->count;
        bin->confidence /= (double)bin->count;
    }
    sums.accuracy /= (double)sums.count; /* NaN: 0 of 0 */
    sums.nll /= (double)sums.count;
    sums.brier /= (double)sums.count;
    sums.ece /= (double)sums.count;
    return sums;
}

basin_status basin__calibration_chart(basin_context *context, const char *path,
                                      const basin__calibration *calibration) {
    static const double ends[] = {0, 1};
    double confidence[BASIN__CALIBRATION_BINS], accuracy[BASIN__CALIBRATION_BINS];
    int64_t count = 0;
    for (int b = 0; b < BASIN__CALIBRATION_BINS; b++) {
        if (calibration->bins[b].count == 0)
            continue;
        confidence[count] = calibration->bins[b].confidence;
        accuracy[count++] = calibration->bins[b].accuracy;
    }
    const basin__series series[] = {
        {.label = "classifier", .x = confidence, .y = accuracy, .count = count},
        {.label = "calibrated", .x = ends, .y = ends, .count = 2},
    };
    char title[80];
    snprintf(title, sizeof(title), "Reliability: ECE %.4f over %lld examples", calibration->ece,
             (long long)calibration->count);
    return basin__chart_lines(context, path, title, "confidence", "accuracy", series,
                              BASIN_COUNT(series));
}

/* ---- of examples without labels ---- */

/** Entropy of the shares over log K, and the class furthest below the reference. */
static void weigh(basin__legibility *out, int classes, const int64_t *predicted, int64_t total,
                  const double *reference) {
    double reference_sum = 0, entropy = 0;
    for (int c = 0; c < classes; c++)
        reference_sum += reference ? reference[c] : 1.0;
    out->smallest_share = HUGE_VAL;
    for (int c = 0; c < classes; c++) {
        const double share = (double)predicted[c] / (double)total;
        const double wanted = (reference ? reference[c] : 1.0) / reference_sum;
        if (share > 0)
            entropy -= share * log(share);
        if (wanted > 0 && share / wanted < out->smallest_share) {
            out->smallest_share = share / wanted;
            out->smallest_class = c;
        }
    }
    out->balance = classes > 1 ? entropy / log((double)classes) : 1.0;
}

basin_status basin__legibility_of(basin_context *context, int64_t count, int outputs, int classes,
                                  const float *probabilities, const double *reference,
                                  basin__legibility *out) {
    *out = (basin__legibility){
        .count = count, .balance = NAN, .smallest_share = NAN, .smallest_class = -1};
    if (count < 1 || classes < 1 || outputs < classes || outputs > classes + 1)
        return basin__fail(context, BASIN_ERROR_ARGUMENT,
                           "legibility of %lld examples, %d outputs, %d classes: expected an "
                           "example or more, and at most one output beside the classes",
                           (long long)count, outputs, classes);
    int64_t *predicted = basin__alloc_array(context, (size_t)classes, sizeof *predicted);
    if (!predicted)
        return BASIN_ERROR_MEMORY;
    int64_t total = 0;
    for (int64_t i = 0; i < count; i++) {
        const float *row = probabilities + i * outputs;
        const int best = basin__largest_of(outputs, row), proper = basin__largest_of(classes, row);
        out->legible += (double)row[proper] > LEGIBLE_MIN;
        out->confident += (double)row[proper] >= CONFIDENT_MIN;
        if (best < classes) {
            predicted[best]++;
            total++;
        }
    }
    out->legible /= (double)count;
    out->confident /= (double)count;
    if (total > 0)
        weigh(out, classes, predicted, total, reference);
    basin__free(context, predicted);
    return BASIN_OK;
}

basin__agreement basin__agreement_of(int64_t count, int outputs, int classes,
                                     const float *probabilities, const int *asked,
                                     basin__agreement *by_class) {
    basin__agreement all = {0};
    for (int c = 0; c < classes; c++)
        by_class[c] = all;
    for (int64_t i = 0; i < count; i++) {
        const float *row = probabilities + i * outputs;
        if (asked[i] < 0 || asked[i] >= classes)
            continue;
        basin__agreement *of = &by_class[asked[i]];
        of->count++;
        of->likeliest += basin__largest_of(outputs, row) == asked[i];
        of->legible += (double)row[asked[i]] > LEGIBLE_MIN;
    }
    for (int c = 0; c < classes; c++) {
        all.count += by_class[c].count;
        all.likeliest += by_class[c].likeliest;
        all.legible += by_class[c].legible;
    }
    return all;
}
