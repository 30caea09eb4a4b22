/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trivial scores: what separates two image sets without any learned energy.
 *
 * MNIST against Fashion-MNIST is told apart by counting pixels that are not
 * black; a learned score is worth something where it beats these. Each example
 * is scored by one worker: results do not depend on the number of threads.
 */
#include "eval/metrics.h"
#include <math.h>
#include <zlib.h>

const char *basin__trivial_name(basin__trivial kind) {
    static const char *const names[BASIN__TRIVIAL_COUNT] = {
        [BASIN__TRIVIAL_MEAN] = "mean",
        [BASIN__TRIVIAL_NON_ZERO] = "non_zero",
        [BASIN__TRIVIAL_TOTAL_VARIATION] = "total_variation",
        [BASIN__TRIVIAL_COMPRESSED_SIZE] = "compressed_size",
        [BASIN__TRIVIAL_PCA_GAUSSIAN] = "pca_gaussian",
    };
    return (int)kind >= 0 && kind < BASIN__TRIVIAL_COUNT ? names[kind] : "unknown";
}

static int64_t dimension_of(const basin_data_info *info) {
    return (int64_t)info->height * info->width * info->channels;
}

typedef struct scratch {
    float *x;             /* [dimension] */
    double *centred;      /* [dimension] */
    unsigned char *bytes; /* [dimension] */
    unsigned char *packed;
    z_stream stream; /* one a worker, reset for each example: its 256 KiB are set up once */
    bool stream_open;
} scratch;

typedef struct scoring {
    const basin__pca *pca;
    const basin_data *data;
    const basin_data_info *info;
    int64_t dimension;
    uLong packed_max;
    scratch *scratch; /* [thread_count] */
    double *scores;
    double (*score)(const struct scoring *s, scratch *t);
} scoring;

static double score_mean(const scoring *s, scratch *t) {
    double sum = 0.0;
    for (int64_t i = 0; i < s->dimension; i++)
        sum += (double)t->x[i];
    return sum / (double)s->dimension;
}

static double score_non_zero(const scoring *s, scratch *t) {
    int64_t count = 0;
    for (int64_t i = 0; i < s->dimension; i++)
        count += fabsf(t->x[i]) > 0.0f;
    return (double)count;
}

/* Sum of absolute differences to the right and the lower neighbour. */
static double score_total_variation(const scoring *s, scratch *t) {
    int64_t c = s->info->channels, row = s->info->width * c;
    double sum = 0.0;
    for (int64_t i = 0; i < s->dimension; i++) {
        if (i % row + c < row)
            sum += fabs((double)t->x[i + c] - (double)t->x[i]);
        if (i + row < s->dimension)
            sum += fabs((double)t->x[i + row] - (double)t->x[i]);
    }
    return sum;
}

static double score_compressed_size(const scoring *s, scratch *t) {
    float low = s->info->low, span = s->info->high - low;
    for (int64_t i = 0; i < s->dimension; i++) {
        float share = span > 0.0f ? (t->x[i] - low) / span : 0.0f;
        float level = share > 0.0f ? fminf(share, 1.0f) * 255.0f : 0.0f;
        t->bytes[i] = (unsigned char)(level + 0.5f);
    }
    deflateReset(&t->stream);
    t->stream.next_in = t->bytes;
    t->stream.avail_in = (uInt)s->dimension;
    t->stream.next_out = t->packed;
    t->stream.avail_out = (uInt)s->packed_max;
    deflate(&t->stream, Z_FINISH); /* packed_max bounds the output: one call ends the stream */
    return (double)t->stream.total_out;
}

static double score_pca_gaussian(const scoring *s, scratch *t) {
    return basin__pca_energy(s->pca, t->x, t->centred);
}

static void score_task(void *user, int64_t index, int worker) {
    const scoring *s = user;
    scratch *t = &s->scratch[worker];
    basin_data_get(s->data, index, t->x);
    s->scores[index] = s->score(s, t);
}

static voidpf zlib_allocate(voidpf user, uInt count, uInt size) {
    return basin__alloc_array(user, count, size);
}

static void zlib_release(voidpf user, voidpf memory) { basin__free(user, memory); }

