// tries: the way out of a changed root: a second chroot below the working folder, then up; and pivot_root
// escape: a secret is in the output, or one of the calls is let through
// control: outside
// needs: root
#include <fcntl.h>
#include <sys/stat.h>

#include "attack.hpp"

int main() {
    int here = open(".", O_RDONLY | O_DIRECTORY);
    mkdir("cell", 0777);
    must_fail("pivot_root", syscall(SYS_pivot_root, "cell", "cell"));
    must_fail("chroot", chroot("cell"));
    fchdir(here);
    for (int i = 0; i < 64; i++)
        if (chdir(".."))
            break;
    must_fail("chroot again", chroot("."));
    char text[200] = {};
    int file = open(CANARY_HOME, O_RDONLY);
    if (file >= 0 && read(file, text, sizeof(text) - 1) > 0)
        std::printf("TRIED canary -> %s\n", text);
}
