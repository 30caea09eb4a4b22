/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Runge–Kutta pair of orders 5 and 4 of Dormand & Prince (1980), with the step size control of
 * Hairer, Nørsett & Wanner, "Solving Ordinary Differential Equations I", section II.4.
 *
 * For dx/dt = f(x, t) and a step h
 *     k_s = f(x + h Σ_{j<s} a_sj k_j, t + c_s h),   s = 1 … 7,
 * where the seventh point is the solution at t + h of order 5, so that k_7 is the next step's k_1;
 * h Σ_s e_s k_s is its difference from the solution of order 4. A step is taken where that error is
 * at most 1 in units of what is allowed, by root mean square over a chain's elements; the next is
 * 0.9 error^(−1/5) times as long. One that led to where the slope is not finite is tried again, a
 * fifth as long.
 *
 * Chains of a tile are evaluated together, each at its own time. One that came to its end is
 * evaluated where it is until all have, so its numbers do not depend on the others.
 */
#include "sampler/adaptive.h"
#include <math.h>
#include <string.h>

enum { STAGES = 7 };

static const double node[STAGES] = {0, 1.0 / 5, 3.0 / 10, 4.0 / 5, 8.0 / 9, 1, 1};

static const double weight[STAGES][STAGES - 1] = {
    {0},
    {1.0 / 5},
    {3.0 / 40, 9.0 / 40},
    {44.0 / 45, -56.0 / 15, 32.0 / 9},
    {19372.0 / 6561, -25360.0 / 2187, 64448.0 / 6561, -212.0 / 729},
    {9017.0 / 3168, -355.0 / 33, 46732.0 / 5247, 49.0 / 176, -5103.0 / 18656},
    {35.0 / 384, 0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784, 11.0 / 84},
};

static const double error_weight[STAGES] = {
    71.0 / 57600, 0, -71.0 / 16695, 71.0 / 1920, -17253.0 / 339200, 22.0 / 525, -1.0 / 40};

/** The walk's room by what it is for: arrays [n, size] and [n]. */
typedef struct places {
    float *k[STAGES], *point;
    double *extra_k[STAGES], *extra_point;
    double *t, *t_stage, *step; /* |h| of the next step, 0 at the end */
    double *factor_max;         /* 1 right after a rejected step, else 5 */
} places;

static places places_of(const basin__adaptive *walk) {
    places at;
    const int64_t count = walk->n * walk->size;
    for (int s = 0; s < STAGES; s++) {
        at.k[s] = walk->scratch + s * count;
        at.extra_k[s] = walk->numbers + s * walk->n;
    }
    at.point = walk->scratch + STAGES * count;
    double *rest = walk->numbers + STAGES * walk->n;
    at.extra_point = rest;
    at.t = rest + walk->n;
    at.t_stage = rest + 2 * walk->n;
    at.step = rest + 3 * walk->n;
    at.factor_max = rest + 4 * walk->n;
    return at;
}

static double direction(const basin__adaptive *walk) { return walk->to > walk->from ? 1 : -1; }

/** k_s of every chain; the points are left in `point`. */
static void stage(const basin__adaptive *walk, const places *at, int s) {
    memcpy(at->point, walk->x, (size_t)(walk->n * walk->size) * sizeof(float));
    for (int i = 0; i < walk->n; i++) {
        const double h = direction(walk) * at->step[i];
        float *point = at->point + i * walk->size;
        for (int j = 0; j < s && at->step[i] > 0; j++)
            walk->kernels->axpy(point, (float)(h * weight[s][j]), at->k[j] + i * walk->size,
                                walk->size);
        at->t_stage[i] = at->t[i] + node[s] * h;
        if (walk->extra == NULL)
            continue;
        at->extra_point[i] = walk->extra[i];
        for (int j = 0; j < s; j++)
            at->extra_point[i] += h * weight[s][j] * at->extra_k[j][i];
    }
    walk->derive(walk->user, at->point, at->t_stage, at->k[s], at->extra_k[s]);
}

/** Whether k_1 of every chain is. A step is only taken where k_7, the next one's k_1, is. */
static bool is_first_finite(const basin__adaptive *walk, const places *at) {
    bool is_finite = walk->kernels->all_finite(at->k[0], walk->n * walk->size);
    for (int i = 0; walk->extra != NULL && i < walk->n; i++)
        is_finite &= isfinite(at->extra_k[0][i]);
    return is_finite;
}

static double allowed(const basin__adaptive *walk, double before, double after) {
    return walk->absolute + walk->relative * fmax(fabs(before), fabs(after));
}

/**
 * The step's error in units of what is allowed; `point` is where it leads. NaN where a slope or
 * that is not finite.
 */
