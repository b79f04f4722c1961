/* TCP: sends the lines of standard input and prints the answers. */
#include "client.h"
#include "address.h"

int main(int argc, char **argv)
{
    const char *text = positional(&argc, argv, "ADDR", NULL);
    finish(argc, argv);
    struct addrinfo *found = look_up(text);
    int server = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server < 0)
        fail("socket");
    if (connect(server, found->ai_addr, found->ai_addrlen))
        fail(text);
    converse(server);
    freeaddrinfo(found);
    return 0;
}
