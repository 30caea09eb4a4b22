/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention's whole ops on strided f32 views with dense channels: products of matrices whose rows
 * are pixels, softmax and log Σ exp of each pixel. Other views are left to the ops' own kernels.
 *
 * A product is a convolution of one tap with B for its weights: up to 48 rows of A times 64 columns
 * of B, packed as the convolution kernel wants them, over 128 products at a time,
 *
 *     C[m, j] = (Σ of the first 128 products) + (Σ of the next 128) + …
 *
 * so the order of a sum is told by its length alone. A transposed A is turned on its way to a
 * buffer; all buffers lie on the stack (68 KB).
 */

/** Products summed at a time. */
#define MATRIX_RUN 128

typedef struct matrix_buffers {
    _Alignas(64) float a[BASIN__CONV_ROWS * MATRIX_RUN];
    _Alignas(64) float b[MATRIX_RUN * BASIN__CONV_WIDTH];
    _Alignas(64) float out[BASIN__CONV_ROWS * BASIN__CONV_WIDTH];
    int32_t row[BASIN__CONV_ROWS];
} matrix_buffers;

/** A part of the product: rows and columns of C, and which products of their sums. */
typedef struct matrix_part {
    int64_t n, row, k;
    int column, rows, columns, width, run; /* width: columns, padded */
} matrix_part;

BASIN_INLINE const float *matrix_row(const basin__view *view, int64_t n, int64_t row) {
    const int64_t width = view->shape.width, height = view->shape.height, line = row / width;
    return (const float *)view->data + basin__view_at(view, n, (int)(line / height),
                                                      (int)(line % height), (int)(row % width), 0);
}

/** to[i, j] = row first + j, column i of a matrix whose rows are read as they lie. */
static void matrix_turn(const basin__view *view, int64_t n, int64_t first, int rows, int64_t column,
                        int columns, float *to, ptrdiff_t stride) {
    for (int j = 0; j < rows; j++) {
        const float *from = matrix_row(view, n, first + j) + column;
        for (int i = 0; i < columns; i++)
            to[i * stride + j] = from[i];
    }
}

/** Panels of B', each [run, panel], zeros beyond its last column. */
static void matrix_pack(const basin__op_call *call, const matrix_part *part, float *to) {
    const basin__view *b = &call->in[1];
    const bool is_transposed = call->node->attributes.first & BASIN_TRANSPOSE_B;
    for (int first = 0; first < part->width; first += PANEL) {
        const int panel = smaller(PANEL, part->width - first);
        const int count = smaller(panel, part->columns - first);
        if (count < panel)
            memset(to, 0, (size_t)(part->run * panel) * sizeof *to);
        if (is_transposed && count > 0)
            matrix_turn(b, part->n, part->column + first, count, part->k, part->run, to, panel);
        for (int k = 0; !is_transposed && count > 0 && k < part->run; k++)
            copy_channels(to + k * panel,
                          matrix_row(b, part->n, part->k + k) + part->column + first, count);
        to += part->run * panel;
    }
}

/** Some rows of C: the sums of this part, on top of what the parts before left. */
static void matrix_rows(const basin__op_call *call, const matrix_part *part,
                        matrix_buffers *buffers) {
    static const int32_t tap = 0;
    const basin__view *a = &call->in[0];
    const bool is_transposed = call->node->attributes.first & BASIN_TRANSPOSE_A;
    const float *base = is_transposed ? buffers->a : matrix_row(a, part->n, part->row) + part->k;
    if (is_transposed)
        matrix_turn(a, part->n, part->k, part->run, part->row, part->rows, buffers->a, MATRIX_RUN);
    for (int i = 0; i < part->rows; i++)
        buffers->row[i] = is_transposed
                              ? i * MATRIX_RUN
                              : (int32_t)(matrix_row(a, part->n, part->row + i) + part->k - base);
    const basin__conv_block block = {.in = base,
                                     .row = buffers->row,
                                     .rows = part->rows,
                                     .tap = &tap,
                                     .taps = 1,
                                     .run = part->run,
                                     .weight = buffers->b,
                                     .width = part->width,
                                     .out = buffers->out};
    conv_f32(&block);
    for (int i = 0; i < part->rows; i++) {
        const float *from = buffers->out + i * part->width;
        float *out = (float *)(uintptr_t)matrix_row(&call->out, part->n, part->row + i);
        for (int j = 0; j < part->columns; j++)
            out[part->column + j] = part->k > 0 ? out[part->column + j] + from[j] : from[j];
    }
}

