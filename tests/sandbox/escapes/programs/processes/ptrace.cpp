// tries: to trace its parent, process 1 and a process of the host
// escape: one of them can be traced
// control: outside
// needs: root
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "attack.hpp"

int main() {
    pid_t pids[] = {VICTIM, 1, PARENT, getppid()};
    for (pid_t pid : pids) {
        if (pid == getpid() || pid <= 0)
            continue;
        if (must_fail("PTRACE_SEIZE", ptrace(PTRACE_SEIZE, pid, 0, 0)) != -1) {
            ptrace(PTRACE_INTERRUPT, pid, 0, 0);
            waitpid(pid, nullptr, 0);
            ptrace(PTRACE_DETACH, pid, 0, 0);
            return 0;
        }
        must_fail("PTRACE_ATTACH", ptrace(PTRACE_ATTACH, pid, 0, 0));
    }
}
