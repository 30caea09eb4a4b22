/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Improved contrastive divergence (Du, Li, Tenenbaum & Mordatch, 2021). Chains end at samples of a
 * distribution q that depends on the parameters θ, too, and contrastive divergence leaves that out.
 * What it leaves out is the gradient of KL(q ‖ p) through q, that is of E under q less q's entropy:
 *
 *     loss = E(x⁺) − E(x⁻) + alpha (E(x⁺)² + E(x⁻)²) + w (E(x̃; θ held) − h log ‖x̃ − y‖)
 *
 * x̃ = x̃(θ) is where a chain ends as a function of θ: the sampler's last kl-steps steps, built as
 * graph from where the chain stood before them, with the noise that they drew, clip and box
 * included. x⁻ is the same point held, which is what raises it. "θ held" means that E's own
 * parameters get no gradient of that term: it flows through x̃ alone, so that chains learn to go
 * where E is low. It goes back kl-steps steps and no further (the paper takes one).
 *
 * The entropy of q is estimated by nearest neighbours (Kozachenko & Leonenko, 1987): up to a
 * constant it is d times the mean of log ‖x̃ − y‖, d the number of dimensions and y the nearest to
 * x⁻ of `neighbours` other chains, drawn from the replay buffer as it stood before the update, or
 * of the others of this update where there is no buffer. Like the paper this takes h for d, the
 * temperature, and what the estimate is worth. y is held. A distance of zero has no direction and
 * counts as 1e-6.
 *
 * With x⁻ held in place of x̃ and g = ∇E(x⁻) held, the gradient of E(x̃; θ held) is that of ⟨g, x̃⟩;
 * so that term is built as E(x⁻) + ⟨g, x̃ − x⁻⟩, both factors but x̃ held, and its value is E(x⁻).
 *
 * The paper's third part, chains that are augmented as they leave the buffer, is the training's
 * options augment-….
 */
#include "objective/parts.h"
#include <stddef.h>

#define DISTANCE_MIN 1e-6

typedef struct improved_options {
    double alpha;
    int64_t kl_steps;
    double kl_weight, entropy_weight;
    int64_t neighbours;
    bool class_conditional;
    double class_dropout;
} improved_options;

#define AT(field) offsetof(improved_options, field)

static const basin__option improved_table[] = {
    {"alpha", BASIN__OPTION_FLOAT, AT(alpha), "0.1", 0, 1e6, NULL, NULL,
     "Weight of the energies' squares"},
    {"kl-steps", BASIN__OPTION_INT, AT(kl_steps), "1", 1, 100, NULL, "steps",
     "Last steps of a chain that are differentiated"},
    {"kl-weight", BASIN__OPTION_FLOAT, AT(kl_weight), "1", 0, 1e6, NULL, NULL,
     "Weight w of the divergence of chains from the model"},
    {"entropy-weight", BASIN__OPTION_FLOAT, AT(entropy_weight), "0.3", 0, 1e6, NULL, NULL,
     "Weight h of the chains' entropy, beside their energy"},
    {"neighbours", BASIN__OPTION_INT, AT(neighbours), "100", 1, 1e6, NULL, "chains",
     "Chains of the buffer among which the nearest is looked for"},
    {"class-conditional", BASIN__OPTION_FLAG, AT(class_conditional), NULL, 0, 0, NULL, NULL,
     "Learn E(x | class): each chain runs at a class of its own"},
    BASIN__CLASS_DROPOUT_ROW(AT(class_dropout), "0.1"),
};

static bool improved_ignores(const void *values, const char *name) {
    const improved_options *options = values;
    return (!options->class_conditional && strcmp(name, "class-dropout") == 0) ||
           (!(options->kl_weight > 0) && strcmp(name, "kl-steps") == 0) ||
           (!(options->entropy_weight > 0) && strcmp(name, "neighbours") == 0);
}

/* ---- the chain's end as a function of the parameters ---- */

typedef struct chain {
    basin__loss *loss;
    basin_value label;
} chain;

/* A step ends in a sum or a bound, through which no builder looks: see basin__loss_gradient. */
static basin_value gradient_at(void *user, basin_value x) {
    const chain *of = user;
    basin_value energy = basin__loss_energy(of->loss, x, BASIN_NO_VALUE, of->label).energy;
    basin_value gradient;
    basin_graph_gradient(of->loss->graph, energy, &x, 1, &gradient);
    return gradient;
}

