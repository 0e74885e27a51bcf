// Register tiles of attention: up to 6 query rows x 4 vectors of tokens or dimensions. Included per
// instruction set, before attention.h, which says what is computed in which order.

// A register tile is rows x vectors accumulators; 24 of 32 registers, or 6 pairs of 16.
#if defined(__AVX512F__)
static constexpr int kTileAccumulators = 24;
#else
static constexpr int kTileAccumulators = 6;
#endif
static constexpr int kMaxTileRows = 6;
static constexpr int kMaxTileVectors = 4;

// Few rows take more vectors, so that the accumulators hide the latency of the multiply-add.
static constexpr int tile_vectors(int rows) {
  return rows * 4 <= kTileAccumulators ? 4 : rows * 2 <= kTileAccumulators ? 2 : 1;
}

static inline F32 load_element16(const float* p) { return f32_load(p); }
static inline F32 load_element16(const uint16_t* p) { return f32_load_f16(p); }

// scores[r][16 p + lane] for kRows rows and the kVectors panels from `panels`, each [k_dim][16].
template <int kRows, typename Element>
static inline void score_tile(const float* q, int64_t k_dim, const Element* const* panels,
                              float* scores) {
  constexpr int kVectors = tile_vectors(kRows);
  F32 sums[kRows][kVectors];
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < kVectors; ++p) sums[r][p] = f32_zero();
  }
  for (int64_t d = 0; d < k_dim; ++d) {
    F32 keys[kVectors];
#pragma GCC unroll 4
    for (int p = 0; p < kVectors; ++p) keys[p] = load_element16(panels[p] + 16 * d);
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r) {
      const F32 query = f32_set1(q[r * k_dim + d]);
#pragma GCC unroll 4
      for (int p = 0; p < kVectors; ++p) sums[r][p] = f32_fma(query, keys[p], sums[r][p]);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < kVectors; ++p) {
      f32_store(scores + r * kAttentionChunk + 16 * p, sums[r][p]);
    }
  }
}

// Adds p[r][t] * v[t] for tokens [begin, end) to kVectors vectors of out[r]; begin = 0 starts from
// 0. panels[i] holds the values of tokens 16 i .. 16 i + 15 with v_stride elements between tokens.
template <int kRows, int kVectors, typename Element>
static inline void value_tile(const float* p, int64_t begin, int64_t end,
                              const Element* const* panels, int64_t panel_offset, int64_t v_stride,
                              float* out, int64_t out_stride) {
  F32 sums[kRows][kVectors];
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      sums[r][j] = begin == 0 ? f32_zero() : f32_load(out + r * out_stride + 16 * j);
    }
  }
  for (int64_t t = begin; t < end;) {
    const Element* v = panels[t / 16] + panel_offset + t % 16 * v_stride;
    const int64_t panel_end = t / 16 * 16 + 16 < end ? t / 16 * 16 + 16 : end;
    for (; t < panel_end; ++t, v += v_stride) {
      F32 values[kVectors];
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) values[j] = load_element16(v + 16 * j);
#pragma GCC unroll 6
      for (int r = 0; r < kRows; ++r) {
        const F32 weight = f32_set1(p[r * kAttentionChunk + t]);
#pragma GCC unroll 4
        for (int j = 0; j < kVectors; ++j) sums[r][j] = f32_fma(weight, values[j], sums[r][j]);
      }
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) f32_store(out + r * out_stride + 16 * j, sums[r][j]);
  }
}

// Covers n_vectors vectors with tiles of 4, 2 and 1 as the number of rows allows.
template <int kRows, typename Element>
static inline void value_tiles(const float* p, int64_t begin, int64_t end,
                               const Element* const* panels, int64_t panel_offset, int64_t v_stride,
                               int64_t n_vectors, float* out, int64_t out_stride) {
  constexpr int kWidest = tile_vectors(kRows);
  int64_t j = 0;
  if constexpr (kWidest == 4) {
    for (; j + 4 <= n_vectors; j += 4) {
      value_tile<kRows, 4>(p, begin, end, panels, panel_offset + 16 * j, v_stride, out + 16 * j,
                           out_stride);
    }
  }
  if constexpr (kWidest >= 2) {
    for (; j + 2 <= n_vectors; j += 2) {
      value_tile<kRows, 2>(p, begin, end, panels, panel_offset + 16 * j, v_stride, out + 16 * j,
                           out_stride);
    }
  }
  for (; j < n_vectors; ++j) {
    value_tile<kRows, 1>(p, begin, end, panels, panel_offset + 16 * j, v_stride, out + 16 * j,
                         out_stride);
  }
}
