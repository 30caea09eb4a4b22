/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Graphs: what happens to ONE example. The batch is implied.
 *
 * A value is per example or shared by all (a parameter, a constant, and what is
 * computed from those alone). Builders infer shapes and never fail loudly: the
 * first error is kept by the graph, later builders return BASIN_NO_VALUE, and
 * compiling a plan reports it. So a network is written without error checks.
 *
 * A gradient is more graph: basin_graph_gradient() emits nodes of the same ops,
 * which can be differentiated again.
 */
#ifndef BASIN_GRAPH_H
#define BASIN_GRAPH_H

#include <basin/context.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct basin_graph basin_graph;

/** Handle of a value in its graph. */
typedef int32_t basin_value;
#define BASIN_NO_VALUE ((basin_value)-1)

/**
 * Shape, outermost first. An image is [1, height, width, channels], a vector [1, 1, 1, channels],
 * a scalar all ones; a convolution's weight is [outputs, kernel height, kernel width, inputs], an
 * embedding table [rows, 1, 1, channels].
 */
typedef struct basin_shape {
    int32_t outer, height, width, channels;
} basin_shape;

/** Axes for sums and means; outer is never summed by these. */
enum { BASIN_AXIS_HEIGHT = 1, BASIN_AXIS_WIDTH = 2, BASIN_AXIS_CHANNELS = 4 };
#define BASIN_AXES_SPACE (BASIN_AXIS_HEIGHT | BASIN_AXIS_WIDTH)
#define BASIN_AXES_ALL (BASIN_AXES_SPACE | BASIN_AXIS_CHANNELS)

BASIN_API basin_shape basin_shape_image(int height, int width, int channels);
BASIN_API basin_shape basin_shape_vector(int channels);
BASIN_API int64_t basin_shape_count(basin_shape shape);
BASIN_API bool basin_shape_equal(basin_shape a, basin_shape b);

BASIN_API BASIN_MUST_CHECK basin_status basin_graph_create(basin_context *context,
                                                           basin_graph **out);
BASIN_API void basin_graph_destroy(basin_graph *graph);
/** BASIN_OK, or the first builder error, whose text the context holds. */
BASIN_API basin_status basin_graph_status(const basin_graph *graph);
BASIN_API basin_shape basin_graph_shape(const basin_graph *graph, basin_value value);
/** Whether a value is the same for all examples. */
BASIN_API bool basin_graph_is_shared(const basin_graph *graph, basin_value value);

/* ---- sources: the same name gives the same value again; another shape is an error ---- */

/** A per-example input. */
BASIN_API basin_value basin_graph_input(basin_graph *graph, const char *name, basin_shape shape);
/** A trainable value shared by all examples. */
BASIN_API basin_value basin_graph_parameter(basin_graph *graph, const char *name,
                                            basin_shape shape);
/** A shared value updated once per parameter step (spectral norm's vector): see set_next. */
BASIN_API basin_value basin_graph_state(basin_graph *graph, const char *name, basin_shape shape);
/** A shared run-time input (a temperature, a weight): changing it recompiles nothing. */
BASIN_API basin_value basin_graph_setting(basin_graph *graph, const char *name, basin_shape shape);
/** A shared value filled with one number. */
BASIN_API basin_value basin_graph_constant(basin_graph *graph, double number, basin_shape shape);
/** The value a state takes after the next parameter step. */
BASIN_API void basin_graph_set_next(basin_graph *graph, basin_value state, basin_value next);

/* ---- the convolution family: z[y, x, o] = Σ x[y·stride + i − pad, x·stride + j − pad, c] w[o, i,
 * j, c] ---- */

typedef struct basin_conv {
    int stride, pad;
} basin_conv;

BASIN_API basin_value basin_graph_conv(basin_graph *graph, basin_value x, basin_value weight,
                                       basin_conv conv);
/** Adjoint to the input: from an output gradient [1, oh, ow, O] to an image of `shape`. */
BASIN_API basin_value basin_graph_conv_input(basin_graph *graph, basin_value gradient,
                                             basin_value weight, basin_shape shape,
                                             basin_conv conv);
/** Adjoint to the weight of `shape`; summed over the batch where an input is per example. */
BASIN_API basin_value basin_graph_conv_weight(basin_graph *graph, basin_value x,
                                              basin_value gradient, basin_shape shape,
                                              basin_conv conv);
/** W x for a vector x and a weight [outputs, 1, 1, inputs]: a 1×1 convolution. */
BASIN_API basin_value basin_graph_linear(basin_graph *graph, basin_value x, basin_value weight);

/* ---- element by element; an axis of length 1 is broadcast ---- */

