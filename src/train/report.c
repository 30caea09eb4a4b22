/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a run says of itself. The loss of contrastive training says nothing, so each interval gives
 * beside it what does: the energies of data, negatives, held-out data and uniform noise, their gap,
 * the gradients' norms, how far chains went, how much of them is saturated, the buffer's age, the
 * pace. Fields that tell of time, and so differ between runs, are updates_per_second and time_s.
 */
#include "base/file.h"
#include "base/number.h"
#include "eval/classify.h"
#include "io/image.h"
#include "io/npy.h"
#include "rng/philox.h"
#include "train/trainer.h"
#include <math.h>
#include <string.h>

/* Attempt number of chains that only look: training's never gets so far. */
#define LOOKING 0xFF

/** `labels` may be NULL. */
static basin_status mean_energy(basin__trainer *trainer, int64_t n, const float *x,
                                const float *labels, double *mean) {
    double *energies = basin__alloc_array(trainer->context, (size_t)n, sizeof(double));
    if (energies == NULL)
        return BASIN_ERROR_MEMORY;
    const basin__points points = {.x = x, .label = labels};
    basin_status status =
        basin__energy_evaluate_points(trainer->energy, n, &points, energies, NULL);
    *mean = 0;
    for (int64_t i = 0; i < n; i++)
        *mean += energies[i] / (double)n;
    basin__free(trainer->context, energies);
    return status;
}

/*
 * The classes that looking is done at, where the energy learns E(x | class): of held-out examples
 * their own, of others each in turn. NULL: none, as for objectives that learn the E(x) of logits.
 */
static float *looking_labels(const basin__trainer *trainer, const basin_data *data, int64_t n,
                             float *room) {
    const int class_count = trainer->energy->condition.class_count;
    if (trainer->labels == NULL || (trainer->config.objective->needs & BASIN__NEED_LOGITS) != 0)
        return NULL;
    for (int64_t i = 0; i < n; i++) {
        int label = data != NULL ? basin_data_label(data, i) : (int)(i % class_count);
        room[i] = (float)(label < 0 || label > class_count ? class_count : label);
    }
    return room;
}

/* The first held-out examples, and as many of uniform noise: the same in every report. */
static basin_status watch_energies(basin__trainer *trainer, double *held_out, double *noise) {
    enum { WATCHED = BASIN__WATCHED_MAX };
    const basin__cpu_kernels *kernels =
        basin__cpu_kernels_for(basin__context_isa(trainer->context));
    const int64_t size = trainer->size;
    float *x = basin__alloc_array(trainer->context, WATCHED * (size_t)size, sizeof(float));
    if (x == NULL)
        return BASIN_ERROR_MEMORY;
    float labels[WATCHED];
    basin_status status = BASIN_OK;
    *held_out = (double)NAN;
    if (trainer->held_out != NULL) {
        int64_t count = basin_data_describe(trainer->held_out)->count;
        count = count < WATCHED ? count : WATCHED;
        for (int64_t i = 0; i < count; i++)
            basin__example_get(trainer->held_out, i, trainer->low, trainer->high, x + i * size);
        status = mean_energy(trainer, count, x,
                             looking_labels(trainer, trainer->held_out, count, labels), held_out);
    }
    for (int64_t i = 0; i < WATCHED && status == BASIN_OK; i++) {
        basin__draw draw = {.seed = (uint64_t)trainer->config.train.seed,
                            .chain = (uint32_t)i,
                            .purpose = BASIN__PURPOSE_EVALUATE};
        kernels->uniform(x + i * size, size, &draw);
        for (int64_t j = 0; j < size; j++)
            x[i * size + j] = trainer->low + (trainer->high - trainer->low) * x[i * size + j];
    }
    if (status == BASIN_OK)
        status =
            mean_energy(trainer, WATCHED, x, looking_labels(trainer, NULL, WATCHED, labels), noise);
    basin__free(trainer->context, x);
    return status;
}

