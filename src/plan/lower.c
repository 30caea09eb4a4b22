/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions lowered to tap lists: see backend/cpu/kernels.h for the form.
 *
 * Forward: output pixel (y, x) reads from the input at (y·s − pad, x·s − pad),
 * tap (i, j) lies i lines and j pixels on. Where pixels lie close together, the
 * taps of a kernel line are one run of kw·C floats, so a grey image's 3×3
 * kernel is three taps with runs of three.
 *
 * Input gradient with stride s: input pixel (s·i + a, s·j + b) gets
 * contributions from the kernel lines ky with ky ≡ a + pad (mod s), at output
 * line i + (a + pad − ky)/s. For each of the s×s phases (a, b) that is a
 * stride-1 convolution.
 *
 * An image of at most four channels would waste the vector: there all taps are
 * one wide product (of at most one block of channels), scattered to the pixels.
 */
#include "inside.h"
#include <string.h>

static int max_of(int a, int b) { return a > b ? a : b; }

static int32_t padded(int64_t n) {
    return (int32_t)((n + BASIN__CHANNEL_UNIT - 1) / BASIN__CHANNEL_UNIT * BASIN__CHANNEL_UNIT);
}

basin__lowering basin__lowering_of(const basin__plan *plan, basin_value value) {
    const basin__node *node = basin__plan_node(plan, value);
    if (!plan->is_fused || node->input_count != 2 ||
        plan->places[node->input[0]].region != BASIN__REGION_TILE)
        return BASIN__LOWER_NONE;
    bool is_second_tile = plan->places[node->input[1]].region == BASIN__REGION_TILE;
    basin_shape second = basin__plan_node(plan, node->input[1])->shape;
    if (node->op == BASIN__OP_conv && !is_second_tile)
        return BASIN__LOWER_FORWARD;
    if (node->op == BASIN__OP_conv_input && !is_second_tile)
        return node->shape.channels <= 4 && second.height * second.width > 1 ? BASIN__LOWER_SCATTER
                                                                             : BASIN__LOWER_PHASES;
    if (node->op == BASIN__OP_conv_weight && is_second_tile && second.channels > 4)
        return BASIN__LOWER_WEIGHT;
    return BASIN__LOWER_NONE;
}

/** The convolution a lowered node belongs to, in the terms of its forward form. */
typedef struct geometry {
    basin_value image, output; /* the values at the input and the output side */
    basin_shape weight, in, out;
    int stride, pad;
} geometry;

static geometry geometry_of(const basin__plan *plan, basin_value value) {
    const basin__node *node = basin__plan_node(plan, value);
    geometry g = {.stride = node->attributes.conv.stride, .pad = node->attributes.conv.pad};
    bool is_adjoint = node->op == BASIN__OP_conv_input;
    g.image = is_adjoint ? value : node->input[0];
    g.output = node->op == BASIN__OP_conv          ? value
               : node->op == BASIN__OP_conv_weight ? node->input[1]
                                                   : node->input[0];
    g.weight = node->op == BASIN__OP_conv_weight ? node->shape
                                                 : basin__plan_node(plan, node->input[1])->shape;
    g.in = basin__plan_node(plan, g.image)->shape;
    g.out = basin__plan_node(plan, g.output)->shape;
    return g;
}

/* ---- halos ---- */

static void widen(basin__layout *layout, int top, int left, int bottom, int right) {
    layout->top = max_of(layout->top, top);
    layout->left = max_of(layout->left, left);
    layout->bottom = max_of(layout->bottom, bottom);
    layout->right = max_of(layout->right, right);
}

/** How far kernel line k moves phase a: the output line is i + shift; false if it has no part. */
static bool phase_shift(int a, int k, int pad, int stride, int *shift) {
    int distance = a + pad - k;
    *shift = distance / stride;
    return distance % stride == 0;
}

/** Reach of the phases along one axis before the first and beyond the last output. */
static void phase_reach(int size, int outputs, int kernel, const geometry *g, int *before,
                        int *after) {
    *before = *after = 0;
    for (int a = 0; a < g->stride && a < size; a++) {
        int steps = (size - a + g->stride - 1) / g->stride;
        for (int k = 0; k < kernel; k++) {
            int shift;
            if (!phase_shift(a, k, g->pad, g->stride, &shift))
                continue;
            *before = max_of(*before, -shift);
            *after = max_of(*after, steps - 1 + shift - (outputs - 1));
        }
    }
}

