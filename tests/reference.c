/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See reference.h. Out of memory here is a broken test, so it aborts.
 */
#include "reference.h"
#include <math.h>
#include <stdlib.h>

static void *take(size_t count, size_t size) {
    void *memory = calloc(count > 0 ? count : 1, size);
    if (!memory)
        abort();
    return memory;
}

static bool is_per_example(const reference *r, basin_value value) {
    return r->graph->nodes[value].scope == BASIN__SCOPE_PER_EXAMPLE;
}

int64_t reference_count(const reference *r, basin_value value) {
    int64_t count = basin_shape_count(r->graph->nodes[value].shape);
    return is_per_example(r, value) ? count * r->n : count;
}

reference *reference_create(const basin_graph *graph, int64_t n) {
    reference *r = take(1, sizeof(*r));
    r->graph = graph;
    r->n = n;
    r->values = take((size_t)graph->count, sizeof(*r->values));
    for (int v = 0; v < graph->count; v++)
        r->values[v] = take((size_t)reference_count(r, v), sizeof(double));
    return r;
}

void reference_destroy(reference *r) {
    for (int v = 0; v < r->graph->count; v++)
        free(r->values[v]);
    free(r->values);
    free(r);
}

/** SplitMix64. */
double reference_uniform(uint64_t seed, uint64_t index) {
    uint64_t z = (seed * 0x632BE59BD9B4E019u + index + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

void reference_fill(reference *r, basin_value source, uint64_t seed, double low, double high) {
    for (int64_t i = 0; i < reference_count(r, source); i++)
        r->values[source][i] = low + (high - low) * reference_uniform(seed, (uint64_t)i);
}

basin__view reference_view(double *data, basin_shape shape, bool is_shared) {
    basin__view view = {.data = data, .is_f64 = true, .shape = shape};
    view.stride[4] = 1;
    view.stride[3] = shape.channels;
    view.stride[2] = view.stride[3] * shape.width;
    view.stride[1] = view.stride[2] * shape.height;
    view.stride[0] = is_shared ? 0 : view.stride[1] * shape.outer;
    return view;
}

static void run_node(reference *r, basin_value value) {
    const basin__node *node = &r->graph->nodes[value];
    const basin__op_def *def = basin__op_definition(node->op);
    double start = node->op == BASIN__OP_constant ? node->attributes.a
                   : def->sums_batch              ? 0.0
                                                  : NAN;
    if (def->is_source && node->op != BASIN__OP_constant)
        return;
    for (int64_t i = 0; i < reference_count(r, value); i++)
        r->values[value][i] = start;
    if (def->is_source)
        return;
    bool is_for_each = is_per_example(r, value) || basin__graph_is_batch_sum(r->graph, value);
    basin__op_call call = {.node = node, .n = is_for_each ? r->n : 1};
    call.out = reference_view(r->values[value], node->shape, !is_per_example(r, value));
    for (int i = 0; i < node->input_count; i++)
        call.in[i] =
            reference_view(r->values[node->input[i]], basin_graph_shape(r->graph, node->input[i]),
                           !is_per_example(r, node->input[i]));
    def->run(&call);
}

const double *reference_run(reference *r, basin_value value) {
    for (basin_value v = 0; v <= value; v++)
        run_node(r, v);
    return r->values[value];
}
