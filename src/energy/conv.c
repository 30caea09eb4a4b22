/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network `conv`: convolutions, a mean over space (or a flatten), linear layers.
 *
 * Without lists it is four convolutions of width b = base_channels,
 *
 *     C -> b 3x3 pad 1, b -> b 4x4 stride 2 pad 1, b -> 2b 3x3 pad 1, 2b -> 2b 4x4 stride 2 pad 1
 *
 * each followed by the activation, then a mean over space and one linear layer to a scalar, or to
 * the logits of a classifier.
 * Tensors are named as in the PyTorch class
 *
 *     conv = Sequential(Conv2d, SiLU, Conv2d, SiLU, ...)               conv.0, conv.2, ...
 *     fc = Sequential(AdaptiveAvgPool2d(1) or Identity, Flatten, Linear, [SiLU, Linear ...])
 *                                                                      fc.2, fc.4, ...
 */
#include "energy/network.h"
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define LAYERS_MAX 64
#define NAME_BYTES 32

enum { POOL_MEAN, POOL_FLATTEN };

typedef struct conv_options {
    int64_t base_channels, pool, activation, logits;
    basin__int_list channels, kernels, strides, paddings, head_widths;
    bool spectral_norm;
} conv_options;

#define AT(field) offsetof(conv_options, field)

static const basin__option options_table[] = {
    {"base-channels", BASIN__OPTION_INT, AT(base_channels), "64", 1, 4096, NULL, "channels",
     "width b of the four layers b, b, 2b, 2b"},
    {"channels", BASIN__OPTION_INT_LIST, AT(channels), NULL, 1, 65536, NULL, "channels",
     "width of each convolution; replaces --base-channels and its four layers"},
    {"kernels", BASIN__OPTION_INT_LIST, AT(kernels), NULL, 1, 255, NULL, "pixels",
     "kernel size of each convolution, or one for all [3,4,3,4, or 3 with --channels]"},
    {"strides", BASIN__OPTION_INT_LIST, AT(strides), NULL, 1, 255, NULL, "pixels",
     "stride of each convolution, or one for all [1,2,1,2, or 1 with --channels]"},
    {"paddings", BASIN__OPTION_INT_LIST, AT(paddings), NULL, 0, 255, NULL, "pixels",
     "zero padding of each convolution, or one for all [1]"},
    {"pool", BASIN__OPTION_CHOICE, AT(pool), "mean", 0, 0, "mean|flatten", NULL,
     "before the linear layers: mean over space, or all pixels (keeps position)"},
    {"head-widths", BASIN__OPTION_INT_LIST, AT(head_widths), NULL, 1, 65536, NULL, "channels",
     "widths of linear layers before the last, each followed by the activation"},
    {"activation", BASIN__OPTION_CHOICE, AT(activation), "silu", 0, 0, BASIN__ACTIVATIONS, NULL,
     "after each layer but the last (leaky-relu: slope 0.2)"},
    {"spectral-norm", BASIN__OPTION_FLAG, AT(spectral_norm), NULL, 0, 0, NULL, NULL,
     "divide each weight by its largest singular value"},
    BASIN__LOGITS_ROW(AT(logits)),
};

static basin__condition condition_conv(const void *opaque) {
    const conv_options *options = opaque;
    return (basin__condition){.class_count = (int)options->logits};
}

/** One convolution, all defaults resolved. */
typedef struct conv_layer {
    int channels, kernel;
    basin_conv conv;
} conv_layer;

/** Entry i of a list that has one number a layer, one for all, or none. */
static int pick(const basin__int_list *list, int i, int otherwise) {
    if (list->count == 0)
        return otherwise;
    return (int)list->items[list->count == 1 ? 0 : i];
}

static bool check_length(basin_graph *graph, const char *key, const basin__int_list *list,
                         size_t layers) {
    if (list->count <= 1 || list->count == layers)
        return true;
    basin__graph_fail(graph, BASIN_ERROR_CONFIG,
                      "network conv has %d convolutions but %s lists %d: give one for each, or one "
                      "for all",
                      (int)layers, key, (int)list->count);
    return false;
}

