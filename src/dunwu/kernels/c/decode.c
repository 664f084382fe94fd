/* Attention of one decoded token in each running sequence: rotation, the cache, attention.

B sequences (in the slots 0 .. B-1), H query heads, K key heads, G = H / K, D head size (a multiple of 8), N positions of a slot, L of
a prompt's place. */
#ifndef elem
#define KERNEL_FILE "decode.c"
#include "vectors.h"

#define KEYS 32 /* keys that are worked on at a time */
#define MOST_GROUPS 16
#define MOST_SIZE 256

/* What a few queries of one sequence have gathered so far: sum over keys of e^(score - maximum), and of that times the value. */
typedef struct {
    float maximum[MOST_GROUPS];
    float total[MOST_GROUPS];
    float mixed[MOST_GROUPS][MOST_SIZE];
} gathered;

/* Turn the scores of a block into weights e^(score - maximum), and shrink what was gathered under a smaller maximum. */
INLINE void weigh(gathered *sums, int64_t g, float *scores, int64_t count, int64_t D) {
    for (int64_t j = count; j < KEYS; j++) scores[j] = -INFINITY;
    float maxima[8];
    memcpy(maxima, scores, sizeof maxima);
    for (int64_t j = 8; j < KEYS; j += 8)
        for (int64_t i = 0; i < 8; i++) maxima[i] = scores[j + i] > maxima[i] ? scores[j + i] : maxima[i];
    float before = sums->maximum[g], maximum = before, total = 0;
    for (int64_t i = 0; i < 8; i++) maximum = maxima[i] > maximum ? maxima[i] : maximum;
    for (int64_t j = 0; j < KEYS; j++) {
        scores[j] = exp_of_difference(scores[j] - maximum);
        total += scores[j];
    }
    float shrink = before == maximum ? 1.0f : exp_of_difference(before - maximum);
    sums->maximum[g] = maximum;
    sums->total[g] = sums->total[g] * shrink + total;
    if (shrink != 1.0f)
        for (int64_t d = 0; d < D; d++) sums->mixed[g][d] *= shrink;
}

#include "both_dtypes.h"
#else

/* Rotate a head into `out`, rounding where the modules round; first its norm, if it has one. */
INLINE void NAME(rotate)(float *out, const elem *head, const elem *cos, const elem *sin, const elem *norm, float eps, int64_t D) {
    float x[MOST_SIZE];
    float sum = 0;
    for (int64_t d = 0; d < D; d++) x[d] = LOAD(head[d]);
    if (norm) {
        for (int64_t d = 0; d < D; d++) sum += x[d] * x[d];
        float inverse = 1.0f / sqrtf(sum / D + eps);
        for (int64_t d = 0; d < D; d++) x[d] = ROUND(LOAD(norm[d]) * ROUND(x[d] * inverse));
    }
    int64_t half = D / 2;
    for (int64_t d = 0; d < half; d++) {
        float low = x[d], high = x[d + half];
        out[d] = ROUND(ROUND(low * LOAD(cos[d])) + ROUND(-high * LOAD(sin[d])));
        out[d + half] = ROUND(ROUND(high * LOAD(cos[d + half])) + ROUND(low * LOAD(sin[d + half])));
    }
}

/* Gather a block of keys and values for Q queries, the first of which is query g. */
INLINE void NAME(gather_block)(gathered *sums, const float *queries, int64_t g, const elem *keys, const elem *values, int64_t count,
                               const int64_t Q, int64_t D) {
    float scores[4][KEYS];
    for (int64_t j = 0; j < count; j += 4) {
        const elem *k[4];
        for (int64_t i = 0; i < 4; i++) k[i] = keys + (j + i < count ? j + i : count - 1) * D;
        v8 s[4][4] = {{{0}}};
        for (int64_t d = 0; d < D; d += 8) {
            v8 k0 = LOAD8(k[0] + d), k1 = LOAD8(k[1] + d), k2 = LOAD8(k[2] + d), k3 = LOAD8(k[3] + d);
            for (int64_t i = 0; i < Q; i++) {
                v8 q = load8_f32(queries + (g + i) * D + d);
                s[i][0] += q * k0, s[i][1] += q * k1, s[i][2] += q * k2, s[i][3] += q * k3;
            }
        }
        for (int64_t i = 0; i < Q; i++) {
            v4 four = sums_of(s[i][0], s[i][1], s[i][2], s[i][3]);
            memcpy(scores[i] + j, &four, sizeof four);
        }
    }
    for (int64_t i = 0; i < Q; i++) weigh(sums, g + i, scores[i], count, D);
    for (int64_t d = 0; d < D; d += 8) {
        v8 mixed[4];
        for (int64_t i = 0; i < Q; i++) mixed[i] = load8_f32(sums->mixed[g + i] + d);
        for (int64_t j = 0; j < count; j++) {
            v8 v = LOAD8(values + j * D + d);
            for (int64_t i = 0; i < Q; i++) mixed[i] += scores[i][j] * v;
        }
        for (int64_t i = 0; i < Q; i++) store8(sums->mixed[g + i] + d, mixed[i]);
    }
}

