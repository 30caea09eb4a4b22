/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From argv to a command, in two passes. The first looks only for --config and
 * for the options that choose a thing (--network conv), whose tables must join
 * the verb's before anything else can be told an option from a mistake. The
 * second sets every option: defaults, then the configuration file, then the
 * command line, so that the later wins.
 */
#include "base/number.h"
#include "cli.h"
#include "io/config.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 1024 /* of a message */

typedef struct common_options {
    char *config;
    int64_t threads, precision;
    bool exact_convolution, quiet, help;
} common_options;

#define AT(field) offsetof(common_options, field)

const basin__option basin__common_table[] = {
    {"config", BASIN__OPTION_TEXT, AT(config), NULL, 0, 0, NULL, NULL,
     "Read options from a YAML or JSON file first; keys are option names"},
    {"threads", BASIN__OPTION_INT, AT(threads), "0", 0, 4096, NULL, NULL,
     "Worker threads; 0 takes the processors this process may use"},
    {"precision", BASIN__OPTION_CHOICE, AT(precision), "fp32", 0, 0, "fp32|bf16", NULL,
     "What chains multiply and keep, where there are chains; bf16 pays on processors that "
     "multiply it"},
    {"exact-convolution", BASIN__OPTION_FLAG, AT(exact_convolution), NULL, 0, 0, NULL, NULL,
     "Convolve tap by tap, not with fewer multiplications: slower, a little less rounding"},
    {"quiet", BASIN__OPTION_FLAG, AT(quiet), NULL, 0, 0, NULL, NULL,
     "Print results and errors only"},
    {"help", BASIN__OPTION_FLAG, AT(help), NULL, 0, 0, NULL, NULL, "Print this help"},
};
const size_t basin__common_table_count = BASIN_COUNT(basin__common_table);

/* ---- groups ---- */

static basin_status add_group(basin__command *command, const char *kind, const char *title,
                              const basin__option *options, size_t count, size_t bytes) {
    basin_context *context = command->context;
    if (command->group_count == BASIN__GROUPS_MAX)
        return basin__fail(context, BASIN_ERROR_CONFIG, "more than %d groups of options",
                           BASIN__GROUPS_MAX);
    basin__option_group group = {.title = title, .options = options, .count = count};
    group.values = basin__alloc(context, bytes);
    if (!group.values)
        return BASIN_ERROR_MEMORY;
    basin_status status = basin__options_default(context, &group);
    if (status != BASIN_OK) {
        basin__free(context, group.values);
        return status;
    }
    command->group_kinds[command->group_count] = kind;
    command->groups[command->group_count++] = group;
    return BASIN_OK;
}

static const common_options *common_of(const basin__command *command) {
    return command->groups[command->group_count - 1].values;
}

/** The value that stands after --name or --name= in argv, the last one, or NULL. */
static const char *peek_argv(const basin__command *command, const char *name) {
    const char *found = NULL;
    size_t length = strlen(name);
    for (int i = 0; i < command->argc && strcmp(command->argv[i], "--") != 0; i++) {
        const char *argument = command->argv[i];
        if (strncmp(argument, "--", 2) != 0 || strncmp(argument + 2, name, length) != 0)
            continue;
        if (argument[2 + length] == '=')
            found = argument + 3 + length;
        else if (argument[2 + length] == '\0' && i + 1 < command->argc)
            found = command->argv[i + 1];
    }
    return found;
}

/** What the user says for an option that chooses a thing; NULL: nothing. */
static const char *peek_given(const basin__command *command, const char *name) {
    const char *value = peek_argv(command, name);
    if (!value && command->config)
        value = json_string_value(json_object_get(command->config, name));
    return value;
}

/** What the user says, or the table. */
static const char *peek_own(const basin__command *command, const char *name) {
    const basin__option *option =
        basin__option_find(command->groups, command->group_count, name, NULL);
    const char *value = option ? peek_given(command, name) : NULL;
    return value || !option ? value : option->fallback;
}

/** What the user says, or what goes with the rest of it, or the table. */
static const char *peek(const basin__command *command, const char *name) {
    const basin__kind_company with = {.objective = peek_given(command, "objective"),
                                      .preset = peek_own(command, "preset"),
                                      .data = peek_own(command, "data")};
    const char *value = peek_given(command, name);
    if (!value)
        value = basin__kind_along(command->context, name, &with);
    return value ? value : peek_own(command, name);
}

