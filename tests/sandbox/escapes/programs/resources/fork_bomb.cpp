// tries: to fork without end, with bare clone and vfork
// escape: the host sees more processes than the limit, or a run beside it suffers
// outcome: exited time signalled
// control: mild 4
// limits: wall=2 processes=16
#include <csignal>
#include <sched.h>

#include "attack.hpp"

int main() {
    note("fork bomb");
    for (long round = 0; round < ROUNDS; round++) {
        if (syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr) == 0 && ROUNDS < 100)
            _exit(0);
        if (vfork() == 0) {
            if (ROUNDS < 100)
                _exit(0);
            execl("/bin/sleep", "sleep", "5", nullptr);
            _exit(0);
        }
    }
}
