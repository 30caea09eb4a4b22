/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The convolution kernels, written once and included by each instruction set.
 *
 * A tile keeps R rows × V vectors of sums in registers. For every k it loads V vectors of weights
 * and broadcasts one number from each of the R rows: R·V multiply-adds for V + R loads, so that
 * the multiply-add units, not the loads, set the pace.
 *
 * The weights of a call do not fit the first-level cache. So k is cut into chunks that do; all rows
 * of the call go over one chunk while it is near, with their sums parked in `out` between chunks,
 * and every tile fetches a share of the next chunk ahead. A sum that is stored and loaded again
 * keeps its bits, so the chunks change none.
 *
 * The including file defines
 *   vec, LANES, vec_zero, vec_load, vec_store, vec_store_any, vec_broadcast,
 *   vec_multiply_add(a, b, sum), prefetch(address);
 *   TILE_VECTORS, TILE_ROWS_MAX   the largest tile,
 *   TILE_ROWS                     rows of a tile of 0, 1, … vectors,
 *   FOR_EACH_TILE(X)              X(rows, vectors) for every tile up to those,
 *   TILE_WIDTH(width, vectors)    the block's width: a constant where a tile is as wide as blocks,
 *   TILE_FETCHES_AHEAD(vectors)   whether tiles of that width fetch the next chunk,
 *   PEAK_SUMS                     independent sums that keep the units busy, a multiple of 4.
 */

/** Floats of weights in a chunk: half of a 32 KiB cache. */
#define CHUNK_FLOATS 4096
/** Rows that a weight gradient block goes over while they are near. */
#define WEIGHT_ROWS 64

typedef struct conv_chunk {
    const float *in; /* with the chunk's first k added */
    const int32_t *tap;
    int taps, run;
    const float *weight;
    int width;
    const float *start; /* what the first chunk's sums start from; later ones: NULL, from out */
    const float *ahead; /* this call's share of the next chunk */
    ptrdiff_t ahead_step;
} conv_chunk;

BASIN_INLINE void tile_run(const int rows, const int vectors, const conv_chunk *chunk,
                           const int32_t *row, float *out) {
    const float *in[TILE_ROWS_MAX];
    vec sum[TILE_ROWS_MAX][TILE_VECTORS];
    const ptrdiff_t width = TILE_WIDTH(chunk->width, vectors);
    BASIN_UNROLL for (int r = 0; r < rows; r++) {
        in[r] = chunk->in + row[r];
        BASIN_UNROLL for (int v = 0; v < vectors; v++) sum[r][v] =
            vec_load(chunk->start ? chunk->start + v * LANES : out + r * width + v * LANES);
    }
    const float *weight = chunk->weight, *ahead = chunk->ahead;
    const ptrdiff_t ahead_step = chunk->ahead_step;
    for (int t = 0; t < chunk->taps; t++) {
        const ptrdiff_t first = chunk->tap[t], end = first + chunk->run;
        for (ptrdiff_t k = first; k < end; k++) {
            vec w[TILE_VECTORS];
            BASIN_UNROLL for (int v = 0; v < vectors; v++) w[v] = vec_load(weight + v * LANES);
            BASIN_UNROLL for (int r = 0; r < rows; r++) {
                const vec x = vec_broadcast(in[r] + k);
                BASIN_UNROLL for (int v = 0; v < vectors; v++) sum[r][v] =
                    vec_multiply_add(x, w[v], sum[r][v]);
            }
            weight += width;
            if (TILE_FETCHES_AHEAD(vectors)) {
                prefetch(ahead);
                ahead += ahead_step;
            }
        }
    }
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
} weight_chunk;