/* How well the averaged classifier, which is what a run gives, tells held-out examples' classes. */
static basin_status watch_classes(basin__trainer *trainer, basin_train_progress *progress) {
    progress->accuracy_held_out = progress->cross_entropy_held_out = (double)NAN;
    if (trainer->held_out == NULL ||
        !basin__classification_applies(trainer->average, trainer->held_out))
        return BASIN_OK;
    basin__classification found;
    BASIN_TRY(basin__classification_measure(trainer->average, trainer->held_out,
                                            BASIN__CLASSIFIED_MAX, &found));
    progress->accuracy_held_out = found.accuracy;
    progress->cross_entropy_held_out = found.cross_entropy;
    return BASIN_OK;
}

/* One number of a report: in metrics.jsonl under its name, in the event file under its tag. */
typedef struct number {
    const char *name, *tag;
    double value;
} number;

static basin_status write_numbers(basin__trainer *trainer, const number *numbers, int count) {
    json_t *line = json_object();
    json_object_set_new(line, "update", json_integer(trainer->progress.update));
    basin_status status = BASIN_OK;
    for (int i = 0; i < count && status == BASIN_OK; i++) {
        bool is_there = isfinite(numbers[i].value);
        json_object_set_new(line, numbers[i].name,
                            is_there ? json_real(numbers[i].value) : json_null());
        if (is_there && trainer->folder.events != NULL)
            status = basin__events_scalar(trainer->folder.events, trainer->clock.wall_s(),
                                          trainer->progress.update, numbers[i].tag,
                                          (float)numbers[i].value);
    }
    if (status == BASIN_OK)
        status = basin__rundir_metrics(trainer, line);
    json_decref(line);
    return status;
}

static void measure_pace(basin__trainer *trainer, double now) {
    double elapsed = now - trainer->interval_started_s;
    int64_t done = trainer->progress.update - trainer->interval_started_update;
    trainer->updates_per_second = elapsed > 0 && done > 0 ? (double)done / elapsed : 0;
    trainer->interval_started_s = now;
    trainer->interval_started_update = trainer->progress.update;
}

static basin_status write_report(basin__trainer *trainer, const basin_train_progress *progress,
                                 double now) {
    const basin__train_values *train = &trainer->config.train;
    const basin__meter *meter = &trainer->progress.meter;
    const double n = (double)meter->updates;
    const int64_t update = trainer->progress.update;
    const double chain_share = trainer->has_chains ? 1 / n : (double)NAN;
    double epochs = (double)update * (double)trainer->batch / (double)trainer->batches.count;
    double rate = trainer->progress.rate_factor *
                  basin__learning_rate(&train->schedule, update, train->updates);
    double gap = progress->energy_negative - progress->energy_data;
    double age = trainer->buffer.capacity > 0 ? basin__buffer_age(&trainer->buffer) : (double)NAN;
    const number numbers[] = {
        {"epoch", "progress/epoch", epochs},
        {"loss", "loss/mean", progress->loss},
        {"energy_data", "energy/data", progress->energy_data},
        {"energy_negative", "energy/negative", progress->energy_negative},
        {"energy_held_out", "energy/held_out", progress->energy_held_out},
        {"energy_noise", "energy/noise", progress->energy_noise},
        {"energy_gap", "energy/gap", gap},
        {"accuracy_held_out", "held_out/accuracy", progress->accuracy_held_out},
        {"cross_entropy_held_out", "held_out/cross_entropy", progress->cross_entropy_held_out},
        {"gradient_norm_input", "gradient_norm/input", chain_share * meter->gradient_norm_input},
        {"gradient_norm_parameter", "gradient_norm/parameter", progress->gradient_norm},
        {"chain_displacement", "chain/displacement", chain_share * meter->displacement},
        {"saturated_share", "chain/saturated_share", chain_share * meter->saturated},
        {"buffer_age", "chain/buffer_age", age},
        {"learning_rate", "progress/learning_rate", rate},
        {"roll_backs", "progress/roll_backs", progress->roll_backs},
        {"updates_per_second", "progress/updates_per_second", progress->updates_per_second},
        {"time_s", "progress/time_s", trainer->seconds_before + now - trainer->started_s},
    };
    BASIN_TRY(write_numbers(trainer, numbers, (int)BASIN_COUNT(numbers)));
    char accuracy[48] = "";
    if (isfinite(progress->accuracy_held_out))
        basin__snprintf(accuracy, sizeof accuracy, "  held-out accuracy %.4f",
                        progress->accuracy_held_out);
    if (!trainer->has_chains)
        return basin__rundir_log(trainer, "update %lld  loss %.5f%s  gradient %.4g  %.3g/s",
                                 (long long)update, progress->loss, accuracy,
                                 progress->gradient_norm, progress->updates_per_second);
    char watched[80] = "";
    if (trainer->anchors.x == NULL)
        basin__snprintf(watched, sizeof watched, "  held-out %.4f  noise %.4f",
                        progress->energy_held_out, progress->energy_noise);
    return basin__rundir_log(trainer, "update %lld  E: data %.4f  negatives %.4f%s%s  %.3g/s",
                             (long long)update, progress->energy_data, progress->energy_negative,
                             watched, accuracy, progress->updates_per_second);
}

