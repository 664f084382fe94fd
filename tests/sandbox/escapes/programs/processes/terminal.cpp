// tries: to type commands into the terminal of whoever started the tests
// escape: a terminal can be opened, or takes a character
// control: none: the tests may run without a terminal
#include <fcntl.h>
#include <sys/ioctl.h>

#include "attack.hpp"

int main() {
    char letter = '\n';
    must_fail("/dev/tty", open("/dev/tty", O_RDWR));
    must_fail("/dev/console", open("/dev/console", O_RDWR));
    for (int fd = 0; fd < 10; fd++) {
        must_fail("TIOCSTI", ioctl(fd, TIOCSTI, &letter));
        must_fail("TIOCLINUX", ioctl(fd, TIOCLINUX, "\3"));
    }
}