void basin__lower_halos(basin__plan *plan) {
    for (int i = 0; i < plan->group_count; i++) {
        basin__group *group = &plan->groups[i];
        if (group->lowering == BASIN__LOWER_NONE)
            continue;
        geometry g = geometry_of(plan, group->root);
        if (group->lowering == BASIN__LOWER_PHASES) {
            int top, left, bottom, right;
            phase_reach(g.in.height, g.out.height, g.weight.height, &g, &top, &bottom);
            phase_reach(g.in.width, g.out.width, g.weight.width, &g, &left, &right);
            widen(&plan->places[g.output].layout, top, left, bottom, right);
        } else {
            int bottom = (g.out.height - 1) * g.stride - g.pad + g.weight.height - g.in.height;
            int right = (g.out.width - 1) * g.stride - g.pad + g.weight.width - g.in.width;
            widen(&plan->places[g.image].layout, g.pad, g.pad, bottom, right);
        }
    }
}

/* ---- tap lists ---- */

static basin_status allocate_phase(basin__plan *plan, basin__phase *phase, int taps, int pixels) {
    basin_context *context = plan->context;
    phase->taps = taps;
    phase->pixels = pixels;
    phase->tap = basin__alloc_array(context, (size_t)taps, sizeof *phase->tap);
    phase->tap_y = basin__alloc_array(context, (size_t)taps, sizeof *phase->tap_y);
    phase->tap_x = basin__alloc_array(context, (size_t)taps, sizeof *phase->tap_x);
    phase->in_row =
        basin__alloc_array(context, (size_t)plan->tile * (size_t)pixels, sizeof *phase->in_row);
    return phase->tap && phase->tap_y && phase->tap_x && phase->in_row ? BASIN_OK
                                                                       : BASIN_ERROR_MEMORY;
}

/**
 * Offsets of the rows of a full tile: row (y, x) of each example's `height` × `width` grid lies at
 * pixel (y · stride − pad, x · stride − pad).
 */
static void list_rows(const basin__plan *plan, const basin__layout *layout, int height, int width,
                      int stride, int pad, int32_t *row) {
    for (int n = 0; n < plan->tile; n++)
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++)
                *row++ = (int32_t)(n * layout->example + (y * stride - pad) * layout->line +
                                   (x * stride - pad) * layout->pixel);
}

/**
 * What a phase multiplies: halves, or floats, and those side by side unless outputs are few and
 * rows begin at whole vectors.
 */
static void set_numbers(const basin__plan *plan, basin__phase *phase, basin_value input,
                        int outputs) {
    const basin__place *place = &plan->places[input];
    phase->is_half = place->is_half;
    if (!phase->is_half && outputs <= BASIN__CONV_FEW && phase->run % BASIN__CHANNEL_UNIT == 0 &&
        place->layout.pixel % BASIN__CHANNEL_UNIT == 0)
        phase->few = outputs;
}

static basin_status lower_forward(basin__plan *plan, basin__group *group, const geometry *g) {
    const basin__layout *in = &plan->places[g->image].layout;
    basin__phase *phase = &group->phases[0];
    bool is_run = in->pixel == g->in.channels;
    int columns = is_run ? 1 : g->weight.width;
    BASIN_TRY(
        allocate_phase(plan, phase, g->weight.height * columns, g->out.height * g->out.width));
    phase->run = is_run ? g->weight.width * g->in.channels : g->in.channels;
    phase->width = padded(g->weight.outer);
    set_numbers(plan, phase, g->image, g->weight.outer);
    for (int t = 0; t < phase->taps; t++) {
        phase->tap_y[t] = (int16_t)(t / columns);
        phase->tap_x[t] = (int16_t)(t % columns);
        phase->tap[t] = (int32_t)(phase->tap_y[t] * in->line + phase->tap_x[t] * in->pixel);
    }
    list_rows(plan, in, g->out.height, g->out.width, g->stride, g->pad, phase->in_row);
    return BASIN_OK;
}

/** The same as a fast convolution: a kernel that is as many taps in each of the stride's images. */
static basin__winograd forward_form(const basin__plan *plan, const geometry *g) {
    const basin__layout *in = &plan->places[g->image].layout;
    bool is_even = g->weight.height % g->stride == 0 && g->weight.width % g->stride == 0;
    return (basin__winograd){
        .taps = {is_even ? g->weight.height / g->stride : 0, g->weight.width / g->stride},
        .outputs = {g->out.height, g->out.width},
        .parts = g->stride * g->stride,
        .run = g->in.channels,
        .channels = (int)in->pixel,
        .width = padded(g->weight.outer),
        .line = g->stride * in->line,
        .pixel = g->stride * in->pixel,
        .corner = -g->pad * (in->line + in->pixel),
        .tap_step = g->stride,
        .grid = {g->out.width, 1, {0, 0}},
    };
}