BASIN_API basin_value basin_graph_add(basin_graph *graph, basin_value a, basin_value b);
BASIN_API basin_value basin_graph_sub(basin_graph *graph, basin_value a, basin_value b);
BASIN_API basin_value basin_graph_mul(basin_graph *graph, basin_value a, basin_value b);
BASIN_API basin_value basin_graph_scale(basin_graph *graph, basin_value x, double factor);
BASIN_API basin_value basin_graph_offset(basin_graph *graph, basin_value x, double term);
BASIN_API basin_value basin_graph_square(basin_graph *graph, basin_value x);
BASIN_API basin_value basin_graph_exp(basin_graph *graph, basin_value x);
BASIN_API basin_value basin_graph_log(basin_graph *graph, basin_value x);
BASIN_API basin_value basin_graph_sqrt(basin_graph *graph, basin_value x);
BASIN_API basin_value basin_graph_reciprocal(basin_graph *graph, basin_value x);
BASIN_API basin_value basin_graph_sigmoid(basin_graph *graph, basin_value x);
BASIN_API basin_value basin_graph_silu(basin_graph *graph, basin_value x);
BASIN_API basin_value basin_graph_softplus(basin_graph *graph, basin_value x);
BASIN_API basin_value basin_graph_tanh(basin_graph *graph, basin_value x);
BASIN_API basin_value basin_graph_relu(basin_graph *graph, basin_value x);
BASIN_API basin_value basin_graph_leaky_relu(basin_graph *graph, basin_value x, double slope);
BASIN_API basin_value basin_graph_clamp(basin_graph *graph, basin_value x, double low, double high);
/** x, through which no gradient flows. */
BASIN_API basin_value basin_graph_stop(basin_graph *graph, basin_value x);

/* ---- sums, shapes, pictures ---- */

BASIN_API basin_value basin_graph_sum(basin_graph *graph, basin_value x, unsigned axes);
BASIN_API basin_value basin_graph_mean(basin_graph *graph, basin_value x, unsigned axes);
/** Sum of a b, both of one shape. */
BASIN_API basin_value basin_graph_dot(basin_graph *graph, basin_value a, basin_value b,
                                      unsigned axes);
/** Repeat axes of length 1 up to `shape`. */
BASIN_API basin_value basin_graph_broadcast(basin_graph *graph, basin_value x, basin_shape shape);
/** Sum over the batch: per example in, shared out. Of a shared value: n times that value. */
BASIN_API basin_value basin_graph_batch_sum(basin_graph *graph, basin_value x);
/** The same numbers, in [outer, height, width, channels] order, in another shape. */
BASIN_API basin_value basin_graph_reshape(basin_graph *graph, basin_value x, basin_shape shape);
/** To a vector in PyTorch's order: channels, height, width. */
BASIN_API basin_value basin_graph_flatten(basin_graph *graph, basin_value x);
/** Along channels. */
BASIN_API basin_value basin_graph_concatenate(basin_graph *graph, basin_value a, basin_value b);
BASIN_API basin_value basin_graph_slice(basin_graph *graph, basin_value x, int first, int count);
/** Mean over windows of size × size, `size` apart; height and width must divide. */
BASIN_API basin_value basin_graph_average_pool(basin_graph *graph, basin_value x, int size);
/** Nearest neighbour: each pixel becomes factor × factor. */
BASIN_API basin_value basin_graph_upsample(basin_graph *graph, basin_value x, int factor);
/** log Σ exp over channels. */
BASIN_API basin_value basin_graph_log_sum_exp(basin_graph *graph, basin_value x);
/** exp(x) / Σ exp(x) over channels. */
BASIN_API basin_value basin_graph_softmax(basin_graph *graph, basin_value x);
/** Row `index` (a per-example scalar holding a whole number) of a table [rows, 1, 1, C]. */
BASIN_API basin_value basin_graph_lookup(basin_graph *graph, basin_value table, basin_value index);

/** 1 at channel round(index) of `count`, 0 elsewhere; an index outside gives zeros: "no class". */
BASIN_API basin_value basin_graph_one_hot(basin_graph *graph, basin_value index, int count);

/* ---- matrices: a value is one whose rows are its pixels, its columns its channels ---- */

/** Which of a product's operands are transposed. */
enum { BASIN_TRANSPOSE_A = 1, BASIN_TRANSPOSE_B = 2 };

/**
 * A B, or with one or both transposed, as a value of `shape`: an image's rows are its pixels in
 * order. Operands may be per example or shared.
 */
BASIN_API basin_value basin_graph_matmul(basin_graph *graph, basin_value a, basin_value b,
                                         unsigned transpose, basin_shape shape);

/* ---- gradients and printing ---- */

/**
 * Emit the gradient of Σ y over all its elements (and over the batch where x is shared and y per
 * example) with respect to each of `count` values x.
 *
 * @param gradients  out: shaped like the x; a constant zero where y does not depend on x
 */
BASIN_API void basin_graph_gradient(basin_graph *graph, basin_value y, const basin_value *x,
                                    int count, basin_value *gradients);

/** One line a node; the text is the caller's to basin_graph_free_text(). */
BASIN_API BASIN_MUST_CHECK basin_status basin_graph_print(const basin_graph *graph, char **text);
/** Graphviz source. */
BASIN_API BASIN_MUST_CHECK basin_status basin_graph_print_dot(const basin_graph *graph,
                                                              char **text);
BASIN_API void basin_graph_free_text(const basin_graph *graph, char *text);

#ifdef __cplusplus
}
#endif
#endif
