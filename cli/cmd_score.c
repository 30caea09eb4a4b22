/* SPDX-License-Identifier: Apache-2.0 */
/*
 * basin score: the energy of each example of a data set, as it is computed.
 */
#include "base/file.h"
#include "base/number.h"
#include "eval/classify.h"
#include "eval/score.h"
#include "io/npy.h"
#include "model.h"
#include <math.h>
#include <stddef.h>

typedef struct score_options {
    basin__model_options model;
    char *data, *probabilities;
    basin__data_choice choice;
    bool json;
} score_options;

static const basin__option options_table[] = {
    BASIN__MODEL_ROW,
    {"data", BASIN__OPTION_TEXT, offsetof(score_options, data), NULL, 0, 0, NULL, NULL,
     "Data set NAME[:SPLIT], file or folder; without a split, test"},
    BASIN__NETWORK_ROW,
    BASIN__SHAPE_ROW,
    BASIN__NOISE_LEVEL_ROW,
    BASIN__DATA_DIR_ROW(offsetof(score_options, choice.data_dir)),
    BASIN__COUNT_ROW(offsetof(score_options, choice.count)),
    BASIN__SEED_ROW(offsetof(score_options, choice.seed)),
    BASIN__TEXT_ROW("probabilities", offsetof(score_options, probabilities),
                    "Write a classifier's p(class | x), [examples, classes], to this .npy file"),
    {"json", BASIN__OPTION_FLAG, offsetof(score_options, json), NULL, 0, 0, NULL, NULL,
     "Print one JSON object instead of CSV"},
};

/** Of the energies so far (Welford, 1962). Non-finite ones are counted apart. */
typedef struct summary {
    int64_t count, bad;
    double mean, square, low, high;
} summary;

static void add(summary *all, double energy) {
    if (!isfinite(energy)) {
        all->bad++;
        return;
    }
    double delta = energy - all->mean;
    all->count++;
    all->mean += delta / (double)all->count;
    all->square += delta * (energy - all->mean);
    all->low = all->count == 1 || energy < all->low ? energy : all->low;
    all->high = all->count == 1 || energy > all->high ? energy : all->high;
}

static double deviation(const summary *all) {
    return all->count > 1 ? sqrt(all->square / (double)(all->count - 1)) : 0.0;
}

static void print_row(bool json, const basin_data *data, int64_t index, double energy) {
    const basin_data_info *info = basin_data_describe(data);
    char text[32];
    if (json) {
        printf("%s\n  {\"index\": %lld, ", index > 0 ? "," : "", (long long)index);
        if (info->class_count > 0)
            printf("\"label\": %d, ", basin_data_label(data, index));
        printf("\"energy\": ");
        basin__print_json_number(energy);
        putchar('}');
        return;
    }
    basin__print_double(text, energy);
    printf("%lld,", (long long)index);
    if (info->class_count > 0)
        printf("%d,", basin_data_label(data, index));
    puts(text);
}

static void print_head(const score_options *options, const basin_energy *energy,
                       const basin_data_info *info) {
    if (!options->json) {
        puts(info->class_count > 0 ? "index,label,energy" : "index,energy");
        return;
    }
    basin_temperature temperature = basin_energy_temperature(energy);
    printf("{\"model\": ");
    basin__print_json_text(options->model.model);
    printf(",\n \"data\": ");
    basin__print_json_text(info->name);
    printf(",\n \"temperature\": ");
    basin__print_json_number(temperature.value);
    printf(", \"temperature_is_exact\": %s", temperature.is_exact ? "true" : "false");
    printf(",\n \"scores\": [");
}

static void print_tail(const basin__command *command, const score_options *options,
                       const basin_data_info *info, const summary *all) {
    if (options->json) {
        printf("],\n \"count\": %lld, \"non_finite\": %lld, \"mean\": ",
               (long long)(all->count + all->bad), (long long)all->bad);
        basin__print_json_number(all->mean);
        printf(", \"std\": ");
        basin__print_json_number(deviation(all));
        printf(", \"min\": ");
        basin__print_json_number(all->low);
        printf(", \"max\": ");
        basin__print_json_number(all->high);
        puts("}");
    }
    if (command->is_quiet)
        return;
    fprintf(stderr, "%s: %lld examples, energy %.6g ± %.4g, %.6g to %.6g", info->name,
            (long long)(all->count + all->bad), all->mean, deviation(all), all->low, all->high);
    if (all->bad > 0)
        fprintf(stderr, "; %lld are not finite", (long long)all->bad);
    fputc('\n', stderr);
}

