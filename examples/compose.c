/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compose an energy from the command line's text, of models and closed forms, and draw from it: one
 * sample a line, its energy first.
 *
 *     ./compose "ring(2, 0.2) + gaussian([2, 0], 1)" 5
 *     ./compose "runs/moons - 0.5 * gaussian([0, 0], 1)"
 */
#include <basin/sample.h>
#include <stdio.h>
#include <stdlib.h>

static basin_status draw(basin_energy *energy, int64_t n) {
    int shape[3];
    basin_energy_shape(energy, shape);
    const size_t size = (size_t)shape[0] * (size_t)shape[1] * (size_t)shape[2];
    float *x = malloc((size_t)n * size * sizeof *x);
    double *energies = malloc((size_t)n * sizeof *energies);
    basin_status status = x != NULL && energies != NULL ? BASIN_OK : BASIN_ERROR_MEMORY;
    if (status ==
        BASIN_OK) /* MALA at every noise level, or Hamiltonian Monte Carlo without levels */
        status = basin_sample(energy, NULL, n, x, NULL);
    if (status == BASIN_OK)
        status = basin_energy_evaluate(energy, n, x, energies, NULL);
    for (int64_t i = 0; i < n && status == BASIN_OK; i++) {
        printf("%.6g", energies[i]);
        for (size_t j = 0; j < size; j++)
            printf(" %.6g", (double)x[(size_t)i * size + j]);
        putchar('\n');
    }
    free(x);
    free(energies);
    return status;
}

int main(int argc, char **argv) {
    basin_context *context;
    basin_energy *energy = NULL;
    const long n = argc > 2 ? strtol(argv[2], NULL, 10) : 10;
    if (argc < 2 || n < 1 || basin_context_create(NULL, &context) != BASIN_OK)
        return 2;
    basin_status status = basin_energy_compose(context, argv[1], 0, 0, 0, &energy);
    if (status == BASIN_OK)
        status = draw(energy, n);
    if (status != BASIN_OK)
        fprintf(stderr, "compose: %s\n", basin_context_error(context));
    basin_energy_destroy(energy);
    basin_context_destroy(context);
    return status == BASIN_OK ? 0 : 1;
}
