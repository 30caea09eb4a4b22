/* SPDX-License-Identifier: Apache-2.0 */
/*
 * basin score: the energy or another score of each example, as it is computed: of a data set, or of
 * PNGs whose paths come in on stdin.
 */
#include "base/file.h"
#include "base/number.h"
#include "eval/classify.h"
#include "eval/heat_map.h"
#include "eval/score.h"
#include "io/npy.h"
#include "score.h"
#include <math.h>
#include <stddef.h>
#include <string.h>

#define HEAT_ZOOM 3
#define AT(field) offsetof(basin__score_options, field)

static const basin__option options_table[] = {
    BASIN__MODEL_ROW,
    BASIN__ENERGY_ROW,
    {"data", BASIN__OPTION_TEXT, AT(data), NULL, 0, 0, NULL, NULL,
     "Data set NAME[:SPLIT], file or folder; without a split, test; - : PNGs whose paths come in "
     "on "
     "stdin, one a line, scored as they come"},
    {"score", BASIN__OPTION_TEXT, AT(score), NULL, 0, 0, NULL, NULL,
     "How examples are scored, see `basin help score` [energy; with --flag the detector's]"},
    {"flag", BASIN__OPTION_FLAG, AT(flag), NULL, 0, 0, NULL, NULL,
     "Mark outliers, by the detector that `basin calibrate` left"},
    BASIN__TEXT_ROW("detector", AT(detector_path),
                    "Take that detector's score and threshold [with --flag the one beside the "
                    "model]"),
    BASIN__ENSEMBLE_ROW(AT(detector)),
    BASIN__DESCENT_ROW(AT(detector)),
    BASIN__NETWORK_ROW,
    BASIN__SHAPE_ROW,
    BASIN__NOISE_LEVEL_ROW,
    BASIN__DATA_DIR_ROW(AT(choice.data_dir)),
    BASIN__COUNT_ROW(AT(choice.count)),
    BASIN__SEED_ROW(AT(choice.seed)),
    BASIN__TEXT_ROW("probabilities", AT(probabilities),
                    "Write a classifier's p(class | x), [examples, classes], to this .npy file"),
    BASIN__TEXT_ROW("heat-map", AT(heat_map),
                    "Draw where the energy of the first images comes from, by gradient and by "
                    "occlusion, as this PNG"),
    {"heat-count", BASIN__OPTION_INT, AT(heat_count), "10", 1, 1000, NULL, "images",
     "Of the heat map: how many images"},
    {"heat-side", BASIN__OPTION_INT, AT(heat_side), "5", 1, 1024, NULL, "pixels",
     "Of the heat map: side of the squares that are occluded"},
    {"json", BASIN__OPTION_FLAG, AT(json), NULL, 0, 0, NULL, NULL,
     "Print one JSON object instead of CSV"},
};

/* ---- what is printed ---- */

static void add(basin__score_summary *all, double score, bool is_flagged) {
    all->flagged += is_flagged;
    if (!isfinite(score)) {
        all->bad++;
        return;
    }
    double delta = score - all->mean;
    all->count++;
    all->mean += delta / (double)all->count;
    all->square += delta * (score - all->mean);
    all->low = all->count == 1 || score < all->low ? score : all->low;
    all->high = all->count == 1 || score > all->high ? score : all->high;
}

static double deviation(const basin__score_summary *all) {
    return all->count > 1 ? sqrt(all->square / (double)(all->count - 1)) : 0.0;
}

/** Of no finite score nothing is known: NaN, which JSON says as null. */
static double known(const basin__score_summary *all, double number) {
    return all->count > 0 ? number : (double)NAN;
}

/** A CSV field, in quotes where it has to be. */
static void print_field(const char *text) {
    if (!text[strcspn(text, ",\"\n\r")]) {
        fputs(text, stdout);
        return;
    }
    putchar('"');
    for (; *text; text++)
        fputs(*text == '"' ? "\"\"" : (char[]){*text, 0}, stdout);
    putchar('"');
}

static void print_csv_row(const basin__scoring *of, const basin__score_row *row, double score,
                          bool is_flagged) {
    char text[32];
    if (row->path)
        print_field(row->path);
    else
        printf("%lld", (long long)row->index);
    if (of->has_labels)
        printf(",%d", row->label);
    basin__print_double(text, score);
    printf(",%s", text);
    if (of->options->flag)
        printf(",%d", is_flagged);
    putchar('\n');
}

