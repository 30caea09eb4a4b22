/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiling a graph: which values are needed, which part of the plan each
 * belongs to, and where each lives. Every byte is placed here; running a plan
 * only reads and writes.
 */
#include "inside.h"
#include <assert.h>
#include <math.h>
#include <string.h>

/** Working-set target of a tile in bytes: half of a common second-level cache. */
#define TILE_BYTES (1 << 20)
#define TILE_MIN 2
#define TILE_MAX 128
/**
 * Fast convolutions read their weights, several times as many, once for a batch of tiles, of which
 * deep layers have few an example: more examples pay until they leave the last cache.
 */
#define FAST_TILE 8
/** Those that sum over the batch hold more an example, and run once in many steps. */
#define FAST_SUM_TILE 4
#define FAST_TILE_BYTES (16 << 20)

static void mark_needed(basin__plan *plan) {
    for (int i = 0; i < plan->output_count; i++)
        plan->places[plan->outputs[i]].is_needed = true;
    for (int v = plan->graph->count - 1; v >= 0; v--) {
        if (!plan->places[v].is_needed)
            continue;
        const basin__node *node = basin__plan_node(plan, v);
        for (int i = 0; i < node->input_count; i++)
            plan->places[node->input[i]].is_needed = true;
    }
}

/** Whether a value is a sum over the batch made in the body. */
static bool is_sum(const basin__plan *plan, basin_value value) {
    const basin__node *node = basin__plan_node(plan, value);
    if (!basin__op_definition(node->op)->sums_batch || node->scope != BASIN__SCOPE_REDUCED)
        return false;
    for (int i = 0; i < node->input_count; i++)
        if (basin__plan_node(plan, node->input[i])->scope == BASIN__SCOPE_PER_EXAMPLE)
            return true;
    return false;
}

/** Sort needed values into the three parts and give each its region. */
static void assign_regions(basin__plan *plan) {
    for (int v = 0; v < plan->graph->count; v++) {
        const basin__node *node = basin__plan_node(plan, v);
        basin__place *place = &plan->places[v];
        place->input = -1;
        place->group = place->last_group = -1;
        place->sum_of = v;
        if (!place->is_needed)
            continue;
        bool is_source = basin__op_definition(node->op)->is_source;
        if (node->scope == BASIN__SCOPE_PER_EXAMPLE) {
            place->region = BASIN__REGION_TILE;
            if (is_source)
                place->input = plan->input_count++;
        } else if (is_sum(plan, v)) {
            place->region = BASIN__REGION_SUM;
        } else if (is_source && node->op != BASIN__OP_constant) {
            place->region = BASIN__REGION_BOUND;
        } else {
            place->region = BASIN__REGION_SHARED;
            if (node->scope == BASIN__SCOPE_REDUCED)
                plan->after[plan->after_count++] = v;
            else if (!is_source)
                plan->before[plan->before_count++] = v;
        }
    }
}

static int count_uses(const basin__plan *plan, basin_value value) {
    int uses = 0;
    for (int v = 0; v < plan->graph->count; v++)
        if (plan->places[v].is_needed)
            for (int i = 0; i < basin__plan_node(plan, v)->input_count; i++)
                uses += basin__plan_node(plan, v)->input[i] == value;
    for (int i = 0; i < plan->output_count; i++)
        uses += plan->outputs[i] == value;
    return uses;
}

/** Whether two sums may share one accumulator: same shape, same layout, used only to be added. */
static bool can_share_sum(const basin__plan *plan, basin_value a, basin_value b) {
    const basin__node *x = basin__plan_node(plan, a), *y = basin__plan_node(plan, b);
    if (a == b || plan->places[a].region != BASIN__REGION_SUM ||
        plan->places[b].region != BASIN__REGION_SUM || !basin_shape_equal(x->shape, y->shape))
        return false;
    if (count_uses(plan, a) != 1 || count_uses(plan, b) != 1)
        return false;
    basin_value ra = plan->places[a].sum_of, rb = plan->places[b].sum_of;
    x = basin__plan_node(plan, ra);
    y = basin__plan_node(plan, rb);
    return basin__lowering_of(plan, ra) == basin__lowering_of(plan, rb) && x->op == y->op &&
           x->attributes.conv.stride == y->attributes.conv.stride &&
           x->attributes.conv.pad == y->attributes.conv.pad;
}

