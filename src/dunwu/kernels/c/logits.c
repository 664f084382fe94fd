/* What is done to rows of logits: log-probs, their gradient, and drawing a token. C or B rows, V vocabulary.

x = logit / temperature; m the largest logit of a row. Sums run in float32 over a block and in float64 over the blocks. A NaN,
an infinity above 0, or no finite logit in a row makes its results NaN; a logit of -inf has the probability 0. */
#ifndef elem
#define KERNEL_FILE "logits.c"
#include "common.h"

#define SUM_BLOCK 512
#define DRAW_BLOCK 128
#define LANES 32

/* The first entry at which the sum from the left exceeds `target`, never one of mass 0; *before: the sum in front of it. The last
one that has a mass where rounding lets none exceed it, 0 where there is none. */
INLINE int64_t reached(const float *masses, int64_t n, double target, double *before) {
    int64_t found = 0;
    double sum = 0;
    *before = 0;
    for (int64_t i = 0; i < n && !(sum > target); i++) {
        if (masses[i] > 0) {
            found = i;
            *before = sum;
            sum += masses[i];
        }
    }
    return found;
}

INLINE double sum_of(const float *masses, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += masses[i];
    return sum;
}

#include "both_dtypes.h"
#else

/* A loop of its own: one that computes and rounds to bfloat16 at once is not made vectors of. */
INLINE void NAME(store)(elem *restrict row, const float *restrict values, int64_t n) {
    for (int64_t i = 0; i < n; i++) row[i] = STORE(values[i]);
}

/* The largest of n logits; NaN is passed over, -inf where there is nothing else. */
INLINE float NAME(largest)(const elem *restrict row, int64_t n) {
    float lanes[LANES], result = -INFINITY;
    for (int64_t j = 0; j < LANES; j++) lanes[j] = -INFINITY;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (int64_t j = 0; j < LANES; j++) {
            float x = LOAD(row[i + j]);
            lanes[j] = x > lanes[j] ? x : lanes[j];
        }
    }
    for (; i < n; i++) {
        float x = LOAD(row[i]);
        result = x > result ? x : result;
    }
    for (int64_t j = 0; j < LANES; j++) result = lanes[j] > result ? lanes[j] : result;
    return result;
}

/* *sum of e^(x - max x) over a row; *moment: the sum of each times its exponent. Overwrites the row by minus each, if asked. */
INLINE void NAME(exponentials)(elem *restrict row, int64_t V, float m, float scale, const int overwrite, double *sum,
                               double *moment) {
    *sum = *moment = 0;
    for (int64_t begin = 0; begin < V; begin += SUM_BLOCK) {
        int64_t size = V - begin < SUM_BLOCK ? V - begin : SUM_BLOCK;
        elem *restrict block = row + begin;
        float minus[SUM_BLOCK];
        float s = 0, t = 0;
        for (int64_t i = 0; i < size; i++) {
            float y = (LOAD(block[i]) - m) * scale;
            float e = two_to_negative(y);
            s += e;
            t += e * (y < -126.0f ? -126.0f : y);
            if (overwrite) minus[i] = -e;
        }
        if (overwrite) NAME(store)(block, minus, size);
        *sum += s;
        *moment += t;
    }
    *moment *= LN_2;
}

/* logprobs[c] = x[target] - log sum_v e^x[v]; entropies[c] in nats; normalisers[c] = log sum_v e^x[v].

With `masses` every logit is then overwritten: masses[c] * temperature * dlogprob/dlogit, where masses[c] = sum_v e^(x[v] - max x). */
void NAME(log_probs)(elem *logits, const int64_t *targets, float *logprobs, float *entropies, double *normalisers, float *masses,
                     int64_t C, int64_t V, float temperature, int threads) {
    const float scale = LOG2_E / temperature;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t c = 0; c < C; c++) {
        elem *row = logits + c * V;
        float m = NAME(largest)(row, V), below = LOAD(row[targets[c]]) - m;
        double sum, moment;
        if (masses) {
            NAME(exponentials)(row, V, m, scale, 1, &sum, &moment);
            masses[c] = sum;
            row[targets[c]] = STORE((float)(sum - two_to_negative(below * scale)));
        } else {
            NAME(exponentials)(row, V, m, scale, 0, &sum, &moment);
        }
        double log_sum = log(sum);
        logprobs[c] = (double)below / temperature - log_sum;
        entropies[c] = log_sum - moment / sum;
        normalisers[c] = (double)m / temperature + log_sum;
    }
}

