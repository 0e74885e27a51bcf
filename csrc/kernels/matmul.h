// Matrix multiplication over R16 tiles: cuts the work into register tiles and picks the format's
// kernel. Included per instruction set, which defines kTileGroup (16-row tiles a register tile
// spans) and kTokenGroup.

// Register tiles live in registers only when every loop over them is unrolled. The scalar unit
// leaves it out: it has no registers to fill and would take minutes to compile.
#ifdef PYLLM_ISA_UNROLL
#define PYLLM_UNROLL _Pragma("GCC unroll 16")
#else
#define PYLLM_UNROLL
#endif

// How far ahead of use weights are requested: about 1 us of a 25 GB/s stream, two Q4_K blocks.
constexpr int64_t kPrefetchBytes = 4608;

// One register tile: up to kTileGroup 16-row tiles times up to kTokenGroup tokens.
struct MatmulTile {
  const uint8_t* weights;
  int64_t tile_bytes;
  int64_t cols;
  const uint8_t* act;
  int64_t act_stride;
  float* y;
  int64_t ldy;
  int64_t last_rows;  // rows of the last 16-row tile that exist
};

static inline int32_t load_i32(const void* p) {
  int32_t value;
  memcpy(&value, p, sizeof value);
  return value;
}

static inline void prefetch_lines(const uint8_t* p, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i += kLine) __builtin_prefetch(p + i);
}

template <int R, int T>
static inline void store_tile(const MatmulTile& tile, const F32 (&sum)[R][T]) {
  PYLLM_UNROLL for (int t = 0; t < T; ++t) {
    float* y = tile.y + t * tile.ldy;
    PYLLM_UNROLL for (int r = 0; r + 1 < R; ++r) f32_store(y + kTileRows * r, sum[r][t]);
    if (tile.last_rows == kTileRows)
      f32_store(y + kTileRows * (R - 1), sum[R - 1][t]);
    else
      f32_store_n(y + kTileRows * (R - 1), sum[R - 1][t], tile.last_rows);
  }
}

#include "kernels/matmul_float.h"
#include "kernels/matmul_kquant.h"
#include "kernels/matmul_q8x32.h"

using TileKernel = void (*)(const MatmulTile&);

// kernels[r - 1][t - 1] multiplies r tiles with t tokens.
struct TileKernels {
  TileKernel at[2][6];
};

template <template <int, int> class K>
static constexpr TileKernels tile_kernels() {
  TileKernels k = {};
  k.at[0][0] = K<1, 1>::run;
  if constexpr (kTokenGroup > 1) k.at[0][1] = K<1, 2>::run, k.at[0][2] = K<1, 3>::run;
  if constexpr (kTokenGroup > 3)
    k.at[0][3] = K<1, 4>::run, k.at[0][4] = K<1, 5>::run, k.at[0][5] = K<1, 6>::run;
  if constexpr (kTileGroup > 1) {
    k.at[1][0] = K<2, 1>::run, k.at[1][1] = K<2, 2>::run, k.at[1][2] = K<2, 3>::run;
    if constexpr (kTokenGroup > 3)
      k.at[1][3] = K<2, 4>::run, k.at[1][4] = K<2, 5>::run, k.at[1][5] = K<2, 6>::run;
  }
  return k;
}

#define PYLLM_TILE_KERNEL(name, function, format)                             \
  template <int R, int T>                                                     \
  struct name##Kernel {                                                       \
    static void run(const MatmulTile& tile) { function<format, R, T>(tile); } \
  };                                                                          \
  constexpr TileKernels k##name##Kernels = tile_kernels<name##Kernel>();

PYLLM_TILE_KERNEL(Q4K, multiply_superblocks, Q4K)
PYLLM_TILE_KERNEL(Q5K, multiply_superblocks, Q5K)
PYLLM_TILE_KERNEL(Q6K, multiply_superblocks, Q6K)
PYLLM_TILE_KERNEL(Q4_0, multiply_blocks, Q4_0)
PYLLM_TILE_KERNEL(Q8_0, multiply_blocks, Q8_0)
PYLLM_TILE_KERNEL(F32, multiply_lines, F32Line)
PYLLM_TILE_KERNEL(F16, multiply_lines, F16Line)
PYLLM_TILE_KERNEL(BF16, multiply_lines, BF16Line)
#undef PYLLM_TILE_KERNEL

static const TileKernels* kernels_for(int type) {
  switch (type) {
    case kF32:
      return &kF32Kernels;
    case kF16:
      return &kF16Kernels;
    case kBF16:
      return &kBF16Kernels;
    case kQ4_0:
      return &kQ4_0Kernels;
    case kQ8_0:
      return &kQ8_0Kernels;
    case kQ4_K:
      return &kQ4KKernels;
    case kQ5_K:
      return &kQ5KKernels;
    case kQ6_K:
      return &kQ6KKernels;
    default:
      return nullptr;
  }
}

// A weight group (32 rows, 74 KB of Q4_K at K = 4096) stays in L2 while all tokens pass by.
static void matmul(const MatmulArgs* m) {
  const TileKernels* kernels = kernels_for(m->w->type);
  if (kernels == nullptr) return matmul_decoded(m);
  for (int64_t tile = m->tile_begin; tile < m->tile_end; tile += kTileGroup) {
    const int64_t n_tiles = m->tile_end - tile < kTileGroup ? m->tile_end - tile : kTileGroup;
    const int64_t rows_left = m->w->rows - (tile + n_tiles - 1) * kTileRows;
    MatmulTile part = {m->w->data + tile * m->w->tile_bytes,
                       m->w->tile_bytes,
                       m->w->cols,
                       nullptr,
                       m->act_stride,
                       nullptr,
                       m->ldy,
                       rows_left < kTileRows ? rows_left : kTileRows};
    for (int64_t t = 0; t < m->n_tokens; t += kTokenGroup) {
      const int64_t n_tokens = m->n_tokens - t < kTokenGroup ? m->n_tokens - t : kTokenGroup;
      part.act = static_cast<const uint8_t*>(m->act) + t * m->act_stride;
      part.y = m->y + t * m->ldy + (tile - m->tile_begin) * kTileRows;
      kernels->at[n_tiles - 1][n_tokens - 1](part);
    }
  }
}
