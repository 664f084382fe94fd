// tries: to kill process 1 of its namespace, and whoever started it, with every signal
// escape: a run beside it is hit, or the executor does not answer
// outcome: exited signalled
// control: none: outside this would end the machine
#include <csignal>

#include "attack.hpp"

int main() {
    note("kill 1");
    for (int number = 64; number > 0; number--)
        if (number != SIGSTOP && number != SIGTSTP && number != SIGTTIN && number != SIGTTOU) {
            kill(1, number);
            kill(getppid(), number);
        }
}
