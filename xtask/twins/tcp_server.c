/* TCP: names each client's address, answers in upper case. */
#include "server.h"
#include "address.h"

static void name(int client)
{
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    if (getpeername(client, (struct sockaddr *)&peer, &length) == 0)
        say("client %s", shown(&peer, length));
}

int main(int argc, char **argv)
{
    const char *count = option(&argc, argv, "--count");
    const char *text = positional(&argc, argv, "ADDR", NULL);
    finish(argc, argv);
    long left = count ? number(count, 0, LONG_MAX) : -1;
    struct addrinfo *found = look_up(text);
    int listener = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        fail("socket");
    int yes = 1;
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes))
        fail("setsockopt SO_REUSEADDR");
    if (bind(listener, found->ai_addr, found->ai_addrlen) || listen(listener, 64))
        fail(text);
    struct sockaddr_storage own;
    socklen_t length = sizeof own;
    if (getsockname(listener, (struct sockaddr *)&own, &length))
        fail("getsockname");
    say("listening on %s", shown(&own, length));
    serve(listener, left, name);
    freeaddrinfo(found);
    return 0;
}
