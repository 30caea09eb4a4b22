/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Closed-form energies, and mixture and negate. With a noise level σ, std² + σ² takes the place of
 * std² (σ² / D for the mean of D values): of a Gaussian that is exactly what noise makes of it, of
 * the others nearly.
 *
 *   gaussian    −log N(x; mean, std²)
 *   ring        ½ (|x| − R)² / std² + log 2π (std² e^{−R²/2std²} + R std √(2π) Φ(R/std)), the
 * plane's box         ½ Σ (relu(x − high)² + relu(low − x)²) / std² + D log(high − low + √(2π) std)
 *   pixel       ½ Σ_channels (x[row, column] − value)² / std²
 *   brightness  ½ (mean x − value)² / std²
 *
 *   mixture     −log Σ_k w_k exp(−E_k − log Z_k),  Σ w_k = 1
 *   negate      a − w s,  s = −log(e^{−b} + e^{−c}) = c − log(1 + e^{c − b})
 *
 * s is b where b is far below c, and c where it is far above: what has left b gains no more.
 */
#include "compose/functions.h"
#include "base/number.h"
#include <math.h>
#include <string.h>

#define TWO_PI 6.28318530717958647693

static const basin_shape scalar = {1, 1, 1, 1};

static basin_value constant(basin_graph *graph, double number) {
    return basin_graph_constant(graph, number, scalar);
}

/** One number, or one for each channel. */
static basin_value vector(basin_graph *graph, const basin__argument *of) {
    basin_value value = constant(graph, of->items[0]);
    for (int i = 1; i < of->count; i++)
        value = basin_graph_concatenate(graph, value, constant(graph, of->items[i]));
    return value;
}

/** std² + σ² */
static basin_value variance(basin_graph *graph, const basin__argument *std,
                            basin_value noise_level) {
    basin_value square = basin_graph_square(graph, vector(graph, std));
    if (noise_level == BASIN_NO_VALUE)
        return square;
    return basin_graph_add(graph, square, basin_graph_square(graph, noise_level));
}

/** ½ Σ squares / variance */
static basin_value half_ratio(basin_graph *graph, basin_value squares, basin_value of_variance) {
    basin_value ratio = basin_graph_mul(graph, squares, basin_graph_reciprocal(graph, of_variance));
    return basin_graph_scale(graph, basin_graph_sum(graph, ratio, BASIN_AXES_ALL), 0.5);
}

/* ---- gaussian ---- */

enum { MEAN, STD };

static basin_status fit_gaussian(basin_context *context, const basin__argument *arguments,
                                 basin_shape shape) {
    for (int i = 0; i < 2; i++)
        if (arguments[i].count != 1 && arguments[i].count != shape.channels)
            return basin__fail(context, BASIN_ERROR_SHAPE,
                               "gaussian has %d numbers for %s, and examples have %d channels",
                               arguments[i].count, i == MEAN ? "mean" : "std", shape.channels);
    return BASIN_OK;
}

static int dimension_gaussian(const basin__argument *arguments) {
    const int count =
        arguments[MEAN].count > arguments[STD].count ? arguments[MEAN].count : arguments[STD].count;
    return count > 1 ? count : 0;
}

static void extent_gaussian(const basin__argument *arguments, double *low, double *high) {
    for (int i = 0; i < arguments[MEAN].count; i++)
        for (int j = 0; j < arguments[STD].count; j++) {
            *low = fmin(*low, arguments[MEAN].items[i] - 3 * arguments[STD].items[j]);
            *high = fmax(*high, arguments[MEAN].items[i] + 3 * arguments[STD].items[j]);
        }
}

static basin_value build_gaussian(basin_graph *graph, const basin__argument *arguments,
                                  basin_value x, basin_value noise_level,
                                  const basin_value *operands, int operand_count) {
    (void)operands;
    (void)operand_count;
    basin_value apart = basin_graph_sub(graph, x, vector(graph, &arguments[MEAN]));
    basin_value width = variance(graph, &arguments[STD], noise_level);
    basin_value energy = half_ratio(graph, basin_graph_square(graph, apart), width);
    const double repeats = (double)basin_shape_count(basin_graph_shape(graph, x)) /
                           (double)basin_shape_count(basin_graph_shape(graph, width));
    basin_value log_width = basin_graph_log(graph, basin_graph_scale(graph, width, TWO_PI));
    basin_value log_z = basin_graph_sum(graph, log_width, BASIN_AXES_ALL);
    return basin_graph_add(graph, energy, basin_graph_scale(graph, log_z, 0.5 * repeats));
}

