/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernels as their definitions say, in double: what the others are held to.
 */
#include "backend/cpu/kernels_isa.h"
#include <math.h>

static double number_at(const basin__conv_block *block, const void *numbers, ptrdiff_t at) {
    if (!block->is_half)
        return (double)((const float *)numbers)[at];
    return (double)basin__float_of_half(((const basin__half *)numbers)[at]);
}

/** Where the weight of input k (of all taps) and output o lies in the only panel. */
static ptrdiff_t weight_at(const basin__conv_block *block, int k, int o) {
    return block->is_half ? ((ptrdiff_t)(k / 2) * block->width + o) * 2 + k % 2
                          : (ptrdiff_t)k * block->width + o;
}

void basin__conv_reference(const basin__conv_block *block) {
    for (int r = 0; r < block->rows; r++) {
        for (int o = 0; o < block->width; o++) {
            double sum = block->start ? (double)block->start[o] : 0.0;
            for (int k = 0; k < block->taps * block->run; k++) {
                const int t = k / block->run;
                const ptrdiff_t at = (ptrdiff_t)block->row[r] + block->tap[t] + k % block->run;
                sum += number_at(block, block->in, at) *
                       number_at(block, block->weight, weight_at(block, k, o));
            }
            block->out[(ptrdiff_t)r * block->width + o] = (float)sum;
        }
    }
}

void basin__conv_weight_reference(const basin__conv_weight_block *block) {
    for (int t = 0; t < block->taps; t++) {
        for (int k = 0; k < block->run; k++) {
            float *out = block->out + ((ptrdiff_t)t * block->run + k) * block->width;
            for (int o = 0; o < block->width; o++) {
                double sum = block->is_new ? 0.0 : (double)out[o];
                for (int64_t r = 0; r < block->rows; r++)
                    sum += (double)block->in[block->row[r] + block->tap[t] + k] *
                           (double)block->gradient[block->gradient_row[r] + o];
                out[o] = (float)sum;
            }
        }
    }
}

void basin__silu_both_reference(float *y, float *slope, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        const double z = x[i] < -1000.0f ? -1000.0 : (double)x[i], s = 1.0 / (1.0 + exp(-z));
        y[i] = (float)(z * s);
        slope[i] = (float)(s + fmin(z, 1000.0) * s * (1.0 - s));
    }
}

#define BASIN__OP(name)                                                                            \
    void basin__run_##name(const basin__op_call *call) { basin__op_##name.run(call); }
#include "ops/ops.def"
#undef BASIN__OP
