// Matrix multiplication over R16 tiles: cuts the work into register tiles and picks the format's
// kernels. Included per instruction set, which defines kTileGroup (16-row tiles a register tile
// spans) and kTokenGroup.

// Register tiles live in registers only when every loop over them is unrolled. The scalar unit
// leaves it out: it has no registers to fill and would take minutes to compile.
#ifdef PYLLM_ISA_UNROLL
#define PYLLM_UNROLL _Pragma("GCC unroll 16")
#else
#define PYLLM_UNROLL
#endif

// What a register tile's loop calls must end up in it: a call spills the tile. GCC 12 stops
// inlining somewhere in a unit of this size: with AVX2 that cost Q6_K 45 % (3 tokens, 67 and 123
// GMAC/s).
#define PYLLM_INLINE inline __attribute__((always_inline))

#include "kernels/stream.h"

// One register tile: kTileGroup 16-row tiles times up to kTokenGroup tokens, over a range of
// columns.
struct MatmulTile {
  const uint8_t* weights;    // packed tiles, or panels unpacked from them
  int64_t tile_bytes;        // 0: the group is one tile, multiplied twice and stored once
  int64_t cols;              // of the whole matrix
  int64_t n_blocks;          // of a whole row
  int64_t block, block_end;  // those to multiply
  int64_t origin;            // the first block that `weights` holds
  const uint8_t* act;
  int64_t act_stride, act_block_stride;
  float* y;
  int64_t ldy;
  int64_t rows;         // rows that exist, at most 16 * kTileGroup
  int64_t group_bytes;  // from a tile to the one that takes its place in the next group
  Ahead ahead;          // none: packed tiles ask for what follows them
};

static PYLLM_INLINE int32_t load_i32(const void* p) {
  int32_t value;
  memcpy(&value, p, sizeof value);
  return value;
}

// Sums of a register tile, between panels of columns kept unrounded in y. Where they begin, y is
// requested for the stores at the end, which wait for their lines one after the other: 32 tokens of
// a large matrix are 6 % faster (Zen 4; requests to write, -mprfchw, are no better).
template <int R, int T>
static inline void load_sums(const MatmulTile& tile, F32 (&sum)[R][T]) {
  PYLLM_UNROLL for (int t = 0; t < T; ++t) PYLLM_UNROLL for (int r = 0; r < R; ++r) {
    const float* y = tile.y + t * tile.ldy + kTileRows * r;
    const int64_t rows = tile.rows - kTileRows * r;
    if (tile.block > 0 && rows >= kTileRows) {
      sum[r][t] = f32_load(y);
    } else if (tile.block > 0 && rows > 0) {
      sum[r][t] = f32_load_n(y, rows);
    } else {
      sum[r][t] = f32_zero();
      if (rows > 0) __builtin_prefetch(y, 1, kIntoL1);
    }
  }
}
template <int R, int T>
static inline void store_sums(const MatmulTile& tile, const F32 (&sum)[R][T]) {
  PYLLM_UNROLL for (int t = 0; t < T; ++t) PYLLM_UNROLL for (int r = 0; r < R; ++r) {
    float* y = tile.y + t * tile.ldy + kTileRows * r;
    const int64_t rows = tile.rows - kTileRows * r;
    if (rows >= kTileRows)
      f32_store(y, sum[r][t]);
    else if (rows > 0)
      f32_store_n(y, sum[r][t], rows);
  }
}

// What block `i` requests, and where to: its own successor in the stream, or its share of what is
// read after all tokens have passed.
template <class F>
constexpr int kAheadInto = F::kStream ? kStreamInto : kIntoL1;
template <class F>
static PYLLM_INLINE Ahead ahead_of(const MatmulTile& tile, int64_t i) {
  if (F::kStream && tile.ahead.bytes == 0) {
    constexpr int64_t kBlocks = (kPrefetchBytes + F::kBytes - 1) / F::kBytes;
    return {tile.weights + block_offset(i + kBlocks, tile.n_blocks, F::kBytes, tile.group_bytes),
            tile.tile_bytes, F::kBytes};
  }
  return tile.ahead.share(i - tile.block, tile.block_end - tile.block);
}

#include "kernels/dot_lines.h"
#include "kernels/matmul_float.h"
// clang-format off
#include "kernels/weights_superblock.h"
#include "kernels/matmul_superblock.h"
#include "kernels/matmul_decoded.h"
#include "kernels/weights_block.h"
#include "kernels/matmul_block.h"
// clang-format on

