// tries: to read the host's secrets by their paths, with openat2 and its resolve flags and with plain open
// escape: a secret is in the output
// control: outside
#include <fcntl.h>
#include <linux/openat2.h>

#include "attack.hpp"

static void print_from(const char *what, long file) {
    char text[4096] = {};
    if (file < 0 || read(file, text, sizeof(text) - 1) < 0)
        std::printf("TRIED %s: %s\n", what, std::strerror(errno));
    else
        std::printf("TRIED %s -> %s\n", what, text);
}

int main() {
    const char *paths[] = {CANARY_HOME, CANARY_TMP, CANARY_CHECKOUT};
    for (const char *path : paths) {
        open_how how{};
        print_from("openat2", syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how)));
        print_from("open", syscall(SYS_open, path, O_RDONLY));
    }
}
