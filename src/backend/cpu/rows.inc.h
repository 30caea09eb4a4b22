/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows between memory and a block: the ends of a plan's element-wise programs, and the scatter that
 * turns all taps' products of a pixel into an image.
 */

static void load_rows_f32(float *out, const float *base, const int32_t *row, int rows, int width,
                          int valid) {
    if (valid >= width) {
        for (int r = 0; r < rows; r++, out += width) {
            const float *from = base + row[r];
            for (int c = 0; c < width; c += 16)
                for (int i = 0; i < 16; i++)
                    out[c + i] = from[c + i];
        }
        return;
    }
    for (int r = 0; r < rows; r++, out += width) {
        for (int c = 0; c < valid; c++)
            out[c] = base[row[r] + c];
        for (int c = valid; c < width; c++)
            out[c] = 0.0f;
    }
}

static void store_rows_f32(float *base, const int32_t *row, const float *in, int rows, int width,
                           int valid) {
    for (int r = 0; r < rows; r++, in += width) {
        float *to = base + row[r];
        if (valid >= width)
            for (int c = 0; c < width; c += 16)
                for (int i = 0; i < 16; i++)
                    to[c + i] = in[c + i];
        else
            for (int c = 0; c < valid; c++)
                to[c] = in[c];
    }
}

static void silu_rows_f32(const basin__rows *y, const basin__rows *slope, const float *x, int rows,
                          int width) {
    const basin__rows to = *y, to_slope = *slope;
    for (int r = 0; r < rows; r++, x += width) {
        float *out = (float *)to.base + to.row[r];
        float *out_slope = (float *)to_slope.base + to_slope.row[r];
        for (int c = 0; c < width; c += 16)
            BASIN_INDEPENDENT for (int i = 0; i < 16; i++) {
                float d;
                out[c + i] = silu_with_slope(x[c + i], &d);
                out_slope[c + i] = d;
            }
    }
}

static void mul_rows_f32(const basin__rows *out, const float *a, const basin__rows *b, int rows,
                         int width) {
    const basin__rows to = *out, from = *b;
    for (int r = 0; r < rows; r++, a += width) {
        const float *factor = (const float *)from.base + from.row[r];
        float *product = (float *)to.base + to.row[r];
        for (int c = 0; c < width; c += 16)
            BASIN_INDEPENDENT for (int i = 0; i < 16; i++) product[c + i] =
                a[c + i] * factor[c + i];
    }
}

/* ---- halves ---- */

static void silu_rows_half(const basin__rows *y, const basin__rows *slope, const float *x, int rows,
                           int width) {
    const basin__rows to = *y, to_slope = *slope;
    for (int r = 0; r < rows; r++, x += width) {
        basin__half *out = (basin__half *)to.base + to.row[r];
        basin__half *out_slope = (basin__half *)to_slope.base + to_slope.row[r];
        for (int c = 0; c < width; c += 16)
            BASIN_INDEPENDENT for (int i = 0; i < 16; i++) {
                float d;
                out[c + i] = basin__half_of(silu_with_slope(x[c + i], &d));
                out_slope[c + i] = basin__half_of(d);
            }
    }
}

static void mul_rows_half(const basin__rows *out, const float *a, const basin__rows *b, int rows,
                          int width) {
    const basin__rows to = *out, from = *b;
    for (int r = 0; r < rows; r++, a += width) {
        const basin__half *factor = (const basin__half *)from.base + from.row[r];
        basin__half *product = (basin__half *)to.base + to.row[r];
        for (int c = 0; c < width; c += 16)
            BASIN_INDEPENDENT for (int i = 0; i < 16; i++) product[c + i] =
                basin__half_of(a[c + i] * basin__float_of_half(factor[c + i]));
    }
}

static void load_rows_half(float *out, const basin__rows *from, int rows, int width) {
    for (int r = 0; r < rows; r++, out += width) {
        const basin__half *in = (const basin__half *)from->base + from->row[r];
        for (int c = 0; c < width; c += 16)
            BASIN_INDEPENDENT for (int i = 0; i < 16; i++) out[c + i] =
                basin__float_of_half(in[c + i]);
    }
}

static void store_rows_half(const basin__rows *to, const float *in, int rows, int width) {
    for (int r = 0; r < rows; r++, in += width) {
        basin__half *out = (basin__half *)to->base + to->row[r];
        for (int c = 0; c < width; c += 16)
            BASIN_INDEPENDENT for (int i = 0; i < 16; i++) out[c + i] = basin__half_of(in[c + i]);
    }
}

/* ---- scatter ---- */

/** One row's products for all taps, `run` a line of the kernel, added to the pixels they reach. */
BASIN_INLINE void scatter_row(float *to, const float *in, int count, const int run,
                              ptrdiff_t line) {
    for (; count > 0; count -= run, in += run, to += line)
        for (int i = 0; i < run; i++)
            to[i] += in[i];
}

static void scatter_rows_f32(float *base, const int32_t *row, const float *in, int rows, int width,
                             int count, int run, ptrdiff_t line) {
    for (int r = 0; r < rows; r++, in += width) {
        float *to = base + row[r];
        switch (run) { /* the usual kernels, unrolled */
        case 3:
            scatter_row(to, in, count, 3, line);
            break;
        case 5:
            scatter_row(to, in, count, 5, line);
            break;
        case 9:
            scatter_row(to, in, count, 9, line);
            break;
        default:
            scatter_row(to, in, count, run, line);
        }
    }
}
