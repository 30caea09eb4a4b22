/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heat maps by gradient and by occlusion, and their picture.
 */
#include "eval/heat_map.h"
#include "eval/chart.h"
#include <math.h>
#include <string.h>

#define BATCH 256 /* images with a square taken away that are evaluated at once */

basin_status basin__heat_gradient(basin_energy *energy, int64_t n, const float *x, float *heat) {
    const int64_t size = basin_shape_count(energy->shape), channels = energy->shape.channels;
    float *gradient = basin__alloc_array(energy->context, (size_t)(n * size), sizeof(float));
    if (!gradient)
        return BASIN_ERROR_MEMORY;
    basin_status status = basin_energy_evaluate(energy, n, x, NULL, gradient);
    for (int64_t pixel = 0; status == BASIN_OK && pixel < n * size / channels; pixel++) {
        heat[pixel] = 0.0F;
        for (int64_t c = 0; c < channels; c++)
            heat[pixel] += fabsf(gradient[pixel * channels + c]);
    }
    basin__free(energy->context, gradient);
    return status;
}

/* ---- occlusion ---- */

typedef struct square {
    int top, left, side;
} square;

static bool holds(const square *of, int y, int x) {
    return y >= of->top && y < of->top + of->side && x >= of->left && x < of->left + of->side;
}

/** Fill the square with the mean, channel by channel, of the pixels that border on it. */
static void take_away(basin_shape shape, const square *of, float *image) {
    for (int c = 0; c < shape.channels; c++) {
        double sum = 0.0;
        int count = 0;
        for (int y = of->top - 1; y <= of->top + of->side; y++)
            for (int x = of->left - 1; x <= of->left + of->side; x++)
                if (y >= 0 && y < shape.height && x >= 0 && x < shape.width && !holds(of, y, x)) {
                    sum += (double)image[(y * shape.width + x) * shape.channels + c];
                    count++;
                }
        for (int y = of->top; y < of->top + of->side; y++)
            for (int x = of->left; x < of->left + of->side; x++)
                image[(y * shape.width + x) * shape.channels + c] = (float)(sum / count);
    }
}

/** Room for a batch of one image's copies. */
typedef struct occlusion {
    basin_energy *energy;
    float *images;                 /* [BATCH, size] */
    double energies[BATCH], whole; /* of the copies; of the image */
    double *sum;                   /* [height, width] */
} occlusion;

static basin_status add_squares(occlusion *of, int64_t first, int64_t n, int side, const float *x) {
    const basin_shape shape = of->energy->shape;
    const int64_t size = basin_shape_count(shape);
    const int across = shape.width - side + 1;
    for (int64_t i = 0; i < n; i++) {
        const square at = {(int)((first + i) / across), (int)((first + i) % across), side};
        memcpy(of->images + i * size, x, (size_t)size * sizeof(float));
        take_away(shape, &at, of->images + i * size);
    }
    BASIN_TRY(basin_energy_evaluate(of->energy, n, of->images, of->energies, NULL));
    for (int64_t i = 0; i < n; i++) {
        const square at = {(int)((first + i) / across), (int)((first + i) % across), side};
        for (int y = at.top; y < at.top + side; y++)
            for (int column = at.left; column < at.left + side; column++)
                of->sum[y * shape.width + column] += of->whole - of->energies[i];
    }
    return BASIN_OK;
}

/** Squares of one row or column that hold a place: 1 at the ends, `side` in the middle. */
static int covering(int at, int length, int side) {
    const int first = at - side + 1 > 0 ? at - side + 1 : 0;
    const int last = at < length - side ? at : length - side;
    return last - first + 1;
}

static basin_status occlude(occlusion *of, int side, const float *x, float *heat) {
    const basin_shape shape = of->energy->shape;
    const int64_t count = (int64_t)(shape.height - side + 1) * (int64_t)(shape.width - side + 1);
    memset(of->sum, 0, (size_t)shape.height * (size_t)shape.width * sizeof(double));
    BASIN_TRY(basin_energy_evaluate(of->energy, 1, x, &of->whole, NULL));
    for (int64_t first = 0; first < count; first += BATCH)
        BASIN_TRY(add_squares(of, first, count - first < BATCH ? count - first : BATCH, side, x));
    for (int y = 0; y < shape.height; y++)
        for (int column = 0; column < shape.width; column++)
            heat[y * shape.width + column] =
                (float)(of->sum[y * shape.width + column] /
                        (covering(y, shape.height, side) * covering(column, shape.width, side)));
    return BASIN_OK;
}

