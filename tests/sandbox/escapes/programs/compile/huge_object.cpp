// tries: to fill the disk with what the compiler writes: a table of two gigabytes that is not zero
// escape: the compiler writes more than the limit on files, or takes more memory than the limit
// through: compiler
// outcome: exited time memory signalled
// control: none: outside it would fill the disk
char table[1UL << 31] = {1};
int main() {
    return table[5];
}
