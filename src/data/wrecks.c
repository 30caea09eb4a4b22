/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data sets with wrecks: with-wrecks:<set> and wreck-<kind>:<set>.
 *
 * A classifier that only ever saw digits calls anything a digit. With one class
 * more, for images that look like the data's and are none of its classes
 * (wreck.h), it can say so. The set's own examples keep their labels and order;
 * after every three of them comes a wreck, of the kinds for training in turn.
 *
 * A split's wrecks are made from its own examples alone. All are made when the
 * set is opened, by all workers: wreck i is a function of i, whoever draws it.
 */
#include "data/random.h"
#include "data/set.h"
#include "data/wreck.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define EXAMPLES 3 /* to one wreck */
#define CHUNK 64   /* examples a task */
#define NONE "none of these"

/** What fills a set. */
typedef struct filling {
    basin_data *data;
    const basin_data *inside;
    const basin__wrecker *wrecker;
    const int *kinds; /* in turn */
    int kind_count;
    bool has_examples;
    int64_t count; /* of the inside set */
    float *x, *scratch;
    int64_t scratch_size;
} filling;

/* ---- the other set ---- */

static bool is_set(const basin_data *data, const char *name) {
    return data->def && strcmp(data->def->name, name) == 0;
}

static basin_status open_other_as(const basin_data *inside, const basin_data_options *options,
                                  const char *name, basin_data **other) {
    basin_data_options chosen = *options;
    char specification[64];
    chosen.count_max = 0; /* all of it, however few the inside set has */
    chosen.built_in_count = 0;
    chosen.image_size = inside->info.height;
    snprintf(specification, sizeof(specification), "%s:%s", name,
             basin__split_names[inside->split]);
    return basin_data_open(inside->context, specification, &chosen, other);
}

static bool has_shape_of(const basin_data *a, const basin_data *b) {
    return a->info.height == b->info.height && a->info.width == b->info.width &&
           a->info.channels == b->info.channels;
}

/**
 * MNIST for garments and garments for MNIST, where both are there; else shapes, and for these
 * strokes. A circle may be read as the digit 0 (or the letter O) and a 0 as a circle: both are
 * class 0, which is *alike. *other stays NULL where no set has the shape.
 */
static basin_status open_other(const basin_data *inside, const basin_data_options *options,
                               basin_data **other, int *alike) {
    const basin_data_info *info = &inside->info;
    const char *partner = is_set(inside, "mnist")           ? "fashion-mnist"
                          : is_set(inside, "fashion-mnist") ? "mnist"
                                                            : NULL;
    *alike = -1;
    *other = NULL;
    if (partner) {
        basin_status status = open_other_as(inside, options, partner, other);
        if (status == BASIN_OK && has_shape_of(inside, *other))
            return BASIN_OK;
        basin_data_close(*other);
        *other = NULL;
        if (status != BASIN_OK && status != BASIN_ERROR_IO)
            return status;
    }
    if (info->height != info->width || info->channels != 1 ||
        info->height < BASIN__BUILT_IN_SIDE_MIN || info->height > BASIN__BUILT_IN_SIDE_MAX)
        return BASIN_OK;
    *alike = 0;
    return open_other_as(inside, options, is_set(inside, "shapes") ? "strokes" : "shapes", other);
}

/* ---- filling ---- */

/** Example `index` of the set: the inside set's, or a wreck. @return its label */
static int make_example(const filling *all, int64_t index, float *x, float *scratch) {
    int64_t group = index / (EXAMPLES + 1), place = index % (EXAMPLES + 1);
    if (all->has_examples && place < EXAMPLES) {
        int64_t from = group * EXAMPLES + place;
        basin_data_get(all->inside, from, x);
        return basin_data_label(all->inside, from);
    }
    int kind = all->kinds[all->has_examples ? group % all->kind_count : 0];
    /* One of the three examples before it, so that no two wrecks of a kind have the same number;
     * which one changes from turn to turn, lest a period in the labels meets that of the kinds. */
    int64_t number =
        all->has_examples ? EXAMPLES * group + group / all->kind_count % EXAMPLES : index;
    basin__wreck_draw(all->wrecker, kind, number, x, scratch);
    return all->data->info.class_count - 1;
}