/** The weight gradient as a fast convolution read backwards. */
static basin__winograd weight_form(const basin__plan *plan, const geometry *g) {
    basin__winograd form = forward_form(plan, g);
    form.gradient_line = plan->places[g->output].layout.line;
    form.gradient_pixel = plan->places[g->output].layout.pixel;
    return form;
}

/** The rows at the other side of a weight gradient (the gradient's) or of a scatter (the image's).
 */
static basin_status list_other_rows(basin__plan *plan, basin__group *group, const geometry *g) {
    size_t rows = (size_t)plan->tile * (size_t)group->phases[0].pixels;
    group->other_row = basin__alloc_array(plan->context, rows, sizeof *group->other_row);
    if (!group->other_row)
        return BASIN_ERROR_MEMORY;
    bool is_scatter = group->lowering == BASIN__LOWER_SCATTER;
    const basin__layout *layout = &plan->places[is_scatter ? g->image : g->output].layout;
    list_rows(plan, layout, g->out.height, g->out.width, is_scatter ? g->stride : 1,
              is_scatter ? g->pad : 0, group->other_row);
    return BASIN_OK;
}

static basin_status lower_scatter(basin__plan *plan, basin__group *group, const geometry *g) {
    basin__phase *phase = &group->phases[0];
    BASIN_TRY(allocate_phase(plan, phase, 1, g->out.height * g->out.width));
    phase->run = g->weight.outer;
    phase->width = padded((int64_t)g->weight.height * g->weight.width * g->weight.channels);
    set_numbers(plan, phase, g->output, phase->width);
    list_rows(plan, &plan->places[g->output].layout, g->out.height, g->out.width, 1, 0,
              phase->in_row);
    return list_other_rows(plan, group, g);
}

/** Pixels of phase a along an axis of so many. */
static int phase_size(int size, int a, const geometry *g) {
    return size > a ? (size - a + g->stride - 1) / g->stride : 0;
}

static basin_status lower_phase(basin__plan *plan, basin__phase *phase, const geometry *g, int a,
                                int b) {
    const basin__layout *out = &plan->places[g->output].layout;
    int rows = phase_size(g->in.height, a, g), columns = phase_size(g->in.width, b, g);
    BASIN_TRY(allocate_phase(plan, phase, g->weight.height * g->weight.width, rows * columns));
    phase->pixel = basin__alloc_array(plan->context, (size_t)phase->pixels, sizeof *phase->pixel);
    if (!phase->pixel)
        return BASIN_ERROR_MEMORY;
    phase->taps = 0;
    phase->run = g->weight.outer;
    phase->width = padded(g->weight.channels);
    set_numbers(plan, phase, g->output, g->weight.channels);
    for (int ky = 0; ky < g->weight.height; ky++)
        for (int kx = 0; kx < g->weight.width; kx++) {
            int dy, dx;
            if (!phase_shift(a, ky, g->pad, g->stride, &dy) ||
                !phase_shift(b, kx, g->pad, g->stride, &dx))
                continue;
            int t = phase->taps++;
            phase->tap_y[t] = (int16_t)ky;
            phase->tap_x[t] = (int16_t)kx;
            phase->tap[t] = (int32_t)(dy * out->line + dx * out->pixel);
        }
    list_rows(plan, out, rows, columns, 1, 0, phase->in_row);
    for (int p = 0; p < phase->pixels; p++)
        phase->pixel[p] = (p / columns * g->stride + a) * g->in.width + p % columns * g->stride + b;
    return BASIN_OK;
}

/** Kernel lines of phase a: how many, the first by the output line it reads, and that line. */
static int phase_taps(int a, int kernel, const geometry *g, int *first_tap, int *first_shift) {
    int taps = 0;
    for (int k = kernel - 1; k >= 0; k--) {
        int shift;
        if (!phase_shift(a, k, g->pad, g->stride, &shift))
            continue;
        if (taps++ == 0) {
            *first_tap = k;
            *first_shift = shift;
        }
    }
    return taps;
}

