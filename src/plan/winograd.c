/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions with fewer multiplications: backend/cpu/winograd.inc.h has the mathematics of an
 * axis.
 *
 * A phase's outputs are cut into tiles of m × m', which together cover them exactly. A batch of
 * tiles, of several examples, is changed to values at n × n' points; at each point, outputs are
 * inputs times a matrix [channels, outputs], which the convolution kernel multiplies, tiles being
 * its rows; then tiles are changed back, and their pixels go through the group's program:
 *
 *     V[point, tile, channel] ← image        winograd_in
 *     M[point, tile, output]  ← V · U[point]  conv
 *     pixels                  ← M            winograd_out
 *
 * A 3 × 3 kernel with 4 × 4 outputs takes 36 multiplications for 144. A stride of s is s × s
 * images, each of every s-th pixel, with a kernel of every s-th tap; their products are summed, as
 * channels are.
 *
 * Segments of an axis differ by one output at most, and a shorter one takes all points but the
 * last, with the same weights. So tiles are of at most four kinds; within a batch they lie ordered
 * by kind, such that those which take a point are neighbours: one product, one call.
 */
#include "inside.h"
#include <string.h>

/** Bytes that a batch of tiles may take, values at points and products together. */
#define BATCH_BYTES (768 << 10)
/** Tiles in a batch: a multiple of all micro-kernels' heights. */
#define BATCH_UNIT 12
#define BATCH_MAX BASIN__CONV_ROWS

/* ---- geometry ---- */

static int segment_start(const basin__winograd *fast, int axis, int index) {
    return fast->outputs[axis] * index / fast->segments[axis];
}

static int segment_size(const basin__winograd *fast, int axis, int index) {
    return segment_start(fast, axis, index + 1) - segment_start(fast, axis, index);
}

static bool is_long(const basin__winograd *fast, int axis, int index) {
    return segment_size(fast, axis, index) + fast->taps[axis] - 1 == fast->points[axis];
}

/** As few segments as the points allow. False if the axis has no use for them. */
static bool cut_axis(basin__winograd *fast, int axis) {
    int most = BASIN__WINOGRAD_POINTS - fast->taps[axis] + 1; /* outputs of a segment */
    if (fast->taps[axis] < 2 || most < 2 || fast->outputs[axis] < 2)
        return false;
    fast->segments[axis] = (fast->outputs[axis] + most - 1) / most;
    int size = (fast->outputs[axis] + fast->segments[axis] - 1) / fast->segments[axis];
    fast->points[axis] = size + fast->taps[axis] - 1;
    return fast->outputs[axis] / fast->segments[axis] >= 2;
}

static int tiles_of(const basin__winograd *fast) { return fast->segments[0] * fast->segments[1]; }

static int inputs_of(const basin__winograd *fast) { return fast->parts * fast->channels; }

/** Whether fewer multiplications outweigh the changes of basis. */
static bool pays(const basin__winograd *fast, int width) {
    (void)width;
    return fast->channels % BASIN__CHANNEL_UNIT == 0;
}

/** Tiles one after another, and in each its pixels, line by line. */
static void list_pixels(const basin__phase *phase, const basin__grid *grid) {
    const basin__winograd *fast = phase->fast;
    int32_t *pixel = phase->pixel;
    for (int i = 0; i < fast->segments[0]; i++)
        for (int j = 0; j < fast->segments[1]; j++)
            for (int y = segment_start(fast, 0, i); y < segment_start(fast, 0, i + 1); y++)
                for (int x = segment_start(fast, 1, j); x < segment_start(fast, 1, j + 1); x++)
                    *pixel++ = (y * grid->stride + grid->first[0]) * grid->columns +
                               x * grid->stride + grid->first[1];
}

