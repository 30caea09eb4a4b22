/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peak signal-to-noise ratio, −10 log₁₀ of the mean squared error for a peak of 1, and the index of
 * structural similarity
 *
 *     (2 μ_x μ_y + C₁) (2 σ_xy + C₂) / ((μ_x² + μ_y² + C₁) (σ_x² + σ_y² + C₂)),
 *
 * C₁ = 0.01², C₂ = 0.03², with means, variances and covariance of a Gaussian window of 11 pixels
 * and standard deviation 1.5, averaged over all places where the window lies within the image, and
 * over channels. Wang, Bovik, Sheikh & Simoncelli (2004).
 */
#include "eval/similarity.h"
#include <math.h>

#define WINDOW 11
#define WINDOW_STD 1.5

static double psnr_of(int64_t size, const float *truth, const float *x) {
    double squares = 0;
    for (int64_t i = 0; i < size; i++)
        squares += pow((double)x[i] - (double)truth[i], 2);
    return 10 * log10((double)size / squares);
}

static void make_window(double window[WINDOW]) {
    double sum = 0;
    for (int i = 0; i < WINDOW; i++)
        sum += window[i] = exp(-0.5 * pow((i - WINDOW / 2) / WINDOW_STD, 2));
    for (int i = 0; i < WINDOW; i++)
        window[i] /= sum;
}

/** The index at one place: a and b are the window's first pixels. */
static double index_at(const double window[WINDOW], basin_shape shape, const float *a,
                       const float *b) {
    double x = 0, y = 0, xx = 0, yy = 0, xy = 0;
    for (int i = 0; i < WINDOW; i++)
        for (int j = 0; j < WINDOW; j++) {
            const int64_t at = ((int64_t)i * shape.width + j) * shape.channels;
            const double w = window[i] * window[j], p = (double)a[at], q = (double)b[at];
            x += w * p;
            y += w * q;
            xx += w * p * p;
            yy += w * q * q;
            xy += w * p * q;
        }
    const double c1 = 0.01 * 0.01, c2 = 0.03 * 0.03;
    return (2 * x * y + c1) * (2 * (xy - x * y) + c2) /
           ((x * x + y * y + c1) * (xx - x * x + yy - y * y + c2));
}

static double ssim_of(basin_shape shape, const float *truth, const float *x) {
    double window[WINDOW], sum = 0;
    const int rows = shape.height - WINDOW + 1, columns = shape.width - WINDOW + 1;
    if (rows < 1 || columns < 1)
        return (double)NAN;
    make_window(window);
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++)
            for (int c = 0; c < shape.channels; c++) {
                const int64_t at = ((int64_t)i * shape.width + j) * shape.channels + c;
                sum += index_at(window, shape, truth + at, x + at);
            }
    return sum / ((double)rows * columns * shape.channels);
}

typedef struct work {
    basin_shape shape;
    const float *truth, *x;
    double *values; /* [n, 2] */
} work;

static void measure(void *user, int64_t index, int worker) {
    const work *all = user;
    const int64_t size = basin_shape_count(all->shape), at = index * size;
    (void)worker;
    all->values[2 * index] = psnr_of(size, all->truth + at, all->x + at);
    all->values[2 * index + 1] = ssim_of(all->shape, all->truth + at, all->x + at);
}

/** Mean of every second value and its standard error. */
static void average(int64_t n, const double *values, double *mean, double *error) {
    double sum = 0, square = 0;
    for (int64_t i = 0; i < n; i++)
        sum += values[2 * i];
    *mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++)
        square += pow(values[2 * i] - *mean, 2);
    *error = n > 1 ? sqrt(square / ((double)n * (double)(n - 1))) : (double)NAN;
}

basin_status basin__likeness_measure(basin_context *context, basin_shape shape, int64_t n,
                                     const float *truth, const float *x, basin__likeness *out) {
    work all = {.shape = shape, .truth = truth, .x = x};
    all.values = basin__alloc_array(context, (size_t)n + 1, 2 * sizeof(double));
    if (all.values == NULL)
        return BASIN_ERROR_MEMORY;
    basin__parallel(context, n, measure, &all);
    average(n, all.values, &out->psnr, &out->psnr_error);
    average(n, all.values + 1, &out->ssim, &out->ssim_error);
    basin__free(context, all.values);
    return BASIN_OK;
}
