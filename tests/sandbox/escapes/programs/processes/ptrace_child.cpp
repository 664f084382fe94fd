// tries: to trace a child of its own and turn an innocent system call into a forbidden one under the filter's eyes
// escape: tracing works at all
// control: outside
#include <csignal>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "attack.hpp"

int main() {
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    if (must_fail("PTRACE_ATTACH to a child", ptrace(PTRACE_ATTACH, child, 0, 0)) != -1)
        waitpid(child, nullptr, 0);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    must_fail("PTRACE_TRACEME", ptrace(PTRACE_TRACEME, 0, 0, 0));
}
