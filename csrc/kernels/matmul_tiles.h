// Products with many tokens by the tile registers of AMX. Included by the unit of that instruction
// set alone.
//
// A panel of 256 columns of 16 rows becomes right tiles: a line of R16, 16 rows x 4 columns, is one
// row of such a tile. The int8 activations of up to 16 tokens are a left tile as they lie. The
// exact integer sums go to memory, where the vector unit scales them and adds them to y while the
// tile unit is busy with the next ones.

constexpr int64_t kTileTokens = 16;
// A load waits for a store under way to an address that differs by a multiple of 4 KB. Line t of
// each sum and of each tile of results belongs to token t, and with this alignment shares its low
// address bits with no other token: its result is stored after its sums were loaded. Without it
// products with 128 tokens take a fifth longer.
constexpr int64_t kTileAlign = kLine * kTileTokens;
constexpr int64_t kMostTileTokens = 128;  // at once: their results take 16 KB

// 16 rows times up to 16 tokens, over a panel.
struct TileStep {
  const uint8_t* planes;  // the right tiles
  const uint8_t* scales;  // what else the panel needs
  const uint8_t* act;     // the panel's block of the first token
  int64_t act_stride;
  float* y;  // [16 tokens][16 rows]
  // Tokens of the left tile, and how many of them an earlier step has done: the last tile overlaps
  // the one before, so that all have one shape.
  int64_t n_tokens, n_done;
  // Of the panel, the first that this step multiplies.
  int64_t block;
  // The panel after the next: its lines are requested evenly by all additions to this panel's
  // results, `ahead_lines` by `ahead_turns` of them, of which `ahead_done` came before this step.
  const uint8_t* ahead;
  int64_t ahead_lines, ahead_turns, ahead_done;

  template <class Block>
  inline const Block& token(int64_t t) const {
    return *reinterpret_cast<const Block*>(act + t * act_stride);
  }
};

constexpr TileStep kNoStep = {nullptr, nullptr, nullptr, 0, nullptr, 0, 0, 0, nullptr, 0, 1, 0};

static inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// Where adding stands: the next token of a step, and what it reads and writes.
struct TokenRows {
  const uint8_t* act;
  float* y;
  const int32_t* sums;
  int64_t n_left;
  const uint8_t* ahead;
  int64_t due;  // in parts of `turns`: how much of the next line
  const int64_t lines, turns, act_stride;

  PYLLM_INLINE TokenRows(const TileStep& s, const int32_t* all_sums)
      : act(s.act + s.n_done * s.act_stride),
        y(s.y + kTileRows * s.n_done),
        sums(all_sums + kTileRows * s.n_done),
        n_left(s.n_tokens - s.n_done),
        ahead(s.ahead + kLine * (s.ahead_lines * s.ahead_done / s.ahead_turns)),
        due(s.ahead_lines * s.ahead_done % s.ahead_turns),
        lines(s.ahead_lines),
        turns(s.ahead_turns),
        act_stride(s.act_stride) {}
  PYLLM_INLINE void next() {
    --n_left;
    act += act_stride;
    y += kTileRows;
    sums += kTileRows;
    for (due += lines; due >= turns; due -= turns, ahead += kLine) __builtin_prefetch(ahead);
  }
};

static inline I32 both_words(I32 v) {  // the low word of each lane in both of its words
  return i32_or(i32_and(v, i32_set1(0xffff)), i32_shl<16>(v));
}

// A weight without its d is the integer scale * (byte - kOffset), which one byte seldom holds: it
// is cut into two planes with a sum each, I = low + high * 2^kShift. Scales without a sign are cut
// themselves, byte * (scale % 8) and byte * (scale / 8), which is one multiplication of two bytes a
// plane; other products are computed and cut into their bytes.
//
// The chain of roundings in matmul_superblock.h gives the exact I as long as no partial sum reaches
// 2^24. Where the format alone does not promise that, the Cauchy-Schwarz inequality must: the sum
// of the squares of a row's weights times that of the token's activations.
template <class F>
struct SuperblockTiles {
  static constexpr int kLargest = F::kMostScale * F::kMostQuant;
  static constexpr bool kCutScale = F::kOffset == 0;
  static constexpr int kPlanes = kCutScale && kLargest < 256 ? 1 : 2;
  static constexpr int kShift = kCutScale ? 3 : 8;
  // Fewer tokens are multiplied faster than their weights become tiles: unpacking Q6_K took three
  // times as long as Q4_K when its nibbles and high bits were apart; 30 is from that time.
  static constexpr int64_t kFewestTokens = kCutScale ? 14 : 30;
  static constexpr int kOffsetBits = F::kOffset == 4 ? 2 : F::kOffset == 32 ? 5 : 7;
  static constexpr bool kAlwaysExact = 128 * 127 * kLargest < 1 << 24;

