/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deblurring: y = k * x, channel by channel, with a kernel k of odd sides that sums to 1:
 *
 *     y[i, j] = Σ_uv k[u, v] x[fold(i + u), fold(j + v)],   u = −r … r, v = −s … s.
 *
 * Beyond its edges an image goes on as its mirror image, the edge's pixels repeated (… 1 0 | 0 1 2
 * …), so that an even picture stays as it is. As written it is a correlation: a kernel file is
 * what a single bright pixel leaves, turned by half a circle.
 *
 * (w AᵀA + r I) x = b by conjugate gradients in double (Hestenes & Stiefel, 1952), until the
 * residual is 1e-6 of b. The matrix' largest eigenvalue over the smallest is at most 1 + w/r, as A
 * makes nothing larger but near an edge: some hundred steps at 1e4, and at most four a value.
 */
#include "io/image.h"
#include "io/npy.h"
#include "restore/degradation.h"
#include <math.h>
#include <stddef.h>
#include <string.h>

#define TOLERANCE 1e-6
#define REACH 4 /* of a Gaussian's kernel, in standard deviations */

typedef struct deblur_options {
    char *kernel;
    double blur_std;
} deblur_options;

#define AT(field) offsetof(deblur_options, field)

static const basin__option deblur_table[] = {
    {"kernel", BASIN__OPTION_TEXT, AT(kernel), NULL, 0, 0, NULL, NULL,
     "A file of the kernel, .npy [height, width] or .png, of odd sides; it is scaled to sum to 1"},
    {"blur-std", BASIN__OPTION_FLOAT, AT(blur_std), "1.5", 0.1, 64, NULL, "pixels",
     "Standard deviation of a Gaussian kernel, where no file is given"},
};

/* ---- the kernel ---- */

static basin_status make_kernel(basin_degradation *of, int64_t height, int64_t width,
                                const char *from) {
    if (height % 2 == 0 || width % 2 == 0 || height > 255 || width > 255)
        return basin__fail(of->context, BASIN_ERROR_CONFIG,
                           "kernel %s has %lld x %lld numbers: expected odd sides up to 255", from,
                           (long long)height, (long long)width);
    of->kernel_height = (int)height;
    of->kernel_width = (int)width;
    of->numbers = basin__alloc_array(of->context, (size_t)(height * width), sizeof(float));
    return of->numbers != NULL ? BASIN_OK : BASIN_ERROR_MEMORY;
}

static basin_status read_png(basin_degradation *of, const char *path) {
    basin__image image = {0};
    BASIN_TRY(basin__png_read(of->context, path, &image));
    basin_status status = image.channels == 1
                              ? make_kernel(of, image.height, image.width, path)
                              : basin__fail(of->context, BASIN_ERROR_CONFIG,
                                            "kernel %s is in colour: expected a grey PNG", path);
    for (int i = 0; status == BASIN_OK && i < image.height * image.width; i++)
        of->numbers[i] = image.pixels[i];
    basin__image_reset(of->context, &image);
    return status;
}

static bool is_png(const char *path) {
    const size_t length = strlen(path);
    return length > 4 && strcmp(path + length - 4, ".png") == 0;
}

static basin_status read_npy(basin_degradation *of, const char *path) {
    basin__npy array;
    BASIN_TRY(basin__npy_read(of->context, path, &array));
    basin_status status = array.rank == 2
                              ? make_kernel(of, array.dim[0], array.dim[1], path)
                              : basin__fail(of->context, BASIN_ERROR_CONFIG,
                                            "kernel %s has %d dimensions: expected [height, width]",
                                            path, array.rank);
    for (int64_t i = 0; status == BASIN_OK && i < array.dim[0] * array.dim[1]; i++)
        of->numbers[i] = array.is_byte ? (float)array.bytes[i] : array.values[i];
    basin__npy_reset(of->context, &array);
    return status;
}

static basin_status make_gaussian(basin_degradation *of, double std) {
    const int reach = (int)ceil(REACH * std) < 127 ? (int)ceil(REACH * std) : 127;
    const int side = 2 * reach + 1;
    BASIN_TRY(make_kernel(of, side, side, "of the Gaussian"));
    for (int i = 0; i < side * side; i++) {
        const double u = i / side - reach, v = i % side - reach;
        of->numbers[i] = (float)exp(-0.5 * (u * u + v * v) / (std * std));
    }
    return BASIN_OK;
}

/* Index of the pixel that stands at place i of a line of n pixels and its mirror images. */
static int fold(int i, int n) {
    const int period = 2 * n, at = ((i % period) + period) % period;
    return at < n ? at : period - 1 - at;
}

static basin_status make_line(basin_context *context, int side, int kernel, int **line) {
    *line = basin__alloc_array(context, (size_t)(side + kernel - 1), sizeof(int));
    for (int i = 0; *line != NULL && i < side + kernel - 1; i++)
        (*line)[i] = fold(i - kernel / 2, side);
    return *line != NULL ? BASIN_OK : BASIN_ERROR_MEMORY;
}

