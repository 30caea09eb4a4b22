/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Train an energy on points of the plane, here a ring, and print samples of it.
 *
 *     cc train_2d.c $(pkg-config --cflags --libs basin) -lm && ./a.out > samples.txt
 */
#include <basin/sample.h>
#include <basin/train.h>
#include <math.h>
#include <stdio.h>

enum { POINTS = 4000, SAMPLES = 1000 };

static bool report(void *user, const basin_train_progress *progress) {
    (void)user;
    if (progress->is_report)
        fprintf(stderr, "update %lld  E(data) %.3f  E(noise) %.3f\n", (long long)progress->update,
                progress->energy_data, progress->energy_noise);
    return true; /* false would stop the training */
}

static basin_status run(basin_context *context, basin_data **data, basin_energy **energy) {
    static float ring[2 * POINTS], samples[2 * SAMPLES];
    for (int i = 0; i < POINTS; i++) {
        double radius = 2 + 0.1 * sin(17.0 * i), angle = 6.2831853 * i / POINTS;
        ring[2 * i] = (float)(radius * cos(angle));
        ring[2 * i + 1] = (float)(radius * sin(angle));
    }
    basin_status status =
        basin_data_from_memory(context, "ring", POINTS, 1, 1, 2, false, ring, NULL, data);
    basin_train_options options;
    basin_train_options_init(&options);
    options.data = *data;
    options.settings = "{\"updates\": 600, \"batch\": 128, \"learning_rate\": 0.002}";
    options.progress = report;
    if (status == BASIN_OK)
        status = basin_train(context, &options, energy);
    if (status == BASIN_OK) /* with the sampler it was trained with, from uniform noise */
        status = basin_sample(*energy, NULL, SAMPLES, samples, NULL);
    for (int i = 0; i < SAMPLES && status == BASIN_OK; i++)
        printf("%8.4f %8.4f\n", (double)samples[2 * i], (double)samples[2 * i + 1]);
    return status;
}

int main(void) {
    basin_context *context;
    basin_data *data = NULL;
    basin_energy *energy = NULL;
    if (basin_context_create(NULL, &context) != BASIN_OK)
        return 1;
    basin_status status = run(context, &data, &energy);
    if (status != BASIN_OK)
        fprintf(stderr, "train_2d: %s\n", basin_context_error(context));
    basin_energy_destroy(energy);
    basin_data_close(data);
    basin_context_destroy(context);
    return status == BASIN_OK ? 0 : 1;
}
