/* The gate of an MLP, forward and backward. T rows, I intermediate size; N elements, cut into pieces for the threads. */
#ifndef elem
#define KERNEL_FILE "gated.c"
#include "common.h"
enum { PIECE = 16384 };
#include "both_dtypes.h"
#else

/* out (T, I) = round(silu(gate)) * up; rows of gate and up are `stride` apart. out may be gate itself, where they are I apart. */
void NAME(silu_gate)(const elem *gate, const elem *restrict up, elem *out, int64_t T, int64_t I, int64_t stride, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t t = 0; t < T; t++) {
        const elem *of_row = gate + t * stride;
        const elem *restrict up_of_row = up + t * stride;
        elem *to = out + t * I;
#pragma GCC ivdep
        for (int64_t i = 0; i < I; i++) to[i] = STORE(ROUND(silu(LOAD(of_row[i]))) * LOAD(up_of_row[i]));
    }
}

/* Takes the product's gradient, and leaves the product in its place. */
void NAME(silu_gate_backward)(elem *restrict grad_then_product, const elem *restrict gate, const elem *restrict up,
                                   elem *restrict grad_gate, elem *restrict grad_up, int64_t N, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t start = 0; start < N; start += PIECE) {
        int64_t end = start + PIECE < N ? start + PIECE : N;
        for (int64_t i = start; i < end; i++) {
            float g = LOAD(gate[i]), u = LOAD(up[i]), grad = LOAD(grad_then_product[i]);
            float sigmoid = 1.0f / (1.0f + fast_exp(-g));
            float activated = ROUND(g * sigmoid);
            grad_gate[i] = STORE(grad * u * (sigmoid * (1.0f + g * (1.0f - sigmoid))));
            grad_up[i] = STORE(grad * activated);
            grad_then_product[i] = STORE(activated * u);
        }
    }
}
#endif
