// tries: to have the assembler embed a secret of the host in the program
// escape: the program prints it
// through: compiler
// outcome: exited
// exit: 1
// control: outside
#include "attack.hpp"

asm("stolen: .incbin \"" CANARY_HOME "\"\n.byte 0");
extern "C" const char stolen[] asm("stolen");

int main() {
    std::printf("TRIED embed -> %s\n", stolen);
}
