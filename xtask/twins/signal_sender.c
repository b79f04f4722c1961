/* sigqueue: queues signal 40 with a value to PID, then raises SIGINT at itself. */
#include "twin.h"

int main(int argc, char **argv)
{
    const char *value = option(&argc, argv, "--value");
    const char *text = positional(&argc, argv, "PID", NULL);
    finish(argc, argv);
    union sigval queued = { .sival_int = value ? (int)number(value, INT_MIN, INT_MAX) : 123456 };
    if (sigqueue((pid_t)number(text, 1, INT_MAX), 40, queued))
        fail(text);
    raise(SIGINT);
    return 0;
}