static double error_of(const basin__adaptive *walk, const places *at, int chain) {
    const int64_t first = chain * walk->size;
    double sum = 0, extra = 0;
    for (int64_t e = first; e < first + walk->size; e++) {
        double error = 0;
        for (int s = 0; s < STAGES; s++)
            error += error_weight[s] * (double)at->k[s][e];
        error *= at->step[chain] / allowed(walk, (double)walk->x[e], (double)at->point[e]);
        sum += error * error;
    }
    if (walk->extra != NULL) {
        for (int s = 0; s < STAGES; s++)
            extra += error_weight[s] * at->extra_k[s][chain];
        extra *= at->step[chain] / allowed(walk, walk->extra[chain], at->extra_point[chain]);
    }
    const double whole = sqrt(sum / (double)walk->size);
    const bool is_known = isfinite(whole) && isfinite(extra) &&
                          walk->kernels->all_finite(at->point + first, walk->size);
    return is_known ? fmax(whole, fabs(extra)) : (double)NAN; /* fmax would pass over a NaN */
}

static void take(basin__adaptive *walk, const places *at, int chain) {
    const int64_t first = chain * walk->size;
    const size_t bytes = (size_t)walk->size * sizeof(float);
    memcpy(walk->x + first, at->point + first, bytes);
    memcpy(at->k[0] + first, at->k[STAGES - 1] + first, bytes);
    if (walk->extra != NULL) {
        walk->extra[chain] = at->extra_point[chain];
        at->extra_k[0][chain] = at->extra_k[STAGES - 1][chain];
    }
}

/** Take a chain's step or not, and choose the next; false: it is at its end. */
static bool conclude(basin__adaptive *walk, const places *at, int chain) {
    if (!(at->step[chain] > 0))
        return false;
    const double error = error_of(walk, at, chain);
    const bool is_taken = error <= 1; /* NaN is not */
    walk->is_undefined |= isnan(error);
    double factor = error > 0 ? fmax(0.2, fmin(5, 0.9 * pow(error, -0.2))) : 5;
    if (!is_taken)
        factor = isnan(error) ? 0.2 : fmin(factor, 1);
    const double next = at->step[chain] * fmin(factor, at->factor_max[chain]);
    double left = fabs(walk->to - at->t[chain]);
    at->factor_max[chain] = is_taken ? 5 : 1;
    if (is_taken) {
        take(walk, at, chain);
        left = fmax(0, left - at->step[chain]);
        at->t[chain] = walk->to - direction(walk) * left;
    }
    at->step[chain] = next < 0.9 * left ? next : left; /* no crumb for the last step */
    if (!(at->step[chain] > 0) && walk->arrive != NULL)
        walk->arrive(walk->user, chain, walk->evaluations);
    return at->step[chain] > 0;
}

/** Hairer's first guess of a step: 0.01 |x| / |f|, in units of what is allowed. */
static void guess_step(const basin__adaptive *walk, const places *at, int chain) {
    const int64_t first = chain * walk->size;
    double value = 0, slope = 0;
    for (int64_t e = first; e < first + walk->size; e++) {
        const double x = (double)walk->x[e], unit = allowed(walk, x, x);
        value += x / unit * (x / unit);
        slope += (double)at->k[0][e] / unit * ((double)at->k[0][e] / unit);
    }
    const double whole = fabs(walk->to - walk->from);
    const double guess = slope > 0 && value > 0 ? 0.01 * sqrt(value / slope) : 0.01 * whole;
    at->step[chain] = fmin(guess, whole);
    at->factor_max[chain] = 5;
}

basin__adaptive_end basin__adaptive_walk(basin__adaptive *walk) {
    const places at = places_of(walk);
    bool is_walking = true;
    walk->evaluations = 1;
    for (int i = 0; i < walk->n; i++) {
        at.t[i] = walk->from;
        at.step[i] = 0;
    }
    stage(walk, &at, 0);
    if (!is_first_finite(walk, &at))
        return BASIN__ADAPTIVE_STOPPED;
    for (int i = 0; i < walk->n; i++)
        guess_step(walk, &at, i);
    while (is_walking) {
        if (walk->evaluations + STAGES - 1 > walk->evaluations_max)
            return walk->is_undefined ? BASIN__ADAPTIVE_STOPPED : BASIN__ADAPTIVE_UNFINISHED;
        walk->is_undefined = false;
        for (int s = 1; s < STAGES; s++, walk->evaluations++)
            stage(walk, &at, s);
        is_walking = false;
        for (int i = 0; i < walk->n; i++)
            is_walking |= conclude(walk, &at, i);
    }
    return BASIN__ADAPTIVE_DONE;
}
