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

// The panel to prefetch while panels[i] is read: 8 KB further on at 64 dimensions, 0.6 us of a
// 14 GB/s stream. Panels already converted to float lie in the L1 cache and need none.
static inline const float* panel_ahead(const float* const*, int64_t) { return nullptr; }
static inline const uint16_t* panel_ahead(const uint16_t* const* panels, int64_t i) {
  return panels[i + kPanelsAhead];
}
static inline void prefetch_element(const float*, int64_t) {}
static inline void prefetch_element(const uint16_t* ahead, int64_t i) {
  __builtin_prefetch(ahead + i, 0, kStreamInto);
}

// sums[r][p] += q[r][d] * k[p][d], one dimension of kRows rows and kVectors panels.
template <int kRows, int kVectors, typename Element>
static inline void add_dimension(const float* q, int64_t k_dim, const Element* const* panels,
                                 int64_t d, F32 (&sums)[kRows][kVectors]) {
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

// scores[r][16 p + lane] for kRows rows and the kVectors panels from `panels`, each [k_dim][16].
template <int kRows, int kVectors, typename Element>
static inline void score_tile(const float* q, int64_t k_dim, const Element* const* panels,
                              float* scores) {
  F32 sums[kRows][kVectors];
  const Element* ahead[kVectors];
#pragma GCC unroll 4
  for (int p = 0; p < kVectors; ++p) ahead[p] = panel_ahead(panels, p);
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < kVectors; ++p) sums[r][p] = f32_zero();
  }
  int64_t d = 0;
  for (; d + 4 <= k_dim; d += 4) {  // a line of f16 holds two dimensions
#pragma GCC unroll 4
    for (int p = 0; p < kVectors; ++p) prefetch_element(ahead[p], 16 * d);
    add_dimension<kRows, kVectors>(q, k_dim, panels, d, sums);
    add_dimension<kRows, kVectors>(q, k_dim, panels, d + 1, sums);
#pragma GCC unroll 4
    for (int p = 0; p < kVectors; ++p) prefetch_element(ahead[p], 16 * d + 32);
    add_dimension<kRows, kVectors>(q, k_dim, panels, d + 2, sums);
    add_dimension<kRows, kVectors>(q, k_dim, panels, d + 3, sums);
  }
  for (; d < k_dim; ++d) add_dimension<kRows, kVectors>(q, k_dim, panels, d, sums);
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < kVectors; ++p) {
      f32_store(scores + r * kAttentionChunk + 16 * p, sums[r][p]);
    }
  }
}

// Covers n_panels panels with tiles of 4, 2 and 1 as the number of rows allows.
template <int kRows, typename Element>
static void score_tiles(const float* q, int64_t k_dim, const Element* const* panels,
                        int64_t n_panels, float* scores) {
  constexpr int kWidest = tile_vectors(kRows);
  int64_t p = 0;
  if constexpr (kWidest == 4) {
    for (; p + 4 <= n_panels; p += 4) {
      score_tile<kRows, 4>(q, k_dim, panels + p, scores + 16 * p);
    }
  }
  if constexpr (kWidest >= 2) {
    for (; p + 2 <= n_panels; p += 2) {
      score_tile<kRows, 2>(q, k_dim, panels + p, scores + 16 * p);
    }
  }
  for (; p < n_panels; ++p) score_tile<kRows, 1>(q, k_dim, panels + p, scores + 16 * p);
}

// Tokens [begin, end) of which all rows see those from shared_begin to shared_end - 1, and row r
// those from n_hidden[r] to n_visible[r] - 1. The value of token t starts at panels[t / 16] +
// offset + t % 16 * stride.
template <typename Element>
struct ValueSpan {
  const float* weights;  // [rows][kAttentionChunk]
  int64_t begin, shared_begin, shared_end, end;
  const int32_t *n_hidden, *n_visible;
  bool fresh;  // the sums start from 0, not from what `out` holds
  const Element* const* panels;
  int64_t offset, stride;
};

template <int kVectors, typename Element>
static inline void load_value(const Element* v, F32 (&value)[kVectors]) {
#pragma GCC unroll 4
  for (int j = 0; j < kVectors; ++j) value[j] = load_element16(v + 16 * j);
}

// Tokens [begin, end), which not every row sees.
template <int kRows, int kVectors, typename Element>
static inline void add_edge(const ValueSpan<Element>& s, int64_t begin, int64_t end,
                            F32 (&sums)[kRows][kVectors]) {
  F32 value[kVectors];
  for (int64_t t = begin; t < end; ++t) {
    load_value(s.panels[t / 16] + s.offset + t % 16 * s.stride, value);
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r) {
      if (t < s.n_hidden[r] || t >= s.n_visible[r]) continue;
      const F32 weight = f32_set1(s.weights[r * kAttentionChunk + t]);
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) sums[r][j] = f32_fma(weight, value[j], sums[r][j]);
    }
  }
}

// Adds weights[r][t] * value[t] to kVectors vectors of out[r].
template <int kRows, int kVectors, typename Element>
static inline void value_tile(const ValueSpan<Element>& s, float* out, int64_t out_stride) {
  F32 sums[kRows][kVectors], value[kVectors];
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      sums[r][j] = s.fresh ? f32_zero() : f32_load(out + r * out_stride + 16 * j);
    }
  }
  add_edge(s, s.begin, s.shared_begin, sums);
  int64_t t = s.shared_begin;
  while (t < s.shared_end) {
    const int64_t panel_end = t / 16 * 16 + 16 < s.shared_end ? t / 16 * 16 + 16 : s.shared_end;
    const int64_t first = s.offset + t % 16 * s.stride;
    const Element *v = s.panels[t / 16] + first, *ahead = panel_ahead(s.panels, t / 16);
    for (int64_t i = first; t < panel_end; ++t, v += s.stride, i += s.stride) {
#pragma GCC unroll 2
      for (int j = 0; j < kVectors; j += 2) prefetch_element(ahead, i + 16 * j);  // 2 to a line
      load_value(v, value);
#pragma GCC unroll 6
      for (int r = 0; r < kRows; ++r) {
        const F32 weight = f32_set1(s.weights[r * kAttentionChunk + t]);
#pragma GCC unroll 4
        for (int j = 0; j < kVectors; ++j) sums[r][j] = f32_fma(weight, value[j], sums[r][j]);
      }
    }
  }
  add_edge(s, t, s.end, sums);
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) f32_store(out + r * out_stride + 16 * j, sums[r][j]);
  }
}

// Covers n_vectors vectors with tiles of 4, 2 and 1 as the number of rows allows.
template <int kRows, typename Element>
static void value_tiles(ValueSpan<Element> s, int64_t n_vectors, float* out, int64_t out_stride) {
  constexpr int kWidest = tile_vectors(kRows);
  int64_t j = 0;
  if constexpr (kWidest == 4) {
    for (; j + 4 <= n_vectors; j += 4, s.offset += 64) {
      value_tile<kRows, 4>(s, out + 16 * j, out_stride);
    }
  }
  if constexpr (kWidest >= 2) {
    for (; j + 2 <= n_vectors; j += 2, s.offset += 32) {
      value_tile<kRows, 2>(s, out + 16 * j, out_stride);
    }
  }
  for (; j < n_vectors; ++j, s.offset += 16) value_tile<kRows, 1>(s, out + 16 * j, out_stride);
}
