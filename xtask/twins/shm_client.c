/* shmget: writes A, AB, ABC … into the server's segment, one letter every interval. */
#include "board.h"
#include <sys/ipc.h>
#include <sys/shm.h>

int main(int argc, char **argv)
{
    struct pace turns = pace(&argc, argv);
    const char *path = positional(&argc, argv, "PATH", NULL);
    finish(argc, argv);
    key_t key = ftok(path, 0x6666);
    if (key == -1)
        fail(path);
    int id = shmget(key, SIZE, 0666);
    if (id < 0)
        fail("shmget");
    char *memory = shmat(id, NULL, 0);
    if (memory == (void *)-1)
        fail("shmat");
    write_letters(memory, turns);
    return 0;
}