static basin_status prepare(basin_degradation *of, const void *values) {
    const deblur_options *options = values;
    const char *path = options->kernel;
    if (path == NULL)
        BASIN_TRY(make_gaussian(of, options->blur_std));
    else
        BASIN_TRY(is_png(path) ? read_png(of, path) : read_npy(of, path));
    double sum = 0;
    const int count = of->kernel_height * of->kernel_width;
    for (int i = 0; i < count; i++)
        sum += (double)of->numbers[i];
    if (!(sum > 0))
        return basin__fail(of->context, BASIN_ERROR_CONFIG,
                           "kernel %s sums to %g: expected more than 0", path, sum);
    for (int i = 0; i < count; i++)
        of->numbers[i] = (float)((double)of->numbers[i] / sum);
    BASIN_TRY(make_line(of->context, of->shape.height, of->kernel_height, &of->rows));
    return make_line(of->context, of->shape.width, of->kernel_width, &of->columns);
}

/* ---- A and its adjoint, of floats or of doubles: the other pointer is NULL ---- */

BASIN_INLINE double blurred(const basin_degradation *of, int64_t at, const float *x,
                            const double *wide) {
    const int width = of->shape.width, channels = of->shape.channels;
    const int64_t pixel = at / channels;
    const int *rows = of->rows + pixel / width, *columns = of->columns + pixel % width;
    const float *kernel = of->numbers;
    double sum = 0;
    for (int u = 0; u < of->kernel_height; u++) {
        const int64_t line = (int64_t)rows[u] * width * channels + at % channels;
        for (int v = 0; v < of->kernel_width; v++) {
            const int64_t from = line + (int64_t)columns[v] * channels;
            sum += (double)*kernel++ * (x != NULL ? (double)x[from] : wide[from]);
        }
    }
    return sum;
}

BASIN_INLINE void spread(const basin_degradation *of, int64_t at, double value, float *x,
                         double *wide) {
    const int width = of->shape.width, channels = of->shape.channels;
    const int64_t pixel = at / channels;
    const int *rows = of->rows + pixel / width, *columns = of->columns + pixel % width;
    const float *kernel = of->numbers;
    for (int u = 0; u < of->kernel_height; u++) {
        const int64_t line = (int64_t)rows[u] * width * channels + at % channels;
        for (int v = 0; v < of->kernel_width; v++) {
            const int64_t to = line + (int64_t)columns[v] * channels;
            const double part = (double)*kernel++ * value;
            if (x != NULL)
                x[to] += (float)part;
            else
                wide[to] += part;
        }
    }
}

static void apply(const basin_degradation *of, const float *x, float *y) {
    for (int64_t at = 0; at < basin_shape_count(of->shape); at++)
        y[at] = (float)blurred(of, at, x, NULL);
}

static void adjoint(const basin_degradation *of, const float *y, float *x) {
    memset(x, 0, (size_t)basin_shape_count(of->shape) * sizeof *x);
    for (int64_t at = 0; at < basin_shape_count(of->shape); at++)
        spread(of, at, (double)y[at], x, NULL);
}

/* out = (weight AᵀA + ridge I) x */
static void multiply(const basin_degradation *of, double weight, double ridge, const double *x,
                     double *out) {
    const int64_t size = basin_shape_count(of->shape);
    for (int64_t at = 0; at < size; at++)
        out[at] = ridge * x[at];
    for (int64_t at = 0; at < size; at++)
        spread(of, at, weight * blurred(of, at, NULL, x), NULL, out);
}

static double dot(const double *x, const double *y, int64_t size) {
    double sum = 0;
    for (int64_t i = 0; i < size; i++)
        sum += x[i] * y[i];
    return sum;
}

static void solve(const basin_degradation *of, double weight, double ridge, const float *b,
                  float *x, double *work) {
    const int64_t size = basin_shape_count(of->shape);
    double *at = work, *rest = work + size, *way = work + 2 * size, *image = work + 3 * size;
    for (int64_t i = 0; i < size; i++) {
        at[i] = 0;
        rest[i] = way[i] = (double)b[i];
    }
    double square = dot(rest, rest, size);
    const double wanted = TOLERANCE * TOLERANCE * square;
    for (int64_t step = 0; step < 4 * size && square > wanted; step++) {
        multiply(of, weight, ridge, way, image);
        const double length = square / dot(way, image, size), before = square;
        for (int64_t i = 0; i < size; i++) {
            at[i] += length * way[i];
            rest[i] -= length * image[i];
        }
        square = dot(rest, rest, size);
        for (int64_t i = 0; i < size; i++)
            way[i] = rest[i] + square / before * way[i];
    }
    for (int64_t i = 0; i < size; i++)
        x[i] = (float)at[i];
}

const basin__task_def basin__task_deblur = {
    .name = "deblur",
    .help = "the image was blurred by a kernel, mirrored at its edges",
    .options = deblur_table,
    .option_count = BASIN_COUNT(deblur_table),
    .options_bytes = sizeof(deblur_options),
    .prepare = prepare,
    .apply = apply,
    .adjoint = adjoint,
    .solve = solve,
};
