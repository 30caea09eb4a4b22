/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running one tile: group after group, each over blocks of rows.
 *
 * A block is at most 48 rows of 64 channels. The convolution kernel writes it
 * to a register (12 KB, so a few stay in the first cache), the program's
 * instructions run over it, and what later groups read is stored.
 */
#include "inside.h"
#include <math.h>
#include <string.h>

float *basin__register(const basin__plan *plan, unsigned char *workspace, int index) {
    size_t values = plan->tile_size * (size_t)plan->tile;
    return (float *)(void *)workspace + values +
           (size_t)index * BASIN__CONV_ROWS * BASIN__CONV_WIDTH;
}

/* ---- halos, inputs, outputs ---- */

static void zero_halo(const basin__plan *plan, basin_value value, int n, unsigned char *workspace) {
    const basin__layout *layout = &plan->places[value].layout;
    basin_shape shape = basin__plan_node(plan, value)->shape;
    size_t element = basin__place_element(plan, &plan->places[value]);
    size_t line = (size_t)layout->line * element;
    size_t left = (size_t)(layout->left * layout->pixel) * element;
    size_t right = (size_t)(layout->right * layout->pixel) * element;
    unsigned char *at = basin__plan_data(plan, value, workspace, NULL);
    at -= (size_t)layout->origin * element;
    for (int i = 0; i < n; i++, at += (size_t)layout->example * element) {
        unsigned char *middle = at + (size_t)layout->top * line;
        unsigned char *bottom = middle + (size_t)shape.height * line;
        memset(at, 0, (size_t)layout->top * line);
        for (; middle < bottom; middle += line) {
            memset(middle, 0, left);
            memset(middle + line - right, 0, right);
        }
        memset(bottom, 0, (size_t)layout->bottom * line);
    }
}

/** Copy between a dense array and a value's place, pixel line by pixel line. */
static void copy_value(const basin__plan *plan, basin_value value, int n, unsigned char *workspace,
                       unsigned char *dense, bool is_in) {
    const basin__layout *layout = &plan->places[value].layout;
    basin_shape shape = basin__plan_node(plan, value)->shape;
    unsigned char *origin = basin__plan_data(plan, value, workspace, NULL);
    bool is_tight = layout->pixel == shape.channels;
    size_t pixels = is_tight ? 1 : (size_t)shape.width;
    size_t bytes =
        (size_t)(is_tight ? shape.width * shape.channels : shape.channels) * plan->element;
    for (int i = 0; i < n; i++)
        for (int y = 0; y < shape.height * shape.outer; y++)
            for (size_t x = 0; x < pixels; x++) {
                unsigned char *place = origin + (size_t)(i * layout->example + y * layout->line +
                                                         (ptrdiff_t)x * layout->pixel) *
                                                    plan->element;
                if (is_in)
                    memcpy(place, dense, bytes);
                else
                    memcpy(dense, place, bytes);
                dense += bytes;
            }
}

static void copy_inputs(const basin__plan *plan, int n, const void *const *inputs,
                        unsigned char *workspace) {
    for (int v = 0; v < plan->graph->count; v++) {
        const basin__place *place = &plan->places[v];
        if (place->input < 0)
            continue;
        const basin__layout *layout = &place->layout;
        if (layout->top || layout->left || layout->bottom || layout->right)
            zero_halo(plan, v, n, workspace);
        copy_value(plan, v, n, workspace, (unsigned char *)(uintptr_t)inputs[place->input], true);
    }
}

void basin__copy_output(const basin__plan *plan, int output, int worker, int64_t n, void *to) {
    basin_value value = plan->outputs[output];
    if (plan->places[value].region == BASIN__REGION_TILE)
        copy_value(plan, value, (int)n, plan->workspaces[worker], to, false);
}

/* ---- programs ---- */

/** The rows of a block in an operand's memory. */
static basin__rows rows_of(const basin__plan *plan, const basin__operand *operand,
                           const basin__block *rows, unsigned char *workspace) {
    unsigned char *base = basin__plan_data(plan, operand->value, workspace, NULL);
    size_t element = basin__place_element(plan, &plan->places[operand->value]);
    return (basin__rows){base + (size_t)rows->first * element, operand->row + rows->row};
}

static void load_rows(const basin__plan *plan, const basin__operand *operand,
                      const basin__block *rows, unsigned char *workspace, float *out) {
    const basin__rows from = rows_of(plan, operand, rows, workspace);
    if (plan->places[operand->value].is_half) {
        plan->kernels->load_rows_half(out, &from, rows->rows, rows->width);
        return;
    }
    if (!operand->is_channel_scalar) {
        plan->kernels->load_rows(out, from.base, from.row, rows->rows, rows->width,
                                 operand->channels - rows->first);
        return;
    }
    const float *base = basin__plan_data(plan, operand->value, workspace, NULL);
    for (int r = 0; r < rows->rows; r++)
        for (int c = 0; c < rows->width; c++)
            *out++ = base[from.row[r]];
}