  static constexpr int64_t kPlaneBytes = 64 * kLine * kPlanes;
  // Lines of scales: d, dmin, minimums in pairs of words, the largest sum of squares of each half.
  static constexpr int kMinLines = 1 + (F::kMins > 0);
  static constexpr int64_t kSquares = kLine * (kMinLines + F::kMins);
  static constexpr int64_t kScaleBytes = kSquares + kLine;
  static constexpr int64_t kSums = 2 * kPlanes * kTileRows * kTileTokens;
  static constexpr int64_t kPanelBlocks = 1, kBlockElems = 256, kPackedBytes = F::kBytes;
  static constexpr int64_t kStepBlocks = 1;

  static TileShapes shapes(int64_t n_tokens) {
    TileShapes s;
    for (int tile = 0; tile < 6; ++tile) s.set(tile, n_tokens, kLine);
    for (int tile = 6; tile < 8; ++tile) s.set(tile, kTileRows, kLine);
    return s;
  }

  // ---- from the packed tile to the panel ----
  static constexpr int64_t plane_at(int half, int step, int plane) {
    return kLine * kTileRows * (kPlanes * (2 * half + step) + plane);
  }
  // Of a half, in two sums: one would be a chain of 64 products that wait 5 cycles each.
  struct Squares {
    I32 even, odd;
  };
  struct Source {  // what is being unpacked, and where to
    SuperBlock block;
    uint8_t *planes, *scales;
    Squares squares;

    Source(const uint8_t* tile, int64_t first, int64_t, int64_t n_blocks, uint8_t* to_planes,
           uint8_t* to_scales)
        : block(F::block(tile, first, n_blocks)), planes(to_planes), scales(to_scales) {}
  };
  static constexpr int kDots = 4 * kPlanes, kSlices = kDots;  // so that turns unpack all of them
  template <int kSlice>
  static PYLLM_INLINE void unpack_slice(Source& s, int64_t) {
    constexpr int kSliceSubs = 2 * F::kSubs / kSlices;
    constexpr int kFirst = kSlice * kSliceSubs, kHalf = kFirst / F::kSubs;
    const SuperBlock b = s.block;
    if constexpr (kFirst % F::kSubs == 0) unpack_scales<kHalf>(s);
    Squares squares = kFirst % F::kSubs == 0 ? Squares{i32_zero(), i32_zero()} : s.squares;
    PYLLM_UNROLL for (int i = kFirst; i < kFirst + kSliceSubs; ++i)
        unpack_sub(b, kHalf, i % F::kSubs, s.planes, squares);
    if constexpr (!kAlwaysExact) {
      s.squares = squares;
      if constexpr ((kFirst + kSliceSubs) % F::kSubs == 0)
        reinterpret_cast<float*>(s.scales + kSquares)[kHalf] = largest_square(squares);
    }
  }
  template <int kHalf>
  static PYLLM_INLINE void unpack_scales(const Source& s) {
    auto* lines = reinterpret_cast<float*>(s.scales);
    if constexpr (kHalf == 0) f32_store(lines, F::d(s.block));
    if constexpr (F::kMins > 0) {
      if constexpr (kHalf == 0) f32_store(lines + kTileRows, F::dmin(s.block));
      PYLLM_UNROLL for (int pair = 0; pair < F::kMins / 2; ++pair)
          i32_store(s.scales + kLine * (kMinLines + F::kMins / 2 * kHalf + pair),
                    F::min_pair(s.block, kHalf, pair));
    }
  }
  static PYLLM_INLINE void unpack_sub(const SuperBlock& b, int half, int sub, uint8_t* planes,
                                      Squares& squares) {
    const I32 scale = F::scale(b, half, sub);
    PYLLM_UNROLL for (int group = 0; group < F::kGroups; ++group) {
      const int line = F::kGroups * sub + group, step = line / 16;
      uint8_t* low = planes + plane_at(half, step, 0) + kLine * (line % 16);
      uint8_t* high = planes + plane_at(half, step, 1) + kLine * (line % 16);
      const U8 quants = F::weights(b, half, sub, group);
      if constexpr (kPlanes == 1) {
        i32_store(low, i16_mul(as_words(quants), both_words(scale)));
      } else if constexpr (kCutScale) {
        const I32 fine = both_words(i32_and(scale, i32_set1(7)));
        i32_store(low, i16_mul(as_words(quants), fine));
        i32_store(high, i16_mul(as_words(quants), both_words(i32_shr<3>(scale))));
      } else {
        const I32 factor = both_words(i32_and(scale, i32_set1(0xff)));
        const I32 offset = both_words(i32_shl<kOffsetBits>(scale));
        const I32 even = i16_sub(i16_dot_u8(quants, factor), offset);
        const I32 odd = i16_sub(i16_dot_u8(quants, i32_shl<8>(factor)), offset);
        i32_store(low, low_bytes(even, odd));
        i32_store(high, high_bytes(even, odd));
        if constexpr (!kAlwaysExact)
          squares = {square_words(squares.even, even), square_words(squares.odd, odd)};
      }
    }
  }
  static PYLLM_INLINE float largest_square(const Squares& squares) {
    if constexpr (kCutScale) return 128.0f * kLargest * kLargest;
    return f32_reduce_max(f32_from_u32(i32_add(squares.even, squares.odd)));
  }

