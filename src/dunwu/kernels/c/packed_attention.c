/* Attention of a packed row, forward and backward.

A query tile is some neighbouring queries of one segment, by all heads that share a key head; its columns c are (query, head) pairs,
the head fastest, as they lie in memory. It reads its keys by a list of rows: those of the prefix, then the segment's own; the query i
of the tile sees the first before + i + 1 of them (or the last `window` of these). Keys come KEYS at a time, queries PANEL at a time,
as float32 copies in the caches of one core. Scores lie keys by queries, so that a panel's softmax needs no sums across a vector.

T rows, H query heads, K key heads, D size of queries and keys, E of values; Dp and Ep are rounded up to PANEL. */
#ifndef elem
#define KERNEL_FILE "packed_attention.c"
#include "common.h"

#if defined(__AVX512F__)
#define LANES 16
#define BLOCK 8
#elif defined(__AVX__)
#define LANES 8
#define BLOCK 4
#else
#define LANES 4
#define BLOCK 4
#endif
#define PANEL 16
#define VECTORS (PANEL / LANES)
#define KEYS 32
#define COLUMNS 128
#define ALIGNED __attribute__((aligned(64)))

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef float floats __attribute__((vector_size(4 * LANES), aligned(4), may_alias)); /* the same, anywhere in memory */

/* What does not change from one query tile to the next. */
typedef struct {
    int64_t heads, key_heads, group;
    const int32_t *key_rows;
    float scale, softcap;
    int64_t window;
} Shared;

/* Columns of a tile in a panel: how many keys of a key tile the first and the last of them see. */
typedef struct {
    int64_t fewest, most, keys;
} Sight;

INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
INLINE int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
INLINE int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/* The BLOCK rows of PANEL columns that product and add_product are made of. */
INLINE void multiply(int64_t n, const float *a, int64_t a_k, int64_t a_m, const float *b, int64_t b_k, float *c, int64_t c_m,
                     const float *factor, int from_zero) {
    vec sum[BLOCK][VECTORS];
    for (int m = 0; m < BLOCK; m++)
        for (int v = 0; v < VECTORS; v++) {
            sum[m][v] = (vec){0};
            if (!from_zero) sum[m][v] = *(const floats *)(c + m * c_m + v * LANES);
            if (factor) sum[m][v] *= factor[m];
        }
    for (int64_t k = 0; k < n; k++)
        for (int v = 0; v < VECTORS; v++) {
            vec row = *(const floats *)(b + k * b_k + v * LANES);
            for (int m = 0; m < BLOCK; m++) sum[m][v] += a[k * a_k + m * a_m] * row;
        }
    for (int m = 0; m < BLOCK; m++)
        for (int v = 0; v < VECTORS; v++) *(floats *)(c + m * c_m + v * LANES) = sum[m][v];
}

/* c[m][:] = sum_k a[k, m] * b[k][:] for `rows` rows, a multiple of BLOCK, of PANEL columns. */
static __attribute__((noinline)) void product(int64_t rows, int64_t n, const float *a, int64_t a_k, int64_t a_m, const float *b,
                                              int64_t b_k, float *c, int64_t c_m) {
    for (int64_t m = 0; m < rows; m += BLOCK) multiply(n, a + m * a_m, a_k, a_m, b, b_k, c + m * c_m, c_m, NULL, 1);
}

/* c[m][:] = factor[m] * c[m][:] + sum_k a[k, m] * b[k][:], likewise. */
static __attribute__((noinline)) void add_product(int64_t rows, int64_t n, const float *a, int64_t a_k, int64_t a_m, const float *b,
                                                  int64_t b_k, float *c, int64_t c_m, const float *factor) {
    for (int64_t m = 0; m < rows; m += BLOCK)
        multiply(n, a + m * a_m, a_k, a_m, b, b_k, c + m * c_m, c_m, factor ? factor + m : NULL, 0);
}

/* Which of the n keys of the key tile at `at` are seen from a panel whose columns see the first limits[c] of all keys. */
INLINE Sight look(const Shared *shared, const int32_t *limits, int64_t at, int64_t n) {
    Sight sight = {limits[0] - at, limits[PANEL - 1] - at, 0};
    sight.keys = larger(0, smaller(n, sight.most));
    if (shared->window && sight.fewest - shared->window >= n) sight.keys = 0;
    return sight;
}

