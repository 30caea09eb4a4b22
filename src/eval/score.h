/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model on a data set's examples: their energies, and whatever else is asked of them.
 */
#ifndef BASIN_EVAL_SCORE_H
#define BASIN_EVAL_SCORE_H

#include "energy/energy.h"

/** Examples scored at once by those who stream. */
#define BASIN__SCORE_BLOCK 1024

/** What is done with examples `done` to done + n − 1 of those asked for, mapped to the range. */
typedef basin_status basin__score_visit(void *user, basin_energy *energy, int64_t done, int64_t n,
                                        const float *x);
/**
 * Visit examples [first, first + count) block by block. BASIN_ERROR_SHAPE where the energy does not
 * take them; a visit's failure ends it.
 */
basin_status basin__score_blocks(basin_energy *energy, const basin_data *data, int64_t first,
                                 int64_t count, basin__score_visit *visit, void *user);

/**
 * Energies of examples [first, first + count), mapped to the energy's range. BASIN_ERROR_SHAPE
 * where the energy does not take them. Holds at most BASIN__SCORE_BLOCK examples at a time.
 */
basin_status basin__score_data(basin_energy *energy, const basin_data *data, int64_t first,
                               int64_t count, double *energies);

#endif
