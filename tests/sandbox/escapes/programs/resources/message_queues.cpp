// tries: to take kernel memory as messages that nobody fetches
// escape: it gets more than the limit
// outcome: memory exited signalled
// control: mild 8
#include <sys/ipc.h>
#include <sys/msg.h>

#include "attack.hpp"

int main() {
    note("messages");
    struct {
        long kind = 1;
        char text[8192] = {};
    } message;
    long total = 0;
    for (long round = 0; round < ROUNDS; round++) {
        int queue = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
        if (queue < 0)
            break;
        while (msgsnd(queue, &message, sizeof(message.text), IPC_NOWAIT) == 0)
            total += sizeof(message.text);
        if (total > 400L << 20) {
            std::printf("ESCAPED %ld MiB\n", total >> 20);
            return 0;
        }
    }
    std::printf("TRIED %ld MiB: %s\n", total >> 20, std::strerror(errno));
}