/**
 * A parameter used twice (by data and by negatives) has the gradient sum₁ + sum₂. Let the second
 * add to the first's accumulator: half the memory, half the merging.
 */
static void share_sums(basin__plan *plan) {
    int kept = 0;
    for (int i = 0; i < plan->after_count; i++) {
        basin_value v = plan->after[i];
        const basin__node *node = basin__plan_node(plan, v);
        if (node->op == BASIN__OP_add && can_share_sum(plan, node->input[0], node->input[1])) {
            basin_value target = plan->places[node->input[0]].sum_of;
            basin_value other = plan->places[node->input[1]].sum_of;
            for (int u = 0; u < plan->graph->count; u++)
                if (plan->places[u].sum_of == other)
                    plan->places[u].sum_of = target;
            plan->places[v].region = BASIN__REGION_SUM;
            plan->places[v].sum_of = target;
        } else {
            plan->after[kept++] = v;
        }
    }
    plan->after_count = kept;
}

/** Whether a value's channels lie in whole cache lines. */
static bool is_padded(const basin__plan *plan, basin_value value) {
    return plan->places[value].region == BASIN__REGION_TILE && plan->is_fused &&
           basin__plan_node(plan, value)->shape.channels > 4;
}

/** Which values are read from memory, and until which group. */
static void mark_stored(basin__plan *plan) {
    for (int v = 0; v < plan->graph->count; v++) {
        basin__place *place = &plan->places[v];
        if (!place->is_needed || (place->region != BASIN__REGION_TILE && !is_sum(plan, v)))
            continue;
        const basin__node *node = basin__plan_node(plan, v);
        for (int i = 0; i < node->input_count; i++) {
            basin__place *from = &plan->places[node->input[i]];
            if (from->region != BASIN__REGION_TILE || from->group == place->group)
                continue;
            from->is_stored = true;
            if (from->last_group < place->group)
                from->last_group = place->group;
        }
        if (place->input >= 0)
            place->is_stored = true;
    }
    for (int i = 0; i < plan->output_count; i++) {
        basin__place *place = &plan->places[plan->outputs[i]];
        place->is_stored = true;
        place->last_group = plan->group_count;
    }
    /* A root without a program, or that scatters, writes memory even if only its own group reads.
     */
    for (int g = 0; g < plan->group_count; g++)
        if (plan->groups[g].root != BASIN_NO_VALUE && !plan->groups[g].is_program)
            plan->places[plan->groups[g].root].is_stored = true;
}

/** Whether a reader takes a value as rows, whatever numbers they are of. */
static bool takes_rows(const basin__plan *plan, basin_value reader, basin_value value) {
    const basin__place *place = &plan->places[reader];
    if (place->group < 0)
        return false;
    const basin__group *group = &plan->groups[place->group];
    if (group->root != reader)
        return true; /* a program's */
    return (group->lowering == BASIN__LOWER_FORWARD || group->lowering == BASIN__LOWER_PHASES ||
            group->lowering == BASIN__LOWER_SCATTER) &&
           basin__plan_node(plan, reader)->input[0] == value;
}

/** In a plan of halves: which values are stored as such. They are multiplied in pairs. */
static void choose_halves(basin__plan *plan) {
    for (int v = 0; v < plan->graph->count; v++) {
        basin__place *place = &plan->places[v];
        place->is_half = place->is_stored && place->region == BASIN__REGION_TILE &&
                         place->input < 0 && plan->groups[place->group].is_program &&
                         is_padded(plan, v) && basin__plan_node(plan, v)->shape.channels % 2 == 0;
        const basin__node *node = basin__plan_node(plan, v);
        for (int i = 0; place->is_needed && i < node->input_count; i++)
            if (!takes_rows(plan, v, node->input[i]))
                plan->places[node->input[i]].is_half = false;
    }
    for (int i = 0; i < plan->output_count; i++)
        plan->places[plan->outputs[i]].is_half = false;
}

static ptrdiff_t round_up(ptrdiff_t n, ptrdiff_t unit) { return (n + unit - 1) / unit * unit; }

