// tries: to take memory without end: new, and the break
// escape: it gets more than the limit
// outcome: memory exited signalled
// control: mild 16
#include <new>

#include "attack.hpp"

int main() {
    note("heap");
    for (long round = 0; round < ROUNDS; round++) {
        char *block = new (std::nothrow) char[4 << 20];
        if (!block) {
            std::printf("TRIED %ld MiB\n", 4 * round);
            return 0;
        }
        std::memset(block, 1, 4 << 20);
        if (round > 100) {
            std::printf("ESCAPED %ld MiB\n", 4 * round);
            return 0;
        }
    }
}
