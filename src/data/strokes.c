/* SPDX-License-Identifier: Apache-2.0 */
/*
 * strokes: handwritten-like digits, as many as are asked for.
 *
 * A digit is one of several ways to write it (glyphs.h). Its points are moved
 * as a hand would move them, from the slow to the fast:
 *
 *     proportions   upper against lower half, top against bottom width, a slow wave
 *     each point    a little; ends of strokes more; corners sometimes rounded
 *     the whole     width, slant, rotation
 *
 * A Catmull–Rom curve through them is the pen's path; its width follows the
 * pen's pressure, the direction of writing and the ends of strokes. As in
 * MNIST, the ink's box is scaled to 20 of 28 pixels and the centre of mass is
 * brought to the middle by whole pixels.
 */
#include "data/glyphs.h"
#include "data/pen.h"
#include "data/random.h"
#include "data/set.h"
#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846
#define STEPS 7 /* pieces of a curve between two of its points */
#define PATH_MAX_POINTS (BASIN__GLYPH_POINTS_MAX * (STEPS + 1))

enum { USE_LABEL, USE_DRAWING };

typedef struct path {
    basin__pen_point points[PATH_MAX_POINTS];
    int count;
} path;

/** A glyph's points after the hand has moved them; 1 is the digit's height. */
typedef struct knot {
    double x, y;
    int turn;
} knot;

static const basin__glyph *choose_glyph(basin__random *random, int digit) {
    int total = 0;
    size_t first = 0;
    while (basin__glyphs[first].digit != digit)
        first++;
    for (size_t i = first; i < basin__glyph_count && basin__glyphs[i].digit == digit; i++)
        total += basin__glyphs[i].weight;
    int ticket = basin__random_below(random, total);
    while ((ticket -= basin__glyphs[first].weight) >= 0)
        first++;
    return &basin__glyphs[first];
}

/** Slow changes that all points share. */
typedef struct habit {
    double balance;            /* y becomes y^balance */
    double taper;              /* how much wider the foot is than the head */
    double wave, cycles, turn; /* x shifts along y, y along x */
    double heave;
    double jitter, end_jitter;
    double corner_rounding; /* the share of corners that are passed smoothly */
} habit;

static habit draw_habit(basin__random *random) {
    habit h;
    h.balance = exp(basin__normal(random, 0.17));
    h.taper = basin__normal(random, 0.24);
    h.wave = basin__normal(random, 0.03);
    h.cycles = basin__uniform(random, 0.5, 1.2);
    h.turn = basin__uniform(random, 0, 1);
    h.heave = basin__normal(random, 0.04);
    h.jitter = basin__uniform(random, 0.01, 0.034);
    h.end_jitter = h.jitter + 0.022;
    h.corner_rounding = basin__uniform(random, 0, 0.5);
    return h;
}

/** Points that lie close to the one before move less, or curves would get corners. */
static double nearness(const basin__glyph *glyph, int i) {
    const basin__glyph_point *a = &glyph->points[i - 1], *b = &glyph->points[i];
    return fmin(hypot(a->x - b->x, a->y - b->y) / 32, 1);
}

/** Move a glyph's points; returns how many there are. */
static int move_points(basin__random *random, const basin__glyph *glyph, knot *knots) {
    habit h = draw_habit(random);
    int n = 0;
    for (; glyph->points[n].turn != BASIN__GLYPH_END_OF_LIST; n++) {
        const basin__glyph_point *from = &glyph->points[n];
        double x = from->x / 100.0 - 0.3, y = from->y / 100.0;
        bool is_end = from->turn == BASIN__GLYPH_LIFT || n == 0 ||
                      glyph->points[n - 1].turn == BASIN__GLYPH_LIFT;
        double spread = is_end ? h.end_jitter : h.jitter * nearness(glyph, n);
        y = pow(fmax(y, 0), h.balance);
        x *= 1 + h.taper * (y - 0.5);
        x += h.wave * sin(2 * PI * (h.cycles * y + h.turn));
        y += h.heave * sin(2 * PI * (h.cycles * x + h.turn));
        knots[n].x = x + basin__normal(random, spread);
        knots[n].y = y + basin__normal(random, spread);
        knots[n].turn = from->turn;
        if (from->turn == BASIN__GLYPH_CORNER && basin__uniform(random, 0, 1) < h.corner_rounding)
            knots[n].turn = BASIN__GLYPH_SMOOTH;
    }
    return n;
}

