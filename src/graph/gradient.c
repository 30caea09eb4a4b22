/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gradient pass: reverse-mode differentiation that emits nodes.
 *
 * Walk back from y over the nodes that lie on a path from some x. Each has an
 * adjoint, the gradient of Σ y to it; its op turns that into contributions to
 * its inputs, which are added up. Adjoints are ordinary values, so the result
 * can be differentiated again.
 *
 * The batch is implied in the adjoints too. Where something per example was
 * made from something shared, the shared value's gradient is the sum over the
 * batch, and this is the one place where that sum is written. A contribution
 * may itself be the same for all examples (a bias of an energy: 1 for each);
 * its sum is n times it, and batch_sum knows that.
 *
 * Griewank & Walther (2008), Evaluating Derivatives, ch. 3.
 */
#include "graph/op.h"

typedef struct reverse {
    basin_graph *graph;
    int count;            /* nodes up to y */
    bool *is_active;      /* [count] on a path from an x */
    basin_value *adjoint; /* [count] so far, or BASIN_NO_VALUE */
} reverse;

static void mark_active(reverse *pass, const basin_value *x, int x_count) {
    for (int k = 0; k < x_count; k++)
        if (x[k] < pass->count)
            pass->is_active[x[k]] = true;
    for (int v = 0; v < pass->count; v++) {
        const basin__node *node = basin__graph_node(pass->graph, v);
        if (!basin__op_definition(node->op)->gradient)
            continue;
        for (int i = 0; i < node->input_count; i++)
            if (pass->is_active[node->input[i]])
                pass->is_active[v] = true;
    }
}

static void fail_second_pass(basin_graph *graph, const basin__op_def *def) {
    basin__graph_fail(graph, BASIN_ERROR_UNSUPPORTED,
                      "gradient: the way back through %s to each example needs a second pass over "
                      "the batch",
                      def->name);
}

/** Add a contribution from node v to the adjoint of its input. */
static void contribute(reverse *pass, basin_value v, basin_value input, basin_value gradient) {
    basin_graph *graph = pass->graph;
    bool is_reduced = graph->nodes[gradient].scope == BASIN__SCOPE_REDUCED;
    if (graph->nodes[input].scope == BASIN__SCOPE_PER_EXAMPLE) {
        if (is_reduced) {
            fail_second_pass(graph, basin__op_definition(graph->nodes[v].op));
            return;
        }
    } else if (!is_reduced && (graph->nodes[v].scope == BASIN__SCOPE_PER_EXAMPLE ||
                               basin__graph_is_batch_sum(graph, v))) {
        gradient = basin_graph_batch_sum(graph, gradient);
    }
    basin_value *adjoint = &pass->adjoint[input];
    *adjoint = *adjoint == BASIN_NO_VALUE ? gradient : basin_graph_add(graph, *adjoint, gradient);
}

static void step_back(reverse *pass, basin_value v) {
    basin_graph *graph = pass->graph;
    const basin__node node = graph->nodes[v];
    const basin__op_def *def = basin__op_definition(node.op);
    basin_value upstream = pass->adjoint[v];
    if (!def->gradient)
        return;
    if (basin__graph_is_batch_sum(graph, v) &&
        graph->nodes[upstream].scope == BASIN__SCOPE_REDUCED) {
        fail_second_pass(graph, def);
        return;
    }
    bool wanted[BASIN__INPUTS_MAX] = {false};
    basin_value gradients[BASIN__INPUTS_MAX] = {BASIN_NO_VALUE, BASIN_NO_VALUE};
    for (int i = 0; i < node.input_count; i++)
        wanted[i] = pass->is_active[node.input[i]];
    def->gradient(graph, v, upstream, wanted, gradients);
    for (int i = 0; i < node.input_count && graph->status == BASIN_OK; i++)
        if (wanted[i] && gradients[i] != BASIN_NO_VALUE)
            contribute(pass, v, node.input[i], gradients[i]);
}

static void run_pass(reverse *pass, basin_value y, const basin_value *x, int count,
                     basin_value *gradients) {
    basin_graph *graph = pass->graph;
    mark_active(pass, x, count);
    for (int v = 0; v < pass->count; v++)
        pass->adjoint[v] = BASIN_NO_VALUE;
    pass->adjoint[y] = basin_graph_constant(graph, 1.0, graph->nodes[y].shape);
    for (int v = y; v >= 0 && graph->status == BASIN_OK; v--)
        if (pass->is_active[v] && pass->adjoint[v] != BASIN_NO_VALUE)
            step_back(pass, v);
    for (int k = 0; k < count; k++) {
        basin_value adjoint = x[k] < pass->count ? pass->adjoint[x[k]] : BASIN_NO_VALUE;
        gradients[k] = graph->status != BASIN_OK ? BASIN_NO_VALUE
                       : adjoint != BASIN_NO_VALUE
                           ? adjoint
                           : basin_graph_constant(graph, 0.0, graph->nodes[x[k]].shape);
    }
}

static bool check_values(basin_graph *graph, basin_value y, const basin_value *x, int count) {
    bool is_good = y >= 0 && y < graph->count;
    for (int k = 0; k < count; k++)
        is_good = is_good && x[k] >= 0 && x[k] < graph->count;
    if (!is_good)
        basin__graph_fail(graph, BASIN_ERROR_ARGUMENT,
                          "gradient: an argument is not a value of this graph");
    return is_good && graph->status == BASIN_OK;
}

void basin_graph_gradient(basin_graph *graph, basin_value y, const basin_value *x, int count,
                          basin_value *gradients) {
    for (int k = 0; k < count; k++)
        gradients[k] = BASIN_NO_VALUE;
    if (!check_values(graph, y, x, count))
        return;
    reverse pass = {.graph = graph, .count = y + 1};
    pass.is_active =
        basin__alloc_array(graph->context, (size_t)pass.count, sizeof(*pass.is_active));
    pass.adjoint = basin__alloc_array(graph->context, (size_t)pass.count, sizeof(*pass.adjoint));
    if (pass.is_active && pass.adjoint)
        run_pass(&pass, y, x, count, gradients);
    else
        graph->status = BASIN_ERROR_MEMORY;
    basin__free(graph->context, pass.adjoint);
    basin__free(graph->context, pass.is_active);
}
