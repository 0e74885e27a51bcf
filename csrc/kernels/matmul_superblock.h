// Superblock formats times int8 activations with one scale per 128 elements. Included per
// instruction set.
//
// Arithmetic of one output, the same for any tile, batch, thread count and instruction set: per
// half of a superblock (128 elements)
//   s = 0, then s = fma(scale_j, I_j, s) for ascending sub-blocks, where I_j is the exact integer
//       q . a of the sub-block (and s is never -0)
//   v = d * s, with minimums v = fnma(dmin, M, v), where M = sum of min_j * sum_j(a) is exact
//   y = fma(v, d_a, y)

// The current block of each token of a register tile.
template <class Block, int T>
struct Tokens {
  const Block* at[T];
  const int64_t block_stride;
  Tokens(const MatmulTile& tile, int64_t first) : block_stride(tile.act_block_stride) {
    const uint8_t* block = tile.act + first * block_stride;
    PYLLM_UNROLL for (int t = 0; t < T; ++t) at[t] =
        reinterpret_cast<const Block*>(block + t * tile.act_stride);
  }
  void next() {
    PYLLM_UNROLL for (int t = 0; t < T; ++t) at[t] =
        reinterpret_cast<const Block*>(reinterpret_cast<const uint8_t*>(at[t]) + block_stride);
  }
};

// -kOffset * (sum of the sub-block's activations): undoes the offset of its weights.
template <class F>
static PYLLM_INLINE I32 sub_block_bias(const ActBlock256& act, int k) {
  static_assert(F::kOffset == 0 || F::kOffset == 4 || F::kOffset == 32 || F::kOffset == 64 ||
                F::kOffset == 128);
  if constexpr (F::kOffset == 0 || Dot<F::kBits>::kSigned) return i32_zero();
  I32 bias = i32_set1(act.bias16[k / 16]);  // of 16 elements with an offset of 32
  if constexpr (F::kGroups == 8) bias = i32_add(bias, i32_set1(act.bias16[k / 16 + 1]));
  if constexpr (F::kOffset == 4) return i32_sar<3>(bias);  // exact: a multiple of 32
  if constexpr (F::kOffset == 64) return i32_shl<1>(bias);
  if constexpr (F::kOffset == 128) return i32_shl<2>(bias);
  return bias;
}

// What streams into L2 is requested once more, into L1, a block before its use: on AVX-512 VNNI 2
// to 4 tokens are 12 to 25 % faster so, 16 tokens 2 %, one and 32 are not.
template <class F>
constexpr bool kRequestsTwice = F::kStream && kStreamInto == kIntoL2;

// Nothing that was loaded stays in registers. Several sub-blocks share a line, GCC keeps all lines
// for those to come, and spills sums for them: 6 tokens of Q5_K 90 instead of 172 GMAC/s, one of
// Q4_K 64 instead of 107 (one core of a Zen 4, in L1).
static PYLLM_INLINE void forget_loads() { __asm__ volatile("" ::: "memory"); }

// s of one half, without d.
template <class F, class Block, int R, int T>
static PYLLM_INLINE void scaled_dots(const Block (&block)[R], const Ahead& ahead,
                                     const Tokens<ActBlock256, T>& tokens, int half,
                                     F32 (&scaled)[R][T]) {
  PYLLM_UNROLL for (int sub = 0; sub < F::kSubs; ++sub) {
    PYLLM_UNROLL for (int r = 0; r < R; ++r) {
      const int part = F::kSubs * half + sub, n_parts = 2 * F::kSubs;
      if (constexpr int kRun = F::kSubs / 4; sub % kRun == 0)  // every 32 elements will do
        prefetch_part<kAheadInto<F>>(ahead.from + r * ahead.stride, ahead.bytes, part / kRun, 8);
      if constexpr (kRequestsTwice<F>)
        prefetch_part<kIntoL1>(block[r].body + F::kBytes, F::kBytes, part, n_parts);
    }
    if constexpr (F::kStream) forget_loads();
    const int k = 128 * half + 4 * F::kGroups * sub;
    I32 dot[R][T];
    const int8_t* act[T];
    PYLLM_UNROLL for (int t = 0; t < T; ++t) {
      act[t] = tokens.at[t]->q + k;
      PYLLM_UNROLL for (int r = 0; r < R; ++r) dot[r][t] = sub_block_bias<F>(*tokens.at[t], k);
    }
    add_dots<F::kBits, F::kGroups>(
        [&](int r, int group) { return F::weights(block[r], half, sub, group); }, act, dot);
    PYLLM_UNROLL for (int r = 0; r < R; ++r) {
      const F32 scale = F::scale_f32(block[r], half, sub);
      PYLLM_UNROLL for (int t = 0; t < T; ++t) {
        const F32 exact = f32_from_i32(dot[r][t]);
        scaled[r][t] = f32_fma(exact, scale, sub == 0 ? f32_zero() : scaled[r][t]);
      }
    }
  }
}

template <class F>
static PYLLM_INLINE I32 min_dots(const typename F::Block& block, const ActBlock256& act, int half) {
  const int16_t* sums = F::kMins == 4 ? act.sum32 + 4 * half : act.sum16 + 8 * half;
  I32 total = i32_zero();
  PYLLM_UNROLL for (int pair = 0; pair < F::kMins / 2; ++pair) total =
      dot_i16(total, F::min_pair(block, half, pair), load_i32(sums + 2 * pair));
  return total;
}

