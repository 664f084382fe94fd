// tries: to kill a process of the host through every call that sends a signal
// escape: the host's process ends
// control: outside
#include <csignal>

#include "attack.hpp"

int main() {
    siginfo_t info{};
    info.si_code = SI_QUEUE;
    info.si_signo = SIGKILL;
    must_fail("tgkill", syscall(SYS_tgkill, VICTIM, VICTIM, SIGKILL));
    must_fail("tkill", syscall(SYS_tkill, VICTIM, SIGKILL));
    must_fail("rt_sigqueueinfo", syscall(SYS_rt_sigqueueinfo, VICTIM, SIGKILL, &info));
    long handle = must_fail("pidfd_open", syscall(SYS_pidfd_open, VICTIM, 0));
    must_fail("pidfd_send_signal", syscall(SYS_pidfd_send_signal, handle, SIGKILL, nullptr, 0));
}
