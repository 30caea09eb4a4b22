/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objectives: each builds the loss of one example as a graph. The gradient of
 * the parameters is more graph, and one plan gives it all: what is watched, the
 * reduced gradients, and the next values of states.
 *
 * What a loss is made from it asks for by basin__loss_source: the example, its
 * label, a chain's end, random numbers. The training loop fills these and knows
 * nothing else of an objective. All random numbers of a loss are sources, so
 * that noise levels, noisy copies and directions are graph, and are tested as such.
 */
#ifndef BASIN_OBJECTIVE_OBJECTIVE_H
#define BASIN_OBJECTIVE_OBJECTIVE_H

#include "base/option.h"
#include "energy/energy.h"
#include "sampler/sampler.h"

/** What fills a source, an example at a time. */
typedef enum basin__source_kind {
    BASIN__SOURCE_DATA,     /* the example, shaped like x */
    BASIN__SOURCE_NEGATIVE, /* where a chain ended, shaped like x */
    BASIN__SOURCE_LABEL,    /* the example's class, a scalar; where it has none, class_count */
    BASIN__SOURCE_NEGATIVE_LABEL, /* the class that its chain ran at, likewise */
    BASIN__SOURCE_CHAIN,          /* where a chain stood before its last steps, shaped like x */
    BASIN__SOURCE_CHAIN_NOISE,    /* the normals of those steps, one after another */
    BASIN__SOURCE_NEIGHBOUR,      /* of some other chains the one nearest to its end, like x */
    /* What an example's chain starts from and is bound to, like x; its noise level and standard
       deviation, scalars (basin__chain_anchors). The objective makes them. */
    BASIN__SOURCE_ANCHOR,
    BASIN__SOURCE_ANCHOR_LEVEL,
    BASIN__SOURCE_ANCHOR_STD,
    BASIN__SOURCE_NORMAL,  /* standard normals */
    BASIN__SOURCE_UNIFORM, /* uniform in [0, 1) */
    /* A number that is uniform, or normal, by itself, and whose quantiles lie evenly over the
       batch: a mean over noise levels then varies less (Kingma et al., 2021, appendix I) */
    BASIN__SOURCE_SPREAD,
    BASIN__SOURCE_SPREAD_NORMAL,
    BASIN__SOURCE_SIGN,  /* -1 or 1, equally likely */
    BASIN__SOURCE_FITTED /* the same for all examples: filled once, by the objective's fit */
} basin__source_kind;

#define BASIN__LOSS_SOURCES_MAX 16

/** Per-example scalars of a loss graph; BASIN_NO_VALUE: not there. */
typedef struct basin__objective_values {
    basin_value loss;
    basin_value energy_data, energy_negative; /* to be watched */
} basin__objective_values;

typedef struct basin__loss basin__loss;

/** The training data as the model sees it, neither augmented nor noisy. */
typedef struct basin__examples {
    int64_t count, size;
    double noise_std; /* of the noise that training adds to it */
    void (*get)(const void *user, int64_t index, float *x);
    const void *user;
} basin__examples;

/** What an objective needs, checked before anything is trained. */
typedef enum basin__need {
    BASIN__NEED_CHAINS = 1,      /* negatives from the sampler */
    BASIN__NEED_NOISE_LEVEL = 2, /* a network that takes a noise level */
    BASIN__NEED_PLAIN = 4,       /* a network that takes none */
    BASIN__NEED_LABELS = 8,      /* data with labels, a network that takes a label */
    BASIN__NEED_LOGITS = 16,     /* a network that gives logits */
    BASIN__NEED_CURVATURE = 32,  /* E with a second derivative to x: no piecewise linear network */
    BASIN__NEED_ANCHORS = 64     /* negatives from chains that a sampler binds to anchors */
} basin__need;

