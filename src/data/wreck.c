/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kinds of wrecks.
 *
 * Ink is 0 for paper and 1 for the darkest line, whatever the set's range. An image that is cut
 * and put together again may by chance be a legal one (the upper half of a 7 on the lower half of a
 * 9), so each kind says how wrecked its image is, as a number that is 1 where it surely is:
 *
 *     joined-halves, thirds   lines do not meet at the seams
 *     overlaid                both images show: neither lies within the other's lines
 *     shuffled-patches        much of the ink has moved
 *     holes                   40 to 70 % of the ink is gone
 *     warped                  much of the ink has moved, and nearly all is still there
 *
 * Besides, no example may be near it (data/likeness.h). Of up to TRIES images the first that meets
 * both and has about the data's ink is taken, else the most wrecked.
 *
 * Smooth displacements are those of Simard, Steinkraus and Platt (ICDAR 2003), far stronger.
 */
#include "data/wreck.h"
#include "data/likeness.h"
#include "data/pen.h"
#include "data/random.h"
#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846
#define TRIES 24
#define TRIES_FROM_FIRST 6 /* those that start from the wreck's own example */
#define BLUR_MAX 32        /* the blur's reach, pixels */
#define SCRATCH_IMAGES 5

struct basin__wrecker {
    basin_context *context;
    const basin_data *inside, *other;
    const basin_data_info *info;
    int other_alike;
    uint64_t stream;
    int64_t size;
    int label_count;             /* labels that occur, at most 3 are counted */
    const unsigned char *flips;  /* by class; NULL: not known */
    const unsigned char *groups; /* by class: those alike share one; NULL: all differ */
    double unit;                 /* pixels for one of an image of 28 × 28 */
    basin__likeness likeness;
};

/** What one wreck is made with. */
typedef struct bench {
    const basin__wrecker *from;
    basin__random *random;
    int64_t first;        /* the example to start from */
    float *a, *b, *c, *d; /* images' ink */
} bench;

typedef struct wreck_kind {
    const char *name, *help;
    bool is_trained, needs_other;
    int label_count; /* different ones that it needs */
    /** Draw ink [height, width, channels]. @return how wrecked it is, 1: surely */
    double (*make)(const bench *at, float *out);
} wreck_kind;

/* ---- examples ---- */

static int64_t draw_index(const bench *at, int64_t count) {
    return (int64_t)basin__uniform(at->random, 0, (double)count) % count;
}

static int group_of(const basin__wrecker *from, int label) {
    return from->groups && label >= 0 ? from->groups[label] : label;
}

/** Whether a label may stand beside those taken: another class, and by `is_strict` not alike. */
static bool is_new(const basin__wrecker *from, int label, const int *taken, int count,
                   bool is_strict) {
    for (int i = 0; i < count; i++)
        if (label == taken[i] || (is_strict && group_of(from, label) == group_of(from, taken[i])))
            return false;
    return label >= 0;
}

/** An example whose label differs from those taken; it becomes one of them. */
static int64_t draw_other_class(const bench *at, int *taken, int count) {
    const basin__wrecker *from = at->from;
    int64_t n = from->info->count, index = 0;
    for (int i = 0; i < 64; i++) {
        index = draw_index(at, n);
        taken[count] = basin_data_label(from->inside, index);
        if (is_new(from, taken[count], taken, count, true))
            return index;
    }
    for (int64_t i = 0; i < n; i++, index = (index + 1) % n) { /* classes that hardly occur */
        taken[count] = basin_data_label(from->inside, index);
        if (is_new(from, taken[count], taken, count, false))
            return index;
    }
    return index;
}

/* ---- images ---- */

/** Copy, moved by (down, right) over paper. */
static void move(const basin_data_info *info, const float *in, int down, int right, float *out) {
    int64_t channels = info->channels;
    for (int y = 0; y < info->height; y++)
        for (int x = 0; x < info->width; x++)
            for (int64_t c = 0; c < channels; c++) {
                int from_y = y - down, from_x = x - right;
                bool is_paper =
                    from_y < 0 || from_y >= info->height || from_x < 0 || from_x >= info->width;
                out[((int64_t)y * info->width + x) * channels + c] =
                    is_paper ? 0 : in[((int64_t)from_y * info->width + from_x) * channels + c];
            }
}

