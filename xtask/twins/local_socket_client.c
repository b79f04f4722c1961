/* AF_UNIX: binds a name of its own unless --unbound, sends the lines of standard input and prints the answers. */
#include "client.h"
#include <sys/un.h>

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof address.sun_path)
        refuse("is longer than 107 bytes", path);
    strcpy(address.sun_path, path);
    return address;
}

int main(int argc, char **argv)
{
    bool unbound = flag(&argc, argv, "--unbound");
    char *own = option(&argc, argv, "--bind");
    const char *path = positional(&argc, argv, "PATH", "ipctest.socket");
    finish(argc, argv);
    char private[sizeof((struct sockaddr_un *)0)->sun_path];
    if (!own) {
        snprintf(private, sizeof private, "/tmp/ipctest.%d.socket", getpid());
        own = private;
    }
    struct sockaddr_un server_address = address_of(path);
    struct sockaddr_un own_address = address_of(own);
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server < 0)
        fail("socket");
    if (!unbound && bind(server, (struct sockaddr *)&own_address, sizeof own_address))
        fail(own);
    int refused = connect(server, (struct sockaddr *)&server_address, sizeof server_address);
    int why = errno;
    if (!unbound && unlink(own))
        fail(own);
    errno = why;
    if (refused)
        fail(path);
    converse(server);
    return 0;
}