/** Strides of a value, dense or (in a workspace) with halo and padded channels. */
static void lay_out(const basin__plan *plan, basin_value value) {
    basin_shape shape = basin__plan_node(plan, value)->shape;
    basin__place *place = &plan->places[value];
    basin__layout *layout = &place->layout;
    layout->pixel =
        is_padded(plan, value) ? round_up(shape.channels, BASIN__CHANNEL_UNIT) : shape.channels;
    layout->line = layout->pixel * (layout->left + shape.width + layout->right);
    ptrdiff_t lines = layout->top + shape.height + layout->bottom;
    layout->origin = layout->top * layout->line + layout->left * layout->pixel;
    layout->example = layout->line * lines * shape.outer;
    if (place->region == BASIN__REGION_TILE)
        layout->example = round_up(layout->example, BASIN__CHANNEL_UNIT * (place->is_half ? 2 : 1));
    place->size = (size_t)layout->example / (place->is_half ? 2 : 1);
}

/** First fit over lifetimes: values alive at the same time do not overlap. */
static void place_tile(basin__plan *plan, basin_value value) {
    basin__place *place = &plan->places[value];
    size_t offset = 0;
    for (bool is_moved = true; is_moved;) {
        is_moved = false;
        for (int u = 0; u < value; u++) {
            const basin__place *other = &plan->places[u];
            if (other->region != BASIN__REGION_TILE || !other->is_stored)
                continue;
            bool is_alive = other->group <= place->last_group && place->group <= other->last_group;
            if (is_alive && offset < other->offset + other->size &&
                other->offset < offset + place->size) {
                offset = other->offset + other->size;
                is_moved = true;
            }
        }
    }
    place->offset = offset;
    if (plan->tile_size < offset + place->size)
        plan->tile_size = offset + place->size;
}

static size_t take(size_t *size, size_t count) {
    size_t offset = *size;
    *size += (size_t)round_up((ptrdiff_t)count, BASIN__CHANNEL_UNIT);
    return offset;
}

static void place_all(basin__plan *plan) {
    for (int v = 0; v < plan->graph->count; v++) {
        basin__place *place = &plan->places[v];
        if (!place->is_needed)
            continue;
        lay_out(plan, v);
        if (place->region == BASIN__REGION_SHARED) {
            place->offset = take(&plan->shared_size, place->size);
        } else if (place->region == BASIN__REGION_SUM && place->sum_of == v) {
            place->offset = take(&plan->shared_size, place->size);
            place->sum_size = basin__lower_sum_size(plan, v);
            place->sum_offset = take(&plan->sum_size, place->sum_size);
        } else if (place->region == BASIN__REGION_TILE && place->is_stored) {
            if (place->last_group < place->group)
                place->last_group = place->group;
            place_tile(plan, v);
        }
    }
    for (int v = 0; v < plan->graph->count; v++) {
        basin__place *place = &plan->places[v];
        if (place->is_needed && place->region == BASIN__REGION_SUM) {
            place->offset = plan->places[place->sum_of].offset;
            place->sum_offset = plan->places[place->sum_of].sum_offset;
        }
    }
}

static bool is_fast(const basin__plan *plan) {
    for (int g = 0; g < plan->group_count; g++)
        if (basin__lower_is_fast(plan, &plan->groups[g]))
            return true;
    return false;
}

static int clamp_int(size_t n, int low, int high) {
    return n < (size_t)low ? low : n > (size_t)high ? high : (int)n;
}

static void choose_tile(basin__plan *plan, int wanted) {
    size_t bytes = plan->tile_size * plan->element + 1;
    plan->tile = clamp_int(TILE_BYTES / bytes, TILE_MIN, TILE_MAX);
    int most = plan->sum_size > 0 ? FAST_SUM_TILE : FAST_TILE;
    if (plan->tile < most && is_fast(plan))
        plan->tile = clamp_int(FAST_TILE_BYTES / bytes, plan->tile, most);
    if (plan->beside && plan->tile > plan->beside->tile)
        plan->tile = plan->beside->tile;
    /* As many as fit into the other plan's workspaces, if that costs less than half of them. */
    size_t room = plan->beside ? plan->beside->tile_size * (size_t)plan->beside->tile : 0;
    size_t fits = room / (plan->tile_size + 1);
    if (fits >= TILE_MIN && fits < (size_t)plan->tile && 2 * fits > (size_t)plan->tile)
        plan->tile = (int)fits;
    if (wanted > 0)
        plan->tile = wanted;
}

