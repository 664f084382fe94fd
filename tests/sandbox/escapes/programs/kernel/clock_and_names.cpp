// tries: to change what the machine calls itself and what time it is, to restart it, and to change its console
// escape: one of them is let through
// control: none: outside this would change the machine
#include <ctime>
#include <linux/reboot.h>
#include <sys/reboot.h>
#include <sys/time.h>

#include "attack.hpp"

int main() {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    must_fail("sethostname", sethostname("escaped", 7));
    must_fail("setdomainname", setdomainname("escaped", 7));
    must_fail("clock_settime", clock_settime(CLOCK_REALTIME, &now));
    must_fail("reboot, a harmless part", reboot(LINUX_REBOOT_CMD_CAD_OFF));
    must_fail("vhangup", syscall(SYS_vhangup));
    must_fail("swapoff", syscall(SYS_swapoff, "/dunwu-no-such-file"));
}