/** Resolve lists and defaults; the number of layers, or -1 after a builder error. */
static int resolve(basin_graph *graph, const conv_options *options, conv_layer *layers) {
    bool is_listed = options->channels.count > 0;
    size_t count = is_listed ? options->channels.count : 4;
    if (count > LAYERS_MAX) {
        basin__graph_fail(graph, BASIN_ERROR_CONFIG,
                          "network conv: channels lists %d convolutions; at most %d are possible",
                          (int)count, LAYERS_MAX);
        return -1;
    }
    if (!check_length(graph, "kernels", &options->kernels, count) ||
        !check_length(graph, "strides", &options->strides, count) ||
        !check_length(graph, "paddings", &options->paddings, count))
        return -1;
    for (int i = 0; i < (int)count; i++) {
        bool halves = !is_listed && i % 2 == 1;
        layers[i].channels = (int)(is_listed ? options->channels.items[i]
                                             : options->base_channels * (i < 2 ? 1 : 2));
        layers[i].kernel = pick(&options->kernels, i, halves ? 4 : 3);
        layers[i].conv.stride = pick(&options->strides, i, halves ? 2 : 1);
        layers[i].conv.pad = pick(&options->paddings, i, 1);
    }
    return (int)count;
}

static basin_value build_head(basin__build *build, const conv_options *options, basin_value x) {
    basin_graph *graph = build->graph;
    if (x == BASIN_NO_VALUE)
        return x;
    if (options->pool == POOL_MEAN)
        x = basin_graph_mean(graph, x, BASIN_AXES_SPACE);
    if (x == BASIN_NO_VALUE)
        return x;
    basin_shape inner = basin_graph_shape(graph, x);
    x = basin_graph_reshape(graph, x, basin_shape_vector((int)basin_shape_count(inner)));
    const int outputs = options->logits > 0 ? (int)options->logits : 1;
    for (size_t i = 0; i <= options->head_widths.count; i++) {
        bool is_last = i == options->head_widths.count;
        int width = is_last ? outputs : (int)options->head_widths.items[i];
        char name[NAME_BYTES];
        snprintf(name, sizeof(name), "fc.%d", 2 + 2 * (int)i);
        build->features = x;
        x = basin__layer_linear(build, name, x, width, inner);
        if (!is_last)
            x = basin__activation(graph, options->activation, x);
        inner = basin_shape_vector(width);
    }
    return options->logits > 0 ? basin__classifier_energy(build, x) : x;
}

static basin_value build_conv(basin__build *build, const void *opaque, basin_value x) {
    const conv_options *options = opaque;
    conv_layer layers[LAYERS_MAX] = {0};
    int count = resolve(build->graph, options, layers);
    build->spectral_norm = options->spectral_norm;
    for (int i = 0; i < count; i++) {
        char name[NAME_BYTES];
        snprintf(name, sizeof(name), "conv.%d", 2 * i);
        x = basin__layer_conv(build, name, x, layers[i].channels, layers[i].kernel, layers[i].conv);
        x = basin__activation(build->graph, options->activation, x);
    }
    return count < 0 ? BASIN_NO_VALUE : build_head(build, options, x);
}

/* ---- reading the options off a state_dict ---- */

static const basin__parameter *weight_at(const basin__parameters *tensors, const char *part,
                                         int index, int rank) {
    char name[NAME_BYTES];
    snprintf(name, sizeof(name), "%s.%d.weight", part, index);
    const basin__parameter *weight = basin__parameters_find(tensors, name);
    return weight && weight->file_rank == rank ? weight : NULL;
}

/** New items for a list of `count`. */
static basin_status list_init(basin_context *context, basin__int_list *list, int count) {
    list->items = basin__alloc_array(context, (size_t)count, sizeof(int64_t));
    list->count = list->items ? (size_t)count : 0;
    return list->items ? BASIN_OK : BASIN_ERROR_MEMORY;
}

/**
 * Channels and kernels of the convolutions. Strides and paddings leave no trace in a state_dict:
 * 3x3 is taken as stride 1 and 4x4 as stride 2, both with padding 1; nothing else is guessed.
 */
