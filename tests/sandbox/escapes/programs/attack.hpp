// What the attacking programs share: one line for each attempt. See attack.py.
#pragma once
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/syscall.h>
#include <unistd.h>

#include "targets.hpp"

inline void note(const char *what) {
    std::printf("TRIED %s\n", what);
    std::fflush(stdout);
}

// An attempt that is an escape when the system lets it through, that is, when `result` is not -1.
inline long must_fail(const char *what, long result) {
    if (result == -1)
        std::printf("TRIED %s: %s\n", what, std::strerror(errno));
    else
        std::printf("ESCAPED %s: %ld\n", what, result);
    std::fflush(stdout);
    return result;
}
