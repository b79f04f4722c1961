/* mkfifo: prints what each read of the FIFO brings, until the last writer has gone. */
#include "twin.h"
#include <fcntl.h>
#include <sys/stat.h>

int main(int argc, char **argv)
{
    const char *path = positional(&argc, argv, "PATH", NULL);
    finish(argc, argv);
    if (mkfifo(path, 0666) && errno != EEXIST)
        fail(path);
    struct stat found;
    if (stat(path, &found))
        fail(path);
    if (!S_ISFIFO(found.st_mode))
        refuse("is no FIFO", path);
    int fifo = open(path, O_RDONLY | O_CLOEXEC);
    if (fifo < 0)
        fail(path);
    char text[128];
    ssize_t length;
    while ((length = read(fifo, text, sizeof text)) > 0)
        say("buf is %.*s", (int)length, text);
    if (length < 0)
        fail(path);
    return 0;
}