/* How many keys each column sees, the columns behind the last one like it. */
INLINE void count_keys(int32_t *limits, const int32_t *tile, int64_t group) {
    int64_t c = 0;
    for (int64_t i = 0; i < tile[1]; i++)
        for (int64_t g = 0; g < group; g++) limits[c++] = (int32_t)(tile[2] + i + 1);
    for (; c < COLUMNS; c++) limits[c] = tile[2] + tile[1];
}

/* Scores (keys, PANEL) become softcap * tanh(score / softcap). */
INLINE void cap_scores(float *scores, int64_t stride, int64_t keys, float softcap) {
    for (int64_t j = 0; j < keys; j++)
#pragma omp simd
        for (int c = 0; c < PANEL; c++) {
            float *score = scores + j * stride + c;
            *score = softcap - 2.0f * softcap / (fast_exp(*score * (2.0f / softcap)) + 1.0f);
        }
}

/* -inf where a column does not look. */
INLINE void mask_scores(float *scores, int64_t stride, int64_t keys, Sight sight, const Shared *shared, const int32_t *limits,
                        int64_t at) {
    if (sight.fewest >= keys && !shared->window) return;
    int32_t end[PANEL], begin[PANEL];
#pragma omp simd
    for (int c = 0; c < PANEL; c++) {
        end[c] = limits[c] - (int32_t)at;
        begin[c] = shared->window ? end[c] - (int32_t)shared->window : INT32_MIN;
    }
    for (int64_t j = 0; j < keys; j++)
#pragma omp simd
        for (int c = 0; c < PANEL; c++) {
            int seen = ((int32_t)j < end[c]) & ((int32_t)j >= begin[c]);
            scores[j * stride + c] = seen ? scores[j * stride + c] : -INFINITY;
        }
}

/* Where a column lies in (T, H). */
INLINE int64_t place_of(int64_t row, int64_t column, int64_t head, const Shared *shared) {
    uint32_t group = (uint32_t)shared->group, c = (uint32_t)column;
    return (row + c / group) * shared->heads + head * group + c % group;
}

INLINE int64_t first_key_tile(const Shared *shared, int64_t before) {
    return shared->window ? larger(0, before + 1 - shared->window) / KEYS * KEYS : 0;
}

#include "both_dtypes.h"
#else

/* Rows of keys or values, the padding of sizes and of `count` up to a multiple of BLOCK zero. */
INLINE void NAME(load_keys)(float *restrict tile, const elem *restrict all, const int32_t *rows, int64_t count, int64_t head, int64_t heads,
                            int64_t size) {
    int64_t padded = round_up(size, PANEL);
    for (int64_t j = 0; j < count; j++) {
        const elem *row = all + (rows[j] * heads + head) * size;
        for (int64_t d = 0; d < size; d++) tile[j * padded + d] = LOAD(row[d]);
        for (int64_t d = size; d < padded; d++) tile[j * padded + d] = 0;
    }
    int64_t end = round_up(count, BLOCK);
    if (end > count) memset(tile + count * padded, 0, (end - count) * padded * sizeof(float));
}

/* Columns (c, size) of a query tile times `factor`, the padding of sizes and of columns up to whole panels zero. */
INLINE void NAME(load_columns)(float *restrict tile, const elem *restrict all, int64_t row, int64_t columns, int64_t head, const Shared *shared,
                               int64_t size, float factor) {
    int64_t padded = round_up(size, PANEL);
    for (int64_t c = 0; c < columns; c++) {
        const elem *column = all + place_of(row, c, head, shared) * size;
        for (int64_t d = 0; d < size; d++) tile[c * padded + d] = LOAD(column[d]) * factor;
        for (int64_t d = size; d < padded; d++) tile[c * padded + d] = 0;
    }
    memset(tile + columns * padded, 0, (round_up(columns, PANEL) - columns) * padded * sizeof(float));
}

