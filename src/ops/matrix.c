/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products of two matrices, for attention. A value is read as the matrix whose
 * rows are its pixels and whose columns are its channels:
 *
 *     C = A' B'     A' is A or its transpose, B' is B or its transpose
 *
 * With U the gradient to C,
 *
 *     dA = U B'^T,  or its transpose B' U^T where A' is A^T
 *     dB = A'^T U,  or its transpose U^T A' where B' is B^T
 *
 * which are products of the same kind, so the op is closed under
 * differentiation. An operand that examples share gets a gradient for each of
 * them, which the gradient pass sums.
 */
#include "ops/common.h"

enum { TRANSPOSE_BOTH = BASIN_TRANSPOSE_A | BASIN_TRANSPOSE_B };

static int64_t rows_of(basin_shape shape) {
    return (int64_t)shape.outer * shape.height * shape.width;
}

static bool infer_matmul(basin_graph *graph, const basin_value *inputs,
                         const basin__attributes *attributes, basin_shape *shape) {
    basin_shape a = basin_graph_shape(graph, inputs[0]), b = basin_graph_shape(graph, inputs[1]);
    const int transpose = attributes->first;
    *shape = attributes->shape;
    if (transpose & ~TRANSPOSE_BOTH) {
        basin__graph_fail(graph, BASIN_ERROR_ARGUMENT, "%d is not a set of operands", transpose);
        return false;
    }
    const bool is_a = transpose & BASIN_TRANSPOSE_A, is_b = transpose & BASIN_TRANSPOSE_B;
    int64_t rows = is_a ? a.channels : rows_of(a), columns = is_b ? rows_of(b) : b.channels;
    int64_t inner_a = is_a ? rows_of(a) : a.channels, inner_b = is_b ? b.channels : rows_of(b);
    if (inner_a == inner_b && rows_of(*shape) == rows && shape->channels == columns)
        return true;
    basin__graph_fail(
        graph, BASIN_ERROR_SHAPE, "%s%s times %s%s as %s is %lld x %lld by %lld x %lld: %s",
        basin__shape_print(a).text, is_a ? " transposed" : "", basin__shape_print(b).text,
        is_b ? " transposed" : "", basin__shape_print(*shape).text, (long long)rows,
        (long long)inner_a, (long long)inner_b, (long long)columns,
        inner_a != inner_b ? "the inner sizes must be equal"
                           : "the shape must have its rows for pixels, its columns "
                             "for channels");
    return false;
}

static unsigned transposes(bool is_a, bool is_b) {
    return (is_a ? BASIN_TRANSPOSE_A : 0u) | (is_b ? BASIN_TRANSPOSE_B : 0u);
}

static void gradient_matmul(basin_graph *graph, basin_value node, basin_value upstream,
                            const bool *wanted, basin_value *input_gradients) {
    basin__node at = basin__node_copy(graph, node);
    basin_value a = at.input[0], b = at.input[1];
    const bool is_a = at.attributes.first & BASIN_TRANSPOSE_A;
    const bool is_b = at.attributes.first & BASIN_TRANSPOSE_B;
    basin_shape shape_a = basin_graph_shape(graph, a), shape_b = basin_graph_shape(graph, b);
    if (wanted[0])
        input_gradients[0] =
            is_a ? basin_graph_matmul(graph, b, upstream, transposes(is_b, true), shape_a)
                 : basin_graph_matmul(graph, upstream, b, transposes(false, !is_b), shape_a);
    if (wanted[1])
        input_gradients[1] =
            is_b ? basin_graph_matmul(graph, upstream, a, transposes(true, is_a), shape_b)
                 : basin_graph_matmul(graph, a, upstream, transposes(!is_a, false), shape_b);
}

/** Where row `row` of a matrix begins. */
static ptrdiff_t row_at(const basin__view *view, int64_t n, int64_t row) {
    const int64_t width = view->shape.width, height = view->shape.height;
    return basin__view_at(view, n, (int)(row / width / height), (int)(row / width % height),
                          (int)(row % width), 0);
}

/** Element (i, j) of a matrix or, where it is transposed, (j, i). */
static double element(const basin__view *view, int64_t n, bool is_transposed, int64_t i,
                      int64_t j) {
    const int64_t row = is_transposed ? j : i, column = is_transposed ? i : j;
    return basin__view_get(view, row_at(view, n, row) + (ptrdiff_t)column * view->stride[4]);
}

static void run_matmul(const basin__op_call *call) {
    const basin__view *a = &call->in[0], *b = &call->in[1], *out = &call->out;
    const bool is_a = call->node->attributes.first & BASIN_TRANSPOSE_A;
    const bool is_b = call->node->attributes.first & BASIN_TRANSPOSE_B;
    const int64_t inner = is_a ? rows_of(a->shape) : a->shape.channels;
    for (int64_t n = 0; n < call->n; n++)
        for (int64_t i = 0; i < rows_of(out->shape); i++)
            for (int j = 0; j < out->shape.channels; j++) {
                double sum = 0;
                for (int64_t k = 0; k < inner; k++)
                    sum += element(a, n, is_a, i, k) * element(b, n, is_b, k, j);
                basin__view_set(out, row_at(out, n, i) + j * out->stride[4], sum);
            }
}

/* ---- cases: the four products, of images and of rows alone ---- */

static const basin__op_case matmul_cases[] = {
    {{{1, 2, 2, 3}, {1, 3, 1, 5}}, {.shape = {1, 4, 1, 5}}, -1, 1},
    {{{1, 3, 2, 2}, {1, 2, 2, 2}}, {.shape = {1, 3, 2, 4}, .first = BASIN_TRANSPOSE_B}, -1, 1},
    {{{1, 2, 2, 3}, {1, 1, 4, 2}}, {.shape = {1, 1, 3, 2}, .first = BASIN_TRANSPOSE_A}, -1, 1},
    {{{1, 2, 1, 4}, {1, 3, 1, 2}}, {.shape = {2, 2, 1, 3}, .first = TRANSPOSE_BOTH}, -1, 1},
    {{{1, 1, 1, 3}, {3, 1, 1, 1}}, {.shape = {1, 1, 1, 1}}, -1, 1},
};

const basin__op_def basin__op_matmul = {
    .name = "matmul",
    .help = "A B of matrices whose rows are pixels; either may be transposed",
    .input_count = 2,
    .is_smooth = true,
    .infer = infer_matmul,
    .gradient = gradient_matmul,
    .run = run_matmul,
    .cases = matmul_cases,
    .case_count = BASIN_COUNT(matmul_cases),
};
