/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an expression leaves to be found before its graph is built: log Z of a mixture's energies,
 * and the energy at which negate leaves b. Each is measured on the energy of that operand alone,
 * under what is selected around it; free noise levels are the models' lowest, free classes none.
 */
#include "base/number.h"
#include "compose/compose.h"
#include "eval/quadrature.h"
#include "eval/score.h"
#include <math.h>
#include <stdlib.h>

#define TOLERANCE 1e-4  /* of log Z by quadrature */
#define DATA_COUNT 5000 /* examples of which a percentile is taken */
#define PERCENTILE 0.99

static basin_status fail_at(const basin__composition *of, int at, basin_status status,
                            const char *what) {
    char message[512];
    basin__snprintf(message, sizeof(message), "%s", basin_context_error(of->context));
    return basin__expression_fail(&of->expression, status, at, "%s: %s", what, message);
}

/* ---- log Z ---- */

static basin_status integrate_plane(const basin__composition *of,
                                    const basin__expression_node *node, basin__selected scope,
                                    double low, double high, double *log_z) {
    basin__quadrature found;
    basin_energy *energy;
    BASIN_TRY(basin__composition_energy(of, node, scope, &energy));
    basin_status status = basin__quadrature_run(of->context, basin__plane_energy_of, energy, 1, low,
                                                high, TOLERANCE, &found);
    *log_z = found.log_z;
    basin_energy_destroy(energy);
    return status;
}

static basin_status measure_log_z(const basin__composition *of, const basin__expression_node *node,
                                  basin__selected scope, double *log_z) {
    const basin_shape shape = of->shape;
    double low, high;
    basin__composition_range(of, node, &low, &high);
    if (shape.height == 1 && shape.width == 1 && shape.channels == 2)
        return integrate_plane(of, node, scope, low, high, log_z);
    return basin__composition_annealed(of, node, scope, low, high, log_z);
}

static basin_status find_log_z(basin__composition *of, basin__expression_node *node,
                               basin__selected scope) {
    basin__argument *log_z = &node->arguments[BASIN__MIXTURE_LOG_Z];
    if (!log_z->word)
        return BASIN_OK;
    double found[BASIN__LIST_MAX] = {0};
    for (int k = 0; k < node->operand_count; k++) {
        if (basin__node_is_normalised(of, node->operands[k], scope))
            continue;
        basin_status status = measure_log_z(of, node->operands[k], scope, &found[k]);
        if (status != BASIN_OK)
            return fail_at(of, node->operands[k]->at, status, "log Z of this energy");
    }
    for (int k = 0; k < node->operand_count; k++)
        log_z->items[k] = found[k];
    log_z->count = node->operand_count;
    return BASIN_OK;
}

/* ---- where an energy ends ---- */

static basin_status score(basin_energy *energy, const basin_data *data, double *end) {
    const basin_data_info *info = basin_data_describe(data);
    BASIN_TRY(basin__energy_takes(energy, info));
    double *energies = basin__alloc_array(energy->context, (size_t)info->count, sizeof(double));
    if (!energies)
        return BASIN_ERROR_MEMORY;
    basin_status status = basin__score_data(energy, data, 0, info->count, energies);
    if (status == BASIN_OK) {
        qsort(energies, (size_t)info->count, sizeof(double), basin__compare_doubles);
        *end = energies[(int64_t)(PERCENTILE * (double)(info->count - 1))];
    }
    basin__free(energy->context, energies);
    return status == BASIN_OK && !isfinite(*end)
               ? basin__fail(energy->context, BASIN_ERROR_DIVERGED, "it is %g", *end)
               : status;
}

static basin_status find_end(basin__composition *of, basin__expression_node *node,
                             basin__selected scope) {
    basin__argument *end = &node->arguments[BASIN__NEGATE_AT];
    if (!end->word)
        return BASIN_OK;
    basin_data_options options;
    basin_data_options_init(&options);
    options.split = "train";
    options.count_max = options.built_in_count = DATA_COUNT;
    if (of->shape.height > 1 && of->shape.height == of->shape.width)
        options.image_size = of->shape.height;
    basin_data *data;
    basin_energy *energy = NULL;
    basin_status status = basin_data_open(of->context, end->word, &options, &data);
    if (status == BASIN_OK) {
        status = basin__composition_energy(of, node->operands[1], scope, &energy);
        if (status == BASIN_OK)
            status = score(energy, data, &end->items[0]);
        basin_energy_destroy(energy);
        basin_data_close(data);
    }
    if (status != BASIN_OK)
        return fail_at(of, end->at, status, "the 99th percentile of an energy");
    end->count = 1;
    return BASIN_OK;
}

/* ---- the whole ---- */

/** Inner ones first: what they find is part of the energies around them. */
static basin_status estimate(basin__composition *of, basin__expression_node *node,
                             basin__selected scope) {
    if (node->kind == BASIN__NODE_SELECT)
        scope = basin__selected_inside(scope, &node->selection);
    for (int i = 0; i < node->operand_count; i++)
        BASIN_TRY(estimate(of, node->operands[i], scope));
    if (node->function == basin__function_mixture)
        return find_log_z(of, node, scope);
    return node->function == basin__function_negate ? find_end(of, node, scope) : BASIN_OK;
}

basin_status basin__composition_estimate(basin__composition *of) {
    return estimate(of, of->expression.root, (basin__selected){BASIN__CLASS_FREE, (double)NAN});
}
