/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expectation-maximisation for a mixture of Gaussians (Dempster et al., 1977; Bishop, 2006,
 * section 9.2):
 *
 *     r_ik ∝ w_k N(x_i; μ_k, Σ_k),   N_k = Σ_i r_ik,   μ_k = Σ_i r_ik x_i / N_k,
 *     Σ_k = Σ_i r_ik (x_i − μ_k)(x_i − μ_k)ᵀ / N_k + floor,   w_k = (N_k + 1) / (n + K)
 *
 * Means start at examples that are chosen one after another, each with a chance in proportion to
 * its squared distance to the nearest so far (Arthur & Vassilvitskii, 2007). The floor, a
 * thousandth of the data's variance and that of the noise it gets in training, keeps components
 * from shrinking to points. A component that no example belongs to stays where it is.
 *
 * All is done by one thread in double, so that a resumed run fits the same.
 */
#include "objective/mixture.h"
#include "rng/philox.h"
#include <math.h>

#define EXAMPLES_MAX 20000
#define NUMBERS_MAX 4000000 /* of all examples that are looked at: 16 MB */
#define ROUNDS_MAX 100
#define TOLERANCE 1e-5 /* nats an example: smaller gains end the fit */
#define FLOOR 1e-3

/* What a fit works with. */
typedef struct fit {
    basin__mixture *mixture;
    int64_t n;
    float *x;                   /* [n, size] */
    double *shares, *nearest;   /* [n, count]; [n] */
    double *apart, *log_factor; /* [size]; [count], of a component's density */
    double floor;
} fit;

static int64_t used_count(const basin__examples *examples) {
    int64_t n = examples->count < EXAMPLES_MAX ? examples->count : EXAMPLES_MAX;
    const int64_t fitting = NUMBERS_MAX / examples->size;
    return n < fitting ? n : fitting > 0 ? fitting : 1;
}

/** Examples evenly over the data, [n, size]; the caller's. NULL with the error recorded. */
static float *gather(basin_context *context, const basin__examples *examples, int64_t n) {
    float *x = basin__alloc_array(context, (size_t)n * (size_t)examples->size, sizeof(float));
    for (int64_t i = 0; x != NULL && i < n; i++)
        examples->get(examples->user, i * examples->count / n, x + i * examples->size);
    return x;
}

/** Mean over dimensions of the variance of x [n, size]. */
static double variance_of(const float *x, int64_t n, int64_t size) {
    double variance = 0;
    for (int64_t j = 0; j < size; j++) {
        double sum = 0, squares = 0;
        for (int64_t i = 0; i < n; i++)
            sum += (double)x[i * size + j];
        for (int64_t i = 0; i < n; i++) {
            double apart = (double)x[i * size + j] - sum / (double)n;
            squares += apart * apart;
        }
        variance += squares / (double)n;
    }
    return variance / (double)size;
}

basin_status basin__examples_variance(basin_context *context, const basin__examples *examples,
                                      double *variance) {
    const int64_t n = used_count(examples);
    float *x = gather(context, examples, n);
    if (x == NULL)
        return BASIN_ERROR_MEMORY;
    *variance = variance_of(x, n, examples->size) + examples->noise_std * examples->noise_std;
    basin__free(context, x);
    return BASIN_OK;
}

static int64_t factor_size(const basin__mixture *mixture) {
    return mixture->is_full ? (int64_t)mixture->size * mixture->size : mixture->size;
}

double basin__mixture_log_det(const basin__mixture *mixture, int k) {
    const double *factor = mixture->factors + k * factor_size(mixture);
    const int step = mixture->is_full ? mixture->size + 1 : 1;
    double sum = 0;
    for (int j = 0; j < mixture->size; j++)
        sum += log(factor[j * step]);
    return sum;
}

/** ‖L⁻¹(x − μ)‖² of component k. */
static double distance(const fit *with, int k, const float *x) {
    const basin__mixture *mixture = with->mixture;
    const int size = mixture->size;
    const double *mean = mixture->means + (int64_t)k * size;
    const double *factor = mixture->factors + k * factor_size(mixture);
    double sum = 0;
    for (int j = 0; j < size; j++) {
        double rest = (double)x[j] - mean[j];
        const double *row = factor + (mixture->is_full ? (int64_t)j * size : 0);
        for (int l = 0; mixture->is_full && l < j; l++)
            rest -= row[l] * with->apart[l];
        with->apart[j] = rest / row[j];
        sum += with->apart[j] * with->apart[j];
    }
    return sum;
}

