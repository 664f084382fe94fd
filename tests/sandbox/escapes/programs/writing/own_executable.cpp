// tries: to open for writing the programs of its ancestors, as a container escape of 2019 did with its runtime
// escape: one of them opens for writing
// control: none: a running program is "busy" outside as well
#include <fcntl.h>
#include <sys/wait.h>

#include "attack.hpp"

int main() {
    const char *paths[] = {"/proc/1/exe", "/usr/bin/bwrap", "/usr/bin/python3", "/bin/sh", "/lib64/ld-linux-x86-64.so.2"};
    for (const char *path : paths)
        must_fail(path, open(path, O_WRONLY));
    char parent[64];
    std::snprintf(parent, sizeof(parent), "/proc/%d/exe", getppid());
    must_fail(parent, open(parent, O_WRONLY));
}
