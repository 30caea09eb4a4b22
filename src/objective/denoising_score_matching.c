/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Denoising score matching at one noise level: with x̃ = x + σ n the density p_σ of the data with
 * noise has the score that is the mean of (x − x̃)/σ² given x̃, so that
 *
 *     loss = ½ σ² ‖∇E(x̃) − (x̃ − x)/σ²‖² = ½ ‖σ ∇E(x̃) − n‖²           (Vincent, 2011, eq. 9)
 *
 * is least where exp(−E) ∝ p_σ. It is the noisy data that is learnt, which the model file says
 * (data_noise_level); a small σ is closer to the data, and its loss varies more, and says less of
 * what lies between the data. At many levels: objective diffusion.
 */
#include "objective/parts.h"
#include <stddef.h>

typedef struct dsm_options {
    double noise_level, class_dropout;
} dsm_options;

#define AT(field) offsetof(dsm_options, field)

static const basin__option dsm_table[] = {
    {"noise-level", BASIN__OPTION_FLOAT, AT(noise_level), "0.1", 1e-6, 1e6, NULL, NULL,
     "Standard deviation of the noise on the data, which the model learns with it"},
    BASIN__CLASS_DROPOUT_ROW(AT(class_dropout), "0.1"),
};

static basin__objective_values dsm_build(const void *values, basin__loss *loss,
                                         basin_graph *graph) {
    const dsm_options *options = values;
    basin_value noise =
        basin__loss_source(loss, BASIN__SOURCE_NORMAL, "noise", loss->energy->shape);
    basin_value x = basin_graph_add(graph, basin__loss_data(loss),
                                    basin_graph_scale(graph, noise, options->noise_level));
    basin_value label = basin__loss_label(loss, options->class_dropout);
    basin_value gradient = basin__loss_gradient(loss, x, BASIN_NO_VALUE, label);
    basin_value error =
        basin_graph_sub(graph, basin_graph_scale(graph, gradient, options->noise_level), noise);
    return (basin__objective_values){
        .loss = basin_graph_scale(graph, basin__graph_norm2(graph, error), 0.5),
        .energy_data = BASIN_NO_VALUE,
        .energy_negative = BASIN_NO_VALUE};
}

static double dsm_data_noise(const void *values) {
    return ((const dsm_options *)values)->noise_level;
}

const basin__objective_def basin__objective_denoising_score_matching = {
    .name = "denoising-score-matching",
    .help = "denoising at one noise level: |sigma grad E(x + sigma n) - n|^2 / 2",
    .options = dsm_table,
    .option_count = BASIN_COUNT(dsm_table),
    .options_bytes = sizeof(dsm_options),
    .needs = BASIN__NEED_PLAIN,
    .build = dsm_build,
    .data_noise = dsm_data_noise,
};