/* A classifier's probabilities, and how many examples they put into their class. */
static basin_status classify(const basin__command *command, const score_options *options,
                             basin_energy *energy, const basin_data *data) {
    const int64_t count = basin_data_describe(data)->count;
    const int classes = basin_energy_logit_count(energy);
    float *rows = basin__alloc_array(command->context, (size_t)(count * classes), sizeof(float));
    if (!rows)
        return BASIN_ERROR_MEMORY;
    basin_status status = basin__classify_data(energy, data, 0, count, rows);
    basin__classification found = {0};
    if (status == BASIN_OK) {
        found = basin__classification_of(data, 0, count, classes, rows);
        basin__probabilities(count, classes, rows);
        status = basin__npy_write(command->context, options->probabilities, rows, 2,
                                  (const int64_t[]){count, classes});
    }
    basin__free(command->context, rows);
    if (status == BASIN_OK && found.count > 0 && !command->is_quiet)
        fprintf(stderr, "%s: accuracy %.4f, cross-entropy %.4f over %lld labelled examples\n",
                basin_data_describe(data)->name, found.accuracy, found.cross_entropy,
                (long long)found.count);
    return status;
}

/* Before the first line is printed. */
static basin_status check_probabilities(const basin__command *command, const score_options *options,
                                        const basin_energy *energy) {
    if (basin_energy_logit_count(energy) == 0)
        return basin__fail(command->context, BASIN_ERROR_CONFIG,
                           "--probabilities is for a classifier, and the model gives no logits");
    return basin__file_check_writable(command->context, options->probabilities);
}

static basin_status score(const basin__command *command, const score_options *options,
                          basin_energy *energy, const basin_data *data) {
    double energies[BASIN__SCORE_BLOCK];
    const basin_data_info *info = basin_data_describe(data);
    summary all = {0};
    BASIN_TRY(basin__energy_takes(energy, info));
    print_head(options, energy, info);
    for (int64_t first = 0; first < info->count; first += BASIN__SCORE_BLOCK) {
        int64_t left = info->count - first;
        int64_t n = left < BASIN__SCORE_BLOCK ? left : BASIN__SCORE_BLOCK;
        BASIN_TRY(basin__score_data(energy, data, first, n, energies));
        for (int64_t i = 0; i < n; i++) {
            print_row(options->json, data, first + i, energies[i]);
            add(&all, energies[i]);
        }
    }
    print_tail(command, options, info, &all);
    return BASIN_OK;
}

static int run(basin__command *command) {
    const score_options *options = command->options;
    basin_energy *energy = NULL;
    basin_data *data = NULL;
    if (!options->model.model || !options->data)
        return basin__command_usage(command, "--%s is missing",
                                    options->model.model ? "data" : "model");
    basin_status status = basin__model_and_data(command, &options->model, &options->choice,
                                                options->data, &energy, &data);
    if (status == BASIN_OK && options->probabilities)
        status = check_probabilities(command, options, energy);
    if (status == BASIN_OK)
        status = score(command, options, energy, data);
    if (status == BASIN_OK && options->probabilities)
        status = classify(command, options, energy, data);
    basin_energy_destroy(energy);
    basin_data_close(data);
    return status == BASIN_OK ? BASIN__EXIT_OK : basin__command_fail(command, status);
}

static const char *const examples[] = {
    "basin score --model runs/mnist --data mnist:test > energies.csv",
    "score the test images with the latest checkpoint of a run",
    "basin score --model model.safetensors --data photos/ --json",
    "score a folder of PNGs",
    "basin score --model runs/reader --data mnist:test --probabilities p.npy > energies.csv",
    "how probable a classifier holds each class",
    NULL,
};

const basin__verb basin__verb_score = {
    .name = "score",
    .help = "print the energy of each example of a data set",
    .about = "Prints CSV: index, label where the data has labels, energy. Low energy is likely, "
             "high energy strange; energies of one model compare, those of two do not. A summary "
             "goes to stderr.",
    .options = options_table,
    .option_count = BASIN_COUNT(options_table),
    .options_bytes = sizeof(score_options),
    .examples = examples,
    .run = run,
};
