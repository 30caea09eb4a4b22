/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All inner products of two sets, by the convolution kernel: a product of matrices is a convolution
 * of one tap, with the second set for its weights, packed once.
 *
 * Square distances are |x|² + |y|² − 2 x·y. With |fl(x·y) − x·y| ≤ γ |x| |y|, γ = d u / (1 − d u),
 * u = 2⁻²⁴ (Higham, "Accuracy and Stability of Numerical Algorithms", 2002, eq. 3.5, in any order
 * of summation, with or without fused multiply-adds) it is known how wrong they can be. What
 * depends on an order of two distances is settled by exact ones where they are nearer than that, so
 * that results are those of double precision at the speed of floats.
 */
#include "eval/distances.h"
#include "backend/cpu/kernels.h"
#include <assert.h>
#include <math.h>
#include <string.h>

#define ROW_GROUPS 2 /* of BASIN__CONV_ROWS, so that a block of columns is read half as often */
#define ROWS (ROW_GROUPS * BASIN__CONV_ROWS)
#define UNIT_ROUNDOFF 0x1p-24
/* Products of vectors shorter than this are finite floats. */
#define LENGTH_MAX 1e18
#define DIMENSION_MAX (1 << 22) /* row offsets are 32 bits */

/* ---- checks ---- */

static double square_of(const float *x, int64_t dimension) {
    double sum = 0;
    for (int64_t i = 0; i < dimension; i++)
        sum += (double)x[i] * (double)x[i];
    return sum;
}

basin_status basin__features_check(basin_context *context, const char *measure,
                                   const basin__features *features, int64_t count_min) {
    const int64_t d = features->dimension;
    if (features->count < count_min)
        return basin__fail(context, BASIN_ERROR_ARGUMENT,
                           "%s: %s has %lld examples, at least %lld are needed", measure,
                           features->name, (long long)features->count, (long long)count_min);
    if (d < 1 || d > DIMENSION_MAX)
        return basin__fail(context, BASIN_ERROR_ARGUMENT,
                           "%s: %s has %lld features, expected 1 to %d", measure, features->name,
                           (long long)d, DIMENSION_MAX);
    for (int64_t i = 0; i < features->count; i++) {
        const double square = square_of(features->x + i * d, d);
        if (!(square < LENGTH_MAX * LENGTH_MAX))
            return basin__fail(context, BASIN_ERROR_ARGUMENT,
                               "%s: the features of example %lld of %s are %s", measure,
                               (long long)i, features->name,
                               isfinite(square) ? "too large" : "not finite");
    }
    return BASIN_OK;
}

basin_status basin__features_check_both(basin_context *context, const char *measure,
                                        const basin__features *a, const basin__features *b,
                                        int64_t count_min) {
    if (a->dimension != b->dimension)
        return basin__fail(context, BASIN_ERROR_SHAPE, "%s: %s has %lld features and %s has %lld",
                           measure, a->name, (long long)a->dimension, b->name,
                           (long long)b->dimension);
    BASIN_TRY(basin__features_check(context, measure, a, count_min));
    return basin__features_check(context, measure, b, count_min);
}

double basin__distance_square(const float *x, const float *y, int64_t dimension) {
    double sum = 0;
    for (int64_t i = 0; i < dimension; i++) {
        const double off = (double)x[i] - (double)y[i];
        sum += off * off;
    }
    return sum;
}

/* ---- products ---- */

typedef struct run {
    const basin__cpu_kernels *kernels;
    const basin__features *a, *b;
    basin__products_visit *visit;
    void *user;
    float *packed;    /* b, as weights: blocks of BASIN__CONV_WIDTH columns, each of panels */
    double *b_square; /* [b] */
    double b_length;  /* of the longest */
    int64_t width;    /* columns, padded */
    float *dots;      /* [workers, ROWS, b] */
    float *block;     /* [workers, BASIN__CONV_ROWS, BASIN__CONV_WIDTH] */
} run;

static int smaller(int64_t a, int64_t b) { return (int)(a < b ? a : b); }

static void pack_task(void *user, int64_t index, int worker) {
    (void)worker;
    const run *all = user;
    const int64_t d = all->b->dimension, start = index * BASIN__CONV_WIDTH;
    const int width = smaller(BASIN__CONV_WIDTH, all->width - start);
    float *to = all->packed + start * d;
    for (int first = 0; first < width; first += all->kernels->panel) {
        const int panel = smaller(all->kernels->panel, width - first);
        const int count = smaller(panel, all->b->count - start - first); /* the rest stays zero */
        for (int j = 0; j < count; j++) {
            const float *from = all->b->x + (start + first + j) * d;
            for (int64_t k = 0; k < d; k++)
                to[k * panel + j] = from[k];
        }
        to += panel * d;
    }
    for (int64_t j = start; j < start + width && j < all->b->count; j++)
        all->b_square[j] = square_of(all->b->x + j * d, d);
}

/** Products of up to ROWS vectors of a, from `first` on, to dots [rows, b]. */
static void multiply(const run *all, int64_t first, int rows, float *block, float *dots) {
    static const int32_t tap = 0;
    const int64_t d = all->b->dimension, count = all->b->count;
    int32_t offset[BASIN__CONV_ROWS];
    for (int r = 0; r < BASIN__CONV_ROWS; r++)
        offset[r] = (int32_t)(r * d);
    for (int64_t start = 0; start < all->width; start += BASIN__CONV_WIDTH) {
        const int width = smaller(BASIN__CONV_WIDTH, all->width - start);
        const size_t bytes = (size_t)smaller(width, count - start) * sizeof(float);
        for (int row = 0; row < rows; row += BASIN__CONV_ROWS) {
            const basin__conv_block product = {.in = all->a->x + (first + row) * d,
                                               .row = offset,
                                               .rows = smaller(BASIN__CONV_ROWS, rows - row),
                                               .tap = &tap,
                                               .taps = 1,
                                               .run = (int)d,
                                               .weight = all->packed + start * d,
                                               .width = width,
                                               .out = block};
            all->kernels->conv(&product);
            for (int r = 0; r < product.rows; r++)
                memcpy(dots + (row + r) * count + start, block + r * width, bytes);
        }
    }
}

