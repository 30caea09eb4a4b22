/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An energy's inside: a network with its parameters, or a callback.
 *
 * Metadata, kept in the model file as text by these keys:
 *   format "basin", version "1", network, options (JSON object), shape "height,width,channels",
 *   sign "low-is-likely"                      written by save
 *   temperature, temperature_exact "true"|"false", sampler, sampler_options (JSON object),
 *   range_low, range_high (of the values the network takes), data (the training set)
 *                                             noted by training
 * and any others, which are kept as they are.
 */
#ifndef BASIN_ENERGY_ENERGY_H
#define BASIN_ENERGY_ENERGY_H

#include "energy/network.h"
#include "plan/plan.h"
#include <basin/energy.h>

struct basin_energy {
    basin_context *context;
    const basin__network_def *network; /* NULL: a callback */
    basin__option_group options;       /* of the network; values owned */
    basin_shape shape;                 /* of one example */
    basin__parameters parameters;
    basin_energy_function *function;
    void *user;
    json_t *metadata;   /* object of strings: kept in the model file; see basin__energy_note */
    basin_graph *graph; /* of input "x"; NULL: a callback */
    basin_value value, gradient;             /* E and dE/dx in the graph */
    basin__plan *value_plan, *gradient_plan; /* made on first use */
    basin__plan *chain_plan;                 /* of halves; NULL: chains take gradient_plan */
    bool is_stale;                           /* parameters changed since the last prepare */
    int tile;                                /* 0 before ready */
    float *plan_energies;                    /* [workers, tile] */
    double *spare_energies;                  /* [workers, tile]: a callback's, where not wanted */
};

/**
 * Create from a definition and an option group already filled. On success the group's values (made
 * by basin__alloc) are taken over; on failure they stay the caller's.
 */
basin_status basin__energy_create(basin_context *context, const basin__network_def *network,
                                  basin__option_group options, basin_shape shape, uint64_t seed,
                                  basin_energy **out);

/** Build E(x) of the energy's network in `graph`, sharing the energy's parameters. */
basin_value basin__energy_build(basin_energy *energy, basin_graph *graph, basin_value x);

/** Bind all parameters and states of the energy to a plan. */
void basin__energy_bind(const basin_energy *energy, basin__plan *plan);

/** Say that parameters were written: plans are prepared anew before the next evaluation. */
void basin__energy_changed(basin_energy *energy);

/** Make the plans if needed and prepare them. Call before evaluate_tile from several workers. */
basin_status basin__energy_ready(basin_energy *energy);
/** The most examples of one evaluate_tile; after ready. */
int basin__energy_tile(const basin_energy *energy);
/** One tile in one worker's workspace: n ≤ tile. energies or gradient may be NULL. */
void basin__energy_evaluate_tile(basin_energy *energy, int worker, int n, const float *x,
                                 double *energies, float *gradient);

/** The plan that chains run; after ready. NULL: a callback. */
basin__plan *basin__energy_chain_plan(const basin_energy *energy);
/** The same for a step of a chain: in the precision that the context asks for, never NULL. */
void basin__energy_step_tile(basin_energy *energy, int worker, int n, const float *x,
                             double *energies, float *gradient);

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
/** Map `count` values of a data set to the range, in place; points are left as they are. */
void basin__range_apply(basin__range range, const basin_data_info *info, float *x, int64_t count);
/** Whether a data set's examples have the energy's shape; BASIN_ERROR_SHAPE names both if not. */
basin_status basin__energy_takes(const basin_energy *energy, const basin_data_info *info);

#endif
