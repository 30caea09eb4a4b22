/* SPDX-License-Identifier: Apache-2.0 */
/*
 * basin eval: how likely the data are to the probability-flow ODE of a noise-conditional energy,
 *
 *     log p(x) = log N(x(σ_max); m, σ_max²) + ∫ σ tr ∇ₓ²E(x, σ) dσ
 *
 * along the flow from x at σ_min. That is a density without Z; it is not exp(−E)/Z.
 *
 * Images are of whole levels k = 0 … 2^bits − 1 in each of D values, which a model sees as
 * x = low + w k, w = (high − low) / (2^bits − 1). A density has no value at a level; so it is
 * asked for the level's whole bin, with u uniform in (−½, ½]^D,
 *
 *     log P(k) ≥ E_u log p(x + w u) + D log w,      bits per dimension = −that / (D log 2),
 *
 * where D log w is the Jacobian of the scale (Theis et al., 2016, eq. 4).
 */
#include "base/number.h"
#include "eval.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

basin_status basin__eval_flow_load(basin__evaluation *all) {
    const basin__eval_options *options = all->options;
    basin_energy *energy;
    BASIN_TRY(basin__model_open(all->command, &options->model, NULL, &energy));
    all->flow.model = energy;
    if (!energy->condition.noise_level)
        return basin__fail(all->context, BASIN_ERROR_CONFIG,
                           "--likelihood is of energies at all noise levels, and the model takes "
                           "none");
    if (options->flow.given_class && energy->condition.class_count == 0)
        return basin__fail(all->context, BASIN_ERROR_CONFIG,
                           "--given-class: the model takes no class");
    return BASIN_OK;
}

/* ---- what is asked ---- */

/** Levels of the data's values; 0: a density is asked for. */
static double level_count(const basin__evaluation *all) {
    const int64_t bits = all->options->flow.bits;
    return all->real.info->is_image && bits > 0 ? (double)((int64_t)1 << bits) : 0;
}

static basin_status choose(basin__evaluation *all) {
    const basin__eval_flow_options *given = &all->options->flow;
    const basin_data_info *info = all->real.info;
    const basin_energy *energy = all->flow.model;
    const basin__range range = basin__energy_range(energy);
    const double levels = level_count(all);
    basin_likelihood_options *used = &all->flow.used;
    if (!info->is_image && given->bits > 0 && basin__command_is_given(all->command, "bits"))
        return basin__fail(all->context, BASIN_ERROR_CONFIG,
                           "--bits %lld: %s holds points, which have no levels and are given in "
                           "nats: leave it away",
                           (long long)given->bits, info->name);
    if (given->given_class && info->class_count == 0)
        return basin__fail(all->context, BASIN_ERROR_CONFIG, "--given-class: %s has no labels",
                           info->name);
    basin_likelihood_options_init(used);
    used->sigma_max = given->sigma_max > 0
                          ? given->sigma_max
                          : basin__energy_noted_number(energy, "noise_level_high", 0);
    used->sigma_min = given->sigma_min > 0
                          ? given->sigma_min
                          : basin__energy_noted_number(energy, "noise_level_low", 0);
    used->is_exact = given->is_exact;
    used->bin_width = levels > 0 ? (double)(range.high - range.low) / (levels - 1) : 0;
    used->repeats = given->repeats > 0               ? (int)given->repeats
                    : given->is_exact && levels <= 0 ? 1
                                                     : 2;
    used->tolerance_absolute = given->absolute;
    used->tolerance_relative = given->relative;
    used->evaluations_max = given->evaluations_max;
    used->seed = (uint64_t)all->options->choice.seed;
    all->flow.count = info->count;
    return BASIN_OK;
}

/** x [count, size] in the model's range, images on their levels. */
static void read_examples(basin__evaluation *all, int64_t size, float *x) {
    const basin_data_info *info = all->real.info;
    const double steps = level_count(all) - 1;
    for (int64_t i = 0; i < info->count; i++)
        basin_data_get(all->real.data, i, x + i * size);
    for (int64_t i = 0; steps > 0 && i < info->count * size; i++) {
        const double place = (double)x[i] * steps; /* images are on the scale from 0 to 1 */
        all->flow.is_rounded |= fabs(place - round(place)) > 1e-2;
        x[i] = (float)(round(place) / steps);
    }
    basin__energy_adapt(all->flow.model, info, x, info->count * size);
}

/* ---- measuring ---- */

