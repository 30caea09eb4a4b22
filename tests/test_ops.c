/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every op in every one of its cases:
 *
 *   - first, second and third gradients against central differences in double.
 *     With F₀ = Σ u ⊙ op(x) and Fₖ₊₁ = Σ r ⊙ ∇Fₖ, r fixed numbers, each ∇Fₖ (to
 *     the inputs and to u) is compared with fourth-order differences of Fₖ;
 *   - kernels on strided views in f32, several examples, against dense double:
 *     each element of the output is written and nothing beside it;
 *
 * and numbers worked out by hand, which differences cannot check.
 */
#include "reference.h"
#include "support.h"
#include <math.h>

#define ORDERS 3
#define VARIABLES (BASIN__INPUTS_MAX + 1)
#define STEP 1e-3
#define TOLERANCE 1e-7 /* relative to 1 + |gradient|; differences err by about 1e-9 here */

static basin_context *context;

static int set_up(void **state) {
    (void)state;
    basin_context_options options;
    basin_context_options_init(&options);
    options.thread_count = 1;
    return basin_context_create(&options, &context) == BASIN_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    basin_context_destroy(context);
    return 0;
}

static basin_graph *new_graph(void) {
    basin_graph *graph = NULL;
    assert_int_equal(basin_graph_create(context, &graph), BASIN_OK);
    return graph;
}

static bool is_index(basin__op op, int input) {
    return ((op == BASIN__OP_lookup || op == BASIN__OP_lookup_table) && input == 1) ||
           op == BASIN__OP_one_hot;
}

/* ---- gradients against differences ---- */

typedef struct problem {
    basin_graph *graph;
    reference *r;
    int variable_count;
    basin_value variable[VARIABLES];
    basin_value function[ORDERS]; /* Fₖ */
    basin_value gradient[ORDERS][VARIABLES];
} problem;

static basin_value sum_all(basin_graph *graph, basin_value x) {
    return basin__graph_sum_to(graph, x, basin_shape_vector(1));
}

/** Σ over the variables of Σ r ⊙ gradient, with new numbers r. */
static basin_value next_function(problem *p, int order) {
    basin_value sum = basin_graph_constant(p->graph, 0, basin_shape_vector(1));
    for (int i = 0; i < p->variable_count; i++) {
        char name[16];
        snprintf(name, sizeof(name), "r%d.%d", order, i);
        basin_value r =
            basin_graph_parameter(p->graph, name, basin_graph_shape(p->graph, p->variable[i]));
        basin_value product = basin_graph_mul(p->graph, r, p->gradient[order][i]);
        sum = basin_graph_add(p->graph, sum, sum_all(p->graph, product));
    }
    return sum;
}

static void build_problem(problem *p, basin__op op, const basin__op_case *with) {
    const basin__op_def *def = basin__op_definition(op);
    basin_graph *graph = p->graph = new_graph();
    basin_value inputs[BASIN__INPUTS_MAX];
    p->variable_count = 0;
    for (int i = 0; i < def->input_count; i++) {
        inputs[i] = basin_graph_parameter(graph, i ? "x1" : "x0", with->input[i]);
        if (!is_index(op, i))
            p->variable[p->variable_count++] = inputs[i];
    }
    basin_value y = basin__graph_add(graph, op, def->input_count, inputs, &with->attributes);
    basin_value u = basin_graph_parameter(graph, "u", basin_graph_shape(graph, y));
    p->variable[p->variable_count++] = u;
    p->function[0] = sum_all(graph, basin_graph_mul(graph, u, y));
    for (int k = 0; k < ORDERS; k++) {
        basin_graph_gradient(graph, p->function[k], p->variable, p->variable_count, p->gradient[k]);
        if (k + 1 < ORDERS)
            p->function[k + 1] = next_function(p, k);
    }
    if (basin_graph_status(graph) != BASIN_OK)
        fail_msg("%s: %s", def->name, basin_context_error(context));
}

static void fill_problem(problem *p, basin__op op, const basin__op_case *with) {
    p->r = reference_create(p->graph, 1);
    for (basin_value v = 0; v < p->graph->count; v++)
        if (p->graph->nodes[v].op == BASIN__OP_parameter)
            reference_fill(p->r, v, (uint64_t)v, -1, 1);
    for (int i = 0; i < basin__op_definition(op)->input_count; i++) {
        basin_value x = basin__graph_find(p->graph, BASIN__OP_parameter, i ? "x1" : "x0");
        reference_fill(p->r, x, (uint64_t)i + 100, with->low, with->high);
        if (is_index(op, i))
            p->r->values[x][0] = round(p->r->values[x][0]);
    }
}

