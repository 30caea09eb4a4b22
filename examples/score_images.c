/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load a model and score 8-bit images, as a product would that looks for strange ones: the higher
 * the energy, the stranger. Images come as raw bytes on stdin, [height, width, channels] each.
 *
 *     ./score_images runs/mnist < images.raw
 */
#include <basin/energy.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 64 };

/* Read up to BATCH images and put their bytes into the model's range. */
static int64_t read_images(const basin_energy *energy, size_t size, unsigned char *bytes,
                           float *x) {
    float low, high;
    basin_energy_range(energy, &low, &high);
    size_t n = fread(bytes, size, BATCH, stdin);
    for (size_t i = 0; i < n * size; i++)
        x[i] = low + (high - low) * (float)bytes[i] / 255.0f;
    return (int64_t)n;
}

static basin_status score(basin_energy *energy) {
    int shape[3];
    double energies[BATCH];
    basin_energy_shape(energy, shape);
    size_t size = (size_t)shape[0] * (size_t)shape[1] * (size_t)shape[2];
    unsigned char *bytes = malloc(BATCH * size);
    float *x = malloc(BATCH * size * sizeof *x);
    basin_status status = bytes != NULL && x != NULL ? BASIN_OK : BASIN_ERROR_MEMORY;
    int64_t n;
    while (status == BASIN_OK && (n = read_images(energy, size, bytes, x)) > 0) {
        status = basin_energy_evaluate(energy, n, x, energies, NULL);
        for (int64_t i = 0; i < n && status == BASIN_OK; i++)
            printf("%.6g\n", energies[i]);
    }
    free(bytes);
    free(x);
    return status;
}

int main(int argc, char **argv) {
    basin_context *context;
    basin_energy *energy = NULL;
    if (argc != 2 || basin_context_create(NULL, &context) != BASIN_OK)
        return 2;
    basin_status status = basin_energy_load(context, argv[1], NULL, 0, 0, &energy);
    if (status == BASIN_OK)
        status = score(energy);
    if (status != BASIN_OK)
        fprintf(stderr, "score_images: %s\n", basin_context_error(context));
    basin_energy_destroy(energy);
    basin_context_destroy(context);
    return status == BASIN_OK ? 0 : 1;
}
