/* shm_open: makes the object, prints its text every interval, and unlinks it at the end. */
#include "board.h"
#include <fcntl.h>
#include <sys/mman.h>

int main(int argc, char **argv)
{
    struct pace turns = pace(&argc, argv);
    const char *name = positional(&argc, argv, "NAME", NULL);
    finish(argc, argv);
    stop_on_interrupt();
    int object = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0666);
    if (object < 0)
        fail(name);
    char *memory = MAP_FAILED;
    if ((errno = posix_fallocate(object, 0, SIZE)) == 0)
        memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, object, 0);
    if (memory != MAP_FAILED)
        serve(memory, turns);
    if (shm_unlink(name))
        fail(name);
    return memory == MAP_FAILED ? 2 : 0;
}
