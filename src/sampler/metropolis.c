/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hamiltonian Monte Carlo on exp(−E(x)/T). With U = E/T and a fresh momentum p ~ N(0, I), L steps
 * of the leapfrog
 *
 *     p <- p − ½ ε ∇U(x),   x <- x + ε p,   p <- p − ½ ε ∇U(x)
 *
 * lead to (x', p'), accepted with probability min(1, exp(H(x, p) − H(x', p'))), H = U + ½‖p‖².
 * The leapfrog preserves volume and is its own inverse once p is turned, so exp(−U) is exactly
 * preserved, whatever ε is (Duane et al., 1987; Neal, 2011, section 5.3).
 *
 * For L = 1, x' = x − ½ ε² ∇U + ε p: Langevin's step of size ε²/(2T), with the acceptance of
 * Metropolis-adjusted Langevin (Roberts & Tweedie, 1996; Neal, 2011, section 5.5.2).
 */
#include "sampler/metropolis.h"
#include <math.h>
#include <string.h>

/* Of a Langevin step, which then goes farthest (Roberts & Rosenthal, 1998). */
#define BEST_ACCEPTANCE 0.574

/** Where the chains are while a move is tried. */
typedef struct kept {
    float *x, *gradient;        /* [n, size] */
    float *momentum;            /* [n, size] */
    double *energies, *kinetic; /* [n] */
} kept;

static kept kept_of(const basin__chain_tile *tile) {
    const int64_t count = tile->n * tile->size;
    return (kept){.x = tile->scratch,
                  .gradient = tile->scratch + count,
                  .momentum = tile->scratch + 2 * count,
                  .energies = tile->numbers,
                  .kinetic = tile->numbers + tile->n};
}

bool basin__metropolis_begin(const basin__metropolis *walk, const basin__cpu_kernels *kernels,
                             basin_energy *energy, basin__chain_tile *tile) {
    const kept at = kept_of(tile);
    if (!basin__level_gradient(walk->levels, kernels, energy, tile, tile->x, walk->sigma))
        return false;
    memcpy(at.gradient, tile->gradient, (size_t)(tile->n * tile->size) * sizeof(float));
    memcpy(at.energies, tile->energies, (size_t)tile->n * sizeof(double));
    for (int i = 0; i < tile->n; i++) /* or no move could be accepted any more */
        tile->is_diverged |= !(tile->energies[i] > -INFINITY);
    return !tile->is_diverged;
}

static double kinetic(const basin__cpu_kernels *kernels, const float *momentum, int64_t size) {
    return 0.5 * kernels->dot(momentum, momentum, size);
}

/** y += factor · ε · x, of all chains. */
static void push(const basin__metropolis *walk, const basin__cpu_kernels *kernels,
                 const basin__chain_tile *tile, float *y, double factor, const float *x) {
    if (walk->steps == NULL) {
        kernels->axpy(y, (float)(factor * walk->step), x, tile->n * tile->size);
        return;
    }
    for (int i = 0; i < tile->n; i++)
        kernels->axpy(y + i * tile->size, (float)(factor * walk->steps[i]), x + i * tile->size,
                      tile->size);
}

/** L leapfrog steps; the half steps of p between two of them are taken together. */
static void leapfrog(const basin__metropolis *walk, const basin__cpu_kernels *kernels,
                     basin_energy *energy, basin__chain_tile *tile, const kept *at) {
    const double kick = -1 / walk->temperature;
    push(walk, kernels, tile, at->momentum, 0.5 * kick, at->gradient);
    for (int64_t i = 1; i <= walk->leapfrog_steps; i++) {
        push(walk, kernels, tile, tile->x, 1, at->momentum);
        basin__level_evaluate(walk->levels, kernels, energy, tile, tile->x, walk->sigma);
        push(walk, kernels, tile, at->momentum, i < walk->leapfrog_steps ? kick : 0.5 * kick,
             tile->gradient);
    }
}

/** Uniform in (0, 1): the middle of one of 2^24 equal parts. */
static double uniform(const basin__cpu_kernels *kernels, const basin__chain_tile *tile, int chain,
                      int64_t index) {
    const basin__draw draw = {.seed = tile->seed,
                              .draw = tile->first_draw + (uint64_t)index,
                              .chain = tile->first_chain + (uint32_t)chain,
                              .purpose = (uint16_t)(BASIN__PURPOSE_ACCEPT | tile->attempt << 8)};
    float u;
    kernels->uniform(&u, 1, &draw);
    return (double)u + 0x1p-25;
}

void basin__metropolis_move(const basin__metropolis *walk, const basin__cpu_kernels *kernels,
                            basin_energy *energy, basin__chain_tile *tile, int64_t index) {
    const kept at = kept_of(tile);
    const int64_t size = tile->size;
    memcpy(at.x, tile->x, (size_t)(tile->n * size) * sizeof(float));
    basin__tile_normal(kernels, tile, BASIN__PURPOSE_MOMENTUM, index, at.momentum);
    for (int i = 0; i < tile->n; i++)
        at.kinetic[i] = kinetic(kernels, at.momentum + i * size, size);
    leapfrog(walk, kernels, energy, tile, &at);
    for (int i = 0; i < tile->n; i++) {
        const double rise = (tile->energies[i] - at.energies[i]) / walk->temperature +
                            kinetic(kernels, at.momentum + i * size, size) - at.kinetic[i];
        const float *gradient = tile->gradient + i * size;
        /* NaN compares false; an energy can be finite where its gradient is not */
        const bool is_accepted =
            log(uniform(kernels, tile, i, index)) < -rise && kernels->all_finite(gradient, size);
        tile->proposed++;
        tile->accepted += is_accepted;
        if (walk->steps != NULL)
            walk->steps[i] *= exp(walk->adaptation * (is_accepted - BEST_ACCEPTANCE));
        if (is_accepted) {
            memcpy(at.gradient + i * size, gradient, (size_t)size * sizeof(float));
            at.energies[i] = tile->energies[i];
        } else {
            memcpy(tile->x + i * size, at.x + i * size, (size_t)size * sizeof(float));
        }
    }
}

bool basin__metropolis_walk(const basin__metropolis *walk, const basin__cpu_kernels *kernels,
                            basin_energy *energy, basin__chain_tile *tile, int64_t first,
                            int64_t count) {
    if (count < 1)
        return true;
    if (!basin__metropolis_begin(walk, kernels, energy, tile))
        return false;
    for (int64_t i = first; i < first + count; i++)
        basin__metropolis_move(walk, kernels, energy, tile, i);
    return true;
}