// A panel holds 256 columns: at most 90 lines a tile (Q2_K's bytes, scales and minimums).
constexpr int64_t kMaxPanelTileBytes = 90 * kLine;
// A single token reads this many tiles side by side: in bench/bandwidth.py four streams read 10 to
// 20 % faster than one, and their sums hide each other's latency; on Zen 4 eight are 5 % faster
// still.
#ifndef PYLLM_ISA_STREAM_TILES
#define PYLLM_ISA_STREAM_TILES 4
#endif
constexpr int kStreamTiles = PYLLM_ISA_STREAM_TILES;
// Unpacking hides beside the products of six tokens; beside those of three, with AVX2, prompts are
// 7 % slower than with panels.
constexpr bool kUnpackHides = kTokenGroup >= 6;

using TileKernel = void (*)(const MatmulTile&);

// Kernels for 1 to kTokenGroup tokens.
struct TokenKernels {
  TileKernel at[6];
};

template <template <int> class K>
static constexpr TokenKernels token_kernels() {
  TokenKernels k = {};
  k.at[0] = K<1>::run;
  if constexpr (kTokenGroup > 1) k.at[1] = K<2>::run, k.at[2] = K<3>::run;
  if constexpr (kTokenGroup > 3) k.at[3] = K<4>::run;
  if constexpr (kTokenGroup > 4) k.at[4] = K<5>::run, k.at[5] = K<6>::run;
  return k;
}

struct FormatKernels;
using GroupKernel = void (*)(const FormatKernels&, MatmulTile group, int64_t n_tokens);

// Many tokens by tile registers, where the machine has them.
struct TileKernels {
  GroupKernel multiply;  // null: none
  int64_t fewest_tokens;
};

// How a format is multiplied: one token group straight from the packed tile; more a panel of
// columns at a time, which stays in L1 and for most formats holds the weights unpacked, or again
// straight from the packed tile, where the machine unpacks beside its products (panels_pay() is
// false).
struct FormatKernels {
  TileKernel stream;    // one token times kStreamTiles tiles; null: none
  TokenKernels packed;  // null: none
  bool unpack_hides;    // beside the products of a token group, on machines that can
  TokenKernels panel;
  void (*unpack)(const uint8_t* tile, int64_t block, int64_t n_blocks, uint8_t* panel);  // or null
  int64_t block_elems;     // columns of a block
  int64_t panel_blocks;    // blocks in a panel; 0: always straight from the packed tile
  int64_t unpacked_bytes;  // of a block of one tile
  int64_t packed_bytes;    // the same in the packed tile
  TileKernels tiles;
};

// All tokens times one tile group, in register tiles of equal height: 8 tokens are 4 + 4.
static inline void multiply_tokens(const TokenKernels& kernels, const MatmulTile& group,
                                   int64_t n_tokens) {
  MatmulTile part = group;
  const int64_t n_groups = (n_tokens + kTokenGroup - 1) / kTokenGroup;
  for (int64_t i = 0, t = 0; i < n_groups; ++i) {
    const int64_t n = (n_tokens - t + n_groups - i - 1) / (n_groups - i);
    part.ahead = group.ahead.share(i, n_groups);
    part.act = group.act + t * group.act_stride;
    part.y = group.y + t * group.ldy;
    kernels.at[n - 1](part);
    t += n;
  }
}

#ifdef PYLLM_ISA_TILES
#include "kernels/matmul_tiles.h"
template <class K>
static constexpr TileKernels tile_kernels() {
  return {multiply_by_tiles<K>, K::kFewestTokens};
}
#else
template <class>
struct SuperblockTiles {};
template <class>
struct BlockTiles {};
template <class K>
static constexpr TileKernels tile_kernels() {
  return {nullptr, 0};
}
#endif

template <class F>
struct SuperblockFormat {
  template <int T>
  struct Packed {
    static void run(const MatmulTile& tile) {
      multiply_superblocks<PackedSuperblocks<F>, kTileGroup, T>(tile);
    }
  };
  template <int T>
  struct Panel {
    static void run(const MatmulTile& tile) {
      multiply_superblocks<SuperblockPanel<F>, kTileGroup, T>(tile);
    }
  };
  static_assert(SuperblockPanel<F>::kBytes <= kMaxPanelTileBytes);
  static constexpr FormatKernels kernels() {
    return {multiply_superblocks<PackedSuperblocks<F>, kStreamTiles, 1>,
            token_kernels<Packed>(),
            kUnpackHides,
            token_kernels<Panel>(),
            unpack_superblocks<F>,
            256,
            1,
            SuperblockPanel<F>::kBytes,
            F::kBytes,
            tile_kernels<SuperblockTiles<F>>()};
  }
};

