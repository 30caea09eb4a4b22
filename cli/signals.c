/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ctrl-C asks, a second one insists: the first signal sets a mark that a verb
 * looks at between steps, so that it can save; the second ends the process as
 * if nobody had caught it.
 */
#include "cli.h"
#include <signal.h>
#include <string.h>

static volatile sig_atomic_t caught;

static void mark(int signal_number) {
    if (caught != 0) {
        signal(signal_number, SIG_DFL);
        raise(signal_number);
    }
    caught = signal_number;
}

void basin__signals_catch(void) {
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = mark;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

int basin__signals_caught(void) { return (int)caught; }
