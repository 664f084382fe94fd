/* RMS norms, forward and backward, and the sum before a norm. T rows, D hidden size. */
#ifndef elem
#define KERNEL_FILE "norm.c"
#include "common.h"
#include "both_dtypes.h"
#else

/* hidden[t] += delta[t], if there is a delta; normed[t] = weight * round(hidden[t] / rms(hidden[t])). */
void NAME(add_rms_norm)(elem *hidden, const elem *delta, const elem *weight, elem *normed, int64_t T, int64_t D, float eps,
                        int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t t = 0; t < T; t++) {
        elem *h = hidden + t * D;
        elem *out = normed + t * D;
        float sum = 0;
        if (delta) {
            const elem *d = delta + t * D;
            for (int64_t i = 0; i < D; i++) {
                float x = ROUND(LOAD(h[i]) + LOAD(d[i]));
                h[i] = STORE(x);
                sum += x * x;
            }
        } else {
            for (int64_t i = 0; i < D; i++) sum += LOAD(h[i]) * LOAD(h[i]);
        }
        float inverse = 1.0f / sqrtf(sum / D + eps);
        for (int64_t i = 0; i < D; i++) out[i] = STORE(LOAD(weight[i]) * ROUND(LOAD(h[i]) * inverse));
    }
}

/* out[t] = weight * round(x[t] / rms(x[t])), or with an offset round((1 + weight) * x[t] / rms(x[t])).
   inverse_rms[t] = 1 / rms(x[t]), kept for the backward pass. */
void NAME(rms_norm)(const elem *restrict x, const elem *restrict weight, elem *restrict out, float *restrict inverse_rms,
                     int64_t T, int64_t D, float eps, int64_t has_offset, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t t = 0; t < T; t++) {
        const elem *restrict row = x + t * D;
        elem *restrict to = out + t * D;
        float sum = 0;
        for (int64_t i = 0; i < D; i++) sum += LOAD(row[i]) * LOAD(row[i]);
        float inverse = 1.0f / sqrtf(sum / D + eps);
        inverse_rms[t] = inverse;
        if (has_offset)
            for (int64_t i = 0; i < D; i++) to[i] = STORE(LOAD(row[i]) * inverse * (1.0f + LOAD(weight[i])));
        else
            for (int64_t i = 0; i < D; i++) to[i] = STORE(LOAD(weight[i]) * ROUND(LOAD(row[i]) * inverse));
    }
}

/* With n = x / rms(x) and dn = grad * weight:  dx = (dn - n * mean(dn * n)) / rms(x),  dweight = sum over rows of grad * n.
   The rows are cut into B blocks, whatever the threads, each of which sums into its own row of partial (B, D), or into none. */
void NAME(rms_norm_backward)(const elem *restrict grad, const elem *restrict x, const elem *restrict weight,
                              const float *restrict inverse_rms, elem *restrict grad_x, float *restrict partial,
                              elem *restrict grad_weight, int64_t T, int64_t D, int64_t B, int64_t has_offset, int threads) {
    float offset = has_offset ? 1.0f : 0.0f;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t b = 0; b < B; b++) {
        float *restrict sums = partial ? partial + b * D : 0;
        if (sums)
            for (int64_t i = 0; i < D; i++) sums[i] = 0;
        for (int64_t t = T * b / B; t < T * (b + 1) / B; t++) {
            const elem *restrict g = grad + t * D;
            const elem *restrict row = x + t * D;
            elem *restrict to = grad_x + t * D;
            float inverse = inverse_rms[t], share = 0;
            for (int64_t i = 0; i < D; i++) share += LOAD(g[i]) * (LOAD(weight[i]) + offset) * (LOAD(row[i]) * inverse);
            share /= D;
            for (int64_t i = 0; i < D; i++) {
                float n = LOAD(row[i]) * inverse;
                to[i] = STORE((LOAD(g[i]) * (LOAD(weight[i]) + offset) - n * share) * inverse);
            }
            if (sums)
                for (int64_t i = 0; i < D; i++) sums[i] += LOAD(g[i]) * (LOAD(row[i]) * inverse);
        }
    }
    if (!partial) return;
    for (int64_t b = 1; b < B; b++)
        for (int64_t i = 0; i < D; i++) partial[i] += partial[b * D + i];
    for (int64_t i = 0; i < D; i++) grad_weight[i] = STORE(partial[i]);
}
#endif
