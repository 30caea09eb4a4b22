/* SPDX-License-Identifier: Apache-2.0 */
/*
 * basin eval: whether samples show the class that they were asked for. The same classifier on the
 * data and their labels says how often it would agree with perfect samples.
 */
#include "base/number.h"
#include "eval.h"
#include "io/npy.h"
#include <math.h>
#include <string.h>

/* ---- reading ---- */

static basin_status check_class(const basin__evaluation *all, int64_t sample, double label) {
    if (label >= 0 && label < all->classes)
        return BASIN_OK;
    return basin__fail(all->context, BASIN_ERROR_CONFIG,
                       "--asked %s: sample %lld is asked for class %g, and there are %d classes, "
                       "from 0",
                       all->options->asked, (long long)sample, label, all->classes);
}

/**
 * Labels of an array [n] of whole numbers; -1 is no class. Where the user takes only the first so
 * many samples, labels of more are taken as far.
 */
static basin_status take(basin__evaluation *all, const basin__npy *array) {
    const char *path = all->options->asked;
    const int64_t count = all->samples.info->count;
    const bool is_cut = all->options->choice.count == count;
    if (array->rank != 1)
        return basin__fail(all->context, BASIN_ERROR_CONFIG,
                           "--asked %s has %d dimensions: expected one, a class for each sample",
                           path, array->rank);
    if (array->dim[0] != count && !(is_cut && array->dim[0] > count))
        return basin__fail(all->context, BASIN_ERROR_CONFIG,
                           "--asked %s has %lld classes, and %s %lld samples: expected as many",
                           path, (long long)array->dim[0], all->samples.info->name,
                           (long long)count);
    int64_t asked = 0;
    for (int64_t i = 0; i < count; i++) {
        const double label = array->is_byte ? array->bytes[i] : (double)array->values[i];
        if (label > floor(label))
            return basin__fail(all->context, BASIN_ERROR_CONFIG,
                               "--asked %s: sample %lld is asked for class %g, which is no whole "
                               "number",
                               path, (long long)i, label);
        if (label < -1 || label > -1) {
            BASIN_TRY(check_class(all, i, label));
            asked++;
        }
        all->asked.labels[i] = (int)label;
    }
    if (asked > 0)
        return BASIN_OK;
    return basin__fail(all->context, BASIN_ERROR_CONFIG, "--asked %s asks for no class", path);
}

basin_status basin__eval_asked_read(basin__evaluation *all) {
    const char *asked = all->options->asked;
    const int64_t count = all->samples.info->count;
    int64_t one;
    basin__eval_asked *of = &all->asked;
    of->labels = basin__alloc_array(all->context, (size_t)count, sizeof(int));
    for (int i = 0; i < 2; i++)
        of->by_class[i] =
            basin__alloc_array(all->context, (size_t)all->classes, sizeof(basin__agreement));
    if (!of->labels || !of->by_class[0] || !of->by_class[1])
        return BASIN_ERROR_MEMORY;
    if (basin__parse_int(asked, &one)) {
        BASIN_TRY(check_class(all, 0, (double)one));
        for (int64_t i = 0; i < count; i++)
            of->labels[i] = (int)one;
        return BASIN_OK;
    }
    basin__npy array;
    BASIN_TRY(basin__npy_read(all->context, asked, &array));
    basin_status status = take(all, &array);
    basin__npy_reset(all->context, &array);
    return status;
}

void basin__eval_asked_reset(basin__evaluation *all) {
    basin__free(all->context, all->asked.labels);
    basin__free(all->context, all->asked.by_class[0]);
    basin__free(all->context, all->asked.by_class[1]);
}

/* ---- counting ---- */

void basin__eval_asked_measure(basin__evaluation *all, const int *labels) {
    const basin__eval_set *sets[] = {&all->samples, &all->real};
    const int *asked[] = {all->asked.labels, labels};
    for (int i = 0; i < 2; i++)
        all->asked.all[i] = basin__agreement_of(sets[i]->info->count, all->outputs, all->classes,
                                                sets[i]->logits, asked[i], all->asked.by_class[i]);
}

/* ---- printing ---- */

/**
 * Standard deviation of the share that lies behind so many hits, where any share was as likely
 * before: unlike √(s (1 − s) / n) it is not 0 where all or none hit.
 */
static double share_error(int64_t hits, int64_t count) {
    const double share = (double)(hits + 1) / (double)(count + 2);
    return sqrt(share * (1 - share) / (double)(count + 3));
}

static void print_share(int64_t hits, int64_t count) {
    char text[64] = "-";
    if (count > 0)
        snprintf(text, sizeof text, "%.4f ± %.4f of %lld", (double)hits / (double)count,
                 share_error(hits, count), (long long)count);
    /* The sign ± takes two bytes and one column. */
    printf("  %*s", count > 0 ? 27 : 26, text);
}

/** A class by number and, where it has another name, by name. */
static void print_class(int number, const char *name) {
    char text[16];
    snprintf(text, sizeof text, "%d", number);
    printf("%5s  %-17s", text, strcmp(name, text) == 0 ? "" : name);
}

void basin__eval_asked_print(const basin__evaluation *all) {
    const basin__eval_asked *of = &all->asked;
    const char *const *names = all->real.info->class_names;
    printf("\n%-24s  %26s  %26s\n", "asked class is likeliest", "samples", "real, by their labels");
    for (int c = 0; c < all->classes; c++) {
        if (of->by_class[0][c].count == 0)
            continue;
        print_class(c, names && c < all->real.info->class_count ? names[c] : "");
        for (int i = 0; i < 2; i++)
            print_share(of->by_class[i][c].likeliest, of->by_class[i][c].count);
        putchar('\n');
    }
    printf("%-24s", "all");
    for (int i = 0; i < 2; i++)
        print_share(of->all[i].likeliest, of->all[i].count);
    printf("\n%-24s", "all, and above 0.5");
    for (int i = 0; i < 2; i++)
        print_share(of->all[i].legible, of->all[i].count);
    putchar('\n');
}

static json_t *json_agreement(const basin__agreement *of) {
    const double count = (double)of->count; /* 0: null */
    return json_pack("{s:I, s:o, s:o, s:o}", "count", (json_int_t)of->count, "likeliest",
                     basin__eval_json_number((double)of->likeliest / count), "likeliest_error",
                     basin__eval_json_number(share_error(of->likeliest, of->count)), "legible",
                     basin__eval_json_number((double)of->legible / count));
}

static json_t *json_pair(const basin__agreement *samples, const basin__agreement *real) {
    return json_pack("{s:o, s:o}", "samples", json_agreement(samples), "real",
                     json_agreement(real));
}

json_t *basin__eval_asked_json(const basin__evaluation *all) {
    const basin__eval_asked *of = &all->asked;
    const char *const *names = all->real.info->class_names;
    json_t *classes = json_array();
    for (int c = 0; c < all->classes; c++) {
        json_t *row = json_pair(&of->by_class[0][c], &of->by_class[1][c]);
        json_object_set_new(row, "class", json_integer(c));
        if (names && c < all->real.info->class_count)
            json_object_set_new(row, "name", basin__json_name(names[c]));
        json_array_append_new(classes, row);
    }
    return json_pack("{s:o, s:o}", "all", json_pair(&of->all[0], &of->all[1]), "classes", classes);
}
