/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data sets by trait: the images of another set, 28 x 28 and grey, told apart by how they are
 * written rather than by what. Two traits, each a number of the ink x in [0, 1]:
 *
 *   stroke width   2 Σ x / Σ |∇x| pixels. A stroke of length L and width w has the ink L w and an
 *                  outline of 2 L, which is what the total variation measures.    thick: 2.8 or
 * more slant          −Σ x (u − ū)(v − v̄) / Σ x (v − v̄)², u to the right and v downwards from the
 *                  centre of ink: the shear that would make it upright.         slanted: 0.3 or
 * more
 *
 * The thresholds are rounded 75th percentiles of MNIST's 50,000 training digits, 2.803 and 0.293.
 *
 * with-thickness and with-slant have the trait as label, 0 without and 1 with it. For a model that
 * has never seen a digit with its trait, -less-sevens leaves out the sevens that have it, and
 * with-digits-less-… does so, too, and keeps the digits' labels.
 */
#include "data/set.h"
#include <math.h>
#include <string.h>

#define SIDE 28
#define PIXELS (SIDE * SIDE)
#define SEVEN 7

static double stroke_width(const double *ink) {
    double area = 0, outline = 0;
    for (int i = 0; i < PIXELS; i++) {
        const double right = i % SIDE + 1 < SIDE ? ink[i + 1] : 0;
        const double below = i / SIDE + 1 < SIDE ? ink[i + SIDE] : 0;
        area += ink[i];
        outline += hypot(right - ink[i], below - ink[i]);
    }
    return outline > 0 ? 2 * area / outline : 0;
}

static double slant(const double *ink) {
    double area = 0, u = 0, v = 0, across = 0, along = 0;
    for (int i = 0; i < PIXELS; i++) {
        area += ink[i];
        u += ink[i] * (i % SIDE);
        v += ink[i] * (double)(i / SIDE);
    }
    for (int i = 0; i < PIXELS && area > 0; i++) {
        across += ink[i] * (i % SIDE - u / area) * ((double)(i / SIDE) - v / area);
        along += ink[i] * pow((double)(i / SIDE) - v / area, 2);
    }
    return along > 0 ? -across / along : 0;
}

typedef struct trait {
    double (*measure)(const double *ink);
    double threshold;
    const char *names[2];
} trait;

static const trait thickness = {stroke_width, 2.8, {"thin", "thick"}};
static const trait slantedness = {slant, 0.3, {"upright", "slanted"}};

/** A set of the list: which trait, and what is done with it. */
typedef struct variant {
    const char *name;
    const trait *of;
    bool is_label;    /* it replaces the digits */
    bool less_sevens; /* without the sevens that have it */
} variant;

static const variant variants[] = {
    {"with-thickness", &thickness, true, false},
    {"with-slant", &slantedness, true, false},
    {"with-thickness-less-sevens", &thickness, true, true},
    {"with-slant-less-sevens", &slantedness, true, true},
    {"with-digits-less-thick-sevens", &thickness, false, true},
    {"with-digits-less-slanted-sevens", &slantedness, false, true},
};

static const variant *find_variant(const char *name) {
    size_t i = 0;
    while (strcmp(variants[i].name, name) != 0)
        i++;
    return &variants[i];
}

static basin_status check(const basin_data *data, const basin_data *inside, const variant *as) {
    const basin_data_info *info = &inside->info;
    if (!info->is_image || info->height != SIDE || info->width != SIDE || info->channels != 1)
        return basin__fail(data->context, BASIN_ERROR_SHAPE,
                           "%s is of grey images of 28 x 28, and %s has %d x %d x %d", as->name,
                           info->name, info->height, info->width, info->channels);
    if (as->less_sevens && info->class_count <= SEVEN)
        return basin__fail(data->context, BASIN_ERROR_UNSUPPORTED,
                           "%s leaves out sevens, and %s has no such label", as->name, info->name);
    return BASIN_OK;
}

