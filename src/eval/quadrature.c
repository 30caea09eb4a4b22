/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Normalising by quadrature: in the plane, Z = ∫ exp(−E/T) is a sum over a grid, so a model has a
 * likelihood, and its distance KL(p ‖ model) from a known density is a mean over fresh points.
 *
 * Midpoints of a regular grid converge fast for smooth densities that vanish at the square's ends
 * (the error of the trapezoidal rule on periodic functions falls faster than any power); that log Z
 * stands still when the grid is made twice as fine is the test. Sums are kept as logarithms of the
 * largest term and the sum relative to it.
 */
#include "eval/quadrature.h"
#include <math.h>

#define BLOCK 4096
#define SIDE_FIRST 128
#define SIDE_MAX 4096
#define FRAME 0.05       /* of the side, on each side */
#define FRAME_SHARE 1e-4 /* of Z that the frame may hold */
#define GROWTH 1.5       /* of the square, each time it is too small */
#define GROWTHS_MAX 8    /* 25 times as wide */

/** Σ exp(terms) as exp(most) · sum. */
typedef struct log_sum {
    double most, sum;
} log_sum;

static void add(log_sum *to, double term) {
    if (term <= to->most) {
        to->sum += exp(term - to->most);
        return;
    }
    to->sum = to->sum * exp(to->most - term) + 1;
    to->most = term;
}

typedef struct grid {
    basin_context *context;
    basin__plane_energy *energy;
    void *user;
    double temperature, low, high;
    float *x;         /* [BLOCK, 2] */
    double *energies; /* [BLOCK] */
} grid;

static basin_status fail_energy(const grid *on, double energy, const float *x) {
    return basin__fail(on->context, BASIN_ERROR_DIVERGED,
                       "the energy at (%g, %g) is %g: no likelihood can be taken", (double)x[0],
                       (double)x[1], energy);
}

/** log Z and the frame's share on a grid of side² midpoints. */
static basin_status sum_grid(const grid *on, int side, double *log_z, double *outside) {
    const double cell = (on->high - on->low) / side;
    const int frame = (int)(FRAME * side);
    log_sum all = {-INFINITY, 0}, edge = {-INFINITY, 0};
    const int64_t count = (int64_t)side * side;
    for (int64_t first = 0; first < count; first += BLOCK) {
        const int64_t n = count - first < BLOCK ? count - first : BLOCK;
        for (int64_t i = 0; i < n; i++) {
            on->x[2 * i] = (float)(on->low + ((double)((first + i) % side) + 0.5) * cell);
            on->x[2 * i + 1] = (float)(on->low + ((double)((first + i) / side) + 0.5) * cell);
        }
        BASIN_TRY(on->energy(on->user, n, on->x, on->energies));
        for (int64_t i = 0; i < n; i++) {
            const int column = (int)((first + i) % side), row = (int)((first + i) / side);
            if (!(on->energies[i] > -INFINITY && on->energies[i] <= INFINITY))
                return fail_energy(on, on->energies[i], on->x + 2 * i);
            const double term = -on->energies[i] / on->temperature;
            add(&all, term);
            if (column < frame || row < frame || column >= side - frame || row >= side - frame)
                add(&edge, term);
        }
    }
    *log_z = all.most + log(all.sum) + 2 * log(cell);
    *outside = edge.sum > 0 ? exp(edge.most - all.most) * edge.sum / all.sum : 0;
    return BASIN_OK;
}

/** Widen the square until next to nothing lies at its ends. */
static basin_status find_square(grid *on, double *log_z, double *outside) {
    for (int growth = 0; growth <= GROWTHS_MAX; growth++) {
        BASIN_TRY(sum_grid(on, SIDE_FIRST, log_z, outside));
        if (*outside < FRAME_SHARE)
            return BASIN_OK;
        const double middle = 0.5 * (on->low + on->high), half = 0.5 * (on->high - on->low);
        on->low = middle - GROWTH * half;
        on->high = middle + GROWTH * half;
    }
    return basin__fail(on->context, BASIN_ERROR_DIVERGED,
                       "the energy does not confine: %.3g of exp(-E/T) lies at the ends of "
                       "[%.4g, %.4g] squared, and the share does not fall as the square grows",
                       *outside, on->low, on->high);
}

static basin_status refine(grid *on, double tolerance, basin__quadrature *out) {
    BASIN_TRY(find_square(on, &out->log_z, &out->outside));
    out->low = on->low;
    out->high = on->high;
    for (out->side = 2 * SIDE_FIRST; out->side <= SIDE_MAX; out->side *= 2) {
        const double before = out->log_z;
        BASIN_TRY(sum_grid(on, out->side, &out->log_z, &out->outside));
        out->change = out->log_z - before;
        if (fabs(out->change) < tolerance)
            return BASIN_OK;
    }
    return basin__fail(
        on->context, BASIN_ERROR_DIVERGED,
        "log Z still moves by %.3g on a grid of %d x %d: the energy is too rough, or "
        "the temperature too low",
        out->change, SIDE_MAX, SIDE_MAX);
}

basin_status basin__quadrature_run(basin_context *context, basin__plane_energy *energy, void *user,
                                   double temperature, double low, double high, double tolerance,
                                   basin__quadrature *out) {
    grid on = {context, energy, user, temperature, low, high, NULL, NULL};
    *out = (basin__quadrature){0};
    on.x = basin__alloc_array(context, 2 * BLOCK, sizeof(float));
    on.energies = basin__alloc_array(context, BLOCK, sizeof(double));
    basin_status status = on.x && on.energies ? BASIN_OK : BASIN_ERROR_MEMORY;
    if (status == BASIN_OK)
        status = refine(&on, tolerance, out);
    basin__free(context, on.x);
    basin__free(context, on.energies);
    return status;
}

basin_status basin__plane_energy_of(void *user, int64_t n, const float *x, double *energies) {
    return basin_energy_evaluate(user, n, x, energies, NULL);
}

basin_status basin__plane_fit_run(basin_context *context, basin__plane_energy *energy, void *user,
                                  double temperature, double low, double high, int64_t n,
                                  const float *x, const double *log_density,
                                  basin__plane_fit *out) {
    BASIN_TRY(basin__quadrature_run(context, energy, user, temperature, low, high, 0.0025,
                                    &out->quadrature));
    double *energies = basin__alloc_array(context, (size_t)n, sizeof(double));
    basin_status status = energies ? energy(user, n, x, energies) : BASIN_ERROR_MEMORY;
    double sum = 0, square = 0, likelihood = 0;
    for (int64_t i = 0; i < n && status == BASIN_OK; i++) {
        const double log_model = -energies[i] / temperature - out->quadrature.log_z;
        const double ratio = log_density ? log_density[i] - log_model : (double)NAN;
        likelihood += log_model;
        sum += ratio;
        square += ratio * ratio;
    }
    basin__free(context, energies);
    BASIN_TRY(status);
    const double count = (double)n;
    out->log_likelihood = likelihood / count;
    out->kl = sum / count;
    out->kl_error = (double)NAN;
    if (log_density)
        out->kl_error = sqrt(fmax(0, square / count - out->kl * out->kl) / fmax(1, count - 1));
    return BASIN_OK;
}
