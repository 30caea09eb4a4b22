/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fill in the right half of a picture: draw four samples of p(x | left half) with a model as prior,
 * and print their mean and standard deviation, pixel by pixel. The picture comes on stdin as raw
 * bytes, [height, width, channels].
 *
 *     ./restore models/mnist-unet.safetensors < digit.raw
 */
#include <basin/restore.h>
#include <stdio.h>

static float x[1 << 18], y[1 << 18], deviation[1 << 18];

static basin_status restore(basin_energy *energy, const basin_degradation *degradation, int size) {
    basin_restore_options options;
    float low, high;
    basin_energy_range(energy, &low, &high);
    for (int i = 0; i < size; i++)
        x[i] = low + (high - low) * (float)getchar() / 255.0f;
    basin_degradation_apply(degradation, 1, x, y);
    basin_restore_options_init(&options);
    options.noise_std = 0.002 * (double)(high - low); /* bytes are rounded */
    options.samples = 4;
    options.seed = 1;
    options.deviation = deviation;
    basin_status status = basin_restore(energy, degradation, &options, 1, y, x);
    for (int i = 0; i < size && status == BASIN_OK; i++)
        printf("%.3f %.3f\n", (double)((x[i] - low) / (high - low)),
               (double)(deviation[i] / (high - low)));
    return status;
}

int main(int argc, char **argv) {
    basin_context *context;
    basin_energy *energy = NULL;
    basin_degradation *degradation = NULL;
    char hidden[64];
    int s[3] = {0};
    if (argc != 2 || basin_context_create(NULL, &context) != BASIN_OK)
        return 2;
    basin_status status = basin_energy_load(context, argv[1], NULL, 0, 0, &energy);
    if (status == BASIN_OK)
        basin_energy_shape(energy, s);
    snprintf(hidden, sizeof hidden, "{\"hidden\": [0, %d, %d, %d]}", s[1] / 2, s[0], s[1] / 2);
    if (status == BASIN_OK)
        status =
            basin_degradation_create(context, "inpaint", hidden, s[0], s[1], s[2], &degradation);
    if (status == BASIN_OK && s[0] * s[1] * s[2] <= 1 << 18)
        status = restore(energy, degradation, s[0] * s[1] * s[2]);
    if (status != BASIN_OK)
        fprintf(stderr, "restore: %s\n", basin_context_error(context));
    basin_degradation_destroy(degradation);
    basin_energy_destroy(energy);
    basin_context_destroy(context);
    return status == BASIN_OK ? 0 : 1;
}