static void fill_chunk(void *user, int64_t chunk, int worker) {
    const filling *all = user;
    basin_data *data = all->data;
    int64_t n = data->value_count;
    float *x = all->x + worker * n, *scratch = all->scratch + worker * all->scratch_size;
    for (int64_t i = chunk * CHUNK; i < (chunk + 1) * CHUNK && i < data->info.count; i++) {
        data->labels[i] = make_example(all, i, data->values ? data->values + i * n : x, scratch);
        for (int64_t k = 0; data->bytes && k < n; k++)
            data->bytes[i * n + k] = (unsigned char)lrintf(x[k] * 255.0f);
    }
}

/** Bytes hold what came from bytes, and built-in images, which have 256 levels. */
static basin_status allocate(filling *all, int64_t count) {
    basin_data *data = all->data;
    const basin_data_info *from = &all->inside->info;
    BASIN_TRY(basin__data_set_shape(data, count, from->height, from->width, from->channels));
    data->info.is_image = true;
    data->info.low = from->low;
    data->info.high = from->high;
    size_t values = (size_t)(count * data->value_count);
    size_t workers = (size_t)basin_context_thread_count(data->context);
    if (all->inside->values)
        data->values = basin__alloc_array(data->context, values, sizeof(float));
    else
        data->bytes = basin__alloc_array(data->context, values, 1);
    data->labels = basin__alloc_array(data->context, (size_t)count, sizeof(*data->labels));
    all->scratch_size = basin__wreck_scratch(all->wrecker);
    all->scratch =
        basin__alloc_array(data->context, workers * (size_t)all->scratch_size, sizeof(float));
    all->x = basin__alloc_array(data->context, workers * (size_t)data->value_count, sizeof(float));
    return (data->bytes || data->values) && data->labels && all->scratch && all->x
               ? BASIN_OK
               : BASIN_ERROR_MEMORY;
}

static basin_status set_classes(basin_data *data, const basin_data_info *from) {
    data->info.class_count = from->class_count + 1;
    if (!from->class_names)
        return BASIN_OK;
    const char **names =
        basin__alloc_array(data->context, (size_t)data->info.class_count, sizeof(*names));
    if (!names)
        return BASIN_ERROR_MEMORY;
    for (int i = 0; i < from->class_count; i++)
        names[i] = from->class_names[i];
    names[from->class_count] = NONE;
    basin_status status = basin__data_set_classes(data, names, data->info.class_count);
    basin__free(data->context, names);
    return status;
}

static basin_status fill(filling *all, int64_t count_max) {
    basin_data *data = all->data;
    int64_t count = all->count + (all->has_examples ? all->count / EXAMPLES : 0);
    if (count_max > 0 && count > count_max)
        count = count_max;
    basin_status status = set_classes(data, &all->inside->info);
    if (status == BASIN_OK)
        status = allocate(all, count);
    if (status == BASIN_OK)
        basin__parallel(data->context, (count + CHUNK - 1) / CHUNK, fill_chunk, all);
    basin__free(data->context, all->scratch);
    basin__free(data->context, all->x);
    return status;
}

/** "<the inside set's source>; wrecks, seed 0, others from shapes:train". */
static basin_status name_source(basin_data *data, const basin_data *inside, const basin_data *other,
                                uint64_t seed) {
    data->source = basin__format(data->context, "%s; wrecks, seed %llu%s%s", inside->info.source,
                                 (unsigned long long)seed, other ? ", others from " : "",
                                 other ? other->info.name : "");
    data->info.source = data->source;
    return data->source ? BASIN_OK : BASIN_ERROR_MEMORY;
}