template <class F, int R, int T>
static PYLLM_INLINE void add_half(const typename F::Block (&block)[R], const Ahead& ahead,
                                  const Tokens<ActBlock256, T>& tokens, int half,
                                  F32 (&sum)[R][T]) {
  F32 scaled[R][T];
  scaled_dots<F>(block, ahead, tokens, half, scaled);
  PYLLM_UNROLL for (int r = 0; r < R; ++r) {
    const F32 d = F::d(block[r]);
    PYLLM_UNROLL for (int t = 0; t < T; ++t) {
      F32 v = f32_mul(d, scaled[r][t]);
      if constexpr (F::kMins > 0)
        v = f32_fnma(F::dmin(block[r]), f32_from_i32(min_dots<F>(block[r], *tokens.at[t], half)),
                     v);
      sum[r][t] = f32_fma(v, f32_set1(tokens.at[t]->d[half]), sum[r][t]);
    }
  }
}

// F reads packed tiles or a panel.
template <class Format>
struct PackedSuperblocks : Format {
  using Block = SuperBlock;
  static constexpr bool kStream = true;
  static PYLLM_INLINE F32 scale_f32(const Block& b, int half, int sub) {
    return f32_from_i32(Format::scale(b, half, sub));
  }
};

// A block of a tile with one byte per weight and float scales: what many tokens share.
template <class Format>
struct SuperblockPanel {
  static constexpr int kBits = Format::kBits, kSubs = Format::kSubs, kGroups = Format::kGroups;
  static constexpr int kOffset = Format::kOffset, kMins = Format::kMins;
  static constexpr int kScaleLines = 64, kDLine = kScaleLines + 2 * kSubs;
  static constexpr int kMinLines = kDLine + 1 + (kMins > 0);
  static constexpr int64_t kBytes = kLine * (kMinLines + kMins);
  static constexpr bool kStream = false;
  using Block = const uint8_t*;
  static PYLLM_INLINE Block block(const uint8_t* panel, int64_t i, int64_t) {
    return panel + i * kBytes;
  }
  static PYLLM_INLINE U8 weights(Block b, int half, int sub, int group) {
    return u8_load(b + kLine * (32 * half + kGroups * sub + group));
  }
  static PYLLM_INLINE F32 f32_line(Block b, int line) {
    return f32_load(reinterpret_cast<const float*>(b + kLine * line));
  }
  static PYLLM_INLINE F32 scale_f32(Block b, int half, int sub) {
    return f32_line(b, kScaleLines + kSubs * half + sub);
  }
  static PYLLM_INLINE F32 d(Block b) { return f32_line(b, kDLine); }
  static PYLLM_INLINE F32 dmin(Block b) { return f32_line(b, kDLine + 1); }
  static PYLLM_INLINE I32 min_pair(Block b, int half, int pair) {
    return i32_load(b + kLine * (kMinLines + kMins / 2 * half + pair));
  }
};

template <class Format>
static void unpack_superblocks(const uint8_t* tile, int64_t block, int64_t n_blocks,
                               uint8_t* panel) {
  using P = SuperblockPanel<Format>;
  const SuperBlock b = Format::block(tile, block, n_blocks);
  const auto float_line = [&](int line) { return reinterpret_cast<float*>(panel + kLine * line); };
  PYLLM_UNROLL for (int half = 0; half < 2; ++half) {
    PYLLM_UNROLL for (int sub = 0; sub < P::kSubs; ++sub) {
      PYLLM_UNROLL for (int group = 0; group < P::kGroups; ++group)
          u8_store(panel + kLine * (32 * half + P::kGroups * sub + group),
                   Format::weights(b, half, sub, group));
      f32_store(float_line(P::kScaleLines + P::kSubs * half + sub),
                f32_from_i32(Format::scale(b, half, sub)));
    }
    if constexpr (P::kMins > 0) {
      PYLLM_UNROLL for (int pair = 0; pair < P::kMins / 2; ++pair)
          i32_store(panel + kLine * (P::kMinLines + P::kMins / 2 * half + pair),
                    Format::min_pair(b, half, pair));
    }
  }
  f32_store(float_line(P::kDLine), Format::d(b));
  if constexpr (P::kMins > 0) f32_store(float_line(P::kDLine + 1), Format::dmin(b));
}

template <class F, int R, int T>
static void multiply_superblocks(const MatmulTile& tile) {
  Tokens<ActBlock256, T> tokens(tile, tile.block);
  F32 sum[R][T];
  load_sums(tile, sum);
  for (int64_t i = tile.block; i < tile.block_end; ++i, tokens.next()) {
    typename F::Block block[R];
    PYLLM_UNROLL for (int r = 0; r < R; ++r) block[r] =
        F::block(tile.weights + r * tile.tile_bytes, i - tile.origin, tile.n_blocks);
    const Ahead ahead = ahead_of<F>(tile, i);
    add_half<F>(block, ahead, tokens, 0, sum);
    add_half<F>(block, ahead, tokens, 1, sum);
  }
  store_sums(tile, sum);
}
