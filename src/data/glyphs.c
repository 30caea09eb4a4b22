/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of ways to write a digit; see glyphs.h. Digits are together and in
 * order. To add one, draw it on squared paper 100 high and read off the points.
 */
#include "data/glyphs.h"
#include "base/compiler.h"

/* clang-format off */
#define S(x, y) {x, y, BASIN__GLYPH_SMOOTH}
#define C(x, y) {x, y, BASIN__GLYPH_CORNER}
#define E(x, y) {x, y, BASIN__GLYPH_LIFT}

const basin__glyph basin__glyphs[] = {
    /* an oval from the top, its ends meeting */
    {0, 5, {S(38, 3), S(20, 7), S(5, 34), S(6, 70), S(24, 97), S(47, 90), S(60, 58), S(56, 22),
            S(42, 5), E(34, 4)}},
    /* its ends crossing over at the top */
    {0, 3, {S(46, 10), S(30, 1), S(9, 18), S(1, 53), S(12, 88), S(34, 99), S(55, 80), S(61, 44),
            S(49, 13), S(34, 4), E(24, 8)}},
    /* a wide round one from the upper right, a little open */
    {0, 2, {S(52, 14), S(34, 2), S(12, 16), S(2, 50), S(16, 88), S(40, 97), S(60, 76), S(64, 44),
            S(56, 20), E(46, 8)}},

    /* one stroke */
    {1, 8, {S(31, 0), S(30, 34), S(29, 68), E(29, 100)}},
    /* with a flag */
    {1, 2, {S(16, 20), S(24, 12), C(33, 0), S(32, 34), S(31, 68), E(31, 100)}},
    /* with a flag and a foot */
    {1, 1, {S(14, 20), S(23, 12), C(33, 0), S(32, 34), S(31, 68), E(31, 98), S(10, 98), S(30, 98),
            E(54, 97)}},

    /* a swan's neck, a straight foot */
    {2, 4, {S(4, 22), S(14, 6), S(34, 0), S(52, 11), S(53, 32), S(38, 58), S(19, 80), C(1, 97),
            S(30, 96), E(63, 96)}},
    /* a loop at the foot */
    {2, 4, {S(5, 19), S(18, 3), S(40, 2), S(53, 20), S(46, 47), S(29, 74), S(13, 93), S(2, 93),
            S(5, 80), S(18, 79), S(36, 91), S(51, 96), E(68, 88)}},
    /* a foot that waves */
    {2, 2, {S(6, 18), S(20, 2), S(42, 4), S(51, 22), S(42, 50), S(24, 74), C(2, 96), S(15, 87),
            S(36, 93), E(66, 96)}},

    /* two bows that meet in a point */
    {3, 4, {S(6, 12), S(26, 0), S(48, 9), S(46, 32), C(24, 45), S(46, 53), S(57, 73), S(43, 95),
            S(18, 100), E(0, 89)}},
    /* a loop in the middle */
    {3, 2, {S(7, 9), S(28, 0), S(49, 11), S(44, 34), S(24, 45), S(21, 49), S(32, 48), S(51, 58),
            S(55, 79), S(38, 97), S(15, 99), E(0, 88)}},
    /* smooth throughout */
    {3, 3, {S(8, 10), S(30, 1), S(50, 14), S(40, 38), S(29, 46), S(46, 54), S(56, 75), S(40, 97),
            S(14, 99), E(1, 91)}},

    /* open: a cup, then the stem */
    {4, 5, {S(9, 4), S(4, 30), S(5, 51), S(24, 56), E(55, 51), S(51, 3), S(48, 36), S(45, 68),
            E(43, 100)}},
    /* open with a sharp corner, the bar crossing the stem */
    {4, 3, {S(16, 2), S(9, 28), C(1, 57), S(30, 57), E(64, 54), S(50, 6), S(46, 40), S(43, 70),
            E(40, 100)}},
    /* closed at the top */
    {4, 2, {S(45, 1), S(24, 30), C(0, 63), S(32, 63), E(66, 61), S(45, 1), S(44, 50), E(43, 100)}},
    /* without lifting the pen, like a sharp 9 */
    {4, 3, {S(10, 5), S(4, 32), S(12, 52), S(34, 50), C(50, 34), C(54, 2), S(48, 36), S(43, 70),
            E(40, 100)}},

    /* one stroke with two corners */
    {5, 3, {S(60, 3), S(38, 3), C(16, 5), C(11, 43), S(34, 38), S(54, 54), S(51, 84), S(27, 100),
            E(1, 92)}},
    /* the bar last, a little off */
    {5, 3, {S(17, 7), S(14, 24), C(10, 44), S(33, 40), S(53, 57), S(49, 86), S(27, 100), E(1, 93),
            S(16, 6), S(36, 5), E(61, 1)}},
    /* like an S */
    {5, 2, {S(56, 5), S(34, 5), S(16, 15), S(17, 36), S(38, 51), S(49, 71), S(38, 94), S(18, 99),
            E(1, 92)}},

    /* a wide curve into the bowl */
    {6, 4, {S(42, 0), S(22, 19), S(6, 51), S(6, 82), S(24, 100), S(47, 90), S(51, 68), S(34, 57),
            S(16, 66), E(6, 82)}},
    /* straight down, the bowl small */
    {6, 3, {S(33, 0), S(18, 30), S(6, 62), S(9, 91), S(27, 100), S(43, 87), S(42, 68), S(28, 63),
            S(14, 74), E(8, 86)}},
    /* the bowl curls in */
    {6, 2, {S(46, 3), S(24, 14), S(6, 46), S(4, 78), S(20, 99), S(44, 95), S(54, 75), S(42, 58),
            S(20, 62), S(12, 78), E(20, 86)}},

    /* a corner and a slanting stem */
    {7, 5, {S(1, 8), S(28, 6), C(57, 4), S(44, 36), S(34, 66), E(27, 100)}},
    /* a bar through the stem */
    {7, 2, {S(1, 9), S(28, 5), C(58, 4), S(43, 38), S(32, 68), E(25, 100), S(15, 50), S(34, 48),
            E(55, 46)}},
    /* a hook to begin with */
    {7, 2, {S(3, 24), C(5, 7), S(30, 6), C(58, 5), S(44, 38), S(36, 68), E(32, 100)}},
    /* rounded */
    {7, 3, {S(1, 14), S(14, 4), S(36, 7), S(55, 6), S(53, 22), S(42, 48), S(33, 74), E(28, 100)}},

    /* an S and back */
    {8, 5, {S(52, 14), S(33, 0), S(13, 11), S(16, 33), S(38, 52), S(50, 75), S(34, 99), S(10, 90),
            S(11, 68), S(32, 47), S(50, 26), E(52, 10)}},
    /* open at the top right */
    {8, 3, {S(54, 8), S(34, 1), S(15, 14), S(22, 36), S(42, 57), S(45, 84), S(26, 100), S(9, 88),
            S(17, 64), S(38, 42), E(58, 15)}},
    /* one ring on the other */
    {8, 2, {S(30, 44), S(12, 31), S(15, 8), S(33, 0), S(49, 12), S(45, 34), S(28, 46), S(10, 64),
            S(8, 88), S(28, 100), S(49, 90), S(51, 66), E(32, 46)}},

    /* a ring with a straight stem */
    {9, 4, {S(50, 14), S(34, 1), S(12, 12), S(3, 34), S(14, 50), S(35, 43), C(51, 13), S(48, 42),
            S(44, 70), E(40, 100)}},
    /* a curved stem */
    {9, 2, {S(50, 16), S(34, 2), S(12, 11), S(5, 33), S(18, 48), S(38, 42), C(51, 15), S(55, 46),
            S(48, 80), S(28, 98), E(5, 93)}},
    /* in one sweep, slanting to the left */
    {9, 3, {S(46, 9), S(28, 2), S(8, 17), S(6, 38), S(22, 45), S(42, 30), S(51, 10), S(46, 40),
            S(33, 72), E(20, 100)}},
    {0, 0, {{0, 0, BASIN__GLYPH_END_OF_LIST}}},
};
/* clang-format on */

const size_t basin__glyph_count = BASIN_COUNT(basin__glyphs) - 1;