static const char *item_name(const void *user, size_t index) {
    return ((const basin__kind *)user)->item((int)index).name;
}

static basin_status find_item(basin_context *context, const basin__kind *kind, const char *name,
                              basin__kind_item *out) {
    for (int i = 0; i < kind->count(); i++) {
        *out = kind->item(i);
        if (strcmp(out->name, name) == 0)
            return BASIN_OK;
    }
    const char *near = basin__suggest(name, (size_t)kind->count(), item_name, kind);
    return basin__fail(context, BASIN_ERROR_CONFIG, "unknown %s %s; %s%s%s", kind->name, name,
                       near ? "did you mean " : "see basin help ", near ? near : kind->name,
                       near ? "?" : "");
}

static basin_status add_kind_groups(basin__command *command) {
    for (const char *const *name = command->verb->kinds; name && *name; name++) {
        const basin__kind *kind = basin__kind_find(*name);
        const char *choice = peek(command, *name);
        basin__kind_item item = {0};
        if (!kind || !choice)
            continue;
        BASIN_TRY(find_item(command->context, kind, choice, &item));
        BASIN_TRY(add_group(command, kind->name, item.name, item.options, item.option_count,
                            item.options_bytes));
    }
    return BASIN_OK;
}

static basin_status add_groups(basin__command *command) {
    const basin__verb *verb = command->verb;
    if (verb->option_count > 0)
        BASIN_TRY(add_group(command, NULL, verb->name, verb->options, verb->option_count,
                            verb->options_bytes));
    if (verb->option_count > 0)
        command->options = command->groups[0].values;
    BASIN_TRY(add_kind_groups(command));
    return add_group(command, NULL, "Common", basin__common_table, basin__common_table_count,
                     sizeof(common_options));
}

/* ---- configuration file ---- */

static basin_status read_config(basin__command *command) {
    const char *path = peek_argv(command, "config");
    if (!path)
        return BASIN_OK;
    basin_status status = basin__config_read(command->context, path, &command->config);
    if (status != BASIN_OK) /* what is no YAML is a mistake in the configuration */
        return status == BASIN_ERROR_FORMAT ? BASIN_ERROR_CONFIG : status;
    static const char *const not_here[] = {"config", "help"};
    for (size_t i = 0; i < BASIN_COUNT(not_here); i++)
        if (json_object_get(command->config, not_here[i]))
            return basin__fail(command->context, BASIN_ERROR_CONFIG,
                               "%s: %s is for the command line alone; remove it", path,
                               not_here[i]);
    return BASIN_OK;
}

static basin_status apply_config(basin__command *command) {
    if (!command->config)
        return BASIN_OK;
    basin_status status = basin__options_from_json(command->context, command->groups,
                                                   command->group_count, command->config);
    return status == BASIN_OK
               ? BASIN_OK
               : basin__fail_in(command->context, status, peek_argv(command, "config"));
}

/* ---- the command line ---- */

/** "no-fast" names the flag fast; NULL where `name` is not so. */
static const char *negated_flag(const basin__command *command, const char *name) {
    if (strncmp(name, "no-", 3) != 0 ||
        basin__option_find(command->groups, command->group_count, name, NULL))
        return NULL;
    const basin__option *option =
        basin__option_find(command->groups, command->group_count, name + 3, NULL);
    return option && option->type == BASIN__OPTION_FLAG ? name + 3 : NULL;
}

/** The things of a kind that have an option, ", " between them; "" if none does. */
static void list_owners(const basin__kind *kind, const char *name, size_t bytes, char *text) {
    size_t at = 0;
    text[0] = '\0';
    for (int i = 0; i < kind->count(); i++) {
        const basin__kind_item item = kind->item(i);
        const basin__option_group group = {.options = item.options, .count = item.option_count};
        if (at < bytes && basin__option_find(&group, 1, name, NULL))
            at += (size_t)snprintf(text + at, bytes - at, "%s%s", at ? ", " : "", item.name);
    }
}