basin_status basin__winograd_lower(basin__plan *plan, basin__phase *phase,
                                   const basin__winograd *form, const basin__grid *grid) {
    basin_context *context = plan->context;
    basin__winograd fast = *form;
    if (!cut_axis(&fast, 0) || !cut_axis(&fast, 1) || !pays(&fast, phase->width))
        return BASIN_OK;
    size_t per_tile = (size_t)(fast.points[0] * fast.points[1]) *
                      (size_t)(inputs_of(&fast) + BASIN__CONV_WIDTH) * sizeof(float);
    int batch = (int)(BATCH_BYTES / per_tile) / BATCH_UNIT * BATCH_UNIT;
    fast.batch = batch < BATCH_UNIT ? BATCH_UNIT : batch > BATCH_MAX ? BATCH_MAX : batch;
    fast.point = (ptrdiff_t)fast.batch * inputs_of(&fast) + BASIN__CHANNEL_UNIT;
    phase->pixels = fast.outputs[0] * fast.outputs[1];
    phase->fast = basin__alloc(context, sizeof fast);
    fast.origin = basin__alloc_array(context, (size_t)tiles_of(&fast), sizeof *fast.origin);
    fast.part = basin__alloc_array(context, (size_t)fast.parts, sizeof *fast.part);
    fast.tap = basin__alloc_array(context, (size_t)fast.parts, sizeof *fast.tap);
    phase->pixel = basin__alloc_array(context, (size_t)phase->pixels, sizeof *phase->pixel);
    if (phase->fast)
        *phase->fast = fast;
    if (!phase->fast || !fast.origin || !fast.part || !fast.tap || !phase->pixel)
        return BASIN_ERROR_MEMORY;
    int side = fast.parts > 1 ? fast.tap_step : 1;
    for (int part = 0; part < fast.parts; part++) {
        fast.part[part] = (int32_t)((part / side * fast.line + part % side * fast.pixel) / side);
        fast.tap[part] = part * fast.channels;
    }
    for (int tile = 0; tile < tiles_of(&fast); tile++)
        fast.origin[tile] =
            (int32_t)(form->corner + segment_start(&fast, 0, tile / fast.segments[1]) * fast.line +
                      segment_start(&fast, 1, tile % fast.segments[1]) * fast.pixel);
    list_pixels(phase, grid);
    return BASIN_OK;
}

void basin__winograd_free(basin_context *context, basin__winograd *fast) {
    if (!fast)
        return;
    basin__free(context, fast->origin);
    basin__free(context, fast->part);
    basin__free(context, fast->tap);
    basin__free(context, fast);
}

size_t basin__winograd_scratch(const basin__phase *phase) {
    const basin__winograd *fast = phase->fast;
    size_t points = (size_t)(fast->points[0] * fast->points[1]);
    return points * ((size_t)fast->point + (size_t)fast->batch * BASIN__CONV_WIDTH);
}

/* ---- weights ---- */

size_t basin__winograd_packed_size(const basin__phase *phase) {
    const basin__winograd *fast = phase->fast;
    return (size_t)(fast->points[0] * fast->points[1]) * (size_t)fast->parts * (size_t)phase->run *
           (size_t)phase->width;
}

/** ξ_i^k for the k-th of r taps. */
static double power(int i, int k, int taps) {
    if (i == 0)
        return k == taps - 1;
    double x = 1;
    while (k-- > 0)
        x *= basin__winograd_point[i];
    return x;
}

/** The weights of `width` outputs from `first` on for one input: [taps down][taps across][width].
 */
static void gather_weights(const basin__phase *phase, const basin__group *group, basin_shape w,
                           const float *dense, int input, int first, int width, double *out) {
    const basin__winograd *fast = phase->fast;
    bool is_forward = group->lowering == BASIN__LOWER_FORWARD;
    int part = input / phase->run, k = input % phase->run,
        side = fast->parts > 1 ? fast->tap_step : 1;
    ptrdiff_t step = is_forward ? (ptrdiff_t)w.height * w.width * w.channels : 1;
    int outputs = (is_forward ? w.outer : w.channels) - first;
    for (int a = 0; a < fast->taps[0]; a++)
        for (int b = 0; b < fast->taps[1]; b++, out += width) {
            int ky = fast->first_tap[0] + part / side + a * fast->tap_step;
            int kx = fast->first_tap[1] + part % side + b * fast->tap_step;
            ptrdiff_t at =
                is_forward ? (((ptrdiff_t)first * w.height + ky) * w.width + kx) * w.channels + k
                           : (((ptrdiff_t)k * w.height + ky) * w.width + kx) * w.channels + first;
            for (int o = 0; o < width; o++)
                out[o] = o < outputs ? (double)dense[at + o * step] : 0.0;
        }
}

/** out[i][..] = Σ_a ξ_i^a in[a][..], `count` numbers side by side. */
static void change_weights(int points, int taps, const double *in, ptrdiff_t count, double *out) {
    for (int i = 0; i < points; i++, out += count) {
        memset(out, 0, (size_t)count * sizeof *out);
        for (int a = 0; a < taps; a++) {
            double factor = power(i, a, taps);
            for (ptrdiff_t o = 0; factor != 0.0 && o < count; o++)
                out[o] += factor * in[a * count + o];
        }
    }
}

