/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser's inside: its state and what expression.c and arguments.c share.
 */
#ifndef BASIN_COMPOSE_PARSER_H
#define BASIN_COMPOSE_PARSER_H

#include "compose/functions.h"

/** Tokens are their first character, but for these. */
enum { BASIN__TOKEN_END = 0, BASIN__TOKEN_NUMBER = 1, BASIN__TOKEN_NAME, BASIN__TOKEN_QUOTED };

typedef struct basin__parser {
    basin__expression *expression;
    basin_status status; /* the first error */
    int token, at, length;
    int ended; /* where the token before ended */
    int depth, node_count;
} basin__parser;

/** Record the first error; NULL. */
basin__expression_node *basin__parser_fail(basin__parser *parser, int at, const char *format, ...)
    BASIN_PRINTF(3, 4);
void basin__parser_next(basin__parser *parser);
/** Go on if the token is this one. */
bool basin__parser_take(basin__parser *parser, int token);
/** The same; otherwise "expected WHAT". */
bool basin__parser_expect(basin__parser *parser, int token, const char *what);
/** The token, a name, as text without quotes: the caller's. NULL without memory. */
char *basin__parser_word(basin__parser *parser);
/** A new node, or NULL after an error. */
basin__expression_node *basin__parser_node(basin__parser *parser, basin__node_kind kind, int at);
/** An energy or a number, NULL after an error. */
basin__expression_node *basin__parser_sum(basin__parser *parser);
/** A number; false after an error. */
bool basin__parser_number(basin__parser *parser, double *number);
/** A function's call, at its "(". */
basin__expression_node *basin__parser_function(basin__parser *parser, const char *name, int at);

#endif
