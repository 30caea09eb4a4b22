/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Help as text, made from the option tables.
 */
#include "base/number.h"
#include "cli.h"
#include <math.h>
#include <string.h>

#define COLUMNS 80
#define HELP_AT 26

void basin__print_wrapped(FILE *file, const char *text, int at, int indent) {
    int column = at;
    for (const char *word = text; *word;) {
        size_t length = strcspn(word, " \n");
        bool is_first = column == at && word == text;
        if (!is_first && column + 1 + (int)length > COLUMNS) {
            fprintf(file, "\n%*s", indent, "");
            column = indent;
            is_first = true;
        }
        if (!is_first && column > indent)
            fputc(' ', file), column++;
        fwrite(word, 1, length, file);
        column += (int)length;
        word += length;
        if (*word == '\n') {
            fprintf(file, "\n%*s", indent, "");
            column = indent;
        }
        if (*word)
            word++;
    }
    fputc('\n', file);
}

void basin__option_usage(const basin__option *option, char *text, size_t bytes) {
    static const char *const values[] = {
        [BASIN__OPTION_FLAG] = "",
        [BASIN__OPTION_INT] = " N",
        [BASIN__OPTION_FLOAT] = " X",
        [BASIN__OPTION_TEXT] = " TEXT",
        [BASIN__OPTION_CHOICE] = " ",
        [BASIN__OPTION_INT_LIST] = " N,N,...",
        [BASIN__OPTION_TEXT_LIST] = " A,B,...",
    };
    bool is_choice = option->type == BASIN__OPTION_CHOICE;
    bool is_on = option->type == BASIN__OPTION_FLAG && option->fallback &&
                 strcmp(option->fallback, "true") == 0;
    snprintf(text, bytes, "--%s%s%s%s", is_on ? "no-" : "", option->name, values[option->type],
             is_choice ? option->choices : "");
}

static void append(char *text, size_t bytes, const char *part) {
    size_t length = strlen(text);
    snprintf(text + length, bytes - length, "%s%s", length > 0 ? "; " : "", part);
}

static void describe_range(const basin__option *option, char *text, size_t bytes) {
    char low[32], high[32];
    const char *unit = option->unit ? option->unit : "", *space = option->unit ? " " : "";
    bool is_number = option->type == BASIN__OPTION_INT || option->type == BASIN__OPTION_FLOAT ||
                     option->type == BASIN__OPTION_INT_LIST;
    bool is_limited = is_number && (option->min < 0.0 || option->min > 0.0 || option->max < 0.0 ||
                                    option->max > 0.0);
    basin__print_number(low, isinf(option->min) ? 0.0 : option->min);
    basin__print_number(high, isinf(option->max) ? 0.0 : option->max);
    if (!is_limited || (isinf(option->min) && isinf(option->max)))
        snprintf(text, bytes, "%s", unit);
    else if (isinf(option->max) || option->max >= 1e15)
        snprintf(text, bytes, "%s or more%s%s", low, space, unit);
    else if (isinf(option->min) || option->min <= -1e15)
        snprintf(text, bytes, "%s or less%s%s", high, space, unit);
    else
        snprintf(text, bytes, "%s to %s%s%s", low, high, space, unit);
}

void basin__option_note(const basin__option *option, char *text, size_t bytes) {
    char part[256];
    text[0] = '\0';
    describe_range(option, part, sizeof(part));
    if (part[0])
        append(text, bytes, part);
    if (option->fallback && option->type != BASIN__OPTION_FLAG) {
        snprintf(part, sizeof(part), "default %s", option->fallback[0] ? option->fallback : "''");
        append(text, bytes, part);
    }
}

static void print_option(FILE *file, const basin__option *option) {
    char usage[256], note[512], help[1024];
    basin__option_usage(option, usage, sizeof(usage));
    basin__option_note(option, note, sizeof(note));
    snprintf(help, sizeof(help), note[0] ? "%s (%s)" : "%s", option->help, note);
    int used = fprintf(file, "  %s", usage);
    if (used > HELP_AT - 2) {
        fprintf(file, "\n%*s", HELP_AT, "");
    } else {
        fprintf(file, "%*s", HELP_AT - used, "");
    }
    basin__print_wrapped(file, help, HELP_AT, HELP_AT);
}

void basin__print_options(FILE *file, const char *title, const basin__option *options,
                          size_t count) {
    if (count == 0)
        return;
    fprintf(file, "\n%s:\n", title);
    for (size_t i = 0; i < count; i++)
        print_option(file, &options[i]);
}

static void print_examples(FILE *file, const basin__verb *verb) {
    if (!verb->examples)
        return;
    fprintf(file, "\nExamples:\n");
    for (const char *const *line = verb->examples; line[0] && line[1]; line += 2)
        fprintf(file, "  %s\n      %s\n", line[0], line[1]);
}

void basin__print_verb(FILE *file, const basin__command *command) {
    const basin__verb *verb = command->verb;
    fprintf(file, "basin %s: %s\n\nUsage: basin %s%s%s [options]\n", verb->name, verb->help,
            verb->name, verb->positional ? " " : "", verb->positional ? verb->positional : "");
    if (verb->about) {
        fputc('\n', file);
        basin__print_wrapped(file, verb->about, 0, 0);
    }
    for (size_t i = 0; i < command->group_count; i++) {
        const basin__option_group *group = &command->groups[i];
        char title[96];
        if (command->group_kinds[i])
            snprintf(title, sizeof(title), "With --%s %s", command->group_kinds[i], group->title);
        else
            snprintf(title, sizeof(title), "%s",
                     group->values == command->options ? "Options" : "Common options");
        basin__print_options(file, title, group->options, group->count);
    }
    print_examples(file, verb);
}

void basin__print_overview(FILE *file) {
    fprintf(file, "Basin trains neural energies, samples from them and scores with them.\n\n"
                  "Usage: basin <verb> [options]\n\nVerbs:\n");
    for (size_t i = 0; i < basin__verb_count; i++) {
        if (basin__verbs[i]->is_hidden)
            continue;
        fprintf(file, "  %-8s ", basin__verbs[i]->name);
        basin__print_wrapped(file, basin__verbs[i]->help, 11, 11);
    }
    fprintf(file, "\nbasin <verb> --help shows a verb's options, defaults and examples.\n"
                  "basin help ");
    for (size_t i = 0; i < basin__kind_count; i++)
        fprintf(file, "%s%s", i > 0 ? "|" : "", basin__kinds[i].name);
    fprintf(file, " lists what can be chosen.\nbasin --version shows the version.\n");
}
