// tries: to make namespaces with clone and clone3; a filter cannot look into clone3's arguments and must refuse it
// escape: one can be made
// control: outside
// needs: root
#include <csignal>
#include <linux/sched.h>
#include <sched.h>
#include <sys/wait.h>

#include "attack.hpp"

int main() {
    const unsigned long flags[] = {CLONE_NEWUSER, CLONE_NEWUSER | CLONE_NEWNS, CLONE_NEWUSER | CLONE_NEWNET, CLONE_NEWPID};
    for (unsigned long flag : flags) {
        clone_args arguments{};
        arguments.flags = flag;
        arguments.exit_signal = SIGCHLD;
        long child = syscall(SYS_clone3, &arguments, sizeof(arguments));
        if (child == 0)
            _exit(0);
        must_fail("clone3", child);
        child = syscall(SYS_clone, flag | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
        if (child == 0)
            _exit(0);
        must_fail("clone", child);
    }
}
