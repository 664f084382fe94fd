/* What all kernels share: the two dtypes, and an exponential that a compiler can make vectors of.

A file that computes in both dtypes includes itself twice through `both_dtypes.h`; it then names its functions NAME(...), the type
of its arrays `elem`, and reads and writes by LOAD and STORE. Arithmetic is in float32. */
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

typedef uint16_t bf16;

INLINE float from_bf16(bf16 value) {
    uint32_t bits = (uint32_t)value << 16;
    float result;
    memcpy(&result, &bits, 4);
    return result;
}

/* Round to nearest, ties to even; NaN stays NaN. */
INLINE bf16 to_bf16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    return value != value ? 0x7fc0 : (bf16)rounded;
}

INLINE float round_to_bf16(float value) { return from_bf16(to_bf16(value)); }

/* n * a + x in an order that the compiler may not change; it may else add up a constant's two halves. */
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#define MULTIPLY_ADD(n, a, x) __builtin_fmaf(n, a, x)
#else
#define MULTIPLY_ADD(n, a, x) ((x) + (n) * (a))
#endif

/* e^x of -87.3 <= x <= 88.37, to 2 units in the last place; NaN for NaN. */
INLINE float exp_within(float x) {
    float n = __builtin_rintf(x * 1.44269504088896341f);
    float r = MULTIPLY_ADD(n, 2.12194440e-4f, MULTIPLY_ADD(n, -0.693359375f, x));
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    int32_t exponent = ((int32_t)n + 127) << 23;
    float power;
    memcpy(&power, &exponent, 4);
    return p * power;
}

/* e^x; 0 below -87.3, inf above 88.37, NaN for NaN. */
INLINE float fast_exp(float x) {
    float result = exp_within(x > 88.37f ? 88.37f : x < -87.3f ? -87.3f : x);
    result = x > 88.37f ? INFINITY : result;
    return x < -87.3f ? 0.0f : result;
}

#define LOG2_E 1.44269504088896341
#define LN_2 0.693147180559945309

/* 2^y of y <= 0 (or little above), to 2 units in the last place, exactly 1 at 0; 0 below -126, NaN for NaN. Where the exponents are
products anyway, log2(e) goes into a factor, and this costs half of `fast_exp`. */
INLINE float two_to_negative(float y) {
    float bounded = y < -126.0f ? -126.0f : y;
    float n = __builtin_rintf(bounded);
    float r = bounded - n; /* exact; the rest is the best polynomial on [-1/2, 1/2] */
    float square = r * r;
    float a = MULTIPLY_ADD(r, 1.3264727e-3f, 9.6715130e-3f);
    float b = MULTIPLY_ADD(r, 5.5507336e-2f, 2.4022242e-1f);
    float c = MULTIPLY_ADD(r, 6.9314700e-1f, 1.0f);
    float power = MULTIPLY_ADD(MULTIPLY_ADD(a, square, b), square, c);
    uint32_t bits;
    memcpy(&bits, &power, 4);
    bits += (uint32_t)(int32_t)n << 23;
    memcpy(&power, &bits, 4);
    return y < -126.0f ? 0.0f : power;
}

/* e^x of x <= 0 (or little above): 0 below -87.3, NaN for NaN. The farther from 0, the less exact: 1e-6 of the result at -20. */
INLINE float exp_of_difference(float x) { return two_to_negative(x * (float)LOG2_E); }

INLINE float silu(float x) { return x / (1.0f + fast_exp(-x)); }