static basin__winograd phase_form(const basin__plan *plan, const geometry *g, int a, int b) {
    const basin__layout *out = &plan->places[g->output].layout;
    int first[2] = {0, 0}, shift[2] = {0, 0};
    int down = phase_taps(a, g->weight.height, g, &first[0], &shift[0]);
    int across = phase_taps(b, g->weight.width, g, &first[1], &shift[1]);
    return (basin__winograd){
        .taps = {down, across},
        .outputs = {phase_size(g->in.height, a, g), phase_size(g->in.width, b, g)},
        .parts = 1,
        .run = g->weight.outer,
        .channels = (int)out->pixel,
        .width = padded(g->weight.channels),
        .line = out->line,
        .pixel = out->pixel,
        .corner = shift[0] * out->line + shift[1] * out->pixel,
        .first_tap = {first[0], first[1]},
        .tap_step = -g->stride,
        .grid = {g->in.width, g->stride, {a, b}},
    };
}

bool basin__lower_is_fast(const basin__plan *plan, const basin__group *group) {
    if (group->lowering == BASIN__LOWER_NONE || group->lowering == BASIN__LOWER_SCATTER)
        return false;
    geometry g = geometry_of(plan, group->root);
    if (group->lowering == BASIN__LOWER_WEIGHT) {
        basin__winograd form = weight_form(plan, &g);
        return basin__winograd_pays(plan, &form);
    }
    bool is_forward = group->lowering == BASIN__LOWER_FORWARD, is_fast = false;
    for (int i = 0; i < (is_forward ? 1 : g.stride * g.stride); i++) {
        basin__winograd form =
            is_forward ? forward_form(plan, &g) : phase_form(plan, &g, i / g.stride, i % g.stride);
        is_fast = is_fast || basin__winograd_pays(plan, &form);
    }
    return is_fast;
}

static basin_status lower_phases(basin__plan *plan, basin__group *group, const geometry *g) {
    int first_row = 0;
    for (int i = 0; i < group->phase_count; i++) {
        int a = i / g->stride, b = i % g->stride;
        basin__winograd form = phase_form(plan, g, a, b);
        if (basin__winograd_pays(plan, &form))
            BASIN_TRY(basin__winograd_lower(plan, &group->phases[i], &form));
        else
            BASIN_TRY(lower_phase(plan, &group->phases[i], g, a, b));
        group->phases[i].first_row = first_row;
        first_row += plan->tile * group->phases[i].pixels;
    }
    return BASIN_OK;
}

static size_t packed_size(const basin__phase *phase) {
    size_t outputs = (size_t)(phase->few ? phase->few : phase->width);
    size_t numbers = (size_t)phase->taps * (size_t)phase->run * outputs;
    return phase->fast      ? basin__winograd_packed_size(phase)
           : phase->is_half ? numbers / 2
                            : numbers;
}

/** Whether two plans' values are one: in the same plan, or as bound parameters of one name. */
static bool is_same_weight(const basin__plan *plan, basin_value a, const basin__plan *other,
                           basin_value b) {
    if (plan == other)
        return a == b;
    return plan->places[a].region == BASIN__REGION_BOUND &&
           other->places[b].region == BASIN__REGION_BOUND &&
           strcmp(basin__plan_node(plan, a)->name, basin__plan_node(other, b)->name) == 0;
}

static bool is_same_packing(const basin__plan *plan, const basin__group *a,
                            const basin__plan *other, const basin__group *b) {
    if (a->lowering != b->lowering || a->phase_count != b->phase_count ||
        b->lowering == BASIN__LOWER_NONE || b->lowering == BASIN__LOWER_WEIGHT)
        return false;
    const basin__node *x = basin__plan_node(plan, a->root), *y = basin__plan_node(other, b->root);
    if (!is_same_weight(plan, x->input[1], other, y->input[1]) ||
        x->attributes.conv.pad != y->attributes.conv.pad ||
        x->attributes.conv.stride != y->attributes.conv.stride)
        return false;
    for (int i = 0; i < a->phase_count; i++)
        if (!basin__winograd_same_weights(a->phases[i].fast, b->phases[i].fast) ||
            a->phases[i].is_half != b->phases[i].is_half || a->phases[i].few != b->phases[i].few ||
            a->phases[i].taps != b->phases[i].taps || a->phases[i].run != b->phases[i].run)
            return false;
    return true;
}

/** Use the packed weights of one of the first `count` groups of a plan, if they are the same. */
static bool share_packed(const basin__plan *plan, basin__group *group, const basin__plan *other,
                         int count) {
    for (int i = 0; i < count; i++) {
        const basin__group *packed = &other->groups[i];
        if (!is_same_packing(plan, group, other, packed))
            continue;
        group->is_packed = true;
        group->packer = packed->packer;
        for (int p = 0; p < group->phase_count; p++)
            group->phases[p].packed = packed->phases[p].packed;
        return true;
    }
    return false;
}

