/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading what tools/make_networks_fixture.py wrote: tensors by "<case>.<kind><name>", parameters
 * in PyTorch's order.
 */
#ifndef BASIN_TESTS_FIXTURE_H
#define BASIN_TESTS_FIXTURE_H

#include "energy/energy.h"
#include "io/safetensors.h"
#include "support.h"
#include <math.h>

#define NETWORKS_FIXTURE "tests/data/networks_fixture.safetensors"

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

#endif
