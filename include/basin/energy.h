/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An energy: p(x) ∝ exp(−E(x)/T). Low energy, likely; high energy, strange.
 */
#ifndef BASIN_ENERGY_H
#define BASIN_ENERGY_H

#include <basin/context.h>
#include <basin/data.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct basin_energy basin_energy;

/** The temperature of the chains a model was trained with: T = noise_std² / (2 · step_size). */
typedef struct basin_temperature {
    double value;
    bool is_exact; /**< false: nominal, since gradients were clipped or values clamped */
} basin_temperature;

/**
 * A fresh energy with parameters started from `seed`, as PyTorch starts them.
 *
 * @param network  "conv", "mlp", "sequential": see `basin help network`
 * @param options  JSON object of the network's options ("{\"base_channels\": 16}"); NULL: defaults
 * @param height, width, channels  of one example; points of D dimensions: 1, 1, D
 * @return BASIN_OK; BASIN_ERROR_CONFIG (unknown network or option); BASIN_ERROR_SHAPE (the network
 *         does not take such examples); BASIN_ERROR_MEMORY
 */
BASIN_API BASIN_MUST_CHECK basin_status basin_energy_create(basin_context *context,
                                                            const char *network,
                                                            const char *options, int height,
                                                            int width, int channels, uint64_t seed,
                                                            basin_energy **out);

/**
 * An energy computed by the caller: for n examples x [n, height, width, channels], write the
 * energies and, where gradient is not NULL, dE/dx. Called from several threads at once.
 */
typedef void basin_energy_function(void *user, int64_t n, const float *x, double *energies,
                                   float *gradient);
BASIN_API BASIN_MUST_CHECK basin_status basin_energy_from_callback(basin_context *context,
                                                                   int height, int width,
                                                                   int channels,
                                                                   basin_energy_function *function,
                                                                   void *user, basin_energy **out);

/**
 * Load a model: a .safetensors file, or a run folder (its latest checkpoint's average).
 * A file without Basin's metadata (a PyTorch state_dict) needs `network`, and height and width
 * where they cannot be told (0 otherwise).
 */
BASIN_API BASIN_MUST_CHECK basin_status basin_energy_load(basin_context *context, const char *path,
                                                          const char *network, int height,
                                                          int width, basin_energy **out);
/**
 * Compose an energy of others, of closed forms and of numbers: "0.8 * a.safetensors + b.safetensors
 * [class = 3] - 0.3 * gaussian(0, 1)". docs/guide/composition.md has the grammar and what it means.
 *
 * Models are loaded and kept by the new energy, whose graph is one of them all: it is evaluated,
 * sampled and differentiated like any other, and takes a noise level and a class where a model in
 * it takes one that the expression does not select. Each model counts at its own temperature, E/T,
 * so the new energy's is 1. It cannot be saved: keep the expression.
 *
 * @param expression  borrowed; copied
 * @param height, width, channels  of one example, as in basin_energy_create(); 0: the models', or
 *         that of points of which gaussian or ring speaks
 * @return BASIN_OK; BASIN_ERROR_CONFIG (the text is no expression: character and what was expected;
 *         or models do not agree: both are named); BASIN_ERROR_SHAPE (examples differ);
 *         BASIN_ERROR_DIVERGED (log Z that was to be estimated could not be);
 *         BASIN_ERROR_IO, BASIN_ERROR_FORMAT (a model's file); BASIN_ERROR_MEMORY. *out is NULL
 * then
 */
BASIN_API BASIN_MUST_CHECK basin_status basin_energy_compose(basin_context *context,
                                                             const char *expression, int height,
                                                             int width, int channels,
                                                             basin_energy **out);
/** Save a model as one safetensors file, atomically, with PyTorch's names and shapes. */
BASIN_API BASIN_MUST_CHECK basin_status basin_energy_save(basin_energy *energy, const char *path);
/**
 * The same with parameters rounded to 16 bits (IEEE 754 binary16: 11 bits of mantissa), in half the
 * bytes. BASIN_ERROR_UNSUPPORTED: one is beyond 65504; nothing is written then.
 */
BASIN_API BASIN_MUST_CHECK basin_status basin_energy_save_half(basin_energy *energy,
                                                               const char *path);
BASIN_API void basin_energy_destroy(basin_energy *energy);

/** [height, width, channels] of one example. */
BASIN_API void basin_energy_shape(const basin_energy *energy, int shape[3]);
BASIN_API int64_t basin_energy_parameter_count(const basin_energy *energy);
BASIN_API basin_temperature basin_energy_temperature(const basin_energy *energy);
/** The range [low, high] of values the energy was trained on; [0, 1] where the model does not say.
 */
BASIN_API void basin_energy_range(const basin_energy *energy, float *low, float *high);

/**
 * E(x) and, where gradient is not NULL, dE/dx, for n examples, on all threads.
 *
 * @param x         [n, height, width, channels] f32, borrowed
 * @param energies  [n], out; may be NULL where gradient is given
 * @param gradient  shaped like x, out, or NULL
 */
BASIN_API BASIN_MUST_CHECK basin_status basin_energy_evaluate(basin_energy *energy, int64_t n,
                                                              const float *x, double *energies,
                                                              float *gradient);

/** Numbers of an example's logits, that is classes; 0: the network is no classifier. */
BASIN_API int basin_energy_logit_count(const basin_energy *energy);
/** Numbers of an example's features, the vector before the network's last layer; 0: none. */
BASIN_API int basin_energy_feature_count(const basin_energy *energy);
/**
 * A classifier's logits f(x) for n examples, on all threads: p(y | x) is their softmax, and
 * E(x) = −log Σ exp f(x)[y].
 *
 * @param x       [n, height, width, channels] f32, borrowed
 * @param logits  [n, logit_count], out
 * @return BASIN_OK; BASIN_ERROR_UNSUPPORTED (the network gives none); BASIN_ERROR_MEMORY
 */
BASIN_API BASIN_MUST_CHECK basin_status basin_energy_logits(basin_energy *energy, int64_t n,
                                                            const float *x, float *logits);
/** The features [n, feature_count] of n examples; otherwise like basin_energy_logits(). */
BASIN_API BASIN_MUST_CHECK basin_status basin_energy_features(basin_energy *energy, int64_t n,
                                                              const float *x, float *features);

#ifdef __cplusplus
}
#endif
#endif
