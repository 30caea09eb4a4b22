/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log Z by annealed importance sampling (Neal, 2001). Chains start at the Gaussian E_0 = −log N(x;
 * m, s²) and are led to E by
 *
 *     E_t = E_0 + t (E − E_0),    t_k = (k / K)⁴,  k = 1 … K,
 *
 * a move of Hamiltonian Monte Carlo at each t. With log w = −Σ_k (t_k − t_{k−1}) (E − E_0)(x_{k−1})
 * the mean of w over chains is Z exactly in expectation, whatever the number of moves; few of them
 * give weights that differ by orders, which the effective number of chains tells, and the estimate
 * is then refused. The leapfrog's step follows the share of moves accepted.
 *
 * t is handed to the graph as the noise level of a network, so that one plan serves all t.
 */
#include "base/number.h"
#include "compose/compose.h"
#include "sampler/sampler.h"
#include <basin/sample.h>
#include <math.h>

#define CHAINS 512
#define TEMPERATURES 400
#define POWER 4
#define LEAPFROG_STEPS 5
#define ACCEPTANCE 0.7
#define EFFECTIVE_MIN 0.1 /* of the chains */

typedef struct path {
    const basin__composition *of;
    const basin__expression_node *node;
    double mean, std;   /* of E_0 */
    double noise_level; /* of E; 0: it takes none */
    int label;          /* BASIN__CLASS_FREE or NONE: no class */
} path;

static basin__condition condition_path(const void *options) {
    (void)options;
    return (basin__condition){.noise_level = true};
}

static basin_value build_path(basin__build *at, const void *options, basin_value x) {
    const path *along = options;
    basin_graph *graph = at->graph;
    const basin_shape scalar = basin_shape_vector(1);
    const basin__energy_inputs inputs = {
        .x = x,
        .noise_level = along->noise_level > 0
                           ? basin_graph_constant(graph, along->noise_level, scalar)
                           : BASIN_NO_VALUE,
        .label =
            along->label >= 0 ? basin_graph_constant(graph, along->label, scalar) : BASIN_NO_VALUE};
    basin_value end = basin__composition_build(along->of, graph, along->node, &inputs);
    basin_value apart = basin_graph_offset(graph, x, -along->mean);
    basin_value begin = basin_graph_scale(
        graph, basin_graph_sum(graph, basin_graph_square(graph, apart), BASIN_AXES_ALL),
        0.5 / (along->std * along->std));
    basin_value change = basin_graph_sub(graph, end, begin);
    return basin_graph_add(graph, begin, basin_graph_mul(graph, at->noise_level, change));
}

static const basin__network_def network_path = {
    .name = "annealed",
    .help = "between a Gaussian and an energy",
    .options_bytes = sizeof(path),
    .condition = condition_path,
    .build = build_path,
};

/** −log N(x; m, s²) without its constant, as the graph has it. */
static double begin_energy(const path *along, const float *x, int64_t size) {
    double sum = 0;
    for (int64_t j = 0; j < size; j++)
        sum += ((double)x[j] - along->mean) * ((double)x[j] - along->mean);
    return 0.5 * sum / (along->std * along->std);
}

/** One t: weights take the change, chains a move. */
static basin_status advance(basin_energy *energy, const path *along, int k, double *step, float *x,
                            double *energies, double *weights) {
    const int64_t size = basin_shape_count(energy->shape);
    const double before = pow((double)(k - 1) / TEMPERATURES, POWER);
    const double now = pow((double)k / TEMPERATURES, POWER);
    double acceptance;
    char settings[128];
    BASIN_TRY(basin__energy_set_condition(energy, 1, -1));
    BASIN_TRY(basin_energy_evaluate(energy, CHAINS, x, energies, NULL));
    for (int i = 0; i < CHAINS; i++)
        weights[i] -= (now - before) * (energies[i] - begin_energy(along, x + i * size, size));
    basin__snprintf(settings, sizeof(settings),
                    "{\"n_steps\": 1, \"leapfrog_steps\": %d, \"step_size\": %.9g}", LEAPFROG_STEPS,
                    *step);
    basin_sample_options options;
    basin_sample_options_init(&options);
    options.sampler = "hmc";
    options.settings = settings;
    options.seed = (uint64_t)k;
    options.is_started = true;
    options.noise_level = now;
    options.acceptance = &acceptance;
    BASIN_TRY(basin_sample(energy, &options, CHAINS, x, NULL));
    *step *= exp(0.5 * (acceptance - ACCEPTANCE));
    return BASIN_OK;
}

/** log of the weights' mean; their effective number is (Σ w)² / Σ w². */
static basin_status average(basin_context *context, const double *weights, double *log_z) {
    double most = -INFINITY, sum = 0, squares = 0;
    for (int i = 0; i < CHAINS; i++)
        most = fmax(most, weights[i]);
    for (int i = 0; i < CHAINS; i++) {
        sum += exp(weights[i] - most);
        squares += exp(2 * (weights[i] - most));
    }
    const double effective = sum * sum / squares;
    *log_z = most + log(sum / CHAINS);
    if (isfinite(*log_z) && effective >= EFFECTIVE_MIN * CHAINS)
        return BASIN_OK;
    return basin__fail(
        context, BASIN_ERROR_DIVERGED,
        "annealed importance sampling gives %.4g, of %.1f effective chains among %d: "
        "give log-z as numbers",
        *log_z, effective, CHAINS);
}

static basin_status run(basin_energy *energy, const path *along, double *log_z) {
    basin_context *context = energy->context;
    const int64_t size = basin_shape_count(energy->shape);
    float *x = basin__alloc_array(context, (size_t)(CHAINS * size), sizeof(float));
    double *numbers = basin__alloc_array(context, 2 * CHAINS, sizeof(double));
    basin_status status = x && numbers ? BASIN_OK : BASIN_ERROR_MEMORY;
    double step = along->std;
    if (status == BASIN_OK) {
        basin__draw at = {.seed = 0, .purpose = BASIN__PURPOSE_START};
        basin__cpu_kernels_for(basin__context_isa(context))->normal(x, CHAINS, size, &at);
        for (int64_t i = 0; i < CHAINS * size; i++)
            x[i] = (float)(along->mean + along->std * (double)x[i]);
    }
    for (int k = 1; k <= TEMPERATURES && status == BASIN_OK; k++)
        status = advance(energy, along, k, &step, x, numbers, numbers + CHAINS);
    if (status == BASIN_OK)
        status = average(context, numbers + CHAINS, log_z);
    if (status == BASIN_OK)
        *log_z += (double)size * log(sqrt(6.28318530717958647693) * along->std);
    basin__free(context, x);
    basin__free(context, numbers);
    return status;
}

basin_status basin__composition_annealed(const basin__composition *of,
                                         const basin__expression_node *node, basin__selected scope,
                                         double low, double high, double *log_z) {
    const basin__option_group group = {.title = network_path.name,
                                       .values = basin__alloc(of->context, sizeof(path))};
    path *along = group.values;
    basin_energy *energy;
    if (!along)
        return BASIN_ERROR_MEMORY;
    *along = (path){
        of,         node, 0.5 * (low + high), (high - low) / 3, basin__selected_level(of, scope),
        scope.label};
    basin_status status =
        basin__energy_create(of->context, &network_path, group, of->shape, &energy);
    if (status != BASIN_OK) {
        basin__free(of->context, along);
        return status;
    }
    energy->parts = of->parts;
    energy->part_count = of->part_count;
    status = run(energy, along, log_z);
    basin_energy_destroy(energy);
    return status;
}