/** What has no such option is asked about the things that were not chosen. */
static basin_status check_owner(basin__command *command, const char *name) {
    const char *const *kind = command->verb->kinds;
    char owners[256];
    for (; kind && *kind; kind++) {
        list_owners(basin__kind_find(*kind), name, sizeof owners, owners);
        if (owners[0])
            return basin__fail(command->context, BASIN_ERROR_CONFIG,
                               "unknown option --%s: it is of %s %s, and %s is chosen", name, *kind,
                               owners, basin__command_group(command, *kind)->title);
    }
    return BASIN_OK;
}

/** Set the option at argv[*at]; *at then is the last argument used. */
static basin_status parse_option(basin__command *command, int *at) {
    const char *argument = command->argv[*at] + 2, *value = strchr(argument, '=');
    char name[64];
    size_t length = value ? (size_t)(value - argument) : strlen(argument);
    if (length >= sizeof(name))
        return basin__fail(command->context, BASIN_ERROR_CONFIG, "unknown option --%s", argument);
    memcpy(name, argument, length);
    name[length] = '\0';
    const char *flag = negated_flag(command, name);
    if (flag && value)
        return basin__fail(command->context, BASIN_ERROR_CONFIG, "--%s takes no value", name);
    if (flag)
        return basin__option_set(command->context, command->groups, command->group_count, flag,
                                 "false");
    const basin__option *option =
        basin__option_find(command->groups, command->group_count, name, NULL);
    if (!option)
        BASIN_TRY(check_owner(command, name));
    if (value) {
        value++;
    } else if (option && option->type == BASIN__OPTION_FLAG) {
        value = "true";
    } else if (option) {
        if (*at + 1 >= command->argc)
            return basin__fail(command->context, BASIN_ERROR_CONFIG, "--%s needs a value", name);
        value = command->argv[++*at];
        if (strncmp(value, "--", 2) == 0)
            return basin__fail(command->context, BASIN_ERROR_CONFIG,
                               "--%s needs a value, and %s follows; write --%s=%s if it is one",
                               name, value, name, value);
    }
    return basin__option_set(command->context, command->groups, command->group_count, name,
                             value ? value : "");
}

static basin_status parse_arguments(basin__command *command) {
    bool only_positional = false;
    for (int i = 0; i < command->argc; i++) {
        char *argument = command->argv[i];
        if (only_positional || argument[0] != '-' || argument[1] == '\0') {
            command->arguments[command->argument_count++] = argument;
        } else if (strcmp(argument, "--") == 0) {
            only_positional = true;
        } else if (strcmp(argument, "-h") == 0) {
            BASIN_TRY(basin__option_set(command->context, command->groups, command->group_count,
                                        "help", "true"));
        } else if (argument[1] == '-') {
            BASIN_TRY(parse_option(command, &i));
        } else {
            return basin__fail(command->context, BASIN_ERROR_CONFIG,
                               "unknown option %s; options begin with two dashes", argument);
        }
    }
    return BASIN_OK;
}

static basin_status check_positional(const basin__command *command) {
    const basin__verb *verb = command->verb;
    if (command->argument_count < verb->positional_min)
        return basin__fail(command->context, BASIN_ERROR_CONFIG,
                           "%s is missing; see basin %s "
                           "--help",
                           verb->positional, verb->name);
    if (command->argument_count > verb->positional_max)
        return basin__fail(command->context, BASIN_ERROR_CONFIG,
                           "'%s' is one argument too many; see basin %s --help",
                           command->arguments[verb->positional_max], verb->name);
    return BASIN_OK;
}

/** Folder and name of a file that may not be there yet: one text for one file. */
static char *canonical(basin_context *context, const char *path) {
    const char *slash = strrchr(path, '/');
    char *folder =
        basin__format(context, "%.*s", slash ? (int)(slash + 1 - path) : 1, slash ? path : ".");
    char *real = folder ? realpath(folder, NULL) : NULL;
    char *whole =
        folder ? basin__format(context, "%s/%s", real ? real : folder, slash ? slash + 1 : path)
               : NULL;
    basin__free(context, folder);
    free(real);
    return whole;
}

enum { OUTPUTS_MAX = 16 };

typedef struct output {
    const char *option;
    char *file; /* canonical */
} output;

