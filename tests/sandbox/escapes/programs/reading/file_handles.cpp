// tries: to open the host's root folder by its handle (inode 2), which needs no path at all
// escape: the handle opens
// control: outside
// needs: root
#include <fcntl.h>

#include "attack.hpp"

int main() {
    struct {
        unsigned int handle_bytes = 8;
        int handle_type = 1;
        unsigned int inode[2] = {2, 0};
    } handle;
    const char *mounts[] = {"/", "/usr", "/etc", "/lib", "/tmp", "/proc", "/dev"};
    for (const char *mount : mounts) {
        int at = open(mount, O_RDONLY | O_DIRECTORY);
        long file = must_fail(mount, syscall(SYS_open_by_handle_at, at, &handle, O_RDONLY));
        if (file >= 0)
            close(file);
        if (at >= 0)
            close(at);
    }
}
