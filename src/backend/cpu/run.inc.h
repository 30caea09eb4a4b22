/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole ops on strided f32 views with dense channels, written once and compiled for each
 * instruction set: sums over space, batch and windows, their adjoints, reshaping, channels joined
 * and cut, and the order of a flattened image. Sums are made in double, in the order of the ops'
 * own kernels. Other views, and the ops not here, are left to those.
 */
#include "ops/common.h"

/** Channels summed side by side. */
#define SUM_CHANNELS 64
/** Sums over which channels are dealt out, where they are summed too. */
#define SUM_LANES 16

static bool is_dense_view(const basin__view *view) {
    return !view->is_f64 && (view->stride[4] == 1 || view->shape.channels == 1);
}

static bool is_dense(const basin__op_call *call) {
    return is_dense_view(&call->in[0]) && is_dense_view(&call->out);
}

BASIN_INLINE const float *pixel_in(const basin__op_call *call, int64_t n, int o, int y, int x) {
    return (const float *)call->in[0].data + basin__view_at(&call->in[0], n, o, y, x, 0);
}

BASIN_INLINE float *pixel_out(const basin__op_call *call, int64_t n, int o, int y, int x) {
    return (float *)call->out.data + basin__view_at(&call->out, n, o, y, x, 0);
}

/** A box of pixels: how many along each of three axes, and how far apart. */
typedef struct pixel_box {
    int64_t count[3];
    ptrdiff_t stride[3];
} pixel_box;

BASIN_INLINE ptrdiff_t box_at(const ptrdiff_t stride[3], int64_t i, int64_t j, int64_t k) {
    return (ptrdiff_t)i * stride[0] + (ptrdiff_t)j * stride[1] + (ptrdiff_t)k * stride[2];
}

/** Sums are added in pairs. */
BASIN_INLINE double sum_of_lanes(double *sum) {
    for (int half = SUM_LANES / 2; half > 0; half /= 2)
        for (int lane = 0; lane < half; lane++)
            sum[lane] += sum[lane + half];
    return sum[0];
}

/** out[c] = factor · Σ over the box of in[c], plus what out holds where `is_added`. */
static void sum_box(const float *in, const pixel_box *box, int channels, double factor,
                    bool is_added, float *restrict out) {
    for (int first = 0; first < channels; first += SUM_CHANNELS) {
        const int count = smaller(SUM_CHANNELS, channels - first);
        double sum[SUM_CHANNELS] = {0};
        for (int64_t i = 0; i < box->count[0]; i++)
            for (int64_t j = 0; j < box->count[1]; j++)
                for (int64_t k = 0; k < box->count[2]; k++) {
                    const float *at = in + first + box_at(box->stride, i, j, k);
                    for (int c = 0; c < count; c++)
                        sum[c] += (double)at[c];
                }
        for (int c = 0; c < count; c++) {
            const double before = is_added ? (double)out[first + c] : 0.0;
            out[first + c] = (float)(before + sum[c] * factor);
        }
    }
}

/** Σ over the box and over channels: channel c goes to sum c % 16, sums are added in pairs. */
static float sum_box_channels(const float *in, const pixel_box *box, int channels) {
    double sum[SUM_LANES] = {0};
    for (int64_t i = 0; i < box->count[0]; i++)
        for (int64_t j = 0; j < box->count[1]; j++)
            for (int64_t k = 0; k < box->count[2]; k++) {
                const float *at = in + box_at(box->stride, i, j, k);
                int c = 0;
                for (; c + SUM_LANES <= channels; c += SUM_LANES)
                    for (int lane = 0; lane < SUM_LANES; lane++)
                        sum[lane] += (double)at[c + lane];
                for (int lane = 0; c + lane < channels; lane++)
                    sum[lane] += (double)at[c + lane];
            }
    return (float)sum_of_lanes(sum);
}

static void run_sum(const basin__op_call *call) {
    const basin__view *in = &call->in[0];
    const basin_shape from = in->shape, to = call->out.shape;
    if (!is_dense(call)) {
        basin__run_sum(call);
        return;
    }
    const pixel_box box = {{from.outer / to.outer, from.height / to.height, from.width / to.width},
                           {in->stride[1], in->stride[2], in->stride[3]}};
    for (int64_t n = 0; n < call->n; n++)
        for (int o = 0; o < to.outer; o++)
            for (int y = 0; y < to.height; y++)
                for (int x = 0; x < to.width; x++) {
                    const float *first = pixel_in(call, n, o, y, x);
                    float *out = pixel_out(call, n, o, y, x);
                    if (to.channels == from.channels)
                        sum_box(first, &box, to.channels, 1.0, false, out);
                    else
                        *out = sum_box_channels(first, &box, from.channels);
                }
}

