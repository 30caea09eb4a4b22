/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fusion: which nodes run together, and the program of each group.
 *
 * An element-wise node joins the group of its latest operand, if the rows have
 * the same shape: by then every other operand is in memory, shared, or made in
 * the same group. So SiLU and SiLU' are taken right behind a forward
 * convolution, and the product with SiLU' right behind the backward one.
 */
#include "inside.h"
#include <string.h>

static bool can_fuse(const basin__plan *plan, basin_value value) {
    const basin__node *node = basin__plan_node(plan, value);
    if (!plan->is_fused || !basin__op_definition(node->op)->is_elementwise)
        return false;
    return node->op == BASIN__OP_broadcast || node->op == BASIN__OP_stop ||
           plan->kernels->map[node->op];
}

/** The last group among those of a node's operands, -1 if they are inputs or shared. */
static int latest_group(const basin__plan *plan, const basin__node *node) {
    int latest = -1;
    for (int i = 0; i < node->input_count; i++) {
        const basin__place *place = &plan->places[node->input[i]];
        if (place->region == BASIN__REGION_TILE && place->group > latest)
            latest = place->group;
    }
    return latest;
}

basin_status basin__plan_group(basin__plan *plan) {
    plan->groups =
        basin__alloc_array(plan->context, (size_t)plan->graph->count, sizeof *plan->groups);
    if (!plan->groups)
        return BASIN_ERROR_MEMORY;
    for (int v = 0; v < plan->graph->count; v++) {
        basin__place *place = &plan->places[v];
        bool is_body = (place->region == BASIN__REGION_TILE && place->input < 0) ||
                       place->region == BASIN__REGION_SUM;
        if (!is_body)
            continue;
        const basin__node *node = basin__plan_node(plan, v);
        bool is_fusible = can_fuse(plan, v);
        int latest = latest_group(plan, node);
        if (is_fusible && latest >= 0 && plan->groups[latest].is_program &&
            basin_shape_equal(plan->groups[latest].shape, node->shape)) {
            place->group = latest;
            continue;
        }
        basin__group *group = &plan->groups[plan->group_count];
        group->shape = node->shape;
        group->root = is_fusible ? BASIN_NO_VALUE : v;
        group->start = BASIN_NO_VALUE;
        group->packer = plan;
        group->lowering = is_fusible ? BASIN__LOWER_NONE : basin__lowering_of(plan, v);
        group->is_program = is_fusible || group->lowering == BASIN__LOWER_FORWARD ||
                            group->lowering == BASIN__LOWER_PHASES;
        place->group = plan->group_count++;
    }
    return BASIN_OK;
}

/* ---- programs ---- */

/** What is known while one group's program is written. */
typedef struct writer {
    basin__plan *plan;
    basin__group *group;
    int index;        /* of the group */
    int *holds;       /* register → value, BASIN_NO_VALUE if free */
    int *register_of; /* value → register, -1 if none */
    basin_status status;
} writer;

static int take_register(writer *w, basin_value value) {
    int r = 0;
    while (r < w->group->register_count && w->holds[r] != BASIN_NO_VALUE)
        r++;
    if (r == w->group->register_count)
        w->group->register_count++;
    w->holds[r] = value;
    return r;
}

static void emit(writer *w, basin__instruction instruction) {
    basin__group *group = w->group;
    if (group->instruction_count == group->instruction_capacity) {
        int capacity = group->instruction_capacity ? 2 * group->instruction_capacity : 8;
        void *grown = basin__grow(w->plan->context, group->instructions,
                                  (size_t)group->instruction_count * sizeof instruction,
                                  (size_t)capacity * sizeof instruction);
        if (!grown) {
            w->status = BASIN_ERROR_MEMORY;
            return;
        }
        group->instructions = grown;
        group->instruction_capacity = capacity;
    }
    group->instructions[group->instruction_count++] = instruction;
}

