/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The element-by-element kernels, written once and compiled for each instruction set.
 */

#define DEFINE_MAP(name, expression)                                                               \
    static void map_##name(float *out, const float *a, const float *b, int64_t n, float p,         \
                           float q) {                                                              \
        (void)b, (void)p, (void)q;                                                                 \
        BASIN_INDEPENDENT for (int64_t i = 0; i < n; i++) {                                        \
            const float x = a[i];                                                                  \
            out[i] = (expression);                                                                 \
        }                                                                                          \
    }

DEFINE_MAP(add, x + b[i])
DEFINE_MAP(sub, x - b[i])
DEFINE_MAP(mul, x *b[i])
DEFINE_MAP(scale, x *p)
DEFINE_MAP(offset, x + p)
DEFINE_MAP(broadcast, x)
DEFINE_MAP(stop, x)
DEFINE_MAP(square, x *x)
DEFINE_MAP(exp, exp_any(x))
DEFINE_MAP(log, log_any(x))
DEFINE_MAP(sqrt, sqrtf(x))
DEFINE_MAP(reciprocal, 1.0f / x)
DEFINE_MAP(sigmoid, sigmoid_of(x))
DEFINE_MAP(silu, silu_of(x))
DEFINE_MAP(silu_slope, silu_slope_of(x))
DEFINE_MAP(softplus, softplus_of(x))
DEFINE_MAP(tanh, tanh_of(x))
DEFINE_MAP(relu, at_least(x, 0.0f))
DEFINE_MAP(leaky_relu, x > 0.0f ? x : x * p)
DEFINE_MAP(leaky_slope, x > 0.0f ? 1.0f : p)
DEFINE_MAP(clamp, at_most(at_least(x, p), q))
DEFINE_MAP(clamp_inside, x >= p && x <= q ? 1.0f : 0.0f)

static void silu_both_f32(float *y, float *slope, const float *x, int64_t n) {
    BASIN_INDEPENDENT for (int64_t i = 0; i < n; i++) {
        float d;
        y[i] = silu_with_slope(x[i], &d);
        slope[i] = d;
    }
}
