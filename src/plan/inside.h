/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plan's inside, shared by the files of this folder.
 *
 * The body is a list of groups. A group has a root that is not element by
 * element (a convolution, say) or none, and a program of the element-wise nodes
 * that follow it, run on a small block of rows while it is hot: the root's
 * result and whatever is only used inside the group never reach memory.
 *
 * A row is one pixel of one example with its channels. Values in a workspace
 * have a halo of zeros as wide as their readers reach, and channels padded to
 * whole cache lines:
 *
 *       left   width   right
 *      0 0 0 0 0 0 0 0 0 0 0     top
 *      0 0 . . . . . . . 0 0
 *      0 0 . . . . . . . 0 0     height lines, one line = (left + width + right) pixels
 *      0 0 0 0 0 0 0 0 0 0 0     bottom
 *
 * Files: plan.c (which values are needed, where each lives), group.c (fusion),
 * lower.c (convolutions to tap lists, packing), winograd.c, winograd_weight.c
 * (fast ones), run.c (one tile), batch.c (shards and their merging).
 */
#ifndef BASIN_PLAN_INSIDE_H
#define BASIN_PLAN_INSIDE_H

#include "backend/cpu/kernels.h"
#include "plan/plan.h"

typedef struct basin__layout {
    int top, left, bottom, right;
    ptrdiff_t pixel, line, example; /* strides in elements */
    ptrdiff_t origin;               /* of pixel (0, 0) */
} basin__layout;

/** Where a value lives. */
typedef enum basin__region {
    BASIN__REGION_NONE,   /* not needed, or only inside its group */
    BASIN__REGION_BOUND,  /* the caller's memory: parameters, states, settings */
    BASIN__REGION_SHARED, /* the plan's shared block: constants, part before, part after */
    BASIN__REGION_TILE,   /* a worker's workspace, one copy an example of the tile */
    BASIN__REGION_SUM     /* a shard's sums over the batch, then moved to SHARED */
} basin__region;

typedef struct basin__place {
    bool is_needed;
    bool is_stored; /* read outside of its group, or an output */
    bool is_half;   /* stored as halves; strides count them, offset and size count floats */
    basin__region region;
    size_t offset;     /* elements from the region's start */
    size_t size;       /* elements (of one example) */
    size_t sum_offset; /* sums over the batch: elements from the start of the shard's sums */
    size_t sum_size;
    basin_value sum_of; /* the value whose sums this one adds to: itself, or an equal-shaped peer */
    basin__layout layout;
    const void *bound;
    int input;      /* per-example inputs: index for the caller, else -1 */
    int group;      /* body values: the group that makes it, -1 for inputs */
    int last_group; /* the last group that reads it from memory */
} basin__place;

/** Which pixels of an image with so many columns a phase makes: (stride · y + first, …). */
typedef struct basin__grid {
    int columns, stride, first[2];
} basin__grid;

/** A tile of a fast convolution: where it lies in an example. */
typedef struct basin__winograd_place {
    int32_t origin;   /* offset of the first number that it reads */
    int32_t pixel;    /* its first pixel, counted in the order of the phase's rows */
    int32_t gradient; /* of a weight gradient: offset of its first pixel's gradient */
    int32_t kind;     /* see winograd.h */
} basin__winograd_place;

/**
 * A phase as a fast convolution: outputs are cut into tiles, each a change of basis, one product of
 * matrices a point, and a change back. Pairs are [down, across].
 */
typedef struct basin__winograd {
    /* given */
    int taps[2], outputs[2];
    int parts;         /* images whose convolutions are added: s² for stride s forward, else 1 */
    int run, channels; /* of a part: in use, and with their padding */
    int width;         /* output channels, padded */
    ptrdiff_t line, pixel;      /* strides of a part's image in the input */
    ptrdiff_t corner;           /* offset in the input of what output (0, 0) reads first */
    int first_tap[2], tap_step; /* kernel coordinates of the first tap, and to the next */
    basin__grid grid;
    ptrdiff_t gradient_line, gradient_pixel; /* of a weight gradient: strides; else 0 */
    /* found */
    int segments[2];               /* an axis is cut into so many, which differ by one at most */
    int points[2];                 /* of the longer segments: outputs + taps − 1 */
    int batch;                     /* tiles changed at a time */
    ptrdiff_t point;               /* stride of a point's numbers in the scratch memory */
    ptrdiff_t gradient_point;      /* the same of its gradients */
    basin__winograd_place *places; /* [tiles of an example] */
    int32_t *part;                 /* [parts] a further offset in the input */
    int32_t *tap;                  /* [parts] offset of a part in a tile's numbers at a point */
} basin__winograd;