/* Gather the keys and values begin .. end - 1 of one place of the cache. */
static __attribute__((noinline)) void NAME(gather)(gathered *sums, const float *queries, const elem *keys, const elem *values,
                                                   int64_t begin, int64_t end, int64_t G, int64_t D) {
    for (int64_t at = begin; at < end; at += KEYS) {
        int64_t count = end - at < KEYS ? end - at : KEYS;
        const elem *k = keys + at * D, *v = values + at * D;
        int64_t g = 0;
        for (; g + 3 <= G; g += 3) NAME(gather_block)(sums, queries, g, k, v, count, 3, D);
        if (G - g == 2) NAME(gather_block)(sums, queries, g, k, v, count, 2, D);
        if (G - g == 1) NAME(gather_block)(sums, queries, g, k, v, count, 1, D);
    }
}

/* heads (B, H + 2K, D): queries, keys, values of the new tokens, not yet rotated; cos, sin (B, D); head_norm (H + K, D) or none.
   Writes each sequence's key and value to position own[b] of its slot, and mixed (B, H, D): attention over the prompt_lengths[b]
   positions of place places[b] and the own[b] + 1 of the slot, of which a window, if not 0, sees the last ones alone. */
void NAME(decode_attention)(const elem *heads, const elem *cos, const elem *sin, const elem *head_norm, const elem *prompt_keys,
                            const elem *prompt_values, elem *keys, elem *values, const int64_t *places,
                            const int64_t *prompt_lengths, const int64_t *own, elem *mixed, int64_t B, int64_t H, int64_t K,
                            int64_t D, int64_t L, int64_t N, int64_t window, float scale, float eps, int threads) {
    const int64_t G = H / K;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 4)
    for (int64_t item = 0; item < B * K; item++) {
        int64_t b = item / K, k = item % K, at = own[b];
        const elem *of_sequence = heads + b * (H + 2 * K) * D;
        elem *slot_keys = keys + (b * K + k) * N * D, *slot_values = values + (b * K + k) * N * D;
        float queries[MOST_GROUPS * MOST_SIZE], key[MOST_SIZE];
        NAME(rotate)(key, of_sequence + (H + k) * D, cos + b * D, sin + b * D, head_norm ? head_norm + (H + k) * D : head_norm, eps, D);
        for (int64_t d = 0; d < D; d++) slot_keys[at * D + d] = STORE(key[d]);
        memcpy(slot_values + at * D, of_sequence + (H + K + k) * D, D * sizeof(elem));
        for (int64_t g = 0; g < G; g++) {
            int64_t head = k * G + g;
            float *query = queries + g * D;
            NAME(rotate)(query, of_sequence + head * D, cos + b * D, sin + b * D, head_norm ? head_norm + head * D : head_norm, eps, D);
            for (int64_t d = 0; d < D; d++) query[d] *= scale;
        }
        gathered sums;
        for (int64_t g = 0; g < G; g++) {
            sums.maximum[g] = -INFINITY, sums.total[g] = 0;
            memset(sums.mixed[g], 0, D * sizeof(float));
        }
        int64_t prompt = prompt_lengths[b], length = prompt + at + 1;
        int64_t hidden = window && length > window ? length - window : 0, hidden_own = hidden > prompt ? hidden - prompt : 0;
        const elem *place_keys = prompt_keys + (places[b] * K + k) * L * D;
        const elem *place_values = prompt_values + (places[b] * K + k) * L * D;
        NAME(gather)(&sums, queries, place_keys, place_values, hidden, prompt, G, D);
        NAME(gather)(&sums, queries, slot_keys, slot_values, hidden_own, at + 1, G, D);
        for (int64_t g = 0; g < G; g++)
            for (int64_t d = 0; d < D; d++)
                mixed[(b * H + k * G + g) * D + d] = STORE(sums.mixed[g][d] / sums.total[g]);
    }
}
#endif
