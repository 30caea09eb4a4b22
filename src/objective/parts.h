/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What losses are put together from: values of a loss's graph that several objectives use.
 */
#ifndef BASIN_OBJECTIVE_PARTS_H
#define BASIN_OBJECTIVE_PARTS_H

#include "objective/labels.h"

/**
 * ∇ₓE at a point of the graph, which must depend on no parameter; noise_level and label may be
 * BASIN_NO_VALUE. A later gradient to parameters flows through it (a second derivative), one to x
 * does only where x is a source: of a value that was computed it is not asked.
 */
basin_value basin__loss_gradient(basin__loss *loss, basin_value x, basin_value noise_level,
                                 basin_value label);
/** E of an example, or of what stands for one, at no noise level; label as above. */
basin_value basin__loss_energy_of(basin__loss *loss, basin_value x, basin_value label);

/**
 * loss + alpha (low² + high²), of the energies of data and of negatives: nothing else holds their
 * level and scale (Du & Mordatch, 2019, section 3.3). alpha 0 adds nothing.
 */
basin_value basin__loss_hold(basin_graph *graph, basin_value loss, basin_value low,
                             basin_value high, double alpha);

/** Copy `index` of a source that holds `count` examples' worth of numbers, shaped like x. */
basin_value basin__loss_copy(basin__loss *loss, basin__source_kind kind, const char *name,
                             int64_t count, int64_t index);
/** Scalars side by side: a vector of `count`, which may come as BASIN_NO_VALUE after an error. */
basin_value basin__graph_gather(basin_graph *graph, const basin_value *scalars, int64_t count);
/** ‖x‖², a scalar. */
basin_value basin__graph_norm2(basin_graph *graph, basin_value x);

#endif