typedef struct basin__objective_def {
    const char *name;
    const char *help;
    const basin__option *options;
    size_t option_count, options_bytes;
    unsigned needs;         /* of basin__need, whatever the options */
    const char *sampler;    /* that it is trained with, unless another is asked for; NULL: any */
    bool learns_no_density; /* nothing fits exp(−E), so the model's temperature is nominal */
    /** Needs that options bring beside. NULL: none. */
    unsigned (*needs_by_options)(const void *options);
    /** Check options against each other. NULL: nothing can contradict. */
    basin_status (*check)(basin_context *context, const void *options);
    /** Whether the others leave an option without effect. NULL: each has one. */
    bool (*ignores)(const void *options, const char *name);
    /** Build the loss of an example. Mistakes go to the graph's sticky error. */
    basin__objective_values (*build)(const void *options, basin__loss *loss, basin_graph *graph);
    /** The lowest and highest noise level trained at. NULL: the objective has none. */
    void (*noise_levels)(const void *options, double *low, double *high);
    /** Standard deviation of noise on the data whose density the model learns. NULL: none. */
    double (*data_noise)(const void *options);
    /**
     * Fill the loss's fitted sources from the data, before the first update; a resumed run fits
     * again, so the same data must give the same bits. NULL: there are none.
     */
    basin_status (*fit)(const void *options, basin__loss *loss, const basin__examples *examples);
    /** Make the sources of kind "anchor" of example i from the others of it. NULL: there are none.
     */
    void (*make)(basin__loss *loss, int64_t i);
    /** Share of chains that run at no class, of those with a source "negative_label". NULL: 0. */
    double (*class_dropout)(const void *options);
    /** How many chains a source of the nearest is chosen among. NULL: it has none. */
    int64_t (*neighbours)(const void *options);
} basin__objective_def;

extern const basin__objective_def *const basin__objectives[];
extern const int basin__objective_count;
const basin__objective_def *basin__objective_find(const char *name);

/** An input of a loss: per example, or fitted. */
typedef struct basin__loss_input {
    basin__source_kind kind;
    char name[32];
    int64_t size; /* numbers an example */
    int input;    /* of the plan; -1: not used by it, or fitted */
    float *data;  /* [batch, size], fitted: [size]; the loss's */
} basin__loss_input;

/** A loss compiled for batches of a fixed size. */
struct basin__loss {
    const basin__objective_def *objective;
    basin_energy *energy;
    const basin__sampler_def *sampler; /* of the chains; NULL: not known */
    const void *sampler_options;
    basin_graph *graph;
    basin__plan *plan;
    int64_t batch;
    basin__loss_input sources[BASIN__LOSS_SOURCES_MAX];
    int source_count;
    /* [batch] after a run; NULL: not there */
    float *losses, *energy_data, *energy_negative;
    float **gradients; /* for each parameter of the energy: its gradient; NULL for states */
    /* for each parameter: the plan's output that is shared (a state's next value, or a gradient
       that depends on no example), or -1 */
    int *shared_outputs;
    void **outputs; /* of the plan */
};

/** Compile the mean loss over a batch. The energy must be a network's, and outlive the loss. */
basin_status basin__loss_create(const basin__objective_def *objective, const void *options,
                                basin_energy *energy, int64_t batch, basin__loss **out);
/** The same of an objective that builds the sampler's steps; its options must outlive the loss. */
basin_status basin__loss_create_along(const basin__objective_def *objective, const void *options,
                                      basin_energy *energy, int64_t batch,
                                      const basin__sampler_def *sampler,
                                      const void *sampler_options, basin__loss **out);
void basin__loss_destroy(basin__loss *loss);

/* ---- for build(): values of the loss's graph ---- */

/** A source; asking again by the same name gives the same value. */
basin_value basin__loss_source(basin__loss *loss, basin__source_kind kind, const char *name,
                               basin_shape shape);
/** The example, named "data". */
basin_value basin__loss_data(basin__loss *loss);
/** E at a point of the graph; noise_level and label may be BASIN_NO_VALUE. */
basin__energy_values basin__loss_energy(basin__loss *loss, basin_value x, basin_value noise_level,
                                        basin_value label);

/* ---- running ---- */

/**
 * The room of a source by name, [batch, size], fitted: [size], to be filled before a run; NULL:
 * there is none.
 */
float *basin__loss_find(const basin__loss *loss, const char *name);
/** The source of a kind, the first where there are several; NULL: there is none. */
const basin__loss_input *basin__loss_find_kind(const basin__loss *loss, basin__source_kind kind);
/**
 * Fill all sources of random numbers for update `draw` (each a pure function of seed, draw,
 * attempt, example and element), and then what the objective makes of them and of the data, which
 * must be there.
 */
void basin__loss_fill(basin__loss *loss, uint64_t seed, uint64_t draw, uint16_t attempt);
/** Run on the sources. Prepares the plan first, since parameters have changed. */
basin_status basin__loss_run(basin__loss *loss);
/** Let states take the values computed by the last run. Once per parameter step. */
void basin__loss_advance_states(basin__loss *loss);

/** All of basin__need, those that options bring among them. */
unsigned basin__objective_needs(const basin__objective_def *objective, const void *options);
/**
 * Whether the objective's needs are met by a network and data; BASIN_ERROR_CONFIG says which is
 * not, and what to take instead. `class_count` is of the data, 0: no labels.
 */
basin_status basin__objective_check(const basin__objective_def *objective, const void *options,
                                    basin_energy *energy, int class_count);

#endif
