/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sampler does to a chain's numbers, written once and compiled for each instruction set,
 * with the same bits on all. Any length, any alignment.
 */

static void axpy_f32(float *y, float a, const float *x, int64_t n) {
    BASIN_INDEPENDENT for (int64_t i = 0; i < n; i++) y[i] += a * x[i];
}

static void clamp_f32(float *x, float low, float high, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        x[i] = at_most(at_least(x[i], low), high);
}

/** Fold the line onto [low, high]: there and back again is one period. */
static float reflect_one(float x, float low, float high) {
    const float period = 2.0f * (high - low);
    if (period > 0.0f) {
        float t = x - low;
        t -= period * floorf(t / period);
        x = t > high - low ? low + (period - t) : low + t;
    }
    return x;
}

static void reflect_f32(float *x, float low, float high, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        const float before = x[i];
        if (before >= low && before <= high)
            continue;
        /* An infinity has no image; it goes to its end. */
        const float after = before - before == 0.0f ? reflect_one(before, low, high) : before;
        x[i] = at_most(at_least(after, low), high);
    }
}

/** Sixteen sums side by side, element i in sum i % 16, added in pairs at the end. */
static double dot_f32(const float *x, const float *y, int64_t n) {
    enum { SUMS = 16 };
    if (n <= 2) /* points in the plane: all that the rest would do */
        return (n > 0 ? (double)x[0] * (double)y[0] : 0.0) +
               (n > 1 ? (double)x[1] * (double)y[1] : 0.0);
    double sum[SUMS] = {0};
    int64_t at = 0;
    for (; at + SUMS <= n; at += SUMS)
        for (int i = 0; i < SUMS; i++)
            sum[i] += (double)x[at + i] * (double)y[at + i];
    for (int i = 0; at + i < n; i++)
        sum[i] += (double)x[at + i] * (double)y[at + i];
    for (int half = SUMS / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            sum[i] += sum[i + half];
    return sum[0];
}

static bool all_finite_f32(const float *x, int64_t n) {
    const uint32_t exponent = 0x7F800000u;
    uint32_t found = 0;
    for (int64_t i = 0; i < n; i++)
        found |= (basin__bits_of(x[i]) & exponent) == exponent ? 1u : 0u;
    return found == 0;
}