static basin_status add_output(const basin__command *command, output *all, size_t *count,
                               const char *option, const char *path) {
    if (path[0] == '\0')
        return basin__fail(command->context, BASIN_ERROR_CONFIG, "--%s needs the name of a file",
                           option);
    if (*count == OUTPUTS_MAX)
        return basin__fail(command->context, BASIN_ERROR_CONFIG,
                           "--%s %s: more than %d files are to be written", option, path,
                           OUTPUTS_MAX);
    char *file = canonical(command->context, path);
    if (!file)
        return BASIN_ERROR_MEMORY;
    all[(*count)++] = (output){option, file};
    for (size_t i = 0; i + 1 < *count; i++)
        if (strcmp(all[i].file, file) == 0)
            return basin__fail(command->context, BASIN_ERROR_CONFIG,
                               "--%s %s is --%s too: give it a file of its own", option, path,
                               all[i].option);
    return BASIN_OK;
}

/** Files to be written must be as many as their options. */
static basin_status check_outputs(const basin__command *command) {
    output all[OUTPUTS_MAX];
    size_t count = 0;
    basin_status status = BASIN_OK;
    for (const char *const *name = command->verb->outputs; name && *name; name++) {
        const basin__option *option = basin__option_find(command->groups, 1, *name, NULL);
        const char *value = (const char *)command->options + option->offset;
        basin__text_list list = {0};
        if (option->type == BASIN__OPTION_TEXT_LIST)
            list = *(const basin__text_list *)value;
        else if (*(char *const *)value)
            list = (basin__text_list){.items = (char **)value, .count = 1};
        for (size_t i = 0; i < list.count && status == BASIN_OK; i++)
            status = add_output(command, all, &count, *name, list.items[i]);
    }
    for (size_t i = 0; i < count; i++)
        basin__free(command->context, all[i].file);
    return status;
}

static basin_status check_companions(const basin__command *command) {
    const char *const(*pair)[2] = command->verb->companions;
    for (; pair && (*pair)[0]; pair++)
        if (basin__command_is_given(command, (*pair)[0]) &&
            !basin__command_is_given(command, (*pair)[1]))
            return basin__fail(command->context, BASIN_ERROR_CONFIG,
                               "--%s is of --%s: give that too, or leave it away", (*pair)[0],
                               (*pair)[1]);
    return BASIN_OK;
}

