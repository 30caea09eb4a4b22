/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Activations by name. Leaky ReLU has slope 0.2 below zero, as energy networks
 * use it (Du & Mordatch, 2019), not PyTorch's default of 0.01.
 */
#include "energy/network.h"
#include <string.h>

#define LEAKY_SLOPE 0.2

/* The order of BASIN__ACTIVATIONS. */
enum { SILU, RELU, LEAKY_RELU, TANH, SOFTPLUS, SIGMOID };

basin_value basin__activation(basin_graph *graph, int64_t choice, basin_value x) {
    switch (choice) {
    case SILU:
        return basin_graph_silu(graph, x);
    case RELU:
        return basin_graph_relu(graph, x);
    case LEAKY_RELU:
        return basin_graph_leaky_relu(graph, x, LEAKY_SLOPE);
    case TANH:
        return basin_graph_tanh(graph, x);
    case SOFTPLUS:
        return basin_graph_softplus(graph, x);
    case SIGMOID:
        return basin_graph_sigmoid(graph, x);
    }
    return basin__graph_fail(graph, BASIN_ERROR_ARGUMENT, "no activation has number %d",
                             (int)choice);
}

int64_t basin__activation_find(const char *name) {
    size_t length = strlen(name);
    int64_t index = 0;
    for (const char *word = BASIN__ACTIVATIONS; word; index++) {
        size_t word_length = strcspn(word, "|");
        if (word_length == length && memcmp(word, name, length) == 0)
            return index;
        word = word[word_length] ? word + word_length + 1 : NULL;
    }
    return -1;
}
