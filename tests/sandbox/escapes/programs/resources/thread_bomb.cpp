// tries: to start threads without end, with small stacks
// escape: the host sees more threads than the limit, or a run beside it suffers
// outcome: exited time memory signalled
// control: mild 4
// limits: wall=2 processes=16
#include <pthread.h>

#include "attack.hpp"

static void *wait_for_ever(void *) {
    for (;;)
        pause();
}

int main() {
    note("thread bomb");
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 16384);
    long started = 0;
    for (long round = 0; round < ROUNDS && round < 100000; round++) {
        pthread_t thread;
        if (pthread_create(&thread, &small, wait_for_ever, nullptr))
            break;
        started++;
    }
    std::printf(started > 200 ? "ESCAPED %ld threads\n" : "TRIED: %ld threads\n", started);
    std::fflush(stdout);
    _exit(0);
}