/** Each example's shares of the components; the mean log-likelihood but for a constant. */
static double expect(const fit *with) {
    const basin__mixture *mixture = with->mixture;
    double total = 0;
    for (int k = 0; k < mixture->count; k++)
        with->log_factor[k] = log(mixture->weights[k]) - basin__mixture_log_det(mixture, k);
    for (int64_t i = 0; i < with->n; i++) {
        double *share = with->shares + i * mixture->count, sum = 0, largest = -INFINITY;
        for (int k = 0; k < mixture->count; k++) {
            share[k] = with->log_factor[k] - 0.5 * distance(with, k, with->x + i * mixture->size);
            largest = fmax(largest, share[k]);
        }
        for (int k = 0; k < mixture->count; k++)
            sum += share[k] = exp(share[k] - largest);
        for (int k = 0; k < mixture->count; k++)
            share[k] /= sum;
        total += largest + log(sum);
    }
    return total / (double)with->n;
}

/** A covariance's lower triangle to its factor, in place; its diagonal is at least the floor. */
static void factorise(double *matrix, int size) {
    for (int i = 0; i < size; i++)
        for (int j = 0; j <= i; j++) {
            double *to = matrix + (int64_t)i * size, *other = matrix + (int64_t)j * size;
            double sum = to[j];
            for (int l = 0; l < j; l++)
                sum -= to[l] * other[l];
            to[j] = i == j ? sqrt(sum) : sum / other[j];
        }
}

/** Component k's covariance from its examples' shares, as a factor. */
static void spread(const fit *with, int k, double mass) {
    basin__mixture *mixture = with->mixture;
    const int size = mixture->size;
    const double *mean = mixture->means + (int64_t)k * size;
    double *factor = mixture->factors + k * factor_size(mixture);
    for (int64_t j = 0; j < factor_size(mixture); j++)
        factor[j] = 0;
    for (int64_t i = 0; i < with->n; i++) {
        const double share = with->shares[i * mixture->count + k] / mass;
        for (int j = 0; j < size; j++)
            with->apart[j] = (double)with->x[i * size + j] - mean[j];
        for (int j = 0; !mixture->is_full && j < size; j++)
            factor[j] += share * with->apart[j] * with->apart[j];
        for (int j = 0; mixture->is_full && j < size; j++)
            for (int l = 0; l <= j; l++)
                factor[(int64_t)j * size + l] += share * with->apart[j] * with->apart[l];
    }
    for (int j = 0; j < size; j++)
        factor[mixture->is_full ? (int64_t)j * (size + 1) : j] += with->floor;
    for (int j = 0; !mixture->is_full && j < size; j++)
        factor[j] = sqrt(factor[j]);
    if (mixture->is_full)
        factorise(factor, size);
}

static void maximise(const fit *with) {
    basin__mixture *mixture = with->mixture;
    const int size = mixture->size;
    for (int k = 0; k < mixture->count; k++) {
        double mass = 0, *mean = mixture->means + (int64_t)k * size;
        for (int64_t i = 0; i < with->n; i++)
            mass += with->shares[i * mixture->count + k];
        mixture->weights[k] = (mass + 1) / (double)(with->n + mixture->count);
        if (mass < 1)
            continue;
        for (int j = 0; j < size; j++)
            mean[j] = 0;
        for (int64_t i = 0; i < with->n; i++)
            for (int j = 0; j < size; j++)
                mean[j] +=
                    with->shares[i * mixture->count + k] / mass * (double)with->x[i * size + j];
        spread(with, k, mass);
    }
}

/** Number `index` of a fixed sequence, uniform in [0, 1). */
static double fixed_uniform(uint32_t index) {
    const uint32_t key[2] = {0, 0},
                   counter[4] = {index, 0, 0, (uint32_t)BASIN__PURPOSE_OBJECTIVE << 16};
    uint32_t words[4];
    basin__philox(key, counter, words);
    return (double)words[0] / 4294967296.0;
}

