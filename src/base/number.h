/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers as text, the same in every locale: a host program that calls
 * setlocale() must not turn 0.5 into "0,5" in our files. And the order of doubles.
 */
#ifndef BASIN_BASE_NUMBER_H
#define BASIN_BASE_NUMBER_H

#include "base/compiler.h"
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The whole of `text` as a decimal number; false where it is none, has a tail or overflows. */
bool basin__parse_double(const char *text, double *out);
bool basin__parse_int(const char *text, int64_t *out);

/** The shortest decimal text that reads back as the same double. `text` holds 32 bytes. */
void basin__print_double(char text[32], double value);

/** For people: integers in full up to seven digits, 1e9 above, else the shortest text. */
void basin__print_number(char text[32], double value);

/** vsnprintf in the C locale. */
int basin__vsnprintf(char *text, size_t bytes, const char *format, va_list arguments)
    BASIN_PRINTF(3, 0);

/** snprintf in the C locale. */
int basin__snprintf(char *text, size_t bytes, const char *format, ...) BASIN_PRINTF(3, 4);

/**
 * How many letters must be inserted, dropped, replaced or swapped with their neighbour to turn one
 * word into the other; '-' and '_' count as the same. Words past 63 letters are SIZE_MAX apart.
 */
size_t basin__edit_distance(const char *a, const char *b);

/** Whether a word is near enough to `wanted` (by the distance above) to be suggested for it. */
bool basin__is_near(const char *wanted, size_t distance);

/** For qsort: ascending. */
int basin__compare_doubles(const void *left, const void *right);

#endif
