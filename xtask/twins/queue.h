/* What the two ends of the message queue agree on. */
#include "twin.h"
#include <sys/ipc.h>
#include <sys/msg.h>

struct message {
    long type;
    char body[128];
};

/* The key: --key N, or else that of PATH. */
static inline key_t queue_key(int *argc, char **argv)
{
    const char *text = option(argc, argv, "--key");
    key_t key;
    if (text) {
        key = (key_t)number(text, INT_MIN, UINT_MAX);
    } else {
        const char *path = positional(argc, argv, "PATH", NULL);
        key = ftok(path, 'a');
        if (key == -1)
            fail(path);
    }
    return key;
}

/* The queue, made if it is missing. */
static inline int open_queue(key_t key)
{
    int id = msgget(key, 0600 | IPC_CREAT);
    if (id < 0)
        fail("msgget");
    return id;
}