  static inline bool fits(const TileStep& s, int64_t) {
    if constexpr (kAlwaysExact) return true;
    const auto* rows = reinterpret_cast<const float*>(s.scales + kSquares);
    int32_t largest[2] = {0, 0};
    for (int64_t t = 0; t < s.n_tokens; ++t) {
      PYLLM_UNROLL for (int half = 0; half < 2; ++half) {
        const int32_t square = s.token<ActBlock256>(t).square[half];
        largest[half] = square > largest[half] ? square : largest[half];
      }
    }
    constexpr float kLimit = 281'400'000'000'000.0f;  // 2^48, less the rounding of the products
    return rows[0] * static_cast<float>(largest[0]) < kLimit &&
           rows[1] * static_cast<float>(largest[1]) < kLimit;
  }

  // ---- the integer sums: tiles 0 to 3 sums, 4 and 5 left, 6 and 7 right ----
  template <int kDot>
  static PYLLM_INLINE void dot(const TileStep& s) {
    // All sums once, then all again: a product that waits for the one before takes 52 cycles,
    // not 16.
    constexpr int kSum = kDot % (2 * kPlanes), kStep = kDot / (2 * kPlanes);
    constexpr int kHalf = kSum / kPlanes, kPlane = kSum % kPlanes;
    constexpr int kLeft = 4 + kHalf, kRight = 6 + kPlane;
    if constexpr (kStep == 0) tile_zero<kSum>();
    if constexpr (kPlane == 0) tile_load<kLeft>(s.act + 128 * kHalf + 64 * kStep, s.act_stride);
    tile_load<kRight>(s.planes + plane_at(kHalf, kStep, kPlane), kLine);
    tile_dot<kSum, kLeft, kRight, kPlane == 1 && !kCutScale>();
  }
  static PYLLM_INLINE void store(int32_t* sums) {
    constexpr int64_t kTile = kTileRows * kTileTokens;
    tile_store<0>(sums, kLine);
    tile_store<1>(sums + kTile, kLine);
    if constexpr (kPlanes == 2) tile_store<2>(sums + 2 * kTile, kLine);
    if constexpr (kPlanes == 2) tile_store<3>(sums + 3 * kTile, kLine);
  }

