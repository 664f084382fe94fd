// tries: to take open files out of its parent, process 1 and a process of the host
// escape: one of them gives a file
// control: outside
// needs: root
#include "attack.hpp"

int main() {
    pid_t pids[] = {VICTIM, 1, PARENT, getppid()};
    for (pid_t pid : pids) {
        if (pid == getpid() || pid <= 0)
            continue;
        long handle = syscall(SYS_pidfd_open, pid, 0);
        for (int fd = 0; fd < 12; fd++)
            if (must_fail("pidfd_getfd", syscall(SYS_pidfd_getfd, handle, fd, 0)) != -1)
                break;
    }
}
