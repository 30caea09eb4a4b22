/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Weight gradients with fewer multiplications: the fast convolution of winograd.c read backwards.
 * What is linear in weights and in inputs is linear in weights and in outputs just as well: the
 * gradient of an axis' weight a is
 *
 *     Σ_i ξ_i^a V_i (Σ_k ξ_i^k g_k)
 *
 * over points i, with the values V of the inputs as there and g_k the gradient of output k. At each
 * point the tiles of a batch are summed as the pixels of a direct weight gradient are, by the same
 * kernel; then the sums are changed back, and added to those of the batch's predecessors:
 *
 *     V[point, tile, channel] ← image                winograd_in
 *     G[point, tile, output]  ← gradient             winograd_spread
 *     M[point, channel, output] = V[point]ᵀ G[point] conv_weight
 *     weight's gradient      += M                    winograd_out
 *
 * M is made for so few channels and outputs at a time that it stays in the second cache.
 */
#include "winograd.h"

/** Bytes that values and gradients of a batch may take. */
#define BATCH_BYTES (4 << 20)
/** Channels whose products are made at a time: a multiple of all micro-kernels' heights. */
#define RUN 24
/** Floats of a point's products. */
#define PRODUCTS (RUN * BASIN__CONV_WIDTH)

static int point_count(const basin__winograd *fast) { return fast->points[0] * fast->points[1]; }

basin_status basin__winograd_lower_weight(basin__plan *plan, basin__phase *phase,
                                          const basin__winograd *form) {
    basin__winograd *fast = phase->fast = basin__winograd_new(plan, form);
    if (!fast)
        return BASIN_ERROR_MEMORY;
    int numbers = basin__winograd_inputs(fast) + fast->width;
    int most = (int)(BATCH_BYTES / ((size_t)(point_count(fast) * numbers) * sizeof(float)));
    int batch = plan->tile * basin__winograd_tiles(fast);
    batch = batch > BASIN__TILES_MAX ? BASIN__TILES_MAX : batch;
    fast->batch = batch > most && batch > BASIN__TILES_UNIT
                      ? (most > BASIN__TILES_UNIT ? most : BASIN__TILES_UNIT)
                      : batch;
    fast->point = (ptrdiff_t)fast->batch * basin__winograd_inputs(fast) + BASIN__CHANNEL_UNIT;
    fast->gradient_point = (ptrdiff_t)fast->batch * fast->width + BASIN__CHANNEL_UNIT;
    return BASIN_OK;
}

size_t basin__winograd_weight_scratch(const basin__phase *phase) {
    const basin__winograd *fast = phase->fast;
    return (size_t)point_count(fast) *
           ((size_t)fast->point + (size_t)fast->gradient_point + PRODUCTS);
}

static void spread_gradients(const basin__plan *plan, const basin__winograd *fast,
                             const float *gradient, ptrdiff_t example, const basin__tiles *tiles,
                             float *out) {
    basin__winograd_tile forms[KINDS];
    basin__winograd_forms(fast, fast->width, forms);
    for (int t = 0; t < tiles->count; t++) {
        const basin__winograd_member *tile = &tiles->members[t];
        basin__winograd_tile *call = &forms[tile->place->kind];
        call->in = gradient + tile->example * example + tile->place->gradient;
        call->in_stride[0] = fast->gradient_line;
        call->in_stride[1] = fast->gradient_pixel;
        call->out = out + tile->slot * fast->width;
        call->out_stride[0] = fast->points[1] * fast->gradient_point;
        call->out_stride[1] = fast->gradient_point;
        plan->kernels->winograd_spread(call);
    }
}

/** Channels [channel, channel + count) of a part, outputs [first, first + width). */
typedef struct corner {
    int part, channel, count, first, width;
} corner;