/** (8 (F(+h) − F(−h)) − (F(+2h) − F(−2h))) / 12 h: exact but for h⁴. */
static double difference(problem *p, basin_value function, double *at) {
    static const double steps[4] = {1, -1, 2, -2}, weights[4] = {8, -8, -1, 1};
    double kept = *at, sum = 0;
    for (int i = 0; i < 4; i++) {
        *at = kept + steps[i] * STEP;
        sum += weights[i] * reference_run(p->r, function)[0];
    }
    *at = kept;
    return sum / (12 * STEP);
}

static void check_order(problem *p, const char *name, int case_index, int order) {
    for (int i = 0; i < p->variable_count; i++) {
        basin_value x = p->variable[i], g = p->gradient[order][i];
        assert_true(
            basin_shape_equal(basin_graph_shape(p->graph, x), basin_graph_shape(p->graph, g)));
        int64_t count = reference_count(p->r, x);
        double *gradient = malloc((size_t)count * sizeof(double));
        assert_non_null(gradient);
        memcpy(gradient, reference_run(p->r, g), (size_t)count * sizeof(double));
        for (int64_t e = 0; e < count; e++) {
            double wanted = difference(p, p->function[order], &p->r->values[x][e]);
            if (!(fabs(gradient[e] - wanted) <= TOLERANCE * (1 + fabs(wanted))))
                fail_msg("%s, case %d, gradient %d to input %d, element %d: %.12g, by "
                         "differences %.12g",
                         name, case_index, order + 1, i, (int)e, gradient[e], wanted);
        }
        free(gradient);
    }
}

static void gradients_match_differences(void **state) {
    (void)state;
    for (int op = 0; op < BASIN__OP_COUNT; op++) {
        const basin__op_def *def = basin__op_definition((basin__op)op);
        if (def->is_source || op == BASIN__OP_stop)
            continue;
        if (def->case_count < 1)
            fail_msg("%s has no case to test", def->name);
        for (int i = 0; i < def->case_count; i++) {
            problem p;
            build_problem(&p, (basin__op)op, &def->cases[i]);
            fill_problem(&p, (basin__op)op, &def->cases[i]);
            for (int order = 0; order < ORDERS; order++)
                check_order(&p, def->name, i, order);
            reference_destroy(p.r);
            basin_graph_destroy(p.graph);
        }
    }
}

static void nothing_flows_through_stop(void **state) {
    (void)state;
    basin_graph *graph = new_graph();
    basin_value x = basin_graph_parameter(graph, "x", basin_shape_vector(3)), g;
    basin_value y = basin_graph_mul(graph, x, basin_graph_stop(graph, x));
    basin_graph_gradient(graph, y, &x, 1, &g);
    reference *r = reference_create(graph, 1);
    reference_fill(r, x, 1, -1, 1);
    const double *gradient = reference_run(r, g);
    for (int i = 0; i < 3; i++)
        assert_true(gradient[i] == r->values[x][i]); /* not 2 x */
    reference_destroy(r);
    basin_graph_destroy(graph);
}

/* ---- kernels on strided f32 views ---- */

#define EXAMPLES 3
#define CANARY 777.0f
#define SUM_START 10.0

typedef struct strided {
    basin__view view;
    float *data;
    size_t size;
} strided;

/** Gaps everywhere: between channels, pixels, lines, outer slices and examples. */
static strided make_strided(basin_shape shape) {
    strided s = {.view = {.shape = shape}};
    s.view.stride[4] = 2;
    s.view.stride[3] = 2 * shape.channels + 1;
    s.view.stride[2] = s.view.stride[3] * shape.width + 3;
    s.view.stride[1] = s.view.stride[2] * shape.height + 2;
    s.view.stride[0] = s.view.stride[1] * shape.outer + 5;
    s.size = (size_t)(s.view.stride[0] * EXAMPLES);
    s.data = malloc(s.size * sizeof(float));
    assert_non_null(s.data);
    for (size_t i = 0; i < s.size; i++)
        s.data[i] = CANARY;
    s.view.data = s.data;
    return s;
}

static ptrdiff_t element(const basin__view *view, int64_t n, int64_t index) {
    basin_shape s = view->shape;
    int c = (int)(index % s.channels), x = (int)(index / s.channels % s.width);
    int y = (int)(index / s.channels / s.width % s.height);
    int o = (int)(index / s.channels / s.width / s.height);
    return basin__view_at(view, n, o, y, x, c);
}

