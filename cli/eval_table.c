/* SPDX-License-Identifier: Apache-2.0 */
/*
 * basin eval: its table, as text and as JSON, and what stands below.
 */
#include "eval.h"
#include "eval/frechet.h"
#include <math.h>
#include <stdlib.h>

basin__eval_row *basin__eval_add(basin__evaluation *all, const char *key, const char *name,
                                 double samples, double real) {
    basin__eval_row *line = &all->rows[all->row_count++];
    *line = (basin__eval_row){key, name, samples, NAN, real, NAN};
    return line;
}

static void print_value(double value, double error) {
    char text[64] = "-";
    if (isfinite(value) && isfinite(error))
        snprintf(text, sizeof(text), "%.5g ± %.2g", value, error);
    else if (isfinite(value))
        snprintf(text, sizeof(text), "%.5g", value);
    /* The sign ± takes two bytes and one column. */
    printf("  %*s", isfinite(value) && isfinite(error) ? 21 : 20, text);
}

static void print_set(const char *role, const basin__eval_set *of) {
    if (!of->data)
        return;
    printf("%-9s %s, %lld examples", role, of->info->name, (long long)of->info->count);
    if (of->unit.clamped > 0)
        printf(", values %g to %g, of which %.2g %% lay outside and were clamped",
               (double)of->unit.low, (double)of->unit.high, 100 * of->unit.clamped);
    else if (of->info->is_image)
        printf(", values %g to %g", (double)of->unit.low, (double)of->unit.high);
    putchar('\n');
}

static void print_table(const basin__evaluation *all) {
    printf("\n%-36s  %20s  %20s\n", "", "samples", "real");
    for (int i = 0; i < all->row_count; i++) {
        const basin__eval_row *line = &all->rows[i];
        printf("%-36s", line->name);
        print_value(line->samples, line->samples_error);
        print_value(line->real, line->real_error);
        putchar('\n');
    }
    if (all->feature_count > BASIN__FRECHET_DIMENSION_MAX)
        printf(
            "\nDistances are of %lld features (%s), too many for the Fréchet distance, which takes "
            "%d.\n",
            (long long)all->feature_count, all->options->features, BASIN__FRECHET_DIMENSION_MAX);
    else if (all->feature_count > 0)
        printf("\nDistances are of %lld features (%s): the Fréchet distance is not FID, which is "
               "defined by\nanother network. Compare it between equally many samples only.\n",
               (long long)all->feature_count, all->options->features);
}

void basin__eval_print_text(const basin__evaluation *all) {
    print_set("samples", &all->samples);
    print_set("data", &all->real);
    print_set("train", &all->train);
    if (all->row_count > 0)
        print_table(all);
    if (all->asked.labels)
        basin__eval_asked_print(all);
    if (all->flow.model)
        basin__eval_flow_print(all);
}

json_t *basin__eval_json_number(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *json_set(const basin__eval_set *of) {
    return json_pack("{s:o, s:I, s:f, s:f, s:f}", "data", basin__json_name(of->info->name), "count",
                     (json_int_t)of->info->count, "low", (double)of->unit.low, "high",
                     (double)of->unit.high, "clamped", of->unit.clamped);
}

static json_t *json_row(const basin__eval_row *line) {
    json_t *object = json_pack("{s:o, s:o}", "samples", basin__eval_json_number(line->samples),
                               "real", basin__eval_json_number(line->real));
    if (isfinite(line->samples_error))
        json_object_set_new(object, "samples_error", basin__eval_json_number(line->samples_error));
    if (isfinite(line->real_error))
        json_object_set_new(object, "real_error", basin__eval_json_number(line->real_error));
    return object;
}

static json_t *json_bins(const basin__calibration *found) {
    json_t *list = json_array();
    for (int b = 0; b < BASIN__CALIBRATION_BINS; b++)
        json_array_append_new(list, json_pack("{s:I, s:f, s:f}", "count",
                                              (json_int_t)found->bins[b].count, "confidence",
                                              found->bins[b].confidence, "accuracy",
                                              found->bins[b].accuracy));
    return list;
}

basin_status basin__eval_print_json(const basin__evaluation *all) {
    json_t *object = json_object(), *measures = json_object();
    const basin__eval_set *sets[] = {&all->samples, &all->real, &all->train};
    static const char *const roles[] = {"samples", "data", "train"};
    for (int i = 0; i < 3; i++)
        if (sets[i]->data)
            json_object_set_new(object, roles[i], json_set(sets[i]));
    for (int i = 0; i < all->row_count; i++)
        json_object_set_new(measures, all->rows[i].key, json_row(&all->rows[i]));
    json_object_set_new(object, "measures", measures);
    if (all->feature_count > 0)
        json_object_set_new(object, "features",
                            json_pack("{s:o, s:I}", "of", basin__json_name(all->options->features),
                                      "count", (json_int_t)all->feature_count));
    if (all->calibration.count > 0)
        json_object_set_new(object, "calibration_bins", json_bins(&all->calibration));
    if (all->asked.labels)
        json_object_set_new(object, "asked", basin__eval_asked_json(all));
    if (all->flow.model)
        json_object_set_new(object, "likelihood", basin__eval_flow_json(all));
    char *text = object ? json_dumps(object, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(object);
    if (!text)
        return basin__fail(all->context, BASIN_ERROR_FORMAT,
                           "the result cannot be written as JSON");
    puts(text);
    free(text);
    return BASIN_OK;
}
