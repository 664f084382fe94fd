// tries: io_uring, whose worker opens files and sockets without a system call that a filter could see
// escape: a ring can be set up
// control: outside
// needs: io_uring
#include <linux/io_uring.h>

#include "attack.hpp"

int main() {
    io_uring_params parameters{};
    must_fail("io_uring_setup", syscall(SYS_io_uring_setup, 4, &parameters));
    must_fail("io_uring_register", syscall(SYS_io_uring_register, 0, 0, nullptr, 0));
}