/** Inputs in both forms, the same numbers. */
static void fill_input(strided *s, double *dense, basin__op op, int input,
                       const basin__op_case *with) {
    int64_t count = basin_shape_count(s->view.shape);
    for (int64_t n = 0; n < EXAMPLES; n++)
        for (int64_t i = 0; i < count; i++) {
            double u = reference_uniform((uint64_t)(input + 7), (uint64_t)(n * count + i));
            double number = (double)(float)(with->low + (with->high - with->low) * u);
            if (is_index(op, input))
                number = round(number);
            dense[n * count + i] = number;
            basin__view_set(&s->view, element(&s->view, n, i), number);
        }
}

static void compare(const basin__op_def *def, int case_index, strided *out, const double *wanted,
                    int64_t examples) {
    int64_t count = basin_shape_count(out->view.shape);
    for (int64_t n = 0; n < examples; n++)
        for (int64_t i = 0; i < count; i++) {
            double got = basin__view_get(&out->view, element(&out->view, n, i));
            double want = wanted[n * count + i];
            if (!(fabs(got - want) <= 1e-6 * (1 + fabs(want))))
                fail_msg("%s, case %d, example %d, element %d: f32 strided %.9g, f64 dense %.9g",
                         def->name, case_index, (int)n, (int)i, got, want);
            out->data[element(&out->view, n, i)] = CANARY;
        }
    for (size_t i = 0; i < out->size; i++)
        if (!(out->data[i] == CANARY))
            fail_msg("%s, case %d wrote beside its output", def->name, case_index);
}

/** One case; the shape of the output comes from a graph. */
static void check_strided(basin__op op, int case_index) {
    const basin__op_def *def = basin__op_definition(op);
    const basin__op_case *with = &def->cases[case_index];
    problem p;
    build_problem(&p, op, with);
    basin__node node = {.op = op,
                        .input_count = def->input_count,
                        .attributes = with->attributes,
                        .shape = basin_graph_shape(p.graph, p.variable[p.variable_count - 1])};
    basin_graph_destroy(p.graph);
    basin__op_call narrow = {.node = &node, .n = EXAMPLES}, wide = narrow;
    strided in[BASIN__INPUTS_MAX], out = make_strided(node.shape);
    double *dense[BASIN__INPUTS_MAX];
    for (int i = 0; i < def->input_count; i++) {
        in[i] = make_strided(with->input[i]);
        dense[i] = calloc((size_t)basin_shape_count(with->input[i]) * EXAMPLES, sizeof(double));
        assert_non_null(dense[i]);
        fill_input(&in[i], dense[i], op, i, with);
        narrow.in[i] = in[i].view;
        wide.in[i] = reference_view(dense[i], with->input[i], false);
    }
    int64_t count = basin_shape_count(node.shape), examples = def->sums_batch ? 1 : EXAMPLES;
    double *wanted = calloc((size_t)(count * examples), sizeof(double));
    assert_non_null(wanted);
    for (int64_t i = 0; i < count * examples; i++) {
        wanted[i] = def->sums_batch ? SUM_START : NAN;
        basin__view_set(&out.view, element(&out.view, i / count, i % count), wanted[i]);
    }
    narrow.out = out.view;
    wide.out = reference_view(wanted, node.shape, def->sums_batch);
    def->run(&narrow);
    def->run(&wide);
    compare(def, case_index, &out, wanted, examples);
    for (int i = 0; i < def->input_count; i++) {
        free(in[i].data);
        free(dense[i]);
    }
    free(out.data);
    free(wanted);
}

static void kernels_take_any_strides(void **state) {
    (void)state;
    for (int op = 0; op < BASIN__OP_COUNT; op++) {
        const basin__op_def *def = basin__op_definition((basin__op)op);
        for (int i = 0; i < def->case_count; i++)
            check_strided((basin__op)op, i);
    }
}

/* ---- numbers by hand ---- */

