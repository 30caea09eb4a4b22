/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The graph: nodes in the order they were built, a hash table that finds equal
 * ones, and the first error.
 *
 * Adding a node asks its op for the shape, works out who shares the value, and
 * then looks twice for something cheaper: an algebraic simplification, then an
 * equal node that is already there (hash-consing). Only what is really new is
 * appended.
 */
#include "base/number.h"
#include "graph/op.h"
#include <stdarg.h>
#include <string.h>

#define FIRST_CAPACITY 64
#define ELEMENTS_MAX INT32_MAX /* of one value: plans address them with 32 bits */

/* ---- shapes ---- */

basin_shape basin_shape_image(int height, int width, int channels) {
    return (basin_shape){1, height, width, channels};
}

basin_shape basin_shape_vector(int channels) { return (basin_shape){1, 1, 1, channels}; }

int64_t basin_shape_count(basin_shape shape) {
    return (int64_t)shape.outer * shape.height * shape.width * shape.channels;
}

bool basin_shape_equal(basin_shape a, basin_shape b) {
    return a.outer == b.outer && a.height == b.height && a.width == b.width &&
           a.channels == b.channels;
}

basin__shape_text basin__shape_print(basin_shape shape) {
    basin__shape_text out;
    basin__snprintf(out.text, sizeof(out.text), "[%d, %d, %d, %d]", (int)shape.outer,
                    (int)shape.height, (int)shape.width, (int)shape.channels);
    return out;
}

static bool is_possible(basin_shape shape) {
    const int32_t axes[4] = {shape.outer, shape.height, shape.width, shape.channels};
    int64_t count = 1;
    for (int i = 0; i < 4; i++) {
        if (axes[i] < 1 || count > ELEMENTS_MAX / axes[i])
            return false;
        count *= axes[i];
    }
    return true;
}

/* ---- life ---- */

basin_status basin_graph_create(basin_context *context, basin_graph **out) {
    *out = NULL;
    basin_graph *graph = basin__alloc(context, sizeof(*graph));
    if (!graph)
        return BASIN_ERROR_MEMORY;
    graph->context = context;
    *out = graph;
    return BASIN_OK;
}

void basin_graph_destroy(basin_graph *graph) {
    if (!graph)
        return;
    for (int i = 0; i < graph->count; i++)
        basin__free(graph->context, graph->nodes[i].name);
    basin__free(graph->context, graph->nodes);
    basin__free(graph->context, graph->slots);
    basin__free(graph->context, graph);
}

/* ---- questions ---- */

basin_status basin_graph_status(const basin_graph *graph) { return graph->status; }

static bool is_value(const basin_graph *graph, basin_value value) {
    return value >= 0 && value < graph->count;
}

basin_shape basin_graph_shape(const basin_graph *graph, basin_value value) {
    return is_value(graph, value) ? graph->nodes[value].shape : (basin_shape){0};
}

bool basin_graph_is_shared(const basin_graph *graph, basin_value value) {
    return is_value(graph, value) && graph->nodes[value].scope != BASIN__SCOPE_PER_EXAMPLE;
}

bool basin__graph_is_batch_sum(const basin_graph *graph, basin_value value) {
    const basin__node *node = &graph->nodes[value];
    if (!basin__op_definition(node->op)->sums_batch)
        return false;
    for (int i = 0; i < node->input_count; i++)
        if (graph->nodes[node->input[i]].scope == BASIN__SCOPE_PER_EXAMPLE)
            return true;
    return node->op == BASIN__OP_batch_sum;
}

basin_value basin__graph_find(const basin_graph *graph, basin__op op, const char *name) {
    for (int i = 0; i < graph->count; i++)
        if (graph->nodes[i].op == op && graph->nodes[i].name &&
            strcmp(graph->nodes[i].name, name) == 0)
            return i;
    return BASIN_NO_VALUE;
}

/* ---- errors ---- */

basin_value basin__graph_fail(basin_graph *graph, basin_status status, const char *format, ...) {
    if (graph->status != BASIN_OK)
        return BASIN_NO_VALUE;
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    basin__vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    graph->status = basin__fail(graph->context, status, "%s", text);
    return BASIN_NO_VALUE;
}

/** The context already holds the text. */
static basin_value fail_memory(basin_graph *graph) {
    graph->status = BASIN_ERROR_MEMORY;
    return BASIN_NO_VALUE;
}

/* ---- finding equal nodes ---- */

static bool is_commutative(basin__op op) {
    return op == BASIN__OP_add || op == BASIN__OP_mul || op == BASIN__OP_dot;
}

/** FNV-1a over op, inputs (in either order where that is the same) and attributes. */
static uint32_t hash_node(const basin__node *node) {
    basin_value input[BASIN__INPUTS_MAX] = {node->input[0], node->input[1]};
    if (is_commutative(node->op) && input[0] > input[1]) {
        input[0] = node->input[1];
        input[1] = node->input[0];
    }
    unsigned char bytes[sizeof(int) + sizeof(input) + sizeof(node->attributes)];
    int op = (int)node->op;
    memcpy(bytes, &op, sizeof(op));
    memcpy(bytes + sizeof(op), input, sizeof(input));
    memcpy(bytes + sizeof(op) + sizeof(input), &node->attributes, sizeof(node->attributes));
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < sizeof(bytes); i++)
        hash = (hash ^ bytes[i]) * 16777619u;
    return hash;
}

