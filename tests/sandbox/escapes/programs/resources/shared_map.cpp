// tries: to take memory that is shared, so that it counts as nobody's
// escape: it gets more than the limit
// outcome: memory exited signalled
// control: mild 16
#include <sys/mman.h>

#include "attack.hpp"

int main() {
    note("shared map");
    for (long round = 0; round < ROUNDS; round++) {
        void *block = mmap(nullptr, 4 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (block == MAP_FAILED) {
            std::printf("TRIED %ld MiB: %s\n", 4 * round, std::strerror(errno));
            return 0;
        }
        std::memset(block, 1, 4 << 20);
        if (round > 100) {
            std::printf("ESCAPED %ld MiB\n", 4 * round);
            return 0;
        }
    }
}
