/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel distance of two sets (Bińkowski et al., "Demystifying MMD GANs", 2018): the unbiased
 * estimate of the square maximum mean discrepancy (Gretton et al., 2012, eq. 3),
 *
 *     Σ_{i≠j} k(xᵢ, xⱼ) / (s (s − 1)) + Σ_{i≠j} k(yᵢ, yⱼ) / (s (s − 1)) − 2 Σ_{ij} k(xᵢ, yⱼ) / s²
 *
 * on random subsets of s vectors, with the kernel k(x, y) = (x·y / d + 1)³. Unlike Fréchet's it is
 * not biased by few examples.
 */
#include "eval/frechet.h"
#include "rng/philox.h"
#include <math.h>
#include <string.h>

typedef struct kernel_sum {
    int64_t dimension, count;
    bool is_same; /* both sets are one: pairs of a vector with itself are left out */
    double *row;  /* [s] */
} kernel_sum;

static void visit(void *user, int worker, const basin__products *row) {
    (void)worker;
    const kernel_sum *all = user;
    double sum = 0;
    for (int64_t j = 0; j < all->count; j++) {
        const double base = (double)row->dot[j] / (double)all->dimension + 1;
        sum += all->is_same && j == row->index ? 0 : base * base * base;
    }
    all->row[row->index] = sum;
}

/** Mean of the kernel over pairs. */
static basin_status mean_kernel(basin_context *context, const basin__features *a,
                                const basin__features *b, double *row, double *out) {
    const int64_t s = a->count;
    kernel_sum all = {a->dimension, s, a == b, row};
    BASIN_TRY(basin__products_run(context, a, b, visit, &all));
    *out = 0;
    for (int64_t i = 0; i < s; i++)
        *out += row[i];
    *out /= (double)s * (double)(all.is_same ? s - 1 : s);
    return BASIN_OK;
}

/** Copy `s` vectors drawn without replacement; `order` is scratch of as many numbers as vectors. */
static void draw(const basin__features *from, int64_t s, uint64_t seed, uint32_t subset,
                 uint32_t side, int64_t *order, float *to) {
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    const int64_t d = from->dimension;
    for (int64_t i = 0; i < from->count; i++)
        order[i] = i;
    for (int64_t i = 0; i < s; i++) {
        const uint32_t counter[4] = {(uint32_t)i, side, subset, BASIN__PURPOSE_EVALUATE};
        uint32_t words[4];
        basin__philox(key, counter, words);
        const uint64_t bound = (uint64_t)(from->count - i);
        const int64_t at = i + (int64_t)((words[0] * bound) >> 32), chosen = order[at];
        order[at] = order[i];
        order[i] = chosen;
        memcpy(to + i * d, from->x + chosen * d, (size_t)d * sizeof(float));
    }
}

typedef struct scratch {
    float *x, *y;
    int64_t *order;
    double *row;
} scratch;

static basin_status measure(basin_context *context, const basin__features *a,
                            const basin__features *b, uint64_t seed, const scratch *use,
                            basin__kernel_distance *out) {
    const int64_t s = out->subset;
    double square = 0;
    for (int i = 0; i < BASIN__KERNEL_SUBSETS; i++) {
        const basin__features x = {a->name, s, a->dimension, use->x};
        const basin__features y = {b->name, s, b->dimension, use->y};
        double inner = 0, outer = 0, between = 0;
        draw(a, s, seed, (uint32_t)i, 0, use->order, use->x);
        draw(b, s, seed, (uint32_t)i, 1, use->order, use->y);
        BASIN_TRY(mean_kernel(context, &x, &x, use->row, &inner));
        BASIN_TRY(mean_kernel(context, &y, &y, use->row, &outer));
        BASIN_TRY(mean_kernel(context, &x, &y, use->row, &between));
        const double off = inner + outer - 2 * between - out->value;
        out->value += off / (i + 1); /* Welford, 1962 */
        square += off * (inner + outer - 2 * between - out->value);
    }
    out->error = sqrt(square / (BASIN__KERNEL_SUBSETS - 1) / BASIN__KERNEL_SUBSETS);
    return BASIN_OK;
}

basin_status basin__kernel_distance_measure(basin_context *context, const basin__features *a,
                                            const basin__features *b, uint64_t seed,
                                            basin__kernel_distance *out) {
    BASIN_TRY(basin__features_check_both(context, "kernel distance", a, b, 4));
    const int64_t fewest = a->count < b->count ? a->count : b->count;
    const int64_t most = a->count < b->count ? b->count : a->count;
    const int64_t s = fewest / 2 < BASIN__KERNEL_SUBSET_MAX ? fewest / 2 : BASIN__KERNEL_SUBSET_MAX;
    const size_t bytes = (size_t)a->dimension * sizeof(float);
    scratch use = {.x = basin__alloc_array(context, (size_t)s, bytes),
                   .y = basin__alloc_array(context, (size_t)s, bytes),
                   .order = basin__alloc_array(context, (size_t)most, sizeof(int64_t)),
                   .row = basin__alloc_array(context, (size_t)s, sizeof(double))};
    *out = (basin__kernel_distance){.subset = s};
    basin_status status = use.x && use.y && use.order && use.row
                              ? measure(context, a, b, seed, &use, out)
                              : BASIN_ERROR_MEMORY;
    basin__free(context, use.row);
    basin__free(context, use.order);
    basin__free(context, use.y);
    basin__free(context, use.x);
    return status;
}
