// tries: to change the rules of its memory (no random addresses, data that can be run), as exploits like it
// escape: none by itself: it weakens only itself; a forbidden call must still be refused afterwards
// control: outside
// needs: root
#include <sched.h>
#include <sys/personality.h>

#include "attack.hpp"

int main() {
    std::printf("TRIED personality -> %d\n", personality(ADDR_NO_RANDOMIZE | READ_IMPLIES_EXEC | PER_LINUX32));
    must_fail("unshare", unshare(CLONE_NEWUSER));
    must_fail("unshare, raw", syscall(SYS_unshare, CLONE_NEWNS));
}