static void matrix_example(const basin__op_call *call, int64_t n, matrix_buffers *buffers) {
    const basin_shape a = call->in[0].shape, shape = call->out.shape;
    const int64_t rows = (int64_t)shape.outer * shape.height * shape.width;
    const int64_t inner = call->node->attributes.first & BASIN_TRANSPOSE_A
                              ? (int64_t)a.outer * a.height * a.width
                              : a.channels;
    matrix_part part = {.n = n};
    for (part.column = 0; part.column < shape.channels; part.column += BASIN__CONV_WIDTH) {
        part.columns = smaller(BASIN__CONV_WIDTH, shape.channels - part.column);
        part.width =
            (part.columns + BASIN__CHANNEL_UNIT - 1) / BASIN__CHANNEL_UNIT * BASIN__CHANNEL_UNIT;
        for (part.k = 0; part.k < inner; part.k += MATRIX_RUN) {
            part.run = (int)(inner - part.k < MATRIX_RUN ? inner - part.k : MATRIX_RUN);
            matrix_pack(call, &part, buffers->b);
            for (part.row = 0; part.row < rows; part.row += BASIN__CONV_ROWS) {
                const int64_t left = rows - part.row;
                part.rows = (int)(left < BASIN__CONV_ROWS ? left : BASIN__CONV_ROWS);
                matrix_rows(call, &part, buffers);
            }
        }
    }
}

static void run_matmul(const basin__op_call *call) {
    matrix_buffers buffers;
    if (!is_dense(call) || !is_dense_view(&call->in[1])) {
        basin__run_matmul(call);
        return;
    }
    for (int64_t n = 0; n < call->n; n++)
        matrix_example(call, n, &buffers);
}

/* ---- softmax and log Σ exp ---- */

/** The largest channel, found in lanes. A NaN may be passed over: its exp is summed later. */
static float largest_of(const float *in, int channels) {
    float most[SUM_LANES];
    for (int lane = 0; lane < SUM_LANES; lane++)
        most[lane] = in[0];
    int c = 0;
    for (; c + SUM_LANES <= channels; c += SUM_LANES)
        for (int lane = 0; lane < SUM_LANES; lane++)
            most[lane] = in[c + lane] > most[lane] ? in[c + lane] : most[lane];
    for (int lane = 0; c + lane < channels; lane++)
        most[lane] = in[c + lane] > most[lane] ? in[c + lane] : most[lane];
    for (int lane = 1; lane < SUM_LANES; lane++)
        most[0] = most[lane] > most[0] ? most[lane] : most[0];
    return most[0];
}

/** Σ exp(in[c] − largest): channel c goes to sum c % 16. The numbers go to `out` where there is
 * one.
 */
BASIN_INLINE double sum_of_exp(const float *in, float largest, int channels, float *restrict out) {
    double sum[SUM_LANES] = {0};
    int c = 0;
    for (; c + SUM_LANES <= channels; c += SUM_LANES) {
        float e[SUM_LANES];
        for (int lane = 0; lane < SUM_LANES; lane++)
            e[lane] = exp_any(in[c + lane] - largest);
        for (int lane = 0; lane < SUM_LANES; lane++)
            sum[lane] += (double)e[lane];
        if (out)
            copy_channels(out + c, e, SUM_LANES);
    }
    for (int lane = 0; c + lane < channels; lane++) {
        const float e = exp_any(in[c + lane] - largest);
        sum[lane] += (double)e;
        if (out)
            out[c + lane] = e;
    }
    return sum_of_lanes(sum);
}

static void run_softmax(const basin__op_call *call) {
    const int channels = call->out.shape.channels;
    if (!is_dense(call)) {
        basin__run_softmax(call);
        return;
    }
    for (basin__pixel p = {0}; p.n < call->n; basin__pixel_step(&p, call->out.shape)) {
        const float *in = pixel_in(call, p.n, p.o, p.y, p.x);
        float *restrict out = pixel_out(call, p.n, p.o, p.y, p.x);
        const float sum = (float)sum_of_exp(in, largest_of(in, channels), channels, out);
        for (int c = 0; c < channels; c++)
            out[c] /= sum;
    }
}

static void run_log_sum_exp(const basin__op_call *call) {
    const int channels = call->in[0].shape.channels;
    if (!is_dense(call)) {
        basin__run_log_sum_exp(call);
        return;
    }
    for (basin__pixel p = {0}; p.n < call->n; basin__pixel_step(&p, call->out.shape)) {
        const float *in = pixel_in(call, p.n, p.o, p.y, p.x);
        const float largest = largest_of(in, channels);
        const double sum = sum_of_exp(in, largest, channels, NULL);
        *pixel_out(call, p.n, p.o, p.y, p.x) = (float)((double)largest + log(sum));
    }
}
