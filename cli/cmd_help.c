/* SPDX-License-Identifier: Apache-2.0 */
/*
 * basin help: the verbs, one verb, all things of a kind, or one of them.
 */
#include "cli.h"
#include <string.h>

static const char *topic_name(const void *user, size_t index) {
    (void)user;
    return index < basin__verb_count ? basin__verbs[index]->name
                                     : basin__kinds[index - basin__verb_count].name;
}

static const char *item_name(const void *user, size_t index) {
    return ((const basin__kind *)user)->item((int)index).name;
}

static int show_verb(basin__command *command, const basin__verb *verb) {
    basin__command shown;
    char *no_arguments[] = {"--help", NULL};
    basin_status status = basin__command_parse(&shown, command->context, verb, 1, no_arguments);
    if (status == BASIN_OK)
        basin__print_verb(stdout, &shown);
    int code = status == BASIN_OK ? BASIN__EXIT_OK : basin__command_fail(command, status);
    basin__command_reset(&shown, command->context);
    return code;
}

static void show_kind(const basin__kind *kind) {
    int at = printf("%c%s: ", kind->plural[0] - 'a' + 'A', kind->plural + 1);
    basin__print_wrapped(stdout, kind->help, at, 0);
    putchar('\n');
    size_t option_count = 0;
    for (int i = 0; i < kind->count(); i++) {
        basin__kind_item item = kind->item(i);
        printf("  %-16s ", item.name);
        basin__print_wrapped(stdout, item.help, 19, 19);
        option_count += item.option_count + (item.usage != NULL);
    }
    putchar('\n');
    if (option_count > 0)
        printf("basin help %s NAME shows the options of one.\n", kind->name);
}

static int show_item(const basin__command *command, const basin__kind *kind, const char *name) {
    for (int i = 0; i < kind->count(); i++) {
        basin__kind_item item = kind->item(i);
        if (strcmp(item.name, name) != 0)
            continue;
        printf("%s %s: ", kind->name, item.name);
        basin__print_wrapped(stdout, item.help, 0, 0);
        if (item.usage)
            printf("\n  %s\n", item.usage);
        basin__print_options(stdout, "Options", item.options, item.option_count);
        return BASIN__EXIT_OK;
    }
    const char *near = basin__suggest(name, (size_t)kind->count(), item_name, kind);
    if (near)
        return basin__command_usage(command, "unknown %s %s; did you mean %s?", kind->name, name,
                                    near);
    return basin__command_usage(command, "unknown %s %s; see basin help %s", kind->name, name,
                                kind->name);
}

static int run(basin__command *command) {
    if (command->argument_count == 0) {
        basin__print_overview(stdout);
        return BASIN__EXIT_OK;
    }
    const char *topic = command->arguments[0];
    /* `data` is a verb and a kind: "verb data" and "data strokes" tell them apart. */
    if (strcmp(topic, "verb") == 0) {
        if (command->argument_count == 1) {
            basin__print_overview(stdout);
            return BASIN__EXIT_OK;
        }
        const basin__verb *named = basin__verb_find(command->arguments[1]);
        return named ? show_verb(command, named)
                     : basin__command_usage(command, "unknown verb %s; see basin help",
                                            command->arguments[1]);
    }
    const basin__kind *kind = basin__kind_find(topic);
    if (kind && command->argument_count == 2)
        return show_item(command, kind, command->arguments[1]);
    const basin__verb *verb = basin__verb_find(topic);
    if (kind) {
        show_kind(kind);
        if (verb)
            printf("basin help verb %s shows the verb.\n", verb->name);
        return BASIN__EXIT_OK;
    }
    if (verb && command->argument_count == 1)
        return show_verb(command, verb);
    const char *near =
        basin__suggest(topic, basin__verb_count + basin__kind_count, topic_name, NULL);
    if (near && !verb)
        return basin__command_usage(command, "unknown topic %s; did you mean %s?", topic, near);
    return basin__command_usage(command, "unknown topic %s; see basin help",
                                verb ? command->arguments[1] : topic);
}

static const char *const examples[] = {
    "basin help network",
    "list the networks",
    "basin help sampler langevin",
    "show one sampler's options",
    "basin help verb data",
    "show the options of basin data",
    NULL,
};

const basin__verb basin__verb_help = {
    .name = "help",
    .help = "show verbs, and the networks, samplers, objectives and data sets there are",
    .positional = "[verb|network|sampler|objective|optimiser|data|energy|task|method|score] [NAME]",
    .positional_max = 2,
    .examples = examples,
    .run = run,
};
