/* shmget: makes the segment, prints its text every interval, and removes it at the end. */
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
    stop_on_interrupt();
    int id = shmget(key, SIZE, 0666 | IPC_CREAT | IPC_EXCL);
    if (id < 0)
        fail("shmget");
    char *memory = shmat(id, NULL, 0);
    if (memory != (void *)-1)
        serve(memory, turns);
    if (shmctl(id, IPC_RMID, NULL) < 0)
        fail("shmctl IPC_RMID");
    return memory == (void *)-1 ? 2 : 0;
}
