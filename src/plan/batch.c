/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums over the batch that do not depend on the threads.
 *
 * The batch is cut into at most 16 shards by its size alone. A shard sums its
 * examples in order; shards are merged pairwise in a fixed tree, by whichever
 * worker finishes the second of a pair:
 *
 *      0   1   2   3   4        shards
 *       \ /     \ /    |
 *        0       1     2        left += right
 *         \     /      |
 *            0         1
 *             \_______/
 */
#include "inside.h"
#include <pthread.h>
#include <string.h>

#define SHARDS 16
#define LEVELS 5
#define INPUTS_MAX 16

/** Buffers for shards' sums, kept from batch to batch; grown while the first batches run. */
typedef struct basin__sums {
    pthread_mutex_t lock;
    unsigned char *buffers[SHARDS]; /* all that were made */
    unsigned char *free[SHARDS];
    int made, free_count;
} basin__sums;

typedef struct batch {
    basin__plan *plan;
    int64_t n;
    int shards;
    const void *const *inputs;
    void *const *outputs;
    size_t input_bytes[INPUTS_MAX];         /* of one example */
    unsigned char *waiting[LEVELS][SHARDS]; /* finished, sibling not yet */
    unsigned char *root;
    basin_status status;
} batch;

/** Bytes of one (dense) example or shared copy of a value. */
static size_t value_bytes(const basin__plan *plan, basin_value value) {
    return (size_t)basin_shape_count(basin__plan_node(plan, value)->shape) * plan->element;
}

static basin_status sums_ready(basin__plan *plan) {
    if (plan->sums)
        return BASIN_OK;
    plan->sums = basin__alloc(plan->context, sizeof *plan->sums);
    if (!plan->sums)
        return BASIN_ERROR_MEMORY;
    pthread_mutex_init(&plan->sums->lock, NULL);
    return BASIN_OK;
}

void basin__sums_destroy(basin__plan *plan) {
    if (!plan->sums)
        return;
    for (int i = 0; i < plan->sums->made; i++)
        basin__free(plan->context, plan->sums->buffers[i]);
    pthread_mutex_destroy(&plan->sums->lock);
    basin__free(plan->context, plan->sums);
    plan->sums = NULL;
}

/** A zeroed buffer, or NULL with the batch's status set. */
static unsigned char *take_buffer(batch *run) {
    basin__sums *sums = run->plan->sums;
    size_t bytes = run->plan->sum_size * run->plan->element;
    pthread_mutex_lock(&sums->lock);
    unsigned char *buffer = NULL;
    if (sums->free_count > 0)
        buffer = sums->free[--sums->free_count];
    else if ((buffer = basin__alloc(run->plan->context, bytes)) != NULL)
        sums->buffers[sums->made++] = buffer;
    else
        run->status = BASIN_ERROR_MEMORY;
    pthread_mutex_unlock(&sums->lock);
    if (buffer)
        memset(buffer, 0, bytes);
    return buffer;
}

static void add_sums(const basin__plan *plan, unsigned char *to, const unsigned char *from) {
    if (plan->is_f64) {
        double *a = (double *)(void *)to;
        const double *b = (const double *)(const void *)from;
        for (size_t i = 0; i < plan->sum_size; i++)
            a[i] += b[i];
    } else {
        plan->kernels->axpy((float *)(void *)to, 1.0f, (const float *)(const void *)from,
                            (int64_t)plan->sum_size);
    }
}

/** Hand a finished shard up the tree, merging wherever the sibling has finished before. */
static void climb(batch *run, int index, unsigned char *buffer) {
    basin__sums *sums = run->plan->sums;
    int count = run->shards;
    for (int level = 0; count > 1; level++, index /= 2, count = (count + 1) / 2) {
        int sibling = index ^ 1;
        if (sibling >= count)
            continue;
        pthread_mutex_lock(&sums->lock);
        unsigned char *other = run->waiting[level][sibling];
        if (!other)
            run->waiting[level][index] = buffer;
        pthread_mutex_unlock(&sums->lock);
        if (!other)
            return;
        unsigned char *left = index < sibling ? buffer : other;
        unsigned char *right = index < sibling ? other : buffer;
        add_sums(run->plan, left, right);
        pthread_mutex_lock(&sums->lock);
        sums->free[sums->free_count++] = right;
        pthread_mutex_unlock(&sums->lock);
        buffer = left;
    }
    run->root = buffer;
}

