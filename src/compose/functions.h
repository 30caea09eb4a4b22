/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of expressions: closed-form energies of x, and what is made of several energies.
 * One row of a table each, which gives parsing, checks, help and graph.
 */
#ifndef BASIN_COMPOSE_FUNCTIONS_H
#define BASIN_COMPOSE_FUNCTIONS_H

#include "compose/expression.h"
#include "graph/graph.h"

/** One of a function's parameters. */
typedef struct basin__parameter_row {
    const char *name;
    const char *fallback; /* a number; NULL: it must be given; "": may be left out */
    double low, high;     /* of each number, inclusive */
    int count_max;        /* numbers: 1, or as many as BASIN__LIST_MAX */
    const char *word; /* what may stand in place of numbers: "estimate", "a data set"; or NULL */
} basin__parameter_row;

/** Whether ∫ exp(−E) = 1: at all noise levels, without one, or not. */
typedef enum basin__normalised {
    BASIN__NORMALISED_NEVER,
    BASIN__NORMALISED_AT_ZERO,
    BASIN__NORMALISED_ALWAYS
} basin__normalised;

struct basin__function {
    const char *name;
    const char *usage; /* "gaussian(mean, std)" */
    const char *help;
    int operand_min, operand_max; /* energies; 0: of x alone */
    basin__parameter_row parameters[BASIN__ARGUMENTS_MAX];
    basin__normalised normalised;
    /** Of functions of x: whether it is defined on such examples; BASIN_ERROR_SHAPE, without
     * position. NULL: on all. */
    basin_status (*fit)(basin_context *context, const basin__argument *arguments,
                        basin_shape shape);
    /** Likewise: channels of the points that it speaks of, 0: any. NULL: any. */
    int (*dimension)(const basin__argument *arguments);
    /** Likewise: widen [low, high] to where exp(−E) lies, if it does in some place. NULL: it lies
     * everywhere. */
    void (*extent)(const basin__argument *arguments, double *low, double *high);
    int width; /* the parameter that is the least width of exp(−E) */
    /** E in a graph: of x and its noise level (or BASIN_NO_VALUE), or of operands. */
    basin_value (*build)(basin_graph *graph, const basin__argument *arguments, basin_value x,
                         basin_value noise_level, const basin_value *operands, int operand_count);
};

extern const basin__function basin__functions[];
extern const int basin__function_count;
const basin__function *basin__function_find(const char *name);
/** The name nearest to one that there is not, or NULL. */
const char *basin__function_near(const char *name);

/** The meaning of mixture's and negate's arguments. */
enum { BASIN__MIXTURE_WEIGHTS, BASIN__MIXTURE_LOG_Z };
enum { BASIN__NEGATE_WEIGHT, BASIN__NEGATE_AT };
extern const basin__function *const basin__function_mixture, *const basin__function_negate;

#endif
