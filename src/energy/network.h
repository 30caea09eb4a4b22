/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Networks: functions that build a graph from ops, and the parameters they ask
 * for. Building twice in one graph (on data and on negatives) shares them.
 */
#ifndef BASIN_ENERGY_NETWORK_H
#define BASIN_ENERGY_NETWORK_H

#include "base/option.h"
#include "graph/graph.h"

/**
 * A parameter or state: its graph value has `shape`; memory is dense in that order. In files it has
 * PyTorch's: [O, I, kh, kw] (rank 4), [O, I·kh·kw] (rank 2), [C] (rank 1), where the inner
 * dimensions are those of `inner`, stored [height, width, channels] here and [channels, height,
 * width] there.
 */
typedef struct basin__parameter {
    char *name; /* "conv.0.weight" */
    basin_shape shape, inner;
    int file_rank;
    int64_t file_dim[4];
    double start, bound;   /* starts uniform in start ± bound */
    bool is_state;         /* not trained: spectral norm's vector; starts as unit normals */
    float *data;           /* owned, basin_shape_count(shape); NULL until it has room */
    basin_value effective; /* in the last graph built: what the network uses (weight / σ), or the
                              parameter itself */
} basin__parameter;

typedef struct basin__parameters {
    basin__parameter *items;
    int count;
} basin__parameters;

/** What a network takes beside x, told by its options. */
typedef struct basin__condition {
    bool noise_level; /* σ > 0: E(x, σ) is an energy of x = data + σ n, n standard normal */
    int class_count;  /* of a label, whether it enters by an embedding or picks one of the logits;
                         0: it takes none */
} basin__condition;

/** What a network's build function works with. */
typedef struct basin__build {
    basin_context *context;
    basin_graph *graph;
    basin__parameters *parameters; /* grown on the first build, looked up on later ones */
    bool spectral_norm;
    bool starts_at_zero; /* weights and biases of the layers made while it is set */
    /* What x is taken under: scalars of the graph, BASIN_NO_VALUE where the network takes none. A
       label is the index of a class, or class_count for "not given". */
    basin_value noise_level, label;
    /* Set by networks that have them: [class_count] logits, and the vector before the last layer.
     */
    basin_value logits, features;
} basin__build;

/** Layers. Each makes or finds "<name>.weight" and "<name>.bias" with PyTorch's default start. */
basin_value basin__layer_conv(basin__build *build, const char *name, basin_value x, int outputs,
                              int kernel, basin_conv conv);
/**
 * The adjoint of a convolution, from x to an image of `shape`: PyTorch's ConvTranspose2d, whose
 * weight is [inputs, outputs, kernel, kernel].
 */
basin_value basin__layer_conv_up(basin__build *build, const char *name, basin_value x,
                                 basin_shape shape, int kernel, basin_conv conv);
/** On a vector; `inner` is the image that was flattened into it ([height, width, channels]). */
basin_value basin__layer_linear(basin__build *build, const char *name, basin_value x, int outputs,
                                basin_shape inner);

/** Row `index` of the table "<name>.weight", [rows, width], started like a linear layer's of so
 * many inputs. */
basin_value basin__layer_lookup(basin__build *build, const char *name, int rows, int width,
                                basin_value index);

/**
 * γ (x − μ) / √(σ² + 1e-5) + β, mean and variance over space and a group's channels, for each
 * example: "<name>.weight" γ starts at 1, "<name>.bias" β at 0, as PyTorch's GroupNorm.
 */
basin_value basin__layer_group_norm(basin__build *build, const char *name, basin_value x,
                                    int groups);
/**
 * Self-attention over pixels: q, k, v by one 1×1 convolution "<name>.qkv" (3 C outputs: all of q,
 * then k, then v, of each the heads in order), softmax(q kᵀ / √d) v for each head, and the
 * convolution "<name>.proj". What x is added to, and its norm, are the caller's. Of the two
 * convolutions starts_at_zero means "<name>.proj" alone, or nothing would ever learn.
 */
basin_value basin__layer_attention(basin__build *build, const char *name, basin_value x, int heads);
/**
 * The same norm by values: scale and shift are vectors of x's channels, shared or per example
 * (FiLM), or BASIN_NO_VALUE for 1 and 0.
 */
basin_value basin__graph_group_norm(basin_graph *graph, basin_value x, int groups,
                                    basin_value scale, basin_value shift);

