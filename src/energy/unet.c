/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network `unet`: an image-to-image network F(u, σ), and the energy made of it.
 *
 *     stem ─ blocks ─────────────── skip ───────────────► + blocks ─ head
 *               │ down                                    ▲ up
 *            blocks ─────────────── skip ────────► + blocks
 *               │ down                              ▲ up
 *               └──────────► blocks, blocks ────────┘
 *
 * A block is x + conv(act(conv(act(x)) + the condition's embedding)), its second convolution
 * starting at zero, so that a fresh network passes its input on; group norm may stand before each
 * activation, and self-attention, added likewise, behind a block. Going down and up are
 * convolutions of 4×4 with stride 2 and their adjoints (ConvTranspose2d); what lies beside is
 * added. The stem may take the stride of 2 already: pixels are then seen in overlapping windows of
 * 4×4, and a level at full size, the dearest, is saved. The innermost level may give a classifier's
 * logits beside.
 *
 * Ronneberger et al. (2015); with residual blocks and noise levels Ho et al. (2020), Karras et al.
 * (2022); the energies are those of energy/denoiser.h.
 */
#include "energy/denoiser.h"
#include "energy/network.h"
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define LEVELS_MAX 8
#define BLOCKS_MAX 8
#define NAME_BYTES 64

typedef struct unet_options {
    basin__int_list channels, attention;
    int64_t norm_groups, heads, blocks, stem_stride, embedding, classes, logits, activation;
    int64_t energy_form;
    double data_std;
} unet_options;

#define AT(field) offsetof(unet_options, field)

static const basin__option options_table[] = {
    {"channels", BASIN__OPTION_INT_LIST, AT(channels), "64,128", 1, 65536, NULL, "channels",
     "width of each level, each of half the last one's height and width"},
    {"blocks", BASIN__OPTION_INT, AT(blocks), "1", 1, BLOCKS_MAX, NULL, "blocks",
     "residual blocks of a level, down and up each; twice as many in the middle"},
    {"stem-stride", BASIN__OPTION_INT, AT(stem_stride), "2", 1, 2, NULL, "pixels",
     "2: the first level is half the image's size; 1: of its size"},
    {"norm-groups", BASIN__OPTION_INT, AT(norm_groups), "0", 0, 65536, NULL, "groups",
     "group norm before each activation, of so many groups of channels; 0: none"},
    {"attention", BASIN__OPTION_INT_LIST, AT(attention), NULL, 0, LEVELS_MAX - 1, NULL, "levels",
     "levels, from 0, whose blocks end in self-attention"},
    {"heads", BASIN__OPTION_INT, AT(heads), "4", 1, 1024, NULL, "heads", "of self-attention"},
    {"embedding", BASIN__OPTION_INT, AT(embedding), "128", 1, 65536, NULL, "channels",
     "width of the embedding of noise level and class"},
    {"classes", BASIN__OPTION_INT, AT(classes), "0", 0, 65536, NULL, "classes",
     "take a class out of so many: E(x, sigma | class); 0: none"},
    {"logits", BASIN__OPTION_INT, AT(logits), "0", 0, 65536, NULL, "classes",
     "classify, too: logits g of the innermost level's mean, E(x, class) = E(x) - log softmax(g); "
     "0: no"},
    {"activation", BASIN__OPTION_CHOICE, AT(activation), "silu", 0, 0, BASIN__ACTIVATIONS, NULL,
     "before each convolution of a block"},
    {"energy-form", BASIN__OPTION_CHOICE, AT(energy_form), "residual", 0, 0, BASIN__ENERGY_FORMS,
     NULL, "E: |x - D|^2, <x, F>, |F|^2, or F summed to a scalar"},
    {"data-std", BASIN__OPTION_FLOAT, AT(data_std), "0.5", 1e-6, 1e6, NULL, NULL,
     "standard deviation of the data, which scales what the network sees and gives"},
};

static basin__condition condition_unet(const void *opaque) {
    const unet_options *options = opaque;
    return (basin__condition){.noise_level = true,
                              .class_count =
                                  (int)(options->logits > 0 ? options->logits : options->classes)};
}

/** What a walk through the network carries. */
typedef struct walk {
    basin__build *build;
    const unet_options *options;
    basin_value embedding, logits;
    char name[NAME_BYTES]; /* of the layer that is built */
} walk;

static const char *name_layer(walk *at, const char *part, int level, int block, const char *layer) {
    snprintf(at->name, sizeof at->name, "%s.%d.%d.%s", part, level, block, layer);
    return at->name;
}

static basin_value activate(const walk *at, basin_value x) {
    return basin__activation(at->build->graph, at->options->activation, x);
}

static basin_value conv3(walk *at, basin_value x, int width) {
    return basin__layer_conv(at->build, at->name, x, width, 3, (basin_conv){.stride = 1, .pad = 1});
}

/** The norm before an activation, where one is wanted. */
static basin_value normalise(walk *at, const char *part, int level, int index, const char *layer,
                             basin_value x) {
    if (at->options->norm_groups == 0)
        return x;
    name_layer(at, part, level, index, layer);
    return basin__layer_group_norm(at->build, at->name, x, (int)at->options->norm_groups);
}

static bool has_attention(const walk *at, int level) {
    const basin__int_list *levels = &at->options->attention;
    for (size_t i = 0; i < levels->count; i++)
        if (levels->items[i] == level)
            return true;
    return false;
}

/** x + attention(x), for the levels that are to have it. */
static basin_value attend(walk *at, const char *part, int level, int index, basin_value x) {
    if (x == BASIN_NO_VALUE || !has_attention(at, level))
        return x;
    basin_value h = normalise(at, part, level, index, "attention.norm", x);
    name_layer(at, part, level, index, "attention");
    at->build->starts_at_zero = true;
    h = basin__layer_attention(at->build, at->name, h, (int)at->options->heads);
    at->build->starts_at_zero = false;
    return basin_graph_add(at->build->graph, x, h);
}

static basin_value block(walk *at, const char *part, int level, int index, basin_value x) {
    if (x == BASIN_NO_VALUE)
        return x;
    basin_graph *graph = at->build->graph;
    const int width = basin_graph_shape(graph, x).channels;
    basin_value h = activate(at, normalise(at, part, level, index, "norm.0", x));
    name_layer(at, part, level, index, "0");
    h = conv3(at, h, width);
    name_layer(at, part, level, index, "condition");
    h = basin_graph_add(graph, h,
                        basin__layer_linear(at->build, at->name, at->embedding, width,
                                            basin_shape_vector((int)at->options->embedding)));
    h = activate(at, normalise(at, part, level, index, "norm.1", h));
    name_layer(at, part, level, index, "1");
    at->build->starts_at_zero = true;
    h = conv3(at, h, width);
    at->build->starts_at_zero = false;
    return attend(at, part, level, index, basin_graph_add(graph, x, h));
}

static basin_value blocks(walk *at, const char *part, int level, int64_t count, basin_value x) {
    for (int i = 0; i < count; i++)
        x = block(at, part, level, i, x);
    return x;
}

static const basin_conv halving = {.stride = 2, .pad = 1};

static basin_value stem(walk *at, basin_value u) {
    basin_conv conv = halving;
    const int width = (int)at->options->channels.items[0];
    if (at->options->stem_stride == 2)
        return basin__layer_conv(at->build, "stem", u, width, 4, conv);
    conv.stride = 1;
    return basin__layer_conv(at->build, "stem", u, width, 3, conv);
}

/**
 * F, shaped like the image; for the scalar form its features' sum. The last layer starts at zero,
 * but for the norm: ½‖F‖² has no gradient there, and nothing would ever learn.
 */
static basin_value head(walk *at, basin_value x, basin_shape image) {
    basin__build *build = at->build;
    if (at->options->norm_groups > 0)
        x = basin__layer_group_norm(build, "norm", x, (int)at->options->norm_groups);
    x = activate(at, x);
    build->starts_at_zero = at->options->energy_form != BASIN__FORM_NORM;
    if (at->options->energy_form == BASIN__FORM_SCALAR) {
        basin_value sums = basin_graph_sum(build->graph, x, BASIN_AXES_SPACE);
        return basin__layer_linear(build, "head", sums, 1, basin_graph_shape(build->graph, sums));
    }
    if (at->options->stem_stride == 2)
        return basin__layer_conv_up(build, "head", x, image, 4, halving);
    return basin__layer_conv(build, "head", x, image.channels, 3,
                             (basin_conv){.stride = 1, .pad = 1});
}

/** What the innermost level, which sees all of the image, takes it for. */
static basin_value classify(walk *at, basin_value x) {
    basin__build *build = at->build;
    if (at->options->logits == 0 || x == BASIN_NO_VALUE)
        return BASIN_NO_VALUE;
    if (at->options->norm_groups > 0)
        x = basin__layer_group_norm(build, "logits.norm", x, (int)at->options->norm_groups);
    build->features = basin_graph_mean(build->graph, activate(at, x), BASIN_AXES_SPACE);
    return basin__layer_linear(build, "logits", build->features, (int)at->options->logits,
                               basin_graph_shape(build->graph, build->features));
}

static basin_value build_image_to_image(walk *at, basin_value u) {
    const basin__int_list *channels = &at->options->channels;
    const int last = (int)channels->count - 1;
    basin_graph *graph = at->build->graph;
    basin_shape image = basin_graph_shape(graph, u);
    basin_value beside[LEVELS_MAX];
    char name[NAME_BYTES];
    basin_value x = stem(at, u);
    for (int level = 0; level < last; level++) {
        beside[level] = x = blocks(at, "down", level, at->options->blocks, x);
        snprintf(name, sizeof name, "down.%d.half", level);
        x = basin__layer_conv(at->build, name, x, (int)channels->items[level + 1], 4, halving);
    }
    x = blocks(at, "middle", last, 2 * at->options->blocks, x);
    at->logits = classify(at, x);
    for (int level = last - 1; level >= 0 && x != BASIN_NO_VALUE; level--) {
        snprintf(name, sizeof name, "up.%d.double", level);
        x = basin__layer_conv_up(at->build, name, x, basin_graph_shape(graph, beside[level]), 4,
                                 halving);
        x = blocks(at, "up", level, at->options->blocks, basin_graph_add(graph, x, beside[level]));
    }
    return x == BASIN_NO_VALUE ? x : head(at, x, image);
}

/** Halving must come out even, or what lies beside would not fit. */
static bool check_size(basin_graph *graph, const unet_options *options, basin_shape image) {
    const int halvings = (int)options->channels.count - 1 + (options->stem_stride == 2);
    const int unit = 1 << halvings;
    if (options->channels.count > LEVELS_MAX)
        basin__graph_fail(graph, BASIN_ERROR_CONFIG, "unet has %d levels; at most %d are possible",
                          (int)options->channels.count, LEVELS_MAX);
    else if (image.height % unit != 0 || image.width % unit != 0)
        basin__graph_fail(graph, BASIN_ERROR_SHAPE,
                          "unet halves the image %d times, and %d x %d is no multiple of %d: take "
                          "fewer levels (--channels) or --stem-stride 1",
                          halvings, image.height, image.width, unit);
    if (options->classes > 0 && options->logits > 0)
        basin__graph_fail(graph, BASIN_ERROR_CONFIG,
                          "logits make classes an output, beside which no input is taken: leave "
                          "classes away");
    for (size_t i = 0; i < options->attention.count; i++)
        if (options->attention.items[i] >= (int64_t)options->channels.count)
            basin__graph_fail(graph, BASIN_ERROR_CONFIG,
                              "attention is asked for at level %d, and unet has %d levels, from 0",
                              (int)options->attention.items[i], (int)options->channels.count);
    return basin_graph_status(graph) == BASIN_OK;
}

static basin_value build_unet(basin__build *build, const void *opaque, basin_value x) {
    const unet_options *options = opaque;
    basin_graph *graph = build->graph;
    if (!check_size(graph, options, basin_graph_shape(graph, x)))
        return BASIN_NO_VALUE;
    walk at = {.build = build, .options = options};
    at.embedding = basin__condition_embedding(build, "embedding", (int)options->embedding,
                                              (int)options->classes, options->activation);
    basin_value u = basin__denoiser_input(graph, x, build->noise_level, options->data_std);
    basin_value f = build_image_to_image(&at, u);
    if (f == BASIN_NO_VALUE)
        return f;
    basin_value energy = basin__denoiser_energy(graph, options->energy_form, x, build->noise_level,
                                                options->data_std, f);
    return options->logits > 0 ? basin__classified_energy(build, energy, at.logits) : energy;
}

static bool unet_ignores(const void *values, const char *name) {
    return ((const unet_options *)values)->attention.count == 0 && strcmp(name, "heads") == 0;
}

const basin__network_def basin__network_unet = {
    .name = "unet",
    .help = "an image-to-image network with skips: energies of images at every noise level",
    .options = options_table,
    .option_count = BASIN_COUNT(options_table),
    .options_bytes = sizeof(unet_options),
    .condition = condition_unet,
    .ignores = unet_ignores,
    .build = build_unet,
};
