/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of samplers, from samplers.def, and what is common to their options.
 */
#include "sampler/sampler.h"
#include <string.h>

#define BASIN__SAMPLER(name) extern const basin__sampler_def basin__sampler_##name;
#include "sampler/samplers.def"
#undef BASIN__SAMPLER

const basin__sampler_def *const basin__samplers[] = {
#define BASIN__SAMPLER(name) &basin__sampler_##name,
#include "sampler/samplers.def"
#undef BASIN__SAMPLER
};

const int basin__sampler_count = (int)BASIN_COUNT(basin__samplers);

const basin__sampler_def *basin__sampler_find(const char *name) {
    for (int i = 0; i < basin__sampler_count; i++)
        if (strcmp(basin__samplers[i]->name, name) == 0)
            return basin__samplers[i];
    return NULL;
}

void basin__sampler_set_unless_given(basin__option_group *group, const char *name, double number) {
    const basin__option *option = basin__option_find(group, 1, name, NULL);
    if (option == NULL)
        return;
    if (!(group->is_set >> (option - group->options) & 1))
        *(double *)((char *)group->values + option->offset) = number;
}

void basin__sampler_range(basin__option_group *group, double low, double high) {
    basin__sampler_set_unless_given(group, "box-low", low);
    basin__sampler_set_unless_given(group, "box-high", high);
}

static double number_at(const basin__option_group *group, size_t i) {
    return *(const double *)((const char *)group->values + group->options[i].offset);
}

basin_status basin__sampler_check(basin_context *context, const basin__sampler_def *sampler,
                                  const basin__option_group *group) {
    double given[64];
    for (size_t i = 0; i < group->count; i++)
        if (group->options[i].type == BASIN__OPTION_FLOAT)
            given[i] = number_at(group, i);
    if (sampler->check == NULL)
        return BASIN_OK;
    BASIN_TRY(sampler->check(context, group->values));
    for (size_t i = 0; i < group->count; i++)
        if (group->options[i].type == BASIN__OPTION_FLOAT && (group->is_set >> i & 1) &&
            (number_at(group, i) < given[i] || number_at(group, i) > given[i]))
            return basin__fail(context, BASIN_ERROR_CONFIG,
                               "%s is given as %g, and the other options of %s make it %g",
                               group->options[i].name, given[i], sampler->name,
                               number_at(group, i));
    return BASIN_OK;
}
