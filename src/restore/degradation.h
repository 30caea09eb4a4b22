/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Degradations: what a task is made of. A task is one file that defines basin__task_<name>, and a
 * line in tasks.def.
 */
#ifndef BASIN_RESTORE_DEGRADATION_H
#define BASIN_RESTORE_DEGRADATION_H

#include "base/option.h"
#include <basin/graph.h>
#include <basin/restore.h>

typedef struct basin__task_def {
    const char *name, *help;
    const basin__option *options;
    size_t option_count, options_bytes;
    bool is_identity; /* A = 1 */
    bool is_mask;     /* A keeps values or makes them 0: y has x's shape, and A A = A */
    /** Check the options against of->shape and set of->degraded, and what the others need. */
    basin_status (*prepare)(basin_degradation *of, const void *options);
    /* Of one image. */
    void (*apply)(const basin_degradation *of, const float *x, float *y);
    void (*adjoint)(const basin_degradation *of, const float *y, float *x);
    /**
     * x = (weight AᵀA + ridge I)⁻¹ b, both above 0; b and x may be the same. `work` holds
     * BASIN__SOLVE_WORK times the size of x.
     */
    void (*solve)(const basin_degradation *of, double weight, double ridge, const float *b,
                  float *x, double *work);
} basin__task_def;

#define BASIN__SOLVE_WORK 4

struct basin_degradation {
    basin_context *context;
    const basin__task_def *task;
    basin__option_group options; /* values owned */
    basin_shape shape, degraded; /* of x and of y */
    double gain;                 /* A Aᵀ = gain I on what is seen; 0: it is no multiple of I */
    /* a task's own, owned */
    float *numbers; /* mask [height, width], or kernel [kernel_height, kernel_width] */
    int kernel_height, kernel_width;
    int *rows, *columns; /* pixel under each place of a kernel: see deblur.c */
    int factor;
};

extern const basin__task_def *const basin__tasks[];
extern const int basin__task_count;
const basin__task_def *basin__task_find(const char *name);

/* A whose rows are means over disjoint groups of m values, AᵀA = 11ᵀ/m² in a group: x of a group
   lies at x[offset[0 … m − 1]]. */
void basin__solve_group(double weight, double ridge, int m, const int *offset, const float *b,
                        float *x);

#endif
