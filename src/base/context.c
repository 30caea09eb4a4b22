/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The context: allocator, error text, log, worker threads, instruction set.
 *
 * The pool is a generation counter and a condition variable. A call publishes
 * its task, raises the generation and works itself as worker 0; every worker
 * that wakes takes indices from one atomic counter until they run out, then
 * reports back. The call returns when all have, so a task's memory is never
 * touched after it. Workers block all signals: those are the caller's.
 */
#include "base/context.h"
#include "base/cpu.h"
#include "base/number.h"
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 64
#define MESSAGE_BYTES 1024
#define THREADS_MAX 4096

typedef struct worker {
    basin_context *context;
    pthread_t thread;
    int index;
} worker;

typedef struct pool {
    pthread_mutex_t calls; /* held for a whole basin__parallel: one at a time */
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    worker *workers; /* [thread_count - 1]: the caller is worker 0 */
    int started;     /* how many of them run */
    uint64_t generation;
    int busy;
    bool stop;
    void (*task)(void *user, int64_t index, int worker);
    void *user;
    int64_t count;
    _Atomic int64_t next;
} pool;

struct basin_context {
    basin_context_options options;
    basin__isa isa;
    int thread_count;
    pthread_mutex_t message_lock;
    char message[MESSAGE_BYTES];
    pool pool;
};

/* ---- status and version ---- */

const char *basin_status_name(basin_status status) {
    switch (status) {
#define STATUS_NAME(identifier, text)                                                              \
    case BASIN_##identifier:                                                                       \
        return "BASIN_" #identifier;
        BASIN_STATUS_TABLE(STATUS_NAME)
#undef STATUS_NAME
    }
    return "unknown";
}

const char *basin_status_text(basin_status status) {
    switch (status) {
#define STATUS_TEXT(identifier, text)                                                              \
    case BASIN_##identifier:                                                                       \
        return text;
        BASIN_STATUS_TABLE(STATUS_TEXT)
#undef STATUS_TEXT
    }
    return "unknown status";
}

const char *basin_version(void) { return BASIN_VERSION; }

/* ---- memory ---- */

static void *default_allocate(void *user, size_t bytes) {
    (void)user;
    size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return rounded < bytes ? NULL : aligned_alloc(ALIGNMENT, rounded);
}

static void default_release(void *user, void *memory) {
    (void)user;
    free(memory);
}

static void *allocate_zeroed(const basin_context_options *options, size_t bytes) {
    size_t wanted = bytes > 0 ? bytes : 1;
    void *memory = options->allocate(options->allocator_user, wanted);
    if (memory)
        memset(memory, 0, wanted);
    return memory;
}

void *basin__alloc(basin_context *context, size_t bytes) {
    void *memory = allocate_zeroed(&context->options, bytes);
    if (!memory)
        (void)basin__fail(context, BASIN_ERROR_MEMORY, "out of memory: %zu bytes could not be had",
                          bytes);
    return memory;
}

void *basin__alloc_array(basin_context *context, size_t count, size_t size) {
    if (size > 0 && count > SIZE_MAX / size) {
        (void)basin__fail(context, BASIN_ERROR_MEMORY,
                          "out of memory: %zu times %zu bytes is more than can be addressed", count,
                          size);
        return NULL;
    }
    return basin__alloc(context, count * size);
}

void *basin__grow(basin_context *context, void *old, size_t old_bytes, size_t new_bytes) {
    void *memory = basin__alloc(context, new_bytes);
    if (!memory)
        return NULL;
    if (old) {
        memcpy(memory, old, old_bytes < new_bytes ? old_bytes : new_bytes);
        basin__free(context, old);
    }
    return memory;
}

void basin__free(basin_context *context, void *memory) {
    if (memory)
        context->options.release(context->options.allocator_user, memory);
}

char *basin__strdup(basin_context *context, const char *text) {
    size_t bytes = strlen(text) + 1;
    char *copy = basin__alloc(context, bytes);
    if (copy)
        memcpy(copy, text, bytes);
    return copy;
}

