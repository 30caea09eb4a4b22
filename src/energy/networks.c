/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of networks, from networks.def.
 */
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
