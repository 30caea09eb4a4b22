/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Energies of a data set's examples.
 */
#ifndef BASIN_EVAL_SCORE_H
#define BASIN_EVAL_SCORE_H

#include "energy/energy.h"

/** Examples scored at once by those who stream. */
#define BASIN__SCORE_BLOCK 1024

/**
 * Energies of examples [first, first + count), mapped to the energy's range. BASIN_ERROR_SHAPE
 * where the energy does not take them. Holds at most BASIN__SCORE_BLOCK examples at a time.
 */
basin_status basin__score_data(basin_energy *energy, const basin_data *data, int64_t first,
                               int64_t count, double *energies);

#endif
