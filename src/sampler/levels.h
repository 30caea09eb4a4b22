/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What samplers share that walk down noise levels σ_0 > … > σ_{N−1} > σ_N = 0 of an energy
 * E(x, σ), with exp(−E(x, σ)) ∝ p_σ(x) the density of data + σ n: the schedule of levels, the score
 * with guidance, noise, and the end. See levels.c for the formulas.
 */
#ifndef BASIN_SAMPLER_LEVELS_H
#define BASIN_SAMPLER_LEVELS_H

#include "sampler/sampler.h"

/** basin__levels.schedule, in the order of the option's choices. */
enum {
    BASIN__SCHEDULE_KARRAS,
    BASIN__SCHEDULE_GEOMETRIC,
    BASIN__SCHEDULE_LINEAR,
    BASIN__SCHEDULE_COSINE
};

/** The first field, named `levels`, of these samplers' options. */
typedef struct basin__levels {
    int64_t schedule, count;
    double sigma_max, sigma_min, rho;
    double guidance;
    int64_t box;
    double box_low, box_high;
} basin__levels;

/**
 * Its rows of a sampler's option table, where AT(field) is the options' offsetof; the texts are the
 * defaults of schedule and number of levels.
 */
/* clang-format off */
#define BASIN__LEVEL_ROWS(schedule_text, levels_text)                                             \
    {"schedule", BASIN__OPTION_CHOICE, AT(levels.schedule), schedule_text, 0, 0,                  \
     "karras|geometric|linear|cosine", NULL,                                                      \
     "Noise levels between sigma-max and sigma-min: evenly apart in sigma^(1/rho), in log sigma, "\
     "or in the time of a variance-preserving process with linear rate or cosine signal"},        \
    {"levels", BASIN__OPTION_INT, AT(levels.count), levels_text, 1, 1e6, NULL, "levels",          \
     "Number of noise levels"},                                                                   \
    {"sigma-max", BASIN__OPTION_FLOAT, AT(levels.sigma_max), "80", 1e-6, 1e6, NULL, NULL,         \
     "Highest noise level; by default the highest that the model was trained at"},                \
    {"sigma-min", BASIN__OPTION_FLOAT, AT(levels.sigma_min), "0.002", 1e-6, 1e6, NULL, NULL,      \
     "Lowest noise level; by default the lowest that the model was trained at"},                  \
    {"rho", BASIN__OPTION_FLOAT, AT(levels.rho), "7", 1e-3, 1e3, NULL, NULL,                      \
     "Exponent of the schedule karras"},                                                          \
    {"guidance", BASIN__OPTION_FLOAT, AT(levels.guidance), "0", -1e3, 1e3, NULL, NULL,            \
     "Walk (1 + guidance) E(x | class) - guidance E(x)"},                                         \
    {"box", BASIN__OPTION_CHOICE, AT(levels.box), "none", 0, 0, "none|clamp", NULL,               \
     "Clamp the samples to [box-low, box-high] at the end"},                                      \
    {"box-low", BASIN__OPTION_FLOAT, AT(levels.box_low), "0", -1e6, 1e6, NULL, NULL,              \
     "Lower end of the box; by default the data's"},                                              \
    {"box-high", BASIN__OPTION_FLOAT, AT(levels.box_high), "1", -1e6, 1e6, NULL, NULL,            \
     "Upper end of the box; by default the data's"}
/* clang-format on */

/** Levels from high to low evenly in log σ; no guidance, no box. */
basin__levels basin__levels_geometric(int64_t count, double high, double low);

/** σ_i, i = 0 … count; σ_count = 0. */
double basin__level(const basin__levels *levels, int64_t i);

/** s of σ_{i−1}² = σ_i² + s², i = 1 … count − 1: the noise from a level to the one above. */
double basin__level_gap(const basin__levels *levels, int64_t i);

/* What goes into a definition as it is: `options` begins with basin__levels. */

/** check: ends of levels and box are in order. */
basin_status basin__levels_check(basin_context *context, void *options);
/** rho but of karras, and the ends of a box that is none. */
bool basin__levels_ignores(const void *options, const char *name);
/** start: N(centre, σ_0²). */
basin__chain_start basin__levels_start(const void *options);
/** temperature: T = 1; nominal under guidance, and where samples are clamped. */
basin_temperature basin__levels_temperature(const void *options);
/** stage_count: levels, the last of which is the end. */
int64_t basin__levels_stage_count(const void *options);
/** stage_level: stage i goes on from level i. */
double basin__levels_stage_level(const void *options, int64_t i);
/** set_noise_levels */
void basin__levels_set(basin__option_group *group, double low, double high);
/** fit: guidance is towards a class. */
basin_status basin__levels_fit(const void *options, const basin_energy *energy, bool has_class);

/**
 * Evaluate the energy at points x [n, size], at the level σ, or at a level for each chain,
 * tile->noise_levels, where σ is 0: tile->gradient = ∇ₓE = −score and tile->energies = E, both with
 * guidance, of which the second evaluation goes to tile->noise and tile->spare_energies. Without
 * `levels`, at the level of the energy's condition. The tile's term is added, where it has one.
 * Adds |∇E| to the tile's norms, where finite.
 */
void basin__level_evaluate(const basin__levels *levels, const basin__cpu_kernels *kernels,
                           basin_energy *energy, basin__chain_tile *tile, const float *x,
                           double sigma);
/** The same; false where a gradient is not finite, and the tile is then marked as diverged. */
bool basin__level_gradient(const basin__levels *levels, const basin__cpu_kernels *kernels,
                           basin_energy *energy, basin__chain_tile *tile, const float *x,
                           double sigma);
/** Tweedie's step to level 0: x <- D(x, σ) = x − σ² ∇E; then the box. False as above. */
bool basin__level_denoise(const basin__levels *levels, const basin__cpu_kernels *kernels,
                          basin_energy *energy, basin__chain_tile *tile, double sigma);
/** How often an evaluation at a level evaluates the energy: twice under guidance. */
int basin__level_cost(const basin__levels *levels);

/** The end of a walk: that step from the lowest level, unless its noise is kept; then the box. */
void basin__level_end(const basin__levels *levels, const basin__cpu_kernels *kernels,
                      basin_energy *energy, basin__chain_tile *tile, bool is_noisy);
/** Keep the samples in the box, if that is wanted. */
void basin__level_box(const basin__levels *levels, const basin__cpu_kernels *kernels,
                      basin__chain_tile *tile);

#endif