static bool is_equal(const basin__node *a, const basin__node *b) {
    if (a->op != b->op || memcmp(&a->attributes, &b->attributes, sizeof(a->attributes)) != 0)
        return false;
    if (a->input[0] == b->input[0] && a->input[1] == b->input[1])
        return true;
    return is_commutative(a->op) && a->input[0] == b->input[1] && a->input[1] == b->input[0];
}

/** The slot that holds an equal node, or the free one where it belongs. */
static basin_value *find_slot(const basin_graph *graph, const basin__node *node) {
    uint32_t mask = (uint32_t)graph->slot_count - 1;
    for (uint32_t at = hash_node(node) & mask;; at = (at + 1) & mask) {
        basin_value *slot = &graph->slots[at];
        if (*slot == BASIN_NO_VALUE || is_equal(&graph->nodes[*slot], node))
            return slot;
    }
}

static bool grow(basin_graph *graph) {
    int capacity = graph->capacity > 0 ? 2 * graph->capacity : FIRST_CAPACITY;
    int slot_count = 2 * capacity;
    basin_value *slots =
        basin__alloc_array(graph->context, (size_t)slot_count, sizeof(*graph->slots));
    if (!slots)
        return false;
    basin__node *nodes =
        basin__grow(graph->context, graph->nodes, (size_t)graph->capacity * sizeof(*graph->nodes),
                    (size_t)capacity * sizeof(*graph->nodes));
    if (!nodes) {
        basin__free(graph->context, slots);
        return false;
    }
    basin__free(graph->context, graph->slots);
    graph->nodes = nodes;
    graph->capacity = capacity;
    graph->slots = slots;
    graph->slot_count = slot_count;
    for (int i = 0; i < slot_count; i++)
        slots[i] = BASIN_NO_VALUE;
    for (int i = 0; i < graph->count; i++)
        if (!graph->nodes[i].name)
            *find_slot(graph, &graph->nodes[i]) = i;
    return true;
}

static basin_value append(basin_graph *graph, const basin__node *node) {
    if (graph->count == graph->capacity && !grow(graph))
        return fail_memory(graph);
    if (!node->name)
        *find_slot(graph, node) = graph->count;
    graph->nodes[graph->count] = *node;
    return graph->count++;
}

/* ---- adding ---- */

static bool check_inputs(basin_graph *graph, const basin__node *node) {
    for (int i = 0; i < node->input_count; i++)
        if (!is_value(graph, node->input[i])) {
            basin__graph_fail(graph, BASIN_ERROR_ARGUMENT, "input %d is not a value of this graph",
                              i);
            return false;
        }
    return true;
}

static bool check_shape(basin_graph *graph, const basin__node *node) {
    if (!is_possible(node->shape)) {
        basin__graph_fail(graph, BASIN_ERROR_SHAPE,
                          "the shape %s has an axis below 1 or more than 2^31 - 1 elements",
                          basin__shape_print(node->shape).text);
        return false;
    }
    if (node->scope == BASIN__SCOPE_PER_EXAMPLE && node->shape.outer != 1) {
        basin__graph_fail(graph, BASIN_ERROR_SHAPE,
                          "a value of one example has an outer axis of 1, not %s",
                          basin__shape_print(node->shape).text);
        return false;
    }
    return true;
}

static bool infer_scope(basin_graph *graph, basin__node *node) {
    bool is_per_example = false, is_reduced = false;
    for (int i = 0; i < node->input_count; i++) {
        basin__scope scope = graph->nodes[node->input[i]].scope;
        is_per_example |= scope == BASIN__SCOPE_PER_EXAMPLE;
        is_reduced |= scope == BASIN__SCOPE_REDUCED;
    }
    bool is_sum = is_per_example ? basin__op_definition(node->op)->sums_batch
                                 : node->op == BASIN__OP_batch_sum;
    if (is_reduced && (is_per_example || is_sum)) {
        basin__graph_fail(graph, BASIN_ERROR_UNSUPPORTED,
                          "an input is known only after the sum over the batch: using it for each "
                          "example needs a second pass over the batch");
        return false;
    }
    node->scope = is_reduced || is_sum ? BASIN__SCOPE_REDUCED
                  : is_per_example     ? BASIN__SCOPE_PER_EXAMPLE
                                       : BASIN__SCOPE_SHARED;
    return true;
}

