/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probabilistic PCA (Tipping & Bishop 1999, eqs. 4, 7 and 8): the Gaussian with
 * covariance  sum_i (v_i - s) u_i u_i' + s I,  where u_i, v_i are the k leading
 * principal directions and variances of the data and s the mean of the other
 * variances. Its negative log density needs the k projections alone:
 *
 *     2 E(x) = D log 2pi + sum_i log v_i + (D - k) log s
 *            + sum_i y_i^2 / v_i + (|x - mean|^2 - sum_i y_i^2) / s,   y_i = u_i'(x - mean)
 *
 * Each row of the covariance is summed by one worker in the examples' order,
 * so the result does not depend on the number of threads.
 */
#include "eval/metrics.h"
#include <lapacke.h>
#include <math.h>
#include <string.h>

/* Variances are floored at this share of their mean: pixels that never change have none. */
#define VARIANCE_FLOOR 1e-6
/* Rows of the covariance a task sums, and examples loaded between two rounds of tasks. */
#define ROW_BLOCK 16
#define EXAMPLE_BLOCK 256
/* The covariance is dimension² doubles: 2 GiB at this limit. */
#define DIMENSION_MAX 16384
#define LOG_TWO_PI 1.8378770664093454836

struct basin__pca {
    basin_context *context;
    int64_t dimension, component_count;
    double *mean;      /* [dimension] */
    double *direction; /* [component_count, dimension], orthonormal rows */
    double *variance;  /* [component_count], floored */
    double residual;   /* variance along every other direction, floored */
    double log_norm;   /* D log 2pi + sum log v + (D - k) log s */
};

typedef struct fit {
    const basin_data *data;
    int64_t dimension, count;
    int64_t loaded;     /* examples now in `centred` */
    float *example;     /* [dimension] */
    double *centred;    /* [EXAMPLE_BLOCK, dimension], rows past `loaded` zero */
    double *covariance; /* [dimension, dimension], columns >= row */
    const double *mean;
} fit;

static void mean_sum(const fit *f, double *mean) {
    for (int64_t n = 0; n < f->count; n++) {
        basin_data_get(f->data, n, f->example);
        for (int64_t i = 0; i < f->dimension; i++)
            mean[i] += (double)f->example[i];
    }
    for (int64_t i = 0; i < f->dimension; i++)
        mean[i] /= (double)f->count;
}

static void load_block(fit *f, int64_t first) {
    int64_t d = f->dimension;
    f->loaded = f->count - first < EXAMPLE_BLOCK ? f->count - first : EXAMPLE_BLOCK;
    memset(f->centred, 0, (size_t)(EXAMPLE_BLOCK * d) * sizeof *f->centred);
    for (int64_t n = 0; n < f->loaded; n++) {
        basin_data_get(f->data, first + n, f->example);
        for (int64_t i = 0; i < d; i++)
            f->centred[n * d + i] = (double)f->example[i] - f->mean[i];
    }
}

/* Add the loaded examples' outer products to ROW_BLOCK rows, four examples at a time so that a row
   is read and written once for four multiply-adds. EXAMPLE_BLOCK is a multiple of four. */
static void covariance_task(void *user, int64_t index, int worker) {
    (void)worker;
    const fit *f = user;
    int64_t d = f->dimension;
    int64_t end = (index + 1) * ROW_BLOCK < d ? (index + 1) * ROW_BLOCK : d;
    for (int64_t n = 0; n < f->loaded; n += 4) {
        const double *a = f->centred + n * d, *b = a + d, *c = b + d, *e = c + d;
        for (int64_t i = index * ROW_BLOCK; i < end; i++) {
            double ai = a[i], bi = b[i], ci = c[i], ei = e[i];
            double *row = f->covariance + i * d;
            for (int64_t j = i; j < d; j++)
                row[j] += ai * a[j] + bi * b[j] + ci * c[j] + ei * e[j];
        }
    }
}