static void run_dense(basin__op op, basin__attributes attributes, basin_shape a_shape,
                      const double *a, basin_shape b_shape, const double *b, basin_shape out_shape,
                      double *out) {
    const basin__op_def *def = basin__op_definition(op);
    basin__node node = {
        .op = op, .input_count = def->input_count, .attributes = attributes, .shape = out_shape};
    double a_copy[64], b_copy[64];
    basin__op_call call = {.node = &node, .n = 1};
    memcpy(a_copy, a, (size_t)basin_shape_count(a_shape) * sizeof(double));
    call.in[0] = reference_view(a_copy, a_shape, false);
    if (b) {
        memcpy(b_copy, b, (size_t)basin_shape_count(b_shape) * sizeof(double));
        call.in[1] = reference_view(b_copy, b_shape, false);
    }
    for (int64_t i = 0; i < basin_shape_count(out_shape); i++)
        out[i] = def->sums_batch ? 0.0 : NAN;
    call.out = reference_view(out, out_shape, false);
    def->run(&call);
}

static void assert_numbers(const double *got, const double *wanted, int count) {
    for (int i = 0; i < count; i++)
        if (!(fabs(got[i] - wanted[i]) <= 1e-14 * (1 + fabs(wanted[i]))))
            fail_msg("element %d is %.17g, not %.17g", i, got[i], wanted[i]);
}

static double unary_at(basin__op op, double x, double a, double b) {
    double y;
    basin_shape one = basin_shape_vector(1);
    run_dense(op, (basin__attributes){.a = a, .b = b}, one, &x, one, NULL, one, &y);
    return y;
}

static void functions_have_known_values(void **state) {
    (void)state;
    static const struct {
        basin__op op;
        double x, a, b, y;
    } known[] = {
        {BASIN__OP_square, -3, 0, 0, 9},
        {BASIN__OP_exp, 1, 0, 0, 2.718281828459045},
        {BASIN__OP_log, 10, 0, 0, 2.302585092994046},
        {BASIN__OP_sqrt, 2, 0, 0, 1.4142135623730951},
        {BASIN__OP_reciprocal, -4, 0, 0, -0.25},
        {BASIN__OP_sigmoid, 1, 0, 0, 0.7310585786300049},
        {BASIN__OP_sigmoid, -1, 0, 0, 0.2689414213699951},
        {BASIN__OP_sigmoid, -800, 0, 0, 0},
        {BASIN__OP_silu, 1, 0, 0, 0.7310585786300049},
        {BASIN__OP_silu, -800, 0, 0, 0},
        {BASIN__OP_silu_slope, 1, 0, 0, 0.9276705118714868},
        {BASIN__OP_silu_slope, 0, 0, 0, 0.5},
        {BASIN__OP_silu_slope, 800, 0, 0, 1},
        {BASIN__OP_silu_slope, -800, 0, 0, 0},
        {BASIN__OP_softplus, 1, 0, 0, 1.3132616875182228},
        {BASIN__OP_softplus, 800, 0, 0, 800},
        {BASIN__OP_softplus, -800, 0, 0, 0},
        {BASIN__OP_tanh, 0.5, 0, 0, 0.46211715726000975},
        {BASIN__OP_relu, -2, 0, 0, 0},
        {BASIN__OP_relu, 2, 0, 0, 2},
        {BASIN__OP_leaky_relu, -2, 0.1, 0, -0.2},
        {BASIN__OP_leaky_slope, 0, 0.1, 0, 0.1},
        {BASIN__OP_leaky_slope, 2, 0.1, 0, 1},
        {BASIN__OP_clamp, 2, -1, 1, 1},
        {BASIN__OP_clamp, -2, -1, 1, -1},
        {BASIN__OP_clamp_inside, 1, -1, 1, 1},
        {BASIN__OP_clamp_inside, 1.5, -1, 1, 0},
        {BASIN__OP_scale, 3, -2, 0, -6},
        {BASIN__OP_offset, 3, -2, 0, 1},
    };
    for (size_t i = 0; i < BASIN_COUNT(known); i++) {
        double y = unary_at(known[i].op, known[i].x, known[i].a, known[i].b);
        if (!(fabs(y - known[i].y) <= 1e-15 * (1 + fabs(known[i].y))))
            fail_msg("%s(%g) is %.17g, not %.17g", basin__op_definition(known[i].op)->name,
                     known[i].x, y, known[i].y);
    }
}

static void not_a_number_is_kept(void **state) {
    (void)state;
    static const basin__op ops[] = {BASIN__OP_relu, BASIN__OP_leaky_relu, BASIN__OP_clamp,
                                    BASIN__OP_silu, BASIN__OP_softplus,   BASIN__OP_sigmoid};
    for (size_t i = 0; i < BASIN_COUNT(ops); i++)
        assert_true(isnan(unary_at(ops[i], NAN, 0, 1)));
}

