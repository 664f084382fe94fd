// tries: to make namespaces of its own, in which it would be root and could mount, route and trace
// escape: one can be made
// control: outside
// needs: root
#include <sched.h>
#include <sys/wait.h>

#include "attack.hpp"

int main() {
    struct {
        const char *name;
        int flag;
    } kinds[] = {{"user", CLONE_NEWUSER}, {"mount", CLONE_NEWNS},   {"network", CLONE_NEWNET},  {"process", CLONE_NEWPID},
                 {"ipc", CLONE_NEWIPC},   {"names", CLONE_NEWUTS}, {"groups", CLONE_NEWCGROUP}, {"time", 0x80}};
    for (auto kind : kinds) {
        if (fork() == 0) {
            must_fail(kind.name, unshare(kind.flag));
            if (kind.flag != CLONE_NEWUSER)
                must_fail("with a user namespace", unshare(kind.flag | CLONE_NEWUSER));
            _exit(0);
        }
        wait(nullptr);
    }
}