basin_value basin__graph_add(basin_graph *graph, basin__op op, int input_count,
                             const basin_value *inputs, const basin__attributes *attributes) {
    if (graph->status != BASIN_OK)
        return BASIN_NO_VALUE;
    const basin__op_def *def = basin__op_definition(op);
    assert(input_count == def->input_count);
    basin__node node = {.op = op,
                        .input_count = input_count,
                        .input = {BASIN_NO_VALUE, BASIN_NO_VALUE},
                        .next = BASIN_NO_VALUE};
    if (attributes)
        node.attributes = *attributes;
    for (int i = 0; i < input_count; i++)
        node.input[i] = inputs[i];
    if (!check_inputs(graph, &node) || !def->infer(graph, inputs, &node.attributes, &node.shape) ||
        !infer_scope(graph, &node) || !check_shape(graph, &node)) {
        basin__fail_in(graph->context, graph->status, def->name);
        return BASIN_NO_VALUE;
    }
    basin_value simpler = basin__graph_simplify(graph, &node);
    if (simpler != BASIN_NO_VALUE || graph->status != BASIN_OK)
        return simpler;
    basin_value equal = graph->count > 0 ? *find_slot(graph, &node) : BASIN_NO_VALUE;
    return equal != BASIN_NO_VALUE ? equal : append(graph, &node);
}

basin_value basin__graph_unary(basin_graph *graph, basin__op op, basin_value x) {
    return basin__graph_add(graph, op, 1, &x, NULL);
}

basin_value basin__graph_binary(basin_graph *graph, basin__op op, basin_value a, basin_value b) {
    return basin__graph_add(graph, op, 2, (const basin_value[]){a, b}, NULL);
}

/** A name belongs to one source, since data is bound to it by name alone. */
static basin_value find_named(basin_graph *graph, const basin__node *wanted, const char *name) {
    const char *kind = basin__op_definition(wanted->op)->name;
    for (int i = 0; i < graph->count; i++) {
        const basin__node *node = &graph->nodes[i];
        if (!node->name || strcmp(node->name, name) != 0)
            continue;
        if (node->op != wanted->op)
            return basin__graph_fail(graph, BASIN_ERROR_ARGUMENT,
                                     "%s: the name \"%s\" is already that of a %s", kind, name,
                                     basin__op_definition(node->op)->name);
        if (!basin_shape_equal(node->shape, wanted->shape))
            return basin__graph_fail(
                graph, BASIN_ERROR_SHAPE, "%s: \"%s\" has the shape %s, it cannot also be %s", kind,
                name, basin__shape_print(node->shape).text, basin__shape_print(wanted->shape).text);
        return i;
    }
    return BASIN_NO_VALUE;
}

static basin_value add_source(basin_graph *graph, basin__op op, const char *name,
                              basin_shape shape) {
    basin__node node = {.op = op,
                        .scope =
                            op == BASIN__OP_input ? BASIN__SCOPE_PER_EXAMPLE : BASIN__SCOPE_SHARED,
                        .input = {BASIN_NO_VALUE, BASIN_NO_VALUE},
                        .shape = shape,
                        .attributes = {.shape = shape},
                        .next = BASIN_NO_VALUE};
    basin_value known = find_named(graph, &node, name);
    if (known != BASIN_NO_VALUE || graph->status != BASIN_OK)
        return known;
    if (!check_shape(graph, &node)) {
        basin__fail_in(graph->context, graph->status, name);
        basin__fail_in(graph->context, graph->status, basin__op_definition(op)->name);
        return BASIN_NO_VALUE;
    }
    node.name = basin__strdup(graph->context, name);
    if (!node.name)
        return fail_memory(graph);
    basin_value value = append(graph, &node);
    if (value == BASIN_NO_VALUE)
        basin__free(graph->context, node.name);
    return value;
}

basin_value basin__graph_source(basin_graph *graph, basin__op op, const char *name,
                                basin_shape shape) {
    if (graph->status != BASIN_OK)
        return BASIN_NO_VALUE;
    if (!graph->prefix || (op != BASIN__OP_parameter && op != BASIN__OP_state))
        return add_source(graph, op, name, shape);
    char *full = basin__format(graph->context, "%s%s", graph->prefix, name);
    if (!full)
        return fail_memory(graph);
    basin_value value = add_source(graph, op, full, shape);
    basin__free(graph->context, full);
    return value;
}

void basin_graph_set_next(basin_graph *graph, basin_value state, basin_value next) {
    if (graph->status != BASIN_OK)
        return;
    if (!is_value(graph, state) || graph->nodes[state].op != BASIN__OP_state) {
        basin__graph_fail(graph, BASIN_ERROR_ARGUMENT, "set_next: only a state has a next value");
        return;
    }
    if (!is_value(graph, next) || graph->nodes[next].scope == BASIN__SCOPE_PER_EXAMPLE ||
        !basin_shape_equal(graph->nodes[next].shape, graph->nodes[state].shape)) {
        basin__graph_fail(graph, BASIN_ERROR_SHAPE,
                          "set_next: the next value of \"%s\" must be shared and have the shape %s",
                          graph->nodes[state].name,
                          basin__shape_print(graph->nodes[state].shape).text);
        return;
    }
    graph->nodes[state].next = next;
}