/** One axis of a blur; ends are reflected. Weights are symmetric, those of 0 to `reach`. */
static void blur_axis(const float *in, float *out, int64_t lines, int64_t line_step, int length,
                      int64_t step, const double *weights, int reach) {
    for (int64_t line = 0; line < lines; line++)
        for (int i = 0; i < length; i++) {
            double sum = 0;
            for (int k = -reach; k <= reach; k++) {
                int j = i + k;
                j = j < 0 ? -j - 1 : j >= length ? 2 * length - 1 - j : j;
                j = j < 0 ? 0 : j >= length ? length - 1 : j;
                sum += weights[k < 0 ? -k : k] * (double)in[line * line_step + j * step];
            }
            out[line * line_step + i * step] = (float)sum;
        }
}

/** Smooth Gaussian noise [height, width] with mean 0 and deviation 1. */
static void draw_field(const bench *at, double blur, float *out, float *scratch) {
    int height = at->from->info->height, width = at->from->info->width;
    int64_t area = (int64_t)height * width;
    double weights[BLUR_MAX + 1], total = 0, square = 0;
    int reach = (int)fmin(ceil(2.5 * blur), BLUR_MAX);
    for (int i = 0; i <= reach; i++) {
        weights[i] = exp(-0.5 * i * i / (blur * blur));
        total += i == 0 ? 1 : 2 * weights[i];
    }
    for (int i = 0; i <= reach; i++)
        weights[i] /= total;
    for (int64_t i = 0; i < area; i++)
        out[i] = (float)basin__normal(at->random, 1);
    blur_axis(out, scratch, height, width, width, 1, weights, reach);
    blur_axis(scratch, out, width, 1, height, width, weights, reach);
    double mean = basin__ink_sum(out, area) / (double)area;
    for (int64_t i = 0; i < area; i++)
        square += ((double)out[i] - mean) * ((double)out[i] - mean);
    double scale = 1 / sqrt(fmax(square / (double)area, 1e-12));
    for (int64_t i = 0; i < area; i++)
        out[i] = (float)(((double)out[i] - mean) * scale);
}

/** How much of the ink has moved: 0 none, 1 all. */
static double change(const float *a, const float *b, int64_t size) {
    double difference = 0, total = 0;
    for (int64_t i = 0; i < size; i++) {
        difference += fabs((double)a[i] - (double)b[i]);
        total += (double)a[i] + (double)b[i];
    }
    return total > 0 ? difference / total : 0;
}

/** 1 where ink is within 0.3 and 1.6 times the data's mean, and less the farther off. */
static double ink_fit(const basin__wrecker *wrecker, const float *x) {
    double ratio = basin__ink_sum(x, wrecker->size) / (double)wrecker->size /
                   fmax(wrecker->likeness.ink, 1e-9);
    return ratio < 0.3 ? ratio / 0.3 : ratio > 1.6 ? 1.6 / ratio : 1;
}

/* ---- halves and thirds ---- */

/**
 * How badly two lines of pixels fit, at the best of five shifts of one along the other: 0 where
 * they are the same, 1 where no ink meets ink.
 */
static double misfit(const float *a, const float *b, int length, int64_t step, int channels) {
    double best = 1;
    for (int shift = -2; shift <= 2; shift++) {
        double difference = 0, total = 0;
        for (int i = 0; i < length; i++)
            for (int c = 0; c < channels; c++) {
                int j = i + shift;
                double p = (double)a[i * step + c];
                double q = j < 0 || j >= length ? 0 : (double)b[j * step + c];
                difference += fabs(p - q);
                total += p + q;
            }
        if (total > 0.5)
            best = fmin(best, difference / total);
    }
    return best;
}

/** Rows [start, end) of an image, or columns. */
static void copy_band(const basin_data_info *info, bool is_rows, int start, int end,
                      const float *in, float *out) {
    int64_t row = (int64_t)info->width * info->channels;
    for (int y = 0; y < info->height; y++) {
        int64_t from = y * row + (is_rows ? 0 : (int64_t)start * info->channels);
        int64_t run = is_rows ? row : (int64_t)(end - start) * info->channels;
        if (!is_rows || (y >= start && y < end))
            memcpy(out + from, in + from, (size_t)run * sizeof(float));
    }
}

