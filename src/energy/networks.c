/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of networks, from networks.def, and finding one with its options.
 */
#include "base/number.h"
#include "energy/network.h"
#include <string.h>

#define BASIN__NETWORK(name) extern const basin__network_def basin__network_##name;
#include "energy/networks.def"
#undef BASIN__NETWORK

const basin__network_def *const basin__networks[] = {
#define BASIN__NETWORK(name) &basin__network_##name,
#include "energy/networks.def"
#undef BASIN__NETWORK
};
const int basin__network_count = (int)BASIN_COUNT(basin__networks);

const basin__network_def *basin__network_find(const char *name) {
    for (int i = 0; i < basin__network_count; i++)
        if (strcmp(basin__networks[i]->name, name) == 0)
            return basin__networks[i];
    return NULL;
}

/** "unknown network 'cnv'; did you mean conv? There are conv, mlp, sequential" */
static basin_status fail_network(basin_context *context, const char *name) {
    char all[256] = "";
    size_t nearest_distance = SIZE_MAX;
    const char *nearest = "";
    for (int i = 0; i < basin__network_count; i++) {
        const char *known = basin__networks[i]->name;
        size_t used = strlen(all), distance = basin__edit_distance(name, known);
        basin__snprintf(all + used, sizeof(all) - used, "%s%s", i > 0 ? ", " : "", known);
        if (distance < nearest_distance) {
            nearest_distance = distance;
            nearest = known;
        }
    }
    bool is_near = basin__is_near(name, nearest_distance);
    return basin__fail(context, BASIN_ERROR_CONFIG, "unknown network '%s'%s%s%s there are %s", name,
                       is_near ? "; did you mean " : ";", is_near ? nearest : "",
                       is_near ? "?" : "", all);
}

basin_status basin__network_options(basin_context *context, const char *name, const json_t *values,
                                    const basin__network_def **network,
                                    basin__option_group *options) {
    *network = basin__network_find(name);
    if (!*network)
        return fail_network(context, name);
    *options = (basin__option_group){
        .title = name, .options = (*network)->options, .count = (*network)->option_count};
    options->values = basin__alloc(context, (*network)->options_bytes);
    if (!options->values)
        return BASIN_ERROR_MEMORY;
    basin_status status = basin__options_default(context, options);
    if (status == BASIN_OK && values)
        status = basin__options_from_json(context, options, 1, values);
    if (status != BASIN_OK)
        basin__network_options_reset(context, options);
    return status;
}

void basin__network_options_reset(basin_context *context, basin__option_group *options) {
    if (options->values)
        basin__options_reset(context, options);
    basin__free(context, options->values);
    options->values = NULL;
}
