// tries: to take memory as SysV segments, which outlive their maker
// escape: it gets more than the limit, or a segment is left on the host
// outcome: memory exited signalled
// control: mild 8
#include <sys/ipc.h>
#include <sys/shm.h>

#include "attack.hpp"

int main() {
    note("SysV memory");
    for (long round = 0; round < ROUNDS; round++) {
        int segment = shmget(IPC_PRIVATE, 8 << 20, IPC_CREAT | 0600);
        void *block = segment < 0 ? reinterpret_cast<void *>(-1) : shmat(segment, nullptr, 0);
        if (block == reinterpret_cast<void *>(-1)) {
            std::printf("TRIED %ld MiB: %s\n", 8 * round, std::strerror(errno));
            return 0;
        }
        std::memset(block, 1, 8 << 20);
        shmdt(block);
        if (round > 50) {
            std::printf("ESCAPED %ld MiB\n", 8 * round);
            return 0;
        }
    }
}
