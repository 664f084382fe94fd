// tries: to have the compiler compute without end
// escape: the compiler does not end, or takes more memory than the limit
// through: compiler
// outcome: exited time memory signalled output
// limits: cpu=1 wall=2
// control: none: outside nobody has a limit
template <unsigned long Left, unsigned long Right> struct Tree {
    using Down = Tree<Left - 1, 2 * Right>;
    using Other = Tree<Left - 1, 2 * Right + 1>;
    enum : unsigned long { value = Down::value + Other::value };
};
template <unsigned long Right> struct Tree<0, Right> {
    enum : unsigned long { value = Right };
};
int main() {
    return Tree<40, 1>::value;
}
