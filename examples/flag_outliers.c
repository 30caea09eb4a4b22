/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fit a detector to inside data, so that it flags one in a hundred of these at most, and count what
 * it flags of other images.
 *
 *     ./flag_outliers runs/mnist mnist:valid fashion-mnist:test
 */
#include <basin/outlier.h>
#include <stdio.h>
#include <stdlib.h>

/* One image at a time, as a product would; many at once are faster. */
static basin_status count_flagged(const basin_energy *energy, basin_detector *detector,
                                  const basin_data *data) {
    const basin_data_info *info = basin_data_describe(data);
    const int size = info->height * info->width * info->channels;
    float low, high, *x = malloc((size_t)size * sizeof *x);
    int64_t flagged = 0;
    basin_status status = x ? BASIN_OK : BASIN_ERROR_MEMORY;
    basin_energy_range(energy, &low, &high);
    for (int64_t i = 0; i < info->count && status == BASIN_OK; i++) {
        double score;
        basin_data_get(data, i, x); /* in [0, 1] */
        for (int j = 0; j < size; j++)
            x[j] = low + (high - low) * x[j];
        status = basin_detector_score(detector, 1, x, &score);
        flagged += !(score <= basin_detector_threshold(detector));
    }
    if (status == BASIN_OK)
        printf("%s: %lld of %lld flagged\n", info->name, (long long)flagged,
               (long long)info->count);
    free(x);
    return status;
}

int main(int argc, char **argv) {
    basin_context *context;
    basin_energy *energy = NULL;
    basin_data *inside = NULL, *other = NULL;
    basin_detector *detector = NULL;
    if (argc != 4 || basin_context_create(NULL, &context) != BASIN_OK)
        return 2;
    bool is_fine = basin_energy_load(context, argv[1], NULL, 0, 0, &energy) == BASIN_OK &&
                   basin_data_open(context, argv[2], NULL, &inside) == BASIN_OK &&
                   basin_data_open(context, argv[3], NULL, &other) == BASIN_OK &&
                   basin_detector_create(context, &energy, 1, NULL, &detector) == BASIN_OK &&
                   basin_detector_fit(detector, inside, 0.01) == BASIN_OK &&
                   count_flagged(energy, detector, other) == BASIN_OK;
    if (!is_fine)
        fprintf(stderr, "flag_outliers: %s\n", basin_context_error(context));
    basin_detector_destroy(detector);
    basin_data_close(other);
    basin_data_close(inside);
    basin_energy_destroy(energy);
    basin_context_destroy(context);
    return is_fine ? 0 : 1;
}
