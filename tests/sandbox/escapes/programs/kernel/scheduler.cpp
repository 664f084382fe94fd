// tries: to take the processor from others: real-time classes, deadlines, another's processors, input/output classes
// escape: a real-time class is granted, or another process is moved
// control: outside
// needs: root
#include <sched.h>
#include <sys/resource.h>

#include "attack.hpp"

int main() {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    sched_param high{};
    high.sched_priority = 50;
    must_fail("SCHED_FIFO", sched_setscheduler(0, SCHED_FIFO, &high));
    must_fail("niceness of all", setpriority(PRIO_PROCESS, VICTIM, -1));
    must_fail("affinity of the host's process", sched_setaffinity(VICTIM, sizeof(one), &one));
    must_fail("real-time input/output", syscall(SYS_ioprio_set, 1, 0, 1 << 13));
}
