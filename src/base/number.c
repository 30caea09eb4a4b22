/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers as text, independent of the locale, and the distance between words
 * that lets an unknown name be answered with the one that was meant.
 *
 * POSIX gives each thread a locale of its own (uselocale), so the C locale is
 * put in place for the length of one call and taken back afterwards. With
 * glibc the "C" locale object is static: nothing is allocated.
 *
 * The distance is "optimal string alignment": Levenshtein's, and a swap of two
 * neighbours counts once.
 */
#include "base/number.h"
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct c_locale {
    locale_t own, before;
} c_locale;

static c_locale c_locale_enter(void) {
    c_locale state = {newlocale(LC_ALL_MASK, "C", (locale_t)0), (locale_t)0};
    if (state.own != (locale_t)0)
        state.before = uselocale(state.own);
    return state;
}

static void c_locale_leave(c_locale state) {
    if (state.own == (locale_t)0)
        return;
    uselocale(state.before);
    freelocale(state.own);
}

/** A number starts with a sign, a digit or a point: no leading space, "inf" or "nan". */
static bool starts_like_number(const char *text) {
    if (*text == '-' || *text == '+')
        text++;
    return (*text >= '0' && *text <= '9') || *text == '.';
}

bool basin__parse_double(const char *text, double *out) {
    if (!starts_like_number(text))
        return false;
    char *end = NULL;
    c_locale state = c_locale_enter();
    double value = strtod(text, &end);
    c_locale_leave(state);
    if (end == text || *end != '\0' || !isfinite(value))
        return false;
    *out = value;
    return true;
}

bool basin__parse_int(const char *text, int64_t *out) {
    if (!starts_like_number(text))
        return false;
    char *end = NULL;
    int before = errno;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    bool good = errno == 0 && end != text && *end == '\0';
    errno = before;
    if (good)
        *out = (int64_t)value;
    return good;
}

int basin__vsnprintf(char *text, size_t bytes, const char *format, va_list arguments) {
    c_locale state = c_locale_enter();
    int length = vsnprintf(text, bytes, format, arguments);
    c_locale_leave(state);
    return length;
}

int basin__snprintf(char *text, size_t bytes, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = basin__vsnprintf(text, bytes, format, arguments);
    va_end(arguments);
    return length;
}

void basin__print_double(char text[32], double value) {
    for (int digits = 1; digits <= 17; digits++) {
        double back = 0.0;
        basin__snprintf(text, 32, "%.*g", digits, value);
        if (basin__parse_double(text, &back) && back >= value && back <= value)
            return;
    }
}

void basin__print_number(char text[32], double value) {
    if (fabs(value) < 1e7 && floor(value) >= value) {
        basin__snprintf(text, 32, "%.0f", value);
        return;
    }
    basin__print_double(text, value);
    char *plus = strstr(text, "e+"); /* "1e+09" to "1e9" */
    if (plus) {
        size_t zeros = plus[2] == '0' ? 2 : 1;
        memmove(plus + 1, plus + 1 + zeros, strlen(plus + 1 + zeros) + 1);
    }
}

#define WORD_MAX 64

static char fold(char letter) { return letter == '_' ? '-' : letter; }

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

size_t basin__edit_distance(const char *a, const char *b) {
    size_t rows = strlen(a), columns = strlen(b);
    size_t table[3][WORD_MAX]; /* the last three rows, by row number modulo 3 */
    if (rows >= WORD_MAX || columns >= WORD_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= columns; j++)
        table[0][j] = j;
    for (size_t i = 1; i <= rows; i++) {
        size_t *now = table[i % 3];
        const size_t *above = table[(i - 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= columns; j++) {
            size_t change = fold(a[i - 1]) == fold(b[j - 1]) ? 0 : 1;
            now[j] = smaller(above[j - 1] + change, smaller(above[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) &&
                fold(a[i - 2]) == fold(b[j - 1]))
                now[j] = smaller(now[j], table[(i - 2) % 3][j - 2] + 1);
        }
    }
    return table[rows % 3][columns];
}

bool basin__is_near(const char *wanted, size_t distance) {
    return distance <= 1 + strlen(wanted) / 4;
}

int basin__compare_doubles(const void *left, const void *right) {
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}