static void print_json_row(const basin__scoring *of, const basin__score_row *row, double score,
                           bool is_flagged) {
    const bool is_first = of->summary.count + of->summary.bad == 0;
    printf("%s\n  {", is_first ? "" : ",");
    if (row->path) {
        printf("\"path\": ");
        basin__print_json_text(row->path);
    } else {
        printf("\"index\": %lld", (long long)row->index);
    }
    if (of->has_labels)
        printf(", \"label\": %d", row->label);
    printf(", \"%s\": ", of->detector->options.score);
    basin__print_json_number(score);
    if (of->options->flag)
        printf(", \"is_outlier\": %s", is_flagged ? "true" : "false");
    putchar('}');
}

/** What is not finite is an outlier. */
void basin__score_row_print(basin__scoring *of, const basin__score_row *row, double score) {
    const bool is_flagged = of->options->flag && !(score <= basin_detector_threshold(of->detector));
    (of->options->json ? print_json_row : print_csv_row)(of, row, score, is_flagged);
    add(&of->summary, score, is_flagged);
}

static void print_head(const basin__scoring *of, const char *data) {
    if (!of->options->json) {
        printf("%s%s,%s%s\n", of->is_stream ? "path" : "index", of->has_labels ? ",label" : "",
               of->detector->options.score, of->options->flag ? ",is_outlier" : "");
        return;
    }
    basin_temperature temperature = basin_energy_temperature(of->energy);
    printf("{\"model\": ");
    basin__print_json_text(basin__model_name(&of->options->model));
    printf(",\n \"data\": ");
    basin__print_json_text(data);
    printf(",\n \"temperature\": ");
    basin__print_json_number(temperature.value);
    printf(", \"temperature_is_exact\": %s", temperature.is_exact ? "true" : "false");
    if (of->options->flag) {
        printf(",\n \"threshold\": ");
        basin__print_json_number(basin_detector_threshold(of->detector));
    }
    printf(",\n \"scores\": [");
}

static void print_tail(const basin__scoring *of, const char *data) {
    const basin__score_summary *all = &of->summary;
    const long long count = (long long)(all->count + all->bad);
    if (of->options->json) {
        printf("],\n \"count\": %lld, \"non_finite\": %lld, \"mean\": ", count,
               (long long)all->bad);
        basin__print_json_number(known(all, all->mean));
        printf(", \"std\": ");
        basin__print_json_number(known(all, deviation(all)));
        printf(", \"min\": ");
        basin__print_json_number(known(all, all->low));
        printf(", \"max\": ");
        basin__print_json_number(known(all, all->high));
        if (of->options->flag)
            printf(", \"flagged\": %lld", (long long)all->flagged);
        puts("}");
    }
    if (of->command->is_quiet)
        return;
    fprintf(stderr, "%s: %lld examples", data, count);
    if (all->count > 0)
        fprintf(stderr, ", %s %.6g ± %.4g, %.6g to %.6g", of->detector->options.score, all->mean,
                deviation(all), all->low, all->high);
    if (all->bad > 0)
        fprintf(stderr, "; %lld are not finite", (long long)all->bad);
    if (of->options->flag)
        fprintf(stderr, "; %lld flagged (%.2f %%)", (long long)all->flagged,
                count > 0 ? 100.0 * (double)all->flagged / (double)count : 0.0);
    fputc('\n', stderr);
}

/* ---- a data set ---- */

