/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The convolution kernels, written once and included by each instruction set.
 *
 * A tile keeps R rows × V vectors of sums in registers. For every k it loads V vectors of weights
 * and broadcasts one number from each of the R rows: R·V multiply-adds for V + R loads, so that
 * the multiply-add units, not the loads, set the pace.
 *
 * Weights lie in panels as wide as a tile. A tile goes over all of its panel, so its sums never
 * leave the registers, and reads the panel as one stream from the second-level cache: a vector in
 * the time of R multiply-adds, at which the processor's own prefetching keeps up. What the tiles of
 * a block share, the first-level cache keeps: rows overlap in the pixels they read.
 *
 * The including file defines
 *   vec, LANES, vec_load, vec_store, vec_store_any, vec_broadcast,
 *   vec_multiply_add(a, b, sum), prefetch(address);
 *   TILE_VECTORS, TILE_ROWS_MAX   the largest tile,
 *   TILE_ROWS                     rows of a tile of 0, 1, … vectors,
 *   FOR_EACH_TILE(X)              X(rows, vectors) for every tile up to those,
 *   PEAK_SUMS                     independent sums that keep the units busy.
 */

/** Rows that a weight gradient block goes over while they are near. */
#define WEIGHT_ROWS 256

/** Rows over which the weights of few outputs are used while they are in registers. */
#define FEW_ROWS 4

/** Channels of a panel. */
#define PANEL (TILE_VECTORS * LANES)

/*
 * Pairs of halves. Where no instruction multiplies them, they are widened, in one turn the first
 * ones of all pairs and then the second, so that few registers are in use at a time: the second is
 * a float but for its lower half, the first is moved there.
 */
#ifndef PAIR_TURNS
#define PAIR_TURNS 2
typedef vec pair_vec;
BASIN_VECTOR(pair_bits, uint32_t, LANES);

BASIN_INLINE pair_vec pair_widen(pair_bits pairs, const int turn) {
    return turn == 0 ? (vec)(pairs << 16) : (vec)(pairs & 0xFFFF0000u);
}

BASIN_INLINE pair_vec pair_load(const basin__half *address, const int turn) {
    pair_bits pairs;
    memcpy(&pairs, address, sizeof pairs);
    return pair_widen(pairs, turn);
}

BASIN_INLINE pair_vec pair_broadcast(const basin__half *address, const int turn) {
    float pair; /* a float, or the compiler would shift it before it is in all lanes */
    memcpy(&pair, address, sizeof pair);
    return pair_widen((pair_bits)vec_broadcast(&pair), turn);
}

#define pair_multiply_add(a, b, sum) vec_multiply_add(a, b, sum)
#endif

/** A few rows over one panel: `weight`, `start` and `out` are the panel's, the rest the block's. */
BASIN_INLINE void tile_run(const int rows, const int vectors, const basin__conv_block *block,
                           const int32_t *row, const void *packed, const float *start, float *out) {
    const float *in[TILE_ROWS_MAX], *weight = packed;
    vec sum[TILE_ROWS_MAX][TILE_VECTORS];
    const ptrdiff_t width = block->width;
    BASIN_UNROLL for (int r = 0; r < rows; r++) {
        in[r] = (const float *)block->in + row[r];
        BASIN_UNROLL for (int v = 0; v < vectors; v++) sum[r][v] = vec_load(start + v * LANES);
    }
    for (int t = 0; t < block->taps; t++) {
        const ptrdiff_t first = block->tap[t], end = first + block->run;
        for (ptrdiff_t k = first; k < end; k++) {
            vec w[TILE_VECTORS];
            BASIN_UNROLL for (int v = 0; v < vectors; v++) w[v] = vec_load(weight + v * LANES);
            BASIN_UNROLL for (int r = 0; r < rows; r++) {
                const vec x = vec_broadcast(in[r] + k);
                BASIN_UNROLL for (int v = 0; v < vectors; v++) sum[r][v] =
                    vec_multiply_add(x, w[v], sum[r][v]);
            }
            weight += vectors * LANES;
        }
    }
    BASIN_UNROLL for (int r = 0; r < rows; r++) BASIN_UNROLL for (int v = 0; v < vectors; v++)
        vec_store(out + r * width + v * LANES, sum[r][v]);
}

