/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kinds of things chosen by name: networks, samplers, objectives, optimisers,
 * data sets. Each gives its list in one shape, so that help, manual pages,
 * completion and parsing need not know them apart.
 */
#include "cli.h"
#include "compose/functions.h"
#include "data/set.h"
#include "energy/network.h"
#include "eval/outlier.h"
#include "objective/objective.h"
#include "optim/optim.h"
#include "restore/restoration.h"
#include "sampler/sampler.h"
#include "train/config.h"
#include <string.h>

/** Two functions over a library list of definitions with name, help and an option table. */
#define KIND_OF_DEFINITIONS(kind, list, list_count)                                                \
    static int kind##_count(void) { return list_count; }                                           \
    static basin__kind_item kind##_item(int index) {                                               \
        return (basin__kind_item){.name = (list)[index]->name,                                     \
                                  .help = (list)[index]->help,                                     \
                                  .options = (list)[index]->options,                               \
                                  .option_count = (list)[index]->option_count,                     \
                                  .options_bytes = (list)[index]->options_bytes};                  \
    }

KIND_OF_DEFINITIONS(network, basin__networks, basin__network_count)
KIND_OF_DEFINITIONS(sampler, basin__samplers, basin__sampler_count)
KIND_OF_DEFINITIONS(objective, basin__objectives, basin__objective_count)
KIND_OF_DEFINITIONS(optimiser, basin__optims, basin__optim_count)
KIND_OF_DEFINITIONS(task, basin__tasks, basin__task_count)
KIND_OF_DEFINITIONS(method, basin__methods, basin__method_count)

static int data_count(void) { return basin__data_count; }
static basin__kind_item data_item(int index) {
    return (basin__kind_item){.name = basin__datas[index]->name, .help = basin__datas[index]->help};
}

static int score_count(void) { return basin__outlier_count; }
static basin__kind_item score_item(int index) {
    return (basin__kind_item){.name = basin__outliers[index].name,
                              .help = basin__outliers[index].help};
}

static int energy_count(void) { return basin__function_count; }
static basin__kind_item energy_item(int index) {
    return (basin__kind_item){.name = basin__functions[index].name,
                              .help = basin__functions[index].help,
                              .usage = basin__functions[index].usage};
}

const basin__kind basin__kinds[] = {
    {"network", "networks", "what computes the energy", network_count, network_item},
    {"sampler", "samplers", "how chains walk the energy", sampler_count, sampler_item},
    {"objective", "objectives", "what training makes small", objective_count, objective_item},
    {"optimiser", "optimisers", "how parameters follow the gradient", optimiser_count,
     optimiser_item},
    {"task", "tasks", "what was done to the images that are restored", task_count, task_item},
    {"method", "methods", "how images are restored: draws of the posterior, its mean, its mode",
     method_count, method_item},
    {"data", "data sets",
     "where examples come from; NAME:SPLIT takes one part of a set, of "
     "train, valid, test, all-train",
     data_count, data_item},
    {"score", "scores", "how strange an example is", score_count, score_item},
    {"energy", "energies",
     "what --energy EXPRESSION is made of: model files (quoted where they hold blanks), numbers, "
     "+ - * / and parentheses with blanks around - and /, the functions below, and behind an "
     "energy in brackets a choice of [class = 3, noise-level = 0.5, temperature = 2, guidance = "
     "1], "
     "\"0.8 * a.safetensors + b.safetensors[class = 3] - 0.3 * c.safetensors\". Energies add where "
     "densities multiply",
     energy_count, energy_item},
};
const size_t basin__kind_count = BASIN_COUNT(basin__kinds);

const basin__kind *basin__kind_find(const char *name) {
    for (size_t i = 0; i < basin__kind_count; i++)
        if (strcmp(basin__kinds[i].name, name) == 0 || strcmp(basin__kinds[i].plural, name) == 0)
            return &basin__kinds[i];
    return NULL;
}

/** What the preset takes of a kind, as its list has it. */
static const char *preset_choice(basin_context *context, const char *name,
                                 const basin__kind_company *with) {
    const basin__kind *kind = basin__kind_find(name);
    const char *found = NULL;
    char *chosen = with->preset
                       ? basin__preset_choice(context, with->preset,
                                              with->data && basin__data_is_points(with->data), name)
                       : NULL;
    for (int i = 0; chosen && kind && i < kind->count() && !found; i++)
        if (strcmp(kind->item(i).name, chosen) == 0)
            found = kind->item(i).name;
    basin__free(context, chosen);
    return found;
}

const char *basin__kind_along(basin_context *context, const char *kind,
                              const basin__kind_company *with) {
    const char *name =
        with->objective ? with->objective : preset_choice(context, "objective", with);
    const basin__objective_def *objective = name ? basin__objective_find(name) : NULL;
    const bool is_sampler = strcmp(kind, "sampler") == 0;
    const char *sampler = objective && is_sampler ? basin__objective_sampler(objective) : NULL;
    return sampler ? sampler : preset_choice(context, kind, with);
}
