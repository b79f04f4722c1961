/* shm_open: writes A, AB, ABC … into the server's object, one letter every interval. */
#include "board.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

int main(int argc, char **argv)
{
    struct pace turns = pace(&argc, argv);
    const char *name = positional(&argc, argv, "NAME", NULL);
    finish(argc, argv);
    int object = shm_open(name, O_RDWR, 0);
    if (object < 0)
        fail(name);
    struct stat found;
    if (fstat(object, &found))
        fail(name);
    if (found.st_size < SIZE)
        refuse("is smaller than 4096 bytes", name);
    char *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, object, 0);
    if (memory == MAP_FAILED)
        fail("mmap");
    write_letters(memory, turns);
    return 0;
}
