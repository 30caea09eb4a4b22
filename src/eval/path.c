/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The nudged elastic band. A chain of images hangs in the landscape between two ends. Were each
 * pulled by −∇E and by springs to its neighbours, the springs would cut corners and the images
 * slide off the passes into the valleys. So each force is left to what it is good for: of −∇E the
 * part across the chain, of the springs the part along it.
 *
 *              x[i+1]
 *             /            τ      along the chain, from the neighbour that is higher up
 *       x[i] *---> −∇E⊥    −∇E⊥   moves the chain to where ∇E ∥ τ: a path of least energy
 *           /
 *      x[i−1]              ⅓ (|x[i+1] − x[i]| − |x[i] − x[i−1]|) τ   keeps the images even
 *
 * The two parts are orthogonal, so the chain is at rest where both vanish, however they are
 * weighed: the springs here need no constant with a unit of energy.
 *
 * Henkelman & Jónsson, "Improved tangent estimate in the nudged elastic band method" (2000).
 */
#include "energy/energy.h"
#include <basin/path.h>
#include <math.h>
#include <string.h>

#define SPRING                                                                                     \
    (1.0 / 3)     /* share of a difference closed in a step; from ½ on the chain would buckle */
#define REACH 0.2 /* longest move, of the straight line's spacing */
#define GROW 1.1
#define SHRINK 0.5

typedef struct path {
    basin_energy *energy;
    const basin_path_options *options;
    int64_t count, size;          /* images, elements of one */
    float *x, *gradient;          /* [count, size] */
    double *energies;             /* [count] */
    float *next, *next_gradient;  /* [count, size]: a step that is tried */
    double *next_energies;        /* [count] */
    double *across, *last_across; /* [count, size] −∇E⊥ now, and of an image's last step */
    double *tangent;              /* [count, size] */
    double *steps, *forces;       /* [count] h and |∇E⊥| */
    float *noise_levels;          /* [count]; NULL: the energy's own level */
    double reach;                 /* longest move */
    double force_start;           /* largest |∇E⊥| of the chain given */
} path;

void basin_path_options_init(basin_path_options *options) {
    *options = (basin_path_options){.size = sizeof *options, .step_count = 500, .tolerance = 0.01};
}

void basin_path_line(const basin_energy *energy, int64_t count, float *x) {
    const int64_t size = basin_shape_count(energy->shape);
    const float *end = x + (count - 1) * size;
    for (int64_t i = 1; i < count - 1; i++)
        for (int64_t j = 0; j < size; j++) {
            const double share = (double)i / (double)(count - 1);
            x[i * size + j] = (float)((1 - share) * (double)x[j] + share * (double)end[j]);
        }
}

double basin_path_barrier(int64_t count, const double *energies) {
    double highest = energies[0];
    for (int64_t i = 1; i < count; i++)
        highest = fmax(highest, energies[i]);
    return highest - fmax(energies[0], energies[count - 1]);
}

/* ---- vectors ---- */

static double dot(const double *a, const double *b, int64_t size) {
    double sum = 0;
    for (int64_t j = 0; j < size; j++)
        sum += a[j] * b[j];
    return sum;
}

static double distance(const float *a, const float *b, int64_t size) {
    double sum = 0;
    for (int64_t j = 0; j < size; j++) {
        const double apart = (double)a[j] - (double)b[j];
        sum += apart * apart;
    }
    return sqrt(sum);
}

static bool is_finite(const float *a, int64_t size) {
    for (int64_t j = 0; j < size; j++)
        if (!isfinite(a[j]))
            return false;
    return true;
}

/* ---- forces ---- */

/** Energies and gradients of `count` images. */
static basin_status evaluate(const path *of, int64_t count, const float *x, double *energies,
                             float *gradient) {
    const basin__points points = {.x = x, .noise_level = of->noise_levels};
    return basin__energy_evaluate_points(of->energy, count, &points, energies, gradient);
}

/**
 * The share of the step forward in the tangent at image i; that of the step back is the other.
 * Where energy rises or falls through i, the tangent points to the higher neighbour; at an extremum
 * it turns from one to the other without a jump (eq. 8-11).
 */
static double forward_share(const double *energies, int64_t i) {
    const double forward = energies[i + 1] - energies[i], back = energies[i] - energies[i - 1];
    if (forward > 0 && back > 0)
        return 1;
    if (forward < 0 && back < 0)
        return 0;
    const double more = fmax(fabs(forward), fabs(back)), less = fmin(fabs(forward), fabs(back));
    if (!(more > 0))
        return 0.5;
    return (energies[i + 1] > energies[i - 1] ? more : less) / (more + less);
}

