// tries: to make a device file for the host's disk (and for memory) and read from it
// escape: the device opens
// control: outside
// needs: root
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "attack.hpp"

static void read_device(const char *name, mode_t kind, dev_t device) {
    long made = syscall(SYS_mknod, name, kind | 0600, device);
    std::printf("TRIED mknod %s: %s\n", name, made ? std::strerror(errno) : "made");
    int file = open(name, O_RDONLY);
    if (made == 0)
        must_fail(name, file);
    if (file >= 0)
        close(file);
    unlink(name);
}

int main() {
    struct stat root{};
    stat("/usr", &root);
    read_device("disk", S_IFBLK, root.st_dev);
    read_device("memory", S_IFCHR, makedev(1, 1));
    read_device("kernel_log", S_IFCHR, makedev(1, 11));
}