static double ink_of_band(const basin_data_info *info, bool is_rows, int start, int end,
                          const float *x) {
    double sum = 0;
    for (int y = is_rows ? start : 0; y < (is_rows ? end : info->height); y++)
        for (int column = is_rows ? 0 : start; column < (is_rows ? info->width : end); column++)
            for (int c = 0; c < info->channels; c++)
                sum += (double)x[((int64_t)y * info->width + column) * info->channels + c];
    return sum;
}

/** To either side, by more than a line's width, so that no line runs on by chance. */
static int draw_shift(const bench *at) {
    int shift = (int)lround(basin__uniform(at->random, 2.5, 6.5) * at->from->unit);
    return basin__random_below(at->random, 2) == 0 ? shift : -shift;
}

/** Bands of `count` images of different classes, one after the other. */
static double join(const bench *at, bool is_rows, int count, float *out) {
    const basin_data_info *info = at->from->info;
    int length = is_rows ? info->height : info->width,
        across = is_rows ? info->width : info->height;
    int64_t row = (int64_t)info->width * info->channels;
    int64_t along_step = is_rows ? row : info->channels;
    int taken[3];
    double worst = 1, share = at->from->likeness.ink * (double)at->from->size / count;
    for (int i = 0; i < count; i++) {
        int64_t index = i == 0 ? at->first : draw_other_class(at, taken, i);
        if (i == 0)
            taken[0] = basin_data_label(at->from->inside, index);
        int start = length * i / count, end = length * (i + 1) / count;
        int shift = i == 0 || info->channels > 1 ? 0 : draw_shift(at);
        basin__ink_get(at->from->inside, index, at->a);
        move(info, at->a, is_rows ? 0 : shift, is_rows ? shift : 0, at->b);
        copy_band(info, is_rows, start, end, at->b, out);
        worst = fmin(worst, ink_of_band(info, is_rows, start, end, out) / (0.4 * share));
        if (i > 0) {
            const float *seam = out + start * along_step;
            double fit = misfit(seam - along_step, seam, across, is_rows ? info->channels : row,
                                info->channels);
            worst = fmin(worst, fit / 0.85);
        }
    }
    return worst;
}

static double make_joined(const bench *at, float *out) {
    return join(at, basin__random_below(at->random, 2) == 0, 2, out);
}

static double make_thirds(const bench *at, float *out) { return join(at, true, 3, out); }

/* ---- shuffled patches ---- */

static void draw_order(basin__below below, void *user, int *order, int count) {
    bool is_identity = true;
    while (is_identity) {
        for (int i = 0; i < count; i++)
            order[i] = i;
        for (int i = count - 1; i > 0; i--) { /* Fisher–Yates */
            int j = (int)below(user, (uint32_t)i + 1);
            int kept = order[i];
            order[i] = order[j];
            order[j] = kept;
        }
        for (int i = 0; i < count; i++)
            is_identity = is_identity && order[i] == i;
    }
}

void basin__patches_shuffle(const basin_data_info *info, int side, basin__below below, void *user,
                            int *order, const float *inside, float *out) {
    int columns = info->width / side, count = info->height / side * columns;
    int64_t row = (int64_t)info->width * info->channels, run = (int64_t)side * info->channels;
    draw_order(below, user, order, count);
    for (int i = 0; i < count; i++) {
        int j = order[i];
        for (int y = 0; y < side; y++)
            memcpy(out + (i / columns * side + y) * row + i % columns * run,
                   inside + (j / columns * side + y) * row + j % columns * run,
                   (size_t)run * sizeof(float));
    }
}

static uint32_t below_random(void *user, uint32_t bound) {
    return (uint32_t)basin__random_below(user, (int)bound);
}

/** The sides of patches that the image can be cut into. */
static int patch_sides(const basin_data_info *info, int sides[4]) {
    const int wanted[] = {4, 7, 14, info->height / 4};
    int count = 0;
    for (int i = 0; i < 4; i++) {
        int side = wanted[i];
        bool is_cut = side > 1 && info->height % side == 0 && info->width % side == 0;
        int64_t patches = is_cut ? (int64_t)(info->height / side) * (info->width / side) : 0;
        if (patches >= 4 && patches <= BASIN__PATCHES_MAX && (i < 3 || count == 0))
            sides[count++] = side;
    }
    return count;
}