/** Reserve shared memory for the packed weights, or use those that are there. */
static void place_packed(basin__plan *plan, basin__group *group) {
    if (share_packed(plan, group, plan, (int)(group - plan->groups)))
        return;
    if (plan->beside && share_packed(plan, group, plan->beside, plan->beside->group_count))
        return;
    for (int p = 0; p < group->phase_count; p++) {
        basin__phase *phase = &group->phases[p];
        phase->packed = plan->shared_size;
        plan->shared_size += packed_size(phase);
    }
}

basin_status basin__lower_group(basin__plan *plan, basin__group *group) {
    bool is_lowered = group->lowering != BASIN__LOWER_NONE;
    if (!is_lowered && !group->is_program)
        return BASIN_OK;
    geometry g = {.stride = 1};
    if (is_lowered)
        g = geometry_of(plan, group->root);
    group->phase_count = group->lowering == BASIN__LOWER_PHASES ? g.stride * g.stride : 1;
    group->phases =
        basin__alloc_array(plan->context, (size_t)group->phase_count, sizeof *group->phases);
    if (!group->phases)
        return BASIN_ERROR_MEMORY;
    switch (group->lowering) {
    case BASIN__LOWER_NONE:
        group->phases[0].pixels = group->shape.height * group->shape.width;
        return BASIN_OK;
    case BASIN__LOWER_WEIGHT: {
        basin__winograd form = weight_form(plan, &g);
        BASIN_TRY(lower_forward(plan, group, &g));
        if (basin__winograd_pays(plan, &form))
            return basin__winograd_lower_weight(plan, &group->phases[0], &form);
        return list_other_rows(plan, group, &g);
    }
    case BASIN__LOWER_FORWARD: {
        basin__winograd form = forward_form(plan, &g);
        if (basin__winograd_pays(plan, &form))
            BASIN_TRY(basin__winograd_lower(plan, &group->phases[0], &form));
        else
            BASIN_TRY(lower_forward(plan, group, &g));
        break;
    }
    case BASIN__LOWER_SCATTER:
        BASIN_TRY(lower_scatter(plan, group, &g));
        break;
    case BASIN__LOWER_PHASES:
        BASIN_TRY(lower_phases(plan, group, &g));
        break;
    }
    place_packed(plan, group);
    return BASIN_OK;
}

/* ---- packing ---- */

/** Index into the dense weight [O, kh, kw, I] of what tap t, run element k gives output o. */
static ptrdiff_t weight_index(basin__lowering lowering, const basin__phase *phase, basin_shape w,
                              int t, int k, int o) {
    if (lowering == BASIN__LOWER_SCATTER)
        return (ptrdiff_t)k * w.height * w.width * w.channels + o;
    if (lowering == BASIN__LOWER_PHASES)
        return (((ptrdiff_t)k * w.height + phase->tap_y[t]) * w.width + phase->tap_x[t]) *
                   w.channels +
               o;
    int kx = phase->tap_x[t] + k / w.channels, c = k % w.channels;
    return (((ptrdiff_t)o * w.height + phase->tap_y[t]) * w.width + kx) * w.channels + c;
}

/** Distance in a dense weight from output o to o + 1. */
static ptrdiff_t output_step(basin__lowering lowering, basin_shape w) {
    bool is_forward = lowering == BASIN__LOWER_FORWARD || lowering == BASIN__LOWER_WEIGHT;
    return is_forward ? (ptrdiff_t)w.height * w.width * w.channels : 1;
}

static int output_count(basin__lowering lowering, basin_shape w) {
    return lowering == BASIN__LOWER_SCATTER  ? w.height * w.width * w.channels
           : lowering == BASIN__LOWER_PHASES ? w.channels
                                             : w.outer;
}

static void pack_few(basin__lowering lowering, const basin__phase *phase, basin_shape w,
                     const float *dense, float *packed) {
    for (int o = 0; o < phase->few; o++)
        for (int t = 0; t < phase->taps; t++)
            for (int k = 0; k < phase->run; k++)
                *packed++ =
                    dense[weight_index(lowering, phase, w, t, k, 0) + o * output_step(lowering, w)];
}