/** Offsets of all rows of a full tile in a value's memory, in the order of the group's phases. */
static void list_rows(const basin__plan *plan, const basin__group *group, basin_value value,
                      int32_t *row) {
    const basin__place *place = &plan->places[value];
    basin_shape shape = basin__plan_node(plan, value)->shape;
    ptrdiff_t example = place->region == BASIN__REGION_TILE ? place->layout.example : 0;
    ptrdiff_t line = shape.height == 1 ? 0 : place->layout.line;
    ptrdiff_t pixel = shape.width == 1 ? 0 : place->layout.pixel;
    for (int i = 0; i < group->phase_count; i++) {
        const basin__phase *phase = &group->phases[i];
        for (int n = 0; n < plan->tile; n++)
            for (int p = 0; p < phase->pixels; p++) {
                int at = phase->pixel ? phase->pixel[p] : p;
                int y = at / group->shape.width, x = at % group->shape.width;
                *row++ = (int32_t)(n * example + y * line + x * pixel);
            }
    }
}

/** Describe how rows of a value lie in memory; returns the operand's index. */
static int add_operand(writer *w, basin_value value, bool is_store) {
    basin__group *group = w->group;
    const basin__place *place = &w->plan->places[value];
    basin_shape shape = basin__plan_node(w->plan, value)->shape, rows = group->shape;
    if (group->operand_count == group->operand_capacity) {
        int capacity = group->operand_capacity ? 2 * group->operand_capacity : 4;
        void *grown = basin__grow(w->plan->context, group->operands,
                                  (size_t)group->operand_count * sizeof *group->operands,
                                  (size_t)capacity * sizeof *group->operands);
        if (!grown) {
            w->status = BASIN_ERROR_MEMORY;
            return 0;
        }
        group->operands = grown;
        group->operand_capacity = capacity;
    }
    basin__operand *operand = &group->operands[group->operand_count];
    *operand = (basin__operand){.value = value};
    operand->is_channel_scalar = shape.channels == 1 && rows.channels > 1;
    operand->channels =
        is_store || place->region == BASIN__REGION_TILE ? (int)place->layout.pixel : shape.channels;
    size_t count = (size_t)w->plan->tile * (size_t)(rows.height * rows.width);
    operand->row = basin__alloc_array(w->plan->context, count, sizeof *operand->row);
    if (!operand->row) {
        w->status = BASIN_ERROR_MEMORY;
        return 0;
    }
    list_rows(w->plan, group, value, operand->row);
    return group->operand_count++;
}

static bool is_member(const writer *w, basin_value value) {
    const basin__place *place = &w->plan->places[value];
    return place->region == BASIN__REGION_TILE && place->group == w->index;
}

/** Whether a later member of the group, after `value`, still reads `operand`. */
static bool is_read_after(const writer *w, basin_value operand, basin_value value) {
    for (int v = value + 1; v < w->plan->graph->count; v++) {
        if (!w->plan->places[v].is_needed || !is_member(w, v) || w->register_of[v] >= 0)
            continue;
        const basin__node *node = basin__plan_node(w->plan, v);
        for (int i = 0; i < node->input_count; i++)
            if (node->input[i] == operand)
                return true;
    }
    return false;
}

static int load(writer *w, basin_value value) {
    int r = take_register(w, value);
    emit(w, (basin__instruction){
                .kind = BASIN__LOAD, .out = r, .operand = add_operand(w, value, false)});
    return r;
}

/** The register of an operand: where the group made it, or freshly loaded. */
static int fetch(writer *w, basin_value value) {
    return is_member(w, value) ? w->register_of[value] : load(w, value);
}

/** Free an operand's register unless a later member reads it. */
static void let_go(writer *w, basin_value operand, int r, basin_value reader) {
    if (!is_member(w, operand) || !is_read_after(w, operand, reader))
        w->holds[r] = BASIN_NO_VALUE;
}