/* The same columns, panel by panel, each (size, PANEL). */
INLINE void NAME(turn_columns)(float *restrict turned, const float *restrict tile, int64_t columns, int64_t size) {
    int64_t padded = round_up(size, PANEL);
    for (int64_t column = 0; column < columns; column += PANEL)
        for (int64_t d = 0; d < size; d++)
#pragma omp simd
            for (int c = 0; c < PANEL; c++) turned[column * size + d * PANEL + c] = tile[(column + c) * padded + d];
}

/* One query tile (first query, queries, keys before the first, place of its keys in key_rows) for one key head. */
static __attribute__((noinline)) void NAME(attend_tile)(const elem *query, const elem *key, const elem *value, elem *output, float *lse, const int32_t *tile,
                              int64_t head, const Shared *shared, int64_t D, int64_t E) {
    int64_t Dp = round_up(D, PANEL), Ep = round_up(E, PANEL), before = tile[2], columns = tile[1] * shared->group;
    const int32_t *rows = shared->key_rows + tile[3];
    float natural[COLUMNS * larger(Dp, Ep)] ALIGNED, turned[COLUMNS * D] ALIGNED, keys[KEYS * Dp] ALIGNED, values[KEYS * Ep] ALIGNED;
    float scores[KEYS * PANEL] ALIGNED, highest[COLUMNS] ALIGNED, sums[COLUMNS] ALIGNED, factor[PANEL] ALIGNED, shift[PANEL] ALIGNED;
    int32_t limits[COLUMNS];
    count_keys(limits, tile, shared->group);
    NAME(load_columns)(natural, query, tile[0], columns, head, shared, D, shared->scale);
    NAME(turn_columns)(turned, natural, columns, D);
    float *sum = natural; /* the queries are needed turned alone */
    memset(sum, 0, round_up(columns, PANEL) * Ep * sizeof(float));
    for (int c = 0; c < COLUMNS; c++) highest[c] = -INFINITY, sums[c] = 0;
    int64_t end = before + tile[1];
    for (int64_t at = first_key_tile(shared, before); at < end; at += KEYS) {
        int64_t n = smaller(KEYS, end - at);
        NAME(load_keys)(keys, key, rows + at, n, head, shared->key_heads, D);
        NAME(load_keys)(values, value, rows + at, n, head, shared->key_heads, E);
        for (int64_t column = 0; column < columns; column += PANEL) {
            Sight sight = look(shared, limits + column, at, n);
            if (!sight.keys) continue;
            int64_t seen = round_up(sight.keys, BLOCK);
            product(seen, D, keys, 1, Dp, turned + column * D, PANEL, scores, PANEL);
            if (shared->softcap > 0) cap_scores(scores, PANEL, seen, shared->softcap);
            mask_scores(scores, PANEL, seen, sight, shared, limits + column, at);
            float *top = highest + column, *total = sums + column;
#pragma omp simd
            for (int c = 0; c < PANEL; c++) shift[c] = top[c];
            for (int64_t j = 0; j < seen; j++)
#pragma omp simd
                for (int c = 0; c < PANEL; c++) {
                    float score = scores[j * PANEL + c];
                    shift[c] = score > shift[c] ? score : shift[c];
                }
#pragma omp simd
            for (int c = 0; c < PANEL; c++) {
                float old = top[c];
                top[c] = shift[c];
                shift[c] = shift[c] == -INFINITY ? 0 : shift[c]; /* nothing seen yet */
                factor[c] = exp_of_difference(old - shift[c]);
                total[c] *= factor[c];
            }
            for (int64_t j = 0; j < seen; j++)
#pragma omp simd
                for (int c = 0; c < PANEL; c++) {
                    float weight = exp_of_difference(scores[j * PANEL + c] - shift[c]);
                    scores[j * PANEL + c] = weight;
                    total[c] += weight;
                }
            for (int64_t e = 0; e < Ep; e += PANEL)
                add_product(PANEL, seen, scores, PANEL, 1, values + e, Ep, sum + column * Ep + e, Ep, factor);
        }
    }
    for (int64_t c = 0; c < columns; c++) {
        int64_t to = place_of(tile[0], c, head, shared);
        float inverse = 1.0f / sums[c];
        for (int64_t e = 0; e < E; e++) output[to * E + e] = STORE(sum[c * Ep + e] * inverse);
        lse[to] = highest[c] + logf(sums[c]);
    }
}

