// SPDX-License-Identifier: Apache-2.0
//
// Count, rate and time left, on stderr, only where a person looks at it.
#include "progress.h"

#include "cli.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#define REDRAW_MS 200

static int64_t started_ms, drawn_ms;
static uint64_t total;
static int shown;
// A video's warnings come from the thread that reads it.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int cli_progress_wanted(void) {
    return !cli.quiet && isatty(STDERR_FILENO);
}

void cli_progress_start(uint64_t n) {
    total = n;
    started_ms = drawn_ms = fn_clock_ms();
}

void cli_progress_show(uint64_t done) {
    int64_t now = fn_clock_ms();
    if (!cli_progress_wanted() || done == 0 || now - drawn_ms < REDRAW_MS)
        return;
    drawn_ms = now;
    pthread_mutex_lock(&lock);
    double rate = 1000.0 * (double)done / (double)(now - started_ms + 1);
    fprintf(stderr, "\r\033[K%llu", (unsigned long long)done);
    if (total)
        fprintf(stderr, " of %llu", (unsigned long long)total);
    fprintf(stderr, "  %.1f/s", rate);
    if (total > done) {
        unsigned long long left = (unsigned long long)((double)(total - done) / rate);
        fprintf(stderr, "  %llu:%02llu:%02llu left", left / 3600, left / 60 % 60, left % 60);
    }
    fflush(stderr);
    shown = 1;
    pthread_mutex_unlock(&lock);
}

void cli_progress_clear(void) {
    pthread_mutex_lock(&lock);
    if (shown)
        fputs("\r\033[K", stderr);
    shown = 0;
    pthread_mutex_unlock(&lock);
}

void cli_progress_say(const char *line) {
    pthread_mutex_lock(&lock);
    fprintf(stderr, "%sfacenet: %s\n", shown ? "\r\033[K" : "", line);
    shown = 0;
    pthread_mutex_unlock(&lock);
}

static volatile sig_atomic_t wants_stop;

static void stop(int signal_number) {
    (void)signal_number;
    wants_stop = 1;
}

void cli_stop_on_signals(void) {
    const struct sigaction action = {.sa_handler = stop, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

int cli_asked_to_stop(void) {
    return wants_stop != 0;
}
