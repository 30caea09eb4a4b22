/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bar of a long run.
 *
 * After drawing, the cursor goes back to the line's start, so that the next
 * line of the log covers the bar.
 */
#include "progress.h"
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define WIDTH 28
#define INTERVAL_S 0.1

double basin__seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

basin__bar basin__bar_make(bool is_wanted) {
    return (basin__bar){.is_on = is_wanted && isatty(STDERR_FILENO)};
}

void basin__bar_show(basin__bar *bar, const basin_train_progress *progress) {
    double now = basin__seconds();
    if (!bar->is_on || now - bar->drawn_s < INTERVAL_S)
        return;
    bar->drawn_s = now;
    char cells[WIDTH + 1];
    int full = (int)(WIDTH * (double)progress->update / (double)progress->update_count);
    for (int i = 0; i < WIDTH; i++)
        cells[i] = i < full ? '#' : '.';
    cells[WIDTH] = 0;
    long left = (long)progress->time_left_s;
    fprintf(stderr, "\r\033[K[%s] %lld/%lld  %.3g/s  %ld:%02ld:%02ld left\r", cells,
            (long long)progress->update, (long long)progress->update_count,
            progress->updates_per_second, left / 3600, left / 60 % 60, left % 60);
    fflush(stderr);
}

void basin__bar_end(const basin__bar *bar) {
    if (bar->is_on)
        fprintf(stderr, "\033[K");
}