basin_status basin__heat_occlusion(basin_energy *energy, int64_t n, const float *x, int side,
                                   float *heat) {
    basin_context *context = energy->context;
    const basin_shape shape = energy->shape;
    const int64_t size = basin_shape_count(shape), pixels = size / shape.channels;
    if (side < 1 || side >= shape.height || side >= shape.width)
        return basin__fail(context, BASIN_ERROR_ARGUMENT,
                           "a square of %d pixels to occlude is not smaller than the image, %d x "
                           "%d",
                           side, shape.height, shape.width);
    occlusion *of = basin__alloc(context, sizeof *of);
    if (!of)
        return BASIN_ERROR_MEMORY;
    of->energy = energy;
    of->images = basin__alloc_array(context, BATCH * (size_t)size, sizeof(float));
    of->sum = basin__alloc_array(context, (size_t)pixels, sizeof(double));
    basin_status status = of->images && of->sum ? BASIN_OK : BASIN_ERROR_MEMORY;
    for (int64_t i = 0; i < n && status == BASIN_OK; i++)
        status = occlude(of, side, x + i * size, heat + i * pixels);
    basin__free(context, of->sum);
    basin__free(context, of->images);
    basin__free(context, of);
    return status;
}

/* ---- the picture ---- */

/** Heat as colours [n, height, width, 3] in [0, 1]. */
static void colour(const float *heat, int64_t n, int64_t pixels, float *rgb) {
    for (int64_t i = 0; i < n; i++) {
        float largest = 0.0F;
        bool is_signed = false;
        for (int64_t p = i * pixels; p < (i + 1) * pixels; p++) {
            largest = fmaxf(largest, fabsf(heat[p]));
            is_signed = is_signed || heat[p] < 0.0F;
        }
        for (int64_t p = i * pixels; p < (i + 1) * pixels; p++) {
            const float value = largest > 0.0F ? heat[p] / largest : 0.0F;
            float *to = rgb + 3 * p;
            to[0] = is_signed ? fmaxf(value, 0.0F) : fminf(3.0F * value, 1.0F);
            to[1] = is_signed ? 0.0F : fminf(fmaxf(3.0F * value - 1.0F, 0.0F), 1.0F);
            to[2] = is_signed ? fmaxf(-value, 0.0F) : fmaxf(3.0F * value - 2.0F, 0.0F);
        }
    }
}

enum { IMAGES, GRADIENT, OCCLUSION, ROWS };

static basin_status draw(basin_energy *energy, int64_t n, const float *x, const float *heat,
                         float *rgb, int zoom, basin__image rows[ROWS]) {
    const basin_shape shape = energy->shape;
    const basin__range range = basin__energy_range(energy);
    const int64_t pixels = (int64_t)shape.height * shape.width;
    BASIN_TRY(basin__image_grid(energy->context, &rows[IMAGES], x, n, shape.height, shape.width,
                                shape.channels, range.low, range.high, (int)n, zoom));
    for (int row = GRADIENT; row < ROWS; row++) {
        colour(heat + (row - 1) * n * pixels, n, pixels, rgb);
        BASIN_TRY(basin__image_grid(energy->context, &rows[row], rgb, n, shape.height, shape.width,
                                    3, 0.0F, 1.0F, (int)n, zoom));
    }
    return BASIN_OK;
}

basin_status basin__heat_map_write(basin_energy *energy, int64_t n, const float *x, int side,
                                   int zoom, const char *path) {
    static const char *const captions[ROWS] = {"images", "gradient of the energy",
                                               "occlusion: red raises the energy, blue lowers it"};
    basin_context *context = energy->context;
    basin__image rows[ROWS] = {{0}};
    const size_t pixels = (size_t)n * (size_t)energy->shape.height * (size_t)energy->shape.width;
    float *heat = basin__alloc_array(context, 2 * pixels, sizeof(float));
    float *rgb = basin__alloc_array(context, 3 * pixels, sizeof(float));
    basin_status status = heat && rgb ? BASIN_OK : BASIN_ERROR_MEMORY;
    if (status == BASIN_OK)
        status = basin__heat_gradient(energy, n, x, heat);
    if (status == BASIN_OK)
        status = basin__heat_occlusion(energy, n, x, side, heat + pixels);
    if (status == BASIN_OK)
        status = draw(energy, n, x, heat, rgb, zoom, rows);
    if (status == BASIN_OK)
        status = basin__chart_captioned(context, path, rows, captions, ROWS);
    for (int row = 0; row < ROWS; row++)
        basin__image_reset(context, &rows[row]);
    basin__free(context, rgb);
    basin__free(context, heat);
    return status;
}
