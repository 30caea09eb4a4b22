/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network `resnet`: residual blocks to a scalar, as implicit generation by energies uses them
 * (Du & Mordatch, 2019, tables 7-10). A convolution and an activation, then levels of residual
 * blocks, of which the first halves height and width:
 *
 *     h = act(g₁ ⊙ conv1(x) + b₁)
 *     y = act(pool(g₂ ⊙ conv2(h) + b₂) + skip(pool(x)))
 *
 * skip is a 1×1 convolution where the width changes, pool a mean over 2 × 2 where the block halves;
 * elsewhere both are the identity. (A 1×1 convolution and a mean may change places, and a fourth of
 * the pixels is left for it.) The last level is summed over space, and a linear layer makes E of
 * it. Gains g and biases b are rows of tables that the class picks; without classes there are none.
 *
 * Every weight is divided by its largest singular value (spectral norm), which bounds the slope of
 * E and with it what a step of a chain can do; --no-spectral-norm leaves them as they are.
 * There is no batch norm, with which an example's energy would depend on its neighbours.
 *
 * Tensors are named as in a PyTorch module with
 *
 *     conv1, blocks = ModuleList of (conv1, conv2, [skip], [class_gain, class_bias]), linear
 */
#include "energy/network.h"
#include <stddef.h>
#include <stdio.h>

#define LEVELS_MAX 8
#define NAME_BYTES 64

enum { POOL_SUM, POOL_MEAN };

typedef struct resnet_options {
    basin__int_list channels;
    int64_t blocks, pool, activation, classes, logits;
    bool spectral_norm;
} resnet_options;

#define AT(field) offsetof(resnet_options, field)

static const basin__option options_table[] = {
    {"channels", BASIN__OPTION_INT_LIST, AT(channels), "64,128", 1, 65536, NULL, "channels",
     "width of each level; each has half the height and width of what comes before"},
    {"blocks", BASIN__OPTION_INT, AT(blocks), "2", 1, 1000, NULL, "blocks",
     "residual blocks of a level, of which the first halves"},
    {"pool", BASIN__OPTION_CHOICE, AT(pool), "sum", 0, 0, "sum|mean", NULL,
     "over space, before the linear layer"},
    {"activation", BASIN__OPTION_CHOICE, AT(activation), "leaky-relu", 0, 0, BASIN__ACTIVATIONS,
     NULL, "after each convolution (leaky-relu: slope 0.2)"},
    {"spectral-norm", BASIN__OPTION_FLAG, AT(spectral_norm), "true", 0, 0, NULL, NULL,
     "spectral norm: each weight is divided by its largest singular value"},
    {"classes", BASIN__OPTION_INT, AT(classes), "0", 0, 65536, NULL, "classes",
     "take a class out of so many, which picks gains and biases: E(x | class); 0: none"},
    BASIN__LOGITS_ROW(AT(logits)),
};

static basin__condition condition_resnet(const void *opaque) {
    const resnet_options *options = opaque;
    return (basin__condition){.class_count =
                                  (int)(options->classes > 0 ? options->classes : options->logits)};
}

/** What a walk through the network carries. */
typedef struct walk {
    basin__build *build;
    const resnet_options *options;
    int block; /* its number */
    char name[NAME_BYTES];
} walk;

static const char *name_layer(walk *at, const char *layer) {
    snprintf(at->name, sizeof at->name, "blocks.%d.%s", at->block, layer);
    return at->name;
}

static basin_value activate(const walk *at, basin_value x) {
    return basin__activation(at->build->graph, at->options->activation, x);
}

static basin_value conv3(walk *at, const char *name, basin_value x, int width) {
    return basin__layer_conv(at->build, name, x, width, 3, (basin_conv){.stride = 1, .pad = 1});
}

/** The class's row of a table whose numbers all start alike; the last row is of no class. */
static basin_value class_row(walk *at, const char *layer, int width, double start) {
    char weight[NAME_BYTES + 8];
    const int rows = (int)at->options->classes + 1;
    basin_value row =
        basin__layer_lookup(at->build, name_layer(at, layer), rows, width, at->build->label);
    snprintf(weight, sizeof weight, "%s.weight", at->name);
    basin__parameter *table = basin__parameters_find(at->build->parameters, weight);
    if (table) {
        table->start = start;
        table->bound = 0;
    }
    return row;
}

