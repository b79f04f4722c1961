/* The shared text of the shared memory pairs: 4096 bytes, written by the client up to a NUL. */
#include "twin.h"

enum { SIZE = 4096 };

static inline void serve(const volatile char *memory, struct pace turns)
{
    while (next(&turns)) {
        char text[SIZE];
        size_t length = 0;
        while (length < SIZE && (text[length] = memory[length]) != 0)
            length++;
        say("client# %.*s", (int)length, text);
    }
}

/* A, AB, ABC …: the NUL that ends the longer text is written before the letter that replaces the old one. */
static inline void write_letters(volatile char *memory, struct pace turns)
{
    for (size_t length = 0; length + 1 < SIZE && next(&turns); length++) {
        memory[length + 1] = 0;
        memory[length] = (char)('A' + length % 26);
    }
}
