/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the verbs share that look for outliers.
 */
#include "detector.h"
#include "base/file.h"
#include <string.h>

basin_status basin__ensemble_load(const basin__command *command,
                                  const basin__model_options *options,
                                  const basin__text_list *others, basin_energy *first,
                                  basin__ensemble *out) {
    out->energies = basin__alloc_array(command->context, others->count + 1, sizeof(basin_energy *));
    if (!out->energies)
        return BASIN_ERROR_MEMORY;
    out->energies[out->count++] = first;
    for (size_t i = 0; i < others->count; i++) {
        BASIN_TRY(basin__model_load(command, others->items[i], options, NULL,
                                    &out->energies[out->count]));
        out->count++;
    }
    return BASIN_OK;
}

void basin__ensemble_destroy(basin_context *context, basin__ensemble *ensemble) {
    for (int i = 1; i < ensemble->count; i++)
        basin_energy_destroy(ensemble->energies[i]);
    basin__free(context, ensemble->energies);
}

basin_detector_options basin__detector_options_of(const basin__model_options *model,
                                                  const basin__detector_choice *choice,
                                                  const char *score) {
    basin_detector_options options;
    basin_detector_options_init(&options);
    options.score = score;
    options.noise_level = model->noise_level;
    options.level_count = (int)choice->levels;
    options.level_low = choice->level_low;
    options.level_high = choice->level_high;
    options.descent_steps = (int)choice->descent_steps;
    return options;
}

char *basin__detector_path(basin_context *context, const char *model) {
    static const char ending[] = ".safetensors";
    const size_t length = strlen(model), cut = sizeof ending - 1;
    if (basin__path_is_folder(model))
        return basin__format(context, "%s/detector.json", model);
    const bool has_ending = length > cut && strcmp(model + length - cut, ending) == 0;
    return basin__format(context, "%.*s.detector.json", (int)(has_ending ? length - cut : length),
                         model);
}