/** The unit tangent at image i; zero where its neighbours are where it is. */
static void find_tangent(const path *of, int64_t i, double *tangent) {
    const double share = forward_share(of->energies, i);
    const float *here = of->x + i * of->size;
    const float *ahead = here + of->size, *behind = here - of->size;
    for (int64_t j = 0; j < of->size; j++)
        tangent[j] = share * ((double)ahead[j] - (double)here[j]) +
                     (1 - share) * ((double)here[j] - (double)behind[j]);
    const double norm = sqrt(dot(tangent, tangent, of->size));
    for (int64_t j = 0; j < of->size; j++)
        tangent[j] = norm > 0 ? tangent[j] / norm : 0;
}

/** Tangents, −∇E⊥ and its norm at all images between the ends; the largest norm. */
static double find_forces(path *of) {
    double largest = 0;
    for (int64_t i = 1; i < of->count - 1; i++) {
        double *tangent = of->tangent + i * of->size, *across = of->across + i * of->size;
        find_tangent(of, i, tangent);
        double along = 0;
        for (int64_t j = 0; j < of->size; j++)
            along += (double)of->gradient[i * of->size + j] * tangent[j];
        for (int64_t j = 0; j < of->size; j++)
            across[j] = along * tangent[j] - (double)of->gradient[i * of->size + j];
        of->forces[i] = sqrt(dot(across, across, of->size));
        largest = fmax(largest, of->forces[i]);
    }
    return largest;
}

/** Distance to the image ahead less that to the one behind, and their mean. */
static double spacing(const path *of, int64_t i, double *mean) {
    const float *here = of->x + i * of->size;
    const double ahead = distance(here + of->size, here, of->size);
    const double behind = distance(here, here - of->size, of->size);
    *mean = 0.5 * (ahead + behind);
    return ahead - behind;
}

/* ---- steps ---- */

/** Where the images would go. */
static void propose(path *of) {
    for (int64_t i = 1; i < of->count - 1; i++) {
        double mean;
        const double *across = of->across + i * of->size, *tangent = of->tangent + i * of->size;
        const double along = SPRING * spacing(of, i, &mean);
        const double length = hypot(of->steps[i] * of->forces[i], along);
        const double share = length > of->reach ? of->reach / length : 1;
        for (int64_t j = 0; j < of->size; j++) {
            const double move = share * (of->steps[i] * across[j] + along * tangent[j]);
            of->next[i * of->size + j] = (float)((double)of->x[i * of->size + j] + move);
        }
    }
}

/** Move the images to where they can be, and halve the step size of those that cannot. */
static void take(path *of) {
    for (int64_t i = 1; i < of->count - 1; i++) {
        const int64_t at = i * of->size;
        const size_t bytes = (size_t)of->size * sizeof(float);
        memcpy(of->last_across + at, of->across + at, (size_t)of->size * sizeof(double));
        if (!isfinite(of->next_energies[i]) || !is_finite(of->next_gradient + at, of->size)) {
            of->steps[i] *= SHRINK;
            continue;
        }
        of->energies[i] = of->next_energies[i];
        memcpy(of->x + at, of->next + at, bytes);
        memcpy(of->gradient + at, of->next_gradient + at, bytes);
    }
}

/** A force that turned was followed too far. */
static void adapt(path *of) {
    for (int64_t i = 1; i < of->count - 1; i++) {
        const int64_t at = i * of->size;
        const bool has_turned = dot(of->across + at, of->last_across + at, of->size) < 0;
        of->steps[i] *= has_turned ? SHRINK : GROW;
        if (of->steps[i] * of->forces[i] > of->reach)
            of->steps[i] = of->reach / of->forces[i];
    }
}

static void judge(const path *of, double force, basin_path_report *report) {
    report->force = of->force_start > 0 ? force / of->force_start : 0;
    report->unevenness = 0;
    for (int64_t i = 1; i < of->count - 1; i++) {
        double mean;
        const double apart = fabs(spacing(of, i, &mean));
        report->unevenness = fmax(report->unevenness, mean > 0 ? apart / mean : 0);
    }
    report->is_converged =
        report->force <= of->options->tolerance && report->unevenness <= of->options->tolerance;
}

static basin_status relax(path *of, basin_path_report *report) {
    double force = of->force_start = find_forces(of);
    for (int64_t i = 1; i < of->count - 1; i++) /* the first move of all is half as far as may be */
        of->steps[i] = force > 0 ? 0.5 * of->reach / force : 1;
    judge(of, force, report);
    for (; report->steps < of->options->step_count && !report->is_converged; report->steps++) {
        propose(of);
        BASIN_TRY(evaluate(of, of->count - 2, of->next + of->size, of->next_energies + 1,
                           of->next_gradient + of->size));
        take(of);
        force = find_forces(of);
        adapt(of);
        judge(of, force, report);
    }
    return BASIN_OK;
}

/* ---- the call ---- */