static double make_shuffled(const bench *at, float *out) {
    int sides[4], order[BASIN__PATCHES_MAX];
    int side = sides[basin__random_below(at->random, patch_sides(at->from->info, sides))];
    basin__ink_get(at->from->inside, at->first, at->a);
    basin__patches_shuffle(at->from->info, side, below_random, at->random, order, at->a, out);
    return change(at->a, out, at->from->size) / 0.5;
}

/* ---- overlaid ---- */

/** The share of b's ink that lies more than a pixel from a's. */
static double uncovered(const basin_data_info *info, const float *a, const float *b) {
    int64_t channels = info->channels;
    double shown = 0, total = 0;
    for (int y = 0; y < info->height; y++)
        for (int x = 0; x < info->width; x++)
            for (int64_t c = 0; c < channels; c++) {
                float near = 0;
                for (int v = y > 0 ? y - 1 : 0; v <= y + 1 && v < info->height; v++)
                    for (int u = x > 0 ? x - 1 : 0; u <= x + 1 && u < info->width; u++)
                        near = fmaxf(near, a[((int64_t)v * info->width + u) * channels + c]);
                double ink = (double)b[((int64_t)y * info->width + x) * channels + c];
                total += ink;
                shown += fmax(ink - (double)near, 0);
            }
    return total > 0 ? shown / total : 0;
}

static double make_overlaid(const bench *at, float *out) {
    const basin__wrecker *from = at->from;
    int taken[2] = {basin_data_label(from->inside, at->first)};
    int64_t second = draw_other_class(at, taken, 1);
    int most = from->info->channels > 1 ? 0 : (int)lround(3 * from->unit);
    int down = basin__random_below(at->random, 2 * most + 1) - most;
    int right = basin__random_below(at->random, 2 * most + 1) - most;
    basin__ink_get(from->inside, at->first, at->a);
    basin__ink_get(from->inside, second, at->c);
    move(from->info, at->c, down, right, at->b);
    for (int64_t i = 0; i < from->size; i++)
        out[i] = fmaxf(at->a[i], at->b[i]);
    if (ink_fit(from, out) < 0.8)
        return 0.5; /* not worth the look */
    double shown = fmin(uncovered(from->info, at->a, at->b), uncovered(from->info, at->b, at->a));
    return shown / (from->groups ? 0.3 : 0.45);
}

/* ---- holes ---- */

/** Take the ink in a disc or a rectangle; edges are a pixel soft. */
static void cut_hole(const bench *at, double y, double x, double radius, float *out) {
    const basin_data_info *info = at->from->info;
    bool is_disc = basin__random_below(at->random, 2) == 0;
    double stretch = exp(basin__uniform(at->random, -0.4, 0.4));
    double tall = is_disc ? radius : 0.89 * radius * stretch;
    double wide = is_disc ? radius : 0.89 * radius / stretch;
    int top = (int)fmax(floor(y - tall), 0), left = (int)fmax(floor(x - wide), 0);
    int bottom = (int)fmin(ceil(y + tall), info->height - 1);
    int right = (int)fmin(ceil(x + wide), info->width - 1);
    for (int row = top; row <= bottom; row++)
        for (int column = left; column <= right; column++) {
            double dy = fabs(row - y), dx = fabs(column - x);
            double depth = is_disc ? radius - hypot(dy, dx) : fmin(tall - dy, wide - dx);
            float kept = (float)fmin(fmax(0.5 - depth, 0), 1);
            for (int c = 0; c < info->channels; c++)
                out[((int64_t)row * info->width + column) * info->channels + c] *= kept;
        }
}

static double make_holes(const bench *at, float *out) {
    const basin__wrecker *from = at->from;
    const basin_data_info *info = from->info;
    int64_t size = from->size, area = size / info->channels;
    basin__ink_get(from->inside, at->first, at->a);
    memcpy(out, at->a, (size_t)size * sizeof(float));
    double total = basin__ink_sum(out, size), wanted = basin__uniform(at->random, 0.45, 0.65);
    /* Few and large, or the eye fills them; lines cover about half of what a hole takes. */
    double holes = basin__uniform(at->random, 1.5, 4);
    double radius = sqrt(2 * total / info->channels * wanted / (PI * holes));
    radius = fmax(radius, 2.2 * from->unit);
    for (int tries = 0; basin__ink_sum(out, size) > (1 - wanted) * total && tries < 4000; tries++) {
        int64_t i = draw_index(at, area);
        if ((double)out[i * info->channels] < 0.25)
            continue;
        cut_hole(at, (double)(i / info->width), (double)(i % info->width),
                 radius * basin__uniform(at->random, 0.8, 1.3), out);
    }
    double gone = total > 0 ? 1 - basin__ink_sum(out, size) / total : 0;
    double left = basin__ink_sum(out, size) / (from->likeness.ink * (double)size);
    return gone >= 0.4 && gone <= 0.7 ? left / 0.45 : 0;
}

