/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Energy discrepancy: the energy of an example against energies near it. A common step of noise and
 * one back again, x̃ᵢ = x + σ n + σ nᵢ, i = 1 … M, give
 *
 *     loss = log( w/M + (1/M) Σᵢ exp(E(x) − E(x̃ᵢ)) )            (Schröder et al., 2023, section 3)
 *
 * No chains, no gradient to x, no normalising constant. Without w this is the log of a mean whose
 * bias at a finite M can send E to where it is flat; w > 0 bounds it from below. A small σ is score
 * matching, a large one maximum likelihood.
 *
 * Here as log Σ exp over log w and the differences, less log M.
 */
#include "objective/parts.h"
#include <math.h>
#include <stddef.h>

#define COPIES_MAX 64

typedef struct discrepancy_options {
    double std, stabiliser, class_dropout;
    int64_t copies;
} discrepancy_options;

#define AT(field) offsetof(discrepancy_options, field)

static const basin__option discrepancy_table[] = {
    {"perturbation-std", BASIN__OPTION_FLOAT, AT(std), "0.3", 1e-6, 1e6, NULL, NULL,
     "Standard deviation of a step of noise"},
    {"perturbations", BASIN__OPTION_INT, AT(copies), "16", 1, COPIES_MAX, NULL, "copies",
     "Noisy copies an example"},
    {"stabiliser", BASIN__OPTION_FLOAT, AT(stabiliser), "1", 0, 1e6, NULL, NULL,
     "Weight of the term that bounds the loss from below; 0: none"},
    BASIN__CLASS_DROPOUT_ROW(AT(class_dropout), "0.1"),
};

static basin__objective_values discrepancy_build(const void *values, basin__loss *loss,
                                                 basin_graph *graph) {
    const discrepancy_options *options = values;
    basin_value terms[COPIES_MAX + 1], x = basin__loss_data(loss);
    basin_value label = basin__loss_label(loss, options->class_dropout);
    basin_value energy = basin__loss_energy_of(loss, x, label);
    basin_value noise =
        basin__loss_source(loss, BASIN__SOURCE_NORMAL, "noise", loss->energy->shape);
    for (int64_t i = 0; i < options->copies; i++) {
        basin_value back = basin__loss_copy(loss, BASIN__SOURCE_NORMAL, "back", options->copies, i);
        basin_value steps =
            basin_graph_scale(graph, basin_graph_add(graph, noise, back), options->std);
        basin_value near = basin__loss_energy_of(loss, basin_graph_add(graph, x, steps), label);
        terms[i] = basin_graph_sub(graph, energy, near);
    }
    int64_t count = options->copies;
    if (options->stabiliser > 0)
        terms[count++] =
            basin_graph_constant(graph, log(options->stabiliser), basin_shape_vector(1));
    basin_value sum = basin_graph_log_sum_exp(graph, basin__graph_gather(graph, terms, count));
    return (basin__objective_values){
        .loss = basin_graph_offset(graph, sum, -log((double)options->copies)),
        .energy_data = energy,
        .energy_negative = BASIN_NO_VALUE};
}

const basin__objective_def basin__objective_energy_discrepancy = {
    .name = "energy-discrepancy",
    .help = "energy discrepancy: log(w/M + mean exp(E(x) - E(x + noise))), without chains",
    .options = discrepancy_table,
    .option_count = BASIN_COUNT(discrepancy_table),
    .options_bytes = sizeof(discrepancy_options),
    .needs = BASIN__NEED_PLAIN,
    .build = discrepancy_build,
};
