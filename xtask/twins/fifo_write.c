/* mkfifo: five bytes, `hello`, every interval into a FIFO that is made if it is missing. */
#include "twin.h"
#include <fcntl.h>
#include <sys/stat.h>

int main(int argc, char **argv)
{
    struct pace turns = pace(&argc, argv);
    const char *path = positional(&argc, argv, "PATH", NULL);
    finish(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    if (mkfifo(path, 0666) && errno != EEXIST)
        fail(path);
    struct stat found;
    if (stat(path, &found))
        fail(path);
    if (!S_ISFIFO(found.st_mode))
        refuse("is no FIFO", path);
    int fifo = open(path, O_WRONLY | O_CLOEXEC);
    if (fifo < 0)
        fail(path);
    while (next(&turns))
        if (write(fifo, "hello", 5) < 0) {
            if (errno != EPIPE)
                fail(path);
            fprintf(stderr, "the reader of %s has gone\n", path);
            return 0;
        }
    return 0;
}