/* ---- scribbles ---- */

#define STROKES_MAX 5
#define WALK_MAX 120 /* points */

/** A walk whose curvature wavers and which turns back at the edge of the written box. */
static int walk(const bench *at, int count, double radius, basin__pen_point *points) {
    double side = at->from->info->width, unit = at->from->unit, centre = 0.5 * side;
    double half = 9.5 * unit - radius;
    double x = centre + basin__uniform(at->random, -half, half);
    double y = centre + basin__uniform(at->random, -half, half);
    double heading = basin__uniform(at->random, 0, 2 * PI), bend = basin__normal(at->random, 0.25);
    double waver = basin__uniform(at->random, 0.05, 0.2);
    for (int i = 0; i < count; i++) {
        points[i] = (basin__pen_point){x, y, radius, i == count - 1};
        points[i].radius *= 1 + 0.12 * sin(0.7 * i + heading);
        bend = 0.9 * bend + basin__normal(at->random, waver);
        if (fmax(fabs(x - centre), fabs(y - centre)) > half) {
            double turn = remainder(atan2(centre - y, centre - x) - heading, 2 * PI);
            bend = turn > 0 ? 0.45 : -0.45;
        }
        heading += bend;
        x += unit * cos(heading);
        y += unit * sin(heading);
    }
    return count;
}

static double make_scribbles(const bench *at, float *out) {
    const basin__wrecker *from = at->from;
    basin__pen_point points[WALK_MAX];
    int side = from->info->width, strokes = 2 + basin__random_below(at->random, STROKES_MAX - 2);
    int length = 45 + basin__random_below(at->random, 30), count = 0;
    basin__ink_get(from->inside, at->first, at->a);
    double ink = basin__ink_sum(at->a, from->size), darkest = 0;
    for (int64_t i = 0; i < from->size; i++)
        darkest = fmax(darkest, (double)at->a[i]);
    /* The pen is as wide as gives the example's ink, a little of which falls on lines drawn. */
    double radius = 0.6 * ink / (fmax(darkest, 0.1) * length * from->unit);
    radius = fmin(fmax(radius, 0.7 * from->unit), 2.8 * from->unit);
    for (int i = 0; i < strokes; i++)
        count += walk(at, length / strokes, radius, points + count);
    memset(out, 0, (size_t)from->size * sizeof(float));
    basin__pen_draw(out, side, points, count, 1.1);
    for (int64_t i = 0; i < from->size; i++)
        out[i] *= (float)darkest;
    return 1;
}

/* ---- flips ---- */

enum { MIRROR = 1, UPSIDE_DOWN = 2, HALF_TURN = 4 };

/**
 * 0, 1 and 8 stay what they are; 2 and 5 become each other; 3 upside down is a 3; a 6 turned by
 * half is a 9, and a 7 may look like a 2.
 */
static const unsigned char digit_flips[10] = {
    [3] = MIRROR | HALF_TURN,   [4] = MIRROR | UPSIDE_DOWN | HALF_TURN,
    [6] = MIRROR | UPSIDE_DOWN, [7] = MIRROR | UPSIDE_DOWN,
    [9] = MIRROR | UPSIDE_DOWN,
};

/** A mirrored garment is one, and a bag lies on any side. */
static const unsigned char garment_flips[10] = {
    UPSIDE_DOWN, UPSIDE_DOWN, UPSIDE_DOWN, UPSIDE_DOWN, UPSIDE_DOWN,
    UPSIDE_DOWN, UPSIDE_DOWN, UPSIDE_DOWN, 0,           UPSIDE_DOWN,
};

/** Tops and dresses, trousers, shoes, bags. */
static const unsigned char garment_groups[10] = {0, 1, 0, 0, 0, 2, 0, 2, 3, 2};