/* output (T, H, E) and logsumexp (T, H) of all query tiles, (num_tiles, 4). A window or softcap of 0 is none. */
void NAME(packed_attention)(const elem *query, const elem *key, const elem *value, elem *output, float *lse, const int32_t *tiles,
                            int64_t num_tiles, const int32_t *key_rows, int64_t H, int64_t K, int64_t D, int64_t E, float scale,
                            float softcap, int64_t window, int threads) {
    Shared shared = {H, K, H / K, key_rows, scale, softcap, window};
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t i = 0; i < num_tiles * K; i++) {
        NAME(attend_tile)(query, key, value, output, lse, tiles + i / K * 4, i % K, &shared, D, E);
    }
}

/* The gradient of one query tile's queries, and what it adds to those of its keys and values (of one key head, float32). */
static __attribute__((noinline)) void NAME(attend_tile_backward)(const elem *query, const elem *key, const elem *value, const elem *output, const float *lse,
                                       const elem *d_output, elem *d_query, float *d_keys, float *d_values, const int32_t *tile,
                                       int64_t head, const Shared *shared, int64_t D, int64_t E) {
    int64_t Dp = round_up(D, PANEL), Ep = round_up(E, PANEL), before = tile[2], columns = tile[1] * shared->group;
    int64_t stride = round_up(columns, PANEL);
    const int32_t *rows = shared->key_rows + tile[3];
    float queries[COLUMNS * Dp] ALIGNED, queries_turned[COLUMNS * D] ALIGNED, sum[COLUMNS * Dp] ALIGNED;
    float outer[COLUMNS * Ep] ALIGNED, outer_turned[COLUMNS * E] ALIGNED, keys[KEYS * Dp] ALIGNED, values[KEYS * Ep] ALIGNED;
    float weights[KEYS * COLUMNS] ALIGNED, slopes[KEYS * COLUMNS] ALIGNED, offset[COLUMNS] ALIGNED, delta[COLUMNS] ALIGNED;
    int64_t seen[COLUMNS / PANEL];
    int32_t limits[COLUMNS];
    count_keys(limits, tile, shared->group);
    NAME(load_columns)(queries, query, tile[0], columns, head, shared, D, shared->scale);
    NAME(turn_columns)(queries_turned, queries, columns, D);
    NAME(load_columns)(outer, d_output, tile[0], columns, head, shared, E, 1);
    NAME(turn_columns)(outer_turned, outer, columns, E);
    for (int64_t c = 0; c < stride; c++) offset[c] = delta[c] = 0;
    for (int64_t c = 0; c < columns; c++) {
        int64_t from = place_of(tile[0], c, head, shared);
        offset[c] = lse[from];
        for (int64_t e = 0; e < E; e++) delta[c] += outer[c * Ep + e] * LOAD(output[from * E + e]);
    }
    memset(sum, 0, stride * Dp * sizeof(float));
    int64_t end = before + tile[1];
    for (int64_t at = first_key_tile(shared, before); at < end; at += KEYS) {
        int64_t n = smaller(KEYS, end - at);
        NAME(load_keys)(keys, key, rows + at, n, head, shared->key_heads, D);
        NAME(load_keys)(values, value, rows + at, n, head, shared->key_heads, E);
        for (int64_t column = 0; column < columns; column += PANEL) {
            Sight sight = look(shared, limits + column, at, n);
            float *weight = weights + column, *slope = slopes + column;
            int64_t count = seen[column / PANEL] = round_up(sight.keys, BLOCK);
            if (!count) continue;
            product(count, D, keys, 1, Dp, queries_turned + column * D, PANEL, weight, stride);
            product(count, E, values, 1, Ep, outer_turned + column * E, PANEL, slope, stride);
            if (shared->softcap > 0) {
                cap_scores(weight, stride, count, shared->softcap);
                float inverse = 1.0f / shared->softcap;
                for (int64_t j = 0; j < count; j++)
#pragma omp simd
                    for (int c = 0; c < PANEL; c++) {
                        float capped = weight[j * stride + c] * inverse;
                        slope[j * stride + c] = (slope[j * stride + c] - delta[column + c]) * (1.0f - capped * capped);
                    }
            } else {
                for (int64_t j = 0; j < count; j++)
#pragma omp simd
                    for (int c = 0; c < PANEL; c++) slope[j * stride + c] -= delta[column + c];
            }
            mask_scores(weight, stride, count, sight, shared, limits + column, at);
            for (int64_t j = 0; j < count; j++)
#pragma omp simd
                for (int c = 0; c < PANEL; c++) {
                    weight[j * stride + c] = exp_of_difference(weight[j * stride + c] - offset[column + c]);
                    slope[j * stride + c] *= weight[j * stride + c];
                }
            for (int64_t d = 0; d < Dp; d += PANEL)
                add_product(PANEL, count, slope, stride, 1, keys + d, Dp, sum + column * Dp + d, Dp, NULL);
        }
        for (int64_t j = 0; j < n; j += BLOCK) {
            int64_t from = 0, to = stride;
            while (from < to && seen[from / PANEL] <= j) from += PANEL;
            while (from < to && seen[to / PANEL - 1] <= j) to -= PANEL;
            for (int64_t e = 0; e < Ep; e += PANEL)
                add_product(BLOCK, to - from, weights + j * stride + from, 1, stride, outer + from * Ep + e, Ep,
                            d_values + (at + j) * Ep + e, Ep, NULL);
            for (int64_t d = 0; d < Dp; d += PANEL)
                add_product(BLOCK, to - from, slopes + j * stride + from, 1, stride, queries + from * Dp + d, Dp,
                            d_keys + (at + j) * Dp + d, Dp, NULL);
        }
    }
    for (int64_t c = 0; c < columns; c++) {
        int64_t to = place_of(tile[0], c, head, shared);
        for (int64_t d = 0; d < D; d++) d_query[to * D + d] = STORE(sum[c * Dp + d] * shared->scale);
    }
}