static basin_value fail_steps(const basin__loss *loss, int64_t wanted) {
    const basin__sampler_def *sampler = loss->sampler;
    if (sampler == NULL || sampler->step == NULL)
        return basin__graph_fail(loss->graph, BASIN_ERROR_CONFIG,
                                 "objective improved-cd differentiates the sampler's steps, and "
                                 "those of %s cannot be: take sampler langevin",
                                 sampler == NULL ? "none" : sampler->name);
    return basin__graph_fail(loss->graph, BASIN_ERROR_CONFIG,
                             "kl-steps %lld is more than the %lld steps of a chain",
                             (long long)wanted, (long long)sampler->steps(loss->sampler_options));
}

static basin_value chain_end(const improved_options *options, basin__loss *of, basin_value label) {
    const basin__sampler_def *sampler = of->sampler;
    if (sampler == NULL || sampler->step == NULL ||
        sampler->steps(of->sampler_options) < options->kl_steps)
        return fail_steps(of, options->kl_steps);
    chain user = {of, label};
    const basin__step_graph step = {.graph = of->graph, .gradient = gradient_at, .user = &user};
    basin_value x = basin__loss_source(of, BASIN__SOURCE_CHAIN, "chain", of->energy->shape);
    for (int64_t i = 0; i < options->kl_steps; i++)
        x = sampler->step(
            of->sampler_options, &step, x,
            basin__loss_copy(of, BASIN__SOURCE_CHAIN_NOISE, "chain_noise", options->kl_steps, i));
    return x;
}

/* ---- the loss ---- */

/** ½ log max(‖x − y‖², its least). */
static basin_value log_distance(basin_graph *graph, basin_value x, basin_value y) {
    basin_value square = basin__graph_norm2(graph, basin_graph_sub(graph, x, y));
    square = basin_graph_clamp(graph, square, DISTANCE_MIN * DISTANCE_MIN, 1e30);
    return basin_graph_scale(graph, basin_graph_log(graph, square), 0.5);
}

/** E(x̃; θ held) − h log ‖x̃ − y‖, where E(x⁻) is `high`. */
static basin_value divergence(const improved_options *options, basin__loss *of, basin_value end,
                              basin_value held, basin_value high) {
    basin_graph *graph = of->graph;
    basin_value gradient, value = basin_graph_stop(graph, high);
    basin_graph_gradient(graph, high, &held, 1, &gradient);
    basin_value along = basin_graph_mul(graph, basin_graph_stop(graph, gradient),
                                        basin_graph_sub(graph, end, held));
    value = basin_graph_add(graph, value, basin_graph_sum(graph, along, BASIN_AXES_ALL));
    if (options->entropy_weight <= 0)
        return value;
    basin_value neighbour =
        basin__loss_source(of, BASIN__SOURCE_NEIGHBOUR, "neighbour", of->energy->shape);
    basin_value entropy = log_distance(graph, end, neighbour);
    return basin_graph_sub(graph, value,
                           basin_graph_scale(graph, entropy, options->entropy_weight));
}

static basin__objective_values improved_build(const void *values, basin__loss *of,
                                              basin_graph *graph) {
    const improved_options *options = values;
    basin_value label, negative_label;
    basin__loss_chain_labels(of, options->class_conditional, options->class_dropout, &label,
                             &negative_label);
    basin_value end = chain_end(options, of, negative_label);
    basin_value held = basin_graph_stop(graph, end);
    basin_value low = basin__loss_energy(of, basin__loss_data(of), BASIN_NO_VALUE, label).energy;
    basin_value high = basin__loss_energy(of, held, BASIN_NO_VALUE, negative_label).energy;
    basin_value loss = basin_graph_sub(graph, low, high);
    loss = basin__loss_hold(graph, loss, low, high, options->alpha);
    basin_value kl = divergence(options, of, end, held, high);
    loss = basin_graph_add(graph, loss, basin_graph_scale(graph, kl, options->kl_weight));
    return (basin__objective_values){.loss = loss, .energy_data = low, .energy_negative = high};
}

static unsigned improved_needs(const void *values) {
    const improved_options *options = values;
    return options->class_conditional ? BASIN__NEED_LABELS : 0;
}

static double improved_class_dropout(const void *values) {
    return ((const improved_options *)values)->class_dropout;
}

static int64_t improved_neighbours(const void *values) {
    return ((const improved_options *)values)->neighbours;
}

const basin__objective_def basin__objective_improved_cd = {
    .name = "improved-cd",
    .help = "cd + w KL(chains, model) through a chain's last steps: its energy less its entropy",
    .options = improved_table,
    .option_count = BASIN_COUNT(improved_table),
    .options_bytes = sizeof(improved_options),
    .needs = BASIN__NEED_CHAINS | BASIN__NEED_PLAIN,
    .needs_by_options = improved_needs,
    .ignores = improved_ignores,
    .build = improved_build,
    .class_dropout = improved_class_dropout,
    .neighbours = improved_neighbours,
};
