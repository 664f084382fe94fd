/* Eight numbers at a time, in the compilers' own notation for vectors, which they turn into whatever the processor has. */
#pragma once
#include "common.h"

typedef float v4 __attribute__((vector_size(16)));
typedef float v8 __attribute__((vector_size(32)));
typedef uint16_t v8_u16 __attribute__((vector_size(16)));
typedef uint32_t v8_u32 __attribute__((vector_size(32)));

INLINE v8 load8_f32(const float *from) {
    v8 x;
    memcpy(&x, from, sizeof x);
    return x;
}

INLINE v8 load8_bf16(const bf16 *from) {
    v8_u16 narrow;
    memcpy(&narrow, from, sizeof narrow);
    v8_u32 bits = __builtin_convertvector(narrow, v8_u32) << 16;
    v8 x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

INLINE void store8(float *to, v8 x) { memcpy(to, &x, sizeof x); }

INLINE v4 fold(v8 x) {
    v4 halves[2];
    memcpy(halves, &x, sizeof x);
    return halves[0] + halves[1];
}

/* The sums of four vectors. */
INLINE v4 sums_of(v8 a, v8 b, v8 c, v8 d) {
    v4 s = fold(a), t = fold(b), u = fold(c), w = fold(d);
    v4 st = __builtin_shufflevector(s, t, 0, 4, 2, 6) + __builtin_shufflevector(s, t, 1, 5, 3, 7);
    v4 uw = __builtin_shufflevector(u, w, 0, 4, 2, 6) + __builtin_shufflevector(u, w, 1, 5, 3, 7);
    return __builtin_shufflevector(st, uw, 0, 1, 4, 5) + __builtin_shufflevector(st, uw, 2, 3, 6, 7);
}