  // ---- from the sums to y ----
  class Adder {
   public:
    PYLLM_INLINE Adder(const TileStep& s, const int32_t* sums) : at_(s, sums) {
      if (!any()) return;
      const auto* lines = reinterpret_cast<const float*>(s.scales);
      d_ = f32_load(lines);
      if constexpr (kPairs > 0) dmin_ = f32_load(lines + kTileRows);
      PYLLM_UNROLL for (int i = 0; i < 2 * kPairs; ++i) mins_[i] =
          i32_load(s.scales + kLine * (kMinLines + i));
    }
    PYLLM_INLINE bool any() const { return at_.n_left > 0; }
    PYLLM_INLINE void token() {
      const auto& act = *reinterpret_cast<const ActBlock256*>(at_.act);
      F32 y = f32_load(at_.y);
      PYLLM_UNROLL for (int half = 0; half < 2; ++half) {
        F32 v = f32_mul(d_, sum_of(half));
        if constexpr (kPairs > 0) v = f32_fnma(dmin_, f32_from_i32(min_dots(act, half)), v);
        y = f32_fma(v, f32_set1(act.d[half]), y);
      }
      f32_store(at_.y, y);
      at_.next();
    }

   private:
    static constexpr int kPairs = F::kMins / 2;
    // I as a float: one rounding at most, since both sums are below 2^24.
    PYLLM_INLINE F32 sum_of(int half) const {
      const int32_t* low = at_.sums + kTileRows * kTileTokens * kPlanes * half;
      const F32 fine = f32_from_i32(i32_load(low));
      if constexpr (kPlanes == 1) return fine;
      const F32 coarse = f32_from_i32(i32_load(low + kTileRows * kTileTokens));
      return f32_fma(coarse, f32_set1(1 << kShift), fine);
    }
    PYLLM_INLINE I32 min_dots(const ActBlock256& act, int half) const {
      const int16_t* sums = kPairs == 2 ? act.sum32 + 4 * half : act.sum16 + 8 * half;
      I32 total = i32_zero();
      PYLLM_UNROLL for (int pair = 0; pair < kPairs; ++pair) total =
          dot_i16(total, mins_[kPairs * half + pair], load_i32(sums + 2 * pair));
      return total;
    }

    TokenRows at_;
    F32 d_, dmin_;
    I32 mins_[2 * kPairs + 1];
  };
};

// Block formats: bytes less their offset, a sum for each 32 columns. A tile holds 32 of 64 bytes.
template <class F>
struct BlockTiles {
  static constexpr int64_t kPanelBlocks = 8, kBlockElems = 32, kPackedBytes = F::kBytes;
  static constexpr int64_t kFewestTokens = 14;
  static constexpr int64_t kBlockBytes = 8 * kLine;
  static constexpr int64_t kPlaneBytes = kPanelBlocks * kBlockBytes;
  static constexpr int64_t kScaleBytes = kLine * kPanelBlocks * (F::kMin ? 2 : 1);  // d, m
  static constexpr int64_t kStepBlocks = 4;
  static constexpr int64_t kSums = kStepBlocks * kTileRows * kTileTokens;

  static TileShapes shapes(int64_t n_tokens) {
    TileShapes s;
    for (int tile = 0; tile < 4; ++tile) s.set(tile, n_tokens, kLine);
    for (int tile = 4; tile < 6; ++tile) s.set(tile, n_tokens, 32);
    for (int tile = 6; tile < 8; ++tile) s.set(tile, 8, kLine);
    return s;
  }

  struct Source {  // what is being unpacked, and where to
    const uint8_t* tile;
    int64_t first, n, n_blocks;  // blocks
    uint8_t *planes, *scales;
  };
  static constexpr int kSlices = kPanelBlocks;
  template <int kSlice>
  static PYLLM_INLINE void unpack_slice(Source& s, int64_t from) {
    const int64_t j = from + kSlice;
    if (j >= s.n) return;
    const auto b = F::block(s.tile, s.first + j, s.n_blocks);
    PYLLM_UNROLL for (int group = 0; group < 8; ++group)
        u8_store(s.planes + kBlockBytes * j + kLine * group,
                 i8_sub(F::weights(b, group), u8_set1(F::kOffset)));
    auto* lines = reinterpret_cast<float*>(s.scales);
    f32_store(lines + kTileRows * j, F::d(b));
    if constexpr (F::kMin) f32_store(lines + kTileRows * (kPanelBlocks + j), F::m(b));
  }

