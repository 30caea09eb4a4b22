/* SPDX-License-Identifier: Apache-2.0 */
/*
 * basin completion: a bash script that completes verbs, options, and the words
 * that an option or topic can take, made from the tables.
 */
#include "cli.h"
#include <string.h>

static void print_option_words(const basin__option *options, size_t count) {
    for (size_t i = 0; i < count; i++)
        printf(" --%s", options[i].name);
}

/** The verb's options, those of everything it can choose, and the common ones. */
static void print_verb_options(const basin__verb *verb) {
    printf("        %s) words=\"", verb->name);
    print_option_words(basin__common_table, basin__common_table_count);
    print_option_words(verb->options, verb->option_count);
    for (const char *const *name = verb->kinds; name && *name; name++) {
        const basin__kind *kind = basin__kind_find(*name);
        for (int i = 0; kind && i < kind->count(); i++) {
            basin__kind_item item = kind->item(i);
            print_option_words(item.options, item.option_count);
        }
    }
    printf("\" ;;\n");
}

static void print_kind_names(const basin__kind *kind) {
    for (int i = 0; i < kind->count(); i++)
        printf("%s%s", i > 0 ? " " : "", kind->item(i).name);
}

static void print_choices(const char *choices) {
    for (; *choices; choices++)
        putchar(*choices == '|' ? ' ' : *choices);
}

/** Values of the options whose words are known: choices, and names of kinds. */
static void print_value_cases(const basin__verb *verb) {
    for (size_t i = 0; i < verb->option_count; i++) {
        const basin__option *option = &verb->options[i];
        const basin__kind *kind = basin__kind_find(option->name);
        if (!kind && option->type != BASIN__OPTION_CHOICE)
            continue;
        printf("        %s:--%s) words=\"", verb->name, option->name);
        if (kind)
            print_kind_names(kind);
        else
            print_choices(option->choices);
        printf("\" ;;\n");
    }
    for (const char *const *name = verb->kinds; name && *name; name++) {
        const basin__kind *kind = basin__kind_find(*name);
        for (int i = 0; kind && i < kind->count(); i++) {
            basin__kind_item item = kind->item(i);
            basin__verb inner = {
                .name = verb->name, .options = item.options, .option_count = item.option_count};
            print_value_cases(&inner);
        }
    }
}

static void print_verb_names(void) {
    for (size_t i = 0; i < basin__verb_count; i++)
        if (!basin__verbs[i]->is_hidden)
            printf(" %s", basin__verbs[i]->name);
}

static void print_script(void) {
    printf("# bash completion for basin, made by: basin completion\n"
           "_basin() {\n"
           "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
           "    local verb=${COMP_WORDS[1]} words=\n"
           "    COMPREPLY=()\n"
           "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
           "        words=\"--help --version");
    print_verb_names();
    printf("\"\n"
           "        COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
           "        return\n"
           "    fi\n"
           "    case \"$verb:$before\" in\n");
    for (size_t i = 0; i < basin__verb_count; i++)
        print_value_cases(basin__verbs[i]);
    for (size_t i = 0; i < basin__kind_count; i++) {
        printf("        help:%s) words=\"", basin__kinds[i].name);
        print_kind_names(&basin__kinds[i]);
        printf("\" ;;\n");
    }
    printf("        help:verb) words=\"");
    print_verb_names();
    printf("\" ;;\n        help:help) words=\"verb");
    print_verb_names();
    for (size_t i = 0; i < basin__kind_count; i++)
        printf(" %s", basin__kinds[i].name);
    printf("\" ;;\n"
           "    esac\n"
           "    if [ -z \"$words\" ] && [ \"${word#-}\" != \"$word\" ]; then\n"
           "        case \"$verb\" in\n");
    for (size_t i = 0; i < basin__verb_count; i++)
        print_verb_options(basin__verbs[i]);
    printf("        esac\n"
           "    fi\n"
           "    if [ -n \"$words\" ]; then\n"
           "        COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
           "    else\n"
           "        COMPREPLY=($(compgen -f -- \"$word\"))\n"
           "    fi\n"
           "}\n"
           "complete -o filenames -F _basin basin\n");
}

static int run(basin__command *command) {
    (void)command;
    print_script();
    return BASIN__EXIT_OK;
}

const basin__verb basin__verb_completion = {
    .name = "completion",
    .help = "print a bash completion script",
    .is_hidden = true,
    .run = run,
};