/** One tap list: rows in, weights, pixels out. Forward convolutions have one, adjoints s×s. */
typedef struct basin__phase {
    int taps, run;
    int32_t *tap;           /* [taps] offsets in the input's elements */
    int16_t *tap_y, *tap_x; /* [taps] kernel coordinates of the tap's first weight */
    int pixels;             /* of one example */
    int32_t *in_row;        /* [tile, pixels] offset of the input row; NULL without a root */
    int32_t *pixel;         /* [pixels] y · width + x in the group's image; NULL: in order */
    int first_row;          /* rows of a full tile in the phases before this one */
    int width;              /* output channels, padded */
    int few;                /* output channels, if the kernel for few takes them; else 0 */
    bool is_half;           /* inputs and weights are */
    size_t packed;          /* offset of the packed weights in the shared block */
    basin__winograd *fast;  /* NULL: taps as they are; LOWER_WEIGHT has both */
} basin__phase;

/** How weights are laid out for a phase: see basin__pack. */
typedef enum basin__lowering {
    BASIN__LOWER_NONE,
    BASIN__LOWER_FORWARD, /* conv */
    BASIN__LOWER_PHASES,  /* conv_input by phases */
    BASIN__LOWER_SCATTER, /* conv_input to few channels: all taps at once, then a scatter */
    BASIN__LOWER_WEIGHT   /* conv_weight: the forward tap list */
} basin__lowering;

typedef enum basin__instruction_kind {
    BASIN__LOAD,       /* register ← rows of a value in memory, broadcasting */
    BASIN__STORE,      /* rows of a value ← register */
    BASIN__MAP,        /* register ← map(register, register) */
    BASIN__SILU_BOTH,  /* out ← SiLU(a), out2 ← SiLU'(a) */
    BASIN__SILU_STORE, /* the same to rows of `operand` and `operand2` */
    BASIN__MUL_STORE   /* rows of `operand` ← register a · rows of `operand2` */
} basin__instruction_kind;

typedef struct basin__instruction {
    basin__instruction_kind kind;
    int out, out2, a, b; /* registers */
    basin__map *map;
    float p, q;
    int operand, operand2; /* of those that load or store */
} basin__instruction;

/** A value a program reads or writes in memory. */
typedef struct basin__operand {
    basin_value value;
    int32_t *row;           /* [rows of a full tile, phase by phase] offset of each row */
    int channels;           /* elements that may be copied in a row */
    bool is_channel_scalar; /* one number for all channels */
} basin__operand;

typedef struct basin__group {
    basin_value root; /* BASIN_NO_VALUE: a program alone */
    basin__lowering lowering;
    bool is_program;      /* rows go through the instructions (else the root runs as a whole op) */
    basin_shape shape;    /* of the rows */
    basin__phase *phases; /* one without taps where there is no root */
    int phase_count;
    int32_t *other_row; /* [tile, pixels] LOWER_WEIGHT: the gradient's rows; SCATTER: the image's */
    basin_value *halo;  /* stored values of this group whose halo must be zeroed */
    int halo_count;
    const basin__plan *packer; /* whose memory holds the packed weights: this plan's, mostly */
    bool is_packed;            /* by another group */
    int root_register;
    basin_value start;   /* a shared vector that is added to the root: where its sums start */
    size_t start_offset; /* of its padded copy in the shared block */
    basin__instruction *instructions;
    int instruction_count, instruction_capacity;
    basin__operand *operands;
    int operand_count, operand_capacity;
    int register_count;
} basin__group;

