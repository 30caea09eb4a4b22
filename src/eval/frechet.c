/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Fréchet distance of Gaussians fitted to two sets (Dowson & Landau, 1982; as a measure of
 * samples: Heusel et al., "GANs Trained by a Two Time-Scale Update Rule", 2017, eq. 6).
 *
 * With C₁ = U W Uᵀ the root's trace needs no root of a matrix: C₁^½ C₂ C₁^½ has the eigenvalues of
 *
 *     W^½ Uᵀ C₂ U W^½,
 *
 * which is symmetric, and the trace is the sum of their roots. Negative ones are rounding.
 *
 * Each row of a matrix is summed by one worker in a fixed order, so the result does not depend on
 * the number of threads.
 */
#include "eval/frechet.h"
#include <lapacke.h>
#include <math.h>
#include <string.h>

/* Rows of a matrix that a task sums, and examples between two rounds of tasks. */
#define ROW_BLOCK 16
#define EXAMPLE_BLOCK 256

typedef struct moments {
    const basin__features *of;
    int64_t first, loaded;
    double *mean;       /* [d] */
    double *centred;    /* [EXAMPLE_BLOCK, d], rows past `loaded` zero */
    double *covariance; /* [d, d] */
} moments;

static void mean_sum(const moments *m) {
    const int64_t d = m->of->dimension;
    for (int64_t n = 0; n < m->of->count; n++)
        for (int64_t i = 0; i < d; i++)
            m->mean[i] += (double)m->of->x[n * d + i];
    for (int64_t i = 0; i < d; i++)
        m->mean[i] /= (double)m->of->count;
}

static void load_block(moments *m, int64_t first) {
    const int64_t d = m->of->dimension, left = m->of->count - first;
    m->loaded = left < EXAMPLE_BLOCK ? left : EXAMPLE_BLOCK;
    memset(m->centred, 0, (size_t)(EXAMPLE_BLOCK * d) * sizeof *m->centred);
    for (int64_t n = 0; n < m->loaded; n++)
        for (int64_t i = 0; i < d; i++)
            m->centred[n * d + i] = (double)m->of->x[(first + n) * d + i] - m->mean[i];
}

/** Four examples at a time, so that a row is read and written once for four multiply-adds. */
static void covariance_task(void *user, int64_t index, int worker) {
    (void)worker;
    const moments *m = user;
    const int64_t d = m->of->dimension, last = (index + 1) * ROW_BLOCK, end = last < d ? last : d;
    for (int64_t n = 0; n < m->loaded; n += 4) {
        const double *a = m->centred + n * d, *b = a + d, *c = b + d, *e = c + d;
        for (int64_t i = index * ROW_BLOCK; i < end; i++) {
            const double ai = a[i], bi = b[i], ci = c[i], ei = e[i];
            double *row = m->covariance + i * d;
            for (int64_t j = i; j < d; j++)
                row[j] += ai * a[j] + bi * b[j] + ci * c[j] + ei * e[j];
        }
    }
}

/** Mean and covariance (divided by the count less one), both triangles. */
static void moments_sum(basin_context *context, moments *m) {
    const int64_t d = m->of->dimension;
    mean_sum(m);
    for (int64_t first = 0; first < m->of->count; first += EXAMPLE_BLOCK) {
        load_block(m, first);
        basin__parallel(context, (d + ROW_BLOCK - 1) / ROW_BLOCK, covariance_task, m);
    }
    for (int64_t i = 0; i < d; i++)
        for (int64_t j = i; j < d; j++) {
            m->covariance[i * d + j] /= (double)(m->of->count - 1);
            m->covariance[j * d + i] = m->covariance[i * d + j];
        }
}

static basin_status moments_init(basin_context *context, moments *m, const basin__features *of) {
    const size_t d = (size_t)of->dimension;
    *m = (moments){.of = of};
    m->mean = basin__alloc_array(context, d, sizeof(double));
    m->centred = basin__alloc_array(context, EXAMPLE_BLOCK * d, sizeof(double));
    m->covariance = basin__alloc_array(context, d * d, sizeof(double));
    if (!m->mean || !m->centred || !m->covariance)
        return BASIN_ERROR_MEMORY;
    moments_sum(context, m);
    return BASIN_OK;
}

static void moments_reset(basin_context *context, moments *m) {
    basin__free(context, m->covariance);
    basin__free(context, m->centred);
    basin__free(context, m->mean);
}

/* ---- eigenvalues ---- */

