/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parameters: finding, starting, and the two orders they are kept in.
 *
 * In memory the inner dimensions are [height, width, channels], which is how
 * the kernels read them; in files [channels, height, width], which is
 * PyTorch's. Both a convolution's weight [O, kh, kw, I] <-> [O, I, kh, kw] and
 * a linear layer's on a flattened image [O, (h, w, c)] <-> [O, (c, h, w)] are
 * the same exchange, told by `inner`.
 *
 * A start is a function of the seed, the parameter's index and the element's
 * index (rng/philox.h), so it is the same for any number of threads.
 */
#include "base/context.h"
#include "energy/network.h"
#include "rng/philox.h"
#include <math.h>
#include <string.h>

basin__parameter *basin__parameters_find(const basin__parameters *parameters, const char *name) {
    for (int i = 0; i < parameters->count; i++)
        if (strcmp(parameters->items[i].name, name) == 0)
            return &parameters->items[i];
    return NULL;
}

void basin__parameters_reset(basin_context *context, basin__parameters *parameters) {
    for (int i = 0; i < parameters->count; i++) {
        basin__free(context, parameters->items[i].name);
        basin__free(context, parameters->items[i].data);
    }
    basin__free(context, parameters->items);
    *parameters = (basin__parameters){0};
}

/** Four words of the parameter's stream. */
static void draw_block(uint64_t seed, uint32_t index, uint32_t block, uint32_t words[4]) {
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    const uint32_t counter[4] = {block, index, 0, BASIN__PURPOSE_INIT};
    basin__philox(key, counter, words);
}

static void start_uniform(basin__parameter *parameter, uint64_t seed, uint32_t index) {
    int64_t count = basin_shape_count(parameter->shape);
    int64_t blocks = (count + 63) / 64 * 16;
    uint32_t words[4];
    for (int64_t block = 0; block < blocks; block++) {
        draw_block(seed, index, (uint32_t)block, words);
        for (int word = 0; word < 4; word++) {
            int64_t at = block / 16 * 64 + word * 16 + block % 16;
            double unit = (double)(words[word] >> 8) * 0x1p-24;
            if (at < count)
                parameter->data[at] =
                    (float)(parameter->start + parameter->bound * (2.0 * unit - 1.0));
        }
    }
}

/** A direction without preference: normals divided by their norm. */
static void start_direction(basin__parameter *parameter, uint64_t seed, uint32_t index) {
    const double turn = 6.283185307179586;
    int64_t count = basin_shape_count(parameter->shape);
    double sum = 0.0;
    uint32_t words[4];
    for (int64_t i = 0; i < count; i++) {
        draw_block(seed, index, (uint32_t)i, words);
        double unit = ((double)words[0] + 1.0) * 0x1p-32;
        double normal = sqrt(-2.0 * log(unit)) * cos(turn * (double)words[1] * 0x1p-32);
        parameter->data[i] = (float)normal;
        sum += normal * normal;
    }
    for (int64_t i = 0; i < count; i++)
        parameter->data[i] = (float)((double)parameter->data[i] / sqrt(sum));
}

basin_status basin__parameter_room(basin_context *context, basin__parameter *parameter) {
    parameter->data =
        basin__alloc_array(context, (size_t)basin_shape_count(parameter->shape), sizeof(float));
    return parameter->data ? BASIN_OK : BASIN_ERROR_MEMORY;
}

basin_status basin__parameters_start(basin_context *context, basin__parameters *parameters,
                                     uint64_t seed) {
    for (int i = 0; i < parameters->count; i++) {
        BASIN_TRY(basin__parameter_room(context, &parameters->items[i]));
        if (parameters->items[i].is_state)
            start_direction(&parameters->items[i], seed, (uint32_t)i);
        else
            start_uniform(&parameters->items[i], seed, (uint32_t)i);
    }
    return BASIN_OK;
}

/** Exchange [outer][h][w][c] and [outer][c][h][w]; `to_file` gives the direction. */
static void reorder(const basin__parameter *parameter, const float *from, float *to, bool to_file) {
    int64_t pixels = (int64_t)parameter->inner.height * parameter->inner.width;
    int64_t channels = parameter->inner.channels, inner = pixels * channels;
    int64_t outer = basin_shape_count(parameter->shape) / inner;
    for (int64_t o = 0; o < outer; o++) {
        for (int64_t pixel = 0; pixel < pixels; pixel++) {
            for (int64_t c = 0; c < channels; c++) {
                int64_t memory = o * inner + pixel * channels + c;
                int64_t file = o * inner + c * pixels + pixel;
                to[to_file ? file : memory] = from[to_file ? memory : file];
            }
        }
    }
}

void basin__parameter_to_file(const basin__parameter *parameter, const float *memory, float *file) {
    reorder(parameter, memory, file, true);
}

void basin__parameter_from_file(const basin__parameter *parameter, const float *file,
                                float *memory) {
    reorder(parameter, file, memory, false);
}
