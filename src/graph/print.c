/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A graph as text, one line a node, and as Graphviz source:
 *
 *     %3 = conv(%0, %1) stride 2 pad 1 : [1, 14, 14, 64] per example
 *
 * Nodes are numbered as they were built, so equal building gives equal text.
 */
#include "base/number.h"
#include "graph/op.h"
#include <stdarg.h>
#include <string.h>

/** Text that grows; after a failed allocation it stays as it is and `status` tells. */
typedef struct text {
    basin_context *context;
    char *data;
    size_t length, capacity;
    basin_status status;
} text;

static void put(text *out, const char *format, ...) BASIN_PRINTF(2, 3);
static void put(text *out, const char *format, ...) {
    if (out->status != BASIN_OK)
        return;
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    size_t length = (size_t)basin__vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (out->length + length + 1 > out->capacity) {
        size_t capacity = 2 * (out->length + length + 1);
        char *data = basin__grow(out->context, out->data, out->capacity, capacity);
        if (data) {
            out->data = data;
            out->capacity = capacity;
        } else {
            out->status = BASIN_ERROR_MEMORY;
        }
    }
    if (out->status == BASIN_OK) {
        basin__vsnprintf(out->data + out->length, length + 1, format, again);
        out->length += length;
    }
    va_end(again);
}

static const char *scope_text(basin__scope scope) {
    switch (scope) {
    case BASIN__SCOPE_SHARED:
        return "shared";
    case BASIN__SCOPE_PER_EXAMPLE:
        return "per example";
    case BASIN__SCOPE_REDUCED:
        return "summed over the batch";
    }
    return "";
}

static void put_number(text *out, const char *label, double number) {
    char digits[32];
    basin__print_double(digits, number);
    put(out, " %s%s", label, digits);
}

/** What a node has beside its inputs; the shape it was told is its own shape. */
static void put_attributes(text *out, const basin__node *node) {
    const basin__attributes *with = &node->attributes;
    switch (node->op) {
    case BASIN__OP_conv:
    case BASIN__OP_conv_input:
    case BASIN__OP_conv_weight:
        put(out, " stride %d pad %d", with->conv.stride, with->conv.pad);
        break;
    case BASIN__OP_constant:
    case BASIN__OP_scale:
    case BASIN__OP_offset:
        put_number(out, "", with->a);
        break;
    case BASIN__OP_leaky_relu:
    case BASIN__OP_leaky_slope:
        put_number(out, "slope ", with->a);
        break;
    case BASIN__OP_clamp:
    case BASIN__OP_clamp_inside:
        put_number(out, "from ", with->a);
        put_number(out, "to ", with->b);
        break;
    case BASIN__OP_slice:
    case BASIN__OP_slice_input:
        put(out, " from %d", with->first);
        break;
    case BASIN__OP_average_pool:
    case BASIN__OP_average_pool_input:
    case BASIN__OP_upsample:
    case BASIN__OP_upsample_input:
        put(out, " size %d", with->size);
        break;
    default:
        break;
    }
}

static void put_line(text *out, const basin_graph *graph, basin_value value) {
    const basin__node *node = &graph->nodes[value];
    put(out, "%%%d = %s", (int)value, basin__op_definition(node->op)->name);
    if (node->name)
        put(out, " \"%s\"", node->name);
    for (int i = 0; i < node->input_count; i++)
        put(out, "%s%%%d%s", i == 0 ? "(" : ", ", (int)node->input[i],
            i + 1 == node->input_count ? ")" : "");
    put_attributes(out, node);
    put(out, " : %s %s", basin__shape_print(node->shape).text, scope_text(node->scope));
    if (node->next != BASIN_NO_VALUE)
        put(out, ", next %%%d", (int)node->next);
    put(out, "\n");
}

/** A name inside a quoted Graphviz string. */
static void put_escaped(text *out, const char *name) {
    for (; *name; name++)
        put(out, *name == '"' || *name == '\\' ? "\\%c" : "%c", *name);
}

static void put_dot_node(text *out, const basin_graph *graph, basin_value value) {
    const basin__node *node = &graph->nodes[value];
    const char *style = node->scope == BASIN__SCOPE_PER_EXAMPLE ? "solid"
                        : node->scope == BASIN__SCOPE_SHARED    ? "dashed"
                                                                : "bold";
    put(out, "    n%d [style=%s, label=\"%s", (int)value, style,
        basin__op_definition(node->op)->name);
    if (node->name) {
        put(out, " ");
        put_escaped(out, node->name);
    }
    put_attributes(out, node);
    put(out, "\\n%s\"];\n", basin__shape_print(node->shape).text);
    for (int i = 0; i < node->input_count; i++)
        put(out, "    n%d -> n%d;\n", (int)node->input[i], (int)value);
    if (node->next != BASIN_NO_VALUE)
        put(out, "    n%d -> n%d [style=dotted];\n", (int)node->next, (int)value);
}

static basin_status finish(text *out, char **result) {
    *result = NULL;
    if (out->status == BASIN_OK)
        *result = out->data;
    else
        basin__free(out->context, out->data);
    return out->status;
}

basin_status basin_graph_print(const basin_graph *graph, char **result) {
    text out = {.context = graph->context};
    put(&out, "# %d values\n", graph->count);
    for (basin_value v = 0; v < graph->count; v++)
        put_line(&out, graph, v);
    return finish(&out, result);
}

basin_status basin_graph_print_dot(const basin_graph *graph, char **result) {
    text out = {.context = graph->context};
    put(&out, "digraph basin {\n    node [shape=box];\n");
    for (basin_value v = 0; v < graph->count; v++)
        put_dot_node(&out, graph, v);
    put(&out, "}\n");
    return finish(&out, result);
}

void basin_graph_free_text(const basin_graph *graph, char *result) {
    basin__free(graph->context, result);
}
