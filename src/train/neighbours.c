/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All distances are taken: |x − y|² = |x|² + |y|² − 2 ⟨x, y⟩, in double, of which the difference
 * loses nothing that decides between neighbours that differ as images do.
 */
#include "train/neighbours.h"
#include "train/random.h"
#include <math.h>
#include <string.h>

basin_status basin__neighbours_init(basin_context *context, basin__neighbours *all, int64_t wanted,
                                    int64_t batch, int64_t size) {
    const int64_t capacity = wanted > batch ? wanted : batch;
    *all = (basin__neighbours){
        .context = context, .capacity = capacity, .wanted = wanted, .size = size};
    all->x = basin__alloc_array(context, (size_t)capacity * (size_t)size, sizeof(float));
    all->square = basin__alloc_array(context, (size_t)capacity, sizeof(double));
    all->slots = basin__alloc_array(context, (size_t)capacity, sizeof(int32_t));
    if (all->x != NULL && all->square != NULL && all->slots != NULL)
        return BASIN_OK;
    basin__neighbours_reset(all);
    return BASIN_ERROR_MEMORY;
}

void basin__neighbours_reset(basin__neighbours *all) {
    if (all->context == NULL)
        return;
    basin__free(all->context, all->x);
    basin__free(all->context, all->square);
    basin__free(all->context, all->slots);
    *all = (basin__neighbours){0};
}

static const basin__cpu_kernels *kernels_of(const basin__neighbours *all) {
    return basin__cpu_kernels_for(basin__context_isa(all->context));
}

static void measure(basin__neighbours *all) {
    for (int64_t i = 0; i < all->count; i++) {
        const float *x = all->x + i * all->size;
        all->square[i] = kernels_of(all)->dot(x, x, all->size);
    }
}

void basin__neighbours_draw(basin__neighbours *all, const basin__buffer *buffer,
                            const basin__moment *moment) {
    const basin__draw draw = {.seed = moment->seed,
                              .draw = moment->update,
                              .purpose =
                                  (uint16_t)(BASIN__PURPOSE_NEIGHBOUR | moment->attempt << 8)};
    all->count = all->wanted;
    for (int64_t i = 0; i < all->count; i++) {
        all->slots[i] = (int32_t)basin__random_below(&draw, (uint32_t)i, buffer->count);
        basin__buffer_get(buffer, all->slots[i], all->x + i * all->size);
    }
    measure(all);
}

void basin__neighbours_take(basin__neighbours *all, int64_t n, const float *x) {
    all->count = n;
    memcpy(all->x, x, (size_t)n * (size_t)all->size * sizeof(float));
    for (int64_t i = 0; i < n; i++)
        all->slots[i] = (int32_t)i;
    measure(all);
}

typedef struct search {
    const basin__neighbours *all;
    const int32_t *own;
    const float *x;
    float *out;
} search;

/* Of one chain: |y|² − 2 ⟨x, y⟩ is least at its nearest. */
static void find_nearest(void *user, int64_t i, int worker) {
    const search *of = user;
    const basin__neighbours *all = of->all;
    const int64_t size = all->size, slot = of->own != NULL ? of->own[i] : i;
    const float *chain = of->x + i * size, *nearest = chain;
    double least = INFINITY;
    (void)worker;
    for (int64_t j = 0; j < all->count; j++) {
        const float *other = all->x + j * size;
        if (all->slots[j] == slot)
            continue;
        double distance = all->square[j] - 2 * kernels_of(all)->dot(chain, other, size);
        if (distance < least) {
            least = distance;
            nearest = other;
        }
    }
    memcpy(of->out + i * size, nearest, (size_t)size * sizeof(float));
}

void basin__neighbours_find(const basin__neighbours *all, int64_t n, const int32_t *own,
                            const float *x, float *out) {
    search of = {all, own, x, out};
    basin__parallel(all->context, n, find_nearest, &of);
}