/** Width, slant and rotation of the whole. */
static void place_points(basin__random *random, int digit, knot *knots, int n) {
    double width = 1.15 * exp(basin__normal(random, 0.2));
    double slant =
        digit == 1 ? 0.2 + basin__normal(random, 0.28) : 0.16 + basin__normal(random, 0.2);
    double angle = basin__normal(random, 0.07);
    double c = cos(angle), s = sin(angle);
    for (int i = 0; i < n; i++) {
        double x = knots[i].x * width - slant * (knots[i].y - 0.5), y = knots[i].y - 0.5;
        knots[i].x = c * x - s * y;
        knots[i].y = s * x + c * y;
    }
}

/** Half the step from the knot before to the one after; one-sided at ends and corners. */
static void tangent(const knot *knots, int i, bool is_leaving, int first, int last, double *x,
                    double *y) {
    bool is_corner = knots[i].turn == BASIN__GLYPH_CORNER;
    int from = i == first || (is_corner && is_leaving) ? i : i - 1;
    int to = i == last || (is_corner && !is_leaving) ? i : i + 1;
    *x = 0.5 * (knots[to].x - knots[from].x);
    *y = 0.5 * (knots[to].y - knots[from].y);
}

/** The cubic from knot i to i + 1, its start included, its end left out. */
static void add_curve(path *p, const knot *knots, int i, int first, int last) {
    double ax, ay, bx, by;
    tangent(knots, i, true, first, last, &ax, &ay);
    tangent(knots, i + 1, false, first, last, &bx, &by);
    for (int step = 0; step < STEPS; step++) {
        double t = (double)step / STEPS, u = 1 - t;
        double h0 = (1 + 2 * t) * u * u, h1 = t * u * u, h2 = t * t * (3 - 2 * t), h3 = -t * t * u;
        basin__pen_point *point = &p->points[p->count++];
        point->x = h0 * knots[i].x + h1 * ax + h2 * knots[i + 1].x + h3 * bx;
        point->y = h0 * knots[i].y + h1 * ay + h2 * knots[i + 1].y + h3 * by;
        point->is_last = false;
    }
}

static void trace(path *p, const knot *knots, int n) {
    for (int first = 0; first < n;) {
        int last = first;
        while (knots[last].turn != BASIN__GLYPH_LIFT)
            last++;
        for (int i = first; i < last; i++)
            add_curve(p, knots, i, first, last);
        p->points[p->count++] = (basin__pen_point){knots[last].x, knots[last].y, 0, true};
        first = last + 1;
    }
}

/** The pen's half-width along the path, for a digit 20 pixels high. */
static void press(basin__random *random, path *p) {
    double base = 1.22 * exp(basin__normal(random, 0.24));
    base = fmin(fmax(base, 0.75), 1.95);
    double waver = basin__uniform(random, 0, 0.14), cycles = basin__uniform(random, 0.6, 2.2);
    double start = basin__uniform(random, 0, 1);
    double nib = basin__uniform(random, -0.08, 0.14), nib_angle = basin__uniform(random, 0, PI);
    double thin_end = basin__uniform(random, 0, 0.35), rough = basin__uniform(random, 0, 0.09);
    double at = 0;
    for (int i = 0; i < p->count; i++) {
        basin__pen_point *point = &p->points[i];
        const basin__pen_point *next = &p->points[point->is_last ? i - 1 : i + 1];
        double dx = next->x - point->x, dy = next->y - point->y;
        at += sqrt(dx * dx + dy * dy);
        double pressure = 1 + waver * sin(2 * PI * (cycles * at + start)) +
                          nib * cos(2 * (atan2(dy, dx) - nib_angle)) + basin__normal(random, rough);
        int to_end = 0;
        while (to_end < STEPS && !p->points[i + to_end].is_last)
            to_end++;
        pressure *= 1 - thin_end * (1 - (double)to_end / STEPS);
        point->radius = fmax(base * pressure, 0.6);
    }
}