enum { TAPS_MAX = BASIN__WINOGRAD_POINTS - 1, POINTS = BASIN__WINOGRAD_POINTS };

void basin__winograd_pack(const basin__plan *plan, const basin__group *group,
                          const basin__phase *phase, const float *dense, float *packed) {
    const basin__winograd *fast = phase->fast;
    basin_shape w = basin__plan_node(plan, basin__plan_node(plan, group->root)->input[1])->shape;
    int inputs = fast->parts * phase->run, panel = plan->kernels->panel;
    size_t matrix = (size_t)inputs * (size_t)phase->width; /* of one point */
    double taps[TAPS_MAX * TAPS_MAX * BASIN__CONV_WIDTH];
    double down[POINTS * TAPS_MAX * BASIN__CONV_WIDTH], across[POINTS * BASIN__CONV_WIDTH];
    for (int first = 0; first < phase->width; first += panel) {
        int width = phase->width - first < panel ? phase->width - first : panel;
        for (int input = 0; input < inputs; input++, packed += width) {
            gather_weights(phase, group, w, dense, input, first, width, taps);
            change_weights(fast->points[0], fast->taps[0], taps, fast->taps[1] * width, down);
            for (int i = 0; i < fast->points[0]; i++) {
                change_weights(fast->points[1], fast->taps[1], down + i * fast->taps[1] * width,
                               width, across);
                for (int j = 0; j < fast->points[1]; j++) {
                    float *to = packed + (size_t)(i * fast->points[1] + j) * matrix;
                    for (int o = 0; o < width; o++)
                        to[o] = (float)across[j * width + o];
                }
            }
        }
    }
}

/* ---- running ---- */

/** Kinds of tiles, in such an order that those which take a point are neighbours. */
enum { WIDE, TALL_AND_WIDE, TALL, SHORT, KINDS };

/** A batch of tiles, and where each lies in the scratch memory. */
typedef struct batch {
    int first, count;       /* of the tiles of all examples */
    int place[BATCH_MAX];   /* of each tile: ordered by kind */
    int start[KINDS + 1];   /* first place of each kind */
    int32_t row[BATCH_MAX]; /* of each place: offset of its numbers at a point */
    float *values, *products;
} batch;

static int kind_of(const basin__winograd *fast, int tile) {
    bool is_tall = is_long(fast, 0, tile / fast->segments[1]);
    bool is_wide = is_long(fast, 1, tile % fast->segments[1]);
    return is_tall ? (is_wide ? TALL_AND_WIDE : TALL) : is_wide ? WIDE : SHORT;
}

static void place_tiles(const basin__winograd *fast, batch *tiles) {
    int tile_count = tiles_of(fast), next = 0;
    for (int kind = 0; kind < KINDS; kind++) {
        tiles->start[kind] = next;
        for (int t = 0; t < tiles->count; t++)
            if (kind_of(fast, (tiles->first + t) % tile_count) == kind)
                tiles->place[t] = next++;
    }
    tiles->start[KINDS] = next;
    for (int place = 0; place < next; place++)
        tiles->row[place] = place * inputs_of(fast);
}

static basin__winograd_tile tile_form(const basin__winograd *fast, int tile) {
    basin__winograd_tile form;
    int index[2] = {tile / fast->segments[1], tile % fast->segments[1]};
    for (int axis = 0; axis < 2; axis++) {
        form.outputs[axis] = segment_size(fast, axis, index[axis]);
        form.points[axis] = form.outputs[axis] + fast->taps[axis] - 1;
    }
    return form;
}

static void change_inputs(const basin__plan *plan, const basin__phase *phase, const float *in,
                          ptrdiff_t example, const batch *tiles) {
    const basin__winograd *fast = phase->fast;
    int tile_count = tiles_of(fast);
    for (int t = 0; t < tiles->count; t++) {
        int tile = (tiles->first + t) % tile_count;
        basin__winograd_tile call = tile_form(fast, tile);
        call.channels = fast->channels;
        call.in_stride[0] = fast->line;
        call.in_stride[1] = fast->pixel;
        call.out_stride[0] = fast->points[1] * fast->point;
        call.out_stride[1] = fast->point;
        const float *from = in + (tiles->first + t) / tile_count * example + fast->origin[tile];
        for (int part = 0; part < fast->parts; part++) {
            call.in = from + fast->part[part];
            call.out = tiles->values + tiles->row[tiles->place[t]] + fast->tap[part];
            plan->kernels->winograd_in(&call);
        }
    }
}