/** Mean of values [n], and its standard error, NaN for one. */
static double mean_of(int64_t n, const double *values, double *error) {
    double mean = 0, squares = 0;
    for (int64_t i = 0; i < n; i++)
        mean += values[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        squares += (values[i] - mean) * (values[i] - mean);
    *error = n > 1 ? sqrt(squares / ((double)(n - 1) * (double)n)) : (double)NAN;
    return mean;
}

/**
 * A few examples where the flow was taught nothing can decide the mean: the middle one and the
 * least likely say so. `room` [count] is written over.
 */
static void find_ends(basin__eval_flow *of, const double *log_likelihood, double *room) {
    const int64_t n = of->count;
    memcpy(room, log_likelihood, (size_t)n * sizeof *room);
    qsort(room, (size_t)n, sizeof *room, basin__compare_doubles);
    of->median = 0.5 * (room[(n - 1) / 2] + room[n / 2]);
    of->least = room[0];
    for (int64_t i = n - 1; i >= 0; i--)
        if (log_likelihood[i] <= of->least)
            of->least_index = i;
}

/** The data's own density, of points whose density is known; `room` [count] is written over. */
static basin_status compare(basin__evaluation *all, const float *x, const double *log_likelihood,
                            double *room) {
    basin__eval_flow *of = &all->flow;
    of->exact = of->exact_error = of->kl = of->kl_error = (double)NAN;
    if (all->real.info->is_image)
        return BASIN_OK;
    const basin_status status = basin_data_log_density(all->real.data, 0, of->count, x, room);
    if (status == BASIN_ERROR_UNSUPPORTED) /* nobody knows it */
        return BASIN_OK;
    BASIN_TRY(status);
    of->exact = mean_of(of->count, room, &of->exact_error);
    for (int64_t i = 0; i < of->count; i++)
        room[i] -= log_likelihood[i];
    of->kl = mean_of(of->count, room, &of->kl_error);
    return BASIN_OK;
}

static basin_status measure(basin__evaluation *all, float *x, int *labels, double *log_likelihood,
                            double *errors) {
    basin__eval_flow *of = &all->flow;
    const int64_t size = basin_shape_count(of->model->shape);
    read_examples(all, size, x);
    for (int64_t i = 0; labels && i < of->count; i++)
        labels[i] = basin_data_label(all->real.data, i);
    of->used.labels = labels;
    BASIN_TRY(
        basin_likelihood(of->model, &of->used, of->count, x, log_likelihood, errors, &of->found));
    of->used.labels = NULL;
    double squares = 0;
    for (int64_t i = 0; i < of->count; i++)
        squares += errors[i] * errors[i];
    of->draws_error = sqrt(squares) / (double)of->count;
    find_ends(of, log_likelihood, errors);
    return compare(all, x, log_likelihood, errors);
}

basin_status basin__eval_flow_measure(basin__evaluation *all) {
    basin_context *context = all->context;
    BASIN_TRY(basin__energy_takes(all->flow.model, all->real.info));
    BASIN_TRY(choose(all));
    const size_t n = (size_t)all->flow.count;
    const size_t size = (size_t)basin_shape_count(all->flow.model->shape);
    float *x = basin__alloc_array(context, n, size * sizeof(float));
    double *log_likelihood = basin__alloc_array(context, n, sizeof(double));
    double *errors = basin__alloc_array(context, n, sizeof(double));
    const bool has_labels = all->options->flow.given_class;
    int *labels = has_labels ? basin__alloc_array(context, n, sizeof(int)) : NULL;
    basin_status status = BASIN_ERROR_MEMORY;
    if (x && log_likelihood && errors && (labels || !has_labels))
        status = measure(all, x, labels, log_likelihood, errors);
    basin__free(context, labels);
    basin__free(context, errors);
    basin__free(context, log_likelihood);
    basin__free(context, x);
    return status;
}

/* ---- printing ---- */

/** Bits per dimension of a nat an example. */
static double bits_of(const basin__eval_flow *of, double nats) {
    return nats / (log(2.0) * (double)basin_shape_count(of->model->shape));
}

/** Examples that give the error wanted; 0: these do, or nobody knows. */
static double count_needed(const basin__evaluation *all) {
    const basin__eval_flow *of = &all->flow;
    const double error =
        of->used.bin_width > 0 ? of->found.bits_error : of->found.log_likelihood_error;
    const double ratio = error / all->options->flow.error_wanted;
    return ratio > 1 ? ceil((double)of->count * ratio * ratio) : 0;
}

static void print_mean(const char *name, double value, double error, double draws_error) {
    printf("%-22s %.5g", name, value);
    if (isfinite(error))
        printf(" ± %.2g", error);
    if (isfinite(draws_error))
        printf(", of which ± %.2g by what runs draw", draws_error);
}

void basin__eval_flow_print(const basin__evaluation *all) {
    const basin__eval_flow *of = &all->flow;
    const double needed = count_needed(all);
    const bool has_bits = of->used.bin_width > 0;
    printf("\nLikelihood of the probability-flow ODE, sigma %.4g to %.4g, of %lld examples; it is "
           "not exp(-E)/Z.\n",
           of->used.sigma_max, of->used.sigma_min, (long long)of->count);
    if (has_bits) {
        print_mean("bits per dimension", of->found.bits, of->found.bits_error,
                   bits_of(of, of->draws_error));
        printf("\n                       of %lld-bit levels with uniform noise%s: a bound from "
               "above\n",
               (long long)all->options->flow.bits,
               of->is_rounded ? ", to which values were rounded" : "");
    }
    print_mean(has_bits ? "log-probability, nat" : "log-likelihood, nat", of->found.log_likelihood,
               of->found.log_likelihood_error, of->draws_error);
    printf("\n%-22s median %.5g, least %.5g (example %lld)\n", "", of->median, of->least,
           (long long)of->least_index);
    if (isfinite(of->exact)) {
        print_mean("exact log density, nat", of->exact, of->exact_error, (double)NAN);
        putchar('\n');
        print_mean("KL(data|flow), nat", of->kl, of->kl_error, (double)NAN);
        putchar('\n');
    }
    printf("%-22s %.4g of the energy's curvature in each of %d run%s an example, trace %s\n",
           "evaluations", of->found.evaluations, of->used.repeats, of->used.repeats == 1 ? "" : "s",
           of->used.is_exact ? "exact" : "estimated");
    if (needed > 0)
        printf("An error of %g %s needs about %.0f examples of as many runs.\n",
               all->options->flow.error_wanted, has_bits ? "bits per dimension" : "nat", needed);
}

/** value, value_error and, where it is known, value_error_of_draws. */
static void set_mean(json_t *object, const char *key, double value, double error,
                     double draws_error) {
    char name[64];
    json_object_set_new(object, key, basin__eval_json_number(value));
    snprintf(name, sizeof name, "%s_error", key);
    json_object_set_new(object, name, basin__eval_json_number(error));
    snprintf(name, sizeof name, "%s_error_of_draws", key);
    if (isfinite(draws_error))
        json_object_set_new(object, name, basin__eval_json_number(draws_error));
}

json_t *basin__eval_flow_json(const basin__evaluation *all) {
    const basin__eval_flow *of = &all->flow;
    const double needed = count_needed(all);
    json_t *object = json_pack("{s:s, s:o, s:I}", "of", "probability-flow ODE", "model",
                               basin__json_name(basin__model_name(&all->options->model)), "count",
                               (json_int_t)of->count);
    set_mean(object, "log_likelihood", of->found.log_likelihood, of->found.log_likelihood_error,
             of->draws_error);
    json_object_set_new(object, "log_likelihood_median", basin__eval_json_number(of->median));
    json_object_set_new(object, "log_likelihood_least", basin__eval_json_number(of->least));
    json_object_set_new(object, "least_index", json_integer((json_int_t)of->least_index));
    if (of->used.bin_width > 0) {
        set_mean(object, "bits_per_dimension", of->found.bits, of->found.bits_error,
                 bits_of(of, of->draws_error));
        json_object_set_new(object, "bits", json_integer(all->options->flow.bits));
        json_object_set_new(object, "is_rounded", json_boolean(of->is_rounded));
    }
    if (isfinite(of->exact)) {
        set_mean(object, "exact_log_density", of->exact, of->exact_error, (double)NAN);
        set_mean(object, "kl", of->kl, of->kl_error, (double)NAN);
    }
    json_t *way =
        json_pack("{s:f, s:f, s:i, s:b, s:f}", "sigma_max", of->used.sigma_max, "sigma_min",
                  of->used.sigma_min, "repeats", of->used.repeats, "is_exact_trace",
                  of->used.is_exact, "evaluations", of->found.evaluations);
    json_object_update(object, way);
    json_decref(way);
    if (needed > 0)
        json_object_set_new(object, "count_needed", json_integer((json_int_t)needed));
    return object;
}
