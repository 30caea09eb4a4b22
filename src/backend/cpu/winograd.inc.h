/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The changes of basis of fast convolutions (Winograd 1980; Lavin & Gray 2016), written once and
 * included by each instruction set.
 *
 * Along one axis, m outputs of r taps are the middle of a product of polynomials, which is known
 * from its values at n = m + r − 1 points ξ (the point at infinity gives the leading coefficient):
 *
 *     taps g       U_i = Σ_k g_k ξ_i^k                     made by the plan
 *     numbers d    V_i = Σ_j B_ij d_j                       winograd_in
 *     outputs      y_k = Σ_i ξ_i^k (U_i · V_i)              winograd_out
 *     gradients g  G_i = Σ_k ξ_i^k g_k                      winograd_spread, its transpose
 *
 * Row i of B holds the coefficients of Π_{j≠i} (x − ξ_j) / (ξ_i − ξ_j), over the finite points j
 * (for infinity: Π_j (x − ξ_j)). All of a size's scaling is in B, so tiles of fewer points use
 * the same U. Both axes are done one after the other, channels side by side.
 */

#define WINOGRAD_MAX BASIN__WINOGRAD_POINTS
/** Channels for which a tile's numbers between the two axes stay in the first cache. */
#define WINOGRAD_CHANNELS 64

static const float winograd_basis[WINOGRAD_MAX + 1][WINOGRAD_MAX][WINOGRAD_MAX] = {
    [3] = {{0, -1, 1}, {1, -1, 0}, {0, 1, 0}},
    [4] = {{0, -1, 0, 1}, {1, 0, -1, 0}, {0, 1.0f / 2, 1.0f / 2, 0}, {0, -1.0f / 2, 1.0f / 2, 0}},
    [5] = {{0, 1.0f / 2, -1, -1.0f / 2, 1},
           {1, -2, -1, 2, 0},
           {0, -1.0f / 2, 1.0f / 2, 1, 0},
           {0, -1.0f / 6, 1.0f / 2, -1.0f / 3, 0},
           {0, 8.0f / 3, 0, -8.0f / 3, 0}},
    [6] = {{0, 1, -3.0f / 2, -2, 3.0f / 2, 1},
           {1, -3.0f / 2, -2, 3.0f / 2, 1, 0},
           {0, -1.0f / 3, 1.0f / 6, 5.0f / 6, 1.0f / 3, 0},
           {0, -1.0f / 3, 5.0f / 6, -1.0f / 6, -1.0f / 3, 0},
           {0, 32.0f / 15, 16.0f / 15, -32.0f / 15, -16.0f / 15, 0},
           {0, 1.0f / 30, -1.0f / 15, -1.0f / 30, 1.0f / 15, 0}},
};

/** One axis of a box of numbers: `lines` times, numbers a step apart become others. */
typedef struct winograd_axis {
    const float *in;
    float *out;
    ptrdiff_t in_step, in_line, out_step, out_line;
    int lines, channels;
    const float *start; /* added to the outputs, channel by channel */
    ptrdiff_t start_step, start_line;
} winograd_axis;

/** sum + factor · x, for factors that the compiler knows. */
BASIN_INLINE vec winograd_add(vec sum, const float factor, vec x, bool is_first) {
    if (is_first && factor == 1.0f)
        return x;
    if (is_first)
        return vec_broadcast(&factor) * x;
    if (factor == 1.0f)
        return sum + x;
    if (factor == -1.0f)
        return sum - x;
    return vec_multiply_add(vec_broadcast(&factor), x, sum);
}

/** ξ_i^k, of m outputs. */
BASIN_INLINE float winograd_power(const int i, const int k, const int outputs) {
    if (i == 0)
        return k == outputs - 1 ? 1.0f : 0.0f;
    float power = 1.0f;
    BASIN_UNROLL for (int times = 0; times < k; times++) power *= (float)basin__winograd_point[i];
    return power;
}

enum { WINOGRAD_IN, WINOGRAD_OUT, WINOGRAD_SPREAD };

/** What number `from` adds to number `to`. */
BASIN_INLINE float winograd_factor(const int change, const int points, const int outputs,
                                   const int to, const int from) {
    return change == WINOGRAD_IN    ? winograd_basis[points][to][from]
           : change == WINOGRAD_OUT ? winograd_power(from, to, outputs)
                                    : winograd_power(to, from, outputs);
}

/** One change along one axis: all but the axis is known to the compiler. */
BASIN_INLINE void winograd_change(const int change, const int points, const int outputs,
                                  const bool has_start, const winograd_axis axis) {
    const int inputs = change == WINOGRAD_SPREAD ? outputs : points;
    const int results = change == WINOGRAD_OUT ? outputs : points;
    for (int line = 0; line < axis.lines; line++)
        for (int c = 0; c < axis.channels; c += LANES) {
            const float *in = axis.in + line * axis.in_line + c;
            const float *start = has_start ? axis.start + line * axis.start_line + c : NULL;
            float *out = axis.out + line * axis.out_line + c;
            vec x[WINOGRAD_MAX];
            BASIN_UNROLL for (int j = 0; j < inputs; j++) x[j] = vec_load(in + j * axis.in_step);
            BASIN_UNROLL for (int i = 0; i < results; i++) {
                vec sum = has_start ? vec_load(start + i * axis.start_step) : x[0];
                bool is_first = !has_start;
                BASIN_UNROLL for (int j = 0; j < inputs; j++) {
                    const float factor = winograd_factor(change, points, outputs, i, j);
                    if (factor != 0.0f) {
                        sum = winograd_add(sum, factor, x[j], is_first);
                        is_first = false;
                    }
                }
                vec_store(out + i * axis.out_step, sum);
            }
        }
}

