/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: verbs, and what runs them.
 *
 * A verb is one file, cmd_<name>.c, that defines `const basin__verb
 * basin__verb_<name>`, and one line in verbs.def. Its option table gives flags,
 * range checks, help, manual page, completion and configuration keys.
 *
 * Where an option chooses a thing with options of its own (--network conv), the
 * verb names the kind in `kinds`; the chosen thing's table then joins the verb's.
 */
#ifndef BASIN_CLI_CLI_H
#define BASIN_CLI_CLI_H

#include "base/option.h"
#include <stdio.h>

/* ---- exit codes ---- */

enum {
    BASIN__EXIT_OK = 0,
    BASIN__EXIT_FAILURE = 1,
    BASIN__EXIT_USAGE = 2,    /* wrong usage or configuration */
    BASIN__EXIT_DIVERGED = 3, /* training or chains ran away */
    BASIN__EXIT_NEGATIVE = 4, /* the answer is no: a check or test that did not hold */
    BASIN__EXIT_SIGNAL = 128  /* + the signal's number */
};

/* ---- kinds: things that are chosen by name and have options of their own ---- */

typedef struct basin__kind_item {
    const char *name, *help;
    const basin__option *options;
    size_t option_count, options_bytes;
    const char *usage; /* how it is written, where not as an option */
} basin__kind_item;

typedef struct basin__kind {
    const char *name;   /* "network": also the option that chooses one */
    const char *plural; /* "networks" */
    const char *help;
    int (*count)(void);
    basin__kind_item (*item)(int index);
} basin__kind;

extern const basin__kind basin__kinds[];
extern const size_t basin__kind_count;
const basin__kind *basin__kind_find(const char *name);
/** What else was asked for; NULL: nothing, or the verb does not know of such. */
typedef struct basin__kind_company {
    const char *objective, *preset, *data;
} basin__kind_company;

/** What of a kind goes with the rest where nothing else is asked for; NULL: anything. */
const char *basin__kind_along(basin_context *context, const char *kind,
                              const basin__kind_company *with);

/* ---- verbs ---- */

typedef struct basin__verb basin__verb;

#define BASIN__GROUPS_MAX 12

/** One command as given: filled by parsing, handed to the verb. */
typedef struct basin__command {
    const basin__verb *verb;
    basin_context *context; /* with --threads workers while run() is on */
    void *options;          /* the verb's own struct */
    char **arguments;       /* positional ones, borrowed from argv; "" is possible */
    int argument_count;
    bool is_quiet;    /* --quiet: no progress, no summary; errors still */
    int thread_count; /* --threads */
    bool exact_convolution;
    int precision;                                 /* basin_precision */
    bool wants_help;                               /* --help was given */
    basin__option_group groups[BASIN__GROUPS_MAX]; /* the verb's, the kinds', the common one */
    const char *group_kinds[BASIN__GROUPS_MAX];    /* "network" for a kind's group, else NULL */
    size_t group_count;
    /* private to the parser */
    char **argv; /* what follows the verb */
    int argc;
    json_t *config; /* --config's content, or NULL */
} basin__command;

struct basin__verb {
    const char *name;
    const char *help;       /* one line, lower case, no full stop */
    const char *about;      /* paragraphs for --help and the manual page, or NULL */
    const char *positional; /* "DATA", "[NAME…]" in the usage line; NULL: none taken */
    int positional_min, positional_max;
    const basin__option *options; /* may be NULL */
    size_t option_count, options_bytes;
    const char *const *kinds;    /* names of kinds that options of the same name choose; NULL end */
    const char *const *examples; /* command and comment in turn; NULL end; may be NULL */
    /* Names of options that are files written, each its own; NULL end */
    const char *const *outputs;
    /* Pairs: an option that has an effect only beside another, and that one; NULL end */
    const char *const (*companions)[2];
    bool is_hidden;   /* not in overviews */
    bool runs_chains; /* takes --precision */
    /** Returns the exit code. Errors: return basin__command_fail(command, status). */
    int (*run)(basin__command *command);
};

extern const basin__verb *const basin__verbs[];
extern const size_t basin__verb_count;
const basin__verb *basin__verb_find(const char *name);

/* ---- for verbs ---- */

/** Print "basin <verb>: <the context's message>" to stderr; the exit code for `status`. */
int basin__command_fail(const basin__command *command, basin_status status);
/** Print to stderr as one line: control characters, a newline in a name say, become blanks. */
void basin__print_line(const char *format, ...) BASIN_PRINTF(1, 2);
/** As basin__command_fail with a message of its own, exit code BASIN__EXIT_USAGE. */
int basin__command_usage(const basin__command *command, const char *format, ...) BASIN_PRINTF(2, 3);
/** The group of options of the thing chosen for a kind, "network"; NULL if the verb has none. */
basin__option_group *basin__command_group(basin__command *command, const char *kind);
/** The thing chosen for a kind; its name is NULL if the verb has none. */
basin__kind_item basin__command_choice(basin__command *command, const char *kind);
/** Whether the user gave an option, on the command line or in the configuration. */
bool basin__command_is_given(const basin__command *command, const char *option);
/** The chosen thing's options that the user gave, as a JSON text for free(); NULL without memory.
 */
char *basin__command_settings(basin__command *command, const char *kind);

/**
 * A name (a path, a class) as JSON text. JSON is UTF-8 and file names need not be: each byte that
 * is none becomes U+FFFD. A new reference; NULL without memory.
 */
json_t *basin__json_name(const char *name);

/**
 * From here on the first SIGINT or SIGTERM only sets a mark and the second one ends the process.
 */
void basin__signals_catch(void);
/** The signal that came, or 0. */
int basin__signals_caught(void);

/* ---- for main.c, help, manual pages and completion ---- */

/** Parse what follows the verb into `command`; reset it in any case. */
basin_status basin__command_parse(basin__command *command, basin_context *context,
                                  const basin__verb *verb, int argc, char **argv);
void basin__command_reset(basin__command *command, basin_context *context);
/** The options every verb has. */
extern const basin__option basin__common_table[];
extern const size_t basin__common_table_count;

/** "did you mean" for verbs, kinds and items: the nearest of `count` names, or NULL. */
const char *basin__suggest(const char *given, size_t count,
                           const char *(*name_at)(const void *user, size_t index),
                           const void *user);

/** "--step-size X", "--[no-]fast": how an option is written. */
void basin__option_usage(const basin__option *option, char *text, size_t bytes);
/** "default 60; 1 to 1000000 steps": what may be given, or "". */
void basin__option_note(const basin__option *option, char *text, size_t bytes);
/** Print text wrapped to 80 columns, each line behind `indent` spaces; the first starts at `at`. */
void basin__print_wrapped(FILE *file, const char *text, int at, int indent);
void basin__print_options(FILE *file, const char *title, const basin__option *options,
                          size_t count);
void basin__print_verb(FILE *file, const basin__command *command);
void basin__print_overview(FILE *file);

#endif
