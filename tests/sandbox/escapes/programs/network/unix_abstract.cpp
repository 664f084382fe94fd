// tries: to connect to an abstract unix socket of the host with bare system calls
// escape: the listener gets a connection
// control: outside
#include <cstddef>
#include <sys/socket.h>
#include <sys/un.h>

#include "attack.hpp"

int main() {
    long line = syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, ABSTRACT, sizeof(ABSTRACT) - 1);
    auto length = offsetof(sockaddr_un, sun_path) + sizeof(ABSTRACT);
    must_fail("abstract, raw", syscall(SYS_connect, line, &address, length));
}
