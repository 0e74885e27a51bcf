// How a product of rows with a matrix is cut: chunks of tiles for the workers, passes that fit the
// caches.
#ifndef PYLLM_CSRC_OPS_MATMUL_CUT_H_
#define PYLLM_CSRC_OPS_MATMUL_CUT_H_

#include <algorithm>
#include <cstdint>

#include "isa/select.h"
#include "kernels/table.h"

namespace pyllm {

constexpr int64_t kPassTiles = 2;  // 32 rows: what a register tile spans at most
constexpr int64_t kScratchTokens = 128;
constexpr int64_t kScratchFloats = kPassTiles * kTileRows * kScratchTokens;  // 16 KB: L1
constexpr int64_t kFewTokens = 8;
constexpr int64_t kStreamBytes = 192 << 10, kChunkBytes = 320 << 10;  // of a chunk's weights

// Tiles per chunk, of n_tiles in all: as many as their cache share allows, and at least four chunks
// a worker. Few tokens: a chunk is a piece of the weight stream. Many: its weights and a block of
// tokens share the L2 cache (1 MB on server cores), so that each token is fetched from beyond it
// once a chunk.
inline int64_t chunk_tiles(int64_t n_tiles, int64_t tile_bytes, int64_t n_tokens, int n_workers) {
  constexpr int64_t kMaxChunkTiles = 16;
  const int64_t bytes = n_tokens < kFewTokens ? kStreamBytes : kChunkBytes;
  int64_t tiles =
      std::clamp(bytes / tile_bytes / kPassTiles * kPassTiles, kPassTiles, kMaxChunkTiles);
  while (tiles > 1 && n_tiles / tiles < 4 * n_workers) tiles /= 2;
  return tiles;
}

// The most bytes of weights that such a chunk has.
constexpr int64_t chunk_bytes(int64_t tile_bytes) {
  return std::max(kChunkBytes, kPassTiles * tile_bytes);
}

// body(tile_begin, tile_end, token, n) for passes of a chunk's tiles over blocks of n_tokens tokens
// of row_bytes each: the block stays in the L2 cache while the tiles pass, as many at once as leave
// room for their results in kScratchFloats. A block is at least two register tiles of tokens: with
// fewer, unpacking weights costs more than fetching tokens from beyond the cache.
template <typename Body>
void for_passes(int64_t tile_begin, int64_t tile_end, int64_t n_tokens, int64_t row_bytes,
                Body body) {
  constexpr int64_t kTokenBlockBytes = 512 << 10;
  const int64_t step = kernels().token_step, most = kScratchTokens / step * step;
  const int64_t block = std::clamp(kTokenBlockBytes / row_bytes / step * step, 2 * step, most);
  for (int64_t t = 0; t < n_tokens; t += block) {
    const int64_t n = std::min(block, n_tokens - t);
    const int64_t tiles = kScratchTokens / n * kPassTiles;
    for (int64_t tile = tile_begin; tile < tile_end; tile += tiles)
      body(tile, std::min(tile + tiles, tile_end), t, n);
  }
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_OPS_MATMUL_CUT_H_