static void finish(writer *w, basin_value value, int r) {
    w->register_of[value] = r;
    if (w->plan->places[value].is_stored)
        emit(w, (basin__instruction){
                    .kind = BASIN__STORE, .a = r, .operand = add_operand(w, value, true)});
    if (!is_read_after(w, value, value))
        w->holds[r] = BASIN_NO_VALUE;
}

/** SiLU's partner SiLU' of the same operand in this group, or the reverse. */
static basin_value silu_partner(const writer *w, basin_value value) {
    const basin__node *node = basin__plan_node(w->plan, value);
    basin__op wanted = node->op == BASIN__OP_silu         ? BASIN__OP_silu_slope
                       : node->op == BASIN__OP_silu_slope ? BASIN__OP_silu
                                                          : BASIN__OP_COUNT;
    for (int v = value + 1; v < w->plan->graph->count; v++) {
        const basin__node *other = basin__plan_node(w->plan, v);
        if (w->plan->places[v].is_needed && is_member(w, v) && other->op == wanted &&
            other->input[0] == node->input[0])
            return v;
    }
    return BASIN_NO_VALUE;
}

static void write_silu_both(writer *w, basin_value value, basin_value partner) {
    const basin__node *node = basin__plan_node(w->plan, value);
    basin_value x = node->input[0];
    int a = fetch(w, x);
    w->register_of[partner] = 0; /* made here: it reads x no more */
    let_go(w, x, a, value);
    int first = take_register(w, value), second = take_register(w, partner);
    bool is_silu = node->op == BASIN__OP_silu;
    emit(w, (basin__instruction){.kind = BASIN__SILU_BOTH,
                                 .out = is_silu ? first : second,
                                 .out2 = is_silu ? second : first,
                                 .a = a});
    finish(w, value, first);
    finish(w, partner, second);
}

static void write_map(writer *w, basin_value value) {
    const basin__node *node = basin__plan_node(w->plan, value);
    bool is_copy = node->op == BASIN__OP_broadcast || node->op == BASIN__OP_stop;
    if (is_copy && !is_member(w, node->input[0])) {
        finish(w, value, load(w, node->input[0]));
        return;
    }
    int a = fetch(w, node->input[0]);
    bool is_binary = node->input_count == 2 && node->input[1] != node->input[0];
    int b = is_binary ? fetch(w, node->input[1]) : a;
    let_go(w, node->input[0], a, value);
    if (is_binary)
        let_go(w, node->input[1], b, value);
    basin__instruction map = {.kind = BASIN__MAP, .a = a, .b = b};
    map.out = take_register(w, value);
    map.map = w->plan->kernels->map[is_copy ? BASIN__OP_scale : node->op];
    map.p = is_copy ? 1.0f : (float)node->attributes.a;
    map.q = (float)node->attributes.b;
    emit(w, map);
    finish(w, value, map.out);
}

/**
 * A bias: if the root is only read by adding a shared vector to it, its sums start from that vector
 * and the register holds the sum. Returns the value that the register then holds.
 */
static basin_value start_root(writer *w) {
    basin__group *group = w->group;
    basin_value reader = BASIN_NO_VALUE;
    for (int v = group->root + 1; v < w->plan->graph->count; v++) {
        const basin__node *node = basin__plan_node(w->plan, v);
        for (int i = 0; w->plan->places[v].is_needed && i < node->input_count; i++)
            if (node->input[i] == group->root) {
                if (reader != BASIN_NO_VALUE)
                    return group->root;
                reader = v;
            }
    }
    if (reader == BASIN_NO_VALUE || !is_member(w, reader) || w->plan->places[group->root].is_stored)
        return group->root;
    const basin__node *node = basin__plan_node(w->plan, reader);
    basin_value other = node->input[node->input[0] == group->root];
    if (node->op != BASIN__OP_add || w->plan->places[other].region == BASIN__REGION_TILE ||
        !basin_shape_equal(basin__plan_node(w->plan, other)->shape,
                           basin_shape_vector(group->shape.channels)))
        return group->root;
    group->start = other;
    w->register_of[group->root] = group->root_register;
    return reader;
}