static basin_status scratch_init(basin_context *context, const scoring *s, scratch *t) {
    size_t d = (size_t)s->dimension;
    t->x = basin__alloc_array(context, d, sizeof *t->x);
    if (!t->x)
        return BASIN_ERROR_MEMORY;
    if (s->score == score_pca_gaussian) {
        t->centred = basin__alloc_array(context, d, sizeof *t->centred);
        return t->centred ? BASIN_OK : BASIN_ERROR_MEMORY;
    }
    if (s->score == score_compressed_size) {
        t->bytes = basin__alloc(context, d);
        t->packed = basin__alloc(context, s->packed_max);
        t->stream.zalloc = zlib_allocate;
        t->stream.zfree = zlib_release;
        t->stream.opaque = context;
        if (!t->bytes || !t->packed)
            return BASIN_ERROR_MEMORY;
        if (deflateInit(&t->stream, 9) != Z_OK)
            return BASIN_ERROR_MEMORY;
        t->stream_open = true;
    }
    return BASIN_OK;
}

static void scratch_reset(basin_context *context, scratch *t) {
    if (t->stream_open)
        deflateEnd(&t->stream);
    basin__free(context, t->packed);
    basin__free(context, t->bytes);
    basin__free(context, t->centred);
    basin__free(context, t->x);
}

static basin_status check_scoring(basin_context *context, basin__trivial kind, const scoring *s) {
    if ((int)kind < 0 || kind >= BASIN__TRIVIAL_COUNT)
        return basin__fail(context, BASIN_ERROR_ARGUMENT, "trivial score: no kind %d", (int)kind);
    if (s->dimension > INT32_MAX / 2)
        return basin__fail(context, BASIN_ERROR_UNSUPPORTED,
                           "trivial score: %s has %lld values an example, at most %d are supported",
                           s->info->name, (long long)s->dimension, INT32_MAX / 2);
    if (kind != BASIN__TRIVIAL_PCA_GAUSSIAN)
        return BASIN_OK;
    if (!s->pca)
        return basin__fail(context, BASIN_ERROR_ARGUMENT,
                           "trivial score: pca_gaussian needs a fitted basin__pca");
    if (basin__pca_dimension(s->pca) != s->dimension)
        return basin__fail(context, BASIN_ERROR_SHAPE,
                           "trivial score: %s has %lld values an example, the PCA was fitted on "
                           "%lld; use a data set of the same shape",
                           s->info->name, (long long)s->dimension,
                           (long long)basin__pca_dimension(s->pca));
    return BASIN_OK;
}

basin_status basin__trivial_score(basin_context *context, basin__trivial kind,
                                  const basin__pca *pca, const basin_data *data, double *scores) {
    static double (*const functions[BASIN__TRIVIAL_COUNT])(const scoring *, scratch *) = {
        [BASIN__TRIVIAL_MEAN] = score_mean,
        [BASIN__TRIVIAL_NON_ZERO] = score_non_zero,
        [BASIN__TRIVIAL_TOTAL_VARIATION] = score_total_variation,
        [BASIN__TRIVIAL_COMPRESSED_SIZE] = score_compressed_size,
        [BASIN__TRIVIAL_PCA_GAUSSIAN] = score_pca_gaussian,
    };
    scoring s = {.pca = pca, .data = data, .info = basin_data_describe(data), .scores = scores};
    s.dimension = dimension_of(s.info);
    BASIN_TRY(check_scoring(context, kind, &s));
    s.score = functions[kind];
    s.packed_max = compressBound((uLong)s.dimension);

    int worker_count = basin_context_thread_count(context);
    s.scratch = basin__alloc_array(context, (size_t)worker_count, sizeof *s.scratch);
    if (!s.scratch)
        return BASIN_ERROR_MEMORY;
    basin_status status = BASIN_OK;
    for (int i = 0; i < worker_count && status == BASIN_OK; i++)
        status = scratch_init(context, &s, &s.scratch[i]);
    if (status == BASIN_OK)
        basin__parallel(context, s.info->count, score_task, &s);
    for (int i = 0; i < worker_count; i++)
        scratch_reset(context, &s.scratch[i]);
    basin__free(context, s.scratch);
    return status;
}
