/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outside sets made from an inside set.
 *
 * Noise and constants are easy and show that nothing is badly wrong; inverted
 * images have the edges of the inside set; images with shuffled patches or
 * turned have its very pixels, so that intensity, count of strokes and (nearly)
 * size when compressed say nothing, and only their arrangement does. The kinds of
 * wrecks (data/wreck.h) follow: they have the inside set's pen and ink, and belong to
 * none of its classes.
 */
#include "eval/outside.h"
#include "backend/cpu/kernels.h"
#include "data/random.h"
#include "data/wreck.h"
#include "rng/philox.h"
#include <math.h>
#include <string.h>

#define DRAWS_MAX 1000 /* until an example of another class is found */
#define PATCH 7        /* pixels a side, where the image's sides are multiples of it */

/** What makes one example from another. */
typedef struct maker {
    basin_context *context;
    const basin__cpu_kernels *kernels;
    const basin_data_info *info;
    int64_t size;
    const basin_data *inside;
    int64_t index;    /* of the inside example */
    float *other;     /* room for another one */
    double mean, std; /* of the inside set's values */
    basin__draw draw; /* of this kind and example */
    uint32_t block;   /* the next one that whole numbers are drawn from; 0 for each example */
    int patch;        /* side, pixels */
    int order[BASIN__PATCHES_MAX];
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
static uint32_t draw_below(void *user, uint32_t bound) {
    maker *from = user;
    const uint32_t key[2] = {(uint32_t)from->draw.seed, (uint32_t)(from->draw.seed >> 32)};
    const uint32_t counter[4] = {from->block++, from->draw.chain, (uint32_t)from->draw.draw,
                                 from->draw.purpose};
    uint32_t words[4];
    basin__philox(key, counter, words);
    return (uint32_t)(((uint64_t)words[0] * bound) >> 32);
}

static void make_shuffled(maker *from, const float *inside, float *out) {
    basin__patches_shuffle(from->info, from->patch, draw_below, from, from->order, inside, out);
}

/** With another example, of another class where there are classes; a rare class takes some draws.
 */
static void make_interpolated(maker *from, const float *inside, float *out) {
    const int label = basin_data_label(from->inside, from->index);
    int64_t other = from->index;
    for (int tries = 0; tries < DRAWS_MAX; tries++) {
        other = draw_below(from, (uint32_t)from->info->count);
        if (label < 0 ? other != from->index : basin_data_label(from->inside, other) != label)
            break;
    }
    basin_data_get(from->inside, other, from->other);
    for (int64_t i = 0; i < from->size; i++)
        out[i] = 0.5F * (inside[i] + from->other[i]);
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
    {"interpolated", "the mean of two images, of different classes where there are classes", true,
     make_interpolated},
};

/* After the kinds above come those of wrecks that an inside set and a seed make, but for shuffled
 * patches, whose size is fixed here, so that numbers stay comparable. */
#define OWN_COUNT ((int)BASIN_COUNT(kinds))

static int find_own(const char *name) {
    for (int i = 0; i < OWN_COUNT; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return i;
    return -1;
}

/** The kind of wreck that is `place` places after the kinds above, -1: none. */
static int wreck_at(int place) {
    for (int i = 0; i < basin__wreck_count(); i++)
        if (!basin__wreck_needs_other(i) && find_own(basin__wreck_name(i)) < 0 && place-- == 0)
            return i;
    return -1;
}

int basin__outside_count(void) {
    int count = OWN_COUNT;
    while (wreck_at(count - OWN_COUNT) >= 0)
        count++;
    return count;
}

const char *basin__outside_name(int kind) {
    return kind < OWN_COUNT ? kinds[kind].name : basin__wreck_name(wreck_at(kind - OWN_COUNT));
}

const char *basin__outside_help(int kind) {
    return kind < OWN_COUNT ? kinds[kind].help : basin__wreck_help(wreck_at(kind - OWN_COUNT));
}

int basin__outside_find(const char *name) {
    for (int i = 0; i < basin__outside_count(); i++)
        if (strcmp(basin__outside_name(i), name) == 0)
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
    return patches >= 2 && patches <= BASIN__PATCHES_MAX ? side : 0;
}

/** Whether there are two examples, and of two labels where they have labels. */
static bool has_another(const basin_data *data) {
    const int64_t count = basin_data_describe(data)->count;
    const int label = basin_data_label(data, 0);
    for (int64_t i = 1; i < count; i++)
        if (label < 0 || basin_data_label(data, i) != label)
            return true;
    return false;
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
    if (kinds[kind].make == make_interpolated && !has_another(from->inside))
        return basin__fail(from->context, BASIN_ERROR_UNSUPPORTED,
                           "outside set %s: %s holds a single example, or examples of one class",
                           kinds[kind].name, info->name);
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

typedef struct wrecking {
    const basin__wrecker *wrecker;
    int kind;
    int64_t size, scratch_size;
    float *x, *scratch; /* [count, size]; [workers, scratch_size] */
} wrecking;

static void draw_wreck(void *user, int64_t n, int worker) {
    const wrecking *of = user;
    basin__wreck_draw(of->wrecker, of->kind, n, of->x + n * of->size,
                      of->scratch + worker * of->scratch_size);
}

/** Wrecks of the inside set's examples, one each. */
static basin_status make_wrecks(basin_context *context, int kind, const basin_data *inside,
                                int64_t count, uint64_t seed, basin_data **out) {
    const basin_data_info *info = basin_data_describe(inside);
    int64_t size = (int64_t)info->height * info->width * info->channels;
    basin__wrecker *wrecker;
    BASIN_TRY(basin__wrecker_create(context, inside, NULL, -1, basin__random_mix(seed), &wrecker));
    const char *obstacle = basin__wreck_obstacle(wrecker, kind);
    const int64_t scratch_size = basin__wreck_scratch(wrecker);
    int64_t values = count * size + basin_context_thread_count(context) * scratch_size;
    float *x = obstacle ? NULL : basin__alloc_array(context, (size_t)values, sizeof(float));
    basin_status status = x ? BASIN_OK : BASIN_ERROR_MEMORY;
    if (obstacle)
        status =
            basin__fail(context, BASIN_ERROR_UNSUPPORTED, "outside set %s cannot be made of %s: %s",
                        basin__wreck_name(kind), info->name, obstacle);
    wrecking of = {wrecker, kind, size, scratch_size, x, x ? x + count * size : NULL};
    if (status == BASIN_OK)
        basin__parallel(context, count, draw_wreck, &of);
    if (status == BASIN_OK)
        status = basin_data_from_memory(context, basin__wreck_name(kind), count, info->height,
                                        info->width, info->channels, true, x, NULL, out);
    basin__free(context, x);
    basin__wrecker_destroy(wrecker);
    return status;
}

basin_status basin__outside_make(basin_context *context, int kind, const basin_data *inside,
                                 int64_t count_max, uint64_t seed, basin_data **out) {
    *out = NULL;
    const basin_data_info *info = basin_data_describe(inside);
    int64_t size = (int64_t)info->height * info->width * info->channels;
    int64_t count = count_max > 0 && count_max < info->count ? count_max : info->count;
    if (kind >= OWN_COUNT)
        return make_wrecks(context, wreck_at(kind - OWN_COUNT), inside, count, seed, out);
    maker *from = basin__alloc(context, sizeof(*from));
    float *x = basin__alloc_array(context, (size_t)((count + 2) * size), sizeof(float));
    basin_status status = from && x ? BASIN_OK : BASIN_ERROR_MEMORY;
    if (status == BASIN_OK) {
        *from = (maker){
            .context = context,
            .kernels = basin__cpu_kernels_for(basin__context_isa(context)),
            .info = info,
            .size = size,
            .inside = inside,
            .other = x + (count + 1) * size,
            .draw = {.seed = seed, .draw = (uint64_t)kind, .purpose = BASIN__PURPOSE_EVALUATE},
            .patch = patch_of(info)};
        status = check_kind(from, kind);
    }
    if (status == BASIN_OK) {
        float *example = x + count * size;
        measure(from, inside, count, example);
        for (int64_t n = 0; n < count; n++) {
            from->draw.chain = (uint32_t)n;
            from->index = n;
            from->block = 0;
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