/** Panels of outputs, each [taps, run, panel]; outputs beyond the last are zero. */
static void pack_phase(int panel, basin__lowering lowering, const basin__phase *phase,
                       basin_shape w, const float *dense, float *packed) {
    int outputs = output_count(lowering, w);
    ptrdiff_t step = output_step(lowering, w);
    for (int first = 0; first < phase->width; first += panel) {
        int width = phase->width - first < panel ? phase->width - first : panel;
        int valid = outputs - first < width ? outputs - first : width;
        for (int t = 0; t < phase->taps; t++)
            for (int k = 0; k < phase->run; k++, packed += width) {
                const float *from = dense + weight_index(lowering, phase, w, t, k, first);
                for (int o = 0; o < valid; o++)
                    packed[o] = from[o * step];
                for (int o = valid > 0 ? valid : 0; o < width; o++)
                    packed[o] = 0.0f;
            }
    }
}

/** The same in halves, two inputs of an output side by side. */
static void pack_halves(int panel, basin__lowering lowering, const basin__phase *phase,
                        basin_shape w, const float *dense, basin__half *packed) {
    int outputs = output_count(lowering, w);
    ptrdiff_t step = output_step(lowering, w);
    for (int first = 0; first < phase->width; first += panel) {
        int width = phase->width - first < panel ? phase->width - first : panel;
        int valid = outputs - first < width ? outputs - first : width;
        memset(packed, 0,
               (size_t)phase->taps * (size_t)phase->run * (size_t)width * sizeof *packed);
        for (int t = 0; t < phase->taps; t++, packed += (ptrdiff_t)phase->run * width)
            for (int k = 0; k < phase->run; k++) {
                const float *from = dense + weight_index(lowering, phase, w, t, k, first);
                basin__half *to = packed + (ptrdiff_t)(k / 2) * 2 * width + k % 2;
                for (int o = 0; o < valid; o++)
                    to[2 * o] = basin__half_of(from[o * step]);
            }
    }
}

static void pack_start(const basin__plan *plan, const basin__group *group) {
    const float *from = basin__plan_data(plan, group->start, NULL, NULL);
    float *to = (float *)(void *)plan->shared + group->start_offset;
    memcpy(to, from, (size_t)group->shape.channels * sizeof *to); /* the rest stays zero */
}

void basin__pack_all(basin__plan *plan) {
    for (int i = 0; i < plan->group_count; i++) {
        const basin__group *group = &plan->groups[i];
        if (group->start != BASIN_NO_VALUE)
            pack_start(plan, group);
        if (group->is_packed || group->lowering == BASIN__LOWER_NONE ||
            group->lowering == BASIN__LOWER_WEIGHT)
            continue;
        basin_value weight = basin__plan_node(plan, group->root)->input[1];
        basin_shape shape = basin__plan_node(plan, weight)->shape;
        const float *dense = basin__plan_data(plan, weight, NULL, NULL);
        for (int p = 0; p < group->phase_count; p++) {
            const basin__phase *phase = &group->phases[p];
            float *packed = basin__plan_packed(group, phase);
            if (phase->fast)
                basin__winograd_pack(plan, group, phase, dense, packed);
            else if (phase->is_half)
                pack_halves(plan->kernels->panel, group->lowering, phase, shape, dense,
                            (basin__half *)(void *)packed);
            else if (phase->few)
                pack_few(group->lowering, phase, shape, dense, packed);
            else
                pack_phase(plan->kernels->panel, group->lowering, phase, shape, dense, packed);
        }
    }
}

size_t basin__lower_sum_size(const basin__plan *plan, basin_value value) {
    basin_shape shape = basin__plan_node(plan, value)->shape;
    if (basin__lowering_of(plan, value) != BASIN__LOWER_WEIGHT)
        return (size_t)basin_shape_count(shape);
    return (size_t)shape.height * (size_t)shape.width * (size_t)shape.channels *
           (size_t)padded(shape.outer);
}

void basin__unpack_weight(const basin__plan *plan, const basin__group *group, const float *packed,
                          float *dense) {
    const basin__phase *phase = &group->phases[0];
    basin_shape w = basin__plan_node(plan, group->root)->shape;
    ptrdiff_t step = output_step(BASIN__LOWER_WEIGHT, w);
    for (int t = 0; t < phase->taps; t++)
        for (int k = 0; k < phase->run; k++, packed += phase->width) {
            float *to = dense + weight_index(BASIN__LOWER_WEIGHT, phase, w, t, k, 0);
            for (int o = 0; o < w.outer; o++)
                to[o * step] = packed[o];
        }
}
