/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A classifier read as a joint energy of example and class (Grathwohl et al., 2020): of logits
 * f(x), whose softmax is p(y | x),
 *
 *     E(x, y) = −f(x)[y],    E(x) = −log Σ_y exp f(x)[y],    p(y | x) = exp(E(x) − E(x, y))
 *
 * One graph gives both. The label's one-hot vector m is zero where no class is given, and so is
 * the mask (m − Σm) · 10⁹: E = −lse(f + mask). With a class, all others' mask is −10⁹, and lse of
 * one number is that number, to the bit.
 *
 * Where a network has an energy of its own and logits g beside it, they are the joint energy
 *
 *     E(x, y) = E(x) − log softmax(g(x))[y],    that is f = log softmax(g) − E
 */
#include "energy/network.h"

#define FAR 1e9 /* below every logit, so that its exponential is zero */

basin_value basin__classifier_energy(basin__build *build, basin_value logits) {
    basin_graph *graph = build->graph;
    if (logits == BASIN_NO_VALUE)
        return logits;
    basin_shape shape = basin_graph_shape(graph, logits);
    build->logits = logits;
    basin_value hot = basin_graph_one_hot(graph, build->label, shape.channels);
    basin_value any = basin_graph_sum(graph, hot, BASIN_AXIS_CHANNELS);
    basin_value mask = basin_graph_scale(graph, basin_graph_sub(graph, hot, any), FAR);
    basin_value sum = basin_graph_log_sum_exp(graph, basin_graph_add(graph, logits, mask));
    return basin_graph_scale(graph, sum, -1);
}

/* With lse = log Σ exp f and m the label's one-hot vector, Σm 1 or 0:
   Σm (lse − smoothing · mean f) − (1 − smoothing) Σ m f. */
basin_value basin__cross_entropy(basin_graph *graph, basin_value logits, basin_value label,
                                 double smoothing) {
    if (logits == BASIN_NO_VALUE)
        return logits;
    const int count = basin_graph_shape(graph, logits).channels;
    basin_value hot = basin_graph_one_hot(graph, label, count);
    basin_value own = basin_graph_dot(graph, hot, logits, BASIN_AXIS_CHANNELS);
    basin_value level = basin_graph_log_sum_exp(graph, logits);
    if (smoothing > 0) {
        basin_value mean = basin_graph_mean(graph, logits, BASIN_AXIS_CHANNELS);
        level = basin_graph_sub(graph, level, basin_graph_scale(graph, mean, smoothing));
        own = basin_graph_scale(graph, own, 1 - smoothing);
    }
    basin_value is_labelled = basin_graph_sum(graph, hot, BASIN_AXIS_CHANNELS);
    return basin_graph_sub(graph, basin_graph_mul(graph, is_labelled, level), own);
}

basin_value basin__classified_energy(basin__build *build, basin_value energy, basin_value logits) {
    if (energy == BASIN_NO_VALUE || logits == BASIN_NO_VALUE)
        return BASIN_NO_VALUE;
    build->logits = logits;
    return basin_graph_add(build->graph, energy,
                           basin__cross_entropy(build->graph, logits, build->label, 0));
}