/* Maximum-likelihood covariance (divided by the count); its trace, the total variance. */
static double covariance_sum(basin_context *context, fit *f) {
    int64_t d = f->dimension;
    for (int64_t first = 0; first < f->count; first += EXAMPLE_BLOCK) {
        load_block(f, first);
        basin__parallel(context, (d + ROW_BLOCK - 1) / ROW_BLOCK, covariance_task, f);
    }
    double trace = 0.0;
    for (int64_t i = 0; i < d; i++) {
        for (int64_t j = i; j < d; j++)
            f->covariance[i * d + j] /= (double)f->count;
        trace += f->covariance[i * d + i];
    }
    return trace;
}

/* The `k` largest eigenvalues (ascending) and their vectors; overwrites the covariance. What is the
   upper triangle by rows is the lower one by columns. */
static basin_status leading_eigen(basin_context *context, fit *f, basin__pca *pca) {
    lapack_int d = (lapack_int)f->dimension, k = (lapack_int)pca->component_count;
    lapack_int found = 0, integer_size = 0;
    double work_size = 0.0;
    lapack_int info =
        LAPACKE_dsyevr_work(LAPACK_COL_MAJOR, 'V', 'I', 'L', d, NULL, d, 0.0, 0.0, d - k + 1, d,
                            0.0, &found, NULL, NULL, d, NULL, &work_size, -1, &integer_size, -1);
    if (info != 0)
        return basin__fail(context, BASIN_ERROR_UNSUPPORTED,
                           "PCA: LAPACK dsyevr refused its work-space query (info %d)", (int)info);
    lapack_int work_count = (lapack_int)work_size;
    double *work = basin__alloc_array(context, (size_t)work_count, sizeof *work);
    double *values = basin__alloc_array(context, (size_t)d, sizeof *values);
    lapack_int *integers = basin__alloc_array(context, (size_t)integer_size, sizeof *integers);
    lapack_int *support = basin__alloc_array(context, 2 * (size_t)d, sizeof *support);
    basin_status status = BASIN_ERROR_MEMORY;
    if (work && values && integers && support) {
        info = LAPACKE_dsyevr_work(LAPACK_COL_MAJOR, 'V', 'I', 'L', d, f->covariance, d, 0.0, 0.0,
                                   d - k + 1, d, 0.0, &found, values, pca->direction, d, support,
                                   work, work_count, integers, integer_size);
        status = BASIN_OK;
        if (info != 0 || found != k)
            status = basin__fail(context, BASIN_ERROR_DIVERGED,
                                 "PCA: LAPACK dsyevr found %d of %d components (info %d)",
                                 (int)found, (int)k, (int)info);
        memcpy(pca->variance, values, (size_t)k * sizeof *values);
    }
    basin__free(context, support);
    basin__free(context, integers);
    basin__free(context, values);
    basin__free(context, work);
    return status;
}

/* From eigenvalues and trace: floored variances, residual variance, normalisation. */
static void finish_density(basin__pca *pca, double trace) {
    double floor = VARIANCE_FLOOR * trace / (double)pca->dimension;
    double rest = trace;
    int64_t rest_count = pca->dimension - pca->component_count;
    pca->log_norm = (double)pca->dimension * LOG_TWO_PI;
    for (int64_t i = 0; i < pca->component_count; i++) {
        rest -= pca->variance[i];
        pca->variance[i] = fmax(pca->variance[i], floor);
        pca->log_norm += log(pca->variance[i]);
    }
    pca->residual = floor;
    if (rest_count > 0)
        pca->residual = fmax(rest / (double)rest_count, floor);
    pca->log_norm += (double)rest_count * log(pca->residual);
}

