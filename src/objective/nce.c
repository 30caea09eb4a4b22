/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Noise-contrastive estimation: tell the data from noise of a known density pₙ, by the classifier
 * whose logit is log exp(−E) − log(ν pₙ). With ν noise examples y an example x,
 *
 *     loss = softplus(E(x) + log pₙ(x) + log ν) + Σ softplus(−E(y) − log pₙ(y) − log ν)
 *
 * is least where exp(−E) is the data's density, normalised: log Z is no longer free, the constant
 * of E (the last layer's bias) learns it (Gutmann & Hyvärinen, 2012, section 2). No chains.
 *
 * The noise is a Gaussian or a mixture of them, fitted to the data: the closer it is, the less the
 * estimate varies. Component k draws y = μₖ + Lₖ z, and
 *
 *     log pₙ(x) = log Σₖ exp(log wₖ − log det Lₖ − ½ ‖Lₖ⁻¹ (x − μₖ)‖² − ½ D log 2π)
 *
 * All components stand below one another in one value [1, K, 1, D], of which a draw is one row:
 * that between whose cumulative weights a uniform number lies.
 */
#include "objective/mixture.h"
#include "objective/parts.h"
#include <math.h>
#include <stddef.h>

#define FULL_MAX 1024       /* dimensions of a Gaussian with a full covariance */
#define FULL_MIXTURE_MAX 64 /* of a mixture of such */
#define RATIO_MAX 64
#define HALF_LOG_2PI 0.91893853320467274

enum { FULL, DIAGONAL };

typedef struct nce_options {
    int64_t ratio, components, covariance;
    double class_dropout;
} nce_options;

#define AT(field) offsetof(nce_options, field)

static const basin__option nce_table[] = {
    {"noise-ratio", BASIN__OPTION_INT, AT(ratio), "4", 1, RATIO_MAX, NULL, "examples",
     "Noise examples for each of the data"},
    {"noise-components", BASIN__OPTION_INT, AT(components), "1", 1, 256, NULL, "Gaussians",
     "Gaussians that the noise is a mixture of, fitted to the data"},
    {"noise-covariance", BASIN__OPTION_CHOICE, AT(covariance), "full", 0, 0, "full|diagonal", NULL,
     "Their covariances: full, of at most 1024 dimensions (64 for several), or diagonal"},
    BASIN__CLASS_DROPOUT_ROW(AT(class_dropout), "0.1"),
};

/* The fitted numbers, by their names in the loss. */
#define MEAN "noise.mean"         /* [1, K, 1, D]: μ */
#define FACTOR "noise.factor"     /* full: [K D, 1, 1, D], the rows of all L; else like the mean */
#define INVERSE "noise.inverse"   /* likewise of L⁻¹ */
#define WHITENED "noise.whitened" /* full: [1, K, 1, D], L⁻¹ μ */
#define CONSTANT "noise.constant" /* [1, 1, 1, K]: log w − log det L − ½ D log 2π */
#define BELOW "noise.below" /* [1, K, 1, 1]: sum of the weights before k; −1 for the first */
#define ABOVE "noise.above" /* with k's; 2 for the last */

/* What a build goes by. */
typedef struct nce_build {
    const nce_options *options;
    basin__loss *loss;
    basin_graph *graph;
    int count, size;
    basin_shape rows; /* [1, K, 1, D] */
    basin_shape matrix;
} nce_build;

static basin_value fitted(const nce_build *b, const char *name, basin_shape shape) {
    return basin__loss_source(b->loss, BASIN__SOURCE_FITTED, name, shape);
}

/** The matrices that are stacked in `name` times a vector, or its rows times it: [1, K, 1, D]. */
static basin_value times(const nce_build *b, const char *name, basin_value vector) {
    if (b->options->covariance == DIAGONAL)
        return basin_graph_mul(b->graph, fitted(b, name, b->rows), vector);
    basin_value product = basin_graph_linear(b->graph, vector, fitted(b, name, b->matrix));
    return basin_graph_reshape(b->graph, product, b->rows);
}

/** log pₙ at a vector. */
static basin_value log_density(const nce_build *b, basin_value x) {
    basin_graph *graph = b->graph;
    basin_value apart;
    if (b->options->covariance == DIAGONAL)
        apart = times(b, INVERSE, basin_graph_sub(graph, x, fitted(b, MEAN, b->rows)));
    else
        apart = basin_graph_sub(graph, times(b, INVERSE, x), fitted(b, WHITENED, b->rows));
    basin_value squares =
        basin_graph_sum(graph, basin_graph_square(graph, apart), BASIN_AXIS_CHANNELS);
    const basin_shape vector = basin_shape_vector(b->count);
    basin_value terms = basin_graph_scale(graph, basin_graph_reshape(graph, squares, vector), -0.5);
    return basin_graph_log_sum_exp(graph,
                                   basin_graph_add(graph, terms, fitted(b, CONSTANT, vector)));
}

/** 1 where x > 0, else 0. */
static basin_value step(basin_graph *graph, basin_value x) {
    return basin__graph_add(graph, BASIN__OP_leaky_slope, 1, &x, &(basin__attributes){.a = 0});
}

/** Noise number `index` as a vector. */
static basin_value draw_noise(const nce_build *b, int64_t index) {
    basin_graph *graph = b->graph;
    const basin_shape vector = basin_shape_vector(b->size), column = {1, b->count, 1, 1};
    basin_value z =
        basin__loss_copy(b->loss, BASIN__SOURCE_NORMAL, "noise", b->options->ratio, index);
    basin_value draws = basin_graph_add(
        graph, times(b, FACTOR, basin_graph_reshape(graph, z, vector)), fitted(b, MEAN, b->rows));
    if (b->count == 1)
        return basin_graph_reshape(graph, draws, vector);
    basin_value all = basin__loss_source(b->loss, BASIN__SOURCE_UNIFORM, "component",
                                         basin_shape_vector((int)b->options->ratio));
    basin_value u = basin_graph_slice(graph, all, (int)index, 1);
    basin_value above = step(graph, basin_graph_sub(graph, u, fitted(b, ABOVE, column)));
    basin_value below = step(graph, basin_graph_sub(graph, u, fitted(b, BELOW, column)));
    basin_value chosen = basin_graph_sub(graph, below, above);
    return basin_graph_sum(graph, basin_graph_mul(graph, draws, chosen), BASIN_AXIS_HEIGHT);
}

static bool check_size(const nce_build *b) {
    const int limit = b->count > 1 ? FULL_MIXTURE_MAX : FULL_MAX;
    if (b->options->covariance == DIAGONAL || b->size <= limit)
        return true;
    basin__graph_fail(b->graph, BASIN_ERROR_CONFIG,
                      "objective nce takes full covariances of %s in at most %d dimensions, and an "
                      "example has %d: take --noise-covariance diagonal",
                      b->count > 1 ? "a mixture" : "a Gaussian", limit, b->size);
    return false;
}

/** The classifier's logit against the data: E(x) + log pₙ(x) + log ν; x is a vector. */
static basin_value logit(const nce_build *b, basin_value x, basin_value energy) {
    return basin_graph_offset(b->graph, basin_graph_add(b->graph, energy, log_density(b, x)),
                              log((double)b->options->ratio));
}

static basin__objective_values nce_build_loss(const void *values, basin__loss *loss,
                                              basin_graph *graph) {
    const nce_options *options = values;
    const basin_shape shape = loss->energy->shape;
    const int size = (int)basin_shape_count(shape), count = (int)options->components;
    const nce_build b = {.options = options,
                         .loss = loss,
                         .graph = graph,
                         .count = count,
                         .size = size,
                         .rows = {1, count, 1, size},
                         .matrix = {count * size, 1, 1, size}};
    basin__objective_values out = {BASIN_NO_VALUE, BASIN_NO_VALUE, BASIN_NO_VALUE};
    if (!check_size(&b))
        return out;
    basin_value x = basin__loss_data(loss);
    basin_value label = basin__loss_label(loss, options->class_dropout);
    out.energy_data = basin__loss_energy_of(loss, x, label);
    out.loss = basin_graph_softplus(
        graph, logit(&b, basin_graph_reshape(graph, x, basin_shape_vector(size)), out.energy_data));
    for (int64_t i = 0; i < options->ratio; i++) {
        basin_value y = draw_noise(&b, i);
        basin_value energy =
            basin__loss_energy_of(loss, basin_graph_reshape(graph, y, shape), label);
        basin_value against = basin_graph_scale(graph, logit(&b, y, energy), -1);
        out.loss = basin_graph_add(graph, out.loss, basin_graph_softplus(graph, against));
    }
    return out;
}

/* ---- fitting ---- */

static void copy_numbers(basin__loss *loss, const char *name, const double *from, int64_t count) {
    float *to = basin__loss_find(loss, name);
    for (int64_t i = 0; i < count; i++)
        to[i] = (float)from[i];
}

/** Rows of L⁻¹ by forward substitution; whitened = L⁻¹ μ. */
static void invert(const double *factor, int size, const double *mean, double *inverse,
                   double *whitened) {
    for (int i = 0; i < size; i++) {
        const double *row = factor + (int64_t)i * size;
        double *to = inverse + (int64_t)i * size;
        whitened[i] = 0;
        for (int j = 0; j < size; j++) {
            double sum = i == j ? 1 : 0;
            for (int l = j; l < i; l++)
                sum -= row[l] * inverse[(int64_t)l * size + j];
            to[j] = j > i ? 0 : sum / row[i];
            whitened[i] += to[j] * mean[j];
        }
    }
}

static void fill_constants(basin__loss *loss, const basin__mixture *mixture) {
    float *constant = basin__loss_find(loss, CONSTANT);
    float *below = basin__loss_find(loss, BELOW), *above = basin__loss_find(loss, ABOVE);
    double sum = 0;
    for (int k = 0; k < mixture->count; k++) {
        constant[k] = (float)(log(mixture->weights[k]) - basin__mixture_log_det(mixture, k) -
                              mixture->size * HALF_LOG_2PI);
        if (below == NULL)
            continue;
        below[k] = k == 0 ? -1 : (float)sum;
        sum += mixture->weights[k];
        above[k] = k + 1 == mixture->count ? 2 : (float)sum;
    }
}

static basin_status fill_inverses(basin__loss *loss, const basin__mixture *mixture) {
    const int64_t size = mixture->size, count = mixture->count;
    const int64_t factor_size = mixture->is_full ? size * size : size;
    double *inverse =
        basin__alloc_array(mixture->context, (size_t)(count * factor_size), sizeof(double));
    double *whitened = basin__alloc_array(mixture->context, (size_t)(count * size), sizeof(double));
    const bool is_there = inverse != NULL && whitened != NULL;
    for (int64_t k = 0; is_there && mixture->is_full && k < count; k++)
        invert(mixture->factors + k * factor_size, (int)size, mixture->means + k * size,
               inverse + k * factor_size, whitened + k * size);
    for (int64_t j = 0; is_there && !mixture->is_full && j < count * size; j++)
        inverse[j] = 1 / mixture->factors[j];
    if (is_there)
        copy_numbers(loss, INVERSE, inverse, count * factor_size);
    if (is_there && mixture->is_full)
        copy_numbers(loss, WHITENED, whitened, count * size);
    basin__free(mixture->context, inverse);
    basin__free(mixture->context, whitened);
    return is_there ? BASIN_OK : BASIN_ERROR_MEMORY;
}

static basin_status nce_fit(const void *values, basin__loss *loss,
                            const basin__examples *examples) {
    const nce_options *options = values;
    basin__mixture mixture = {.context = loss->energy->context,
                              .count = (int)options->components,
                              .is_full = options->covariance == FULL};
    basin_status status = basin__mixture_fit(&mixture, examples);
    if (status == BASIN_OK) {
        const int64_t size = mixture.size, count = mixture.count;
        copy_numbers(loss, MEAN, mixture.means, count * size);
        copy_numbers(loss, FACTOR, mixture.factors, count * (mixture.is_full ? size * size : size));
        fill_constants(loss, &mixture);
        status = fill_inverses(loss, &mixture);
    }
    basin__mixture_reset(&mixture);
    return status;
}

const basin__objective_def basin__objective_nce = {
    .name = "nce",
    .help = "noise-contrastive estimation: tell data from fitted noise; E's constant learns log Z",
    .options = nce_table,
    .option_count = BASIN_COUNT(nce_table),
    .options_bytes = sizeof(nce_options),
    .needs = BASIN__NEED_PLAIN,
    .build = nce_build_loss,
    .fit = nce_fit,
};
