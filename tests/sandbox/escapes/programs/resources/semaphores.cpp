// tries: to take kernel memory as arrays of semaphores, each of two megabytes
// escape: it gets more than the limit
// outcome: memory exited signalled
// control: mild 8
#include <sys/ipc.h>
#include <sys/sem.h>

#include "attack.hpp"

int main() {
    note("semaphores");
    for (long round = 0; round < ROUNDS; round++) {
        if (semget(IPC_PRIVATE, 32000, IPC_CREAT | 0600) < 0) {
            std::printf("TRIED %ld arrays: %s\n", round, std::strerror(errno));
            return 0;
        }
        if (round > 200) {
            std::printf("ESCAPED %ld MiB\n", 2 * round);
            return 0;
        }
    }
}
