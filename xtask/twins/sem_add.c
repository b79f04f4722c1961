/* semget: sets the one semaphore of the set to 1, adds 1 with undo and prints 2. */
#include "twin.h"
#include <sys/ipc.h>
#include <sys/sem.h>

int main(int argc, char **argv)
{
    const char *key = option(&argc, argv, "--key");
    finish(argc, argv);
    int set = semget(key ? (key_t)number(key, INT_MIN, UINT_MAX) : 1234, 1, 0666 | IPC_CREAT);
    if (set < 0)
        fail("semget");
    if (semctl(set, 0, SETVAL, 1) < 0)
        fail("semctl SETVAL");
    struct sembuf operation = { .sem_num = 0, .sem_op = 1, .sem_flg = SEM_UNDO };
    if (semop(set, &operation, 1) < 0)
        fail("semop");
    int value = semctl(set, 0, GETVAL);
    if (value < 0)
        fail("semctl GETVAL");
    say("Semaphore value: %d", value);
    return 0;
}
