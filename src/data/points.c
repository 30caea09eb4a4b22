/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Points of the plane: the densities that generative models are tried on.
 *
 * All lie in the box [-4, 4] × [-4, 4] (tails of the Gaussians that leave it
 * are rarer than one point in a million). The forms follow the usual toy sets
 * (Grathwohl et al., FFJORD, ICLR 2019, section 5.1), each at a scale that
 * fills the box. A label is the part of the density that a point came from.
 */
#include "data/density.h"
#include "data/random.h"
#include "data/set.h"
#include <math.h>

#define PI 3.14159265358979323846

enum { USE_LABEL, USE_POINT };

static int part_of(uint64_t stream, int64_t index, int part_count) {
    basin__random random = basin__random_start(stream, index, USE_LABEL);
    return basin__random_below(&random, part_count);
}

static void put(float *x, double a, double b) {
    x[0] = (float)a;
    x[1] = (float)b;
}

static basin_status describe_parts(basin_data *data, int part_count) {
    BASIN_TRY(basin__data_set_shape(data, data->info.count, 1, 1, 2));
    data->info.is_image = false;
    data->info.low = -4;
    data->info.high = 4;
    data->info.class_count = part_count;
    return BASIN_OK;
}

/* Two half circles, one opening down, one up, each ending inside the other. */
static int two_moons(basin__random *random, int part, float *x) {
    double angle = basin__uniform(random, 0, PI), radius = 2.0;
    double a = radius * cos(angle), b = radius * sin(angle);
    if (part == 1) {
        a = radius - a;
        b = 0.5 * radius - b;
    }
    a += basin__normal(random, 0.16);
    b += basin__normal(random, 0.16);
    put(x, a - 0.5 * radius, b - 0.25 * radius);
    return part;
}

/* Eight equal Gaussians on a circle. */
static int eight_gaussians(basin__random *random, int part, float *x) {
    double angle = part * PI / 4;
    double a = 2.8 * cos(angle) + basin__normal(random, 0.2);
    double b = 2.8 * sin(angle) + basin__normal(random, 0.2);
    put(x, a, b);
    return part;
}

/* Four circles around the origin, equal in mass. */
static int rings(basin__random *random, int part, float *x) {
    double angle = basin__uniform(random, 0, 2 * PI);
    double radius = 0.8 * (part + 1) + basin__normal(random, 0.08);
    put(x, radius * cos(angle), radius * sin(angle));
    return part;
}

/* Eight of sixteen squares with sides of 2. */
static int checkerboard(basin__random *random, int part, float *x) {
    int row = part / 2, column = 2 * (part % 2) + row % 2;
    double a = basin__uniform(random, 0, 2), b = basin__uniform(random, 0, 2);
    put(x, a + 2 * column - 4, b + 2 * row - 4);
    return part;
}

/* Two arms of Archimedes' spiral, evenly filled along their length. */
static int spirals(basin__random *random, int part, float *x) {
    double angle = 3 * PI * sqrt(basin__uniform(random, 0, 1)), sign = part ? -1 : 1;
    double radius = angle * 3.4 / (3 * PI);
    double a = sign * radius * cos(angle), b = sign * radius * sin(angle);
    a += basin__normal(random, 0.1);
    b += basin__normal(random, 0.1);
    put(x, a, b);
    return part;
}

/* Five blades, bent more the further out they are (Johnson et al., NeurIPS 2016). */
static int pinwheel(basin__random *random, int part, float *x) {
    double along = 1 + basin__normal(random, 0.3), across = basin__normal(random, 0.1);
    double angle = 2 * PI * part / 5 + 0.25 * exp(along);
    double a = 1.5 * (along * cos(angle) - across * sin(angle));
    double b = 1.5 * (along * sin(angle) + across * cos(angle));
    put(x, a, b);
    return part;
}

#define POINT_SET(identifier, text, part_count, line)                                              \
    static int label_##identifier(uint64_t stream, int64_t index) {                                \
        return part_of(stream, index, part_count);                                                 \
    }                                                                                              \
    static int draw_##identifier(const basin_data *data, uint64_t stream, int64_t index,           \
                                 float *x) {                                                       \
        basin__random random = basin__random_start(stream, index, USE_POINT);                      \
        (void)data;                                                                                \
        return identifier(&random, part_of(stream, index, part_count), x);                         \
    }                                                                                              \
    static basin_status describe_##identifier(basin_data *data) {                                  \
        return describe_parts(data, part_count);                                                   \
    }                                                                                              \
    const basin__data_def basin__data_##identifier = {                                             \
        .name = (text),                                                                            \
        .help = (line),                                                                            \
        .describe = describe_##identifier,                                                         \
        .draw = draw_##identifier,                                                                 \
        .label = label_##identifier,                                                               \
        .log_density = basin__density_##identifier,                                                \
    };

POINT_SET(two_moons, "two-moons", 2, "points on two half circles that reach into each other")
POINT_SET(eight_gaussians, "eight-gaussians", 8, "points of eight Gaussians on a circle")
POINT_SET(rings, "rings", 4, "points on four circles around the origin")
POINT_SET(checkerboard, "checkerboard", 8, "points on the dark squares of a 4x4 board")
POINT_SET(spirals, "spirals", 2, "points on the two arms of a spiral")
POINT_SET(pinwheel, "pinwheel", 5, "points on five bent blades")
