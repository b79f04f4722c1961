/* What every twin shares: options, pacing, Ctrl-C, and one sentence with exit status 2 on bad input.
 *
 * The twins are the example programs written once more in C, from the same description and not from the Rust source:
 * either side of a pair may be one or the other. */
#ifndef TWIN_H
#define TWIN_H

#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Ends the program with a sentence: WHAT, and what errno says when it says something. */
static inline void fail(const char *what)
{
    if (errno)
        fprintf(stderr, "%s: %s\n", what, strerror(errno));
    else
        fprintf(stderr, "%s\n", what);
    exit(2);
}

static inline void refuse(const char *what, const char *text)
{
    fprintf(stderr, "%s: %s\n", text, what);
    exit(2);
}

/* Takes the argument at AT out of the line. */
static inline char *take(int *argc, char **argv, int at)
{
    char *taken = argv[at];
    memmove(argv + at, argv + at + 1, (size_t)(*argc - at) * sizeof *argv);
    --*argc;
    return taken;
}

/* Whether NAME is given. */
static inline bool flag(int *argc, char **argv, const char *name)
{
    for (int at = 1; at < *argc; at++)
        if (strcmp(argv[at], name) == 0)
            return take(argc, argv, at) != NULL;
    return false;
}

/* The value after NAME, or NULL. */
static inline char *option(int *argc, char **argv, const char *name)
{
    for (int at = 1; at < *argc; at++)
        if (strcmp(argv[at], name) == 0) {
            if (at + 1 == *argc)
                refuse("a value is missing", name);
            take(argc, argv, at);
            return take(argc, argv, at);
        }
    return NULL;
}

static inline long number(const char *text, long least, long most)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 0);
    if (errno || end == text || *end || value < least || value > most)
        refuse("is no number in range", text);
    return value;
}

/* The next argument without a name, or OTHERWISE; without one and without OTHERWISE the program ends. */
static inline char *positional(int *argc, char **argv, const char *name, char *otherwise)
{
    if (*argc > 1 && argv[1][0] != '-')
        return take(argc, argv, 1);
    if (!otherwise)
        refuse("is missing", name);
    return otherwise;
}

/* Nothing may be left of the line. */
static inline void finish(int argc, char **argv)
{
    if (argc > 1)
        refuse("was not expected", argv[1]);
}

static volatile sig_atomic_t stopped;

static inline void on_interrupt(int signal)
{
    (void)signal;
    stopped = 1;
}

/* From now on Ctrl-C and SIGTERM end waits and paces instead of the program. */
static inline void stop_on_interrupt(void)
{
    struct sigaction action = { .sa_handler = on_interrupt };
    if (sigaction(SIGINT, &action, NULL) || sigaction(SIGTERM, &action, NULL))
        fail("sigaction");
}

/* --count N turns (for ever without it), one every --interval MS. */
struct pace {
    long left;
    struct timespec interval;
    bool later;
};

static inline struct pace pace(int *argc, char **argv)
{
    const char *count = option(argc, argv, "--count");
    const char *interval = option(argc, argv, "--interval");
    long left = count ? number(count, 0, LONG_MAX) : -1;
    long milliseconds = interval ? number(interval, 0, INT_MAX) : 1000;
    return (struct pace){ left, { milliseconds / 1000, milliseconds % 1000 * 1000000 }, false };
}

static inline bool next(struct pace *pace)
{
    if (stopped || pace->left == 0)
        return false;
    if (pace->left > 0)
        pace->left--;
    if (pace->later)
        nanosleep(&pace->interval, NULL);
    pace->later = true;
    return !stopped;
}

/* One line of output, whole and at once. */
#define say(...) (printf(__VA_ARGS__), putchar('\n'), fflush(stdout))

#endif
