//! System V semaphores, message queues and shared memory for Linux: complete, sound, and kind after a crash.
