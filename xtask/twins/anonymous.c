/* pipe: the parent writes `hello`, the child prints what it reads. With --siblings two children talk and the parent
 * holds no end. */
#include "twin.h"
#include <sys/wait.h>

static void child(int from)
{
    char text[128];
    ssize_t length;
    size_t filled = 0;
    while ((length = read(from, text + filled, sizeof text - filled)) > 0)
        filled += (size_t)length;
    if (length < 0)
        fail("read");
    say("buf is %.*s", (int)filled, text);
    exit(0);
}

static void parent(int to)
{
    if (write(to, "hello", 5) != 5)
        fail("write");
    close(to);
}

static pid_t start(void)
{
    pid_t pid = fork();
    if (pid < 0)
        fail("fork");
    return pid;
}

int main(int argc, char **argv)
{
    bool siblings = flag(&argc, argv, "--siblings");
    finish(argc, argv);
    int ends[2];
    if (pipe(ends))
        fail("pipe");
    int children = 1;
    if (start() == 0) {
        close(ends[1]);
        child(ends[0]);
    }
    close(ends[0]);
    if (siblings && ++children && start() == 0) {
        parent(ends[1]);
        exit(0);
    }
    if (siblings)
        close(ends[1]);
    else
        parent(ends[1]);
    int worst = 0;
    for (; children; children--) {
        int status;
        if (wait(&status) < 0)
            fail("wait");
        if (status)
            worst = 1;
    }
    return worst;
}