static void run_shard(void *user, int64_t index, int worker) {
    batch *run = user;
    basin__plan *plan = run->plan;
    int64_t first = index * run->n / run->shards, last = (index + 1) * run->n / run->shards;
    unsigned char *buffer = NULL;
    if (plan->sum_size > 0 && (buffer = take_buffer(run)) == NULL)
        return;
    const void *inputs[INPUTS_MAX];
    for (int64_t at = first; at < last; at += plan->tile) {
        int n = (int)(last - at < plan->tile ? last - at : plan->tile);
        for (int i = 0; i < plan->input_count; i++)
            inputs[i] = (const unsigned char *)run->inputs[i] + (size_t)at * run->input_bytes[i];
        basin__run_body(plan, worker, n, inputs, buffer);
        for (int i = 0; i < plan->output_count; i++)
            if (run->outputs[i])
                basin__copy_output(plan, i, worker, n,
                                   (unsigned char *)run->outputs[i] +
                                       (size_t)at * value_bytes(plan, plan->outputs[i]));
    }
    if (buffer)
        climb(run, (int)index, buffer);
}

/** Move the merged sums to where the part after reads them. */
static void publish(basin__plan *plan, unsigned char *sums) {
    for (int v = 0; v < plan->graph->count; v++) {
        const basin__place *place = &plan->places[v];
        if (place->region != BASIN__REGION_SUM || place->sum_of != v)
            continue;
        const unsigned char *from = sums + place->sum_offset * plan->element;
        unsigned char *to = plan->shared + place->offset * plan->element;
        const basin__group *group = &plan->groups[place->group];
        if (group->lowering == BASIN__LOWER_WEIGHT)
            basin__unpack_weight(plan, group, (const float *)(const void *)from,
                                 (float *)(void *)to);
        else
            memcpy(to, from, place->size * plan->element);
    }
}

/** A batch_sum here is of a value that all n examples share. Ops that sum add to what they find. */
static void run_after(basin__plan *plan, int64_t n, void *const *outputs) {
    for (int i = 0; i < plan->after_count; i++) {
        basin_value v = plan->after[i];
        basin__op op = basin__plan_node(plan, v)->op;
        const basin__place *place = &plan->places[v];
        if (basin__op_definition(op)->sums_batch)
            memset(plan->shared + place->offset * plan->element, 0, place->size * plan->element);
        basin__plan_call(plan, v, op == BASIN__OP_batch_sum ? n : 1, NULL, NULL);
    }
    for (int i = 0; i < plan->output_count; i++) {
        basin_value value = plan->outputs[i];
        basin__region region = plan->places[value].region;
        if (outputs[i] && region != BASIN__REGION_TILE)
            memcpy(outputs[i], basin__plan_data(plan, value, NULL, NULL), value_bytes(plan, value));
    }
}

basin_status basin__plan_run_batch(basin__plan *plan, int64_t n, const void *const *inputs,
                                   void *const *outputs) {
    batch run = {.plan = plan, .n = n, .inputs = inputs, .outputs = outputs};
    run.shards = n < SHARDS ? (int)n : SHARDS;
    if (n < 1 || plan->input_count > INPUTS_MAX)
        return basin__fail(plan->context, BASIN_ERROR_ARGUMENT,
                           "a batch of %lld examples with %d inputs: at least one example and at "
                           "most %d inputs are taken",
                           (long long)n, plan->input_count, INPUTS_MAX);
    BASIN_TRY(sums_ready(plan));
    for (int v = 0; v < plan->graph->count; v++)
        if (plan->places[v].input >= 0)
            run.input_bytes[plan->places[v].input] = value_bytes(plan, v);
    basin__parallel(plan->context, run.shards, run_shard, &run);
    if (run.status != BASIN_OK)
        return run.status;
    if (run.root) {
        publish(plan, run.root);
        plan->sums->free[plan->sums->free_count++] = run.root;
    }
    run_after(plan, n, outputs);
    return BASIN_OK;
}