static void rows_task(void *user, int64_t index, int worker) {
    const run *all = user;
    const int64_t d = all->a->dimension, count = all->b->count, first = index * ROWS;
    const int rows = smaller(ROWS, all->a->count - first);
    float *dots = all->dots + worker * ROWS * count;
    multiply(all, first, rows, all->block + worker * BASIN__CONV_ROWS * BASIN__CONV_WIDTH, dots);
    for (int r = 0; r < rows; r++) {
        basin__products row = {.index = first + r,
                               .dot = dots + r * count,
                               .square = square_of(all->a->x + (first + r) * d, d),
                               .y_square = all->b_square};
        /* Twice γ |x| |y|, with room for the rounding of this line and of underflow. */
        row.margin = 2.02 * ((double)d + 2) * UNIT_ROUNDOFF * sqrt(row.square) * all->b_length +
                     (double)d * 0x1p-120;
        all->visit(all->user, worker, &row);
    }
}

basin_status basin__products_run(basin_context *context, const basin__features *a,
                                 const basin__features *b, basin__products_visit *visit,
                                 void *user) {
    BASIN_TRY(basin__features_check_both(context, "distances", a, b, 1));
    const int64_t unit = BASIN__CHANNEL_UNIT, workers = basin_context_thread_count(context);
    run all = {.kernels = basin__cpu_kernels_for(basin__context_isa(context)),
               .a = a,
               .b = b,
               .visit = visit,
               .user = user,
               .width = (b->count + unit - 1) / unit * unit};
    basin_status status = BASIN_ERROR_MEMORY;
    all.packed =
        basin__alloc_array(context, (size_t)all.width, (size_t)b->dimension * sizeof(float));
    all.b_square = basin__alloc_array(context, (size_t)b->count, sizeof(double));
    all.dots =
        basin__alloc_array(context, (size_t)(workers * ROWS), (size_t)b->count * sizeof(float));
    all.block = basin__alloc_array(
        context, (size_t)(workers * BASIN__CONV_ROWS * BASIN__CONV_WIDTH), sizeof(float));
    if (all.packed && all.b_square && all.dots && all.block) {
        basin__parallel(context, (all.width + BASIN__CONV_WIDTH - 1) / BASIN__CONV_WIDTH, pack_task,
                        &all);
        for (int64_t j = 0; j < b->count; j++)
            all.b_length = fmax(all.b_length, sqrt(all.b_square[j]));
        basin__parallel(context, (a->count + ROWS - 1) / ROWS, rows_task, &all);
        status = BASIN_OK;
    }
    basin__free(context, all.block);
    basin__free(context, all.dots);
    basin__free(context, all.b_square);
    basin__free(context, all.packed);
    return status;
}

/* ---- nearest neighbours ---- */

typedef struct search {
    const basin__features *a, *b;
    int k;
    bool is_same;
    int64_t *index;
    double *distance;
} search;

/** The k least of what is inserted, in order; of equal ones those that came first. */
typedef struct least {
    int k, count;
    double value[BASIN__NEAREST_MAX];
    int64_t index[BASIN__NEAREST_MAX];
} least;

static void insert(least *of, double value, int64_t index) {
    if (of->count == of->k && value >= of->value[of->k - 1])
        return;
    int at = of->count < of->k ? of->count++ : of->k - 1;
    for (; at > 0 && of->value[at - 1] > value; at--) {
        of->value[at] = of->value[at - 1];
        of->index[at] = of->index[at - 1];
    }
    of->value[at] = value;
    of->index[at] = index;
}

static void search_visit(void *user, int worker, const basin__products *row) {
    (void)worker;
    const search *find = user;
    const int64_t d = find->a->dimension, own = find->is_same ? row->index : -1;
    const float *x = find->a->x + row->index * d;
    least rough = {.k = find->k}, exact = {.k = find->k};
    for (int64_t j = 0; j < find->b->count; j++)
        if (j != own)
            insert(&rough, row->y_square[j] - 2 * (double)row->dot[j], j);
    /* The k nearest are among those within two margins of the k-th: one for each of two errors. */
    const double limit = rough.value[find->k - 1] + 2 * row->margin;
    const double slack = 1e-14 * (fabs(limit) + row->square); /* of the doubles above */
    for (int64_t j = 0; j < find->b->count; j++)
        if (j != own && row->y_square[j] - 2 * (double)row->dot[j] <= limit + slack)
            insert(&exact, basin__distance_square(x, find->b->x + j * d, d), j);
    for (int i = 0; i < find->k; i++) {
        if (find->index)
            find->index[row->index * find->k + i] = exact.index[i];
        if (find->distance)
            find->distance[row->index * find->k + i] = sqrt(exact.value[i]);
    }
}

basin_status basin__nearest_find(basin_context *context, const basin__features *a,
                                 const basin__features *b, int k, bool is_same, int64_t *index,
                                 double *distance) {
    assert(k >= 1 && k <= BASIN__NEAREST_MAX);
    BASIN_TRY(basin__features_check(context, "nearest neighbours", b, k + is_same));
    search find = {a, b, k, is_same, index, distance};
    return basin__products_run(context, a, b, search_visit, &find);
}