static void multiply(const basin__plan *plan, const basin__winograd *fast, const corner *at,
                     const basin__tiles *tiles, const int32_t *gradient_row, const float *spread,
                     float *products) {
    for (int i = 0; i < fast->points[0]; i++)
        for (int j = 0; j < fast->points[1]; j++) {
            int point = i * fast->points[1] + j, from, to;
            basin__winograd_takers(fast, tiles, i, j, &from, &to);
            basin__conv_weight_block call = {
                .in = tiles->values + point * fast->point + at->channel,
                .row = tiles->row + from,
                .gradient = spread + point * fast->gradient_point + at->first,
                .gradient_row = gradient_row + from,
                .rows = to - from,
                .tap = &fast->tap[at->part],
                .taps = 1,
                .run = at->count,
                .width = at->width,
                .is_new = true,
                .out = products + (ptrdiff_t)point * PRODUCTS,
            };
            plan->kernels->conv_weight(&call);
        }
}

/** Add products at points, changed back, to the sums at taps: [taps down, taps across, run, width].
 */
static void change_back(const basin__plan *plan, const basin__winograd *fast, const corner *at,
                        const float *products, float *sums) {
    const int side = fast->parts > 1 ? fast->tap_step : 1;
    const ptrdiff_t tap = (ptrdiff_t)fast->run * fast->width, line = tap * fast->taps[1] * side;
    basin__winograd_tile call = {
        .points = {fast->points[0], fast->points[1]},
        .outputs = {fast->taps[0], fast->taps[1]},
        .channels = at->width,
        .in_stride = {(ptrdiff_t)fast->points[1] * PRODUCTS, PRODUCTS},
        .out_stride = {side * line, side * tap},
        .start_stride = {side * line, side * tap},
    };
    sums += at->part / side * line + at->part % side * tap + at->first;
    for (int c = 0; c < at->count; c++) {
        call.in = products + (ptrdiff_t)c * at->width;
        call.start = call.out = sums + (ptrdiff_t)(at->channel + c) * fast->width;
        plan->kernels->winograd_out(&call);
    }
}

void basin__winograd_run_weight(const basin__plan *plan, const basin__group *group, int n,
                                unsigned char *workspace, float *sums) {
    const basin__winograd *fast = group->phases[0].fast;
    const basin__node *node = basin__plan_node(plan, group->root);
    const float *in = basin__plan_data(plan, node->input[0], workspace, NULL);
    const float *gradient = basin__plan_data(plan, node->input[1], workspace, NULL);
    const ptrdiff_t image_example = plan->places[node->input[0]].layout.example;
    const ptrdiff_t gradient_example = plan->places[node->input[1]].layout.example;
    basin__tiles tiles = {.values = basin__register(plan, workspace, plan->register_count)};
    float *spread = tiles.values + point_count(fast) * fast->point;
    float *products = spread + point_count(fast) * fast->gradient_point;
    int32_t gradient_row[BASIN__TILES_MAX];
    for (int slot = 0; slot < fast->batch; slot++)
        gradient_row[slot] = slot * fast->width;
    int total = n * basin__winograd_tiles(fast);
    for (int first = 0; first < total; first += tiles.count) {
        basin__winograd_fill(fast, first, total - first < fast->batch ? total - first : fast->batch,
                             &tiles);
        basin__winograd_change_inputs(plan, fast, in, image_example, &tiles);
        spread_gradients(plan, fast, gradient, gradient_example, &tiles, spread);
        corner at;
        for (at.first = 0; at.first < fast->width; at.first += at.width) {
            at.width = fast->width - at.first < BASIN__CONV_WIDTH ? fast->width - at.first
                                                                  : BASIN__CONV_WIDTH;
            for (at.part = 0; at.part < fast->parts; at.part++)
                for (at.channel = 0; at.channel < fast->run; at.channel += at.count) {
                    at.count = fast->run - at.channel < RUN ? fast->run - at.channel : RUN;
                    multiply(plan, fast, &at, &tiles, gradient_row, spread, products);
                    change_back(plan, fast, &at, products, sums);
                }
        }
    }
}
