/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Networks of many shapes as plans, and what these give.
 */
#ifndef BASIN_TESTS_PLAN_SUPPORT_H
#define BASIN_TESTS_PLAN_SUPPORT_H

#include "base/cpu.h"
#include "plan/plan.h"
#include "support.h"
#include <math.h>

/* ---- graphs to try ---- */

typedef struct layer {
    int outputs, kernel, stride, pad;
} layer;

typedef struct net {
    const char *name;
    int height, width, channels;
    layer layers[4];
    bool is_residual, is_second_order, is_pair;
} net;

static const net nets[] = {
    {"seed grey", 12, 10, 1, {{16, 3, 1, 1}, {16, 4, 2, 1}, {32, 3, 1, 1}, {32, 4, 2, 1}}, 0, 0, 1},
    {"seed colour", 8, 8, 3, {{20, 3, 1, 1}, {20, 4, 2, 1}, {72, 3, 1, 1}, {5, 4, 2, 1}}, 0, 0, 1},
    {"odd", 9, 7, 2, {{6, 5, 2, 4}, {18, 3, 2, 1}, {7, 2, 3, 0}, {1, 1, 1, 0}}, 0, 0, 0},
    {"residual", 6, 6, 17, {{17, 3, 1, 1}, {17, 3, 1, 1}, {40, 3, 2, 1}}, 1, 0, 0},
    {"vector", 1, 1, 2, {{24, 1, 1, 0}, {130, 1, 1, 0}, {9, 1, 1, 0}}, 0, 0, 1},
    {"fast", 14, 14, 16, {{32, 3, 1, 1}, {16, 4, 2, 1}}, 0, 0, 1},
    {"fast, all kinds of tiles", 13, 9, 17, {{33, 3, 1, 1}, {16, 5, 1, 2}, {20, 4, 2, 0}}, 0, 0, 0},
    {"fast, other kernels", 11, 18, 20, {{24, 2, 1, 0}, {18, 6, 2, 2}, {70, 4, 1, 1}}, 1, 0, 0},
    {"fast, in batches", 27, 28, 16, {{16, 3, 1, 1}, {16, 3, 1, 1}}, 0, 0, 0},
    {"fast score", 9, 8, 16, {{16, 3, 1, 1}, {16, 3, 1, 0}}, 0, 1, 0},
    {"few outputs", 6, 6, 32, {{16, 3, 1, 1}, {3, 3, 1, 1}, {16, 3, 1, 1}}, 0, 0, 0},
    {"few, shifted", 9, 7, 1, {{4, 3, 1, 1}, {4, 4, 1, 1}, {8, 3, 1, 1}, {8, 4, 2, 1}}, 0, 0, 0},
    {"score", 6, 5, 1, {{8, 3, 1, 1}, {8, 3, 2, 1}}, 0, 1, 0},
};

static char names[16][16];
static int name_count;

static const char *name_of(int layer_index, const char *kind) {
    static char text[32];
    snprintf(text, sizeof text, "%d.%s", layer_index, kind);
    return text;
}

static basin_value energy_of(basin_graph *g, const net *n, basin_value x) {
    name_count = 0;
    for (int i = 0; i < 4 && n->layers[i].outputs; i++) {
        const layer *l = &n->layers[i];
        int inputs = basin_graph_shape(g, x).channels;
        basin_shape weight = {l->outputs, l->kernel, l->kernel, inputs};
        basin_conv conv = {l->stride, l->pad};
        strcpy(names[name_count++], name_of(i, "w"));
        basin_value w = basin_graph_parameter(g, name_of(i, "w"), weight);
        strcpy(names[name_count++], name_of(i, "b"));
        basin_value b = basin_graph_parameter(g, name_of(i, "b"), basin_shape_vector(l->outputs));
        basin_value y = basin_graph_silu(g, basin_graph_add(g, basin_graph_conv(g, x, w, conv), b));
        x = n->is_residual && basin_shape_equal(basin_graph_shape(g, x), basin_graph_shape(g, y))
                ? basin_graph_add(g, x, y)
                : y;
    }
    basin_value m = basin_graph_mean(g, x, BASIN_AXES_SPACE);
    strcpy(names[name_count++], "fc");
    basin_shape shape = {1, 1, 1, basin_graph_shape(g, m).channels};
    return basin_graph_linear(g, m, basin_graph_parameter(g, "fc", shape));
}

#define OUTPUTS_MAX 16

typedef struct problem {
    basin_graph *graph;
    basin_value outputs[OUTPUTS_MAX];
    int output_count, reduced_from; /* outputs from here on are summed over the batch */
    int64_t x_size;
} problem;

