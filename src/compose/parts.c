/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The models of a composition, and what must hold before a graph is built of them: they take the
 * same examples, in one range of values, at one range of noise levels; a class that is selected is
 * one of theirs; classes that are not selected count alike.
 */
#include "base/number.h"
#include "compose/compose.h"
#include <math.h>
#include <string.h>

static const basin__selected free_scope = {BASIN__CLASS_FREE, (double)NAN};

#define FAIL(of, node, status, ...)                                                                \
    basin__expression_fail(&(of)->expression, status, (node)->at, __VA_ARGS__)

basin__selected basin__selected_inside(basin__selected outside, const basin__selection *selection) {
    if (selection->label != BASIN__CLASS_FREE)
        outside.label = selection->label;
    if (!isnan(selection->noise_level))
        outside.noise_level = selection->noise_level;
    return outside;
}

double basin__selected_level(const basin__composition *of, basin__selected scope) {
    if (!isnan(scope.noise_level))
        return scope.noise_level;
    return of->has_levels ? of->level_low : 0;
}

static const basin_energy *energy_of(const basin__composition *of,
                                     const basin__expression_node *node) {
    return of->parts[node->part].energy;
}

/* ---- loading ---- */

static void count_models(const basin__expression_node *node, int *count) {
    *count += node->kind == BASIN__NODE_MODEL;
    for (int i = 0; i < node->operand_count; i++)
        count_models(node->operands[i], count);
}

/** Load the model of a node, unless it is there. */
static basin_status load_model(basin__composition *of, basin__expression_node *node) {
    for (node->part = 0; node->part < of->part_count; node->part++)
        if (strcmp(of->names[node->part], node->name) == 0)
            return BASIN_OK;
    basin__energy_part *part = &of->parts[of->part_count];
    basin_status status = basin_energy_load(of->context, node->name, NULL, 0, 0, &part->energy);
    if (status != BASIN_OK) {
        const char *slash = strpbrk(node->name, "-/");
        char message[512];
        basin__snprintf(message, sizeof(message), "%s", basin_context_error(of->context));
        return FAIL(of, node, status, "%s%s", message,
                    status == BASIN_ERROR_IO && slash
                        ? " ('-' and '/' are operators with blanks around them)"
                        : "");
    }
    basin__snprintf(part->prefix, sizeof(part->prefix), "%d.", of->part_count + 1);
    of->names[of->part_count++] = node->name;
    return BASIN_OK;
}

static basin_status load_models(basin__composition *of, basin__expression_node *node) {
    if (node->kind == BASIN__NODE_MODEL)
        return load_model(of, node);
    for (int i = 0; i < node->operand_count; i++)
        BASIN_TRY(load_models(of, node->operands[i]));
    return BASIN_OK;
}

/* ---- shape, range, levels ---- */

/** Channels of points that functions speak of, 0: none says. */
static int dimension_of(const basin__expression_node *node) {
    int dimension = 0;
    if (node->kind == BASIN__NODE_FUNCTION && node->function->dimension)
        dimension = node->function->dimension(node->arguments);
    for (int i = 0; i < node->operand_count && dimension == 0; i++)
        dimension = dimension_of(node->operands[i]);
    return dimension;
}

static basin_status find_shape(basin__composition *of, basin_shape shape) {
    of->shape = (basin_shape){1, shape.height, shape.width, shape.channels};
    if (of->part_count > 0) {
        basin_shape own = of->parts[0].energy->shape;
        if (shape.channels == 0 && shape.height > 0)
            of->shape.channels = own.channels;
        if (shape.height > 0 && !basin_shape_equal(own, of->shape))
            return basin__fail(of->context, BASIN_ERROR_SHAPE,
                               "%s takes examples of %d x %d x %d, not %d x %d x %d", of->names[0],
                               own.height, own.width, own.channels, shape.height, shape.width,
                               of->shape.channels);
        of->shape = own;
        return BASIN_OK;
    }
    if (shape.height > 0 && shape.channels > 0)
        return BASIN_OK;
    of->shape = basin_shape_vector(dimension_of(of->expression.root));
    return of->shape.channels > 0
               ? BASIN_OK
               : basin__fail(
                     of->context, BASIN_ERROR_CONFIG,
                     "the expression names no model and does not say of what shape examples "
                     "are: give it, 1x1x2 for points of the plane");
}

/** Numbers that were written and read back. */
static bool is_same(double a, double b) { return fabs(a - b) <= 1e-6 * (fabs(a) + fabs(b)); }

static basin_status agree_on_range(basin__composition *of, int index) {
    const basin_energy *energy = of->parts[index].energy;
    const basin__range range = basin__energy_range(energy);
    const double low = (double)range.low, high = (double)range.high;
    if (!of->has_range) {
        of->has_range = true;
        of->range_low = low;
        of->range_high = high;
        return BASIN_OK;
    }
    if (basin__energy_is_image(energy) &&
        (!is_same(low, of->range_low) || !is_same(high, of->range_high)))
        return basin__fail(of->context, BASIN_ERROR_CONFIG,
                           "%s takes values from %g to %g, and %s from %g to %g: energies of "
                           "different scales cannot be added",
                           of->names[0], of->range_low, of->range_high, of->names[index], low,
                           high);
    of->range_low = fmin(low, of->range_low); /* of points this is where chains start, no scale */
    of->range_high = fmax(high, of->range_high);
    return BASIN_OK;
}

