/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outside sets made from an inside set.
 *
 * Noise and constants are easy and show that nothing is badly wrong; inverted
 * images have the edges of the inside set; images with shuffled patches or
 * turned have its very pixels, so that intensity, count of strokes and (nearly)
 * size when compressed say nothing, and only their arrangement does.
 */
#include "eval/outside.h"
#include "backend/cpu/kernels.h"
#include "rng/philox.h"
#include <math.h>
#include <string.h>

#define PATCH 7 /* pixels a side, where the image's sides are multiples of it */
#define PATCHES_MAX 4096

/** What makes one example from another. */
typedef struct maker {
    basin_context *context;
    const basin__cpu_kernels *kernels;
    const basin_data_info *info;
    int64_t size;
    double mean, std; /* of the inside set's values */
    basin__draw draw; /* of this kind and example */
    int patch;        /* side, pixels */
    int order[PATCHES_MAX];
} maker;

typedef struct outside_kind {
    const char *name;
    const char *help;
    bool is_for_images; /* alone */
    void (*make)(maker *from, const float *inside, float *out);
} outside_kind;

static void make_uniform(maker *from, const float *inside, float *out) {
    (void)inside;
    float low = from->info->low, span = from->info->high - low;
    from->kernels->uniform(out, from->size, &from->draw);
    for (int64_t i = 0; i < from->size; i++)
        out[i] = low + span * out[i];
}

static void make_gaussian(maker *from, const float *inside, float *out) {
    (void)inside;
    from->kernels->normal(out, 1, from->size, &from->draw);
    for (int64_t i = 0; i < from->size; i++)
        out[i] = (float)(from->mean + from->std * (double)out[i]);
    from->kernels->clamp(out, from->info->low, from->info->high, from->size);
}

static void make_constant(maker *from, const float *inside, float *out) {
    (void)inside;
    int channels = from->info->channels;
    float low = from->info->low, span = from->info->high - low;
    from->kernels->uniform(out, channels, &from->draw);
    for (int c = 0; c < channels; c++)
        out[c] = low + span * out[c];
    for (int64_t i = channels; i < from->size; i++)
        out[i] = out[i - channels];
}

static void make_inverted(maker *from, const float *inside, float *out) {
    for (int64_t i = 0; i < from->size; i++)
        out[i] = from->info->high - (inside[i] - from->info->low);
}

/** A quarter turn to the left; half a turn where the sides differ. */
static void make_rotated(maker *from, const float *inside, float *out) {
    int height = from->info->height, width = from->info->width, channels = from->info->channels;
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            int from_y = height == width ? x : height - 1 - y;
            int from_x = height == width ? width - 1 - y : width - 1 - x;
            memcpy(out + ((int64_t)y * width + x) * channels,
                   inside + ((int64_t)from_y * width + from_x) * channels,
                   (size_t)channels * sizeof(float));
        }
    }
}

/** A number below `bound` from the example's stream; `bound` is far below 2³², so bias is nil. */
static uint32_t draw_below(const maker *from, uint32_t block, uint32_t bound) {
    const uint32_t key[2] = {(uint32_t)from->draw.seed, (uint32_t)(from->draw.seed >> 32)};
    const uint32_t counter[4] = {block, from->draw.chain, (uint32_t)from->draw.draw,
                                 from->draw.purpose};
    uint32_t words[4];
    basin__philox(key, counter, words);
    return (uint32_t)(((uint64_t)words[0] * bound) >> 32);
}

/** A random order of the patches, never the one they have (Fisher–Yates, drawn again if so). */
static void shuffle(maker *from, int patches) {
    bool is_identity = true;
    for (uint32_t block = 0; is_identity;) {
        for (int i = 0; i < patches; i++)
            from->order[i] = i;
        for (int i = patches - 1; i > 0; i--) {
            int j = (int)draw_below(from, block++, (uint32_t)i + 1);
            int kept = from->order[i];
            from->order[i] = from->order[j];
            from->order[j] = kept;
        }
        for (int i = 0; i < patches; i++)
            is_identity = is_identity && from->order[i] == i;
    }
}

static void make_shuffled(maker *from, const float *inside, float *out) {
    int side = from->patch, columns = from->info->width / side;
    int patches = from->info->height / side * columns;
    int64_t row = (int64_t)from->info->width * from->info->channels;
    int64_t run = (int64_t)side * from->info->channels;
    shuffle(from, patches);
    for (int i = 0; i < patches; i++) {
        int j = from->order[i];
        for (int y = 0; y < side; y++)
            memcpy(out + (i / columns * side + y) * row + i % columns * run,
                   inside + (j / columns * side + y) * row + j % columns * run,
                   (size_t)run * sizeof(float));
    }
}