/** sum_box of a · b, whose pixels lie apart in two ways. */
static void dot_box(const float *a, const pixel_box *box, const float *b,
                    const ptrdiff_t stride_b[3], int channels, float *restrict out) {
    for (int first = 0; first < channels; first += SUM_CHANNELS) {
        const int count = smaller(SUM_CHANNELS, channels - first);
        double sum[SUM_CHANNELS] = {0};
        for (int64_t i = 0; i < box->count[0]; i++)
            for (int64_t j = 0; j < box->count[1]; j++)
                for (int64_t k = 0; k < box->count[2]; k++) {
                    const float *at = a + first + box_at(box->stride, i, j, k);
                    const float *by = b + first + box_at(stride_b, i, j, k);
                    for (int c = 0; c < count; c++)
                        sum[c] += (double)at[c] * (double)by[c];
                }
        for (int c = 0; c < count; c++)
            out[first + c] = (float)sum[c];
    }
}

/** sum_box_channels of a · b. */
static float dot_box_channels(const float *a, const pixel_box *box, const float *b,
                              const ptrdiff_t stride_b[3], int channels) {
    double sum[SUM_LANES] = {0};
    for (int64_t i = 0; i < box->count[0]; i++)
        for (int64_t j = 0; j < box->count[1]; j++)
            for (int64_t k = 0; k < box->count[2]; k++) {
                const float *at = a + box_at(box->stride, i, j, k);
                const float *by = b + box_at(stride_b, i, j, k);
                int c = 0;
                for (; c + SUM_LANES <= channels; c += SUM_LANES)
                    for (int lane = 0; lane < SUM_LANES; lane++)
                        sum[lane] += (double)at[c + lane] * (double)by[c + lane];
                for (int lane = 0; c + lane < channels; lane++)
                    sum[lane] += (double)at[c + lane] * (double)by[c + lane];
            }
    return (float)sum_of_lanes(sum);
}

static void run_dot(const basin__op_call *call) {
    const basin__view *a = &call->in[0], *b = &call->in[1];
    const basin_shape from = a->shape, to = call->out.shape;
    if (!is_dense(call) || !is_dense_view(b)) {
        basin__run_dot(call);
        return;
    }
    const pixel_box box = {{from.outer / to.outer, from.height / to.height, from.width / to.width},
                           {a->stride[1], a->stride[2], a->stride[3]}};
    for (int64_t n = 0; n < call->n; n++)
        for (int o = 0; o < to.outer; o++)
            for (int y = 0; y < to.height; y++)
                for (int x = 0; x < to.width; x++) {
                    const float *in = pixel_in(call, n, o, y, x);
                    const float *by = (const float *)b->data + basin__view_at(b, n, o, y, x, 0);
                    float *out = pixel_out(call, n, o, y, x);
                    if (to.channels == from.channels)
                        dot_box(in, &box, by, b->stride + 1, to.channels, out);
                    else
                        *out = dot_box_channels(in, &box, by, b->stride + 1, from.channels);
                }
}

static void run_batch_sum(const basin__op_call *call) {
    const basin_shape shape = call->out.shape;
    if (!is_dense(call)) {
        basin__run_batch_sum(call);
        return;
    }
    const pixel_box box = {{1, 1, call->n}, {0, 0, call->in[0].stride[0]}};
    for (int o = 0; o < shape.outer; o++)
        for (int y = 0; y < shape.height; y++)
            for (int x = 0; x < shape.width; x++)
                sum_box(pixel_in(call, 0, o, y, x), &box, shape.channels, 1.0, true,
                        pixel_out(call, 0, o, y, x));
}

/** Each output pixel is the sum of its window, times a factor. */
static void gather_windows(const basin__op_call *call, double factor) {
    const basin__view *in = &call->in[0];
    const basin_shape shape = call->out.shape;
    const int size = call->node->attributes.size;
    const pixel_box box = {{1, size, size}, {0, in->stride[2], in->stride[3]}};
    for (int64_t n = 0; n < call->n; n++)
        for (int o = 0; o < shape.outer; o++)
            for (int y = 0; y < shape.height; y++)
                for (int x = 0; x < shape.width; x++)
                    sum_box(pixel_in(call, n, o, y * size, x * size), &box, shape.channels, factor,
                            false, pixel_out(call, n, o, y, x));
}

/** Each output pixel is that of the window it lies in, times a factor. */
static void spread_windows(const basin__op_call *call, double factor) {
    const basin_shape shape = call->out.shape;
    const int size = call->node->attributes.size;
    for (int64_t n = 0; n < call->n; n++)
        for (int o = 0; o < shape.outer; o++)
            for (int y = 0; y < shape.height; y++)
                for (int x = 0; x < shape.width; x++) {
                    const float *in = pixel_in(call, n, o, y / size, x / size);
                    float *restrict out = pixel_out(call, n, o, y, x);
                    for (int c = 0; c < shape.channels; c++)
                        out[c] = (float)((double)in[c] * factor);
                }
}

BASIN_INLINE double window_share(const basin__op_call *call) {
    const double size = call->node->attributes.size;
    return 1.0 / (size * size);
}

static void run_average_pool(const basin__op_call *call) {
    if (is_dense(call))
        gather_windows(call, window_share(call));
    else
        basin__run_average_pool(call);
}

