/* SPDX-License-Identifier: Apache-2.0 */
/*
 * basin demo: everything once, without data or configuration, in about a minute.
 *
 * A small energy of strokes at every noise level is trained by denoising; then it samples, tells
 * strokes from other pictures, takes noise off them and fills in their lower halves. What is shown
 * is what came out: the first chains, none left out, and the first held-out strokes.
 */
#include "base/file.h"
#include "cli.h"
#include "demo.h"
#include "eval/chart.h"
#include "model.h"
#include "progress.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HELD_OUT 500  /* strokes scored, and examples of each outside set */
#define COLUMNS 16    /* of all grids in the combined picture */
#define WALKS_SHOWN 3 /* chains shown on their way */
#define ZOOM 3

/* Small images leave time for many updates. */
static const char recipe[] =
    "{\"data\": \"strokes\", \"image_size\": 16, \"range\": \"-1,1\", \"data_noise\": 0,"
    " \"network\": \"unet\", \"channels\": [16, 32], \"norm_groups\": 4,"
    " \"objective\": \"diffusion\", \"noise_mean\": -0.8,"
    " \"sampler\": \"ode\", \"levels\": 40, \"churn\": 20, \"churn_low\": 0.05,"
    " \"churn_high\": 20, \"churn_noise\": 1.003, \"box\": \"clamp\","
    " \"batch\": 64, \"learning_rate\": 2e-3, \"warm_up\": 100, \"decay\": \"cosine\","
    " \"parameter_clip_value\": 1, \"average\": 0.99, \"log_every\": 100,"
    " \"sample_every\": 0, \"checkpoint_every\": 1000000, \"keep_checkpoints\": 1}";

typedef struct demo_options {
    char *out;
    int64_t seed, updates;
} demo_options;

#define AT(field) offsetof(demo_options, field)

static const basin__option table[] = {
    {"out", BASIN__OPTION_TEXT, AT(out), "runs/demo", 0, 0, NULL, NULL,
     "Run folder; the demo that is in it is replaced"},
    {"seed", BASIN__OPTION_INT, AT(seed), "1", 0, BASIN__SEED_MAX, NULL, NULL,
     "Names all randomness: the data, the network's start, the chains"},
    {"updates", BASIN__OPTION_INT, AT(updates), "1600", 1, 1e6, NULL, "updates",
     "Length of the training"},
};

/* ---- training ---- */

typedef struct watch {
    basin__bar bar;
    basin_train_progress last;
} watch;

static bool show(void *user, const basin_train_progress *progress) {
    watch *seen = user;
    if (progress->is_report)
        seen->last = *progress;
    basin__bar_show(&seen->bar, progress);
    return basin__signals_caught() == 0;
}

static basin_status make_settings(basin_context *context, const demo_options *options,
                                  char **text) {
    json_t *settings = json_loads(recipe, JSON_REJECT_DUPLICATES, NULL);
    json_object_set_new(settings, "seed", json_integer(options->seed));
    json_object_set_new(settings, "updates", json_integer(options->updates));
    *text = settings != NULL ? json_dumps(settings, JSON_COMPACT) : NULL;
    json_decref(settings);
    return *text != NULL ? BASIN_OK
                         : basin__fail(context, BASIN_ERROR_MEMORY, "no memory for the settings");
}

/* The log's lines say what the bar says: on a terminal they go to log.txt alone. */
static basin_status train(basin__command *command, watch *seen, basin_energy **energy) {
    const demo_options *options = command->options;
    const bool is_quiet = command->is_quiet;
    basin_train_options training;
    basin_train_options_init(&training);
    char *settings;
    BASIN_TRY(make_settings(command->context, options, &settings));
    training.settings = settings;
    training.folder = options->out;
    training.folder_use = BASIN_TRAIN_REPLACE;
    training.progress = show;
    training.user = seen;
    seen->bar = basin__bar_make(!is_quiet);
    command->is_quiet = is_quiet || seen->bar.is_on;
    basin_status status = basin_train(command->context, &training, energy);
    command->is_quiet = is_quiet;
    basin__bar_end(&seen->bar);
    free(settings);
    return status;
}

/* ---- pictures ---- */

static const char *const pictures[] = {"samples.png", "restored.png", "demo.png"};

static char *path_in(const basin__command *command, const char *name) {
    const demo_options *options = command->options;
    return basin__format(command->context, "%s/%s", options->out, name);
}

/* An interrupted demo must not leave the pictures of the one before. */
static basin_status remove_pictures(const basin__command *command) {
    basin_status status = BASIN_OK;
    for (size_t i = 0; i < BASIN_COUNT(pictures) && status == BASIN_OK; i++) {
        char *path = path_in(command, pictures[i]);
        if (path == NULL)
            return BASIN_ERROR_MEMORY;
        if (unlink(path) != 0 && errno != ENOENT && errno != ENOTDIR)
            status = basin__fail_errno(command->context, "remove", path, errno);
        basin__free(command->context, path);
    }
    return status;
}

