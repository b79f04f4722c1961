/* msgget: takes a message of --type (negative: the lowest up to it), prints its text, and removes the queue unless
 * told to --keep it. */
#include "queue.h"

int main(int argc, char **argv)
{
    struct pace turns = pace(&argc, argv);
    if (turns.left < 0)
        turns.left = 1;
    bool keep = flag(&argc, argv, "--keep");
    const char *type = option(&argc, argv, "--type");
    key_t key = queue_key(&argc, argv);
    finish(argc, argv);
    long wanted = type ? number(type, LONG_MIN, LONG_MAX) : 1;
    stop_on_interrupt();
    int id = open_queue(key);
    int status = 0;
    while (next(&turns)) {
        struct message message;
        ssize_t length = msgrcv(id, &message, sizeof message.body, wanted, 0);
        if (length < 0) {
            if (errno != EINTR) {
                perror("msgrcv");
                status = 2;
            }
            break;
        }
        say("%.*s", (int)strnlen(message.body, (size_t)length), message.body);
    }
    if (!keep && msgctl(id, IPC_RMID, NULL) < 0)
        fail("msgctl IPC_RMID");
    return status;
}
