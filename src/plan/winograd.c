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
#include "winograd.h"
#include <string.h>

/** Bytes that a batch of tiles may take, values at points and products together. */
#define BATCH_BYTES (768 << 10)
/** Changing the basis of a number to a point's, and back, in multiply-adds of as many lanes. */
#define IN_COST 14
#define OUT_COST 14
/** The same for a point's product of a weight gradient, done once for two or more examples. */
#define BACK_COST 2

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

static int kind_of(bool is_tall, bool is_wide) {
    return is_tall ? (is_wide ? TALL_AND_WIDE : TALL) : is_wide ? WIDE : SHORT;
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

/** Points of all tiles of an example: multiplications of one channel with one output. */
static double points_of(const basin__winograd *fast) {
    double points = 1;
    for (int axis = 0; axis < 2; axis++)
        points *= fast->outputs[axis] + fast->segments[axis] * (fast->taps[axis] - 1);
    return points;
}

/**
 * Whether fewer multiplications outweigh the changes of basis: by a count of vector operations, so
 * that the choice, and with it the bits, depends on shapes alone.
 */
bool basin__winograd_pays(const basin__plan *plan, const basin__winograd *form) {
    basin__winograd fast = *form;
    if (plan->is_half || basin_context_exact_convolution(plan->context) ||
        fast.channels % BASIN__CHANNEL_UNIT != 0 || !cut_axis(&fast, 0) || !cut_axis(&fast, 1))
        return false;
    double inputs = fast.parts * fast.channels, outputs = fast.width;
    double direct = (double)fast.outputs[0] * fast.outputs[1] * fast.taps[0] * fast.taps[1];
    double back = fast.gradient_pixel > 0 ? BACK_COST * fast.points[0] * fast.points[1] : 0;
    return points_of(&fast) * (inputs * outputs + IN_COST * inputs + OUT_COST * outputs) +
               back * inputs * outputs <
           direct * inputs * outputs;
}

basin__winograd *basin__winograd_new(const basin__plan *plan, const basin__winograd *form) {
    basin__winograd *fast = basin__alloc(plan->context, sizeof *fast);
    if (!fast)
        return NULL;
    *fast = *form;
    cut_axis(fast, 0);
    cut_axis(fast, 1);
    fast->places = basin__alloc_array(plan->context, (size_t)basin__winograd_tiles(fast),
                                      sizeof *fast->places);
    fast->part = basin__alloc_array(plan->context, (size_t)fast->parts, sizeof *fast->part);
    fast->tap = basin__alloc_array(plan->context, (size_t)fast->parts, sizeof *fast->tap);
    if (!fast->places || !fast->part || !fast->tap) {
        basin__winograd_free(plan->context, fast);
        return NULL;
    }
    int side = fast->parts > 1 ? fast->tap_step : 1;
    for (int part = 0; part < fast->parts; part++) {
        fast->part[part] = (int32_t)((part / side * fast->line + part % side * fast->pixel) / side);
        fast->tap[part] = part * fast->channels;
    }
    basin__winograd_place *place = fast->places;
    for (int i = 0; i < fast->segments[0]; i++)
        for (int j = 0; j < fast->segments[1]; j++, place++) {
            int top = segment_start(fast, 0, i), left = segment_start(fast, 1, j);
            place->origin = (int32_t)(fast->corner + top * fast->line + left * fast->pixel);
            place->gradient = (int32_t)(top * fast->gradient_line + left * fast->gradient_pixel);
            place->kind = kind_of(is_long(fast, 0, i), is_long(fast, 1, j));
        }
    return fast;
}

/** Tiles one after another, and in each its pixels, line by line. */
static void list_pixels(const basin__phase *phase) {
    const basin__winograd *fast = phase->fast;
    const basin__grid *grid = &fast->grid;
    basin__winograd_place *place = fast->places;
    int32_t *pixel = phase->pixel;
    for (int i = 0; i < fast->segments[0]; i++)
        for (int j = 0; j < fast->segments[1]; j++, place++) {
            int top = segment_start(fast, 0, i), left = segment_start(fast, 1, j);
            place->pixel = (int32_t)(pixel - phase->pixel);
            for (int y = top; y < top + segment_size(fast, 0, i); y++)
                for (int x = left; x < left + segment_size(fast, 1, j); x++)
                    *pixel++ = (y * grid->stride + grid->first[0]) * grid->columns +
                               x * grid->stride + grid->first[1];
        }
}

basin_status basin__winograd_lower(basin__plan *plan, basin__phase *phase,
                                   const basin__winograd *form) {
    basin__winograd *fast = phase->fast = basin__winograd_new(plan, form);
    if (!fast)
        return BASIN_ERROR_MEMORY;
    phase->run = fast->run;
    phase->width = fast->width;
    size_t per_tile = (size_t)(fast->points[0] * fast->points[1]) *
                      (size_t)(basin__winograd_inputs(fast) + BASIN__CONV_WIDTH) * sizeof(float);
    int batch = (int)(BATCH_BYTES / per_tile) / BASIN__TILES_UNIT * BASIN__TILES_UNIT;
    fast->batch = batch < BASIN__TILES_UNIT  ? BASIN__TILES_UNIT
                  : batch > BASIN__CONV_ROWS ? BASIN__CONV_ROWS
                                             : batch;
    fast->point = (ptrdiff_t)fast->batch * basin__winograd_inputs(fast) + BASIN__CHANNEL_UNIT;
    phase->pixels = fast->outputs[0] * fast->outputs[1];
    phase->pixel = basin__alloc_array(plan->context, (size_t)phase->pixels, sizeof *phase->pixel);
    if (!phase->pixel)
        return BASIN_ERROR_MEMORY;
    list_pixels(phase);
    return BASIN_OK;
}

bool basin__winograd_same_weights(const basin__winograd *a, const basin__winograd *b) {
    if (!a || !b)
        return a == b;
    return a->points[0] == b->points[0] && a->points[1] == b->points[1] && a->run == b->run;
}

void basin__winograd_free(basin_context *context, basin__winograd *fast) {
    if (!fast)
        return;
    basin__free(context, fast->places);
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
    return (size_t)(fast->points[0] * fast->points[1]) * (size_t)fast->parts * (size_t)fast->run *
           (size_t)fast->width;
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
    int part = input / fast->run, k = input % fast->run,
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
    int inputs = fast->parts * fast->run, panel = plan->kernels->panel;
    size_t matrix = (size_t)inputs * (size_t)fast->width; /* of one point */
    double taps[TAPS_MAX * TAPS_MAX * BASIN__CONV_WIDTH];
    double down[POINTS * TAPS_MAX * BASIN__CONV_WIDTH], across[POINTS * BASIN__CONV_WIDTH];
    for (int first = 0; first < fast->width; first += panel) {
        int width = fast->width - first < panel ? fast->width - first : panel;
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

void basin__winograd_fill(const basin__winograd *fast, int first, int count, basin__tiles *tiles) {
    int tile_count = basin__winograd_tiles(fast), counts[KINDS] = {0}, next[KINDS];
    int example = first / tile_count, tile = first % tile_count;
    tiles->count = count;
    for (int t = 0; t < count; t++) {
        tiles->members[t] = (basin__winograd_member){&fast->places[tile], example, 0};
        counts[fast->places[tile].kind]++;
        if (++tile == tile_count) {
            tile = 0;
            example++;
        }
    }
    tiles->start[0] = 0;
    for (int kind = 0; kind < KINDS; kind++) {
        next[kind] = tiles->start[kind];
        tiles->start[kind + 1] = next[kind] + counts[kind];
    }
    for (int t = 0; t < count; t++) {
        tiles->members[t].slot = next[tiles->members[t].place->kind]++;
        tiles->row[t] = t * basin__winograd_inputs(fast);
    }
}

/** What all tiles of each kind have in common. */
void basin__winograd_forms(const basin__winograd *fast, int channels, basin__winograd_tile *forms) {
    for (int kind = 0; kind < KINDS; kind++) {
        basin__winograd_tile *form = &forms[kind];
        memset(form, 0, sizeof *form);
        form->points[0] = fast->points[0] - (kind == WIDE || kind == SHORT);
        form->points[1] = fast->points[1] - (kind == TALL || kind == SHORT);
        for (int axis = 0; axis < 2; axis++)
            form->outputs[axis] = form->points[axis] - fast->taps[axis] + 1;
        form->channels = channels;
    }
}

void basin__winograd_change_inputs(const basin__plan *plan, const basin__winograd *fast,
                                   const float *in, ptrdiff_t example, const basin__tiles *tiles) {
    basin__winograd_tile forms[KINDS];
    basin__winograd_forms(fast, fast->channels, forms);
    for (int kind = 0; kind < KINDS; kind++) {
        forms[kind].in_stride[0] = fast->line;
        forms[kind].in_stride[1] = fast->pixel;
        forms[kind].out_stride[0] = fast->points[1] * fast->point;
        forms[kind].out_stride[1] = fast->point;
    }
    for (int t = 0; t < tiles->count; t++) {
        const basin__winograd_member *tile = &tiles->members[t];
        basin__winograd_tile *call = &forms[tile->place->kind];
        const float *from = in + tile->example * example + tile->place->origin;
        for (int part = 0; part < fast->parts; part++) {
            call->in = from + fast->part[part];
            call->out = tiles->values + tiles->row[tile->slot] + fast->tap[part];
            plan->kernels->winograd_in(call);
        }
    }
}

/** Products of channels [first, first + width) at every point. */
static void multiply(const basin__plan *plan, const basin__group *group, const basin__phase *phase,
                     int first, int width, const basin__tiles *tiles) {
    const basin__winograd *fast = phase->fast;
    const float *packed = basin__plan_packed(group, phase);
    size_t inputs = (size_t)fast->parts * (size_t)fast->run;
    for (int i = 0; i < fast->points[0]; i++)
        for (int j = 0; j < fast->points[1]; j++) {
            int point = i * fast->points[1] + j, from, to;
            basin__winograd_takers(fast, tiles, i, j, &from, &to);
            basin__conv_block call = {
                .in = tiles->values + point * fast->point,
                .row = tiles->row + from,
                .rows = to - from,
                .tap = fast->tap,
                .taps = fast->parts,
                .run = fast->run,
                .weight = packed + ((size_t)point * (size_t)fast->width + (size_t)first) * inputs,
                .width = width,
                .out = tiles->products + ((ptrdiff_t)point * fast->batch + from) * width,
            };
            if (to > from)
                plan->kernels->conv(&call);
        }
}

/** Pixels of as many tiles as a register holds, one after another, through the program. */
static void change_outputs(const basin__plan *plan, const basin__group *group,
                           const basin__phase *phase, basin__block rows, const basin__tiles *tiles,
                           unsigned char *workspace) {
    const basin__winograd *fast = phase->fast;
    basin__winograd_tile forms[KINDS];
    basin__winograd_forms(fast, rows.width, forms);
    for (int kind = 0; kind < KINDS; kind++) {
        forms[kind].in_stride[1] = (ptrdiff_t)fast->batch * rows.width;
        forms[kind].in_stride[0] = fast->points[1] * forms[kind].in_stride[1];
        forms[kind].out_stride[0] = forms[kind].outputs[1] * rows.width;
        forms[kind].out_stride[1] = rows.width;
        if (group->start != BASIN_NO_VALUE)
            forms[kind].start =
                (const float *)(const void *)plan->shared + group->start_offset + rows.first;
    }
    float *out = basin__register(plan, workspace, group->root_register);
    rows.row = phase->first_row + tiles->members[0].example * phase->pixels +
               tiles->members[0].place->pixel;
    rows.rows = 0;
    for (int t = 0; t < tiles->count; t++) {
        const basin__winograd_member *tile = &tiles->members[t];
        basin__winograd_tile *call = &forms[tile->place->kind];
        int pixels = call->outputs[0] * call->outputs[1];
        if (rows.rows + pixels > BASIN__CONV_ROWS) {
            basin__run_program(plan, group, &rows, workspace);
            rows.row += rows.rows;
            rows.rows = 0;
        }
        call->in = tiles->products + tile->slot * rows.width;
        call->out = out + rows.rows * rows.width;
        plan->kernels->winograd_out(call);
        rows.rows += pixels;
    }
    basin__run_program(plan, group, &rows, workspace);
}

void basin__winograd_run(const basin__plan *plan, const basin__group *group,
                         const basin__phase *phase, int n, unsigned char *workspace) {
    const basin__winograd *fast = phase->fast;
    basin_value input = basin__plan_node(plan, group->root)->input[0];
    const float *in = basin__plan_data(plan, input, workspace, NULL);
    basin__tiles tiles = {.values = basin__register(plan, workspace, plan->register_count)};
    tiles.products = tiles.values + fast->points[0] * fast->points[1] * fast->point;
    int total = n * basin__winograd_tiles(fast);
    for (int first = 0; first < total; first += tiles.count) {
        basin__winograd_fill(fast, first, total - first < fast->batch ? total - first : fast->batch,
                             &tiles);
        basin__winograd_change_inputs(plan, fast, in, plan->places[input].layout.example, &tiles);
        basin__block rows = {.first = 0};
        for (; rows.first < fast->width; rows.first += BASIN__CONV_WIDTH) {
            rows.width = fast->width - rows.first < BASIN__CONV_WIDTH ? fast->width - rows.first
                                                                      : BASIN__CONV_WIDTH;
            multiply(plan, group, phase, rows.first, rows.width, &tiles);
            change_outputs(plan, group, phase, rows, &tiles, workspace);
        }
    }
}