/** The same with halves, two of which are a lane. */
BASIN_INLINE void half_tile_turn(const int rows, const int vectors, const int turn,
                                 const basin__conv_block *block, const basin__half *const *in,
                                 const basin__half *weight, vec sum[][TILE_VECTORS]) {
    for (int t = 0; t < block->taps; t++) {
        const ptrdiff_t first = block->tap[t], end = first + block->run;
        for (ptrdiff_t k = first; k < end; k += 2, weight += 2 * vectors * LANES) {
            pair_vec w[TILE_VECTORS];
            BASIN_UNROLL for (int v = 0; v < vectors; v++) w[v] =
                pair_load(weight + 2 * v * LANES, turn);
            BASIN_UNROLL for (int r = 0; r < rows; r++) {
                const pair_vec x = pair_broadcast(in[r] + k, turn);
                BASIN_UNROLL for (int v = 0; v < vectors; v++) sum[r][v] =
                    pair_multiply_add(x, w[v], sum[r][v]);
            }
        }
    }
}

BASIN_INLINE void half_tile_run(const int rows, const int vectors, const basin__conv_block *block,
                                const int32_t *row, const void *weight, const float *start,
                                float *out) {
    const basin__half *in[TILE_ROWS_MAX];
    vec sum[TILE_ROWS_MAX][TILE_VECTORS];
    const ptrdiff_t width = block->width;
    BASIN_UNROLL for (int r = 0; r < rows; r++) {
        in[r] = (const basin__half *)block->in + row[r];
        BASIN_UNROLL for (int v = 0; v < vectors; v++) sum[r][v] = vec_load(start + v * LANES);
    }
    BASIN_UNROLL for (int turn = 0; turn < PAIR_TURNS; turn++)
        half_tile_turn(rows, vectors, turn, block, in, weight, sum);
    BASIN_UNROLL for (int r = 0; r < rows; r++) BASIN_UNROLL for (int v = 0; v < vectors; v++)
        vec_store(out + r * width + v * LANES, sum[r][v]);
}

/**
 * One block of the weight gradient: `inputs` consecutive (t, k) × `vectors`, over some rows.
 */
typedef struct weight_chunk {
    const float *in[TILE_ROWS_MAX]; /* with tap[t] + k added */
    const int32_t *row;
    const float *gradient; /* with the panel's first channel added */
    const int32_t *gradient_row;
    ptrdiff_t rows, width;
    bool is_new;
} weight_chunk;

BASIN_INLINE void weight_tile_run(const int inputs, const int vectors, const weight_chunk *chunk,
                                  float *out) {
    const float *in[TILE_ROWS_MAX];
    vec sum[TILE_ROWS_MAX][TILE_VECTORS];
    const ptrdiff_t width = chunk->width, rows = chunk->rows;
    BASIN_UNROLL for (int i = 0; i < inputs; i++) {
        in[i] = chunk->in[i];
        BASIN_UNROLL for (int v = 0; v < vectors; v++) {
            sum[i][v] = chunk->is_new ? (vec){0} : vec_load(out + i * width + v * LANES);
            prefetch(out + (i + inputs) * width + v * LANES);
        }
    }
    for (ptrdiff_t r = 0; r < rows; r++) {
        const ptrdiff_t at = chunk->row[r];
        const float *gradient = chunk->gradient + chunk->gradient_row[r];
        vec g[TILE_VECTORS];
        BASIN_UNROLL for (int v = 0; v < vectors; v++) g[v] = vec_load(gradient + v * LANES);
        BASIN_UNROLL for (int i = 0; i < inputs; i++) {
            const vec x = vec_broadcast(in[i] + at);
            BASIN_UNROLL for (int v = 0; v < vectors; v++) sum[i][v] =
                vec_multiply_add(x, g[v], sum[i][v]);
        }
    }
    BASIN_UNROLL for (int i = 0; i < inputs; i++) BASIN_UNROLL for (int v = 0; v < vectors; v++)
        vec_store(out + i * width + v * LANES, sum[i][v]);
}