basin_status basin__report_interval(basin__trainer *trainer, basin_train_progress *progress) {
    const basin__meter *meter = &trainer->progress.meter;
    if (meter->updates == 0)
        return BASIN_OK;
    const double n = (double)meter->updates, now = trainer->clock.monotonic_s();
    measure_pace(trainer, now);
    progress->is_report = true;
    progress->loss = meter->loss / n;
    progress->energy_data =
        trainer->loss->energy_data != NULL ? meter->energy_data / n : (double)NAN;
    progress->energy_negative =
        trainer->loss->energy_negative != NULL ? meter->energy_negative / n : (double)NAN;
    progress->gradient_norm = meter->gradient_norm_parameter / n;
    progress->roll_backs = trainer->progress.roll_backs;
    progress->updates_per_second = trainer->updates_per_second;
    progress->energy_held_out = progress->energy_noise = (double)NAN;
    if (trainer->anchors.x == NULL) /* else data and negatives are at all noise levels, not one */
        BASIN_TRY(watch_energies(trainer, &progress->energy_held_out, &progress->energy_noise));
    BASIN_TRY(watch_classes(trainer, progress));
    BASIN_TRY(write_report(trainer, progress, now));
    trainer->progress.meter = (basin__meter){0};
    return BASIN_OK;
}

/* Points of the plane as a picture: counts in cells over the data's box, white where many. */
static void draw_points(const basin__trainer *trainer, const float *x, int64_t n, int side,
                        unsigned char *pixels, int stride) {
    const float span = trainer->high - trainer->low;
    for (int64_t i = 0; i < n; i++) {
        int column = (int)((x[2 * i] - trainer->low) / span * (float)side);
        int row = side - 1 - (int)((x[2 * i + 1] - trainer->low) / span * (float)side);
        if (column < 0 || column >= side || row < 0 || row >= side)
            continue;
        unsigned char *pixel = &pixels[row * stride + column];
        *pixel = (unsigned char)(*pixel > 175 ? 255 : *pixel + 80);
    }
}

/* Data on the left, samples on the right. */
static basin_status points_picture(basin__trainer *trainer, const float *samples, int64_t n,
                                   basin__image *image) {
    enum { SIDE = 128, GAP = 2 };
    BASIN_TRY(basin__image_init(trainer->context, image, SIDE, 2 * SIDE + GAP, 1));
    for (int64_t i = 0; i < n; i++) {
        basin_data_get(trainer->data, i % basin_data_describe(trainer->data)->count, trainer->one);
        draw_points(trainer, trainer->one, 1, SIDE, image->pixels, image->width);
    }
    draw_points(trainer, samples, n, SIDE, image->pixels + SIDE + GAP, image->width);
    return BASIN_OK;
}

