/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ops that move elements without computing: reshape, the flattening in
 * PyTorch's order, joining and cutting channels. The adjoint of each moves them
 * back.
 */
#include "ops/common.h"

/* ---- reshape: [outer, height, width, channels] order is kept ---- */

static bool infer_reshape(basin_graph *graph, const basin_value *inputs,
                          const basin__attributes *attributes, basin_shape *shape) {
    basin_shape x = basin_graph_shape(graph, inputs[0]);
    *shape = attributes->shape;
    if (basin_shape_count(x) == basin_shape_count(*shape))
        return true;
    basin__graph_fail(graph, BASIN_ERROR_SHAPE, "%s has another number of elements than %s",
                      basin__shape_print(x).text, basin__shape_print(*shape).text);
    return false;
}

static void gradient_reshape(basin_graph *graph, basin_value node, basin_value upstream,
                             const bool *wanted, basin_value *input_gradients) {
    (void)wanted;
    basin_shape shape = basin_graph_shape(graph, graph->nodes[node].input[0]);
    input_gradients[0] = basin_graph_reshape(graph, upstream, shape);
}

static void run_reshape(const basin__op_call *call) {
    const basin__view *in = &call->in[0], *out = &call->out;
    basin__pixel q = {0};
    int k = 0; /* (q, k): the element of the input that comes next */
    for (basin__pixel p = {0}; p.n < call->n; basin__pixel_step(&p, out->shape))
        for (int c = 0; c < out->shape.channels; c++) {
            basin__view_set(out, basin__pixel_at(out, p) + c * out->stride[4],
                            basin__view_get(in, basin__pixel_at(in, q) + k * in->stride[4]));
            if (++k == in->shape.channels) {
                k = 0;
                basin__pixel_step(&q, in->shape);
            }
        }
}

/* ---- flatten: element (y, x, c) goes to channel (c · height + y) · width + x ---- */

static bool infer_flatten(basin_graph *graph, const basin_value *inputs,
                          const basin__attributes *attributes, basin_shape *shape) {
    (void)attributes;
    basin_shape x = basin_graph_shape(graph, inputs[0]);
    *shape = (basin_shape){x.outer, 1, 1, x.height * x.width * x.channels};
    return true;
}

static bool infer_unflatten(basin_graph *graph, const basin_value *inputs,
                            const basin__attributes *attributes, basin_shape *shape) {
    basin_shape x = basin_graph_shape(graph, inputs[0]);
    *shape = attributes->shape;
    if (x.height == 1 && x.width == 1 && x.outer == shape->outer &&
        basin_shape_count(x) == basin_shape_count(*shape))
        return true;
    basin__graph_fail(graph, BASIN_ERROR_SHAPE, "%s is not %s made flat",
                      basin__shape_print(x).text, basin__shape_print(*shape).text);
    return false;
}

static void gradient_flatten(basin_graph *graph, basin_value node, basin_value upstream,
                             const bool *wanted, basin_value *input_gradients) {
    (void)wanted;
    basin_shape shape = basin_graph_shape(graph, graph->nodes[node].input[0]);
    input_gradients[0] = basin__graph_add(graph, BASIN__OP_unflatten, 1, &upstream,
                                          &(basin__attributes){.shape = shape});
}

static void gradient_unflatten(basin_graph *graph, basin_value node, basin_value upstream,
                               const bool *wanted, basin_value *input_gradients) {
    (void)node;
    (void)wanted;
    input_gradients[0] = basin_graph_flatten(graph, upstream);
}

/** Copy between an image and its flat vector, one way or the other. */
static void run_between(const basin__op_call *call, bool is_to_flat) {
    const basin__view *in = &call->in[0], *out = &call->out;
    basin_shape shape = is_to_flat ? in->shape : out->shape;
    const basin__view *flat = is_to_flat ? out : in, *image = is_to_flat ? in : out;
    for (basin__pixel p = {0}; p.n < call->n; basin__pixel_step(&p, shape))
        for (int c = 0; c < shape.channels; c++) {
            int channel = (c * shape.height + p.y) * shape.width + p.x;
            ptrdiff_t at_flat = basin__view_at(flat, p.n, p.o, 0, 0, channel);
            ptrdiff_t at_image = basin__pixel_at(image, p) + c * image->stride[4];
            basin__view_set(out, is_to_flat ? at_flat : at_image,
                            basin__view_get(in, is_to_flat ? at_image : at_flat));
        }
}

