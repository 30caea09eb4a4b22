/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running many chains: they are cut into tiles as large as the energy's plan takes, and each worker
 * carries whole tiles through all steps. A chain's noise is named by its global index, and its
 * energy does not depend on the chains beside it, so neither tiles nor threads change a bit.
 */
#include "sampler/sampler.h"

typedef struct chains {
    const basin__chain_run *run;
    const basin__cpu_kernels *kernels;
    float *x;
    int64_t n, size;
    int tile;
    /* for each worker, then for each tile */
    float *gradients, *noises;
    double *energies;
    double *norm_sums;
    bool *diverged;
} chains;

static void run_tile(void *user, int64_t index, int worker) {
    chains *all = user;
    int64_t first = index * all->tile;
    int64_t left = all->n - first;
    basin__chain_tile tile = {
        .x = all->x + first * all->size,
        .gradient = all->gradients + (int64_t)worker * all->tile * all->size,
        .noise = all->noises + worker * all->size,
        .energies = all->energies + (int64_t)worker * all->tile,
        .n = left < all->tile ? (int)left : all->tile,
        .size = all->size,
        .first_chain = all->run->first_chain + (uint32_t)first,
        .seed = all->run->seed,
        .first_draw = all->run->first_draw,
        .attempt = all->run->attempt,
        .worker = worker,
    };
    all->run->sampler->run(all->run->options, all->kernels, all->run->energy, &tile);
    all->norm_sums[index] = tile.gradient_norm_sum;
    all->diverged[index] = tile.is_diverged;
}

static void free_chains(basin_context *context, chains *all) {
    basin__free(context, all->gradients);
    basin__free(context, all->noises);
    basin__free(context, all->energies);
    basin__free(context, all->norm_sums);
    basin__free(context, all->diverged);
}

static basin_status alloc_chains(basin_context *context, chains *all, int64_t tiles) {
    size_t workers = (size_t)basin_context_thread_count(context);
    size_t rows = workers * (size_t)all->tile;
    all->gradients = basin__alloc_array(context, rows * (size_t)all->size, sizeof(float));
    all->noises = basin__alloc_array(context, workers * (size_t)all->size, sizeof(float));
    all->energies = basin__alloc_array(context, rows, sizeof(double));
    all->norm_sums = basin__alloc_array(context, (size_t)tiles, sizeof(double));
    all->diverged = basin__alloc_array(context, (size_t)tiles, sizeof(bool));
    if (all->gradients == NULL || all->noises == NULL || all->energies == NULL ||
        all->norm_sums == NULL || all->diverged == NULL)
        return BASIN_ERROR_MEMORY;
    return BASIN_OK;
}

basin_status basin__chains_run(basin__chain_run *run, int64_t n, float *x) {
    basin_context *context = run->energy->context;
    BASIN_TRY(basin__energy_ready(run->energy));
    chains all = {.run = run,
                  .kernels = basin__cpu_kernels_for(basin__context_isa(context)),
                  .x = x,
                  .n = n,
                  .size = basin_shape_count(run->energy->shape),
                  .tile = basin__energy_tile(run->energy)};
    int64_t tiles = (n + all.tile - 1) / all.tile;
    basin_status status = alloc_chains(context, &all, tiles);
    if (status == BASIN_OK) {
        basin__parallel(context, tiles, run_tile, &all);
        double norm_sum = 0;
        int64_t diverged = -1;
        for (int64_t i = 0; i < tiles; i++) {
            norm_sum += all.norm_sums[i];
            if (all.diverged[i] && diverged < 0)
                diverged = i;
        }
        int64_t steps = run->sampler->steps(run->options);
        run->gradient_norm = steps > 0 && n > 0 ? norm_sum / ((double)steps * (double)n) : 0;
        if (diverged >= 0)
            status = basin__fail(
                context, BASIN_ERROR_DIVERGED,
                "the energy's gradient became non-finite in chains %lld to %lld; "
                "take a smaller step-size or clip the gradient",
                (long long)(diverged * all.tile),
                (long long)((diverged + 1) * all.tile < n ? (diverged + 1) * all.tile - 1 : n - 1));
    }
    free_chains(context, &all);
    return status;
}
