// tries: to fill the host's memory with errors, in pieces of one byte, ignoring SIGPIPE
// escape: the host keeps more than the limit, or the run does not end
// outcome: output
// control: mild 4
// limits: output=65536
#include <csignal>

#include "attack.hpp"

int main() {
    signal(SIGPIPE, SIG_IGN);
    note("flood");
    for (long round = 0; round < ROUNDS; round++)
        (void)!write(2, "x", 1);
}
