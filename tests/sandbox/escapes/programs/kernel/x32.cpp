// tries: to slip past a filter through the x32 numbers: the same calls with bit 30 set
// escape: one is served
// outcome: exited signalled
// control: none: few kernels have x32
#include <csignal>
#include <sched.h>

#include "attack.hpp"

int main() {
    note("x32");
    const long bit = 0x40000000;
    must_fail("getpid", syscall(bit | SYS_getpid));
    must_fail("unshare", syscall(bit | SYS_unshare, CLONE_NEWUSER));
    must_fail("ptrace", syscall(bit | 521, 0, 0, 0, 0));
    must_fail("mount", syscall(bit | SYS_mount, "none", "/tmp", "tmpfs", 0, nullptr));
}
