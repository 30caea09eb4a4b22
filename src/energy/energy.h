/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An energy's inside: a network with its parameters, or a callback.
 *
 * Metadata, kept in the model file as text by these keys:
 *   format "basin", version "1", network, options (JSON object), shape "height,width,channels",
 *   sign "low-is-likely"                      written by save
 *   noise_level_low, noise_level_high (of networks that take one),
 *   temperature, temperature_exact "true"|"false", sampler, sampler_options (JSON object),
 *   range_low, range_high (of the values the network takes), data (the training set),
 *   data_noise_level (of noise on the data, whose density it is that was learnt; none: 0)
 *                                             noted by training
 * and any others, which are kept as they are.
 */
#ifndef BASIN_ENERGY_ENERGY_H
#define BASIN_ENERGY_ENERGY_H

#include "energy/network.h"
#include "plan/plan.h"
#include <basin/energy.h>

/** What an energy is evaluated at: n examples, dense, borrowed. */
typedef struct basin__points {
    const float *x; /* [n, height, width, channels] */
    /* [n] each, where the network takes them. NULL: for all, as basin__energy_set_condition says */
    const float *noise_level, *label;
} basin__points;

/**
 * An energy computed by a function of points, with noise levels [n] and labels [n] where the
 * condition has them (never NULL then). Called from several threads at once.
 */
typedef void basin__points_function(void *user, int64_t n, const basin__points *points,
                                    double *energies, float *gradient);

/** An energy of which another is made. In the other's graph its parameters have names of their own.
 */
typedef struct basin__energy_part {
    basin_energy *energy; /* owned */
    char prefix[16];      /* of those names, "1." */
} basin__energy_part;

struct basin_energy {
    basin_context *context;
    const basin__network_def *network; /* NULL: a callback */
    basin__option_group options;       /* of the network; values owned */
    basin_shape shape;                 /* of one example */
    basin__condition condition;        /* what it takes beside x */
    double noise_level;                /* where points give none */
    int label;                         /* likewise; class_count: no class */
    basin__parameters parameters;
    const basin__energy_part *parts; /* of a composition (src/compose/); owned by its options */
    int part_count;
    basin_energy_function *function;
    basin__points_function *points_function;
    void *user;
    json_t *metadata;   /* object of strings: kept in the model file; see basin__energy_note */
    basin_graph *graph; /* of the inputs "x", "noise_level", "label"; NULL: a callback */
    basin_value value, gradient;             /* E and dE/dx in the graph */
    basin_value logits, features;            /* BASIN_NO_VALUE: the network has none */
    basin__plan *value_plan, *gradient_plan; /* made on first use */
    basin__plan *output_plan;                /* of logits and features; made on first use */
    basin__plan *chain_plan;                 /* of halves; NULL: chains take gradient_plan */
    bool is_stale;                           /* parameters changed since the last prepare */
    int tile;                                /* 0 before ready */
    float *plan_energies;                    /* [workers, tile] */
    float *noise_levels, *labels;            /* [tile], all equal: where points give none */
    double *spare_energies;                  /* [workers, tile]: a callback's, where not wanted */
};

/**
 * Create from a definition and an option group already filled. On success the group's values (made
 * by basin__alloc) are taken over; on failure they stay the caller's. The
 * parameters have no room yet: basin__parameters_start gives it and fills it, or a file does.
 */
basin_status basin__energy_create(basin_context *context, const basin__network_def *network,
                                  basin__option_group options, basin_shape shape,
                                  basin_energy **out);

/** An energy from a callback that takes a condition. */
basin_status basin__energy_from_points_callback(basin_context *context, basin_shape shape,
                                                basin__condition condition,
                                                basin__points_function *function, void *user,
                                                basin_energy **out);

/** What a build of an energy is a function of; all but x may be BASIN_NO_VALUE. */
typedef struct basin__energy_inputs {
    basin_value x, noise_level, label;
} basin__energy_inputs;
/** What it gives: E, and of networks that have them logits [class_count] and a feature vector. */
typedef struct basin__energy_values {
    basin_value energy, logits, features;
} basin__energy_values;

/**
 * Build E(x) of the energy's network in `graph`, sharing the energy's parameters. A noise level or
 * label that the network takes and is not given is an error of the graph (a label: none is meant);
 * one that it does not take is not used.
 */
basin__energy_values basin__energy_build(basin_energy *energy, basin_graph *graph,
                                         const basin__energy_inputs *inputs);
/** The graph inputs "x", "noise_level", "label", those that the network takes. */
basin__energy_inputs basin__energy_graph_inputs(const basin_energy *energy, basin_graph *graph);