/** Rows are reached by 32-bit offsets. */
static basin_status check_sizes(const basin__plan *plan) {
    for (int v = 0; v < plan->graph->count; v++) {
        const basin__place *place = &plan->places[v];
        if (place->region == BASIN__REGION_TILE &&
            place->layout.example > INT32_MAX / (plan->tile + 1)) {
            basin_shape shape = basin__plan_node(plan, v)->shape;
            return basin__fail(
                plan->context, BASIN_ERROR_UNSUPPORTED,
                "a value of %d x %d x %d is too large: a tile of %d examples must "
                "have fewer than 2^31 elements; use smaller images or fewer channels",
                shape.height, shape.width, shape.channels, plan->tile);
        }
    }
    return BASIN_OK;
}

static basin_status allocate(basin__plan *plan) {
    plan->shared = basin__alloc_array(plan->context, plan->shared_size + 1, plan->element);
    plan->worker_count = basin_context_thread_count(plan->context);
    plan->workspaces =
        basin__alloc_array(plan->context, (size_t)plan->worker_count, sizeof(unsigned char *));
    if (!plan->shared || !plan->workspaces)
        return BASIN_ERROR_MEMORY;
    plan->workspace_bytes =
        (plan->tile_size * (size_t)plan->tile + plan->scratch_size) * plan->element;
    plan->is_guest = plan->beside && plan->beside->workspace_bytes >= plan->workspace_bytes;
    for (int w = 0; w < plan->worker_count; w++) {
        plan->workspaces[w] = plan->is_guest ? plan->beside->workspaces[w]
                                             : basin__alloc(plan->context, plan->workspace_bytes);
        if (!plan->workspaces[w])
            return BASIN_ERROR_MEMORY;
    }
    return BASIN_OK;
}

static void count_flops(basin__plan *plan) {
    for (int v = 0; v < plan->graph->count; v++) {
        const basin__node *node = basin__plan_node(plan, v);
        if (!plan->places[v].is_needed || (plan->places[v].group < 0))
            continue;
        basin_shape weight, image; /* of the weight, and of the conv's output side */
        if (node->op == BASIN__OP_conv) {
            weight = basin_graph_shape(plan->graph, node->input[1]);
            image = node->shape;
        } else if (node->op == BASIN__OP_conv_input) {
            weight = basin_graph_shape(plan->graph, node->input[1]);
            image = basin_graph_shape(plan->graph, node->input[0]);
        } else if (node->op == BASIN__OP_conv_weight) {
            weight = node->shape;
            image = basin_graph_shape(plan->graph, node->input[1]);
        } else if (node->op == BASIN__OP_matmul) { /* each number of A with each column of B' */
            weight = basin_graph_shape(plan->graph, node->input[0]);
            image = (basin_shape){1, 1, node->shape.channels, 1};
        } else {
            continue;
        }
        plan->flops += 2.0 * (double)basin_shape_count(weight) * image.height * image.width;
    }
}

static basin_status compile(basin__plan *plan, const basin__plan_options *options) {
    mark_needed(plan);
    assign_regions(plan);
    BASIN_TRY(basin__plan_group(plan));
    share_sums(plan);
    mark_stored(plan);
    if (plan->is_half)
        choose_halves(plan);
    if (plan->is_fused)
        basin__lower_halos(plan);
    place_all(plan);
    choose_tile(plan, options ? options->tile : 0);
    BASIN_TRY(check_sizes(plan));
    for (int g = 0; g < plan->group_count; g++)
        BASIN_TRY(basin__lower_group(plan, &plan->groups[g]));
    BASIN_TRY(basin__plan_program(plan));
    BASIN_TRY(basin__plan_list_halos(plan));
    count_flops(plan);
    return allocate(plan);
}

