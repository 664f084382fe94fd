/* Rotary position embedding of training and scoring. T rows, H heads, D head size. */
#ifndef elem
#define KERNEL_FILE "rotary.c"
#include "common.h"
#include "both_dtypes.h"
#else

/* One row of heads; `backward` rotates by the negative angle. D is a constant where this is inlined. */
INLINE void NAME(rotate_row)(const elem *restrict x, const elem *restrict cosine, const elem *restrict sine, elem *restrict out,
                             int64_t H, int64_t D, int backward) {
    int64_t half = D / 2;
    for (int64_t h = 0; h < H; h++) {
        const elem *restrict low = x + h * D;
        const elem *restrict high = low + half;
        elem *restrict to_low = out + h * D;
        elem *restrict to_high = to_low + half;
        for (int64_t i = 0; i < half; i++) {
            float a = LOAD(low[i]), b = LOAD(high[i]);
            float with_a = LOAD(sine[half + i]), with_b = LOAD(sine[i]);
            float for_low = backward ? b * with_a : -b * with_b;
            float for_high = backward ? -a * with_b : a * with_a;
            to_low[i] = STORE(ROUND(a * LOAD(cosine[i])) + ROUND(for_low));
            to_high[i] = STORE(ROUND(b * LOAD(cosine[half + i])) + ROUND(for_high));
        }
    }
}

/* out = x * cosine + rotate_half(x) * sine, both products rounded; or backward, its transpose. x, out (T, H, D); cosine and
   sine (T, D), each with its own value for each half of a head. */
void NAME(rotate_heads)(const elem *restrict x, const elem *restrict cosine, const elem *restrict sine, elem *restrict out, int64_t T,
                       int64_t H, int64_t D, int64_t backward, int threads) {
#define ROTATE(size, way) NAME(rotate_row)(x + t * H * D, cosine + t * D, sine + t * D, out + t * H * D, H, size, way)
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t t = 0; t < T; t++) {
        if (D == 32 && backward) ROTATE(32, 1);
        else if (D == 32) ROTATE(32, 0);
        else if (D == 64 && backward) ROTATE(64, 1);
        else if (D == 64) ROTATE(64, 0);
        else if (D == 128 && backward) ROTATE(128, 1);
        else if (D == 128) ROTATE(128, 0);
        else if (backward) ROTATE(D, 1);
        else ROTATE(D, 0);
    }
#undef ROTATE
}
#endif
