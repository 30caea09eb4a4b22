/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions of energies, "0.8 * a.safetensors + gaussian(0, 1)": the tree that a text parses
 * into. See docs/guide/composition.md for the grammar and its meaning.
 */
#ifndef BASIN_COMPOSE_EXPRESSION_H
#define BASIN_COMPOSE_EXPRESSION_H

#include "base/context.h"

enum {
    BASIN__LIST_MAX = 16,     /* numbers of a list, operands of a function */
    BASIN__ARGUMENTS_MAX = 4, /* lists that a function takes */
    BASIN__CLASS_FREE = -2,   /* a class that is not selected, and one that is: no class */
    BASIN__CLASS_NONE = -1
};

/** What a function is given for one of its parameters: numbers, or a word in their place. */
typedef struct basin__argument {
    int count; /* 0: not given, or a word */
    double items[BASIN__LIST_MAX];
    char *word; /* owned; NULL: numbers */
    int at;     /* where in the text */
} basin__argument;

typedef enum basin__node_kind {
    BASIN__NODE_NUMBER,   /* within a tree's making alone */
    BASIN__NODE_MODEL,    /* a file or run folder, `name` */
    BASIN__NODE_FUNCTION, /* of operands and arguments */
    BASIN__NODE_SUM,      /* of two operands */
    BASIN__NODE_SCALE,    /* number × operand */
    BASIN__NODE_SELECT    /* an operand under a condition */
} basin__node_kind;

typedef struct basin__function basin__function;

/** What [class = 3, noise-level = 0.5, temperature = 2, guidance = 1] says; NAN: nothing. */
typedef struct basin__selection {
    int label; /* or BASIN__CLASS_FREE, BASIN__CLASS_NONE */
    double noise_level, temperature, guidance;
} basin__selection;

typedef struct basin__expression_node basin__expression_node;
struct basin__expression_node {
    basin__node_kind kind;
    int at;        /* where in the text it begins, and ends */
    int end;       /* excluded */
    double number; /* of NUMBER and SCALE */
    char *name;    /* of MODEL, owned */
    int part;      /* of MODEL: index among the models of the expression */
    const basin__function *function;
    basin__expression_node *operands[BASIN__LIST_MAX];
    int operand_count;
    basin__argument arguments[BASIN__ARGUMENTS_MAX];
    basin__selection selection;
    basin__expression_node *made_before; /* all nodes, for their release */
};

typedef struct basin__expression {
    basin_context *context;
    char *text;                   /* owned */
    basin__expression_node *root; /* an energy */
    basin__expression_node *made_last;
} basin__expression;

/**
 * Parse a text. BASIN_ERROR_CONFIG with a message that names the character (from 1) and what stands
 * there; `out` is reset then.
 */
basin_status basin__expression_parse(basin_context *context, const char *text,
                                     basin__expression *out);
void basin__expression_reset(basin__expression *expression);

/** Record "character 17, at ') - c': …" and return `status`; `at` counts bytes from 0. */
basin_status basin__expression_fail(const basin__expression *expression, basin_status status,
                                    int at, const char *format, ...) BASIN_PRINTF(4, 5);

#endif
