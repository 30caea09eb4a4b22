/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches of data: order, augmentation, range and noise. All are pure functions of the seed, the
 * update and the place in the batch.
 */
#include "train/batches.h"
#include "energy/energy.h"
#include "train/random.h"
#include "train/treat.h"
#include <string.h>

basin_status basin__batches_init(basin_context *context, basin__batches *batches,
                                 const basin_data *data, uint64_t seed) {
    const basin_data_info *info = basin_data_describe(data);
    *batches =
        (basin__batches){.context = context,
                         .data = data,
                         .count = info->count,
                         .shape = basin_shape_image(info->height, info->width, info->channels),
                         .is_image = info->is_image,
                         .low = info->low,
                         .high = info->high,
                         .seed = seed,
                         .epoch = -1};
    if (info->count < 1 || info->count > INT32_MAX)
        return basin__fail(context, BASIN_ERROR_ARGUMENT,
                           "%s has %lld examples; training takes 1 to 2147483647", info->name,
                           (long long)info->count);
    size_t size = (size_t)basin_shape_count(batches->shape);
    batches->order = basin__alloc_array(context, (size_t)info->count, sizeof(int32_t));
    batches->example = basin__alloc_array(context, size, sizeof(float));
    if (batches->order == NULL || batches->example == NULL) {
        basin__batches_reset(batches);
        return BASIN_ERROR_MEMORY;
    }
    return BASIN_OK;
}

void basin__batches_reset(basin__batches *batches) {
    if (batches->context == NULL)
        return;
    basin__free(batches->context, batches->order);
    basin__free(batches->context, batches->example);
    *batches = (basin__batches){0};
}

/* Fisher–Yates; the epoch is the draw. */
static void shuffle(basin__batches *batches, int64_t epoch) {
    basin__draw draw = {
        .seed = batches->seed, .draw = (uint64_t)epoch, .purpose = BASIN__PURPOSE_ORDER};
    for (int64_t i = 0; i < batches->count; i++) {
        int64_t j = basin__random_below(&draw, (uint32_t)i, i + 1);
        batches->order[i] = batches->order[j];
        batches->order[j] = (int32_t)i;
    }
    batches->epoch = epoch;
}

void basin__example_get(const basin_data *data, int64_t index, float low, float high, float *x) {
    const basin_data_info *info = basin_data_describe(data);
    basin_data_get(data, index, x);
    if (!info->is_image || !basin__range_is_usual((basin__range){info->low, info->high}))
        return;
    int64_t size = (int64_t)info->height * info->width * info->channels;
    const float scale = (high - low) / (info->high - info->low);
    for (int64_t i = 0; i < size; i++)
        x[i] = low + scale * (x[i] - info->low);
}

/* out(y, x) = in(y - dy, x' - dx), x' mirrored where flipped; what comes from outside is `low`. */
static void move_image(const basin__batches *batches, const float *in, float *out, int64_t dy,
                       int64_t dx, bool flip) {
    const int height = batches->shape.height, width = batches->shape.width;
    const int channels = batches->shape.channels;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            int64_t from_y = y - dy, from_x = (flip ? width - 1 - x : x) - dx;
            bool is_inside = from_y >= 0 && from_y < height && from_x >= 0 && from_x < width;
            for (int c = 0; c < channels; c++)
                out[(y * width + x) * channels + c] =
                    is_inside ? in[(from_y * width + from_x) * channels + c] : batches->low;
        }
}

static void augment(basin__batches *batches, const basin__draw *draw, float *x) {
    int64_t side = 2 * batches->shift + 1;
    int64_t dy = basin__random_below(draw, 0, side) - batches->shift;
    int64_t dx = basin__random_below(draw, 1, side) - batches->shift;
    bool flip = batches->flip && basin__random_below(draw, 2, 2) == 1;
    size_t bytes = (size_t)basin_shape_count(batches->shape) * sizeof(float);
    memcpy(batches->example, x, bytes);
    move_image(batches, batches->example, x, dy, dx, flip);
}

/** The example of a number, in the order of its epoch: a batch may end one and begin the next. */
static int64_t example_at(basin__batches *batches, int64_t number) {
    if (number / batches->count != batches->epoch)
        shuffle(batches, number / batches->count);
    return batches->order[number % batches->count];
}

void basin__batches_get(basin__batches *batches, const basin__moment *moment, int64_t n, float *x,
                        float *labels) {
    const basin__cpu_kernels *kernels =
        basin__cpu_kernels_for(basin__context_isa(batches->context));
    const int64_t size = basin_shape_count(batches->shape);
    for (int64_t i = 0; i < n; i++, x += size) {
        const int64_t index = example_at(batches, (int64_t)moment->update * n + i);
        const int label = labels != NULL ? basin_data_label(batches->data, index) : -1;
        if (labels != NULL)
            labels[i] =
                (float)(label < 0 ? basin_data_describe(batches->data)->class_count : label);
        basin__example_get(batches->data, index, batches->low, batches->high, x);
        basin__draw draw = {.seed = batches->seed,
                            .draw = moment->update,
                            .chain = (uint32_t)i,
                            .purpose = (uint16_t)(BASIN__PURPOSE_AUGMENT | moment->attempt << 8)};
        if (batches->treat)
            basin__treat(kernels, &draw, batches->shape, batches->low, batches->high, x,
                         batches->example);
        if (batches->shift > 0 || batches->flip)
            augment(batches, &draw, x);
        if (batches->noise_std > 0) {
            draw.purpose = (uint16_t)(BASIN__PURPOSE_DATA_NOISE | moment->attempt << 8);
            kernels->normal(batches->example, 1, size, &draw);
            kernels->axpy(x, (float)batches->noise_std, batches->example, size);
            if (batches->is_image)
                kernels->clamp(x, batches->low, batches->high, size);
        }
    }
}
