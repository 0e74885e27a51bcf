// Block formats times int8 activations with one scale per 32 elements. Included per instruction
// set.
//
// Arithmetic of one output, per block of 32 elements: I = the exact integer q . a, then
//   y = fma(I, d * d_a, y), with minimums followed by y = fma(m, d_a * sum(a), y)

// -kOffset * (sum of the block's activations)
template <class F>
static PYLLM_INLINE I32 block_bias(int32_t bias8) {
  static_assert(F::kOffset == 0 || F::kOffset == 8 || F::kOffset == 16 || F::kOffset == 128);
  if constexpr (F::kOffset == 0 || (Dot<F::kBits>::kSigned && F::kOffset == 128)) return i32_zero();
  const I32 bias = i32_set1(bias8);
  if constexpr (F::kOffset == 16) return i32_shl<1>(bias);
  if constexpr (F::kOffset == 128) return i32_shl<4>(bias);
  return bias;
}

template <class Format>
struct PackedBlocks : Format {
  using Block = SuperBlock;
  static constexpr bool kStream = true;
};

// A block of a tile with one byte per weight and float scales.
template <class Format>
struct BlockPanel {
  static constexpr int kBits = Format::kBits, kOffset = Format::kOffset;
  static constexpr bool kMin = Format::kMin, kStream = false;
  static constexpr int kDLine = 8;
  static constexpr int64_t kBytes = kLine * (kDLine + 1 + kMin);
  using Block = const uint8_t*;
  static PYLLM_INLINE Block block(const uint8_t* panel, int64_t i, int64_t) {
    return panel + i * kBytes;
  }
  static PYLLM_INLINE U8 weights(Block b, int group) { return u8_load(b + kLine * group); }
  static PYLLM_INLINE F32 d(Block b) {
    return f32_load(reinterpret_cast<const float*>(b + kLine * kDLine));
  }
  static PYLLM_INLINE F32 m(Block b) {
    return f32_load(reinterpret_cast<const float*>(b + kLine * (kDLine + 1)));
  }
};

template <class Format>
static void unpack_blocks(const uint8_t* tile, int64_t block, int64_t n_blocks, uint8_t* panel) {
  using P = BlockPanel<Format>;
  const auto b = Format::block(tile, block, n_blocks);
  PYLLM_UNROLL for (int group = 0; group < 8; ++group)
      u8_store(panel + kLine * group, Format::weights(b, group));
  f32_store(reinterpret_cast<float*>(panel + kLine * P::kDLine), Format::d(b));
  if constexpr (P::kMin)
    f32_store(reinterpret_cast<float*>(panel + kLine * (P::kDLine + 1)), Format::m(b));
}

// Block j of an activation block: sum[r][t] grows by its 32 products.
template <class F, int R, int T>
static PYLLM_INLINE void add_block(const typename F::Block (&block)[R],
                                   const Tokens<ActBlock8x32, T>& tokens, int64_t j,
                                   F32 (&sum)[R][T]) {
  I32 dot[R][T];
  const int8_t* act[T];
  PYLLM_UNROLL for (int t = 0; t < T; ++t) {
    act[t] = tokens.at[t]->q + 32 * j;
    PYLLM_UNROLL for (int r = 0; r < R; ++r) dot[r][t] = block_bias<F>(tokens.at[t]->bias8[j]);
  }
  add_dots<F::kBits, 8>([&](int r, int group) { return F::weights(block[r], group); }, act, dot);
  PYLLM_UNROLL for (int r = 0; r < R; ++r) {
    const F32 d = F::d(block[r]);
    PYLLM_UNROLL for (int t = 0; t < T; ++t) {
      const F32 scale = f32_mul(d, f32_set1(tokens.at[t]->d[j]));
      sum[r][t] = f32_fma(f32_from_i32(dot[r][t]), scale, sum[r][t]);
      if constexpr (F::kMin)
        sum[r][t] = f32_fma(F::m(block[r]), f32_set1(tokens.at[t]->sum[j]), sum[r][t]);
    }
  }
}

template <class F, int R, int T>
static void multiply_blocks(const MatmulTile& tile) {
  Tokens<ActBlock8x32, T> tokens(tile, tile.block / 8);
  F32 sum[R][T];
  load_sums(tile, sum);
  for (int64_t i = tile.block; i < tile.block_end; ++i) {
    const Ahead ahead = ahead_of<F>(tile, i);
    typename F::Block block[R];
    PYLLM_UNROLL for (int r = 0; r < R; ++r) {
      block[r] = F::block(tile.weights + r * tile.tile_bytes, i - tile.origin, tile.n_blocks);
      prefetch_part<kAheadInto<F>>(ahead.from + r * ahead.stride, ahead.bytes, 0, 1);
    }
    add_block<F>(block, tokens, i % 8, sum);
    if (i % 8 == 7) tokens.next();
  }
  store_sums(tile, sum);
}