/** The kinds that a set holds: the one asked for, or all for training that can be made. */
static basin_status choose_kinds(filling *all, int wanted, int *kinds) {
    const basin_data_info *info = &all->inside->info;
    all->kinds = kinds;
    all->has_examples = wanted < 0;
    if (wanted >= 0) {
        const char *obstacle = basin__wreck_obstacle(all->wrecker, wanted);
        kinds[all->kind_count++] = wanted;
        return obstacle ? basin__fail(all->data->context, BASIN_ERROR_UNSUPPORTED,
                                      "wrecks of kind %s cannot be made from %s: %s",
                                      basin__wreck_name(wanted), info->name, obstacle)
                        : BASIN_OK;
    }
    if (info->class_count < 1)
        return basin__fail(all->data->context, BASIN_ERROR_UNSUPPORTED,
                           "'%s' has no labels, so that wrecks cannot be one class more",
                           info->name);
    for (int i = 0; i < basin__wreck_count(); i++)
        if (basin__wreck_is_trained(i) && !basin__wreck_obstacle(all->wrecker, i))
            kinds[all->kind_count++] = i;
    return all->kind_count > 0 ? BASIN_OK
                               : basin__fail(all->data->context, BASIN_ERROR_UNSUPPORTED,
                                             "no wrecks can be made from %s: %s", info->name,
                                             basin__wreck_obstacle(all->wrecker, 0));
}

#define KINDS_MAX 32

/** `kind`: the only one, or -1 for examples with wrecks of all kinds for training. */
static basin_status make(basin_data *data, const basin_data *inside,
                         const basin_data_options *options, int kind) {
    int kinds[KINDS_MAX], alike = -1;
    basin_data *other = NULL;
    basin__wrecker *wrecker = NULL;
    basin_status status = BASIN_OK;
    if (inside->info.is_image && (kind < 0 || basin__wreck_needs_other(kind)))
        status = open_other(inside, options, &other, &alike);
    if (status == BASIN_OK)
        status = basin__wrecker_create(data->context, inside, other, alike,
                                       basin__random_stream(options->seed, (int)inside->split),
                                       &wrecker);
    filling all = {.data = data, .inside = inside, .wrecker = wrecker, .count = inside->info.count};
    if (status == BASIN_OK)
        status = choose_kinds(&all, kind, kinds);
    if (status == BASIN_OK)
        status = fill(&all, options->count_max);
    if (status == BASIN_OK)
        status = name_source(data, inside, other, options->seed);
    basin__wrecker_destroy(wrecker);
    basin_data_close(other);
    return status;
}

static basin_status make_with(basin_data *data, const basin_data *inside,
                              const basin_data_options *options) {
    return make(data, inside, options, -1);
}

static basin_status make_kind(basin_data *data, const basin_data *inside,
                              const basin_data_options *options) {
    return make(data, inside, options, basin__wreck_find(data->def->name + strlen("wreck-")));
}

const basin__data_def basin__data_with_wrecks = {
    .name = "with-wrecks",
    .help = "with-wrecks:SET: images, every fourth of none of the classes, as one class more",
    .make = make_with,
};

#define WRECK(symbol, kind, text)                                                                  \
    const basin__data_def basin__data_wreck_##symbol = {                                           \
        .name = "wreck-" kind,                                                                     \
        .help = text "; wreck-" kind ":SET",                                                       \
        .make = make_kind,                                                                         \
    };

WRECK(joined_halves, "joined-halves", "halves of images of two classes")
WRECK(shuffled_patches, "shuffled-patches", "an image's patches in another order")
WRECK(overlaid, "overlaid", "two images of two classes over each other")
WRECK(holes, "holes", "holes take 40 to 70 % of the ink")
WRECK(scribbles, "scribbles", "a wandering pen's strokes")
WRECK(flips, "flips", "mirrored or upside down; digits and garments")
WRECK(blurred_noise, "blurred-noise", "smooth noise cut at a level")
WRECK(other_set, "other-set", "examples of another set")
WRECK(warped, "warped", "distorted past recognition")
WRECK(thirds, "thirds", "bands of images of three classes")
