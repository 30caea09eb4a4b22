/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network `sequential`: layers listed one after the other, as text.
 *
 *     conv O K [S [P]]   O channels, K x K, stride S (1), padding P (0)
 *     linear O           on a vector: after flatten, mean or another linear
 *     silu, relu, ...    an activation
 *     average-pool N     means over N x N pixels
 *     upsample N         each pixel becomes N x N
 *     mean               over space, to a vector
 *     flatten            to a vector, channels first as in PyTorch
 *
 * Layer i of the list has the tensors layers.<i>.weight and layers.<i>.bias, as in
 * torch.nn.Sequential. The last value must be a scalar, or with `logits` as many numbers.
 */
#include "base/number.h"
#include "energy/network.h"
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define WORDS_MAX 5
#define WORD_BYTES 32

typedef struct sequential_options {
    basin__text_list layers;
    bool spectral_norm;
    int64_t logits;
} sequential_options;

#define AT(field) offsetof(sequential_options, field)

static const basin__option options_table[] = {
    {"layers", BASIN__OPTION_TEXT_LIST, AT(layers), NULL, 0, 0, NULL, NULL,
     "layers in order: \"conv 32 3 1 1\", \"silu\", \"average-pool 2\", \"flatten\", \"linear 1\""},
    {"spectral-norm", BASIN__OPTION_FLAG, AT(spectral_norm), NULL, 0, 0, NULL, NULL,
     "divide each weight by its largest singular value"},
    BASIN__LOGITS_ROW(AT(logits)),
};

static basin__condition condition_sequential(const void *opaque) {
    const sequential_options *options = opaque;
    return (basin__condition){.class_count = (int)options->logits};
}

/** A layer's text as words and numbers. */
typedef struct line {
    const char *text;
    int index; /* in the list */
    char kind[WORD_BYTES];
    int number[WORDS_MAX];
    int count;
} line;

/** What the walk along the list carries. */
typedef struct walk {
    basin__build *build;
    basin_value x;
    basin_shape inner; /* of the image that was flattened into x; x's own shape otherwise */
} walk;

static bool fail_line(walk *at, const line *layer, const char *wanted) {
    basin__graph_fail(at->build->graph, BASIN_ERROR_CONFIG, "layers, entry %d, \"%s\": %s",
                      layer->index, layer->text, wanted);
    return false;
}

static bool parse(walk *at, line *layer) {
    char word[WORD_BYTES];
    const char *rest = layer->text + strspn(layer->text, " \t");
    for (int i = 0; *rest; i++) {
        size_t length = strcspn(rest, " \t");
        if (i == WORDS_MAX || length >= sizeof(word))
            return fail_line(at, layer, "a layer is a name and at most four numbers");
        snprintf(word, sizeof(word), "%.*s", (int)length, rest);
        rest += length + strspn(rest + length, " \t");
        int64_t number;
        if (i == 0) {
            memcpy(layer->kind, word, sizeof(word));
        } else {
            if (!basin__parse_int(word, &number) || number < 0 || number > 65536)
                return fail_line(at, layer, "a number is wanted, 0 to 65536, after the name");
            layer->number[layer->count++] = (int)number;
        }
    }
    return true;
}

static bool expect(walk *at, const line *layer, int least, int most, const char *form) {
    if (layer->count < least || layer->count > most)
        return fail_line(at, layer, form);
    for (int i = 0; i < layer->count && i < 3; i++)
        if (layer->number[i] == 0)
            return fail_line(at, layer, "0 is possible for a padding alone");
    return true;
}

static bool add_conv(walk *at, const line *layer, const char *name) {
    if (!expect(at, layer, 2, 4, "write conv CHANNELS KERNEL [STRIDE [PADDING]]"))
        return false;
    basin_conv conv = {.stride = layer->count > 2 ? layer->number[2] : 1,
                       .pad = layer->count > 3 ? layer->number[3] : 0};
    at->x = basin__layer_conv(at->build, name, at->x, layer->number[0], layer->number[1], conv);
    return true;
}

