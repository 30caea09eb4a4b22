/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samplers advance a tile of chains. Chains are independent: the loop over
 * steps is inside the sampler, so a worker never leaves its tile, and a
 * sampler touches chains by the kernels' vector primitives alone.
 */
#ifndef BASIN_SAMPLER_SAMPLER_H
#define BASIN_SAMPLER_SAMPLER_H

#include "backend/cpu/kernels.h"
#include "base/option.h"
#include "energy/energy.h"
#include "rng/philox.h"

/**
 * The end of a run, kept for what differentiates it: the last `step_count` steps, at most all. With
 * these numbers a sampler's step() builds them again as graph.
 */
typedef struct basin__chain_tail {
    int64_t step_count; /* 0: nothing is kept */
    float *x;           /* [n, size], out: where chains stood before those steps */
    float *noise;       /* [n, step_count, size], out: the standard normals they drew */
} basin__chain_tail;

/**
 * What binds chains to noisier copies of what they draw: each starts at its anchor, stays at its
 * own noise level σ, and walks E(x, σ) + ‖x − anchor‖² / (2 std²).
 */
typedef struct basin__chain_anchors {
    const float *x;            /* [n, size]; NULL: chains are not bound */
    const float *noise_levels; /* [n] */
    const float *stds;         /* [n] */
} basin__chain_anchors;

/** Which stages of a run are run: first to end − 1; end 0: all. */
typedef struct basin__stages {
    int64_t first, end;
} basin__stages;

typedef struct basin__chain_tile basin__chain_tile;

/**
 * What chains walk beside the energy: at points x [n, size] of a level σ it adds its values to the
 * tile's energies and its gradient to the tile's.
 */
typedef struct basin__chain_term {
    void (*add)(const void *user, const basin__cpu_kernels *kernels, basin__chain_tile *tile,
                const float *x, double sigma);
    const void *user;
} basin__chain_term;

/** A tile of chains, [n, size] dense. */
struct basin__chain_tile {
    float *x;
    float *gradient;     /* [n, size] scratch; holds dE/dx at the last point evaluated */
    float *noise;        /* [n, size] scratch */
    float *scratch;      /* [scratch_count of the sampler, n, size] */
    float *noise_levels; /* [n] scratch: σ of the points evaluated, where the energy takes one */
    const float *labels; /* [n]; NULL: as the energy's condition says */
    const float *no_labels; /* [n] all "no class" */
    double *energies;       /* [n]; at the last point evaluated */
    double *spare_energies; /* [n] scratch */
    double *numbers;        /* [number_count of the sampler, n] scratch */
    int n;
    int64_t size;         /* elements of one chain */
    uint32_t first_chain; /* global index of chain 0: names its noise */
    uint64_t seed;
    uint64_t first_draw; /* draw index of step 0: update × steps + step, from the run's start */
    uint16_t attempt;    /* a roll-back is a new attempt */
    int worker;
    basin__stages stages;         /* of samplers that have stage_count() */
    basin__chain_tail tail;       /* of the tile's chains; of samplers that have step() */
    basin__chain_anchors anchors; /* of the tile's chains; of samplers that have anchored_steps() */
    const basin__chain_term *term; /* NULL: none; see basin__level_evaluate */
    double *gradient_norms;        /* [n]; the sampler adds each step's |dE/dx| */
    int64_t evaluations;           /* of the gradient, over all chains */
    int64_t proposed, accepted;    /* moves, over all chains, of samplers that may reject */
    bool is_diverged;              /* the sampler found a value that is not finite */
    bool is_unfinished; /* the sampler's bound on evaluations was reached before the end */
};

/** What a step is built in: dE/dx at a value of the graph comes from gradient(user, x). */
typedef struct basin__step_graph {
    basin_graph *graph;
    basin_value (*gradient)(void *user, basin_value x);
    void *user;
} basin__step_graph;

/** What a chain starts from. */
typedef struct basin__chain_start {
    bool is_normal; /* centre of the range + std · N(0, I); else uniform in the range */
    double std;
} basin__chain_start;