  static constexpr int kDots = kStepBlocks;
  template <int kDot>
  static PYLLM_INLINE void dot(const TileStep& s) {
    constexpr int kLeft = 4 + kDot % 2, kRight = 6 + kDot % 2;
    tile_zero<kDot>();
    tile_load<kLeft>(s.act + 32 * (s.block + kDot), s.act_stride);
    tile_load<kRight>(s.planes + kBlockBytes * (s.block + kDot), kLine);
    tile_dot<kDot, kLeft, kRight, true>();
  }
  static PYLLM_INLINE void store(int32_t* sums) {
    constexpr int64_t kTile = kTileRows * kTileTokens;
    tile_store<0>(sums, kLine);
    tile_store<1>(sums + kTile, kLine);
    tile_store<2>(sums + 2 * kTile, kLine);
    tile_store<3>(sums + 3 * kTile, kLine);
  }

  class Adder {
   public:
    PYLLM_INLINE Adder(const TileStep& s, const int32_t* sums) : at_(s, sums), block_(s.block) {
      if (!any()) return;
      const auto* lines = reinterpret_cast<const float*>(s.scales + kLine * s.block);
      PYLLM_UNROLL for (int64_t j = 0; j < kStepBlocks; ++j) {
        d_[j] = f32_load(lines + kTileRows * j);
        if constexpr (F::kMin) m_[j] = f32_load(lines + kTileRows * (kPanelBlocks + j));
      }
    }
    PYLLM_INLINE bool any() const { return at_.n_left > 0; }
    PYLLM_INLINE void token() {
      const auto& act = *reinterpret_cast<const ActBlock8x32*>(at_.act);
      F32 y = f32_load(at_.y);
      PYLLM_UNROLL for (int64_t j = 0; j < kStepBlocks; ++j) {
        const F32 sum = f32_from_i32(i32_load(at_.sums + kTileRows * kTileTokens * j));
        y = f32_fma(sum, f32_mul(d_[j], f32_set1(act.d[block_ + j])), y);
        if constexpr (F::kMin) y = f32_fma(m_[j], f32_set1(act.sum[block_ + j]), y);
      }
      f32_store(at_.y, y);
      at_.next();
    }

   private:
    TokenRows at_;
    const int64_t block_;
    F32 d_[kStepBlocks], m_[kStepBlocks];
  };

  // The blocks left at the end of a row may be less than a step.
  static inline bool fits(const TileStep&, int64_t n_blocks) { return n_blocks % kStepBlocks == 0; }
};

template <class K, int kSlice = 0>
static inline void unpack_slices(typename K::Source& source, int64_t begin, int64_t end) {
  if constexpr (kSlice < K::kSlices) {
    if (kSlice >= begin && kSlice < end) K::template unpack_slice<kSlice>(source, 0);
    unpack_slices<K, kSlice + 1>(source, begin, end);
  }
}

// The tile unit computes the sums of a step while the vector unit adds those of two steps before
// (the sums between are on their way through the store buffer, and loading them would wait for it)
// and unpacks weights. Both units get their work in small turns, since neither finds its own behind
// a run of the other's.
template <class K>
class TilePipeline {
 public:
  // Unpacks the slices [begin, end) meanwhile; kTurns: one a turn.
  template <bool kTurns>
  inline void push(const TileStep& step, typename K::Source& source, int64_t begin, int64_t end) {
    // Field by field: copied as a whole, it would be vector loads of fresh scalars.
    TileStep& newest = steps_[newest_];
    newest.planes = step.planes;
    newest.scales = step.scales;
    newest.act = step.act;
    newest.act_stride = step.act_stride;
    newest.y = step.y;
    newest.n_tokens = step.n_tokens;
    newest.n_done = step.n_done;
    newest.block = step.block;
    newest.ahead = step.ahead;
    newest.ahead_lines = step.ahead_lines;
    newest.ahead_turns = step.ahead_turns;
    newest.ahead_done = step.ahead_done;
    if constexpr (!kTurns) unpack_slices<K>(source, begin, end);
    typename K::Adder adder(steps_[(newest_ + 1) % 3], sums_[half_]);
    turn<0, kTurns>(newest, adder, source, begin);
    K::store(sums_[half_]);
    advance();
  }
  inline void finish() {
    for (int i = 0; i < 2; ++i, advance()) {
      for (typename K::Adder adder(steps_[(newest_ + 1) % 3], sums_[half_]); adder.any();)
        adder.token();
      steps_[newest_].n_tokens = steps_[newest_].n_done;
    }
  }

