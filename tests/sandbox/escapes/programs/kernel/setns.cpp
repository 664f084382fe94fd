// tries: to enter the namespaces of its parent, of process 1 and of a process of the host, by file and by pidfd
// escape: one can be entered
// control: outside
// needs: root
#include <fcntl.h>
#include <sched.h>

#include "attack.hpp"

int main() {
    const char *kinds[] = {"user", "mnt", "net", "pid", "ipc", "uts", "cgroup"};
    pid_t pids[] = {1, getppid(), VICTIM, PARENT};
    for (pid_t pid : pids) {
        for (const char *kind : kinds) {
            char path[64];
            std::snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, kind);
            int file = open(path, O_RDONLY);
            must_fail(path, setns(file, 0));
            if (file >= 0)
                close(file);
        }
        long handle = syscall(SYS_pidfd_open, pid, 0);
        must_fail("setns by pidfd", setns(handle, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET));
    }
}