static void write_program(writer *w) {
    for (int v = 0; v < w->plan->graph->count; v++) {
        if (!w->plan->places[v].is_needed || !is_member(w, v) || w->register_of[v] >= 0)
            continue;
        if (v == w->group->root) {
            w->group->root_register = take_register(w, v);
            finish(w, start_root(w), w->group->root_register);
            continue;
        }
        basin_value partner = silu_partner(w, v);
        if (partner != BASIN_NO_VALUE)
            write_silu_both(w, v, partner);
        else
            write_map(w, v);
    }
}

/* ---- instructions that store ---- */

static bool reads(const basin__instruction *at, int r) {
    return at->kind != BASIN__LOAD && (at->a == r || (at->kind == BASIN__MAP && at->b == r));
}

static bool writes(const basin__instruction *at, int r) {
    return at->kind != BASIN__STORE &&
           (at->out == r || (at->kind == BASIN__SILU_BOTH && at->out2 == r));
}

/** Whether what register r holds before instruction `index` is of no more use. */
static bool is_dead(const basin__group *group, int index, int r) {
    for (; index < group->instruction_count; index++) {
        if (reads(&group->instructions[index], r))
            return false;
        if (writes(&group->instructions[index], r))
            return true;
    }
    return true;
}

static bool is_whole(const basin__group *group, int operand) {
    return !group->operands[operand].is_channel_scalar &&
           group->operands[operand].channels % BASIN__CHANNEL_UNIT == 0;
}

static bool is_store_of(const basin__group *group, int index, int r) {
    const basin__instruction *at = &group->instructions[index];
    return index < group->instruction_count && at->kind == BASIN__STORE && at->a == r &&
           is_whole(group, at->operand) && is_dead(group, index + 1, r);
}

/** Whether both operands are of floats, or both of halves: there are kernels for those. */
static bool is_same_kind(const basin__plan *plan, const basin__group *group,
                         const basin__instruction *at) {
    return plan->places[group->operands[at->operand].value].is_half ==
           plan->places[group->operands[at->operand2].value].is_half;
}

/** SiLU and its slope, both stored: read the block, write the rows. */
static bool join_silu(const basin__plan *plan, const basin__group *group, int index,
                      basin__instruction *joined) {
    const basin__instruction *at = &group->instructions[index];
    if (at->kind != BASIN__SILU_BOTH || index + 2 >= group->instruction_count)
        return false;
    bool is_in_order = is_store_of(group, index + 1, at->out);
    int first = index + (is_in_order ? 1 : 2), second = index + (is_in_order ? 2 : 1);
    if (!is_store_of(group, first, at->out) || !is_store_of(group, second, at->out2))
        return false;
    *joined = (basin__instruction){.kind = BASIN__SILU_STORE, .a = at->a};
    joined->operand = group->instructions[first].operand;
    joined->operand2 = group->instructions[second].operand;
    return is_same_kind(plan, group, joined);
}

/** A loaded factor and a stored product. */
static bool join_mul(const basin__plan *plan, const basin__group *group, int index,
                     basin__instruction *joined) {
    const basin__instruction *at = &group->instructions[index];
    if (at->kind != BASIN__LOAD || index + 2 >= group->instruction_count)
        return false;
    const basin__instruction *map = at + 1;
    if (map->kind != BASIN__MAP || map->map != plan->kernels->map[BASIN__OP_mul] ||
        map->a == map->b || (map->a != at->out && map->b != at->out) ||
        !is_store_of(group, index + 2, map->out) || !is_whole(group, at->operand) ||
        (map->out != at->out && !is_dead(group, index + 2, at->out)))
        return false;
    *joined = (basin__instruction){.kind = BASIN__MUL_STORE, .operand2 = at->operand};
    joined->operand = group->instructions[index + 2].operand;
    joined->a = map->a == at->out ? map->b : map->a;
    return is_same_kind(plan, group, joined);
}