static bool add_linear(walk *at, const line *layer, const char *name) {
    if (!expect(at, layer, 1, 1, "write linear CHANNELS"))
        return false;
    at->build->features = at->x;
    at->x = basin__layer_linear(at->build, name, at->x, layer->number[0], at->inner);
    return true;
}

/** Layers without parameters. */
static bool add_plain(walk *at, const line *layer, bool *keeps_inner) {
    basin_graph *graph = at->build->graph;
    int64_t activation = basin__activation_find(layer->kind);
    bool has_size =
        strcmp(layer->kind, "average-pool") == 0 || strcmp(layer->kind, "upsample") == 0;
    if (!expect(at, layer, has_size, has_size, has_size ? "write one size" : "takes no number"))
        return false;
    if (activation >= 0) {
        at->x = basin__activation(graph, activation, at->x);
        *keeps_inner = true;
    } else if (strcmp(layer->kind, "average-pool") == 0) {
        at->x = basin_graph_average_pool(graph, at->x, layer->number[0]);
    } else if (strcmp(layer->kind, "upsample") == 0) {
        at->x = basin_graph_upsample(graph, at->x, layer->number[0]);
    } else if (strcmp(layer->kind, "mean") == 0) {
        at->x = basin_graph_mean(graph, at->x, BASIN_AXES_SPACE);
    } else if (strcmp(layer->kind, "flatten") == 0) {
        int64_t count = basin_shape_count(at->inner);
        at->x = basin_graph_reshape(graph, at->x, basin_shape_vector((int)count));
        *keeps_inner = true;
    } else {
        return fail_line(at, layer,
                         "unknown layer; there are conv, linear, average-pool, upsample, mean, "
                         "flatten, " BASIN__ACTIVATIONS);
    }
    return true;
}

static bool add_layer(walk *at, const char *text, int index) {
    line layer = {.text = text, .index = index};
    bool keeps_inner = false, is_right;
    char name[WORD_BYTES];
    snprintf(name, sizeof(name), "layers.%d", index);
    if (!parse(at, &layer))
        return false;
    if (strcmp(layer.kind, "conv") == 0)
        is_right = add_conv(at, &layer, name);
    else if (strcmp(layer.kind, "linear") == 0)
        is_right = add_linear(at, &layer, name);
    else
        is_right = add_plain(at, &layer, &keeps_inner);
    if (!is_right || at->x == BASIN_NO_VALUE)
        return false;
    if (!keeps_inner)
        at->inner = basin_graph_shape(at->build->graph, at->x);
    return true;
}

static basin_value end_in_logits(walk *at, int64_t logits) {
    basin_shape shape = basin_graph_shape(at->build->graph, at->x);
    if (basin_shape_equal(shape, basin_shape_vector((int)logits)))
        return basin__classifier_energy(at->build, at->x);
    return basin__graph_fail(at->build->graph, BASIN_ERROR_SHAPE,
                             "the last layer gives %d x %d x %d values, and logits asks for %lld: "
                             "end with flatten or mean and linear %lld",
                             shape.height, shape.width, shape.channels, (long long)logits,
                             (long long)logits);
}

static basin_value build_sequential(basin__build *build, const void *opaque, basin_value x) {
    const sequential_options *options = opaque;
    walk at = {.build = build, .x = x, .inner = basin_graph_shape(build->graph, x)};
    build->spectral_norm = options->spectral_norm;
    if (options->layers.count == 0)
        return basin__graph_fail(build->graph, BASIN_ERROR_CONFIG,
                                 "network sequential needs the list layers");
    for (size_t i = 0; i < options->layers.count; i++)
        if (!add_layer(&at, options->layers.items[i], (int)i))
            return BASIN_NO_VALUE;
    return options->logits > 0 ? end_in_logits(&at, options->logits) : at.x;
}

const basin__network_def basin__network_sequential = {
    .name = "sequential",
    .help = "layers listed one after the other",
    .options = options_table,
    .option_count = BASIN_COUNT(options_table),
    .options_bytes = sizeof(sequential_options),
    .condition = condition_sequential,
    .build = build_sequential,
};
