/* msgget: sends TEXT, padded to 128 bytes with NUL, as a message of --type. */
#include "queue.h"

int main(int argc, char **argv)
{
    struct pace turns = pace(&argc, argv);
    if (turns.left < 0)
        turns.left = 1;
    const char *type = option(&argc, argv, "--type");
    key_t key = queue_key(&argc, argv);
    const char *text = positional(&argc, argv, "TEXT", "hello1");
    finish(argc, argv);
    struct message message = { .type = type ? number(type, 1, LONG_MAX) : 1 };
    if (strlen(text) >= sizeof message.body)
        refuse("is longer than 127 bytes", text);
    memcpy(message.body, text, strlen(text));
    int id = open_queue(key);
    while (next(&turns))
        if (msgsnd(id, &message, sizeof message.body, 0) < 0)
            fail("msgsnd");
    return 0;
}
