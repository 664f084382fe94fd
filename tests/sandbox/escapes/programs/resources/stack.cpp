// tries: to run its stack into everything else
// escape: it gets more than the limit
// outcome: signalled memory
// control: none: a deep stack is refused outside as well
#include <sys/resource.h>

#include "attack.hpp"

static unsigned long deeper(unsigned long depth) {
    volatile char room[4096];
    room[0] = static_cast<char>(depth);
    if (depth * sizeof(room) > 400UL << 20) {
        std::printf("ESCAPED %lu MiB\n", depth * sizeof(room) >> 20);
        std::exit(0);
    }
    return deeper(depth + 1) + room[0];
}

int main() {
    rlimit stack{};
    getrlimit(RLIMIT_STACK, &stack);
    stack.rlim_cur = stack.rlim_max;
    note(setrlimit(RLIMIT_STACK, &stack) ? "stack limit not raised" : "stack limit raised");
    return static_cast<int>(deeper(1));
}