static void store_rows(const basin__plan *plan, const basin__operand *operand,
                       const basin__block *rows, unsigned char *workspace, const float *in) {
    const basin__rows to = rows_of(plan, operand, rows, workspace);
    if (plan->places[operand->value].is_half)
        plan->kernels->store_rows_half(&to, in, rows->rows, rows->width);
    else
        plan->kernels->store_rows(to.base, to.row, in, rows->rows, rows->width,
                                  operand->channels - rows->first);
}

/** An instruction whose results go to memory, and nowhere else. */
static void run_store(const basin__plan *plan, const basin__group *group,
                      const basin__instruction *at, const basin__block *rows,
                      unsigned char *workspace) {
    const basin__cpu_kernels *kernels = plan->kernels;
    const float *a = basin__register(plan, workspace, at->a);
    bool is_half = plan->places[group->operands[at->operand].value].is_half;
    basin__rows first = rows_of(plan, &group->operands[at->operand], rows, workspace);
    basin__rows second = rows_of(plan, &group->operands[at->operand2], rows, workspace);
    if (at->kind == BASIN__SILU_STORE)
        (is_half ? kernels->silu_rows_half : kernels->silu_rows)(&first, &second, a, rows->rows,
                                                                 rows->width);
    else
        (is_half ? kernels->mul_rows_half : kernels->mul_rows)(&first, a, &second, rows->rows,
                                                               rows->width);
}

void basin__run_program(const basin__plan *plan, const basin__group *group,
                        const basin__block *rows, unsigned char *workspace) {
    int64_t n = (int64_t)rows->rows * rows->width;
    for (int i = 0; i < group->instruction_count; i++) {
        const basin__instruction *at = &group->instructions[i];
        float *out = basin__register(plan, workspace, at->out);
        float *a = basin__register(plan, workspace, at->a);
        switch (at->kind) {
        case BASIN__LOAD:
            load_rows(plan, &group->operands[at->operand], rows, workspace, out);
            break;
        case BASIN__STORE:
            store_rows(plan, &group->operands[at->operand], rows, workspace, a);
            break;
        case BASIN__MAP:
            at->map(out, a, basin__register(plan, workspace, at->b), n, at->p, at->q);
            break;
        case BASIN__SILU_BOTH:
            plan->kernels->silu_both(out, basin__register(plan, workspace, at->out2), a, n);
            break;
        case BASIN__SILU_STORE:
        case BASIN__MUL_STORE:
            run_store(plan, group, at, rows, workspace);
            break;
        }
    }
}

/* ---- blocks of rows ---- */

/** Cut `total` rows into equal blocks of at most 48, a multiple of 6 (the micro-kernels' heights).
 */
static int block_height(int total) {
    int blocks = (total + BASIN__CONV_ROWS - 1) / BASIN__CONV_ROWS;
    int height = (total + blocks - 1) / blocks;
    return (height + 5) / 6 * 6;
}

static void convolve(const basin__plan *plan, const basin__group *group, const basin__phase *phase,
                     const basin__block *rows, unsigned char *workspace, float *out) {
    const float *start = NULL;
    if (group->start != BASIN_NO_VALUE)
        start = (const float *)(const void *)plan->shared + group->start_offset + rows->first;
    if (phase->taps == 0) { /* pixels that no stride reaches */
        for (int i = 0; i < rows->rows * rows->width; i++)
            out[i] = start ? start[i % rows->width] : 0.0f;
        return;
    }
    basin_value input = basin__plan_node(plan, group->root)->input[0];
    size_t k = (size_t)phase->taps * (size_t)phase->run * (size_t)rows->first;
    basin__conv_block call = {
        .in = basin__plan_data(plan, input, workspace, NULL),
        .row = phase->in_row + rows->row - phase->first_row,
        .rows = rows->rows,
        .tap = phase->tap,
        .taps = phase->taps,
        .run = phase->run,
        .weight = basin__plan_packed(group, phase) + (phase->is_half ? k / 2 : k),
        .is_half = phase->is_half,
        .start = start,
        .width = rows->width,
        .out = out,
    };
    if (phase->few)
        plan->kernels->conv_few(&call, phase->few);
    else
        plan->kernels->conv(&call);
}

