/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Embeddings: a row of a table, and the adjoint, a vector added to a row of
 * zeros. The index is a number of the graph like any other; one that names no
 * row gives NaN, so that it is seen, and never reads outside of the table.
 *
 * one_hot says a class as a vector, which is multiplied with what belongs to
 * classes. An index outside says that there is no class: zeros.
 */
#include "ops/common.h"
#include <math.h>

static bool check_index(basin_graph *graph, basin_value index) {
    basin_shape shape = basin_graph_shape(graph, index);
    if (basin_shape_count(shape) == 1)
        return true;
    basin__graph_fail(graph, BASIN_ERROR_SHAPE, "the index must be one number, not %s",
                      basin__shape_print(shape).text);
    return false;
}

static bool check_table(basin_graph *graph, basin_shape table) {
    if (table.height == 1 && table.width == 1)
        return true;
    basin__graph_fail(graph, BASIN_ERROR_SHAPE, "a table is [rows, 1, 1, channels], not %s",
                      basin__shape_print(table).text);
    return false;
}

static bool infer_lookup(basin_graph *graph, const basin_value *inputs,
                         const basin__attributes *attributes, basin_shape *shape) {
    (void)attributes;
    basin_shape table = basin_graph_shape(graph, inputs[0]);
    *shape = basin_shape_vector(table.channels);
    if (!basin_graph_is_shared(graph, inputs[0])) {
        basin__graph_fail(graph, BASIN_ERROR_UNSUPPORTED,
                          "the table must be shared by all examples");
        return false;
    }
    return check_table(graph, table) && check_index(graph, inputs[1]);
}

static bool infer_lookup_table(basin_graph *graph, const basin_value *inputs,
                               const basin__attributes *attributes, basin_shape *shape) {
    basin_shape row = basin_graph_shape(graph, inputs[0]);
    *shape = attributes->shape;
    if (!check_table(graph, *shape) || !check_index(graph, inputs[1]))
        return false;
    if (basin_shape_equal(row, basin_shape_vector(shape->channels)))
        return true;
    basin__graph_fail(graph, BASIN_ERROR_SHAPE, "%s is not a row of %s",
                      basin__shape_print(row).text, basin__shape_print(*shape).text);
    return false;
}

static void gradient_lookup(basin_graph *graph, basin_value node, basin_value upstream,
                            const bool *wanted, basin_value *input_gradients) {
    basin__node at = basin__node_copy(graph, node);
    basin__attributes attributes = {.shape = basin_graph_shape(graph, at.input[0])};
    if (wanted[0])
        input_gradients[0] =
            basin__graph_add(graph, BASIN__OP_lookup_table, 2,
                             (const basin_value[]){upstream, at.input[1]}, &attributes);
}

static void gradient_lookup_table(basin_graph *graph, basin_value node, basin_value upstream,
                                  const bool *wanted, basin_value *input_gradients) {
    basin__node at = basin__node_copy(graph, node);
    if (wanted[0])
        input_gradients[0] = basin_graph_lookup(graph, upstream, at.input[1]);
}

/** The row an example's index names, or -1. */
static int row_of(const basin__view *index, int64_t n, int rows) {
    double number = basin__view_get(index, basin__view_at(index, n, 0, 0, 0, 0));
    if (!(number >= 0 && number < rows) || floor(number) < number)
        return -1;
    return (int)number;
}

static void run_lookup(const basin__op_call *call) {
    const basin__view *table = &call->in[0], *out = &call->out;
    for (int64_t n = 0; n < call->n; n++) {
        int row = row_of(&call->in[1], n, table->shape.outer);
        for (int c = 0; c < out->shape.channels; c++)
            basin__view_set(
                out, basin__view_at(out, n, 0, 0, 0, c),
                row < 0 ? NAN : basin__view_get(table, basin__view_at(table, n, row, 0, 0, c)));
    }
}

static void run_lookup_table(const basin__op_call *call) {
    const basin__view *in = &call->in[0], *out = &call->out;
    for (int64_t n = 0; n < call->n; n++) {
        int row = row_of(&call->in[1], n, out->shape.outer);
        int first = row < 0 ? 0 : row, end = row < 0 ? out->shape.outer : row + 1;
        for (int o = first; o < end; o++)
            for (int c = 0; c < out->shape.channels; c++)
                basin__view_add(out, basin__view_at(out, 0, o, 0, 0, c),
                                row < 0 ? NAN
                                        : basin__view_get(in, basin__view_at(in, n, 0, 0, 0, c)));
    }
}

static bool infer_one_hot(basin_graph *graph, const basin_value *inputs,
                          const basin__attributes *attributes, basin_shape *shape) {
    *shape = basin_shape_vector(attributes->size);
    return check_index(graph, inputs[0]);
}

static void run_one_hot(const basin__op_call *call) {
    const basin__view *in = &call->in[0], *out = &call->out;
    for (int64_t n = 0; n < call->n; n++) {
        double index = round(basin__view_get(in, basin__view_at(in, n, 0, 0, 0, 0)));
        for (int c = 0; c < out->shape.channels; c++) {
            bool is_there = index >= c && index <= c;
            basin__view_set(out, basin__view_at(out, n, 0, 0, 0, c), is_there ? 1.0 : 0.0);
        }
    }
}

static const basin__op_case lookup_cases[] = {
    {{{4, 1, 1, 3}, {1, 1, 1, 1}}, {.a = 0}, 0, 3},
    {{{1, 1, 1, 2}, {1, 1, 1, 1}}, {.a = 0}, 0, 0.4},
};
static const basin__op_case lookup_table_cases[] = {
    {{{1, 1, 1, 3}, {1, 1, 1, 1}}, {.shape = {4, 1, 1, 3}}, 0, 3},
    {{{1, 1, 1, 2}, {1, 1, 1, 1}}, {.shape = {1, 1, 1, 2}}, 0, 0.4},
};

static const basin__op_case one_hot_cases[] = {
    {{{1, 1, 1, 1}}, {.size = 4}, 0, 3},
    {{{1, 1, 1, 1}}, {.size = 3}, -2, -1},
    {{{1, 1, 1, 1}}, {.size = 1}, 0, 0.4},
};

const basin__op_def basin__op_lookup = {
    .name = "lookup",
    .help = "a row of a table; NaN where the index names none",
    .input_count = 2,
    .is_smooth = true,
    .infer = infer_lookup,
    .gradient = gradient_lookup,
    .run = run_lookup,
    .cases = lookup_cases,
    .case_count = BASIN_COUNT(lookup_cases),
};

const basin__op_def basin__op_lookup_table = {
    .name = "lookup_table",
    .help = "adjoint of lookup to its table: a row into zeros, summed over the batch",
    .input_count = 2,
    .sums_batch = true,
    .is_smooth = true,
    .infer = infer_lookup_table,
    .gradient = gradient_lookup_table,
    .run = run_lookup_table,
    .cases = lookup_table_cases,
    .case_count = BASIN_COUNT(lookup_table_cases),
};

const basin__op_def basin__op_one_hot = {
    .name = "one_hot",
    .help = "1 at the index, 0 elsewhere; zeros where the index is outside",
    .input_count = 1,
    .infer = infer_one_hot,
    .run = run_one_hot,
    .cases = one_hot_cases,
    .case_count = BASIN_COUNT(one_hot_cases),
};