basin_status basin__plan_create(basin_context *context, const basin_graph *graph,
                                const basin_value *outputs, int output_count,
                                const basin__plan_options *options, basin__plan **out) {
    *out = NULL;
    if (basin_graph_status(graph) != BASIN_OK)
        return basin_graph_status(graph);
    for (int i = 0; i < output_count; i++)
        if (outputs[i] < 0 || outputs[i] >= graph->count)
            return basin__fail(context, BASIN_ERROR_ARGUMENT, "output %d is no value of the graph",
                               i);
    basin__plan *plan = basin__alloc(context, sizeof *plan);
    if (!plan)
        return BASIN_ERROR_MEMORY;
    plan->context = context;
    plan->graph = graph;
    plan->kernels = basin__cpu_kernels_for(basin__context_isa(context));
    plan->is_f64 = options && options->is_f64;
    plan->is_poisoned = options && options->is_poisoned;
    plan->is_fused = !plan->is_f64 && basin__context_isa(context) != BASIN__ISA_REFERENCE;
    plan->beside = options ? options->beside : NULL;
    plan->is_half = plan->is_fused && options && options->is_half;
    plan->element = plan->is_f64 ? sizeof(double) : sizeof(float);
    plan->output_count = output_count;
    size_t count = (size_t)graph->count;
    plan->outputs = basin__alloc_array(context, (size_t)output_count, sizeof *plan->outputs);
    plan->places = basin__alloc_array(context, count, sizeof *plan->places);
    plan->before = basin__alloc_array(context, count, sizeof *plan->before);
    plan->after = basin__alloc_array(context, count, sizeof *plan->after);
    basin_status status = BASIN_ERROR_MEMORY;
    if (plan->outputs && plan->places && plan->before && plan->after) {
        memcpy(plan->outputs, outputs, (size_t)output_count * sizeof *outputs);
        status = compile(plan, options);
    }
    if (status == BASIN_OK)
        *out = plan;
    else
        basin__plan_destroy(plan);
    return status;
}

static void destroy_group(basin_context *context, basin__group *group) {
    for (int i = 0; group->phases && i < group->phase_count; i++) {
        basin__phase *phase = &group->phases[i];
        basin__free(context, phase->tap);
        basin__free(context, phase->tap_y);
        basin__free(context, phase->tap_x);
        basin__free(context, phase->in_row);
        basin__free(context, phase->pixel);
        basin__winograd_free(context, phase->fast);
    }
    for (int i = 0; i < group->operand_count; i++)
        basin__free(context, group->operands[i].row);
    basin__free(context, group->other_row);
    basin__free(context, group->halo);
    basin__free(context, group->phases);
    basin__free(context, group->instructions);
    basin__free(context, group->operands);
}

void basin__plan_destroy(basin__plan *plan) {
    if (!plan)
        return;
    basin_context *context = plan->context;
    basin__sums_destroy(plan);
    for (int g = 0; g < plan->group_count; g++)
        destroy_group(context, &plan->groups[g]);
    for (int w = 0; plan->workspaces && !plan->is_guest && w < plan->worker_count; w++)
        basin__free(context, plan->workspaces[w]);
    basin__free(context, plan->groups);
    basin__free(context, plan->workspaces);
    basin__free(context, plan->shared);
    basin__free(context, plan->outputs);
    basin__free(context, plan->places);
    basin__free(context, plan->before);
    basin__free(context, plan->after);
    basin__free(context, plan);
}

void basin__plan_bind(basin__plan *plan, const char *name, const void *data) {
    for (int v = 0; v < plan->graph->count; v++)
        if (plan->places[v].region == BASIN__REGION_BOUND &&
            strcmp(basin__plan_node(plan, v)->name, name) == 0)
            plan->places[v].bound = data;
}

void *basin__plan_data(const basin__plan *plan, basin_value value, unsigned char *workspace,
                       unsigned char *sums) {
    const basin__place *place = &plan->places[value];
    switch (place->region) {
    case BASIN__REGION_BOUND:
        return (void *)(uintptr_t)place->bound; /* only ever read */
    case BASIN__REGION_SHARED:
        return plan->shared + place->offset * plan->element;
    case BASIN__REGION_SUM:
        return sums ? sums + place->sum_offset * plan->element
                    : plan->shared + place->offset * plan->element;
    case BASIN__REGION_TILE:
        return workspace + place->offset * (size_t)plan->tile * plan->element +
               (size_t)place->layout.origin * basin__place_element(plan, place);
    case BASIN__REGION_NONE:
        break;
    }
    assert(false && "a value without memory");
    return NULL;
}

