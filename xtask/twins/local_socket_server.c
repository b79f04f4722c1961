/* AF_UNIX: names each client's process and user as the kernel knows them, answers in upper case, removes its path. */
#include "server.h"
#include <sys/un.h>

static void name(int client)
{
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(client, SOL_SOCKET, SO_PEERCRED, &peer, &length))
        fail("getsockopt SO_PEERCRED");
    say("client pid %d, uid %u, gid %u", peer.pid, peer.uid, peer.gid);
}

int main(int argc, char **argv)
{
    const char *count = option(&argc, argv, "--count");
    const char *path = positional(&argc, argv, "PATH", "ipctest.socket");
    finish(argc, argv);
    long left = count ? number(count, 0, LONG_MAX) : -1;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof address.sun_path)
        refuse("is longer than 107 bytes", path);
    strcpy(address.sun_path, path);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        fail("socket");
    if (bind(listener, (struct sockaddr *)&address, sizeof address))
        fail(path);
    if (listen(listener, 64))
        fail(path);
    say("listening on %s", path);
    serve(listener, left, name);
    if (unlink(path))
        fail(path);
    return 0;
}
