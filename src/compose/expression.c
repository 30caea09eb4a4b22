/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser, by recursive descent:
 *
 *     sum       = ["+" | "-"] product {("+" | "-") product}
 *     product   = primary {"*" primary | "/" primary}
 *     primary   = (NUMBER | NAME | 'NAME' | NAME "(" arguments ")" | "(" sum ")") [selection]
 *     selection = "[" key "=" value {"," key "=" value} "]"
 *     arguments = the operands, then sections behind ";" (arguments.c)
 *
 * Sums and products of numbers are worked out on the spot; an energy is multiplied or divided by
 * numbers and added to energies, nothing else. A name goes on over letters, digits and _ . / - : ~
 * @ so that paths need no quotes, and a minus or division between names needs blanks.
 */
#include "base/number.h"
#include "compose/parser.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 64
#define TEXT_MAX 65536
#define NODES_MAX 1000 /* a tree is walked by recursion, and a sum is as deep as it is long */
#define SHOWN 12       /* bytes of the text in a message */

/* ---- errors ---- */

basin_status basin__expression_fail(const basin__expression *expression, basin_status status,
                                    int at, const char *format, ...) {
    char message[512], shown[SHOWN + 8];
    int character = 1, length = 0;
    va_list arguments;
    va_start(arguments, format);
    basin__vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    const char *text = expression->text;
    for (int i = 0; i < at; i++)
        character += ((unsigned char)text[i] & 0xc0) != 0x80;
    while (text[at + length] &&
           (length < SHOWN || ((unsigned char)text[at + length] & 0xc0) == 0x80))
        if (++length >= SHOWN + 3)
            break;
    snprintf(shown, sizeof(shown), "%.*s", length, text + at);
    if (length == 0)
        return basin__fail(expression->context, status, "character %d, the end: %s", character,
                           message);
    return basin__fail(expression->context, status, "character %d, at '%s%s': %s", character, shown,
                       text[at + length] ? "…" : "", message);
}

basin__expression_node *basin__parser_fail(basin__parser *parser, int at, const char *format, ...) {
    char message[512];
    if (parser->status != BASIN_OK)
        return NULL;
    va_list arguments;
    va_start(arguments, format);
    basin__vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    parser->status =
        basin__expression_fail(parser->expression, BASIN_ERROR_CONFIG, at, "%s", message);
    return NULL;
}

/* ---- tokens ---- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '~' ||
           (unsigned char)c >= 0x80;
}

static bool is_in_name(char c) { return is_letter(c) || is_digit(c) || (c && strchr("./-:@", c)); }

/** "/ 2" and "/2" divide, "/data/a" is a path; ".5" is a number, "./a" and "../a" are paths. */
static bool starts_name(const char *text) {
    return is_letter(text[0]) ||
           (text[0] == '/' && (is_letter(text[1]) || (text[1] == '.' && !is_digit(text[2])))) ||
           (text[0] == '.' && (is_letter(text[1]) || text[1] == '.' || text[1] == '/'));
}

static int number_length(const char *text) {
    int length = 0;
    while (is_digit(text[length]) || text[length] == '.')
        length++;
    if (text[length] != 'e' && text[length] != 'E')
        return length;
    int more = length + 1 + (text[length + 1] == '-' || text[length + 1] == '+');
    if (!is_digit(text[more]))
        return length;
    while (is_digit(text[more]))
        more++;
    return more;
}

static int quoted_length(basin__parser *parser, const char *text) {
    const char *end = strchr(text + 1, text[0]);
    if (end && end > text + 1)
        return (int)(end - text) + 1;
    basin__parser_fail(parser, parser->at,
                       end ? "a name in quotes is empty" : "this quote is not closed");
    return 1;
}

void basin__parser_next(basin__parser *parser) {
    const char *text = parser->expression->text;
    parser->ended = parser->at + parser->length;
    parser->at = parser->ended;
    while (text[parser->at] == ' ' || text[parser->at] == '\t' || text[parser->at] == '\n' ||
           text[parser->at] == '\r')
        parser->at++;
    const char *rest = text + parser->at;
    parser->length = 1;
    parser->token = rest[0];
    if (rest[0] == '\0') {
        parser->length = 0;
    } else if (is_digit(rest[0]) || (rest[0] == '.' && is_digit(rest[1]))) {
        parser->token = BASIN__TOKEN_NUMBER;
        parser->length = number_length(rest);
    } else if (starts_name(rest)) {
        parser->token = BASIN__TOKEN_NAME;
        while (is_in_name(rest[parser->length]))
            parser->length++;
    } else if (rest[0] == '"' || rest[0] == '\'') {
        parser->token = BASIN__TOKEN_QUOTED;
        parser->length = quoted_length(parser, rest);
    }
}