basin__view basin__plan_view(const basin__plan *plan, basin_value value, unsigned char *workspace,
                             unsigned char *sums) {
    const basin__place *place = &plan->places[value];
    basin_shape shape = basin__plan_node(plan, value)->shape;
    bool is_tile = place->region == BASIN__REGION_TILE;
    basin__view view = {.data = basin__plan_data(plan, value, workspace, sums),
                        .is_f64 = plan->is_f64,
                        .shape = shape};
    view.stride[0] = is_tile ? place->layout.example : 0;
    view.stride[1] = shape.height * place->layout.line;
    view.stride[2] = place->layout.line;
    view.stride[3] = place->layout.pixel;
    view.stride[4] = 1;
    return view;
}

void basin__plan_call(const basin__plan *plan, basin_value value, int64_t n,
                      unsigned char *workspace, unsigned char *sums) {
    const basin__node *node = basin__plan_node(plan, value);
    basin__op_call call = {.node = node, .n = n};
    for (int i = 0; i < node->input_count; i++)
        call.in[i] = basin__plan_view(plan, node->input[i], workspace, sums);
    call.out = basin__plan_view(plan, value, workspace, sums);
    if (plan->is_f64)
        basin__op_definition(node->op)->run(&call);
    else
        plan->kernels->run[node->op](&call);
}

static void fill_constant(const basin__plan *plan, basin_value value) {
    const basin__node *node = basin__plan_node(plan, value);
    basin__view view = basin__plan_view(plan, value, NULL, NULL);
    for (int64_t i = 0; i < basin_shape_count(node->shape); i++)
        basin__view_set(&view, (ptrdiff_t)i, node->attributes.a);
}

basin_status basin__plan_prepare(basin__plan *plan) {
    for (int v = 0; v < plan->graph->count; v++) {
        const basin__place *place = &plan->places[v];
        if (!place->is_needed)
            continue;
        const basin__node *node = basin__plan_node(plan, v);
        if (place->region == BASIN__REGION_BOUND && !place->bound)
            return basin__fail(plan->context, BASIN_ERROR_ARGUMENT,
                               "plan: \"%s\" was not bound to data", node->name);
        if (node->op == BASIN__OP_constant && !plan->is_prepared)
            fill_constant(plan, v);
    }
    for (int i = 0; i < plan->before_count; i++) {
        basin_value v = plan->before[i];
        const basin__place *place = &plan->places[v];
        if (basin__op_definition(basin__plan_node(plan, v)->op)->sums_batch)
            memset(plan->shared + place->offset * plan->element, 0, place->size * plan->element);
        basin__plan_call(plan, v, 1, NULL, NULL);
    }
    basin__pack_all(plan);
    plan->is_prepared = true;
    return BASIN_OK;
}

int basin__plan_input(const basin__plan *plan, const char *name) {
    for (int v = 0; v < plan->graph->count; v++)
        if (plan->places[v].input >= 0 && strcmp(basin__plan_node(plan, v)->name, name) == 0)
            return plan->places[v].input;
    return -1;
}

int basin__plan_input_count(const basin__plan *plan) { return plan->input_count; }
int basin__plan_tile(const basin__plan *plan) { return plan->tile; }

const void *basin__plan_shared(const basin__plan *plan, int output) {
    return basin__plan_data(plan, plan->outputs[output], NULL, NULL);
}

basin__plan_facts basin__plan_describe(const basin__plan *plan) {
    basin__plan_facts facts = {.tile = plan->tile, .step_count = plan->group_count};
    for (int g = 0; g < plan->group_count; g++)
        facts.fast_count += basin__lower_is_fast(plan, &plan->groups[g]);
    facts.workspace_bytes = plan->is_guest ? 0 : plan->workspace_bytes;
    facts.shared_bytes = plan->shared_size * plan->element;
    facts.flops = plan->flops;
    return facts;
}
