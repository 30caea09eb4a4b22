/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network `mlp`: linear layers on a point or a flattened image, with an
 * activation between them, to a scalar. Tensors are named as in the PyTorch
 * module Sequential(Linear, SiLU, Linear, SiLU, Linear): layers.0, layers.2, ...
 *
 * Given a noise level or a class, an embedding of them is mapped to the width of
 * each hidden layer (conditions.0, conditions.2, ...) and added before its
 * activation. With a noise level the last layer gives F of energy/denoiser.h, and
 * with `logits` those of a classifier.
 */
#include "energy/denoiser.h"
#include "energy/network.h"
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define LAYERS_MAX 64
#define NAME_BYTES 32

typedef struct mlp_options {
    basin__int_list hidden;
    int64_t activation;
    bool spectral_norm;
    bool noise_conditional;
    int64_t classes, logits, energy_form, embedding;
    double data_std;
} mlp_options;

#define AT(field) offsetof(mlp_options, field)

static const basin__option options_table[] = {
    {"hidden", BASIN__OPTION_INT_LIST, AT(hidden), "128,128", 1, 65536, NULL, "channels",
     "widths of the hidden layers"},
    {"activation", BASIN__OPTION_CHOICE, AT(activation), "silu", 0, 0, BASIN__ACTIVATIONS, NULL,
     "after each layer but the last (leaky-relu: slope 0.2)"},
    {"spectral-norm", BASIN__OPTION_FLAG, AT(spectral_norm), NULL, 0, 0, NULL, NULL,
     "divide each weight by its largest singular value"},
    {"noise-conditional", BASIN__OPTION_FLAG, AT(noise_conditional), NULL, 0, 0, NULL, NULL,
     "take a noise level: E(x, sigma)"},
    {"classes", BASIN__OPTION_INT, AT(classes), "0", 0, 65536, NULL, "classes",
     "take a class out of so many: E(x | class); 0: none"},
    BASIN__LOGITS_ROW(AT(logits)),
    {"embedding", BASIN__OPTION_INT, AT(embedding), "64", 1, 65536, NULL, "channels",
     "width of the embedding of noise level and class"},
    {"energy-form", BASIN__OPTION_CHOICE, AT(energy_form), "residual", 0, 0, BASIN__ENERGY_FORMS,
     NULL, "E of a noise-conditional network: |x - D|^2, <x, F>, |F|^2, or F itself"},
    {"data-std", BASIN__OPTION_FLOAT, AT(data_std), "1", 1e-6, 1e6, NULL, NULL,
     "standard deviation of the data, which scales a noise-conditional network"},
};

static basin__condition condition_mlp(const void *opaque) {
    const mlp_options *options = opaque;
    return (basin__condition){.noise_level = options->noise_conditional,
                              .class_count =
                                  (int)(options->classes > 0 ? options->classes : options->logits)};
}

/** A hidden layer's share of the embedding, added to x. */
static basin_value add_condition(basin__build *build, int layer, basin_value x, int width,
                                 basin_value embedding) {
    char name[NAME_BYTES];
    if (embedding == BASIN_NO_VALUE)
        return x;
    snprintf(name, sizeof(name), "conditions.%d", 2 * layer);
    return basin_graph_add(build->graph, x,
                           basin__layer_linear(build, name, embedding, width,
                                               basin_graph_shape(build->graph, embedding)));
}

/** The layers on a vector that was `inner`, to `outputs` numbers. */
static basin_value build_layers(basin__build *build, const mlp_options *options, basin_value x,
                                basin_shape inner, int outputs) {
    basin_value embedding = BASIN_NO_VALUE;
    if (options->classes > 0 || options->noise_conditional)
        embedding = basin__condition_embedding(build, "embedding", (int)options->embedding,
                                               (int)options->classes, options->activation);
    for (size_t i = 0; i <= options->hidden.count; i++) {
        bool is_last = i == options->hidden.count;
        int width = is_last ? outputs : (int)options->hidden.items[i];
        char name[NAME_BYTES];
        snprintf(name, sizeof(name), "layers.%d", 2 * (int)i);
        build->features = x;
        x = basin__layer_linear(build, name, x, width, inner);
        if (!is_last) {
            x = add_condition(build, (int)i, x, width, embedding);
            x = basin__activation(build->graph, options->activation, x);
        }
        inner = basin_shape_vector(width);
    }
    return x;
}