static void run_flatten(const basin__op_call *call) { run_between(call, true); }
static void run_unflatten(const basin__op_call *call) { run_between(call, false); }

/* ---- concatenate, slice, slice_input: along channels ---- */

static bool infer_concatenate(basin_graph *graph, const basin_value *inputs,
                              const basin__attributes *attributes, basin_shape *shape) {
    (void)attributes;
    basin_shape a = basin_graph_shape(graph, inputs[0]), b = basin_graph_shape(graph, inputs[1]);
    *shape = a;
    if (a.outer != b.outer || a.height != b.height || a.width != b.width ||
        b.channels > INT32_MAX - a.channels) {
        basin__graph_fail(graph, BASIN_ERROR_SHAPE, "%s and %s differ in more than channels",
                          basin__shape_print(a).text, basin__shape_print(b).text);
        return false;
    }
    shape->channels += b.channels;
    return true;
}

/** Whether channels [first, first + count) are some of those of `whole`; else fails. */
static bool check_range(basin_graph *graph, basin_shape whole, int first, int count) {
    if (first >= 0 && count >= 1 && count <= whole.channels && first <= whole.channels - count)
        return true;
    basin__graph_fail(graph, BASIN_ERROR_SHAPE, "%d channels from %d on are not all in %s", count,
                      first, basin__shape_print(whole).text);
    return false;
}

static bool infer_slice(basin_graph *graph, const basin_value *inputs,
                        const basin__attributes *attributes, basin_shape *shape) {
    *shape = basin_graph_shape(graph, inputs[0]);
    if (!check_range(graph, *shape, attributes->first, attributes->size))
        return false;
    shape->channels = attributes->size;
    return true;
}

static bool infer_slice_input(basin_graph *graph, const basin_value *inputs,
                              const basin__attributes *attributes, basin_shape *shape) {
    basin_shape part = basin_graph_shape(graph, inputs[0]);
    *shape = attributes->shape;
    if (part.outer == shape->outer && part.height == shape->height && part.width == shape->width)
        return check_range(graph, *shape, attributes->first, part.channels);
    basin__graph_fail(graph, BASIN_ERROR_SHAPE, "%s is not a slice of %s",
                      basin__shape_print(part).text, basin__shape_print(*shape).text);
    return false;
}

static void gradient_concatenate(basin_graph *graph, basin_value node, basin_value upstream,
                                 const bool *wanted, basin_value *input_gradients) {
    basin__node at = basin__node_copy(graph, node);
    int a = basin_graph_shape(graph, at.input[0]).channels;
    if (wanted[0])
        input_gradients[0] = basin_graph_slice(graph, upstream, 0, a);
    if (wanted[1])
        input_gradients[1] = basin_graph_slice(graph, upstream, a, at.shape.channels - a);
}

static void gradient_slice(basin_graph *graph, basin_value node, basin_value upstream,
                           const bool *wanted, basin_value *input_gradients) {
    (void)wanted;
    basin__node at = basin__node_copy(graph, node);
    basin__attributes attributes = {.first = at.attributes.first,
                                    .shape = basin_graph_shape(graph, at.input[0])};
    input_gradients[0] = basin__graph_add(graph, BASIN__OP_slice_input, 1, &upstream, &attributes);
}

static void gradient_slice_input(basin_graph *graph, basin_value node, basin_value upstream,
                                 const bool *wanted, basin_value *input_gradients) {
    (void)wanted;
    basin__node at = basin__node_copy(graph, node);
    input_gradients[0] = basin_graph_slice(graph, upstream, at.attributes.first,
                                           basin_graph_shape(graph, at.input[0]).channels);
}