/** An example whose class has a legal flip: the first one's neighbours are tried in turn. */
static int64_t find_flippable(const bench *at) {
    const basin__wrecker *from = at->from;
    int64_t n = from->info->count, index = at->first;
    for (int64_t i = 0; i < n; i++, index = draw_index(at, n)) {
        int label = basin_data_label(from->inside, index);
        if (label >= 0 && from->flips[label] != 0)
            return index;
    }
    return index;
}

static double make_flips(const bench *at, float *out) {
    const basin_data_info *info = at->from->info;
    int64_t index = find_flippable(at);
    int label = basin_data_label(at->from->inside, index);
    int allowed = label < 0 ? 0 : at->from->flips[label], flip = 0;
    while (allowed != 0 && flip == 0)
        flip = allowed & 1 << basin__random_below(at->random, 3);
    bool is_mirrored = flip != UPSIDE_DOWN, is_upside_down = flip != MIRROR;
    basin__ink_get(at->from->inside, index, at->a);
    for (int y = 0; y < info->height; y++)
        for (int x = 0; x < info->width; x++) {
            int from_y = is_upside_down ? info->height - 1 - y : y;
            int from_x = is_mirrored ? info->width - 1 - x : x;
            memcpy(out + ((int64_t)y * info->width + x) * info->channels,
                   at->a + ((int64_t)from_y * info->width + from_x) * info->channels,
                   (size_t)info->channels * sizeof(float));
        }
    return 1;
}

/* ---- blurred noise ---- */

/** The field as ink above a level, with soft edges. */
static double ink_above(const float *field, int64_t area, double level, double peak,
                        int64_t channels, float *out) {
    double sum = 0;
    for (int64_t i = 0; i < area; i++) {
        double ink = peak * fmin(fmax(0.5 + ((double)field[i] - level) / 0.5, 0), 1);
        out[i * channels] = (float)ink;
        sum += ink;
    }
    return sum;
}

static double make_noise(const bench *at, float *out) {
    const basin__wrecker *from = at->from;
    const basin_data_info *info = from->info;
    int64_t area = from->size / info->channels;
    double blur = from->unit * basin__uniform(at->random, 1, 2.4);
    basin__ink_get(from->inside, at->first, at->a);
    for (int c = 0; c < info->channels; c++) {
        double ink = 0, peak = 0, low = -30, high = 10;
        for (int64_t i = c; i < from->size; i += info->channels) {
            ink += (double)at->a[i];
            peak = fmax(peak, (double)at->a[i]);
        }
        draw_field(at, blur, at->b, at->d);
        for (int64_t i = 0; i < area; i++) { /* less to the edges, as data are framed by paper */
            double y = 2.0 * (double)(i / info->width) / (info->height - 1.0) - 1;
            double x = 2.0 * (double)(i % info->width) / (info->width - 1.0) - 1;
            at->b[i] -= (float)(info->channels > 1 ? 0 : 3 * pow(fmax(fabs(x), fabs(y)), 4));
        }
        for (int step = 0; step < 30; step++) {
            double middle = 0.5 * (low + high);
            if (ink_above(at->b, area, middle, peak, info->channels, out + c) > ink)
                low = middle;
            else
                high = middle;
        }
    }
    return 1;
}

/* ---- examples of another set ---- */

static double make_other(const bench *at, float *out) {
    const basin_data *other = at->from->other;
    const int64_t n = basin_data_describe(other)->count;
    int64_t index = draw_index(at, n);
    for (int64_t i = 0; i < n && basin_data_label(other, index) == at->from->other_alike; i++)
        index = (index + 1) % n;
    basin__ink_get(other, index, out);
    return 1;
}

/* ---- warped ---- */

static float look(const basin_data_info *info, const float *in, double y, double x, int c) {
    double top = floor(y), left = floor(x), v = y - top, u = x - left, sum = 0;
    for (int i = 0; i < 4; i++) {
        int row = (int)top + i / 2, column = (int)left + i % 2;
        double weight = (i / 2 ? v : 1 - v) * (i % 2 ? u : 1 - u);
        if (row >= 0 && row < info->height && column >= 0 && column < info->width)
            sum += weight * (double)in[((int64_t)row * info->width + column) * info->channels + c];
    }
    return (float)sum;
}

