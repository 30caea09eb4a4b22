/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Noise: Philox against its published answers, every table against the
 * definition and against each other bit for bit, and the numbers' statistics.
 */
#include "kernel_support.h"
#include "rng/philox.h"
#include <math.h>

/** The known answers published with Random123 (kat_vectors, philox4x32 10). */
static void test_philox(void **unused) {
    (void)unused;
    static const uint32_t known[][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d,
         0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09,
         0x94fdcceb, 0x5001e420, 0x24126ea1}};
    for (size_t i = 0; i < BASIN_COUNT(known); i++) {
        uint32_t out[4];
        basin__philox(known[i] + 4, known[i], out);
        assert_memory_equal(out, known[i] + 6, sizeof out);
    }
}

static const basin__draw some_draw = {.seed = 0x123456789abcdef0u,
                                      .draw = 0x7654deadbeefu,
                                      .chain = 77,
                                      .purpose = BASIN__PURPOSE_LANGEVIN | 3 << 8};

/** Element e's word, by the definition in rng/philox.h. */
static uint32_t word_of(const basin__draw *draw, uint32_t e, uint32_t word_index) {
    const uint32_t key[2] = {(uint32_t)draw->seed, (uint32_t)(draw->seed >> 32)};
    const uint32_t counter[4] = {e / 64 * 16 + e % 16, draw->chain, (uint32_t)draw->draw,
                                 (uint32_t)(draw->draw >> 32) | (uint32_t)draw->purpose << 16};
    uint32_t out[4];
    basin__philox(key, counter, out);
    return out[word_index];
}

static void check_noise(const basin__cpu_kernels *kernels) {
    enum { COUNT = 1000 };
    guarded normal = guarded_make(COUNT, NAN), uniform = guarded_make(COUNT, NAN);
    kernels->normal(normal.data, 1, COUNT, &some_draw);
    kernels->uniform(uniform.data, COUNT, &some_draw);
    for (uint32_t e = 0; e < COUNT; e++) {
        uint32_t word = e % 64 / 16;
        double want = (double)(word_of(&some_draw, e, word) >> 8) / 16777216.0;
        assert_true((double)uniform.data[e] == want);
        double u = ((double)word_of(&some_draw, e, word & 2) + 0.5) / 4294967296.0;
        double angle =
            2.0 * 3.14159265358979323846 * (double)word_of(&some_draw, e, word | 1) / 4294967296.0;
        want = sqrt(-2.0 * log(u)) * (word % 2 ? sin(angle) : cos(angle));
        assert_true(fabs((double)normal.data[e] - want) <= 4e-6);
    }
    for (int count = 0; count <= 130; count += 13) { /* any length, any alignment */
        guarded part = guarded_make(count + 1, guard_number);
        kernels->normal(part.data + 1, 1, count, &some_draw);
        assert_true(same_bits(part.data + 1, normal.data, count));
        kernels->uniform(part.data + 1, count, &some_draw);
        assert_true(same_bits(part.data + 1, uniform.data, count));
        assert_true(part.data[0] == guard_number);
        guarded_free(&part);
    }
    for (int count = 1; count <= 20; count++) { /* chains together, chains one by one */
        basin__draw draw = some_draw;
        draw.chain = UINT32_MAX - 2; /* they wrap */
        guarded all = guarded_make(7 * count, NAN), one = guarded_make(count, NAN);
        kernels->normal(all.data, 7, count, &draw);
        for (int i = 0; i < 7; i++, draw.chain++) {
            kernels->normal(one.data, 1, count, &draw);
            assert_true(same_bits(all.data + i * count, one.data, count));
        }
        guarded_free(&all);
        guarded_free(&one);
    }
    const basin__cpu_kernels *generic = basin__cpu_kernels_for(BASIN__ISA_GENERIC);
    static float own[1 << 16], other[1 << 16];
    for (uint32_t chain = 0; chain < 16; chain++) {
        const basin__draw draw = {.seed = 5, .chain = chain, .purpose = BASIN__PURPOSE_START};
        kernels->normal(own, 1, BASIN_COUNT(own), &draw);
        generic->normal(other, 1, BASIN_COUNT(other), &draw);
        assert_true(same_bits(own, other, BASIN_COUNT(own)));
    }
    guarded_free(&normal);
    guarded_free(&uniform);
}

static void test_noise(void **unused) {
    (void)unused;
    for_each_table(check_noise);
}

