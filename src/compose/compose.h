/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A composition: an expression, the models it names, and what they agree on.
 */
#ifndef BASIN_COMPOSE_COMPOSE_H
#define BASIN_COMPOSE_COMPOSE_H

#include "compose/functions.h"
#include "energy/energy.h"

typedef struct basin__composition {
    basin_context *context;
    basin__expression expression;
    basin__energy_part *parts; /* the models, each once; [part_count] */
    char **names;              /* of the models, borrowed from the expression */
    int part_count;
    basin_shape shape;
    bool has_range, has_levels; /* of the models: [low, high] of values and of noise levels */
    double range_low, range_high, level_low, level_high;
} basin__composition;

/** What a part of an expression is taken under, of the selections around it. */
typedef struct basin__selected {
    int label;          /* or BASIN__CLASS_FREE: the composition's own */
    double noise_level; /* NAN: likewise */
} basin__selected;

basin__selected basin__selected_inside(basin__selected outside, const basin__selection *selection);

/** The level that models take in a scope: selected, else the lowest; 0: they take none. */
double basin__selected_level(const basin__composition *of, basin__selected scope);

/**
 * Load the models, and check that they agree with each other, with `shape` (0: not said) and with
 * what is selected. BASIN_ERROR_SHAPE or BASIN_ERROR_CONFIG: names character and models.
 */
basin_status basin__composition_load(basin__composition *of, basin_shape shape);
void basin__composition_reset(basin__composition *of);

/** What the energy of a node takes: free noise levels and classes of the models in it. */
basin__condition basin__composition_condition(const basin__composition *of,
                                              const basin__expression_node *node,
                                              basin__selected scope);
/** Build E of a node in a graph. */
basin_value basin__composition_build(const basin__composition *of, basin_graph *graph,
                                     const basin__expression_node *node,
                                     const basin__energy_inputs *inputs);

/** An energy of one node, at the condition of a scope; the composition is borrowed and outlives it.
 */
basin_status basin__composition_energy(const basin__composition *of,
                                       const basin__expression_node *node, basin__selected scope,
                                       basin_energy **out);

/** The energy of the whole, which owns the composition (made by basin__alloc) from then on; on
 * failure it stays the caller's. */
basin_status basin__composition_take(basin__composition *of, basin_energy **out);

/** Where values lie: of images the models' range; of points a box that holds a node's functions,
 * too. */
void basin__composition_range(const basin__composition *of, const basin__expression_node *node,
                              double *low, double *high);
basin_status basin__composition_note_range(const basin__composition *of, basin_energy *energy);

/** Whether ∫ exp(−E) of a node is 1. */
bool basin__node_is_normalised(const basin__composition *of, const basin__expression_node *node,
                               basin__selected scope);
/** log ∫ exp(−E) of a node by annealed importance sampling, from a Gaussian that covers [low,
 * high]; BASIN_ERROR_DIVERGED where too few chains count. */
basin_status basin__composition_annealed(const basin__composition *of,
                                         const basin__expression_node *node, basin__selected scope,
                                         double low, double high, double *log_z);

/** Fill in what mixture and negate leave to be found: log Z, and where b ends. */
basin_status basin__composition_estimate(basin__composition *of);

#endif
