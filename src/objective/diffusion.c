/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Denoising at many noise levels, which is how diffusion models are trained: with y an example,
 * σ drawn from a distribution of noise levels and x = y + σ n,
 *
 *     loss = w(σ) ‖D(x, σ) − y‖² / size,     D(x, σ) = x − σ² ∇ₓE(x, σ)
 *
 * is least where D is the mean of y given x, that is where −∇E is the score of the data with noise
 * (Vincent, 2011). All processes are told by σ = noise / signal alone: a variance-preserving state
 * α y + s n is x = y + (s/α) n, shrunk by α. So the known recipes are a distribution of σ and a
 * weight:
 *
 *     NCSN (Song & Ermon, 2019), VE (Song et al., 2021)    log-uniform, weight epsilon
 *     DDPM, ε-prediction (Ho et al., 2020)                  vp, weight epsilon
 *     sub-VP (Song et al., 2021)                            sub-vp, weight epsilon
 *     v-prediction (Salimans & Ho, 2022)                    cosine, weight v
 *     EDM (Karras et al., 2022)                             log-normal, weight edm
 *
 *     epsilon  w = 1/σ²  (the error of n; of the score with NCSN's λ = σ², the same)
 *     v        w = (1 + σ²)/σ²
 *     edm      w = (σ² + s²)/(σ s)², s the network's data-std
 *     data     w = 1
 *
 * The model is E's gradient in each of them: nothing is predicted but a number.
 *
 * Of a network with logits E is a joint energy of image and class, whose conditional and marginal
 * scores are learned in turns (class-dropout); class-weight adds the cross-entropy of its p(y | x)
 * at the same noisy x (Chao et al., 2022; Guo et al., 2023): JEM without chains.
 */
#include "energy/denoiser.h"
#include "objective/denoise.h"
#include "objective/labels.h"
#include <math.h>
#include <stddef.h>

enum { LOG_NORMAL, LOG_UNIFORM, VP, SUB_VP, COSINE };
enum { WEIGHT_EDM, WEIGHT_EPSILON, WEIGHT_V, WEIGHT_DATA };

typedef struct diffusion_options {
    int64_t distribution, weight;
    double low, high, mean, std, beta_low, beta_high, class_dropout, class_weight;
} diffusion_options;

#define AT(field) offsetof(diffusion_options, field)

static const basin__option diffusion_table[] = {
    {"noise-distribution", BASIN__OPTION_CHOICE, AT(distribution), "log-normal", 0, 0,
     "log-normal|log-uniform|vp|sub-vp|cosine", NULL, "How noise levels are drawn"},
    {"noise-weight", BASIN__OPTION_CHOICE, AT(weight), "edm", 0, 0, "edm|epsilon|v|data", NULL,
     "Weight of a noise level's error"},
    {"noise-low", BASIN__OPTION_FLOAT, AT(low), "0.01", 1e-6, 1e6, NULL, NULL,
     "Lowest noise level; lower draws are raised to it"},
    {"noise-high", BASIN__OPTION_FLOAT, AT(high), "20", 1e-6, 1e6, NULL, NULL,
     "Highest noise level; higher draws are lowered to it"},
    {"noise-mean", BASIN__OPTION_FLOAT, AT(mean), "-1.2", -20, 20, NULL, NULL,
     "log-normal: mean of log sigma"},
    {"noise-log-std", BASIN__OPTION_FLOAT, AT(std), "1.2", 1e-3, 20, NULL, NULL,
     "log-normal: standard deviation of log sigma"},
    {"beta-low", BASIN__OPTION_FLOAT, AT(beta_low), "0.1", 0, 1e3, NULL, NULL,
     "vp, sub-vp: rate of the process at time 0"},
    {"beta-high", BASIN__OPTION_FLOAT, AT(beta_high), "20", 1e-3, 1e3, NULL, NULL,
     "vp, sub-vp: rate of the process at time 1"},
    BASIN__CLASS_DROPOUT_ROW(AT(class_dropout), "0.1"),
    {"class-weight", BASIN__OPTION_FLOAT, AT(class_weight), "0", 0, 1e6, NULL, NULL,
     "Of a network with --logits: weight of the cross-entropy of its classes"},
};

static basin_status diffusion_check(basin_context *context, const void *values) {
    const diffusion_options *options = values;
    if (options->low < options->high)
        return BASIN_OK;
    return basin__fail(context, BASIN_ERROR_CONFIG, "noise-low %g is not below noise-high %g",
                       options->low, options->high);
}

static bool diffusion_ignores(const void *values, const char *name) {
    static const char *const of_log_normal[] = {"noise-mean", "noise-log-std", NULL};
    static const char *const of_process[] = {"beta-low", "beta-high", NULL};
    const int64_t distribution = ((const diffusion_options *)values)->distribution;
    return (distribution != LOG_NORMAL && basin__option_is_among(name, of_log_normal)) ||
           (distribution != VP && distribution != SUB_VP &&
            basin__option_is_among(name, of_process));
}

/** log σ of vp and sub-vp at time u: with B = ∫β, σ² = exp(B) − 1, and σ = 2 sinh(B/2). */
static basin_value log_level_vp(basin_graph *graph, const diffusion_options *options,
                                basin_value u) {
    const double rise = 0.5 * (options->beta_high - options->beta_low);
    basin_value square = basin_graph_scale(graph, basin_graph_square(graph, u), rise);
    basin_value b = basin_graph_add(graph, square, basin_graph_scale(graph, u, options->beta_low));
    /* Below, sums lose nothing that matters: noise-low cuts σ off far above rounding. */
    basin_value grown = basin_graph_exp(graph, b);
    if (options->distribution == VP)
        return basin_graph_scale(
            graph, basin_graph_log(graph, basin_graph_offset(graph, grown, 1e-12 - 1)), 0.5);
    basin_value root = basin_graph_sqrt(graph, grown);
    basin_value difference = basin_graph_sub(graph, root, basin_graph_reciprocal(graph, root));
    return basin_graph_log(graph, basin_graph_offset(graph, difference, 1e-12));
}

/** log σ of the cosine schedule, σ = tan(π t / 2) at a uniform t: the ratio of two normals is so.
 */
static basin_value log_level_cosine(basin_graph *graph, basin__loss *loss) {
    basin_value two =
        basin__loss_source(loss, BASIN__SOURCE_NORMAL, "level", basin_shape_vector(2));
    basin_value logs =
        basin_graph_log(graph, basin_graph_offset(graph, basin_graph_square(graph, two), 1e-20));
    return basin_graph_scale(graph,
                             basin_graph_sub(graph, basin_graph_slice(graph, logs, 0, 1),
                                             basin_graph_slice(graph, logs, 1, 1)),
                             0.5);
}

static basin_value draw_level(basin_graph *graph, basin__loss *loss,
                              const diffusion_options *options) {
    const basin_shape scalar = basin_shape_vector(1);
    const double low = log(options->low), high = log(options->high);
    basin_value level, u;
    if (options->distribution == COSINE) {
        level = log_level_cosine(graph, loss);
    } else if (options->distribution == LOG_NORMAL) {
        u = basin__loss_source(loss, BASIN__SOURCE_SPREAD_NORMAL, "level", scalar);
        level = basin_graph_offset(graph, basin_graph_scale(graph, u, options->std), options->mean);
    } else {
        u = basin__loss_source(loss, BASIN__SOURCE_SPREAD, "level", scalar);
        level = options->distribution == LOG_UNIFORM
                    ? basin_graph_offset(graph, basin_graph_scale(graph, u, high - low), low)
                    : log_level_vp(graph, options, u);
    }
    return basin_graph_exp(graph, basin_graph_clamp(graph, level, low, high));
}

static basin_value weigh(basin_graph *graph, const basin__loss *loss,
                         const diffusion_options *options, basin_value level) {
    double s = options->weight == WEIGHT_EDM ? basin__energy_data_std(loss->energy) : 1;
    if (options->weight == WEIGHT_DATA)
        return basin_graph_constant(graph, 1, basin_shape_vector(1));
    basin_value inverse = basin_graph_square(graph, basin_graph_reciprocal(graph, level));
    return options->weight == WEIGHT_EPSILON ? inverse
                                             : basin_graph_offset(graph, inverse, 1 / (s * s));
}

static unsigned diffusion_needs(const void *values) {
    const diffusion_options *options = values;
    return options->class_weight > 0 ? BASIN__NEED_LABELS | BASIN__NEED_LOGITS : 0;
}

static basin__objective_values diffusion_build(const void *values, basin__loss *loss,
                                               basin_graph *graph) {
    const diffusion_options *options = values;
    const basin_shape shape = loss->energy->shape;
    basin_value example = basin__loss_data(loss);
    basin_value noise = basin__loss_source(loss, BASIN__SOURCE_NORMAL, "noise", shape);
    basin_value level = draw_level(graph, loss, options);
    /* One node for both of its readers: see basin__loss_gradient. */
    basin_value x = basin_graph_stop(
        graph, basin_graph_add(graph, example, basin_graph_mul(graph, noise, level)));
    basin_value label = basin__loss_label(loss, options->class_dropout);
    basin_value denoised = basin__loss_denoiser(loss, x, level, label);
    basin_value error = basin_graph_square(graph, basin_graph_sub(graph, denoised, example));
    basin_value mean = basin_graph_mean(graph, error, BASIN_AXES_ALL);
    basin_value sum = basin_graph_mul(graph, mean, weigh(graph, loss, options, level));
    if (options->class_weight > 0) {
        basin_value logits = basin__loss_energy(loss, x, level, label).logits;
        basin_value entropy = basin__cross_entropy(graph, logits, basin__loss_label(loss, 0), 0);
        sum = basin_graph_add(graph, sum, basin_graph_scale(graph, entropy, options->class_weight));
    }
    return (basin__objective_values){
        .loss = sum, .energy_data = BASIN_NO_VALUE, .energy_negative = BASIN_NO_VALUE};
}

static void diffusion_levels(const void *values, double *low, double *high) {
    const diffusion_options *options = values;
    *low = options->low;
    *high = options->high;
}

const basin__objective_def basin__objective_diffusion = {
    .name = "diffusion",
    .help = "denoising at many noise levels: w(sigma) |x - sigma^2 dE/dx - example|^2",
    .options = diffusion_table,
    .option_count = BASIN_COUNT(diffusion_table),
    .options_bytes = sizeof(diffusion_options),
    .needs = BASIN__NEED_NOISE_LEVEL,
    .needs_by_options = diffusion_needs,
    .check = diffusion_check,
    .ignores = diffusion_ignores,
    .build = diffusion_build,
    .noise_levels = diffusion_levels,
};
