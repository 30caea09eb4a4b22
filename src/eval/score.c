/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model on a data set's examples, a block at a time, so that memory does not
 * grow with the set.
 */
#include "eval/score.h"

basin_status basin__score_blocks(basin_energy *energy, const basin_data *data, int64_t first,
                                 int64_t count, basin__score_visit *visit, void *user) {
    const basin_data_info *info = basin_data_describe(data);
    int64_t size = basin_shape_count(energy->shape);
    BASIN_TRY(basin__energy_takes(energy, info));
    int64_t block = count < BASIN__SCORE_BLOCK ? count : BASIN__SCORE_BLOCK;
    float *x = basin__alloc_array(energy->context, (size_t)(block * size), sizeof(float));
    basin_status status = x ? BASIN_OK : BASIN_ERROR_MEMORY;
    for (int64_t done = 0; done < count && status == BASIN_OK; done += block) {
        int64_t n = count - done < block ? count - done : block;
        for (int64_t i = 0; i < n; i++)
            basin_data_get(data, first + done + i, x + i * size);
        basin__energy_adapt(energy, info, x, n * size);
        status = visit(user, energy, done, n, x);
    }
    basin__free(energy->context, x);
    return status;
}

static basin_status visit_energies(void *user, basin_energy *energy, int64_t done, int64_t n,
                                   const float *x) {
    return basin_energy_evaluate(energy, n, x, (double *)user + done, NULL);
}

basin_status basin__score_data(basin_energy *energy, const basin_data *data, int64_t first,
                               int64_t count, double *energies) {
    return basin__score_blocks(energy, data, first, count, visit_energies, energies);
}
