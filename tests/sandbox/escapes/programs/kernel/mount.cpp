// tries: to mount: a fresh tmpfs and proc, the root again for writing, and with the new calls that take no path
// escape: one of them is let through
// control: outside
// needs: root
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "attack.hpp"

int main() {
    // Outside, in namespaces of its own, so that the control changes nothing; inside this is refused, and goes on.
    if (unshare(CLONE_NEWNS) == 0 && mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
        return 1;
    mkdir("place", 0777);
    must_fail("tmpfs", mount("none", "place", "tmpfs", 0, nullptr));
    must_fail("proc", mount("none", "place", "proc", 0, nullptr));
    must_fail("cgroup", mount("none", "place", "cgroup2", 0, nullptr));
    must_fail("bind", mount("/usr", "place", nullptr, MS_BIND, nullptr));
    must_fail("root for writing", mount(nullptr, "/usr", nullptr, MS_REMOUNT | MS_BIND, nullptr));
    must_fail("propagation", mount(nullptr, "/", nullptr, MS_REC | MS_SHARED, nullptr));
    must_fail("umount /proc", umount2("/proc", MNT_DETACH));
    must_fail("umount /tmp", umount2("/tmp", MNT_DETACH));
    must_fail("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
    must_fail("open_tree", syscall(SYS_open_tree, AT_FDCWD, "/", 1));
    must_fail("fspick", syscall(SYS_fspick, AT_FDCWD, "/", 0));
    unsigned long attributes[4] = {};
    must_fail("mount_setattr", syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, attributes, sizeof(attributes)));
}