typedef void winograd_function(const winograd_axis *axis);

#define FOR_EACH_OUTPUTS(X)                                                                        \
    X(3, 2) X(4, 2) X(4, 3) X(5, 2) X(5, 3) X(5, 4) X(6, 2) X(6, 3) X(6, 4) X(6, 5)
#define FOR_EACH_POINTS(X) X(3) X(4) X(5) X(6)
#define DEFINE_IN(points)                                                                          \
    static void winograd_in_##points(const winograd_axis *axis) {                                  \
        winograd_change(WINOGRAD_IN, points, 0, false, *axis);                                     \
    }
#define DEFINE_OUT(points, outputs)                                                                \
    static void winograd_out_##points##_##outputs(const winograd_axis *axis) {                     \
        winograd_change(WINOGRAD_OUT, points, outputs, false, *axis);                              \
    }                                                                                              \
    static void winograd_end_##points##_##outputs(const winograd_axis *axis) {                     \
        winograd_change(WINOGRAD_OUT, points, outputs, true, *axis);                               \
    }                                                                                              \
    static void winograd_spread_##points##_##outputs(const winograd_axis *axis) {                  \
        winograd_change(WINOGRAD_SPREAD, points, outputs, false, *axis);                           \
    }
#define IN_ENTRY(points) [points] = winograd_in_##points,
#define OUT_ENTRY(points, outputs) [points][outputs] = winograd_out_##points##_##outputs,
#define END_ENTRY(points, outputs) [points][outputs] = winograd_end_##points##_##outputs,
#define SPREAD_ENTRY(points, outputs) [points][outputs] = winograd_spread_##points##_##outputs,

FOR_EACH_POINTS(DEFINE_IN)
FOR_EACH_OUTPUTS(DEFINE_OUT)
static winograd_function *const winograd_in_table[WINOGRAD_MAX + 1] = {FOR_EACH_POINTS(IN_ENTRY)};
static winograd_function *const winograd_out_table[WINOGRAD_MAX + 1][WINOGRAD_MAX] = {
    FOR_EACH_OUTPUTS(OUT_ENTRY)};
static winograd_function *const winograd_end_table[WINOGRAD_MAX + 1][WINOGRAD_MAX] = {
    FOR_EACH_OUTPUTS(END_ENTRY)};
static winograd_function *const winograd_spread_table[WINOGRAD_MAX + 1][WINOGRAD_MAX] = {
    FOR_EACH_OUTPUTS(SPREAD_ENTRY)};

/** Both axes of a change that makes points: across, then down. */
BASIN_INLINE void winograd_make_points(const basin__winograd_tile *tile, const int lines,
                                       winograd_function *across_function,
                                       winograd_function *down_function) {
    _Alignas(64) float between[WINOGRAD_MAX * WINOGRAD_MAX * WINOGRAD_CHANNELS];
    const int columns = tile->points[1];
    winograd_axis across = {.out = between,
                            .in_step = tile->in_stride[1],
                            .in_line = tile->in_stride[0],
                            .out_step = WINOGRAD_CHANNELS,
                            .out_line = columns * WINOGRAD_CHANNELS,
                            .lines = lines};
    winograd_axis down = {.in = between,
                          .in_step = columns * WINOGRAD_CHANNELS,
                          .in_line = WINOGRAD_CHANNELS,
                          .out_step = tile->out_stride[0],
                          .out_line = tile->out_stride[1],
                          .lines = columns};
    for (int first = 0; first < tile->channels; first += WINOGRAD_CHANNELS) {
        across.channels = down.channels = smaller(WINOGRAD_CHANNELS, tile->channels - first);
        across.in = tile->in + first;
        down.out = tile->out + first;
        across_function(&across);
        down_function(&down);
    }
}

static void winograd_in_f32(const basin__winograd_tile *tile) {
    winograd_make_points(tile, tile->points[0], winograd_in_table[tile->points[1]],
                         winograd_in_table[tile->points[0]]);
}

static void winograd_spread_f32(const basin__winograd_tile *tile) {
    winograd_make_points(tile, tile->outputs[0],
                         winograd_spread_table[tile->points[1]][tile->outputs[1]],
                         winograd_spread_table[tile->points[0]][tile->outputs[0]]);
}

static void winograd_out_f32(const basin__winograd_tile *tile) {
    _Alignas(64) static const float zeros[WINOGRAD_CHANNELS];
    _Alignas(64) float between[WINOGRAD_MAX * WINOGRAD_MAX * WINOGRAD_CHANNELS];
    const int columns = tile->points[1];
    winograd_axis down = {.out = between,
                          .in_step = tile->in_stride[0],
                          .in_line = tile->in_stride[1],
                          .out_step = columns * WINOGRAD_CHANNELS,
                          .out_line = WINOGRAD_CHANNELS,
                          .lines = columns};
    winograd_axis across = {.in = between,
                            .in_step = WINOGRAD_CHANNELS,
                            .in_line = columns * WINOGRAD_CHANNELS,
                            .out_step = tile->out_stride[1],
                            .out_line = tile->out_stride[0],
                            .start_step = tile->start ? tile->start_stride[1] : 0,
                            .start_line = tile->start ? tile->start_stride[0] : 0,
                            .lines = tile->outputs[0]};
    for (int first = 0; first < tile->channels; first += WINOGRAD_CHANNELS) {
        across.channels = down.channels = smaller(WINOGRAD_CHANNELS, tile->channels - first);
        across.start = tile->start ? tile->start + first : zeros;
        down.in = tile->in + first;
        across.out = tile->out + first;
        winograd_out_table[tile->points[0]][tile->outputs[0]](&down);
        winograd_end_table[columns][tile->outputs[1]](&across);
    }
}