static basin_status make_grid(const basin__demo *demo, const float *x, int64_t count, int columns,
                              int zoom, basin__image *grid) {
    basin_shape shape = demo->energy->shape;
    return basin__image_grid(demo->context, grid, x, count, shape.height, shape.width,
                             shape.channels, demo->range.low, demo->range.high, columns, zoom);
}

static basin_status draw_samples(const basin__command *command, const basin__demo *demo) {
    const float *samples = demo->walk + (BASIN__DEMO_STAGES - 1) * BASIN__DEMO_CHAINS * demo->size;
    basin__image grid = {0};
    char *path = path_in(command, "samples.png");
    basin_status status =
        path ? make_grid(demo, samples, BASIN__DEMO_CHAINS, 0, ZOOM, &grid) : BASIN_ERROR_MEMORY;
    if (status == BASIN_OK)
        status = basin__png_write(demo->context, path, &grid);
    basin__image_reset(demo->context, &grid);
    basin__free(demo->context, path);
    return status;
}

/** A picture of captioned grids, in the making. */
typedef struct sheet {
    basin__image grids[7];
    char *captions[7];
    int count;
} sheet;

static void reset_sheet(basin_context *context, sheet *page) {
    for (int i = 0; i < page->count; i++) {
        basin__image_reset(context, &page->grids[i]);
        basin__free(context, page->captions[i]);
    }
    page->count = 0;
}

/* Takes the caption over; NULL is one that found no memory. */
static basin_status add_section(const basin__demo *demo, sheet *page, char *caption, const float *x,
                                int64_t count) {
    if (caption == NULL)
        return BASIN_ERROR_MEMORY;
    page->captions[page->count] = caption;
    return make_grid(demo, x, count, COLUMNS, ZOOM, &page->grids[page->count++]);
}

static basin_status add_samples(const basin__demo *demo, sheet *page) {
    const int64_t look = BASIN__DEMO_CHAINS * demo->size;
    const int last = BASIN__DEMO_STAGES - 1;
    BASIN_TRY(add_section(demo, page,
                          basin__format(demo->context,
                                        "Samples: the first %d chains from noise, %.0f evaluations "
                                        "of the gradient each",
                                        BASIN__DEMO_CHAINS, demo->evaluations),
                          demo->walk + last * look, BASIN__DEMO_CHAINS));
    float *ways = basin__alloc_array(demo->context, WALKS_SHOWN * BASIN__DEMO_STAGES,
                                     (size_t)demo->size * sizeof(float));
    if (ways == NULL)
        return BASIN_ERROR_MEMORY;
    for (int chain = 0; chain < WALKS_SHOWN; chain++)
        for (int stage = 0; stage < BASIN__DEMO_STAGES; stage++)
            memcpy(ways + (chain * BASIN__DEMO_STAGES + stage) * demo->size,
                   demo->walk + stage * look + chain * demo->size,
                   (size_t)demo->size * sizeof(float));
    basin_status status = add_section(
        demo, page,
        basin__format(demo->context, "The first %d of them on their way from noise", WALKS_SHOWN),
        ways, WALKS_SHOWN * BASIN__DEMO_STAGES);
    basin__free(demo->context, ways);
    return status;
}

static basin_status add_restored(const basin__demo *demo, sheet *page) {
    BASIN_TRY(add_section(demo, page,
                          basin__format(demo->context,
                                        "Held-out strokes with noise of standard deviation %g: "
                                        "%.1f dB (%.1f dB clamped to the range)",
                                        demo->noise_std, demo->psnr_noisy, demo->psnr_clamped),
                          demo->noisy, COLUMNS));
    BASIN_TRY(
        add_section(demo, page,
                    basin__format(demo->context, "Their mean given that, y - σ² ∇E(y, σ): %.1f dB",
                                  demo->psnr_denoised),
                    demo->denoised, COLUMNS));
    BASIN_TRY(add_section(demo, page, basin__strdup(demo->context, "The strokes without noise"),
                          demo->clean, COLUMNS));
    BASIN_TRY(add_section(demo, page,
                          basin__strdup(demo->context, "The same with their lower half hidden"),
                          demo->hidden, BASIN__DEMO_FILLED));
    return add_section(demo, page,
                       basin__format(demo->context, "Filled in: %d samples given the upper half",
                                     BASIN__DEMO_DRAWS),
                       demo->filled, BASIN__DEMO_DRAWS * BASIN__DEMO_FILLED);
}

