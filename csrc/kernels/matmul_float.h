// F32, F16 and BF16 weights, and the types without integer kernels (NVFP4, Q1_0, Q2_0, Q8_1, Q8_K),
// times float activations. Included per instruction set.
//
// Arithmetic of one output: y = fma(w[k], x[k], y) for ascending k, one accumulator.

struct F32Line {
  static constexpr int kBytes = kLine;
  static PYLLM_INLINE F32 load(const uint8_t* p) {
    return f32_load(reinterpret_cast<const float*>(p));
  }
};
struct F16Line {
  static constexpr int kBytes = kHalfLine;
  static PYLLM_INLINE F32 load(const uint8_t* p) {
    return f32_load_f16(reinterpret_cast<const uint16_t*>(p));
  }
};
struct BF16Line {
  static constexpr int kBytes = kHalfLine;
  static PYLLM_INLINE F32 load(const uint8_t* p) {
    return f32_load_bf16(reinterpret_cast<const uint16_t*>(p));
  }
};

// sum[r][t] += lines [0, n) of each tile times x[t][0, n)
template <class L, int R, int T>
static PYLLM_INLINE void add_lines(const uint8_t* const (&lines)[R], const float* const (&x)[T],
                                   int64_t n, F32 (&sum)[R][T]) {
  for (int64_t k = 0; k < n; ++k) {
    F32 w[R];
    PYLLM_UNROLL for (int r = 0; r < R; ++r) w[r] = L::load(lines[r] + k * L::kBytes);
    PYLLM_UNROLL for (int t = 0; t < T; ++t) {
      const F32 a = f32_set1(x[t][k]);
      PYLLM_UNROLL for (int r = 0; r < R; ++r) sum[r][t] = f32_fma(w[r], a, sum[r][t]);
    }
  }
}

template <class L, int R, int T>
static void multiply_lines(const MatmulTile& tile) {
  const uint8_t* lines[R];
  const float* x[T];
  F32 sum[R][T];
  PYLLM_UNROLL for (int r = 0; r < R; ++r) lines[r] = tile.weights + r * tile.tile_bytes;
  PYLLM_UNROLL for (int t = 0; t < T; ++t) x[t] =
      reinterpret_cast<const float*>(tile.act + t * tile.act_stride);
  load_sums(tile, sum);
  add_lines<L, R, T>(lines, x, tile.cols, sum);
  store_sums(tile, sum);
}

// Any other type: 16 rows x 256 columns at a time are decoded to float lines (16 KiB, stays in L1),
// then used for all tokens. The unrounded sums wait in y between panels.
constexpr int64_t kPanel = 256;

template <int T>
static PYLLM_INLINE void add_panel(const float* panel, int64_t n, const uint8_t* act,
                                   int64_t stride, int64_t k0, float* y, int64_t ldy,
                                   int64_t rows) {
  const uint8_t* lines[1] = {reinterpret_cast<const uint8_t*>(panel)};
  const float* x[T];
  F32 sum[1][T];
  PYLLM_UNROLL for (int t = 0; t < T; ++t) {
    x[t] = reinterpret_cast<const float*>(act + t * stride) + k0;
    sum[0][t] = k0 == 0 ? f32_zero() : f32_load_n(y + t * ldy, rows);
  }
  add_lines<F32Line, 1, T>(lines, x, n, sum);
  PYLLM_UNROLL for (int t = 0; t < T; ++t) f32_store_n(y + t * ldy, sum[0][t], rows);
}

static void decode_float_panel(const PackedTensor* w, const uint8_t* tile, int64_t rows, int64_t k0,
                               int64_t n, float* panel) {
  float row_values[kPanel];
  const int64_t row_bytes = packed_row_bytes(*w);
  memset(panel, 0, static_cast<size_t>(n * kTileRows) * sizeof(float));
  for (int64_t row = 0; row < rows; ++row) {
    decode_columns(w->type, tile + row * row_bytes, k0, n, row_values);
    for (int64_t k = 0; k < n; ++k) panel[k * kTileRows + row] = row_values[k];
  }
}

static void matmul_float_panels(const MatmulArgs* m) {
  alignas(64) float panel[kPanel * kTileRows];
  const uint8_t* act = m->act;
  for (int64_t tile = m->tile_begin; tile < m->tile_end; ++tile) {
    const int64_t left = m->w->rows - tile * kTileRows;
    const int64_t rows = left < kTileRows ? left : kTileRows;
    float* y = m->y + (tile - m->tile_begin) * kTileRows;
    for (int64_t k0 = 0; k0 < m->w->cols; k0 += kPanel) {
      const int64_t n = m->w->cols - k0 < kPanel ? m->w->cols - k0 : kPanel;
      decode_float_panel(m->w, m->w->data + tile * m->w->tile_bytes, rows, k0, n, panel);
      int64_t t = 0;
      for (; t + 4 <= m->n_tokens; t += 4)
        add_panel<4>(panel, n, act + t * m->act_stride, m->act_stride, k0, y + t * m->ldy, m->ldy,
                     rows);
      for (; t < m->n_tokens; ++t)
        add_panel<1>(panel, n, act + t * m->act_stride, m->act_stride, k0, y + t * m->ldy, m->ldy,
                     rows);
    }
  }
}
