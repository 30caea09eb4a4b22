/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pen on paper; see pen.h. Each segment touches only the pixels around it.
 */
#include "data/pen.h"
#include <math.h>

static int clamp_pixel(double at, int side) { return at < 0 ? 0 : at > side ? side : (int)at; }

static void draw_segment(float *x, int side, const basin__pen_point *a, const basin__pen_point *b,
                         double softness) {
    double reach = fmax(a->radius, b->radius) + softness;
    double dx = b->x - a->x, dy = b->y - a->y, length2 = dx * dx + dy * dy;
    int row_end = clamp_pixel(ceil(fmax(a->y, b->y) + reach), side);
    int column_start = clamp_pixel(floor(fmin(a->x, b->x) - reach), side);
    int column_end = clamp_pixel(ceil(fmax(a->x, b->x) + reach), side);
    for (int row = clamp_pixel(floor(fmin(a->y, b->y) - reach), side); row < row_end; row++)
        for (int column = column_start; column < column_end; column++) {
            double px = column + 0.5 - a->x, py = row + 0.5 - a->y;
            double t = length2 > 0 ? (px * dx + py * dy) / length2 : 0;
            t = t < 0 ? 0 : t > 1 ? 1 : t;
            double ex = px - t * dx, ey = py - t * dy;
            double radius = a->radius + t * (b->radius - a->radius);
            double ink = (radius - sqrt(ex * ex + ey * ey)) / softness + 0.5;
            float *pixel = &x[row * side + column];
            ink = ink > 1 ? 1 : ink;
            if (ink > (double)*pixel)
                *pixel = (float)ink;
        }
}

void basin__pen_draw(float *x, int side, const basin__pen_point *points, int count,
                     double softness) {
    for (int i = 0; i + 1 < count; i++)
        if (!points[i].is_last)
            draw_segment(x, side, &points[i], &points[i + 1], softness);
}

void basin__pen_quantise(float *x, int side) {
    for (int i = 0; i < side * side; i++)
        x[i] = (float)(int)(x[i] * 255.0f + 0.5f) / 255.0f;
}
