/* A server for many at once, a thread each: every byte goes back in upper case. */
#include "twin.h"
#include <ctype.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/socket.h>

static inline void *answer(void *argument)
{
    int client = (int)(intptr_t)argument;
    char bytes[4096];
    ssize_t length;
    while ((length = recv(client, bytes, sizeof bytes, 0)) > 0) {
        for (ssize_t at = 0; at < length; at++)
            bytes[at] = (char)toupper((unsigned char)bytes[at]);
        for (ssize_t done = 0, sent; done < length; done += sent)
            if ((sent = send(client, bytes + done, (size_t)(length - done), MSG_NOSIGNAL)) < 0)
                goto gone;
    }
gone:
    close(client);
    return NULL;
}

static volatile sig_atomic_t listening;

/* Wakes the accept, whichever thread the signal has met. */
static inline void on_end(int signal)
{
    on_interrupt(signal);
    shutdown(listening, SHUT_RDWR);
}

/* Serves until Ctrl-C, or until LEFT clients have been served; NAME prints who a client is. */
static inline void serve(int listener, long left, void (*name)(int client))
{
    pthread_t *threads = NULL;
    size_t started = 0;
    listening = listener;
    struct sigaction action = { .sa_handler = on_end };
    if (sigaction(SIGINT, &action, NULL) || sigaction(SIGTERM, &action, NULL))
        fail("sigaction");
    while (!stopped && left != 0) {
        int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (client < 0) {
            if (errno == EINTR || errno == ECONNABORTED)
                continue;
            if (!stopped)
                perror("accept4");
            break;
        }
        name(client);
        threads = realloc(threads, (started + 1) * sizeof *threads);
        if (!threads || pthread_create(&threads[started], NULL, answer, (void *)(intptr_t)client))
            fail("pthread_create");
        started++;
        if (left > 0)
            left--;
    }
    for (size_t at = 0; at < started && !stopped; at++)
        pthread_join(threads[at], NULL);
    free(threads);
}
