/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exact log densities of the built-in points (points.c), bare or with Gaussian noise of
 * standard deviation σ added to both coordinates. Those that are sums of Gaussians or boxes are
 * closed forms; the others are one integral along a curve or a radius, by Gauss–Legendre panels no
 * wider than what varies. Noise of variance σ² on a Gaussian of variance s² is one of s² + σ².
 */
#include "data/density.h"
#include <math.h>

#define PI 3.14159265358979323846
#define REACH 8.0 /* standard deviations after which a Gaussian is left out: e⁻³² */

/* Five nodes on [-1, 1] (positive half) and their weights: exact up to degree 9. */
static const double nodes[] = {0.0, 0.5384693101056831, 0.9061798459386640};
static const double weights[] = {0.5688888888888889, 0.4786286704993665, 0.2369268850561891};

typedef double integrand(const void *of, double t);

/** ∫ f over [low, high], in panels of at most `width`. */
static double integrate(integrand *f, const void *of, double low, double high, double width) {
    const int panels = (int)ceil((high - low) / width);
    const double half = 0.5 * (high - low) / panels;
    double sum = 0;
    for (int i = 0; i < panels; i++) {
        double middle = low + (2 * i + 1) * half;
        sum += weights[0] * f(of, middle);
        for (int k = 1; k < 3; k++)
            sum += weights[k] * (f(of, middle - nodes[k] * half) + f(of, middle + nodes[k] * half));
    }
    return sum * half;
}

/** Density of N(0, variance) at x. */
static double bell(double x, double variance) {
    return exp(-0.5 * x * x / variance) / sqrt(2 * PI * variance);
}

/** What an integrand needs: the point, the noise, and which part. */
typedef struct place {
    double x, y, variance; /* of the noise alone, or of all that is isotropic */
    int part;
} place;

static double square(double x) { return x * x; }

/* ---- eight Gaussians ---- */

double basin__density_eight_gaussians(const float *x, double noise_std) {
    const double variance = 0.2 * 0.2 + square(noise_std);
    double sum = 0;
    for (int k = 0; k < 8; k++)
        sum += bell((double)x[0] - 2.8 * cos(k * PI / 4), variance) *
               bell((double)x[1] - 2.8 * sin(k * PI / 4), variance);
    return log(sum / 8);
}

/* ---- checkerboard ---- */

/** A uniform number in [low, low + 2) with noise. */
static double blurred_side(double x, double low, double noise_std) {
    if (noise_std > 0)
        return 0.25 * (erf((x - low) / (noise_std * sqrt(2))) -
                       erf((x - low - 2) / (noise_std * sqrt(2))));
    return x >= low && x <= low + 2 ? 0.5 : 0; /* a drawn float may be rounded onto the edge */
}

double basin__density_checkerboard(const float *x, double noise_std) {
    double sum = 0;
    for (int part = 0; part < 8; part++) {
        int row = part / 2, column = 2 * (part % 2) + row % 2;
        sum += blurred_side((double)x[0], 2.0 * column - 4, noise_std) *
               blurred_side((double)x[1], 2.0 * row - 4, noise_std);
    }
    return log(sum / 8);
}

/* ---- curves with isotropic Gaussians: moons, spirals ---- */

static double moon(const void *of, double angle) {
    const place *at = of;
    double a = 2 * cos(angle), b = 2 * sin(angle);
    if (at->part == 1) {
        a = 2 - a;
        b = 1 - b;
    }
    return bell(at->x - (a - 1), at->variance) * bell(at->y - (b - 0.5), at->variance) / PI;
}

double basin__density_two_moons(const float *x, double noise_std) {
    place at = {(double)x[0], (double)x[1], 0.16 * 0.16 + square(noise_std), 0};
    double sum = integrate(moon, &at, 0, PI, 0.04);
    at.part = 1;
    return log(0.5 * (sum + integrate(moon, &at, 0, PI, 0.04)));
}

/** The angle's density is that of 3π√u, u uniform: 2 angle / (3π)². */
static double spiral(const void *of, double angle) {
    const place *at = of;
    double radius = (at->part ? -1 : 1) * angle * 3.4 / (3 * PI);
    return bell(at->x - radius * cos(angle), at->variance) *
           bell(at->y - radius * sin(angle), at->variance) * 2 * angle / square(3 * PI);
}

double basin__density_spirals(const float *x, double noise_std) {
    place at = {(double)x[0], (double)x[1], 0.1 * 0.1 + square(noise_std), 0};
    /* A stretch of the arms further away in radius alone than a Gaussian reaches counts for
     * nothing. */
    const double distance = hypot(at.x, at.y), reach = REACH * sqrt(at.variance);
    const double low = fmin(fmax(0, (distance - reach) * 3 * PI / 3.4), 3 * PI - 0.01);
    const double high = fmin(3 * PI, (distance + reach) * 3 * PI / 3.4);
    double sum = integrate(spiral, &at, low, high, 0.045);
    at.part = 1;
    return log(0.5 * (sum + integrate(spiral, &at, low, high, 0.045)));
}

/* ---- rings ---- */

#define RING_STD 0.08
static double ring_radius(int part) { return 0.8 * (part + 1); }