/** FNV-1a over the bits of `count` numbers. */
static uint64_t digest_of(const float *x, int64_t count) {
    uint64_t digest = 0xcbf29ce484222325u;
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        digest = (digest ^ bits) * 0x100000001b3u;
    }
    return digest;
}

/** Tables agree above; here the bits are those of another machine, so that runs may move. */
static void test_noise_is_the_same_everywhere(void **unused) {
    (void)unused;
    const basin__cpu_kernels *kernels = basin__cpu_kernels_for(BASIN__ISA_GENERIC);
    static float x[1 << 18];
    kernels->normal(x, 1, BASIN_COUNT(x), &some_draw);
    assert_true(digest_of(x, BASIN_COUNT(x)) == 0x9f1e6dbaf7d98b45u);
    kernels->uniform(x, BASIN_COUNT(x), &some_draw);
    assert_true(digest_of(x, BASIN_COUNT(x)) == 0x3705698cd4f6d5acu);
}

#define NOISE_COUNT (1 << 20)
/*
 * Bounds are 5 standard errors: a false alarm for one in 1.7 million seeds a bound, and there are
 * fewer than 200 bounds, so one in 8 thousand seeds for them all. The seeds are fixed.
 */
#define ASSERT_NEAR(got, want, error) assert_true(fabs((got) - (want)) < 5.0 * (error))

static double mean_product(const float *x, const float *y, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)y[i];
    return sum / (double)n;
}

static void check_normal_moments(const float *x, int64_t n) {
    double sum[5] = {0}, count = (double)n, beyond[4] = {0};
    for (int64_t i = 0; i < n; i++) {
        double power = 1;
        for (int k = 1; k <= 4; k++)
            sum[k] += power *= (double)x[i];
        for (int k = 1; k < 4; k++)
            beyond[k] += fabs((double)x[i]) > k;
    }
    ASSERT_NEAR(sum[1] / count, 0.0, sqrt(1.0 / count));
    ASSERT_NEAR(sum[2] / count, 1.0, sqrt(2.0 / count));
    ASSERT_NEAR(sum[3] / count, 0.0, sqrt(15.0 / count));
    ASSERT_NEAR(sum[4] / count, 3.0, sqrt(96.0 / count));
    for (int k = 1; k < 4; k++) {
        double p = erfc(k / sqrt(2.0));
        ASSERT_NEAR(beyond[k] / count, p, sqrt(p * (1 - p) / count));
    }
}

static void test_noise_is_normal(void **unused) {
    (void)unused;
    const basin__cpu_kernels *kernels = basin__cpu_kernels_for(BASIN__ISA_GENERIC);
    float *x = malloc(NOISE_COUNT * sizeof *x), *y = malloc(NOISE_COUNT * sizeof *y);
    assert_true(x && y);
    basin__draw draw = {.seed = 11, .draw = 1, .purpose = BASIN__PURPOSE_LANGEVIN};
    kernels->normal(x, 1, NOISE_COUNT, &draw);
    check_normal_moments(x, NOISE_COUNT);
    const double error = sqrt(1.0 / NOISE_COUNT);
    for (int lag = 1; lag <= 130; lag++)
        ASSERT_NEAR(mean_product(x, x + lag, NOISE_COUNT - lag), 0.0, error);
    /* Another seed, draw (low and high half), chain, purpose, attempt: other noise. */
    basin__draw others[] = {draw, draw, draw, draw, draw, draw};
    others[0].seed = 12;
    others[1].draw = 2;
    others[2].draw += (uint64_t)1 << 32;
    others[3].chain = 1;
    others[4].purpose = BASIN__PURPOSE_START;
    others[5].purpose |= 1 << 8;
    for (size_t i = 0; i < BASIN_COUNT(others); i++) {
        kernels->normal(y, 1, NOISE_COUNT, &others[i]);
        ASSERT_NEAR(mean_product(x, y, NOISE_COUNT), 0.0, error);
    }
    kernels->uniform(x, NOISE_COUNT, &draw);
    double sum = 0, squares = 0;
    for (int i = 0; i < NOISE_COUNT; i++) {
        assert_true(x[i] >= 0.0f && x[i] < 1.0f);
        sum += (double)x[i];
        squares += (double)x[i] * (double)x[i];
    }
    ASSERT_NEAR(sum / NOISE_COUNT, 0.5, sqrt(1.0 / 12) * error);
    ASSERT_NEAR(squares / NOISE_COUNT, 1.0 / 3, sqrt(4.0 / 45) * error);
    free(x);
    free(y);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_philox),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_noise_is_the_same_everywhere),
        cmocka_unit_test(test_noise_is_normal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