static basin_status agree_on_levels(basin__composition *of, int index, int *first) {
    const basin_energy *energy = of->parts[index].energy;
    if (!energy->condition.noise_level)
        return BASIN_OK;
    const double low = basin__energy_noted_number(energy, "noise_level_low", energy->noise_level);
    const double high = basin__energy_noted_number(energy, "noise_level_high", low);
    if (!of->has_levels) {
        of->has_levels = true;
        of->level_low = low;
        of->level_high = high;
        *first = index;
        return BASIN_OK;
    }
    if (is_same(low, of->level_low) && is_same(high, of->level_high))
        return BASIN_OK;
    return basin__fail(of->context, BASIN_ERROR_CONFIG,
                       "%s was trained at noise levels from %g to %g, and %s from %g to %g: chains "
                       "walk both at the same levels",
                       of->names[*first], of->level_low, of->level_high, of->names[index], low,
                       high);
}

static basin_status agree(basin__composition *of) {
    int first_with_levels = 0;
    for (int i = 0; i < of->part_count; i++) {
        const basin_shape a = of->parts[0].energy->shape, b = of->parts[i].energy->shape;
        if (!basin_shape_equal(a, b))
            return basin__fail(of->context, BASIN_ERROR_SHAPE,
                               "%s takes examples of %d x %d x %d, and %s of %d x %d x %d",
                               of->names[0], a.height, a.width, a.channels, of->names[i], b.height,
                               b.width, b.channels);
        BASIN_TRY(agree_on_range(of, i));
        BASIN_TRY(agree_on_levels(of, i, &first_with_levels));
    }
    return BASIN_OK;
}

/* ---- conditions ---- */

/** What is free in a node, and what a selection could be for. */
typedef struct found {
    basin__condition free;
    const char *class_model;   /* of which class_count is */
    bool any_class, any_level; /* taken, free or not */
    basin_status status;
} found;

static void find_conditions(const basin__composition *of, const basin__expression_node *node,
                            basin__selected scope, found *all) {
    if (node->kind == BASIN__NODE_SELECT)
        scope = basin__selected_inside(scope, &node->selection);
    all->any_level |= node->kind == BASIN__NODE_FUNCTION && node->operand_count == 0;
    for (int i = 0; i < node->operand_count; i++)
        find_conditions(of, node->operands[i], scope, all);
    if (node->kind != BASIN__NODE_MODEL)
        return;
    const basin__condition *condition = &energy_of(of, node)->condition;
    all->any_class |= condition->class_count > 0;
    all->any_level |= condition->noise_level;
    all->free.noise_level |= condition->noise_level && isnan(scope.noise_level);
    if (condition->class_count == 0 || scope.label != BASIN__CLASS_FREE)
        return;
    if (all->free.class_count > 0 && all->free.class_count != condition->class_count &&
        all->status == BASIN_OK)
        all->status = FAIL(
            of, node, BASIN_ERROR_CONFIG, "%s has %d classes, and %s %d: select one, [class = 3]",
            of->names[node->part], condition->class_count, all->class_model, all->free.class_count);
    all->free.class_count = condition->class_count;
    all->class_model = of->names[node->part];
}

basin__condition basin__composition_condition(const basin__composition *of,
                                              const basin__expression_node *node,
                                              basin__selected scope) {
    found all = {0};
    find_conditions(of, node, scope, &all);
    return all.free;
}

static basin_status check_model(const basin__composition *of, const basin__expression_node *node,
                                basin__selected scope, bool has_temperature) {
    const basin_energy *energy = energy_of(of, node);
    const int class_count = energy->condition.class_count;
    if (class_count > 0 && scope.label >= class_count)
        return FAIL(of, node, BASIN_ERROR_CONFIG, "there is no class %d: %s has %d, from 0",
                    scope.label, of->names[node->part], class_count);
    if (!has_temperature && !(basin_energy_temperature(energy).value > 0))
        return FAIL(of, node, BASIN_ERROR_CONFIG,
                    "the temperature of %s is 0: say at which to take it, [temperature = 1]",
                    of->names[node->part]);
    return BASIN_OK;
}

static basin_status check_selection(const basin__composition *of,
                                    const basin__expression_node *node, basin__selected scope) {
    const basin__selection *selection = &node->selection;
    found all = {0};
    find_conditions(of, node->operands[0], free_scope, &all);
    if (selection->label >= 0 && !all.any_class)
        return FAIL(of, node, BASIN_ERROR_CONFIG,
                    "class %d is selected, and no model here takes a class", selection->label);
    if (!isnan(selection->guidance) && !all.any_class)
        return FAIL(of, node, BASIN_ERROR_CONFIG,
                    "guidance is towards a class, and no model here takes one");
    if (!isnan(selection->guidance) && scope.label == BASIN__CLASS_NONE)
        return FAIL(of, node, BASIN_ERROR_CONFIG,
                    "guidance is towards a class, and none is selected");
    if (!isnan(selection->noise_level) && !all.any_level)
        return FAIL(of, node, BASIN_ERROR_CONFIG,
                    "noise level %g is selected, and no model here takes one",
                    selection->noise_level);
    return BASIN_OK;
}

