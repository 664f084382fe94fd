// tries: to have the compiler read without end
// escape: the compiler does not end, or takes more memory than the limit
// through: compiler
// outcome: exited time memory signalled output
// control: none: outside nobody has a limit
#include "/dev/zero"
int main() {}