bool basin__parser_take(basin__parser *parser, int token) {
    if (parser->token != token || parser->status != BASIN_OK)
        return false;
    basin__parser_next(parser);
    return true;
}

bool basin__parser_expect(basin__parser *parser, int token, const char *what) {
    if (basin__parser_take(parser, token))
        return true;
    basin__parser_fail(parser, parser->at, "expected %s", what);
    return false;
}

char *basin__parser_word(basin__parser *parser) {
    const int quotes = parser->token == BASIN__TOKEN_QUOTED;
    char *word = basin__format(parser->expression->context, "%.*s", parser->length - 2 * quotes,
                               parser->expression->text + parser->at + quotes);
    if (!word)
        parser->status = BASIN_ERROR_MEMORY;
    basin__parser_next(parser);
    return word;
}

/* ---- nodes ---- */

basin__expression_node *basin__parser_node(basin__parser *parser, basin__node_kind kind, int at) {
    basin__expression *expression = parser->expression;
    if (parser->status != BASIN_OK)
        return NULL;
    if (++parser->node_count > NODES_MAX)
        return basin__parser_fail(parser, at, "more than %d numbers and energies", NODES_MAX);
    basin__expression_node *node = basin__alloc(expression->context, sizeof(*node));
    if (!node) {
        parser->status = BASIN_ERROR_MEMORY;
        return NULL;
    }
    node->kind = kind;
    node->at = at;
    node->end = parser->ended;
    node->made_before = expression->made_last;
    expression->made_last = node;
    return node;
}

static bool is_number(const basin__expression_node *node) {
    return node->kind == BASIN__NODE_NUMBER;
}

static basin__expression_node *make_number(basin__parser *parser, double number, int at) {
    if (!isfinite(number))
        return basin__parser_fail(parser, at, "this number is not finite");
    basin__expression_node *node = basin__parser_node(parser, BASIN__NODE_NUMBER, at);
    if (node)
        node->number = number;
    return node;
}

static basin__expression_node *make_scale(basin__parser *parser, double factor,
                                          basin__expression_node *of, int at) {
    if (!isfinite(factor))
        return basin__parser_fail(parser, at, "this factor is not finite");
    basin__expression_node *node = basin__parser_node(parser, BASIN__NODE_SCALE, at);
    if (!node)
        return NULL;
    node->number = factor;
    node->operands[0] = of;
    node->operand_count = 1;
    return node;
}

static basin__expression_node *multiply(basin__parser *parser, basin__expression_node *a,
                                        basin__expression_node *b, int at) {
    if (is_number(a) && is_number(b))
        return make_number(parser, a->number * b->number, a->at);
    if (!is_number(a) && !is_number(b))
        return basin__parser_fail(parser, at,
                                  "two energies cannot be multiplied: densities are where energies "
                                  "are added");
    return is_number(a) ? make_scale(parser, a->number, b, a->at)
                        : make_scale(parser, b->number, a, a->at);
}

static basin__expression_node *divide(basin__parser *parser, basin__expression_node *a,
                                      basin__expression_node *b, int at) {
    if (!is_number(b))
        return basin__parser_fail(parser, at, "expected a number behind '/', not an energy");
    if (!(b->number < 0 || b->number > 0))
        return basin__parser_fail(parser, b->at, "a division by 0");
    return is_number(a) ? make_number(parser, a->number / b->number, a->at)
                        : make_scale(parser, 1 / b->number, a, a->at);
}

static basin__expression_node *add(basin__parser *parser, basin__expression_node *a,
                                   basin__expression_node *b, bool is_difference, int at) {
    if (is_number(a) && is_number(b))
        return make_number(parser, is_difference ? a->number - b->number : a->number + b->number,
                           a->at);
    if (is_number(a) || is_number(b))
        return basin__parser_fail(
            parser, at,
            "a number added to an energy changes nothing; a factor is written "
            "with '*'");
    if (is_difference)
        b = make_scale(parser, -1, b, b->at);
    basin__expression_node *node = basin__parser_node(parser, BASIN__NODE_SUM, a->at);
    if (!node)
        return NULL;
    node->operands[0] = a;
    node->operands[1] = b;
    node->operand_count = 2;
    return node;
}

