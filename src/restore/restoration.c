/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the methods share. With w = 1/σ² and r = 1/ρ², the Gaussian ∝ p(y | z) N(z; x, ρ²) of z has
 * precision P = w AᵀA + r I and mean P⁻¹(w Aᵀy + r x). A draw needs no root of P: with fresh
 * normals n₁, n₂, P⁻¹(w Aᵀ(y + σ n₁) + r (x + ρ n₂)) has that mean and the covariance
 * P⁻¹(w AᵀA + r I)P⁻¹ = P⁻¹ (Papandreou & Yuille, 2010). It is computed as x' + P⁻¹ w Aᵀ(y' − A
 * x'), so that what is not seen stays x' to the bit.
 *
 * With q(y | z) = N(y; A z, τ²) in the place of p(y | z), ∫ q(y | z) N(z; x, ρ²) dz = N(y; A x,
 * τ² + ρ² A Aᵀ). Where A Aᵀ = g I, as of all tasks but deblur, τ² = σ² − g ρ² makes that p(y | x)
 * itself for every ρ ≤ σ/√g, and the split costs nothing; above, τ is as good as 0. Otherwise τ =
 * σ.
 *
 * A draw of x given x_ρ = x + ρ n walks the reverse-time SDE from ρ down to the lowest level and
 * denoises there. Between levels s > t, D = x − s² ∇E(x, s), D₀ that of the step before and h, h₀
 * the steps in −log σ,
 *
 *     x <- (t/s)² x + (1 − (t/s)²) (D + (D − D₀) h / (2 h₀)) + t √(1 − (t/s)²) n
 *
 * which is DDPM's step with D carried forward to the second order (Lu et al., 2022, SDE-DPM-
 * Solver++(2M)); it costs one evaluation.
 */
#include "restore/restoration.h"
#include <math.h>
#include <string.h>

#define LEAST 1e-6 /* of σ²: a variance of q */

#define BASIN__METHOD(name) extern const basin__method_def basin__method_##name;
#include "restore/methods.def"
#undef BASIN__METHOD

const basin__method_def *const basin__methods[] = {
#define BASIN__METHOD(name) &basin__method_##name,
#include "restore/methods.def"
#undef BASIN__METHOD
};
const int basin__method_count = (int)BASIN_COUNT(basin__methods);

const basin__method_def *basin__method_find(const char *name) {
    for (int i = 0; i < basin__method_count; i++)
        if (strcmp(basin__methods[i]->name, name) == 0)
            return basin__methods[i];
    return NULL;
}

const float *basin__restoration_seen(const basin__restoration *of, const basin__chain_tile *tile,
                                     int chain) {
    const int64_t image = ((int64_t)tile->first_chain + chain) / of->draws;
    return of->y + image * basin_shape_count(of->degradation->degraded);
}

static float *scratch_of(const basin__restoration *of, int worker, int which) {
    const int64_t size = basin_shape_count(of->degradation->shape);
    return of->scratch + (worker * BASIN__RESTORATION_SCRATCH + which) * size;
}

void basin__restoration_pull(const basin__restoration *of, const basin__cpu_kernels *kernels,
                             int worker, const float *y, double noise_std, double rho, float *x) {
    const basin_degradation *a = of->degradation;
    const int64_t size = basin_shape_count(a->shape), seen = basin_shape_count(a->degraded);
    const double weight = 1 / (noise_std * noise_std);
    float *rest = scratch_of(of, worker, 0), *back = scratch_of(of, worker, 1);
    a->task->apply(a, x, rest);
    for (int64_t i = 0; i < seen; i++)
        rest[i] = (float)(weight * ((double)y[i] - (double)rest[i]));
    a->task->adjoint(a, rest, back);
    a->task->solve(a, weight, 1 / (rho * rho), back, back,
                   of->work + worker * BASIN__SOLVE_WORK * size);
    kernels->axpy(x, 1, back, size);
}

/** Standard deviation of q(y | z) at ρ. */
static double split_std(const basin__restoration *of, double rho) {
    const double gain = of->degradation->gain, noise = of->noise_std * of->noise_std;
    return sqrt(fmax(noise - gain * rho * rho, LEAST * noise));
}

void basin__restoration_draw(const basin__restoration *of, const basin__cpu_kernels *kernels,
                             basin__chain_tile *tile, double rho, int64_t index) {
    const int64_t size = tile->size, seen = basin_shape_count(of->degradation->degraded);
    const double noise_std = split_std(of, rho);
    float *y = scratch_of(of, tile->worker, 2);
    basin__tile_normal(kernels, tile, BASIN__PURPOSE_MOMENTUM, index, tile->noise);
    kernels->axpy(tile->x, (float)rho, tile->noise, tile->n * size);
    basin__tile_normal(kernels, tile, BASIN__PURPOSE_OBJECTIVE, index, tile->noise);
    for (int i = 0; i < tile->n; i++) {
        memcpy(y, basin__restoration_seen(of, tile, i), (size_t)seen * sizeof *y);
        kernels->axpy(y, (float)noise_std, tile->noise + i * size, seen);
        basin__restoration_pull(of, kernels, tile->worker, y, noise_std, rho, tile->x + i * size);
    }
}