/* The gradient of the queries (T, H, D), and of keys (K, N, Dp) and values (K, N, Ep) apart for each unit: units (num_units, 4) are
(first tile, end tile, place of their keys in key_rows, number of keys rounded up to BLOCK_ROWS); N places in all. */
void NAME(packed_attention_backward)(const elem *query, const elem *key, const elem *value, const elem *output, const float *lse,
                                     const elem *d_output, elem *d_query, float *d_keys, float *d_values, const int32_t *tiles,
                                     const int32_t *units, int64_t num_units, const int32_t *key_rows, int64_t N, int64_t H,
                                     int64_t K, int64_t D, int64_t E, float scale, float softcap, int64_t window, int threads) {
    Shared shared = {H, K, H / K, key_rows, scale, softcap, window};
    int64_t Dp = round_up(D, PANEL), Ep = round_up(E, PANEL);
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t i = 0; i < num_units * K; i++) {
        const int32_t *unit = units + i / K * 4;
        int64_t head = i % K;
        float *keys = d_keys + (head * N + unit[2]) * Dp, *values = d_values + (head * N + unit[2]) * Ep;
        memset(keys, 0, unit[3] * Dp * sizeof(float));
        memset(values, 0, unit[3] * Ep * sizeof(float));
        for (int64_t t = unit[0]; t < unit[1]; t++) {
            NAME(attend_tile_backward)(query, key, value, output, lse, d_output, d_query, keys, values, tiles + t * 4, head,
                    &shared, D, E);
        }
    }
}

/* out (T, K, D): the sum of the places (K, N, Dp) that hold a share of each row: places[begin[t] .. begin[t + 1]]. */
void NAME(packed_attention_sum)(const float *shares, elem *out, const int32_t *begin, const int32_t *places, int64_t T, int64_t N,
                                int64_t K, int64_t D, int threads) {
    int64_t Dp = round_up(D, PANEL);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t t = 0; t < T; t++)
        for (int64_t head = 0; head < K; head++)
            for (int64_t d = 0; d < D; d += PANEL) {
                float sum[PANEL] = {0};
                for (int64_t i = begin[t]; i < begin[t + 1]; i++) {
                    const float *share = shares + (head * N + places[i]) * Dp + d;
#pragma omp simd
                    for (int c = 0; c < PANEL; c++) sum[c] += share[c];
                }
                for (int64_t c = 0; c < smaller(PANEL, D - d); c++) out[(t * K + head) * D + d + c] = STORE(sum[c]);
            }
}
#endif