/** --help wins over every other mistake, so it is looked for first. */
static bool asks_for_help(int argc, char **argv) {
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

basin_status basin__command_parse(basin__command *command, basin_context *context,
                                  const basin__verb *verb, int argc, char **argv) {
    uint64_t from_config[BASIN__GROUPS_MAX];
    *command = (basin__command){.verb = verb, .context = context, .argc = argc, .argv = argv};
    command->wants_help = asks_for_help(argc, argv);
    command->arguments = basin__alloc_array(context, (size_t)argc + 1, sizeof(char *));
    if (!command->arguments)
        return BASIN_ERROR_MEMORY;
    if (!command->wants_help)
        BASIN_TRY(read_config(command));
    BASIN_TRY(add_groups(command));
    if (command->wants_help)
        return BASIN_OK;
    BASIN_TRY(apply_config(command));
    for (size_t i = 0; i < command->group_count; i++) {
        from_config[i] = command->groups[i].is_set;
        command->groups[i].is_set = 0; /* a list given on the command line replaces the file's */
    }
    BASIN_TRY(parse_arguments(command));
    for (size_t i = 0; i < command->group_count; i++)
        command->groups[i].is_set |= from_config[i];
    command->is_quiet = common_of(command)->quiet;
    command->thread_count = (int)common_of(command)->threads;
    command->precision = (int)common_of(command)->precision;
    command->exact_convolution = common_of(command)->exact_convolution;
    if (command->precision != BASIN_PRECISION_FP32 && !verb->runs_chains)
        return basin__fail(context, BASIN_ERROR_CONFIG,
                           "--precision is that of chains, and %s runs none: leave it away",
                           verb->name);
    BASIN_TRY(check_companions(command));
    BASIN_TRY(check_outputs(command));
    return check_positional(command);
}

void basin__command_reset(basin__command *command, basin_context *context) {
    for (size_t i = 0; i < command->group_count; i++) {
        basin__options_reset(context, &command->groups[i]);
        basin__free(context, command->groups[i].values);
    }
    basin__free(context, command->arguments);
    json_decref(command->config);
    *command = (basin__command){0};
}

/* ---- for verbs ---- */

basin__option_group *basin__command_group(basin__command *command, const char *kind) {
    for (size_t i = 0; i < command->group_count; i++)
        if (command->group_kinds[i] && strcmp(command->group_kinds[i], kind) == 0)
            return &command->groups[i];
    return NULL;
}

basin__kind_item basin__command_choice(basin__command *command, const char *kind_name) {
    const basin__kind *kind = basin__kind_find(kind_name);
    const basin__option_group *group = basin__command_group(command, kind_name);
    for (int i = 0; kind && group && i < kind->count(); i++) {
        basin__kind_item item = kind->item(i);
        if (strcmp(item.name, group->title) == 0)
            return item;
    }
    return (basin__kind_item){0};
}

bool basin__command_is_given(const basin__command *command, const char *name) {
    size_t g;
    const basin__option *option =
        basin__option_find(command->groups, command->group_count, name, &g);
    return option && (command->groups[g].is_set >> (option - command->groups[g].options) & 1) != 0;
}

char *basin__command_settings(basin__command *command, const char *kind) {
    const basin__option_group *group = basin__command_group(command, kind);
    json_t *given = json_object();
    char *text = NULL;
    if (given && basin__options_given_to_json(command->context, group, given) == BASIN_OK)
        text = json_dumps(given, JSON_COMPACT);
    json_decref(given);
    return text;
}

static int exit_code(basin_status status) {
    switch (status) {
    case BASIN_OK:
        return BASIN__EXIT_OK;
    case BASIN_ERROR_ARGUMENT:
    case BASIN_ERROR_CONFIG:
        return BASIN__EXIT_USAGE;
    case BASIN_ERROR_DIVERGED:
        return BASIN__EXIT_DIVERGED;
    case BASIN_ERROR_CANCELLED:
        return basin__signals_caught() ? BASIN__EXIT_SIGNAL + basin__signals_caught()
                                       : BASIN__EXIT_FAILURE;
    default:
        return BASIN__EXIT_FAILURE;
    }
}

int basin__command_fail(const basin__command *command, basin_status status) {
    const char *message = basin_context_error(command->context);
    fprintf(stderr, "basin %s: %s\n", command->verb->name,
            message[0] ? message : basin_status_text(status));
    return exit_code(status);
}

static void print_flat(const char *before, const char *format, va_list arguments) {
    char line[LINE_BYTES];
    int length = snprintf(line, sizeof(line), "%s", before);
    size_t at = length < 0 ? 0 : (size_t)length;
    if (at < sizeof(line))
        vsnprintf(line + at, sizeof(line) - at, format, arguments);
    for (char *letter = line; *letter; letter++)
        if ((unsigned char)*letter < 0x20 || *letter == 0x7f)
            *letter = ' ';
    fprintf(stderr, "%s\n", line);
}

void basin__print_line(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    print_flat("", format, arguments);
    va_end(arguments);
}

int basin__command_usage(const basin__command *command, const char *format, ...) {
    char before[64];
    va_list arguments;
    va_start(arguments, format);
    snprintf(before, sizeof(before), "basin %s: ", command->verb->name);
    print_flat(before, format, arguments);
    va_end(arguments);
    return BASIN__EXIT_USAGE;
}

json_t *basin__json_name(const char *name) {
    json_t *value = json_string(name);
    size_t length = strlen(name), used = 0, left = length;
    char *text = value ? NULL : malloc(3 * length + 1);
    while (text && left > 0) {
        const char *at = name + length - left;
        size_t part = left < 4 ? left : 4; /* the longest run of up to a letter that is UTF-8 */
        json_t *letter = NULL;
        while (part > 0 && !(letter = json_stringn(at, part)))
            part--;
        json_decref(letter);
        memcpy(text + used, part > 0 ? at : "\xef\xbf\xbd", part > 0 ? part : 3);
        used += part > 0 ? part : 3;
        left -= part > 0 ? part : 1;
    }
    if (text)
        value = json_stringn(text, used);
    free(text);
    return value;
}

const char *basin__suggest(const char *given, size_t count,
                           const char *(*name_at)(const void *user, size_t index),
                           const void *user) {
    const char *near = NULL;
    size_t nearest = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        size_t distance = basin__edit_distance(given, name_at(user, i));
        if (distance < nearest) {
            nearest = distance;
            near = name_at(user, i);
        }
    }
    return near && basin__is_near(given, nearest) ? near : NULL;
}