/** All rows of one phase through the program. */
static void run_rows(const basin__plan *plan, const basin__group *group, const basin__phase *phase,
                     int n, unsigned char *workspace) {
    int total = n * phase->pixels;
    if (total == 0)
        return;
    if (phase->fast) {
        basin__winograd_run(plan, group, phase, n, workspace);
        return;
    }
    int height = block_height(total);
    int channels = (group->shape.channels + BASIN__CHANNEL_UNIT - 1) / BASIN__CHANNEL_UNIT *
                   BASIN__CHANNEL_UNIT;
    float *out = basin__register(plan, workspace, group->root_register);
    basin__block rows;
    for (rows.first = 0; rows.first < channels; rows.first += BASIN__CONV_WIDTH) {
        rows.width =
            channels - rows.first < BASIN__CONV_WIDTH ? channels - rows.first : BASIN__CONV_WIDTH;
        for (int at = 0; at < total; at += height) {
            rows.row = phase->first_row + at;
            rows.rows = total - at < height ? total - at : height;
            if (group->root != BASIN_NO_VALUE)
                convolve(plan, group, phase, &rows, workspace, out);
            basin__run_program(plan, group, &rows, workspace);
        }
    }
}

/** All taps' products of a pixel at once, then added to the pixels they reach. */
static void run_scatter(const basin__plan *plan, const basin__group *group, int n,
                        unsigned char *workspace) {
    const basin__phase *phase = &group->phases[0];
    const basin__node *node = basin__plan_node(plan, group->root);
    const basin__layout *layout = &plan->places[group->root].layout;
    basin_shape weight = basin__plan_node(plan, node->input[1])->shape;
    int run = weight.width * weight.channels;
    float *image = basin__plan_data(plan, group->root, workspace, NULL);
    float *out = basin__register(plan, workspace, 0);
    memset(image - layout->origin, 0, (size_t)(n * layout->example) * sizeof *image);
    int total = n * phase->pixels, height = block_height(total);
    basin__block rows = {.first = 0, .width = phase->width};
    for (int at = 0; at < total; at += height) {
        rows.row = at;
        rows.rows = total - at < height ? total - at : height;
        convolve(plan, group, phase, &rows, workspace, out);
        plan->kernels->scatter_rows(image, group->other_row + at, out, rows.rows, rows.width,
                                    weight.height * run, run, layout->line);
    }
}

static void run_weight(const basin__plan *plan, const basin__group *group, int n,
                       unsigned char *workspace, unsigned char *sums) {
    const basin__phase *phase = &group->phases[0];
    const basin__node *node = basin__plan_node(plan, group->root);
    float *out = basin__plan_data(plan, group->root, workspace, sums);
    if (phase->fast) {
        basin__winograd_run_weight(plan, group, n, workspace, out);
        return;
    }
    basin__conv_weight_block call = {
        .in = basin__plan_data(plan, node->input[0], workspace, NULL),
        .row = phase->in_row,
        .gradient = basin__plan_data(plan, node->input[1], workspace, NULL),
        .gradient_row = group->other_row,
        .rows = (int64_t)n * phase->pixels,
        .tap = phase->tap,
        .taps = phase->taps,
        .run = phase->run,
        .width = phase->width,
        .out = out,
    };
    plan->kernels->conv_weight(&call);
}

static void run_group(const basin__plan *plan, const basin__group *group, int n,
                      unsigned char *workspace, unsigned char *sums) {
    if (group->lowering == BASIN__LOWER_SCATTER)
        run_scatter(plan, group, n, workspace);
    else if (group->lowering == BASIN__LOWER_WEIGHT)
        run_weight(plan, group, n, workspace, sums);
    else if (!group->is_program)
        basin__plan_call(plan, group->root, n, workspace, sums);
    else
        for (int p = 0; p < group->phase_count; p++)
            run_rows(plan, group, &group->phases[p], n, workspace);
    for (int i = 0; i < group->halo_count; i++)
        zero_halo(plan, group->halo[i], n, workspace);
}

static void poison(const basin__plan *plan, unsigned char *workspace) {
    size_t count = plan->tile_size * (size_t)plan->tile + plan->scratch_size;
    for (size_t i = 0; i < count; i++)
        if (plan->is_f64)
            ((double *)(void *)workspace)[i] = NAN;
        else
            ((float *)(void *)workspace)[i] = NAN;
}

void basin__run_body(basin__plan *plan, int worker, int n, const void *const *inputs,
                     unsigned char *sums) {
    unsigned char *workspace = plan->workspaces[worker];
    if (plan->is_poisoned)
        poison(plan, workspace);
    copy_inputs(plan, n, inputs, workspace);
    for (int g = 0; g < plan->group_count; g++)
        run_group(plan, &plan->groups[g], n, workspace, sums);
}

void basin__plan_run(basin__plan *plan, int worker, int n, const void *const *inputs,
                     void *const *outputs) {
    basin__run_body(plan, worker, n, inputs, NULL);
    for (int i = 0; i < plan->output_count; i++)
        if (outputs[i])
            basin__copy_output(plan, i, worker, n, outputs[i]);
}