/* ---- selections ---- */

static void select_key(basin__parser *parser, basin__selection *selection) {
    static const char *const keys[] = {"class", "noise-level", "temperature", "guidance"};
    double *const numbers[] = {NULL, &selection->noise_level, &selection->temperature,
                               &selection->guidance};
    const int at = parser->at;
    const char *name = parser->expression->text + at;
    int key = 0;
    while (key < 4 &&
           (parser->token != BASIN__TOKEN_NAME || (int)strlen(keys[key]) != parser->length ||
            strncmp(name, keys[key], strlen(keys[key])) != 0))
        key++;
    if (key == 4) {
        basin__parser_fail(parser, at, "expected class, noise-level, temperature or guidance");
        return;
    }
    basin__parser_next(parser);
    if (!basin__parser_expect(parser, '=', "'='"))
        return;
    if (key == 0 ? selection->label != BASIN__CLASS_FREE : !isnan(*numbers[key])) {
        basin__parser_fail(parser, at, "%s is given twice", keys[key]);
        return;
    }
    const int value_at = parser->at;
    if (key == 0 && parser->token == BASIN__TOKEN_NAME && parser->length == 4 &&
        strncmp(parser->expression->text + value_at, "none", 4) == 0) {
        basin__parser_next(parser);
        selection->label = BASIN__CLASS_NONE;
        return;
    }
    double number;
    if (!basin__parser_number(parser, &number))
        return;
    if (key == 0 && !(number >= 0 && number <= 1e6 && floor(number) >= number))
        basin__parser_fail(parser, value_at, "a class is a whole number from 0, or none");
    else if ((key == 1 || key == 2) && !(number > 0))
        basin__parser_fail(parser, value_at, "a %s is above 0", keys[key]);
    else if (key == 0)
        selection->label = (int)number;
    else
        *numbers[key] = number;
}

static basin__expression_node *parse_selection(basin__parser *parser, basin__expression_node *of) {
    const int at = parser->at;
    basin__parser_next(parser);
    if (is_number(of))
        return basin__parser_fail(parser, at, "a selection stands behind an energy, not a number");
    basin__expression_node *node = basin__parser_node(parser, BASIN__NODE_SELECT, of->at);
    if (!node)
        return NULL;
    node->operands[0] = of;
    node->operand_count = 1;
    node->selection = (basin__selection){BASIN__CLASS_FREE, NAN, NAN, NAN};
    do
        select_key(parser, &node->selection);
    while (basin__parser_take(parser, ','));
    if (!basin__parser_expect(parser, ']', "',' or ']'"))
        return NULL;
    node->end = parser->ended;
    return node;
}

/* ---- the grammar ---- */

static basin__expression_node *parse_number(basin__parser *parser) {
    char text[64];
    double number = 0;
    const int at = parser->at;
    if (parser->length >= (int)sizeof(text))
        return basin__parser_fail(parser, at, "this number is too long");
    snprintf(text, sizeof(text), "%.*s", parser->length, parser->expression->text + at);
    if (!basin__parse_double(text, &number))
        return basin__parser_fail(parser, at, "'%s' is no number", text);
    basin__parser_next(parser);
    if (parser->token == BASIN__TOKEN_NAME && parser->at == at + (int)strlen(text))
        return basin__parser_fail(parser, parser->at,
                                  "expected an operator behind a number; a name that begins with a "
                                  "digit is quoted");
    return make_number(parser, number, at);
}

/** A model, or a function where "(" follows. */
static basin__expression_node *parse_name(basin__parser *parser) {
    const int at = parser->at;
    const bool is_quoted = parser->token == BASIN__TOKEN_QUOTED;
    char *name = basin__parser_word(parser);
    if (name && !is_quoted && parser->token == '(') {
        basin__expression_node *node = basin__parser_function(parser, name, at);
        basin__free(parser->expression->context, name);
        return node;
    }
    basin__expression_node *node = basin__parser_node(parser, BASIN__NODE_MODEL, at);
    if (node)
        node->name = name;
    else
        basin__free(parser->expression->context, name);
    return node;
}

