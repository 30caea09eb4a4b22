/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running many chains: they are cut into tiles, at most as large as the energy's plan takes and as
 * many as keep all workers busy to the end, and each worker carries whole tiles through all steps.
 * A chain's noise is named by its global index, and its energy does not depend on the chains beside
 * it, so neither tiles nor threads change a bit.
 */
#include "sampler/sampler.h"

/** How a tile ended. */
typedef struct outcome {
    bool is_diverged, is_unfinished;
    int64_t evaluations, proposed, accepted;
} outcome;

typedef struct chains {
    const basin__chain_run *run;
    const basin__cpu_kernels *kernels;
    float *x;
    int64_t n, size, tiles;
    int largest;               /* tile */
    float *gradients, *noises; /* [workers, largest, size] */
    float *scratch;            /* [workers, the sampler's count, largest, size] */
    float *levels;             /* [workers, largest] */
    float *no_labels;          /* [largest] */
    double *energies;          /* [workers, 2, largest] */
    double *numbers;           /* [workers, the sampler's count, largest] */
    double *norms;             /* [n] */
    outcome *outcomes;         /* [tiles] */
} chains;

static int64_t first_of(const chains *all, int64_t tile) { return tile * all->n / all->tiles; }

/** The tail of the chains from `first` on. */
static basin__chain_tail tail_from(const basin__chain_run *run, int64_t first, int64_t size) {
    basin__chain_tail tail = run->tail;
    if (tail.step_count > 0) {
        tail.x += first * size;
        tail.noise += first * tail.step_count * size;
    }
    return tail;
}

/** The anchors of the chains from `first` on. */
static basin__chain_anchors anchors_from(const basin__chain_run *run, int64_t first, int64_t size) {
    basin__chain_anchors anchors = run->anchors;
    if (anchors.x != NULL) {
        anchors.x += first * size;
        anchors.noise_levels += first;
        anchors.stds += first;
    }
    return anchors;
}

static void run_tile(void *user, int64_t index, int worker) {
    chains *all = user;
    const int64_t first = first_of(all, index), scratch = (int64_t)worker * all->largest;
    basin__chain_tile tile = {
        .x = all->x + first * all->size,
        .gradient = all->gradients + scratch * all->size,
        .noise = all->noises + scratch * all->size,
        .scratch = all->scratch + scratch * all->run->sampler->scratch_count * all->size,
        .noise_levels = all->levels + scratch,
        .labels = all->run->labels ? all->run->labels + first : NULL,
        .no_labels = all->no_labels,
        .energies = all->energies + 2 * scratch,
        .spare_energies = all->energies + 2 * scratch + all->largest,
        .numbers = all->numbers + scratch * all->run->sampler->number_count,
        .gradient_norms = all->norms + first,
        .n = (int)(first_of(all, index + 1) - first),
        .size = all->size,
        .first_chain = all->run->first_chain + (uint32_t)first,
        .seed = all->run->seed,
        .first_draw = all->run->first_draw,
        .attempt = all->run->attempt,
        .worker = worker,
        .stages = all->run->stages,
        .tail = tail_from(all->run, first, all->size),
        .anchors = anchors_from(all->run, first, all->size),
    };
    all->run->sampler->run(all->run->options, all->kernels, all->run->energy, &tile);
    all->outcomes[index] = (outcome){tile.is_diverged, tile.is_unfinished, tile.evaluations,
                                     tile.proposed, tile.accepted};
}

static void free_chains(basin_context *context, chains *all) {
    basin__free(context, all->gradients);
    basin__free(context, all->noises);
    basin__free(context, all->scratch);
    basin__free(context, all->levels);
    basin__free(context, all->no_labels);
    basin__free(context, all->energies);
    basin__free(context, all->numbers);
    basin__free(context, all->norms);
    basin__free(context, all->outcomes);
}