static const outside_kind kinds[] = {
    {"uniform-noise", "each value uniform in the data's range", false, make_uniform},
    {"gaussian-noise", "each value normal with the inside set's mean and deviation, clamped", false,
     make_gaussian},
    {"constant", "one random level an image and channel", true, make_constant},
    {"inverted", "black is white", true, make_inverted},
    {"rotated", "a quarter turn (half a turn where the sides differ)", true, make_rotated},
    {"shuffled-patches", "patches of 7x7 pixels (else a quarter of a side) in another order", true,
     make_shuffled},
};

int basin__outside_count(void) { return (int)BASIN_COUNT(kinds); }
const char *basin__outside_name(int kind) { return kinds[kind].name; }
const char *basin__outside_help(int kind) { return kinds[kind].help; }

int basin__outside_find(const char *name) {
    for (int i = 0; i < basin__outside_count(); i++)
        if (strcmp(kinds[i].name, name) == 0)
            return i;
    return -1;
}

/** The patches' side, 0 where the image cannot be cut. */
static int patch_of(const basin_data_info *info) {
    int side = 0;
    if (info->height % PATCH == 0 && info->width % PATCH == 0)
        side = PATCH;
    else if (info->height % 4 == 0 && info->width == info->height)
        side = info->height / 4;
    int64_t patches = side ? (int64_t)(info->height / side) * (info->width / side) : 0;
    return patches >= 2 && patches <= PATCHES_MAX ? side : 0;
}

static basin_status check_kind(const maker *from, int kind) {
    const basin_data_info *info = from->info;
    if (kinds[kind].is_for_images && !info->is_image)
        return basin__fail(from->context, BASIN_ERROR_UNSUPPORTED,
                           "outside set %s is for images; %s holds points", kinds[kind].name,
                           info->name);
    if (kinds[kind].make == make_shuffled && from->patch == 0)
        return basin__fail(from->context, BASIN_ERROR_UNSUPPORTED,
                           "outside set %s: images of %d x %d (%s) cannot be cut into patches; "
                           "sides must be multiples of %d, or equal and multiples of 4",
                           kinds[kind].name, info->height, info->width, info->name, PATCH);
    return BASIN_OK;
}

/** Mean and standard deviation of all values of the first `count` examples. */
static void measure(maker *from, const basin_data *inside, int64_t count, float *x) {
    double sum = 0.0, square = 0.0, total = (double)(count * from->size);
    for (int64_t n = 0; n < count; n++) {
        basin_data_get(inside, n, x);
        for (int64_t i = 0; i < from->size; i++) {
            sum += (double)x[i];
            square += (double)x[i] * (double)x[i];
        }
    }
    from->mean = sum / total;
    from->std = sqrt(fmax(square / total - from->mean * from->mean, 0.0));
}

basin_status basin__outside_make(basin_context *context, int kind, const basin_data *inside,
                                 int64_t count_max, uint64_t seed, basin_data **out) {
    *out = NULL;
    const basin_data_info *info = basin_data_describe(inside);
    int64_t size = (int64_t)info->height * info->width * info->channels;
    int64_t count = count_max > 0 && count_max < info->count ? count_max : info->count;
    maker *from = basin__alloc(context, sizeof(*from));
    float *x = basin__alloc_array(context, (size_t)((count + 1) * size), sizeof(float));
    basin_status status = from && x ? BASIN_OK : BASIN_ERROR_MEMORY;
    if (status == BASIN_OK) {
        *from = (maker){
            .context = context,
            .kernels = basin__cpu_kernels_for(basin__context_isa(context)),
            .info = info,
            .size = size,
            .draw = {.seed = seed, .draw = (uint64_t)kind, .purpose = BASIN__PURPOSE_EVALUATE},
            .patch = patch_of(info)};
        status = check_kind(from, kind);
    }
    if (status == BASIN_OK) {
        float *example = x + count * size;
        measure(from, inside, count, example);
        for (int64_t n = 0; n < count; n++) {
            from->draw.chain = (uint32_t)n;
            basin_data_get(inside, n, example);
            kinds[kind].make(from, example, x + n * size);
        }
        status = basin_data_from_memory(context, kinds[kind].name, count, info->height, info->width,
                                        info->channels, info->is_image, x, NULL, out);
    }
    basin__free(context, x);
    basin__free(context, from);
    return status;
}