typedef struct basin__sampler_def {
    const char *name;
    const char *help;
    const basin__option *options;
    size_t option_count, options_bytes;
    bool needs_noise_level; /* of the energy; others walk at the level of its condition */
    int scratch_count, number_count;
    /** Check that options do not contradict each other; may resolve "auto". NULL: they
     * cannot. */
    basin_status (*check)(basin_context *context, void *options);
    /** Whether the values of others leave an option without effect. NULL: never. */
    bool (*ignores)(const void *options, const char *name);
    /** Advance the tile by the options' number of steps. */
    void (*run)(const void *options, const basin__cpu_kernels *kernels, basin_energy *energy,
                basin__chain_tile *tile);
    /**
     * One step of run() as graph, of any value x and its standard normals: where the chain goes.
     * NULL: steps cannot be differentiated.
     */
    basin_value (*step)(const void *options, const basin__step_graph *of, basin_value x,
                        basin_value noise);
    basin_temperature (*temperature)(const void *options);
    /** Evaluations of the gradient in one run, at most. */
    int64_t (*steps)(const void *options);
    /**
     * Stages that a run can be cut into, which then give the same samples: steps, or all that is
     * done at a noise level, and the end. Negative, or NULL: it cannot be cut.
     */
    int64_t (*stage_count)(const void *options);
    /** σ of the chains before stage i; 0: they are samples. Options begin with basin__levels.
     * NULL: all stages are at one level. */
    double (*stage_level)(const void *options, int64_t i);
    /**
     * The same as steps() of chains that are bound to anchors. NULL: the sampler binds none.
     * Options of one that does begin with basin__levels, of which anchors are drawn.
     */
    int64_t (*anchored_steps)(const void *options);
    /** NULL: uniform starts. */
    basin__chain_start (*start)(const void *options);
    /** Whether the options suit the energy, and a run with or without a class: BASIN_ERROR_CONFIG.
     * NULL: they suit all. */
    basin_status (*fit)(const void *options, const basin_energy *energy, bool has_class);
    /** Set the noise levels to those the energy was trained at, unless the user gave them. NULL:
     * the sampler has none. */
    void (*set_noise_levels)(basin__option_group *group, double low, double high);
} basin__sampler_def;

extern const basin__sampler_def *const basin__samplers[];
extern const int basin__sampler_count;
const basin__sampler_def *basin__sampler_find(const char *name);

/**
 * Set the box's ends (options box-low, box-high, where a sampler has them) to the range of the
 * data, unless the user gave them. Call before check().
 */
void basin__sampler_range(basin__option_group *group, double low, double high);
/** Set a number of the table, where there is one of that name, unless the user gave it. */
void basin__sampler_set_unless_given(basin__option_group *group, const char *name, double number);

/**
 * Whether the sampler can walk the energy, chains having a class or not; BASIN_ERROR_CONFIG if it
 * needs a noise level, or where its options do not suit the energy.
 */
basin_status basin__sampler_takes(const basin__sampler_def *sampler, const void *options,
                                  const basin_energy *energy, bool has_class);

/** The sampler's check(), which may resolve options; one that the user gave must stay as given. */
basin_status basin__sampler_check(basin_context *context, const basin__sampler_def *sampler,
                                  const basin__option_group *group);

/** Where the tile's stages end, of a run that has so many. */
static inline int64_t basin__stage_end(const basin__chain_tile *tile, int64_t count) {
    return tile->stages.end > 0 ? tile->stages.end : count;
}

/** out [n, size] = standard normals, the run's `index`-th for `purpose`. */
void basin__tile_normal(const basin__cpu_kernels *kernels, const basin__chain_tile *tile,
                        basin__purpose purpose, int64_t index, float *out);

typedef struct basin__chain_run {
    const basin__sampler_def *sampler;
    const void *options;
    basin_energy *energy;
    const float *labels; /* [n] a class for each chain; NULL: as the energy's condition says */
    uint64_t seed, first_draw;
    uint32_t first_chain;
    uint16_t attempt;
    basin__stages stages;         /* of samplers that have stage_count() */
    basin__chain_tail tail;       /* what is kept of the run; step_count 0: nothing */
    basin__chain_anchors anchors; /* of samplers that have anchored_steps(); x NULL: none */
    /* out */
    double gradient_norm;       /* mean over chains and steps, of a run of all stages */
    double acceptance;          /* share of the moves proposed; NaN: none is ever rejected */
    int64_t proposed, accepted; /* those moves, of all chains */
    double evaluations;         /* of the gradient: what a chain needed, in the mean */
} basin__chain_run;

/** Evaluations of the gradient in the run, at most. */
int64_t basin__chain_run_steps(const basin__chain_run *run);

/**
 * Run n chains x [n, size] in place over all workers, a tile at a time. BASIN_ERROR_DIVERGED: a
 * gradient became non-finite; x then holds what the chains had reached.
 */
basin_status basin__chains_run(basin__chain_run *run, int64_t n, float *x);

/**
 * The sampler that an energy was trained with (or `name`'s, where not NULL) and its options: those
 * of the training as noted in the model's metadata, else the defaults in the model's range. No
 * option counts as set. The caller frees: basin__options_reset(group), basin__free(group->values).
 */
basin_status basin__sampler_from_energy(const basin_energy *energy, const char *name,
                                        const basin__sampler_def **def, basin__option_group *group);

/** Start points x [n, size]: uniform in [low, high], a pure function of the other arguments. */
void basin__chains_start(basin_context *context, uint64_t seed, uint64_t draw, uint32_t first_chain,
                         uint16_t attempt, double low, double high, int64_t n, int64_t size,
                         float *x);
/** The same as the run's sampler wants it; images centre on the middle of [low, high]. */
void basin__chains_begin(const basin__chain_run *run, double low, double high, bool is_image,
                         int64_t n, float *x);

#endif
