/* AdamW's step on float32 masters of bfloat16 parameters, in one pass; see functional/split_float.py for how a master is kept.

The operations and their order are those of torch's fused AdamW, so that the bits are the same: nothing may be reordered here. */
#ifdef __clang__
#pragma clang fp reassociate(off) reciprocal(off) contract(off)
#else
#pragma GCC optimize("no-associative-math", "no-reciprocal-math", "fp-contract=off")
#endif
#include "common.h"

#define BLOCK 1024

/* The first of n ascending places that is not below `place`. */
INLINE int64_t lower_bound(const int64_t *places, int64_t n, int64_t place) {
    int64_t low = 0, high = n;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (places[middle] < place) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* Steps n masters, of which `num_kept` are kept whole: their places, ascending, and values. What 16 bits do not restore afterwards is
written for each block b of BLOCK: counts[b] of them, from left_places[b * BLOCK] and left_values[b * BLOCK] on. */
void split_adamw_bf16(bf16 *restrict param, int16_t *restrict offsets, const float *restrict grad, float *restrict mean,
                      float *restrict square, const int64_t *kept_places, const float *kept_values, int64_t *restrict counts,
                      int64_t *restrict left_places, float *restrict left_values, int64_t num_kept, int64_t n, float decay,
                      float lerp, float beta2, float rest2, float correction, float eps, float minus_rate, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t b = 0; b < (n + BLOCK - 1) / BLOCK; b++) {
        const int64_t begin = b * BLOCK, size = n - begin < BLOCK ? n - begin : BLOCK;
        float master[BLOCK];
        uint32_t bits[BLOCK];
        for (int64_t i = 0; i < size; i++)
            bits[i] = ((uint32_t)param[begin + i] << 16) + (uint32_t)(int32_t)offsets[begin + i];
        memcpy(master, bits, size * sizeof(float));
        for (int64_t k = lower_bound(kept_places, num_kept, begin); k < num_kept && kept_places[k] < begin + size; k++)
            master[kept_places[k] - begin] = kept_values[k];
        for (int64_t i = 0; i < size; i++) {
            float g = grad[begin + i], m = mean[begin + i], weight = master[i] * decay;
            m = MULTIPLY_ADD(lerp, g - m, m);
            float v = MULTIPLY_ADD(rest2 * g, g, square[begin + i] * beta2);
            mean[begin + i] = m;
            square[begin + i] = v;
            master[i] = weight + minus_rate * m / (sqrtf(v) / correction + eps);
        }
        for (int64_t i = 0; i < size; i++) param[begin + i] = to_bf16(master[i]);
        memcpy(bits, master, size * sizeof(float));
        int32_t misfits = 0;
        for (int64_t i = 0; i < size; i++) {
            int32_t difference = (int32_t)(bits[i] - ((uint32_t)param[begin + i] << 16));
            offsets[begin + i] = (int16_t)difference;
            misfits |= difference - (int16_t)difference;
        }
        int64_t count = 0;
        for (int64_t i = 0; misfits && i < size; i++) {
            if (bits[i] != ((uint32_t)param[begin + i] << 16) + (uint32_t)(int32_t)offsets[begin + i]) {
                left_places[begin + count] = begin + i;
                left_values[begin + count++] = master[i];
            }
        }
        counts[b] = count;
    }
}
