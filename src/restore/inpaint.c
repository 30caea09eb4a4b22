/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inpainting: pixels of all channels are seen or hidden, A = diag(m), m in {0, 1}. What is hidden
 * is 0 in y.
 */
#include "io/image.h"
#include "restore/degradation.h"
#include <stddef.h>

typedef struct inpaint_options {
    char *mask;
    basin__int_list hidden;
} inpaint_options;

#define AT(field) offsetof(inpaint_options, field)

static const basin__option inpaint_table[] = {
    {"mask", BASIN__OPTION_TEXT, AT(mask), NULL, 0, 0, NULL, NULL,
     "A PNG of the images' size: pixels darker than half are hidden"},
    {"hidden", BASIN__OPTION_INT_LIST, AT(hidden), NULL, 0, 65535, NULL, "pixels",
     "A hidden box: top,left,height,width"},
};

static basin_status read_mask(basin_degradation *of, const char *path) {
    basin__image image = {0};
    BASIN_TRY(basin__png_read(of->context, path, &image));
    basin_status status = BASIN_OK;
    if (image.height != of->shape.height || image.width != of->shape.width)
        status = basin__fail(of->context, BASIN_ERROR_SHAPE,
                             "mask %s has %d x %d pixels, and images %d x %d: expected as many",
                             path, image.height, image.width, of->shape.height, of->shape.width);
    for (int i = 0; status == BASIN_OK && i < image.height * image.width; i++) {
        int sum = 0;
        for (int c = 0; c < image.channels; c++)
            sum += image.pixels[i * image.channels + c];
        of->numbers[i] = sum >= 128 * image.channels ? 1.0f : 0.0f;
    }
    basin__image_reset(of->context, &image);
    return status;
}

static basin_status hide(basin_degradation *of, const basin__int_list *box) {
    const int64_t *b = box->items, height = of->shape.height, width = of->shape.width;
    if (box->count != 4)
        return basin__fail(of->context, BASIN_ERROR_CONFIG,
                           "hidden has %zu numbers: expected top,left,height,width", box->count);
    if (b[2] < 1 || b[3] < 1 || b[0] + b[2] > height || b[1] + b[3] > width)
        return basin__fail(of->context, BASIN_ERROR_CONFIG,
                           "hidden %lld,%lld,%lld,%lld (top,left,height,width) is no box within "
                           "images of %lld x %lld",
                           (long long)b[0], (long long)b[1], (long long)b[2], (long long)b[3],
                           (long long)height, (long long)width);
    for (int64_t row = b[0]; row < b[0] + b[2]; row++)
        for (int64_t column = b[1]; column < b[1] + b[3]; column++)
            of->numbers[row * width + column] = 0;
    return BASIN_OK;
}

static basin_status prepare(basin_degradation *of, const void *values) {
    const inpaint_options *options = values;
    const int64_t pixels = (int64_t)of->shape.height * of->shape.width;
    if (options->mask == NULL && options->hidden.count == 0)
        return basin__fail(of->context, BASIN_ERROR_CONFIG,
                           "nothing is hidden: give a mask, or hidden as top,left,height,width");
    of->numbers = basin__alloc_array(of->context, (size_t)pixels, sizeof(float));
    if (of->numbers == NULL)
        return BASIN_ERROR_MEMORY;
    of->gain = 1;
    for (int64_t i = 0; i < pixels; i++)
        of->numbers[i] = 1;
    if (options->mask != NULL)
        BASIN_TRY(read_mask(of, options->mask));
    return options->hidden.count > 0 ? hide(of, &options->hidden) : BASIN_OK;
}

static void apply(const basin_degradation *of, const float *x, float *y) {
    for (int64_t i = 0; i < basin_shape_count(of->shape); i++)
        y[i] = of->numbers[i / of->shape.channels] > 0 ? x[i] : 0.0f;
}

static void solve(const basin_degradation *of, double weight, double ridge, const float *b,
                  float *x, double *work) {
    (void)work;
    for (int64_t i = 0; i < basin_shape_count(of->shape); i++)
        x[i] =
            (float)((double)b[i] / (weight * (double)of->numbers[i / of->shape.channels] + ridge));
}

const basin__task_def basin__task_inpaint = {
    .name = "inpaint",
    .help = "some pixels are hidden",
    .options = inpaint_table,
    .option_count = BASIN_COUNT(inpaint_table),
    .options_bytes = sizeof(inpaint_options),
    .is_mask = true,
    .prepare = prepare,
    .apply = apply,
    .adjoint = apply,
    .solve = solve,
};
