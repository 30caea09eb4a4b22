/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Methods: how the posterior of y = A x + σ n is met. A method is one file that defines
 * basin__method_<name>, and a line in methods.def. It walks chains as a sampler does, whose
 * `options` are the restoration: chain c restores image c / draws.
 */
#ifndef BASIN_RESTORE_RESTORATION_H
#define BASIN_RESTORE_RESTORATION_H

#include "restore/degradation.h"
#include "sampler/metropolis.h"

#define BASIN__RESTORATION_SCRATCH 3

/** What is restored, and how; constant while chains walk. */
typedef struct basin__restoration {
    const basin_degradation *degradation;
    const void *options; /* of the method */
    const float *y;      /* [n, size of y] */
    int64_t draws;       /* chains of an image */
    double noise_std, temperature;
    double centre, span; /* of the energy's range */
    double *work;        /* [workers, BASIN__SOLVE_WORK, size of x] */
    float *scratch;      /* [workers, BASIN__RESTORATION_SCRATCH, size of x], y is no larger */
} basin__restoration;

typedef struct basin__method_def {
    const char *name, *help;
    const basin__option *options;
    size_t option_count, options_bytes;
    bool draws;             /* samples; else one answer an image */
    bool takes_temperature; /* reads E/T; else E as it was trained */
    /** Whether it suits energy, task and σ; may resolve options that say "auto". */
    basin_status (*fit)(const basin__restoration *of, const basin_energy *energy, void *options);
    /** Whether task or values of others leave an option without effect; `user` is the restoration.
     * NULL: never. */
    bool (*ignores)(const void *user, const char *name);
    basin__sampler_def walk; /* run, steps, scratch_count, number_count */
} basin__method_def;

extern const basin__method_def *const basin__methods[];
extern const int basin__method_count;
const basin__method_def *basin__method_find(const char *name);

/** What is seen of the image that chain `chain` of a tile restores. */
const float *basin__restoration_seen(const basin__restoration *of, const basin__chain_tile *tile,
                                     int chain);

/**
 * x [size] <- argmin over x' of ‖y − A x'‖² / (2 noise_std²) + ‖x' − x‖² / (2 ρ²), for any y of the
 * size of what is seen.
 */
void basin__restoration_pull(const basin__restoration *of, const basin__cpu_kernels *kernels,
                             int worker, const float *y, double noise_std, double rho, float *x);

/**
 * All chains: x <- z ~ q(y | z) N(z; x, ρ²) as a density of z, with the run's `index`-th numbers of
 * the purposes MOMENTUM and OBJECTIVE, where q is such that ∫ q(y | z) N(z; x, ρ²) dz comes as near
 * to p(y | x) as it can: see restoration.c.
 */
void basin__restoration_draw(const basin__restoration *of, const basin__cpu_kernels *kernels,
                             basin__chain_tile *tile, double rho, int64_t index);

/** All chains start: the same from x = the range's centre, with ρ = std. */
void basin__restoration_start(const basin__restoration *of, const basin__cpu_kernels *kernels,
                              basin__chain_tile *tile, double std, int64_t index);

/**
 * ‖y − A x‖² / (2 noise_std²) of a chain of the tile at x [size]; `factor` times its gradient is
 * added to `gradient`.
 */
double basin__restoration_misfit(const basin__restoration *of, const basin__cpu_kernels *kernels,
                                 const basin__chain_tile *tile, int chain, const float *x,
                                 double noise_std, double factor, float *gradient);

/** The levels that an energy was trained at; 0 and ∞ where it does not say. */
typedef struct basin__trained_levels {
    double low, high;
} basin__trained_levels;
basin__trained_levels basin__restoration_levels(const basin_energy *energy);
/**
 * Levels that a method walks down, `count` of them: ends that are 0 become the given ones, within
 * what the energy was trained at; one level is the lowest, and energies that take none have one of
 * no meaning. BASIN_ERROR_CONFIG where the user's are not in order, or not among those trained at.
 */
basin_status basin__restoration_fit_levels(const basin_energy *energy, int64_t *count, double *high,
                                           double *low, double high_otherwise,
                                           double low_otherwise);
/** The lowest level that walks go down to. */
double basin__restoration_lowest(const basin__restoration *of, const basin_energy *energy);
/**
 * All chains: from x at the first of the levels, of the energy alone, to a draw at level 0, with
 * the run's numbers of the purpose LANGEVIN from `first` on. False where a gradient is not finite.
 */
bool basin__restoration_walk_down(const basin__levels *levels, const basin__cpu_kernels *kernels,
                                  basin_energy *energy, basin__chain_tile *tile, int64_t first);
/** BASIN_ERROR_CONFIG where a method needs a level and the energy takes none. */
basin_status basin__restoration_needs_levels(const basin_energy *energy, const char *method);
/** BASIN_ERROR_CONFIG where σ is not among the levels that the energy was trained at. */
basin_status basin__restoration_at_noise(const basin__restoration *of, const basin_energy *energy);

#endif
