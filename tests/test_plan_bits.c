/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans give the same bits for any number of threads and any tile. Apart from test_plan.c for the
 * sake of emulated processors, on which both take long.
 */
#include "plan_support.h"

static void check_same_bits(numbers kind) {
    static const struct { int threads, tile; } ways[] = {{1, 0}, {5, 0}, {2, 1}, {1, 3}};
    for (size_t k = 0; k < sizeof nets / sizeof *nets; k++) {
        /* sixteen shards of three or four examples, partial tiles; of one or two where the
         * network is large, for the sake of emulated processors */
        int64_t batch = is_fast(&nets[k]) ? 20 : 50;
        answer first = {0};
        for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
            basin_context *context = test_context_on(NULL, ways[i].threads);
            answer got;
            solve(context, &nets[k], batch, kind, ways[i].tile, &got);
            for (int o = 0; i > 0 && o < (kind == HALVES ? 2 : 2 + name_count); o++) {
                /* whole ops that sum over a tile's examples may round by tile */
                if (ways[i].tile && o >= 2)
                    continue;
                if (memcmp(got.values[o], first.values[o], (size_t)got.counts[o] * 8) != 0)
                    fail_msg("%s: output %d differs with %d threads, tile %d", nets[k].name, o,
                             ways[i].threads, ways[i].tile);
            }
            if (i == 0)
                first = got;
            else
                forget(&got);
            basin_context_destroy(context);
        }
        forget(&first);
    }
}

static void test_same_bits(void **state) {
    (void)state;
    check_same_bits(F32);
    check_same_bits(HALVES);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_bits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