static basin_status check(const path *of) {
    basin_context *context = of->energy->context;
    const basin_path_options *options = of->options;
    if (of->count < 3)
        return basin__fail(context, BASIN_ERROR_ARGUMENT,
                           "a path of %lld images: expected 3 or more, the two ends among them",
                           (long long)of->count);
    if (options->step_count < 0 || !(options->tolerance > 0 && options->tolerance < 1))
        return basin__fail(context, BASIN_ERROR_ARGUMENT,
                           "path of %d steps to a tolerance of %g: expected 0 or more, and above 0 "
                           "and below 1",
                           options->step_count, options->tolerance);
    if (!(options->noise_level >= 0 && isfinite(options->noise_level)))
        return basin__fail(context, BASIN_ERROR_ARGUMENT,
                           "noise level %g of a path: expected 0, the energy's own, or more",
                           options->noise_level);
    if (options->noise_level > 0 && !of->energy->condition.noise_level)
        return basin__fail(context, BASIN_ERROR_ARGUMENT,
                           "noise level %g is asked for, and the model takes none",
                           options->noise_level);
    return BASIN_OK;
}

static basin_status check_start(const path *of) {
    for (int64_t i = 0; i < of->count; i++)
        if (!isfinite(of->energies[i]) || !is_finite(of->gradient + i * of->size, of->size))
            return basin__fail(of->energy->context, BASIN_ERROR_DIVERGED,
                               "the energy of image %lld of %lld of the path is not finite, or its "
                               "gradient: the model gives no path here",
                               (long long)i, (long long)of->count);
    return BASIN_OK;
}

static basin_status allocate(path *of) {
    basin_context *context = of->energy->context;
    const size_t count = (size_t)of->count, all = count * (size_t)of->size;
    of->x = basin__alloc_array(context, all, sizeof(float));
    of->gradient = basin__alloc_array(context, all, sizeof(float));
    of->next = basin__alloc_array(context, all, sizeof(float));
    of->next_gradient = basin__alloc_array(context, all, sizeof(float));
    of->energies = basin__alloc_array(context, count, sizeof(double));
    of->next_energies = basin__alloc_array(context, count, sizeof(double));
    of->across = basin__alloc_array(context, all, sizeof(double));
    of->last_across = basin__alloc_array(context, all, sizeof(double));
    of->tangent = basin__alloc_array(context, all, sizeof(double));
    of->steps = basin__alloc_array(context, count, sizeof(double));
    of->forces = basin__alloc_array(context, count, sizeof(double));
    bool is_there = of->x && of->gradient && of->next && of->next_gradient && of->energies &&
                    of->next_energies && of->across && of->last_across && of->tangent &&
                    of->steps && of->forces;
    if (is_there && of->options->noise_level > 0) {
        of->noise_levels = basin__alloc_array(context, count, sizeof(float));
        for (size_t i = 0; of->noise_levels && i < count; i++)
            of->noise_levels[i] = (float)of->options->noise_level;
        is_there = of->noise_levels != NULL;
    }
    return is_there ? BASIN_OK : BASIN_ERROR_MEMORY;
}

static void release(path *of) {
    void *const parts[] = {of->x,        of->gradient,      of->next,   of->next_gradient,
                           of->energies, of->next_energies, of->across, of->last_across,
                           of->tangent,  of->steps,         of->forces, of->noise_levels};
    for (size_t i = 0; i < BASIN_COUNT(parts); i++)
        basin__free(of->energy->context, parts[i]);
}

/** The chain as given, its energies and how far its images may move. */
static basin_status start(path *of, const float *x) {
    const size_t bytes = (size_t)(of->count * of->size) * sizeof(float);
    memcpy(of->x, x, bytes);
    memcpy(of->next, x, bytes);
    const double length = distance(x, x + (of->count - 1) * of->size, of->size);
    if (!(length > 0))
        return basin__fail(of->energy->context, BASIN_ERROR_ARGUMENT,
                           "the path's two ends are the same: there is no way between them");
    of->reach = REACH * length / (double)(of->count - 1);
    BASIN_TRY(evaluate(of, of->count, of->x, of->energies, of->gradient));
    return check_start(of);
}

basin_status basin_path_relax(basin_energy *energy, const basin_path_options *given, int64_t count,
                              float *x, double *energies, basin_path_report *report) {
    basin_path_options options;
    basin_path_options_init(&options);
    if (given)
        memcpy(&options, given, given->size < sizeof options ? given->size : sizeof options);
    path of = {.energy = energy,
               .options = &options,
               .count = count,
               .size = basin_shape_count(energy->shape)};
    basin_path_report found = {.size = sizeof found};
    BASIN_TRY(check(&of));
    basin_status status = allocate(&of);
    if (status == BASIN_OK)
        status = start(&of, x);
    if (status == BASIN_OK)
        status = relax(&of, &found);
    if (status == BASIN_OK) {
        memcpy(x, of.x, (size_t)(count * of.size) * sizeof(float));
        memcpy(energies, of.energies, (size_t)count * sizeof(double));
    }
    if (status == BASIN_OK && report) {
        const size_t size = report->size < sizeof found ? report->size : sizeof found;
        memcpy(report, &found, size);
        report->size = size;
    }
    release(&of);
    return status;
}
