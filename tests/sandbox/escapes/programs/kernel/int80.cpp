// tries: to slip past a filter for 64-bit calls through the 32-bit door (int 0x80), whose numbers mean other calls
// escape: a 32-bit call is served (number 20 is getpid there)
// outcome: exited signalled
// control: outside
// needs: int80
#include "attack.hpp"

int main() {
    note("int 0x80");
    long result;
    asm volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
    std::printf(result == getpid() ? "ESCAPED getpid served: %ld\n" : "TRIED getpid: %ld\n", result);
    const long ptrace_number = 26;
    asm volatile("int $0x80" : "=a"(result) : "a"(ptrace_number), "b"(0L), "c"(0L), "d"(0L) : "memory", "r8", "r9", "r10", "r11");
    std::printf(result == 0 ? "ESCAPED ptrace served: %ld\n" : "TRIED ptrace: %ld\n", result);
}