 private:
  template <int kDot, bool kTurns>
  static PYLLM_INLINE void turn(const TileStep& step, typename K::Adder& adder,
                                typename K::Source& source, int64_t slice) {
    if constexpr (kDot < K::kDots) {
      K::template dot<kDot>(step);
      PYLLM_UNROLL for (int i = 0; i < kTileTokens / K::kDots; ++i) if (adder.any()) adder.token();
      if constexpr (kTurns) K::template unpack_slice<kDot>(source, slice);
      turn<kDot + 1, kTurns>(step, adder, source, slice);
    }
  }
  inline void advance() {
    newest_ = (newest_ + 1) % 3;
    half_ ^= 1;
  }

  alignas(kTileAlign) int32_t sums_[2][K::kSums];
  TileStep steps_[3] = {kNoStep, kNoStep, kNoStep};  // after the newest comes the oldest
  int newest_ = 0, half_ = 0;
};

// Two row tiles of a matrix times up to kMostTileTokens tokens.
template <class K>
class TileGroup {
 public:
  TileGroup(const FormatKernels& format, const MatmulTile& group, int64_t n_tokens)
      : format_(format),
        group_(group),
        n_tokens_(n_tokens),
        shape_(smaller(n_tokens, kTileTokens)) {
    memset(y_, 0, static_cast<size_t>((n_tokens + kTileTokens - 1) / kTileTokens) * sizeof y_[0]);
  }

  void multiply() {
    tiles_configure(K::shapes(shape_));
    Source source = source_of(0);
    unpack_slices<K>(source, 0, K::kSlices);
    for (int64_t unit = 0; unit < n_units(); ++unit) multiply_unit(unit);
    pipeline_.finish();
    tiles_release();
    store();
  }

 private:
  using Source = typename K::Source;

  // A unit is a panel of one row tile: both tiles of a panel, then those of the next.
  int64_t n_tiles() const { return group_.tile_bytes == 0 ? 1 : kTileGroup; }
  int64_t n_units() const {
    return (group_.n_blocks + K::kPanelBlocks - 1) / K::kPanelBlocks * n_tiles();
  }
  int64_t tile_of(int64_t unit) const { return unit % n_tiles(); }
  int64_t block_of(int64_t unit) const { return unit / n_tiles() * K::kPanelBlocks; }
  int64_t blocks_of(int64_t unit) const {
    return smaller(K::kPanelBlocks, group_.n_blocks - block_of(unit));
  }
  // While a unit is multiplied, the next one is unpacked, and the two before wait in the pipeline.
  uint8_t* planes(int64_t unit) { return planes_[unit % 2]; }
  uint8_t* scales(int64_t unit) { return scales_[unit % 4]; }
  Source source_of(int64_t unit) {
    return {group_.weights + tile_of(unit) * group_.tile_bytes,
            block_of(unit),
            blocks_of(unit),
            group_.n_blocks,
            planes(unit),
            scales(unit)};
  }