/* A classifier's probabilities, and how many examples they put into their class. */
static basin_status classify(const basin__command *command, const basin__score_options *options,
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

/** Of the energy itself, whatever is scored. */
static basin_status draw_heat(const basin__scoring *of, const basin_data *data) {
    const basin__score_options *options = of->options;
    const basin_data_info *info = basin_data_describe(data);
    const int64_t size = basin_shape_count(of->energy->shape);
    const int64_t n = options->heat_count < info->count ? options->heat_count : info->count;
    float *x = basin__alloc_array(of->command->context, (size_t)(n * size), sizeof(float));
    if (!x)
        return BASIN_ERROR_MEMORY;
    for (int64_t i = 0; i < n; i++)
        basin_data_get(data, i, x + i * size);
    basin__energy_adapt(of->energy, info, x, n * size);
    basin_status status = basin__heat_map_write(of->energy, n, x, (int)options->heat_side,
                                                HEAT_ZOOM, options->heat_map);
    basin__free(of->command->context, x);
    if (status == BASIN_OK && !of->command->is_quiet)
        fprintf(stderr, "heat map: %s, %lld images\n", options->heat_map, (long long)n);
    return status;
}

static basin_status check_heat_map(const basin__scoring *of, const basin_data *data) {
    if (!basin_data_describe(data)->is_image)
        return basin__fail(of->command->context, BASIN_ERROR_CONFIG,
                           "--heat-map is for images, and %s holds points",
                           basin_data_describe(data)->name);
    if (of->options->heat_side >= of->energy->shape.height ||
        of->options->heat_side >= of->energy->shape.width)
        return basin__fail(of->command->context, BASIN_ERROR_CONFIG,
                           "--heat-side %lld is not smaller than an image of %d x %d",
                           (long long)of->options->heat_side, of->energy->shape.height,
                           of->energy->shape.width);
    return basin__file_check_writable(of->command->context, of->options->heat_map);
}

/* Before the first line is printed. */
static basin_status check_probabilities(const basin__command *command,
                                        const basin__score_options *options,
                                        const basin_energy *energy) {
    if (basin_energy_logit_count(energy) == 0)
        return basin__fail(command->context, BASIN_ERROR_CONFIG,
                           "--probabilities is for a classifier, and the model gives no logits");
    return basin__file_check_writable(command->context, options->probabilities);
}

/** Where in a set a block begins, and what is scored. */
typedef struct set_scoring {
    basin__scoring *of;
    const basin_data *data;
    double *scores;
} set_scoring;

static basin_status visit(void *user, basin_energy *energy, int64_t done, int64_t n,
                          const float *x) {
    const set_scoring *set = user;
    (void)energy;
    BASIN_TRY(basin_detector_score(set->of->detector, n, x, set->scores));
    for (int64_t i = 0; i < n; i++)
        basin__score_row_print(
            set->of,
            &(basin__score_row){.index = done + i, .label = basin_data_label(set->data, done + i)},
            set->scores[i]);
    return BASIN_OK;
}

static basin_status score_set(basin__scoring *of, const basin_data *data) {
    double scores[BASIN__SCORE_BLOCK];
    const basin_data_info *info = basin_data_describe(data);
    of->has_labels = info->class_count > 0;
    print_head(of, info->name);
    BASIN_TRY(basin__score_blocks(of->energy, data, 0, info->count, visit,
                                  &(set_scoring){of, data, scores}));
    print_tail(of, info->name);
    return BASIN_OK;
}

/* ---- the verb ---- */

/** The detector that was left by calibrate, or a fresh one. */
static basin_status make_detector(basin__scoring *of) {
    const basin__score_options *options = of->options;
    basin_context *context = of->command->context;
    basin_energy *const *energies = of->models.energies;
    if (!options->flag && !options->detector_path) {
        basin_detector_options how;
        basin_detector_options_init(&how);
        how.score = options->score ? options->score : "energy";
        how.noise_level = options->model.noise_level;
        how.descent_steps = (int)options->detector.descent_steps;
        BASIN_TRY(basin_detector_create(context, energies, of->models.count, &how, &of->detector));
        return of->detector->standard == BASIN__STANDARD_NONE
                   ? BASIN_OK
                   : basin__fail(context, BASIN_ERROR_CONFIG,
                                 "score %s is standardised on inside data: fit it with `basin "
                                 "calibrate`, then give --detector or --flag",
                                 how.score);
    }
    char *path = options->detector_path ? basin__strdup(context, options->detector_path)
                                        : basin__detector_path(context, options->model.model);
    if (!path)
        return BASIN_ERROR_MEMORY;
    basin_status status =
        basin__path_is_file(path)
            ? basin_detector_load(context, path, energies, of->models.count, &of->detector)
            : basin__fail(context, BASIN_ERROR_IO,
                          "there is no detector %s; fit one with `basin calibrate`", path);
    basin__free(context, path);
    return status;
}

static basin_status score(basin__scoring *of, basin_data **data) {
    const basin__score_options *options = of->options;
    if (of->is_stream)
        BASIN_TRY(basin__model_open(of->command, &options->model, NULL, &of->energy));
    else
        BASIN_TRY(basin__model_and_data(of->command, &options->model, &options->choice,
                                        options->data, &of->energy, data));
    if (options->probabilities)
        BASIN_TRY(check_probabilities(of->command, options, of->energy));
    if (!of->is_stream)
        BASIN_TRY(basin__energy_takes(of->energy, basin_data_describe(*data)));
    if (options->heat_map)
        BASIN_TRY(check_heat_map(of, *data));
    BASIN_TRY(basin__ensemble_load(of->command, &options->model, &options->detector.ensemble,
                                   of->energy, &of->models));
    BASIN_TRY(make_detector(of));
    if (!of->is_stream) {
        BASIN_TRY(score_set(of, *data));
        if (options->heat_map)
            BASIN_TRY(draw_heat(of, *data));
        return options->probabilities ? classify(of->command, options, of->energy, *data)
                                      : BASIN_OK;
    }
    print_head(of, "-");
    BASIN_TRY(basin__score_stream(of));
    print_tail(of, "stdin");
    return BASIN_OK;
}

static int run(basin__command *command) {
    const basin__score_options *options = command->options;
    basin_data *data = NULL;
    basin__scoring of = {.command = command, .options = options};
    const bool has_model = !basin__model_is_missing(&options->model);
    if (!has_model || !options->data)
        return basin__command_usage(command, "--%s is missing", has_model ? "data" : "model");
    if (options->model.energy && options->flag && !options->detector_path)
        return basin__command_usage(command, "--flag with --energy needs --detector: no detector "
                                             "lies beside an expression");
    of.is_stream = strcmp(options->data, "-") == 0;
    if (of.is_stream && (options->probabilities || options->heat_map))
        return basin__command_usage(command, "--%s is for a data set, not for stdin",
                                    options->heat_map ? "heat-map" : "probabilities");
    static const char *const fixed[] = {"score", "noise-level", "descent-steps"};
    for (size_t i = 0; i < BASIN_COUNT(fixed) && (options->flag || options->detector_path); i++)
        if (basin__command_is_given(command, fixed[i]))
            return basin__command_usage(command, "--%s: the detector says which it is", fixed[i]);
    basin_status status = score(&of, &data);
    basin_detector_destroy(of.detector);
    basin__ensemble_destroy(command->context, &of.models);
    basin_energy_destroy(of.energy);
    basin_data_close(data);
    if (status != BASIN_OK)
        return basin__command_fail(command, status);
    const bool has_none = !options->flag && of.summary.count == 0 && of.summary.bad > 0;
    if (has_none) /* with --flag that is an answer: what is not finite is an outlier */
        basin__print_line("basin score: of %lld scores none is finite", (long long)of.summary.bad);
    return of.unread > 0 || has_none ? BASIN__EXIT_FAILURE : BASIN__EXIT_OK;
}

static const char *const outputs[] = {"probabilities", "heat-map", NULL};

static const char *const companions[][2] = {
    {"heat-count", "heat-map"}, {"heat-side", "heat-map"}, {NULL}};

static const char *const examples[] = {
    "basin score --model runs/mnist --data mnist:test > energies.csv",
    "score the test images with the latest checkpoint of a run",
    "basin score --model model.safetensors --data photos/ --json",
    "score a folder of PNGs",
    "basin score --model runs/reader --data mnist:test --probabilities p.npy > energies.csv",
    "how probable a classifier holds each class",
    "find photos -name '*.png' | basin score --model runs/mnist --data - --flag",
    "mark outliers among images as they come; see basin calibrate",
    NULL,
};

const basin__verb basin__verb_score = {
    .name = "score",
    .help = "print the energy of each example, and flag outliers",
    .about = "Prints CSV: index, label where the data has labels, energy (or another score), and "
             "with --flag whether it is above the detector's threshold. Low energy is likely, "
             "high energy strange; energies of one model compare, those of two do not. A summary "
             "goes to stderr.",
    .options = options_table,
    .option_count = BASIN_COUNT(options_table),
    .options_bytes = sizeof(basin__score_options),
    .examples = examples,
    .outputs = outputs,
    .companions = companions,
    .run = run,
};
