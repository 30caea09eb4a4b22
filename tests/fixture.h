/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading what tools/make_*_fixture.py wrote, and comparing with it: tensors by
 * "<case>.<kind><name>", parameters in PyTorch's order.
 */
#ifndef BASIN_TESTS_FIXTURE_H
#define BASIN_TESTS_FIXTURE_H

#include "base/cpu.h"
#include "energy/energy.h"
#include "io/safetensors.h"
#include "objective/objective.h"
#include "support.h"
#include <math.h>

#define NETWORKS_FIXTURE "tests/data/networks_fixture.safetensors"
#define OBJECTIVE_FIXTURE "tests/data/objective_fixture.safetensors"

/** The data of a tensor that must be there with so many numbers. */
static inline const void *fixture_data(const basin__safetensors *file, const char *name,
                                       const char *kind, const char *tensor, basin__dtype dtype,
                                       int64_t count) {
    char full[128];
    snprintf(full, sizeof full, "%s.%s%s", name, kind, tensor);
    const basin__tensor_entry *entry = basin__safetensors_find(file, full);
    if (!entry)
        fail_msg("the fixture has no %s", full);
    assert_int_equal(entry->dtype, dtype);
    if (entry->bytes != (size_t)count * basin__dtype_bytes(dtype))
        fail_msg("%s has %zu bytes, and %lld numbers are wanted", full, entry->bytes,
                 (long long)count);
    return entry->data;
}

/** Fill an energy's parameters and states. */
static inline void fixture_fill(const basin__safetensors *file, const char *name,
                                basin_energy *energy) {
    for (int i = 0; i < energy->parameters.count; i++) {
        basin__parameter *parameter = &energy->parameters.items[i];
        basin__parameter_from_file(parameter,
                                   fixture_data(file, name, "parameter.", parameter->name,
                                                BASIN__DTYPE_F32,
                                                basin_shape_count(parameter->shape)),
                                   parameter->data);
    }
    basin__energy_changed(energy);
}

/** Where number i of a parameter's memory, [outer, height, width, channels], lies in a file. */
static inline int64_t fixture_at(const basin__parameter *parameter, int64_t i) {
    const int64_t channels = parameter->inner.channels;
    const int64_t pixels = (int64_t)parameter->inner.height * parameter->inner.width;
    const int64_t inner = pixels * channels, outer = i / inner;
    return outer * inner + i % channels * pixels + i % inner / channels;
}

/** ‖a − b‖ ≤ tolerance ‖b‖, a being f64 or f32; what is exactly zero must be. */
static inline void fixture_compare(const char *name, const char *what, const void *a, bool is_f64,
                                   const double *b, const basin__parameter *order, int64_t count,
                                   double tolerance) {
    double apart = 0, size = 0;
    for (int64_t i = 0; i < count; i++) {
        const double right = b[order ? fixture_at(order, i) : i];
        const double found = is_f64 ? ((const double *)a)[i] : (double)((const float *)a)[i];
        apart += (found - right) * (found - right);
        size += right * right;
    }
    if (!(sqrt(apart) <= tolerance * sqrt(size)))
        fail_msg("%s: %s is %.3g from PyTorch's, of norm %.3g; at most %.1g of that is right", name,
                 what, sqrt(apart), sqrt(size), tolerance);
}

/** Fill a loss's sources. */
static inline void fixture_fill_sources(const basin__safetensors *file, const char *name,
                                        basin__loss *loss) {
    for (int i = 0; i < loss->source_count; i++) {
        const basin__loss_input *source = &loss->sources[i];
        const int64_t examples = source->kind == BASIN__SOURCE_FITTED ? 1 : loss->batch;
        const int64_t count = examples * source->size;
        memcpy(source->data,
               fixture_data(file, name, "source.", source->name, BASIN__DTYPE_F32, count),
               (size_t)count * sizeof(float));
    }
}

/** The losses of a batch and the gradient of each parameter, within 1e-4. */
static inline void fixture_compare_loss(const basin__safetensors *file, const char *name,
                                        const basin__loss *loss) {
    const basin__parameters *all = &loss->energy->parameters;
    fixture_compare(name, "the loss", loss->losses, false,
                    fixture_data(file, name, "", "loss", BASIN__DTYPE_F64, loss->batch), NULL,
                    loss->batch, 1e-4);
    for (int i = 0; i < all->count; i++) {
        const basin__parameter *parameter = &all->items[i];
        const int64_t count = basin_shape_count(parameter->shape);
        if (!parameter->is_state)
            fixture_compare(
                name, parameter->name, loss->gradients[i], false,
                fixture_data(file, name, "grad.", parameter->name, BASIN__DTYPE_F64, count),
                parameter, count, 1e-4);
    }
}

/** Check a fixture on each instruction set that this processor has. */
static inline void fixture_check(const char *path,
                                 void (*check)(basin_context *, const basin__safetensors *)) {
    for (int isa = 0; isa < BASIN__ISA_COUNT; isa++) {
        basin_context *context = test_context_on(basin__isa_name((basin__isa)isa), 2);
        basin__safetensors file;
        if (!context) {
            print_message("this processor lacks %s\n", basin__isa_name((basin__isa)isa));
            continue;
        }
        if (basin__safetensors_read(context, path, &file) != BASIN_OK)
            fail_msg("%s", basin_context_error(context));
        check(context, &file);
        basin__safetensors_reset(context, &file);
        basin_context_destroy(context);
    }
}

#endif