/* ---- ring ---- */

enum { RADIUS };

static basin_status fit_ring(basin_context *context, const basin__argument *arguments,
                             basin_shape shape) {
    (void)arguments;
    if (shape.height == 1 && shape.width == 1 && shape.channels == 2)
        return BASIN_OK;
    return basin__fail(context, BASIN_ERROR_SHAPE,
                       "ring is of points of the plane, 1 x 1 x 2, and examples are %d x %d x %d",
                       shape.height, shape.width, shape.channels);
}

static int dimension_ring(const basin__argument *arguments) {
    (void)arguments;
    return 2;
}

static void extent_ring(const basin__argument *arguments, double *low, double *high) {
    const double end = arguments[RADIUS].items[0] + 3 * arguments[STD].items[0];
    *low = fmin(*low, -end);
    *high = fmax(*high, end);
}

/** ∫ exp(−½ (r − R)² / s²) 2π r dr */
static double ring_log_z(double radius, double std) {
    const double ratio = radius / std;
    const double inside = 0.5 * erfc(-ratio / sqrt(2.0));
    return log(TWO_PI * std * (std * exp(-0.5 * ratio * ratio) + radius * sqrt(TWO_PI) * inside));
}

static basin_value build_ring(basin_graph *graph, const basin__argument *arguments, basin_value x,
                              basin_value noise_level, const basin_value *operands,
                              int operand_count) {
    (void)operands;
    (void)operand_count;
    basin_value square = basin_graph_sum(graph, basin_graph_square(graph, x), BASIN_AXES_ALL);
    basin_value radius = basin_graph_sqrt(graph, basin_graph_offset(graph, square, 1e-12));
    basin_value apart = basin_graph_offset(graph, radius, -arguments[RADIUS].items[0]);
    basin_value energy = half_ratio(graph, basin_graph_square(graph, apart),
                                    variance(graph, &arguments[STD], noise_level));
    return basin_graph_offset(graph, energy,
                              ring_log_z(arguments[RADIUS].items[0], arguments[STD].items[0]));
}

/* ---- box ---- */

enum { LOW, HIGH, FLANK };

static basin_status fit_box(basin_context *context, const basin__argument *arguments,
                            basin_shape shape) {
    (void)shape;
    if (arguments[LOW].items[0] < arguments[HIGH].items[0])
        return BASIN_OK;
    return basin__fail(context, BASIN_ERROR_CONFIG, "box: low %g is not below high %g",
                       arguments[LOW].items[0], arguments[HIGH].items[0]);
}

static void extent_box(const basin__argument *arguments, double *low, double *high) {
    *low = fmin(*low, arguments[LOW].items[0]);
    *high = fmax(*high, arguments[HIGH].items[0]);
}

static basin_value build_box(basin_graph *graph, const basin__argument *arguments, basin_value x,
                             basin_value noise_level, const basin_value *operands,
                             int operand_count) {
    (void)operands;
    (void)operand_count;
    const double low = arguments[LOW].items[0], high = arguments[HIGH].items[0];
    basin_value above = basin_graph_relu(graph, basin_graph_offset(graph, x, -high));
    basin_value below =
        basin_graph_relu(graph, basin_graph_offset(graph, basin_graph_scale(graph, x, -1), low));
    basin_value width = variance(graph, &arguments[FLANK], noise_level);
    basin_value squares =
        basin_graph_add(graph, basin_graph_square(graph, above), basin_graph_square(graph, below));
    basin_value flanks = basin_graph_scale(graph, basin_graph_sqrt(graph, width), sqrt(TWO_PI));
    basin_value log_z = basin_graph_log(graph, basin_graph_offset(graph, flanks, high - low));
    return basin_graph_add(
        graph, half_ratio(graph, squares, width),
        basin_graph_scale(graph, log_z, (double)basin_shape_count(basin_graph_shape(graph, x))));
}

/* ---- of pixels ---- */

enum { ROW, COLUMN, VALUE, PIXEL_STD };
enum { BRIGHTNESS, BRIGHTNESS_STD };

static basin_status fit_pixel(basin_context *context, const basin__argument *arguments,
                              basin_shape shape) {
    const double row = arguments[ROW].items[0], column = arguments[COLUMN].items[0];
    if (row < shape.height && column < shape.width && floor(row) >= row && floor(column) >= column)
        return BASIN_OK;
    return basin__fail(context, BASIN_ERROR_SHAPE,
                       "there is no pixel of row %g and column %g in %d x %d", row, column,
                       shape.height, shape.width);
}