char *basin__format(basin_context *context, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = basin__vsnprintf(NULL, 0, format, arguments);
    char *text = length < 0 ? NULL : basin__alloc(context, (size_t)length + 1);
    if (text)
        basin__vsnprintf(text, (size_t)length + 1, format, again);
    else if (length < 0)
        (void)basin__fail(context, BASIN_ERROR_ARGUMENT, "text could not be formatted");
    va_end(again);
    va_end(arguments);
    return text;
}

/* ---- errors and log ---- */

/** One line only: what a file or a user supplied may hold line breaks. */
static void flatten(char *line) {
    for (; *line; line++)
        if ((unsigned char)*line < ' ')
            *line = ' ';
}

static void set_message(basin_context *context, const char *message) {
    pthread_mutex_lock(&context->message_lock);
    memcpy(context->message, message, strlen(message) + 1);
    pthread_mutex_unlock(&context->message_lock);
}

basin_status basin__fail(basin_context *context, basin_status status, const char *format, ...) {
    char message[MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    basin__vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    flatten(message);
    set_message(context, message);
    return status;
}

basin_status basin__fail_in(basin_context *context, basin_status status, const char *prefix) {
    char before[MESSAGE_BYTES], message[MESSAGE_BYTES];
    pthread_mutex_lock(&context->message_lock);
    memcpy(before, context->message, sizeof(before));
    pthread_mutex_unlock(&context->message_lock);
    int length = snprintf(message, sizeof(message), "%s: ", prefix);
    size_t at = length < 0 ? 0 : (size_t)length;
    if (at < sizeof(message))
        snprintf(message + at, sizeof(message) - at, "%s", before);
    flatten(message);
    set_message(context, message);
    return status;
}

const char *basin_context_error(const basin_context *context) { return context->message; }

void basin__log(const basin_context *context, basin_log_level level, const char *format, ...) {
    if (!context->options.log)
        return;
    char line[MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    basin__vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    context->options.log(context->options.log_user, level, line);
}

/* ---- workers ---- */

static void take_indices(pool *shared, int worker_index) {
    for (;;) {
        int64_t index = atomic_fetch_add_explicit(&shared->next, 1, memory_order_relaxed);
        if (index >= shared->count)
            return;
        shared->task(shared->user, index, worker_index);
    }
}

static void *worker_main(void *argument) {
    const worker *self = argument;
    pool *shared = &self->context->pool;
    uint64_t seen = 0;
    pthread_mutex_lock(&shared->lock);
    for (;;) {
        while (shared->generation == seen && !shared->stop)
            pthread_cond_wait(&shared->wake, &shared->lock);
        if (shared->stop)
            break;
        seen = shared->generation;
        pthread_mutex_unlock(&shared->lock);
        take_indices(shared, self->index);
        pthread_mutex_lock(&shared->lock);
        if (--shared->busy == 0)
            pthread_cond_signal(&shared->done);
    }
    pthread_mutex_unlock(&shared->lock);
    return NULL;
}

void basin__parallel(basin_context *context, int64_t count,
                     void (*task)(void *user, int64_t index, int worker), void *user) {
    pool *shared = &context->pool;
    if (context->thread_count == 1 || count <= 1) {
        for (int64_t index = 0; index < count; index++)
            task(user, index, 0);
        return;
    }
    pthread_mutex_lock(&shared->calls);
    pthread_mutex_lock(&shared->lock);
    shared->task = task;
    shared->user = user;
    shared->count = count;
    atomic_store_explicit(&shared->next, 0, memory_order_relaxed);
    shared->busy = shared->started;
    shared->generation++;
    pthread_cond_broadcast(&shared->wake);
    pthread_mutex_unlock(&shared->lock);
    take_indices(shared, 0);
    pthread_mutex_lock(&shared->lock);
    while (shared->busy > 0)
        pthread_cond_wait(&shared->done, &shared->lock);
    pthread_mutex_unlock(&shared->lock);
    pthread_mutex_unlock(&shared->calls);
}

static void pool_stop(basin_context *context) {
    pool *shared = &context->pool;
    pthread_mutex_lock(&shared->lock);
    shared->stop = true;
    pthread_cond_broadcast(&shared->wake);
    pthread_mutex_unlock(&shared->lock);
    for (int i = 0; i < shared->started; i++)
        pthread_join(shared->workers[i].thread, NULL);
    basin__free(context, shared->workers);
}

static basin_status pool_start(basin_context *context) {
    pool *shared = &context->pool;
    int helpers = context->thread_count - 1;
    shared->workers = basin__alloc_array(context, (size_t)helpers, sizeof(worker));
    if (!shared->workers)
        return BASIN_ERROR_MEMORY;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    basin_status status = BASIN_OK;
    while (status == BASIN_OK && shared->started < helpers) {
        worker *next = &shared->workers[shared->started];
        next->context = context;
        next->index = shared->started + 1;
        if (pthread_create(&next->thread, NULL, worker_main, next) == 0)
            shared->started++;
        else
            status = BASIN_ERROR_MEMORY;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status;
}

/* ---- life ---- */

void basin_context_options_init(basin_context_options *options) {
    memset(options, 0, sizeof(*options));
    options->size = sizeof(*options);
}

/** The caller's options over the defaults; fields its header did not have yet keep theirs. */
static void resolve(const basin_context_options *given, basin_context_options *options) {
    basin_context_options_init(options);
    if (given)
        memcpy(options, given, given->size < sizeof(*options) ? given->size : sizeof(*options));
    options->size = sizeof(*options);
    if (!options->allocate || !options->release) {
        options->allocate = default_allocate;
        options->release = default_release;
    }
}

basin_status basin_context_create(const basin_context_options *options, basin_context **out) {
    basin_context_options resolved;
    basin__isa isa;
    *out = NULL;
    resolve(options, &resolved);
    if (resolved.thread_count < 0 || resolved.thread_count > THREADS_MAX)
        return BASIN_ERROR_ARGUMENT;
    if (resolved.precision != BASIN_PRECISION_FP32 && resolved.precision != BASIN_PRECISION_BF16)
        return BASIN_ERROR_ARGUMENT;
    BASIN_TRY(basin__isa_choose(resolved.isa, &isa));
    if (resolved.precision == BASIN_PRECISION_BF16 && isa == BASIN__ISA_REFERENCE)
        return BASIN_ERROR_ARGUMENT; /* it has no halves */
    basin_context *context = allocate_zeroed(&resolved, sizeof(*context));
    if (!context)
        return BASIN_ERROR_MEMORY;
    context->options = resolved;
    context->options.isa = NULL; /* the caller's text; `isa` is what it meant */
    context->isa = isa;
    context->thread_count =
        resolved.thread_count > 0 ? resolved.thread_count : basin__cpu_thread_count();
    pthread_mutex_init(&context->message_lock, NULL);
    pthread_mutex_init(&context->pool.calls, NULL);
    pthread_mutex_init(&context->pool.lock, NULL);
    pthread_cond_init(&context->pool.wake, NULL);
    pthread_cond_init(&context->pool.done, NULL);
    basin_status status = pool_start(context);
    if (status != BASIN_OK) {
        basin_context_destroy(context);
        return status;
    }
    *out = context;
    return BASIN_OK;
}

void basin_context_destroy(basin_context *context) {
    if (!context)
        return;
    pool_stop(context);
    pthread_cond_destroy(&context->pool.done);
    pthread_cond_destroy(&context->pool.wake);
    pthread_mutex_destroy(&context->pool.lock);
    pthread_mutex_destroy(&context->pool.calls);
    pthread_mutex_destroy(&context->message_lock);
    basin__free(context, context);
}

int basin_context_thread_count(const basin_context *context) { return context->thread_count; }

bool basin__context_is_half(const basin_context *context) {
    return context->options.precision == BASIN_PRECISION_BF16;
}

basin__isa basin__context_isa(const basin_context *context) { return context->isa; }

const char *basin_context_precision(const basin_context *context) {
    return context->options.precision == BASIN_PRECISION_BF16 ? "bf16" : "fp32";
}

bool basin_context_exact_convolution(const basin_context *context) {
    return context->options.exact_convolution;
}

const char *basin_context_isa(const basin_context *context) {
    return basin__isa_name(context->isa);
}