/* Overwrites every logit by temperature * dlogprob/dlogit = (v == target) - e^(x[v] - normaliser). */
void NAME(log_prob_gradients)(elem *logits, const int64_t *targets, const double *normalisers, int64_t C, int64_t V,
                              float temperature, int threads) {
    const float scale = LOG2_E / temperature;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t c = 0; c < C; c++) {
        elem *restrict row = logits + c * V;
        float centre = normalisers[c] * temperature; /* likely logits are close to it: the difference is exact */
        float rest = (normalisers[c] - (double)centre / temperature) * LOG2_E;
        float target = LOAD(row[targets[c]]);
        for (int64_t begin = 0; begin < V; begin += SUM_BLOCK) {
            int64_t size = V - begin < SUM_BLOCK ? V - begin : SUM_BLOCK;
            float minus[SUM_BLOCK];
            for (int64_t i = 0; i < size; i++) minus[i] = -two_to_negative((LOAD(row[begin + i]) - centre) * scale - rest);
            NAME(store)(row + begin, minus, size);
        }
        row[targets[c]] = STORE(1.0f - two_to_negative((target - centre) * scale - rest));
    }
}

/* masses[b] = the sum of e^(x - max x) over the b-th block of a row. */
INLINE void NAME(block_masses)(const elem *restrict row, int64_t V, float m, float scale, float *restrict masses) {
    for (int64_t begin = 0; begin < V; begin += DRAW_BLOCK) {
        int64_t end = begin + DRAW_BLOCK < V ? begin + DRAW_BLOCK : V;
        float s = 0;
        for (int64_t i = begin; i < end; i++) s += two_to_negative((LOAD(row[i]) - m) * scale);
        masses[begin / DRAW_BLOCK] = s;
    }
}

/* The token of a row whose share of the total mass holds the uniform number. */
INLINE int64_t NAME(drawn)(const elem *restrict row, int64_t V, float m, float scale, const float *masses, double uniform,
                           double total) {
    double target = uniform * total, before;
    int64_t block = reached(masses, (V + DRAW_BLOCK - 1) / DRAW_BLOCK, target, &before);
    int64_t begin = block * DRAW_BLOCK, size = V - begin < DRAW_BLOCK ? V - begin : DRAW_BLOCK;
    float of_tokens[DRAW_BLOCK];
    for (int64_t i = 0; i < size; i++) of_tokens[i] = two_to_negative((LOAD(row[begin + i]) - m) * scale);
    double within = (target - before) / masses[block]; /* the same share of the tokens' sum, which is rounded otherwise */
    return begin + reached(of_tokens, size, within * sum_of(of_tokens, size), &before);
}

/* The place of the first logit that equals m; one does. */
INLINE int64_t NAME(first_of)(const elem *restrict row, int64_t V, float m) {
    int64_t i = 0;
    while (i + DRAW_BLOCK < V && NAME(largest)(row + i, DRAW_BLOCK) != m) i += DRAW_BLOCK;
    while (i < V - 1 && LOAD(row[i]) != m) i++;
    return i;
}

/* ids[b]: the first token at which the cumulative mass of softmax(logits[b] / temperatures[b]) exceeds uniforms[b] of the total;
at a temperature of 0 the first of the largest logits. logprobs[b]: its log-prob, at temperature 1 for 0. `masses` is a workspace of
B rows of ceil(V / DRAW_BLOCK). Rows lie `stride` elements apart. */
void NAME(draw_tokens)(const elem *logits, int64_t stride, const double *uniforms, const float *temperatures, float *masses,
                       int64_t *ids, float *logprobs, int64_t B, int64_t V, int threads) {
    const int64_t blocks = (V + DRAW_BLOCK - 1) / DRAW_BLOCK;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t b = 0; b < B; b++) {
        const elem *row = logits + b * stride;
        float *of_blocks = masses + b * blocks;
        float temperature = temperatures[b] == 0 ? 1.0f : temperatures[b];
        float m = NAME(largest)(row, V), scale = LOG2_E / temperature;
        NAME(block_masses)(row, V, m, scale, of_blocks);
        double total = sum_of(of_blocks, blocks);
        int64_t id = 0;
        if (!(total > 0)) {
            /* no distribution: the log-prob says so */
        } else if (temperatures[b] == 0) {
            id = NAME(first_of)(row, V, m);
        } else {
            id = NAME(drawn)(row, V, m, scale, of_blocks, uniforms[b], total);
        }
        ids[b] = id;
        logprobs[b] = (double)(LOAD(row[id]) - m) / temperature - log(total);
    }
}
#endif
