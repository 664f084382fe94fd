// tries: to have the compiler wait for ever for its input, or read the environment of its ancestors
// escape: the compiler does not end, or a secret is in what it says
// through: compiler
// outcome: exited time
// control: none: outside nobody has a limit
#include "/proc/1/environ"
#include "/proc/self/environ"
#include "/dev/stdin"
int main() {}
