// tries: to have the compiler include without end, twice at each step
// escape: the compiler does not end, or takes more memory than the limit
// through: compiler
// outcome: exited time memory signalled output
// control: none: outside nobody has a limit
#include __FILE__
#include __FILE__
int main() {}
