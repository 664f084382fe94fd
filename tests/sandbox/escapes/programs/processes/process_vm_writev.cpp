// tries: to write into the memory of its parent, process 1 and a process of the host, at an address that is never mapped
// escape: the call passes the check of rights and only fails at the address
// control: outside
// needs: root
#include <sys/uio.h>

#include "attack.hpp"

int main() {
    char byte = 0;
    iovec here{&byte, 1}, there{reinterpret_cast<void *>(8), 1};
    pid_t pids[] = {VICTIM, 1, PARENT, getppid()};
    for (pid_t pid : pids)
        if (pid != getpid() && pid > 0) {
            long result = syscall(SYS_process_vm_writev, pid, &here, 1, &there, 1, 0);
            must_fail("process_vm_writev", result == -1 && errno == EFAULT ? 1 : result);
        }
}