struct basin__plan {
    basin_context *context;
    const basin_graph *graph;
    const basin__cpu_kernels *kernels;
    bool is_f64, is_half, is_fused, is_poisoned;
    size_t element; /* bytes */
    int tile;
    basin_value *outputs;
    int output_count, input_count;
    basin__place *places; /* one a node */
    basin_value *before, *after;
    int before_count, after_count;
    basin__group *groups;
    int group_count;
    /* memory */
    unsigned char *shared;
    size_t shared_size;  /* elements */
    size_t tile_size;    /* elements of one example's values */
    size_t scratch_size; /* elements: registers, then what fast convolutions need */
    int register_count;
    size_t sum_size;            /* elements of one shard's sums; 0: no reduced outputs */
    unsigned char **workspaces; /* one a worker: values, then registers */
    size_t workspace_bytes;
    int worker_count;
    basin__plan *beside;      /* see basin__plan_options */
    bool is_guest;            /* in the workspaces of that plan */
    struct basin__sums *sums; /* batch.c */
    double flops;
    bool is_prepared;
};

BASIN_INLINE const basin__node *basin__plan_node(const basin__plan *plan, basin_value value) {
    return &plan->graph->nodes[value];
}

/** Bytes of one number of a value. */
BASIN_INLINE size_t basin__place_element(const basin__plan *plan, const basin__place *place) {
    return place->is_half ? sizeof(basin__half) : plan->element;
}

/** A phase's packed weights. */
BASIN_INLINE float *basin__plan_packed(const basin__group *group, const basin__phase *phase) {
    return (float *)(void *)group->packer->shared + phase->packed;
}

/* plan.c */
void *basin__plan_data(const basin__plan *plan, basin_value value, unsigned char *workspace,
                       unsigned char *sums);
basin__view basin__plan_view(const basin__plan *plan, basin_value value, unsigned char *workspace,
                             unsigned char *sums);
void basin__plan_call(const basin__plan *plan, basin_value value, int64_t n,
                      unsigned char *workspace, unsigned char *sums);

/* group.c */
basin_status basin__plan_group(basin__plan *plan);
basin_status basin__plan_program(basin__plan *plan);
basin_status basin__plan_list_halos(basin__plan *plan);

/* lower.c */
basin__lowering basin__lowering_of(const basin__plan *plan, basin_value value);
void basin__lower_halos(basin__plan *plan);
/** Whether any of a group's phases is to be a fast convolution; before or after it is lowered. */
bool basin__lower_is_fast(const basin__plan *plan, const basin__group *group);
basin_status basin__lower_group(basin__plan *plan, basin__group *group);
void basin__pack_all(basin__plan *plan);
void basin__unpack_weight(const basin__plan *plan, const basin__group *group, const float *packed,
                          float *dense);
size_t basin__lower_sum_size(const basin__plan *plan, basin_value value);

/* winograd.c */
bool basin__winograd_pays(const basin__plan *plan, const basin__winograd *form);
basin_status basin__winograd_lower(basin__plan *plan, basin__phase *phase,
                                   const basin__winograd *form);
bool basin__winograd_same_weights(const basin__winograd *a, const basin__winograd *b);
void basin__winograd_free(basin_context *context, basin__winograd *fast);
size_t basin__winograd_packed_size(const basin__phase *phase);
void basin__winograd_pack(const basin__plan *plan, const basin__group *group,
                          const basin__phase *phase, const float *dense, float *packed);
size_t basin__winograd_scratch(const basin__phase *phase);
void basin__winograd_run(const basin__plan *plan, const basin__group *group,
                         const basin__phase *phase, int n, unsigned char *workspace);

/* winograd_weight.c */
basin_status basin__winograd_lower_weight(basin__plan *plan, basin__phase *phase,
                                          const basin__winograd *form);
size_t basin__winograd_weight_scratch(const basin__phase *phase);
/** Add the weight gradient of n examples to sums laid out as conv_weight's. */
void basin__winograd_run_weight(const basin__plan *plan, const basin__group *group, int n,
                                unsigned char *workspace, float *sums);

/* run.c */
/** Rows [row, row + rows) of a full tile's, channels [first, first + width). */
typedef struct basin__block {
    int row, rows, first, width;
} basin__block;
float *basin__register(const basin__plan *plan, unsigned char *workspace, int index);
void basin__run_program(const basin__plan *plan, const basin__group *group,
                        const basin__block *rows, unsigned char *workspace);
void basin__run_body(basin__plan *plan, int worker, int n, const void *const *inputs,
                     unsigned char *sums);
void basin__copy_output(const basin__plan *plan, int output, int worker, int64_t n, void *to);

/* batch.c */
void basin__sums_destroy(basin__plan *plan);

#endif