static basin_value build_pixel(basin_graph *graph, const basin__argument *arguments, basin_value x,
                               basin_value noise_level, const basin_value *operands,
                               int operand_count) {
    (void)operands;
    (void)operand_count;
    const basin_shape shape = basin_graph_shape(graph, x);
    const int at = (int)arguments[ROW].items[0] * shape.width + (int)arguments[COLUMN].items[0];
    basin_value all =
        basin_graph_reshape(graph, x, basin_shape_vector((int)basin_shape_count(shape)));
    basin_value pixel = basin_graph_slice(graph, all, at * shape.channels, shape.channels);
    basin_value apart = basin_graph_offset(graph, pixel, -arguments[VALUE].items[0]);
    return half_ratio(graph, basin_graph_square(graph, apart),
                      variance(graph, &arguments[PIXEL_STD], noise_level));
}

static basin_value build_brightness(basin_graph *graph, const basin__argument *arguments,
                                    basin_value x, basin_value noise_level,
                                    const basin_value *operands, int operand_count) {
    (void)operands;
    (void)operand_count;
    /* the mean of D values has the noise σ / √D */
    const double count = (double)basin_shape_count(basin_graph_shape(graph, x));
    if (noise_level != BASIN_NO_VALUE)
        noise_level = basin_graph_scale(graph, noise_level, 1 / sqrt(count));
    basin_value mean = basin_graph_mean(graph, x, BASIN_AXES_ALL);
    basin_value apart = basin_graph_offset(graph, mean, -arguments[BRIGHTNESS].items[0]);
    return half_ratio(graph, basin_graph_square(graph, apart),
                      variance(graph, &arguments[BRIGHTNESS_STD], noise_level));
}

/* ---- of energies ---- */

static basin_value build_mixture(basin_graph *graph, const basin__argument *arguments,
                                 basin_value x, basin_value noise_level,
                                 const basin_value *operands, int operand_count) {
    (void)x;
    (void)noise_level;
    const basin__argument *weights = &arguments[BASIN__MIXTURE_WEIGHTS];
    const basin__argument *log_z = &arguments[BASIN__MIXTURE_LOG_Z];
    double sum = 0;
    basin_value all = BASIN_NO_VALUE;
    for (int k = 0; k < operand_count; k++)
        sum += weights->count > 0 ? weights->items[k] : 1;
    for (int k = 0; k < operand_count; k++) {
        const double weight = weights->count > 0 ? weights->items[k] : 1;
        const double rise = (log_z->count > 0 ? log_z->items[k] : 0) - log(weight / sum);
        basin_value term =
            basin_graph_scale(graph, basin_graph_offset(graph, operands[k], rise), -1);
        all = k == 0 ? term : basin_graph_concatenate(graph, all, term);
    }
    return basin_graph_scale(graph, basin_graph_log_sum_exp(graph, all), -1);
}

static basin_value build_negate(basin_graph *graph, const basin__argument *arguments, basin_value x,
                                basin_value noise_level, const basin_value *operands,
                                int operand_count) {
    (void)x;
    (void)noise_level;
    (void)operand_count;
    const double weight = arguments[BASIN__NEGATE_WEIGHT].items[0];
    const double end = arguments[BASIN__NEGATE_AT].items[0];
    basin_value below = basin_graph_offset(graph, basin_graph_scale(graph, operands[1], -1), end);
    basin_value least = basin_graph_offset(
        graph, basin_graph_scale(graph, basin_graph_softplus(graph, below), -1), end);
    return basin_graph_sub(graph, operands[0], basin_graph_scale(graph, least, weight));
}

/* ---- the table ---- */

enum { GAUSSIAN_ROW, RING_ROW, BOX_ROW, PIXEL_ROW, BRIGHTNESS_ROW, MIXTURE_ROW, NEGATE_ROW };

#define ANY 1e30
#define STD_LOW 1e-6

