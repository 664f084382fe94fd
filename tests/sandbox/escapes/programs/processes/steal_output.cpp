// tries: to have whoever reads its output wait for ever: opens the pipe's other end through /proc, takes back what it wrote
//        just when the reader has been told that there is something, and falls silent once the reader no longer stirs
// escape: the run does not end by its limit
// outcome: time
// limits: cpu=3 wall=2
// control: none: outside nobody has a limit
#include <fcntl.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <time.h>

#include "attack.hpp"

static volatile long stolen;
static int back;

static void *steal(void *) {
    char byte;
    unsigned seed = 1;
    for (;;) {
        int waiting = 0;
        if (ioctl(back, FIONREAD, &waiting) || !waiting)
            continue;
        for (volatile int delay = rand_r(&seed) % 40000; delay > 0; delay = delay - 1) {  // until the reader has been told
        }
        if (read(back, &byte, 1) == 1)
            stolen = stolen + 1;
    }
}

// How often process 1 has gone to sleep; a reader that waits for ever no longer does.
static long sleeps_of_the_reader() {
    long count = -1;
    char line[256];
    FILE *status = std::fopen("/proc/1/status", "r");
    while (status && std::fgets(line, sizeof(line), status))
        std::sscanf(line, "voluntary_ctxt_switches: %ld", &count);
    if (status)
        std::fclose(status);
    return count;
}

int main() {
    std::fprintf(stderr, "TRIED to steal the output\n");
    back = open("/proc/self/fd/1", O_RDONLY | O_NONBLOCK);
    pthread_t thief;
    pthread_create(&thief, nullptr, steal, nullptr);
    const timespec moment{0, 200'000}, while_{0, 160'000'000};
    for (int round = 0; round < 200 && back >= 0; round++) {
        for (int count = 0; count < 20; count++) {
            long before = stolen;
            (void)!write(1, "x", 1);
            nanosleep(&moment, nullptr);
            if (stolen != before)
                break;
        }
        long before = sleeps_of_the_reader();
        nanosleep(&while_, nullptr);
        if (sleeps_of_the_reader() == before)
            break;
    }
    for (;;)
        pause();
}