/* ---- functions ---- */

bool basin__node_is_normalised(const basin__composition *of, const basin__expression_node *node,
                               basin__selected scope) {
    if (node->kind == BASIN__NODE_SELECT)
        return isnan(node->selection.temperature) && isnan(node->selection.guidance) &&
               basin__node_is_normalised(of, node->operands[0],
                                         basin__selected_inside(scope, &node->selection));
    if (node->kind != BASIN__NODE_FUNCTION)
        return false;
    const bool has_level = basin__selected_level(of, scope) > 0;
    if (node->function != basin__function_mixture)
        return node->function->normalised == BASIN__NORMALISED_ALWAYS ||
               (node->function->normalised == BASIN__NORMALISED_AT_ZERO && !has_level);
    bool is_normalised = node->arguments[BASIN__MIXTURE_LOG_Z].count == 0;
    for (int i = 0; i < node->operand_count; i++)
        is_normalised &= basin__node_is_normalised(of, node->operands[i], scope);
    return is_normalised;
}

static basin_status check_mixture(const basin__composition *of, const basin__expression_node *node,
                                  basin__selected scope) {
    static const char *const what[] = {"weights", "values of log-z"};
    const basin__argument *log_z = &node->arguments[BASIN__MIXTURE_LOG_Z];
    for (int i = 0; i < 2; i++)
        if (node->arguments[i].count > 0 && node->arguments[i].count != node->operand_count)
            return basin__expression_fail(&of->expression, BASIN_ERROR_CONFIG,
                                          node->arguments[i].at, "%d %s for %d energies",
                                          node->arguments[i].count, what[i], node->operand_count);
    if (log_z->word && strcmp(log_z->word, "estimate") != 0)
        return basin__expression_fail(&of->expression, BASIN_ERROR_CONFIG, log_z->at,
                                      "log-z is a list of numbers, or estimate");
    for (int i = 0; i < node->operand_count && log_z->count == 0 && !log_z->word; i++)
        if (!basin__node_is_normalised(of, node->operands[i], scope))
            return FAIL(of, node->operands[i], BASIN_ERROR_CONFIG,
                        "a mixture needs log Z of this energy: give log-z = a number for each, or "
                        "log-z = estimate");
    return BASIN_OK;
}

static basin_status check_function(const basin__composition *of, const basin__expression_node *node,
                                   basin__selected scope) {
    if (node->function == basin__function_mixture)
        return check_mixture(of, node, scope);
    if (!node->function->fit)
        return BASIN_OK;
    basin_status status = node->function->fit(of->context, node->arguments, of->shape);
    if (status == BASIN_OK)
        return status;
    char message[512];
    basin__snprintf(message, sizeof(message), "%s", basin_context_error(of->context));
    return FAIL(of, node, status, "%s", message);
}

static basin_status check(const basin__composition *of, const basin__expression_node *node,
                          basin__selected scope, bool has_temperature) {
    if (node->kind == BASIN__NODE_MODEL)
        BASIN_TRY(check_model(of, node, scope, has_temperature));
    if (node->kind == BASIN__NODE_FUNCTION)
        BASIN_TRY(check_function(of, node, scope));
    if (node->kind == BASIN__NODE_SELECT) {
        scope = basin__selected_inside(scope, &node->selection);
        BASIN_TRY(check_selection(of, node, scope));
    }
    has_temperature = node->kind == BASIN__NODE_SELECT && !isnan(node->selection.temperature);
    for (int i = 0; i < node->operand_count; i++)
        BASIN_TRY(check(of, node->operands[i], scope, has_temperature));
    return BASIN_OK;
}

/* ---- the whole ---- */

basin_status basin__composition_load(basin__composition *of, basin_shape shape) {
    int count = 0;
    count_models(of->expression.root, &count);
    of->parts = basin__alloc_array(of->context, (size_t)count, sizeof(*of->parts));
    of->names = basin__alloc_array(of->context, (size_t)count, sizeof(*of->names));
    if (!of->parts || !of->names)
        return BASIN_ERROR_MEMORY;
    BASIN_TRY(load_models(of, of->expression.root));
    BASIN_TRY(find_shape(of, shape));
    BASIN_TRY(agree(of));
    BASIN_TRY(check(of, of->expression.root, free_scope, false));
    found all = {0};
    find_conditions(of, of->expression.root, free_scope, &all);
    return all.status;
}

void basin__composition_reset(basin__composition *of) {
    for (int i = 0; i < of->part_count; i++)
        basin_energy_destroy(of->parts[i].energy);
    basin__free(of->context, of->parts);
    basin__free(of->context, of->names);
    basin__expression_reset(&of->expression);
    of->parts = NULL;
    of->names = NULL;
    of->part_count = 0;
}
