/* Sends each line of standard input and prints the answer. */
#include "twin.h"
#include <sys/socket.h>

static inline void converse(int server)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    while ((length = getline(&line, &room, stdin)) > 0) {
        if (line[length - 1] != '\n') {
            /* The last line of the input may lack its end; getline left room for it. */
            line[length++] = '\n';
        }
        for (ssize_t done = 0, sent; done < length; done += sent)
            if ((sent = send(server, line + done, (size_t)(length - done), MSG_NOSIGNAL)) < 0)
                fail("send");
        char answer[4096];
        ssize_t filled;
        do {
            filled = recv(server, answer, sizeof answer, 0);
            if (filled < 0)
                fail("recv");
            if (filled == 0) {
                errno = 0;
                fail("the server has gone");
            }
            fwrite(answer, 1, (size_t)filled, stdout);
        } while (answer[filled - 1] != '\n');
        fflush(stdout);
    }
    free(line);
}