/**
 * The noise level and class of points that come without; class −1 is none. Before, a fresh energy
 * has the level 1, a loaded one the lowest that it was trained at, and no class.
 * BASIN_ERROR_ARGUMENT: there is no such class, or a level that the network takes is not above 0
 * and finite.
 */
basin_status basin__energy_set_condition(basin_energy *energy, double noise_level, int label);

/** Whether examples are images: points of D dimensions are 1 × 1 × D. */
BASIN_INLINE bool basin__energy_is_image(const basin_energy *energy) {
    return energy->shape.height > 1 || energy->shape.width > 1;
}

/** The standard deviation of data that a noise-conditional network is made for (its option
 * data-std); 1 where it has none. */
double basin__energy_data_std(const basin_energy *energy);

/** Bind all parameters and states of the energy to a plan. */
void basin__energy_bind(const basin_energy *energy, basin__plan *plan);

/** Say that parameters were written: plans are prepared anew before the next evaluation. */
void basin__energy_changed(basin_energy *energy);

/** Make the plans if needed and prepare them. Call before evaluate_tile from several workers. */
basin_status basin__energy_ready(basin_energy *energy);
/** The most examples of one evaluate_tile; after ready. */
int basin__energy_tile(const basin_energy *energy);
/** One tile in one worker's workspace: n ≤ tile. energies or gradient may be NULL. */
void basin__energy_evaluate_tile(basin_energy *energy, int worker, int n,
                                 const basin__points *points, double *energies, float *gradient);

/** The plan that chains run; after ready. NULL: a callback. */
basin__plan *basin__energy_chain_plan(const basin_energy *energy);
/** The same for a step of a chain: in the precision that the context asks for, never NULL. */
void basin__energy_step_tile(basin_energy *energy, int worker, int n, const basin__points *points,
                             double *energies, float *gradient);
/** basin_energy_evaluate for points with conditions of their own. */
basin_status basin__energy_evaluate_points(basin_energy *energy, int64_t n,
                                           const basin__points *points, double *energies,
                                           float *gradient);

/**
 * A network's logits [n, basin_energy_logit_count()] and features [n,
 * basin_energy_feature_count()], on all threads; either may be NULL. BASIN_ERROR_UNSUPPORTED: one
 * that the network has not is asked for.
 */
basin_status basin__energy_outputs(basin_energy *energy, int64_t n, const basin__points *points,
                                   float *logits, float *features);

/* An energy's own files: what its plans take, in a plan's order. */
#define BASIN__ENERGY_INPUTS_MAX 3
void basin__energy_give(const basin_energy *energy, const basin__plan *plan,
                        const basin__points *points, const void *inputs[BASIN__ENERGY_INPUTS_MAX]);

/** Metadata strings kept in the model file: "temperature", "range_low", "data", … */
basin_status basin__energy_note(basin_energy *energy, const char *key, const char *format, ...)
    BASIN_PRINTF(3, 4);
/** A metadata string, or NULL. */
const char *basin__energy_noted(const basin_energy *energy, const char *key);
/** A metadata number, or `otherwise`. */
double basin__energy_noted_number(const basin_energy *energy, const char *key, double otherwise);

/**
 * The model file that a path means: itself, or of a run folder the latest checkpoint's
 * average.safetensors, else model.safetensors. New text, the caller's to basin__free.
 */
basin_status basin__model_find(basin_context *context, const char *path, char **file);

/** Range of the values the network takes for images: as noted, else [0, 1]. */
typedef struct basin__range {
    float low, high;
} basin__range;
basin__range basin__energy_range(const basin_energy *energy);
bool basin__range_is_equal(basin__range a, basin__range b);
/** Whether it is [0, 1] or [-1, 1], by which images are told. */
bool basin__range_is_usual(basin__range range);
/** Range that a data set's values are of: of images its own if [0, 1] or [-1, 1], else the
 * energy's. */
basin__range basin__energy_range_of(const basin_energy *energy, const basin_data_info *info);
/** Map `count` values from one range to another, in place. */
void basin__range_apply(basin__range from, basin__range to, float *x, int64_t count);
/** Map `count` values of a data set that the energy takes to its range; points stay as they are. */
void basin__energy_adapt(const basin_energy *energy, const basin_data_info *info, float *x,
                         int64_t count);
/**
 * Whether a data set's examples have the energy's shape (else BASIN_ERROR_SHAPE) and, of images, a
 * range that can be told: [0, 1], [-1, 1] or its own, but for a tenth of it beyond (else
 * BASIN_ERROR_FORMAT).
 */
basin_status basin__energy_takes(const basin_energy *energy, const basin_data_info *info);

#endif
