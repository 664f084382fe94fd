// tries: to read the memory of every process that it can name with process_vm_readv, at the address of its own stack
// escape: the call is let through for another process
// control: outside
// needs: root
#include <sys/uio.h>

#include "attack.hpp"

static long steal(pid_t pid) {
    char name[64], line[512], bytes[64];
    std::snprintf(name, sizeof(name), "/proc/%d/maps", pid);
    unsigned long start = 0;
    if (FILE *maps = std::fopen(name, "r")) {
        while (!start && std::fgets(line, sizeof(line), maps))
            if (std::strstr(line, "[stack]"))
                std::sscanf(line, "%lx", &start);
        std::fclose(maps);
    }
    if (!start)  // no table: any address of our own shows whether the call is let through
        start = reinterpret_cast<unsigned long>(&bytes);
    iovec here{bytes, sizeof(bytes)}, there{reinterpret_cast<void *>(start + 4096), sizeof(bytes)};
    return syscall(SYS_process_vm_readv, pid, &here, 1, &there, 1, 0);
}

int main() {
    pid_t pids[] = {1, getppid(), VICTIM, PARENT};
    for (pid_t pid : pids)
        if (pid != getpid() && pid > 0)
            must_fail("process_vm_readv", steal(pid));
}
