/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Precision and recall by the balls of k-th nearest neighbours (Kynkäänniemi et al., "Improved
 * Precision and Recall Metric for Assessing Generative Models", 2019, eq. 1) and, with the balls of
 * real examples alone, density and coverage (Naeem et al., "Reliable Fidelity and Diversity Metrics
 * for Generative Models", 2020, eqs. 3 and 4).
 *
 * One pass over all pairs serves all four. Where a distance in floats is too near to a radius to
 * say, it is computed again in double.
 */
#include "eval/prdc.h"
#include <math.h>

typedef struct balls {
    const basin__features *real, *samples;
    double *real_radius, *sample_radius; /* squared */
    int32_t *holders;                    /* [workers, samples] real balls that a sample lies in */
    bool *is_recalled, *is_covered;      /* [real] */
} balls;

/** Whether the distance of a pair is at most a radius; `rough` is the square one in floats. */
static bool is_within(const balls *all, const basin__products *row, int64_t j, double rough,
                      double radius_square) {
    const int64_t d = all->real->dimension;
    const double margin = row->margin + 1e-14 * (row->square + row->y_square[j]);
    if (rough < radius_square - margin)
        return true;
    if (rough > radius_square + margin)
        return false;
    return basin__distance_square(all->real->x + row->index * d, all->samples->x + j * d, d) <=
           radius_square;
}

static void visit(void *user, int worker, const basin__products *row) {
    const balls *all = user;
    const int64_t count = all->samples->count;
    int32_t *holders = all->holders + worker * count;
    const double radius = all->real_radius[row->index];
    bool is_recalled = false, is_covered = false;
    for (int64_t j = 0; j < count; j++) {
        const double rough = row->square + row->y_square[j] - 2 * (double)row->dot[j];
        if (is_within(all, row, j, rough, radius)) {
            holders[j]++;
            is_covered = true;
        }
        is_recalled = is_recalled || is_within(all, row, j, rough, all->sample_radius[j]);
    }
    all->is_recalled[row->index] = is_recalled;
    all->is_covered[row->index] = is_covered;
}

/** Distances to the k-th nearest of the set itself, squared as pairs' are: without a root between.
 */
static basin_status find_radii(basin_context *context, const basin__features *of, int k,
                               double *radius) {
    int64_t *index = basin__alloc_array(context, (size_t)of->count, (size_t)k * sizeof *index);
    basin_status status =
        index ? basin__nearest_find(context, of, of, k, true, index, NULL) : BASIN_ERROR_MEMORY;
    const int64_t d = of->dimension;
    for (int64_t i = 0; i < of->count && status == BASIN_OK; i++)
        radius[i] = basin__distance_square(of->x + i * d, of->x + index[i * k + k - 1] * d, d);
    basin__free(context, index);
    return status;
}

static void count_up(const balls *all, int workers, int k, basin__prdc *out) {
    const int64_t n = all->real->count, m = all->samples->count;
    int64_t recalled = 0, covered = 0, precise = 0, held = 0;
    for (int64_t i = 0; i < n; i++) {
        recalled += all->is_recalled[i];
        covered += all->is_covered[i];
    }
    for (int64_t j = 0; j < m; j++) {
        int64_t holders = 0;
        for (int w = 0; w < workers; w++)
            holders += all->holders[w * m + j];
        precise += holders > 0;
        held += holders;
    }
    out->precision = (double)precise / (double)m;
    out->recall = (double)recalled / (double)n;
    out->density = (double)held / ((double)k * (double)m);
    out->coverage = (double)covered / (double)n;
}

basin_status basin__prdc_measure(basin_context *context, const basin__features *real,
                                 const basin__features *samples, int k, basin__prdc *out) {
    BASIN_TRY(basin__features_check_both(context, "precision and recall", real, samples, k + 1));
    const int workers = basin_context_thread_count(context);
    const size_t n = (size_t)real->count, m = (size_t)samples->count;
    balls all = {.real = real, .samples = samples};
    all.real_radius = basin__alloc_array(context, n, sizeof(double));
    all.sample_radius = basin__alloc_array(context, m, sizeof(double));
    all.holders = basin__alloc_array(context, (size_t)workers * m, sizeof(int32_t));
    all.is_recalled = basin__alloc_array(context, n, sizeof(bool));
    all.is_covered = basin__alloc_array(context, n, sizeof(bool));
    basin_status status = BASIN_ERROR_MEMORY;
    if (all.real_radius && all.sample_radius && all.holders && all.is_recalled && all.is_covered)
        status = find_radii(context, real, k, all.real_radius);
    if (status == BASIN_OK)
        status = find_radii(context, samples, k, all.sample_radius);
    if (status == BASIN_OK)
        status = basin__products_run(context, real, samples, visit, &all);
    if (status == BASIN_OK)
        count_up(&all, workers, k, out);
    basin__free(context, all.is_covered);
    basin__free(context, all.is_recalled);
    basin__free(context, all.holders);
    basin__free(context, all.sample_radius);
    basin__free(context, all.real_radius);
    return status;
}
