/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a function is called with:
 *
 *     arguments = [operand {"," operand}] {";" section}
 *     section   = [name ["="]] value {"," value}
 *     value     = a number, "[" number {"," number} "]", or a word
 *
 * The operands of a function of energies are energies; those of a function of x are values of its
 * parameters in order. A section gives one parameter by name, or the next ones in order.
 */
#include "base/number.h"
#include "compose/parser.h"
#include <string.h>

typedef struct call {
    basin__parser *parser;
    basin__expression_node *node;
    int next; /* parameter that a value without a name is for */
} call;

static const basin__parameter_row *row_of(const call *at, int index) {
    return &at->node->function->parameters[index];
}

static int parameter_count(const basin__function *function) {
    int count = 0;
    while (count < BASIN__ARGUMENTS_MAX && function->parameters[count].name)
        count++;
    return count;
}

/** The parameter that the token names, or −1. */
static int find_parameter(const call *at) {
    const basin__parser *parser = at->parser;
    for (int i = 0; i < parameter_count(at->node->function); i++)
        if (parser->token == BASIN__TOKEN_NAME &&
            (int)strlen(row_of(at, i)->name) == parser->length &&
            strncmp(row_of(at, i)->name, parser->expression->text + parser->at,
                    (size_t)parser->length) == 0)
            return i;
    return -1;
}

static void add_number(call *at, int index) {
    basin__parser *parser = at->parser;
    basin__argument *argument = &at->node->arguments[index];
    const basin__parameter_row *row = row_of(at, index);
    const int begin = parser->at;
    double number = 0;
    if (!basin__parser_number(parser, &number))
        return;
    if (number < row->low || number > row->high)
        basin__parser_fail(parser, begin, "%s is %g; expected %g to %g", row->name, number,
                           row->low, row->high);
    else if (argument->word)
        basin__parser_fail(parser, begin, "%s is a word already", row->name);
    else if (argument->count >= row->count_max)
        basin__parser_fail(parser, begin, "%s takes at most %d number%s", row->name, row->count_max,
                           row->count_max > 1 ? "s" : "");
    else
        argument->items[argument->count++] = number;
}

static void add_value(call *at, int index) {
    basin__parser *parser = at->parser;
    basin__argument *argument = &at->node->arguments[index];
    argument->at = argument->count == 0 ? parser->at : argument->at;
    if (parser->token == BASIN__TOKEN_NAME || parser->token == BASIN__TOKEN_QUOTED) {
        if (!row_of(at, index)->word || argument->count > 0 || argument->word) {
            basin__parser_fail(parser, parser->at, "expected a number");
            return;
        }
        argument->word = basin__parser_word(parser);
    } else if (basin__parser_take(parser, '[')) {
        do
            add_number(at, index);
        while (basin__parser_take(parser, ','));
        basin__parser_expect(parser, ']', "',' or ']'");
    } else {
        add_number(at, index);
    }
}

/** Values for the next parameters in order. */
static void parse_unnamed(call *at) {
    do {
        if (at->next >= parameter_count(at->node->function)) {
            basin__parser_fail(at->parser, at->parser->at, "%s takes no more numbers: %s",
                               at->node->function->name, at->node->function->usage);
            return;
        }
        add_value(at, at->next++);
    } while (basin__parser_take(at->parser, ','));
}

static void parse_named(call *at, int index) {
    basin__parser *parser = at->parser;
    const int begin = parser->at;
    basin__parser_next(parser);
    basin__parser_take(parser, '=');
    if (at->node->arguments[index].count > 0 || at->node->arguments[index].word) {
        basin__parser_fail(parser, begin, "%s is given twice", row_of(at, index)->name);
        return;
    }
    do
        add_value(at, index);
    while (basin__parser_take(parser, ','));
}

static void parse_section(call *at) {
    const int index = find_parameter(at);
    if (index >= 0)
        parse_named(at, index);
    else if (at->parser->token == BASIN__TOKEN_NAME)
        basin__parser_fail(at->parser, at->parser->at, "%s has no such parameter: %s",
                           at->node->function->name, at->node->function->usage);
    else
        parse_unnamed(at);
}

static void parse_operands(call *at) {
    basin__parser *parser = at->parser;
    basin__expression_node *node = at->node;
    do {
        const int begin = parser->at;
        if (node->operand_count >= node->function->operand_max) {
            basin__parser_fail(parser, begin, "%s takes at most %d energies", node->function->name,
                               node->function->operand_max);
            return;
        }
        basin__expression_node *operand = basin__parser_sum(parser);
        if (operand && operand->kind == BASIN__NODE_NUMBER)
            operand = basin__parser_fail(parser, begin, "expected an energy, not a number: %s",
                                         node->function->usage);
        if (!operand)
            return;
        node->operands[node->operand_count++] = operand;
    } while (basin__parser_take(parser, ','));
}

/** Defaults, and what must be there. */
static void complete(call *at) {
    const basin__function *function = at->node->function;
    if (at->node->operand_count < function->operand_min)
        basin__parser_fail(at->parser, at->node->at, "%s takes at least %d energies: %s",
                           function->name, function->operand_min, function->usage);
    for (int i = 0; i < parameter_count(function); i++) {
        basin__argument *argument = &at->node->arguments[i];
        const char *fallback = row_of(at, i)->fallback;
        if (argument->count > 0 || argument->word)
            continue;
        argument->at = at->node->at;
        if (!fallback)
            basin__parser_fail(at->parser, at->node->at, "%s is missing: %s", row_of(at, i)->name,
                               function->usage);
        else if (basin__parse_double(fallback, &argument->items[0]))
            argument->count = 1;
    }
}

basin__expression_node *basin__parser_function(basin__parser *parser, const char *name, int begin) {
    const basin__function *function = basin__function_find(name);
    const char *near = function ? NULL : basin__function_near(name);
    if (!function)
        return basin__parser_fail(parser, begin, "there is no function %.64s%s%s%s", name,
                                  near ? "; did you mean " : ": see basin help energy",
                                  near ? near : "", near ? "?" : "");
    call at = {.parser = parser, .node = basin__parser_node(parser, BASIN__NODE_FUNCTION, begin)};
    if (!at.node)
        return NULL;
    at.node->function = function;
    basin__parser_next(parser);
    if (parser->token != ')' && parser->token != ';') {
        if (function->operand_max > 0)
            parse_operands(&at);
        else
            parse_unnamed(&at);
    }
    while (basin__parser_take(parser, ';'))
        parse_section(&at);
    if (!basin__parser_expect(parser, ')', "',', ';' or ')'"))
        return NULL;
    at.node->end = parser->ended;
    complete(&at);
    return parser->status == BASIN_OK ? at.node : NULL;
}