static basin_status fit_density(basin_context *context, fit *f, basin__pca *pca) {
    size_t d = (size_t)f->dimension;
    f->example = basin__alloc_array(context, d, sizeof *f->example);
    f->centred = basin__alloc_array(context, EXAMPLE_BLOCK * d, sizeof *f->centred);
    f->covariance = basin__alloc_array(context, d * d, sizeof *f->covariance);
    basin_status status = BASIN_ERROR_MEMORY;
    if (f->example && f->centred && f->covariance) {
        mean_sum(f, pca->mean);
        f->mean = pca->mean;
        double trace = covariance_sum(context, f);
        if (!isfinite(trace) || trace <= 0.0)
            status = basin__fail(context, BASIN_ERROR_ARGUMENT, "PCA: the examples of %s %s",
                                 basin_data_describe(f->data)->name,
                                 isfinite(trace) ? "are all the same" : "have non-finite values");
        else
            status = leading_eigen(context, f, pca);
        if (status == BASIN_OK)
            finish_density(pca, trace);
    }
    basin__free(context, f->covariance);
    basin__free(context, f->centred);
    basin__free(context, f->example);
    return status;
}

basin_status basin__pca_fit(basin_context *context, const basin_data *data, int64_t count_max,
                            int components, basin__pca **out) {
    *out = NULL;
    const basin_data_info *info = basin_data_describe(data);
    int64_t d = (int64_t)info->height * info->width * info->channels;
    int64_t count = count_max > 0 && count_max < info->count ? count_max : info->count;
    if (d > DIMENSION_MAX)
        return basin__fail(context, BASIN_ERROR_UNSUPPORTED,
                           "PCA: %s has %lld values an example, at most %d are supported",
                           info->name, (long long)d, DIMENSION_MAX);
    if (count < 2)
        return basin__fail(context, BASIN_ERROR_ARGUMENT,
                           "PCA: %s has %lld examples, at least 2 are needed", info->name,
                           (long long)count);
    if (components < 1 || components > d)
        return basin__fail(context, BASIN_ERROR_ARGUMENT,
                           "PCA: %d components, expected 1 to %lld (values an example of %s)",
                           components, (long long)d, info->name);

    basin__pca *pca = basin__alloc(context, sizeof *pca);
    if (!pca)
        return BASIN_ERROR_MEMORY;
    pca->context = context;
    pca->dimension = d;
    pca->component_count = components;
    pca->mean = basin__alloc_array(context, (size_t)d, sizeof *pca->mean);
    pca->variance = basin__alloc_array(context, (size_t)components, sizeof *pca->variance);
    pca->direction =
        basin__alloc_array(context, (size_t)components * (size_t)d, sizeof *pca->direction);
    basin_status status = BASIN_ERROR_MEMORY;
    if (pca->mean && pca->variance && pca->direction) {
        fit f = {.data = data, .dimension = d, .count = count};
        status = fit_density(context, &f, pca);
    }
    if (status != BASIN_OK) {
        basin__pca_destroy(pca);
        return status;
    }
    *out = pca;
    return BASIN_OK;
}

void basin__pca_destroy(basin__pca *pca) {
    if (!pca)
        return;
    basin__free(pca->context, pca->direction);
    basin__free(pca->context, pca->variance);
    basin__free(pca->context, pca->mean);
    basin__free(pca->context, pca);
}

double basin__pca_energy(const basin__pca *pca, const float *x, double *centred) {
    int64_t d = pca->dimension;
    double square = 0.0, weighted = 0.0;
    for (int64_t i = 0; i < d; i++) {
        centred[i] = (double)x[i] - pca->mean[i];
        square += centred[i] * centred[i];
    }
    for (int64_t k = 0; k < pca->component_count; k++) {
        const double *direction = pca->direction + k * d;
        double y = 0.0;
        for (int64_t i = 0; i < d; i++)
            y += direction[i] * centred[i];
        weighted += y * y / pca->variance[k];
        square -= y * y;
    }
    /* With all directions kept nothing is left but rounding. */
    if (pca->component_count < d)
        weighted += fmax(square, 0.0) / pca->residual;
    return 0.5 * (pca->log_norm + weighted);
}

int64_t basin__pca_dimension(const basin__pca *pca) { return pca->dimension; }