const basin__function basin__functions[] = {
    [GAUSSIAN_ROW] = {.name = "gaussian",
                      .usage = "gaussian(mean, std)",
                      .help = "-log N(x; mean, std^2); of points each may be a list, [0, 1]",
                      .parameters = {{"mean", NULL, -ANY, ANY, BASIN__LIST_MAX, NULL},
                                     {"std", NULL, STD_LOW, ANY, BASIN__LIST_MAX, NULL}},
                      .normalised = BASIN__NORMALISED_ALWAYS,
                      .fit = fit_gaussian,
                      .dimension = dimension_gaussian,
                      .extent = extent_gaussian,
                      .width = STD,
                      .build = build_gaussian},
    [RING_ROW] = {.name = "ring",
                  .usage = "ring(radius, std)",
                  .help = "points of the plane at a distance of 0, (|x| - radius)^2 / (2 std^2)",
                  .parameters = {{"radius", NULL, 0, ANY, 1, NULL},
                                 {"std", NULL, STD_LOW, ANY, 1, NULL}},
                  .normalised = BASIN__NORMALISED_AT_ZERO,
                  .fit = fit_ring,
                  .dimension = dimension_ring,
                  .extent = extent_ring,
                  .width = STD,
                  .build = build_ring},
    [BOX_ROW] = {.name = "box",
                 .usage = "box(low, high; std = 0.05)",
                 .help =
                     "flat where all values are in [low, high], with Gaussian flanks of width std",
                 .parameters = {{"low", NULL, -ANY, ANY, 1, NULL},
                                {"high", NULL, -ANY, ANY, 1, NULL},
                                {"std", "0.05", STD_LOW, ANY, 1, NULL}},
                 .normalised = BASIN__NORMALISED_ALWAYS,
                 .fit = fit_box,
                 .extent = extent_box,
                 .width = FLANK,
                 .build = build_box},
    [PIXEL_ROW] =
        {.name = "pixel",
         .usage = "pixel(row, column, value, std)",
         .help = "one pixel is near a value: (x[row, column] - value)^2 / (2 std^2), rows from 0",
         .parameters = {{"row", NULL, 0, 65535, 1, NULL},
                        {"column", NULL, 0, 65535, 1, NULL},
                        {"value", NULL, -ANY, ANY, 1, NULL},
                        {"std", NULL, STD_LOW, ANY, 1, NULL}},
         .fit = fit_pixel,
         .width = PIXEL_STD,
         .build = build_pixel},
    [BRIGHTNESS_ROW] = {.name = "brightness",
                        .usage = "brightness(value, std)",
                        .help =
                            "the mean of all values is near one: (mean x - value)^2 / (2 std^2)",
                        .parameters = {{"value", NULL, -ANY, ANY, 1, NULL},
                                       {"std", NULL, STD_LOW, ANY, 1, NULL}},
                        .width = BRIGHTNESS_STD,
                        .build = build_brightness},
    [MIXTURE_ROW] =
        {.name = "mixture",
         .usage = "mixture(a, b, ...; weights = w1, w2, ...; log-z = z1, z2, ... | estimate)",
         .help =
             "one or the other: -log sum w_k exp(-E_k - log Z_k). Weights are equal by default and "
             "are made to sum to 1; log Z is known of gaussian, ring and box and given for others, "
             "or estimated: in the plane by quadrature, else by annealed importance sampling",
         .operand_min = 2,
         .operand_max = BASIN__LIST_MAX,
         .parameters = {{"weights", "", 1e-30, ANY, BASIN__LIST_MAX, NULL},
                        {"log-z", "", -ANY, ANY, BASIN__LIST_MAX, "estimate"}},
         .build = build_mixture},
    [NEGATE_ROW] =
        {.name = "negate",
         .usage = "negate(a, b; weight = 1; at = ENERGY | DATA)",
         .help =
             "a and not b: a - weight softmin(b, at). At the energy `at` b is left, beyond which "
             "nothing is gained: a number, or the 99th percentile of b on a data set",
         .operand_min = 2,
         .operand_max = 2,
         .parameters = {{"weight", "1", 0, ANY, 1, NULL}, {"at", NULL, -ANY, ANY, 1, "a data set"}},
         .build = build_negate},
};
const int basin__function_count = (int)BASIN_COUNT(basin__functions);
const basin__function *const basin__function_mixture = &basin__functions[MIXTURE_ROW];
const basin__function *const basin__function_negate = &basin__functions[NEGATE_ROW];

const basin__function *basin__function_find(const char *name) {
    for (int i = 0; i < basin__function_count; i++)
        if (strcmp(basin__functions[i].name, name) == 0)
            return &basin__functions[i];
    return NULL;
}

const char *basin__function_near(const char *name) {
    const char *near = NULL;
    size_t nearest = SIZE_MAX;
    for (int i = 0; i < basin__function_count; i++) {
        const size_t distance = basin__edit_distance(name, basin__functions[i].name);
        if (distance < nearest) {
            nearest = distance;
            near = basin__functions[i].name;
        }
    }
    return basin__is_near(name, nearest) ? near : NULL;
}