/** Products of channels [first, first + width) at every point. */
static void multiply(const basin__plan *plan, const basin__phase *phase, int first, int width,
                     const batch *tiles) {
    const basin__winograd *fast = phase->fast;
    const float *packed = (const float *)(const void *)plan->shared + phase->packed;
    size_t inputs = (size_t)fast->parts * (size_t)phase->run;
    for (int i = 0; i < fast->points[0]; i++)
        for (int j = 0; j < fast->points[1]; j++) {
            bool is_tall = i == fast->points[0] - 1, is_wide = j == fast->points[1] - 1;
            int point = i * fast->points[1] + j;
            int from = tiles->start[is_tall ? TALL_AND_WIDE : WIDE];
            int to = tiles->start[is_wide ? TALL : is_tall ? SHORT : KINDS];
            basin__conv_block call = {
                .in = tiles->values + point * fast->point,
                .row = tiles->row + from,
                .rows = to - from,
                .tap = fast->tap,
                .taps = fast->parts,
                .run = phase->run,
                .weight = packed + ((size_t)point * (size_t)phase->width + (size_t)first) * inputs,
                .width = width,
                .out = tiles->products + ((ptrdiff_t)point * fast->batch + from) * width,
            };
            if (to > from)
                plan->kernels->conv(&call);
        }
}

/** Pixels of as many tiles as a register holds, one after another, through the program. */
static void change_outputs(const basin__plan *plan, const basin__group *group,
                           const basin__phase *phase, basin__block rows, const batch *tiles,
                           unsigned char *workspace) {
    const basin__winograd *fast = phase->fast;
    float *out = basin__register(plan, workspace, group->root_register);
    const float *start = NULL;
    if (group->start != BASIN_NO_VALUE)
        start = (const float *)(const void *)plan->shared + group->start_offset + rows.first;
    int tile_count = tiles_of(fast), columns = fast->segments[1];
    int example = tiles->first / tile_count, tile = tiles->first % tile_count;
    rows.rows = 0;
    rows.row = phase->first_row + example * phase->pixels +
               segment_start(fast, 0, tile / columns) * fast->outputs[1] +
               segment_size(fast, 0, tile / columns) * segment_start(fast, 1, tile % columns);
    for (int t = 0; t < tiles->count; t++) {
        basin__winograd_tile call = tile_form(fast, (tiles->first + t) % tile_count);
        int pixels = call.outputs[0] * call.outputs[1];
        if (rows.rows + pixels > BASIN__CONV_ROWS) {
            basin__run_program(plan, group, &rows, workspace);
            rows.row += rows.rows;
            rows.rows = 0;
        }
        call.channels = rows.width;
        call.in = tiles->products + tiles->place[t] * rows.width;
        call.in_stride[0] = (ptrdiff_t)fast->points[1] * fast->batch * rows.width;
        call.in_stride[1] = (ptrdiff_t)fast->batch * rows.width;
        call.out = out + rows.rows * rows.width;
        call.out_stride[0] = call.outputs[1] * rows.width;
        call.out_stride[1] = rows.width;
        call.start = start;
        plan->kernels->winograd_out(&call);
        rows.rows += pixels;
    }
    basin__run_program(plan, group, &rows, workspace);
}

void basin__winograd_run(const basin__plan *plan, const basin__group *group,
                         const basin__phase *phase, int n, unsigned char *workspace) {
    const basin__winograd *fast = phase->fast;
    basin_value input = basin__plan_node(plan, group->root)->input[0];
    const float *in = basin__plan_data(plan, input, workspace, NULL);
    batch tiles = {.values = basin__register(plan, workspace, plan->register_count)};
    tiles.products = tiles.values + fast->points[0] * fast->points[1] * fast->point;
    int total = n * tiles_of(fast);
    basin__block rows = {.first = 0};
    for (; tiles.first < total; tiles.first += tiles.count) {
        tiles.count = total - tiles.first < fast->batch ? total - tiles.first : fast->batch;
        place_tiles(fast, &tiles);
        change_inputs(plan, phase, in, plan->places[input].layout.example, &tiles);
        for (rows.first = 0; rows.first < phase->width; rows.first += BASIN__CONV_WIDTH) {
            rows.width = phase->width - rows.first < BASIN__CONV_WIDTH ? phase->width - rows.first
                                                                       : BASIN__CONV_WIDTH;
            multiply(plan, phase, rows.first, rows.width, &tiles);
            change_outputs(plan, group, phase, rows, &tiles, workspace);
        }
    }
}