static basin_status draw_sheet(const basin__command *command, const basin__demo *demo,
                               const char *name, bool has_samples) {
    sheet page = {.count = 0};
    char *path = path_in(command, name);
    basin_status status = path ? BASIN_OK : BASIN_ERROR_MEMORY;
    if (status == BASIN_OK && has_samples)
        status = add_samples(demo, &page);
    if (status == BASIN_OK)
        status = add_restored(demo, &page);
    if (status == BASIN_OK)
        status = basin__chart_captioned(demo->context, path, page.grids,
                                        (const char *const *)page.captions, page.count);
    reset_sheet(demo->context, &page);
    basin__free(demo->context, path);
    return status;
}

static basin_status draw(const basin__command *command, const basin__demo *demo) {
    BASIN_TRY(draw_samples(command, demo));
    BASIN_TRY(draw_sheet(command, demo, "restored.png", false));
    return draw_sheet(command, demo, "demo.png", true);
}

/* ---- the summary and the verb ---- */

static void print_summary(const basin__command *command, const basin__demo *demo,
                          const basin_train_progress *last, double train_s, double all_s) {
    const demo_options *options = command->options;
    basin_shape shape = demo->energy->shape;
    printf("energy     %lld parameters, strokes of %d x %d, %lld updates by denoising in %.1f s\n",
           (long long)basin_energy_parameter_count(demo->energy), shape.height, shape.width,
           (long long)last->update, train_s);
    printf("samples    the first %d chains from noise, %.0f evaluations of the gradient each\n",
           BASIN__DEMO_CHAINS, demo->evaluations);
    printf("AUROC of %d held-out strokes against", HELD_OUT);
    for (int i = 0; i < BASIN__DEMO_SCORES; i++)
        printf("  %s", basin__demo_scores[i]);
    for (int i = 0; i < BASIN__DEMO_OUTSIDES; i++) {
        printf("\n    %-34s", basin__demo_outsides[i]);
        for (int j = 0; j < BASIN__DEMO_SCORES; j++)
            printf("  %*.4f", (int)strlen(basin__demo_scores[j]), demo->auroc[i][j]);
    }
    printf("\ndenoised   from noise %g: PSNR %.2f dB (clamped %.2f) to %.2f dB\n", demo->noise_std,
           demo->psnr_noisy, demo->psnr_clamped, demo->psnr_denoised);
    printf("filled in  %d held-out strokes, of which the lower half was hidden, %d times each\n",
           BASIN__DEMO_FILLED, BASIN__DEMO_DRAWS);
    printf("pictures   in %s:", options->out);
    for (size_t i = 0; i < BASIN_COUNT(pictures); i++)
        printf(" %s", pictures[i]);
    printf("\ntime       %.1f s in all, %d threads, %s\n", all_s,
           basin_context_thread_count(command->context), basin_context_isa(command->context));
}

static basin_status demonstrate(basin__command *command, basin__demo *demo, watch *seen) {
    const demo_options *options = command->options;
    const double start = basin__seconds();
    BASIN_TRY(remove_pictures(command));
    BASIN_TRY(train(command, seen, &demo->energy));
    const double trained = basin__seconds();
    demo->size = basin_shape_count(demo->energy->shape);
    demo->range = basin__energy_range(demo->energy);
    demo->seed = (uint64_t)options->seed;
    BASIN_TRY(basin__demo_sample(demo));
    BASIN_TRY(basin__demo_detect(demo, HELD_OUT));
    BASIN_TRY(basin__demo_restore(demo));
    BASIN_TRY(draw(command, demo));
    if (!command->is_quiet)
        print_summary(command, demo, &seen->last, trained - start, basin__seconds() - start);
    return BASIN_OK;
}

static int run(basin__command *command) {
    const demo_options *options = command->options;
    if (options->out == NULL || options->out[0] == 0)
        return basin__command_usage(command, "--out is missing");
    basin__demo demo = {.context = command->context};
    watch seen = {.last = {0}};
    basin__signals_catch();
    basin_status status = demonstrate(command, &demo, &seen);
    if (status == BASIN_ERROR_CANCELLED)
        status = basin__fail(command->context, status, "stopped before the pictures were drawn");
    basin__demo_reset(&demo);
    return status == BASIN_OK ? BASIN__EXIT_OK : basin__command_fail(command, status);
}

static const char *const examples[] = {"basin demo", "all of it, into runs/demo",
                                       "basin demo --seed 7 --out runs/seven",
                                       "other strokes, another start", NULL};

const basin__verb basin__verb_demo = {
    .name = "demo",
    .help = "train, sample, score and restore in a minute, without any data",
    .about = "Trains a small energy on the built-in strokes, then samples from it, tells held-out "
             "strokes from other pictures by their energies, takes noise off strokes and fills in "
             "their lower halves. The folder is a run like any other (see basin sample, score, "
             "ood), with three pictures more: samples.png, restored.png and, of all, demo.png.\n\n"
             "Trivial scores stand beside the energy's AUROC, each in its better direction.",
    .options = table,
    .option_count = BASIN_COUNT(table),
    .options_bytes = sizeof(demo_options),
    .examples = examples,
    .runs_chains = true,
    .run = run,
};
