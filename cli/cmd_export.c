/* SPDX-License-Identifier: Apache-2.0 */
/*
 * basin export: a model as one file, out of a run or another file.
 */
#include "model.h"
#include <stddef.h>
#include <sys/stat.h>

typedef struct export_options {
    basin__model_options model; /* the path is positional: its member stays NULL */
    char *out;
    bool half;
} export_options;

static const basin__option options_table[] = {
    BASIN__TEXT_ROW("out", offsetof(export_options, out), "The .safetensors file to write"),
    {"half", BASIN__OPTION_FLAG, offsetof(export_options, half), NULL, 0, 0, NULL, NULL,
     "Round parameters to 16 bits: half the bytes"},
    BASIN__NETWORK_ROW,
    BASIN__SHAPE_ROW,
};

static int run(basin__command *command) {
    const export_options *options = command->options;
    char *file = NULL;
    basin_energy *energy = NULL;
    struct stat written;
    if (!options->out)
        return basin__command_usage(command, "--out is missing: give the file to write");
    basin_status status = basin__model_find(command->context, command->arguments[0], &file);
    if (status == BASIN_OK)
        status = basin__model_load(command, file, &options->model, NULL, &energy);
    if (status == BASIN_OK)
        status = options->half ? basin_energy_save_half(energy, options->out)
                               : basin_energy_save(energy, options->out);
    if (status == BASIN_OK && stat(options->out, &written) == 0)
        printf("%s: %lld parameters, %lld bytes, from %s\n", options->out,
               (long long)basin_energy_parameter_count(energy), (long long)written.st_size, file);
    basin_energy_destroy(energy);
    basin__free(command->context, file);
    return status == BASIN_OK ? BASIN__EXIT_OK : basin__command_fail(command, status);
}

static const char *const outputs[] = {"out", NULL};

static const char *const examples[] = {
    "basin export runs/mnist --out mnist.safetensors",
    "the average of a run's latest checkpoint as one file",
    NULL,
};

const basin__verb basin__verb_export = {
    .name = "export",
    .help = "write a model as one file",
    .positional = "MODEL",
    .positional_min = 1,
    .positional_max = 1,
    .options = options_table,
    .option_count = BASIN_COUNT(options_table),
    .options_bytes = sizeof(export_options),
    .examples = examples,
    .outputs = outputs,
    .run = run,
};
