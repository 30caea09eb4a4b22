/* SPDX-License-Identifier: Apache-2.0 */
/*
 * basin man: manual pages, basin(1) and one for each verb, made from the same
 * tables as the help, so that they cannot disagree.
 */
#include "base/file.h"
#include "cli.h"
#include <string.h>

/** Write text with roff's special characters escaped: "\", and "." or "'" at a line's start. */
static void put_text(basin__writer *page, const char *text) {
    bool at_start = true;
    for (; *text; text++) {
        if (at_start && (*text == '.' || *text == '\''))
            (void)basin__writer_put(page, "\\&", 2);
        if (*text == '\\')
            (void)basin__writer_put(page, "\\e", 2);
        else if (*text == '-')
            (void)basin__writer_put(page, "\\-", 2);
        else
            (void)basin__writer_put(page, text, 1);
        at_start = *text == '\n';
    }
}

static void put_line(basin__writer *page, const char *before, const char *text) {
    (void)basin__writer_printf(page, "%s", before);
    put_text(page, text);
    (void)basin__writer_printf(page, "\n");
}

static void put_heading(basin__writer *page, const char *name, const char *help) {
    (void)basin__writer_printf(page, ".TH %s 1 \"\" \"Basin %s\" \"Basin Manual\"\n.SH NAME\n",
                               name, basin_version());
    put_text(page, name);
    (void)basin__writer_printf(page, " \\- ");
    put_line(page, "", help);
}

static void put_options(basin__writer *page, const basin__option *options, size_t count) {
    char usage[256], note[512];
    for (size_t i = 0; i < count; i++) {
        basin__option_usage(&options[i], usage, sizeof(usage));
        basin__option_note(&options[i], note, sizeof(note));
        put_line(page, ".TP\n.B ", usage);
        put_line(page, "", options[i].help);
        if (note[0]) {
            (void)basin__writer_printf(page, ".br\n(");
            put_text(page, note);
            (void)basin__writer_printf(page, ")\n");
        }
    }
}

/** Every thing of a kind that the verb lets choose, each with its options. */
static void put_kinds(basin__writer *page, const basin__verb *verb) {
    for (const char *const *name = verb->kinds; name && *name; name++) {
        const basin__kind *kind = basin__kind_find(*name);
        for (int i = 0; kind && i < kind->count(); i++) {
            basin__kind_item item = kind->item(i);
            if (item.option_count == 0)
                continue;
            (void)basin__writer_printf(page, ".SS With \\-\\-%s %s\n", kind->name, item.name);
            put_line(page, "", item.help);
            put_options(page, item.options, item.option_count);
        }
    }
}

static void put_verb(basin__writer *page, const basin__verb *verb) {
    char name[80];
    snprintf(name, sizeof(name), "basin-%s", verb->name);
    put_heading(page, name, verb->help);
    (void)basin__writer_printf(page, ".SH SYNOPSIS\n.B basin %s\n%s [options]\n", verb->name,
                               verb->positional ? verb->positional : "");
    if (verb->about)
        put_line(page, ".SH DESCRIPTION\n", verb->about);
    (void)basin__writer_printf(page, ".SH OPTIONS\n");
    put_options(page, verb->options, verb->option_count);
    put_kinds(page, verb);
    (void)basin__writer_printf(page, ".SS Common options\n");
    put_options(page, basin__common_table, basin__common_table_count);
    if (verb->examples)
        (void)basin__writer_printf(page, ".SH EXAMPLES\n");
    for (const char *const *line = verb->examples; line && line[0] && line[1]; line += 2) {
        put_line(page, ".TP\n.B ", line[0]);
        put_line(page, "", line[1]);
    }
    (void)basin__writer_printf(page, ".SH SEE ALSO\n.BR basin (1)\n");
}

static void put_overview(basin__writer *page) {
    put_heading(page, "basin", "neural energies: train, sample, score");
    (void)basin__writer_printf(page, ".SH SYNOPSIS\n.B basin\n.I verb\n[options]\n.SH VERBS\n");
    for (size_t i = 0; i < basin__verb_count; i++) {
        if (basin__verbs[i]->is_hidden)
            continue;
        (void)basin__writer_printf(page, ".TP\n.BR basin\\-%s (1)\n", basin__verbs[i]->name);
        put_line(page, "", basin__verbs[i]->help);
    }
    (void)basin__writer_printf(
        page,
        ".SH EXIT STATUS\n.TP\n0\nsuccess\n.TP\n1\nfailure: a file, memory\n.TP\n2\nwrong usage or "
        "configuration\n.TP\n3\ntraining or chains diverged\n.TP\n4\nthe answer is no\n.TP\n"
        "128+n\nended by signal n, after saving\n"
        ".SH ENVIRONMENT\n.TP\n.B BASIN_DATA\nfolder that holds the named data sets\n.TP\n"
        ".B BASIN_CPU\nlargest instruction set to use: reference, generic, neon, avx2, avx512, "
        "avx512-bf16\n");
}

/** Write one page: of a verb, or the overview where it is NULL. */
static basin_status write_page(basin_context *context, const char *folder,
                               const basin__verb *verb) {
    char *path = verb ? basin__format(context, "%s/basin-%s.1", folder, verb->name)
                      : basin__format(context, "%s/basin.1", folder);
    if (!path)
        return BASIN_ERROR_MEMORY;
    basin__writer *page;
    basin_status status = basin__writer_open(context, path, &page);
    basin__free(context, path);
    if (status != BASIN_OK)
        return status;
    if (verb)
        put_verb(page, verb);
    else
        put_overview(page);
    return basin__writer_commit(page); /* a failure on the way is kept by the writer */
}

static int run(basin__command *command) {
    const char *folder = command->arguments[0];
    basin_status status = basin__folder_create(command->context, folder);
    if (status == BASIN_OK)
        status = write_page(command->context, folder, NULL);
    for (size_t i = 0; i < basin__verb_count && status == BASIN_OK; i++)
        if (!basin__verbs[i]->is_hidden)
            status = write_page(command->context, folder, basin__verbs[i]);
    return status == BASIN_OK ? BASIN__EXIT_OK : basin__command_fail(command, status);
}

const basin__verb basin__verb_man = {
    .name = "man",
    .help = "write the manual pages into a folder",
    .positional = "FOLDER",
    .positional_min = 1,
    .positional_max = 1,
    .is_hidden = true,
    .run = run,
};