void basin__restoration_start(const basin__restoration *of, const basin__cpu_kernels *kernels,
                              basin__chain_tile *tile, double std, int64_t index) {
    for (int64_t i = 0; i < tile->n * tile->size; i++)
        tile->x[i] = (float)of->centre;
    basin__restoration_draw(of, kernels, tile, std, index);
}

double basin__restoration_misfit(const basin__restoration *of, const basin__cpu_kernels *kernels,
                                 const basin__chain_tile *tile, int chain, const float *x,
                                 double noise_std, double factor, float *gradient) {
    const basin_degradation *a = of->degradation;
    const int64_t seen = basin_shape_count(a->degraded);
    const double weight = 1 / (noise_std * noise_std);
    float *rest = scratch_of(of, tile->worker, 0), *back = scratch_of(of, tile->worker, 1);
    a->task->apply(a, x, rest);
    kernels->axpy(rest, -1, basin__restoration_seen(of, tile, chain), seen);
    a->task->adjoint(a, rest, back);
    kernels->axpy(gradient, (float)(factor * weight), back, tile->size);
    return 0.5 * weight * kernels->dot(rest, rest, seen);
}

basin__trained_levels basin__restoration_levels(const basin_energy *energy) {
    return (basin__trained_levels){
        .low = basin__energy_noted_number(energy, "noise_level_low", 0),
        .high = basin__energy_noted_number(energy, "noise_level_high", (double)INFINITY)};
}

basin_status basin__restoration_fit_levels(const basin_energy *energy, int64_t *count, double *high,
                                           double *low, double high_otherwise,
                                           double low_otherwise) {
    const basin__trained_levels trained = basin__restoration_levels(energy);
    if (!energy->condition.noise_level) {
        *count = 1;
        return BASIN_OK;
    }
    if (!(*low > 0))
        *low = fmin(fmax(low_otherwise, trained.low), trained.high);
    if (!(*high > 0))
        *high = fmin(fmax(high_otherwise, *low), trained.high);
    if (*count == 1)
        *high = *low;
    if (*low >= trained.low && *high <= trained.high && *low <= *high)
        return BASIN_OK;
    return basin__fail(energy->context, BASIN_ERROR_CONFIG,
                       "levels from %g down to %g: expected the first not below the second, among "
                       "those that the model was trained at, %g to %g",
                       *high, *low, trained.low, trained.high);
}

basin_status basin__restoration_needs_levels(const basin_energy *energy, const char *method) {
    if (energy->condition.noise_level)
        return BASIN_OK;
    return basin__fail(energy->context, BASIN_ERROR_CONFIG,
                       "method %s needs an energy at every noise level, and the model takes none: "
                       "take method langevin or map, or a noise-conditional model",
                       method);
}

basin_status basin__restoration_at_noise(const basin__restoration *of, const basin_energy *energy) {
    const basin__trained_levels levels = basin__restoration_levels(energy);
    if (of->noise_std >= levels.low * (1 - 1e-6) && of->noise_std <= levels.high * (1 + 1e-6))
        return BASIN_OK;
    return basin__fail(energy->context, BASIN_ERROR_CONFIG,
                       "noise of %g (%g in units of a range of 1) is not among the levels that the "
                       "model was trained at, %g to %g",
                       of->noise_std, of->noise_std / of->span, levels.low, levels.high);
}

double basin__restoration_lowest(const basin__restoration *of, const basin_energy *energy) {
    const double low = basin__restoration_levels(energy).low;
    return low > 0 ? low : 0.005 * of->span;
}

/** tile->gradient <- D(x, σ); false where it is not finite. */
static bool denoised(const basin__levels *levels, const basin__cpu_kernels *kernels,
                     basin_energy *energy, basin__chain_tile *tile, double sigma) {
    const int64_t count = tile->n * tile->size;
    if (!basin__level_gradient(levels, kernels, energy, tile, tile->x, sigma))
        return false;
    for (int64_t i = 0; i < count; i++)
        tile->gradient[i] = tile->x[i] - (float)(sigma * sigma) * tile->gradient[i];
    return true;
}

bool basin__restoration_walk_down(const basin__levels *levels, const basin__cpu_kernels *kernels,
                                  basin_energy *energy, basin__chain_tile *tile, int64_t first) {
    const int64_t count = tile->n * tile->size, last = levels->count - 1;
    float *before = tile->scratch;
    double step_before = 0;
    for (int64_t i = 0; i < last; i++) {
        const double from = basin__level(levels, i), to = basin__level(levels, i + 1);
        const double keep = to * to / (from * from), step = log(from / to);
        const float carry = (float)(step_before > 0 ? 0.5 * step / step_before : 0);
        if (!denoised(levels, kernels, energy, tile, from))
            return false;
        for (int64_t j = 0; j < count; j++) {
            const float d = tile->gradient[j], ahead = d + carry * (d - before[j]);
            tile->x[j] = (float)keep * tile->x[j] + (float)(1 - keep) * ahead;
            before[j] = d;
        }
        step_before = step;
        basin__tile_normal(kernels, tile, BASIN__PURPOSE_LANGEVIN, first + i, tile->noise);
        kernels->axpy(tile->x, (float)(to * sqrt(1 - keep)), tile->noise, count);
    }
    return basin__level_denoise(levels, kernels, energy, tile, basin__level(levels, last));
}