/** The nearest whole number to `wanted` that leaves the ink inside the image. */
static double whole_shift(double wanted, double room) {
    double most = floor(fmax(room, 0));
    return fmin(fmax(round(wanted), -most), most);
}

/** Scale and shift to the image: the ink's box to `box` pixels, its mass to the middle. */
static void fit(path *p, int side) {
    double unit = side / 28.0, box = 20 * unit;
    double low_x = 1e9, high_x = -1e9, low_y = 1e9, high_y = -1e9, radius = 0;
    for (int i = 0; i < p->count; i++) {
        basin__pen_point *point = &p->points[i];
        point->radius = fmax(point->radius * unit, 0.55);
        radius = fmax(radius, point->radius);
        low_x = fmin(low_x, point->x);
        high_x = fmax(high_x, point->x);
        low_y = fmin(low_y, point->y);
        high_y = fmax(high_y, point->y);
    }
    double scale = (box - 2 * radius) / fmax(high_x - low_x, high_y - low_y);
    double mass = 0, mass_x = 0, mass_y = 0;
    for (int i = 0; i < p->count; i++) {
        basin__pen_point *point = &p->points[i];
        point->x = (point->x - 0.5 * (low_x + high_x)) * scale;
        point->y = (point->y - 0.5 * (low_y + high_y)) * scale;
        if (i > 0 && !p->points[i - 1].is_last) {
            const basin__pen_point *before = &p->points[i - 1];
            double ink = hypot(point->x - before->x, point->y - before->y) * point->radius;
            mass += ink;
            mass_x += ink * 0.5 * (point->x + before->x);
            mass_y += ink * 0.5 * (point->y + before->y);
        }
    }
    double room_x = 0.5 * (side - (high_x - low_x) * scale) - radius - 1.2;
    double room_y = 0.5 * (side - (high_y - low_y) * scale) - radius - 1.2;
    double shift_x = 0.5 * side + whole_shift(-mass_x / mass, room_x);
    double shift_y = 0.5 * side + whole_shift(-mass_y / mass, room_y);
    for (int i = 0; i < p->count; i++) {
        p->points[i].x += shift_x;
        p->points[i].y += shift_y;
    }
}

static int label_of(uint64_t stream, int64_t index) {
    basin__random random = basin__random_start(stream, index, USE_LABEL);
    return basin__random_below(&random, 10);
}

static int draw(const basin_data *data, uint64_t stream, int64_t index, float *x) {
    int digit = label_of(stream, index);
    basin__random random = basin__random_start(stream, index, USE_DRAWING);
    knot knots[BASIN__GLYPH_POINTS_MAX];
    path p = {.count = 0};
    int n = move_points(&random, choose_glyph(&random, digit), knots);
    place_points(&random, digit, knots, n);
    trace(&p, knots, n);
    press(&random, &p);
    fit(&p, data->side);
    memset(x, 0, (size_t)data->value_count * sizeof(float));
    basin__pen_draw(x, data->side, p.points, p.count, 1.1);
    basin__pen_quantise(x, data->side);
    return digit;
}

static basin_status describe(basin_data *data) {
    static const char *const classes[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    BASIN_TRY(basin__data_set_shape(data, data->info.count, data->side, data->side, 1));
    data->info.is_image = true;
    data->info.low = 0;
    data->info.high = 1;
    return basin__data_set_classes(data, classes, 10);
}

const basin__data_def basin__data_strokes = {
    .name = "strokes",
    .help = "handwritten-like digits, grey, unlimited, drawn from a seed",
    .describe = describe,
    .draw = draw,
    .label = label_of,
};