static basin_status alloc_chains(basin_context *context, chains *all) {
    size_t workers = (size_t)basin_context_thread_count(context);
    size_t rows = workers * (size_t)all->largest;
    all->gradients = basin__alloc_array(context, rows * (size_t)all->size, sizeof(float));
    all->noises = basin__alloc_array(context, rows * (size_t)all->size, sizeof(float));
    all->scratch = basin__alloc_array(
        context, rows * (size_t)all->size * (size_t)all->run->sampler->scratch_count + 1,
        sizeof(float));
    all->levels = basin__alloc_array(context, rows, sizeof(float));
    all->no_labels = basin__alloc_array(context, (size_t)all->largest, sizeof(float));
    all->energies = basin__alloc_array(context, 2 * rows, sizeof(double));
    all->numbers = basin__alloc_array(context, rows * (size_t)all->run->sampler->number_count + 1,
                                      sizeof(double));
    all->norms = basin__alloc_array(context, (size_t)all->n, sizeof(double));
    all->outcomes = basin__alloc_array(context, (size_t)all->tiles, sizeof(outcome));
    if (all->gradients == NULL || all->noises == NULL || all->scratch == NULL ||
        all->levels == NULL || all->no_labels == NULL || all->energies == NULL ||
        all->numbers == NULL || all->norms == NULL || all->outcomes == NULL)
        return BASIN_ERROR_MEMORY;
    for (int i = 0; i < all->largest; i++)
        all->no_labels[i] = (float)all->run->energy->condition.class_count;
    return BASIN_OK;
}

/** As few tiles as hold all chains, made a multiple of the workers where there are chains for it.
 */
static void cut(chains *all, int tile, int workers) {
    int64_t tiles = (all->n + tile - 1) / tile;
    tiles = (tiles + workers - 1) / workers * workers;
    all->tiles = tiles < all->n ? tiles : all->n;
    all->largest = (int)((all->n + all->tiles - 1) / all->tiles);
}

/** The first tile that did not come to its end names the error. */
static basin_status judge(basin_context *context, const chains *all) {
    for (int64_t i = 0; i < all->tiles; i++) {
        const long long first = first_of(all, i), last = first_of(all, i + 1) - 1;
        if (all->outcomes[i].is_diverged)
            return basin__fail(
                context, BASIN_ERROR_DIVERGED,
                "the energy or its gradient became non-finite in chains %lld to %lld; "
                "take a smaller step-size or clip the gradient",
                first, last);
        if (all->outcomes[i].is_unfinished)
            return basin__fail(context, BASIN_ERROR_DIVERGED,
                               "of chains %lld to %lld some need more evaluations than "
                               "evaluations-max; give more, or allow larger errors",
                               first, last);
    }
    return BASIN_OK;
}

static void count_up(basin__chain_run *run, const chains *all) {
    int64_t evaluations = 0, proposed = 0, accepted = 0;
    for (int64_t i = 0; i < all->tiles; i++) {
        evaluations += all->outcomes[i].evaluations;
        proposed += all->outcomes[i].proposed;
        accepted += all->outcomes[i].accepted;
    }
    run->evaluations = (double)evaluations / (double)all->n;
    run->proposed = proposed;
    run->accepted = accepted;
    if (proposed > 0)
        run->acceptance = (double)accepted / (double)proposed;
}

int64_t basin__chain_run_steps(const basin__chain_run *run) {
    return run->anchors.x != NULL ? run->sampler->anchored_steps(run->options)
                                  : run->sampler->steps(run->options);
}

basin_status basin__chains_run(basin__chain_run *run, int64_t n, float *x) {
    basin_context *context = run->energy->context;
    run->gradient_norm = 0;
    run->acceptance = (double)NAN;
    run->proposed = run->accepted = 0;
    run->evaluations = 0;
    if (n < 1)
        return BASIN_OK;
    BASIN_TRY(basin__energy_ready(run->energy));
    chains all = {.run = run,
                  .kernels = basin__cpu_kernels_for(basin__context_isa(context)),
                  .x = x,
                  .n = n,
                  .size = basin_shape_count(run->energy->shape)};
    cut(&all, basin__energy_tile(run->energy), basin_context_thread_count(context));
    basin_status status = alloc_chains(context, &all);
    if (status == BASIN_OK) {
        basin__parallel(context, all.tiles, run_tile, &all);
        double norm_sum = 0;
        for (int64_t i = 0; i < n; i++)
            norm_sum += all.norms[i];
        int64_t steps = basin__chain_run_steps(run);
        run->gradient_norm = steps > 0 ? norm_sum / ((double)steps * (double)n) : 0;
        count_up(run, &all);
        status = judge(context, &all);
    }
    free_chains(context, &all);
    return status;
}

void basin__tile_normal(const basin__cpu_kernels *kernels, const basin__chain_tile *tile,
                        basin__purpose purpose, int64_t index, float *out) {
    const basin__draw draw = {.seed = tile->seed,
                              .draw = tile->first_draw + (uint64_t)index,
                              .chain = tile->first_chain,
                              .purpose = (uint16_t)((int)purpose | tile->attempt << 8)};
    kernels->normal(out, tile->n, tile->size, &draw);
}