static void run_upsample_input(const basin__op_call *call) {
    if (is_dense(call))
        gather_windows(call, 1.0);
    else
        basin__run_upsample_input(call);
}

static void run_average_pool_input(const basin__op_call *call) {
    if (is_dense(call))
        spread_windows(call, window_share(call));
    else
        basin__run_average_pool_input(call);
}

static void run_upsample(const basin__op_call *call) {
    if (is_dense(call))
        spread_windows(call, 1.0);
    else
        basin__run_upsample(call);
}

/** Elements in order, as many at a time as lie together on both sides. */
static void run_reshape(const basin__op_call *call) {
    const basin__view *in = &call->in[0], *out = &call->out;
    if (!is_dense(call)) {
        basin__run_reshape(call);
        return;
    }
    int from = 0, to = 0; /* channels done of the pixels p and q */
    for (basin__pixel p = {0}, q = {0}; q.n < call->n;) {
        const int count = smaller(in->shape.channels - from, out->shape.channels - to);
        memcpy((float *)out->data + basin__pixel_at(out, q) + to,
               (const float *)in->data + basin__pixel_at(in, p) + from,
               (size_t)count * sizeof(float));
        from += count;
        to += count;
        if (from == in->shape.channels) {
            from = 0;
            basin__pixel_step(&p, in->shape);
        }
        if (to == out->shape.channels) {
            to = 0;
            basin__pixel_step(&q, out->shape);
        }
    }
}

/** Image pixel (y, x), channel c, is element (c · height + y) · width + x of the flat vector. */
static void run_flatten(const basin__op_call *call) {
    const basin_shape image = call->in[0].shape;
    const ptrdiff_t pixels = (ptrdiff_t)image.height * image.width;
    if (!is_dense(call)) {
        basin__run_flatten(call);
        return;
    }
    for (int64_t n = 0; n < call->n; n++)
        for (int o = 0; o < image.outer; o++) {
            float *restrict out = pixel_out(call, n, o, 0, 0);
            for (int y = 0; y < image.height; y++)
                for (int x = 0; x < image.width; x++, out++) {
                    const float *in = pixel_in(call, n, o, y, x);
                    for (int c = 0; c < image.channels; c++)
                        out[c * pixels] = in[c];
                }
        }
}

static void run_unflatten(const basin__op_call *call) {
    const basin_shape image = call->out.shape;
    const ptrdiff_t pixels = (ptrdiff_t)image.height * image.width;
    if (!is_dense(call)) {
        basin__run_unflatten(call);
        return;
    }
    for (int64_t n = 0; n < call->n; n++)
        for (int o = 0; o < image.outer; o++) {
            const float *in = pixel_in(call, n, o, 0, 0);
            for (int y = 0; y < image.height; y++)
                for (int x = 0; x < image.width; x++, in++) {
                    float *restrict out = pixel_out(call, n, o, y, x);
                    for (int c = 0; c < image.channels; c++)
                        out[c] = in[c * pixels];
                }
        }
}

/* ---- channels joined and cut ---- */

BASIN_INLINE void copy_channels(float *to, const float *from, int count) {
    memcpy(to, from, (size_t)count * sizeof *to);
}

static void run_concatenate(const basin__op_call *call) {
    const basin__view *a = &call->in[0], *b = &call->in[1];
    const int first = a->shape.channels, second = b->shape.channels;
    if (!is_dense(call) || !is_dense_view(b)) {
        basin__run_concatenate(call);
        return;
    }
    for (basin__pixel p = {0}; p.n < call->n; basin__pixel_step(&p, call->out.shape)) {
        float *out = pixel_out(call, p.n, p.o, p.y, p.x);
        copy_channels(out, pixel_in(call, p.n, p.o, p.y, p.x), first);
        copy_channels(out + first, (const float *)b->data + basin__pixel_at(b, p), second);
    }
}

static void run_slice(const basin__op_call *call) {
    const basin_shape shape = call->out.shape;
    const int first = call->node->attributes.first;
    if (!is_dense(call)) {
        basin__run_slice(call);
        return;
    }
    for (basin__pixel p = {0}; p.n < call->n; basin__pixel_step(&p, shape))
        copy_channels(pixel_out(call, p.n, p.o, p.y, p.x),
                      pixel_in(call, p.n, p.o, p.y, p.x) + first, shape.channels);
}

static void run_slice_input(const basin__op_call *call) {
    const basin_shape shape = call->out.shape;
    const int first = call->node->attributes.first, count = call->in[0].shape.channels;
    if (!is_dense(call)) {
        basin__run_slice_input(call);
        return;
    }
    for (basin__pixel p = {0}; p.n < call->n; basin__pixel_step(&p, shape)) {
        float *out = pixel_out(call, p.n, p.o, p.y, p.x);
        memset(out, 0, (size_t)shape.channels * sizeof *out);
        copy_channels(out + first, pixel_in(call, p.n, p.o, p.y, p.x), count);
    }
}