/** exp(−|z|) I₀(z): Abramowitz & Stegun (1964), 9.8.1 and 9.8.2, to 2e-7. */
static double bessel_scaled(double z) {
    static const double small[] = {1,         3.5156229, 3.0899424, 1.2067492,
                                   0.2659732, 0.0360768, 0.0045813};
    static const double large[] = {0.39894228,  0.01328592, 0.00225319,  -0.00157565, 0.00916281,
                                   -0.02057706, 0.02635537, -0.01647633, 0.00392377};
    const double size = fabs(z), limit = 3.75;
    double sum = 0, t = size < limit ? square(size / limit) : limit / size;
    if (size < limit) {
        for (int k = 6; k >= 0; k--)
            sum = sum * t + small[k];
        return sum * exp(-size);
    }
    for (int k = 8; k >= 0; k--)
        sum = sum * t + large[k];
    return sum / sqrt(size);
}

/** A circle of radius r in isotropic noise, its mass spread over the plane. */
static double ring(const void *of, double r) {
    const place *at = of;
    const double distance = hypot(at->x, at->y), size = fabs(r);
    return bell(r - ring_radius(at->part), square(RING_STD)) *
           exp(-0.5 * square(distance - size) / at->variance) *
           bessel_scaled(distance * size / at->variance) / (2 * PI * at->variance);
}

double basin__density_rings(const float *x, double noise_std) {
    place at = {(double)x[0], (double)x[1], square(noise_std), 0};
    const double width = fmin(RING_STD, noise_std) / 2, distance = hypot(at.x, at.y);
    double sum = 0;
    for (at.part = 0; at.part < 4; at.part++) {
        const double radius = ring_radius(at.part), reach = REACH * RING_STD;
        if (noise_std > 0)
            sum += integrate(ring, &at, radius - reach, radius + reach, width);
        else /* radii below zero wrap to the other side */
            sum += (bell(distance - radius, square(RING_STD)) +
                    bell(-distance - radius, square(RING_STD))) /
                   (2 * PI * distance);
    }
    return log(sum / 4);
}

/* ---- pinwheel ---- */

/*
 * A point is 1.5 R(φ) (a, c) with a ~ N(1, 0.3²) along and c ~ N(0, 0.1²) across the blade, turned
 * by φ(a) = 2πk/5 + e^a / 4. The determinant of (a, c) → x is 1.5² (1 − φ′ c).
 */
#define ALONG_STD 0.3
#define ACROSS_STD 0.1
#define SCALE 1.5
#define ALONG_LOW (1 - REACH * ALONG_STD)
#define ALONG_HIGH (1 + REACH * ALONG_STD)

/** The point turned back by φ(a) and shrunk: (a, c) where a is right. */
static void turn_back(const place *at, double a, double *along, double *across) {
    const double angle = 2 * PI * at->part / 5 + 0.25 * exp(a);
    *along = (at->x * cos(angle) + at->y * sin(angle)) / SCALE;
    *across = (-at->x * sin(angle) + at->y * cos(angle)) / SCALE;
}

static double excess(const place *at, double a) {
    double along, across;
    turn_back(at, a, &along, &across);
    return along - a;
}

static double at_root(const place *at, double low, double high) {
    double along, across, rise = excess(at, low);
    for (int i = 0; i < 52; i++) {
        double middle = 0.5 * (low + high);
        if ((excess(at, middle) > 0) == (rise > 0))
            low = middle;
        else
            high = middle;
    }
    turn_back(at, low, &along, &across);
    return bell(low - 1, square(ALONG_STD)) * bell(across, square(ACROSS_STD)) /
           (SCALE * SCALE * fabs(1 - 0.25 * exp(low) * across));
}

/** Σ over all a that give the point; the rotation is slower than the grid by far. */
static double sum_roots(const place *at) {
    enum { CELLS = 320 };
    const double cell = (ALONG_HIGH - ALONG_LOW) / CELLS;
    double sum = 0, before = excess(at, ALONG_LOW);
    for (int i = 1; i <= CELLS; i++) {
        double after = excess(at, ALONG_LOW + i * cell);
        if ((before > 0) != (after > 0))
            sum += at_root(at, ALONG_LOW + (i - 1) * cell, ALONG_LOW + i * cell);
        before = after;
    }
    return sum;
}

/** Given a, the noisy point is Gaussian along and across the blade. */
static double blade(const void *of, double a) {
    const place *at = of;
    double along, across;
    turn_back(at, a, &along, &across);
    return bell(a - 1, square(ALONG_STD)) * bell(SCALE * (along - a), at->variance) *
           bell(SCALE * across, at->variance + square(SCALE * ACROSS_STD));
}

double basin__density_pinwheel(const float *x, double noise_std) {
    place at = {(double)x[0], (double)x[1], square(noise_std), 0};
    const double width = fmin(ALONG_STD, noise_std) / 3;
    double sum = 0;
    for (at.part = 0; at.part < 5; at.part++)
        sum += noise_std > 0 ? integrate(blade, &at, ALONG_LOW, ALONG_HIGH, width) : sum_roots(&at);
    return log(sum / 5);
}