static basin__expression_node *parse_primary(basin__parser *parser) {
    basin__expression_node *node = NULL;
    if (parser->token == BASIN__TOKEN_NUMBER) {
        node = parse_number(parser);
    } else if (parser->token == BASIN__TOKEN_NAME || parser->token == BASIN__TOKEN_QUOTED) {
        node = parse_name(parser);
    } else if (parser->token == '(') {
        basin__parser_next(parser);
        node = basin__parser_sum(parser);
        if (node && !basin__parser_expect(parser, ')', "an operator or ')'"))
            node = NULL;
    } else {
        return basin__parser_fail(parser, parser->at,
                                  "expected a model, a function, a number or '('");
    }
    if (node && parser->token == '[')
        node = parse_selection(parser, node);
    return parser->status == BASIN_OK ? node : NULL;
}

static basin__expression_node *parse_product(basin__parser *parser) {
    basin__expression_node *left = parse_primary(parser);
    while (left && (parser->token == '*' || parser->token == '/')) {
        const int token = parser->token, at = parser->at;
        basin__parser_next(parser);
        basin__expression_node *right = parse_primary(parser);
        if (!right)
            return NULL;
        left = token == '*' ? multiply(parser, left, right, at) : divide(parser, left, right, at);
    }
    return left;
}

static basin__expression_node *parse_signed(basin__parser *parser) {
    const int at = parser->at;
    const bool is_minus = basin__parser_take(parser, '-');
    if (!is_minus)
        basin__parser_take(parser, '+');
    basin__expression_node *node = parse_product(parser);
    if (!node || !is_minus)
        return node;
    return is_number(node) ? make_number(parser, -node->number, at)
                           : make_scale(parser, -1, node, at);
}

basin__expression_node *basin__parser_sum(basin__parser *parser) {
    if (++parser->depth > DEPTH_MAX)
        return basin__parser_fail(parser, parser->at, "nested more than %d deep", DEPTH_MAX);
    basin__expression_node *left = parse_signed(parser);
    while (left && (parser->token == '+' || parser->token == '-')) {
        const bool is_difference = parser->token == '-';
        const int at = parser->at;
        basin__parser_next(parser);
        basin__expression_node *right = parse_product(parser);
        if (!right)
            return NULL;
        left = add(parser, left, right, is_difference, at);
    }
    parser->depth--;
    return parser->status == BASIN_OK ? left : NULL;
}

bool basin__parser_number(basin__parser *parser, double *number) {
    const int at = parser->at;
    basin__expression_node *node = basin__parser_sum(parser);
    if (node && !is_number(node))
        node = basin__parser_fail(parser, at, "expected a number, not an energy");
    if (node)
        *number = node->number;
    return node != NULL;
}

/* ---- the whole ---- */

static basin__expression_node *parse_whole(basin__parser *parser) {
    basin__parser_next(parser);
    basin__expression_node *root = basin__parser_sum(parser);
    if (root && parser->token != BASIN__TOKEN_END)
        return basin__parser_fail(parser, parser->at, "expected an operator or the end");
    if (root && is_number(root))
        return basin__parser_fail(parser, root->at,
                                  "this is a number: an energy names a model or "
                                  "a function");
    return root;
}

basin_status basin__expression_parse(basin_context *context, const char *text,
                                     basin__expression *out) {
    *out = (basin__expression){.context = context};
    if (strlen(text) > TEXT_MAX)
        return basin__fail(context, BASIN_ERROR_CONFIG,
                           "an energy's expression has %zu characters; at most %d are read",
                           strlen(text), TEXT_MAX);
    out->text = basin__strdup(context, text);
    if (!out->text)
        return BASIN_ERROR_MEMORY;
    basin__parser parser = {.expression = out};
    out->root = parse_whole(&parser);
    if (parser.status != BASIN_OK)
        basin__expression_reset(out);
    return parser.status;
}

void basin__expression_reset(basin__expression *expression) {
    basin_context *context = expression->context;
    for (basin__expression_node *node = expression->made_last; node;) {
        basin__expression_node *before = node->made_before;
        for (int i = 0; i < BASIN__ARGUMENTS_MAX; i++)
            basin__free(context, node->arguments[i].word);
        basin__free(context, node->name);
        basin__free(context, node);
        node = before;
    }
    basin__free(context, expression->text);
    *expression = (basin__expression){.context = context};
}