static basin_status write_samples(basin__trainer *trainer, const float *x, int64_t n) {
    basin_context *context = trainer->context;
    const basin_shape shape = trainer->shape;
    bool is_plane = !trainer->is_image && trainer->size == 2;
    const char *ending = trainer->is_image || is_plane ? "png" : "npy";
    char *path;
    BASIN_TRY(basin__rundir_path(trainer, &path, "samples/step-%06lld.%s",
                                 (long long)trainer->progress.update, ending));
    basin__image image = {0};
    basin_status status;
    if (trainer->is_image)
        status = basin__image_grid(context, &image, x, n, shape.height, shape.width, shape.channels,
                                   trainer->low, trainer->high, 0, shape.width <= 64 ? 2 : 1);
    else if (is_plane)
        status = points_picture(trainer, x, n, &image);
    else
        status = basin__npy_write(context, path, x, 2, (const int64_t[]){n, trainer->size});
    if (status == BASIN_OK && image.pixels != NULL) {
        status = basin__png_write(context, path, &image);
        if (status == BASIN_OK && trainer->folder.events != NULL)
            status = basin__events_image(trainer->folder.events, trainer->clock.wall_s(),
                                         trainer->progress.update, "samples", &image);
    }
    basin__image_reset(context, &image);
    basin__free(context, path);
    return status;
}

/* Chains of the averaged model from uniform noise, longer than the training's. */
static basin_status walk_from_noise(basin__trainer *trainer, int64_t n, const float *labels,
                                    float *x) {
    const basin__train_config *config = &trainer->config;
    basin__option_group group = config->groups[BASIN__GROUP_SAMPLER];
    void *options = basin__alloc(trainer->context, config->sampler->options_bytes);
    if (options == NULL)
        return BASIN_ERROR_MEMORY;
    memcpy(options, group.values, config->sampler->options_bytes);
    const basin__option *steps = basin__option_find(&group, 1, "n-steps", NULL);
    if (steps != NULL)
        memcpy((char *)options + steps->offset, &config->train.sample_steps, sizeof(int64_t));
    uint64_t seed = (uint64_t)config->train.seed;
    basin__chain_run run = {.sampler = config->sampler,
                            .options = options,
                            .energy = trainer->average,
                            .labels = labels,
                            .seed = seed,
                            .attempt = LOOKING};
    basin__chains_begin(&run, (double)trainer->low, (double)trainer->high, trainer->is_image, n, x);
    basin_status status = basin__chains_run(&run, n, x);
    basin__free(trainer->context, options);
    return status;
}

basin_status basin__report_samples(basin__trainer *trainer) {
    if (trainer->folder.path == NULL)
        return BASIN_OK;
    int64_t n = trainer->config.train.sample_count;
    float *x =
        basin__alloc_array(trainer->context, (size_t)n * (size_t)trainer->size, sizeof(float));
    if (x == NULL)
        return BASIN_ERROR_MEMORY;
    float *room = basin__alloc_array(trainer->context, (size_t)n, sizeof(float));
    basin_status status = room != NULL ? BASIN_OK : BASIN_ERROR_MEMORY;
    if (status == BASIN_OK)
        status = walk_from_noise(trainer, n, looking_labels(trainer, NULL, n, room), x);
    basin__free(trainer->context, room);
    if (status == BASIN_ERROR_DIVERGED) /* a picture is no reason to stop */
        status = basin__rundir_log(trainer, "no samples at update %lld: %s",
                                   (long long)trainer->progress.update,
                                   basin_context_error(trainer->context));
    else if (status == BASIN_OK)
        status = write_samples(trainer, x, n);
    basin__free(trainer->context, x);
    return status;
}