static void convolutions_have_known_values(void **state) {
    (void)state;
    static const double x[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, w[4] = {1, 10, 100, 1000};
    static const basin_shape image = {1, 3, 3, 1}, weight = {1, 2, 2, 1};
    double z[9];
    run_dense(BASIN__OP_conv, (basin__attributes){.conv = {1, 0}}, image, x, weight, w,
              basin_shape_image(2, 2, 1), z);
    assert_numbers(z, (const double[]){5421, 6532, 8754, 9865}, 4); /* not flipped */
    run_dense(BASIN__OP_conv, (basin__attributes){.conv = {2, 1}}, image, x, weight, w,
              basin_shape_image(2, 2, 1), z);
    assert_numbers(z, (const double[]){1000, 3200, 7040, 9865}, 4);
    static const double g[1] = {2};
    run_dense(BASIN__OP_conv_input, (basin__attributes){.conv = {3, 0}}, basin_shape_image(1, 1, 1),
              g, weight, w, image, z);
    assert_numbers(z, (const double[]){2, 20, 0, 200, 2000, 0, 0, 0, 0}, 9);
    run_dense(BASIN__OP_conv_weight, (basin__attributes){.conv = {3, 0}}, image, x,
              basin_shape_image(1, 1, 1), g, weight, z);
    assert_numbers(z, (const double[]){2, 4, 8, 10}, 4);
}

static void moves_have_known_values(void **state) {
    (void)state;
    static const double x[8] = {1, 2, 3, 4, 5, 6, 7, 8}; /* [2, 2, 2] */
    static const basin_shape image = {1, 2, 2, 2};
    double y[16];
    run_dense(BASIN__OP_flatten, (basin__attributes){.a = 0}, image, x, image, NULL,
              basin_shape_vector(8), y);
    assert_numbers(y, (const double[]){1, 3, 5, 7, 2, 4, 6, 8}, 8);
    run_dense(BASIN__OP_reshape, (basin__attributes){.a = 0}, image, x, image, NULL,
              basin_shape_image(4, 1, 2), y);
    assert_numbers(y, x, 8);
    run_dense(BASIN__OP_slice, (basin__attributes){.first = 1, .size = 1}, image, x, image, NULL,
              basin_shape_image(2, 2, 1), y);
    assert_numbers(y, (const double[]){2, 4, 6, 8}, 4);
    run_dense(BASIN__OP_concatenate, (basin__attributes){.a = 0}, basin_shape_image(2, 1, 1), x,
              basin_shape_image(2, 1, 2), x + 2, basin_shape_image(2, 1, 3), y);
    assert_numbers(y, (const double[]){1, 3, 4, 2, 5, 6}, 6);
    run_dense(BASIN__OP_average_pool, (basin__attributes){.size = 2}, image, x, image, NULL,
              basin_shape_vector(2), y);
    assert_numbers(y, (const double[]){4, 5}, 2);
    run_dense(BASIN__OP_upsample, (basin__attributes){.size = 2}, basin_shape_image(1, 2, 1), x,
              image, NULL, basin_shape_image(2, 4, 1), y);
    assert_numbers(y, (const double[]){1, 1, 2, 2, 1, 1, 2, 2}, 8);
    run_dense(BASIN__OP_sum, (basin__attributes){.a = 0}, image, x, image, NULL,
              basin_shape_vector(2), y);
    assert_numbers(y, (const double[]){16, 20}, 2);
    run_dense(BASIN__OP_sub, (basin__attributes){.a = 0}, image, x, basin_shape_vector(2), x, image,
              y);
    assert_numbers(y, (const double[]){0, 0, 2, 2, 4, 4, 6, 6}, 8);
}

static void softmax_does_not_overflow(void **state) {
    (void)state;
    static const double x[2] = {1000, 1000}, far[2] = {1000, -1000};
    double y[2];
    basin_shape two = basin_shape_vector(2);
    run_dense(BASIN__OP_log_sum_exp, (basin__attributes){.a = 0}, two, x, two, NULL,
              basin_shape_vector(1), y);
    assert_numbers(y, (const double[]){1000.6931471805599}, 1);
    run_dense(BASIN__OP_softmax, (basin__attributes){.a = 0}, two, far, two, NULL, two, y);
    assert_numbers(y, (const double[]){1, 0}, 2);
}

static void lookup_stays_in_its_table(void **state) {
    (void)state;
    static const double table[4] = {1, 2, 3, 4};
    static const double wrong[] = {-1, 2, 0.5, 1e300, -1e300, INFINITY, NAN};
    static const basin_shape shape = {2, 1, 1, 2};
    basin_shape row = basin_shape_vector(2), one = basin_shape_vector(1);
    double y[4], index = 1;
    run_dense(BASIN__OP_lookup, (basin__attributes){.a = 0}, shape, table, one, &index, row, y);
    assert_numbers(y, (const double[]){3, 4}, 2);
    run_dense(BASIN__OP_lookup_table, (basin__attributes){.a = 0}, row, table, one, &index, shape,
              y);
    assert_numbers(y, (const double[]){0, 0, 1, 2}, 4);
    for (size_t i = 0; i < BASIN_COUNT(wrong); i++) {
        run_dense(BASIN__OP_lookup, (basin__attributes){.a = 0}, shape, table, one, &wrong[i], row,
                  y);
        assert_true(isnan(y[0]) && isnan(y[1]));
        run_dense(BASIN__OP_lookup_table, (basin__attributes){.a = 0}, row, table, one, &wrong[i],
                  shape, y);
        assert_true(isnan(y[0]) && isnan(y[3]));
    }
}

static void one_hot_has_known_values(void **state) {
    (void)state;
    static const struct {
        double index, wanted[3];
    } known[] = {
        {0, {1, 0, 0}},   {2, {0, 0, 1}},  {1.4, {0, 1, 0}},  {-0.4, {1, 0, 0}},
        {-1, {0, 0, 0}},  {3, {0, 0, 0}},  {2.6, {0, 0, 0}},  {1e300, {0, 0, 0}},
        {NAN, {0, 0, 0}}, {INFINITY, {0}}, {-0.5, {0, 0, 0}}, {0.5, {0, 1, 0}},
    };
    basin_shape one = basin_shape_vector(1), three = basin_shape_vector(3);
    for (size_t i = 0; i < BASIN_COUNT(known); i++) {
        double y[3];
        run_dense(BASIN__OP_one_hot, (basin__attributes){.size = 3}, one, &known[i].index, one,
                  NULL, three, y);
        assert_numbers(y, known[i].wanted, 3);
    }
}

static void products_have_known_values(void **state) {
    (void)state;
    static const double a[6] = {1, 2, 3, 4, 5, 6}, b[6] = {1, 0, 2, -1, 1, 3};
    static const basin_shape wide = {1, 1, 2, 3}, high = {1, 3, 1, 2}; /* 2 x 3 and 3 x 2 */
    static const struct {
        basin_shape a, b, out;
        int transpose, count;
        double wanted[9];
    } known[] = {
        {wide, high, {1, 2, 1, 2}, 0, 4, {8, 7, 20, 13}},
        {wide, wide, {1, 1, 2, 2}, BASIN_TRANSPOSE_B, 4, {7, 10, 16, 19}},
        {high, high, {1, 2, 1, 2}, BASIN_TRANSPOSE_A, 4, {12, 12, 16, 14}},
        {high, wide, {1, 1, 2, 2}, BASIN_TRANSPOSE_A | BASIN_TRANSPOSE_B, 4, {11, 17, 14, 20}},
    };
    for (size_t i = 0; i < BASIN_COUNT(known); i++) {
        double c[9];
        run_dense(BASIN__OP_matmul, (basin__attributes){.first = known[i].transpose}, known[i].a, a,
                  known[i].b, b, known[i].out, c);
        assert_numbers(c, known[i].wanted, known[i].count);
    }
    double y[3];
    run_dense(BASIN__OP_dot, (basin__attributes){.a = 0}, wide, a, wide, b, basin_shape_vector(3),
              y);
    assert_numbers(y, (const double[]){-3, 5, 24}, 3);
    run_dense(BASIN__OP_dot, (basin__attributes){.a = 0}, wide, a, wide, b,
              (basin_shape){1, 1, 2, 1}, y);
    assert_numbers(y, (const double[]){7, 19}, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_match_differences),
        cmocka_unit_test(nothing_flows_through_stop),
        cmocka_unit_test(kernels_take_any_strides),
        cmocka_unit_test(functions_have_known_values),
        cmocka_unit_test(not_a_number_is_kept),
        cmocka_unit_test(convolutions_have_known_values),
        cmocka_unit_test(moves_have_known_values),
        cmocka_unit_test(softmax_does_not_overflow),
        cmocka_unit_test(lookup_stays_in_its_table),
        cmocka_unit_test(one_hot_has_known_values),
        cmocka_unit_test(products_have_known_values),
    };
    return cmocka_run_group_tests_name("ops", tests, set_up, tear_down);
}
