// Q4_K, Q5_K and Q6_K times int8 activations with one scale per 128 elements. Included per
// instruction set.
//
// Arithmetic of one output, the same for any tile, batch, thread count and instruction set: per
// half of a superblock (128 elements) an exact integer I = sum_sub scale * (q . a), then y = fma(I,
// d * d_a, y); formats with minimums follow with an exact M = sum_sub min * sum(a) and y = fma(-M,
// dmin * d_a, y).

struct SuperBlock {
  const uint8_t* d;     // 16 rows of f16 (and 16 of dmin behind it, where the format has one)
  const uint8_t* body;  // lines, at the offsets of r16.h
};

// Stored in pairs with both scales in front; a last single block has its scales behind.
static inline SuperBlock paired_block(const uint8_t* tile, int64_t i, int64_t n,
                                      int64_t body_bytes) {
  const uint8_t* pair = tile + (i / 2) * 2 * (kHalfLine + body_bytes);
  if (i % 2 == 0 && i + 1 == n) return {pair + body_bytes, pair};
  return {pair + kHalfLine * (i % 2), pair + kLine + body_bytes * (i % 2)};
}

// The 6-bit scales and minimums of Q4_K and Q5_K: lines u0, u1, u2 hold the 12 packed bytes of each
// row.
struct ScaleMin {
  I32 scales, mins;  // 4 bytes a lane: the sub-blocks of one half
};
static inline ScaleMin scale_min(const uint8_t* lines, int half) {
  const I32 six = i32_set1(0x3f3f3f3f), four = i32_set1(0x0f0f0f0f), top = i32_set1(0x30303030);
  const I32 u0 = i32_load(lines), u1 = i32_load(lines + kLine);
  if (half == 0) return {i32_and(u0, six), i32_and(u1, six)};
  const I32 u2 = i32_load(lines + 2 * kLine);
  return {i32_or(i32_and(u2, four), i32_and(i32_shr<2>(u0), top)),
          i32_or(i32_and(i32_shr<4>(u2), four), i32_and(i32_shr<2>(u1), top))};
}
static inline I32 byte_of(I32 v, int i) {
  const I32 low = i32_set1(0xff);
  return i == 0   ? i32_and(v, low)
         : i == 1 ? i32_and(i32_shr<8>(v), low)
         : i == 2 ? i32_and(i32_shr<16>(v), low)
                  : i32_shr<24>(v);
}
static inline I32 signed_byte_of(I32 v, int i) {
  return i == 0   ? i32_sar<24>(i32_shl<24>(v))
         : i == 1 ? i32_sar<24>(i32_shl<16>(v))
         : i == 2 ? i32_sar<24>(i32_shl<8>(v))
                  : i32_sar<24>(v);
}
static inline I32 word_pair(I32 v, int pair) {  // bytes 2p and 2p+1 of each lane as two words
  const I32 shifted = pair == 0 ? v : i32_shr<16>(v);
  return i32_or(i32_and(shifted, i32_set1(0xff)), i32_shl<8>(i32_and(shifted, i32_set1(0xff00))));
}

struct Q4K {
  static constexpr int kSubs = 4, kGroups = 8;  // sub-blocks in a half, lines in a sub-block
  static constexpr bool kMins = true, kBias = false;
  // 4 * 63 * (32 * 15 * 127) < 2^24: every partial sum of a half is exact in a float.
  static constexpr bool kExactInFloat = true;
  static constexpr int64_t kBytes = kQ4_KBlock;
  using Scales = ScaleMin;
  static inline SuperBlock block(const uint8_t* tile, int64_t i, int64_t) {
    return {tile + i * kQ4_KBlock, tile + i * kQ4_KBlock};
  }
  static inline Scales scales(const uint8_t* body, int half) {
    return scale_min(body + kQ4_KScales, half);
  }
  static inline I32 scale(const Scales& s, int sub) { return byte_of(s.scales, sub); }
  static inline I32 mins(const Scales& s) { return s.mins; }
  static inline U8 weights(const uint8_t* body, int half, int sub, int group) {
    const U8 line = u8_load(body + kQ4_KQuants + kLine * (8 * (2 * half + sub / 2) + group));
    return u8_and(sub % 2 ? u8_shr(line, 4) : line, u8_set1(15));
  }
};

