/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Degradations from outside: the list of tasks, from tasks.def, and what they do to many images.
 */
#include "restore/degradation.h"
#include "backend/cpu/kernels.h"
#include "rng/philox.h"
#include <math.h>
#include <string.h>

#define BASIN__TASK(name) extern const basin__task_def basin__task_##name;
#include "restore/tasks.def"
#undef BASIN__TASK

const basin__task_def *const basin__tasks[] = {
#define BASIN__TASK(name) &basin__task_##name,
#include "restore/tasks.def"
#undef BASIN__TASK
};
const int basin__task_count = (int)BASIN_COUNT(basin__tasks);

const basin__task_def *basin__task_find(const char *name) {
    for (int i = 0; i < basin__task_count; i++)
        if (strcmp(basin__tasks[i]->name, name) == 0)
            return basin__tasks[i];
    return NULL;
}

static basin_status read_options(basin_degradation *of, const char *text) {
    json_error_t error;
    of->options = (basin__option_group){
        .title = of->task->name, .options = of->task->options, .count = of->task->option_count};
    of->options.values = basin__alloc(of->context, of->task->options_bytes + 1);
    if (of->options.values == NULL)
        return BASIN_ERROR_MEMORY;
    BASIN_TRY(basin__options_default(of->context, &of->options));
    json_t *values = json_loads(text != NULL ? text : "{}", JSON_REJECT_DUPLICATES, &error);
    if (values == NULL)
        return basin__fail(of->context, BASIN_ERROR_CONFIG,
                           "options of task %s are not JSON: %s at column %d", of->task->name,
                           error.text, error.column);
    basin_status status = basin__options_from_json(of->context, &of->options, 1, values);
    json_decref(values);
    return status;
}

static basin_status prepare(basin_degradation *of, const char *settings) {
    BASIN_TRY(read_options(of, settings));
    basin_status status = of->task->prepare(of, of->options.values);
    return status == BASIN_OK ? status : basin__fail_in(of->context, status, of->task->name);
}

basin_status basin_degradation_create(basin_context *context, const char *task,
                                      const char *settings, int height, int width, int channels,
                                      basin_degradation **out) {
    const basin__task_def *def = basin__task_find(task);
    *out = NULL;
    if (def == NULL)
        return basin__fail(context, BASIN_ERROR_CONFIG,
                           "there is no task \"%s\"; see `basin help task`", task);
    if (height < 1 || width < 1 || channels < 1)
        return basin__fail(context, BASIN_ERROR_SHAPE,
                           "%s of images of %d x %d x %d: expected 1 "
                           "or more each",
                           task, height, width, channels);
    basin_degradation *of = basin__alloc(context, sizeof *of);
    if (of == NULL)
        return BASIN_ERROR_MEMORY;
    of->context = context;
    of->task = def;
    of->shape = of->degraded = basin_shape_image(height, width, channels);
    basin_status status = prepare(of, settings);
    if (status == BASIN_OK) {
        *out = of;
        return BASIN_OK;
    }
    basin_degradation_destroy(of);
    return status;
}

void basin_degradation_destroy(basin_degradation *of) {
    if (of == NULL)
        return;
    if (of->options.values != NULL)
        basin__options_reset(of->context, &of->options);
    basin__free(of->context, of->options.values);
    basin__free(of->context, of->numbers);
    basin__free(of->context, of->rows);
    basin__free(of->context, of->columns);
    basin__free(of->context, of);
}

void basin_degradation_shape(const basin_degradation *of, int shape[3]) {
    shape[0] = of->degraded.height;
    shape[1] = of->degraded.width;
    shape[2] = of->degraded.channels;
}

void basin_degradation_apply(const basin_degradation *of, int64_t n, const float *x, float *y) {
    for (int64_t i = 0; i < n; i++)
        of->task->apply(of, x + i * basin_shape_count(of->shape),
                        y + i * basin_shape_count(of->degraded));
}

void basin_degradation_adjoint(const basin_degradation *of, int64_t n, const float *y, float *x) {
    for (int64_t i = 0; i < n; i++)
        of->task->adjoint(of, y + i * basin_shape_count(of->degraded),
                          x + i * basin_shape_count(of->shape));
}

basin_status basin_degradation_observe(const basin_degradation *of, int64_t n, const float *x,
                                       double noise_std, uint64_t seed, float *y) {
    const basin__cpu_kernels *kernels = basin__cpu_kernels_for(basin__context_isa(of->context));
    const int64_t size = basin_shape_count(of->shape), seen = basin_shape_count(of->degraded);
    float *noise = basin__alloc_array(of->context, 2 * (size_t)seen, sizeof *noise);
    if (noise == NULL)
        return BASIN_ERROR_MEMORY;
    for (int64_t i = 0; i < n; i++) {
        const basin__draw draw = {
            .seed = seed, .chain = (uint32_t)i, .purpose = BASIN__PURPOSE_DATA_NOISE};
        float *from = noise;
        kernels->normal(noise, 1, seen, &draw);
        if (of->task->is_mask)
            of->task->apply(of, noise, from = noise + seen);
        of->task->apply(of, x + i * size, y + i * seen);
        kernels->axpy(y + i * seen, (float)noise_std, from, seen);
    }
    basin__free(of->context, noise);
    return BASIN_OK;
}

basin_status basin_degradation_solve(const basin_degradation *of, double noise_std,
                                     double prior_std, int64_t n, const float *b, float *x) {
    const int64_t size = basin_shape_count(of->shape);
    if (!(noise_std > 0 && isfinite(noise_std) && prior_std > 0 && isfinite(prior_std)))
        return basin__fail(of->context, BASIN_ERROR_ARGUMENT,
                           "standard deviations %g and %g: expected above 0 and finite", noise_std,
                           prior_std);
    double *work = basin__alloc_array(of->context, BASIN__SOLVE_WORK * (size_t)size, sizeof *work);
    if (work == NULL)
        return BASIN_ERROR_MEMORY;
    for (int64_t i = 0; i < n; i++)
        of->task->solve(of, 1 / (noise_std * noise_std), 1 / (prior_std * prior_std), b + i * size,
                        x + i * size, work);
    basin__free(of->context, work);
    return BASIN_OK;
}

/* (ridge I + w/m² 11ᵀ)⁻¹ b = (b − 1 (w/m²) Σb / (ridge + w/m)) / ridge, by Sherman and Morrison. */
void basin__solve_group(double weight, double ridge, int m, const int *offset, const float *b,
                        float *x) {
    double sum = 0;
    for (int i = 0; i < m; i++)
        sum += (double)b[offset[i]];
    const double share = weight / ((double)m * m) * sum / (ridge + weight / m);
    for (int i = 0; i < m; i++)
        x[offset[i]] = (float)(((double)b[offset[i]] - share) / ridge);
}
