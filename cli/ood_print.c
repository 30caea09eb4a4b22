/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What basin ood prints and draws.
 */
#include "eval/chart.h"
#include "ood.h"
#include <stdlib.h>

static void print_interval(const basin__interval *of, bool has_interval) {
    if (has_interval)
        printf("  %.4f [%.4f, %.4f]", of->value, of->low, of->high);
    else
        printf("  %.4f", of->value);
}

/** Over the outside sets; false where one of them has not that score. */
static bool mean_auroc(const basin__ood *all, int score, double *mean) {
    *mean = 0.0;
    for (int i = 1; i < all->count; i++) {
        if (!all->sets[i].scores[score])
            return false;
        *mean += all->sets[i].found[score].auroc.value / (all->count - 1);
    }
    return true;
}

static void print_set(const basin__ood *all, const basin__ood_set *of) {
    const bool has_interval = all->options->resamples > 0;
    const int width = has_interval ? 23 : 6;
    printf("\noutside  %s, %lld examples, energy %.6g ± %.4g\n", of->info->name,
           (long long)of->info->count, of->mean, of->std);
    printf("  %-16s  %-*s  %-*s  %-*s  %s\n", "score", width, "AUROC", width, "AUPR", width,
           "FPR95", "error");
    for (int score = 0; score < all->score_count; score++) {
        if (!of->scores[score])
            continue;
        const basin__detection *found = &of->found[score];
        printf("  %-16s", all->scores[score].name);
        print_interval(&found->auroc, has_interval);
        print_interval(&found->aupr, has_interval);
        print_interval(&found->fpr95, has_interval);
        print_interval(&found->error, has_interval);
        putchar('\n');
    }
}

static void print_text(const basin__ood *all) {
    const basin__ood_set *in = &all->sets[0];
    double mean;
    printf("inside   %s, %lld examples, energy %.6g ± %.4g\n", in->info->name,
           (long long)in->info->count, in->mean, in->std);
    for (int i = 1; i < all->count; i++)
        print_set(all, &all->sets[i]);
    if (all->count < 3)
        return;
    printf("\nmean of %d sets\n  %-16s  AUROC\n", all->count - 1, "score");
    for (int score = 0; score < all->score_count; score++)
        if (mean_auroc(all, score, &mean))
            printf("  %-16s  %.4f\n", all->scores[score].name, mean);
}

static json_t *json_interval(const basin__interval *of) {
    return json_pack("{s:f, s:f, s:f}", "value", of->value, "low", of->low, "high", of->high);
}

static json_t *json_set(const basin__ood_set *of) {
    return json_pack("{s:o, s:I, s:f, s:f}", "data", basin__json_name(of->info->name), "count",
                     (json_int_t)of->info->count, "energy_mean", of->mean, "energy_std", of->std);
}

static json_t *json_outside(const basin__ood *all, const basin__ood_set *of) {
    json_t *object = json_set(of), *scores = json_object();
    for (int score = 0; score < all->score_count; score++) {
        const basin__detection *found = &of->found[score];
        if (of->scores[score])
            json_object_set_new(
                scores, all->scores[score].name,
                json_pack("{s:o, s:o, s:o, s:o, s:b}", "auroc", json_interval(&found->auroc),
                          "aupr", json_interval(&found->aupr), "fpr95",
                          json_interval(&found->fpr95), "error", json_interval(&found->error),
                          "is_reversed", of->is_reversed[score]));
    }
    json_object_set_new(object, "scores", scores);
    return object;
}

static basin_status print_json(const basin__ood *all) {
    json_t *list = json_array(), *means = json_object();
    double mean;
    for (int i = 1; i < all->count; i++)
        json_array_append_new(list, json_outside(all, &all->sets[i]));
    for (int score = 0; score < all->score_count; score++)
        if (mean_auroc(all, score, &mean))
            json_object_set_new(means, all->scores[score].name, json_real(mean));
    json_t *object = json_pack("{s:o, s:o, s:o, s:o}", "model",
                               basin__json_name(basin__model_name(&all->options->model)), "inside",
                               json_set(&all->sets[0]), "outside", list, "mean_auroc", means);
    char *text = object ? json_dumps(object, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(object);
    if (!text)
        return basin__fail(all->context, BASIN_ERROR_FORMAT,
                           "the result cannot be written as JSON");
    puts(text);
    free(text);
    return BASIN_OK;
}

static basin_status draw_histogram(const basin__ood *all) {
    const char *path = all->options->histogram;
    basin__series *series =
        basin__alloc_array(all->context, (size_t)all->count, sizeof(basin__series));
    if (!series)
        return BASIN_ERROR_MEMORY;
    for (int i = 0; i < all->count; i++)
        series[i] = (basin__series){.label = all->sets[i].info->name,
                                    .y = all->sets[i].scores[0],
                                    .count = all->sets[i].info->count};
    basin_status status =
        basin__chart_histogram(all->context, path, "Energies", "energy", series, all->count);
    basin__free(all->context, series);
    if (status == BASIN_OK && !all->command->is_quiet)
        fprintf(stderr, "energy histograms: %s\n", path);
    return status;
}

basin_status basin__ood_print(const basin__ood *all) {
    if (all->options->histogram)
        BASIN_TRY(draw_histogram(all));
    if (all->options->json)
        return print_json(all);
    print_text(all);
    return BASIN_OK;
}
