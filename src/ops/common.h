/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the ops' files share: walking a value's pixels, and shape rules that
 * several ops have.
 *
 * A pixel is one (n, o, y, x) with all its channels; kernels have one loop over
 * the pixels of their output and one over channels.
 */
#ifndef BASIN_OPS_COMMON_H
#define BASIN_OPS_COMMON_H

#include "graph/op.h"

typedef struct basin__pixel {
    int64_t n;
    int o, y, x;
} basin__pixel;

/** To the next pixel of a value of this shape; past the last one, n has been counted up. */
BASIN_INLINE void basin__pixel_step(basin__pixel *pixel, basin_shape shape) {
    if (++pixel->x < shape.width)
        return;
    pixel->x = 0;
    if (++pixel->y < shape.height)
        return;
    pixel->y = 0;
    if (++pixel->o < shape.outer)
        return;
    pixel->o = 0;
    pixel->n++;
}

/** Position of a pixel's first channel. */
BASIN_INLINE ptrdiff_t basin__pixel_at(const basin__view *view, basin__pixel pixel) {
    return basin__view_at(view, pixel.n, pixel.o, pixel.y, pixel.x, 0);
}

BASIN_INLINE void basin__view_add(const basin__view *view, ptrdiff_t at, double number) {
    basin__view_set(view, at, basin__view_get(view, at) + number);
}

/** The view, to be read at any pixel of a larger shape: its axes of length 1 stand still. */
BASIN_INLINE basin__view basin__view_broadcast(basin__view view) {
    const int32_t axes[4] = {view.shape.outer, view.shape.height, view.shape.width,
                             view.shape.channels};
    for (int i = 0; i < 4; i++)
        if (axes[i] == 1)
            view.stride[i + 1] = 0;
    return view;
}

/** Shape rules: like the first input; as the attributes say. */
bool basin__infer_same(basin_graph *graph, const basin_value *inputs,
                       const basin__attributes *attributes, basin_shape *shape);
bool basin__infer_told(basin_graph *graph, const basin_value *inputs,
                       const basin__attributes *attributes, basin_shape *shape);

/** Copy the node, since building more nodes may move the graph's array. */
BASIN_INLINE basin__node basin__node_copy(const basin_graph *graph, basin_value value) {
    return graph->nodes[value];
}

#endif
