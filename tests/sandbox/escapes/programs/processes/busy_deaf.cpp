// tries: to outstay its processor time: ignores SIGXCPU and all others, and burns
// escape: the run does not end by its limit
// outcome: time
// limits: cpu=1 wall=2
// control: none: outside nobody has a limit
#include <csignal>

#include "attack.hpp"

int main() {
    for (int number = 1; number < 65; number++)
        signal(number, SIG_IGN);
    note("busy");
    for (volatile unsigned long i = 0;; i = i + 1) {
    }
}
