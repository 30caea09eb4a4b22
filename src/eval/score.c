/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Energies of a data set's examples, a block at a time, so that memory does not
 * grow with the set.
 */
#include "eval/score.h"

basin_status basin__score_data(basin_energy *energy, const basin_data *data, int64_t first,
                               int64_t count, double *energies) {
    const basin_data_info *info = basin_data_describe(data);
    basin__range range = basin__energy_range(energy);
    int64_t size = basin_shape_count(energy->shape);
    BASIN_TRY(basin__energy_takes(energy, info));
    int64_t block = count < BASIN__SCORE_BLOCK ? count : BASIN__SCORE_BLOCK;
    float *x = basin__alloc_array(energy->context, (size_t)(block * size), sizeof(float));
    basin_status status = x ? BASIN_OK : BASIN_ERROR_MEMORY;
    for (int64_t done = 0; done < count && status == BASIN_OK; done += block) {
        int64_t n = count - done < block ? count - done : block;
        for (int64_t i = 0; i < n; i++)
            basin_data_get(data, first + done + i, x + i * size);
        basin__range_apply(range, info, x, n * size);
        status = basin_energy_evaluate(energy, n, x, energies + done, NULL);
    }
    basin__free(energy->context, x);
    return status;
}
