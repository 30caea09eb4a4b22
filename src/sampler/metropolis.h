/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hamiltonian Monte Carlo, of which Metropolis-adjusted Langevin is the case of one leapfrog step:
 * see metropolis.c. Each chain accepts or rejects for itself.
 */
#ifndef BASIN_SAMPLER_METROPOLIS_H
#define BASIN_SAMPLER_METROPOLIS_H

#include "sampler/levels.h"

/** What a sampler that calls these declares. */
enum { BASIN__METROPOLIS_SCRATCH = 3, BASIN__METROPOLIS_NUMBERS = 2 };

typedef struct basin__metropolis {
    double step;                 /* ε of the leapfrog */
    double *steps;               /* [n] an ε for each chain instead; NULL: one for all */
    double adaptation;           /* of those: ln ε rises by adaptation · (accepted − 0.574) */
    double temperature;          /* of exp(−E/T) */
    int64_t leapfrog_steps;      /* evaluations of a move */
    const basin__levels *levels; /* NULL: at the level of the energy's condition */
    double sigma;                /* the level, where there are levels */
} basin__metropolis;

/**
 * Evaluate the energy where the chains are, before the first move and wherever x or the energy
 * became another. False: a gradient is not finite, or an energy NaN or -infinity, and the tile is
 * marked as diverged.
 */
bool basin__metropolis_begin(const basin__metropolis *walk, const basin__cpu_kernels *kernels,
                             basin_energy *energy, basin__chain_tile *tile);
/**
 * One move of all chains, the run's `index`-th: of purposes MOMENTUM and ACCEPT it draws that
 * number. A move that leads to a non-finite energy is rejected.
 */
void basin__metropolis_move(const basin__metropolis *walk, const basin__cpu_kernels *kernels,
                            basin_energy *energy, basin__chain_tile *tile, int64_t index);

/**
 * Begin, and make the run's moves `first` to first + count − 1; nothing where count is 0. False: as
 * begin says.
 */
bool basin__metropolis_walk(const basin__metropolis *walk, const basin__cpu_kernels *kernels,
                            basin_energy *energy, basin__chain_tile *tile, int64_t first,
                            int64_t count);

#endif