static basin_value build_mlp(basin__build *build, const void *opaque, basin_value x) {
    const mlp_options *options = opaque;
    basin_graph *graph = build->graph;
    basin_shape inner = basin_graph_shape(graph, x);
    const int count = (int)basin_shape_count(inner);
    build->spectral_norm = options->spectral_norm;
    if (options->logits > 0 && (options->classes > 0 || options->noise_conditional))
        return basin__graph_fail(graph, BASIN_ERROR_CONFIG,
                                 "logits make classes an output, beside which no input is taken: "
                                 "leave %s away",
                                 options->classes > 0 ? "classes" : "noise-conditional");
    if (!options->noise_conditional) {
        const bool is_classifier = options->logits > 0;
        basin_value f =
            build_layers(build, options, basin_graph_reshape(graph, x, basin_shape_vector(count)),
                         inner, is_classifier ? (int)options->logits : 1);
        return is_classifier ? basin__classifier_energy(build, f) : f;
    }
    bool is_scalar = options->energy_form == BASIN__FORM_SCALAR;
    basin_value u = basin__denoiser_input(graph, x, build->noise_level, options->data_std);
    basin_value f =
        build_layers(build, options, basin_graph_reshape(graph, u, basin_shape_vector(count)),
                     inner, is_scalar ? 1 : count);
    if (!is_scalar)
        f = basin_graph_reshape(graph, f, inner);
    return basin__denoiser_energy(graph, options->energy_form, x, build->noise_level,
                                  options->data_std, f);
}

static const basin__parameter *weight_at(const basin__parameters *tensors, int layer) {
    char name[NAME_BYTES];
    snprintf(name, sizeof(name), "layers.%d.weight", 2 * layer);
    const basin__parameter *weight = basin__parameters_find(tensors, name);
    return weight && weight->file_rank == 2 ? weight : NULL;
}

/** Without height and width the input is a point; with them, an image of the channels that fit. */
static basin_status recognise_shape(basin_context *context, int64_t inputs, basin_shape *shape) {
    if (shape->height == 0 || shape->width == 0)
        *shape = basin_shape_vector((int)inputs);
    int64_t pixels = (int64_t)shape->height * shape->width;
    shape->channels = (int32_t)(inputs / pixels);
    if (shape->channels >= 1 && inputs % pixels == 0)
        return BASIN_OK;
    return basin__fail(context, BASIN_ERROR_SHAPE,
                       "layers.0.weight takes %lld inputs, which are no whole number of channels "
                       "of %d x %d pixels",
                       (long long)inputs, shape->height, shape->width);
}

static basin_status recognise_mlp(basin_context *context, const basin__parameters *tensors,
                                  void *opaque, basin_shape *shape) {
    mlp_options *options = opaque;
    int layers = 0;
    while (layers < LAYERS_MAX && weight_at(tensors, layers))
        layers++;
    if (layers == 0)
        return basin__fail(context, BASIN_ERROR_FORMAT,
                           "its tensors are not those of network mlp: layers.0.weight of rank 2 is "
                           "missing");
    basin__free(context, options->hidden.items);
    options->hidden = (basin__int_list){0};
    if (layers > 1) {
        options->hidden.items = basin__alloc_array(context, (size_t)layers - 1, sizeof(int64_t));
        if (!options->hidden.items)
            return BASIN_ERROR_MEMORY;
        options->hidden.count = (size_t)layers - 1;
    }
    for (int i = 0; i + 1 < layers; i++)
        options->hidden.items[i] = weight_at(tensors, i)->file_dim[0];
    int64_t outputs = weight_at(tensors, layers - 1)->file_dim[0];
    options->logits = outputs > 1 ? outputs : 0;
    return recognise_shape(context, weight_at(tensors, 0)->file_dim[1], shape);
}

static bool mlp_ignores(const void *values, const char *name) {
    static const char *const of_denoisers[] = {"energy-form", "data-std", NULL};
    const mlp_options *options = values;
    return !options->noise_conditional &&
           (basin__option_is_among(name, of_denoisers) ||
            (options->classes == 0 && strcmp(name, "embedding") == 0));
}

const basin__network_def basin__network_mlp = {
    .name = "mlp",
    .help = "linear layers on a point or a flattened image",
    .options = options_table,
    .option_count = BASIN_COUNT(options_table),
    .options_bytes = sizeof(mlp_options),
    .condition = condition_mlp,
    .ignores = mlp_ignores,
    .build = build_mlp,
    .recognise = recognise_mlp,
};
