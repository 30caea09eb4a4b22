/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network `wide-resnet`: the wide residual network (Zagoruyko & Komodakis, 2016) without norm,
 * as classifiers that are energies use it (Grathwohl et al., 2020: depth 28, widen factor 10).
 *
 * A convolution of width w, three levels of (depth − 4) / 6 blocks, of widths w k, 2 w k, 4 w k for
 * the widen factor k, an activation, a mean over space and a linear layer. A block is
 *
 *     y = conv2(act(conv1(act(x)))) + shortcut(x)
 *
 * where conv2 has stride 2 in the first block of levels two and three; shortcut is then a 1×1
 * convolution of that stride, as it is where the width changes, and else the identity. There is no
 * batch norm, with which an example's energy would depend on its neighbours.
 *
 * Tensors are named as in the PyTorch module of the paper's code,
 *
 *     conv1, layer1, layer2, layer3 = Sequential(block, ...), linear
 *     block: conv1, conv2, [shortcut = Sequential(Conv2d)]
 */
#include "energy/network.h"
#include <stddef.h>
#include <stdio.h>

#define NAME_BYTES 64
#define LEVELS 3
#define DEPTH_MAX 1000

typedef struct wide_options {
    int64_t depth, widen, width, activation, logits;
} wide_options;

#define AT(field) offsetof(wide_options, field)

static const basin__option options_table[] = {
    {"depth", BASIN__OPTION_INT, AT(depth), "10", 10, DEPTH_MAX, NULL, "layers",
     "6 n + 4 for n blocks in each of the three levels"},
    {"widen", BASIN__OPTION_INT, AT(widen), "2", 1, 1024, NULL, NULL,
     "levels are 1, 2 and 4 times this times --width wide"},
    {"width", BASIN__OPTION_INT, AT(width), "16", 1, 4096, NULL, "channels",
     "width of the first convolution"},
    {"activation", BASIN__OPTION_CHOICE, AT(activation), "leaky-relu", 0, 0, BASIN__ACTIVATIONS,
     NULL, "before each convolution of a block (leaky-relu: slope 0.2)"},
    BASIN__LOGITS_ROW(AT(logits)),
};

static basin__condition condition_wide(const void *opaque) {
    const wide_options *options = opaque;
    return (basin__condition){.class_count = (int)options->logits};
}

/** A block of the walk through the network. */
typedef struct place {
    basin__build *build;
    const wide_options *options;
    int level, index; /* from 1, from 0 */
    char name[NAME_BYTES];
} place;

static basin_value conv(place *at, const char *layer, basin_value x, int width, int kernel,
                        int stride) {
    snprintf(at->name, sizeof at->name, "layer%d.%d.%s", at->level, at->index, layer);
    return basin__layer_conv(at->build, at->name, x, width, kernel,
                             (basin_conv){.stride = stride, .pad = kernel / 2});
}

static basin_value activate(const place *at, basin_value x) {
    return basin__activation(at->build->graph, at->options->activation, x);
}

static basin_value block(place *at, basin_value x, int width, int stride) {
    if (x == BASIN_NO_VALUE)
        return x;
    const bool is_changed = stride > 1 || basin_graph_shape(at->build->graph, x).channels != width;
    basin_value h = conv(at, "conv1", activate(at, x), width, 3, 1);
    h = conv(at, "conv2", activate(at, h), width, 3, stride);
    if (is_changed)
        x = conv(at, "shortcut.0", x, width, 1, stride);
    return basin_graph_add(at->build->graph, h, x);
}

static basin_value head(const place *at, basin_value x) {
    basin__build *build = at->build;
    const int logits = (int)at->options->logits;
    if (x == BASIN_NO_VALUE)
        return x;
    x = basin_graph_mean(build->graph, activate(at, x), BASIN_AXES_SPACE);
    build->features = x;
    x = basin__layer_linear(build, "linear", x, logits > 0 ? logits : 1,
                            basin_graph_shape(build->graph, x));
    return logits > 0 ? basin__classifier_energy(build, x) : x;
}

static basin_value build_wide(basin__build *build, const void *opaque, basin_value x) {
    const wide_options *options = opaque;
    place at = {.build = build, .options = options};
    if ((options->depth - 4) % 6 != 0)
        return basin__graph_fail(build->graph, BASIN_ERROR_CONFIG,
                                 "wide-resnet has depth 6 n + 4, and %d is none: take %d or %d",
                                 (int)options->depth, (int)(options->depth - 4) / 6 * 6 + 4,
                                 (int)(options->depth - 4) / 6 * 6 + 10);
    const int count = (int)(options->depth - 4) / 6;
    x = basin__layer_conv(build, "conv1", x, (int)options->width, 3,
                          (basin_conv){.stride = 1, .pad = 1});
    for (at.level = 1; at.level <= LEVELS; at.level++) {
        const int64_t width = options->width * options->widen << (at.level - 1);
        for (at.index = 0; at.index < count; at.index++)
            x = block(&at, x, (int)width, at.level > 1 && at.index == 0 ? 2 : 1);
    }
    return head(&at, x);
}

/* ---- reading the options off a state_dict ---- */

static const basin__parameter *tensor(const basin__parameters *tensors, int rank,
                                      const char *name) {
    const basin__parameter *found = basin__parameters_find(tensors, name);
    return found && found->file_rank == rank ? found : NULL;
}

static basin_status recognise_wide(basin_context *context, const basin__parameters *tensors,
                                   void *opaque, basin_shape *shape) {
    wide_options *options = opaque;
    char name[NAME_BYTES];
    const basin__parameter *first = tensor(tensors, 4, "conv1.weight");
    const basin__parameter *wide = tensor(tensors, 4, "layer1.0.conv1.weight");
    const basin__parameter *last = tensor(tensors, 2, "linear.weight");
    if (!first || !wide || !last || wide->file_dim[0] % first->file_dim[0] != 0)
        return basin__fail(context, BASIN_ERROR_FORMAT,
                           "its tensors are not those of network wide-resnet: conv1.weight, "
                           "layer1.0.conv1.weight or linear.weight is missing or of another shape");
    int count = 1;
    while (count < DEPTH_MAX) {
        snprintf(name, sizeof name, "layer1.%d.conv1.weight", count);
        if (!tensor(tensors, 4, name))
            break;
        count++;
    }
    options->depth = 6 * count + 4;
    options->width = first->file_dim[0];
    options->widen = wide->file_dim[0] / first->file_dim[0];
    options->logits = last->file_dim[0] > 1 ? last->file_dim[0] : 0;
    shape->channels = (int32_t)first->file_dim[1];
    return BASIN_OK;
}

const basin__network_def basin__network_wide_resnet = {
    .name = "wide-resnet",
    .help = "wide residual blocks without norm, a mean over space, a linear layer to E or classes",
    .options = options_table,
    .option_count = BASIN_COUNT(options_table),
    .options_bytes = sizeof(wide_options),
    .condition = condition_wide,
    .build = build_wide,
    .recognise = recognise_wide,
};