BASIN_INLINE void weight_tile_run(const int inputs, const int vectors, const weight_chunk *chunk,
                                  float *out) {
    const float *in[TILE_ROWS_MAX];
    vec sum[TILE_ROWS_MAX][TILE_VECTORS];
    const ptrdiff_t width = chunk->width, rows = chunk->rows;
    BASIN_UNROLL for (int i = 0; i < inputs; i++) {
        in[i] = chunk->in[i];
        BASIN_UNROLL for (int v = 0; v < vectors; v++) {
            sum[i][v] = vec_load(out + i * width + v * LANES);
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

typedef void tile_function(const conv_chunk *chunk, const int32_t *row, float *out);
typedef void weight_tile_function(const weight_chunk *chunk, float *out);

/* A tile of every height and width, each compiled for its own constants. */
#define DEFINE_TILE(rows, vectors)                                                                 \
    static void tile_##rows##x##vectors(const conv_chunk *chunk, const int32_t *row, float *out) { \
        tile_run(rows, vectors, chunk, row, out);                                                  \
    }                                                                                              \
    static void weight_tile_##rows##x##vectors(const weight_chunk *chunk, float *out) {            \
        weight_tile_run(rows, vectors, chunk, out);                                                \
    }
#define TILE_ENTRY(rows, vectors) [vectors][rows] = tile_##rows##x##vectors,
#define WEIGHT_TILE_ENTRY(rows, vectors) [vectors][rows] = weight_tile_##rows##x##vectors,

FOR_EACH_TILE(DEFINE_TILE)
static tile_function *const tile_table[TILE_VECTORS + 1][TILE_ROWS_MAX + 1] = {
    FOR_EACH_TILE(TILE_ENTRY)};
static weight_tile_function *const weight_tile_table[TILE_VECTORS + 1][TILE_ROWS_MAX + 1] = {
    FOR_EACH_TILE(WEIGHT_TILE_ENTRY)};
static const int tile_rows[TILE_VECTORS + 1] = TILE_ROWS;

BASIN_INLINE int smaller(int a, int b) { return a < b ? a : b; }

/** All rows over one chunk, in groups as even as can be. */
static void conv_chunk_run(const basin__conv_block *block, conv_chunk *chunk, int next) {
    const int panels = block->width / LANES, widest = smaller(panels, TILE_VECTORS);
    const int groups = (block->rows + tile_rows[widest] - 1) / tile_rows[widest];
    const int calls = groups * ((panels + widest - 1) / widest);
    const ptrdiff_t share = ((ptrdiff_t)next * block->width + calls - 1) / calls;
    const float *const weight = chunk->weight, *const start = chunk->start;
    const float *const ahead = weight + (ptrdiff_t)chunk->taps * chunk->run * block->width;
    chunk->ahead_step = next == 0 ? 0 : share / (chunk->taps * chunk->run);
    int call = 0;
    for (int group = 0; group < groups; group++) {
        const int first = group * block->rows / groups;
        const int rows = (group + 1) * block->rows / groups - first;
        float *out = block->out + (ptrdiff_t)first * block->width;
        for (int v = 0; v < panels; v += widest) {
            chunk->weight = weight + v * LANES;
            chunk->start = start ? start + v * LANES : NULL;
            chunk->ahead = next == 0 ? weight : ahead + share * call++;
            tile_table[smaller(widest, panels - v)][rows](chunk, block->row + first,
                                                          out + v * LANES);
        }
    }
}

static void conv_f32(const basin__conv_block *block) {
    _Alignas(64) static const float zeros[BASIN__CONV_WIDTH];
    const int most = CHUNK_FLOATS / block->width;
    /* A long run is cut into even pieces; short runs are taken several taps at a time. */
    const int pieces = (block->run + most - 1) / most;
    const int taps = pieces > 1 ? 1 : smaller(block->taps, most / block->run);
    const float *weight = block->weight;
    conv_chunk chunk = {.width = block->width, .start = block->start ? block->start : zeros};
    for (int t = 0; t < block->taps; t += taps) {
        for (int piece = 0; piece < pieces; piece++) {
            const int first = (int)((int64_t)piece * block->run / pieces);
            chunk.run = (int)((int64_t)(piece + 1) * block->run / pieces) - first;
            chunk.in = block->in + first;
            chunk.tap = block->tap + t;
            chunk.taps = smaller(taps, block->taps - t);
            chunk.weight = weight;
            const int done = chunk.taps * chunk.run;
            weight += (ptrdiff_t)done * block->width;
            const ptrdiff_t left =
                block->weight + (ptrdiff_t)block->taps * block->run * block->width - weight;
            conv_chunk_run(block, &chunk, smaller(done, (int)(left / block->width)));
            chunk.start = NULL;
        }
    }
}

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
    for (int64_t first = 0; first < block->rows; first += WEIGHT_ROWS) {
        weight_chunk chunk = {.row = block->row + first,
                              .gradient_row = block->gradient_row + first,
                              .width = block->width};
        chunk.rows = block->rows - first < WEIGHT_ROWS ? block->rows - first : WEIGHT_ROWS;
        const int panels = block->width / LANES;
        for (int v = 0; v < panels; v += TILE_VECTORS) {
            chunk.gradient = block->gradient + v * LANES;
            weight_panel(block, &chunk, smaller(TILE_VECTORS, panels - v), block->out + v * LANES);
        }
    }
}

static double peak_f32(int64_t iterations) {
    enum { SIDE = 4 }; /* short loops, so that the compiler keeps all sums in registers */
    volatile float source = 0.5f; /* not known to the compiler */
    const float number = source;
    const vec factor = vec_broadcast(&number);
    vec sum[PEAK_SUMS / SIDE][SIDE];
    for (int i = 0; i < PEAK_SUMS / SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            sum[i][j] = vec_zero();
    for (int64_t round = 0; round < iterations; round++)
        for (int i = 0; i < PEAK_SUMS / SIDE; i++)
            for (int j = 0; j < SIDE; j++)
                sum[i][j] = vec_multiply_add(sum[i][j], factor, factor);
    float lanes[LANES];
    for (int i = 0; i < PEAK_SUMS / SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            vec_store_any(lanes, sum[i][j]);
            source = lanes[0];
        }
    return 2.0 * LANES * PEAK_SUMS * (double)iterations;
}