static basin_status recognise_convolutions(basin_context *context, const basin__parameters *tensors,
                                           conv_options *options, int count) {
    BASIN_TRY(list_init(context, &options->channels, count));
    BASIN_TRY(list_init(context, &options->kernels, count));
    BASIN_TRY(list_init(context, &options->strides, count));
    for (int i = 0; i < count; i++) {
        const basin__parameter *weight = weight_at(tensors, "conv", 2 * i, 4);
        int64_t kernel = weight->file_dim[2];
        if (kernel != weight->file_dim[3] || (kernel != 3 && kernel != 4))
            return basin__fail(
                context, BASIN_ERROR_FORMAT,
                "tensor %s has a kernel of %lld x %lld, whose stride and padding cannot be told "
                "from a state_dict (only 3 x 3, stride 1, and 4 x 4, stride 2, can); save it with "
                "the metadata keys format, version, network, options and shape",
                weight->name, (long long)kernel, (long long)weight->file_dim[3]);
        options->channels.items[i] = weight->file_dim[0];
        options->kernels.items[i] = kernel;
        options->strides.items[i] = kernel == 4 ? 2 : 1;
    }
    return BASIN_OK;
}

/** Where the four layers are those of a base width, say so rather than list them. */
static void prefer_base(basin_context *context, conv_options *options) {
    static const int64_t kernels[] = {3, 4, 3, 4};
    const int64_t *b = options->channels.items;
    if (options->channels.count != 4 || b[1] != b[0] || b[2] != 2 * b[0] || b[3] != 2 * b[0] ||
        memcmp(options->kernels.items, kernels, sizeof(kernels)) != 0)
        return;
    options->base_channels = b[0];
    basin__int_list *lists[] = {&options->channels, &options->kernels, &options->strides};
    for (size_t i = 0; i < BASIN_COUNT(lists); i++) {
        basin__free(context, lists[i]->items);
        *lists[i] = (basin__int_list){0};
    }
}

static basin_status recognise_conv(basin_context *context, const basin__parameters *tensors,
                                   void *opaque, basin_shape *shape) {
    conv_options *options = opaque;
    int layers = 0, heads = 0;
    while (layers < LAYERS_MAX && weight_at(tensors, "conv", 2 * layers, 4))
        layers++;
    while (heads < LAYERS_MAX && weight_at(tensors, "fc", 2 + 2 * heads, 2))
        heads++;
    if (layers == 0 || heads == 0)
        return basin__fail(context, BASIN_ERROR_FORMAT,
                           "its tensors are not those of network conv: %s of rank %d is missing",
                           layers == 0 ? "conv.0.weight" : "fc.2.weight", layers == 0 ? 4 : 2);
    BASIN_TRY(recognise_convolutions(context, tensors, options, layers));
    shape->channels = (int32_t)weight_at(tensors, "conv", 0, 4)->file_dim[1];
    int64_t last = options->channels.items[layers - 1];
    options->pool = weight_at(tensors, "fc", 2, 2)->file_dim[1] == last ? POOL_MEAN : POOL_FLATTEN;
    if (heads > 1)
        BASIN_TRY(list_init(context, &options->head_widths, heads - 1));
    for (int i = 0; i + 1 < heads; i++)
        options->head_widths.items[i] = weight_at(tensors, "fc", 2 + 2 * i, 2)->file_dim[0];
    int64_t outputs = weight_at(tensors, "fc", 2 * heads, 2)->file_dim[0];
    options->logits = outputs > 1 ? outputs : 0;
    prefer_base(context, options);
    return BASIN_OK;
}

static bool conv_ignores(const void *values, const char *name) {
    return ((const conv_options *)values)->channels.count > 0 && strcmp(name, "base-channels") == 0;
}

const basin__network_def basin__network_conv = {
    .name = "conv",
    .help = "convolutions, a mean over space or a flatten, linear layers",
    .options = options_table,
    .option_count = BASIN_COUNT(options_table),
    .options_bytes = sizeof(conv_options),
    .condition = condition_conv,
    .ignores = conv_ignores,
    .build = build_conv,
    .recognise = recognise_conv,
};
