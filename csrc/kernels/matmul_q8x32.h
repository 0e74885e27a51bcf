// Q4_0 and Q8_0 times int8 activations with one scale per 32 elements. Included per instruction
// set.
//
// Arithmetic of one output: per block an exact integer I = (q . a) - offset * sum(a), then y =
// fma(I, d * d_a, y).

struct Q4_0 {
  static constexpr int kOffset = 8;
  static constexpr int kBody = kQ4_0Body;
  static inline U8 weights(const uint8_t* body, int group) {
    const U8 line = u8_load(body + kLine * (group % 4));
    return u8_and(group < 4 ? line : u8_shr(line, 4), u8_set1(15));
  }
  static inline I32 dot(I32 acc, U8 w, int32_t a) { return dot_u7s8(acc, w, a); }
};

struct Q8_0 {
  static constexpr int kOffset = 128;
  static constexpr int kBody = kQ8_0Body;
  static inline U8 weights(const uint8_t* body, int group) { return u8_load(body + kLine * group); }
  static inline I32 dot(I32 acc, U8 w, int32_t a) { return dot_u8s8(acc, w, a); }
};

template <int T>
struct Tokens32 {
  const int8_t* q[T];
  const float* d[T];
  const int32_t* sum32[T];
  Tokens32(const uint8_t* act, int64_t stride, int64_t cols) {
    PYLLM_UNROLL for (int t = 0; t < T; ++t) {
      const uint8_t* record = act + t * stride;
      q[t] = reinterpret_cast<const int8_t*>(record);
      d[t] = reinterpret_cast<const float*>(record + cols);
      sum32[t] = reinterpret_cast<const int32_t*>(d[t] + cols / 32);
    }
  }
};

template <class F, int R, int T>
static void multiply_blocks(const MatmulTile& tile) {
  const Tokens32<T> tokens(tile.act, tile.act_stride, tile.cols);
  const int64_t n = tile.cols / 32;
  F32 sum[R][T];
  PYLLM_UNROLL for (int r = 0; r < R; ++r) PYLLM_UNROLL for (int t = 0; t < T; ++t) sum[r][t] =
      f32_zero();
  for (int64_t i = 0; i < n; ++i) {
    SuperBlock block[R];
    I32 dot[R][T];
    PYLLM_UNROLL for (int r = 0; r < R; ++r) {
      block[r] = paired_block(tile.weights + r * tile.tile_bytes, i, n, F::kBody);
      prefetch_lines(block[r].body + kPrefetchBytes, F::kBody + kHalfLine);
    }
    PYLLM_UNROLL for (int t = 0; t < T; ++t) {
      const I32 start = i32_set1(-F::kOffset * tokens.sum32[t][i]);
      PYLLM_UNROLL for (int r = 0; r < R; ++r) dot[r][t] = start;
    }
    PYLLM_UNROLL for (int group = 0; group < 8; ++group) {
      U8 weights[R];
      PYLLM_UNROLL for (int r = 0; r < R; ++r) weights[r] = F::weights(block[r].body, group);
      PYLLM_UNROLL for (int t = 0; t < T; ++t) {
        const int32_t a = load_i32(tokens.q[t] + 32 * i + 4 * group);
        PYLLM_UNROLL for (int r = 0; r < R; ++r) dot[r][t] = F::dot(dot[r][t], weights[r], a);
      }
    }
    PYLLM_UNROLL for (int r = 0; r < R; ++r) {
      const F32 d = f32_load_f16(reinterpret_cast<const uint16_t*>(block[r].d));
      PYLLM_UNROLL for (int t = 0; t < T; ++t) sum[r][t] =
          f32_fma(f32_from_i32(dot[r][t]), f32_mul(d, f32_set1(tokens.d[t][i])), sum[r][t]);
    }
  }
  store_tile<R, T>(tile, sum);
}