template <int T>
struct DecodedPanel {  // the same for every type
  static void run(const MatmulTile& tile) {
    multiply_superblocks<SuperblockPanel<DecodedQuants>, kTileGroup, T>(tile);
  }
};
template <int kType>
struct DecodedFormat {
  static constexpr FormatKernels kernels() {
    constexpr int64_t kBytes = SuperblockPanel<DecodedQuants>::kBytes;
    return {nullptr, {}, false, token_kernels<DecodedPanel>(), decode_panel<kType>, 256, 1,
            kBytes,  0,  {}};
  }
};

template <class F>
struct BlockFormat {
  template <int T>
  struct Packed {
    static void run(const MatmulTile& tile) {
      multiply_blocks<PackedBlocks<F>, kTileGroup, T>(tile);
    }
  };
  template <int T>
  struct Panel {
    static void run(const MatmulTile& tile) { multiply_blocks<BlockPanel<F>, kTileGroup, T>(tile); }
  };
  static_assert(8 * BlockPanel<F>::kBytes <= kMaxPanelTileBytes);
  static constexpr FormatKernels kernels() {
    constexpr TileKernel kStream = multiply_blocks<PackedBlocks<F>, kStreamTiles, 1>;
    constexpr TileKernels kTiles = tile_kernels<BlockTiles<F>>();
    if (F::kPlain)  // nothing to unpack: 16 KB of two tiles as they are
      return {
          kStream, token_kernels<Packed>(), false, token_kernels<Packed>(), nullptr, 32, 16, 0, 0,
          kTiles};
    return {kStream,
            token_kernels<Packed>(),
            kUnpackHides,
            token_kernels<Panel>(),
            unpack_blocks<F>,
            32,
            8,
            BlockPanel<F>::kBytes,
            F::kBytes,
            kTiles};
  }
};

template <class L>
struct FloatFormat {
  template <int T>
  struct Packed {
    static void run(const MatmulTile& tile) { multiply_lines<L, kTileGroup, T>(tile); }
  };
  static constexpr FormatKernels kernels() {
    return {multiply_lines<L, kStreamTiles, 1>,
            token_kernels<Packed>(),
            true,
            {},
            nullptr,
            1,
            0,
            0,
            0,
            {}};
  }
};

template <class Format>
static const FormatKernels* kernels_of() {
  static constexpr FormatKernels kKernels = Format::kernels();
  return &kKernels;
}

static const FormatKernels* kernels_for(int type) {
  switch (type) {
    case kF32:
      return kernels_of<FloatFormat<F32Line>>();
    case kF16:
      return kernels_of<FloatFormat<F16Line>>();
    case kBF16:
      return kernels_of<FloatFormat<BF16Line>>();
    case kQ4_0:
      return kernels_of<BlockFormat<Q4_0>>();
    case kQ4_1:
      return kernels_of<BlockFormat<Q4_1>>();
    case kQ5_0:
      return kernels_of<BlockFormat<Q5_0>>();
    case kQ5_1:
      return kernels_of<BlockFormat<Q5_1>>();
    case kQ8_0:
      return kernels_of<BlockFormat<Q8_0>>();
    case kIQ4_NL:
      return kernels_of<BlockFormat<IQ4NL>>();
    case kMXFP4:
      return kernels_of<BlockFormat<MXFP4>>();
    case kQ2_K:
      return kernels_of<SuperblockFormat<Q2K>>();
    case kQ3_K:
      return kernels_of<SuperblockFormat<Q3K>>();
    case kIQ4_XS:
      return kernels_of<SuperblockFormat<IQ4XS>>();
    case kQ4_K:
      return kernels_of<SuperblockFormat<Q4K>>();
    case kQ5_K:
      return kernels_of<SuperblockFormat<Q5K>>();
    case kQ6_K:
      return kernels_of<SuperblockFormat<Q6K>>();
    case kIQ1_S:
      return kernels_of<DecodedFormat<kIQ1_S>>();
    case kIQ1_M:
      return kernels_of<DecodedFormat<kIQ1_M>>();
    case kIQ2_XXS:
      return kernels_of<DecodedFormat<kIQ2_XXS>>();
    case kIQ2_XS:
      return kernels_of<DecodedFormat<kIQ2_XS>>();
    case kIQ2_S:
      return kernels_of<DecodedFormat<kIQ2_S>>();
    case kIQ3_XXS:
      return kernels_of<DecodedFormat<kIQ3_XXS>>();
    case kIQ3_S:
      return kernels_of<DecodedFormat<kIQ3_S>>();
    case kTQ1_0:
      return kernels_of<DecodedFormat<kTQ1_0>>();
    case kTQ2_0:
      return kernels_of<DecodedFormat<kTQ2_0>>();
    default:
      return nullptr;
  }
}