/** g ⊙ x + b: vectors `index` of the two that a row holds. */
static basin_value modulate(const walk *at, basin_value x, basin_value gain, basin_value bias,
                            int index, int width) {
    basin_graph *graph = at->build->graph;
    if (gain == BASIN_NO_VALUE)
        return x;
    gain = basin_graph_slice(graph, gain, index * width, width);
    bias = basin_graph_slice(graph, bias, index * width, width);
    return basin_graph_add(graph, basin_graph_mul(graph, x, gain), bias);
}

static basin_value block(walk *at, basin_value x, int width, bool halves) {
    basin_graph *graph = at->build->graph;
    basin_value gain = BASIN_NO_VALUE, bias = BASIN_NO_VALUE;
    if (x == BASIN_NO_VALUE)
        return x;
    if (at->options->classes > 0) {
        gain = class_row(at, "class_gain", 2 * width, 1);
        bias = class_row(at, "class_bias", 2 * width, 0);
    }
    const bool is_wider = basin_graph_shape(graph, x).channels != width;
    basin_value h = conv3(at, name_layer(at, "conv1"), x, width);
    h = activate(at, modulate(at, h, gain, bias, 0, width));
    h = conv3(at, name_layer(at, "conv2"), h, width);
    h = modulate(at, h, gain, bias, 1, width);
    if (!is_wider)
        h = basin_graph_add(graph, h, x);
    if (halves) {
        h = basin_graph_average_pool(graph, h, 2);
        x = basin_graph_average_pool(graph, x, 2);
    }
    if (is_wider)
        h = basin_graph_add(graph, h,
                            basin__layer_conv(at->build, name_layer(at, "skip"), x, width, 1,
                                              (basin_conv){.stride = 1}));
    return activate(at, h);
}

static basin_value head(walk *at, basin_value x) {
    basin__build *build = at->build;
    const resnet_options *options = at->options;
    if (x == BASIN_NO_VALUE)
        return x;
    x = options->pool == POOL_SUM ? basin_graph_sum(build->graph, x, BASIN_AXES_SPACE)
                                  : basin_graph_mean(build->graph, x, BASIN_AXES_SPACE);
    build->features = x;
    const int outputs = options->logits > 0 ? (int)options->logits : 1;
    x = basin__layer_linear(build, "linear", x, outputs, basin_graph_shape(build->graph, x));
    return options->logits > 0 ? basin__classifier_energy(build, x) : x;
}

static bool check(basin_graph *graph, const resnet_options *options, basin_shape image) {
    const int levels = (int)options->channels.count;
    if (options->classes > 0 && options->logits > 0)
        basin__graph_fail(graph, BASIN_ERROR_CONFIG,
                          "logits make classes an output, beside which no input is taken: leave "
                          "classes away");
    else if (levels > LEVELS_MAX)
        basin__graph_fail(graph, BASIN_ERROR_CONFIG,
                          "resnet has %d levels; at most %d are possible", levels, LEVELS_MAX);
    else if (image.height % (1 << levels) != 0 || image.width % (1 << levels) != 0)
        basin__graph_fail(graph, BASIN_ERROR_SHAPE,
                          "resnet halves the image %d times, and %d x %d is no multiple of %d: "
                          "take fewer levels (--channels)",
                          levels, image.height, image.width, 1 << levels);
    return basin_graph_status(graph) == BASIN_OK;
}

static basin_value build_resnet(basin__build *build, const void *opaque, basin_value x) {
    const resnet_options *options = opaque;
    walk at = {.build = build, .options = options};
    if (!check(build->graph, options, basin_graph_shape(build->graph, x)))
        return BASIN_NO_VALUE;
    build->spectral_norm = options->spectral_norm;
    x = activate(&at, conv3(&at, "conv1", x, (int)options->channels.items[0]));
    for (size_t level = 0; level < options->channels.count; level++)
        for (int i = 0; i < options->blocks; i++, at.block++)
            x = block(&at, x, (int)options->channels.items[level], i == 0);
    return head(&at, x);
}

const basin__network_def basin__network_resnet = {
    .name = "resnet",
    .help = "residual blocks with spectral norm, a sum over space, a linear layer",
    .options = options_table,
    .option_count = BASIN_COUNT(options_table),
    .options_bytes = sizeof(resnet_options),
    .condition = condition_resnet,
    .build = build_resnet,
};
