// tries: to stay behind through clone with a parent that is not its own, and by renaming itself
// escape: a child outlives the run
// outcome: exited time
// control: none: outside it would stay behind
#include <csignal>
#include <sched.h>
#include <sys/prctl.h>

#include "attack.hpp"

int main() {
    note("daemon by clone");
    long child = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
    if (child == -1)
        std::printf("TRIED clone with CLONE_PARENT: %s\n", std::strerror(errno));
    if (child == 0) {
        setsid();
        prctl(PR_SET_PDEATHSIG, 0);
        prctl(PR_SET_NAME, "kthreadd");
        for (int fd = 0; fd < 64; fd++)
            close(fd);
        sleep(60);
        _exit(0);
    }
}