static void run_concatenate(const basin__op_call *call) {
    const basin__view *a = &call->in[0], *b = &call->in[1], *out = &call->out;
    for (basin__pixel p = {0}; p.n < call->n; basin__pixel_step(&p, out->shape))
        for (int c = 0; c < out->shape.channels; c++) {
            const basin__view *from = c < a->shape.channels ? a : b;
            int k = c < a->shape.channels ? c : c - a->shape.channels;
            basin__view_set(out, basin__pixel_at(out, p) + c * out->stride[4],
                            basin__view_get(from, basin__pixel_at(from, p) + k * from->stride[4]));
        }
}

static void run_slice(const basin__op_call *call) {
    const basin__view *in = &call->in[0], *out = &call->out;
    int first = call->node->attributes.first;
    for (basin__pixel p = {0}; p.n < call->n; basin__pixel_step(&p, out->shape))
        for (int c = 0; c < out->shape.channels; c++)
            basin__view_set(
                out, basin__pixel_at(out, p) + c * out->stride[4],
                basin__view_get(in, basin__pixel_at(in, p) + (first + c) * in->stride[4]));
}

static void run_slice_input(const basin__op_call *call) {
    const basin__view *in = &call->in[0], *out = &call->out;
    int first = call->node->attributes.first;
    for (basin__pixel p = {0}; p.n < call->n; basin__pixel_step(&p, out->shape))
        for (int c = 0; c < out->shape.channels; c++) {
            int k = c - first;
            double number = k < 0 || k >= in->shape.channels
                                ? 0.0
                                : basin__view_get(in, basin__pixel_at(in, p) + k * in->stride[4]);
            basin__view_set(out, basin__pixel_at(out, p) + c * out->stride[4], number);
        }
}

/* ---- definitions ---- */

static const basin__op_case reshape_cases[] = {
    {{{1, 2, 3, 4}}, {.shape = {1, 4, 1, 6}}, -1, 1},
    {{{3, 2, 2, 1}}, {.shape = {3, 1, 1, 4}}, -1, 1},
    {{{1, 1, 1, 6}}, {.shape = {1, 3, 2, 1}}, -1, 1},
};
static const basin__op_case flatten_cases[] = {
    {{{1, 2, 3, 4}}, {.a = 0}, -1, 1},
    {{{2, 3, 1, 2}}, {.a = 0}, -1, 1},
};
static const basin__op_case unflatten_cases[] = {
    {{{1, 1, 1, 24}}, {.shape = {1, 2, 3, 4}}, -1, 1},
    {{{2, 1, 1, 6}}, {.shape = {2, 3, 1, 2}}, -1, 1},
};
static const basin__op_case concatenate_cases[] = {
    {{{1, 2, 2, 3}, {1, 2, 2, 1}}, {.a = 0}, -1, 1},
    {{{1, 1, 1, 1}, {1, 1, 1, 2}}, {.a = 0}, -1, 1},
};
static const basin__op_case slice_cases[] = {
    {{{1, 2, 2, 5}}, {.first = 1, .size = 3}, -1, 1},
    {{{1, 1, 1, 3}}, {.first = 2, .size = 1}, -1, 1},
};
static const basin__op_case slice_input_cases[] = {
    {{{1, 2, 2, 3}}, {.shape = {1, 2, 2, 5}, .first = 1}, -1, 1},
    {{{1, 1, 1, 1}}, {.shape = {1, 1, 1, 3}, .first = 2}, -1, 1},
};

#define MOVING(op_name, inputs, what)                                                              \
    const basin__op_def basin__op_##op_name = {.name = #op_name,                                   \
                                               .help = what,                                       \
                                               .input_count = inputs,                              \
                                               .is_smooth = true,                                  \
                                               .infer = infer_##op_name,                           \
                                               .gradient = gradient_##op_name,                     \
                                               .run = run_##op_name,                               \
                                               .cases = op_name##_cases,                           \
                                               .case_count = BASIN_COUNT(op_name##_cases)};

MOVING(reshape, 1, "the same elements in the same order, in another shape")
MOVING(flatten, 1, "to a vector in the order channels, height, width")
MOVING(unflatten, 1, "adjoint of flatten: from a vector back to an image")
MOVING(concatenate, 2, "a and b side by side along channels")
MOVING(slice, 1, "some channels")
MOVING(slice_input, 1, "adjoint of slice: channels put into zeros")