/** Three instructions become one where what they make is stored and nothing else. */
static void join_stores(const basin__plan *plan, basin__group *group) {
    int kept = 0;
    for (int i = 0; i < group->instruction_count; i++) {
        basin__instruction joined;
        bool is_joined = join_silu(plan, group, i, &joined) || join_mul(plan, group, i, &joined);
        group->instructions[kept++] = is_joined ? joined : group->instructions[i];
        i += is_joined ? 2 : 0;
    }
    group->instruction_count = kept;
}

/** What the fast convolution that needs most keeps beside the registers, in elements. */
static size_t fast_scratch(const basin__plan *plan) {
    size_t most = 0;
    for (int g = 0; g < plan->group_count; g++)
        for (int p = 0; p < plan->groups[g].phase_count; p++) {
            const basin__phase *phase = &plan->groups[g].phases[p];
            size_t size = !phase->fast ? 0
                          : plan->groups[g].lowering == BASIN__LOWER_WEIGHT
                              ? basin__winograd_weight_scratch(phase)
                              : basin__winograd_scratch(phase);
            most = size > most ? size : most;
        }
    return most;
}

/** Write the programs of all groups; sets the scratch size (registers of the largest). */
basin_status basin__plan_program(basin__plan *plan) {
    size_t count = (size_t)plan->graph->count;
    int *holds = basin__alloc_array(plan->context, 2 * count + 4, sizeof *holds);
    int *register_of = basin__alloc_array(plan->context, count, sizeof *register_of);
    basin_status status = holds && register_of ? BASIN_OK : BASIN_ERROR_MEMORY;
    int registers = 1;
    for (int g = 0; status == BASIN_OK && g < plan->group_count; g++) {
        basin__group *group = &plan->groups[g];
        if (group->is_program) {
            for (size_t i = 0; i < 2 * count + 4; i++)
                holds[i] = BASIN_NO_VALUE;
            for (size_t i = 0; i < count; i++)
                register_of[i] = -1;
            writer w = {plan, group, g, holds, register_of, BASIN_OK};
            write_program(&w);
            status = w.status;
            if (status == BASIN_OK)
                join_stores(plan, group);
        }
        if (group->start != BASIN_NO_VALUE && status == BASIN_OK) {
            group->start_offset = plan->shared_size;
            plan->shared_size += (size_t)group->phases[0].width;
        }
        if (group->register_count > registers)
            registers = group->register_count;
    }
    basin__free(plan->context, holds);
    basin__free(plan->context, register_of);
    plan->register_count = registers;
    plan->scratch_size =
        (size_t)registers * BASIN__CONV_ROWS * BASIN__CONV_WIDTH + fast_scratch(plan);
    return status;
}

static bool has_halo(const basin__place *place) {
    const basin__layout *layout = &place->layout;
    return place->is_stored && place->region == BASIN__REGION_TILE &&
           (layout->top || layout->left || layout->bottom || layout->right);
}

/** For each group, the values it stores whose halos must be zero. */
basin_status basin__plan_list_halos(basin__plan *plan) {
    for (int v = 0; v < plan->graph->count; v++) {
        const basin__place *place = &plan->places[v];
        if (!place->is_needed || place->group < 0 || !has_halo(place))
            continue;
        basin__group *group = &plan->groups[place->group];
        size_t bytes = (size_t)group->halo_count * sizeof *group->halo;
        void *grown = basin__grow(plan->context, group->halo, bytes, bytes + sizeof *group->halo);
        if (!grown)
            return BASIN_ERROR_MEMORY;
        group->halo = grown;
        group->halo[group->halo_count++] = v;
    }
    return BASIN_OK;
}
