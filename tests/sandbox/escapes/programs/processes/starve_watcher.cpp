// tries: to outstay its time by starving whoever watches it: lowers the watcher's priority, binds it to one processor, and
//        burns there with as many processes as it may
// escape: the watcher's priority or processors can be changed, or the run does not end by its limit
// outcome: time
// limits: cpu=2 wall=2 processes=24
// control: none: outside this would starve the tests
#include <csignal>
#include <sched.h>
#include <sys/resource.h>

#include "attack.hpp"

int main() {
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE && !CPU_COUNT(&one); cpu++) {
        CPU_SET(cpu, &one);
        if (sched_setaffinity(0, sizeof(one), &one))
            CPU_CLR(cpu, &one);
    }
    signal(SIGCHLD, SIG_IGN);
    const int watchers[] = {1, getppid()};
    for (int pid : watchers) {
        must_fail("priority of the watcher", setpriority(PRIO_PROCESS, pid, 19));
        must_fail("processors of the watcher", sched_setaffinity(pid, sizeof(one), &one));
    }
    must_fail("priority of everybody", getppid() == 1 ? setpriority(PRIO_USER, 0, 19) : -1);
    for (int count = 0; count < 20; count++)
        if (fork() == 0)
            for (volatile unsigned long i = 0;; i = i + 1) {
            }
    for (;;)
        pause();
}