/** Displacements [height, width]: crossing waves, or smooth noise. */
static void draw_displacement(const bench *at, float *down, float *right) {
    const basin_data_info *info = at->from->info;
    int64_t area = (int64_t)info->height * info->width;
    double unit = at->from->unit, most = unit * basin__uniform(at->random, 4, 6);
    if (basin__random_below(at->random, 2) == 0) {
        double blur = unit * basin__uniform(at->random, 2.2, 3.2);
        draw_field(at, blur, down, at->c);
        draw_field(at, blur, right, at->c);
        for (int64_t i = 0; i < area; i++) {
            down[i] *= (float)most;
            right[i] *= (float)most;
        }
        return;
    }
    double cycles = basin__uniform(at->random, 1.6, 2.8), start = basin__uniform(at->random, 0, 7);
    double other = basin__uniform(at->random, 1.6, 2.8);
    for (int64_t i = 0; i < area; i++) {
        double y = (double)(i / info->width) / info->height;
        double x = (double)(i % info->width) / info->width;
        down[i] = (float)(most * sin(2 * PI * cycles * x + start));
        right[i] = (float)(most * sin(2 * PI * other * y + 2 * start));
    }
}

static double make_warped(const bench *at, float *out) {
    const basin_data_info *info = at->from->info;
    float *down = at->b, *right = at->d;
    basin__ink_get(at->from->inside, at->first, at->a);
    draw_displacement(at, down, right);
    for (int y = 0; y < info->height; y++)
        for (int x = 0; x < info->width; x++) {
            int64_t i = (int64_t)y * info->width + x;
            for (int c = 0; c < info->channels; c++)
                out[i * info->channels + c] =
                    look(info, at->a, y + (double)down[i], x + (double)right[i], c);
        }
    double kept =
        basin__ink_sum(out, at->from->size) / fmax(basin__ink_sum(at->a, at->from->size), 1e-9);
    return fmin(change(at->a, out, at->from->size) / 0.5, kept / 0.7);
}

/* ---- kinds ---- */

static const wreck_kind kinds[] = {
    {"joined-halves", "halves of images of two classes, whose lines do not meet", true, false, 2,
     make_joined},
    {"shuffled-patches", "patches of 4, 7 or 14 pixels a side in another order", true, false, 0,
     make_shuffled},
    {"overlaid", "two images of two classes over each other", true, false, 2, make_overlaid},
    {"holes", "holes that take 40 to 70 % of the ink", true, false, 0, make_holes},
    {"scribbles", "two to four strokes of a wandering pen, with an example's ink", true, false, 0,
     make_scribbles},
    {"flips", "mirrored or upside down, where no class looks so", true, false, 1, make_flips},
    {"blurred-noise", "smooth noise cut at a level, with an example's ink", true, false, 0,
     make_noise},
    {"other-set", "examples of another set of the same shape", true, true, 0, make_other},
    {"warped", "distorted past recognition; not for training", false, false, 0, make_warped},
    {"thirds", "bands of images of three classes; not for training", false, false, 3, make_thirds},
};

int basin__wreck_count(void) { return (int)BASIN_COUNT(kinds); }
const char *basin__wreck_name(int kind) { return kinds[kind].name; }
const char *basin__wreck_help(int kind) { return kinds[kind].help; }
bool basin__wreck_is_trained(int kind) { return kinds[kind].is_trained; }
bool basin__wreck_needs_other(int kind) { return kinds[kind].needs_other; }

int basin__wreck_find(const char *name) {
    for (int i = 0; i < basin__wreck_count(); i++)
        if (strcmp(kinds[i].name, name) == 0)
            return i;
    return -1;
}

/* ---- the wrecker ---- */

static bool are_classes(const basin_data_info *info, const char *const *names) {
    if (info->class_count != 10 || !info->class_names)
        return false;
    for (int i = 0; i < 10; i++)
        if (strcmp(info->class_names[i], names[i]) != 0)
            return false;
    return true;
}