typedef void tile_function(const basin__conv_block *block, const int32_t *row, const void *weight,
                           const float *start, float *out);
typedef void weight_tile_function(const weight_chunk *chunk, float *out);

/* A tile of every height and width, each compiled for its own constants. */
#define DEFINE_TILE(rows, vectors)                                                                 \
    static void tile_##rows##x##vectors(const basin__conv_block *block, const int32_t *row,        \
                                        const void *weight, const float *start, float *out) {      \
        tile_run(rows, vectors, block, row, weight, start, out);                                   \
    }                                                                                              \
    static void half_tile_##rows##x##vectors(const basin__conv_block *block, const int32_t *row,   \
                                             const void *weight, const float *start, float *out) { \
        half_tile_run(rows, vectors, block, row, weight, start, out);                              \
    }                                                                                              \
    static void weight_tile_##rows##x##vectors(const weight_chunk *chunk, float *out) {            \
        weight_tile_run(rows, vectors, chunk, out);                                                \
    }
#define TILE_ENTRY(rows, vectors)                                                                  \
    [vectors][rows] = {tile_##rows##x##vectors, half_tile_##rows##x##vectors},
#define WEIGHT_TILE_ENTRY(rows, vectors) [vectors][rows] = weight_tile_##rows##x##vectors,

FOR_EACH_TILE(DEFINE_TILE)
static tile_function *const tile_table[TILE_VECTORS + 1][TILE_ROWS_MAX + 1][2] = {
    FOR_EACH_TILE(TILE_ENTRY)};
static weight_tile_function *const weight_tile_table[TILE_VECTORS + 1][TILE_ROWS_MAX + 1] = {
    FOR_EACH_TILE(WEIGHT_TILE_ENTRY)};
static const int tile_rows[TILE_VECTORS + 1] = TILE_ROWS;

BASIN_INLINE int smaller(int a, int b) { return a < b ? a : b; }

static void conv_f32(const basin__conv_block *block) {
    _Alignas(64) static const float zeros[PANEL];
    const size_t size = block->is_half ? sizeof(basin__half) : sizeof(float);
    const unsigned char *weight = block->weight;
    for (int first = 0; first < block->width; first += PANEL) {
        const int vectors = smaller(PANEL, block->width - first) / LANES;
        const float *start = block->start ? block->start + first : zeros;
        const int groups = (block->rows + tile_rows[vectors] - 1) / tile_rows[vectors];
        for (int group = 0; group < groups; group++) { /* as even as can be */
            const int top = group * block->rows / groups;
            const int rows = (group + 1) * block->rows / groups - top;
            tile_table[vectors][rows][block->is_half](block, block->row + top, weight, start,
                                                      block->out + (ptrdiff_t)top * block->width +
                                                          first);
        }
        weight += (size_t)block->taps * (size_t)block->run * (size_t)(vectors * LANES) * size;
    }
}

/* ---- few outputs ---- */

/** Sums of LANES numbers: halves are added until one is left. */
BASIN_INLINE float vec_sum(vec x) {
    _Alignas(64) float lanes[LANES];
    vec_store(lanes, x);
    BASIN_UNROLL for (int half = LANES / 2; half > 0; half /= 2)
        BASIN_UNROLL for (int i = 0; i < half; i++) lanes[i] += lanes[i + half];
    return lanes[0];
}

/** Lanes run along k: a few rows times all outputs. */
BASIN_INLINE void few_run(const int rows, const int outputs, const basin__conv_block *block,
                          const int32_t *row, float *out) {
    static const float zero = 0.0f;
    const ptrdiff_t inputs = (ptrdiff_t)block->taps * block->run;
    const float *weight = block->weight;
    vec sum[FEW_ROWS][BASIN__CONV_FEW];
    BASIN_UNROLL for (int r = 0; r < rows; r++) BASIN_UNROLL for (int o = 0; o < outputs; o++)
        sum[r][o] = vec_broadcast(&zero);
    for (int t = 0; t < block->taps; t++) {
        const float *in = (const float *)block->in + block->tap[t];
        for (int k = 0; k < block->run; k += LANES, weight += LANES) {
            vec w[BASIN__CONV_FEW];
            BASIN_UNROLL for (int o = 0; o < outputs; o++) w[o] = vec_load(weight + o * inputs);
            BASIN_UNROLL for (int r = 0; r < rows; r++) {
                const vec x = vec_load(in + row[r] + k);
                BASIN_UNROLL for (int o = 0; o < outputs; o++) sum[r][o] =
                    vec_multiply_add(x, w[o], sum[r][o]);
            }
        }
    }
    BASIN_UNROLL for (int r = 0; r < rows; r++) {
        float *to = out + r * BASIN__CHANNEL_UNIT;
        memset(to, 0, BASIN__CHANNEL_UNIT * sizeof *to);
        BASIN_UNROLL for (int o = 0; o < outputs; o++) to[o] =
            (block->start ? block->start[o] : 0.0f) + vec_sum(sum[r][o]);
    }
}

BASIN_INLINE void few_rows(const int outputs, const basin__conv_block *block) {
    const int rows = outputs > 2 ? FEW_ROWS / 2 : FEW_ROWS; /* as many sums as registers hold */
    int r = 0;
    for (; r + rows <= block->rows; r += rows)
        few_run(rows, outputs, block, block->row + r, block->out + r * BASIN__CHANNEL_UNIT);
    for (; r < block->rows; r++)
        few_run(1, outputs, block, block->row + r, block->out + r * BASIN__CHANNEL_UNIT);
}

static void conv_few_f32(const basin__conv_block *block, int outputs) {
    switch (outputs) {
    case 1:
        few_rows(1, block);
        break;
    case 2:
        few_rows(2, block);
        break;
    case 3:
        few_rows(3, block);
        break;
    default:
        few_rows(4, block);
    }
}

/* ---- weight gradients ---- */

/** All (t, k) of one panel of channels over one block of rows. */
static void weight_panel(const basin__conv_weight_block *block, weight_chunk *chunk, int vectors,
                         float *out) {
    const int64_t inputs = (int64_t)block->taps * block->run;
    const int height = tile_rows[vectors];
    int t = 0, k = 0;
    for (int64_t first = 0; first < inputs; first += height) {
        const int count = (int)(inputs - first < height ? inputs - first : height);
        for (int i = 0; i < count; i++) {
            chunk->in[i] = block->in + block->tap[t] + k;
            if (++k == block->run) {
                k = 0;
                t++;
            }
        }
        weight_tile_table[vectors][count](chunk, out + first * block->width);
    }
}

static void conv_weight_f32(const basin__conv_weight_block *block) {
    for (int64_t first = 0; first == 0 || first < block->rows; first += WEIGHT_ROWS) {
        weight_chunk chunk = {.row = block->row + first,
                              .gradient_row = block->gradient_row + first,
                              .width = block->width,
                              .is_new = block->is_new && first == 0};
        chunk.rows = block->rows - first < WEIGHT_ROWS ? block->rows - first : WEIGHT_ROWS;
        const int panels = block->width / LANES;
        for (int v = 0; v < panels; v += TILE_VECTORS) {
            chunk.gradient = block->gradient + v * LANES;
            weight_panel(block, &chunk, smaller(TILE_VECTORS, panels - v), block->out + v * LANES);
        }
    }
}

static double peak_f32(int64_t iterations) {
    volatile float source = 0x1p-30f; /* so small that sums stay what they are */
    const float number = source;
    const vec factor = vec_broadcast(&number);
    vec sum[PEAK_SUMS];
    BASIN_UNROLL for (int i = 0; i < PEAK_SUMS; i++) {
        const float start = source; /* for all that the compiler knows, another each time */
        sum[i] = vec_broadcast(&start);
    }
    for (int64_t round = 0; round < iterations; round++)
        BASIN_UNROLL for (int i = 0; i < PEAK_SUMS; i++) sum[i] =
            vec_multiply_add(factor, sum[i], sum[i]);
    BASIN_UNROLL for (int i = 0; i < PEAK_SUMS; i++) {
        float lanes[LANES];
        vec_store_any(lanes, sum[i]);
        source = lanes[0];
    }
    return 2.0 * LANES * PEAK_SUMS * (double)iterations;
}