struct Q5K {
  static constexpr int kSubs = 4, kGroups = 8;
  static constexpr bool kMins = true, kBias = false, kExactInFloat = false;
  static constexpr int64_t kBytes = kQ5_KBlock;
  using Scales = ScaleMin;
  static inline SuperBlock block(const uint8_t* tile, int64_t i, int64_t) {
    return {tile + i * kQ5_KBlock, tile + i * kQ5_KBlock};
  }
  static inline Scales scales(const uint8_t* body, int half) {
    return scale_min(body + kQ4_KScales, half);
  }
  static inline I32 scale(const Scales& s, int sub) { return byte_of(s.scales, sub); }
  static inline I32 mins(const Scales& s) { return s.mins; }
  static inline U8 weights(const uint8_t* body, int half, int sub, int group) {
    const U8 line = u8_load(body + kQ5_KQuants + kLine * (8 * (2 * half + sub / 2) + group));
    const U8 high = u8_load(body + kQ5_KHigh + kLine * group);
    const int bit = 4 * half + sub;
    const U8 fifth = u8_and(bit < 4 ? u8_shl(high, 4 - bit) : u8_shr(high, bit - 4), u8_set1(16));
    return u8_or(u8_and(sub % 2 ? u8_shr(line, 4) : line, u8_set1(15)), fifth);
  }
};

struct Q6K {
  static constexpr int kSubs = 8, kGroups = 4;
  static constexpr bool kMins = false, kBias = true, kExactInFloat = false;
  static constexpr int64_t kBytes = kQ6_KBody + kHalfLine;
  struct Scales {
    I32 first, second;  // signed bytes: sub-blocks 0-3 and 4-7 of the half
  };
  static inline SuperBlock block(const uint8_t* tile, int64_t i, int64_t n) {
    return paired_block(tile, i, n, kQ6_KBody);
  }
  static inline Scales scales(const uint8_t* body, int half) {
    return {i32_load(body + 2 * kLine * half), i32_load(body + 2 * kLine * half + kLine)};
  }
  static inline I32 scale(const Scales& s, int sub) {
    return signed_byte_of(sub < 4 ? s.first : s.second, sub % 4);
  }
  static inline U8 weights(const uint8_t* body, int half, int sub, int group) {
    const int quarter = sub / 2, i = 4 * (sub % 2) + group;  // 32 elements a quarter, line i of 8
    const U8 low = u8_load(body + kQ6_KLow + kLine * (16 * half + 8 * (quarter % 2) + i));
    const U8 high = u8_load(body + kQ6_KHigh + kLine * (8 * half + i));
    const int bit = 2 * quarter;
    const U8 top = u8_and(bit < 4 ? u8_shl(high, 4 - bit) : u8_shr(high, bit - 4), u8_set1(0x30));
    return u8_or(u8_and(quarter < 2 ? low : u8_shr(low, 4), u8_set1(15)), top);
  }
};

template <int T>
struct Tokens128 {
  const int8_t* q[T];
  const float* d[T];
  const int16_t* sum32[T];
  const int32_t* bias16[T];
  Tokens128(const uint8_t* act, int64_t stride, int64_t cols) {
    PYLLM_UNROLL for (int t = 0; t < T; ++t) {
      const uint8_t* record = act + t * stride;
      q[t] = reinterpret_cast<const int8_t*>(record);
      d[t] = reinterpret_cast<const float*>(record + cols);
      sum32[t] = reinterpret_cast<const int16_t*>(d[t] + cols / 128);
      bias16[t] = reinterpret_cast<const int32_t*>(sum32[t] + cols / 32);
    }
  }
};

// One sub-block: exact dot products of R * 16 rows with T tokens.
template <class F, int R, int T>
static inline void dot_sub_block(const SuperBlock (&block)[R], const Tokens128<T>& tokens,
                                 int64_t index, int half, int sub, I32 (&dot)[R][T]) {
  const int64_t k = 256 * index + 128 * half + 4 * F::kGroups * sub;
  PYLLM_UNROLL for (int t = 0; t < T; ++t) {
    const I32 start = F::kBias ? i32_set1(tokens.bias16[t][k / 16]) : i32_zero();
    PYLLM_UNROLL for (int r = 0; r < R; ++r) dot[r][t] = start;
  }
  PYLLM_UNROLL for (int group = 0; group < F::kGroups; ++group) {
    U8 weights[R];
    PYLLM_UNROLL for (int r = 0; r < R; ++r) weights[r] =
        F::weights(block[r].body, half, sub, group);
    PYLLM_UNROLL for (int t = 0; t < T; ++t) {
      const int32_t a = load_i32(tokens.q[t] + k + 4 * group);
      PYLLM_UNROLL for (int r = 0; r < R; ++r) dot[r][t] = dot_u7s8(dot[r][t], weights[r], a);
    }
  }
}

