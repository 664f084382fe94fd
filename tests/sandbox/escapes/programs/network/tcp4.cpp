// tries: to connect to 127.0.0.1 with bare system calls, past any wrapper of the C library
// escape: the listener gets a connection
// control: outside
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "attack.hpp"

int main() {
    long line = syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(PORT4);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must_fail("tcp4, raw", syscall(SYS_connect, line, &address, sizeof(address)));
}