/** Outputs: E, dE/dx, and the gradient to each parameter of a loss. */
static void pose(basin_context *context, const net *n, problem *p) {
    assert_int_equal(basin_graph_create(context, &p->graph), BASIN_OK);
    basin_graph *g = p->graph;
    basin_shape shape = basin_shape_image(n->height, n->width, n->channels);
    p->x_size = basin_shape_count(shape);
    basin_value x = basin_graph_input(g, "x", shape);
    basin_value e = energy_of(g, n, x), dx;
    basin_graph_gradient(g, e, &x, 1, &dx);
    basin_value loss = basin_graph_add(g, e, basin_graph_scale(g, basin_graph_square(g, e), 0.1));
    if (n->is_pair)
        loss = basin_graph_sub(g, loss, energy_of(g, n, basin_graph_input(g, "negative", shape)));
    if (n->is_second_order)
        loss =
            basin_graph_add(g, loss, basin_graph_sum(g, basin_graph_square(g, dx), BASIN_AXES_ALL));
    p->outputs[0] = e;
    p->outputs[1] = dx;
    p->reduced_from = 2;
    basin_value parameters[OUTPUTS_MAX];
    for (int i = 0; i < name_count; i++)
        parameters[i] = basin_graph_parameter(
            g, names[i],
            strcmp(names[i], "fc") == 0
                ? (basin_shape){1, 1, 1, n->layers[name_count / 2 - 1].outputs}
            : names[i][2] == 'b'
                ? basin_shape_vector(n->layers[names[i][0] - '0'].outputs)
                : (basin_shape){
                      n->layers[names[i][0] - '0'].outputs, n->layers[names[i][0] - '0'].kernel,
                      n->layers[names[i][0] - '0'].kernel,
                      names[i][0] == '0' ? n->channels : n->layers[names[i][0] - '1'].outputs});
    basin_graph_gradient(g, loss, parameters, name_count, p->outputs + 2);
    p->output_count = 2 + name_count;
    assert_int_equal(basin_graph_status(g), BASIN_OK);
}

/* ---- running a problem ---- */

static bool is_fast(const net *n) { return strncmp(n->name, "fast", 4) == 0; }

typedef struct answer {
    double *values[OUTPUTS_MAX];
    int64_t counts[OUTPUTS_MAX];
} answer;

static void *fill(int64_t count, uint64_t seed, double scale, bool is_f64) {
    void *data = malloc((size_t)count * 8);
    for (int64_t i = 0; i < count; i++) {
        float v = (float)(scale * test_number(seed * 1000003u + (uint64_t)i));
        if (is_f64)
            ((double *)data)[i] = (double)v;
        else
            ((float *)data)[i] = v;
    }
    return data;
}

typedef enum numbers { F32, F64, HALVES } numbers;

/** With halves, energies and their gradients alone: they are what chains ask for. */
static void solve(basin_context *context, const net *n, int64_t batch, numbers kind, int tile,
                  answer *out) {
    problem p;
    pose(context, n, &p);
    bool is_f64 = kind == F64;
    int parameter_count = name_count;
    if (kind == HALVES)
        p.output_count = p.reduced_from;
    basin__plan_options options = {
        .is_f64 = is_f64, .is_half = kind == HALVES, .is_poisoned = true, .tile = tile};
    basin__plan *plan;
    if (basin__plan_create(context, p.graph, p.outputs, p.output_count, &options, &plan) !=
        BASIN_OK)
        fail_msg("%s: %s", n->name, basin_context_error(context));
    bool may_be_fast = kind == F32 && strcmp(basin_context_isa(context), "reference") != 0 &&
                       !basin_context_exact_convolution(context);
    assert_true(is_fast(n) ? (basin__plan_describe(plan).fast_count > 0) == may_be_fast : true);
    void *bound[OUTPUTS_MAX];
    for (int i = 0; i < parameter_count; i++) {
        int64_t count = basin_shape_count(basin_graph_shape(p.graph, p.outputs[2 + i]));
        bound[i] = fill(count, (uint64_t)i + 10, 0.4, is_f64);
        basin__plan_bind(plan, names[i], bound[i]);
    }
    assert_int_equal(basin__plan_prepare(plan), BASIN_OK);
    void *x = fill(batch * p.x_size, 1, 1, is_f64), *z = fill(batch * p.x_size, 2, 1, is_f64);
    const void *inputs[2] = {NULL, NULL};
    inputs[basin__plan_input(plan, "x")] = x;
    if (n->is_pair && kind != HALVES)
        inputs[basin__plan_input(plan, "negative")] = z;
    void *outputs[OUTPUTS_MAX];
    for (int i = 0; i < p.output_count; i++) {
        out->counts[i] = basin_shape_count(basin_graph_shape(p.graph, p.outputs[i])) *
                         (i < p.reduced_from ? batch : 1);
        outputs[i] = calloc((size_t)out->counts[i], 8);
        out->values[i] = malloc((size_t)out->counts[i] * 8);
    }
    assert_int_equal(basin__plan_run_batch(plan, batch, inputs, outputs), BASIN_OK);
    assert_int_equal(basin__plan_run_batch(plan, batch, inputs, outputs), BASIN_OK);
    for (int i = 0; i < p.output_count; i++) {
        for (int64_t j = 0; j < out->counts[i]; j++)
            out->values[i][j] =
                is_f64 ? ((double *)outputs[i])[j] : (double)((float *)outputs[i])[j];
        free(outputs[i]);
    }
    for (int i = p.output_count; i < OUTPUTS_MAX; i++)
        out->values[i] = NULL;
    for (int i = 0; i < name_count; i++)
        free(bound[i]);
    free(x);
    free(z);
    basin__plan_destroy(plan);
    basin_graph_destroy(p.graph);
}

static void forget(answer *a) {
    for (int i = 0; i < OUTPUTS_MAX; i++)
        free(a->values[i]);
}

static inline double difference(const answer *a, const answer *b, int i) {
    double largest = 1e-30, worst = 0;
    for (int64_t j = 0; j < b->counts[i]; j++) {
        double d = fabs(a->values[i][j] - b->values[i][j]);
        largest = fmax(largest, fabs(b->values[i][j]));
        worst = d > worst || isnan(d) ? d : worst;
    }
    return worst / largest;
}

#endif