template <class F, int R, int T>
static inline void add_half(const SuperBlock (&block)[R], const Tokens128<T>& tokens, int64_t index,
                            int half, F32 (&sum)[R][T]) {
  typename F::Scales scales[R];
  PYLLM_UNROLL for (int r = 0; r < R; ++r) scales[r] = F::scales(block[r].body, half);
  I32 total[R][T];
  F32 total_f[R][T];
  PYLLM_UNROLL for (int sub = 0; sub < F::kSubs; ++sub) {
    I32 dot[R][T];
    dot_sub_block<F, R, T>(block, tokens, index, half, sub, dot);
    PYLLM_UNROLL for (int r = 0; r < R; ++r) {
      const I32 scale = F::scale(scales[r], sub);
      if constexpr (F::kExactInFloat) {
        const F32 scale_f = f32_from_i32(scale);
        PYLLM_UNROLL for (int t = 0; t < T; ++t) {
          const F32 dot_f = f32_from_i32(dot[r][t]);
          total_f[r][t] =
              sub == 0 ? f32_mul(dot_f, scale_f) : f32_fma(dot_f, scale_f, total_f[r][t]);
        }
      } else {
        PYLLM_UNROLL for (int t = 0; t < T; ++t) {
          const I32 scaled = i32_mul(dot[r][t], scale);
          total[r][t] = sub == 0 ? scaled : i32_add(total[r][t], scaled);
        }
      }
    }
  }
  const int64_t at = 2 * index + half;
  PYLLM_UNROLL for (int r = 0; r < R; ++r) {
    const F32 d = f32_load_f16(reinterpret_cast<const uint16_t*>(block[r].d));
    PYLLM_UNROLL for (int t = 0; t < T; ++t) {
      F32 value;
      if constexpr (F::kExactInFloat)
        value = total_f[r][t];
      else
        value = f32_from_i32(total[r][t]);
      sum[r][t] = f32_fma(value, f32_mul(d, f32_set1(tokens.d[t][at])), sum[r][t]);
    }
    if constexpr (F::kMins) {
      const F32 dmin = f32_load_f16(reinterpret_cast<const uint16_t*>(block[r].d + kHalfLine));
      const I32 first = word_pair(F::mins(scales[r]), 0), second = word_pair(F::mins(scales[r]), 1);
      PYLLM_UNROLL for (int t = 0; t < T; ++t) {
        const int16_t* sums = tokens.sum32[t] + 4 * at;
        const I32 low = dot_i16(i32_zero(), first, load_i32(sums));
        const F32 minimum = f32_from_i32(dot_i16(low, second, load_i32(sums + 2)));
        sum[r][t] = f32_fnma(minimum, f32_mul(dmin, f32_set1(tokens.d[t][at])), sum[r][t]);
      }
    }
  }
}

template <class F, int R, int T>
static void multiply_superblocks(const MatmulTile& tile) {
  const Tokens128<T> tokens(tile.act, tile.act_stride, tile.cols);
  const int64_t n = tile.cols / 256;
  F32 sum[R][T];
  PYLLM_UNROLL for (int r = 0; r < R; ++r) PYLLM_UNROLL for (int t = 0; t < T; ++t) sum[r][t] =
      f32_zero();
  for (int64_t i = 0; i < n; ++i) {
    SuperBlock block[R];
    PYLLM_UNROLL for (int r = 0; r < R; ++r) {
      block[r] = F::block(tile.weights + r * tile.tile_bytes, i, n);
      prefetch_lines(block[r].body + kPrefetchBytes, F::kBytes);
    }
    add_half<F, R, T>(block, tokens, i, 0, sum);
    add_half<F, R, T>(block, tokens, i, 1, sum);
  }
  store_tile<R, T>(tile, sum);
}