static void know_classes(basin__wrecker *wrecker) {
    static const char *const digits[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    static const char *const garments[] = {"T-shirt/top", "Trouser",   "Pullover", "Dress",
                                           "Coat",        "Sandal",    "Shirt",    "Sneaker",
                                           "Bag",         "Ankle boot"};
    if (are_classes(wrecker->info, digits))
        wrecker->flips = digit_flips;
    if (are_classes(wrecker->info, garments)) {
        wrecker->flips = garment_flips;
        wrecker->groups = garment_groups;
    }
}

static void count_labels(basin__wrecker *wrecker) {
    int seen[3];
    for (int64_t i = 0; i < wrecker->info->count && wrecker->label_count < 3; i++) {
        int label = basin_data_label(wrecker->inside, i);
        if (is_new(wrecker, label, seen, wrecker->label_count, false))
            seen[wrecker->label_count++] = label;
    }
}

basin_status basin__wrecker_create(basin_context *context, const basin_data *inside,
                                   const basin_data *other, int other_alike, uint64_t stream,
                                   basin__wrecker **out) {
    const basin_data_info *info = basin_data_describe(inside);
    *out = NULL;
    if (!info->is_image)
        return basin__fail(context, BASIN_ERROR_UNSUPPORTED,
                           "wrecks are made of images; %s holds points", info->name);
    basin__wrecker *wrecker = basin__alloc(context, sizeof(*wrecker));
    if (!wrecker)
        return BASIN_ERROR_MEMORY;
    *wrecker = (basin__wrecker){.context = context,
                                .inside = inside,
                                .other = other,
                                .info = info,
                                .other_alike = other_alike,
                                .stream = stream,
                                .size = (int64_t)info->height * info->width * info->channels,
                                .unit = sqrt((double)info->height * info->width) / 28};
    know_classes(wrecker);
    count_labels(wrecker);
    basin_status status = basin__likeness_init(context, &wrecker->likeness, inside);
    if (status != BASIN_OK) {
        basin__wrecker_destroy(wrecker);
        return status;
    }
    *out = wrecker;
    return BASIN_OK;
}

void basin__wrecker_destroy(basin__wrecker *wrecker) {
    if (!wrecker)
        return;
    basin__likeness_reset(wrecker->context, &wrecker->likeness);
    basin__free(wrecker->context, wrecker);
}

const char *basin__wreck_obstacle(const basin__wrecker *wrecker, int kind) {
    const basin_data_info *info = wrecker->info;
    int sides[4];
    if (info->height < 8 || info->width < 8)
        return "sides are below 8 pixels";
    if (wrecker->label_count < kinds[kind].label_count)
        return kinds[kind].label_count == 3   ? "it needs three classes"
               : kinds[kind].label_count == 2 ? "it needs two classes"
                                              : "it needs labels";
    if (kinds[kind].make == make_flips && !wrecker->flips)
        return "which flips are legal is known of digits and garments alone";
    if (kinds[kind].make == make_shuffled && patch_sides(info, sides) == 0)
        return "the sides must be multiples of 4, 7 or 14";
    if (kinds[kind].make == make_scribbles && (info->height != info->width || info->channels != 1))
        return "the pen draws on square grey images";
    if (kinds[kind].needs_other && !wrecker->other)
        return "no other set has the same shape";
    return NULL;
}

int64_t basin__wreck_scratch(const basin__wrecker *wrecker) {
    return SCRATCH_IMAGES * wrecker->size + basin__likeness_scratch(&wrecker->likeness);
}

void basin__wreck_draw(const basin__wrecker *wrecker, int kind, int64_t number, float *x,
                       float *scratch) {
    int64_t size = wrecker->size, n = wrecker->info->count;
    basin__random random = basin__random_start(wrecker->stream, number, (uint64_t)kind);
    float *tried = scratch + 4 * size;
    double best = -1;
    for (int i = 0; i < TRIES && best < 1; i++) {
        bench at = {.from = wrecker,
                    .random = &random,
                    .first = number % n,
                    .a = scratch,
                    .b = scratch + size,
                    .c = scratch + 2 * size,
                    .d = scratch + 3 * size};
        if (i >= TRIES_FROM_FIRST)
            at.first = draw_index(&at, n);
        double score = fmin(kinds[kind].make(&at, tried), 1) * ink_fit(wrecker, tried);
        if (score > best) /* what is left can but lower it */
            score *= basin__likeness_strangeness(&wrecker->likeness, tried, tried + size);
        if (score > best) {
            memcpy(x, tried, (size_t)size * sizeof(float));
            best = score;
        }
    }
    float low = wrecker->info->low, span = wrecker->info->high - low;
    for (int64_t i = 0; i < size; i++)
        x[i] = low + span * fminf(fmaxf(x[i], 0), 1);
}
