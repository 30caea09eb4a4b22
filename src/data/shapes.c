/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shapes: geometric figures, as many as are asked for.
 *
 * A figure is a closed polygon around the origin, a circle one of many sides,
 * with its own size, place, rotation and grey level, filled or outlined. Ink at
 * a pixel comes from its signed distance to the polygon: distance to the
 * nearest side, negative inside (by the crossing number).
 */
#include "data/pen.h"
#include "data/random.h"
#include "data/set.h"
#include <math.h>

#define PI 3.14159265358979323846
#define CORNERS_MAX 40

enum { USE_LABEL, USE_DRAWING };

static const char *const class_names[] = {"circle", "square", "triangle",
                                          "cross",  "star",   "half-disc"};

enum { CIRCLE, SQUARE, TRIANGLE, CROSS, STAR, HALF_DISC, CLASS_COUNT };

typedef struct polygon {
    double x[CORNERS_MAX], y[CORNERS_MAX];
    int count;
} polygon;

static void add(polygon *p, double x, double y) {
    p->x[p->count] = x;
    p->y[p->count++] = y;
}

/** Corners at radius 1, by turns at `inner`. */
static void add_ring(polygon *p, int count, double inner) {
    for (int i = 0; i < count; i++) {
        double radius = i % 2 ? inner : 1, angle = 2 * PI * i / count - PI / 2;
        add(p, radius * cos(angle), radius * sin(angle));
    }
}

/** Four arms: the corners of one, turned by a quarter each time. */
static void add_cross(polygon *p, double half) {
    const double arm[3][2] = {{half, -half}, {1, -half}, {1, half}};
    for (int i = 0; i < 12; i++) {
        double x = arm[i % 3][0], y = arm[i % 3][1];
        for (int turn = 0; turn < i / 3; turn++) {
            double swap = x;
            x = -y;
            y = swap;
        }
        add(p, x, y);
    }
}

/** The lower half of the unit disc, moved so that the origin is inside. */
static void add_half_disc(polygon *p) {
    for (int i = 0; i < 20; i++)
        add(p, cos(PI * i / 19), sin(PI * i / 19) - 0.4);
}

static void draw_outline(basin__random *random, int label, polygon *p) {
    p->count = 0;
    switch (label) {
    case CIRCLE:
        add_ring(p, CORNERS_MAX, 1);
        break;
    case SQUARE:
        add_ring(p, 4, 1);
        break;
    case TRIANGLE:
        add_ring(p, 3, 1);
        break;
    case CROSS:
        add_cross(p, basin__uniform(random, 0.22, 0.4));
        break;
    case STAR:
        add_ring(p, 10, basin__uniform(random, 0.38, 0.5));
        break;
    default:
        add_half_disc(p);
    }
}

/** Bring the polygon to its place in an image of `side` pixels. */
static void place(basin__random *random, int side, polygon *p) {
    double radius = side * basin__uniform(random, 0.22, 0.4);
    double room = fmax(0.5 * side - radius - 1, 0);
    double x = 0.5 * side + basin__uniform(random, -room, room);
    double y = 0.5 * side + basin__uniform(random, -room, room);
    double angle = basin__uniform(random, 0, 2 * PI), c = cos(angle), s = sin(angle);
    for (int i = 0; i < p->count; i++) {
        double px = radius * p->x[i], py = radius * p->y[i];
        p->x[i] = x + c * px - s * py;
        p->y[i] = y + s * px + c * py;
    }
}

/** How far (x, y) is from the polygon's line; negative inside. */
static double signed_distance(const polygon *p, double x, double y) {
    double nearest2 = 1e18;
    bool is_inside = false;
    for (int i = 0, j = p->count - 1; i < p->count; j = i++) {
        double ex = p->x[j] - p->x[i], ey = p->y[j] - p->y[i];
        double px = x - p->x[i], py = y - p->y[i];
        double t = fmin(fmax((px * ex + py * ey) / (ex * ex + ey * ey), 0), 1);
        double dx = px - t * ex, dy = py - t * ey;
        nearest2 = fmin(nearest2, dx * dx + dy * dy);
        if ((p->y[i] > y) != (p->y[j] > y) && px < ex * py / ey)
            is_inside = !is_inside;
    }
    return is_inside ? -sqrt(nearest2) : sqrt(nearest2);
}

static int label_of(uint64_t stream, int64_t index) {
    basin__random random = basin__random_start(stream, index, USE_LABEL);
    return basin__random_below(&random, CLASS_COUNT);
}

static int draw(const basin_data *data, uint64_t stream, int64_t index, float *x) {
    int label = label_of(stream, index), side = data->side;
    basin__random random = basin__random_start(stream, index, USE_DRAWING);
    polygon p;
    draw_outline(&random, label, &p);
    place(&random, side, &p);
    double grey = basin__uniform(&random, 0.5, 1);
    bool is_filled = basin__random_below(&random, 2) == 0;
    double half_line = fmax(side / 28.0 * basin__uniform(&random, 0.7, 1.4), 0.6);
    for (int row = 0; row < side; row++)
        for (int column = 0; column < side; column++) {
            double distance = signed_distance(&p, column + 0.5, row + 0.5);
            if (!is_filled)
                distance = fabs(distance + half_line) - half_line;
            double ink = fmin(fmax(0.5 - distance, 0), 1);
            x[row * side + column] = (float)(grey * ink);
        }
    basin__pen_quantise(x, side);
    return label;
}

static basin_status describe(basin_data *data) {
    BASIN_TRY(basin__data_set_shape(data, data->info.count, data->side, data->side, 1));
    data->info.is_image = true;
    data->info.low = 0;
    data->info.high = 1;
    return basin__data_set_classes(data, class_names, CLASS_COUNT);
}

const basin__data_def basin__data_shapes = {
    .name = "shapes",
    .help = "circles, squares, triangles, crosses, stars and half-discs, grey, drawn from a seed",
    .describe = describe,
    .draw = draw,
    .label = label_of,
};
