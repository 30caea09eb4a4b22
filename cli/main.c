/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line's entry: finds the verb, parses, makes the context with the
 * threads that were asked for, runs, and sees that what was printed arrived.
 */
#include "base/cpu.h"
#include "cli.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BASIN__VERB(name) extern const basin__verb basin__verb_##name;
#include "verbs.def"
#undef BASIN__VERB

const basin__verb *const basin__verbs[] = {
#define BASIN__VERB(name) &basin__verb_##name,
#include "verbs.def"
#undef BASIN__VERB
};
const size_t basin__verb_count = BASIN_COUNT(basin__verbs);

const basin__verb *basin__verb_find(const char *name) {
    for (size_t i = 0; i < basin__verb_count; i++)
        if (strcmp(basin__verbs[i]->name, name) == 0)
            return basin__verbs[i];
    return NULL;
}

static const char *verb_name(const void *user, size_t index) {
    (void)user;
    return basin__verbs[index]->is_hidden ? "" : basin__verbs[index]->name;
}

static void log_line(void *user, basin_log_level level, const char *line) {
    const basin__command *command = user;
    if (level == BASIN_LOG_WARNING)
        fprintf(stderr, "basin %s: warning: %s\n", command->verb->name, line);
    else if (level == BASIN_LOG_INFO && !command->is_quiet)
        fprintf(stderr, "%s\n", line);
}

/** A context that failed cannot keep its message, so it is worded here. */
static int context_failure(const char *verb, basin_status status, bool wants_half) {
    const char *isa = getenv("BASIN_CPU");
    basin__isa chosen = BASIN__ISA_GENERIC;
    if (status == BASIN_ERROR_ARGUMENT && basin__isa_choose(NULL, &chosen) != BASIN_OK) {
        fprintf(stderr,
                "basin %s: BASIN_CPU=%s is unknown, or this processor lacks it; use reference, "
                "generic, neon, avx2, avx512 or avx512-bf16, or unset it\n",
                verb, isa);
        return BASIN__EXIT_USAGE;
    }
    if (status == BASIN_ERROR_ARGUMENT && wants_half && chosen == BASIN__ISA_REFERENCE) {
        fprintf(stderr,
                "basin %s: BASIN_CPU=reference has no bf16; use another or --precision fp32\n",
                verb);
        return BASIN__EXIT_USAGE;
    }
    fprintf(stderr, "basin %s: cannot start: %s\n", verb, basin_status_text(status));
    return BASIN__EXIT_FAILURE;
}

static int run_with_workers(basin__command *command) {
    basin_context *parser = command->context, *context;
    basin_context_options options;
    basin_context_options_init(&options);
    options.thread_count = command->thread_count;
    options.exact_convolution = command->exact_convolution;
    options.precision = (basin_precision)command->precision;
    options.log = log_line;
    options.log_user = command;
    basin_status status = basin_context_create(&options, &context);
    if (status != BASIN_OK)
        return context_failure(command->verb->name, status,
                               command->precision == BASIN_PRECISION_BF16);
    command->context = context;
    int code = command->verb->run(command);
    command->context = parser;
    basin_context_destroy(context);
    return code;
}

static int run_verb(const basin__verb *verb, int argc, char **argv) {
    basin_context *parser;
    basin_context_options options;
    basin_context_options_init(&options);
    options.thread_count = 1;
    basin_status status = basin_context_create(&options, &parser);
    if (status != BASIN_OK)
        return context_failure(verb->name, status, false);
    basin__command command;
    int code = BASIN__EXIT_OK;
    status = basin__command_parse(&command, parser, verb, argc, argv);
    if (status != BASIN_OK)
        code = basin__command_fail(&command, status);
    else if (command.wants_help)
        basin__print_verb(stdout, &command);
    else
        code = run_with_workers(&command);
    basin__command_reset(&command, parser);
    basin_context_destroy(parser);
    return code;
}

static int unknown_verb(const char *name) {
    const char *near = basin__suggest(name, basin__verb_count, verb_name, NULL);
    if (near)
        basin__print_line("basin: unknown verb %s; did you mean %s?", name, near);
    else
        basin__print_line("basin: unknown verb %s; see basin help", name);
    return BASIN__EXIT_USAGE;
}

static int dispatch(int argc, char **argv) {
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        basin__print_overview(stdout);
        return BASIN__EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("basin %s\n", basin_version());
        return BASIN__EXIT_OK;
    }
    const basin__verb *verb = basin__verb_find(argv[1]);
    return verb ? run_verb(verb, argc - 2, argv + 2) : unknown_verb(argv[1]);
}

int main(int argc, char **argv) {
    int code = dispatch(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "basin%s%s: cannot write to stdout: %s\n", argc > 1 ? " " : "",
                argc > 1 ? argv[1] : "", strerror(errno));
        return code == BASIN__EXIT_OK ? BASIN__EXIT_FAILURE : code;
    }
    return code;
}