/** The example where the running sum of `nearest` passes a share of the whole. */
static int64_t choose_far(const fit *with, double share) {
    double total = 0, sum = 0;
    for (int64_t i = 0; i < with->n; i++)
        total += with->nearest[i];
    for (int64_t i = 0; i < with->n; i++)
        if ((sum += with->nearest[i]) > share * total)
            return i;
    return with->n - 1;
}

/** Means at examples far from each other; one covariance, the data's. */
static void start(const fit *with) {
    basin__mixture *mixture = with->mixture;
    const int size = mixture->size;
    for (int64_t i = 0; i < with->n; i++) {
        with->nearest[i] = 1;
        for (int k = 0; k < mixture->count; k++)
            with->shares[i * mixture->count + k] = 1.0 / mixture->count;
    }
    maximise(with);
    for (int k = 0; k < mixture->count && mixture->count > 1; k++) {
        const float *chosen = with->x + choose_far(with, fixed_uniform((uint32_t)k)) * size;
        for (int j = 0; j < size; j++)
            mixture->means[(int64_t)k * size + j] = (double)chosen[j];
        for (int64_t i = 0; i < with->n; i++) {
            const double apart = distance(with, k, with->x + i * size);
            with->nearest[i] = k == 0 ? apart : fmin(with->nearest[i], apart);
        }
    }
}

static void run_rounds(const fit *with) {
    start(with); /* of a single Gaussian this is all */
    double before = with->mixture->count > 1 ? expect(with) : 0;
    for (int round = 0; with->mixture->count > 1 && round < ROUNDS_MAX; round++) {
        maximise(with);
        const double now = expect(with);
        if (fabs(now - before) < TOLERANCE)
            break;
        before = now;
    }
}

static basin_status make_room(fit *with, int64_t n) {
    basin__mixture *mixture = with->mixture;
    basin_context *context = mixture->context;
    const size_t count = (size_t)mixture->count, size = (size_t)mixture->size;
    mixture->weights = basin__alloc_array(context, count, sizeof(double));
    mixture->means = basin__alloc_array(context, count * size, sizeof(double));
    mixture->factors =
        basin__alloc_array(context, count * (size_t)factor_size(mixture), sizeof(double));
    with->shares = basin__alloc_array(context, (size_t)n * count, sizeof(double));
    with->nearest = basin__alloc_array(context, (size_t)n, sizeof(double));
    with->apart = basin__alloc_array(context, size, sizeof(double));
    with->log_factor = basin__alloc_array(context, count, sizeof(double));
    bool is_there = mixture->weights && mixture->means && mixture->factors && with->shares &&
                    with->nearest && with->apart && with->log_factor;
    return is_there ? BASIN_OK : BASIN_ERROR_MEMORY;
}

basin_status basin__mixture_fit(basin__mixture *mixture, const basin__examples *examples) {
    basin_context *context = mixture->context;
    fit with = {.mixture = mixture, .n = used_count(examples)};
    mixture->size = (int)examples->size;
    with.x = gather(context, examples, with.n);
    basin_status status = with.x == NULL ? BASIN_ERROR_MEMORY : make_room(&with, with.n);
    if (status == BASIN_OK) {
        const double variance = variance_of(with.x, with.n, examples->size);
        with.floor = FLOOR * variance + examples->noise_std * examples->noise_std;
        if (with.floor <= 0)
            status = basin__fail(context, BASIN_ERROR_CONFIG,
                                 "all examples are alike: no noise can be fitted to them");
        else if (with.n <= mixture->count)
            status = basin__fail(context, BASIN_ERROR_CONFIG,
                                 "a mixture of %d Gaussians needs more examples than %lld: take "
                                 "fewer with --noise-components",
                                 mixture->count, (long long)with.n);
        else
            run_rounds(&with);
    }
    basin__free(context, with.x);
    basin__free(context, with.shares);
    basin__free(context, with.nearest);
    basin__free(context, with.apart);
    basin__free(context, with.log_factor);
    return status;
}

void basin__mixture_reset(basin__mixture *mixture) {
    basin__free(mixture->context, mixture->weights);
    basin__free(mixture->context, mixture->means);
    basin__free(mixture->context, mixture->factors);
    *mixture = (basin__mixture){0};
}