/**
 * Find a parameter or add one, its start, bound and data zero; NULL after a builder error. A found
 * one of another shape is an error of the graph.
 */
basin__parameter *basin__layer_parameter(basin__build *build, const char *name, basin_shape shape,
                                         basin_shape inner, int file_rank);
/** W / σ(W), by one step of the power method from the state "<name>.u"; W is [O, kh, kw, I]. */
basin_value basin__layer_spectral_norm(basin__build *build, const char *name, basin_value weight);

/** The row of a network's table that makes it a classifier. */
#define BASIN__LOGITS_ROW(at)                                                                      \
    {                                                                                              \
        "logits", BASIN__OPTION_INT, at, "0", 0, 65536, NULL, "classes",                           \
            "end in a classifier's logits f: E(x) = -log sum exp f, E(x, class) = -f[class]; 0: "  \
            "in E"                                                                                 \
    }
/**
 * The energy of logits [class_count]: −log Σ exp of them, or where a class is given minus its own.
 * Sets build->logits.
 */
basin_value basin__classifier_energy(basin__build *build, basin_value logits);
/** The same of an energy with logits beside it: where a class is given, E(x) − log p(class | x). */
basin_value basin__classified_energy(basin__build *build, basin_value energy, basin_value logits);
/**
 * −Σ t log softmax(logits) for targets t = (1 − smoothing) at the label and smoothing / K at each
 * of the K classes (Szegedy et al., 2016, section 7); 0 where the label is "none".
 */
basin_value basin__cross_entropy(basin_graph *graph, basin_value logits, basin_value label,
                                 double smoothing);

/** Activations by name: silu, relu, leaky-relu, tanh, softplus, sigmoid. */
#define BASIN__ACTIVATIONS "silu|relu|leaky-relu|tanh|softplus|sigmoid"
basin_value basin__activation(basin_graph *graph, int64_t choice, basin_value x);
/** The index of an activation's name in BASIN__ACTIVATIONS, or -1. */
int64_t basin__activation_find(const char *name);

typedef struct basin__network_def {
    const char *name;
    const char *help;
    const basin__option *options;
    size_t option_count, options_bytes;
    /** What it takes beside x. NULL: nothing. */
    basin__condition (*condition)(const void *options);
    /** Whether the others leave an option without effect. NULL: each has one. */
    bool (*ignores)(const void *options, const char *name);
    /** Build E(x) for one example x: a scalar. Shape mistakes go to the graph's sticky error. */
    basin_value (*build)(basin__build *build, const void *options, basin_value x);
    /**
     * Read the options off the tensors of a bare PyTorch state_dict (names and file dims as given).
     * `shape` comes with the height and width the user gave (0: none) and goes with what the
     * tensors tell beside. BASIN_ERROR_FORMAT where they are not this network's or do not say
     * enough. NULL: cannot.
     */
    basin_status (*recognise)(basin_context *context, const basin__parameters *tensors,
                              void *options, basin_shape *shape);
    /** Let go of what the options hold that is not in the table. NULL: nothing. */
    void (*reset)(basin_context *context, void *options);
} basin__network_def;

/** All networks, from networks.def. */
extern const basin__network_def *const basin__networks[];
extern const int basin__network_count;
const basin__network_def *basin__network_find(const char *name);
/**
 * A network by name and its options: defaults, then `values` (a JSON object, or NULL). Unknown
 * names get a suggestion. The group's values are the caller's to basin__network_options_reset.
 */
basin_status basin__network_options(basin_context *context, const char *name, const json_t *values,
                                    const basin__network_def **network,
                                    basin__option_group *options);
void basin__network_options_reset(basin_context *context, basin__option_group *options);

/** Give a new parameter its room. */
basin_status basin__parameter_room(basin_context *context, basin__parameter *parameter);
/** Room for all, filled: uniform in start ± bound, states with normalised normals, by the seed. */
basin_status basin__parameters_start(basin_context *context, basin__parameters *parameters,
                                     uint64_t seed);
basin__parameter *basin__parameters_find(const basin__parameters *parameters, const char *name);
void basin__parameters_reset(basin_context *context, basin__parameters *parameters);
/** Reorder one parameter between memory and file order (both f32, dense). */
void basin__parameter_to_file(const basin__parameter *parameter, const float *memory, float *file);
void basin__parameter_from_file(const basin__parameter *parameter, const float *file,
                                float *memory);

#endif