// The group's blocks [part->block, part->block_end), one byte a weight, into `panel`.
static inline void unpack_panel(const FormatKernels& format, const MatmulTile& group,
                                MatmulTile* part, uint8_t* panel) {
  const int64_t tile_bytes = format.panel_blocks * format.unpacked_bytes;
  const int64_t n_tiles = group.tile_bytes == 0 ? 1 : kTileGroup;
  for (int64_t r = 0; r < n_tiles; ++r) {
    for (int64_t i = part->block; i < part->block_end; ++i)
      format.unpack(group.weights + r * group.tile_bytes, i, group.n_blocks,
                    panel + r * tile_bytes + (i - part->block) * format.unpacked_bytes);
  }
  part->weights = panel;
  part->tile_bytes = group.tile_bytes == 0 ? 0 : tile_bytes;
  part->origin = part->block;
}

static inline void multiply_panels(const FormatKernels& format, const MatmulTile& group,
                                   int64_t n_tokens) {
  alignas(64) uint8_t panel[kTileGroup * kMaxPanelTileBytes];
  MatmulTile part = group;
  part.ahead = {nullptr, group.tile_bytes, format.panel_blocks * format.packed_bytes};
  for (; part.block < group.n_blocks; part.block = part.block_end) {
    const int64_t end = part.block + format.panel_blocks;
    part.block_end = end < group.n_blocks ? end : group.n_blocks;
    part.ahead.from = group.weights + block_offset(part.block_end, group.n_blocks,
                                                   format.packed_bytes, group.group_bytes);
    if (format.unpack != nullptr) unpack_panel(format, group, &part, panel);
    multiply_tokens(format.panel, part, n_tokens);
  }
}

// The tile group that begins at `tile`.
static inline MatmulTile tile_group(const MatmulArgs* m, int64_t block_elems, int64_t tile,
                                    int64_t n_tiles) {
  const int64_t n_blocks = m->w->cols / block_elems;
  const int64_t rows_left = m->w->rows - tile * kTileRows;
  return {.weights = m->w->data + tile * m->w->tile_bytes,
          .tile_bytes = n_tiles == 1 ? 0 : m->w->tile_bytes,
          .cols = m->w->cols,
          .n_blocks = n_blocks,
          .block = 0,
          .block_end = n_blocks,
          .origin = 0,
          .act = m->act,
          .act_stride = m->act_stride,
          .act_block_stride = m->act_block_stride,
          .y = m->y + (tile - m->tile_begin) * kTileRows,
          .ldy = m->ldy,
          .rows = rows_left < n_tiles * kTileRows ? rows_left : n_tiles * kTileRows,
          .group_bytes = n_tiles * m->w->tile_bytes,
          .ahead = {nullptr, 0, 0}};
}

static inline bool through_panels(const FormatKernels& format, int64_t n_tokens) {
  if (format.panel_blocks == 0) return false;
  if (format.packed.at[0] == nullptr) return true;
  return n_tokens > kTokenGroup && (panels_pay() || !format.unpack_hides);
}

// A weight group (32 rows, 74 KB of Q4_K at K = 4096) stays in L2 while all tokens pass by.
static void matmul(const MatmulArgs* m) {
  const FormatKernels* format = kernels_for(m->w->type);
  if (format == nullptr) return matmul_float_panels(m);
  int64_t tile = m->tile_begin;
  const bool stream = m->n_tokens == 1 && format->stream != nullptr;
  const bool panels = through_panels(*format, m->n_tokens);
  for (; stream && tile + kStreamTiles <= m->tile_end; tile += kStreamTiles)
    format->stream(tile_group(m, format->block_elems, tile, kStreamTiles));
  for (; tile < m->tile_end; tile += kTileGroup) {
    const int64_t n_tiles = m->tile_end - tile < kTileGroup ? m->tile_end - tile : kTileGroup;
    MatmulTile group = tile_group(m, format->block_elems, tile, n_tiles);
    if (format->tiles.multiply != nullptr && m->n_tokens >= format->tiles.fewest_tokens)
      format->tiles.multiply(*format, group, m->n_tokens);
    else if (panels)
      multiply_panels(*format, group, m->n_tokens);
    else {
      if (m->n_tokens > kTokenGroup)
        group.ahead = {group.weights + group.group_bytes, group.tile_bytes, m->w->tile_bytes};
      multiply_tokens(format->packed, group, m->n_tokens);
    }
  }
}