  void multiply_unit(int64_t unit) {
    constexpr int64_t kPanelLines = (K::kPanelBlocks * K::kPackedBytes + kLine - 1) / kLine;
    const int64_t block = block_of(unit), count = blocks_of(unit), r = tile_of(unit);
    const uint8_t* ahead = group_.weights + r * group_.tile_bytes +
                           block_offset(block + 2 * K::kPanelBlocks, group_.n_blocks,
                                        K::kPackedBytes, group_.group_bytes);
    const uint8_t* act = group_.act + block * K::kBlockElems / 256 * group_.act_block_stride;
    const bool more = unit + 1 < n_units();
    Source next = source_of(more ? unit + 1 : unit);
    const int64_t n_parts = (count + K::kStepBlocks - 1) / K::kStepBlocks;
    const int64_t n_steps = (n_tokens_ + shape_ - 1) / shape_ * n_parts;
    int64_t n_unpacked = 0, step_number = 0;
    for (int64_t t = 0; t < n_tokens_; t += shape_) {
      const int64_t first = first_of(t);
      TileStep step{.planes = planes(unit),
                    .scales = scales(unit),
                    .act = act + first * group_.act_stride,
                    .act_stride = group_.act_stride,
                    .y = y_[t / kTileTokens][r],
                    .n_tokens = shape_,
                    .n_done = t - first,
                    .block = 0,
                    .ahead = ahead,
                    .ahead_lines = kPanelLines,
                    .ahead_turns = n_parts * n_tokens_,
                    .ahead_done = n_parts * t};
      if (!K::fits(step, count)) {
        multiply_packed(step, r, block, count);
        step_number += n_parts;
        continue;
      }
      for (; step.block < count; step.block += K::kStepBlocks) {
        const int64_t end = more ? K::kSlices * ++step_number / n_steps : 0;
        if (end - n_unpacked == K::kDots)
          pipeline_.template push<true>(step, next, n_unpacked, end);
        else
          pipeline_.template push<false>(step, next, n_unpacked, end);
        n_unpacked = end > n_unpacked ? end : n_unpacked;
        step.ahead_done += shape_ - step.n_done;
      }
    }
    if (more) unpack_slices<K>(next, n_unpacked, K::kSlices);
  }

  void multiply_packed(const TileStep& step, int64_t r, int64_t block, int64_t count) {
    pipeline_.finish();  // earlier columns of the same results
    MatmulTile part = group_;
    part.weights = group_.weights + r * group_.tile_bytes;
    part.tile_bytes = 0;
    part.block = block;
    part.block_end = block + count;
    part.rows = kTileRows;
    part.ahead = {nullptr, 0, 0};
    // The kernels find the block themselves, from the first one.
    part.act = step.act + step.n_done * step.act_stride -
               block * K::kBlockElems / 256 * group_.act_block_stride;
    part.y = step.y + kTileRows * step.n_done;
    part.ldy = kTileRows;
    multiply_tokens(format_.packed, part, step.n_tokens - step.n_done);
  }

  void store() {
    for (int64_t t = 0; t < n_tokens_; ++t) {
      const int64_t tile = t / kTileTokens, first = first_of(tile * kTileTokens);
      for (int64_t r = 0; r < n_tiles(); ++r)
        f32_store_n(group_.y + t * group_.ldy + r * kTileRows,
                    f32_load(y_[tile][r] + kTileRows * (t - first)),
                    smaller(kTileRows, group_.rows - r * kTileRows));
    }
  }

  int64_t first_of(int64_t t) const { return smaller(t, n_tokens_ - shape_); }

  const FormatKernels& format_;
  const MatmulTile& group_;
  const int64_t n_tokens_, shape_;
  TilePipeline<K> pipeline_;
  alignas(kTileAlign) float y_[kMostTileTokens / kTileTokens][kTileGroup][kTileRows * kTileTokens];
  alignas(64) uint8_t planes_[2][K::kPlaneBytes];
  alignas(64) uint8_t scales_[4][K::kScaleBytes];
};

template <class K>
static void multiply_by_tiles(const FormatKernels& format, MatmulTile group, int64_t n_tokens) {
  const int64_t n_parts = (n_tokens + kMostTileTokens - 1) / kMostTileTokens;
  for (int64_t i = 0; i < n_parts; ++i) {
    const int64_t n = n_tokens * (i + 1) / n_parts - n_tokens * i / n_parts;
    TileGroup<K>(format, group, n).multiply();
    group.act += n * group.act_stride;
    group.y += n * group.ldy;
  }
}