/** Eigenvalues of a symmetric matrix [d, d], ascending; with `vectors`, its rows become those. */
static basin_status eigen(basin_context *context, int64_t dimension, bool vectors, double *matrix,
                          double *values) {
    const lapack_int d = (lapack_int)dimension;
    const char job = vectors ? 'V' : 'N';
    double work_size = 0;
    lapack_int integer_size = 0;
    lapack_int info = LAPACKE_dsyevd_work(LAPACK_COL_MAJOR, job, 'L', d, NULL, d, NULL, &work_size,
                                          -1, &integer_size, -1);
    double *work = info == 0 ? basin__alloc_array(context, (size_t)work_size, sizeof *work) : NULL;
    lapack_int *integers =
        info == 0 ? basin__alloc_array(context, (size_t)integer_size, sizeof *integers) : NULL;
    const bool has_memory = work && integers;
    if (has_memory)
        info = LAPACKE_dsyevd_work(LAPACK_COL_MAJOR, job, 'L', d, matrix, d, values, work,
                                   (lapack_int)work_size, integers, integer_size);
    basin__free(context, integers);
    basin__free(context, work);
    if (info != 0)
        return basin__fail(context, BASIN_ERROR_DIVERGED,
                           "Fréchet distance: LAPACK dsyevd found no eigenvalues (info %d)",
                           (int)info);
    return has_memory ? BASIN_OK : BASIN_ERROR_MEMORY;
}

typedef struct product {
    int64_t d;
    const double *a, *b;
    double *out;
} product;

/** ROW_BLOCK rows of a · b, so that b is read once for them all. */
static void product_task(void *user, int64_t index, int worker) {
    (void)worker;
    const product *p = user;
    const int64_t d = p->d, last = (index + 1) * ROW_BLOCK, end = last < d ? last : d;
    for (int64_t k = 0; k < d; k++) {
        const double *row = p->b + k * d;
        for (int64_t i = index * ROW_BLOCK; i < end; i++) {
            const double factor = p->a[i * d + k];
            double *out = p->out + i * d;
            for (int64_t j = 0; j < d; j++)
                out[j] += factor * row[j];
        }
    }
}

/** tr (C₁^½ C₂ C₁^½)^½; the covariances are overwritten. */
static basin_status root_trace(basin_context *context, int64_t d, double *first, double *second,
                               double *trace) {
    const size_t bytes = (size_t)(d * d) * sizeof(double);
    double *values = basin__alloc_array(context, (size_t)d, sizeof *values);
    double *half = basin__alloc(context, bytes);
    double *turned = basin__alloc(context, bytes);
    basin_status status = values && half && turned ? BASIN_OK : BASIN_ERROR_MEMORY;
    if (status == BASIN_OK)
        status = eigen(context, d, true, first, values);
    if (status == BASIN_OK) {
        for (int64_t i = 0; i < d; i++) /* rows of first: W^½ Uᵀ */
            for (int64_t j = 0; j < d; j++)
                first[i * d + j] *= sqrt(fmax(values[i], 0));
        product p = {d, first, second, half};
        basin__parallel(context, (d + ROW_BLOCK - 1) / ROW_BLOCK, product_task, &p);
        for (int64_t i = 0; i < d; i++) /* second: U W^½ */
            for (int64_t j = 0; j < d; j++)
                second[j * d + i] = first[i * d + j];
        p = (product){d, half, second, turned};
        basin__parallel(context, (d + ROW_BLOCK - 1) / ROW_BLOCK, product_task, &p);
        status = eigen(context, d, false, turned, values);
    }
    *trace = 0;
    for (int64_t i = 0; i < d && status == BASIN_OK; i++)
        *trace += sqrt(fmax(values[i], 0));
    basin__free(context, turned);
    basin__free(context, half);
    basin__free(context, values);
    return status;
}

basin_status basin__frechet_distance(basin_context *context, const basin__features *a,
                                     const basin__features *b, double *out) {
    const int64_t d = a->dimension;
    BASIN_TRY(basin__features_check_both(context, "Fréchet distance", a, b, 2));
    if (d > BASIN__FRECHET_DIMENSION_MAX)
        return basin__fail(context, BASIN_ERROR_UNSUPPORTED,
                           "Fréchet distance: %lld features, at most %d are supported",
                           (long long)d, BASIN__FRECHET_DIMENSION_MAX);
    moments first = {0}, second = {0};
    double sum = 0, trace = 0;
    basin_status status = moments_init(context, &first, a);
    if (status == BASIN_OK)
        status = moments_init(context, &second, b);
    if (status == BASIN_OK) {
        for (int64_t i = 0; i < d; i++) {
            const double off = first.mean[i] - second.mean[i];
            sum += off * off + first.covariance[i * d + i] + second.covariance[i * d + i];
        }
        status = root_trace(context, d, first.covariance, second.covariance, &trace);
    }
    moments_reset(context, &second);
    moments_reset(context, &first);
    *out = fmax(sum - 2 * trace, 0);
    return status;
}
