/* HOST:PORT, the host of an IPv6 address in brackets, to and from a socket address. */
#include "twin.h"
#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

static inline struct addrinfo *look_up(const char *text)
{
    char host[256];
    const char *colon = strrchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof host)
        refuse("is no HOST:PORT", text);
    const char *from = text;
    size_t length = (size_t)(colon - text);
    if (length >= 2 && text[0] == '[' && colon[-1] == ']') {
        from++;
        length -= 2;
    }
    memcpy(host, from, length);
    host[length] = 0;
    number(colon + 1, 0, 65535);
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;
    int error = getaddrinfo(host, colon + 1, &hints, &found);
    if (error)
        refuse(gai_strerror(error), text);
    return found;
}

static inline const char *shown(const struct sockaddr_storage *address, socklen_t length)
{
    static char text[300];
    char host[256], port[16];
    if (getnameinfo((const struct sockaddr *)address, length, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV))
        return "?";
    snprintf(text, sizeof text, address->ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
    return text;
}
