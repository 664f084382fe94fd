// tries: to have the compiler evaluate a loop without end
// escape: the compiler does not end
// through: compiler
// outcome: exited time memory signalled
// limits: cpu=1 wall=2
// control: none: outside nobody has a limit
constexpr unsigned long spin() {
    unsigned long sum = 0;
    for (unsigned long outer = 0; outer < 100000; outer++)
        for (unsigned long inner = 0; inner < 100000; inner++)
            sum += inner ^ outer;
    return sum;
}
constexpr unsigned long result = spin();
int main() {
    return result & 1;
}