/** Whether an example, which goes to x, has the trait. */
static bool has_trait(const basin_data *inside, int64_t index, const trait *of, float *x) {
    double ink[PIXELS];
    const double low = (double)inside->info.low, span = (double)inside->info.high - low;
    basin_data_get(inside, index, x);
    for (int i = 0; i < PIXELS; i++)
        ink[i] = fmin(fmax(((double)x[i] - low) / span, 0), 1);
    return of->measure(ink) >= of->threshold;
}

static void store(basin_data *data, int64_t at, const float *x, int label) {
    for (int i = 0; i < PIXELS; i++) {
        if (data->bytes)
            data->bytes[at * PIXELS + i] = (unsigned char)lrintf(x[i] * 255.0f);
        else
            data->values[at * PIXELS + i] = x[i];
    }
    data->labels[at] = label;
}

/** Those of the inside set that are kept. @return how many */
static int64_t fill(basin_data *data, const basin_data *inside, const variant *as,
                    int64_t count_max) {
    float x[PIXELS];
    int64_t count = 0;
    for (int64_t i = 0; i < inside->info.count && count < count_max; i++) {
        const int label = inside->info.class_count > 0 ? basin_data_label(inside, i) : -1;
        const bool has = has_trait(inside, i, as->of, x);
        if (!(as->less_sevens && has && label == SEVEN))
            store(data, count++, x, as->is_label ? has : label);
    }
    return count;
}

static basin_status set_classes(basin_data *data, const basin_data *inside, const variant *as) {
    if (as->is_label)
        return basin__data_set_classes(data, as->of->names, 2);
    data->info.class_count = inside->info.class_count;
    return inside->info.class_names
               ? basin__data_set_classes(data, inside->info.class_names, data->info.class_count)
               : BASIN_OK;
}

static basin_status make(basin_data *data, const basin_data *inside,
                         const basin_data_options *options) {
    const variant *as = find_variant(data->def->name);
    int64_t count = inside->info.count;
    BASIN_TRY(check(data, inside, as));
    BASIN_TRY(set_classes(data, inside, as));
    if (options->count_max > 0 && count > options->count_max)
        count = options->count_max;
    BASIN_TRY(basin__data_set_shape(data, count, SIDE, SIDE, 1));
    data->info.is_image = true;
    data->info.low = inside->info.low;
    data->info.high = inside->info.high;
    if (inside->values)
        data->values = basin__alloc_array(data->context, (size_t)(count * PIXELS), sizeof(float));
    else
        data->bytes = basin__alloc_array(data->context, (size_t)(count * PIXELS), 1);
    data->labels = basin__alloc_array(data->context, (size_t)count, sizeof(*data->labels));
    if (!data->labels || (!data->values && !data->bytes))
        return BASIN_ERROR_MEMORY;
    data->info.count = fill(data, inside, as, count);
    data->source = basin__format(data->context, "%s; %s from %g", inside->info.source,
                                 as->of->names[1], as->of->threshold);
    data->info.source = data->source;
    return data->source ? BASIN_OK : BASIN_ERROR_MEMORY;
}

#define TRAIT(symbol, text, about)                                                                 \
    const basin__data_def basin__data_##symbol = {.name = text, .help = about, .make = make};

TRAIT(with_thickness, "with-thickness", "digits, thick strokes or not as label; with-thickness:SET")
TRAIT(with_slant, "with-slant", "digits, slanted or not as label; with-slant:SET")
TRAIT(with_thickness_less_sevens, "with-thickness-less-sevens", "the same without thick sevens")
TRAIT(with_slant_less_sevens, "with-slant-less-sevens", "the same without slanted sevens")
TRAIT(with_digits_less_thick_sevens, "with-digits-less-thick-sevens",
      "a set of digits without thick sevens")
TRAIT(with_digits_less_slanted_sevens, "with-digits-less-slanted-sevens",
      "a set of digits without slanted sevens")
